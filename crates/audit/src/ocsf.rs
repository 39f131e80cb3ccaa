//! Records as OCSF 1.8 events (schema.ocsf.io), with the coming `record_integrity` fields: which log, which place, which
//! leaf hash.

use serde_json::{Value, json};

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

/// Which class an action belongs to.
fn class_of(action: &str) -> Class {
    let (room, verb) = action.split_once('.').unwrap_or((action, ""));
    let ends = |words: &[&str]| words.iter().any(|word| verb.starts_with(word));
    match room {
        "sessions" | "auth" if ends(&["delete", "revoke", "logout", "end"]) => iam(3002, "Authentication", 2, "Logoff"),
        "sessions" | "auth" => iam(3002, "Authentication", 1, "Logon"),
        "grants" | "roles" if ends(&["delete", "revoke", "remove"]) => iam(3005, "User Access Management", 2, "Revoke Privileges"),
        "grants" | "roles" if ends(&["create", "add", "grant", "set"]) => iam(3005, "User Access Management", 1, "Assign Privileges"),
        "users" | "services" | "accounts" | "tokens" | "passwords" if !ends(&["get", "list", "search"]) => {
            let (activity, name) = match () {
                () if room == "passwords" || ends(&["set_password", "password"]) => (3, "Password Change"),
                () if ends(&["create", "add", "issue"]) => (1, "Create"),
                () if ends(&["enable", "unlock"]) => (2, "Enable"),
                () if ends(&["disable", "revoke"]) => (5, "Disable"),
                () if ends(&["delete", "remove"]) => (6, "Delete"),
                () if ends(&["lock"]) => (9, "Lock"),
                () => (99, "Other"),
            };
            iam(3001, "Account Change", activity, name)
        }
        "artifacts" | "objects" => {
            let (activity, name) = match () {
                () if ends(&["put", "upload", "create", "write", "complete"]) => (1, "Upload"),
                () if ends(&["get", "download", "read"]) => (2, "Download"),
                () if ends(&["delete", "remove"]) => (4, "Delete"),
                () if ends(&["list", "head"]) => (14, "Access"),
                () => (99, "Other"),
            };
            application(6006, "File Hosting Activity", activity, name)
        }
        _ => {
            let (activity, name) = match () {
                () if ends(&["create", "log", "register", "add", "issue"]) => (1, "Create"),
                () if ends(&["get", "list", "search", "read", "prove", "export", "verify", "checkpoint", "tile", "download"]) => (2, "Read"),
                () if ends(&["update", "set", "rename", "restore", "transition", "end", "copy", "finalize"]) => (3, "Update"),
                () if ends(&["delete", "remove", "purge"]) => (4, "Delete"),
                () => (99, "Other"),
            };
            application(6003, "API Activity", activity, name)
        }
    }
}

/// The class of a record: a credential that was refused is a failed logon, whatever it was to be used for.
fn class_for(view: &RecordView<'_>) -> Class {
    if view.kind == "refusal" && view.problem.as_deref() == Some("unauthenticated") {
        return iam(3002, "Authentication", 1, "Logon");
    }
    class_of(&view.action)
}

/// One record as one OCSF event in JSON; `None` if the record cannot be read.
#[must_use]
pub fn line(index: u64, record: &[u8], origin: &str) -> Option<String> {
    let view = RecordView::parse(record)?;
    let class = class_for(&view);
    let (status_id, status) = match (view.kind.as_ref(), view.status.as_deref()) {
        (_, Some("done")) => (1, "Success"),
        (_, Some("failed" | "refused" | "aborted")) => (2, "Failure"),
        _ => (0, "Unknown"),
    };
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
        "actor": { "user": user(&view) },
        "api": { "operation": view.action, "request": { "uid": view.id } },
        "attestation_list": [{ "uid": index.to_string(), "chain_uid": origin, "fingerprint": fingerprint }],
        "unmapped": { "record": serde_json::from_slice::<Value>(record).ok()? },
    });
    complete(event.as_object_mut()?, &view, class);
    Some(event.to_string())
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
            ("sessions.create", 3002, 1), ("sessions.delete", 3002, 2), ("users.create", 3001, 1), ("tokens.revoke", 3001, 5),
            ("grants.create", 3005, 1), ("runs.create", 6003, 1), ("runs.get", 6003, 2), ("experiments.delete", 6003, 4),
            ("artifacts.upload", 6006, 1), ("artifacts.download", 6006, 2), ("audit.search", 6003, 2),
        ];
        for (action, uid, activity) in cases {
            let class = class_of(action);
            assert_eq!((class.uid, class.activity), (uid, activity), "{action}");
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
