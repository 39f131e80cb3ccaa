//! `/access/check`: what would be decided, without doing it.

use gate::Target;
use http::Method;
use kernel::Problem;
use policy::{AccessCheck, Policy};
use serde::Deserialize;
use serde_json::json;

use super::shape::body;
use crate::{Door, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    principal: String,
    action: String,
    resource_kind: Option<String>,
    resource: Option<String>,
}

/// Adds the routes.
pub fn routes(door: &mut Door, policy: &Policy) {
    let room = policy.clone();
    door.route::<AccessCheck, _, _>(
        Method::POST,
        "/api/strongroom/v1/access/check",
        move |inbound| {
            let Question { principal, action, resource_kind, resource } = body(inbound)?;
            let on = target(resource_kind.as_deref().unwrap_or("workspace"), resource)?;
            Ok(AccessCheck { room: room.clone(), principal, principal_kind: None, verb: action, on })
        },
        |answer| {
            json(&json!({
                "principal": answer.principal,
                "allowed": answer.allowed,
                "reasons": answer.reasons,
                "hint": answer.hint,
            }))
        },
    );
}

/// What it is asked of: also runs and logged models, which no grant is on.
pub fn target(kind: &str, resource: Option<String>) -> Result<Target, Problem> {
    match (kind, resource.filter(|id| !id.is_empty())) {
        ("server", None) => Ok(Target::Server),
        ("audit_log", None) => Ok(Target::AuditLog),
        ("workspace", None) => Ok(Target::Workspace),
        ("experiment", Some(id)) => Ok(Target::Experiment(id)),
        ("run", Some(id)) => Ok(Target::Run(id)),
        ("logged_model", Some(id)) => Ok(Target::LoggedModel(id)),
        ("evaluation_dataset", Some(id)) => Ok(Target::EvaluationDataset(id)),
        ("dataset", Some(name)) => Ok(Target::Dataset(name)),
        ("registered_model", Some(name)) => Ok(Target::RegisteredModel(name)),
        ("server" | "audit_log" | "workspace", Some(_)) => Err(Problem::invalid(format!("a {kind} takes no `resource`"))),
        ("experiment" | "run" | "logged_model" | "evaluation_dataset" | "dataset" | "registered_model", None) => {
            Err(Problem::invalid(format!("`resource` must name the {kind}")))
        }
        _ => Err(Problem::invalid(
            "`resource_kind` must be one of server, audit_log, workspace, experiment, run, logged_model, evaluation_dataset, dataset, registered_model",
        )),
    }
}
