//! Workers that break the protocol, and a server that does.

use std::fs;
use std::future::pending;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use inspection::frame::{FromWorker, PROTOCOL, ProgressFrame, Read, Ready};
use inspection::{Confinement, Finding, InspectionError, InspectionReport, Worker, catalogue};
use tempfile::TempDir;

/// A program that says `frames`, then does `then` (in shell), in place of the worker.
pub(super) fn fake(frames: &[u8], then: &str) -> (TempDir, Worker) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("fake");
    fs::write(folder.path().join("fake.frames"), frames).unwrap();
    fs::write(&program, format!("#!/bin/sh\n/bin/cat \"$0.frames\"\n{then}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, Worker::new(program).silence_max(Duration::from_secs(20)))
}

/// Reads on for ever, its pipe to the server held open.
pub(super) const WAIT: &str = "exec /bin/cat 3>&1 > /dev/null";

pub(super) fn ready() -> Vec<u8> {
    let confinement = Confinement { landlock_abi: 4, seccomp: true, no_new_privs: true, not_dumpable: true, rlimits: true };
    FromWorker::Ready(Ready { protocol: PROTOCOL, version: "1".into(), confinement }).encode().unwrap()
}

fn then(frame: &FromWorker) -> Vec<u8> {
    [ready(), frame.encode().unwrap()].concat()
}

async fn ended(worker: &Worker) -> InspectionError {
    let files: &[(&str, &[u8])] = &[("a.csv", b"a,b\n1,2\n")];
    super::run(worker, &super::job(files), files).await.unwrap_err()
}

async fn check(frames: &[u8], then: &str, expected: &str) {
    let (_folder, worker) = fake(frames, then);
    let error = ended(&worker).await;
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn nonsense_is_refused() {
    check(b"GARBAGE AND MORE OF IT", WAIT, "a frame of unknown kind").await;
    check(&[0, 0, 0, 0, 0], WAIT, "a frame without a kind").await;
    check(&[&ready()[..], &[0xff, 0xff, 0xff, 0x7f, 17]].concat(), WAIT, "over its limit").await;
    check(&[&ready()[..], &[3, 0, 0, 0, 20, b'{', b'}']].concat(), WAIT, "cannot be read").await;
    check(&[ready(), ready()].concat(), WAIT, "ready twice").await;
    check(&then(&FromWorker::Read(Read { id: 1, file: 0, offset: 0, length: 1 }))[ready().len()..], WAIT, "its first frame")
        .await;
}

#[tokio::test]
async fn reads_outside_of_the_files_are_refused() {
    for (file, offset, length) in [(0, 0, 9), (0, 8, 1), (0, u64::MAX, 1), (1, 0, 1), (0, 0, 0)] {
        check(&then(&FromWorker::Read(Read { id: 1, file, offset, length })), WAIT, "which are not there").await;
    }
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let mut finding = Finding::new(&catalogue::NOTE, "x");
    finding.detail = "x".repeat(5_000);
    check(&then(&FromWorker::Finding(Box::new(finding))), WAIT, "beyond their limits").await;
    let many = FromWorker::Finding(Box::new(Finding::new(&catalogue::NOTE, "x"))).encode().unwrap().repeat(2_000);
    check(&[ready(), many].concat(), WAIT, "beyond their limits").await;
}

#[tokio::test]
async fn a_report_that_leaves_out_a_screen_is_refused() {
    let report: InspectionReport = serde_json::from_value(serde_json::json!({
        "schema": "strongroom.inspection/1", "dataset": "set", "version": "1", "manifest_sha256": "", "files": [], "worker_version": "1",
        "confinement": Confinement::default(), "seed": 1, "started_us": 0, "ended_us": 0, "cpu_ms": 0, "memory_peak_bytes": 0,
        "screens": {}, "findings": [], "summary": inspection::Summary::default(), "view": {},
    }))
    .unwrap();
    check(&then(&FromWorker::Done(Box::new(report))), WAIT, "without the screen `format`").await;
}

#[tokio::test]
async fn an_unconfined_worker_gets_no_job() {
    let bare = FromWorker::Ready(Ready { protocol: PROTOCOL, version: "1".into(), confinement: Confinement::default() })
        .encode()
        .unwrap();
    check(&bare, WAIT, "cannot confine itself").await;
    let (_folder, worker) = fake(&bare, "exit 0");
    let error = ended(&worker.allow_insecure_unsandboxed(true)).await;
    assert!(matches!(error, InspectionError::Died(_)), "{error}");
    let other =
        FromWorker::Ready(Ready { protocol: 99, version: "1".into(), confinement: Confinement::default() }).encode().unwrap();
    check(&other, WAIT, "speaks protocol 99").await;
}

#[tokio::test]
async fn a_worker_that_ends_says_how() {
    check(&ready(), "exit 7", "code 7").await;
    check(&ready(), "kill -KILL $$", "signal 9").await;
    check(b"", "kill -SYS $$", "its sandbox forbids").await;
    check(&ready(), "echo word >&2; exit 1", "`word`").await;
    check(&ready()[..3], "exit 0", "code 0").await;
    let missing = ended(&Worker::new("/nowhere/strongroom-inspect")).await;
    assert!(matches!(missing, InspectionError::Start(_)) && missing.is_worth_trying_again(), "{missing}");
}

#[tokio::test]
async fn silence_and_slowness_end() {
    let (_folder, worker) = fake(&ready(), WAIT);
    let error = ended(&worker.silence_max(Duration::from_millis(200))).await;
    assert!(matches!(error, InspectionError::Silent(_)), "{error}");
    let news = FromWorker::Progress(ProgressFrame { stage: "x".into(), done: 0, of: None }).encode().unwrap();
    let (_folder, worker) = fake(&[ready(), news].concat(), WAIT);
    let files: &[(&str, &[u8])] = &[("a.csv", b"a\n1\n")];
    let mut job = super::job(files);
    job.limits.wall_seconds_max = 1;
    let error = super::run(&worker, &job, files).await.unwrap_err();
    assert!(matches!(error, InspectionError::TooLong(1)), "{error}");
}

#[tokio::test]
async fn cancelling_ends_the_worker() {
    let (_folder, worker) = fake(&then(&FromWorker::Read(Read { id: 1, file: 0, offset: 0, length: 1 })), WAIT);
    let (asked, heard) = tokio::sync::oneshot::channel::<()>();
    let asked = std::sync::Mutex::new(Some(asked));
    let read = |_: inspection::ReadRequest| {
        drop(asked.lock().unwrap().take());
        pending::<Result<Bytes, kernel::Problem>>()
    };
    let job = super::job(&[("a.csv", b"a\n1\n")]);
    let error = worker.run(&job, read, |_| {}, async { drop(heard.await) }).await.unwrap_err();
    assert!(matches!(error, InspectionError::Cancelled), "{error}");
}

/// What the worker does when the server is the one that talks nonsense, or is gone.
fn worker_after(input: &[u8]) -> Option<i32> {
    let mut command = Command::new(super::PROGRAM);
    command.args(["worker", "--allow-insecure-unsandboxed"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // The worker may be gone before it has read all.
    stdin.write_all(input).ok();
    drop(stdin);
    child.wait().unwrap().code()
}

#[test]
fn the_worker_ends_when_the_server_talks_nonsense_or_is_gone() {
    let job = inspection::frame::job_frame(&super::job(&[("a.csv", b"a\n1\n")])).unwrap();
    assert_eq!(worker_after(b""), Some(1));
    assert_eq!(worker_after(b"GARBAGE"), Some(1));
    assert_eq!(worker_after(&[0xff, 0xff, 0xff, 0xff, 1]), Some(1));
    assert_eq!(worker_after(&job), Some(3));
    assert_eq!(worker_after(&[job.clone(), job].concat()), Some(3));
}
