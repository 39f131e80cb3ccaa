//! Service objectives: alerts by several burn rates over several windows (Google's Site Reliability Workbook, chapter 5, table 5-8).

use serde::{Deserialize, Serialize};

/// What share of requests must be good, over 30 days.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Such as 0.999.
    pub good_share: f64,
}

/// One rule: both windows must burn the budget of errors at least so fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BurnRule {
    /// The long window, in minutes: that it matters.
    pub long_minutes: u32,
    /// The short window, in minutes: that it still goes on.
    pub short_minutes: u32,
    /// How many times as fast as the budget allows, in tenths.
    pub rate_tenths: u32,
    /// Whether somebody is to be woken.
    pub is_urgent: bool,
}

/// The workbook's rules for an objective over 30 days.
pub const BURN_RULES: [BurnRule; 3] = [
    BurnRule { long_minutes: 60, short_minutes: 5, rate_tenths: 144, is_urgent: true },
    BurnRule { long_minutes: 360, short_minutes: 30, rate_tenths: 60, is_urgent: true },
    BurnRule { long_minutes: 4_320, short_minutes: 360, rate_tenths: 10, is_urgent: false },
];

/// A rule that holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burn {
    /// Which.
    pub rule: BurnRule,
    /// The burn rate of the long window.
    pub rate: f64,
    /// At this rate the budget of 30 days is gone in so many minutes.
    pub gone_in_minutes: f64,
}

/// The first rule that holds; `counts` gives the bad and all requests of the last minutes.
pub fn burning(objective: Objective, counts: impl Fn(u32) -> (u64, u64)) -> Option<Burn> {
    let budget = 1.0 - objective.good_share;
    let rate_of = |minutes: u32| {
        let (bad, all) = counts(minutes);
        // A share that is exactly at the limit must not miss it by rounding.
        if all == 0 { 0.0 } else { bad as f64 / all as f64 / budget * (1.0 + 1e-9) }
    };
    BURN_RULES.into_iter().find_map(|rule| {
        let at_least = f64::from(rule.rate_tenths) / 10.0;
        let rate = rate_of(rule.long_minutes);
        let holds = rate >= at_least && rate_of(rule.short_minutes) >= at_least;
        // One bad request among three is no burn.
        let (bad, _) = counts(rule.long_minutes);
        (holds && bad >= 5).then(|| Burn { rule, rate, gone_in_minutes: 30.0 * 1_440.0 / rate.max(1e-9) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bad_per_minute: impl Fn(u32) -> u64, expected: Option<u32>) {
        let counts = |minutes: u32| ((0..minutes).map(&bad_per_minute).sum(), u64::from(minutes) * 1_000);
        let burn = burning(Objective { good_share: 0.999 }, counts);
        assert_eq!(burn.map(|burn| burn.rule.long_minutes), expected, "{burn:?}");
    }

    #[test]
    fn each_rule_calls_what_it_is_for() {
        check(|_| 0, None);
        check(|_| 1, Some(4_320));
        check(|minute| u64::from(minute % 2 == 0), None);
        check(|_| 6, Some(360));
        check(|_| 15, Some(60));
        // Twenty minutes of a tenth bad.
        check(|ago| if ago < 20 { 100 } else { 0 }, Some(60));
        // It is over.
        check(|ago| if (40..60).contains(&ago) { 100 } else { 0 }, None);
    }

    #[test]
    fn it_says_when_the_budget_is_gone_and_few_requests_call_nothing() {
        let burn = burning(Objective { good_share: 0.999 }, |_| (20, 1_000)).unwrap();
        assert!((burn.rate - 20.0).abs() < 1e-6 && (burn.gone_in_minutes - 2_160.0).abs() < 1e-3);
        assert_eq!(burning(Objective { good_share: 0.999 }, |_| (1, 3)), None);
        assert_eq!(burning(Objective { good_share: 0.999 }, |_| (0, 0)), None);
    }
}
