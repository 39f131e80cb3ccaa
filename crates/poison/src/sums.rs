//! How many rows of each class each cell has, against what models expect of its rows.

use rayon::prelude::*;

use crate::at::{add, at, row, row_mut};
use crate::bins::Bins;
use crate::cells::{BIN_COUNT, Cells};
use crate::table::{Matrix, Tokens};

/// Columns whose cells are summed together: their sums fit the second-level cache.
const GROUP: usize = 8;

/// Sums over each cell and class.
pub(crate) struct Sums {
    classes: usize,
    /// Rows in each cell.
    pub(crate) support: Vec<u32>,
    /// For each cell the rows of each class less those expected, then one over the standard deviation of each.
    sums: Vec<f32>,
}

impl Sums {
    pub(crate) fn of_bins(bins: &Bins, labels: &[u32], probabilities: &Matrix) -> Self {
        let mut sums = Self::empty(bins.columns() * BIN_COUNT, probabilities.columns());
        let (cells, width) = (GROUP * BIN_COUNT, 2 * sums.classes);
        let parts = sums.support.par_chunks_mut(cells).zip(sums.sums.par_chunks_mut((cells * width).max(1)));
        parts.enumerate().for_each(|(group, (support, sums))| {
            let mut more = vec![0.0; width];
            for (index, (own, label)) in probabilities.iter().zip(labels).enumerate() {
                residuals(own, *label, &mut more);
                let codes = bins.row(index).iter().skip(group * GROUP).take(GROUP);
                for (column, bin) in codes.enumerate() {
                    let cell = column * BIN_COUNT + usize::from(*bin);
                    add(support, cell, 1);
                    row_mut(sums, width, cell).iter_mut().zip(&more).for_each(|(sum, more)| *sum += more);
                }
            }
        });
        sums.scaled()
    }

    pub(crate) fn of_tokens(tokens: &Tokens, labels: &[u32], probabilities: &Matrix) -> Self {
        let mut sums = Self::empty(tokens.width(), probabilities.columns());
        let width = 2 * sums.classes;
        let mut more = vec![0.0; width];
        for (index, (own, label)) in probabilities.iter().zip(labels).enumerate() {
            residuals(own, *label, &mut more);
            for token in tokens.tokens(index) {
                let cell = *token as usize;
                add(&mut sums.support, cell, 1);
                row_mut(&mut sums.sums, width, cell).iter_mut().zip(&more).for_each(|(sum, more)| *sum += more);
            }
        }
        sums.scaled()
    }

    fn empty(cells: usize, classes: usize) -> Self {
        Self { classes, support: vec![0; cells], sums: vec![0.0; 2 * cells * classes] }
    }

    /// With the summed variances as what they are asked for.
    fn scaled(mut self) -> Self {
        let classes = self.classes.max(1);
        self.sums.par_chunks_exact_mut(2 * classes).for_each(|own| {
            own.iter_mut().skip(classes).for_each(|spread| *spread = 1.0 / (*spread + 1.0).sqrt());
        });
        self
    }

    /// How many standard deviations more rows of a class a cell has than the models expect.
    #[inline]
    pub(crate) fn z(&self, cell: usize, class: usize) -> f32 {
        self.z_with(cell, class, 0.0)
    }

    /// The same with some rows more.
    #[inline]
    fn z_with(&self, cell: usize, class: usize, more: f32) -> f32 {
        let own = row(&self.sums, 2 * self.classes, cell);
        (at(own, class) + more) * at(own, self.classes + class)
    }

    /// The greatest z of all cells of so many rows, if the rows carried other labels. Only what changes is counted, since what
    /// the models expect stays the same.
    pub(crate) fn greatest_if(&self, cells: &Cells, (labels, changed): (&[u32], &[u32]), support_min: u32) -> f32 {
        let mut more = vec![0.0_f32; self.support.len() * self.classes];
        for (index, (label, other)) in labels.iter().zip(changed).enumerate().filter(|(_, (label, other))| label != other) {
            cells.each(index, |cell| {
                let own = row_mut(&mut more, self.classes, cell as usize);
                add(own, *label as usize, -1.0);
                add(own, *other as usize, 1.0);
            });
        }
        let judged = self.support.iter().enumerate().filter(|(_, support)| **support >= support_min);
        let z = |(cell, _): (usize, &u32)| {
            let own = row(&more, self.classes, cell).iter().enumerate();
            own.map(|(class, more)| self.z_with(cell, class, *more)).fold(0.0, f32::max)
        };
        judged.map(z).fold(0.0, f32::max)
    }
}

/// What a row adds to the sums of its cells: 1 for its class less what is expected, and the variances.
fn residuals(probabilities: &[f32], label: u32, out: &mut [f32]) {
    let (hits, spreads) = out.split_at_mut(probabilities.len().min(out.len()));
    for ((hit, spread), value) in hits.iter_mut().zip(spreads).zip(probabilities) {
        *hit = -value;
        *spread = value * (1.0 - value);
    }
    add(hits, label as usize, 1.0);
}
