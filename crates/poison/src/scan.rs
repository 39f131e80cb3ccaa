//! The whole scan: every screen that the input allows, then one report.

use std::collections::BTreeSet;

use crate::PoisonError;
use crate::at::{argmax, at, ranking};
use crate::calibrate::{Suspicion, suspicion};
use crate::certificate::{Certificate, certificate};
use crate::duplicates::{Duplicates, duplicates};
use crate::input::Input;
use crate::knn::{anchors, neighbours, votes};
use crate::labels::{self, Screened};
use crate::outliers::{Marks, marks};
use crate::pool::pool;
use crate::report::{
    Copies, FlippedPair, Framework, LIMITS, LIST_COUNT_MAX, Member, PoisonReport, Reason, SUSPECT_COUNT_MAX, Scores, Screen,
    ScreenKind, Suspect, TARGET_COUNT_MAX, TargetReport, Trigger, Verdict,
};
use crate::sources::{self, SourceMark};
use crate::targets::{Targets, targets};
use crate::triggers::{Triggers, scan_triggers};
use crate::views::views;
use crate::watch::Watch;

/// The share of outliers that clean data may have before the screen suspects anything.
const OUTLIER_SHARE_NOTICE: f64 = 0.001;
/// Nearly equal texts that are worth a look: so many, and this share of all rows.
const FLOOD_COUNT_MIN: f64 = 10.0;
const FLOOD_SHARE_MIN: f64 = 0.001;
/// A group that lies apart is taken for inserted if it has so many rows, and at most this share of all rows lies as far outside of
/// groups: some data is scattered by nature.
const INJECTED_COUNT_MIN: usize = 8;
const FAR_ALONE_SHARE_MAX: f64 = 0.01;
/// Equal rows with different labels are taken for inserted if they are so many, and this share of all equal rows, while near rows
/// carry different labels no more often than that.
const CONTRADICTED_COUNT_MIN: u64 = 8;
const CONTRADICTED_SHARE_MIN: f64 = 0.5;
const DISCORD_MAX: f64 = 0.25;
/// Points of accuracy that a lethal dose costs.
const LETHAL_LOSS: f64 = 0.05;

/// How to scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The seed of every random choice.
    pub seed: u64,
    /// This screen alone, with only what it needs; without one all of them, and what each row is worth.
    pub only: Option<ScreenKind>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, only: None }
    }
}

impl Options {
    fn runs(&self, kind: ScreenKind) -> bool {
        self.only.is_none_or(|only| only == kind)
    }

    /// Whether models are needed.
    fn learns(&self) -> bool {
        [ScreenKind::Labels, ScreenKind::Triggers, ScreenKind::Sources].into_iter().any(|kind| self.runs(kind))
    }
}

/// Scans the input. The same input, options and number of rows give the same report, whatever the number of threads.
///
/// # Errors
/// As [`Input::check`]; `Cancelled` when the watch says so.
pub fn scan(input: &Input, options: &Options, watch: &Watch<'_>) -> Result<PoisonReport, PoisonError> {
    input.check()?;
    let seed = options.seed;
    watch.stage("reading")?;
    let views = views(input, &[], seed);
    watch.stage("nearest neighbours")?;
    let anchors = anchors(input.rows(), seed);
    let near = neighbours(&views.points, &anchors, watch)?;
    let mut parts = Parts { notes: input.notes.clone(), ..Parts::default() };
    if let Some(labels) = input.labels.as_ref().filter(|_| input.classes() > 1 && options.learns()) {
        let of_rows = labels.of_rows.as_slice();
        let task =
            labels::Task { views: &views, labels: of_rows, classes: input.classes(), given: input.probabilities.as_ref(), seed };
        let shares = labels::shares(of_rows, input.classes());
        let votes = votes(&near, of_rows, &shares);
        let mut kernels = None;
        if options.runs(ScreenKind::Triggers) {
            let known = [votes.clone(), labels::kernels(&task, watch)?];
            let probabilities = pool(&known, of_rows, seed).probabilities;
            parts.triggers = Some(scan_triggers(input, of_rows, &probabilities, seed, watch)?);
            kernels = known.into_iter().nth(1);
        }
        if options.runs(ScreenKind::Labels) || options.runs(ScreenKind::Sources) {
            let screened = labels::screen(&task, (votes, kernels), watch)?;
            parts.suspicion = Some(suspicion(of_rows, &screened));
            parts.sources = source_marks(input, &screened);
            parts.screened = Some(screened);
        }
        if let (None, Some(screened)) = (options.only, &parts.screened) {
            watch.stage("most poisonable rows")?;
            parts.targets = Some(targets(&near, of_rows, &screened.probabilities, seed));
            watch.stage("certificate")?;
            parts.certificate = certificate(input, of_rows, watch)?;
        }
    }
    if options.runs(ScreenKind::Outliers) {
        watch.stage("outliers")?;
        parts.outliers = Some(marks(&views.points, &near, &anchors, seed, watch)?);
    }
    if options.runs(ScreenKind::Duplicates) {
        watch.stage("copies")?;
        parts.copies = Some(duplicates(input, &near, seed, watch)?);
    }
    watch.check()?;
    Ok(parts.report(input, seed))
}

/// Tests the sources by the rows whose label is not the most probable class.
fn source_marks(input: &Input, screened: &Screened) -> Option<Vec<SourceMark>> {
    let (sources, labels) = (input.sources.as_ref()?, input.labels.as_ref()?);
    let doubtful = screened.probabilities.iter().zip(&labels.of_rows).map(|(row, label)| argmax(row) != *label as usize);
    let mut marks = sources::marks(sources, &doubtful.collect::<Vec<bool>>());
    marks.truncate(LIST_COUNT_MAX);
    Some(marks)
}

/// What the screens found, before it is written up.
#[derive(Default)]
struct Parts {
    screened: Option<Screened>,
    suspicion: Option<Suspicion>,
    triggers: Option<Triggers>,
    targets: Option<Targets>,
    certificate: Option<Certificate>,
    sources: Option<Vec<SourceMark>>,
    outliers: Option<Marks>,
    copies: Option<Duplicates>,
    notes: Vec<String>,
}

impl Parts {
    fn report(self, input: &Input, seed: u64) -> PoisonReport {
        let rows = input.rows();
        let class = |index: usize| class_name(input, index);
        let screens = vec![
            self.label_screen(rows),
            self.trigger_screen(rows),
            self.outlier_screen(rows),
            self.copy_screen(rows),
            self.source_screen(rows),
        ];
        let screened = self.screened.as_ref();
        let flipped = screened.map(|screened| screened.pairs.as_slice()).unwrap_or_default().iter().take(LIST_COUNT_MAX);
        let flipped_pairs = flipped.map(|pair| FlippedPair {
            given: class(pair.given),
            looks_like: class(pair.looks_like),
            excess_rows: pair.excess,
            rate: pair.rate,
            z: pair.z,
        });
        let members = screened.map(|screened| screened.members.as_slice()).unwrap_or_default().iter();
        let copied = self.copies.as_ref();
        let mut targets = self.targets.as_ref().map(target_report).unwrap_or_default();
        targets.certificate.clone_from(&self.certificate);
        let mut notes = self.notes.clone();
        if copied.is_some_and(|copies| copies.cut_short) {
            notes.push("not all texts could be compared with all others: near copies may be missing".to_owned());
        }
        PoisonReport {
            rows: rows as u64,
            classes: input.labels.as_ref().map(|labels| labels.names.clone()).unwrap_or_default(),
            seed,
            verdict: screens.iter().map(|screen| screen.verdict).max().unwrap_or(Verdict::NotRun),
            flipped_pairs: flipped_pairs.collect(),
            members: members.map(|(name, weight)| Member { name: (*name).to_owned(), weight: *weight }).collect(),
            accuracy: screened.map_or(0.0, |screened| accuracy(input, screened)),
            suspects: self.suspects(input),
            triggers: self.triggers.as_ref().map(|triggers| triggers.reported.clone()).unwrap_or_default(),
            copies: copied.map(copy_report).unwrap_or_default(),
            sources: self.sources.clone().unwrap_or_default(),
            targets,
            screens,
            notes,
            limits: LIMITS.iter().map(|text| (*text).to_owned()).collect(),
            scores: Scores {
                labels: self.screened.map(|screened| screened.doubts).unwrap_or_default(),
                triggers: self.triggers.map(|triggers| triggers.marks).unwrap_or_default(),
                outliers: self.outliers.map(|outliers| outliers.fused).unwrap_or_default(),
                fragility: self.targets.as_ref().map(|targets| targets.fragility.clone()).unwrap_or_default(),
                values: self.targets.map(|targets| targets.values).unwrap_or_default(),
                copies: self.copies.map(|copies| copies.marks).unwrap_or_default(),
            },
        }
    }

    fn label_screen(&self, rows: usize) -> Screen {
        let Some(found) = &self.suspicion else {
            return not_run(ScreenKind::Labels, "there are no labels of two classes or more, or it was not asked for");
        };
        let pairs = self.screened.as_ref().map_or(0, |screened| screened.pairs.len());
        let verdict = match (found.suspect, pairs) {
            (true, _) => Verdict::Suspect,
            (false, 0) if found.rows.is_empty() => Verdict::Clear,
            _ => Verdict::Notice,
        };
        let text = format!(
            "about {:.1} % of the labels look wrong where the models are surest; {pairs} pairs of classes are mistaken mostly one \
             way, of which {} look flipped",
            100.0 * found.noise,
            found.flipped
        );
        screen(ScreenKind::Labels, verdict, (found.rows.len(), rows), found.score_min, text)
    }

    fn trigger_screen(&self, rows: usize) -> Screen {
        let Some(found) = &self.triggers else {
            return not_run(ScreenKind::Triggers, "there are no labels, or it was not asked for");
        };
        let verified = found.reported.iter().filter(|trigger| trigger.verified).count();
        let verdict = match (verified, found.suspected_count, found.reported.len()) {
            (0, 0, 0) => Verdict::Clear,
            (0, 0, _) => Verdict::Notice,
            (0, _, _) => Verdict::Suspect,
            _ => Verdict::Verified,
        };
        let mut text =
            format!("{} striking cells or groups of cells, of which {verified} are verified triggers", found.reported.len());
        if found.suspected_count > 0 {
            text.push_str(&format!(" and {} look planted, but no trial proved them", found.suspected_count));
        }
        let suspects: BTreeSet<u32> = found.suspects.iter().map(|(index, _)| *index).collect();
        screen(ScreenKind::Triggers, verdict, (suspects.len(), rows), found.score_min, text)
    }

    fn outlier_screen(&self, rows: usize) -> Screen {
        let Some(marks) = &self.outliers else { return not_run(ScreenKind::Outliers, "it was not asked for") };
        let beyond = marks.beyond.as_slice();
        let count = beyond.iter().filter(|beyond| **beyond).count();
        let much = count as f64 > OUTLIER_SHARE_NOTICE * rows as f64;
        let grouped = marks.grouped.iter().filter(|grouped| **grouped).count();
        let injected = grouped >= INJECTED_COUNT_MIN && marks.far_alone as f64 <= FAR_ALONE_SHARE_MAX * rows as f64;
        let verdict = match (injected, much) {
            (true, _) => Verdict::Suspect,
            (false, true) => Verdict::Notice,
            (false, false) => Verdict::Clear,
        };
        let mut text = format!("{count} rows lie beyond the fences of two of three marks");
        if grouped > 0 {
            text.push_str(&format!(" or in a group that lies apart; {grouped} are of such groups"));
        }
        screen(ScreenKind::Outliers, verdict, (count, rows), 2.0, text)
    }

    fn copy_screen(&self, rows: usize) -> Screen {
        let Some(copies) = &self.copies else { return not_run(ScreenKind::Duplicates, "it was not asked for") };
        let told = copy_report(copies);
        let largest_near = told.near_largest.first().map_or(0, |(size, _)| *size);
        let flood = f64::from(largest_near) >= FLOOD_COUNT_MIN.max(FLOOD_SHARE_MIN * rows as f64);
        let contradicted = told.contradicted_rows >= CONTRADICTED_COUNT_MIN
            && told.contradicted_rows as f64 >= CONTRADICTED_SHARE_MIN * told.equal_rows as f64
            && copies.discord <= DISCORD_MAX;
        let verdict = match (contradicted, told.equal_rows, flood) {
            (true, _, _) => Verdict::Suspect,
            (false, 0, false) => Verdict::Clear,
            (false, _, _) => Verdict::Notice,
        };
        let suspected = if contradicted { usize::try_from(told.contradicted_rows).unwrap_or(usize::MAX) } else { 0 };
        let mut text = format!(
            "{} rows have exact copies; {} rows have copies with other labels; {} rows have near copies",
            told.equal_rows, told.contradicted_rows, told.near_rows
        );
        if largest_near > 0 {
            text.push_str(&format!(", the largest group of nearly equal texts has {largest_near} rows"));
        }
        screen(ScreenKind::Duplicates, verdict, (suspected, rows), 2.0, text)
    }

    fn source_screen(&self, rows: usize) -> Screen {
        let Some(marks) = &self.sources else { return not_run(ScreenKind::Sources, "the rows do not name their sources") };
        let suspect: Vec<&SourceMark> = marks.iter().filter(|mark| mark.suspect).collect();
        let verdict = if suspect.is_empty() { Verdict::Clear } else { Verdict::Suspect };
        let text = match suspect.first() {
            None => "no source has more doubtful labels than the others".to_owned(),
            Some(worst) => format!(
                "{} of {} sources have too many doubtful labels; the worst is `{}` (z {:.1})",
                suspect.len(),
                marks.len(),
                worst.source,
                worst.z
            ),
        };
        let doubtful = suspect.iter().map(|mark| mark.doubtful as usize).sum();
        screen(ScreenKind::Sources, verdict, (doubtful, rows), 2.0, text)
    }

    /// The suspected rows of all screens, with their reasons.
    fn suspects(&self, input: &Input) -> Vec<Suspect> {
        let rows = input.rows();
        let mut reasons: Vec<(f32, Vec<Reason>)> = vec![(0.0, Vec::new()); rows];
        let mut note = |index: usize, score: f32, reason: Reason| {
            if let Some((greatest, own)) = reasons.get_mut(index) {
                *greatest = greatest.max(score);
                own.push(reason);
            }
        };
        if let (Some(found), Some(screened), Some(labels)) = (&self.suspicion, &self.screened, &input.labels) {
            for index in &found.rows {
                let (index, row) = (*index as usize, screened.probabilities.row(*index as usize));
                let given = at(&labels.of_rows, index) as usize;
                let reason = Reason::Label {
                    given: class_name(input, given),
                    expected: class_name(input, argmax(row)),
                    probability: at(row, given),
                };
                note(index, at(&screened.doubts, index), reason);
            }
        }
        if let Some(found) = &self.triggers {
            for (index, trigger) in &found.suspects {
                note(*index as usize, 1.0, Reason::Trigger { trigger: *trigger });
            }
        }
        if let Some(marks) = &self.outliers {
            for (index, _) in marks.beyond.iter().enumerate().filter(|(_, beyond)| **beyond) {
                note(index, 0.5 * at(&marks.fused, index), Reason::Outlier);
            }
        }
        if let Some(copies) = &self.copies {
            for (index, _) in copies.contradicted.iter().enumerate().filter(|(_, flag)| **flag) {
                note(index, 0.3, Reason::Contradiction { copies: at(&copies.copies, index) });
            }
        }
        let scores: Vec<f32> = reasons.iter().map(|(score, _)| *score).collect();
        let mut suspects = Vec::new();
        for index in ranking(&scores).into_iter().take(SUSPECT_COUNT_MAX) {
            if let Some((score, own)) = reasons.get_mut(index as usize)
                && !own.is_empty()
            {
                suspects.push(Suspect { row: u64::from(index), score: *score, reasons: std::mem::take(own) });
            }
        }
        suspects
    }
}

fn class_name(input: &Input, class: usize) -> String {
    input.labels.as_ref().and_then(|labels| labels.names.get(class)).cloned().unwrap_or_default()
}

fn accuracy(input: &Input, screened: &Screened) -> f64 {
    let labels = input.labels.as_ref().map(|labels| labels.of_rows.as_slice()).unwrap_or_default();
    let right = screened.probabilities.iter().zip(labels).filter(|(row, label)| argmax(row) == **label as usize).count();
    right as f64 / labels.len().max(1) as f64
}

fn screen(kind: ScreenKind, verdict: Verdict, (suspected, rows): (usize, usize), score_min: f32, summary: String) -> Screen {
    Screen {
        kind,
        verdict,
        suspected_rows: suspected as u64,
        suspected_share: suspected as f64 / rows.max(1) as f64,
        score_min,
        summary,
        framework: Framework::of(kind),
    }
}

fn not_run(kind: ScreenKind, why: &str) -> Screen {
    screen(kind, Verdict::NotRun, (0, 0), 2.0, format!("not run: {why}"))
}

fn copy_report(copies: &Duplicates) -> Copies {
    let count = |flags: &[bool]| flags.iter().filter(|flag| **flag).count() as u64;
    Copies {
        equal_rows: copies.copies.iter().filter(|copies| **copies > 0).count() as u64,
        near_rows: count(&copies.near),
        contradicted_rows: count(&copies.contradicted),
        largest: copies.largest.clone(),
        near_largest: copies.near_largest.clone(),
    }
}

fn target_report(targets: &Targets) -> TargetReport {
    let listed = |scores: &[f32]| -> Vec<(u64, f32)> {
        let first = ranking(scores).into_iter().take(TARGET_COUNT_MAX);
        first.map(|index| (u64::from(index), at(scores, index as usize))).collect()
    };
    let rows = targets.values.len().max(1) as f64;
    let lethal = targets.doses.iter().find(|dose| dose.accuracy_targeted <= targets.accuracy - LETHAL_LOSS);
    TargetReport {
        most_valuable: listed(&targets.values),
        most_fragile: listed(&targets.fragility),
        accuracy: targets.accuracy,
        doses: targets.doses.clone(),
        lethal_share: lethal.map(|dose| dose.flipped as f64 / rows),
        certificate: None,
    }
}

impl Trigger {
    /// The place of a row among the trigger's listed rows.
    #[must_use]
    pub fn holds_row(&self, row: u64) -> bool {
        self.rows.binary_search(&row).is_ok()
    }
}
