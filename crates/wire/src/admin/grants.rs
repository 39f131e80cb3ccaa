//! `/grants`: who has which role on what.

use http::Method;
use kernel::Problem;
use policy::{CreateGrant, Grant, ListGrants, On, PAGE_COUNT_MAX, Policy, RevokeGrant};
use serde_json::{Value, json};

use super::times;
use crate::mlflow::json::Fields;
use crate::{Door, Inbound, json};

const GRANTS: &str = "/api/strongroom/v1/grants";
/// Grants of a page, if nobody says.
const PAGE_COUNT_DEFAULT: i64 = 100;

/// Adds the routes.
pub fn routes(door: &mut Door, policy: &Policy) {
    let room = policy.clone();
    door.route::<CreateGrant, _, _>(
        Method::POST,
        GRANTS,
        move |inbound| {
            let fields = Fields::of(inbound)?;
            let expires_at = fields.text("expires_at")?.map(|text| times::parse("expires_at", &text)).transpose()?;
            Ok(CreateGrant {
                room: room.clone(),
                principal: fields.need_text("principal")?,
                role: fields.need_text("role")?,
                on: on_of(&fields)?,
                expires_at,
                justification: fields.text("justification")?.unwrap_or_default(),
            })
        },
        |grant| json(&grant_json(&grant)),
    );
    let room = policy.clone();
    door.route::<ListGrants, _, _>(
        Method::GET,
        GRANTS,
        move |inbound| {
            let fields = Fields::of(inbound)?;
            Ok(ListGrants {
                room: room.clone(),
                on: on_of(&fields)?,
                principal: fields.text("principal")?,
                after: fields.text("after")?,
                limit: rows(&fields)?,
            })
        },
        |page| {
            let grants: Vec<Value> = page.grants.iter().map(grant_json).collect();
            let mut answer = json!({ "grants": grants });
            if let (Some(next), Some(fields)) = (page.next, answer.as_object_mut()) {
                fields.insert("next".to_owned(), Value::String(next));
            }
            json(&answer)
        },
    );
    let room = policy.clone();
    door.route::<RevokeGrant, _, _>(
        Method::DELETE,
        "/api/strongroom/v1/grants/{grant}",
        move |inbound: &Inbound| Ok(RevokeGrant { room: room.clone(), id: inbound.path("grant").to_owned() }),
        |()| json(&json!({})),
    );
}

fn rows(fields: &Fields) -> Result<i64, Problem> {
    Ok(fields.int("rows")?.unwrap_or(PAGE_COUNT_DEFAULT).clamp(1, PAGE_COUNT_MAX))
}

/// `resource_kind` and `resource`: the workspace of the request, if nobody says.
fn on_of(fields: &Fields) -> Result<On, Problem> {
    let kind = fields.text("resource_kind")?.unwrap_or_else(|| "workspace".to_owned());
    let resource = fields.text("resource")?.filter(|id| !id.is_empty());
    on(&kind, resource)
}

fn on(kind: &str, resource: Option<String>) -> Result<On, Problem> {
    match (kind, resource) {
        ("server", None) => Ok(On::Server),
        ("workspace", None) => Ok(On::Workspace),
        ("server" | "workspace", Some(_)) => Err(Problem::invalid(format!(
            "`resource` goes with an experiment or a registered model; a {kind} takes none (the workspace is that of the \
             X-MLFLOW-WORKSPACE header)"
        ))),
        ("experiment", Some(id)) => Ok(On::Experiment(id)),
        ("registered_model", Some(name)) => Ok(On::RegisteredModel(name)),
        ("experiment", None) => Err(Problem::invalid("`resource` must be the experiment's id")),
        ("registered_model", None) => Err(Problem::invalid("`resource` must be the model's name")),
        _ => Err(Problem::invalid("`resource_kind` must be one of server, workspace, experiment, registered_model")),
    }
}

fn grant_json(grant: &Grant) -> Value {
    json!({
        "id": grant.id,
        "principal": grant.principal,
        "principal_kind": grant.principal_kind.word(),
        "role": grant.role,
        "resource_kind": grant.resource.kind(),
        "resource": grant.resource.id(),
        "workspace": grant.workspace,
        "created_by": grant.created_by,
        "created_at": times::to_text(grant.created_at),
        "expires_at": grant.expires_at.map(times::to_text),
        "justification": grant.justification,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_named_or_refused() {
        let id = || Some("7".to_owned());
        assert_eq!(on("workspace", None).ok(), Some(On::Workspace));
        assert_eq!(on("experiment", id()).ok(), Some(On::Experiment("7".to_owned())));
        assert_eq!(on("registered_model", id()).ok(), Some(On::RegisteredModel("7".to_owned())));
        for (kind, resource) in [("workspace", id()), ("server", id()), ("experiment", None), ("run", id()), ("", None)] {
            assert!(on(kind, resource).is_err(), "{kind}");
        }
    }
}
