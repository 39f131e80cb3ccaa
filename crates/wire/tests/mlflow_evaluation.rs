//! MLflow's evaluation datasets and its prompt lab through the door: shapes of answers, spellings of requests, refusals.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::tests_outside_test_module, reason = "tests")]

use std::sync::Arc;

use artifacts::Artifacts;
use axum::body::Body;
use evaluation::Evaluation;
use gate::{Facts, Target};
use http::{Method, Request, StatusCode};
use kernel::SystemClock;
use serde_json::{Value, json};
use testkit::gate::TEST_WORKSPACE;
use tower::ServiceExt;
use tracking::Tracking;
use vault::keys::{KeyFile, Keyring};
use vault::objects::{Objects, ObjectsLocation};
use wire::{Door, DoorConfig};

struct Server {
    router: axum::Router,
    gate: testkit::TestGate,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let opened = vault::db::open(&vault::db::Location::Sqlite(folder.path().join("test.db"))).unwrap();
        KeyFile::create(&folder.path().join("root.key")).unwrap();
        let key = Arc::new(KeyFile::open(&folder.path().join("root.key")).unwrap());
        let keyring = Keyring::open(opened.system.clone(), key, Arc::new(SystemClock)).await.unwrap();
        let objects = Objects::open_at(&ObjectsLocation::Folder(folder.path().join("objects")), keyring).unwrap();
        let gate = testkit::open_gate();
        let ports = opened.ports;
        gate.set_facts_of(move |target| facts(&ports, target));
        let tracking = Tracking::new(opened.db.clone());
        let artifacts = Artifacts::new(opened.db.clone(), objects);
        let identity = identity::Identity::new(opened.db.clone(), identity::IdentityConfig::default()).unwrap();
        let mut door = Door::new(
            gate.gate.clone(),
            DoorConfig {
                allowed_hosts: vec!["localhost".to_owned()],
                trusted_proxies: Vec::new(),
                telemetry: None,
                problem_page: None,
            },
        );
        wire::mlflow::experiments::routes(&mut door, &tracking);
        wire::mlflow::artifacts::routes(&mut door, &artifacts, &identity);
        wire::mlflow::promptlab::routes(&mut door, &tracking, &artifacts);
        wire::mlflow::evaluation::routes(&mut door, &Evaluation::new(opened.db));
        Self { router: door.into_router(), gate, _folder: folder }
    }

    async fn bytes(&self, method: Method, path: &str, body: String) -> (StatusCode, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost:1")
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        (status, axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec())
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let body = if method == Method::GET { String::new() } else { body.to_string() };
        let (status, bytes) = self.bytes(method, path, body).await;
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn ok(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(method, path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn refused(&self, method: Method, path: &str, body: Value, status: StatusCode, part: &str) {
        let (found, answer) = self.send(method, path, body).await;
        assert_eq!(found, status, "{path}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(part), "`{answer}` does not contain `{part}`");
    }

    async fn experiment(&self) -> String {
        let made = self.ok(Method::POST, "/api/2.0/mlflow/experiments/create", json!({"name": kernel::random_id()})).await;
        made["experiment_id"].as_str().unwrap().to_owned()
    }
}

fn facts(ports: &vault::db::PortDb, target: &Target) -> Facts {
    let in_workspace = Facts { workspace: Some(TEST_WORKSPACE.to_owned()), ..Facts::default() };
    if *target == Target::Workspace {
        return Facts { exists: true, ..in_workspace };
    }
    let (ports, target) = (ports.clone(), target.clone());
    let look = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = ports.read_point(move |reader| match target {
            Target::EvaluationDataset(_) => Ok(evaluation::locate(reader, TEST_WORKSPACE, &target)?),
            _ => Ok(tracking::locate(reader, TEST_WORKSPACE, &target)?),
        });
        runtime.block_on(found).unwrap()
    };
    std::thread::spawn(look).join().unwrap().unwrap_or(in_workspace)
}

const SETS: &str = "/api/3.0/mlflow/datasets";

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_has_mlflows_shape() {
    let server = Server::new().await;
    let experiment = server.experiment().await;
    let body = json!({"name": "quiz", "experiment_ids": [experiment], "tags": "{\"team\": \"ml\", \"none\": null, \"n\": 1, \"f\": true}"});
    let made = server.ok(Method::POST, &format!("{SETS}/create"), body).await["dataset"].clone();
    assert_eq!(made["tags"], "{\"f\":\"True\",\"n\":\"1\",\"team\":\"ml\"}");
    assert_eq!((&made["experiment_ids"], made.get("schema"), made.get("profile")), (&json!([experiment]), None, None));
    let one = format!("{SETS}/{}", made["dataset_id"].as_str().unwrap());
    assert_eq!(server.ok(Method::GET, &one, json!({})).await["dataset"], made);

    let records = json!([
        {"inputs": {"q": "a"}, "expectations": {"answer": 1}, "source": {"source_type": "human", "source_data": {"who": "x"}}},
        {"inputs": {"q": "b"}, "outputs": ["x"], "tags": {"t": "1"}},
    ]);
    let done = server.ok(Method::POST, &format!("{one}/records"), json!({"records": records.to_string()})).await;
    assert_eq!(done, json!({"inserted_count": 2, "updated_count": 0}));
    let page = server.ok(Method::GET, &format!("{one}/records?max_results=1"), json!({})).await;
    let first: Value = serde_json::from_str(page["records"].as_str().unwrap()).unwrap();
    assert_eq!(first[0]["inputs"], json!({"q": "a"}));
    assert_eq!(first[0]["source"], json!({"source_type": "HUMAN", "source_data": {"who": "x"}}));
    assert_eq!((&first[0]["outputs"], &first[0]["tags"], &first[0]["dataset_id"]), (&json!({}), &json!({}), &made["dataset_id"]));
    let token = page["next_page_token"].as_str().unwrap();
    let rest =
        server.ok(Method::GET, &format!("{one}/records?max_results=1&page_token={}", token.replace('=', "%3D")), json!({})).await;
    let rest_records: Value = serde_json::from_str(rest["records"].as_str().unwrap()).unwrap();
    assert_eq!((rest.get("next_page_token"), &rest_records[0]["outputs"]), (None, &json!(["x"])));

    let now = server.ok(Method::GET, &one, json!({})).await["dataset"].clone();
    assert_eq!(now["profile"], "{\"num_records\": 2}");
    let found =
        server.ok(Method::POST, &format!("{SETS}/search"), json!({"filter_string": "tags.team = 'ml'", "max_results": 0})).await;
    assert_eq!((found["datasets"][0]["name"].clone(), found.get("next_page_token")), (json!("quiz"), None));
    assert_eq!(
        server.ok(Method::GET, &format!("{one}/experiment-ids"), json!({})).await,
        json!({"experiment_ids": [experiment]})
    );
    server.ok(Method::PATCH, &format!("{one}/tags"), json!({"tags": "{\"a/b c\": \"x\"}"})).await;
    server.ok(Method::DELETE, &format!("{one}/tags/a%2Fb%20c"), json!({})).await;
    let parted = server.ok(Method::POST, &format!("{one}/remove-experiments"), json!({"experiment_ids": [experiment]})).await;
    assert_eq!((&parted["dataset"]["tags"], parted["dataset"].get("experiment_ids")), (&made["tags"], None));
    let gone = json!({"dataset_record_ids": [first[0]["dataset_record_id"]]});
    assert_eq!(server.ok(Method::DELETE, &format!("{one}/records"), gone).await, json!({"deleted_count": 1}));
    assert_eq!(server.ok(Method::DELETE, &one, json!({})).await, json!({}));
    server.refused(Method::GET, &one, json!({}), StatusCode::NOT_FOUND, "not found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_dataset_is_refused() {
    let server = Server::new().await;
    let bad = StatusCode::BAD_REQUEST;
    for (body, part) in [
        (json!({}), "Missing value for required parameter 'name'"),
        (json!({"name": 5}), "Invalid value 5 for parameter 'name'"),
        (json!({"name": "x", "tags": "[]"}), "`tags` must be a JSON object"),
        (json!({"name": "x", "tags": "{"}), "`tags` must be JSON in a text"),
        (json!({"name": "x", "tags": "[".repeat(1_000)}), "nested deeper"),
        (json!({"name": "x", "experiment_ids": "1"}), "No Experiment with id=1"),
    ] {
        let status = if part.starts_with("No Exp") { StatusCode::NOT_FOUND } else { bad };
        server.refused(Method::POST, &format!("{SETS}/create"), body, status, part).await;
    }
    let made = server.ok(Method::POST, &format!("{SETS}/create"), json!({"name": "x"})).await["dataset"].clone();
    let one = format!("{SETS}/{}", made["dataset_id"].as_str().unwrap());
    for (records, part) in [
        (String::new(), "Missing value for required parameter 'records'"),
        ("{}".to_owned(), "`records` must be a JSON list"),
        ("[1]".to_owned(), "records[0] must be a JSON object"),
        ("[{}, {\"inputs\": null}]".to_owned(), "records[1].inputs"),
        ("[{\"inputs\": []}]".to_owned(), "records[0].inputs must be a JSON object"),
        ("[{\"inputs\": {}, \"tags\": \"x\"}]".to_owned(), "records[0].tags must be a JSON object"),
        ("[{\"inputs\": {}, \"source\": {}}]".to_owned(), "records[0].source.source_type"),
        ("[{\"inputs\": {}, \"source\": {\"source_type\": \"moon\"}}]".to_owned(), "Invalid dataset record source type: MOON"),
        ("[{\"inputs\": {\"x\": NaN}}]".to_owned(), "`records` must be JSON in a text"),
        (format!("[{{\"inputs\": {{\"x\": {}1{}}}}}]", "[".repeat(60), "]".repeat(60)), "nested deeper"),
    ] {
        server.refused(Method::POST, &format!("{one}/records"), json!({"records": records}), bad, part).await;
    }
    server
        .refused(Method::POST, &format!("{SETS}/d-none/records"), json!({"records": "[]"}), StatusCode::NOT_FOUND, "not found")
        .await;
    server.refused(Method::GET, &format!("{one}/records?page_token=junk"), json!({}), bad, "Invalid page token").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_becomes_a_run_by_verbs_of_its_own() {
    let server = Server::new().await;
    let path = "/ajax-api/2.0/mlflow/runs/create-promptlab-run";
    let whole = json!({
        "experiment_id": server.experiment().await, "prompt_template": "say {{ x }}", "prompt_parameters": [{"key": "x", "value": "a: \"b\""}],
        "model_route": "route", "model_parameters": [{"key": "temperature", "value": 0.5}], "model_input": "say a", "model_output": "a",
        "model_output_parameters": [{"key": "latency", "value": "1"}], "mlflow_version": "3.12.0", "user_id": "mallory", "start_time": 5,
    });
    for name in ["experiment_id", "prompt_template", "prompt_parameters", "model_route", "model_input", "mlflow_version"] {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().remove(name);
        server.refused(Method::POST, path, body, StatusCode::BAD_REQUEST, &format!("must specify {name}.")).await;
    }
    let mut hostile = whole.clone();
    hostile["mlflow_version"] = json!("1\n--index-url=x");
    server.refused(Method::POST, path, hostile, StatusCode::BAD_REQUEST, "must be a version").await;
    let mut elsewhere = whole.clone();
    elsewhere["experiment_id"] = json!("77");
    server.refused(Method::POST, path, elsewhere, StatusCode::NOT_FOUND, "77").await;

    let run = server.ok(Method::POST, path, whole).await["run"].clone();
    assert_eq!((&run["info"]["status"], &run["info"]["start_time"]), (&json!("FINISHED"), &json!(5)));
    assert!(run["info"]["user_id"] != "mallory", "{run}");
    assert!(
        run["data"]["tags"].as_array().unwrap().contains(&json!({"key": "mlflow.user.claimed", "value": "mallory"})),
        "{run}"
    );
    let id = run["info"]["run_id"].as_str().unwrap();
    let file = |name: &str| format!("/get-artifact?run_uuid={id}&path={name}");
    let (status, table) = server.bytes(Method::GET, &file("eval_results_table.json"), String::new()).await;
    assert_eq!(status, StatusCode::OK);
    let table: Value = serde_json::from_slice(&table).unwrap();
    assert_eq!(table, json!({"columns": ["x", "prompt", "output", "latency"], "data": [["a: \"b\"", "say a", "a", "1"]]}));
    let (_, parameters) = server.bytes(Method::GET, &file("model/parameters.yaml"), String::new()).await;
    let parameters: Value = serde_json::from_slice(&parameters).unwrap();
    assert_eq!(parameters["prompt_parameters"], json!({"x": "a: \"b\""}));
    let records = server.gate.records.lock().join("\n");
    for verb in ["runs.create", "runs.log", "artifacts.write", "runs.update", "runs.get"] {
        assert!(records.contains(&format!("intent {verb}")), "{verb} left no intent:\n{records}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_path_names_its_methods() {
    let server = Server::new().await;
    let (status, answer) = server.send(Method::PUT, &format!("{SETS}/search"), json!({})).await;
    assert_eq!((status, &answer["error_code"]), (StatusCode::METHOD_NOT_ALLOWED, &json!("ENDPOINT_NOT_FOUND")));
    let (status, _) = server.send(Method::PUT, "/nowhere", json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
