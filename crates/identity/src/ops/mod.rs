//! The verbs, a family per file.

pub mod access_keys;
pub mod account;
pub mod accounts;
pub mod command_line;
pub mod factors;
pub mod federation;
pub mod groups;
mod lasting;
pub mod passwords;
pub mod provisioning;
mod remaining;
pub mod sessions;
pub mod statements;
pub mod tokens;
mod whole;
pub mod workspaces;

pub use whole::more_than_a_token;

use gate::{Caller, CallerKind};
use kernel::Problem;

/// The caller's principal id, for verbs on one's own account.
fn own_account(caller: &Caller) -> Result<&str, Problem> {
    match caller.kind {
        CallerKind::User | CallerKind::Service => Ok(&caller.id),
        CallerKind::Anonymous | CallerKind::Job => {
            Err(Problem::invalid("this caller has no account; log in as a user or service account"))
        }
    }
}

const fn is_job(caller: &Caller) -> bool {
    matches!(caller.kind, CallerKind::Job)
}
