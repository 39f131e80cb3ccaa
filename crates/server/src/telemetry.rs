//! What this server does, told to OpenTelemetry: a span for each request and a record for each line of its log, by OTLP over HTTP in
//! JSON (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>). Nothing waits for it: what it cannot take is counted and lost.
//!
//! A span says which verb was asked, by which route and with which status; never who asked, for what, or what was said.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, header};
use kernel::{Problem, hex, random_bytes};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use wire::{Answered, Telemetry};

use crate::https::{Kept, Remote};

/// Spans and records that wait to be sent.
const WAITING_COUNT_MAX: usize = 8_192;
/// Of these, sent together.
const BATCH_COUNT_MAX: usize = 512;
/// How long they wait at most.
const BATCH_WAIT: Duration = Duration::from_secs(2);
/// How long a receiver may take.
const SEND_WAIT_MAX: Duration = Duration::from_secs(10);
/// What is read of its answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// A text in a record.
const TEXT_BYTES_MAX: usize = 4_096;
/// OTLP's number for the kind of span that serves.
const SPAN_KIND_SERVER: u8 = 2;
/// OTLP's number for an error.
const STATUS_ERROR: u8 = 2;

/// `[telemetry]`: without a `url` nothing is sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// The receiver, such as `https://collector.example:4318`; `/v1/traces` and `/v1/logs` are below it.
    pub url: Option<String>,
    /// The authority (PEM) that signed its certificate.
    pub ca: Option<PathBuf>,
    /// Whether to speak plain HTTP to it.
    pub allow_insecure: bool,
}

impl TelemetryConfig {
    /// Refuses an address that would be spoken to in the clear by mistake.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self) -> Result<(), Problem> {
        match self.url.as_deref().map(|url| url.split("://").next().unwrap_or_default()) {
            None => Ok(()),
            Some("https") if self.ca.is_some() => Ok(()),
            Some("https") => {
                Err(Problem::invalid("`telemetry.ca` names the authority (PEM) that signed the receiver's certificate"))
            }
            Some("http") if self.allow_insecure => Ok(()),
            Some("http") => Err(Problem::invalid(
                "anybody on the way would read what this server does; give `telemetry.url` as https, or set `telemetry.allow_insecure = true`",
            )),
            Some(_) => Err(Problem::invalid("`telemetry.url` is an address such as `https://collector.example:4318`")),
        }
    }
}

/// Something to tell.
enum Told {
    Span(Value),
    Record(Value),
}

/// Takes what is to be told. Cheap to clone.
#[derive(Clone)]
pub struct Teller {
    waiting: mpsc::Sender<Told>,
    lost: Arc<AtomicU64>,
}

/// Where lines of the log go, once the configuration is read.
static LOG: OnceLock<Teller> = OnceLock::new();

/// Begins to tell; none where there is nobody to tell.
///
/// # Errors
/// `Invalid` for an address or a file that cannot be used.
pub fn begin(config: &TelemetryConfig) -> Result<Option<Teller>, Problem> {
    let Some(url) = &config.url else { return Ok(None) };
    let remote = match &config.ca {
        Some(ca) if url.starts_with("https://") => Remote::new(url, ca)?,
        _ => Remote::new_insecure_http(url)?,
    };
    let (sender, waiting) = mpsc::channel(WAITING_COUNT_MAX);
    let teller = Teller { waiting: sender, lost: Arc::default() };
    tokio::spawn(send_all(Kept::new(remote), waiting, Arc::clone(&teller.lost)));
    // A second server in one process (a test's) keeps the first one's.
    drop(LOG.set(teller.clone()));
    Ok(Some(teller))
}

impl Teller {
    fn tell(&self, told: Told) {
        if self.waiting.try_send(told).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Telemetry for Teller {
    fn answered(&self, answered: &Answered<'_>) {
        self.tell(Told::Span(span(answered, SystemTime::now())));
    }
}

fn span(answered: &Answered<'_>, now: SystemTime) -> Value {
    let begin = now.checked_sub(answered.took).unwrap_or(now);
    let parent = answered.traceparent.and_then(parent);
    let trace = parent.as_ref().map_or_else(|| hex(&random_bytes::<16>()), |(trace, _)| trace.clone());
    let attributes = [
        text("http.request.method", answered.method),
        text("http.route", answered.route),
        json!({ "key": "http.response.status_code", "value": { "intValue": answered.status.to_string() } }),
        text("strongroom.action", answered.action),
    ];
    let mut span = json!({
        "traceId": trace,
        "spanId": hex(&random_bytes::<8>()),
        "name": format!("{} {}", answered.method, answered.route),
        "kind": SPAN_KIND_SERVER,
        "startTimeUnixNano": nanoseconds(begin),
        "endTimeUnixNano": nanoseconds(now),
        "attributes": attributes,
        "status": if answered.status >= 500 { json!({ "code": STATUS_ERROR }) } else { json!({}) },
    });
    if let (Some((_, parent)), Some(fields)) = (parent, span.as_object_mut()) {
        fields.insert("parentSpanId".to_owned(), Value::String(parent));
    }
    span
}

/// The trace and the span that a request belongs to (W3C Trace Context, section 3.2): lower-case hexadecimal, and not all zeros.
fn parent(traceparent: &str) -> Option<(String, String)> {
    let mut parts = traceparent.split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let is_id = |text: &str, length: usize| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        text.len() == length && digits && text.bytes().any(|byte| byte != b'0')
    };
    let known = version.len() == 2 && version != "ff";
    (known && is_id(trace, 32) && is_id(span, 16)).then(|| (trace.to_owned(), span.to_owned()))
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": cut(value) } })
}

fn cut(value: &str) -> &str {
    let mut end = value.len().min(TEXT_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    value.get(..end).unwrap_or_default()
}

fn nanoseconds(at: SystemTime) -> String {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

/// Hands each line of the log to whoever is told; does nothing while nobody is.
pub struct LogLayer;

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(teller) = LOG.get() else { return };
        // Its own words about a receiver that is away would never end.
        if event.metadata().target() == module_path!() {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        fields.attributes.push(text("code.namespace", event.metadata().target()));
        teller.tell(Told::Record(json!({
            "timeUnixNano": nanoseconds(SystemTime::now()),
            "severityNumber": severity(*event.metadata().level()),
            "severityText": event.metadata().level().as_str(),
            "body": { "stringValue": cut(&fields.message) },
            "attributes": fields.attributes,
        })));
    }
}

/// OTLP's numbers for levels.
fn severity(level: Level) -> u8 {
    match level {
        Level::TRACE => 1,
        Level::DEBUG => 5,
        Level::INFO => 9,
        Level::WARN => 13,
        Level::ERROR => 17,
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    attributes: Vec<Value>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let value = format!("{value:?}");
        if field.name() == "message" {
            self.message = value;
        } else {
            self.attributes.push(text(field.name(), &value));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.attributes.push(text(field.name(), value));
        }
    }
}

async fn send_all(receiver: Kept, mut waiting: mpsc::Receiver<Told>, lost: Arc<AtomicU64>) {
    let mut is_away = false;
    let mut batch = Vec::with_capacity(BATCH_COUNT_MAX);
    while let Some(first) = waiting.recv().await {
        batch.push(first);
        let until = tokio::time::Instant::now() + BATCH_WAIT;
        while batch.len() < BATCH_COUNT_MAX {
            match tokio::time::timeout_at(until, waiting.recv()).await {
                Ok(Some(next)) => batch.push(next),
                Ok(None) | Err(_) => break,
            }
        }
        let sent = send(&receiver, &mut batch).await;
        match &sent {
            Err(problem) if !is_away => tracing::warn!(%problem, "telemetry cannot be sent; what waits meanwhile is lost"),
            Ok(()) if is_away => tracing::info!(lost = lost.load(Ordering::Relaxed), "telemetry is sent again"),
            _ => {}
        }
        is_away = sent.is_err();
    }
}

async fn send(receiver: &Kept, batch: &mut Vec<Told>) -> Result<(), Problem> {
    let (mut spans, mut records) = (Vec::new(), Vec::new());
    for told in batch.drain(..) {
        match told {
            Told::Span(span) => spans.push(span),
            Told::Record(record) => records.push(record),
        }
    }
    let resource =
        json!({ "attributes": [text("service.name", "strongroom"), text("service.version", env!("CARGO_PKG_VERSION"))] });
    let scope = json!({ "name": "strongroom" });
    if !spans.is_empty() {
        let scoped = json!([{ "scope": scope, "spans": spans }]);
        post(receiver, "/v1/traces", &json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": scoped }] })).await?;
    }
    if !records.is_empty() {
        let scoped = json!([{ "scope": scope, "logRecords": records }]);
        post(receiver, "/v1/logs", &json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": scoped }] })).await?;
    }
    Ok(())
}

async fn post(receiver: &Kept, path: &str, body: &Value) -> Result<(), Problem> {
    let head = Request::builder().method(Method::POST).header(header::CONTENT_TYPE, "application/json");
    let sending = receiver.send(head, path, Bytes::from(body.to_string()), ANSWER_BYTES_MAX);
    let late = || Problem::unavailable(format!("the receiver took longer than {} s", SEND_WAIT_MAX.as_secs()));
    let answer = tokio::time::timeout(SEND_WAIT_MAX, sending).await.map_err(|_| late())??;
    match answer.status {
        status if status.is_success() => Ok(()),
        status => Err(Problem::unavailable(format!("the receiver answers {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_request_belongs_to_the_trace_that_it_names() {
        let (trace, span) = parent(PARENT).unwrap();
        assert_eq!((trace.as_str(), span.as_str()), ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert_eq!(parent(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_span_says_what_was_asked_and_nothing_of_who() {
        let answered = Answered {
            action: "endpoints.predict",
            method: "POST",
            route: "/v2/models/{endpoint}/infer",
            status: 503,
            took: Duration::from_millis(20),
            traceparent: Some(PARENT),
        };
        let span = span(&answered, UNIX_EPOCH + Duration::from_secs(1));
        assert_eq!((&span["startTimeUnixNano"], &span["endTimeUnixNano"]), (&json!("980000000"), &json!("1000000000")));
        assert_eq!((&span["parentSpanId"], &span["status"]["code"]), (&json!("00f067aa0ba902b7"), &json!(2)));
        assert_eq!(span["attributes"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        assert_eq!(cut(&"é".repeat(TEXT_BYTES_MAX)).len(), TEXT_BYTES_MAX);
        assert_eq!(cut(&format!("x{}", "é".repeat(TEXT_BYTES_MAX))).len(), TEXT_BYTES_MAX - 1);
    }

    #[test]
    fn a_receiver_is_spoken_to_in_secret_unless_told_otherwise() {
        for (url, ca, allow_insecure, good) in [
            (None, false, false, true),
            (Some("https://c:4318"), true, false, true),
            (Some("https://c:4318"), false, false, false),
            (Some("http://c:4318"), false, false, false),
            (Some("http://c:4318"), false, true, true),
            (Some("c:4318"), true, true, false),
        ] {
            let ca = ca.then(|| PathBuf::from("/ca.pem"));
            let config = TelemetryConfig { url: url.map(str::to_owned), ca, allow_insecure };
            assert_eq!(config.check().is_ok(), good, "{url:?}");
        }
    }
}
