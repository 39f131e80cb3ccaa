//! A candidate model on trial: its answers are judged by its gate file against its champion's, and attacks are tried on it.
//!
//! Answers come of the model's own files by `runtime`, which executes nothing of them. What cannot be loaded, read or judged is
//! a finding: nothing of a trial is ever taken as passed because it was not held.

mod attacks;
mod frame;
mod gates;
pub(crate) mod guarding;
mod model;
mod triggers;
mod truth;

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use adversary::Watch;
use adversary::gate::GateFile;
use inspection::{Finding, JobSpec, Screen, TrialSpec, TrialTable, catalogue};
use tables::{DataFile, Table};

use crate::inspect::{Draft, Other, open};
use frame::Frame;
use model::Served;
use truth::{Classes, Truths};

/// A table that is asked about, with its name.
struct Asked {
    name: String,
    frame: Frame,
    truth: Truths,
}

/// All that a trial works with.
struct Trial<'a> {
    spec: &'a TrialSpec,
    file: &'a GateFile,
    others: &'a [Other],
    candidate: Served,
    champion: Option<Served>,
    classes: Classes,
    asked: Vec<Asked>,
    /// Rows of the data that it was trained on, and triggers.
    known: triggers::Known,
}

/// Holds the trial that the job asks for.
pub(crate) fn run(job: &JobSpec, files: &[DataFile], others: &[Other], draft: &mut Draft<'_>) {
    let Some(spec) = &job.trial else { return };
    let file = match GateFile::from_yaml(&spec.gate_yaml) {
        Ok(file) => file,
        Err(error) => {
            draft.find(Finding::new(&catalogue::GATE_INVALID, error.to_string()));
            return stopped(draft, "its gate file cannot be read");
        }
    };
    for missing in &spec.missing {
        draft.find(Finding::new(&catalogue::GATE_DATA, missing.clone()));
    }
    draft.progress("gates: models");
    let trial = match prepare(spec, &file, files, others, draft) {
        Ok(trial) => trial,
        Err((kind, why)) => {
            draft.find(Finding::new(kind, why.clone()));
            return stopped(draft, &why);
        }
    };
    gates::run(&trial, job, draft);
    attacks::run(&trial, draft);
}

fn stopped(draft: &mut Draft<'_>, why: &str) {
    draft.skipped(Screen::Gate, why);
    draft.skipped(Screen::Attack, why);
}

type Refused = (&'static inspection::FindingKind, String);

fn prepare<'a>(
    spec: &'a TrialSpec,
    file: &'a GateFile,
    files: &[DataFile],
    others: &'a [Other],
    draft: &mut Draft<'_>,
) -> Result<Trial<'a>, Refused> {
    let not_evaluated = |why: String| (&catalogue::GATE_NOT_EVALUATED, why);
    let no_data = |why: String| (&catalogue::GATE_DATA, why);
    let mut candidate = Served::load(files).map_err(not_evaluated)?;
    let mut tables = Vec::new();
    for table in &spec.held_back {
        tables.push((table, table_of(table, others).map_err(no_data)?));
    }
    let Some((first, first_table)) = tables.first() else {
        return Err(no_data("none of the data that the gate file names can be used".to_owned()));
    };
    let label = label_of(file, first).map_err(no_data)?;
    candidate.choose_columns(first_table.schema(), &label, &file.leave_out).map_err(not_evaluated)?;
    let champion = champion(spec, others, first_table, (&label, file), draft);
    let wanted = Wanted { label: &label, candidate: &candidate, champion: champion.as_ref(), file };
    let mut read = Vec::new();
    for (table, opened) in &tables {
        draft.progress("gates: rows");
        let frame = Frame::read(opened, &wanted.columns(opened), file.seed, tables.len() + 1)
            .map_err(|why| no_data(format!("`{}`: {why}", table.name)))?;
        read.push((table.name.clone(), frame));
    }
    let mut classes = Classes::of(&candidate, champion.as_ref());
    let mut asked = Vec::new();
    for (name, frame) in read {
        let (frame, truth) = classes.truth(frame, &label).map_err(|why| no_data(format!("`{name}`: {why}")))?;
        asked.push(Asked { name, frame, truth });
    }
    let known = match asked.first_mut() {
        Some(first) if file.attacks.is_some() => {
            triggers::known(spec, others, (&candidate, &label, file.seed), &mut classes, first)
        }
        _ => triggers::Known::default(),
    };
    for note in &known.notes {
        draft.note(note);
    }
    Ok(Trial { spec, file, others, candidate, champion, classes, asked, known })
}

/// The champion, if there is one and its answers can be had.
fn champion(
    spec: &TrialSpec,
    others: &[Other],
    table: &Table,
    (label, file): (&str, &GateFile),
    draft: &mut Draft<'_>,
) -> Option<Served> {
    let champion = spec.champion.as_ref()?;
    let files = others.get(champion.place).map(|other| other.files.as_slice()).unwrap_or_default();
    let loaded = Served::load(files).and_then(|mut served| {
        served.choose_columns(table.schema(), label, &file.leave_out)?;
        Ok(served)
    });
    match loaded {
        Ok(served) => Some(served),
        Err(why) => {
            draft.find(Finding::new(&catalogue::GATE_CHAMPION, format!("version {}: {why}", champion.version)));
            None
        }
    }
}

/// The columns that a trial reads of a table.
struct Wanted<'a> {
    label: &'a str,
    candidate: &'a Served,
    champion: Option<&'a Served>,
    file: &'a GateFile,
}

impl Wanted<'_> {
    fn columns(&self, table: &Table) -> Vec<String> {
        let mut names = vec![self.label.to_owned()];
        names.extend(self.candidate.columns().iter().cloned());
        names.extend(self.champion.iter().flat_map(|champion| champion.columns()).cloned());
        // A column to slice by that is not there is said by the gate itself.
        let there = |name: &&String| table.schema().field_with_name(name).is_ok();
        let sliced = self.file.slices.iter().flat_map(|slices| &slices.columns).map(|column| &column.column);
        names.extend(sliced.filter(there).cloned());
        names.sort();
        names.dedup();
        names
    }
}

fn label_of(file: &GateFile, table: &TrialTable) -> Result<String, String> {
    file.label
        .clone()
        .or_else(|| table.label.clone())
        .ok_or_else(|| format!("nothing says which column of `{}` is the truth: name it as `label` in the gate file", table.name))
}

fn table_of(table: &TrialTable, others: &[Other]) -> Result<Table, String> {
    let other = others.get(table.place).ok_or("its files were not handed over")?;
    open(other).map_err(|why| format!("`{}` cannot be read: {why}", table.name))
}

/// Runs engine code under a watch whose stages the server hears. A worker is cancelled by ending it.
fn watched<T>(draft: &Draft<'_>, stages: &'static str, run: impl FnOnce(&Watch<'_>) -> T) -> T {
    let (stop, began) = (AtomicBool::new(false), Instant::now());
    let news = draft.news();
    let progress = |stage: &'static str| news.progress(&format!("{stages}: {stage}"), 0, None);
    let elapsed = || -> Duration { began.elapsed() };
    run(&Watch { stop: &stop, progress: &progress, elapsed: &elapsed })
}
