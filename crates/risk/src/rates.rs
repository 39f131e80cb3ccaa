//! How often known callers may ask: rates per address, account, token and workspace, each by the kind of what is asked.
//!
//! The rates are the generic cell rate algorithm ([`Quota`]). One server counts in memory, which is exact. Several servers on one database
//! take their turns from a row per rate, many at a time ([`leases`]): all of them together never grant more than the rate allows. Where
//! that row cannot be reached, each server grants its share of the rate from memory, never more.

pub(crate) mod config;
mod leases;
mod store;

use std::time::Duration;

use gate::{Access, Action, Attempt, BoxFuture, Caller, CallerKind, Over};
use kernel::{Allowance, Micros, Problem, Secret};
use vault::db::SystemDb;

use crate::bounded::{Aging, Bounded};
use crate::gcra::{Quota, whole_seconds};
use crate::keys::{Key, Keyed, Network};
use config::{LimitsConfig, Of, Rate};
use leases::Leases;

/// Rates that are counted at once.
const RATE_COUNT_MAX: usize = 131_072;
/// A rate that stays used up is written down again after this long.
const NEWS_EVERY_S: i64 = 60;
/// Who is slowed down.
const THROTTLED_COUNT_MAX: usize = 65_536;
/// What is left to whoever was slowed down by a detection.
const THROTTLED: Rate = Rate { burst_count_max: 10, per_minute_count_max: 60 };

/// What kind of thing is asked. Their words name the rates in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    SignIn,
    Read,
    Write,
    Predict,
}

impl Class {
    fn of(action: Action) -> Self {
        match (action.name, action.access) {
            ("sessions.create" | "tokens.exchange", _) => Self::SignIn,
            ("endpoints.predict", _) => Self::Predict,
            (_, Access::Read) => Self::Read,
            (_, Access::Write) => Self::Write,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Read => "read",
            Self::Write => "write",
            Self::Predict => "predict",
        }
    }

    const fn of_rates(self, rates: &config::Rates) -> Rate {
        match self {
            Self::SignIn => rates.sign_in,
            Self::Read => rates.read,
            Self::Write => rates.write,
            Self::Predict => rates.predict,
        }
    }
}

/// One rate as it stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    full_at: Micros,
    told_at: Micros,
}

impl Aging for Counted {
    fn is_stale(&self, now: Micros) -> bool {
        Quota::is_spent(self.full_at, now) && self.told_at.plus_secs(NEWS_EVERY_S) < now
    }

    fn age_mark(&self) -> Micros {
        self.full_at.max(self.told_at)
    }
}

#[derive(Clone, Copy)]
struct Until(Micros);

impl Aging for Until {
    fn is_stale(&self, now: Micros) -> bool {
        self.0 <= now
    }

    fn age_mark(&self) -> Micros {
        self.0
    }
}

/// A rate that a request takes one from.
struct Wanted {
    name: &'static str,
    quota: Quota,
    key: Key,
    /// The key by which all servers know it.
    shared: String,
}

/// Counts.
pub(crate) struct RateLimits {
    config: LimitsConfig,
    keyed: Keyed,
    counted: Bounded<Counted>,
    throttled: Bounded<Until>,
    leases: Option<Leases>,
}

impl RateLimits {
    pub(crate) fn new(config: LimitsConfig) -> Self {
        Self {
            config,
            keyed: Keyed::new(),
            counted: Bounded::new(RATE_COUNT_MAX),
            throttled: Bounded::new(THROTTLED_COUNT_MAX),
            leases: None,
        }
    }

    /// Has the database count too, where several servers share it.
    pub(crate) fn share(&mut self, db: SystemDb, secret: &Secret) {
        if self.config.servers_count > 1 {
            self.leases = Some(Leases::new(db, secret, self.config.servers_count));
        }
    }

    /// Leaves little to a caller, or to one token or session of theirs, until then.
    pub(crate) fn throttle(&self, who: &str, until: Micros, now: Micros) {
        self.throttled.change(self.keyed.key("throttled", &[who.as_bytes()]), now, |known| {
            Some(Until(known.map_or(until, |known| known.0.max(until))))
        });
    }

    fn is_throttled(&self, who: &str, now: Micros) -> bool {
        self.throttled.get(&self.keyed.key("throttled", &[who.as_bytes()]), now).is_some()
    }

    pub(crate) fn sweep(&self, now: Micros) {
        self.counted.sweep(now);
        self.throttled.sweep(now);
        if let Some(leases) = &self.leases {
            leases.sweep(now);
        }
    }

    /// As [`gate::Assess::take`].
    pub(crate) fn take<'a>(
        &'a self,
        attempt: &'a Attempt,
        caller: &'a Caller,
        action: Action,
        now: Micros,
    ) -> BoxFuture<'a, Result<Option<Allowance>, Over>> {
        self.take_each(self.wanted(attempt, caller, action, now), now)
    }

    /// As [`gate::Assess::take_in`].
    pub(crate) fn take_in<'a>(
        &'a self,
        workspace: &str,
        caller: &Caller,
        action: Action,
        (known, now): (Option<Allowance>, Micros),
    ) -> BoxFuture<'a, Result<Option<Allowance>, Over>> {
        if !matches!(caller.kind, CallerKind::User | CallerKind::Service) {
            return Box::pin(std::future::ready(Ok(known)));
        }
        let taken = self.take_each(vec![self.of(Of::Workspace, Class::of(action), workspace.as_bytes())], now);
        Box::pin(async move { Ok(taken.await?.map(|allowance| tighter(known, allowance)).or(known)) })
    }

    fn take_each(&self, wanted: Vec<Wanted>, now: Micros) -> BoxFuture<'_, Result<Option<Allowance>, Over>> {
        match &self.leases {
            None => Box::pin(std::future::ready(self.take_here(&wanted, now))),
            Some(leases) => Box::pin(self.take_shared(leases, wanted, now)),
        }
    }

    fn wanted(&self, attempt: &Attempt, caller: &Caller, action: Action, now: Micros) -> Vec<Wanted> {
        // Strangers are counted by address before; what this process does by itself is not counted.
        if !matches!(caller.kind, CallerKind::User | CallerKind::Service) {
            return Vec::new();
        }
        let class = Class::of(action);
        let token = caller.token.as_ref().map(|token| token.id.as_bytes());
        let address = Network::of_one(attempt.address);
        let parts: [(Of, Option<&[u8]>); 3] =
            [(Of::Token, token), (Of::Account, Some(caller.id.as_bytes())), (Of::Address, Some(address.bytes()))];
        let mut wanted: Vec<Wanted> = parts.into_iter().filter_map(|(kind, part)| Some(self.of(kind, class, part?))).collect();
        for who in [Some(caller.id.as_str()), caller.token.as_ref().map(|token| token.id.as_str())].into_iter().flatten() {
            if self.is_throttled(who, now) {
                wanted.push(self.one("throttled", THROTTLED, &[b"throttled", who.as_bytes()]));
            }
        }
        wanted
    }

    fn of(&self, of: Of, class: Class, part: &[u8]) -> Wanted {
        let rate = class.of_rates(self.config.of(of));
        self.one(of.name(class), rate, &[of.word().as_bytes(), class.word().as_bytes(), part])
    }

    fn one(&self, name: &'static str, rate: Rate, parts: &[&[u8]]) -> Wanted {
        let quota = Quota::new(rate.burst_count_max, rate.per_minute_count_max);
        let shared = self.leases.as_ref().map(|leases| leases.key(parts)).unwrap_or_default();
        Wanted { name, quota, key: self.keyed.key("rate", parts), shared }
    }

    fn take_here(&self, wanted: &[Wanted], now: Micros) -> Result<Option<Allowance>, Over> {
        let mut tightest: Option<Allowance> = None;
        for (at, one) in wanted.iter().enumerate() {
            match self.take_one(one, one.quota, now) {
                Ok(allowance) => tightest = Some(tighter(tightest, allowance)),
                Err(over) => {
                    for taken in wanted.iter().take(at) {
                        self.give_back(taken, taken.quota, now);
                    }
                    return Err(over);
                }
            }
        }
        Ok(tightest)
    }

    async fn take_shared(&self, leases: &Leases, wanted: Vec<Wanted>, now: Micros) -> Result<Option<Allowance>, Over> {
        let mut tightest: Option<Allowance> = None;
        // What a lease gave; what this server granted by itself is none of the leases'.
        let mut taken: Vec<&Wanted> = Vec::new();
        for one in &wanted {
            let got = match leases.take(&one.shared, one.quota, now).await {
                Ok(Ok(remaining_count)) => {
                    taken.push(one);
                    Ok(one.quota.allowance(one.name, remaining_count))
                }
                Ok(Err(wait)) => Err(self.refused(one, wait, now)),
                Err(problem) => {
                    tracing::warn!(%problem, "the shared rates cannot be reached: each server grants its share");
                    self.take_one(one, one.quota.share(leases.servers_count()), now)
                }
            };
            match got {
                Ok(allowance) => tightest = Some(tighter(tightest, allowance)),
                Err(over) => {
                    for one in taken {
                        leases.give_back(&one.shared);
                    }
                    return Err(over);
                }
            }
        }
        Ok(tightest)
    }

    fn take_one(&self, one: &Wanted, quota: Quota, now: Micros) -> Result<Allowance, Over> {
        let mut waits = None;
        let changed = self.counted.change(one.key, now, |known| {
            let known = known.unwrap_or_default();
            waits = quota.wait(known.full_at, now);
            Some(if waits.is_some() { known } else { Counted { full_at: quota.take(known.full_at, now), ..known } })
        });
        match waits {
            Some(wait) => Err(self.refused(one, wait, now)),
            None => Ok(quota.allowance(one.name, quota.remaining(changed.unwrap_or_default().full_at, now))),
        }
    }

    fn give_back(&self, one: &Wanted, quota: Quota, now: Micros) {
        self.counted
            .change(one.key, now, |known| known.map(|known| Counted { full_at: quota.give_back(known.full_at), ..known }));
    }

    fn refused(&self, one: &Wanted, wait: Duration, now: Micros) -> Over {
        let mut is_news = false;
        self.counted.change(one.key, now, |known| {
            let known = known.unwrap_or_default();
            is_news = known.told_at.plus_secs(NEWS_EVERY_S) < now;
            Some(if is_news { Counted { told_at: now, ..known } } else { known })
        });
        let wait_s = whole_seconds(wait);
        let allowance = one.quota.allowance(one.name, 0);
        let message = format!("the rate `{}` is used up; try again in {wait_s} s", one.name);
        Over {
            problem: Problem::over_rate(message, Allowance { reset_s: wait_s, ..allowance }, Duration::from_secs(wait_s.into())),
            is_news,
        }
    }
}

fn tighter(known: Option<Allowance>, other: Allowance) -> Allowance {
    let share = |one: &Allowance| u64::from(one.remaining_count) * 1_000_000 / u64::from(one.quota_count.max(1));
    known.filter(|known| share(known) <= share(&other)).unwrap_or(other)
}

#[cfg(test)]
mod tests;
