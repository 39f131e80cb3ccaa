//! `Authorization: AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.

use http::HeaderMap;
use kernel::hex;

use crate::canonical::one;
use crate::presentation::{ALGORITHM, Payload, Presentation, Request, bounded, credential, digest, signed_headers};
use crate::{Refusal, SKEW_MAX_S, dates};

/// A request to S3, which names the hash of its body in a header.
pub fn read(request: &Request<'_>) -> Result<Presentation, Refusal> {
    let fields = fields(request.headers)?;
    let named = one(request.headers, "x-amz-content-sha256")?
        .ok_or_else(|| Refusal::new("InvalidRequest", "missing required header for this request: x-amz-content-sha256"))?;
    let payload = Payload::parse(named)?;
    present(request, &fields, "s3", payload, bounded(named, Refusal::malformed_header)?)
}

/// A request to the token service, which does not.
pub fn read_sts(request: &Request<'_>, body_sha256: [u8; 32]) -> Result<Presentation, Refusal> {
    let fields = fields(request.headers)?;
    let named = hex(&body_sha256);
    if one(request.headers, "x-amz-content-sha256")?.is_some_and(|sent| sent != named.as_bytes()) {
        return Err(Refusal::mismatch_of_body());
    }
    present(request, &fields, "sts", Payload::Whole(body_sha256), &named)
}

fn present(
    request: &Request<'_>,
    fields: &Fields<'_>,
    service: &str,
    payload: Payload,
    named: &str,
) -> Result<Presentation, Refusal> {
    let Request { headers, expect, pairs, .. } = *request;
    let at = one(headers, "x-amz-date")?
        .and_then(|text| dates::parse(std::str::from_utf8(text).ok()?))
        .ok_or_else(|| Refusal::new("AccessDenied", "AWS authentication requires a valid x-amz-date header"))?;
    let (access_key, scope) = credential(fields.credential, service, at, expect).map_err(Refusal::malformed_header)?;
    if (expect.now.0.saturating_sub(at.0)).saturating_abs() > SKEW_MAX_S * 1_000_000 {
        return Err(Refusal::new(
            "RequestTimeTooSkewed",
            format!(
                "the difference between the request time and the server's time is too large; here it is {}",
                dates::text(expect.now)
            ),
        ));
    }
    let names = signed_headers(fields.signed_headers, headers, Refusal::malformed_header)?;
    let session_token = one(headers, "x-amz-security-token")?
        .map(|token| bounded(token, Refusal::malformed_header).map(str::to_owned))
        .transpose()?;
    Ok(Presentation {
        access_key,
        session_token,
        string_to_sign: request.string_to_sign(pairs, &names, named, at, &scope)?,
        scope,
        signature: fields.signature,
        payload,
        presigned: false,
        at,
        signed_headers: names.into_iter().map(str::to_owned).collect(),
        expires_s: None,
    })
}

/// The three fields of the header.
struct Fields<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: [u8; 32],
}

fn fields(headers: &HeaderMap) -> Result<Fields<'_>, Refusal> {
    let malformed = Refusal::malformed_header::<String>;
    let value = one(headers, "authorization")?.ok_or_else(|| malformed("there is no header".to_owned()))?;
    let value = bounded(value, malformed)?;
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if scheme != ALGORITHM {
        let of_aws = scheme.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case("AWS"));
        let other = || Refusal::new("InvalidArgument", "unsupported authorization type");
        return Err(if of_aws { Refusal::unsupported() } else { other() });
    }
    let [mut credential, mut signed, mut signature] = [None; 3];
    for field in rest.split(',') {
        let (name, value) =
            field.trim_matches(' ').split_once('=').ok_or_else(|| malformed("a field has no value".to_owned()))?;
        let place = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed,
            "Signature" => &mut signature,
            _ => return Err(malformed("a field is unknown".to_owned())),
        };
        if place.replace(value).is_some() {
            return Err(malformed(format!("`{name}` is repeated")));
        }
    }
    let there = |field: Option<_>, name: &str| field.ok_or_else(|| malformed(format!("`{name}` is missing")));
    let signature = digest(there(signature, "Signature")?.as_bytes())
        .ok_or_else(|| malformed("`Signature` is not 64 lower-case hex digits".to_owned()))?;
    Ok(Fields { credential: there(credential, "Credential")?, signed_headers: there(signed, "SignedHeaders")?, signature })
}
