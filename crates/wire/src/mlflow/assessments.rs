//! `traces/{trace_id}/assessments/…`: what is thought of a trace.

use http::Method;
use kernel::Problem;
use serde_json::{Value, json};
use traces::ops::{CreateAssessment, DeleteAssessment, GetAssessment, UpdateAssessment};
use traces::{Assessment, AssessmentChange, AssessmentKind, AssessmentSource, NewAssessment, Traces};

use super::json::{Fields, missing, wrong_type};
use super::trace_view::{self, JSON_FORMAT};
use super::traces::{entries, trace_id};
use super::tracking_view;
use crate::admin::times;
use crate::{Answer, Door, Inbound};

/// Adds these routes.
pub(super) fn routes(door: &mut Door, room: &Traces) {
    for prefix in ["/api/3.0", "/ajax-api/3.0"] {
        let all = format!("{prefix}/mlflow/traces/{{trace_id}}/assessments");
        let one = format!("{all}/{{assessment_id}}");
        let (creator, reader, changer, remover) = (room.clone(), room.clone(), room.clone(), room.clone());
        door.route_with(Method::POST, &all, move |inbound| create(&creator, inbound), shown);
        door.route_with(Method::GET, &one, move |inbound| read(&reader, inbound), shown);
        door.route_with(Method::PATCH, &one, move |inbound| update(&changer, inbound), shown);
        door.route(Method::DELETE, &one, move |inbound| delete(&remover, inbound), tracking_view::nothing);
    }
}

fn shown(found: Assessment, trace_id: String) -> Result<Answer, Problem> {
    crate::json(&json!({"assessment": trace_view::assessment(&trace_id, &found)}))
}

fn assessment_of(fields: &Fields) -> Result<Fields, Problem> {
    fields.object("assessment")?.ok_or_else(|| missing("assessment"))
}

fn create(room: &Traces, inbound: &Inbound) -> Result<(CreateAssessment, String), Problem> {
    let trace_id = trace_id(inbound);
    let assessment = new(&assessment_of(&Fields::of(inbound)?)?, false)?;
    Ok((CreateAssessment { room: room.clone(), trace_id: trace_id.clone(), assessment }, trace_id))
}

fn read(room: &Traces, inbound: &Inbound) -> Result<(GetAssessment, String), Problem> {
    let trace_id = trace_id(inbound);
    let assessment_id = inbound.path("assessment_id").to_owned();
    Ok((GetAssessment { room: room.clone(), trace_id: trace_id.clone(), assessment_id }, trace_id))
}

fn delete(room: &Traces, inbound: &Inbound) -> Result<DeleteAssessment, Problem> {
    let assessment_id = inbound.path("assessment_id").to_owned();
    Ok(DeleteAssessment { room: room.clone(), trace_id: trace_id(inbound), assessment_id })
}

fn update(room: &Traces, inbound: &Inbound) -> Result<(UpdateAssessment, String), Problem> {
    let fields = Fields::of(inbound)?;
    let assessment = assessment_of(&fields)?;
    let mut change = AssessmentChange::default();
    for path in mask(&fields)? {
        match path.as_str() {
            "assessment_name" | "assessmentName" => change.name = Some(assessment.text("assessment_name")?.unwrap_or_default()),
            "rationale" => change.rationale = Some(assessment.text("rationale")?.unwrap_or_default()),
            "metadata" => change.metadata = entries(&assessment, "metadata")?,
            "feedback" | "expectation" => {
                if change.value.is_some() {
                    return Err(Problem::invalid("Cannot specify both `expectation` and `feedback` parameters."));
                }
                let (kind, value, error) = value(&assessment)?;
                change.value = Some((Some(kind), value, error));
            }
            // `valid` follows from what overrides what.
            _ => {}
        }
    }
    let trace_id = trace_id(inbound);
    let assessment_id = inbound.path("assessment_id").to_owned();
    Ok((UpdateAssessment { room: room.clone(), trace_id: trace_id.clone(), assessment_id, change }, trace_id))
}

/// The paths of a `FieldMask`: one text with commas, or an object with a list.
fn mask(fields: &Fields) -> Result<Vec<String>, Problem> {
    match fields.get("update_mask") {
        None => Err(missing("update_mask")),
        Some(Value::String(text)) => Ok(text.split(',').map(|path| path.trim().to_owned()).collect()),
        Some(Value::Object(_)) => fields.object("update_mask")?.unwrap_or_default().texts("paths"),
        Some(other) => Err(wrong_type("update_mask", other)),
    }
}

/// An assessment to be kept; `known` where it came with its trace and may have had an id before.
pub(super) fn new(fields: &Fields, known: bool) -> Result<NewAssessment, Problem> {
    let (kind, value, error) = value(fields)?;
    let source = fields.object("source")?.ok_or_else(|| missing("source"))?;
    let metadata = entries(fields, "metadata")?;
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    let time = |name: &str| {
        let text = fields.text(name)?;
        text.map(|text| times::parse(name, &text).map(kernel::Micros::as_millis)).transpose()
    };
    Ok(NewAssessment {
        assessment_id: if known { some(fields.text("assessment_id")?) } else { None },
        kind,
        name: fields.need_text("assessment_name")?,
        value,
        error,
        source: AssessmentSource { kind: source_kind(&source)?, id: source.text("source_id")?.unwrap_or_default() },
        span_id: some(fields.text("span_id")?),
        rationale: some(fields.text("rationale")?),
        metadata: (!metadata.is_empty())
            .then(|| metadata.into_iter().map(|(key, value)| (key, Value::String(value))).collect())
            .map(object_text),
        overrides: some(fields.text("overrides")?),
        created_ms: time("create_time")?,
        updated_ms: time("last_update_time")?,
    })
}

fn object_text(map: serde_json::Map<String, Value>) -> String {
    Value::Object(map).to_string()
}

fn source_kind(source: &Fields) -> Result<String, Problem> {
    let value = source.get("source_type").ok_or_else(|| missing("source.source_type"))?;
    Ok(match value {
        Value::String(text) => text.clone(),
        other => match other.to_string().as_str() {
            "1" => "HUMAN".to_owned(),
            "2" => "LLM_JUDGE".to_owned(),
            "3" => "CODE".to_owned(),
            _ => return Err(wrong_type("source.source_type", other)),
        },
    })
}

/// The kind, the value and the error of an assessment, the latter two as JSON.
fn value(fields: &Fields) -> Result<(AssessmentKind, String, Option<String>), Problem> {
    let plain = |fields: &Fields| fields.get("value").unwrap_or(&Value::Null).to_string();
    if let Some(feedback) = fields.object("feedback")? {
        return Ok((AssessmentKind::Feedback, plain(&feedback), feedback.get("error").map(ToString::to_string)));
    }
    if let Some(expectation) = fields.object("expectation")? {
        let Some(serialized) = expectation.object("serialized_value")? else {
            return Ok((AssessmentKind::Expectation, plain(&expectation), None));
        };
        let format = serialized.text("serialization_format")?.unwrap_or_default();
        if format != JSON_FORMAT {
            return Err(Problem::invalid(format!("Unknown serialization format: {format}. Only {JSON_FORMAT} is supported.")));
        }
        let text = serialized.text("value")?.unwrap_or_default();
        let value: Value =
            serde_json::from_str(&text).map_err(|_| Problem::invalid("`serialized_value.value` is not valid JSON"))?;
        return Ok((AssessmentKind::Expectation, value.to_string(), None));
    }
    if let Some(issue) = fields.object("issue")? {
        let name = issue.text("issue_name")?.unwrap_or_default();
        return Ok((AssessmentKind::Issue, json!({"issue_name": name}).to_string(), None));
    }
    Err(Problem::invalid("Assessment must have either feedback, expectation, or issue value"))
}
