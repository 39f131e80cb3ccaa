//! What a job's tokens may do.

use gate::Caller;
use identity::{Name, ScopePattern, TokenWish};
use kernel::Problem;

use crate::limits::{REGISTRAR_SECONDS, TOKEN_SECONDS};
use crate::types::Spec;

/// The verbs that a training token has in its experiment.
pub const TRAINING_VERBS: [&str; 18] = [
    "experiments.get",
    "runs.get",
    "runs.create",
    "runs.update",
    "runs.log",
    "runs.tag",
    "metrics.read",
    "artifacts.list",
    "artifacts.read",
    "artifacts.write",
    "artifacts.upload_create",
    "artifacts.upload_part",
    "artifacts.upload_complete",
    "artifacts.upload_abort",
    "logged_models.get",
    "logged_models.create",
    "logged_models.update",
    "logged_models.log",
];

/// What the program may do: read its data, and log in its experiment.
pub(crate) fn of_program(spec: &Spec) -> Vec<String> {
    let mut scopes = vec![format!("datasets.read@dataset_version:{}", spec.data.version_id)];
    scopes.extend(TRAINING_VERBS.iter().map(|verb| format!("{verb}@experiment:{}", spec.experiment_id)));
    scopes
}

/// What the server may do in the asker's name once the program has ended: end the run, register what came of it.
pub(crate) fn of_registrar(spec: &Spec, model_id: &str) -> Vec<String> {
    vec![format!("runs.update@experiment:{}", spec.experiment_id), format!("versions.create@model:{model_id}")]
}

/// A wish for a token of these scopes.
pub(crate) fn wish(label: String, scopes: &[String], workspace: &str, registrar: bool) -> Result<TokenWish, Problem> {
    let lifetime_s = if registrar { REGISTRAR_SECONDS } else { TOKEN_SECONDS };
    Ok(TokenWish {
        only_this_device: false,
        label,
        scopes: identity::parse_scopes(scopes.iter().map(String::as_str))?,
        workspace: Some(Name::parse(workspace)?),
        lifetime_s: Some(lifetime_s),
    })
}

/// A caller whose token is narrowed has nothing done for them that the token could not do.
pub(crate) fn covered_by(caller: &Caller, spec: &Spec, model_id: &str) -> Result<(), Problem> {
    let Some(token) = caller.token.as_ref().filter(|token| !token.scopes.is_empty()) else { return Ok(()) };
    let held: Vec<ScopePattern> = token.scopes.iter().filter_map(|scope| ScopePattern::parse(scope).ok()).collect();
    for wanted in of_program(spec).into_iter().chain(of_registrar(spec, model_id)) {
        let pattern = ScopePattern::parse(&wanted)?;
        if !held.iter().any(|scope| scope.covers(&pattern)) {
            return Err(Problem::forbidden(format!(
                "the job would need `{wanted}`, which the token that asks does not have; ask with one that has it"
            )));
        }
    }
    Ok(())
}
