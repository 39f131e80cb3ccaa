//! Expectations of Great Expectations 1.x as checks. The table of what maps is [`read`]; what is not there is refused by name.

use serde_json::{Map, Value};

use super::library::stored;
use super::{Aggregate, Check, Measured, Pair, RowTest, Rule, Tolerance};
use crate::model::SchemaObject;
use crate::quality::{Operator, Severity};

/// What an expectation demands.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    pub(crate) columns: Vec<String>,
    pub(crate) check: Check,
    pub(crate) tolerance: Tolerance,
}

/// Keyword arguments, by Great Expectations' names or by those of the standard's own example (`minValue`).
struct Kwargs<'a>(&'a Map<String, Value>);

/// Reads an expectation as it stands in a suite.
///
/// # Errors
/// In words, if it is not one that is run here.
pub(crate) fn expectation(kind: &str, kwargs: &Map<String, Value>) -> Result<Expectation, String> {
    let kwargs = Kwargs(kwargs);
    if kwargs.has("row_condition") {
        return Err("a `row_condition` is not run: write it as an `sql` rule".to_owned());
    }
    let (columns, check, tolerance) = read(kind, &kwargs)?;
    Ok(Expectation { columns, check, tolerance })
}

/// The rule of an implementation `{type, kwargs}`.
pub(super) fn rule(object: &SchemaObject, id: String, at: Vec<String>, map: &Map<String, Value>) -> Rule {
    let kind = map.get("type").or_else(|| map.get("expectation_type")).and_then(Value::as_str).unwrap_or_default();
    let mut kwargs = map.get("kwargs").and_then(Value::as_object).cloned().unwrap_or_default();
    if let [own] = at.as_slice()
        && kind.starts_with("expect_column_")
    {
        kwargs.entry("column").or_insert_with(|| Value::from(own.as_str()));
    }
    match expectation(kind, &kwargs) {
        Ok(found) => {
            let columns = found.columns.iter().map(|name| stored(object, name)).collect();
            let mut rule = Rule::new(id, "expectation", columns, found.check);
            rule.tolerance = found.tolerance;
            rule.severity = Severity::of(map.get("severity").and_then(Value::as_str));
            rule
        }
        Err(problem) => Rule::impossible(id, "expectation", at, format!("`{kind}`: {problem}")),
    }
}

impl Kwargs<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        let camel = camel(name);
        self.0.get(name).or_else(|| self.0.get(&camel)).filter(|value| !value.is_null())
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn number(&self, name: &str) -> Result<Option<f64>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| format!("`{name}` must be a number, not `{value}`")),
        }
    }

    fn needed_number(&self, name: &str) -> Result<f64, String> {
        self.number(name)?.ok_or_else(|| format!("it needs `{name}`"))
    }

    fn count(&self, name: &str) -> Result<Option<u64>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => {
                let whole = value.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0 && *number < 9e15);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "checked to be whole and not negative"
                )]
                whole.map(|number| Some(number as u64)).ok_or_else(|| format!("`{name}` must be a whole number, not `{value}`"))
            }
        }
    }

    fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn text(&self, name: &str) -> Result<String, String> {
        self.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("it needs the text `{name}`"))
    }

    fn list(&self, name: &str) -> Result<Vec<Value>, String> {
        self.get(name).and_then(Value::as_array).cloned().ok_or_else(|| format!("it needs the list `{name}`"))
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        self.list(name)?
            .iter()
            .map(|value| value.as_str().map(str::to_owned).ok_or_else(|| format!("`{name}` must hold texts only")))
            .collect()
    }

    fn column(&self) -> Result<Vec<String>, String> {
        Ok(vec![self.text("column")?])
    }

    /// From `min_value` to `max_value`.
    fn between(&self) -> Result<Vec<Operator>, String> {
        let (low, high) = (self.number("min_value")?, self.number("max_value")?);
        let mut found = Vec::new();
        found.extend(low.map(if self.flag("strict_min") { Operator::GreaterThan } else { Operator::GreaterOrEqual }));
        found.extend(high.map(if self.flag("strict_max") { Operator::LessThan } else { Operator::LessOrEqual }));
        if found.is_empty() { Err("it needs `min_value` or `max_value`".to_owned()) } else { Ok(found) }
    }

    /// How many of the values that are there must hold.
    fn mostly(&self) -> Result<Tolerance, String> {
        match self.number("mostly")? {
            None => Ok(Tolerance::none()),
            Some(share) if (0.0..=1.0).contains(&share) => {
                Ok(Tolerance { measured: Measured::HoldingShare, operators: vec![Operator::GreaterOrEqual(share)] })
            }
            Some(share) => Err(format!("`mostly` must be from 0 to 1, not {share}")),
        }
    }

    fn range(&self) -> Result<RowTest, String> {
        let low = self.get("min_value").cloned().map(|value| (value, self.flag("strict_min")));
        let high = self.get("max_value").cloned().map(|value| (value, self.flag("strict_max")));
        if low.is_none() && high.is_none() {
            return Err("it needs `min_value` or `max_value`".to_owned());
        }
        Ok(RowTest::Range { low, high })
    }

    /// The only quantile that is asked for, and where it may be.
    fn quantile(&self) -> Result<(f64, Vec<Operator>), String> {
        let ranges = self.get("quantile_ranges").and_then(Value::as_object).ok_or("it needs `quantile_ranges`")?;
        let list = |name: &str| ranges.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let (ranks, limits) = (list("quantiles"), list("value_ranges"));
        let (Some(rank), [range]) = (ranks.first().and_then(Value::as_f64), limits.as_slice()) else {
            return Err("one quantile for each expectation: split it".to_owned());
        };
        let side = |at: usize| range.as_array().and_then(|pair| pair.get(at)).and_then(Value::as_f64);
        let mut operators: Vec<Operator> = side(0).map(Operator::GreaterOrEqual).into_iter().collect();
        operators.extend(side(1).map(Operator::LessOrEqual));
        Ok((rank, operators))
    }
}

/// `min_value` as `minValue`.
fn camel(name: &str) -> String {
    let mut out = String::new();
    let mut upper = false;
    for one in name.chars() {
        match (one, upper) {
            ('_', _) => upper = true,
            (_, true) => {
                out.push(one.to_ascii_uppercase());
                upper = false;
            }
            _ => out.push(one),
        }
    }
    out
}

/// Columns, check and tolerance of an expectation.
fn read(kind: &str, kwargs: &Kwargs<'_>) -> Result<(Vec<String>, Check, Tolerance), String> {
    if let Some(read) = of_values(kind, kwargs)? {
        return Ok((kwargs.column()?, Check::Row(read), kwargs.mostly()?));
    }
    if let Some(aggregate) = of_column(kind) {
        return Ok((kwargs.column()?, Check::Aggregate(aggregate), Tolerance::value(kwargs.between()?)));
    }
    let table = Vec::new;
    Ok(match kind {
        "expect_table_row_count_to_equal" => {
            (table(), Check::RowCount, Tolerance::value(vec![Operator::Be(kwargs.needed_number("value")?)]))
        }
        "expect_table_row_count_to_be_between" => (table(), Check::RowCount, Tolerance::value(kwargs.between()?)),
        "expect_table_column_count_to_equal" => {
            (table(), Check::ColumnCount, Tolerance::value(vec![Operator::Be(kwargs.needed_number("value")?)]))
        }
        "expect_table_column_count_to_be_between" => (table(), Check::ColumnCount, Tolerance::value(kwargs.between()?)),
        "expect_table_columns_to_match_set" => {
            // Great Expectations demands an exact match unless it is told otherwise.
            let exact = kwargs.get("exact_match").and_then(Value::as_bool).unwrap_or(true);
            (kwargs.texts("column_set")?, Check::Columns { ordered: false, exact }, Tolerance::none())
        }
        "expect_table_columns_to_match_ordered_list" => {
            (kwargs.texts("column_list")?, Check::Columns { ordered: true, exact: true }, Tolerance::none())
        }
        "expect_column_to_exist" => (kwargs.column()?, Check::Present, Tolerance::none()),
        "expect_column_values_to_be_unique" if !kwargs.has("mostly") => (kwargs.column()?, Check::Duplicates, Tolerance::none()),
        "expect_compound_columns_to_be_unique" if !kwargs.has("mostly") => {
            (kwargs.texts("column_list")?, Check::Duplicates, Tolerance::none())
        }
        "expect_column_values_to_be_of_type" => (kwargs.column()?, Check::PhysicalType(kwargs.text("type_")?), Tolerance::none()),
        "expect_column_distinct_values_to_contain_set" => {
            (kwargs.column()?, Check::Contains(kwargs.list("value_set")?), Tolerance::none())
        }
        "expect_column_quantile_values_to_be_between" => {
            let (rank, operators) = kwargs.quantile()?;
            (kwargs.column()?, Check::Aggregate(Aggregate::Quantile(rank)), Tolerance::value(operators))
        }
        "expect_column_pair_values_a_to_be_greater_than_b" => {
            let pair = if kwargs.flag("or_equal") { Pair::GreaterOrEqual } else { Pair::Greater };
            (pair_columns(kwargs)?, Check::Row(RowTest::Compare(pair)), kwargs.mostly()?)
        }
        "expect_column_pair_values_to_be_equal" => {
            (pair_columns(kwargs)?, Check::Row(RowTest::Compare(Pair::Equal)), kwargs.mostly()?)
        }
        "expect_multicolumn_sum_to_equal" => {
            let sum = kwargs.needed_number("sum_total")?;
            (kwargs.texts("column_list")?, Check::Row(RowTest::SumIs(sum)), kwargs.mostly()?)
        }
        "unexpected_rows_expectation" => {
            let query = kwargs.text("unexpected_rows_query")?.replace("{batch}", "{object}");
            let counted = format!("SELECT COUNT(*) FROM ({}) AS unexpected", query.trim().trim_end_matches(';'));
            (table(), Check::Sql(counted), Tolerance::value(vec![Operator::Be(0.0)]))
        }
        _ => return Err("it is not run here: write it as an `sql` rule".to_owned()),
    })
}

fn pair_columns(kwargs: &Kwargs<'_>) -> Result<Vec<String>, String> {
    let side =
        |name: &str| kwargs.0.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("it needs `{name}`"));
    match kwargs.get("ignore_row_if").and_then(Value::as_str) {
        // A row that lacks one side is never a violation here.
        None | Some("either_value_is_missing" | "both_values_are_missing") => Ok(vec![side("column_A")?, side("column_B")?]),
        Some(other) => Err(format!("`ignore_row_if: {other}` is not run here")),
    }
}

/// Expectations of each value by itself.
fn of_values(kind: &str, kwargs: &Kwargs<'_>) -> Result<Option<RowTest>, String> {
    let regex = |must: bool| kwargs.text("regex").map(|pattern| RowTest::Matches { pattern, must });
    Ok(Some(match kind {
        "expect_column_values_to_not_be_null" => RowTest::NotNull,
        "expect_column_values_to_be_null" => RowTest::Null,
        "expect_column_values_to_be_between" => kwargs.range()?,
        "expect_column_values_to_be_in_set" => RowTest::OneOf(kwargs.list("value_set")?),
        "expect_column_distinct_values_to_be_in_set" => RowTest::OneOf(kwargs.list("value_set")?),
        "expect_column_values_to_not_be_in_set" => RowTest::NoneOf(kwargs.list("value_set")?),
        "expect_column_values_to_match_regex" => regex(true)?,
        "expect_column_values_to_not_match_regex" => regex(false)?,
        "expect_column_values_to_not_match_regex_list" => RowTest::All(
            kwargs.texts("regex_list")?.into_iter().map(|pattern| RowTest::Matches { pattern, must: false }).collect(),
        ),
        "expect_column_values_to_match_regex_list" if kwargs.get("match_on").and_then(Value::as_str) == Some("all") => {
            RowTest::All(
                kwargs.texts("regex_list")?.into_iter().map(|pattern| RowTest::Matches { pattern, must: true }).collect(),
            )
        }
        "expect_column_value_lengths_to_be_between" => {
            RowTest::Length { least: kwargs.count("min_value")?, most: kwargs.count("max_value")? }
        }
        "expect_column_value_lengths_to_equal" => {
            let length = kwargs.count("value")?;
            RowTest::Length { least: length, most: length }
        }
        _ => return Ok(None),
    }))
}

/// Expectations of one number over a column.
fn of_column(kind: &str) -> Option<Aggregate> {
    Some(match kind {
        "expect_column_mean_to_be_between" => Aggregate::Mean,
        "expect_column_sum_to_be_between" => Aggregate::Sum,
        "expect_column_min_to_be_between" => Aggregate::Minimum,
        "expect_column_max_to_be_between" => Aggregate::Maximum,
        "expect_column_stdev_to_be_between" => Aggregate::StandardDeviation,
        "expect_column_median_to_be_between" => Aggregate::Quantile(0.5),
        "expect_column_unique_value_count_to_be_between" => Aggregate::Distinct,
        "expect_column_proportion_of_unique_values_to_be_between" => Aggregate::DistinctShare,
        "expect_column_proportion_of_non_null_values_to_be_between" => Aggregate::PresentShare,
        _ => return None,
    })
}
