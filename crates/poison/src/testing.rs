//! What the tests of this crate share.

use std::sync::atomic::AtomicBool;

use crate::random::Random;
use crate::table::Matrix;
use crate::watch::Watch;

/// Runs with a watch that nobody looks at.
pub(crate) fn quiet<T>(run: impl FnOnce(&Watch<'_>) -> T) -> T {
    let stop = AtomicBool::new(false);
    run(&Watch::new(&stop, &|_| {}))
}

/// Runs with a watch that has already said stop.
pub(crate) fn stopped<T>(run: impl FnOnce(&Watch<'_>) -> T) -> T {
    let stop = AtomicBool::new(true);
    run(&Watch::new(&stop, &|_| {}))
}

/// Two Gaussian classes whose means are `apart`, alternating, in `width` columns.
pub(crate) fn two_classes(rows: usize, width: usize, apart: f32, seed: u64) -> (Matrix, Vec<u32>) {
    let mut random = Random::new(seed, 0x7465_7374);
    let labels: Vec<u32> = (0..rows).map(|index| u32::try_from(index % 2).unwrap()).collect();
    let shift = apart / (width as f32).sqrt();
    let values =
        labels.iter().flat_map(|label| (0..width).map(|_| *label as f32 * shift).collect::<Vec<f32>>()).collect::<Vec<f32>>();
    let values = values.into_iter().map(|mean| mean + random.normal()).collect();
    (Matrix::new(width, values).unwrap(), labels)
}

/// An input of texts alone, each given by its tokens.
pub(crate) fn texts(width: usize, rows: Vec<Vec<u32>>) -> crate::Input {
    let mut words = crate::Tokens::new(width);
    rows.into_iter().for_each(|row| words.push(row.into_iter().map(|token| (token, 1.0))));
    crate::Input { texts: Some(crate::Texts { words, names: Vec::new() }), ..crate::Input::default() }
}
