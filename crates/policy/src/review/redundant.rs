//! Grants of a proposal that others make superfluous: somebody holds the same twice, by a group and by themself, or on an item and on all that it
//! lies in.
//!
//! Each is left out by itself, the narrowest first, and stays out if the past is allowed without it. What lasts longer is not left out for what
//! ends sooner, and nothing is given, so nothing is widened.

use std::collections::{BTreeSet, HashMap};

use kernel::Micros;

use super::propose::{Advice, GrantReview, is_for_emergencies, part};
use super::verify::denial;
use super::{Decider, Someone, Use, World};
use crate::engine::Engine;
use crate::types::{Grant, PrincipalKind, Resource};

/// Decisions of one search, at most: two for each request of the past that is asked again.
const DECISION_COUNT_MAX: usize = 500_000;

/// A part of a proposal: a grant as it is, or one of those that stand in for it.
struct Part {
    /// The review that it is of.
    review: usize,
    grant: Grant,
    /// Whether it may be left out.
    is_tried: bool,
    is_out: bool,
}

/// Takes out of the proposals what the rest of them makes superfluous. Gives whether everything was tried.
pub(super) fn leave_out(world: &World, engine: &Engine, reviews: &mut [GrantReview], uses: &[&Use], since: Micros) -> bool {
    let mut parts = parts(world, reviews, since);
    let mut order: Vec<usize> = parts.iter().enumerate().filter(|(_, part)| part.is_tried).map(|(at, _)| at).collect();
    let key = |at: &usize| parts.get(*at).map(|part| width(engine, &part.grant));
    order.sort_by_key(key);
    let mut callers: HashMap<&str, Vec<&Someone>> = HashMap::new();
    let mut uses_of: HashMap<&str, Vec<&Use>> = HashMap::new();
    let mut asked = BTreeSet::new();
    for one in uses {
        let Some(someone) = world.people.get(&one.caller) else { continue };
        if asked.insert((&one.caller, &one.verb, &one.place)) {
            let own = uses_of.entry(someone.id.as_str()).or_default();
            if own.is_empty() {
                for holder in std::iter::once(&someone.id).chain(&someone.groups) {
                    callers.entry(holder).or_default().push(someone);
                }
            }
            own.push(one);
        }
    }
    let (mut left_count, mut all_tried) = (DECISION_COUNT_MAX, true);
    for at in order {
        let Some(grant) = parts.get(at).map(|part| part.grant.clone()) else { continue };
        let concerned = callers.get(grant.principal.as_str()).map(Vec::as_slice).unwrap_or_default();
        let past: Vec<&Use> =
            concerned.iter().filter_map(|someone| uses_of.get(someone.id.as_str())).flatten().copied().collect();
        // What nobody used was judged by that alone; what is kept all the same is kept for another reason.
        if past.is_empty() {
            continue;
        }
        let Some(left) = left_count.checked_sub(past.len().saturating_mul(2)) else {
            all_tried = false;
            break;
        };
        left_count = left;
        // As it will be once what ends before this grant has ended, with it and without it.
        let holders: BTreeSet<&str> = concerned
            .iter()
            .flat_map(|one| std::iter::once(one.id.as_str()).chain(one.groups.iter().map(String::as_str)))
            .collect();
        let lasts = |part: &&Part| {
            !part.is_out
                && holders.contains(part.grant.principal.as_str())
                && !ends_before(part.grant.expires_at, grant.expires_at)
        };
        let with: Vec<&Grant> = parts.iter().filter(lasts).map(|part| &part.grant).collect();
        let before = Decider::new(engine, with.iter().copied(), world.now);
        let after = Decider::new(engine, with.iter().copied().filter(|other| other.id != grant.id), world.now);
        if past.iter().all(|one| denial(world, one, &before, &after).is_none())
            && let Some(part) = parts.get_mut(at)
        {
            part.is_out = true;
        }
    }
    write_down(&parts, reviews);
    all_tried
}

fn parts(world: &World, reviews: &[GrantReview], since: Micros) -> Vec<Part> {
    let mut parts = Vec::new();
    for (at, review) in reviews.iter().enumerate() {
        let grant = &review.grant;
        // Too young to be judged, or a door that must not fall shut.
        let is_door = grant.role == "administrator" && grant.resource == Resource::Server;
        let is_spared = grant.created_at > since || is_door || is_for_emergencies(&grant.role);
        let whole = matches!(review.advice, Advice::Keep).then(|| grant.clone());
        let narrowed = match &review.advice {
            Advice::Narrow(to) => to.as_slice(),
            Advice::Keep | Advice::Revoke => &[],
        };
        let all = whole.into_iter().chain(narrowed.iter().map(|(role, on)| part(world, grant, role, on)));
        parts.extend(all.map(|grant| Part { review: at, grant, is_tried: !is_spared, is_out: false }));
    }
    parts
}

/// How wide a grant is: places first, then verbs. Of equals, what was given to somebody alone goes before what was given to a group, and what
/// ends sooner before what lasts.
fn width(engine: &Engine, grant: &Grant) -> (u8, usize, bool, i64, std::cmp::Reverse<i64>) {
    let place = match grant.resource {
        Resource::Server => 2,
        Resource::Workspace(_) => 1,
        Resource::Experiment(_) | Resource::RegisteredModel(_) | Resource::Dataset(_) => 0,
    };
    let verb_count = engine.roles.get(&grant.role).map_or(usize::MAX, |role| role.verbs.len());
    let is_group = grant.principal_kind == PrincipalKind::Group;
    let end = grant.expires_at.map_or(i64::MAX, |end| end.0);
    (place, verb_count, is_group, end, std::cmp::Reverse(grant.created_at.0))
}

fn ends_before(one: Option<Micros>, other: Option<Micros>) -> bool {
    one.is_some_and(|one| other.is_none_or(|other| one < other))
}

fn write_down(parts: &[Part], reviews: &mut [GrantReview]) {
    for (at, review) in reviews.iter_mut().enumerate() {
        let own = || parts.iter().filter(|part| part.review == at);
        if !own().any(|part| part.is_out) {
            continue;
        }
        let kept: Vec<_> =
            own().filter(|part| !part.is_out).map(|part| (part.grant.role.clone(), part.grant.resource.clone())).collect();
        review.why = if kept.is_empty() {
            "other grants that stay allow all that was done with it".to_owned()
        } else {
            let words: Vec<String> = kept.iter().map(|(role, on)| format!("{role} on {}:{}", on.kind(), on.id())).collect();
            format!("what was used needs no more than {} beside the grants that stay", words.join(" and "))
        };
        review.advice = if kept.is_empty() { Advice::Revoke } else { Advice::Narrow(kept) };
    }
}
