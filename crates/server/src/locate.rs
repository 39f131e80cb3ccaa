//! The gate's port `Locate`: one look-up over the rooms' tables for the decision and the verb.

use std::collections::HashMap;
use std::sync::Arc;

use gate::{BoxFuture, Facts, Locate, Target};
use kernel::{Clock, Micros, Problem};
use parking_lot::Mutex;
use vault::db::{DbError, PortDb, Reader, Stamp};

/// Endpoints that are known, and buckets.
const KNOWN_COUNT_MAX: usize = 4_096;
/// Workspaces in which one name is known.
const KNOWN_WORKSPACE_COUNT_MAX: usize = 8;

/// Finds targets.
pub struct Locator {
    ports: PortDb,
    clock: Arc<dyn Clock>,
    endpoints: Arc<KnownNames>,
    buckets: Arc<KnownNames>,
}

/// What was found of targets that are asked about again and again, by their names. Not a cache that may be stale: it counts while the
/// database is in the state that it was read in, and not a commit longer ([`PortDb::read_known`]).
#[derive(Default)]
struct KnownNames(Mutex<HashMap<String, Vec<Known>>>);

struct Known {
    stamp: Stamp,
    workspace_name: String,
    facts: Facts,
}

impl KnownNames {
    fn get(&self, workspace_name: &str, name: &str, stamp: Stamp) -> Option<Facts> {
        let all = self.0.lock();
        let known = all.get(name)?.iter().find(|known| known.stamp == stamp && known.workspace_name == workspace_name);
        known.map(|known| known.facts.clone())
    }

    /// Keeps what exists; names that lead nowhere are endless.
    fn keep(&self, name: &str, known: Known) {
        if !known.facts.exists {
            return;
        }
        let mut all = self.0.lock();
        if all.len() >= KNOWN_COUNT_MAX && !all.contains_key(name) {
            all.clear();
        }
        let states = all.entry(name.to_owned()).or_default();
        states.retain(|one| one.workspace_name != known.workspace_name);
        if states.len() >= KNOWN_WORKSPACE_COUNT_MAX {
            states.remove(0);
        }
        states.push(known);
    }
}

impl Locator {
    /// Over this database. What ends by itself, such as a waiver, does so by `clock`.
    #[must_use]
    pub fn new(ports: PortDb, clock: Arc<dyn Clock>) -> Self {
        Self { ports, clock, endpoints: Arc::default(), buckets: Arc::default() }
    }

    /// What is known of these by their names, or looked up now.
    async fn named(&self, of: &Arc<KnownNames>, workspace: &str, name: &str, target: &Target) -> Result<Facts, Problem> {
        let (names, workspace_name, target) = (Arc::clone(of), workspace.to_owned(), target.clone());
        let (own_name, now) = (name.to_owned(), self.clock.now());
        let known = |stamp| of.get(workspace, name, stamp);
        let look = move |reader: &mut Reader<'_>, stamp: Option<Stamp>| {
            let facts = find(reader, &workspace_name, &target, now)?;
            if let Some(stamp) = stamp {
                names.keep(&own_name, Known { stamp, workspace_name, facts: facts.clone() });
            }
            Ok(facts)
        };
        self.ports.read_known(known, look).await
    }
}

impl Locate for Locator {
    fn locate<'a>(&'a self, workspace: &'a str, target: &'a Target) -> BoxFuture<'a, Result<Facts, Problem>> {
        Box::pin(async move {
            match target {
                Target::Server | Target::AuditLog | Target::Myself => Ok(Facts { exists: true, ..Facts::default() }),
                Target::Endpoint(name) => self.named(&self.endpoints, workspace, name, target).await,
                Target::Bucket(name) => self.named(&self.buckets, workspace, name, target).await,
                _ => {
                    let (workspace, target, now) = (workspace.to_owned(), target.clone(), self.clock.now());
                    self.ports.read_point(move |reader| Ok(find(reader, &workspace, &target, now)?)).await
                }
            }
        })
    }
}

fn find(reader: &mut Reader<'_>, workspace_name: &str, target: &Target, now: Micros) -> Result<Facts, DbError> {
    // A bucket's name says in which workspace it is: clients of S3 name no other.
    if let Target::Bucket(name) = target
        && let Some(mut facts) = buckets::locate(reader, name)?
    {
        if let Some(workspace) = &facts.workspace {
            facts.least_tier = devices::least_tier(reader, workspace, None)?;
        }
        return Ok(facts);
    }
    let Some(workspace) = identity::workspace_by_name(reader, workspace_name)? else {
        return Ok(Facts::default());
    };
    let found = found_in(reader, &workspace, target, now)?;
    let mut facts = found.unwrap_or(Facts { workspace: Some(workspace), ..Facts::default() });
    if let Some(workspace) = &facts.workspace {
        facts.least_tier = devices::least_tier(reader, workspace, facts.data.as_ref())?;
    }
    Ok(facts)
}

fn found_in(reader: &mut Reader<'_>, workspace: &str, target: &Target, now: Micros) -> Result<Option<Facts>, DbError> {
    let workspace = workspace.to_owned();
    Ok(match target {
        Target::Experiment(_) | Target::ExperimentNamed(_) | Target::Run(_) => tracking::locate(reader, &workspace, target)?,
        Target::LoggedModel(_) | Target::RegisteredModel(_) | Target::ModelVersion(..) => {
            registry::locate(reader, &workspace, target)?
        }
        Target::EvaluationDataset(_) => evaluation::locate(reader, &workspace, target)?,
        Target::Dataset(_) | Target::DatasetVersion(..) => data::locate(reader, &workspace, target, now)?,
        Target::Endpoint(_) => serving::locate(reader, &workspace, target)?,
        Target::Trace(_) => traces::locate(reader, &workspace, target)?,
        Target::Workspace => {
            Some(Facts { exists: true, workspace: Some(workspace.clone()), id: Some(workspace.clone()), ..Facts::default() })
        }
        Target::Server | Target::AuditLog | Target::Myself | Target::Bucket(_) => None,
    })
}
