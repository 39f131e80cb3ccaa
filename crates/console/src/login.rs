//! The log-in: a password with or without a one-time code, a token, or a passkey; for the first time, or once more because something grave is
//! about to be done (RFC 9470).

use std::sync::Arc;

use askama::Template;
use gate::{Action, Operation, Permit, Target};
use http::{Method, StatusCode};
use identity::ops::sessions::{CreateSession, DeleteSession};
use identity::{Ceremony, Identity};
use kernel::{Problem, Secret};
use wire::{Door, Inbound, local_path};

use crate::page::{page, redirect, set_opened, set_session};
use crate::provider::Providers;

/// The verb of [`LoginPage`].
pub const LOGIN_PAGE: Action = Action::read("ui.login_page");

/// Why the form is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    First,
    Failed,
    Again,
    /// A form was sent when the session had ended.
    Ended,
}

/// Shows the log-in form: the one page for strangers.
struct LoginPage {
    room: Identity,
    why: Why,
    to: String,
}

impl Operation for LoginPage {
    const ACTION: Action = LOGIN_PAGE;
    type Output = (Why, String, Ceremony);

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(Why, String, Ceremony), Problem> {
        let ceremony = self.room.begin_log_in(permit.entry().at)?;
        Ok((self.why, self.to, ceremony))
    }
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginTemplate<'a> {
    failed: bool,
    again: bool,
    ended: bool,
    action: &'a str,
    providers: Vec<(&'a str, String)>,
    challenge: &'a str,
    ceremony: &'a str,
}

/// Adds the log-in and the log-out.
pub fn routes(door: &mut Door, identity: &Identity, providers: Option<&Arc<dyn Providers>>) {
    let names = providers.map(|providers| providers.names()).unwrap_or_default();
    let room = identity.clone();
    let parse = move |inbound: &Inbound| {
        let query = inbound.query()?;
        let has = |wanted: &str| query.iter().any(|(name, _)| name == wanted);
        let why = if has("failed") {
            Why::Failed
        } else if has("again") {
            Why::Again
        } else if has("ended") {
            Why::Ended
        } else {
            Why::First
        };
        Ok(LoginPage { room: room.clone(), why, to: wanted_page(inbound)? })
    };
    door.route(Method::GET, "/login", parse, move |(why, to, ceremony)| {
        let template = LoginTemplate {
            failed: why == Why::Failed,
            again: why == Why::Again,
            ended: why == Why::Ended,
            action: &wire::login_address("", &to),
            providers: names.iter().map(|name| (name.as_str(), provider_address(name, why == Why::Again, &to))).collect(),
            challenge: &ceremony.challenge,
            ceremony: ceremony.sealed.expose_text().unwrap_or_default(),
        };
        let mut answer = page(&template)?;
        if why == Why::Failed {
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
        }
        Ok(answer)
    });
    let room = identity.clone();
    let parse = move |inbound: &Inbound| {
        let replaces = inbound.session_cookie().map(Secret::from);
        Ok((CreateSession { room: room.clone(), replaces }, wanted_page(inbound)?))
    };
    door.login_with("/login", parse, |opened, to| {
        let mut answer = redirect(if to.is_empty() { "/" } else { &to });
        set_opened(&mut answer, &opened);
        Ok(answer)
    });
    let room = identity.clone();
    let end = move |_: &Inbound| Ok(DeleteSession { room: room.clone(), session: None });
    door.route(Method::POST, "/logout", end, |()| {
        let mut answer = redirect("/login");
        set_session(&mut answer, None);
        Ok(answer)
    });
}

fn provider_address(name: &str, again: bool, to: &str) -> String {
    let why = if again { "again" } else { "" };
    // The same query as the form's own address.
    wire::login_address(why, to).replacen("/login", &format!("/login/with/{name}"), 1)
}

fn wanted_page(inbound: &Inbound) -> Result<String, Problem> {
    let to = inbound.query()?.into_iter().find(|(name, _)| name == "to").map(|(_, value)| value);
    Ok(to.as_deref().and_then(local_path).unwrap_or_default().to_owned())
}
