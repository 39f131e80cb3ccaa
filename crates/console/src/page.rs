//! What all pages have in common.

use askama::Template;
use axum::body::Body;
use gate::DEFAULT_WORKSPACE;
use http::{HeaderValue, StatusCode, header};
use identity::OpenedSession;
use kernel::{Kind, Micros, Problem, Secret};
use wire::Answer;

use crate::board::part;

/// Nothing is loaded from elsewhere, nothing inline runs, nobody frames us, forms go to us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The parameter of addresses and the value of templates that names the workspace.
const WORKSPACE: &str = "workspace";
/// How long a browser is asked to keep what it is known by. The server forgets it by itself after that.
const KNOWN_SECONDS: u32 = 90 * 86_400;

/// A finished page.
///
/// # Errors
/// `Internal` if the template cannot be filled in.
pub fn page(template: &impl Template) -> Result<Answer, Problem> {
    page_in(DEFAULT_WORKSPACE, template)
}

/// A finished page of a workspace: its links lead to the pages of the same one.
///
/// # Errors
/// `Internal` if the template cannot be filled in.
pub fn page_in(workspace: &str, template: &impl Template) -> Result<Answer, Problem> {
    let workspace = workspace.to_owned();
    let named: &dyn std::any::Any = &workspace;
    let values = (WORKSPACE, named);
    let text = template.render_with_values(&values).map_err(|error| Problem::internal("a page could not be made", error))?;
    let mut answer = Answer::new(Body::from(text));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    wire::harden(&mut answer);
    Ok(answer)
}

/// An address of the console's pages, in a workspace. The default one is not named; an address that names one stays.
#[must_use]
pub fn address_in(workspace: &str, address: &str) -> String {
    if workspace == DEFAULT_WORKSPACE || address.is_empty() || address.contains("?workspace=") {
        return address.to_owned();
    }
    let (path, anchor) = address.split_once('#').map_or((address, String::new()), |(path, anchor)| (path, format!("#{anchor}")));
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}{WORKSPACE}={}{anchor}", part(workspace))
}

/// [`address_in`] the page's workspace, for templates: `{{ href|crate::page::here }}`.
#[askama::filter_fn]
pub fn here(address: impl std::fmt::Display, values: &dyn askama::Values) -> askama::Result<String> {
    Ok(address_in(workspace_of(values), &address.to_string()))
}

/// The page's workspace, after a text, for templates.
#[askama::filter_fn]
pub fn and_workspace(text: impl std::fmt::Display, values: &dyn askama::Values) -> askama::Result<String> {
    Ok(format!("{text}{}", workspace_of(values)))
}

/// The page's workspace, where it has to be named.
#[askama::filter_fn]
pub fn other_than(usual: &str, values: &dyn askama::Values) -> askama::Result<String> {
    let workspace = workspace_of(values);
    Ok(if workspace == usual { String::new() } else { workspace.to_owned() })
}

fn workspace_of(values: &dyn askama::Values) -> &str {
    askama::get_value::<String>(values, WORKSPACE).map_or(DEFAULT_WORKSPACE, String::as_str)
}

/// 303 to a page of ours in a workspace.
#[must_use]
pub fn redirect_in(workspace: &str, to: &str) -> Answer {
    redirect(&address_in(workspace, to))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_kept_in_addresses() {
        for (workspace, address, kept) in [
            ("default", "/console/data?after=a", "/console/data?after=a"),
            ("churn", "/console/data", "/console/data?workspace=churn"),
            ("churn", "/console/data?after=a#own", "/console/data?after=a&workspace=churn#own"),
            ("a&b", "/console#x", "/console?workspace=a%26b#x"),
            ("churn", "", ""),
            ("churn", "/console?workspace=default", "/console?workspace=default"),
        ] {
            assert_eq!(address_in(workspace, address), kept);
        }
    }
}
