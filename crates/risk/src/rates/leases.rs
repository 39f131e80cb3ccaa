//! Turns that were taken from the shared rates in advance, many at a time, so that not every request asks the database.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kernel::{Micros, Problem, Secret, hex};
use parking_lot::Mutex;
use vault::db::SystemDb;
use vault::keys::keyed_hash;

use super::store::{self, Taken};
use crate::gcra::Quota;

/// A lease lasts this long: what was not used of it by then is lost to everybody, never granted twice.
const LEASE_US: i64 = 1_000_000;
/// Leases that are held at once. Beyond it every request asks the database.
const LEASE_COUNT_MAX: usize = 65_536;
/// How long the database may take, before each server grants its share by itself.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// What was taken and not used yet.
#[derive(Clone, Copy, Debug)]
struct Lease {
    left_count: u32,
    until: Micros,
}

/// The leases of this server.
pub(super) struct Leases {
    db: SystemDb,
    key: Secret,
    servers_count: u32,
    held: Mutex<HashMap<String, Lease>>,
    /// One request per rate asks; the others wait for what it brings.
    asking: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Leases {
    pub(super) fn new(db: SystemDb, secret: &Secret, servers_count: u32) -> Self {
        let key = Secret::new(keyed_hash(secret, b"strongroom shared rates v1").to_vec());
        Self { db, key, servers_count, held: Mutex::default(), asking: Mutex::default() }
    }

    pub(super) const fn servers_count(&self) -> u32 {
        self.servers_count
    }

    /// By what every server knows a rate: no address and no account stands in the database.
    pub(super) fn key(&self, parts: &[&[u8]]) -> String {
        let mut text = Vec::new();
        for part in parts {
            text.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend_from_slice(part);
        }
        hex(keyed_hash(&self.key, &text).get(..16).unwrap_or_default())
    }

    /// Takes one. Gives how many are left in this server's hands, or how long to wait.
    ///
    /// # Errors
    /// `Unavailable` if the database cannot be asked in time.
    pub(super) async fn take(&self, key: &str, quota: Quota, now: Micros) -> Result<Result<u32, Duration>, Problem> {
        if let Some(left_count) = self.take_held(key, now) {
            return Ok(Ok(left_count));
        }
        let turn = self.turn(key);
        let _turn = turn.lock().await;
        if let Some(left_count) = self.take_held(key, now) {
            return Ok(Ok(left_count));
        }
        let asked = tokio::time::timeout(WAIT_MAX, self.ask(key, quota, now)).await;
        asked.unwrap_or_else(|_| Err(Problem::unavailable("the database does not answer")))
    }

    fn turn(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut asking = self.asking.lock();
        if asking.len() >= LEASE_COUNT_MAX {
            asking.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(asking.entry(key.to_owned()).or_default())
    }

    /// Many at once where many are left, one where few are.
    async fn ask(&self, key: &str, quota: Quota, now: Micros) -> Result<Result<u32, Duration>, Problem> {
        let count = quota.lease_count(self.servers_count);
        let owned = key.to_owned();
        let taken = self.db.write(move |writer| {
            for count in [count, 1] {
                let taken = Taken { step_us: quota.interval_us() * i64::from(count), ahead_us_max: quota.ahead_us_max() };
                if store::take(writer, &owned, taken, now)? {
                    return Ok(Ok(count));
                }
            }
            Ok(Err(store::full_at(writer, &owned)?))
        });
        let count = match taken.await? {
            Ok(count) => count,
            Err(full_at) => return Ok(Err(quota.wait(full_at, now).unwrap_or(Duration::from_millis(1)))),
        };
        let left_count = count.saturating_sub(1);
        let mut held = self.held.lock();
        if held.len() < LEASE_COUNT_MAX || held.contains_key(key) {
            held.insert(key.to_owned(), Lease { left_count, until: Micros(now.0.saturating_add(LEASE_US)) });
        }
        Ok(Ok(left_count))
    }

    fn take_held(&self, key: &str, now: Micros) -> Option<u32> {
        let mut held = self.held.lock();
        let lease = held.get_mut(key)?;
        if lease.until <= now || lease.left_count == 0 {
            held.remove(key);
            return None;
        }
        lease.left_count -= 1;
        Some(lease.left_count)
    }

    /// One that was taken is not used after all.
    pub(super) fn give_back(&self, key: &str) {
        if let Some(lease) = self.held.lock().get_mut(key) {
            lease.left_count = lease.left_count.saturating_add(1);
        }
    }

    /// Forgets what has ended, here and in the database.
    pub(super) fn sweep(&self, now: Micros) {
        self.held.lock().retain(|_, lease| lease.until > now);
        self.asking.lock().retain(|_, turn| Arc::strong_count(turn) > 1);
        let db = self.db.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(problem) = db.write(move |writer| store::sweep(writer, now)).await {
                    tracing::warn!(%problem, "rates that are whole again could not be forgotten");
                }
            });
        }
    }
}
