//! What all pages have in common.

use std::sync::LazyLock;

use askama::Template;
use axum::body::Body;
use gate::DEFAULT_WORKSPACE;
use http::{HeaderValue, StatusCode, header};
use identity::OpenedSession;
use kernel::{Kind, Micros, Problem, Secret};
use wire::{Answer, Whence};

use crate::board::part;
use crate::{lost, once};

/// Nothing is loaded from elsewhere, nothing inline runs, nobody frames us, forms go to us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The parameter of addresses and the value of templates that names the workspace.
const WORKSPACE: &str = "workspace";
/// The value of templates that is the address of their page.
const ADDRESS: &str = "address";
/// The first page.
const HOME: &str = "/console";
/// Where pages stand that belong to one of the head's and do not lie below it; the longer address first.
const ELSEWHERE: [(&str, &str); 11] = [
    ("/console/compare/models", "/console/models"),
    ("/console/compare", "/console/experiments"),
    ("/console/curve", "/console/experiments"),
    ("/console/runs", "/console/experiments"),
    ("/console/predictions", "/console/endpoints"),
    ("/console/people", "/console/access"),
    ("/console/services", "/console/access"),
    ("/console/log-ins", "/console/access"),
    ("/console/erasure", "/console/vault"),
    ("/console/detections", "/console/audit"),
    ("/", HOME),
];
/// Pages that are there for all, of which somebody without a role in the workspace is shown nothing.
const OF_WORKSPACE: [&str; 6] =
    ["/console/experiments", "/console/data", "/console/models", "/console/endpoints", "/console/alerts", "/console/predictions"];
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
    let address = wire::address_here().unwrap_or_default();
    let (named, placed): (&dyn std::any::Any, &dyn std::any::Any) = (&workspace, &address);
    let values = [(WORKSPACE, named), (ADDRESS, placed)];
    let text = template.render_with_values(&values).map_err(|error| Problem::internal("a page could not be made", error))?;
    let text = with_moments(&text);
    let mut answer = Answer::new(Body::from(text));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    wire::harden(&mut answer);
    Ok(answer)
}

/// The same page, one of whose forms may be answered by sending the browser on to this address.
pub fn lead_on_to(answer: &mut Answer, address: &str) {
    let policy = POLICY.replacen("form-action 'self'", &format!("form-action 'self' {address}"), 1);
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// An address of the console's pages, in a workspace. The default one is not named; an address that names one stays.
#[must_use]
pub fn address_in(workspace: &str, address: &str) -> String {
    if workspace == DEFAULT_WORKSPACE || address.is_empty() || names_workspace(address) {
        return address.to_owned();
    }
    let (path, anchor) = address.split_once('#').map_or((address, String::new()), |(path, anchor)| (path, format!("#{anchor}")));
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}{WORKSPACE}={}{anchor}", part(workspace))
}

fn names_workspace(address: &str) -> bool {
    address.contains("?workspace=") || address.contains("&workspace=")
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

/// For a link of the head: whether the reader is there, for those who are told and not shown.
#[askama::filter_fn]
pub fn current(link: &str, values: &dyn askama::Values) -> askama::Result<String> {
    let address = askama::get_value::<String>(values, ADDRESS).map_or("", String::as_str);
    Ok(place_word(link, address).to_owned())
}

/// An attribute, without the quotes that a template would escape.
fn place_word(link: &str, address: &str) -> &'static str {
    let path = address.split('?').next().unwrap_or_default();
    let found = ELSEWHERE.into_iter().find(|(folder, _)| wire::lies_under(path, folder));
    let head = found.map_or(path, |(_, head)| head);
    if link == path {
        " aria-current=page"
    } else if link == head || (link != HOME && wire::lies_under(head, link)) {
        " aria-current=true"
    } else {
        ""
    }
}

/// For a link to a list of things in one state: whether it is the list that is shown.
#[askama::filter_fn]
pub fn chosen(link: impl std::fmt::Display, values: &dyn askama::Values) -> askama::Result<String> {
    let address = askama::get_value::<String>(values, ADDRESS).map_or("", String::as_str);
    Ok(chosen_word(&link.to_string(), address).to_owned())
}

fn chosen_word(link: &str, address: &str) -> &'static str {
    let parts = |address: &str| {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default().to_owned();
        // A list of waivers that end is one of its own.
        (path.to_owned(), value("state="), value("waived_until="))
    };
    if parts(link) == parts(address) { " aria-current=true" } else { "" }
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

/// How long a page waits before it looks again at what goes on.
const LOOK_AGAIN_SECONDS: &str = "4";

/// Has the browser ask for the page again in a while, without a script.
pub fn look_again(answer: &mut Answer) {
    answer.headers_mut().insert(header::REFRESH, HeaderValue::from_static(LOOK_AGAIN_SECONDS));
}

/// Before a moment that the server says. Nobody who types a text can know it, so that no text of theirs is taken for a moment.
static MARK: LazyLock<String> = LazyLock::new(|| format!("\u{e000}{}:", kernel::random_text(24)));
/// Behind it.
const MARK_END: char = '\u{e001}';

/// A moment as pages write it: day and minute, UTC. [`page_in`] makes an element of it, which a module says in the reader's zone.
#[must_use]
pub fn moment(at: Micros) -> String {
    format!("{}{}{MARK_END}", *MARK, plain_moment(at))
}

/// The same as a text, where no element can stand.
#[must_use]
pub fn plain_moment(at: Micros) -> String {
    let text = wire::time_text(at);
    text.get(..16).map_or(text.clone(), |minute| format!("{} UTC", minute.replace('T', " ")))
}

/// The page with an element for each of its moments; where one stands within a tag or a title it is a text.
fn with_moments(page: &str) -> String {
    let mut whole = String::with_capacity(page.len());
    let mut rest = page;
    while let Some((before, behind)) = rest.split_once(MARK.as_str()) {
        whole.push_str(before);
        let (said, after) = behind.split_once(MARK_END).unwrap_or((behind, ""));
        let is_in_tag = whole.rfind('<') > whole.rfind('>') || whole.ends_with("<title>");
        let day_and_minute = said.get(..10).zip(said.get(11..16)).filter(|_| said.len() == 20 && !is_in_tag);
        match day_and_minute {
            Some((day, minute)) => whole.push_str(&format!("<time datetime=\"{day}T{minute}Z\">{said}</time>")),
            None => whole.push_str(said),
        }
        rest = after;
    }
    whole.push_str(rest);
    whole
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemTemplate<'a> {
    title: &'a str,
    message: &'a str,
    /// Where what is missing would be listed: addresses, and what their links say.
    ways: Vec<(String, &'static str)>,
    back: &'a str,
}

/// A problem as somebody sees it who asked for a page.
#[must_use]
pub fn problem_page(problem: &Problem, whence: &Whence) -> Answer {
    let title = match problem.kind() {
        Kind::Forbidden => "You may not do this",
        Kind::NotFound | Kind::Gone => "There is no such thing",
        Kind::Invalid | Kind::AlreadyExists | Kind::Conflict | Kind::TooLarge => "That did not work",
        Kind::TooMany => "Too often; wait a little",
        Kind::Unavailable => "Not just now",
        Kind::Unauthenticated | Kind::StepUp => "Log in first",
        Kind::NotImplemented | Kind::Internal => "The server failed on this",
    };
    let address = wire::address_here().unwrap_or_default();
    let is_missing = problem.kind() == Kind::NotFound;
    let was_once = is_missing && wire::lies_under(&address, once::PAGE);
    let ways = if is_missing { lost::ways(&address) } else { Vec::new() };
    let (title, message) = if is_missing && is_list_of_workspace(&address) {
        ("You have no role here", no_role_in(&whence.workspace))
    } else if was_once {
        ("It was shown once", problem.message().to_owned())
    } else if ways.is_empty() {
        (title, problem.message().to_owned())
    } else {
        (title, lost::without_command(problem.message()).to_owned())
    };
    let back = match whence.back.as_str() {
        "" if was_once => "/account",
        "" => HOME,
        back => back,
    };
    let template = ProblemTemplate { title, message: &message, ways, back };
    page_in(&whence.workspace, &template).unwrap_or_else(|problem| wire::problem_answer(&problem, true))
}

fn is_list_of_workspace(address: &str) -> bool {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    OF_WORKSPACE.contains(&path) && (query.is_empty() || (query.starts_with("workspace=") && !query.contains('&')))
}

/// The same whether there is such a workspace or not.
fn no_role_in(workspace: &str) -> String {
    format!(
        "This page shows what is in a workspace, and you have no role in `{workspace}` that shows it, if there is such a workspace. \
         Ask whoever owns it for a role, or choose another workspace above."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_the_head_says_where_the_reader_is() {
        let (page, within) = (" aria-current=page", " aria-current=true");
        for (address, link, said) in [
            ("/console", "/console", page),
            ("/", "/console", within),
            ("/console/data?state=refused", "/console/data", page),
            ("/console/data/a/1", "/console/data", within),
            ("/console/data/a/1", "/console", ""),
            ("/console/database", "/console/data", ""),
            ("/console/compare/models?version=a", "/console/models", within),
            ("/console/compare/models?version=a", "/console/experiments", ""),
            ("/console/compare?run=a", "/console/experiments", within),
            ("/console/detections/write", "/console/audit", within),
            ("/account", "/console", ""),
            ("", "/console", ""),
        ] {
            assert_eq!(place_word(link, address), said, "{address} {link}");
        }
    }

    #[test]
    fn of_the_lists_by_state_the_one_that_is_shown_is_marked() {
        for (link, address, is_marked) in [
            ("/console/data", "/console/data", true),
            ("/console/data", "/console/data?after=a&workspace=w", true),
            ("/console/data?state=refused", "/console/data?after=a&state=refused", true),
            ("/console/data", "/console/data?state=refused", false),
            ("/console/data?state=refused", "/console/data?state=admitted", false),
            ("/console/data", "/console/data?waived_until=2026", false),
            ("/console/data", "/console/models", false),
        ] {
            assert_eq!(!chosen_word(link, address).is_empty(), is_marked, "{link} {address}");
        }
    }

    #[test]
    fn only_a_list_as_a_whole_is_hidden_for_want_of_a_role() {
        assert!(is_list_of_workspace("/console/experiments") && is_list_of_workspace("/console/data?workspace=churn"));
        assert!(!is_list_of_workspace("/console/data/a") && !is_list_of_workspace("/console/alerts?endpoint=a&workspace=churn"));
        assert!(no_role_in("churn").contains("`churn`"));
    }

    #[test]
    fn only_what_the_server_says_is_a_moment() {
        let said = moment(Micros(1_764_262_260_000_000));
        assert_eq!(
            with_moments(&format!("<td>from {said}</td>")),
            "<td>from <time datetime=\"2025-11-27T16:51Z\">2025-11-27 16:51 UTC</time></td>"
        );
        assert_eq!(with_moments(&format!("<input value=\"{said}\">")), "<input value=\"2025-11-27 16:51 UTC\">");
        let typed = "<td>2025-11-27 16:51 UTC \u{e000}guess:2025-11-27 16:51 UTC\u{e001}</td>";
        assert_eq!(with_moments(typed), typed, "what somebody typed stays as it is");
    }

    #[test]
    fn a_workspace_is_kept_in_addresses() {
        for (workspace, address, kept) in [
            ("default", "/console/data?after=a", "/console/data?after=a"),
            ("churn", "/console/data", "/console/data?workspace=churn"),
            ("churn", "/console/data?after=a#own", "/console/data?after=a&workspace=churn#own"),
            ("a&b", "/console#x", "/console?workspace=a%26b#x"),
            ("churn", "", ""),
            ("churn", "/console?workspace=default", "/console?workspace=default"),
            ("churn", "/console/data?state=a&workspace=churn", "/console/data?state=a&workspace=churn"),
        ] {
            assert_eq!(address_in(workspace, address), kept);
        }
    }
}
