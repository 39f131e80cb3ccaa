//! The retrainer's job: finds what can run jobs here, and does those that are queued.

mod local;
mod ray;
mod zip;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use gate::{Gate, JobKey};
use kernel::{Clock, Problem};
use retrain::{Execute, Executor, Runner};
use tokio::task::JoinHandle;

use crate::boot::Rooms;
use crate::config::Config;
use crate::tls;
use local::Local;
use ray::Ray;

/// What the retrainer stands on.
pub struct Ground<'a> {
    /// The data folder.
    pub data: &'a Path,
    /// The configuration.
    pub config: &'a Config,
    /// Where this server listens.
    pub bound: SocketAddr,
    /// The door.
    pub gate: &'a Gate,
    /// Makes the retrainer's identity.
    pub jobs: &'a JobKey,
    /// The time by which jobs wait.
    pub clock: Arc<dyn Clock>,
}

/// Begins to train what is queued, wherever the configuration names a place for it. Only a server has ground for that: a command ends
/// too soon.
///
/// # Errors
/// `Invalid` for a configuration under which jobs could read what they must not.
pub fn begin(rooms: &Rooms, ground: Option<Ground<'_>>) -> Result<Vec<JoinHandle<()>>, Problem> {
    let mut tasks = Vec::new();
    let Some(ground) = ground else { return Ok(tasks) };
    let behind =
        retrain::Rooms { identity: rooms.identity.clone(), tracking: rooms.tracking.clone(), registry: rooms.registry.clone() };
    let mut begin = |executor: Executor, execute: Arc<dyn Execute>| {
        let identity = (ground.gate.clone(), ground.jobs.pass(retrain::RETRAINER));
        let runner = Runner::new(rooms.retrain.clone(), behind.clone(), identity, Arc::clone(&ground.clock), (executor, execute));
        tasks.push(tokio::spawn(runner.run()));
    };
    if let Some(local) = Local::open(ground.data, ground.config, near(ground.bound))? {
        begin(Executor::Local, Arc::new(local));
    }
    if let Some(config) = &ground.config.retrain.ray {
        let ray = Ray::open(config, format!("https://{}", near(ground.bound)), &tls::ca_path(ground.data))?;
        begin(Executor::Ray, Arc::new(ray));
    }
    Ok(tasks)
}

/// Where this machine reaches the server.
pub fn near(bound: SocketAddr) -> SocketAddr {
    match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, bound.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, bound.port())),
        _ => bound,
    }
}
