//! Which marks of outliers to believe: rows that lie apart are made up and planted beside the data's own, and what tells them
//! is learnt. No mark tells every kind in every data set: where columns hang together, density does; where few rows have
//! many values, cuts do.
//!
//! Rows of one data set lie apart in one or two ways, seldom in all that are planted. So the rows that lie farthest out say
//! which kinds they look like, and it is learnt again with these.
//!
//! Sources: the idea of telling data from made-up rows is Shi and Horvath's (2006), also both of their kinds: values drawn
//! from each column, and evenly from its range. The kinds' shares among the farthest rows are a mixture's, by expectation
//! maximisation (Dempster, Laird and Rubin 1977).

use std::ops::Range;

use rayon::prelude::*;

use crate::at::{at, ranking};
use crate::random::Random;
use crate::rising::{Example, Rising, WEIGHT};
use crate::table::Matrix;

/// Rows that are made up of each kind.
const PLANTED_COUNT: usize = 900;
/// Noise that is added to true rows, in standard deviations of each column.
const NOISE: [f32; 3] = [1.0, 2.0, 4.0];
/// Shuffled columns, noise, and values drawn evenly.
const KIND_COUNT: usize = NOISE.len() + 2;
/// The part of the data's rows that somebody may have put in.
const INSERTED_SHARE: f64 = 0.01;
const INSERTED_COUNT_MIN: usize = 8;
/// Rows of the data that speak for it: those that lie farthest out by any mark, and so many of the others.
const OUTER_COUNT: usize = 4_000;
const INNER_COUNT: usize = 2_000;
/// Rounds of the trees, and of those by which the farthest rows are found that are asked for their kind.
const ROUND_COUNT: usize = 75;
const ASKED_ROUND_COUNT: usize = 30;
/// How often the farthest rows are asked for their kind; how many of them, and by how many planted rows with like marks.
const ASKED_TIMES: usize = 2;
const ASKED_COUNT_MAX: usize = 1_000;
const ALIKE_COUNT: usize = 15;
const MIXTURE_ROUND_COUNT: usize = 10;
/// What a kind counts that no row looks like.
const KIND_SHARE_MIN: f32 = 0.01;
/// The weight of the marks' plain sum: enough to order rows that are equal otherwise.
const SUM_WEIGHT: f32 = 1e-3;
/// Marks of a row.
const MARK_COUNT: usize = 4;

/// The marks of all rows, a list a mark, each on a scale whose differences can be compared.
pub(crate) type Marks = [Vec<f32>; MARK_COUNT];

/// Rows made up, kind after kind.
pub(crate) fn rows(points: &Matrix, seed: u64) -> Matrix {
    let mut random = Random::new(seed, 0x706c_616e);
    let (count, width) = (points.rows(), points.columns());
    let spreads: Vec<f32> = (0..width).map(|column| spread(points, column)).collect();
    let mut values = Vec::with_capacity(KIND_COUNT * PLANTED_COUNT * width);
    for _ in 0..PLANTED_COUNT {
        values.extend((0..width).map(|column| at(points.row(random.below(count)), column)));
    }
    for noise in NOISE {
        for _ in 0..PLANTED_COUNT {
            let own = points.row(random.below(count));
            values.extend(own.iter().zip(&spreads).map(|(value, spread)| value + noise * spread * random.normal()));
        }
    }
    let ranges = ranges(points);
    for _ in 0..PLANTED_COUNT {
        values.extend(ranges.iter().map(|(least, greatest)| least + (greatest - least) * random.unit()));
    }
    Matrix::new(width, values).unwrap_or_default()
}

/// Planted rows that are thought of as inserted together into so many rows: of one kind, and not too many.
pub(crate) fn groups(row_count: usize) -> impl Iterator<Item = Range<usize>> {
    let size = inserted_count(row_count);
    let of_kind = move |first: usize| {
        (0..PLANTED_COUNT).step_by(size).map(move |from| first + from..first + (from + size).min(PLANTED_COUNT))
    };
    (0..KIND_COUNT).flat_map(move |kind| of_kind(kind * PLANTED_COUNT))
}

fn inserted_count(row_count: usize) -> usize {
    ((row_count as f64 * INSERTED_SHARE) as usize).max(INSERTED_COUNT_MIN)
}

fn spread(points: &Matrix, column: usize) -> f32 {
    let count = points.rows().max(1) as f64;
    let (mut sum, mut squares) = (0.0_f64, 0.0_f64);
    for row in points.iter() {
        let value = f64::from(at(row, column));
        sum += value;
        squares += value * value;
    }
    (squares / count - (sum / count).powi(2)).max(0.0).sqrt() as f32
}

/// The least and the greatest value of each column.
fn ranges(points: &Matrix) -> Vec<(f32, f32)> {
    let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); points.columns()];
    for row in points.iter() {
        for (range, value) in ranges.iter_mut().zip(row) {
            *range = (range.0.min(*value), range.1.max(*value));
        }
    }
    ranges
}

/// One number a row of the data, by its marks and those of planted rows: the logarithm of the odds that it is one of those
/// that were inserted.
pub(crate) fn fused(own: &Marks, planted: &Marks, seed: u64) -> Vec<f32> {
    let tails: Vec<Vec<f32>> = own.iter().map(|marks| tails(marks)).collect();
    let (own, planted) = (by_row(own), by_row(planted));
    let (sums, farthest): (Vec<f32>, Vec<f32>) = (0..own.len())
        .map(|index| tails.iter().fold((0.0, 0.0), |(sum, most), tails| (sum + at(tails, index), at(tails, index).max(most))))
        .unzip();
    let order = ranking(&farthest);
    let (outer, inner) = order.split_at(OUTER_COUNT.min(order.len()));
    let mut examples = own_examples(&own, (outer, inner), seed);
    let own_count = examples.len();
    let even = WEIGHT / planted.len().max(1) as f32;
    examples.extend(planted.iter().map(|marks| Example { inputs: *marks, sought: true, weight: even }));
    let outer_marks: Vec<[f32; MARK_COUNT]> = outer.iter().map(|index| at(&own, *index as usize)).collect();
    let asked_count = inserted_count(own.len()).min(ASKED_COUNT_MAX);
    for _ in 0..ASKED_TIMES {
        let scores = Rising::learn(&examples, ASKED_ROUND_COUNT).scores(&outer_marks);
        let asked: Vec<[f32; MARK_COUNT]> =
            ranking(&scores).iter().take(asked_count).map(|place| at(&outer_marks, *place as usize)).collect();
        let shares = kind_shares(&asked, &planted);
        for (place, example) in examples.iter_mut().skip(own_count).enumerate() {
            example.weight = WEIGHT * at(&shares, place / PLANTED_COUNT) / PLANTED_COUNT as f32;
        }
    }
    let mut scores = Rising::learn(&examples, ROUND_COUNT).scores(&own);
    scores.iter_mut().zip(&sums).for_each(|(score, sum)| *score += SUM_WEIGHT * sum);
    scores
}

fn by_row(marks: &Marks) -> Vec<[f32; MARK_COUNT]> {
    let [first, ..] = marks;
    let row =
        |index: usize| -> [f32; MARK_COUNT] { std::array::from_fn(|mark| marks.get(mark).map_or(0.0, |own| at(own, index))) };
    (0..first.len()).map(row).collect()
}

/// Rows of the data that speak for all: the outer ones one by one, since there it is decided, the inner ones by a sample.
fn own_examples(own: &[[f32; MARK_COUNT]], (outer, inner): (&[u32], &[u32]), seed: u64) -> Vec<Example<MARK_COUNT>> {
    let chosen = Random::new(seed, 0x7765_6967).sample(inner.len(), INNER_COUNT);
    let outer_weight = WEIGHT / own.len().max(1) as f32;
    let inner_weight = outer_weight * inner.len() as f32 / chosen.len().max(1) as f32;
    let example = |index: u32, weight: f32| Example { inputs: at(own, index as usize), sought: false, weight };
    let outer = outer.iter().map(|index| example(*index, outer_weight));
    outer.chain(chosen.iter().map(|place| example(at(inner, *place as usize), inner_weight))).collect()
}

/// How much each kind counts, 1 in all, by which kinds the marks of these rows look like.
fn kind_shares(rows: &[[f32; MARK_COUNT]], planted: &[[f32; MARK_COUNT]]) -> [f32; KIND_COUNT] {
    let scales = scales(planted);
    let likeness: Vec<[f32; KIND_COUNT]> = rows.par_iter().map(|row| likeness(row, planted, &scales)).collect();
    let mut shares = [1.0 / KIND_COUNT as f32; KIND_COUNT];
    for _ in 0..MIXTURE_ROUND_COUNT {
        let mut next = [0.0_f32; KIND_COUNT];
        for own in &likeness {
            let total: f32 = own.iter().zip(&shares).map(|(own, share)| own * share).sum();
            for ((next, own), share) in next.iter_mut().zip(own).zip(&shares) {
                *next += own * share / total.max(f32::MIN_POSITIVE) / likeness.len() as f32;
            }
        }
        shares = next;
    }
    let total: f32 = shares.iter().map(|share| share + KIND_SHARE_MIN).sum();
    shares.map(|share| (share + KIND_SHARE_MIN) / total)
}

/// One over each mark's standard deviation.
fn scales(planted: &[[f32; MARK_COUNT]]) -> [f32; MARK_COUNT] {
    let count = planted.len().max(1) as f32;
    std::array::from_fn(|mark| {
        let mean = planted.iter().map(|marks| at(marks, mark)).sum::<f32>() / count;
        let variance = planted.iter().map(|marks| (at(marks, mark) - mean).powi(2)).sum::<f32>() / count;
        1.0 / variance.sqrt().max(1e-6)
    })
}

/// The kinds' parts of the planted rows whose marks are nearest to a row's.
fn likeness(own: &[f32; MARK_COUNT], planted: &[[f32; MARK_COUNT]], scales: &[f32; MARK_COUNT]) -> [f32; KIND_COUNT] {
    let distance = |other: &[f32; MARK_COUNT]| -> f32 {
        own.iter().zip(other).zip(scales).map(|((own, other), scale)| ((own - other) * scale).powi(2)).sum()
    };
    let mut others: Vec<(f32, usize)> =
        planted.iter().enumerate().map(|(place, other)| (distance(other), place / PLANTED_COUNT)).collect();
    let count = ALIKE_COUNT.min(others.len());
    if count < others.len() {
        others.select_nth_unstable_by(count, |left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
    }
    let mut parts = [0.0_f32; KIND_COUNT];
    for (_, kind) in others.iter().take(count) {
        crate::at::add(&mut parts, *kind, 1.0 / count as f32);
    }
    parts
}

fn tails(marks: &[f32]) -> Vec<f32> {
    let mut sorted = marks.to_vec();
    sorted.sort_by(f32::total_cmp);
    marks.iter().map(|mark| tail(&sorted, *mark)).collect()
}

/// The logarithm of one over the share of rows that lie as far out or farther.
fn tail(sorted: &[f32], mark: f32) -> f32 {
    let count = sorted.len().max(1) as f32;
    let below = sorted.partition_point(|own| *own < mark) as f32;
    -(1.0 - below / count + 1.0 / count).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks of the data's own rows and of planted ones, of which the last few of the data are like those of one kind.
    fn marks(kind: usize) -> (Marks, Marks) {
        let mut random = Random::new(4, 4);
        // Each kind shows by another mark; the last by none.
        let shift = |kind: usize, mark: usize| if kind == mark { 6.0 } else { 0.0 };
        let mut drawn = |count: usize, kind: usize, mark: usize| -> Vec<f32> {
            (0..count).map(|_| random.normal() + shift(kind, mark)).collect()
        };
        let own = std::array::from_fn(|mark| [drawn(3_000, KIND_COUNT, mark), drawn(30, kind, mark)].concat());
        let planted = std::array::from_fn(|mark| (0..KIND_COUNT).flat_map(|kind| drawn(PLANTED_COUNT, kind, mark)).collect());
        (own, planted)
    }

    #[test]
    fn rows_like_planted_ones_come_first_and_their_kind_counts_most() {
        for kind in 0..3 {
            let (own, planted) = marks(kind);
            let first = ranking(&fused(&own, &planted, 1));
            let found = first.iter().take(30).filter(|index| **index >= 3_000).count();
            assert!(found >= 26, "{found} of 30 of kind {kind}");
            let inserted: Vec<[f32; MARK_COUNT]> = by_row(&own).split_off(3_000);
            let shares = kind_shares(&inserted, &by_row(&planted));
            assert!(shares[kind] > 0.8 && (shares.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{shares:?}");
        }
    }

    #[test]
    fn marks_that_tell_nothing_give_all_rows_the_same() {
        let flat = |count: usize| -> Marks { std::array::from_fn(|_| vec![1.0_f32; count]) };
        let fused = fused(&flat(50), &flat(KIND_COUNT * PLANTED_COUNT), 1);
        assert!(fused.iter().all(|score| *score == fused[0] && score.is_finite()));
    }

    #[test]
    fn planted_rows_have_the_columns_of_the_data() {
        let mut random = Random::new(5, 5);
        let values: Vec<f32> = (0..900).map(|place| if place % 3 == 0 { 7.0 } else { random.normal() }).collect();
        let planted = rows(&Matrix::new(3, values).unwrap(), 2);
        assert_eq!((planted.rows(), planted.columns()), (KIND_COUNT * PLANTED_COUNT, 3));
        assert!(planted.iter().all(|row| row[0] == 7.0));
        assert!(planted.values().iter().all(|value| value.is_finite()));
    }

    #[test]
    fn groups_are_of_one_kind_and_small() {
        let groups: Vec<Range<usize>> = groups(2_000).collect();
        assert_eq!((groups.len(), groups[0].clone(), groups[45].clone()), (225, 0..20, 900..920));
        assert_eq!(self::groups(100).map(|group| group.len()).max(), Some(INSERTED_COUNT_MIN));
        assert_eq!(self::groups(1_000_000).count(), KIND_COUNT);
    }
}
