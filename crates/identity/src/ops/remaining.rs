//! Whatever is taken away, somebody administers the server afterwards.

use kernel::{Kind, Micros, Problem};
use vault::db::Writer;

use crate::{Offices, store};

/// Changes accounts or groups, and undoes it if nobody administers the server any more.
///
/// # Errors
/// `Conflict` for such a change; those of `change`.
pub(super) fn with_an_administrator_left<T>(
    tx: &mut Writer<'_>,
    offices: Option<&dyn Offices>,
    at: Micros,
    change: impl FnOnce(&mut Writer<'_>) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let (done, is_left) = and_is_administered(tx, offices, at, change)?;
    if !is_left {
        return Err(Problem::new(
            Kind::Conflict,
            "nobody would administer the server any more: no other person who may come in has the role without an end, by themself or by a \
             group; give it to one first",
        ));
    }
    Ok(done)
}

/// What became of a membership that was to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// There was none.
    WasNotIn,
    /// It ended.
    Ended,
    /// It stays: without it nobody would administer the server any more.
    Kept,
}

/// Takes a direct member out of a group, unless nobody administered the server any more then.
///
/// # Errors
/// `Unavailable` if that cannot be told.
pub(super) fn leave_group(
    tx: &mut Writer<'_>,
    offices: Option<&dyn Offices>,
    (group_id, member_id): (&str, &str),
    at: Micros,
) -> Result<Left, Problem> {
    let Some((added_by, added_at)) = store::membership(tx, group_id, member_id)? else { return Ok(Left::WasNotIn) };
    let (_, is_left) = and_is_administered(tx, offices, at, |tx| Ok(store::remove_member(tx, group_id, member_id)?))?;
    if is_left {
        return Ok(Left::Ended);
    }
    store::add_member(tx, group_id, member_id, &added_by, added_at)?;
    Ok(Left::Kept)
}

/// Makes a change, and says whether somebody administers the server afterwards, or nobody did before.
fn and_is_administered<T>(
    tx: &mut Writer<'_>,
    offices: Option<&dyn Offices>,
    at: Micros,
    change: impl FnOnce(&mut Writer<'_>) -> Result<T, Problem>,
) -> Result<(T, bool), Problem> {
    // Without anybody who knows offices there are none.
    let Some(offices) = offices else { return Ok((change(tx)?, true)) };
    offices.hold_administrators(tx, at)?;
    let was_administered = offices.is_administered(tx, None)?;
    let done = change(tx)?;
    let is_left = !was_administered || offices.is_administered(tx, None)?;
    Ok((done, is_left))
}
