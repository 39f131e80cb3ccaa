//! `strongroom audit timeline`, `blast-radius` and `check-evidence`: what somebody did, what came of it, and a file that shows it to others.

use std::path::PathBuf;
use std::process::ExitCode;

use audit::evidence::{Bundle, Shown, Taken};
use audit::note::VerifierKey;
use clap::Args;
use kernel::{Micros, Problem, hex, sha256};
use serde_json::{Value, json};

use wire::admin::acts::{Act, Report, acts, touched};

use super::client::{Client, Connection};
use super::forensics_reach::{advice, reach};
use super::output::{pages, print_list, segment};

const AUDIT: &str = "/api/strongroom/v1/audit";
/// Records that are looked at for one person.
const RECORD_COUNT_MAX: usize = 200_000;
/// A bundle's file.
const BUNDLE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Whom it is about, and when.
#[derive(Args)]
pub struct Whom {
    /// An account's name or id.
    #[arg(long, value_name = "NAME")]
    who: String,
    /// From this time on (RFC 3339).
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `audit timeline`.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom audit timeline --who alice --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z")]
pub struct Timeline {
    #[command(flatten)]
    whom: Whom,
}

/// Options of `audit blast-radius`.
#[derive(Args)]
#[command(
    after_help = "What descends from runs, models, data, endpoints and objects is looked for through the lineage of each workspace that you may see; what was left out is said.\n\nExample:\n  \
strongroom audit blast-radius --who alice --from 2026-11-01T00:00:00Z --bundle alice.evidence.json"
)]
pub struct BlastRadius {
    #[command(flatten)]
    whom: Whom,
    /// Write report, records and proofs into this file: `audit check-evidence` checks it without a server.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// Options of `audit check-evidence`.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom audit check-evidence alice.evidence.json --vkey \"$(cat audit.vkey)\"")]
pub struct CheckEvidence {
    /// The file.
    file: PathBuf,
    /// The log's verifier key as you know it.
    #[arg(long, value_name = "VKEY")]
    vkey: String,
    /// Print JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// What was found of somebody.
struct Found {
    who: String,
    since: Option<i64>,
    until: Option<i64>,
    indices: Vec<u64>,
    acts: Vec<Act>,
}

impl Timeline {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.whom.connection.open().await?;
        let found = found(&mut client, &self.whom).await?;
        let rows: Vec<Value> = found.acts.iter().map(Act::shown).collect();
        print_list(&client, &rows, &["at", "action", "status", "target", "resource", "from", "token", "risk", "index"]);
        Ok(())
    }
}

impl BlastRadius {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.whom.connection.open().await?;
        let found = found(&mut client, &self.whom).await?;
        let touched = touched(&found.acts);
        let reach = reach(&mut client, &touched).await?;
        let advice = advice(&found.who, &found.acts, &touched, &reach);
        let Found { who, since, until, indices, acts } = &found;
        let (since, until, left_off) = (*since, *until, &reach.left_off);
        let mut fields = Report { who, since, until, indices, acts, touched: &touched, left_off }.fields();
        fields.insert("descends".to_owned(), reach.descends.values().cloned().collect());
        fields.insert("endpoints".to_owned(), json!(reach.endpoint_names()));
        fields.insert("advice".to_owned(), Value::Array(advice));
        let report = Value::Object(fields);
        if client.json {
            crate::say!("{report}");
        } else {
            print(&client, &report);
        }
        if let Some(file) = &self.bundle {
            let said = bundle(&mut client, &found, &report.to_string(), file).await?;
            // Not to stdout, where a script may read the report.
            eprintln!("{said}");
        }
        Ok(())
    }
}

async fn found(client: &mut Client, whom: &Whom) -> Result<Found, Problem> {
    let moment = |name: &str, text: &Option<String>| -> Result<Option<i64>, Problem> {
        text.as_deref().map(|text| Ok(wire::parse_time(name, text)?.0)).transpose()
    };
    let (since, until) = (moment("--from", &whom.from)?, moment("--to", &whom.to)?);
    let who = id_of(client, &whom.who).await?;
    let mut query = format!("{AUDIT}/records?who={}", segment(&who));
    for (name, value) in [("since", &whom.from), ("until", &whom.to)] {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", segment(value)));
        }
    }
    let mut records = pages(client, &query, "records", RECORD_COUNT_MAX + 1).await?;
    if records.len() > RECORD_COUNT_MAX {
        return Err(Problem::invalid(format!(
            "there are more than {RECORD_COUNT_MAX} records; narrow the time with --from and --to"
        )));
    }
    records.reverse();
    let indices = records.iter().filter_map(|record| record.get("index").and_then(Value::as_u64)).collect();
    Ok(Found { who, since, until, indices, acts: acts(records) })
}

/// The id behind a name. Who reads the log may ask what an account may do, and is told its id.
async fn id_of(client: &mut Client, who: &str) -> Result<String, Problem> {
    let is_id = |prefix: &str| {
        who.strip_prefix(prefix).is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    if ["u_", "s_"].into_iter().any(is_id) || ["anonymous", "audit"].contains(&who) {
        return Ok(who.to_owned());
    }
    let body = json!({ "principal": who, "action": "server.health", "resource_kind": "server", "resource": null });
    let answer = client.post("/api/strongroom/v1/access/check", &body).await?;
    answer
        .get("principal")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Problem::invalid(format!("`{who}` cannot be resolved; name the account's id, as the log has it")))
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn print(client: &Client, report: &Value) {
    let rows = |name: &str| report.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    crate::say!("{}: {} acts, records {}", text(report, "who"), rows("acts").len(), rows("indices").len());
    crate::say!("\nTouched");
    print_list(client, &rows("touched"), &["target", "resource", "changed_count", "read_count", "workspace"]);
    crate::say!("\nDescends from what was changed");
    print_list(client, &rows("descends"), &["kind", "name", "label", "trust", "from"]);
    crate::say!("\nEndpoints that answer with it: {}", joined(&rows("endpoints")));
    for words in rows("left_off").iter().filter_map(Value::as_str) {
        crate::say!("Left out: {words}.");
    }
    crate::say!("\nWhat to do");
    print_list(client, &rows("advice"), &["command", "why"]);
}

fn joined(names: &[Value]) -> String {
    let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Takes the whole stretch of the log out, from the first record to the last, has the log keep the report's digest, and writes all of it down.
async fn bundle(client: &mut Client, found: &Found, report: &str, file: &PathBuf) -> Result<String, Problem> {
    let (Some(first), Some(last)) = (found.indices.first(), found.indices.last()) else {
        return Err(Problem::invalid("there is no record in this time, so there is nothing to show"));
    };
    let body = json!({ "from": first, "to": last + 1, "report_sha256": hex(&sha256(report.as_bytes())) });
    let answer = client.post(&format!("{AUDIT}/evidence"), &body).await?;
    let taken: Taken =
        serde_json::from_value(answer).map_err(|error| Problem::internal("the server gave no stretch of its log", error))?;
    let proof = client.get_text(&format!("{AUDIT}/proof/{}", segment(&taken.entry))).await?;
    let record = String::from_utf8_lossy(proof.header("x-strongroom-record").unwrap_or_default()).into_owned();
    let bundle = Bundle::new(taken, report.to_owned(), (record, proof.body));
    // What is handed on has been checked once.
    let shown = bundle.check(&VerifierKey::parse(&bundle.verifier_key)?)?;
    let bytes = serde_json::to_vec(&bundle).map_err(|error| Problem::internal("the bundle could not be written", error))?;
    std::fs::write(file, bytes).map_err(|error| crate::tls::file_problem(file, error))?;
    Ok(format!(
        "wrote {}: {} records of the log, {} of them of {}{}",
        file.display(),
        shown.count,
        shown.own_count,
        shown.who,
        not_shown(&shown)
    ))
}

/// Where the report is about more of the time than the records are of, in lines.
fn not_shown(shown: &Shown) -> String {
    let line = |left: String| {
        format!("\nNOT SHOWN: what `{}` did {left}; what the report says of it rests on the word of who made it", shown.who)
    };
    shown.not_covered().into_iter().map(line).collect()
}

impl CheckEvidence {
    pub(super) fn run(self) -> Result<ExitCode, Problem> {
        let failed = |error| crate::tls::file_problem(&self.file, error);
        let size_bytes = std::fs::metadata(&self.file).map_err(failed)?.len();
        if size_bytes > BUNDLE_BYTES_MAX {
            return Err(Problem::invalid(format!("the file has more than {BUNDLE_BYTES_MAX} bytes")));
        }
        let bytes = std::fs::read(&self.file).map_err(failed)?;
        let key = VerifierKey::parse(self.vkey.trim())?;
        let (code, said, words) = match Bundle::parse(&bytes).and_then(|bundle| bundle.check(&key)) {
            Ok(shown) => (
                ExitCode::SUCCESS,
                json!({ "ok": true, "origin": shown.origin, "size": shown.size, "from": shown.from, "count": shown.count,
                        "who": shown.who, "own_count": shown.own_count, "from_time": shown.times.0, "to_time": shown.times.1,
                        "since": shown.since, "until": shown.until, "not_shown": shown.not_covered() }),
                format!(
                    "holds: records {} to {} of the {} of the log `{}`, from {} to {}, without a gap; the report names all {} of `{}` among them{}",
                    shown.from,
                    shown.from.saturating_add(shown.count).saturating_sub(1),
                    shown.size,
                    shown.origin,
                    Micros(shown.times.0).rfc3339(),
                    Micros(shown.times.1).rfc3339(),
                    shown.own_count,
                    shown.who,
                    not_shown(&shown)
                ),
            ),
            Err(error) => {
                (ExitCode::FAILURE, json!({ "ok": false, "fault": error.to_string() }), format!("DOES NOT HOLD: {error}"))
            }
        };
        crate::say!("{}", if self.json { said.to_string() } else { words });
        Ok(code)
    }
}
