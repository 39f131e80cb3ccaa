//! `metrics/…`: histories, page by page, of many runs, and sampled.

use http::Method;
use kernel::Problem;
use tracking::ops::{GetMetricHistory, GetMetricHistoryBulk, GetMetricHistoryBulkInterval};
use tracking::{Tracking, limits};

use super::json::{Fields, missing};
use super::{bound, tracking_view};
use crate::{Door, Inbound};

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Tracking) {
    let get = Method::GET;
    door.mlflow(get.clone(), "/mlflow/metrics/get-history", bound(room, history), tracking_view::history);
    door.mlflow(get.clone(), "/mlflow/metrics/get-history-bulk", bound(room, bulk), tracking_view::bulk_history);
    door.mlflow(get, "/mlflow/metrics/get-history-bulk-interval", bound(room, interval), tracking_view::interval_history);
}

fn history(room: &Tracking, inbound: &Inbound) -> Result<GetMetricHistory, Problem> {
    let fields = Fields::of(inbound)?;
    Ok(GetMetricHistory {
        room: room.clone(),
        run_id: super::runs::run_id(&fields)?,
        key: fields.need_text("metric_key")?,
        page_token: fields.text("page_token")?,
        max_results: fields.int("max_results")?,
    })
}

fn bulk(room: &Tracking, inbound: &Inbound) -> Result<GetMetricHistoryBulk, Problem> {
    let fields = Fields::of(inbound)?;
    let run_ids = fields.texts("run_id")?;
    if run_ids.is_empty() {
        return Err(Problem::invalid("GetMetricHistoryBulk request must specify at least one run_id."));
    }
    let key = fields.text("metric_key")?;
    Ok(GetMetricHistoryBulk {
        room: room.clone(),
        run_ids,
        key: key.ok_or_else(|| Problem::invalid("GetMetricHistoryBulk request must specify a metric_key."))?,
        max_results: match fields.int("max_results")? {
            Some(count) => count,
            None => i64::try_from(limits::HISTORY_PAGE_POINT_COUNT_MAX).unwrap_or(i64::MAX),
        },
    })
}

fn interval(room: &Tracking, inbound: &Inbound) -> Result<GetMetricHistoryBulkInterval, Problem> {
    interval_of(room, &Fields::of(inbound)?)
}

pub(super) fn interval_of(room: &Tracking, fields: &Fields) -> Result<GetMetricHistoryBulkInterval, Problem> {
    let run_ids = fields.texts("run_ids")?;
    if run_ids.is_empty() {
        return Err(missing("run_ids"));
    }
    if run_ids.len() > limits::HISTORY_RUN_COUNT_MAX {
        return Err(Problem::invalid(format!(
            "GetMetricHistoryBulkInterval request must specify at most {} run_ids. Received {} run_ids.",
            limits::HISTORY_RUN_COUNT_MAX,
            run_ids.len()
        )));
    }
    let key = fields.need_text("metric_key")?;
    let most = limits::HISTORY_INTERVAL_STEP_COUNT_MAX;
    let max_results = fields.int("max_results")?.unwrap_or(most);
    if !(1..=most).contains(&max_results) {
        return Err(Problem::invalid(format!("max_results must be between 1 and {most}.")));
    }
    let steps = match (fields.int("start_step")?, fields.int("end_step")?) {
        (None, None) => None,
        (Some(start), Some(end)) if start <= end => Some((start, end)),
        (Some(start), Some(end)) => {
            return Err(Problem::invalid(format!(
                "end_step must be greater than start_step. Found start_step={start} and end_step={end}."
            )));
        }
        _ => {
            return Err(Problem::invalid("If either start step or end step are specified, both must be specified."));
        }
    };
    Ok(GetMetricHistoryBulkInterval { room: room.clone(), run_ids, key, steps, max_results })
}
