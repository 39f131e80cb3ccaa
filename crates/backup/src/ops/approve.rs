//! `backups.request_restore`, `backups.approve_restore`, `backups.requests`: leave to restore takes two people.

use gate::{Action, CallerKind, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem};

use crate::approval::{APPROVAL_HOURS, Approval};
use crate::chain::Chain;
use crate::types::Request;
use crate::{Backup, store};

const REASON_BYTES_MAX: usize = 1_000;
const REQUEST_COUNT_MAX: i64 = 1_000;
const HOUR_US: i64 = 3_600_000_000;

/// Asks for leave to restore a backup.
pub struct RequestRestore {
    /// The room.
    pub room: Backup,
    /// The place, as for a backup.
    pub to: Option<String>,
    /// The backup's number; the newest if none.
    pub sequence: Option<u64>,
    /// Why.
    pub reason: String,
}

/// Gives leave that somebody else asked for.
pub struct ApproveRestore {
    /// The room.
    pub room: Backup,
    /// The request's id.
    pub id: String,
}

/// Lists requests, the newest first.
pub struct ListRequests {
    /// The room.
    pub room: Backup,
}

impl Operation for RequestRestore {
    const ACTION: Action = super::REQUEST;
    type Output = Request;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Request, Problem> {
        people_only(&permit)?;
        let reason = self.reason.trim().to_owned();
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
            return Err(Problem::invalid(format!("`reason` says why, in 1 to {REASON_BYTES_MAX} bytes")));
        }
        let place = self.room.0.config.place(self.to.as_deref())?;
        let target = self.room.target(&place)?;
        let mut chain = Chain::read(&target, &self.room.trust().await?).await?;
        chain.compare(&self.room.known_manifests(&permit, &place).await?, self.room.0.config.keep);
        let signed = chain.find(&target, self.sequence)?;
        let request = Request {
            id: kernel::random_id(),
            target: place,
            sequence: signed.manifest.sequence,
            manifest_sha256: signed.sha256.to_vec(),
            reason,
            asked_by: permit.entry().caller.id.clone(),
            asked_by_name: Some(permit.caller().name.clone()),
            asked_at: permit.entry().at,
            approved_by: None,
            approved_at: None,
            expires_at: None,
        };
        let outcome = Outcome::done()
            .resource(request.id.clone())
            .with("sequence", store::signed(request.sequence))
            .with("manifest_sha256", kernel::hex(&request.manifest_sha256));
        let row = request.clone();
        self.room.db().write(&permit, move |writer| Ok((store::add_request(writer, &row)?, outcome))).await?;
        Ok(request)
    }
}

impl Operation for ApproveRestore {
    const ACTION: Action = super::APPROVE;
    /// The approval, signed: what `strongroom backup restore --approval` reads.
    type Output = Vec<u8>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<u8>, Problem> {
        people_only(&permit)?;
        let (by, at, id) = (permit.entry().caller.id.clone(), permit.entry().at, self.id);
        let until = Micros(at.0.saturating_add(APPROVAL_HOURS.saturating_mul(HOUR_US)));
        let signer = self.room.signer().await?;
        let instance = self.room.0.audit.log().verifier_key().name.clone();
        let write = move |writer: &mut vault::db::Writer<'_>| {
            let request = store::request(writer, &id)?;
            let request = request.ok_or_else(|| Problem::not_found("there is no request for a restore of that id"))?;
            // An older server took requests of service accounts.
            if store::is_service(writer, &request.asked_by)? {
                return Err(Problem::forbidden("a service account asked for this restore: a person must ask, and another agree"));
            }
            if request.asked_by == by {
                return Err(Problem::forbidden("a restore is approved by another person than the one who asked for it"));
            }
            if !store::approve(writer, &id, &by, at, until)? {
                return Err(Problem::new(Kind::Conflict, "this restore is approved already"));
            }
            let outcome = Outcome::done()
                .resource(id.clone())
                .with("asked_by", request.asked_by.clone())
                .with("manifest_sha256", kernel::hex(&request.manifest_sha256));
            let signed = Approval::of(&request, &by, at, until, &instance).sign(&signer)?;
            Ok((signed, outcome))
        };
        self.room.db().write(&permit, write).await
    }
}

impl Operation for ListRequests {
    const ACTION: Action = super::REQUESTS;
    type Output = Vec<Request>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Request>, Problem> {
        self.room.db().read(&permit, |reader| store::requests(reader, REQUEST_COUNT_MAX)).await
    }
}

/// Behind a service account stands whoever owns it: two of them are not two persons.
fn people_only<O: ?Sized>(permit: &Permit<O>) -> Result<(), Problem> {
    match permit.caller().kind {
        CallerKind::Service => {
            Err(Problem::forbidden("a service account restores nothing: a person must ask, and another agree"))
        }
        _ => Ok(()),
    }
}
