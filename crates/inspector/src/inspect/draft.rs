//! A report while it is made.

use std::collections::BTreeSet;
use std::time::Instant;

use inspection::{Finding, InspectionReport, JobSpec, Screen, ScreenState, Section, Summary, View, catalogue};
use profile::drift::segments::Segment;
use serde::Serialize;

use super::mask;
use crate::news::News;

/// Lines that the page shows.
const NOTE_COUNT_MAX: usize = 200;

/// A report while it is made.
pub(crate) struct Draft<'a> {
    pub(super) news: &'a dyn News,
    started: Instant,
    report: InspectionReport,
    findings: Vec<Finding>,
    /// Columns that may be personal; nothing while that is not known, so that all are masked.
    pub(super) personal_columns: Option<BTreeSet<String>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(job: &JobSpec, news: &'a dyn News) -> Self {
        let report = InspectionReport { files: Vec::new(), ..InspectionReport::of_job(job, env!("CARGO_PKG_VERSION")) };
        Self { news, started: Instant::now(), report, findings: Vec::new(), personal_columns: None }
    }

    /// Who hears how it goes.
    pub(crate) const fn news(&self) -> &'a dyn News {
        self.news
    }

    /// Another stage begins.
    pub(crate) fn progress(&self, stage: &str) {
        self.news.progress(stage, 0, None);
    }

    /// Keeps a line for the page.
    pub(crate) fn note(&mut self, note: &str) {
        if self.report.view.notes.len() < NOTE_COUNT_MAX {
            self.report.view.notes.push(note.to_owned());
        }
    }

    /// What the page shows.
    pub(crate) fn view(&mut self) -> &mut View {
        &mut self.report.view
    }

    /// The report's counts.
    pub(super) fn summary(&mut self) -> &mut Summary {
        &mut self.report.summary
    }

    /// The report, for its sections.
    pub(crate) fn report(&mut self) -> &mut InspectionReport {
        &mut self.report
    }

    /// Adds a finding.
    pub(crate) fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Adds to each drifted column's finding which rows the drift goes with.
    pub(super) fn explain_drift(&mut self, segments: &[Segment]) {
        self.report.segments = Section::of(&segments).ok();
        for finding in self.findings.iter_mut().filter(|finding| finding.screen == Screen::Drift) {
            let [column] = finding.columns.as_slice() else { continue };
            if let Some(segment) = segments.iter().find(|segment| segment.target == *column) {
                let kind = catalogue::kind(&finding.id).unwrap_or(&catalogue::COLUMN_DRIFT);
                let explained = Finding::new(kind, format!("{}; {}", finding.detail, segment.sentence));
                finding.detail = explained.detail;
            }
        }
    }

    /// The screen saw all it should.
    pub(crate) fn ran(&mut self, screen: Screen) {
        self.report.screens.entry(screen).or_insert(ScreenState::Ran);
    }

    /// The screen saw a part.
    pub(crate) fn partial(&mut self, screen: Screen, why: &str) {
        self.find(Finding::new(&catalogue::SCREEN_PARTIAL, format!("the screen `{}`: {why}", screen.word())));
        self.report.screens.insert(screen, ScreenState::Partial(why.to_owned()));
    }

    /// The screen had nothing to look at.
    pub(crate) fn skipped(&mut self, screen: Screen, why: &str) {
        self.report.screens.insert(screen, ScreenState::Skipped(why.to_owned()));
    }

    /// The screen could not finish: that is a finding, because it protects nothing now.
    pub(crate) fn failed(&mut self, screen: Screen, why: &str) {
        self.find(Finding::new(&catalogue::SCREEN_FAILED, format!("the screen `{}`: {why}", screen.word())));
        self.report.screens.insert(screen, ScreenState::Failed(why.to_owned()));
    }

    /// `value` as a section; nothing, and a failed screen, if it cannot be written.
    pub(crate) fn section<T: Serialize>(&mut self, screen: Screen, value: &T) -> Option<Section> {
        match Section::of(value) {
            Ok(section) => Some(section),
            Err(error) => {
                self.failed(screen, &format!("its result cannot be written: {error}"));
                None
            }
        }
    }

    /// The report.
    pub(super) fn finish(mut self) -> InspectionReport {
        let unreadable = self.report.table.is_none();
        for screen in Screen::WORKER {
            let why = if unreadable { "the files cannot be read" } else { "it was not asked for" };
            self.report.screens.entry(screen).or_insert_with(|| ScreenState::Skipped(why.to_owned()));
        }
        let mut findings = std::mem::take(&mut self.findings);
        for finding in &mut findings {
            mask::finding(finding, self.personal_columns.as_ref());
        }
        for finding in findings.iter().take(FORETASTE_COUNT_MAX) {
            self.news.found(finding);
        }
        let usage = sandbox::usage();
        self.report.cpu_ms = usage.cpu_ms;
        self.report.memory_peak_bytes = usage.memory_peak_bytes;
        let took_us = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.report.ended_us = self.report.started_us.saturating_add(took_us);
        self.report.add_findings(findings);
        self.report
    }
}

/// Findings that are sent before the report; all are in it.
const FORETASTE_COUNT_MAX: usize = 100;
