//! The gate's question: how risky is this attempt?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use gate::{Action, Assess, Attempt, BoxFuture, Caller, CallerKind, Credential, Over, Risk, Verdict};
use kernel::{Allowance, Clock, Kind, Micros, Problem, Secret};
use vault::db::SystemDb;

use crate::bounded::{Aging, Bounded};
use crate::browser::{Browsers, KnownBrowser, Nonce};
use crate::config::RiskConfig;
use crate::gcra::{Quota, whole_seconds};
use crate::keys::{Key, Keyed, Network};
use crate::lock::Failures;
use crate::raised::{Raise, Raised};
use crate::rates::RateLimits;
use crate::rates::config::LimitsConfig;
use crate::score::{self, Facts};
use crate::store;

/// Addresses whose rates are counted, per kind of rate.
const ADDRESS_COUNT_MAX: usize = 65_536;
/// Accounts and credentials whose failures are counted.
const FAILURE_COUNT_MAX: usize = 65_536;
/// Tokens and sessions that are remembered as good.
const GOOD_COUNT_MAX: usize = 65_536;
/// Pairs of principal and network that are remembered.
const NETWORK_COUNT_MAX: usize = 65_536;

/// Callers and sessions against which something is known.
const RAISED_COUNT_MAX: usize = 65_536;

/// A token that was good is spared the address's limits for this long after its last use.
const GOOD_S: i64 = 86_400;
/// A network is forgotten when the principal has not come from it for this long.
const NETWORK_S: i64 = 90 * 86_400;
/// A network stays new for this long.
const NEW_NETWORK_S: i64 = 3_600;
/// A time of last use is written again only when it is older than this, so that most requests only read.
const REFRESH_S: i64 = 60;
/// How often stale entries are cleared away.
const SWEEP_S: i64 = 300;

/// Whether bytes have the form and checksum of a secret that the server made.
pub type IsSecretText = fn(&[u8]) -> bool;

/// Implements [`Assess`] with counters in memory.
pub struct Assessor {
    config: RiskConfig,
    clock: Arc<dyn Clock>,
    is_secret_text: IsSecretText,
    keyed: Keyed,
    browsers: Browsers,
    limits: RateLimits,
    failure_quota: Quota,
    token_quota: Quota,
    anonymous_quota: Quota,
    rates: Bounded<Rate>,
    failures: Bounded<Failures>,
    good: Bounded<Seen>,
    networks: Bounded<Seen>,
    raised: Bounded<Raised>,
    /// Whether `raised` may hold anything: most of the time it does not, and nobody looks.
    is_any_raised: AtomicBool,
    kept: Option<SystemDb>,
    swept_at: AtomicI64,
}

/// A rate's number; see [`Quota`].
#[derive(Clone, Copy)]
struct Rate(Micros);

impl Aging for Rate {
    fn is_stale(&self, now: Micros) -> bool {
        Quota::is_spent(self.0, now)
    }

    fn age_mark(&self) -> Micros {
        self.0
    }
}

impl Aging for Failures {
    fn is_stale(&self, now: Micros) -> bool {
        self.live_count(now) == 0
    }

    fn age_mark(&self) -> Micros {
        self.last
    }
}

/// When something was seen first and last.
#[derive(Clone, Copy)]
struct Seen {
    first: Micros,
    last: Micros,
    keep_s: i64,
}

impl Aging for Seen {
    fn is_stale(&self, now: Micros) -> bool {
        self.last.plus_secs(self.keep_s) < now
    }

    fn age_mark(&self) -> Micros {
        self.last
    }
}

/// What was brought, as far as failures are counted.
enum Brought<'a> {
    Nothing,
    /// A job of this process.
    Inside,
    /// A token or cookie of the right form: it cannot be guessed.
    Unguessable(&'a [u8]),
    /// A password for an account.
    Password(String),
    /// What a key or a provider signed: it cannot be guessed, and shows no secret by which it would be known again.
    Signed,
    /// Anything else.
    Noise,
}

impl Assessor {
    /// The port. `is_secret_text` comes from `identity`, whose form of secrets it is; by `secret` browsers are known again.
    ///
    /// # Errors
    /// `Invalid` for a configuration under which the room's promises would not hold.
    pub fn new(
        (config, limits): (RiskConfig, LimitsConfig),
        clock: Arc<dyn Clock>,
        is_secret_text: IsSecretText,
        secret: &Secret,
    ) -> Result<Self, Problem> {
        config.check()?;
        limits.check()?;
        Ok(Self {
            is_secret_text,
            keyed: Keyed::new(),
            browsers: Browsers::new(secret),
            limits: RateLimits::new(limits),
            failure_quota: Quota::new(config.failure_burst_count_max, config.failure_per_minute_count_max),
            token_quota: Quota::new(config.token_failure_burst_count_max, config.token_failure_per_minute_count_max),
            anonymous_quota: Quota::new(config.anonymous_burst_count_max, config.anonymous_per_minute_count_max),
            rates: Bounded::new(ADDRESS_COUNT_MAX),
            failures: Bounded::new(FAILURE_COUNT_MAX),
            good: Bounded::new(GOOD_COUNT_MAX),
            networks: Bounded::new(NETWORK_COUNT_MAX),
            raised: Bounded::new(RAISED_COUNT_MAX),
            is_any_raised: AtomicBool::new(false),
            kept: None,
            swept_at: AtomicI64::new(clock.now().0),
            config,
            clock,
        })
    }

    /// Has the rates of known callers counted in the database too, where several servers share it.
    #[must_use]
    pub fn with_shared_rates(mut self, db: SystemDb, secret: &Secret) -> Self {
        self.limits.share(db, secret);
        self
    }

    /// Has what is raised outlive the process, and reads what did.
    ///
    /// # Errors
    /// `Unavailable` if the database is down.
    pub async fn with_kept_raises(mut self, db: SystemDb) -> Result<Self, Problem> {
        let now = self.clock.now();
        for (who, raise) in db.read(move |reader| store::raises(reader, now)).await? {
            self.raise(&who, raise);
        }
        self.kept = Some(db);
        Ok(self)
    }

    /// Leaves a caller, or a single token or session of theirs, a request a second until then: `who` is the id of either.
    pub fn throttle(&self, who: &str, until: Micros) {
        self.limits.throttle(who, until, self.clock.now());
    }

    /// What a browser keeps in which the account of this name logged in just now, and which brought the mark `before`.
    #[must_use]
    pub fn browser_mark(&self, before: Option<&Secret>, name: &str) -> Secret {
        self.browsers.mark(before, name, self.clock.now())
    }

    /// Whether it came from a browser in which the account of this name logged in.
    #[must_use]
    pub fn knows_browser(&self, attempt: &Attempt, name: &str) -> bool {
        self.browser_of(attempt, name, self.clock.now()).is_some()
    }

    fn browser_of(&self, attempt: &Attempt, name: &str, now: Micros) -> Option<Nonce> {
        self.any_browser(attempt, now).and_then(|known| self.browsers.nonce_of(&known, name))
    }

    fn any_browser(&self, attempt: &Attempt, now: Micros) -> Option<KnownBrowser> {
        attempt.known_browser.as_ref().and_then(|mark| self.browsers.read(mark, now))
    }

    /// A known browser or device has a bucket of failures of its own.
    fn own_wait(&self, attempt: &Attempt, own: Key, now: Micros) -> Option<Duration> {
        let failures = self.failures.get(&own, now).unwrap_or_default();
        // A password can be guessed; what a key or a provider signed cannot, and is counted so that nobody floods.
        let free_count = match attempt.credential {
            Credential::LogIn { .. } | Credential::Basic { .. } => self.config.lock_free_count,
            _ => self.config.failure_burst_count_max,
        };
        failures.wait(free_count, self.config.lock_wait_s_max, now)
    }

    /// Where the failures of an attempt with a password, a passkey or a provider's word are counted, if its browser or device is known.
    fn own_bucket(&self, attempt: &Attempt, now: Micros) -> Option<Key> {
        let browser = match &attempt.credential {
            Credential::LogIn { username, .. } => self.browser_of(attempt, username, now),
            Credential::Passkey(_) | Credential::Federated(_) => self.any_browser(attempt, now).and_then(|known| known.nonce()),
            _ => None,
        };
        browser.map(|nonce| self.keyed.key("browser", &[&nonce])).or_else(|| self.device_bucket(attempt, now))
    }

    /// Of a device with a certificate with which this account was known before: who has another device, or none, is a stranger to it.
    fn device_bucket(&self, attempt: &Attempt, now: Micros) -> Option<Key> {
        let Brought::Password(name) = self.brought(&attempt.credential) else { return None };
        let known = self.device_key(attempt, &name)?;
        self.good.get(&known, now).map(|_| known)
    }

    fn device_key(&self, attempt: &Attempt, name: &str) -> Option<Key> {
        let certificate = attempt.client_certificate.as_ref().filter(|_| !name.is_empty())?;
        Some(self.keyed.key("device", &[certificate, name.as_bytes()]))
    }

    /// Trusts a caller, or a single token or session of theirs, less for a while, whether the process ends meanwhile or not: `who` is the id of
    /// either. It counts from the next request on.
    ///
    /// # Errors
    /// `Unavailable` if the database is down; then it counts until the process ends.
    pub async fn raise_and_keep(&self, who: &str, raise: Raise) -> Result<(), Problem> {
        self.raise(who, raise.clone());
        let (Some(db), who, now) = (&self.kept, who.to_owned(), self.clock.now()) else { return Ok(()) };
        db.write(move |writer| store::put_raise(writer, &who, &raise, now)).await
    }

    /// Holds against a session what is held against the token or session that it was begun with.
    ///
    /// # Errors
    /// `Unavailable` if the database is down; then it counts until the process ends.
    pub async fn inherit(&self, session: &str, from: &str) -> Result<(), Problem> {
        let now = self.clock.now();
        let Some(raised) = self.raised.get(&self.raised_key(from), now) else { return Ok(()) };
        for raise in raised.live(now) {
            self.raise_and_keep(session, raise.clone()).await?;
        }
        Ok(())
    }

    fn raise(&self, who: &str, raise: Raise) {
        let now = self.clock.now();
        if raise.until > now {
            self.raised.change(self.raised_key(who), now, |known| Some(known.unwrap_or_default().and(raise, now)));
            self.is_any_raised.store(true, Ordering::Release);
        }
    }

    fn raised_key(&self, who: &str) -> Key {
        self.keyed.key("raised", &[who.as_bytes()])
    }

    fn raises(&self, caller: &Caller, now: Micros) -> impl Iterator<Item = Raise> {
        let is_any = self.is_any_raised.load(Ordering::Acquire);
        let find = |who: &str| self.raised.get(&self.raised_key(who), now);
        let of_caller = is_any.then(|| find(&caller.id)).flatten();
        let of_token = caller.token.as_ref().filter(|_| is_any).and_then(|token| find(&token.id));
        of_caller.into_iter().chain(of_token).flat_map(move |raised| raised.live(now).cloned().collect::<Vec<_>>())
    }

    fn brought<'a>(&self, credential: &'a Credential) -> Brought<'a> {
        match credential {
            Credential::None => Brought::Nothing,
            Credential::Job(_) => Brought::Inside,
            Credential::Malformed => Brought::Noise,
            Credential::Bearer(secret) | Credential::Session(secret) | Credential::Device(secret)
                if (self.is_secret_text)(secret.expose()) =>
            {
                Brought::Unguessable(secret.expose())
            }
            Credential::Code(shown) if (self.is_secret_text)(shown.code.expose()) => Brought::Unguessable(shown.code.expose()),
            Credential::Bearer(_) | Credential::Session(_) | Credential::Device(_) | Credential::Code(_) => Brought::Noise,
            // The id of a key is no secret, nor is a certificate: who names one wrongly must not be able to lock its holder out.
            Credential::Signed(_) | Credential::Certificate | Credential::Exchange(_) | Credential::Statement(_) => {
                Brought::Signed
            }
            // Whose it is stands in what was signed; nobody can guess it, or lock anybody out with it.
            Credential::Passkey(_) | Credential::Federated(_) => Brought::Signed,
            // A token sent as a password is a token, whatever the user name says.
            Credential::Basic { password, .. } | Credential::LogIn { password, .. }
                if (self.is_secret_text)(password.expose()) =>
            {
                Brought::Unguessable(password.expose())
            }
            Credential::Basic { username, .. } | Credential::LogIn { username, .. } => {
                Brought::Password(username.to_ascii_lowercase())
            }
        }
    }

    /// The lock on one account: in this network, and everywhere unless the account logged in from this network lately.
    fn lock_wait(&self, name: &str, network: Network, now: Micros) -> Option<Duration> {
        let (here, everywhere) = (self.failures_here(name, network, now), self.failures_of(name, now));
        let wait_here = here.wait(self.config.lock_free_count, self.config.lock_wait_s_max, now);
        let spared = self.good.get(&self.keyed.in_network("login", network, name.as_bytes()), now).is_some();
        if spared {
            return wait_here;
        }
        wait_here.max(everywhere.wait(self.config.lock_everywhere_free_count, self.config.lock_wait_s_max, now))
    }

    fn failures_here(&self, name: &str, network: Network, now: Micros) -> Failures {
        self.failures.get(&self.keyed.in_network("here", network, name.as_bytes()), now).unwrap_or_default()
    }

    fn failures_of(&self, name: &str, now: Micros) -> Failures {
        self.failures.get(&self.keyed.key("everywhere", &[name.as_bytes()]), now).unwrap_or_default()
    }

    fn count_failure(&self, key: Key, now: Micros) {
        self.failures.change(key, now, |known| Some(known.unwrap_or_default().and_one(now)));
    }

    fn over(&self, quota: Quota, key: &Key, now: Micros) -> Result<(), Problem> {
        let full_at = self.rates.get(key, now).map_or(Micros(0), |rate| rate.0);
        quota.wait(full_at, now).map_or(Ok(()), |wait| Err(too_many("too many failed attempts from this address", wait)))
    }

    fn take(&self, quota: Quota, key: Key, now: Micros) {
        self.rates.change(key, now, |known| Some(Rate(quota.take(known.map_or(Micros(0), |rate| rate.0), now))));
    }

    fn see(&self, map: &Bounded<Seen>, key: Key, keep_s: i64, now: Micros) {
        let fresh = map.get(&key, now).is_some_and(|seen| seen.last.plus_secs(REFRESH_S) > now);
        if !fresh {
            map.change(key, now, |known| Some(Seen { first: known.map_or(now, |seen| seen.first), last: now, keep_s }));
        }
    }

    fn learn_good(&self, attempt: &Attempt, caller: &Caller, now: Micros) {
        // A certificate is renewed every day: whatever its device shows with it keeps the account known there.
        if let Some(known) = self.device_key(attempt, &caller.name.to_ascii_lowercase()) {
            self.see(&self.good, known, NETWORK_S, now);
        }
        if let Some(own) = self.own_bucket(attempt, now) {
            self.failures.change(own, now, |_| None);
        }
        let network = Network::of(attempt.address);
        match self.brought(&attempt.credential) {
            Brought::Unguessable(secret) => self.see(&self.good, self.keyed.key("good", &[secret]), GOOD_S, now),
            Brought::Password(name) => {
                self.see(&self.good, self.keyed.in_network("login", network, name.as_bytes()), NETWORK_S, now);
                let here = self.keyed.in_network("here", network, name.as_bytes());
                if self.failures.get(&here, now).is_some() {
                    // Only failures in a row count here. Those from everywhere just age: else an attacker could go on for as
                    // long as the owner logs in now and then.
                    self.failures.change(here, now, |_| None);
                }
            }
            Brought::Nothing | Brought::Inside | Brought::Signed | Brought::Noise => return,
        }
        let id = caller.id.as_bytes();
        self.see(&self.networks, self.keyed.in_network("network", network, id), NETWORK_S, now);
        self.see(&self.networks, self.keyed.key("any_network", &[id]), NETWORK_S, now);
    }

    fn learn_refused(&self, attempt: &Attempt, now: Micros) {
        if let Some(own) = self.own_bucket(attempt, now) {
            return self.count_failure(own, now);
        }
        let failed = self.keyed.address("failed", attempt.address);
        match self.brought(&attempt.credential) {
            Brought::Nothing | Brought::Inside => return,
            Brought::Unguessable(_) | Brought::Signed => {
                return self.take(self.token_quota, self.keyed.address("token_failed", attempt.address), now);
            }
            Brought::Noise => {}
            Brought::Password(name) => {
                self.count_failure(self.keyed.in_network("here", Network::of(attempt.address), name.as_bytes()), now);
                self.count_failure(self.keyed.key("everywhere", &[name.as_bytes()]), now);
            }
        }
        self.take(self.failure_quota, failed, now);
        self.count_failure(self.keyed.address("address", attempt.address), now);
    }

    /// New: the principal came from elsewhere before it came from here, and from here for less than an hour.
    fn is_new_network(&self, attempt: &Attempt, caller: &Caller, now: Micros) -> bool {
        let id = caller.id.as_bytes();
        let here = self.networks.get(&self.keyed.in_network("network", Network::of(attempt.address), id), now);
        let anywhere = self.networks.get(&self.keyed.key("any_network", &[id]), now);
        match (here, anywhere) {
            (Some(here), Some(anywhere)) => here.first > anywhere.first && here.first.plus_secs(NEW_NETWORK_S) > now,
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }

    fn sweep_now_and_then(&self, now: Micros) {
        let last = self.swept_at.load(Ordering::Relaxed);
        let due = now.0.saturating_sub(last) > SWEEP_S * 1_000_000;
        if due && self.swept_at.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.rates.sweep(now);
            self.failures.sweep(now);
            self.good.sweep(now);
            self.networks.sweep(now);
            self.raised.sweep(now);
            self.limits.sweep(now);
        }
    }
}

impl Assess for Assessor {
    fn may_knock(&self, attempt: &Attempt) -> Result<(), Problem> {
        let now = self.clock.now();
        if let Some(own) = self.own_bucket(attempt, now) {
            // Strangers who guess at the same account, or from the same address, are counted elsewhere.
            let over = |wait| Err(too_many("too many failed attempts with this browser or device", wait));
            return self.own_wait(attempt, own, now).map_or(Ok(()), over);
        }
        match self.brought(&attempt.credential) {
            Brought::Inside => Ok(()),
            Brought::Nothing => {
                let key = self.keyed.address("anonymous", attempt.address);
                self.over(self.anonymous_quota, &key, now)?;
                self.take(self.anonymous_quota, key, now);
                Ok(())
            }
            Brought::Unguessable(secret) => {
                let over = self.over(self.token_quota, &self.keyed.address("token_failed", attempt.address), now);
                // A neighbour behind the same address must not cost a good token its way in.
                over.or_else(|problem| self.good.get(&self.keyed.key("good", &[secret]), now).map(drop).ok_or(problem))
            }
            // Whoever guesses passwords behind the same address costs no key its way in.
            Brought::Signed => self.over(self.token_quota, &self.keyed.address("token_failed", attempt.address), now),
            Brought::Noise => self.over(self.failure_quota, &self.keyed.address("failed", attempt.address), now),
            Brought::Password(name) => {
                if let Some(wait) = self.lock_wait(&name, Network::of(attempt.address), now) {
                    return Err(too_many("too many failed attempts for this account", wait));
                }
                self.over(self.failure_quota, &self.keyed.address("failed", attempt.address), now)
            }
        }
    }

    fn assess(&self, attempt: &Attempt, caller: &Caller) -> Risk {
        if !matches!(caller.kind, CallerKind::User | CallerKind::Service) {
            return Risk::default();
        }
        let now = self.clock.now();
        let (mut account_failure_count, mut locked_for) = (0, None);
        if let Some(own) = self.own_bucket(attempt, now) {
            locked_for = self.own_wait(attempt, own, now);
        } else if let Brought::Password(name) = self.brought(&attempt.credential) {
            account_failure_count = self.failures_of(&name, now).live_count(now);
            locked_for = self.lock_wait(&name, Network::of(attempt.address), now);
        }
        let by_address = self.failures.get(&self.keyed.address("address", attempt.address), now).unwrap_or_default();
        let facts = Facts {
            address_failure_count: by_address.live_count(now),
            account_failure_count,
            is_new_network: self.is_new_network(attempt, caller, now),
            log_in_risk: caller.log_in_risk,
        };
        Risk { locked_for, ..score::score(facts, self.raises(caller, now)) }
    }

    fn learn(&self, attempt: &Attempt, verdict: Verdict<'_>) {
        let now = self.clock.now();
        match verdict {
            Verdict::Known(caller) => self.learn_good(attempt, caller, now),
            Verdict::Refused => self.learn_refused(attempt, now),
        }
        self.sweep_now_and_then(now);
    }

    fn take<'a>(
        &'a self,
        attempt: &'a Attempt,
        caller: &'a Caller,
        action: Action,
    ) -> BoxFuture<'a, Result<Option<Allowance>, Over>> {
        self.limits.take(attempt, caller, action, self.clock.now())
    }

    fn take_in<'a>(
        &'a self,
        workspace: &'a str,
        caller: &'a Caller,
        action: Action,
        known: Option<Allowance>,
    ) -> BoxFuture<'a, Result<Option<Allowance>, Over>> {
        self.limits.take_in(workspace, caller, action, (known, self.clock.now()))
    }
}

fn too_many(what: &str, wait: Duration) -> Problem {
    let wait_s = whole_seconds(wait);
    Problem::new(Kind::TooMany, format!("{what}; try again in {wait_s} s")).retry_after(Duration::from_secs(wait_s.into()))
}

#[cfg(test)]
mod tests;
