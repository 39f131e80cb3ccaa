//! Whose a run is. The caller's name is the run's user; what the client says of it is kept beside, as a claim.

use crate::types::KeyValue;

/// The tag that MLflow's clients and pages read a run's user from.
pub(crate) const USER: &str = "mlflow.user";
/// What the client said where it differs.
pub(crate) const USER_CLAIMED: &str = "mlflow.user.claimed";
/// The tag that mirrors a run's name.
pub(crate) const RUN_NAME: &str = "mlflow.runName";
/// What MLflow's client sends when it does not know.
const UNKNOWN: &str = "unknown";

/// A new run's tags with the true user, and the claim where there is one.
pub(crate) fn of_new_run(mut tags: Vec<KeyValue>, user_id: Option<&str>, caller: &str) -> Vec<KeyValue> {
    let said = tags.iter().rev().find(|tag| tag.key == USER).map(|tag| tag.value.clone());
    let claim =
        said.or_else(|| user_id.map(str::to_owned)).filter(|claim| !claim.is_empty() && claim != UNKNOWN && claim != caller);
    tags.retain(|tag| tag.key != USER && tag.key != USER_CLAIMED);
    tags.push(KeyValue::new(USER, caller));
    if let Some(claim) = claim {
        tags.push(KeyValue::new(USER_CLAIMED, claim));
    }
    tags
}

/// A tag as it may be set later: saying whose the run is becomes a claim. `None` where it says what is so anyway.
pub(crate) fn of_later_tag(tag: KeyValue, run_user: &str) -> Option<KeyValue> {
    match tag.key.as_str() {
        USER if tag.value == run_user => None,
        USER => Some(KeyValue { key: USER_CLAIMED.to_owned(), value: tag.value }),
        _ => Some(tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(tags: &'a [KeyValue], key: &str) -> Option<&'a str> {
        tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
    }

    #[test]
    fn the_callers_name_wins_and_the_claim_stays() {
        let tags = of_new_run(vec![KeyValue::new(USER, "mallory"), KeyValue::new("a", "b")], Some("eve"), "alice");
        assert_eq!(
            (value(&tags, USER), value(&tags, USER_CLAIMED), value(&tags, "a")),
            (Some("alice"), Some("mallory"), Some("b"))
        );
        let tags = of_new_run(vec![KeyValue::new(USER_CLAIMED, "x")], Some("unknown"), "alice");
        assert_eq!((value(&tags, USER), value(&tags, USER_CLAIMED)), (Some("alice"), None));
        let tags = of_new_run(Vec::new(), Some("eve"), "alice");
        assert_eq!(value(&tags, USER_CLAIMED), Some("eve"));
    }

    #[test]
    fn a_later_tag_cannot_change_the_user() {
        assert_eq!(of_later_tag(KeyValue::new(USER, "mallory"), "alice"), Some(KeyValue::new(USER_CLAIMED, "mallory")));
        assert_eq!(of_later_tag(KeyValue::new(USER, "alice"), "alice"), None);
    }
}
