//! OpenSSF Model Signing, version 1.0: one signature over the list of all files of a model.
//!
//! Source: ossf/model-signing-spec, `spec/v1.0.md` (sections in the code below) and its algorithm registry. The list is an
//! in-toto statement in a DSSE envelope in a Sigstore bundle, which is kept beside the files as `model.sig`.
//!
//! What is stricter here than there: links are never followed, whatever a signer wrote; a path that a signer asked to ignore
//! may hide no file; only SHA-256 is taken; certificates that have expired are refused.

mod bundle;
mod compare;
mod directory;
mod manifest;
mod path;
mod verify;

pub use bundle::{Bundle, MEDIA_TYPE, Material, sign_with_certificates, sign_with_key};
pub use compare::{Coverage, FileList, ModelSource};
pub use directory::{Directory, FILE_COUNT_MAX, hash_file};
pub use manifest::{FileDigest, Manifest, Method, PREDICATE_TYPE, RESOURCE_COUNT_MAX, Resource, SHARD_BYTES};
pub use path::{GIT_NAMES, PATH_BYTES_MAX};
pub use verify::{Verified, verify, verify_signature};

/// The name under which a model's signature lies beside its files.
pub const SIGNATURE_NAME: &str = "model.sig";

/// A SHA-256.
pub type Digest = [u8; 32];

#[cfg(test)]
mod tests;
