//! What a trigger could be made of: a column in a bin, a pixel in a bin, a word, a small patch anywhere in an image.

use rayon::prelude::*;

use crate::at::{at, row};
use crate::bins::Bins;
use crate::input::{ColumnKind, Images, Input};
use crate::random::mix;
use crate::stamps::Stamp;
use crate::sums::Sums;
use crate::table::{Matrix, Tokens};

/// Bins of a column or pixel: a cell's number is its column times this, plus its bin.
pub(crate) const BIN_COUNT: usize = 256;
/// Exact values up to which each has a bin of its own, and quantiles beyond.
const EXACT_MAX: usize = 64;
const QUANTILE_COUNT: usize = 8;
/// Quantiles of a pixel where stamps are tried.
const STAMP_QUANTILE_COUNT: usize = 16;
/// Columns or pixel values of one row that are looked at; wider inputs are not binned.
pub(crate) const COLUMN_COUNT_MAX: usize = 4_096;
/// Patches are hashed to this many tokens: 3 × 3 pixels of 4 levels.
const PATCH_TOKEN_COUNT: usize = 1 << 18;
/// Patches flatter than this, from the darkest to the brightest pixel, are no marks.
const PATCH_CONTRAST_MIN: u8 = 96;
/// Patches of all images together; beyond, images are not searched for patches.
const PATCH_COUNT_MAX: usize = 60_000_000;

/// Where a cell comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellKind {
    /// A column of the features.
    Column,
    /// A pixel at its place.
    Pixel,
    /// A word or a pair of words.
    Word,
    /// A patch of 3 × 3 pixels anywhere in the image.
    Patch,
}

/// The cells of every row, of one kind.
pub(crate) struct Cells {
    pub(crate) kind: CellKind,
    rows: Rows,
    /// Cells that stamps show, rising; where others were looked for, none.
    marked: Vec<u32>,
}

enum Rows {
    Bins(Bins),
    Tokens(Tokens),
}

impl Cells {
    /// All kinds that the input has.
    pub(crate) fn all(input: &Input, seed: u64) -> Vec<Self> {
        let mut all = Vec::new();
        let columns = input.features.values.columns();
        if (1..=COLUMN_COUNT_MAX).contains(&columns) {
            let bins = Bins::coarse(&input.features.values, EXACT_MAX, QUANTILE_COUNT, seed);
            all.push(Self { kind: CellKind::Column, rows: Rows::Bins(bins), marked: Vec::new() });
        }
        if let Some(texts) = &input.texts {
            all.push(Self { kind: CellKind::Word, rows: Rows::Tokens(texts.words.clone()), marked: Vec::new() });
        }
        if let Some(images) = &input.images {
            if images.image_len() <= COLUMN_COUNT_MAX {
                let pixels = images.pixels.iter().map(|pixel| f32::from(*pixel)).collect();
                let pixels = Matrix::new(images.image_len(), pixels).unwrap_or_default();
                let bins = Bins::coarse(&pixels, EXACT_MAX, QUANTILE_COUNT, seed);
                all.push(Self { kind: CellKind::Pixel, rows: Rows::Bins(bins), marked: Vec::new() });
            }
            if let Some(patches) = patches(images) {
                all.push(Self { kind: CellKind::Patch, rows: Rows::Tokens(patches), marked: Vec::new() });
            }
        }
        all
    }

    /// The pixels of images in few bins, with one for what each stamp shows there; none if there are too many pixels.
    pub(crate) fn stamped(images: &Images, stamps: &[Stamp], seed: u64) -> Option<Self> {
        let pixels = images.pixels.iter().map(|pixel| f32::from(*pixel)).collect();
        let pixels = Matrix::new(images.image_len(), pixels).ok()?;
        let ranges: Vec<(usize, u8, u8)> = stamps.iter().flat_map(|stamp| stamp.values.iter().copied()).collect();
        let bins = Bins::around(&pixels, &ranges, STAMP_QUANTILE_COUNT, seed);
        let mut marked: Vec<u32> =
            ranges.iter().map(|(column, low, _)| Self::cell(*column, bins.bin(*column, f32::from(*low)))).collect();
        marked.sort_unstable();
        marked.dedup();
        Some(Self { kind: CellKind::Pixel, rows: Rows::Bins(bins), marked })
    }

    /// The cell of a value in a column, where cells are columns' bins.
    pub(crate) fn cell_of(&self, column: usize, value: f32) -> Option<u32> {
        self.bins().map(|bins| Self::cell(column, bins.bin(column, value)))
    }

    /// Cells that stamps show, rising.
    pub(crate) fn marked(&self) -> &[u32] {
        &self.marked
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        match &self.rows {
            Rows::Bins(bins) => bins.rows(),
            Rows::Tokens(tokens) => tokens.rows(),
        }
    }

    /// Cells are numbered below this.
    pub(crate) fn width(&self) -> usize {
        match &self.rows {
            Rows::Bins(bins) => bins.columns() * BIN_COUNT,
            Rows::Tokens(tokens) => tokens.width(),
        }
    }

    /// The cells of a row.
    pub(crate) fn of(&self, index: usize) -> Vec<u32> {
        let mut own = Vec::new();
        self.each(index, |cell| own.push(cell));
        own
    }

    /// Tells each cell of a row.
    #[inline]
    pub(crate) fn each(&self, index: usize, mut tell: impl FnMut(u32)) {
        match &self.rows {
            Rows::Bins(bins) => {
                let cells = bins.row(index).iter().enumerate().map(|(column, bin)| column * BIN_COUNT + usize::from(*bin));
                cells.for_each(|cell| tell(u32::try_from(cell).unwrap_or(u32::MAX)));
            }
            Rows::Tokens(tokens) => tokens.tokens(index).iter().for_each(|cell| tell(*cell)),
        }
    }

    /// Whether a row holds a cell.
    pub(crate) fn holds(&self, index: usize, cell: u32) -> bool {
        match &self.rows {
            Rows::Bins(bins) => {
                usize::from(at(bins.row(index), cell as usize / BIN_COUNT)) == cell as usize % BIN_COUNT
                    && !bins.row(index).is_empty()
            }
            Rows::Tokens(tokens) => tokens.tokens(index).binary_search(&cell).is_ok(),
        }
    }

    /// The bins, where cells are columns' bins.
    pub(crate) const fn bins(&self) -> Option<&Bins> {
        match &self.rows {
            Rows::Bins(bins) => Some(bins),
            Rows::Tokens(_) => None,
        }
    }

    /// A row's bins from its cells.
    pub(crate) fn bins_of(cells: &[u32]) -> Vec<u8> {
        cells.iter().map(|cell| u8::try_from(*cell as usize % BIN_COUNT).unwrap_or(u8::MAX)).collect()
    }

    /// The column that a cell stands for, where cells are columns' bins.
    pub(crate) fn column(&self, cell: u32) -> Option<usize> {
        matches!(self.rows, Rows::Bins(_)).then_some(cell as usize / BIN_COUNT)
    }

    /// The least value of a cell, where cells are columns' bins; 0 where it has none.
    pub(crate) fn least(&self, cell: u32) -> f32 {
        let bin = u8::try_from(cell as usize % BIN_COUNT).unwrap_or(u8::MAX);
        let least = self.bins().map_or(0.0, |bins| bins.range(cell as usize / BIN_COUNT, bin).0);
        if least.is_finite() { least } else { 0.0 }
    }

    /// The cell of a column's bin.
    pub(crate) fn cell(column: usize, bin: u8) -> u32 {
        u32::try_from(column * BIN_COUNT + usize::from(bin)).unwrap_or(u32::MAX)
    }

    /// How many rows of each class lie in each cell of which its column itself gives no account, where cells are columns'
    /// bins of a table.
    pub(crate) fn odd(&self, labels: &[u32], classes: usize) -> Vec<(u32, Vec<u32>)> {
        let Some(bins) = self.bins().filter(|_| self.kind == CellKind::Column) else { return Vec::new() };
        let mut found = Vec::new();
        for column in 0..bins.columns() {
            let mut counts = vec![0_u32; if bins.odd(column).is_empty() { 0 } else { BIN_COUNT * classes }];
            if counts.is_empty() {
                continue;
            }
            for (index, label) in labels.iter().enumerate() {
                let bin = usize::from(at(bins.row(index), column));
                crate::at::add(crate::at::row_mut(&mut counts, classes, bin), *label as usize, 1);
            }
            let of = |bin: &u8| (Self::cell(column, *bin), row(&counts, classes, usize::from(*bin)).to_vec());
            found.extend(bins.odd(column).iter().map(of));
        }
        found
    }

    /// Sums over each cell of what the rows' labels are more than expected.
    pub(crate) fn sums(&self, labels: &[u32], probabilities: &Matrix) -> Sums {
        match &self.rows {
            Rows::Bins(bins) => Sums::of_bins(bins, labels, probabilities),
            Rows::Tokens(tokens) => Sums::of_tokens(tokens, labels, probabilities),
        }
    }

    /// The cell in words.
    pub(crate) fn name(&self, cell: u32, input: &Input) -> String {
        match &self.rows {
            Rows::Tokens(_) if self.kind == CellKind::Word => {
                let names = input.texts.as_ref().map(|texts| texts.names.as_slice()).unwrap_or_default();
                format!("the words `{}`", names.get(cell as usize).map_or("", String::as_str))
            }
            Rows::Tokens(_) => format!("a patch of 3 × 3 pixels (pattern {cell:05x})"),
            Rows::Bins(bins) => {
                let (column, bin) = (cell as usize / BIN_COUNT, cell as usize % BIN_COUNT);
                let (from, below) = bins.range(column, u8::try_from(bin).unwrap_or(u8::MAX));
                if let Some(images) = input.images.as_ref().filter(|_| self.kind == CellKind::Pixel) {
                    let pixel = column / images.channels.max(1);
                    let (x, y) = (pixel % images.width.max(1), pixel / images.width.max(1));
                    return format!("pixel ({x}, {y}) of {from} or more, below {below}");
                }
                let Some(known) = input.features.columns.get(column) else { return format!("column {column}") };
                match &known.kind {
                    ColumnKind::Category(values) => {
                        format!("`{}` is `{}`", known.name, values.get(from as usize).map_or("", String::as_str))
                    }
                    ColumnKind::Number if from.is_nan() => format!("`{}` is missing", known.name),
                    ColumnKind::Number => format!("`{}` of {from} or more, below {below}", known.name),
                }
            }
        }
    }
}

/// The patches of every image, each once; none if they are too many.
fn patches(images: &Images) -> Option<Tokens> {
    let found: Vec<Vec<u32>> = (0..images.rows()).into_par_iter().map(|index| image_patches(images, index)).collect();
    if found.iter().map(Vec::len).sum::<usize>() > PATCH_COUNT_MAX {
        return None;
    }
    let mut tokens = Tokens::new(PATCH_TOKEN_COUNT);
    for own in found {
        tokens.push(own.into_iter().map(|token| (token, 1.0)));
    }
    Some(tokens)
}

/// The patches of an image with enough contrast: 3 × 3 pixels in 4 levels of grey, hashed, sorted, each once.
pub(crate) fn image_patches(images: &Images, index: usize) -> Vec<u32> {
    let (width, height, channels) = (images.width, images.height, images.channels.max(1));
    let image = images.image(index);
    let grey: Vec<u8> = image
        .chunks_exact(channels)
        .map(|pixel| u8::try_from(pixel.iter().map(|value| u32::from(*value)).sum::<u32>() / channels as u32).unwrap_or(u8::MAX))
        .collect();
    let mut tokens = Vec::new();
    for top in 0..height.saturating_sub(2) {
        for left in 0..width.saturating_sub(2) {
            let (mut code, mut darkest, mut brightest) = (0_u64, u8::MAX, u8::MIN);
            for line in 0..3 {
                for pixel in row(&grey, width, top + line).iter().skip(left).take(3) {
                    code = code << 2 | u64::from(pixel >> 6);
                    (darkest, brightest) = (darkest.min(*pixel), brightest.max(*pixel));
                }
            }
            if brightest - darkest > PATCH_CONTRAST_MIN {
                tokens.push(u32::try_from(mix(code) % PATCH_TOKEN_COUNT as u64).unwrap_or(0));
            }
        }
    }
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_the_same_wherever_it_stands() {
        let mut pixels = vec![0_u8; 2 * 100];
        // Both stand two pixels or more from every edge, so that all 25 patches that touch the mark lie inside the image.
        for (image, (x, y)) in [(0, (2, 2)), (1, (5, 4))] {
            for (dx, dy) in [(0, 0), (2, 0), (1, 1), (0, 2), (2, 2)] {
                pixels[image * 100 + (y + dy) * 10 + x + dx] = 255;
            }
        }
        let images = Images { width: 10, height: 10, channels: 1, pixels };
        assert_eq!(image_patches(&images, 0), image_patches(&images, 1));
        assert!(!image_patches(&images, 0).is_empty());
    }

    #[test]
    fn a_cell_with_more_of_a_class_than_expected_stands_out() {
        let labels: Vec<u32> = (0..200).map(|index| u32::from(index < 20)).collect();
        let mut tokens = Tokens::new(4);
        labels.iter().for_each(|label| tokens.push([(*label, 1.0)]));
        let cells = Cells { kind: CellKind::Word, rows: Rows::Tokens(tokens), marked: Vec::new() };
        let expected = Matrix::new(2, [0.9, 0.1].repeat(200)).unwrap();
        let sums = cells.sums(&labels, &expected);
        assert_eq!(sums.support[1], 20);
        assert!(sums.z(1, 1) > 10.0 && sums.z(0, 1) < 0.0, "{} {}", sums.z(1, 1), sums.z(0, 1));
        assert!(cells.holds(0, 1) && !cells.holds(0, 0));
    }
}
