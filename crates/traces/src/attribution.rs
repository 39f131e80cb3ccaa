//! What only the server may say of a trace: where its files are, where its spans are, and whose it is.

use kernel::Problem;

use crate::types::Pair;

/// The tag that says where a trace's files go. A client that could set it would lead other clients elsewhere.
pub(crate) const LOCATION: &str = "mlflow.artifactLocation";
/// The tag that says that spans are kept here.
pub(crate) const SPANS_LOCATION: &str = "mlflow.trace.spansLocation";
/// Its value.
pub(crate) const SPANS_HERE: &str = "TRACKING_STORE";
/// The metadata that names the user; a client that says it means the caller.
const USER: &str = "mlflow.user";
/// Metadata that MLflow's own server sets from its authentication.
const AUTHENTICATED: &str = "mlflow.auth.";
/// The run that a trace was made in.
pub(crate) const RUN: &str = "mlflow.sourceRun";

/// The tags that a client may give a trace as it makes it: those of the server are left out, because clients send back what
/// they were given.
pub(crate) fn client_tags(mut tags: Vec<Pair>) -> Vec<Pair> {
    tags.retain(|(key, _)| key != LOCATION && key != SPANS_LOCATION);
    tags
}

/// That a tag is the client's to set or remove.
pub(crate) fn may_change(key: &str) -> Result<(), Problem> {
    if key == LOCATION || key == SPANS_LOCATION {
        return Err(Problem::invalid(format!("The tag '{key}' says where the server keeps the trace; it cannot be changed.")));
    }
    Ok(())
}

/// The metadata with the true user: who a client says it is, is who it was found to be.
pub(crate) fn client_metadata(mut metadata: Vec<Pair>, caller: &str) -> Vec<Pair> {
    metadata.retain(|(key, _)| !key.starts_with(AUTHENTICATED));
    for (_, value) in metadata.iter_mut().filter(|(key, _)| key == USER) {
        caller.clone_into(value);
    }
    metadata
}
