//! Records as OCSF 1.8 events (schema.ocsf.io), with the coming `record_integrity` fields: which log, which place, which
//! leaf hash.

use serde_json::{Value, json};

use crate::config::pattern_holds;
use crate::merkle::leaf_hash;
use crate::view::RecordView;

const VERSION: &str = "1.8.0";

/// An OCSF class and the activity in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    category: i64,
    category_name: &'static str,
    uid: i64,
    name: &'static str,
    activity: i64,
    activity_name: &'static str,
}

const fn iam(uid: i64, name: &'static str, activity: i64, activity_name: &'static str) -> Class {
    Class { category: 3, category_name: "Identity & Access Management", uid, name, activity, activity_name }
}

const fn application(uid: i64, name: &'static str, activity: i64, activity_name: &'static str) -> Class {
    Class { category: 6, category_name: "Application Activity", uid, name, activity, activity_name }
}

const fn account(activity: i64, activity_name: &'static str) -> Class {
    iam(3001, "Account Change", activity, activity_name)
}

const fn group(activity: i64, activity_name: &'static str) -> Class {
    iam(3006, "Group Management", activity, activity_name)
}

const fn file(activity: i64, activity_name: &'static str) -> Class {
    application(6006, "File Hosting Activity", activity, activity_name)
}

const fn api(activity: i64, activity_name: &'static str) -> Class {
    application(6003, "API Activity", activity, activity_name)
}

/// Which class a verb belongs to: the first pattern that covers it.
const CLASSES: &[(&str, Class)] = &[
    ("sessions.create", iam(3002, "Authentication", 1, "Logon")),
    ("sessions.delete", iam(3002, "Authentication", 2, "Logoff")),
    ("grants.create", iam(3005, "User Access Management", 1, "Assign Privileges")),
    ("grants.revoke", iam(3005, "User Access Management", 2, "Revoke Privileges")),
    ("groups.add_member", group(3, "Add User")),
    ("groups.remove_member", group(4, "Remove User")),
    ("groups.delete", group(5, "Delete")),
    ("groups.create", group(6, "Create")),
    ("users.create", account(1, "Create")),
    ("services.create", account(1, "Create")),
    ("tokens.create*", account(1, "Create")),
    ("users.enable", account(2, "Enable")),
    ("account.password", account(3, "Password Change")),
    ("users.set_password", account(4, "Password Reset")),
    ("users.disable", account(5, "Disable")),
    ("tokens.revoke*", account(5, "Disable")),
    ("users.delete", account(6, "Delete")),
    ("services.delete", account(6, "Delete")),
    ("artifacts.write", file(1, "Upload")),
    ("artifacts.upload_abort", file(99, "Other")),
    ("artifacts.upload*", file(1, "Upload")),
    ("artifacts.read", file(2, "Download")),
    ("artifacts.delete", file(4, "Delete")),
    ("*.create", api(1, "Create")),
    ("*.log", api(1, "Create")),
    ("traces.assess", api(1, "Create")),
    ("*.get", api(2, "Read")),
    ("*.list", api(2, "Read")),
    ("*.search", api(2, "Read")),
    ("*.read", api(2, "Read")),
    ("*.verify", api(2, "Read")),
    ("audit.*", api(2, "Read")),
    ("access.check", api(2, "Read")),
    ("account.me", api(2, "Read")),
    ("server.*", api(2, "Read")),
    ("ui.*", api(2, "Read")),
    ("*.update", api(3, "Update")),
    ("*.tag", api(3, "Update")),
    ("*.restore", api(3, "Update")),
    ("models.alias", api(3, "Update")),
    ("versions.stage", api(3, "Update")),
    ("keys.*", api(3, "Update")),
    ("*.delete", api(4, "Delete")),
    ("objects.sweep", api(4, "Delete")),
];

fn class_of(action: &str) -> Class {
    let found = CLASSES.iter().find(|(pattern, _)| pattern_holds(pattern, action));
    found.map_or(api(99, "Other"), |(_, class)| *class)
}

/// The class of a record: a credential that was refused is a failed logon, whatever it was to be used for.
fn class_for(view: &RecordView<'_>) -> Class {
    if view.kind == "refusal" && view.problem.as_deref() == Some("unauthenticated") {
        return iam(3002, "Authentication", 1, "Logon");
    }
    class_of(&view.action)
}

/// The status of a record: its id and its name.
#[must_use]
pub fn status(view: &RecordView<'_>) -> (i64, &'static str) {
    match view.status.as_deref() {
        Some("done") => (1, "Success"),
        Some("failed" | "refused" | "aborted") => (2, "Failure"),
        _ => (0, "Unknown"),
    }
}

/// One record as one OCSF event in JSON; `None` if the record cannot be read.
#[must_use]
pub fn line(index: u64, record: &[u8], origin: &str) -> Option<String> {
    let view = RecordView::parse(record)?;
    event(index, (record, &view), origin).map(|event| event.to_string())
}

/// One record, with its fields, as one OCSF event; `None` if the record cannot be read.
#[must_use]
pub fn event(index: u64, (record, view): (&[u8], &RecordView<'_>), origin: &str) -> Option<Value> {
    let class = class_for(view);
    let (status_id, status) = status(view);
    let refused = view.kind == "refusal";
    let severity = if refused { (2, "Low") } else { (1, "Informational") };
    let fingerprint = json!({ "algorithm": "SHA-256", "algorithm_id": 3, "value": kernel::hex(&leaf_hash(record)) });
    let mut event = json!({
        "activity_id": class.activity,
        "activity_name": class.activity_name,
        "category_uid": class.category,
        "category_name": class.category_name,
        "class_uid": class.uid,
        "class_name": class.name,
        "type_uid": class.uid * 100 + class.activity,
        "type_name": format!("{}: {}", class.name, class.activity_name),
        "time": view.at.div_euclid(1000),
        "severity_id": severity.0,
        "severity": severity.1,
        "status_id": status_id,
        "status": status,
        "metadata": {
            "version": VERSION,
            "uid": index.to_string(),
            "correlation_uid": view.id,
            "event_code": view.kind,
            "log_name": origin,
            "profiles": ["record_integrity"],
            "product": { "name": "Strongroom", "vendor_name": "Strongroom", "version": env!("CARGO_PKG_VERSION") },
        },
        "actor": { "user": user(view) },
        "api": { "operation": view.action, "request": { "uid": view.id } },
        "attestation_list": [{ "uid": index.to_string(), "chain_uid": origin, "fingerprint": fingerprint }],
        "unmapped": { "record": serde_json::from_slice::<Value>(record).ok()? },
    });
    complete(event.as_object_mut()?, view, class);
    Some(event)
}

fn user(view: &RecordView<'_>) -> Value {
    let (type_id, type_name) = match view.caller.kind.as_ref() {
        "user" => (1, "User"),
        "service" => (4, "Service"),
        "job" => (3, "System"),
        _ => (0, "Unknown"),
    };
    let mut user = json!({ "uid": view.caller.id, "type_id": type_id, "type": type_name });
    if let (Some(token), Some(user)) = (&view.caller.token, user.as_object_mut()) {
        user.insert("credential_uid".to_owned(), json!(token));
    }
    user
}

/// What only some classes have, or only some records.
fn complete(event: &mut serde_json::Map<String, Value>, view: &RecordView<'_>, class: Class) {
    let mut put = |name: &str, value: Value| drop(event.insert(name.to_owned(), value));
    // The address is only known under this installation's key; an endpoint without an address is named by that.
    put("src_endpoint", json!({ "uid": view.from.as_deref().unwrap_or("unknown"), "type_id": 0 }));
    let resource = json!({ "uid": view.resource, "type": view.target, "namespace": view.workspace });
    match class.uid {
        6003 => put("resources", json!([resource])),
        6006 => put("file", json!({ "name": view.resource.as_deref().unwrap_or("unknown"), "type_id": 0, "uid": view.resource })),
        3005 => {
            put("user", json!({ "uid": view.resource }));
            put("privileges", json!(view.reasons));
            put("resource", resource);
        }
        3001 => put("user", json!({ "uid": view.resource })),
        _ => {
            put("user", user(view));
            put("service", json!({ "name": "strongroom" }));
        }
    }
    if let Some(problem) = &view.problem {
        put("status_code", json!(problem));
    }
    put("risk_score", json!(view.risk));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_have_their_classes() {
        let cases = [
            ("sessions.create", 3002, 1),
            ("sessions.delete", 3002, 2),
            ("users.create", 3001, 1),
            ("tokens.revoke_any", 3001, 5),
            ("users.set_password", 3001, 4),
            ("grants.create", 3005, 1),
            ("grants.revoke", 3005, 2),
            ("groups.add_member", 3006, 3),
            ("runs.create", 6003, 1),
            ("runs.get", 6003, 2),
            ("experiments.delete", 6003, 4),
            ("artifacts.upload_part", 6006, 1),
            ("artifacts.write", 6006, 1),
            ("artifacts.read", 6006, 2),
            ("artifacts.list", 6003, 2),
            ("audit.search", 6003, 2),
            ("audit.recovered", 6003, 2),
            ("no.such", 6003, 99),
        ];
        for (action, uid, activity) in cases {
            let class = class_of(action);
            assert_eq!((class.uid, class.activity), (uid, activity), "{action}");
        }
    }

    #[test]
    fn each_pattern_is_for_a_verb_that_exists() {
        let known = crate::config::tests::known_actions();
        for (at, (pattern, _)) in CLASSES.iter().enumerate() {
            let first = |action: &str| CLASSES.iter().position(|(pattern, _)| pattern_holds(pattern, action));
            assert!(known.iter().any(|action| first(action) == Some(at)), "`{pattern}` decides on no verb");
        }
    }

    #[test]
    fn an_event_names_its_record() {
        let record = br#"{"action":"runs.create","at":1700000000000000,"caller":{"id":"u1","kind":"user"},"from":"ab","id":"e1","kind":"refusal","problem":"unauthenticated","risk":3,"status":"refused","target":"workspace","v":1}"#;
        let event: Value = serde_json::from_str(&line(7, record, "example/log").unwrap()).unwrap();
        assert_eq!(event["class_uid"], 3002);
        assert_eq!(event["type_uid"], 300_201);
        assert_eq!(event["status_id"], 2);
        assert_eq!(event["attestation_list"][0]["uid"], "7");
        assert_eq!(event["attestation_list"][0]["fingerprint"]["value"], kernel::hex(&leaf_hash(record)));
        assert_eq!(event["time"], 1_700_000_000_000_i64);
    }
}
