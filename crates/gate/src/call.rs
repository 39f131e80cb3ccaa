//! The order of the door.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kernel::{Allowance, Clock, Kind, Micros, Problem, StepUp, random_id};

use crate::entry::EntryFields;
use crate::permit::Act;
use crate::{
    Action, Assess, Attempt, Caller, Decide, Decision, Entry, Facts, Identify, JobKey, Locate, Outcome, Over, Permit, Question,
    Record, Risk, Scope, Target, TargetKind, Verdict,
};

/// From this risk on policies hold back what changes anything.
const RISKY_SCORE: u8 = 90;
/// How somebody gets out of it who has nothing more to show. An own factor cannot be the way: whoever stole the password would take it.
const MENDING: &str = ". It is held back for its risk. Who has nothing stronger to show logs in from a place and a browser that they used \
before, or asks an administrator for an enrolment token for a device of theirs";

/// One verb, free of any protocol.
pub trait Operation: Sized + Send + 'static {
    /// The policy's word, the audit's word and the metric's word.
    const ACTION: Action;
    /// What it gives.
    type Output: Send;

    /// What it would act on.
    fn target(&self) -> Target;

    /// Does it. Called by the gate only, because only the gate makes permits.
    fn run(self, permit: Permit<Self>) -> impl Future<Output = Result<Self::Output, Problem>> + Send;
}

/// The rooms behind the ports.
pub struct Ports {
    /// Who is asking.
    pub identify: Arc<dyn Identify>,
    /// What would be acted on.
    pub locate: Arc<dyn Locate>,
    /// How risky it is.
    pub assess: Arc<dyn Assess>,
    /// Whether it may be.
    pub decide: Arc<dyn Decide>,
    /// Where it is written down.
    pub record: Arc<dyn Record>,
    /// When it is.
    pub clock: Arc<dyn Clock>,
}

/// The door. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    ports: Arc<Ports>,
}

/// A caller that was identified and may now ask for one verb.
pub struct Visitor {
    ports: Arc<Ports>,
    attempt: Attempt,
    caller: Caller,
    risk: Risk,
    at: Micros,
    allowance: Mutex<Option<Allowance>>,
    /// The workspaces, by id, from whose rates this request has taken one: once from each, however many verbs it asks for.
    counted_in: Mutex<Vec<String>>,
    /// What was allowed last: what a long answer is asked about again.
    allowed: Mutex<Option<(Action, Target, Facts)>>,
    /// Whether anything of it is in the log yet.
    recorded: AtomicBool,
}

impl Gate {
    /// The door over these ports, and the only key that makes job identities.
    #[must_use]
    pub fn new(ports: Ports) -> (Self, JobKey) {
        (Self { ports: Arc::new(ports) }, JobKey::new())
    }

    /// Finds out who knocks. A request's body is not read before this.
    ///
    /// `action` is what the route would do: refusals are recorded under it.
    ///
    /// # Errors
    /// `TooMany` for an address, account or token that must wait, `Unauthenticated` for a bad credential, `Unavailable` if a
    /// port is down. Each is in the log before it is answered.
    pub async fn identify(&self, attempt: Attempt, action: Action) -> Result<Visitor, Problem> {
        let at = self.ports.clock.now();
        // A flood is answered, not written down knock by knock: `risk` counts it, and the log must not be its victim.
        self.ports.assess.may_knock(&attempt)?;
        match self.ports.identify.identify(&attempt).await {
            Ok(caller) => {
                self.ports.assess.learn(&attempt, Verdict::Known(&caller));
                let risk = self.ports.assess.assess(&attempt, &caller);
                let mut visitor = self.visitor(attempt, caller, risk, at);
                if let Some(wait) = visitor.risk.locked_for {
                    return Err(visitor.refuse(action, locked(wait)).await);
                }
                match self.ports.assess.take(&visitor.attempt, &visitor.caller, action).await {
                    Ok(allowance) => visitor.allowance = Mutex::new(allowance),
                    Err(Over { problem, is_news: true }) => return Err(visitor.refuse(action, problem).await),
                    Err(Over { problem, is_news: false }) => return Err(problem),
                }
                Ok(visitor)
            }
            Err(problem) => {
                if problem.kind() == Kind::Unauthenticated {
                    self.ports.assess.learn(&attempt, Verdict::Refused);
                }
                let visitor = self.visitor(attempt, Caller::anonymous(), Risk::default(), at);
                Err(visitor.refuse(action, problem).await)
            }
        }
    }

    fn visitor(&self, attempt: Attempt, caller: Caller, risk: Risk, at: Micros) -> Visitor {
        let (ports, allowed, recorded) = (Arc::clone(&self.ports), Mutex::default(), AtomicBool::new(false));
        let (allowance, counted_in) = (Mutex::default(), Mutex::default());
        Visitor { ports, attempt, caller, risk, at, allowance, counted_in, allowed, recorded }
    }

    /// [`Gate::identify`] and [`Visitor::call`] in one, for jobs, commands and tests.
    ///
    /// # Errors
    /// As those two.
    pub async fn call<O: Operation>(&self, attempt: Attempt, operation: O) -> Result<O::Output, Problem> {
        self.identify(attempt, O::ACTION).await?.call(operation).await
    }
}

impl Visitor {
    /// Who it is.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// When it knocked.
    #[must_use]
    pub const fn at(&self) -> Micros {
        self.at
    }

    /// What is left of the caller's rate that will be used up first.
    #[must_use]
    pub fn allowance(&self) -> Option<Allowance> {
        *self.allowance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The workspace asked for, by name.
    #[must_use]
    pub fn workspace(&self) -> &str {
        &self.attempt.workspace
    }

    /// Records that the request could not even be read as `action`, and gives the problem back.
    pub async fn refuse(&self, action: Action, problem: Problem) -> Problem {
        let entry = self.entry(action, TargetKind::Server, &Facts::default(), Vec::new());
        self.record_refusal(&entry, problem).await
    }

    /// Asks for one verb. A request that needs several asks for each; each is judged and recorded by itself.
    ///
    /// # Errors
    /// `Unauthenticated`, `StepUp`, `Forbidden` or `NotFound` as the policy decides; `Unavailable` if a port is down or the
    /// log cannot be written; else the verb's own problem.
    pub async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        let target = operation.target();
        let (facts, reasons, scope) = self.judge(O::ACTION, &target).await?;
        self.count_in(O::ACTION, target.kind(), &facts).await?;
        *self.allowed.lock().unwrap_or_else(PoisonError::into_inner) = Some((O::ACTION, target.clone(), facts.clone()));
        let entry = self.entry(O::ACTION, target.kind(), &facts, reasons);
        // Made before the intent is written, so that a caller who hangs up meanwhile leaves an outcome too.
        let act = Arc::new(Act {
            facts,
            scope,
            risk: self.risk.clone(),
            entry,
            recorder: Arc::clone(&self.ports.record),
            settled: AtomicBool::new(false),
        });
        self.recorded.store(true, Ordering::SeqCst);
        if let Err(problem) = self.ports.record.intent(&act.entry).await {
            // What has no intent gets no outcome.
            act.settled.store(true, Ordering::SeqCst);
            return Err(problem);
        }
        // The act settles itself as aborted when its last holder is dropped; a verb that streams keeps a holder.
        match operation.run(Permit::new(Arc::clone(&act))).await {
            Ok(output) => {
                if Arc::strong_count(&act) == 1 {
                    act.settle(&Outcome::done());
                }
                Ok(output)
            }
            Err(problem) => {
                act.settle(&Outcome::failed(problem.kind()));
                Err(problem)
            }
        }
    }

    /// Whether the caller may ask for the verb `O` on this target, asked before a body is read that only says how: who may not is refused
    /// and recorded as by [`Visitor::call`], and nothing of the body was taken. Who may is asked again, and recorded, when they call.
    ///
    /// # Errors
    /// As [`Visitor::call`] before it runs the verb.
    pub async fn may<O: Operation>(&self, target: &Target) -> Result<(), Problem> {
        self.judge(O::ACTION, target).await.map(drop)
    }

    /// A workspace's rate is used by those who may do something in it, wherever a header says that they are: strangers cannot use it up.
    async fn count_in(&self, action: Action, target: TargetKind, facts: &Facts) -> Result<(), Problem> {
        let Some(workspace) = facts.workspace.as_ref() else { return Ok(()) };
        {
            let mut counted = self.counted_in.lock().unwrap_or_else(PoisonError::into_inner);
            if counted.contains(workspace) {
                return Ok(());
            }
            counted.push(workspace.clone());
        }
        let known = self.allowance();
        match self.ports.assess.take_in(workspace, &self.caller, action, known).await {
            Ok(allowance) => {
                *self.allowance.lock().unwrap_or_else(PoisonError::into_inner) = allowance;
                Ok(())
            }
            Err(Over { problem, is_news }) => {
                self.counted_in.lock().unwrap_or_else(PoisonError::into_inner).retain(|counted| counted != workspace);
                if is_news {
                    let entry = self.entry(action, target, facts, Vec::new());
                    return Err(self.record_refusal(&entry, problem).await);
                }
                self.recorded.store(true, Ordering::SeqCst);
                Err(problem)
            }
        }
    }

    /// Whether a verb or a refusal of this caller is in the log: what is refused without it is still to be recorded.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.recorded.load(Ordering::SeqCst)
    }

    /// Locates and decides. A refusal is in the log when this answers.
    async fn judge(&self, action: Action, target: &Target) -> Result<(Facts, Vec<String>, Scope), Problem> {
        if let Some(pass) = self.caller.pass.as_ref().filter(|pass| pass.action != action) {
            let message = format!("this credential was made for `{}` and nothing else; send your own", pass.action.name);
            return Err(self.refuse(action, Problem::forbidden(message)).await);
        }
        let facts = match self.ports.locate.locate(&self.attempt.workspace, target).await {
            Ok(facts) => facts,
            Err(problem) => return Err(self.refuse(action, problem).await),
        };
        let question = Question { caller: &self.caller, action, target, facts: &facts, risk: &self.risk, now: self.at };
        let decision = match self.ports.decide.decide(question).await {
            Ok(decision) => decision,
            Err(problem) => return Err(self.refuse(action, problem).await),
        };
        match decision {
            Decision::Allow { reasons, scope } => Ok((facts, reasons, scope)),
            refused => {
                let entry = self.entry(action, target.kind(), &facts, Vec::new());
                Err(self.record_refusal(&entry, self.refusal(refused)).await)
            }
        }
    }

    /// Whether the caller would be let do this verb as they are: for pages, which show what there is for somebody. Nothing is done and nothing is
    /// recorded; who then asks is judged like anybody.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    pub async fn can<O: Operation>(&self, operation: &O) -> Result<bool, Problem> {
        Ok(matches!(self.foreseen(operation).await?, Some(Decision::Allow { .. })))
    }

    /// The same, or would be once they have shown again who they are: for buttons, which lead to the log-in then and back.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    pub async fn might<O: Operation>(&self, operation: &O) -> Result<bool, Problem> {
        Ok(match self.foreseen(operation).await? {
            Some(Decision::Allow { .. }) => true,
            Some(Decision::StepUp { .. }) => self.caller.kind != crate::CallerKind::Anonymous,
            Some(Decision::Deny { .. }) | None => false,
        })
    }

    /// What would be decided on a verb. None for who came with a pass, which is for one errand.
    async fn foreseen<O: Operation>(&self, operation: &O) -> Result<Option<Decision>, Problem> {
        if self.caller.pass.is_some() {
            return Ok(None);
        }
        let target = operation.target();
        let facts = self.ports.locate.locate(&self.attempt.workspace, &target).await?;
        let question =
            Question { caller: &self.caller, action: O::ACTION, target: &target, facts: &facts, risk: &self.risk, now: self.at };
        self.ports.decide.decide(question).await.map(Some)
    }

    /// Whether this caller may still do what was allowed last: asked again while a long answer goes out. A token or session that ended, an
    /// account that was closed, a grant that was taken away or a risk that was raised is a no; nothing is recorded by asking, and
    /// asking is no use of the token or session.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    pub async fn still_may(&self) -> Result<bool, Problem> {
        let refused = |problem: Problem| if problem.kind() == Kind::Unavailable { Err(problem) } else { Ok(false) };
        let caller = match self.ports.identify.recognise(&self.attempt).await {
            Ok(caller) => caller,
            Err(problem) => return refused(problem),
        };
        let risk = self.ports.assess.assess(&self.attempt, &caller);
        if caller.id != self.caller.id || risk.locked_for.is_some() {
            return Ok(false);
        }
        let allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((action, target, facts)) = allowed else { return Ok(true) };
        let now = self.ports.clock.now();
        let question = Question { caller: &caller, action, target: &target, facts: &facts, risk: &risk, now };
        match self.ports.decide.decide(question).await {
            Ok(decision) => Ok(matches!(decision, Decision::Allow { .. })),
            Err(problem) => refused(problem),
        }
    }

    fn entry(&self, action: Action, target: TargetKind, facts: &Facts, reasons: Vec<String>) -> Entry {
        Entry::new(EntryFields {
            id: random_id(),
            at: self.at,
            action,
            caller: self.caller.clone(),
            address: self.attempt.address,
            workspace: facts.workspace.clone(),
            target,
            resource: facts.id.clone(),
            risk: self.risk.score,
            reasons,
        })
    }

    fn refusal(&self, decision: Decision) -> Problem {
        let anonymous = self.caller.kind == crate::CallerKind::Anonymous;
        match decision {
            _ if anonymous => Problem::new(Kind::Unauthenticated, "You are not authenticated."),
            Decision::StepUp { acr, max_age_s } => {
                let mut message = format!("this takes authentication by `{acr}`, at most {max_age_s} s ago: log in again");
                if self.risk.score >= RISKY_SCORE {
                    message.push_str(MENDING);
                }
                Problem::step_up(message, StepUp { acr, max_age_s })
            }
            Decision::Deny { visible: false, .. } => Problem::not_found("There is no such thing, or you may not know of it."),
            Decision::Deny { hint, .. } => Problem::forbidden(format!("Permission denied. {hint}")),
            // An allow never comes here; should it, unsure means refuse.
            Decision::Allow { .. } => Problem::forbidden("Permission denied."),
        }
    }

    async fn record_refusal(&self, entry: &Entry, problem: Problem) -> Problem {
        self.recorded.store(true, Ordering::SeqCst);
        match self.ports.record.refusal(entry, &problem).await {
            Ok(()) => problem,
            Err(unwritten) => unwritten,
        }
    }
}

fn locked(wait: Duration) -> Problem {
    let message = format!("too many failed attempts for this account; try again in {} s", wait.as_secs().max(1));
    Problem::new(Kind::TooMany, message).retry_after(wait)
}
