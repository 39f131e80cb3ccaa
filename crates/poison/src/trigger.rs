//! The trigger-association scan: cells whose rows carry one label far more often than the models expect.
//!
//! It generalises the z-test of He et al. 2023 (Z-defence) from words to any cell, and from class shares to out-of-fold
//! probabilities, so that cells which truly tell the class cancel out. A second round refits the models without the found
//! cells, since with many poisoned rows the models have learnt the trigger.
//!
//! What it finds is evidence, not proof: clean data has striking cells too. `verify` tries each on a model.

use crate::PoisonError;
use crate::at::{at, put};
use crate::cells::{CellKind, Cells};
use crate::jointly::{Striking, jointly};
use crate::random::Random;
use crate::sums::Sums;
use crate::table::Matrix;
use crate::watch::Watch;

/// Rows that a cell needs to be judged.
pub(crate) const SUPPORT_MIN: u32 = 8;
/// Triggers that are followed up.
pub const TRIGGER_COUNT_MAX: usize = 8;
/// Cells of one trigger that are kept.
pub(crate) const TRIGGER_CELL_COUNT_MAX: usize = 64;
/// The share of a cell's rows that must carry the trigger's label.
pub(crate) const PURITY_MIN: f32 = 0.9;
/// Redrawings of all labels that set a kind's threshold, and by how much the threshold exceeds their greatest z.
const REDRAW_COUNT: u64 = 2;
const REDRAW_FACTOR: f32 = 1.25;
/// The part of the threshold that a cell needs to be tried together with another.
const PART_OF_PAIR: f32 = 0.5;
/// Cells that together keep this part of the rows of one of them speak for the trigger in its place.
pub(crate) const SAME_ROWS_MIN: f32 = 0.8;
/// Standard deviations from the classes' shares that nominate a cell of which its column gives no account.
const ODD_Z_MIN: f32 = 2.0;
/// Cells that share this part of their rows belong to one trigger.
pub(crate) const OVERLAP_MIN: f32 = 0.5;

/// Cells that stand out together.
#[derive(Clone)]
pub(crate) struct Found {
    /// Which of the kinds of cells.
    pub(crate) kind: usize,
    /// The class that its rows are labelled with.
    pub(crate) class: usize,
    /// The cells, the most striking first.
    pub(crate) cells: Vec<u32>,
    /// How many of them a row holds at least.
    pub(crate) least: usize,
    /// The greatest z.
    pub(crate) z: f32,
    /// Rows that hold at least half of the cells, and `least`, and carry the label.
    pub(crate) rows: Vec<u32>,
    /// Rows of the label that hold a cell which is pure by itself, where the trigger needs more than that one: what the cell
    /// teaches by nature is set aside together with what was planted, and only the latter is suspected.
    pub(crate) by_nature: Vec<u32>,
}

impl Found {
    /// Whether rows of a class belong to this trigger: among cells of one kind.
    pub(crate) fn shares(&self, class: usize, rows: &[u32]) -> bool {
        self.class == class && overlap(&self.rows, rows) >= OVERLAP_MIN
    }
}

/// The least z that a cell needs, for a kind of cells: what redrawn labels reach, and never below what clean data reaches.
pub(crate) fn threshold(
    (cells, sums): (&Cells, &Sums),
    labels: &[u32],
    probabilities: &Matrix,
    seed: u64,
    watch: &Watch<'_>,
) -> Result<f32, PoisonError> {
    let floor = match cells.kind {
        CellKind::Patch => 10.0,
        CellKind::Column | CellKind::Pixel | CellKind::Word => 8.0,
    };
    let mut greatest = 0.0_f32;
    for round in 0..REDRAW_COUNT {
        watch.check()?;
        let mut random = Random::new(seed, 0x7265_6472 + round);
        let redrawn: Vec<u32> = probabilities.iter().map(|row| draw(row, random.unit())).collect();
        greatest = greatest.max(sums.greatest_if(cells, (labels, &redrawn), SUPPORT_MIN));
    }
    Ok((greatest * REDRAW_FACTOR).max(floor))
}

fn draw(probabilities: &[f32], at: f32) -> u32 {
    let mut left = at;
    for (class, value) in probabilities.iter().enumerate() {
        left -= value;
        if left < 0.0 {
            return u32::try_from(class).unwrap_or(0);
        }
    }
    u32::try_from(probabilities.len().saturating_sub(1)).unwrap_or(0)
}

/// Each row's greatest z of a cell that it is in, with its own label.
pub(crate) fn row_marks(cells: &Cells, sums: &Sums, labels: &[u32]) -> Vec<f32> {
    use rayon::prelude::*;
    let mark = |(index, label): (usize, &u32)| {
        let mut greatest = 0.0_f32;
        cells.each(index, |cell| {
            if at(&sums.support, cell as usize) >= SUPPORT_MIN {
                greatest = greatest.max(sums.z(cell as usize, *label as usize));
            }
        });
        greatest
    };
    labels.par_iter().enumerate().map(mark).collect()
}

/// Striking cells, gathered into triggers, the most striking first.
pub(crate) fn gather(
    (kind, cells): (usize, &Cells),
    sums: &Sums,
    labels: &[u32],
    probabilities: &Matrix,
    threshold: f32,
) -> Vec<Found> {
    let classes = probabilities.columns();
    let mut striking: Vec<(f32, u32, usize)> = Vec::new();
    for (cell, support) in sums.support.iter().enumerate() {
        if *support < SUPPORT_MIN {
            continue;
        }
        let best = (0..classes).map(|class| (sums.z(cell, class), class)).max_by(|left, right| left.0.total_cmp(&right.0));
        if let Some((z, class)) = best.filter(|(z, _)| *z > PART_OF_PAIR * threshold) {
            striking.push((z, u32::try_from(cell).unwrap_or(u32::MAX), class));
        }
    }
    let striking = with_rows(cells, striking);
    let mut found = assemble(kind, striking.iter().filter(|own| own.z > threshold), labels);
    for joint in jointly(kind, &striking, labels, probabilities, threshold) {
        let full = found.len() >= TRIGGER_COUNT_MAX;
        let same = |other: &&mut Found| other.shares(joint.class, &joint.rows);
        match found.iter_mut().find(same) {
            // Nearly the same rows, without those that hold one of the cells by nature.
            Some(other) if joint.rows.len() as f32 >= SAME_ROWS_MIN * other.rows.len() as f32 => {
                let more: Vec<u32> = joint.cells.into_iter().filter(|cell| !other.cells.contains(cell)).collect();
                other.cells.extend(more);
                other.least = joint.least;
                other.by_nature.clone_from(&other.rows);
            }
            Some(_) => {}
            None if !full => found.push(joint),
            None => {}
        }
    }
    completed(found, cells, labels)
}

/// Cells of which their column gives no account and whose rows nearly all carry one label, gathered into triggers. Rows with
/// a value far beyond all others lie together for every model that weighs distances: it learns their label from each other,
/// and the label no longer surprises it. So the classes' shares are asked instead of a model; the second round asks models
/// that do not see these cells.
pub(crate) fn gather_odd(kind: usize, cells: &Cells, labels: &[u32], shares: &[f32]) -> Vec<Found> {
    let mut striking: Vec<(f32, u32, usize)> = Vec::new();
    for (cell, counts) in cells.odd(labels, shares.len()) {
        let support: u32 = counts.iter().sum();
        let z = |(class, count): (usize, &u32)| {
            let share = at(shares, class);
            let expected = support as f32 * share;
            ((*count as f32 - expected) / (expected * (1.0 - share) + 1.0).sqrt(), class)
        };
        let best = counts.iter().enumerate().map(z).max_by(|left, right| left.0.total_cmp(&right.0));
        if let Some((z, class)) = best.filter(|(z, _)| support >= SUPPORT_MIN && *z > ODD_Z_MIN) {
            striking.push((z, cell, class));
        }
    }
    let mut found = assemble(kind, with_rows(cells, striking).iter(), labels);
    found.iter_mut().for_each(|trigger| add_companions(cells, trigger));
    completed(found, cells, labels)
}

/// Adds the cells of other columns that hold nearly the same rows: while models see one of them, they know what the trigger teaches.
fn add_companions(cells: &Cells, trigger: &mut Found) {
    let Some(bins) = cells.bins() else { return };
    let shared_min = SAME_ROWS_MIN * trigger.rows.len() as f32;
    for column in 0..bins.columns() {
        let mut counts = vec![0_u32; bins.count(column)];
        trigger.rows.iter().for_each(|index| crate::at::add(&mut counts, usize::from(at(bins.row(*index as usize), column)), 1));
        let Some((bin, shared)) = counts.iter().enumerate().max_by_key(|(_, count)| **count) else { continue };
        let cell = Cells::cell(column, u8::try_from(bin).unwrap_or(u8::MAX));
        let is_full = trigger.cells.len() >= TRIGGER_CELL_COUNT_MAX || trigger.cells.contains(&cell);
        if (*shared as f32) < shared_min || is_full {
            continue;
        }
        let held = (0..bins.rows()).filter(|index| usize::from(at(bins.row(*index), column)) == bin).count();
        if *shared as f32 >= SAME_ROWS_MIN * held as f32 {
            trigger.cells.push(cell);
        }
    }
}

/// A trigger with the greatest z of its cells by other models, if it stands out there as well.
pub(crate) fn stands(trigger: &Found, sums: &Sums, least: f32) -> Option<Found> {
    let greatest = trigger.cells.iter().map(|cell| sums.z(*cell as usize, trigger.class)).fold(0.0, f32::max);
    (greatest > least).then(|| Found { z: greatest, ..trigger.clone() })
}

/// The most striking cells with their rows.
fn with_rows(cells: &Cells, mut striking: Vec<(f32, u32, usize)>) -> Vec<Striking> {
    striking.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
    striking.truncate(TRIGGER_COUNT_MAX * TRIGGER_CELL_COUNT_MAX);
    let rows = rows_of_cells(cells, &striking);
    striking.into_iter().zip(rows).map(|((z, cell, class), rows)| Striking { z, cell, class, rows }).collect()
}

/// Gathers pure cells that share their rows into triggers, the most striking first.
fn assemble<'a>(kind: usize, striking: impl Iterator<Item = &'a Striking>, labels: &[u32]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for Striking { z, cell, class, rows } in striking {
        let (z, cell, class) = (*z, *cell, *class);
        let labelled: Vec<u32> = rows.iter().copied().filter(|index| at(labels, *index as usize) as usize == class).collect();
        if (labelled.len() as f32) < PURITY_MIN * rows.len() as f32 {
            continue;
        }
        let same = found.iter().position(|other| other.shares(class, &labelled));
        if let Some(place) = same {
            if let Some(other) = found.get_mut(place).filter(|other| other.cells.len() < TRIGGER_CELL_COUNT_MAX) {
                other.cells.push(cell);
            }
        } else if found.len() < TRIGGER_COUNT_MAX {
            found.push(Found { kind, class, cells: vec![cell], least: 1, z, rows: labelled, by_nature: Vec::new() });
        }
    }
    found
}

/// The triggers with all rows that hold them.
fn completed(mut found: Vec<Found>, cells: &Cells, labels: &[u32]) -> Vec<Found> {
    for trigger in &mut found {
        trigger.rows = holders(cells, trigger, labels);
    }
    found
}

/// The rows of each cell, in one pass over all rows.
pub(crate) fn rows_of_cells(cells: &Cells, striking: &[(f32, u32, usize)]) -> Vec<Vec<u32>> {
    let mut rows = vec![Vec::new(); striking.len()];
    if striking.is_empty() {
        return rows;
    }
    let mut places = vec![u32::MAX; cells.width()];
    for (place, (_, cell, _)) in striking.iter().enumerate() {
        put(&mut places, *cell as usize, u32::try_from(place).unwrap_or(u32::MAX));
    }
    for index in 0..cells.rows() {
        cells.each(index, |cell| {
            let place = places.get(cell as usize).copied().filter(|place| *place != u32::MAX);
            if let Some(own) = place.and_then(|place| rows.get_mut(place as usize)) {
                own.push(u32::try_from(index).unwrap_or(u32::MAX));
            }
        });
    }
    rows
}

/// Rows that hold at least half of a trigger's cells, and as many as it needs, and carry its label.
pub(crate) fn holders(cells: &Cells, trigger: &Found, labels: &[u32]) -> Vec<u32> {
    let needed = trigger.cells.len().div_ceil(2).max(trigger.least);
    let holds = |index: &usize| {
        at(labels, *index) as usize == trigger.class
            && trigger.cells.iter().filter(|cell| cells.holds(*index, **cell)).count() >= needed
    };
    (0..labels.len()).filter(holds).map(|index| u32::try_from(index).unwrap_or(u32::MAX)).collect()
}

/// The part of the smaller of two rising lists that is also in the other.
pub(crate) fn overlap(left: &[u32], right: &[u32]) -> f32 {
    let (smaller, greater) = if left.len() < right.len() { (left, right) } else { (right, left) };
    let shared = smaller.iter().filter(|row| greater.binary_search(row).is_ok()).count();
    shared as f32 / smaller.len().max(1) as f32
}

/// The mean refitted probability of the trigger's class among its rows: low where the rows look like another class.
pub(crate) fn expectation(trigger: &Found, probabilities: &Matrix) -> f32 {
    let sum: f32 = trigger.rows.iter().map(|index| at(probabilities.row(*index as usize), trigger.class)).sum();
    sum / trigger.rows.len().max(1) as f32
}

/// The greatest of two marks of each row.
pub(crate) fn keep_greatest(marks: &mut [f32], others: &[f32]) {
    for (index, other) in others.iter().enumerate() {
        let greatest = at(marks, index).max(*other);
        put(marks, index, greatest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Input;
    use crate::testing::quiet;

    /// 1,000 rows of random words, half of each class; 30 rows hold word 900 and carry class 1.
    fn words() -> (Input, Vec<u32>) {
        let mut random = Random::new(12, 0);
        let mut labels: Vec<u32> = (0..1_000).map(|index| index % 2).collect();
        let rows = (0..1_000_usize).map(|index| {
            let mut row: Vec<u32> = (0..8).map(|_| u32::try_from(random.below(200)).unwrap()).collect();
            if index < 30 {
                row.push(900);
                labels[index] = 1;
            }
            row.sort_unstable();
            row.dedup();
            row
        });
        let input = crate::testing::texts(1_000, rows.collect());
        (input, labels)
    }

    #[test]
    fn the_planted_word_is_found_with_its_rows_and_nothing_else() {
        let (input, labels) = words();
        let cells = Cells::all(&input, 1).pop().unwrap();
        let expected = Matrix::new(2, vec![0.5; 2_000]).unwrap();
        let sums = cells.sums(&labels, &expected);
        let threshold = quiet(|watch| threshold((&cells, &sums), &labels, &expected, 1, watch)).unwrap();
        // 30 rows where half are expected: z = 15 / √(7.5 + 1) = 5.1, so the floor is lowered here.
        let found = gather((0, &cells), &sums, &labels, &expected, 5.0);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].cells.as_slice(), found[0].class, found[0].rows.len()), ([900].as_slice(), 1, 30));
        assert!(threshold >= 8.0);
        let marks = row_marks(&cells, &sums, &labels);
        assert!(marks[..30].iter().all(|mark| *mark > 5.0));
        assert!((expectation(&found[0], &expected) - 0.5).abs() < 1e-6);
    }
}
