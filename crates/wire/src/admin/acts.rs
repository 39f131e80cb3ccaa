//! What somebody did, out of the log's records as the admin API gives them: an intent and its outcome are one act, and acts touch things.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

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
            // Only the outcome knows the id of what was made, and what it was.
            for name in ["resource", "details"] {
                if let (Some(fields), Some(value)) = (act.first.as_object_mut(), record.get(name)) {
                    fields.insert(name.to_owned(), value.clone());
                }
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
    /// SHA-256 digests of objects that were written into it.
    pub digests: BTreeSet<String>,
    /// Grants that were given by it.
    pub grants: BTreeSet<String>,
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

    /// How `lineage` names it, where it can: the first of [`Thing::roots`].
    #[must_use]
    pub fn root(&self) -> Option<String> {
        self.roots().into_iter().next()
    }

    /// All that `lineage` may know it by: its id, and the digests of what was written there.
    #[must_use]
    pub fn roots(&self) -> Vec<String> {
        let own = self.verbs.iter().find_map(|verb| root_word(&self.target, verb));
        let own = own.map(|word| format!("{word}:{}", self.resource));
        own.into_iter().chain(self.digests.iter().map(|digest| format!("file:{digest}"))).collect()
    }
}

/// How lineage says what has this id. What was made is recorded at the place where it was made, under the id that it got.
fn root_word(target: &str, verb: &str) -> Option<&'static str> {
    let room = verb.split('.').next().unwrap_or_default();
    match (target, room) {
        ("run", _) | ("experiment" | "workspace", "runs") => Some("run"),
        ("logged_model", _) | ("experiment" | "workspace", "logged_models") => Some("logged-model"),
        ("registered_model" | "model_version", _) | ("workspace", "models" | "versions") => Some("model-id"),
        ("dataset" | "dataset_version", _) | ("workspace", "datasets") => Some("data-id"),
        ("endpoint", _) | ("workspace", "endpoints") => Some("endpoint-id"),
        _ => None,
    }
}

/// Things by their kind and id.
pub type Things = BTreeMap<(String, String), Thing>;

/// What was touched: by acts that were done, not those that failed.
#[must_use]
pub fn touched(acts: &[Act]) -> Things {
    let mut things = BTreeMap::new();
    for act in acts.iter().filter(|act| act.status == "done") {
        let (target, resource) = (text(&act.first, "target").to_owned(), text(&act.first, "resource").to_owned());
        if resource.is_empty() {
            continue;
        }
        let verb = text(&act.first, "action");
        let thing = things.entry((target.clone(), resource.clone())).or_insert_with(|| Thing {
            target,
            resource: resource.clone(),
            workspace: text(&act.first, "workspace").to_owned(),
            read_count: 0,
            changed_count: 0,
            verbs: BTreeSet::new(),
            digests: BTreeSet::new(),
            grants: BTreeSet::new(),
        });
        // A verb of a newer server counts as one that changed something.
        let is_read = policy::is_write(verb) == Some(false);
        let count = if is_read { &mut thing.read_count } else { &mut thing.changed_count };
        *count += 1;
        let detail =
            |name: &str| act.first.get("details").map(|details| text(details, name).to_owned()).filter(|text| !text.is_empty());
        if thing.target == "bucket" && !is_read {
            thing.digests.extend(detail("sha256"));
        }
        if verb == "grants.create" {
            thing.grants.insert(resource.clone());
        }
        thing.grants.extend(detail("grant").filter(|_| verb.starts_with("elevations.")));
        thing.verbs.insert(verb.to_owned());
    }
    things
}

/// Where walks along the lineage begin: what was changed, with its workspace.
#[must_use]
pub fn roots(touched: &Things) -> Vec<(&str, String)> {
    changed(touched).flat_map(|thing| thing.roots().into_iter().map(|root| (thing.workspace.as_str(), root))).collect()
}

/// What is left off by whoever follows the first so many [`roots`], in sentences; `instead` is what helps.
#[must_use]
pub fn not_followed(touched: &Things, followed_max: usize, instead: &str) -> Vec<String> {
    let mut left_off = Vec::new();
    let root_count = roots(touched).len();
    let more = root_count.saturating_sub(followed_max);
    if more > 0 {
        left_off.push(format!(
            "what descends from {more} of the {root_count} things that were changed was not looked for; {instead}"
        ));
    }
    let is_in_pieces =
        |thing: &&Thing| thing.target == "bucket" && thing.verbs.contains("buckets.write") && thing.digests.is_empty();
    let by_pieces = changed(touched).filter(is_in_pieces).count();
    if by_pieces > 0 {
        left_off.push(format!(
            "objects that came in pieces into {by_pieces} buckets have no digest in the log, and lineage knows objects by that alone"
        ));
    }
    left_off
}

fn changed(touched: &Things) -> impl Iterator<Item = &Thing> {
    touched.values().filter(|thing| thing.changed_count > 0)
}

/// What somebody did in a time, as evidence has it.
pub struct Report<'a> {
    /// Whom it is about, by id.
    pub who: &'a str,
    /// From when on, in microseconds.
    pub since: Option<i64>,
    /// Until when.
    pub until: Option<i64>,
    /// The records.
    pub indices: &'a [u64],
    /// The acts in them.
    pub acts: &'a [Act],
    /// What was touched.
    pub touched: &'a Things,
    /// What was not looked for or found, in sentences.
    pub left_off: &'a [String],
}

impl Report<'_> {
    /// Its fields. It is complete only if nothing was left off.
    #[must_use]
    pub fn fields(&self) -> Map<String, Value> {
        let fields = [
            ("who", json!(self.who)),
            ("since", json!(self.since)),
            ("until", json!(self.until)),
            ("indices", json!(self.indices)),
            ("acts", self.acts.iter().map(Act::shown).collect()),
            ("touched", self.touched.values().map(Thing::shown).collect()),
            ("complete", json!(self.left_off.is_empty())),
            ("left_off", json!(self.left_off)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
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

    #[test]
    fn each_kind_of_thing_is_named_as_lineage_knows_it() {
        let done = |target: &str, resource: &str, action: &str, details: Value| json!({ "id": format!("{target}{resource}{action}"), "status": "done", "target": target, "resource": resource, "action": action, "details": details });
        let digest = "ab".repeat(32);
        for (target, resource, action, roots) in [
            ("experiment", "r1", "runs.create", vec!["run:r1".to_owned()]),
            ("workspace", "m1", "models.create", vec!["model-id:m1".to_owned()]),
            ("registered_model", "m1/3", "versions.create", vec!["model-id:m1/3".to_owned()]),
            ("model_version", "m1/3", "versions.tag", vec!["model-id:m1/3".to_owned()]),
            ("workspace", "d1", "datasets.open", vec!["data-id:d1".to_owned()]),
            ("dataset_version", "d1", "datasets.commit", vec!["data-id:d1".to_owned()]),
            ("endpoint", "e1", "endpoints.update", vec!["endpoint-id:e1".to_owned()]),
            ("bucket", "b1", "buckets.write", vec![format!("file:{digest}")]),
            ("server", "u1", "users.create", Vec::new()),
        ] {
            let things = touched(&acts(vec![done(target, resource, action, json!({ "sha256": digest }))]));
            assert_eq!(things.values().next().unwrap().roots(), roots, "{target} {action}");
        }
        let given = touched(&acts(vec![
            done("workspace", "g1", "grants.create", json!({})),
            done("server", "el1", "elevations.decide", json!({ "grant": "g2" })),
        ]));
        let grants: Vec<&String> = given.values().flat_map(|thing| &thing.grants).collect();
        assert_eq!(grants, ["g2", "g1"]);
    }

    #[test]
    fn what_was_not_followed_is_said_and_then_a_report_is_not_complete() {
        let done = |target: &str, resource: &str, action: &str| json!({ "id": format!("{resource}{action}"), "status": "done", "target": target, "resource": resource, "action": action });
        let said = |records: Vec<Value>, followed_max: usize| {
            let acts = acts(records);
            let touched = touched(&acts);
            let left_off = not_followed(&touched, followed_max, "look there");
            let report = Report {
                who: "u_1",
                since: None,
                until: Some(9),
                indices: &[1],
                acts: &acts,
                touched: &touched,
                left_off: &left_off,
            };
            let fields = report.fields();
            assert_eq!((&fields["left_off"], &fields["until"]), (&json!(left_off), &json!(9)));
            assert_eq!(fields["touched"].as_array().unwrap().len(), touched.len());
            (fields["complete"].clone(), left_off)
        };
        let run = |id: &str| done("run", id, "runs.log");
        let (complete, left_off) = said(vec![run("r1"), run("r2"), run("r3")], 2);
        assert_eq!(complete, json!(false));
        assert_eq!(left_off, ["what descends from 1 of the 3 things that were changed was not looked for; look there"]);
        assert_eq!(said(vec![run("r1"), run("r2")], 2), (json!(true), Vec::new()));
        let read_alone = vec![done("run", "r1", "runs.get"), done("server", "u2", "users.create")];
        assert_eq!(said(read_alone, 0), (json!(true), Vec::new()), "nothing descends from it");
        let (complete, left_off) = said(vec![done("bucket", "b1", "buckets.write")], 500);
        assert!(complete == json!(false) && left_off[0].contains("came in pieces into 1 buckets"), "{left_off:?}");
    }
}
