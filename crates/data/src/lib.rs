//! Data sets: named, in immutable versions, each a manifest of files that is quarantined until it was inspected.
//!
//! It is not a file system and not a database: it never looks into a file. Whatever must be parsed is parsed by the
//! inspection's worker, in another address space; this room keeps the bytes, asks for the inspection, and decides by a policy
//! file what its findings mean.
//!
//! A version comes to be in three steps: it is opened, it takes files, it is committed. From then on its files, its manifest
//! and what was said of its origin never change; its state does:
//!
//! ```text
//! open → quarantined → inspecting → admitted (by the inspection, a reviewer, or a waiver until its expiry)
//!                    ↖            ↘ quarantined (a waiver is needed, or the inspection failed)
//!                                 ↘ refused
//! ```
//!
//! INVARIANT: a version becomes admitted only by a whole report whose verdict passes, or by a person who did not commit it.
//! Held by `tests::admission`.
//! INVARIANT: what is broken off leaves a version open or quarantined, never admitted. Held by `tests::broken_off` and the
//! kill drill.
//! INVARIANT: a committed version's files and manifest never change. Held by `tests::versions`.
//! INVARIANT: records hold ids, digests, counts and verdicts, never a path, a name or a value. Held by `tests::versions`.
//! INVARIANT: no object is shared with another room: erasing a run's artifact leaves versions whole, and the other way round.

mod attest;
mod config;
mod described;
mod inspect;
pub mod limits;
pub mod ops;
mod provenance;
mod queries;
mod rules;
mod runner;
mod store;
mod types;
mod verdict;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use gate::Action;
use tokio::sync::{Notify, Semaphore};
use vault::db::{Db, SystemDb};
use vault::objects::Objects;

pub use artifacts::{ArtifactPath, Download, Fetched, Manifest, ManifestEntry, Wanted};
pub use attest::{Envelope, verify_envelope};
pub use config::DataConfig;
pub use inspect::{Inspect, ReadBytes, TakeFiles};
pub use queries::{PREVIOUS_TABLE, Query};
pub use rules::FORMATS;
pub use runner::{INSPECTOR, Runner};
pub use store::locate;
pub use store::readable::{ReadableVersion, readable};
pub use store::versions::{hands, name_of};
pub use types::{
    Cleaning, CommitWish, DatasetName, DatasetSummary, Decision, DecisionKind, DocumentKind, FoundFinding, Inspection,
    InspectionState, Making, OtherVersion, Parent, RetrainRequest, SourceKey, Task, Trained, TrustedSource, Verdict, Version,
    VersionName, Which,
};
pub use vault::objects::Body;
pub use verdict::{VerdictPolicy, Verdicts};

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[
    ops::OPEN,
    ops::PUT,
    ops::COMMIT,
    ops::CLEAN,
    ops::CONTRACT,
    ops::CHECK,
    ops::SEARCH,
    ops::GET,
    ops::FINDINGS,
    ops::READ,
    ops::EXPORT,
    ops::INSPECT,
    ops::CANCEL,
    ops::WAIVE,
    ops::ADMIT,
    ops::REFUSE,
    ops::SOURCES_LIST,
    ops::SOURCES_ADD,
    ops::SOURCES_REMOVE,
    ops::BEGIN,
    ops::RUN,
    ops::RUN_CLEANING,
    ops::TRAINED,
    ops::SWEEP,
];

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Data(Arc<Inner>);

struct Inner {
    db: Db,
    /// For what is no change of its own: an inspection's progress, and the edges that a recorded read leaves.
    system: SystemDb,
    objects: Objects,
    config: DataConfig,
    verdicts: Verdicts,
    /// Wakes the runner when an inspection is queued.
    queued: Notify,
    /// Who runs SQL over files; where there is nobody, SQL rules are not run and queries are refused.
    queries: Option<Arc<dyn Query>>,
    /// How many queries of callers may run at once.
    query_slots: Semaphore,
    /// Who reads contracts that somebody writes, and tries them; none where only commands run.
    inspector: Option<Arc<dyn Inspect>>,
    /// How many of those may be checked at once.
    check_slots: Semaphore,
    /// What is retained by rules; none where nobody set them.
    retention: Option<retention::Rules>,
}

impl Data {
    /// The room over its storage.
    #[must_use]
    pub fn new(
        db: Db,
        system: SystemDb,
        objects: Objects,
        config: DataConfig,
        verdicts: impl Into<Verdicts>,
        queries: Option<Arc<dyn Query>>,
    ) -> Self {
        let verdicts = verdicts.into();
        let query_slots = Semaphore::new(limits::QUERY_COUNT_MAX);
        Self(Arc::new(Inner {
            db,
            system,
            objects,
            config,
            verdicts,
            queued: Notify::new(),
            queries,
            query_slots,
            inspector: None,
            check_slots: Semaphore::new(limits::CONTRACT_CHECK_COUNT_MAX),
            retention: None,
        }))
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

    /// The same, whose contracts are read and tried by this worker before they are set.
    #[must_use]
    pub fn with_inspector(mut self, inspector: Arc<dyn Inspect>) -> Self {
        // Only where it is made there is no other handle yet.
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.inspector = Some(inspector);
        }
        self
    }

    /// Retains a version as the rules say, in the transaction that commits it or learns more of it.
    fn keep(&self, writer: &mut vault::db::Writer<'_>, version_id: &str, at: kernel::Micros) -> Result<(), kernel::Problem> {
        let Some(rules) = self.0.retention.as_ref().filter(|rules| rules.have(retention::Kind::Dataset)) else { return Ok(()) };
        let Some(known) = store::versions::known_to_rules(writer, version_id)? else { return Ok(()) };
        let subject = retention::Subject {
            kind: retention::Kind::Dataset,
            id: version_id,
            name: &known.dataset,
            shown: &format!("{}@{}", known.dataset, known.number),
            workspace: &known.workspace,
            classes: &known.classes,
            objects: &[],
        };
        rules.keep(writer, &subject, at).map(drop)
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    fn objects(&self) -> &Objects {
        &self.0.objects
    }
}

impl retention::Find for Data {
    fn kind(&self) -> retention::Kind {
        retention::Kind::Dataset
    }

    fn find(
        &self,
        reader: &mut vault::db::Reader<'_>,
        workspace: &str,
        name: &str,
    ) -> Result<Option<retention::Found>, kernel::Problem> {
        let Some((id, shown)) = store::versions::called(reader, workspace, name)? else { return Ok(None) };
        // Its files have rows that name it.
        Ok(Some(retention::Found { id, shown, objects: Vec::new() }))
    }
}
