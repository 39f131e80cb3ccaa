//! A contract as its writer sees it: what is wrong and odd in it, with the line where it stands, and what it holds.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::model::{Contract, Property, SchemaObject};
use crate::{ContractError, Issue, yaml};

/// A fault or a note with its place; a line of 0 is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The line, from 1.
    pub line: u64,
    /// The character in the line, from 1.
    pub column: u64,
    /// The way to it; empty where the text is no YAML.
    pub at: String,
    /// What is wrong and what to write instead.
    pub problem: String,
}

/// What a text says as a contract.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lint {
    /// The contract, if it can be used.
    pub contract: Option<Contract>,
    /// Why it cannot.
    pub faults: Vec<Placed>,
    /// What was kept but means nothing, or means something else than elsewhere.
    pub warnings: Vec<Placed>,
}

/// Reads a text as a contract and says of each fault where it stands.
#[must_use]
pub fn lint(text: &str) -> Lint {
    let place = |issue: Issue, outline: Option<&Node>| {
        let (line, column) = outline.and_then(|node| node.find(&issue.at)).unwrap_or_default();
        Placed { line, column, at: issue.at, problem: issue.problem }
    };
    match Contract::from_yaml(text) {
        Ok(reading) => {
            let outline = if reading.warnings.is_empty() { None } else { outline(text) };
            let warnings = reading.warnings.into_iter().map(|issue| place(issue, outline.as_ref())).collect();
            Lint { contract: Some(reading.contract), faults: Vec::new(), warnings }
        }
        Err(ContractError::Invalid(issues)) => {
            let outline = outline(text);
            Lint { faults: issues.into_iter().map(|issue| place(issue, outline.as_ref())).collect(), ..Lint::default() }
        }
        Err(ContractError::Syntax(_)) => {
            let (line, column, problem) = yaml::fault(text).unwrap_or_default();
            Lint { faults: vec![Placed { line, column, at: String::new(), problem }], ..Lint::default() }
        }
        Err(other) => {
            let fault = Placed { line: 0, column: 0, at: String::new(), problem: other.to_string() };
            Lint { faults: vec![fault], ..Lint::default() }
        }
    }
}

impl SchemaObject {
    /// Rules that its writer set: of the table and its columns, types and keys among them.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        let columns = self.properties.iter().map(Property::rule_count);
        columns.fold(self.quality.len().saturating_add(self.relationships.len()), usize::saturating_add)
    }
}

impl Property {
    fn rule_count(&self) -> usize {
        let own =
            [self.logical_type.is_some(), self.required == Some(true), self.unique == Some(true), self.primary_key == Some(true)];
        let own = own.into_iter().filter(|is| *is).count();
        let inner = self.properties.iter().chain(self.items.as_deref()).map(Self::rule_count);
        let all = inner.fold(own, usize::saturating_add);
        all.saturating_add(self.quality.len()).saturating_add(self.relationships.len())
    }
}

fn outline(text: &str) -> Option<Node> {
    yaml::bounded::<Node>(text).ok()
}

/// A part of the text, with where it begins.
struct Node {
    line: u64,
    column: u64,
    form: Form,
}

enum Form {
    Map(Vec<(String, Node)>),
    List(Vec<Node>),
    Text(String),
    Other,
}

impl Node {
    /// Where the way `at` leads, as far as it can be followed: names of keys, of elements that are called so, and places in lists.
    fn find(&self, at: &str) -> Option<(u64, u64)> {
        let found = (self.line > 0).then_some((self.line, self.column));
        if at.is_empty() {
            return found;
        }
        let (further, rest) = self.step(at).map_or((None, at), |(node, rest)| (Some(node), rest));
        further.and_then(|node| node.find(rest)).or(found)
    }

    /// The next part of the way, the longest name that fits: names may hold dots.
    fn step<'a>(&self, at: &'a str) -> Option<(&Self, &'a str)> {
        match &self.form {
            Form::Map(entries) => {
                let own = entries.iter().filter_map(|(key, node)| Some((node, after(at, key)?)));
                let listed = entries
                    .iter()
                    .filter(|(key, _)| matches!(key.as_str(), "properties" | "items" | "quality" | "relationships"));
                let named = listed.filter_map(|(_, list)| list.step(at));
                own.chain(named).min_by_key(|(_, rest)| rest.len())
            }
            Form::List(all) => {
                if let Some((place, rest)) = at.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
                    let node = place.parse().ok().and_then(|place: usize| all.get(place))?;
                    return Some((node, rest.strip_prefix('.').unwrap_or(rest)));
                }
                let named = all.iter().filter_map(|node| Some((node, after(at, node.name()?)?)));
                named.min_by_key(|(_, rest)| rest.len())
            }
            Form::Text(_) | Form::Other => None,
        }
    }

    fn name(&self) -> Option<&str> {
        let Form::Map(entries) = &self.form else { return None };
        let named = entries.iter().find(|(key, _)| matches!(key.as_str(), "name" | "property"));
        named.and_then(|(_, node)| if let Form::Text(name) = &node.form { Some(name.as_str()) } else { None })
    }
}

/// What is left of a way behind `name`.
fn after<'a>(at: &'a str, name: &str) -> Option<&'a str> {
    let rest = at.strip_prefix(name).filter(|_| !name.is_empty())?;
    match rest.chars().next() {
        None | Some('[') => Some(rest),
        Some('.') => rest.strip_prefix('.'),
        Some(_) => None,
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Form>::deserialize(deserializer)?;
        Ok(Self { line: referenced.line(), column: referenced.column(), form: value })
    }
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Forms)
    }
}

struct Forms;

impl<'de> Visitor<'de> for Forms {
    type Value = Form;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Form, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = map.next_entry::<String, Node>()? {
            all.push(entry);
        }
        Ok(Form::Map(all))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Form, A::Error> {
        let mut all = Vec::new();
        while let Some(node) = list.next_element::<Node>()? {
            all.push(node);
        }
        Ok(Form::List(all))
    }

    fn visit_str<E>(self, text: &str) -> Result<Form, E> {
        Ok(Form::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Form, E> {
        Ok(Form::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Form, E> {
        Ok(Form::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Form, E> {
        Ok(Form::Other)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Form, E> {
        Ok(Form::Other)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Form, E> {
        Ok(Form::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Form, E> {
        Ok(Form::Other)
    }

    fn visit_unit<E>(self) -> Result<Form, E> {
        Ok(Form::Other)
    }

    fn visit_none<E>(self) -> Result<Form, E> {
        Ok(Form::Other)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Form, D::Error> {
        Form::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: a\nversion: 1.0.0\nstatus: active\n";

    fn check(body: &str, faults: &[(u64, &str)], warnings: &[(u64, &str)]) {
        let found = lint(&format!("{HEAD}{body}"));
        let places = |all: &[Placed]| all.iter().map(|one| (one.line, one.at.clone())).collect::<Vec<_>>();
        let owned = |all: &[(u64, &str)]| all.iter().map(|(line, at)| (*line, (*at).to_owned())).collect::<Vec<_>>();
        assert_eq!((places(&found.faults), places(&found.warnings)), (owned(faults), owned(warnings)), "{found:?}");
        assert_eq!(found.contract.is_some(), faults.is_empty());
    }

    #[test]
    fn each_fault_and_note_has_its_line() {
        check("schema:\n- name: t\n  colour: red\n", &[], &[(8, "schema.t.colour")]);
        check("colour: blue\n", &[], &[(6, "colour")]);
        let body = "schema:\n- name: a.b\n  properties:\n  - name: x\n    logicalType: string\n  - name: x.y\n    quality:\n    - metric: rowCount\n      \
             mustBe: 1\n    - metric: invalidValues\n      mustBe: 0\n      arguments: {pattern: '['}\n";
        check(body, &[(13, "schema.a.b.x.y.quality[0]"), (15, "schema.a.b.x.y.quality[1]")], &[]);
        check("schema:\n- name: t\n- name: t\n", &[(7, "schema")], &[]);
        check(
            "schema:\n- name: t\n  properties:\n  - name: a\n    logicalTypeOptions:\n      pattern: '['\n",
            &[(11, "schema.t.a.logicalTypeOptions.pattern")],
            &[],
        );
    }

    #[test]
    fn what_is_no_yaml_or_has_a_wrong_type_has_its_line_too() {
        for (text, line) in [("id: [1,\nkind: x\n", 2), ("apiVersion: v3.1.0\nschema: 5\n", 2), ("a: b\n\tc: d\n", 2)] {
            let found = lint(text);
            assert!(found.faults.len() == 1 && found.faults[0].line >= 1 && found.faults[0].line <= line + 1, "{found:?}");
            assert!(!found.faults[0].problem.contains('\n'), "{found:?}");
        }
        assert!(lint("").faults.len() == 1 && lint("- 1").contract.is_none());
    }

    #[test]
    fn rules_are_counted() {
        let found = lint(&format!(
            "{HEAD}schema:\n- name: t\n  quality:\n  - {{metric: rowCount, mustBeGreaterThan: 0}}\n  properties:\n  - {{name: a, logicalType: integer, required: true}}\n"
        ));
        assert_eq!(found.contract.unwrap().schema[0].rule_count(), 3);
    }
}
