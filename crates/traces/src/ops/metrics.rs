//! Metrics over traces, spans and assessments: counts, sums, means and percentiles of groups.

use std::collections::BTreeMap;

use gate::{Action, Operation, Permit, Target};
use kernel::{Kind, Problem};

use crate::store::metrics::{self, Filter, Measure, Plan, Sample};
use crate::store::search;
use crate::types::{Aggregation, MetricPoint, MetricQuery, MetricView};
use crate::{Traces, limits, rules};

/// Counts and sums over traces of experiments that the caller may see.
pub struct QueryMetrics {
    /// The room.
    pub room: Traces,
    /// What is asked.
    pub query: MetricQuery,
}

impl Operation for QueryMetrics {
    const ACTION: Action = super::TRACES_SEARCH;
    type Output = Vec<MetricPoint>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<MetricPoint>, Problem> {
        let query = self.query;
        let plan = plan(&query)?;
        let asked = super::search::experiments(&query.experiment_ids)?;
        let workspace = permit.workspace()?.to_owned();
        let scope = permit.scope().clone();
        self.room
            .db
            .read(&permit, move |reader| {
                let visible = search::visible(reader, &workspace, &scope, &asked)?;
                let mut groups = Groups::new(query.interval_s);
                metrics::samples(reader, &visible, &plan, |sample| groups.add(sample))?;
                Ok(groups.points(&query))
            })
            .await
    }
}

/// What a metric of a view measures, what may be made of it, and what it may be grouped by.
struct Known {
    measure: Measure,
    aggregations: &'static [&'static str],
    dimensions: &'static [&'static str],
}

const COUNTED: &[&str] = &["COUNT"];
const TIMED: &[&str] = &["AVG", "MAX", "MIN", "PERCENTILE"];
const SUMMED: &[&str] = &["AVG", "MAX", "MIN", "PERCENTILE", "SUM"];

fn known(view: MetricView, metric: &str) -> Option<Known> {
    let kept = |keys: [&'static str; 5]| keys.into_iter().find(|key| *key == metric).map(Measure::Kept);
    let of = |measure, aggregations, dimensions| Some(Known { measure, aggregations, dimensions });
    match (view, metric) {
        (MetricView::Traces, "trace_count") => of(Measure::One, COUNTED, &["trace_name", "trace_status"]),
        (MetricView::Traces, "latency") => of(Measure::Latency, TIMED, &["trace_name"]),
        (MetricView::Traces, _) => of(kept(crate::span_text::TOKEN_KEYS)?, SUMMED, &["trace_name"]),
        (MetricView::Spans, "span_count") => {
            of(Measure::One, COUNTED, &["span_model_name", "span_model_provider", "span_name", "span_status", "span_type"])
        }
        (MetricView::Spans, "latency") => of(Measure::Latency, TIMED, &["span_name", "span_status"]),
        (MetricView::Spans, _) => {
            let key = crate::span_text::COST_KEYS.into_iter().find(|key| *key == metric)?;
            of(Measure::Kept(key), SUMMED, &["span_model_name", "span_model_provider"])
        }
        (MetricView::Assessments, "assessment_count") => of(Measure::One, COUNTED, &["assessment_name", "assessment_value"]),
        (MetricView::Assessments, "assessment_value") => of(Measure::AssessmentValue, TIMED, &["assessment_name"]),
        (MetricView::Assessments, _) => None,
    }
}

fn plan(query: &MetricQuery) -> Result<Plan, Problem> {
    let parts = [query.aggregations.len(), query.dimensions.len(), query.filters.len()];
    if parts.into_iter().any(|count| count > limits::METRIC_PART_COUNT_MAX) {
        let most = limits::METRIC_PART_COUNT_MAX;
        return Err(Problem::invalid(format!("a query has at most {most} aggregations, {most} dimensions and {most} filters")));
    }
    let most = i64::try_from(limits::METRIC_POINT_COUNT_MAX).unwrap_or(i64::MAX);
    if !(1..=most).contains(&query.max_results) {
        return Err(Problem::invalid(format!("`max_results` must be between 1 and {most}, got {}", query.max_results)));
    }
    if query.interval_s.is_some_and(|seconds| !(1..=1_000_000_000).contains(&seconds)) {
        return Err(Problem::invalid("`time_interval_seconds` must be a positive number of seconds"));
    }
    if query.interval_s.is_some() && (query.start_ms.is_none() || query.end_ms.is_none()) {
        return Err(Problem::invalid("start_time_ms and end_time_ms are required if time_interval_seconds is set"));
    }
    let unknown =
        || Problem::invalid(format!("metric_name is not one of the view {}, got '{}'", query.view.word(), short(&query.metric)));
    let known = known(query.view, &query.metric).ok_or_else(unknown)?;
    for aggregation in &query.aggregations {
        if !known.aggregations.contains(&aggregation.word()) {
            let (word, all) = (aggregation.word(), known.aggregations);
            return Err(Problem::invalid(format!(
                "Found invalid aggregation_type(s): ['{word}']. Supported aggregation types: {all:?}"
            )));
        }
        if let Aggregation::Percentile(percent) = aggregation
            && !(0.0..=100.0).contains(percent)
        {
            return Err(Problem::invalid(format!("Percentile value must be between 0 and 100, got {percent}")));
        }
    }
    let mut dimensions = Vec::with_capacity(query.dimensions.len());
    for name in &query.dimensions {
        let column = metrics::dimension(query.view, name).filter(|_| known.dimensions.contains(&name.as_str()));
        let unknown = || {
            Problem::invalid(format!(
                "Found invalid dimension(s): ['{}']. Supported dimensions: {:?}",
                short(name),
                known.dimensions
            ))
        };
        dimensions.push(column.ok_or_else(unknown)?);
    }
    let filters = query.filters.iter().map(|text| filter(query.view, text)).collect::<Result<_, _>>()?;
    Ok(Plan { view: query.view, measure: known.measure, dimensions, filters, start_ms: query.start_ms, end_ms: query.end_ms })
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

/// One condition such as `trace.tag.team = "x"`.
fn filter(view: MetricView, text: &str) -> Result<Filter, Problem> {
    rules::no_nul("a filter", text)?;
    let invalid =
        || Problem::invalid(format!("Invalid filter: '{}'. Expected one comparison such as trace.status = \"OK\".", short(text)));
    let (left, right) = text.split_once('=').ok_or_else(invalid)?;
    let value = right.trim();
    let value =
        ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote)).ok_or_else(invalid)?.to_owned();
    let left = left.trim();
    let (kind, rest) = left.split_once('.').ok_or_else(invalid)?;
    let (entity, key) =
        rest.split_once('.').map_or((rest, None), |(entity, key)| (entity, Some(key.trim_matches('`').to_owned())));
    match (kind, entity, key, view) {
        ("trace", "status", None, _) => Ok(Filter::Column("t.state", value)),
        ("trace", "tag", Some(key), _) => Ok(Filter::Pair("trace_tag", key, value)),
        ("trace", "metadata", Some(key), _) => Ok(Filter::Pair("trace_metadata", key, value)),
        ("span", "name", None, MetricView::Spans) => Ok(Filter::Column("s.name", value)),
        ("span", "status", None, MetricView::Spans) => Ok(Filter::Column("s.status", value)),
        ("span", "type", None, MetricView::Spans) => Ok(Filter::Column("s.kind", value)),
        ("assessment", "name", None, MetricView::Assessments) => Ok(Filter::Column("a.name", value)),
        ("assessment", "type", None, MetricView::Assessments) => Ok(Filter::Column("a.kind", value)),
        ("span" | "assessment", ..) => {
            Err(Problem::invalid(format!("Filtering by {kind} is only supported for its own view, got {}", view.word())))
        }
        _ => Err(invalid()),
    }
}

/// The rows by group, in the order of their keys.
struct Groups {
    interval_ms: Option<i64>,
    all: BTreeMap<(Option<i64>, Vec<String>), Vec<f64>>,
    row_count: usize,
}

impl Groups {
    fn new(interval_s: Option<i64>) -> Self {
        Self { interval_ms: interval_s.map(|seconds| seconds.saturating_mul(1_000)), all: BTreeMap::new(), row_count: 0 }
    }

    fn add(&mut self, sample: Sample) -> Result<(), Problem> {
        self.row_count += 1;
        // What has no such dimension or value is left out.
        let (Some(group), Some(value)) = (sample.group.into_iter().collect::<Option<Vec<String>>>(), sample.value) else {
            return Ok(());
        };
        let bucket = self.interval_ms.map(|width| sample.time_ms.div_euclid(width).saturating_mul(width));
        self.all.entry((bucket, group)).or_default().push(value);
        if self.row_count > limits::METRIC_ROW_COUNT_MAX || self.all.len() > limits::METRIC_GROUP_COUNT_MAX {
            let text = format!(
                "the query goes through more than {} rows or {} groups; narrow it by time or filters",
                limits::METRIC_ROW_COUNT_MAX,
                limits::METRIC_GROUP_COUNT_MAX
            );
            return Err(Problem::new(Kind::TooLarge, text));
        }
        Ok(())
    }

    fn points(self, query: &MetricQuery) -> Vec<MetricPoint> {
        let most = usize::try_from(query.max_results).unwrap_or(0);
        self.all
            .into_iter()
            .take(most)
            .map(|((time_bucket_ms, group), mut values)| {
                values.sort_by(f64::total_cmp);
                MetricPoint {
                    time_bucket_ms,
                    dimensions: query.dimensions.iter().cloned().zip(group).collect(),
                    values: query.aggregations.iter().map(|made| (made.label(), of_sorted(*made, &values))).collect(),
                }
            })
            .collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
fn of_sorted(aggregation: Aggregation, values: &[f64]) -> f64 {
    let (count, sum) = (values.len() as f64, values.iter().sum::<f64>());
    match aggregation {
        Aggregation::Count => count,
        Aggregation::Sum => sum,
        Aggregation::Avg => sum / count,
        Aggregation::Min => values.first().copied().unwrap_or(f64::NAN),
        Aggregation::Max => values.last().copied().unwrap_or(f64::NAN),
        Aggregation::Percentile(percent) => percentile(values, percent),
    }
}

/// Linear between the two nearest values (R. Hyndman, Y. Fan, "Sample Quantiles in Statistical Packages", 1996, type 7).
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the place lies within the list"
)]
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let place = percent / 100.0 * (sorted.len().saturating_sub(1)) as f64;
    let below = place.floor();
    let at = |index: f64| sorted.get(index as usize).or(sorted.last()).copied().unwrap_or(f64::NAN);
    let (low, high) = (at(below), at(place.ceil()));
    low + (high - low) * (place - below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_their_neighbours() {
        for (percent, expected) in [(0.0, 1.0), (50.0, 2.5), (100.0, 4.0), (25.0, 1.75)] {
            assert!((percentile(&[1.0, 2.0, 3.0, 4.0], percent) - expected).abs() < 1e-12, "{percent}");
        }
        assert!((percentile(&[7.0], 99.0) - 7.0).abs() < 1e-12);
    }

    #[test]
    fn filters_are_one_comparison_of_their_own_view() {
        assert!(
            matches!(filter(MetricView::Traces, "trace.status = \"OK\""), Ok(Filter::Column("t.state", text)) if text == "OK")
        );
        assert!(
            matches!(filter(MetricView::Spans, "trace.tag.`a.b` = 'x=y'"), Ok(Filter::Pair("trace_tag", key, text)) if key == "a.b" && text == "x=y")
        );
        for bad in [
            "",
            "trace.status",
            "trace.status = OK",
            "status = 'x'",
            "trace.tag = 'x'",
            "trace.status.x = 'y'",
            "span.name = 'x'",
            "trace.status != 'OK'",
        ] {
            assert!(filter(MetricView::Traces, bad).is_err(), "{bad}");
        }
    }
}
