//! AWS Signature Version 4 as an S3 server must read it: strictly, before anything else of the request is believed. Also bodies in
//! `aws-chunked` with their chunk signatures and trailers, S3's checksums and ETags, and the other side, [`sign`], for requests that we send.
//!
//! It is not a server and knows no accounts: who owns an access key, what its secret is, whether a session token belongs to it and what
//! its owner may do, the caller asks elsewhere. It does no I/O and knows no async.
//!
//! A request goes: [`read`] (shape, dates, scope, what is signed) → the caller finds the secret, [`signing_key`], [`verify`] → the body: its
//! hash ([`Payload::Whole`]) or [`Chunks`]. Nothing of a body may be published before [`Chunks::finish`] said yes.
//!
//! INVARIANTS: every `x-amz-*` header, `host` and `content-md5` of a request that is read as signed is part of what was signed
//! (`src/tests/traps.rs`). Only version 4 with HMAC-SHA256 is read; there is no switch for another. What is read from the query and the path
//! through [`query`] and [`path`] is what was signed. No `Debug` of this crate prints a signature, a token or a key.

mod canonical;
pub mod checksum;
mod chunks;
mod dates;
mod header_form;
mod presentation;
mod presigned_form;
mod refusal;
pub mod sign;

use http::{HeaderMap, Method, Uri};
use kernel::Micros;
use presentation::Request;

pub use canonical::{path, query};
pub use checksum::{Algorithm, Checksum};
pub use chunks::{CHUNK_HEAD_BYTES_MAX, Chunks, SIGNED_CHUNK_BYTES_MAX, TRAILERS_BYTES_MAX};
pub use presentation::{Payload, Presentation, Presented, Scope, is_signature, signing_key, verify};
pub use refusal::Refusal;

/// The header or the value of the query that holds a signature, the path and a single header value are no longer than this.
pub const FIELD_BYTES_MAX: usize = 8 * 1024;
/// A query with everything in it, a session token too.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// How many headers one signature may cover.
pub const SIGNED_HEADERS_COUNT_MAX: usize = 100;
/// How far a request's date may be from ours.
pub const SKEW_MAX_S: i64 = 15 * 60;
/// How long a presigned URL may hold: seven days.
pub const EXPIRES_MAX_S: i64 = 604_800;

/// What the server expects of every signature.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// The one region that this server answers for.
    pub region: &'a str,
    /// The time.
    pub now: Micros,
}

/// Reads what a request to S3 brings: an `Authorization` header, a presigned query, or nothing. The signature is not judged yet: [`verify`].
///
/// # Errors
/// A [`Refusal`] with S3's code if it is signed in another way than version 4, in two ways at once, incompletely, ambiguously, for another
/// region or service, at another time, or if a header that changes what the request means is not signed.
pub fn read(method: &Method, uri: &Uri, headers: &HeaderMap, expect: &Expect<'_>) -> Result<Presented, Refusal> {
    let pairs = bounded_pairs(uri)?;
    let request = Request { method, uri, headers, pairs: &pairs, expect };
    let by_header = headers.contains_key(http::header::AUTHORIZATION);
    let by_query = presigned_form::is_present(&pairs)?;
    match (by_header, by_query) {
        (false, false) => Ok(Presented::None),
        (true, true) => Err(Refusal::twice()),
        (true, false) => header_form::read(&request).map(Presented::Signed),
        (false, true) => presigned_form::read(&request).map(Presented::Signed),
    }
}

/// For a request that says in another way who sends it: nothing of its query may claim to be signed too.
///
/// # Errors
/// A [`Refusal`] as [`read`] gives it where a request is signed in two ways.
pub fn read_unsigned(uri: &Uri) -> Result<(), Refusal> {
    if presigned_form::is_present(&bounded_pairs(uri)?)? { Err(Refusal::twice()) } else { Ok(()) }
}

/// As [`read`], for the token service: signed by header for the service `sts`, with the SHA-256 of the whole body, which such requests do
/// not name in a header.
///
/// # Errors
/// As [`read`]; also if nothing is signed, or something is presigned.
pub fn read_sts(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body_sha256: [u8; 32],
    expect: &Expect<'_>,
) -> Result<Presentation, Refusal> {
    let pairs = bounded_pairs(uri)?;
    if presigned_form::is_present(&pairs)? || !headers.contains_key(http::header::AUTHORIZATION) {
        return Err(Refusal::new("AccessDenied", "requests for tokens are signed in the `Authorization` header"));
    }
    if uri.path() != "/" {
        return Err(Refusal::new("InvalidURI", "requests for tokens go to `/`"));
    }
    header_form::read_sts(&Request { method, uri, headers, pairs: &pairs, expect }, body_sha256)
}

fn bounded_pairs(uri: &Uri) -> Result<Vec<canonical::Pair>, Refusal> {
    let query = uri.query().unwrap_or("");
    if query.len() > QUERY_BYTES_MAX || uri.path().len() > FIELD_BYTES_MAX {
        return Err(Refusal::new("RequestHeaderSectionTooLarge", "the path or the query is too long"));
    }
    canonical::pairs(query)
}

#[cfg(test)]
mod tests;
