//! `datasets/…`: evaluation datasets, their tags, experiments and records. Documents travel as JSON inside of JSON texts.

use evaluation::ops::{
    AddExperiments, CreateDataset, DeleteDataset, DeleteRecords, DeleteTag, GetDataset, GetRecords, RemoveExperiments,
    SearchDatasets, SetTags, UpsertRecords,
};
use evaluation::{Dataset, Evaluation, KeyValue, NewRecord, Page, Record, RecordSource, Upserted, limits};
use http::Method;
use kernel::Problem;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::bound;
use super::json::{Fields, check_depth, missing};
use crate::{Answer, Door, Inbound};

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Evaluation) {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let one = "/mlflow/datasets/{dataset_id}";
    door.mlflow(post.clone(), "/mlflow/datasets/create", bound(room, create), dataset);
    door.mlflow(post.clone(), "/mlflow/datasets/search", bound(room, search), datasets);
    door.mlflow(get.clone(), "/mlflow/datasets/search", bound(room, search), datasets);
    door.mlflow(get.clone(), one, bound(room, read), dataset);
    door.mlflow(delete.clone(), one, bound(room, remove), |()| crate::json(&json!({})));
    door.mlflow(patch, &format!("{one}/tags"), bound(room, set_tags), |()| crate::json(&json!({})));
    door.mlflow(delete.clone(), &format!("{one}/tags/{{tag_key}}"), bound(room, delete_tag), |()| crate::json(&json!({})));
    door.mlflow(get.clone(), &format!("{one}/experiment-ids"), bound(room, read), experiment_ids);
    door.mlflow(post.clone(), &format!("{one}/add-experiments"), bound(room, add_experiments), dataset);
    door.mlflow(post.clone(), &format!("{one}/remove-experiments"), bound(room, remove_experiments), dataset);
    door.mlflow(post, &format!("{one}/records"), bound(room, upsert), upserted);
    door.mlflow(delete, &format!("{one}/records"), bound(room, delete_records), |count| {
        crate::json(&json!({"deleted_count": count}))
    });
    for prefix in super::PREFIXES {
        let reader = room.clone();
        door.route_with(get.clone(), &format!("{prefix}{one}/records"), move |inbound| read_records(&reader, inbound), records);
    }
}

fn dataset_id(inbound: &Inbound) -> String {
    inbound.path("dataset_id").to_owned()
}

fn create(room: &Evaluation, inbound: &Inbound) -> Result<CreateDataset, Problem> {
    let fields = Fields::of(inbound)?;
    Ok(CreateDataset {
        room: room.clone(),
        name: fields.need_text("name")?,
        experiment_ids: fields.texts("experiment_ids")?,
        tags: tags(&fields)?,
    })
}

fn read(room: &Evaluation, inbound: &Inbound) -> Result<GetDataset, Problem> {
    Ok(GetDataset { room: room.clone(), dataset_id: dataset_id(inbound) })
}

fn remove(room: &Evaluation, inbound: &Inbound) -> Result<DeleteDataset, Problem> {
    Ok(DeleteDataset { room: room.clone(), dataset_id: dataset_id(inbound) })
}

fn search(room: &Evaluation, inbound: &Inbound) -> Result<SearchDatasets, Problem> {
    let fields = Fields::of(inbound)?;
    Ok(SearchDatasets {
        room: room.clone(),
        experiment_ids: fields.texts("experiment_ids")?,
        filter: fields.text("filter_string")?.unwrap_or_default(),
        order_by: fields.texts("order_by")?,
        max_results: fields.int("max_results")?.filter(|count| *count != 0).unwrap_or(limits::SEARCH_RESULT_COUNT_DEFAULT),
        page_token: fields.text("page_token")?,
    })
}

fn set_tags(room: &Evaluation, inbound: &Inbound) -> Result<SetTags, Problem> {
    let fields = Fields::of(inbound)?;
    fields.need_text("tags")?;
    Ok(SetTags { room: room.clone(), dataset_id: dataset_id(inbound), tags: tags(&fields)? })
}

fn delete_tag(room: &Evaluation, inbound: &Inbound) -> Result<DeleteTag, Problem> {
    Ok(DeleteTag { room: room.clone(), dataset_id: dataset_id(inbound), key: inbound.path("tag_key").to_owned() })
}

fn add_experiments(room: &Evaluation, inbound: &Inbound) -> Result<AddExperiments, Problem> {
    let experiment_ids = Fields::of(inbound)?.texts("experiment_ids")?;
    Ok(AddExperiments { room: room.clone(), dataset_id: dataset_id(inbound), experiment_ids })
}

fn remove_experiments(room: &Evaluation, inbound: &Inbound) -> Result<RemoveExperiments, Problem> {
    let experiment_ids = Fields::of(inbound)?.texts("experiment_ids")?;
    Ok(RemoveExperiments { room: room.clone(), dataset_id: dataset_id(inbound), experiment_ids })
}

fn upsert(room: &Evaluation, inbound: &Inbound) -> Result<UpsertRecords, Problem> {
    let text = Fields::of(inbound)?.need_text("records")?;
    let Value::Array(entries) = document("records", &text)? else {
        return Err(Problem::invalid("`records` must be a JSON list of objects"));
    };
    let records = entries.into_iter().enumerate().map(|(index, entry)| record(index, entry)).collect::<Result<_, _>>()?;
    Ok(UpsertRecords { room: room.clone(), dataset_id: dataset_id(inbound), records })
}

fn delete_records(room: &Evaluation, inbound: &Inbound) -> Result<DeleteRecords, Problem> {
    let record_ids = Fields::of(inbound)?.texts("dataset_record_ids")?;
    Ok(DeleteRecords { room: room.clone(), dataset_id: dataset_id(inbound), record_ids })
}

fn read_records(room: &Evaluation, inbound: &Inbound) -> Result<(GetRecords, String), Problem> {
    let fields = Fields::of(inbound)?;
    let max_results = fields.int("max_results")?.filter(|count| *count != 0).unwrap_or(limits::RECORD_PAGE_COUNT_MAX);
    let page_token = fields.text("page_token")?;
    let dataset_id = dataset_id(inbound);
    Ok((GetRecords { room: room.clone(), dataset_id: dataset_id.clone(), max_results, page_token }, dataset_id))
}

/// The JSON that a text holds.
fn document(name: &str, text: &str) -> Result<Value, Problem> {
    check_depth(text.as_bytes())?;
    serde_json::from_str(text).map_err(|error| Problem::invalid(format!("`{name}` must be JSON in a text: {error}")))
}

/// The tags in a text such as `{"team": "ml"}`.
fn tags(fields: &Fields) -> Result<Vec<KeyValue>, Problem> {
    let Some(text) = fields.text("tags")?.filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let Value::Object(all) = document("tags", &text)? else {
        return Err(Problem::invalid("`tags` must be a JSON object of texts"));
    };
    let mut found = Vec::with_capacity(all.len());
    for (key, value) in all {
        let value = match value {
            // MLflow passes over a tag without a value, and writes others as Python does.
            Value::Null => continue,
            Value::String(text) => text,
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            other => other.to_string(),
        };
        found.push(KeyValue { key, value });
    }
    Ok(found)
}

fn record(index: usize, entry: Value) -> Result<NewRecord, Problem> {
    let Value::Object(mut entry) = entry else {
        return Err(Problem::invalid(format!("records[{index}] must be a JSON object")));
    };
    let inputs = match entry.remove("inputs") {
        Some(Value::Null) => return Err(missing(&format!("records[{index}].inputs"))),
        inputs => object(index, "inputs", inputs)?,
    };
    let source = match entry.remove("source") {
        None | Some(Value::Null) => None,
        given => Some(source(index, object(index, "source", given)?)?),
    };
    Ok(NewRecord {
        inputs,
        outputs: entry.remove("outputs"),
        expectations: object(index, "expectations", entry.remove("expectations"))?,
        tags: object(index, "tags", entry.remove("tags"))?,
        source,
    })
}

fn object(index: usize, name: &str, value: Option<Value>) -> Result<Map<String, Value>, Problem> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(Problem::invalid(format!("records[{index}].{name} must be a JSON object"))),
    }
}

fn source(index: usize, mut given: Map<String, Value>) -> Result<RecordSource, Problem> {
    let Some(Value::String(kind)) = given.remove("source_type") else {
        return Err(missing(&format!("records[{index}].source.source_type")));
    };
    Ok(RecordSource { kind, data: object(index, "source.source_data", given.remove("source_data"))? })
}

fn view(dataset: &Dataset) -> Value {
    let tags: Map<String, Value> = dataset.tags.iter().map(|tag| (tag.key.clone(), Value::from(tag.value.as_str()))).collect();
    let mut view = json!({
        "dataset_id": dataset.dataset_id,
        "name": dataset.name,
        "tags": Value::Object(tags).to_string(),
        "digest": dataset.digest,
        "created_time": dataset.created_ms,
        "last_update_time": dataset.updated_ms,
        "created_by": dataset.created_by,
        "last_updated_by": dataset.updated_by,
    });
    if let Some(fields) = view.as_object_mut() {
        if let Some(schema) = &dataset.schema {
            fields.insert("schema".to_owned(), Value::from(schema.as_str()));
        }
        if dataset.record_count > 0 {
            fields.insert("profile".to_owned(), Value::from(format!("{{\"num_records\": {}}}", dataset.record_count)));
        }
        if !dataset.experiment_ids.is_empty() {
            fields.insert("experiment_ids".to_owned(), ids(dataset));
        }
    }
    view
}

fn ids(dataset: &Dataset) -> Value {
    dataset.experiment_ids.iter().map(|id| Value::from(id.to_string())).collect()
}

fn dataset(dataset: Dataset) -> Result<Answer, Problem> {
    crate::json(&json!({"dataset": view(&dataset)}))
}

fn experiment_ids(dataset: Dataset) -> Result<Answer, Problem> {
    crate::json(&if dataset.experiment_ids.is_empty() { json!({}) } else { json!({"experiment_ids": ids(&dataset)}) })
}

fn datasets(page: Page<Dataset>) -> Result<Answer, Problem> {
    let mut answer = Map::new();
    if !page.items.is_empty() {
        answer.insert("datasets".to_owned(), page.items.iter().map(view).collect());
    }
    answer.extend(page.next_page_token.map(|token| ("next_page_token".to_owned(), Value::from(token))));
    crate::json(&answer)
}

fn upserted(done: Upserted) -> Result<Answer, Problem> {
    crate::json(&json!({"inserted_count": done.inserted, "updated_count": done.updated}))
}

#[derive(Serialize)]
struct RecordView<'a> {
    dataset_record_id: &'a str,
    dataset_id: &'a str,
    inputs: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expectations: Option<&'a RawValue>,
    tags: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_type: Option<&'a str>,
    created_time: i64,
    last_update_time: i64,
    created_by: &'a str,
    last_updated_by: &'a str,
}

fn record_view<'a>(record: &'a Record, dataset_id: &'a str) -> Result<RecordView<'a>, serde_json::Error> {
    let raw = |text: &'a Option<String>| text.as_deref().map(serde_json::from_str::<&RawValue>).transpose();
    Ok(RecordView {
        dataset_record_id: &record.record_id,
        dataset_id,
        inputs: serde_json::from_str(&record.inputs)?,
        outputs: raw(&record.outputs)?,
        expectations: raw(&record.expectations)?,
        tags: serde_json::from_str(&record.tags)?,
        source: raw(&record.source)?,
        source_id: record.source_id.as_deref(),
        source_type: record.source_type.as_deref(),
        created_time: record.created_ms,
        last_update_time: record.updated_ms,
        created_by: &record.created_by,
        last_updated_by: &record.updated_by,
    })
}

fn records(page: Page<Record>, dataset_id: String) -> Result<Answer, Problem> {
    let views = page.items.iter().map(|record| record_view(record, &dataset_id)).collect::<Result<Vec<_>, _>>();
    let text = views.and_then(|views| serde_json::to_string(&views));
    let text = text.map_err(|source| Problem::internal("a record could not be written as JSON", source))?;
    let mut answer = Map::from_iter([("records".to_owned(), Value::from(text))]);
    answer.extend(page.next_page_token.map(|token| ("next_page_token".to_owned(), Value::from(token))));
    crate::json(&answer)
}
