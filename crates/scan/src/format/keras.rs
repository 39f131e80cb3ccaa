//! Keras' configurations: objects with a class, judged by its name and module.

use serde_json::{Map, Value};

use crate::context::Context;
use crate::report::shown;
use crate::rules;

/// Classes of Keras that a configuration may name: `module class`.
const KERAS: &str = include_str!("../../allow/keras.txt");
/// Layers that run code of the file, or load another model.
const UNSAFE_LAYERS: [&str; 5] = ["Lambda", "TFSMLayer", "JaxLayer", "TorchModuleWrapper", "__lambda__"];
/// What Keras itself writes for values that JSON has no form for.
const VALUES: [&str; 6] = ["__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__slice__", "__ellipsis__"];

/// Judges an object that has a `class_name`.
pub(super) fn judge(context: &mut Context<'_>, class: &str, map: &Map<String, Value>) {
    if UNSAFE_LAYERS.contains(&class) || map.get("config").is_some_and(is_marshalled) {
        return context.find(rules::KERAS_LAYER, None, format!("the class `{}`", shown(class)));
    }
    if VALUES.contains(&class) {
        return;
    }
    if let Some(path) = map.get("config").and_then(|config| config.get("vocabulary")).and_then(Value::as_str) {
        let message = format!("`{}` reads its vocabulary from the file `{}`", shown(class), shown(path));
        context.find(rules::KERAS_LAYER, None, message);
    }
    judge_name(context, class, map);
}

fn judge_name(context: &mut Context<'_>, class: &str, map: &Map<String, Value>) {
    let module = map.get("module").and_then(Value::as_str);
    let registered = map.get("registered_name").and_then(Value::as_str);
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
