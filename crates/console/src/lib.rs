//! The web pages: server-made, working without scripts but for passkeys, which need one small module. Every page is made of Operations: the
//! console has no way in that others don't have.
//!
//! It is no room: it holds no rule and no state. What it shows comes from the rooms' verbs, what it does goes through them.
//!
//! INVARIANT: no page has an inline script or style, and none loads anything from elsewhere: the policy of each says so (`page::POLICY`).
//! INVARIANT: every text is escaped by its template; held by `tests::what_people_typed_is_text`.

mod account;
mod asset;
mod devices_page;
mod login;
mod page;
mod provider;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use gate::Action;
use identity::Identity;
use wire::Door;

pub use page::problem_page;
pub use provider::{Leaving, Providers};

/// Every verb of the console's own; its pages ask for the rooms' verbs beside.
pub const ACTIONS: &[Action] = &[login::LOGIN_PAGE, provider::LOGIN_PROVIDER, asset::ASSET, page::HOME];

/// Adds the console's pages. `has_home` says that something else stands at `/`.
pub fn routes(
    door: &mut Door,
    (identity, devices): (&Identity, &devices::Devices),
    providers: Option<Arc<dyn Providers>>,
    has_home: bool,
) {
    asset::routes(door);
    login::routes(door, identity, providers.as_ref());
    provider::routes(door, identity, providers);
    account::routes(door, identity);
    devices_page::routes(door, identity, devices);
    if !has_home {
        page::routes(door);
    }
}
