//! Leave to enrol a device: for oneself, or by an administrator for somebody else.

use gate::{Action, CallerKind, Operation, Outcome, Permit, Target};
use identity::ops::more_than_a_token;
use kernel::{Problem, sha256};

use crate::types::Invitation;
use crate::{Devices, store};

/// The verb of [`Invite`].
pub const INVITE: Action = Action::write("devices.invite");
/// The verb of [`InviteFor`].
pub const INVITE_FOR: Action = Action::write("devices.invite_for");

/// How long leave waits to be used.
const ENROLMENT_SECONDS: i64 = 600;

/// Lets a device of the caller's own be enrolled.
pub struct Invite {
    /// The room.
    pub room: Devices,
}

impl Operation for Invite {
    const ACTION: Action = INVITE;
    type Output = Invitation;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Invitation, Problem> {
        let caller = permit.caller().clone();
        if caller.kind != CallerKind::User {
            return Err(Problem::forbidden(
                "a service account enrols no device by its token; an administrator lets one be enrolled: `strongroom device enrolment-token --for`",
            ));
        }
        invite(&self.room, &permit, caller.id).await
    }
}

/// Lets a device be enrolled for somebody else.
pub struct InviteFor {
    /// The room.
    pub room: Devices,
    /// The account's id or name.
    pub account: String,
}

impl Operation for InviteFor {
    const ACTION: Action = INVITE_FOR;
    type Output = Invitation;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Invitation, Problem> {
        invite(&self.room, &permit, self.account).await
    }
}

async fn invite<O>(room: &Devices, permit: &Permit<O>, account: String) -> Result<Invitation, Problem> {
    let (at, caller) = (permit.entry().at, permit.caller().clone());
    let (secret, expires_at) = (identity::new_enrolment_secret(), at.plus_secs(ENROLMENT_SECONDS));
    let digest = sha256(secret.expose());
    let write = room.0.db.write(permit, move |tx| {
        let principal_id = store::account(tx, &account)?;
        if principal_id == caller.id {
            // A stolen token would enrol the thief's own machine, and be as good from there as from its owner's.
            more_than_a_token(tx, &caller)?;
        }
        let id = store::put_enrolment(tx, (&digest, &principal_id, &caller.id), (at, expires_at))?;
        let outcome = Outcome::done().resource(id.clone()).with("principal", principal_id);
        Ok((id, outcome))
    });
    let id = write.await?;
    Ok(Invitation { id, secret, expires_at })
}
