//! A gate with trivial ports: everybody is known, everything is allowed, records are kept in memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::gate::{
    Action, Assess, Attempt, BoxFuture, Caller, CallerKind, Credential, Decide, Decision, Entry, Facts, Gate, Identify, JobKey,
    Locate, Operation, Outcome, Over, Permit, Ports, Question, Record, Risk, Scope, SealedOutcome, Target, Verdict, Word,
};
use kernel::{Allowance, FakeClock, Kind, Micros, Problem, random_id};
use parking_lot::Mutex;

/// The workspace that every [`TestGate`] knows.
pub const TEST_WORKSPACE: &str = "ws-test";
/// The principal that acts where the attempt brings no job's pass.
pub const TEST_CALLER: &str = "user-test";

/// An open gate, and what it saw.
pub struct TestGate {
    /// The door.
    pub gate: Gate,
    /// Makes the identities of jobs.
    pub job_key: JobKey,
    /// What was recorded: `intent runs.create`, `refused runs.create not_found`, `outcome runs.create done a=1`, and
    /// `sealed …` for an outcome that went into a transaction's outbox.
    pub records: Arc<Mutex<Vec<String>>>,
    /// Stands still until a test moves it.
    pub clock: FakeClock,
    ports: Arc<OpenPorts>,
}

/// A verb made of a closure: what it does with its permit.
type Body<O, T> = Box<dyn FnOnce(Permit<O>) -> Pin<Box<dyn Future<Output = Result<T, Problem>> + Send>> + Send>;

/// The verb under which [`TestGate::permit_for`] runs its closure.
pub struct TestVerb<T> {
    target: Target,
    body: Body<Self, T>,
}

impl<T: Send + 'static> Operation for TestVerb<T> {
    const ACTION: Action = Action::write("test.act");
    type Output = T;

    fn target(&self) -> Target {
        self.target.clone()
    }

    async fn run(self, permit: Permit<Self>) -> Result<T, Problem> {
        (self.body)(permit).await
    }
}

type FactsOf = Box<dyn Fn(&Target) -> Facts + Send>;

struct OpenPorts {
    facts: Mutex<FactsOf>,
    scope: Mutex<Scope>,
    turns_away: AtomicBool,
    records: Arc<Mutex<Vec<String>>>,
}

/// A gate that knows everybody and allows everything. Its facts are those of [`default_facts`] until a test sets others.
#[must_use]
pub fn open_gate() -> TestGate {
    let records = Arc::new(Mutex::new(Vec::new()));
    let ports = Arc::new(OpenPorts {
        facts: Mutex::new(Box::new(default_facts)),
        scope: Mutex::new(Scope::Workspace),
        turns_away: AtomicBool::new(false),
        records: Arc::clone(&records),
    });
    let clock = FakeClock::at(Micros(1_700_000_000_000_000));
    let (gate, job_key) = Gate::new(Ports {
        identify: Arc::clone(&ports) as _,
        locate: Arc::clone(&ports) as _,
        assess: Arc::clone(&ports) as _,
        decide: Arc::clone(&ports) as _,
        record: Arc::clone(&ports) as _,
        clock: Arc::new(clock.clone()),
    });
    TestGate { gate, job_key, records, clock, ports }
}

/// Everything exists, in [`TEST_WORKSPACE`]; an experiment's id is its number and its row, a run's experiment is 1.
#[must_use]
pub fn default_facts(target: &Target) -> Facts {
    let mut facts = Facts { exists: true, workspace: Some(TEST_WORKSPACE.to_owned()), ..Facts::default() };
    match target {
        Target::Experiment(id) => {
            facts.experiment = id.parse().ok();
            facts.row = facts.experiment;
            facts.id = Some(id.clone());
        }
        Target::Run(id) | Target::LoggedModel(id) | Target::Trace(id) => {
            facts.experiment = Some(1);
            facts.id = Some(id.clone());
        }
        Target::RegisteredModel(name) | Target::ModelVersion(name, _) => {
            facts.model = Some(kernel::hex(&kernel::sha256(name.as_bytes())))
        }
        _ => {}
    }
    facts
}

impl TestGate {
    /// From now on every target has these facts.
    pub fn set_facts(&self, facts: Facts) {
        self.set_facts_of(move |_| facts.clone());
    }

    /// From now on a target has the facts that `facts_of` gives for it.
    pub fn set_facts_of(&self, facts_of: impl Fn(&Target) -> Facts + Send + 'static) {
        *self.ports.facts.lock() = Box::new(facts_of);
    }

    /// From now on nobody is known any more but jobs.
    pub fn turn_everybody_away(&self) {
        self.ports.turns_away.store(true, Ordering::SeqCst);
    }

    /// From now on lists may return these rows.
    pub fn set_scope(&self, scope: Scope) {
        *self.ports.scope.lock() = scope;
    }

    /// What was recorded so far, in order.
    #[must_use]
    pub fn recorded(&self) -> Vec<String> {
        self.records.lock().clone()
    }

    /// A request of the test's user.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        let mut attempt = Attempt::of_job(self.job_key.pass("test"));
        attempt.credential = Credential::None;
        attempt
    }

    /// Passes `operation` through the gate as the test's user.
    ///
    /// # Errors
    /// The verb's own problem.
    pub async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.gate.call(self.attempt(), operation).await
    }

    /// Runs `body` with a permit on `target`: `gate.permit_for(Target::Workspace, |permit| async move { … }).await`.
    ///
    /// # Errors
    /// What `body` returns.
    pub async fn permit_for<T, F, R>(&self, target: Target, body: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(Permit<TestVerb<T>>) -> R + Send + 'static,
        R: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        self.call(TestVerb { target, body: Box::new(move |permit| Box::pin(body(permit))) }).await
    }
}

impl Identify for OpenPorts {
    fn identify<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Caller, Problem>> {
        Box::pin(async move {
            if let Credential::Job(pass) = &attempt.credential {
                return Ok(Caller::job(pass));
            }
            if self.turns_away.load(Ordering::SeqCst) {
                return Err(Problem::new(Kind::Unauthenticated, "nobody is known here any more"));
            }
            let mut caller = Caller::anonymous();
            caller.kind = CallerKind::User;
            caller.id = TEST_CALLER.to_owned();
            caller.name = "tester".to_owned();
            caller.assurance = 1;
            Ok(caller)
        })
    }
}

impl Locate for OpenPorts {
    fn locate<'a>(&'a self, _workspace: &'a str, target: &'a Target) -> BoxFuture<'a, Result<Facts, Problem>> {
        let facts = (self.facts.lock())(target);
        Box::pin(async move { Ok(facts) })
    }
}

impl Assess for OpenPorts {
    fn may_knock(&self, _attempt: &Attempt) -> Result<(), Problem> {
        Ok(())
    }

    fn assess(&self, _attempt: &Attempt, _caller: &Caller) -> Risk {
        Risk::default()
    }

    fn learn(&self, _attempt: &Attempt, _verdict: Verdict<'_>) {}

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

impl Decide for OpenPorts {
    fn decide<'a>(&'a self, _question: Question<'a>) -> BoxFuture<'a, Result<Decision, Problem>> {
        let scope = self.scope.lock().clone();
        Box::pin(async move { Ok(Decision::Allow { reasons: vec!["test".to_owned()], scope }) })
    }
}

impl Record for OpenPorts {
    fn intent<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Problem>> {
        self.records.lock().push(format!("intent {}", entry.action.name));
        Box::pin(async { Ok(()) })
    }

    fn refusal<'a>(&'a self, entry: &'a Entry, problem: &'a Problem) -> BoxFuture<'a, Result<(), Problem>> {
        self.records.lock().push(format!("refused {} {}", entry.action.name, problem.kind().word()));
        Box::pin(async { Ok(()) })
    }

    fn outcome(&self, entry: &Entry, outcome: &Outcome) {
        self.records.lock().push(format!("outcome {}", line(entry, outcome)));
    }

    fn seal(&self, entry: &Entry, outcome: &Outcome) -> SealedOutcome {
        let line = format!("sealed {}", line(entry, outcome));
        self.records.lock().push(line.clone());
        SealedOutcome { event_id: random_id(), bytes: line.into_bytes() }
    }
}

fn line(entry: &Entry, outcome: &Outcome) -> String {
    let mut text = format!("{} {}", entry.action.name, outcome.status.word());
    if let Some(resource) = &outcome.resource {
        text.push_str(&format!(" resource={resource}"));
    }
    for (name, value) in &outcome.details {
        match value {
            Word::Text(word) => text.push_str(&format!(" {name}={word}")),
            Word::Number(number) => text.push_str(&format!(" {name}={number}")),
            Word::Texts(words) => text.push_str(&format!(" {name}={}", words.join(","))),
        }
    }
    text
}
