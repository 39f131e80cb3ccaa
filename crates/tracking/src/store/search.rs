//! SQL of run searches: clauses become conditions on the run's row or `EXISTS` on what was logged to it.

use std::collections::HashSet;

use filter::{Clause, Comparison, Field, Literal, OrderBy};
use gate::Scope;
use kernel::Problem;
use vault::db::sql::{Binds, IN_COUNT_MAX, padded};
use vault::db::{DbError, Reader};

use super::keyset::{self, After, Key, Kind, Value};
use super::runs::{RUN_COLUMN_COUNT, RUN_COLUMNS, RunRow, run_of};
use crate::types::{DatasetSummary, View};

/// What a search asks for.
pub(crate) struct Search {
    pub(crate) clauses: Vec<Clause>,
    pub(crate) order: Vec<OrderBy>,
    pub(crate) view: View,
    pub(crate) limit: usize,
    pub(crate) after: Option<After>,
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

/// One page of runs of these experiments, heads only, and the token of the next one if there is one.
pub(crate) fn search(
    reader: &mut Reader<'_>,
    experiments: &[i64],
    search: &Search,
) -> Result<(Vec<RunRow>, Option<String>), Problem> {
    if experiments.is_empty() {
        return Ok((Vec::new(), None));
    }
    let after = search.after.clone().map(|after| whole(reader, experiments, after, &search.order)).transpose()?;
    let mut binds = Binds::default();
    let (joins, keys) = order(&search.order, &mut binds)?;
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
    if let Some(behind) = after.and_then(|after| keyset::behind(&keys, &after, &mut binds)) {
        conditions.push_str(" AND ");
        conditions.push_str(&behind);
    }
    let limit = i64::try_from(search.limit.saturating_add(1)).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT {RUN_COLUMNS}, {} FROM run r{joins} WHERE {conditions} ORDER BY {} LIMIT {}",
        keyset::columns(&keys),
        keyset::order(&keys),
        binds.int(limit)
    );
    let mut rows = reader.query(&sql, &binds.get(), |row| Ok((run_of(row)?, keyset::values(row, RUN_COLUMN_COUNT, &keys)?)))?;
    let has_more = rows.len() > search.limit;
    rows.truncate(search.limit);
    let next = rows.last().filter(|_| has_more).map(|(_, values)| keyset::token(&search.order, values));
    Ok((rows.into_iter().map(|(run, _)| run).collect(), next))
}

/// Where the page begins, with what was too long for its token: that is read of the run, by its id. Only of one that is searched, since anybody
/// can make up a token, and would learn of any run what it comes before.
fn whole(reader: &mut Reader<'_>, experiments: &[i64], after: After, by: &[OrderBy]) -> Result<After, Problem> {
    let mut binds = Binds::default();
    let (joins, keys) = order(by, &mut binds)?;
    after.check(&keys)?;
    if !after.has_long() {
        return Ok(after);
    }
    let id = match after.0.last() {
        Some(Value::Text(id)) => binds.text(id.as_str()),
        _ => return Err(keyset::broken()),
    };
    let sql = format!(
        "SELECT {} FROM run r{joins} WHERE r.run_id = {id} AND r.experiment_id IN {}",
        keyset::columns(&keys),
        binds.ints(experiments)
    );
    let read = reader.query_one(&sql, &binds.get(), |row| keyset::values(row, 0, &keys))?;
    let gone = || Problem::invalid("the run at which the page before ended is gone; begin again without the page token");
    Ok(after.with_long(read.ok_or_else(gone)?))
}

fn compare(column: &str, clause: &Clause, binds: &mut Binds) -> Result<String, Problem> {
    binds.compare(column, clause.comparison, &clause.literal).ok_or_else(unsupported)
}

fn unsupported() -> Problem {
    Problem::invalid("runs have no such field to filter or order by, or it cannot be compared like this")
}

/// The column of a run's attribute, what it holds, and whether it may be NULL.
fn column(attribute: &str) -> Result<(&'static str, Kind, bool), Problem> {
    Ok(match attribute {
        "run_id" => ("r.run_id", Kind::Text, false),
        "run_name" => ("r.name", Kind::Text, false),
        "user_id" => ("r.user_name", Kind::Text, false),
        "status" => ("r.status", Kind::Text, false),
        "start_time" => ("r.start_time_ms", Kind::Whole, false),
        "end_time" => ("r.end_time_ms", Kind::Whole, true),
        "artifact_uri" => ("r.artifact_uri", Kind::Text, false),
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

/// The joins that an order needs, and its keys: what is missing comes last, NaN just before it, ties by start and id.
fn order(order: &[OrderBy], binds: &mut Binds) -> Result<(String, Vec<Key>), Problem> {
    let mut joins = String::new();
    let mut keys = Vec::new();
    let mut seen = HashSet::new();
    let rank = |cases: &str| Key::new(format!("CAST(CASE {cases} ELSE 0 END AS BIGINT)"), Kind::Whole, true);
    for (index, by) in order.iter().enumerate() {
        if !seen.insert(&by.field) {
            return Err(Problem::invalid("`order_by` contains duplicate fields; name each field once"));
        }
        let (table, kind, key) = match &by.field {
            Field::Attribute(name) => {
                let (column, kind, nullable) = column(name)?;
                if nullable {
                    keys.push(rank(&format!("WHEN {column} IS NULL THEN 1")));
                }
                keys.push(Key::new(column, kind, by.ascending));
                continue;
            }
            Field::Metric(key) => ("latest_metric", Kind::Real, key),
            Field::Param(key) => ("param", Kind::Text, key),
            Field::Tag(key) => ("tag", Kind::Text, key),
            Field::Dataset(_) => return Err(unsupported()),
        };
        let place = binds.text(key.as_str());
        joins.push_str(&format!(" LEFT JOIN {table} o{index} ON o{index}.run_row = r.run_row AND o{index}.key = {place}"));
        let nan = if kind == Kind::Real { format!("WHEN o{index}.is_nan = 1 THEN 1 ") } else { String::new() };
        keys.push(rank(&format!("{nan}WHEN o{index}.value IS NULL THEN 2")));
        keys.push(Key::new(format!("o{index}.value"), kind, by.ascending));
    }
    if !seen.contains(&Field::Attribute("start_time")) {
        keys.push(Key::new("r.start_time_ms", Kind::Whole, false));
    }
    keys.push(Key::new("r.run_id", Kind::Text, true));
    Ok((joins, keys))
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
