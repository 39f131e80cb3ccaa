//! One inspection: reads the table once for all screens that can share the pass, then runs those that need the whole.

mod draft;
mod drifting;
mod guarded;
mod mask;
mod models;
mod pass;
mod personal_data;
mod poisoning;
mod profiling;
mod reading;
mod rows;
mod validity;

use inspection::{InspectionReport, JobSpec, Screen, SubjectKind};
use tables::{DataFile, ReadOptions, Table};

use crate::THREAD_COUNT;
use crate::news::News;
use draft::Draft;

/// Makes the threads that the engines share.
pub(crate) fn make_threads() -> bool {
    rayon::ThreadPoolBuilder::new().num_threads(THREAD_COUNT).build_global().is_ok()
}

/// Inspects `files`. Whatever is wrong with them is a finding in the report.
pub(crate) fn run(job: &JobSpec, files: Vec<DataFile>, news: &dyn News) -> InspectionReport {
    if job.subject == SubjectKind::Model {
        return models::run(job, &files, news);
    }
    let mut draft = Draft::new(job, news);
    news.progress("open", 0, None);
    match Table::open(files, &ReadOptions::default()) {
        Ok(table) if reading::is_within_limits(&table, &mut draft, &job.limits) => inspect(job, &table, &mut draft),
        Ok(_) => {}
        Err(error) => reading::refused(&error, &mut draft),
    }
    draft.finish()
}

fn inspect(job: &JobSpec, table: &Table, draft: &mut Draft<'_>) {
    let schema = reading::describe(table, job.format.as_deref(), draft);
    let contract = validity::read(job, draft);
    let passed = match pass::run(job, table, contract.as_ref(), draft) {
        Ok(passed) => passed,
        Err(error) => return reading::refused(&error, draft),
    };
    reading::notes(&table.notes(), draft);
    personal_data::conclude(passed.personal, draft);
    let profile = profiling::conclude(passed.profile, job, &schema, draft);
    drifting::conclude(profile.as_ref(), job, draft);
    validity::conclude(passed.contract, profile.as_ref(), job, draft);
    guarded::conclude(passed.guarded, job, draft);
    if job.wants(Screen::Poisoning) {
        poisoning::run(job, table, draft);
    }
}
