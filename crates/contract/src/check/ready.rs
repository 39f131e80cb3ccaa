//! A rule made ready for a schema: where its columns are, and what it starts from.

use std::collections::HashMap;

use arrow_schema::{DataType, Schema};
use serde_json::Value;

use super::hash::Seed;
use super::items::Part;
use super::row_test::Mask;
use super::state::{Keys, Moments, State, tells_age};
use super::types::{Fit, columns, logical, physical};
use super::values::{find, plain_type};
use super::{CheckOptions, leakage_name};
use crate::model::LogicalType;
use crate::rules::{Aggregate, Check, RowTest, Rule};

/// A rule, where its columns are, and what it has seen.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) rule: Rule,
    pub(crate) paths: Vec<Vec<usize>>,
    pub(crate) group: usize,
    pub(crate) state: State,
}

impl Ready {
    pub(crate) fn new(
        rule: Rule,
        schema: &Schema,
        options: &CheckOptions,
        seed: Seed,
        groups: &mut Vec<Vec<Vec<usize>>>,
    ) -> Self {
        let (paths, state) = match located(&rule, schema) {
            Ok((paths, types)) => {
                let state = start(&rule, &types, schema, options, seed).unwrap_or_else(State::NotRun);
                (paths, state)
            }
            Err(state) => (Vec::new(), *state),
        };
        let group = groups.iter().position(|known| *known == paths).unwrap_or_else(|| {
            groups.push(paths.clone());
            groups.len() - 1
        });
        Self { rule, paths, group, state }
    }
}

type Located = (Vec<Vec<usize>>, Vec<DataType>);

/// Where the columns of a rule are and what they hold, or what the rule's answer is without them.
fn located(rule: &Rule, schema: &Schema) -> Result<Located, Box<State>> {
    if matches!(rule.check, Check::Columns { .. } | Check::Text | Check::Sql(_) | Check::Impossible(_)) {
        return Ok(Default::default());
    }
    let whole = rule.columns.is_empty() && matches!(rule.check, Check::RepeatedRows | Check::Leakage { .. });
    if whole {
        let types = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        return Ok(((0..schema.fields().len()).map(|index| vec![index]).collect(), types));
    }
    let (mut paths, mut types) = (Vec::new(), Vec::new());
    for name in &rule.columns {
        let twice = schema.fields().iter().filter(|field| field.name() == name).count() > 1;
        match find(schema, name) {
            Some((path, data_type)) if !twice => {
                paths.push(path);
                types.push(data_type);
            }
            _ if !twice && is_flattened(rule, name, schema) => return Err(Box::new(State::Settled(Ok(())))),
            _ => {
                let problem = if twice { "is there more than once" } else { "is missing" };
                let problem = format!("the column `{name}` {problem}");
                return Err(Box::new(if matches!(rule.check, Check::Present) {
                    State::Settled(Err(problem))
                } else {
                    State::NotRun(problem)
                }));
            }
        }
    }
    Ok((paths, types))
}

/// Whether a rule asks for an object whose fields a reader gave as columns of their own.
fn is_flattened(rule: &Rule, name: &str, schema: &Schema) -> bool {
    let asked = matches!(rule.check, Check::Present | Check::Type { logical: LogicalType::Object, .. } | Check::PhysicalType(_));
    asked && schema.fields().iter().any(|field| field.name().strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// What the rule starts from.
fn start(rule: &Rule, types: &[DataType], schema: &Schema, options: &CheckOptions, seed: Seed) -> Result<State, String> {
    let first = types.first().map_or(DataType::Null, plain_type);
    Ok(match &rule.check {
        Check::Present => State::Settled(Ok(())),
        Check::Columns { ordered, exact } => State::Settled(columns(&rule.columns, schema, *ordered, *exact).map_or(Ok(()), Err)),
        Check::Type { logical: wanted, format, timezone } => {
            match logical(*wanted, format.as_deref(), *timezone, &first, options.source) {
                Fit::Each(mask) => rows(mask),
                Fit::Yes => State::Settled(Ok(())),
                Fit::No(why) => State::Settled(Err(why)),
            }
        }
        Check::PhysicalType(name) => match physical(name, &first) {
            Some(Fit::No(why)) => State::Settled(Err(why)),
            Some(_) => State::Settled(Ok(())),
            None => State::Note,
        },
        Check::Items(shape) => rows(Mask::Items(Box::new(Part::new(shape, &first, options.source)?))),
        Check::Row(test) => rows(Mask::new(test, types)?),
        Check::Duplicates => State::Keys(Keys::new(types, false)),
        Check::RepeatedRows => State::Keys(Keys::new(types, true)),
        Check::RowCount | Check::ColumnCount | Check::RowCountChange | Check::Sql(_) => State::Count,
        Check::Age { oldest } if tells_age(&first) => State::Age { oldest: *oldest, edge_ns: None },
        Check::Age { .. } => return Err(format!("its age cannot be told from {first}")),
        Check::Reference { keys } => known(options, keys, seed, true)?,
        Check::Leakage { keys } => known(options, &leakage_name(keys, &rule.columns), seed, false)?,
        Check::Aggregate(Aggregate::Quantile(_)) => State::Count,
        Check::Aggregate(Aggregate::Distinct | Aggregate::DistinctShare) => State::Keys(Keys::new(types, false)),
        Check::Aggregate(Aggregate::PresentShare) => rows(Mask::Nulls),
        Check::Aggregate(_) if first.is_numeric() => State::Moments(Moments::default()),
        Check::Aggregate(_) => return Err(format!("its number needs numbers, but the column holds {first}")),
        Check::Contains(values) => State::Contains { masks: wanted(values, types)? },
        Check::LabelBalance => State::Labels { counts: HashMap::new(), too_many: false },
        Check::TopShare => State::Top { counts: HashMap::new(), total: 0 },
        Check::Text => State::Note,
        Check::Impossible(reason) => return Err(reason.clone()),
    })
}

fn rows(mask: Mask) -> State {
    State::Rows { mask, found: Default::default(), present: 0 }
}

/// A mask for each value that must occur.
fn wanted(values: &[Value], types: &[DataType]) -> Result<Vec<(Mask, bool)>, String> {
    values.iter().map(|value| Mask::new(&RowTest::NoneOf(vec![value.clone()]), types).map(|mask| (mask, false))).collect()
}

fn known(options: &CheckOptions, name: &str, seed: Seed, wanted: bool) -> Result<State, String> {
    let set = options
        .keys
        .get(name)
        .ok_or_else(|| format!("the keys `{name}` were not given: they belong to data that is not at hand"))?;
    if !set.fits(seed) {
        return Err(format!("the keys `{name}` were made with another seed"));
    }
    Ok(State::Known { set: set.clone(), nulls_count: !wanted, wanted, found: Default::default(), skipped: 0 })
}
