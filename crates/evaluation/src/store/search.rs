//! SQL of searches.

use filter::{Clause, Comparison, Field, Literal, OrderBy};
use kernel::Problem;
use vault::db::{Bind, Reader};

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

/// A value that a statement under construction owns.
enum Value {
    Int(i64),
    Real(f64),
    Text(String),
}

/// The binds of a statement under construction.
#[derive(Default)]
struct Binds(Vec<Value>);

impl Binds {
    fn add(&mut self, value: Value) -> String {
        self.0.push(value);
        format!("${}", self.0.len())
    }

    fn text(&mut self, text: &str) -> String {
        self.add(Value::Text(text.to_owned()))
    }

    fn get(&self) -> Vec<Bind<'_>> {
        let bind = |value| match value {
            &Value::Int(number) => Bind::Int(number),
            &Value::Real(number) => Bind::Real(number),
            Value::Text(text) => Bind::Text(text),
        };
        self.0.iter().map(bind).collect()
    }
}

/// One page of the workspace's datasets, and one more if there is one.
pub(crate) fn search(reader: &mut Reader<'_>, workspace_id: &str, search: &Search) -> Result<Vec<Dataset>, Problem> {
    let mut binds = Binds::default();
    let mut sql = format!("SELECT {COLUMNS} FROM evaluation_dataset d WHERE d.workspace_id = {}", binds.text(workspace_id));
    match search.experiments.as_deref() {
        None => {}
        Some([]) => return Ok(Vec::new()),
        Some(ids) => {
            let places: Vec<String> = ids.iter().map(|id| binds.add(Value::Int(*id))).collect();
            sql.push_str(&format!(
                " AND d.dataset_row IN (SELECT dataset_row FROM evaluation_experiment WHERE experiment_id IN ({}))",
                places.join(", ")
            ));
        }
    }
    for clause in &search.clauses {
        sql.push_str(" AND ");
        sql.push_str(&condition(clause, &mut binds)?);
    }
    sql.push_str(&order(&search.order)?);
    sql.push_str(&format!(" LIMIT {} OFFSET {}", binds.add(Value::Int(search.limit)), binds.add(Value::Int(search.offset))));
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
        let key = binds.text(key);
        let value = compare("t.value", clause, binds)?;
        return Ok(format!(
            "EXISTS (SELECT 1 FROM evaluation_tag t WHERE t.dataset_row = d.dataset_row AND t.key = {key} AND {value})"
        ));
    }
    compare(column(&clause.field)?, clause, binds)
}

fn compare(column: &str, clause: &Clause, binds: &mut Binds) -> Result<String, Problem> {
    Ok(match (&clause.literal, clause.comparison) {
        // A backslash in a pattern means itself, as it does in MLflow.
        (Literal::Text(text), Comparison::Like) => {
            format!("{column} LIKE {} ESCAPE '\\'", binds.text(&text.replace('\\', "\\\\")))
        }
        (Literal::Text(text), Comparison::ILike) => {
            format!("LOWER({column}) LIKE LOWER({}) ESCAPE '\\'", binds.text(&text.replace('\\', "\\\\")))
        }
        (Literal::Text(text), compared @ (Comparison::Eq | Comparison::Ne)) => {
            format!("{column} {} {}", compared.word(), binds.text(text))
        }
        (Literal::Number(number), compared) => {
            // The cast keeps PostgreSQL from reading it as the whole number it is compared with.
            format!("{column} {} CAST({} AS DOUBLE PRECISION)", compared.word(), binds.add(Value::Real(*number)))
        }
        _ => return Err(unsupported()),
    })
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
