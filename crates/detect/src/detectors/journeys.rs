//! Whether a token was used in two countries between which nobody gets in that time: the rule of log-ins (crate `rba`), asked at each use.
//!
//! Countries are what [`Whereabouts`] tells while an address is known; the log does not hold them, and nothing of them is written down. An
//! address of which nothing is known is no place: it begins no journey, ends none, and does not stand for one that is near.

use std::sync::Arc;

use kernel::Micros;
use rba::geo::Country;
use rba::rules::impossible_km;

use super::{DAY_US, SUBJECT_COUNT_MAX};
use crate::event::Seen;
use crate::recent::Recent;

/// Countries of one account that are remembered.
const COUNTRY_COUNT_MAX: usize = 16;
const MINUTE_US: i64 = 60_000_000;

/// Tells in which country an address of the log is.
pub trait Whereabouts: Send + Sync + 'static {
    /// The country behind an address under this installation's key; none where that is not known, or says nothing of where somebody is.
    fn country(&self, from: &str) -> Option<Country>;
}

/// Two uses of one token, too far apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Journey {
    distance_km: f64,
    minutes: i64,
    countries: [Country; 2],
    day: i64,
}

/// A country from which an account came.
#[derive(Debug)]
struct Habit {
    country: Country,
    last_day: i64,
    /// The last day before that one.
    day_before: Option<i64>,
}

impl Habit {
    /// The last day before this one on which it came from there.
    fn earlier_than(&self, day: i64) -> Option<i64> {
        if self.last_day < day { Some(self.last_day) } else { self.day_before }
    }
}

/// From which countries an account comes.
#[derive(Debug, Default)]
struct Habits(Vec<Habit>);

impl Habits {
    fn note(&mut self, country: Country, day: i64) {
        if let Some(known) = self.0.iter_mut().find(|one| one.country == country) {
            if known.last_day < day {
                known.day_before = Some(known.last_day);
                known.last_day = day;
            }
            return;
        }
        if self.0.len() >= COUNTRY_COUNT_MAX {
            self.0.sort_by_key(|one| one.last_day);
            self.0.remove(0);
        }
        self.0.push(Habit { country, last_day: day, day_before: None });
    }

    /// Whether it came from there on an earlier day, not too long ago.
    fn has(&self, country: Country, day: i64, habit_days: i64) -> bool {
        let known = self.0.iter().find(|one| one.country == country);
        known.and_then(|one| one.earlier_than(day)).is_some_and(|earlier| day - earlier <= habit_days)
    }

    fn is_young(&self, day: i64) -> bool {
        self.0.iter().all(|one| one.earlier_than(day).is_none())
    }
}

/// Where tokens were last, and from where their accounts come.
pub(crate) struct Journeys {
    whereabouts: Option<Arc<dyn Whereabouts>>,
    last: Recent<String, Option<(Country, Micros)>>,
    habits: Recent<String, Habits>,
}

impl Journeys {
    pub(crate) fn new() -> Self {
        Self { whereabouts: None, last: Recent::new(SUBJECT_COUNT_MAX), habits: Recent::new(SUBJECT_COUNT_MAX) }
    }

    pub(crate) fn ask(&mut self, whereabouts: Arc<dyn Whereabouts>) {
        self.whereabouts = Some(whereabouts);
    }

    /// Notes a use of a token; the journey that it would have made, if nobody makes it.
    pub(crate) fn take(&mut self, token: &str, seen: &Seen<'_>) -> Option<Journey> {
        let here = self.whereabouts.as_ref()?.country(seen.from?)?;
        let (at, day) = (seen.at(), seen.at().0.div_euclid(DAY_US));
        self.habits.entry(&seen.view.caller.id.as_ref().to_owned()).note(here, day);
        let (there, left_at) = self.last.entry(&token.to_owned()).replace((here, at))?;
        let distance_km = impossible_km((there, left_at), (here, at))?;
        let minutes = at.0.saturating_sub(left_at.0).max(0) / MINUTE_US;
        Some(Journey { distance_km, minutes, countries: [there, here], day })
    }

    /// Whether a journey is none that this account seems to make each day: through a tunnel that nobody listed, or with one token on machines
    /// in several countries. Of a program nothing is said on its first day.
    pub(crate) fn judge(&self, journey: &Journey, caller: &str, is_service: bool, habit_days: i64) -> Option<String> {
        let habits = self.habits.peek(&caller.to_owned())?;
        let is_habit = journey.countries.iter().all(|country| habits.has(*country, journey.day, habit_days));
        if is_habit || is_service && habits.is_young(journey.day) {
            return None;
        }
        Some(format!(
            "used in two countries within {} minutes, at least {:.0} km apart; one of them is new to the account",
            journey.minutes, journey.distance_km
        ))
    }
}

#[cfg(test)]
mod tests {
    use audit::RecordView;
    use serde_json::json;

    use super::*;

    const MINUTE: i64 = MINUTE_US;
    const NOON: i64 = 20_000 * DAY_US + 12 * 60 * MINUTE;
    const HABIT_DAYS: i64 = 30;

    /// What begins with two capital letters is there; all else is nowhere.
    struct Letters;

    impl Whereabouts for Letters {
        fn country(&self, from: &str) -> Option<Country> {
            from.get(..2).and_then(Country::parse)
        }
    }

    struct World {
        journeys: Journeys,
        kind: &'static str,
    }

    impl World {
        fn of(kind: &'static str) -> Self {
            let mut journeys = Journeys::new();
            journeys.ask(Arc::new(Letters));
            Self { journeys, kind }
        }

        /// Uses of one token, each from there and then; what was found.
        fn uses(&mut self, uses: &[(i64, &str)]) -> Vec<String> {
            let mut found = Vec::new();
            for (at, from) in uses {
                let record = json!({
                    "action": "runs.get", "at": at, "caller": { "id": "u_ada", "kind": self.kind, "token": "t_1" }, "from": from, "id": "e",
                    "kind": "intent", "risk": 0, "target": "run", "v": 1,
                });
                let bytes = record.to_string().into_bytes();
                let view = RecordView::parse(&bytes).unwrap();
                let seen = Seen { index: 0, view: &view, from: Some(*from), risk: 0, canary: false };
                let journey = self.journeys.take("t_1", &seen);
                let is_service = self.kind == "service";
                found.extend(journey.and_then(|one| self.journeys.judge(&one, "u_ada", is_service, HABIT_DAYS)));
            }
            found
        }
    }

    fn check(uses: &[(i64, &str)], count: usize) {
        let found = World::of("user").uses(uses);
        assert_eq!(found.len(), count, "{uses:?}: {found:?}");
    }

    #[test]
    fn two_far_countries_within_minutes_are_told_without_their_names() {
        let found = World::of("user").uses(&[(NOON, "NO-home"), (NOON + 20 * MINUTE, "AU-thief")]);
        assert_eq!(found.len(), 1, "{found:?}");
        let words = found.first().unwrap();
        assert!(words.contains("within 20 minutes") && !words.contains("NO") && !words.contains("AU"), "{words}");
    }

    #[test]
    fn what_somebody_can_do_is_no_finding() {
        check(&[(NOON, "NO-home"), (NOON + 20 * MINUTE, "NO-office")], 0);
        check(&[(NOON, "NO-home"), (NOON + 20 * MINUTE, "SE-office")], 0);
        check(&[(NOON, "NO-home"), (NOON + 24 * 60 * MINUTE, "AU-hotel")], 0);
    }

    #[test]
    fn what_is_unknown_is_neither_far_nor_near() {
        check(&[(NOON, "NO-home"), (NOON + MINUTE, "phone"), (NOON + 2 * MINUTE, "tunnel"), (NOON + 3 * MINUTE, "NO-home")], 0);
        check(&[(NOON, "phone"), (NOON + MINUTE, "AU-thief")], 0);
        check(&[(NOON, "NO-home"), (NOON + MINUTE, "phone"), (NOON + 2 * MINUTE, "AU-thief")], 1);
        // A country without a place on the map.
        check(&[(NOON, "NO-home"), (NOON + MINUTE, "EU-somewhere")], 0);
        let mut blind = World { journeys: Journeys::new(), kind: "user" };
        assert!(blind.uses(&[(NOON, "NO-home"), (NOON + MINUTE, "AU-thief")]).is_empty(), "nobody tells where addresses are");
    }

    #[test]
    fn what_an_account_does_on_other_days_too_is_its_habit_until_it_is_forgotten() {
        let days = |days: i64| NOON + days * DAY_US;
        let tunnel = |day: i64| [(days(day), "NO-home"), (days(day) + MINUTE, "US-tunnel")];
        let mut world = World::of("user");
        assert_eq!(world.uses(&tunnel(0)).len(), 1, "it is told once");
        assert!(world.uses(&tunnel(1)).is_empty() && world.uses(&tunnel(20)).is_empty());
        assert_eq!(world.uses(&[(days(20) + 2 * MINUTE, "AU-thief")]).len(), 1, "a third country is none of its habits");
        assert_eq!(world.uses(&tunnel(80)).len(), 1, "long ago");
    }

    #[test]
    fn of_a_program_nothing_is_said_on_its_first_day() {
        let mut world = World::of("service");
        assert!(world.uses(&[(NOON, "NO-a"), (NOON + MINUTE, "US-b")]).is_empty());
        assert!(world.uses(&[(NOON + DAY_US, "NO-a"), (NOON + DAY_US + MINUTE, "US-b")]).is_empty());
        assert_eq!(world.uses(&[(NOON + DAY_US + 2 * MINUTE, "AU-thief")]).len(), 1);
    }

    #[test]
    fn few_countries_of_an_account_are_remembered() {
        let mut habits = Habits::default();
        for (day, letter) in (0_i64..).zip(b'A'..=b'Z') {
            habits.note(Country::parse(&format!("A{}", char::from(letter))).unwrap(), day);
        }
        assert_eq!(habits.0.len(), COUNTRY_COUNT_MAX);
    }
}
