//! From what each way said to how many attackers it stops and how often it bothers people.

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::methods::{METHOD_COUNT, Methods, NAMES, Said};
use crate::world::{ATTACKERS, Step};

/// The windows that the published table has.
const WINDOWS: [usize; 2] = [12, 39];
/// Challenges that the median of people may get within the first window.
const BUDGET: usize = 1;
const RATES: [f64; 3] = [0.995, 0.99, 0.98];
const RESAMPLE_COUNT: usize = 400;

/// What was said of one person's log-ins in order, and of the attempts on their account.
#[derive(Default)]
struct Record {
    /// Without the first one: there the account is activated, and everything is proved anyway.
    log_ins: Vec<Said>,
    attacks: Vec<(usize, Said)>,
    is_active: bool,
}

pub struct Measured {
    records: Vec<Record>,
}

impl Measured {
    /// Judges every attempt at its time; learns the log-ins.
    pub fn of(steps: impl Iterator<Item = Step>, has_device: bool) -> Self {
        let mut methods = Methods::new(has_device);
        let mut records: Vec<Record> = Vec::new();
        for step in steps {
            let at = step.log_in.person as usize;
            if records.len() <= at {
                records.resize_with(at + 1, Record::default);
            }
            let Some(record) = records.get_mut(at) else { continue };
            if record.is_active {
                for (attacker, attack) in &step.attacks {
                    let kind = ATTACKERS.iter().position(|one| one.0 == *attacker).unwrap_or(0);
                    record.attacks.push((kind, methods.judge(attack)));
                }
                record.log_ins.push(methods.judge(&step.log_in));
            }
            record.is_active = true;
            methods.learn(&step.log_in);
        }
        records.retain(|record| record.is_active);
        Self { records }
    }

    /// Everything that is told.
    pub fn told(&self) -> Value {
        let methods: Vec<Value> = (0..METHOD_COUNT).map(|method| self.method(method)).collect();
        let log_in_count: usize = self.records.iter().map(|record| record.log_ins.len() + 1).sum();
        json!({
            "people": self.records.len(),
            "log_ins": log_in_count,
            "attacks": self.records.iter().map(|record| record.attacks.len()).sum::<usize>(),
            "people_with_13_log_ins": self.windowed(WINDOWS[0]).count(),
            "methods": methods,
            "default_bands": self.default_bands(),
        })
    }

    fn method(&self, method: usize) -> Value {
        let threshold = self.threshold(method, |threshold| self.median(method, threshold, WINDOWS[0]) <= Some(BUDGET));
        // What says only yes or no has one threshold, whatever the budget is.
        let is_within = threshold.is_some_and(|threshold| threshold < f64::MAX);
        let by_budget = self.at(method, threshold.filter(|_| is_within).unwrap_or(1.0));
        let mut by_rate = serde_json::Map::new();
        for (kind, (_, name)) in ATTACKERS.iter().enumerate() {
            let at = RATES.map(|rate| {
                let threshold = self.threshold_for_rate(method, kind, rate);
                json!({ "rate": rate, "median_12": threshold.and_then(|t| self.median(method, t, WINDOWS[0])),
                    "median_39": threshold.and_then(|t| self.median(method, t, WINDOWS[1])) })
            });
            by_rate.insert((*name).to_owned(), json!(at));
        }
        json!({ "name": NAMES.get(method), "is_within_budget": is_within, "at_budget": by_budget, "at_rates": by_rate })
    }

    fn at(&self, method: usize, threshold: f64) -> Value {
        let is_challenged = |said: &Said| score(said, method) >= threshold;
        let (mean, last_tenth) = self.bother(&is_challenged);
        let mut told = json!({ "threshold": threshold, "median_12": self.median(method, threshold, WINDOWS[0]),
            "median_39": self.median(method, threshold, WINDOWS[1]), "mean_12": mean, "p90_12": last_tenth,
            "mean_12_interval": self.interval(|record| share_of_window(record, &is_challenged)),
            "of_all_log_ins": self.of_all(&is_challenged) });
        for (kind, (_, name)) in ATTACKERS.iter().enumerate() {
            if let Some(told) = told.as_object_mut() {
                told.insert((*name).to_owned(), self.caught(kind, &is_challenged));
            }
        }
        told
    }

    /// What happens with the server's own settings.
    fn default_bands(&self) -> Value {
        use rba::{Band, Bands};
        let settings = Bands::default();
        let asked = |least: Band| move |said: &Said| said.band >= least;
        let (mean, last_tenth) = self.bother(&asked(Band::SecondFactor));
        let mut told = json!({ "settings": [settings.second_factor, settings.phishing_resistant, settings.refuse],
            "mean_12": mean, "p90_12": last_tenth, "median_12": self.median_of(&asked(Band::SecondFactor), WINDOWS[0]),
            "of_all_log_ins": self.of_all(&asked(Band::SecondFactor)),
            "phishing_resistant_of_all": self.of_all(&asked(Band::PhishingResistant)), "refused_of_all": self.of_all(&asked(Band::Refuse)) });
        for (kind, (_, name)) in ATTACKERS.iter().enumerate() {
            let by = json!({ "asked": self.caught(kind, &asked(Band::SecondFactor)),
                "phishing_resistant": self.caught(kind, &asked(Band::PhishingResistant)), "refused": self.caught(kind, &asked(Band::Refuse)) });
            if let Some(told) = told.as_object_mut() {
                told.insert((*name).to_owned(), by);
            }
        }
        told
    }

    /// People with enough log-ins for a window.
    fn windowed(&self, window: usize) -> impl Iterator<Item = &[Said]> {
        self.records.iter().filter_map(move |record| record.log_ins.get(..window))
    }

    fn median(&self, method: usize, threshold: f64, window: usize) -> Option<usize> {
        self.median_of(&|said: &Said| score(said, method) >= threshold, window)
    }

    fn median_of(&self, is_challenged: &dyn Fn(&Said) -> bool, window: usize) -> Option<usize> {
        let mut counts = self.counts(is_challenged, window);
        counts.sort_unstable();
        counts.get(counts.len() / 2).copied()
    }

    fn counts(&self, is_challenged: &dyn Fn(&Said) -> bool, window: usize) -> Vec<usize> {
        self.windowed(window).map(|log_ins| log_ins.iter().filter(|said| is_challenged(said)).count()).collect()
    }

    /// The mean share of the first window, and how many challenges one in ten gets at least.
    #[expect(clippy::cast_precision_loss, reason = "counts of people")]
    fn bother(&self, is_challenged: &dyn Fn(&Said) -> bool) -> (f64, usize) {
        let mut counts = self.counts(is_challenged, WINDOWS[0]);
        counts.sort_unstable();
        let sum: usize = counts.iter().sum();
        let mean = sum as f64 / (counts.len().max(1) * WINDOWS[0]) as f64;
        (mean, counts.get(counts.len() * 9 / 10).copied().unwrap_or(0))
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of log-ins")]
    fn of_all(&self, is_challenged: &dyn Fn(&Said) -> bool) -> f64 {
        let all = self.records.iter().flat_map(|record| &record.log_ins);
        let (hit, count) = all.fold((0_usize, 0_usize), |(hit, count), said| (hit + usize::from(is_challenged(said)), count + 1));
        hit as f64 / count.max(1) as f64
    }

    fn caught(&self, kind: usize, is_challenged: &dyn Fn(&Said) -> bool) -> Value {
        let of = |record: &Record| {
            let tried = record.attacks.iter().filter(|attack| attack.0 == kind);
            tried.fold((0.0, 0.0), |(hit, count), attack| (hit + f64::from(u8::from(is_challenged(&attack.1))), count + 1.0))
        };
        let (hit, count) = self.records.iter().map(of).fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        json!({ "rate": hit / f64::max(count, 1.0), "interval": self.interval(of) })
    }

    /// 95 % of what comes out when people are drawn again (Efron's bootstrap, by person).
    fn interval(&self, of: impl Fn(&Record) -> (f64, f64)) -> [f64; 2] {
        let parts: Vec<(f64, f64)> = self.records.iter().map(of).collect();
        let mut chance = Chance::new(11);
        let mut rates: Vec<f64> = (0..RESAMPLE_COUNT)
            .map(|_| {
                let drawn = (0..parts.len()).filter_map(|_| parts.get(chance.below(parts.len())));
                let (hit, count) = drawn.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
                hit / f64::max(count, 1.0)
            })
            .collect();
        rates.sort_unstable_by(f64::total_cmp);
        [RESAMPLE_COUNT / 40, RESAMPLE_COUNT - RESAMPLE_COUNT / 40 - 1].map(|at| rates.get(at).copied().unwrap_or(f64::NAN))
    }

    /// The lowest threshold that is good enough; a higher one challenges less.
    fn threshold(&self, method: usize, is_good: impl Fn(f64) -> bool) -> Option<f64> {
        let mut scores: Vec<f64> =
            self.records.iter().flat_map(|record| &record.log_ins).map(|said| score(said, method)).collect();
        scores.sort_unstable_by(f64::total_cmp);
        scores.dedup();
        scores.push(f64::MAX);
        let at = scores.partition_point(|threshold| !is_good(*threshold));
        scores.get(at).copied().filter(|threshold| *threshold < f64::MAX || is_good(*threshold))
    }

    /// The highest threshold that still stops this share of the attackers.
    fn threshold_for_rate(&self, method: usize, kind: usize, rate: f64) -> Option<f64> {
        let attacks = self.records.iter().flat_map(|record| &record.attacks).filter(|attack| attack.0 == kind);
        let mut scores: Vec<f64> = attacks.map(|attack| score(&attack.1, method)).collect();
        scores.sort_unstable_by(f64::total_cmp);
        let at = share(1.0 - rate, scores.len());
        scores.get(at).copied()
    }
}

fn share_of_window(record: &Record, is_challenged: &dyn Fn(&Said) -> bool) -> (f64, f64) {
    let window = record.log_ins.get(..WINDOWS[0]).unwrap_or_default();
    window.iter().fold((0.0, 0.0), |(hit, count), said| (hit + f64::from(u8::from(is_challenged(said))), count + 1.0))
}

fn score(said: &Said, method: usize) -> f64 {
    said.scores.get(method).copied().unwrap_or(0.0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
fn share(part: f64, count: usize) -> usize {
    (part * count as f64) as usize
}
