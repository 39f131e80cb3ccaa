//! What somebody did, out of the log's records as the admin API gives them: an intent and its outcome are one act, and acts touch things.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// An act: an intent and its outcome, or a refusal.
pub struct Act {
    /// The record that it began with.
    pub first: Value,
    /// How it ended.
    pub status: String,
    /// The kind of the problem, if there was one.
    pub problem: String,
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Joins intents and outcomes, in the order in which the acts began.
#[must_use]
pub fn acts(records: Vec<Value>) -> Vec<Act> {
    let mut acts: Vec<Act> = Vec::new();
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    for record in records {
        let (id, status) = (text(&record, "id").to_owned(), text(&record, "status").to_owned());
        let problem = text(&record, "problem").to_owned();
        if let Some(act) = open.get(&id).and_then(|at| acts.get_mut(*at)) {
            (act.status, act.problem) = (status, problem);
            // Only the outcome knows the id of what was made.
            if let (Some(fields), Some(resource)) = (act.first.as_object_mut(), record.get("resource")) {
                fields.insert("resource".to_owned(), resource.clone());
            }
            continue;
        }
        open.insert(id, acts.len());
        acts.push(Act { status: if status.is_empty() { "unknown".to_owned() } else { status }, problem, first: record });
    }
    acts
}

impl Act {
    /// As reports and lists have it.
    #[must_use]
    pub fn shown(&self) -> Value {
        let token = self.first.get("caller").and_then(|caller| caller.get("token")).cloned();
        let status = if self.problem.is_empty() { self.status.clone() } else { format!("{}: {}", self.status, self.problem) };
        json!({
            "index": self.first.get("index"),
            "at": text(&self.first, "at_text"),
            "action": text(&self.first, "action"),
            "status": status,
            "target": text(&self.first, "target"),
            "resource": self.first.get("resource"),
            "workspace": self.first.get("workspace"),
            "from": self.first.get("from"),
            "token": token,
            "risk": self.first.get("risk"),
        })
    }
}

/// Something that acts were done to.
pub struct Thing {
    /// What kind it is.
    pub target: String,
    /// Its id.
    pub resource: String,
    /// The workspace's id.
    pub workspace: String,
    /// How often it was read.
    pub read_count: u64,
    /// How often it was changed.
    pub changed_count: u64,
    /// By which verbs.
    pub verbs: BTreeSet<String>,
}

impl Thing {
    /// As reports have it.
    #[must_use]
    pub fn shown(&self) -> Value {
        json!({
            "target": self.target,
            "resource": self.resource,
            "workspace": self.workspace,
            "read_count": self.read_count,
            "changed_count": self.changed_count,
            "verbs": self.verbs,
        })
    }

    /// How `lineage down` names it, where it can.
    #[must_use]
    pub fn root(&self) -> Option<String> {
        match self.target.as_str() {
            "run" => Some(format!("run:{}", self.resource)),
            "logged_model" => Some(format!("logged-model:{}", self.resource)),
            _ => None,
        }
    }
}

/// What was touched, by kind and id: acts that were done, not those that failed.
#[must_use]
pub fn touched(acts: &[Act]) -> BTreeMap<(String, String), Thing> {
    let mut things = BTreeMap::new();
    for act in acts.iter().filter(|act| act.status == "done") {
        let (target, resource) = (text(&act.first, "target").to_owned(), text(&act.first, "resource").to_owned());
        if resource.is_empty() {
            continue;
        }
        let verb = text(&act.first, "action");
        let thing = things.entry((target.clone(), resource.clone())).or_insert_with(|| Thing {
            target,
            resource,
            workspace: text(&act.first, "workspace").to_owned(),
            read_count: 0,
            changed_count: 0,
            verbs: BTreeSet::new(),
        });
        // A verb of a newer server counts as one that changed something.
        let count = if policy::is_write(verb) == Some(false) { &mut thing.read_count } else { &mut thing.changed_count };
        *count += 1;
        thing.verbs.insert(verb.to_owned());
    }
    things
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_and_its_outcome_are_one_act_and_what_was_made_is_known() {
        let record = |index: u64, kind: &str, id: &str, more: Value| {
            let mut record = json!({ "index": index, "kind": kind, "id": id, "action": "runs.create", "target": "run" });
            record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            record
        };
        let records = vec![
            record(1, "intent", "a", json!({})),
            record(2, "intent", "b", json!({ "action": "runs.get", "resource": "r1" })),
            record(3, "outcome", "a", json!({ "status": "done", "resource": "r1" })),
            record(4, "outcome", "b", json!({ "status": "done", "action": "runs.get", "resource": "r1" })),
            record(5, "refusal", "c", json!({ "status": "refused", "problem": "forbidden", "resource": "r2" })),
            record(6, "intent", "d", json!({ "resource": "r3" })),
        ];
        let acts = acts(records);
        let statuses: Vec<&str> = acts.iter().map(|act| act.status.as_str()).collect();
        assert_eq!(statuses, ["done", "done", "refused", "unknown"]);
        let things = touched(&acts);
        let thing = &things[&("run".to_owned(), "r1".to_owned())];
        assert_eq!((thing.changed_count, thing.read_count, thing.root().as_deref()), (1, 1, Some("run:r1")));
        assert_eq!(things.len(), 1);
    }
}
