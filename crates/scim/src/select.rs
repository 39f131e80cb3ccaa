//! Which attributes an answer has (RFC 7644, section 3.9).

use kernel::Problem;
use serde_json::{Map, Value};

use crate::attribute::AttributePath;
use crate::refusal::Refusal;

/// Attributes named in one request.
const NAMED_COUNT_MAX: usize = 64;

/// What to show of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Select {
    only: Vec<AttributePath>,
    without: Vec<AttributePath>,
}

impl Select {
    /// Of lists of names. What is not known is in no answer anyhow.
    ///
    /// # Errors
    /// `Invalid` where both are given, or too many names.
    pub fn read(only: Option<&str>, without: Option<&str>) -> Result<Self, Problem> {
        let paths = |text: Option<&str>| -> Result<Vec<AttributePath>, Problem> {
            let names: Vec<&str> = text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
            if names.len() > NAMED_COUNT_MAX {
                return Err(Refusal::InvalidValue.problem(format!("at most {NAMED_COUNT_MAX} attributes are named")));
            }
            Ok(names.into_iter().filter_map(|name| AttributePath::parse(name).ok()).collect())
        };
        if only.is_some_and(|text| !text.is_empty()) && without.is_some_and(|text| !text.is_empty()) {
            return Err(Refusal::InvalidValue.problem("`attributes` and `excludedAttributes` are not given together"));
        }
        Ok(Self { only: paths(only)?, without: paths(without)? })
    }

    /// Whether an answer has this attribute.
    #[must_use]
    pub fn shows(&self, name: &str) -> bool {
        let wanted = self.only.is_empty() || self.only.iter().any(|path| path.name == name);
        wanted && !self.without.iter().any(|path| path.name == name && path.part.is_none())
    }

    /// The resource with what is to be shown: `id` and `schemas` always are.
    #[must_use]
    pub fn of(&self, resource: Map<String, Value>) -> Map<String, Value> {
        let kept = |(name, value): (String, Value)| {
            if matches!(name.as_str(), "id" | "schemas") {
                return Some((name, value));
            }
            if !self.shows(&name) {
                return None;
            }
            let parts: Vec<&str> = self.only.iter().filter(|path| path.name == name).filter_map(|path| path.part).collect();
            let whole = self.only.iter().any(|path| path.name == name && path.part.is_none());
            let dropped: Vec<&str> = self.without.iter().filter(|path| path.name == name).filter_map(|path| path.part).collect();
            let keep = |part: &str| (parts.is_empty() || whole || parts.contains(&part)) && !dropped.contains(&part);
            Some((name, narrowed(value, &keep)))
        };
        resource.into_iter().filter_map(kept).collect()
    }
}

fn narrowed(value: Value, keep: &dyn Fn(&str) -> bool) -> Value {
    match value {
        Value::Object(parts) => Value::Object(parts.into_iter().filter(|(part, _)| keep(part)).collect()),
        Value::Array(all) => Value::Array(all.into_iter().map(|one| narrowed(one, keep)).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_has_what_was_asked_for_and_its_id() {
        let resource = json!({"id": "1", "schemas": [], "userName": "a", "name": {"familyName": "x", "givenName": "y"}, "emails": [{"value": "m", "type": "work"}]});
        let show = |only, without| Value::Object(Select::read(only, without).unwrap().of(resource.as_object().unwrap().clone()));
        assert_eq!(
            show(Some("username, Name.familyName"), None),
            json!({"id": "1", "schemas": [], "userName": "a", "name": {"familyName": "x"}})
        );
        assert_eq!(
            show(None, Some("name,emails.type,nothing")),
            json!({"id": "1", "schemas": [], "userName": "a", "emails": [{"value": "m"}]})
        );
        assert_eq!(show(None, None), resource);
        assert!(Select::read(Some("a"), Some("b")).is_err());
    }
}
