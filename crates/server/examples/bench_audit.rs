//! Durably audited operations per second: 64 callers ask for one small verb each, through the whole door (token, risk,
//! look-up, Cedar, a durable intent, the verb, its outcome), on a fresh data folder. Prints one JSON object.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may stop")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gate::{Attempt, Credential};
use kernel::Secret;
use serde_json::json;
use strongroom::{boot, config};

const CLIENT_COUNT: usize = 64;
const WARM_UP: Duration = Duration::from_secs(1);
const LENGTH: Duration = Duration::from_secs(6);

fn main() {
    let place = std::env::var("BENCH_DIR").unwrap_or_else(|_| "target".to_owned());
    std::fs::create_dir_all(&place).unwrap();
    let folder = tempfile::tempdir_in(place).unwrap();
    let data = folder.path().join("data");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let fsync_us = fsync_p50_us(folder.path());
    let (operations, p50_us, p99_us) = runtime.block_on(measure(&data));
    let (records, verify) = verification(&data);
    let row = |work: &str, ours: f64, unit: &str, limit: f64, of_limit: f64| json!({"work": work, "ours": ours.round(), "peer": null, "unit": unit, "ratio": null, "limit": limit, "of_limit": of_limit});
    let rows = [
        row("audited-operations", operations, "operations/s, 64 clients", 20_000.0, operations / 20_000.0),
        row("audited-p99", p99_us, "us, must stay below the limit", 10_000.0, 10_000.0 / p99_us.max(1.0)),
        row("verification", verify, "records/s", 200_000.0, verify / 200_000.0),
    ];
    if std::env::args().any(|argument| argument == "--json") {
        println!("{}", json!({"bench": "audit", "rows": rows, "fsync_p50_us": fsync_us, "p50_us": p50_us, "records": records}));
        return;
    }
    println!(
        "a 4 KiB append and fdatasync takes {fsync_us} us here (median); {records} records were verified; median wait {p50_us} us"
    );
    for row in rows {
        println!("{row}");
    }
}

async fn measure(data: &Path) -> (f64, u128, f64) {
    let token = strongroom::cli::make_for_bench(data).await.unwrap();
    let app = Arc::new(boot::open(data, &config::Config::default()).await.unwrap());
    let (stop, counting) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let done = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..CLIENT_COUNT)
        .map(|_| {
            let (app, token, stop) = (Arc::clone(&app), token.clone(), Arc::clone(&stop));
            let (counting, done) = (Arc::clone(&counting), Arc::clone(&done));
            tokio::spawn(async move {
                let mut waits = Vec::with_capacity(100_000);
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let verb = tracking::ops::GetExperiment { room: app.rooms.tracking.clone(), experiment_id: "0".to_owned() };
                    app.gate.call(attempt(&token), verb).await.unwrap();
                    if counting.load(Ordering::Relaxed) {
                        waits.push(begun.elapsed().as_micros());
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
                waits
            })
        })
        .collect();
    tokio::time::sleep(WARM_UP).await;
    counting.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    tokio::time::sleep(LENGTH).await;
    counting.store(false, Ordering::Relaxed);
    let (count, elapsed) = (done.load(Ordering::Relaxed), begun.elapsed());
    stop.store(true, Ordering::Relaxed);
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.unwrap());
    }
    waits.sort_unstable();
    Arc::into_inner(app).unwrap().close().await;
    let at = |share: usize| waits.get(waits.len() * share / 100).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a rate and a time")]
    (count as f64 / elapsed.as_secs_f64(), at(50), at(99) as f64)
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

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn verification(data: &Path) -> (u64, f64) {
    let key = std::fs::read_to_string(data.join("audit.vkey")).unwrap();
    let policy = audit::verify::Policy::of_key(key.trim()).unwrap();
    let begun = Instant::now();
    let report = audit::verify::verify_directory(&data.join("audit"), &policy, None, &mut |_, _| {}).unwrap();
    assert!(report.ok, "{:?}", report.faults);
    (report.entry_count, report.entry_count as f64 / begun.elapsed().as_secs_f64())
}

fn fsync_p50_us(folder: &Path) -> u128 {
    let mut file = File::create(folder.join("fsync")).unwrap();
    let mut waits: Vec<u128> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&[0; 4096]).unwrap();
            file.sync_data().unwrap();
            begun.elapsed().as_micros()
        })
        .collect();
    waits.sort_unstable();
    waits.get(waits.len() / 2).copied().unwrap_or_default()
}
