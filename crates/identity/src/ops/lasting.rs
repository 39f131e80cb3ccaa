//! Who administers the server for some hours gives nobody anything that lasts longer than that: what they could give in a group, by a password,
//! by a link with a provider or by a token ends with their office, or needs somebody whose office has no end.

use gate::Caller;
use kernel::{Micros, Problem};
use vault::db::Reader;

use super::is_job;
use crate::{Offices, store};

/// The end of an office that has none.
const FOR_GOOD: Micros = Micros(i64::MAX);

/// When the caller's office ends; none where it has no end, for jobs, and where nobody knows offices.
///
/// # Errors
/// `Unavailable` if that cannot be told.
pub(super) fn office_end(
    reader: &mut Reader<'_>,
    offices: Option<&dyn Offices>,
    caller: &Caller,
    at: Micros,
) -> Result<Option<Micros>, Problem> {
    let Some(offices) = offices.filter(|_| !is_job(caller)) else { return Ok(None) };
    let own: Vec<String> = caller.groups.iter().chain([&caller.id]).cloned().collect();
    let until = offices.administer_until(reader, &own, at)?.unwrap_or(at);
    Ok((until < FOR_GOOD).then_some(until))
}

/// Refuses to put anybody into what holds roles, by itself or by a group above it, for longer than the caller's office lasts, or to hand it on.
///
/// # Errors
/// `Forbidden` where it does; `Unavailable` if that cannot be told.
pub(super) fn holds_no_longer(
    reader: &mut Reader<'_>,
    offices: Option<&dyn Offices>,
    (caller, principal_id): (&Caller, &str),
    at: Micros,
) -> Result<(), Problem> {
    let (Some(offices), Some(until)) = (offices, office_end(reader, offices, caller, at)?) else { return Ok(()) };
    let mut all = store::groups_of(reader, principal_id)?;
    all.push(principal_id.to_owned());
    if offices.held_until(reader, &all, at)? > Some(until) {
        return Err(Problem::forbidden(format!(
            "Permission denied. You administer the server for a while only, until {}, and this holds roles for longer; ask an administrator \
             whose role has no end.",
            until.rfc3339_seconds()
        )));
    }
    Ok(())
}

/// The same of a way into somebody's account. Who broke the glass has it: it is the way back where nobody else comes in, and has alarmed.
///
/// # Errors
/// As [`may_link`].
pub(super) fn may_open(
    reader: &mut Reader<'_>,
    offices: Option<&dyn Offices>,
    (caller, principal_id): (&Caller, &str),
    at: Micros,
) -> Result<(), Problem> {
    match offices {
        Some(offices) if offices.broke_glass(reader, &caller.id, at)? => Ok(()),
        _ => may_link(reader, offices, (caller, principal_id), at),
    }
}

/// The same of a way that its holder would not see: who broke the glass has it no more than others. Nor is there one into an account for which
/// somebody else speaks: they say in which groups it is, also afterwards.
///
/// # Errors
/// `Forbidden` where the account holds roles for longer, or may come to some; `Unavailable` if that cannot be told.
pub(super) fn may_link(
    reader: &mut Reader<'_>,
    offices: Option<&dyn Offices>,
    (caller, principal_id): (&Caller, &str),
    at: Micros,
) -> Result<(), Problem> {
    holds_no_longer(reader, offices, (caller, principal_id), at)?;
    let Some(until) = office_end(reader, offices, caller, at)? else { return Ok(()) };
    if store::is_vouched_for(reader, principal_id)? {
        return Err(Problem::forbidden(format!(
            "Permission denied. You administer the server for a while only, until {}, and a provider or a directory says in which groups this \
             account is, then too; ask an administrator whose role has no end.",
            until.rfc3339_seconds()
        )));
    }
    Ok(())
}
