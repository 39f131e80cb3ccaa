//! What a scan answers.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::limits::FINDINGS_MAX;
use crate::rules::{Effect, Rule};

/// What may be done with a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything in it was understood and is harmless.
    #[default]
    Clean,
    /// Something in it was not understood. It is never the same as clean.
    Unknown,
    /// It must not be loaded.
    Blocked,
}

/// How a name that a pickle imports is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// It is only looked up, which imports its module.
    Referenced,
    /// `REDUCE` calls it.
    Called,
    /// `NEWOBJ`, `NEWOBJ_EX`, `OBJ` or `INST` make an object of it.
    Instantiated,
    /// `BUILD` sets the state of an object of it.
    StateSet,
}

/// A name that a pickle asks its reader to import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GlobalUse {
    /// The module as it stands in the file.
    pub module: String,
    /// The name in the module, possibly dotted.
    pub name: String,
    /// How it is used.
    pub uses: Vec<Use>,
    /// Whether it stands on an allow-list.
    pub allowed: bool,
    /// The member of an archive, or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub member: String,
    /// Where the instruction stands that imports it first.
    pub offset: u64,
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// By which rule.
    pub rule: &'static Rule,
    /// What was found.
    pub message: String,
    /// The member of an archive, or empty.
    pub member: String,
    /// Byte offset in the file or in the (decompressed) member.
    pub offset: Option<u64>,
    /// `module.name` where the finding is about an import.
    pub global: Option<String>,
}

impl Serialize for Finding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Form<'a> {
            rule: &'a str,
            effect: Effect,
            message: &'a str,
            consequence: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            member: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            offset: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            global: Option<&'a str>,
        }
        Form {
            rule: self.rule.id,
            effect: self.rule.effect,
            message: &self.message,
            consequence: self.rule.consequence,
            member: &self.member,
            offset: self.offset,
            global: self.global.as_deref(),
        }
        .serialize(serializer)
    }
}

/// What was found in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The file, as the caller names it.
    pub path: String,
    /// What it is, such as `pickle` or `zip (torch)`.
    pub format: String,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// The worst of the findings.
    pub verdict: Verdict,
    /// What was found, in the order of the file; at most 200.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_findings: u64,
    /// Names that its pickles import.
    pub globals: Vec<GlobalUse>,
    /// Other files of the set that hold the bytes of its tensors and are read as nothing else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<String>,
    /// Up to which byte of each of these files tensors lie.
    #[serde(skip)]
    pub external_places: BTreeMap<String, u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl FileReport {
    pub(crate) fn add(&mut self, finding: Finding) {
        self.verdict = self.verdict.max(match finding.rule.effect {
            Effect::Note => Verdict::Clean,
            Effect::Unknown => Verdict::Unknown,
            Effect::Block => Verdict::Blocked,
        });
        if self.findings.len() < FINDINGS_MAX {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        } else {
            self.more_findings += 1;
        }
    }
}

/// What was found in a set of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The worst of the files; a set without files is unknown.
    pub verdict: Verdict,
    /// By which rules.
    pub rules: RuleSet,
    /// File by file.
    pub files: Vec<FileReport>,
}

/// Which rules and lists judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleSet {
    /// Their version.
    pub version: String,
    /// SHA-256, in hexadecimal, over the rules and all allow-lists.
    pub digest: String,
}

/// Text from a hostile file, made fit to be shown: bounded, with control characters and odd spaces escaped.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_LETTERS_MAX: usize = 200;
    let mut out = String::new();
    for (index, letter) in text.chars().enumerate() {
        if index >= SHOWN_LETTERS_MAX {
            out.push('…');
            break;
        }
        // Letters that reverse or hide text would make a report say what the file does not.
        let hidden = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if letter.is_control() || hidden {
            out.extend(letter.escape_unicode());
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules;

    fn finding(rule: &'static Rule, offset: u64) -> Finding {
        Finding { rule, message: "m".to_owned(), member: String::new(), offset: Some(offset), global: None }
    }

    #[test]
    fn the_verdict_is_the_worst_finding_also_beyond_those_kept() {
        let mut report = FileReport::default();
        for offset in 0..FINDINGS_MAX as u64 {
            report.add(finding(rules::UNRECOGNISED, offset));
        }
        assert_eq!(report.verdict, Verdict::Unknown);
        report.add(finding(rules::POLYGLOT, 0));
        assert_eq!((report.verdict, report.more_findings, report.findings.len()), (Verdict::Blocked, 1, FINDINGS_MAX));
    }

    #[test]
    fn hostile_text_is_shown_escaped_and_bounded() {
        assert_eq!(shown("os\r\u{202e}x"), "os\\u{d}\\u{202e}x");
        assert_eq!(shown(&"x".repeat(500)).chars().count(), 201);
    }

    #[test]
    fn a_finding_says_its_rule_and_consequence() {
        let text = serde_json::to_string(&finding(rules::FRAME, 7)).unwrap();
        assert!(
            text.contains("\"rule\":\"pickle.frame\"") && text.contains("\"offset\":7") && !text.contains("member"),
            "{text}"
        );
    }
}
