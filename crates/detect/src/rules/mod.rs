//! Rules: Sigma rules, Sigma correlations, and detectors of our own, each a document of YAML.
//!
//! A file of rules is input like any other: its size, depth, documents and patterns are bounded before they cost anything, anchors and
//! aliases are refused, and what this program does not have of Sigma is an error, never silently without effect.

mod built_in;
mod condition;
mod correlation;
mod own;
mod read;
mod sigma;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kernel::Problem;

pub use correlation::{Correlation, CorrelationKind};
pub use own::{Fault, OWN_COUNT_MAX, OwnRules};
pub(crate) use sigma::Reach;
pub use sigma::SigmaRule;

use crate::detectors::DetectorRule;
use crate::respond::Rung;

/// A file of rules.
pub const FILE_BYTES_MAX: u64 = 256 * 1024;
/// Files in a folder of rules.
pub const FILE_COUNT_MAX: usize = 200;
/// Rules in all.
pub const RULE_COUNT_MAX: usize = 1_000;
/// How long the same finding is one alert, unless a rule says otherwise.
const SUPPRESS_S: i64 = 86_400;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth counting; never an alert by itself.
    Informational,
    /// Worth a look now and then.
    Low,
    /// Worth a look this week.
    Medium,
    /// Worth a look today.
    High,
    /// Worth a look now.
    Critical,
}

impl Level {
    /// All of them, the mildest first.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word for rows, rules and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The level of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }
}

/// What a rule looks for.
#[derive(Debug)]
pub enum Looks {
    /// One record.
    Sigma(SigmaRule),
    /// Several hits of other rules.
    Correlation(Correlation),
    /// What only a state of its own can tell.
    Detector(DetectorRule),
}

impl Looks {
    /// The word for lists.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Sigma(_) => "sigma",
            Self::Correlation(_) => "correlation",
            Self::Detector(_) => "detector",
        }
    }
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its UUID.
    pub id: String,
    /// Its short name, by which correlations know it.
    pub name: String,
    /// What it finds, in a few words.
    pub title: String,
    /// What it finds, and why that matters.
    pub description: String,
    /// How bad that is.
    pub level: Level,
    /// What is done about it at most.
    pub response: Rung,
    /// How long the same finding is one alert.
    pub suppress_s: i64,
    /// The fields whose values make a finding the same as another; empty for what the rule is grouped by.
    pub subject: Vec<String>,
    /// What it looks for.
    pub looks: Looks,
    /// Whether it came with this program.
    pub built_in: bool,
}

impl Rule {
    /// Whether it makes alerts; a rule of level `informational` is only counted by correlations.
    #[must_use]
    pub fn alerts(&self) -> bool {
        self.level != Level::Informational
    }
}

/// All rules, in an order in which a correlation comes after what it refers to.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
}

impl RuleSet {
    /// The rules that come with this program, but for those named in `disabled` (by name or id), and those of `folder`.
    ///
    /// # Errors
    /// `Invalid`, naming the file and what is wrong in it.
    pub fn load(folder: Option<&Path>, disabled: &[String]) -> Result<Self, Problem> {
        let mut rules = Self::built_in()?.rules;
        if let Some(folder) = folder {
            for path in files_of(folder)? {
                rules.extend(read::file(&path)?);
            }
        }
        for word in disabled {
            if !rules.iter().any(|rule| rule.name == *word || rule.id == *word) {
                return Err(Problem::invalid(format!("`detections.disabled` names `{}`, which is no rule", shown(word))));
            }
        }
        rules.retain(|rule| !disabled.iter().any(|word| rule.name == *word || rule.id == *word));
        // What leans on a rule that is off is off too.
        loop {
            let names: BTreeSet<String> = rules.iter().flat_map(|rule| [rule.name.clone(), rule.id.clone()]).collect();
            let before = rules.len();
            rules.retain(|rule| match &rule.looks {
                Looks::Correlation(one) => {
                    let known = |word: &String| names.contains(word);
                    one.refers.iter().all(known) || disabled.is_empty()
                }
                _ => true,
            });
            if rules.len() == before {
                break;
            }
        }
        Self::of(rules)
    }

    /// Only the rules that come with this program.
    ///
    /// # Errors
    /// Never, unless this program is broken.
    pub fn built_in() -> Result<Self, Problem> {
        let mut rules = Vec::new();
        for (name, text) in built_in::FILES {
            rules.extend(read::text(name, text)?.into_iter().map(|rule| Rule { built_in: true, ..rule }));
        }
        Self::of(rules)
    }

    /// Reads one file as `strongroom detections check` does: with the rules that come with this program beside it, because a correlation
    /// may refer to those. Gives how many rules the file has.
    ///
    /// # Errors
    /// `Invalid`, saying what is wrong.
    pub fn check(path: &Path) -> Result<usize, Problem> {
        let own = read::file(path)?;
        let count = own.len();
        let mut rules = Self::built_in()?.rules;
        let replaced: BTreeSet<String> = own.iter().flat_map(|rule| [rule.name.clone(), rule.id.clone()]).collect();
        rules.retain(|rule| !replaced.contains(&rule.name) && !replaced.contains(&rule.id));
        rules.extend(own);
        Self::of(rules)?;
        Ok(count)
    }

    /// Rules out of texts, for tests: nothing that is built in.
    ///
    /// # Errors
    /// `Invalid`, saying what is wrong.
    pub fn of_text(text: &str) -> Result<Self, Problem> {
        Self::of(read::text("text", text)?)
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Checks what only all rules together show, and puts them in order.
    fn of(rules: Vec<Rule>) -> Result<Self, Problem> {
        if rules.len() > RULE_COUNT_MAX {
            return Err(Problem::invalid(format!("there are {} rules; {RULE_COUNT_MAX} at most", rules.len())));
        }
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (at, rule) in rules.iter().enumerate() {
            for word in [&rule.name, &rule.id] {
                if places.insert(word.clone(), at).is_some_and(|other| other != at) {
                    return Err(Problem::invalid(format!("two rules are called `{}`", shown(word))));
                }
            }
        }
        let order = ordered(&rules, &places)?;
        let mut slots: Vec<Option<Rule>> = rules.into_iter().map(Some).collect();
        let rules = order.into_iter().filter_map(|at| slots.get_mut(at).and_then(Option::take)).collect();
        let mut set = Self { rules };
        set.resolve();
        Ok(set)
    }

    /// Tells correlations where in the set the rules are that they refer to.
    fn resolve(&mut self) {
        let mut places = BTreeMap::new();
        for (at, rule) in self.rules.iter().enumerate() {
            places.insert(rule.name.clone(), at);
            places.insert(rule.id.clone(), at);
        }
        for rule in &mut self.rules {
            if let Looks::Correlation(one) = &mut rule.looks {
                one.places = one.refers.iter().filter_map(|word| places.get(word).copied()).collect();
            }
        }
    }
}

/// Places of rules such that each comes after those that it refers to.
fn ordered(rules: &[Rule], places: &BTreeMap<String, usize>) -> Result<Vec<usize>, Problem> {
    let mut order: Vec<usize> = Vec::new();
    let mut placed = vec![false; rules.len()];
    loop {
        let before = order.len();
        for (at, rule) in rules.iter().enumerate() {
            if placed.get(at).copied().unwrap_or(true) {
                continue;
            }
            let mut ready = true;
            if let Looks::Correlation(one) = &rule.looks {
                for word in &one.refers {
                    let Some(other) = places.get(word) else {
                        let message = format!("the rule `{}` refers to `{}`, which is no rule", rule.name, shown(word));
                        return Err(Problem::invalid(message));
                    };
                    if let Some(Rule { looks: Looks::Correlation(late), .. }) = rules.get(*other)
                        && late.at_most.is_some()
                    {
                        let message = format!(
                            "the rule `{}` refers to `{}`, which has an upper bound: that it was kept is known only afterwards",
                            rule.name,
                            shown(word)
                        );
                        return Err(Problem::invalid(message));
                    }
                    ready &= placed.get(*other).copied().unwrap_or(false);
                }
            }
            if ready {
                order.push(at);
                if let Some(slot) = placed.get_mut(at) {
                    *slot = true;
                }
            }
        }
        if order.len() == rules.len() {
            return Ok(order);
        }
        if order.len() == before {
            let stuck = rules.iter().zip(&placed).find(|(_, placed)| !**placed).map_or("?", |(rule, _)| rule.name.as_str());
            return Err(Problem::invalid(format!("the rule `{stuck}` refers to itself, by way of others")));
        }
    }
}

fn files_of(folder: &Path) -> Result<Vec<std::path::PathBuf>, Problem> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder).map_err(|error| {
        Problem::invalid(format!("the folder `{shown}` of `detections.rules` cannot be read: {error}")).because(error)
    })?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Problem::invalid(format!("`{shown}` cannot be read")).because(error))?;
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "yml" || end == "yaml") {
            files.push(path);
        }
        if files.len() > FILE_COUNT_MAX {
            return Err(Problem::invalid(format!("`{shown}` holds more than {FILE_COUNT_MAX} files of rules")));
        }
    }
    files.sort();
    Ok(files)
}

/// A text of a file, for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(80).collect()
}
