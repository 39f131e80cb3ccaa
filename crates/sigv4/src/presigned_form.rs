//! `?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=…&X-Amz-Date=…&X-Amz-Expires=…&X-Amz-SignedHeaders=…&X-Amz-Signature=…`.

use crate::canonical::{Pair, one};
use crate::presentation::{ALGORITHM, Payload, Presentation, Request, bounded, credential, digest, signed_headers};
use crate::{EXPIRES_MAX_S, Refusal, SKEW_MAX_S, dates};

const SIGNATURE: &str = "X-Amz-Signature";
const TOKEN: &str = "X-Amz-Security-Token";
const CONTENT: &str = "X-Amz-Content-Sha256";
const NAMES: [&str; 8] =
    ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", SIGNATURE, TOKEN, CONTENT];

/// Whether the query claims to be signed. A query in the manner of signature version 2, or one that spells a name in other letters, is
/// refused.
pub fn is_present(pairs: &[Pair]) -> Result<bool, Refusal> {
    if pairs.iter().any(|pair| matches!(pair.name.as_slice(), b"AWSAccessKeyId" | b"Signature")) {
        return Err(Refusal::unsupported());
    }
    let ours = |pair: &Pair| NAMES.iter().find(|name| name.as_bytes().eq_ignore_ascii_case(&pair.name)).copied();
    match pairs.iter().find_map(|pair| ours(pair).filter(|name| name.as_bytes() != pair.name)) {
        Some(name) => Err(Refusal::malformed_query(format!("`{name}` is not spelt like that"))),
        None => Ok(pairs.iter().any(|pair| ours(pair).is_some())),
    }
}

/// Reads such a query.
pub fn read(request: &Request<'_>) -> Result<Presentation, Refusal> {
    let malformed = Refusal::malformed_query::<String>;
    let Request { headers, expect, pairs, .. } = *request;
    let optional = |name: &str| {
        let found = pairs.iter().find(|pair| pair.name == name.as_bytes());
        found.map(|pair| bounded(&pair.value, malformed)).transpose()
    };
    let required = |name: &str| optional(name)?.ok_or_else(|| malformed(format!("`{name}` is missing")));
    let algorithm = required("X-Amz-Algorithm")?;
    if algorithm != ALGORITHM {
        return Err(malformed(format!("`X-Amz-Algorithm` only supports `{ALGORITHM}`")));
    }
    let at = dates::parse(required("X-Amz-Date")?)
        .ok_or_else(|| malformed("`X-Amz-Date` must be in the ISO 8601 long format `yyyyMMdd'T'HHmmss'Z'`".to_owned()))?;
    let (access_key, scope) = credential(required("X-Amz-Credential")?, "s3", at, expect)
        .map_err(|message| malformed(format!("`X-Amz-Credential`: {message}")))?;
    let expires_s = expires(required("X-Amz-Expires")?)?;
    let signature = digest(required(SIGNATURE)?.as_bytes())
        .ok_or_else(|| malformed(format!("`{SIGNATURE}` is not 64 lower-case hex digits")))?;
    if at > expect.now.plus_secs(SKEW_MAX_S) {
        return Err(Refusal::new("AccessDenied", "request is not valid yet"));
    }
    if expect.now > at.plus_secs(expires_s) {
        return Err(Refusal::new("AccessDenied", "request has expired"));
    }
    let names = signed_headers(required("X-Amz-SignedHeaders")?, headers, malformed)?;
    let token = either(optional(TOKEN)?, one(headers, "x-amz-security-token")?, TOKEN)?;
    let content = either(optional(CONTENT)?, one(headers, "x-amz-content-sha256")?, CONTENT)?.unwrap_or("UNSIGNED-PAYLOAD");
    if one(headers, "x-amz-date")?.is_some_and(|sent| sent != dates::text(at).as_bytes()) {
        return Err(malformed("`X-Amz-Date` is in the query and in a header".to_owned()));
    }
    let payload = Payload::parse(content.as_bytes())?;
    let signed: Vec<Pair> = pairs.iter().filter(|pair| pair.name != SIGNATURE.as_bytes()).cloned().collect();
    Ok(Presentation {
        access_key,
        session_token: token.map(str::to_owned),
        string_to_sign: request.string_to_sign(&signed, &names, content, at, &scope)?,
        scope,
        signature,
        payload,
        presigned: true,
        at,
        signed_headers: names.into_iter().map(str::to_owned).collect(),
        expires_s: Some(expires_s),
    })
}

/// What may stand in the query or in a (signed) header, but not in both.
fn either<'a>(query: Option<&'a str>, header: Option<&'a [u8]>, name: &str) -> Result<Option<&'a str>, Refusal> {
    match (query, header) {
        (Some(_), Some(_)) => Err(Refusal::malformed_query(format!("`{name}` is in the query and in a header"))),
        (None, Some(header)) => bounded(header, Refusal::malformed_query).map(Some),
        (query, None) => Ok(query),
    }
}

fn expires(text: &str) -> Result<i64, Refusal> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse::<i64>().ok().filter(|seconds| is_number && (1..=EXPIRES_MAX_S).contains(seconds));
    // As S3 refuses what has expired: a request that no longer or not yet counts is denied, not malformed.
    seconds.ok_or_else(|| Refusal {
        status: 403,
        ..Refusal::malformed_query(format!("`X-Amz-Expires` must be a number of seconds from 1 to {EXPIRES_MAX_S}"))
    })
}
