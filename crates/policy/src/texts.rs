//! What the program has built in, as Cedar reads it: the schema, a template for each role, and the policies that need no grant.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::str::FromStr;

use cedar_policy::{
    ActionConstraint, Effect, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Schema, SchemaFragment, Template,
};
use kernel::{hex, sha256};

use crate::engine::Verb;
use crate::roles::{Role, read_roles};
use crate::types::PolicyError;

/// The action groups that every verb is in one of.
const READS: &str = "reads";
const WRITES: &str = "writes";

/// SHA-256 over all texts, each after its length, so that no two sets of texts share one.
pub(crate) fn version_of(texts: &[&str], built_in: &[&str]) -> String {
    let mut all = Vec::new();
    for text in texts.iter().chain(built_in) {
        all.extend((text.len() as u64).to_be_bytes());
        all.extend(text.as_bytes());
    }
    hex(&sha256(&all))
}

/// The schema with each role as an action group: `action in Action::"role:viewer"`.
pub(crate) fn read_schema(schema: &str, roles: &str) -> Result<(Schema, BTreeMap<String, Role>), PolicyError> {
    let (fragment, _) = SchemaFragment::from_cedarschema_str(schema).map_err(embedded)?;
    let mut json = fragment.to_json_value().map_err(embedded)?;
    let Some(actions) = json.as_object_mut().and_then(|all| all.get_mut("")).and_then(|top| top.get_mut("actions")) else {
        return Err(embedded("the schema has no actions"));
    };
    let Some(actions) = actions.as_object_mut() else {
        return Err(embedded("the schema's actions are no table"));
    };
    let verbs: BTreeSet<String> = actions.keys().filter(|name| name.contains('.')).cloned().collect();
    let roles = read_roles(roles, &verbs)?;
    for (name, action) in actions.iter_mut().filter(|(name, _)| verbs.contains(*name)) {
        let groups = action.as_object_mut().map(|action| action.entry("memberOf").or_insert_with(|| serde_json::json!([])));
        let Some(groups) = groups.and_then(serde_json::Value::as_array_mut) else {
            return Err(embedded(format!("`{name}` has no list of groups")));
        };
        for role in roles.values().filter(|role| role.verbs.contains(name)) {
            groups.push(serde_json::json!({ "id": format!("role:{}", role.name) }));
        }
    }
    for role in roles.keys() {
        actions.insert(format!("role:{role}"), serde_json::json!({}));
    }
    Ok((Schema::from_json_value(json).map_err(embedded)?, roles))
}

pub(crate) fn read_templates(text: &str) -> Result<BTreeMap<String, Template>, PolicyError> {
    let set = PolicySet::from_str(text).map_err(embedded)?;
    if set.policies().next().is_some() {
        return Err(embedded("a role must be a template"));
    }
    let mut templates = BTreeMap::new();
    for template in set.templates() {
        let Some(id) = template.annotation("id").map(str::to_owned) else {
            return Err(embedded("a role's template has no @id"));
        };
        templates.insert(id.clone(), template.new_id(PolicyId::new(id)));
    }
    Ok(templates)
}

pub(crate) fn read_statics(text: &str) -> Result<Vec<Policy>, PolicyError> {
    // Grants on single experiments, models and data sets are judged once per role (see `Policy::items`), so no built-in policy
    // may tell one of them from another.
    if ["Experiment::\"", "RegisteredModel::\"", "Dataset::\""].iter().any(|one| text.contains(one)) {
        return Err(embedded("a built-in policy names a single experiment, model or data set"));
    }
    let set = PolicySet::from_str(text).map_err(embedded)?;
    if set.templates().next().is_some() {
        return Err(embedded("a built-in policy must not be a template"));
    }
    set.policies()
        .map(|policy| {
            let id = policy.annotation("id").map(str::to_owned).ok_or_else(|| embedded("a policy has no @id"))?;
            Ok(policy.new_id(PolicyId::new(id)))
        })
        .collect()
}

pub(crate) fn verb(
    name: String,
    entity: &Entity,
    actions: &Entities,
    statics: &[Policy],
    templates: &BTreeMap<String, Template>,
) -> Result<Verb, PolicyError> {
    let uid = entity.uid();
    let ancestors: HashSet<EntityUid> = actions.ancestors(&uid).into_iter().flatten().cloned().collect();
    let in_group = |group: &str| ancestors.iter().any(|ancestor| ancestor.id().unescaped() == group);
    let writes = in_group(WRITES);
    if writes == in_group(READS) {
        return Err(embedded(format!("`{name}` must be in one of `{READS}` and `{WRITES}`")));
    }
    let mut base = PolicySet::new();
    let (mut open, mut public) = (false, false);
    for policy in statics {
        let concerns = match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(one) => one == uid || ancestors.contains(&one),
            ActionConstraint::In(many) => many.iter().any(|one| *one == uid || ancestors.contains(one)),
        };
        let permit = policy.effect() == Effect::Permit;
        if concerns {
            base.add(policy.clone()).map_err(embedded)?;
        }
        if concerns && permit {
            let id = policy.id().to_string();
            open |= !id.starts_with("job:");
            public |= id == "anyone-may-knock";
        }
    }
    let held = templates.iter().filter(|(id, _)| in_group(id));
    let by_role = held.map(|(id, template)| (id.trim_start_matches("role:").to_owned(), template.clone()));
    let templates = by_role.collect();
    let entity = Entity::new_no_attrs(uid.clone(), ancestors);
    Ok(Verb { name, writes, open, public, uid, entity, base, templates })
}

pub(crate) fn embedded(error: impl std::fmt::Display) -> PolicyError {
    PolicyError::Embedded(error.to_string())
}
