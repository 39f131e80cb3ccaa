//! `endpoints.guard`.

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use super::endpoint_of;
use crate::{GuardSettings, Serving, store};

/// What somebody makes of an endpoint's settings: what they do not name stays as it is.
pub type GuardChange = Arc<dyn Fn(GuardSettings) -> GuardSettings + Send + Sync>;

/// Says how an endpoint is guarded, from the next request on.
pub struct SetGuard {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub name: String,
    /// What becomes of the settings that hold.
    pub change: GuardChange,
}

impl Operation for SetGuard {
    const ACTION: Action = super::GUARD;
    type Output = GuardSettings;

    fn target(&self) -> Target {
        Target::Endpoint(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<GuardSettings, Problem> {
        let (id, change) = (endpoint_of(&permit)?, self.change);
        let known = id.clone();
        let held = self.room.db().read(&permit, move |reader| Ok(store::guard::settings(reader, &known)?)).await?;
        let asked = change(held.unwrap_or_default());
        asked.check()?;
        self.room.check_told(&permit, &id, &asked).await?;
        let (at, by, wanted) = (permit.entry().at, permit.caller().id.clone(), id.clone());
        let set = self.room.db().write(&permit, move |writer| {
            // Somebody else may have changed another of them meanwhile.
            let settings = change(store::guard::settings(writer, &wanted)?.unwrap_or_default());
            store::guard::set(writer, &wanted, &settings, (at, &by))?;
            let outcome =
                Outcome::done().resource(wanted).with("ranges", settings.ranges.word()).with("unlike", settings.unlike.word());
            Ok((settings, outcome.with("ladder", i64::from(settings.ladder))))
        });
        let settings = set.await?;
        self.room.guard_again(&id);
        Ok(settings)
    }
}
