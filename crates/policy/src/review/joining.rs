//! What a membership of a group would newly allow: to the account that joins, or to everybody in the group that joins.

use super::proof::Question;
use super::verify::{DECISION_COUNT_MAX, Enumeration, NAMED_COUNT_MAX, newly_allowed_by};
use super::{Someone, World};
use crate::engine::Engine;
use crate::types::Grant;

/// What whoever has this id, and everybody in it, would be allowed in the group and is not now; and what remains to be asked of a solver.
pub(crate) fn newly_allowed_by_joining(
    world: &World,
    engine: &Engine,
    group: &Someone,
    member: &str,
) -> (Enumeration, Vec<Question>) {
    let mut all = Enumeration { complete: true, ..Enumeration::default() };
    let mut questions = Vec::new();
    let reached: Vec<&String> = std::iter::once(&group.id).chain(&group.groups).collect();
    let joins = |one: &&Someone| one.id == member || one.groups.iter().any(|id| id == member);
    for someone in world.people.values().filter(joins) {
        let gained: Vec<&String> =
            reached.iter().copied().filter(|id| **id != someone.id && !someone.groups.contains(*id)).collect();
        let more: Vec<Grant> =
            world.grants.iter().filter(|grant| gained.contains(&&grant.principal)).map(|grant| Grant::clone(grant)).collect();
        if more.is_empty() {
            continue;
        }
        if all.compared_count >= DECISION_COUNT_MAX || all.widened.len() >= NAMED_COUNT_MAX {
            all.complete = false;
            break;
        }
        let held = someone.held(world.grants.iter().map(AsRef::as_ref));
        let groups = someone.groups.iter().chain(gained).cloned().collect();
        let would_be = Someone { groups, ..someone.clone() };
        let (found, question) = newly_allowed_by(engine, world.now, &would_be, (held, more.as_slice()));
        all.compared_count += found.compared_count;
        all.complete &= found.complete;
        all.widened.extend(found.widened);
        questions.push(question);
    }
    (all, questions)
}
