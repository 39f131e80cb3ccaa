//! `/grants`: who has which role on what; and what a grant or a membership of a group would newly allow.

use http::Method;
use kernel::Problem;
use policy::{CreateGrant, Grant, ListGrants, On, PAGE_COUNT_MAX, Policy, PreviewGrant, PreviewMember, RevokeGrant};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access_review::enumeration;
use super::shape::{body, query};
use super::times;
use crate::{Door, Inbound, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewGrant {
    principal: String,
    role: String,
    resource_kind: Option<String>,
    resource: Option<String>,
    expires_at: Option<String>,
    justification: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMember {
    member: String,
}

const GRANTS: &str = "/api/strongroom/v1/grants";
/// Grants of a page, if nobody says.
const PAGE_COUNT_DEFAULT: usize = 100;

/// Adds the routes.
pub fn routes(door: &mut Door, policy: &Policy) {
    let room = policy.clone();
    door.route::<CreateGrant, _, _>(
        Method::POST,
        GRANTS,
        move |inbound| wanted(&room, inbound),
        |grant| json(&grant_json(&grant)),
    );
    let room = policy.clone();
    door.route::<PreviewGrant, _, _>(
        Method::POST,
        "/api/strongroom/v1/grants/preview",
        move |inbound| Ok(PreviewGrant { wanted: wanted(&room, inbound)? }),
        |preview| json(&json!({ "grant": grant_json(&preview.grant), "newly": enumeration(&preview.newly) })),
    );
    let room = policy.clone();
    door.route::<PreviewMember, _, _>(
        Method::POST,
        "/api/strongroom/v1/groups/{group}/preview",
        move |inbound: &Inbound| {
            let NewMember { member } = body(inbound)?;
            Ok(PreviewMember { room: room.clone(), group: inbound.path("group").to_owned(), member })
        },
        |preview| json(&json!({ "group": preview.group, "member": preview.member, "newly": enumeration(&preview.newly) })),
    );
    let room = policy.clone();
    door.route::<ListGrants, _, _>(
        Method::GET,
        GRANTS,
        move |inbound| {
            let (page, [kind, resource, principal]) = query(inbound, ["resource_kind", "resource", "principal"])?;
            let limit = i64::try_from(page.rows.unwrap_or(PAGE_COUNT_DEFAULT)).unwrap_or(PAGE_COUNT_MAX).min(PAGE_COUNT_MAX);
            Ok(ListGrants { room: room.clone(), on: on(kind.as_deref(), resource)?, principal, after: page.after, limit })
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

fn wanted(room: &Policy, inbound: &Inbound) -> Result<CreateGrant, Problem> {
    let NewGrant { principal, role, resource_kind, resource, expires_at, justification } = body(inbound)?;
    Ok(CreateGrant {
        room: room.clone(),
        principal,
        role,
        on: on(resource_kind.as_deref(), resource)?,
        expires_at: expires_at.map(|text| times::parse("expires_at", &text)).transpose()?,
        justification: justification.unwrap_or_default(),
    })
}

/// The resource of these two: the workspace of the request, if nobody says.
///
/// # Errors
/// `Invalid` for another kind, or one without what it needs.
pub fn on(kind: Option<&str>, resource: Option<String>) -> Result<On, Problem> {
    let kind = kind.unwrap_or("workspace");
    let resource = resource.filter(|id| !id.is_empty());
    match (kind, resource) {
        ("server", None) => Ok(On::Server),
        ("workspace", None) => Ok(On::Workspace),
        ("server" | "workspace", Some(_)) => Err(Problem::invalid(format!(
            "`resource` goes with an experiment, a registered model or a data set; a {kind} takes none (the workspace is that of the \
             X-MLFLOW-WORKSPACE header)"
        ))),
        ("experiment", Some(id)) => Ok(On::Experiment(id)),
        ("registered_model", Some(name)) => Ok(On::RegisteredModel(name)),
        ("dataset", Some(name)) => Ok(On::Dataset(name)),
        ("experiment", None) => Err(Problem::invalid("`resource` must be the experiment's id")),
        ("registered_model", None) => Err(Problem::invalid("`resource` must be the model's name")),
        ("dataset", None) => Err(Problem::invalid("`resource` must be the data set's name")),
        _ => Err(Problem::invalid("`resource_kind` must be one of server, workspace, experiment, registered_model, dataset")),
    }
}

pub(super) fn grant_json(grant: &Grant) -> Value {
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
        assert_eq!(on(Some("workspace"), None).ok(), Some(On::Workspace));
        assert_eq!(on(Some("experiment"), id()).ok(), Some(On::Experiment("7".to_owned())));
        assert_eq!(on(Some("registered_model"), id()).ok(), Some(On::RegisteredModel("7".to_owned())));
        assert_eq!(on(Some("dataset"), id()).ok(), Some(On::Dataset("7".to_owned())));
        for (kind, resource) in
            [("dataset", None), ("workspace", id()), ("server", id()), ("experiment", None), ("run", id()), ("", None)]
        {
            assert!(on(Some(kind), resource).is_err(), "{kind}");
        }
    }
}
