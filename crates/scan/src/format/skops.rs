//! skops: `schema.json` says which types are made. All of them must stand on an allow-list.

use std::collections::BTreeSet;
use std::io;

use serde_json::Value;

use crate::context::Context;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

/// Types that skops' own loaders make of plain data.
const OWN: [&str; 14] = [
    "builtins.NoneType",
    "builtins.str",
    "builtins.int",
    "builtins.float",
    "builtins.bool",
    "builtins.dict",
    "builtins.list",
    "builtins.tuple",
    "builtins.set",
    "builtins.frozenset",
    "builtins.bytes",
    "builtins.bytearray",
    "builtins.slice",
    "builtins.type",
];
const FINDINGS_MAX: usize = 32;

pub(super) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    let Some(bytes) = context.whole_text(window)? else { return Ok(()) };
    let Ok(value) = serde_json::from_slice::<Value>(&bytes) else {
        context.find(rules::FORMAT_MALFORMED, 0, "the schema is no JSON");
        return Ok(());
    };
    let mut types = BTreeSet::new();
    collect(&value, &mut types);
    let allow = context.scanner.allow_list();
    let odd: Vec<&String> =
        types.iter().filter(|name| !OWN.contains(&name.as_str()) && !allow.has_dotted(name)).take(FINDINGS_MAX).collect();
    for name in odd {
        context.find(rules::SKOPS_TYPE, None, format!("the type `{}`", shown(name)));
    }
    Ok(())
}

fn collect(value: &Value, types: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let text = |key: &str| map.get(key).and_then(Value::as_str);
            if let (Some(module), Some(class)) = (text("__module__"), text("__class__")) {
                // Functions and types are values: what is meant stands in the content.
                if !matches!(text("__loader__"), Some("FunctionNode" | "TypeNode" | "MethodNode")) {
                    types.insert(format!("{module}.{class}"));
                }
            }
            if let (Some(module), Some(function)) = (text("module_path"), text("function")) {
                types.insert(format!("{module}.{function}"));
            }
            if matches!(text("__loader__"), Some("MethodNode" | "OperatorFuncNode" | "PartialNode")) {
                types.insert(format!("skops.{}", text("__loader__").unwrap_or_default()));
            }
            if text("__loader__") == Some("TypeNode")
                && let Some(Value::Object(content)) = map.get("content")
                && let (Some(Value::String(module)), Some(Value::String(class))) =
                    (content.get("__module__"), content.get("__class__"))
            {
                types.insert(format!("{module}.{class}"));
            }
            map.values().for_each(|inner| collect(inner, types));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, types)),
        _ => {}
    }
}
