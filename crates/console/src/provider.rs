//! The way to a provider where people log in (OpenID Connect), and back.

use std::sync::Arc;

use gate::{Action, BoxFuture, Operation, Permit, Target};
use http::{HeaderValue, Method, header};
use identity::Identity;
use identity::ops::sessions::CreateSession;
use kernel::{Micros, Problem, Secret};
use wire::{CALLBACK, CARRIED_COOKIE, Door, Inbound, end_cookie, local_path};

use crate::page::{redirect, set_opened};

/// The verb of [`LeaveForProvider`].
pub const LOGIN_PROVIDER: Action = Action::read("ui.login_provider");
/// How long a browser may take at a provider.
const CARRIED_SECONDS: u32 = 900;

/// The providers of the configuration. Implemented by `server` over the crate `federation`.
pub trait Providers: Send + Sync {
    /// Their names, as buttons show them.
    fn names(&self) -> Vec<String>;

    /// Begins a log-in at one of them.
    ///
    /// # Errors
    /// `NotFound` for a name that is none; `Unavailable` if the provider cannot be asked.
    fn begin<'a>(&'a self, name: &'a str, leaving: &'a Leaving, at: Micros) -> BoxFuture<'a, Result<(String, Secret), Problem>>;

    /// The page that what a browser carried leads back to.
    fn led_back(&self, carried: &str) -> Option<String>;
}

/// How somebody leaves for a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Where the provider sends the browser back to.
    pub redirect_uri: String,
    /// The page that the log-in leads back to.
    pub to: String,
    /// Whether they must show there who they are although they did already.
    pub again: bool,
}

/// Begins a log-in at a provider.
struct LeaveForProvider {
    providers: Option<Arc<dyn Providers>>,
    name: String,
    leaving: Leaving,
}

impl Operation for LeaveForProvider {
    const ACTION: Action = LOGIN_PROVIDER;
    type Output = (String, Secret);

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(String, Secret), Problem> {
        let providers = self.providers.ok_or_else(|| Problem::not_found("no provider of log-ins is configured"))?;
        providers.begin(&self.name, &self.leaving, permit.entry().at).await
    }
}

/// Adds the routes.
pub fn routes(door: &mut Door, identity: &Identity, providers: Option<Arc<dyn Providers>>) {
    let known = providers.clone();
    let leave = move |inbound: &Inbound| {
        let query = inbound.query()?;
        let to = query.iter().find(|(name, _)| name == "to").and_then(|(_, value)| local_path(value)).unwrap_or_default();
        let leaving = Leaving {
            redirect_uri: format!("{}{CALLBACK}", inbound.origin()),
            to: to.to_owned(),
            again: query.iter().any(|(name, _)| name == "again"),
        };
        Ok(LeaveForProvider { providers: known.clone(), name: inbound.path("provider").to_owned(), leaving })
    };
    door.route(Method::GET, "/login/with/{provider}", leave, |(url, carried)| {
        let mut answer = redirect(&url);
        let value = carried.expose_text().unwrap_or_default();
        let cookie = format!("{CARRIED_COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={CARRIED_SECONDS}");
        let cookie = HeaderValue::from_str(&cookie).map_err(|error| Problem::internal("a cookie could not be made", error))?;
        answer.headers_mut().append(header::SET_COOKIE, cookie);
        Ok(answer)
    });
    let room = identity.clone();
    let back = move |inbound: &Inbound| {
        let replaces = inbound.session_cookie().map(Secret::from);
        let carried = inbound.cookie(CARRIED_COOKIE).unwrap_or_default();
        let to = providers.as_ref().and_then(|providers| providers.led_back(carried)).unwrap_or_default();
        Ok((CreateSession { room: room.clone(), replaces }, local_path(&to).unwrap_or("/").to_owned()))
    };
    door.callback(CALLBACK, back, |opened, to| {
        let mut answer = redirect(&to);
        set_opened(&mut answer, &opened);
        end_cookie(&mut answer, CARRIED_COOKIE);
        Ok(answer)
    });
}
