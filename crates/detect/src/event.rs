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
