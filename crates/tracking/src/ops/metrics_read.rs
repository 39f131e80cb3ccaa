//! Reads metrics' histories: of one run page by page, of many runs at once, and sampled.

use std::collections::{BTreeMap, BTreeSet};

use gate::{Action, Operation, Permit, Scope, Target};
use kernel::Problem;
use vault::db::Reader;

use crate::points::Point;
use crate::store::metrics;
use crate::types::{MetricPoint, Page, RunMetricPoint};
use crate::{Tracking, limits, rules};

/// Reads one page of a metric's history, in order of time, step and value.
pub struct GetMetricHistory {
    /// The room.
    pub room: Tracking,
    /// The run.
    pub run_id: String,
    /// The metric.
    pub key: String,
    /// How many at most; a page holds [`limits::HISTORY_PAGE_POINT_COUNT_MAX`] where none is given.
    pub max_results: Option<i64>,
    /// Where to go on.
    pub page_token: Option<String>,
}

impl Operation for GetMetricHistory {
    const ACTION: Action = super::METRICS_READ;
    type Output = Page<MetricPoint>;

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<MetricPoint>, Problem> {
        rules::no_nul("metric_key", &self.key)?;
        let row = super::run_row(&permit, &self.run_id)?;
        let offset = super::offset(self.page_token.as_deref())?;
        let limit = page_limit(self.max_results)?;
        let key = self.key.clone();
        let points = self.room.db.read(&permit, move |reader| metrics::history(reader, row, &key)).await?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = points.get(from..).unwrap_or_default();
        let page = rest.get(..limit).unwrap_or(rest);
        let more = rest.len() > page.len();
        let next = u64::try_from(from.saturating_add(page.len())).unwrap_or(u64::MAX);
        Ok(Page {
            items: page.iter().map(|point| shown(&self.key, point)).collect(),
            next_page_token: more.then(|| filter::encode_page_token(next)),
        })
    }
}

fn page_limit(asked: Option<i64>) -> Result<usize, Problem> {
    match asked {
        // MLflow's protocol cannot tell 0 from nothing.
        None | Some(0) => Ok(limits::HISTORY_PAGE_POINT_COUNT_MAX),
        Some(count) => match usize::try_from(count) {
            Ok(count) => Ok(count.min(limits::HISTORY_PAGE_POINT_COUNT_MAX)),
            Err(_) => Err(Problem::invalid(format!(
                "Invalid value {count} for parameter 'max_results' supplied. It must be a positive integer"
            ))),
        },
    }
}

fn shown(key: &str, point: &Point) -> MetricPoint {
    MetricPoint { key: key.to_owned(), value: point.value, timestamp_ms: point.timestamp_ms, step: point.step }
}

/// Reads the histories of one metric in many runs, by run, time, step and value.
pub struct GetMetricHistoryBulk {
    /// The room.
    pub room: Tracking,
    /// The runs; those that the caller may not see are left out.
    pub run_ids: Vec<String>,
    /// The metric.
    pub key: String,
    /// How many at most, over all runs.
    pub max_results: i64,
}

impl Operation for GetMetricHistoryBulk {
    const ACTION: Action = super::METRICS_READ;
    type Output = Vec<RunMetricPoint>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<RunMetricPoint>, Problem> {
        let count = self.run_ids.len();
        if count > limits::HISTORY_RUN_COUNT_MAX {
            return Err(Problem::invalid(format!(
                "GetMetricHistoryBulk request cannot specify more than {} run_ids. Received {count} run_ids.",
                limits::HISTORY_RUN_COUNT_MAX
            )));
        }
        rules::no_nul("metric_key", &self.key)?;
        let limit = usize::try_from(self.max_results).unwrap_or(0).min(limits::HISTORY_PAGE_POINT_COUNT_MAX);
        let workspace = permit.workspace()?.to_owned();
        let scope = permit.scope().clone();
        let Self { room, run_ids, key, .. } = self;
        room.db
            .read(&permit, move |reader| {
                let mut all = Vec::new();
                for (row, run_id) in metrics::rows_of_runs(reader, &workspace, &scope, &run_ids)? {
                    let room_left = limit.saturating_sub(all.len());
                    if room_left == 0 {
                        break;
                    }
                    let points = metrics::history(reader, row, &key)?;
                    let shown = points.iter().take(room_left).map(|point| shown(&key, point));
                    all.extend(shown.map(|point| RunMetricPoint { run_id: run_id.clone(), point }));
                }
                Ok(all)
            })
            .await
    }
}

/// Reads evenly spaced steps of one metric in many runs, for charts.
pub struct GetMetricHistoryBulkInterval {
    /// The room.
    pub room: Tracking,
    /// The runs; those that the caller may not see are left out.
    pub run_ids: Vec<String>,
    /// The metric.
    pub key: String,
    /// From which to which step; all of them where none is given.
    pub steps: Option<(i64, i64)>,
    /// How many steps at most, beside each run's first and last.
    pub max_results: i64,
}

impl Operation for GetMetricHistoryBulkInterval {
    const ACTION: Action = super::METRICS_READ;
    type Output = Vec<RunMetricPoint>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<RunMetricPoint>, Problem> {
        rules::no_nul("metric_key", &self.key)?;
        let count = usize::try_from(self.max_results.clamp(1, limits::HISTORY_INTERVAL_STEP_COUNT_MAX)).unwrap_or(1);
        let workspace = permit.workspace()?.to_owned();
        let scope = permit.scope().clone();
        let Self { room, run_ids, key, steps, .. } = self;
        room.db
            .read(&permit, move |reader| {
                let too_many = "these runs have too many points to sample at once; ask for fewer runs";
                let histories = histories(reader, (&workspace, &scope), (&run_ids, &key), too_many)?;
                Ok(sampled(&histories, &key, steps, count))
            })
            .await
    }
}

/// One metric of each run that is there, in the order of the request, as MLflow answers.
fn histories(
    reader: &mut Reader<'_>,
    (workspace, scope): (&str, &Scope),
    (run_ids, key): (&[String], &str),
    too_many: &'static str,
) -> Result<Vec<(String, Vec<Point>)>, Problem> {
    let mut all = Vec::new();
    let mut total = 0_usize;
    for (row, run_id) in metrics::rows_of_runs(reader, workspace, scope, run_ids)? {
        let points = metrics::history(reader, row, key)?;
        total = total.saturating_add(points.len());
        if total > limits::HISTORY_POINT_COUNT_MAX {
            return Err(Problem::invalid(too_many));
        }
        all.push((run_id, points));
    }
    all.sort_by_key(|(run_id, _)| run_ids.iter().position(|id| id == run_id));
    Ok(all)
}

/// Reads one metric of many runs for a picture: of each stretch of steps where it is lowest and where it is highest, so that no spike is lost.
pub struct GetMetricCurve {
    /// The room.
    pub room: Tracking,
    /// The runs; those that the caller may not see are left out.
    pub run_ids: Vec<String>,
    /// The metric.
    pub key: String,
    /// From which to which step; all of them where none is given.
    pub steps: Option<(i64, i64)>,
    /// How many steps at most, about.
    pub step_count_max: usize,
}

/// A metric's curve.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricCurve {
    /// The points, by run and step.
    pub points: Vec<RunMetricPoint>,
    /// How many steps they are of.
    pub shown_count: usize,
    /// How many there are.
    pub step_count: usize,
}

impl Operation for GetMetricCurve {
    const ACTION: Action = super::METRICS_READ;
    type Output = MetricCurve;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<MetricCurve, Problem> {
        rules::no_nul("metric_key", &self.key)?;
        let (workspace, scope) = (permit.workspace()?.to_owned(), permit.scope().clone());
        let Self { room, run_ids, key, steps, step_count_max } = self;
        room.db
            .read(&permit, move |reader| {
                let too_many = "these runs have too many points to draw at once; choose fewer runs";
                let histories = histories(reader, (&workspace, &scope), (&run_ids, &key), too_many)?;
                Ok(curve(&histories, &key, steps.unwrap_or((i64::MIN, i64::MAX)), step_count_max))
            })
            .await
    }
}

fn curve(histories: &[(String, Vec<Point>)], key: &str, (first, last): (i64, i64), count_max: usize) -> MetricCurve {
    // The last point of a step is the one that counts.
    let by_run: Vec<BTreeMap<i64, Point>> = histories
        .iter()
        .map(|(_, points)| points.iter().filter(|one| (first..=last).contains(&one.step)).map(|one| (one.step, *one)).collect())
        .collect();
    let all: BTreeSet<i64> = by_run.iter().flat_map(|run| run.keys().copied()).collect();
    let all: Vec<i64> = all.into_iter().collect();
    let chosen = if all.len() <= count_max { all.iter().copied().collect() } else { extremes(&by_run, &all, count_max) };
    let mut points = Vec::new();
    for ((run_id, _), run) in histories.iter().zip(&by_run) {
        let shown_points = run.values().filter(|point| chosen.contains(&point.step));
        points.extend(shown_points.map(|point| RunMetricPoint { run_id: run_id.clone(), point: shown(key, point) }));
    }
    MetricCurve { points, shown_count: chosen.len(), step_count: all.len() }
}

/// Stretches of a curve, however many runs it is of.
const STRETCH_COUNT_MIN: usize = 4;

/// The first and the last step, of each stretch those where a run is lowest, highest, or no number, and some evenly between.
fn extremes(by_run: &[BTreeMap<i64, Point>], all: &[i64], count_max: usize) -> BTreeSet<i64> {
    let stretch_count = (count_max / (2 * by_run.len().max(1))).max(STRETCH_COUNT_MIN);
    let mut chosen: BTreeSet<i64> = all.first().into_iter().chain(all.last()).copied().collect();
    chosen.extend(all.iter().step_by(all.len().div_ceil((count_max / 2).max(1))));
    for stretch in all.chunks(all.len().div_ceil(stretch_count)) {
        let (Some(from), Some(to)) = (stretch.first(), stretch.last()) else { continue };
        for run in by_run {
            let numbers = || run.range(*from..=*to).map(|(_, point)| point).filter(|point| point.value.is_finite());
            let lowest = numbers().min_by(|one, other| one.value.total_cmp(&other.value));
            let highest = numbers().max_by(|one, other| one.value.total_cmp(&other.value));
            let no_number = run.range(*from..=*to).map(|(_, point)| point).find(|point| !point.value.is_finite());
            chosen.extend([lowest, highest, no_number].into_iter().flatten().map(|point| point.step));
        }
    }
    chosen
}

/// The points at the sampled steps, by run, step, time and value.
fn sampled(histories: &[(String, Vec<Point>)], key: &str, steps: Option<(i64, i64)>, count: usize) -> Vec<RunMetricPoint> {
    let all: BTreeSet<i64> = histories.iter().flat_map(|(_, points)| points.iter().map(|point| point.step)).collect();
    let all: Vec<i64> = all.into_iter().collect();
    let (first, last) = steps.unwrap_or((0, all.last().copied().unwrap_or(0)));
    let mut chosen: BTreeSet<i64> = sampled_steps(&all, first, last, count);
    for (_, points) in histories {
        let ends = [points.iter().map(|p| p.step).min(), points.iter().map(|p| p.step).max()];
        chosen.extend(ends.into_iter().flatten().filter(|step| (first..=last).contains(step)));
    }
    let mut shown_points = Vec::new();
    for (run_id, points) in histories {
        let mut of_run: Vec<Point> = points.iter().copied().filter(|point| chosen.contains(&point.step)).collect();
        // The history is in order of time; a stable sort keeps that within a step.
        of_run.sort_by_key(|point| point.step);
        of_run.truncate(limits::HISTORY_PAGE_POINT_COUNT_MAX);
        shown_points.extend(of_run.iter().map(|point| RunMetricPoint { run_id: run_id.clone(), point: shown(key, point) }));
    }
    shown_points
}

/// `count` evenly spaced ones of the steps between `first` and `last`, and the last of them.
fn sampled_steps(all: &[i64], first: i64, last: i64, count: usize) -> BTreeSet<i64> {
    let from = all.partition_point(|step| *step < first);
    let to = all.partition_point(|step| *step <= last);
    let within = all.get(from..to).unwrap_or_default();
    if within.len() <= count {
        return within.iter().copied().collect();
    }
    let spaced = (0..count).filter_map(|i| within.get(i.saturating_mul(within.len()) / count));
    spaced.chain(within.last()).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_sampled_evenly_with_both_ends() {
        let check = |all: Vec<i64>, first, last, count, expected: &[i64]| {
            assert_eq!(sampled_steps(&all, first, last, count).into_iter().collect::<Vec<_>>(), expected);
        };
        check((0..10).collect(), 0, 10, 5, &[0, 2, 4, 6, 8, 9]);
        check((0..10).collect(), 4, 8, 5, &[4, 5, 6, 7, 8]);
        check((0..=100).step_by(20).collect(), 0, 100, 5, &[0, 20, 40, 60, 80, 100]);
        check((0..=1000).step_by(10).collect(), 0, 1000, 5, &[0, 200, 400, 600, 800, 1000]);
        check(Vec::new(), 0, 10, 5, &[]);
        check(vec![1, 2, 3], 5, 1, 5, &[]);
    }

    #[test]
    fn no_spike_is_lost_by_a_curve() {
        let value = |step: i64| match step {
            7_777 => 99.0,
            7_778 => -99.0,
            3_333 => f64::NAN,
            _ => 1.0,
        };
        let points: Vec<Point> = (0..10_000).map(|step| Point { timestamp_ms: step, step, value: value(step) }).collect();
        let whole = (i64::MIN, i64::MAX);
        let found = curve(&[("a".to_owned(), points.clone())], "m", whole, 200);
        assert_eq!(found.step_count, 10_000);
        assert!(found.shown_count <= 400 && found.points.len() == found.shown_count, "{}", found.shown_count);
        let has = |step: i64| found.points.iter().any(|one| one.point.step == step);
        assert!(has(0) && has(3_333) && has(7_777) && has(7_778) && has(9_999));
        let few = curve(&[("a".to_owned(), points)], "m", (10, 19), 200);
        assert_eq!((few.shown_count, few.step_count), (10, 10), "few are all shown");
    }
}
