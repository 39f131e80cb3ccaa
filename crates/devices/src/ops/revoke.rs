//! A device is ended: from the next request on, and for downloads that run.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use super::{no_device, own_account};
use crate::{Devices, store};

/// The verb of [`RevokeOwn`].
pub const REVOKE_OWN: Action = Action::write("devices.revoke_own");
/// The verb of [`Revoke`].
pub const REVOKE: Action = Action::write("devices.revoke");

/// Ends a device of the caller's own.
pub struct RevokeOwn {
    /// The room.
    pub room: Devices,
    /// Its id.
    pub device: String,
    /// Whether it is lost.
    pub lost: bool,
}

impl Operation for RevokeOwn {
    const ACTION: Action = REVOKE_OWN;
    type Output = ();

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let own = own_account(permit.caller())?.to_owned();
        revoke(&self.room, &permit, (self.device, self.lost), Some(own)).await
    }
}

/// Ends anybody's device.
pub struct Revoke {
    /// The room.
    pub room: Devices,
    /// Its id.
    pub device: String,
    /// Whether it is lost.
    pub lost: bool,
}

impl Operation for Revoke {
    const ACTION: Action = REVOKE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        revoke(&self.room, &permit, (self.device, self.lost), None).await
    }
}

async fn revoke<O>(room: &Devices, permit: &Permit<O>, (id, lost): (String, bool), of: Option<String>) -> Result<(), Problem> {
    let (at, by) = (permit.entry().at, permit.caller().id.clone());
    let write = room.0.db.write(permit, move |tx| {
        if !store::revoke(tx, (&id, of.as_deref()), (&by, lost), at)? {
            return Err(no_device());
        }
        Ok(((), Outcome::done().resource(id).with("lost", i64::from(lost))))
    });
    write.await
}
