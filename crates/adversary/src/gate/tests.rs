//! Candidates that must pass and candidates that must not, each with its own reason.

use poison::Random;

use super::*;
use crate::testing::{classes, quiet, watched};
use crate::{AdversaryError, Predictions, Truth};

const ROWS: usize = 4_000;

/// Held-back rows of two classes, three countries and an age.
struct Held {
    truth: Truth,
    slices: Vec<SliceColumn>,
}

fn held() -> Held {
    let of_rows = (0..ROWS).map(|row| u32::try_from(row % 3).unwrap()).collect();
    let names = ["NO", "SE", "DK"].map(str::to_owned).to_vec();
    let country = SliceColumn { name: "country".to_owned(), values: SliceValues::Texts { of_rows, names } };
    let ages = (0..ROWS).map(|row| (row % 80) as f64).collect();
    let age = SliceColumn { name: "age".to_owned(), values: SliceValues::Numbers(ages) };
    Held { truth: classes((0..ROWS).map(|row| u32::try_from(row / 7 % 2).unwrap()).collect()), slices: vec![country, age] }
}

/// Answers whose share of errors depends on the row.
fn answers(held: &Held, seed: u64, error: impl Fn(usize) -> f32) -> Predictions {
    let mut random = Random::new(seed, 1);
    let mut values = Vec::new();
    for (row, label) in held.truth.labels().iter().enumerate() {
        let wrong = random.unit() < error(row);
        let sure = 0.6 + 0.3 * f64::from(random.unit());
        let second = if (*label == 1) != wrong { sure } else { 1.0 - sure };
        values.extend([1.0 - second, second]);
    }
    Predictions::Probabilities { classes: 2, values }
}

fn run(text: &str, held: &Held, candidate: &Predictions, champion: Option<&Predictions>) -> GateReport {
    let file = GateFile::from_yaml(&format!("{text}data: [held@1]\n")).unwrap();
    let input = GateInput {
        truth: &held.truth,
        slices: &held.slices,
        candidate,
        champion,
        costs: None,
        champion_costs: None,
        golden: None,
    };
    quiet(|watch| judge(&file, &input, watch)).unwrap()
}

/// The reasons that refuse a candidate with these errors against a champion that errs in a fifth of all rows.
fn check(rules: &str, error: impl Fn(usize) -> f32, wanted: &[Reason]) -> GateReport {
    let held = held();
    let champion = answers(&held, 1, |_| 0.2);
    let candidate = answers(&held, 2, error);
    let report = run(&format!("version: 1\nresamples: 300\n{rules}"), &held, &candidate, Some(&champion));
    let reasons: Vec<Reason> = report.refusals().map(|rule| rule.reason).collect();
    assert_eq!(reasons, wanted, "{:#?}", report.rules);
    assert_eq!(report.passed, wanted.is_empty());
    report
}

const METRICS: &str = "rules:\n- {metric: accuracy, max_worse: 0.03}\n- {metric: auc, max_worse: 0.03}\n- {metric: brier, max_worse: 0.03}\nmcnemar: {}\n";
const SLICES: &str = "slices:\n  columns: [{column: country}, {column: age, ranges: [{below: 20}, {from: 20}]}]\n  rules: [{metric: accuracy, max_worse: 0.02}]\n";

#[test]
fn an_equal_model_passes_and_a_worse_one_fails_every_rule() {
    check(METRICS, |_| 0.2, &[]);
    check(SLICES, |_| 0.2, &[]);
    let worse = [Reason::WorseThanChampion, Reason::WorseThanChampion, Reason::WorseThanChampion, Reason::AnswersLost];
    let report = check(METRICS, |_| 0.3, &worse);
    assert!(report.rules[0].words.contains("worse than the champion's"), "{}", report.rules[0].words);
}

#[test]
fn a_slice_that_got_worse_while_the_total_got_better_has_its_own_reason() {
    let hidden = |row: usize| if row % 3 == 2 { 0.32 } else { 0.08 };
    let report = check(&format!("{METRICS}{SLICES}"), hidden, &[Reason::SliceWorseTotalBetter]);
    let refused = report.refusals().next().unwrap();
    assert!(refused.rule == "accuracy where country is DK" && refused.words.contains("while the total got"), "{refused:?}");
    // One slice of several tested, so its probability is corrected upwards.
    assert!(refused.p_corrected.unwrap() >= refused.p.unwrap());
    // A third of both ages lost three tenths of its right answers, so both ages are worse too.
    let worse = [Reason::SliceWorse; 3];
    check(SLICES, |row| if row % 3 == 2 { 0.5 } else { 0.2 }, &worse);
    let young = check(SLICES, |row| if row % 80 < 20 { 0.4 } else { 0.1 }, &[Reason::SliceWorseTotalBetter]);
    assert!(young.refusals().next().unwrap().rule.contains("age is in"));
}

#[test]
fn many_equal_slices_do_not_fail_by_chance() {
    let mut held = held();
    let of_rows = (0..ROWS).map(|row| u32::try_from(row % 80).unwrap()).collect();
    held.slices = vec![SliceColumn {
        name: "shop".to_owned(),
        values: SliceValues::Texts { of_rows, names: (0..80).map(|shop| format!("shop {shop}")).collect() },
    }];
    let text = "version: 1\nresamples: 100\nslices: {columns: [{column: shop}], rules: [{metric: accuracy, max_worse: 0}]}\n";
    for seed in 0..5 {
        let (champion, candidate) = (answers(&held, 2 * seed, |_| 0.2), answers(&held, 2 * seed + 1, |_| 0.2));
        let report = run(text, &held, &candidate, Some(&champion));
        assert!(report.passed && report.rules.len() == 80, "{:#?}", report.refusals().collect::<Vec<_>>());
        assert!(report.rules.iter().any(|rule| rule.p.unwrap() < 0.05), "without the correction some would fail");
    }
}

#[test]
fn absolute_bounds_and_too_few_rows() {
    check("rules: [{metric: accuracy, min: 0.75}]\n", |_| 0.2, &[]);
    check("rules: [{metric: accuracy, min: 0.9}]\n", |_| 0.2, &[Reason::OutOfBounds]);
    check("rules: [{metric: calibration_error, max: 0.1}, {metric: log_loss, max: 0.4}]\n", |_| 0.2, &[Reason::OutOfBounds]);
    let unproven = check("rules: [{metric: accuracy, max_worse: 0.001}]\n", |_| 0.195, &[Reason::TooFewRows]);
    assert_eq!(unproven.rules[0].outcome, Outcome::Unproven);
    assert!(unproven.rules[0].words.contains("held-back rows would show it"), "{}", unproven.rules[0].words);
    check("rules: [{metric: accuracy, max_worse: 0.02, proof: estimate}]\n", |_| 0.2, &[]);
    check(
        "slices: {columns: [{column: country}], rules: [{metric: accuracy, min: 0.7}]}\n",
        |row| if row % 3 == 1 { 0.5 } else { 0.1 },
        &[Reason::SliceOutOfBounds],
    );
}

#[test]
fn a_few_rows_that_are_all_right_are_no_proof() {
    let held =
        |rows: usize| Held { truth: classes((0..rows).map(|row| u32::try_from(row % 2).unwrap()).collect()), slices: Vec::new() };
    let rules = "version: 1\nresamples: 100\nrules:\n- {metric: auc, min: 0.95}\n- {metric: f1, min: 0.95}\n\
                 - {metric: balanced_accuracy, min: 0.95}\n- {metric: accuracy, max_worse: 0.01}\n";
    for (rows, wanted) in [(8, Outcome::Unproven), (1_000, Outcome::Pass)] {
        let held = held(rows);
        let (champion, candidate) = (answers(&held, 1, |_| 0.0), answers(&held, 2, |_| 0.0));
        let report = run(rules, &held, &candidate, Some(&champion));
        assert!(report.rules.len() == 4 && report.rules.iter().all(|rule| rule.outcome == wanted), "{:#?}", report.rules);
    }
    // A tree is as sure as it can be, and every row's error is none.
    let held = held(8);
    let sure = held.truth.labels().iter().flat_map(|label| [1.0 - f64::from(*label), f64::from(*label)]).collect();
    let sure = Predictions::Probabilities { classes: 2, values: sure };
    let certain = "version: 1\nresamples: 100\nrules: [{metric: brier, max: 0.1}, {metric: calibration_error, max: 0.1}]\n";
    assert!(run(certain, &held, &sure, None).rules.iter().all(|rule| rule.outcome == Outcome::Unproven));
    // Who answers the very same is not worse, however few were asked about.
    assert!(run("version: 1\nresamples: 100\nrules: [{metric: accuracy, max_worse: 0}]\n", &held, &sure, Some(&sure)).passed);
}

#[test]
fn a_class_of_a_few_rows_leaves_open_what_the_next_one_is() {
    // A thousand rows of one class, of which some are wrong, and some of another that are all right.
    let run = |rare: usize, rule: &str, wrong: usize| {
        let truth = classes((0..1_000 + rare).map(|row| u32::from(row >= 1_000)).collect());
        let held = Held { truth, slices: Vec::new() };
        let errs = |every: usize, from: usize| move |row: usize| if row < 1_000 && row % every == from { 1.0 } else { 0.0 };
        let (candidate, champion) = (answers(&held, 2, errs(wrong, 0)), answers(&held, 1, errs(wrong, 1)));
        let text = format!("version: 1\nresamples: 300\nrules: [{{metric: {rule}}}]\n");
        run(&text, &held, &candidate, Some(&champion)).rules
    };
    for (rule, wrong, few) in
        [("balanced_accuracy, min: 0.85", 10, 3), ("balanced_accuracy, max_worse: 0.1", 10, 3), ("f1, min: 0.9", 1_000, 30)]
    {
        let unproven = run(few, rule, wrong);
        assert_eq!((unproven.len(), unproven[0].outcome), (1, Outcome::Unproven), "{unproven:#?}");
        assert_eq!(run(1_000, rule, wrong)[0].outcome, Outcome::Pass, "{rule}");
    }
    // The interval holds what the rare class may be: three rows that are right are no proof of more than about a half.
    let interval = run(3, "balanced_accuracy, min: 0.5", 10)[0].interval.unwrap();
    assert!(interval.low < 0.7 && interval.high < 0.97, "{interval:?}");
}

#[test]
fn what_cannot_be_judged_refuses_and_what_does_not_apply_does_not() {
    check("rules: [{metric: rmse, max: 1}]\n", |_| 0.2, &[Reason::Missing]);
    check(
        "latency: {max_ms: 1}\nsize: {max_bytes: 9}\ngolden: {data: golden@1}\n",
        |_| 0.2,
        &[Reason::Missing, Reason::Missing, Reason::Missing],
    );
    let nowhere = "slices: {columns: [{column: planet}, {column: country, values: [FI]}, {column: age}], rules: [{metric: accuracy, min: 0}]}\n";
    let report = check(nowhere, |_| 0.2, &[Reason::Missing, Reason::Missing, Reason::Missing]);
    assert!(
        report.rules[0].words.ends_with("no column `planet` to slice by: mend its name, or leave it out"),
        "{:?}",
        report.rules
    );
    let held = held();
    let first = answers(&held, 1, |_| 0.2);
    let text = format!("version: 1\nresamples: 100\n{METRICS}{SLICES}");
    let report = run(&text, &held, &first, None);
    assert!(report.passed && report.rules.iter().all(|rule| rule.reason == Reason::NoChampion), "{:#?}", report.rules);
    let small = "version: 1\nresamples: 100\nslices: {columns: [{column: country}], min_rows: 2000, rules: [{metric: accuracy, max_worse: 0}]}\n";
    let report = run(small, &held, &first, Some(&first));
    assert!(report.passed && report.rules.iter().all(|rule| rule.reason == Reason::TooFewRows));
}

#[test]
fn budgets_and_golden_rows_are_kept() {
    let held = held();
    let one = answers(&held, 1, |_| 0.2);
    let file = GateFile::from_yaml(
        "version: 1\nlatency: {quantile: 0.9, max_ms: 10, max_factor: 1.5}\nsize: {max_bytes: 1000, max_factor: 2}\ngolden: {data: golden@1, tolerance: 0.01}\ndata: [held@1]\n",
    )
    .unwrap();
    let costs =
        |slow: f64, size_bytes| Costs { latencies_ms: (0..100).map(|time| slow + f64::from(time) / 100.0).collect(), size_bytes };
    let golden = |second: f64| Predictions::Probabilities { classes: 2, values: vec![1.0 - second, second, 0.5, 0.5] };
    let run = |slow, size, second| {
        let (own, champion, expected, got) = (costs(slow, size), costs(5.0, 500), golden(0.3), golden(second));
        let input = GateInput {
            truth: &held.truth,
            slices: &[],
            candidate: &one,
            champion: Some(&one),
            costs: Some(&own),
            champion_costs: Some(&champion),
            golden: Some(GoldenRows { expected: Some(&expected), got: &got }),
        };
        let report = quiet(|watch| judge(&file, &input, watch)).unwrap();
        report.refusals().map(|rule| rule.reason).collect::<Vec<Reason>>()
    };
    assert_eq!(run(5.0, 900, 0.305), []);
    assert_eq!(run(8.5, 900, 0.3), [Reason::TooSlow]);
    assert_eq!(run(20.0, 1_001, 0.32), [Reason::TooSlow, Reason::TooSlow, Reason::TooBig, Reason::TooBig, Reason::GoldenChanged]);
}

#[test]
fn answers_that_are_none_are_errors_and_a_stop_is_heard() {
    let held = held();
    let sound = answers(&held, 1, |_| 0.2);
    let file = GateFile::from_yaml("version: 1\nrules: [{metric: accuracy, min: 0}]\ndata: [held@1]\n").unwrap();
    let short = Predictions::Labels(vec![0; 3]);
    let input = |candidate| GateInput {
        truth: &held.truth,
        slices: &held.slices,
        candidate,
        champion: None,
        costs: None,
        champion_costs: None,
        golden: None,
    };
    assert!(matches!(quiet(|watch| judge(&file, &input(&short), watch)), Err(AdversaryError::Model(_))));
    assert!(matches!(watched(true, 0, |watch| judge(&file, &input(&sound), watch)), Err(AdversaryError::Cancelled)));
}

#[test]
fn the_seed_decides_and_reports_are_read_back() {
    let held = held();
    let (champion, candidate) = (answers(&held, 1, |_| 0.2), answers(&held, 2, |_| 0.2));
    let text = format!("version: 1\nresamples: 100\n{METRICS}{SLICES}");
    let first = run(&text, &held, &candidate, Some(&champion));
    assert_eq!(first, run(&text, &held, &candidate, Some(&champion)));
    assert_eq!(first, serde_json::from_str(&serde_json::to_string(&first).unwrap()).unwrap());
}
