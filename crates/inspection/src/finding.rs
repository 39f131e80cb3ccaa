//! What an inspection finds, one fact each, with an id that policies can name.

use serde::{Deserialize, Serialize};

/// Examples of one finding.
pub const EXAMPLE_COUNT_MAX: usize = 8;
/// Columns named by one finding.
pub const FINDING_COLUMN_COUNT_MAX: usize = 16;
/// Bytes of an example's value.
pub const EXAMPLE_BYTES_MAX: usize = 120;
/// Bytes of a detail or a remedy.
pub const TEXT_BYTES_MAX: usize = 1_000;
/// Bytes of a column's name in a report.
pub const NAME_BYTES_MAX: usize = 200;

/// Which part of the inspection looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Screen {
    /// Where it comes from. The room adds these findings: the worker does not know the register.
    Provenance,
    /// Can it be read, and is what is in it plain data?
    Format,
    /// Does it hold to its contract?
    Validity,
    /// What is in it?
    Profile,
    /// What changed against the reference version?
    Drift,
    /// Whom does it concern?
    Personal,
    /// Was it tampered with to mislead a model?
    Poisoning,
    /// Were the parent's most poisonable rows changed?
    Guarded,
    /// Does loading a model's files do more than load them?
    File,
    /// Where a model comes from. The room adds these findings.
    Origin,
    /// Who signed a model's files. The room adds these findings.
    Signature,
    /// Does a model hold to its gate file, against its champion?
    Gate,
    /// What do simulated attacks on a model come to?
    Attack,
}

impl Screen {
    /// The screens that a worker runs over data.
    pub const WORKER: [Self; 7] =
        [Self::Format, Self::Validity, Self::Profile, Self::Drift, Self::Personal, Self::Poisoning, Self::Guarded];

    /// The word in reports and policies.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Provenance => "provenance",
            Self::Format => "format",
            Self::Validity => "validity",
            Self::Profile => "profile",
            Self::Drift => "drift",
            Self::Personal => "personal",
            Self::Poisoning => "poisoning",
            Self::Guarded => "guarded",
            Self::File => "file",
            Self::Origin => "origin",
            Self::Signature => "signature",
            Self::Gate => "gate",
            Self::Attack => "attack",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Someone should look.
    Warning,
    /// Training on it would probably be wrong.
    Error,
    /// Training on it would be dangerous.
    Critical,
}

impl Severity {
    /// The word in reports and policies.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// What a policy does about a finding when it says nothing of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It only informs.
    Inform,
    /// A named reviewer must waive it.
    Waiver,
    /// The version is refused.
    Refuse,
}

impl Effect {
    /// The word in databases and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Inform => "inform",
            Self::Waiver => "waiver",
            Self::Refuse => "refuse",
        }
    }
}

/// A kind of finding: what its id means. All of them stand in [`crate::catalogue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FindingKind {
    /// The id that policies name. It never changes its meaning.
    pub id: &'static str,
    /// Which screen makes it.
    pub screen: Screen,
    /// How bad it usually is.
    pub severity: Severity,
    /// What a policy does about it by default.
    pub effect: Effect,
    /// One line for people.
    pub title: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// MITRE ATLAS techniques and OWASP Machine Learning Top 10 risks it speaks of.
    pub references: &'static [&'static str],
}

/// One fact that an inspection found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Id of its kind, as in [`crate::catalogue`].
    pub id: String,
    /// Which screen found it.
    pub screen: Screen,
    /// How bad it is.
    pub severity: Severity,
    /// One line for people.
    pub title: String,
    /// What exactly was found.
    pub detail: String,
    /// What to do about it.
    pub remedy: String,
    /// The columns it is about.
    #[serde(default)]
    pub columns: Vec<String>,
    /// How many rows it is about, where that is known.
    #[serde(default)]
    pub row_count: Option<u64>,
    /// A few of them. Values of personal columns are masked.
    #[serde(default)]
    pub examples: Vec<Example>,
    /// MITRE ATLAS and OWASP ids.
    #[serde(default)]
    pub references: Vec<String>,
}

/// One row that shows a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Its number in the version, from 0.
    #[serde(default)]
    pub row: Option<u64>,
    /// The column, if one.
    #[serde(default)]
    pub column: Option<String>,
    /// The value or the reason, shortened; masked where it is personal.
    #[serde(default)]
    pub value: Option<String>,
}

impl Finding {
    /// A finding of `kind`; `detail` says what exactly was found.
    #[must_use]
    pub fn new(kind: &FindingKind, detail: impl Into<String>) -> Self {
        Self {
            id: kind.id.to_owned(),
            screen: kind.screen,
            severity: kind.severity,
            title: kind.title.to_owned(),
            detail: shortened(detail.into(), TEXT_BYTES_MAX),
            remedy: kind.remedy.to_owned(),
            columns: Vec::new(),
            row_count: None,
            examples: Vec::new(),
            references: kind.references.iter().map(|id| (*id).to_owned()).collect(),
        }
    }

    /// Sets how bad this one is.
    #[must_use]
    pub const fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Names the columns it is about; beyond [`FINDING_COLUMN_COUNT_MAX`] they are left out.
    #[must_use]
    pub fn columns<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.columns =
            names.into_iter().take(FINDING_COLUMN_COUNT_MAX).map(|name| shortened(name.into(), NAME_BYTES_MAX)).collect();
        self
    }

    /// Says how many rows it is about.
    #[must_use]
    pub const fn rows(mut self, count: u64) -> Self {
        self.row_count = Some(count);
        self
    }

    /// Adds examples; beyond [`EXAMPLE_COUNT_MAX`] they are left out.
    #[must_use]
    pub fn examples(mut self, examples: impl IntoIterator<Item = Example>) -> Self {
        self.examples = examples.into_iter().take(EXAMPLE_COUNT_MAX).map(Example::bounded).collect();
        self
    }

    /// Whether its texts and lists keep to their limits: what a worker sends is checked, not believed.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let short = |text: &String, bytes_max: usize| text.len() <= bytes_max;
        short(&self.id, NAME_BYTES_MAX)
            && [&self.title, &self.detail, &self.remedy].into_iter().all(|text| short(text, TEXT_BYTES_MAX))
            && self.columns.len() <= FINDING_COLUMN_COUNT_MAX
            && self.columns.iter().all(|name| short(name, NAME_BYTES_MAX))
            && self.examples.len() <= EXAMPLE_COUNT_MAX
            && self.examples.iter().all(|example| {
                example.column.as_ref().is_none_or(|name| short(name, NAME_BYTES_MAX))
                    && example.value.as_ref().is_none_or(|value| short(value, EXAMPLE_BYTES_MAX))
            })
            && self.references.len() <= FINDING_COLUMN_COUNT_MAX
            && self.references.iter().all(|id| short(id, NAME_BYTES_MAX))
    }
}

impl Example {
    /// The value `value` of `column` in `row`.
    #[must_use]
    pub fn of(row: Option<u64>, column: Option<&str>, value: impl Into<String>) -> Self {
        Self { row, column: column.map(ToOwned::to_owned), value: Some(value.into()) }.bounded()
    }

    fn bounded(mut self) -> Self {
        self.column = self.column.map(|name| shortened(name, NAME_BYTES_MAX));
        self.value = self.value.map(|value| shortened(value, EXAMPLE_BYTES_MAX));
        self
    }
}

/// `text` cut at a character's border so that it takes at most `bytes_max`, with an ellipsis where something is missing.
pub(crate) fn shortened(text: String, bytes_max: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() <= bytes_max {
        return text;
    }
    let mut end = bytes_max.saturating_sub(ELLIPSIS.len());
    while end > 0 && !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let kept = text.get(..end).unwrap_or_default();
    format!("{kept}{ELLIPSIS}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(shortened("abc".to_owned(), 3), "abc");
        assert_eq!(shortened("äöüäöü".to_owned(), 8), "äö…");
        assert_eq!(shortened("äöüäöü".to_owned(), 1), "…");
    }

    #[test]
    fn what_the_builder_makes_is_bounded() {
        let long = "ß".repeat(5_000);
        let finding = Finding::new(&catalogue::UNREADABLE, long.clone())
            .columns(std::iter::repeat_n(long.clone(), 50))
            .examples(std::iter::repeat_n(Example::of(Some(1), Some(&long), long.clone()), 50));
        assert!(finding.is_bounded());
        let unbounded = Finding { detail: long, ..finding };
        assert!(!unbounded.is_bounded());
    }

    #[test]
    fn json_keeps_it() {
        let finding = Finding::new(&catalogue::LABEL_FLIPS, "12 rows").rows(12).columns(["label"]);
        let text = serde_json::to_string(&finding).unwrap();
        assert!(text.contains("\"screen\":\"poisoning\""), "{text}");
        assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), finding);
    }
}
