//! The doors: every route of every room behind one gate, in HTTP and in S3's language.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use gate::{Gate, JobKey};
use kernel::{Clock, Problem};
use wire::{Door, DoorConfig, RouteEntry};

use crate::boot::{Rooms, Way};
use crate::config::Config;
use crate::federating::{self, Federation};
use crate::folder::host_names;
use crate::{keykeeping, observing, system, ui};

/// What the doors need beside the rooms.
pub struct Behind<'a> {
    /// The data folder.
    pub data: &'a Path,
    /// What the operator wishes.
    pub config: &'a Config,
    /// How the folder is opened.
    pub way: Way,
    /// The gate.
    pub gate: &'a Gate,
    /// Makes the identities of jobs.
    pub jobs: &'a JobKey,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What is to be said of keys.
    pub warnings: &'a keykeeping::KeyWarnings,
}

/// The doors, still open for more routes.
pub struct Doors {
    /// HTTP.
    pub door: Door,
    /// S3.
    pub s3_router: Router,
    /// What S3's language has.
    pub s3_table: Vec<RouteEntry>,
}

/// Hangs every room's routes into the doors.
///
/// # Errors
/// `Invalid` for a configuration that cannot be followed.
pub fn open(rooms: &Rooms, behind: Behind<'_>) -> Result<Doors, Problem> {
    let page = behind.config.server.mlflow_ui_dir.as_deref().map(ui::list_page).transpose()?;
    // Only a server tells: a command ends too soon.
    let telemetry = behind.way.bound.map(|_| crate::telemetry::begin(&behind.config.telemetry)).transpose()?.flatten();
    let telemetry = telemetry.map(|teller| Arc::new(teller) as Arc<dyn wire::Telemetry>);
    let mut door = Door::new(
        behind.gate.clone(),
        DoorConfig {
            allowed_hosts: host_names(behind.config, behind.way.bound),
            trusted_proxies: rooms.devices.trusted_proxies(),
            telemetry,
            problem_page: Some(console::problem_page),
        },
    );
    wire::mlflow::routes(&mut door, &rooms.tracking, &rooms.registry, &rooms.artifacts, &rooms.identity);
    let behind_admin = wire::admin::Rooms {
        identity: &rooms.identity,
        policy: &rooms.policy,
        audit: &rooms.audit,
        lineage: &rooms.lineage,
        artifacts: &rooms.artifacts,
        data: &rooms.data,
        admission: &rooms.admission,
        tracking: &rooms.tracking,
        retrain: &rooms.retrain,
    };
    wire::admin::routes(&mut door, &behind_admin);
    wire::admin::retention::routes(&mut door, &rooms.buckets, &rooms.keeping);
    wire::admin::risk::routes(&mut door, &rooms.log_ins);
    wire::admin::devices::routes(&mut door, &rooms.devices);
    wire::admin::fleets::routes(&mut door, &rooms.devices);
    wire::admin::mail::routes(&mut door, &rooms.mail);
    wire::scim::routes(&mut door, &rooms.identity);
    wire::statements::routes(&mut door, &rooms.identity);
    wire::admin::endpoints::routes(&mut door, &rooms.serving);
    wire::admin::predictions::routes(&mut door, &rooms.predictions);
    wire::admin::trace::routes(&mut door, &rooms.predictions, &rooms.lineage, &rooms.admission);
    wire::admin::endpoint_guard::routes(&mut door, &rooms.serving);
    wire::admin::backups::routes(&mut door, &rooms.backup);
    wire::admin::detections::routes(&mut door, &rooms.detect);
    wire::inference::routes(&mut door, &rooms.serving);
    observing::routes(&mut door, rooms, behind.data, behind.warnings);
    wire::mlflow::evaluation::routes(&mut door, &rooms.evaluation);
    wire::mlflow::traces::routes(&mut door, &rooms.traces, &rooms.artifacts);
    wire::otlp::routes(&mut door, &rooms.traces);
    wire::openlineage::routes(&mut door, &rooms.lineage);
    wire::mlflow::workspaces::routes(&mut door, &rooms.identity);
    let federation = Federation::open(
        &behind.config.federation,
        (&rooms.identity, &rooms.mail),
        behind.gate,
        behind.jobs.pass(federating::JOB),
        Arc::clone(&behind.clock),
    )?;
    if let Some(federation) = &federation {
        rooms.identity.set_federate(Arc::clone(federation) as _);
    }
    let providers = federation.map(|federation| federation as Arc<dyn console::Providers>);
    let behind_console = console::Rooms {
        identity: rooms.identity.clone(),
        devices: rooms.devices.clone(),
        policy: rooms.policy.clone(),
        tracking: rooms.tracking.clone(),
        registry: rooms.registry.clone(),
        lineage: rooms.lineage.clone(),
        data: rooms.data.clone(),
        admission: rooms.admission.clone(),
        serving: rooms.serving.clone(),
        observe: rooms.observe.clone(),
        artifacts: rooms.artifacts.clone(),
        buckets: rooms.buckets.clone(),
        keeping: rooms.keeping.clone(),
        backup: rooms.backup.clone(),
        remedies: observing::behind(rooms, behind.warnings),
        predictions: rooms.predictions.clone(),
        log_ins: rooms.log_ins.clone(),
        detect: rooms.detect.clone(),
        audit: rooms.audit.clone(),
        clients: clients(behind.data, behind.config, behind.way.s3_bound),
    };
    console::routes(&mut door, &behind_console, providers, page.is_some());
    if let Some(page) = &page {
        ui::routes(&mut door, page);
    }
    system::routes(&mut door);
    let s3 = s3::S3::new(
        (rooms.buckets.clone(), rooms.data.clone()),
        rooms.identity.clone(),
        &behind.config.s3.region,
        Arc::clone(&behind.clock),
    );
    let s3_table = wire::Language::table(&s3);
    let s3_router = door.speak(Arc::new(s3));
    Ok(Doors { door, s3_router, s3_table })
}

/// How programs reach this server, for the settings that pages show.
fn clients(data: &Path, config: &Config, s3_bound: Option<std::net::SocketAddr>) -> console::Clients {
    let region = || config.s3.region.clone();
    let s3 = s3_bound.map(|bound| console::S3Place { port: bound.port(), region: region() });
    // Whoever brings a certificate of their own has an authority that clients know.
    let own = config.tls.certificate.is_none().then(|| std::fs::read_to_string(crate::tls::ca_path(data)).ok()).flatten();
    console::Clients { s3, authority: own }
}
