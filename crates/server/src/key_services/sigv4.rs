//! AWS Signature Version 4 of one request with its whole body (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).

use std::fmt::Write as _;

use kernel::{Micros, Secret, hex, sha256};
use vault::keys::keyed_hash;

/// Who signs.
pub(super) struct Credentials {
    /// The access key's id.
    pub(super) id: String,
    /// The secret access key.
    pub(super) secret: Secret,
    /// The token of a session.
    pub(super) session: Option<Secret>,
}

/// What is signed for.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The region.
    pub(super) region: &'a str,
    /// The service.
    pub(super) service: &'a str,
    /// When.
    pub(super) at: Micros,
}

/// `20260131T120000Z`.
pub(super) fn stamp(at: Micros) -> String {
    at.rfc3339_seconds().replace(['-', ':'], "")
}

/// The value of `Authorization` for a POST to `/` with these headers: names in lower case, sorted, no value with spaces at its ends.
pub(super) fn authorization(by: &Credentials, scope: Scope<'_>, headers: &[(&str, &str)], body: &[u8]) -> String {
    let stamp = stamp(scope.at);
    let day: String = stamp.chars().take(8).collect();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut canonical = String::from("POST\n/\n\n");
    for (name, value) in headers {
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let _ = write!(canonical, "\n{names}\n{}", hex(&sha256(body)));
    let within = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{within}\n{}", hex(&sha256(canonical.as_bytes())));
    let mut key = Secret::new([b"AWS4", by.secret.expose()].concat());
    for part in [day.as_str(), scope.region, scope.service, "aws4_request"] {
        key = Secret::new(keyed_hash(&key, part.as_bytes()).to_vec());
    }
    let signature = hex(&keyed_hash(&key, to_sign.as_bytes()));
    format!("AWS4-HMAC-SHA256 Credential={}/{within}, SignedHeaders={names}, Signature={signature}", by.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors `post-vanilla` and `post-x-www-form-urlencoded` of AWS's test suite for signature version 4.
    #[test]
    fn requests_are_signed_as_in_the_published_vectors() {
        let by = Credentials {
            id: "AKIDEXAMPLE".to_owned(),
            secret: Secret::from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            session: None,
        };
        // 2015-08-30T12:36:00Z
        let scope = Scope { region: "us-east-1", service: "service", at: Micros(1_440_938_160_000_000) };
        assert_eq!(stamp(scope.at), "20150830T123600Z");
        let (host, date) = (("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z"));
        let vanilla = authorization(&by, scope, &[host, date], b"");
        let signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
        assert_eq!(
            vanilla,
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature={signature}"
            )
        );
        let form = ("content-type", "application/x-www-form-urlencoded");
        let form = authorization(&by, scope, &[form, host, date], b"Param1=value1");
        assert!(form.ends_with("ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"), "{form}");
    }
}
