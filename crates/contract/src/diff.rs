//! What changed between two contracts, and whether it breaks who relies on the old one.
//!
//! A change breaks a reader if data that hold to the new contract may not hold to the old one, or lack what it had.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{Contract, Property, SchemaObject};
use crate::quality::Quality;

/// What a change does to readers of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// They may no longer rely on what they relied on.
    Breaking,
    /// They may go on; the data's maker must hold to more, or something was added.
    NonBreaking,
    /// Only words changed.
    Note,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The way to it, such as `orders.amount.minimum`.
    pub at: String,
    /// What it does to readers.
    pub effect: Effect,
    /// What was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// The changes from one contract to another, in the old one's order, then what is new.
#[must_use]
pub fn diff(old: &Contract, new: &Contract) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    for (at, before, after) in [
        ("id", Some(&old.id), Some(&new.id)),
        ("version", Some(&old.version), Some(&new.version)),
        ("status", Some(&old.status), Some(&new.status)),
        ("name", old.name.as_ref(), new.name.as_ref()),
    ] {
        changes.value(at, before.map(String::as_str), after.map(String::as_str), Effect::Note);
    }
    for object in &old.schema {
        match new.schema.iter().find(|other| other.name == object.name) {
            Some(other) => changes.object(object, other),
            None => changes.add(&object.name, Effect::Breaking, Some("a table"), None),
        }
    }
    for object in new.schema.iter().filter(|object| !old.schema.iter().any(|other| other.name == object.name)) {
        changes.add(&object.name, Effect::NonBreaking, None, Some("a table"));
    }
    changes.service(old, new);
    changes.0
}

struct Changes(Vec<Change>);

impl Changes {
    fn add(&mut self, at: &str, effect: Effect, before: Option<&str>, after: Option<&str>) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        self.0.push(Change { at: at.to_owned(), effect, before: owned(before), after: owned(after) });
    }

    fn value(&mut self, at: &str, before: Option<&str>, after: Option<&str>, effect: Effect) {
        if before != after {
            self.add(at, effect, before, after);
        }
    }

    fn object(&mut self, old: &SchemaObject, new: &SchemaObject) {
        let at = &old.name;
        self.value(&format!("{at}.physicalName"), Some(old.stored_name()), Some(new.stored_name()), Effect::Breaking);
        self.properties(at, &old.properties, &new.properties);
        self.primary_key(at, old, new);
        self.rules(at, &old.quality, &new.quality);
        let relations = |object: &SchemaObject| object.relationships.iter().map(shown).collect::<BTreeSet<_>>();
        self.set(&format!("{at}.relationships"), &relations(old), &relations(new));
    }

    fn properties(&mut self, at: &str, old: &[Property], new: &[Property]) {
        for property in old {
            let at = format!("{at}.{}", property.name);
            match new.iter().find(|other| other.name == property.name) {
                Some(other) => self.property(&at, property, other),
                None => self.add(&at, Effect::Breaking, Some("a column"), None),
            }
        }
        for property in new.iter().filter(|property| !old.iter().any(|other| other.name == property.name)) {
            self.add(&format!("{at}.{}", property.name), Effect::NonBreaking, None, Some("a column"));
        }
    }

    fn primary_key(&mut self, at: &str, old: &SchemaObject, new: &SchemaObject) {
        let key = |object: &SchemaObject| {
            let mut members: Vec<&Property> =
                object.properties.iter().filter(|property| property.primary_key == Some(true)).collect();
            members.sort_by_key(|property| property.primary_key_position.unwrap_or(0));
            members.iter().map(|property| property.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let (before, after) = (key(old), key(new));
        let effect = if before.is_empty() { Effect::NonBreaking } else { Effect::Breaking };
        let some = |key: &'_ str| (!key.is_empty()).then(|| key.to_owned());
        self.value(&format!("{at}.primaryKey"), some(&before).as_deref(), some(&after).as_deref(), effect);
    }

    fn property(&mut self, at: &str, old: &Property, new: &Property) {
        self.value(&format!("{at}.physicalName"), Some(old.stored_name()), Some(new.stored_name()), Effect::Breaking);
        let types = |property: &Property| property.logical_type.map(|logical| logical.word());
        self.value(&format!("{at}.logicalType"), types(old), types(new), type_effect(types(old), types(new)));
        let (before, after) = (old.physical_type.as_deref(), new.physical_type.as_deref());
        self.value(&format!("{at}.physicalType"), before, after, type_effect(before, after));
        for (name, before, after) in [("required", old.required, new.required), ("unique", old.unique, new.unique)] {
            let (before, after) = (before == Some(true), after == Some(true));
            let effect = if before { Effect::Breaking } else { Effect::NonBreaking };
            let word = |yes: bool| if yes { "true" } else { "false" };
            self.value(&format!("{at}.{name}"), Some(word(before)), Some(word(after)), effect);
        }
        let (before, after) = (old.classification.as_deref(), new.classification.as_deref());
        // Who may read is decided by the class, so a reader may lose access.
        self.value(&format!("{at}.classification"), before, after, Effect::Breaking);
        self.value(&format!("{at}.description"), old.description.as_deref(), new.description.as_deref(), Effect::Note);
        self.options(at, old, new);
        self.rules(at, &old.quality, &new.quality);
        let relations = |property: &Property| property.relationships.iter().map(shown).collect::<BTreeSet<_>>();
        self.set(&format!("{at}.relationships"), &relations(old), &relations(new));
        self.properties(at, &old.properties, &new.properties);
        if let (Some(old), Some(new)) = (&old.items, &new.items) {
            self.property(&format!("{at}.items"), old, new);
        }
    }

    fn options(&mut self, at: &str, old: &Property, new: &Property) {
        let map = |property: &Property| match serde_json::to_value(&property.logical_type_options) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        let (old, new) = (map(old), map(new));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let (before, after) = (old.get(name), new.get(name));
            if before != after {
                let shown = |value: Option<&Value>| value.map(text);
                let effect = limit_effect(name, before, after);
                self.add(&format!("{at}.{name}"), effect, shown(before).as_deref(), shown(after).as_deref());
            }
        }
    }

    /// Rules are known by their identifiers, or else by what they say.
    fn rules(&mut self, at: &str, old: &[Quality], new: &[Quality]) {
        let named = |rules: &[Quality]| {
            rules.iter().filter_map(|rule| rule.id.clone().map(|id| (id, shown(rule)))).collect::<Vec<(String, String)>>()
        };
        let (before, after) = (named(old), named(new));
        for (id, text) in &before {
            match after.iter().find(|(other, _)| other == id) {
                // Whether it became stricter cannot be told in general; a reader must look.
                Some((_, other)) if other != text => self.add(&format!("{at}.{id}"), Effect::Breaking, Some(text), Some(other)),
                Some(_) => {}
                None => self.add(&format!("{at}.{id}"), Effect::Breaking, Some(text), None),
            }
        }
        for (id, text) in after.iter().filter(|(id, _)| !before.iter().any(|(other, _)| other == id)) {
            self.add(&format!("{at}.{id}"), Effect::NonBreaking, None, Some(text));
        }
        let unnamed = |rules: &[Quality]| rules.iter().filter(|rule| rule.id.is_none()).map(shown).collect::<BTreeSet<_>>();
        self.set(&format!("{at}.quality"), &unnamed(old), &unnamed(new));
    }

    /// Promises: one that is gone breaks, one that is new does not.
    fn set(&mut self, at: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) {
        for gone in old.difference(new) {
            self.add(at, Effect::Breaking, Some(gone), None);
        }
        for added in new.difference(old) {
            self.add(at, Effect::NonBreaking, None, Some(added));
        }
    }

    fn service(&mut self, old: &Contract, new: &Contract) {
        let levels = |contract: &Contract| contract.sla_properties.iter().map(shown).collect::<BTreeSet<_>>();
        self.set("slaProperties", &levels(old), &levels(new));
    }
}

fn shown<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A type that is named for the first time promises more; another type breaks.
const fn type_effect(before: Option<&str>, _after: Option<&str>) -> Effect {
    if before.is_some() { Effect::Breaking } else { Effect::NonBreaking }
}

/// A limit that is wider than it was lets values in that readers did not expect.
fn limit_effect(name: &str, before: Option<&Value>, after: Option<&Value>) -> Effect {
    let (Some(before), Some(after)) = (before, after) else {
        return if before.is_none() { Effect::NonBreaking } else { Effect::Breaking };
    };
    let wider = match name {
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" => less(after, before),
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" => less(before, after),
        _ => true,
    };
    if wider { Effect::Breaking } else { Effect::NonBreaking }
}

/// Whether the first limit is below the second; dates as texts stand in the order of their letters.
fn less(one: &Value, two: &Value) -> bool {
    match (one.as_f64(), two.as_f64()) {
        (Some(one), Some(two)) => one < two,
        _ => text(one) < text(two),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "apiVersion: v3.1.0
kind: DataContract
id: c
version: 1.0.0
status: active
slaProperties:
- {property: freshness, value: 1, unit: d, element: orders.at}
schema:
- name: orders
  quality:
  - {id: rows, metric: rowCount, mustBeGreaterThan: 10}
  properties:
  - name: id
    logicalType: integer
    primaryKey: true
  - name: amount
    logicalType: number
    required: true
    logicalTypeOptions: {minimum: 0, maximum: 100}
  - name: at
    logicalType: timestamp
";

    fn check(from: &str, to: &str, wanted: &[(&str, Effect)]) {
        assert!(OLD.contains(from), "{from}");
        let old = Contract::from_yaml(OLD).unwrap().contract;
        let new = Contract::from_yaml(&OLD.replace(from, to)).unwrap().contract;
        let found: Vec<(String, Effect)> = diff(&old, &new).into_iter().map(|change| (change.at, change.effect)).collect();
        let wanted: Vec<(String, Effect)> = wanted.iter().map(|(at, effect)| ((*at).to_owned(), *effect)).collect();
        assert_eq!(found, wanted, "{from} → {to}");
    }

    #[test]
    fn changes_and_what_they_do() {
        use Effect::{Breaking, NonBreaking, Note};
        check("status: active", "status: active", &[]);
        check("version: 1.0.0", "version: 1.0.1", &[("version", Note)]);
        check("minimum: 0", "minimum: -1", &[("orders.amount.minimum", Breaking)]);
        check("minimum: 0", "minimum: 1", &[("orders.amount.minimum", NonBreaking)]);
        check("maximum: 100", "maximum: 200", &[("orders.amount.maximum", Breaking)]);
        check("minimum: 0, maximum: 100", "minimum: 0", &[("orders.amount.maximum", Breaking)]);
        check("minimum: 0, ", "minimum: 0, multipleOf: 1, ", &[("orders.amount.multipleOf", NonBreaking)]);
        check("required: true", "required: false", &[("orders.amount.required", Breaking)]);
        check("logicalType: number", "logicalType: integer", &[("orders.amount.logicalType", Breaking)]);
        check("  - name: at\n    logicalType: timestamp\n", "", &[("orders.at", Breaking)]);
        check("- name: at\n", "- name: more\n  - name: at\n", &[("orders.more", NonBreaking)]);
        check("primaryKey: true", "primaryKey: false", &[("orders.primaryKey", Breaking)]);
        check("mustBeGreaterThan: 10", "mustBeGreaterThan: 5", &[("orders.rows", Breaking)]);
        check("id: rows, ", "id: rows2, ", &[("orders.rows", Breaking), ("orders.rows2", NonBreaking)]);
        check("value: 1", "value: 2", &[("slaProperties", Breaking), ("slaProperties", NonBreaking)]);
        check("- name: orders\n", "- name: other\n- name: orders\n", &[("other", NonBreaking)]);
    }
}
