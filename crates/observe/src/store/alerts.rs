//! Alerts and their remedies.

use kernel::{Cursor, Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use crate::event::{BREAK_GLASS, DETECTION, GOVERNANCE_BYPASS};
use crate::types::{Act, Alert, AlertState, Detail, Remedy, Severity};

const COLUMNS: &str = "alert_id, workspace, endpoint_id, model_id, kind, severity, state, headline, began_at, opened_at, seen_at, \
                       crosses_at, certainty, detail, acknowledged_at, acknowledged_by, resolved_at, resolved_by";

fn alert_from(row: &Row<'_>) -> Result<Alert, DbError> {
    let both = |at: Option<i64>, by: Option<String>| at.map(Micros).zip(by);
    Ok(Alert {
        id: row.text(0)?,
        workspace: row.text(1)?,
        endpoint: row.opt_text(2)?,
        model: row.opt_text(3)?,
        kind: row.text(4)?,
        severity: Severity::parse(&row.text(5)?).ok_or(DbError::Shape(5))?,
        state: AlertState::parse(&row.text(6)?).map_err(|_| DbError::Shape(6))?,
        headline: row.text(7)?,
        began_at: Micros(row.int(8)?),
        opened_at: Micros(row.int(9)?),
        seen_at: Micros(row.int(10)?),
        crosses_at: row.opt_int(11)?.map(Micros),
        certainty: row.opt_real(12)?,
        detail: serde_json::from_str(&row.text(13)?).map_err(|_| DbError::Shape(13))?,
        acknowledged: both(row.opt_int(14)?, row.opt_text(15)?),
        resolved: both(row.opt_int(16)?, row.opt_text(17)?),
    })
}

/// An alert as it is found.
pub(crate) struct Raised<'a> {
    pub(crate) fingerprint: &'a str,
    pub(crate) alert: &'a Alert,
    pub(crate) remedies: &'a [(String, String, Act)],
}

/// Opens an alert, or notes that it is still there; gives its id if it is new.
pub(crate) fn raise(writer: &mut Writer<'_>, raised: &Raised<'_>) -> Result<Option<String>, Problem> {
    let alert = raised.alert;
    let still = writer.execute(
        "UPDATE observe_alert SET seen_at = $1, severity = $2, headline = $3, crosses_at = $4, certainty = $5 WHERE open_key = $6",
        &[
            alert.seen_at.0.into(),
            alert.severity.word().into(),
            (&alert.headline).into(),
            alert.crosses_at.map(|at| at.0).into(),
            alert.certainty.into(),
            raised.fingerprint.into(),
        ],
    )?;
    if still > 0 {
        return Ok(None);
    }
    insert(writer, raised.fingerprint, alert)?;
    for (place, (words, command, act)) in raised.remedies.iter().enumerate() {
        let act = serde_json::to_string(act).map_err(|error| Problem::internal("a remedy cannot be written down", error))?;
        writer.execute(
            "INSERT INTO observe_remedy (remedy_id, alert_id, place, words, command, act) VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                (&kernel::random_id()).into(),
                (&alert.id).into(),
                i64::try_from(place).unwrap_or(i64::MAX).into(),
                words.into(),
                command.into(),
                (&act).into(),
            ],
        )?;
    }
    Ok(Some(alert.id.clone()))
}

fn insert(writer: &mut Writer<'_>, fingerprint: &str, alert: &Alert) -> Result<(), Problem> {
    let detail =
        serde_json::to_string(&alert.detail).map_err(|error| Problem::internal("an alert cannot be written down", error))?;
    writer.execute(
        "INSERT INTO observe_alert (alert_id, workspace, endpoint_id, model_id, open_key, kind, severity, state, headline, began_at,
             opened_at, seen_at, crosses_at, certainty, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8, $9, $10, $10, $11, $12, $13)",
        &[
            (&alert.id).into(),
            (&alert.workspace).into(),
            (&alert.endpoint).into(),
            (&alert.model).into(),
            fingerprint.into(),
            (&alert.kind).into(),
            alert.severity.word().into(),
            (&alert.headline).into(),
            alert.began_at.0.into(),
            alert.opened_at.0.into(),
            alert.crosses_at.map(|at| at.0).into(),
            alert.certainty.into(),
            (&detail).into(),
        ],
    )?;
    Ok(())
}

/// Closes what was found here and is not there any more; gives the ids.
pub(crate) fn resolve_gone(writer: &mut Writer<'_>, seen_before: Micros, at: Micros, by: &str) -> Result<Vec<String>, DbError> {
    // What was told by others is closed by them, and what happened by a person.
    let sql =
        "SELECT alert_id FROM observe_alert WHERE state <> 'resolved' AND kind NOT IN ('external', $2, $3, $4) AND seen_at < $1";
    let binds = [seen_before.0.into(), GOVERNANCE_BYPASS.into(), DETECTION.into(), BREAK_GLASS.into()];
    let gone = writer.query(sql, &binds, |row| row.text(0))?;
    for id in &gone {
        resolve(writer, id, at, by)?;
    }
    Ok(gone)
}

/// Closes an alert; false if it was closed already.
pub(crate) fn resolve(writer: &mut Writer<'_>, id: &str, at: Micros, by: &str) -> Result<bool, DbError> {
    let sql = "UPDATE observe_alert SET state = 'resolved', open_key = alert_id, resolved_at = $1, resolved_by = $2
               WHERE alert_id = $3 AND state <> 'resolved'";
    Ok(writer.execute(sql, &[at.0.into(), by.into(), id.into()])? == 1)
}

/// Notes who is on it; false if it is not open.
pub(crate) fn acknowledge(writer: &mut Writer<'_>, id: &str, at: Micros, by: &str) -> Result<bool, DbError> {
    let sql = "UPDATE observe_alert SET state = 'acknowledged', acknowledged_at = $1, acknowledged_by = $2
               WHERE alert_id = $3 AND state = 'open'";
    Ok(writer.execute(sql, &[at.0.into(), by.into(), id.into()])? == 1)
}

/// The id of the alert that is open for a fingerprint.
pub(crate) fn open_of(reader: &mut Reader<'_>, fingerprint: &str) -> Result<Option<String>, DbError> {
    let sql = "SELECT alert_id FROM observe_alert WHERE open_key = $1 AND state <> 'resolved'";
    reader.query_one(sql, &[fingerprint.into()], |row| row.text(0))
}

/// An alert of a workspace, or of the server.
pub(crate) fn get(reader: &mut Reader<'_>, workspace: &str, id: &str) -> Result<Option<Alert>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM observe_alert WHERE alert_id = $1 AND workspace IN ($2, '')");
    reader.query_one(&sql, &[id.into(), workspace.into()], alert_from)
}

/// As [`get`], whatever the workspace: for the job that sends news.
pub(crate) fn any(reader: &mut Reader<'_>, id: &str) -> Result<Option<Alert>, DbError> {
    reader.query_one(&format!("SELECT {COLUMNS} FROM observe_alert WHERE alert_id = $1"), &[id.into()], alert_from)
}

/// What is wished of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) state: Option<AlertState>,
    pub(crate) severity: Option<Severity>,
    /// Only of this endpoint, by its id.
    pub(crate) endpoint: Option<String>,
    /// Only of these models.
    pub(crate) models: Option<Vec<String>>,
    /// Older than this.
    pub(crate) before: Option<Cursor>,
    pub(crate) count: i64,
}

/// Alerts of a workspace and of the server, the newest first. Whoever may see some models only sees nothing of the server's.
pub(crate) fn page(reader: &mut Reader<'_>, workspace: &str, wish: &Wish) -> Result<Vec<Alert>, DbError> {
    let (at, id) = wish.before.as_ref().map_or((i64::MAX, ""), |before| (before.at.0, &before.id));
    let mut binds: Vec<Bind<'_>> = vec![workspace.into(), at.into(), id.into(), wish.count.into()];
    let mut narrowed = String::new();
    let state = wish.state.map(AlertState::word);
    let equal = [("state", state), ("severity", wish.severity.map(Severity::word)), ("endpoint_id", wish.endpoint.as_deref())];
    for (column, value) in equal {
        let Some(value) = value else { continue };
        binds.push(value.into());
        narrowed.push_str(&format!(" AND {column} = ${}", binds.len()));
    }
    if let Some(models) = &wish.models {
        let mut places = Vec::new();
        for model in models {
            binds.push(model.into());
            places.push(format!("${}", binds.len()));
        }
        narrowed.push_str(&format!(" AND model_id IN ({})", places.join(", ")));
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM observe_alert WHERE workspace IN ($1, '') AND (opened_at, alert_id) < ($2, $3) {narrowed}
         ORDER BY opened_at DESC, alert_id DESC LIMIT $4"
    );
    reader.query(&sql, &binds, alert_from)
}

/// The same, the gravest first and of equals the newest; behind a row of this severity, if one is given.
pub(crate) fn gravest(
    reader: &mut Reader<'_>,
    workspace: &str,
    wish: &Wish,
    behind: Option<&(Severity, Cursor)>,
) -> Result<Vec<Alert>, DbError> {
    let mut rows = Vec::new();
    for severity in Severity::GRAVEST_FIRST {
        let left = wish.count.saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        if left == 0 || behind.is_some_and(|(last, _)| severity > *last) {
            continue;
        }
        let before = behind.filter(|(last, _)| *last == severity).map(|(_, cursor)| cursor.clone());
        let of_severity = Wish { severity: Some(severity), before, count: left, ..wish.clone() };
        rows.extend(page(reader, workspace, &of_severity)?);
    }
    Ok(rows)
}

/// Open alerts by kind and severity.
pub(crate) fn open_counts(reader: &mut Reader<'_>) -> Result<Vec<(String, String, i64)>, DbError> {
    let sql = "SELECT kind, severity, COUNT(*) FROM observe_alert WHERE state <> 'resolved' GROUP BY kind, severity ORDER BY kind, severity";
    reader.query(sql, &[], |row| Ok((row.text(0)?, row.text(1)?, row.int(2)?)))
}

/// What is open: endpoint, severity, headline. The server's own have no endpoint. What was found in the log about people is not told here.
pub(crate) fn open_reasons(reader: &mut Reader<'_>) -> Result<Vec<(Option<String>, Severity, String)>, DbError> {
    let sql = "SELECT endpoint_id, severity, headline FROM observe_alert WHERE state <> 'resolved' AND kind <> $1 ORDER BY opened_at LIMIT 1000";
    reader.query(sql, &[DETECTION.into()], |row| {
        Ok((row.opt_text(0)?, Severity::parse(&row.text(1)?).ok_or(DbError::Shape(1))?, row.text(2)?))
    })
}

const REMEDY_COLUMNS: &str = "remedy_id, alert_id, words, command, act, run_at, run_by, result";

fn remedy_from(row: &Row<'_>) -> Result<Remedy, DbError> {
    let run = row.opt_int(5)?.map(Micros).zip(row.opt_text(6)?);
    let result = row.opt_text(7)?.unwrap_or_default();
    Ok(Remedy {
        id: row.text(0)?,
        alert: row.text(1)?,
        words: row.text(2)?,
        command: row.text(3)?,
        act: serde_json::from_str(&row.text(4)?).map_err(|_| DbError::Shape(4))?,
        run: run.map(|(at, by)| (at, by, result)),
    })
}

pub(crate) fn remedies(reader: &mut Reader<'_>, alert: &str) -> Result<Vec<Remedy>, DbError> {
    let sql = format!("SELECT {REMEDY_COLUMNS} FROM observe_remedy WHERE alert_id = $1 ORDER BY place");
    reader.query(&sql, &[alert.into()], remedy_from)
}

pub(crate) fn remedy(reader: &mut Reader<'_>, id: &str) -> Result<Option<Remedy>, DbError> {
    reader.query_one(&format!("SELECT {REMEDY_COLUMNS} FROM observe_remedy WHERE remedy_id = $1"), &[id.into()], remedy_from)
}

pub(crate) fn remedy_done(writer: &mut Writer<'_>, id: &str, at: Micros, by: &str, result: &str) -> Result<(), DbError> {
    let sql = "UPDATE observe_remedy SET run_at = $1, run_by = $2, result = $3 WHERE remedy_id = $4";
    writer.execute(sql, &[at.0.into(), by.into(), result.into(), id.into()])?;
    Ok(())
}

/// The empty detail of an alert from elsewhere.
pub(crate) fn detail_of(subject: &str) -> Detail {
    Detail { subject: subject.to_owned(), ..Detail::default() }
}
