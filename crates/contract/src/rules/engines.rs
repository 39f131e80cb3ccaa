//! Rules of other engines that travel inside a contract: those of Great Expectations and our own are run here.

use serde_json::Value;

use super::{Rule, expectation, ours};
use crate::ENGINE;
use crate::model::SchemaObject;
use crate::quality::Quality;
use crate::yaml::implementation;

/// The rule of a custom entry.
pub(super) fn custom(object: &SchemaObject, id: String, columns: Vec<String>, quality: &Quality) -> Rule {
    let engine = quality.engine.as_deref().unwrap_or_default();
    let plain: String = engine.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let implemented = match quality.implementation.as_ref().map(implementation) {
        Some(Ok(Value::Object(map))) => map,
        Some(Ok(_)) => return Rule::impossible(id, "custom", columns, "its `implementation` is no object"),
        Some(Err(problem)) => return Rule::impossible(id, "custom", columns, problem),
        None => return Rule::impossible(id, "custom", columns, "it has no `implementation`"),
    };
    match plain.as_str() {
        "greatexpectations" | "gx" | "ge" => expectation::rule(object, id, columns, &implemented),
        ENGINE => ours::rule(object, id, columns, &implemented),
        _ => {
            let reason = format!("rules of the engine `{engine}` are not run: run them there, or write them as `sql`");
            Rule::impossible(id, "custom", columns, reason)
        }
    }
}
