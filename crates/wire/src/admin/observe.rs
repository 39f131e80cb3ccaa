//! `/alerts`, `/remedies`, `/health`, labels of predictions, and `/metrics` for a Prometheus.
//!
//! A remedy is run by several verbs, one after the other as the caller: who may not do what it does, does nothing with it.

use std::sync::Arc;
use std::time::Duration;

use ::observe::ops::{
    AcknowledgeAlert, AddLabels, FoundAlert, GetAlert, ReceiveAlerts, RemedyDone, ResolveAlert, RunRemedy, SearchAlerts,
    ShowHealth, ShowMetrics, ShowTraffic, Told, TrafficMinute,
};
use ::observe::{Act, Alert, AlertState, FAILED, HealthOf, Label, News, Observe, Remedy, THROTTLE_MINUTES};
use admission::Admission;
use data::Data;
use gate::{Action, Operation, Visitor};
use http::{HeaderValue, Method, header};
use kernel::{Kind, Micros, Problem};
use retrain::Retrain;
use serde::Deserialize;
use serde_json::{Value, json};
use serving::ops::{ThrottleTrail, UpdateEndpoint};
use serving::{Level, Serving};

use super::retraining;
use super::shape::{body, is_gravest_first, list, only, query};
use super::times::{parse, to_text};
use crate::{Answer, Chosen, Door, Inbound, outbound};

const PREFIX: &str = "/api/strongroom/v1";
/// The only version of an Alertmanager's webhook that there is.
const WEBHOOK_VERSION: &str = "4";

/// Measures the server itself, for its metrics.
pub type Measure = Arc<dyn Fn() -> Vec<(&'static str, f64)> + Send + Sync>;

/// The rooms that remedies act on.
#[derive(Clone)]
pub struct Rooms {
    /// Alerts.
    pub observe: Observe,
    /// Endpoints.
    pub serving: Serving,
    /// Data sets.
    pub data: Data,
    /// Versions of models.
    pub admission: Admission,
    /// Jobs that train again.
    pub retrain: Retrain,
    /// What else somebody must look after, such as keys that are overdue.
    pub warnings: Warnings,
}

/// The verbs that a remedy may ask for.
pub const VERBS: [Action; 7] = [
    RunRemedy::ACTION,
    RemedyDone::ACTION,
    UpdateEndpoint::ACTION,
    data::ops::Refuse::ACTION,
    admission::ops::Refuse::ACTION,
    retrain::ops::SubmitJob::ACTION,
    ThrottleTrail::ACTION,
];

/// Says what somebody must look after.
pub type Warnings = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelsBody {
    labels: Vec<LabelBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelBody {
    prediction: String,
    #[serde(default)]
    row: i64,
    label: Value,
}

/// What an Alertmanager sends. It grows with its releases, so unknown fields are let be.
#[derive(Deserialize)]
struct WebhookBody {
    version: String,
    alerts: Vec<WebhookAlert>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WebhookAlert {
    status: String,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    starts_at: String,
    #[serde(default)]
    fingerprint: String,
}

/// Adds these routes.
pub fn routes(door: &mut Door, rooms: &Rooms, measure: &Measure) {
    let at = |end: &str| format!("{PREFIX}{end}");
    let room = rooms.observe.clone();
    let search = move |inbound: &Inbound| {
        let (page, [state, endpoint, order]) = query(inbound, ["state", "endpoint", "order"])?;
        let state = state.as_deref().map(AlertState::parse).transpose()?;
        let gravest_first = is_gravest_first(order.as_deref())?;
        let all = SearchAlerts::all(room.clone());
        Ok(SearchAlerts { state, endpoint, gravest_first, after: page.after, rows: page.rows, ..all })
    };
    door.route(Method::GET, &at("/alerts"), search, |page| list("alerts", &page.rows, page.next.as_deref(), alert));
    let of_alert = at("/alerts/{alert}");
    let room = rooms.observe.clone();
    let get = move |inbound: &Inbound| {
        let [] = only(inbound, [])?;
        Ok(GetAlert { room: room.clone(), id: inbound.path("alert").to_owned() })
    };
    door.route(Method::GET, &of_alert, get, |found| outbound::json(&found_alert(&found)));
    let room = rooms.observe.clone();
    let acknowledge = move |inbound: &Inbound| {
        let Nothing {} = body(inbound)?;
        Ok(AcknowledgeAlert { room: room.clone(), id: inbound.path("alert").to_owned() })
    };
    door.route(Method::POST, &format!("{of_alert}/acknowledge"), acknowledge, |changed| outbound::json(&alert(&changed)));
    let room = rooms.observe.clone();
    let resolve = move |inbound: &Inbound| {
        let Nothing {} = body(inbound)?;
        Ok(ResolveAlert { room: room.clone(), id: inbound.path("alert").to_owned() })
    };
    door.route(Method::POST, &format!("{of_alert}/resolve"), resolve, |changed| outbound::json(&alert(&changed)));
    let room = rooms.observe.clone();
    let receive = move |inbound: &Inbound| Ok(ReceiveAlerts { room: room.clone(), told: told(inbound)? });
    door.route(Method::POST, &at("/alertmanager"), receive, |received| {
        outbound::json(&json!({ "opened": received.opened_count, "resolved": received.resolved_count }))
    });
    let room = rooms.observe.clone();
    let labels = move |inbound: &Inbound| {
        let endpoint = inbound.path("endpoint").to_owned();
        Ok(AddLabels { room: room.clone(), endpoint, labels: labels_of(inbound)? })
    };
    door.route(Method::POST, &at("/endpoints/{endpoint}/labels"), labels, |taken| {
        outbound::json(&json!({
            "stored": taken.stored_count, "repeated": taken.repeated_count, "unknown": taken.unknown_count,
        }))
    });
    let room = rooms.observe.clone();
    let traffic = move |inbound: &Inbound| {
        let [minutes] = only(inbound, ["minutes"])?;
        let minutes = minutes.map(|text| text.parse().map_err(|_| Problem::invalid("`minutes` is a number"))).transpose()?;
        Ok(Chosen::verbs({
            let show = ShowTraffic { room: room.clone(), endpoint: inbound.path("endpoint").to_owned(), minutes };
            move |visitor| {
                Box::pin(async move {
                    let minutes = visitor.call(show).await?.now().await?;
                    list("minutes", &minutes, None, minute_of)
                })
            }
        }))
    };
    door.choice(Method::GET, &at("/endpoints/{endpoint}/traffic"), &[ShowTraffic::ACTION], traffic);
    let room = rooms.observe.clone();
    let health = move |inbound: &Inbound| {
        let [] = only(inbound, [])?;
        Ok(ShowHealth { room: room.clone() })
    };
    let warnings = Arc::clone(&rooms.warnings);
    door.route(Method::GET, &at("/health"), health, move |all| {
        let health: Vec<Value> = all.iter().map(health_of).collect();
        outbound::json(&json!({ "health": health, "warnings": warnings() }))
    });
    let (room, measure) = (rooms.observe.clone(), Arc::clone(measure));
    let metrics = move |_: &Inbound| Ok(ShowMetrics { room: room.clone(), own: measure() });
    door.route(Method::GET, "/metrics", metrics, exposition);
    remedies(door, rooms);
}

fn remedies(door: &mut Door, rooms: &Rooms) {
    let rooms = rooms.clone();
    door.choice(Method::POST, &format!("{PREFIX}/remedies/{{remedy}}/run"), &VERBS, move |inbound: &Inbound| {
        let (Nothing {}, rooms, id) = (body(inbound)?, rooms.clone(), inbound.path("remedy").to_owned());
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { outbound::json(&remedy(&rooms.run(visitor, id).await?)) })))
    });
}

impl Rooms {
    /// Takes the remedy up, does what it says as the caller, and notes what came of it.
    ///
    /// # Errors
    /// What its verbs refuse or fail with.
    pub async fn run(self, visitor: &Visitor, id: String) -> Result<Remedy, Problem> {
        let taken = visitor.call(RunRemedy { room: self.observe.clone(), id: id.clone() }).await?;
        let done = self.act(visitor, &taken.act).await;
        let result = match &done {
            Ok(result) => result.clone(),
            Err(problem) => format!("{FAILED}{}", problem.message()),
        };
        let noted = visitor.call(RemedyDone { room: self.observe.clone(), id, result }).await;
        done.and(noted)
    }

    async fn act(&self, visitor: &Visitor, act: &Act) -> Result<String, Problem> {
        let reason = || "named by an alert".to_owned();
        match act.clone() {
            Act::RollBack { endpoint, version } => {
                let update = UpdateEndpoint { room: self.serving.clone(), name: endpoint, choice: version };
                let changed = visitor.call(update).await?;
                Ok(format!("`{}` answers with {}", changed.name, changed.choice))
            }
            Act::RefuseData { dataset, version } => {
                let refuse = data::ops::Refuse { room: self.data.clone(), dataset, version, reason: reason() };
                let decided = visitor.call(refuse).await?;
                Ok(format!("version {} is {}", decided.number, decided.state.word()))
            }
            Act::RefuseModel { model, version } => {
                visitor
                    .call(admission::ops::Refuse { room: self.admission.clone(), name: model, version, reason: reason() })
                    .await?;
                Ok("the version is refused".to_owned())
            }
            Act::Retrain { model, version } => {
                let job = retraining::again(&self.retrain, &self.data, visitor, model, version).await?;
                Ok(format!("job {} is {}", job.id, job.state.word()))
            }
            Act::Throttle { endpoint, caller } => {
                let duration = Duration::from_secs(THROTTLE_MINUTES * 60);
                let (room, level) = (self.serving.clone(), Level::Slower);
                let words = format!("`{endpoint}` answers {caller} slowly for {THROTTLE_MINUTES} minutes");
                visitor.call(ThrottleTrail { room, name: endpoint, caller, level, duration }).await?;
                Ok(words)
            }
            Act::ByHand => Err(Problem::new(Kind::NotImplemented, "only a person can do this; its words say what")),
        }
    }
}

fn labels_of(inbound: &Inbound) -> Result<Vec<Label>, Problem> {
    let LabelsBody { labels } = body(inbound)?;
    let read = labels.into_iter().map(|one| {
        let truth = match one.label {
            Value::String(text) => text,
            // As classes are named: 1 for 1.0, and 0 for -0.0.
            Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |value| (value + 0.0).to_string()),
            Value::Bool(flag) => u8::from(flag).to_string(),
            _ => return Err(Problem::invalid("a label is a text, a number, or true or false")),
        };
        Ok(Label { prediction: one.prediction, row: one.row, truth })
    });
    read.collect()
}

fn told(inbound: &Inbound) -> Result<Vec<Told>, Problem> {
    let message: WebhookBody = body(inbound)?;
    if message.version != WEBHOOK_VERSION {
        return Err(Problem::invalid(format!("the message is of version `4`, not of `{}`", message.version)));
    }
    let read = message.alerts.into_iter().map(|one| {
        let news = match one.status.as_str() {
            "firing" => News::Firing,
            "resolved" => News::Resolved,
            _ => return Err(Problem::invalid("an alert is `firing` or `resolved`")),
        };
        let label = |name: &str| one.labels.get(name).cloned();
        let summary = ["summary", "description"].iter().find_map(|name| one.annotations.get(*name)).cloned();
        Ok(Told {
            news,
            // Of one that has none, its labels.
            fingerprint: if one.fingerprint.is_empty() { format!("{:?}", one.labels) } else { one.fingerprint.clone() },
            name: label("alertname").unwrap_or_else(|| "alert".to_owned()),
            severity: label("severity"),
            summary: summary.unwrap_or_default(),
            began_at: parse("startsAt", &one.starts_at).unwrap_or(Micros(0)),
        })
    });
    read.collect()
}

fn exposition(text: String) -> Result<Answer, Problem> {
    let mut answer = Answer::new(axum::body::Body::from(text));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    Ok(answer)
}

fn alert(alert: &Alert) -> Value {
    json!({
        "id": alert.id,
        "kind": alert.kind,
        "severity": alert.severity.word(),
        "state": alert.state.word(),
        "subject": alert.detail.subject,
        "headline": alert.headline,
        "since": to_text(alert.began_at),
        "opened_at": to_text(alert.opened_at),
        "seen_at": to_text(alert.seen_at),
        "crosses_at": alert.crosses_at.map(to_text),
        "certainty": alert.certainty,
        "acknowledged_at": alert.acknowledged.as_ref().map(|one| to_text(one.0)),
        "acknowledged_by": alert.acknowledged.as_ref().map(|one| &one.1),
        "resolved_at": alert.resolved.as_ref().map(|one| to_text(one.0)),
        "resolved_by": alert.resolved.as_ref().map(|one| &one.1),
    })
}

fn found_alert(found: &FoundAlert) -> Value {
    let mut value = alert(&found.alert);
    let detail = &found.alert.detail;
    if let Some(fields) = value.as_object_mut() {
        let causes = detail.causes.iter().map(|cause| {
            json!({
                "weight": cause.weight,
                "words": cause.words,
                "at": cause.event.as_ref().map(|event| to_text(Micros(event.at_us))),
            })
        });
        fields.insert("causes".to_owned(), causes.collect());
        let columns = detail.columns.iter().map(|column| {
            json!({
                "column": column.column,
                "moved_share": column.moved_share,
                "false_discovery_rate": column.false_discovery_rate,
                "stability_index": column.stability_index,
                "change": column.change,
            })
        });
        fields.insert("columns".to_owned(), columns.collect());
        fields.insert("origin".to_owned(), json!(detail.origin));
        fields.insert("numbers".to_owned(), json!(detail.numbers));
        fields.insert("remedies".to_owned(), found.remedies.iter().map(remedy).collect());
    }
    value
}

fn remedy(remedy: &Remedy) -> Value {
    json!({
        "id": remedy.id,
        "words": remedy.words,
        "command": remedy.command,
        "runnable": remedy.act != Act::ByHand,
        "run_at": remedy.run.as_ref().map(|run| to_text(run.0)),
        "run_by": remedy.run.as_ref().map(|run| &run.1),
        "result": remedy.run.as_ref().map(|run| &run.2),
    })
}

fn minute_of(minute: &TrafficMinute) -> Value {
    json!({
        "at": to_text(minute.at),
        "answered": minute.answered,
        "invalid": minute.invalid,
        "limited": minute.limited,
        "failed": minute.failed,
        "rows": minute.rows,
        "p50_us": minute.p50_us,
        "p99_us": minute.p99_us,
    })
}

fn health_of(one: &HealthOf) -> Value {
    json!({ "kind": one.kind, "name": one.name, "state": one.state.word(), "reasons": one.reasons })
}
