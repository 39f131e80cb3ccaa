//! `requirements.txt`, `conda.yaml`, `python_env.yaml`: where packages come from.

use std::io;

use serde_json::Value;

use crate::context::Context;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

/// Channels that are names of everyone's, not addresses.
const CHANNELS: [&str; 6] = ["defaults", "conda-forge", "nodefaults", "anaconda", "pytorch", "nvidia"];
/// What pip and conda take for a file beside, which they install, and not for a package's name.
const ARCHIVES: [&str; 13] =
    [".whl", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".xz", ".txz", ".lz", ".tlz", ".lzma", ".conda"];
/// What a marker may ask about, and the words between.
const MARKER_WORDS: [&str; 20] = [
    "python_version",
    "python_full_version",
    "os_name",
    "os.name",
    "sys_platform",
    "sys.platform",
    "platform_release",
    "platform_system",
    "platform_version",
    "platform.version",
    "platform_machine",
    "platform.machine",
    "platform_python_implementation",
    "implementation_name",
    "implementation_version",
    "extra",
    "and",
    "or",
    "in",
    "not",
];

pub(super) fn requirements(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    let Some(bytes) = context.whole_text(window)? else { return Ok(()) };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        context.find(rules::REQUIREMENT_UNREAD, None, "it is not UTF-8");
        return Ok(());
    };
    if names_encoding(text) {
        context.find(rules::REQUIREMENT_UNREAD, None, "a comment says that it is in another encoding than UTF-8");
    }
    if text.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t')) {
        context.find(rules::REQUIREMENT_UNREAD, None, "it has control characters");
    }
    for line in joined(text) {
        requirement(context, &line);
    }
    Ok(())
}

/// Whether a file of this name is judged as requirements.
pub(super) fn is_requirements(name: &str) -> bool {
    name.to_lowercase().ends_with(".txt") && (name.contains("requirements") || name.contains("constraints"))
}

/// Whether a file of this name is judged as an environment.
pub(super) fn is_environment(name: &str) -> bool {
    matches!(name, "conda.yaml" | "conda.yml" | "python_env.yaml" | "environment.yml" | "environment.yaml")
}

/// pip takes a file's encoding from a comment in its first two lines, as Python does.
fn names_encoding(text: &str) -> bool {
    let plain = |name: &str| {
        let name = name.trim_start().to_lowercase();
        ["utf-8", "utf8", "ascii", "us-ascii"].iter().any(|plain| name == *plain || name.starts_with(&format!("{plain} ")))
    };
    // The first of several counts for pip; which one that is need not be known.
    let names = |line: &str| {
        let mut told = line.split("coding").skip(1).filter_map(|rest| rest.strip_prefix([':', '=']));
        told.any(|name| !plain(name))
    };
    text.split('\n').take(2).any(|line| line.starts_with('#') && names(line))
}

/// Lines as Python splits them: at more than line feeds.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// Lines joined by backslashes, as pip joins them: a comment ends a line whatever it ends with.
fn joined(text: &str) -> Vec<String> {
    let mut whole = Vec::new();
    let mut open = String::new();
    let text = text.replace("\r\n", "\n");
    for line in lines(&text) {
        let is_comment = line.trim_start().starts_with('#');
        if line.ends_with('\\') && !is_comment {
            open.push_str(line.trim_matches('\\'));
            continue;
        }
        if is_comment {
            open.push(' ');
        }
        open.push_str(line);
        whole.push(std::mem::take(&mut open));
    }
    whole.push(open);
    whole
}

/// A requirement among others of a list; one that has several lines would become several.
fn listed(context: &mut Context<'_>, text: &str) {
    for line in joined(text) {
        requirement(context, &line);
    }
}

/// One line of pip's.
fn requirement(context: &mut Context<'_>, line: &str) {
    // A comment begins at the start, or behind a blank of any kind.
    let comment = line
        .match_indices('#')
        .map(|(at, _)| at)
        .find(|at| line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace)));
    let line = comment.and_then(|at| line.get(..at)).unwrap_or(line).trim();
    if line.is_empty() {
        return;
    }
    let told = shown(line);
    if line.starts_with("-e") || line.starts_with("--editable") {
        return context.find(rules::REQUIREMENT_SOURCE, None, format!("`{told}`"));
    }
    if line.starts_with("-r") || line.starts_with("-c") || line.starts_with("--requirement") || line.starts_with("--constraint") {
        return included(context, line, &told);
    }
    if line.starts_with('-') || line.replace(" --hash=", " ").contains(" -") {
        return context.find(rules::REQUIREMENT_OPTION, None, format!("`{told}`"));
    }
    let is_path = line.starts_with(['.', '/', '~']) || is_archive(line);
    if line.contains("://") || line.contains(" @ ") || line.contains("git+") || is_path || line.contains('\\') {
        return context.find(rules::REQUIREMENT_SOURCE, None, format!("`{told}`"));
    }
    if !is_named(line) {
        context.find(rules::REQUIREMENT_UNREAD, None, format!("`{told}`"));
    }
}

/// Another file of requirements must be one of the set, which is scanned too, by its name as requirements.
fn included(context: &mut Context<'_>, line: &str, told: &str) {
    let name = line.trim_start_matches(['-', 'r', 'c']).trim_start_matches("equirement").trim_start_matches("onstraint");
    let name = name.trim_start_matches(['=', ' ']);
    let folder = context.report.path.rsplit_once('/').map_or_else(String::new, |(folder, _)| format!("{folder}/"));
    let known = crate::container::names::problem(name).is_none() && context.siblings.contains(&format!("{folder}{name}"));
    if !known {
        context.find(rules::REQUIREMENT_UNREAD, None, format!("`{told}` names a file that is not in the set"));
    } else if !is_requirements(name.rsplit('/').next().unwrap_or_default()) {
        let message = format!("`{told}` names a file that is not judged as requirements by its name");
        context.find(rules::REQUIREMENT_UNREAD, None, message);
    }
}

/// Whether what stands before extras, markers and digests is a file's name.
fn is_archive(line: &str) -> bool {
    let package = line.split(" --hash=").next().unwrap_or_default();
    let package = package.split([';', '[']).next().unwrap_or_default().trim_end().to_lowercase();
    ARCHIVES.iter().any(|ending| package.ends_with(ending))
}

/// `name[extra] ==version, … ; marker --hash=…`.
fn is_named(line: &str) -> bool {
    let mut words = line.split(" --hash=sha");
    let requirement = words.next().unwrap_or_default();
    if !words.all(|hash| hash.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == ':' || letter == ' ')) {
        return false;
    }
    let (requirement, marker) = requirement.split_once(';').unwrap_or((requirement, ""));
    let requirement = requirement.trim();
    let in_name = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let name_end = requirement.find(|letter: char| !in_name(letter)).unwrap_or(requirement.len());
    let (name, rest) = requirement.split_at(name_end);
    let rest = rest.trim_start();
    let versions = match rest.strip_prefix('[') {
        None => rest,
        Some(bracketed) => match bracketed.split_once(']') {
            Some((extras, versions)) if extras.chars().all(|letter| in_name(letter) || matches!(letter, ',' | ' ')) => versions,
            _ => return false,
        },
    };
    let in_version = |letter: char| letter.is_ascii_alphanumeric() || " ,.<>=!~*+-_()".contains(letter);
    !name.is_empty() && versions.chars().all(in_version) && is_marker(marker)
}

/// `python_version < "3.9" and sys_platform == 'linux'`: some readers hand the line to a shell, or split it as one does.
fn is_marker(marker: &str) -> bool {
    let mut rest = marker.trim();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' | '\'' => match rest.get(1..).and_then(|inner| inner.find(first)) {
                Some(length) if rest.get(1..=length).is_some_and(is_compared) => length + 2,
                _ => return false,
            },
            '(' | ')' | '<' | '>' | '=' | '!' | '~' | ' ' => 1,
            _ => {
                let in_word = |letter: char| letter.is_ascii_alphanumeric() || "_.".contains(letter);
                let end = rest.find(|letter: char| !in_word(letter)).unwrap_or(rest.len());
                if !rest.get(..end).is_some_and(|word| MARKER_WORDS.contains(&word)) {
                    return false;
                }
                end
            }
        };
        rest = rest.get(end..).unwrap_or_default();
    }
    true
}

/// A text that a marker compares with; one that begins as an option does could be taken for one.
fn is_compared(text: &str) -> bool {
    !text.starts_with('-') && text.chars().all(|letter| letter.is_ascii_alphanumeric() || " ,.<>=!~*+-_".contains(letter))
}

/// conda's and MLflow's environments.
pub(super) fn yaml(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    let Some(bytes) = context.whole_text(window)? else { return Ok(()) };
    match super::mlmodel::yaml(&bytes) {
        Ok(value) => {
            judge_shape(context, &value);
            judge(context, &value);
        }
        Err(problem) => context.find(rules::FORMAT_MALFORMED, None, format!("it is no plain YAML: {}", shown(&problem))),
    }
    Ok(())
}

/// What has another form than conda's and MLflow's environments have is not known to say nothing.
fn judge_shape(context: &mut Context<'_>, value: &Value) {
    for key in ["channels", "dependencies", "build_dependencies"] {
        if let Some(other) = value.get(key).filter(|other| !other.is_array() && !other.is_null()) {
            context.find(rules::REQUIREMENT_UNREAD, None, format!("`{key}` is no list: `{}`", shown(&other.to_string())));
        }
    }
    // MLflow makes an argument and a path of it.
    let is_version = |text: &str| {
        text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-_".contains(letter))
    };
    match value.get("python") {
        None | Some(Value::Null | Value::Number(_)) => {}
        Some(Value::String(version)) if is_version(version) => {}
        Some(other) => {
            context.find(rules::REQUIREMENT_UNREAD, None, format!("`python` is no version: `{}`", shown(&other.to_string())));
        }
    }
}

/// What YAML says of packages, if it does.
pub(super) fn judge(context: &mut Context<'_>, value: &Value) {
    for channel in value.get("channels").and_then(Value::as_array).into_iter().flatten() {
        if !channel.as_str().is_some_and(|channel| CHANNELS.contains(&channel)) {
            context.find(rules::REQUIREMENT_OPTION, None, format!("the channel `{}`", shown(&channel.to_string())));
        }
    }
    for key in ["dependencies", "build_dependencies"] {
        for entry in value.get(key).and_then(Value::as_array).into_iter().flatten() {
            match entry {
                Value::String(line) => conda(context, line),
                Value::Object(map) => {
                    for (installer, lines) in map {
                        installed(context, installer, lines);
                    }
                }
                other => context.find(rules::REQUIREMENT_UNREAD, None, format!("`{}`", shown(&other.to_string()))),
            }
        }
    }
    if let Some(variables) = value.get("variables") {
        context.find(rules::REQUIREMENT_OPTION, None, format!("environment variables: `{}`", shown(&variables.to_string())));
    }
}

/// What another program installs, by its name.
fn installed(context: &mut Context<'_>, installer: &str, lines: &Value) {
    match lines {
        Value::Array(lines) => {
            for line in lines {
                listed(context, line.as_str().unwrap_or("?? not a text"));
            }
        }
        other if installer == "pip" && !other.is_null() => {
            context.find(rules::REQUIREMENT_UNREAD, None, format!("`pip` has no list: `{}`", shown(&other.to_string())));
        }
        _ => {}
    }
}

/// conda's `name=version=build`, with a channel before `::`, or before a namespace between colons, or in brackets.
fn conda(context: &mut Context<'_>, line: &str) {
    let (channel, package) = match line.rsplit_once(':') {
        Some((before, package)) if !before.contains(['=', ' ', '[']) && !line.contains("://") => {
            (before.split(':').next(), package)
        }
        _ => (None, line),
    };
    let bracketed = package.split_once('[').map_or_else(String::new, |(_, inside)| inside.to_lowercase());
    let names_source = ["channel", "url"].iter().any(|key| bracketed.contains(key));
    if names_source || channel.is_some_and(|channel| !CHANNELS.contains(&channel)) {
        return context.find(rules::REQUIREMENT_OPTION, None, format!("`{}`", shown(line)));
    }
    listed(context, package);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::{Limits, Scanner, Verdict};

    fn check(name: &str, text: &str, wanted: Verdict) {
        let names = BTreeSet::from(["m/requirements.txt".to_owned(), "m/deps.txt".to_owned()]);
        let scanner = Scanner::new(Limits::default()).unwrap();
        let report = scanner.scan_among(&format!("m/{name}"), &text.as_bytes().to_vec(), &names).unwrap();
        assert_eq!(report.verdict, wanted, "{text}: {:?}", report.findings);
    }

    #[test]
    fn requirements_name_packages_and_nothing_else() {
        for good in [
            "mlflow==3.17.2\nnumpy>=1.2,<3 # why\n",
            "a[b,c]~=1.0 ; python_version < '3.9'\n",
            "catboost\nnumpy\n",
            "x==1 --hash=sha256:ab\n",
            "a[b, c] (>=1.0,!=1.5.*) ; (python_version>='3.9' and sys_platform != \"win32\") or extra == 'x' --hash=sha256:ab\n",
            "torch===2.1.0+cpu; platform_machine not in 'arm64 aarch64'\n",
        ] {
            check("requirements.txt", good, Verdict::Clean);
        }
        for bad in [
            "--index-url x\n",
            "--extra-index-url=y\nnumpy\n",
            "git+ssh://x/y\n",
            "a @ https://example.org/a.whl\n",
            "./local\n",
            "-e .\n",
            "numpy==1 \\\n --extra-index-url x\n",
            "a.whl\n",
            "a.WHL --hash=sha256:ab\n",
            "a.tar.bz2\n",
            "a.zip[x]\n",
            "a.tgz ; python_version > '3'\n",
            "--trusted-host x\n",
            "numpy # x\u{2028}--index-url x\n",
            "# x\r--extra-index-url x\rnumpy\n",
            "numpy # a\u{c}--extra-index-url x\n",
            "numpy # a\u{85}--extra-index-url x\n",
            "# a \\\n--extra-index-url x\n",
            "-\\\n-extra-index-url x\n",
        ] {
            check("requirements.txt", bad, Verdict::Blocked);
        }
        // Words of a shell where a marker should be; options in quotes, which one way to install splits as a shell does.
        for odd in [
            "numpy; touch x\n",
            "numpy; 'x' == '\"' id\n",
            "numpy; os_name == 'a\n",
            "numpy \"--pre\"\n",
            "numpy; \"--pre\" in os_name\n",
        ] {
            check("requirements.txt", odd, Verdict::Unknown);
        }
        check("requirements.txt", "-r other.txt\n", Verdict::Unknown);
        check("requirements.txt", "# coding: utf-7\nnumpy # +AAo---extra-index-url x\n", Verdict::Unknown);
        check("requirements.txt", "# coding=utf-7 coding:utf-8\nnumpy # +AAo---extra-index-url x\n", Verdict::Unknown);
        check("requirements.txt", "x==1 \\\n    --hash=sha256:ab \\\n    --hash=sha256:cd\n", Verdict::Clean);
        check("requirements.txt", "# -*- coding: utf-8 -*-\nnumpy\t# why\n", Verdict::Clean);
        check("requirements.txt", "-r deps.txt\n", Verdict::Unknown);
        check("deps-requirements.txt", "-r requirements.txt\n", Verdict::Clean);
        check("python_env.yaml", "python: 3.11.7\ndependencies:\n- -r requirements.txt\n", Verdict::Clean);
    }

    #[test]
    fn conda_environments_take_known_channels() {
        let good =
            "channels:\n- conda-forge\ndependencies:\n- python=3.11.7\n- pip<=24\n- pip:\n  - mlflow==3\nname: mlflow-env\n";
        check("conda.yaml", good, Verdict::Clean);
        check("conda.yaml", &good.replace("conda-forge", "https://example.org/c"), Verdict::Blocked);
        check("conda.yaml", &good.replace("mlflow==3", "git+https://example.org/x"), Verdict::Blocked);
        check("conda.yaml", &good.replace("mlflow==3", "\"numpy #\\n--extra-index-url x\""), Verdict::Blocked);
        check("python_env.yaml", "dependencies: [\"numpy #\\n-e git+x\"]\n", Verdict::Blocked);
        let with = |line: &str| good.replace("pip<=24", line);
        for (line, wanted) in [
            ("numpy=1.26.*=py311_0", Verdict::Clean),
            ("conda-forge::numpy>=1.2,<2", Verdict::Clean),
            ("\"numpy[channel=someone]\"", Verdict::Blocked),
            ("\"numpy[version='1.*', channel = 'someone']\"", Verdict::Blocked),
            ("someone::numpy", Verdict::Blocked),
            ("someone:x:numpy", Verdict::Blocked),
            ("./x.conda", Verdict::Blocked),
            ("x.tar.bz2", Verdict::Blocked),
            ("\"numpy[version='1.*']\"", Verdict::Unknown),
        ] {
            check("conda.yaml", &with(line), wanted);
        }
        for odd in [
            "channels: https://example.org/c\ndependencies: [numpy]\n",
            "dependencies: numpy\n",
            "dependencies: [{pip: git+x}]\n",
            "python: ../../x\ndependencies: [numpy]\n",
            "python: [3]\n",
            "python: 3.11\ndependencies: ['numpy \"--pre\"']\n",
        ] {
            check("python_env.yaml", odd, Verdict::Unknown);
        }
        check("python_env.yaml", "python: 3.11\ndependencies:\n- x==1 --hash=sha256:ab\n- pip:\n", Verdict::Clean);
        check("conda.yaml", "x: !!python/object/apply:os.system [id]\n", Verdict::Blocked);
    }
}
