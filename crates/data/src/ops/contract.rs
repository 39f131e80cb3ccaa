//! `datasets.contract`: the contract of a data set, to which every version from now on must hold, whoever commits it.

use futures_util::stream;
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, hex, sha256};
use vault::objects::{Piece, Sending, StoredObject};

use super::findings::Document;
use crate::limits::CONTRACT_BYTES_MAX;
use crate::store::{self, files};
use crate::types::DocumentKind;
use crate::{Data, rules};

/// Makes a text the contract of a data set. It is not read here: a contract that cannot be read refuses what is inspected.
pub struct SetContract {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The contract (ODCS YAML).
    pub contract: String,
    /// Why.
    pub reason: String,
    /// SHA-256 in hexadecimal digits of the contract that was seen in force, empty for none: where another one is by now, nothing is set.
    pub seen: Option<String>,
}

/// A contract that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractSet {
    /// The data set.
    pub dataset: String,
    /// SHA-256 of the contract's text.
    pub sha256: [u8; 32],
}

impl Operation for SetContract {
    const ACTION: Action = super::CONTRACT;
    type Output = ContractSet;

    fn target(&self) -> Target {
        Target::Dataset(self.dataset.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<ContractSet, Problem> {
        rules::reason(&self.reason)?;
        if self.contract.trim().is_empty() || self.contract.len() > CONTRACT_BYTES_MAX {
            return Err(Problem::new(Kind::TooLarge, format!("a contract has 1 to {CONTRACT_BYTES_MAX} bytes")));
        }
        let dataset_id = dataset_id(&permit)?;
        let workspace = permit.workspace()?.to_owned();
        let body = Box::pin(stream::iter([Ok(bytes::Bytes::from(self.contract))]));
        let object = self.room.objects().put(&permit, &workspace, body, CONTRACT_BYTES_MAX as u64).await?;
        let (object_id, sha256) = (object.id.clone(), object.sha256);
        let reason = hex(&kernel::sha256(self.reason.as_bytes()));
        let seen = self.seen;
        let written = self.room.objects().commit(self.room.db(), &permit, vec![object_id], move |writer| {
            let in_force = files::document(writer, &dataset_id, DocumentKind::Contract)?.map(|own| hex(&own.sha256));
            if seen.is_some_and(|seen| seen != in_force.unwrap_or_default()) {
                let message =
                    "somebody has set another contract since you looked; read that one, and set yours again if it still holds";
                return Err(Problem::new(Kind::Conflict, message));
            }
            let old = files::forget_documents(writer, &dataset_id)?;
            files::put_document(writer, &dataset_id, "", DocumentKind::Contract, &object)?;
            let outcome =
                Outcome::done().resource(dataset_id).with("contract_sha256", hex(&sha256)).with("reason_sha256", reason);
            Ok((((), old), outcome))
        });
        written.await?;
        Ok(ContractSet { dataset: self.dataset, sha256 })
    }
}

/// Reads the contract of a data set.
pub struct ReadContract {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
}

impl Operation for ReadContract {
    const ACTION: Action = super::GET;
    type Output = Document;

    fn target(&self) -> Target {
        Target::Dataset(self.dataset.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Document, Problem> {
        let id = dataset_id(&permit)?;
        let read = move |reader: &mut vault::db::Reader<'_>| Ok(files::document(reader, &id, DocumentKind::Contract)?);
        let found = self.room.db().read_point(&permit, read).await?;
        let object = found.ok_or_else(|| {
            Problem::not_found("the data set has no contract; set one with `strongroom data contract set NAME FILE`")
        })?;
        let (size_bytes, sha256) = (object.size_bytes, object.sha256);
        let outcome = Outcome::done().with("sha256", hex(&sha256)).with("size_bytes", store::signed(size_bytes)?);
        let pieces = vec![Piece::Object { range: 0..size_bytes, object: Box::new(object) }];
        let body = Sending::begin(permit, self.room.objects().clone(), pieces, size_bytes, outcome).await?;
        Ok(Document { kind: DocumentKind::Contract, size_bytes, sha256, body })
    }
}

pub(super) fn dataset_id<O: ?Sized>(permit: &Permit<O>) -> Result<String, Problem> {
    let missing = || Problem::not_found("there is no data set of this name; `strongroom data list` shows those that there are");
    permit.facts().id.clone().filter(|_| permit.facts().exists).ok_or_else(missing)
}

impl Data {
    /// The contract that a version of a data set is checked against: the data set's own where it has one, else the committer's.
    ///
    /// # Errors
    /// `Conflict` if a committer brings another one than the data set has: it would be judged by a rule of its own making.
    pub(super) async fn contract_for<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        dataset_id: &str,
        brought: Option<String>,
    ) -> Result<Option<String>, Problem> {
        let id = dataset_id.to_owned();
        let read = move |reader: &mut vault::db::Reader<'_>| Ok(files::document(reader, &id, DocumentKind::Contract)?);
        let Some(own): Option<StoredObject> = self.db().read_point(permit, read).await? else { return Ok(brought) };
        if brought.is_some_and(|text| sha256(text.as_bytes()) != own.sha256) {
            let message = "the data set has another contract; leave this one out, or have a reviewer set it with `strongroom data contract set`";
            return Err(Problem::new(Kind::Conflict, message));
        }
        let text = String::from_utf8(self.whole(permit, &own).await?);
        text.map(Some).map_err(|error| Problem::internal("the data set's contract is not UTF-8", error))
    }
}
