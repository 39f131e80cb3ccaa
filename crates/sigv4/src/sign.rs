//! Signing what we send ourselves: to a bucket, to a key service. Any service of AWS that takes version 4.

use std::fmt;

use http::{HeaderMap, HeaderValue, Method, Uri};
use kernel::{Micros, Secret, hex};

use crate::canonical::{self, Pair};
use crate::presentation::{ALGORITHM, mac, signing_key, string_to_sign};
use crate::{EXPIRES_MAX_S, Refusal, Scope, dates};

/// The hash that says that nothing is said of the body.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// Headers that belong to the connection or that proxies change: never signed.
const PASSING: [&str; 7] =
    ["authorization", "connection", "expect", "transfer-encoding", "user-agent", "accept-encoding", "x-amzn-trace-id"];

/// Somebody who signs, at one service in one region.
#[derive(Clone)]
pub struct Signer {
    /// Their access key.
    pub access_key: String,
    /// Its secret.
    pub secret: Secret,
    /// The token of their session, if the key is a passing one.
    pub session_token: Option<String>,
    /// `us-east-1`.
    pub region: String,
    /// `s3`, `kms`, …
    pub service: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("access_key", &self.access_key)
            .field("region", &self.region)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// Signs a request for now, `at`: sets `x-amz-date`, the token, and for S3 `x-amz-content-sha256` in `headers`, then signs the host and
    /// all headers but the passing ones. `payload` is the SHA-256 of the body in hex, or what stands for it. Gives the value of
    /// `Authorization`.
    ///
    /// # Errors
    /// A [`Refusal`] if there is no host, or something of it cannot be written in a header.
    pub fn sign(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &mut HeaderMap,
        payload: &str,
        at: Micros,
    ) -> Result<HeaderValue, Refusal> {
        headers.insert("x-amz-date", value(&dates::text(at))?);
        if self.service == "s3" {
            headers.insert("x-amz-content-sha256", value(payload)?);
        }
        if let Some(token) = &self.session_token {
            let mut token = value(token)?;
            token.set_sensitive(true);
            headers.insert("x-amz-security-token", token);
        }
        let scope = Scope::new(at, &self.region, &self.service);
        let names = signable(headers);
        let digest = digest(method, uri, headers, &canonical::pairs(uri.query().unwrap_or(""))?, &names, payload, &self.service)?;
        let signature = self.signature(at, &scope, &digest);
        value(&format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            self.access_key,
            names.join(";")
        ))
    }

    /// Signs a URL that anybody may use for `expires_s` seconds from `at`. `headers` must be sent along as they are; nothing is said of
    /// the body.
    ///
    /// # Errors
    /// A [`Refusal`] if the time is not from 1 s to seven days, or `uri` has no host or cannot be signed.
    pub fn presign(&self, method: &Method, uri: &Uri, headers: &HeaderMap, expires_s: i64, at: Micros) -> Result<Uri, Refusal> {
        if !(1..=EXPIRES_MAX_S).contains(&expires_s) {
            return Err(Refusal::malformed_query(format!("a URL holds from 1 to {EXPIRES_MAX_S} seconds")));
        }
        let scope = Scope::new(at, &self.region, &self.service);
        let names = signable(headers);
        let mut pairs = canonical::pairs(uri.query().unwrap_or(""))?;
        let mut add = |name: &str, value: String| pairs.push(Pair { name: name.as_bytes().to_vec(), value: value.into_bytes() });
        add("X-Amz-Algorithm", ALGORITHM.to_owned());
        add("X-Amz-Credential", format!("{}/{scope}", self.access_key));
        add("X-Amz-Date", dates::text(at));
        add("X-Amz-Expires", expires_s.to_string());
        add("X-Amz-SignedHeaders", names.join(";"));
        if let Some(token) = &self.session_token {
            add("X-Amz-Security-Token", token.clone());
        }
        let digest = digest(method, uri, headers, &pairs, &names, UNSIGNED_PAYLOAD, &self.service)?;
        let signature = self.signature(at, &scope, &digest);
        let query = format!("{}&X-Amz-Signature={signature}", canonical::query_text(&pairs));
        let mut parts = uri.clone().into_parts();
        let path = format!("{}?{query}", uri.path());
        parts.path_and_query = Some(path.try_into().map_err(|_| unsignable("the URL is too long"))?);
        Uri::from_parts(parts).map_err(|_| unsignable("the URL is not whole"))
    }

    fn signature(&self, at: Micros, scope: &Scope, digest: &str) -> String {
        let key = signing_key(self.secret.expose(), scope);
        hex(mac(&key, string_to_sign(at, scope, digest).as_bytes()).as_ref())
    }
}

fn signable(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).filter(|name| !PASSING.contains(name)).collect();
    if !names.contains(&"host") {
        names.push("host");
    }
    names.sort_unstable();
    names
}

fn digest(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    pairs: &[Pair],
    names: &[&str],
    payload: &str,
    service: &str,
) -> Result<String, Refusal> {
    let host = canonical::host(uri, headers)?;
    let lines = canonical::header_lines(names, &host, headers)?;
    Ok(canonical::digest(method, &canonical::uri(uri.path(), service)?, &canonical::query_text(pairs), &lines, names, payload))
}

fn value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| unsignable("something cannot be written in a header"))
}

fn unsignable(message: &str) -> Refusal {
    Refusal::new("InvalidRequest", message)
}
