//! Reading events: `RunEvent`, `DatasetEvent` and `JobEvent` of OpenLineage 2-0-2.
//!
//! What has the wrong type is refused. Facets are what anybody may add, so those that are not understood are only kept.

use kernel::{Kind, Micros, Problem, limits};
use lineage::claim::{
    About, CodeClaim, DATASET_COUNT_MAX, DataClaim, EVENT_BYTES_MAX, Event, JobClaim, NAME_BYTES_MAX, Named, OWNER_COUNT_MAX,
};
use serde_json::{Map, Value};

use crate::admin::times;

/// Facets of one thing.
const FACET_COUNT_MAX: usize = 256;
/// The types of a run's events.
const EVENT_TYPES: [&str; 6] = ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"];

type Object = Map<String, Value>;

/// One event out of its text.
pub(super) fn event(text: &str) -> Result<Event, Problem> {
    if text.len() > EVENT_BYTES_MAX {
        let message =
            format!("an event may have at most {EVENT_BYTES_MAX} bytes, this one has {}; send less in its facets", text.len());
        return Err(Problem::new(Kind::TooLarge, message));
    }
    // The parser itself stops at a depth of 128, so that what follows cannot recurse further.
    let value: Value =
        serde_json::from_str(text).map_err(|error| Problem::invalid(format!("an event is no valid JSON: {error}")))?;
    if is_deeper(&value, limits::JSON_DEPTH_MAX) {
        return Err(Problem::invalid(format!("an event may nest at most {} levels deep", limits::JSON_DEPTH_MAX)));
    }
    let Value::Object(event) = &value else { return Err(Problem::invalid("an event must be a JSON object")) };
    let at = event_time(&need_text(event, "event", "eventTime")?)?;
    for name in ["producer", "schemaURL"] {
        need_text(event, "event", name)?;
    }
    let (inputs, outputs) = (datasets(event, "inputs")?, datasets(event, "outputs")?);
    if inputs.len() + outputs.len() > DATASET_COUNT_MAX {
        let message = format!("an event may name at most {DATASET_COUNT_MAX} datasets; split it into several");
        return Err(Problem::new(Kind::TooLarge, message));
    }
    Ok(Event { about: about(event)?, event_type: event_type(event)?, at, inputs, outputs, body: text.to_owned() })
}

/// A time without an offset, which some clients send, counts as UTC.
fn event_time(text: &str) -> Result<Micros, Problem> {
    times::parse("eventTime", text).or_else(|problem| {
        let spelt = with_colon(text).unwrap_or_else(|| format!("{text}Z"));
        times::parse("eventTime", &spelt).map_err(|_| problem)
    })
}

/// `+0100` with the colon of RFC 3339: ISO 8601 has it without as well, and Java's and Python's `%z` write it so.
fn with_colon(text: &str) -> Option<String> {
    let (rest, minutes) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let sign = rest.get(rest.len().checked_sub(3)?..)?;
    sign.starts_with(['+', '-']).then(|| format!("{rest}:{minutes}"))
}

fn about(event: &Object) -> Result<About, Problem> {
    let (run, job, data) = (object(event, "run")?, object(event, "job")?, object(event, "dataset")?);
    match (run, job, data) {
        (Some(run), Some(job), None) => {
            Ok(About::Run { run_id: run_id(run, "run.runId")?, parent: parent(run)?, job: self::job(job, "job")? })
        }
        (None, Some(job), None) => Ok(About::Job(self::job(job, "job")?)),
        (None, None, Some(data)) => Ok(About::Dataset(dataset(data, "dataset")?)),
        (Some(_), None, None) => Err(Problem::invalid("an event with a `run` must name its `job` {namespace, name}")),
        (None, None, None) => Err(Problem::invalid("an event must have `run` and `job`, or `job`, or `dataset`")),
        _ => Err(Problem::invalid("an event is of a `run` with its `job`, of a `job` or of a `dataset`, not of several")),
    }
}

fn event_type(event: &Object) -> Result<String, Problem> {
    let Some(given) = text(event, "event", "eventType")? else { return Ok(String::new()) };
    let word = given.to_ascii_uppercase();
    let known = EVENT_TYPES.contains(&word.as_str());
    known.then_some(word).ok_or_else(|| Problem::invalid(format!("`eventType` must be one of {}", EVENT_TYPES.join(", "))))
}

fn run_id(run: &Object, name: &str) -> Result<String, Problem> {
    let id = need_text(run, name.split('.').next().unwrap_or(name), "runId")?.to_ascii_lowercase();
    let dashes = |place: usize| matches!(place, 8 | 13 | 18 | 23);
    let is_uuid = id.len() == 36
        && id.bytes().enumerate().all(|(place, byte)| if dashes(place) { byte == b'-' } else { byte.is_ascii_hexdigit() });
    is_uuid
        .then_some(id)
        .ok_or_else(|| Problem::invalid(format!("`{name}` must be a UUID such as 01941f29-7c00-7000-8000-000000000000")))
}

/// The facet `parent` of a run: `{run: {runId}, job: {namespace, name}}`.
fn parent(run: &Object) -> Result<Option<(String, Option<Named>)>, Problem> {
    let Some(facet) = facet(run, "run", "parent")? else { return Ok(None) };
    let Some(parent) = object(facet, "run")? else { return Ok(None) };
    let job = object(facet, "job")?.map(|job| named(job, "parent.job")).transpose()?;
    Ok(Some((run_id(parent, "parent.run.runId")?, job)))
}

fn job(job: &Object, place: &str) -> Result<JobClaim, Problem> {
    let code = match facet(job, place, "sourceCodeLocation")? {
        Some(facet) => {
            let is_git = text(facet, "sourceCodeLocation", "type")?.is_none_or(|kind| kind.eq_ignore_ascii_case("git"));
            let commit = text(facet, "sourceCodeLocation", "version")?.filter(|version| is_git && !version.is_empty());
            let url = text(facet, "sourceCodeLocation", "repoUrl")?.filter(|url| !url.is_empty());
            let url = url.or(text(facet, "sourceCodeLocation", "url")?);
            Some(CodeClaim { commit: commit.map(storable), url: url.map(storable).filter(|url| !url.is_empty()) })
        }
        None => None,
    };
    Ok(JobClaim { named: named(job, place)?, code, owners: owners(job, place)? })
}

fn datasets(event: &Object, name: &str) -> Result<Vec<DataClaim>, Problem> {
    match event.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() > DATASET_COUNT_MAX => {
            Err(Problem::new(Kind::TooLarge, format!("`{name}` may name at most {DATASET_COUNT_MAX} datasets")))
        }
        Some(Value::Array(items)) => {
            let wrong = || Problem::invalid(format!("each of `{name}` must be an object with `namespace` and `name`"));
            items.iter().map(|item| dataset(item.as_object().ok_or_else(wrong)?, name)).collect()
        }
        Some(_) => Err(Problem::invalid(format!("`{name}` must be a list of datasets"))),
    }
}

fn dataset(data: &Object, place: &str) -> Result<DataClaim, Problem> {
    let version = match facet(data, place, "version")? {
        Some(facet) => text(facet, "version", "datasetVersion")?.map(storable).filter(|version| !version.is_empty()),
        None => None,
    };
    Ok(DataClaim { named: named(data, place)?, version, owners: owners(data, place)? })
}

fn owners(thing: &Object, place: &str) -> Result<Vec<String>, Problem> {
    let Some(facet) = facet(thing, place, "ownership")? else { return Ok(Vec::new()) };
    let Some(Value::Array(owners)) = facet.get("owners") else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for owner in owners.iter().take(OWNER_COUNT_MAX) {
        let Some(owner) = owner.as_object() else { continue };
        names.extend(text(owner, "owners", "name")?.map(storable).filter(|name| !name.is_empty()));
    }
    Ok(names)
}

fn named(thing: &Object, place: &str) -> Result<Named, Problem> {
    let named = Named { namespace: need_text(thing, place, "namespace")?, name: need_text(thing, place, "name")? };
    named.is_sound().then_some(named).ok_or_else(|| {
        Problem::invalid(format!(
            "`namespace` and `name` of `{place}` must have 1 to {NAME_BYTES_MAX} bytes and no control characters"
        ))
    })
}

/// One facet, among at most [`FACET_COUNT_MAX`].
fn facet<'a>(thing: &'a Object, place: &str, name: &str) -> Result<Option<&'a Object>, Problem> {
    let Some(facets) = object(thing, "facets")? else { return Ok(None) };
    if facets.len() > FACET_COUNT_MAX {
        return Err(Problem::new(Kind::TooLarge, format!("`{place}` has more than {FACET_COUNT_MAX} facets")));
    }
    // A facet that is deleted, or of a form of its own, says nothing here.
    Ok(facets.get(name).and_then(Value::as_object))
}

fn object<'a>(parent: &'a Object, name: &str) -> Result<Option<&'a Object>, Problem> {
    match parent.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(Problem::invalid(format!("`{name}` must be an object"))),
    }
}

fn text(parent: &Object, place: &str, name: &str) -> Result<Option<String>, Problem> {
    match parent.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Problem::invalid(format!("`{name}` of `{place}` must be a text"))),
    }
}

fn need_text(parent: &Object, place: &str, name: &str) -> Result<String, Problem> {
    let found = text(parent, place, name)?.filter(|text| !text.is_empty());
    found.ok_or_else(|| Problem::invalid(format!("`{place}` lacks `{name}`, which OpenLineage requires")))
}

/// What a database and a terminal can hold: without control characters.
fn storable(text: String) -> String {
    if text.chars().any(char::is_control) { text.chars().filter(|letter| !letter.is_control()).collect() } else { text }
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(fields) => levels == 0 || fields.values().any(|item| is_deeper(item, levels - 1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run_event() -> Value {
        json!({
            "eventType": "COMPLETE", "eventTime": "2026-01-01T00:00:00.5+01:00", "producer": "https://p", "schemaURL": "https://s",
            "run": {"runId": "01941F29-7c00-7000-8000-000000000000", "facets": {"parent": {
                "run": {"runId": "01941f29-7c00-7000-8000-000000000001"}, "job": {"namespace": "n", "name": "p"}}}},
            "job": {"namespace": "n", "name": "j", "facets": {
                "sourceCodeLocation": {"type": "git", "url": "https://g/x", "version": "abc"},
                "ownership": {"owners": [{"name": "team:ml", "type": "OWNER"}]}}},
            "inputs": [{"namespace": "s3://b", "name": "x", "facets": {"version": {"datasetVersion": "sha256:00"}}}],
            "outputs": [{"namespace": "mlops", "name": "models:/m/1"}],
        })
    }

    #[test]
    fn an_event_of_a_run_is_read() {
        let event = event(&run_event().to_string()).unwrap();
        assert_eq!((event.event_type.as_str(), event.at.0), ("COMPLETE", 1_767_222_000_500_000));
        let About::Run { run_id, parent, job } = &event.about else { panic!("{event:?}") };
        assert_eq!(run_id, "01941f29-7c00-7000-8000-000000000000");
        assert_eq!(parent.as_ref().unwrap().1.as_ref().unwrap().name, "p");
        assert_eq!(job.code.as_ref().unwrap().commit.as_deref(), Some("abc"));
        assert_eq!(job.owners, ["team:ml"]);
        assert_eq!(event.inputs.first().unwrap().version.as_deref(), Some("sha256:00"));
        assert_eq!(event.outputs.first().unwrap().named.joined(), "mlops\u{1f}models:/m/1");
    }

    #[test]
    fn times_are_read_as_clients_write_them() {
        for (text, at) in [
            ("2026-01-01T00:00:00Z", Some(1_767_225_600_000_000)),
            ("2026-01-01T00:00:00", Some(1_767_225_600_000_000)),
            ("2026-01-01T00:00:00+0000", Some(1_767_225_600_000_000)),
            ("2026-01-01T00:00:00.5+0100", Some(1_767_222_000_500_000)),
            ("2026-01-01T00:00:00-0030", Some(1_767_227_400_000_000)),
            ("2026-01-01T00:00:00+2500", None),
            ("2026-01-01T00:00:00+00é", None),
            ("+0", None),
            ("", None),
        ] {
            assert_eq!(event_time(text).ok().map(|at| at.0), at, "{text}");
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let mut deep = json!(0);
        for _ in 0..40 {
            deep = json!([deep]);
        }
        let cases: Vec<(&str, Value, &str)> = vec![
            ("eventTime", Value::Null, "lacks `eventTime`"),
            ("eventTime", json!("yesterday"), "must be a time"),
            ("eventTime", json!(5), "must be a text"),
            ("producer", Value::Null, "lacks `producer`"),
            ("schemaURL", Value::Null, "lacks `schemaURL`"),
            ("eventType", json!("DONE"), "must be one of START"),
            ("run", json!({"runId": "x"}), "must be a UUID"),
            ("run", json!([]), "`run` must be an object"),
            ("job", Value::Null, "must name its `job`"),
            ("job", json!({"namespace": "n"}), "`job` lacks `name`"),
            ("job", json!({"namespace": "n", "name": "a\u{0}b"}), "no control characters"),
            ("job", json!({"namespace": "n", "name": "x".repeat(3_000)}), "1 to 2048 bytes"),
            ("inputs", json!({}), "must be a list"),
            ("inputs", json!([1]), "must be an object"),
            ("inputs", json!(vec![json!({"namespace": "n", "name": "x"}); 1_001]), "at most 1000"),
            ("extra", deep, "levels deep"),
            ("dataset", json!({"namespace": "n", "name": "x"}), "not of several"),
        ];
        for (name, value, said) in cases {
            let mut bad = run_event();
            bad[name] = value;
            let problem = event(&bad.to_string()).unwrap_err();
            assert!(problem.message().contains(said), "{name}: {}", problem.message());
        }
        assert!(event("[]").is_err() && event("{").is_err());
        assert!(event(&format!("{{\"a\": \"{}\"}}", "x".repeat(EVENT_BYTES_MAX))).is_err_and(|p| p.kind() == Kind::TooLarge));
    }
}
