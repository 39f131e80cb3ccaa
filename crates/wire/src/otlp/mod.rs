//! OpenTelemetry's trace export (OTLP/HTTP, <https://opentelemetry.io/docs/specs/otlp/#otlphttp>): `POST /v1/traces`, in
//! protobuf and in JSON. The experiment comes in a header, as MLflow's clients send it.

mod json;
mod message;

use http::{HeaderValue, Method, StatusCode, header};
use kernel::Problem;
use traces::Traces;
use traces::ops::LogSpans;

use crate::{Answer, Door, Inbound};

/// The header that names the experiment.
const EXPERIMENT: &str = "x-mlflow-experiment-id";
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Traces) {
    let room = room.clone();
    let parse = move |inbound: &Inbound| {
        let encoding = encoding(inbound)?;
        let experiment_id = inbound.header(EXPERIMENT).map(str::trim).filter(|id| !id.is_empty());
        let experiment_id =
            experiment_id.ok_or_else(|| Problem::invalid(format!("the header `{EXPERIMENT}` must name an experiment")))?;
        let spans = match encoding {
            PROTOBUF => message::spans(&inbound.body)?,
            _ => json::spans(&inbound.body)?,
        };
        if spans.is_empty() {
            return Err(Problem::invalid("Invalid OpenTelemetry format - no spans found"));
        }
        Ok((LogSpans { room: room.clone(), experiment_id: experiment_id.to_owned(), spans }, encoding))
    };
    // An empty `ExportTraceServiceResponse` says that all was taken.
    door.route_with(Method::POST, "/v1/traces", parse, |_, encoding| Ok(taken(encoding)));
}

fn encoding(inbound: &Inbound) -> Result<&'static str, Problem> {
    let kind = inbound.header("content-type").unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    [PROTOBUF, JSON].into_iter().find(|known| essence.eq_ignore_ascii_case(known)).ok_or_else(|| {
        let shown: String = kind.chars().take(100).collect();
        Problem::invalid(format!("Invalid Content-Type: {shown}. Expected: {PROTOBUF} or {JSON}"))
    })
}

fn taken(encoding: &'static str) -> Answer {
    let mut answer = Answer::new(axum::body::Body::from(if encoding == JSON { "{}" } else { "" }));
    *answer.status_mut() = StatusCode::OK;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(encoding));
    crate::outbound::harden(&mut answer);
    answer
}

fn malformed() -> Problem {
    Problem::invalid("Invalid OpenTelemetry format")
}

/// Nanoseconds since the epoch; 0 means that there is no such time.
fn nanoseconds(number: u64) -> Result<i64, Problem> {
    i64::try_from(number).map_err(|_| Problem::invalid("a time in a span is beyond the year 2262"))
}
