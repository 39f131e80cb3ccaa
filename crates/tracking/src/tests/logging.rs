use kernel::{Kind, Problem};

use super::support::{World, on_both_engines, pairs, refused, value_of};
use crate::ops::*;
use crate::types::{Dataset, DatasetInput, KeyValue, ModelLink, NewMetric};

impl World {
    pub(super) async fn log_metric(&self, run: &str, key: &str, value: f64, timestamp_ms: i64, step: i64) -> Result<(), Problem> {
        let metric = NewMetric { key: key.to_owned(), value, timestamp_ms, step, ..NewMetric::default() };
        self.call(LogMetric { room: self.room.clone(), run_id: run.to_owned(), metric }).await
    }

    pub(super) async fn log_param(&self, run: &str, key: &str, value: &str) -> Result<(), Problem> {
        self.call(LogParam { room: self.room.clone(), run_id: run.to_owned(), param: KeyValue::new(key, value) }).await
    }

    pub(super) async fn log_batch(
        &self,
        run: &str,
        metrics: Vec<NewMetric>,
        params: &[(&str, &str)],
        tags: &[(&str, &str)],
    ) -> Result<(), Problem> {
        self.call(LogBatch { room: self.room.clone(), run_id: run.to_owned(), metrics, params: pairs(params), tags: pairs(tags) })
            .await
    }

    async fn latest(&self, run: &str, key: &str) -> f64 {
        self.get(run).await.data.metrics.iter().find(|m| m.key == key).unwrap().value
    }
}

fn metric(key: &str, value: f64, timestamp_ms: i64, step: i64) -> NewMetric {
    NewMetric { key: key.to_owned(), value, timestamp_ms, step, ..NewMetric::default() }
}

fn dataset(name: &str, digest: &str, tags: &[(&str, &str)]) -> DatasetInput {
    let dataset = Dataset {
        name: name.to_owned(),
        digest: digest.to_owned(),
        source_type: "local".to_owned(),
        source: "{}".to_owned(),
        schema: Some("s".to_owned()),
        profile: None,
    };
    DatasetInput { dataset, tags: pairs(tags) }
}

#[test]
fn the_latest_point_is_by_step_time_and_value() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let run = world.run(&experiment).await;
        for (value, time, step, latest) in
            [(1.0, 5, 5, 1.0), (2.0, 9, 4, 1.0), (3.0, 4, 5, 1.0), (0.5, 5, 5, 1.0), (1.5, 5, 5, 1.5), (9.0, 0, 6, 9.0)]
        {
            world.log_metric(&run, "m", value, time, step).await.unwrap();
            assert_eq!(world.latest(&run, "m").await, latest);
        }
        world.log_metric(&run, "nan", f64::NAN, 1, 0).await.unwrap();
        world.log_metric(&run, "inf", f64::INFINITY, 1, 0).await.unwrap();
        world.log_metric(&run, "-inf", f64::NEG_INFINITY, 1, 0).await.unwrap();
        assert!(world.latest(&run, "nan").await.is_nan());
        assert_eq!(world.latest(&run, "inf").await, f64::INFINITY);
        assert_eq!(world.latest(&run, "-inf").await, f64::NEG_INFINITY);
        world.log_metric(&run, "nan", 1.0, 1, 0).await.unwrap();
        assert_eq!(world.latest(&run, "nan").await, 1.0);
        refused(
            world.log_metric(&run, "m", 1.0, -1, 0).await,
            Kind::Invalid,
            "Invalid value -1 for parameter 'timestamp' supplied: metric 'm' (value=1.0). Timestamp must be",
        );
        refused(
            world.log_metric(&run, "", 1.0, 1, 0).await,
            Kind::Invalid,
            "for parameter 'name' supplied: Names may be treated as files",
        );
        refused(
            world.log_metric(&run, &"m".repeat(251), 1.0, 1, 0).await,
            Kind::Invalid,
            "'Metric name' exceeds the maximum length of 250 characters",
        );
        refused(world.log_metric("none", "m", 1.0, 1, 0).await, Kind::NotFound, "Run with id=none not found");
    });
}

#[test]
fn a_param_never_changes() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let run = world.run(&experiment).await;
        world.log_param(&run, "p", "1").await.unwrap();
        world.log_param(&run, "p", "1").await.unwrap();
        world.log_param(&run, "empty", "").await.unwrap();
        refused(
            world.log_param(&run, "p", "2").await,
            Kind::Invalid,
            &format!(
                "Changing param values is not allowed. Param with key='p' was already logged with value='1' for run ID='{run}'. Attempted logging new value '2'."
            ),
        );
        refused(
            world.log_batch(&run, Vec::new(), &[("p", "3"), ("q", "1")], &[]).await,
            Kind::Invalid,
            &format!(
                "Changing param values is not allowed. Params were already logged='[{{'key': 'p', 'old_value': '1', 'new_value': '3'}}]' for run ID='{run}'."
            ),
        );
        world.log_batch(&run, Vec::new(), &[("p", "1"), ("r", "1")], &[]).await.unwrap();
        let params = world.get(&run).await.data.params;
        assert_eq!(params, pairs(&[("empty", ""), ("p", "1"), ("r", "1")]));
        world.log_param(&run, "long", &"x".repeat(7_000)).await.unwrap();
        assert_eq!(value_of(&world.get(&run).await.data.params, "long").unwrap().len(), 6_000);
        refused(world.log_param(&run, "a/../b", "1").await, Kind::Invalid, "This name would resolve to 'b'");
    });
}

#[test]
fn a_batch_is_all_or_nothing() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let run = world.run(&experiment).await;
        world.log_param(&run, "p", "1").await.unwrap();
        let before = world.get(&run).await;
        refused(
            world.log_batch(&run, vec![metric("m", 1.0, 1, 1)], &[("p", "2")], &[("t", "1")]).await,
            Kind::Invalid,
            "Changing param values",
        );
        refused(
            world.log_batch(&run, vec![metric("m", 1.0, 1, 1), metric("m", 1.0, -1, 1)], &[("q", "2")], &[("t", "1")]).await,
            Kind::Invalid,
            "metrics[1].timestamp",
        );
        refused(
            world.log_batch(&run, vec![metric("m", 1.0, 1, 1)], &[("q", "2"), ("q", "2")], &[]).await,
            Kind::Invalid,
            "Duplicate parameter keys",
        );
        refused(world.log_batch(&run, vec![metric("m", 1.0, 1, 1)], &[("q", "a\0")], &[]).await, Kind::Invalid, "NUL");
        refused(
            world.log_batch("../x", Vec::new(), &[], &[]).await,
            Kind::Invalid,
            "Invalid value \"../x\" for parameter 'run_id' supplied.",
        );
        assert_eq!(world.get(&run).await, before);

        let many = (0..1_000).map(|i| metric(&format!("m{}", i % 7), f64::from(i), i64::from(i), i64::from(i))).collect();
        world.log_batch(&run, many, &[], &[]).await.unwrap();
        world
            .log_batch(&run, vec![metric("m0", 1.5, 2, 2)], &[("q", "")], &[("t", "1"), ("t", "2"), ("mlflow.runName", "named")])
            .await
            .unwrap();
        let after = world.get(&run).await;
        assert_eq!((after.data.metrics.len(), after.data.metrics[0].value, after.info.name.as_str()), (7, 994.0, "named"));
        assert_eq!((value_of(&after.data.params, "q"), value_of(&after.data.tags, "t")), (Some(""), Some("2")));
        world.log_batch(&run, Vec::new(), &[], &[]).await.unwrap();
    });
}

#[test]
fn a_deleted_run_takes_nothing() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let run = world.run(&experiment).await;
        world.call(DeleteRun { room: world.room.clone(), run_id: run.clone() }).await.unwrap();
        let text = format!("The run {run} must be in the 'active' state. Current state is deleted.");
        refused(world.log_metric(&run, "m", 1.0, 1, 1).await, Kind::Invalid, &text);
        refused(world.log_param(&run, "p", "1").await, Kind::Invalid, &text);
        refused(world.log_batch(&run, vec![metric("m", 1.0, 1, 1)], &[], &[]).await, Kind::Invalid, &text);
        let inputs = LogInputs {
            room: world.room.clone(),
            run_id: run.clone(),
            datasets: vec![dataset("d", "1", &[])],
            models: Vec::new(),
        };
        refused(world.call(inputs).await, Kind::Invalid, &text);
        let outputs = LogOutputs { room: world.room.clone(), run_id: run.clone(), models: Vec::new() };
        refused(world.call(outputs).await, Kind::Invalid, &text);
    });
}

#[test]
fn inputs_and_outputs_are_kept_once() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let (run, other) = (world.run(&experiment).await, world.run(&experiment).await);
        let link = |id: &str, step: i64| ModelLink { model_id: id.to_owned(), step };
        let train = dataset("d", "1", &[("mlflow.data.context", "train"), ("foo", "baz")]);
        for id in [&run, &run, &other] {
            let datasets = vec![train.clone(), dataset("d", "1", &[]), dataset("e", "2", &[])];
            let models = vec![link("m-1", 0)];
            world.call(LogInputs { room: world.room.clone(), run_id: id.clone(), datasets, models }).await.unwrap();
        }
        let outputs = LogOutputs { room: world.room.clone(), run_id: run.clone(), models: vec![link("m-2", 3), link("m-2", 4)] };
        world.call(outputs).await.unwrap();
        let data = world.get(&run).await.data;
        assert_eq!(data.datasets.len(), 2);
        assert_eq!(data.datasets[0].dataset, train.dataset);
        assert_eq!(data.datasets[0].tags, pairs(&[("foo", "baz"), ("mlflow.data.context", "train")]));
        assert_eq!((data.model_inputs, data.model_outputs), (vec![link("m-1", 0)], vec![link("m-2", 4)]));
        assert_eq!(world.get(&other).await.data.datasets.len(), 2);

        let bad = LogInputs {
            room: world.room.clone(),
            run_id: run.clone(),
            datasets: vec![dataset(&"d".repeat(501), "1", &[])],
            models: Vec::new(),
        };
        refused(world.call(bad).await, Kind::Invalid, "'name' exceeds the maximum length of 500 characters");
        let bad = LogInputs {
            room: world.room.clone(),
            run_id: run.clone(),
            datasets: vec![dataset("d", &"1".repeat(37), &[])],
            models: Vec::new(),
        };
        refused(world.call(bad).await, Kind::Invalid, "'digest' exceeds the maximum length of 36 characters");
        let bad = LogOutputs { room: world.room.clone(), run_id: run.clone(), models: vec![link("", 0)] };
        refused(world.call(bad).await, Kind::Invalid, "for parameter 'model_id' supplied");
    });
}

#[test]
fn a_model_history_grows_in_its_tag() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let run = world.run(&experiment).await;
        let log = |json: &str| LogModel { room: world.room.clone(), run_id: run.clone(), model_json: json.to_owned() };
        let model = r#"{"artifact_path":"m","flavors":{},"run_id":"r","utc_time_created":"t","signature":{"inputs":"long"}}"#;
        world.call(log(model)).await.unwrap();
        world.call(log(model)).await.unwrap();
        let tags = world.get(&run).await.data.tags;
        let history: serde_json::Value = serde_json::from_str(value_of(&tags, "mlflow.log-model.history").unwrap()).unwrap();
        assert_eq!(
            (history.as_array().unwrap().len(), history[0]["artifact_path"].as_str(), history[0].get("signature")),
            (2, Some("m"), None)
        );
        refused(world.call(log("nope")).await, Kind::Invalid, "Malformed model info. \n nope \n is not a valid JSON.");
        refused(
            world.call(log(r#"{"flavors":{},"run_id":"r"}"#)).await,
            Kind::Invalid,
            "Model json is missing mandatory fields: {'artifact_path', 'utc_time_created'}",
        );
    });
}

#[test]
fn a_logged_models_metrics_stay_in_its_experiment() {
    on_both_engines(|world| async move {
        let (mine, foreign) = (world.experiment("mine").await, world.experiment("foreign").await);
        let room = world.room.clone();
        let seed = move |permit| async move {
            let models = [("m-mine", 1_i64), ("m-foreign", 2)];
            room.db
                .write(&permit, move |tx: &mut vault::db::Writer<'_>| {
                    for (id, experiment) in models {
                        tx.execute(
                            "INSERT INTO logged_model (model_id, experiment_id, name, status, artifact_uri, owner, deleted, created_at, updated_at) \
                             VALUES ($1, $2, 'n', 'READY', 'x', 'o', 0, 1, 1)",
                            &[id.into(), experiment.into()],
                        )?;
                    }
                    Ok(((), gate::Outcome::done()))
                })
                .await
        };
        world.gate.permit_for(gate::Target::Workspace, seed).await.unwrap();
        assert_eq!((mine.as_str(), foreign.as_str()), ("1", "2"));
        let run = world.run(&mine).await;
        let about = |model: &str| NewMetric {
            model_id: Some(model.to_owned()),
            dataset_name: Some("d".to_owned()),
            ..metric("acc", 0.5, 1, 0)
        };
        world
            .log_batch(&run, vec![about("m-mine"), about("m-mine"), about("m-foreign"), about("m-none")], &[], &[])
            .await
            .unwrap();
        let room = world.room.clone();
        let count = move |permit| async move {
            room.db
                .read_point(&permit, |reader: &mut vault::db::Reader<'_>| {
                    Ok(reader.query("SELECT model_id, run_id, value, dataset_name FROM logged_model_metric", &[], |row| {
                        Ok((row.text(0)?, row.real(2)?, row.opt_text(3)?))
                    })?)
                })
                .await
        };
        let rows = world.gate.permit_for(gate::Target::Workspace, count).await.unwrap();
        assert_eq!(rows, vec![("m-mine".to_owned(), 0.5, Some("d".to_owned()))]);
    });
}

#[test]
fn many_at_once_lose_nothing_and_change_no_param() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let run = world.run(&experiment).await;
        let world = std::sync::Arc::new(world);
        let mut work = tokio::task::JoinSet::new();
        for number in 0..16_u8 {
            let (world, run) = (std::sync::Arc::clone(&world), run.clone());
            work.spawn(async move {
                world.log_metric(&run, "m", f64::from(number), 1, i64::from(number)).await.unwrap();
                world
                    .log_batch(
                        &run,
                        vec![metric("n", f64::from(number), 1, 0), metric("m", f64::from(number), 2, 0)],
                        &[],
                        &[("t", "v")],
                    )
                    .await
                    .unwrap();
                world.log_param(&run, "p", &number.to_string()).await
            });
        }
        let results = work.join_all().await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        assert!(results.iter().filter_map(|result| result.as_ref().err()).all(|problem| problem.kind() == Kind::Invalid));
        let data = world.get(&run).await.data;
        assert_eq!(data.metrics.iter().map(|m| m.value).collect::<Vec<_>>(), [15.0, 15.0]);
        for (key, count) in [("m", 32), ("n", 16)] {
            let read = GetMetricHistory {
                room: world.room.clone(),
                run_id: run.clone(),
                key: key.to_owned(),
                max_results: None,
                page_token: None,
            };
            assert_eq!(world.call(read).await.unwrap().items.len(), count);
        }
    });
}
