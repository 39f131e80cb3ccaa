//! What this process remembers of credentials that were good a moment ago. All of it may be lost at any time.
//!
//! Caches must not decide access; this one may, for as long as a revocation is allowed to take: an entry is used for at most
//! half a second, and any change in this process that could revoke something drops all entries at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gate::{Attempt, Caller};
use kernel::{Micros, Secret, random_bytes};
use parking_lot::{Mutex, RwLock};

use crate::config::IdentityConfig;
use crate::ops::passwords::{GUESS_COUNT_MAX, GUESS_WAIT};
use crate::watch::Shown;

/// Credentials that are remembered as good.
const GOOD_COUNT_MAX: usize = 10_000;
/// Passwords that are remembered as verified.
const VERIFIED_COUNT_MAX: usize = 10_000;
/// Accounts whose wrong guesses of the current password are counted.
const GUESSED_COUNT_MAX: usize = 10_000;
/// Log-ins between their judgement and their session, and how long that takes at most.
const LOG_IN_COUNT_MAX: usize = 10_000;
const LOG_IN_US_MAX: i64 = 60_000_000;
/// Passwords that come with requests, by person, address and client, and how long their judgement counts.
const USUAL_COUNT_MAX: usize = 10_000;
const USUAL_US_MAX: i64 = 900_000_000;
/// Tokens and sessions whose last use waits to be written down.
const USE_COUNT_MAX: usize = 50_000;

/// A credential's name in memory: SHA-256 of a token, or a keyed hash of a name and password.
pub(crate) type CredentialKey = [u8; 32];

/// Which clock a use is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum UseOf {
    Token,
    Session,
}

/// Where in the sequence of changes a look-up began. What was looked up before a change is not remembered after it.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    generation: u64,
    at: Micros,
}

impl Moment {
    /// When that was.
    pub(crate) const fn at(self) -> Micros {
        self.at
    }
}

struct Good {
    caller: Caller,
    since: Moment,
    expires_at: Micros,
}

struct Verified {
    principal_id: String,
    epoch: i64,
    at: Micros,
}

pub(crate) struct Memory {
    generation: AtomicU64,
    good: RwLock<HashMap<CredentialKey, Good>>,
    verified: Mutex<HashMap<CredentialKey, Verified>>,
    uses: Mutex<HashMap<(UseOf, String), Micros>>,
    guesses: Mutex<HashMap<String, (u32, Micros)>>,
    usual: Mutex<HashMap<CredentialKey, (Micros, u8)>>,
    log_ins: Mutex<HashMap<(String, Micros), Shown>>,
    key: aws_lc_rs::hmac::Key,
    good_us_max: i64,
    verified_us_max: i64,
}

impl Memory {
    pub(crate) fn new(config: &IdentityConfig) -> Self {
        Self {
            generation: AtomicU64::new(0),
            good: RwLock::new(HashMap::new()),
            verified: Mutex::new(HashMap::new()),
            uses: Mutex::new(HashMap::new()),
            guesses: Mutex::new(HashMap::new()),
            usual: Mutex::new(HashMap::new()),
            log_ins: Mutex::new(HashMap::new()),
            key: aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &random_bytes::<32>()),
            good_us_max: i64::from(config.credential_cache_ms_max) * 1_000,
            verified_us_max: i64::from(config.password_memory_s_max) * 1_000_000,
        }
    }

    /// Something was revoked, disabled or regrouped: nothing that was known before counts any more.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Take this before a look-up in the database.
    pub(crate) fn moment(&self, at: Micros) -> Moment {
        Moment { generation: self.generation.load(Ordering::SeqCst), at }
    }

    /// The caller behind a credential that was good within the last half second.
    pub(crate) fn good(&self, key: &CredentialKey, now: Moment) -> Option<Caller> {
        let map = self.good.read();
        let found = map.get(key)?;
        let age = now.at.0.saturating_sub(found.since.at.0);
        // A clock that was set back makes an age negative; then the database is asked.
        let fresh = found.since.generation == now.generation && (0..self.good_us_max).contains(&age);
        if !fresh || now.at >= found.expires_at {
            return None;
        }
        Some(found.caller.clone())
    }

    pub(crate) fn remember_good(&self, key: CredentialKey, caller: &Caller, since: Moment, expires_at: Micros) {
        let mut map = self.good.write();
        if map.len() >= GOOD_COUNT_MAX {
            make_room(&mut map, |good| since.at.0.saturating_sub(good.since.at.0) < self.good_us_max);
        }
        map.insert(key, Good { caller: caller.clone(), since, expires_at });
    }

    /// A name for a password that means nothing outside this process.
    pub(crate) fn password_key(&self, name: &str, password: &Secret) -> CredentialKey {
        self.keyed(&[name.as_bytes(), password.expose()])
    }

    fn keyed(&self, parts: &[&[u8]]) -> CredentialKey {
        let mut context = aws_lc_rs::hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut key = [0_u8; 32];
        for (to, from) in key.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        key
    }

    /// Whether this password was verified for this principal within the last minute, and nothing has changed since.
    pub(crate) fn was_verified(&self, key: &CredentialKey, principal_id: &str, epoch: i64, now: Micros) -> bool {
        self.verified.lock().get(key).is_some_and(|verified| {
            let age = now.0.saturating_sub(verified.at.0);
            verified.principal_id == principal_id && verified.epoch == epoch && (0..self.verified_us_max).contains(&age)
        })
    }

    pub(crate) fn remember_verified(&self, key: CredentialKey, principal_id: String, epoch: i64, at: Micros) {
        if self.verified_us_max == 0 {
            return;
        }
        let mut map = self.verified.lock();
        if map.len() >= VERIFIED_COUNT_MAX {
            make_room(&mut map, |verified| at.0.saturating_sub(verified.at.0) < self.verified_us_max);
        }
        map.insert(key, Verified { principal_id, epoch, at });
    }

    /// How long an account must wait before its current password is checked again.
    pub(crate) fn guess_wait(&self, principal_id: &str, now: Micros) -> Option<Duration> {
        let (count, last) = self.guesses.lock().get(principal_id).copied()?;
        let passed = Duration::from_micros(u64::try_from(now.0.saturating_sub(last.0)).unwrap_or(0));
        let left = GUESS_WAIT.saturating_sub(passed);
        (count >= GUESS_COUNT_MAX && !left.is_zero()).then_some(left)
    }

    /// Counts a guess before it is checked, so that guesses at the same time count too.
    pub(crate) fn note_guess(&self, principal_id: &str, now: Micros) {
        let mut guesses = self.guesses.lock();
        if guesses.len() >= GUESSED_COUNT_MAX {
            make_room(&mut guesses, |(_, last)| now.0.saturating_sub(last.0) < 900_000_000);
        }
        let known = guesses.entry(principal_id.to_owned()).or_insert((0, now));
        let passed = Duration::from_micros(u64::try_from(now.0.saturating_sub(known.1.0)).unwrap_or(0));
        *known = if passed >= GUESS_WAIT { (1, now) } else { (known.0.saturating_add(1), now) };
    }

    /// The guess was right.
    pub(crate) fn forget_guesses(&self, principal_id: &str) {
        self.guesses.lock().remove(principal_id);
    }

    /// Keeps a log-in that was judged until its session begins, a moment later.
    pub(crate) fn keep_log_in(&self, shown: Shown) {
        let mut kept = self.log_ins.lock();
        if kept.len() >= LOG_IN_COUNT_MAX {
            kept.retain(|(_, at), _| shown.at.0.saturating_sub(at.0) < LOG_IN_US_MAX);
        }
        if kept.len() < LOG_IN_COUNT_MAX {
            kept.insert((shown.person.clone(), shown.at), shown);
        }
    }

    /// The log-in of this person at this moment, if it was judged.
    pub(crate) fn take_log_in(&self, person: &str, at: Micros) -> Option<Shown> {
        self.log_ins.lock().remove(&(person.to_owned(), at))
    }

    /// A name for a password that comes with requests from one address and client. It means nothing outside this process.
    pub(crate) fn usual_key(&self, person: &str, attempt: &Attempt) -> CredentialKey {
        let client = attempt.user_agent.as_deref().unwrap_or_default();
        let address = attempt.address.to_string();
        self.keyed(&[b"usual", person.as_bytes(), address.as_bytes(), client.as_bytes()])
    }

    /// The risk that is held against a password that came so, if it was judged within the last minutes.
    pub(crate) fn usual_risk(&self, key: &CredentialKey, now: Micros) -> Option<u8> {
        let known = self.usual.lock().get(key).copied();
        known.filter(|(at, _)| (0..USUAL_US_MAX).contains(&now.0.saturating_sub(at.0))).map(|(_, risk)| risk)
    }

    /// It was judged, and let in at this risk.
    pub(crate) fn note_usual(&self, key: CredentialKey, risk: u8, now: Micros) {
        let mut usual = self.usual.lock();
        if usual.len() >= USUAL_COUNT_MAX {
            make_room(&mut usual, |(at, _)| (0..USUAL_US_MAX).contains(&now.0.saturating_sub(at.0)));
        }
        usual.insert(key, (now, risk));
    }

    /// Notes a use, to be written down with the next [`Memory::take_uses`].
    pub(crate) fn note_use(&self, of: UseOf, id: &str, at: Micros) {
        let mut uses = self.uses.lock();
        let known = (of, id.to_owned());
        if uses.len() < USE_COUNT_MAX || uses.contains_key(&known) {
            uses.insert(known, at);
        }
    }

    /// When a session was last used, if that is not written down yet.
    pub(crate) fn last_use(&self, of: UseOf, id: &str) -> Option<Micros> {
        self.uses.lock().get(&(of, id.to_owned())).copied()
    }

    /// The uses since the last call.
    pub(crate) fn take_uses(&self) -> Vec<(UseOf, String, Micros)> {
        let uses = std::mem::take(&mut *self.uses.lock());
        uses.into_iter().map(|((of, id), at)| (of, id, at)).collect()
    }
}

/// Drops what is stale; if all of it is fresh, drops everything: it is only a memory.
fn make_room<K: Eq + Hash, V>(map: &mut HashMap<K, V>, is_fresh: impl Fn(&V) -> bool) {
    map.retain(|_, value| is_fresh(value));
    if map.len() * 4 > GOOD_COUNT_MAX.min(VERIFIED_COUNT_MAX) * 3 {
        map.clear();
    }
}
