//! A certificate: how many rows somebody may add, take away or change without turning the answers of a vote.
//!
//! Source: Levine and Feizi 2021 (deep partition aggregation, theorem 1). The rows are dealt to partitions by a hash of what
//! they hold, and each partition's model votes. A row reaches one partition alone, so each added or removed row turns at
//! most one vote. The certificate is of this vote of simple models; of a model that learns from all rows it says nothing.
//!
//! INVARIANT: nothing that a partition's model sees or does depends on rows of other partitions, else one row could turn many
//! votes. So columns are scaled within partitions, and long rows are shortened by fixed hashes, never by what all rows show.
//! Held by `tests::added_rows_turn_no_more_votes_than_there_are_rows`.

use rayon::prelude::*;

use crate::PoisonError;
use crate::algebra::{Left, Right, cholesky, dot, product, solve};
use crate::at::{add, argmax, at, put, row, row_mut};
use crate::duplicates::row_hash;
use crate::input::{ColumnKind, Images, Input};
use crate::random::mix;
use crate::table::Matrix;
use crate::watch::Watch;
use crate::words::TOKEN_COUNT;

/// Numbers of partitions to choose from, and rows that a partition needs on average, for each class too.
const PARTITION_COUNTS: [usize; 7] = [1_000, 500, 200, 100, 50, 20, 10];
const PARTITION_ROW_COUNT_MIN: usize = 50;
const CLASS_ROW_COUNT_MIN: usize = 10;
/// Numbers of a row that the models see; more are hashed or averaged to so many.
const WIDTH_MAX: usize = 128;
/// Numbers that a category is hashed to.
const CATEGORY_WIDTH: usize = 8;
/// One row in so many is tested instead of learnt, up to the greatest count.
const TESTED_PART: u64 = 10;
const TESTED_COUNT_MAX: usize = 1_000;
/// Classes, so that the votes stay cheap.
const CLASS_COUNT_MAX: usize = 100;
/// Numbers of added or removed rows that are told.
const ROW_COUNTS: [u64; 9] = [1, 2, 5, 10, 20, 50, 100, 200, 400];

/// What the vote stands.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Certificate {
    /// Models that vote, each of a part of the rows.
    pub partitions: u64,
    /// Rows that no model has learnt from, by which it is judged.
    pub tested: u64,
    /// The share of them that the vote answers as they are labelled, 0 to 1.
    pub accuracy: f64,
    /// So many rows may be added or removed and half of the tested rows' right answers still stand. A changed label counts as
    /// one, a row changed otherwise as two.
    pub median_rows: u64,
    /// The share of the tested rows whose right answer stands so many.
    pub certified: Vec<Certified>,
}

/// One point of the certificate.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Certified {
    /// Rows that are added or removed, whichever they are.
    pub rows: u64,
    /// The share of the tested rows that is still answered right, 0 to 1.
    pub accuracy: f64,
}

/// A row's hash and number.
type Dealt = (u64, u32);

/// Makes the certificate; nothing where there are too few rows, or too many classes.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn certificate(input: &Input, labels: &[u32], watch: &Watch<'_>) -> Result<Option<Certificate>, PoisonError> {
    let classes = input.classes();
    let needed = PARTITION_ROW_COUNT_MIN.max(CLASS_ROW_COUNT_MIN * classes);
    let count = PARTITION_COUNTS.into_iter().find(|count| count * needed <= labels.len());
    let Some(count) = count.filter(|_| classes <= CLASS_COUNT_MAX) else { return Ok(None) };
    let points = fixed_points(input);
    if points.columns() == 0 {
        return Ok(None);
    }
    let (mut parts, mut tested) = deal(input, labels.len(), count);
    // By hash too: which rows are tested is no choice of whoever orders the data.
    tested.sort_unstable();
    let tested: Vec<u32> = tested.into_iter().take(TESTED_COUNT_MAX).map(|(_, index)| index).collect();
    let asked = points.chosen(&tested);
    let mut votes = vec![0_u32; tested.len() * classes];
    for group in parts.chunks_mut(64) {
        watch.check()?;
        let answers: Vec<Vec<usize>> = group.par_iter_mut().map(|part| answers(&points, labels, classes, part, &asked)).collect();
        for (index, class) in answers.iter().flat_map(|answers| answers.iter().enumerate()) {
            add(&mut votes, index * classes + class, 1);
        }
    }
    let truth: Vec<usize> = tested.iter().map(|index| at(labels, *index as usize) as usize).collect();
    Ok(Some(judged(count, classes, &votes, &truth)))
}

/// Each part's rows with their hashes, and those that are tested.
fn deal(input: &Input, rows: usize, count: usize) -> (Vec<Vec<Dealt>>, Vec<Dealt>) {
    let hashes: Vec<u64> = (0..rows).into_par_iter().map(|index| mix(row_hash(input, index))).collect();
    let (mut parts, mut tested) = (vec![Vec::new(); count], Vec::new());
    for (index, hash) in hashes.into_iter().enumerate() {
        let own = (hash, u32::try_from(index).unwrap_or(u32::MAX));
        if hash % TESTED_PART == 0 {
            tested.push(own);
        } else if let Some(part) = parts.get_mut(((hash / TESTED_PART) % count as u64) as usize) {
            part.push(own);
        }
    }
    (parts, tested)
}

/// What one part's model answers for the rows asked about.
fn answers(points: &Matrix, labels: &[u32], classes: usize, part: &mut [Dealt], asked: &Matrix) -> Vec<usize> {
    // In an order that other rows do not change.
    part.sort_unstable();
    let rows: Vec<u32> = part.iter().map(|(_, index)| *index).collect();
    let Some((weights, offsets)) = learn(points, labels, classes, &rows) else { return vec![0; asked.rows()] };
    let mut scores = vec![0.0; asked.rows() * classes];
    let shape = (asked.rows(), points.columns(), classes);
    product(shape, (asked.values(), Left::Plain), (&weights, Right::Plain), &mut scores, (0.0, 1.0));
    let answer = |own: &[f32]| argmax(&own.iter().zip(&offsets).map(|(score, offset)| score + offset).collect::<Vec<f32>>());
    scores.chunks_exact(classes.max(1)).map(answer).collect()
}

/// Linear discriminants of a part's rows: `columns × classes` weights and an offset a class. Scaled and shrunk by what the
/// part itself holds (Friedman 1989), since most parts have fewer rows than columns.
fn learn(points: &Matrix, labels: &[u32], classes: usize, rows: &[u32]) -> Option<(Vec<f32>, Vec<f32>)> {
    let width = points.columns();
    let total = rows.len() as f64;
    let (mut means, mut counts) = (vec![0.0_f64; classes * width], vec![0.0_f64; classes]);
    let (mut all, mut squares) = (vec![0.0_f64; width], vec![0.0_f64; width]);
    for index in rows {
        let class = at(labels, *index as usize) as usize;
        add(&mut counts, class, 1.0);
        let own = row_mut(&mut means, width, class);
        for (((mean, all), square), value) in own.iter_mut().zip(&mut all).zip(&mut squares).zip(points.row(*index as usize)) {
            *mean += f64::from(*value);
            *all += f64::from(*value) / total;
            *square += f64::from(*value).powi(2) / total;
        }
    }
    let scale = |(all, square): (&f64, &f64)| {
        let variance = square - all * all;
        if variance > 1e-12 * square.max(1e-300) { variance.sqrt().recip() } else { 0.0 }
    };
    let scales: Vec<f64> = all.iter().zip(&squares).map(scale).collect();
    for (own, count) in means.chunks_exact_mut(width).zip(&counts) {
        for ((mean, all), scale) in own.iter_mut().zip(&all).zip(&scales) {
            *mean = (*mean / count.max(1.0) - all) * scale;
        }
    }
    let mut within = vec![0.0_f64; width * width];
    let mut centred = vec![0.0_f64; width];
    for index in rows {
        let own = row(&means, width, at(labels, *index as usize) as usize);
        for (place, value) in points.row(*index as usize).iter().enumerate() {
            put(&mut centred, place, (f64::from(*value) - at(&all, place)) * at(&scales, place) - at(own, place));
        }
        for (place, sums) in within.chunks_exact_mut(width).enumerate() {
            let weight = at(&centred, place) / total;
            sums.iter_mut().zip(&centred).take(place + 1).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    let shrunk = (width as f64 / (width as f64 + total)).clamp(0.05, 0.95);
    let level = (0..width).map(|place| at(&within, place * width + place)).sum::<f64>() / width as f64 + 1e-9;
    within.iter_mut().for_each(|value| *value *= 1.0 - shrunk);
    (0..width).for_each(|place| add(&mut within, place * width + place, shrunk * level));
    if !cholesky(&mut within, width) {
        return None;
    }
    let (mut weights, mut offsets) = (vec![0.0; width * classes], vec![f32::NEG_INFINITY; classes]);
    for (class, (own, count)) in means.chunks_exact(width).zip(&counts).enumerate().filter(|(_, (_, count))| **count > 0.0) {
        let mut solved = own.to_vec();
        solve(&within, width, &mut solved);
        let mut offset = (count / total).ln() - 0.5 * dot(&solved, own);
        for (place, value) in solved.iter().enumerate() {
            // Back to the columns as they are, so that rows can be asked about without being scaled.
            let weight = value * at(&scales, place);
            offset -= weight * at(&all, place);
            put(&mut weights, place * classes + class, weight as f32);
        }
        put(&mut offsets, class, offset as f32);
    }
    Some((weights, offsets))
}

fn judged(partitions: usize, classes: usize, votes: &[u32], truth: &[usize]) -> Certificate {
    // How many rows each right answer stands; nothing where it is wrong to begin with.
    let stands: Vec<Option<u64>> =
        votes.chunks_exact(classes.max(1)).zip(truth).map(|(votes, truth)| stands(votes, *truth)).collect();
    let share =
        |rows: u64| stands.iter().filter(|own| own.is_some_and(|own| own >= rows)).count() as f64 / truth.len().max(1) as f64;
    let mut right: Vec<u64> = stands.iter().copied().flatten().collect();
    right.sort_unstable_by(|left, right| right.cmp(left));
    Certificate {
        partitions: partitions as u64,
        tested: truth.len() as u64,
        accuracy: share(0),
        median_rows: right.len().checked_sub(1).map_or(0, |last| at(&right, last / 2)),
        certified: ROW_COUNTS
            .into_iter()
            .filter(|rows| *rows <= partitions as u64 / 2)
            .map(|rows| Certified { rows, accuracy: share(rows) })
            .collect(),
    }
}

/// How many turned votes leave the right class ahead: each takes one vote from it and gives one to another. Equal votes are
/// won by the class of the lower number.
fn stands(votes: &[u32], truth: usize) -> Option<u64> {
    let own = at(votes, truth);
    let others = votes.iter().enumerate().filter(|(class, _)| *class != truth);
    let nearest = others.map(|(class, count)| count + u32::from(class < truth)).max().unwrap_or(0);
    own.checked_sub(nearest).map(|ahead| u64::from(ahead / 2))
}

/// Rows as numbers, each row's from itself alone.
fn fixed_points(input: &Input) -> Matrix {
    let rows = input.rows();
    let parts: Vec<Matrix> = [feature_points(input), input.images.as_ref().map(image_points), hashed_points(input)]
        .into_iter()
        .flatten()
        .filter(|part| part.columns() > 0)
        .collect();
    let width = parts.iter().map(Matrix::columns).sum();
    let values = (0..rows).flat_map(|index| parts.iter().flat_map(move |part| part.row(index).iter().copied())).collect();
    Matrix::new(width, values).unwrap_or_default()
}

/// Numbers as they are, missing ones 0; categories hashed by name. Of many columns some, evenly apart.
fn feature_points(input: &Input) -> Option<Matrix> {
    let columns = input.features.values.columns();
    if columns == 0 {
        return None;
    }
    let hash = |name: &str| (name.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte))) % CATEGORY_WIDTH as u64) as usize;
    let hashed: Vec<Option<Vec<usize>>> = (input.features.columns.iter())
        .map(|column| match &column.kind {
            ColumnKind::Number => None,
            ColumnKind::Category(names) => Some(names.iter().map(|name| hash(name)).collect()),
        })
        .collect();
    let width_of = |column: usize| if hashed.get(column).is_some_and(Option::is_some) { CATEGORY_WIDTH } else { 1 };
    let all: usize = (0..columns).map(width_of).sum();
    let chosen: Vec<usize> = (0..columns).step_by(all.div_ceil(WIDTH_MAX).max(1)).collect();
    let width = chosen.iter().map(|column| width_of(*column)).sum();
    let mut out = Matrix::zeros(input.rows(), width);
    out.par_rows_mut().enumerate().for_each(|(index, own)| {
        let values = input.features.values.row(index);
        let mut from = 0;
        for column in &chosen {
            let value = at(values, *column);
            match hashed.get(*column).and_then(Option::as_ref) {
                None => put(own, from, if value.is_finite() { value } else { 0.0 }),
                Some(places) => put(own, from + at(places, value.max(0.0) as usize), 1.0),
            }
            from += width_of(*column);
        }
    });
    Some(out)
}

/// Images averaged down to few cells.
fn image_points(images: &Images) -> Matrix {
    let (width, height, channels) = (images.width, images.height, images.channels);
    let step = (1..).find(|step| width.div_ceil(*step) * height.div_ceil(*step) * channels <= WIDTH_MAX).unwrap_or(1);
    let columns = width.div_ceil(step);
    let mut out = Matrix::zeros(images.rows(), columns * height.div_ceil(step) * channels);
    out.par_rows_mut().enumerate().for_each(|(index, own)| {
        for (place, value) in images.image(index).iter().enumerate() {
            let (channel, pixel) = (place % channels, place / channels);
            let (x, y) = (pixel % width / step, pixel / width / step);
            add(own, (y * columns + x) * channels + channel, f32::from(*value));
        }
    });
    out
}

/// Texts and embeddings, each token or value added to a fixed place with a fixed sign (Weinberger et al. 2009).
fn hashed_points(input: &Input) -> Option<Matrix> {
    if input.texts.is_none() && input.embeddings.is_none() {
        return None;
    }
    let mut out = Matrix::zeros(input.rows(), WIDTH_MAX);
    out.par_rows_mut().enumerate().for_each(|(index, own)| {
        let mut note = |what: u64, value: f32| {
            let hash = mix(what);
            add(own, (hash >> 1) as usize % WIDTH_MAX, if hash & 1 == 1 { value } else { -value });
        };
        if let Some(texts) = &input.texts {
            let words = texts.words.row(index).filter(|(token, _)| *token < TOKEN_COUNT);
            words.for_each(|(token, count)| note(token as u64, 1.0 + count.max(1.0).ln()));
        }
        if let Some(embeddings) = &input.embeddings {
            let values = embeddings.row(index).iter().enumerate();
            values.for_each(|(place, value)| note(1 << 40 | place as u64, if value.is_finite() { *value } else { 0.0 }));
        }
    });
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Column, Features, Groups};
    use crate::random::Random;
    use crate::testing::{quiet, stopped, two_classes};

    fn input(rows: usize, apart: f32) -> Input {
        let (values, of_rows) = two_classes(rows, 4, apart, 7);
        let columns = (0..4).map(|place| Column { name: place.to_string(), kind: ColumnKind::Number }).collect();
        let labels = Groups { of_rows, names: vec!["no".to_owned(), "yes".to_owned()] };
        Input { features: Features { columns, values }, labels: Some(labels), ..Input::default() }
    }

    fn check(input: &Input) -> Option<Certificate> {
        let labels = input.labels.as_ref().unwrap().of_rows.clone();
        quiet(|watch| certificate(input, &labels, watch)).unwrap()
    }

    #[test]
    fn far_classes_are_certified_far_and_near_ones_less() {
        let (far, near) = (check(&input(6_000, 6.0)).unwrap(), check(&input(6_000, 1.0)).unwrap());
        assert_eq!((far.partitions, far.certified.len()), (100, 6));
        assert!((450..750).contains(&far.tested), "{}", far.tested);
        assert!(far.accuracy > 0.99 && far.median_rows >= 45, "{far:?}");
        assert!(near.accuracy < far.accuracy && near.median_rows < far.median_rows, "{near:?}");
        assert!(far.certified.windows(2).all(|pair| pair[0].accuracy >= pair[1].accuracy));
        assert_eq!(check(&input(400, 6.0)), None);
    }

    #[test]
    fn equal_votes_and_wrong_answers_are_counted_as_the_theorem_does() {
        assert_eq!(stands(&[10, 4], 0), Some(3));
        assert_eq!(stands(&[4, 10], 1), Some(2));
        assert_eq!((stands(&[5, 5], 0), stands(&[5, 5], 1), stands(&[6, 2], 1)), (Some(0), None, None));
    }

    #[test]
    fn added_rows_turn_no_more_votes_than_there_are_rows() {
        // Wild rows, which would bend any scale that is taken over all rows.
        let clean = input(3_000, 2.0);
        let mut poisoned = clean.clone();
        let mut random = Random::new(1, 1);
        let mut values = poisoned.features.values.values().to_vec();
        for _ in 0..15 {
            values.extend((0..4).map(|_| 1e6 * random.normal()));
            poisoned.labels.as_mut().unwrap().of_rows.push(0);
        }
        poisoned.features.values = Matrix::new(4, values).unwrap();
        let points = |input: &Input| (fixed_points(input), input.labels.as_ref().unwrap().of_rows.clone());
        let ((before, old), (after, new)) = (points(&clean), points(&poisoned));
        let (mut parts, mut changed) = (deal(&clean, 3_000, 50).0, deal(&poisoned, 3_015, 50).0);
        let asked = before.chosen(&(0..200).collect::<Vec<u32>>());
        let told = |points: &Matrix, labels: &[u32], parts: &mut [Vec<Dealt>]| -> Vec<Vec<usize>> {
            parts.iter_mut().map(|part| answers(points, labels, 2, part, &asked)).collect()
        };
        let (first, second) = (told(&before, &old, &mut parts), told(&after, &new, &mut changed));
        let turned = first.iter().zip(&second).filter(|(one, other)| one != other).count();
        assert!((1..=15).contains(&turned), "{turned}");
    }

    #[test]
    fn every_part_of_the_input_is_seen_and_it_stops_when_asked() {
        let mut input = input(1_000, 0.0);
        let of_rows = input.labels.as_ref().unwrap().of_rows.clone();
        input.images = Some(Images {
            width: 20,
            height: 10,
            channels: 1,
            pixels: of_rows.iter().flat_map(|label| vec![u8::try_from(label * 100).unwrap(); 200]).collect(),
        });
        assert_eq!(fixed_points(&input).columns(), 4 + 50);
        assert!(check(&input).unwrap().accuracy > 0.99);
        assert!(stopped(|watch| certificate(&input, &of_rows, watch).map(|_| ())).is_err());
    }
}
