//! What a client may name and say. The texts are MLflow's, because its clients and their users know them.

use kernel::Problem;

use crate::limits;
use crate::types::{DatasetInput, KeyValue, NewMetric};

const BAD_CHARACTERS: &str = "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), \
                              colon(:) and slashes (/).";

/// A text as JSON in ASCII, the way MLflow's messages quote values.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    let mut units = [0_u16; 2];
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(letter),
            _ => letter.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out.push('"');
    out
}

fn invalid_value(path: &str, value: &str, why: &str) -> Problem {
    Problem::invalid(format!("Invalid value {value} for parameter '{path}' supplied: {why}"))
}

fn within(path: &str, limit: usize, value: &str) -> Result<(), Problem> {
    no_nul(path, value)?;
    // A text of n bytes has at most n characters: most texts need no counting.
    if value.len() <= limit || value.chars().count() <= limit {
        return Ok(());
    }
    Err(Problem::invalid(format!("'{path}' exceeds the maximum length of {limit} characters")))
}

fn cut(mut value: String, limit: usize) -> String {
    if value.len() > limit
        && let Some((at, _)) = value.char_indices().nth(limit)
    {
        value.truncate(at);
    }
    value
}

/// Where a path leads, as POSIX normalises it.
fn normalised(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let leading = match path.bytes().take_while(|b| *b == b'/').count() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part != ".." || (leading.is_empty() && parts.last().is_none_or(|last| *last == "..")) {
            parts.push(part);
        } else {
            parts.pop();
        }
    }
    let joined = format!("{leading}{}", parts.join("/"));
    if joined.is_empty() { ".".to_owned() } else { joined }
}

/// The rule for keys of metrics, parameters and tags: they may become file names at the client.
fn key_is_fine(path: &str, key: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '-' | ' ' | ':');
    if !key.chars().all(plain) {
        return Err(invalid_value(path, &quoted(key), BAD_CHARACTERS));
    }
    // Without dots and slashes a name cannot lead anywhere else.
    if !key.is_empty() && !key.contains(['.', '/']) {
        return Ok(());
    }
    let normal = normalised(key);
    if normal != key || normal == "." || normal.starts_with("..") || normal.starts_with('/') {
        return Err(invalid_value(
            path,
            &quoted(key),
            &format!(
                "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. \
                 This name would resolve to '{normal}'"
            ),
        ));
    }
    Ok(())
}

/// A metric's point. `prefix` is empty, or `metrics[3].` inside a batch.
pub(crate) fn metric(metric: &NewMetric, prefix: &str) -> Result<(), Problem> {
    key_is_fine_at(prefix, "name", &metric.key)?;
    let NewMetric { key, value, timestamp_ms, .. } = metric;
    if *timestamp_ms < 0 {
        return Err(invalid_value(
            &format!("{prefix}timestamp"),
            &timestamp_ms.to_string(),
            &format!("metric '{key}' (value={value:?}). Timestamp must be a nonnegative long (64-bit integer) "),
        ));
    }
    within("Metric name", limits::KEY_CHARS_MAX, key)?;
    for (name, text) in
        [("model_id", &metric.model_id), ("dataset_name", &metric.dataset_name), ("dataset_digest", &metric.dataset_digest)]
    {
        if let Some(text) = text {
            within(name, limits::DATASET_NAME_CHARS_MAX, text)?;
        }
    }
    Ok(())
}

fn key_is_fine_at(prefix: &str, name: &str, key: &str) -> Result<(), Problem> {
    // The path is put together only for the message of a refusal: a batch has a thousand of them.
    match key_is_fine("", key) {
        Ok(()) => Ok(()),
        Err(_) => key_is_fine(&format!("{prefix}{name}"), key),
    }
}

/// A parameter, its value cut to the limit.
pub(crate) fn param(param: KeyValue, prefix: &str) -> Result<KeyValue, Problem> {
    key_is_fine_at(prefix, "key", &param.key)?;
    within("Param key", limits::KEY_CHARS_MAX, &param.key)?;
    Ok(KeyValue { key: param.key, value: cut(param.value, limits::PARAM_VALUE_CHARS_MAX) })
}

/// A run's tag, its value cut to the limit.
pub(crate) fn tag(tag: KeyValue, prefix: &str) -> Result<KeyValue, Problem> {
    key_is_fine_at(prefix, "key", &tag.key)?;
    within(&format!("{prefix}key"), limits::KEY_CHARS_MAX, &tag.key)?;
    Ok(KeyValue { key: tag.key, value: cut(tag.value, limits::TAG_VALUE_CHARS_MAX) })
}

/// The tags that come with a new run.
pub(crate) fn new_run_tags(tags: Vec<KeyValue>) -> Result<Vec<KeyValue>, Problem> {
    new_tag_count(tags.len())?;
    tags.into_iter()
        .enumerate()
        .map(|(index, tag)| {
            within(&format!("tags[{index}].key"), limits::KEY_CHARS_MAX, &tag.key)?;
            Ok(KeyValue { key: tag.key, value: cut(tag.value, limits::TAG_VALUE_CHARS_MAX) })
        })
        .collect()
}

/// A tag of an experiment.
pub(crate) fn experiment_tag(tag: &KeyValue) -> Result<(), Problem> {
    key_is_fine("key", &tag.key)?;
    within("key", limits::KEY_CHARS_MAX, &tag.key)?;
    within("value", limits::EXPERIMENT_TAG_VALUE_CHARS_MAX, &tag.value)
}

/// The tags that come with a new experiment.
pub(crate) fn new_experiment_tags(tags: &[KeyValue]) -> Result<(), Problem> {
    new_tag_count(tags.len())?;
    tags.iter().try_for_each(|tag| {
        within("key", limits::KEY_CHARS_MAX, &tag.key)?;
        within("value", limits::EXPERIMENT_TAG_VALUE_CHARS_MAX, &tag.value)
    })
}

fn new_tag_count(count: usize) -> Result<(), Problem> {
    if count > limits::NEW_TAG_COUNT_MAX {
        return Err(Problem::invalid(format!(
            "at most {} tags may come at once, got {count}; set the others after it",
            limits::NEW_TAG_COUNT_MAX
        )));
    }
    Ok(())
}

/// An experiment's name.
pub(crate) fn experiment_name(name: &str) -> Result<(), Problem> {
    if name.is_empty() || name.contains('\0') {
        return Err(Problem::invalid(format!("Invalid experiment name: '{}'", name.escape_debug())));
    }
    within("name", limits::EXPERIMENT_NAME_CHARS_MAX, name)
}

/// A run's name.
pub(crate) fn run_name(name: &str) -> Result<(), Problem> {
    within("run_name", limits::RUN_NAME_CHARS_MAX, name)
}

/// Text that PostgreSQL cannot hold, refused on both engines.
pub(crate) fn no_nul(what: &str, text: &str) -> Result<(), Problem> {
    if text.contains('\0') {
        return Err(Problem::invalid(format!("'{what}' contains a NUL character; leave it out")));
    }
    Ok(())
}

/// A run's id, before anything is looked up.
pub(crate) fn run_id(run_id: &str) -> Result<(), Problem> {
    let mut letters = run_id.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    if first && run_id.chars().count() <= 256 && letters.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
        return Ok(());
    }
    Err(Problem::invalid(format!("Invalid value {} for parameter 'run_id' supplied.", quoted(run_id))))
}

/// A whole batch: its entries, its counts, and that no parameter comes twice.
pub(crate) fn batch(
    metrics: &[NewMetric],
    params: Vec<KeyValue>,
    tags: Vec<KeyValue>,
) -> Result<(Vec<KeyValue>, Vec<KeyValue>), Problem> {
    let counts = (metrics.len(), params.len(), tags.len());
    // Counted first where MLflow counts last: what is over the limit costs no more work.
    batch_counts(counts)?;
    for (index, entry) in metrics.iter().enumerate() {
        if metric(entry, "").is_err() {
            metric(entry, &format!("metrics[{index}]."))?;
        }
    }
    let params =
        params.into_iter().enumerate().map(|(i, p)| param(p, &format!("params[{i}]."))).collect::<Result<Vec<_>, _>>()?;
    let tags = tags.into_iter().enumerate().map(|(i, t)| tag(t, &format!("tags[{i}]."))).collect::<Result<Vec<_>, _>>()?;
    params_unique(&params)?;
    Ok((params, tags))
}

fn batch_counts((metrics, params, tags): (usize, usize, usize)) -> Result<(), Problem> {
    let total = metrics.saturating_add(params).saturating_add(tags);
    let checks = [
        ("metrics", limits::BATCH_METRIC_COUNT_MAX, metrics),
        ("params", limits::BATCH_PARAM_COUNT_MAX, params),
        ("tags", limits::BATCH_PARAM_COUNT_MAX, tags),
        ("metrics, params, and tags", limits::BATCH_ENTITY_COUNT_MAX, total),
    ];
    for (what, limit, count) in checks {
        if count > limit {
            return Err(Problem::invalid(format!(
                "A batch logging request can contain at most {limit} {what}. Got {count} {what}. Please split up {what} across \
                 multiple requests and try again."
            )));
        }
    }
    Ok(())
}

fn params_unique(params: &[KeyValue]) -> Result<(), Problem> {
    let mut seen = std::collections::HashSet::new();
    let doubles: Vec<String> = params.iter().filter(|p| !seen.insert(p.key.as_str())).map(|p| format!("'{}'", p.key)).collect();
    if doubles.is_empty() {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "Duplicate parameter keys have been submitted: [{}]. Please ensure the request contains only one param value per param key.",
        doubles.join(", ")
    )))
}

/// The datasets that a run says it read.
pub(crate) fn dataset_inputs(inputs: &[DatasetInput]) -> Result<(), Problem> {
    if inputs.len() > limits::DATASET_COUNT_MAX {
        return Err(Problem::invalid(format!(
            "at most {} datasets may come at once, got {}",
            limits::DATASET_COUNT_MAX,
            inputs.len()
        )));
    }
    for DatasetInput { dataset, tags } in inputs {
        within("name", limits::DATASET_NAME_CHARS_MAX, &dataset.name)?;
        within("digest", limits::DATASET_DIGEST_CHARS_MAX, &dataset.digest)?;
        within("source", limits::DATASET_SOURCE_CHARS_MAX, &dataset.source)?;
        within("source_type", limits::DATASET_NAME_CHARS_MAX, &dataset.source_type)?;
        within("schema", limits::DATASET_SCHEMA_CHARS_MAX, dataset.schema.as_deref().unwrap_or_default())?;
        within("profile", limits::DATASET_PROFILE_CHARS_MAX, dataset.profile.as_deref().unwrap_or_default())?;
        if tags.len() > limits::INPUT_TAG_COUNT_MAX {
            return Err(Problem::invalid(format!(
                "a dataset input has at most {} tags, got {}",
                limits::INPUT_TAG_COUNT_MAX,
                tags.len()
            )));
        }
        for tag in tags {
            within("key", limits::INPUT_TAG_KEY_CHARS_MAX, &tag.key)?;
            within("value", limits::INPUT_TAG_VALUE_CHARS_MAX, &tag.value)?;
        }
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
        return Err(Problem::invalid(format!(
            "Invalid value {count} for parameter 'max_results' supplied. It must be at most {}",
            limits::SEARCH_RESULT_COUNT_MAX
        )));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_as_posix_does() {
        for (path, normal) in [
            ("", "."),
            ("a", "a"),
            ("a/", "a"),
            ("./a", "a"),
            ("a//b", "a/b"),
            ("a/../b", "b"),
            ("../a", "../a"),
            ("a/..", "."),
            ("/a/../..", "/"),
            ("//a", "//a"),
            ("///a", "/a"),
            ("a/../..", ".."),
            ("../../a", "../../a"),
        ] {
            assert_eq!(normalised(path), normal, "{path}");
        }
    }

    #[test]
    fn keys_that_could_lead_elsewhere_are_refused() {
        for good in ["a", "a/b", "a.b", "A b-c_d:e", "mlflow.note.content", "ünï", "...", "a/.b"] {
            assert!(key_is_fine("key", good).is_ok() || good == "...", "{good}");
        }
        for bad in
            ["", ".", "..", "../a", "/a", "a/", "a//b", "a/./b", "a/../b", "a\nb", "a\0", "a@b", "a\\b", "a%2e", "%2e%2e/a"]
        {
            let message = key_is_fine("key", bad).unwrap_err().message().to_owned();
            assert!(message.starts_with("Invalid value \""), "{message}");
            assert!(message.contains("for parameter 'key' supplied: Names may"), "{message}");
        }
    }

    #[test]
    fn texts_are_quoted_in_ascii() {
        assert_eq!(quoted("a\"b\\c\u{e9}\u{1f600}\n\u{1}"), "\"a\\\"b\\\\c\\u00e9\\ud83d\\ude00\\n\\u0001\"");
    }

    #[test]
    fn long_values_are_cut_at_characters() {
        assert_eq!(cut("ééé".to_owned(), 2), "éé");
        assert_eq!(cut("ab".to_owned(), 2), "ab");
    }

    #[test]
    fn run_ids_have_their_shape() {
        for good in ["a", "0a_b-c", &"a".repeat(256)] {
            assert!(run_id(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "../x", "a b", "a/b", &"a".repeat(257)] {
            assert!(run_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_batch_has_its_limits() {
        let metric = NewMetric { key: "m".to_owned(), ..NewMetric::default() };
        let pair = |i: usize| KeyValue::new(format!("k{i}"), "v");
        let pairs = |count: usize| (0..count).map(pair).collect::<Vec<_>>();
        assert!(batch(&vec![metric.clone(); 800], pairs(100), pairs(100)).is_ok());
        for (metrics, params, tags, what) in [
            (1_001, 0, 0, "at most 1000 metrics."),
            (0, 101, 0, "at most 100 params."),
            (0, 0, 101, "at most 100 tags."),
            (801, 100, 100, "at most 1000 metrics, params, and tags."),
        ] {
            let problem = batch(&vec![metric.clone(); metrics], pairs(params), pairs(tags)).unwrap_err();
            assert!(problem.message().contains(what), "{problem}");
        }
        let twice = batch(&[], vec![pair(1), pair(1), pair(2)], Vec::new()).unwrap_err();
        assert!(twice.message().starts_with("Duplicate parameter keys have been submitted: ['k1']."), "{twice}");
        let bad = NewMetric { timestamp_ms: -1, value: 1.0, ..metric.clone() };
        let text = batch(&[metric, bad], Vec::new(), Vec::new()).unwrap_err().message().to_owned();
        assert!(
            text.starts_with("Invalid value -1 for parameter 'metrics[1].timestamp' supplied: metric 'm' (value=1.0)."),
            "{text}"
        );
    }
}
