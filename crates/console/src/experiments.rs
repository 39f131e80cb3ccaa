//! Experiments: which there are, the latest changed first.

use askama::Template;
use http::Method;
use kernel::Micros;
use tracking::View;
use tracking::ops::SearchExperiments;
use wire::{Door, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table};
use crate::page::{moment, page_in};
use crate::query::Query;

/// Where the page is.
pub const PAGE: &str = "/console/experiments";
const ROWS: i64 = 50;

#[derive(Template)]
#[template(path = "experiments.html")]
struct ExperimentsTemplate {
    filter: String,
    table: Table,
}

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.tracking.clone();
    let search = move |inbound: &Inbound| {
        let query = Query::of(inbound)?;
        let search = SearchExperiments {
            room: room.clone(),
            filter: query.get("filter").unwrap_or_default().to_owned(),
            order_by: vec!["last_update_time DESC".to_owned()],
            view: View::Active,
            max_results: ROWS,
            page_token: query.get("token").map(str::to_owned),
        };
        Ok((search, (query, inbound.workspace().to_owned())))
    };
    door.route_with(Method::GET, PAGE, search, |found, (query, workspace)| {
        let row = |one: &tracking::Experiment| {
            vec![
                Cell::link(one.name.clone(), format!("{PAGE}/{}", one.experiment_id)),
                Cell::text(moment_ms(one.updated_ms)),
                Cell::text(moment_ms(one.created_ms)),
            ]
        };
        let table = Table {
            id: "experiments",
            title: "Experiments".to_owned(),
            columns: vec!["Name", "Last changed", "Made"],
            rows: found.items.iter().map(row).collect(),
            empty: "No experiment fits. mlflow.set_experiment(\"NAME\") makes one, and mlflow.start_run() a run in it."
                .to_owned(),
            next: found.next_page_token.map(|token| query.with("token", &token).at(PAGE)).unwrap_or_default(),
        };
        page_in(&workspace, &ExperimentsTemplate { filter: query.get("filter").unwrap_or_default().to_owned(), table })
    });
}

/// A client's time, as pages write it.
#[must_use]
pub fn moment_ms(ms: i64) -> String {
    moment(Micros(ms.saturating_mul(1_000)))
}
