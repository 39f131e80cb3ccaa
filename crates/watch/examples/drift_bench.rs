//! Seeded streams for `cargo xtask bench drift`: writes them as CSV for the peers, and prints when this crate calls them, at several
//! rates of false alarms; and how forecasts do on generated metrics. `drift_bench FOLDER`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use watch::{Baseline, Column, DriftConfig, Limit, Monitor, Side, Values, crossing, fit};

const REFERENCE_ROWS: usize = 5_000;
const STREAM_ROWS: usize = 6_000;
/// Rows of a step: about a minute of a small endpoint.
const STEP_ROWS: usize = 25;
const CLEAN_COUNT: u64 = 40;
const CHANGED_COUNT: u64 = 10;
const RATES: [f64; 6] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 5e-2];
const NUMBERS: [&str; 6] = ["n0", "n1", "n2", "n3", "n4", "n5"];
const NAMES: [&str; 2] = ["c0", "c1"];
const SCENARIOS: [&str; 6] = ["mean-0.5", "scale-1.5", "category-0.15", "missing-0.1", "all-mean-0.25", "slow-mean-1.0"];

struct Random(u64);

impl Random {
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.even()).ln()).sqrt() * (std::f64::consts::TAU * self.even()).cos()
    }
}

#[derive(Default)]
struct Table {
    numbers: Vec<Vec<f64>>,
    names: Vec<Vec<String>>,
}

/// One row; `since` is how many rows ago the change was, none before it.
fn add_row(table: &mut Table, random: &mut Random, scenario: &str, since: Option<usize>) {
    table.numbers.resize(NUMBERS.len(), Vec::new());
    table.names.resize(NAMES.len(), Vec::new());
    let changed = since.is_some();
    let shared = random.normal();
    for (place, column) in table.numbers.iter_mut().enumerate() {
        let mut z = if place < 2 { 0.8 * shared + 0.6 * random.normal() } else { random.normal() };
        match scenario {
            "mean-0.5" if changed && place == 2 => z += 0.5,
            "scale-1.5" if changed && place == 3 => z *= 1.5,
            "all-mean-0.25" if changed => z += 0.25,
            "slow-mean-1.0" if place == 4 => z += since.map_or(0.0, |rows| (rows as f64 / 1_000.0).min(1.0)),
            _ => {}
        }
        let value = match place {
            3 => z.exp(),
            4 => z * 1_000.0 + 50_000.0,
            5 => z.powi(3),
            _ => z,
        };
        let share = if scenario == "missing-0.1" && changed && place == 1 { 0.11 } else { 0.01 };
        column.push(if place == 1 && random.even() < share { f64::NAN } else { value });
    }
    for (place, column) in table.names.iter_mut().enumerate() {
        let first = if scenario == "category-0.15" && changed && place == 0 { 0.45 } else { 0.3 };
        let even = random.even();
        let name = if even < first {
            "basic"
        } else if even < first + 0.2 {
            "plus"
        } else if even < 0.9 {
            "team"
        } else {
            "trial"
        };
        column.push(name.to_owned());
    }
}

fn made(seed: u64, rows: usize, scenario: &str, change: usize) -> Table {
    let (mut table, mut random) = (Table::default(), Random(seed));
    for row in 0..rows {
        add_row(&mut table, &mut random, scenario, row.checked_sub(change));
    }
    table
}

fn write_csv(path: &Path, table: &Table) {
    let mut text = [NUMBERS.as_slice(), NAMES.as_slice()].concat().join(",");
    text.push('\n');
    for row in 0..table.names.first().map_or(0, Vec::len) {
        for column in &table.numbers {
            let value = column.get(row).copied().unwrap();
            if !value.is_nan() {
                let _ = write!(text, "{value:.6}");
            }
            text.push(',');
        }
        let names: Vec<&str> = table.names.iter().map(|column| column.get(row).unwrap().as_str()).collect();
        text.push_str(&names.join(","));
        text.push('\n');
    }
    std::fs::write(path, text).unwrap();
}

fn columns(table: &Table, from: usize, to: usize) -> Vec<Column<'_>> {
    let numbers = table.numbers.iter().zip(NUMBERS);
    let numbers = numbers.map(|(values, name)| (name, Values::F64(values.get(from..to).unwrap())));
    let names = table.names.iter().zip(NAMES).map(|(values, name)| (name, Values::Text(values.get(from..to).unwrap())));
    numbers.chain(names).map(|(name, values)| Column { name, values, first: 0, stride: 1 }).collect()
}

/// The rows after which a stream was called, by rate.
fn calls(reference: &Table, stream: &Table) -> Vec<Vec<usize>> {
    let mut baseline = Baseline::default();
    baseline.add(&columns(reference, 0, REFERENCE_ROWS), REFERENCE_ROWS);
    let reference = baseline.finish("reference");
    let monitor = |rate: &f64| {
        let config = DriftConfig { false_alarm_share: *rate, ..DriftConfig::default() };
        Monitor::new(reference.clone(), config)
    };
    let mut monitors: Vec<Monitor> = RATES.iter().map(monitor).collect();
    let mut called = vec![Vec::new(); RATES.len()];
    for from in (0..STREAM_ROWS).step_by(STEP_ROWS) {
        let to = from + STEP_ROWS;
        let own = columns(stream, from, to);
        let cells: Vec<Vec<u64>> = reference
            .columns
            .iter()
            .map(|was| {
                let mut counts = vec![0; was.grid.cell_count()];
                let column = own.iter().find(|column| column.name == was.name).unwrap();
                for row in 0..STEP_ROWS {
                    *counts.get_mut(was.grid.cell(column.of_row(row))).unwrap() += 1;
                }
                counts
            })
            .collect();
        for (monitor, called) in monitors.iter_mut().zip(&mut called) {
            if monitor.step(cells.clone()).is_some() {
                called.push(to);
            }
        }
    }
    called
}

fn streams(folder: &Path) -> Vec<Value> {
    let mut all = Vec::new();
    let clean = (0..CLEAN_COUNT).map(|seed| ("clean", seed));
    let changed = SCENARIOS.iter().flat_map(|scenario| (0..CHANGED_COUNT).map(|seed| (*scenario, seed)));
    for (number, (scenario, seed)) in clean.chain(changed).enumerate() {
        let seed_of = (number as u64 + 1) * 1_000_003 + seed;
        let change = if scenario == "clean" { STREAM_ROWS } else { 2_000 + (Random(seed_of).even() * 500.0) as usize };
        let reference = made(seed_of ^ 0xabcd, REFERENCE_ROWS, "clean", REFERENCE_ROWS);
        let stream = made(seed_of, STREAM_ROWS, scenario, change);
        let name = format!("{scenario}-{seed}");
        write_csv(&folder.join(format!("{name}.reference.csv")), &reference);
        write_csv(&folder.join(format!("{name}.stream.csv")), &stream);
        all.push(json!({ "name": name, "scenario": scenario, "change": change, "called": calls(&reference, &stream) }));
    }
    all
}

/// A metric without its noise, at a step; none of the kinds from the fifth on crosses 100 within 400 steps.
fn metric(kind: usize, step: f64, draws: [f64; 3]) -> f64 {
    let wave = (step * std::f64::consts::TAU / 48.0).sin();
    match kind {
        0 => 30.0 + (0.2 + 0.4 * draws[0]) * step,
        1 => 20.0 * (step * (0.005 + 0.008 * draws[0])).exp(),
        2 => 45.0 + 15.0 * wave + (0.15 + 0.25 * draws[0]) * step,
        3 => 40.0 + (step - 100.0 - 60.0 * draws[1]).max(0.0) * (0.5 + 1.0 * draws[0]),
        4 => 35.0 + (0.15 + 0.2 * draws[0]) * step + 0.000_5 * step * step,
        5 => 40.0 + 45.0 * draws[0],
        6 => 50.0 + 20.0 * draws[0] + (10.0 + 10.0 * draws[1]) * wave,
        7 => 40.0 + (20.0 + 25.0 * draws[0]) * (1.0 - (-step / (30.0 + 60.0 * draws[1])).exp()),
        8 => {
            if step < 150.0 {
                40.0
            } else {
                55.0 + 25.0 * draws[0]
            }
        }
        _ => 70.0 - (0.05 + 0.1 * draws[0]) * step,
    }
}

/// Walks through generated metrics as the server does: a look every 5 steps, at most 60 steps ahead.
fn forecasts() -> Value {
    let limit = Limit { value: 100.0, side: Side::Above };
    let (mut crossing_count, mut in_time, mut still_count, mut false_count) = (0, 0, 0, 0);
    let (mut leads, mut by_kind) = (Vec::new(), vec![(0, 0); 10]);
    for kind in 0..10 {
        for seed in 0..100 {
            let mut random = Random(77_000 + 1_000 * kind as u64 + seed);
            let draws = [random.even(), random.even(), random.even()];
            let noise = 1.0 + 4.0 * draws[2];
            let mut carried = 0.0;
            let values: Vec<f64> = (0..400)
                .map(|step| {
                    carried = 0.5 * carried + noise * random.normal();
                    metric(kind, f64::from(step), draws) + carried
                })
                .collect();
            let crossed = (0..400).find(|step| metric(kind, f64::from(*step), draws) >= limit.value);
            let end = crossed.map_or(400, |step| step as usize);
            let seasonal = matches!(kind, 2 | 6).then_some(48);
            let look = |now: &usize| {
                let known = values.get(now.saturating_sub(240)..*now).unwrap();
                fit(known, seasonal).is_some_and(|forecast| crossing(&forecast, limit, 60, 0.9).is_some())
            };
            let looks: Vec<usize> = (40..end).step_by(5).collect();
            // Two looks in a row must agree, as the server wants it.
            let raised = looks.windows(2).find(|pair| pair.iter().all(look)).and_then(|pair| pair.last().copied());
            let tally = by_kind.get_mut(kind).unwrap();
            tally.0 += 1;
            tally.1 += usize::from(raised.is_some());
            if crossed.is_some() {
                crossing_count += 1;
                in_time += usize::from(raised.is_some());
                leads.extend(raised.map(|now| end - now));
            } else {
                still_count += 1;
                false_count += usize::from(raised.is_some());
            }
        }
    }
    leads.sort_unstable();
    json!({
        "crossing": crossing_count, "in_time": in_time, "still": still_count, "false": false_count,
        "median_lead_steps": leads.get(leads.len() / 2), "by_kind": by_kind,
    })
}

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    if folder == "forecasts" {
        println!("{}", forecasts());
        return;
    }
    let found = json!({
        "rates": RATES, "step_rows": STEP_ROWS, "stream_rows": STREAM_ROWS, "forecast": forecasts(),
        "streams": streams(Path::new(&folder)),
    });
    println!("{found}");
}
