//! From which device somebody comes: what another room knows of the certificate that was shown, joined with whom the request is from.

use std::sync::atomic::Ordering;

use gate::{Attempt, BoxFuture, Caller, Device, TokenFacts};
use kernel::{Micros, Problem, Secret};
use vault::db::Writer;

use crate::port::{IdentityPort, bounded, refused};
use crate::secret_text::{SecretKind, parse_secret_text};
use crate::store;

/// What an agent does with nothing but its device's certificate.
const AGENT_SCOPES: [&str; 6] =
    ["devices.own", "devices.challenge", "devices.renew", "devices.report", "devices.attest_begin", "devices.attest"];
/// What leave to enrol is good for.
const ENROLMENT_SCOPES: [&str; 1] = ["devices.enrol"];
/// What a fleet's secret is.
const FLEET_SCOPES: [&str; 1] = ["devices.node_enrol"];
/// What a node's key is.
const NODE_SCOPES: [&str; 4] = ["devices.node_config", "devices.node_log", "devices.node_queries", "devices.node_answers"];

/// What somebody who holds one of these secrets may do, and nothing else.
fn scopes_of(secret: &Secret) -> &'static [&'static str] {
    match parse_secret_text(secret.expose()) {
        Some(SecretKind::Enrolment) => &ENROLMENT_SCOPES,
        Some(SecretKind::Fleet) => &FLEET_SCOPES,
        Some(SecretKind::Node) => &NODE_SCOPES,
        _ => &[],
    }
}

/// Whether a secret is one that the room of devices knows.
pub(crate) fn is_leave(secret: &Secret) -> bool {
    !scopes_of(secret).is_empty()
}

/// A device whose certificate counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDevice {
    /// Its id.
    pub id: String,
    /// The account that it is enrolled for.
    pub principal_id: String,
    /// How far it is trusted.
    pub tier: u8,
}

/// The tier of devices whose key is in hardware that was attested.
const HARDWARE_TIER: u8 = 3;

impl KnownDevice {
    /// Whether it is this person's, and what it signs is signed in attested hardware.
    pub(crate) fn is_hardware_of(&self, principal_id: &str) -> bool {
        self.tier >= HARDWARE_TIER && self.principal_id == principal_id
    }
}

/// Leave that counts: to enrol a device, to join a fleet, to speak for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLeave {
    /// Its id.
    pub id: String,
    /// For which account.
    pub principal_id: String,
}

/// Who knows devices. Implemented by `server` over the crate `devices`.
pub trait KnowDevices: Send + Sync {
    /// The device of a certificate, by the certificate's SHA-256; none if it does not count at this moment.
    ///
    /// # Errors
    /// `Unavailable` if that cannot be told.
    fn device<'a>(&'a self, certificate: &'a [u8; 32], at: Micros) -> BoxFuture<'a, Result<Option<KnownDevice>, Problem>>;

    /// What a secret is leave for; none if it was used, or its time is over.
    ///
    /// # Errors
    /// `Unavailable` if that cannot be told.
    fn leave<'a>(&'a self, secret: &'a Secret, at: Micros) -> BoxFuture<'a, Result<Option<KnownLeave>, Problem>>;

    /// Ends all devices of an account, and leave to enrol others. Gives how many devices.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be done.
    fn end_all(&self, tx: &mut Writer<'_>, principal_id: &str, by: &str, at: Micros) -> Result<u64, Problem>;
}

impl IdentityPort {
    /// The caller, and the device if it is the caller's. What is bound to a device is refused from anywhere else.
    pub(crate) async fn with_device(&self, attempt: &Attempt) -> Result<Caller, Problem> {
        let device = match (&attempt.client_certificate, self.inner.devices.get()) {
            (Some(certificate), Some(devices)) => devices.device(certificate, self.clock.now()).await?,
            _ => None,
        };
        let mut caller = self.watched(attempt, device.as_ref()).await?;
        // The third level lasts for as long as the device is trusted so far.
        if caller.proof.is_some() && !device.as_ref().is_some_and(|device| device.is_hardware_of(&caller.id)) {
            caller.assurance = caller.assurance.min(2);
        }
        caller.device =
            device.filter(|device| device.principal_id == caller.id).map(|device| Device { id: device.id, tier: device.tier });
        let bound_to = caller.token.as_ref().and_then(|token| token.device.as_ref());
        if let Some(bound_to) = bound_to
            && caller.device.as_ref().is_none_or(|device| device.id != *bound_to)
        {
            tracing::warn!(device.id = bound_to, "a credential that is bound to a device came from elsewhere; refused");
            return Err(refused());
        }
        Ok(caller)
    }

    /// An agent speaks for its device: as the device's account, for what agents do.
    pub(crate) async fn by_certificate(&self, device: &crate::KnownDevice) -> Result<Caller, Problem> {
        self.narrowed(device.principal_id.clone(), device.id.clone(), &AGENT_SCOPES).await
    }

    /// Whoever holds leave acts as the account, for that.
    pub(crate) async fn by_leave(&self, secret: &Secret) -> Result<Caller, Problem> {
        let devices = self.inner.devices.get().ok_or_else(refused)?;
        let leave = devices.leave(secret, self.clock.now()).await?.ok_or_else(refused)?;
        self.narrowed(leave.principal_id, leave.id, scopes_of(secret)).await
    }

    async fn narrowed(&self, principal_id: String, id: String, scopes: &[&str]) -> Result<Caller, Problem> {
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let look_up = move |reader: &mut vault::db::Reader<'_>| {
            let person = store::account_by_id(reader, &principal_id)?;
            if person.is_some() {
                return Ok(person);
            }
            Ok(store::service_by_id(reader, &principal_id)?)
        };
        let account = self.db.read_point(look_up).await?.filter(|known| !known.disabled).ok_or_else(refused)?;
        let mut caller = account.caller;
        bounded(&caller)?;
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        caller.token = Some(TokenFacts { id, scopes, workspace: None, device: None });
        Ok(caller)
    }
}
