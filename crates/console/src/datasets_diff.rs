//! Two versions of a data set: which files, columns and values differ.

use std::collections::{BTreeMap, BTreeSet};

use data::VersionName;
use data::ops::{Diff, Difference, Findings};
use gate::{Operation, Visitor};
use http::Method;
use inspection::ColumnView;
use kernel::Problem;
use wire::{Answer, Chosen, Door};

use askama::Template;

use crate::Rooms;
use crate::board::{Cell, Table, Tone, bytes, first_of, part};
use crate::datasets::{PAGE, report};
use crate::findings::{Report, percent};
use crate::listing::asked;
use crate::page::page_in;
use crate::query::Query;

/// Columns that are compared.
const COLUMN_COUNT_MAX: usize = 200;

#[derive(Template)]
#[template(path = "diff.html")]
struct DiffTemplate {
    back: String,
    title: String,
    words: Vec<String>,
    tables: Vec<Table>,
}

/// Rows of each list on one page.
const ROWS: usize = 100;

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let path = format!("{PAGE}/{{dataset}}/{{version}}/diff");
    let room = rooms.data.clone();
    door.choice(Method::GET, &path, &[Diff::ACTION, Findings::ACTION], move |inbound| {
        let (room, dataset, version) = (room.clone(), inbound.path("dataset").to_owned(), inbound.path("version").to_owned());
        let wrong = || Problem::invalid("`against` is a number, `latest`, `admitted` or an id");
        let against = asked(inbound, "against")?.map(|text| VersionName::parse(&text).ok_or_else(wrong)).transpose()?;
        let query = Query::of(inbound)?;
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, room, (dataset, version, against), &query).await })))
    });
}

async fn shown(
    visitor: &Visitor,
    room: data::Data,
    (dataset, version, against): (String, String, Option<VersionName>),
    query: &Query,
) -> Result<Answer, Problem> {
    let here = format!("{PAGE}/{}/{}/diff", part(&dataset), part(&version));
    let diff = Diff { room: room.clone(), dataset: dataset.clone(), version, against };
    let found = visitor.call(diff).await?;
    let (before, after) = (found.numbers.before, found.numbers.after);
    let old = profile(visitor, room.clone(), &dataset, before).await?;
    let new = profile(visitor, room, &dataset, after).await?;
    let mut tables = vec![counts(&found)];
    let mut facts = Vec::new();
    match (old.into_parts(), new.into_parts()) {
        ((Some(old), _), (Some(new), _)) => tables.push(columns(&old.view.columns, &new.view.columns)),
        ((_, old), (_, new)) => facts.extend(old.or(new)),
    }
    tables.push(files(&found));
    if !found.drift.is_empty() {
        tables.push(drift(&found));
    }
    let tables = tables.into_iter().map(|table| table.in_parts(ROWS, query, &here)).collect::<Result<_, _>>()?;
    let template = DiffTemplate {
        back: format!("{PAGE}/{}/{after}", part(&dataset)),
        title: format!("{dataset}: what changed from version {before} to version {after}"),
        words: facts.into_iter().map(|(_, words)| format!("Columns are not compared: of a report {words}.")).collect(),
        tables,
    };
    page_in(visitor.workspace(), &template)
}

/// What the last inspection of a version says of its columns, where the caller may see that.
async fn profile(visitor: &Visitor, room: data::Data, dataset: &str, number: i64) -> Result<Report, Problem> {
    let (dataset, version) = (dataset.to_owned(), number.to_string());
    let find = Findings { room: room.clone(), dataset: dataset.clone(), version: version.clone() };
    if !visitor.can(&find).await? {
        return Ok(Report::None);
    }
    let has_report = visitor.call(find).await?.inspection.is_some_and(|one| one.report_sha256.is_some());
    if has_report { report(visitor, room, dataset, version).await } else { Ok(Report::None) }
}

fn counts(found: &Difference) -> Table {
    let count = |value: Option<i64>| value.map_or_else(|| "not counted".to_owned(), |count| count.to_string());
    let rows = [
        ("Rows", count(found.row_counts.before), count(found.row_counts.after)),
        ("Columns", count(found.column_counts.before), count(found.column_counts.after)),
        ("Size", bytes(found.size_bytes.before), bytes(found.size_bytes.after)),
    ];
    let rows = rows.into_iter().map(|(what, before, after)| {
        let word = if before == after { Cell::text("same") } else { Cell::state("differs", Tone::Wait) };
        vec![Cell::text(what), Cell::text(before), Cell::text(after), word]
    });
    Table::whole("counts", "As a whole", &["What", "Before", "After", ""], rows.collect(), "")
}

/// The columns that differ: new ones, lost ones, and those whose type or values changed.
fn columns(old: &[ColumnView], new: &[ColumnView]) -> Table {
    let by_name = |all: &'_ [ColumnView]| -> BTreeMap<String, String> {
        all.iter().map(|one| (one.name.clone(), described(one))).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing: Vec<&String> = names.into_iter().filter(|name| before.get(*name) != after.get(*name)).collect();
    let rows = differing.iter().copied().take(COLUMN_COUNT_MAX).map(|name| {
        let (was, is) = (before.get(name), after.get(name));
        let word = match (was, is) {
            (None, _) => Cell::state("new", Tone::Wait),
            (_, None) => Cell::state("gone", Tone::Bad),
            _ => Cell::state("differs", Tone::Wait),
        };
        let text = |side: Option<&String>| Cell::text(side.cloned().unwrap_or_default());
        vec![Cell::text(name.clone()), word, text(was), text(is)]
    });
    Table::whole(
        "columns",
        first_of("Columns that differ", differing.len(), COLUMN_COUNT_MAX),
        &["Column", "How", "Before", "After"],
        rows.collect(),
        "Every column is the same.",
    )
}

/// Type, gaps, distinct values and ranges of a column, in a line.
fn described(one: &ColumnView) -> String {
    let distinct = one.distinct_count.map(|count| format!("{count} distinct"));
    let facts = one.facts.iter().map(|(name, value)| format!("{name} {value}"));
    let parts = [one.kind.clone(), format!("{} missing", percent(&one.null_share))];
    parts.into_iter().chain(distinct).chain(facts).collect::<Vec<_>>().join(", ")
}

fn files(found: &Difference) -> Table {
    let sides = [("new", &found.added), ("gone", &found.removed), ("differs", &found.changed)];
    let rows = sides
        .iter()
        .flat_map(|(word, paths)| paths.iter().map(move |path| vec![Cell::state(*word, Tone::Wait), Cell::text(path.clone())]));
    let [added, removed, changed, same] = found.counts;
    let title = format!("Files: {added} new, {removed} gone, {changed} different, {same} the same");
    let listed = sides.iter().map(|(_, paths)| paths.len()).sum();
    let title = first_of(&title, added + removed + changed, listed);
    Table::whole("files", &title, &["How", "Path"], rows.collect(), "Every file is the same.")
}

fn drift(found: &Difference) -> Table {
    let row = |one: &data::FoundFinding| vec![Cell::text(one.finding.title.clone()), Cell::text(one.finding.detail.clone())];
    Table::whole("drift", "What the inspection says of it", &["What", "More"], found.drift.iter().map(row).collect(), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_are_new_gone_or_different_are_told_and_no_others() {
        let column =
            |name: &str, kind: &str| ColumnView { name: name.to_owned(), kind: kind.to_owned(), ..ColumnView::default() };
        let old = [column("a", "int"), column("b", "int"), column("c", "int")];
        let new = [column("a", "int"), column("b", "text"), column("d", "int")];
        let told = columns(&old, &new).rows;
        let words: Vec<(&str, &str)> =
            told.iter().filter_map(|row| Some((row.first()?.text.as_str(), row.get(1)?.text.as_str()))).collect();
        assert_eq!(words, [("b", "differs"), ("c", "gone"), ("d", "new")]);
        let many: Vec<ColumnView> = (0..300).map(|at| column(&format!("c{at}"), "int")).collect();
        assert_eq!(columns(&[], &many).title, "Columns that differ: the first 200 of 300");
    }
}
