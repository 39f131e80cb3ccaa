//! Which fields each entity has, under which names, and what they may be compared with.

use kernel::Problem;

use crate::python::{echo, repr_list, repr_set};
use crate::{Comparison, Entity, Field};

pub(crate) const NUMERIC: &[Comparison] =
    &[Comparison::Ne, Comparison::Lt, Comparison::Le, Comparison::Eq, Comparison::Gt, Comparison::Ge];
pub(crate) const STRING: &[Comparison] =
    &[Comparison::Ne, Comparison::Eq, Comparison::ILike, Comparison::In, Comparison::Like, Comparison::NotIn];
pub(crate) const KEYED: &[Comparison] =
    &[Comparison::Ne, Comparison::Eq, Comparison::ILike, Comparison::IsNotNull, Comparison::IsNull, Comparison::Like];
pub(crate) const PLAIN: &[Comparison] = &[Comparison::Ne, Comparison::Eq, Comparison::ILike, Comparison::Like];

const RUN_ATTRIBUTES: &[(&str, &str)] = &[
    ("artifact_uri", "artifact_uri"),
    ("created", "start_time"),
    ("Created", "start_time"),
    ("end_time", "end_time"),
    ("run name", "run_name"),
    ("Run name", "run_name"),
    ("Run Name", "run_name"),
    ("run_id", "run_id"),
    ("run_name", "run_name"),
    ("start_time", "start_time"),
    ("status", "status"),
    ("user_id", "user_id"),
];
const EXPERIMENT_ATTRIBUTES: &[(&str, &str)] =
    &[("creation_time", "creation_time"), ("last_update_time", "last_update_time"), ("name", "name")];
const MODEL_ATTRIBUTES: &[(&str, &str)] = &[("name", "name")];
const VERSION_ATTRIBUTES: &[(&str, &str)] =
    &[("name", "name"), ("run_id", "run_id"), ("source_path", "source_path"), ("version_number", "version_number")];
const LOGGED_MODEL_ATTRIBUTES: &[(&str, &str)] = &[
    ("artifact_location", "artifact_location"),
    ("creation_time", "creation_timestamp"),
    ("creation_timestamp", "creation_timestamp"),
    ("creation_timestamp_ms", "creation_timestamp"),
    ("experiment_id", "experiment_id"),
    ("last_updated_time", "last_updated_timestamp"),
    ("last_updated_timestamp", "last_updated_timestamp"),
    ("last_updated_timestamp_ms", "last_updated_timestamp"),
    ("lifecycle_stage", "lifecycle_stage"),
    ("model_id", "model_id"),
    ("model_type", "model_type"),
    ("name", "name"),
    ("source_run_id", "source_run_id"),
    ("status", "status"),
];
const EVALUATION_ATTRIBUTES: &[(&str, &str)] = &[
    ("created_by", "created_by"),
    ("created_time", "created_time"),
    ("last_update_time", "last_update_time"),
    ("last_updated_by", "last_updated_by"),
    ("name", "name"),
];
const DATASET_KEYS: &[(&str, &str)] = &[("context", "context"), ("digest", "digest"), ("name", "name")];

const RUN_ORDER: &[(&str, &str)] = &[
    ("artifact_uri", "artifact_uri"),
    ("created", "start_time"),
    ("Created", "start_time"),
    ("end_time", "end_time"),
    ("run_id", "run_id"),
    ("run_name", "run_name"),
    ("start_time", "start_time"),
    ("status", "status"),
    ("user_id", "user_id"),
];
const EXPERIMENT_ORDER: &[(&str, &str)] = &[
    ("creation_time", "creation_time"),
    ("experiment_id", "experiment_id"),
    ("last_update_time", "last_update_time"),
    ("name", "name"),
];
const VERSION_ORDER: &[(&str, &str)] = &[
    ("creation_timestamp", "creation_timestamp"),
    ("last_updated_timestamp", "last_updated_timestamp"),
    ("name", "name"),
    ("version_number", "version_number"),
];

const EVALUATION_ORDER: &[(&str, &str)] =
    &[("created_time", "created_time"), ("last_update_time", "last_update_time"), ("name", "name")];

/// Whether a canonical attribute holds a number.
pub(crate) fn is_numeric(entity: Entity, attribute: &str) -> bool {
    match entity {
        Entity::Run => matches!(attribute, "start_time" | "end_time"),
        Entity::Experiment => matches!(attribute, "creation_time" | "last_update_time"),
        Entity::EvaluationDataset => matches!(attribute, "created_time" | "last_update_time"),
        Entity::RegisteredModel => false,
        Entity::ModelVersion => attribute == "version_number",
        Entity::LoggedModel => matches!(attribute, "creation_timestamp" | "last_updated_timestamp"),
    }
}

/// What is looked up: a filter may name other attributes than an order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Filter,
    Order,
}

/// The field behind an identifier as written, such as ``params.`learning rate` ``.
pub(crate) fn field(entity: Entity, identifier: &str, purpose: Purpose) -> Result<Field, Problem> {
    match entity {
        Entity::Run => run_field(identifier, purpose),
        Entity::LoggedModel => logged_model_field(identifier),
        Entity::Experiment | Entity::RegisteredModel | Entity::ModelVersion | Entity::EvaluationDataset => {
            simple_field(entity, identifier, purpose)
        }
    }
}

fn run_field(identifier: &str, purpose: Purpose) -> Result<Field, Problem> {
    let (kind, key) = identifier.split_once('.').unwrap_or(("attribute", identifier));
    let kind = trim_quotes(kind, &['`']);
    let key = unquote(key);
    match kind {
        "metric" | "metrics" => Ok(Field::Metric(key.to_owned())),
        "parameter" | "parameters" | "param" | "params" => Ok(Field::Param(key.to_owned())),
        "tag" | "tags" => Ok(Field::Tag(key.to_owned())),
        "attribute" | "attributes" | "attr" | "run" => {
            let known = if purpose == Purpose::Filter { RUN_ATTRIBUTES } else { RUN_ORDER };
            attribute(known, key).map(Field::Attribute)
        }
        "dataset" | "datasets" => find(DATASET_KEYS, key).map(Field::Dataset).ok_or_else(|| {
            Problem::invalid(format!("Invalid dataset key '{}' specified. Valid keys are '{}'", echo(key), names(DATASET_KEYS)))
        }),
        other => Err(Problem::invalid(format!(
            "Invalid entity type '{}'. Valid values are {}",
            echo(other),
            repr_list(["metric", "parameter", "tag", "attribute", "dataset"])
        ))),
    }
}

fn simple_field(entity: Entity, identifier: &str, purpose: Purpose) -> Result<Field, Problem> {
    let known = match (entity, purpose) {
        (Entity::Experiment, Purpose::Filter) => EXPERIMENT_ATTRIBUTES,
        (Entity::Experiment, Purpose::Order) => EXPERIMENT_ORDER,
        (Entity::EvaluationDataset, Purpose::Filter) => EVALUATION_ATTRIBUTES,
        (Entity::EvaluationDataset, Purpose::Order) => EVALUATION_ORDER,
        (Entity::ModelVersion, Purpose::Filter) => VERSION_ATTRIBUTES,
        (Entity::ModelVersion, Purpose::Order) => VERSION_ORDER,
        _ => MODEL_ATTRIBUTES,
    };
    let (kind, key) = identifier.split_once('.').unwrap_or(("attribute", identifier));
    match kind {
        "attribute" => attribute(known, unquote(key)).map(Field::Attribute),
        "tag" | "tags" => Ok(Field::Tag(unquote(key).to_owned())),
        other => Err(Problem::invalid(format!(
            "Invalid entity type '{}'. Valid entity types are ('attribute', 'tag', 'tags')",
            echo(other)
        ))),
    }
}

fn logged_model_field(identifier: &str) -> Result<Field, Problem> {
    let dotted = identifier
        .split_once('.')
        .filter(|(kind, key)| !kind.is_empty() && !key.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase()));
    let Some((kind, key)) = dotted else {
        return attribute(LOGGED_MODEL_ATTRIBUTES, unquote(identifier)).map(Field::Attribute);
    };
    let key = unquote(key);
    match kind {
        "attributes" => attribute(LOGGED_MODEL_ATTRIBUTES, key).map(Field::Attribute),
        "metrics" => Ok(Field::Metric(key.to_owned())),
        "params" => Ok(Field::Param(key.to_owned())),
        "tags" => Ok(Field::Tag(key.to_owned())),
        other => Err(Problem::invalid(format!(
            "Invalid entity type: '{}'. Expected one of {}.",
            echo(other),
            repr_list(["attributes", "metrics", "params", "tags"])
        ))),
    }
}

pub(crate) fn logged_model_attribute(key: &str) -> Option<&'static str> {
    find(LOGGED_MODEL_ATTRIBUTES, key)
}

fn attribute(known: &'static [(&str, &str)], key: &str) -> Result<&'static str, Problem> {
    find(known, key).ok_or_else(|| {
        Problem::invalid(format!("Invalid attribute key '{}' specified. Valid keys are '{}'", echo(key), names(known)))
    })
}

fn find(known: &'static [(&str, &str)], key: &str) -> Option<&'static str> {
    known.iter().find(|(name, _)| *name == key).map(|(_, canonical)| *canonical)
}

fn names(known: &[(&str, &str)]) -> String {
    let all: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    repr_set(&all)
}

/// Takes one pair of quotes of any kind off a key: `'` or `"` first, then backticks.
pub(crate) fn unquote(key: &str) -> &str {
    trim_quotes(trim_quotes(key, &['\'', '"']), &['`'])
}

pub(crate) fn trim_quotes<'a>(text: &'a str, quotes: &[char]) -> &'a str {
    quotes.iter().find_map(|quote| text.strip_prefix(*quote).and_then(|inside| inside.strip_suffix(*quote))).unwrap_or(text)
}
