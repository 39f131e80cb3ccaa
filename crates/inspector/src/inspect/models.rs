//! Does loading a model's files do more than load them? The verdicts of the file scanner, as findings.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use inspection::{Example, Finding, InspectionReport, JobSpec, Screen, catalogue};
use scan::{FileReport, Limits, Scanner, Source, Verdict};
use tables::{DataFile, ReadAt};

use super::draft::Draft;
use super::others::Other;
use crate::news::News;
use crate::trial;

/// Findings of one file that become findings of the report; the section has all of them.
const FINDINGS_PER_FILE_MAX: usize = 20;

/// Scans `files`. Whatever is wrong with them is a finding in the report.
pub(super) fn run(job: &JobSpec, files: &[DataFile], others: &[Other], news: &dyn News) -> InspectionReport {
    let mut draft = Draft::new(job, news);
    if files.is_empty() {
        draft.find(Finding::new(&catalogue::FILE_MISSING, "the version has no files"));
    }
    match Scanner::new(Limits::default()) {
        Ok(scanner) => scan(&scanner, files, &mut draft),
        Err(why) => draft.failed(Screen::File, &why),
    }
    trial::run(job, files, others, &mut draft);
    trial::guarding::run(job, files, others, &mut draft);
    draft.finish()
}

fn scan(scanner: &Scanner, files: &[DataFile], draft: &mut Draft<'_>) {
    let names: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
    let mut reports = Vec::with_capacity(files.len());
    for (done, file) in files.iter().enumerate() {
        draft.news.progress("scan", done as u64, Some(files.len() as u64));
        match scanner.scan_among(&file.path, &Bytes(Arc::clone(&file.bytes)), &names) {
            Ok(report) => {
                note(&report, draft);
                reports.push(report);
            }
            // The server ends an inspection whose bytes it cannot give; should it not, nothing was scanned.
            Err(error) => return draft.failed(Screen::File, &format!("a file cannot be read: {error}")),
        }
    }
    let report = scanner.report(reports);
    draft.report().scan = draft.section(Screen::File, &report);
    draft.ran(Screen::File);
}

/// The bytes of a file, as the scanner asks for them.
struct Bytes(Arc<dyn ReadAt>);

impl Source for Bytes {
    fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.0.size_bytes().saturating_sub(offset);
        let count = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
        match buffer.get_mut(..count) {
            Some(part) if count > 0 => self.0.read_at(offset, part).map(|()| count),
            _ => Ok(0),
        }
    }
}

fn note(report: &FileReport, draft: &mut Draft<'_>) {
    let shown: String = report.path.chars().take(120).collect();
    for found in report.findings.iter().take(FINDINGS_PER_FILE_MAX) {
        let kind = match found.rule.effect {
            scan::Effect::Block => &catalogue::FILE_BLOCKED,
            scan::Effect::Unknown => &catalogue::FILE_UNKNOWN,
            scan::Effect::Note => &catalogue::FILE_NOTE,
        };
        let place = if found.member.is_empty() { String::new() } else { format!(" ({})", found.member) };
        let detail = format!("`{shown}`{place}: {} [{}]: {}", found.message, found.rule.id, found.rule.consequence);
        let examples = found.global.iter().map(|global| Example::of(None, None, global.clone()));
        draft.find(Finding::new(kind, detail).examples(examples));
    }
    // Verdicts never come without a finding; should one, it must not pass.
    if report.verdict != Verdict::Clean && report.findings.is_empty() {
        draft.find(Finding::new(&catalogue::FILE_UNKNOWN, format!("`{shown}` is {:?}", report.verdict)));
    }
}
