use kernel::Kind;

use super::support::{MODEL, Plan, on_both_engines, refused};
use crate::JobState;
use crate::ops::{CancelJob, Prepare, ReadLog};

const LIVE_TOKENS: &str = "SELECT COUNT(*) FROM token WHERE revoked_at IS NULL";

#[test]
fn what_was_asked_for_runs_and_what_comes_of_it_is_registered() {
    on_both_engines(async |world| {
        *world.double.plan.lock() = Plan { reads_data: true, models: vec!["model"], ..Plan::default() };
        let job = world.submit("python train.py --depth {depth}", None).await.unwrap();
        assert_eq!((job.state, job.spec.entry.len()), (JobState::Queued, 3));
        assert!(job.spec.requirements_sha256.is_some());
        assert!(world.runner().step().await.unwrap());
        let job = world.job(&job.id).await;
        assert_eq!((job.state, job.fault.as_deref(), job.made_version), (JobState::Succeeded, None, Some(2)));
        assert_eq!(*world.double.words.lock(), [["train.py", "--depth", "3"]]);
        assert!(!world.runner().step().await.unwrap(), "there is nothing more to do");
        assert_eq!(world.count(LIVE_TOKENS).await, 0, "no token lives on");
        let log = ReadLog { room: world.room.clone(), name: MODEL.to_owned(), job: job.id.clone() };
        assert_eq!(world.call(log).await.unwrap(), "has [secret]");
        let records = world.gate.recorded().join("\n");
        assert!(records.contains("spec_sha256=") && records.contains("code_sha256="), "{records}");
        for secret in ["depth", "train.py", "has "] {
            assert!(!records.contains(secret), "a record holds `{secret}`");
        }
        // The new version's own run tells how it was made.
        let prepare = Prepare { room: world.room.clone(), name: MODEL.to_owned(), version: "2".to_owned() };
        let draft = world.call(prepare).await.unwrap();
        assert_eq!(draft.code, Some(("run1".to_owned(), "code".to_owned())));
        assert_eq!(draft.entry.as_deref(), Some("train.py --depth {depth}"));
        assert_eq!(draft.data, [("d".to_owned(), 1)]);
        assert_eq!(draft.parameters.get("depth").map(String::as_str), Some("3"));
    });
}

#[test]
fn a_program_that_fails_or_logs_nothing_registers_nothing() {
    on_both_engines(async |world| {
        for (plan, part) in [
            (Plan { fault: Some("its program ended with 1"), models: vec!["model"], ..Plan::default() }, "ended with 1"),
            (Plan::default(), "logged no model"),
            (Plan { models: vec!["a", "b"], ..Plan::default() }, "logged several models"),
        ] {
            *world.double.plan.lock() = plan;
            let job = world.submit("train.py", None).await.unwrap();
            world.runner().step().await.unwrap();
            let job = world.job(&job.id).await;
            assert_eq!((job.state, job.made_version), (JobState::Failed, None));
            assert!(job.fault.as_deref().unwrap().contains(part), "{:?}", job.fault);
        }
        assert_eq!(world.count("SELECT COUNT(*) FROM model_version").await, 1);
        assert_eq!(world.count(LIVE_TOKENS).await, 0);
        assert_eq!(world.count("SELECT COUNT(*) FROM run WHERE status = 'FAILED'").await, 1);
    });
}

#[test]
fn code_that_is_not_what_it_was_does_not_run() {
    on_both_engines(async |world| {
        let job = world.submit("train.py", None).await.unwrap();
        world.put("code/train.py", b"print('evil')").await;
        world.runner().step().await.unwrap();
        let job = world.job(&job.id).await;
        assert_eq!(job.state, JobState::Failed);
        assert!(job.fault.unwrap().contains("not what it was"));
        assert!(world.double.words.lock().is_empty(), "nothing ran");
        assert_eq!(world.count("SELECT COUNT(*) FROM token").await, 0, "not even a token was made");
    });
}

#[test]
fn a_job_waits_for_its_data_and_ends_where_that_is_refused() {
    on_both_engines(async |world| {
        world.sql("UPDATE data_version SET state = 'quarantined' WHERE version_id = $1", super::support::DATA_ID).await;
        let job = world.submit("train.py", None).await.unwrap();
        assert!(!world.runner().step().await.unwrap());
        assert_eq!(world.job(&job.id).await.state, JobState::Queued);
        world.sql("UPDATE data_version SET state = 'refused' WHERE version_id = $1", super::support::DATA_ID).await;
        assert!(world.runner().step().await.unwrap());
        let ended = world.job(&job.id).await;
        assert_eq!(ended.state, JobState::Failed);
        assert!(ended.fault.unwrap().contains("refused"));
        // Nobody decides for too long.
        world.sql("UPDATE data_version SET state = 'quarantined' WHERE version_id = $1", super::support::DATA_ID).await;
        let job = world.submit("train.py", None).await.unwrap();
        world.gate.clock.advance_secs(8 * 86_400);
        assert!(world.runner().step().await.unwrap());
        assert!(world.job(&job.id).await.fault.unwrap().contains("within 7 days"));
    });
}

#[test]
fn what_another_process_left_behind_has_failed() {
    on_both_engines(async |world| {
        let job = world.submit("train.py", None).await.unwrap();
        world
            .sql("UPDATE retrain_job SET state = 'running', runner = 'gone', token_id = 'tok_x' WHERE job_id = $1", &job.id)
            .await;
        assert!(world.runner().step().await.unwrap());
        let ended = world.job(&job.id).await;
        assert_eq!(ended.state, JobState::Failed);
        assert!(ended.fault.unwrap().contains("interrupted"));
        assert!(world.double.abandoned.load(std::sync::atomic::Ordering::SeqCst));
        assert!(!world.runner().step().await.unwrap());
    });
}

#[test]
fn a_job_is_cancelled_while_it_waits_and_while_it_runs() {
    on_both_engines(async |world| {
        let cancel = |id: &str| CancelJob { room: world.room.clone(), name: MODEL.to_owned(), job: id.to_owned() };
        let waits = world.submit("train.py", None).await.unwrap();
        assert_eq!(world.call(cancel(&waits.id)).await.unwrap().state, JobState::Cancelled);
        refused(world.call(cancel(&waits.id)).await, Kind::Conflict, "over");
        refused(world.call(cancel("nothing")).await, Kind::NotFound, "no such job");
        world.double.plan.lock().waits_for_cancel = true;
        let runs = world.submit("train.py", None).await.unwrap();
        let runner = world.runner();
        let stop = async {
            while world.job(&runs.id).await.run_id.is_none() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            world.call(cancel(&runs.id)).await.unwrap()
        };
        let (stepped, _) = tokio::join!(runner.step(), stop);
        stepped.unwrap();
        let job = world.job(&runs.id).await;
        assert_eq!((job.state, job.made_version), (JobState::Cancelled, None));
        assert_eq!(world.count("SELECT COUNT(*) FROM run WHERE status = 'KILLED'").await, 1);
        assert_eq!(world.count(LIVE_TOKENS).await, 0);
        assert_eq!(world.jobs().await.len(), 2);
    });
}

#[test]
fn entries_must_name_what_there_is() {
    on_both_engines(async |world| {
        for (entry, part) in
            [("other.py", "no file `other.py`"), ("train.py {width}", "no such parameter"), ("", "names no script")]
        {
            refused(world.submit(entry, None).await, Kind::Invalid, part);
        }
        refused(world.submit("train.py", Some("nothing")).await, Kind::Conflict, "no request");
        assert_eq!(world.jobs().await, []);
    });
}

#[test]
fn a_request_is_taken_once_and_done_when_its_job_is() {
    on_both_engines(async |world| {
        let ask = "INSERT INTO retrain_request (request_id, workspace, trained_on, replaced_by, subject_kind, subject_name, trust, state, why,
                       asked_at, asked_by)
                   SELECT 'q1', workspace_id, 'd/1', 'd/2', 'model_version', model_id || '/1', 'observed', 'queued', 'rows', 1, 'x'
                   FROM registered_model WHERE name = $1";
        world.sql(ask, MODEL).await;
        let list = crate::ops::ListRequests { room: world.room.clone(), after: None, rows: None };
        let listed = world.call(list).await.unwrap().rows;
        assert_eq!(listed.first().and_then(|request| request.model.clone()), Some((MODEL.to_owned(), 1)));
        *world.double.plan.lock() = Plan { fault: Some("no"), ..Plan::default() };
        world.submit("train.py", Some("q1")).await.unwrap();
        refused(world.submit("train.py", Some("q1")).await, Kind::Conflict, "no request");
        world.runner().step().await.unwrap();
        assert_eq!(world.count("SELECT COUNT(*) FROM retrain_request WHERE state = 'queued'").await, 1, "it waits again");
        *world.double.plan.lock() = Plan { models: vec!["model"], ..Plan::default() };
        world.submit("train.py", Some("q1")).await.unwrap();
        world.runner().step().await.unwrap();
        assert_eq!(world.count("SELECT COUNT(*) FROM retrain_request WHERE state = 'done'").await, 1);
    });
}
