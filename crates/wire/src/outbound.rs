//! Answers: JSON, and problems in MLflow's own form, which all of our JSON interfaces share.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use kernel::{Allowance, Kind, Problem};
use serde::Serialize;

/// A finished answer.
pub type Answer = Response<Body>;

/// 200 with `value` as JSON.
///
/// # Errors
/// `Internal` if it cannot be written as JSON.
pub fn json<T: Serialize>(value: &T) -> Result<Answer, Problem> {
    let bytes = serde_json::to_vec(value).map_err(|source| Problem::internal("an answer could not be written", source))?;
    Ok(json_bytes(StatusCode::OK, bytes))
}

/// 200 with text that is JSON already.
///
/// # Errors
/// Never; the type fits a route's `render`.
pub fn json_text(text: impl Into<Vec<u8>>) -> Result<Answer, Problem> {
    Ok(json_bytes(StatusCode::OK, text.into()))
}

fn json_bytes(status: StatusCode, bytes: Vec<u8>) -> Answer {
    let mut answer = Response::new(Body::from(bytes));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    harden(&mut answer);
    answer
}

/// Headers that every answer carries.
pub fn harden(answer: &mut Answer) {
    let headers = answer.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
}

/// A known caller is told that the path has other methods. A stranger's answer stays as it is.
pub(crate) fn not_allowed(mut answer: Answer, allowed: &str) -> Answer {
    if answer.status() == StatusCode::NOT_FOUND {
        *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        if let Ok(allowed) = HeaderValue::from_str(allowed) {
            answer.headers_mut().insert(header::ALLOW, allowed);
        }
    }
    answer
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error_code: &'a str,
    message: &'a str,
}

/// Bytes as standard base64, for digests in headers.
#[must_use]
pub fn base64_text(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Bytes as base64url without padding, as scripts of pages send them.
#[must_use]
pub fn base64url_text(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of such a text.
///
/// # Errors
/// `Invalid` if it is none.
pub fn from_base64url(text: &str) -> Result<Vec<u8>, Problem> {
    use base64::Engine;
    let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text);
    decoded.map_err(|_| Problem::invalid("a field is not base64url without padding"))
}

/// An error in MLflow's form: `{"error_code", "message"}`.
pub(crate) fn error_answer(status: StatusCode, code: &str, message: &str) -> Answer {
    let bytes = serde_json::to_vec(&ErrorBody { error_code: code, message }).unwrap_or_default();
    json_bytes(status, bytes)
}

/// The same answer with the body that the Open Inference Protocol asks for: `{"error"}`.
pub(crate) fn in_oip_form(mut answer: Answer, problem: &Problem) -> Answer {
    *answer.body_mut() = Body::from(serde_json::json!({ "error": problem.message() }).to_string());
    answer
}

/// The answer to a problem. A browser's script is not sent a Basic challenge, which would open the browser's own dialog.
#[must_use]
pub fn problem_answer(problem: &Problem, by_browser: bool) -> Answer {
    let (status, code) = status_of(problem.kind());
    let mut answer = error_answer(status, code, problem.message());
    if let Some(allowance) = problem.allowance() {
        tell_allowance(&mut answer, allowance);
    }
    let headers = answer.headers_mut();
    match problem.kind() {
        Kind::Unauthenticated if !by_browser => {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"strongroom\""));
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"strongroom\""));
        }
        Kind::Unauthenticated => {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"strongroom\""));
        }
        Kind::StepUp => {
            let (acr, max_age_s) =
                problem.step_up_wanted().map_or(("phr", 300), |wanted| (wanted.acr.as_str(), wanted.max_age_s));
            let challenge =
                format!("Bearer error=\"insufficient_user_authentication\", acr_values=\"{acr}\", max_age=\"{max_age_s}\"");
            if let Ok(challenge) = HeaderValue::from_str(&challenge) {
                headers.append(header::WWW_AUTHENTICATE, challenge);
            }
        }
        _ => {}
    }
    if let Some(after) = problem.retry_after_hint() {
        let seconds = after.as_secs().max(1);
        if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
            headers.insert(header::RETRY_AFTER, value);
        }
    }
    answer
}

/// Says what is left of a rate (draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4).
pub(crate) fn tell_allowance(answer: &mut Answer, allowance: &Allowance) {
    let Allowance { name, quota_count, window_s, remaining_count, reset_s } = allowance;
    let headers = answer.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&format!("\"{name}\";q={quota_count};w={window_s}")) {
        headers.insert("ratelimit-policy", policy);
    }
    if let Ok(left) = HeaderValue::from_str(&format!("\"{name}\";r={remaining_count};t={reset_s}")) {
        headers.insert("ratelimit", left);
    }
}

/// A page with the status of a problem.
pub(crate) fn as_page(mut page: Answer, problem: &Problem) -> Answer {
    *page.status_mut() = status_of(problem.kind()).0;
    page
}

/// MLflow's status and error code for a kind. Its client retries 429, 500, 503 and the like, but not these 4xx.
const fn status_of(kind: Kind) -> (StatusCode, &'static str) {
    match kind {
        Kind::Invalid => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
        Kind::Unauthenticated | Kind::StepUp => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        Kind::Forbidden => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        Kind::NotFound => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
        Kind::Gone => (StatusCode::GONE, "RESOURCE_DOES_NOT_EXIST"),
        Kind::AlreadyExists => (StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS"),
        Kind::Conflict => (StatusCode::CONFLICT, "RESOURCE_CONFLICT"),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "INVALID_PARAMETER_VALUE"),
        Kind::TooMany => (StatusCode::TOO_MANY_REQUESTS, "REQUEST_LIMIT_EXCEEDED"),
        Kind::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED"),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
    }
}
