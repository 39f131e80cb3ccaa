//! Texts: all tiers that look at one text by itself.

use std::sync::Arc;

use crate::PersonalError;
use crate::context::Near;
use crate::hit::{Hit, resolve};
use crate::names::Names;
use crate::scan::Patterns;

/// What a [`Scanner`] looks for.
#[derive(Clone, Copy, Debug)]
pub struct ScannerOptions {
    /// Hits below this score are not reported.
    pub score_min: f32,
    /// Whether names of people, places and organisations are looked for too.
    pub names: bool,
}

impl Default for ScannerOptions {
    fn default() -> Self {
        Self { score_min: 0.5, names: true }
    }
}

/// Finds personal data in texts. Cheap to clone; made once per process.
#[derive(Clone, Debug)]
pub struct Scanner {
    options: ScannerOptions,
    patterns: Arc<Patterns>,
    names: Option<Arc<Names>>,
}

impl Scanner {
    /// Builds the automata; the first scanner of a process that looks for names also trains the recogniser (below a second).
    ///
    /// # Errors
    /// If a word list cannot be compiled, which no input can cause.
    pub fn new(options: ScannerOptions) -> Result<Self, PersonalError> {
        let names = options.names.then(Names::shared);
        Ok(Self { options, patterns: Arc::new(Patterns::new()?), names })
    }

    /// What is in the text, sorted by place, without overlaps.
    #[must_use]
    pub fn scan(&self, text: &str) -> Vec<Hit> {
        let mut hits = self.patterns_in(text);
        hits.extend(self.names_in(text, &hits));
        resolve(&mut hits);
        hits
    }

    /// What tier 1 finds: numbers, addresses, codes and keys, but no names.
    #[must_use]
    pub fn patterns_in(&self, text: &str) -> Vec<Hit> {
        let mut hits = self.raw_patterns(text, &Near::NOTHING, self.options.score_min);
        resolve(&mut hits);
        hits
    }

    /// What tier 1 finds with a column's name in mind, overlaps and all.
    pub(crate) fn raw_patterns(&self, text: &str, header: &Near, score_min: f32) -> Vec<Hit> {
        let mut hits = Vec::new();
        self.patterns.scan(text, header, score_min, &mut hits);
        hits
    }

    /// The names in a text in which tier 1 has found `hits`; none if they are not wanted.
    pub(crate) fn names_in(&self, text: &str, hits: &[Hit]) -> Vec<Hit> {
        self.names.as_ref().map_or_else(Vec::new, |names| names.scan(text, self.options.score_min, hits))
    }

    pub(crate) fn topics_of(&self, header: &str) -> Near {
        self.patterns.topics_of(header)
    }

    pub(crate) const fn score_min(&self) -> f32 {
        self.options.score_min
    }
}
