//! What the server does now and then by itself, each act under a job's narrow identity.

use std::sync::Arc;
use std::time::Duration;

use artifacts::{Artifacts, SweepObjects};
use buckets::Buckets;
use gate::{Attempt, Gate, JobKey, JobPass};
use identity::IdentityPort;
use kernel::Problem;
use predictions::Predictions;
use retention::Keeping;
use tokio::task::JoinHandle;
use vault::db::SystemDb;

use crate::boot::Rooms;

/// How often last-used times are written down and ended sessions are cleared away.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);
/// The job that takes away what no row names; once a day is plenty, for it spares what is younger.
const SWEEPER: &str = "retention";
/// The job that writes down what time it is, for what is retained.
const TIMEKEEPER: &str = "timekeeper";
const SWEEP_EVERY_MINUTES: u64 = 24 * 60;
/// How often the time that retention counts by goes into the log.
const TICK_EVERY_MINUTES: u64 = 60;
/// How often open versions that expired and waivers that ended are swept. Neither counts any more before that.
const SWEEP_DATA_EVERY_MINUTES: u64 = 60;
/// What it holds for that.
struct Housekeeping {
    identity: Arc<IdentityPort>,
    system: SystemDb,
    gate: Gate,
    sweeper: JobPass,
    timekeeper: JobPass,
    warden: JobPass,
    buckets: Buckets,
    keeping: Keeping,
    artifacts: Artifacts,
    data: data::Data,
    predictions: Predictions,
}

/// Begins it.
pub fn begin(rooms: &Rooms, identity: Arc<IdentityPort>, system: SystemDb, (gate, jobs): (&Gate, &JobKey)) -> JoinHandle<()> {
    tokio::spawn(keep_house(Housekeeping {
        identity,
        system,
        gate: gate.clone(),
        sweeper: jobs.pass(SWEEPER),
        timekeeper: jobs.pass(TIMEKEEPER),
        warden: jobs.pass(retention::seal::SEALER),
        buckets: rooms.buckets.clone(),
        keeping: rooms.keeping.clone(),
        artifacts: rooms.artifacts.clone(),
        data: rooms.data.clone(),
        predictions: rooms.predictions.clone(),
    }))
}

async fn keep_house(house: Housekeeping) {
    let mut minutes = 0_u64;
    loop {
        tokio::time::sleep(HOUSEKEEPING_EVERY).await;
        if let Err(problem) = house.identity.write_uses(&house.system).await {
            tracing::warn!(%problem, "last-used times could not be written down");
        }
        if let Err(problem) = keep_time(&house, minutes).await {
            tracing::warn!(%problem, "what time it is could not be written down; retention waits for it");
        }
        if let Err(problem) = keep_seals(&house).await {
            tracing::warn!(%problem, "what holds locked objects could not be looked after");
        }
        if minutes.is_multiple_of(SWEEP_EVERY_MINUTES) {
            let sweep = SweepObjects { room: house.artifacts.clone() };
            match house.gate.call(Attempt::of_job(house.sweeper.clone()), sweep).await {
                Ok(swept) => tracing::info!(swept.unfinished_count, swept.orphan_count, "objects that nothing names were swept"),
                Err(problem) => tracing::warn!(%problem, "objects that nothing names could not be swept"),
            }
        }
        if minutes.is_multiple_of(SWEEP_DATA_EVERY_MINUTES) {
            let expire = predictions::ops::Expire { room: house.predictions.clone() };
            match house.gate.call(Attempt::of_job(house.sweeper.clone()), expire).await {
                Ok(expired) => tracing::debug!(expired.batch_count, "batches of predictions whose time is over were deleted"),
                Err(problem) => tracing::warn!(%problem, "batches of predictions could not be deleted"),
            }
            let sweep = data::ops::SweepData { room: house.data.clone() };
            match house.gate.call(Attempt::of_job(house.sweeper.clone()), sweep).await {
                Ok(swept) => {
                    tracing::debug!(swept.expired_count, swept.ended_waiver_count, "open versions and waivers were swept")
                }
                Err(problem) => tracing::warn!(%problem, "open versions and waivers could not be swept"),
            }
        }
        minutes = minutes.saturating_add(1);
    }
}

/// Writes down what time it is for what is retained: each minute as book-keeping, each hour with a record in the log.
async fn keep_time(house: &Housekeeping, minutes: u64) -> Result<(), Problem> {
    if !minutes.is_multiple_of(TICK_EVERY_MINUTES) {
        return house.keeping.rules().clock().keep(&house.system).await;
    }
    let tick = buckets::ops::lock::TickClock { room: house.buckets.clone() };
    house.gate.call(Attempt::of_job(house.timekeeper.clone()), tick).await.map(drop)
}

/// Has locked objects held by what they lie on, and lets go of those whose time is over. Where there is nothing to do, nothing is recorded.
async fn keep_seals(house: &Housekeeping) -> Result<(), Problem> {
    if !house.keeping.is_seal_due().await? {
        return Ok(());
    }
    let seal = retention::seal::SealObjects { room: house.keeping.clone() };
    let sealed = house.gate.call(Attempt::of_job(house.warden.clone()), seal).await?;
    tracing::info!(sealed.sealed_count, sealed.released_count, sealed.failed_count, "seals of objects were looked after");
    Ok(())
}
