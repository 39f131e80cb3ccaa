//! `/access/check`: what would be decided, without doing it.

use gate::Target;
use http::Method;
use kernel::Problem;
use policy::{AccessCheck, Policy};
use serde_json::json;

use crate::mlflow::json::Fields;
use crate::{Door, json};

/// Adds the routes.
pub fn routes(door: &mut Door, policy: &Policy) {
    let room = policy.clone();
    door.route::<AccessCheck, _, _>(
        Method::POST,
        "/api/strongroom/v1/access/check",
        move |inbound| {
            let fields = Fields::of(inbound)?;
            let kind = fields.text("resource_kind")?.unwrap_or_else(|| "workspace".to_owned());
            Ok(AccessCheck {
                room: room.clone(),
                principal: fields.need_text("principal")?,
                verb: fields.need_text("action")?,
                on: target(&kind, fields.text("resource")?)?,
            })
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
fn target(kind: &str, resource: Option<String>) -> Result<Target, Problem> {
    match (kind, resource.filter(|id| !id.is_empty())) {
        ("server", None) => Ok(Target::Server),
        ("audit_log", None) => Ok(Target::AuditLog),
        ("workspace", None) => Ok(Target::Workspace),
        ("experiment", Some(id)) => Ok(Target::Experiment(id)),
        ("run", Some(id)) => Ok(Target::Run(id)),
        ("logged_model", Some(id)) => Ok(Target::LoggedModel(id)),
        ("registered_model", Some(name)) => Ok(Target::RegisteredModel(name)),
        ("server" | "audit_log" | "workspace", Some(_)) => Err(Problem::invalid(format!("a {kind} takes no `resource`"))),
        ("experiment" | "run" | "logged_model" | "registered_model", None) => {
            Err(Problem::invalid(format!("`resource` must name the {kind}")))
        }
        _ => Err(Problem::invalid(
            "`resource_kind` must be one of server, audit_log, workspace, experiment, run, logged_model, registered_model",
        )),
    }
}
