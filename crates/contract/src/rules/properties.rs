//! The rules that columns carry by themselves: there, of a type, required, unique, within options, referring to another table.

use serde_json::Value;

use super::library::quality;
use super::shape::{Shape, demands_more, is_timed};
use super::target::{Unresolved, resolve};
use super::{Check, RowTest, Rule, keys_name};
use crate::format::{IntegerFormat, TextFormat};
use crate::model::{Contract, LogicalType, OneOrMany, Options, Property, SchemaObject};
use crate::quality::Severity;

/// The rules of a property and of what is inside it. `prefix` leads to it, empty or with a dot at its end.
pub(super) fn property(object: &SchemaObject, property: &Property, prefix: &str, rules: &mut Vec<Rule>) {
    let column = format!("{prefix}{}", property.stored_name());
    let mut one = Of { object, property, column, rules };
    one.add("present", Check::Present);
    one.types();
    one.keys();
    if let Some(options) = &property.logical_type_options {
        one.options(options);
    }
    for (index, rule) in property.quality.iter().enumerate() {
        let column = one.column.clone();
        one.rules.push(quality(object, Some(&column), rule, index));
    }
    one.items();
    let inner = format!("{}.", one.column);
    for field in &property.properties {
        self::property(object, field, &inner, rules);
    }
}

struct Of<'a> {
    object: &'a SchemaObject,
    property: &'a Property,
    column: String,
    rules: &'a mut Vec<Rule>,
}

impl Of<'_> {
    fn id(&self, kind: &str) -> String {
        format!("{}.{}.{kind}", self.object.name, self.column)
    }

    fn add(&mut self, kind: &'static str, check: Check) {
        self.rules.push(Rule::new(self.id(kind), kind, vec![self.column.clone()], check));
    }

    fn types(&mut self) {
        if let Some(logical) = self.property.logical_type {
            let options = self.property.logical_type_options.as_ref();
            let format = options.and_then(|options| options.format.clone()).filter(|_| is_timed(self.property));
            self.add("type", Check::Type { logical, format, timezone: options.and_then(|options| options.timezone) });
        }
        if let Some(physical) = &self.property.physical_type {
            self.add("physicalType", Check::PhysicalType(physical.clone()));
            if let Some(last) = self.rules.last_mut() {
                // It names the type in the source's own system; a file's may differ and still be right.
                last.severity = Severity::Warning;
            }
        }
    }

    fn keys(&mut self) {
        let property = self.property;
        let (required, primary) = (property.required == Some(true), property.primary_key == Some(true));
        if required || primary {
            self.add(if required { "required" } else { "primaryKeyRequired" }, Check::Row(RowTest::NotNull));
        }
        if property.unique == Some(true) {
            self.add("unique", Check::Duplicates);
        }
    }

    fn options(&mut self, options: &Options) {
        let limit = |value: &Option<Value>, open: bool| value.clone().filter(|value| !value.is_null()).map(|value| (value, open));
        for (kind, low, high) in [
            ("minimum", limit(&options.minimum, false), None),
            ("maximum", None, limit(&options.maximum, false)),
            ("exclusiveMinimum", limit(&options.exclusive_minimum, true), None),
            ("exclusiveMaximum", None, limit(&options.exclusive_maximum, true)),
        ] {
            if low.is_some() || high.is_some() {
                self.add(kind, Check::Row(RowTest::Range { low, high }));
            }
        }
        if let Some(step) = options.multiple_of {
            self.add("multipleOf", Check::Row(RowTest::MultipleOf(step)));
        }
        for (kind, least, most) in [("minLength", options.min_length, None), ("maxLength", None, options.max_length)] {
            if least.is_some() || most.is_some() {
                self.add(kind, Check::Row(RowTest::Length { least, most }));
            }
        }
        if let Some(pattern) = &options.pattern {
            self.add("pattern", Check::Row(RowTest::Matches { pattern: pattern.clone(), must: true }));
        }
        for (kind, least, most, unique) in [
            ("minItems", options.min_items, None, false),
            ("maxItems", None, options.max_items, false),
            ("uniqueItems", None, None, options.unique_items == Some(true)),
        ] {
            if least.is_some() || most.is_some() || unique {
                self.add(kind, Check::Row(RowTest::Items { least, most, unique }));
            }
        }
        if let Some(word) = &options.format {
            self.format(word);
        }
    }

    fn format(&mut self, word: &str) {
        let test = match self.property.logical_type {
            Some(LogicalType::String) | None => TextFormat::of(word).map(|known| known.map(RowTest::Text)),
            Some(LogicalType::Integer | LogicalType::Number) => IntegerFormat::of(word).map(|known| known.map(RowTest::Integer)),
            // Part of the type's rule.
            Some(LogicalType::Date | LogicalType::Timestamp | LogicalType::Time) => return,
            Some(_) => None,
        };
        match test {
            // `password`, `binary`, `f64`: nothing to look at.
            Some(None) => {}
            Some(Some(test)) => self.add("format", Check::Row(test)),
            None => {
                self.add("format", Check::Impossible(format!("the format `{word}` is not known: use `pattern`")));
                if let Some(last) = self.rules.last_mut() {
                    // The standard leaves formats open, so an unknown one is a note and not a doubt.
                    last.severity = Severity::Info;
                }
            }
        }
    }

    fn items(&mut self) {
        let Some(items) = &self.property.items else { return };
        if let Some(shape) = Shape::array_of(items) {
            self.add("itemTypes", Check::Items(shape));
        }
        if demands_more(items) {
            let reason = "of values inside arrays only the types are checked: put the rule into an `sql` rule";
            self.rules.push(Rule::impossible(self.id("items"), "items", vec![self.column.clone()], reason));
        }
    }
}

/// The key over several columns, or over one that is not called unique besides.
pub(super) fn primary_key(object: &SchemaObject, rules: &mut Vec<Rule>) {
    let mut members: Vec<&Property> = object.properties.iter().filter(|property| property.primary_key == Some(true)).collect();
    members.sort_by_key(|property| property.primary_key_position.unwrap_or(0));
    if members.is_empty() || matches!(members.as_slice(), [only] if only.unique == Some(true)) {
        return;
    }
    let columns = members.iter().map(|property| property.stored_name().to_owned()).collect();
    rules.push(Rule::new(format!("{}.primaryKey", object.name), "primaryKey", columns, Check::Duplicates));
}

/// References from this table to others.
pub(super) fn relationships(contract: &Contract, object: &SchemaObject, rules: &mut Vec<Rule>) {
    for property in &object.properties {
        for relationship in &property.relationships {
            let from = vec![property.stored_name().to_owned()];
            rules.push(reference(contract, object, from, &relationship.to));
        }
    }
    for relationship in &object.relationships {
        let named = relationship.from.as_ref().map(OneOrMany::list).unwrap_or_default();
        let from: Result<Vec<String>, Unresolved> =
            named.iter().map(|name| resolve(contract, name).map(|target| target.column)).collect();
        match from {
            Ok(from) => rules.push(reference(contract, object, from, &relationship.to)),
            Err(_) => rules.push(Rule::impossible(
                format!("{}.reference", object.name),
                "reference",
                Vec::new(),
                "its `from` names no column of this contract",
            )),
        }
    }
}

fn reference(contract: &Contract, object: &SchemaObject, from: Vec<String>, to: &OneOrMany) -> Rule {
    let id = format!("{}.{}.reference({})", object.name, from.join("+"), to.list().join("+"));
    let mut tables = Vec::new();
    let mut columns = Vec::new();
    for name in to.list() {
        match resolve(contract, name) {
            Ok(target) => {
                tables.push(target.object);
                columns.push(target.column);
            }
            // The keys are then given under the reference's own text.
            Err(_) => return Rule::new(id, "reference", from, Check::Reference { keys: to.list().join(",") }),
        }
    }
    tables.dedup();
    match tables.as_slice() {
        [table] => Rule::new(id, "reference", from, Check::Reference { keys: keys_name(table, &columns) }),
        _ => Rule::impossible(id, "reference", from, "a composite key must refer to one table"),
    }
}
