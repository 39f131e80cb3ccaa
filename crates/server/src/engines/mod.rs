//! Where models are computed that this process must not run: Pythons that are locked in, and servers of others.

mod convert;
mod python;
mod raw;
mod turns;
mod upstream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use gate::BoxFuture;
use kernel::{Kind, Problem};
use serving::{Compute, Engine, Engines, ServingConfig};

use python::Pythons;
use upstream::Upstream;

/// What the configuration allows.
pub struct Elsewhere {
    pythons: Option<Pythons>,
    upstreams: BTreeMap<String, Upstream>,
}

impl Elsewhere {
    /// Opens what the section `[serving]` names; `server` is where this machine reaches the server.
    ///
    /// # Errors
    /// `Invalid` for a configuration under which models could read what they must not, or files that cannot be used.
    pub fn open(data: &Path, config: &ServingConfig, server: SocketAddr) -> Result<Self, Problem> {
        let pythons = config.python.as_ref().map(|python| Pythons::open(data, python, server)).transpose()?;
        let upstreams = config.upstreams.iter().map(|(name, upstream)| Ok((name.clone(), Upstream::open(name, upstream)?)));
        Ok(Self { pythons, upstreams: upstreams.collect::<Result<_, Problem>>()? })
    }
}

impl Engines for Elsewhere {
    fn python(
        &self,
        digest: [u8; 32],
        files: BTreeMap<String, Vec<u8>>,
        ranges: Option<Vec<(f64, f64)>>,
    ) -> BoxFuture<'_, Result<Engine, Problem>> {
        Box::pin(async move {
            let none = || Problem::new(Kind::Conflict, "this server runs no Python models");
            self.pythons.as_ref().ok_or_else(none)?.worker(digest, files, ranges).await
        })
    }

    fn upstream<'a>(&'a self, server: &'a str, model: &'a str) -> BoxFuture<'a, Result<Arc<dyn Compute>, Problem>> {
        Box::pin(async move {
            let none = || Problem::new(Kind::Conflict, format!("there is no `[serving.upstreams.{server}]`"));
            self.upstreams.get(server).ok_or_else(none)?.model(model).await
        })
    }
}
