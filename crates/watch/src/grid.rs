//! What a model was trained on, as counts in cells: what each column is compared with.

use std::collections::BTreeMap;

use profile::{ColumnProfile, Profile, Value};
use serde::{Deserialize, Serialize};

use crate::limits::{BASELINE_ROWS, CATEGORY_COUNT_MAX, COLUMN_COUNT_MAX, NUMBER_CELL_COUNT};
use crate::sample::{Column, One, cut};

/// How a column's values fall into cells. Behind the cells that are named here come one for every other value, and one for missing
/// values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grid {
    /// Numbers: cells between edges, each of which belongs to the cell above it.
    Numbers(Vec<f64>),
    /// Names, sorted; each a cell.
    Names(Vec<String>),
}

/// A column of what a model was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnReference {
    /// Its name.
    pub name: String,
    /// Its cells.
    pub grid: Grid,
    /// How many rows fell into each.
    pub counts: Vec<u64>,
    /// The least and greatest number.
    pub range: Option<(f64, f64)>,
}

/// What a model was trained on, or, where that is not known, what it was asked first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Where it comes from, in words.
    pub origin: String,
    /// Column by column.
    pub columns: Vec<ColumnReference>,
}

impl Grid {
    /// How many cells there are, those for others and for missing values included.
    #[must_use]
    pub const fn cell_count(&self) -> usize {
        match self {
            Self::Numbers(edges) => edges.len() + 3,
            Self::Names(names) => names.len() + 2,
        }
    }

    /// The cell that a value falls into.
    #[must_use]
    pub fn cell(&self, value: One<'_>) -> usize {
        let missing = self.cell_count() - 1;
        match (self, value) {
            (_, One::Missing) => missing,
            (Self::Numbers(edges), One::Number(number)) => edges.partition_point(|edge| *edge <= number),
            (Self::Names(names), One::Text(text)) => place(names, cut(text)),
            (Self::Names(names), One::Number(number)) => place(names, &number.to_string()),
            (Self::Numbers(_), One::Text(_)) => missing - 1,
        }
    }

    /// What a cell holds, in words.
    #[must_use]
    pub fn describe(&self, cell: usize) -> String {
        let missing = self.cell_count() - 1;
        if cell >= missing {
            return "missing".to_owned();
        }
        match self {
            Self::Names(names) => names.get(cell).map_or_else(|| "another value".to_owned(), |name| format!("`{name}`")),
            Self::Numbers(_) if cell + 1 == missing => "no number".to_owned(),
            Self::Numbers(edges) => {
                let (low, high) = (cell.checked_sub(1).and_then(|below| edges.get(below)), edges.get(cell));
                match (low, high) {
                    (Some(low), Some(high)) => format!("from {low} to below {high}"),
                    (Some(low), None) => format!("from {low} on"),
                    (None, Some(high)) => format!("below {high}"),
                    (None, None) => "any number".to_owned(),
                }
            }
        }
    }

    /// Whether its cells have an order.
    #[must_use]
    pub const fn is_ordered(&self) -> bool {
        matches!(self, Self::Numbers(_))
    }
}

fn place(names: &[String], text: &str) -> usize {
    names.binary_search_by(|name| name.as_str().cmp(text)).unwrap_or(names.len())
}

impl ColumnReference {
    /// Rows that were counted.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn of_profile(column: &ColumnProfile) -> Option<Self> {
        let values = column.row_count.saturating_sub(column.null_count);
        let few = column.distinct_is_exact && column.distinct_count <= CATEGORY_COUNT_MAX as u64;
        if let Some(numbers) = &column.numbers {
            let numeric = values.saturating_sub(numbers.nan_count);
            let inner = numbers.quantiles.iter().filter(|one| one.share > 0.0 && one.share < 1.0);
            let mut edges: Vec<(f64, f64)> = inner.map(|one| (one.value, one.share)).collect();
            edges.dedup_by(|next, kept| next.0 <= kept.0);
            let mut counts = Vec::new();
            let mut below = 0.0;
            for (_, share) in &edges {
                counts.push(((share - below) * numeric as f64).round() as u64);
                below = *share;
            }
            counts.push(((1.0 - below) * numeric as f64).round() as u64);
            counts.extend([0, column.row_count.saturating_sub(numeric)]);
            let grid = Grid::Numbers(edges.into_iter().map(|edge| edge.0).collect());
            let range = numbers.minimum.zip(numbers.maximum);
            return (!few || column.top.is_empty()).then_some(Self { name: column.name.clone(), grid, counts, range }).or_else(
                || {
                    let values = column.top.iter().filter_map(|top| Some((number_of(&top.value)?, top.count)));
                    Some(Self::of_few_numbers(&column.name, values.collect(), column.row_count))
                },
            );
        }
        if !few {
            return None;
        }
        let mut named: Vec<(String, u64)> = column.top.iter().map(|top| (text_of(&top.value), top.count)).collect();
        named.sort();
        let counted: u64 = named.iter().map(|one| one.1).sum();
        let mut counts: Vec<u64> = named.iter().map(|one| one.1).collect();
        counts.extend([values.saturating_sub(counted), column.null_count]);
        let grid = Grid::Names(named.into_iter().map(|one| one.0).collect());
        Some(Self { name: column.name.clone(), grid, counts, range: None })
    }

    /// Few different numbers: a cell for each, between edges halfway.
    fn of_few_numbers(name: &str, mut values: Vec<(f64, u64)>, row_count: u64) -> Self {
        values.sort_by(|left, right| left.0.total_cmp(&right.0));
        let edges: Vec<f64> = values.iter().zip(values.iter().skip(1)).map(|(low, high)| f64::midpoint(low.0, high.0)).collect();
        let counted: u64 = values.iter().map(|one| one.1).sum();
        let mut counts: Vec<u64> = values.iter().map(|one| one.1).collect();
        if counts.is_empty() {
            counts.push(0);
        }
        counts.extend([0, row_count.saturating_sub(counted)]);
        let range = values.first().zip(values.last()).map(|(low, high)| (low.0, high.0));
        Self { name: name.to_owned(), grid: Grid::Numbers(edges), counts, range }
    }
}

fn number_of(value: &Value) -> Option<f64> {
    value.to_string().parse().ok()
}

fn text_of(value: &Value) -> String {
    cut(&value.to_string()).to_owned()
}

impl Reference {
    /// Of the profile of the data that a model was trained on. Columns that cannot be told by cells (free text, identifiers) are left
    /// out.
    #[must_use]
    pub fn of_profile(profile: &Profile, origin: &str) -> Self {
        let columns = profile.columns.iter().filter_map(ColumnReference::of_profile).take(COLUMN_COUNT_MAX);
        Self { origin: origin.to_owned(), columns: columns.collect() }
    }

    /// The place of a column.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// Collects the first rows that a version is asked, until a reference can be made of them. It holds values, in memory alone, and
/// forgets them then.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    row_count: usize,
    columns: Vec<(String, Collected)>,
}

#[derive(Clone, Debug, Default)]
struct Collected {
    numbers: Vec<f64>,
    texts: BTreeMap<String, u64>,
    missing_count: u64,
}

impl Baseline {
    /// Takes rows. Only columns that are there from the first rows on are taken.
    pub fn add(&mut self, columns: &[Column<'_>], row_count: usize) {
        if self.columns.is_empty() {
            let names = columns.iter().take(COLUMN_COUNT_MAX).map(|column| (column.name.to_owned(), Collected::default()));
            self.columns = names.collect();
        }
        let wanted = row_count.min(BASELINE_ROWS.saturating_sub(self.row_count));
        for (name, collected) in &mut self.columns {
            match columns.iter().find(|column| column.name == name) {
                Some(column) => (0..wanted).for_each(|row| collected.take(column.of_row(row))),
                None => collected.missing_count += wanted as u64,
            }
        }
        self.row_count += wanted;
    }

    /// Whether it has all that it wants.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.row_count >= BASELINE_ROWS
    }

    /// How many rows it has.
    #[must_use]
    pub const fn row_count(&self) -> usize {
        self.row_count
    }

    /// The reference.
    #[must_use]
    pub fn finish(self, origin: &str) -> Reference {
        let columns = self.columns.into_iter().filter_map(|(name, collected)| collected.finish(name)).collect();
        Reference { origin: origin.to_owned(), columns }
    }
}

impl Collected {
    fn take(&mut self, value: One<'_>) {
        match value {
            One::Missing => self.missing_count += 1,
            One::Number(number) => self.numbers.push(number),
            // One more than has cells tells that there are too many.
            One::Text(text) if self.texts.len() <= CATEGORY_COUNT_MAX => {
                *self.texts.entry(cut(text).to_owned()).or_default() += 1
            }
            One::Text(text) => {
                if let Some(count) = self.texts.get_mut(cut(text)) {
                    *count += 1;
                }
            }
        }
    }

    fn finish(mut self, name: String) -> Option<ColumnReference> {
        if self.numbers.is_empty() && !self.texts.is_empty() {
            if self.texts.len() > CATEGORY_COUNT_MAX {
                return None;
            }
            let mut counts: Vec<u64> = self.texts.values().copied().collect();
            counts.extend([0, self.missing_count]);
            return Some(ColumnReference { name, grid: Grid::Names(self.texts.into_keys().collect()), counts, range: None });
        }
        self.numbers.sort_by(f64::total_cmp);
        let other_count: u64 = self.texts.values().sum();
        let mut different = self.numbers.clone();
        different.dedup();
        let edges: Vec<f64> = if different.len() <= NUMBER_CELL_COUNT {
            different.iter().zip(different.iter().skip(1)).map(|(low, high)| f64::midpoint(*low, *high)).collect()
        } else {
            let at = |cell: usize| self.numbers.get(cell * self.numbers.len() / NUMBER_CELL_COUNT).copied();
            let mut edges: Vec<f64> = (1..NUMBER_CELL_COUNT).filter_map(at).collect();
            edges.dedup();
            edges
        };
        let range = self.numbers.first().copied().zip(self.numbers.last().copied());
        let grid = Grid::Numbers(edges);
        let mut counts = vec![0; grid.cell_count()];
        for number in &self.numbers {
            if let Some(count) = counts.get_mut(grid.cell(One::Number(*number))) {
                *count += 1;
            }
        }
        let last = counts.len().checked_sub(2)?;
        counts.truncate(last);
        counts.extend([other_count, self.missing_count]);
        Some(ColumnReference { name, grid, counts, range })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::Random;
    use crate::sample::Values;

    #[test]
    fn a_baseline_has_cells_of_equal_share() {
        let mut random = Random(1);
        let numbers: Vec<f64> = (0..BASELINE_ROWS + 10).map(|_| random.normal()).collect();
        let names: Vec<String> = numbers.iter().map(|number| if *number > 0.0 { "up" } else { "down" }.to_owned()).collect();
        let mut baseline = Baseline::default();
        let columns = [
            Column { name: "x", values: Values::F64(&numbers), first: 0, stride: 1 },
            Column { name: "side", values: Values::Text(&names), first: 0, stride: 1 },
        ];
        baseline.add(&columns, numbers.len());
        assert!(baseline.is_full());
        let reference = baseline.finish("its first rows");
        let x = &reference.columns[0];
        assert_eq!((x.counts.len(), x.row_count()), (NUMBER_CELL_COUNT + 2, BASELINE_ROWS as u64));
        assert!(x.counts[..NUMBER_CELL_COUNT].iter().all(|count| *count == 125), "{:?}", x.counts);
        assert_eq!(x.grid.cell(One::Missing), NUMBER_CELL_COUNT + 1);
        assert_eq!(x.grid.cell(One::Text("a")), NUMBER_CELL_COUNT);
        let side = &reference.columns[1];
        assert_eq!(side.grid, Grid::Names(vec!["down".to_owned(), "up".to_owned()]));
        assert_eq!((side.grid.cell(One::Text("up")), side.grid.cell(One::Text("new"))), (1, 2));
        assert_eq!(side.grid.describe(2), "another value");
    }

    #[test]
    fn few_numbers_have_a_cell_each() {
        let numbers = [0.0, 1.0, 1.0, 2.0, f64::NAN];
        let mut baseline = Baseline::default();
        baseline.add(&[Column { name: "x", values: Values::F64(&numbers), first: 0, stride: 1 }], 5);
        let x = baseline.finish("").columns.remove(0);
        assert_eq!((x.grid.clone(), x.counts), (Grid::Numbers(vec![0.5, 1.5]), vec![1, 2, 1, 0, 1]));
        assert_eq!(x.grid.describe(1), "from 0.5 to below 1.5");
    }

    #[test]
    fn free_text_is_not_watched() {
        let texts: Vec<String> = (0..100).map(|at| format!("text {at}")).collect();
        let mut baseline = Baseline::default();
        baseline.add(&[Column { name: "x", values: Values::Text(&texts), first: 0, stride: 1 }], 100);
        assert!(baseline.finish("").columns.is_empty());
    }
}
