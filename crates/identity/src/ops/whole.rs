//! Who is the person, and not only somebody with a token of theirs.
//!
//! A stolen token must not become the account itself: what opens an account, and what outlives the token, takes a log-in with what the
//! account has beside tokens. A session that a token opened is that token. One exception: the first administrator's token, as long as it is
//! all that opens the account; else nobody could ever set anything up.

use gate::{Caller, CallerKind};
use kernel::{Kind, Problem};
use vault::db::Reader;

use crate::store;
use crate::store::{SESSION_ID_PREFIX, TOKEN_ID_PREFIX};

pub(crate) fn person(caller: &Caller) -> Result<&str, Problem> {
    if caller.kind != CallerKind::User {
        return Err(Problem::invalid("only people have passwords, codes and passkeys"));
    }
    Ok(&caller.id)
}

/// Whether a session of one's own that nothing narrows, or a password with this very request, is what the caller came with.
///
/// # Errors
/// `Forbidden` if not; `Invalid` for what is no person.
pub(crate) fn whole_person(reader: &mut Reader<'_>, caller: &Caller) -> Result<(), Problem> {
    let bare = caller.token.as_ref().is_some_and(|token| !token.id.starts_with(SESSION_ID_PREFIX));
    if bare { Err(only_a_token()) } else { more_than_a_token(reader, caller) }
}

/// As [`whole_person`]; the first token of an account that has nothing else need not have opened a session.
///
/// # Errors
/// As [`whole_person`].
pub fn more_than_a_token(reader: &mut Reader<'_>, caller: &Caller) -> Result<(), Problem> {
    let own = person(caller)?;
    let Some(token) = &caller.token else { return Ok(()) };
    if !token.scopes.is_empty() || token.workspace.is_some() {
        return Err(only_a_token());
    }
    let token_id = match token.id.as_str() {
        id if id.starts_with(SESSION_ID_PREFIX) => store::token_of_session(reader, id)?.ok_or_else(ended)?,
        id if id.starts_with(TOKEN_ID_PREFIX) => Some(id.to_owned()),
        _ => return Err(only_a_token()),
    };
    match token_id {
        Some(id) if !store::is_first_token(reader, &id, own)? => Err(only_a_token()),
        Some(_) | None => Ok(()),
    }
}

fn only_a_token() -> Problem {
    Problem::forbidden(
        "a token, or a session that it opened, does not change what opens the account; log in with a browser, with what the account has \
         beside tokens",
    )
}

fn ended() -> Problem {
    Problem::new(Kind::Unauthenticated, "You are not authenticated. The session has ended in this moment.")
}
