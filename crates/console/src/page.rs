//! What all pages have in common.

use askama::Template;
use axum::body::Body;
use http::{HeaderValue, StatusCode, header};
use identity::OpenedSession;
use kernel::{Kind, Micros, Problem, Secret};
use wire::Answer;

/// Nothing is loaded from elsewhere, nothing inline runs, nobody frames us, forms go to us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// How long a browser is asked to keep what it is known by. The server forgets it by itself after that.
const KNOWN_SECONDS: u32 = 90 * 86_400;

/// A finished page.
///
/// # Errors
/// `Internal` if the template cannot be filled in.
pub fn page(template: &impl Template) -> Result<Answer, Problem> {
    let text = template.render().map_err(|error| Problem::internal("a page could not be made", error))?;
    let mut answer = Answer::new(Body::from(text));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    wire::harden(&mut answer);
    Ok(answer)
}

/// 303 to a page of ours.
#[must_use]
pub fn redirect(to: &str) -> Answer {
    let mut answer = Answer::new(Body::empty());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    answer.headers_mut().insert(header::LOCATION, HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/")));
    wire::harden(&mut answer);
    answer
}

/// The session cookie; an empty one is taken back.
pub fn set_session(answer: &mut Answer, secret: Option<&Secret>) {
    let (value, ended) = secret.and_then(Secret::expose_text).map_or(("", "; Max-Age=0"), |text| (text, ""));
    let cookie = format!("{}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{ended}", wire::SESSION_COOKIE);
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Gives the browser its session, and what it is known by the next time.
pub fn set_opened(answer: &mut Answer, opened: &OpenedSession) {
    set_session(answer, Some(&opened.secret));
    if let Some(mark) = opened.known_browser.as_ref().and_then(Secret::expose_text) {
        let name = wire::KNOWN_COOKIE;
        let cookie = format!("{name}={mark}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={KNOWN_SECONDS}");
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            answer.headers_mut().append(header::SET_COOKIE, value);
        }
    }
}

/// A moment as pages write it: day and minute, UTC.
#[must_use]
pub fn moment(at: Micros) -> String {
    let text = wire::time_text(at);
    text.get(..16).map_or(text.clone(), |minute| format!("{} UTC", minute.replace('T', " ")))
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemTemplate<'a> {
    title: &'a str,
    message: &'a str,
}

/// A problem as somebody sees it who asked for a page.
#[must_use]
pub fn problem_page(problem: &Problem) -> Answer {
    let title = match problem.kind() {
        Kind::Forbidden => "You may not do this",
        Kind::NotFound | Kind::Gone => "There is no such thing",
        Kind::Invalid | Kind::AlreadyExists | Kind::Conflict | Kind::TooLarge => "That did not work",
        Kind::TooMany => "Too often; wait a little",
        Kind::Unavailable => "Not just now",
        Kind::Unauthenticated | Kind::StepUp => "Log in first",
        Kind::NotImplemented | Kind::Internal => "The server failed on this",
    };
    page(&ProblemTemplate { title, message: problem.message() }).unwrap_or_else(|problem| wire::problem_answer(&problem, true))
}
