//! Guesses at passwords from many addresses of the loopback, as fast as is asked for; and others who go on meanwhile.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::connection::Peer;
use crate::options::Options;

/// Where others look meanwhile.
const ASKED: &str = "/api/strongroom/v1/me";

/// Sends `--count` guesses a second over `--connections` connections, each from an address of its own, at the accounts `--on` and, with `--set`
/// more than 1, `--on` with a number behind it. It does not wait for a slow answer elsewhere: each connection keeps its own time.
///
/// # Errors
/// If the server cannot be reached at all.
pub async fn guess(options: Options) -> Result<Value, String> {
    let name = options.on.clone().ok_or("`guess` needs `--on NAME`")?;
    let statuses: Arc<Mutex<BTreeMap<u16, u64>>> = Arc::default();
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..options.connections {
        let (peer, statuses) = (Peer::of(&options)?.from(address_of(number)).without_token(), Arc::clone(&statuses));
        let (name, set) = (name.clone(), options.set.max(1));
        let (interval, until) = (interval(&options), begun + options.duration);
        tasks.spawn(async move {
            let mut connection = peer.connection();
            let (mut at, mut sent) = (Instant::now(), 0_usize);
            while Instant::now() < until {
                let target = if set == 1 { name.clone() } else { format!("{name}{}", (number + sent * 97) % set) };
                let body = Bytes::from(format!("username={target}&password=guess-number-{number}-{sent}"));
                let status = connection.send(Method::POST, "/login", body, "application/x-www-form-urlencoded").await;
                *statuses
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .entry(status.map_or(0, |answer| answer.status))
                    .or_default() += 1;
                sent += 1;
                at += interval;
                tokio::time::sleep_until(at.into()).await;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let statuses = statuses.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let count: u64 = statuses.values().sum();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    let statuses: BTreeMap<String, u64> = statuses.into_iter().map(|(status, count)| (status.to_string(), count)).collect();
    Ok(json!({ "work": "guess", "value": rate, "unit": "guesses/s", "requests": count, "statuses": statuses }))
}

/// Asks `--count` times a second with a token, and tells how long answers took from when they were due.
///
/// # Errors
/// If the server cannot be reached at all.
pub async fn others(options: Options) -> Result<Value, String> {
    let times: Arc<Mutex<Vec<f64>>> = Arc::default();
    let failed = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..options.connections {
        let (peer, times, failed) = (Peer::of(&options)?, Arc::clone(&times), Arc::clone(&failed));
        let (interval, until) = (interval(&options), begun + options.duration);
        tasks.spawn(async move {
            let mut connection = peer.connection();
            let mut at = Instant::now();
            while Instant::now() < until {
                match connection.send(Method::GET, ASKED, Bytes::new(), "").await {
                    // From when it was due: a request that had to wait for the one before it waited too.
                    Ok(answer) if answer.status == 200 => {
                        times.lock().unwrap_or_else(PoisonError::into_inner).push(at.elapsed().as_secs_f64() * 1e3);
                    }
                    _ => drop(failed.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
                }
                at += interval;
                tokio::time::sleep_until(at.into()).await;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner).clone();
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).or(times.last()).copied().unwrap_or_default();
    let failed = failed.load(std::sync::atomic::Ordering::Relaxed);
    Ok(
        json!({ "work": "others", "value": at(99), "unit": "ms", "p50_ms": at(50), "p99_ms": at(99), "requests": times.len(), "errors": failed }),
    )
}

fn interval(options: &Options) -> Duration {
    let per_second = u32::try_from(options.count.max(1)).unwrap_or(u32::MAX);
    Duration::from_secs(1) * u32::try_from(options.connections).unwrap_or(1) / per_second
}

/// An address of the loopback's, in networks of 200 each.
fn address_of(number: usize) -> IpAddr {
    let part = |value: usize| u8::try_from(value).unwrap_or(1);
    IpAddr::from(Ipv4Addr::new(127, 66, part(number / 200 % 250), part(number % 200 + 1)))
}
