//! The SQL of jobs.

use gate::Scope;
use kernel::{Cursor, Kind, Micros, Problem, random_id, sha256};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use crate::limits::{OPEN_JOB_COUNT_MAX, WAIT_DAYS_MAX};
use crate::types::{Executor, Job, JobState, Spec};

const COLUMNS: &str = "j.job_id, j.workspace, j.model_id, j.spec, j.spec_sha256, j.request_id, j.state, j.asked_at, j.asked_by, \
                       j.asked_with, j.started_at, j.ended_at, j.stage, j.run_id, j.token_id, j.exit_code, j.fault, j.made_version, \
                       j.confinement";

fn job_from(row: &Row<'_>) -> Result<Job, DbError> {
    Ok(Job {
        id: row.text(0)?,
        workspace: row.text(1)?,
        model_id: row.text(2)?,
        spec: Spec::parse(&row.text(3)?).map_err(|_| DbError::Shape(3))?,
        spec_sha256: row.bytes(4)?.try_into().map_err(|_| DbError::Shape(4))?,
        request: row.opt_text(5)?,
        state: JobState::parse(&row.text(6)?).ok_or(DbError::Shape(6))?,
        asked_at: Micros(row.int(7)?),
        asked_by: row.text(8)?,
        asked_with: row.opt_text(9)?,
        started_at: row.opt_int(10)?.map(Micros),
        ended_at: row.opt_int(11)?.map(Micros),
        stage: row.text(12)?,
        run_id: row.opt_text(13)?,
        token_id: row.opt_text(14)?,
        exit_code: row.opt_int(15)?,
        fault: row.opt_text(16)?,
        made_version: row.opt_int(17)?,
        confinement: row.opt_text(18)?,
    })
}

/// A new job.
pub(crate) struct NewJob<'a> {
    pub(crate) workspace: &'a str,
    pub(crate) model_id: &'a str,
    pub(crate) spec: &'a Spec,
    pub(crate) request: Option<&'a str>,
    pub(crate) asked_by: &'a str,
    pub(crate) asked_with: Option<&'a str>,
    pub(crate) at: Micros,
}

/// Queues a job.
pub(crate) fn insert(writer: &mut Writer<'_>, new: &NewJob<'_>) -> Result<Job, Problem> {
    let sql = "SELECT COUNT(*) FROM retrain_job WHERE workspace = $1 AND state IN ('queued', 'running')";
    if writer.query_one(sql, &[new.workspace.into()], |row| row.int(0))?.unwrap_or_default() >= OPEN_JOB_COUNT_MAX {
        let message = format!("{OPEN_JOB_COUNT_MAX} jobs of this workspace wait or run already; wait, or cancel some");
        return Err(Problem::new(Kind::TooMany, message));
    }
    let (id, bytes) = (random_id(), new.spec.to_bytes()?);
    let text = String::from_utf8(bytes).map_err(|error| Problem::internal("the specification is no text", error))?;
    let digest = sha256(text.as_bytes());
    writer.execute(
        "INSERT INTO retrain_job (job_id, workspace, model_id, version, data_id, executor, spec, spec_sha256, request_id, state,
             asked_at, asked_by, asked_with, stage, cancelled, log)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', $10, $11, $12, 'waits', 0, '')",
        &[
            (&id).into(),
            new.workspace.into(),
            new.model_id.into(),
            new.spec.version.into(),
            (&new.spec.data.version_id).into(),
            new.spec.executor.word().into(),
            (&text).into(),
            Bind::Bytes(&digest),
            new.request.into(),
            new.at.0.into(),
            new.asked_by.into(),
            new.asked_with.into(),
        ],
    )?;
    get(writer, &id)?.ok_or_else(|| Problem::internal("a new job could not be read back", "the row is not there"))
}

pub(crate) fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<Job>, DbError> {
    if id.contains('\0') {
        return Ok(None);
    }
    reader.query_one(&format!("SELECT {COLUMNS} FROM retrain_job j WHERE j.job_id = $1"), &[id.into()], job_from)
}

pub(crate) fn log(reader: &mut Reader<'_>, id: &str) -> Result<Option<String>, DbError> {
    reader.query_one("SELECT log FROM retrain_job WHERE job_id = $1", &[id.into()], |row| row.text(0))
}

/// Jobs of a workspace, the newest first, that `scope` lets see, below the job `after`.
pub(crate) fn list(
    reader: &mut Reader<'_>,
    workspace: &str,
    scope: &Scope,
    after: Option<&Cursor>,
    count: usize,
) -> Result<Vec<Job>, DbError> {
    let (at, id) = after.map_or((i64::MAX, ""), |after| (after.at.0, &after.id));
    let limit = i64::try_from(count).unwrap_or(i64::MAX);
    let mut binds: Vec<Bind<'_>> = vec![workspace.into(), at.into(), id.into(), limit.into()];
    let narrowed = match scope {
        Scope::Workspace => String::new(),
        Scope::Only { models, .. } if !models.is_empty() => {
            let mut places = Vec::with_capacity(models.len());
            for model in models {
                binds.push(model.into());
                places.push(format!("${}", binds.len()));
            }
            format!("AND j.model_id IN ({})", places.join(", "))
        }
        _ => return Ok(Vec::new()),
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM retrain_job j WHERE j.workspace = $1 AND (j.asked_at, j.job_id) < ($2, $3) {narrowed}
         ORDER BY j.asked_at DESC, j.job_id DESC LIMIT $4"
    );
    reader.query(&sql, &binds, job_from)
}

/// What there is to do with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Its data is admitted: it can begin.
    Ready,
    /// Its data was refused.
    Refused,
    /// It waited too long.
    Overdue,
    /// A process that is gone had begun it.
    LeftBehind,
}

/// The next job of an executor that something is to be done with.
pub(crate) fn next(
    reader: &mut Reader<'_>,
    executor: Executor,
    runner: &str,
    now: Micros,
) -> Result<Option<(Job, Due)>, DbError> {
    let left = format!(
        "SELECT {COLUMNS} FROM retrain_job j WHERE j.state = 'running' AND j.executor = $1 AND (j.runner IS NULL OR j.runner <> $2)
         ORDER BY j.asked_at, j.job_id LIMIT 1"
    );
    if let Some(job) = reader.query_one(&left, &[executor.word().into(), runner.into()], job_from)? {
        return Ok(Some((job, Due::LeftBehind)));
    }
    let due = format!(
        "SELECT {COLUMNS}, d.state FROM retrain_job j LEFT JOIN data_version d ON d.version_id = j.data_id
         WHERE j.state = 'queued' AND j.executor = $1
             AND (d.state IS NULL OR d.state IN ('admitted', 'refused') OR j.asked_at < $2)
         ORDER BY j.asked_at, j.job_id LIMIT 1"
    );
    let overdue = now.plus_secs(-WAIT_DAYS_MAX * 86_400).0;
    let found = reader.query_one(&due, &[executor.word().into(), overdue.into()], |row| {
        let due = match row.opt_text(19)?.as_deref() {
            Some("admitted") => Due::Ready,
            Some("refused") | None => Due::Refused,
            Some(_) => Due::Overdue,
        };
        Ok((job_from(row)?, due))
    })?;
    Ok(found)
}

/// `runner` begins a job that waits; gives whether it still did.
pub(crate) fn begin(writer: &mut Writer<'_>, id: &str, runner: &str, at: Micros) -> Result<bool, DbError> {
    let changed = writer.execute(
        "UPDATE retrain_job SET state = 'running', runner = $1, started_at = $2, stage = 'begins' WHERE job_id = $3 AND state = 'queued'",
        &[runner.into(), at.0.into(), id.into()],
    )?;
    Ok(changed == 1)
}

/// Keeps what belongs to a running job, so that it can be taken back whatever becomes of the process.
pub(crate) fn attach(writer: &mut Writer<'_>, id: &str, token: Option<&str>, run: Option<&str>) -> Result<(), DbError> {
    writer.execute(
        "UPDATE retrain_job SET token_id = COALESCE($1, token_id), run_id = COALESCE($2, run_id) WHERE job_id = $3",
        &[token.into(), run.into(), id.into()],
    )?;
    Ok(())
}

/// Notes how far a running job is; gives whether somebody wants it to stop.
pub(crate) fn progress(writer: &mut Writer<'_>, id: &str, stage: &str, log: &str) -> Result<bool, DbError> {
    let sql = "UPDATE retrain_job SET stage = $1, log = $2 WHERE job_id = $3 AND state = 'running' RETURNING cancelled";
    Ok(writer.query_one(sql, &[stage.into(), log.into(), id.into()], |row| row.flag(0))?.unwrap_or(true))
}

/// Cancels a job: one that waits has ended, one that runs is asked to. Gives its state now; none if it was over.
pub(crate) fn cancel(writer: &mut Writer<'_>, id: &str, at: Micros) -> Result<Option<JobState>, DbError> {
    let waited = writer.execute(
        "UPDATE retrain_job SET state = 'cancelled', cancelled = 1, ended_at = $1, stage = 'done', fault = 'it was cancelled'
         WHERE job_id = $2 AND state = 'queued'",
        &[at.0.into(), id.into()],
    )?;
    if waited == 1 {
        return Ok(Some(JobState::Cancelled));
    }
    let running = writer.execute("UPDATE retrain_job SET cancelled = 1 WHERE job_id = $1 AND state = 'running'", &[id.into()])?;
    Ok((running == 1).then_some(JobState::Running))
}

/// How a job ended.
pub(crate) struct End<'a> {
    pub(crate) state: JobState,
    pub(crate) exit_code: Option<i64>,
    pub(crate) fault: Option<&'a str>,
    pub(crate) made_version: Option<i64>,
    pub(crate) confinement: Option<&'a str>,
    /// The log; none where it stays as it is.
    pub(crate) log: Option<&'a str>,
}

/// A job ends; gives whether it had not yet.
pub(crate) fn end(writer: &mut Writer<'_>, id: &str, end: &End<'_>, at: Micros) -> Result<bool, DbError> {
    let changed = writer.execute(
        "UPDATE retrain_job SET state = $1, exit_code = $2, fault = $3, made_version = $4, confinement = $5, log = COALESCE($6, log),
             ended_at = $7, stage = 'done' WHERE job_id = $8 AND state IN ('queued', 'running')",
        &[
            end.state.word().into(),
            end.exit_code.into(),
            end.fault.into(),
            end.made_version.into(),
            end.confinement.into(),
            end.log.into(),
            at.0.into(),
            id.into(),
        ],
    )?;
    Ok(changed == 1)
}

/// The names of a job's workspace and model; none if either is gone.
pub(crate) fn place(reader: &mut Reader<'_>, model_id: &str) -> Result<Option<(String, String)>, DbError> {
    let sql = "SELECT w.name, m.name FROM registered_model m JOIN workspace w ON w.id = m.workspace_id WHERE m.model_id = $1";
    reader.query_one(sql, &[model_id.into()], |row| Ok((row.text(0)?, row.text(1)?)))
}
