//! SQL of trace searches: clauses become conditions on the trace's row or `EXISTS` on what hangs on it.

use std::collections::HashSet;

use filter::{Comparison, Literal, TraceClause, TraceField, TraceOrder};
use gate::Scope;
use kernel::{Kind, Problem};
use serde_json::Value as Json;
use vault::db::Reader;
use vault::db::sql::{Binds, IN_COUNT_MAX, like_literal, like_pattern};

use super::traces::{HEAD, Head, head_of};
use crate::attribution::RUN;
use crate::limits;

/// What a search asks for.
pub(crate) struct Search {
    pub(crate) clauses: Vec<TraceClause>,
    pub(crate) order: Vec<TraceOrder>,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

/// Of the experiments asked for, those of this workspace that the caller may list.
pub(crate) fn visible(reader: &mut Reader<'_>, workspace_id: &str, scope: &Scope, asked: &[i64]) -> Result<Vec<i64>, Problem> {
    let granted: Option<HashSet<i64>> = match scope {
        Scope::Nothing | Scope::Workspaces(_) | Scope::Datasets(_) => return Ok(Vec::new()),
        Scope::Workspace => None,
        Scope::Only { experiments, .. } => Some(experiments.iter().copied().collect()),
    };
    let mut wanted: Vec<i64> = asked.iter().copied().filter(|id| granted.as_ref().is_none_or(|ids| ids.contains(id))).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut all = Vec::with_capacity(wanted.len());
    for chunk in wanted.chunks(IN_COUNT_MAX) {
        let mut binds = Binds::default();
        let workspace = binds.text(workspace_id);
        let sql = format!(
            "SELECT experiment_id FROM experiment WHERE workspace_id = {workspace} AND experiment_id IN {}",
            binds.ints(chunk)
        );
        all.extend(reader.query(&sql, &binds.get(), |row| row.int(0))?);
    }
    Ok(all)
}

/// The traces of these ids that are in the workspace and that the caller may list.
pub(crate) fn by_ids(reader: &mut Reader<'_>, workspace_id: &str, scope: &Scope, ids: &[String]) -> Result<Vec<Head>, Problem> {
    let mut found = Vec::new();
    for chunk in ids.chunks(IN_COUNT_MAX) {
        let mut binds = Binds::default();
        let mut sql = format!(
            "SELECT {HEAD} FROM trace t JOIN experiment e ON e.experiment_id = t.experiment_id WHERE e.workspace_id = {} AND t.trace_id IN {}",
            binds.text(workspace_id),
            binds.texts(chunk)
        );
        match scope {
            Scope::Nothing | Scope::Workspaces(_) | Scope::Datasets(_) => return Ok(Vec::new()),
            Scope::Workspace => {}
            Scope::Only { experiments, .. } if experiments.is_empty() => return Ok(Vec::new()),
            Scope::Only { experiments, .. } if experiments.len() > limits::SCOPE_EXPERIMENT_COUNT_MAX => {
                let most = limits::SCOPE_EXPERIMENT_COUNT_MAX;
                let text = format!("more than {most} experiments are granted one by one; grant the workspace instead");
                return Err(Problem::new(Kind::TooLarge, text));
            }
            Scope::Only { experiments, .. } => sql.push_str(&format!(" AND t.experiment_id IN {}", binds.ints(experiments))),
        }
        found.extend(reader.query(&sql, &binds.get(), head_of)?);
    }
    Ok(found)
}

fn in_experiments(experiments: &[i64], binds: &mut Binds) -> String {
    match experiments {
        [one] => format!("t.experiment_id = {}", binds.int(*one)),
        many => format!("t.experiment_id IN {}", binds.ints(many)),
    }
}

/// One page of traces of these experiments, and one more if there is one: heads only.
pub(crate) fn search(reader: &mut Reader<'_>, experiments: &[i64], search: &Search) -> Result<Vec<Head>, Problem> {
    if experiments.is_empty() {
        return Ok(Vec::new());
    }
    let mut binds = Binds::default();
    let mut conditions = in_experiments(experiments, &mut binds);
    if let Some(more) = all_of(&search.clauses, &mut binds)? {
        conditions.push_str(&format!(" AND {more}"));
    }
    let (joins, order) = order(&search.order, &mut binds)?;
    let sql = format!(
        "SELECT {HEAD} FROM trace t{joins} WHERE {conditions} ORDER BY {order} LIMIT {} OFFSET {}",
        binds.int(search.limit),
        binds.int(search.offset)
    );
    Ok(reader.query(&sql, &binds.get(), head_of)?)
}

/// How many traces of these experiments match `base`; how many of those the first and the second filter; how many both.
pub(crate) fn counts(
    reader: &mut Reader<'_>,
    experiments: &[i64],
    base: &[TraceClause],
    first: &[TraceClause],
    second: &[TraceClause],
) -> Result<[i64; 4], Problem> {
    if experiments.is_empty() {
        return Ok([0; 4]);
    }
    let mut binds = Binds::default();
    let mut conditions = in_experiments(experiments, &mut binds);
    if let Some(more) = all_of(base, &mut binds)? {
        conditions.push_str(&format!(" AND {more}"));
    }
    let first = all_of(first, &mut binds)?.unwrap_or_else(|| "1 = 1".to_owned());
    let second = all_of(second, &mut binds)?.unwrap_or_else(|| "1 = 1".to_owned());
    let sql = format!(
        "SELECT COUNT(*), COALESCE(SUM(m.first), 0), COALESCE(SUM(m.second), 0), COALESCE(SUM(m.first * m.second), 0) FROM \
         (SELECT CASE WHEN {first} THEN 1 ELSE 0 END AS first, CASE WHEN {second} THEN 1 ELSE 0 END AS second \
          FROM trace t WHERE {conditions}) m"
    );
    let found = reader.query_one(&sql, &binds.get(), |row| Ok([row.int(0)?, row.int(1)?, row.int(2)?, row.int(3)?]))?;
    Ok(found.unwrap_or_default())
}

/// The traces that a deletion by age would take, oldest first.
pub(crate) fn until(
    reader: &mut Reader<'_>,
    experiment: i64,
    max_time_ms: i64,
    limit: i64,
) -> Result<Vec<(i64, String)>, Problem> {
    let sql = "SELECT trace_row, trace_id FROM trace WHERE experiment_id = $1 AND request_time_ms <= $2 \
               ORDER BY request_time_ms, trace_row LIMIT $3";
    Ok(reader.query(sql, &[experiment.into(), max_time_ms.into(), limit.into()], |row| Ok((row.int(0)?, row.text(1)?)))?)
}

/// The traces of an experiment by id.
pub(crate) fn of_experiment(reader: &mut Reader<'_>, experiment: i64, ids: &[String]) -> Result<Vec<(i64, String)>, Problem> {
    let mut binds = Binds::default();
    let experiment = binds.int(experiment);
    let sql =
        format!("SELECT trace_row, trace_id FROM trace WHERE experiment_id = {experiment} AND trace_id IN {}", binds.texts(ids));
    Ok(reader.query(&sql, &binds.get(), |row| Ok((row.int(0)?, row.text(1)?)))?)
}

/// All clauses as one condition; `None` where there are none. Those on spans mean one and the same span.
fn all_of(clauses: &[TraceClause], binds: &mut Binds) -> Result<Option<String>, Problem> {
    let mut conditions = Vec::with_capacity(clauses.len());
    let mut of_span = Vec::new();
    for clause in clauses {
        match &clause.field {
            TraceField::Span(_) | TraceField::SpanAttribute(_) => of_span.push(span(clause, binds)?),
            _ => conditions.push(condition(clause, binds)?),
        }
    }
    if !of_span.is_empty() {
        conditions
            .push(format!("EXISTS (SELECT 1 FROM trace_span s WHERE s.trace_row = t.trace_row AND {})", of_span.join(" AND ")));
    }
    Ok((!conditions.is_empty()).then(|| conditions.join(" AND ")))
}

fn unsupported() -> Problem {
    Problem::invalid("traces have no such field to filter or order by, or it cannot be compared like this")
}

fn compare(column: &str, clause: &TraceClause, binds: &mut Binds) -> Result<String, Problem> {
    binds.compare(column, clause.comparison, &clause.literal).ok_or_else(unsupported)
}

/// The expression of a trace's attribute, and whether it may be NULL.
fn column(attribute: &str) -> Result<(&'static str, bool), Problem> {
    Ok(match attribute {
        "request_id" => ("t.trace_id", false),
        "experiment_id" => ("t.experiment_id", false),
        "timestamp_ms" => ("t.request_time_ms", false),
        "execution_time_ms" => ("t.duration_ms", true),
        "end_time_ms" => ("(t.request_time_ms + COALESCE(t.duration_ms, 0))", false),
        "status" => ("t.state", false),
        "client_request_id" => ("t.client_request_id", true),
        _ => return Err(unsupported()),
    })
}

fn condition(clause: &TraceClause, binds: &mut Binds) -> Result<String, Problem> {
    match &clause.field {
        TraceField::Attribute(name) => compare(column(name)?.0, clause, binds),
        TraceField::Tag(key) => pair("trace_tag", key, clause, binds),
        TraceField::Metadata(key) => pair("trace_metadata", key, clause, binds),
        TraceField::Run => run(clause, binds),
        TraceField::Prompt => prompt(clause, binds),
        TraceField::Feedback(name) => assessment("feedback", name, clause, binds),
        TraceField::Expectation(name) => assessment("expectation", name, clause, binds),
        TraceField::Issue => {
            let name = compare("a.name", clause, binds)?;
            Ok(format!(
                "EXISTS (SELECT 1 FROM trace_assessment a WHERE a.trace_row = t.trace_row AND a.kind = 'issue' AND {name})"
            ))
        }
        TraceField::Span(_) | TraceField::SpanAttribute(_) => span(clause, binds),
    }
}

fn pair(table: &str, key: &str, clause: &TraceClause, binds: &mut Binds) -> Result<String, Problem> {
    let rows = format!("SELECT 1 FROM {table} x WHERE x.trace_row = t.trace_row AND x.key = {}", binds.text(key));
    Ok(match clause.comparison {
        Comparison::IsNull => format!("NOT EXISTS ({rows})"),
        Comparison::IsNotNull => format!("EXISTS ({rows})"),
        _ => format!("EXISTS ({rows} AND {})", compare("x.value", clause, binds)?),
    })
}

/// A trace is a run's by its metadata, or because it was linked to it.
fn run(clause: &TraceClause, binds: &mut Binds) -> Result<String, Problem> {
    let made_in = pair("trace_metadata", RUN, clause, binds)?;
    let (Comparison::Eq, Literal::Text(run_id)) = (clause.comparison, &clause.literal) else { return Ok(made_in) };
    let run_id = binds.text(run_id.as_str());
    Ok(format!(
        "({made_in} OR EXISTS (SELECT 1 FROM trace_run l \
         WHERE l.run_id = {run_id} AND l.trace_id = t.trace_id AND l.experiment_id = t.experiment_id))"
    ))
}

fn prompt(clause: &TraceClause, binds: &mut Binds) -> Result<String, Problem> {
    let Literal::Text(prompt) = &clause.literal else { return Err(unsupported()) };
    if prompt.matches('/').count() != 1 {
        let text = format!("Invalid prompts filter value '{prompt}'. Expected format: prompt = \"name/version\"");
        return Err(Problem::invalid(text));
    }
    let prompt = binds.text(prompt.as_str());
    Ok(format!("EXISTS (SELECT 1 FROM trace_prompt l WHERE l.prompt = {prompt} AND l.trace_row = t.trace_row)"))
}

/// Values are JSON: a text matches with its quotes, everything else as it is written.
fn assessment(kind: &str, name: &str, clause: &TraceClause, binds: &mut Binds) -> Result<String, Problem> {
    let name = binds.text(name);
    let rows = format!(
        "SELECT 1 FROM trace_assessment a WHERE a.trace_row = t.trace_row AND a.kind = '{kind}' AND a.name = {name} AND a.valid = 1"
    );
    Ok(match (clause.comparison, &clause.literal) {
        (Comparison::IsNull, _) => format!("NOT EXISTS ({rows})"),
        (Comparison::IsNotNull, _) => format!("EXISTS ({rows})"),
        (compared @ (Comparison::Eq | Comparison::Ne), Literal::Text(text)) => {
            let (plain, quoted) = (binds.text(text.as_str()), binds.text(Json::String(text.clone()).to_string()));
            let not = if compared == Comparison::Ne { "NOT " } else { "" };
            format!("EXISTS ({rows} AND a.value {not}IN ({plain}, {quoted}))")
        }
        _ => format!("EXISTS ({rows} AND {})", compare("a.value", clause, binds)?),
    })
}

fn span(clause: &TraceClause, binds: &mut Binds) -> Result<String, Problem> {
    let name = match &clause.field {
        TraceField::Span(name) => *name,
        TraceField::SpanAttribute(name) => return span_attribute(name, clause, binds),
        _ => return Err(unsupported()),
    };
    let column = match name {
        "name" => "s.name",
        "type" => "s.kind",
        "status" => "s.status",
        "content" => "s.content",
        _ => return Err(unsupported()),
    };
    compare(column, clause, binds)
}

/// Attributes are searched in the span's text, where each stands as `"name": "its JSON"`, escaped once more.
fn span_attribute(name: &str, clause: &TraceClause, binds: &mut Binds) -> Result<String, Problem> {
    let name = Json::String(name.to_owned()).to_string();
    let is = |text: &str, binds: &mut Binds| {
        let as_text = Json::String(Json::String(text.to_owned()).to_string());
        let plain = Json::String(text.to_owned());
        let one = |value: Json, binds: &mut Binds| {
            binds.like("s.content", &format!("%{}%", like_literal(&format!("{name}: {value}"))), false)
        };
        format!("({} OR {})", one(as_text, binds), one(plain, binds))
    };
    Ok(match (clause.comparison, &clause.literal) {
        (Comparison::Eq, Literal::Text(text)) => is(text, binds),
        (Comparison::Ne, Literal::Text(text)) => {
            let has = binds.like("s.content", &format!("%{}%", like_literal(&format!("{name}: "))), false);
            format!("({has} AND NOT {})", is(text, binds))
        }
        (compared @ (Comparison::In | Comparison::NotIn), Literal::List(texts)) => {
            let any: Vec<String> = texts.iter().map(|text| is(text, binds)).collect();
            let not = if compared == Comparison::NotIn { "NOT " } else { "" };
            format!("{not}({})", any.join(" OR "))
        }
        (compared @ (Comparison::Like | Comparison::ILike), Literal::Text(text)) => {
            // The pattern begins behind the name, so that it may begin with a wildcard or not.
            let pattern = format!("%{}%", like_literal(&name)) + &like_pattern(text) + "%";
            binds.like("s.content", &pattern, compared == Comparison::ILike)
        }
        _ => return Err(unsupported()),
    })
}

/// The joins that an order needs, and the order: what is missing comes last, ties by start and id.
fn order(order: &[TraceOrder], binds: &mut Binds) -> Result<(String, String), Problem> {
    let mut joins = String::new();
    let mut keys = Vec::new();
    for (index, by) in order.iter().enumerate() {
        let direction = if by.ascending { "ASC" } else { "DESC" };
        let (table, key) = match &by.field {
            TraceField::Attribute(name) => {
                let (column, nullable) = column(name)?;
                if nullable {
                    keys.push(format!("CASE WHEN {column} IS NULL THEN 1 ELSE 0 END"));
                }
                keys.push(format!("{column} {direction}"));
                continue;
            }
            TraceField::Tag(key) => ("trace_tag", key.as_str()),
            TraceField::Metadata(key) => ("trace_metadata", key.as_str()),
            TraceField::Run => ("trace_metadata", RUN),
            _ => return Err(unsupported()),
        };
        let place = binds.text(key);
        joins.push_str(&format!(" LEFT JOIN {table} o{index} ON o{index}.trace_row = t.trace_row AND o{index}.key = {place}"));
        keys.push(format!("CASE WHEN o{index}.value IS NULL THEN 1 ELSE 0 END"));
        keys.push(format!("o{index}.value {direction}"));
    }
    let has = |name| order.iter().any(|by| by.field == TraceField::Attribute(name));
    if !has("timestamp_ms") {
        keys.push("t.request_time_ms DESC".to_owned());
    }
    if !has("request_id") {
        keys.push("t.trace_id".to_owned());
    }
    Ok((joins, keys.join(", ")))
}
