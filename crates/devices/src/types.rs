//! Devices, as their owners and administrators see them.

use kernel::{Micros, Secret};

use crate::posture::Facts;

/// Who vouches for the key of a device's TPM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// A root of the configuration, by a certificate.
    Root,
    /// An administrator, by hand.
    Pin,
}

impl Vouched {
    /// The word for answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Pin => "pin",
        }
    }
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// The account that it is enrolled for, by id.
    pub principal_id: String,
    /// The account's name.
    pub principal_name: String,
    /// What it is called.
    pub label: String,
    /// When it was enrolled.
    pub created_at: Micros,
    /// When its newest certificate was made.
    pub certified_at: Micros,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
    /// Whether it was, because it is lost.
    pub lost: bool,
    /// When it reported last.
    pub reported_at: Option<Micros>,
    /// What it reported.
    pub facts: Option<Facts>,
    /// What of that is not in order.
    pub failing: Vec<&'static str>,
    /// When its TPM attested that it holds the key, last.
    pub attested_at: Option<Micros>,
    /// SHA-256 of the public endorsement key of that TPM, in hex.
    pub endorsement_key: Option<String>,
    /// Who vouches for it.
    pub vouched: Option<Vouched>,
    /// SHA-256 over its platform configuration registers when it attested, in hex.
    pub registers: Option<String>,
    /// How far it is trusted at this moment; 0 once it is revoked.
    pub tier: u8,
}

/// Leave to enrol one device, shown once.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Its id.
    pub id: String,
    /// The secret.
    pub secret: Secret,
    /// Until when it counts.
    pub expires_at: Micros,
}

/// A device that was just enrolled or whose certificate was renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Its id.
    pub device_id: String,
    /// Its certificate, in PEM.
    pub certificate: String,
    /// Until when that is valid.
    pub expires_at: Micros,
}

/// From which devices a workspace, or data of a class in it, may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The workspace's name.
    pub workspace: String,
    /// The class of data; empty for everything in the workspace.
    pub data_class: String,
    /// The least tier.
    pub tier: u8,
    /// Who said so, by id.
    pub set_by: String,
    /// When.
    pub set_at: Micros,
}

/// Machines that one enrol secret lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Who made it, by id: it ends with that account.
    pub created_by: String,
    /// When.
    pub created_at: Micros,
    /// How many nodes it has.
    pub node_count: i64,
}

/// A machine that osquery looks after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// The name of its fleet.
    pub fleet: String,
    /// What it calls itself.
    pub host: String,
    /// When it enrolled last.
    pub enrolled_at: Micros,
    /// When it was heard of last.
    pub seen_at: Micros,
    /// When it said how it is, last.
    pub reported_at: Option<Micros>,
    /// What it said.
    pub facts: Option<Facts>,
    /// The device that it is, by id, if an administrator said so.
    pub device: Option<String>,
}
