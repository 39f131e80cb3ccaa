//! The wiring: opens the data folder and plugs the rooms together behind the gate's ports. One look here shows who holds
//! which handle on what.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use artifacts::Artifacts;
use audit::{Audit, AuditLog, OnMismatch};
use axum::Router;
use buckets::Buckets;
use detect::Detect;
use gate::{Gate, JobKey, Ports};
use identity::{Identity, Passes};
use kernel::{Clock, Problem, Secret, SystemClock};
use policy::Policy;
use predictions::Predictions;
use registry::Registry;
use retention::Keeping;
use tracking::Tracking;
use vault::db::{DbError, Location, Opening, Reader};
use vault::keys::{KeyService, Keyring};
use vault::objects::{Objects, ObjectsLocation, S3Location};
use wire::RouteEntry;

use crate::config::{Config, ObjectsConfig, POSTGRES_SCHEMES, RootKeyConfig, VaultConfig};
use crate::doors::{self, Doors};
use crate::folder::{check_folder, lock};
use crate::key_services::{self, First};
use crate::locate::Locator;
use crate::receipts::LogReceipts;
use crate::{
    backing, detecting, devicing, engines, housekeeping, inspecting, judging, keykeeping, mailing, observing, retraining,
};

/// An open data folder.
pub struct App {
    /// Everything that can be asked over HTTP.
    pub router: Router,
    /// S3, for its own listener.
    pub s3_router: Router,
    /// How S3's verbs are asked for.
    pub s3_table: Vec<RouteEntry>,
    /// Its routes.
    pub table: Vec<RouteEntry>,
    /// The door, for commands and jobs of this process.
    pub gate: Gate,
    /// Makes their identities.
    pub jobs: JobKey,
    /// The rooms.
    pub rooms: Rooms,
    housekeeping: tokio::task::JoinHandle<()>,
    cosigning: Option<tokio::task::JoinHandle<()>>,
    inspecting: Option<tokio::task::JoinHandle<()>>,
    /// Other jobs of rooms.
    background: Vec<tokio::task::JoinHandle<()>>,
    _lock: File,
}

/// The rooms' handles.
#[derive(Clone)]
pub struct Rooms {
    /// Accounts.
    pub identity: Identity,
    /// Grants.
    pub policy: Policy,
    /// Experiments and runs.
    pub tracking: Tracking,
    /// Traces.
    pub traces: traces::Traces,
    /// Models.
    pub registry: Registry,
    /// Evaluation datasets.
    pub evaluation: evaluation::Evaluation,
    /// Files of runs and models.
    pub artifacts: Artifacts,
    /// Objects by key.
    pub buckets: Buckets,
    /// What is retained as a whole.
    pub keeping: Keeping,
    /// How risky requests are: where risk is raised.
    pub assessor: Arc<risk::Assessor>,
    /// How log-ins are judged.
    pub log_ins: risk::LogIns,
    /// From which devices people come.
    pub devices: devices::Devices,
    /// Data sets.
    pub data: data::Data,
    /// Models between quarantine and use.
    pub admission: admission::Admission,
    /// Models that answer.
    pub serving: serving::Serving,
    /// What they were asked and said.
    pub predictions: Predictions,
    /// Alerts, health and metrics.
    pub observe: observe::Observe,
    /// What was found in the log.
    pub detect: Detect,
    /// Where models come from.
    pub lineage: lineage::Lineage,
    /// Jobs that train models again.
    pub retrain: retrain::Retrain,
    /// Notices that leave by mail.
    pub mail: mail::Mail,
    /// The log.
    pub audit: Audit,
    /// Backups.
    pub backup: backup::Backup,
    /// The keys.
    pub keyring: Keyring,
}

/// The file of the root key, if it lies in one.
#[must_use]
pub fn root_key_path(data: &Path, config: &RootKeyConfig) -> Option<PathBuf> {
    match config {
        RootKeyConfig::File => Some(data.join("keys/root.key")),
        RootKeyConfig::FileAt { path } => Some(path.clone()),
        _ => None,
    }
}

/// What a root passphrase is stretched with.
#[must_use]
pub fn passphrase_path(data: &Path) -> PathBuf {
    data.join("keys/passphrase.salt")
}

/// How a folder is opened.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// The address of the server that it is opened for.
    pub bound: Option<SocketAddr>,
    /// The address at which it speaks S3.
    pub s3_bound: Option<SocketAddr>,
    /// What is expected of the database.
    pub database: Opening,
    /// What happens if the log does not fit together.
    pub on_mismatch: OnMismatch,
}

impl Default for Way {
    fn default() -> Self {
        Self { bound: None, s3_bound: None, database: Opening::Existing, on_mismatch: OnMismatch::Refuse }
    }
}

/// Opens the folder for a command.
///
/// # Errors
/// `Conflict` if another process has it open, `Invalid` for a folder or configuration that cannot be used.
pub async fn open(data: &Path, config: &Config) -> Result<App, Problem> {
    open_as(data, config, Way::default()).await
}

/// Opens the folder as `way` says.
///
/// # Errors
/// As [`open`].
pub async fn open_as(data: &Path, config: &Config, way: Way) -> Result<App, Problem> {
    if way.database != Opening::Make {
        check_folder(data)?;
    }
    open_with(data, config, way, root_key(data, config).await?).await
}

/// Opens the folder as `way` says, under this root key.
///
/// # Errors
/// As [`open`].
pub async fn open_with(data: &Path, config: &Config, way: Way, root: Arc<dyn KeyService>) -> Result<App, Problem> {
    let lock = lock(data)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let opened = open_database(data, config, way.database)?;
    let keyring = Keyring::open(opened.system.clone(), root, Arc::clone(&clock)).await?;
    keyring.note_root().await?;
    // Made at the beginning: a backup that is older than the first tombstone knows whose signature to trust.
    keyring.tombstone_key().await?;
    let settings = audit::AuditConfig { on_mismatch: way.on_mismatch, ..log_settings(data, config, &keyring).await? };
    let log = AuditLog::open(settings, opened.system.clone(), Arc::clone(&clock))?;
    crate::verify::write_key(data, &log.verifier_key().to_string())?;

    let passes = Passes::new(&*keyring.secret("identity/passes").await?, wire::mlflow::artifacts::PASS_ACTIONS);
    let identity = Identity::with_passes(opened.db.clone(), config.identity.clone(), passes)?;
    let identity_port = Arc::new(identity.port(opened.ports.clone(), Arc::clone(&clock)));
    let policy = Policy::open(opened.db.clone(), opened.ports.clone(), Arc::new(Principals)).await?;
    // Commands that only open the folder review nothing.
    if way.bound.is_some()
        && let Some(solver) = config.policy.solver().await?
    {
        policy.set_solver(solver);
    }
    policy.set_alarm(Arc::new(observing::Glass(config.observe.receivers())));
    let assessor = judging::assessor(config, &opened, &keyring, &clock).await?;
    let devices = devicing::open(&opened, &keyring, &config.devices, &identity).await?;
    identity.set_offices(Arc::new(judging::Offices(policy.clone())));
    identity.set_distrust(Arc::new(judging::Distrust(Arc::clone(&assessor))));
    let mail = mailing::open(&opened, &keyring, &config.mail, (&identity, &policy)).await?;
    let log_ins = judging::open(&opened, &keyring, &clock, (&config.risk, way.bound.is_some())).await?;
    if way.bound.is_some() {
        let (log_ins, assessor, mail) = (log_ins.clone(), Arc::clone(&assessor), mail.clone());
        identity.set_watch(Arc::new(judging::Watch { log_ins, assessor, mail }));
    }
    let (gate, jobs) = Gate::new(Ports {
        identify: Arc::clone(&identity_port) as _,
        locate: Arc::new(Locator::new(opened.ports.clone(), Arc::clone(&clock))),
        assess: Arc::clone(&assessor) as _,
        decide: Arc::new(policy.port()),
        record: Arc::clone(&log) as _,
        clock: Arc::clone(&clock),
    });
    let objects = open_objects(data, config, &keyring, way.bound.is_some()).await?;
    let compliance = retention::ComplianceClock::new(Arc::clone(&clock));
    let rules = retention::Rules::open(config.retention.rules.as_deref(), compliance.clone())?;
    let artifacts = Artifacts::new(opened.db.clone(), objects.clone()).with_config(config.artifacts.clone());
    let bypasses = Arc::new(observing::Bypasses(config.observe.receivers()));
    let buckets = Buckets::with_clock(opened.db.clone(), objects.clone(), compliance).with_alarm(Arc::clone(&bypasses) as _);
    let keeping = Keeping::new((opened.db.clone(), opened.system.clone()), objects.clone(), rules.clone())
        .with_alarm(Arc::clone(&bypasses) as _);
    let artifacts = artifacts.with_keys(keykeeping::ground(data, &config.vault));
    let ground = admission::Ground {
        db: opened.db.clone(),
        system: opened.system.clone(),
        objects: objects.clone(),
        artifacts: artifacts.clone(),
        clock: Arc::clone(&clock),
        receipts: Arc::new(LogReceipts(Audit::new(Arc::clone(&log)))),
    };
    let predictions = predictions::Ground {
        db: opened.db.clone(),
        system: opened.system.clone(),
        objects: objects.clone(),
        clock: Arc::clone(&clock),
        receipts: Arc::clone(&ground.receipts),
        queries: inspecting::queries(&config.data),
        query_limits: (config.data.query_seconds_max, config.data.inspection_memory_bytes_max),
    };
    let predictions = Predictions::open(predictions, &data.join("predictions"), config.predictions.clone()).await?;
    let admission = inspecting::open_admission(&config.admission, ground)?.with_retention(rules.clone());
    let serving = serving::Serving::logged(
        opened.db.clone(),
        admission.clone(),
        artifacts.clone(),
        Arc::clone(&clock),
        config.serving.clone(),
        Some(Arc::new(predictions.clone())),
    );
    let collector = Arc::new(observe::Collector::default());
    let serving = serving.with_observer(Arc::clone(&collector) as _);
    let observe =
        observe::Observe::new((opened.db.clone(), opened.system.clone()), objects.clone(), collector, config.observe.clone());
    let audit = Audit::new(Arc::clone(&log));
    let asked = serving.clone();
    let observe = observe
        .with_more(crate::log_health::health(&audit))
        .with_more(backing::health(&config.backup))
        .with_obstacles(Arc::new(move |reader, endpoint| asked.obstacle(reader, endpoint)));
    let backup = backing::open(data, config, &opened, (&objects, &keyring, &audit), &clock, &rules);
    let sets = inspecting::open_data(&config.data, &opened, objects)?.with_retention(rules);
    let keeping = keeping.with_rooms(vec![Arc::new(sets.clone()), Arc::new(admission.clone()), Arc::new(backup.clone())]);
    let ground = (opened.db.clone(), opened.system.clone());
    let detect = Detect::open(ground, config.detections.clone(), observe.receivers())?;
    let rooms = Rooms {
        detect,
        backup,
        serving,
        predictions,
        observe,
        identity,
        policy,
        tracking: Tracking::new(opened.db.clone()),
        traces: traces::Traces::new(opened.db.clone()),
        registry: Registry::new(opened.db.clone()).with_admission(Arc::new(admission.clone())),
        evaluation: evaluation::Evaluation::new(opened.db.clone()),
        data: sets,
        admission,
        retrain: retrain::Retrain::new(opened.db.clone(), opened.system.clone(), artifacts.clone(), config.retrain.clone()),
        buckets,
        keeping,
        assessor,
        log_ins,
        devices,
        mail,
        artifacts,
        lineage: lineage::Lineage::new(opened.db.clone(), keyring.clone()),
        audit,
        keyring,
    };
    let warnings = keykeeping::KeyWarnings::default();
    let behind = doors::Behind { data, config, way, gate: &gate, jobs: &jobs, clock: Arc::clone(&clock), warnings: &warnings };
    let Doors { door, s3_router, s3_table } = doors::open(&rooms, behind)?;
    let housekeeping = housekeeping::begin(&rooms, identity_port, opened.system, (&gate, &jobs));
    // In commands too: what a server that was killed left in its journal is found by them.
    let sealer = predictions::Runner::new(rooms.predictions.clone(), gate.clone(), jobs.pass(predictions::SEALER));
    let sealing = tokio::spawn(sealer.run());
    // Only a server sends its checkpoints to witnesses: a command ends too soon.
    let cosigning = match way.bound {
        Some(_) => Some(tokio::spawn(crate::cosign::job(log, &config.audit.witnesses)?)),
        None => None,
    };
    let inspecting = way.bound.map(|_| inspecting::job(&rooms.data, &rooms.admission, &config.data, &gate, &jobs));
    let watching = match way.bound {
        Some(_) => Some(observing::begin(&rooms, data, &config.observe, (&gate, &jobs), Arc::clone(&clock))?),
        None => None,
    };
    if let Some(bound) = way.bound {
        rooms.serving.set_engines(Arc::new(engines::Elsewhere::open(data, &config.serving, retraining::near(bound))?));
    }
    let mailing = way.bound.and_then(|_| mailing::begin(&rooms, (&gate, &jobs), Arc::clone(&clock)));
    let looking = way.bound.map(|_| detecting::begin(&rooms, (&gate, &jobs), Arc::clone(&clock)));
    let ground = way.bound.map(|bound| retraining::Ground { data, config, bound, gate: &gate, jobs: &jobs, clock });
    let mut background = retraining::begin(&rooms, ground)?;
    background.push(sealing);
    background.push(backing::begin(&rooms.backup, data, config, (&gate, &jobs), way.bound.is_some()));
    background.extend(watching);
    background.extend(looking);
    background.extend(mailing);
    if way.bound.is_some() {
        let keeper = serving::Keeper::new(rooms.serving.clone(), gate.clone(), jobs.pass(serving::KEEPER));
        background.push(tokio::spawn(keeper.run()));
        background.push(tokio::spawn(judging::keep(rooms.log_ins.clone())));
        background.push(keykeeping::begin(&rooms.artifacts, &gate, &jobs, warnings));
    }
    let table = door.table().to_vec();
    Ok(App {
        router: door.into_router(),
        s3_router,
        s3_table,
        table,
        gate,
        jobs,
        rooms,
        housekeeping,
        cosigning,
        inspecting,
        background,
        _lock: lock,
    })
}

impl App {
    /// Brings everything that is still in memory to the disk.
    pub async fn close(self) {
        self.housekeeping.abort();
        for job in [&self.cosigning, &self.inspecting].into_iter().flatten().chain(&self.background) {
            job.abort();
        }
        self.rooms.audit.log().close();
    }
}

/// Where the database is.
///
/// # Errors
/// `Invalid` for an address that is none.
pub fn location_of(data: &Path, config: &VaultConfig) -> Result<Location, Problem> {
    match config.database.expose() {
        "sqlite" => Ok(Location::Sqlite(data.join(backup::restore::DATABASE))),
        url if POSTGRES_SCHEMES.iter().any(|scheme| url.starts_with(scheme)) => {
            Ok(Location::Postgres { url: Secret::from(url.to_owned()), ca: config.database_ca.clone() })
        }
        _ => Err(Problem::invalid("`vault.database` is `sqlite` or a `postgres://` address")),
    }
}

/// Opens the database.
///
/// # Errors
/// `Invalid` for an address that is none, `Unavailable` if it cannot be reached.
pub fn open_database(data: &Path, config: &Config, opening: Opening) -> Result<vault::db::Opened, Problem> {
    vault::db::open_as(&location_of(data, &config.vault)?, opening)
        .map_err(|error| Problem::unavailable(format!("the database cannot be opened: {error}")).because(error))
}

/// The service that holds the root key.
///
/// # Errors
/// `Invalid` if the key is missing or readable by others; `Unavailable` if the service is not there.
pub async fn root_key(data: &Path, config: &Config) -> Result<Arc<dyn KeyService>, Problem> {
    key_services::open(data, &config.vault.root_key, First::Wanted, Arc::new(SystemClock)).await
}

/// The root passphrase.
///
/// # Errors
/// `Invalid` if the variable is not set.
pub fn passphrase(variable: &str) -> Result<Secret, Problem> {
    let text = std::env::var(variable);
    text.map(Secret::from).map_err(|_| Problem::invalid(format!("the variable `{variable}` with the passphrase is not set")))
}

/// The objects, with what holds them besides software. A bucket is tried for that where a server starts, not for each command.
async fn open_objects(data: &Path, config: &Config, keyring: &Keyring, is_server: bool) -> Result<Objects, Problem> {
    let location = match &config.vault.objects {
        ObjectsConfig::Local => ObjectsLocation::Folder(data.join("objects")),
        ObjectsConfig::S3 { bucket, region, endpoint, prefix, allow_insecure_http, ca, .. } => ObjectsLocation::S3(S3Location {
            bucket: bucket.clone(),
            region: region.clone(),
            endpoint: endpoint.clone(),
            credentials: None,
            prefix: prefix.clone(),
            allow_insecure_http: *allow_insecure_http,
            ca: ca.clone(),
        }),
    };
    let objects = Objects::open_at(&location, keyring.clone())?;
    if !is_server {
        return Ok(objects);
    }
    if matches!(&config.vault.objects, ObjectsConfig::S3 { object_lock: true, .. }) {
        return objects.with_object_lock().await;
    }
    if !config.vault.immutable_files {
        return Ok(objects);
    }
    let (objects, fault) = objects.with_immutable_files()?;
    if let Some(fault) = fault {
        tracing::warn!("files cannot be made immutable, so retention is enforced by this server alone: {fault}");
    }
    Ok(objects)
}

/// The log's settings, with its keys.
///
/// # Errors
/// `Unavailable` if the keys cannot be had.
pub async fn log_settings(data: &Path, config: &Config, keyring: &Keyring) -> Result<audit::AuditConfig, Problem> {
    let seed = keyring.secret("audit/signing-seed").await?;
    let install_key = keyring.secret("audit/install-key").await?;
    let id = keyring.secret("audit/origin").await?;
    // The origin is public; a digest of a secret gives it a random, lasting name.
    let digest = kernel::hex(&kernel::sha256(id.expose()));
    let origin = format!("strongroom.local/audit/{}", digest.chars().take(32).collect::<String>());
    let mut settings = audit::AuditConfig::new(&data.join("audit"), &origin, seed.as_ref().clone(), install_key.as_ref().clone());
    settings.wait_max = Duration::from_millis(config.audit.wait_ms);
    config.audit.check()?;
    settings.witness_keys = config.audit.witness_keys.clone();
    Ok(settings)
}

/// Answers policy's questions about principals from identity's tables.
struct Principals;

impl policy::Directory for Principals {
    fn find(&self, reader: &mut Reader<'_>, id_or_name: &str) -> Result<Option<policy::Principal>, DbError> {
        let found = identity::principal_with_groups(reader, id_or_name)?;
        Ok(found.map(|(principal, groups)| policy::Principal {
            id: principal.id,
            kind: match principal.kind {
                identity::PrincipalKind::User => policy::PrincipalKind::User,
                identity::PrincipalKind::Service => policy::PrincipalKind::Service,
                identity::PrincipalKind::Group => policy::PrincipalKind::Group,
            },
            groups,
            owner: Some(principal.owner).filter(|owner| !owner.is_empty()),
            disabled: principal.disabled,
        }))
    }

    fn services_of(&self, reader: &mut Reader<'_>, owner: &str) -> Result<Vec<String>, DbError> {
        identity::grouped_services_of(reader, owner)
    }
}

/// Resolves when the process is told to stop.
///
/// # Errors
/// `Internal` if signals cannot be listened to.
pub fn stop_signal() -> Result<impl Future<Output = ()>, Problem> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|e| Problem::internal("signals cannot be listened to", e));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
