//! A sum of whole numbers does not wrap round: it is taken over decimals of 38 digits.
//!
//! The engine's own sum of 64-bit numbers starts again at the lowest number when it passes the highest. Rows made for it
//! would so make a sum look small, and a rule about it hold.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::{AggregateFunction, Cast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use arrow_schema::DataType;

/// Wide enough for any 64-bit number; sums of it get ten digits more.
const WIDE: DataType = DataType::Decimal128(20, 0);

/// The rule, which runs before types are made to fit, so that what uses the sum fits too.
#[derive(Debug)]
pub(crate) struct WholeSums;

impl AnalyzerRule for WholeSums {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mut changed = false;
        plan.transform_up_with_subqueries(|plan| {
            let LogicalPlan::Aggregate(aggregate) = &plan else {
                // What stands above a sum sees its new type.
                return Ok(if changed { Transformed::yes(plan.recompute_schema()?) } else { Transformed::no(plan) });
            };
            let input = Arc::clone(&aggregate.input);
            let preserver = NamePreserver::new(&plan);
            let plan = plan.map_expressions(|expr| {
                let name = preserver.save(&expr);
                Ok(widened(expr, &input)?.update_data(|expr| name.restore(expr)))
            })?;
            changed |= plan.transformed;
            Ok(if changed { Transformed::yes(plan.data.recompute_schema()?) } else { plan })
        })
        .map(|done| done.data)
    }

    fn name(&self) -> &'static str {
        "whole_sums"
    }
}

fn widened(expr: Expr, input: &LogicalPlan) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match expr {
        Expr::AggregateFunction(AggregateFunction { func, mut params }) if func.name() == "sum" => {
            let whole = match params.args.first() {
                Some(argument) => argument.get_type(input.schema())?.is_integer(),
                None => false,
            };
            if whole {
                params.args = params.args.into_iter().map(|argument| Expr::Cast(Cast::new(Box::new(argument), WIDE))).collect();
            }
            Ok(Transformed::new_transformed(Expr::AggregateFunction(AggregateFunction { func, params }), whole))
        }
        other => Ok(Transformed::no(other)),
    })
}
