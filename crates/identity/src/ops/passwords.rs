//! Setting passwords: one's own, and another person's first or forgotten one.

use std::sync::Arc;
use std::time::Duration;

use gate::{Action, CallerKind, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, Secret};

use super::lasting::may_open;
use super::{more_than_a_token, own_account};
use crate::password::check_choice;
use crate::store::{SESSION_ID_PREFIX, TOKEN_ID_PREFIX};
use crate::types::{Principal, PrincipalKind};
use crate::{Identity, store};

/// The verb of [`SetPassword`].
pub const USERS_SET_PASSWORD: Action = Action::write("users.set_password");
/// The verb of [`ChangeOwnPassword`].
pub const ACCOUNT_PASSWORD: Action = Action::write("account.password");

/// Sets another person's password. It ends all of that person's sessions.
pub struct SetPassword {
    /// The room.
    pub room: Identity,
    /// The person's id or name.
    pub user: String,
    /// The new password.
    pub password: Secret,
}

impl Operation for SetPassword {
    const ACTION: Action = USERS_SET_PASSWORD;
    type Output = Principal;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Principal, Problem> {
        let Self { room, user, password } = self;
        let wanted = user.clone();
        let found = room.db.read_point(&permit, move |reader| store::principal(reader, PrincipalKind::User, &wanted)).await?;
        if found.id == permit.caller().id {
            return Err(Problem::invalid("this is your own account; change its password with your current one"));
        }
        check_choice(&password, &found.name, room.inner.config.password_length_min)?;
        room.inner.check_leaked(&password)?;
        let hash = room.inner.passwords.hash(password).await?;
        let (at, caller) = (permit.entry().at, permit.caller().clone());
        let offices = room.inner.offices.get().map(Arc::clone);
        let write = room.db.write(&permit, move |tx| {
            let found = store::principal(tx, PrincipalKind::User, &found.id)?;
            may_open(tx, offices.as_deref(), (&caller, &found.id), at)?;
            store::set_password(tx, &found.id, &hash, None, at)?;
            let outcome = Outcome::done().resource(found.id.clone());
            Ok((found, outcome))
        });
        let changed = write.await?;
        room.inner.memory.forget();
        Ok(changed)
    }
}

/// Changes the caller's own password, or sets the first one. It ends all other sessions.
pub struct ChangeOwnPassword {
    /// The room.
    pub room: Identity,
    /// The current password; none only where there is none yet.
    pub current: Option<Secret>,
    /// The new password.
    pub new: Secret,
}

impl Operation for ChangeOwnPassword {
    const ACTION: Action = ACCOUNT_PASSWORD;
    type Output = ();

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let Self { room, current, new } = self;
        let caller = permit.caller().clone();
        let id = own_account(&caller)?.to_owned();
        if caller.kind != CallerKind::User {
            return Err(Problem::invalid("a service account has no password; it is used with tokens"));
        }
        let looked_up = id.clone();
        let known = room.db.read_point(&permit, move |reader| Ok(store::password_hash(reader, &looked_up)?)).await?;
        match (&known, &caller.token) {
            (_, Some(token)) if !token.scopes.is_empty() || token.workspace.is_some() => {
                return Err(Problem::forbidden(
                    "this token is narrowed; log in with your password, or use a full token, to set one",
                ));
            }
            (Some(_), Some(token)) if token.id.starts_with(TOKEN_ID_PREFIX) => {
                return Err(Problem::forbidden(
                    "a token cannot change the password of an account that has one; log in with the password",
                ));
            }
            (Some(hash), _) => check_current(&room, &id, current, hash.clone(), permit.entry().at).await?,
            (None, _) => {
                let caller = caller.clone();
                room.db.read_point(&permit, move |reader| more_than_a_token(reader, &caller)).await?;
            }
        }
        check_choice(&new, &caller.name, room.inner.config.password_length_min)?;
        room.inner.check_leaked(&new)?;
        let hash = room.inner.passwords.hash(new).await?;
        let at = permit.entry().at;
        let keep = caller.token.map(|token| token.id).filter(|token| token.starts_with(SESSION_ID_PREFIX));
        let write = room.db.write(&permit, move |tx| {
            if store::password_hash(tx, &id)? != known {
                return Err(Problem::new(Kind::Conflict, "the password was changed by another request; log in again"));
            }
            store::set_password(tx, &id, &hash, keep.as_deref(), at)?;
            Ok(((), Outcome::done().resource(id)))
        });
        write.await?;
        room.inner.memory.forget();
        Ok(())
    }
}

/// A stolen session could be used to guess the password here, past the door's own limits: so there is one here too.
async fn check_current(
    room: &Identity,
    principal_id: &str,
    current: Option<Secret>,
    hash: String,
    at: kernel::Micros,
) -> Result<(), Problem> {
    let memory = &room.inner.memory;
    let Some(current) = current else {
        return Err(Problem::invalid("send the current password too"));
    };
    if let Some(wait) = memory.guess_wait(principal_id, at) {
        return Err(Problem::new(Kind::TooMany, "the current password was wrong too often; try again later").retry_after(wait));
    }
    memory.note_guess(principal_id, at);
    let turn = room.inner.passwords.turn().await?;
    if !room.inner.passwords.verify(turn, current, Some(hash)).await? {
        return Err(Problem::forbidden("the current password is wrong"));
    }
    memory.forget_guesses(principal_id);
    Ok(())
}

/// Wrong guesses of the current password before its owner must wait.
pub(crate) const GUESS_COUNT_MAX: u32 = 5;
/// How long that is.
pub(crate) const GUESS_WAIT: Duration = Duration::from_mins(15);
