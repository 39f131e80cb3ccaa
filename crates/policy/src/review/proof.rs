//! What an enumeration did not ask, asked of a solver: whether one set of grants allows somebody anything that another does not, for all
//! requests there could be.
//!
//! Grants become policies without slots, each with the places said that what it is on lies in: a solver would otherwise think of an experiment
//! that is in another workspace than it is.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cedar_policy::{EntityUid, RequestEnv};
use prove::{Answer, Asked, NoAnswer, Solver};

use super::{Enumeration, Request};
use crate::engine::Engine;
use crate::types::{Grant, PrincipalKind};

/// How long a solver is asked in all. What it was not asked by then is counted as open.
const PROOF_TIME_MAX: Duration = Duration::from_secs(30);

/// Somebody's grants, as they are and as they would be, directly and by groups.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Whose, by name.
    pub(crate) who: String,
    pub(crate) kind: PrincipalKind,
    pub(crate) id: String,
    pub(crate) before: Vec<Grant>,
    pub(crate) after: Vec<Grant>,
}

/// What a solver showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Which one it was.
    pub solver: String,
    /// Verbs at kinds of places, of one person each, at which nothing can newly be allowed.
    pub proved_count: usize,
    /// Requests that it found and the enumeration had not; they are among those that are widened.
    pub found_count: usize,
    /// Verbs at kinds of places for which it had no answer in time.
    pub open_count: usize,
}

/// Asks the solver about every verb and kind of place of which the enumeration found nothing. What it finds is added to what was found.
pub(crate) async fn prove(engine: &Engine, solver: &Solver, questions: &[Question], found: &mut Enumeration) {
    let mut proof = Proof { solver: solver.name(), ..Proof::default() };
    let until = Instant::now() + PROOF_TIME_MAX;
    let mut asked = None;
    for question in questions {
        let known: BTreeSet<(String, String)> = found
            .widened
            .iter()
            .filter(|one| one.who == question.who)
            .map(|one| (one.verb.clone(), kind_of(&one.place)))
            .collect();
        for kind in kinds(engine, question) {
            let verb = kind.action().id().unescaped().to_owned();
            if known.contains(&(verb.clone(), place_kind(&kind.resource().to_string()))) {
                continue;
            }
            if Instant::now() >= until {
                proof.open_count += 1;
                continue;
            }
            match ask(engine, solver, &mut asked, question, &kind).await {
                Ok(Answer::Nothing) => proof.proved_count += 1,
                Ok(Answer::Something(request)) => {
                    proof.found_count += 1;
                    found.widened.push(Request { who: question.who.clone(), verb, place: place(&request) });
                }
                Err(why) => {
                    tracing::warn!(verb, %why, "the solver has no answer");
                    proof.open_count += 1;
                    asked = None;
                }
            }
        }
    }
    found.proof = Some(proof);
}

async fn ask(
    engine: &Engine,
    solver: &Solver,
    asked: &mut Option<Asked>,
    question: &Question,
    kind: &RequestEnv,
) -> Result<Answer, NoAnswer> {
    let refused = |error: crate::PolicyError| NoAnswer(error.to_string());
    let standing = |grants| engine.standing(kind.action(), question.kind, &question.id, grants).map_err(refused);
    let (before, after) = (standing(&question.before)?, standing(&question.after)?);
    let running = match asked.take() {
        Some(running) => running,
        None => solver.start()?,
    };
    asked.insert(running).newly_allowed(engine.schema(), kind, &before, &after).await
}

/// The kinds of requests at which the two sets can differ: those of verbs that a grant holds which there was not.
fn kinds(engine: &Engine, question: &Question) -> Vec<RequestEnv> {
    let is_there = |new: &Grant| question.before.iter().any(|old| old.role == new.role && old.resource == new.resource);
    let new: Vec<&Grant> = question.after.iter().filter(|grant| !is_there(grant)).collect();
    let principal = match question.kind {
        PrincipalKind::User | PrincipalKind::Group => "User",
        PrincipalKind::Service => "Service",
    };
    let concerned = |kind: &RequestEnv| {
        let verb = kind.action().id();
        kind.principal().to_string() == principal && new.iter().any(|grant| engine.holds(&grant.role, verb.unescaped()))
    };
    engine.schema().request_envs().filter(concerned).collect()
}

/// Where the solver's request was, in the words of a place.
fn place(request: &cedar_policy::Request) -> String {
    let Some(resource) = request.resource() else { return "anywhere".to_owned() };
    let (kind, id) = (place_kind(&resource.type_name().to_string()), resource.id().unescaped());
    match kind.as_str() {
        "server" | "audit_log" => kind,
        _ => format!("{kind}:{id}"),
    }
}

/// `workspace:main (special)` → `workspace`.
fn kind_of(place: &str) -> String {
    place.split([':', ' ']).next().unwrap_or_default().to_owned()
}

/// A type of the schema in the words of a place: `RegisteredModel` → `registered_model`.
fn place_kind(entity_type: &str) -> String {
    let mut kind = String::new();
    for letter in entity_type.chars() {
        if letter.is_ascii_uppercase() && !kind.is_empty() {
            kind.push('_');
        }
        kind.push(letter.to_ascii_lowercase());
    }
    kind
}

/// The text of a policy that a template becomes by a grant, with what it is on said to lie where it does.
pub(crate) fn written(template: &str, holder: &EntityUid, on: &EntityUid, within: &[EntityUid]) -> String {
    let text = template.trim_end().trim_end_matches(';');
    let text = text.replace("?principal", &holder.to_string()).replace("?resource", &on.to_string());
    let within: Vec<String> = within.iter().map(|outer| format!("resource in {outer}")).collect();
    if within.is_empty() { format!("{text};") } else { format!("{text} when {{ {} }};", within.join(" && ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spoken_of_as_everywhere_else() {
        for (entity, kind) in [("RegisteredModel", "registered_model"), ("Server", "server"), ("AuditLog", "audit_log")] {
            assert_eq!(place_kind(entity), kind);
        }
        assert_eq!(kind_of("dataset:d_1 (quarantined, special)"), "dataset");
        assert_eq!(kind_of("audit_log"), "audit_log");
    }
}
