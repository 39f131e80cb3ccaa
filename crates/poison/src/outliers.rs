//! Rows that lie apart from all others: by distance to neighbours, by local density, by the shape of the whole, and by how few
//! cuts part them; weighed by what each of these tells in this data set (`planted`).
//!
//! Sources: Ramaswamy, Rastogi and Shim 2000 (distance to the k-th neighbour); Breunig et al. 2000 (local outlier factor);
//! Rousseeuw and Van Driessen 1999 (Mahalanobis distance from the central rows, two concentration steps).

use rayon::prelude::*;

use crate::PoisonError;
use crate::algebra::{cholesky, dot};
use crate::at::{at, put, quantile, ranking};
use crate::isolation::Isolation;
use crate::knn::{Neighbours, neighbours_of};
use crate::planted;
use crate::table::Matrix;
use crate::watch::Watch;

/// The share of rows, the most central ones, that give the shape.
const CENTRAL_SHARE: f64 = 0.75;
const CONCENTRATION_COUNT: usize = 3;
/// A row is called an outlier if its distance exceeds the upper quartile by this many quartile ranges of the logarithms.
const FENCE: f32 = 3.0;
/// The same for rows of a group, of which more is asked besides.
const GROUP_FENCE: f32 = 2.0;
/// What lower marks are taken for, so that they have logarithms.
const LEAST_MARK: f32 = 1e-9;

/// Each row's marks, the higher the farther apart.
pub(crate) struct Marks {
    /// All marks fused, ranked from 0 to 1.
    pub(crate) fused: Vec<f32>,
    /// True where two of the three marks that have fences lie beyond them, and in groups that lie apart.
    pub(crate) beyond: Vec<bool>,
    /// True where a row is of a group that lies apart.
    pub(crate) grouped: Vec<bool>,
    /// Rows that lie as far from the shape of the whole as such a group, but in none.
    pub(crate) far_alone: usize,
}

/// Marks every row.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn marks(
    points: &Matrix,
    neighbours: &Neighbours,
    anchors: &[u32],
    seed: u64,
    watch: &Watch<'_>,
) -> Result<Marks, PoisonError> {
    let rows = points.rows();
    let distances: Vec<f32> = (0..rows).into_par_iter().map(|index| neighbours.radius(index)).collect();
    let densities = densities(neighbours, rows, &distances);
    let factors = local_factors(neighbours, &densities, &densities);
    let shape = Shape::of(points);
    let cuts = Isolation::grow(points, seed);
    watch.check()?;
    let planted = planted::rows(points, seed);
    let mut near = neighbours_of(&planted, points, anchors, watch)?;
    near.join(&planted, planted::groups(anchors.len()), rows);
    let planted_distances: Vec<f32> = (0..planted.rows()).map(|index| near.radius(index)).collect();
    let all_distances = [distances, planted_distances].concat();
    let planted_densities = self::densities(&near, planted.rows(), &all_distances);
    let all_densities = [densities, planted_densities].concat();
    let (distances, planted_distances) = all_distances.split_at(rows);
    let planted_densities = all_densities.get(rows..).unwrap_or(&[]);
    let of_planted = [
        logarithms(planted_distances),
        logarithms(&local_factors(&near, &all_densities, planted_densities)),
        logarithms(&shape.distances(&planted)),
        cuts.marks(&planted),
    ];
    let own = [logarithms(distances), logarithms(&factors), logarithms(&shape.distances(points)), cuts.marks(points)];
    watch.check()?;
    let fused = planted::fused(&own, &of_planted, seed);
    let [distances, factors, shape, _] = own;
    let shape_fence = fence(&shape, GROUP_FENCE);
    let far: Vec<bool> = shape.iter().map(|mark| *mark > shape_fence).collect();
    let grouped = groups_apart(neighbours, &far, &distances);
    let far_alone = far.iter().zip(&grouped).filter(|(far, grouped)| **far && !**grouped).count();
    let fenced = [distances, factors, shape];
    let fences: Vec<f32> = fenced.iter().map(|marks| fence(marks, FENCE)).collect();
    let is_beyond = |index: usize| fenced.iter().zip(&fences).filter(|(marks, fence)| at(marks, index) > **fence).count() >= 2;
    let beyond: Vec<bool> = (0..rows).map(|index| at(&grouped, index) || is_beyond(index)).collect();
    Ok(Marks { fused: ranks(&fused), beyond, grouped, far_alone })
}

/// Rows far from the shape of the whole with nothing but such rows near them, and nearer than neighbours usually are: a group hides
/// its rows from marks that look at neighbours. Copies are told by themselves.
fn groups_apart(neighbours: &Neighbours, far: &[bool], distances: &[f32]) -> Vec<bool> {
    let (usual, least) = (quantile(distances, 0.5), LEAST_MARK.ln());
    let near = |index: usize| at(distances, index) < usual && at(distances, index) > least;
    let is_of_one = |index: usize| at(far, index) && near(index) && neighbours.of(index).all(|(other, _)| at(far, other));
    (0..far.len()).into_par_iter().map(is_of_one).collect()
}

fn logarithms(marks: &[f32]) -> Vec<f32> {
    marks.iter().map(|mark| mark.max(LEAST_MARK).ln()).collect()
}

/// The share of rows with lower marks.
fn ranks(marks: &[f32]) -> Vec<f32> {
    let mut ranks = vec![0.0; marks.len()];
    let count = marks.len().max(1) as f32;
    for (place, index) in ranking(marks).into_iter().enumerate() {
        put(&mut ranks, index as usize, 1.0 - place as f32 / count);
    }
    ranks
}

/// The logarithm of a mark beyond which rows lie apart, by the logarithms of all.
fn fence(logarithms: &[f32], ranges: f32) -> f32 {
    let (lower, upper) = (quantile(logarithms, 0.25), quantile(logarithms, 0.75));
    upper + ranges * (upper - lower).max(0.05)
}

/// How dense it is around each row, by the reach of its neighbours.
fn densities(neighbours: &Neighbours, rows: usize, radii: &[f32]) -> Vec<f32> {
    let density = |index: usize| {
        let reach = neighbours.of(index).map(|(other, distance)| distance.sqrt().max(at(radii, other)));
        let (sum, count) = reach.fold((0.0, 0.0), |(sum, count), reach| (sum + reach, count + 1.0));
        count / f32::max(sum, 1e-9)
    };
    (0..rows).into_par_iter().map(density).collect()
}

/// How much sparser it is around a row than around its neighbours.
fn local_factors(neighbours: &Neighbours, densities: &[f32], own: &[f32]) -> Vec<f32> {
    let factor = |index: usize| {
        let (sum, count) =
            neighbours.of(index).fold((0.0, 0.0), |(sum, count), (other, _)| (sum + at(densities, other), count + 1.0));
        sum / f32::max(count, 1.0) / at(own, index).max(1e-9)
    };
    (0..own.len()).into_par_iter().map(factor).collect()
}

/// The mean and the covariance's factor of the most central rows.
struct Shape {
    means: Vec<f64>,
    /// Nothing where the rows fill no volume.
    factor: Option<Vec<f64>>,
}

impl Shape {
    fn of(points: &Matrix) -> Self {
        let mut shape = Self { means: Vec::new(), factor: None };
        let mut distances = vec![0.0_f32; points.rows()];
        for round in 0..CONCENTRATION_COUNT {
            let limit = quantile(&distances, CENTRAL_SHARE);
            let central: Vec<u32> = (0..u32::try_from(points.rows()).unwrap_or(u32::MAX))
                .filter(|index| at(&distances, *index as usize) <= limit)
                .collect();
            let Some((means, factor)) = covariance_factor(points, &central) else { return shape };
            shape = Self { means, factor: Some(factor) };
            if round + 1 < CONCENTRATION_COUNT {
                distances = shape.distances(points);
            }
        }
        shape
    }

    /// Squared Mahalanobis distances.
    fn distances(&self, points: &Matrix) -> Vec<f32> {
        let width = points.columns();
        let Some(factor) = &self.factor else { return vec![0.0; points.rows()] };
        let distance = |row: &[f32]| {
            // L z = x − mean, and the distance is the length of z.
            let mut solved: Vec<f64> = Vec::with_capacity(width);
            for (index, (value, mean)) in row.iter().zip(&self.means).enumerate() {
                let own = crate::at::row(factor, width, index);
                let known = dot(own, &solved);
                solved.push((f64::from(*value) - mean - known) / at(own, index));
            }
            dot(&solved, &solved) as f32
        };
        points.values().par_chunks_exact(width.max(1)).map(distance).collect()
    }
}

fn covariance_factor(points: &Matrix, rows: &[u32]) -> Option<(Vec<f64>, Vec<f64>)> {
    let width = points.columns();
    let count = rows.len().max(1) as f64;
    let mut means = vec![0.0_f64; width];
    for index in rows {
        means.iter_mut().zip(points.row(*index as usize)).for_each(|(mean, value)| *mean += f64::from(*value) / count);
    }
    let mut covariance = vec![0.0_f64; width * width];
    covariance.par_chunks_exact_mut(width.max(1)).enumerate().for_each(|(column, own)| {
        for index in rows {
            let row = points.row(*index as usize);
            let centred = (f64::from(at(row, column)) - at(&means, column)) / count;
            for ((sum, value), mean) in own.iter_mut().zip(row).zip(&means).take(column + 1) {
                *sum += centred * (f64::from(*value) - mean);
            }
        }
    });
    let trace: f64 = (0..width).map(|index| at(&covariance, index * width + index)).sum();
    for index in 0..width {
        crate::at::add(&mut covariance, index * width + index, 1e-6 * trace / width.max(1) as f64 + 1e-12);
    }
    cholesky(&mut covariance, width).then_some((means, covariance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knn::{anchors, neighbours};
    use crate::random::Random;
    use crate::testing::quiet;

    fn marked(points: &Matrix) -> Marks {
        let anchors = anchors(points.rows(), 1);
        let found = quiet(|watch| neighbours(points, &anchors, watch)).unwrap();
        quiet(|watch| marks(points, &found, &anchors, 1, watch)).unwrap()
    }

    #[test]
    fn a_row_far_away_and_one_off_the_axis_are_marked_first() {
        let mut random = Random::new(1, 1);
        let mut values: Vec<f32> = (0..500)
            .flat_map(|_| {
                let along = random.normal();
                [along, along + 0.05 * random.normal()]
            })
            .collect();
        values.extend([9.0, 9.0, 1.0, -1.0]);
        let marks = marked(&Matrix::new(2, values).unwrap());
        let mut first: Vec<u32> = ranking(&marks.fused).into_iter().take(2).collect();
        first.sort_unstable();
        assert_eq!(first, [500, 501]);
        assert!(marks.beyond[500] && marks.beyond[501]);
    }

    #[test]
    fn ordinary_rows_are_not_beyond_the_fences() {
        let mut random = Random::new(2, 2);
        let points = Matrix::new(5, (0..10_000).map(|_| random.normal()).collect()).unwrap();
        let marks = marked(&points);
        assert!(marks.beyond.iter().filter(|beyond| **beyond).count() <= 4);
    }

    #[test]
    fn a_group_that_lies_apart_does_not_hide_its_rows() {
        let mut random = Random::new(3, 3);
        let mut values: Vec<f32> = (0..1_000 * 4).map(|_| random.normal()).collect();
        values.extend((0..60).flat_map(|_| [4.0_f32, -4.0, 4.0, -4.0]).map(|centre| centre + 0.1 * random.normal()));
        let marks = marked(&Matrix::new(4, values).unwrap());
        assert!(marks.grouped[1_000..].iter().chain(&marks.beyond[1_000..]).all(|marked| *marked));
        assert!(marks.grouped[..1_000].iter().all(|grouped| !grouped) && marks.far_alone <= 2);
    }

    #[test]
    fn equal_rows_have_finite_marks() {
        let marks = marked(&Matrix::zeros(100, 3));
        assert!(marks.fused.iter().all(|mark| mark.is_finite()));
    }
}
