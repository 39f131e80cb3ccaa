//! Settings, budgets, and what people decide. What the guard sees in queries is shown by its own crate and by the clients' tests.

use std::sync::Arc;
use std::time::Duration;

use guard::Level;
use kernel::Kind;

use super::support::*;
use crate::ops::{DeleteEndpoint, GetEndpoint, ListTrails, ReleaseTrail, SetGuard, ThrottleTrail};
use crate::{GuardSettings, RangePolicy, ServingConfig, TrailShown};

impl World {
    async fn guard(&self, settings: GuardSettings) -> Result<GuardSettings, kernel::Problem> {
        self.change(move |_| settings).await
    }

    async fn change(
        &self,
        change: impl Fn(GuardSettings) -> GuardSettings + Send + Sync + 'static,
    ) -> Result<GuardSettings, kernel::Problem> {
        self.call(SetGuard { room: self.room.clone(), name: ENDPOINT.to_owned(), change: Arc::new(change) }).await
    }

    async fn trail(&self) -> TrailShown {
        let list = ListTrails { room: self.room.clone(), name: ENDPOINT.to_owned(), rows: None };
        self.call(list).await.unwrap().into_iter().next().unwrap()
    }

    async fn throttle(&self, caller: &str, level: Level, seconds: u64) -> Result<(), kernel::Problem> {
        let (room, name, caller) = (self.room.clone(), ENDPOINT.to_owned(), caller.to_owned());
        self.call(ThrottleTrail { room, name, caller, level, duration: Duration::from_secs(seconds) }).await
    }

    async fn release(&self, caller: &str) -> Result<(), kernel::Problem> {
        let (room, name) = (self.room.clone(), ENDPOINT.to_owned());
        self.call(ReleaseTrail { room, name, caller: caller.to_owned() }).await
    }
}

#[test]
fn settings_hold_from_the_next_request_on_and_go_with_the_endpoint() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let number = world.admitted(1234).await;
        world.endpoint(&number.to_string()).await.unwrap();
        assert_eq!(world.said().await, 1234.0);
        let wanted = GuardSettings {
            rows_per_day: Some(1_000),
            digits: Some(2),
            top_k: Some(1),
            ranges: RangePolicy::Refuse,
            unlike: Level::Coarser,
            ladder: true,
        };
        world.guard(wanted).await.unwrap();
        assert_eq!(world.said().await, 1200.0, "two digits");
        let shown = world.call(GetEndpoint { room: world.room.clone(), name: ENDPOINT.to_owned() }).await.unwrap().guard.unwrap();
        assert_eq!((shown.settings, shown.rows_per_day, shown.compared_row_count), (wanted, 1_000, None));
        // What is not named stays.
        let coarser = world.change(|kept| GuardSettings { digits: Some(1), ..kept }).await.unwrap();
        assert_eq!(coarser, GuardSettings { digits: Some(1), ..wanted });
        assert_eq!(world.said().await, 1000.0, "one digit");
        world.guard(GuardSettings::default()).await.unwrap();
        assert_eq!(world.said().await, 1234.0);
        for wrong in [
            GuardSettings { digits: Some(0), ..wanted },
            GuardSettings { top_k: Some(0), ..wanted },
            GuardSettings { rows_per_day: Some(0), ..wanted },
            GuardSettings { unlike: Level::Calm, ..wanted },
        ] {
            refused(world.guard(wrong).await, Kind::Invalid, "`");
        }
        world.guard(wanted).await.unwrap();
        world.call(DeleteEndpoint { room: world.room.clone(), name: ENDPOINT.to_owned() }).await.unwrap();
        world.endpoint(&number.to_string()).await.unwrap();
        assert_eq!(world.said().await, 1234.0, "another endpoint of the same name begins anew");
    });
}

#[test]
fn a_budget_of_rows_is_for_each_caller_and_comes_back() {
    on_both_engines(ServingConfig { guard_rows_per_day: 100, ..ServingConfig::default() }, |world| async move {
        let number = world.admitted(5).await;
        world.endpoint(&number.to_string()).await.unwrap();
        let alone = world.ask(101).await.unwrap_err();
        assert_eq!(alone.retry_after_hint(), None, "waiting does not help");
        refused(Err::<(), _>(alone), Kind::TooMany, "this request alone has 101");
        world.ask(90).await.unwrap();
        let problem = world.ask(20).await.unwrap_err();
        assert_eq!(problem.retry_after_hint(), Some(Duration::from_secs(8_640)));
        refused(Err::<(), _>(problem), Kind::TooMany, "100 rows a day");
        assert_eq!((world.trail().await.spent_rows, world.trail().await.level), (90, Level::Calm));
        world.gate.clock.advance_secs(8_640);
        world.ask(20).await.unwrap();
    });
}

#[test]
fn an_account_is_stopped_before_it_asks_by_its_name_and_nobody_else_is() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let number = world.admitted(5).await;
        world.endpoint(&number.to_string()).await.unwrap();
        world.account("ann@example.org").await;
        refused(world.throttle("bob", Level::Refused, 60).await, Kind::NotFound, "no account `bob`");
        world.throttle("Ann@example.org", Level::Refused, 60).await.unwrap();
        refused(world.ask(1).await, Kind::TooMany, "does not answer you");
        world.release("ann@example.org").await.unwrap();
        world.ask(1).await.unwrap();
    });
}

#[test]
fn people_slow_callers_down_and_release_them_and_both_are_recorded() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let number = world.admitted(5).await;
        world.endpoint(&number.to_string()).await.unwrap();
        world.ask(1).await.unwrap();
        let caller = world.trail().await.caller;
        refused(world.release("nobody").await, Kind::NotFound, "remembers no such caller");
        refused(world.throttle(&caller, Level::Alarm, 60).await, Kind::Invalid, "`slower`");
        refused(world.throttle(&caller, Level::Refused, 0).await, Kind::Invalid, "1 second");
        refused(world.throttle("a b", Level::Refused, 60).await, Kind::Invalid, "by its id");
        world.throttle(&caller, Level::Slower, 3_600).await.unwrap();
        world.ask(30).await.unwrap();
        let slowed = world.ask(1).await.unwrap_err();
        assert_eq!(slowed.retry_after_hint(), Some(Duration::from_secs(30)));
        refused(Err::<(), _>(slowed), Kind::TooMany, "60 rows a minute");
        world.throttle(&caller, Level::Refused, 3_600).await.unwrap();
        let stopped = world.ask(1).await.unwrap_err();
        assert_eq!(stopped.retry_after_hint(), Some(Duration::from_secs(3_600)));
        refused(Err::<(), _>(stopped), Kind::TooMany, "does not answer you");
        world.guard(GuardSettings { ladder: false, ..GuardSettings::default() }).await.unwrap();
        world.ask(1).await.unwrap();
        world.guard(GuardSettings::default()).await.unwrap();
        world.release(&caller).await.unwrap();
        world.ask(100).await.unwrap();
        let records = world.gate.records.lock().join("\n");
        for part in ["throttled_by_a_person", "endpoints.release", "endpoints.throttle", "guard_cause"] {
            assert!(records.contains(part), "{part} is not in {records}");
        }
    });
}
