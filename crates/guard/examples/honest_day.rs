//! A day of honest traffic of 100 callers through the guard, on a simulated clock: how many alarms, at which cost.
//!
//! `cargo run --release --package guard --example honest_day [-- --json] [SEED]`

#![expect(clippy::indexing_slicing, reason = "an example over arrays whose lengths stand in it")]

use std::time::Instant;

use guard::{Calibrated, Cell, Given, Level, Shared, Tag, Trail, calibrate};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
const SECOND: i64 = 1_000_000;
const TRAINING_ROWS: usize = 20_000;
const NUMBERS: usize = 12;
const SEGMENTS: usize = 6;
const WORDS: [[&str; 5]; 3] = [
    ["north", "south", "east", "west", "abroad"],
    ["basic", "plus", "family", "business", "trial"],
    ["web", "shop", "phone", "partner", "letter"],
];

/// SplitMix64 (Steele et al. 2014).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, count: usize) -> usize {
        (self.uniform() * count as f64) as usize
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// A customer: correlated numbers of very different kinds, and three words.
#[derive(Clone)]
struct Customer {
    numbers: [f64; NUMBERS],
    words: [usize; 3],
}

fn customer(draw: &mut Draw, segment: usize) -> Customer {
    let hidden: [f64; 5] = std::array::from_fn(|place| draw.normal() + ((segment * 7 + place * 3) as f64).sin() * 1.5);
    let numbers = std::array::from_fn(|place| {
        let mix: f64 = hidden.iter().enumerate().map(|(k, h)| h * ((place * 5 + k * 11) as f64).cos()).sum();
        let value = mix + 0.5 * draw.normal();
        match place % 4 {
            // Money has a long tail, ages and counts are whole, shares have two digits.
            0 => (value.exp() * 1_000.0 * 100.0).round() / 100.0,
            1 => (45.0 + 12.0 * value).round().clamp(18.0, 99.0),
            2 => (value * 100.0).round() / 100.0,
            _ => value * 3.5 + 20.0,
        }
    });
    let words = std::array::from_fn(|place| (segment + draw.below(3) * (place + 1)) % 5);
    Customer { numbers, words }
}

fn cells(customer: &Customer) -> Vec<Cell<'static>> {
    let words = customer.words.iter().zip(&WORDS).map(|(word, all)| Cell::Text(all[*word]));
    customer.numbers.iter().map(|value| Cell::Number(*value)).chain(words).collect()
}

fn calibrated(draw: &mut Draw) -> Result<Calibrated, String> {
    let rows: Vec<Customer> = (0..TRAINING_ROWS)
        .map(|_| {
            let segment = draw.below(SEGMENTS);
            customer(draw, segment)
        })
        .collect();
    let numbers: Vec<Vec<f64>> = (0..NUMBERS).map(|place| rows.iter().map(|row| row.numbers[place]).collect()).collect();
    let places: Vec<Vec<f64>> = (0..3).map(|place| rows.iter().map(|row| row.words[place] as f64).collect()).collect();
    let names: Vec<String> = (0..NUMBERS).map(|place| format!("n{place}")).collect();
    let texts: Vec<Vec<String>> = WORDS.iter().map(|all| all.iter().map(|word| (*word).to_owned()).collect()).collect();
    let mut given: Vec<Given<'_>> = numbers.iter().zip(&names).map(|(values, name)| Given::Numbers { name, values }).collect();
    given.extend(places.iter().zip(&texts).map(|(places, names)| Given::Texts { name: "word", places, names }));
    calibrate(&given, "customers@1", 77).map(Calibrated::new)
}

/// What a caller does in a day.
#[derive(Clone, Copy)]
enum Habit {
    /// A web page: single rows in bursts, some sent again.
    Bursty,
    /// A branch: single rows of one segment only.
    Branch(usize),
    /// A batch each hour of new customers; now and then the last one is sent again.
    Batches,
    /// One of two arms of a test, which both get every row.
    Arm,
    /// All customers at night, again the next night with what changed since.
    Nightly,
}

struct Caller {
    habit: Habit,
    trail: Trail,
    last: Vec<Customer>,
    left_in_burst: usize,
}

struct Day {
    calibrated: Calibrated,
    shared: Shared,
    queries: u64,
    alarms: Vec<(usize, u64, &'static str)>,
    nanos: Vec<u32>,
}

impl Day {
    fn ask(&mut self, number: usize, caller: &mut Caller, customer: &Customer, at_s: i64) {
        let row = cells(customer);
        let began = Instant::now();
        let level = caller.trail.observe(&self.calibrated, &mut self.shared, &row, at_s * SECOND);
        let nanos = u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX);
        self.queries += 1;
        // The second half: by then what is remembered is full.
        if at_s > DAY_S / 2 {
            self.nanos.push(nanos);
        }
        if level != Level::Calm {
            let cause = caller.trail.ladder.why().map_or("?", |(cause, _)| cause.word());
            self.alarms.push((number, caller.trail.counts.rows, cause));
            caller.trail.release();
        }
    }
}

fn callers() -> Vec<Caller> {
    (0..100_u32)
        .map(|number| {
            let habit = match number {
                0..40 => Habit::Bursty,
                40..60 => Habit::Branch(number as usize % SEGMENTS),
                60..75 => Habit::Batches,
                75..95 => Habit::Arm,
                _ => Habit::Nightly,
            };
            // A third of them sits behind one address.
            let network = if number % 3 == 0 { 1 } else { 100 + number };
            let trail = Trail::new(Tag { caller: number, network });
            Caller { habit, trail, last: Vec::new(), left_in_burst: 0 }
        })
        .collect()
}

fn minute(day: &mut Day, all: &mut [Caller], number: usize, minute: i64, draw: &mut Draw) {
    let at_s = minute * 60;
    // Nights are quiet.
    let busy = 0.3 + 0.7 * (std::f64::consts::PI * (at_s % DAY_S) as f64 / DAY_S as f64).sin();
    let Some((arms, rest)) = all.split_at_mut_checked(number) else { return };
    let Some(caller) = rest.first_mut() else { return };
    match caller.habit {
        Habit::Bursty | Habit::Branch(_) => {
            if draw.uniform() < 0.05 * busy {
                caller.left_in_burst = 50 + draw.below(200);
            }
            let burst = caller.left_in_burst.min(60);
            caller.left_in_burst -= burst;
            for _ in 0..burst + (8.0 * busy * draw.uniform()) as usize {
                let segment = if let Habit::Branch(own) = caller.habit { own } else { draw.below(SEGMENTS) };
                let asked = customer(draw, segment);
                day.ask(number, caller, &asked, at_s);
                while draw.uniform() < 0.08 {
                    day.ask(number, caller, &asked, at_s + 2);
                }
            }
        }
        Habit::Batches if minute % 60 == (number % 60) as i64 => {
            if draw.uniform() >= 0.2 || caller.last.is_empty() {
                caller.last = (0..1_000 + draw.below(3_000))
                    .map(|_| {
                        let segment = draw.below(SEGMENTS);
                        customer(draw, segment)
                    })
                    .collect();
            }
            let batch = std::mem::take(&mut caller.last);
            batch.iter().for_each(|asked| day.ask(number, caller, asked, at_s));
            caller.last = batch;
        }
        Habit::Arm if number.is_multiple_of(2) => {
            let Some(other) = arms.last_mut() else { return };
            for _ in 0..(12.0 * busy * draw.uniform()) as usize {
                let segment = draw.below(SEGMENTS);
                let asked = customer(draw, segment);
                day.ask(number, caller, &asked, at_s);
                day.ask(number - 1, other, &asked, at_s);
            }
        }
        Habit::Nightly if minute == 0 || minute == 24 * 60 - 1 => {
            if caller.last.is_empty() {
                caller.last = (0..6_000)
                    .map(|_| {
                        let segment = draw.below(SEGMENTS);
                        customer(draw, segment)
                    })
                    .collect();
            }
            let mut book = std::mem::take(&mut caller.last);
            for asked in &mut book {
                if minute > 0 && draw.uniform() < 0.5 {
                    asked.numbers[0] = (asked.numbers[0] * (1.0 + 0.02 * draw.normal()) * 100.0).round() / 100.0;
                }
                day.ask(number, caller, asked, at_s);
            }
            caller.last = book;
        }
        _ => {}
    }
}

fn main() -> Result<(), String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let seed = words.iter().find_map(|word| word.parse().ok()).unwrap_or(1);
    let mut draw = Draw(seed);
    let mut day =
        Day { calibrated: calibrated(&mut draw)?, shared: Shared::default(), queries: 0, alarms: Vec::new(), nanos: Vec::new() };
    let mut all = callers();
    for now in 0..24 * 60 {
        for number in 0..all.len() {
            minute(&mut day, &mut all, number, now, &mut draw);
        }
    }
    day.nanos.sort_unstable();
    let count = day.nanos.len().max(1);
    let at = |share: f64| day.nanos.get((share * count as f64) as usize).copied().unwrap_or(0);
    let mean = day.nanos.iter().map(|nanos| f64::from(*nanos)).sum::<f64>() / count as f64;
    let bytes: usize = all.iter().map(|caller| caller.trail.bytes()).sum::<usize>() + day.shared.bytes();
    let largest = all.iter().map(|caller| caller.trail.bytes()).max().unwrap_or(0);
    let (near, repeats): (u64, u64) = all
        .iter()
        .fold((0, 0), |(near, repeats), caller| (near + caller.trail.counts.near, repeats + caller.trail.counts.repeats));
    let told = serde_json::json!({
        "callers": all.len(), "queries": day.queries, "repeats": repeats, "near": near, "alarms": day.alarms.len(),
        "first_alarms": day.alarms.iter().take(5).map(|(caller, row, cause)| serde_json::json!([caller, row, cause])).collect::<Vec<_>>(),
        "mean_us": mean / 1e3, "p50_us": f64::from(at(0.5)) / 1e3, "p99_us": f64::from(at(0.99)) / 1e3,
        "bytes": bytes, "largest_trail_bytes": largest, "near_distance": day.calibrated.reference().near.distance,
        "expected_hits": day.calibrated.reference().near.expected_hits, "dimension": day.calibrated.reference().near.dimension,
    });
    println!("{told}");
    Ok(())
}
