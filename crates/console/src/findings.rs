//! What an inspection's report says, as parts of a version's page: how the data differs from what it was compared with, which rows are suspect,
//! its columns; and of a model, the rules of its gate file. What else there is of a model is in `model_report`.

use futures_util::StreamExt;
use inspection::{ColumnView, DriftView, Finding, InspectionReport, RuleView, View, charts};
use kernel::Problem;

use crate::board::{Tone, bytes, first_of};

/// A larger report is not read for a page; it can still be saved.
pub const REPORT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Columns that a page shows: more would weigh too much.
const COLUMN_COUNT_MAX: usize = 60;
/// Segments, and rules.
const ROW_COUNT_MAX: usize = 100;
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

/// A report as a page has it.
pub enum Report {
    /// There is none.
    None,
    /// It is too large for a page: its bytes.
    TooLarge(i64),
    /// It was read.
    Read(Box<InspectionReport>),
}

impl Report {
    /// What was read, and the fact that nothing was.
    pub fn into_parts(self) -> (Option<InspectionReport>, Option<(&'static str, String)>) {
        match self {
            Self::None => (None, None),
            Self::TooLarge(size_bytes) => (None, Some(unread(size_bytes))),
            Self::Read(report) => (Some(*report), None),
        }
    }
}

/// The report in a document.
///
/// # Errors
/// `Internal` for one that cannot be read.
pub async fn read(mut body: data::Body, size_bytes: u64) -> Result<Report, Problem> {
    if size_bytes > REPORT_BYTES_MAX {
        return Ok(Report::TooLarge(i64::try_from(size_bytes).unwrap_or(i64::MAX)));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece?);
    }
    let report = serde_json::from_slice(&bytes).map_err(|error| Problem::internal("the report cannot be read", error))?;
    Ok(Report::Read(Box::new(report)))
}

/// What is said of a report that a page does not read, as a fact.
fn unread(size_bytes: i64) -> (&'static str, String) {
    let words =
        format!("{} are too much for a page, so nothing of it is shown here; save the whole report below", bytes(size_bytes));
    ("Report", words)
}

impl Shown {
    /// Of a report.
    #[must_use]
    pub fn of(report: InspectionReport, clean: String) -> Self {
        let mut report = report;
        worst_first(&mut report.view);
        let can_be_left_out = |finding: &&Finding| CLEANABLE.contains(&finding.id.as_str());
        let cleanable = report.findings.iter().filter(can_be_left_out).map(|one| (one.id.clone(), one.title.clone())).collect();
        Self { view: report.view, reference: report.reference.unwrap_or_default(), cleanable, clean }
    }

    /// The comparison, as far as it is shown.
    #[must_use]
    pub fn drift(&self) -> &[DriftView] {
        self.view.drift.get(..self.view.drift.len().min(COLUMN_COUNT_MAX)).unwrap_or_default()
    }

    /// How many columns changed, and how many of them are shown.
    #[must_use]
    pub fn drift_words(&self) -> String {
        let (all, shown) = (self.view.drift.len(), self.drift().len());
        let drifted = self.view.drift.iter().filter(|one| one.drifted).count();
        let words = format!("{drifted} of {all} columns changed.");
        if all > shown { format!("{words} {shown} are shown, those that changed first; the report has all.") } else { words }
    }

    /// What goes with the drift.
    #[must_use]
    pub fn segments(&self) -> &[inspection::SegmentView] {
        self.view.segments.get(..self.view.segments.len().min(ROW_COUNT_MAX)).unwrap_or_default()
    }

    /// What is said of them.
    #[must_use]
    pub fn segments_title(&self) -> String {
        first_of("Where it comes from", self.view.segments.len(), ROW_COUNT_MAX)
    }

    /// The comparison as a picture.
    #[must_use]
    pub fn drift_chart(&self) -> String {
        charts::drift(self.drift())
    }

    /// The suspect rows, the most suspect first: all that the report lists one by one.
    #[must_use]
    pub fn suspects(&self) -> &[inspection::SuspectView] {
        self.view.poisoning.as_ref().map(|found| found.suspects.as_slice()).unwrap_or_default()
    }

    /// How many rows are suspect, of how many, and what to do about those that are not listed.
    #[must_use]
    pub fn suspect_words(&self) -> String {
        let Some(found) = &self.view.poisoning else { return String::new() };
        let words = format!("{} of {} rows are suspect.", found.suspect_count, found.row_count);
        let listed = found.suspects.len();
        let has_more = u64::try_from(listed).is_ok_and(|listed| found.suspect_count > listed);
        match (has_more, self.clean.is_empty() || self.cleanable.is_empty()) {
            (false, _) => words,
            (true, true) => format!("{words} The {listed} most suspect are listed."),
            (true, false) => {
                format!(
                    "{words} The {listed} most suspect are listed; the others are left out with all rows of what was found, below."
                )
            }
        }
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
        let all = self.all_rules();
        all.get(..all.len().min(ROW_COUNT_MAX)).unwrap_or_default()
    }

    fn all_rules(&self) -> &[RuleView] {
        if self.view.gates.is_empty() { &self.view.rules } else { &self.view.gates }
    }

    /// What those rules are.
    #[must_use]
    pub fn rules_title(&self) -> String {
        let title = if self.view.gates.is_empty() { "The contract's rules" } else { "The gate file's rules" };
        first_of(title, self.all_rules().len(), ROW_COUNT_MAX)
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

/// What changed, and what is broken, before what is as it was.
fn worst_first(view: &mut View) {
    view.drift.sort_by_key(|one| !one.drifted);
    view.gates.sort_by_key(|one| one.holds != Some(false));
    view.rules.sort_by_key(|one| one.holds != Some(false));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(view: View, clean: &str) -> Shown {
        Shown { view, reference: String::new(), cleanable: vec![("a".to_owned(), "A".to_owned())], clean: clean.to_owned() }
    }

    #[test]
    fn a_list_that_is_cut_says_so() {
        let drift =
            (0..100).map(|at| DriftView { column: format!("c{at}"), drifted: at >= 30, ..DriftView::default() }).collect();
        let rules = (0..150).map(|at| RuleView { holds: Some(at != 149), ..RuleView::default() }).collect();
        let suspects = vec![inspection::SuspectView::default(); 100];
        let poisoning =
            inspection::PoisonView { suspects, suspect_count: 400, row_count: 900, ..inspection::PoisonView::default() };
        let view = View { drift, rules, poisoning: Some(poisoning), ..View::default() };
        let mut sorted = view.clone();
        worst_first(&mut sorted);
        let shown = of(sorted, "/clean");
        assert_eq!(shown.drift_words(), "70 of 100 columns changed. 60 are shown, those that changed first; the report has all.");
        assert!(shown.drift().iter().all(|one| one.drifted), "what changed is shown first");
        assert_eq!((shown.rules().len(), shown.rules_title().as_str()), (100, "The contract's rules: the first 100 of 150"));
        assert_eq!(shown.rules()[0].holds, Some(false), "a broken rule is never cut off");
        assert_eq!(shown.suspects().len(), 100);
        assert!(
            of(view.clone(), "/clean")
                .suspect_words()
                .ends_with("the others are left out with all rows of what was found, below.")
        );
        assert!(of(view, "").suspect_words().ends_with("The 100 most suspect are listed."));
    }

    #[test]
    fn a_report_that_is_too_large_is_told_of() {
        let (report, fact) = Report::TooLarge(20 << 20).into_parts();
        assert!(report.is_none() && fact.unwrap().1.starts_with("20.0 MiB are too much for a page"));
    }
}
