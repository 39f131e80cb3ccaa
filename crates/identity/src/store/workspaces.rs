//! Workspaces.

use kernel::{Kind, Micros, Problem, random_id};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use super::{count, limit, page};
use crate::types::{Name, Page, PageWish, WORKSPACE_COUNT_MAX, Workspace};

pub(crate) fn create_workspace(tx: &mut Writer<'_>, name: &Name, by: &str, at: Micros) -> Result<Workspace, Problem> {
    let known = count(tx.query_one("SELECT COUNT(*) FROM workspace", &[], |row| row.int(0))?);
    if known >= WORKSPACE_COUNT_MAX {
        return Err(Problem::new(Kind::TooMany, format!("there are {WORKSPACE_COUNT_MAX} workspaces already")));
    }
    let id = format!("w_{}", random_id());
    let made = tx.query_one(
        "INSERT INTO workspace (id, name, created_at, created_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO NOTHING RETURNING id",
        &[(&id).into(), name.as_str().into(), at.0.into(), by.into()],
        |row| row.text(0),
    )?;
    if made.is_none() {
        return Err(Problem::already_exists(format!("there is a workspace `{}` already", name.as_str())));
    }
    Ok(Workspace { id, name: name.as_str().to_owned(), created_at: at })
}

/// The id of the workspace `name`, for the look-up of targets.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn workspace_by_name(reader: &mut Reader<'_>, name: &str) -> Result<Option<String>, DbError> {
    reader.query_one("SELECT id FROM workspace WHERE name = $1", &[name.into()], |row| row.text(0))
}

pub(crate) fn workspace(reader: &mut Reader<'_>, id: &str) -> Result<Option<Workspace>, DbError> {
    reader.query_one("SELECT id, name, created_at FROM workspace WHERE id = $1", &[id.into()], workspace_of)
}

/// The workspaces, or only those with the ids `only`.
pub(crate) fn list_workspaces(
    reader: &mut Reader<'_>,
    only: Option<&[String]>,
    wish: &PageWish,
) -> Result<Page<Workspace>, DbError> {
    let after = wish.after.as_deref().unwrap_or_default();
    let mut binds: Vec<Bind<'_>> = vec![after.into(), limit(wish.row_count()).into()];
    let narrowed = match only {
        None => String::new(),
        Some([]) => return Ok(Page { rows: Vec::new(), next: None }),
        Some(ids) => {
            binds.extend(ids.iter().map(Bind::from));
            let places: Vec<String> = (0..ids.len()).map(|at| format!("${}", at + 3)).collect();
            format!("AND id IN ({})", places.join(", "))
        }
    };
    let sql = format!("SELECT id, name, created_at FROM workspace WHERE name > $1 {narrowed} ORDER BY name LIMIT $2");
    let rows = reader.query(&sql, &binds, workspace_of)?;
    Ok(page(rows, wish.row_count(), |workspace| workspace.name.clone()))
}

fn workspace_of(row: &Row<'_>) -> Result<Workspace, DbError> {
    Ok(Workspace { id: row.text(0)?, name: row.text(1)?, created_at: Micros(row.int(2)?) })
}
