//! The SQL of where versions stand.

use artifacts::{Manifest, Place};
use data::{Decision, DecisionKind, Verdict, Which};
use gate::{DataState, Scope};
use kernel::{Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use super::opt_digest;
use crate::types::{Standing, Subject};

const COLUMNS: &str = "s.model_id, s.version, m.name, s.workspace, s.state, s.verdict, s.submitter, s.submitted_at, s.place, \
                       s.manifest_sha256, s.file_count, s.size_bytes, s.decided_how, s.decided_by, s.decided_at, s.decided_why, \
                       s.waiver_until, s.gate_revision, \
                       (SELECT p.name FROM principal AS p WHERE p.id = s.submitter)";
const JOINED: &str = "model_standing s JOIN registered_model m ON m.model_id = s.model_id
                      JOIN model_version v ON v.model_id = s.model_id AND v.version = s.version AND v.deleted = 0";

fn from_row(row: &Row<'_>) -> Result<Standing, DbError> {
    let decision = match (row.opt_text(12)?, row.opt_text(13)?, row.opt_int(14)?, row.opt_text(15)?) {
        (Some(how), Some(by), Some(at), Some(why)) => {
            Some(Decision { kind: DecisionKind::parse(&how).ok_or(DbError::Shape(12))?, by, at: Micros(at), why })
        }
        _ => None,
    };
    Ok(Standing {
        subject: Subject { model_id: row.text(0)?, number: row.int(1)? },
        name: row.text(2)?,
        workspace: row.text(3)?,
        state: DataState::parse(&row.text(4)?).ok_or(DbError::Shape(4))?,
        verdict: row.opt_text(5)?.as_deref().and_then(Verdict::parse),
        submitter: row.text(6)?,
        submitter_name: row.opt_text(18)?,
        submitted_at: Micros(row.int(7)?),
        place: row.opt_text(8)?.map(|text| Place::parse(&text).map_err(|_| DbError::Shape(8))).transpose()?,
        manifest_sha256: opt_digest(row, 9)?,
        file_count: row.int(10)?,
        size_bytes: row.int(11)?,
        decision,
        waiver_until: row.opt_int(16)?.map(Micros),
        gate_revision: row.opt_int(17)?,
    })
}

/// A version that was just registered.
pub(crate) struct New<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) workspace: &'a str,
    pub(crate) submitter: &'a str,
    pub(crate) at: Micros,
    /// Where its files are, as `mlflow-artifacts:/` writes it.
    pub(crate) place: Option<&'a str>,
}

pub(crate) fn insert(writer: &mut Writer<'_>, new: &New<'_>) -> Result<(), DbError> {
    writer.execute(
        "INSERT INTO model_standing (model_id, version, workspace, state, submitter, submitted_at, place, file_count, size_bytes)
         VALUES ($1, $2, $3, 'quarantined', $4, $5, $6, 0, 0)",
        &[
            (&new.subject.model_id).into(),
            new.subject.number.into(),
            new.workspace.into(),
            new.submitter.into(),
            new.at.0.into(),
            new.place.into(),
        ],
    )?;
    Ok(())
}

pub(crate) fn get(reader: &mut Reader<'_>, subject: &Subject) -> Result<Option<Standing>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM {JOINED} WHERE s.model_id = $1 AND s.version = $2");
    reader.query_one(&sql, &[(&subject.model_id).into(), subject.number.into()], from_row)
}

/// The version of a workspace that is called `NAME/3`, or has this id.
pub(crate) fn called(reader: &mut Reader<'_>, workspace: &str, name: &str) -> Result<Option<Standing>, DbError> {
    let Some((model, Ok(number))) = name.rsplit_once('/').map(|(model, number)| (model, number.parse::<i64>())) else {
        return Ok(None);
    };
    // A model that is named like the id of another one does not come in its place.
    let sql = format!(
        "SELECT {COLUMNS} FROM {JOINED} WHERE s.workspace = $1 AND s.version = $2 AND (s.model_id = $3 OR m.name = $3)
         ORDER BY CASE WHEN s.model_id = $3 THEN 0 ELSE 1 END LIMIT 1"
    );
    reader.query_one(&sql, &[workspace.into(), number.into(), model.into()], from_row)
}

/// Where the version's files are, as it was registered.
pub(crate) fn storage_location(reader: &mut Reader<'_>, subject: &Subject) -> Result<Option<String>, DbError> {
    let sql = "SELECT storage_location FROM model_version WHERE model_id = $1 AND version = $2";
    let binds: [Bind<'_>; 2] = [(&subject.model_id).into(), subject.number.into()];
    reader.query_one(sql, &binds, |row| row.text(0))
}

/// Where a page goes on.
#[derive(Clone, Debug)]
pub(crate) enum After {
    /// Behind this name and number, in a list by name and falling number.
    Name(String, i64),
    /// Behind the version that was registered then, or whose waiver ends then.
    Moment(i64, String, i64),
}

/// Which versions a page has.
pub(crate) struct Wanted<'a> {
    pub(crate) workspace: &'a str,
    /// What the caller may know of.
    pub(crate) scope: &'a Scope,
    /// Of this model alone.
    pub(crate) of: Option<&'a str>,
    /// Of models whose names have this part.
    pub(crate) part: Option<&'a str>,
    /// All stand by name and falling number; those of one state, the newest first; waivers, by their end.
    pub(crate) which: Which,
    pub(crate) after: Option<After>,
    pub(crate) rows: usize,
    pub(crate) now: Micros,
}

pub(crate) fn list(reader: &mut Reader<'_>, wanted: &Wanted<'_>) -> Result<Vec<Standing>, DbError> {
    let visible = |standing: &Standing| match wanted.scope {
        Scope::Workspace => true,
        Scope::Only { models, .. } => models.contains(&standing.subject.model_id),
        Scope::Nothing | Scope::Workspaces(_) | Scope::Datasets(_) => false,
    };
    let mut after = wanted.after.clone();
    let mut found = Vec::new();
    loop {
        let page = page(reader, wanted, after.as_ref())?;
        let is_last = page.len() < wanted.rows;
        after = page.last().map(|last| after_of(last, wanted.which));
        found.extend(page.into_iter().filter(visible));
        if is_last || found.len() >= wanted.rows {
            found.truncate(wanted.rows);
            return Ok(found);
        }
    }
}

/// Where the page behind a version goes on.
pub(crate) fn after_of(last: &Standing, which: Which) -> After {
    let (model_id, number) = (last.subject.model_id.clone(), last.subject.number);
    match which {
        Which::All => After::Name(last.name.clone(), number),
        Which::In(_) => After::Moment(last.submitted_at.0, model_id, number),
        Which::WaivedUntil(_) => After::Moment(last.waiver_until.map_or(0, |until| until.0), model_id, number),
    }
}

fn page(reader: &mut Reader<'_>, wanted: &Wanted<'_>, after: Option<&After>) -> Result<Vec<Standing>, DbError> {
    let limit = i64::try_from(wanted.rows).unwrap_or(i64::MAX);
    let moment = |first: i64| match after {
        Some(After::Moment(at, model_id, number)) => (*at, model_id.as_str(), *number),
        _ => (first, "", 0),
    };
    let mut binds: Vec<Bind<'_>> = vec![wanted.workspace.into(), wanted.of.unwrap_or_default().into(), limit.into()];
    let (condition, order) = match wanted.which {
        Which::All => {
            let (name, number) = match after {
                Some(After::Name(name, number)) => (name.as_str(), *number),
                _ => ("", i64::MAX),
            };
            binds.extend([Bind::from(name), number.into()]);
            ("m.workspace_id = $1 AND m.name >= $4 AND (m.name > $4 OR s.version < $5)", "m.name, s.version DESC")
        }
        Which::In(state) => {
            let (at, model_id, number) = moment(i64::MAX);
            binds.extend([Bind::from(state.word()), at.into(), model_id.into(), number.into()]);
            let behind = "s.state = $4 AND (s.submitted_at, s.model_id, s.version) < ($5, $6, $7)";
            (behind, "s.submitted_at DESC, s.model_id DESC, s.version DESC")
        }
        Which::WaivedUntil(end) => {
            let (at, model_id, number) = moment(wanted.now.0);
            binds.extend([Bind::from(end.0), at.into(), model_id.into(), number.into()]);
            let behind =
                "s.state = 'admitted' AND s.waiver_until < $4 AND (s.waiver_until, s.model_id, s.version) > ($5, $6, $7)";
            (behind, "s.waiver_until, s.model_id, s.version")
        }
    };
    let pattern = wanted.part.map(like);
    let mut narrowed = String::new();
    if let Some(pattern) = &pattern {
        binds.push(pattern.into());
        narrowed = format!(" AND LOWER(m.name) LIKE ${} ESCAPE '\\'", binds.len());
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM {JOINED} WHERE s.workspace = $1 AND ($2 = '' OR m.name = $2) AND {condition}{narrowed} ORDER BY {order} LIMIT $3"
    );
    reader.query(&sql, &binds, from_row)
}

/// The pattern of names that have a part.
fn like(part: &str) -> String {
    let mut pattern = String::from("%");
    for letter in part.to_ascii_lowercase().chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// Moves a version from one of `from` to `to`; gives whether it was in one of them.
pub(crate) fn set_state(writer: &mut Writer<'_>, subject: &Subject, from: DataState, to: DataState) -> Result<bool, DbError> {
    let changed = writer.execute(
        "UPDATE model_standing SET state = $1 WHERE model_id = $2 AND version = $3 AND state = $4",
        &[to.word().into(), (&subject.model_id).into(), subject.number.into(), from.word().into()],
    )?;
    Ok(changed == 1)
}

/// What an inspection learnt, and by which revision of the gate file it judged.
pub(crate) fn learn(
    writer: &mut Writer<'_>,
    subject: &Subject,
    verdict: Verdict,
    manifest: &Manifest,
    gate_revision: Option<i64>,
) -> Result<(), Problem> {
    let size_bytes = i64::try_from(manifest.size_bytes()).unwrap_or(i64::MAX);
    let file_count = i64::try_from(manifest.entries.len()).unwrap_or(i64::MAX);
    writer.execute(
        "UPDATE model_standing SET verdict = $1, manifest_sha256 = $2, file_count = $3, size_bytes = $4,
             gate_revision = $5 WHERE model_id = $6 AND version = $7",
        &[
            verdict.word().into(),
            Bind::Bytes(&manifest.digest),
            file_count.into(),
            size_bytes.into(),
            gate_revision.into(),
            (&subject.model_id).into(),
            subject.number.into(),
        ],
    )?;
    Ok(())
}

/// Writes a decision down, and shows it where MLflow's clients look: in the version's status.
pub(crate) fn decide(
    writer: &mut Writer<'_>,
    subject: &Subject,
    to: DataState,
    decision: &Decision,
    until: Option<Micros>,
) -> Result<(), DbError> {
    writer.execute(
        "UPDATE model_standing SET state = $1, decided_how = $2, decided_by = $3, decided_at = $4, decided_why = $5,
             waiver_until = $6 WHERE model_id = $7 AND version = $8",
        &[
            to.word().into(),
            decision.kind.word().into(),
            (&decision.by).into(),
            decision.at.0.into(),
            (&decision.why).into(),
            until.map(|until| until.0).into(),
            (&subject.model_id).into(),
            subject.number.into(),
        ],
    )?;
    let status = if to == DataState::Refused { "FAILED_REGISTRATION" } else { "READY" };
    // Nobody rewrites this when a waiver ends, so it says until when it holds.
    let until = until.map(|until| format!(" until {}", until.rfc3339_seconds())).unwrap_or_default();
    let message = format!("{}{until}: {}", to.word(), decision.why);
    writer.execute(
        "UPDATE model_version SET status = $1, status_message = $2 WHERE model_id = $3 AND version = $4",
        &[status.into(), (&message).into(), (&subject.model_id).into(), subject.number.into()],
    )?;
    Ok(())
}

/// The version that a candidate is compared with: the one that the alias `champion` points at, if it is an earlier one, else the
/// newest admitted one before it. A version that is inspected again is not held to what came after it: it may be gone back to.
pub(crate) fn champion(reader: &mut Reader<'_>, subject: &Subject, now: Micros) -> Result<Option<Standing>, DbError> {
    if let Some(number) = aliased(reader, &subject.model_id)?.filter(|number| *number < subject.number) {
        return get(reader, &Subject { model_id: subject.model_id.clone(), number });
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM {JOINED} WHERE s.model_id = $1 AND s.version < $2 AND s.state = 'admitted'
             AND s.place IS NOT NULL AND (s.waiver_until IS NULL OR s.waiver_until > $3)
         ORDER BY s.version DESC LIMIT 1"
    );
    reader.query_one(&sql, &[(&subject.model_id).into(), subject.number.into(), now.0.into()], from_row)
}

/// The version that the alias `champion` points at.
pub(crate) fn aliased(reader: &mut Reader<'_>, model_id: &str) -> Result<Option<i64>, DbError> {
    let sql = "SELECT version FROM registered_model_alias WHERE model_id = $1 AND alias = 'champion'";
    reader.query_one(sql, &[model_id.into()], |row| row.int(0))
}

/// Why a person refused the same files, if that was the last word on them: those of another version of the model, or of what was
/// registered from the same place. Versions that were deleted since count.
pub(crate) fn refused_before(reader: &mut Reader<'_>, subject: &Subject) -> Result<Option<String>, DbError> {
    let sql = "SELECT s.state, s.decided_why FROM model_standing own
                   JOIN model_standing s ON s.workspace = own.workspace AND s.manifest_sha256 = own.manifest_sha256
                       AND (s.model_id = own.model_id OR s.place = own.place)
               WHERE own.model_id = $1 AND own.version = $2 AND s.decided_how <> 'inspection'
                   AND NOT (s.model_id = own.model_id AND s.version = own.version)
               ORDER BY s.decided_at DESC LIMIT 1";
    let binds: [Bind<'_>; 2] = [(&subject.model_id).into(), subject.number.into()];
    let last = reader.query_one(sql, &binds, |row| Ok((row.text(0)?, row.opt_text(1)?.unwrap_or_default())))?;
    Ok(last.filter(|(state, _)| state == DataState::Refused.word()).map(|(_, why)| why))
}

/// Whether the version carries an alias or an active stage.
pub(crate) fn is_labelled(reader: &mut Reader<'_>, subject: &Subject) -> Result<bool, DbError> {
    let sql = "SELECT version FROM registered_model_alias WHERE model_id = $1 AND version = $2
               UNION ALL
               SELECT version FROM model_version WHERE model_id = $1 AND version = $2 AND stage IN ('Staging', 'Production')";
    let found = reader.query_one(sql, &[(&subject.model_id).into(), subject.number.into()], |row| row.int(0))?;
    Ok(found.is_some())
}
