//! The score. A pure function: facts in, 0 to 100 and the reasons out.

use std::borrow::Cow;

use gate::Risk;

use crate::raised::{Cause, Raise};

/// What is known about an attempt whose caller is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Recent failures from this address.
    pub(crate) address_failure_count: u32,
    /// Recent failures of this account from anywhere.
    pub(crate) account_failure_count: u32,
    /// The caller is known from elsewhere, but has come from this network for less than an hour.
    pub(crate) is_new_network: bool,
    /// The risk of the log-in behind the credential, as far as nothing that was shown outweighs it. It is no addend: the larger of both counts.
    pub(crate) log_in_risk: u8,
}

/// Each reason has its own ceiling, and all that strangers can do from outside alone stays below 90 together, from where a policy may forbid: it
/// never takes a known caller's rights away.
const STRANGERS_POINTS_MAX: u32 = 85;
const ADDRESS_POINTS_MAX: u32 = 30;
const ACCOUNT_POINTS_MAX: u32 = 35;
const NEW_NETWORK_POINTS: u32 = 20;

pub(crate) fn score(facts: Facts, raises: impl Iterator<Item = Raise>) -> Risk {
    let mut points = 0;
    let mut reasons: Vec<Cow<'static, str>> = Vec::new();
    if facts.address_failure_count > 0 {
        points += facts.address_failure_count.saturating_mul(3).min(ADDRESS_POINTS_MAX);
        reasons.push("failures_from_address".into());
    }
    if facts.account_failure_count > 0 {
        points += facts.account_failure_count.saturating_mul(3).min(ACCOUNT_POINTS_MAX);
        reasons.push("failures_of_account".into());
    }
    if facts.is_new_network {
        points += NEW_NETWORK_POINTS;
        reasons.push("new_network".into());
    }
    let mut own_points = 0;
    for raise in raises {
        match raise.cause {
            Cause::Strangers => points += u32::from(raise.points),
            Cause::Caller => own_points += u32::from(raise.points),
        }
        reasons.push(raise.reason);
    }
    let points = points.min(STRANGERS_POINTS_MAX) + own_points;
    let score = u8::try_from(points.min(100)).unwrap_or(100).max(facts.log_in_risk.min(100));
    if facts.log_in_risk > 0 {
        reasons.push("unusual_log_in".into());
    }
    Risk { score, reasons, locked_for: None }
}

#[cfg(test)]
mod tests {
    use kernel::Micros;

    use super::*;

    fn plain(facts: Facts) -> Risk {
        score(facts, std::iter::empty())
    }

    #[test]
    fn the_score_grows_with_each_fact_and_stays_below_what_a_policy_forbids() {
        assert_eq!(plain(Facts::default()), Risk::default());
        let new = plain(Facts { is_new_network: true, ..Facts::default() });
        assert!(new.score == 20 && new.reasons == ["new_network"], "{new:?}");
        let mut last = 0;
        for count in 0..1_000 {
            let all = plain(Facts {
                address_failure_count: count,
                account_failure_count: count,
                is_new_network: true,
                ..Facts::default()
            });
            assert!(all.score >= last && all.score < 90);
            last = all.score;
        }
        assert_eq!(last, 85);
    }

    #[test]
    fn raises_add_and_those_of_strangers_stay_below_what_a_policy_forbids() {
        let worst = Facts { address_failure_count: 99, account_failure_count: 99, is_new_network: true, ..Facts::default() };
        let raise = |points, cause| Raise { points, reason: "raised".into(), cause, until: Micros(1) };
        let by_strangers = score(worst, [raise(100, Cause::Strangers), raise(100, Cause::Strangers)].into_iter());
        assert_eq!((by_strangers.score, by_strangers.reasons.len()), (85, 5));
        assert_eq!(score(Facts::default(), [raise(40, Cause::Caller)].into_iter()).score, 40);
        assert_eq!(score(worst, [raise(40, Cause::Caller)].into_iter()).score, 100);
    }
}
