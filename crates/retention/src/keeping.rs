//! What other rooms ask before they delete or change something, in the transaction that does it.

use kernel::{Micros, Problem};
use vault::db::Reader;
use vault::objects::ObjectId;

use crate::store::{kept, now};
use crate::types::{Kept, Kind};

/// Whether a thing may be deleted or changed.
///
/// # Errors
/// `Forbidden`, with what to do, while something holds it.
pub fn guard(reader: &mut Reader<'_>, kind: Kind, subject: &str) -> Result<(), Problem> {
    match kept::find(reader, kind, subject)? {
        None => Ok(()),
        Some(kept) => may_go(&kept, now(reader)?),
    }
}

/// Whether objects may be taken away or replaced: none of them is part of what is retained as a whole.
///
/// # Errors
/// `Forbidden`, with what to do, while something holds one of them.
pub fn guard_objects(reader: &mut Reader<'_>, ids: &[ObjectId]) -> Result<(), Problem> {
    if ids.is_empty() || !kept::any_object(reader)? {
        return Ok(());
    }
    let now = now(reader)?;
    for id in ids {
        for kept in kept::of_object(reader, id)? {
            may_go(&kept, now)?;
        }
    }
    Ok(())
}

fn may_go(kept: &Kept, now: Micros) -> Result<(), Problem> {
    let Err(problem) = kept.lock.may_delete(now, false) else { return Ok(()) };
    let why = problem.message().rsplit(": ").next().unwrap_or_default();
    let by = if kept.rule.is_empty() { String::new() } else { format!(" by the rule `{}`", kept.rule) };
    Err(Problem::forbidden(format!("`{}` is retained{by}: {why}; `strongroom retention list` shows it", kept.name)))
}

/// Why what a workspace's key opens must be kept now; none if nothing of it is retained as a whole.
///
/// # Errors
/// Of the database.
pub fn held_reason(reader: &mut Reader<'_>, workspace: &str) -> Result<Option<String>, Problem> {
    let now = now(reader)?;
    let count = kept::held_count(reader, workspace, now)?;
    Ok((count > 0).then(|| format!("{count} versions of data sets and models are retained")))
}
