//! The runs of an experiment: searched in MLflow's grammar, sorted by a column, with the columns that somebody chose.

use std::collections::BTreeSet;

use askama::Template;
use gate::{Operation, Visitor};
use http::{Method, StatusCode};
use kernel::{Kind, Problem};
use tracking::ops::{GetExperiment, SearchRuns};
use tracking::{Run, View};
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::board::{Tone, part};
use crate::experiments::{self, moment_ms};
use crate::page::page_in;
use crate::query::Query;

const ROWS: i64 = 50;
/// Columns that are offered of each kind, those that are shown at most, and where nobody chose.
const COLUMN_COUNT_MAX: usize = 40;
const SHOWN_COUNT_MAX: usize = 20;
const USUAL_COUNT: usize = 4;
/// Letters of a name, and of all values of one row together: each has at least a few, and at most as many as are read at a glance.
const NAME_CHARS_MAX: usize = 80;
const ROW_CHARS: usize = 500;
/// Where one run is.
pub const RUN_PAGE: &str = "/console/runs";

/// A column that can be shown: `metrics` or `params`, and a key.
struct Column {
    word: String,
    key: String,
    is_shown: bool,
    /// What is asked for to sort by it, empty where that cannot be written; and how it is now.
    sort_by: String,
    sorted: &'static str,
}

impl Column {
    fn shown_key(&self) -> String {
        short(&self.key, NAME_CHARS_MAX / 2)
    }
}

struct Row {
    id: String,
    name: String,
    status: String,
    tone: &'static str,
    started: String,
    took: String,
    values: Vec<String>,
}

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsTemplate {
    id: i64,
    name: String,
    is_deleted: bool,
    filter: String,
    sort: String,
    fault: String,
    columns: Vec<Column>,
    /// Columns that are not offered, and those that were chosen and do not fit.
    hidden_count: usize,
    left_out_count: usize,
    started: Column,
    rows: Vec<Row>,
    keys: Vec<String>,
    next: String,
    mlflow: String,
}

/// An address of MLflow's own page. Without a workspace it asks for one, and forgets where it was to go.
pub fn mlflow_page(workspace: &str, route: &str) -> String {
    format!("/#/{route}?workspace={}", part(workspace))
}

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms, has_mlflow_page: bool) {
    let room = rooms.tracking.clone();
    let path = format!("{}/{{experiment}}", experiments::PAGE);
    door.choice(Method::GET, &path, &[GetExperiment::ACTION, SearchRuns::ACTION], move |inbound| {
        let (room, id, query) = (room.clone(), inbound.path("experiment").to_owned(), Query::of(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, room, id, query, has_mlflow_page).await })))
    });
}

async fn shown(
    visitor: &Visitor,
    room: tracking::Tracking,
    id: String,
    query: Query,
    has_mlflow_page: bool,
) -> Result<Answer, Problem> {
    let experiment = visitor.call(GetExperiment { room: room.clone(), experiment_id: id.clone() }).await?;
    let (query, left_out_count) = query.first_of("column", SHOWN_COUNT_MAX);
    let sort = query.get("sort").unwrap_or("start_time DESC").to_owned();
    let search = SearchRuns {
        room,
        experiment_ids: vec![id],
        filter: query.get("filter").unwrap_or_default().to_owned(),
        order_by: vec![sort.clone()],
        view: View::Active,
        max_results: ROWS,
        page_token: query.get("token").map(str::to_owned),
    };
    // A search that cannot be read is told beside what was typed, which is not lost by it.
    let (found, fault) = match visitor.call(search).await {
        Ok(found) => (found, String::new()),
        Err(problem) if problem.kind() == Kind::Invalid => {
            (tracking::Page { items: Vec::new(), next_page_token: None }, problem.message().to_owned())
        }
        Err(problem) => return Err(problem),
    };
    let here = format!("{}/{}", experiments::PAGE, experiment.experiment_id);
    let columns = columns(&found.items, &query, &sort);
    let hidden_count = key_count(&found.items).saturating_sub(columns.len());
    let shown: Vec<&Column> = columns.iter().filter(|column| column.is_shown).collect();
    let is_faulty = !fault.is_empty();
    let template = RunsTemplate {
        id: experiment.experiment_id,
        name: experiment.name,
        is_deleted: experiment.stage == tracking::Stage::Deleted,
        filter: query.get("filter").unwrap_or_default().to_owned(),
        fault,
        rows: found.items.iter().map(|run| row(run, &shown)).collect(),
        keys: columns.iter().filter_map(|column| term(&column.word, &column.key)).collect(),
        started: column("attributes", "start_time", true, &sort),
        sort,
        columns,
        hidden_count,
        left_out_count,
        next: found.next_page_token.map(|token| query.with("token", &token).at(&here)).unwrap_or_default(),
        mlflow: if has_mlflow_page {
            mlflow_page(visitor.workspace(), &format!("experiments/{}/runs", experiment.experiment_id))
        } else {
            String::new()
        },
    };
    let mut answer = page_in(visitor.workspace(), &template)?;
    if is_faulty {
        *answer.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(answer)
}

/// The columns that the page's runs have, and those that were chosen although none of these runs has them.
fn columns(runs: &[Run], query: &Query, sort: &str) -> Vec<Column> {
    let metrics: BTreeSet<&str> = runs.iter().flat_map(|run| run.data.metrics.iter().map(|one| one.key.as_str())).collect();
    let params: BTreeSet<&str> = runs.iter().flat_map(|run| run.data.params.iter().map(|one| one.key.as_str())).collect();
    let asked = query.all("column");
    let mut all = Vec::new();
    for (word, keys) in [("metrics", metrics), ("params", params)] {
        let prefix = format!("{word}.");
        let absent = asked.iter().filter_map(|name| name.strip_prefix(&prefix)).filter(|key| !keys.contains(key));
        let chosen: BTreeSet<&str> = absent.collect();
        let is_chosen = |key: &str| asked.iter().any(|name| name.strip_prefix(&prefix) == Some(key));
        // What somebody asked for is there, however many there are before it.
        let offered = keys.iter().copied().enumerate().filter(|(place, key)| *place < COLUMN_COUNT_MAX || is_chosen(key));
        for (place, key) in offered.map(|(_, key)| key).chain(chosen).enumerate() {
            let is_asked = is_chosen(key);
            let is_shown = if asked.is_empty() { place < USUAL_COUNT } else { is_asked };
            all.push(column(word, key, is_shown, sort));
        }
    }
    all
}

/// Keys that the page's runs have.
fn key_count(runs: &[Run]) -> usize {
    let metrics = runs.iter().flat_map(|run| run.data.metrics.iter().map(|one| (true, one.key.as_str())));
    let params = runs.iter().flat_map(|run| run.data.params.iter().map(|one| (false, one.key.as_str())));
    metrics.chain(params).collect::<BTreeSet<_>>().len()
}

fn column(word: &str, key: &str, is_shown: bool, sort: &str) -> Column {
    let term = term(word, key);
    let by = |direction: &str| term.as_ref().map(|term| format!("{term} {direction}")).unwrap_or_default();
    let is_start = key == "start_time" && word == "attributes";
    let sorted = match sort {
        sort if sort == by("DESC") || is_start && sort == "start_time DESC" => "descending",
        sort if sort == by("ASC") => "ascending",
        _ => "none",
    };
    let sort_by = by(if sorted == "descending" { "ASC" } else { "DESC" });
    Column { word: word.to_owned(), key: key.to_owned(), is_shown, sort_by, sorted }
}

/// How the search grammar writes a key. A key that holds both kinds of quotes cannot be written.
fn term(word: &str, key: &str) -> Option<String> {
    if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Some(format!("{word}.{key}"));
    }
    let quote = ['`', '"'].into_iter().find(|quote| !key.contains(*quote))?;
    Some(format!("{word}.{quote}{key}{quote}"))
}

fn row(run: &Run, columns: &[&Column]) -> Row {
    let chars_max = (ROW_CHARS / columns.len().max(1)).clamp(20, 60);
    let value = |column: &&Column| match column.word.as_str() {
        "metrics" => run.data.metrics.iter().find(|one| one.key == column.key).map(|one| number(one.value)),
        _ => run.data.params.iter().find(|one| one.key == column.key).map(|one| short(&one.value, chars_max)),
    };
    let info = &run.info;
    Row {
        id: info.run_id.clone(),
        name: short(if info.name.is_empty() { &info.run_id } else { &info.name }, NAME_CHARS_MAX),
        status: info.status.to_ascii_lowercase(),
        tone: tone(&info.status).class(),
        started: moment_ms(info.start_time_ms),
        took: took(info.start_time_ms, info.end_time_ms),
        values: columns.iter().map(|column| value(column).unwrap_or_default()).collect(),
    }
}

/// How a run's status is shown.
#[must_use]
pub fn tone(status: &str) -> Tone {
    match status {
        "FINISHED" => Tone::Good,
        "FAILED" | "KILLED" => Tone::Bad,
        _ => Tone::Wait,
    }
}

/// How long a run took.
#[must_use]
pub fn took(start_ms: i64, end_ms: Option<i64>) -> String {
    let Some(end_ms) = end_ms else { return String::new() };
    match end_ms.saturating_sub(start_ms).max(0) {
        ms if ms < 1_000 => format!("{ms} ms"),
        ms if ms < 60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        ms if ms < 3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        ms => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// A number as tables show it: five digits that matter.
#[must_use]
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "∞"
        } else {
            "−∞"
        }
        .to_owned();
    }
    let size = value.abs();
    if value != 0.0 && !(1e-3..1e9).contains(&size) {
        return format!("{value:.4e}");
    }
    let decimals = [1.0, 10.0, 100.0, 1_000.0, 10_000.0].iter().filter(|limit| size < **limit).count();
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A value's beginning.
fn short(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max { text.to_owned() } else { text.chars().take(chars_max - 1).chain(['…']).collect() }
}

/// Where a run's page is.
#[must_use]
pub fn run_address(run_id: &str) -> String {
    format!("{RUN_PAGE}/{}", part(run_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_read_at_a_glance() {
        let numbers =
            [(0.0, "0"), (0.123_456_7, "0.12346"), (12.5, "12.5"), (1e-9, "1.0000e-9"), (123_456.0, "123456"), (-3.0, "-3")];
        for (value, text) in numbers {
            assert_eq!(number(value), text);
        }
        assert_eq!([f64::NAN, f64::INFINITY].map(number), ["NaN", "∞"]);
        assert_eq!(
            [Some(999), Some(61_500), Some(7_260_000), None].map(|end| took(0, end)),
            ["999 ms", "1 min 1 s", "2 h 1 min", ""]
        );
    }

    #[test]
    fn a_column_that_was_chosen_is_shown_however_many_there_are() {
        let metric = |number: usize| tracking::MetricPoint { key: format!("m{number:04}"), value: 1.0, timestamp_ms: 0, step: 0 };
        let run = Run {
            info: tracking::RunInfo {
                run_id: "r".to_owned(),
                experiment_id: 1,
                name: String::new(),
                user_name: String::new(),
                status: "FINISHED".to_owned(),
                start_time_ms: 0,
                end_time_ms: None,
                artifact_uri: String::new(),
                stage: tracking::Stage::Active,
            },
            data: tracking::RunData { metrics: (0..100).map(metric).collect(), ..tracking::RunData::default() },
        };
        let query = Query::default().with("column", "metrics.m0099");
        let all = columns(std::slice::from_ref(&run), &query, "");
        let shown: Vec<&str> = all.iter().filter(|one| one.is_shown).map(|one| one.key.as_str()).collect();
        assert_eq!((shown, all.len(), key_count(&[run])), (vec!["m0099"], COLUMN_COUNT_MAX + 1, 100));
    }

    #[test]
    fn a_key_is_quoted_as_the_grammar_wants_it() {
        assert_eq!(term("metrics", "acc"), Some("metrics.acc".to_owned()));
        assert_eq!(term("params", "a b`"), Some("params.\"a b`\"".to_owned()));
        assert_eq!(term("params", "`\""), None);
        for key in ["acc", "val/acc", "a b", "a`b", "ä"] {
            let filter = format!("{} > 1", term("metrics", key).unwrap());
            assert!(filter::parse_filter(filter::Entity::Run, &filter).is_ok(), "{filter}");
        }
    }
}
