//! Can it be read, and is what is in it plain data? What the readers of files say, as findings.

use arrow_schema::SchemaRef;
use inspection::{Example, Finding, FindingKind, NAME_BYTES_MAX, Screen, Severity, catalogue};
use serde::Serialize;
use tables::{Format, NoteKind, Notes, Table, TableError};

use super::draft::Draft;
use super::personal_data::LOCATION;

/// Notes that the page shows.
const NOTE_SHOWN_COUNT_MAX: usize = 50;

/// What the report keeps of a table.
#[derive(Serialize)]
struct Described<'a> {
    format: String,
    row_count: u64,
    partition_count: usize,
    columns: Vec<DescribedColumn<'a>>,
}

#[derive(Serialize)]
struct DescribedColumn<'a> {
    name: &'a str,
    data_type: String,
}

/// Says why the files cannot be inspected.
pub(super) fn refused(error: &TableError, draft: &mut Draft<'_>) {
    let kind: &FindingKind = match error {
        TableError::NoFiles | TableError::Empty { .. } => &catalogue::EMPTY,
        TableError::Limit { .. } | TableError::LongQuote { .. } => &catalogue::LIMIT,
        TableError::SchemaDiffers { .. } | TableError::MixedFormats { .. } => &catalogue::SCHEMA_DIFFERS,
        _ => &catalogue::UNREADABLE,
    };
    draft.find(Finding::new(kind, error.to_string()));
    draft.report().table = None;
    draft.ran(Screen::Format);
}

/// Whether the table keeps to the job's limits, which are known before it is read.
pub(super) fn is_within_limits(table: &Table, draft: &mut Draft<'_>, job: &inspection::JobLimits) -> bool {
    let columns = table.schema().fields().len() as u64;
    let checks = [("rows", table.row_count(), job.row_count_max), ("columns", columns, job.column_count_max)];
    let mut within = true;
    for (what, count, max) in checks {
        if count > max {
            draft.find(Finding::new(&catalogue::LIMIT, format!("{count} {what} are more than {max}; split the data")));
            within = false;
        }
    }
    if !within {
        draft.ran(Screen::Format);
    }
    within
}

/// Notes what the table is, and whether it is what `said` calls it.
pub(super) fn describe(table: &Table, said: Option<&str>, draft: &mut Draft<'_>) -> SchemaRef {
    let is_it = |said: &str| said == word(table.format()) || (said == "npz" && table.format() == Format::Npy);
    if let Some(said) = said.filter(|said| !is_it(said)) {
        let detail = format!("the files are said to be `{}` and are {}", cut(said), table.format());
        draft.find(Finding::new(&catalogue::NOTE, detail).severity(Severity::Warning));
    }
    let schema = table.schema().clone();
    let columns =
        schema.fields().iter().map(|field| DescribedColumn { name: field.name(), data_type: field.data_type().to_string() });
    let described = Described {
        format: table.format().to_string(),
        row_count: table.row_count(),
        partition_count: table.partitions().len(),
        columns: columns.collect(),
    };
    draft.view().format.clone_from(&described.format);
    let section = draft.section(Screen::Format, &described);
    draft.report().table = section;
    let summary = draft.summary();
    summary.row_count = table.row_count();
    summary.column_count = schema.fields().len() as u64;
    if table.row_count() == 0 {
        draft.find(Finding::new(&catalogue::EMPTY, "the files hold no rows"));
    }
    schema
}

/// Turns what the readers noticed into findings. Called when all is read.
pub(super) fn notes(notes: &Notes, draft: &mut Draft<'_>) {
    for note in &notes.notes {
        let (kind, severity): (&FindingKind, Option<Severity>) = match note.kind {
            NoteKind::MalformedRows | NoteKind::Undecodable => (&catalogue::MALFORMED, None),
            NoteKind::MixedTypes | NoteKind::RaggedList => (&catalogue::MIXED_TYPES, None),
            NoteKind::DuplicatedColumn => (&catalogue::DUPLICATE_COLUMNS, None),
            NoteKind::Formula => (&catalogue::FORMULA_CELLS, None),
            NoteKind::EmptyFile
            | NoteKind::OneRow
            | NoteKind::EndMissing
            | NoteKind::Misnamed
            | NoteKind::TrailingBytes
            | NoteKind::Place => (&catalogue::NOTE, Some(Severity::Warning)),
            NoteKind::UnnamedColumn
            | NoteKind::GuessedHeader
            | NoteKind::WideNumbers
            | NoteKind::NullWords
            | NoteKind::ByteOrderMark
            | NoteKind::ReadAsFloat => (&catalogue::NOTE, None),
        };
        if note.kind == NoteKind::Place {
            draft.summary().classes.push(LOCATION.to_owned());
        }
        let place = note.file.as_deref().map_or_else(String::new, |file| format!("`{}`: ", cut(file)));
        let times = if note.count == 1 { String::new() } else { format!(" ({} times)", note.count) };
        let line = format!("{place}{}{times}", note.text);
        if draft.view().notes.len() < NOTE_SHOWN_COUNT_MAX {
            draft.view().notes.push(line.clone());
        }
        let examples =
            note.examples.iter().map(|example| Example::of(Some(example.row), note.column.as_deref(), example.text.clone()));
        let mut finding = Finding::new(kind, line).columns(note.column.clone()).rows(note.count).examples(examples);
        finding.severity = severity.unwrap_or(finding.severity);
        draft.find(finding);
    }
    if notes.more_count > 0 {
        draft.find(Finding::new(
            &catalogue::NOTE,
            format!("{} more such things were noticed and are not listed", notes.more_count),
        ));
    }
    draft.ran(Screen::Format);
}

/// The word by which a job names a format.
const fn word(format: Format) -> &'static str {
    match format {
        Format::Parquet => "parquet",
        Format::Csv => "csv",
        Format::JsonLines => "jsonl",
        Format::ArrowIpc => "arrow",
        Format::Npy => "npy",
        Format::Images => "images",
    }
}

fn cut(name: &str) -> String {
    name.chars().take(NAME_BYTES_MAX / 4).collect()
}
