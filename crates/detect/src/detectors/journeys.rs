//! Whether a token was used in two countries between which nobody gets in that time: the rule of log-ins (crate `rba`), asked at each use.
//!
//! Countries are what [`Whereabouts`] tells while an address is known; the log does not hold them, and nothing of them is written down. An
//! address of which nothing is known is no place: it begins no journey, ends none, and does not stand for one that is near. What is read again at
//! a start is full of such addresses: on which days an account came from them is remembered, and counts once one of them is seen again and so known.

use std::sync::Arc;

use kernel::Micros;
use rba::geo::Country;
use rba::rules::impossible_km;

use super::{DAY_US, SUBJECT_COUNT_MAX};
use crate::event::Seen;
use crate::recent::Recent;

/// Countries of one account that are remembered.
const COUNTRY_COUNT_MAX: usize = 16;
/// Addresses of one account, from before this process began, that are remembered until somebody comes from them again.
const UNPLACED_COUNT_MAX: usize = 16;
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

/// The last two days on which something was so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Days {
    last: i64,
    before: Option<i64>,
}

impl Days {
    const fn of(day: i64) -> Self {
        Self { last: day, before: None }
    }

    /// Days come in any order: what was read again is placed behind what happened since.
    fn add(&mut self, day: i64) {
        if day > self.last {
            (self.before, self.last) = (Some(self.last), day);
        } else if day < self.last && self.before.is_none_or(|before| before < day) {
            self.before = Some(day);
        }
    }

    /// The last one before this one.
    fn earlier_than(self, day: i64) -> Option<i64> {
        if self.last < day { Some(self.last) } else { self.before }
    }
}

/// From which countries an account comes.
#[derive(Debug, Default)]
struct Habits(Vec<(Country, Days)>);

impl Habits {
    fn note(&mut self, country: Country, days: Days) {
        if let Some((_, known)) = self.0.iter_mut().find(|(one, _)| *one == country) {
            for day in days.before.into_iter().chain([days.last]) {
                known.add(day);
            }
            return;
        }
        if self.0.len() >= COUNTRY_COUNT_MAX {
            self.0.sort_by_key(|(_, days)| days.last);
            self.0.remove(0);
        }
        self.0.push((country, days));
    }

    /// Whether it came from there on an earlier day, not too long ago.
    fn has(&self, country: Country, day: i64, habit_days: i64) -> bool {
        let known = self.0.iter().find(|(one, _)| *one == country);
        known.and_then(|(_, days)| days.earlier_than(day)).is_some_and(|earlier| day - earlier <= habit_days)
    }

    fn is_young(&self, day: i64) -> bool {
        self.0.iter().all(|(_, days)| days.earlier_than(day).is_none())
    }
}

/// Addresses from which an account came before this process began, by their key.
#[derive(Debug, Default)]
struct Unplaced(Vec<(String, Days)>);

impl Unplaced {
    fn note(&mut self, from: &str, day: i64) {
        if let Some((_, known)) = self.0.iter_mut().find(|(one, _)| one == from) {
            known.add(day);
            return;
        }
        if self.0.len() >= UNPLACED_COUNT_MAX {
            self.0.sort_by_key(|(_, days)| days.last);
            self.0.remove(0);
        }
        self.0.push((from.to_owned(), Days::of(day)));
    }

    /// On which days it came from there, now that it is known where that is.
    fn take(&mut self, from: &str) -> Option<Days> {
        let at = self.0.iter().position(|(one, _)| one == from)?;
        Some(self.0.swap_remove(at).1)
    }
}

/// Where tokens were last, and from where their accounts come.
pub(crate) struct Journeys {
    whereabouts: Option<Arc<dyn Whereabouts>>,
    last: Recent<String, Option<(Country, Micros)>>,
    habits: Recent<String, Habits>,
    unplaced: Recent<String, Unplaced>,
    /// The day of the first record that was not read again, of an address that is known.
    began_on: Option<i64>,
}

impl Journeys {
    pub(crate) fn new() -> Self {
        Self {
            whereabouts: None,
            last: Recent::new(SUBJECT_COUNT_MAX),
            habits: Recent::new(SUBJECT_COUNT_MAX),
            unplaced: Recent::new(SUBJECT_COUNT_MAX),
            began_on: None,
        }
    }

    pub(crate) fn ask(&mut self, whereabouts: Arc<dyn Whereabouts>) {
        self.whereabouts = Some(whereabouts);
    }

    /// Notes a use of a token; the journey that it would have made, if nobody makes it. `learns` is false for what is read again.
    pub(crate) fn take(&mut self, token: &str, seen: &Seen<'_>, learns: bool) -> Option<Journey> {
        let (whereabouts, from) = (self.whereabouts.as_ref()?, seen.from?);
        let (at, day) = (seen.at(), seen.at().0.div_euclid(DAY_US));
        let caller = seen.view.caller.id.as_ref().to_owned();
        let Some(here) = whereabouts.country(from) else {
            if !learns {
                self.unplaced.entry(&caller).note(from, day);
            }
            return None;
        };
        if learns {
            self.began_on.get_or_insert(day);
        }
        let habits = self.habits.entry(&caller);
        if let Some(days) = self.unplaced.get_mut(&caller).and_then(|rest| rest.take(from)) {
            habits.note(here, days);
        }
        habits.note(here, Days::of(day));
        let (there, left_at) = self.last.entry(&token.to_owned()).replace((here, at))?;
        let distance_km = impossible_km((there, left_at), (here, at))?;
        let minutes = at.0.saturating_sub(left_at.0).max(0) / MINUTE_US;
        Some(Journey { distance_km, minutes, countries: [there, here], day })
    }

    /// Whether a journey is none that this account seems to make each day: through a tunnel that nobody listed, or with one token on machines
    /// in several countries. Of a program nothing is said on its first day,
    /// nor on the day of a start while it is not known of all of its addresses where they are.
    pub(crate) fn judge(&self, journey: &Journey, caller: &str, is_service: bool, habit_days: i64) -> Option<String> {
        let habits = self.habits.peek(&caller.to_owned())?;
        let is_habit = journey.countries.iter().all(|country| habits.has(*country, journey.day, habit_days));
        if is_habit || is_service && (habits.is_young(journey.day) || self.is_half_known(journey, caller)) {
            return None;
        }
        Some(format!(
            "used in two countries within {} minutes, at least {:.0} km apart; one of them is new to the account",
            journey.minutes, journey.distance_km
        ))
    }

    /// Whether it is the day of a start, and it is not known again of all of an account's addresses where they are.
    fn is_half_known(&self, journey: &Journey, caller: &str) -> bool {
        let rest = self.unplaced.peek(&caller.to_owned());
        self.began_on == Some(journey.day) && rest.is_some_and(|rest| !rest.0.is_empty())
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

    /// What a process knows that has just begun: of no address where it is.
    struct Nowhere;

    impl Whereabouts for Nowhere {
        fn country(&self, _: &str) -> Option<Country> {
            None
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

        /// A process that begins, and reads these uses again.
        fn begun(kind: &'static str, before: &[(i64, &str)]) -> Self {
            let mut world = Self::of(kind);
            world.journeys.ask(Arc::new(Nowhere));
            assert!(world.taken(before, false).is_empty(), "what is read again is not judged");
            world.journeys.ask(Arc::new(Letters));
            world
        }

        /// Uses of one token, each from there and then; what was found.
        fn uses(&mut self, uses: &[(i64, &str)]) -> Vec<String> {
            self.taken(uses, true)
        }

        fn taken(&mut self, uses: &[(i64, &str)], learns: bool) -> Vec<String> {
            let mut found = Vec::new();
            for (at, from) in uses {
                let record = json!({
                    "action": "runs.get", "at": at, "caller": { "id": "u_ada", "kind": self.kind, "token": "t_1" }, "from": from, "id": "e",
                    "kind": "intent", "risk": 0, "target": "run", "v": 1,
                });
                let bytes = record.to_string().into_bytes();
                let view = RecordView::parse(&bytes).unwrap();
                let seen = Seen { index: 0, view: &view, from: Some(*from), risk: 0, canary: false };
                let journey = self.journeys.take("t_1", &seen, learns);
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
    fn a_habit_of_before_a_start_is_one_again_once_its_addresses_are_known() {
        let before = [(NOON - 2 * DAY_US, "NO-home"), (NOON - DAY_US, "NO-home"), (NOON - DAY_US + MINUTE, "US-tunnel")];
        let day = [(NOON, "NO-home"), (NOON + MINUTE, "US-tunnel"), (NOON + 2 * MINUTE, "NO-home")];
        assert!(World::begun("user", &before).uses(&day).is_empty());
        assert_eq!(World::of("user").uses(&day).len(), 2, "without it the same is told");
        let mut world = World::begun("user", &before);
        assert_eq!(world.uses(&[(NOON, "NO-home"), (NOON + MINUTE, "AU-thief")]).len(), 1, "another country is no habit");
        let mut world = World::begun("user", &before);
        assert_eq!(world.uses(&[(NOON, "NO-home"), (NOON + MINUTE, "US-other")]).len(), 1, "nor is another address");
        // What was done earlier on the day of the start is no earlier day.
        let today = [(NOON - 2 * MINUTE, "NO-home"), (NOON - MINUTE, "US-tunnel")];
        assert_eq!(World::begun("user", &today).uses(&day).len(), 2);
        assert_eq!(World::begun("user", &before.map(|(at, from)| (at - 40 * DAY_US, from))).uses(&day).len(), 2, "long ago");
    }

    #[test]
    fn of_a_program_that_is_half_known_nothing_is_said_on_the_day_of_a_start() {
        let before = [(NOON - DAY_US, "NO-a"), (NOON - DAY_US + MINUTE, "US-b")];
        let mut world = World::begun("service", &before);
        assert!(world.uses(&[(NOON, "NO-a"), (NOON + MINUTE, "US-new")]).is_empty(), "it may come from where it always did");
        assert_eq!(world.uses(&[(NOON + DAY_US, "NO-a"), (NOON + DAY_US + MINUTE, "AU-thief")]).len(), 1);
        let mut whole = World::begun("service", &before);
        assert!(whole.uses(&[(NOON, "NO-a"), (NOON + MINUTE, "US-b")]).is_empty());
        assert_eq!(whole.uses(&[(NOON + 2 * MINUTE, "AU-thief")]).len(), 1, "all of it is known again");
    }

    #[test]
    fn the_last_two_days_are_the_same_in_any_order() {
        for order in [[1, 2, 3], [3, 2, 1], [2, 3, 1], [3, 1, 2], [1, 3, 2], [2, 1, 3]] {
            let mut days = Days::of(order[0]);
            for day in order {
                days.add(day);
            }
            assert_eq!(days, Days { last: 3, before: Some(2) }, "{order:?}");
        }
    }

    #[test]
    fn few_countries_and_addresses_of_an_account_are_remembered() {
        let (mut habits, mut unplaced) = (Habits::default(), Unplaced::default());
        for (day, letter) in (0_i64..).zip(b'A'..=b'Z') {
            let name = format!("A{}", char::from(letter));
            habits.note(Country::parse(&name).unwrap(), Days::of(day));
            unplaced.note(&name, day);
        }
        assert_eq!((habits.0.len(), unplaced.0.len()), (COUNTRY_COUNT_MAX, UNPLACED_COUNT_MAX));
        assert_eq!((unplaced.take("AA"), unplaced.take("AZ")), (None, Some(Days::of(25))), "what was long ago goes first");
    }
}
