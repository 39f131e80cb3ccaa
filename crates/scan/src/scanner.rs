//! The scanner: allow-lists and limits, and the way in.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::allow::AllowList;
use crate::context::Context;
use crate::limits::DECOMPRESSED_BYTES_MAX;
use crate::report::{FileReport, Report, RuleSet, Verdict};
use crate::rules::{self, RULES_VERSION};
use crate::source::{Source, Window};

/// Bytes behind the last tensor of an external file.
const TENSOR_TAIL_BYTES_MAX: u64 = 4 << 10;

/// What a scan may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that one file may become when everything in it is decompressed. They are held in memory.
    pub decompressed_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { decompressed_bytes_max: DECOMPRESSED_BYTES_MAX }
    }
}

/// Judges files. It keeps nothing between them.
#[derive(Debug)]
pub struct Scanner {
    allow: AllowList,
    limits: Limits,
}

impl Scanner {
    /// With the shipped allow-lists.
    ///
    /// # Errors
    /// If a shipped list is malformed.
    pub fn new(limits: Limits) -> Result<Self, String> {
        Ok(Self { allow: AllowList::shipped()?, limits })
    }

    /// Adds an allow-list of the user's: lines of `module name`.
    ///
    /// # Errors
    /// If a line is not such; it says which.
    pub fn allow(&mut self, origin: &str, text: &str) -> Result<(), String> {
        self.allow.extend(origin, text)
    }

    /// Which rules and lists judge.
    pub fn rule_set(&self) -> RuleSet {
        RuleSet { version: RULES_VERSION.to_owned(), digest: self.allow.digest() }
    }

    /// Judges one file by itself.
    ///
    /// # Errors
    /// If its bytes cannot be read. What is hostile in them is no error but a finding.
    pub fn scan(&self, path: &str, source: &dyn Source) -> io::Result<FileReport> {
        self.scan_among(path, source, &BTreeSet::new())
    }

    /// Judges one file of a set; `names` are the set's, with `/` between folders.
    ///
    /// # Errors
    /// As [`Scanner::scan`].
    pub fn scan_among(&self, path: &str, source: &dyn Source, names: &BTreeSet<String>) -> io::Result<FileReport> {
        let mut context = Context::new(self, path, source.size_bytes(), names);
        let format = crate::format::look(&mut context, Window::whole(source))?;
        context.report.format = format;
        Ok(context.report)
    }

    /// Puts the reports of a set's files together. Files that another one names as the bytes of its tensors, and that are
    /// nothing else, are known by that.
    pub fn report(&self, mut files: Vec<FileReport>) -> Report {
        let mut external: BTreeMap<String, u64> = BTreeMap::new();
        for (path, end) in files.iter().flat_map(|file| &file.external_places) {
            let known = external.entry(path.clone()).or_default();
            *known = (*known).max(*end);
        }
        for file in &mut files {
            let Some(end) = external.get(&file.path) else { continue };
            // What no tensor covers may be anything.
            let is_covered = file.size_bytes <= end.saturating_add(TENSOR_TAIL_BYTES_MAX);
            if is_covered && file.findings.iter().all(|finding| finding.rule == rules::UNRECOGNISED) && file.more_findings == 0 {
                file.findings.clear();
                file.verdict = Verdict::Clean;
                "tensor bytes".clone_into(&mut file.format);
            }
        }
        let verdict = files.iter().map(|file| file.verdict).max().unwrap_or(Verdict::Unknown);
        Report { verdict, rules: self.rule_set(), files }
    }

    pub(crate) fn allow_list(&self) -> &AllowList {
        &self.allow
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }
}
