//! Searches: clauses become SQL, and the permit's scope is part of the statement.

use filter::{Clause, Comparison, Field, Literal, LoggedModelOrder, OrderBy};
use gate::Scope;
use vault::db::{DbError, Reader};

use crate::store::sql::Sql;
use crate::store::{logged_models, models, versions};
use crate::types::{DatasetFilter, LoggedModel, ModelVersion, PROMPT_TAG, RegisteredModel};

/// Which rows of a result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) offset: u64,
    pub(crate) limit: i64,
}

impl Window {
    /// One row more than asked for tells whether there is a next page.
    fn push(self, sql: &mut Sql) {
        let limit = sql.binds.int(self.limit.saturating_add(1));
        let offset = sql.binds.int(i64::try_from(self.offset).unwrap_or(i64::MAX));
        sql.push(&format!(" LIMIT {limit} OFFSET {offset}"));
    }
}

/// Registered models of the workspace; at most one more than the window holds.
pub(crate) fn registered_models(
    reader: &mut Reader<'_>,
    workspace_id: &str,
    scope: &Scope,
    (clauses, order): (&[Clause], &[OrderBy]),
    window: Window,
) -> Result<Vec<RegisteredModel>, DbError> {
    let mut sql = Sql::new("SELECT ");
    sql.push(models::COLUMNS).push(" FROM registered_model m");
    push_models_of_scope(&mut sql, workspace_id, scope);
    let prompts = wants_prompts(clauses);
    if !prompts {
        sql.push(" AND m.prompt = 0");
    }
    for clause in clauses.iter().filter(|clause| prompts || !is_about_prompts(clause)) {
        match &clause.field {
            Field::Attribute(_) => push_compare(&mut sql, "m.name", clause),
            Field::Tag(key) => push_tag(&mut sql, "registered_model_tag t WHERE t.model_id = m.model_id", key, clause),
            _ => drop(sql.push(" AND 1 = 0")),
        }
    }
    let mut keys = Vec::new();
    for one in order {
        let column = if one.field == Field::Attribute("name") { "m.name" } else { "m.updated_at" };
        keys.push(format!("{column} {}", direction(one.ascending)));
    }
    if !order.iter().any(|one| one.field == Field::Attribute("name")) {
        keys.push("m.name".to_owned());
    }
    sql.push(" ORDER BY ").push(&keys.join(", "));
    window.push(&mut sql);
    let mut all = reader.query(&sql.text, &sql.binds.get(), models::from_row)?;
    let shown = usize::try_from(window.limit).unwrap_or(0).min(all.len());
    if let Some(page) = all.get_mut(..shown) {
        models::complete(reader, page)?;
    }
    Ok(all)
}

/// Versions of registered models of the workspace; at most one more than the window holds.
pub(crate) fn model_versions(
    reader: &mut Reader<'_>,
    workspace_id: &str,
    scope: &Scope,
    (clauses, order): (&[Clause], &[OrderBy]),
    window: Window,
) -> Result<Vec<ModelVersion>, DbError> {
    let mut sql = Sql::new("SELECT ");
    sql.push(versions::COLUMNS).push(" FROM ").push(versions::JOINED);
    push_models_of_scope(&mut sql, workspace_id, scope);
    sql.push(" AND v.deleted = 0");
    let prompts = wants_prompts(clauses);
    if !prompts {
        sql.push(" AND m.prompt = 0");
    }
    for clause in clauses.iter().filter(|clause| prompts || !is_about_prompts(clause)) {
        match &clause.field {
            Field::Attribute(key) => push_compare(&mut sql, version_column(key), clause),
            Field::Tag(key) => {
                let table = "model_version_tag t WHERE t.model_id = v.model_id AND t.version = v.version";
                push_tag(&mut sql, table, key, clause);
            }
            _ => drop(sql.push(" AND 1 = 0")),
        }
    }
    let mut keys: Vec<String> = Vec::new();
    for one in order {
        if let Field::Attribute(key) = one.field {
            keys.push(format!("{} {}", version_column(key), direction(one.ascending)));
        }
    }
    if order.is_empty() {
        keys.push("v.updated_at DESC".to_owned());
    }
    for (key, fallback) in [("name", "m.name"), ("version_number", "v.version DESC")] {
        if !order.iter().any(|one| one.field == Field::Attribute(key)) {
            keys.push(fallback.to_owned());
        }
    }
    sql.push(" ORDER BY ").push(&keys.join(", "));
    window.push(&mut sql);
    let mut all = reader.query(&sql.text, &sql.binds.get(), versions::from_row)?;
    let shown = usize::try_from(window.limit).unwrap_or(0).min(all.len());
    if let Some(page) = all.get_mut(..shown) {
        versions::complete(reader, page)?;
    }
    Ok(all)
}

/// What a search of logged models asks for.
pub(crate) struct LoggedModelSearch<'a> {
    pub(crate) workspace_id: &'a str,
    pub(crate) scope: &'a Scope,
    pub(crate) experiments: &'a [i64],
    pub(crate) clauses: &'a [Clause],
    pub(crate) datasets: &'a [DatasetFilter],
    pub(crate) order: &'a [LoggedModelOrder],
    pub(crate) window: Window,
}

/// Logged models of experiments of the workspace; at most one more than the window holds.
pub(crate) fn logged_models(reader: &mut Reader<'_>, search: &LoggedModelSearch<'_>) -> Result<Vec<LoggedModel>, DbError> {
    let mut sql = Sql::new("SELECT ");
    sql.push(logged_models::COLUMNS);
    sql.push(" FROM logged_model m JOIN experiment e ON e.experiment_id = m.experiment_id");
    let workspace = sql.binds.text(search.workspace_id);
    sql.push(&format!(" WHERE e.workspace_id = {workspace} AND m.deleted = 0"));
    push_experiments(&mut sql, search.experiments);
    match search.scope {
        Scope::Workspace => {}
        Scope::Nothing | Scope::Workspaces(_) | Scope::Datasets(_) => drop(sql.push(" AND 1 = 0")),
        Scope::Only { experiments, .. } => push_experiments(&mut sql, experiments),
    }
    let on_dataset = dataset_condition(&mut sql, search.datasets);
    let mut metric_named = false;
    for clause in search.clauses {
        match &clause.field {
            Field::Attribute(key) => push_logged_model_attribute(&mut sql, key, clause),
            Field::Metric(key) => {
                metric_named = true;
                let name = sql.binds.text(key);
                let compared = compare(&mut sql, "x.value", clause);
                sql.push(&format!(
                    " AND EXISTS (SELECT 1 FROM logged_model_metric x WHERE x.model_id = m.model_id AND x.experiment_id = m.experiment_id AND x.name = {name} \
                     AND x.is_nan = 0 AND {compared}{on_dataset})"
                ));
            }
            Field::Param(key) => push_tag(&mut sql, "logged_model_param t WHERE t.model_id = m.model_id", key, clause),
            Field::Tag(key) => push_tag(&mut sql, "logged_model_tag t WHERE t.model_id = m.model_id", key, clause),
            Field::Dataset(_) => drop(sql.push(" AND 1 = 0")),
        }
    }
    if !search.datasets.is_empty() && !metric_named {
        sql.push(&format!(
            " AND EXISTS (SELECT 1 FROM logged_model_metric x WHERE x.model_id = m.model_id \
             AND x.experiment_id = m.experiment_id{on_dataset})"
        ));
    }
    push_logged_model_order(&mut sql, search.order);
    search.window.push(&mut sql);
    let mut all = reader.query(&sql.text, &sql.binds.get(), logged_models::from_row)?;
    let shown = usize::try_from(search.window.limit).unwrap_or(0).min(all.len());
    if let Some(page) = all.get_mut(..shown) {
        logged_models::complete(reader, page)?;
    }
    Ok(all)
}

fn push_models_of_scope(sql: &mut Sql, workspace_id: &str, scope: &Scope) {
    let workspace = sql.binds.text(workspace_id);
    sql.push(&format!(" WHERE m.workspace_id = {workspace}"));
    match scope {
        Scope::Workspace => {}
        Scope::Nothing | Scope::Workspaces(_) | Scope::Datasets(_) => drop(sql.push(" AND 1 = 0")),
        Scope::Only { models, .. } => {
            let list = sql.binds.texts(models);
            sql.push(&format!(" AND m.model_id IN {list}"));
        }
    }
}

fn push_experiments(sql: &mut Sql, experiments: &[i64]) {
    let list = sql.binds.ints(experiments);
    sql.push(&format!(" AND m.experiment_id IN {list}"));
}

fn compare(sql: &mut Sql, column: &str, clause: &Clause) -> String {
    // What compares with no value is `IS NULL` or its opposite.
    let compared = sql.binds.compare(column, clause.comparison, &clause.literal);
    compared.unwrap_or_else(|| format!("{column} {}", clause.comparison.word()))
}

fn push_compare(sql: &mut Sql, column: &str, clause: &Clause) {
    let compared = compare(sql, column, clause);
    sql.push(" AND ").push(&compared);
}

/// A tag or param must be there and compare.
fn push_tag(sql: &mut Sql, table: &str, key: &str, clause: &Clause) {
    let key = sql.binds.text(key);
    let compared = match clause.comparison {
        Comparison::IsNull | Comparison::IsNotNull => String::new(),
        _ => format!(" AND {}", compare(sql, "t.value", clause)),
    };
    let negation = if clause.comparison == Comparison::IsNull { "NOT " } else { "" };
    sql.push(&format!(" AND {negation}EXISTS (SELECT 1 FROM {table} AND t.key = {key}{compared})"));
}

fn version_column(key: &str) -> &'static str {
    match key {
        "name" => "m.name",
        "version_number" => "v.version",
        "run_id" => "v.run_id",
        "creation_timestamp" => "v.created_at",
        "last_updated_timestamp" => "v.updated_at",
        _ => "v.source",
    }
}

fn push_logged_model_attribute(sql: &mut Sql, key: &str, clause: &Clause) {
    // MLflow compares milliseconds; rows hold microseconds.
    let column = match key {
        "creation_timestamp" => "m.created_at / 1000",
        "last_updated_timestamp" => "m.updated_at / 1000",
        "experiment_id" => "CAST(m.experiment_id AS TEXT)",
        "lifecycle_stage" => "CASE WHEN m.deleted = 0 THEN 'active' ELSE 'deleted' END",
        other => logged_model_column(other),
    };
    push_compare(sql, column, clause);
}

fn logged_model_column(key: &str) -> &'static str {
    match key {
        "name" => "m.name",
        "model_type" => "m.model_type",
        "status" => "m.status",
        "source_run_id" => "m.source_run_id",
        "artifact_location" => "m.artifact_uri",
        "experiment_id" => "m.experiment_id",
        "lifecycle_stage" => "m.deleted",
        "creation_timestamp" => "m.created_at",
        "last_updated_timestamp" => "m.updated_at",
        _ => "m.model_id",
    }
}

/// ` AND (…)` on the metric `x`, or nothing.
fn dataset_condition(sql: &mut Sql, datasets: &[DatasetFilter]) -> String {
    let each: Vec<String> = datasets
        .iter()
        .map(|dataset| {
            let name = sql.binds.text(dataset.name.as_str());
            match &dataset.digest {
                None => format!("x.dataset_name = {name}"),
                Some(digest) => {
                    let digest = sql.binds.text(digest);
                    format!("(x.dataset_name = {name} AND x.dataset_digest = {digest})")
                }
            }
        })
        .collect();
    if each.is_empty() { String::new() } else { format!(" AND ({})", each.join(" OR ")) }
}

fn push_logged_model_order(sql: &mut Sql, order: &[LoggedModelOrder]) {
    let mut keys = Vec::new();
    let mut by_creation = false;
    for one in order {
        let value = match &one.field {
            Field::Attribute(key) => {
                by_creation |= *key == "creation_timestamp";
                logged_model_column(key).to_owned()
            }
            Field::Metric(key) => latest_metric(sql, key, one),
            _ => continue,
        };
        keys.push(format!("CASE WHEN {value} IS NULL THEN 1 ELSE 0 END"));
        keys.push(format!("{value} {}", direction(one.ascending)));
    }
    if !by_creation {
        keys.push("m.created_at DESC".to_owned());
    }
    keys.push("m.model_id".to_owned());
    sql.push(" ORDER BY ").push(&keys.join(", "));
}

/// The newest value of a metric, which is no value where it is not a number.
fn latest_metric(sql: &mut Sql, key: &str, order: &LoggedModelOrder) -> String {
    let name = sql.binds.text(key);
    let mut conditions = format!("x.model_id = m.model_id AND x.experiment_id = m.experiment_id AND x.name = {name}");
    for (column, wanted) in [("dataset_name", &order.dataset_name), ("dataset_digest", &order.dataset_digest)] {
        if let Some(wanted) = wanted {
            let bound = sql.binds.text(wanted);
            conditions.push_str(&format!(" AND x.{column} = {bound}"));
        }
    }
    format!(
        "(SELECT CASE WHEN x.is_nan = 1 THEN NULL ELSE x.value END FROM logged_model_metric x WHERE {conditions} \
         ORDER BY x.timestamp_ms DESC, x.step DESC LIMIT 1)"
    )
}

const fn direction(ascending: bool) -> &'static str {
    if ascending { "ASC" } else { "DESC" }
}

fn is_about_prompts(clause: &Clause) -> bool {
    matches!(&clause.field, Field::Tag(key) if key == PROMPT_TAG)
}

/// Prompts are registered models too, but lists leave them out unless the first clause about them asks for them.
fn wants_prompts(clauses: &[Clause]) -> bool {
    let Some(clause) = clauses.iter().find(|clause| is_about_prompts(clause)) else { return false };
    let Literal::Text(value) = &clause.literal else { return false };
    match clause.comparison {
        Comparison::Eq => value.eq_ignore_ascii_case("true"),
        Comparison::Ne => value.eq_ignore_ascii_case("false"),
        _ => false,
    }
}
