//! Our own rules, for data that models are trained on: `type: custom`, `engine: strongroom`.

use serde_json::{Map, Value};

use super::library::stored;
use super::{Aggregate, Check, Measured, Pair, RowTest, Rule, Tolerance};
use crate::model::SchemaObject;
use crate::quality::Operator;

/// Labels that are rarer than this are too few to learn, unless the rule says otherwise.
const LABEL_SHARE_MIN: f64 = 0.01;
/// A column that has one value this often says nothing, unless the rule says otherwise.
const TOP_SHARE_MAX: f64 = 0.99;
/// Change of the number of rows from one version to the next, unless the rule says otherwise.
const ROW_CHANGE_MAX: f64 = 0.5;

/// Reads arguments, and knows which were read, so that a misspelt one is not silently nothing.
struct Arguments<'a> {
    map: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Arguments<'a> {
    fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, String> {
        self.known.push(name);
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("`{name}` must be a text, not `{other}`")),
        }
    }

    fn number(&mut self, name: &'static str) -> Result<Option<f64>, String> {
        self.known.push(name);
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| format!("`{name}` must be a number, not `{value}`")),
        }
    }

    fn texts(&mut self, name: &'static str) -> Result<Vec<&'a str>, String> {
        self.known.push(name);
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => Ok(list.iter().filter_map(Value::as_str).collect()),
            Some(other) => Err(format!("`{name}` must be a list of texts, not `{other}`")),
        }
    }

    fn finish(&self) -> Result<(), String> {
        match self.map.keys().find(|key| !self.known.contains(&key.as_str())) {
            Some(key) => Err(format!("`{key}` is not known here; known are {}", self.known.join(", "))),
            None => Ok(()),
        }
    }
}

/// The rule that an implementation is.
pub(super) fn rule(object: &SchemaObject, id: String, columns: Vec<String>, map: &Map<String, Value>) -> Rule {
    match read(object, &columns, map) {
        Ok((kind, columns, check, tolerance)) => {
            let mut rule = Rule::new(id, kind, columns, check);
            rule.tolerance = tolerance;
            rule
        }
        Err(problem) => Rule::impossible(id, "custom", columns, problem),
    }
}

type Read = (&'static str, Vec<String>, Check, Tolerance);

fn read(object: &SchemaObject, at: &[String], map: &Map<String, Value>) -> Result<Read, String> {
    let mut arguments = Arguments { map, known: Vec::new() };
    let word = arguments.text("check")?.ok_or("the implementation needs `check: NAME`")?;
    let made = match word {
        "labelBalance" => {
            let share = arguments.number("minShare")?.unwrap_or(LABEL_SHARE_MIN);
            let tolerance = Tolerance::value(vec![Operator::GreaterOrEqual(share)]);
            ("labelBalance", one(object, at, &mut arguments)?, Check::LabelBalance, tolerance)
        }
        "nearConstant" => {
            let share = arguments.number("maxShare")?.unwrap_or(TOP_SHARE_MAX);
            let tolerance = Tolerance::value(vec![Operator::LessOrEqual(share)]);
            ("nearConstant", one(object, at, &mut arguments)?, Check::TopShare, tolerance)
        }
        "duplicateRows" => {
            let share = arguments.number("maxShare")?.unwrap_or(0.0);
            let tolerance =
                Tolerance { measured: Measured::PercentOfRows, operators: vec![Operator::LessOrEqual(share * 100.0)] };
            ("duplicateRows", several(object, &mut arguments)?, Check::RepeatedRows, tolerance)
        }
        "leakage" => {
            let against = arguments.text("against")?.ok_or("`leakage` needs `against: NAME@VERSION`")?;
            let share = arguments.number("maxShare")?.unwrap_or(0.0);
            let tolerance =
                Tolerance { measured: Measured::PercentOfRows, operators: vec![Operator::LessOrEqual(share * 100.0)] };
            ("leakage", several(object, &mut arguments)?, Check::Leakage { keys: against.to_owned() }, tolerance)
        }
        "rowCountChange" => {
            let share = arguments.number("maxShare")?.unwrap_or(ROW_CHANGE_MAX);
            ("rowCountChange", Vec::new(), Check::RowCountChange, Tolerance::value(vec![Operator::LessOrEqual(share)]))
        }
        "noOtherColumns" => {
            let columns = object.properties.iter().map(|property| property.stored_name().to_owned()).collect();
            ("noOtherColumns", columns, Check::Columns { ordered: false, exact: true }, Tolerance::none())
        }
        "compare" => compare(object, &mut arguments)?,
        "aggregate" => aggregate(object, at, &mut arguments)?,
        other => {
            return Err(format!(
                "the check `{other}` is not known; known are labelBalance, nearConstant, duplicateRows, leakage, rowCountChange, \
                 noOtherColumns, compare, aggregate"
            ));
        }
    };
    arguments.finish()?;
    Ok(made)
}

/// The column that is named, or the one the rule stands at.
fn one(object: &SchemaObject, at: &[String], arguments: &mut Arguments<'_>) -> Result<Vec<String>, String> {
    match (arguments.text("column")?, at) {
        (Some(name), _) => Ok(vec![stored(object, name)]),
        (None, [own]) => Ok(vec![own.clone()]),
        (None, _) => Err("the rule needs `column: NAME`, or to stand at a column".to_owned()),
    }
}

/// The columns that are named; none means all.
fn several(object: &SchemaObject, arguments: &mut Arguments<'_>) -> Result<Vec<String>, String> {
    Ok(arguments.texts("columns")?.into_iter().map(|name| stored(object, name)).collect())
}

fn compare(object: &SchemaObject, arguments: &mut Arguments<'_>) -> Result<Read, String> {
    let (Some(left), Some(right)) = (arguments.text("left")?, arguments.text("right")?) else {
        return Err("`compare` needs `left` and `right`".to_owned());
    };
    let pair = match arguments.text("operator")?.unwrap_or_default() {
        ">" => Pair::Greater,
        ">=" => Pair::GreaterOrEqual,
        "<" => Pair::Less,
        "<=" => Pair::LessOrEqual,
        "=" | "==" => Pair::Equal,
        "!=" | "<>" => Pair::NotEqual,
        other => return Err(format!("the operator `{other}` is not known: use > >= < <= = !=")),
    };
    let columns = vec![stored(object, left), stored(object, right)];
    Ok(("compare", columns, Check::Row(RowTest::Compare(pair)), Tolerance::none()))
}

fn aggregate(object: &SchemaObject, at: &[String], arguments: &mut Arguments<'_>) -> Result<Read, String> {
    let columns = one(object, at, arguments)?;
    let quantile = arguments.number("quantile")?;
    let statistic = match (arguments.text("statistic")?.unwrap_or_default(), quantile) {
        ("mean", _) => Aggregate::Mean,
        ("sum", _) => Aggregate::Sum,
        ("minimum", _) => Aggregate::Minimum,
        ("maximum", _) => Aggregate::Maximum,
        ("standardDeviation", _) => Aggregate::StandardDeviation,
        ("median", _) => Aggregate::Quantile(0.5),
        ("quantile", Some(rank)) if (0.0..=1.0).contains(&rank) => Aggregate::Quantile(rank),
        ("quantile", _) => return Err("`quantile` needs `quantile: 0…1`".to_owned()),
        ("distinct", _) => Aggregate::Distinct,
        ("distinctShare", _) => Aggregate::DistinctShare,
        (other, _) => {
            return Err(format!(
                "the statistic `{other}` is not known; known are mean, sum, minimum, maximum, standardDeviation, median, quantile, \
                 distinct, distinctShare"
            ));
        }
    };
    let mut operators: Vec<Operator> = arguments.number("min")?.map(Operator::GreaterOrEqual).into_iter().collect();
    operators.extend(arguments.number("max")?.map(Operator::LessOrEqual));
    if operators.is_empty() {
        return Err("`aggregate` needs `min` or `max`".to_owned());
    }
    Ok(("aggregate", columns, Check::Aggregate(statistic), Tolerance::value(operators)))
}
