//! The watcher's job: what this process measures of itself, and how news leaves it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gate::{BoxFuture, Gate, JobKey};
use http::{Method, Request};
use kernel::{Clock, Problem};
use mail::{Address, Kind, Mail};
use observe::{Alert, Gauges, News, ObserveConfig, Post, Watcher};
use tokio::task::JoinHandle;
use wire::Door;
use wire::admin::observe::{Measure, Rooms as Behind};

use crate::boot::Rooms;
use crate::https::Remote;
use crate::keykeeping::KeyWarnings;

/// How long a receiver may take.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
/// What is read of its answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Adds the routes of alerts, health and metrics.
pub fn routes(door: &mut Door, rooms: &Rooms, data: &Path, warnings: &KeyWarnings) {
    let own = Own { data: data.to_path_buf() };
    let measure: Measure = Arc::new(move || own.metrics());
    wire::admin::observe::routes(door, &behind(rooms, warnings), &measure);
}

/// The rooms that remedies act on.
pub fn behind(rooms: &Rooms, warnings: &KeyWarnings) -> Behind {
    let warnings = warnings.clone();
    Behind {
        observe: rooms.observe.clone(),
        serving: rooms.serving.clone(),
        data: rooms.data.clone(),
        admission: rooms.admission.clone(),
        retrain: rooms.retrain.clone(),
        warnings: Arc::new(move || warnings.now()),
    }
}

/// Begins to watch. Only a server does: a command ends too soon.
///
/// # Errors
/// `Invalid` for a receiver that cannot be used.
pub fn begin(
    rooms: &Rooms,
    data: &Path,
    config: &ObserveConfig,
    (gate, jobs): (&Gate, &JobKey),
    clock: Arc<dyn Clock>,
) -> Result<JoinHandle<()>, Problem> {
    let identity = (gate.clone(), jobs.pass(observe::WATCHER));
    let (gauges, post) = (Arc::new(Own { data: data.to_path_buf() }), Arc::new(Outside::open(config, rooms.mail.clone())?));
    let watcher = Watcher::new(rooms.observe.clone(), identity, clock, gauges, post)?;
    Ok(tokio::spawn(watcher.run()))
}

/// This process and its disk.
struct Own {
    data: PathBuf,
}

impl Gauges for Own {
    fn measure(&self) -> Vec<(&'static str, f64)> {
        self.disk_free_share().map(|share| ("disk_free_share", share)).into_iter().collect()
    }
}

impl Own {
    fn metrics(&self) -> Vec<(&'static str, f64)> {
        let mut all = Vec::new();
        all.extend(self.disk_free_share().map(|share| ("strongroom_disk_free_ratio", share)));
        all.extend(resident_bytes().map(|bytes| ("process_resident_memory_bytes", bytes)));
        all
    }

    /// The share of the data folder's disk that is free.
    fn disk_free_share(&self) -> Option<f64> {
        let disk = rustix::fs::statvfs(&self.data).ok()?;
        (disk.f_blocks > 0).then(|| disk.f_bavail as f64 / disk.f_blocks as f64)
    }
}

fn resident_bytes() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1_024.0)
}

/// The receivers of the configuration, and nobody else.
struct Outside {
    known: Vec<(String, Remote)>,
    mail: Mail,
    addresses: Vec<(String, Address)>,
}

impl Outside {
    fn open(config: &ObserveConfig, mail: Mail) -> Result<Self, Problem> {
        let mut known = Vec::new();
        let managers = config.alertmanagers.iter().enumerate();
        let managers = managers.map(|(place, one)| (format!("alertmanager/{place}"), &one.url, &one.ca));
        let hooks = config.webhooks.iter().enumerate().map(|(place, one)| (format!("webhook/{place}"), &one.url, &one.ca));
        for (name, url, ca) in managers.chain(hooks) {
            let remote = match ca {
                Some(ca) => Remote::new(url, ca)?,
                None => Remote::new_insecure_http(url)?,
            };
            known.push((name, remote));
        }
        let mut addresses = Vec::with_capacity(config.mails.len());
        for (place, one) in config.mails.iter().enumerate() {
            addresses.push((format!("mail/{place}"), Address::parse(&one.to)?));
        }
        Ok(Self { known, mail, addresses })
    }
}

impl Post for Outside {
    fn post<'a>(
        &'a self,
        target: &'a str,
        path: &'a str,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> BoxFuture<'a, Result<u16, Problem>> {
        Box::pin(async move {
            let remote = self.known.iter().find(|(name, _)| name == target).map(|one| &one.1);
            let remote = remote.ok_or_else(|| Problem::not_found("there is no such receiver in the configuration"))?;
            let mut request = Request::builder().method(Method::POST).header("user-agent", "strongroom");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            // A webhook's address is whole: nothing of ours is added to its path.
            let has_path = remote.url().split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
            let path = if path.is_empty() && !has_path { "/" } else { path };
            let sent = remote.send(request, path, Bytes::from(body), ANSWER_BYTES_MAX);
            let answer = tokio::time::timeout(ANSWER_WAIT_MAX, sent).await;
            let answer = answer.map_err(|_| Problem::unavailable("the receiver did not answer in time"))??;
            Ok(answer.status.as_u16())
        })
    }

    fn mail<'a>(&'a self, target: &'a str, id: &'a str, alert: &'a Alert, news: News) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            let address = self.addresses.iter().find(|(name, _)| name == target).map(|one| &one.1);
            let address = address.ok_or_else(|| Problem::not_found("there is no such receiver in the configuration"))?;
            let (kind, at) = match news {
                News::Firing => (Kind::AlertOpened, alert.opened_at),
                News::Resolved => (Kind::AlertResolved, alert.resolved.as_ref().map_or(alert.seen_at, |one| one.0)),
            };
            let about = format!("{} ({}): {}", alert.kind, alert.severity.word(), alert.headline);
            self.mail.tell_address(address, id, (kind, &alert.id, &about), at).await
        })
    }
}

/// Broken glass becomes an alert that these receivers are told of, in the transaction that gives the role.
pub struct Glass(pub Vec<String>);

impl policy::GlassAlarm for Glass {
    fn broken(&self, writer: &mut vault::db::Writer<'_>, broken: &policy::Broken<'_>) -> Result<(), Problem> {
        let policy::Broken { by, reason, grant, until, at } = broken;
        let event = observe::event::Event {
            kind: observe::event::BREAK_GLASS,
            workspace: String::new(),
            headline: format!("{by} made themself administrator until {}: {reason}", until.rfc3339()),
            subject: (*by).to_owned(),
            origin: vec![format!("strongroom audit search --caller {by}"), format!("strongroom grant revoke {grant}")],
            at: *at,
        };
        observe::event::tell(writer, &self.0, event)
    }
}

/// A bypass of governance becomes an alert that these receivers are told of, in the transaction of the bypass.
pub struct Bypasses(pub Vec<String>);

impl retention::Alarm for Bypasses {
    fn bypassed(&self, writer: &mut vault::db::Writer<'_>, bypassed: &retention::Bypassed) -> Result<(), Problem> {
        let retention::Bypassed { workspace, what, subject, verb, by, reason, at } = bypassed;
        let reason = if reason.is_empty() { "no reason given" } else { reason };
        let event = observe::event::Event {
            kind: observe::event::GOVERNANCE_BYPASS,
            workspace: workspace.clone(),
            headline: format!("governance was bypassed for {what} by {by}: {reason}"),
            subject: subject.clone(),
            origin: vec![format!("strongroom audit search --what {verb}")],
            at: *at,
        };
        observe::event::tell(writer, &self.0, event)
    }
}
