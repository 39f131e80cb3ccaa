//! What provisioners may know of this server, and which accounts an administrator lets them look after.

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use super::{no_office, purpose};
use crate::ops::lasting::holds_no_longer;
use crate::types::{Principal, PrincipalKind};
use crate::{Identity, store};

/// The verb of [`Describe`].
pub const PROVISIONING_DESCRIBE: Action = Action::read("provisioning.describe");
/// The verb of [`Entrust`].
pub const PROVISIONING_ENTRUST: Action = Action::write("provisioning.entrust");

/// What this server can do for provisioners. It is the same for all of them.
pub struct Describe;

impl Operation for Describe {
    const ACTION: Action = PROVISIONING_DESCRIBE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, _: Permit<Self>) -> Result<(), Problem> {
        Ok(())
    }
}

/// Lets a provisioner look after an account or group that is there already, or nobody any more.
pub struct Entrust {
    /// The room.
    pub room: Identity,
    /// The user's or group's id or name.
    pub principal: String,
    /// The provisioner's service account, by id or name; nobody if none.
    pub to: Option<String>,
}

impl Operation for Entrust {
    const ACTION: Action = PROVISIONING_ENTRUST;
    type Output = Principal;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Principal, Problem> {
        let (at, caller) = (permit.entry().at, permit.caller().clone());
        let Self { room, principal, to } = self;
        let (inner, offices) = (Arc::clone(&room.inner), room.offices()?);
        let write = room.db.write(&permit, move |tx| {
            let found = store::any_principal(tx, &principal)?.filter(|found| found.kind != PrincipalKind::Service);
            let found = found.ok_or_else(|| Problem::not_found("there is no user or group of this id or name"))?;
            let Some(to) = to else {
                store::end_provisioned(tx, &found.id)?;
                return Ok((found.clone(), Outcome::done().resource(found.id)));
            };
            let service = store::principal(tx, PrincipalKind::Service, &to)?;
            no_office(tx, &*offices, &[&found.id], at)?;
            holds_no_longer(tx, Some(&*offices), (&caller, &found.id), at)?;
            // As if the provisioner had made it with its name alone.
            let sealed = inner.sealer.seal(&purpose(&found.id), b"")?;
            store::set_provisioned(tx, &found.id, &service.id, None, &sealed, at)?;
            let outcome = Outcome::done().resource(found.id.clone()).with("to", service.id);
            Ok((found, outcome))
        });
        write.await
    }
}
