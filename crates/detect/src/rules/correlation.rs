//! The part of Sigma's correlations that this program has: `event_count`, `value_count`, `temporal`, `temporal_ordered`, with
//! `group-by`, `timespan`, `aliases`, and a condition of `gt`, `gte`, `eq`, or of a lower bound with `lt` or `lte`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Rules that one correlation refers to.
const REFER_COUNT_MAX: usize = 16;
/// Fields that it groups by.
const GROUP_COUNT_MAX: usize = 4;
/// The longest time that it looks back.
const TIMESPAN_S_MAX: i64 = 7 * 86_400;
/// The highest count that it waits for: so much is kept of each group.
const COUNT_MAX: u64 = 1_000;

/// How hits are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorrelationKind {
    /// So many hits.
    EventCount,
    /// Hits with so many different values of this field.
    ValueCount(String),
    /// Each of the rules at least once.
    Temporal,
    /// Each of the rules, in their order.
    TemporalOrdered,
}

/// A correlation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correlation {
    /// How hits are joined.
    pub kind: CorrelationKind,
    /// The names or ids of the rules whose hits they are.
    pub refers: Vec<String>,
    /// Where those are among all rules.
    pub(crate) places: Vec<usize>,
    /// The fields, or aliases of fields, that must be the same.
    pub group_by: Vec<String>,
    /// How far apart hits may be.
    pub timespan_s: i64,
    /// From how many on it counts.
    pub at_least: u64,
    /// Up to how many it counts, if there is such a bound: then it is told of once no more can come.
    pub at_most: Option<u64>,
    /// Whether the rules that it refers to tell by themselves, too.
    pub(crate) generates: bool,
    /// What a field is called in a rule.
    aliases: BTreeMap<String, BTreeMap<String, String>>,
}

impl Correlation {
    /// What a field to group by is called in the rule at `refer` of its own list.
    pub(crate) fn field<'a>(&'a self, group: &'a str, refer: usize) -> &'a str {
        let named = self.aliases.get(group).zip(self.refers.get(refer)).and_then(|(names, rule)| names.get(rule));
        named.map_or(group, String::as_str)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(rename = "type")]
    kind: String,
    rules: Vec<String>,
    #[serde(rename = "group-by", default)]
    group_by: Vec<String>,
    timespan: String,
    #[serde(default)]
    aliases: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    condition: Option<Condition>,
    /// Sigma asks with this for alerts of the rules that are referred to; here their level says so, where they give one.
    #[serde(default, rename = "generate")]
    generates: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(default)]
    gt: Option<u64>,
    #[serde(default)]
    gte: Option<u64>,
    #[serde(default)]
    lt: Option<u64>,
    #[serde(default)]
    lte: Option<u64>,
    #[serde(default)]
    eq: Option<u64>,
    #[serde(default)]
    field: Option<String>,
}

impl Condition {
    /// From how many to how many.
    fn bounds(&self) -> Result<(u64, Option<u64>), String> {
        let lower = one_of(("gt", self.gt.map(|count| count.saturating_add(1))), ("gte", self.gte))?;
        let upper = one_of(("lt", self.lt.map(|count| count.saturating_sub(1))), ("lte", self.lte))?;
        match (self.eq, lower, upper) {
            (Some(count), None, None) => Ok((count, Some(count))),
            (Some(_), ..) => Err("`eq` is a condition by itself".to_owned()),
            (None, Some(lower), Some(upper)) if lower > upper => {
                Err("nothing lies between the two bounds of its condition".to_owned())
            }
            (None, Some(lower), upper) => Ok((lower, upper)),
            (None, None, Some(_)) => {
                Err("an upper bound goes with `gt` or `gte`, because what has not happened is no event".to_owned())
            }
            (None, None, None) => {
                Err("its condition is `gt`, `gte` or `eq`, or one of the first two with `lt` or `lte`".to_owned())
            }
        }
    }
}

fn one_of(one: (&str, Option<u64>), other: (&str, Option<u64>)) -> Result<Option<u64>, String> {
    match (one.1, other.1) {
        (Some(_), Some(_)) => Err(format!("of `{}` and `{}` a condition has one", one.0, other.0)),
        (count, None) | (None, count) => Ok(count),
    }
}

/// Reads a correlation.
pub(super) fn read(value: &Value) -> Result<Correlation, String> {
    let text = Text::deserialize(value).map_err(|error| {
        let message: String = error.to_string().chars().take(200).collect();
        format!("`correlation`: {message}; of conditions there are `gt`, `gte`, `lt`, `lte` and `eq`")
    })?;
    if text.rules.is_empty() || text.rules.len() > REFER_COUNT_MAX {
        return Err(format!("a correlation refers to 1 to {REFER_COUNT_MAX} rules"));
    }
    if let Some(again) = text.rules.iter().enumerate().find(|(at, rule)| text.rules.iter().take(*at).any(|other| other == *rule))
    {
        return Err(format!("a correlation refers to the rule `{}` once", super::shown(again.1)));
    }
    if text.group_by.len() > GROUP_COUNT_MAX {
        return Err(format!("a correlation groups by at most {GROUP_COUNT_MAX} fields"));
    }
    let field = text.condition.as_ref().and_then(|one| one.field.clone());
    let kind = match (text.kind.as_str(), field) {
        ("event_count", None) => CorrelationKind::EventCount,
        ("value_count", Some(field)) => CorrelationKind::ValueCount(field),
        ("value_count", None) => return Err("a `value_count` needs a `field` in its condition".to_owned()),
        ("temporal", None) => CorrelationKind::Temporal,
        ("temporal_ordered", None) => CorrelationKind::TemporalOrdered,
        ("event_count" | "temporal" | "temporal_ordered", Some(_)) => {
            return Err("only a `value_count` has a `field`".to_owned());
        }
        _ => return Err("a correlation is an event_count, value_count, temporal or temporal_ordered".to_owned()),
    };
    let is_temporal = matches!(kind, CorrelationKind::Temporal | CorrelationKind::TemporalOrdered);
    let (at_least, at_most) = match (&text.condition, is_temporal) {
        (None, true) => (1, None),
        (Some(_), true) => return Err("a temporal correlation has no condition: each rule counts once".to_owned()),
        (condition, false) => condition.as_ref().unwrap_or(&Condition::default()).bounds()?,
    };
    if is_temporal && text.rules.len() < 2 {
        return Err("a temporal correlation joins at least two rules".to_owned());
    }
    if !(1..=COUNT_MAX).contains(&at_least) || at_most.is_some_and(|most| most > COUNT_MAX) {
        return Err(format!("a condition counts from 1 to {COUNT_MAX}"));
    }
    let timespan_s = seconds(&text.timespan)?;
    if !(1..=TIMESPAN_S_MAX).contains(&timespan_s) {
        return Err("a `timespan` is from 1s to 7d".to_owned());
    }
    let known = |alias: &String| text.group_by.contains(alias);
    if let Some(unused) = text.aliases.keys().find(|alias| !known(alias)) {
        return Err(format!("the alias `{}` is not grouped by", super::shown(unused)));
    }
    if let Some(stranger) = text.aliases.values().flat_map(|names| names.keys()).find(|rule| !text.rules.contains(rule)) {
        return Err(format!("an alias names the rule `{}`, which the correlation does not refer to", super::shown(stranger)));
    }
    let Text { rules, group_by, aliases, generates, .. } = text;
    Ok(Correlation { kind, refers: rules, places: Vec::new(), group_by, timespan_s, at_least, at_most, generates, aliases })
}

/// A time such as `10m`, in seconds.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{}` is no time such as 30s, 10m, 1h or 2d", super::shown(text));
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let count = text.strip_suffix(unit).and_then(|count| count.parse::<i64>().ok()).filter(|count| *count > 0);
    let each = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    count.and_then(|count| count.checked_mul(each)).ok_or_else(wrong)
}
