//! The engine: records in, findings out. No I/O, no clock but the records' own.
//!
//! INVARIANT: its memory is bounded, whatever the log holds: intents that wait, groups of correlations, states of detectors and findings
//! that were told of are each in a [`Recent`], findings that wait in a [`Late`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use audit::RecordView;
use kernel::{Micros, sha256};
use serde_json::Value;

use crate::detectors::{DetectorRule, Detectors, Kept, Whereabouts};
use crate::event::{Intent, Seen, field};
use crate::late::Late;
use crate::recent::Recent;
use crate::respond::Rung;
use crate::rules::{Looks, Reach, Rule, RuleSet};
use crate::windows::{Fate, Window};

/// Intents that wait for their outcome.
const INTENT_COUNT_MAX: usize = 65_536;
/// Findings that were told of.
const TOLD_COUNT_MAX: usize = 20_000;
/// A finding that goes on is told of again after so long.
const REMIND_US: i64 = 10 * 60_000_000;
/// What is shown of a subject.
const SUBJECT_CHARS_MAX: usize = 300;
/// What joins the parts of a subject.
const JOINT: &str = " · ";

/// Something that a rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its id: the same for the same finding, however often the log is read.
    pub id: String,
    /// The rule's place in the set.
    pub rule: usize,
    /// What makes it the same as another of this rule.
    pub subject: String,
    /// The account behind it, if there is one: id and kind.
    pub caller: Option<(String, String)>,
    /// The token or session that was used, by id.
    pub token: Option<String>,
    /// The workspace's id, if it was in one.
    pub workspace: Option<String>,
    /// When the record that completed it was written.
    pub at: Micros,
    /// The record that completed it.
    pub index: u64,
    /// The records behind it.
    pub evidence: Vec<u64>,
    /// In numbers, for people.
    pub words: String,
}

/// The engine.
pub struct Engine {
    rules: Arc<RuleSet>,
    origin: String,
    canaries: BTreeSet<String>,
    by_verb: HashMap<String, Vec<usize>>,
    refusals: Vec<usize>,
    canary_rules: Vec<usize>,
    any: Vec<usize>,
    /// For each rule the correlations that refer to it, with its place in their list.
    referred: Vec<Vec<(usize, usize)>>,
    detectors: Vec<(usize, DetectorRule)>,
    intents: Recent<String, Option<Intent>>,
    windows: HashMap<usize, Window>,
    late: Late,
    told: Recent<(usize, String), i64>,
    states: Detectors,
}

/// A rule matched.
struct Match {
    rule: usize,
    evidence: Vec<u64>,
    /// The values that it was grouped by; none for a rule about one record.
    group: Option<Vec<String>>,
    words: String,
    /// When it is known whether it is told of, if that is not known yet.
    due_at: Option<i64>,
}

impl Engine {
    /// An engine over these rules. `origin` is the log's name.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, origin: &str, canaries: &[String]) -> Self {
        let mut engine = Self {
            origin: origin.to_owned(),
            canaries: canaries.iter().cloned().collect(),
            by_verb: HashMap::new(),
            refusals: Vec::new(),
            canary_rules: Vec::new(),
            any: Vec::new(),
            referred: vec![Vec::new(); rules.rules().len()],
            detectors: Vec::new(),
            intents: Recent::new(INTENT_COUNT_MAX),
            windows: HashMap::new(),
            late: Late::default(),
            told: Recent::new(TOLD_COUNT_MAX),
            states: Detectors::new(),
            rules: Arc::clone(&rules),
        };
        let correlation_count = rules.rules().iter().filter(|rule| matches!(rule.looks, Looks::Correlation(_))).count();
        for (at, rule) in rules.rules().iter().enumerate() {
            engine.place(at, rule, correlation_count);
        }
        engine
    }

    fn place(&mut self, at: usize, rule: &Rule, correlation_count: usize) {
        match &rule.looks {
            Looks::Sigma(sigma) => match sigma.reach() {
                Reach::Verbs(verbs) => verbs.iter().for_each(|verb| self.by_verb.entry(verb.clone()).or_default().push(at)),
                Reach::Refusals => self.refusals.push(at),
                Reach::Canaries => self.canary_rules.push(at),
                Reach::All => self.any.push(at),
            },
            Looks::Correlation(one) => {
                self.windows.insert(at, Window::new(one, correlation_count));
                for (refer, other) in one.places.iter().enumerate() {
                    if let Some(list) = self.referred.get_mut(*other) {
                        list.push((at, refer));
                    }
                }
            }
            Looks::Detector(detector) => self.detectors.push((at, detector.clone())),
        }
    }

    /// Asks these where addresses are. Without them no journey is judged.
    #[must_use]
    pub fn asking(mut self, whereabouts: Arc<dyn Whereabouts>) -> Self {
        self.states.ask(whereabouts);
        self
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Brings back a state that was written down.
    pub(crate) fn recall(&mut self, subject: &str, kept: Kept) {
        self.states.recall(subject, kept);
    }

    /// What changed of the states that are written down.
    pub(crate) fn take_changed(&mut self) -> Vec<(String, Kept)> {
        self.states.take_changed()
    }

    /// Takes the next record in.
    pub fn take(&mut self, index: u64, record: &[u8]) -> Vec<Finding> {
        self.step(index, record, true)
    }

    /// Takes a record in that was judged before: windows remember it, nothing is found or learnt anew.
    pub fn warm(&mut self, index: u64, record: &[u8]) {
        drop(self.step(index, record, false));
    }

    fn step(&mut self, index: u64, record: &[u8], learns: bool) -> Vec<Finding> {
        let Some(view) = RecordView::parse(record) else { return Vec::new() };
        let due = self.late.take_due(view.at);
        let mut findings: Vec<Finding> = due.into_iter().filter(|one| self.is_news(one, view.at)).collect();
        findings.extend(self.found_in(index, &view, record, learns));
        if learns { findings } else { Vec::new() }
    }

    /// What is found by a record.
    fn found_in(&mut self, index: u64, view: &RecordView<'_>, record: &[u8], learns: bool) -> Vec<Finding> {
        // What jobs do they do by policy; only what the log says of itself is looked at.
        if view.caller.kind == "job" && view.kind != "notice" {
            return Vec::new();
        }
        let intent = self.intent_of(view);
        let names = [view.resource.as_deref(), view.caller.token.as_deref()];
        let canary = !self.canaries.is_empty() && names.into_iter().flatten().any(|id| self.canaries.contains(id));
        let from = view.from.as_deref().or(intent.from.as_deref());
        let seen = Seen { index, view, from, risk: intent.risk, canary };
        let mut matches = self.matches(&seen, record);
        if seen.is_principal() {
            let rules: Vec<(usize, &DetectorRule)> = self.detectors.iter().map(|(at, rule)| (*at, rule)).collect();
            for (rule, signal) in self.states.take(&seen, &rules, learns) {
                let group = Some(vec![signal.subject]);
                matches.0.push(Match { rule, evidence: vec![index], group, words: signal.words, due_at: None });
            }
        }
        let (matches, event) = matches;
        if matches.is_empty() {
            return Vec::new();
        }
        let Some(event) = event.or_else(|| seen.event(record, &self.origin)) else { return Vec::new() };
        let matches = self.correlate(matches, &seen, &event);
        let mut findings = Vec::new();
        for one in matches {
            findings.extend(self.finding(one, &seen, &event));
        }
        findings
    }

    /// Remembers an intent, or gives what it said to its outcome.
    fn intent_of(&mut self, view: &RecordView<'_>) -> Intent {
        let said = || Intent { from: view.from.as_deref().map(ToOwned::to_owned), risk: view.risk };
        let id = view.id.as_ref().to_owned();
        match view.kind.as_ref() {
            "intent" => {
                *self.intents.entry(&id) = Some(said());
                said()
            }
            "outcome" => self.intents.remove(&id).flatten().unwrap_or_default(),
            _ => said(),
        }
    }

    /// The rules about one record that match, with the event if one was made.
    fn matches(&self, seen: &Seen<'_>, record: &[u8]) -> (Vec<Match>, Option<Value>) {
        let none: &[usize] = &[];
        let by_verb = self.by_verb.get(seen.view.action.as_ref()).map_or(none, Vec::as_slice);
        let refusals = if seen.view.kind == "refusal" { self.refusals.as_slice() } else { none };
        let canary = if seen.canary { self.canary_rules.as_slice() } else { none };
        let any = self.any.as_slice();
        let (kind, (_, status)) = (seen.view.kind.as_ref(), audit::ocsf_status(seen.view));
        let near = by_verb.iter().chain(refusals).chain(canary).chain(any).filter_map(|at| match self.rules.rules().get(*at) {
            Some(Rule { looks: Looks::Sigma(rule), .. }) if rule.can_match(kind, status) => Some((*at, rule)),
            _ => None,
        });
        let mut near = near.peekable();
        // Making the event costs far more than all else here; most records of a busy server are asked by no rule.
        if near.peek().is_none() {
            return (Vec::new(), None);
        }
        let Some(event) = seen.event(record, &self.origin) else { return (Vec::new(), None) };
        let matches = near.filter(|(_, rule)| rule.matches(&event));
        let evidence = || vec![seen.index];
        let matches =
            matches.map(|(rule, _)| Match { rule, evidence: evidence(), group: None, words: String::new(), due_at: None });
        (matches.collect(), Some(event))
    }

    /// Adds what correlations make of these matches. Rules are in such an order that one pass is enough.
    fn correlate(&mut self, mut matches: Vec<Match>, seen: &Seen<'_>, event: &Value) -> Vec<Match> {
        let mut next = 0;
        while let Some(one) = matches.get(next) {
            let referred = self.referred.get(one.rule).cloned().unwrap_or_default();
            next += 1;
            for (at, refer) in referred {
                let Some(Rule { looks: Looks::Correlation(rule), .. }) = self.rules.rules().get(at) else { continue };
                let Some(window) = self.windows.get_mut(&at) else { continue };
                if let Some(joined) = window.take(rule, refer, seen.at(), seen.index, event) {
                    let due_at = match joined.fate {
                        Fate::Now => None,
                        Fate::Unless(due_at) => Some(due_at),
                        Fate::Beyond => {
                            self.late.drop_of(&(at, joined.group));
                            continue;
                        }
                    };
                    let words = format!("{} within {} s", joined.count, rule.timespan_s);
                    matches.push(Match { rule: at, evidence: joined.evidence, group: Some(joined.group), words, due_at });
                }
            }
        }
        matches
    }

    /// A match as a finding, unless its rule is only for counting or it was told of a moment ago.
    fn finding(&mut self, one: Match, seen: &Seen<'_>, event: &Value) -> Option<Finding> {
        let rules = Arc::clone(&self.rules);
        let rule = rules.rules().get(one.rule).filter(|rule| rule.alerts())?;
        let waits = one.due_at.map(|due_at| (due_at, one.group.clone().unwrap_or_default()));
        let own = (!rule.subject.is_empty()).then(|| rule.subject.iter().filter_map(|name| field(event, name)).collect());
        let values: Vec<String> = own.or(one.group).unwrap_or_else(|| vec![seen.view.caller.id.as_ref().to_owned()]);
        let joined = values.join(JOINT);
        let subject: String = if joined.is_empty() { "all".to_owned() } else { joined.chars().take(SUBJECT_CHARS_MAX).collect() };
        let view = seen.view;
        let caller = seen.is_principal().then(|| (view.caller.id.as_ref().to_owned(), view.caller.kind.as_ref().to_owned()));
        let finding = Finding {
            id: finding_id(&rule.id, &subject, seen.index),
            rule: one.rule,
            subject,
            caller,
            token: view.caller.token.as_deref().map(ToOwned::to_owned),
            workspace: view.workspace.as_deref().map(ToOwned::to_owned),
            at: seen.at(),
            index: seen.index,
            evidence: one.evidence,
            words: one.words,
        };
        match waits {
            Some((due_at, group)) => self.late.hold((one.rule, group), due_at, finding),
            None => self.is_news(&finding, view.at).then_some(finding),
        }
    }

    /// Whether something was not told of a moment ago; it is now. Where the token is what ends, another token is news.
    fn is_news(&mut self, one: &Finding, at: i64) -> bool {
        let ends_token = self.rules.rules().get(one.rule).is_some_and(|rule| rule.response == Rung::SuspendSession);
        let token = one.token.as_deref().filter(|_| ends_token).unwrap_or_default();
        let told = self.told.entry(&(one.rule, format!("{}{JOINT}{token}", one.subject)));
        if *told != 0 && at.saturating_sub(*told) < REMIND_US {
            return false;
        }
        *told = at;
        true
    }
}

fn finding_id(rule: &str, subject: &str, index: u64) -> String {
    let whole = kernel::hex(&sha256(format!("{rule}\n{subject}\n{index}").as_bytes()));
    format!("d_{}", whole.get(..24).unwrap_or_default())
}
