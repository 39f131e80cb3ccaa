//! From which devices people and programs come: enrolled by a one-time secret, known by a certificate of this server's own authority, trusted as
//! far as they report to be in order, and further where a TPM that is vouched for holds their key.
//!
//! It does not decide what takes which device (`policy`, by the tier that `identity` puts beside the caller), nor end TLS (`server`). What a device
//! reports of itself is signed by it and no more than that: whoever rules the device can make it lie. What a TPM attests is evidence.
//!
//! INVARIANT: a certificate counts as long as its row, its device and the device's account do: all are asked at each request, in one read. Held by
//! `tests::a_device_ends_with_its_account`.
//! INVARIANT: leave to enrol is used once. Held by `tests::leave_to_enrol_is_used_once`.
//! INVARIANT: no challenge is answered twice. Held by `tests::a_report_counts_once`.
//! INVARIANT: what is not known of a device counts as out of order. Held by `posture::tests`.
//! INVARIANT: a device that stops reporting loses its tier. Held by `tests::a_tier_decays`.
//! INVARIANT: a TPM's word counts only where its endorsement key is vouched for, by a root of the configuration or by hand. Held by
//! `tests/clients/test_devices.py`, with a software TPM.

mod authority;
mod challenge;
mod config;
pub mod ops;
pub mod osquery;
mod port;
pub mod posture;
mod store;
mod store_nodes;
#[cfg(test)]
mod tests;
mod tier;
pub mod tpm;
mod types;

use std::sync::Arc;

use gate::Action;
use kernel::{Problem, Secret};
use rustls_pki_types::CertificateDer;
use vault::db::Db;

pub use authority::CERTIFICATE_SECONDS;
pub use config::DevicesConfig;
pub use ops::report::signed_text;
pub use port::DevicePort;
pub use store::least_tier;
pub use tier::REPORT_SECONDS_MAX;
pub use types::{Device, Enrolled, Fleet, Invitation, Node, Rule, Vouched};

use crate::authority::Authority;
use crate::challenge::Challenges;

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[
    ops::invite::INVITE,
    ops::invite::INVITE_FOR,
    ops::enrol::ENROL,
    ops::enrol::RENEW,
    ops::report::CHALLENGE,
    ops::report::REPORT,
    ops::attest::ATTEST_BEGIN,
    ops::attest::ATTEST,
    ops::attest::PIN,
    ops::list::OWN,
    ops::list::LIST,
    ops::revoke::REVOKE_OWN,
    ops::revoke::REVOKE,
    ops::rules::RULES,
    ops::rules::SET_RULE,
    ops::fleets::CREATE_FLEET,
    ops::fleets::FLEETS,
    ops::fleets::REVOKE_FLEET,
    ops::fleets::NODES,
    ops::fleets::ADOPT,
    ops::nodes::NODE_ENROL,
    ops::nodes::NODE_CONFIG,
    ops::nodes::NODE_LOG,
    ops::nodes::NODE_QUERIES,
    ops::nodes::NODE_ANSWERS,
];

/// The room's handle, which its verbs carry. Cheap to clone.
#[derive(Clone)]
pub struct Devices(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) db: Db,
    pub(crate) authority: Authority,
    pub(crate) challenges: Challenges,
    pub(crate) config: DevicesConfig,
    pub(crate) roots: Vec<CertificateDer<'static>>,
}

impl Devices {
    /// The room over a database, with two secrets of the server's own: the seed of the authority's key, and the key of challenges.
    ///
    /// # Errors
    /// `Invalid` for roots that cannot be read; `Internal` if the authority cannot be made.
    pub fn open(db: Db, config: DevicesConfig, (seed, key): (&Secret, &Secret)) -> Result<Self, Problem> {
        let roots = config.roots()?;
        let (authority, challenges) = (Authority::new(seed)?, Challenges::new(key));
        Ok(Self(Arc::new(Inner { db, authority, challenges, config, roots })))
    }

    /// The authority's certificate, in DER: whom the listener accepts certificates of.
    #[must_use]
    pub fn authority(&self) -> CertificateDer<'static> {
        self.0.authority.certificate()
    }

    /// Which proxies are believed what certificate their client showed.
    #[must_use]
    pub fn trusted_proxies(&self) -> Vec<std::net::IpAddr> {
        self.0.config.trusted_proxies.clone()
    }
}
