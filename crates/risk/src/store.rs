//! The room's SQL: learnt log-ins, judgements, what is held against somebody for a while, tables of addresses.

use kernel::{Cursor, Micros, Problem, random_id};
use vault::db::{DbError, Reader, Row, Writer};

use crate::raised::{Cause, Raise};

/// Verified log-ins of a person that are kept.
const LOG_IN_COUNT_MAX: i64 = 100;
/// Judgements of a person that are kept.
const JUDGED_COUNT_MAX: i64 = 100;
/// Log-ins that are read at a start, the newest.
const LOADED_COUNT_MAX: i64 = 1_000_000;

/// A verified log-in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogInRow {
    pub(crate) person: String,
    pub(crate) at: Micros,
    pub(crate) known_device: bool,
    /// Seven keyed hashes.
    pub(crate) seen: Vec<u8>,
    /// Country and network, sealed.
    pub(crate) place: Vec<u8>,
    pub(crate) score: f64,
    pub(crate) known_count: i64,
}

/// A judgement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JudgedRow {
    pub(crate) at: Micros,
    pub(crate) outcome: String,
    /// Whether somebody else may have the password: it was refused for its risk, or the strongest proof was asked for.
    pub(crate) is_grave: bool,
    /// The rest, sealed.
    pub(crate) told: Vec<u8>,
}

/// What is known of a table without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeoRow {
    /// What it is of.
    pub kind: String,
    /// The date of its data.
    pub made_at: Micros,
    /// When it was loaded.
    pub loaded_at: Micros,
    /// Its ranges.
    pub row_count: i64,
    /// Its digest, in hex.
    pub sha256: String,
}

pub(crate) fn put_log_in(writer: &mut Writer<'_>, row: &LogInRow) -> Result<(), Problem> {
    let sql = "INSERT INTO risk_log_in (id, person, at, known_device, seen, place, score, known_count)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let id = random_id();
    let binds = [
        (&id).into(),
        (&row.person).into(),
        row.at.0.into(),
        row.known_device.into(),
        (&row.seen).into(),
        (&row.place).into(),
        row.score.into(),
        row.known_count.into(),
    ];
    writer.execute(sql, &binds)?;
    let prune = "DELETE FROM risk_log_in WHERE person = $1 AND id NOT IN
                 (SELECT id FROM risk_log_in WHERE person = $1 ORDER BY at DESC, id DESC LIMIT $2)";
    writer.execute(prune, &[(&row.person).into(), LOG_IN_COUNT_MAX.into()])?;
    Ok(())
}

/// Hands each verified log-in to `each`, the oldest first.
pub(crate) fn each_log_in(reader: &mut Reader<'_>, mut each: impl FnMut(LogInRow)) -> Result<(), Problem> {
    let sql = "SELECT person, at, known_device, seen, place, score, known_count FROM
               (SELECT id, person, at, known_device, seen, place, score, known_count FROM risk_log_in ORDER BY at DESC, id DESC LIMIT $1) newest
               ORDER BY at, id";
    reader.for_each(sql, &[LOADED_COUNT_MAX.into()], |row| {
        each(LogInRow {
            person: row.text(0)?,
            at: Micros(row.int(1)?),
            known_device: row.flag(2)?,
            seen: row.bytes(3)?,
            place: row.bytes(4)?,
            score: row.real(5)?,
            known_count: row.int(6)?,
        });
        Ok(())
    })?;
    Ok(())
}

/// Everybody of whom a log-in is kept.
pub(crate) fn people(reader: &mut Reader<'_>) -> Result<Vec<String>, Problem> {
    Ok(reader.query("SELECT DISTINCT person FROM risk_log_in", &[], |row| row.text(0))?)
}

pub(crate) fn put_judged(writer: &mut Writer<'_>, person: &str, row: &JudgedRow) -> Result<(), Problem> {
    let sql = "INSERT INTO risk_judged (id, person, at, outcome, told, grave) VALUES ($1, $2, $3, $4, $5, $6)";
    let id = random_id();
    let binds = [(&id).into(), person.into(), row.at.0.into(), (&row.outcome).into(), (&row.told).into(), row.is_grave.into()];
    writer.execute(sql, &binds)?;
    let prune = "DELETE FROM risk_judged WHERE person = $1 AND id NOT IN
                 (SELECT id FROM risk_judged WHERE person = $1 ORDER BY at DESC, id DESC LIMIT $2)";
    writer.execute(prune, &[person.into(), JUDGED_COUNT_MAX.into()])?;
    Ok(())
}

/// A person's last judgements, the newest first.
pub(crate) fn judged(reader: &mut Reader<'_>, person: &str, rows: i64) -> Result<Vec<JudgedRow>, Problem> {
    let sql = "SELECT at, outcome, told, grave FROM risk_judged WHERE person = $1 ORDER BY at DESC, id DESC LIMIT $2";
    Ok(reader.query(sql, &[person.into(), rows.into()], judged_row)?)
}

fn judged_row(row: &Row<'_>) -> Result<JudgedRow, DbError> {
    Ok(JudgedRow { at: Micros(row.int(0)?), outcome: row.text(1)?, told: row.bytes(2)?, is_grave: row.flag(3)? })
}

/// A grave judgement of anybody's: its id, the person's id and name.
pub(crate) struct GraveRow {
    pub(crate) id: String,
    pub(crate) person: String,
    pub(crate) name: String,
    pub(crate) judged: JudgedRow,
}

/// Grave judgements of all but one person, the newest first.
pub(crate) fn grave(
    reader: &mut Reader<'_>,
    but: &str,
    before: &Cursor,
    since: Micros,
    rows: i64,
) -> Result<Vec<GraveRow>, DbError> {
    let sql = "SELECT j.at, j.outcome, j.told, j.grave, j.id, j.person, p.name FROM risk_judged j JOIN principal p ON p.id = j.person
               WHERE j.grave = 1 AND j.at >= $1 AND (j.at, j.id) < ($2, $3) AND j.person <> $4 ORDER BY j.at DESC, j.id DESC LIMIT $5";
    let binds = [since.0.into(), before.at.0.into(), (&before.id).into(), but.into(), rows.into()];
    reader.query(sql, &binds, |row| {
        Ok(GraveRow { judged: judged_row(row)?, id: row.text(4)?, person: row.text(5)?, name: row.text(6)? })
    })
}

pub(crate) fn forget(writer: &mut Writer<'_>, person: &str) -> Result<(), Problem> {
    writer.execute("DELETE FROM risk_log_in WHERE person = $1", &[person.into()])?;
    writer.execute("DELETE FROM risk_judged WHERE person = $1", &[person.into()])?;
    Ok(())
}

pub(crate) fn put_geo(writer: &mut Writer<'_>, row: &GeoRow, bytes: &[u8]) -> Result<(), Problem> {
    let sql = "INSERT INTO geo_table (kind, made_at, loaded_at, row_count, sha256, bytes) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (kind) DO UPDATE SET made_at = excluded.made_at, loaded_at = excluded.loaded_at, row_count = excluded.row_count,
               sha256 = excluded.sha256, bytes = excluded.bytes";
    let binds = [
        (&row.kind).into(),
        row.made_at.0.into(),
        row.loaded_at.0.into(),
        row.row_count.into(),
        (&row.sha256).into(),
        bytes.into(),
    ];
    writer.execute(sql, &binds)?;
    Ok(())
}

/// How many rows the table of a kind has and when its data was made, if there is one.
pub(crate) fn geo_present(reader: &mut Reader<'_>, kind: &str) -> Result<Option<(i64, Micros)>, Problem> {
    let sql = "SELECT row_count, made_at FROM geo_table WHERE kind = $1";
    Ok(reader.query_one(sql, &[kind.into()], |row| Ok((row.int(0)?, Micros(row.int(1)?))))?)
}

pub(crate) fn geo_rows(reader: &mut Reader<'_>) -> Result<Vec<GeoRow>, Problem> {
    let sql = "SELECT kind, made_at, loaded_at, row_count, sha256 FROM geo_table ORDER BY kind";
    Ok(reader.query(sql, &[], |row| {
        Ok(GeoRow {
            kind: row.text(0)?,
            made_at: Micros(row.int(1)?),
            loaded_at: Micros(row.int(2)?),
            row_count: row.int(3)?,
            sha256: row.text(4)?,
        })
    })?)
}

/// The tables themselves, with the dates of their data.
pub(crate) fn geo_tables(reader: &mut Reader<'_>) -> Result<Vec<(Micros, Vec<u8>)>, Problem> {
    let sql = "SELECT made_at, bytes FROM geo_table ORDER BY kind";
    Ok(reader.query(sql, &[], |row| Ok((Micros(row.int(0)?), row.bytes(1)?)))?)
}

/// Raises that are read at the start at most.
const RAISE_ROWS_MAX: i64 = 65_536;

/// Keeps what is held against somebody; the same reason once, with the more of both. What has ended goes.
pub(crate) fn put_raise(writer: &mut Writer<'_>, who: &str, raise: &Raise, now: Micros) -> Result<(), Problem> {
    writer.execute("DELETE FROM risk_raised WHERE ends_at <= $1", &[now.0.into()])?;
    let sql = "INSERT INTO risk_raised (who, reason, cause, points, ends_at) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (who, reason, cause) DO UPDATE SET
               points = CASE WHEN excluded.points > risk_raised.points THEN excluded.points ELSE risk_raised.points END,
               ends_at = CASE WHEN excluded.ends_at > risk_raised.ends_at THEN excluded.ends_at ELSE risk_raised.ends_at END";
    let binds =
        [who.into(), (&*raise.reason).into(), raise.cause.word().into(), i64::from(raise.points).into(), raise.until.0.into()];
    writer.execute(sql, &binds)?;
    Ok(())
}

/// What is still held against callers, tokens and sessions, by their ids.
pub(crate) fn raises(reader: &mut Reader<'_>, now: Micros) -> Result<Vec<(String, Raise)>, Problem> {
    let sql = "SELECT who, reason, cause, points, ends_at FROM risk_raised WHERE ends_at > $1 ORDER BY ends_at DESC LIMIT $2";
    Ok(reader.query(sql, &[now.0.into(), RAISE_ROWS_MAX.into()], |row| {
        let raise = Raise {
            points: u8::try_from(row.int(3)?).map_err(|_| DbError::Shape(3))?,
            reason: row.text(1)?.into(),
            cause: Cause::parse(&row.text(2)?).ok_or(DbError::Shape(2))?,
            until: Micros(row.int(4)?),
        };
        Ok((row.text(0)?, raise))
    })?)
}
