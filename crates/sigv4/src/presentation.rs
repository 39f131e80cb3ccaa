//! What a signed request claims, and how the claim is judged.

use std::fmt;

use aws_lc_rs::hmac;
use http::{HeaderMap, Method, Uri};
use kernel::{Micros, Secret, parse_hex};

use crate::canonical::Pair;
use crate::{Expect, FIELD_BYTES_MAX, Refusal, SIGNED_HEADERS_COUNT_MAX, canonical, dates};

/// The only algorithm there is.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
const ACCESS_KEY_BYTES_MAX: usize = 128;

/// What [`crate::read`] found.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made once a request and taken apart at once")]
pub enum Presented {
    /// Nothing: a stranger.
    None,
    /// A claim to be judged by [`verify`].
    Signed(Presentation),
}

/// What a signing key is good for: one day, region and service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `20130524`.
    pub date: String,
    /// `us-east-1`.
    pub region: String,
    /// `s3`.
    pub service: String,
}

impl Scope {
    /// The scope of a signature made at `at`.
    #[must_use]
    pub fn new(at: Micros, region: &str, service: &str) -> Self {
        Self { date: dates::day(at), region: region.to_owned(), service: service.to_owned() }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service)
    }
}

/// What the signature says of the body (`x-amz-content-sha256`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing.
    Unsigned,
    /// Its SHA-256. The caller compares it with what came, before anything is published.
    Whole([u8; 32]),
    /// It comes in `aws-chunked`, each chunk signed.
    SignedChunks {
        /// Trailers follow, signed too.
        trailer: bool,
    },
    /// It comes in `aws-chunked`, unsigned, with unsigned trailers.
    UnsignedChunksTrailer,
}

impl Payload {
    /// Reads the value of `x-amz-content-sha256`.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Refusal> {
        match text {
            b"UNSIGNED-PAYLOAD" => Ok(Self::Unsigned),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(Self::SignedChunks { trailer: false }),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(Self::SignedChunks { trailer: true }),
            b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::UnsignedChunksTrailer),
            other => digest(other).map(Self::Whole).ok_or_else(|| {
                Refusal::new(
                    "InvalidArgument",
                    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                     STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value",
                )
            }),
        }
    }

    /// What `x-amz-content-sha256` says of a body, whoever signed it; none where it says nothing.
    ///
    /// # Errors
    /// `InvalidArgument` for what it may not say, `InvalidRequest` where it is repeated.
    pub fn told(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        canonical::one(headers, "x-amz-content-sha256")?.map(Self::parse).transpose()
    }

    /// Holds the SHA-256 of the body that came against the one that was signed, where one was.
    ///
    /// # Errors
    /// `XAmzContentSHA256Mismatch` if it is another.
    pub fn check(&self, sha256: &[u8; 32]) -> Result<(), Refusal> {
        match self {
            Self::Whole(signed) if signed != sha256 => Err(Refusal::mismatch_of_body()),
            _ => Ok(()),
        }
    }

    /// The body is framed in `aws-chunked` and read through [`crate::Chunks`].
    #[must_use]
    pub const fn is_chunked(&self) -> bool {
        matches!(self, Self::SignedChunks { .. } | Self::UnsignedChunksTrailer)
    }
}

/// 32 bytes in lower-case hex.
pub fn digest(text: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(text).ok().filter(|text| !text.bytes().any(|byte| byte.is_ascii_uppercase()))?;
    parse_hex(text)?.try_into().ok()
}

/// A claim: who says to have signed what, when.
#[derive(Clone)]
#[non_exhaustive]
pub struct Presentation {
    /// Whose key is said to have signed.
    pub access_key: String,
    /// The session token that came along. The caller must know it to belong to the access key.
    pub session_token: Option<String>,
    /// What the key is good for; region and service are the expected ones.
    pub scope: Scope,
    /// What was signed.
    pub string_to_sign: String,
    /// The signature to be judged.
    pub signature: [u8; 32],
    /// What is said of the body.
    pub payload: Payload,
    /// It came in the query.
    pub presigned: bool,
    /// When it was signed, as it says.
    pub at: Micros,
    /// The names of the signed headers, lower-case and sorted.
    pub signed_headers: Vec<String>,
    /// How long it holds from `at`, where it is presigned.
    pub expires_s: Option<i64>,
}

impl fmt::Debug for Presentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presentation")
            .field("access_key", &self.access_key)
            .field("scope", &self.scope)
            .field("payload", &self.payload)
            .field("presigned", &self.presigned)
            .field("at", &self.at)
            .field("signed_headers", &self.signed_headers)
            .field("expires_s", &self.expires_s)
            .finish_non_exhaustive()
    }
}

/// The key that signs within `scope`: derived from the secret, one HMAC a step. It cannot be turned back into the secret, and is worth
/// nothing on another day.
#[must_use]
pub fn signing_key(secret: &[u8], scope: &Scope) -> Secret {
    let first = Secret::new([b"AWS4", secret].concat());
    [scope.date.as_str(), &scope.region, &scope.service, TERMINATOR]
        .into_iter()
        .fold(first, |key, part| Secret::new(mac(&key, part.as_bytes()).as_ref().to_vec()))
}

/// HMAC-SHA256 of `message`.
pub fn mac(key: &Secret, message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), message)
}

/// Whether `signature` is the one of `message`, in constant time.
#[must_use]
pub fn is_signature(key: &Secret, message: &[u8], signature: &[u8; 32]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), message, signature).is_ok()
}

/// Whether the owner of `signing_key` signed this, in constant time.
#[must_use]
pub fn verify(signing_key: &Secret, presentation: &Presentation) -> bool {
    is_signature(signing_key, presentation.string_to_sign.as_bytes(), &presentation.signature)
}

/// `KEY/20130524/us-east-1/s3/aws4_request`; says what is wrong otherwise.
pub fn credential(text: &str, service: &str, at: Micros, expect: &Expect<'_>) -> Result<(String, Scope), String> {
    let parts: Vec<&str> = text.split('/').collect();
    let [access_key, date, region, named, terminator] = parts[..] else {
        return Err("the credential is malformed: expecting `<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request`".to_owned());
    };
    let is_key = !access_key.is_empty() && access_key.len() <= ACCESS_KEY_BYTES_MAX;
    if !is_key || !access_key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the access key of the credential is malformed".to_owned());
    }
    if terminator != TERMINATOR {
        return Err(format!("the credential must end with `{TERMINATOR}`"));
    }
    if named != service {
        return Err(format!("incorrect service: this endpoint belongs to `{service}`"));
    }
    if region != expect.region {
        return Err(format!("the region is wrong; expecting `{}`", expect.region));
    }
    if date != dates::day(at) {
        return Err("the date of the credential is not the date of the request".to_owned());
    }
    Ok((access_key.to_owned(), Scope { date: date.to_owned(), region: region.to_owned(), service: named.to_owned() }))
}

/// Reads `host;x-amz-date`, and holds it against what the request brings: nothing that a signer would be taken to have said may be unsigned.
pub fn signed_headers<'a>(text: &'a str, headers: &HeaderMap, malformed: fn(String) -> Refusal) -> Result<Vec<&'a str>, Refusal> {
    let names: Vec<&str> = text.split(';').take(SIGNED_HEADERS_COUNT_MAX + 1).collect();
    if names.len() > SIGNED_HEADERS_COUNT_MAX {
        return Err(malformed(format!("more than {SIGNED_HEADERS_COUNT_MAX} headers are signed")));
    }
    let is_name = |name: &str| http::HeaderName::from_bytes(name.as_bytes()).is_ok_and(|parsed| parsed.as_str() == name);
    let sorted = names.is_sorted_by(|one, next| one < next);
    if !sorted || !names.iter().all(|name| is_name(name)) {
        return Err(malformed("the signed headers must be lower-case names, sorted, each once".to_owned()));
    }
    let unsigned = |name: &str| names.binary_search(&name).is_err();
    if unsigned("host") {
        return Err(Refusal::new("AccessDenied", "the header `host` must be signed"));
    }
    let bound = |name: &str| name.starts_with("x-amz-") || name == "content-md5";
    match headers.keys().map(http::HeaderName::as_str).find(|name| bound(name) && unsigned(name)) {
        Some(name) => Err(Refusal::new(
            "AccessDenied",
            format!("there were headers present in the request which were not signed: `{name}`"),
        )),
        None => Ok(names),
    }
}

/// A header or parameter as text of bounded length.
pub fn bounded(value: &[u8], malformed: fn(String) -> Refusal) -> Result<&str, Refusal> {
    if value.len() > FIELD_BYTES_MAX {
        return Err(malformed(format!("longer than {FIELD_BYTES_MAX} bytes")));
    }
    std::str::from_utf8(value).map_err(|_| malformed("not a text".to_owned()))
}

/// A request as both forms of a signature read it.
pub struct Request<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    /// The query, decoded.
    pub pairs: &'a [Pair],
    pub expect: &'a Expect<'a>,
}

impl Request<'_> {
    /// The text that is signed. `pairs` is what of the query is signed, `payload` the last line of the canonical request.
    pub fn string_to_sign(
        &self,
        pairs: &[Pair],
        names: &[&str],
        payload: &str,
        at: Micros,
        scope: &Scope,
    ) -> Result<String, Refusal> {
        let host = canonical::host(self.uri, self.headers)?;
        let uri = canonical::uri(self.uri.path(), &scope.service)?;
        let lines = canonical::header_lines(names, &host, self.headers)?;
        let digest = canonical::digest(self.method, &uri, &canonical::query_text(pairs), &lines, names, payload);
        Ok(string_to_sign(at, scope, &digest))
    }
}

/// The text that is signed for a canonical request with this digest.
pub fn string_to_sign(at: Micros, scope: &Scope, digest: &str) -> String {
    format!("{ALGORITHM}\n{}\n{scope}\n{digest}", dates::text(at))
}
