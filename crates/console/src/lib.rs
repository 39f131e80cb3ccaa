//! The web pages: server-made, working without scripts but for passkeys, which need one small module. Every page is made of Operations: the
//! console has no way in that others don't have.
//!
//! It is no room: it holds no rule, and no state but what waits for a minute to be shown once (`once`). What it shows comes from the rooms' verbs, what it
//! does goes through them.
//!
//! INVARIANT: no page has an inline script or style, and none loads anything from elsewhere: the policy of each says so (`page::POLICY`).
//! INVARIANT: every text is escaped by its template; held by `tests::what_people_typed_is_text`.

mod access;
mod access_check;
mod access_elevation;
mod access_review;
mod account;
mod alerts;
mod asset;
mod audit;
mod authorize;
mod board;
mod bucket_page;
mod clients;
mod contract_page;
mod credentials;
mod curve;
mod datasets;
mod datasets_diff;
mod detections;
mod devices_page;
mod endpoint;
mod endpoints;
mod erasure;
mod experiments;
mod findings;
mod home;
mod home_grave;
mod intervals;
mod lineage_layout;
mod lineage_page;
mod listing;
mod login;
mod lost;
mod model_report;
mod models;
mod models_compare;
mod names;
mod once;
mod page;
mod people;
mod predictions_page;
mod promotion;
mod provider;
mod query;
mod rules_page;
mod run;
mod run_files;
mod runs;
mod runs_compare;
mod sections;
mod services_page;
mod start;
#[cfg(test)]
mod tests;
mod timeline;
mod traffic;
mod trial;
mod vault_page;
mod version;
mod workspaces;

use std::sync::Arc;

use gate::Action;
use identity::Identity;
use wire::Door;

use crate::once::Once;

pub use clients::{Clients, S3Place};
pub use page::problem_page;
pub use provider::{Leaving, Providers};

/// Every verb of the console's own; its pages ask for the rooms' verbs beside.
pub const ACTIONS: &[Action] = &[login::LOGIN_PAGE, provider::LOGIN_PROVIDER, asset::ASSET, home::HOME];

/// The rooms behind the pages.
#[derive(Clone)]
pub struct Rooms {
    /// Accounts, sessions, tokens.
    pub identity: Identity,
    /// From which devices they come.
    pub devices: devices::Devices,
    /// Who may do what.
    pub policy: policy::Policy,
    /// Experiments and runs.
    pub tracking: tracking::Tracking,
    /// Registered models.
    pub registry: registry::Registry,
    /// What stems from what.
    pub lineage: lineage::Lineage,
    /// Data sets.
    pub data: data::Data,
    /// Models between quarantine and use.
    pub admission: admission::Admission,
    /// Models that answer.
    pub serving: serving::Serving,
    /// Objects and their keys.
    pub artifacts: artifacts::Artifacts,
    /// Buckets.
    pub buckets: buckets::Buckets,
    /// What is retained.
    pub keeping: retention::Keeping,
    /// Backups.
    pub backup: backup::Backup,
    /// How all that is.
    pub observe: observe::Observe,
    /// What can be done about alerts.
    pub remedies: wire::admin::observe::Rooms,
    /// What endpoints were asked and said.
    pub predictions: predictions::Predictions,
    /// How log-ins are judged.
    pub log_ins: risk::LogIns,
    /// What was found in the log.
    pub detect: detect::Detect,
    /// The log.
    pub audit: ::audit::Audit,
    /// How programs reach this server.
    pub clients: Clients,
}

/// Adds the console's pages. `has_mlflow_page` says that MLflow's own stands at `/`.
pub fn routes(door: &mut Door, rooms: &Rooms, providers: Option<Arc<dyn Providers>>, has_mlflow_page: bool) {
    asset::routes(door);
    login::routes(door, &rooms.identity, providers.as_ref());
    provider::routes(door, &rooms.identity, providers);
    let once = Once::default();
    once.routes(door, &rooms.identity);
    account::routes(door, &rooms.identity, &rooms.clients, &once);
    authorize::routes(door, &rooms.identity);
    devices_page::routes(door, &rooms.identity, &rooms.devices, &once);
    home::routes(door, rooms, has_mlflow_page);
    home_grave::routes(door, rooms);
    workspaces::routes(door, rooms);
    experiments::routes(door, rooms);
    runs::routes(door, rooms, has_mlflow_page);
    run::routes(door, rooms, has_mlflow_page);
    run_files::routes(door, rooms);
    runs_compare::routes(door, rooms);
    curve::routes(door, rooms);
    lineage_page::routes(door, rooms);
    datasets::routes(door, rooms);
    datasets_diff::routes(door, rooms);
    contract_page::routes(door, rooms);
    models::routes(door, rooms);
    models_compare::routes(door, rooms);
    promotion::routes(door, rooms);
    endpoints::routes(door, rooms);
    endpoint::routes(door, rooms);
    predictions_page::routes(door, rooms);
    alerts::routes(door, rooms);
    vault_page::routes(door, rooms);
    bucket_page::routes(door, rooms);
    erasure::routes(door, rooms);
    start::routes(door, rooms);
    access::routes(door, rooms);
    access_check::routes(door, rooms);
    access_elevation::routes(door, rooms);
    people::routes(door, rooms);
    services_page::routes(door, rooms);
    access_review::routes(door, rooms);
    rules_page::routes(door, rooms);
    detections::routes(door, rooms);
    timeline::routes(door, rooms);
    audit::routes(door, rooms);
}
