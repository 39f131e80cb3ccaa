//! JSON and YAML: data, unless it names code.

use std::io;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::container::names;
use crate::context::Context;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

use super::{keras, template};

/// Larger JSON is checked to be JSON, and not walked.
const WALKED_BYTES_MAX: u64 = 32 << 20;
/// Keys of Hugging Face's configurations that name Python code.
const CODE_KEYS: [&str; 2] = ["auto_map", "custom_pipelines"];
/// Packages whose classes configurations of their own name as a target. They are large: what a name does is not known.
const TARGET_PACKAGES: [&str; 8] =
    ["nemo.collections.", "nemo.core.", "torch.nn.", "torch.optim.", "pytorch_lightning.", "lightning.", "ldm.", "sgm."];
/// Packages of base models, whose modules adapters name.
const BASE_PACKAGES: [&str; 3] = ["transformers.models.", "diffusers.models.", "timm.models."];

/// What the parts of a pipeline of diffusers are made by; a library of any other name is imported.
const PIPELINE_LIBRARIES: [&str; 3] = ["diffusers", "transformers", "stable_diffusion"];
/// Keys that choose how attention is computed: a name with a slash is a kernel's, which is fetched and loaded.
const ATTENTION_KEYS: [&str; 2] = ["attn_implementation", "_attn_implementation"];

/// Judges a file that should be JSON, and says what it is; `None` if it is not JSON.
pub(super) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<Option<&'static str>> {
    if window.size() > WALKED_BYTES_MAX {
        let reader = io::BufReader::with_capacity(64 << 10, window.stream());
        return match serde_json::from_reader::<_, IgnoredAny>(reader) {
            Ok(_) => {
                context.find(rules::LIMIT, None, "the JSON is valid, but too long to be looked through for names of code");
                Ok(Some("json"))
            }
            Err(error) if error.is_io() => Err(error.into()),
            Err(_) => Ok(None),
        };
    }
    let bytes = window.bytes(0, window.size())?;
    let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { return Ok(None) };
    // What it seems to be excuses nothing of what it says.
    walk(context, &value);
    Ok(Some(value.as_object().map_or("json", kind)))
}

fn kind(map: &Map<String, Value>) -> &'static str {
    let has = |key: &str| map.contains_key(key);
    if has("class_name") {
        "keras (json)"
    } else if has("learner") && has("version") {
        "xgboost (json)"
    } else if has("oblivious_trees") || has("model_info") {
        "catboost (json)"
    } else if has("tree_info") {
        "lightgbm (json)"
    } else {
        "json"
    }
}

/// A Keras configuration as text, wherever it stands.
pub(super) fn judge_keras(context: &mut Context<'_>, text: &[u8]) {
    match serde_json::from_slice::<Value>(text) {
        Ok(value) => walk(context, &value),
        Err(error) => {
            context.find(rules::FORMAT_MALFORMED, None, format!("the configuration is no JSON: {}", shown(&error.to_string())))
        }
    }
}

/// What a Keras model was trained with: losses, metrics, optimizers. Names without a module are Keras' own, or registered.
pub(super) fn judge_training(context: &mut Context<'_>, text: &[u8]) {
    match serde_json::from_slice::<Value>(text) {
        Ok(value) => walk_modules(context, &value),
        Err(_) => context.find(rules::HDF5_UNREAD, None, "what the model was trained with is no JSON"),
    }
}

fn walk_modules(context: &mut Context<'_>, value: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(class) = map.get("class_name").and_then(Value::as_str)
                && map.get("module").is_some_and(Value::is_string)
            {
                keras::judge(context, class, map);
            }
            map.values().for_each(|inner| walk_modules(context, inner));
        }
        Value::Array(items) => items.iter().for_each(|item| walk_modules(context, item)),
        _ => {}
    }
}

/// Looks at every object in the value. The parser bounds the depth.
pub(super) fn walk(context: &mut Context<'_>, value: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(class) = map.get("class_name").and_then(Value::as_str) {
                keras::judge(context, class, map);
            }
            judge_module(context, map);
            judge_target(context, map);
            for (key, inner) in map {
                judge_entry(context, key, inner);
                walk(context, inner);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(context, item)),
        _ => {}
    }
}

fn judge_entry(context: &mut Context<'_>, key: &str, value: &Value) {
    match (key, value) {
        (key, _) if CODE_KEYS.contains(&key) => {
            context.find(rules::CODE, None, format!("`{key}` names code that comes with the model"));
        }
        ("chat_template", value) => judge_templates(context, value),
        ("weight_map", Value::Object(files)) => judge_weights(context, files),
        // PEFT imports this module for the class of the base model.
        ("parent_library", library) if !library.is_null() => {
            let library = library.as_str().unwrap_or("?? not a text");
            if !BASE_PACKAGES.iter().any(|package| library.starts_with(package)) {
                context.find(rules::CODE, None, format!("`parent_library` is `{}`", shown(library)));
            }
        }
        // Hydra and NeMo call what this names.
        ("_target_", target) => {
            find_target(context, "_target_", target.as_str().unwrap_or("?? not a text"));
        }
        (key, Value::String(kernel)) if ATTENTION_KEYS.contains(&key) && kernel.contains('/') => {
            context.find(rules::CODE, None, format!("`{key}` is the kernel `{}`", shown(kernel)));
        }
        // sentence-transformers imports and calls it; elsewhere it is a word without a dot.
        ("activation_function", Value::String(name))
            if name.contains('.') && !name.starts_with("torch.nn.modules.activation.") =>
        {
            context.find(rules::MODULE_REFERENCE, None, format!("`activation_function` is `{}`", shown(name)));
        }
        _ => {}
    }
}

/// What latent diffusion's configurations (`target` with `params`) and Lightning's (`class_path`) have imported and called.
fn judge_target(context: &mut Context<'_>, map: &Map<String, Value>) {
    let named = |key: &str| map.get(key).and_then(Value::as_str).filter(|name| is_dotted(name));
    if let Some(target) = named("target").filter(|_| map.contains_key("params")) {
        find_target(context, "target", target);
    }
    if let Some(class) = named("class_path") {
        find_target(context, "class_path", class);
    }
    if is_pipeline(context) && map.contains_key("_class_name") {
        judge_pipeline(context, map);
    }
}

fn find_target(context: &mut Context<'_>, key: &str, target: &str) {
    let is_packaged = TARGET_PACKAGES.iter().any(|package| target.starts_with(package));
    let rule = if is_packaged { rules::CODE } else { rules::MODULE_REFERENCE };
    context.find(rule, None, format!("`{key}` is `{}`", shown(target)));
}

/// `module.name`, as Python writes it.
fn is_dotted(name: &str) -> bool {
    let in_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let is_word = |word: &str| word.starts_with(|letter: char| !letter.is_ascii_digit()) && word.chars().all(in_word);
    name.contains('.') && name.split('.').all(is_word)
}

fn is_pipeline(context: &Context<'_>) -> bool {
    context.report.path.rsplit('/').next() == Some("model_index.json")
}

/// The parts of a pipeline of diffusers, each a library and a class of it; a pipeline that is such a pair brings its own code.
fn judge_pipeline(context: &mut Context<'_>, map: &Map<String, Value>) {
    for (part, made_by) in map {
        let Some(library) = made_by.as_array().and_then(|pair| pair.first()).and_then(Value::as_str) else { continue };
        if part == "_class_name" || !PIPELINE_LIBRARIES.contains(&library) {
            context.find(rules::CODE, None, format!("`{}` is made by `{}`", shown(part), shown(library)));
        }
    }
}

/// The files that an index names for tensors: readers put the names behind the model's folder and open them.
fn judge_weights(context: &mut Context<'_>, files: &Map<String, Value>) {
    let problem = |file: &str| names::problem(file).map(|why| format!("`weight_map` names `{}`: {why}", shown(file)));
    if let Some(message) = files.values().filter_map(Value::as_str).find_map(problem) {
        context.find(rules::WEIGHTS_PATH, None, message);
    }
}

/// A template, or a list of named ones.
fn judge_templates(context: &mut Context<'_>, value: &Value) {
    match value {
        Value::String(text) => template::judge(context, 0, text),
        Value::Array(items) => {
            for text in items.iter().map(|item| item.get("template").unwrap_or(item)).filter_map(Value::as_str) {
                template::judge(context, 0, text);
            }
        }
        Value::Object(map) => map.values().filter_map(Value::as_str).for_each(|text| template::judge(context, 0, text)),
        _ => {}
    }
}

/// An entry of sentence-transformers' `modules.json`: its class is imported by its name.
fn judge_module(context: &mut Context<'_>, map: &Map<String, Value>) {
    let is_entry = map.contains_key("idx") && map.contains_key("path");
    let Some(class) = map.get("type").filter(|_| is_entry) else { return };
    if !class.as_str().is_some_and(|class| class.starts_with("sentence_transformers.")) {
        context.find(rules::MODULE_REFERENCE, None, format!("the module `{}`", shown(&class.to_string())));
    }
}
