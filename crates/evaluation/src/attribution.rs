//! Who did it. The caller's name is the author's; what the client says of it is kept beside, as a claim.

use serde_json::{Map, Value};

use crate::types::KeyValue;

/// The tag that MLflow's clients name a user in.
const USER: &str = "mlflow.user";
/// What the client said where it differs.
const USER_CLAIMED: &str = "mlflow.user.claimed";

/// Tags of a dataset whose claim on the author is named as one.
pub(crate) fn of_tags(tags: Vec<KeyValue>, caller: &str) -> Vec<KeyValue> {
    tags.into_iter()
        .map(|tag| if tag.key == USER && tag.value != caller { KeyValue { key: USER_CLAIMED.to_owned(), ..tag } } else { tag })
        .collect()
}

/// As [`of_tags`], for a record's.
pub(crate) fn of_record_tags(mut tags: Map<String, Value>, caller: &str) -> Map<String, Value> {
    if let Some(claim) = tags.get(USER).filter(|claim| claim.as_str() != Some(caller)).cloned() {
        tags.remove(USER);
        tags.insert(USER_CLAIMED.to_owned(), claim);
    }
    tags
}
