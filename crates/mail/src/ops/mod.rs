//! The verbs.

mod list;
mod own;
mod send;
mod set_address;
mod set_key;
mod test;

pub use list::{LIST, ListMail, Listed};
pub use own::{OWN, OwnMail, Shown};
pub use send::{SEND, SendMail, Sent};
pub use set_address::{SET_ADDRESS, SetAddress};
pub use set_key::{SET_KEY, SetKey};
pub use test::{TEST, TestMail};

use gate::{Caller, CallerKind};
use kernel::Problem;

/// The caller's own account. Programs get no mail.
fn own_account(caller: &Caller) -> Result<&str, Problem> {
    match caller.kind {
        CallerKind::User => Ok(&caller.id),
        _ => Err(Problem::invalid("only people get mail; log in as one")),
    }
}
