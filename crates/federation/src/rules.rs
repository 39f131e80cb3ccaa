//! What an operator's rules make of claims.

use serde_json::Value;

use crate::config::{ProviderConfig, WorkloadRule};
use crate::token::Claims;

/// Groups of one person at a provider that are looked at.
const GROUP_COUNT_MAX: usize = 2_000;

/// Which of our groups a provider's rules are about, and which of them this person is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// Every group of ours that a rule names.
    pub ruled: Vec<String>,
    /// Those that this person is in.
    pub member: Vec<String>,
}

/// What the rules make of the groups that a provider says somebody is in.
#[must_use]
pub fn mapped_groups(provider: &ProviderConfig, claims: &Claims) -> Mapped {
    let theirs = claims.texts(&provider.groups_claim);
    let theirs = theirs.get(..theirs.len().min(GROUP_COUNT_MAX)).unwrap_or_default();
    let mut mapped = Mapped::default();
    for rule in &provider.groups {
        if !mapped.ruled.contains(&rule.ours) {
            mapped.ruled.push(rule.ours.clone());
        }
        if theirs.contains(&rule.theirs.as_str()) && !mapped.member.contains(&rule.ours) {
            mapped.member.push(rule.ours.clone());
        }
    }
    mapped
}

/// The service account that a workload's token stands for: that of the first rule whose claims it has, each exactly so.
#[must_use]
pub fn service_of<'a>(rules: impl IntoIterator<Item = &'a WorkloadRule>, claims: &Claims) -> Option<&'a str> {
    let fits =
        |rule: &&WorkloadRule| rule.claims.iter().all(|(path, wanted)| claims.at(path).is_some_and(|value| is(value, wanted)));
    rules.into_iter().find(fits).map(|rule| rule.service.as_str())
}

fn is(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Number(number) => number.to_string() == wanted,
        Value::Bool(flag) => flag.to_string() == wanted,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::GroupRule;

    fn claims(text: &str) -> Claims {
        Claims(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn groups_are_those_that_rules_name_and_no_others() {
        let rule = |theirs: &str, ours: &str| GroupRule { theirs: theirs.to_owned(), ours: ours.to_owned() };
        let provider: ProviderConfig = serde_json::from_str(r#"{"issuer": "https://a.example", "client_id": "x"}"#).unwrap();
        let provider = ProviderConfig {
            groups: vec![rule("ml", "scientists"), rule("ops", "admins"), rule("ml2", "scientists")],
            ..provider
        };
        let mapped = mapped_groups(&provider, &claims(r#"{"groups": ["ml2", "ml", "admins", 7]}"#));
        assert_eq!(
            mapped,
            Mapped { ruled: vec!["scientists".to_owned(), "admins".to_owned()], member: vec!["scientists".to_owned()] }
        );
        assert!(mapped_groups(&provider, &claims("{}")).member.is_empty());
    }

    #[test]
    fn a_workload_is_the_service_whose_claims_it_has_all() {
        let rule = |service: &str, all: &[(&str, &str)]| WorkloadRule {
            service: service.to_owned(),
            issuer: "https://a.example".to_owned(),
            jwks_uri: None,
            ca: None,
            audience: "us".to_owned(),
            claims: all.iter().map(|(claim, value)| ((*claim).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>(),
        };
        let rules = [
            rule("deploy", &[("repository_id", "7"), ("environment", "production")]),
            rule("ci", &[("repository_id", "7")]),
            rule("pod", &[("kubernetes.io.namespace", "ml"), ("kubernetes.io.serviceaccount.name", "trainer")]),
        ];
        let service = |text: &str| service_of(&rules, &claims(text)).map(str::to_owned);
        assert_eq!(service(r#"{"repository_id": "7", "environment": "production"}"#).as_deref(), Some("deploy"));
        assert_eq!(service(r#"{"repository_id": 7}"#).as_deref(), Some("ci"));
        assert_eq!(service(r#"{"repository_id": "77"}"#), None);
        assert_eq!(service(r#"{"repository_id": ["7"]}"#), None);
        let pod = r#"{"kubernetes.io": {"namespace": "ml", "serviceaccount": {"name": "trainer", "uid": "u"}}}"#;
        assert_eq!(service(pod).as_deref(), Some("pod"));
    }
}
