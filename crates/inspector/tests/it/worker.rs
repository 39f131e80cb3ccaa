use std::future::pending;
use std::sync::Mutex;

use inspection::{ChangeEffect, ContractJob, InspectionError, Progress, Screen, ScreenState, Worker};
use kernel::Problem;

use super::{PROGRAM, job, run};

/// A small clean table.
pub(super) fn table() -> Vec<u8> {
    let mut text = String::from("colour,size,y\n");
    for row in 0..300 {
        text.push_str(&format!("{},{}.5,{}\n", ["red", "green", "blue"][row % 3], row * 7 % 311, row % 2));
    }
    text.into_bytes()
}

#[tokio::test]
async fn a_table_is_inspected() {
    let bytes = table();
    let files: &[(&str, &[u8])] = &[("part/a.csv", &bytes), ("part/b.csv", &bytes)];
    let mut job = job(files);
    job.roles.label = Some("y".to_owned());
    job.manifest_sha256 = "ab".repeat(32);
    let report = run(&Worker::new(PROGRAM), &job, files).await.unwrap();
    assert!(report.confinement.is_complete(), "{:?}", report.confinement);
    assert_eq!((report.summary.row_count, report.summary.column_count), (600, 3));
    assert_eq!((report.files.len(), report.manifest_sha256.as_str()), (2, job.manifest_sha256.as_str()));
    assert_eq!(report.view.columns.len(), 3);
    assert_eq!(report.view.columns[2].role.as_deref(), Some("label"));
    assert_eq!(report.screens[&Screen::Profile], ScreenState::Ran);
    assert!(report.profile.is_some() && report.cpu_ms > 0 && report.memory_peak_bytes > 0);
    assert!(inspection::html(&report).contains("colour"));
}

#[tokio::test]
async fn the_same_job_gives_the_same_report() {
    let bytes = table();
    let files: &[(&str, &[u8])] = &[("a.csv", &bytes)];
    let worker = Worker::new(PROGRAM);
    let mut reports = Vec::new();
    for _ in 0..2 {
        let mut report = run(&worker, &job(files), files).await.unwrap();
        (report.ended_us, report.cpu_ms, report.memory_peak_bytes) = (0, 0, 0);
        reports.push(serde_json::to_string(&report).unwrap());
    }
    assert_eq!(reports[0], reports[1]);
}

#[tokio::test]
async fn progress_is_heard() {
    let bytes = table();
    let heard = Mutex::new(Vec::new());
    let read = |request: inspection::ReadRequest| {
        let from = usize::try_from(request.offset).unwrap();
        let bytes = bytes::Bytes::copy_from_slice(&bytes[from..from + request.length as usize]);
        async move { Ok::<_, Problem>(bytes) }
    };
    let progress = |news| {
        if let Progress::Stage { stage, .. } = news {
            heard.lock().unwrap().push(stage);
        }
    };
    Worker::new(PROGRAM).run(&job(&[("a.csv", &table())]), read, progress, pending()).await.unwrap();
    assert!(heard.lock().unwrap().contains(&"open".to_owned()));
}

#[tokio::test]
async fn a_store_that_fails_fails_the_inspection() {
    let job = job(&[("a.csv", b"a\n1\n")]);
    let worker = Worker::new(PROGRAM);
    let down = |_| async { Err::<bytes::Bytes, _>(Problem::unavailable("the store is down")) };
    let error = worker.run(&job, down, |_| {}, pending()).await.unwrap_err();
    assert!(matches!(&error, InspectionError::Source(_)) && error.is_worth_trying_again(), "{error}");
    let short = |_| async { Ok::<_, Problem>(bytes::Bytes::from_static(b"a")) };
    let error = worker.run(&job, short, |_| {}, pending()).await.unwrap_err();
    assert!(matches!(error, InspectionError::Source(_)), "{error}");
}

#[tokio::test]
async fn too_little_memory_or_reading_is_an_error() {
    let bytes = table();
    let files: &[(&str, &[u8])] = &[("a.csv", &bytes)];
    let mut tight = job(files);
    tight.limits.memory_bytes_max = 1 << 20;
    assert!(run(&Worker::new(PROGRAM), &tight, files).await.is_err());
    let mut tight = job(files);
    tight.limits.read_bytes_max = 100;
    let error = run(&Worker::new(PROGRAM), &tight, files).await.unwrap_err();
    assert!(error.to_string().contains("more than 100 bytes had to be read"), "{error}");
}

#[tokio::test]
async fn limits_on_shape_are_findings() {
    let bytes = table();
    let files: &[(&str, &[u8])] = &[("a.csv", &bytes)];
    let mut tight = job(files);
    (tight.limits.row_count_max, tight.limits.column_count_max) = (10, 2);
    let report = run(&Worker::new(PROGRAM), &tight, files).await.unwrap();
    let limits = report.findings.iter().filter(|finding| finding.id == "format.limit").count();
    assert_eq!(limits, 2);
    assert!(matches!(report.screens[&Screen::Poisoning], ScreenState::Skipped(_)));
}

#[tokio::test]
async fn a_contract_is_read_without_data() {
    let worker = Worker::new(PROGRAM);
    let head =
        "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\nschema:\n- name: t\n  properties:\n";
    let before = format!("{head}  - {{name: a, logicalType: integer, required: true}}\n");
    let job = |text: String| ContractJob { contract_yaml: text, in_force: Some(before.clone()) };
    let told = worker.contract(&job(format!("{head}  - {{name: a, logicalType: integer}}\n"))).await.unwrap();
    assert!(told.faults.is_empty() && told.changes.iter().any(|change| change.effect == ChangeEffect::Breaks), "{told:?}");
    let told = worker.contract(&job(format!("{head}  - name: a\n  - name: a\n"))).await.unwrap();
    assert_eq!(
        told.faults.iter().map(|fault| (fault.line, fault.at.as_str())).collect::<Vec<_>>(),
        [(7, "schema.t")],
        "{told:?}"
    );
    for hostile in ["[".repeat(100_000), "\u{0}".to_owned(), "a: &a [*a]".to_owned(), "x".repeat(3 << 20)] {
        let told = worker.contract(&job(hostile)).await.unwrap();
        assert!(!told.faults.is_empty() && told.tables.is_empty());
    }
}
