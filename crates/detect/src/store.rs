//! This room's SQL.

use kernel::{Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use crate::detectors::Kept;
use crate::respond::Rung;
use crate::rules::Level;
use crate::types::{Detection, RESPONSE_DUE};

mod own;

pub(crate) use own::{delete_own, own_mark, own_rule, own_rules, put_own};

const COLUMNS: &str = "d.detection_id, d.rule_id, d.rule, d.title, d.level, d.subject, d.caller, d.caller_kind, p.name, d.token, d.workspace, \
                       d.first_at, d.last_at, d.last_index, d.seen_count, d.evidence, d.words, d.response, d.response_state, \
                       d.acknowledged_at, d.acknowledged_by, (SELECT a.name FROM principal AS a WHERE a.id = d.acknowledged_by)";
const FROM: &str = "FROM detection d LEFT JOIN principal p ON p.id = d.caller";
/// States that are read at start.
const STATE_COUNT_MAX: i64 = 60_000;
/// Evidence of one detection.
const EVIDENCE_COUNT_MAX: usize = crate::windows::EVIDENCE_COUNT_MAX;

fn detection(row: &Row<'_>) -> Result<Detection, DbError> {
    let index = |at: usize| -> Result<u64, DbError> { u64::try_from(row.int(at)?).map_err(|_| DbError::Shape(at)) };
    Ok(Detection {
        id: row.text(0)?,
        rule_id: row.text(1)?,
        rule: row.text(2)?,
        title: row.text(3)?,
        level: Level::parse(&row.text(4)?).ok_or(DbError::Shape(4))?,
        subject: row.text(5)?,
        caller: row.opt_text(6)?.zip(row.opt_text(7)?),
        caller_name: row.opt_text(8)?,
        token: row.opt_text(9)?,
        workspace: row.opt_text(10)?,
        first_at: Micros(row.int(11)?),
        last_at: Micros(row.int(12)?),
        last_index: index(13)?,
        count: row.int(14)?,
        evidence: serde_json::from_str(&row.text(15)?).map_err(|_| DbError::Shape(15))?,
        words: row.text(16)?,
        response: Rung::parse(&row.text(17)?).ok_or(DbError::Shape(17))?,
        response_state: row.text(18)?,
        acknowledged: row.opt_int(19)?.map(Micros).zip(row.opt_text(20)?),
        acknowledged_name: row.opt_text(21)?,
    })
}

/// Where reading of a log goes on; none if it never began.
pub(crate) fn position(reader: &mut Reader<'_>, origin: &str) -> Result<Option<u64>, DbError> {
    let found =
        reader.query_one("SELECT next_index FROM detect_position WHERE origin = $1", &[origin.into()], |row| row.int(0))?;
    found.map(|index| u64::try_from(index).map_err(|_| DbError::Shape(0))).transpose()
}

/// Moves the position on if it still is `before`; `false` if another process moved it.
pub(crate) fn move_on(writer: &mut Writer<'_>, origin: &str, before: Option<u64>, next: u64) -> Result<bool, Problem> {
    let number = |index: u64| i64::try_from(index).map_err(|_| Problem::invalid("the log is full"));
    let changed = match before {
        None => writer.execute(
            "INSERT INTO detect_position (origin, next_index) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[origin.into(), number(next)?.into()],
        )?,
        Some(before) => writer.execute(
            "UPDATE detect_position SET next_index = $1 WHERE origin = $2 AND next_index = $3",
            &[number(next)?.into(), origin.into(), number(before)?.into()],
        )?,
    };
    Ok(changed == 1)
}

/// States of detectors, those that changed last first.
pub(crate) fn states(reader: &mut Reader<'_>) -> Result<Vec<(String, Kept)>, DbError> {
    let sql = "SELECT subject, state FROM detect_state ORDER BY changed_at DESC, kind, subject LIMIT $1";
    let rows = reader.query(sql, &[STATE_COUNT_MAX.into()], |row| Ok((row.text(0)?, row.text(1)?)))?;
    // A state that an older or newer release wrote is learnt anew.
    Ok(rows.into_iter().rev().filter_map(|(subject, text)| Some((subject, serde_json::from_str(&text).ok()?))).collect())
}

pub(crate) fn keep_states(writer: &mut Writer<'_>, states: &[(String, Kept)], at: Micros) -> Result<(), Problem> {
    let mut rows = Vec::with_capacity(states.len());
    for (subject, kept) in states {
        let text = serde_json::to_string(kept).map_err(|error| Problem::internal("a state cannot be written down", error))?;
        rows.push((kept.kind(), subject, text));
    }
    let binds =
        rows.iter().map(|(kind, subject, text)| vec![Bind::Text(kind), Bind::Text(subject), Bind::Text(text), Bind::Int(at.0)]);
    writer.execute_many(
        "INSERT INTO detect_state (kind, subject, state, changed_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (kind, subject) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at",
        binds,
    )?;
    Ok(())
}

/// Takes away states that nothing changed since, and detections that are older.
pub(crate) fn sweep(writer: &mut Writer<'_>, states_before: Micros, detections_before: Micros) -> Result<(), DbError> {
    writer.execute("DELETE FROM detect_state WHERE changed_at < $1", &[states_before.0.into()])?;
    let sql = "DELETE FROM detection WHERE last_at < $1 AND acknowledged_at IS NOT NULL";
    writer.execute(sql, &[detections_before.0.into()])?;
    Ok(())
}

/// Writes a finding down, or adds it to the one that it belongs to; whether it is new. Where the token is what ends, one with another token is new.
/// What goes on is answered again: a response does not last as long as a detection.
pub(crate) fn raise(writer: &mut Writer<'_>, found: &Detection, suppress_s: i64, alert_id: &str) -> Result<bool, Problem> {
    let oldest = found.last_at.plus_secs(-suppress_s);
    let token = found.token.as_deref().filter(|_| found.response == Rung::SuspendSession).unwrap_or_default();
    let before = writer.query_one(
        "SELECT detection_id, last_index FROM detection WHERE rule_id = $1 AND subject = $2 AND last_at > $3
         AND (token = $4 OR CAST($4 AS TEXT) = '') ORDER BY last_at DESC, detection_id LIMIT 1",
        &[(&found.rule_id).into(), (&found.subject).into(), oldest.0.into(), token.into()],
        |row| Ok((row.text(0)?, row.int(1)?)),
    )?;
    let last_index = i64::try_from(found.last_index).unwrap_or(i64::MAX);
    if let Some((id, known_index)) = before {
        // Read twice, it is the same finding.
        if last_index > known_index {
            writer.execute(
                "UPDATE detection SET seen_count = seen_count + 1, last_at = $1, last_index = $2, words = $3 WHERE detection_id = $4",
                &[found.last_at.0.into(), last_index.into(), (&found.words).into(), (&id).into()],
            )?;
            answer_again(writer, &id, found)?;
        }
        return Ok(false);
    }
    let evidence: Vec<u64> = found.evidence.iter().copied().take(EVIDENCE_COUNT_MAX).collect();
    let evidence =
        serde_json::to_string(&evidence).map_err(|error| Problem::internal("evidence cannot be written down", error))?;
    let (caller, caller_kind) = found.caller.clone().unzip();
    let made = writer.execute(
        "INSERT INTO detection (detection_id, rule_id, rule, title, level, subject, caller, caller_kind, token, workspace, first_at, last_at,
             last_index, seen_count, evidence, words, response, response_state, alert_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1, $14, $15, $16, $17, $18) ON CONFLICT DO NOTHING",
        &[
            (&found.id).into(),
            (&found.rule_id).into(),
            (&found.rule).into(),
            (&found.title).into(),
            found.level.word().into(),
            (&found.subject).into(),
            (&caller).into(),
            (&caller_kind).into(),
            (&found.token).into(),
            (&found.workspace).into(),
            found.first_at.0.into(),
            found.last_at.0.into(),
            last_index.into(),
            (&evidence).into(),
            (&found.words).into(),
            found.response.word().into(),
            (&found.response_state).into(),
            alert_id.into(),
        ],
    )?;
    Ok(made == 1)
}

/// Has a finding that goes on answered once more, unless somebody is on it, or it is about somebody else.
fn answer_again(writer: &mut Writer<'_>, id: &str, found: &Detection) -> Result<(), DbError> {
    let Some((caller, _)) = found.caller.as_ref().filter(|_| found.response_state == RESPONSE_DUE) else { return Ok(()) };
    writer.execute(
        "UPDATE detection SET response = $1, response_state = $2, token = $3
         WHERE detection_id = $4 AND caller = $5 AND acknowledged_at IS NULL AND response_state <> $2",
        &[found.response.word().into(), RESPONSE_DUE.into(), (&found.token).into(), id.into(), caller.into()],
    )?;
    Ok(())
}

/// What is wished of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) level: Option<Level>,
    pub(crate) open_only: bool,
    /// Only those of exactly this level.
    pub(crate) exactly: Option<Level>,
    pub(crate) before: Option<(i64, String)>,
    pub(crate) count: i64,
}

/// Detections, the newest first.
pub(crate) fn page(reader: &mut Reader<'_>, wish: &Wish) -> Result<Vec<Detection>, DbError> {
    let (at, id) = wish.before.clone().unwrap_or((i64::MAX, String::new()));
    let mut narrowed = String::new();
    if let Some(level) = wish.level {
        let words: Vec<String> = Level::ALL.iter().filter(|one| **one >= level).map(|one| format!("'{}'", one.word())).collect();
        narrowed.push_str(&format!(" AND d.level IN ({})", words.join(", ")));
    }
    if let Some(level) = wish.exactly {
        narrowed.push_str(&format!(" AND d.level = '{}'", level.word()));
    }
    if wish.open_only {
        narrowed.push_str(" AND d.acknowledged_at IS NULL");
    }
    let sql = format!(
        "SELECT {COLUMNS} {FROM} WHERE (d.first_at, d.detection_id) < ($1, $2) {narrowed} ORDER BY d.first_at DESC, d.detection_id DESC LIMIT $3"
    );
    reader.query(&sql, &[at.into(), (&id).into(), wish.count.into()], detection)
}

/// The same, the gravest first and of equals the newest; behind a row of this level, if one is given.
pub(crate) fn gravest(reader: &mut Reader<'_>, wish: &Wish, behind: Option<Level>) -> Result<Vec<Detection>, DbError> {
    let mut rows = Vec::new();
    for level in Level::ALL.into_iter().rev() {
        let left = wish.count.saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        let is_wanted = wish.level.is_none_or(|least| level >= least) && behind.is_none_or(|last| level <= last);
        if left == 0 || !is_wanted {
            continue;
        }
        let before = wish.before.clone().filter(|_| behind == Some(level));
        let of_level = Wish { level: None, exactly: Some(level), before, count: left, ..wish.clone() };
        rows.extend(page(reader, &of_level)?);
    }
    Ok(rows)
}

pub(crate) fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<Detection>, DbError> {
    reader.query_one(&format!("SELECT {COLUMNS} {FROM} WHERE d.detection_id = $1"), &[id.into()], detection)
}

/// Detections whose response is still to come, the oldest first.
pub(crate) fn due(reader: &mut Reader<'_>, count: i64) -> Result<Vec<Detection>, DbError> {
    let sql = format!("SELECT {COLUMNS} {FROM} WHERE d.response_state = $1 ORDER BY d.first_at, d.detection_id LIMIT $2");
    reader.query(&sql, &[RESPONSE_DUE.into(), count.into()], detection)
}

pub(crate) fn responded(writer: &mut Writer<'_>, id: &str, state: &str) -> Result<(), DbError> {
    writer.execute("UPDATE detection SET response_state = $1 WHERE detection_id = $2", &[state.into(), id.into()])?;
    Ok(())
}

/// Notes who is on it; gives the alert's id, none if somebody is already.
pub(crate) fn acknowledge(writer: &mut Writer<'_>, id: &str, at: Micros, by: &str) -> Result<Option<String>, DbError> {
    let sql =
        "UPDATE detection SET acknowledged_at = $1, acknowledged_by = $2 WHERE detection_id = $3 AND acknowledged_at IS NULL
               RETURNING alert_id";
    writer.query_one(sql, &[at.0.into(), by.into(), id.into()], |row| row.text(0))
}
