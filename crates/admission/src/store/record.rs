//! The SQL of what papers say of a version beyond where it stands: the rows of other rooms, read and never written.

use attest::record::{ApprovalFacts, CodeFacts, DataFacts, DataRole, MetricFacts, ModelRecord, Origin, RunFacts};
use kernel::hex;
use lineage::{NodeKind, Trust};
use vault::db::{DbError, Reader};

use crate::types::Standing;

/// Params and metrics of a run that papers name.
const RUN_ROWS_MAX: i64 = 1_000;

/// Fills in what the database knows.
pub(crate) fn fill(
    reader: &mut Reader<'_>,
    standing: &Standing,
    origin: &lineage::Origin,
    record: &mut ModelRecord,
) -> Result<(), DbError> {
    version(reader, standing, record)?;
    if let Some((run_id, trust)) = &origin.run {
        run(reader, run_id, *trust, record)?;
    }
    for used in &origin.uses {
        match used.kind {
            NodeKind::Code => code(record, &used.name, used.trust),
            NodeKind::DataVersion => data_version(reader, standing, used, record)?,
            NodeKind::Dataset => record.data.push(DataFacts {
                name: used.name.clone(),
                role: role(&used.detail),
                origin: told(used.trust),
                ..DataFacts::default()
            }),
            _ => {}
        }
    }
    Ok(())
}

const fn told(trust: Trust) -> Origin {
    match trust {
        Trust::Executed | Trust::Observed => Origin::Observed,
        Trust::Claimed => Origin::Claimed,
    }
}

fn role(context: &str) -> DataRole {
    let context = context.to_lowercase();
    if context.starts_with("train") {
        DataRole::Training
    } else if context.starts_with("valid") {
        DataRole::Validation
    } else if context.starts_with("test") || context.starts_with("eval") {
        DataRole::Test
    } else {
        DataRole::Unknown
    }
}

fn version(reader: &mut Reader<'_>, standing: &Standing, record: &mut ModelRecord) -> Result<(), DbError> {
    let (model_id, number) = (&standing.subject.model_id, standing.subject.number);
    record.model.name.clone_from(&standing.name);
    record.model.version = number.to_string();
    record.model.state = standing.state.word().to_owned();
    record.model.created_at = standing.submitted_at.0;
    record.model.created_by = Some(standing.submitter.clone());
    let sql = "SELECT v.description, w.name FROM model_version v JOIN registered_model m ON m.model_id = v.model_id
               JOIN workspace w ON w.id = m.workspace_id WHERE v.model_id = $1 AND v.version = $2";
    let row = reader.query_one(sql, &[model_id.into(), number.into()], |row| Ok((row.opt_text(0)?, row.text(1)?)))?;
    if let Some((description, workspace)) = row {
        record.model.description = description;
        record.model.workspace = workspace;
    }
    let sql = "SELECT alias FROM registered_model_alias WHERE model_id = $1 AND version = $2 ORDER BY alias";
    record.model.aliases = reader.query(sql, &[model_id.into(), number.into()], |row| row.text(0))?;
    if let Some(decision) = &standing.decision {
        record.approvals.push(ApprovalFacts {
            person: decision.by.clone(),
            act: format!("{} ({})", standing.state.word(), decision.kind.word()),
            reason: Some(decision.why.clone()),
            at: decision.at.0,
            expires_at: standing.waiver_until.map(|until| until.0),
        });
    }
    Ok(())
}

fn run(reader: &mut Reader<'_>, run_id: &str, trust: Trust, record: &mut ModelRecord) -> Result<(), DbError> {
    let sql = "SELECT r.run_row, e.name, r.owner, r.start_time_ms, r.end_time_ms FROM run r
               JOIN experiment e ON e.experiment_id = r.experiment_id WHERE r.run_id = $1";
    let found = reader
        .query_one(sql, &[run_id.into()], |row| Ok((row.int(0)?, row.text(1)?, row.text(2)?, row.int(3)?, row.opt_int(4)?)))?;
    let Some((row, experiment, owner, started_ms, ended_ms)) = found else { return Ok(()) };
    record.run = Some(RunFacts {
        id: run_id.to_owned(),
        experiment,
        user: Some(owner),
        started_at: Some(started_ms.saturating_mul(1_000)),
        ended_at: ended_ms.map(|ms| ms.saturating_mul(1_000)),
        // That the run is the version's was observed; that this server executed it is another matter.
        origin: if trust == Trust::Executed { Origin::Observed } else { Origin::Claimed },
    });
    let sql = "SELECT key, value FROM param WHERE run_row = $1 ORDER BY key LIMIT $2";
    record.params =
        reader.query(sql, &[row.into(), RUN_ROWS_MAX.into()], |row| Ok((row.text(0)?, row.text(1)?)))?.into_iter().collect();
    let sql = "SELECT key, value, is_nan FROM latest_metric WHERE run_row = $1 ORDER BY key LIMIT $2";
    record.metrics = reader.query(sql, &[row.into(), RUN_ROWS_MAX.into()], |row| {
        let value = if row.flag(2)? { f64::NAN } else { row.real(1)? };
        Ok(MetricFacts { name: row.text(0)?, value, origin: Origin::Claimed, ..MetricFacts::default() })
    })?;
    Ok(())
}

/// `git:…`, `entry:…` and `sha256:…`, as lineage names code.
fn code(record: &mut ModelRecord, name: &str, trust: Trust) {
    let code = record.code.get_or_insert_with(CodeFacts::default);
    code.origin = told(trust);
    match name.split_once(':') {
        Some(("git", commit)) => code.commit = Some(commit.to_owned()),
        Some(("entry", file)) => code.entry_point = Some(file.to_owned()),
        Some(("sha256", digest)) => code.sha256 = Some(digest.to_owned()),
        _ => {}
    }
}

fn data_version(
    reader: &mut Reader<'_>,
    standing: &Standing,
    used: &lineage::Used,
    record: &mut ModelRecord,
) -> Result<(), DbError> {
    let Some((name, number)) = used.name.rsplit_once('/') else { return Ok(()) };
    let mut facts = DataFacts {
        name: name.to_owned(),
        version: number.to_owned(),
        role: role(&used.detail),
        origin: told(used.trust),
        ..DataFacts::default()
    };
    let sql = "SELECT v.manifest_sha256, v.row_count, v.source_uri, v.licence, v.state, v.is_personal, v.is_special, v.is_health,
                   v.is_financial FROM data_version v JOIN data_set d ON d.dataset_id = v.dataset_id
               WHERE d.workspace = $1 AND d.name = $2 AND v.number = $3";
    let number: i64 = number.parse().unwrap_or_default();
    let found = reader.query_one(sql, &[(&standing.workspace).into(), name.into(), number.into()], |row| {
        let classes = ["personal", "special category", "health", "financial"];
        let mut held = Vec::new();
        for (at, class) in (5..).zip(classes) {
            if row.flag(at)? {
                held.push(class.to_owned());
            }
        }
        Ok((row.opt_bytes(0)?, row.opt_int(1)?, row.opt_text(2)?, row.opt_text(3)?, row.text(4)?, held))
    })?;
    if let Some((digest, rows, source, licence, state, classes)) = found {
        facts.sha256 = digest.map(|digest| hex(&digest));
        facts.row_count = rows.and_then(|rows| u64::try_from(rows).ok());
        facts.source = source;
        facts.licence = licence;
        facts.admission = Some(state);
        facts.personal_data = Some(classes);
    }
    record.data.push(facts);
    Ok(())
}
