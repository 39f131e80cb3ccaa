//! What a client may name and say.

use kernel::{Kind, Problem};

use crate::limits;
use crate::types::{AssessmentKind, NewAssessment, NewTrace, Pair};

/// That a text can be stored by both engines.
pub(crate) fn no_nul(what: &str, text: &str) -> Result<(), Problem> {
    if text.contains('\0') {
        return Err(Problem::invalid(format!("{what} must not contain NUL characters")));
    }
    Ok(())
}

fn within(what: &str, chars_max: usize, text: &str) -> Result<(), Problem> {
    no_nul(what, text)?;
    if text.len() > chars_max && text.chars().count() > chars_max {
        return Err(Problem::invalid(format!("'{what}' exceeds the maximum length of {chars_max} characters")));
    }
    Ok(())
}

/// The text, cut after so many characters.
pub(crate) fn cut(mut text: String, chars_max: usize) -> String {
    if text.len() > chars_max
        && let Some((at, _)) = text.char_indices().nth(chars_max)
    {
        text.truncate(at);
    }
    text
}

/// A trace's id: it becomes part of an artifact's path.
pub(crate) fn trace_id(id: &str) -> Result<(), Problem> {
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let fine = plain && id.starts_with(|first: char| first.is_ascii_alphanumeric()) && id.len() <= limits::TRACE_ID_BYTES_MAX;
    // Words that stand in addresses where an id could.
    if !fine || matches!(id, "models" | "traces" | "get" | "search" | "metrics" | "batchGet" | "batchGetInfos") {
        let shown: String = id.chars().take(100).collect();
        return Err(Problem::invalid(format!(
            "Invalid value \"{}\" for parameter 'trace_id' supplied: it must be at most {} letters, digits, dashes and underscores",
            shown.escape_debug(),
            limits::TRACE_ID_BYTES_MAX
        )));
    }
    Ok(())
}

/// What records call a trace: its id where it is one that a machine makes, else the row's number.
pub(crate) fn record_id(id: &str, row: i64) -> String {
    let digits = id.strip_prefix("tr-").unwrap_or(id);
    let of_machine = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if of_machine { id.to_owned() } else { row.to_string() }
}

/// A tag or an entry of the metadata, its value cut as MLflow does.
pub(crate) fn pair((key, value): Pair) -> Result<Pair, Problem> {
    if key.is_empty() {
        return Err(Problem::invalid("Missing value for required parameter 'key'."));
    }
    within("key", limits::KEY_CHARS_MAX, &key)?;
    no_nul("value", &value)?;
    Ok((key, cut(value, limits::VALUE_CHARS_MAX)))
}

/// Tags or metadata of one request: each key once, the last one wins.
pub(crate) fn pairs(what: &str, all: Vec<Pair>) -> Result<Vec<Pair>, Problem> {
    if all.len() > limits::PAIR_COUNT_MAX {
        return Err(Problem::invalid(format!("a trace has at most {} {what}, got {}", limits::PAIR_COUNT_MAX, all.len())));
    }
    let map: std::collections::BTreeMap<String, String> = all.into_iter().map(pair).collect::<Result<_, _>>()?;
    Ok(map.into_iter().collect())
}

/// A new trace's texts and numbers.
pub(crate) fn new_trace(mut trace: NewTrace) -> Result<NewTrace, Problem> {
    trace_id(&trace.trace_id)?;
    if let Some(id) = &trace.client_request_id {
        within("client_request_id", limits::CLIENT_REQUEST_ID_CHARS_MAX, id)?;
    }
    for preview in [&mut trace.request_preview, &mut trace.response_preview] {
        if let Some(text) = preview.take() {
            *preview = Some(cut(text.replace('\0', " "), limits::PREVIEW_CHARS_MAX));
        }
    }
    trace.tags = pairs("tags", trace.tags)?;
    trace.metadata = pairs("metadata entries", trace.metadata)?;
    trace.assessments.iter().try_for_each(new_assessment)?;
    Ok(trace)
}

/// A new assessment's texts.
pub(crate) fn new_assessment(assessment: &NewAssessment) -> Result<(), Problem> {
    if let Some(id) = &assessment.assessment_id {
        assessment_id(id)?;
    }
    if let Some(id) = &assessment.overrides {
        assessment_id(id)?;
    }
    assessment_name(&assessment.name)?;
    let source = &assessment.source;
    if !["HUMAN", "LLM_JUDGE", "CODE", "AI_JUDGE", "SOURCE_TYPE_UNSPECIFIED"].contains(&source.kind.as_str()) {
        let known = "Valid source types: ['HUMAN', 'LLM_JUDGE', 'CODE']";
        return Err(Problem::invalid(format!("Invalid assessment source type: {}. {known}", cut(source.kind.clone(), 100))));
    }
    within("source_id", limits::ASSESSMENT_NAME_CHARS_MAX, &source.id)?;
    if let Some(span_id) = &assessment.span_id {
        within("span_id", limits::TRACE_ID_BYTES_MAX, span_id)?;
    }
    if assessment.error.is_some() && assessment.kind != AssessmentKind::Feedback {
        return Err(Problem::invalid("Only feedback has an error."));
    }
    let texts = [Some(&assessment.value), assessment.error.as_ref(), assessment.rationale.as_ref(), assessment.metadata.as_ref()];
    texts.into_iter().flatten().try_for_each(|text| assessment_text(text))
}

pub(crate) fn assessment_name(name: &str) -> Result<(), Problem> {
    if name.is_empty() {
        return Err(Problem::invalid("Missing value for required parameter 'assessment_name'."));
    }
    within("assessment_name", limits::ASSESSMENT_NAME_CHARS_MAX, name)
}

pub(crate) fn assessment_text(text: &str) -> Result<(), Problem> {
    no_nul("an assessment", text)?;
    if text.len() > limits::ASSESSMENT_TEXT_BYTES_MAX {
        let message =
            format!("a part of the assessment has {} bytes; at most {} are kept", text.len(), limits::ASSESSMENT_TEXT_BYTES_MAX);
        return Err(Problem::new(Kind::TooLarge, message));
    }
    Ok(())
}

fn assessment_id(id: &str) -> Result<(), Problem> {
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if id.is_empty() || !plain || id.len() > limits::TRACE_ID_BYTES_MAX {
        return Err(Problem::invalid("an assessment's id is at most 50 letters, digits, dashes and underscores"));
    }
    Ok(())
}

/// How many rows a page may have.
pub(crate) fn max_results(count: i64) -> Result<i64, Problem> {
    if count < 1 {
        return Err(Problem::invalid(format!(
            "Invalid value {count} for parameter 'max_results' supplied. It must be a positive integer"
        )));
    }
    if count > limits::SEARCH_RESULT_COUNT_MAX {
        let most = limits::SEARCH_RESULT_COUNT_MAX;
        return Err(Problem::invalid(format!(
            "Invalid value {count} for parameter 'max_results' supplied. It must be at most {most}"
        )));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_words() {
        for good in ["tr-1234", "tr-0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"] {
            assert!(trace_id(good).is_ok(), "{good}");
        }
        for bad in ["", "..", "../x", "a/b", "a b", "-a", "tr-\0", "models", "get", "é", &"a".repeat(51)] {
            assert!(trace_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn records_name_no_id_that_a_person_could_have_chosen() {
        let made = "tr-0123456789abcdef0123456789abcdef";
        assert_eq!(record_id(made, 5), made);
        assert_eq!(record_id("tr-jane-doe", 5), "5");
    }
}
