//! `endpoints.guard`.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use super::endpoint_of;
use crate::{GuardSettings, Serving, store};

/// Says how an endpoint is guarded, from the next request on.
pub struct SetGuard {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub name: String,
    /// All of it: what is not said is as by default.
    pub settings: GuardSettings,
}

impl Operation for SetGuard {
    const ACTION: Action = super::GUARD;
    type Output = GuardSettings;

    fn target(&self) -> Target {
        Target::Endpoint(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<GuardSettings, Problem> {
        let (id, settings) = (endpoint_of(&permit)?, self.settings);
        settings.check()?;
        self.room.check_told(&permit, &id, &settings).await?;
        let (at, by, wanted) = (permit.entry().at, permit.caller().id.clone(), id.clone());
        let set = self.room.db().write(&permit, move |writer| {
            store::guard::set(writer, &wanted, &settings, (at, &by))?;
            let outcome =
                Outcome::done().resource(wanted).with("ranges", settings.ranges.word()).with("unlike", settings.unlike.word());
            Ok(((), outcome.with("ladder", i64::from(settings.ladder))))
        });
        set.await?;
        self.room.guard_again(&id);
        Ok(settings)
    }
}
