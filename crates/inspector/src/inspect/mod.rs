//! One inspection: reads the table once for all screens that can share the pass, then runs those that need the whole.

mod apart;
mod draft;
mod drifting;
mod guarded;
mod mask;
mod models;
mod others;
mod pass;
mod personal_data;
mod poisoning;
mod profiling;
mod reading;
mod rows;
mod segments;
mod validity;

use inspection::{InspectionReport, JobSpec, Screen, SubjectKind};
use tables::{DataFile, Table};

use crate::THREAD_COUNT;
use crate::news::News;
use validity::Promises;

pub(crate) use draft::Draft;
pub(crate) use others::{Other, open};

/// Makes the threads that the engines share.
pub(crate) fn make_threads() -> bool {
    rayon::ThreadPoolBuilder::new().num_threads(THREAD_COUNT).build_global().is_ok()
}

/// Inspects `files`. Whatever is wrong with them is a finding in the report.
pub(crate) fn run(job: &JobSpec, files: Vec<DataFile>, others: &[Other], news: &dyn News) -> InspectionReport {
    if job.subject == SubjectKind::Model {
        return models::run(job, &files, others, news);
    }
    let mut draft = Draft::new(job, news);
    news.progress("open", 0, None);
    let own = files.clone();
    match Table::open(files, &sandbox::read_options(job.csv)) {
        Ok(table) if reading::is_within_limits(&table, &mut draft, &job.limits) => {
            inspect(job, &table, (&own, others), &mut draft);
        }
        Ok(_) => {}
        Err(error) => reading::refused(&error, &mut draft),
    }
    draft.finish()
}

fn inspect(job: &JobSpec, table: &Table, (files, others): (&[DataFile], &[Other]), draft: &mut Draft<'_>) {
    let schema = reading::describe(table, job.format.as_deref(), draft);
    let contract = validity::read(job, draft).map(|contract| Promises::of(job, contract, (files, others), draft));
    let apart = apart::promises(job, &schema, others, draft);
    let passed = match pass::run(job, table, (contract.as_ref(), apart.as_ref()), draft) {
        Ok(passed) => passed,
        Err(error) => return reading::refused(&error, draft),
    };
    reading::notes(&table.notes(), draft);
    personal_data::conclude(passed.personal, draft);
    let profile = profiling::conclude(passed.profile, job, &schema, draft);
    let drift = drifting::conclude(profile.as_ref(), job, draft);
    segments::explain(drift, profile.as_ref(), table, others, job, draft);
    let promised = contract.as_ref().map(|promises| &promises.contract);
    validity::conclude(passed.contract, promised, profile.as_ref(), job, draft);
    apart::conclude(passed.apart, draft);
    guarded::conclude(passed.guarded, job, draft);
    if job.wants(Screen::Poisoning) {
        poisoning::run(job, table, draft);
    }
}
