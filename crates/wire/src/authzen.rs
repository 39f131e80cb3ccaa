//! The OpenID AuthZEN Authorization API 1.0: other systems ask what somebody may do here. Each question is an [`AccessCheck`], which passes the
//! gate like any verb: whoever asks must be allowed to.

use gate::{Target, Visitor};
use http::{HeaderValue, Method};
use kernel::{Kind, Problem};
use policy::{ACCESS_CHECK, AccessCheck, Policy, PrincipalKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::admin::access::target;
use crate::door::Chosen;
use crate::{Answer, Door, Inbound, json as json_answer};

/// Questions of one request.
const EVALUATION_COUNT_MAX: usize = 100;
/// What a client may name its request by.
const REQUEST_ID_BYTES_MAX: usize = 128;
const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";
/// Where clients find that out.
pub const CONFIGURATION: &str = "/.well-known/authzen-configuration";

/// What a question is made of; in a batch, each part may stand once for all.
#[derive(Clone, Debug, Default, Deserialize)]
struct Question {
    subject: Option<Subject>,
    action: Option<Asked>,
    resource: Option<Resource>,
    /// Taken and not judged by: what counts here is what this server knows by itself.
    #[serde(default)]
    context: Option<Map<String, Value>>,
}

impl Question {
    const fn is_whole(&self) -> bool {
        self.subject.is_some() && self.action.is_some() && self.resource.is_some()
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Subject {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Asked {
    name: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Resource {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Debug, Deserialize)]
struct Batch {
    #[serde(flatten)]
    common: Question,
    #[serde(default)]
    evaluations: Vec<Question>,
    #[serde(default)]
    options: Options,
}

#[derive(Debug, Default, Deserialize)]
struct Options {
    #[serde(default)]
    evaluations_semantic: Semantic,
}

/// When a batch ends (AuthZEN 1.0, section 7.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Semantic {
    #[default]
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

impl Semantic {
    fn ends(self, decision: bool) -> bool {
        match self {
            Self::ExecuteAll => false,
            Self::DenyOnFirstDeny => !decision,
            Self::PermitOnFirstPermit => decision,
        }
    }
}

/// Adds the routes.
pub fn routes(door: &mut Door, policy: &Policy) {
    let room = policy.clone();
    door.choice(Method::POST, EVALUATION, &[ACCESS_CHECK], move |inbound| {
        let question: Question = read(inbound)?;
        let check = check(&room, &question, inbound)?;
        let request_id = request_id(inbound);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { finished(&evaluated(visitor, check).await?.1, request_id) })))
    });
    let room = policy.clone();
    door.choice(Method::POST, EVALUATIONS, &[ACCESS_CHECK], move |inbound| {
        let Batch { common, evaluations, options } = read(inbound)?;
        let is_single = evaluations.is_empty();
        if evaluations.len() > EVALUATION_COUNT_MAX {
            return Err(Problem::invalid(format!("at most {EVALUATION_COUNT_MAX} `evaluations` are asked at once")));
        }
        let questions = if is_single { vec![common.clone()] } else { evaluations };
        let mut checks = Vec::with_capacity(questions.len());
        for one in questions {
            let question = with_common(one, &common);
            checks.push(match check(&room, &question, inbound) {
                // One that this server has no such thing for does not spoil the others: nobody may that.
                Err(problem) if !is_single && problem.kind() == Kind::Invalid && question.is_whole() => Err(problem),
                read => Ok(read?),
            });
        }
        let here = AccessCheck {
            room: room.clone(),
            principal: String::new(),
            principal_kind: None,
            verb: String::new(),
            on: Target::Workspace,
        };
        let request_id = request_id(inbound);
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let mut answers = Vec::with_capacity(checks.len());
                for check in checks {
                    let evaluated = match check {
                        Ok(check) => evaluated(visitor, check).await,
                        Err(problem) => Err(problem),
                    };
                    let (decision, answer) = match evaluated {
                        Err(problem) if !is_single && problem.kind() == Kind::Invalid && visitor.can(&here).await? => {
                            nobody_may(&problem)
                        }
                        evaluated => evaluated?,
                    };
                    answers.push(answer);
                    if options.evaluations_semantic.ends(decision) {
                        break;
                    }
                }
                // Without a list it is the other route by another name (section 7.1).
                let single = answers.first().filter(|_| is_single).cloned();
                finished(&single.unwrap_or_else(|| json!({ "evaluations": answers })), request_id)
            })
        }))
    });
}

/// What there is to ask, for clients that begin with that (section 9.2).
///
/// # Errors
/// `Internal` if it cannot be written as JSON.
pub fn configuration(origin: &str) -> Result<Answer, Problem> {
    json_answer(&json!({
        "policy_decision_point": origin,
        "access_evaluation_endpoint": format!("{origin}{EVALUATION}"),
        "access_evaluations_endpoint": format!("{origin}{EVALUATIONS}"),
    }))
}

fn read<T: for<'a> Deserialize<'a>>(inbound: &Inbound) -> Result<T, Problem> {
    serde_json::from_slice(&inbound.body).map_err(|error| Problem::invalid(format!("the body is no AuthZEN request: {error}")))
}

fn with_common(one: Question, common: &Question) -> Question {
    Question {
        subject: one.subject.or_else(|| common.subject.clone()),
        action: one.action.or_else(|| common.action.clone()),
        resource: one.resource.or_else(|| common.resource.clone()),
        context: one.context.or_else(|| common.context.clone()),
    }
}

fn check(room: &Policy, question: &Question, inbound: &Inbound) -> Result<AccessCheck, Problem> {
    let missing = |part: &str| Problem::invalid(format!("the request has no `{part}`"));
    let subject = question.subject.as_ref().ok_or_else(|| missing("subject"))?;
    let action = question.action.as_ref().ok_or_else(|| missing("action"))?;
    let resource = question.resource.as_ref().ok_or_else(|| missing("resource"))?;
    let kind = PrincipalKind::parse(&subject.kind);
    let kind = kind.ok_or_else(|| Problem::invalid("`subject.type` is one of user, service, group"))?;
    let workspace = inbound.header("x-mlflow-workspace").unwrap_or(gate::DEFAULT_WORKSPACE);
    let on = match resource.kind.as_str() {
        "workspace" if resource.id != workspace => {
            return Err(Problem::invalid("`resource.id` is the workspace that the header `X-MLflow-Workspace` names"));
        }
        // There is one of each; the standard asks for an id all the same.
        kind @ ("server" | "audit_log" | "workspace") => target(kind, None)?,
        kind => target(kind, Some(resource.id.clone()))?,
    };
    let (principal, verb) = (subject.id.clone(), action.name.clone());
    Ok(AccessCheck { room: room.clone(), principal, principal_kind: Some(kind), verb, on })
}

/// The decision, and the answer that says it. What does not exist nobody may; that is said to those who may ask in this workspace.
async fn evaluated(visitor: &Visitor, check: AccessCheck) -> Result<(bool, Value), Problem> {
    let here = AccessCheck { on: Target::Workspace, ..check.clone() };
    match visitor.call(check).await {
        // A resource that is not there, or is something else than its type says, is none that anybody may.
        Ok(answer) if answer.allowed && !answer.exists => Ok(nobody_may(&Problem::not_found("there is no such resource"))),
        Ok(answer) => {
            let context = json!({ "principal": answer.principal, "reasons": answer.reasons, "reason_admin": answer.hint });
            Ok((answer.allowed, json!({ "decision": answer.allowed, "context": context })))
        }
        Err(problem) if problem.kind() == Kind::NotFound && visitor.can(&here).await? => Ok(nobody_may(&problem)),
        Err(problem) => Err(problem),
    }
}

fn nobody_may(problem: &Problem) -> (bool, Value) {
    (false, json!({ "decision": false, "context": { "reason_admin": problem.message() } }))
}

fn request_id(inbound: &Inbound) -> Option<HeaderValue> {
    inbound.headers.get("x-request-id").filter(|id| id.len() <= REQUEST_ID_BYTES_MAX).cloned()
}

/// A request's id comes back with its answer (section 10.1.1).
fn finished(answer: &Value, request_id: Option<HeaderValue>) -> Result<Answer, Problem> {
    let mut answer = json_answer(answer)?;
    if let Some(id) = request_id {
        answer.headers_mut().insert("x-request-id", id);
    }
    Ok(answer)
}
