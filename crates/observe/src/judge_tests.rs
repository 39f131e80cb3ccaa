//! Endpoints with one fault each.

use super::*;
use watch::{CallerClass, Column, Grid, Probabilities, Sample, Values, Verdict};

const NOW: Micros = Micros(1_000 * MINUTE_US);

/// Numbers from 0 to below 1, the same each time.
fn even(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 11) as f64 / (1_u64 << 53) as f64
}

#[derive(Clone, Copy)]
struct Minute {
    shift: f64,
    failed: u64,
    invalid: u64,
    latency_us: f64,
    sure: f64,
}

const USUAL: Minute = Minute { shift: 0.0, failed: 0, invalid: 0, latency_us: 1_000.0, sure: 0.9 };

fn reference() -> Reference {
    let column = watch::ColumnReference {
        name: "x".to_owned(),
        grid: Grid::Numbers((1..10).map(|edge| f64::from(edge) / 10.0).collect()),
        counts: [vec![500; 10], vec![0, 0]].concat(),
        range: Some((0.0, 1.0)),
    };
    Reference { origin: "what it was trained on".to_owned(), columns: vec![column] }
}

fn minutes(of: impl Fn(i64) -> Minute) -> BTreeMap<i64, Tally> {
    let (mut state, reference, classes) = (7, reference(), ["a".to_owned(), "b".to_owned()]);
    (880..1_000)
        .map(|at| {
            let minute = of(at);
            let mut tally = Tally::default();
            for request in 0..20 + minute.failed + minute.invalid {
                let verdict = match request {
                    0..20 => Verdict::Answered,
                    _ if request < 20 + minute.failed => Verdict::Failed,
                    _ => Verdict::Invalid,
                };
                let values = [(even(&mut state) + minute.shift).min(1.2)];
                let sure = (minute.sure + 0.1 * (even(&mut state) - 0.5)).clamp(0.5, 1.0);
                let columns = [Column { name: "x", values: Values::F64(&values), first: 0, stride: 1 }];
                tally.add(
                    &Sample {
                        at_us: at * MINUTE_US,
                        workspace: "w",
                        endpoint: "e",
                        version: "m/1",
                        prediction: None,
                        caller: "c",
                        caller_class: CallerClass::Service,
                        row_count: 1,
                        latency_us: (minute.latency_us * (0.8 + 0.4 * even(&mut state))) as u64,
                        verdict,
                        columns: &columns,
                        classes: &classes,
                        predicted: Some(Values::I64(&[0])),
                        predicts_classes: true,
                        probabilities: Some(Probabilities { values: Values::F64(&[sure, 1.0 - sure]), width: 2 }),
                    },
                    Some(&reference),
                );
            }
            (at, tally)
        })
        .collect()
}

fn found(config: &ObserveConfig, labelled: &Confusion, of: impl Fn(i64) -> Minute) -> Vec<Finding> {
    let (minutes, reference) = (minutes(of), reference());
    let burned = |window: u32| {
        let newest = minutes.range(1_000 - i64::from(window)..);
        newest.fold((0, 0), |sum, (_, tally)| (sum.0 + tally.failed, sum.1 + tally.failed + tally.answered))
    };
    findings(&Seen { minutes: &minutes, reference: Some(&reference), labelled, burned: &burned, now: NOW }, config)
}

#[track_caller]
fn check(config: &ObserveConfig, of: impl Fn(i64) -> Minute, expected: &[(&str, i64)]) -> Vec<Finding> {
    let found = found(config, &Confusion::default(), of);
    let kinds: Vec<&str> = found.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, expected.iter().map(|one| one.0).collect::<Vec<_>>(), "{found:#?}");
    for (finding, (kind, began)) in found.iter().zip(expected) {
        let at = finding.began_at.0 / MINUTE_US;
        assert!((at - began).abs() <= 3, "{kind} began at {at}, expected {began}");
    }
    found
}

#[test]
fn each_fault_is_found_with_its_beginning() {
    let config = ObserveConfig::default();
    check(&config, |_| USUAL, &[]);
    let found = check(&config, |at| if at < 970 { USUAL } else { Minute { shift: 0.3, ..USUAL } }, &[("drift", 970)]);
    assert!(
        found[0].headline.starts_with("what is asked has drifted from what it was trained on: `x`;"),
        "{}",
        found[0].headline
    );
    let found = check(&config, |at| if at < 985 { USUAL } else { Minute { failed: 4, ..USUAL } }, &[("errors", 985)]);
    assert!(found[0].severity == Severity::Critical && found[0].crosses_at.unwrap() > NOW);
    check(&config, |at| if at < 960 { USUAL } else { Minute { latency_us: 3_000.0, ..USUAL } }, &[("latency", 960)]);
    check(&config, |at| if at < 980 { USUAL } else { Minute { invalid: 5, ..USUAL } }, &[("data-quality", 980)]);
    check(&config, |at| if at < 990 { USUAL } else { Minute { sure: 0.65, ..USUAL } }, &[("expected-accuracy", 990)]);
}

#[test]
fn a_limit_is_foretold_before_it_is_crossed() {
    let config = ObserveConfig { latency_ms_max: Some(4.0), ..ObserveConfig::default() };
    let found = found(&config, &Confusion::default(), |at| Minute { latency_us: 1_000.0 + 20.0 * (at - 880) as f64, ..USUAL });
    let ahead = found.iter().find(|finding| finding.kind == "latency-ahead").unwrap();
    // 1.0 + 0.02 a minute: 3.4 now, 4.0 in half an hour.
    let minutes = (ahead.crosses_at.unwrap().0 - NOW.0) / MINUTE_US;
    assert!((20..=40).contains(&minutes) && ahead.certainty.unwrap() >= 0.9, "{ahead:?}");
}

#[test]
fn labels_tell_the_real_accuracy_and_whether_estimates_can_be_believed() {
    let config = ObserveConfig { accuracy_min: Some(0.8), ..ObserveConfig::default() };
    let mut labelled = Confusion::default();
    (0..200).for_each(|at| labelled.add(if at % 2 == 0 { "a" } else { "b" }, "a", Some(0.9)));
    let kinds: Vec<&str> = found(&config, &labelled, |_| USUAL).iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, ["accuracy", "calibration"]);
}

#[test]
fn a_disk_that_fills_is_foretold() {
    let shrinking: Vec<f64> = (0..120).map(|at| 0.5 - 0.001 * f64::from(at)).collect();
    let finding = disk_ahead(&shrinking, 0.1, NOW).unwrap();
    let minutes = (finding.crosses_at.unwrap().0 - NOW.0) / MINUTE_US;
    assert!(finding.kind == "disk-ahead" && (270..=290).contains(&minutes), "{finding:?}");
    assert_eq!(disk_ahead(&[0.5; 120], 0.1, NOW), None);
    assert_eq!(disk_ahead(&[0.05; 3], 0.1, NOW).unwrap().kind, "disk");
    assert_eq!(disk_ahead(&[], 0.1, NOW), None);
}
