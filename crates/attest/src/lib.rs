//! Signatures, attestations and papers of models: what others can check without this server.
//!
//! - [`oms`]: a model's files under one signature (OpenSSF Model Signing), made and verified, with keys, certificates and
//!   Sigstore's keyless bundles; [`policy`] says whose signatures count.
//! - [`dsse`] and [`statement`]: signed in-toto statements: where a model comes from, what was tested, scanned and decided.
//!
//! - [`record`]: everything that is known of a model version, from which [`bom`] (CycloneDX), [`papers`] (model card, Annex IV) are
//!   made.
//! - [`evidence`]: all of it in one file that is checked without a server.
//!
//! It is not a room: it knows no caller, no database and no network, and it decides nothing about who may do what. It makes
//! statements of what it is told; whether they are true is its caller's to know.
//!
//! INVARIANT: what is verified is what is used: bytes are read once, and their meaning is taken from the bytes whose signature
//! held. Held by the tests of `dsse` and `oms`.
//! INVARIANT: any doubt refuses: an unknown digest, method, curve or field is an error, never a weaker check. Held by
//! `oms::tests`.

pub mod bom;
pub mod certificate;
pub mod dsse;
pub mod environment;
mod error;
pub mod evidence;
mod keyless;
pub mod keys;
pub mod oms;
pub mod papers;
pub mod policy;
pub mod predicates;
pub mod record;
#[cfg(test)]
mod samples;
pub mod statement;

pub use error::{AttestError, Difference};
pub use keys::{EcdsaSigner, Ed25519Signer, PublicKey, Signer};
