//! MLflow's `MLmodel`: which module loads the model, and whether it brings code.

use std::io;

use serde_json::Value;

use crate::context::Context;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

/// Modules of MLflow's that load a model; what they load is a file beside and is scanned too.
const LOADERS: [&str; 16] = [
    "mlflow.sklearn",
    "mlflow.xgboost",
    "mlflow.lightgbm",
    "mlflow.catboost",
    "mlflow.pytorch",
    "mlflow.tensorflow",
    "mlflow.keras",
    "mlflow.onnx",
    "mlflow.statsmodels",
    "mlflow.pyfunc.model",
    "mlflow.pyfunc",
    "mlflow.prophet",
    "mlflow.spacy",
    "mlflow.pmdarima",
    "mlflow.transformers",
    "mlflow.sentence_transformers",
];
/// Classes that MLflow calls to load a model.
const CLASSES: [&str; 16] = [
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBModel",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRegressor",
    "xgboost.sklearn.XGBRanker",
    "xgboost.sklearn.XGBRFClassifier",
    "xgboost.sklearn.XGBRFRegressor",
    "xgboost.XGBModel",
    "xgboost.XGBClassifier",
    "xgboost.XGBRegressor",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMModel",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "lightgbm.sklearn.LGBMRanker",
    "lightgbm.Booster",
];
/// Modules that MLflow loads a Keras model with.
pub(super) const KERAS_MODULES: [&str; 4] = ["keras", "tensorflow.keras", "tf_keras", "tensorflow.python.keras"];
/// Modules that MLflow unpickles a PyTorch model with; what they unpickle is scanned.
pub(super) const PICKLE_MODULES: [&str; 4] = ["mlflow.pytorch.pickle_module", "pickle", "cloudpickle", "dill"];
/// Keys whose values are imported, and which values they may have.
const IMPORTS: [(&str, &[&str]); 4] = [
    ("loader_module", &LOADERS),
    ("model_class", &CLASSES),
    ("keras_module", &KERAS_MODULES),
    ("pickle_module", &PICKLE_MODULES),
];
/// Kinds of models.
const FLAVORS: [&str; 13] = [
    "python_function",
    "sklearn",
    "xgboost",
    "lightgbm",
    "catboost",
    "pytorch",
    "tensorflow",
    "keras",
    "onnx",
    "statsmodels",
    "prophet",
    "pmdarima",
    "sentence_transformers",
];

pub(super) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    let Some(bytes) = context.whole_text(window)? else { return Ok(()) };
    let value = match yaml(&bytes) {
        Ok(value) => value,
        Err(problem) => {
            context.find(rules::FORMAT_MALFORMED, None, format!("it is no plain YAML: {}", shown(&problem)));
            return Ok(());
        }
    };
    let Some(flavors) = value.get("flavors").and_then(Value::as_object) else {
        context.find(rules::MODEL_FLAVOR, None, "it names no flavors");
        return Ok(());
    };
    for (name, flavor) in flavors {
        if !FLAVORS.contains(&name.as_str()) {
            context.find(rules::MODEL_FLAVOR, None, format!("the flavor `{}`", shown(name)));
        }
        judge(context, flavor);
    }
    Ok(())
}

fn judge(context: &mut Context<'_>, flavor: &Value) {
    for (key, allowed) in IMPORTS {
        match flavor.get(key) {
            Some(Value::String(name)) if allowed.contains(&name.as_str()) => {}
            None | Some(Value::Null) => {}
            Some(name) => context.find(rules::MODEL_LOADER, None, format!("`{key}` is `{}`", shown(&plain(name)))),
        }
    }
    for key in ["code", "code_path", "model_code_path", "streamable_code"] {
        if let Some(path) = flavor.get(key).filter(|path| !path.is_null()) {
            context.find(rules::MODEL_CODE, None, format!("`{key}` is `{}`", shown(&plain(path))));
        }
    }
    if let Some(environments) = flavor.get("env") {
        judge_environments(context, environments);
    }
    judge_paths(context, "", flavor);
}

/// Environments are judged as such by their names.
fn judge_environments(context: &mut Context<'_>, value: &Value) {
    let names: Vec<&Value> = value.as_object().map_or_else(|| vec![value], |map| map.values().collect());
    for name in names.into_iter().filter(|name| !name.is_null()) {
        if !name.as_str().is_some_and(super::environment::is_environment) {
            context.find(rules::REQUIREMENT_UNREAD, None, format!("the environment `{}`", shown(&plain(name))));
        }
    }
}

/// Nothing that a flavor names may lie outside of the model's folder. The parser bounds the depth.
fn judge_paths(context: &mut Context<'_>, key: &str, value: &Value) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| judge_paths(context, key, value)),
        Value::Array(items) => items.iter().for_each(|item| judge_paths(context, key, item)),
        // Where an artifact came from is not read again.
        Value::String(path) if key != "uri" && leads_out(path) => {
            context.find(rules::MODEL_LOADER, None, format!("`{key}` leads out of the model's folder: `{}`", shown(path)));
        }
        _ => {}
    }
}

fn leads_out(path: &str) -> bool {
    let has_drive = path.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && path.as_bytes().get(1) == Some(&b':');
    let is_address =
        path.split_once("://").is_some_and(|(scheme, _)| scheme.chars().all(|letter| letter.is_ascii_alphanumeric()));
    path.starts_with(['/', '~', '\\']) || has_drive || is_address || path.split(['/', '\\']).any(|part| part == "..")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Plain YAML, bounded, without tags that make objects.
pub(super) fn yaml(bytes: &[u8]) -> Result<Value, String> {
    const BYTES_MAX: usize = 4 << 20;
    const NODES_MAX: usize = 200_000;
    const ALIASES_MAX: usize = 200;
    if bytes.len() > BYTES_MAX {
        return Err("it is too long".to_owned());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    if text.contains("!!python") || text.contains("!python") {
        return Err("it has tags that make Python objects".to_owned());
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 64,
            flow_nesting_limit: 64,
            max_nodes: NODES_MAX,
            max_events: 2 * NODES_MAX,
            max_documents: 1,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_total_scalar_bytes: BYTES_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: NODES_MAX,
            max_replay_stack_depth: 4,
            max_alias_expansions_per_anchor: ALIASES_MAX,
        },
        reject_unsupported_tags: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}
