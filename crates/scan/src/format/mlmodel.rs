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
    if let Some(loader) = flavor.get("loader_module") {
        match loader.as_str() {
            Some(loader) if LOADERS.contains(&loader) => {}
            _ => context.find(rules::MODEL_LOADER, None, format!("`loader_module` is `{}`", shown(&plain(loader)))),
        }
    }
    for key in ["code", "code_path", "model_code_path", "streamable_code"] {
        if let Some(path) = flavor.get(key).filter(|path| !path.is_null()) {
            context.find(rules::MODEL_CODE, None, format!("`{key}` is `{}`", shown(&plain(path))));
        }
    }
    for (key, value) in flavor.as_object().into_iter().flatten() {
        if let Some(path) =
            value.as_str().filter(|_| matches!(key.as_str(), "model_path" | "data" | "pickled_model" | "model_data" | "env"))
            && crate::container::names::problem(path).is_some()
        {
            context.find(rules::MODEL_LOADER, None, format!("`{key}` leads out of the model's folder: `{}`", shown(path)));
        }
    }
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
