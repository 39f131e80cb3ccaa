//! The decision: values in, values out. The token narrows first, then Cedar judges, then the answer is put into words.

use std::collections::BTreeSet;
use std::sync::Arc;

use gate::{Caller, CallerKind, DataFacts, DataState, Decision, Facts, Scope, TargetKind};
use kernel::Micros;

use crate::cache::PreparedCache;
use crate::circumstances::{Circumstances, DataContext};
use crate::engine::{Engine, Prepared, Verb, Verdict};
use crate::index::Index;
use crate::place::Place;
use crate::roles::{covers, scope_covers};
use crate::types::{Grant, Resource};

/// How old a new log-in may be asked to be at most; some of [`crate::circumstances::PROOF_AGES_S`].
const STEP_UP_AGES_S: [u32; 3] = [300, 900, 3_600];

/// One question, by the verb's name.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) verb: &'a str,
    pub(crate) kind: TargetKind,
    pub(crate) facts: &'a Facts,
    pub(crate) circumstances: Circumstances,
    pub(crate) now: Micros,
}

/// The judge over one state of the grants.
#[derive(Clone, Copy)]
pub(crate) struct Judge<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) index: &'a Index,
    pub(crate) cache: &'a PreparedCache,
}

/// How a token stands to a request.
enum Narrowing {
    Fits,
    /// Not one of its verbs. Its owner might.
    OtherVerb,
    /// Not in its workspace: there it knows of nothing.
    Elsewhere,
}

impl Judge<'_> {
    /// Decides.
    pub(crate) fn decide(self, ask: Ask<'_>) -> Decision {
        let Some(verb) = self.engine.verb(ask.verb) else {
            tracing::error!(action = ask.verb, "a verb that the schema does not know was refused");
            return Decision::Deny { visible: false, hint: "This server's policy does not know the verb.".to_owned() };
        };
        let place = Place::of(ask.kind, ask.facts);
        match narrowing(ask.caller, verb, &place, ask.facts) {
            Narrowing::Fits => {}
            Narrowing::OtherVerb => {
                let hint = format!("The token is narrowed to other verbs than `{}`; use one that includes it.", verb.name);
                return Decision::Deny { visible: self.visible(ask, &place), hint };
            }
            Narrowing::Elsewhere => {
                let hint = "The token is narrowed to another workspace.".to_owned();
                return Decision::Deny { visible: false, hint };
            }
        }
        if let Some((reasons, scope)) = self.allowed(ask, verb, &place, ask.circumstances) {
            return Decision::Allow { reasons: self.signed(reasons), scope };
        }
        if let Some(step_up) = self.step_up(ask, verb, &place) {
            return step_up;
        }
        // A better device is no log-in: nobody is sent to the form for it.
        let (least, has) = (ask.circumstances.least_tier, ask.circumstances.device_tier);
        if has < least && self.allowed(ask, verb, &place, ask.circumstances.best().best_device()).is_some() {
            return Decision::Deny { visible: true, hint: device_hint(least, has) };
        }
        Decision::Deny { visible: self.visible(ask, &place), hint: self.hint(ask, verb, &place) }
    }

    /// What log-in would make a yes of a no: the least that does, and how old it may be.
    fn step_up(self, ask: Ask<'_>, verb: &Verb, place: &Place) -> Option<Decision> {
        let best = ask.circumstances.best();
        let known = ask.caller.kind != CallerKind::Anonymous;
        if !known || best == ask.circumstances {
            return None;
        }
        self.allowed(ask, verb, place, best)?;
        let would = |circumstances| self.allowed(ask, verb, place, circumstances).is_some();
        let fresh = |stronger: Circumstances| Circumstances { proof_age_s: 0, ..stronger };
        let (acr, enough) = ask.circumstances.stronger().into_iter().find(|(_, stronger)| would(fresh(*stronger)))?;
        // Once it is there it ages: the oldest that would still do, of those that a log-in of this moment leaves time for.
        let age =
            STEP_UP_AGES_S.into_iter().rev().find(|age_s| would(Circumstances { proof_age_s: *age_s, session: true, ..enough }));
        Some(Decision::StepUp { acr: acr.to_owned(), max_age_s: age.unwrap_or(STEP_UP_AGES_S[0]) })
    }

    /// Whether the caller may do `verb` there, the token's narrowing included, with the grants that say so.
    pub(crate) fn may(self, ask: Ask<'_>) -> Option<Vec<Arc<Grant>>> {
        let verb = self.engine.verb(ask.verb)?;
        let place = Place::of(ask.kind, ask.facts);
        if !matches!(narrowing(ask.caller, verb, &place, ask.facts), Narrowing::Fits) {
            return None;
        }
        let prepared = self.prepared(ask.caller, verb, &place, ask.now)?;
        let verdict = self.engine.judge(&prepared, ask.circumstances, DataContext::of(ask.caller, ask.facts));
        verdict.allowed.then(|| determining(&prepared, &verdict))
    }

    fn signed(self, mut reasons: Vec<String>) -> Vec<String> {
        reasons.push(self.engine.version_reason.clone());
        reasons
    }

    fn allowed(self, ask: Ask<'_>, verb: &Verb, place: &Place, circumstances: Circumstances) -> Option<(Vec<String>, Scope)> {
        let prepared = self.prepared(ask.caller, verb, place, ask.now)?;
        let verdict = self.engine.judge(&prepared, circumstances, DataContext::of(ask.caller, ask.facts));
        if verdict.allowed {
            let scope = scope_of(ask.caller, place, &determining(&prepared, &verdict));
            return Some((verdict.reasons.clone(), scope));
        }
        match place {
            Place::Workspace(workspace) if ask.kind == TargetKind::Workspace && is_list(&verb.name) => {
                self.items(ask, verb, workspace, circumstances)
            }
            _ => None,
        }
    }

    /// The single experiments, models and data sets of the workspace on which the caller has the verb: what a list shows to those who do
    /// not have the workspace. Each role is judged once per kind of item: the built-in policies cannot tell one item from
    /// another (the engine refuses to load any that names one), so grants of one role on one kind decide alike.
    fn items(self, ask: Ask<'_>, verb: &Verb, workspace: &str, circumstances: Circumstances) -> Option<(Vec<String>, Scope)> {
        let mut reasons = BTreeSet::new();
        let (mut experiments, mut models, mut datasets) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut judged: Vec<(&str, &str, bool)> = Vec::new();
        for grant in self.index.in_workspace(ask.caller, workspace, ask.now) {
            if !self.engine.holds(&grant.role, &verb.name) {
                continue;
            }
            let kind = grant.resource.kind();
            let before = judged.iter().find(|(role, on, _)| *role == grant.role && *on == kind).map(|(_, _, yes)| *yes);
            let yes = before.unwrap_or_else(|| {
                let yes = self.item(ask, verb, grant, workspace, circumstances);
                judged.push((&grant.role, kind, yes));
                yes
            });
            if !yes {
                continue;
            }
            match &grant.resource {
                Resource::Experiment(id) => {
                    experiments.insert(*id);
                }
                Resource::RegisteredModel(id) => {
                    models.insert(id.clone());
                }
                Resource::Dataset(id) => {
                    datasets.insert(id.clone());
                }
                Resource::Server | Resource::Workspace(_) => continue,
            }
            if reasons.len() < REASON_COUNT_MAX {
                reasons.insert(grant.id.clone());
            }
        }
        if covers("datasets.*", &verb.name) {
            let scope = Scope::Datasets(datasets.into_iter().collect());
            return (scope != Scope::Datasets(Vec::new())).then(|| (reasons.into_iter().collect(), scope));
        }
        if experiments.is_empty() && models.is_empty() {
            return None;
        }
        let scope = Scope::Only { experiments: experiments.into_iter().collect(), models: models.into_iter().collect() };
        Some((reasons.into_iter().collect(), scope))
    }

    fn item(self, ask: Ask<'_>, verb: &Verb, grant: &Arc<Grant>, workspace: &str, circumstances: Circumstances) -> bool {
        let workspace = workspace.to_owned();
        let place = match &grant.resource {
            Resource::Experiment(id) => Place::Experiment { id: *id, workspace },
            Resource::RegisteredModel(id) => Place::RegisteredModel { id: id.clone(), workspace },
            Resource::Dataset(id) => Place::Dataset { id: id.clone(), workspace },
            Resource::Server | Resource::Workspace(_) => return false,
        };
        let prepared = self.engine.prepare(ask.caller, verb, &place, vec![Arc::clone(grant)], self.index.generation);
        prepared.is_ok_and(|prepared| self.engine.judge(&prepared, circumstances, DataContext::NONE).allowed)
    }

    fn prepared(self, caller: &Caller, verb: &Verb, place: &Place, now: Micros) -> Option<Arc<Prepared>> {
        let generation = self.index.generation;
        if let Some(prepared) = self.cache.get(caller, &verb.name, place, generation, now) {
            return Some(prepared);
        }
        let grants = self.index.slice(caller, place, now);
        match self.engine.prepare(caller, verb, place, grants, generation) {
            Ok(prepared) => {
                let prepared = Arc::new(prepared);
                self.cache.put(caller, &verb.name, place.clone(), Arc::clone(&prepared));
                Some(prepared)
            }
            Err(error) => {
                tracing::error!(error = %error, "a policy request could not be put together, refused");
                None
            }
        }
    }

    /// Whether the caller may know that the target exists: it could read it, or has something in the workspace.
    fn visible(self, ask: Ask<'_>, place: &Place) -> bool {
        if ask.caller.kind == CallerKind::Anonymous {
            return false;
        }
        let reading = match ask.kind {
            TargetKind::Server | TargetKind::AuditLog | TargetKind::Myself => return true,
            TargetKind::Workspace => return self.has_any(ask.caller, place, ask.now),
            TargetKind::Experiment => "experiments.get",
            TargetKind::Run => "runs.get",
            TargetKind::LoggedModel => "logged_models.get",
            TargetKind::Trace => "traces.get",
            TargetKind::EvaluationDataset => "evaluation.get",
            TargetKind::Bucket => "buckets.get",
            TargetKind::Dataset | TargetKind::DatasetVersion => "datasets.get",
            TargetKind::Endpoint => "endpoints.get",
            TargetKind::RegisteredModel => "models.get",
            TargetKind::ModelVersion => "versions.get",
        };
        let Some(verb) = self.engine.verb(reading).filter(|_| ask.facts.exists) else { return false };
        let Some(prepared) = self.prepared(ask.caller, verb, place, ask.now) else { return false };
        self.engine.judge(&prepared, ask.circumstances.best().best_device(), DataContext::of(ask.caller, ask.facts)).allowed
    }

    fn has_any(self, caller: &Caller, place: &Place, now: Micros) -> bool {
        let Place::Workspace(workspace) = place else { return false };
        if workspace.is_empty() {
            return false;
        }
        let mut server = self.index.in_workspace(caller, "", now);
        let job = caller.kind == CallerKind::Job;
        job || self.index.in_workspace(caller, workspace, now).next().is_some()
            || server.any(|grant| self.engine.holds(&grant.role, "workspaces.get"))
    }

    fn hint(self, ask: Ask<'_>, verb: &Verb, place: &Place) -> String {
        if let Some(why) = ask.facts.data.and_then(|data| data_hint(&verb.name, data)) {
            return why;
        }
        let roles: Vec<String> = self
            .engine
            .roles
            .values()
            .filter(|role| role.verbs.contains(&verb.name))
            .map(|role| format!("`{}`", role.name))
            .collect();
        if roles.is_empty() {
            return format!("No role includes `{}`.", verb.name);
        }
        let one = if roles.len() == 1 { "the role" } else { "one of the roles" };
        format!("`{}` takes {one} {} {}; ask whoever manages grants here.", verb.name, roles.join(", "), place.words())
    }
}

/// What is missing where only the device is.
fn device_hint(least: u8, has: u8) -> String {
    let todo = match (has, least) {
        (0, _) => "enrol this device with `strongroom agent enroll`, and send its certificate with each request",
        (1, _) => "have it report with `strongroom agent report`, and put in order what `strongroom device show` says is wrong",
        _ => "its key must be in a TPM that is vouched for: enrol it again with `--tpm`, and run `strongroom agent attest`",
    };
    format!("This takes a device of tier {least}; the one that you came from is of tier {has}: {todo}.")
}

/// Why a version of a data set may be out of reach for somebody whose role has the verb.
fn data_hint(verb: &str, data: DataFacts) -> Option<String> {
    match verb {
        "datasets.read" | "datasets.export" if data.classes.special || data.classes.health => Some(
            "It holds special categories or health data: that takes the role `special_reader` too, and it must be admitted."
                .to_owned(),
        ),
        "datasets.read" | "datasets.export" | "datasets.clean" if data.state != DataState::Admitted => {
            let state = data.state.word();
            Some(format!(
                "The version is {state}: until it is admitted only its committer and reviewers read it, and no training token does."
            ))
        }
        "datasets.waive" | "datasets.admit" => {
            Some("It takes the role `reviewer` or `owner`, and another person than the one who committed it.".to_owned())
        }
        _ => None,
    }
}

/// Grants named as reasons of one list, at most: the log's records are bounded.
const REASON_COUNT_MAX: usize = 16;

fn is_list(verb: &str) -> bool {
    covers("*.search", verb) || covers("*.list", verb)
}

/// A token never widens: its verbs and its workspace are asked before Cedar is.
fn narrowing(caller: &Caller, verb: &Verb, place: &Place, facts: &Facts) -> Narrowing {
    let Some(token) = &caller.token else { return Narrowing::Fits };
    if verb.public {
        return Narrowing::Fits;
    }
    if let Some(workspace) = &token.workspace {
        let here = match place {
            Place::Account => true,
            // Of the server itself such a token sees what all who are known see.
            Place::Server | Place::AuditLog => verb.open,
            _ => facts.workspace.as_ref() == Some(workspace),
        };
        if !here {
            return Narrowing::Elsewhere;
        }
    }
    let named = token.scopes.is_empty() || token.scopes.iter().any(|scope| scope_covers(scope, &verb.name, place, facts));
    if named { Narrowing::Fits } else { Narrowing::OtherVerb }
}

fn determining(prepared: &Prepared, verdict: &Verdict) -> Vec<Arc<Grant>> {
    prepared.grants.iter().filter(|grant| verdict.reasons.contains(&grant.id)).cloned().collect()
}

/// What an allowed verb may see of lists: all of the workspace where a grant on the workspace or the server decided, else only
/// the item that the grant is on. One's own account has no rows of a workspace.
fn scope_of(caller: &Caller, place: &Place, grants: &[Arc<Grant>]) -> Scope {
    let wide = |grant: &Arc<Grant>| matches!(grant.resource, Resource::Workspace(_) | Resource::Server);
    if caller.kind == CallerKind::Job || grants.iter().any(wide) {
        return Scope::Workspace;
    }
    match place {
        Place::Experiment { id, .. } => Scope::Only { experiments: vec![*id], models: Vec::new() },
        Place::RegisteredModel { id, .. } => Scope::Only { experiments: Vec::new(), models: vec![id.clone()] },
        Place::Dataset { id, .. } => Scope::Datasets(vec![id.clone()]),
        _ => Scope::Nothing,
    }
}
