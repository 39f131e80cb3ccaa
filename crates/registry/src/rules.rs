//! What a client may name and say. The texts are MLflow's, because its clients and their users know them.

use kernel::Problem;

use crate::limits;
use crate::types::KeyValue;

const BAD_CHARACTERS: &str = "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), \
                              colon(:) and slashes (/).";

/// The name of a registered model. `parameter` is the request's word for it.
pub(crate) fn model_name(parameter: &str, name: &str) -> Result<(), Problem> {
    if name.trim().is_empty() {
        return Err(missing(parameter));
    }
    if name.contains(['/', ':']) {
        return Err(Problem::invalid(format!("Invalid model name '{}'. Names cannot contain '/' or ':'.", shown(name))));
    }
    if name.chars().any(char::is_control) {
        return Err(Problem::invalid(format!("Invalid model name '{}'. Names cannot contain control characters.", shown(name))));
    }
    if matches!(name, "." | "..") {
        return Err(bad_path("name", name));
    }
    within("name", limits::NAME_CHARS_MAX, name)
}

/// The name of a logged model.
pub(crate) fn logged_model_name(name: &str) -> Result<(), Problem> {
    if name.is_empty() || name.contains(['/', ':', '.', '%', '"', '\'']) || name.chars().any(char::is_control) {
        return Err(Problem::invalid(format!(
            "Invalid model name ('{}') provided. Model name must be a non-empty string and cannot contain the following \
             characters: ('/', ':', '.', '%', '\"', \"'\")",
            shown(name)
        )));
    }
    within("name", limits::NAME_CHARS_MAX, name)
}

/// A version's number, written as one.
pub(crate) fn version(text: &str) -> Result<i64, Problem> {
    // `+1`, `01` or ` 1` would be other spellings of the same version: a decision was made about one spelling only.
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let number = if plain { text.parse().ok() } else { None };
    number.ok_or_else(|| Problem::invalid(format!("Parameter 'version' must be an integer, got '{}'.", shown(text))))
}

/// An alias that is looked up or deleted.
pub(crate) fn alias(alias: &str) -> Result<(), Problem> {
    if alias.is_empty() {
        return Err(Problem::invalid("Registered model alias name cannot be empty."));
    }
    if !alias.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
        return Err(Problem::invalid(format!(
            "Invalid alias name: '{}'. Names may only contain alphanumerics, underscores (_), and dashes (-).",
            shown(alias)
        )));
    }
    within("Registered model alias name", limits::ALIAS_CHARS_MAX, alias)
}

/// An alias that is set: it must not look like a version.
pub(crate) fn new_alias(text: &str) -> Result<(), Problem> {
    alias(text)?;
    if text.eq_ignore_ascii_case("latest") {
        return Err(Problem::invalid("'latest' alias name (case insensitive) is reserved."));
    }
    let digits = text.strip_prefix(['v', 'V']).unwrap_or_default();
    if !digits.is_empty() && digits.chars().all(char::is_numeric) {
        return Err(Problem::invalid(format!("Version alias name '{}' is reserved.", shown(text))));
    }
    Ok(())
}

/// A tag's key.
pub(crate) fn tag_key(key: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '-' | ' ' | ':');
    if !key.chars().all(plain) {
        return Err(invalid_value("key", key, BAD_CHARACTERS));
    }
    let leads_elsewhere = key.is_empty() || key.split('/').any(|part| matches!(part, "" | "." | "..")) || key.starts_with("..");
    if leads_elsewhere {
        return Err(bad_path("key", key));
    }
    within("key", limits::KEY_CHARS_MAX, key)
}

/// A tag of a registered model or version.
pub(crate) fn tag(tag: &KeyValue) -> Result<(), Problem> {
    tag_key(&tag.key)?;
    within("value", limits::TAG_VALUE_CHARS_MAX, &tag.value)
}

/// The tags of a request; of equal keys the last counts.
pub(crate) fn tags(all: Vec<KeyValue>) -> Result<Vec<KeyValue>, Problem> {
    few("tags", all.len())?;
    all.iter().try_for_each(tag)?;
    Ok(last_of_each(all))
}

/// The tags of a logged model.
pub(crate) fn logged_model_tags(all: Vec<KeyValue>) -> Result<Vec<KeyValue>, Problem> {
    few("tags", all.len())?;
    for tag in &all {
        tag_key(&tag.key)?;
        within("value", limits::LOGGED_MODEL_TAG_VALUE_CHARS_MAX, &tag.value)?;
    }
    Ok(last_of_each(all))
}

/// The params of a logged model.
pub(crate) fn params(all: Vec<KeyValue>) -> Result<Vec<KeyValue>, Problem> {
    few("params", all.len())?;
    for param in &all {
        tag_key(&param.key)?;
        within("value", limits::PARAM_VALUE_CHARS_MAX, &param.value)?;
    }
    Ok(last_of_each(all))
}

/// A text of bounded length.
pub(crate) fn within(name: &str, limit_chars: usize, value: &str) -> Result<(), Problem> {
    if value.len() <= limit_chars || value.chars().count() <= limit_chars {
        return Ok(());
    }
    Err(Problem::invalid(format!("'{name}' exceeds the maximum length of {limit_chars} characters")))
}

fn few(what: &str, count: usize) -> Result<(), Problem> {
    if count <= limits::BATCH_COUNT_MAX {
        return Ok(());
    }
    Err(Problem::invalid(format!("a request may hold at most {} {what}, got {count}", limits::BATCH_COUNT_MAX)))
}

fn last_of_each(mut all: Vec<KeyValue>) -> Vec<KeyValue> {
    all.reverse();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all.dedup_by(|later, earlier| later.key == earlier.key);
    all
}

fn missing(parameter: &str) -> Problem {
    Problem::invalid(format!("Missing value for required parameter '{parameter}'."))
}

fn bad_path(parameter: &str, name: &str) -> Problem {
    invalid_value(
        parameter,
        name,
        "Names may be treated as files in certain cases, and must not resolve to other names when treated as such.",
    )
}

fn invalid_value(parameter: &str, value: &str, why: &str) -> Problem {
    let value = serde_json::Value::from(shown(value));
    Problem::invalid(format!("Invalid value {value} for parameter '{parameter}' supplied: {why}"))
}

/// A client's text in a message, cut where it is too long to repeat.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_names_are_no_paths() {
        for good in ["a", "a b", "ä", "a.b", "UpdateRMTest 2", "@x", "a%2f", "-"] {
            assert!(model_name("name", good).is_ok(), "{good}");
        }
        for bad in ["", " ", "a/b", "a:b", ".", "..", "a\0", "a\nb", &"x".repeat(257)] {
            assert!(model_name("name", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_version_has_one_spelling() {
        assert_eq!(version("12").ok(), Some(12));
        for bad in ["", "01", "+1", "-1", " 1", "1.0", "1e3", "٣", "99999999999999999999", "latest", "something not correct"] {
            assert!(version(bad).is_err_and(|p| p.message().contains("must be an integer, got")), "{bad}");
        }
    }

    #[test]
    fn aliases_do_not_look_like_versions() {
        for good in ["champion", "v1a", "a-b_c", "v", "ä"] {
            assert!(new_alias(good).is_ok(), "{good}");
        }
        for bad in ["", "v1", "V22", "latest", "LATEST", "a b", "a/b", "a@b", &"x".repeat(256)] {
            assert!(new_alias(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tag_keys_lead_nowhere() {
        for good in ["key", "numeric value", "mlflow.prompt.is_prompt", "a/b", "a:b", "..."] {
            assert_eq!(tag_key(good).is_ok(), good != "...", "{good}");
        }
        for bad in ["", "/a", "a//b", "../a", "a/../b", "./a", "a/", "a\\b", "a%b", "a\0", &"k".repeat(251)] {
            assert!(tag_key(bad).is_err(), "{bad}");
        }
    }
}
