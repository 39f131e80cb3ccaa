//! `predictions.expire`: batches whose time is over go.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem};

use crate::limits::EXPIRE_COUNT_MAX;
use crate::{Predictions, store};

const DAY_US: i64 = 24 * 3_600 * 1_000_000;

/// Deletes batches that are older than they are kept.
pub struct Expire {
    /// The room.
    pub room: Predictions,
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Batches.
    pub batch_count: usize,
    /// Their predictions.
    pub request_count: i64,
}

impl Operation for Expire {
    const ACTION: Action = super::EXPIRE;
    type Output = Expired;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Expired, Problem> {
        let kept_us = DAY_US.saturating_mul(i64::from(self.room.0.config.keep_days));
        let before = Micros(permit.entry().at.0.saturating_sub(kept_us));
        let write = move |writer: &mut vault::db::Writer<'_>| {
            let batches = store::expired(writer, before, EXPIRE_COUNT_MAX)?;
            let mut expired = Expired::default();
            for batch in &batches {
                store::delete(writer, &batch.id)?;
                expired.batch_count = expired.batch_count.saturating_add(1);
                expired.request_count = expired.request_count.saturating_add(batch.request_count);
            }
            let objects: Vec<_> = batches.into_iter().map(|batch| batch.object.id).collect();
            let outcome = Outcome::done()
                .with("batches", expired.batch_count)
                .with("requests", expired.request_count)
                .with("before", before.0);
            Ok(((expired, objects), outcome))
        };
        self.room.objects().commit(self.room.db(), &permit, Vec::new(), write).await
    }
}
