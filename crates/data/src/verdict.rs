//! What an inspection's findings mean: a policy file maps each to refuse, waiver or inform.

use std::collections::BTreeMap;
use std::path::Path;

use inspection::{Effect, Finding, Severity};
use kernel::{Problem, hex, sha256};
use serde::Deserialize;

use crate::DataConfig;
use crate::limits::RULE_COUNT_MAX;
use crate::types::{FoundFinding, Verdict};

/// The policy that is built in.
const BUILT_IN: &str = include_str!("../../../policies/data-verdict.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    rule: Vec<Rule>,
}

/// One rule. The first that fits a finding decides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// A finding's id, or the beginning of ids before a `*`.
    finding: String,
    /// Only findings at least this severe.
    #[serde(default)]
    severity_min: Option<Severity>,
    /// What follows.
    then: Then,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Then {
    Inform,
    Waiver,
    Refuse,
    /// What the catalogue of findings says.
    Default,
}

/// The policies of a server: one for all workspaces, and others for some.
#[derive(Clone, Debug)]
pub struct Verdicts {
    usual: VerdictPolicy,
    by_workspace: BTreeMap<String, VerdictPolicy>,
}

impl Verdicts {
    /// As the configuration names them.
    ///
    /// # Errors
    /// `Invalid` if one cannot be read: without a policy nothing may be admitted.
    pub fn open(config: &DataConfig) -> Result<Self, Problem> {
        let mut by_workspace = BTreeMap::new();
        for (workspace, file) in &config.verdict_by_workspace {
            by_workspace.insert(workspace.clone(), VerdictPolicy::open(Some(file))?);
        }
        Ok(Self { usual: VerdictPolicy::open(config.verdict.as_deref())?, by_workspace })
    }

    /// The policy of a workspace, by its name.
    #[must_use]
    pub fn of(&self, workspace: &str) -> &VerdictPolicy {
        self.by_workspace.get(workspace).unwrap_or(&self.usual)
    }
}

impl From<VerdictPolicy> for Verdicts {
    fn from(usual: VerdictPolicy) -> Self {
        Self { usual, by_workspace: BTreeMap::new() }
    }
}

/// A policy. Immutable.
#[derive(Clone, Debug)]
pub struct VerdictPolicy {
    rules: Vec<Rule>,
    sha256: String,
}

impl VerdictPolicy {
    /// The one in `file`, or the one that is built in.
    ///
    /// # Errors
    /// `Invalid` if it cannot be read: without a policy nothing may be admitted.
    pub fn open(file: Option<&Path>) -> Result<Self, Problem> {
        let Some(file) = file else { return Self::parse(BUILT_IN) };
        let shown = file.display();
        let text = std::fs::read_to_string(file)
            .map_err(|error| Problem::invalid(format!("the verdict's policy `{shown}` cannot be read: {error}")))?;
        Self::parse(&text).map_err(|problem| Problem::invalid(format!("`{shown}`: {problem}")))
    }

    /// Reads a policy's text.
    ///
    /// # Errors
    /// `Invalid` with the place of the fault.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let parsed: Text = toml::from_str(text).map_err(|error| Problem::invalid(format!("not a verdict's policy: {error}")))?;
        if parsed.rule.len() > RULE_COUNT_MAX {
            return Err(Problem::invalid(format!("a verdict's policy has at most {RULE_COUNT_MAX} rules")));
        }
        for rule in &parsed.rule {
            let stem = rule.finding.strip_suffix('*').unwrap_or(&rule.finding);
            if stem.contains('*') || (stem.is_empty() && !rule.finding.ends_with('*')) {
                let message = format!("`{}` is no finding's id, nor its beginning before one `*`", rule.finding);
                return Err(Problem::invalid(message));
            }
        }
        Ok(Self { rules: parsed.rule, sha256: hex(&sha256(text.as_bytes())) })
    }

    /// The digest of the policy's text, for records and attestations.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.sha256
    }

    /// What follows from a finding. One that no rule and no catalogue knows needs a waiver: unsure means refuse.
    #[must_use]
    pub fn effect(&self, finding: &Finding) -> Effect {
        let rule = self.rules.iter().find(|rule| rule.fits(finding));
        match rule.map(|rule| rule.then) {
            Some(Then::Inform) => Effect::Inform,
            Some(Then::Waiver) => Effect::Waiver,
            Some(Then::Refuse) => Effect::Refuse,
            Some(Then::Default) | None => inspection::catalogue::default_effect(&finding.id),
        }
    }

    /// Each finding with what follows from it, and what follows from all of them.
    #[must_use]
    pub fn judge(&self, findings: &[Finding]) -> (Vec<FoundFinding>, Verdict) {
        let judged: Vec<FoundFinding> =
            findings.iter().map(|finding| FoundFinding { effect: self.effect(finding), finding: finding.clone() }).collect();
        let verdict = judged.iter().map(|found| Verdict::of(found.effect)).max().unwrap_or(Verdict::Pass);
        (judged, verdict)
    }
}

impl Rule {
    fn fits(&self, finding: &Finding) -> bool {
        let named = match self.finding.strip_suffix('*') {
            Some(stem) => finding.id.starts_with(stem),
            None => finding.id == self.finding,
        };
        named && self.severity_min.is_none_or(|least| finding.severity >= least)
    }
}

#[cfg(test)]
mod tests {
    use inspection::catalogue;

    use super::*;

    #[test]
    fn the_first_rule_that_fits_decides() {
        let text = r#"
            [[rule]]
            finding = "personal.*"
            severity_min = "error"
            then = "refuse"
            [[rule]]
            finding = "personal.*"
            then = "inform"
            [[rule]]
            finding = "poisoning.trigger"
            then = "default"
        "#;
        let policy = VerdictPolicy::parse(text).unwrap();
        let check = |kind, severity, expected| {
            let finding = Finding::new(kind, "x").severity(severity);
            assert_eq!(policy.effect(&finding), expected, "{}", finding.id);
        };
        check(&catalogue::PERSONAL, Severity::Warning, Effect::Inform);
        check(&catalogue::HEALTH, Severity::Error, Effect::Refuse);
        check(&catalogue::TRIGGER, Severity::Critical, Effect::Refuse);
        check(&catalogue::SOURCE_UNKNOWN, Severity::Warning, Effect::Waiver);
    }

    #[test]
    fn a_workspace_has_its_own_policy_or_the_usual_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("strict.toml");
        std::fs::write(&file, "[[rule]]\nfinding = '*'\nthen = 'refuse'\n").unwrap();
        let mut config = DataConfig { verdict_by_workspace: [("prod".to_owned(), file)].into(), ..DataConfig::default() };
        let verdicts = Verdicts::open(&config).unwrap();
        let note = Finding::new(&catalogue::NOTE, "x");
        assert_eq!(verdicts.of("prod").effect(&note), Effect::Refuse);
        assert_eq!(verdicts.of("default").effect(&note), Effect::Inform);
        assert_ne!(verdicts.of("prod").digest(), verdicts.of("default").digest());
        config.verdict_by_workspace.insert("gone".to_owned(), folder.path().join("missing.toml"));
        assert!(Verdicts::open(&config).is_err(), "a policy that is not there is not the usual one");
    }

    #[test]
    fn the_worst_finding_is_the_verdict_and_the_unknown_needs_a_waiver() {
        let policy = VerdictPolicy::open(None).unwrap();
        assert_eq!(policy.judge(&[]).1, Verdict::Pass);
        let mut odd = Finding::new(&catalogue::NOTE, "x");
        assert_eq!(policy.judge(&[odd.clone()]).1, Verdict::Pass);
        odd.id = "tomorrow.something".to_owned();
        assert_eq!(policy.judge(&[odd.clone()]).1, Verdict::Waiver);
        let bad = Finding::new(&catalogue::UNREADABLE, "x");
        assert_eq!(policy.judge(&[odd, bad]).1, Verdict::Refuse);
    }

    #[test]
    fn a_policy_that_cannot_be_read_is_none() {
        for bad in ["[[rule]]", "x = 1", "[[rule]]\nfinding = 'a*b*'\nthen = 'inform'", "[[rule]]\nfinding = 'a'\nthen = 'allow'"]
        {
            assert!(VerdictPolicy::parse(bad).is_err(), "{bad}");
        }
    }
}
