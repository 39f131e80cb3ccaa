//! Whatever is taken away, somebody administers the server afterwards.

use kernel::{Kind, Micros, Problem};
use vault::db::{Reader, Writer};

use crate::{Offices, store};

/// Changes accounts or groups, and undoes it if nobody administers the server any more: a person who may come in, by a grant without an end,
/// directly or by way of groups.
///
/// # Errors
/// `Conflict` for such a change; those of `change`.
pub(super) fn with_an_administrator_left<T>(
    tx: &mut Writer<'_>,
    offices: Option<&dyn Offices>,
    at: Micros,
    change: impl FnOnce(&mut Writer<'_>) -> Result<T, Problem>,
) -> Result<T, Problem> {
    // Without anybody who knows offices there are none.
    let Some(offices) = offices else { return change(tx) };
    for holder in offices.administrators(tx, at)? {
        // Two who are taken away at the same moment wait for each other.
        store::hold_principal(tx, &holder)?;
    }
    let was_administered = is_administered(tx, offices, at)?;
    let done = change(tx)?;
    if was_administered && !is_administered(tx, offices, at)? {
        return Err(Problem::new(
            Kind::Conflict,
            "nobody would administer the server any more: no other person who may come in has the role without an end, by themself or by a \
             group; give it to one first",
        ));
    }
    Ok(done)
}

fn is_administered(reader: &mut Reader<'_>, offices: &dyn Offices, at: Micros) -> Result<bool, Problem> {
    for holder in offices.administrators(reader, at)? {
        if store::another_active(reader, &holder, "")? {
            return Ok(true);
        }
    }
    Ok(false)
}
