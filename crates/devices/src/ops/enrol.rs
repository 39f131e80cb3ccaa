//! A device is enrolled, and its certificate is renewed.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, random_id};

use super::{ended, own_account, own_device};
use crate::authority::requested;
use crate::types::Enrolled;
use crate::{Devices, store};

/// The verb of [`Enrol`].
pub const ENROL: Action = Action::write("devices.enrol");
/// The verb of [`Renew`].
pub const RENEW: Action = Action::write("devices.renew");

/// Enrols a device: who calls came with leave to do that, once, and with a request that the device's key signed.
pub struct Enrol {
    /// The room.
    pub room: Devices,
    /// A PKCS #10 request in DER.
    pub request: Vec<u8>,
    /// What to call it.
    pub label: String,
}

impl Operation for Enrol {
    const ACTION: Action = ENROL;
    type Output = Enrolled;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Enrolled, Problem> {
        let at = permit.entry().at;
        let own = own_account(permit.caller())?.to_owned();
        let leave = permit.caller().token.as_ref().map(|token| token.id.clone()).filter(|id| id.starts_with("enr_"));
        let leave = leave.ok_or_else(|| {
            Problem::forbidden("a device is enrolled with an enrolment token; `strongroom device enrolment-token` makes one")
        })?;
        let label = identity::parse_label(&self.label)?;
        let key = requested(&self.request)?;
        let device_id = format!("dev_{}", random_id());
        let certified = self.room.0.authority.certify(&device_id, &key, at)?;
        let enrolled =
            Enrolled { device_id: device_id.clone(), certificate: certified.pem.clone(), expires_at: certified.expires_at };
        let write = self.room.0.db.write(&permit, move |tx| {
            let by = store::use_enrolment(tx, &leave, &own, at)?;
            let by = by.ok_or_else(|| {
                Problem::new(Kind::Unauthenticated, "You are not authenticated. The enrolment token was used in this moment.")
            })?;
            store::put_device(tx, (&device_id, &own, &by), (&label, &key), at)?;
            store::put_certificate(tx, &device_id, &certified, at)?;
            let outcome = Outcome::done().resource(device_id).with("principal", own).with("invited_by", by);
            Ok(((), outcome))
        });
        write.await?;
        Ok(enrolled)
    }
}

/// A new certificate for the device that the request came from. That its agent holds the key, the handshake has shown.
pub struct Renew {
    /// The room.
    pub room: Devices,
}

impl Operation for Renew {
    const ACTION: Action = RENEW;
    type Output = Enrolled;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Enrolled, Problem> {
        let at = permit.entry().at;
        let (own, id) = (own_account(permit.caller())?.to_owned(), own_device(permit.caller())?.to_owned());
        let (room, device_id) = (self.room.clone(), id.clone());
        let write = self.room.0.db.write(&permit, move |tx| {
            let key = store::hold_device(tx, &id, &own)?.ok_or_else(ended)?;
            let certified = room.0.authority.certify(&id, &key, at)?;
            store::put_certificate(tx, &id, &certified, at)?;
            let outcome = Outcome::done().resource(id).with("expires_at", certified.expires_at.0);
            Ok((certified, outcome))
        });
        let certified = write.await?;
        Ok(Enrolled { device_id, certificate: certified.pem, expires_at: certified.expires_at })
    }
}
