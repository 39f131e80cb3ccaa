//! All SQL of this room.

mod accounts;
mod command_lines;
mod credentials;
mod factors;
mod federated;
mod groups;
mod lookup;
mod provisioned;
mod workspaces;

pub(crate) use accounts::*;
pub(crate) use command_lines::*;
pub(crate) use credentials::*;
pub(crate) use factors::*;
pub(crate) use federated::*;
pub(crate) use groups::*;
pub(crate) use lookup::*;
pub(crate) use provisioned::*;
pub(crate) use workspaces::*;

pub use accounts::{NAMES_BY_IDS_COUNT_MAX, principals_by_ids};
pub use groups::{grouped_services_of, principal_with_groups};
pub use provisioned::ProvisionedKey;
pub use workspaces::workspace_by_name;

use kernel::Micros;
use vault::db::{DbError, Row};

use crate::types::{Page, Principal, PrincipalKind};

/// Cuts the one row too many that tells whether there is a next page.
fn page<T>(mut rows: Vec<T>, row_count: usize, name: impl Fn(&T) -> String) -> Page<T> {
    let more = rows.len() > row_count;
    rows.truncate(row_count);
    let next = if more { rows.last().map(name) } else { None };
    Page { rows, next }
}

fn limit(row_count: usize) -> i64 {
    i64::try_from(row_count).unwrap_or(i64::MAX).saturating_add(1)
}

/// The columns that [`principal_of`] reads, in its order.
macro_rules! principal_columns {
    () => {
        "p.id, p.kind, p.name, p.disabled, p.owner, p.created_at"
    };
}
pub(crate) use principal_columns;

fn principal_of(row: &Row<'_>) -> Result<Principal, DbError> {
    Ok(Principal {
        id: row.text(0)?,
        kind: PrincipalKind::from_word(&row.text(1)?).ok_or(DbError::Shape(1))?,
        name: row.text(2)?,
        disabled: row.flag(3)?,
        owner: row.text(4)?,
        created_at: Micros(row.int(5)?),
    })
}

fn count(row: Option<i64>) -> i64 {
    row.unwrap_or(0)
}

/// Scopes as the token and session tables keep them: one pattern per line.
fn scopes_of(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
