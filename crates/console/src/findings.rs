//! What an inspection's report says, as parts of a version's page: how the data differs from what it was compared with, which rows are suspect,
//! its columns; and of a model, the rules of its gate file. What else there is of a model is in `model_report`.

use futures_util::StreamExt;
use inspection::{ColumnView, DriftView, Finding, InspectionReport, RuleView, View, charts};
use kernel::Problem;

use crate::board::Tone;

/// A larger report is not read for a page; it can still be saved.
pub const REPORT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Columns that a page shows: more would weigh too much.
const COLUMN_COUNT_MAX: usize = 60;
const ROW_COUNT_MAX: usize = 50;
/// Findings whose rows the report lists in full, so that all of them can be left out.
const CLEANABLE: [&str; 6] = [
    "poisoning.label_flips",
    "poisoning.trigger",
    "poisoning.trigger_suspected",
    "poisoning.outliers",
    "poisoning.injected",
    "poisoning.contradictions",
];

/// What is shown.
pub struct Shown {
    view: View,
    /// What it was compared with.
    pub reference: String,
    /// Findings whose rows can be left out as a whole: id and title.
    pub cleanable: Vec<(String, String)>,
    /// Where cleaning is asked for; empty for who may not.
    pub clean: String,
}

/// The report in a document.
///
/// # Errors
/// `Internal` for one that cannot be read.
pub async fn read(mut body: data::Body, size_bytes: u64) -> Result<Option<InspectionReport>, Problem> {
    if size_bytes > REPORT_BYTES_MAX {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece?);
    }
    let report = serde_json::from_slice(&bytes).map_err(|error| Problem::internal("the report cannot be read", error))?;
    Ok(Some(report))
}

impl Shown {
    /// Of a report.
    #[must_use]
    pub fn of(report: InspectionReport, clean: String) -> Self {
        let can_be_left_out = |finding: &&Finding| CLEANABLE.contains(&finding.id.as_str());
        let cleanable = report.findings.iter().filter(can_be_left_out).map(|one| (one.id.clone(), one.title.clone())).collect();
        Self { view: report.view, reference: report.reference.unwrap_or_default(), cleanable, clean }
    }

    /// The comparison, as far as it is shown.
    #[must_use]
    pub fn drift(&self) -> &[DriftView] {
        self.view.drift.get(..self.view.drift.len().min(COLUMN_COUNT_MAX)).unwrap_or_default()
    }

    /// How many columns changed.
    #[must_use]
    pub fn drifted_count(&self) -> usize {
        self.view.drift.iter().filter(|one| one.drifted).count()
    }

    /// What goes with the drift.
    #[must_use]
    pub fn segments(&self) -> &[inspection::SegmentView] {
        self.view.segments.get(..self.view.segments.len().min(ROW_COUNT_MAX)).unwrap_or_default()
    }

    /// The comparison as a picture.
    #[must_use]
    pub fn drift_chart(&self) -> String {
        charts::drift(self.drift())
    }

    /// The suspect rows, the most suspect first.
    #[must_use]
    pub fn suspects(&self) -> &[inspection::SuspectView] {
        let all = self.view.poisoning.as_ref().map(|found| found.suspects.as_slice()).unwrap_or_default();
        all.get(..all.len().min(ROW_COUNT_MAX)).unwrap_or_default()
    }

    /// How many rows are suspect, of how many.
    #[must_use]
    pub fn suspect_words(&self) -> String {
        let found = self.view.poisoning.as_ref();
        found.map(|one| format!("{} of {} rows are suspect.", one.suspect_count, one.row_count)).unwrap_or_default()
    }

    /// Rows by score, as a picture.
    #[must_use]
    pub fn scores_chart(&self) -> String {
        self.view.poisoning.as_ref().filter(|one| !one.scores.is_empty()).map(charts::scores).unwrap_or_default()
    }

    /// The columns, as far as they are shown.
    #[must_use]
    pub fn columns(&self) -> &[ColumnView] {
        self.view.columns.get(..self.view.columns.len().min(COLUMN_COUNT_MAX)).unwrap_or_default()
    }

    /// Columns that are not.
    #[must_use]
    pub fn column_hidden_count(&self) -> u64 {
        let kept = self.view.columns.len().saturating_sub(COLUMN_COUNT_MAX);
        self.view.column_hidden_count.saturating_add(u64::try_from(kept).unwrap_or(u64::MAX))
    }

    /// The rules of a model's gate file, or else of the data's contract.
    #[must_use]
    pub fn rules(&self) -> &[RuleView] {
        let all = if self.view.gates.is_empty() { &self.view.rules } else { &self.view.gates };
        all.get(..all.len().min(100)).unwrap_or_default()
    }

    /// What those rules are.
    #[must_use]
    pub fn rules_title(&self) -> &'static str {
        if self.view.gates.is_empty() { "The contract's rules" } else { "The gate file's rules" }
    }
}

/// A column as a picture: ranges in order, or its most frequent values.
#[must_use]
pub fn column_chart(column: &ColumnView) -> String {
    let total = column.bars.iter().map(|bar| bar.count).fold(0_u64, u64::saturating_add);
    match (column.bars.is_empty(), column.is_histogram) {
        (true, _) => String::new(),
        (false, true) => charts::histogram(&column.bars),
        (false, false) => charts::values(&column.bars, total),
    }
}

/// A share in per cent; what is not zero is never shown as zero.
#[must_use]
pub fn percent(share: &f64) -> String {
    let percent = if share.is_finite() { share * 100.0 } else { 0.0 };
    if percent > 0.0 && percent < 0.1 { "less than 0.1 %".to_owned() } else { format!("{percent:.1} %") }
}

/// A number between 0 and 1, and smaller ones.
#[must_use]
pub fn small(number: &f64) -> String {
    crate::runs::number(*number)
}

/// How a rule stands.
#[must_use]
pub const fn rule_state(rule: &RuleView) -> (&'static str, &'static str) {
    match rule.holds {
        Some(true) => (Tone::Good.class(), "holds"),
        Some(false) => (Tone::Bad.class(), "broken"),
        None => (Tone::Wait.class(), "not judged"),
    }
}
