//! JSON: data, unless it names code. Keras' configurations are judged by their classes.

use std::io;

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::context::Context;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

/// Larger JSON is checked to be JSON, and not walked.
const WALKED_BYTES_MAX: u64 = 32 << 20;
/// Classes of Keras that a configuration may name: `module class`.
const KERAS: &str = include_str!("../../allow/keras.txt");
/// Layers that run code of the file, or load another model.
const UNSAFE_LAYERS: [&str; 4] = ["Lambda", "TFSMLayer", "JaxLayer", "TorchModuleWrapper"];
/// Keys of Hugging Face's configurations that name Python code.
const CODE_KEYS: [&str; 2] = ["auto_map", "custom_pipelines"];

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
    let format = match value.as_object() {
        Some(map) if map.contains_key("learner") && map.contains_key("version") => return Ok(Some("xgboost (json)")),
        Some(map) if map.contains_key("oblivious_trees") || map.contains_key("model_info") => return Ok(Some("catboost (json)")),
        Some(map) if map.contains_key("tree_info") => return Ok(Some("lightgbm (json)")),
        Some(map) if map.contains_key("class_name") => "keras (json)",
        _ => "json",
    };
    walk(context, &value);
    Ok(Some(format))
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

/// Looks at every object in the value. The parser bounds the depth.
fn walk(context: &mut Context<'_>, value: &Value) {
    match value {
        Value::Object(map) => {
            if let Some(class) = map.get("class_name").and_then(Value::as_str) {
                judge_class(context, class, map);
            }
            for (key, inner) in map {
                if CODE_KEYS.contains(&key.as_str()) {
                    context.find(rules::CODE, None, format!("`{key}` names code that comes with the model"));
                }
                if let ("chat_template", Some(text)) = (key.as_str(), inner.as_str()) {
                    super::gguf::judge_template(context, 0, text);
                }
                walk(context, inner);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(context, item)),
        _ => {}
    }
}

fn judge_class(context: &mut Context<'_>, class: &str, map: &serde_json::Map<String, Value>) {
    let module = map.get("module").and_then(Value::as_str);
    let registered = map.get("registered_name").and_then(Value::as_str);
    if UNSAFE_LAYERS.contains(&class) || map.get("config").is_some_and(is_marshalled) {
        return context.find(rules::KERAS_LAYER, None, format!("the class `{}`", shown(class)));
    }
    let name = match class {
        // A function: its name is the configuration.
        "function" => map.get("config").and_then(Value::as_str).unwrap_or(class),
        class => class,
    };
    match module {
        Some(module) if module != "keras" && !module.starts_with("keras.") => {
            let builtin = module == "builtins" && matches!(name, "slice" | "range" | "int" | "float" | "str" | "bool" | "tuple");
            if !builtin {
                context.find(rules::KERAS_MODULE, None, format!("`{}` of the module `{}`", shown(name), shown(module)));
            }
        }
        Some(module) if !is_listed(module, name) => {
            context.find(rules::KERAS_MODULE, None, format!("`{}.{}` is no layer of Keras' own", shown(module), shown(name)));
        }
        // Keras 2 has no modules; its own classes go by their names.
        None if !is_known(name) => {
            let name = registered.unwrap_or(name);
            context.find(rules::KERAS_CLASS, None, format!("the class `{}`", shown(name)));
        }
        _ => {}
    }
}

/// `Lambda` of Keras 2 holds marshalled code as `[code, defaults, closure]` or `{"class_name": "__lambda__"}`.
fn is_marshalled(config: &Value) -> bool {
    config.get("function_type").and_then(Value::as_str) == Some("lambda")
        || config.get("class_name").and_then(Value::as_str) == Some("__lambda__")
}

fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    KERAS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '))
}

fn is_listed(module: &str, name: &str) -> bool {
    lines().any(|(listed, class)| class == name && (listed == module || module == "keras"))
}

fn is_known(name: &str) -> bool {
    lines().any(|(_, class)| class == name)
}
