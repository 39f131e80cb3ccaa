//! A record of the log as rules see it: the OCSF event that an export gives, and what this server knows besides.

use audit::RecordView;
use kernel::Micros;
use serde_json::{Value, json};

/// What an intent said and its outcome does not repeat.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intent {
    pub(crate) from: Option<String>,
    pub(crate) risk: i64,
}

/// One record, with what its intent said.
pub(crate) struct Seen<'a> {
    pub(crate) index: u64,
    pub(crate) view: &'a RecordView<'a>,
    pub(crate) from: Option<&'a str>,
    pub(crate) risk: i64,
    pub(crate) canary: bool,
}

impl Seen<'_> {
    pub(crate) const fn at(&self) -> Micros {
        Micros(self.view.at)
    }

    /// Whether a person or a service account did it.
    pub(crate) fn is_principal(&self) -> bool {
        matches!(self.view.caller.kind.as_ref(), "user" | "service")
    }

    /// A text of the details.
    pub(crate) fn detail(&self, name: &str) -> Option<&str> {
        self.view.details.get(name)?.as_str()
    }

    /// The event that rules are asked about; none for a record that cannot be read.
    pub(crate) fn event(&self, record: &[u8], origin: &str) -> Option<Value> {
        let mut event = audit::ocsf_event(self.index, (record, self.view), origin)?;
        let fields = event.as_object_mut()?;
        if let Some(from) = self.from {
            fields.insert("src_endpoint".to_owned(), json!({ "uid": from, "type_id": 0 }));
        }
        fields.insert("risk_score".to_owned(), json!(self.risk));
        let on_self = self.detail("principal").is_some_and(|principal| principal == self.view.caller.id);
        let ours = json!({ "canary": self.canary, "on_self": on_self, "resource": self.view.resource, "workspace": self.view.workspace });
        fields.insert("strongroom".to_owned(), ours);
        Some(event)
    }
}

/// The fields that an event may have, whatever its class.
const FIELDS: [&str; 50] = [
    "activity_id",
    "activity_name",
    "actor.user.credential_uid",
    "actor.user.type",
    "actor.user.type_id",
    "actor.user.uid",
    "api.operation",
    "api.request.uid",
    "attestation_list",
    "category_name",
    "category_uid",
    "class_name",
    "class_uid",
    "file.name",
    "file.type_id",
    "file.uid",
    "metadata.correlation_uid",
    "metadata.event_code",
    "metadata.log_name",
    "metadata.product.name",
    "metadata.product.vendor_name",
    "metadata.product.version",
    "metadata.profiles",
    "metadata.uid",
    "metadata.version",
    "privileges",
    "resource.namespace",
    "resource.type",
    "resource.uid",
    "resources",
    "risk_score",
    "service.name",
    "severity",
    "severity_id",
    "src_endpoint.type_id",
    "src_endpoint.uid",
    "status",
    "status_code",
    "status_id",
    "strongroom.canary",
    "strongroom.on_self",
    "strongroom.resource",
    "strongroom.workspace",
    "time",
    "type_name",
    "type_uid",
    "user.credential_uid",
    "user.type",
    "user.type_id",
    "user.uid",
];
/// What an event holds of its record: verbs add details of their own.
pub(crate) const OF_RECORD: &str = "unmapped.record.";

/// Whether there is a field of this name, or one below it.
pub(crate) fn is_field(name: &str) -> bool {
    let is_at_or_above = |field: &str| field.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    name.starts_with(OF_RECORD) || is_at_or_above("unmapped.record") || FIELDS.iter().any(|field| is_at_or_above(field))
}

/// The value of a field such as `actor.user.uid`, as a text.
pub(crate) fn field(event: &Value, name: &str) -> Option<String> {
    match lookup(event, name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The value of a field such as `actor.user.uid`. A key with dots in it is found too, as in Sigma.
pub(crate) fn lookup<'a>(event: &'a Value, name: &str) -> Option<&'a Value> {
    let (mut here, mut rest) = (event, name);
    loop {
        if let Some(value) = here.get(rest) {
            return Some(value);
        }
        let (head, tail) = rest.split_once('.')?;
        (here, rest) = (here.get(head)?, tail);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The fields of an event, but for its record; a list is one.
    fn fields_of(value: &Value, at: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) if at != "unmapped.record" => {
                for (name, value) in fields {
                    let below = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                    fields_of(value, &below, found);
                }
            }
            _ => {
                found.insert(at.to_owned());
            }
        }
    }

    #[test]
    fn every_field_of_every_class_is_known_and_no_other() {
        let mut found = BTreeSet::new();
        for action in ["runs.get", "artifacts.read", "grants.create", "users.create", "sessions.create", "groups.create"] {
            let record = format!(
                r#"{{"action":"{action}","at":1700000000000000,"caller":{{"id":"u1","kind":"user","token":"t1"}},"from":"ab","id":"e1","kind":"outcome","problem":"forbidden","risk":3,"status":"failed","target":"workspace","v":1}}"#
            );
            let view = RecordView::parse(record.as_bytes()).unwrap();
            let seen = Seen { index: 1, view: &view, from: Some("ab"), risk: 3, canary: false };
            fields_of(&seen.event(record.as_bytes(), "here").unwrap(), "", &mut found);
        }
        assert!(found.remove("unmapped.record"));
        assert_eq!(found, FIELDS.iter().map(|field| (*field).to_owned()).collect());
        for known in ["actor.user", "unmapped.record", "unmapped.record.details.role", "strongroom"] {
            assert!(is_field(known), "{known}");
        }
        for unknown in ["", "a", "api.opertion", "actor.user.name", "src_endpoint.ip", "stat", "unmapped.recor", "status.x"] {
            assert!(!is_field(unknown), "{unknown}");
        }
    }
}
