//! The candidate's answers judged by its gate file against its champion's.

use adversary::gate::{
    Costs, GateFile, GateInput, GateReport, GoldenRows, Outcome, Reason, RuleReport, SliceColumn, SliceValues, judge,
};
use adversary::{AdversaryError, Predictions};
use inspection::{Finding, FindingKind, JobSpec, RuleView, Screen, VIEW_ROW_COUNT_MAX, catalogue};
use serde::Serialize;

use super::frame::{Column, Frame, number_text};
use super::model::Served;
use super::truth::canonical;
use super::{Asked, Refused, Trial, Wanted, table_of, watched};
use crate::inspect::Draft;

/// Findings of one data version.
const FINDING_COUNT_MAX: usize = 50;
/// Rules of one data version that the report keeps, broken ones first.
const RULE_COUNT_MAX: usize = 2_000;
/// Values of a column of numbers that are slices by their texts.
const SLICE_TEXT_COUNT_MAX: usize = 10_000;

/// The report's section.
#[derive(Serialize)]
struct Written {
    gate_sha256: String,
    revision: i64,
    /// The version that it was compared with.
    champion: Option<String>,
    /// The file whose answers were judged, and its format.
    model: (String, String),
    data: Vec<OfData>,
}

#[derive(Serialize)]
struct OfData {
    data: String,
    rows: u64,
    /// Rows of the data version, where a sample of them was judged.
    sample_of: Option<u64>,
    /// Rows that were left out because nothing says what is true of them.
    unknown: u64,
    report: GateReport,
}

/// Judges on every data version.
pub(super) fn run(trial: &Trial<'_>, job: &JobSpec, draft: &mut Draft<'_>) {
    let mut written = Vec::new();
    let mut whole = trial.spec.missing.is_empty() && (trial.champion.is_some() || trial.spec.champion.is_none());
    for (at, asked) in trial.asked.iter().enumerate() {
        match judged(trial, asked, at == 0, draft) {
            Ok(mut report) => {
                whole &= report.passed;
                findings(&asked.name, &report, draft);
                show(&asked.name, &report, draft);
                shorten(&mut report);
                let sample_of = asked.frame.is_sample().then_some(asked.frame.row_count);
                let (rows, unknown) = (report.rows, asked.truth.unknown_count);
                written.push(OfData { data: asked.name.clone(), rows, sample_of, unknown, report });
            }
            Err((kind, why)) => {
                whole = false;
                draft.find(Finding::new(kind, format!("`{}`: {why}", asked.name)));
            }
        }
    }
    let champion = trial.champion.as_ref().and(trial.spec.champion.as_ref()).map(|champion| champion.version.clone());
    if whole {
        let rules: usize = written.iter().map(|of| of.report.rules.len()).sum();
        let against =
            champion.as_ref().map_or_else(|| "without a champion".to_owned(), |version| format!("against version {version}"));
        let data: Vec<&str> = trial.asked.iter().map(|asked| asked.name.as_str()).collect();
        draft.find(Finding::new(&catalogue::GATE_PASSED, format!("{rules} rules on `{}` {against}", data.join("`, `"))));
    }
    let gate_sha256 = kernel::hex(&kernel::sha256(trial.spec.gate_yaml.as_bytes()));
    let revision = trial.spec.revision;
    let section = Written { gate_sha256, revision, champion, model: trial.candidate.file(), data: written };
    draft.report().gates = draft.section(Screen::Gate, &section);
    draft.ran(Screen::Gate);
    debug_assert!(job.wants(Screen::Gate));
}

/// The report on one data version; golden rows and costs are judged with the first one.
fn judged(trial: &Trial<'_>, asked: &Asked, first: bool, draft: &mut Draft<'_>) -> Result<GateReport, Refused> {
    let not_evaluated = |why: String| (&catalogue::GATE_NOT_EVALUATED, why);
    let file = GateFile {
        golden: trial.file.golden.clone().filter(|_| first && trial.spec.golden.is_some()),
        latency: trial.file.latency.clone().filter(|_| first),
        size: trial.file.size.clone().filter(|_| first),
        ..trial.file.clone()
    };
    draft.progress("gates: answers");
    let candidate = Answers::of(trial, &trial.candidate, &asked.frame, file.latency.is_some()).map_err(not_evaluated)?;
    let champion = trial.champion.as_ref().map(|champion| Answers::of(trial, champion, &asked.frame, file.latency.is_some()));
    let champion = unless_broken(champion, trial, draft);
    let golden = match &file.golden {
        Some(_) => Some(golden(trial)?),
        None => None,
    };
    let truth = asked.truth.named(&trial.classes);
    let slices = slice_columns(&file, &asked.frame).map_err(|why| (&catalogue::GATE_INVALID, why))?;
    let input = GateInput {
        truth: &truth,
        slices: &slices,
        candidate: &candidate.answers,
        champion: champion.as_ref().map(|champion| &champion.answers),
        costs: Some(&candidate.costs),
        champion_costs: champion.as_ref().map(|champion| &champion.costs),
        golden: golden.as_ref().map(|(expected, got)| GoldenRows { expected: expected.as_ref(), got }),
    };
    watched(draft, "gates", |watch| judge(&file, &input, watch)).map_err(|error| match error {
        AdversaryError::File(_) | AdversaryError::TooLarge(_) => (&catalogue::GATE_INVALID, error.to_string()),
        AdversaryError::Shape(_) => (&catalogue::GATE_DATA, error.to_string()),
        AdversaryError::Model(_) | AdversaryError::Cancelled => (&catalogue::GATE_NOT_EVALUATED, error.to_string()),
    })
}

/// Answers of one model to a table.
struct Answers {
    answers: Predictions,
    costs: Costs,
}

impl Answers {
    fn of(trial: &Trial<'_>, model: &Served, frame: &Frame, timed: bool) -> Result<Self, String> {
        let answering = model.over(frame, &trial.classes)?;
        let rows = answering.rows(frame.len());
        let answers = answering.answers(&rows)?;
        let latencies_ms = if timed { answering.latencies_ms(&rows)? } else { Vec::new() };
        Ok(Self { answers, costs: Costs { latencies_ms, size_bytes: model.size_bytes() } })
    }
}

/// A champion that gives no answers is no champion to compare with, and that is a finding.
fn unless_broken(champion: Option<Result<Answers, String>>, trial: &Trial<'_>, draft: &mut Draft<'_>) -> Option<Answers> {
    match champion? {
        Ok(answers) => Some(answers),
        Err(why) => {
            let version = trial.spec.champion.as_ref().map(|champion| champion.version.as_str()).unwrap_or_default();
            draft.find(Finding::new(&catalogue::GATE_CHAMPION, format!("version {version}: {why}")));
            None
        }
    }
}

/// The golden rows' answers: those on record, and the candidate's.
fn golden(trial: &Trial<'_>) -> Result<(Option<Predictions>, Predictions), Refused> {
    let no_data = |why: String| (&catalogue::GATE_DATA, why);
    let not_evaluated = |why: String| (&catalogue::GATE_NOT_EVALUATED, why);
    let (Some(table), Some(rule)) = (&trial.spec.golden, &trial.file.golden) else {
        return Err(no_data("the golden rows were not handed over".to_owned()));
    };
    let opened = table_of(table, trial.others).map_err(no_data)?;
    let mut names = match &rule.expect {
        Some(label) => {
            Wanted { label, candidate: &trial.candidate, champion: trial.champion.as_ref(), file: trial.file }.columns(&opened)
        }
        None => trial.candidate.columns().iter().chain(trial.champion.iter().flat_map(Served::columns)).cloned().collect(),
    };
    names.sort();
    names.dedup();
    let frame = Frame::read(&opened, &names, trial.file.seed, trial.asked.len() + 1)
        .map_err(|why| no_data(format!("`{}`: {why}", table.name)))?;
    let of = |model: &Served| {
        let answering = model.over(&frame, &trial.classes)?;
        answering.answers(&answering.rows(frame.len()))
    };
    let got = of(&trial.candidate).map_err(not_evaluated)?;
    let expected = match (&rule.expect, &trial.champion) {
        (Some(expect), _) => Some(recorded(trial, &frame, expect).map_err(|why| no_data(format!("`{}`: {why}", table.name)))?),
        (None, Some(champion)) => Some(of(champion).map_err(|why| (&catalogue::GATE_CHAMPION, why))?),
        (None, None) => None,
    };
    Ok((expected, got))
}

/// Answers that stand in a column.
fn recorded(trial: &Trial<'_>, frame: &Frame, expect: &str) -> Result<Predictions, String> {
    let column = frame.get(expect).ok_or_else(|| format!("there is no column `{expect}`"))?;
    if !trial.classes.are_classes {
        return Ok(Predictions::Numbers((0..frame.len()).map(|row| column.at(row)).collect()));
    }
    let place = |row: usize| {
        let name = canonical(&column.text(row).unwrap_or_default());
        trial.classes.place(&name).ok_or_else(|| format!("`{expect}` of row {row} is `{name}`, which is no class of the model"))
    };
    (0..frame.len()).map(place).collect::<Result<_, _>>().map(Predictions::Labels)
}

/// The columns that the file slices by: texts where it names values, numbers where it names ranges.
fn slice_columns(file: &GateFile, frame: &Frame) -> Result<Vec<SliceColumn>, String> {
    let mut columns = Vec::new();
    for rule in file.slices.iter().flat_map(|slices| &slices.columns) {
        let Some(column) = frame.get(&rule.column) else { continue };
        let values = match column {
            Column::Numbers { values, .. } if !rule.ranges.is_empty() => SliceValues::Numbers(values.clone()),
            Column::Numbers { values, .. } => {
                texts_of(values).map_err(|why| format!("the slices of `{}`: {why}", rule.column))?
            }
            Column::Texts { places, names } => {
                let mut names = names.clone();
                let missing = u32::try_from(names.len()).unwrap_or(u32::MAX);
                names.push("(missing)".to_owned());
                let place = |place: &f64| if place.is_nan() { missing } else { *place as u32 };
                SliceValues::Texts { of_rows: places.iter().map(place).collect(), names: used(names, places, missing) }
            }
        };
        columns.push(SliceColumn { name: rule.column.clone(), values });
    }
    Ok(columns)
}

/// The names without the one for missing values, where there are none.
fn used(mut names: Vec<String>, places: &[f64], missing: u32) -> Vec<String> {
    if !places.iter().any(|place| place.is_nan()) {
        names.truncate(missing as usize);
    }
    names
}

/// Numbers as texts, each different one a slice.
fn texts_of(values: &[f64]) -> Result<SliceValues, String> {
    let (mut names, mut of_rows) = (Vec::<String>::new(), Vec::with_capacity(values.len()));
    let mut places = std::collections::HashMap::new();
    for value in values {
        let text = if value.is_nan() { "(missing)".to_owned() } else { number_text(*value) };
        let place = *places.entry(text.clone()).or_insert(names.len());
        if place == names.len() {
            if place >= SLICE_TEXT_COUNT_MAX {
                return Err("it holds too many different numbers: give `ranges`".to_owned());
            }
            names.push(text);
        }
        of_rows.push(u32::try_from(place).unwrap_or(u32::MAX));
    }
    Ok(SliceValues::Texts { of_rows, names })
}

/// What a broken rule is.
fn kind_of(rule: &RuleReport) -> &'static FindingKind {
    match rule.reason {
        _ if rule.outcome == Outcome::Unproven => &catalogue::GATE_UNPROVEN,
        Reason::OutOfBounds | Reason::WorseThanChampion if rule.rule.starts_with("calibration_error") => {
            &catalogue::GATE_CALIBRATION
        }
        Reason::OutOfBounds | Reason::WorseThanChampion | Reason::AnswersLost => &catalogue::GATE_REGRESSED,
        Reason::SliceWorse | Reason::SliceWorseTotalBetter | Reason::SliceOutOfBounds => &catalogue::GATE_SLICE,
        Reason::TooSlow | Reason::TooBig => &catalogue::GATE_BUDGET,
        Reason::GoldenChanged => &catalogue::GATE_GOLDEN,
        Reason::Kept | Reason::NoChampion | Reason::TooFewRows | Reason::Missing => &catalogue::GATE_NOT_JUDGED,
    }
}

fn findings(data: &str, report: &GateReport, draft: &mut Draft<'_>) {
    for rule in report.refusals().take(FINDING_COUNT_MAX) {
        let finding = Finding::new(kind_of(rule), format!("on `{data}`: {}", rule.words));
        draft.find(if rule.rows > 0 { finding.rows(rule.rows) } else { finding });
    }
    let more = report.refusals().count().saturating_sub(FINDING_COUNT_MAX);
    if more > 0 {
        draft.find(Finding::new(
            &catalogue::GATE_REGRESSED,
            format!("on `{data}`: {more} more rules are broken; the report has them"),
        ));
    }
}

fn show(data: &str, report: &GateReport, draft: &mut Draft<'_>) {
    let mut rules: Vec<&RuleReport> = report.rules.iter().collect();
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.outcome));
    for rule in rules {
        if draft.view().gates.len() >= VIEW_ROW_COUNT_MAX {
            return;
        }
        let holds = match rule.outcome {
            Outcome::Pass => Some(true),
            Outcome::Fail | Outcome::Unproven => Some(false),
            Outcome::Skipped | Outcome::NotRun => None,
        };
        let view = RuleView { rule: format!("{} on {data}", rule.rule), column: None, holds, detail: rule.words.clone() };
        draft.view().gates.push(view);
    }
}

fn shorten(report: &mut GateReport) {
    let more = report.rules.len().saturating_sub(RULE_COUNT_MAX);
    if more > 0 {
        report.rules.sort_by_key(|rule| std::cmp::Reverse(rule.outcome));
        report.rules.truncate(RULE_COUNT_MAX);
        report.notes.push(format!("{more} further rules, none graver than these, are left out"));
    }
}
