//! `datasets.sweep`: open versions that nobody committed go, waivers that have ended are written down.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem};
use vault::db::Writer;
use vault::objects::ObjectId;

use crate::Data;
use crate::limits::{OPEN_AGE_MAX, SWEEP_COUNT_MAX};
use crate::store::{self, cleanings, files, versions};

/// Sweeps all workspaces. Of the job `retention`.
pub struct SweepData {
    /// The room.
    pub room: Data,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweptData {
    /// Open versions that went.
    pub expired_count: usize,
    /// Waivers that ended.
    pub ended_waiver_count: u64,
}

impl Operation for SweepData {
    const ACTION: Action = super::SWEEP;
    type Output = SweptData;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<SweptData, Problem> {
        let now = permit.entry().at;
        let age = i64::try_from(OPEN_AGE_MAX.as_micros()).unwrap_or(i64::MAX);
        let before = Micros(now.0.saturating_sub(age));
        let swept = self.room.objects().commit(self.room.db(), &permit, Vec::new(), move |writer| {
            let mut objects = Vec::new();
            let stale = versions::stale(writer, before, SWEEP_COUNT_MAX)?;
            for id in &stale {
                objects.extend(forget_open(writer, id)?);
            }
            let ended_waiver_count = versions::end_waivers(writer, now)?;
            let swept = SweptData { expired_count: stale.len(), ended_waiver_count };
            let outcome = Outcome::done()
                .with("expired_count", swept.expired_count)
                .with("ended_waiver_count", store::signed(ended_waiver_count)?);
            Ok(((swept, objects), outcome))
        });
        swept.await
    }
}

/// Takes an open version away, with all that was kept for it. Gives the objects that nobody names any more.
pub(super) fn forget_open(writer: &mut Writer<'_>, id: &str) -> Result<Vec<ObjectId>, Problem> {
    let mut objects = files::forget(writer, id)?;
    objects.extend(files::forget_documents(writer, id)?);
    cleanings::forget(writer, id)?;
    versions::forget(writer, id)?;
    Ok(objects)
}
