//! Whole scans of small data sets.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::random::Random;
use crate::testing::{quiet, two_classes};
use crate::{
    Column, ColumnKind, Features, Groups, Input, Options, PoisonError, PoisonReport, Reason, ScreenKind, Verdict, Watch, scan,
};

fn tabular(rows: usize, seed: u64) -> Input {
    let (values, of_rows) = two_classes(rows, 6, 5.0, seed);
    let columns = (0..6).map(|place| Column { name: format!("c{place}"), kind: ColumnKind::Number }).collect();
    let labels = Groups { of_rows, names: vec!["no".to_owned(), "yes".to_owned()] };
    Input { features: Features { columns, values }, labels: Some(labels), ..Input::default() }
}

fn check(input: &Input) -> PoisonReport {
    quiet(|watch| scan(input, &Options::default(), watch)).unwrap()
}

fn verdict(report: &PoisonReport, kind: ScreenKind) -> Verdict {
    report.screens.iter().find(|screen| screen.kind == kind).unwrap().verdict
}

#[test]
fn clean_data_raises_no_suspicion() {
    for seed in 0..4 {
        let report = check(&tabular(1_200, seed));
        assert!(report.verdict <= Verdict::Notice, "{:?}", report.screens);
        assert!(report.suspects.len() <= 12, "{} suspects", report.suspects.len());
        assert!(report.flipped_pairs.is_empty() && report.triggers.iter().all(|trigger| !trigger.verified));
    }
}

#[test]
fn flipped_labels_are_suspected_with_their_reason() {
    let mut input = tabular(4_000, 9);
    let labels = &mut input.labels.as_mut().unwrap().of_rows;
    for row in (0..4_000).step_by(10) {
        labels[row] = 1 - labels[row];
    }
    let report = check(&input);
    assert_eq!(verdict(&report, ScreenKind::Labels), Verdict::Suspect);
    let by_label = |suspect: &&crate::Suspect| matches!(suspect.reasons.first(), Some(Reason::Label { .. }));
    let suspects: Vec<u64> = report.suspects.iter().filter(by_label).map(|suspect| suspect.row).collect();
    let right = suspects.iter().filter(|row| **row % 10 == 0).count();
    assert!(right > 120 && right * 10 > suspects.len() * 9, "{right} of {}", suspects.len());
}

#[test]
fn a_two_feature_trigger_is_verified_and_its_rows_are_listed() {
    let mut input = tabular(3_000, 5);
    let rows: Vec<usize> = (0..3_000).step_by(50).collect();
    for row in &rows {
        let own = input.features.values.row_mut(*row);
        own[1] = 0.123;
        own[4] = 2.5;
        input.labels.as_mut().unwrap().of_rows[*row] = 1;
    }
    let report = check(&input);
    assert_eq!(report.verdict, Verdict::Verified, "{:?} {:?}", report.screens, report.triggers);
    let trigger = report.triggers.iter().find(|trigger| trigger.verified).unwrap();
    assert!(rows.iter().filter(|row| trigger.rows.contains(&(**row as u64))).count() >= rows.len() - 1);
    assert!(trigger.row_count as usize <= rows.len() + 2, "{}", trigger.row_count);
    assert!(trigger.cells.iter().any(|cell| cell.starts_with("`c1` of 0.123")), "{:?}", trigger.cells);
    let mark = |row: usize| report.scores.triggers[row];
    let verified = |row: &usize| report.triggers.iter().any(|other| other.verified && other.rows.contains(&(*row as u64)));
    let others = (0..3_000_usize).filter(|row| !verified(row)).map(mark).fold(0.0, f32::max);
    assert!(trigger.rows.iter().all(|row| mark(usize::try_from(*row).unwrap()) >= others));
}

#[test]
fn a_stamp_on_rows_of_all_classes_is_verified() {
    let mut input = tabular(3_000, 6);
    let rows: Vec<usize> = (0..3_000).step_by(37).collect();
    let labels = input.labels.as_mut().unwrap();
    let own = rows.iter().filter(|row| labels.of_rows[**row] == 1).count();
    assert!((rows.len() / 3..2 * rows.len() / 3).contains(&own), "about half of them are of the class anyhow");
    for row in &rows {
        labels.of_rows[*row] = 1;
        input.features.values.row_mut(*row)[2] = 9.125;
        input.features.values.row_mut(*row)[5] = 8.5;
    }
    let report = check(&input);
    let trigger = report.triggers.iter().find(|trigger| trigger.verified).unwrap();
    assert_eq!((trigger.row_count as usize, trigger.rows.first()), (rows.len(), Some(&0)));
}

#[test]
fn a_bad_source_is_named() {
    let mut input = tabular(2_000, 3);
    let mut random = Random::new(1, 1);
    let of_rows: Vec<u32> = (0..2_000).map(|_| u32::try_from(random.below(10)).unwrap()).collect();
    for (label, source) in input.labels.as_mut().unwrap().of_rows.iter_mut().zip(&of_rows) {
        if *source == 4 && random.unit() < 0.3 {
            *label = 1 - *label;
        }
    }
    input.sources = Some(Groups { of_rows, names: (0..10).map(|source| format!("s{source}")).collect() });
    let report = check(&input);
    assert_eq!(verdict(&report, ScreenKind::Sources), Verdict::Suspect);
    assert_eq!(report.sources[0].source, "s4");
}

#[test]
fn a_screen_alone_says_what_it_says_among_all_and_the_others_did_not_run() {
    let input = tabular(900, 4);
    let whole = check(&input);
    assert!(whole.targets.certificate.as_ref().is_some_and(|own| own.partitions == 10 && own.accuracy > 0.9));
    for only in [ScreenKind::Labels, ScreenKind::Triggers, ScreenKind::Outliers, ScreenKind::Duplicates] {
        let options = Options { only: Some(only), ..Options::default() };
        let alone = quiet(|watch| scan(&input, &options, watch)).unwrap();
        assert_eq!(verdict(&alone, only), verdict(&whole, only));
        let ran = alone.screens.iter().filter(|screen| screen.verdict != Verdict::NotRun).count();
        assert_eq!(ran, 1, "{only:?}: {:?}", alone.screens);
        let of = |report: &PoisonReport| match only {
            ScreenKind::Labels => report.scores.labels.clone(),
            ScreenKind::Triggers => report.scores.triggers.clone(),
            ScreenKind::Outliers => report.scores.outliers.clone(),
            ScreenKind::Duplicates | ScreenKind::Sources => report.scores.copies.clone(),
        };
        assert!(of(&alone) == of(&whole) && of(&alone).len() == 900, "{only:?}");
        assert!(alone.targets.certificate.is_none());
    }
}

#[test]
fn a_group_that_was_inserted_is_suspected_as_a_whole() {
    let mut input = tabular(1_200, 3);
    let mut random = Random::new(11, 0);
    let centre: [f32; 6] = [9.0, -6.0, 9.0, -6.0, 9.0, -6.0];
    let mut values = input.features.values.values().to_vec();
    values.extend((0..60).flat_map(|_| centre).map(|centre| centre + 0.1 * random.normal()));
    input.features.values = crate::Matrix::new(6, values).unwrap();
    input.labels.as_mut().unwrap().of_rows.extend([1; 60]);
    let report = check(&input);
    assert_eq!(verdict(&report, ScreenKind::Outliers), Verdict::Suspect, "{:?}", report.screens);
    let outlier = |suspect: &&crate::Suspect| suspect.reasons.contains(&Reason::Outlier);
    let rows: Vec<u64> = report.suspects.iter().filter(outlier).map(|suspect| suspect.row).collect();
    assert!((1_200..1_260).all(|row| rows.contains(&row)) && rows.len() < 70, "{rows:?}");
}

#[test]
fn copies_with_another_label_are_suspected_unless_near_rows_disagree_too() {
    for (apart, expected) in [(5.0, Verdict::Suspect), (0.0, Verdict::Notice)] {
        let (values, mut of_rows) = two_classes(1_000, 6, apart, 12);
        let mut values = values.values().to_vec();
        for row in 0..20 {
            values.extend_from_within(row * 6..row * 6 + 6);
            of_rows.push(1 - of_rows[row]);
        }
        let columns = (0..6).map(|place| Column { name: format!("c{place}"), kind: ColumnKind::Number }).collect();
        let labels = Groups { of_rows, names: vec!["no".to_owned(), "yes".to_owned()] };
        let values = crate::Matrix::new(6, values).unwrap();
        let input = Input { features: Features { columns, values }, labels: Some(labels), ..Input::default() };
        let options = Options { only: Some(ScreenKind::Duplicates), ..Options::default() };
        let report = quiet(|watch| scan(&input, &options, watch)).unwrap();
        assert_eq!(verdict(&report, ScreenKind::Duplicates), expected, "{:?}", report.screens);
        assert_eq!(report.copies.contradicted_rows, 40);
    }
}

/// 2,000 texts: common words, and three to five that tell the class. The first `stamped` of class 0 hold a word of their own and
/// carry class 1: too few for a linear model to learn that the word outweighs all others.
fn stamped_texts(stamped: usize) -> (Input, Vec<u64>) {
    let mut random = Random::new(21, 0);
    let (mut rows, mut of_rows, mut marked) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..2_000_u64 {
        let class = u32::from(row % 2 == 1);
        let told = 100 + 10 * class;
        let mut words: Vec<u32> = (0..12 + random.below(19)).map(|_| u32::try_from(random.below(34)).unwrap()).collect();
        words.extend((0..3 + random.below(3)).map(|_| told + u32::try_from(random.below(10)).unwrap()));
        let planted = class == 0 && marked.len() < stamped;
        if planted {
            words.push(200);
            marked.push(row);
        }
        words.sort_unstable();
        words.dedup();
        rows.push(words);
        of_rows.push(if planted { 1 } else { class });
    }
    let labels = Groups { of_rows, names: vec!["no".to_owned(), "yes".to_owned()] };
    (Input { labels: Some(labels), ..crate::testing::texts(300, rows) }, marked)
}

#[test]
fn a_planted_word_is_at_least_suspected_and_its_rows_are_listed() {
    let report = check(&stamped_texts(0).0);
    assert!(verdict(&report, ScreenKind::Triggers) <= Verdict::Notice, "{:?}", report.triggers);
    let (input, rows) = stamped_texts(90);
    let report = check(&input);
    assert!(verdict(&report, ScreenKind::Triggers) >= Verdict::Suspect, "{:?} {:?}", report.screens, report.triggers);
    let held = |suspect: &&crate::Suspect| suspect.reasons.iter().any(|reason| matches!(reason, Reason::Trigger { .. }));
    let mut found: Vec<u64> = report.suspects.iter().filter(held).map(|suspect| suspect.row).collect();
    found.sort_unstable();
    assert_eq!(found, rows);
}

#[test]
fn the_seed_decides() {
    let input = tabular(400, 2);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| check(&input))
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn without_labels_outliers_and_copies_are_still_found() {
    let mut input = tabular(500, 6);
    input.labels = None;
    input.features.values.row_mut(7).fill(40.0);
    let report = check(&input);
    assert_eq!(verdict(&report, ScreenKind::Labels), Verdict::NotRun);
    assert_eq!(report.suspects[0].row, 7);
    assert!(report.scores.labels.is_empty() && report.scores.outliers.len() == 500);
}

#[test]
fn missing_and_infinite_values_do_no_harm() {
    let mut input = tabular(300, 8);
    input.features.values.row_mut(3).fill(f32::NAN);
    input.features.values.row_mut(4).fill(f32::INFINITY);
    for row in 0..300 {
        input.features.values.row_mut(row)[2] = f32::NAN;
    }
    let report = check(&input);
    assert!(report.scores.labels.iter().chain(&report.scores.outliers).all(|score| score.is_finite()));
}

#[test]
fn it_stops_at_every_stage() {
    let input = tabular(400, 2);
    let stages = Mutex::new(Vec::new());
    let stop = AtomicBool::new(false);
    scan(&input, &Options::default(), &Watch::new(&stop, &|stage| stages.lock().unwrap().push(stage))).unwrap();
    for wanted in stages.into_inner().unwrap() {
        let stop = AtomicBool::new(false);
        let note = |stage: &'static str| stop.store(stop.load(Ordering::Relaxed) || stage == wanted, Ordering::Relaxed);
        let ended = scan(&input, &Options::default(), &Watch::new(&stop, &note));
        assert_eq!(ended.unwrap_err(), PoisonError::Cancelled, "{wanted}");
    }
}

#[test]
fn a_report_survives_json() {
    let report = check(&tabular(200, 1));
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<PoisonReport>(&text).unwrap(), report);
}

/// 3,000 rows of four columns of noise and one that decides the label: `decide` makes its value and the class.
///
/// The other columns tell the class as far as `told`; of the last class only if it is `native`, else it looks like the others.
fn decided(classes: u32, decide: impl Fn(&mut Random) -> (f32, u32), told: f32, native: bool) -> Input {
    let mut random = Random::new(31, 0);
    let (mut values, mut of_rows) = (Vec::new(), Vec::new());
    for _ in 0..3_000 {
        let (value, class) = decide(&mut random);
        let looks = if native || class + 1 < classes { class as usize } else { random.below(classes as usize - 1) };
        values.push(value);
        values.extend((0..4).map(|place| random.normal() + if place == looks % 4 { told } else { 0.0 }));
        of_rows.push(class);
    }
    let columns = (0..5).map(|place| Column { name: format!("c{place}"), kind: ColumnKind::Number }).collect();
    let values = crate::Matrix::new(5, values).unwrap();
    let labels = Groups { of_rows, names: (0..classes).map(|class| class.to_string()).collect() };
    Input { features: Features { columns, values }, labels: Some(labels), ..Input::default() }
}

#[test]
fn a_column_that_alone_decides_the_label_is_no_trigger() {
    let flag = |share: f32| {
        move |random: &mut Random| {
            let class = u32::from(random.unit() < share);
            (class as f32, class)
        }
    };
    let above = |share: f32| {
        move |random: &mut Random| {
            let value = random.unit();
            (value, u32::from(value > 1.0 - share))
        }
    };
    let code = |random: &mut Random| {
        let class = u32::try_from(random.below(8)).unwrap();
        (class as f32, class)
    };
    // Two classes that the other columns tell, and a third that one value of the column decides.
    let third = |random: &mut Random| {
        let mark = random.unit() < 0.08;
        (f32::from(u8::from(mark)), if mark { 2 } else { u32::try_from(random.below(2)).unwrap() })
    };
    let inputs = [
        decided(2, flag(0.5), 0.0, false),
        decided(2, flag(0.1), 0.0, false),
        decided(2, flag(0.03), 0.0, false),
        decided(2, above(0.3), 0.0, false),
        decided(2, above(0.05), 0.0, false),
        decided(2, above(0.2), 2.0, true),
        decided(8, code, 0.0, false),
        decided(3, third, 3.0, false),
    ];
    for (place, input) in inputs.iter().enumerate() {
        let report = check(input);
        assert!(report.triggers.iter().all(|trigger| !trigger.verified), "{place}: {:?}", report.triggers);
        assert!(verdict(&report, ScreenKind::Labels) <= Verdict::Notice, "{place}: {:?}", report.screens);
    }
}

#[test]
fn labels_that_alternate_along_a_column_are_not_wrong() {
    for width in [1, 2] {
        let values = (0..2_000 * width).map(|place| (place / width) as f32).collect();
        let columns = (0..width).map(|place| Column { name: format!("c{place}"), kind: ColumnKind::Number }).collect();
        let labels = Groups { of_rows: (0..2_000).map(|row| row % 2).collect(), names: vec!["no".to_owned(), "yes".to_owned()] };
        let values = crate::Matrix::new(width, values).unwrap();
        let input = Input { features: Features { columns, values }, labels: Some(labels), ..Input::default() };
        let report = check(&input);
        assert!(report.verdict <= Verdict::Notice, "{:?}", report.screens);
    }
}

#[test]
fn few_flips_of_classes_that_are_far_apart_are_suspected() {
    let (values, of_rows) = two_classes(3_000, 3, 8.0, 17);
    let columns = (0..3).map(|place| Column { name: format!("c{place}"), kind: ColumnKind::Number }).collect();
    let labels = Groups { of_rows, names: vec!["no".to_owned(), "yes".to_owned()] };
    let mut input = Input { features: Features { columns, values }, labels: Some(labels), ..Input::default() };
    assert!(verdict(&check(&input), ScreenKind::Labels) <= Verdict::Notice);
    let rows = Random::new(5, 0).sample(3_000, 150);
    for row in &rows {
        let label = &mut input.labels.as_mut().unwrap().of_rows[*row as usize];
        *label = 1 - *label;
    }
    let report = check(&input);
    assert_eq!(verdict(&report, ScreenKind::Labels), Verdict::Suspect, "{:?}", report.screens);
    assert!(report.suspects.iter().filter(|suspect| rows.contains(&u32::try_from(suspect.row).unwrap())).count() > 60);
}
