//! Rules that were written on a server, beside those that come with it and those of its folder: how they are read, and where one has a fault.
//!
//! INVARIANT: what is written here tells, and bars nobody: a rule with a response stands in a file, which whoever configures the server keeps. Held by
//! `tests::a_fault_is_told_with_its_line`.

use std::path::Path;

use kernel::{Kind, Micros, Problem};

use super::{FILE_BYTES_MAX, Rule, RuleSet, read};
use crate::respond::Rung;

/// Texts of one server.
pub const OWN_COUNT_MAX: usize = 50;
const NAME_CHARS_MAX: usize = 64;

/// A text of rules that was written on this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRules {
    /// Its name.
    pub name: String,
    /// YAML, as a file of rules has it.
    pub body: String,
    /// Whether its rules are looked for.
    pub enabled: bool,
    /// When it was changed last.
    pub changed_at: Micros,
    /// By whom, by id.
    pub changed_by: String,
    /// And by name, as it is now.
    pub changed_by_name: Option<String>,
    /// How often it was changed: tells how it stands from how it stood.
    pub change_count: i64,
}

/// What is wrong with a text of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1 on; 0 where that is not known.
    pub line: u64,
    /// The character in it; 0 where that is not known.
    pub column: u64,
    /// What is wrong.
    pub problem: String,
}

impl OwnRules {
    /// Checks a name.
    ///
    /// # Errors
    /// `Invalid`, saying what a name is.
    pub fn check_name(name: &str) -> Result<(), Problem> {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if plain && begins && name.len() <= NAME_CHARS_MAX {
            return Ok(());
        }
        let message =
            format!("a name has 1 to {NAME_CHARS_MAX} letters, digits, `.`, `_` and `-`, and begins with a letter or digit");
        Err(Problem::invalid(message))
    }
}

impl RuleSet {
    /// The rules of [`RuleSet::load`] with those that were written on this server. A text that cannot be used any more, such as after an
    /// update of this program, is left out; its name is given.
    ///
    /// # Errors
    /// As [`RuleSet::load`].
    pub fn with_own(folder: Option<&Path>, disabled: &[String], own: &[OwnRules]) -> Result<(Self, Vec<String>), Problem> {
        let enabled: Vec<&OwnRules> = own.iter().filter(|one| one.enabled).collect();
        let all = |texts: &[&OwnRules]| -> Result<Self, Problem> {
            let mut rules = Self::load(folder, disabled)?.rules;
            for one in texts {
                rules.extend(own_rules(&one.body).map_err(|fault| Problem::invalid(fault.problem))?);
            }
            Self::of(rules)
        };
        if let Ok(whole) = all(&enabled) {
            return Ok((whole, Vec::new()));
        }
        let (mut good, mut left_out): (Vec<&OwnRules>, Vec<String>) = (Vec::new(), Vec::new());
        for one in enabled {
            good.push(one);
            if all(&good).is_err() {
                good.pop();
                left_out.push(one.name.clone());
            }
        }
        Ok((all(&good)?, left_out))
    }

    /// Reads a text as one of this server's, with all that it would stand beside. Gives the set with it, and the names of its rules.
    ///
    /// # Errors
    /// Where the fault is; the other texts are taken as they are.
    pub fn try_own(
        folder: Option<&Path>,
        disabled: &[String],
        others: &[OwnRules],
        body: &str,
    ) -> Result<(Self, Vec<String>), Fault> {
        let whole = |problem: Problem| Fault { line: 0, column: 0, problem: problem.message().to_owned() };
        let own = own_rules(body)?;
        let names: Vec<String> = own.iter().map(|rule| rule.name.clone()).collect();
        let mut rules = Self::with_own(folder, disabled, others).map_err(whole)?.0.rules;
        rules.extend(own);
        // Which of its rules it is about is named by the message, which its line is found by.
        let set = Self::of(rules).map_err(|problem| {
            let fault = whole(problem);
            Fault { line: line_with(body, &fault.problem), ..fault }
        })?;
        Ok((set, names))
    }
}

fn own_rules(body: &str) -> Result<Vec<Rule>, Fault> {
    if body.len() as u64 > FILE_BYTES_MAX {
        return Err(Fault { line: 0, column: 0, problem: format!("it has more than {FILE_BYTES_MAX} bytes: split it") });
    }
    let rules = read::parsed(body)?;
    let barring = rules.iter().position(|rule| rule.response > Rung::Note);
    if let Some(at) = barring {
        let why = "`response` of a rule that is written here is `note`: one that slows people down or bars them stands in a file of the folder \
                   `detections.rules`";
        return Err(Fault { line: line_of(body, at, why), column: 0, problem: why.to_owned() });
    }
    Ok(rules)
}

/// The line of a text on which the first word in backticks of a message begins a field, among those of document `at` (from 0 on); else the line on
/// which that document begins.
pub(super) fn line_of(text: &str, at: usize, message: &str) -> u64 {
    let lines: Vec<&str> = text.lines().collect();
    let mut starts = vec![0_usize];
    starts.extend(lines.iter().enumerate().filter(|(_, line)| line.trim_end() == "---").map(|(at, _)| at.saturating_add(1)));
    // A text may begin with the mark that stands between documents.
    let first_is_empty = starts.get(1).is_some_and(|next| {
        lines.get(..next.saturating_sub(1)).unwrap_or_default().iter().all(|line| line.trim().is_empty() || line.starts_with('#'))
    });
    let at = at.saturating_add(usize::from(first_is_empty));
    let from = starts.get(at).or(starts.last()).copied().unwrap_or_default();
    let until = starts.get(at.saturating_add(1)).copied().unwrap_or(lines.len());
    let named = message.split('`').nth(1).map(|word| word.split(['|', '.']).next().unwrap_or(word).to_owned());
    let begins = |line: &str, word: &str| line.trim_start().trim_start_matches("- ").trim_matches(['"', '\'']).starts_with(word);
    let within = lines.get(from..until).unwrap_or_default();
    let found = named.filter(|word| !word.is_empty()).and_then(|word| within.iter().position(|line| begins(line, &word)));
    (from.saturating_add(found.unwrap_or_default()).saturating_add(1)) as u64
}

/// The first line of a text that has the first word in backticks of a message; 0 where none has it.
fn line_with(text: &str, message: &str) -> u64 {
    let named = message.split('`').nth(1).filter(|word| !word.is_empty());
    let found = named.and_then(|word| text.lines().position(|line| line.contains(word)));
    found.map_or(0, |at| at as u64 + 1)
}

/// A fault as the problem of a request.
impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let place = if fault.line == 0 { String::new() } else { format!("line {}: ", fault.line) };
        Self::new(Kind::Invalid, format!("{place}{}", fault.problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "title: A\nid: 4a5dfb0e-5d5f-4c61-9a3e-6a3f1c0f3c11\nname: a\nlevel: low\nlogsource: {product: strongroom, service: audit}\ndetection:\n  s: {api.operation: runs.get}\n  condition: s\n";

    fn check(body: &str, line: u64, words: &str) {
        let fault = RuleSet::try_own(None, &[], &[], body).map(drop).unwrap_err();
        assert!(fault.line == line && fault.problem.contains(words), "{fault:?}");
    }

    #[test]
    fn a_fault_is_told_with_its_line() {
        let broken = RuleSet::try_own(None, &[], &[], "title: [\n").map(drop).unwrap_err();
        assert!(broken.line > 0 && !broken.problem.is_empty(), "{broken:?}");
        check(&RULE.replace("level: low", "level: awful"), 4, "`level`");
        check(&RULE.replace("level: low", "levle: low"), 4, "`levle` is no field");
        check(&format!("---\n{RULE}---\n{}", RULE.replace("level: low", "level: awful")), 14, "`level`");
        check(&format!("{RULE}strongroom:\n  response: throttle\n"), 10, "is `note`");
        check(&RULE.replace("name: a", "name: credential_refused"), 3, "credential_refused");
        check("", 0, "no rule");
    }

    #[test]
    fn a_text_that_cannot_be_used_any_more_takes_no_other_along() {
        let own = |name: &str, body: &str| OwnRules {
            name: name.to_owned(),
            body: body.to_owned(),
            enabled: true,
            changed_at: Micros(0),
            changed_by: "u".to_owned(),
            changed_by_name: None,
            change_count: 1,
        };
        let texts = [own("broken", "title: x"), own("good", RULE), OwnRules { enabled: false, ..own("off", "x") }];
        let (set, left_out) = RuleSet::with_own(None, &[], &texts).unwrap();
        assert_eq!(left_out, ["broken"]);
        assert!(set.rules().iter().any(|rule| rule.name == "a" && !rule.built_in));
    }

    #[test]
    fn names_are_plain() {
        assert!(OwnRules::check_name("night-shift.2").is_ok());
        for wrong in ["", "-a", "a b", "a/b", "ü", &"a".repeat(65)] {
            assert!(OwnRules::check_name(wrong).is_err(), "{wrong}");
        }
    }
}
