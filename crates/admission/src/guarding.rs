//! What the guard of a model's endpoints compares queries with: looked up before an inspection, kept after it.
//!
//! INVARIANT: it is no document that is handed out: it holds the seed by which the guard tells queries apart. Held by
//! `tests::guarding`.

use data::ReadableVersion;
use gate::{DataState, Permit};
use gates::{DataName, GateFile};
use guard::{Reference, ReferenceError};
use inspection::{GuardSpec, InspectionReport};
use kernel::{Micros, Problem, random_bytes};
use lineage::{NodeKind, Origin};
use vault::db::Reader;
use vault::objects::StoredObject;

use crate::Admission;
use crate::limits::GUARD_DATA_BYTES_MAX;
use crate::store::{documents, gates as store};
use crate::trial::Prepared;
use crate::types::{DocumentKind, Standing, Subject};

/// Data versions that are handed over.
const VERSION_COUNT_MAX: usize = 2;

/// Data that queries can be compared with.
#[derive(Default)]
pub(crate) struct Comparable {
    versions: Vec<ReadableVersion>,
    trained: bool,
    label: Option<String>,
    leave_out: Vec<String>,
}

/// The data that a version was trained on; where that is not known, admitted data that its gate file judges it on.
pub(crate) fn look_up(reader: &mut Reader<'_>, standing: &Standing, origin: &Origin, now: Micros) -> Result<Comparable, Problem> {
    let gate = store::current(reader, &standing.subject.model_id)?.and_then(|gate| gate.text);
    let file = gate.and_then(|text| GateFile::from_yaml(&text).ok());
    let mut found = Comparable::default();
    let trained = origin.uses.iter().filter(|used| used.kind == NodeKind::DataVersion);
    let trained: Vec<DataName> = trained.filter_map(|used| DataName::try_from(used.name.replacen('/', "@", 1)).ok()).collect();
    for name in trained {
        found.add(data::readable(reader, &standing.workspace, &name.dataset, i64::from(name.number), now)?);
    }
    found.trained = !found.versions.is_empty();
    let Some(file) = file else { return Ok(found) };
    if !found.trained {
        for name in &file.data {
            let version = data::readable(reader, &standing.workspace, &name.dataset, i64::from(name.number), now)?;
            found.add(version.filter(|version| version.state == DataState::Admitted));
        }
    }
    (found.label, found.leave_out) = (file.label, file.leave_out);
    Ok(found)
}

impl Comparable {
    fn add(&mut self, version: Option<ReadableVersion>) {
        let Some(version) = version else { return };
        let size_bytes = version.files.iter().fold(0_u64, |sum, (_, object)| sum.saturating_add(object.size_bytes));
        let known = self.versions.iter().any(|known| known.id == version.id);
        if !known && size_bytes <= GUARD_DATA_BYTES_MAX && self.versions.len() < VERSION_COUNT_MAX {
            self.versions.push(version);
        }
    }

    /// Makes the worker's part of the job.
    pub(crate) fn prepare(self, prepared: &mut Prepared) -> Option<GuardSpec> {
        let tables: Vec<_> = self.versions.iter().map(|version| prepared.add_table(version)).collect();
        let (trained, label, leave_out) = (self.trained, self.label, self.leave_out);
        // As JSON, a number of 53 bits is the same to every reader.
        let seed = u64::from_le_bytes(random_bytes()) >> 11;
        (!tables.is_empty()).then_some(GuardSpec { tables, trained, label, leave_out, seed })
    }
}

/// Takes the reference out of a report. One that cannot be used is left out: then endpoints are guarded by budgets alone.
pub(crate) fn taken_from(report: &mut InspectionReport) -> Option<(DocumentKind, Vec<u8>)> {
    let bytes = report.guard_reference.take()?.as_str().as_bytes().to_vec();
    match Reference::from_json(&bytes) {
        Ok(_) => Some((DocumentKind::Guard, bytes)),
        Err(error) => {
            tracing::warn!(%error, "a worker sent a reference for the guard that cannot be used");
            None
        }
    }
}

impl Admission {
    /// What queries to a version are compared with, if anything is.
    ///
    /// # Errors
    /// Of the database or the objects; `Internal` if it cannot be used.
    pub async fn guard_reference<O: ?Sized>(&self, permit: &Permit<O>, subject: &Subject) -> Result<Option<Reference>, Problem> {
        let wanted = subject.clone();
        let found: Option<StoredObject> =
            self.db().read(permit, move |reader| Ok(documents::last(reader, &wanted, DocumentKind::Guard)?)).await?;
        let Some(object) = found else { return Ok(None) };
        let bytes = self.whole(permit, &object).await?;
        match Reference::from_json(&bytes) {
            Ok(reference) => Ok(Some(reference)),
            // Of another release: endpoints answer on, guarded by budgets, until the version is inspected again.
            Err(error @ ReferenceError::Schema(_)) => {
                tracing::warn!(%error, version = subject.id(), "what the guard compares queries with is left out");
                Ok(None)
            }
            Err(error) => Err(Problem::internal("what the guard compares queries with cannot be read", error)),
        }
    }
}
