//! What is told of a table. No raw value stands in it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::kind::{Class, Identifier, Kind, SpecialCategory};

/// What spoke for a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The column's name.
    Header,
    /// Patterns and check digits in the values.
    Values,
    /// Word lists.
    Dictionary,
    /// The name recogniser.
    Recogniser,
}

/// One kind in one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindReport {
    /// What it is.
    pub kind: Kind,
    /// 0 to 1: how sure.
    pub score: f64,
    /// Cells that hold it: exact for what patterns find, else scaled from the sample.
    pub cell_count: u64,
    /// Their share of the cells with a value.
    pub share: f64,
    /// Whether the count was scaled from a sample.
    pub sampled: bool,
    /// What spoke for it.
    pub evidence: Vec<Evidence>,
    /// Masked examples, from the first rows on.
    pub examples: Vec<String>,
    /// The row of the first example, from 0.
    pub first_row: Option<u64>,
}

/// One column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnReport {
    /// The column's name; fields of structs behind dots.
    pub column: String,
    /// Whether its texts are sentences rather than values.
    pub free_text: bool,
    /// Cells with a value.
    pub cell_count: u64,
    /// What was found, the surest first.
    pub kinds: Vec<KindReport>,
    /// The union of the kinds' classes; empty means none.
    pub classes: BTreeSet<Class>,
    /// HIPAA Safe Harbor identifiers.
    pub identifiers: BTreeSet<Identifier>,
    /// GDPR article 9 special categories.
    pub special_categories: BTreeSet<SpecialCategory>,
    /// Whether it helps to single out a person together with others.
    pub quasi_identifier: bool,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PersonalReport {
    /// Rows read.
    pub row_count: u64,
    /// The union of the columns' classes.
    pub classes: BTreeSet<Class>,
    /// HIPAA Safe Harbor identifiers in any column.
    pub identifiers: BTreeSet<Identifier>,
    /// GDPR article 9 special categories in any column.
    pub special_categories: BTreeSet<SpecialCategory>,
    /// Columns that single out a person together.
    pub quasi_identifiers: Vec<String>,
    /// Every column, in the schema's order.
    pub columns: Vec<ColumnReport>,
}

impl ColumnReport {
    /// The report with its sets made from its kinds.
    pub(super) fn of(column: String, free_text: bool, cell_count: u64, mut kinds: Vec<KindReport>) -> Self {
        kinds.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.cell_count.cmp(&a.cell_count)).then(a.kind.cmp(&b.kind)));
        let of = |found: &KindReport| found.kind;
        Self {
            column,
            free_text,
            cell_count,
            classes: kinds.iter().map(of).flat_map(Kind::classes).collect(),
            identifiers: kinds.iter().map(of).filter_map(Kind::identifier).collect(),
            special_categories: kinds.iter().map(of).filter_map(Kind::special_category).collect(),
            quasi_identifier: !free_text && kinds.iter().map(of).any(Kind::is_quasi_identifier),
            kinds,
        }
    }
}

impl ColumnReport {
    /// Whether it speaks of somebody. A place does not, nor does a drug's name: only a sentence says who takes it.
    fn concerns_somebody(&self) -> bool {
        let speaks = |found: &KindReport| {
            let named_drug = found.kind == Kind::Medication && !self.free_text;
            !named_drug && found.kind.classes().any(|class| class != Class::Location)
        };
        self.kinds.iter().any(speaks)
    }

    fn without_drugs(self) -> Self {
        let kinds = self.kinds.into_iter().filter(|found| found.kind != Kind::Medication).collect();
        Self::of(self.column, self.free_text, self.cell_count, kinds)
    }
}

impl PersonalReport {
    /// The report of all columns.
    ///
    /// In a table that is about nobody, a date or a web address identifies nobody, and a drug is a good: nobody takes it.
    pub(super) fn of(row_count: u64, mut columns: Vec<ColumnReport>) -> Self {
        if !columns.iter().any(ColumnReport::concerns_somebody) {
            columns = columns.into_iter().map(ColumnReport::without_drugs).collect();
        }
        if columns.iter().all(|column| column.classes.is_empty()) {
            columns.iter_mut().for_each(|column| column.identifiers.clear());
        }
        Self {
            row_count,
            classes: columns.iter().flat_map(|column| column.classes.iter().copied()).collect(),
            identifiers: columns.iter().flat_map(|column| column.identifiers.iter().copied()).collect(),
            special_categories: columns.iter().flat_map(|column| column.special_categories.iter().copied()).collect(),
            quasi_identifiers: columns
                .iter()
                .filter(|column| column.quasi_identifier)
                .map(|column| column.column.clone())
                .collect(),
            columns,
        }
    }

    /// Whether a column holds anything that has a class: its examples must be masked wherever they are shown.
    #[must_use]
    pub fn is_personal(&self, column: &str) -> bool {
        self.columns.iter().any(|report| report.column == column && !report.classes.is_empty())
    }
}
