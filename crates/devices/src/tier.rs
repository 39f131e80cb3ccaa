//! How far a device is trusted. Values in, values out.

use kernel::Micros;

/// How old the last report may be.
pub const REPORT_SECONDS_MAX: i64 = 24 * 3_600;
/// How old the last attestation may be.
const ATTESTED_SECONDS_MAX: i64 = 7 * 86_400;

/// What the tier of a device that counts depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) reported_at: Option<Micros>,
    pub(crate) compliant: bool,
    pub(crate) attested_at: Option<Micros>,
    pub(crate) is_vouched: bool,
}

/// 1: it holds a registered key. 2: and its report of the last 24 hours says that it is in order. 3: and its key is in a TPM that is vouched for.
pub(crate) fn tier(standing: Standing, now: Micros) -> u8 {
    // What happened in the future is nothing that a clock can be trusted with.
    let within = |at: Option<Micros>, seconds: i64| at.is_some_and(|at| at <= now && now < at.plus_secs(seconds));
    if !standing.compliant || !within(standing.reported_at, REPORT_SECONDS_MAX) {
        return 1;
    }
    if standing.is_vouched && within(standing.attested_at, ATTESTED_SECONDS_MAX) { 3 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tier_takes_all_that_the_one_below_takes() {
        let hour = |hours: i64| Micros(0).plus_secs(hours * 3_600);
        let full = Standing { reported_at: Some(hour(0)), compliant: true, attested_at: Some(hour(0)), is_vouched: true };
        assert_eq!(tier(full, hour(0)), 3);
        assert_eq!(tier(full, hour(23)), 3);
        assert_eq!(tier(full, hour(24)), 1, "a device that stops reporting");
        assert_eq!(tier(Standing { compliant: false, ..full }, hour(1)), 1);
        assert_eq!(tier(Standing { reported_at: None, ..full }, hour(1)), 1);
        assert_eq!(tier(Standing { is_vouched: false, ..full }, hour(1)), 2);
        assert_eq!(tier(Standing { attested_at: None, ..full }, hour(1)), 2);
        assert_eq!(tier(Standing { reported_at: Some(hour(2)), ..full }, hour(1)), 1, "of the future");
        let week = Standing { reported_at: Some(hour(7 * 24)), ..full };
        assert_eq!(tier(week, hour(7 * 24)), 2, "attested too long ago");
    }
}
