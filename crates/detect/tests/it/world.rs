//! Records as the log has them, made without a server.

use std::collections::BTreeSet;
use std::sync::Arc;

use detect::{Country, Engine, Finding, RuleSet, Whereabouts};
use serde_json::{Map, Value, json};

pub const MINUTE: i64 = 60;
pub const HOUR: i64 = 3_600;
pub const DAY: i64 = 86_400;
/// A Monday in 2026, 00:00 UTC.
pub const START: i64 = 1_788_134_400;
pub const CANARY: &str = "run-nobody-needs";
pub const ORIGIN: &str = "strongroom.test/audit/1";

/// A stretch of a log.
#[derive(Default)]
pub struct Log {
    pub records: Vec<(i64, Vec<u8>)>,
    number: u64,
}

/// Who acts, from where, with what.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    pub id: &'a str,
    pub kind: &'a str,
    pub token: &'a str,
    pub from: &'a str,
}

pub fn person(id: &str) -> Who<'_> {
    Who { id, kind: "user", token: "t_1", from: "home" }
}

impl Log {
    fn push(&mut self, at_us: i64, fields: Value) {
        self.records.push((at_us, fields.to_string().into_bytes()));
    }

    fn base(&mut self, who: Who<'_>, at: i64, action: &str, target: &str) -> (i64, Map<String, Value>) {
        self.number += 1;
        let mut caller = json!({ "id": who.id, "kind": who.kind });
        if let (false, Some(fields)) = (who.token.is_empty(), caller.as_object_mut()) {
            fields.insert("token".to_owned(), json!(who.token));
        }
        let at_us = (START + at) * 1_000_000 + (self.number % 1_000_000) as i64;
        let base = json!({ "action": action, "at": at_us, "caller": caller, "id": format!("e{}", self.number), "target": target, "v": 1, "workspace": "w" });
        let Value::Object(base) = base else { return (at_us, Map::new()) };
        (at_us, base)
    }

    fn intent(&mut self, who: Who<'_>, at: i64, action: &str, target: &str, resource: &str) -> (i64, Map<String, Value>) {
        let (at_us, base) = self.base(who, at, action, target);
        let mut intent = base.clone();
        intent.extend([
            ("kind".to_owned(), json!("intent")),
            ("from".to_owned(), json!(who.from)),
            ("risk".to_owned(), json!(0)),
            ("reasons".to_owned(), json!(["g_1"])),
        ]);
        if !resource.is_empty() {
            intent.insert("resource".to_owned(), json!(resource));
        }
        self.push(at_us, Value::Object(intent));
        (at_us, base)
    }

    /// An act that was done: an intent and an outcome.
    pub fn done(&mut self, who: Who<'_>, at: i64, action: &str, resource: &str, details: Value) {
        let (at_us, mut outcome) = self.intent(who, at, action, "run", resource);
        outcome.extend([
            ("kind".to_owned(), json!("outcome")),
            ("status".to_owned(), json!("done")),
            ("details".to_owned(), details),
        ]);
        if !resource.is_empty() {
            outcome.insert("resource".to_owned(), json!(resource));
        }
        self.push(at_us + 1, Value::Object(outcome));
    }

    /// An act that was allowed and failed.
    pub fn failed(&mut self, who: Who<'_>, at: i64, action: &str, problem: &str) {
        let (at_us, mut outcome) = self.intent(who, at, action, "run", "");
        outcome.extend([
            ("kind".to_owned(), json!("outcome")),
            ("status".to_owned(), json!("failed")),
            ("problem".to_owned(), json!(problem)),
        ]);
        self.push(at_us + 1, Value::Object(outcome));
    }

    /// An act that was refused.
    pub fn refused(&mut self, who: Who<'_>, at: i64, action: &str, problem: &str) {
        let (at_us, mut refusal) = self.base(who, at, action, "server");
        refusal.extend([
            ("kind".to_owned(), json!("refusal")),
            ("status".to_owned(), json!("refused")),
            ("problem".to_owned(), json!(problem)),
            ("from".to_owned(), json!(who.from)),
            ("risk".to_owned(), json!(0)),
        ]);
        self.push(at_us, Value::Object(refusal));
    }

    /// A wrong password of an account.
    pub fn wrong_password(&mut self, from: &str, at: i64, account: &str) {
        let who = Who { id: "anonymous", kind: "anonymous", token: "", from };
        self.refused(who, at, "sessions.create", "unauthenticated");
        if let Some((_, record)) = self.records.last_mut() {
            let mut fields: Map<String, Value> = serde_json::from_slice(record).unwrap();
            fields.insert("details".to_owned(), json!({ "guessed": account }));
            *record = Value::Object(fields).to_string().into_bytes();
        }
    }

    /// A command line that asks whether its person agreed.
    pub fn awaited(&mut self, from: &str, at: i64) {
        let who = Who { id: "anonymous", kind: "anonymous", token: "", from };
        self.refused(who, at, "tokens.exchange", "unauthenticated");
        if let Some((_, record)) = self.records.last_mut() {
            let mut fields: Map<String, Value> = serde_json::from_slice(record).unwrap();
            fields.insert("details".to_owned(), json!({ "awaited": "agreement" }));
            *record = Value::Object(fields).to_string().into_bytes();
        }
    }

    /// A credential that is not taken.
    pub fn guess(&mut self, from: &str, at: i64) {
        self.refused(Who { id: "anonymous", kind: "anonymous", token: "", from }, at, "runs.search", "unauthenticated");
    }

    /// What the log says of itself.
    pub fn notice(&mut self, at: i64, action: &str) {
        let (at_us, mut notice) = self.base(Who { id: "audit", kind: "job", token: "", from: "" }, at, action, "audit_log");
        notice.extend([("kind".to_owned(), json!("notice")), ("status".to_owned(), json!("done"))]);
        self.push(at_us, Value::Object(notice));
    }

    /// In the order of time, as a log has it.
    pub fn sorted(mut self) -> Vec<Vec<u8>> {
        self.records.sort_by_key(|(at, _)| *at);
        self.records.into_iter().map(|(_, record)| record).collect()
    }
}

/// Where the addresses of these tests are, by how their names begin. All others are unknown, as phones' and listed tunnels' are.
pub struct Atlas;

impl Whereabouts for Atlas {
    fn country(&self, from: &str) -> Option<Country> {
        let places = [
            ("home", "NO"),
            ("office", "NO"),
            ("cluster-a", "NO"),
            ("cluster-b", "US"),
            ("cluster-c", "NO"),
            ("cluster-d", "US"),
            ("hotel-", "JP"),
            ("tunnel-", "US"),
            ("sydney", "AU"),
        ];
        places.iter().find(|(start, _)| from.starts_with(start)).and_then(|(_, letters)| Country::parse(letters))
    }
}

pub fn engine() -> Engine {
    Engine::new(Arc::new(RuleSet::built_in().unwrap()), ORIGIN, &[CANARY.to_owned()]).asking(Arc::new(Atlas))
}

/// What the engine finds in a log.
pub fn findings(engine: &mut Engine, log: Log) -> Vec<Finding> {
    let records = log.sorted();
    (0_u64..).zip(&records).flat_map(|(index, record)| engine.take(index, record)).collect()
}

/// The names of the rules that found something.
pub fn names(engine: &Engine, findings: &[Finding]) -> BTreeSet<String> {
    findings.iter().map(|one| engine.rules().rules().get(one.rule).unwrap().name.clone()).collect()
}
