//! What people see of the guard, and what they change.

use std::sync::Arc;
use std::time::Duration;

use ::guard::{Calibrated, Cause, Counts, Level, Tag, Trail};
use gate::Permit;
use kernel::{Micros, Problem};
use parking_lot::Mutex;

use super::GuardSettings;
use crate::{Loaded, Serving};

/// How an endpoint is guarded just now.
#[derive(Clone, Debug)]
pub struct GuardState {
    /// As its owner says.
    pub settings: GuardSettings,
    /// Rows that a caller may ask in a day.
    pub rows_per_day: u64,
    /// How many rows the data has that queries are compared with; none where nothing is known.
    pub compared_row_count: Option<u64>,
    /// Whether near queries are told from ordinary ones.
    pub sees_near: bool,
    /// Callers by the step on which they stand.
    pub callers: [usize; Level::ALL.len()],
}

/// What is known of a caller.
#[derive(Clone, Debug)]
pub struct TrailShown {
    /// The caller's id.
    pub caller: String,
    /// A number that callers from one network share; it means nothing else, and another server has another one.
    pub network: u32,
    /// The step.
    pub level: Level,
    /// Why, and since when.
    pub why: Option<(Cause, Micros)>,
    /// How long the step lasts, unless more comes.
    pub remaining: Duration,
    /// What was counted since this server remembers the caller.
    pub counts: Counts,
    /// The share of the training data's space that the caller asked about, where that is known.
    pub coverage: Option<f64>,
    /// Rows of the day's budget that are used up.
    pub spent_rows: u64,
    /// When the caller last asked.
    pub seen_at: Micros,
}

impl Serving {
    /// How an endpoint is guarded just now, for whoever may see it.
    pub(crate) async fn guard_state<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        endpoint_id: &str,
        model: Option<&Loaded>,
    ) -> Result<GuardState, Problem> {
        let (watch, now) = (self.0.guards.watch(endpoint_id), self.0.clock.now());
        let settings = self.guard_settings(permit, endpoint_id, &watch, now).await?;
        let calibrated = match model {
            Some(model) => self.compared(permit, &watch, &model.version_id, now).await?,
            None => None,
        };
        let mut callers = [0; Level::ALL.len()];
        let trails: Vec<Arc<Mutex<Trail>>> = watch.trails.lock().values().map(Arc::clone).collect();
        for trail in trails {
            let level = trail.lock().ladder.level(now.0);
            if let Some(count) = Level::ALL.iter().position(|known| *known == level).and_then(|place| callers.get_mut(place)) {
                *count += 1;
            }
        }
        let reference = calibrated.as_deref().map(Calibrated::reference);
        Ok(GuardState {
            settings,
            rows_per_day: settings.rows_per_day.unwrap_or(self.0.config.guard_rows_per_day),
            compared_row_count: reference.map(|reference| reference.row_count),
            sees_near: reference.is_some_and(|reference| reference.near.distance.is_some()),
            callers,
        })
    }

    /// The callers of an endpoint that this server remembers, those on the highest steps first.
    pub(crate) fn trails(&self, endpoint_id: &str, count_max: usize) -> Vec<TrailShown> {
        let (watch, now) = (self.0.guards.watch(endpoint_id), self.0.clock.now());
        let calibrated = watch.reference.lock().as_ref().and_then(|known| known.calibrated.clone());
        let settings = watch.settings.lock().map(|(_, settings)| settings).unwrap_or_default();
        let rows_per_day = settings.rows_per_day.unwrap_or(self.0.config.guard_rows_per_day);
        let trails: Vec<_> = watch.trails.lock().iter().map(|(caller, trail)| (caller.clone(), Arc::clone(trail))).collect();
        let shown = trails.into_iter().map(|(caller, trail)| {
            let mut trail = trail.lock();
            let level = trail.ladder.level(now.0);
            TrailShown {
                caller,
                network: trail.tag.network,
                level,
                why: trail.ladder.why().map(|(cause, since)| (cause, Micros(since))),
                remaining: if level == Level::Calm { Duration::ZERO } else { trail.ladder.remaining(now.0) },
                counts: trail.counts,
                coverage: calibrated.as_deref().map(|calibrated| trail.coverage(calibrated)),
                spent_rows: trail.budget.spent(rows_per_day, now.0) as u64,
                seen_at: Micros(trail.seen_at()),
            }
        });
        let mut shown: Vec<TrailShown> = shown.collect();
        shown.sort_by_key(|trail| std::cmp::Reverse((trail.level, trail.seen_at.0)));
        shown.truncate(count_max);
        shown
    }

    /// Whether this server remembers a caller of an endpoint.
    pub(crate) fn remembers(&self, endpoint_id: &str, caller: &str) -> bool {
        self.0.guards.watch(endpoint_id).trails.lock().contains_key(caller)
    }

    /// Puts a caller on a step of the ladder, or takes all back.
    ///
    /// # Errors
    /// `NotFound` for a caller that this server does not remember here.
    pub(crate) fn put_on_ladder(&self, endpoint_id: &str, caller: &str, to: Option<(Level, Duration)>) -> Result<(), Problem> {
        let (watch, now) = (self.0.guards.watch(endpoint_id), self.0.clock.now());
        let trail = watch.trails.lock().get(caller).map(Arc::clone);
        let trail = match (trail, to) {
            (Some(trail), _) => trail,
            // One who has not asked yet can be stopped before.
            (None, Some(_)) => watch.trail(caller, Tag { caller: self.0.guards.number("caller", caller), network: 0 }),
            (None, None) => {
                let message = "this server remembers no such caller here; `strongroom endpoint trails` lists those that it does";
                return Err(Problem::not_found(message));
            }
        };
        let mut trail = trail.lock();
        match to {
            Some((level, duration)) => {
                trail.seen(now.0);
                trail.ladder.put(level, duration, now.0);
            }
            None => trail.release(),
        }
        Ok(())
    }

    /// Has the next request look how the endpoint is guarded.
    pub(crate) fn guard_again(&self, endpoint_id: &str) {
        *self.0.guards.watch(endpoint_id).settings.lock() = None;
    }
}
