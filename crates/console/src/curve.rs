//! A metric over the steps of some runs: a picture, and the same as a table. A small module lets one point at it and drag over it; without scripts
//! the form narrows the steps.

use std::collections::BTreeMap;

use askama::Template;
use gate::{Operation, Visitor};
use http::Method;
use kernel::Problem;
use tracking::RunMetricPoint;
use tracking::ops::{GetMetricCurve, GetRun};
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::board::{if_allowed, part, shortened};
use crate::page::page_in;
use crate::query::Query;
use crate::runs::number;
use crate::runs_compare::chosen;

const PAGE: &str = "/console/curve";
/// Steps that are drawn and listed, about; of more, the lowest and the highest of each stretch.
const STEP_COUNT_MAX: usize = 200;
/// Values that are listed, about: many runs have fewer steps each.
const VALUE_COUNT_MAX: usize = 600;
/// Letters of a run's name.
const NAME_CHARS_MAX: usize = 60;
/// Kinds of lines in the style sheet.
const LINE_KIND_COUNT: usize = 10;
/// The picture's size and its room for the axes, in its own units.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const BELOW: f64 = 30.0;
const ABOVE: f64 = 12.0;
const TICK_COUNT: i32 = 5;

/// A run's name and the kind of its line.
struct Curve {
    id: String,
    name: String,
    kind: usize,
}

#[derive(Template)]
#[template(path = "curve.html")]
struct CurveTemplate {
    key: String,
    curves: Vec<Curve>,
    picture: String,
    from: String,
    to: String,
    whole: String,
    /// A step and the value of each run there.
    rows: Vec<(i64, Vec<String>)>,
    /// Steps that are shown, and those that there are.
    shown_count: usize,
    step_count: usize,
}

/// Where a metric's curve is.
pub fn address<'a>(key: &str, run_ids: impl IntoIterator<Item = &'a str>) -> String {
    let runs: String = run_ids.into_iter().map(|id| format!("&run={}", part(id))).collect();
    format!("{PAGE}?key={}{runs}", part(key))
}

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.tracking.clone();
    door.choice(Method::GET, PAGE, &[GetMetricCurve::ACTION, GetRun::ACTION], move |inbound| {
        let (room, query) = (room.clone(), Query::of(inbound)?);
        let key = query.get("key").ok_or_else(|| Problem::invalid("`key` names the metric"))?.to_owned();
        let (ids, steps) = (chosen(&query, 1)?, steps(&query)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, room, key, ids, steps).await })))
    });
}

fn steps(query: &Query) -> Result<(Option<i64>, Option<i64>), Problem> {
    let whole = |name: &str| {
        let parsed = query.get(name).map(str::parse).transpose();
        parsed.map_err(|_| Problem::invalid(format!("`{name}` is a step: a whole number")))
    };
    Ok((whole("from")?, whole("to")?))
}

async fn shown(
    visitor: &Visitor,
    room: tracking::Tracking,
    key: String,
    ids: Vec<String>,
    (from, to): (Option<i64>, Option<i64>),
) -> Result<Answer, Problem> {
    let narrowed = (from.is_some() || to.is_some()).then(|| (from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX)));
    let wanted = GetMetricCurve {
        room: room.clone(),
        run_ids: ids.clone(),
        key: key.clone(),
        steps: narrowed,
        step_count_max: (VALUE_COUNT_MAX / ids.len().max(1)).min(STEP_COUNT_MAX),
    };
    let found = visitor.call(wanted).await?;
    let mut curves = Vec::with_capacity(ids.len());
    for (kind, id) in ids.iter().enumerate() {
        let found = if_allowed(visitor, GetRun { room: room.clone(), run_id: id.clone() }).await?;
        let name = found.map(|run| run.info.name).filter(|name| !name.is_empty()).unwrap_or_else(|| id.clone());
        let name = shortened(&name, NAME_CHARS_MAX);
        curves.push(Curve { id: id.clone(), name, kind: kind % LINE_KIND_COUNT });
    }
    let rows = by_step(&found.points, &ids);
    let text = |step: Option<i64>| step.map(|step| step.to_string()).unwrap_or_default();
    let template = CurveTemplate {
        picture: picture(&rows, &curves),
        shown_count: found.shown_count,
        step_count: found.step_count,
        whole: address(&key, ids.iter().map(String::as_str)),
        rows: rows.into_iter().map(|(step, values)| (step, values.into_iter().map(shown_value).collect())).collect(),
        key,
        curves,
        from: text(from),
        to: text(to),
    };
    page_in(visitor.workspace(), &template)
}

fn shown_value(value: Option<f64>) -> String {
    value.map(number).unwrap_or_default()
}

/// The last value of each run at each step.
fn by_step(points: &[RunMetricPoint], ids: &[String]) -> BTreeMap<i64, Vec<Option<f64>>> {
    let mut rows: BTreeMap<i64, Vec<Option<f64>>> = BTreeMap::new();
    for one in points {
        let row = rows.entry(one.point.step).or_insert_with(|| vec![None; ids.len()]);
        if let Some(value) = ids.iter().position(|id| *id == one.run_id).and_then(|place| row.get_mut(place)) {
            *value = Some(one.point.value);
        }
    }
    rows
}

/// The picture. It holds numbers only: names stand beside it.
fn picture(rows: &BTreeMap<i64, Vec<Option<f64>>>, curves: &[Curve]) -> String {
    let drawn = || rows.values().flatten().flatten().copied().filter(|value| value.is_finite());
    let (low, high) = (drawn().fold(f64::INFINITY, f64::min), drawn().fold(f64::NEG_INFINITY, f64::max));
    let (Some(first), Some(last)) = (rows.keys().next(), rows.keys().next_back()) else { return String::new() };
    if low > high {
        return String::new();
    }
    let (first, last) = (real(*first), real(*last));
    // What does not change is a line in the middle.
    let around = 0.5_f64.max(low.abs() / 1_000.0);
    let (low, high) = if low == high { ((low - around).max(f64::MIN), (high + around).min(f64::MAX)) } else { (low, high) };
    let x = |step: f64| LEFT + (step - first) / (last - first).max(1.0) * (WIDTH - LEFT - 10.0);
    // The whole way from the lowest to the highest number there is is no number; half of it is one.
    let scale = if (high - low).is_finite() { 1.0 } else { 0.5 };
    let y = |value: f64| {
        let share = (high * scale - value * scale) / (high * scale - low * scale);
        ABOVE + share * (HEIGHT - ABOVE - BELOW)
    };
    let mut shapes = String::new();
    for tick in 0..=TICK_COUNT {
        let share = f64::from(tick) / f64::from(TICK_COUNT);
        let (value, step) = (low * (1.0 - share) + high * share, (first + (last - first) * share).round());
        shapes.push_str(&format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"end\" x=\"{}\" y=\"{:.1}\">{}</text><text class=\"mid\" x=\"{:.1}\" y=\"{}\">{step}</text>",
            LEFT - 8.0,
            y(value) + 4.0,
            number(value),
            x(step).clamp(LEFT + 8.0, WIDTH - 24.0),
            HEIGHT - 8.0,
            at = y(value),
        ));
    }
    for (place, curve) in curves.iter().enumerate() {
        let values = rows.iter().filter_map(|(step, values)| Some((x(real(*step)), (*values.get(place)?)?)));
        let points: Vec<(f64, f64)> = values.filter(|(_, value)| value.is_finite()).map(|(at, value)| (at, y(value))).collect();
        let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        shapes.push_str(&format!("<polyline class=\"line kind-{}\" points=\"{}\"/>", curve.kind, line.join(" ")));
        if let [(x, y)] = points.as_slice() {
            shapes.push_str(&format!("<circle class=\"dot kind-{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>", curve.kind));
        }
    }
    format!(
        "<svg id=\"curve\" class=\"curve\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" \
         aria-label=\"The values over the steps; the table below has the same\" data-first=\"{first}\" data-last=\"{last}\" \
         data-left=\"{LEFT}\" data-right=\"{}\">{shapes}</svg>",
        WIDTH - 10.0
    )
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
const fn real(step: i64) -> f64 {
    step as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_holds_numbers_only_and_leaves_gaps_where_there_is_none() {
        let rows =
            BTreeMap::from([(0, vec![Some(1.0), None]), (5, vec![Some(f64::NAN), Some(3.0)]), (10, vec![Some(2.0), None])]);
        let curve = |kind| Curve { id: "<r>".to_owned(), name: "<n>".to_owned(), kind };
        let drawn = picture(&rows, &[curve(0), curve(1)]);
        assert!(drawn.contains("points=\"70.0,330.0 890.0,171.0\"") && drawn.contains("<circle class=\"dot kind-1\""), "{drawn}");
        assert!(!drawn.contains("NaN") && !drawn.contains("<r>") && !drawn.contains("<n>") && !drawn.contains("style="));
        assert_eq!(picture(&BTreeMap::from([(0, vec![Some(f64::INFINITY)])]), &[curve(0)]), "");
        for values in [[1e16, 1e16], [f64::MAX, -f64::MAX], [5e-324, 0.0], [f64::MAX, f64::MAX]] {
            let drawn = picture(&BTreeMap::from([(0, vec![Some(values[0])]), (1, vec![Some(values[1])])]), &[curve(0)]);
            assert!(!drawn.contains("NaN") && !drawn.contains("\"inf") && !drawn.contains(",inf"), "{values:?} {drawn}");
        }
        assert!(picture(&BTreeMap::from([(3, vec![Some(7.0)])]), &[curve(0)]).contains("<circle"));
    }
}
