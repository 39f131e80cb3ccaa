//! What must hold in a contract before it is used: names, operators, patterns, references. All faults at once.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::model::{Options, Other, Property, Relationship, SchemaObject};
use crate::quality::{Quality, QualityKind};
use crate::rules::target;
use crate::{Contract, ContractError, Issue, OBJECT_COUNT_MAX, instant, pattern};

/// Faults that one answer names.
const ISSUE_COUNT_MAX: usize = 50;

/// Keys of the standard that have no field here, by where they stand.
const TOP: &[&str] = &["servers", "dataProduct", "support", "price", "roles", "authoritativeDefinitions", "contractCreatedTs"];
const OBJECT: &[&str] = &["businessName", "authoritativeDefinitions", "tags", "dataGranularityDescription"];
const PROPERTY: &[&str] = &[
    "businessName",
    "authoritativeDefinitions",
    "tags",
    "partitioned",
    "partitionKeyPosition",
    "encryptedName",
    "transformSourceObjects",
    "transformLogic",
    "transformDescription",
    "examples",
];
const OPTIONS: &[&str] = &["defaultTimezone", "maxProperties", "minProperties", "required"];
const QUALITY: &[&str] =
    &["method", "businessImpact", "customProperties", "tags", "authoritativeDefinitions", "scheduler", "schedule"];
const RELATIONSHIP: &[&str] = &["customProperties"];
const SLA: &[&str] = &["valueExt", "driver", "description", "scheduler", "schedule"];
const METRICS: &[&str] = &["nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"];

/// Gathers what is wrong and what is odd.
struct Findings<'a> {
    contract: &'a Contract,
    faults: Vec<Issue>,
    warnings: Vec<Issue>,
}

/// The warnings of a contract that holds together.
///
/// # Errors
/// `Invalid` with every fault, up to a limit; `TooBig` with too many tables.
pub(crate) fn validate(contract: &Contract) -> Result<Vec<Issue>, ContractError> {
    if contract.schema.len() > OBJECT_COUNT_MAX {
        return Err(ContractError::TooBig { what: "the number of tables", size: contract.schema.len(), max: OBJECT_COUNT_MAX });
    }
    let mut findings = Findings { contract, faults: Vec::new(), warnings: Vec::new() };
    findings.head();
    findings.unknown("", &contract.other, TOP);
    findings.unique_names("schema", contract.schema.iter().map(|object| object.name.as_str()));
    for object in &contract.schema {
        findings.object(object);
    }
    for sla in &contract.sla_properties {
        findings.unknown(&format!("slaProperties.{}", sla.property), &sla.other, SLA);
    }
    if findings.faults.is_empty() {
        return Ok(findings.warnings);
    }
    findings.faults.truncate(ISSUE_COUNT_MAX);
    Err(ContractError::Invalid(findings.faults))
}

impl Findings<'_> {
    fn fault(&mut self, at: &str, problem: impl Into<String>) {
        self.faults.push(Issue { at: at.to_owned(), problem: problem.into() });
    }

    fn warn(&mut self, at: &str, problem: impl Into<String>) {
        self.warnings.push(Issue { at: at.to_owned(), problem: problem.into() });
    }

    fn head(&mut self) {
        let contract = self.contract;
        if contract.kind != "DataContract" {
            self.fault("kind", format!("it is `{}`; write `DataContract`", contract.kind));
        }
        match contract.api_version.as_str() {
            "v3.0.0" | "v3.0.1" | "v3.0.2" | "v3.1.0" => {}
            newer if newer.starts_with("v3.") => self.warn("apiVersion", format!("`{newer}` is read as v3.1.0")),
            other => self.fault("apiVersion", format!("`{other}` is not understood; write `v3.1.0`")),
        }
        for (at, text) in [("id", &contract.id), ("version", &contract.version), ("status", &contract.status)] {
            if text.trim().is_empty() {
                self.fault(at, "it is empty; the standard requires it");
            }
        }
    }

    fn unknown(&mut self, at: &str, other: &Other, known: &[&str]) {
        for key in other.keys().filter(|key| !known.contains(&key.as_str())) {
            let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            self.warn(&at, "the standard has no such key: it is kept, but means nothing");
        }
    }

    fn unique_names<'n>(&mut self, at: &str, names: impl Iterator<Item = &'n str>) {
        let mut seen = HashSet::new();
        for name in names {
            if name.is_empty() {
                self.fault(at, "an element has no name");
            } else if !seen.insert(name) {
                self.fault(at, format!("the name `{name}` occurs twice"));
            }
        }
    }

    fn object(&mut self, object: &SchemaObject) {
        let at = format!("schema.{}", object.name);
        self.unknown(&at, &object.other, OBJECT);
        self.unique_names(&at, object.properties.iter().map(|property| property.name.as_str()));
        self.unique_stored_names(&at, &object.properties);
        for property in &object.properties {
            self.property(&format!("{at}.{}", property.name), property, object);
        }
        for (index, quality) in object.quality.iter().enumerate() {
            self.quality(&format!("{at}.quality[{index}]"), quality, None, object);
        }
        for (index, relationship) in object.relationships.iter().enumerate() {
            self.relationship(&format!("{at}.relationships[{index}]"), relationship, false);
        }
    }

    /// Two columns of different names that are stored under one cannot both be meant.
    fn unique_stored_names(&mut self, at: &str, properties: &[Property]) {
        let mut seen = BTreeMap::new();
        for property in properties {
            if let Some(before) = seen.insert(property.stored_name(), &property.name)
                && *before != property.name
            {
                self.fault(at, format!("`{before}` and `{}` have the same physicalName", property.name));
            }
        }
    }

    fn property(&mut self, at: &str, property: &Property, object: &SchemaObject) {
        self.unknown(at, &property.other, PROPERTY);
        if let Some(options) = &property.logical_type_options {
            self.unknown(&format!("{at}.logicalTypeOptions"), &options.other, OPTIONS);
            if let Some(text) = &options.pattern {
                self.pattern(&format!("{at}.logicalTypeOptions.pattern"), text);
            }
            for (low, high) in [(options.min_length, options.max_length), (options.min_items, options.max_items)] {
                if let (Some(low), Some(high)) = (low, high)
                    && low > high
                {
                    self.fault(at, format!("the least, {low}, is above the most, {high}"));
                }
            }
            if let Some(problem) = empty_range(options) {
                self.fault(at, problem);
            }
            if options.multiple_of.is_some_and(|step| step <= 0.0 || !step.is_finite()) {
                self.fault(at, "`multipleOf` must be above 0");
            }
        }
        for (index, quality) in property.quality.iter().enumerate() {
            self.quality(&format!("{at}.quality[{index}]"), quality, Some(property), object);
        }
        for (index, relationship) in property.relationships.iter().enumerate() {
            self.relationship(&format!("{at}.relationships[{index}]"), relationship, true);
        }
        self.unique_names(at, property.properties.iter().map(|inner| inner.name.as_str()));
        for inner in property.properties.iter().chain(property.items.as_deref()) {
            self.property(&format!("{at}.{}", if inner.name.is_empty() { "items" } else { &inner.name }), inner, object);
        }
    }

    fn pattern(&mut self, at: &str, text: &str) {
        if let Err(problem) = pattern::Pattern::new(text) {
            self.fault(at, problem);
        }
    }

    fn quality(&mut self, at: &str, quality: &Quality, property: Option<&Property>, object: &SchemaObject) {
        let misplaced = |key: &&String| matches!(key.as_str(), "pattern" | "validValues" | "missingValues" | "properties");
        let (moved, strange): (Vec<&String>, Vec<&String>) = quality.other.keys().partition(misplaced);
        for key in strange.into_iter().filter(|key| !QUALITY.contains(&key.as_str())) {
            self.warn(&format!("{at}.{key}"), "the standard has no such key: it is kept, but means nothing");
        }
        for key in moved {
            self.warn(&format!("{at}.{key}"), "it belongs under `arguments` and is read as if it stood there");
        }
        if quality.rule.is_some() && quality.metric.is_none() {
            self.warn(at, "`rule` is deprecated: write `metric`");
        }
        if let Err(problem) = quality.operators() {
            self.fault(at, problem);
        }
        match quality.kind() {
            QualityKind::Text => {}
            QualityKind::Sql => self.needs(at, quality.query.is_some(), "an SQL rule needs a `query`"),
            QualityKind::Custom => {
                let whole = quality.engine.is_some() && quality.implementation.is_some();
                self.needs(at, whole, "a custom rule needs an `engine` and an `implementation`");
            }
            QualityKind::Library => self.library(at, quality, property, object),
        }
    }

    fn needs(&mut self, at: &str, has: bool, problem: &str) {
        if !has {
            self.fault(at, problem);
        }
    }

    fn library(&mut self, at: &str, quality: &Quality, property: Option<&Property>, object: &SchemaObject) {
        let Some(metric) = quality.metric() else {
            return self.fault(at, format!("a library rule needs a `metric`: one of {}", METRICS.join(", ")));
        };
        if !METRICS.contains(&metric) {
            // v3.0 had other words, and tools have their own: such a rule is shown as not run.
            return self.warn(at, format!("the metric `{metric}` is not known and will not run: use {}", METRICS.join(", ")));
        }
        if quality.operators().is_ok_and(|operators| operators.is_empty()) {
            self.fault(at, "the rule compares with nothing: add `mustBe: 0` or another operator");
        }
        if let Err(problem) = quality.unit() {
            self.fault(at, problem);
        }
        if let Some(text) = quality.argument("pattern") {
            match text {
                Value::String(text) => self.pattern(at, text),
                _ => self.fault(at, "`pattern` must be a text"),
            }
        }
        match (metric, property) {
            ("rowCount", Some(_)) => self.fault(at, "`rowCount` belongs to the table, not to a column"),
            ("nullValues" | "missingValues" | "invalidValues", None) => {
                self.fault(at, format!("`{metric}` belongs to a column, not to the table"));
            }
            ("duplicateValues", None) => {
                let names = quality.argument("properties").and_then(Value::as_array).cloned().unwrap_or_default();
                self.needs(at, !names.is_empty(), "`duplicateValues` of a table needs the argument `properties`");
                for name in &names {
                    let known = name.as_str().is_some_and(|name| object.property(name).is_some());
                    self.needs(at, known, &format!("`properties` names {name}, which is no column of `{}`", object.name));
                }
            }
            _ => {}
        }
    }

    fn relationship(&mut self, at: &str, relationship: &Relationship, of_column: bool) {
        self.unknown(at, &relationship.other, RELATIONSHIP);
        if relationship.kind.as_deref().is_some_and(|kind| kind != "foreignKey") {
            self.fault(at, "the only type of relationship is `foreignKey`");
        }
        let to = relationship.to.list();
        match (&relationship.from, of_column) {
            (Some(_), true) => self.fault(at, "a column's own relationship has no `from`"),
            (None, false) => self.fault(at, "a table's relationship needs `from` and `to`"),
            (Some(from), false) if from.list().len() != to.len() => self.fault(at, "`from` and `to` differ in length"),
            (None, true) if to.len() != 1 => self.fault(at, "a column refers to one column; put composite keys at the table"),
            _ => {}
        }
        let from = relationship.from.iter().flat_map(crate::OneOrMany::list);
        for name in from.chain(to) {
            match target::resolve(self.contract, name) {
                Ok(_) => {}
                Err(target::Unresolved::Elsewhere) => {
                    self.warn(at, format!("`{name}` is in another contract: its keys must be given when the data are checked"));
                }
                Err(target::Unresolved::Unknown) => self.fault(at, format!("`{name}` names nothing in this contract")),
            }
        }
    }
}

/// Why no value can be in a range; nothing where one can, or where the ends cannot be compared.
fn empty_range(options: &Options) -> Option<String> {
    let ends = |one: &Option<Value>, open: bool| one.clone().map(|value| (value, open));
    let lows = [ends(&options.minimum, false), ends(&options.exclusive_minimum, true)];
    let highs = [ends(&options.maximum, false), ends(&options.exclusive_maximum, true)];
    for (low, low_open) in lows.iter().flatten() {
        for (high, high_open) in highs.iter().flatten() {
            let order = match (low.as_f64().zip(high.as_f64()), low.as_str().zip(high.as_str())) {
                (Some((low, high)), _) => low.partial_cmp(&high),
                (None, Some((low, high))) => {
                    instant::nanoseconds(low).zip(instant::nanoseconds(high)).map(|(low, high)| low.cmp(&high))
                }
                (None, None) => None,
            };
            match order {
                Some(Ordering::Greater) => return Some(format!("no value is at least {low} and at most {high}: exchange them")),
                Some(Ordering::Equal) if *low_open || *high_open => {
                    return Some(format!("no value lies between {low} and {high} without them: widen the range"));
                }
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::Contract;

    fn check(schema: &str, faults: &[&str]) {
        let head = "apiVersion: v3.1.0\nkind: DataContract\nid: a\nversion: 1.0.0\nstatus: active\nschema:\n";
        let error = Contract::from_yaml(&format!("{head}{schema}")).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(error.is_empty(), faults.is_empty(), "{error}");
        for fault in faults {
            assert!(error.contains(fault), "{error}");
        }
    }

    #[test]
    fn heads_that_are_refused() {
        for (text, fault) in [
            ("apiVersion: v2.2.2\nkind: DataContract\nid: a\nversion: '1'\nstatus: x\n", "v3.1.0"),
            ("apiVersion: v3.1.0\nkind: Other\nid: a\nversion: '1'\nstatus: x\n", "DataContract"),
            ("apiVersion: v3.1.0\nkind: DataContract\nid: ' '\nversion: '1'\nstatus: x\n", "`id`"),
            ("kind: DataContract\nid: a\nversion: '1'\nstatus: x\n", "apiVersion"),
        ] {
            assert!(Contract::from_yaml(text).unwrap_err().to_string().contains(fault), "{text}");
        }
    }

    #[test]
    fn names_are_unique() {
        check("- name: t\n- name: t\n", &["`t` occurs twice"]);
        check("- name: t\n  properties:\n  - name: a\n  - name: a\n", &["`a` occurs twice"]);
        check(
            "- name: t\n  properties:\n  - name: a\n    physicalName: x\n  - name: b\n    physicalName: x\n",
            &["physicalName"],
        );
        check("- name: t\n  properties:\n  - logicalType: string\n", &["no name"]);
    }

    #[test]
    fn rules_that_cannot_hold_are_refused_together() {
        check(
            "- name: t\n  quality:\n  - metric: rowCount\n  - metric: nullValues\n    mustBe: 0\n  - type: sql\n    mustBe: 0\n  \
             properties:\n  - name: a\n    quality:\n    - metric: invalidValues\n      mustBe: x\n    - metric: nullValues\n      mustBe: 0\n      unit: miles\n",
            &["compares with nothing", "belongs to a column", "needs a `query`", "needs a number", "`miles`"],
        );
        check(
            "- name: t\n  quality:\n  - metric: duplicateValues\n    mustBe: 0\n    arguments: {properties: [b]}\n",
            &["no column of `t`"],
        );
    }

    #[test]
    fn ranges_must_hold_a_value() {
        let range = |options: &str| format!("- name: t\n  properties:\n  - {{name: a, logicalTypeOptions: {{{options}}}}}\n");
        check(&range("minimum: 5, maximum: 1"), &["at least 5 and at most 1"]);
        check(&range("exclusiveMinimum: 1, maximum: 1"), &["between 1 and 1"]);
        check(&range("minimum: '2024-02-01', maximum: '2024-01-31T00:00:00Z'"), &["at least"]);
        for sound in
            ["minimum: 1, maximum: 1", "exclusiveMinimum: 0, maximum: 1", "minimum: soon, maximum: '2024-01-01'", "minimum: 2"]
        {
            check(&range(sound), &[]);
        }
    }

    #[test]
    fn patterns_must_be_runnable() {
        check("- name: t\n  properties:\n  - name: a\n    logicalTypeOptions: {pattern: '['}\n", &["pattern"]);
        check("- name: t\n  properties:\n  - name: a\n    logicalTypeOptions: {pattern: '^(?!x)[a-z]+$'}\n", &[]);
    }

    #[test]
    fn references_must_resolve() {
        let tables = |relation: &str| {
            format!(
                "- name: t\n  id: t_id\n  properties:\n  - name: a\n    id: a_id\n    relationships:\n    - {relation}\n- name: u\n  id: u_id\n  properties:\n  - name: k\n    id: k_id\n"
            )
        };
        check(&tables("to: u.k"), &[]);
        check(&tables("to: schema/u_id/properties/k_id"), &[]);
        check(&tables("to: other.yaml#/schema/x/properties/y"), &[]);
        check(&tables("to: u.nothing"), &["names nothing"]);
        check(&tables("{to: u.k, from: t.a}"), &["no `from`"]);
    }
}
