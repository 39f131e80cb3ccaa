//! Logged models: life, params, tags, metrics and searches.

use filter::parse_logged_model_order_by;
use kernel::{Kind, Problem};
use serde_json::{Value, json};
use vault::db::Bind;

use super::support::{World, on_both_engines, pairs, refused};
use crate::INSERT_LOGGED_MODEL_METRIC;
use crate::ops::{
    DeleteLoggedModel, DeleteLoggedModelTag, FinalizeLoggedModel, GetLoggedModel, LogLoggedModelParams, SearchLoggedModels,
    SetLoggedModelTags,
};
use crate::types::{DatasetFilter, LoggedModel, LoggedModelStatus, Page};

async fn metric(world: &World, model_id: &str, experiment: i64, name: &str, value: f64, at: i64, dataset: Option<&str>) -> u64 {
    let (model_id, name, dataset) = (model_id.to_owned(), name.to_owned(), dataset.map(str::to_owned));
    world
        .system
        .write(move |writer| {
            let (stored, nan) = if value.is_nan() { (0.0, 1_i64) } else { (value, 0) };
            let digest = dataset.as_ref().map(|_| "digest");
            Ok(writer.execute(
                INSERT_LOGGED_MODEL_METRIC,
                &[
                    Bind::from(&model_id),
                    Bind::from(experiment),
                    Bind::from("run1"),
                    Bind::from(&name),
                    Bind::from(at),
                    Bind::from(1_i64),
                    Bind::from(stored),
                    Bind::from(nan),
                    Bind::from(&dataset),
                    Bind::from(digest),
                ],
            )?)
        })
        .await
        .unwrap()
}

fn search(world: &World, filter: &str) -> SearchLoggedModels {
    SearchLoggedModels {
        room: world.room.clone(),
        experiment_ids: vec!["1".to_owned(), "2".to_owned()],
        filter: Some(filter.to_owned()),
        datasets: Vec::new(),
        order_by: Vec::new(),
        max_results: None,
        page_token: None,
    }
}

async fn names(world: &World, verb: SearchLoggedModels) -> Vec<String> {
    world.call(verb).await.unwrap().rows.into_iter().map(|model| model.name).collect()
}

#[test]
fn a_logged_model_lives() {
    on_both_engines(|world| async move {
        let mut new = world.new_logged("1");
        new.name = Some("my_model".into());
        new.model_type = Some("LLM".into());
        new.source_run_id = Some("123".into());
        new.params = pairs(&[("param", "value")]);
        new.tags = pairs(&[("tag", "value")]);
        let made = world.call(new).await.unwrap();
        assert!(made.model_id.starts_with("m-") && made.model_id.len() == 34);
        assert_eq!(made.artifact_uri, format!("mlflow-artifacts:/1/models/{}/artifacts", made.model_id));
        assert_eq!(made.status, LoggedModelStatus::Pending);
        assert_eq!(world.get_logged(&made.model_id).await.unwrap(), made);
        let finalize = |status| FinalizeLoggedModel { room: world.room.clone(), model_id: made.model_id.clone(), status };
        assert_eq!(world.call(finalize(LoggedModelStatus::Ready)).await.unwrap().status, LoggedModelStatus::Ready);
        assert_eq!(world.call(finalize(LoggedModelStatus::Failed)).await.unwrap().status, LoggedModelStatus::Failed);
        world.call(DeleteLoggedModel { room: world.room.clone(), model_id: made.model_id.clone() }).await.unwrap();
        refused(
            world.get_logged(&made.model_id).await,
            Kind::NotFound,
            &format!("Logged model with ID '{}' not found.", made.model_id),
        );
        let deleted = GetLoggedModel { room: world.room.clone(), model_id: made.model_id.clone(), allow_deleted: true };
        assert!(world.call(deleted).await.unwrap().deleted);
        assert!(names(&world, search(&world, "")).await.is_empty());
        assert!(!world.logged("1").await.name.is_empty());
    });
}

#[test]
fn what_is_malformed_is_refused() {
    on_both_engines(|world| async move {
        for bad in ["", "a/b", "a:b", "a.b", "a%b", "a\"b", "a'b"] {
            let mut new = world.new_logged("1");
            new.name = Some(bad.into());
            refused(world.call(new).await, Kind::Invalid, "Model name must be a non-empty string");
        }
        refused(world.call(world.new_logged("9")).await, Kind::NotFound, "No Experiment with id=9 exists");
        refused(world.get_logged("m-none").await, Kind::NotFound, "Logged model with ID 'm-none' not found.");
        let mut bad = search(&world, "");
        bad.experiment_ids = vec!["01".into()];
        refused(world.call(bad).await, Kind::Invalid, "Invalid experiment id '01'");
        world
            .system
            .write(|writer| Ok(writer.execute("UPDATE experiment SET deleted = 1 WHERE experiment_id = 2", &[])?))
            .await
            .unwrap();
        refused(
            world.call(world.new_logged("2")).await,
            Kind::Invalid,
            "must be in the 'active' state. Current state is deleted.",
        );
    });
}

#[test]
fn params_never_change_and_tags_do() {
    on_both_engines(|world| async move {
        let id = world.logged("1").await.model_id;
        let log = |params: &[(&str, &str)]| LogLoggedModelParams {
            room: world.room.clone(),
            model_id: id.clone(),
            params: pairs(params),
        };
        world.call(log(&[("a", "1"), ("b", "2")])).await.unwrap();
        world.call(log(&[("a", "1"), ("c", "3")])).await.unwrap();
        refused(world.call(log(&[("d", "4"), ("a", "9")])).await, Kind::Invalid, "Changing param values is not allowed.");
        assert_eq!(world.get_logged(&id).await.unwrap().params, pairs(&[("a", "1"), ("b", "2"), ("c", "3")]));
        let set =
            |tags: &[(&str, &str)]| SetLoggedModelTags { room: world.room.clone(), model_id: id.clone(), tags: pairs(tags) };
        world.call(set(&[("tag1", "value1"), ("tag2", "value2")])).await.unwrap();
        let tags = world.call(set(&[("tag1", "value3")])).await.unwrap().tags;
        assert_eq!(tags, pairs(&[("tag1", "value3"), ("tag2", "value2")]));
        let delete = || DeleteLoggedModelTag { room: world.room.clone(), model_id: id.clone(), key: "tag1".into() };
        world.call(delete()).await.unwrap();
        refused(world.call(delete()).await, Kind::NotFound, &format!("No tag with key 'tag1' found for model with ID '{id}'."));
    });
}

#[test]
fn metrics_belong_to_their_experiment() {
    on_both_engines(|world| async move {
        let id = world.logged("1").await.model_id;
        assert_eq!(metric(&world, &id, 1, "m", 0.5, 10, Some("d")).await, 1);
        assert_eq!(metric(&world, &id, 1, "n", f64::NAN, 11, None).await, 1);
        assert_eq!(metric(&world, &id, 2, "m", 0.1, 12, None).await, 0, "a run of another experiment");
        assert_eq!(metric(&world, "m-none", 1, "m", 0.1, 12, None).await, 0);
        let metrics = world.get_logged(&id).await.unwrap().metrics;
        assert_eq!(metrics.len(), 2);
        assert_eq!((metrics[0].name.as_str(), metrics[0].value, metrics[0].timestamp_ms, metrics[0].step), ("m", 0.5, 10, 1));
        assert_eq!(
            (metrics[0].run_id.as_str(), metrics[0].dataset_name.as_deref(), metrics[0].dataset_digest.as_deref()),
            ("run1", Some("d"), Some("digest"))
        );
        assert!(metrics[1].value.is_nan());
    });
}

#[test]
fn logged_models_are_searched_ordered_and_paged() {
    on_both_engines(|world| async move {
        let mut ids = Vec::new();
        for (name, experiment, lr) in [("a", "1", "0.1"), ("b", "1", "0.2"), ("c", "2", "0.1")] {
            let mut new = world.new_logged(experiment);
            new.name = Some(name.into());
            new.params = pairs(&[("lr", lr)]);
            new.tags = pairs(&[("t", name)]);
            ids.push(world.call(new).await.unwrap().model_id);
        }
        metric(&world, &ids[0], 1, "acc", 0.9, 1, Some("train")).await;
        metric(&world, &ids[0], 1, "acc", 0.2, 2, Some("test")).await;
        metric(&world, &ids[1], 1, "acc", 0.5, 1, Some("train")).await;
        metric(&world, &ids[2], 2, "acc", f64::NAN, 1, None).await;
        let table: &[(&str, &[&str])] = &[
            ("", &["c", "b", "a"]),
            ("name = 'a'", &["a"]),
            ("name IN ('a', 'c')", &["c", "a"]),
            ("name NOT IN ('a')", &["c", "b"]),
            ("params.lr = '0.1'", &["c", "a"]),
            ("params.lr = 0.2", &["b"]),
            ("tags.t LIKE '%b%' AND attributes.status = 'PENDING'", &["b"]),
            ("metrics.acc > 0.4", &["b", "a"]),
            ("metrics.acc >= 1", &[]),
            ("creation_timestamp > 1", &["c", "b", "a"]),
            ("creation_time < 1.5", &[]),
        ];
        for (filter, expected) in table {
            assert_eq!(names(&world, search(&world, filter)).await, *expected, "{filter}");
        }
        let mut on_test = search(&world, "");
        on_test.datasets = vec![DatasetFilter { name: "test".into(), digest: Some("digest".into()) }];
        assert_eq!(names(&world, on_test.clone()).await, ["a"]);
        on_test.filter = Some("metrics.acc > 0.4".into());
        assert!(names(&world, on_test).await.is_empty());
        let order = |order: Value| SearchLoggedModels { order_by: order.as_array().unwrap().clone(), ..search(&world, "") };
        let by = |field: &str, ascending: bool| order(json!([{ "field_name": field, "ascending": ascending }]));
        assert_eq!(names(&world, by("creation_timestamp", true)).await, ["a", "b", "c"]);
        assert_eq!(names(&world, by("name", false)).await, ["c", "b", "a"]);
        assert_eq!(names(&world, by("metrics.acc", true)).await, ["a", "b", "c"], "the newest value counts, NaN goes last");
        let on_train = json!([{ "field_name": "metrics.acc", "ascending": false, "dataset_name": "train" }]);
        assert_eq!(names(&world, order(on_train)).await, ["a", "b", "c"]);
        pages(&world).await.unwrap();
        assert!(parse_logged_model_order_by(&[json!({})]).is_err());
    });
}

async fn pages(world: &World) -> Result<(), Problem> {
    let mut verb = search(world, "");
    verb.max_results = Some(2);
    let first: Page<LoggedModel> = world.call(verb.clone()).await?;
    assert_eq!(first.rows.len(), 2);
    verb.page_token = first.next;
    let second = world.call(verb.clone()).await?;
    assert_eq!((second.rows[0].name.as_str(), second.next), ("a", None));
    verb.filter = Some("name = 'x'".into());
    refused(world.call(verb).await, Kind::Invalid, "Filter string in the page token does not match the requested filter string.");
    Ok(())
}
