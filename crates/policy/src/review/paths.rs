//! Ways by which somebody could come to more than their grants say: a search over accounts, the nearest first, that begins with each account
//! and follows what it can do to act as another.
//!
//! An edge says: who is here can act as who is there, or have something done that only those may who are there. It is taken from what the
//! engine decides, from owners of service accounts, from grants that were taken back, from endpoints that follow an alias, and from who in fact
//! has models trained. What two people have to do together is named as such.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use super::{Decider, EndpointRow, Someone, Spot, TokenRow, World};
use crate::engine::Engine;
use crate::types::{Grant, PrincipalKind, Resource};

/// Paths that are given, at most.
const PATH_COUNT_MAX: usize = 500;
/// Accounts that are begun with, at most.
const START_COUNT_MAX: usize = 2_000;
/// Steps of one path, at most.
const STEP_COUNT_MAX: usize = 8;
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

/// A way up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscalationPath {
    /// Whose, by name.
    pub who: String,
    /// To what.
    pub goal: String,
    /// The shortest way.
    pub steps: Vec<Step>,
    /// Whether it is an administrator's office to be able to do that: then it is a matter of watching, not of repair.
    pub by_office: bool,
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
}

/// Who can act as whom.
struct Edge {
    to: String,
    step: Step,
    by_office: bool,
}

struct Search<'a> {
    world: &'a World,
    decider: Decider<'a>,
    /// What was worked out of accounts already, by id: many ways lead over the same ones.
    known: RefCell<HashMap<String, Rc<Known>>>,
}

/// What the search needs of one account: worked out once, however many ways lead over it.
struct Known {
    held: Vec<Goal>,
    direct: Vec<(Goal, Step, bool)>,
    edges: Vec<Edge>,
}

/// The shortest way of each account to each goal that it does not simply hold.
pub(crate) fn find(world: &World, engine: &Engine) -> Vec<EscalationPath> {
    let decider = Decider::new(engine, world.grants.iter().map(AsRef::as_ref), world.now);
    let search = Search { world, decider, known: RefCell::default() };
    let mut found = Vec::new();
    let starts = world.people.values().filter(|one| one.kind != PrincipalKind::Group && !one.disabled);
    for start in starts.take(START_COUNT_MAX) {
        found.extend(search.from(start));
    }
    found.sort_by(|one, other| {
        (one.by_office, one.steps.len(), &one.who, &one.goal).cmp(&(other.by_office, other.steps.len(), &other.who, &other.goal))
    });
    found.truncate(PATH_COUNT_MAX);
    found
}

impl Search<'_> {
    /// Breadth first: the first way to a goal is a shortest one. Ways by repair come before ways by office.
    fn from(&self, start: &Someone) -> Vec<EscalationPath> {
        let own: BTreeSet<Goal> = self.known(start).held.iter().cloned().collect();
        let mut found: BTreeMap<Goal, (Vec<Step>, bool)> = BTreeMap::new();
        for with_office in [false, true] {
            let mut seen = BTreeSet::from([start.id.as_str()]);
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
                if steps.len() >= STEP_COUNT_MAX {
                    continue;
                }
                for edge in &known.edges {
                    let Some(next) = self.world.people.get(&edge.to).filter(|next| !next.disabled) else { continue };
                    if (with_office || !edge.by_office) && seen.insert(next.id.as_str()) {
                        let way = steps.iter().cloned().chain([edge.step.clone()]).collect();
                        queue.push_back((next, way, by_office || edge.by_office));
                    }
                }
            }
        }
        let show = |(goal, (steps, by_office)): (Goal, (Vec<Step>, bool))| EscalationPath {
            who: start.name.clone(),
            goal: self.words(&goal),
            steps,
            by_office,
        };
        found.into_iter().filter(|(goal, _)| !own.contains(goal)).map(show).collect()
    }

    fn known(&self, who: &Someone) -> Rc<Known> {
        if let Some(known) = self.known.borrow().get(&who.id) {
            return Rc::clone(known);
        }
        let known = Rc::new(Known { held: self.held(who), direct: self.direct(who), edges: self.edges(who) });
        self.known.borrow_mut().insert(who.id.clone(), Rc::clone(&known));
        known
    }

    fn words(&self, goal: &Goal) -> String {
        let workspace = |id: &String| self.world.workspaces.get(id).unwrap_or(id).clone();
        match goal {
            Goal::Administrator => "administrator of the server".to_owned(),
            Goal::Data(id) => format!("data of the workspace `{}`", workspace(id)),
            Goal::Answers(name) => format!("what the endpoint `{name}` answers, without anybody else"),
            Goal::Evidence(id) => format!("retained things of the workspace `{}`, gone before their time", workspace(id)),
        }
    }

    /// The grants by which somebody may do all of `verbs` there, by id; none if one is missing.
    fn may(&self, who: &Someone, verbs: &[&str], spot: &Spot) -> Option<Vec<String>> {
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
        goals
    }

    /// Goals that somebody reaches from here in one step.
    fn direct(&self, who: &Someone) -> Vec<(Goal, Step, bool)> {
        let mut found = Vec::new();
        self.by_new_account(who, &mut found);
        self.by_code(who, &mut found);
        self.by_restore(who, &mut found);
        if let Some(evidence) = self.may(who, &["elevations.break_glass"], &Spot::server()) {
            let words = format!("`{}` may make themself administrator in an emergency; that alarms", who.name);
            found.push((Goal::Administrator, Step { how: "break_glass", words, evidence }, true));
        }
        for endpoint in &self.world.endpoints {
            found.extend(self.by_endpoint(who, endpoint));
        }
        for id in self.world.workspaces.keys() {
            let takes_away = ["retention.bypass", "buckets.bypass", "buckets.remove"];
            if let Some(evidence) = self.may(who, &takes_away, &self.spot_of(id)) {
                let words = format!("`{}` may both bypass retention and delete what it held", who.name);
                found.push((Goal::Evidence(id.clone()), Step { how: "retention_settings", words, evidence }, false));
            }
        }
        found
    }

    /// A new account, and a role for it.
    fn by_new_account(&self, who: &Someone, found: &mut Vec<(Goal, Step, bool)>) {
        let makes = ["users.create", "users.set_password"];
        let Some(evidence) = self.may(who, &makes, &Spot::server()) else { return };
        for id in self.world.workspaces.keys() {
            let office = self.decider.grants(&who.caller(), "grants.create", &self.spot_of(id));
            let office = office.is_some_and(|grants| grants.iter().any(|grant| grant.role == "administrator"));
            if office {
                let words = format!("`{}` makes an account, sets its password and gives it a role on the workspace", who.name);
                found.push((Goal::Data(id.clone()), Step { how: "new_account", words, evidence: evidence.clone() }, true));
            }
        }
    }

    /// Code that somebody else's training runs.
    fn by_code(&self, who: &Someone, found: &mut Vec<(Goal, Step, bool)>) {
        for id in self.world.workspaces.keys() {
            let spot = self.spot_of(id);
            if self.may(who, &["datasets.read", "artifacts.read"], &spot).is_some() {
                continue;
            }
            // Code lies in the files of runs: of the workspace, or of an experiment that training takes its code from.
            let is_experiment = |grant: &&std::sync::Arc<crate::types::Grant>| {
                grant.workspace.as_deref() == Some(id) && matches!(grant.resource, Resource::Experiment(_))
            };
            let experiments = self.world.grants.iter().filter(is_experiment).map(|grant| Spot::of(&grant.resource, Some(id)));
            let writes = std::iter::once(spot.clone())
                .chain(experiments)
                .find_map(|place| self.may(who, &["artifacts.write"], &place).map(|grants| (place, grants)));
            let Some((place, mut evidence)) = writes else { continue };
            let runs = self.world.uses.iter().find(|one| {
                one.verb == "retraining.submit"
                    && one.workspace == *id
                    && one.caller != who.id
                    && self
                        .world
                        .people
                        .get(&one.caller)
                        .is_some_and(|other| self.may(other, &["datasets.read"], &spot).is_some())
            });
            let Some(runs) = runs else { continue };
            evidence.push(format!("{} used {} on {}", self.world.name(&runs.caller), runs.grant, runs.last_at.rfc3339()));
            let words = format!(
                "`{}` writes files of {}, and `{}` trains models from such files with access to data",
                who.name,
                place.words,
                self.world.name(&runs.caller)
            );
            found.push((Goal::Data(id.clone()), Step { how: "code_that_another_runs", words, evidence }, false));
        }
    }

    /// Old grants come back with an old backup.
    fn by_restore(&self, who: &Someone, found: &mut Vec<(Goal, Step, bool)>) {
        let Some(grants) = self.may(who, &["backups.request_restore"], &Spot::server()) else { return };
        let mine = |principal: &String| *principal == who.id || who.groups.contains(principal);
        for old in self.world.revoked.iter().filter(|old| mine(&old.principal)) {
            for goal in self.reached_by(old) {
                let words =
                    format!("`{}` asks for a restore, a second person agrees, and the role `{}` is back", who.name, old.role);
                let evidence = grants.iter().cloned().chain([old.id.clone()]).collect();
                found.push((goal, Step { how: "restore_of_an_old_backup", words, evidence }, false));
            }
        }
    }

    /// What a grant gives to whoever holds it.
    fn reached_by(&self, grant: &Grant) -> Vec<Goal> {
        let reads = !self.decider.is_office(&grant.role) && self.decider.has_verbs(&grant.role, &READS);
        match &grant.resource {
            Resource::Server => {
                let administers = self.decider.has_verbs(&grant.role, &ADMINISTERS).then_some(Goal::Administrator);
                let all = self.world.workspaces.keys().filter(|_| reads).map(|id| Goal::Data(id.clone()));
                administers.into_iter().chain(all).collect()
            }
            Resource::Workspace(id) if reads => vec![Goal::Data(id.clone())],
            _ => Vec::new(),
        }
    }

    /// A model of one's own that an endpoint answers with, and nobody else was asked.
    fn by_endpoint(&self, who: &Someone, endpoint: &EndpointRow) -> Option<(Goal, Step, bool)> {
        let model = Resource::RegisteredModel(endpoint.model.clone());
        let spot = Spot::of(&model, Some(&endpoint.workspace));
        let mut evidence = self.may(who, &["versions.create"], &spot)?;
        let follows = endpoint.choice.starts_with('@');
        let (how, words) = if let Some(grants) = self.may(who, &["admissions.waive", "endpoints.update"], &spot) {
            evidence.extend(grants);
            ("own_approval", format!("`{}` makes versions, waives what their inspection finds and puts them to work", who.name))
        } else if let (true, Some(grants)) = (follows, self.may(who, &["models.alias"], &spot)) {
            evidence.extend(grants);
            let way = format!("`{}` makes versions and moves `{}`, which the endpoint follows", who.name, endpoint.choice);
            ("alias_that_an_endpoint_follows", way)
        } else if let Some(grants) = self.may(who, &["endpoints.update"], &spot) {
            evidence.extend(grants);
            let way = format!(
                "`{}` makes versions and puts them to work: what inspection finds nothing in, nobody else is asked about",
                who.name
            );
            ("own_version_put_to_work", way)
        } else {
            return None;
        };
        evidence.push(format!("endpoint {} answers with {}", endpoint.name, endpoint.choice));
        evidence.dedup();
        Some((Goal::Answers(endpoint.name.clone()), Step { how, words, evidence }, false))
    }

    /// A directory elsewhere says who is in a group that it looks after: whoever holds its token puts a person of theirs there. Groups that
    /// hold an office are out of its reach.
    fn by_provisioning(&self, who: &Someone) -> Vec<Edge> {
        let verbs = ["provisioning.create_user", "provisioning.change_group"];
        let Some(grants) = self.may(who, &verbs, &Spot::server()) else { return Vec::new() };
        let own = self.world.looked_after.iter().filter(|(_, by)| **by == who.id);
        let groups = own.filter_map(|(id, _)| self.world.people.get(id)).filter(|group| !self.holds_office(group));
        let edge = |group: &Someone| {
            let words =
                format!("`{}` makes an account and puts it into the group `{}`, which it looks after", who.name, group.name);
            let evidence = grants.iter().cloned().chain([format!("looks after {}", group.id)]).collect();
            Edge { to: group.id.clone(), step: Step { how: "account_by_provisioning", words, evidence }, by_office: true }
        };
        groups.map(edge).collect()
    }

    /// Tokens of service accounts that somebody made and so has, whether they may still make any or not.
    fn by_live_tokens(&self, who: &Someone) -> Vec<Edge> {
        let service =
            |id: &String| self.world.people.get(id).filter(|one| one.kind == PrincipalKind::Service && one.id != who.id);
        let own = self.world.tokens.iter().filter(|token| token.created_by == who.id);
        let edge = |token: &TokenRow| {
            let service = service(&token.principal)?;
            let until = token.expires_at.rfc3339();
            let words =
                format!("`{}` made a token of the service account `{}`, which counts until {until}", who.name, service.name);
            let evidence = vec![format!("token {}", token.id)];
            Some(Edge {
                to: service.id.clone(),
                step: Step { how: "live_token_of_a_service", words, evidence },
                by_office: false,
            })
        };
        own.filter_map(edge).collect()
    }

    fn holds_office(&self, group: &Someone) -> bool {
        let mine = |principal: &String| *principal == group.id || group.groups.contains(principal);
        let mut own = self.world.grants.iter().filter(|grant| mine(&grant.principal));
        own.any(|grant| self.decider.is_office(&grant.role))
    }

    /// Whom somebody can act as.
    fn edges(&self, who: &Someone) -> Vec<Edge> {
        let mut edges = Vec::new();
        let server = Spot::server();
        if let Some(grants) = self.may(who, &["tokens.create_for"], &server) {
            let own = self.world.people.values().filter(|one| one.kind == PrincipalKind::Service && one.owner == who.id);
            for service in own {
                let words = format!("`{}` made the service account `{}` and mints its tokens", who.name, service.name);
                let evidence = grants.iter().cloned().chain([format!("owner of {}", service.id)]).collect();
                edges.push(Edge {
                    to: service.id.clone(),
                    step: Step { how: "token_of_own_service", words, evidence },
                    by_office: false,
                });
            }
        }
        edges.extend(self.by_live_tokens(who));
        if let Some(evidence) = self.may(who, &["users.set_password"], &server) {
            for other in self.world.people.values().filter(|one| one.kind == PrincipalKind::User && one.id != who.id) {
                let words = format!("`{}` sets the password of `{}`", who.name, other.name);
                edges.push(Edge {
                    to: other.id.clone(),
                    step: Step { how: "password_of_another", words, evidence: evidence.clone() },
                    by_office: true,
                });
            }
        }
        edges.extend(self.by_provisioning(who));
        if let Some(evidence) = self.may(who, &["users.create", "users.set_password", "groups.add_member"], &server) {
            for group in self.world.people.values().filter(|one| one.kind == PrincipalKind::Group) {
                let words = format!("`{}` makes an account and puts it into the group `{}`", who.name, group.name);
                edges.push(Edge {
                    to: group.id.clone(),
                    step: Step { how: "account_into_a_group", words, evidence: evidence.clone() },
                    by_office: true,
                });
            }
        }
        edges
    }
}
