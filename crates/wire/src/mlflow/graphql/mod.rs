//! `/graphql`, which MLflow's web page asks for runs and experiments. Each root field is one verb of a room and passes the
//! gate by itself, so a query can show no more than the REST interface would.

mod query;

use artifacts::{Artifacts, ListArtifacts, Owner, Place};
use gate::{CallerKind, Operation, Visitor};
use http::Method;
use kernel::{Kind, Problem};
use registry::Registry;
use registry::ops::SearchVersions;
use serde_json::{Map, Value, json};
use tracking::Tracking;
use tracking::ops::{GetExperiment, GetMetricHistoryBulkInterval, GetRun, SearchDatasets, SearchRuns};

use super::json::Fields;
use super::{artifacts as files, metrics, registry_view, runs, tracking_view};
use crate::door::Chosen;
use crate::{Answer, Door, Inbound, json as json_answer};
use query::Field;

/// Model versions shown of one run.
const VERSION_COUNT_MAX: i64 = 100;
/// An answer of a verb that is taken apart here.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The rooms that queries reach.
#[derive(Clone)]
struct Rooms {
    tracking: Tracking,
    registry: Registry,
    artifacts: Artifacts,
}

/// Adds the routes.
pub fn routes(door: &mut Door, tracking: &Tracking, registry: &Registry, artifacts: &Artifacts) {
    let actions = [
        GetRun::ACTION,
        GetExperiment::ACTION,
        SearchRuns::ACTION,
        GetMetricHistoryBulkInterval::ACTION,
        ListArtifacts::ACTION,
        SearchVersions::ACTION,
    ];
    let rooms = Rooms { tracking: tracking.clone(), registry: registry.clone(), artifacts: artifacts.clone() };
    for (method, path) in [(Method::POST, "/graphql"), (Method::GET, "/graphql")] {
        let rooms = rooms.clone();
        door.choice(method, path, &actions, move |inbound| read(&rooms, inbound));
    }
}

fn read(rooms: &Rooms, inbound: &Inbound) -> Result<Chosen, Problem> {
    let fields = Fields::of(inbound)?;
    let text = fields.need_text("query")?;
    let variables = match fields.get("variables") {
        Some(Value::Object(variables)) => variables.clone(),
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => Map::new(),
    };
    let (rooms, parsed) = (rooms.clone(), query::root_fields(&text, &variables));
    Ok(Chosen::verbs(move |visitor| Box::pin(answer(rooms, visitor, parsed))))
}

/// GraphQL answers 200 with its errors inside; only a stranger is told to log in first.
async fn answer(rooms: Rooms, visitor: &Visitor, parsed: Result<Vec<Field>, Problem>) -> Result<Answer, Problem> {
    if visitor.caller().kind == CallerKind::Anonymous {
        let stranger = Problem::new(Kind::Unauthenticated, "You are not authenticated.");
        return Err(visitor.refuse(GetRun::ACTION, stranger).await);
    }
    let roots = match parsed {
        Ok(roots) => roots,
        Err(problem) => {
            let problem = visitor.refuse(GetRun::ACTION, problem).await;
            return json_answer(&json!({"data": null, "errors": [problem.message()]}));
        }
    };
    let mut data = Map::new();
    let mut errors = Vec::new();
    for root in &roots {
        let value = match rooms.resolve(visitor, root).await {
            Ok(value) => value,
            Err(problem) if matches!(problem.kind(), Kind::Unavailable | Kind::TooMany) => return Err(problem),
            Err(problem) => {
                errors.push(problem.message().to_owned());
                Value::Null
            }
        };
        data.insert(root.key.clone(), value);
    }
    let errors = if errors.is_empty() { Value::Null } else { json!(errors) };
    json_answer(&json!({"data": data, "errors": errors}))
}

impl Rooms {
    async fn resolve(&self, visitor: &Visitor, root: &Field) -> Result<Value, Problem> {
        let input = Fields::from(query::input_of(root));
        let answer = match root.name.as_str() {
            "test" => json!({"output": root.arguments.get("inputString").cloned().unwrap_or(Value::Null)}),
            "mlflowGetRun" => self.run(visitor, root, &input).await?,
            "mlflowGetExperiment" => {
                let verb = GetExperiment { room: self.tracking.clone(), experiment_id: input.need_text("experiment_id")? };
                value_of(tracking_view::experiment(visitor.call(verb).await?)?).await?
            }
            "mlflowSearchRuns" => {
                let verb = runs::search_of(&self.tracking, &input)?;
                value_of(tracking_view::runs(visitor.call(verb).await?)?).await?
            }
            "mlflowGetMetricHistoryBulkInterval" => {
                let verb = metrics::interval_of(&self.tracking, &input)?;
                value_of(tracking_view::interval_history(visitor.call(verb).await?)?).await?
            }
            "mlflowSearchDatasets" => {
                let verb = SearchDatasets { room: self.tracking.clone(), experiment_ids: input.texts("experiment_ids")? };
                value_of(tracking_view::dataset_summaries(visitor.call(verb).await?)?).await?
            }
            "mlflowListArtifacts" => {
                let owner = Owner::Run(runs::run_id(&input)?);
                let place = Place::of(owner, input.text("path")?.as_deref())?;
                let verb = ListArtifacts { room: self.artifacts.clone(), place };
                value_of(files::listing(visitor.call(verb).await?)?).await?
            }
            "mlflowSearchModelVersions" => self.versions(visitor, input.text("filter")?.unwrap_or_default()).await?,
            unknown => return Err(Problem::invalid(format!("Cannot query field '{unknown}' on type 'Query'."))),
        };
        Ok(query::select(&answer, &root.fields))
    }

    /// A run; its experiment and the versions made from it are further verbs, asked only where they are selected.
    async fn run(&self, visitor: &Visitor, root: &Field, input: &Fields) -> Result<Value, Problem> {
        let verb = GetRun { room: self.tracking.clone(), run_id: runs::run_id(input)? };
        let mut answer = value_of(tracking_view::run(visitor.call(verb).await?)?).await?;
        let Some(selected) = root.child("run") else { return Ok(answer) };
        let text =
            |name: &str| answer.pointer(&format!("/run/info/{name}")).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (run_id, experiment_id) = (text("run_id"), text("experiment_id"));
        let mut more = Map::new();
        if selected.selects("experiment") {
            let verb = GetExperiment { room: self.tracking.clone(), experiment_id };
            let mut found = value_of(tracking_view::experiment(visitor.call(verb).await?)?).await?;
            more.insert("experiment".to_owned(), found.get_mut("experiment").map_or(Value::Null, Value::take));
        }
        if selected.selects("modelVersions") {
            // The id came out of our own row: 32 hex digits.
            let mut found = self.versions(visitor, format!("run_id='{run_id}'")).await?;
            more.insert("model_versions".to_owned(), found.get_mut("model_versions").map_or_else(|| json!([]), Value::take));
        }
        if let Some(run) = answer.get_mut("run").and_then(Value::as_object_mut) {
            run.extend(more);
        }
        Ok(answer)
    }

    async fn versions(&self, visitor: &Visitor, filter: String) -> Result<Value, Problem> {
        let verb = SearchVersions {
            room: self.registry.clone(),
            filter,
            order_by: Vec::new(),
            max_results: Some(VERSION_COUNT_MAX),
            page_token: None,
        };
        value_of(registry_view::model_versions(visitor.call(verb).await?)?).await
    }
}

/// A finished answer's JSON.
async fn value_of(answer: Answer) -> Result<Value, Problem> {
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| Problem::internal("an answer could not be read back", error);
    let bytes = axum::body::to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await.map_err(|error| broken(error.into()))?;
    serde_json::from_slice(&bytes).map_err(|error| broken(error.into()))
}
