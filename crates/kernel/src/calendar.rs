//! Moments in the proleptic Gregorian calendar, in UTC. Days are counted in eras of 400 years that begin in March (H. Hinnant,
//! "chrono-Compatible Low-Level Date Algorithms", 2014).

use crate::Micros;

const DAY_S: i64 = 86_400;
/// Days from the begin of an era to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;
const ERA_DAYS: i64 = 146_097;

/// A moment as a calendar and a clock show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// The year; 0 is 1 BC.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
}

impl Civil {
    /// The moment, if there is one of these numbers.
    #[must_use]
    pub const fn at(self) -> Option<Micros> {
        let Self { year, month, day, hour, minute, second } = self;
        let whole = 1 <= month && month <= 12 && 1 <= day && day <= days_of(year, month);
        let within = 0 <= hour && hour <= 23 && 0 <= minute && minute <= 59 && 0 <= second && second <= 59;
        if !whole || !within || year.abs() > 200_000 {
            return None;
        }
        let year = if month <= 2 { year - 1 } else { year };
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days = era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_DAYS;
        Some(Micros((days * DAY_S + hour * 3_600 + minute * 60 + second) * 1_000_000))
    }
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl Micros {
    /// As a calendar and a clock show it, rounded down to the second.
    #[must_use]
    pub const fn civil(self) -> Civil {
        let (days, second) = (self.as_secs().div_euclid(DAY_S) + EPOCH_DAYS, self.as_secs().rem_euclid(DAY_S));
        let (era, of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Civil {
            year: year + era * 400 + if month <= 2 { 1 } else { 0 },
            month,
            day: of_year - (153 * from_march + 2) / 5 + 1,
            hour: second / 3_600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }

    /// `2026-01-31T12:00:00.000000Z` (RFC 3339): such texts sort as the moments do.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let Civil { year, month, day, hour, minute, second } = self.civil();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", self.0.rem_euclid(1_000_000))
    }

    /// `2026-01-31T12:00:00Z`.
    #[must_use]
    pub fn rfc3339_seconds(self) -> String {
        let Civil { year, month, day, hour, minute, second } = self.civil();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_go_both_ways() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_796_083_200, "2026-12-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-62_135_596_800, "0001-01-01T00:00:00Z"),
        ] {
            let at = Micros(0).plus_secs(seconds);
            assert_eq!(at.rfc3339_seconds(), text);
            assert_eq!(at.civil().at(), Some(at), "{text}");
        }
        assert_eq!(Micros(951_827_696_789_012).rfc3339(), "2000-02-29T12:34:56.789012Z");
    }

    #[test]
    fn every_day_of_four_centuries_goes_both_ways() {
        for day in 0..ERA_DAYS {
            let at = Micros(0).plus_secs(day * DAY_S + day % DAY_S);
            assert_eq!(at.civil().at(), Some(at));
        }
    }

    #[test]
    fn what_no_calendar_shows_is_no_moment() {
        let good = Micros(0).civil();
        for bad in [
            Civil { month: 13, ..good },
            Civil { month: 0, ..good },
            Civil { day: 0, ..good },
            Civil { month: 2, day: 29, year: 2001, ..good },
            Civil { hour: 24, ..good },
            Civil { second: 60, ..good },
            Civil { year: i64::MAX, ..good },
        ] {
            assert_eq!(bad.at(), None, "{bad:?}");
        }
    }
}
