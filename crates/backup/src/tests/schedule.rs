use std::sync::Arc;

use kernel::{Micros, Problem, Secret};

use super::World;
use crate::health::how;
use crate::ops::{ListRuns, RunBackup};
use crate::runner::{Drill, Drilled, Runner};
use crate::types::{Run, RunKind, RunState};
use crate::{BACKUP, Future};

/// A drill that restores nothing, and fails where the test wants it to.
struct Pretended(bool);

impl Drill for Pretended {
    fn drill<'a>(&'a self, _: &'a str, sequence: u64, _: Secret) -> Future<'a, Drilled> {
        Box::pin(async move {
            if self.0 {
                return Err(Problem::internal("the sandbox has no room", "pretended"));
            }
            Ok(Drilled { sequence, object_count: 3, restored_bytes: 4, log_size: 5, took_ms: 6 })
        })
    }
}

fn runner(world: &World, fails: bool) -> Runner {
    Runner::new(world.room.clone(), world.gate.gate.clone(), world.gate.job_key.pass(BACKUP), Arc::new(Pretended(fails)))
}

async fn runs(world: &World) -> Vec<Run> {
    world.gate.call(ListRuns { room: world.room.clone() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_asks_once_and_a_drill_needs_a_backup() {
    let world = World::scheduled(6, 7).await;
    let runner = runner(&world, false);
    runner.ask_by_schedule().await.unwrap();
    assert_eq!(runs(&world).await.len(), 1, "there is nothing to try yet");
    assert!(runner.step().await.unwrap());
    runner.ask_by_schedule().await.unwrap();
    let open: Vec<_> = runs(&world).await.into_iter().filter(|run| run.state == RunState::Queued).collect();
    assert_eq!(open.iter().map(|run| run.kind).collect::<Vec<_>>(), [RunKind::Drill]);
    assert!(runner.step().await.unwrap());
    assert!(!runner.step().await.unwrap(), "nothing waits any more");
    runner.ask_by_schedule().await.unwrap();
    let all = runs(&world).await;
    assert_eq!(all.len(), 2, "neither is due again");
    assert!(all.iter().all(|run| run.state == RunState::Done && run.asked_by == BACKUP), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_says_why_and_is_over() {
    let world = World::scheduled(6, 7).await;
    let runner = runner(&world, true);
    runner.ask_by_schedule().await.unwrap();
    runner.step().await.unwrap();
    runner.ask_by_schedule().await.unwrap();
    runner.step().await.unwrap();
    let failed = runs(&world).await.into_iter().find(|run| run.kind == RunKind::Drill).unwrap();
    assert_eq!(failed.state, RunState::Failed);
    assert!(failed.problem.unwrap().contains("no room"));
    let how = world.health().await;
    assert!(how.is_degraded && how.reasons.join(" ").contains("the last drill failed: "), "{how:?}");
    assert!(!runner.step().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_process_left_is_taken_up_again() {
    let world = World::scheduled(0, 0).await;
    let run = world.gate.call(RunBackup { room: world.room.clone(), to: None }).await.unwrap();
    world.room.progress(&run.id, "objects", 1, 2).await.unwrap();
    assert!(runner(&world, false).step().await.unwrap());
    assert_eq!(runs(&world).await[0].state, RunState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_what_is_late() {
    let world = World::scheduled(6, 7).await;
    let at = |now: Micros| {
        let config = world.room.0.config.clone();
        let system = world.opened.system.clone();
        async move { system.read(move |reader| how(reader, &config, now)).await.unwrap() }
    };
    let now = world.room.0.clock.now();
    let none = at(now).await.unwrap();
    assert!(none.is_degraded && none.reasons.join(" ").contains("no good backup yet"), "{none:?}");
    let runner = runner(&world, false);
    for _ in 0..2 {
        runner.ask_by_schedule().await.unwrap();
        runner.step().await.unwrap();
    }
    let good = at(now).await.unwrap();
    assert!(!good.is_degraded, "{good:?}");
    let hour = 3_600_000_000;
    let late = at(Micros(now.0 + 10 * hour)).await.unwrap();
    assert!(late.is_degraded && late.reasons.join(" ").contains("the last good backup is 10 hours old"), "{late:?}");
    let quiet = World::scheduled(0, 0).await;
    let (config, system) = (quiet.room.0.config.clone(), quiet.opened.system.clone());
    assert_eq!(system.read(move |reader| how(reader, &config, now)).await.unwrap(), None, "who makes none is told nothing");
}
