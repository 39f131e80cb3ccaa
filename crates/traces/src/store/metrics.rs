//! SQL of metrics over traces, spans and assessments. The engines have no percentile in common, so the rows come here, one by
//! one, and are put into groups by the verb.

use kernel::Problem;
use vault::db::Reader;
use vault::db::sql::Binds;

use crate::types::MetricView;

/// A query whose words are known.
pub(crate) struct Plan {
    pub(crate) view: MetricView,
    /// What is measured: one of the constants below.
    pub(crate) measure: Measure,
    /// What the rows are grouped by.
    pub(crate) dimensions: Vec<&'static str>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) start_ms: Option<i64>,
    pub(crate) end_ms: Option<i64>,
}

/// Where the value of a row comes from.
#[derive(Clone, Copy)]
pub(crate) enum Measure {
    /// Each row counts as one.
    One,
    /// How long it took, in milliseconds.
    Latency,
    /// A number that is kept beside it, by key: tokens of a trace, costs of a span.
    Kept(&'static str),
    /// The value of an assessment.
    AssessmentValue,
}

/// One condition.
pub(crate) enum Filter {
    /// A column equals a text.
    Column(&'static str, String),
    /// A tag or an entry of the metadata equals a text.
    Pair(&'static str, String, String),
}

/// One row: when, which group, which value.
pub(crate) struct Sample {
    pub(crate) time_ms: i64,
    pub(crate) group: Vec<Option<String>>,
    pub(crate) value: Option<f64>,
}

/// The column of a dimension of a view.
pub(crate) fn dimension(view: MetricView, name: &str) -> Option<&'static str> {
    Some(match (view, name) {
        (MetricView::Traces, "trace_name") => "n.value",
        (MetricView::Traces, "trace_status") => "t.state",
        (MetricView::Spans, "span_name") => "s.name",
        (MetricView::Spans, "span_type") => "s.kind",
        (MetricView::Spans, "span_status") => "s.status",
        (MetricView::Spans, "span_model_name") => "s.model",
        (MetricView::Spans, "span_model_provider") => "s.provider",
        (MetricView::Assessments, "assessment_name") => "a.name",
        (MetricView::Assessments, "assessment_value") => "a.value",
        _ => return None,
    })
}

/// Hands each row of these experiments to `each`, until that fails.
pub(crate) fn samples(
    reader: &mut Reader<'_>,
    experiments: &[i64],
    plan: &Plan,
    mut each: impl FnMut(Sample) -> Result<(), Problem>,
) -> Result<(), Problem> {
    if experiments.is_empty() {
        return Ok(());
    }
    let mut binds = Binds::default();
    let sql = statement(experiments, plan, &mut binds);
    let is_text = matches!(plan.measure, Measure::AssessmentValue);
    let mut failed = None;
    reader.for_each(&sql, &binds.get(), |row| {
        if failed.is_some() {
            return Ok(());
        }
        let value = if is_text { row.opt_text(1)?.and_then(|text| number_of(&text)) } else { row.opt_real(1)? };
        let mut group = Vec::with_capacity(plan.dimensions.len());
        for column in 0..plan.dimensions.len() {
            group.push(row.opt_text(column + 2)?);
        }
        failed = each(Sample { time_ms: row.int(0)?, group, value }).err();
        Ok(())
    })?;
    failed.map_or(Ok(()), Err)
}

fn statement(experiments: &[i64], plan: &Plan, binds: &mut Binds) -> String {
    let (join, time) = match plan.view {
        MetricView::Traces => ("", "t.request_time_ms"),
        MetricView::Spans => (" JOIN trace_span s ON s.trace_row = t.trace_row", "(s.start_time_ns / 1000000)"),
        MetricView::Assessments => (" JOIN trace_assessment a ON a.trace_row = t.trace_row", "a.created_ms"),
    };
    let mut joins = join.to_owned();
    let value = match plan.measure {
        Measure::One => "CAST(1 AS DOUBLE PRECISION)",
        Measure::Latency if plan.view == MetricView::Spans => {
            "CAST((s.end_time_ns - s.start_time_ns) / 1000000 AS DOUBLE PRECISION)"
        }
        Measure::Latency => "CAST(t.duration_ms AS DOUBLE PRECISION)",
        Measure::AssessmentValue => "a.value",
        Measure::Kept(key) => {
            let key = binds.text(key);
            joins.push_str(&match plan.view {
                MetricView::Spans => {
                    format!(" JOIN trace_span_metric m ON m.trace_row = s.trace_row AND m.span_id = s.span_id AND m.key = {key}")
                }
                _ => format!(" JOIN trace_metric m ON m.trace_row = t.trace_row AND m.key = {key}"),
            });
            "m.value"
        }
    };
    if plan.dimensions.contains(&"n.value") {
        joins.push_str(" JOIN trace_tag n ON n.trace_row = t.trace_row AND n.key = 'mlflow.traceName'");
    }
    let mut conditions = format!("t.experiment_id IN {}", binds.ints(experiments));
    for (bound, compared) in [(plan.start_ms, ">="), (plan.end_ms, "<=")] {
        if let Some(bound) = bound {
            conditions.push_str(&format!(" AND t.request_time_ms {compared} {}", binds.int(bound)));
        }
    }
    for filter in &plan.filters {
        conditions.push_str(&match filter {
            Filter::Column(column, text) => format!(" AND {column} = {}", binds.text(text.as_str())),
            Filter::Pair(table, key, text) => {
                let (key, text) = (binds.text(key.as_str()), binds.text(text.as_str()));
                format!(
                    " AND EXISTS (SELECT 1 FROM {table} x WHERE x.trace_row = t.trace_row AND x.key = {key} AND x.value = {text})"
                )
            }
        });
    }
    let columns: String = plan.dimensions.iter().map(|column| format!(", {column}")).collect();
    format!("SELECT {time}, {value}{columns} FROM trace t{joins} WHERE {conditions}")
}

/// The number of an assessment's value: `yes` and `no` count as 1 and 0, as judges give them.
fn number_of(json: &str) -> Option<f64> {
    match json {
        "true" | "\"yes\"" => Some(1.0),
        "false" | "\"no\"" => Some(0.0),
        text => text.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}
