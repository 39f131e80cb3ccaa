//! What holds a thing, and what may be deleted and changed: the rules of S3's Object Lock (Amazon S3 User Guide, "Locking objects with
//! Object Lock"), for versions of objects and for all else that is retained. Pure: the time is that of the compliance clock, and whoever
//! may bypass governance was asked elsewhere.

use kernel::{Micros, Problem};
use serde::{Deserialize, Serialize};

/// 1 January 10000: what is later cannot be written as a date of four digits.
const UNTIL_MAX: Micros = Micros(253_402_300_800_000_000);
/// A default retention's days and years, as S3 bounds them.
const DAYS_MAX: i64 = 36_500;
const YEARS_MAX: i64 = 100;
const DAY_SECONDS: i64 = 86_400;

/// How strictly a version is retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Those with a right of their own may still delete it.
    #[serde(rename = "GOVERNANCE")]
    Governance,
    /// Nobody may.
    #[serde(rename = "COMPLIANCE")]
    Compliance,
}

impl Mode {
    /// S3's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }

    /// Reads S3's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "GOVERNANCE" => Some(Self::Governance),
            "COMPLIANCE" => Some(Self::Compliance),
            _ => None,
        }
    }
}

/// Until when a version is retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How strictly.
    pub mode: Mode,
    /// Until when.
    pub until: Micros,
}

/// How long new versions of a bucket are retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Days.
    Days(i64),
    /// Years of 365 days.
    Years(i64),
}

/// What new versions of a bucket get unless they bring their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRetention {
    /// How strictly.
    pub mode: Mode,
    /// How long.
    pub period: Period,
}

impl DefaultRetention {
    /// Checks it.
    ///
    /// # Errors
    /// `Invalid` for a period that is none.
    pub fn check(self) -> Result<Self, Problem> {
        let (count, most) = match self.period {
            Period::Days(days) => (days, DAYS_MAX),
            Period::Years(years) => (years, YEARS_MAX),
        };
        if (1..=most).contains(&count) {
            return Ok(self);
        }
        Err(Problem::invalid(format!("a default retention has 1 to {DAYS_MAX} days, or 1 to {YEARS_MAX} years")))
    }

    /// What a version that is made at `now` gets.
    #[must_use]
    pub const fn from(self, now: Micros) -> Retention {
        let days = match self.period {
            Period::Days(days) => days,
            Period::Years(years) => years.saturating_mul(365),
        };
        Retention { mode: self.mode, until: now.plus_secs(days.saturating_mul(DAY_SECONDS)) }
    }
}

/// What holds a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// A retention, in force or over.
    pub retention: Option<Retention>,
    /// A legal hold, which has no end of its own.
    pub hold: bool,
}

/// Whether the caller was allowed to bypass governance, and asked for it.
pub type Bypass = bool;

impl Lock {
    /// The retention that is in force at `now`.
    #[must_use]
    pub fn in_force(&self, now: Micros) -> Option<Retention> {
        self.retention.filter(|retention| retention.until > now)
    }

    /// Whether anything is there that could hold.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.retention.is_some() || self.hold
    }

    /// Whether anything holds the version at `now`.
    #[must_use]
    pub fn holds(&self, now: Micros) -> bool {
        self.hold || self.in_force(now).is_some()
    }

    /// Whether the version may be deleted for good.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn may_delete(&self, now: Micros, bypass: Bypass) -> Result<(), Problem> {
        let denied =
            |why: String| Err(Problem::forbidden(format!("Access Denied because object protected by object lock: {why}")));
        if self.hold {
            return denied("it is under a legal hold, which must be lifted first".to_owned());
        }
        match self.in_force(now) {
            None => Ok(()),
            Some(Retention { mode: Mode::Governance, .. }) if bypass => Ok(()),
            Some(Retention { mode, until }) => {
                denied(format!("it is retained until {} ({})", until.rfc3339_seconds(), mode.word()))
            }
        }
    }

    /// Whether this lock holds at least as much as `old`, so that it may come in its place without a bypass.
    ///
    /// # Errors
    /// As [`Lock::may_become`]; `Forbidden` if a hold is lifted.
    pub fn may_replace(&self, old: Self, now: Micros) -> Result<(), Problem> {
        if old.hold && !self.hold {
            return Err(Problem::forbidden("a legal hold would be lifted"));
        }
        if self.retention == old.retention { Ok(()) } else { old.may_become(self.retention, now, false) }
    }

    /// Whether the retention may become `new`.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` for a date that lies in the past or beyond all calendars.
    pub fn may_become(&self, new: Option<Retention>, now: Micros, bypass: Bypass) -> Result<(), Problem> {
        if let Some(new) = new {
            check_until(new.until, now)?;
        }
        let Some(old) = self.in_force(now) else { return Ok(()) };
        let extends = new.is_some_and(|new| new.until >= old.until && new.mode == old.mode);
        match old.mode {
            _ if extends => Ok(()),
            Mode::Governance if bypass => Ok(()),
            Mode::Governance => Err(Problem::forbidden(
                "Access Denied because object protected by object lock: its retention can only be extended without a bypass of governance",
            )),
            Mode::Compliance => Err(Problem::forbidden(
                "Access Denied because object protected by object lock: a retention in compliance mode can only be extended",
            )),
        }
    }
}

/// A date until which something can be retained.
///
/// # Errors
/// `Invalid`.
pub fn check_until(until: Micros, now: Micros) -> Result<(), Problem> {
    if until <= now {
        return Err(Problem::invalid("The retain until date must be in the future!"));
    }
    if until >= UNTIL_MAX {
        return Err(Problem::invalid("the retain until date must lie before the year 10000"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros(1_000_000_000);

    fn lock(mode: Mode, until: i64) -> Lock {
        Lock { retention: Some(Retention { mode, until: Micros(until) }), hold: false }
    }

    fn at(mode: Mode, until: i64) -> Option<Retention> {
        Some(Retention { mode, until: Micros(until) })
    }

    #[test]
    fn only_what_nothing_holds_may_go() {
        let (past, future) = (NOW.0, NOW.0 + 1);
        let held = Lock { hold: true, retention: None };
        for (lock, plain, bypass) in [
            (Lock::default(), true, true),
            (lock(Mode::Governance, past), true, true),
            (lock(Mode::Compliance, past), true, true),
            (lock(Mode::Governance, future), false, true),
            (lock(Mode::Compliance, future), false, false),
            (held, false, false),
            (Lock { hold: true, ..lock(Mode::Governance, future) }, false, false),
        ] {
            assert_eq!(lock.may_delete(NOW, false).is_ok(), plain, "{lock:?}");
            assert_eq!(lock.may_delete(NOW, true).is_ok(), bypass, "{lock:?}");
        }
    }

    #[test]
    fn compliance_only_ever_extends() {
        let (sooner, until, later) = (NOW.0 + 5, NOW.0 + 10, NOW.0 + 15);
        let compliance = lock(Mode::Compliance, until);
        for bypass in [false, true] {
            assert!(compliance.may_become(at(Mode::Compliance, later), NOW, bypass).is_ok());
            assert!(compliance.may_become(at(Mode::Compliance, until), NOW, bypass).is_ok());
            assert!(compliance.may_become(at(Mode::Compliance, sooner), NOW, bypass).is_err());
            assert!(compliance.may_become(at(Mode::Governance, later), NOW, bypass).is_err());
            assert!(compliance.may_become(None, NOW, bypass).is_err());
        }
        let governance = lock(Mode::Governance, until);
        for (new, plain) in [
            (at(Mode::Governance, later), true),
            (at(Mode::Governance, sooner), false),
            (at(Mode::Compliance, later), false),
            (None, false),
        ] {
            assert_eq!(governance.may_become(new, NOW, false).is_ok(), plain, "{new:?}");
            assert!(governance.may_become(new, NOW, true).is_ok(), "{new:?}");
        }
        assert!(lock(Mode::Compliance, NOW.0).may_become(None, NOW, false).is_ok(), "what is over may go");
    }

    #[test]
    fn dates_lie_in_the_future_and_before_the_end_of_calendars() {
        for (until, good) in [(NOW.0, false), (NOW.0 + 1, true), (UNTIL_MAX.0 - 1, true), (UNTIL_MAX.0, false), (i64::MAX, false)]
        {
            assert_eq!(check_until(Micros(until), NOW).is_ok(), good, "{until}");
        }
        let default = |period| DefaultRetention { mode: Mode::Compliance, period };
        for (period, good) in [
            (Period::Days(0), false),
            (Period::Days(-1), false),
            (Period::Days(1), true),
            (Period::Days(36_501), false),
            (Period::Years(100), true),
            (Period::Years(101), false),
        ] {
            assert_eq!(default(period).check().is_ok(), good, "{period:?}");
        }
        assert_eq!(default(Period::Years(1)).from(NOW).until, NOW.plus_secs(365 * 86_400));
    }
}
