//! The line before a program, over programs that behave in every way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime::{Batch, Values};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::{Life, Limits, Start, Started, Worker, WorkerError};

const LIMITS: Limits = Limits {
    start_max: Duration::from_secs(5),
    answer_max: Duration::from_secs(5),
    rest: Duration::from_secs(60),
    rows_max: 8,
    delay_max: Duration::ZERO,
    waiting_max: 16,
    answer_bytes_max: 10_000,
};
/// A value over which the program breaks.
const BREAKS: f64 = 13.0;
/// One over which it hangs.
const HANGS: f64 = 14.0;
/// One that it refuses.
const REFUSED: f64 = 15.0;
/// One over which it gives one row too few.
const SHORT: f64 = 16.0;

/// Programs that answer each value with twice itself.
#[derive(Default)]
struct Programs {
    started: AtomicUsize,
    /// From this one on, none can be started.
    last: Option<usize>,
    /// Rows of each question.
    asked: Arc<Mutex<Vec<usize>>>,
}

struct Task(tokio::task::JoinHandle<()>);

impl Life for Task {
    fn last_words(&self) -> String {
        "first\nlast words\n".to_owned()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Start for Programs {
    fn start(&self) -> std::pin::Pin<Box<dyn Future<Output = Result<Started, String>> + Send + '_>> {
        Box::pin(async {
            let number = self.started.fetch_add(1, Ordering::SeqCst);
            if self.last.is_some_and(|last| number > last) {
                return Err("no more".to_owned());
            }
            let (here, there) = tokio::io::duplex(1 << 16);
            let asked = Arc::clone(&self.asked);
            let task = tokio::spawn(async move { drop(serve(there, &asked).await) });
            Ok(Started { link: Box::new(here), life: Box::new(Task(task)) })
        })
    }
}

async fn receive(link: &mut DuplexStream) -> std::io::Result<(serde_json::Value, Vec<u8>)> {
    let (head, body) = (link.read_u32_le().await?, link.read_u64_le().await?);
    let (mut head, mut body) = (vec![0; head as usize], vec![0; body as usize]);
    link.read_exact(&mut head).await?;
    link.read_exact(&mut body).await?;
    Ok((serde_json::from_slice(&head).unwrap(), body))
}

async fn say(link: &mut DuplexStream, head: &str, body: &[u8]) -> std::io::Result<()> {
    link.write_u32_le(head.len() as u32).await?;
    link.write_u64_le(body.len() as u64).await?;
    link.write_all(head.as_bytes()).await?;
    link.write_all(body).await
}

async fn serve(mut link: DuplexStream, asked: &Mutex<Vec<usize>>) -> std::io::Result<()> {
    let (head, body) = receive(&mut link).await?;
    assert_eq!((head["ask"].as_str(), head["files"][0]["path"].as_str()), (Some("load"), Some("m")));
    assert_eq!(body, b"model");
    let ready = r#"{"said":"ready","kind":"double","classes":[],"inputs":[],"outputs":[]}"#;
    say(&mut link, ready, b"").await?;
    loop {
        let (head, body) = receive(&mut link).await?;
        if head["ask"] == "convert" {
            say(&mut link, r#"{"said":"converted"}"#, b"another format").await?;
            continue;
        }
        let values: Vec<f64> = body.chunks(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect();
        asked.lock().unwrap().push(values.len());
        let holds = |value: f64| values.contains(&value);
        if holds(BREAKS) {
            return Ok(());
        }
        if holds(HANGS) {
            std::future::pending::<()>().await;
        }
        if holds(REFUSED) {
            say(&mut link, r#"{"said":"refused","why":"I do not like it"}"#, b"").await?;
            continue;
        }
        let count = if holds(SHORT) { values.len() - 1 } else { values.len() };
        let body: Vec<u8> = values.iter().take(count).flat_map(|value| (value * 2.0).to_le_bytes()).collect();
        let head = format!(r#"{{"said":"outputs","outputs":[{{"name":"v","role":"value","type":"f64","shape":[{count}]}}]}}"#);
        say(&mut link, &head, &body).await?;
    }
}

async fn worker(programs: &Arc<Programs>, limits: Limits) -> Worker {
    let files = BTreeMap::from([("m".to_owned(), b"model".to_vec())]);
    Worker::start(Arc::clone(programs) as _, files, limits).await.unwrap().worker()
}

async fn ask(worker: &Worker, values: &[f64]) -> Result<Vec<f64>, WorkerError> {
    let batch = Batch::matrix(values.len(), 1, Values::F64(values.to_vec())).unwrap();
    let outputs = worker.predict(Arc::new(batch)).await?;
    match outputs.value().unwrap().values() {
        Values::F64(values) => Ok(values.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_answers_and_says_what_it_is() {
    let programs = Arc::default();
    let worker = worker(&programs, LIMITS).await;
    assert_eq!(worker.kind(), "double");
    assert_eq!(ask(&worker, &[1.0, 2.0]).await, Ok(vec![2.0, 4.0]));
    assert_eq!(programs.started.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_model_comes_back_in_another_format_and_still_answers() {
    let programs: Arc<Programs> = Arc::default();
    let files = BTreeMap::from([("m".to_owned(), b"model".to_vec())]);
    let mut begun = Worker::start(programs, files, LIMITS).await.unwrap();
    assert_eq!(begun.convert().await.unwrap().model, b"another format");
    assert_eq!(ask(&begun.worker(), &[2.0]).await, Ok(vec![4.0]));
}

#[tokio::test]
async fn one_that_rests_comes_back() {
    let programs = Arc::default();
    let worker = worker(&programs, LIMITS).await;
    assert_eq!(ask(&worker, &[1.0]).await, Ok(vec![2.0]));
    worker.rest();
    tokio::task::yield_now().await;
    assert_eq!(ask(&worker, &[3.0]).await, Ok(vec![6.0]));
    assert_eq!(programs.started.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_asked_together_and_answered_apart() {
    let programs = Arc::default();
    let worker = worker(&programs, Limits { delay_max: Duration::from_millis(5), ..LIMITS }).await;
    let all = (0..6).map(|number| {
        let worker = &worker;
        async move { ask(worker, &[f64::from(number), 0.5]).await }
    });
    let said = futures(all).await;
    for (number, said) in (0..6).zip(said) {
        assert_eq!(said, Ok(vec![f64::from(number) * 2.0, 1.0]));
    }
    assert_eq!(*programs.asked.lock().unwrap(), [8, 4], "at most eight rows at a time");
}

#[tokio::test(start_paused = true)]
async fn nobody_pays_for_another() {
    for (bad, programs_needed) in [(BREAKS, 3), (HANGS, 3), (REFUSED, 1), (SHORT, 3)] {
        let programs = Arc::default();
        let worker = worker(&programs, Limits { delay_max: Duration::from_millis(5), ..LIMITS }).await;
        let said = futures([1.0, bad, 3.0].map(|value| {
            let worker = &worker;
            async move { ask(worker, &[value]).await }
        }))
        .await;
        assert_eq!((&said[0], &said[2]), (&Ok(vec![2.0]), &Ok(vec![6.0])), "{bad}");
        let error = said[1].clone().unwrap_err();
        match bad {
            HANGS => assert_eq!(error, WorkerError::TooSlow(LIMITS.answer_max)),
            REFUSED => assert_eq!(error, WorkerError::Refused("I do not like it".to_owned())),
            BREAKS => assert!(matches!(&error, WorkerError::Broke(why) if why.contains("last words")), "{error}"),
            _ => assert!(matches!(&error, WorkerError::Broke(why) if why.contains("as many rows")), "{error}"),
        }
        assert_eq!(programs.started.load(Ordering::SeqCst), programs_needed, "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_gone_is_replaced_or_said_to_be_gone() {
    let programs = Arc::new(Programs { last: Some(1), ..Programs::default() });
    let worker = worker(&programs, LIMITS).await;
    for expected in [Ok(vec![2.0]), Err(WorkerError::Gone("no more".to_owned()))] {
        assert!(matches!(ask(&worker, &[BREAKS]).await, Err(WorkerError::Broke(_))));
        assert_eq!(ask(&worker, &[1.0]).await, expected);
    }
    let tried = programs.started.load(Ordering::SeqCst);
    assert!(ask(&worker, &[1.0]).await.is_err());
    assert_eq!(programs.started.load(Ordering::SeqCst), tried, "it is not tried again at once");
    tokio::time::sleep(LIMITS.rest).await;
    assert!(ask(&worker, &[1.0]).await.is_err());
    assert_eq!(programs.started.load(Ordering::SeqCst), tried + 1);
}

#[tokio::test(start_paused = true)]
async fn a_line_has_an_end() {
    let programs = Arc::default();
    let worker = worker(&programs, Limits { rows_max: 1, ..LIMITS }).await;
    let values = std::iter::once(HANGS).chain((100..130).map(f64::from));
    let said = futures(values.map(|value| {
        let worker = &worker;
        async move { ask(worker, &[value]).await }
    }))
    .await;
    assert!(said.contains(&Err(WorkerError::Busy)));
    assert_eq!(said.iter().filter(|one| one.is_ok()).count(), LIMITS.waiting_max - 1, "those that waited were answered");
}

#[tokio::test]
async fn what_cannot_be_started_is_said() {
    let programs = Arc::new(Programs { last: Some(0), ..Programs::default() });
    programs.started.store(1, Ordering::SeqCst);
    let refused = Worker::start(programs, BTreeMap::new(), LIMITS).await.err().unwrap();
    assert_eq!(refused, WorkerError::Gone("no more".to_owned()));
}

/// Polls all of them in order, until all have ended.
async fn futures<F: Future>(all: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.into_iter().map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(move |context| {
        let mut waits = false;
        for (future, said) in &mut all {
            if said.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(output) => *said = Some(output),
                    std::task::Poll::Pending => waits = true,
                }
            }
        }
        if waits {
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(all.iter_mut().filter_map(|(_, said)| said.take()).collect())
    })
    .await
}
