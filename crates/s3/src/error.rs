//! Errors in S3's form.

use axum::body::Body;
use buckets::Code;
use http::{HeaderValue, Method, StatusCode, header};
use kernel::{Kind, Problem};
use sigv4::Refusal;
use wire::Answer;

use crate::auth::STS_NAMESPACE;
use crate::xml::Xml;

/// What helps whose signature is not good. Which part of it was wrong is nobody's business.
const NOT_SIGNED: &str = "The request signature we calculated does not match the signature you provided, or the access key has ended with \
                          its token. Check the secret and the session token, or ask for a new key: `strongroom token access-key`";

/// A problem that a signature, a chunk or a checksum was refused with.
pub fn refused(refusal: Refusal) -> Problem {
    let kind = if refusal.status == 403 { Kind::Forbidden } else { Kind::Invalid };
    Problem::new(kind, refusal.message.clone()).because(refusal)
}

/// What is not there, with what there is instead.
pub fn not_implemented(message: impl Into<String>) -> Problem {
    Problem::new(Kind::NotImplemented, message)
}

/// S3's code and status of a problem.
fn code_of(problem: &Problem) -> (&'static str, u16) {
    let source = std::error::Error::source(problem);
    if let Some(code) = Code::of(problem) {
        return (code.word(), code.status());
    }
    if let Some(refusal) = source.and_then(|source| source.downcast_ref::<Refusal>()) {
        return (refusal.code, refusal.status);
    }
    match problem.kind() {
        Kind::Invalid => ("InvalidArgument", 400),
        Kind::Unauthenticated | Kind::StepUp | Kind::Forbidden => ("AccessDenied", 403),
        // Only the gate says so without a code: there is no such bucket, or the caller may not know of it.
        Kind::NotFound => ("NoSuchBucket", 404),
        // Its workspace's key was destroyed: no retry and no other version of it helps.
        Kind::Gone => ("KMS.DisabledException", 400),
        Kind::AlreadyExists => ("BucketAlreadyExists", 409),
        Kind::Conflict => ("OperationAborted", 409),
        Kind::TooLarge => ("EntityTooLarge", 400),
        Kind::TooMany => ("SlowDown", 503),
        Kind::NotImplemented => ("NotImplemented", 501),
        Kind::Unavailable => ("ServiceUnavailable", 503),
        Kind::Internal => ("InternalError", 500),
    }
}

/// The code and message of one entry of a list.
pub fn entry(problem: &Problem) -> (&'static str, String) {
    (code_of(problem).0, problem.message().to_owned())
}

/// The answer to a problem.
pub fn answer(problem: &Problem, method: &Method, path: &str) -> Answer {
    let (code, status) = code_of(problem);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let has_body = method != Method::HEAD && status != StatusCode::NOT_MODIFIED;
    let text = if is_of_sts(method, path) { sts_document(problem, status) } else { document(code, problem, path) };
    let mut answer = Answer::new(if has_body { Body::from(text) } else { Body::empty() });
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    if has_body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    }
    if let Some(after) = problem.retry_after_hint()
        && let Ok(value) = HeaderValue::from_str(&after.as_secs().max(1).to_string())
    {
        headers.insert(header::RETRY_AFTER, value);
    }
    match Code::of(problem) {
        Some(Code::MethodNotAllowed) => {
            headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
            headers.insert(header::ALLOW, HeaderValue::from_static("DELETE"));
        }
        Some(Code::NoSuchKeyDeleted) => drop(headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"))),
        Some(Code::NoSuchKey) => drop(headers.insert("x-amz-delete-marker", HeaderValue::from_static("false"))),
        _ => {}
    }
    wire::harden(&mut answer);
    answer
}

/// Whether it is about a short-lived key: that is the only thing that is posted there.
fn is_of_sts(method: &Method, path: &str) -> bool {
    method == Method::POST && path == "/"
}

/// The same problem as STS tells it, whose clients find nothing in the other form.
fn sts_document(problem: &Problem, status: StatusCode) -> String {
    let code = match problem.kind() {
        Kind::Unauthenticated => "InvalidIdentityToken",
        Kind::Invalid => "ValidationError",
        _ => code_of(problem).0,
    };
    let mut xml = Xml::within("ErrorResponse", STS_NAMESPACE);
    xml.nest("Error", |xml| {
        xml.text("Type", if status.is_server_error() { "Receiver" } else { "Sender" });
        xml.text("Code", code);
        xml.text("Message", problem.message());
    });
    xml.finish()
}

/// What is said of it. What clients of other protocols would send instead of a signature is of no use here.
fn message_of(problem: &Problem) -> &str {
    let source = std::error::Error::source(problem);
    let is_signed = problem.kind() == Kind::Unauthenticated && source.is_some_and(|source| source.is::<Refusal>());
    if is_signed { NOT_SIGNED } else { problem.message() }
}

fn document(code: &str, problem: &Problem, path: &str) -> String {
    let mut xml = Xml::plain("Error");
    xml.text("Code", code);
    xml.text("Message", message_of(problem));
    xml.text("Resource", &path.chars().take(1_024).collect::<String>());
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_by_its_code_and_a_stranger_learns_no_more() {
        let told = |problem: Problem| {
            let answer = answer(&problem, &Method::GET, "/b/k");
            (code_of(&problem).0, answer.status().as_u16())
        };
        assert_eq!(told(Code::NoSuchKey.problem("x")), ("NoSuchKey", 404));
        assert_eq!(told(refused(Refusal::new("RequestTimeTooSkewed", "x"))), ("RequestTimeTooSkewed", 403));
        assert_eq!(told(Problem::new(Kind::Unauthenticated, "x")), ("AccessDenied", 403));
        assert_eq!(told(Code::NoSuchKeyDeleted.problem("x")), ("NoSuchKey", 404));
        assert_eq!(told(Problem::not_found("x")), ("NoSuchBucket", 404));
        assert_eq!(told(Problem::internal("x", "secret")), ("InternalError", 500));
    }

    #[test]
    fn who_signed_is_told_what_helps_with_a_signature() {
        let wrong = Problem::new(Kind::Unauthenticated, "send a token").because(Refusal::mismatch());
        let text = document(code_of(&wrong).0, &wrong, "/b");
        assert!(text.contains("<Code>SignatureDoesNotMatch</Code>") && text.contains("token access-key"), "{text}");
        assert!(!text.contains("send a token"), "{text}");
        assert_eq!(message_of(&refused(Refusal::new("AccessDenied", "request has expired"))), "request has expired");
    }

    #[test]
    fn a_problem_with_a_short_lived_key_is_told_as_sts_tells_it() {
        let text = sts_document(&Problem::new(Kind::Unauthenticated, "x < y"), StatusCode::FORBIDDEN);
        let error = "<Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>x &lt; y</Message></Error>";
        assert!(text.contains(error), "{text}");
        assert!(is_of_sts(&Method::POST, "/") && !is_of_sts(&Method::POST, "/b") && !is_of_sts(&Method::GET, "/"));
    }
}
