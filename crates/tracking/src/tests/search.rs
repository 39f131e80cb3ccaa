use gate::Scope;
use kernel::{Kind, Problem};

use super::support::{World, on_both_engines, refused};
use crate::ops::*;
use crate::types::{Dataset, DatasetInput, Experiment, KeyValue, NewMetric, Page, Run, RunStatus, View};

fn runs(world: &World, experiments: &[&str]) -> SearchRuns {
    SearchRuns {
        room: world.room.clone(),
        experiment_ids: experiments.iter().map(|id| (*id).to_owned()).collect(),
        filter: String::new(),
        order_by: Vec::new(),
        view: View::Active,
        max_results: 1_000,
        page_token: None,
    }
}

fn experiments(world: &World, filter: &str, order: &[&str]) -> SearchExperiments {
    SearchExperiments {
        room: world.room.clone(),
        filter: filter.to_owned(),
        order_by: order.iter().map(|text| (*text).to_owned()).collect(),
        view: View::Active,
        max_results: 1_000,
        page_token: None,
    }
}

fn names(page: &Page<Run>) -> Vec<&str> {
    page.items.iter().map(|run| run.info.name.as_str()).collect()
}

/// Four runs, `a` to `d`, that differ in everything.
async fn seed(world: &World) -> String {
    let experiment = world.experiment("x").await;
    let rows: [(&str, i64, Option<f64>, &str, &str); 4] = [
        ("a", 10, Some(1.0), "Alpha", "10"),
        ("b", 20, Some(f64::NAN), "beta", "9"),
        ("c", 30, Some(-2.5), "alphabet", "1"),
        ("d", 40, None, "50%_\\x", "1"),
    ];
    for (name, start, metric, tag, param) in rows {
        let run = world.run_with(&experiment, start, &[("mlflow.runName", name), ("t", tag)]).await.info.run_id;
        let metrics =
            metric.map(|value| NewMetric { key: "m 1".to_owned(), value, timestamp_ms: 1, step: 1, ..NewMetric::default() });
        world.log_batch(&run, metrics.into_iter().collect(), &[("p", param)], &[]).await.unwrap();
        if name == "c" {
            let end = UpdateRun {
                room: world.room.clone(),
                run_id: run.clone(),
                status: Some(RunStatus::Finished),
                end_time_ms: Some(99),
                run_name: None,
            };
            world.call(end).await.unwrap();
        }
        if name == "a" || name == "b" {
            let dataset = Dataset {
                name: format!("data-{name}"),
                digest: format!("d{name}"),
                source_type: "s".to_owned(),
                source: "s".to_owned(),
                schema: None,
                profile: None,
            };
            let tags = vec![KeyValue::new("mlflow.data.context", if name == "a" { "training" } else { "test" })];
            world
                .call(LogInputs {
                    room: world.room.clone(),
                    run_id: run,
                    datasets: vec![DatasetInput { dataset, tags }],
                    models: Vec::new(),
                })
                .await
                .unwrap();
        }
    }
    experiment
}

#[test]
fn filters_find_what_they_say() {
    on_both_engines(|world| async move {
        let experiment = seed(&world).await;
        let cases: &[(&str, &str)] = &[
            ("", "dcba"),
            ("metrics.`m 1` > -3", "ca"),
            ("metrics.`m 1` = 1", "a"),
            ("metrics.`m 1` != 1", "c"),
            ("metrics.`m 1` = 0", ""),
            ("metrics.none > 0", ""),
            ("params.p = '1'", "dc"),
            ("params.p != '1'", "ba"),
            ("params.p LIKE '1%'", "dca"),
            ("tags.t = 'Alpha'", "a"),
            ("tags.t LIKE 'alpha%'", "c"),
            ("tags.t ILIKE 'ALPHA%'", "ca"),
            ("tags.t LIKE '%\\x'", "d"),
            ("tags.t LIKE '50%'", "d"),
            ("tags.none IS NULL", "dcba"),
            ("tags.t IS NOT NULL", "dcba"),
            ("params.p IS NULL", ""),
            ("attributes.status = 'FINISHED'", "c"),
            ("status != 'FINISHED'", "dba"),
            ("attributes.start_time >= 20 AND start_time < 40", "cb"),
            ("attributes.end_time > 1", "c"),
            ("attributes.run_name = 'b'", "b"),
            ("run_name LIKE 'a%'", "a"),
            ("attributes.user_id = 'tester'", "dcba"),
            ("dataset.name = 'data-a'", "a"),
            ("dataset.digest LIKE 'd%'", "ba"),
            ("dataset.context = 'test'", "b"),
            ("dataset.name = 'data-a' AND dataset.context = 'test'", ""),
            ("params.p = '1' and tags.t = 'alphabet' and metrics.`m 1` < 0", "c"),
            ("attributes.artifact_uri LIKE 'mlflow-artifacts:/1/%'", "dcba"),
        ];
        for (filter, found) in cases {
            let page = world.call(SearchRuns { filter: (*filter).to_owned(), ..runs(&world, &[&experiment]) }).await.unwrap();
            assert_eq!(names(&page).concat(), *found, "{filter} on {}", world.engine);
        }
        let ids = world.call(runs(&world, &[&experiment])).await.unwrap().items;
        let filter = format!("attributes.run_id IN ('{}', '{}')", ids[0].info.run_id, ids[2].info.run_id);
        assert_eq!(names(&world.call(SearchRuns { filter, ..runs(&world, &[&experiment]) }).await.unwrap()), ["d", "b"]);
        for bad in ["params.p = 1", "foo", "metrics.m = 'x'", "tags.t = 'a' OR tags.t = 'b'", "a\0b"] {
            let search = SearchRuns { filter: bad.to_owned(), ..runs(&world, &[&experiment]) };
            assert_eq!(world.call(search).await.unwrap_err().kind(), Kind::Invalid, "{bad}");
        }
    });
}

#[test]
fn orders_put_missing_last() {
    on_both_engines(|world| async move {
        let experiment = seed(&world).await;
        let cases: &[(&[&str], &str)] = &[
            (&[], "dcba"),
            (&["start_time ASC"], "abcd"),
            (&["metrics.`m 1`"], "cabd"),
            (&["metrics.`m 1` DESC"], "acbd"),
            (&["params.p ASC"], "dcab"),
            (&["params.p", "metrics.`m 1`"], "cdab"),
            (&["tags.t DESC"], "bcad"),
            (&["attributes.end_time DESC"], "cdba"),
            (&["attributes.run_name DESC"], "dcba"),
            (&["tags.none"], "dcba"),
            (&["status", "start_time"], "cabd"),
        ];
        for (order, found) in cases {
            let order_by = order.iter().map(|text| (*text).to_owned()).collect();
            let page = world.call(SearchRuns { order_by, ..runs(&world, &[&experiment]) }).await.unwrap();
            assert_eq!(names(&page).concat(), *found, "{order:?} on {}", world.engine);
        }
        let twice =
            SearchRuns { order_by: vec!["params.p".to_owned(), "params.p DESC".to_owned()], ..runs(&world, &[&experiment]) };
        refused(world.call(twice).await, Kind::Invalid, "`order_by` contains duplicate fields");
        let keys = |count: usize| (0..count).map(|i| format!("params.p{i}")).collect::<Vec<_>>();
        let found = world.call(SearchRuns { order_by: keys(32), ..runs(&world, &[&experiment]) }).await.unwrap();
        assert_eq!(names(&found).concat(), "dcba");
        let long = SearchRuns { order_by: keys(33), ..runs(&world, &[&experiment]) };
        refused(world.call(long).await, Kind::Invalid, "`order_by` may name at most 32 fields, got 33");
        let wide = (0..100).map(|i| format!("params.p{i} IS NULL")).collect::<Vec<_>>().join(" AND ");
        let found = world.call(SearchRuns { filter: wide, ..runs(&world, &[&experiment]) }).await.unwrap();
        assert_eq!(names(&found).concat(), "dcba");
    });
}

#[test]
fn pages_follow_each_other() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let mut ids = Vec::new();
        for _ in 0..10 {
            ids.push(world.run(&experiment).await);
        }
        ids.sort();
        let mut seen = Vec::new();
        let mut page_token = None;
        for length in [4, 4, 2] {
            let page = world.call(SearchRuns { max_results: 4, page_token, ..runs(&world, &[&experiment]) }).await.unwrap();
            assert_eq!(page.items.len(), length);
            seen.extend(page.items.into_iter().map(|run| run.info.run_id));
            page_token = page.next_page_token;
        }
        assert!(page_token.is_none());
        assert_eq!(seen, ids);
        let none = world.call(SearchRuns { max_results: 10, ..runs(&world, &[&experiment]) }).await.unwrap();
        assert!(none.next_page_token.is_none());
        let with = |max_results| SearchRuns { max_results, ..runs(&world, &[&experiment]) };
        refused(
            world.call(with(0)).await,
            Kind::Invalid,
            "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer",
        );
        refused(
            world.call(with(50_001)).await,
            Kind::Invalid,
            "Invalid value 50001 for parameter 'max_results' supplied. It must be at most 50000",
        );
        let bad = SearchRuns { page_token: Some("nonsense".to_owned()), ..runs(&world, &[&experiment]) };
        assert_eq!(world.call(bad).await.unwrap_err().kind(), Kind::Invalid);
    });
}

#[test]
fn a_scope_narrows_lists() {
    on_both_engines(|world| async move {
        let (one, two) = (world.experiment("one").await, world.experiment("two").await);
        world.run(&one).await;
        world.run(&two).await;
        let both = [one.as_str(), two.as_str(), "77", "01", "x"];
        let found = async |scope: Scope| -> Result<(usize, usize, usize), Problem> {
            world.gate.set_scope(scope);
            let all = world.call(runs(&world, &both)).await?.items.len();
            let listed = world.call(experiments(&world, "", &[])).await?.items.len();
            let sets =
                SearchDatasets { room: world.room.clone(), experiment_ids: both.iter().map(|id| (*id).to_owned()).collect() };
            Ok((all, listed, world.call(sets).await?.len()))
        };
        let input = |run: String| {
            let dataset = Dataset {
                name: "d".to_owned(),
                digest: "1".to_owned(),
                source_type: "s".to_owned(),
                source: "s".to_owned(),
                schema: None,
                profile: None,
            };
            LogInputs {
                room: world.room.clone(),
                run_id: run,
                datasets: vec![DatasetInput { dataset, tags: Vec::new() }],
                models: Vec::new(),
            }
        };
        for id in [&one, &two] {
            let run = world.run(id).await;
            world.call(input(run)).await.unwrap();
        }
        assert_eq!(found(Scope::Workspace).await.unwrap(), (4, 2, 2));
        assert_eq!(found(Scope::Only { experiments: vec![2], models: Vec::new() }).await.unwrap(), (2, 1, 1));
        assert_eq!(found(Scope::Only { experiments: Vec::new(), models: Vec::new() }).await.unwrap(), (0, 0, 0));
        assert_eq!(found(Scope::Nothing).await.unwrap(), (0, 0, 0));
        world.gate.set_scope(Scope::Workspace);
        let foreign = |target: &gate::Target| {
            let _ = target;
            gate::Facts { exists: true, workspace: Some("other".to_owned()), ..gate::Facts::default() }
        };
        world.gate.set_facts_of(foreign);
        assert_eq!(found(Scope::Workspace).await.unwrap(), (0, 0, 0));
    });
}

#[test]
fn views_show_their_stage() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let (kept, gone) = (world.run(&experiment).await, world.run(&experiment).await);
        world.call(DeleteRun { room: world.room.clone(), run_id: gone.clone() }).await.unwrap();
        for (view, count, first) in [(View::Active, 1, Some(&kept)), (View::Deleted, 1, Some(&gone)), (View::All, 2, None)] {
            let page = world.call(SearchRuns { view, ..runs(&world, &[&experiment]) }).await.unwrap();
            assert_eq!(page.items.len(), count);
            if let Some(first) = first {
                assert_eq!(&page.items[0].info.run_id, first);
            }
        }
        assert!(world.call(runs(&world, &[])).await.unwrap().items.is_empty());
    });
}

#[test]
fn experiments_are_found_and_ordered() {
    on_both_engines(|world| async move {
        world.default_experiment().await;
        for (name, tag) in [("a", Some("value")), ("ab", Some("vaLue")), ("Abc", None)] {
            world.gate.clock.advance_secs(1);
            let tags: Vec<(&str, &str)> = tag.map(|value| ("key", value)).into_iter().collect();
            world.experiment_with(name, None, &tags).await.unwrap();
        }
        let names = |items: &[Experiment]| items.iter().map(|e| e.name.clone()).collect::<Vec<_>>().join(" ");
        let cases: &[(&str, &[&str], &str)] = &[
            ("", &[], "Abc ab a Default"),
            ("attribute.name = 'a'", &[], "a"),
            ("attribute.name != 'a'", &[], "Abc ab Default"),
            ("name LIKE 'a%'", &[], "ab a"),
            ("name ILIKE 'a%'", &[], "Abc ab a"),
            ("tag.key = 'value'", &[], "a"),
            ("tag.key != 'value'", &[], "ab"),
            ("tag.key ILIKE '%alu%'", &[], "ab a"),
            ("tags.key IS NULL", &[], "Abc Default"),
            ("creation_time > 1700000001000", &[], "Abc ab"),
            ("", &["name DESC"], "ab a Default Abc"),
            ("", &["experiment_id ASC"], "Default a ab Abc"),
            ("", &["last_update_time"], "Default a ab Abc"),
        ];
        for (filter, order, found) in cases {
            let page = world.call(experiments(&world, filter, order)).await.unwrap();
            assert_eq!(names(&page.items), *found, "{filter} {order:?} on {}", world.engine);
        }
        let first = world.call(SearchExperiments { max_results: 2, ..experiments(&world, "", &[]) }).await.unwrap();
        assert_eq!(names(&first.items), "Abc ab");
        let second =
            world.call(SearchExperiments { page_token: first.next_page_token, ..experiments(&world, "", &[]) }).await.unwrap();
        assert_eq!((names(&second.items).as_str(), second.next_page_token), ("a Default", None));
        world.call(DeleteExperiment { room: world.room.clone(), experiment_id: "2".to_owned() }).await.unwrap();
        let deleted = world.call(SearchExperiments { view: View::Deleted, ..experiments(&world, "", &[]) }).await.unwrap();
        assert_eq!(names(&deleted.items), "ab");
        assert_eq!(world.call(experiments(&world, "foo", &[])).await.unwrap_err().kind(), Kind::Invalid);
    });
}

#[test]
fn dataset_lists_have_limits() {
    on_both_engines(|world| async move {
        let list = |count: usize| SearchDatasets { room: world.room.clone(), experiment_ids: vec!["1".to_owned(); count] };
        refused(world.call(list(0)).await, Kind::Invalid, "SearchDatasets request must specify at least one experiment_id.");
        refused(
            world.call(list(21)).await,
            Kind::Invalid,
            "SearchDatasets request cannot specify more than 20 experiment_ids. Received 21 experiment_ids.",
        );
    });
}
