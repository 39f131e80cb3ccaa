//! `endpoints.delete`.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use super::endpoint_of;
use crate::{Serving, store};

/// Takes an endpoint away. Its model stays.
pub struct DeleteEndpoint {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub name: String,
}

impl Operation for DeleteEndpoint {
    const ACTION: Action = super::DELETE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Endpoint(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let id = endpoint_of(&permit)?;
        let gone = id.clone();
        let deleted = self.room.db().write(&permit, move |writer| {
            store::delete(writer, &gone)?;
            Ok(((), Outcome::done().resource(gone)))
        });
        deleted.await?;
        self.room.forget(&id);
        self.room.0.guards.forget(&id);
        Ok(())
    }
}
