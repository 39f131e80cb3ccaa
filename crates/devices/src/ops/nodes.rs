//! What osquery asks of its server: to be enrolled, for its configuration, to take its logs, for queries, to take their answers (its TLS remote
//! interface). The caller is who made the fleet, narrowed to this; which node it is, its credential says.

use gate::{Action, Caller, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, Secret, sha256};

use crate::osquery::{Answers, QUERIES, facts};
use crate::{Devices, store_nodes};

/// The verb of [`EnrolNode`].
pub const NODE_ENROL: Action = Action::write("devices.node_enrol");
/// The verb of [`NodeConfig`].
pub const NODE_CONFIG: Action = Action::read("devices.node_config");
/// The verb of [`NodeLog`].
pub const NODE_LOG: Action = Action::write("devices.node_log");
/// The verb of [`NodeQueries`].
pub const NODE_QUERIES: Action = Action::write("devices.node_queries");
/// The verb of [`NodeAnswers`].
pub const NODE_ANSWERS: Action = Action::write("devices.node_answers");

/// What a machine calls itself.
const HOST_BYTES_MAX: usize = 128;

/// The id that the caller's credential is of, if it is of this kind.
fn known_as(caller: &Caller, prefix: &str) -> Result<String, Problem> {
    let id = caller.token.as_ref().map(|token| token.id.clone()).filter(|id| id.starts_with(prefix));
    id.ok_or_else(|| Problem::forbidden("this takes the enrol secret of a fleet, or the key of a node"))
}

fn gone() -> Problem {
    Problem::new(Kind::Unauthenticated, "You are not authenticated. The fleet was revoked in this moment.")
}

/// Lets a machine into a fleet, and gives it a key of its own.
pub struct EnrolNode {
    /// The room.
    pub room: Devices,
    /// What it calls itself.
    pub host: String,
}

impl Operation for EnrolNode {
    const ACTION: Action = NODE_ENROL;
    type Output = Secret;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Secret, Problem> {
        let (at, fleet) = (permit.entry().at, known_as(permit.caller(), "flt_")?);
        let host = self.host;
        if host.is_empty() || host.len() > HOST_BYTES_MAX || host.chars().any(char::is_control) {
            return Err(Problem::invalid(format!("`host_identifier` has 1 to {HOST_BYTES_MAX} bytes")));
        }
        let key = identity::new_node_secret();
        let digest = sha256(key.expose());
        let write = self.room.0.db.write(&permit, move |tx| {
            let id = store_nodes::put_node(tx, (&fleet, &host), (&digest, at))?.ok_or_else(gone)?;
            Ok(((), Outcome::done().resource(id).with("fleet", fleet)))
        });
        write.await?;
        Ok(key)
    }
}

/// A node's configuration: nothing is scheduled, all is asked for.
pub struct NodeConfig {
    /// The room.
    pub room: Devices,
}

impl Operation for NodeConfig {
    const ACTION: Action = NODE_CONFIG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        known_as(permit.caller(), "nod_").map(drop)
    }
}

/// A node's logs. They are taken, so that it does not keep them, and are not kept here either.
pub struct NodeLog {
    /// The room.
    pub room: Devices,
}

impl Operation for NodeLog {
    const ACTION: Action = NODE_LOG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, id) = (permit.entry().at, known_as(permit.caller(), "nod_")?);
        let write = self.room.0.db.write(&permit, move |tx| {
            if !store_nodes::see_node(tx, &id, at)? {
                return Err(gone());
            }
            Ok(((), Outcome::done().resource(id)))
        });
        write.await
    }
}

/// What a node is to answer now: how it is, every ten minutes.
pub struct NodeQueries {
    /// The room.
    pub room: Devices,
}

impl Operation for NodeQueries {
    const ACTION: Action = NODE_QUERIES;
    type Output = &'static [(&'static str, &'static str)];

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Self::Output, Problem> {
        let (at, id) = (permit.entry().at, known_as(permit.caller(), "nod_")?);
        let write = self.room.0.db.write(&permit, move |tx| {
            let is_due = store_nodes::ask_node(tx, &id, at)?;
            Ok((is_due, Outcome::done().resource(id)))
        });
        let queries: Self::Output = if write.await? { &QUERIES } else { &[] };
        Ok(queries)
    }
}

/// What a node answered.
pub struct NodeAnswers {
    /// The room.
    pub room: Devices,
    /// Its rows, by query; those of queries that failed are none.
    pub answers: Answers,
}

impl Operation for NodeAnswers {
    const ACTION: Action = NODE_ANSWERS;
    type Output = ();

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, id) = (permit.entry().at, known_as(permit.caller(), "nod_")?);
        let said = facts(&self.answers);
        let compliant = said.failing(&self.room.0.config).is_empty();
        let text = serde_json::to_string(&said).map_err(|error| Problem::internal("a report could not be kept", error))?;
        let write = self.room.0.db.write(&permit, move |tx| {
            let device = store_nodes::put_node_report(tx, &id, (&text, compliant), at)?.ok_or_else(gone)?;
            let outcome = Outcome::done().resource(id).with("compliant", i64::from(compliant));
            Ok(((), device.map_or(outcome.clone(), |device| outcome.with("device", device))))
        });
        write.await
    }
}
