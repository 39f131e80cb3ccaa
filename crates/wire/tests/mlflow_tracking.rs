//! MLflow's tracking endpoints through the door: shapes of answers, spellings of requests, texts of errors.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::tests_outside_test_module, reason = "tests")]

use axum::body::Body;
use gate::{Facts, Target};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use testkit::gate::TEST_WORKSPACE;
use tower::ServiceExt;
use tracking::Tracking;
use wire::{Door, DoorConfig};

struct Server {
    router: axum::Router,
    _folder: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let opened = vault::db::open(&vault::db::Location::Sqlite(folder.path().join("test.db"))).unwrap();
        let gate = testkit::open_gate();
        let ports = opened.ports;
        gate.set_facts_of(move |target| facts(&ports, target));
        let room = Tracking::new(opened.db);
        let config = DoorConfig {
            allowed_hosts: vec!["localhost".to_owned()],
            trusted_proxies: Vec::new(),
            telemetry: None,
            problem_page: None,
        };
        let mut door = Door::new(gate.gate, config);
        wire::mlflow::experiments::routes(&mut door, &room);
        wire::mlflow::runs::routes(&mut door, &room);
        wire::mlflow::logging::routes(&mut door, &room);
        wire::mlflow::metrics::routes(&mut door, &room);
        Self { router: door.into_router(), _folder: folder }
    }

    async fn send(&self, method: Method, path: &str, body: String) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost:1")
            .header("content-type", "application/json; charset=utf-8")
            .body(Body::from(body))
            .unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(Method::POST, &format!("/api/2.0/mlflow/{path}"), body.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.send(Method::GET, &format!("/ajax-api/2.0/mlflow/{path}"), String::new()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    #[track_caller]
    fn bad(&self, path: &str, body: Value, part: &'static str) -> impl Future<Output = ()> {
        self.refused(Method::POST, path, body.to_string(), StatusCode::BAD_REQUEST, part)
    }

    async fn refused(&self, method: Method, path: &str, body: String, status: StatusCode, part: &str) {
        let (found, answer) = self.send(method, &format!("/api/2.0/mlflow/{path}"), body).await;
        assert_eq!(found, status, "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(part), "`{answer}` does not contain `{part}`");
        let code = if status == StatusCode::NOT_FOUND { "RESOURCE_DOES_NOT_EXIST" } else { "INVALID_PARAMETER_VALUE" };
        assert_eq!(answer["error_code"], code);
    }

    async fn run(&self) -> String {
        let made = self.post("experiments/create", json!({"name": kernel::random_id()})).await;
        let run = self.post("runs/create", json!({"experiment_id": made["experiment_id"]})).await;
        run["run"]["info"]["run_id"].as_str().unwrap().to_owned()
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
        runtime.block_on(ports.read_point(move |reader| Ok(tracking::locate(reader, TEST_WORKSPACE, &target)?))).unwrap()
    };
    std::thread::spawn(look).join().unwrap().unwrap_or(in_workspace)
}

#[tokio::test]
async fn an_experiment_has_mlflows_shape() {
    let server = Server::new();
    assert_eq!(server.post("experiments/search", json!({"max_results": "5"})).await, json!({}));
    let made =
        server.post("experiments/create", json!({"name": "x", "tags": [{"key": "k", "value": ""}], "unknown": {"a": []}})).await;
    assert_eq!(made, json!({"experiment_id": "1"}));
    let shape = json!({"experiment_id": "1", "name": "x", "artifact_location": "mlflow-artifacts:/1", "lifecycle_stage": "active",
        "last_update_time": 1_700_000_000_000_i64, "creation_time": 1_700_000_000_000_i64, "tags": [{"key": "k", "value": ""}]});
    assert_eq!(server.get("experiments/get?experiment_id=1").await, json!({"experiment": shape}));
    assert_eq!(server.get("experiments/get-by-name?experiment_name=x").await, json!({"experiment": shape}));
    assert_eq!(
        server.get("experiments/search?max_results=3&view_type=ACTIVE_ONLY&order_by=name&order_by=creation_time").await,
        json!({"experiments": [shape]})
    );
    for (verb, body) in [
        ("set-experiment-tag", json!({"experiment_id": "1", "key": "k"})),
        ("delete-experiment-tag", json!({"experiment_id": "1", "key": "k"})),
        ("update", json!({"experiment_id": "1", "new_name": "y"})),
        ("delete", json!({"experiment_id": "1"})),
    ] {
        assert_eq!(server.post(&format!("experiments/{verb}"), body).await, json!({}));
    }
    let deleted = server.post("experiments/search", json!({"view_type": 2, "max_results": 1})).await;
    assert_eq!((&deleted["experiments"][0]["lifecycle_stage"], deleted["experiments"][0].get("tags")), (&json!("deleted"), None));
    assert_eq!(server.post("experiments/restore", json!({"experiment_id": "1"})).await, json!({}));
}

#[tokio::test]
async fn an_experiments_errors_are_mlflows() {
    let server = Server::new();
    let path = "experiments/create";
    server.bad(path, json!({"name": 123}), "Invalid value 123 for parameter 'name'").await;
    server.bad(path, json!({}), "Missing value for required parameter 'name'.").await;
    server.bad(path, json!({"name": "n", "artifact_location": 9.0}), "Invalid value 9.0 for parameter 'artifact_location'").await;
    server.bad(path, json!({"name": "n", "tags": "5"}), "Invalid value \"5\" for parameter 'tags'").await;
    server.bad(path, json!({"name": "n", "artifact_location": "file:///etc"}), "Invalid artifact location").await;
    let none = StatusCode::NOT_FOUND;
    server.refused(Method::GET, "experiments/get?experiment_id=7", String::new(), none, "No Experiment with id=7 exists").await;
    server
        .refused(
            Method::GET,
            "experiments/get-by-name?experiment_name=7",
            String::new(),
            none,
            "Could not find experiment with name '7'",
        )
        .await;
    server
        .refused(
            Method::GET,
            "experiments/get",
            String::new(),
            StatusCode::BAD_REQUEST,
            "Missing value for required parameter 'experiment_id'",
        )
        .await;
    server.post(path, json!({"name": "n"})).await;
    let (status, answer) =
        server.send(Method::POST, "/api/2.0/mlflow/experiments/create", json!({"name": "n"}).to_string()).await;
    assert_eq!((status, &answer["error_code"]), (StatusCode::BAD_REQUEST, &json!("RESOURCE_ALREADY_EXISTS")));
}

#[tokio::test]
async fn a_run_has_mlflows_shape() {
    let server = Server::new();
    server.post("experiments/create", json!({"name": "x"})).await;
    let body = json!({"experiment_id": "1", "user_id": "eve", "start_time": "456", "run_name": "r", "tags": [{"key": "a", "value": "b"}]});
    let made = server.post("runs/create", body).await;
    let run_id = made["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    let uri = format!("mlflow-artifacts:/1/{run_id}/artifacts");
    assert_eq!(
        made["run"]["info"],
        json!({"run_uuid": run_id, "experiment_id": "1", "run_name": "r", "user_id": "tester", "status": "RUNNING",
        "start_time": 456, "artifact_uri": uri, "lifecycle_stage": "active", "run_id": run_id})
    );
    assert_eq!(
        (&made["run"]["inputs"], &made["run"]["outputs"], made["run"]["data"].get("metrics")),
        (&json!({}), &json!({}), None)
    );
    let ended = server.post("runs/update", json!({"run_id": run_id, "status": "FINISHED", "end_time": 9})).await;
    assert_eq!((&ended["run_info"]["status"], &ended["run_info"]["end_time"]), (&json!("FINISHED"), &json!(9)));
    let metrics = json!([{"key": "n", "value": "NaN", "timestamp": 1}, {"key": "i", "value": "-Infinity", "timestamp": "2", "step": 3}, {"key": "s", "value": "1.5", "timestamp": 1}]);
    server
        .post(
            "runs/log-batch",
            json!({"run_id": run_id, "metrics": metrics, "params": [{"key": "p", "value": ""}], "tags": [{"key": "t"}]}),
        )
        .await;
    let inputs = json!([{"dataset": {"name": "d", "digest": "1", "source_type": "s", "source": "x"}, "tags": [{"key": "mlflow.data.context", "value": "train"}]}]);
    server.post("runs/log-inputs", json!({"run_id": run_id, "datasets": inputs, "models": [{"model_id": "m-1"}]})).await;
    server.post("runs/outputs", json!({"run_id": run_id, "models": [{"model_id": "m-2", "step": "4"}]})).await;
    let run = server.get(&format!("runs/get?run_uuid={run_id}")).await["run"].clone();
    assert_eq!(
        run["data"]["metrics"],
        json!([{"key": "i", "value": "-Infinity", "timestamp": 2, "step": 3},
        {"key": "n", "value": "NaN", "timestamp": 1, "step": 0}, {"key": "s", "value": 1.5, "timestamp": 1, "step": 0}])
    );
    assert_eq!(run["data"]["params"], json!([{"key": "p", "value": ""}]));
    assert_eq!(
        run["inputs"],
        json!({"dataset_inputs": [{"tags": [{"key": "mlflow.data.context", "value": "train"}],
        "dataset": {"name": "d", "digest": "1", "source_type": "s", "source": "x"}}], "model_inputs": [{"model_id": "m-1"}]})
    );
    assert_eq!(run["outputs"], json!({"model_outputs": [{"model_id": "m-2", "step": 4}]}));
    let found = server
        .post(
            "runs/search",
            json!({"experiment_ids": ["1"], "filter": "params.p = ''", "run_view_type": "ALL", "max_results": 1}),
        )
        .await;
    assert_eq!(found, json!({"runs": [run]}));
    let listed = server.post("experiments/search-datasets", json!({"experiment_ids": ["1"]})).await;
    assert_eq!(listed, json!({"dataset_summaries": [{"experiment_id": "1", "name": "d", "digest": "1", "context": "train"}]}));
    for (verb, body) in [
        ("set-tag", json!({"run_uuid": run_id, "key": "k", "value": "v"})),
        ("delete-tag", json!({"run_id": run_id, "key": "k"})),
        ("delete", json!({"run_id": run_id})),
        ("restore", json!({"run_id": run_id})),
        (
            "log-model",
            json!({"run_id": run_id, "model_json": "{\"artifact_path\":\"m\",\"flavors\":{},\"run_id\":\"r\",\"utc_time_created\":\"t\"}"}),
        ),
    ] {
        assert_eq!(server.post(&format!("runs/{verb}"), body).await, json!({}));
    }
}

#[tokio::test]
async fn a_runs_errors_are_mlflows() {
    let server = Server::new();
    let run = server.run().await;
    let path = "runs/log-metric";
    let metric = |changes: Value| {
        let mut body = json!({"run_id": run, "key": "foo", "value": 31, "timestamp": 59, "step": 41});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        body
    };
    server.post(path, metric(json!({}))).await;
    server.bad(path, metric(json!({"run_id": 31})), "Invalid value 31 for parameter 'run_id' supplied").await;
    server.bad(path, metric(json!({"key": 31})), "Invalid value 31 for parameter 'key' supplied").await;
    server.bad(path, metric(json!({"step": "foo"})), "Invalid value \"foo\" for parameter 'step' supplied").await;
    server.bad(path, metric(json!({"timestamp": "foo"})), "Invalid value \"foo\" for parameter 'timestamp' supplied").await;
    server.bad(path, metric(json!({"run_id": null})), "Missing value for required parameter 'run_id'").await;
    server.bad(path, metric(json!({"key": null})), "Missing value for required parameter 'key'").await;
    server.bad(path, metric(json!({"key": ""})), "Missing value for required parameter 'key'").await;
    server.bad(path, metric(json!({"value": null})), "Missing value for required parameter 'value'").await;
    server.bad(path, metric(json!({"value": "x"})), "Invalid value \"x\" for parameter 'value' supplied").await;
    server
        .bad(
            "runs/log-parameter",
            json!({"run_id": 31, "key": "p", "value": 41}),
            "Invalid value 31 for parameter 'run_id' supplied",
        )
        .await;
    server
        .bad(
            "runs/log-parameter",
            json!({"run_id": run, "key": 31, "value": 41}),
            "Invalid value 31 for parameter 'key' supplied",
        )
        .await;
    server
        .bad("runs/set-tag", json!({"run_id": run, "key": "p", "value": 41}), "Invalid value 41 for parameter 'value' supplied")
        .await;
    server.bad("runs/set-tag", json!({"run_id": run, "value": "v"}), "Missing value for required parameter 'key'").await;
    for name in ["metrics", "params", "tags"] {
        let part = match name {
            "metrics" => "Invalid value \"foo\" for parameter 'metrics' supplied",
            "params" => "Invalid value \"foo\" for parameter 'params' supplied",
            _ => "Invalid value \"foo\" for parameter 'tags' supplied",
        };
        server.bad("runs/log-batch", json!({"run_id": run, name: "foo"}), part).await;
    }
    let late = json!({"run_id": run, "metrics": [{"key": "mae", "value": 2.5}]});
    server.bad("runs/log-batch", late, "Missing value for required parameter 'metrics[0].timestamp'").await;
    server
        .bad(
            "runs/log-batch",
            json!({"run_id": run, "params": [{"value": "x"}]}),
            "Missing value for required parameter 'params[0].key'",
        )
        .await;
    server.bad("runs/log-inputs", json!({"datasets": []}), "Missing value for required parameter 'run_id'").await;
    server
        .bad("runs/log-inputs", json!({"run_id": run, "datasets": [{"dataset": {"name": "d"}}]}), "Dataset digest cannot be None")
        .await;
    server.bad("runs/outputs", json!({"run_id": run}), "Missing value for required parameter 'models'").await;
    server
        .bad("runs/update", json!({"run_id": run, "status": "NOPE"}), "Invalid value \"NOPE\" for parameter 'status' supplied")
        .await;
    server
        .bad(
            "runs/search",
            json!({"experiment_ids": ["1"], "max_results": 123_456_789}),
            "Invalid value 123456789 for parameter 'max_results' supplied",
        )
        .await;
    server
        .bad(
            "runs/search",
            json!({"experiment_ids": ["1"], "run_view_type": "NOPE"}),
            "Invalid value \"NOPE\" for parameter 'run_view_type'",
        )
        .await;
    let none = StatusCode::NOT_FOUND;
    server.refused(Method::GET, "runs/get?run_id=nope", String::new(), none, "Run with id=nope not found").await;
    server
        .refused(Method::POST, "runs/log-batch", json!({"run_id": "nope"}).to_string(), none, "Run with id=nope not found")
        .await;
    server.bad("experiments/search-datasets", json!({}), "SearchDatasets request must specify at least one experiment_id.").await;
}

#[tokio::test]
async fn histories_have_mlflows_shape_and_errors() {
    let server = Server::new();
    let run = server.run().await;
    for step in 0..5 {
        server.post("runs/log-metric", json!({"run_id": run, "key": "m", "value": 1.0, "timestamp": 7, "step": step})).await;
    }
    let first = server.get(&format!("metrics/get-history?run_id={run}&metric_key=m&max_results=3")).await;
    assert_eq!(
        (first["metrics"].as_array().unwrap().len(), &first["metrics"][0]),
        (3, &json!({"key": "m", "value": 1.0, "timestamp": 7, "step": 0}))
    );
    let token = first["next_page_token"].as_str().unwrap().replace('+', "%2B").replace('=', "%3D");
    let rest = server.get(&format!("metrics/get-history?run_id={run}&metric_key=m&max_results=3&page_token={token}")).await;
    assert_eq!((rest["metrics"].as_array().unwrap().len(), rest.get("next_page_token")), (2, None));
    assert_eq!(server.get(&format!("metrics/get-history?run_id={run}&metric_key=none")).await, json!({}));
    let bulk = server.get(&format!("metrics/get-history-bulk?run_id={run}&metric_key=m&max_results=1")).await;
    assert_eq!(bulk, json!({"metrics": [{"key": "m", "value": 1.0, "timestamp": 7, "step": 0, "run_id": run}]}));
    assert_eq!(server.get("metrics/get-history-bulk?run_id=none&metric_key=m").await, json!({"metrics": []}));
    let sampled =
        server.get(&format!("metrics/get-history-bulk-interval?run_ids={run}&metric_key=m&start_step=1&end_step=2")).await;
    assert_eq!(sampled["metrics"].as_array().unwrap().len(), 2);
    let many: String = (0..1_000).map(|i| format!("&run_ids=id_{i}&run_id=id_{i}")).collect();
    let cases = [
        ("metrics/get-history-bulk?metric_key=key".to_owned(), "GetMetricHistoryBulk request must specify at least one run_id"),
        ("metrics/get-history-bulk?run_id=123".to_owned(), "GetMetricHistoryBulk request must specify a metric_key"),
        (format!("metrics/get-history-bulk?metric_key=key{many}"), "GetMetricHistoryBulk request cannot specify more than"),
        ("metrics/get-history-bulk-interval?metric_key=key".to_owned(), "Missing value for required parameter 'run_ids'."),
        (
            format!("metrics/get-history-bulk-interval?metric_key=key{many}"),
            "GetMetricHistoryBulkInterval request must specify at most 100 run_ids.",
        ),
        (
            "metrics/get-history-bulk-interval?run_ids=1&metric_key=key&max_results=0".to_owned(),
            "max_results must be between 1 and 2500",
        ),
        (
            "metrics/get-history-bulk-interval?run_ids=1&metric_key=".to_owned(),
            "Missing value for required parameter 'metric_key'",
        ),
        (
            "metrics/get-history-bulk-interval?run_ids=1&metric_key=k&start_step=1&end_step=0".to_owned(),
            "end_step must be greater than start_step. ",
        ),
        (
            "metrics/get-history-bulk-interval?run_ids=1&metric_key=k&start_step=1".to_owned(),
            "If either start step or end step are specified, both must be specified.",
        ),
        (format!("metrics/get-history?run_id={run}&metric_key=m&page_token=invalid_token"), ""),
    ];
    for (path, part) in cases {
        server.refused(Method::GET, &path, String::new(), StatusCode::BAD_REQUEST, part).await;
    }
}

#[tokio::test]
async fn a_foreign_content_type_is_refused() {
    let server = Server::new();
    let run = server.run().await;
    for path in ["log-metric", "log-batch", "set-tag"] {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/api/2.0/mlflow/runs/{path}"))
            .header("host", "localhost")
            .header("content-type", "text/plain")
            .body(Body::from(json!({"run_id": run, "key": "k", "value": 1, "timestamp": 1}).to_string()))
            .unwrap();
        let answer = server.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}");
    }
}
