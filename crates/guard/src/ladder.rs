//! Alarm → slower → coarser outputs → refusal, and back down again.

use std::time::Duration;

use crate::limits::{CALM_AFTER, REFUSAL, REFUSAL_MAX, SLOW_ROWS_PER_MINUTE};
use crate::{Micros, micros};

/// A step of the ladder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing is known against the caller.
    #[default]
    Calm,
    /// Noticed: recorded and shown, answered as ever.
    Alarm,
    /// Few rows a minute.
    Slower,
    /// And coarser outputs.
    Coarser,
    /// Nothing at all for a while.
    Refused,
}

impl Level {
    /// All, rising.
    pub const ALL: [Self; 5] = [Self::Calm, Self::Alarm, Self::Slower, Self::Coarser, Self::Refused];

    /// The word in records and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Alarm => "alarm",
            Self::Slower => "slower",
            Self::Coarser => "coarser",
            Self::Refused => "refused",
        }
    }

    /// The step behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.word() == word)
    }

    const fn above(self) -> Self {
        match self {
            Self::Calm => Self::Alarm,
            Self::Alarm => Self::Slower,
            Self::Slower => Self::Coarser,
            Self::Coarser | Self::Refused => Self::Refused,
        }
    }

    const fn below(self) -> Self {
        match self {
            Self::Calm | Self::Alarm => Self::Calm,
            Self::Slower => Self::Alarm,
            Self::Coarser => Self::Slower,
            Self::Refused => Self::Coarser,
        }
    }
}

/// Why a caller stands on a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Queries are nearly the same as earlier ones of the caller's own.
    NearOwn,
    /// As earlier ones of other callers from the same network.
    NearNetwork,
    /// As earlier ones of other callers of the endpoint, which all belong to its workspace.
    NearWorkspace,
    /// Queries are unlike the training data.
    Unlike,
    /// A person said so.
    Person,
}

impl Cause {
    /// The word in records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NearOwn => "near_queries",
            Self::NearNetwork => "near_queries_of_network",
            Self::NearWorkspace => "near_queries_of_workspace",
            Self::Unlike => "unlike_training_data",
            Self::Person => "throttled_by_a_person",
        }
    }

    /// The same for people.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::NearOwn => {
                "many queries are nearly the same as earlier ones, as those of attacks that feel for the model's border are"
            }
            Self::NearNetwork => "many queries are nearly the same as earlier ones of other callers from the same network",
            Self::NearWorkspace => "many queries are nearly the same as earlier ones of other callers",
            Self::Unlike => "many queries are unlike anything that the model was trained on",
            Self::Person => "somebody who runs this endpoint slowed the caller down",
        }
    }
}

/// Where a caller stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ladder {
    level: Level,
    cause: Option<Cause>,
    since: Micros,
    /// When something was last held against the caller.
    last: Micros,
    /// Until when the step holds whatever the caller does.
    until: Micros,
    refusal_count: u32,
    /// When the rows of a slowed caller are through.
    free_at: Micros,
}

impl Ladder {
    /// The step at `now`: steps are taken back with time.
    pub fn level(&mut self, now: Micros) -> Level {
        if self.cause == Some(Cause::Person) && now >= self.until {
            // A person said for how long: it is over then, without steps back.
            *self = Self::default();
        }
        while self.level > Level::Calm && now >= self.until.max(self.last.saturating_add(micros(CALM_AFTER))) {
            // From a refusal on, each step back takes its own time.
            self.last = self.until.max(self.last.saturating_add(micros(CALM_AFTER)));
            self.until = 0;
            self.level = self.level.below();
            self.since = self.last;
        }
        if self.level == Level::Calm {
            self.cause = None;
        }
        self.level
    }

    /// Why, and since when.
    #[must_use]
    pub const fn why(&self) -> Option<(Cause, Micros)> {
        match self.cause {
            Some(cause) => Some((cause, self.since)),
            None => None,
        }
    }

    /// One step up, for this reason, up to `most`.
    pub fn raise(&mut self, cause: Cause, most: Level, now: Micros) -> Level {
        let level = self.level(now);
        self.last = now;
        if level >= most {
            return level;
        }
        (self.level, self.cause, self.since) = (level.above(), Some(cause), now);
        if self.level == Level::Refused {
            let doubled = REFUSAL.saturating_mul(1 << self.refusal_count.min(16));
            self.until = now.saturating_add(micros(doubled.min(REFUSAL_MAX)));
            self.refusal_count = self.refusal_count.saturating_add(1);
        }
        self.level
    }

    /// Something more is held against the caller, not enough for a step.
    pub fn keep(&mut self, now: Micros) {
        if self.level(now) > Level::Calm {
            self.last = now;
        }
    }

    /// A person puts the caller on a step, for so long.
    pub fn put(&mut self, level: Level, duration: Duration, now: Micros) {
        let until = now.saturating_add(micros(duration));
        *self = Self { level, cause: Some(Cause::Person), since: now, last: now, until, ..*self };
        if level == Level::Calm {
            *self = Self::default();
        }
    }

    /// How long the present step lasts at least.
    pub fn remaining(&mut self, now: Micros) -> Duration {
        self.level(now);
        let calm_at = self.last.saturating_add(micros(CALM_AFTER));
        let end = if self.cause == Some(Cause::Person) { self.until } else { self.until.max(calm_at) };
        Duration::from_micros(u64::try_from(end.saturating_sub(now)).unwrap_or(0))
    }

    /// Takes rows of a slowed caller.
    ///
    /// # Errors
    /// The time to wait.
    pub fn take_slowly(&mut self, rows: u64, now: Micros) -> Result<(), Duration> {
        if self.free_at > now {
            return Err(Duration::from_micros(u64::try_from(self.free_at.saturating_sub(now)).unwrap_or(0)));
        }
        let row = 60_000_000 / i64::from(SLOW_ROWS_PER_MINUTE);
        self.free_at = now.saturating_add(row.saturating_mul(i64::try_from(rows).unwrap_or(i64::MAX)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Micros = 60_000_000;

    #[test]
    fn steps_rise_and_are_taken_back() {
        let mut ladder = Ladder::default();
        let steps: Vec<&str> = (0..5).map(|_| ladder.raise(Cause::NearOwn, Level::Refused, 0).word()).collect();
        assert_eq!(steps, ["alarm", "slower", "coarser", "refused", "refused"]);
        assert_eq!(ladder.why(), Some((Cause::NearOwn, 0)));
        assert_eq!(ladder.remaining(0), REFUSAL);
        let levels: Vec<Level> = [14, 15, 30, 45, 60].iter().map(|minute| ladder.level(minute * MINUTE)).collect();
        assert_eq!(levels, [Level::Refused, Level::Coarser, Level::Slower, Level::Alarm, Level::Calm]);
        assert_eq!(ladder.why(), None);
    }

    #[test]
    fn refusals_get_longer() {
        let mut ladder = Ladder::default();
        let mut now = 0;
        for expected in [15, 30, 60] {
            while ladder.raise(Cause::NearOwn, Level::Refused, now) != Level::Refused {}
            assert_eq!(ladder.remaining(now), Duration::from_secs(expected * 60));
            now += 24 * 60 * MINUTE;
            assert_eq!(ladder.level(now), Level::Calm);
        }
    }

    #[test]
    fn some_causes_go_only_so_far_and_a_person_decides_otherwise() {
        let mut ladder = Ladder::default();
        for _ in 0..9 {
            ladder.raise(Cause::Unlike, Level::Alarm, 0);
        }
        assert_eq!(ladder.level(0), Level::Alarm);
        ladder.put(Level::Refused, Duration::from_secs(3_600), 0);
        assert_eq!((ladder.level(59 * MINUTE), ladder.why().unwrap().0), (Level::Refused, Cause::Person));
        assert_eq!(ladder.remaining(0), Duration::from_secs(3_600), "as long as was said, be it less than what calms down");
        assert_eq!(ladder.level(60 * MINUTE), Level::Calm, "and then it is over");
        ladder.put(Level::Refused, Duration::from_secs(60), 0);
        assert_eq!((ladder.remaining(0), ladder.level(MINUTE)), (Duration::from_secs(60), Level::Calm));
        ladder.put(Level::Calm, Duration::ZERO, 0);
        assert_eq!((ladder.level(0), ladder.why()), (Level::Calm, None));
        assert!(Level::ALL.iter().all(|level| Level::parse(level.word()) == Some(*level)));
    }

    #[test]
    fn a_slowed_caller_gets_few_rows_a_minute() {
        let mut ladder = Ladder::default();
        ladder.take_slowly(30, 0).unwrap();
        assert_eq!(ladder.take_slowly(1, 10_000_000).unwrap_err(), Duration::from_secs(20));
        ladder.take_slowly(1, 30_000_000).unwrap();
    }
}
