//! What a client may name and say.

use kernel::Problem;

use crate::limits;
use crate::types::KeyValue;

pub(crate) fn within(what: &str, chars_max: usize, text: &str) -> Result<(), Problem> {
    no_nul(what, text)?;
    if text.len() <= chars_max || text.chars().count() <= chars_max {
        return Ok(());
    }
    Err(Problem::invalid(format!("'{what}' exceeds the maximum length of {chars_max} characters")))
}

/// Text that PostgreSQL cannot hold, refused on both engines.
pub(crate) fn no_nul(what: &str, text: &str) -> Result<(), Problem> {
    if text.contains('\0') {
        return Err(Problem::invalid(format!("'{what}' contains a NUL character; leave it out")));
    }
    Ok(())
}

pub(crate) fn name(name: &str) -> Result<(), Problem> {
    if name.trim().is_empty() {
        return Err(Problem::invalid("the name of an evaluation dataset must not be empty"));
    }
    within("name", limits::NAME_CHARS_MAX, name)
}

pub(crate) fn tags(tags: &[KeyValue]) -> Result<(), Problem> {
    tag_count(tags.len())?;
    tags.iter().try_for_each(|tag| {
        if tag.key.is_empty() {
            return Err(Problem::invalid("a tag's key must not be empty"));
        }
        within("key", limits::TAG_KEY_CHARS_MAX, &tag.key)?;
        within("value", limits::TAG_VALUE_CHARS_MAX, &tag.value)
    })
}

pub(crate) fn tag_count(count: usize) -> Result<(), Problem> {
    if count > limits::TAG_COUNT_MAX {
        return Err(Problem::invalid(format!("an evaluation dataset has at most {} tags, got {count}", limits::TAG_COUNT_MAX)));
    }
    Ok(())
}

pub(crate) fn experiment_count(count: usize) -> Result<(), Problem> {
    if count > limits::EXPERIMENT_COUNT_MAX {
        let limit = limits::EXPERIMENT_COUNT_MAX;
        return Err(Problem::invalid(format!("an evaluation dataset is joined to at most {limit} experiments, got {count}")));
    }
    Ok(())
}

pub(crate) fn record_batch(count: usize) -> Result<(), Problem> {
    if count > limits::RECORD_BATCH_COUNT_MAX {
        return Err(Problem::invalid(format!(
            "a request holds at most {} records, got {count}; split them across several requests",
            limits::RECORD_BATCH_COUNT_MAX
        )));
    }
    Ok(())
}

/// An experiment's id in its one spelling.
pub(crate) fn experiment_id(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|id| *id >= 0 && id.to_string() == text)
}

/// How many rows a page may have.
pub(crate) fn page_count(count: i64, limit: i64) -> Result<i64, Problem> {
    if count < 1 {
        return Err(Problem::invalid(format!(
            "Invalid value {count} for parameter 'max_results' supplied. It must be a positive integer"
        )));
    }
    if count > limit {
        return Err(Problem::invalid(format!(
            "Invalid value {count} for parameter 'max_results' supplied. It must be at most {limit}"
        )));
    }
    Ok(count)
}
