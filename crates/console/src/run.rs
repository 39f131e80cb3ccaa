//! One run: what was measured and set, what it read and made, and its files.

use artifacts::{ListArtifacts, Owner, Place};
use askama::Template;
use gate::{Operation, Visitor};
use http::Method;
use kernel::Problem;
use lineage::record::version_in;
use registry::ops::SearchVersions;
use tracking::ops::{GetExperiment, GetRun};
use tracking::{DatasetInput, KeyValue, Run};
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::board::{Cell, Table, bytes, if_allowed, part, shortened};
use crate::curve;
use crate::experiments::{self, moment_ms};
use crate::page::page_in;
use crate::query::Query;
use crate::runs::{RUN_PAGE, mlflow_page, number, run_address, tone, took};

/// Versions that were registered from a run, as far as they are shown.
const VERSION_COUNT_MAX: i64 = 50;
/// Metrics, parameters, tags, data and files of one page each.
const ROW_COUNT: usize = 100;
/// Letters of a value: the client has it whole.
const VALUE_CHARS_MAX: usize = 160;

#[derive(Template)]
#[template(path = "run.html")]
struct RunTemplate {
    experiment: (String, String),
    name: String,
    status: String,
    is_deleted: bool,
    tone: &'static str,
    facts: Vec<(&'static str, String)>,
    lineage: String,
    mlflow: String,
    tables: Vec<Table>,
}

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms, has_mlflow_page: bool) {
    let rooms = rooms.clone();
    let verbs = [GetRun::ACTION, GetExperiment::ACTION, ListArtifacts::ACTION, SearchVersions::ACTION];
    door.choice(Method::GET, &format!("{RUN_PAGE}/{{run}}"), &verbs, move |inbound| {
        let (rooms, id, query) = (rooms.clone(), inbound.path("run").to_owned(), Query::of(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, &rooms, id, query, has_mlflow_page).await })))
    });
}

async fn shown(visitor: &Visitor, rooms: &Rooms, run_id: String, query: Query, has_mlflow_page: bool) -> Result<Answer, Problem> {
    let folder = query.get("folder").unwrap_or_default().to_owned();
    let run = visitor.call(GetRun { room: rooms.tracking.clone(), run_id: run_id.clone() }).await?;
    let experiment_id = run.info.experiment_id.to_string();
    let get = GetExperiment { room: rooms.tracking.clone(), experiment_id: experiment_id.clone() };
    let experiment = if_allowed(visitor, get).await?.map_or_else(|| experiment_id.clone(), |found| found.name);
    let place = Place::of(Owner::Run(run_id.clone()), Some(&folder))?;
    let listed = if_allowed(visitor, ListArtifacts { room: rooms.artifacts.clone(), place }).await?;
    // Who looks through folders is shown those.
    let mut tables = Vec::new();
    if folder.is_empty() {
        tables.extend([metrics(&run), pairs(("params", "Parameters"), &run.data.params)]);
        tables.extend(versions(visitor, rooms, &run_id).await?);
        tables.push(datasets(&run.data.datasets));
    }
    tables.extend(listed.map(|listing| files(&run_id, &folder, &listing.entries)));
    if folder.is_empty() {
        tables.push(pairs(("tags", "Tags"), &run.data.tags));
    }
    let page = run_address(&run_id);
    let tables = tables.into_iter().map(|table| table.in_parts(ROW_COUNT, &query, &page)).collect::<Result<_, _>>()?;
    let info = &run.info;
    let facts = vec![
        ("Began", moment_ms(info.start_time_ms)),
        ("Took", took(info.start_time_ms, info.end_time_ms)),
        ("By", info.user_name.clone()),
        ("Id", info.run_id.clone()),
    ];
    let template = RunTemplate {
        experiment: (experiment, format!("{}/{experiment_id}", experiments::PAGE)),
        name: if info.name.is_empty() { info.run_id.clone() } else { info.name.clone() },
        is_deleted: info.stage == tracking::Stage::Deleted,
        status: info.status.to_ascii_lowercase(),
        tone: tone(&info.status).class(),
        facts,
        lineage: format!("/console/lineage?subject={}", part(&format!("run:{run_id}"))),
        mlflow: if has_mlflow_page {
            mlflow_page(visitor.workspace(), &format!("experiments/{experiment_id}/runs/{run_id}"))
        } else {
            String::new()
        },
        tables,
    };
    page_in(visitor.workspace(), &template)
}

fn metrics(run: &Run) -> Table {
    let row = |one: &tracking::MetricPoint| {
        vec![
            Cell::link(one.key.clone(), curve::address(&one.key, [run.info.run_id.as_str()])),
            Cell::text(number(one.value)),
            Cell::text(one.step.to_string()),
        ]
    };
    let rows = run.data.metrics.iter().map(row).collect();
    let columns = ["Metric and its curve", "Latest", "Step"];
    Table::whole("metrics", "Metrics", &columns, rows, "Nothing was measured: mlflow.log_metric.")
}

fn pairs((id, title): (&'static str, &str), all: &[KeyValue]) -> Table {
    let row = |one: &KeyValue| vec![Cell::text(one.key.clone()), Cell::text(shortened(&one.value, VALUE_CHARS_MAX))];
    Table::whole(id, title, &["Name", "Value"], all.iter().map(row).collect(), "None.")
}

async fn versions(visitor: &Visitor, rooms: &Rooms, run_id: &str) -> Result<Option<Table>, Problem> {
    // The id was found in the tables: it holds no quote.
    let search = SearchVersions {
        room: rooms.registry.clone(),
        filter: format!("run_id = '{run_id}'"),
        order_by: Vec::new(),
        max_results: Some(VERSION_COUNT_MAX),
        page_token: None,
    };
    let Some(found) = if_allowed(visitor, search).await? else { return Ok(None) };
    let row = |one: &registry::ModelVersion| {
        let name = format!("{}/{}", one.name, one.version);
        vec![Cell::link(name, format!("/console/models/{}/{}", part(&one.name), one.version)), Cell::text(one.stage.word())]
    };
    let rows = found.rows.iter().map(row).collect();
    let title = match found.next {
        Some(_) => format!("Registered models: the first {VERSION_COUNT_MAX}, and there are more"),
        None => "Registered models".to_owned(),
    };
    Ok(Some(Table::whole("versions", title, &["Version", "Stage"], rows, "No version was registered from this run.")))
}

fn datasets(inputs: &[DatasetInput]) -> Table {
    let row = |one: &DatasetInput| {
        let context = one.tags.iter().find(|tag| tag.key == "mlflow.data.context").map(|tag| tag.value.clone());
        let name = match version_in(&one.dataset.source) {
            Some((dataset, number)) => Cell::link(one.dataset.name.clone(), format!("/console/data/{}/{number}", part(&dataset))),
            None => Cell::text(one.dataset.name.clone()),
        };
        vec![name, Cell::text(context.unwrap_or_default()), Cell::text(one.dataset.digest.clone())]
    };
    let rows = inputs.iter().map(row).collect();
    Table::whole("datasets", "Data that it read", &["Name", "For", "Digest"], rows, "It named none: mlflow.log_input.")
}

fn files(run_id: &str, folder: &str, entries: &[artifacts::ListedEntry]) -> Table {
    let at = |path: &str| format!("{}?folder={}", run_address(run_id), part(path));
    let above = (!folder.is_empty()).then(|| {
        let parent = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
        vec![Cell::link("..", format!("{}#files", at(parent))), Cell::text("")]
    });
    let row = |one: &artifacts::ListedEntry| match one.size_bytes {
        None => vec![Cell::link(format!("{}/", one.name()), format!("{}#files", at(&one.path))), Cell::text("folder")],
        Some(size) => {
            let path: Vec<String> = one.path.split('/').map(part).collect();
            let size = bytes(i64::try_from(size).unwrap_or(i64::MAX));
            vec![Cell::link(one.name(), format!("{}/view/{}", run_address(run_id), path.join("/"))), Cell::text(size)]
        }
    };
    let title = if folder.is_empty() { "Files".to_owned() } else { format!("Files in {folder}") };
    let rows = above.into_iter().chain(entries.iter().map(row)).collect();
    Table::whole("files", &title, &["Name", "Size"], rows, "No file: mlflow.log_artifact.")
}

#[cfg(test)]
mod tests {
    use tracking::Dataset;

    use super::*;

    #[test]
    fn data_that_was_read_here_leads_to_its_version() {
        let input = |source: &str| {
            let dataset = Dataset { name: "rows".to_owned(), source: source.to_owned(), ..Dataset::default() };
            DatasetInput { dataset, tags: Vec::new() }
        };
        let here = "{\"url\": \"https://h:8443/api/strongroom/v1/datasets/churn%2D2024/versions/12/files/a.csv\"}";
        let table = datasets(&[input(here), input("s3://x/y")]);
        let links: Vec<&str> = table.rows.iter().filter_map(|row| Some(row.first()?.href.as_str())).collect();
        assert_eq!(links, ["/console/data/churn%2D2024/12", ""]);
    }
}
