//! The watch on one endpoint's callers, and all of them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::guard::{Calibrated, Cause, Cell, Counts, Hardening, Level, Shared, Tag, Trail};
use admission::Subject;
use gate::{Outcome, Permit};
use kernel::{Kind, Micros, Problem};
use parking_lot::Mutex;
use runtime::{Batch, Outputs};

use super::outputs::harden;
use super::rows::Layout;
use super::{GuardSettings, RangePolicy};
use crate::limits::{
    GUARD_CALLER_COUNT_MAX, GUARD_INLINE_ROW_COUNT, GUARD_ROW_COUNT_MAX, GUARD_SWEEP_EVERY, LOOK_AGAIN, REFERENCE_LOOK_AGAIN,
};
use crate::{Loaded, Serving, store};

/// What the guard keeps of all endpoints.
pub(crate) struct Guards {
    watches: Mutex<HashMap<String, Arc<Watch>>>,
    hasher: RandomState,
    /// About how many bytes trails take.
    bytes: AtomicUsize,
    bytes_max: usize,
    swept_at: Mutex<Micros>,
}

/// What it keeps of one endpoint.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) settings: Mutex<Option<(Micros, GuardSettings)>>,
    /// Held while settings are looked up: others use the last ones meanwhile.
    looking: tokio::sync::Mutex<()>,
    pub(super) reference: Mutex<Option<Compared>>,
    pub(super) trails: Mutex<HashMap<String, Arc<Mutex<Trail>>>>,
    shared: Mutex<Shared>,
}

/// What queries to one version are compared with.
#[derive(Clone)]
pub(super) struct Compared {
    version_id: String,
    at: Micros,
    pub(super) calibrated: Option<Arc<Calibrated>>,
}

/// What the guard lets through, and how it is to be answered.
pub(crate) struct Passage {
    hardening: Hardening,
    level: Level,
    cause: Option<Cause>,
    seen: Counts,
}

/// Who asks.
struct Asker {
    caller: String,
    tag: Tag,
    now: Micros,
}

impl Passage {
    /// Whether outputs are made coarser.
    pub(crate) const fn is_hardening(&self) -> bool {
        !self.hardening.is_none()
    }

    /// Makes the outputs as coarse as the guard says.
    pub(crate) fn harden(&self, outputs: &mut Outputs) {
        harden(outputs, &self.hardening);
    }

    /// The step that the caller is on, and why, where it is on one.
    pub(crate) fn words(&self) -> Vec<&'static str> {
        self.cause.map_or_else(Vec::new, |cause| vec![self.level.word(), cause.word()])
    }

    /// Adds to an outcome what the guard saw: counts and stable words.
    pub(crate) fn tell(&self, outcome: Outcome) -> Outcome {
        tell(outcome, self.level, self.cause, &self.seen)
    }
}

fn tell(outcome: Outcome, level: Level, cause: Option<Cause>, seen: &Counts) -> Outcome {
    let mut outcome = outcome;
    if let Some(cause) = cause {
        outcome = outcome.with("guard", level.word()).with("guard_cause", cause.word());
    }
    let counts = [
        ("guard_alarms", seen.alarms),
        ("guard_near", seen.near),
        ("guard_unlike", seen.unlike),
        ("guard_outside", seen.outside),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        outcome = outcome.with(name, i64::try_from(count).unwrap_or(i64::MAX));
    }
    outcome
}

impl Guards {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let (watches, swept_at) = (Mutex::default(), Mutex::new(Micros(0)));
        Self { watches, hasher: RandomState::new(), bytes: AtomicUsize::new(0), bytes_max, swept_at }
    }

    pub(super) fn watch(&self, endpoint_id: &str) -> Arc<Watch> {
        Arc::clone(self.watches.lock().entry(endpoint_id.to_owned()).or_default())
    }

    /// Forgets an endpoint.
    pub(crate) fn forget(&self, endpoint_id: &str) {
        self.watches.lock().remove(endpoint_id);
    }

    pub(super) fn number(&self, what: &str, of: impl std::hash::Hash) -> u32 {
        self.hasher.hash_one((what, of)) as u32
    }

    /// An address' network: what one household, machine or office gets.
    fn network(&self, address: IpAddr) -> u32 {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.number("v4", u32::from(v4) >> 8),
            IpAddr::V6(v6) => self.number("v6", u128::from(v6) >> 64),
        }
    }

    /// Forgets what is old, and what there is no room for: queries of whoever asked the longest ago first.
    fn sweep(&self, now: Micros) {
        {
            let mut swept_at = self.swept_at.lock();
            let is_full = self.bytes.load(Ordering::Relaxed) > self.bytes_max;
            let every = i64::try_from(GUARD_SWEEP_EVERY.as_micros()).unwrap_or(i64::MAX);
            if !is_full && now.0.saturating_sub(swept_at.0) < every {
                return;
            }
            *swept_at = now;
        }
        let watches: Vec<Arc<Watch>> = self.watches.lock().values().map(Arc::clone).collect();
        let (mut kept, mut total) = (Vec::new(), 0_usize);
        for watch in watches {
            watch.shared.lock().forget_old(now.0);
            total = total.saturating_add(watch.shared.lock().bytes());
            watch.trails.lock().retain(|_, trail| {
                // Who asks just now is not old.
                let Some(mut held) = trail.try_lock() else { return true };
                if held.forget_old(now.0) {
                    return false;
                }
                total = total.saturating_add(held.bytes());
                kept.push((held.seen_at(), Arc::clone(trail)));
                true
            });
        }
        kept.sort_by_key(|(seen_at, _)| *seen_at);
        for (_, trail) in kept {
            if total <= self.bytes_max / 5 * 4 {
                break;
            }
            let mut held = trail.lock();
            total = total.saturating_sub(held.bytes());
            held.forget_queries();
        }
        self.bytes.store(total, Ordering::Relaxed);
    }
}

impl Watch {
    pub(super) fn trail(&self, caller: &str, tag: Tag) -> Arc<Mutex<Trail>> {
        let mut trails = self.trails.lock();
        if let Some(trail) = trails.get(caller) {
            return Arc::clone(trail);
        }
        if trails.len() >= GUARD_CALLER_COUNT_MAX {
            let oldest = trails.iter().min_by_key(|(_, trail)| trail.lock().seen_at()).map(|(caller, _)| caller.clone());
            oldest.and_then(|caller| trails.remove(&caller));
        }
        Arc::clone(trails.entry(caller.to_owned()).or_insert_with(|| Arc::new(Mutex::new(Trail::new(tag)))))
    }
}

/// One request on its way through the guard.
struct Check<'a> {
    watch: &'a Watch,
    asker: &'a Asker,
    settings: GuardSettings,
    rows_per_day: u64,
    calibrated: Option<&'a Calibrated>,
    /// Who reads the rows.
    model: &'a Loaded,
    /// What nobody outside knows: it says which rows of a large request are looked at.
    seed: u64,
}

/// Why a request is not answered.
struct Refusal {
    problem: Problem,
    level: Level,
    cause: Option<Cause>,
    seen: Counts,
}

impl Check<'_> {
    fn run(&self, batch: &Batch, bytes: &AtomicUsize) -> Result<Passage, Box<Refusal>> {
        let trail = self.watch.trail(&self.asker.caller, self.asker.tag);
        let mut trail = trail.lock();
        let (now, before, size) = (self.asker.now.0, trail.counts, trail.bytes());
        let rows = batch.rows() as u64;
        // A caller who moves is where the last request came from.
        trail.tag = self.asker.tag;
        trail.unlike_most = self.settings.unlike;
        self.may_ask(&mut trail, rows, now, before)?;
        let outside = self.observe(&mut trail, batch, now);
        let grown = trail.bytes().saturating_sub(size);
        bytes.fetch_add(grown, Ordering::Relaxed);
        let (level, seen) = (trail.ladder.level(now), since(&trail.counts, &before));
        let cause = trail.ladder.why().map(|(cause, _)| cause);
        if self.settings.ladder && level == Level::Refused {
            return Err(self.refused(&mut trail, now, before));
        }
        if let Some(problem) = outside {
            return Err(Box::new(Refusal { problem, level, cause, seen }));
        }
        let answered = if self.settings.ladder { level } else { Level::Calm };
        Ok(Passage { hardening: self.settings.hardening(answered), level, cause, seen })
    }

    /// The ladder and the budget, before anything of the request is looked at.
    fn may_ask(&self, trail: &mut Trail, rows: u64, now: i64, before: Counts) -> Result<(), Box<Refusal>> {
        let level = trail.ladder.level(now);
        let cause = trail.ladder.why().map(|(cause, _)| cause);
        let refusal = |problem: Problem| Box::new(Refusal { problem, level, cause, seen: Counts::default() });
        if self.settings.ladder && level == Level::Refused {
            return Err(self.refused(trail, now, before));
        }
        let most = self.rows_per_day;
        if rows > most {
            let message = format!("this endpoint answers a caller {most} rows a day, and this request alone has {rows}");
            return Err(refusal(Problem::new(Kind::TooMany, format!("{message}; send fewer"))));
        }
        trail.budget.take(rows, most, now).map_err(|wait| {
            let message =
                format!("this endpoint answers a caller {most} rows a day, and you have asked for them; wait, or ask its owner");
            refusal(Problem::new(Kind::TooMany, message).retry_after(wait))
        })?;
        if self.settings.ladder && level >= Level::Slower {
            trail.ladder.take_slowly(rows, now).map_err(|wait| {
                let most = ::guard::limits::SLOW_ROWS_PER_MINUTE;
                let why = cause.map_or("it was noticed", Cause::why);
                let message = format!("you are slowed down to {most} rows a minute: {why}; wait, or ask the endpoint's owner");
                refusal(Problem::new(Kind::TooMany, message).retry_after(wait))
            })?;
        }
        Ok(())
    }

    fn refused(&self, trail: &mut Trail, now: i64, before: Counts) -> Box<Refusal> {
        let level = trail.ladder.level(now);
        let cause = trail.ladder.why().map(|(cause, _)| cause);
        let why = cause.map_or("it was noticed", Cause::why);
        let message = format!("this endpoint does not answer you for now: {why}; wait, or ask its owner to release you");
        let problem = Problem::new(Kind::TooMany, message).retry_after(trail.ladder.remaining(now));
        Box::new(Refusal { problem, level, cause, seen: since(&trail.counts, &before) })
    }

    /// Looks at the rows; gives the reason to refuse what lies outside the training data, if it is to be refused.
    fn observe(&self, trail: &mut Trail, batch: &Batch, now: i64) -> Option<Problem> {
        let Some(calibrated) = self.calibrated else {
            trail.counts.rows = trail.counts.rows.saturating_add(batch.rows() as u64);
            trail.seen(now);
            return None;
        };
        let layout = Layout::of(batch, &calibrated.reference().columns, self.model.signature())?;
        let mut cells: Vec<Cell<'_>> = Vec::new();
        let mut problem = None;
        // Of very large requests a part is looked at: one row of each so many, and nobody can tell which.
        let step = layout.row_count().div_ceil(GUARD_ROW_COUNT_MAX).max(1);
        for row in 0..layout.row_count() {
            let is_chosen = row % step == chosen(self.seed, row / step, step);
            if !is_chosen && self.settings.ranges != RangePolicy::Refuse {
                continue;
            }
            layout.row(row, &mut cells);
            if self.settings.ranges != RangePolicy::Ignore
                && let Some(outside) = calibrated.outside(&cells)
            {
                trail.counts.outside = trail.counts.outside.saturating_add(1);
                if self.settings.ranges == RangePolicy::Refuse && problem.is_none() {
                    problem = Some(outside_problem(row, &outside, calibrated));
                }
            }
            if is_chosen {
                // Held for a row at a time: other callers do not wait for a large request.
                trail.observe(calibrated, &mut self.watch.shared.lock(), &cells, now);
            }
        }
        problem
    }
}

/// Which of `step` rows is looked at. Source: Steele, Lea and Flood 2014, SplitMix64.
fn chosen(seed: u64, block: usize, step: usize) -> usize {
    if step == 1 {
        return 0;
    }
    let mut mixed = seed.wrapping_add((block as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) % step as u64) as usize
}

fn outside_problem(row: usize, outside: &::guard::Outside, calibrated: &Calibrated) -> Problem {
    let name = calibrated.reference().columns.get(outside.column).map(|column| column.name.as_str()).unwrap_or_default();
    let column = if name.is_empty() { format!("column {}", outside.column + 1) } else { format!("the column `{name}`") };
    let what = if outside.is_text { "a text that the model never saw" } else { "a number beyond what the model was trained on" };
    Problem::invalid(format!("row {} (from 1): {column} holds {what}, which this endpoint does not answer", row + 1))
}

fn since(now: &Counts, before: &Counts) -> Counts {
    Counts {
        rows: now.rows.saturating_sub(before.rows),
        repeats: now.repeats.saturating_sub(before.repeats),
        near: now.near.saturating_sub(before.near),
        unlike: now.unlike.saturating_sub(before.unlike),
        alarms: now.alarms.saturating_sub(before.alarms),
        outside: now.outside.saturating_sub(before.outside),
    }
}

impl Serving {
    /// Lets a request through that `asked` is to answer, or not: measured by what `model` was trained on. What happened then is in the
    /// record. Gives the batch back.
    ///
    /// # Errors
    /// `TooMany` with the time to wait; `Invalid` for rows outside the training data, where these are refused.
    pub(crate) async fn guarded<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        endpoint_id: &str,
        model: &Loaded,
        asked: &Arc<Loaded>,
        batch: Batch,
    ) -> Result<(Passage, Batch), Problem> {
        let guards = &self.0.guards;
        let (watch, now) = (guards.watch(endpoint_id), self.0.clock.now());
        let settings = self.guard_settings(permit, endpoint_id, &watch, now).await?;
        let calibrated = self.compared(permit, &watch, &model.version_id, now).await?;
        let caller = permit.caller().id.clone();
        let tag = Tag { caller: guards.number("caller", &caller), network: guards.network(permit.entry().address) };
        let rows_per_day = settings.rows_per_day.unwrap_or(self.0.config.guard_rows_per_day);
        let asker = Asker { caller, tag, now };
        let seed = guards.hasher.hash_one(&permit.entry().id);
        let (checked, batch) = if batch.rows() <= GUARD_INLINE_ROW_COUNT {
            let (calibrated, model) = (calibrated.as_deref(), &**asked);
            let check = Check { watch: &watch, asker: &asker, settings, rows_per_day, calibrated, model, seed };
            (check.run(&batch, &guards.bytes), batch)
        } else {
            let (room, asked) = (self.clone(), Arc::clone(asked));
            let looking = tokio::task::spawn_blocking(move || {
                let (calibrated, model) = (calibrated.as_deref(), &*asked);
                let check = Check { watch: &watch, asker: &asker, settings, rows_per_day, calibrated, model, seed };
                (check.run(&batch, &room.0.guards.bytes), batch)
            });
            looking.await.map_err(|broken| Problem::internal("the guard broke off", broken))?
        };
        guards.sweep(now);
        match checked {
            Ok(passage) => Ok((passage, batch)),
            Err(refusal) => {
                let Refusal { problem, level, cause, seen } = *refusal;
                let outcome = Outcome::failed(problem.kind()).resource(endpoint_id).with("version", model.version_id.clone());
                permit.defer_outcome().settle(&tell(outcome, level, cause, &seen));
                Err(problem)
            }
        }
    }

    /// Refuses a number of largest probabilities where the model that answers now gives numbers that could not be cut to it.
    ///
    /// # Errors
    /// `Conflict`, naming the output.
    pub(crate) async fn check_told<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        endpoint_id: &str,
        settings: &GuardSettings,
    ) -> Result<(), Problem> {
        if settings.top_k.is_none() {
            return Ok(());
        }
        // An endpoint that is not ready tells nobody anything.
        let Ok(answering) = self.answering(permit, endpoint_id).await else { return Ok(()) };
        match super::outputs::untold(answering.champion.signature()) {
            None => Ok(()),
            Some(port) => Err(Problem::new(
                Kind::Conflict,
                format!(
                    "`top_k` cannot be held: the model's output `{}` has several numbers a row, and the model does not say that they are \
                     probabilities; `digits` makes them coarser",
                    port.name.chars().take(100).collect::<String>()
                ),
            )),
        }
    }

    pub(super) async fn guard_settings<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        endpoint_id: &str,
        watch: &Watch,
        now: Micros,
    ) -> Result<GuardSettings, Problem> {
        let known = *watch.settings.lock();
        if let Some((at, settings)) = known
            && is_within(at, now, LOOK_AGAIN)
        {
            return Ok(settings);
        }
        let _looking = match (known, watch.looking.try_lock()) {
            (_, Ok(looking)) => looking,
            (Some((_, settings)), Err(_)) => return Ok(settings),
            (None, Err(_)) => watch.looking.lock().await,
        };
        let id = endpoint_id.to_owned();
        let found = self.db().read_point(permit, move |reader| Ok(store::guard::settings(reader, &id)?)).await?;
        let settings = found.unwrap_or_default();
        *watch.settings.lock() = Some((now, settings));
        Ok(settings)
    }

    /// What queries to a version are compared with. Where nothing is known, it is looked for again from time to time: an inspection
    /// may have found it meanwhile.
    pub(super) async fn compared<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        watch: &Watch,
        version_id: &str,
        now: Micros,
    ) -> Result<Option<Arc<Calibrated>>, Problem> {
        if let Some(known) = &*watch.reference.lock()
            && known.version_id == version_id
            && (known.calibrated.is_some() || is_within(known.at, now, REFERENCE_LOOK_AGAIN))
        {
            return Ok(known.calibrated.clone());
        }
        let found = match Subject::of_id(version_id) {
            Some(subject) => self.0.admission.guard_reference(permit, &subject).await?,
            None => None,
        };
        let calibrated = found.map(|reference| Arc::new(Calibrated::new(reference)));
        let version_id = version_id.to_owned();
        *watch.reference.lock() = Some(Compared { version_id, at: now, calibrated: calibrated.clone() });
        Ok(calibrated)
    }
}

fn is_within(at: Micros, now: Micros, age_max: Duration) -> bool {
    let age_us = now.0.saturating_sub(at.0);
    (0..=i64::try_from(age_max.as_micros()).unwrap_or(i64::MAX)).contains(&age_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_a_large_request_may_be_the_one_that_is_looked_at() {
        let mut counts = [0_u32; 4];
        (0..4_000).for_each(|block| counts[chosen(7, block, 4)] += 1);
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
        let differing = (0..1_000).filter(|block| chosen(7, *block, 4) != chosen(8, *block, 4)).count();
        assert!(differing > 600, "another request, other rows: {differing}");
        assert_eq!(chosen(7, 3, 1), 0);
    }
}
