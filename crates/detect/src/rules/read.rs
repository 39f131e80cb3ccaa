//! Reading files of rules, within limits.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use kernel::Problem;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::own::{Fault, line_of};
use super::{FILE_BYTES_MAX, Level, Looks, Rule, SUPPRESS_S, SigmaRule, correlation, shown};
use crate::detectors::DetectorRule;
use crate::respond::Rung;

/// Documents of one file.
const DOCUMENT_COUNT_MAX: usize = 200;
/// Levels of lists and maps.
const DEPTH_MAX: usize = 12;
/// Values of one file.
const NODE_COUNT_MAX: usize = 20_000;
/// A title, name or id.
const TEXT_CHARS_MAX: usize = 256;
const DESCRIPTION_CHARS_MAX: usize = 4_000;
/// A rule that does not say how bad it is.
const LEVEL: Level = Level::Medium;
/// What is told of a text that is no YAML.
const SYNTAX_CHARS_MAX: usize = 300;
/// Fields that make a finding the same as another.
const SUBJECT_COUNT_MAX: usize = 4;

/// The fields of Sigma that mean something here or are known to mean nothing, and ours. Any other is an error: a misspelt one would be
/// silently without effect.
const FIELDS: [&str; 23] = [
    "title",
    "id",
    "name",
    "related",
    "taxonomy",
    "status",
    "description",
    "license",
    "author",
    "references",
    "date",
    "modified",
    "logsource",
    "detection",
    "correlation",
    "detector",
    "generate",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
    "strongroom",
];

/// What this program adds to Sigma.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ours {
    response: Option<String>,
    suppress: Option<String>,
    subject: Vec<String>,
}

/// The rules of a file.
pub(super) fn file(path: &Path) -> Result<Vec<Rule>, Problem> {
    let shown = path.display();
    let fault = |error: std::io::Error| Problem::invalid(format!("`{shown}` cannot be read: {error}")).because(error);
    let file = std::fs::File::open(path).map_err(fault)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Problem::invalid(format!("`{shown}` has more than {FILE_BYTES_MAX} bytes")));
    }
    let read = String::from_utf8(bytes).map_err(|error| Problem::invalid(format!("`{shown}` is no UTF-8")).because(error))?;
    text(&shown.to_string(), &read)
}

/// The rules of a text; `name` is for messages.
pub(super) fn text(name: &str, text: &str) -> Result<Vec<Rule>, Problem> {
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Problem::invalid(format!("`{name}` has more than {FILE_BYTES_MAX} bytes")));
    }
    let documents = documents(text).map_err(|error| {
        let message: String = error.to_string().chars().filter(|letter| *letter != '\r').take(600).collect();
        Problem::invalid(format!("`{name}` is no YAML that can be taken: {message}"))
    })?;
    if documents.is_empty() {
        return Err(Problem::invalid(format!("`{name}` holds no rule")));
    }
    each(&documents, |at, why| Problem::invalid(format!("`{name}`, rule {}: {why}", at + 1)))
}

/// The rules of a text, or where it has a fault.
pub(super) fn parsed(text: &str) -> Result<Vec<Rule>, Fault> {
    let documents = documents(text).map_err(|error| {
        let (line, column) = error.location().map(|place| (place.line(), place.column())).unwrap_or_default();
        let mut plain = &error;
        while let serde_saphyr::Error::WithSnippet { error, .. } = plain {
            plain = error;
        }
        let words = plain.render_with_formatter(&serde_saphyr::UserMessageFormatter);
        let problem = words.lines().next().unwrap_or_default().chars().take(SYNTAX_CHARS_MAX).collect();
        Fault { line, column, problem }
    })?;
    if documents.is_empty() {
        return Err(Fault { line: 0, column: 0, problem: "it holds no rule".to_owned() });
    }
    each(&documents, |at, why| Fault { line: line_of(text, at, why), column: 0, problem: format!("rule {}: {why}", at + 1) })
}

fn documents(text: &str) -> Result<Vec<Value>, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODE_COUNT_MAX,
            max_events: 2 * NODE_COUNT_MAX,
            max_documents: DOCUMENT_COUNT_MAX,
            max_aliases: 0,
            max_anchors: 0,
            max_merge_keys: 0,
        },
    };
    serde_saphyr::from_multiple_with_options(text, options)
}

/// The rules of documents; what is wrong with one is told as its reader wants it.
fn each<E>(documents: &[Value], told: impl Fn(usize, &str) -> E) -> Result<Vec<Rule>, E> {
    let read = |(at, document): (usize, &Value)| {
        let fields = document.as_object().ok_or_else(|| "a rule is a map of fields".to_owned());
        fields.and_then(rule).map_err(|why| told(at, &why))
    };
    let mut rules = documents.iter().enumerate().map(read).collect::<Result<Vec<Rule>, E>>()?;
    quieten(documents, &mut rules);
    Ok(rules)
}

/// As Sigma has it, rules that a correlation of the same text is made of tell nothing by themselves, unless it says `generate: true`. Here that is so
/// of those that give no level.
fn quieten(documents: &[Value], rules: &mut [Rule]) {
    let (mut parts, mut told) = (BTreeSet::new(), BTreeSet::new());
    for (document, rule) in documents.iter().zip(rules.iter()) {
        let Looks::Correlation(one) = &rule.looks else { continue };
        let generates = one.generates || document.get("generate") == Some(&Value::Bool(true));
        let words = if generates { &mut told } else { &mut parts };
        words.extend(one.refers.iter().cloned());
    }
    for (document, rule) in documents.iter().zip(rules) {
        let is_in = |words: &BTreeSet<String>| words.contains(&rule.name) || words.contains(&rule.id);
        if document.get("level").is_none() && is_in(&parts) && !is_in(&told) {
            rule.level = Level::Informational;
        }
    }
}

/// One rule.
fn rule(fields: &Map<String, Value>) -> Result<Rule, String> {
    if let Some(unknown) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(format!("`{}` is no field of a rule", shown(unknown)));
    }
    let title = needed(fields, "title", TEXT_CHARS_MAX)?;
    let id = given(fields, "id", TEXT_CHARS_MAX)?.unwrap_or_else(|| id_of(fields));
    let is_uuid = id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if !is_uuid {
        return Err(format!("`id` is a UUID, not `{}`", shown(&id)));
    }
    // Sigma has names only where others refer to a rule.
    let name = given(fields, "name", TEXT_CHARS_MAX)?.unwrap_or_else(|| id.clone());
    let description = given(fields, "description", DESCRIPTION_CHARS_MAX)?.unwrap_or_default();
    let level = match given(fields, "level", TEXT_CHARS_MAX)? {
        Some(word) => Level::parse(&word).ok_or("`level` is informational, low, medium, high or critical")?,
        None => LEVEL,
    };
    if fields.get("generate").is_some_and(|value| !value.is_boolean()) {
        return Err("`generate` is true or false".to_owned());
    }
    let ours: Ours = match fields.get("strongroom") {
        Some(value) => Ours::deserialize(value).map_err(|error| format!("`strongroom`: {error}"))?,
        None => Ours::default(),
    };
    let response = match &ours.response {
        Some(word) => Rung::parse(word).ok_or_else(|| format!("`response` is one of {}", Rung::words()))?,
        None => Rung::Note,
    };
    let suppress_s = match &ours.suppress {
        Some(text) => correlation::seconds(text)?,
        None => SUPPRESS_S,
    };
    if ours.subject.len() > SUBJECT_COUNT_MAX || ours.subject.iter().any(|field| field.chars().count() > TEXT_CHARS_MAX) {
        return Err(format!("`subject` names at most {SUBJECT_COUNT_MAX} fields"));
    }
    let looks = match (fields.get("detection"), fields.get("correlation"), fields.get("detector")) {
        (Some(_), None, None) => {
            source(fields)?;
            let sigma = SigmaRule::read(fields)?;
            if let Some(unknown) = sigma.unknown_field() {
                let unknown = shown(unknown);
                return Err(format!(
                    "`{unknown}` is no field of a record, so it would find nothing; an export of the log shows them"
                ));
            }
            if let Some(field) = sigma.field_without_address() {
                return Err(format!(
                    "`{}` holds no address to look for in a network, only one that is hashed under this installation's key, or something else",
                    shown(field)
                ));
            }
            Looks::Sigma(sigma)
        }
        (None, Some(value), None) => Looks::Correlation(correlation::read(value)?),
        (None, None, Some(value)) => {
            source(fields)?;
            Looks::Detector(DetectorRule::read(value)?)
        }
        _ => return Err("a rule has one of `detection`, `correlation` and `detector`".to_owned()),
    };
    Ok(Rule { id, name, title, description, level, response, suppress_s, subject: ours.subject, looks, built_in: false })
}

/// The id of a rule that gives none: a UUID (of version 8) of what it is called and looks for, so that it stays as long as that does.
fn id_of(fields: &Map<String, Value>) -> String {
    let parts = ["title", "name", "logsource", "detection", "correlation", "detector"];
    let words: Vec<String> = parts.iter().map(|key| fields.get(*key).map(Value::to_string).unwrap_or_default()).collect();
    let whole = kernel::hex(&kernel::sha256(words.join("\n").as_bytes()));
    let part = |from: usize, to: usize| whole.get(from..to).unwrap_or_default();
    format!("{}-{}-8{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// A rule for another product would never match, and nobody would be told.
fn source(fields: &Map<String, Value>) -> Result<(), String> {
    let source = fields.get("logsource").and_then(Value::as_object).ok_or("a rule needs a `logsource`")?;
    let word = |key: &str| source.get(key).and_then(Value::as_str);
    if word("product") == Some("strongroom") && word("service").is_none_or(|service| service == "audit") {
        return Ok(());
    }
    Err("its `logsource` is not `product: strongroom`, `service: audit`, so it would find nothing here".to_owned())
}

fn given(fields: &Map<String, Value>, key: &str, chars_max: usize) -> Result<Option<String>, String> {
    let Some(value) = fields.get(key) else { return Ok(None) };
    let text = value.as_str().ok_or_else(|| format!("`{key}` is a text"))?.trim();
    let is_bad =
        text.is_empty() || text.chars().count() > chars_max || text.chars().any(|letter| letter.is_control() && letter != '\n');
    if is_bad {
        return Err(format!("`{key}` has 1 to {chars_max} characters"));
    }
    Ok(Some(text.to_owned()))
}

fn needed(fields: &Map<String, Value>, key: &str, chars_max: usize) -> Result<String, String> {
    given(fields, key, chars_max)?.ok_or_else(|| format!("a rule needs a `{key}`"))
}
