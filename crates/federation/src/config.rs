//! What an operator says of issuers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kernel::Problem;
use serde::{Deserialize, Serialize};

/// The `[federation]` section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FederationConfig {
    /// OpenID Connect providers where people log in, by the name that the log-in page shows.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Which tokens of which platforms stand for which service accounts.
    pub workloads: Vec<WorkloadRule>,
    /// Who may tell us what happened to their people (Shared Signals), by a name of ours.
    pub transmitters: BTreeMap<String, TransmitterConfig>,
}

/// Who may tell us what happened to their people: a transmitter of the Shared Signals Framework.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransmitterConfig {
    /// Its issuer, exactly as its tokens name it: an `https` address.
    pub issuer: String,
    /// Who we are to it: no other receiver's audience.
    pub audience: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// The authorities (PEM) that vouch for its address; the system's if none.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Which signatures are taken.
    #[serde(default = "signal_algorithms")]
    pub algorithms: Vec<String>,
}

fn signal_algorithms() -> Vec<String> {
    vec!["ES256".to_owned(), "RS256".to_owned()]
}

/// A provider where people log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Its issuer, exactly as its tokens name it: an `https` address.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// A file with our secret there; a public client has none.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// The authorities (PEM) that vouch for its address; the system's if none.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Other hosts (`https://…`) on which the provider keeps its keys or its token endpoint.
    #[serde(default)]
    pub also_at: Vec<String>,
    /// The claim that names people.
    #[serde(default = "name_claim")]
    pub name_claim: String,
    /// The claim that lists groups.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// Whether somebody who is new here gets an account at the first log-in; else an administrator makes it first.
    #[serde(default)]
    pub provision: bool,
    /// `acr` values that stand for two factors.
    #[serde(default)]
    pub second_factor_acr: Vec<String>,
    /// `acr` values that stand for what cannot be phished: a passkey that the provider asked for. They stand for two factors too.
    #[serde(default)]
    pub phishing_resistant_acr: Vec<String>,
    /// Which of its groups make somebody a member of which of ours. Each log-in sets these memberships anew.
    #[serde(default)]
    pub groups: Vec<GroupRule>,
}

/// One line of the mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRule {
    /// The provider's group.
    pub theirs: String,
    /// Ours, by name.
    pub ours: String,
}

/// Which tokens stand for a service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadRule {
    /// The service account, by name.
    pub service: String,
    /// The issuer, exactly as its tokens name it: an `https` address.
    pub issuer: String,
    /// Where its keys are; what its discovery document says if none.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// The authorities (PEM) that vouch for its address; the system's if none.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Whom the tokens are made for: ours alone, no other server's.
    pub audience: String,
    /// Claims that a token must have, each exactly so. A dot goes into an object: `kubernetes.io.namespace` is looked for as a whole first.
    pub claims: BTreeMap<String, String>,
}

const PROVIDER_COUNT_MAX: usize = 16;
/// `acr` values of one list, and the length of each: all of them stand in one parameter of an address.
const ACR_COUNT_MAX: usize = 16;
const ACR_BYTES_MAX: usize = 255;
const RULE_COUNT_MAX: usize = 1_000;
/// Claims that say whose a token is and cannot be taken over with a new name: at least one of them, or a whole `sub`, ties a rule down.
const MUTABLE_CLAIMS: [&str; 3] = ["repository", "repository_owner", "actor"];

fn name_claim() -> String {
    "preferred_username".to_owned()
}

fn groups_claim() -> String {
    "groups".to_owned()
}

impl FederationConfig {
    /// Refuses what would not hold.
    ///
    /// # Errors
    /// `Invalid`, naming the key and what it must be.
    pub fn check(&self) -> Result<(), Problem> {
        if self.providers.len() > PROVIDER_COUNT_MAX || self.workloads.len() > RULE_COUNT_MAX {
            let message = format!("`federation` has at most {PROVIDER_COUNT_MAX} providers and {RULE_COUNT_MAX} workloads");
            return Err(Problem::invalid(message));
        }
        for (name, provider) in &self.providers {
            let plain =
                !name.is_empty() && name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            if !plain {
                return Err(Problem::invalid(format!(
                    "`federation.providers.{name}`: a name has 1 to 32 letters, digits, - and _"
                )));
            }
            is_address(&provider.issuer, &format!("federation.providers.{name}.issuer"))?;
            for host in &provider.also_at {
                is_address(host, &format!("federation.providers.{name}.also_at"))?;
            }
            are_acr_values(&provider.second_factor_acr, &format!("federation.providers.{name}.second_factor_acr"))?;
            are_acr_values(&provider.phishing_resistant_acr, &format!("federation.providers.{name}.phishing_resistant_acr"))?;
            if provider.client_id.is_empty() || provider.groups.len() > RULE_COUNT_MAX {
                return Err(Problem::invalid(format!(
                    "`federation.providers.{name}` needs a `client_id` and at most {RULE_COUNT_MAX} groups"
                )));
            }
        }
        if self.transmitters.len() > PROVIDER_COUNT_MAX {
            return Err(Problem::invalid(format!("`federation` has at most {PROVIDER_COUNT_MAX} transmitters")));
        }
        for (name, transmitter) in &self.transmitters {
            let key = format!("federation.transmitters.{name}");
            is_address(&transmitter.issuer, &format!("{key}.issuer"))?;
            is_address(&transmitter.jwks_uri, &format!("{key}.jwks_uri"))?;
            let algorithms = &transmitter.algorithms;
            let known = !algorithms.is_empty() && algorithms.iter().all(|name| crate::statement::algorithm(name).is_some());
            if transmitter.audience.is_empty() || !known {
                return Err(Problem::invalid(format!(
                    "`{key}` needs an `audience`, and `algorithms` such as ES256 or RS256: none that a shared secret makes"
                )));
            }
        }
        for (number, rule) in self.workloads.iter().enumerate() {
            let key = format!("federation.workloads[{number}]");
            is_address(&rule.issuer, &format!("{key}.issuer"))?;
            if let Some(uri) = &rule.jwks_uri {
                is_address(uri, &format!("{key}.jwks_uri"))?;
            }
            let tied = rule.claims.keys().any(|claim| !MUTABLE_CLAIMS.contains(&claim.as_str()));
            if rule.audience.is_empty() || !tied {
                return Err(Problem::invalid(format!(
                    "`{key}` needs an `audience` and a claim that cannot be taken over by renaming, such as `repository_id` or a whole `sub`"
                )));
            }
            if rule.claims.iter().any(|(claim, value)| claim.is_empty() || value.is_empty() || value.contains('*')) {
                return Err(Problem::invalid(format!("`{key}.claims` compares whole values: no empty ones, no `*`")));
            }
        }
        Ok(())
    }
}

fn are_acr_values(values: &[String], key: &str) -> Result<(), Problem> {
    let plain = |value: &String| (1..=ACR_BYTES_MAX).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
    if values.len() <= ACR_COUNT_MAX && values.iter().all(plain) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "`{key}` has at most {ACR_COUNT_MAX} values, each as the provider's tokens have it: letters and signs, no space"
    )))
}

impl ProviderConfig {
    /// The `acr` values that somebody is asked to log in by who must show more, what is strongest first.
    #[must_use]
    pub fn step_up_acr(&self) -> Vec<String> {
        let weaker = self.second_factor_acr.iter().filter(|value| !self.phishing_resistant_acr.contains(*value));
        self.phishing_resistant_acr.iter().chain(weaker).cloned().collect()
    }
}

fn is_address(text: &str, key: &str) -> Result<(), Problem> {
    let rest = text.strip_prefix("https://").unwrap_or_default();
    let plain =
        !rest.is_empty() && text.len() <= 512 && text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains(['?', '#', '@']);
    if plain { Ok(()) } else { Err(Problem::invalid(format!("`{key}` is an address that begins with https://"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(claims: &[(&str, &str)]) -> FederationConfig {
        let claims = claims.iter().map(|(claim, value)| ((*claim).to_owned(), (*value).to_owned())).collect();
        let workload = WorkloadRule {
            service: "ci".to_owned(),
            issuer: "https://issuer.example".to_owned(),
            jwks_uri: None,
            ca: None,
            audience: "strongroom".to_owned(),
            claims,
        };
        FederationConfig { workloads: vec![workload], ..FederationConfig::default() }
    }

    #[test]
    fn what_cannot_be_phished_is_asked_for_first_and_values_are_single_words() {
        let provider = |second: &[&str], resistant: &[&str]| {
            let words = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
            let provider: ProviderConfig =
                serde_json::from_value(serde_json::json!({ "issuer": "https://issuer.example", "client_id": "x" })).unwrap();
            ProviderConfig { second_factor_acr: words(second), phishing_resistant_acr: words(resistant), ..provider }
        };
        let config = |provider: ProviderConfig| FederationConfig {
            providers: BTreeMap::from([("company".to_owned(), provider)]),
            ..FederationConfig::default()
        };
        assert!(provider(&[], &[]).step_up_acr().is_empty());
        let both = provider(&["mfa", "phr"], &["phrh", "phr"]);
        assert_eq!(both.step_up_acr(), ["phrh", "phr", "mfa"]);
        config(both).check().unwrap();
        let all_bad: [&[&str]; 4] = [&["mfa phr"], &[""], &["m\u{fc}"], &["x"; 17]];
        for bad in all_bad {
            let problem = config(provider(&[], bad)).check().unwrap_err();
            assert!(problem.message().contains("phishing_resistant_acr"), "{problem}");
            assert!(config(provider(bad, &[])).check().is_err());
        }
    }

    #[test]
    fn a_rule_is_tied_to_what_nobody_can_take_over() {
        rule(&[("repository_id", "7"), ("ref", "refs/heads/main")]).check().unwrap();
        rule(&[("sub", "repo:a/b:ref:refs/heads/main")]).check().unwrap();
        for bad in [rule(&[]), rule(&[("repository", "a/b")]), rule(&[("sub", "repo:a/*")]), rule(&[("sub", "")])] {
            assert!(bad.check().is_err());
        }
        let mut plain = rule(&[("sub", "x")]);
        plain.workloads[0].issuer = "http://issuer.example".to_owned();
        assert!(plain.check().unwrap_err().message().contains("https://"));
    }
}
