//! Long lists of runs and experiments, page by page: each row once, in the order of the whole list, whatever is added meanwhile.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};
use vault::db::Writer;

use super::support::{World, on_both_engines, refused};
use crate::ops::*;
use crate::store::runs;
use crate::types::{RunInfo, Stage, View};

const RUN_COUNT: i64 = 2_100;
const PAGE_COUNT: i64 = 97;

/// Makes many runs in one commit. Many are equal in what they are ordered by, and many miss it.
struct Seed {
    room: crate::Tracking,
    experiment: i64,
    from: i64,
    count: i64,
}

impl Operation for Seed {
    const ACTION: Action = Action::write("runs.create");
    type Output = ();

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let Self { room, experiment, from, count } = self;
        let write = move |writer: &mut Writer<'_>| {
            for number in from..from + count {
                seed(writer, experiment, number)?;
            }
            Ok(((), Outcome::done()))
        };
        room.db.write(&permit, write).await
    }
}

fn seed(writer: &mut Writer<'_>, experiment: i64, number: i64) -> Result<(), Problem> {
    // Ids that lie apart from the order in which they were made.
    let run_id = format!("{:08x}{number:024}", (number * 2_654_435_761) % 4_294_967_291);
    let info = RunInfo {
        run_id,
        experiment_id: experiment,
        name: format!("n{}", number % 5),
        user_name: String::new(),
        status: if number % 2 == 0 { "FINISHED" } else { "RUNNING" }.to_owned(),
        start_time_ms: number / 50,
        end_time_ms: None,
        artifact_uri: String::new(),
        stage: Stage::Active,
    };
    let row = runs::insert(writer, &info, "somebody")?;
    let (value, is_nan) = if number % 7 == 0 { (0.0, 1) } else { ((number % 11) as f64 / 8.0 - 0.3, 0) };
    if number % 3 != 0 {
        let sql = "INSERT INTO latest_metric (run_row, key, value, is_nan, timestamp_ms, step) VALUES ($1, 'm', $2, $3, 1, 1)";
        writer.execute(sql, &[row.into(), value.into(), i64::from(is_nan).into()])?;
    }
    if number % 4 != 0 {
        let text = format!("{}{}", "ä".repeat(if number % 2 == 0 { 400 } else { 1 }), number % 9);
        writer.execute("INSERT INTO param (run_row, key, value) VALUES ($1, 'p', $2)", &[row.into(), (&text).into()])?;
    }
    if number % 5 < 2 {
        writer.execute("UPDATE run SET end_time_ms = $1 WHERE run_row = $2", &[(number % 13).into(), row.into()])?;
    }
    Ok(())
}

fn search(world: &World, experiment: &str, order: &[&str], max_results: i64, page_token: Option<String>) -> SearchRuns {
    SearchRuns {
        room: world.room.clone(),
        experiment_ids: vec![experiment.to_owned()],
        filter: String::new(),
        order_by: order.iter().map(|text| (*text).to_owned()).collect(),
        view: View::Active,
        max_results,
        page_token,
    }
}

async fn ids(world: &World, experiment: &str, order: &[&str]) -> Vec<String> {
    let page = world.call(search(world, experiment, order, 50_000, None)).await.unwrap();
    assert!(page.next_page_token.is_none());
    page.items.into_iter().map(|run| run.info.run_id).collect()
}

#[test]
fn thousands_of_runs_are_seen_once_each_in_every_order() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let id = experiment.parse().unwrap();
        world.call(Seed { room: world.room.clone(), experiment: id, from: 0, count: RUN_COUNT }).await.unwrap();
        let orders: [&[&str]; 9] = [
            &[],
            &["start_time ASC"],
            &["end_time DESC"],
            &["end_time"],
            &["status", "run_name DESC"],
            &["metrics.m"],
            &["metrics.m DESC", "params.p"],
            &["params.p DESC"],
            &["tags.none", "run_id DESC"],
        ];
        for order in orders {
            let whole = ids(&world, &experiment, order).await;
            assert_eq!(i64::try_from(whole.len()).unwrap(), RUN_COUNT);
            let (mut seen, mut token, mut page_count) = (Vec::new(), None, 0);
            loop {
                let page = world.call(search(&world, &experiment, order, PAGE_COUNT, token)).await.unwrap();
                seen.extend(page.items.into_iter().map(|run| run.info.run_id));
                page_count += 1;
                token = page.next_page_token;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!((&seen, page_count), (&whole, 22), "{order:?} on {}", world.engine);
        }
    });
}

#[test]
fn what_is_added_between_pages_moves_nothing() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let id = experiment.parse().unwrap();
        let seed = |from, count| Seed { room: world.room.clone(), experiment: id, from, count };
        world.call(seed(0, 400)).await.unwrap();
        for (order, from) in [(&["start_time DESC"][..], 10_000), (&["metrics.m"], 20_000), (&["params.p"], 30_000)] {
            let before = ids(&world, &experiment, order).await;
            let (mut seen, mut token, mut added) = (Vec::new(), None, from);
            loop {
                let page = world.call(search(&world, &experiment, order, 45, token)).await.unwrap();
                seen.extend(page.items.into_iter().map(|run| run.info.run_id));
                token = page.next_page_token;
                if token.is_none() {
                    break;
                }
                world.call(seed(added, 10)).await.unwrap();
                added += 10;
            }
            let old: Vec<&String> = seen.iter().filter(|id| before.contains(id)).collect();
            assert_eq!(old, before.iter().collect::<Vec<_>>(), "{order:?} on {}", world.engine);
            let once: std::collections::HashSet<&String> = seen.iter().collect();
            assert_eq!(once.len(), seen.len(), "none twice");
        }
    });
}

#[test]
fn experiments_are_seen_once_each_while_others_are_made() {
    on_both_engines(|world| async move {
        for number in 0..60 {
            world.experiment(&format!("e{:02}", (number * 37) % 60)).await;
        }
        let list = |order: &[&str], max_results, page_token| SearchExperiments {
            room: world.room.clone(),
            filter: String::new(),
            order_by: order.iter().map(|text| (*text).to_owned()).collect(),
            view: View::Active,
            max_results,
            page_token,
        };
        for (round, order) in [&[][..], &["last_update_time DESC"], &["name"], &["experiment_id ASC"]].into_iter().enumerate() {
            let whole = world.call(list(order, 1_000, None)).await.unwrap();
            let before: Vec<String> = whole.items.into_iter().map(|one| one.experiment_id.to_string()).collect();
            let (mut seen, mut token, mut made) = (Vec::new(), None, 0);
            loop {
                let page = world.call(list(order, 7, token)).await.unwrap();
                seen.extend(page.items.into_iter().map(|one| one.experiment_id.to_string()));
                token = page.next_page_token;
                if token.is_none() {
                    break;
                }
                world.experiment(&format!("a{round}-{made}")).await;
                made += 1;
            }
            let old: Vec<&String> = seen.iter().filter(|id| before.contains(id)).collect();
            assert_eq!(old, before.iter().collect::<Vec<_>>(), "{order:?} on {}", world.engine);
        }
        let old = list(&[], 7, Some(filter::encode_page_token(7)));
        refused(world.call(old).await, Kind::Invalid, "begin again without it");
    });
}

#[test]
fn a_token_is_good_for_its_order_and_its_kind_of_list() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let id = experiment.parse().unwrap();
        world.call(Seed { room: world.room.clone(), experiment: id, from: 0, count: 100 }).await.unwrap();
        let next = world.call(search(&world, &experiment, &["params.p DESC"], 2, None)).await.unwrap().next_page_token;
        assert!(next.as_ref().is_some_and(|token| token.len() < 500), "a long text is not carried along");
        let other = search(&world, &experiment, &["params.p"], 2, next.clone());
        refused(world.call(other).await, Kind::Invalid, "belongs to another `order_by`");
        let elsewhere = world.experiment("y").await;
        let other = search(&world, &elsewhere, &["params.p DESC"], 2, next.clone());
        refused(world.call(other).await, Kind::Invalid, "the run at which the page before ended is gone");
        let old = search(&world, &experiment, &[], 2, Some(filter::encode_page_token(2)));
        refused(world.call(old).await, Kind::Invalid, "older server");
    });
}
