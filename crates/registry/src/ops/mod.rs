//! The verbs. One file per family.

mod logged_models;
mod model_marks;
mod models;
mod version_create;
mod version_marks;
mod versions;

use gate::{Action, Permit};
use kernel::Problem;

pub use logged_models::{
    CreateLoggedModel, DeleteLoggedModel, DeleteLoggedModelTag, FinalizeLoggedModel, GetLoggedModel, LogLoggedModelParams,
    SearchLoggedModels, SetLoggedModelTags,
};
pub use model_marks::{DeleteAlias, DeleteModelTag, SetAlias, SetModelTag};
pub use models::{CreateModel, DeleteModel, GetModel, RenameModel, SearchModels, UpdateModel};
pub use version_create::CreateVersion;
pub use version_marks::{DeleteVersionTag, SetVersionTag, TransitionStage};
pub use versions::{
    DeleteVersion, GetDownloadUri, GetLatestVersions, GetVersion, GetVersionByAlias, SearchVersions, UpdateVersion,
};

use crate::rules::shown;

/// Register a model's name.
pub const MODELS_CREATE: Action = Action::write("models.create");
/// See a registered model.
pub const MODELS_GET: Action = Action::read("models.get");
/// List registered models.
pub const MODELS_SEARCH: Action = Action::read("models.search");
/// Describe or rename a registered model.
pub const MODELS_UPDATE: Action = Action::write("models.update");
/// Delete a registered model with all versions.
pub const MODELS_DELETE: Action = Action::write("models.delete");
/// Set and delete tags of a registered model.
pub const MODELS_TAG: Action = Action::write("models.tag");
/// Point an alias at a version, which may change what is served.
pub const MODELS_ALIAS: Action = Action::write("models.alias");
/// Register a version.
pub const VERSIONS_CREATE: Action = Action::write("versions.create");
/// See a version, and where its bytes are.
pub const VERSIONS_GET: Action = Action::read("versions.get");
/// List versions.
pub const VERSIONS_SEARCH: Action = Action::read("versions.search");
/// Describe a version.
pub const VERSIONS_UPDATE: Action = Action::write("versions.update");
/// Delete and redact a version.
pub const VERSIONS_DELETE: Action = Action::write("versions.delete");
/// Set and delete tags of a version.
pub const VERSIONS_TAG: Action = Action::write("versions.tag");
/// Move a version to another stage, which may change what is served.
pub const VERSIONS_STAGE: Action = Action::write("versions.stage");
/// Log a model into an experiment.
pub const LOGGED_MODELS_CREATE: Action = Action::write("logged_models.create");
/// See a logged model.
pub const LOGGED_MODELS_GET: Action = Action::read("logged_models.get");
/// List logged models.
pub const LOGGED_MODELS_SEARCH: Action = Action::read("logged_models.search");
/// Finalize a logged model, set and delete its tags.
pub const LOGGED_MODELS_UPDATE: Action = Action::write("logged_models.update");
/// Delete a logged model.
pub const LOGGED_MODELS_DELETE: Action = Action::write("logged_models.delete");
/// Add params to a logged model.
pub const LOGGED_MODELS_LOG: Action = Action::write("logged_models.log");

/// The internal id of the registered model that the permit is for.
fn model_of<O: ?Sized>(permit: &Permit<O>, name: &str) -> Result<String, Problem> {
    let facts = permit.facts();
    facts.model.clone().ok_or_else(|| model_missing(name))
}

/// The internal id of the model and the number of the version that the permit is for.
fn version_of<O: ?Sized>(permit: &Permit<O>, name: &str, version: &str) -> Result<(String, i64), Problem> {
    crate::rules::model_name("name", name)?;
    let number = crate::rules::version(version)?;
    let facts = permit.facts();
    let model = facts.model.clone().filter(|_| facts.exists).ok_or_else(|| version_missing(name, version))?;
    Ok((model, number))
}

fn model_missing(name: &str) -> Problem {
    Problem::not_found(format!("Registered Model with name={} not found", shown(name)))
}

fn version_missing(name: &str, version: &str) -> Problem {
    Problem::not_found(format!("Model Version (name={}, version={}) not found", shown(name), shown(version)))
}

fn logged_model_missing(model_id: &str) -> Problem {
    Problem::not_found(format!("Logged model with ID '{}' not found.", shown(model_id)))
}

/// The size of a page, within its limit.
fn page_count(asked: Option<i64>, default: i64, max: i64) -> Result<i64, Problem> {
    let count = asked.unwrap_or(default);
    if count < 1 {
        return Err(Problem::invalid(format!("Invalid value for max_results. It must be a positive integer, but got {count}")));
    }
    if count > max {
        return Err(Problem::invalid(format!(
            "Invalid value for request parameter max_results. It must be at most {max}, but got value {count}"
        )));
    }
    Ok(count)
}

/// Cuts the row that only told of a next page; gives whether there was one.
fn cut<T>(rows: &mut Vec<T>, limit: i64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    more
}
