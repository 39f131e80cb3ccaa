//! Rows left out by the worker: what the server gets, and what it refuses to take.

use std::future::{pending, ready};
use std::sync::Mutex;

use bytes::Bytes;
use inspection::frame::{FromWorker, Output};
use inspection::{CleanCount, CleanSpec, InspectionError, JobSpec, ReadRequest, Taken, Worker};
use kernel::Problem;

use super::{PROGRAM, job};

type Files<'a> = &'a [(&'a str, &'a [u8])];

async fn clean(worker: &Worker, job: &JobSpec, files: Files<'_>) -> (Result<CleanCount, InspectionError>, Vec<Taken>) {
    let held: Vec<Bytes> = files.iter().map(|(_, bytes)| Bytes::copy_from_slice(bytes)).collect();
    let read = |request: ReadRequest| {
        let from = usize::try_from(request.offset).unwrap();
        ready(Ok::<_, Problem>(held[request.file].slice(from..from + request.length as usize)))
    };
    let taken = Mutex::new(Vec::new());
    let take = |one: Taken| {
        taken.lock().unwrap().push(one);
        ready(Ok::<_, Problem>(()))
    };
    let done = worker.clean(job, read, take, |_| {}, pending()).await;
    (done, taken.into_inner().unwrap())
}

fn without(files: Files<'_>, rows: &[(u64, u64)]) -> JobSpec {
    JobSpec { clean: Some(CleanSpec { rows: rows.to_vec() }), ..job(files) }
}

fn bytes(text: &'static str) -> Taken {
    Taken::Bytes(Bytes::from_static(text.as_bytes()))
}

#[tokio::test]
async fn files_that_lose_rows_are_written_and_others_kept() {
    let files: Files<'_> = &[("a.csv", b"x\n0\n1\n"), ("b.csv", b"x\n2\n"), ("c.csv", b"x\n3\n4\n")];
    let (done, taken) = clean(&Worker::new(PROGRAM), &without(files, &[(1, 1), (3, 3)]), files).await;
    assert_eq!(done.unwrap(), CleanCount { row_count: 5, removed_count: 2 });
    let expected = [Taken::Begin(0), bytes("x\n0\n"), Taken::End, Taken::Keep(1), Taken::Begin(2), bytes("x\n4\n"), Taken::End];
    assert_eq!(taken, expected);
}

#[tokio::test]
async fn a_file_of_lines_or_an_image_without_rows_is_gone() {
    let files: Files<'_> = &[("a.jsonl", b"{\"x\":1}\n"), ("b.jsonl", b"{\"x\":2}\n{\"x\":3}\n")];
    let (done, taken) = clean(&Worker::new(PROGRAM), &without(files, &[(0, 1)]), files).await;
    assert!(done.is_ok());
    assert_eq!(taken, [Taken::Begin(1), bytes("{\"x\":3}\n"), Taken::End]);
}

#[tokio::test]
async fn rows_that_are_not_there_and_rows_that_are_all_are_refused() {
    let files: Files<'_> = &[("a.csv", b"x\n0\n1\n")];
    for (rows, expected) in [
        (&[(1, 2)][..], "there is no row 2; the version has 2 rows"),
        (&[(0, 1)], "no row would be left"),
        (&[(1, 1), (0, 0)], "ranges of rows rise"),
    ] {
        let (done, taken) = clean(&Worker::new(PROGRAM), &without(files, rows), files).await;
        let error = done.unwrap_err().to_string();
        assert!(error.contains(expected) && taken.is_empty(), "{error}");
    }
    let damaged: Files<'_> = &[("a.parquet", b"PAR1 nonsense PAR1")];
    assert!(clean(&Worker::new(PROGRAM), &without(damaged, &[(0, 0)]), damaged).await.0.is_err());
}

#[tokio::test]
async fn a_worker_that_writes_what_it_may_not_is_stopped() {
    let files: Files<'_> = &[("a.csv", b"x\n0\n1\n"), ("b.csv", b"x\n2\n")];
    let keep = |file| FromWorker::Output(Output::Keep(file));
    let begin = |file| FromWorker::Output(Output::Begin(file));
    let cleaned = |removed_count| FromWorker::Cleaned(CleanCount { row_count: 3, removed_count });
    let check = async |frames: &[FromWorker], expected: &str| {
        let said: Vec<u8> = frames.iter().flat_map(|frame| frame.encode().unwrap()).collect();
        let (_folder, worker) = super::protocol::fake(&[super::protocol::ready(), said].concat(), super::protocol::WAIT);
        let mut job = without(files, &[(0, 0)]);
        job.limits.write_bytes_max = 10;
        let error = clean(&worker, &job, files).await.0.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&[keep(2)], "not next").await;
    check(&[keep(1), keep(0)], "not next").await;
    check(&[begin(0), keep(1)], "out of order").await;
    check(&[FromWorker::Output(Output::End)], "out of order").await;
    check(&[FromWorker::Write(vec![1])], "bytes of no file").await;
    check(&[begin(0), FromWorker::Write(vec![1; 11])], "more than 10 bytes").await;
    check(&[begin(0), cleaned(1)], "other rows").await;
    check(&[keep(0), cleaned(2)], "other rows").await;
}

#[tokio::test]
async fn an_inspection_writes_no_files() {
    let files: Files<'_> = &[("a.csv", b"x\n0\n")];
    let frame = FromWorker::Output(Output::Keep(0)).encode().unwrap();
    let (_folder, worker) = super::protocol::fake(&[super::protocol::ready(), frame].concat(), super::protocol::WAIT);
    let error = super::run(&worker, &job(files), files).await.unwrap_err();
    assert!(matches!(&error, InspectionError::Protocol(_)), "{error}");
}
