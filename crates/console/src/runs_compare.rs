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
use crate::curve;
use crate::experiments::moment_ms;
use crate::page::page_in;
use crate::query::Query;
use crate::runs::{number, took};

const PAGE: &str = "/console/compare";
const RUN_COUNT_MAX: usize = 10;

/// A parameter, metric or tag of all runs.
struct Line {
    name: String,
    href: String,
    values: Vec<String>,
    differs: bool,
}

struct Part {
    id: &'static str,
    title: &'static str,
    lines: Vec<Line>,
    same_count: usize,
}

#[derive(Template)]
#[template(path = "compare.html")]
struct CompareTemplate {
    runs: Vec<(String, String)>,
    parts: Vec<Part>,
    all: String,
    is_all: bool,
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
    let metrics = lines(&runs, |run| run.data.metrics.iter().map(|one| (one.key.as_str(), number(one.value))).collect());
    let metrics = metrics.into_iter().map(|line| Line { href: curve::address(&line.name, ids()), ..line }).collect();
    let params = lines(&runs, |run| run.data.params.iter().map(|one| (one.key.as_str(), one.value.clone())).collect());
    let tags = lines(&runs, |run| run.data.tags.iter().map(|one| (one.key.as_str(), one.value.clone())).collect());
    let own = |run: &Run| {
        let info = &run.info;
        let data: Vec<String> =
            run.data.datasets.iter().map(|one| format!("{} {}", one.dataset.name, one.dataset.digest)).collect();
        BTreeMap::from([
            ("Began", moment_ms(info.start_time_ms)),
            ("By", info.user_name.clone()),
            ("Data", data.join(", ")),
            ("State", info.status.to_ascii_lowercase()),
            ("Took", took(info.start_time_ms, info.end_time_ms)),
        ])
    };
    let part = |id, title, lines: Vec<Line>| {
        let same_count = lines.iter().filter(|line| !line.differs).count();
        Part { id, title, lines: lines.into_iter().filter(|line| is_all || line.differs).collect(), same_count }
    };
    let parts = vec![
        part("metrics", "Metrics", metrics),
        part("params", "Parameters", params),
        part("runs", "The runs themselves", lines(&runs, own)),
        part("tags", "Tags", tags),
    ];
    let other = if is_all { query.without("show") } else { query.with("show", "all") };
    let name = |run: &Run| {
        (run.info.run_id.clone(), if run.info.name.is_empty() { run.info.run_id.clone() } else { run.info.name.clone() })
    };
    let runs = runs.iter().map(name).collect();
    page_in(visitor.workspace(), &CompareTemplate { runs, parts, all: other.at(PAGE), is_all })
}

/// A line for each name that one of the runs has.
fn lines<'a>(runs: &'a [Run], of: impl Fn(&'a Run) -> BTreeMap<&'a str, String>) -> Vec<Line> {
    let all: Vec<BTreeMap<&str, String>> = runs.iter().map(of).collect();
    let names: BTreeSet<&str> = all.iter().flat_map(|one| one.keys().copied()).collect();
    let line = |name: &str| {
        let values: Vec<Option<&String>> = all.iter().map(|one| one.get(name)).collect();
        let differs = values.windows(2).any(|pair| pair.first() != pair.last());
        let values = values.into_iter().map(|value| value.cloned().unwrap_or_else(|| "–".to_owned())).collect();
        Line { name: name.to_owned(), href: String::new(), values, differs }
    };
    names.into_iter().map(line).collect()
}
