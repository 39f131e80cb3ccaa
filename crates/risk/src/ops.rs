//! `risk.explain` and `risk.own`: how a person's last log-ins were judged. `geo.show` and `geo.update`: the tables of addresses.

use std::net::IpAddr;

use futures_util::StreamExt;
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Cursor, Kind, Micros, Problem};
use rba::geo::{Dated, Whence};
use rba::table::{self, Table};
pub use rba::table::{Kind as GeoKind, Table as GeoTable};
use vault::objects::Body;

use crate::log_ins::LogIns;
use crate::store;
pub use crate::store::GeoRow;
use crate::told::JudgedLogIn;

/// The verb of [`ExplainLogIns`].
pub const EXPLAIN: Action = Action::read("risk.explain");
/// The verb of [`OwnLogIns`].
pub const OWN: Action = Action::read("risk.own");
/// The verb of [`ShowGeo`].
pub const GEO_SHOW: Action = Action::read("geo.show");
/// The verb of [`UpdateGeo`].
pub const GEO_UPDATE: Action = Action::write("geo.update");
/// Every verb of this room.
pub const ACTIONS: &[Action] = &[EXPLAIN, OWN, GEO_SHOW, GEO_UPDATE];

/// Log-ins that are shown at most.
const ROW_COUNT_MAX: i64 = 100;
/// A table as bytes. The largest public one has 5 MB.
const TABLE_BYTES_MAX: usize = 64 << 20;
/// Data of the future is a mistake; a day is for clocks and time zones.
const AHEAD_S_MAX: i64 = 2 * 86_400;

/// How somebody's last log-ins were judged.
pub struct ExplainLogIns {
    /// The room.
    pub room: LogIns,
    /// The account's id or name.
    pub who: String,
    /// How many at most.
    pub rows: Option<i64>,
}

impl Operation for ExplainLogIns {
    const ACTION: Action = EXPLAIN;
    type Output = Vec<JudgedLogIn>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<JudgedLogIn>, Problem> {
        let (find_person, who) = (self.room.0.find_person, self.who);
        let find = move |reader: &mut vault::db::Reader<'_>| {
            find_person(reader, &who)?.ok_or_else(|| Problem::not_found(format!("there is no account `{}`", short(&who))))
        };
        let person = self.room.0.db.read_point(&permit, find).await?;
        judged(&self.room, &permit, person, self.rows).await
    }
}

/// How one's own last log-ins were judged.
pub struct OwnLogIns {
    /// The room.
    pub room: LogIns,
    /// How many at most.
    pub rows: Option<i64>,
}

impl Operation for OwnLogIns {
    const ACTION: Action = OWN;
    type Output = Vec<JudgedLogIn>;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<JudgedLogIn>, Problem> {
        let person = permit.caller().id.clone();
        judged(&self.room, &permit, person, self.rows).await
    }
}

/// Everybody else's grave log-ins, the newest first: somebody else may have their passwords.
pub struct GraveLogIns {
    /// The room.
    pub room: LogIns,
    /// Since when.
    pub since: Micros,
    /// Behind this place.
    pub after: Option<String>,
    /// How many at most.
    pub rows: Option<i64>,
}

/// A log-in of somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct LogInOf {
    /// The account's id.
    pub person: String,
    /// How it is called.
    pub name: String,
    /// The log-in.
    pub log_in: JudgedLogIn,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct LogInPage {
    /// The newest first.
    pub rows: Vec<LogInOf>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

impl Operation for GraveLogIns {
    const ACTION: Action = EXPLAIN;
    type Output = LogInPage;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<LogInPage, Problem> {
        let count = self.rows.unwrap_or(ROW_COUNT_MAX).clamp(1, ROW_COUNT_MAX);
        let newest = || Cursor { at: Micros(i64::MAX), id: String::new() };
        let before = self.after.as_deref().map(Cursor::read).transpose()?.unwrap_or_else(newest);
        let (me, since) = (permit.caller().id.clone(), self.since);
        let read = move |reader: &mut vault::db::Reader<'_>| Ok(store::grave(reader, &me, &before, since, count + 1)?);
        let mut found = self.room.0.db.read(&permit, read).await?;
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        let has_more = found.len() > wanted;
        found.truncate(wanted);
        let place = |last: &store::GraveRow| Cursor { at: last.judged.at, id: last.id.clone() }.to_string();
        let next = found.last().filter(|_| has_more).map(place);
        let open = |row: store::GraveRow| {
            let log_in = self.room.0.sealing.open_judged(&row.person, row.judged)?;
            Ok(LogInOf { person: row.person, name: row.name, log_in })
        };
        Ok(LogInPage { rows: found.into_iter().map(open).collect::<Result<_, Problem>>()?, next })
    }
}

async fn judged<O>(room: &LogIns, permit: &Permit<O>, person: String, rows: Option<i64>) -> Result<Vec<JudgedLogIn>, Problem> {
    let rows = rows.unwrap_or(ROW_COUNT_MAX).clamp(1, ROW_COUNT_MAX);
    let of = person.clone();
    let found = room.0.db.read(permit, move |reader| store::judged(reader, &of, rows)).await?;
    found.into_iter().map(|row| room.0.sealing.open_judged(&person, row)).collect()
}

/// Which tables there are, and where an address is.
pub struct ShowGeo {
    /// The room.
    pub room: LogIns,
    /// The address; none for the tables only.
    pub address: Option<IpAddr>,
}

/// What is shown of the tables.
#[derive(Clone, Debug, PartialEq)]
pub struct GeoShown {
    /// The tables, each with whether its data is out of date.
    pub tables: Vec<(GeoRow, bool)>,
    /// Where the address is.
    pub whence: Option<(IpAddr, Whence)>,
}

impl Operation for ShowGeo {
    const ACTION: Action = GEO_SHOW;
    type Output = GeoShown;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<GeoShown, Problem> {
        let now = permit.entry().at;
        let geo = self.room.geo().await?;
        let rows = self.room.0.db.read(&permit, store::geo_rows).await?;
        let is_old =
            |row: &GeoRow| table::Kind::parse(&row.kind).and_then(|kind| geo.table(kind)).is_none_or(|dated| dated.is_old(now));
        let tables = rows.into_iter().map(|row| (row.clone(), is_old(&row))).collect();
        Ok(GeoShown { tables, whence: self.address.map(|address| (address, geo.find(address))) })
    }
}

/// Takes in a table, in place of the one of its kind.
pub struct UpdateGeo {
    /// The room.
    pub room: LogIns,
    /// What it is of, as a word.
    pub table: String,
    /// The date of its data. It has to be said.
    pub made_at: Option<Micros>,
    /// Whether it may have less than half as many rows as the one that it replaces: a file that was cut off at the end of a line looks whole.
    pub may_shrink: bool,
    /// Whether its data may be older than that of the one that it replaces: a file that lay about would bring back what is out of date.
    pub may_be_older: bool,
    /// The table, as [`Table::to_bytes`] writes it.
    pub body: Body,
}

impl Operation for UpdateGeo {
    const ACTION: Action = GEO_UPDATE;
    type Output = GeoRow;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<GeoRow, Problem> {
        let now = permit.entry().at;
        let kind = table::Kind::parse(&self.table);
        let kind = kind.ok_or_else(|| Problem::invalid("a table is country_v4, country_v6, network_v4 or network_v6"))?;
        let made_at = self.made_at.ok_or_else(|| Problem::invalid("`made_at` says when the table's data was made"))?;
        if made_at > now.plus_secs(AHEAD_S_MAX) {
            return Err(Problem::invalid("the data's date lies in the future; say when the table was made"));
        }
        let bytes = whole(self.body).await?;
        let read = move || (Table::from_bytes(&bytes), bytes);
        let read = tokio::task::spawn_blocking(read).await.map_err(|error| Problem::internal("a table was not read", error))?;
        let (table, bytes) = (read.0.map_err(|error| Problem::invalid(format!("the table cannot be used: {error}")))?, read.1);
        if table.kind() != kind {
            let message = format!("it is a table of `{}`, not of `{}`", table.kind().word(), kind.word());
            return Err(Problem::invalid(message));
        }
        let row = GeoRow {
            kind: kind.word().to_owned(),
            made_at,
            loaded_at: now,
            row_count: i64::try_from(table.row_count()).unwrap_or(i64::MAX),
            sha256: kernel::hex(&kernel::sha256(&bytes)),
        };
        let (kept, may_shrink, may_be_older) = (row.clone(), self.may_shrink, self.may_be_older);
        let write = move |writer: &mut vault::db::Writer<'_>| {
            let (present, present_at) = store::geo_present(writer, &kept.kind)?.unwrap_or((0, Micros(i64::MIN)));
            if kept.made_at < present_at && !may_be_older {
                let message = format!(
                    "the table's data is of {} and the present one's of {}: load a newer one, or say that it may be older (`--may-be-older`)",
                    kept.made_at.rfc3339_seconds(),
                    present_at.rfc3339_seconds()
                );
                return Err(Problem::new(Kind::Conflict, message));
            }
            if !may_shrink && kept.row_count.saturating_mul(2) < present {
                let message = format!(
                    "the table has {} rows and the present one {present}: the file may have been cut off. Load it whole, or say that it may shrink (`--may-shrink`)",
                    kept.row_count
                );
                return Err(Problem::new(Kind::Conflict, message));
            }
            store::put_geo(writer, &kept, &bytes)?;
            let count = usize::try_from(kept.row_count).unwrap_or(usize::MAX);
            Ok(((), Outcome::done().with("table", kept.kind.clone()).with("rows", count).with("sha256", kept.sha256.clone())))
        };
        self.room.0.db.write(&permit, write).await?;
        self.room.put_geo(Dated { table, made_at });
        Ok(row)
    }
}

async fn whole(mut body: Body) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if bytes.len() + chunk.len() > TABLE_BYTES_MAX {
            return Err(Problem::new(Kind::TooLarge, format!("a table has at most {TABLE_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
