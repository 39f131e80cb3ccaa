//! What simulated attacks leave.

use gates::Limits;
use poison::Framework;
use serde::{Deserialize, Serialize};

use crate::stats::Interval;

/// A simulated attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttackKind {
    /// Small changes of true inputs turn the answer, by asking for classes only (`HopSkipJump`).
    HopSkipJump,
    /// Small changes of images turn the answer, by asking for scores (Square).
    Square,
    /// Whether a row was trained on is told from its answer.
    Membership,
    /// The model is copied by asking.
    Extraction,
    /// Stamped rows turn to one class.
    Trigger,
    /// Flipped labels in the training data cost accuracy.
    Poisoning,
}

/// What an attack concludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does not apply to this model or data, and the summary says why.
    NotApplicable,
    /// Below both limits.
    Clear,
    /// Over the limit of notice.
    Notice,
    /// It applies, but could not be run to a number: nobody may call this clear.
    NotRun,
    /// Shown to be over the limit of refusal.
    Refuse,
}

/// A number with its interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// What it is, with its unit.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Where it lies.
    pub interval: Option<Interval>,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// What was spent: queries, or flipped labels.
    pub x: f64,
    /// What it gave.
    pub y: f64,
    /// Where that lies.
    pub interval: Option<Interval>,
}

/// A named curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// What it shows.
    pub name: String,
    /// Its points, by rising `x`.
    pub points: Vec<Point>,
}

/// One attack's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttackReport {
    /// Which attack.
    pub kind: AttackKind,
    /// What exactly was tried, such as the name of a trigger.
    pub what: String,
    /// Who published it.
    pub source: String,
    /// MITRE ATLAS, OWASP and NIST identifiers.
    pub framework: Framework,
    /// What it concludes.
    pub verdict: Verdict,
    /// The number that the verdict rests on; more is worse.
    pub measure: Option<Measure>,
    /// Its limits.
    pub limits: Limits,
    /// Other numbers.
    pub more: Vec<Measure>,
    /// Curves.
    pub curves: Vec<Curve>,
    /// Rows of the evidence: those that matter most.
    pub rows: Vec<u64>,
    /// Queries asked.
    pub queries: u64,
    /// The seed.
    pub seed: u64,
    /// Whether the budget ended it early; the numbers are of what was done until then.
    pub cut_short: bool,
    /// What was found, in a sentence.
    pub summary: String,
    /// What to do about it.
    pub advice: String,
}

/// What all attacks together conclude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuiteVerdict {
    /// Every attack that applies was run and none was noticed.
    Clear,
    /// At least one was noticed.
    Notice,
    /// At least one that applies could not be run.
    Incomplete,
    /// At least one refuses.
    Refuse,
}

/// The report of all attacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteReport {
    /// What they conclude.
    pub verdict: SuiteVerdict,
    /// The seed: the same model, data, configuration and seed give the same report, unless time ended it.
    pub seed: u64,
    /// The confidence of the intervals.
    pub confidence: f64,
    /// Queries asked.
    pub queries: u64,
    /// Queries allowed.
    pub queries_max: u64,
    /// The model's number on the held-back rows: accuracy, or R² of a regressor.
    pub clean: Measure,
    /// Every attack.
    pub attacks: Vec<AttackReport>,
    /// What these attacks cannot show.
    pub cannot_show: Vec<String>,
}

/// What no report of this crate can promise.
pub(crate) const CANNOT_SHOW: [&str; 4] = [
    "An attack that failed within its budget may succeed with more queries, with the model's file, or in another form.",
    "Membership is tried by its answers alone; an attacker with many models of like data tells more.",
    "A trigger that nobody names or that spreads over many columns can pass the probes.",
    "Extraction and poisoning are measured on fast surrogates: a patient attacker with a better model gets further.",
];

/// What a number concludes under these limits.
fn verdict(limits: &Limits, measure: &Measure) -> Verdict {
    let least = measure.interval.map_or(measure.value, |interval| interval.low.min(measure.value));
    if limits.refuse.is_some_and(|refuse| least >= refuse) {
        return Verdict::Refuse;
    }
    // What is over the limit of refusal, but not shown to be, is noticed at least.
    let noticed = [limits.notice, limits.refuse].iter().flatten().any(|limit| measure.value >= *limit);
    if noticed { Verdict::Notice } else { Verdict::Clear }
}

impl AttackReport {
    pub(crate) fn new(kind: AttackKind, seed: u64, limits: Limits) -> Self {
        Self {
            kind,
            what: String::new(),
            source: source(kind).to_owned(),
            framework: framework(kind),
            verdict: Verdict::NotRun,
            measure: None,
            limits,
            more: Vec::new(),
            curves: Vec::new(),
            rows: Vec::new(),
            queries: 0,
            seed,
            cut_short: false,
            summary: String::new(),
            advice: String::new(),
        }
    }

    /// The report of an attack that does not apply.
    pub(crate) fn not_applicable(mut self, why: &str) -> Self {
        (self.verdict, self.summary) = (Verdict::NotApplicable, why.to_owned());
        self
    }

    /// The report of an attack that came to no number.
    pub(crate) fn not_run(mut self, why: String) -> Self {
        (self.verdict, self.summary) = (Verdict::NotRun, why);
        "Run it again with more queries, time or rows; until then nobody knows.".clone_into(&mut self.advice);
        self
    }

    /// Sets the number, and with it the verdict.
    pub(crate) fn measured(mut self, name: &str, value: f64, interval: Option<Interval>) -> Self {
        let measure = Measure { name: name.to_owned(), value, interval };
        self.verdict = verdict(&self.limits, &measure);
        self.measure = Some(measure);
        self
    }

    pub(crate) fn and(mut self, name: &str, value: f64, interval: Option<Interval>) -> Self {
        self.more.push(Measure { name: name.to_owned(), value, interval });
        self
    }
}

impl SuiteVerdict {
    pub(crate) fn of(attacks: &[AttackReport]) -> Self {
        match attacks.iter().map(|attack| attack.verdict).max() {
            Some(Verdict::Refuse) => Self::Refuse,
            Some(Verdict::NotRun) | None => Self::Incomplete,
            Some(Verdict::Notice) => Self::Notice,
            // Nothing applied: nothing was tried.
            Some(Verdict::NotApplicable) => Self::Incomplete,
            Some(Verdict::Clear) => Self::Clear,
        }
    }
}

const fn source(kind: AttackKind) -> &'static str {
    match kind {
        AttackKind::HopSkipJump => "HopSkipJump, Chen, Jordan and Wainwright 2020",
        AttackKind::Square => "Square, Andriushchenko et al. 2020",
        AttackKind::Membership => "loss threshold, Yeom et al. 2018; offline LiRA, Carlini et al. 2022, on surrogates",
        AttackKind::Extraction => "Knockoff nets, Orekondy et al. 2019, on natural queries",
        AttackKind::Trigger => "BadNets, Gu et al. 2017: stamped rows",
        AttackKind::Poisoning => "label flips by kNN-Shapley value, Jia et al. 2019",
    }
}

/// The identifiers of an attack: MITRE ATLAS 5.6, OWASP ML Top 10 2023, NIST AI 100-2 E2025.
fn framework(kind: AttackKind) -> Framework {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let (atlas, owasp, nist): (&[&str], &[&str], &[&str]) = match kind {
        AttackKind::HopSkipJump | AttackKind::Square => {
            (&["AML.T0015", "AML.T0043.001", "AML.T0042"], &["ML01:2023"], &["NISTAML.022", "NISTAML.025"])
        }
        AttackKind::Membership => (&["AML.T0024.000"], &["ML04:2023"], &["NISTAML.033"]),
        AttackKind::Extraction => (&["AML.T0024.002", "AML.T0005.001"], &["ML05:2023"], &["NISTAML.031"]),
        AttackKind::Trigger => {
            (&["AML.T0018.000", "AML.T0043.004"], &["ML02:2023", "ML10:2023"], &["NISTAML.023", "NISTAML.021"])
        }
        AttackKind::Poisoning => (&["AML.T0020", "AML.T0059"], &["ML02:2023"], &["NISTAML.013", "NISTAML.024"]),
    };
    Framework { atlas: texts(atlas), owasp: texts(owasp), nist: texts(nist) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: f64, low: f64, wanted: Verdict) {
        let measure = Measure { name: String::new(), value, interval: Some(Interval { low, high: 1.0 }) };
        assert_eq!(verdict(&Limits::new(0.2, 0.5), &measure), wanted, "{value} {low}");
    }

    #[test]
    fn only_what_is_shown_refuses() {
        check(0.1, 0.0, Verdict::Clear);
        check(0.3, 0.1, Verdict::Notice);
        check(0.6, 0.4, Verdict::Notice);
        check(0.6, 0.5, Verdict::Refuse);
        let only_refuse = Limits { notice: None, refuse: Some(0.5) };
        assert_eq!(verdict(&only_refuse, &Measure { name: String::new(), value: 0.6, interval: None }), Verdict::Refuse);
    }

    #[test]
    fn what_was_not_run_is_never_clear() {
        let of = |verdicts: &[Verdict]| {
            let attack = |verdict: &Verdict| AttackReport {
                verdict: *verdict,
                ..AttackReport::new(AttackKind::Square, 1, Limits::new(0.1, 0.2))
            };
            SuiteVerdict::of(&verdicts.iter().map(attack).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), SuiteVerdict::Incomplete);
        assert_eq!(of(&[Verdict::NotApplicable]), SuiteVerdict::Incomplete);
        assert_eq!(of(&[Verdict::NotApplicable, Verdict::Clear]), SuiteVerdict::Clear);
        assert_eq!(of(&[Verdict::Notice, Verdict::Clear]), SuiteVerdict::Notice);
        assert_eq!(of(&[Verdict::NotRun, Verdict::Notice]), SuiteVerdict::Incomplete);
        assert_eq!(of(&[Verdict::Refuse, Verdict::NotRun]), SuiteVerdict::Refuse);
    }
}
