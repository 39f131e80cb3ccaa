//! `/trace`: from a prediction back to the model, its admission, its code, data and people; and from any of those on to endpoints
//! and predictions. A trace is asked for by several verbs, one after the other as the caller.

use admission::Admission;
use admission::ops::ShowStanding;
use data::Verdict;
use gate::{Operation, Visitor};
use http::Method;
use kernel::{Kind, Problem, hex};
use lineage::ops::{WalkGraph, Walked};
use lineage::{Direction, Lineage, Made, NodeKind, Root};
use predictions::ops::{CountPredictions, FindPrediction, SearchPredictions, Wish};
use predictions::{Count, Found, Predictions, Record};
use serde_json::{Value, json};

use super::lineage::{document, walk_json};
use super::times::to_text;
use super::{models, predictions as view, shape};
use crate::{Answer, Chosen, Door, Inbound, outbound};

const PATH: &str = "/api/strongroom/v1/trace";

/// The rooms that a trace is asked of.
#[derive(Clone)]
struct Rooms {
    predictions: Predictions,
    lineage: Lineage,
    admission: Admission,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Text,
    Svg,
}

/// What is asked.
struct Ask {
    subject: String,
    direction: Direction,
    rows: usize,
    form: Form,
}

/// Where a prediction is traced.
pub(super) fn address(id: &str) -> String {
    format!("{PATH}?subject={id}")
}

/// Adds the route.
pub fn routes(door: &mut Door, predictions: &Predictions, lineage: &Lineage, admission: &Admission) {
    let rooms = Rooms { predictions: predictions.clone(), lineage: lineage.clone(), admission: admission.clone() };
    let actions = [FindPrediction::ACTION, WalkGraph::ACTION, ShowStanding::ACTION];
    door.choice(Method::GET, PATH, &actions, move |inbound: &Inbound| {
        let (ask, rooms) = (Ask::read(inbound)?, rooms.clone());
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { rooms.answer(visitor, ask).await })))
    });
}

impl Ask {
    fn read(inbound: &Inbound) -> Result<Self, Problem> {
        let (page, [subject, direction, format]) = shape::query(inbound, ["subject", "direction", "format"])?;
        let missing = || Problem::invalid("`subject` must name where to begin: a prediction's id, or as lineage names things");
        let direction = match direction.as_deref() {
            None | Some("up") => Direction::Up,
            Some("down") => Direction::Down,
            Some(_) => return Err(Problem::invalid("`direction` is `up` or `down`")),
        };
        let form = match format.as_deref() {
            None | Some("json") => Form::Json,
            Some("text") => Form::Text,
            Some("svg") => Form::Svg,
            Some(_) => return Err(Problem::invalid("`format` is `json`, `text` or `svg`")),
        };
        Ok(Self { subject: subject.ok_or_else(missing)?, direction, rows: page.rows.unwrap_or(0), form })
    }

    /// The prediction that is meant, if one is.
    fn prediction(&self) -> Option<&str> {
        match self.subject.strip_prefix("prediction:") {
            Some(id) => Some(id),
            None => Some(self.subject.as_str()).filter(|id| serving::made_at(id).is_some()),
        }
    }
}

impl Rooms {
    async fn answer(self, visitor: &Visitor, ask: Ask) -> Result<Answer, Problem> {
        match ask.prediction().map(str::to_owned) {
            Some(id) if ask.direction == Direction::Up => self.back(visitor, id, ask.form).await,
            Some(_) => {
                Err(Problem::invalid("nothing stems from a prediction that this server knows of; ask without `direction=down`"))
            }
            None if ask.direction == Direction::Up => {
                let walked = self.walk(visitor, ask.subject, Direction::Up).await?;
                render(ask.form, &walked, walked.to_text(), |walk| walk)
            }
            None => self.onward(visitor, ask).await,
        }
    }

    async fn walk(&self, visitor: &Visitor, subject: String, direction: Direction) -> Result<Walked, Problem> {
        let root = Root::parse(&subject)?;
        visitor.call(WalkGraph { room: self.lineage.clone(), subject, root, direction, depth: None }).await
    }

    /// From a prediction to everything behind it.
    async fn back(self, visitor: &Visitor, id: String, form: Form) -> Result<Answer, Problem> {
        let found = visitor.call(FindPrediction { room: self.predictions.clone(), id }).await?;
        let walked = self.behind(visitor, &found).await?.begun_at(&made(&found));
        let standing = match found.model.clone() {
            Some(name) => {
                let version = found.batch.version.to_string();
                visitor.call(ShowStanding { room: self.admission, name, version }).await.map(|shown| Some(shown.standing))
            }
            None => Ok(None),
        };
        let standing = match standing {
            Ok(standing) => standing,
            // What the caller may not see is left out; that they asked is recorded.
            Err(problem) if matches!(problem.kind(), Kind::Forbidden | Kind::NotFound) => None,
            Err(problem) => return Err(problem),
        };
        let admitted = standing.as_ref().map(|standing| {
            let verdict = standing.verdict.map_or("none yet", Verdict::word);
            let mut line = format!("admission: {}, verdict {verdict}", standing.state.word());
            if let Some(decision) = &standing.decision {
                line.push_str(&format!(", {} by {} at {}", decision.kind.word(), decision.by, to_text(decision.at)));
            }
            if let Some(until) = standing.waiver_until {
                line.push_str(&format!(", waived until {}", to_text(until)));
            }
            line
        });
        let deleted = || format!("the model {} is deleted; what is known of it is told", found.record.version);
        let of_model = if found.model.is_some() { admitted.unwrap_or_default() } else { deleted() };
        let text = format!("{}\n{of_model}\n{}", said(&found), walked.to_text());
        render(form, &walked, text, |walk| {
            json!({
                "prediction": view::found_json(&found),
                "admission": standing.as_ref().map(models::standing),
                "walk": walk,
            })
        })
    }

    /// What lies behind the version that made a prediction. Where that comes from is known when it is deleted as well; what the caller may not
    /// see of it is left out then, and the prediction is told by itself.
    async fn behind(&self, visitor: &Visitor, found: &Found) -> Result<Walked, Problem> {
        let direction = Direction::Up;
        if let Some(model) = found.model.clone() {
            let number = found.batch.version.to_string();
            let subject = format!("{model}/{number}");
            let (room, root) = (self.lineage.clone(), Root::ModelVersion(model, number));
            match visitor.call(WalkGraph { room, subject, root, direction, depth: None }).await {
                Err(problem) if problem.kind() == Kind::NotFound => {}
                walked => return walked,
            }
        }
        let subject = format!("model-id:{}", found.record.version);
        match self.walk(visitor, subject.clone(), direction).await {
            Err(problem) if matches!(problem.kind(), Kind::Forbidden | Kind::NotFound) => Ok(Walked {
                subject,
                direction,
                roots: Vec::new(),
                found: Vec::new(),
                nodes: Vec::new(),
                edges: Vec::new(),
                endpoints: Vec::new(),
                truncated: false,
                leads_on: false,
            }),
            walked => walked,
        }
    }

    /// From anything to the endpoints and predictions that stem from it.
    async fn onward(self, visitor: &Visitor, ask: Ask) -> Result<Answer, Problem> {
        // Others may answer with the same version: of an endpoint, only its own predictions are meant.
        let endpoint = ask.subject.strip_prefix("endpoint:").map(str::to_owned);
        let walked = self.walk(visitor, ask.subject, Direction::Down).await?;
        let reached = walked.found.iter().filter(|found| found.kind == NodeKind::ModelVersion).map(|found| found.name.clone());
        let begun = walked.roots.iter().filter(|node| node.kind == NodeKind::ModelVersion).map(|node| node.name.clone());
        let versions: Vec<String> = reached.chain(begun).collect();
        let wish = Wish { versions: Some(versions), endpoint, ..Wish::default() };
        let counts = visitor.call(CountPredictions { room: self.predictions.clone(), wish: wish.clone() }).await?;
        let rows = if ask.rows > 0 && !counts.is_empty() {
            let search = SearchPredictions { room: self.predictions, wish, after: None, rows: Some(ask.rows) };
            visitor.call(search).await?.rows
        } else {
            Vec::new()
        };
        let text = format!("{}\n{}", walked.to_text(), in_words(&counts, &rows));
        render(ask.form, &walked, text, |walk| {
            json!({
                "walk": walk,
                "counts": counts.iter().map(view::count).collect::<Vec<_>>(),
                "predictions": rows.iter().map(view::record).collect::<Vec<_>>(),
            })
        })
    }
}

fn render(form: Form, walked: &Walked, text: String, whole: impl FnOnce(Value) -> Value) -> Result<Answer, Problem> {
    match form {
        Form::Json => outbound::json(&whole(walk_json(walked))),
        Form::Text => Ok(document(text, "text/plain; charset=utf-8")),
        Form::Svg => Ok(document(walked.to_svg(), "image/svg+xml")),
    }
}

fn made(found: &Found) -> Made {
    Made {
        id: found.record.id.clone(),
        at: kernel::Micros(found.record.at),
        entry: found.record.entry.clone(),
        endpoint_id: found.record.endpoint_id.clone(),
        endpoint: found.record.endpoint.clone(),
        caller: found.record.caller.clone(),
        caller_name: found.caller.clone(),
    }
}

fn said(found: &Found) -> String {
    let Found { record, batch, .. } = found;
    let verdicts = if record.verdicts.is_empty() { String::new() } else { format!(", guard: {}", record.verdicts.join(", ")) };
    format!(
        "prediction {}: {} at {}, {} row(s) in {} µs, logged as {}{verdicts}\nlogged: audit entry {}; sealed at {} in batch {} of {} with root {}",
        record.id,
        record.endpoint,
        to_text(kernel::Micros(record.at)),
        record.rows,
        record.latency_us,
        record.log,
        record.entry,
        to_text(batch.sealed_at),
        batch.id,
        batch.request_count,
        hex(&batch.root)
    )
}

fn in_words(counts: &[Count], rows: &[Record]) -> String {
    let total: i64 = counts.iter().map(|count| count.request_count).sum();
    let mut lines = vec![format!("predictions: {total}")];
    lines.extend(counts.iter().map(|count| {
        let (_, number) = count.version.rsplit_once('/').unwrap_or_default();
        let model = count.model.as_deref().unwrap_or("a deleted model");
        let (first, last) = (to_text(count.first_at), to_text(count.last_at));
        format!("  {} by {} of {model} version {number}, from {first} to {last}", count.request_count, count.endpoint)
    }));
    lines.extend(
        rows.iter().map(|row| format!("  {} {} {} for {}", row.id, to_text(kernel::Micros(row.at)), row.endpoint, row.caller)),
    );
    lines.join("\n")
}
