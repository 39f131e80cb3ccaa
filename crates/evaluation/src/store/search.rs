//! SQL of searches.

use filter::{Clause, Field, OrderBy};
use kernel::Problem;
use vault::db::Reader;
use vault::db::sql::Binds;

use super::{COLUMNS, dataset_of, fill_tags};
use crate::types::Dataset;

/// What a search asks for.
pub(crate) struct Search {
    pub(crate) clauses: Vec<Clause>,
    pub(crate) order: Vec<OrderBy>,
    /// Only datasets joined to one of these.
    pub(crate) experiments: Option<Vec<i64>>,
    pub(crate) limit: i64,
    pub(crate) offset: i64,
}

/// One page of the workspace's datasets, and one more if there is one.
pub(crate) fn search(reader: &mut Reader<'_>, workspace_id: &str, search: &Search) -> Result<Vec<Dataset>, Problem> {
    let mut binds = Binds::default();
    let mut sql = format!("SELECT {COLUMNS} FROM evaluation_dataset d WHERE d.workspace_id = {}", binds.text(workspace_id));
    match search.experiments.as_deref() {
        None => {}
        Some([]) => return Ok(Vec::new()),
        Some(ids) => sql.push_str(&format!(
            " AND d.dataset_row IN (SELECT dataset_row FROM evaluation_experiment WHERE experiment_id IN {})",
            binds.ints(ids)
        )),
    }
    for clause in &search.clauses {
        sql.push_str(" AND ");
        sql.push_str(&condition(clause, &mut binds)?);
    }
    sql.push_str(&order(&search.order)?);
    sql.push_str(&format!(" LIMIT {} OFFSET {}", binds.int(search.limit), binds.int(search.offset)));
    let mut found = reader.query(&sql, &binds.get(), dataset_of)?;
    fill_tags(reader, &mut found)?;
    Ok(found.into_iter().map(|(_, dataset)| dataset).collect())
}

fn unsupported() -> Problem {
    Problem::invalid("evaluation datasets have no such field to filter or order by, or it cannot be compared like this")
}

fn column(field: &Field) -> Result<&'static str, Problem> {
    match field {
        Field::Attribute("name") => Ok("d.name"),
        Field::Attribute("created_by") => Ok("d.created_by"),
        Field::Attribute("last_updated_by") => Ok("d.updated_by"),
        Field::Attribute("created_time") => Ok("(d.created_at / 1000)"),
        Field::Attribute("last_update_time") => Ok("(d.updated_at / 1000)"),
        _ => Err(unsupported()),
    }
}

fn condition(clause: &Clause, binds: &mut Binds) -> Result<String, Problem> {
    if let Field::Tag(key) = &clause.field {
        let key = binds.text(key.as_str());
        let value = compare("t.value", clause, binds)?;
        return Ok(format!(
            "EXISTS (SELECT 1 FROM evaluation_tag t WHERE t.dataset_row = d.dataset_row AND t.key = {key} AND {value})"
        ));
    }
    compare(column(&clause.field)?, clause, binds)
}

fn compare(column: &str, clause: &Clause, binds: &mut Binds) -> Result<String, Problem> {
    binds.compare(column, clause.comparison, &clause.literal).ok_or_else(unsupported)
}

fn order(order: &[OrderBy]) -> Result<String, Problem> {
    let mut keys = Vec::new();
    for key in order {
        keys.push(format!("{} {}", column(&key.field)?, if key.ascending { "ASC" } else { "DESC" }));
    }
    if keys.is_empty() {
        keys.push("(d.created_at / 1000) DESC".to_owned());
    }
    keys.push("d.dataset_id DESC".to_owned());
    Ok(format!(" ORDER BY {}", keys.join(", ")))
}
