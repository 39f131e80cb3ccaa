//! Fleets of machines that osquery looks after, as administrators see them.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, Secret, sha256};

use super::no_device;
use crate::types::{Fleet, Node};
use crate::{Devices, store, store_nodes};

/// The verb of [`CreateFleet`].
pub const CREATE_FLEET: Action = Action::write("devices.create_fleet");
/// The verb of [`ListFleets`].
pub const FLEETS: Action = Action::read("devices.fleets");
/// The verb of [`RevokeFleet`].
pub const REVOKE_FLEET: Action = Action::write("devices.revoke_fleet");
/// The verb of [`ListNodes`].
pub const NODES: Action = Action::read("devices.nodes");
/// The verb of [`Adopt`].
pub const ADOPT: Action = Action::write("devices.adopt");

/// Makes a fleet, with the secret that its machines enrol with. That is shown this once.
pub struct CreateFleet {
    /// The room.
    pub room: Devices,
    /// What to call it.
    pub name: String,
}

impl Operation for CreateFleet {
    const ACTION: Action = CREATE_FLEET;
    type Output = (String, Secret);

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(String, Secret), Problem> {
        let (at, by) = (permit.entry().at, permit.caller().id.clone());
        let name = identity::Name::parse(&self.name)?;
        let secret = identity::new_fleet_secret();
        let digest = sha256(secret.expose());
        let write = self.room.0.db.write(&permit, move |tx| {
            // A job has no account that a fleet could end with.
            let by = store::account(tx, &by)?;
            let id = store_nodes::put_fleet(tx, name.as_str(), &digest, (&by, at))?;
            Ok((id.clone(), Outcome::done().resource(id)))
        });
        Ok((write.await?, secret))
    }
}

/// All fleets.
pub struct ListFleets {
    /// The room.
    pub room: Devices,
}

impl Operation for ListFleets {
    const ACTION: Action = FLEETS;
    type Output = Vec<Fleet>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Fleet>, Problem> {
        self.room.0.db.read(&permit, |reader| Ok(store_nodes::fleets(reader)?)).await
    }
}

/// Ends a fleet: its secret and the keys of its nodes count no more.
pub struct RevokeFleet {
    /// The room.
    pub room: Devices,
    /// Its id or name.
    pub fleet: String,
}

impl Operation for RevokeFleet {
    const ACTION: Action = REVOKE_FLEET;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let write = self.room.0.db.write(&permit, move |tx| {
            let id = store_nodes::delete_fleet(tx, &self.fleet)?;
            let id = id.ok_or_else(|| Problem::not_found("there is no fleet of this id or name"))?;
            Ok(((), Outcome::done().resource(id)))
        });
        write.await
    }
}

/// The nodes of all fleets.
pub struct ListNodes {
    /// The room.
    pub room: Devices,
}

impl Operation for ListNodes {
    const ACTION: Action = NODES;
    type Output = Vec<Node>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Node>, Problem> {
        self.room.0.db.read(&permit, |reader| Ok(store_nodes::nodes(reader)?)).await
    }
}

/// Says that a node is this device: from now on the device is as its node says.
pub struct Adopt {
    /// The room.
    pub room: Devices,
    /// The device, by its id.
    pub device: String,
    /// The node, by its id.
    pub node: String,
}

impl Operation for Adopt {
    const ACTION: Action = ADOPT;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, room) = (permit.entry().at, self.room.clone());
        let write = self.room.0.db.write(&permit, move |tx| {
            let known = store::device(tx, &self.device, (at, &room.0.config))?.filter(|device| device.revoked_at.is_none());
            known.ok_or_else(no_device)?;
            if !store_nodes::adopt(tx, &self.node, &self.device)? {
                return Err(Problem::not_found("there is no such node; list them to see their ids"));
            }
            Ok(((), Outcome::done().resource(self.device).with("node", self.node)))
        });
        write.await
    }
}
