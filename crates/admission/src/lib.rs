//! Whether a registered model's version may be promoted and served: quarantine, inspection, verdict, waiver.
//!
//! It is not the registry: it gives no version its number and moves no alias. The registry asks it, through the port
//! [`registry::Admission`], inside its own transactions. It never looks into a file either: what must be parsed is parsed by the
//! inspection's worker, in another address space.
//!
//! ```text
//! registered → quarantined → inspecting → admitted (by the inspection, a reviewer, or a waiver until its expiry)
//!                          ↖            ↘ quarantined (a waiver is needed, or the inspection failed)
//!                                       ↘ refused
//! ```
//!
//! INVARIANT: a version whose files lie here is promoted only while it is admitted and its files are those that were inspected.
//! Held by `tests::promotion`.
//! INVARIANT: a version becomes admitted only by a whole report whose verdict passes, or by a person who did not register it.
//! Held by `tests::decisions`.
//! INVARIANT: a version that was not judged by its model's present gate file is not promoted beyond the champion. Held by
//! `tests::gates`.
//! INVARIANT: records hold ids, digests, counts and verdicts, never a path or a name. Held by `tests::inspecting`.

mod config;
mod guarding;
pub mod limits;
pub mod ops;
mod origin;
mod papers;
mod port;
mod receipts;
mod runner;
mod signers;
mod store;
mod trial;
mod types;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use artifacts::Artifacts;
use data::VerdictPolicy;
use gate::Action;
use kernel::{Clock, Micros, Problem};
use tokio::sync::{Notify, Semaphore};
use vault::db::{Db, Reader, SystemDb, Writer};
use vault::objects::Objects;

pub use attest::evidence::{Claim, State as ClaimState};
pub use config::AdmissionConfig;
pub use papers::Paper;
pub use port::Servable;
pub use receipts::{Receipt, Receipts};
pub use runner::Runner;
pub use signers::{Signers, SignersSet};
pub use types::{DocumentKind, Gate, Inspection, Standing, Subject};

/// The policy of the verdict that is built in.
pub const BUILT_IN_POLICY: &str = include_str!("../../../policies/model-verdict.toml");

/// Its name in attestations.
const BUILT_IN_POLICY_NAME: &str = "model-verdict.toml";

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[
    ops::SHOW,
    ops::LIST,
    ops::FINDINGS,
    ops::VOUCH,
    ops::RECEIPT,
    ops::INSPECT,
    ops::WAIVE,
    ops::ADMIT,
    ops::REFUSE,
    ops::SIGNERS_GET,
    ops::SIGNERS_SET,
    ops::RESCAN,
    ops::BEGIN,
    ops::RUN,
    ops::GET_GATE,
    ops::SET_GATE,
];

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    db: Db,
    /// For what is no change of its own: an inspection's progress, and whether one is on its way.
    system: SystemDb,
    objects: Objects,
    artifacts: Artifacts,
    clock: Arc<dyn Clock>,
    receipts: Arc<dyn Receipts>,
    config: AdmissionConfig,
    verdict: VerdictPolicy,
    /// Wakes the runner when an inspection is queued.
    queued: Notify,
    /// Wakes who waits for an inspection's end.
    ended: Notify,
    /// Turns of checks, each of which reads a version's files again.
    verifying: Semaphore,
    /// What is retained by rules; none where nobody set them.
    retention: Option<retention::Rules>,
}

/// What the room stands on.
pub struct Ground {
    /// The database.
    pub db: Db,
    /// The same, for book-keeping without a caller.
    pub system: SystemDb,
    /// Where documents are kept.
    pub objects: Objects,
    /// Where models' files are.
    pub artifacts: Artifacts,
    /// The time by which waivers end.
    pub clock: Arc<dyn Clock>,
    /// Who gives receipts of the log.
    pub receipts: Arc<dyn Receipts>,
}

impl Admission {
    /// The room over its ground.
    #[must_use]
    pub fn new(ground: Ground, config: AdmissionConfig, verdict: VerdictPolicy) -> Self {
        let Ground { db, system, objects, artifacts, clock, receipts } = ground;
        let (queued, ended) = (Notify::new(), Notify::new());
        let verifying = Semaphore::new(limits::VERIFY_COUNT_MAX);
        let inner =
            Inner { db, system, objects, artifacts, clock, receipts, config, verdict, queued, ended, verifying, retention: None };
        Self(Arc::new(inner))
    }

    /// The same, whose versions are retained by these rules.
    #[must_use]
    pub fn with_retention(mut self, rules: retention::Rules) -> Self {
        // Only where it is made there is no other handle yet.
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.retention = Some(rules);
        }
        self
    }

    /// Retains a version with its files as the rules say, in the transaction that registers it or has judged it.
    fn keep(&self, writer: &mut Writer<'_>, subject: &Subject, at: Micros) -> Result<(), Problem> {
        let Some(rules) = self.0.retention.as_ref().filter(|rules| rules.have(retention::Kind::Model)) else { return Ok(()) };
        let Some(standing) = store::standings::get(writer, subject)? else { return Ok(()) };
        let objects = objects_of(writer, &standing)?;
        let (id, shown) = (subject.id(), shown(&standing));
        let kept = retention::Subject {
            kind: retention::Kind::Model,
            id: &id,
            name: &standing.name,
            shown: &shown,
            workspace: &standing.workspace,
            classes: &[],
            objects: &objects,
        };
        rules.keep(writer, &kept, at).map(drop)
    }

    fn db(&self) -> &Db {
        &self.0.db
    }
}

impl retention::Find for Admission {
    fn kind(&self) -> retention::Kind {
        retention::Kind::Model
    }

    fn find(&self, reader: &mut Reader<'_>, workspace: &str, name: &str) -> Result<Option<retention::Found>, Problem> {
        let Some(standing) = store::standings::called(reader, workspace, name)? else { return Ok(None) };
        let objects = objects_of(reader, &standing)?;
        Ok(Some(retention::Found { id: standing.subject.id(), shown: shown(&standing), objects }))
    }
}

/// What people call a version.
fn shown(standing: &Standing) -> String {
    format!("{}/{}", standing.name, standing.subject.number)
}

/// The objects of a version's files, as far as they lie on this server.
fn objects_of(reader: &mut Reader<'_>, standing: &Standing) -> Result<Vec<String>, Problem> {
    if let Some(place) = &standing.place {
        return artifacts::objects_below(reader, place);
    }
    // In a bucket of this server they are held there.
    match store::standings::storage_location(reader, &standing.subject)? {
        Some(address) => buckets::objects_below(reader, &standing.workspace, &address),
        None => Ok(Vec::new()),
    }
}
