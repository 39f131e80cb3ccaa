//! Records: canonical JSON (sorted keys, no spaces) of who did what, when, to what, and how it ended. Written by hand,
//! because this is on the path of every request.
//!
//! INVARIANT: no names, values, paths or people in a record; an address only under this installation's key. Held by
//! `tests`.

use std::collections::HashMap;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use gate::{Awaited, Entry, Guessed, Outcome, SealedOutcome, Status, Word};
use kernel::limits::AUDIT_RECORD_BYTES_MAX;
use kernel::{Clock, Problem, Secret, hex, random_bytes, sha256};
use parking_lot::RwLock;

/// Addresses whose keyed form is remembered.
const ADDRESS_COUNT_MAX: usize = 4_096;
/// Addresses that are remembered by their keyed form.
const BEHIND_COUNT_MAX: usize = 65_536;
/// Reasons in one record; the first ones decided.
const REASON_COUNT_MAX: usize = 32;
/// A text in a record. An id is far shorter; anything longer is replaced by its digest.
const TEXT_BYTES_MAX: usize = 1_024;

/// Encodes records.
pub(crate) struct Encoder {
    address_key: hmac::Key,
    outbox_key: hmac::Key,
    addresses: RwLock<HashMap<IpAddr, String>>,
    /// From where callers came with a token, by the keyed form: no record tells it. Strangers, who can come from anywhere, push nothing out.
    behind: RwLock<HashMap<String, IpAddr>>,
    clock: Arc<dyn Clock>,
}

/// The key under which outbox rows are sealed, for the server and for verification without it.
pub(crate) fn outbox_key(install_key: &Secret) -> hmac::Key {
    derived(install_key, b"strongroom audit outbox v1")
}

fn derived(install_key: &Secret, purpose: &[u8]) -> hmac::Key {
    let parent = hmac::Key::new(hmac::HMAC_SHA256, install_key.expose());
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&parent, purpose).as_ref())
}

fn short_tag(key: &hmac::Key, parts: &[&[u8]]) -> String {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    hex(context.sign().as_ref().get(..8).unwrap_or_default())
}

/// Whether an outbox row is as it was sealed.
pub(crate) fn seal_holds(key: &hmac::Key, event_id: &str, payload: &[u8]) -> bool {
    let Some((event, tag)) = event_id.split_at_checked(16) else { return false };
    subtle_eq(tag, &short_tag(key, &[event.as_bytes(), payload]))
}

fn subtle_eq(left: &str, right: &str) -> bool {
    Secret::new(left.as_bytes().to_vec()) == Secret::new(right.as_bytes().to_vec())
}

/// What kind of record it is.
#[derive(Clone, Copy)]
enum Kind<'a> {
    Intent,
    Refusal(&'a Problem),
    Outcome(&'a Outcome, Option<&'a str>),
}

impl Encoder {
    pub(crate) fn new(install_key: &Secret, clock: Arc<dyn Clock>) -> Self {
        Self {
            address_key: derived(install_key, b"strongroom audit address v1"),
            outbox_key: outbox_key(install_key),
            addresses: RwLock::new(HashMap::new()),
            behind: RwLock::new(HashMap::new()),
            clock,
        }
    }

    pub(crate) fn intent(&self, entry: &Entry) -> Vec<u8> {
        self.encode(entry, Kind::Intent)
    }

    pub(crate) fn refusal(&self, entry: &Entry, problem: &Problem) -> Vec<u8> {
        self.encode(entry, Kind::Refusal(problem))
    }

    pub(crate) fn outcome(&self, entry: &Entry, outcome: &Outcome) -> Vec<u8> {
        self.encode(entry, Kind::Outcome(outcome, None))
    }

    pub(crate) fn seal(&self, entry: &Entry, outcome: &Outcome) -> SealedOutcome {
        let event = hex(&random_bytes::<8>());
        let bytes = self.encode(entry, Kind::Outcome(outcome, Some(&event)));
        let tag = short_tag(&self.outbox_key, &[event.as_bytes(), &bytes]);
        SealedOutcome { event_id: event + &tag, bytes }
    }

    pub(crate) fn seal_holds(&self, event_id: &str, payload: &[u8]) -> bool {
        seal_holds(&self.outbox_key, event_id, payload)
    }

    /// A record of the log about itself.
    pub(crate) fn notice(&self, action: &str, details: &[(&'static str, Word)]) -> Vec<u8> {
        let mut json = Json::new();
        json.text("action", action);
        json.number("at", self.clock.now().0);
        json.raw("caller", r#"{"id":"audit","kind":"job"}"#);
        json.details(details);
        json.text("id", &kernel::random_id());
        json.raw("kind", r#""notice""#);
        json.text("status", "done");
        json.text("target", "audit_log");
        json.raw("v", "1");
        json.finish()
    }

    fn address(&self, address: IpAddr) -> String {
        if let Some(known) = self.addresses.read().get(&address) {
            return known.clone();
        }
        let tag = match address {
            IpAddr::V4(v4) => short_tag(&self.address_key, &[&v4.octets()]),
            IpAddr::V6(v6) => short_tag(&self.address_key, &[&v6.octets()]),
        };
        let mut addresses = self.addresses.write();
        if addresses.len() >= ADDRESS_COUNT_MAX {
            addresses.clear();
        }
        addresses.insert(address, tag.clone());
        tag
    }

    /// The address behind a keyed one, where somebody came from it with a token since the start.
    pub(crate) fn address_behind(&self, keyed: &str) -> Option<IpAddr> {
        self.behind.read().get(keyed).copied()
    }

    fn remember(&self, keyed: &str, address: IpAddr) {
        if self.behind.read().contains_key(keyed) {
            return;
        }
        let mut behind = self.behind.write();
        if behind.len() >= BEHIND_COUNT_MAX {
            behind.clear();
        }
        behind.insert(keyed.to_owned(), address);
    }

    fn encode(&self, entry: &Entry, kind: Kind<'_>) -> Vec<u8> {
        let bytes = self.encode_whole(entry, kind);
        if bytes.len() <= AUDIT_RECORD_BYTES_MAX {
            return bytes;
        }
        // Too large for the log: what would not fit is named by its digest and its size.
        let Kind::Outcome(outcome, event) = kind else { return bytes };
        let details = vec![("details_bytes", Word::from(bytes.len())), ("details_sha256", Word::from(hex(&sha256(&bytes))))];
        let short = Outcome { status: outcome.status, resource: outcome.resource.clone(), details };
        self.encode_whole(entry, Kind::Outcome(&short, event))
    }

    /// Keys in the order of their bytes, always.
    fn encode_whole(&self, entry: &Entry, kind: Kind<'_>) -> Vec<u8> {
        let mut json = Json::new();
        json.text("action", entry.action.name);
        let at = if matches!(kind, Kind::Outcome(..)) { self.clock.now() } else { entry.at };
        json.number("at", at.0);
        json.raw("caller", "{\"id\":");
        json.string(&entry.caller.id);
        json.bytes.extend_from_slice(b",\"kind\":");
        json.string(entry.caller.kind.word());
        if let Some(token) = &entry.caller.token {
            json.bytes.extend_from_slice(b",\"token\":");
            json.string(&token.id);
        }
        json.bytes.push(b'}');
        let mut resource = entry.resource.as_deref();
        if let Kind::Refusal(problem) = kind
            && let Some(detail) = of_refusal(problem)
        {
            json.details(&[detail]);
        }
        if let Kind::Outcome(outcome, event) = kind {
            json.details(&outcome.details);
            if let Some(event) = event {
                json.text("event", event);
            }
            resource = outcome.resource.as_deref().or(resource);
        } else {
            let keyed = self.address(entry.address);
            json.text("from", &keyed);
            if entry.caller.token.is_some() {
                self.remember(&keyed, entry.address);
            }
        }
        json.text("id", &entry.id);
        let (word, status, problem) = match kind {
            Kind::Intent => ("intent", None, None),
            Kind::Refusal(problem) => ("refusal", Some("refused"), Some(problem.kind().word())),
            Kind::Outcome(outcome, _) => match outcome.status {
                Status::Failed(kind) => ("outcome", Some(outcome.status.word()), Some(kind.word())),
                Status::Done | Status::Aborted => ("outcome", Some(outcome.status.word()), None),
            },
        };
        json.text("kind", word);
        json.optional("problem", problem);
        if matches!(kind, Kind::Intent) {
            json.reasons(&entry.reasons);
        }
        json.optional("resource", resource);
        if !matches!(kind, Kind::Outcome(..)) {
            json.number("risk", i64::from(entry.risk));
        }
        json.optional("status", status);
        json.text("target", entry.target.word());
        json.raw("v", "1");
        json.optional("workspace", entry.workspace.as_deref());
        json.finish()
    }
}

/// Writes one JSON object.
struct Json {
    bytes: Vec<u8>,
}

impl Json {
    fn new() -> Self {
        Self { bytes: Vec::with_capacity(512) }
    }

    /// A key that needs no escapes.
    fn key(&mut self, key: &str) {
        self.bytes.push(if self.bytes.is_empty() { b'{' } else { b',' });
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.extend_from_slice(b"\":");
    }

    fn raw(&mut self, key: &str, value: &str) {
        self.key(key);
        self.bytes.extend_from_slice(value.as_bytes());
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.string(value);
    }

    fn optional(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn number(&mut self, key: &str, value: i64) {
        self.key(key);
        self.integer(value);
    }

    fn integer(&mut self, value: i64) {
        use std::io::Write;
        // Writing into memory cannot fail.
        drop(write!(self.bytes, "{value}"));
    }

    fn reasons(&mut self, reasons: &[String]) {
        if reasons.is_empty() {
            return;
        }
        self.key("reasons");
        self.list(reasons.iter().take(REASON_COUNT_MAX));
    }

    fn list<'a>(&mut self, texts: impl Iterator<Item = &'a String>) {
        self.bytes.push(b'[');
        for (at, text) in texts.enumerate() {
            if at > 0 {
                self.bytes.push(b',');
            }
            self.string(text);
        }
        self.bytes.push(b']');
    }

    fn details(&mut self, details: &[(&'static str, Word)]) {
        if details.is_empty() {
            return;
        }
        let mut sorted: Vec<_> = details.iter().collect();
        sorted.sort_by_key(|(name, _)| *name);
        sorted.dedup_by_key(|(name, _)| *name);
        self.key("details");
        for (at, (name, value)) in sorted.into_iter().enumerate() {
            self.bytes.push(if at == 0 { b'{' } else { b',' });
            self.string(name);
            self.bytes.push(b':');
            match value {
                Word::Text(text) => self.string(text),
                Word::Number(number) => self.integer(*number),
                Word::Texts(texts) => self.list(texts.iter()),
            }
        }
        self.bytes.push(b'}');
    }

    fn string(&mut self, text: &str) {
        if text.len() > TEXT_BYTES_MAX {
            let digest = format!("sha256:{}", hex(&sha256(text.as_bytes())));
            return self.string(&digest);
        }
        self.bytes.push(b'"');
        self.escaped(text.as_bytes());
        self.bytes.push(b'"');
    }

    fn escaped(&mut self, text: &[u8]) {
        let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        // Without a way out the loop is done for many bytes at once. Hardly any text has something special in it.
        if !text.iter().fold(false, |found, byte| found | special(*byte)) {
            return self.bytes.extend_from_slice(text);
        }
        for byte in text {
            match byte {
                b'"' | b'\\' => self.bytes.extend_from_slice(&[b'\\', *byte]),
                // The short forms that canonical JSON (RFC 8785) asks for.
                8 => self.bytes.extend_from_slice(b"\\b"),
                9 => self.bytes.extend_from_slice(b"\\t"),
                10 => self.bytes.extend_from_slice(b"\\n"),
                12 => self.bytes.extend_from_slice(b"\\f"),
                13 => self.bytes.extend_from_slice(b"\\r"),
                control if special(*control) => self.bytes.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
                plain => self.bytes.push(*plain),
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.push(b'}');
        self.bytes
    }
}

/// Whom a refused caller guessed at, or that it waits for somebody's agreement: detections tell the two apart.
fn of_refusal(problem: &Problem) -> Option<(&'static str, Word)> {
    let source = problem.source()?;
    let guessed = source.downcast_ref::<Guessed>().map(|guessed| ("guessed", Word::from(guessed.account.as_str())));
    guessed.or_else(|| source.is::<Awaited>().then(|| ("awaited", Word::from("agreement"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{FakeClock, Micros};

    fn encoder() -> Encoder {
        Encoder::new(&Secret::new(vec![1; 32]), Arc::new(FakeClock::at(Micros(5))))
    }

    #[test]
    fn strings_are_escaped_as_json_reads_them() {
        let text = "a\"b\\c\nd\u{1}é\u{7f}\t\r\u{8}\u{c}";
        let bytes = encoder().notice("x", &[("t", Word::from(text))]);
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["details"]["t"], text);
        assert_eq!(json.to_string().as_bytes(), bytes, "sorted and compact already");
    }

    #[test]
    fn a_refusal_says_whether_somebody_guessed_or_waits() {
        let refused = || Problem::new(kernel::Kind::Unauthenticated, "no");
        assert!(of_refusal(&refused()).is_none());
        let details = |problem: &Problem| {
            let bytes = encoder().notice("x", &[of_refusal(problem).unwrap()]);
            serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()["details"].clone()
        };
        assert_eq!(details(&refused().because(Guessed { account: "u_1".to_owned() })), serde_json::json!({ "guessed": "u_1" }));
        assert_eq!(details(&refused().because(Awaited)), serde_json::json!({ "awaited": "agreement" }));
    }

    #[test]
    fn many_of_a_kind_are_a_list() {
        let texts = vec!["a/1".to_owned(), "b\"".to_owned()];
        let bytes = encoder().notice("x", &[("all", Word::from(texts.clone())), ("none", Word::from(Vec::new()))]);
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["details"]["all"], serde_json::json!(texts));
        assert_eq!(json["details"]["none"], serde_json::json!([]));
    }

    #[test]
    fn a_seal_holds_for_its_own_row_only() {
        let encoder = encoder();
        let payload = b"{\"v\":1}".to_vec();
        let event = "0123456789abcdef";
        let tag = short_tag(&encoder.outbox_key, &[event.as_bytes(), &payload]);
        let event_id = format!("{event}{tag}");
        assert!(encoder.seal_holds(&event_id, &payload));
        assert!(!encoder.seal_holds(&event_id, b"{\"v\":2}"));
        assert!(!encoder.seal_holds(&event_id.replace('0', "1"), &payload));
        assert!(!encoder.seal_holds("short", &payload));
    }

    #[test]
    fn an_address_is_keyed() {
        let address = IpAddr::from([10, 0, 0, 1]);
        let here = encoder().address(address);
        let there = Encoder::new(&Secret::new(vec![2; 32]), Arc::new(FakeClock::default())).address(address);
        assert_eq!(here.len(), 16);
        assert_ne!(here, there);
        assert_eq!(here, encoder().address(address));
    }

    #[test]
    fn an_address_is_told_by_its_keyed_form_once_it_was_remembered_and_of_few() {
        let (encoder, address) = (encoder(), IpAddr::from([10, 0, 0, 1]));
        let keyed = encoder.address(address);
        assert_eq!(encoder.address_behind(&keyed), None, "a stranger's is not");
        encoder.remember(&keyed, address);
        assert_eq!(encoder.address_behind(&keyed), Some(address));
        (0..BEHIND_COUNT_MAX).for_each(|one| encoder.remember(&format!("{one:016x}"), address));
        assert!(encoder.behind.read().len() <= BEHIND_COUNT_MAX);
    }
}
