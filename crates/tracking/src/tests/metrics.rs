use gate::Scope;
use kernel::Kind;

use super::support::{World, on_both_engines, refused};
use crate::ops::*;
use crate::types::{MetricPoint, Page};

async fn history(world: &World, run: &str, key: &str, max_results: Option<i64>, token: Option<String>) -> Page<MetricPoint> {
    let read = GetMetricHistory {
        room: world.room.clone(),
        run_id: run.to_owned(),
        key: key.to_owned(),
        max_results,
        page_token: token,
    };
    world.call(read).await.unwrap()
}

fn interval(world: &World, runs: &[&str], steps: Option<(i64, i64)>) -> GetMetricHistoryBulkInterval {
    let run_ids = runs.iter().map(|id| (*id).to_owned()).collect();
    GetMetricHistoryBulkInterval { room: world.room.clone(), run_ids, key: "m".to_owned(), steps, max_results: 5 }
}

fn bulk(world: &World, runs: &[&str], max_results: i64) -> GetMetricHistoryBulk {
    let run_ids = runs.iter().map(|id| (*id).to_owned()).collect();
    GetMetricHistoryBulk { room: world.room.clone(), run_ids, key: "m".to_owned(), max_results }
}

#[test]
fn a_history_is_in_order_without_doubles_and_paged() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let run = world.run(&experiment).await;
        for (value, time, step) in [(3.0, 2, 0), (1.0, 1, 1), (1.0, 1, 1), (2.0, 1, 1), (0.0, 1, 0), (f64::NAN, 3, -1)] {
            world.log_metric(&run, "m", value, time, step).await.unwrap();
        }
        let all = history(&world, &run, "m", None, None).await;
        let seen: Vec<_> = all.items.iter().map(|p| (p.timestamp_ms, p.step, p.value)).collect();
        assert_eq!((seen.len(), &seen[..4]), (5, &[(1, 0, 0.0), (1, 1, 1.0), (1, 1, 2.0), (2, 0, 3.0)][..]));
        assert!(seen[4].2.is_nan() && all.next_page_token.is_none());
        let mut paged = Vec::new();
        let mut token = None;
        loop {
            let page = history(&world, &run, "m", Some(2), token).await;
            assert!(page.items.len() <= 2);
            paged.extend(page.items);
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(paged.len(), 5);
        assert!(history(&world, &run, "none", Some(2), None).await.items.is_empty());
        let bad = GetMetricHistory {
            room: world.room.clone(),
            run_id: run.clone(),
            key: "m".to_owned(),
            max_results: None,
            page_token: Some("§".to_owned()),
        };
        assert_eq!(world.call(bad).await.unwrap_err().kind(), Kind::Invalid);
        let bad = GetMetricHistory {
            room: world.room.clone(),
            run_id: run,
            key: "m".to_owned(),
            max_results: Some(-1),
            page_token: None,
        };
        refused(world.call(bad).await, Kind::Invalid, "Invalid value -1 for parameter 'max_results'");
    });
}

#[test]
fn bulk_reads_go_by_run_and_scope() {
    on_both_engines(|world| async move {
        let (mine, other) = (world.experiment("mine").await, world.experiment("other").await);
        let (a, b) = (world.run(&mine).await, world.run(&other).await);
        for run in [&a, &b] {
            for step in 0..3 {
                world.log_metric(run, "m", 1.0, 1, step).await.unwrap();
            }
        }
        let all = world.call(bulk(&world, &[&a, &b, &a, "none"], 25_000)).await.unwrap();
        let mut ids: Vec<&str> = all.iter().map(|point| point.run_id.as_str()).collect();
        assert!(ids.is_sorted() && ids.len() == 6);
        ids.dedup();
        assert_eq!(ids.len(), 2);
        assert_eq!(world.call(bulk(&world, &[&a, &b], 4)).await.unwrap().len(), 4);
        let many = vec!["x"; 101];
        refused(
            world.call(bulk(&world, &many, 4)).await,
            Kind::Invalid,
            "GetMetricHistoryBulk request cannot specify more than 100 run_ids. Received 101 run_ids.",
        );

        world.gate.set_scope(Scope::Only { experiments: vec![1], models: Vec::new() });
        let seen = world.call(bulk(&world, &[&a, &b], 25_000)).await.unwrap();
        assert!(seen.len() == 3 && seen.iter().all(|point| point.run_id == a));
        assert_eq!(world.call(interval(&world, &[&a, &b], None)).await.unwrap().len(), 3);
        world.gate.set_scope(Scope::Nothing);
        assert!(world.call(bulk(&world, &[&a, &b], 25_000)).await.unwrap().is_empty());
        assert!(world.call(interval(&world, &[&a, &b], None)).await.unwrap().is_empty());
    });
}

#[test]
fn an_interval_is_sampled_over_all_runs() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let (a, b) = (world.run(&experiment).await, world.run(&experiment).await);
        for step in 0..10 {
            world.log_metric(&a, "m", 10.0, 1, step).await.unwrap();
        }
        let steps = |points: Vec<crate::RunMetricPoint>| points.iter().map(|p| p.point.step).collect::<Vec<_>>();
        assert_eq!(steps(world.call(interval(&world, &[&a], None)).await.unwrap()), [0, 2, 4, 6, 8, 9]);
        assert_eq!(steps(world.call(interval(&world, &[&a], Some((0, 4)))).await.unwrap()), [0, 1, 2, 3, 4]);
        for step in 0..20 {
            world.log_metric(&b, "m", 10.0, 1, step).await.unwrap();
        }
        let both = world.call(interval(&world, &[&a, &b], None)).await.unwrap();
        assert!(both.iter().take(4).all(|point| point.run_id == a));
        assert_eq!(steps(both), [0, 4, 8, 9, 0, 4, 8, 9, 12, 16, 19]);
        for step in 0..10 {
            world.log_metric(&a, "m", 10.0, 2, step).await.unwrap();
        }
        let twice = world.call(interval(&world, &[&a], None)).await.unwrap();
        assert_eq!(
            twice.iter().map(|p| (p.point.step, p.point.timestamp_ms)).take(4).collect::<Vec<_>>(),
            [(0, 1), (0, 2), (2, 1), (2, 2)]
        );
    });
}
