//! What a plan may hold: reading and computing, nothing else.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;

use super::error::QueryError;

/// Steps of a plan, and expressions of all of them.
const STEP_COUNT_MAX: usize = 2_000;
/// Columns that one step hands on.
const COLUMN_COUNT_MAX: usize = 65_536;

/// Refuses a plan that does anything but read the job's tables and compute, or is too large.
///
/// # Errors
/// `Refused`.
pub(crate) fn check(plan: &LogicalPlan) -> Result<(), QueryError> {
    let mut steps = 0_usize;
    let mut why = None;
    let walked = plan.apply_with_subqueries(|step| {
        steps = steps.saturating_add(1);
        if !is_reading(step) {
            why = Some(format!("`{}` is not run here; write a SELECT", name(step)));
        } else if steps > STEP_COUNT_MAX {
            why = Some(format!("the query has more than {STEP_COUNT_MAX} steps; split it"));
        } else if step.schema().fields().len() > COLUMN_COUNT_MAX {
            why = Some(format!("a step of the query has more than {COLUMN_COUNT_MAX} columns; name those that you need"));
        }
        Ok(if why.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match (walked, why) {
        (_, Some(why)) => Err(QueryError::Refused(why)),
        (Err(error), None) => Err(QueryError::planning(&error)),
        (Ok(_), None) => Ok(()),
    }
}

/// Whether a plan gives one row by its form: an aggregate without groups, a limit of one, or a `SELECT` over no table, of which the
/// engine itself says that it gives none.
pub(crate) fn gives_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        LogicalPlan::Projection(step) => gives_one_row(&step.input),
        LogicalPlan::SubqueryAlias(step) => gives_one_row(&step.input),
        other => other.max_rows() == Some(1),
    }
}

/// Named one by one, so that a step that a new release brings is refused until somebody has looked at it.
fn is_reading(step: &LogicalPlan) -> bool {
    matches!(
        step,
        LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Distinct(_)
    )
}

fn name(step: &LogicalPlan) -> String {
    let shown = step.display().to_string();
    shown.split([':', ' ']).next().unwrap_or_default().to_owned()
}
