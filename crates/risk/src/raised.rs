//! What is known against somebody for a while: by detections, by another system's signal.

use std::borrow::Cow;

use kernel::Micros;

use crate::bounded::Aging;

/// Raises of one caller or session that are remembered at once.
const RAISE_COUNT_MAX: usize = 4;

/// Whose doing it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Strangers', from outside alone: guesses at the account, mostly. Whatever it is, it never takes a known caller's rights away.
    Strangers,
    /// The caller's own acts, or what somebody who may know says of the caller: a detection, an identity provider's signal.
    Caller,
}

impl Cause {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Strangers => "strangers",
            Self::Caller => "caller",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Strangers, Self::Caller].into_iter().find(|cause| cause.word() == word)
    }
}

/// A reason to trust somebody less for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raise {
    /// How much, of 100.
    pub points: u8,
    /// A stable word, or the name of the rule that found it. Different ones add up.
    pub reason: Cow<'static, str>,
    /// Whose doing it was.
    pub cause: Cause,
    /// Until when it counts.
    pub until: Micros,
}

/// All that is known against one caller or session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Raised([Option<Raise>; RAISE_COUNT_MAX]);

impl Raised {
    /// One more. The same reason again counts once, with the more of both; where there is no room the one that ends first goes.
    pub(crate) fn and(mut self, raise: Raise, now: Micros) -> Self {
        let is_same = |one: &Option<Raise>| {
            one.as_ref().is_some_and(|one| (&one.reason, one.cause) == (&raise.reason, raise.cause) && one.until > now)
        };
        if let Some(Some(same)) = self.0.iter_mut().find(|one| is_same(one)) {
            same.points = same.points.max(raise.points);
            same.until = same.until.max(raise.until);
            return self;
        }
        let ends_first = self.0.iter_mut().min_by_key(|one| one.as_ref().map(|one| one.until));
        if let Some(place) = ends_first {
            *place = Some(raise);
        }
        self
    }

    /// What still counts.
    pub(crate) fn live(&self, now: Micros) -> impl Iterator<Item = &Raise> {
        self.0.iter().flatten().filter(move |one| one.until > now)
    }
}

impl Aging for Raised {
    fn is_stale(&self, now: Micros) -> bool {
        self.live(now).next().is_none()
    }

    fn age_mark(&self) -> Micros {
        self.0.iter().flatten().map(|one| one.until).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raise(points: u8, reason: &'static str, until: i64) -> Raise {
        Raise { points, reason: reason.into(), cause: Cause::Caller, until: Micros(until) }
    }

    #[test]
    fn the_same_reason_counts_once_and_all_of_them_end() {
        let now = Micros(10);
        let raised = Raised::default().and(raise(20, "a", 100), now).and(raise(10, "a", 200), now).and(raise(5, "b", 50), now);
        assert_eq!(raised.live(now).map(|one| (one.points, &*one.reason)).collect::<Vec<_>>(), [(20, "a"), (5, "b")]);
        assert_eq!(raised.live(Micros(60)).count(), 1);
        assert!(raised.is_stale(Micros(200)) && !raised.is_stale(Micros(199)));
    }

    #[test]
    fn where_there_is_no_room_the_one_that_ends_first_goes() {
        let now = Micros(0);
        let reasons = ["a", "b", "c", "d", "e"];
        let raised = reasons
            .iter()
            .zip([50, 40, 30, 20, 60])
            .fold(Raised::default(), |all, (reason, until)| all.and(raise(1, reason, until), now));
        let mut live: Vec<&str> = raised.live(now).map(|one| &*one.reason).collect();
        live.sort_unstable();
        assert_eq!(live, ["a", "b", "c", "e"]);
    }
}
