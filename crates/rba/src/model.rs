//! The score: how much likelier this log-in is for anybody than for this person, in nats, addend by addend.

use std::collections::{HashMap, VecDeque};

use kernel::Micros;

use crate::global::{Fading, Feature, Global, Sum};
use crate::keyed::{LEVEL_COUNT, Seen, Value};

const DAY_US: i64 = 86_400_000_000;
/// A year of them: nobody's habits are older.
const HALF_LIFE_US: i64 = 90 * DAY_US;
/// Log-ins of a person that are kept.
pub const LOG_INS_PER_PERSON_MAX: usize = 100;
/// People whose log-ins are kept. Whoever logged in longest ago is given up first, and then is as new.
pub const PEOPLE_COUNT_MAX: usize = 10_000;

/// Weights of address, network and country.
const ADDRESS_WEIGHTS: [f64; 3] = [0.6, 0.3, 0.1];
/// Weights of the whole client, browser, system and kind of device.
const AGENT_WEIGHTS: [f64; 4] =
    [0.538_665_384_055_135_9, 0.268_045_149_862_566_6, 0.188_182_951_001_095_36, 0.005_106_515_080_402_153];
/// A feature that never was with this person counts as this much rarer with them than with everybody.
const NEVER_SEEN_DIVISOR: f64 = 4.0;
/// How many attackers bring a key of the person's device: assumed, not measured. A stolen laptop is one in twenty.
const ATTACKERS_WITH_DEVICE: f64 = 0.05;

/// What the score is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// After this long a log-in counts half.
    pub half_life_us: Option<i64>,
    /// Log-ins of a person that are kept.
    pub log_ins_per_person_max: usize,
    /// Whether a person adds to everybody's counts of a value no more than once a day.
    pub is_once_a_day: bool,
    /// Whether the device's key is a feature.
    pub has_device: bool,
}

impl Form {
    /// As published: nothing fades, nothing is capped, and there is no device.
    pub const PLAIN: Self =
        Self { half_life_us: None, log_ins_per_person_max: usize::MAX, is_once_a_day: false, has_device: false };
    /// What the server uses.
    pub const OURS: Self = Self {
        half_life_us: Some(HALF_LIFE_US),
        log_ins_per_person_max: LOG_INS_PER_PERSON_MAX,
        is_once_a_day: true,
        has_device: true,
    };
}

/// One addend of the score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// What it is about.
    pub word: &'static str,
    /// Above zero: more like somebody else. Below: more like this person.
    pub nats: f64,
}

/// A score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The sum.
    pub nats: f64,
    /// Address, client, habit; and device, where it is a feature.
    pub terms: [Option<Term>; 4],
    /// Log-ins of this person that are remembered.
    pub known_count: usize,
    /// When the last of them was.
    pub last_at: Option<Micros>,
}

/// Everybody's log-ins.
pub struct Model {
    form: Form,
    fading: Fading,
    people: HashMap<String, VecDeque<Seen>>,
    global: Global,
    /// All log-ins that are kept.
    log_ins: Sum,
}

impl Model {
    /// Nobody's yet.
    #[must_use]
    pub fn new(form: Form) -> Self {
        let fading = Fading::new(form.half_life_us);
        Self { form, fading, people: HashMap::new(), global: Global::default(), log_ins: Sum::default() }
    }

    /// How many people it knows.
    #[must_use]
    pub fn people_count(&self) -> usize {
        self.people.len()
    }

    /// Whether it knows a person.
    #[must_use]
    pub fn knows(&self, person: &str) -> bool {
        self.people.contains_key(person)
    }

    /// Whom it knows.
    pub fn people(&self) -> impl Iterator<Item = &str> {
        self.people.keys().map(String::as_str)
    }

    /// Judges a log-in, before it is learnt.
    #[must_use]
    pub fn score(&self, person: &str, seen: &Seen) -> Score {
        let nobody = VecDeque::new();
        let past = self.people.get(person).unwrap_or(&nobody);
        let own = Own::of(past, seen, self.fading);
        let address = self.feature(Feature::Address, &ADDRESS_WEIGHTS, &own, seen);
        let agent = self.feature(Feature::Agent, &AGENT_WEIGHTS, &own, seen);
        let habit = Term { word: "habit", nats: self.habit(own.weight, seen.at) };
        let device = self.form.has_device.then(|| device(&own, seen));
        let terms = [Some(address), Some(agent), Some(habit), device];
        let nats = terms.iter().flatten().map(|term| term.nats).sum();
        Score { nats, terms, known_count: past.len(), last_at: past.back().map(|last| last.at) }
    }

    /// Learns a log-in that was verified.
    pub fn learn(&mut self, person: &str, seen: Seen) {
        if !self.people.contains_key(person) && self.people.len() >= PEOPLE_COUNT_MAX {
            self.forget_longest_gone();
        }
        let (form, fading) = (self.form, self.fading);
        let past = self.people.entry(person.to_owned()).or_default();
        for (level, value) in seen.values.iter().enumerate() {
            if !form.is_once_a_day {
                self.global.add(level, *value, seen.at, fading);
            } else if !is_on_day(past, level, value, seen.at) {
                self.global.add(level, *value, day_of(seen.at), fading);
            }
        }
        self.global.join(&seen);
        self.log_ins.add(seen.at, fading);
        past.push_back(seen);
        while past.len() > form.log_ins_per_person_max {
            let Some(oldest) = past.pop_front() else { break };
            unlearn(&mut self.global, &mut self.log_ins, past, &oldest, form, fading);
        }
    }

    /// Forgets a person: afterwards the counts are as if they had never been there.
    pub fn forget(&mut self, person: &str) {
        let Some(mut past) = self.people.remove(person) else { return };
        while let Some(oldest) = past.pop_front() {
            unlearn(&mut self.global, &mut self.log_ins, &past, &oldest, self.form, self.fading);
        }
    }

    fn forget_longest_gone(&mut self) {
        let longest =
            self.people.iter().min_by_key(|(_, past)| past.back().map(|last| last.at)).map(|(person, _)| person.clone());
        if let Some(person) = longest {
            self.forget(&person);
        }
    }

    fn feature(&self, feature: Feature, weights: &[f64], own: &Own, seen: &Seen) -> Term {
        let everybody = self.global.likelihood(feature, weights, seen, self.fading);
        let mut here = 0.0;
        let mut nearest = None;
        for (level, weight) in feature.levels().zip(weights) {
            let count = own.matching.get(level).copied().unwrap_or(0.0);
            if count > 0.0 {
                here += weight * (count / own.weight);
                nearest = nearest.or(Some(level));
            }
        }
        // Never seen with this person: smoothing would make it harmless where it is also rare with everybody.
        let here = if here > 0.0 { here } else { everybody / NEVER_SEEN_DIVISOR };
        let nats = if everybody > 0.0 { everybody.ln() - here.ln() } else { NEVER_SEEN_DIVISOR.ln() };
        Term { word: word(feature, nearest), nats }
    }

    /// (1 / people) / (this person's share of all log-ins): who logs in seldom is likelier to be somebody else.
    #[expect(clippy::cast_precision_loss, reason = "people are no more than fit in 53 bits")]
    fn habit(&self, own_weight: f64, now: Micros) -> f64 {
        let all = self.log_ins.at(now, self.fading);
        if all <= 0.0 {
            return 0.0;
        }
        // Who was never here counts as here once.
        let own_weight = if own_weight > 0.0 { own_weight } else { 1.0 };
        (all / (self.people.len().max(1) as f64 * own_weight)).ln()
    }
}

/// What a person's own past says of a log-in.
struct Own {
    weight: f64,
    matching: [f64; LEVEL_COUNT],
    with_device: f64,
}

impl Own {
    fn of(past: &VecDeque<Seen>, seen: &Seen, fading: Fading) -> Self {
        let mut own = Self { weight: 0.0, matching: [0.0; LEVEL_COUNT], with_device: 0.0 };
        for one in past {
            let weight = fading.left(one.at, seen.at);
            own.weight += weight;
            own.with_device += if one.known_device { weight } else { 0.0 };
            for ((sum, was), is) in own.matching.iter_mut().zip(&one.values).zip(&seen.values) {
                if was == is {
                    *sum += weight;
                }
            }
        }
        own
    }
}

/// How much likelier an attacker comes so than this person does, as often as they came with a known device so far (Laplace's rule, and
/// never surer than of attackers).
fn device(own: &Own, seen: &Seen) -> Term {
    let share = ((own.with_device + 1.0) / (own.weight + 2.0)).clamp(ATTACKERS_WITH_DEVICE, 1.0 - ATTACKERS_WITH_DEVICE);
    if seen.known_device {
        Term { word: "known_device", nats: (ATTACKERS_WITH_DEVICE / share).ln() }
    } else {
        Term { word: "unknown_device", nats: ((1.0 - ATTACKERS_WITH_DEVICE) / (1.0 - share)).ln() }
    }
}

const fn word(feature: Feature, nearest: Option<usize>) -> &'static str {
    match (feature, nearest) {
        (Feature::Address, Some(0)) => "known_address",
        (Feature::Address, Some(1)) => "new_address",
        (Feature::Address, Some(_)) => "new_network",
        (Feature::Address, None) => "new_country",
        (Feature::Agent, Some(3)) => "known_client",
        (Feature::Agent, Some(4)) => "known_browser",
        (Feature::Agent, Some(5)) => "new_browser",
        (Feature::Agent, Some(_)) => "new_system",
        (Feature::Agent, None) => "new_kind_of_device",
    }
}

fn day_of(at: Micros) -> Micros {
    Micros(at.0.div_euclid(DAY_US) * DAY_US)
}

fn is_on_day(past: &VecDeque<Seen>, level: usize, value: &Value, at: Micros) -> bool {
    let day = day_of(at);
    // The newest stand at the end.
    past.iter().rev().any(|one| day_of(one.at) == day && one.values.get(level) == Some(value))
}

fn unlearn(global: &mut Global, log_ins: &mut Sum, rest: &VecDeque<Seen>, gone: &Seen, form: Form, fading: Fading) {
    for (level, value) in gone.values.iter().enumerate() {
        if !form.is_once_a_day {
            global.take(level, value, gone.at, fading);
        } else if !is_on_day(rest, level, value, gone.at) {
            global.take(level, value, day_of(gone.at), fading);
        }
    }
    global.part(gone);
    log_ins.take(gone.at, fading);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(number: u32) -> Value {
        let mut value = [0; 16];
        value[..4].copy_from_slice(&number.to_le_bytes());
        value
    }

    fn seen(address: u32, agent: u32, day: i64) -> Seen {
        let values = [
            value(address),
            value(1_000_000 + address / 10),
            value(2_000_000 + address / 100),
            value(3_000_000 + agent),
            value(4_000_000 + agent / 2),
            value(5_000_000 + agent / 4),
            value(6_000_000 + agent / 8),
        ];
        Seen { values, known_device: true, at: Micros(day * DAY_US) }
    }

    #[test]
    fn by_hand_a_known_address_speaks_for_the_person() {
        let mut model = Model::new(Form::PLAIN);
        for _ in 0..3 {
            model.learn("ada", seen(1, 1, 0));
        }
        model.learn("bob", seen(501, 41, 0));
        // Ada's three of four log-ins are from here. Below the first level lie 2 networks and 2 countries: M = 5, and 3 within her address.
        let score = model.score("ada", &seen(1, 1, 0));
        let everybody = 0.6 * (3.0 / 6.0) * (3.0 / 4.0) * (4.0 / 9.0) + 0.3 * 0.75 + 0.1 * 0.75;
        let address = score.terms[0].unwrap();
        assert!((address.nats - f64::ln(everybody)).abs() < 1e-12, "{address:?}");
        assert_eq!(address.word, "known_address");
        assert!((score.terms[2].unwrap().nats - f64::ln(4.0 / (2.0 * 3.0))).abs() < 1e-12);
        // What was never hers costs ln 4, however rare it is.
        let away = model.score("ada", &seen(9_000, 800, 0));
        assert!((away.terms[0].unwrap().nats - 4_f64.ln()).abs() < 1e-12);
        assert_eq!((away.terms[0].unwrap().word, away.terms[1].unwrap().word), ("new_country", "new_kind_of_device"));
        assert!(away.nats > score.nats);
    }

    #[test]
    fn each_level_has_its_word() {
        let mut model = Model::new(Form::OURS);
        for _ in 0..5 {
            model.learn("ada", seen(100, 16, 0));
        }
        let words = |address, agent| {
            let score = model.score("ada", &seen(address, agent, 1));
            (score.terms[0].unwrap().word, score.terms[1].unwrap().word)
        };
        assert_eq!(words(100, 16), ("known_address", "known_client"));
        assert_eq!(words(101, 17), ("new_address", "known_browser"));
        assert_eq!(words(150, 18), ("new_network", "new_browser"));
        assert_eq!(words(700, 20), ("new_country", "new_system"));
        assert_eq!(words(700, 80).1, "new_kind_of_device");
    }

    #[test]
    fn a_device_of_the_persons_own_counts_as_often_as_they_bring_it() {
        let mut model = Model::new(Form::OURS);
        for day in 0..100 {
            model.learn("ada", seen(1, 1, day));
        }
        let with = model.score("ada", &seen(1, 1, 100)).terms[3].unwrap();
        let without = model.score("ada", &Seen { known_device: false, ..seen(1, 1, 100) }).terms[3].unwrap();
        assert!(with.nats < -2.8 && with.word == "known_device", "{with:?}");
        assert!(without.nats > 2.8 && without.word == "unknown_device", "{without:?}");
    }

    #[test]
    fn old_log_ins_fade_and_the_last_hundred_stay() {
        let mut model = Model::new(Form::OURS);
        for day in 0..250 {
            model.learn("ada", seen(1, 1, day));
            model.learn("bob", seen(900, 40, day));
        }
        assert_eq!(model.score("ada", &seen(1, 1, 250)).known_count, 100);
        // Ada moves, and Bob moves in after her: after 90 days the new place speaks for her, and the old one much less.
        for day in 250..340 {
            model.learn("ada", seen(2_000, 1, day));
            model.learn("bob", seen(1, 40, day));
        }
        let (new, old) = (model.score("ada", &seen(2_000, 1, 340)), model.score("ada", &seen(1, 1, 340)));
        assert!(new.terms[0].unwrap().nats < -0.4 && old.terms[0].unwrap().nats > 1.0, "{new:?} {old:?}");
    }

    #[test]
    fn nobody_makes_a_value_common_by_repeating_it() {
        let score_after = |repeats: i64| {
            let mut model = Model::new(Form::OURS);
            for day in 0..30 {
                model.learn("ada", seen(1, 1, day));
                model.learn("bob", seen(900, 40, day));
            }
            for _ in 0..repeats {
                model.learn("eve", seen(5_000, 90, 30));
            }
            // How new the attacker's address looks with Ada depends on how common it is with everybody.
            model.global.likelihood(Feature::Address, &ADDRESS_WEIGHTS, &seen(5_000, 90, 30), model.fading)
        };
        assert!((score_after(1) - score_after(90)).abs() < 1e-12);
    }

    #[test]
    fn forgetting_leaves_no_trace() {
        for form in [Form::OURS, Form::PLAIN] {
            let mut model = Model::new(form);
            for day in 0..60 {
                model.learn("bob", seen(900 + u32::try_from(day).unwrap() % 7, 40, day));
            }
            let before = model.score("bob", &seen(900, 40, 60));
            for day in 0..200_u32 {
                model.learn("ada", seen(day % 13, day % 5, i64::from(day / 4)));
            }
            model.forget("ada");
            let after = model.score("bob", &seen(900, 40, 60));
            assert!((before.nats - after.nats).abs() < 1e-9, "{before:?} {after:?}");
            model.forget("bob");
            assert!(model.global.is_empty() && model.people_count() == 0);
        }
    }

    #[test]
    fn an_empty_model_has_a_finite_score() {
        let score = Model::new(Form::OURS).score("ada", &seen(1, 1, 0));
        assert!(score.nats.is_finite() && score.known_count == 0 && score.last_at.is_none());
    }
}
