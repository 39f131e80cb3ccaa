//! Which marks of outliers to believe: rows that lie apart are made up and planted beside the data's own, and the marks that
//! tell them get the weight. No mark tells every kind in every data set: where columns hang together, density does; where
//! few rows have many values, cuts do.
//!
//! Sources: the idea of telling data from made-up rows of the same columns is Shi and Horvath's (2006); the weights are a
//! logistic regression's (Cox 1958), by Newton's steps, none below zero.

use crate::algebra::{cholesky, solve};
use crate::at::{add, at, put};
use crate::random::Random;
use crate::table::Matrix;

/// Rows that are made up of each kind.
const PLANTED_COUNT: usize = 300;
/// Noise that is added to true rows, in standard deviations of each column.
const NOISE: [f32; 3] = [1.0, 2.0, 4.0];
/// Rows of the data that speak for it.
const OWN_COUNT_MAX: usize = 20_000;
const STEP_COUNT: usize = 25;
/// The penalty on the weights' squares, beside a surprise that is counted in so many rows.
const PENALTY: f64 = 0.1;
const ROW_WEIGHT: f64 = 1_000.0;

/// Rows made up: each value from another row of the data, and rows with noise of three strengths.
pub(crate) fn rows(points: &Matrix, seed: u64) -> Matrix {
    let mut random = Random::new(seed, 0x706c_616e);
    let (count, width) = (points.rows(), points.columns());
    let spreads: Vec<f32> = (0..width).map(|column| spread(points, column)).collect();
    let mut values = Vec::with_capacity((NOISE.len() + 1) * PLANTED_COUNT * width);
    for _ in 0..PLANTED_COUNT {
        values.extend((0..width).map(|column| at(points.row(random.below(count)), column)));
    }
    for noise in NOISE {
        for _ in 0..PLANTED_COUNT {
            let own = points.row(random.below(count));
            values.extend(own.iter().zip(&spreads).map(|(value, spread)| value + noise * spread * random.normal()));
        }
    }
    Matrix::new(width, values).unwrap_or_default()
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

/// One number a row of the data, by its marks and those of planted rows, a list a mark: how far out the row lies by each
/// mark, in orders of magnitude of the rows that lie as far, weighed by how well the marks tell what was planted.
pub(crate) fn fused(own: &[Vec<f32>], planted: &[Vec<f32>], seed: u64) -> Vec<f32> {
    let sorted: Vec<Vec<f32>> = own
        .iter()
        .map(|marks| {
            let mut sorted = marks.clone();
            sorted.sort_by(f32::total_cmp);
            sorted
        })
        .collect();
    let tails = |marks: &[Vec<f32>]| -> Vec<Vec<f32>> {
        marks.iter().zip(&sorted).map(|(marks, sorted)| marks.iter().map(|mark| tail(sorted, *mark)).collect()).collect()
    };
    let (own, planted) = (tails(own), tails(planted));
    let weights = weights(&own, &planted, seed);
    let count = own.first().map_or(0, Vec::len);
    (0..count).map(|index| own.iter().zip(&weights).map(|(tails, weight)| weight * at(tails, index)).sum()).collect()
}

/// The logarithm of one over the share of rows that lie as far out or farther.
fn tail(sorted: &[f32], mark: f32) -> f32 {
    let count = sorted.len().max(1) as f32;
    let below = sorted.partition_point(|own| *own < mark) as f32;
    -(1.0 - below / count + 1.0 / count).ln()
}

/// Weights of the marks such that planted rows are told from the data's own; even ones where nothing tells them.
fn weights(own: &[Vec<f32>], planted: &[Vec<f32>], seed: u64) -> Vec<f32> {
    let (own_count, planted_count) = (own.first().map_or(0, Vec::len), planted.first().map_or(0, Vec::len));
    let chosen = Random::new(seed, 0x7765_6967).sample(own_count, OWN_COUNT_MAX);
    let of = |marks: &[Vec<f32>], index: usize| -> Vec<f64> { marks.iter().map(|tails| f64::from(at(tails, index))).collect() };
    let mut rows: Vec<(Vec<f64>, f64, f64)> = Vec::with_capacity(chosen.len() + planted_count);
    for index in &chosen {
        rows.push((of(own, *index as usize), 0.0, ROW_WEIGHT / chosen.len().max(1) as f64));
    }
    rows.extend((0..planted_count).map(|index| (of(planted, index), 1.0, ROW_WEIGHT / planted_count.max(1) as f64)));
    let mut kept: Vec<usize> = (0..own.len()).collect();
    let mut found = vec![0.0_f32; own.len()];
    // A mark with a weight below zero tells the wrong way: out with it, and again without it.
    while !kept.is_empty() {
        let solved = regression(&rows, &kept);
        let Some((place, _)) = solved.iter().enumerate().filter(|(_, weight)| **weight < 0.0).min_by(|a, b| a.1.total_cmp(b.1))
        else {
            kept.iter().zip(&solved).for_each(|(mark, weight)| put(&mut found, *mark, *weight as f32));
            break;
        };
        kept.remove(place);
    }
    if found.iter().all(|weight| *weight <= 0.0) { vec![1.0; own.len()] } else { found }
}

/// Weights of the kept marks: a weighted logistic regression with an offset, which is not given.
fn regression(rows: &[(Vec<f64>, f64, f64)], kept: &[usize]) -> Vec<f64> {
    let size = kept.len() + 1;
    let mut solved = vec![0.0_f64; size];
    for _ in 0..STEP_COUNT {
        let (mut slopes, mut curvatures) = (vec![0.0; size], vec![0.0; size * size]);
        for (marks, wanted, weight) in rows {
            let input = |place: usize| kept.get(place).map_or(1.0, |mark| at(marks, *mark));
            let score: f64 = solved.iter().enumerate().map(|(place, own)| own * input(place)).sum();
            let expected = 1.0 / (1.0 + (-score).exp());
            let curvature = weight * (expected * (1.0 - expected)).max(1e-9);
            for place in 0..size {
                add(&mut slopes, place, weight * (wanted - expected) * input(place));
                for other in 0..=place {
                    add(&mut curvatures, place * size + other, curvature * input(place) * input(other));
                }
            }
        }
        for place in 0..kept.len() {
            add(&mut slopes, place, -PENALTY * at(&solved, place));
            add(&mut curvatures, place * size + place, PENALTY);
        }
        add(&mut curvatures, size * size - 1, 1e-6);
        if !cholesky(&mut curvatures, size) {
            break;
        }
        solve(&curvatures, size, &mut slopes);
        let moved = slopes.iter().fold(0.0_f64, |most, step| most.max(step.abs()));
        // Bounded, so that rows which are told apart perfectly do not throw it off.
        solved.iter_mut().zip(&slopes).for_each(|(own, step)| *own += step.clamp(-2.0, 2.0));
        if moved < 1e-4 {
            break;
        }
    }
    solved.truncate(kept.len());
    solved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_that_tells_planted_rows_gets_the_weight() {
        let mut random = Random::new(4, 4);
        let mut drawn = |count: usize, shift: f32| -> Vec<f32> { (0..count).map(|_| random.normal() + shift).collect() };
        let own = [drawn(3_000, 0.0), drawn(3_000, 0.0), drawn(3_000, 0.0)];
        // The first tells, the second does not, the third tells the wrong way.
        let planted = [drawn(600, 3.0), drawn(600, 0.0), drawn(600, -3.0)];
        let fused = fused(&own, &planted, 1);
        let best = crate::at::argmax(&fused);
        assert_eq!(best, crate::at::argmax(&own[0]));
        let tails = |marks: &[Vec<f32>]| -> Vec<Vec<f32>> {
            marks.iter().map(|marks| marks.iter().map(|mark| mark.max(0.0)).collect()).collect()
        };
        let weights = weights(&tails(&own), &tails(&planted), 1);
        assert!(weights[0] > 1.0 && weights[1] < 0.3 && weights[2] == 0.0, "{weights:?}");
    }

    #[test]
    fn marks_that_tell_nothing_are_weighed_evenly() {
        let flat = vec![vec![1.0_f32; 50]; 2];
        assert_eq!(weights(&flat, &[vec![1.0; 10], vec![1.0; 10]], 1), [1.0, 1.0]);
    }

    #[test]
    fn planted_rows_have_the_columns_of_the_data() {
        let mut random = Random::new(5, 5);
        let values: Vec<f32> = (0..900).map(|place| if place % 3 == 0 { 7.0 } else { random.normal() }).collect();
        let planted = rows(&Matrix::new(3, values).unwrap(), 2);
        assert_eq!((planted.rows(), planted.columns()), (1_200, 3));
        assert!(planted.iter().all(|row| row[0] == 7.0));
        assert!(planted.values().iter().all(|value| value.is_finite()));
    }
}
