//! Accounts and groups as SCIM's resources, and back.

use ::scim::{GROUP_SCHEMA, Group, Refusal, USER_SCHEMA, User, folded};
use identity::ops::provisioning::{GroupProfile, Profile, Provisioned};
use identity::{Name, Principal, PrincipalKind};
use kernel::{Problem, hex, sha256};
use serde_json::{Map, Value, json};

/// Digits of a version.
const VERSION_LENGTH: usize = 16;

/// What was kept of it, or nothing.
fn kept(row: &Provisioned) -> Map<String, Value> {
    serde_json::from_str::<Map<String, Value>>(&row.document).unwrap_or_default()
}

fn place(base: &str, kind: PrincipalKind, id: &str) -> String {
    let plural = if kind == PrincipalKind::Group { "Groups" } else { "Users" };
    format!("{base}/{plural}/{id}")
}

fn meta(base: &str, row: &Provisioned) -> Value {
    let resource_type = if row.principal.kind == PrincipalKind::Group { "Group" } else { "User" };
    json!({
        "resourceType": resource_type,
        "created": row.principal.created_at.rfc3339(),
        "lastModified": row.changed_at.max(row.principal.created_at).rfc3339(),
        "location": place(base, row.principal.kind, &row.principal.id),
    })
}

fn linked(base: &str, principals: &[Principal]) -> Value {
    let each = |one: &Principal| {
        json!({
            "value": one.id,
            "$ref": place(base, one.kind, &one.id),
            "type": if one.kind == PrincipalKind::Group { "Group" } else { "User" },
            "display": one.name,
        })
    };
    Value::Array(principals.iter().map(each).collect())
}

fn leave_out(all: &mut Value, part: &str) {
    for one in all.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        one.remove(part);
    }
}

/// A person.
pub(super) fn user(base: &str, row: &Provisioned) -> Map<String, Value> {
    let mut resource = kept(row);
    // As it was given, as long as that is still the account's name.
    let is_same = |shown: &Value| shown.as_str().is_some_and(|shown| shown.eq_ignore_ascii_case(&row.principal.name));
    if !resource.get("userName").is_some_and(is_same) {
        resource.insert("userName".to_owned(), json!(row.principal.name));
    }
    resource.insert("schemas".to_owned(), json!([USER_SCHEMA]));
    resource.insert("id".to_owned(), json!(row.principal.id));
    resource.insert("active".to_owned(), json!(!row.principal.disabled));
    if !row.groups.is_empty() {
        let mut groups = linked(base, &row.groups);
        leave_out(&mut groups, "type");
        resource.insert("groups".to_owned(), groups);
    }
    resource.insert("meta".to_owned(), meta(base, row));
    resource
}

/// A group.
pub(super) fn group(base: &str, row: &Provisioned) -> Map<String, Value> {
    let mut resource = kept(row);
    let is_same = |shown: &Value| {
        shown.as_str().and_then(|shown| group_name(shown).ok()).is_some_and(|name| name.as_str() == row.principal.name)
    };
    if !resource.get("displayName").is_some_and(is_same) {
        resource.insert("displayName".to_owned(), json!(row.principal.name));
    }
    resource.insert("schemas".to_owned(), json!([GROUP_SCHEMA]));
    resource.insert("id".to_owned(), json!(row.principal.id));
    if !row.members.is_empty() {
        let mut members = linked(base, &row.members);
        // The standard's own schema names no more of a member.
        leave_out(&mut members, "display");
        resource.insert("members".to_owned(), members);
    }
    resource.insert("meta".to_owned(), meta(base, row));
    resource
}

/// Which state of it this is: it changes with whatever is shown of it.
pub(super) fn version(resource: &Map<String, Value>) -> String {
    let text = serde_json::to_vec(resource).unwrap_or_default();
    format!("W/\"{}\"", hex(&sha256(&text)).chars().take(VERSION_LENGTH).collect::<String>())
}

/// The resource with its version in it, and the version.
pub(super) fn versioned(mut resource: Map<String, Value>) -> (Map<String, Value>, String) {
    let version = version(&resource);
    if let Some(meta) = resource.get_mut("meta").and_then(Value::as_object_mut) {
        meta.insert("version".to_owned(), json!(version));
    }
    (resource, version)
}

fn unfit(problem: Problem) -> Problem {
    let message = problem.message().to_owned();
    Refusal::InvalidValue.problem(message)
}

/// What an account shall be; `active` where nothing is said of it.
pub(super) fn profile(resource: &Map<String, Value>, active: bool) -> Result<Profile, Problem> {
    let user = User::read(&folded(resource))?;
    Ok(Profile {
        name: Name::parse(&user.user_name).map_err(unfit)?,
        external_id: user.external_id.clone(),
        active: user.active.unwrap_or(active),
        document: Value::Object(user.write()).to_string(),
    })
}

/// What a group shall be.
pub(super) fn group_profile(resource: &Map<String, Value>) -> Result<GroupProfile, Problem> {
    let group = Group::read(&folded(resource))?;
    Ok(GroupProfile {
        name: group_name(&group.display_name)?,
        external_id: group.external_id.clone(),
        document: Value::Object(group.write()).to_string(),
        members: group.members,
    })
}

/// The name of a group here: what it is called there, where need be with `-` for what our names cannot hold.
fn group_name(display: &str) -> Result<Name, Problem> {
    if let Ok(name) = Name::parse(display) {
        return Ok(name);
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    let plain: String = display.trim().chars().map(|c| if fits(c) { c } else { '-' }).collect();
    Name::parse(&plain).map_err(unfit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_get_names_that_can_be() {
        assert_eq!(group_name("ML Engineers (EU)").unwrap().as_str(), "ml-engineers--eu-");
        assert_eq!(group_name("ml").unwrap().as_str(), "ml");
        for bad in ["", "---", "ü", &"x".repeat(65)] {
            assert!(group_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_said_of_a_person_becomes_a_profile() {
        let resource = json!({"schemas": [USER_SCHEMA], "userName": "Ada", "externalId": "7", "active": "False"});
        let profile = profile(resource.as_object().unwrap(), true).unwrap();
        assert_eq!((profile.name.as_str(), profile.active, profile.external_id.as_deref()), ("ada", false, Some("7")));
        let silent = json!({"userName": "ada"});
        assert!(!super::profile(silent.as_object().unwrap(), false).unwrap().active, "who is out stays out");
        let bad = json!({"userName": "a b"});
        assert!(super::profile(bad.as_object().unwrap(), true).is_err());
    }
}
