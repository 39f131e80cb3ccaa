//! Two sets of grants compared: the recorded past asked again, and requests enumerated. What was not enumerated was not compared, and the
//! report says how much was; where there is a solver, it is asked about the rest (`proof`).

use std::collections::BTreeSet;

use gate::{Caller, DataClasses, DataFacts, DataState, Facts, TargetKind};
use kernel::Micros;

use super::proof::{Proof, Question};
use super::{Decider, Someone, Spot, Use, World};
use crate::engine::Engine;
use crate::roles::covers;
use crate::types::{Grant, Resource};

/// Decisions of one enumeration, at most.
pub(super) const DECISION_COUNT_MAX: usize = 200_000;
/// Places of one enumeration, at most.
const PLACE_COUNT_MAX: usize = 200;
/// Requests that are named, at most.
pub(super) const NAMED_COUNT_MAX: usize = 5_000;

/// A request that two sets of grants decide differently.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Whose, by name.
    pub who: String,
    /// The verb.
    pub verb: String,
    /// Where.
    pub place: String,
}

/// What an enumeration found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enumeration {
    /// Requests that are allowed by the second set and not by the first.
    pub widened: Vec<Request>,
    /// How many were compared.
    pub compared_count: usize,
    /// Whether all verbs at all places that the grants or the past name were compared for everybody concerned.
    pub complete: bool,
    /// What a solver showed of all other requests; none where there is no solver.
    pub proof: Option<Proof>,
}

/// Asks the past again: requests that were allowed by `before` and would not be by `after`, or whose lists would show less.
pub(crate) fn replay(world: &World, uses: &[&Use], before: &Decider<'_>, after: &Decider<'_>) -> Vec<Request> {
    let mut asked = BTreeSet::new();
    let mut denied = Vec::new();
    for one in uses {
        if !asked.insert((&one.caller, &one.verb, &one.place)) {
            continue;
        }
        denied.extend(denial(world, one, before, after));
    }
    denied
}

/// A use that was allowed by `before` and would not be by `after`, or whose list would show less.
pub(super) fn denial(world: &World, one: &Use, before: &Decider<'_>, after: &Decider<'_>) -> Option<Request> {
    let ((spot, _), someone) = (Spot::of_use(one)?, world.people.get(&one.caller)?);
    let caller = someone.caller();
    let (was, would_be) = (before.scope(&caller, &one.verb, &spot)?, after.scope(&caller, &one.verb, &spot));
    // Of a whole workspace a list must show as much as before.
    let is_list = spot.kind == TargetKind::Workspace && (covers("*.search", &one.verb) || covers("*.list", &one.verb));
    let is_less = if is_list { would_be.as_ref() != Some(&was) } else { would_be.is_none() };
    is_less.then(|| Request { who: someone.name.clone(), verb: one.verb.clone(), place: one.place.clone() })
}

/// Enumerates all verbs at places for these callers: what `after` allows and `before` does not.
pub(crate) fn widened(callers: &[(String, Caller)], places: &[Spot], before: &Decider<'_>, after: &Decider<'_>) -> Enumeration {
    let mut found = Enumeration { complete: true, ..Enumeration::default() };
    for (name, caller) in callers {
        for place in places {
            for verb in before.engine.known() {
                if found.compared_count >= DECISION_COUNT_MAX || found.widened.len() >= NAMED_COUNT_MAX {
                    found.complete = false;
                    return found;
                }
                for spot in variants(verb, place) {
                    found.compared_count += 1;
                    if after.grants(caller, verb, &spot).is_some() && before.grants(caller, verb, &spot).is_none() {
                        found.widened.push(Request { who: name.clone(), verb: verb.clone(), place: spot.words.clone() });
                    }
                }
            }
        }
    }
    found
}

/// A place as a verb may find it: what is decided about data depends on how far it has come and whom it concerns.
fn variants(verb: &str, place: &Spot) -> Vec<Spot> {
    if !verb.starts_with("datasets.") || place.facts.data.is_none() {
        return vec![place.clone()];
    }
    let plain = DataClasses::default();
    let kinds = [
        ("", DataState::Admitted, plain),
        (" (special)", DataState::Admitted, DataClasses { special: true, ..plain }),
        (" (health)", DataState::Admitted, DataClasses { health: true, ..plain }),
        (" (quarantined)", DataState::Quarantined, plain),
        (" (quarantined, special)", DataState::Quarantined, DataClasses { special: true, ..plain }),
    ];
    let of = |(words, state, classes): (&str, DataState, DataClasses)| {
        let facts = Facts { data: Some(DataFacts { state, classes }), ..place.facts.clone() };
        Spot { kind: place.kind, facts, words: format!("{}{words}", place.words) }
    };
    kinds.into_iter().map(of).collect()
}

/// The places that grants and uses name, with one in each workspace that nobody named.
pub(crate) fn places<'a>(grants: impl Iterator<Item = &'a Grant>, uses: &[&Use]) -> (Vec<Spot>, bool) {
    let mut all = vec![Spot::server(), Spot::log()];
    let mut add = |spot: Spot| {
        if !all.contains(&spot) {
            all.push(spot);
        }
        all.len() <= PLACE_COUNT_MAX
    };
    let mut complete = true;
    let mut workspaces = BTreeSet::new();
    for grant in grants {
        complete &= add(Spot::of(&grant.resource, grant.workspace.as_deref()));
        workspaces.extend(grant.workspace.clone());
        if !complete {
            break;
        }
    }
    for one in uses {
        if let (Some((spot, _)), true) = (Spot::of_use(one), complete) {
            workspaces.extend(spot.facts.workspace.clone());
            complete &= add(spot);
        }
    }
    for workspace in workspaces.iter().chain([&"a-workspace-that-nobody-named".to_owned()]) {
        let inside = Some(workspace.as_str());
        for resource in [
            Resource::Workspace(workspace.clone()),
            Resource::Experiment(i64::MAX),
            Resource::RegisteredModel("a-model-that-nobody-named".to_owned()),
            Resource::Dataset("a-data-set-that-nobody-named".to_owned()),
        ] {
            complete &= add(Spot::of(&resource, inside));
        }
    }
    all.truncate(PLACE_COUNT_MAX);
    (all, complete)
}

/// What a grant would allow that is not allowed now, to its receiver; and what remains to be asked of a solver.
pub(crate) fn newly_allowed(world: &World, engine: &Engine, grant: &Grant) -> (Enumeration, Vec<Question>) {
    let Some(someone) = world.people.get(&grant.principal) else { return Default::default() };
    let held = someone.held(world.grants.iter().map(AsRef::as_ref));
    let (found, question) = newly_allowed_by(engine, world.now, someone, (held, std::slice::from_ref(grant)));
    (found, vec![question])
}

/// What more grants would newly allow to somebody who holds these.
pub(super) fn newly_allowed_by(
    engine: &Engine,
    now: Micros,
    someone: &Someone,
    (held, more): (Vec<Grant>, &[Grant]),
) -> (Enumeration, Question) {
    let after = [held.as_slice(), more].concat();
    let (before, would_be) = (Decider::new(engine, held.iter(), now), Decider::new(engine, after.iter(), now));
    let (places, named) = places(more.iter().chain(&held), &[]);
    let found = widened(&[(someone.name.clone(), someone.caller())], &places, &before, &would_be);
    let question = Question { who: someone.name.clone(), kind: someone.kind, id: someone.id.clone(), before: held, after };
    (Enumeration { complete: found.complete && named, ..found }, question)
}
