//! The table of roles: which role holds which verbs (`policies/roles.toml`).

use std::collections::{BTreeMap, BTreeSet};

use gate::Facts;
use serde::Deserialize;

use crate::place::Place;
use crate::types::PolicyError;

/// The table's text.
pub(crate) const ROLES_TEXT: &str = include_str!("../../../policies/roles.toml");

/// One role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What who holds it does.
    pub what: String,
    /// Whether it reaches what is kept in workspaces.
    pub data: bool,
    /// The kinds of resources it can be granted on.
    pub on: Vec<String>,
    /// Its verbs.
    pub verbs: BTreeSet<String>,
}

impl Role {
    /// Whether it reads what no other role does: it is no part of any of them, whatever its verbs.
    pub(crate) fn is_apart(&self) -> bool {
        self.name == "special_reader"
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleText {
    what: String,
    #[serde(default)]
    data: bool,
    on: Vec<String>,
    #[serde(default)]
    includes: Vec<String>,
    verbs: Vec<String>,
}

/// How a scope is narrowed to one experiment, by id.
const TO_AN_EXPERIMENT: &str = "@experiment:";
/// How a scope is narrowed to one registered model and its versions, by internal id.
const TO_A_MODEL: &str = "@model:";
/// How a scope is narrowed to one version of a data set, by id.
pub(crate) const TO_A_VERSION: &str = "@dataset_version:";

/// Whether a token's scope covers `verb` there: `VERBS`, `VERBS@experiment:ID`, `VERBS@model:ID` or
/// `VERBS@dataset_version:ID`.
pub(crate) fn scope_covers(scope: &str, verb: &str, place: &Place, facts: &Facts) -> bool {
    if let Some((verbs, id)) = scope.split_once(TO_AN_EXPERIMENT) {
        let here = matches!(place, Place::Experiment { id: experiment, .. } if experiment.to_string() == id);
        return here && covers(verbs, verb);
    }
    if let Some((verbs, id)) = scope.split_once(TO_A_MODEL) {
        let here = matches!(place, Place::RegisteredModel { id: model, .. } if model == id);
        return here && covers(verbs, verb);
    }
    if let Some((verbs, id)) = scope.split_once(TO_A_VERSION) {
        let here = facts.exists && facts.data.is_some() && facts.id.as_deref() == Some(id);
        return here && covers(verbs, verb);
    }
    covers(scope, verb)
}

/// Whether `pattern` covers `verb`: `*`, `room.*`, `*.verb` or the verb itself. Anything else covers nothing.
#[must_use]
pub fn covers(pattern: &str, verb: &str) -> bool {
    if pattern == "*" || pattern == verb {
        return true;
    }
    match (pattern.split_once('.'), verb.split_once('.')) {
        (Some((room, "*")), Some((verb_room, _))) => room == verb_room,
        (Some(("*", act)), Some((_, verb_act))) => act == verb_act,
        _ => false,
    }
}

/// Reads the table against the schema's verbs.
pub(crate) fn read_roles(text: &str, verbs: &BTreeSet<String>) -> Result<BTreeMap<String, Role>, PolicyError> {
    let raw: BTreeMap<String, RoleText> = toml::from_str(text).map_err(|error| PolicyError::Embedded(error.to_string()))?;
    let mut roles = BTreeMap::new();
    for (name, role) in &raw {
        let mut held = BTreeSet::new();
        collect(&raw, verbs, name, 0, &mut held)?;
        roles.insert(
            name.clone(),
            Role { name: name.clone(), what: role.what.clone(), data: role.data, on: role.on.clone(), verbs: held },
        );
    }
    Ok(roles)
}

/// How deep roles may include one another.
const INCLUDE_DEPTH_MAX: usize = 4;

fn collect(
    raw: &BTreeMap<String, RoleText>,
    verbs: &BTreeSet<String>,
    name: &str,
    depth: usize,
    held: &mut BTreeSet<String>,
) -> Result<(), PolicyError> {
    let role = raw.get(name).ok_or_else(|| PolicyError::Embedded(format!("there is no role `{name}` to include")))?;
    if depth > INCLUDE_DEPTH_MAX {
        return Err(PolicyError::Embedded(format!("the role `{name}` is included too deep")));
    }
    for pattern in &role.verbs {
        let before = held.len();
        held.extend(verbs.iter().filter(|verb| covers(pattern, verb)).cloned());
        if held.len() == before && !verbs.iter().any(|verb| covers(pattern, verb)) {
            return Err(PolicyError::Embedded(format!("`{pattern}` of the role `{name}` names no verb")));
        }
    }
    for other in &role.includes {
        collect(raw, verbs, other, depth + 1, held)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_what_they_say_and_nothing_else() {
        for (pattern, verb, expected) in [
            ("*", "runs.get", true),
            ("runs.*", "runs.get", true),
            ("*.get", "runs.get", true),
            ("runs.get", "runs.get", true),
            ("run.*", "runs.get", false),
            ("runs.g*", "runs.get", false),
            ("*s.get", "runs.get", false),
            ("", "runs.get", false),
            ("runs", "runs.get", false),
            ("*.*", "runs.get", false),
        ] {
            assert_eq!(covers(pattern, verb), expected, "{pattern} {verb}");
        }
    }

    #[test]
    fn a_role_that_names_no_verb_is_an_error() {
        let verbs = BTreeSet::from(["runs.get".to_owned()]);
        assert!(read_roles("[a]\nwhat='x'\non=[]\nverbs=['runs.gte']", &verbs).is_err());
        assert!(read_roles("[a]\nwhat='x'\non=[]\nverbs=[]\nincludes=['a']", &verbs).is_err());
        assert!(read_roles("[a]\nwhat='x'\non=[]\nverbs=['runs.*']", &verbs).is_ok());
    }
}
