//! Whom does it concern? Each class of personal data is one finding that names its columns and how much of each.

use std::collections::BTreeSet;

use arrow_schema::SchemaRef;
use inspection::{ColumnView, Example, Finding, FindingKind, Screen, catalogue};
use personal::{Class, ColumnOptions, ColumnReport, ColumnScanner, KindReport, PersonalReport};

use super::draft::Draft;
use super::pass::Seen;

/// The classes that are findings. Places alone concern nobody; they are shown, and count with other columns. A street address is
/// personal besides.
const FINDINGS: [(Class, &FindingKind); 5] = [
    (Class::Credential, &catalogue::SECRET),
    (Class::SpecialCategory, &catalogue::SPECIAL),
    (Class::Health, &catalogue::HEALTH),
    (Class::Financial, &catalogue::FINANCIAL),
    (Class::Personal, &catalogue::PERSONAL),
];
/// The class of places.
pub(super) const LOCATION: &str = "location";
/// Kinds that a finding's detail names for one column.
const KIND_SHOWN_COUNT_MAX: usize = 3;
/// Columns that a finding's detail names.
const COLUMN_SHOWN_COUNT_MAX: usize = 8;

/// Makes the scanner.
pub(super) fn start(schema: &SchemaRef) -> Result<ColumnScanner, String> {
    ColumnScanner::new(schema, ColumnOptions::default()).map_err(|error| error.to_string())
}

/// Turns what was seen into findings, and tells everyone which columns are personal.
pub(super) fn conclude(seen: Seen<ColumnScanner>, draft: &mut Draft<'_>) {
    let report = match seen {
        None => return,
        Some(Err(error)) => return draft.failed(Screen::Personal, &error),
        Some(Ok(scanner)) => scanner.finish(),
    };
    draft.personal_columns = Some(personal_columns(&report));
    for (class, kind) in FINDINGS {
        if report.classes.contains(&class) {
            draft.find(finding(&report, class, kind));
        }
    }
    let mut classes: Vec<String> = report.classes.iter().map(|class| word(*class).to_owned()).collect();
    // What the files hold beside their columns.
    for class in std::mem::take(&mut draft.summary().classes) {
        if !classes.contains(&class) {
            classes.push(class);
        }
    }
    draft.summary().classes = classes;
    let view = |column: &ColumnReport| ColumnView {
        name: column.column.clone(),
        personal: column.kinds.iter().filter(|found| found.kind.class().is_some()).map(|found| name_of(&found.kind)).collect(),
        ..ColumnView::default()
    };
    draft.view().columns = report.columns.iter().map(view).collect();
    let section = draft.section(Screen::Personal, &report);
    draft.report().personal = section;
    draft.ran(Screen::Personal);
}

fn personal_columns(report: &PersonalReport) -> BTreeSet<String> {
    report.columns.iter().filter(|column| !column.classes.is_empty()).map(|column| column.column.clone()).collect()
}

fn finding(report: &PersonalReport, class: Class, kind: &FindingKind) -> Finding {
    let columns: Vec<&ColumnReport> = report.columns.iter().filter(|column| column.classes.contains(&class)).collect();
    let of_class = |column: &&ColumnReport| {
        column.kinds.iter().filter(|found| found.kind.classes().any(|one| one == class)).cloned().collect::<Vec<_>>()
    };
    let mut parts = Vec::new();
    let mut examples = Vec::new();
    for column in columns.iter().take(COLUMN_SHOWN_COUNT_MAX) {
        let kinds = of_class(column);
        let words: Vec<String> = kinds
            .iter()
            .take(KIND_SHOWN_COUNT_MAX)
            .map(|found| format!("{} in {} of its values", name_of(&found.kind), how_many(found)))
            .collect();
        parts.push(format!("`{}`: {}", column.column, words.join(", ")));
        examples.extend(
            kinds
                .iter()
                .filter_map(|found| Some(Example::of(found.first_row, Some(&column.column), found.examples.first()?.clone()))),
        );
    }
    let hidden = columns.len().saturating_sub(COLUMN_SHOWN_COUNT_MAX);
    if hidden > 0 {
        parts.push(format!("and {hidden} more columns"));
    }
    Finding::new(kind, parts.join("; ")).columns(columns.iter().map(|column| column.column.clone())).examples(examples)
}

/// A share in percent, or how many where that would read as none.
fn how_many(found: &KindReport) -> String {
    if found.share < 0.000_5 { found.cell_count.to_string() } else { format!("{:.1} %", found.share * 100.0) }
}

/// The class's word in reports and policies.
const fn word(class: Class) -> &'static str {
    match class {
        Class::Personal => "personal",
        Class::SpecialCategory => "special_category",
        Class::Health => "health",
        Class::Financial => "financial",
        Class::Credential => "credential",
        Class::Location => LOCATION,
    }
}

/// The kind's word, as its JSON has it.
fn name_of(kind: &personal::Kind) -> String {
    serde_json::to_value(kind).ok().and_then(|value| value.as_str().map(|word| word.replace('_', " "))).unwrap_or_default()
}
