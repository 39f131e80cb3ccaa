//! Limits as a contract writes them, in the units of the column that they limit.

use arrow_schema::DataType;
use serde_json::Value;

use super::values::is_whole;
use crate::instant::{self, unit_ns};

/// A range; each end with whether it is open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits<T> {
    pub(crate) low: Option<(T, bool)>,
    pub(crate) high: Option<(T, bool)>,
}

/// A limit as it is written, and whether it is open.
type Written<'a> = Option<&'a (Value, bool)>;

impl<T: PartialOrd + Copy> Limits<T> {
    /// Whether a value is inside.
    pub(crate) fn hold(&self, value: T) -> bool {
        let above = self.low.is_none_or(|(low, open)| if open { value > low } else { value >= low });
        let below = self.high.is_none_or(|(high, open)| if open { value < high } else { value <= high });
        above && below
    }
}

fn both<T>(low: Written<'_>, high: Written<'_>, read: impl Fn(&Value) -> Result<T, String>) -> Result<Limits<T>, String> {
    let end = |written: Written<'_>| written.map(|(value, open)| read(value).map(|value| (value, *open))).transpose();
    Ok(Limits { low: end(low)?, high: end(high)? })
}

impl Limits<f64> {
    /// Limits of numbers.
    pub(crate) fn floats(low: Written<'_>, high: Written<'_>) -> Result<Self, String> {
        both(low, high, |value| {
            let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
            number.ok_or_else(|| format!("the limit `{value}` is no number, but the column holds numbers"))
        })
    }
}

impl Limits<i128> {
    /// Limits of whole numbers: from the first to the last that is inside.
    pub(crate) fn wholes(low: Written<'_>, high: Written<'_>) -> Result<(i128, i128), String> {
        let limits = both(low, high, whole)?;
        let low = limits.low.map_or(i128::MIN, |(edge, open)| edge.first(open));
        let high = limits.high.map_or(i128::MAX, |(edge, open)| edge.last(open));
        Ok((low, high))
    }

    /// Limits of times, in nanoseconds.
    pub(crate) fn times(low: Written<'_>, high: Written<'_>, of_day: bool) -> Result<Self, String> {
        both(low, high, |value| {
            let text = value.as_str().unwrap_or_default();
            let read = if of_day { instant::time_nanoseconds(text).map(i128::from) } else { instant::nanoseconds(text) };
            read.ok_or_else(|| format!("the limit `{value}` is no date or time: write it in quotes, as `2024-01-31T00:00:00Z`"))
        })
    }

    /// The first and the last tick inside, where one tick is so many nanoseconds.
    pub(crate) fn ticks(&self, unit: i128) -> (i128, i128) {
        let low = self.low.map_or(i128::MIN, |(low, open)| match (low.div_euclid(unit), low.rem_euclid(unit)) {
            (tick, 0) if !open => tick,
            (tick, _) => tick + 1,
        });
        let high = self.high.map_or(i128::MAX, |(high, open)| match (high.div_euclid(unit), high.rem_euclid(unit)) {
            (tick, 0) if open => tick - 1,
            (tick, _) => tick,
        });
        (low, high)
    }
}

/// A limit between or at whole numbers.
#[derive(Clone, Copy)]
struct Edge {
    floor: i128,
    exact: bool,
}

impl Edge {
    const fn first(self, open: bool) -> i128 {
        if self.exact && !open { self.floor } else { self.floor.saturating_add(1) }
    }

    const fn last(self, open: bool) -> i128 {
        if self.exact && open { self.floor.saturating_sub(1) } else { self.floor }
    }
}

fn whole(value: &Value) -> Result<Edge, String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        other => return Err(format!("the limit `{other}` is no number, but the column holds numbers")),
    };
    if let Ok(exact) = text.parse::<i128>() {
        return Ok(Edge { floor: exact, exact: true });
    }
    let number: f64 = text.parse().map_err(|_| format!("the limit `{text}` is no number, but the column holds numbers"))?;
    if number.is_nan() {
        return Err("the limit is no number".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "a cast that stops at the ends is what is wanted")]
    Ok(Edge { floor: number.floor() as i128, exact: number.fract() == 0.0 })
}

/// A set of values as whole numbers or ticks, sorted; `None` if the column holds neither. What cannot occur in it is left out.
pub(crate) fn whole_set(values: &[Value], data_type: &DataType) -> Option<Vec<i128>> {
    let unit = unit_ns(data_type);
    if unit.is_none() && !is_whole(data_type) {
        return None;
    }
    let of_day = matches!(data_type, DataType::Time32(_) | DataType::Time64(_));
    let one = |value: &Value| match unit {
        // Yes and no are 1 and 0 where a reader took them for numbers.
        None => value.as_bool().map(i128::from).or_else(|| whole(value).ok().filter(|edge| edge.exact).map(|edge| edge.floor)),
        Some(unit) => {
            let text = value.as_str()?;
            let read = if of_day { instant::time_nanoseconds(text).map(i128::from) } else { instant::nanoseconds(text) }?;
            (read.rem_euclid(unit) == 0).then(|| read.div_euclid(unit))
        }
    };
    let mut set: Vec<i128> = values.iter().filter_map(one).collect();
    set.sort_unstable();
    set.dedup();
    Some(set)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(low: Option<(Value, bool)>, high: Option<(Value, bool)>, wanted: (i128, i128)) {
        assert_eq!(Limits::wholes(low.as_ref(), high.as_ref()).unwrap(), wanted);
    }

    #[test]
    fn limits_of_whole_numbers() {
        let max = i64::MAX;
        check(Some((json!(1), false)), Some((json!(5), false)), (1, 5));
        check(Some((json!(1), true)), Some((json!(5), true)), (2, 4));
        check(Some((json!(0.5), false)), Some((json!(5.5), false)), (1, 5));
        check(Some((json!(0.5), true)), Some((json!(-0.5), true)), (1, -1));
        check(Some((json!(max), true)), None, (i128::from(max) + 1, i128::MAX));
        check(Some((json!("7"), false)), Some((json!(1e30), false)), (7, 1_000_000_000_000_000_019_884_624_838_656));
        assert!(Limits::wholes(Some(&(json!("x"), false)), None).is_err());
        assert!(Limits::wholes(Some(&(json!(true), false)), None).is_err());
    }

    #[test]
    fn limits_of_times_in_ticks() {
        let at = |text: &str, open| Some((json!(text), open));
        let day = instant::DAY_NS;
        let ticks = |low: Option<(Value, bool)>, high: Option<(Value, bool)>| {
            Limits::times(low.as_ref(), high.as_ref(), false).unwrap().ticks(day)
        };
        assert_eq!(ticks(at("1970-01-02", false), at("1970-01-04", false)), (1, 3));
        assert_eq!(ticks(at("1970-01-02", true), at("1970-01-04", true)), (2, 2));
        assert_eq!(ticks(at("1970-01-02T12:00:00Z", false), at("1970-01-04T12:00:00Z", false)), (2, 3));
        assert_eq!(ticks(at("1969-12-31", false), None), (-1, i128::MAX));
    }

    #[test]
    fn sets_keep_what_can_occur() {
        assert_eq!(whole_set(&[json!(3), json!("1"), json!(2.5), json!("x"), json!(3)], &DataType::Int8), Some(vec![1, 3]));
        assert_eq!(whole_set(&[json!("1970-01-02")], &DataType::Date32), Some(vec![1]));
        assert_eq!(whole_set(&[json!(1)], &DataType::Utf8), None);
    }
}
