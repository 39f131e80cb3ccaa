//! How code is started: words without a shell, `{name}` for parameters, and the main entry point of an `MLproject`.

use std::collections::BTreeMap;

use kernel::Problem;
use serde::Deserialize;

use crate::limits::{ENTRY_BYTES_MAX, ENTRY_WORD_COUNT_MAX, PROJECT_BYTES_MAX};
use crate::types::{CodeFile, Project};

/// Programs that an entry may begin with: the executor's Python takes their place.
const PYTHONS: [&str; 2] = ["python", "python3"];
/// Scripts that are looked for where nobody said what to start.
const USUAL_SCRIPTS: [&str; 3] = ["train.py", "main.py", "run.py"];

/// The words of a command: blanks part them, quotes keep them together, a backslash takes the next letter as it is. There is no
/// shell: nothing else means anything.
///
/// # Errors
/// `Invalid` for a quote that is not closed, and over the limits.
pub fn words(text: &str) -> Result<Vec<String>, Problem> {
    if text.len() > ENTRY_BYTES_MAX || text.contains('\0') {
        return Err(Problem::invalid(format!("an entry is at most {ENTRY_BYTES_MAX} bytes of text")));
    }
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some('\''), letter) => word.get_or_insert_default().push(letter),
            (_, '\\') => word.get_or_insert_default().extend(letters.next()),
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(letter);
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err(Problem::invalid("a quote of the entry is not closed"));
    }
    words.extend(word);
    if words.len() > ENTRY_WORD_COUNT_MAX {
        return Err(Problem::invalid(format!("an entry has at most {ENTRY_WORD_COUNT_MAX} words")));
    }
    Ok(words)
}

/// The entry as script and arguments; checked against the snapshot and the parameters.
pub(crate) fn resolve(text: &str, files: &[CodeFile], parameters: &BTreeMap<String, String>) -> Result<Vec<String>, Problem> {
    let mut words = words(text)?;
    if words.first().is_some_and(|first| PYTHONS.contains(&first.as_str())) {
        words.remove(0);
    }
    let script = words.first().ok_or_else(|| Problem::invalid("the entry names no script; give one such as `train.py`"))?;
    let script = script.strip_prefix("./").unwrap_or(script).to_owned();
    if !files.iter().any(|file| file.path == script) {
        return Err(Problem::invalid(format!("the code has no file `{}`", crate::entry::shown(&script))));
    }
    if let Some(first) = words.first_mut() {
        *first = script;
    }
    for word in &words {
        filled(word, parameters)?;
    }
    Ok(words)
}

/// A word with the parameters in their places.
pub(crate) fn filled(word: &str, parameters: &BTreeMap<String, String>) -> Result<String, Problem> {
    let (mut text, mut rest) = (String::new(), word);
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { break };
        let value = parameters.get(name).ok_or_else(|| {
            Problem::invalid(format!("the entry has `{{{}}}`, and there is no such parameter; give it with -p", shown(name)))
        })?;
        text.push_str(before);
        text.push_str(value);
        rest = behind;
    }
    text.push_str(rest);
    Ok(text)
}

/// The script to start where nobody said.
pub(crate) fn usual(source_name: Option<&str>, files: &[CodeFile]) -> Option<String> {
    let has = |path: &str| files.iter().any(|file| file.path == path);
    let named = source_name.and_then(|name| name.rsplit('/').next()).filter(|name| has(name));
    named.or_else(|| USUAL_SCRIPTS.into_iter().find(|name| has(name))).map(quoted)
}

/// A word as [`words`] reads it back.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |letter: char| !letter.is_whitespace() && !matches!(letter, '\'' | '"' | '\\');
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[derive(Deserialize)]
struct ProjectText {
    #[serde(default)]
    entry_points: BTreeMap<String, EntryPoint>,
}

#[derive(Deserialize)]
struct EntryPoint {
    command: String,
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
}

/// `alpha: float`, or `alpha: {type: float, default: 0.1}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Parameter {
    Full { default: Option<serde_json::Value> },
    Type(#[expect(dead_code, reason = "a type says nothing here: the script reads its own words")] String),
}

/// The main entry point of an `MLproject`; none where it has none or cannot be read.
pub(crate) fn project(text: &str) -> Option<Project> {
    if text.len() as u64 > PROJECT_BYTES_MAX {
        return None;
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: 8, max_nodes: 2_000, max_documents: 1, max_aliases: 0, max_anchors: 0 },
    };
    let read: ProjectText = serde_saphyr::from_str_with_options(text, options).ok()?;
    let main = read.entry_points.into_iter().find(|(name, _)| name == "main").map(|(_, main)| main)?;
    let default = |(name, parameter): (String, Parameter)| match parameter {
        Parameter::Full { default: Some(serde_json::Value::String(text)) } => Some((name, text)),
        Parameter::Full { default: Some(value) } => Some((name, value.to_string())),
        Parameter::Full { default: None } | Parameter::Type(_) => None,
    };
    Some(Project { command: main.command, parameters: main.parameters.into_iter().filter_map(default).collect() })
}

/// A client's text for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Vec<CodeFile> {
        paths.iter().map(|path| CodeFile { path: (*path).to_owned(), size_bytes: 1, sha256: String::new() }).collect()
    }

    #[test]
    fn words_are_parted_without_a_shell() {
        let check = |text: &str, expected: &[&str]| assert_eq!(words(text).unwrap(), expected, "{text}");
        check("python train.py  --a 1", &["python", "train.py", "--a", "1"]);
        check("t.py 'a b' \"c 'd'\" e\\ f ''", &["t.py", "a b", "c 'd'", "e f", ""]);
        check("t.py $(id) ; rm *", &["t.py", "$(id)", ";", "rm", "*"]);
        check("", &[]);
        for bad in ["'a", "a \"b", &"x".repeat(5_000), &"a ".repeat(100)] {
            assert!(words(bad).is_err(), "{bad}");
        }
        for word in ["a", "a b", "it's", "\"", "\\", ""] {
            assert_eq!(words(&quoted(word)).unwrap(), [word]);
        }
    }

    #[test]
    fn an_entry_names_a_file_of_the_code_and_parameters_that_there_are() {
        let parameters = BTreeMap::from([("depth".to_owned(), "3 {x}".to_owned())]);
        let code = files(&["train.py", "lib/a.py"]);
        let entry = resolve("python ./train.py --depth={depth}", &code, &parameters).unwrap();
        assert_eq!(entry, ["train.py", "--depth={depth}"]);
        assert_eq!(filled("--depth={depth}", &parameters).unwrap(), "--depth=3 {x}");
        assert_eq!(filled("{", &parameters).unwrap(), "{");
        for bad in ["", "python", "other.py", "../train.py", "/train.py", "train.py {width}", "bash train.py"] {
            assert!(resolve(bad, &code, &parameters).is_err(), "{bad}");
        }
        assert_eq!(usual(Some("/home/ann/train.py"), &code).as_deref(), Some("train.py"));
        assert_eq!(usual(Some("notebook"), &files(&["main.py"])).as_deref(), Some("main.py"));
        assert_eq!(usual(None, &files(&["a.py"])), None);
    }

    #[test]
    fn the_main_entry_point_of_a_project_is_read() {
        let text = "name: x\nentry_points:\n  main:\n    parameters:\n      alpha: {type: float, default: 0.5}\n      n: float\n      kind: {default: big}\n    command: 'python train.py -a {alpha}'\n  other:\n    command: x\n";
        let read = project(text).unwrap();
        assert_eq!(read.command, "python train.py -a {alpha}");
        let kept: Vec<(&str, &str)> = read.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(kept, [("alpha", "0.5"), ("kind", "big")]);
        for none in ["", "name: x", "entry_points: {other: {command: x}}", "[", &"a".repeat(70_000)] {
            assert_eq!(project(none), None);
        }
    }
}
