//! Several runs side by side: what is different is marked, by a word first.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use gate::{Operation, Visitor};
use http::Method;
use kernel::Problem;
use tracking::Run;
use tracking::ops::GetRun;
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::board::{Cell, shortened};
use crate::curve;
use crate::experiments::moment_ms;
use crate::page::page_in;
use crate::query::Query;
use crate::runs::{number, run_address, took};

const PAGE: &str = "/console/compare";
const RUN_COUNT_MAX: usize = 10;
/// Values of one part of a page, about, and lines at least.
const CELL_COUNT_MAX: usize = 300;
const LINE_COUNT_MIN: usize = 30;
/// Letters of a value. What differs behind them is marked all the same.
const VALUE_CHARS_MAX: usize = 80;

/// A name with its value in each of the things that are compared.
#[derive(Clone)]
pub struct Line {
    pub name: String,
    pub href: String,
    pub values: Vec<String>,
    pub differs: bool,
}

/// A value as it is shown, and as it is exactly: what is the same in five digits may differ in the sixth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub shown: String,
    pub exact: String,
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self { exact: text.clone(), shown: text }
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self { shown: number(value), exact: exact(value) }
    }
}

/// A number with all of its digits.
#[must_use]
pub fn exact(value: f64) -> String {
    // Zero has no sign for people.
    if value.is_finite() { format!("{:?}", value + 0.0) } else { number(value) }
}

/// Lines that belong together.
pub struct Part {
    pub id: &'static str,
    pub title: &'static str,
    pub lines: Vec<Line>,
    /// Lines that are the same everywhere, shown or not.
    pub same_count: usize,
    /// Where the next lines are; empty for nowhere.
    pub next: String,
}

impl Part {
    /// Of these lines, those that differ or all of them.
    pub fn of(id: &'static str, title: &'static str, lines: Vec<Line>, is_all: bool) -> Self {
        let same_count = lines.iter().filter(|line| !line.differs).count();
        let lines = lines.into_iter().filter(|line| is_all || line.differs).collect();
        Self { id, title, lines, same_count, next: String::new() }
    }

    /// As many of its lines as fit a page of so many columns.
    ///
    /// # Errors
    /// `Invalid` for an address that asks for what is no number of lines.
    pub fn cut(self, column_count: usize, query: &Query, page: &str) -> Result<Self, Problem> {
        let line_count = (CELL_COUNT_MAX / column_count.max(1)).max(LINE_COUNT_MIN);
        let (lines, next) = query.cut(&self.lines, (self.id, line_count), page)?;
        Ok(Self { lines: lines.to_vec(), next: next.unwrap_or_default(), ..self })
    }
}

/// Things side by side.
#[derive(Template)]
#[template(path = "compare.html")]
pub struct CompareTemplate {
    pub title: String,
    /// The things: names that lead to their pages.
    pub columns: Vec<Cell>,
    pub parts: Vec<Part>,
    /// Where the same is shown with, or without, what does not differ.
    pub all: String,
    pub is_all: bool,
}

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.tracking.clone();
    door.choice(Method::GET, PAGE, &[GetRun::ACTION], move |inbound| {
        let (room, query) = (room.clone(), Query::of(inbound)?);
        let ids = chosen(&query, 2)?;
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, room, ids, query).await })))
    });
}

/// The runs that an address names, each once.
///
/// # Errors
/// `Invalid` for too few or too many.
pub fn chosen(query: &Query, least: usize) -> Result<Vec<String>, Problem> {
    let mut ids: Vec<String> = Vec::new();
    for id in query.all("run") {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.len() < least || ids.len() > RUN_COUNT_MAX {
        return Err(Problem::invalid(format!("choose {least} to {RUN_COUNT_MAX} runs; {} were chosen", ids.len())));
    }
    Ok(ids)
}

async fn shown(visitor: &Visitor, room: tracking::Tracking, ids: Vec<String>, query: Query) -> Result<Answer, Problem> {
    let mut runs = Vec::with_capacity(ids.len());
    for run_id in ids {
        runs.push(visitor.call(GetRun { room: room.clone(), run_id }).await?);
    }
    let is_all = query.get("show") == Some("all");
    let ids = || runs.iter().map(|run| run.info.run_id.as_str());
    let metrics = lines(&runs, |run| run.data.metrics.iter().map(|one| (one.key.clone(), one.value.into())).collect());
    let metrics = metrics.into_iter().map(|line| Line { href: curve::address(&line.name, ids()), ..line }).collect();
    let params = lines(&runs, |run| run.data.params.iter().map(|one| (one.key.clone(), one.value.clone().into())).collect());
    let tags = lines(&runs, |run| run.data.tags.iter().map(|one| (one.key.clone(), one.value.clone().into())).collect());
    let own = |run: &Run| {
        let info = &run.info;
        let data: Vec<String> =
            run.data.datasets.iter().map(|one| format!("{} {}", one.dataset.name, one.dataset.digest)).collect();
        BTreeMap::from([
            ("Began", moment_ms(info.start_time_ms)),
            ("By", info.user_name.clone()),
            ("Data", data.join(", ")),
            (
                "State",
                if info.stage == tracking::Stage::Deleted { "deleted".to_owned() } else { info.status.to_ascii_lowercase() },
            ),
            ("Took", took(info.start_time_ms, info.end_time_ms)),
        ])
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
    };
    let parts = vec![
        Part::of("metrics", "Metrics", metrics, is_all),
        Part::of("params", "Parameters", params, is_all),
        Part::of("runs", "The runs themselves", lines(&runs, own), is_all),
        Part::of("tags", "Tags", tags, is_all),
    ];
    let parts = parts.into_iter().map(|part| part.cut(runs.len(), &query, PAGE)).collect::<Result<_, _>>()?;
    let other = if is_all { query.without("show") } else { query.with("show", "all") };
    let name = |run: &Run| {
        let name = if run.info.name.is_empty() { run.info.run_id.clone() } else { run.info.name.clone() };
        Cell::link(name, run_address(&run.info.run_id))
    };
    let (title, columns) = (format!("{} runs side by side", runs.len()), runs.iter().map(name).collect());
    page_in(visitor.workspace(), &CompareTemplate { title, columns, parts, all: other.at(PAGE), is_all })
}

/// One side of a line: nothing where it has no such value.
fn side(value: Option<&Value>, is_exact: bool) -> Option<&String> {
    value.map(|value| if is_exact { &value.exact } else { &value.shown })
}

/// A line for each name that one of the things has.
pub fn lines<T>(things: &[T], of: impl Fn(&T) -> BTreeMap<String, Value>) -> Vec<Line> {
    let all: Vec<BTreeMap<String, Value>> = things.iter().map(of).collect();
    let names: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    let line = |name: &String| {
        let values: Vec<Option<&Value>> = all.iter().map(|one| one.get(name)).collect();
        let kinds = |is_exact: bool| values.iter().map(|value| side(*value, is_exact)).collect::<BTreeSet<_>>().len();
        let differs = kinds(true) > 1;
        // Where some look the same and are not, all are shown exactly.
        let is_exact = kinds(false) < kinds(true);
        let values = values
            .iter()
            .map(|value| side(*value, is_exact).map_or_else(|| "–".to_owned(), |text| shortened(text, VALUE_CHARS_MAX)));
        let values = values.collect();
        Line { name: name.clone(), href: String::new(), values, differs }
    };
    names.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_the_sixth_digit_differs() {
        let of = |values: &[f64]| lines(values, |value| BTreeMap::from([("loss".to_owned(), Value::from(*value))])).remove(0);
        let line = of(&[0.123_456_7, 0.123_456_8]);
        assert!(line.differs);
        assert_eq!(line.values, ["0.1234567", "0.1234568"]);
        let line = of(&[0.1, 0.2]);
        assert!(line.differs && line.values == ["0.1", "0.2"]);
        assert!(!of(&[f64::NAN, f64::NAN]).differs && !of(&[0.0, -0.0]).differs && !of(&[1.0, 1.0]).differs);
    }
}
