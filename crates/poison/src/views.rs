//! The input as the members want it: centred points of few dimensions, binned columns, sparse tokens.

use rayon::prelude::*;

use crate::algebra::{directions_of_tokens, multiply, principal_directions};
use crate::at::at;
use crate::bins::Bins;
use crate::input::{ColumnKind, Features, Images, Input, Texts};
use crate::table::{Matrix, Tokens};
use crate::words::TOKEN_COUNT;

/// Directions that many columns, texts or images are projected to.
pub(crate) const DIRECTION_COUNT: usize = 64;
/// Points of more columns than this are projected.
const COLUMN_COUNT_MAX: usize = 128;
/// Categories of a column that become columns of points; the others lie at the mean.
const CATEGORY_COUNT_MAX: usize = 32;
/// Values of one image that trees look at; larger images are averaged down.
const PIXEL_COUNT_MAX: usize = 4_096;

/// All views of one input.
pub(crate) struct Views {
    /// Centred points for distances and kernels.
    pub(crate) points: Matrix,
    /// Columns for trees.
    pub(crate) bins: Bins,
    /// Weighted tokens for the linear member.
    pub(crate) tokens: Option<Tokens>,
    /// The same of single words alone, where there are pairs of words too: short texts share few pairs.
    pub(crate) words: Option<Tokens>,
    /// Whether columns of a table are all there is to see.
    pub(crate) tabular: bool,
    /// Whether there is more to see than texts.
    pub(crate) beside_texts: bool,
}

/// Builds the views. `left_out` names columns of the features (or values of the images) that are not to be seen.
pub(crate) fn views(input: &Input, left_out: &[usize], seed: u64) -> Views {
    let mut points: Vec<Matrix> = Vec::new();
    let mut columns: Vec<Matrix> = Vec::new();
    if input.features.values.columns() > 0 {
        points.push(projected(tabular_points(&input.features, left_out), seed));
        columns.push(without(&input.features.values, left_out));
    }
    if let Some(images) = &input.images {
        let pixels = pixels(images, left_out);
        points.push(projected(centred(pixels.clone()), seed));
        columns.push(pixels);
    }
    let tokens = input.texts.as_ref().map(|texts| weighted(&texts.words, |_| true));
    let is_pair = |texts: &Texts, token| texts.names.get(token).is_some_and(|name: &String| name.contains(' '));
    let with_pairs = input.texts.as_ref().filter(|texts| (0..texts.names.len()).any(|token| is_pair(texts, token)));
    let words = with_pairs.map(|texts| weighted(&texts.words, |token| !is_pair(texts, token)));
    if let Some(texts) = &input.texts {
        let directions = text_points(&weighted(&texts.words, |token| token < TOKEN_COUNT), seed);
        columns.push(directions.clone());
        points.push(directions);
    }
    if let Some(embeddings) = &input.embeddings {
        let projected = projected(centred(finite(embeddings.clone())), seed);
        columns.push(projected.clone());
        points.push(projected);
    }
    let tabular = columns.len() == 1 && input.features.values.columns() > 0;
    Views {
        tabular,
        beside_texts: tokens.is_none() || columns.len() > 1,
        points: beside(points.into_iter().map(levelled).collect()),
        bins: Bins::fine(&beside(columns), seed),
        tokens,
        words,
    }
}

/// Standardised numbers, and indicator columns of categories.
fn tabular_points(features: &Features, left_out: &[usize]) -> Matrix {
    let table = &features.values;
    let parts: Vec<Vec<Vec<f32>>> = (0..table.columns())
        .into_par_iter()
        .filter(|column| !left_out.contains(column))
        .map(|column| {
            let values: Vec<f32> = table.iter().map(|row| at(row, column)).collect();
            match features.columns.get(column).map(|column| &column.kind) {
                Some(ColumnKind::Category(names)) => indicators(&values, names.len()),
                _ => vec![standardised(&values)],
            }
        })
        .collect();
    let columns: Vec<Vec<f32>> = parts.into_iter().flatten().collect();
    let width = columns.len();
    let mut values = vec![0.0; table.rows() * width];
    values.par_chunks_exact_mut(width.max(1)).enumerate().for_each(|(index, row)| {
        row.iter_mut().zip(&columns).for_each(|(value, column)| *value = at(column, index));
    });
    Matrix::new(width, values).unwrap_or_default()
}

fn indicators(codes: &[f32], categories: usize) -> Vec<Vec<f32>> {
    const SCALE: f32 = 0.8;
    let share = |code: f32| codes.iter().filter(|other| **other == code).count() as f32 / codes.len().max(1) as f32;
    let columns = (0..categories.min(CATEGORY_COUNT_MAX)).map(|category| {
        let code = category as f32;
        let mean = share(code);
        codes.iter().map(|other| SCALE * (f32::from(u8::from(*other == code)) - mean)).collect()
    });
    columns.collect()
}

/// Mean 0 and variance 1; what is missing or infinite lies at the mean.
fn standardised(values: &[f32]) -> Vec<f32> {
    let known = || values.iter().copied().filter(|value| value.is_finite());
    let count = known().count().max(1) as f64;
    let mean = known().map(f64::from).sum::<f64>() / count;
    let variance = known().map(|value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    let scale = if variance > 0.0 { 1.0 / variance.sqrt() } else { 0.0 };
    let scaled = |value: &f32| if value.is_finite() { ((f64::from(*value) - mean) * scale) as f32 } else { 0.0 };
    values.iter().map(scaled).collect()
}

fn without(table: &Matrix, left_out: &[usize]) -> Matrix {
    if left_out.is_empty() {
        return table.clone();
    }
    let kept: Vec<usize> = (0..table.columns()).filter(|column| !left_out.contains(column)).collect();
    table.columns_chosen(&kept)
}

fn finite(mut table: Matrix) -> Matrix {
    table.values_mut().iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = 0.0);
    table
}

fn pixels(images: &Images, left_out: &[usize]) -> Matrix {
    let (width, height, channels) = (images.width, images.height, images.channels);
    let step = (1..).find(|step| (width / step) * (height / step) * channels <= PIXEL_COUNT_MAX).unwrap_or(1);
    let kept: Vec<usize> = (0..images.image_len()).filter(|value| !left_out.contains(value)).collect();
    if step == 1 && left_out.is_empty() {
        let values = images.pixels.iter().map(|pixel| f32::from(*pixel));
        return Matrix::new(images.image_len(), values.collect()).unwrap_or_default();
    }
    if step == 1 {
        let values = (0..images.rows()).flat_map(|index| {
            let image = images.image(index);
            kept.iter().map(|value| f32::from(at(image, *value)))
        });
        return Matrix::new(kept.len(), values.collect()).unwrap_or_default();
    }
    let (columns, rows) = (width / step, height / step);
    let mut out = Matrix::zeros(images.rows(), columns * rows * channels);
    out.par_rows_mut().enumerate().for_each(|(index, own)| {
        let image = images.image(index);
        for (place, value) in own.iter_mut().enumerate() {
            let (channel, cell) = (place % channels, place / channels);
            let (left, top) = ((cell % columns) * step, (cell / columns) * step);
            let inside = (0..step * step).map(|pixel| ((top + pixel / step) * width + left + pixel % step) * channels + channel);
            let sum: u32 = inside.filter(|value| !left_out.contains(value)).map(|value| u32::from(at(image, value))).sum();
            *value = sum as f32 / (step * step) as f32;
        }
    });
    out
}

/// Term frequency, dampened, times inverse document frequency; rows of length 1. A token of one row says nothing of others.
/// Those that are seen are numbered anew: most of all possible tokens are in no row.
fn weighted(words: &Tokens, seen: impl Fn(usize) -> bool) -> Tokens {
    let mut frequencies = vec![0_u32; words.width()];
    for index in 0..words.rows() {
        for token in words.tokens(index) {
            crate::at::add(&mut frequencies, *token as usize, 1);
        }
    }
    let kept: Vec<usize> = (0..words.width()).filter(|token| at(&frequencies, *token) > 1 && seen(*token)).collect();
    let mut numbers = vec![u32::MAX; words.width()];
    for (number, token) in kept.iter().enumerate() {
        crate::at::put(&mut numbers, *token, u32::try_from(number).unwrap_or(u32::MAX));
    }
    let rows = words.rows() as f32;
    let mut weighted = Tokens::new(kept.len());
    for index in 0..words.rows() {
        // What is not kept has no number below the width, and is left out.
        weighted.push(words.row(index).map(|(token, count)| (at(&numbers, token), 1.0 + count.max(1.0).ln())));
    }
    let frequency = |number: usize| at(&frequencies, at(&kept, number));
    weighted.weigh(|number| 1.0 + ((1.0 + rows) / (1.0 + frequency(number) as f32)).ln());
    weighted
}

/// Latent semantic directions of texts, each row of length 1.
fn text_points(tokens: &Tokens, seed: u64) -> Matrix {
    let directions = directions_of_tokens(tokens, DIRECTION_COUNT, seed);
    let count = DIRECTION_COUNT;
    let mut points = Matrix::zeros(tokens.rows(), count);
    points.par_rows_mut().enumerate().for_each(|(index, own)| {
        for (token, weight) in tokens.row(index) {
            let direction = crate::at::row(&directions, count, token);
            own.iter_mut().zip(direction).for_each(|(value, along)| *value += weight * along);
        }
        let length = own.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            own.iter_mut().for_each(|value| *value /= length);
        }
    });
    centred(points)
}

fn centred(mut table: Matrix) -> Matrix {
    let rows = table.rows().max(1) as f64;
    let mut means = vec![0.0_f64; table.columns()];
    for row in table.iter() {
        means.iter_mut().zip(row).for_each(|(mean, value)| *mean += f64::from(*value) / rows);
    }
    table.par_rows_mut().for_each(|row| {
        row.iter_mut().zip(&means).for_each(|(value, mean)| *value -= *mean as f32);
    });
    table
}

fn projected(table: Matrix, seed: u64) -> Matrix {
    let width = table.columns();
    if width <= COLUMN_COUNT_MAX {
        return table;
    }
    let directions = principal_directions(table.values(), width, DIRECTION_COUNT, seed);
    Matrix::new(DIRECTION_COUNT, multiply(table.values(), width, &directions, DIRECTION_COUNT)).unwrap_or_default()
}

/// Scaled to a total variance of its column count, so that no part of the input drowns the others.
fn levelled(mut table: Matrix) -> Matrix {
    let squares: f64 = table.values().iter().map(|value| f64::from(*value).powi(2)).sum();
    if squares > 0.0 {
        let scale = (table.values().len() as f64 / squares).sqrt() as f32;
        table.values_mut().iter_mut().for_each(|value| *value *= scale);
    }
    table
}

/// Tables of the same rows, side by side.
fn beside(mut tables: Vec<Matrix>) -> Matrix {
    if tables.len() <= 1 {
        return tables.pop().unwrap_or_default();
    }
    let width = tables.iter().map(Matrix::columns).sum();
    let rows = tables.iter().map(Matrix::rows).max().unwrap_or(0);
    let values = (0..rows).flat_map(|index| tables.iter().flat_map(move |table| table.row(index).iter().copied())).collect();
    Matrix::new(width, values).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Column;
    use crate::random::Random;

    fn mixed() -> Input {
        let columns = vec![
            Column { name: "size".to_owned(), kind: ColumnKind::Number },
            Column { name: "kind".to_owned(), kind: ColumnKind::Category(vec!["a".to_owned(), "b".to_owned()]) },
        ];
        let values = Matrix::new(2, vec![1.0, 0.0, f32::NAN, 1.0, 3.0, 1.0, f32::INFINITY, 0.0]).unwrap();
        Input { features: Features { columns, values }, ..Input::default() }
    }

    #[test]
    fn numbers_are_standardised_and_categories_become_columns() {
        let views = views(&mixed(), &[], 1);
        assert_eq!(views.points.columns(), 3);
        assert!(views.points.values().iter().all(|value| value.is_finite()));
        assert!(views.tabular && views.bins.columns() == 2);
        let variance: f32 = views.points.values().iter().map(|value| value * value).sum::<f32>() / 12.0;
        assert!((variance - 1.0).abs() < 1e-4, "{variance}");
    }

    #[test]
    fn columns_left_out_are_not_seen() {
        let views = views(&mixed(), &[0], 1);
        assert_eq!((views.points.columns(), views.bins.columns()), (2, 1));
    }

    #[test]
    fn images_are_projected_and_large_ones_averaged() {
        let mut random = Random::new(3, 3);
        let images = |width: usize, height: usize| Images {
            width,
            height,
            channels: 1,
            pixels: (0..30 * width * height).map(|_| u8::try_from(random.below(256)).unwrap()).collect(),
        };
        let mut images = images;
        let small = Input { images: Some(images(16, 16)), ..Input::default() };
        assert_eq!(views(&small, &[], 1).points.columns(), DIRECTION_COUNT);
        let large = Input { images: Some(images(130, 66)), ..Input::default() };
        assert_eq!(views(&large, &[], 1).bins.columns(), 65 * 33);
    }

    #[test]
    fn words_of_one_row_are_not_seen_and_pairs_can_be_left_out() {
        let mut reader = crate::TextReader::default();
        ["a b once", "a b", "b a twice", "twice"].into_iter().for_each(|text| reader.push(text));
        let views = views(&Input { texts: Some(reader.finish().0), ..Input::default() }, &[], 1);
        let counts = |tokens: &Option<Tokens>| {
            let tokens = tokens.as_ref().unwrap();
            (0..4).map(|row| tokens.tokens(row).len()).collect::<Vec<_>>()
        };
        // `a`, `b` and `a b` are in two rows or more, `twice` too; `b once`, `b a` and `a twice` are not.
        assert_eq!((counts(&views.tokens), counts(&views.words)), (vec![3, 3, 3, 1], vec![2, 2, 3, 1]));
    }
}
