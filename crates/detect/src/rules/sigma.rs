//! Sigma rules: reading them within bounds, judging events, and an index by verb, so that most records ask for no rule at all.
//!
//! It has the part of Sigma 2 that makes sense for this log: selections (maps, lists of maps, keywords), `*` and `?`, the modifiers
//! `contains`, `startswith`, `endswith`, `all`, `re` (with `i`, `m`, `s`), `cased`, `exists`, `fieldref`, `neq`, `cidr`, `gt`, `gte`, `lt`, `lte`, and
//! conditions of `and`, `or`, `not`, brackets, `1 of`, `all of` with names, patterns and `them`. Any other modifier is an error: it would be silently without effect.
//! Numbers and texts are compared as texts, so that `0` finds 0 however a record has it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use rba::geo::Whence;
use rba::networks::Networks;
use serde_json::{Map, Value};

use super::condition::Condition;
use crate::event::{OF_RECORD, is_field, lookup};

/// A condition.
const CONDITION_CHARS_MAX: usize = 500;
/// Brackets in each other.
const CONDITION_DEPTH_MAX: usize = 10;
/// A value that is compared with.
const VALUE_CHARS_MAX: usize = 512;
/// Values of one rule.
const VALUE_COUNT_MAX: usize = 1_000;
/// Regular expressions of one rule, and their length.
const PATTERN_COUNT_MAX: usize = 10;
const PATTERN_CHARS_MAX: usize = 200;
/// What a compiled regular expression may take.
const PATTERN_BYTES_MAX: usize = 256 * 1024;

/// Which records a rule can match at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only those of these verbs.
    Verbs(BTreeSet<String>),
    /// Only refusals.
    Refusals,
    /// Only those that touch a canary.
    Canaries,
    /// Any.
    All,
}

/// A rule that was read.
#[derive(Debug)]
pub struct SigmaRule {
    selections: BTreeMap<String, Selection>,
    condition: Condition,
    reach: Reach,
    /// Whether nothing matches that `selection` does not hold for.
    needs_selection: bool,
}

/// What a name of the condition stands for: any of these.
#[derive(Debug)]
enum Selection {
    Groups(Vec<Vec<Field>>),
    Keywords(Vec<Pattern>),
}

/// A field of a selection.
#[derive(Debug)]
struct Field {
    name: String,
    tests: Vec<Test>,
    /// Whether all of the tests must hold, and not one of them.
    all: bool,
    /// Whether none may hold.
    differs: bool,
}

#[derive(Debug)]
enum Test {
    Is(Pattern),
    Null,
    Exists(bool),
    Matches(regex::Regex),
    SameAs(String),
    Within(Networks),
    Compares(Comparison, f64),
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A text with `*` and `?`.
#[derive(Debug)]
struct Pattern {
    parts: Vec<Part>,
    cased: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Letter(char),
    One,
    Any,
}

impl SigmaRule {
    /// Reads a rule.
    pub(super) fn read(fields: &Map<String, Value>) -> Result<Self, String> {
        let detection = fields.get("detection").and_then(Value::as_object).ok_or("`detection` is a map")?;
        let text = match detection.get("condition") {
            Some(Value::String(text)) => text.clone(),
            _ => return Err("`condition` is one text".to_owned()),
        };
        check_condition(&text)?;
        let mut bounds = Bounds::default();
        let mut selections = BTreeMap::new();
        for (name, value) in detection.iter().filter(|(name, _)| name.as_str() != "condition") {
            bounds.take(name, value)?;
            let selection = Selection::read(value).map_err(|why| format!("the selection `{}`: {why}", super::shown(name)))?;
            selections.insert(name.clone(), selection);
        }
        let names: BTreeSet<&str> = selections.keys().map(String::as_str).collect();
        let condition = Condition::read(&text, &names)?;
        let needs_selection = condition.needs("selection");
        let reach = detection.get("selection").filter(|_| needs_selection).map_or(Reach::All, reach);
        Ok(Self { selections, condition, reach, needs_selection })
    }

    /// Which records it can match.
    pub(crate) const fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Whether an event of this kind and status could match: what is known of a record before its event is made.
    pub(crate) fn can_match(&self, kind: &str, status: &str) -> bool {
        let Some(Selection::Groups(groups)) = self.selections.get("selection").filter(|_| self.needs_selection) else {
            return true;
        };
        groups.iter().any(|fields| {
            fields.iter().all(|field| match field.name.as_str() {
                "metadata.event_code" => field.can_be(kind),
                "status" => field.can_be(status),
                _ => true,
            })
        })
    }

    /// A field that it asks for and that no event has.
    pub(super) fn unknown_field(&self) -> Option<&str> {
        self.fields().flat_map(Field::names).find(|name| !is_field(name))
    }

    /// A field that is asked for a network and holds no address. What a record says besides is not looked at.
    pub(super) fn field_without_address(&self) -> Option<&str> {
        let is_asked = |field: &&Field| field.tests.iter().any(|test| matches!(test, Test::Within(_)));
        self.fields().filter(is_asked).map(|field| field.name.as_str()).find(|name| !name.starts_with(OF_RECORD))
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        let groups = self.selections.values().filter_map(|selection| match selection {
            Selection::Groups(groups) => Some(groups),
            Selection::Keywords(_) => None,
        });
        groups.flatten().flatten()
    }

    /// Whether an event matches.
    pub(crate) fn matches(&self, event: &Value) -> bool {
        self.condition.holds(&|name| self.selections.get(name).is_some_and(|selection| selection.holds(event)))
    }
}

impl Selection {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Object(fields) => Ok(Self::Groups(vec![group(fields)?])),
            Value::Array(all) if all.first().is_some_and(Value::is_object) => {
                let groups = all.iter().map(|one| group(one.as_object().ok_or("keywords and fields are mixed")?));
                Ok(Self::Groups(groups.collect::<Result<_, String>>()?))
            }
            Value::Array(all) if !all.is_empty() => {
                let words = all.iter().map(|one| text_of(one).ok_or_else(|| "a keyword is a text".to_owned()));
                // A keyword is looked for anywhere in a value.
                let words = words.map(|word| word.map(|word| Pattern::read(&word, false).within(true, true)));
                Ok(Self::Keywords(words.collect::<Result<_, String>>()?))
            }
            _ => Err("it is empty, or neither a map nor a list".to_owned()),
        }
    }

    fn holds(&self, event: &Value) -> bool {
        match self {
            Self::Groups(groups) => groups.iter().any(|fields| fields.iter().all(|field| field.holds(event))),
            Self::Keywords(words) => words.iter().any(|word| anywhere(event, word)),
        }
    }
}

fn anywhere(value: &Value, word: &Pattern) -> bool {
    match value {
        Value::Array(all) => all.iter().any(|one| anywhere(one, word)),
        Value::Object(fields) => fields.values().any(|one| anywhere(one, word)),
        other => text_of(other).is_some_and(|text| word.fits(&text)),
    }
}

fn group(fields: &Map<String, Value>) -> Result<Vec<Field>, String> {
    if fields.is_empty() {
        return Err("it is empty".to_owned());
    }
    fields.iter().map(|(name, value)| Field::read(name, value)).collect()
}

impl Field {
    fn read(key: &str, value: &Value) -> Result<Self, String> {
        let mut words = key.split('|');
        let name = words.next().unwrap_or_default().to_owned();
        let modifiers: Vec<String> = words.map(str::to_ascii_lowercase).collect();
        check_modifiers(&modifiers)?;
        let has = |word: &str| modifiers.iter().any(|one| one == word);
        let values: Vec<&Value> = match value {
            Value::Array(all) => all.iter().collect(),
            one => vec![one],
        };
        if name.is_empty() || values.is_empty() {
            return Err("a field needs a name and a value".to_owned());
        }
        let comparison = [
            ("gt", Comparison::Greater),
            ("gte", Comparison::GreaterOrEqual),
            ("lt", Comparison::Less),
            ("lte", Comparison::LessOrEqual),
        ];
        let comparison = comparison.into_iter().find(|(word, _)| has(word)).map(|(_, comparison)| comparison);
        let test = |value: &Value| -> Result<Test, String> {
            if has("exists") {
                return value.as_bool().map(Test::Exists).ok_or_else(|| "`exists` is true or false".to_owned());
            }
            if let Some(comparison) = comparison {
                let number = value.as_f64().ok_or("what is compared by size is a number")?;
                return Ok(Test::Compares(comparison, number));
            }
            if value.is_null() {
                return Ok(Test::Null);
            }
            let text = text_of(value).ok_or("a value is a text, a number, true, false or null")?;
            if has("re") {
                return pattern(&text, [has("i"), has("m"), has("s")]).map(Test::Matches);
            }
            if has("cidr") {
                return network(&text).map(Test::Within);
            }
            if has("fieldref") {
                return Ok(Test::SameAs(text));
            }
            let (start, end) = (has("contains") || has("endswith"), has("contains") || has("startswith"));
            Ok(Test::Is(Pattern::read(&text, has("cased")).within(start, end)))
        };
        let tests = values.into_iter().map(test).collect::<Result<_, String>>()?;
        Ok(Self { name, tests, all: has("all"), differs: has("neq") })
    }

    /// The fields that it is about: its own, and those that it is compared with.
    fn names(&self) -> impl Iterator<Item = &str> {
        let others = self.tests.iter().filter_map(|test| match test {
            Test::SameAs(other) => Some(other.as_str()),
            _ => None,
        });
        std::iter::once(self.name.as_str()).chain(others)
    }

    /// Whether its tests leave it possible that the field has this text.
    fn can_be(&self, text: &str) -> bool {
        self.differs
            || self.tests.iter().any(|test| match test {
                Test::Is(pattern) => pattern.fits(text),
                _ => true,
            })
    }

    fn holds(&self, event: &Value) -> bool {
        let found = lookup(event, &self.name);
        let holds = |test: &Test| test.holds(found, event);
        let is_found = if self.all { self.tests.iter().all(holds) } else { self.tests.iter().any(holds) };
        is_found != self.differs
    }
}

impl Test {
    fn holds(&self, found: Option<&Value>, event: &Value) -> bool {
        match self {
            Self::Exists(wanted) => found.is_some() == *wanted,
            Self::Null => found.is_none_or(Value::is_null),
            _ => match found {
                // Of a list one is enough.
                Some(Value::Array(all)) => all.iter().any(|one| self.fits(one, event)),
                Some(one) => self.fits(one, event),
                None => false,
            },
        }
    }

    fn fits(&self, value: &Value, event: &Value) -> bool {
        match self {
            Self::Is(pattern) => text_of(value).is_some_and(|text| pattern.fits(&text)),
            Self::Matches(pattern) => text_of(value).is_some_and(|text| pattern.is_match(&text)),
            Self::SameAs(other) => lookup(event, other).and_then(text_of).is_some_and(|other| Some(other) == text_of(value)),
            Self::Within(networks) => {
                let address = text_of(value).and_then(|text| text.parse::<IpAddr>().ok());
                address.is_some_and(|address| networks.contains(address, Whence::default()))
            }
            Self::Compares(comparison, limit) => value.as_f64().is_some_and(|number| match comparison {
                Comparison::Greater => number > *limit,
                Comparison::GreaterOrEqual => number >= *limit,
                Comparison::Less => number < *limit,
                Comparison::LessOrEqual => number <= *limit,
            }),
            Self::Null | Self::Exists(_) => false,
        }
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

impl Pattern {
    /// `\\*` and `\\?` are letters, and so is `\\\\` before one of them.
    fn read(text: &str, cased: bool) -> Self {
        let mut parts = Vec::new();
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let part = match (letter, letters.peek()) {
                ('\\', Some('*' | '?' | '\\')) => Part::Letter(letters.next().unwrap_or(letter)),
                ('*', _) => Part::Any,
                ('?', _) => Part::One,
                _ => Part::Letter(letter),
            };
            match part {
                Part::Letter(letter) if !cased => parts.extend(letter.to_lowercase().map(Part::Letter)),
                other => parts.push(other),
            }
        }
        Self { parts, cased }
    }

    /// Anything may stand before, or behind.
    fn within(mut self, start: bool, end: bool) -> Self {
        if start {
            self.parts.insert(0, Part::Any);
        }
        if end {
            self.parts.push(Part::Any);
        }
        self
    }

    /// Greedy with one way back: time is at most the product of both lengths.
    fn fits(&self, text: &str) -> bool {
        let text: Vec<char> =
            if self.cased { text.chars().collect() } else { text.chars().flat_map(char::to_lowercase).collect() };
        let (mut at, mut part) = (0, 0);
        let mut back: Option<(usize, usize)> = None;
        loop {
            match (self.parts.get(part), text.get(at)) {
                (None, None) => return true,
                (Some(Part::Any), _) => {
                    back = Some((part, at));
                    part += 1;
                    continue;
                }
                (Some(Part::One), Some(_)) => {
                    (at, part) = (at + 1, part + 1);
                    continue;
                }
                (Some(Part::Letter(wanted)), Some(letter)) if wanted == letter => {
                    (at, part) = (at + 1, part + 1);
                    continue;
                }
                _ => {}
            }
            match back {
                Some((any, from)) if from < text.len() => {
                    back = Some((any, from + 1));
                    (at, part) = (from + 1, any + 1);
                }
                _ => return false,
            }
        }
    }
}

/// Whether there are such modifiers, and they mean something together.
fn check_modifiers(modifiers: &[String]) -> Result<(), String> {
    const KNOWN: [&str; 17] = [
        "contains",
        "startswith",
        "endswith",
        "all",
        "re",
        "i",
        "m",
        "s",
        "cased",
        "exists",
        "fieldref",
        "neq",
        "cidr",
        "gt",
        "gte",
        "lt",
        "lte",
    ];
    if let Some(unknown) = modifiers.iter().find(|one| !KNOWN.contains(&one.as_str())) {
        return Err(format!("there is no modifier `{}` here; there are {}", super::shown(unknown), KNOWN.join(", ")));
    }
    let apart = |one: &str, other: &str| Err(format!("`{one}` and `{other}` do not go together: ask for each of them by itself"));
    let words = || modifiers.iter().map(String::as_str);
    let kinds: Vec<&str> = words().filter(|one| !matches!(*one, "all" | "cased" | "neq" | "i" | "m" | "s")).collect();
    if let [one, other, ..] = kinds.as_slice() {
        return apart(one, other);
    }
    let kind = kinds.first().copied().unwrap_or("a plain value");
    if let Some(flag) = words().find(|one| kind != "re" && matches!(*one, "i" | "m" | "s")) {
        return apart(flag, kind);
    }
    let unclear = |one: &&str| matches!(*one, "all" | "exists" | "gt" | "gte" | "lt" | "lte");
    match words().find(unclear) {
        Some(one) if words().any(|other| other == "neq") => apart("neq", one),
        _ => Ok(()),
    }
}

/// An address, or a network such as `192.0.2.0/24`.
fn network(text: &str) -> Result<Networks, String> {
    let is_address = text.split('/').next().is_some_and(|start| start.parse::<IpAddr>().is_ok());
    let network = Networks::parse(text)
        .ok()
        .filter(|_| is_address && !text.contains(|letter: char| letter.is_whitespace() || letter == '#'));
    network.ok_or_else(|| format!("`{}` is not a network such as `192.0.2.0/24` or `2001:db8::/32`", super::shown(text)))
}

/// A regular expression with its flags `i`, `m`, `s`, bounded in what it takes. Its time is linear in the text.
fn pattern(text: &str, [without_case, by_line, over_lines]: [bool; 3]) -> Result<regex::Regex, String> {
    let mut builder = regex::RegexBuilder::new(text);
    builder.case_insensitive(without_case).multi_line(by_line).dot_matches_new_line(over_lines);
    builder.size_limit(PATTERN_BYTES_MAX).build().map_err(|error| {
        let message: String = error.to_string().chars().filter(|letter| !letter.is_control()).take(200).collect();
        format!("a regular expression cannot be taken: {message}")
    })
}

fn check_condition(condition: &str) -> Result<(), String> {
    if condition.chars().count() > CONDITION_CHARS_MAX {
        return Err(format!("`condition` has at most {CONDITION_CHARS_MAX} characters"));
    }
    let mut depth = 0_usize;
    for letter in condition.chars() {
        match letter {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            '|' => return Err("aggregations behind `|` are the old form; write a correlation".to_owned()),
            _ => {}
        }
        if depth > CONDITION_DEPTH_MAX {
            return Err(format!("`condition` has at most {CONDITION_DEPTH_MAX} brackets in each other"));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Bounds {
    value_count: usize,
    pattern_count: usize,
}

impl Bounds {
    fn take(&mut self, key: &str, value: &Value) -> Result<(), String> {
        self.value_count += 1;
        if self.value_count > VALUE_COUNT_MAX {
            return Err(format!("a rule compares with at most {VALUE_COUNT_MAX} values"));
        }
        match value {
            Value::Array(all) => all.iter().try_for_each(|one| self.take(key, one)),
            Value::Object(fields) => fields.iter().try_for_each(|(name, one)| self.take(name, one)),
            Value::String(text) => self.text(key, text),
            _ => Ok(()),
        }
    }

    fn text(&mut self, key: &str, text: &str) -> Result<(), String> {
        if text.chars().count() > VALUE_CHARS_MAX {
            return Err(format!("a value of `{}` has at most {VALUE_CHARS_MAX} characters", super::shown(key)));
        }
        if !key.to_ascii_lowercase().split('|').skip(1).any(|word| word == "re") {
            return Ok(());
        }
        self.pattern_count += 1;
        if self.pattern_count > PATTERN_COUNT_MAX || text.chars().count() > PATTERN_CHARS_MAX {
            return Err(format!(
                "a rule has at most {PATTERN_COUNT_MAX} regular expressions of at most {PATTERN_CHARS_MAX} characters"
            ));
        }
        Ok(())
    }
}

/// What `selection` alone says a record must be.
fn reach(selection: &Value) -> Reach {
    let Value::Object(selection) = selection else { return Reach::All };
    let plain = |text: &str| !text.contains(['*', '?', '\\']);
    let verbs = match selection.get("api.operation") {
        // Sigma compares without case; verbs have none but small letters.
        Some(Value::String(verb)) => Some(vec![verb.to_ascii_lowercase()]),
        Some(Value::Array(all)) => all.iter().map(|one| one.as_str().map(str::to_ascii_lowercase)).collect(),
        _ => None,
    };
    if let Some(verbs) = verbs.filter(|verbs| verbs.iter().all(|verb| plain(verb))) {
        return Reach::Verbs(verbs.into_iter().collect());
    }
    if selection.get("strongroom.canary") == Some(&Value::Bool(true)) {
        return Reach::Canaries;
    }
    match selection.get("metadata.event_code") {
        Some(Value::String(kind)) if kind == "refusal" => Reach::Refusals,
        _ => Reach::All,
    }
}

#[cfg(test)]
mod tests;
