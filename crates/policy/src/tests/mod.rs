//! The room behind a real gate, with a directory, facts and callers that tests make up.

mod data;
mod decisions;
mod elevations;
mod engine;
mod giving;
mod matrix;
mod names;
mod paths;
mod worlds;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gate::{
    Action, Assess, Attempt, BoxFuture, Caller, CallerKind, Credential, Decide, Entry, Facts, Gate, Identify, JobKey, Locate,
    Operation, Outcome, Over, Ports, Record, Risk, SealedOutcome, Target, Verdict,
};
use kernel::{Allowance, FakeClock, Micros, Problem, Secret, random_id};
use parking_lot::Mutex;
use testkit::Engine;
use vault::db::{DbError, Opened, Reader};

use crate::directory::Directory;
use crate::policy::Policy;
use crate::types::{Grant, Principal, PrincipalKind, Resource};
use crate::{CreateGrant, On};

/// When all tests begin.
const START: Micros = Micros(1_700_000_000_000_000);

/// Principals by id, which is their name too; and who of them shows two factors.
#[derive(Clone, Default)]
struct People(Arc<Mutex<HashMap<String, Principal>>>, Arc<Mutex<HashSet<String>>>);

impl People {
    fn add(&self, id: &str, kind: PrincipalKind, groups: &[&str], owner: Option<&str>) {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        let one = Principal { id: id.to_owned(), kind, groups, owner: owner.map(str::to_owned), disabled: false };
        self.0.lock().insert(id.to_owned(), one);
    }

    fn strengthen(&self, id: &str) {
        self.1.lock().insert(id.to_owned());
    }
}

impl Directory for People {
    fn find(&self, _: &mut Reader<'_>, id: &str) -> Result<Option<Principal>, DbError> {
        Ok(self.0.lock().get(id).cloned())
    }

    fn services_of(&self, _: &mut Reader<'_>, owner: &str) -> Result<Vec<String>, DbError> {
        let own = |one: &&Principal| one.kind == PrincipalKind::Service && one.owner.as_deref() == Some(owner);
        Ok(self.0.lock().values().filter(own).map(|one| one.id.clone()).collect())
    }
}

/// Ports that believe whom the bearer says they are. Experiments are those below 100, in workspace `ws` if even, else
/// in `other`; models are `m…`, in `ws`.
struct TestPorts {
    people: People,
    risk: Mutex<Risk>,
}

impl Identify for TestPorts {
    fn identify<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Caller, Problem>> {
        Box::pin(async move {
            match &attempt.credential {
                Credential::Job(pass) => Ok(Caller::job(pass)),
                Credential::Bearer(id) => {
                    let people = self.people.0.lock();
                    let known = people.get(id.expose_text().unwrap()).unwrap();
                    let assurance = if self.people.1.lock().contains(&known.id) { 2 } else { 1 };
                    Ok(Caller { assurance, ..caller_of(known) })
                }
                _ => Ok(Caller::anonymous()),
            }
        })
    }
}

impl Locate for TestPorts {
    fn locate<'a>(&'a self, workspace: &'a str, target: &'a Target) -> BoxFuture<'a, Result<Facts, Problem>> {
        Box::pin(async move { Ok(facts_of(workspace, target)) })
    }
}

impl Assess for TestPorts {
    fn may_knock(&self, _: &Attempt) -> Result<(), Problem> {
        Ok(())
    }

    fn assess(&self, _: &Attempt, _: &Caller) -> Risk {
        self.risk.lock().clone()
    }

    fn learn(&self, _: &Attempt, _: Verdict<'_>) {}

    fn take<'a>(&'a self, _: &'a Attempt, _: &'a Caller, _: Action) -> BoxFuture<'a, Result<Option<Allowance>, Over>> {
        Box::pin(async { Ok(None) })
    }

    fn take_in<'a>(
        &'a self,
        _: &'a str,
        _: &'a Caller,
        _: Action,
        known: Option<Allowance>,
    ) -> BoxFuture<'a, Result<Option<Allowance>, Over>> {
        Box::pin(std::future::ready(Ok(known)))
    }
}

impl Record for TestPorts {
    fn intent<'a>(&'a self, _: &'a Entry) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async { Ok(()) })
    }

    fn refusal<'a>(&'a self, _: &'a Entry, _: &'a Problem) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async { Ok(()) })
    }

    fn outcome(&self, _: &Entry, _: &Outcome) {}

    fn seal(&self, _: &Entry, outcome: &Outcome) -> SealedOutcome {
        SealedOutcome { event_id: random_id(), bytes: format!("{outcome:?}").into_bytes() }
    }
}

fn facts_of(workspace: &str, target: &Target) -> Facts {
    let workspace = Some(workspace.to_owned());
    match target {
        Target::Server | Target::AuditLog | Target::Myself => Facts { exists: true, ..Facts::default() },
        Target::Workspace
        | Target::EvaluationDataset(_)
        | Target::Bucket(_)
        | Target::Dataset(_)
        | Target::DatasetVersion(..) => Facts { exists: true, workspace, ..Facts::default() },
        Target::Experiment(id) | Target::ExperimentNamed(id) | Target::Run(id) | Target::LoggedModel(id) | Target::Trace(id) => {
            let number: i64 = id.parse().unwrap();
            let home = if number % 2 == 0 { "ws" } else { "other" };
            let exists = number < 100 && workspace.as_deref() == Some(home);
            Facts { exists, workspace, experiment: exists.then_some(number), ..Facts::default() }
        }
        Target::RegisteredModel(name) | Target::ModelVersion(name, _) | Target::Endpoint(name) => {
            let exists = name.starts_with('m') && workspace.as_deref() == Some("ws");
            Facts { exists, workspace, model: exists.then(|| name.clone()), ..Facts::default() }
        }
    }
}

fn caller_of(principal: &Principal) -> Caller {
    let kind = match principal.kind {
        PrincipalKind::Service => CallerKind::Service,
        PrincipalKind::User | PrincipalKind::Group => CallerKind::User,
    };
    Caller {
        kind,
        id: principal.id.clone(),
        name: principal.id.clone(),
        groups: principal.groups.clone(),
        assurance: 1,
        ..Caller::anonymous()
    }
}

/// A caller without token and groups.
fn user(id: &str) -> Caller {
    Caller { kind: CallerKind::User, id: id.to_owned(), name: id.to_owned(), assurance: 1, ..Caller::anonymous() }
}

/// A live grant to a user.
fn grant(id: &str, principal: &str, role: &str, resource: Resource) -> Grant {
    let workspace = match &resource {
        Resource::Server => None,
        Resource::Workspace(id) => Some(id.clone()),
        Resource::Experiment(_) | Resource::RegisteredModel(_) | Resource::Dataset(_) => Some("ws".to_owned()),
    };
    Grant {
        id: id.to_owned(),
        principal: principal.to_owned(),
        principal_kind: PrincipalKind::User,
        role: role.to_owned(),
        resource,
        workspace,
        created_by: "test".to_owned(),
        created_at: START,
        expires_at: None,
        justification: String::new(),
    }
}

fn workspace() -> Resource {
    Resource::Workspace("ws".to_owned())
}

/// A room with its gate.
struct House {
    policy: Policy,
    gate: Gate,
    jobs: JobKey,
    clock: FakeClock,
    people: People,
    ports: Arc<TestPorts>,
    opened: Opened,
    _dir: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        Self::over(Engine::sqlite()).await
    }

    /// A room on SQLite, and one on PostgreSQL where `STRONGROOM_TEST_POSTGRES` names one, in a schema of its own.
    async fn on_both_engines() -> Vec<Self> {
        let mut all = Vec::new();
        for engine in Engine::all("policy") {
            all.push(Self::over(engine).await);
        }
        all
    }

    async fn over(engine: Engine) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let people = People::default();
        let policy = Policy::open(opened.db.clone(), opened.ports.clone(), Arc::new(people.clone())).await.unwrap();
        let clock = FakeClock::at(START);
        let ports = Arc::new(TestPorts { people: people.clone(), risk: Mutex::new(Risk::default()) });
        let (gate, jobs) = Gate::new(Ports {
            identify: Arc::clone(&ports) as _,
            locate: Arc::clone(&ports) as _,
            assess: Arc::clone(&ports) as _,
            decide: Arc::new(policy.port()),
            record: Arc::clone(&ports) as _,
            clock: Arc::new(clock.clone()),
        });
        Self { policy, gate, jobs, clock, people, ports, opened, _dir: engine.folder }
    }

    fn attempt(&self, who: &str) -> Attempt {
        let mut attempt = Attempt::of_job(self.jobs.pass("bootstrap"));
        attempt.workspace = "ws".to_owned();
        if who != "bootstrap" {
            attempt.credential = Credential::Bearer(Secret::from(who.to_owned()));
        }
        attempt
    }

    async fn call<O: Operation>(&self, who: &str, operation: O) -> Result<O::Output, Problem> {
        self.gate.call(self.attempt(who), operation).await
    }

    fn gift(&self, to: &str, role: &str, on: On) -> CreateGrant {
        CreateGrant {
            room: self.policy.clone(),
            principal: to.to_owned(),
            role: role.to_owned(),
            on,
            expires_at: None,
            justification: "test".to_owned(),
        }
    }

    async fn give(&self, who: &str, to: &str, role: &str, on: On) -> Result<Grant, Problem> {
        self.call(who, self.gift(to, role, on)).await
    }

    /// The decision of the port.
    async fn decide(&self, caller: &Caller, action: gate::Action, workspace: &str, target: &Target) -> gate::Decision {
        let risk = self.ports.risk.lock().clone();
        let facts = facts_of(workspace, target);
        let now = kernel::Clock::now(&self.clock);
        let question = gate::Question { caller, action, target, facts: &facts, risk: &risk, now };
        self.policy.port().decide(question).await.unwrap()
    }
}

/// A small deterministic generator (SplitMix64, Steele et al. 2014), so that a seed reproduces a world.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        from.get(self.roll(from.len())).unwrap()
    }
}
