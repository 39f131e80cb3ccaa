//! Random Fourier features with linear discriminants in closed form, out of fold.
//!
//! Sources: Rahimi and Recht 2007 (features of a Gaussian kernel); Friedman 1989 (regularised discriminants). One pass
//! sums each fold's moments; the model of a fold uses the sums of all others, by subtraction.

use rayon::prelude::*;

use crate::PoisonError;
use crate::algebra::{Left, Right, cholesky, distance_squared, dot, product, solve};
use crate::at::{at, put, quantile, row, row_mut};
use crate::random::Random;
use crate::table::Matrix;
use crate::watch::Watch;

/// Random features of many rows.
pub(crate) const FEATURE_COUNT: usize = 1_024;
/// Random features at least, and rows that one is worth.
const FEATURE_COUNT_MIN: usize = 256;
const FEATURE_ROW_COUNT: usize = 16;
/// Parts of the rows; a row's model has not seen its part.
const FOLD_COUNT: usize = 5;
/// Rows of a part that are summed: so many times more rows than features leave no error that more rows would take away. Rows
/// are in random order, so the first of a part are a sample of it.
const SUMMED_ROW_COUNT_MAX: usize = 65_536;
/// Rows whose features are made at once.
const BLOCK_COUNT: usize = 1_024;
/// Rows of the moment table that one task sums.
const PANEL_COUNT: usize = 128;
/// The share of the mean variance that is added to every direction.
const RIDGE: f64 = 0.01;
/// Pairs of rows whose distances give the kernel's width.
const PAIR_COUNT: usize = 4_000;

/// What the discriminants learn from.
pub(crate) struct Task<'a> {
    /// Centred rows.
    pub(crate) points: &'a Matrix,
    /// Each row's class.
    pub(crate) labels: &'a [u32],
    /// Each class's share.
    pub(crate) shares: &'a [f32],
    /// Random features to use.
    pub(crate) features: usize,
    /// The scan's seed.
    pub(crate) seed: u64,
}

/// The sums over the rows of one fold.
pub(crate) struct Moments {
    /// `features × features`, the upper panels only.
    products: Vec<f32>,
    /// `classes × features`.
    sums: Vec<f64>,
    counts: Vec<f64>,
}

/// How many random features so many rows are worth: the error of fewer is lost in that of few rows (Rudi and Rosasco 2017).
pub(crate) fn feature_count(rows: usize) -> usize {
    (rows / FEATURE_ROW_COUNT).next_multiple_of(PANEL_COUNT).clamp(FEATURE_COUNT_MIN, FEATURE_COUNT)
}

/// Class probabilities of each row from models that have not seen its fold.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn out_of_fold(task: &Task<'_>, watch: &Watch<'_>) -> Result<Matrix, PoisonError> {
    let row_count = task.points.rows();
    let mut random = Random::new(task.seed, 0x7266_6600);
    let map = Map::new(task.points, task.features, &mut random);
    let mut order: Vec<u32> = (0..u32::try_from(row_count).unwrap_or(u32::MAX)).collect();
    random.shuffle(&mut order);
    let folds: Vec<&[u32]> = order.chunks(row_count.div_ceil(FOLD_COUNT).max(1)).collect();
    let mut moments = Vec::with_capacity(FOLD_COUNT);
    for fold in &folds {
        moments.push(sum(task, &map, fold.get(..SUMMED_ROW_COUNT_MAX).unwrap_or(fold), watch)?);
    }
    let models: Vec<Discriminants> =
        (0..folds.len()).into_par_iter().map(|fold| Discriminants::without(&moments, fold, task)).collect();
    watch.check()?;
    let mut probabilities = Matrix::zeros(row_count, task.shares.len());
    for (fold, model) in folds.iter().zip(&models) {
        for group in fold.chunks(BLOCK_COUNT * 16) {
            watch.check()?;
            let blocks: Vec<Vec<f32>> = group.par_chunks(BLOCK_COUNT).map(|rows| model.probabilities(&map, task, rows)).collect();
            for (rows, block) in group.chunks(BLOCK_COUNT).zip(&blocks) {
                for (index, own) in rows.iter().zip(block.chunks_exact(task.shares.len().max(1))) {
                    probabilities.row_mut(*index as usize).copy_from_slice(own);
                }
            }
        }
    }
    Ok(probabilities)
}

/// `cos(x W + b)`, scaled so that products of features approach the kernel.
pub(crate) struct Map {
    features: usize,
    weights: Vec<f32>,
    offsets: Vec<f32>,
    scale: f32,
}

impl Map {
    pub(crate) fn new(points: &Matrix, features: usize, random: &mut Random) -> Self {
        let width = points.columns();
        let mut distances = Vec::with_capacity(PAIR_COUNT);
        for _ in 0..PAIR_COUNT {
            let (left, right) = (random.below(points.rows()), random.below(points.rows()));
            if left != right {
                distances.push(distance_squared(points.row(left), points.row(right)).sqrt());
            }
        }
        // Half the median distance of two rows is the kernel's width.
        let bandwidth = (0.5 * quantile(&distances, 0.5)).max(1e-6);
        Self {
            features,
            weights: (0..width * features).map(|_| random.normal() / bandwidth).collect(),
            offsets: (0..features).map(|_| std::f32::consts::TAU * random.unit()).collect(),
            scale: (2.0 / features as f32).sqrt(),
        }
    }

    /// The features of some rows, row after row.
    fn features(&self, points: &Matrix, rows: &[u32]) -> Vec<f32> {
        let chosen = points.chosen(rows);
        let mut out = vec![0.0; rows.len() * self.features];
        let shape = (rows.len(), points.columns(), self.features);
        product(shape, (chosen.values(), Left::Plain), (&self.weights, Right::Plain), &mut out, (0.0, 1.0));
        for own in out.chunks_exact_mut(self.features.max(1)) {
            for (value, offset) in own.iter_mut().zip(&self.offsets) {
                *value = self.scale * cosine(*value + offset);
            }
        }
        out
    }
}

/// A cosine to about 1e-4 that compiles to vector instructions: folded to a quarter turn, then a polynomial.
#[inline]
fn cosine(angle: f32) -> f32 {
    // Adding and taking away a number so great that no fraction fits beside it rounds to whole numbers, without a call that
    // old processors need for it. Beyond the bounds an angle of this precision says nothing any more.
    const ROUNDING: f32 = 12_582_912.0;
    const TURNS_MAX: f32 = 1_048_576.0;
    let turns = (angle * (1.0 / std::f32::consts::TAU)).clamp(-TURNS_MAX, TURNS_MAX);
    let from_whole = (turns - ((turns + ROUNDING) - ROUNDING)).abs();
    // cos of 2π·t for t in 0..0.5 is −sin of 2π·(t − 0.25).
    let quarter = (from_whole - 0.25) * std::f32::consts::TAU;
    let square = quarter * quarter;
    -quarter * (1.0 + square * (-0.166_666_55 + square * (0.008_332_16 + square * -0.000_195_15)))
}

/// The sums over these rows.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn sum(task: &Task<'_>, map: &Map, fold: &[u32], watch: &Watch<'_>) -> Result<Moments, PoisonError> {
    let (features, classes) = (map.features, task.shares.len());
    let mut moments =
        Moments { products: vec![0.0; features * features], sums: vec![0.0; classes * features], counts: vec![0.0; classes] };
    for group in fold.chunks(BLOCK_COUNT * 8) {
        watch.check()?;
        let blocks: Vec<Vec<f32>> = group.par_chunks(BLOCK_COUNT).map(|rows| map.features(task.points, rows)).collect();
        moments.products.par_chunks_mut(PANEL_COUNT * features).enumerate().for_each(|(panel, out)| {
            // The table is symmetric: a panel sums from its own first column on.
            let from = panel * PANEL_COUNT;
            let width = features - from;
            let height = out.len() / features;
            let mut partial = vec![0.0; height * width];
            for block in &blocks {
                let lies = Left::Columns { from, stride: features };
                let right = block.get(from..).unwrap_or(&[]);
                let shape = (height, block.len() / features, width);
                product(shape, (block, lies), (right, Right::Strided(features)), &mut partial, (1.0, 1.0));
            }
            for (out, partial) in out.chunks_exact_mut(features).zip(partial.chunks_exact(width)) {
                out.iter_mut().skip(from).zip(partial).for_each(|(total, value)| *total += value);
            }
        });
        for (rows, block) in group.chunks(BLOCK_COUNT).zip(&blocks) {
            for (index, own) in rows.iter().zip(block.chunks_exact(features)) {
                let class = at(task.labels, *index as usize) as usize;
                crate::at::add(&mut moments.counts, class, 1.0);
                let sums = row_mut(&mut moments.sums, features, class);
                sums.iter_mut().zip(own).for_each(|(total, value)| *total += f64::from(*value));
            }
        }
    }
    Ok(moments)
}

/// One linear score a class: a column of weights and an offset.
pub(crate) struct Discriminants {
    /// `features × classes`.
    weights: Vec<f32>,
    offsets: Vec<f32>,
}

impl Discriminants {
    /// The discriminants of all folds but one.
    pub(crate) fn without(moments: &[Moments], left_out: usize, task: &Task<'_>) -> Self {
        let (features, classes) = (task.features, task.shares.len());
        let others = || moments.iter().enumerate().filter(|(fold, _)| *fold != left_out).map(|(_, moments)| moments);
        let counts: Vec<f64> = (0..classes).map(|class| others().map(|fold| at(&fold.counts, class)).sum()).collect();
        let total: f64 = counts.iter().sum::<f64>().max(1.0);
        let mut means = vec![0.0; classes * features];
        for fold in others() {
            means.iter_mut().zip(&fold.sums).for_each(|(mean, sum)| *mean += sum);
        }
        for (means, count) in means.chunks_exact_mut(features.max(1)).zip(&counts) {
            means.iter_mut().for_each(|mean| *mean /= count.max(1.0));
        }
        let mut within = vec![0.0_f64; features * features];
        for index in 0..features {
            let own = row_mut(&mut within, features, index);
            for fold in others() {
                let products = row(&fold.products, features, index);
                own.iter_mut().zip(products).skip(index).for_each(|(value, product)| *value += f64::from(*product));
            }
            for (means, count) in means.chunks_exact(features.max(1)).zip(&counts) {
                let weight = count * at(means, index);
                own.iter_mut().zip(means).skip(index).for_each(|(value, mean)| *value -= weight * mean);
            }
            own.iter_mut().skip(index).for_each(|value| *value /= total);
        }
        mirror(&mut within, features);
        let trace: f64 = (0..features).map(|index| at(&within, index * features + index)).sum();
        for index in 0..features {
            crate::at::add(&mut within, index * features + index, RIDGE * trace / features as f64 + 1e-9);
        }
        let mut model = Self { weights: vec![0.0; features * classes], offsets: vec![0.0; classes] };
        let sound = cholesky(&mut within, features);
        for (class, (means, count)) in means.chunks_exact(features.max(1)).zip(&counts).enumerate() {
            let prior = ((count + 0.5) / (total + 0.5 * classes as f64)).ln();
            put(&mut model.offsets, class, prior as f32);
            if !sound || *count == 0.0 {
                continue;
            }
            let mut own = means.to_vec();
            solve(&within, features, &mut own);
            put(&mut model.offsets, class, (prior - 0.5 * dot(&own, means)) as f32);
            for (index, value) in own.iter().enumerate() {
                put(&mut model.weights, index * classes + class, *value as f32);
            }
        }
        model
    }

    /// The class probabilities of these rows of the task, row after row.
    pub(crate) fn probabilities(&self, map: &Map, task: &Task<'_>, rows: &[u32]) -> Vec<f32> {
        let classes = self.offsets.len();
        let features = map.features(task.points, rows);
        let mut out = vec![0.0; rows.len() * classes];
        let shape = (rows.len(), map.features, classes);
        product(shape, (&features, Left::Plain), (&self.weights, Right::Plain), &mut out, (0.0, 1.0));
        for own in out.chunks_exact_mut(classes.max(1)) {
            own.iter_mut().zip(&self.offsets).for_each(|(score, offset)| *score += offset);
            softmax(own);
        }
        out
    }
}

fn mirror(table: &mut [f64], size: usize) {
    for index in 0..size {
        for column in 0..index {
            let value = at(table, column * size + index);
            put(table, index * size + column, value);
        }
    }
}

/// Scores to probabilities, in place.
pub(crate) fn softmax(scores: &mut [f32]) {
    let greatest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - greatest).exp();
        total += *score;
    }
    scores.iter_mut().for_each(|score| *score /= total);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{quiet, stopped, two_classes};

    #[test]
    fn the_cosine_is_close_enough() {
        for step in -2_000..2_000 {
            let angle = step as f32 * 0.01;
            assert!((cosine(angle) - angle.cos()).abs() < 2e-4, "{angle}");
        }
    }

    #[test]
    fn curved_classes_are_told_apart_out_of_fold() {
        // A disc in a ring: no line parts them.
        let mut random = Random::new(2, 2);
        let labels: Vec<u32> = (0..1_000).map(|index| index % 2).collect();
        let values = labels.iter().flat_map(|label| {
            let (angle, radius) = (std::f32::consts::TAU * random.unit(), 1.0 + 2.0 * *label as f32 + 0.2 * random.normal());
            [radius * angle.cos(), radius * angle.sin()]
        });
        let points = Matrix::new(2, values.collect()).unwrap();
        let task = Task { points: &points, labels: &labels, shares: &[0.5, 0.5], features: 256, seed: 4 };
        let probabilities = quiet(|watch| out_of_fold(&task, watch)).unwrap();
        let right = probabilities.iter().zip(&labels).filter(|(row, label)| row[**label as usize] > 0.5).count();
        assert!(right > 980, "{right} of 1,000");
    }

    #[test]
    fn it_stops_when_asked_and_a_lonely_class_does_no_harm() {
        let (points, mut labels) = two_classes(200, 3, 3.0, 1);
        labels[0] = 2;
        let task = Task { points: &points, labels: &labels, shares: &[0.5, 0.49, 0.01], features: 64, seed: 4 };
        assert!(stopped(|watch| out_of_fold(&task, watch).map(|_| ())).is_err());
        let probabilities = quiet(|watch| out_of_fold(&task, watch)).unwrap();
        assert!(probabilities.values().iter().all(|value| value.is_finite()));
    }
}
