//! Machines that osquery looks after: what administrators do with fleets, and osquery's TLS remote interface under `/osquery`.

use ::devices::ops::fleets::{Adopt, CreateFleet, ListFleets, ListNodes, RevokeFleet};
use ::devices::ops::nodes::{EnrolNode, NodeAnswers, NodeConfig, NodeLog, NodeQueries};
use ::devices::osquery::Answers;
use ::devices::{Devices, Fleet, Node};
use http::Method;
use kernel::Problem;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::shape::{body, list, nothing};
use super::times::to_text;
use crate::mlflow::json::Fields;
use crate::outbound::json as json_answer;
use crate::{Door, Inbound};

const PREFIX: &str = "/api/strongroom/v1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FleetBody {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdoptBody {
    node: String,
}

/// Adds the routes.
pub fn routes(door: &mut Door, devices: &Devices) {
    let room = devices.clone();
    let create = move |inbound: &Inbound| {
        let FleetBody { name } = body(inbound)?;
        Ok(CreateFleet { room: room.clone(), name })
    };
    door.route(Method::POST, &format!("{PREFIX}/device-fleets"), create, |(id, secret)| {
        json_answer(&json!({"id": id, "secret": secret.expose_text().unwrap_or_default()}))
    });
    let room = devices.clone();
    let fleets = move |_: &Inbound| Ok(ListFleets { room: room.clone() });
    door.route(Method::GET, &format!("{PREFIX}/device-fleets"), fleets, |all| list("fleets", &all, None, fleet_value));
    let room = devices.clone();
    let revoke = move |inbound: &Inbound| Ok(RevokeFleet { room: room.clone(), fleet: inbound.path("fleet").to_owned() });
    door.route(Method::DELETE, &format!("{PREFIX}/device-fleets/{{fleet}}"), revoke, |()| nothing());
    let room = devices.clone();
    let nodes = move |_: &Inbound| Ok(ListNodes { room: room.clone() });
    door.route(Method::GET, &format!("{PREFIX}/device-nodes"), nodes, |all| list("nodes", &all, None, node_value));
    let room = devices.clone();
    let adopt = move |inbound: &Inbound| {
        let AdoptBody { node } = body(inbound)?;
        Ok(Adopt { room: room.clone(), device: inbound.path("device").to_owned(), node })
    };
    door.route(Method::POST, &format!("{PREFIX}/devices/by-id/{{device}}/node"), adopt, |()| nothing());
    of_osquery(door, devices);
}

#[derive(Deserialize)]
struct EnrolSaid {
    #[serde(default)]
    host_identifier: String,
}

#[derive(Deserialize)]
struct AnswersSaid {
    #[serde(default)]
    queries: Map<String, Value>,
    #[serde(default)]
    statuses: Map<String, Value>,
}

fn of_osquery(door: &mut Door, devices: &Devices) {
    let room = devices.clone();
    let enrol = move |inbound: &Inbound| Ok(EnrolNode { room: room.clone(), host: said::<EnrolSaid>(inbound)?.host_identifier });
    door.node("/osquery/enroll", enrol, |key| {
        json_answer(&json!({"node_key": key.expose_text().unwrap_or_default(), "node_invalid": false}))
    });
    let room = devices.clone();
    let config = move |_: &Inbound| Ok(NodeConfig { room: room.clone() });
    door.node("/osquery/config", config, |()| json_answer(&json!({"schedule": {}, "node_invalid": false})));
    let room = devices.clone();
    let log = move |_: &Inbound| Ok(NodeLog { room: room.clone() });
    door.node("/osquery/log", log, |()| json_answer(&json!({"node_invalid": false})));
    let room = devices.clone();
    let queries = move |_: &Inbound| Ok(NodeQueries { room: room.clone() });
    door.node("/osquery/distributed/read", queries, |queries| {
        let queries: Map<String, Value> = queries.iter().map(|(name, sql)| ((*name).to_owned(), json!(sql))).collect();
        json_answer(&json!({"queries": queries, "node_invalid": false}))
    });
    let room = devices.clone();
    let answers =
        move |inbound: &Inbound| Ok(NodeAnswers { room: room.clone(), answers: answers_of(said::<AnswersSaid>(inbound)?) });
    door.node("/osquery/distributed/write", answers, |()| json_answer(&json!({"node_invalid": false})));
}

/// The body, of which osquery says more than is asked.
fn said<T: DeserializeOwned>(inbound: &Inbound) -> Result<T, Problem> {
    Fields::of(inbound)?;
    serde_json::from_slice(&inbound.body).map_err(|error| Problem::invalid(format!("the body does not fit: {error}")))
}

/// The rows of the queries that went well. A query without rows comes as an empty text, one that failed with a status.
fn answers_of(said: AnswersSaid) -> Answers {
    let went_well = |name: &str| match said.statuses.get(name) {
        None => true,
        Some(Value::String(status)) => status == "0",
        Some(status) => status.as_i64() == Some(0),
    };
    let rows = |value: &Value| serde_json::from_value(value.clone()).unwrap_or_default();
    said.queries.iter().filter(|(name, _)| went_well(name)).map(|(name, value)| (name.clone(), rows(value))).collect()
}

fn fleet_value(fleet: &Fleet) -> Value {
    json!({
        "id": fleet.id,
        "name": fleet.name,
        "created_by": fleet.created_by,
        "created_at": to_text(fleet.created_at),
        "nodes": fleet.node_count,
    })
}

fn node_value(node: &Node) -> Value {
    json!({
        "id": node.id,
        "fleet": node.fleet,
        "host": node.host,
        "enrolled_at": to_text(node.enrolled_at),
        "seen_at": to_text(node.seen_at),
        "reported_at": node.reported_at.map(to_text),
        "facts": node.facts,
        "device": node.device,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_tells_nothing() {
        let said: AnswersSaid = serde_json::from_str(
            r#"{"queries": {"a": [{"x": "1"}], "b": [{"x": "1"}], "c": "", "d": [{"x": 1}], "e": [{"x": "1"}]},
                "statuses": {"a": 0, "b": 1, "c": "0", "e": "2"}, "node_key": "k"}"#,
        )
        .unwrap();
        let answers = answers_of(said);
        assert_eq!(answers.keys().collect::<Vec<_>>(), ["a", "c", "d"]);
        assert_eq!((answers["a"].len(), answers["c"].len(), answers["d"].len()), (1, 0, 0));
    }
}
