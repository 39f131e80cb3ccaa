//! What of each grant is used, and the smallest set of grants that this use needs.
//!
//! A proposal never invents power: a grant is replaced by roles whose verbs are a part of its own, on places inside its own, or it goes. It is
//! kept only if the past, asked again, is allowed as before, lists included.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Micros, random_id};

use super::proof::Question;
use super::redundant::leave_out;
use super::verify::{Enumeration, Request, places, replay, widened};
use super::{Decider, Spot, Use, World};
use crate::engine::Engine;
use crate::types::{Grant, Resource};

const DAY_US: i64 = 86_400_000_000;
/// A grant is narrowed to so many items at most; beyond that the workspace is clearer.
const ITEM_COUNT_MAX: usize = 5;
/// So many roles replace one, at most.
const ROLE_COUNT_MAX: usize = 2;
/// A token that is so old should have been renewed.
const OLD_TOKEN_DAYS: i64 = 180;

/// What is advised about a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// It is used as it is, or too young to be judged.
    Keep,
    /// Nobody used it.
    Revoke,
    /// Less would do: roles on places.
    Narrow(Vec<(String, Resource)>),
}

/// One grant, reviewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantReview {
    /// The grant.
    pub grant: Grant,
    /// Its holder's name.
    pub who: String,
    /// When it was used last.
    pub last_used: Option<Micros>,
    /// Verbs that were used.
    pub used_verbs: Vec<String>,
    /// Verbs that it gives.
    pub granted_count: usize,
    /// Places where it was used.
    pub used_places: Vec<String>,
    /// Verbs that were used on one day only: a quarter's job may look unused for long.
    pub once_verbs: Vec<String>,
    /// What is advised.
    pub advice: Advice,
    /// Why, in a sentence.
    pub why: String,
}

/// An account that does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dormant {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it last used a grant.
    pub last_used: Option<Micros>,
    /// How many grants it holds itself.
    pub grant_count: usize,
}

/// A token that is old, or that nobody uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldToken {
    /// Its id.
    pub id: String,
    /// Whose, by name.
    pub who: String,
    /// What its owner calls it.
    pub label: String,
    /// When it was made.
    pub created_at: Micros,
    /// When it ends.
    pub expires_at: Micros,
    /// The last day of its use, in days since the epoch.
    pub last_used_day: Option<i64>,
    /// Why it is named.
    pub why: &'static str,
}

/// A review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewReport {
    /// Since when uses are counted.
    pub counted_since: Option<Micros>,
    /// How far back it looked.
    pub days: i64,
    /// All grants.
    pub grants: Vec<GrantReview>,
    /// Accounts that do nothing.
    pub dormant: Vec<Dormant>,
    /// Tokens.
    pub tokens: Vec<OldToken>,
    /// Requests of the past that were asked again.
    pub replayed_count: usize,
    /// Those that the proposal would deny: none, or the proposal was withdrawn for their grants.
    pub denied: Vec<Request>,
    /// What the proposal would allow that is not allowed now: nothing, or it is not one.
    pub enumeration: Enumeration,
    /// Whether each grant was tried for whether others make it superfluous; false if there was too much past to ask again for each.
    pub all_tried: bool,
}

/// Reviews the grants, and tells what remains to be asked of a solver about the proposals.
pub(crate) fn review(world: &World, engine: &Engine, days: i64) -> (ReviewReport, Vec<Question>) {
    let since = Micros(world.now.0.saturating_sub(days.saturating_mul(DAY_US)));
    // Where nothing was counted for the whole time, nothing can be called unused.
    let counted = world.counted_since.is_some_and(|from| from <= since);
    let uses: Vec<&Use> = world.uses.iter().filter(|one| one.last_at >= since).collect();
    let mut by_grant: BTreeMap<&str, Vec<&Use>> = BTreeMap::new();
    for one in &uses {
        by_grant.entry(&one.grant).or_default().push(one);
    }
    let none = Vec::new();
    let mut reviews: Vec<GrantReview> = world
        .grants
        .iter()
        .map(|grant| {
            let used = by_grant.get(grant.id.as_str()).unwrap_or(&none);
            let judged = counted && grant.created_at <= since;
            one(world, engine, grant, used, judged)
        })
        .collect();
    spare_last_administrator(&mut reviews);
    let settled = settle(world, engine, &mut reviews, &uses, since);
    let dormant = if counted { dormant(world, &uses, since) } else { Vec::new() };
    let tokens = world.tokens.iter().filter_map(|token| old_token(world, token, since)).collect();
    let questions = questions(world, &reviews);
    let report = ReviewReport {
        counted_since: world.counted_since,
        days,
        grants: reviews,
        dormant,
        tokens,
        replayed_count: settled.replayed_count,
        denied: settled.denied,
        enumeration: settled.enumeration,
        all_tried: settled.all_tried,
    };
    (report, questions)
}

/// What a solver may be asked: of everybody whose grants would change, as they are and as they would be.
fn questions(world: &World, reviews: &[GrantReview]) -> Vec<Question> {
    let after = proposed(world, reviews);
    let question = |someone: &super::Someone| Question {
        who: someone.name.clone(),
        kind: someone.kind,
        id: someone.id.clone(),
        before: someone.held(world.grants.iter().map(AsRef::as_ref)),
        after: someone.held(after.iter()),
    };
    changed(reviews).into_iter().filter_map(|id| world.people.get(id)).map(question).collect()
}

/// Withdraws proposals of those of whom something was found that would newly be allowed: no part of a grant gives more than the grant, and
/// where it seems so, there is no proposal.
pub(crate) fn withdraw_found(report: &mut ReviewReport) {
    withdraw(&mut report.grants, &report.enumeration.widened);
    report.enumeration.widened.clear();
}

fn withdraw(reviews: &mut [GrantReview], widened: &[Request]) {
    let who: BTreeSet<&str> = widened.iter().map(|one| one.who.as_str()).collect();
    for review in reviews.iter_mut().filter(|review| who.contains(review.who.as_str())) {
        review.advice = Advice::Keep;
        review.why = "less would have allowed something new".to_owned();
    }
}

/// Whose grants would change.
fn changed(reviews: &[GrantReview]) -> BTreeSet<&str> {
    reviews.iter().filter(|one| one.advice != Advice::Keep).map(|one| one.grant.principal.as_str()).collect()
}

fn one(world: &World, engine: &Engine, grant: &Grant, used: &[&Use], judged: bool) -> GrantReview {
    let mut verbs: BTreeMap<&str, i64> = BTreeMap::new();
    for one in used {
        *verbs.entry(&one.verb).or_default() += one.days;
    }
    let places: BTreeSet<&str> = used.iter().map(|one| one.place.as_str()).collect();
    let granted = engine.roles.get(&grant.role).map_or(0, |role| role.verbs.len());
    let (advice, why) = if !judged {
        (Advice::Keep, "it is younger than the time looked at, or uses were not counted for so long".to_owned())
    } else if used.is_empty() && is_for_emergencies(&grant.role) {
        (Advice::Keep, "it is for an emergency, and there was none".to_owned())
    } else if used.is_empty() {
        (Advice::Revoke, "nobody used it".to_owned())
    } else {
        narrow(engine, grant, used)
    };
    GrantReview {
        grant: grant.clone(),
        who: world.name(&grant.principal).to_owned(),
        last_used: used.iter().map(|one| one.last_at).max(),
        used_verbs: verbs.keys().map(|verb| (*verb).to_owned()).collect(),
        granted_count: granted,
        used_places: places.into_iter().map(str::to_owned).collect(),
        once_verbs: verbs.iter().filter(|(_, days)| **days == 1).map(|(verb, _)| (*verb).to_owned()).collect(),
        advice,
        why,
    }
}

/// The fewest verbs on the nearest places.
fn narrow(engine: &Engine, grant: &Grant, used: &[&Use]) -> (Advice, String) {
    // Which places the use needs: the items themselves, or the whole workspace.
    let mut verbs_at: BTreeMap<Resource, BTreeSet<&str>> = BTreeMap::new();
    for one in used {
        let Some((_, resource)) = Spot::of_use(one) else { continue };
        let wider = match (&grant.resource, &resource) {
            (Resource::Server, Resource::Server) => Resource::Server,
            (Resource::Server, _) if one.workspace.is_empty() => Resource::Server,
            (Resource::Server, _) => Resource::Workspace(one.workspace.clone()),
            (own, _) if *own != resource && !matches!(own, Resource::Workspace(_)) => own.clone(),
            _ => resource,
        };
        verbs_at.entry(wider).or_default().insert(&one.verb);
    }
    let items = verbs_at.keys().filter(|one| !matches!(one, Resource::Workspace(_) | Resource::Server)).count();
    let wide: Vec<Resource> =
        verbs_at.keys().filter(|one| matches!(one, Resource::Workspace(_) | Resource::Server)).cloned().collect();
    // What is needed on the whole workspace is needed there for all of it; many items are a workspace too.
    if (items > ITEM_COUNT_MAX || !wide.is_empty()) && items > 0 {
        let whole = wide.first().cloned().unwrap_or_else(|| grant.resource.clone());
        let all: BTreeSet<&str> = verbs_at.values().flatten().copied().collect();
        verbs_at = BTreeMap::from([(whole, all)]);
    }
    let mut wanted: Vec<(String, Resource)> = Vec::new();
    for (resource, verbs) in &verbs_at {
        let Some(roles) = smallest(engine, grant, resource, verbs) else {
            return (Advice::Keep, "no smaller role has what was used".to_owned());
        };
        wanted.extend(roles.into_iter().map(|role| (role, resource.clone())));
    }
    // Where the grant itself is among them, the rest lies in it.
    if wanted.is_empty() || wanted.iter().any(|(role, resource)| *role == grant.role && *resource == grant.resource) {
        return (Advice::Keep, "it is used as it is".to_owned());
    }
    let words: Vec<String> = wanted.iter().map(|(role, on)| format!("{role} on {}:{}", on.kind(), on.id())).collect();
    (Advice::Narrow(wanted), format!("what was used needs no more than {}", words.join(" and ")))
}

/// Roles whose verbs are a part of the grant's and hold all of `verbs`: one with the fewest, or two.
fn smallest(engine: &Engine, grant: &Grant, on: &Resource, verbs: &BTreeSet<&str>) -> Option<Vec<String>> {
    let own = engine.roles.get(&grant.role)?;
    let fits = |role: &&crate::roles::Role| {
        (!role.is_apart() || grant.role == role.name)
            && role.verbs.is_subset(&own.verbs)
            && role.on.iter().any(|kind| kind == on.kind())
            && (role.data || !own.data)
    };
    let candidates: Vec<&crate::roles::Role> = engine.roles.values().filter(fits).collect();
    let holds = |roles: &[&crate::roles::Role]| verbs.iter().all(|verb| roles.iter().any(|role| role.verbs.contains(*verb)));
    let mut best: Option<(usize, Vec<String>)> = None;
    let mut offer = |roles: &[&crate::roles::Role]| {
        let all: BTreeSet<&String> = roles.iter().flat_map(|role| &role.verbs).collect();
        if holds(roles) && best.as_ref().is_none_or(|(count, _)| all.len() < *count) {
            best = Some((all.len(), roles.iter().map(|role| role.name.clone()).collect()));
        }
    };
    for (at, first) in candidates.iter().enumerate() {
        offer(&[first]);
        if ROLE_COUNT_MAX > 1 {
            candidates.iter().skip(at + 1).for_each(|second| offer(&[first, second]));
        }
    }
    best.map(|(_, roles)| roles)
}

/// Whether a role is given so that it need not be used: without it nobody comes back in.
pub(super) fn is_for_emergencies(role: &str) -> bool {
    role == "break_glass"
}

/// The server always keeps an administrator.
fn spare_last_administrator(reviews: &mut [GrantReview]) {
    let is_one = |review: &GrantReview| review.grant.role == "administrator" && review.grant.resource == Resource::Server;
    let kept = reviews.iter().any(|review| is_one(review) && review.advice == Advice::Keep);
    if kept {
        return;
    }
    if let Some(first) = reviews.iter_mut().filter(|review| is_one(review)).max_by_key(|review| review.last_used) {
        first.advice = Advice::Keep;
        first.why = "it is the last administrator's".to_owned();
    }
}

/// The grants as they would be.
fn proposed(world: &World, reviews: &[GrantReview]) -> Vec<Grant> {
    let mut all: Vec<Grant> = Vec::new();
    for review in reviews {
        match &review.advice {
            Advice::Keep => all.push(review.grant.clone()),
            Advice::Revoke => {}
            Advice::Narrow(to) => all.extend(to.iter().map(|(role, on)| part(world, &review.grant, role, on))),
        }
    }
    all
}

/// How the proposals stood when they were asked again.
struct Settled {
    replayed_count: usize,
    denied: Vec<Request>,
    enumeration: Enumeration,
    all_tried: bool,
}

/// What stands in for a part of a grant.
pub(super) fn part(world: &World, grant: &Grant, role: &str, on: &Resource) -> Grant {
    let workspace = match on {
        Resource::Server => None,
        Resource::Workspace(id) => Some(id.clone()),
        _ => grant.workspace.clone(),
    };
    let id = format!("g_{}", random_id());
    Grant { id, role: role.to_owned(), resource: on.clone(), workspace, created_at: world.now, ..grant.clone() }
}

/// Asks the past again, withdraws what would deny something, and enumerates what would be new.
fn settle(world: &World, engine: &Engine, reviews: &mut [GrantReview], uses: &[&Use], since: Micros) -> Settled {
    let before = Decider::new(engine, world.grants.iter().map(AsRef::as_ref), world.now);
    // Once per round at least one proposal goes, so it ends; three rounds are plenty, then everything that is left goes.
    for round in 0..4 {
        let after_grants = proposed(world, reviews);
        let after = Decider::new(engine, after_grants.iter(), world.now);
        let denied = replay(world, uses, &before, &after);
        if denied.is_empty() {
            break;
        }
        let hurt: BTreeSet<String> = uses
            .iter()
            .filter(|one| {
                denied.iter().any(|no| no.verb == one.verb && no.place == one.place && no.who == world.name(&one.caller))
            })
            .map(|one| one.grant.clone())
            .collect();
        for review in reviews.iter_mut().filter(|review| review.advice != Advice::Keep) {
            if round == 3 || hurt.contains(&review.grant.id) {
                review.advice = Advice::Keep;
                review.why = "less would have denied what was done, or shown less of a list".to_owned();
            }
        }
    }
    // Where nothing could be called unused, nothing is called superfluous either.
    let counted = world.counted_since.is_some_and(|from| from <= since);
    let all_tried = !counted || leave_out(world, engine, reviews, uses, since);
    let mut enumeration = compared(world, engine, reviews, uses, &before);
    if !enumeration.widened.is_empty() {
        withdraw(reviews, &enumeration.widened);
        enumeration = compared(world, engine, reviews, uses, &before);
    }
    let after_grants = proposed(world, reviews);
    let after = Decider::new(engine, after_grants.iter(), world.now);
    let denied = replay(world, uses, &before, &after);
    let asked: BTreeSet<_> = uses.iter().map(|one| (&one.caller, &one.verb, &one.place)).collect();
    Settled { replayed_count: asked.len(), denied, enumeration, all_tried }
}

/// Enumerates what the proposal would allow that is not allowed now.
fn compared(world: &World, engine: &Engine, reviews: &[GrantReview], uses: &[&Use], before: &Decider<'_>) -> Enumeration {
    let after_grants = proposed(world, reviews);
    let after = Decider::new(engine, after_grants.iter(), world.now);
    let changed = changed(reviews);
    let callers: Vec<_> =
        changed.iter().filter_map(|id| world.people.get(*id)).map(|one| (one.name.clone(), one.caller())).collect();
    let concerned = |grant: &&Grant| changed.contains(grant.principal.as_str());
    let grants = world.grants.iter().map(AsRef::as_ref).chain(&after_grants).filter(concerned);
    let (spots, named) = places(grants, uses);
    let found = widened(&callers, &spots, before, &after);
    Enumeration { complete: found.complete && named, ..found }
}

fn dormant(world: &World, uses: &[&Use], since: Micros) -> Vec<Dormant> {
    let mut last: BTreeMap<&str, Micros> = BTreeMap::new();
    for one in &world.uses {
        let entry = last.entry(&one.caller).or_insert(one.last_at);
        *entry = (*entry).max(one.last_at);
    }
    let active: BTreeSet<&str> = uses.iter().map(|one| one.caller.as_str()).collect();
    let is_quiet = |one: &&super::Someone| {
        one.kind != crate::types::PrincipalKind::Group
            && !one.disabled
            && one.created_at <= since
            && !active.contains(one.id.as_str())
    };
    let show = |one: &super::Someone| Dormant {
        id: one.id.clone(),
        name: one.name.clone(),
        last_used: last.get(one.id.as_str()).copied(),
        grant_count: world.grants.iter().filter(|grant| grant.principal == one.id).count(),
    };
    world.people.values().filter(is_quiet).map(show).collect()
}

fn old_token(world: &World, token: &super::TokenRow, since: Micros) -> Option<OldToken> {
    let since_day = since.0.div_euclid(DAY_US);
    let why = match token.last_used_day {
        None if token.created_at <= since => "never used",
        Some(day) if day < since_day => "not used for long",
        _ if world.now.0.saturating_sub(token.created_at.0) > OLD_TOKEN_DAYS * DAY_US => "old: make a new one",
        _ => return None,
    };
    Some(OldToken {
        id: token.id.clone(),
        who: world.name(&token.principal).to_owned(),
        label: token.label.clone(),
        created_at: token.created_at,
        expires_at: token.expires_at,
        last_used_day: token.last_used_day,
        why,
    })
}
