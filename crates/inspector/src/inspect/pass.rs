//! The one pass over the rows: every screen that can share it sees each batch once. Two threads take a half each of the
//! partitions, so that the result does not depend on which was faster.

use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use contract::Checker;
use inspection::{JobSpec, Screen};
use personal::ColumnScanner;
use profile::Profiler;
use tables::{Table, TableError};

use super::draft::Draft;
use super::guarded::Guard;
use super::validity::{self, Promises};
use super::{personal_data, profiling};
use crate::THREAD_COUNT;
use crate::news::News;

/// What the pass leaves to each screen: its state, why it failed, or nothing if it was not asked for.
pub(super) type Seen<T> = Option<Result<T, String>>;

/// The screens that share the pass.
pub(super) struct Passed {
    pub profile: Seen<Profiler>,
    pub contract: Seen<Checker>,
    pub apart: Seen<Checker>,
    pub personal: Seen<ColumnScanner>,
    pub guarded: Seen<Guard>,
}

/// What must hold: the contract, and that no row is shared with another table.
pub(super) type Checks<'a> = (Option<&'a Promises>, Option<&'a Promises>);

/// Reads all rows once.
///
/// # Errors
/// The first file error, by row order. A screen's own error is in its `Seen`.
pub(super) fn run(job: &JobSpec, table: &Table, checks: Checks<'_>, draft: &Draft<'_>) -> Result<Passed, TableError> {
    let partitions: Vec<usize> = (0..table.partitions().len()).collect();
    let share = partitions.len().div_ceil(THREAD_COUNT).max(1);
    let done = AtomicU64::new(0);
    let of = table.row_count();
    let parts: Vec<Result<Passed, TableError>> = std::thread::scope(|scope| {
        let work = |part: &[usize]| {
            let mut passed = Passed::new(job, table, checks);
            read(table, part, &mut passed, &done, of, draft.news).map(|()| passed)
        };
        let threads: Vec<_> = partitions.chunks(share).map(|part| scope.spawn(move || work(part))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(fault()))).collect()
    });
    let mut whole = Passed::new(job, table, checks);
    for part in parts {
        whole.merge(part?);
    }
    Ok(whole)
}

fn fault() -> TableError {
    TableError::Decoder { file: "one of the files".to_owned(), reason: "a screen failed on it".to_owned() }
}

fn read(
    table: &Table,
    part: &[usize],
    passed: &mut Passed,
    done: &AtomicU64,
    of: u64,
    news: &dyn News,
) -> Result<(), TableError> {
    for index in part {
        let mut first_row = table.partitions().get(*index).map_or(0, |partition| partition.first_row);
        for batch in table.read(*index, None)? {
            let batch = batch?;
            passed.update(&batch, first_row);
            let rows = batch.num_rows() as u64;
            first_row = first_row.saturating_add(rows);
            let so_far = done.fetch_add(rows, Ordering::Relaxed).saturating_add(rows);
            news.progress("read", so_far, Some(of));
        }
    }
    Ok(())
}

impl Passed {
    fn new(job: &JobSpec, table: &Table, (contract, apart): Checks<'_>) -> Self {
        let schema = table.schema();
        let needs_profile = [Screen::Profile, Screen::Drift, Screen::Validity].into_iter().any(|screen| job.wants(screen));
        Self {
            profile: needs_profile.then(|| profiling::start(job, schema)),
            contract: contract.map(|promises| validity::start(job, promises, table)),
            apart: apart.map(|promises| validity::start(job, promises, table)),
            personal: job.wants(Screen::Personal).then(|| personal_data::start(schema)),
            guarded: (job.wants(Screen::Guarded) && !job.guarded.is_empty()).then(|| Guard::start(job, schema)),
        }
    }

    fn update(&mut self, batch: &RecordBatch, first_row: u64) {
        keep(&mut self.profile, |profiler| profiler.update(batch));
        keep(&mut self.contract, |checker| checker.update(batch, first_row));
        keep(&mut self.apart, |checker| checker.update(batch, first_row));
        keep(&mut self.personal, |scanner| scanner.update(batch, first_row));
        keep(&mut self.guarded, |guard| guard.update(batch));
    }

    fn merge(&mut self, other: Self) {
        join(&mut self.profile, other.profile, Profiler::merge);
        join(&mut self.contract, other.contract, Checker::merge);
        join(&mut self.apart, other.apart, Checker::merge);
        join(&mut self.personal, other.personal, ColumnScanner::merge);
        join(&mut self.guarded, other.guarded, Guard::merge);
    }
}

/// One step of a screen that has not failed yet.
fn keep<T, E: std::fmt::Display>(seen: &mut Seen<T>, step: impl FnOnce(&mut T) -> Result<(), E>) {
    if let Some(Ok(state)) = seen
        && let Err(error) = step(state)
    {
        *seen = Some(Err(error.to_string()));
    }
}

fn join<T, E: std::fmt::Display>(seen: &mut Seen<T>, other: Seen<T>, merge: impl FnOnce(&mut T, T) -> Result<(), E>) {
    match other {
        Some(Ok(other)) => keep(seen, |state| merge(state, other)),
        Some(Err(error)) => *seen = Some(Err(error)),
        None => {}
    }
}
