//! Access keys for clients that sign their requests.

use gate::{Action, Caller, Operation, Outcome, Permit, Target};
use kernel::Problem;

use super::own_account;
use crate::Identity;
use crate::access_key::{AccessKey, SESSION_KEY_SECONDS};
use crate::store::TOKEN_ID_PREFIX;

/// The verb of [`ShowAccessKey`].
pub const TOKENS_ACCESS_KEY: Action = Action::write("tokens.access_key");
/// The verb of [`AssumeToken`].
pub const TOKENS_ASSUME: Action = Action::write("tokens.assume");

/// Gives the access key of the token that the caller came with. It is the same each time, and ends with the token.
pub struct ShowAccessKey {
    /// The room.
    pub room: Identity,
}

impl Operation for ShowAccessKey {
    const ACTION: Action = TOKENS_ACCESS_KEY;
    type Output = AccessKey;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<AccessKey, Problem> {
        let key = self.room.inner.access_keys.of_token(token_of(permit.caller())?).ok_or_else(no_token)?;
        permit.defer_outcome().settle(&Outcome::done().with("access_key", key.id.as_str()));
        Ok(key)
    }
}

/// Makes a short-lived access key for the token that the caller came with (the shape of AWS's `AssumeRoleWithWebIdentity`).
pub struct AssumeToken {
    /// The room.
    pub room: Identity,
    /// How long it shall last; an hour if none.
    pub seconds: Option<i64>,
}

impl Operation for AssumeToken {
    const ACTION: Action = TOKENS_ASSUME;
    type Output = AccessKey;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<AccessKey, Problem> {
        let seconds = self.seconds.unwrap_or(3_600);
        if !SESSION_KEY_SECONDS.contains(&seconds) {
            let (least, most) = (SESSION_KEY_SECONDS.start(), SESSION_KEY_SECONDS.end());
            return Err(Problem::invalid(format!("a short-lived access key lasts from {least} to {most} s")));
        }
        let at = permit.entry().at;
        let token_id = token_of(permit.caller())?.to_owned();
        let key = self.room.inner.access_keys.session(&token_id, at, at.plus_secs(seconds));
        let outcome = Outcome::done().with("access_key", key.id.as_str()).with("expires_at", at.plus_secs(seconds).0);
        permit.defer_outcome().settle(&outcome);
        Ok(key)
    }
}

/// The token that the caller came with. Neither a browser's session nor a password has an access key.
fn token_of(caller: &Caller) -> Result<&str, Problem> {
    own_account(caller)?;
    let token = caller.token.as_ref().map(|token| token.id.as_str());
    token.filter(|id| id.starts_with(TOKEN_ID_PREFIX) && caller.pass.is_none()).ok_or_else(no_token)
}

fn no_token() -> Problem {
    Problem::invalid("an access key belongs to a token: ask with one (`strongroom token create`), not with a password or session")
}
