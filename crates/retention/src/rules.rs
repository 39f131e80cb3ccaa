//! The operator's rules: a file says what is retained as a whole, how strictly and for how long. What a rule fits is locked in the very
//! transaction that makes it (a data set's version is committed, a model's version registered, a backup ended) and again when more is known
//! of it, so there is no moment in which it could go.
//!
//! A rule that is taken out of the file, or weakened, changes nothing that it locked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel::{Micros, Problem, random_id};
use serde::{Deserialize, Serialize};
use vault::db::Writer;

use crate::clock::ComplianceClock;
use crate::lock::{DefaultRetention, Lock, Mode, Period};
use crate::store::kept as store;
use crate::types::{Kept, Kind, Subject};

/// Rules of one file.
const RULE_COUNT_MAX: usize = 200;
/// Of a rule's name and patterns.
const TEXT_CHARS_MAX: usize = 200;
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// What the inspection of data may find in it.
const CLASSES: [&str; 4] = ["personal", "special", "health", "financial"];

/// `[retention]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RulesConfig {
    /// The file with the rules.
    pub rules: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    rule: Vec<Rule>,
}

/// One rule. Of those that fit a thing, the strictest counts: compliance before governance, then the longest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// What it is called where it is shown.
    name: String,
    /// What it retains: `dataset`, `model`, `backup`.
    kind: Word,
    /// Of which workspaces, by name; the beginning before a `*`. All, without it.
    #[serde(default)]
    workspace: Option<String>,
    /// Of which names: of data sets, models, or places of backups.
    #[serde(default, rename = "match")]
    matches: Option<String>,
    /// Only what holds data of this class.
    #[serde(default)]
    class: Option<String>,
    /// How strictly.
    mode: Mode,
    #[serde(default)]
    days: Option<i64>,
    #[serde(default)]
    years: Option<i64>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Word {
    Dataset,
    Model,
    Backup,
}

impl Word {
    const fn kind(self) -> Kind {
        match self {
            Self::Dataset => Kind::Dataset,
            Self::Model => Kind::Model,
            Self::Backup => Kind::Backup,
        }
    }
}

impl Rule {
    fn period(&self) -> Result<DefaultRetention, Problem> {
        let period = match (self.days, self.years) {
            (Some(days), None) => Period::Days(days),
            (None, Some(years)) => Period::Years(years),
            _ => return Err(Problem::invalid(format!("rule `{}` needs `days` or `years`, one of them", self.name))),
        };
        DefaultRetention { mode: self.mode, period }.check()
    }

    fn check(&self) -> Result<(), Problem> {
        let texts = [Some(&self.name), self.workspace.as_ref(), self.matches.as_ref()];
        let is_bad =
            |text: &String| text.is_empty() || text.chars().count() > TEXT_CHARS_MAX || text.chars().any(char::is_control);
        if texts.into_iter().flatten().any(is_bad) {
            return Err(Problem::invalid(format!("a rule's texts have 1 to {TEXT_CHARS_MAX} characters")));
        }
        for pattern in [&self.workspace, &self.matches].into_iter().flatten() {
            if pattern.trim_end_matches('*').contains('*') || pattern.ends_with("**") {
                return Err(Problem::invalid(format!("in rule `{}`: a pattern has one `*`, at its end", self.name)));
            }
        }
        if let Some(class) = &self.class {
            if self.kind != Word::Dataset {
                return Err(Problem::invalid(format!("in rule `{}`: only data sets have a class", self.name)));
            }
            if !CLASSES.contains(&class.as_str()) {
                return Err(Problem::invalid(format!("in rule `{}`: a class is one of {}", self.name, CLASSES.join(", "))));
            }
        }
        self.period().map(drop)
    }

    fn fits(&self, subject: &Subject<'_>, workspace: &str) -> bool {
        self.kind.kind() == subject.kind
            && self.workspace.as_ref().is_none_or(|pattern| matches(pattern, workspace))
            && self.matches.as_ref().is_none_or(|pattern| matches(pattern, subject.name))
            && self.class.as_ref().is_none_or(|class| subject.classes.contains(&class.as_str()))
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => text.starts_with(beginning),
        None => text == pattern,
    }
}

/// The rules, with the clock that they count by. Cheap to clone.
#[derive(Clone)]
pub struct Rules {
    clock: ComplianceClock,
    rules: Arc<[Rule]>,
}

impl Rules {
    /// Those of `file`; none without one.
    ///
    /// # Errors
    /// `Invalid` if it cannot be read: a server whose rules are damaged must not run without them.
    pub fn open(file: Option<&Path>, clock: ComplianceClock) -> Result<Self, Problem> {
        let Some(file) = file else { return Ok(Self::none(clock)) };
        let shown = file.display();
        let unreadable =
            |error: std::io::Error| Problem::invalid(format!("the retention rules `{shown}` cannot be read: {error}"));
        if std::fs::metadata(file).map_err(unreadable)?.len() > FILE_BYTES_MAX {
            return Err(Problem::invalid(format!("`{shown}` has more than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(file).map_err(unreadable)?;
        Self::parse(&text, clock).map_err(|problem| Problem::invalid(format!("`{shown}`: {}", problem.message())))
    }

    /// None at all.
    #[must_use]
    pub fn none(clock: ComplianceClock) -> Self {
        Self { clock, rules: Arc::new([]) }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// `Invalid`, with the place of the fault.
    pub fn parse(text: &str, clock: ComplianceClock) -> Result<Self, Problem> {
        let parsed: Text = toml::from_str(text).map_err(|error| Problem::invalid(format!("not retention rules: {error}")))?;
        if parsed.rule.len() > RULE_COUNT_MAX {
            return Err(Problem::invalid(format!("there are at most {RULE_COUNT_MAX} retention rules")));
        }
        for rule in &parsed.rule {
            rule.check()?;
        }
        Ok(Self { clock, rules: parsed.rule.into() })
    }

    /// The clock that they count by.
    #[must_use]
    pub const fn clock(&self) -> &ComplianceClock {
        &self.clock
    }

    /// Whether there are any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether one retains things of this kind.
    #[must_use]
    pub fn have(&self, kind: Kind) -> bool {
        self.rules.iter().any(|rule| rule.kind.kind() == kind)
    }

    /// Locks a thing by the strictest rule that fits it; one that is locked already is only ever locked longer or more strictly. Called in
    /// the transaction that makes the thing, or learns more of it.
    ///
    /// # Errors
    /// Of the database; then the thing is not made either.
    pub fn keep(&self, writer: &mut Writer<'_>, subject: &Subject<'_>, at: Micros) -> Result<Option<Lock>, Problem> {
        if !self.have(subject.kind) {
            return Ok(None);
        }
        let workspace = store::workspace_name(writer, subject.workspace)?;
        let fitting: Vec<&Rule> = self.rules.iter().filter(|rule| rule.fits(subject, &workspace)).collect();
        if fitting.is_empty() {
            return Ok(None);
        }
        // Whichever clock is ahead: a thing is retained for as long as was promised by either.
        let now = self.clock.tick(writer)?.at.max(at);
        let known = store::find(writer, subject.kind, subject.id)?;
        // What is known already is retained from when it was made, however often it is looked at.
        let since = known.as_ref().map_or(now, |known| known.created_at);
        let mut best: Option<(&Rule, crate::lock::Retention)> = None;
        for rule in fitting {
            let retention = rule.period()?.from(since);
            let is_stricter = best.is_none_or(|(_, known)| rank(retention) > rank(known));
            if is_stricter {
                best = Some((rule, retention));
            }
        }
        let Some((rule, retention)) = best else { return Ok(None) };
        if let Some(known) = known {
            let there = known.lock.in_force(now);
            if retention.until <= now || there.is_some_and(|there| rank(there) >= rank(retention)) {
                return Ok(Some(known.lock));
            }
            // Compliance that lasts longer than the stricter rule's own stays as long as it was promised.
            let until = there.map_or(retention.until, |there| there.until.max(retention.until));
            let lock = Lock { retention: Some(crate::lock::Retention { until, ..retention }), hold: known.lock.hold };
            store::set_lock(writer, &known.id, lock, Some(&rule.name))?;
            return Ok(Some(lock));
        }
        let lock = Lock { retention: Some(retention), hold: false };
        let kept = Kept {
            id: random_id(),
            kind: subject.kind,
            subject: subject.id.to_owned(),
            name: subject.shown.to_owned(),
            workspace: subject.workspace.to_owned(),
            rule: rule.name.clone(),
            lock,
            created_at: now,
            object_count: i64::try_from(subject.objects.len()).unwrap_or(i64::MAX),
        };
        store::insert(writer, &kept, subject.objects)?;
        Ok(Some(lock))
    }
}

/// How strict a retention is: compliance before governance, then by its end.
const fn rank(retention: crate::lock::Retention) -> (bool, i64) {
    (matches!(retention.mode, Mode::Compliance), retention.until.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernel::FakeClock;

    use super::*;

    fn clock() -> ComplianceClock {
        ComplianceClock::new(Arc::new(FakeClock::default()))
    }

    fn subject<'a>(name: &'a str, workspace: &'a str, classes: &'a [&'a str]) -> Subject<'a> {
        Subject { kind: Kind::Dataset, id: "v", name, shown: name, workspace, classes, objects: &[] }
    }

    #[test]
    fn a_rule_fits_by_kind_workspace_name_and_class() {
        let text = r#"
            [[rule]]
            name = "clinical"
            kind = "dataset"
            workspace = "lab-*"
            match = "clinic"
            class = "health"
            mode = "COMPLIANCE"
            days = 30
        "#;
        let rules = Rules::parse(text, clock()).unwrap();
        let fits = |one: &Subject<'_>| rules.rules.iter().any(|rule| rule.fits(one, one.workspace));
        assert!(fits(&subject("clinic", "lab-1", &["personal", "health"])));
        assert!(!fits(&subject("clinic", "lab-1", &["personal"])));
        assert!(!fits(&subject("clinics", "lab-1", &["health"])));
        assert!(!fits(&subject("clinic", "default", &["health"])));
        assert!(!fits(&Subject { kind: Kind::Model, ..subject("clinic", "lab-1", &["health"]) }));
        assert!(rules.have(Kind::Dataset) && !rules.have(Kind::Backup));
    }

    #[test]
    fn rules_that_say_nothing_clear_are_refused() {
        let with = |more: &str| format!("[[rule]]\nname = \"x\"\n{more}");
        for bad in [
            with("kind = \"dataset\"\nmode = \"COMPLIANCE\""),
            with("kind = \"dataset\"\nmode = \"COMPLIANCE\"\ndays = 1\nyears = 1"),
            with("kind = \"dataset\"\nmode = \"COMPLIANCE\"\ndays = 0"),
            with("kind = \"dataset\"\nmode = \"COMPLIANCE\"\nyears = 101"),
            with("kind = \"dataset\"\nmode = \"SOMETIMES\"\ndays = 1"),
            with("kind = \"run\"\nmode = \"COMPLIANCE\"\ndays = 1"),
            with("kind = \"model\"\nmode = \"COMPLIANCE\"\ndays = 1\nclass = \"health\""),
            with("kind = \"dataset\"\nmode = \"COMPLIANCE\"\ndays = 1\nclass = \"secret\""),
            with("kind = \"dataset\"\nmode = \"COMPLIANCE\"\ndays = 1\nmatch = \"a*b\""),
            with("kind = \"dataset\"\nmode = \"COMPLIANCE\"\ndays = 1\nmatch = \"\""),
            with("kind = \"dataset\"\nmode = \"COMPLIANCE\"\ndays = 1\nuntil = \"x\""),
        ] {
            assert!(Rules::parse(&bad, clock()).is_err(), "{bad}");
        }
        assert!(Rules::parse("", clock()).unwrap().is_empty());
        assert!(Rules::open(Some(Path::new("/nowhere/at/all.toml")), clock()).is_err());
    }
}
