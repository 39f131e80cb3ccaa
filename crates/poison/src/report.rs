//! What a scan leaves.

use serde::{Deserialize, Serialize};

use crate::cells::CellKind;
use crate::certificate::Certificate;
use crate::sources::SourceMark;
use crate::targets::Dose;
use crate::verify::AttackSuccess;

/// Suspects that are listed with their reasons; all rows have scores.
pub const SUSPECT_COUNT_MAX: usize = 10_000;
/// Valuable and fragile rows that are listed.
pub const TARGET_COUNT_MAX: usize = 1_000;
/// Pairs of classes, and sources, that are listed.
pub const LIST_COUNT_MAX: usize = 100;

/// A kind of screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScreenKind {
    /// Wrong or flipped labels.
    Labels,
    /// Triggers that a model would learn as a backdoor.
    Triggers,
    /// Inserted rows that lie apart.
    Outliers,
    /// Copies and contradictions.
    Duplicates,
    /// Sources with too many doubtful rows.
    Sources,
}

/// What a screen concludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The data lacks what the screen needs.
    NotRun,
    /// Nothing beyond what clean data shows.
    Clear,
    /// Worth a look: clean data can show it too.
    Notice,
    /// Beyond what clean data shows.
    Suspect,
    /// A trigger that a model learnt and, its rows removed, unlearnt. Only this speaks for refusal by itself.
    Verified,
}

/// The identifiers of the attacks that a screen looks for. They move between editions: these are of MITRE ATLAS 5.6,
/// OWASP ML Top 10 2023 and NIST AI 100-2 E2025.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Framework {
    /// MITRE ATLAS techniques.
    pub atlas: Vec<String>,
    /// OWASP ML Top 10 entries.
    pub owasp: Vec<String>,
    /// NIST AI 100-2 classes.
    pub nist: Vec<String>,
}

/// One screen's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Screen {
    /// Which screen.
    pub kind: ScreenKind,
    /// What it concludes.
    pub verdict: Verdict,
    /// Rows that it suspects.
    pub suspected_rows: u64,
    /// Their share of all rows, 0 to 1.
    pub suspected_share: f64,
    /// A row is suspected from this score on; more than 1 where none is.
    pub score_min: f32,
    /// What was found, in a sentence.
    pub summary: String,
    /// What it looks for, in the frameworks' identifiers.
    pub framework: Framework,
}

/// Why a row is suspected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// Its label is improbable.
    Label {
        /// Its label.
        given: String,
        /// The class that the models expect.
        expected: String,
        /// How probable the models hold its own label, 0 to 1.
        probability: f32,
    },
    /// It holds a trigger.
    Trigger {
        /// The trigger's place in the report's list.
        trigger: usize,
    },
    /// It lies apart from all others.
    Outlier,
    /// It has equal rows with other labels.
    Contradiction {
        /// How many rows are equal to it.
        copies: u32,
    },
}

/// A suspected row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Its number, from 0.
    pub row: u64,
    /// The greatest of its scores, 0 to 1.
    pub score: f32,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// Labels flipped in one direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlippedPair {
    /// The label that the rows carry.
    pub given: String,
    /// The class that they look like.
    pub looks_like: String,
    /// How many rows more than in the other direction.
    pub excess_rows: f64,
    /// The share of that class's rows.
    pub rate: f64,
    /// Standard deviations from equal flips in both directions.
    pub z: f64,
}

/// A suspected trigger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// What it is made of.
    pub kind: CellKind,
    /// Its cells in words, the most striking first.
    pub cells: Vec<String>,
    /// The label that its rows carry.
    pub label: String,
    /// The greatest z of its cells.
    pub z: f32,
    /// The z from which cells of this kind are looked at.
    pub threshold: f32,
    /// How probable models without these cells hold that label for these rows: low for relabelled rows.
    pub expected: f32,
    /// How many rows hold it and carry the label.
    pub row_count: u64,
    /// These rows, or the first of them.
    pub rows: Vec<u64>,
    /// What a surrogate did with it; nothing where none could be tried.
    pub attack: Option<AttackSuccess>,
    /// Whether it is one: the rows look like another class, and the surrogate learnt and unlearnt it.
    pub verified: bool,
}

/// Copies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Copies {
    /// Rows that are exactly equal to another.
    pub equal_rows: u64,
    /// Rows with a nearly equal row.
    pub near_rows: u64,
    /// Rows with an equal row of another label.
    pub contradicted_rows: u64,
    /// The largest groups: how many rows, and the first of them.
    pub largest: Vec<(u32, Vec<u64>)>,
    /// The largest groups of texts of which not all are equal.
    #[serde(default)]
    pub near_largest: Vec<(u32, Vec<u64>)>,
}

/// Which rows an attacker would gain most by changing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetReport {
    /// The rows whose labels are worth most, with their value in thousandths of a right answer.
    pub most_valuable: Vec<(u64, f32)>,
    /// The rows whose prediction turns most easily, with their fragility, 0 to 1.
    pub most_fragile: Vec<(u64, f32)>,
    /// The surrogate's accuracy, 0 to 1.
    pub accuracy: f64,
    /// How it falls with flipped labels.
    pub doses: Vec<Dose>,
    /// The least share of the labels that, flipped, costs five points of accuracy; nothing if none of those tried does.
    pub lethal_share: Option<f64>,
    /// How many changed rows the vote of models on disjoint parts stands; nothing where there are too few rows for parts.
    #[serde(default)]
    pub certificate: Option<Certificate>,
}

/// A member of the pooled model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its weight; 0 if it did not help.
    pub weight: f32,
}

/// Scores of every row, in row order; empty where a screen did not run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// How doubtful the label is, 0 to 1.
    pub labels: Vec<f32>,
    /// The greatest z of a cell that the row is in with its label; rows of verified triggers above all others. Not scaled.
    pub triggers: Vec<f32>,
    /// How far apart the row lies, 0 to 1.
    pub outliers: Vec<f32>,
    /// What the row's label is worth, in thousandths of a right answer.
    pub values: Vec<f32>,
    /// How easily the row's prediction is turned, 0 to 1.
    pub fragility: Vec<f32>,
    /// How much the row is copied, 0 to 1: 0 without copies, 1 if all rows are; by the order of magnitude of its group, and
    /// somewhat by how near its nearest copy is.
    #[serde(default)]
    pub copies: Vec<f32>,
}

/// The report of a scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoisonReport {
    /// Rows scanned.
    pub rows: u64,
    /// The classes' names.
    pub classes: Vec<String>,
    /// The seed; the same input and seed give the same report.
    pub seed: u64,
    /// The worst verdict of all screens.
    pub verdict: Verdict,
    /// Every screen.
    pub screens: Vec<Screen>,
    /// The pooled model's members.
    pub members: Vec<Member>,
    /// The pooled model's out-of-fold accuracy against the labels, 0 to 1.
    pub accuracy: f64,
    /// The suspected rows, the most suspected first, at most [`SUSPECT_COUNT_MAX`].
    pub suspects: Vec<Suspect>,
    /// Flips in one direction.
    pub flipped_pairs: Vec<FlippedPair>,
    /// Suspected triggers.
    pub triggers: Vec<Trigger>,
    /// Copies.
    pub copies: Copies,
    /// The sources, the most striking first.
    pub sources: Vec<SourceMark>,
    /// What an attacker would go for.
    pub targets: TargetReport,
    /// Scores of every row.
    pub scores: Scores,
    /// What was left out or cut short.
    pub notes: Vec<String>,
    /// What this scan cannot show.
    pub limits: Vec<String>,
}

/// What no report of this crate can promise.
pub(crate) const LIMITS: [&str; 5] = [
    "A screen's verdict is evidence, not proof; clean data has doubtful labels and striking cells too.",
    "Clean-label attacks (smooth or spread triggers without changed labels) and attackers who know these screens can pass.",
    "The certificate is of a vote of simple models on disjoint parts of the data, not of a model trained on all of it.",
    "Triggers are tried on a surrogate that sees the same cells; a candidate model must be probed by itself before it serves.",
    "After rows are removed, models must be trained again and compared before and after.",
];

impl Framework {
    /// The identifiers of a screen.
    #[must_use]
    pub fn of(kind: ScreenKind) -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (atlas, owasp, nist): (&[&str], &[&str], &[&str]) = match kind {
            ScreenKind::Labels | ScreenKind::Outliers | ScreenKind::Duplicates => {
                (&["AML.T0020", "AML.T0059"], &["ML02:2023", "ML08:2023"], &["NISTAML.013", "NISTAML.024", "NISTAML.012"])
            }
            ScreenKind::Triggers => (
                &["AML.T0018.000", "AML.T0043.004", "AML.T0020"],
                &["ML02:2023", "ML10:2023"],
                &["NISTAML.023", "NISTAML.021", "NISTAML.051"],
            ),
            ScreenKind::Sources => {
                (&["AML.T0010.002", "AML.T0019", "AML.T0020"], &["ML02:2023", "ML06:2023"], &["NISTAML.05", "NISTAML.051"])
            }
        };
        Self { atlas: texts(atlas), owasp: texts(owasp), nist: texts(nist) }
    }
}
