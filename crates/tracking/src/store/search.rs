//! SQL of run searches: clauses become conditions on the run's row or `EXISTS` on what was logged to it.

use std::collections::HashSet;

use filter::{Clause, Comparison, Field, Literal, OrderBy};
use gate::Scope;
use kernel::Problem;
use vault::db::sql::{Binds, IN_COUNT_MAX, padded};
use vault::db::{DbError, Reader};

use super::runs::{RUN_COLUMNS, RunRow, run_of};
use crate::types::{DatasetSummary, View};

/// What a search asks for.
pub(crate) struct Search {
    pub(crate) clauses: Vec<Clause>,
    pub(crate) order: Vec<OrderBy>,
    pub(crate) view: View,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

/// Of the experiments asked for, those of this workspace that the caller may list.
pub(crate) fn visible_experiments(
    reader: &mut Reader<'_>,
    workspace_id: &str,
    scope: &Scope,
    asked: &[i64],
) -> Result<Vec<i64>, DbError> {
    let granted: Option<HashSet<i64>> = match scope {
        Scope::Nothing | Scope::Workspaces(_) | Scope::Datasets(_) => return Ok(Vec::new()),
        Scope::Workspace => None,
        Scope::Only { experiments, .. } => Some(experiments.iter().copied().collect()),
    };
    let mut wanted: Vec<i64> = asked.iter().copied().filter(|id| granted.as_ref().is_none_or(|ids| ids.contains(id))).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut visible = Vec::with_capacity(wanted.len());
    for chunk in wanted.chunks(IN_COUNT_MAX) {
        let (places, mut binds) = padded(chunk);
        binds.push(workspace_id.into());
        let sql =
            format!("SELECT experiment_id FROM experiment WHERE experiment_id IN {places} AND workspace_id = ${}", binds.len());
        visible.extend(reader.query(&sql, &binds, |row| row.int(0))?);
    }
    Ok(visible)
}

/// One page of runs of these experiments, and one more if there is one: heads only.
pub(crate) fn search(reader: &mut Reader<'_>, experiments: &[i64], search: &Search) -> Result<Vec<RunRow>, Problem> {
    if experiments.is_empty() {
        return Ok(Vec::new());
    }
    let mut binds = Binds::default();
    let mut conditions = match experiments {
        [one] => format!("r.experiment_id = {}", binds.int(*one)),
        many => format!("r.experiment_id IN {}", binds.ints(many)),
    };
    conditions.push_str(match search.view {
        View::Active => " AND r.deleted = 0",
        View::Deleted => " AND r.deleted = 1",
        View::All => "",
    });
    for clause in &search.clauses {
        conditions.push_str(" AND ");
        conditions.push_str(&condition(clause, &mut binds)?);
    }
    let (joins, order) = order(&search.order, &mut binds)?;
    let sql = format!(
        "SELECT {RUN_COLUMNS} FROM run r{joins} WHERE {conditions} ORDER BY {order} LIMIT {} OFFSET {}",
        binds.int(search.limit),
        binds.int(search.offset)
    );
    Ok(reader.query(&sql, &binds.get(), run_of)?)
}

fn compare(column: &str, clause: &Clause, binds: &mut Binds) -> Result<String, Problem> {
    binds.compare(column, clause.comparison, &clause.literal).ok_or_else(unsupported)
}

fn unsupported() -> Problem {
    Problem::invalid("runs have no such field to filter or order by, or it cannot be compared like this")
}

/// The column of a run's attribute, and whether it may be NULL.
fn column(attribute: &str) -> Result<(&'static str, bool), Problem> {
    Ok(match attribute {
        "run_id" => ("r.run_id", false),
        "run_name" => ("r.name", false),
        "user_id" => ("r.user_name", false),
        "status" => ("r.status", false),
        "start_time" => ("r.start_time_ms", false),
        "end_time" => ("r.end_time_ms", true),
        "artifact_uri" => ("r.artifact_uri", false),
        _ => return Err(unsupported()),
    })
}

fn condition(clause: &Clause, binds: &mut Binds) -> Result<String, Problem> {
    match &clause.field {
        Field::Attribute(name) => compare(column(name)?.0, clause, binds),
        Field::Metric(key) => logged("latest_metric", key, clause, binds),
        Field::Param(key) => logged("param", key, clause, binds),
        Field::Tag(key) => logged("tag", key, clause, binds),
        Field::Dataset(what) => dataset(what, clause, binds),
    }
}

fn logged(table: &str, key: &str, clause: &Clause, binds: &mut Binds) -> Result<String, Problem> {
    let rows = format!("SELECT 1 FROM {table} x WHERE x.run_row = r.run_row AND x.key = {}", binds.text(key));
    Ok(match (clause.comparison, &clause.literal) {
        (Comparison::IsNull, _) => format!("NOT EXISTS ({rows})"),
        (Comparison::IsNotNull, _) => format!("EXISTS ({rows})"),
        // NaN is kept as 0 beside a flag, and compares with nothing.
        (_, Literal::Number(_)) => format!("EXISTS ({rows} AND x.is_nan = 0 AND {})", compare("x.value", clause, binds)?),
        _ => format!("EXISTS ({rows} AND {})", compare("x.value", clause, binds)?),
    })
}

fn dataset(what: &str, clause: &Clause, binds: &mut Binds) -> Result<String, Problem> {
    let inputs = "SELECT 1 FROM run_input i JOIN dataset d ON d.dataset_row = i.dataset_row";
    let of_run = "WHERE i.run_row = r.run_row AND";
    Ok(match what {
        "name" => format!("EXISTS ({inputs} {of_run} {})", compare("d.name", clause, binds)?),
        "digest" => format!("EXISTS ({inputs} {of_run} {})", compare("d.digest", clause, binds)?),
        "context" => format!(
            "EXISTS (SELECT 1 FROM run_input i JOIN run_input_tag t ON t.input_row = i.input_row AND t.key = 'mlflow.data.context' {of_run} {})",
            compare("t.value", clause, binds)?
        ),
        _ => return Err(unsupported()),
    })
}

/// The joins that an order needs, and the order: what is missing comes last, NaN just before it, ties by start and id.
fn order(order: &[OrderBy], binds: &mut Binds) -> Result<(String, String), Problem> {
    let mut joins = String::new();
    let mut keys = Vec::new();
    let mut seen = HashSet::new();
    for (index, by) in order.iter().enumerate() {
        if !seen.insert(&by.field) {
            return Err(Problem::invalid("`order_by` contains duplicate fields; name each field once"));
        }
        let direction = if by.ascending { "ASC" } else { "DESC" };
        let (table, key) = match &by.field {
            Field::Attribute(name) => {
                let (column, nullable) = column(name)?;
                if nullable {
                    keys.push(format!("CASE WHEN {column} IS NULL THEN 1 ELSE 0 END"));
                }
                keys.push(format!("{column} {direction}"));
                continue;
            }
            Field::Metric(key) => ("latest_metric", key),
            Field::Param(key) => ("param", key),
            Field::Tag(key) => ("tag", key),
            Field::Dataset(_) => return Err(unsupported()),
        };
        let place = binds.text(key.as_str());
        joins.push_str(&format!(" LEFT JOIN {table} o{index} ON o{index}.run_row = r.run_row AND o{index}.key = {place}"));
        let nan = if table == "latest_metric" { format!("WHEN o{index}.is_nan = 1 THEN 1 ") } else { String::new() };
        keys.push(format!("CASE {nan}WHEN o{index}.value IS NULL THEN 2 ELSE 0 END"));
        keys.push(format!("o{index}.value {direction}"));
    }
    if !seen.contains(&Field::Attribute("start_time")) {
        keys.push("r.start_time_ms DESC".to_owned());
    }
    keys.push("r.run_id".to_owned());
    Ok((joins, keys.join(", ")))
}

/// The datasets of these experiments, each with what it was used for.
pub(crate) fn datasets(reader: &mut Reader<'_>, experiments: &[i64], limit: i64) -> Result<Vec<DatasetSummary>, DbError> {
    if experiments.is_empty() {
        return Ok(Vec::new());
    }
    let (places, mut binds) = padded(experiments);
    binds.push(limit.into());
    let sql = format!(
        "SELECT DISTINCT d.experiment_id, d.name, d.digest, t.value FROM dataset d \
         JOIN run_input i ON i.dataset_row = d.dataset_row \
         LEFT JOIN run_input_tag t ON t.input_row = i.input_row AND t.key = 'mlflow.data.context' \
         WHERE d.experiment_id IN {places} ORDER BY d.experiment_id, d.name, d.digest, t.value LIMIT ${}",
        binds.len()
    );
    reader.query(&sql, &binds, |row| {
        Ok(DatasetSummary { experiment_id: row.int(0)?, name: row.text(1)?, digest: row.text(2)?, context: row.opt_text(3)? })
    })
}
