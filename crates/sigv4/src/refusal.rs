//! Why a request is not read any further, in S3's words.

use std::fmt;

/// An error as S3 would answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// S3's error code.
    pub code: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong, for whoever wrote the client. Holds no secret and no signature.
    pub message: String,
}

impl Refusal {
    /// A refusal with the status that S3 gives with `code`.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        let status = match code {
            "AccessDenied" | "RequestTimeTooSkewed" | "SignatureDoesNotMatch" => 403,
            "MissingContentLength" => 411,
            _ => 400,
        };
        Self { code, status, message: message.into() }
    }

    /// What to answer where [`crate::verify`] said no.
    #[must_use]
    pub fn mismatch() -> Self {
        Self::new(
            "SignatureDoesNotMatch",
            "the request signature we calculated does not match the signature you provided: check your key and signing method",
        )
    }

    pub(crate) fn mismatch_of_body() -> Self {
        Self::new("XAmzContentSHA256Mismatch", "the provided x-amz-content-sha256 does not match what was computed")
    }

    pub(crate) fn twice() -> Self {
        Self::new(
            "InvalidArgument",
            "only one auth mechanism allowed: the `Authorization` header or the `X-Amz-…` query parameters",
        )
    }

    pub(crate) fn unsupported() -> Self {
        Self::new(
            "InvalidRequest",
            "the authorization mechanism you have provided is not supported: please use AWS4-HMAC-SHA256 (signature version 4)",
        )
    }

    pub(crate) fn malformed_header<M: Into<String>>(message: M) -> Self {
        Self::new("AuthorizationHeaderMalformed", message)
    }

    pub(crate) fn malformed_query<M: Into<String>>(message: M) -> Self {
        Self::new("AuthorizationQueryParametersError", message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Refusal {}
