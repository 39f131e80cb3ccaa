//! Ways by which somebody could come to more than their grants say: a search over accounts, the nearest first, that begins with each account
//! and follows what it can do to act as another.
//!
//! An edge says: who is here can act as who is there, or have something done that only those may who are there. It is taken from what the
//! engine decides, from owners of service accounts, from grants that were taken back, from endpoints and canaries that follow an alias, and from
//! who in fact has models trained. What two people have to do together is named as such. A goal is each power that lies at the end of a way and
//! that the one who goes it does not hold: each role on each place, and what no single role says.

mod code;
#[cfg(test)]
mod tests;
mod ways;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use gate::TokenFacts;

use super::{Decider, Someone, Spot, World};
use crate::engine::Engine;
use crate::roles::covers;
use crate::types::{Grant, PrincipalKind, Resource};

/// Paths that are given, at most.
const PATH_COUNT_MAX: usize = 500;
/// Accounts that are begun with, at most: of those that anything can be begun with.
const START_COUNT_MAX: usize = 5_000;
/// Steps of one path, at most.
const STEP_COUNT_MAX: usize = 8;
/// Goals of one path that are named, at most.
const GOAL_COUNT_MAX: usize = 30;
/// Verbs of a goal or a token that are named, at most.
const NAMED_COUNT_MAX: usize = 5;
/// Who may do all of this administers the server.
const ADMINISTERS: [&str; 2] = ["grants.create", "users.create"];
/// Who may do all of this in a workspace reads what is kept there.
const READS: [&str; 2] = ["datasets.read", "artifacts.read"];

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which way it is, as a stable word.
    pub how: &'static str,
    /// In a sentence.
    pub words: String,
    /// The grants, accounts, endpoints and records behind it.
    pub evidence: Vec<String>,
}

/// A way up, with all that lies at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscalationPath {
    /// Whose, by name.
    pub who: String,
    /// To what: the first of them.
    pub goals: Vec<String>,
    /// To how many things.
    pub goal_count: usize,
    /// The shortest way.
    pub steps: Vec<Step>,
    /// So many ways over other accounts are like this one, and are told by it: of offices only.
    pub like_count: usize,
    /// Whether it is an administrator's office to be able to do that: then it is a matter of watching, not of repair.
    pub by_office: bool,
}

impl EscalationPath {
    /// To what, in a sentence.
    #[must_use]
    pub fn goal(&self) -> String {
        let more = self.goal_count.saturating_sub(self.goals.len());
        let named = self.goals.join("; ");
        if more == 0 { named } else { format!("{named}; and {more} more") }
    }
}

/// What a search found, and what it did not look at or does not name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathsFound {
    /// The ways: those to repair first, the shortest first.
    pub paths: Vec<EscalationPath>,
    /// What was left out, in sentences; nothing if the search was complete.
    pub left_off: Vec<String>,
}

/// What can be reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Goal {
    Administrator,
    /// What is kept in a workspace.
    Data(String),
    /// What an endpoint answers, by name, without anybody else.
    Answers(String),
    /// Retained things gone before their time.
    Evidence(String),
    /// What a role holds on a place.
    Role(String, Place),
    /// Of that these verbs only.
    Part(String, Place, Vec<String>),
}

/// Where a role is held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    on: Resource,
    /// The workspace that it lies in, by id.
    workspace: Option<String>,
}

impl Place {
    fn of(grant: &Grant) -> Self {
        Self { on: grant.resource.clone(), workspace: grant.workspace.clone() }
    }

    /// This place and those that it lies in.
    fn around(&self) -> impl Iterator<Item = Resource> {
        let workspace = self.workspace.clone().map(Resource::Workspace).filter(|around| *around != self.on);
        let server = Some(Resource::Server).filter(|around| *around != self.on);
        std::iter::once(self.on.clone()).chain(workspace).chain(server)
    }
}

/// Who can act as whom.
struct Edge {
    to: String,
    step: Step,
    by_office: bool,
}

/// Ways of one kind, told once: by whether they are by office and what they are told by, the one that is told and all that are like it.
type Alike = BTreeMap<(bool, Vec<String>), (EscalationPath, BTreeSet<Vec<String>>)>;

struct Search<'a> {
    world: &'a World,
    decider: Decider<'a>,
    /// The grants of each account and group, by whom they were given to.
    grants: HashMap<&'a str, Vec<&'a Grant>>,
    /// What was worked out of accounts already, by id: many ways lead over the same ones.
    known: RefCell<HashMap<String, Rc<Known>>>,
    /// Accounts as far as tokens that are narrowed open them, by the token's id.
    narrowed: BTreeMap<String, Someone>,
    /// Whether a way was given up because it is too long.
    is_cut: Cell<bool>,
    /// What training lets the code come to that it runs.
    trained: code::Trained<'a>,
}

/// What the search needs of one account: worked out once, however many ways lead over it.
struct Known {
    held: Vec<Goal>,
    direct: Vec<(Goal, Step, bool)>,
    edges: Vec<Edge>,
}

/// A way that was found to a goal, and whether it is one by office.
type Way = (Vec<Step>, bool);

/// The shortest way of each account to each power that it does not simply hold.
pub(crate) fn find(world: &World, engine: &Engine) -> PathsFound {
    let decider = Decider::new(engine, world.grants.iter().map(AsRef::as_ref), world.now);
    let mut grants: HashMap<&str, Vec<&Grant>> = HashMap::new();
    for grant in &world.grants {
        grants.entry(grant.principal.as_str()).or_default().push(grant);
    }
    let narrowed = world.tokens.iter().filter(|token| token.is_narrowed()).filter_map(|token| {
        let account = world.people.get(&token.principal)?.clone();
        let (id, scopes, workspace) = (token.id.clone(), token.scopes.clone(), token.workspace.clone());
        let facts = TokenFacts { id: id.clone(), scopes, workspace, device: None };
        Some((id, Someone { token: Some(facts), ..account }))
    });
    let (narrowed, is_cut) = (narrowed.collect(), Cell::new(false));
    let trained = code::Trained::new();
    let mut search = Search { world, decider, grants, known: RefCell::default(), narrowed, is_cut, trained };
    search.trained = search.look_at_training();
    let mut left_off = world.left_off.clone();
    let makers: BTreeSet<&str> = world.tokens.iter().map(|token| token.created_by.as_str()).collect();
    // Who holds nothing and has no token of another account has nothing to begin with.
    let begins = |one: &&Someone| {
        one.kind != PrincipalKind::Group
            && !one.disabled
            && (makers.contains(one.id.as_str()) || search.grants_of(one).next().is_some())
    };
    let starts: Vec<&Someone> = world.people.values().filter(begins).collect();
    let mut paths = Vec::new();
    for start in starts.iter().take(START_COUNT_MAX) {
        paths.extend(search.from(start));
    }
    if let Some(count) = starts.len().checked_sub(START_COUNT_MAX).filter(|count| *count > 0) {
        left_off.push(format!("{count} of {} accounts that hold anything were not begun with", starts.len()));
    }
    if search.is_cut.get() {
        left_off.push(format!("ways of more than {STEP_COUNT_MAX} steps were not followed"));
    }
    paths.sort_by(|one, other| {
        (one.by_office, one.steps.len(), &one.who, &one.goals).cmp(&(
            other.by_office,
            other.steps.len(),
            &other.who,
            &other.goals,
        ))
    });
    if let Some(cut) = paths.get(PATH_COUNT_MAX..).filter(|cut| !cut.is_empty()) {
        let office_count = cut.iter().filter(|one| one.by_office).count();
        left_off.push(format!(
            "{} ways are not named, {} of them to repair and {office_count} by office: close some of these and look again",
            cut.len(),
            cut.len() - office_count
        ));
    }
    paths.truncate(PATH_COUNT_MAX);
    PathsFound { paths, left_off }
}

impl<'a> Search<'a> {
    /// Breadth first: the first way to a goal is a shortest one. Ways by repair come before ways by office.
    fn from(&self, start: &Someone) -> Vec<EscalationPath> {
        let own: BTreeSet<Goal> = self.known(start).held.iter().cloned().collect();
        let mut found: BTreeMap<Goal, Way> = BTreeMap::new();
        let mut hands: Vec<(&Someone, Vec<Step>)> = Vec::new();
        for with_office in [false, true] {
            let mut seen = BTreeSet::from([start.node()]);
            let mut queue: VecDeque<(&Someone, Vec<Step>, bool)> = VecDeque::from([(start, Vec::new(), false)]);
            while let Some((here, steps, by_office)) = queue.pop_front() {
                let known = self.known(here);
                if here.id != start.id {
                    for goal in known.held.iter().filter(|goal| !found.contains_key(goal)).cloned().collect::<Vec<_>>() {
                        found.insert(goal, (steps.clone(), by_office));
                    }
                }
                for (goal, step, office) in &known.direct {
                    if (with_office || !office) && !found.contains_key(goal) {
                        let way = steps.iter().cloned().chain([step.clone()]).collect();
                        found.insert(goal.clone(), (way, by_office || *office));
                    }
                }
                for edge in &known.edges {
                    let next = self.world.people.get(&edge.to).or_else(|| self.narrowed.get(&edge.to));
                    let Some(next) = next.filter(|next| !next.disabled) else { continue };
                    if (!with_office && edge.by_office) || seen.contains(next.node()) {
                        continue;
                    }
                    if steps.len() >= STEP_COUNT_MAX {
                        self.is_cut.set(true);
                        continue;
                    }
                    seen.insert(next.node());
                    let way = steps.iter().cloned().chain([edge.step.clone()]).collect();
                    queue.push_back((next, way, by_office || edge.by_office));
                }
                if !with_office {
                    hands.push((here, steps));
                }
            }
        }
        for (goal, steps) in self.by_several_hands(&hands) {
            if found.get(&goal).is_none_or(|(_, by_office)| *by_office) {
                found.insert(goal, (steps, false));
            }
        }
        let has: Vec<&Grant> = self.grants_of(start).collect();
        found.retain(|goal, _| match goal {
            Goal::Role(role, place) => !self.holds(&has, role, place),
            Goal::Part(_, place, verbs) => !self.holds_verbs(&has, verbs, place),
            other => !own.contains(other),
        });
        self.grouped(start, self.without_lesser(found))
    }

    /// One path for all that lies at the end of the same way; of offices, for all ways of the same kind.
    fn grouped(&self, start: &Someone, found: BTreeMap<Goal, Way>) -> Vec<EscalationPath> {
        let mut paths: Alike = BTreeMap::new();
        for (goal, (steps, by_office)) in found {
            let way: Vec<String> = steps.iter().map(|step| step.words.clone()).collect();
            let key = if by_office { steps.iter().map(|step| step.how.to_owned()).collect() } else { way.clone() };
            let empty = || {
                let who = start.name.clone();
                let path = EscalationPath { who, goals: Vec::new(), goal_count: 0, steps, like_count: 0, by_office };
                (path, BTreeSet::new())
            };
            let (path, ways) = paths.entry((by_office, key)).or_insert_with(empty);
            path.goal_count += 1;
            if path.goals.len() < GOAL_COUNT_MAX {
                path.goals.push(self.words(&goal));
            }
            ways.insert(way);
        }
        let counted = |(path, ways): (EscalationPath, BTreeSet<Vec<String>>)| EscalationPath {
            like_count: ways.len().saturating_sub(1),
            ..path
        };
        paths.into_values().map(counted).collect()
    }

    /// Without roles that another one holds all of, which is found as near.
    fn without_lesser(&self, found: BTreeMap<Goal, Way>) -> BTreeMap<Goal, Way> {
        let mut roles: BTreeMap<Resource, Vec<(&str, usize, bool)>> = BTreeMap::new();
        for (goal, (steps, by_office)) in &found {
            if let Goal::Role(role, place) = goal {
                roles.entry(place.on.clone()).or_default().push((role, steps.len(), *by_office));
            }
        }
        let is_lesser = |role: &str, place: &Place, (steps, by_office): &Way| {
            place.around().any(|around| {
                roles.get(&around).into_iter().flatten().any(|(other, length, office)| {
                    let is_other = around != place.on || *other != role;
                    let is_as_near = *length <= steps.len() && (!office || *by_office);
                    is_other && is_as_near && self.decider.includes(&[other], role) && !self.decider.includes(&[role], other)
                })
            })
        };
        let keeps = |goal: &Goal, way: &Way| match goal {
            Goal::Role(role, place) => !is_lesser(role, place, way),
            Goal::Part(role, place, _) => {
                let whole = found.get(&Goal::Role(role.clone(), place.clone()));
                whole.is_none_or(|(steps, by_office)| steps.len() > way.0.len() || (*by_office && !way.1))
            }
            _ => true,
        };
        let lesser: BTreeSet<Goal> = found.iter().filter(|(goal, way)| !keeps(goal, way)).map(|(goal, _)| goal.clone()).collect();
        found.into_iter().filter(|(goal, _)| !lesser.contains(goal)).collect()
    }

    fn known(&self, who: &Someone) -> Rc<Known> {
        if let Some(known) = self.known.borrow().get(who.node()) {
            return Rc::clone(known);
        }
        let known = Rc::new(Known { held: self.held(who), direct: self.direct(who), edges: self.edges(who) });
        self.known.borrow_mut().insert(who.node().to_owned(), Rc::clone(&known));
        known
    }

    fn words(&self, goal: &Goal) -> String {
        let workspace = |id: &String| self.world.workspaces.get(id).unwrap_or(id).clone();
        match goal {
            Goal::Administrator => "administrator of the server".to_owned(),
            Goal::Data(id) => format!("data of the workspace `{}`", workspace(id)),
            Goal::Answers(name) => format!("what the endpoint `{name}` answers, without anybody else"),
            Goal::Evidence(id) => format!("retained things of the workspace `{}`, gone before their time", workspace(id)),
            Goal::Part(role, place, verbs) => {
                let named: Vec<String> = verbs.iter().take(NAMED_COUNT_MAX).map(|verb| format!("`{verb}`")).collect();
                let more =
                    if verbs.len() > named.len() { format!(" and {} more", verbs.len() - named.len()) } else { String::new() };
                format!("{}{more} of {}", named.join(", "), self.words(&Goal::Role(role.clone(), place.clone())))
            }
            Goal::Role(role, place) => match (&place.on, &place.workspace) {
                (Resource::Server, _) => format!("the role `{role}` on the server"),
                (Resource::Workspace(id), _) => format!("the role `{role}` on the workspace `{}`", workspace(id)),
                (on, within) => format!(
                    "the role `{role}` on the {} `{}` of the workspace `{}`",
                    on.kind().replace('_', " "),
                    on.id(),
                    within.as_ref().map(workspace).unwrap_or_default()
                ),
            },
        }
    }

    /// The grants that somebody has, directly and by groups.
    fn grants_of<'s>(&'s self, who: &'s Someone) -> impl Iterator<Item = &'a Grant> + 's {
        let holders = std::iter::once(&who.id).chain(&who.groups);
        holders.flat_map(|holder| self.grants.get(holder.as_str()).into_iter().flatten().copied())
    }

    /// Whether these grants give together what a role gives there.
    fn holds(&self, grants: &[&Grant], role: &str, place: &Place) -> bool {
        let there: Vec<&str> = grants
            .iter()
            .filter(|grant| place.around().any(|around| around == grant.resource))
            .map(|grant| grant.role.as_str())
            .collect();
        self.decider.includes(&there, role)
    }

    /// Whether these grants let all of the verbs pass there.
    fn holds_verbs(&self, grants: &[&Grant], verbs: &[String], place: &Place) -> bool {
        let there: Vec<&&Grant> = grants.iter().filter(|grant| place.around().any(|around| around == grant.resource)).collect();
        verbs.iter().all(|verb| there.iter().any(|grant| self.decider.has_verbs(&grant.role, &[verb.as_str()])))
    }

    /// The grants by which somebody may do all of `verbs` there, by id; none if one is missing.
    fn may(&self, who: &Someone, verbs: &[&str], spot: &Spot) -> Option<Vec<String>> {
        // Nearly everybody holds no role with these verbs: that is looked at before the engine is asked.
        let is_held = |verb: &&str| self.grants_of(who).any(|grant| self.decider.has_verbs(&grant.role, &[*verb]));
        if !verbs.iter().all(is_held) {
            return None;
        }
        let caller = who.caller();
        let mut grants = BTreeSet::new();
        for verb in verbs {
            grants.extend(self.decider.grants(&caller, verb, spot)?.iter().map(|grant| grant.id.clone()));
        }
        Some(grants.into_iter().collect())
    }

    fn spot_of(&self, workspace: &str) -> Spot {
        Spot::of(&Resource::Workspace(workspace.to_owned()), None)
    }

    /// What somebody simply holds: that is what their grants say.
    fn held(&self, who: &Someone) -> Vec<Goal> {
        let mut goals = Vec::new();
        if self.may(who, &ADMINISTERS, &Spot::server()).is_some() {
            goals.push(Goal::Administrator);
        }
        let reads = |id: &&String| self.may(who, &READS, &self.spot_of(id)).is_some();
        goals.extend(self.world.workspaces.keys().filter(reads).map(|id| Goal::Data(id.clone())));
        match &who.token {
            None => goals.extend(self.grants_of(who).filter_map(|grant| self.role_of(grant))),
            Some(token) => goals.extend(self.grants_of(who).filter_map(|grant| self.let_pass(token, grant))),
        }
        goals
    }

    /// As much of the role that a grant gives as a token lets pass. One that is narrowed to a single thing is taken for what it lets pass there.
    fn let_pass(&self, token: &TokenFacts, grant: &Grant) -> Option<Goal> {
        let place = match (&token.workspace, &grant.workspace) {
            (Some(only), Some(other)) if only != other => return None,
            (Some(only), None) => Place { on: Resource::Workspace(only.clone()), workspace: Some(only.clone()) },
            _ => Place::of(grant),
        };
        let patterns: Vec<&str> = token.scopes.iter().map(|scope| scope.split('@').next().unwrap_or_default()).collect();
        let passes = |verb: &&str| patterns.is_empty() || patterns.iter().any(|pattern| covers(pattern, verb));
        let verbs: Vec<String> = self.decider.verbs(&grant.role).filter(passes).map(str::to_owned).collect();
        let is_whole =
            verbs.len() == self.decider.verbs(&grant.role).count() && !token.scopes.iter().any(|scope| scope.contains('@'));
        match (is_whole, verbs.is_empty()) {
            (true, _) if place == Place::of(grant) => self.role_of(grant),
            (true, _) => Some(Goal::Role(grant.role.clone(), place)),
            (false, true) => None,
            (false, false) => Some(Goal::Part(grant.role.clone(), place, verbs)),
        }
    }

    /// The role that a grant gives, where it is not named otherwise.
    fn role_of(&self, grant: &Grant) -> Option<Goal> {
        let is_named = grant.resource == Resource::Server && self.decider.has_verbs(&grant.role, &ADMINISTERS);
        (!is_named).then(|| Goal::Role(grant.role.clone(), Place::of(grant)))
    }

    /// What a grant gives to whoever holds it.
    fn given_by(&self, grant: &Grant) -> Vec<Goal> {
        let reads = !self.decider.is_office(&grant.role) && self.decider.has_verbs(&grant.role, &READS);
        let mut goals: Vec<Goal> = self.role_of(grant).into_iter().collect();
        match &grant.resource {
            Resource::Server => {
                goals.extend(self.decider.has_verbs(&grant.role, &ADMINISTERS).then_some(Goal::Administrator));
                goals.extend(self.world.workspaces.keys().filter(|_| reads).map(|id| Goal::Data(id.clone())));
            }
            Resource::Workspace(id) if reads => goals.push(Goal::Data(id.clone())),
            _ => {}
        }
        goals
    }
}
