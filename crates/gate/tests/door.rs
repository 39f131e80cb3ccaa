//! The order of the door, with ports that note what they were asked.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use gate::{
    Action, Assess, Attempt, BoxFuture, Caller, CallerKind, Credential, Decide, Decision, Entry, Facts, Gate, Identify, Locate,
    Operation, Outcome, Over, Pass, Permit, Ports, Question, Record, Risk, Scope, SealedOutcome, Status, Target, Verdict,
};
use kernel::{Allowance, Kind, Problem, SystemClock};
use std::sync::Mutex;

/// What the ports answer, and what was asked of them, in order.
struct World {
    notes: Mutex<Vec<String>>,
    caller: fn() -> Result<Caller, Problem>,
    decision: fn() -> Result<Decision, Problem>,
    log_works: bool,
    is_over: Option<bool>,
}

impl World {
    fn note(&self, text: impl Into<String>) {
        self.notes.lock().unwrap().push(text.into());
    }
}

impl Identify for World {
    fn identify<'a>(&'a self, _: &'a Attempt) -> BoxFuture<'a, Result<Caller, Problem>> {
        self.note("identify");
        Box::pin(async { (self.caller)() })
    }
}

impl Locate for World {
    fn locate<'a>(&'a self, _: &'a str, _: &'a Target) -> BoxFuture<'a, Result<Facts, Problem>> {
        self.note("locate");
        Box::pin(async { Ok(Facts { exists: true, workspace: Some("w".to_owned()), ..Facts::default() }) })
    }
}

impl Assess for World {
    fn may_knock(&self, _: &Attempt) -> Result<(), Problem> {
        Ok(())
    }

    fn assess(&self, _: &Attempt, _: &Caller) -> Risk {
        self.note("assess");
        Risk::default()
    }

    fn learn(&self, _: &Attempt, verdict: Verdict<'_>) {
        self.note(if matches!(verdict, Verdict::Known(_)) { "learn known" } else { "learn refused" });
    }

    fn take<'a>(&'a self, _: &'a Attempt, _: &'a Caller, _: Action) -> BoxFuture<'a, Result<Option<Allowance>, Over>> {
        self.note("take");
        let problem = || Problem::new(Kind::TooMany, "too many");
        Box::pin(async move { self.is_over.map_or(Ok(None), |is_news| Err(Over { problem: problem(), is_news })) })
    }

    fn take_in<'a>(
        &'a self,
        _: &'a str,
        _: &'a Caller,
        _: Action,
        known: Option<Allowance>,
    ) -> BoxFuture<'a, Result<Option<Allowance>, Over>> {
        self.note("take in");
        Box::pin(std::future::ready(Ok(known)))
    }
}

impl Decide for World {
    fn decide<'a>(&'a self, _: Question<'a>) -> BoxFuture<'a, Result<Decision, Problem>> {
        self.note("decide");
        Box::pin(async { (self.decision)() })
    }
}

impl Record for World {
    fn intent<'a>(&'a self, _: &'a Entry) -> BoxFuture<'a, Result<(), Problem>> {
        self.note("intent");
        Box::pin(async { if self.log_works { Ok(()) } else { Err(Problem::unavailable("the log is down")) } })
    }

    fn refusal<'a>(&'a self, entry: &'a Entry, problem: &'a Problem) -> BoxFuture<'a, Result<(), Problem>> {
        self.note(format!("refusal {} {}", entry.action.name, problem.kind().word()));
        Box::pin(async { Ok(()) })
    }

    fn outcome(&self, _: &Entry, outcome: &Outcome) {
        self.note(format!("outcome {}", outcome.status.word()));
        if let Status::Failed(kind) = outcome.status {
            self.note(kind.word());
        }
    }

    fn seal(&self, entry: &Entry, _: &Outcome) -> SealedOutcome {
        SealedOutcome { event_id: entry.id.clone(), bytes: Vec::new() }
    }
}

/// A verb that does what it is told.
enum Verb {
    Succeed,
    Fail,
    Panic,
    Commit,
    Stream,
}

impl Operation for Verb {
    const ACTION: Action = Action::read("test.verb");
    type Output = Option<gate::DeferredOutcome>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Self::Output, Problem> {
        match self {
            Self::Succeed => Ok(None),
            Self::Fail => Err(Problem::not_found("gone")),
            #[expect(clippy::panic, reason = "the test is about it")]
            Self::Panic => panic!("broken verb"),
            Self::Commit => {
                permit.commitment().committed();
                Ok(None)
            }
            Self::Stream => Ok(Some(permit.defer_outcome())),
        }
    }
}

fn user() -> Result<Caller, Problem> {
    Ok(Caller { kind: CallerKind::User, id: "u_1".to_owned(), assurance: 1, ..Caller::anonymous() })
}

fn allow() -> Result<Decision, Problem> {
    Ok(Decision::Allow { reasons: vec!["g_1".to_owned()], scope: Scope::Workspace })
}

fn world() -> World {
    World { notes: Mutex::default(), caller: user, decision: allow, log_works: true, is_over: None }
}

fn knock() -> Attempt {
    Attempt {
        credential: Credential::None,
        address: [127, 0, 0, 1].into(),
        user_agent: None,
        workspace: "default".to_owned(),
        client_certificate: None,
        known_browser: None,
    }
}

fn ports(world: &Arc<World>) -> Ports {
    Ports {
        identify: world.clone(),
        locate: world.clone(),
        assess: world.clone(),
        decide: world.clone(),
        record: world.clone(),
        clock: Arc::new(SystemClock),
    }
}

fn check(world: World, verb: Verb, kind: Option<Kind>, expected: &[&str]) {
    let world = Arc::new(world);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (gate, _) = Gate::new(ports(&world));
    let result = runtime.block_on(async {
        // As the door does it: in a task, so that a panic is an answer.
        tokio::spawn(async move { gate.call(knock(), verb).await.map(drop) }).await
    });
    match result {
        Ok(result) => assert_eq!(result.err().map(|problem| problem.kind()), kind),
        Err(broken) => assert!(broken.is_panic()),
    }
    let notes = world.notes.lock().unwrap();
    assert_eq!(notes.join(", "), expected.join(", "));
}

/// A workspace's rate is taken by whom it is allowed to, and by nobody else.
const HEAD: [&str; 8] = ["identify", "learn known", "assess", "take", "locate", "decide", "take in", "intent"];

fn with_head<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    HEAD.iter().copied().chain(rest.iter().copied()).collect()
}

#[test]
fn a_verb_runs_after_its_intent_and_leaves_an_outcome() {
    check(world(), Verb::Succeed, None, &with_head(&["outcome done"]));
    check(world(), Verb::Fail, Some(Kind::NotFound), &with_head(&["outcome failed", "not_found"]));
}

#[test]
fn a_pass_opens_its_own_verb_and_no_other() {
    let own = || Ok(Caller { pass: Some(Pass { action: Verb::ACTION, subject: "x".to_owned() }), ..user()? });
    check(World { caller: own, ..world() }, Verb::Succeed, None, &with_head(&["outcome done"]));
    let other = || Ok(Caller { pass: Some(Pass { action: Action::read("test.other"), subject: "x".to_owned() }), ..user()? });
    let expected = ["identify", "learn known", "assess", "take", "refusal test.verb forbidden"];
    check(World { caller: other, ..world() }, Verb::Succeed, Some(Kind::Forbidden), &expected);
}

#[test]
fn an_intent_never_stays_without_an_outcome() {
    check(world(), Verb::Panic, None, &with_head(&["outcome aborted"]));
    // A stream that nobody finishes.
    check(world(), Verb::Stream, None, &with_head(&["outcome aborted"]));
}

#[test]
fn a_committed_outcome_is_not_written_twice() {
    check(world(), Verb::Commit, None, &with_head(&[]));
}

#[test]
fn nothing_runs_when_the_log_is_down() {
    check(World { log_works: false, ..world() }, Verb::Succeed, Some(Kind::Unavailable), &HEAD);
}

#[test]
fn a_bad_credential_is_learnt_and_recorded() {
    let caller = || Err(Problem::new(Kind::Unauthenticated, "no"));
    let expected = ["identify", "learn refused", "refusal test.verb unauthenticated"];
    check(World { caller, ..world() }, Verb::Succeed, Some(Kind::Unauthenticated), &expected);
}

#[test]
fn a_port_that_is_down_never_answers_yes() {
    let down = || Err(Problem::unavailable("the database is down"));
    let expected = ["identify", "refusal test.verb unavailable"];
    check(World { caller: down, ..world() }, Verb::Succeed, Some(Kind::Unavailable), &expected);
    let decision = || Err(Problem::unavailable("the policy is down"));
    let expected = [&HEAD[..6], &["refusal test.verb unavailable"]].concat();
    check(World { decision, ..world() }, Verb::Succeed, Some(Kind::Unavailable), &expected);
}

#[test]
fn a_denial_says_no_more_than_the_caller_may_know() {
    let hidden = || Ok(Decision::Deny { visible: false, hint: String::new() });
    let head = &HEAD[..6];
    let expected =
        |kind: &str| head.iter().map(ToString::to_string).chain([format!("refusal test.verb {kind}")]).collect::<Vec<_>>();
    let seen = |kind| expected(kind);
    let texts = seen("not_found");
    check(
        World { decision: hidden, ..world() },
        Verb::Succeed,
        Some(Kind::NotFound),
        &texts.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let visible = || Ok(Decision::Deny { visible: true, hint: "ask for `viewer`".to_owned() });
    let texts = seen("forbidden");
    check(
        World { decision: visible, ..world() },
        Verb::Succeed,
        Some(Kind::Forbidden),
        &texts.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let caller = || Ok(Caller::anonymous());
    let texts = seen("unauthenticated");
    check(
        World { caller, decision: visible, ..world() },
        Verb::Succeed,
        Some(Kind::Unauthenticated),
        &texts.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let step_up = || Ok(Decision::StepUp { acr: "phr".to_owned(), max_age_s: 300 });
    let texts = seen("step_up");
    check(
        World { decision: step_up, ..world() },
        Verb::Succeed,
        Some(Kind::StepUp),
        &texts.iter().map(String::as_str).collect::<Vec<_>>(),
    );
}

#[test]
fn who_may_not_is_refused_and_written_down_before_a_body_is_read() {
    let denied = || Ok(Decision::Deny { visible: true, hint: String::new() });
    for (decision, kind, expected) in [
        (denied as fn() -> _, Some(Kind::Forbidden), "locate, decide, refusal test.verb forbidden"),
        (allow, None, "locate, decide"),
    ] {
        let world = Arc::new(World { decision, ..world() });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let visitor = runtime.block_on(Gate::new(ports(&world)).0.identify(knock(), Verb::ACTION)).unwrap();
        world.notes.lock().unwrap().clear();
        let told = runtime.block_on(visitor.may::<Verb>(&Target::Workspace));
        assert_eq!((told.err().map(|problem| problem.kind()), visitor.is_recorded()), (kind, kind.is_some()));
        assert_eq!(world.notes.lock().unwrap().join(", "), expected);
    }
}

#[test]
fn a_button_is_offered_to_who_could_press_it_after_another_log_in() {
    let denied = || Ok(Decision::Deny { visible: true, hint: String::new() });
    let step_up = || Ok(Decision::StepUp { acr: "phr".to_owned(), max_age_s: 300 });
    let stranger: fn() -> Result<Caller, Problem> = || Ok(Caller::anonymous());
    for (caller, decision, can, might) in [
        (user as fn() -> _, allow as fn() -> _, true, true),
        (user, step_up, false, true),
        (user, denied, false, false),
        (stranger, step_up, false, false),
    ] {
        let world = Arc::new(World { caller, decision, ..world() });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let visitor = runtime.block_on(Gate::new(ports(&world)).0.identify(knock(), Verb::ACTION)).unwrap();
        let told = runtime
            .block_on(async { (visitor.can(&Verb::Succeed).await.unwrap(), visitor.might(&Verb::Succeed).await.unwrap()) });
        assert_eq!(told, (can, might));
        assert!(!visitor.is_recorded(), "asking what might be done is no act");
    }
}

#[test]
fn a_locked_account_waits() {
    struct Locked;
    impl Assess for Locked {
        fn may_knock(&self, _: &Attempt) -> Result<(), Problem> {
            Ok(())
        }
        fn assess(&self, _: &Attempt, _: &Caller) -> Risk {
            Risk { score: 100, reasons: vec!["locked".into()], locked_for: Some(Duration::from_secs(4)) }
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
    let world = Arc::new(world());
    let ports = Ports { assess: Arc::new(Locked), ..ports(&world) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (gate, _) = Gate::new(ports);
    let problem = runtime.block_on(gate.call(knock(), Verb::Succeed)).err().unwrap();
    assert_eq!((problem.kind(), problem.retry_after_hint()), (Kind::TooMany, Some(Duration::from_secs(4))));
}

#[test]
fn a_used_up_rate_stops_before_anything_is_looked_up_and_is_written_down_once_in_a_while() {
    let before = ["identify", "learn known", "assess", "take"];
    let told: Vec<&str> = before.iter().copied().chain(["refusal test.verb too_many"]).collect();
    check(World { is_over: Some(true), ..world() }, Verb::Succeed, Some(Kind::TooMany), &told);
    check(World { is_over: Some(false), ..world() }, Verb::Succeed, Some(Kind::TooMany), &before);
}
