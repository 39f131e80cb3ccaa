//! How things are called that a page knows by their ids, such as the log's records have them: what the caller may read is named, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use gate::{Action, Caller, Facts, Operation, Permit, Target, TargetKind};
use kernel::{Kind, Micros, Problem};

use crate::circumstances::Circumstances;
use crate::judge::{Ask, Judge};
use crate::policy::{Policy, VisibleWorkspaces};
use crate::store_names::{Named, NamedKind, named};

/// Names that are looked up at once.
pub const THINGS_NAMED_COUNT_MAX: usize = 1_000;

/// Looks up how things are called.
#[derive(Clone)]
pub struct NameThings {
    /// The room.
    pub room: Policy,
    /// Their ids. Of what kind each is need not be known; those of experiments alone are numbers.
    pub ids: BTreeSet<String>,
}

/// How something is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThingName {
    /// What it is, in words.
    pub noun: &'static str,
    /// Its name now.
    pub name: String,
}

impl Operation for NameThings {
    const ACTION: Action = super::UI_READ;
    /// By id. What is there no more, and what the caller may not read, is not among them.
    type Output = BTreeMap<String, ThingName>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<BTreeMap<String, ThingName>, Problem> {
        let Self { room, ids } = self;
        if ids.len() > THINGS_NAMED_COUNT_MAX {
            let message = format!("at most {THINGS_NAMED_COUNT_MAX} names are looked up at once");
            return Err(Problem::new(Kind::TooLarge, message));
        }
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let found = room.db().read(&permit, move |reader| Ok(named(reader, &ids)?)).await?;
        let (caller, now, risk) = (permit.caller(), permit.entry().at, permit.risk());
        let reader = Reading {
            caller,
            now,
            risk: (risk.score, risk.locked_for.is_some()),
            workspaces: room.visible_workspaces(caller, now),
        };
        let names = room.with_judge(|judge, _| {
            // Much is judged as one thing: all runs of an experiment are.
            let mut judged: BTreeMap<(NamedKind, String, String), bool> = BTreeMap::new();
            let mut names = BTreeMap::new();
            for one in found {
                let own = one.kind == NamedKind::Account && one.id == caller.id;
                let key = (one.kind, one.workspace.clone(), one.judged_as.clone());
                if own || *judged.entry(key).or_insert_with(|| reader.may_know(judge, &one)) {
                    names.insert(one.id, ThingName { noun: noun(one.kind), name: one.name });
                }
            }
            names
        });
        Ok(names)
    }
}

/// Who reads names.
struct Reading<'a> {
    caller: &'a Caller,
    now: Micros,
    risk: (u8, bool),
    workspaces: VisibleWorkspaces,
}

impl Reading<'_> {
    fn may_know(&self, judge: Judge<'_>, one: &Named) -> bool {
        // Whoever may ask what somebody may do may know who that is.
        let (kind, verbs): (TargetKind, &[&str]) = match one.kind {
            NamedKind::Account => (TargetKind::Server, &["access.check", "users.list"]),
            NamedKind::Workspace => {
                return match &self.workspaces {
                    VisibleWorkspaces::All => true,
                    VisibleWorkspaces::Only(ids) => ids.contains(&one.id),
                };
            }
            NamedKind::Experiment => (TargetKind::Experiment, &["experiments.get"]),
            NamedKind::Run => (TargetKind::Run, &["runs.get"]),
            NamedKind::LoggedModel => (TargetKind::LoggedModel, &["logged_models.get"]),
            NamedKind::Model => (TargetKind::RegisteredModel, &["models.get", "admissions.show"]),
            NamedKind::Dataset | NamedKind::DatasetVersion => (TargetKind::Dataset, &["datasets.get"]),
            NamedKind::Endpoint => (TargetKind::Endpoint, &["endpoints.get"]),
        };
        let facts = facts(one);
        let circumstances = Circumstances::of(self.caller, &facts, self.risk, self.now);
        let may = |verb: &&str| {
            judge.may(Ask { caller: self.caller, verb, kind, facts: &facts, circumstances, now: self.now }).is_some()
        };
        verbs.iter().any(may)
    }
}

fn facts(one: &Named) -> Facts {
    let mut facts = Facts { exists: true, least_tier: one.least_tier, ..Facts::default() };
    facts.workspace = Some(one.workspace.clone()).filter(|id| !id.is_empty());
    match one.kind {
        NamedKind::Experiment | NamedKind::Run | NamedKind::LoggedModel => facts.experiment = one.judged_as.parse().ok(),
        NamedKind::Model | NamedKind::Endpoint => facts.model = Some(one.judged_as.clone()),
        NamedKind::Dataset | NamedKind::DatasetVersion => facts.dataset = Some(one.judged_as.clone()),
        NamedKind::Account | NamedKind::Workspace => {}
    }
    facts
}

const fn noun(kind: NamedKind) -> &'static str {
    match kind {
        NamedKind::Account => "account",
        NamedKind::Workspace => "workspace",
        NamedKind::Experiment => "experiment",
        NamedKind::Run => "run",
        NamedKind::LoggedModel => "logged model",
        NamedKind::Model => "model",
        NamedKind::Dataset | NamedKind::DatasetVersion => "data set",
        NamedKind::Endpoint => "endpoint",
    }
}
