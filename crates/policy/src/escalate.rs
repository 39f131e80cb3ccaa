//! Who may grant what: nobody gains by granting. The reasons stand in `docs/decisions/0002-who-may-grant.md`.

use std::sync::Arc;

use gate::{Caller, DataClasses, DataFacts, DataState, Facts};
use kernel::{Micros, Problem};

use crate::circumstances::Circumstances;
use crate::engine::ESCALATE;
use crate::judge::{Ask, Judge};
use crate::place::target_of;
use crate::types::{Grant, Principal, PrincipalKind, Resource};

/// The role whose office it is to give others what it does not hold itself.
const OFFICE: &str = "administrator";

/// Who holds this verb gives roles.
const GIVES: &str = "grants.create";
/// The end of what has none.
const FOR_GOOD: Micros = Micros(i64::MAX);

/// A grant that somebody wants to give.
#[derive(Clone, Copy)]
pub(crate) struct Gift<'a> {
    pub(crate) giver: &'a Caller,
    pub(crate) receiver: &'a Principal,
    /// The service accounts that the giver made, and so can mint tokens for: those that are in groups.
    pub(crate) services: &'a [Principal],
    pub(crate) role: &'a str,
    pub(crate) resource: &'a Resource,
    pub(crate) workspace: Option<&'a str>,
    pub(crate) expires_at: Option<Micros>,
    pub(crate) now: Micros,
}

/// Whether it may be given.
///
/// # Errors
/// `Forbidden`, saying what would make it possible.
pub(crate) fn may_give(judge: Judge<'_>, gift: Gift<'_>) -> Result<(), Problem> {
    if ask(judge, gift.giver, ESCALATE, gift, None).is_some() {
        return Ok(());
    }
    if gift.receiver.id == gift.giver.id {
        return Err(denied("Nobody grants to themself; ask another administrator or owner."));
    }
    let rights = rights_to_give(judge, gift);
    ends_with(gift, rights.iter())?;
    let missing = missing(judge, gift);
    if missing.verbs.is_empty() {
        return match missing.until {
            Some(end) if gift.expires_at.is_none_or(|wanted| wanted > end) => {
                Err(denied("What you would pass on ends earlier than the grant; give it an expiry no later than your own."))
            }
            _ => Ok(()),
        };
    }
    let office = ask(judge, gift.giver, GIVES, gift, None).is_some_and(|grants| grants.iter().any(|grant| grant.role == OFFICE));
    if !office {
        let some: Vec<&str> = missing.verbs.iter().take(3).map(String::as_str).collect();
        return Err(denied(&format!("You do not hold all of the role `{}` there; missing: {}.", gift.role, some.join(", "))));
    }
    ends_with(gift, rights.iter().filter(|grant| grant.role == OFFICE))?;
    if would_gain(gift) {
        return Err(denied("It would reach yourself by way of a group or service account of yours; ask another administrator."));
    }
    Ok(())
}

/// Whether what the receiver gets is the giver's too: it is a service account of the giver's, or a group with the giver or
/// one of those in it.
fn would_gain(gift: Gift<'_>) -> bool {
    let receiver = &gift.receiver.id;
    match gift.receiver.kind {
        PrincipalKind::User => false,
        PrincipalKind::Service => gift.receiver.owner.as_ref() == Some(&gift.giver.id),
        PrincipalKind::Group => {
            let own_groups = gift.services.iter().flat_map(|own| &own.groups);
            gift.giver.groups.iter().chain(own_groups).any(|group| group == receiver)
        }
    }
}

/// The grants by which the giver, with whatever token, gives anything there.
fn rights_to_give(judge: Judge<'_>, gift: Gift<'_>) -> Vec<Arc<Grant>> {
    let person = Caller { token: None, ..gift.giver.clone() };
    ask(judge, &person, GIVES, gift, None).unwrap_or_default()
}

/// What is given ends no later than the last of these rights to give it.
fn ends_with<'a>(gift: Gift<'_>, rights: impl Iterator<Item = &'a Arc<Grant>>) -> Result<(), Problem> {
    let Some(until) = rights.map(|grant| grant.expires_at.unwrap_or(FOR_GOOD)).max() else {
        return Err(denied("You give no roles there; ask an administrator or owner."));
    };
    if gift.expires_at.unwrap_or(FOR_GOOD) > until {
        return Err(denied(&format!(
            "You give roles there for a while only, until {}: let this one end by then, or ask somebody whose own role has no end.",
            until.rfc3339_seconds()
        )));
    }
    Ok(())
}

struct Missing {
    verbs: Vec<String>,
    /// When the first of what the giver holds ends.
    until: Option<Micros>,
}

fn missing(judge: Judge<'_>, gift: Gift<'_>) -> Missing {
    let mut missing = Missing { verbs: Vec::new(), until: None };
    let Some(role) = judge.engine.roles.get(gift.role) else { return missing };
    // Others hold its verbs and still do not read what it reads.
    let about: &[Option<DataFacts>] = if role.is_apart() { &APART } else { &[None] };
    for verb in &role.verbs {
        for data in about {
            let Some(grants) = ask(judge, gift.giver, verb, gift, *data) else {
                missing.verbs.push(verb.clone());
                break;
            };
            // The longest-lived grant counts; one without an end is endless.
            let endless = grants.iter().any(|grant| grant.expires_at.is_none());
            if let Some(end) = grants.iter().filter_map(|grant| grant.expires_at).max().filter(|_| !endless) {
                missing.until = Some(missing.until.map_or(end, |before| before.min(end)));
            }
        }
    }
    missing
}

/// What one role alone reads: data of special categories, and about health.
const APART: [Option<DataFacts>; 2] = [
    Some(DataFacts {
        state: DataState::Admitted,
        classes: DataClasses { personal: false, special: true, health: false, financial: false },
    }),
    Some(DataFacts {
        state: DataState::Admitted,
        classes: DataClasses { personal: false, special: false, health: true, financial: false },
    }),
];

fn ask(judge: Judge<'_>, caller: &Caller, verb: &str, gift: Gift<'_>, data: Option<DataFacts>) -> Option<Vec<Arc<Grant>>> {
    let (kind, facts) = target_of(gift.resource, gift.workspace);
    let facts = Facts { data, ..facts };
    // Whether the moment is right for giving was judged at the door. Here it counts what the giver has.
    let circumstances = Circumstances { assurance: caller.assurance.min(3), ..Circumstances::CALM };
    judge.may(Ask { caller, verb, kind, facts: &facts, circumstances, now: gift.now })
}

fn denied(why: &str) -> Problem {
    Problem::forbidden(format!("Permission denied. {why}"))
}
