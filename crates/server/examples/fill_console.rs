//! A data folder of a size that pages must still be fast at: runs with metrics, registered models, and a long log, all
//! through the whole door. Prints one JSON object.
//!
//! `fill_console DATA_FOLDER TOKEN_FILE RUNS MODELS RECORDS`
#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "a bench prints and may stop")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gate::{Attempt, Credential};
use kernel::Secret;
use serde_json::json;
use strongroom::boot::App;
use strongroom::{boot, config};

const CALLER_COUNT: u64 = 64;
/// Between two lines of progress.
const TOLD_COUNT: u64 = 500_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [data, token_file, runs, models, records] = words.try_into().unwrap();
    let number = |text: String| text.parse::<u64>().unwrap();
    let (data, runs, models, records) = (Path::new(&data), number(runs), number(models), number(records));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    let size = runtime.block_on(async {
        let token = strongroom::cli::make_for_bench(data).await.unwrap();
        std::fs::write(&token_file, token.expose_text().unwrap()).unwrap();
        let app = Arc::new(boot::open(data, &config::Config::default()).await.unwrap());
        many(&app, &token, runs, |app, token, at| async move { run(&app, &token, at).await }).await;
        eprintln!("{runs} runs after {} s", begun.elapsed().as_secs());
        many(&app, &token, models, |app, token, at| async move { model(&app, &token, at).await }).await;
        eprintln!("{models} models after {} s", begun.elapsed().as_secs());
        // Each look leaves two records.
        let looks = records.saturating_sub(app.rooms.audit.log().status().size) / 2;
        many(&app, &token, looks, |app, token, _| async move { look(&app, &token).await }).await;
        let size = app.rooms.audit.log().status().size;
        Arc::into_inner(app).unwrap().close().await;
        size
    });
    println!("{}", json!({"runs": runs, "models": models, "records": size, "seconds": begun.elapsed().as_secs_f64()}));
}

/// Does something `count` times, by callers side by side.
async fn many<F>(app: &Arc<App>, token: &Secret, count: u64, what: impl Fn(Arc<App>, Secret, u64) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..CALLER_COUNT)
        .map(|_| {
            let (app, token, next, what) = (Arc::clone(app), token.clone(), Arc::clone(&next), what.clone());
            tokio::spawn(async move {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    if at > 0 && at.is_multiple_of(TOLD_COUNT) {
                        eprintln!("{at} of {count}");
                    }
                    what(Arc::clone(&app), token.clone(), at).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

async fn run(app: &App, token: &Secret, at: u64) {
    let room = app.rooms.tracking.clone();
    let started_ms = 1_700_000_000_000 + i64::try_from(at).unwrap() * 1_000;
    let create = tracking::ops::CreateRun {
        room: room.clone(),
        experiment_id: "0".to_owned(),
        user_id: None,
        run_name: Some(format!("run {at}")),
        start_time_ms: started_ms,
        tags: Vec::new(),
    };
    let made = app.gate.call(attempt(token), create).await.unwrap();
    #[expect(clippy::cast_precision_loss, reason = "any number will do")]
    let metric = |key: &str, step: i64| tracking::NewMetric {
        key: key.to_owned(),
        value: (at as f64 * 0.618 + step as f64).fract(),
        timestamp_ms: started_ms,
        step,
        model_id: None,
        dataset_name: None,
        dataset_digest: None,
    };
    let log = tracking::ops::LogBatch {
        room,
        run_id: made.info.run_id,
        metrics: vec![metric("loss", 0), metric("loss", 1), metric("accuracy", 1)],
        params: vec![tracking::KeyValue { key: "seed".to_owned(), value: at.to_string() }],
        tags: Vec::new(),
    };
    app.gate.call(attempt(token), log).await.unwrap();
}

async fn model(app: &App, token: &Secret, at: u64) {
    let (room, name) = (app.rooms.registry.clone(), format!("model-{at:05}"));
    let create = registry::ops::CreateModel { room: room.clone(), name: name.clone(), description: None, tags: Vec::new() };
    app.gate.call(attempt(token), create).await.unwrap();
    let version = registry::ops::CreateVersion {
        room,
        name,
        source: format!("s3://elsewhere/model-{at}"),
        run_id: None,
        run_link: None,
        description: None,
        tags: Vec::new(),
        logged_model_id: None,
    };
    app.gate.call(attempt(token), version).await.unwrap();
}

async fn look(app: &App, token: &Secret) {
    let verb = tracking::ops::GetExperiment { room: app.rooms.tracking.clone(), experiment_id: "0".to_owned() };
    app.gate.call(attempt(token), verb).await.unwrap();
}

fn attempt(token: &Secret) -> Attempt {
    Attempt {
        credential: Credential::Bearer(token.clone()),
        address: [127, 0, 0, 1].into(),
        user_agent: None,
        workspace: gate::DEFAULT_WORKSPACE.to_owned(),
        client_certificate: None,
        known_browser: None,
    }
}
