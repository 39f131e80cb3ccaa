//! What a rule has seen so far: one state for each kind of check; each takes batches and merges with its like.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, NullBuffer};

use super::found::{Example, Found};
use super::hash::Seed;
use super::keys::{Before, KeyTable, NumberSet};
use super::references::KeySet;
use super::row_test::Mask;
use super::values::{Ends, floats, is_text, is_whole, on_whole, plain, shorten, shown, text_mask, wholes};
use crate::LABEL_COUNT_MAX;
use crate::instant::{self, unit_ns};

/// Values whose frequency is counted for the most frequent one: the error is at most one row in so many.
const TOP_COUNTERS_MAX: usize = 1_024;

/// What a rule has seen.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// It is settled by the schema alone: it holds, or why it does not.
    Settled(Result<(), String>),
    /// It cannot be checked.
    NotRun(String),
    /// For people.
    Note,
    /// Only the number of rows or of columns matters, or what others bring.
    Count,
    Rows {
        mask: Mask,
        found: Found,
        present: u64,
    },
    Keys(Keys),
    Known {
        set: Arc<KeySet>,
        nulls_count: bool,
        wanted: bool,
        found: Found,
        skipped: u64,
    },
    Age {
        oldest: bool,
        edge_ns: Option<i128>,
    },
    Moments(Moments),
    Contains {
        masks: Vec<(Mask, bool)>,
    },
    Labels {
        counts: HashMap<u128, (u64, String)>,
        too_many: bool,
    },
    Top {
        counts: HashMap<u128, u64>,
        total: u64,
    },
}

/// Keys that occurred.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// Whether a null is a value like others, or leaves the row without a key.
    nulls_count: bool,
    pub(crate) numbers: Option<NumberSet>,
    pub(crate) table: KeyTable,
    /// Rows that have a key.
    pub(crate) keyed: u64,
    pub(crate) found: Found,
}

/// Count, sum, mean, spread and ends of numbers. A value that is no number is left out and counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moments {
    pub(crate) count: u64,
    pub(crate) not_numbers: u64,
    pub(crate) mean: f64,
    squares: f64,
    sum: f64,
    compensation: f64,
    pub(crate) minimum: f64,
    pub(crate) maximum: f64,
}

impl Moments {
    fn add_all(&mut self, values: &[f64], nulls: Option<&NullBuffer>) {
        let mut part = Self::default();
        for (row, value) in values.iter().enumerate() {
            if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                part.add(*value);
            }
        }
        self.merge(&part);
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of rows are below 2^53")]
    fn add(&mut self, value: f64) {
        if value.is_nan() {
            self.not_numbers += 1;
            return;
        }
        self.count += 1;
        let (low, high) = if self.count == 1 { (value, value) } else { (self.minimum.min(value), self.maximum.max(value)) };
        (self.minimum, self.maximum) = (low, high);
        let off = value - self.mean;
        self.mean += off / self.count as f64;
        self.squares += off * (value - self.mean);
        self.add_to_sum(value);
    }

    /// Neumaier's compensated sum, so that the order of rows does not show.
    fn add_to_sum(&mut self, value: f64) {
        let sum = self.sum + value;
        self.compensation += if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    /// Chan, Golub and LeVeque (1979): moments of the whole from those of parts.
    #[expect(clippy::cast_precision_loss, reason = "counts of rows are below 2^53")]
    pub(crate) fn merge(&mut self, other: &Self) {
        self.not_numbers += other.not_numbers;
        if other.count == 0 {
            return;
        }
        let (low, high) = if self.count == 0 {
            (other.minimum, other.maximum)
        } else {
            (self.minimum.min(other.minimum), self.maximum.max(other.maximum))
        };
        (self.minimum, self.maximum) = (low, high);
        let (here, there) = (self.count as f64, other.count as f64);
        let off = other.mean - self.mean;
        self.count += other.count;
        self.mean += off * there / (here + there);
        self.squares += other.squares + off * off * here * there / (here + there);
        self.add_to_sum(other.sum);
        self.add_to_sum(other.compensation);
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum + self.compensation
    }

    /// Of a sample: divided by one less than the count.
    #[expect(clippy::cast_precision_loss, reason = "counts of rows are below 2^53")]
    pub(crate) fn standard_deviation(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.squares / (self.count - 1) as f64).max(0.0).sqrt())
    }
}

/// What a batch is to the rules that read it.
pub(crate) struct Seen<'a> {
    pub(crate) columns: &'a [ArrayRef],
    pub(crate) first_row: u64,
    pub(crate) seed: Seed,
    /// Hashes of all rows over these columns, where another rule has asked for them.
    pub(crate) hashes: &'a mut Option<Arc<Vec<u128>>>,
}

impl Seen<'_> {
    fn hashes(&mut self) -> Result<Arc<Vec<u128>>, String> {
        if let Some(known) = self.hashes {
            return Ok(known.clone());
        }
        let made = Arc::new(self.seed.rows(self.columns)?);
        *self.hashes = Some(made.clone());
        Ok(made)
    }

    /// The rows in which no column is null.
    fn whole(&self) -> Option<NullBuffer> {
        self.columns
            .iter()
            .fold(None, |all: Option<NullBuffer>, column| NullBuffer::union(all.as_ref(), column.logical_nulls().as_ref()))
    }

    fn show(&self, row: usize) -> Option<String> {
        let values: Option<Vec<String>> = self.columns.iter().take(4).map(|column| shown(column.as_ref(), row)).collect();
        values.map(|values| shorten(&values.join(", ")))
    }
}

impl State {
    /// Takes a batch.
    ///
    /// # Errors
    /// In words, if the rule had to be given up.
    pub(crate) fn update(&mut self, mut seen: Seen<'_>) -> Result<(), String> {
        match self {
            Self::Settled(_) | Self::NotRun(_) | Self::Note | Self::Count => {}
            Self::Rows { mask, found, present } => {
                let marked = mask.violations(seen.columns)?;
                found.take(&marked, seen.first_row, |row| seen.show(row));
                let rows = marked.len();
                *present += seen.whole().map_or(rows, |whole| rows - whole.null_count()) as u64;
            }
            Self::Keys(keys) => keys.update(&mut seen)?,
            Self::Known { set, nulls_count, wanted, found, skipped } => {
                let hashes = seen.hashes()?;
                let whole = if *nulls_count { None } else { seen.whole() };
                let mut each = hashes.iter().enumerate();
                let marked = BooleanBuffer::collect_bool(hashes.len(), |_| {
                    each.next().is_some_and(|(row, hash)| {
                        let keyed = whole.as_ref().is_none_or(|whole| whole.is_valid(row));
                        match set.holds(*hash) {
                            _ if !keyed => false,
                            Some(holds) => holds != *wanted,
                            None => {
                                *skipped += 1;
                                false
                            }
                        }
                    })
                });
                found.take(&marked, seen.first_row, |row| seen.show(row));
            }
            Self::Age { oldest, edge_ns } => {
                if let Some(array) = seen.columns.first()
                    && let Some((low, high)) = ends_ns(array)?
                {
                    let edge = if *oldest { low } else { high };
                    *edge_ns = Some(edge_ns.map_or(edge, |known| if *oldest { known.min(edge) } else { known.max(edge) }));
                }
            }
            Self::Moments(moments) => {
                if let Some(array) = seen.columns.first() {
                    let array = plain(array)?;
                    let values = floats(&array).ok_or("the column's type changed")?;
                    moments.add_all(&values, array.logical_nulls().as_ref());
                }
            }
            Self::Contains { masks } => {
                for (mask, there) in masks.iter_mut().filter(|(_, there)| !there) {
                    *there = mask.violations(seen.columns)?.count_set_bits() > 0;
                }
            }
            Self::Labels { counts, too_many } => {
                let (hashes, whole) = (seen.hashes()?, seen.whole());
                for (row, hash) in
                    hashes.iter().enumerate().filter(|(row, _)| whole.as_ref().is_none_or(|whole| whole.is_valid(*row)))
                {
                    if let Some((count, _)) = counts.get_mut(hash) {
                        *count += 1;
                    } else if counts.len() < LABEL_COUNT_MAX {
                        counts.insert(*hash, (1, seen.show(row).unwrap_or_default()));
                    } else {
                        *too_many = true;
                    }
                }
            }
            Self::Top { counts, total } => {
                let hashes = seen.hashes()?;
                *total += hashes.len() as u64;
                for hash in hashes.iter() {
                    add_top(counts, *hash, 1);
                }
            }
        }
        Ok(())
    }

    /// Joins what another part has seen.
    pub(crate) fn merge(&mut self, other: Self, seed: Seed) {
        match (&mut *self, other) {
            (Self::NotRun(_), _) => {}
            (_, given_up @ Self::NotRun(_)) => *self = given_up,
            (Self::Rows { found, present, .. }, Self::Rows { found: more, present: there, .. }) => {
                found.merge(more);
                *present += there;
            }
            (Self::Keys(keys), Self::Keys(more)) => keys.merge_seeded(more, seed),
            (Self::Known { found, skipped, .. }, Self::Known { found: more, skipped: others, .. }) => {
                found.merge(more);
                *skipped += others;
            }
            (Self::Age { oldest, edge_ns }, Self::Age { edge_ns: Some(edge), .. }) => {
                *edge_ns = Some(edge_ns.map_or(edge, |known| if *oldest { known.min(edge) } else { known.max(edge) }));
            }
            (Self::Moments(moments), Self::Moments(more)) => moments.merge(&more),
            (Self::Contains { masks }, Self::Contains { masks: others }) => {
                for ((_, there), (_, found)) in masks.iter_mut().zip(others) {
                    *there |= found;
                }
            }
            (Self::Labels { counts, too_many }, Self::Labels { counts: more, too_many: others }) => {
                for (hash, (count, shown)) in more {
                    counts.entry(hash).or_insert((0, shown)).0 += count;
                }
                *too_many |= others || counts.len() > LABEL_COUNT_MAX;
            }
            (Self::Top { counts, total }, Self::Top { counts: more, total: others }) => {
                *total += others;
                for (hash, count) in more {
                    add_top(counts, hash, count);
                }
            }
            _ => {}
        }
    }
}

/// Misra and Gries (1982): every value more frequent than one row in [`TOP_COUNTERS_MAX`] keeps a counter.
fn add_top(counts: &mut HashMap<u128, u64>, hash: u128, times: u64) {
    if let Some(count) = counts.get_mut(&hash) {
        *count += times;
    } else if counts.len() < TOP_COUNTERS_MAX {
        counts.insert(hash, times);
    } else {
        let least = counts.values().copied().min().unwrap_or(0).min(times);
        counts.retain(|_, count| {
            *count -= least;
            *count > 0
        });
        if times > least {
            counts.insert(hash, times - least);
        }
    }
}

/// The first and the last time of a column, in nanoseconds.
fn ends_ns(array: &ArrayRef) -> Result<Option<(i128, i128)>, String> {
    let array = plain(array)?;
    if let Some(unit) = unit_ns(array.data_type()) {
        return Ok(on_whole(array.as_ref(), Ends).flatten().map(|(low, high)| (low * unit, high * unit)));
    }
    let mut ends: Option<(i128, i128)> = None;
    text_mask(array.as_ref(), |text| {
        if let Some(at) = instant::nanoseconds(text) {
            ends = Some(ends.map_or((at, at), |(low, high)| (low.min(at), high.max(at))));
        }
        false
    })
    .ok_or_else(|| format!("its age cannot be told from {}", array.data_type()))?;
    Ok(ends)
}

impl Keys {
    /// For columns of these types; whole numbers are remembered as they are.
    pub(crate) fn new(types: &[arrow_schema::DataType], nulls_count: bool) -> Self {
        let numbers =
            !nulls_count && matches!(types, [only] if is_whole(only) && !matches!(only, arrow_schema::DataType::UInt64));
        Self { nulls_count, numbers: numbers.then(NumberSet::default), table: KeyTable::new(), keyed: 0, found: Found::default() }
    }

    fn update(&mut self, seen: &mut Seen<'_>) -> Result<(), String> {
        let whole = if self.nulls_count { None } else { seen.whole() };
        let rows = seen.columns.first().map_or(0, |column| column.len());
        self.keyed += whole.as_ref().map_or(rows, |whole| rows - whole.null_count()) as u64;
        if let (Some(numbers), Some(array)) = (&mut self.numbers, seen.columns.first()) {
            let again = number_repeats(numbers, array, whole.as_ref())?;
            let sparse = numbers.is_sparse();
            self.take(&again, seen);
            if sparse {
                self.leave_numbers(seen.seed);
            }
            return Ok(());
        }
        let hashes = seen.hashes()?;
        let table = &mut self.table;
        let mut each = hashes.iter().enumerate();
        let again = BooleanBuffer::collect_bool(hashes.len(), |_| {
            each.next().is_some_and(|(row, hash)| {
                whole.as_ref().is_none_or(|whole| whole.is_valid(row))
                    && table.add(*hash, Some(seen.first_row + row as u64)) == Before::Known
            })
        });
        self.take(&again, seen);
        Ok(())
    }

    fn take(&mut self, again: &BooleanBuffer, seen: &Seen<'_>) {
        self.found.take(again, seen.first_row, |row| seen.show(row));
    }

    /// Goes on with hashes: the numbers lie too far apart for bitmaps.
    fn leave_numbers(&mut self, seed: Seed) {
        if let Some(numbers) = self.numbers.take() {
            for (number, again) in numbers.numbers() {
                let hash = seed.whole(i128::from(number));
                self.table.add(hash, None);
                if again {
                    self.table.add(hash, None);
                }
            }
        }
    }

    pub(crate) fn merge_seeded(&mut self, mut other: Self, seed: Seed) {
        if self.numbers.is_some() != other.numbers.is_some() {
            self.leave_numbers(seed);
            other.leave_numbers(seed);
        }
        self.merge(other);
    }

    /// INVARIANT: both remember numbers or both hashes; [`Self::merge_seeded`] sees to it.
    fn merge(&mut self, other: Self) {
        self.keyed += other.keyed;
        self.found.merge(other.found);
        if let (Some(numbers), Some(more)) = (&mut self.numbers, other.numbers) {
            let mut known = Vec::new();
            for (number, again) in more.numbers() {
                if numbers.add(number) {
                    known.push(number);
                }
                if again {
                    numbers.add(number);
                }
            }
            known.sort_unstable();
            for number in known.iter().take(crate::EXAMPLE_COUNT_MAX) {
                self.found.example(Example { row: None, value: Some(number.to_string()) });
            }
            return;
        }
        let found = &mut self.found;
        self.table.merge(other.table, |row| found.example(Example { row, value: None }));
    }

    /// Distinct keys, estimated if the table is a sample.
    pub(crate) fn distinct(&self) -> u64 {
        self.numbers.as_ref().map_or_else(|| self.table.len() as u64 * self.table.scale(), |numbers| numbers.len)
    }

    /// Keys that occurred more than once, estimated if the table is a sample.
    pub(crate) fn repeated(&self) -> u64 {
        self.numbers.as_ref().map_or_else(|| self.table.repeated() * self.table.scale(), |numbers| numbers.repeated)
    }

    /// Whether every key was looked at.
    pub(crate) fn is_exact(&self) -> bool {
        self.numbers.is_some() || self.table.scale() == 1
    }
}

/// The rows whose number occurred before.
fn number_repeats(numbers: &mut NumberSet, array: &ArrayRef, whole: Option<&NullBuffer>) -> Result<BooleanBuffer, String> {
    let array = plain(array)?;
    if let Some(values) = array.as_primitive_opt::<arrow_array::types::Int64Type>() {
        let mut each = values.values().iter().enumerate();
        return Ok(BooleanBuffer::collect_bool(values.len(), |_| {
            each.next().is_some_and(|(row, value)| whole.is_none_or(|whole| whole.is_valid(row)) && numbers.add(*value))
        }));
    }
    let values = wholes(&array).ok_or("the column's type changed")?;
    let mut each = values.iter().enumerate();
    Ok(BooleanBuffer::collect_bool(values.len(), |_| {
        each.next().is_some_and(|(row, value)| {
            whole.is_none_or(|whole| whole.is_valid(row)) && numbers.add(i64::try_from(*value).unwrap_or(i64::MAX))
        })
    }))
}

/// Whether an age can be told from a column.
pub(crate) fn tells_age(data_type: &arrow_schema::DataType) -> bool {
    unit_ns(data_type).is_some() || is_text(data_type)
}
