//! Texts: by their names, what a reader does with them. A text is clean only if nothing runs it.

use std::io;

use crate::context::Context;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

use super::{config, environment, mlmodel, template};

/// Texts that are only read by people or as plain data.
const PLAIN: [&str; 8] = ["md", "txt", "csv", "tsv", "rst", "license", "gitattributes", "gitignore"];
/// Texts that are programs.
const PROGRAMS: [&str; 12] = ["py", "pyi", "ipynb", "sh", "bat", "ps1", "js", "r", "jl", "rb", "pl", "lua"];
const LIGHTGBM: &[u8] = b"tree\nversion=v";

/// Judges a text, and says what it is; `None` if it is none that is known.
pub(super) fn look(context: &mut Context<'_>, window: Window<'_>, head: &[u8]) -> io::Result<Option<&'static str>> {
    let path = context.name().to_owned();
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit('.').next().unwrap_or_default().to_lowercase();
    // What a name is read as comes first: YAML can be written as JSON.
    if let Some(format) = named(context, window, name)? {
        return Ok(Some(format));
    }
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
    if matches!(first, Some(b'{' | b'[' | b'"'))
        && let Some(format) = config::look(context, window)?
    {
        if extension == "ipynb" {
            context.find(rules::CODE, None, "a notebook");
        }
        return Ok(Some(format));
    }
    if head.starts_with(LIGHTGBM) {
        return lightgbm(context, window).map(Some);
    }
    let format = match (name, extension.as_str()) {
        (_, extension) if PROGRAMS.contains(&extension) => {
            context.find(rules::CODE, None, format!("`{}`", shown(name)));
            "program"
        }
        (_, "jinja" | "jinja2") => {
            let Some(bytes) = context.whole_text(window)? else { return Ok(Some("template")) };
            let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(None) };
            template::judge(context, 0, text);
            "template"
        }
        ("LICENSE" | "README" | "NOTICE", _) => return plain(context, window),
        (_, extension) if PLAIN.contains(&extension) => return plain(context, window),
        _ => return Ok(None),
    };
    Ok(Some(format))
}

/// Files that a reader looks for by their names.
fn named(context: &mut Context<'_>, window: Window<'_>, name: &str) -> io::Result<Option<&'static str>> {
    let format = match name {
        "MLmodel" => {
            mlmodel::look(context, window)?;
            "mlmodel"
        }
        name if environment::is_environment(name) => {
            environment::yaml(context, window)?;
            "environment"
        }
        name if environment::is_requirements(name) => {
            environment::requirements(context, window)?;
            "requirements"
        }
        name if matches!(name.to_lowercase().rsplit_once('.'), Some((_, "yaml" | "yml"))) => {
            yaml(context, window)?;
            "yaml"
        }
        // MLflow imports the modules that these name.
        "keras_module.txt" => {
            module_name(context, window, &mlmodel::KERAS_MODULES)?;
            "module name"
        }
        "pickle_module_info.txt" => {
            module_name(context, window, &mlmodel::PICKLE_MODULES)?;
            "module name"
        }
        _ => return Ok(None),
    };
    Ok(Some(format))
}

/// YAML of any kind: an environment, whatever it is called, or a configuration.
fn yaml(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    let Some(bytes) = context.whole_text(window)? else { return Ok(()) };
    match mlmodel::yaml(&bytes) {
        Ok(value) => {
            if value.get("dependencies").is_some_and(serde_json::Value::is_array) {
                environment::judge(context, &value);
            }
            config::walk(context, &value);
        }
        Err(problem) => context.find(rules::FORMAT_MALFORMED, None, format!("it is no plain YAML: {}", shown(&problem))),
    }
    Ok(())
}

fn module_name(context: &mut Context<'_>, window: Window<'_>, allowed: &[&str]) -> io::Result<()> {
    const NAME_BYTES_MAX: u64 = 256;
    let bytes = window.bytes(0, NAME_BYTES_MAX + 1)?;
    let name = String::from_utf8_lossy(&bytes);
    if !allowed.contains(&name.trim_end()) {
        context.find(rules::MODEL_LOADER, 0, format!("the module `{}`", shown(&name)));
    }
    Ok(())
}

fn plain(context: &mut Context<'_>, window: Window<'_>) -> io::Result<Option<&'static str>> {
    Ok(is_plain(context, window)?.then_some("text"))
}

/// UTF-8 without control characters, to the end.
fn is_plain(context: &mut Context<'_>, window: Window<'_>) -> io::Result<bool> {
    let Some(bytes) = context.whole_text(window)? else { return Ok(true) };
    let control = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t' | '\u{c}');
    let text = std::str::from_utf8(&bytes);
    Ok(text.is_ok_and(|text| !text.starts_with("#!") && !text.contains(control)))
}

fn lightgbm(context: &mut Context<'_>, window: Window<'_>) -> io::Result<&'static str> {
    if !is_plain(context, window)? {
        context.find(rules::FORMAT_MALFORMED, None, "the model has bytes that are no text");
    } else if window.size() <= crate::limits::TEXT_BYTES_MAX {
        let bytes = window.bytes(0, window.size())?;
        if memchr::memmem::find(&bytes, b"\nend of trees").is_none() {
            context.find(rules::FORMAT_MALFORMED, None, "the model has no end of its trees");
        }
    }
    Ok("lightgbm")
}
