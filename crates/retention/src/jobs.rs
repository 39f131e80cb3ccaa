//! What comes of a job of the server's: its program alone writes it, while the job runs, and nobody does later. Else it would not be what the
//! server had made.
//!
//! INVARIANT: no file and no logged model of a job's run is anybody else's work. Held by `tests/clients/test_retrain.py` and in the room that
//! runs jobs.

use kernel::Problem;
use vault::db::Reader;

/// Whether whoever acts with `token` may put files and logged models into a run: into that of a job only with the job's own token.
///
/// # Errors
/// `Forbidden`, with what to do, for everybody else.
pub fn guard_run(reader: &mut Reader<'_>, run_id: &str, token: Option<&str>) -> Result<(), Problem> {
    let sql = "SELECT token_id FROM retrain_job WHERE run_id = $1";
    judge(reader.query_one(sql, &[run_id.into()], |row| row.opt_text(0))?, token)
}

/// The same of the files of a logged model: of one that a job's run made.
///
/// # Errors
/// As those of [`guard_run`].
pub fn guard_logged_model(reader: &mut Reader<'_>, model_id: &str, token: Option<&str>) -> Result<(), Problem> {
    let sql = "SELECT j.token_id FROM logged_model m JOIN retrain_job j ON j.run_id = m.source_run_id WHERE m.model_id = $1";
    judge(reader.query_one(sql, &[model_id.into()], |row| row.opt_text(0))?, token)
}

/// `job` is the token of the job, if there is a job.
fn judge(job: Option<Option<String>>, token: Option<&str>) -> Result<(), Problem> {
    match job {
        None => Ok(()),
        Some(Some(own)) if token == Some(own.as_str()) => Ok(()),
        Some(_) => Err(Problem::forbidden(
            "the server had this run done as a job, and what comes of it only the job's program writes; log into a run of your own",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_jobs_own_token_writes() {
        let job = || Some(Some("tok_job".to_owned()));
        assert!(judge(None, None).is_ok() && judge(None, Some("tok_x")).is_ok() && judge(job(), Some("tok_job")).is_ok());
        for (job, token) in [(job(), None), (job(), Some("tok_x")), (Some(None), None), (Some(None), Some("tok_x"))] {
            assert!(judge(job, token).is_err_and(|problem| problem.message().contains("a run of your own")), "{token:?}");
        }
    }
}
