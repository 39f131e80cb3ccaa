//! `strongroom risk` and `strongroom geo`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use clap::{Args, Subcommand};
use http_body_util::{BodyExt, Full};
use kernel::{Civil, Micros, Problem};
use risk::ops::GeoTable;
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::output::{print_list, show};
use super::transfer::encoded;

const PREFIX: &str = "/api/strongroom/v1";
/// A file's own date before this one is a packer's, not its maker's.
const FILE_DATE_MIN: i64 = 1_577_836_800_000_000;

/// Look at how log-ins are judged.
#[derive(Subcommand)]
#[command(after_help = "Examples:\n  strongroom risk explain\n  strongroom risk explain alice")]
pub enum RiskVerb {
    /// Show how the last log-ins of somebody were judged, and why.
    Explain(Explain),
}

/// Whose log-ins.
#[derive(Args)]
#[command(
    after_help = "Each reason is an addend of the score (new_network +2.1: more like somebody else; known_device -3.0: more like this person), or a \
rule with what it asked for (no_known_device: second_factor). The percentile says how many of the server's accepted log-ins scored lower.

Examples:
  strongroom risk explain
  strongroom risk explain alice --rows 5 --json"
)]
pub struct Explain {
    /// The account's name or id; your own without it.
    who: Option<String>,
    /// How many at most, the newest first.
    #[arg(long, default_value_t = 20)]
    rows: u32,
    #[command(flatten)]
    connection: Connection,
}

/// Work with the tables that say in which country and network addresses are.
#[derive(Subcommand)]
#[command(
    after_help = "The tables are CSV files that you bring, such as those of the npm packages @ip-location-db/asn-country and @ip-location-db/asn. \
None comes with the program. Mind their licences: some ask for their source to be named wherever results are shown.

Examples:
  strongroom geo update asn-country-ipv4-num.csv asn-ipv4-num.csv --date 2026-06-17
  strongroom geo show 192.0.2.7"
)]
pub enum Geo {
    /// Take in tables, each in place of the one of its kind.
    Update(Update),
    /// Show the tables with their dates; and with an address, where it is.
    Show(Show),
    /// Show the tables with their dates.
    Status(Status),
}

/// Which files.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom geo update asn-country-ipv4-num.csv asn-country-ipv6-num.csv --date 2026-06-17")]
pub struct Update {
    /// CSV files: FIRST,LAST,COUNTRY or FIRST,LAST,NUMBER,NAME.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// When their data was made (YYYY-MM-DD); without it the files' own date.
    #[arg(long)]
    date: Option<String>,
    /// A table may have less than half as many rows as the one that it replaces; otherwise that is taken for a file that was cut off.
    #[arg(long)]
    may_shrink: bool,
    /// A table's data may be older than that of the one that it replaces.
    #[arg(long)]
    may_be_older: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Which address.
#[derive(Args)]
#[command(after_help = "Examples:\n  strongroom geo show\n  strongroom geo show 192.0.2.7 --json")]
pub struct Show {
    /// An address.
    address: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Nothing but the connection.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom geo status")]
pub struct Status {
    #[command(flatten)]
    connection: Connection,
}

impl RiskVerb {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let Self::Explain(Explain { who, rows, connection }) = self;
        let mut client = connection.open().await?;
        let whose = who.map_or_else(|| "me".to_owned(), |who| format!("users/{}", encoded(&who)));
        let answer = client.get(&format!("{PREFIX}/{whose}/log-ins?rows={}", rows.clamp(1, 100))).await?;
        let log_ins = answer.get("log_ins").and_then(Value::as_array).cloned().unwrap_or_default();
        if client.json {
            crate::say!("{}", Value::Array(log_ins));
            return Ok(());
        }
        for log_in in &log_ins {
            tell(log_in);
        }
        if log_ins.is_empty() {
            crate::say!("no log-ins were judged");
        }
        Ok(())
    }
}

fn tell(log_in: &Value) {
    let text = |name: &str| log_in.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
    let network = log_in
        .get("network")
        .and_then(Value::as_u64)
        .map_or_else(|| "unknown network".to_owned(), |number| format!("AS{number}"));
    let place = match log_in.get("is_private").and_then(Value::as_bool) {
        Some(true) => "a private network".to_owned(),
        _ => format!("{}, {network}", log_in.get("country").and_then(Value::as_str).unwrap_or("unknown country")),
    };
    let percentile =
        log_in.get("percentile").and_then(Value::as_f64).map_or_else(|| "-".to_owned(), |percentile| format!("{percentile:.0}"));
    crate::say!(
        "{}  {}  from {place}  risk {}  percentile {percentile}  asked for: {}",
        text("at"),
        text("outcome"),
        log_in["risk"],
        text("band")
    );
    for reason in log_in.get("reasons").and_then(Value::as_array).into_iter().flatten() {
        let word = reason.get("word").and_then(Value::as_str).unwrap_or_default();
        match reason.get("asks").and_then(Value::as_str) {
            Some(asks) => crate::say!("    {word}: {asks}"),
            None => crate::say!("    {word} {:+.1}", reason.get("weight").and_then(Value::as_f64).unwrap_or_default()),
        }
    }
}

impl Geo {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Update(update) => update.run().await,
            Self::Show(Show { address, connection }) => shown(connection, address).await,
            Self::Status(Status { connection }) => shown(connection, None).await,
        }
    }
}

impl Update {
    async fn run(self) -> Result<(), Problem> {
        let made_at = self.date.as_deref().map(day).transpose()?;
        // All of them are read before the first is sent.
        let tables: Vec<(Table, Micros)> = self
            .files
            .iter()
            .map(|file| Ok((read(file)?, made_at.map_or_else(|| date_of(file), Ok)?)))
            .collect::<Result<_, Problem>>()?;
        let mut client = self.connection.open().await?;
        let mut rows = Vec::new();
        for (table, made_at) in tables {
            let bytes = table.to_bytes();
            let size_bytes = bytes.len() as u64;
            let (kind, date) = (table.kind().word(), made_at.rfc3339_seconds());
            let (may_shrink, may_be_older) = (self.may_shrink, self.may_be_older);
            let path = format!("{PREFIX}/geo/{kind}?made_at={date}&may_shrink={may_shrink}&may_be_older={may_be_older}");
            rows.push(
                client
                    .put(&path, Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed_unsync(), size_bytes)
                    .await?,
            );
        }
        print_list(&client, &rows, &["table", "rows", "made_at", "sha256"]);
        Ok(())
    }
}

type Table = GeoTable;

fn read(file: &Path) -> Result<Table, Problem> {
    let wrong = |why: &dyn std::fmt::Display| Problem::invalid(format!("`{}` cannot be used: {why}", file.display()));
    let opened = File::open(file).map_err(|error| wrong(&error))?;
    Table::read_csv(BufReader::new(opened)).map_err(|error| wrong(&error))
}

fn day(text: &str) -> Result<Micros, Problem> {
    let mut parts = text.split('-').map(str::parse::<i64>);
    let moment = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(Ok(year)), Some(Ok(month)), Some(Ok(day)), None) => Civil { year, month, day, hour: 0, minute: 0, second: 0 }.at(),
        _ => None,
    };
    moment.ok_or_else(|| Problem::invalid("`--date` is a day as 2026-06-17"))
}

fn date_of(file: &Path) -> Result<Micros, Problem> {
    let modified = File::open(file).and_then(|file| file.metadata()).and_then(|metadata| metadata.modified());
    let since = modified.ok().and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
    let at = since.and_then(|since| i64::try_from(since.as_micros()).ok()).filter(|at| *at >= FILE_DATE_MIN);
    at.map(Micros).ok_or_else(|| {
        Problem::invalid(format!("`{}` has no date of its own; say when its data was made with --date", file.display()))
    })
}

async fn shown(connection: Connection, address: Option<String>) -> Result<(), Problem> {
    let mut client = connection.open().await?;
    let wish = address.as_deref().map_or_else(String::new, |address| format!("?address={}", encoded(address)));
    let answer = client.get(&format!("{PREFIX}/geo{wish}")).await?;
    if client.json {
        crate::say!("{answer}");
        return Ok(());
    }
    if address.is_some() {
        show(&client, &answer, &["address", "country", "network", "is_private", "is_unknown"])?;
    }
    tables(&client, &answer);
    Ok(())
}

fn tables(client: &Client, answer: &Value) {
    let tables = answer.get("tables").and_then(Value::as_array).cloned().unwrap_or_default();
    print_list(client, &tables, &["table", "rows", "made_at", "loaded_at", "is_old"]);
    if tables.iter().any(|table| table.get("is_old") == Some(&json!(true))) {
        crate::say!("warning: data that is older than 90 days is out of date; load newer tables with `strongroom geo update`");
    }
    if tables.is_empty() {
        crate::say!("no tables: every country and network is unknown, and nothing unknown counts as familiar");
    }
}
