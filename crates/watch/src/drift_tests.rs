//! Seeded streams with and without a change.

use super::*;
use crate::grid::Baseline;
use crate::normal::Random;
use crate::sample::{Column, Values};
use crate::tally::Tally;

const COLUMNS: [&str; 4] = ["a", "b", "c", "plan"];

/// How the stream differs from the reference: in standard deviations of `a`, in the share of one plan, and in missing values of `b`.
#[derive(Clone, Copy, Default)]
struct Shift {
    mean: f64,
    plan: f64,
    missing: f64,
}

struct Rows {
    numbers: Vec<Vec<f64>>,
    plans: Vec<String>,
}

fn rows(random: &mut Random, count: usize, shift: Shift) -> Rows {
    let mut numbers = vec![Vec::new(); 3];
    let mut plans = Vec::new();
    for _ in 0..count {
        for (place, column) in numbers.iter_mut().enumerate() {
            let value = random.normal() + if place == 0 { shift.mean } else { 0.0 };
            column.push(if place == 1 && random.even() < 0.01 + shift.missing { f64::NAN } else { value });
        }
        let share = 0.3 + shift.plan;
        let even = random.even();
        plans.push(
            if even < share {
                "basic"
            } else if even < share + 0.3 {
                "plus"
            } else {
                "team"
            }
            .to_owned(),
        );
    }
    Rows { numbers, plans }
}

impl Rows {
    fn columns(&self) -> Vec<Column<'_>> {
        let numbers = self.numbers.iter().zip(COLUMNS);
        let numbers = numbers.map(|(values, name)| Column { name, values: Values::F64(values), first: 0, stride: 1 });
        numbers.chain([Column { name: "plan", values: Values::Text(&self.plans), first: 0, stride: 1 }]).collect()
    }
}

fn monitor(random: &mut Random) -> Monitor {
    let rows = rows(random, 2_000, Shift::default());
    let mut baseline = Baseline::default();
    baseline.add(&rows.columns(), 2_000);
    Monitor::new(baseline.finish("its first rows"), DriftConfig::default())
}

fn step(monitor: &mut Monitor, random: &mut Random, count: usize, shift: Shift) -> Option<Drift> {
    let rows = rows(random, count, shift);
    let columns = rows.columns();
    let mut tally = Tally::default();
    tally.add(&crate::tally::tests::sample(&columns, count, "c"), Some(&monitor.reference));
    monitor.step(tally.cells)
}

#[test]
fn a_stream_that_stays_is_not_called() {
    let mut called = 0;
    for seed in 0..20 {
        let mut random = Random(seed);
        let mut monitor = monitor(&mut random);
        called += (0..150).filter_map(|_| step(&mut monitor, &mut random, 40, Shift::default())).count();
    }
    assert_eq!(called, 0);
}

/// The chance of a look, without a floor under the effect, at a rate that can be counted.
#[test]
fn a_look_calls_by_chance_no_more_often_than_it_may() {
    let (mut called, mut looks) = (0, 0);
    for seed in 0..300 {
        let mut random = Random(7_000 + seed);
        let mut monitor = monitor(&mut random);
        monitor.config = DriftConfig { false_alarm_share: 0.01, moved_share_min: 0.0 };
        let rows = rows(&mut random, 200, Shift::default());
        let columns = rows.columns();
        let mut tally = Tally::default();
        tally.add(&crate::tally::tests::sample(&columns, 200, "c"), Some(&monitor.reference));
        looks += 1;
        called += usize::from(monitor.step(tally.cells).is_some());
    }
    // 3 of 300 are expected at most; 8 is the 99.6th percentile of that.
    assert!(called <= 8, "{called} of {looks}");
}

#[test]
fn a_change_is_found_where_and_when_it_was() {
    for (shift, column, rows_max) in [
        (Shift { mean: 0.5, ..Shift::default() }, "a", 400),
        (Shift { mean: 1.0, ..Shift::default() }, "a", 160),
        (Shift { plan: 0.25, ..Shift::default() }, "plan", 480),
        (Shift { missing: 0.15, ..Shift::default() }, "b", 400),
    ] {
        let (mut delays, mut began_off) = (Vec::new(), Vec::new());
        for seed in 0..10 {
            let mut random = Random(100 + seed);
            let mut monitor = monitor(&mut random);
            for _ in 0..50 {
                assert_eq!(step(&mut monitor, &mut random, 40, Shift::default()), None);
            }
            let found = (1..100).find_map(|at| Some((at, step(&mut monitor, &mut random, 40, shift)?)));
            let (at, drift) = found.unwrap();
            assert_eq!(drift.columns[0].column, column, "{drift:?}");
            delays.push(at * 40);
            began_off.push(drift.began_steps_ago.abs_diff(at));
        }
        delays.sort_unstable();
        began_off.sort_unstable();
        assert!(delays[5] <= rows_max, "{column}: {delays:?}");
        assert!(began_off[5] <= 2, "{column}: the beginning is off by {began_off:?} steps");
    }
}

#[test]
fn what_changed_is_said() {
    let mut random = Random(5);
    let mut monitor = monitor(&mut random);
    let drift = (0..30).find_map(|_| step(&mut monitor, &mut random, 40, Shift { plan: 0.4, ..Shift::default() })).unwrap();
    let plan = &drift.columns[0];
    assert!(
        plan.column == "plan" && plan.change.ends_with("of the rows") && plan.change.contains("` went from "),
        "{}",
        plan.change
    );
    assert!(plan.stability_index > 0.2 && plan.moved_share > 0.2);
    assert_eq!(monitor.states(5).len(), 4);
}

#[test]
fn a_small_change_is_not_called_however_many_rows_show_it() {
    let mut random = Random(9);
    let mut monitor = monitor(&mut random);
    for _ in 0..60 {
        assert_eq!(step(&mut monitor, &mut random, 2_000, Shift { mean: 0.05, ..Shift::default() }), None);
    }
}
