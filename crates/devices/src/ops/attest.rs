//! A TPM shows that it holds a device's key; and somebody vouches for the TPM.
//!
//! Of the first half nothing is kept: the secret and the nonce are keyed hashes of the device, the time and the keys, made again when the answer comes.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem, hex, parse_hex, sha256};

use super::{ended, no_device, own_account, own_device};
use crate::store::Attested;
use crate::tpm::public::Public;
use crate::tpm::{TpmError, credential, statement, vouch};
use crate::{Devices, store};

/// The verb of [`AttestBegin`].
pub const ATTEST_BEGIN: Action = Action::read("devices.attest_begin");
/// The verb of [`Attest`].
pub const ATTEST: Action = Action::write("devices.attest");
/// The verb of [`Pin`].
pub const PIN: Action = Action::write("devices.pin");

/// What the secret in a credential is for.
const SECRET: &str = "credential";
/// What the nonce of a quote is for.
const NONCE: &str = "quote";

/// The keys of a TPM, as it describes them: `TPM2B_PUBLIC` each.
#[derive(Clone, Debug)]
pub struct TpmKeys {
    /// The endorsement key.
    pub endorsement: Vec<u8>,
    /// The attestation key.
    pub attestation: Vec<u8>,
}

impl TpmKeys {
    fn read(&self) -> Result<(Public, Public), TpmError> {
        let (endorsement, attestation) = (Public::read(&self.endorsement)?, Public::read(&self.attestation)?);
        endorsement.as_endorsement_key()?;
        attestation.as_attestation_key()?;
        Ok((endorsement, attestation))
    }
}

/// What a TPM is asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The challenge, to be sent back.
    pub challenge: String,
    /// What it opens, if it holds both keys.
    pub credential: credential::Credential,
    /// What its quote must contain.
    pub nonce: [u8; 32],
}

/// Begins an attestation of the device that the request came from.
pub struct AttestBegin {
    /// The room.
    pub room: Devices,
    /// The TPM's keys.
    pub keys: TpmKeys,
}

impl Operation for AttestBegin {
    const ACTION: Action = ATTEST_BEGIN;
    type Output = Asked;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Asked, Problem> {
        let (at, id) = (permit.entry().at, own_device(permit.caller())?.to_owned());
        let (endorsement, attestation) = self.keys.read()?;
        let (secret, nonce) = secrets(&self.room, &id, at, &self.keys);
        let credential = credential::make(&endorsement, &attestation.name, &secret)?;
        let challenge = self.room.0.challenges.make(SECRET, &id, at);
        Ok(Asked { challenge, credential, nonce })
    }
}

fn secrets(room: &Devices, id: &str, at: Micros, keys: &TpmKeys) -> ([u8; 32], [u8; 32]) {
    let both: [&[u8]; 2] = [&keys.endorsement, &keys.attestation];
    (room.0.challenges.bytes(SECRET, id, at, &both), room.0.challenges.bytes(NONCE, id, at, &both))
}

/// A statement of a TPM with its signature (`TPMS_ATTEST`, `TPMT_SIGNATURE`).
#[derive(Clone, Debug)]
pub struct Signed {
    /// What was said.
    pub statement: Vec<u8>,
    /// By the attestation key.
    pub signature: Vec<u8>,
}

impl Signed {
    fn parts(&self) -> (&[u8], &[u8]) {
        (&self.statement, &self.signature)
    }
}

/// Takes an attestation in.
pub struct Attest {
    /// The room.
    pub room: Devices,
    /// The challenge that it answers.
    pub challenge: String,
    /// The TPM's keys, as they were at the beginning.
    pub keys: TpmKeys,
    /// What was in the credential.
    pub secret: Vec<u8>,
    /// The device's key, `TPM2B_PUBLIC`.
    pub device_key: Vec<u8>,
    /// That the TPM holds it.
    pub certified: Signed,
    /// How the machine started.
    pub quoted: Signed,
    /// The registers that were quoted.
    pub registers: Vec<u8>,
    /// The endorsement key's certificate, if it has one.
    pub certificate: Option<Vec<u8>>,
}

/// What became of an attestation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestAnswer {
    /// SHA-256 of the endorsement key, in hex: what an administrator compares before pinning it.
    pub endorsement_key: String,
    /// Whether a root of the configuration vouches for it.
    pub by_root: bool,
}

impl Operation for Attest {
    const ACTION: Action = ATTEST;
    type Output = AttestAnswer;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<AttestAnswer, Problem> {
        let at = permit.entry().at;
        let (own, id) = (own_account(permit.caller())?.to_owned(), own_device(permit.caller())?.to_owned());
        let begun_at = self.room.0.challenges.read(SECRET, &id, &self.challenge, at)?;
        let (endorsement, attestation) = self.keys.read()?;
        let attestation_key = attestation.as_attestation_key()?;
        let (secret, nonce) = secrets(&self.room, &id, begun_at, &self.keys);
        aws_lc_rs::constant_time::verify_slices_are_equal(&secret, &self.secret)
            .map_err(|_| TpmError("the credential was not opened: the two keys are not in one TPM"))?;
        let device_key = Public::read(&self.device_key)?;
        let point = device_key.as_device_key()?.to_vec();
        statement::certified(attestation_key, self.certified.parts(), &device_key.name)?;
        let pcr_sha256 = statement::quoted(attestation_key, self.quoted.parts(), &nonce, &self.registers)?;
        let spki = endorsement.key.to_spki()?;
        let by_root = match &self.certificate {
            Some(certificate) if !self.room.0.roots.is_empty() => {
                vouch::by_root(certificate, &spki, &self.room.0.roots, at)?;
                true
            }
            _ => false,
        };
        let ek_sha256 = sha256(&spki);
        let write = self.room.0.db.write(&permit, move |tx| {
            let registered = store::hold_device(tx, &id, &own)?.ok_or_else(ended)?;
            if registered != point {
                return Err(TpmError("the TPM holds another key than the one that the device is registered with").into());
            }
            let new = Attested { ek_sha256: &ek_sha256, by_root, pcr_sha256: &pcr_sha256, nonce: begun_at, at };
            if !store::put_attested(tx, &id, &new)? {
                return Err(Problem::new(Kind::Conflict, "the challenge, or a newer one, was answered already; begin again"));
            }
            let outcome =
                Outcome::done().resource(id).with("endorsement_key", hex(&ek_sha256)).with("by_root", i64::from(by_root));
            Ok(((), outcome))
        });
        write.await?;
        Ok(AttestAnswer { endorsement_key: hex(&ek_sha256), by_root })
    }
}

/// An administrator vouches for the TPM of a device, having compared its endorsement key with the machine's own.
pub struct Pin {
    /// The room.
    pub room: Devices,
    /// The device, by its id.
    pub device: String,
    /// SHA-256 of the endorsement key as it was read on the machine, in hex.
    pub endorsement_key: String,
}

impl Operation for Pin {
    const ACTION: Action = PIN;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, by, id) = (permit.entry().at, permit.caller().id.clone(), self.device);
        let read = parse_hex(&self.endorsement_key).filter(|digest| digest.len() == 32);
        let read = read.ok_or_else(|| Problem::invalid("an endorsement key is named by its SHA-256: 64 hexadecimal digits"))?;
        let write = self.room.0.db.write(&permit, move |tx| {
            let known = store::endorsement_key(tx, &id)?.ok_or_else(no_device)?;
            let known =
                known.ok_or_else(|| Problem::invalid("the device has not attested yet; run `strongroom agent attest` on it"))?;
            if known != read {
                return Err(Problem::invalid(
                    "the device attested with another endorsement key than the one that you read on the machine",
                ));
            }
            store::pin(tx, &known, &by, at)?;
            Ok(((), Outcome::done().resource(id).with("endorsement_key", hex(&known))))
        });
        write.await
    }
}
