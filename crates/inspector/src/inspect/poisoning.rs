//! Was it tampered with to mislead a model, and which rows would an attacker change?

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use arrow_array::BooleanArray;
use arrow_schema::{DataType, SchemaRef};
use arrow_select::filter::filter_record_batch;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use inspection::{Bar, Example, Finding, FindingKind, JobSpec, PoisonView, Screen, SuspectView, VIEW_ROW_COUNT_MAX, catalogue};
use poison::{
    Encoder, Input, Options, PoisonError, PoisonReport, Reason, Role, Roles, ScreenKind, Suspect, Verdict, Watch, scan,
};
use serde::Serialize;
use tables::Table;

use super::draft::Draft;
use super::guarded;
use super::mask::may_show;

/// Values (rows times features) that are held at once: a quarter of a gigabyte.
const VALUE_COUNT_MAX: u64 = 64 << 20;
/// Rows that are guarded in later versions.
const GUARDED_COUNT_MAX: usize = 200;
/// Bars of the chart of scores.
const SCORE_BAR_COUNT: usize = 20;

/// The rows that are screened: all, or a seeded sample.
struct Screened {
    input: Input,
    label: Option<String>,
    /// Their numbers in the version; empty if all are screened.
    numbers: Vec<u64>,
}

/// The report's section: what the engine found, and a score for each row in a form that a million rows can afford.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    report: &'a PoisonReport,
    row_scores: Option<RowScores>,
}

/// Base64 of one byte a row, from 0 to 255 for 0 to 1.
#[derive(Serialize)]
struct RowScores {
    labels: String,
    outliers: String,
    fragility: String,
}

/// Runs the screens.
pub(super) fn run(job: &JobSpec, table: &Table, draft: &mut Draft<'_>) {
    let with_label = roles(job, table.schema());
    let screened = match read(job, table, with_label.clone(), draft) {
        Err(PoisonError::TooLarge(why)) => {
            // Too many classes: a label to be measured rather than told apart.
            let without = without_label(with_label, table.schema());
            draft.partial(Screen::Poisoning, &format!("the label was taken as a feature: {why}"));
            read(job, table, without, draft)
        }
        other => other,
    };
    let screened = match screened {
        Ok(screened) => screened,
        Err(error @ PoisonError::TooFewRows(_)) => return draft.skipped(Screen::Poisoning, &error.to_string()),
        Err(error) => return draft.failed(Screen::Poisoning, &error.to_string()),
    };
    let stop = AtomicBool::new(false);
    let news = draft.news;
    let progress = |stage: &'static str| news.progress(stage, 0, None);
    let options = Options { seed: job.seed, ..Options::default() };
    let mut report = match scan(&screened.input, &options, &Watch::new(&stop, &progress)) {
        Ok(report) => report,
        Err(error) => return draft.failed(Screen::Poisoning, &error.to_string()),
    };
    if !screened.numbers.is_empty() {
        renumber(&mut report, &screened.numbers);
        let why = format!("a seeded sample of {} of {} rows was screened", report.rows, table.row_count());
        draft.partial(Screen::Poisoning, &why);
    }
    hide_values(&mut report, screened.label.as_deref(), draft);
    findings(&report, screened.label.as_deref(), draft);
    guard(&report, table, screened.label.as_deref(), draft);
    picture(&report, draft);
    write(&mut report, screened.numbers.is_empty(), draft);
    draft.ran(Screen::Poisoning);
}

fn read(job: &JobSpec, table: &Table, roles: Roles, draft: &Draft<'_>) -> Result<Screened, PoisonError> {
    let schema = table.schema();
    let mut encoder = Encoder::new(schema, &roles)?;
    let label = encoder.label().map(ToOwned::to_owned);
    let rows_max = (VALUE_COUNT_MAX / width(schema).max(1)).min(job.limits.poison_row_count_max);
    let sampled = table.row_count() > rows_max;
    let mut numbers = Vec::new();
    let unreadable = |error: tables::TableError| PoisonError::Shape(error.to_string());
    for (index, partition) in table.partitions().iter().enumerate() {
        let mut row = partition.first_row;
        for batch in table.read(index, None).map_err(unreadable)? {
            let mut batch = batch.map_err(unreadable)?;
            let after = row.saturating_add(batch.num_rows() as u64);
            if sampled {
                let chosen: Vec<u64> =
                    (row..after).filter(|row| is_chosen(*row, job.seed, rows_max, table.row_count())).collect();
                let keep: BooleanArray = (row..after).map(|row| Some(chosen.binary_search(&row).is_ok())).collect();
                batch = filter_record_batch(&batch, &keep).map_err(|error| PoisonError::Shape(error.to_string()))?;
                numbers.extend(chosen);
            }
            encoder.update(&batch)?;
            row = after;
            draft.news.progress("encode", row, Some(table.row_count()));
        }
    }
    Ok(Screened { input: encoder.finish()?, label, numbers })
}

/// Whether a row is in the sample: by its number alone, so that partitions do not matter (SplitMix64, Steele et al. 2014).
fn is_chosen(row: u64, seed: u64, rows_max: u64, row_count: u64) -> bool {
    let mut mixed = (row ^ seed.rotate_left(32)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    u128::from(mixed) * u128::from(row_count) < u128::from(rows_max) << 64
}

/// Numbers of one row, those of its lists counted.
fn width(schema: &SchemaRef) -> u64 {
    let of = |data_type: &DataType| match data_type {
        DataType::FixedSizeList(_, length) => u64::try_from(*length).unwrap_or(1),
        _ => 1,
    };
    schema.fields().iter().fold(0, |sum, field| sum.saturating_add(of(field.data_type())))
}

fn roles(job: &JobSpec, schema: &SchemaRef) -> Roles {
    let mut given = HashMap::new();
    let mut give = |name: &String, role: Role| {
        if schema.field_with_name(name).is_ok() {
            given.insert(name.clone(), role);
        }
    };
    let roles = &job.roles;
    roles.texts.iter().for_each(|name| give(name, Role::Text));
    roles.embedding.iter().for_each(|name| give(name, Role::Embedding));
    if let [only] = roles.probabilities.as_slice() {
        give(only, Role::Probabilities);
    }
    roles.ignored.iter().chain(&roles.id).chain(&roles.time).for_each(|name| give(name, Role::Ignored));
    roles.source.iter().for_each(|name| give(name, Role::Source));
    roles.label.iter().for_each(|name| give(name, Role::Label));
    Roles { given }
}

/// These roles with no label: not even one that its name gives away.
fn without_label(mut roles: Roles, schema: &SchemaRef) -> Roles {
    if let Ok(encoder) = Encoder::new(schema, &roles)
        && let Some(label) = encoder.label()
    {
        roles.given.insert(label.to_owned(), Role::Feature);
    }
    roles
}

/// Turns places in the sample into the version's row numbers.
fn renumber(report: &mut PoisonReport, numbers: &[u64]) {
    let number = |row: &mut u64| {
        if let Some(real) = usize::try_from(*row).ok().and_then(|at| numbers.get(at)) {
            *row = *real;
        }
    };
    report.suspects.iter_mut().for_each(|suspect| number(&mut suspect.row));
    report.triggers.iter_mut().flat_map(|trigger| &mut trigger.rows).for_each(number);
    let groups = report.copies.largest.iter_mut().chain(&mut report.copies.near_largest);
    groups.flat_map(|(_, rows)| rows).for_each(number);
    let targets = report.targets.most_valuable.iter_mut().chain(&mut report.targets.most_fragile);
    targets.for_each(|(row, _)| number(row));
}

/// Masks what stems from personal columns: words of triggers, which may be of any column, and labels.
fn hide_values(report: &mut PoisonReport, label: Option<&str>, draft: &Draft<'_>) {
    if !draft.personal_columns.as_ref().is_some_and(std::collections::BTreeSet::is_empty) {
        report.triggers.iter_mut().flat_map(|trigger| &mut trigger.cells).for_each(hide);
    }
    if label.is_some_and(|label| !may_show(label, draft.personal_columns.as_ref())) {
        report.classes.iter_mut().for_each(hide);
        report.triggers.iter_mut().for_each(|trigger| hide(&mut trigger.label));
        for pair in &mut report.flipped_pairs {
            hide(&mut pair.given);
            hide(&mut pair.looks_like);
        }
        for reason in report.suspects.iter_mut().flat_map(|suspect| &mut suspect.reasons) {
            if let Reason::Label { given, expected, .. } = reason {
                hide(given);
                hide(expected);
            }
        }
    }
}

fn hide(text: &mut String) {
    *text = personal::mask(text);
}

fn findings(report: &PoisonReport, label: Option<&str>, draft: &mut Draft<'_>) {
    for screen in &report.screens {
        let kind: &FindingKind = match (screen.kind, screen.verdict) {
            (_, Verdict::NotRun | Verdict::Clear) => continue,
            (ScreenKind::Triggers, Verdict::Verified) => &catalogue::TRIGGER,
            (ScreenKind::Triggers, Verdict::Suspect) => &catalogue::TRIGGER_SUSPECTED,
            (ScreenKind::Labels, Verdict::Suspect) => &catalogue::LABEL_FLIPS,
            (ScreenKind::Outliers, Verdict::Suspect) => &catalogue::INJECTED,
            (ScreenKind::Duplicates, Verdict::Suspect) => &catalogue::CONTRADICTIONS,
            (ScreenKind::Sources, Verdict::Suspect) => &catalogue::SOURCE_SUSPECT,
            (ScreenKind::Outliers, _) => &catalogue::OUTLIERS,
            (ScreenKind::Duplicates, _) => &catalogue::NEAR_DUPLICATES,
            (ScreenKind::Labels | ScreenKind::Triggers | ScreenKind::Sources, _) => &catalogue::POISON_NOTICE,
        };
        let suspects = report.suspects.iter().filter(|suspect| suspect.reasons.iter().any(|reason| belongs(reason, screen.kind)));
        let examples =
            suspects.map(|suspect| Example { row: Some(suspect.row), column: None, value: Some(why(report, suspect)) });
        let mut finding = Finding::new(kind, screen.summary.clone()).examples(examples);
        if screen.suspected_rows > 0 {
            finding = finding.rows(screen.suspected_rows);
        }
        if matches!(screen.kind, ScreenKind::Labels | ScreenKind::Triggers | ScreenKind::Duplicates) {
            finding = finding.columns(label);
        }
        finding.references =
            screen.framework.atlas.iter().chain(&screen.framework.owasp).chain(&screen.framework.nist).cloned().collect();
        draft.find(finding);
    }
}

const fn belongs(reason: &Reason, kind: ScreenKind) -> bool {
    matches!(
        (reason, kind),
        (Reason::Label { .. }, ScreenKind::Labels)
            | (Reason::Trigger { .. }, ScreenKind::Triggers)
            | (Reason::Outlier, ScreenKind::Outliers)
            | (Reason::Contradiction { .. }, ScreenKind::Duplicates)
    )
}

fn why(report: &PoisonReport, suspect: &Suspect) -> String {
    let reasons = suspect.reasons.iter().map(|reason| match reason {
        Reason::Label { given, expected, probability } => {
            format!("labelled {given}, looks like {expected} (own label {probability:.2})")
        }
        Reason::Trigger { trigger } => {
            let cells = report.triggers.get(*trigger).map(|trigger| trigger.cells.join(" and ")).unwrap_or_default();
            format!("holds the trigger {cells}")
        }
        Reason::Outlier => "lies apart from all others".to_owned(),
        Reason::Contradiction { copies } => format!("{copies} equal rows carry other labels"),
    });
    reasons.collect::<Vec<_>>().join("; ")
}

fn guard(report: &PoisonReport, table: &Table, label: Option<&str>, draft: &mut Draft<'_>) {
    let valuable = &report.targets.most_valuable;
    let most = valuable.first().map_or(1.0, |(_, value)| f64::from(*value)).max(f64::MIN_POSITIVE);
    let chosen: Vec<(u64, f64)> =
        valuable.iter().take(GUARDED_COUNT_MAX).map(|(row, value)| (*row, (f64::from(*value) / most).clamp(0.0, 1.0))).collect();
    if chosen.is_empty() {
        return;
    }
    let rows = match guarded::guard(table, label, &chosen) {
        Ok(rows) => rows,
        Err(error) => return draft.failed(Screen::Guarded, &error),
    };
    let reason = |value: f64| format!("its label is worth {value:.2} of the most valuable one's");
    let view = chosen.iter().take(VIEW_ROW_COUNT_MAX).map(|(row, score)| SuspectView {
        row: *row,
        score: *score,
        reason: reason(*score),
    });
    draft.view().poisonable = view.collect();
    let lethal = report.targets.lethal_share.map_or_else(
        || "no share of flipped labels that was tried costs five points of accuracy".to_owned(),
        |share| format!("flipping the {:.1} % most valuable labels costs five points of accuracy", share * 100.0),
    );
    let examples = chosen.iter().map(|(row, _)| Example { row: Some(*row), ..Example::default() });
    let certificate = report.targets.certificate.as_ref().map_or_else(String::new, |own| {
        format!(
            "; a vote of {} models on parts of the data answers {:.1} % of {} rows right, and half of these answers stand {} \
             added or removed rows",
            own.partitions,
            own.accuracy * 100.0,
            own.tested,
            own.median_rows
        )
    });
    let detail = format!("{} rows are guarded; {lethal}{certificate}", rows.len());
    draft.find(Finding::new(&catalogue::POISONABLE, detail).rows(rows.len() as u64).examples(examples));
    let section = draft.section(Screen::Poisoning, &rows);
    draft.report().guarded = section;
}

fn picture(report: &PoisonReport, draft: &mut Draft<'_>) {
    let labels = report.screens.iter().find(|screen| screen.kind == ScreenKind::Labels);
    let suspects = report.screens.iter().map(|screen| screen.suspected_rows).max().unwrap_or(0).max(report.suspects.len() as u64);
    draft.summary().suspect_row_count = suspects;
    let listed = report.suspects.iter().take(VIEW_ROW_COUNT_MAX);
    let view = PoisonView {
        row_count: report.rows,
        suspect_count: suspects,
        suspect_share: approximate(suspects) / approximate(report.rows.max(1)),
        scores: bars(&report.scores.labels, &report.scores.outliers),
        threshold: labels.map(|screen| f64::from(screen.score_min)).filter(|score| *score <= 1.0),
        suspects: listed
            .map(|suspect| SuspectView { row: suspect.row, score: f64::from(suspect.score), reason: why(report, suspect) })
            .collect(),
    };
    draft.view().poisoning = Some(view);
    for note in &report.notes {
        draft.view().notes.push(note.clone());
    }
}

/// Rows by the score of their label, or how far apart they lie where there is no label.
fn bars(labels: &[f32], outliers: &[f32]) -> Vec<Bar> {
    let scores = if labels.is_empty() { outliers } else { labels };
    let mut counts = [0_u64; SCORE_BAR_COUNT];
    for score in scores {
        // From 0 to 1, checked by clamping: the cast cuts off the fraction.
        let place = (f64::from(*score).clamp(0.0, 1.0) * 20.0) as usize;
        if let Some(count) = counts.get_mut(place.min(SCORE_BAR_COUNT.saturating_sub(1))) {
            *count = count.saturating_add(1);
        }
    }
    let label =
        |at: usize| format!("{:.2} – {:.2}", approximate(at as u64) / 20.0, approximate(at.saturating_add(1) as u64) / 20.0);
    counts.iter().enumerate().map(|(at, count)| Bar { label: label(at), count: *count }).collect()
}

fn write(report: &mut PoisonReport, whole: bool, draft: &mut Draft<'_>) {
    let scores = std::mem::take(&mut report.scores);
    let packed = |scores: &[f32]| {
        let bytes: Vec<u8> = scores.iter().map(|score| (f64::from(*score).clamp(0.0, 1.0) * 255.0) as u8).collect();
        STANDARD.encode(bytes)
    };
    let row_scores = whole.then(|| RowScores {
        labels: packed(&scores.labels),
        outliers: packed(&scores.outliers),
        fragility: packed(&scores.fragility),
    });
    let section = draft.section(Screen::Poisoning, &Written { report, row_scores });
    draft.report().poisoning = section;
}

#[expect(clippy::cast_precision_loss, reason = "shares need no more than 53 bits")]
const fn approximate(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_about_the_size_asked_for_and_depends_on_the_seed() {
        let chosen = |seed: u64| (0..100_000).filter(|row| is_chosen(*row, seed, 10_000, 100_000)).collect::<Vec<u64>>();
        let (one, two) = (chosen(1), chosen(2));
        assert!((9_500..10_500).contains(&one.len()), "{}", one.len());
        assert_ne!(one, two);
        assert_eq!(one, chosen(1));
    }

    #[test]
    fn scores_fall_into_bars() {
        let bars = bars(&[0.0, 0.04, 0.5, 1.0, f32::NAN], &[]);
        assert_eq!((bars[0].count, bars[10].count, bars[19].count), (3, 1, 1));
    }
}
