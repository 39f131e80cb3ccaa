//! Search: who did what, when, to what, and how it ended. Newest first, page by page.

use kernel::{Micros, Problem};

use crate::config::any_holds;
use crate::error::AuditError;
use crate::log::AuditLog;
use crate::tiles::{TILE_WIDTH, TileReader};
use crate::view::RecordView;

/// Records on one page, at most.
pub const PAGE_COUNT_MAX: usize = 1_000;
/// Records that one call looks at, at most; then it gives what it has and where to go on.
pub const SCAN_COUNT_MAX: u64 = 200_000;
/// The verbs to look for, with the commas between them.
pub const VERBS_BYTES_MAX: usize = 1_024;
/// A text to look for.
pub const TEXT_BYTES_MAX: usize = 256;

/// The kinds of records.
const KINDS: [&str; 4] = ["intent", "outcome", "refusal", "notice"];
/// How acts end.
const OUTCOMES: [&str; 4] = ["done", "failed", "aborted", "refused"];

/// What to look for. What is not given fits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The caller's id.
    pub caller: Option<String>,
    /// The verb: plain, `start*` or `*end`; or several, with commas between them.
    pub action: Option<String>,
    /// From this moment on.
    pub from: Option<Micros>,
    /// Before this moment.
    pub to: Option<Micros>,
    /// `intent`, `outcome`, `refusal` or `notice`.
    pub kind: Option<String>,
    /// `done`, `failed`, `aborted` or `refused`.
    pub status: Option<String>,
    /// The id of what it was done to.
    pub resource: Option<String>,
    /// The workspace's id.
    pub workspace: Option<String>,
    /// What joins an intent and its outcome.
    pub entry: Option<String>,
    /// The id of a prediction.
    pub prediction: Option<String>,
    /// A text anywhere in the record.
    pub text: Option<String>,
}

/// One record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its place in the log.
    pub index: u64,
    /// Its bytes: canonical JSON.
    pub record: Vec<u8>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub hits: Vec<Hit>,
    /// Where to go on: give it as `before`. `None` at the end of the log.
    pub next_before: Option<u64>,
    /// How many records the log has under its newest checkpoint.
    pub size: u64,
}

impl Filter {
    /// Checks the parts that a caller can get wrong.
    ///
    /// # Errors
    /// `Invalid`, saying which.
    pub fn check(&self) -> Result<(), Problem> {
        let action = self.action.as_deref().unwrap_or_default();
        if action.len() > VERBS_BYTES_MAX {
            return Err(Problem::invalid(format!("the verbs of a search have at most {VERBS_BYTES_MAX} bytes")));
        }
        for pattern in action.split(',') {
            let body = pattern.strip_suffix('*').or_else(|| pattern.strip_prefix('*')).unwrap_or(pattern);
            if !body.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
                return Err(Problem::invalid(format!("`{pattern}` is not a verb, `start*` or `*end`")));
            }
        }
        for (what, word, known) in [("kind", &self.kind, KINDS), ("outcome", &self.status, OUTCOMES)] {
            if word.as_deref().is_some_and(|word| !known.contains(&word)) {
                return Err(Problem::invalid(format!("`{what}` is one of {}", known.join(", "))));
            }
        }
        if self.from.zip(self.to).is_some_and(|(from, to)| to < from) {
            return Err(Problem::invalid("the time ends before it begins; give the earlier moment first"));
        }
        let texts = [&self.caller, &self.kind, &self.status, &self.resource, &self.workspace, &self.entry, &self.text];
        if texts.into_iter().flatten().any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(Problem::invalid(format!("a search term has at most {TEXT_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    /// Whether a record fits.
    #[must_use]
    pub fn fits(&self, record: &[u8]) -> bool {
        if !self.text_fits(record) {
            return false;
        }
        let Some(view) = RecordView::parse(record) else { return false };
        let same = |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| Some(wanted) == found);
        same(&self.caller, Some(&view.caller.id))
            && self.action.as_deref().is_none_or(|patterns| any_holds(patterns, &view.action))
            && self.from.is_none_or(|from| view.at >= from.0)
            && self.to.is_none_or(|to| view.at < to.0)
            && same(&self.kind, Some(&view.kind))
            && same(&self.status, view.status.as_deref())
            && same(&self.resource, view.resource.as_deref())
            && same(&self.workspace, view.workspace.as_deref())
            && same(&self.entry, Some(&view.id))
            && same(&self.prediction, view.prediction())
    }

    fn text_fits(&self, record: &[u8]) -> bool {
        let Some(text) = self.text.as_deref().filter(|text| !text.is_empty()) else { return true };
        std::str::from_utf8(record).is_ok_and(|record| record.contains(text))
    }
}

struct Walk<'a> {
    filter: &'a Filter,
    limit_count: usize,
    left_count: u64,
    hits: Vec<Hit>,
}

impl AuditLog {
    /// One page of the newest records below `before` that fit. It reads files: call it where blocking is allowed.
    ///
    /// # Errors
    /// `NoSuchRecord` before the first checkpoint; `Io`, `Mismatch` or `Index` if the log cannot be read.
    pub fn search(&self, filter: &Filter, before: Option<u64>, limit_count: usize) -> Result<Page, AuditError> {
        let (checkpoint, _, tiles) = self.tree()?;
        let size = checkpoint.size;
        let before = before.unwrap_or(size).min(size);
        let limit_count = limit_count.clamp(1, PAGE_COUNT_MAX);
        let mut walk = Walk { filter, limit_count, left_count: SCAN_COUNT_MAX, hits: Vec::new() };
        let indexed = self.index().size()?.min(size);
        let stopped = if before > indexed { walk.scan(&tiles, indexed, before)? } else { None };
        let next_before = match stopped {
            Some(at) => Some(at),
            None => self.search_indexed(&mut walk, &tiles, before.min(indexed))?,
        };
        Ok(Page { hits: walk.hits, next_before, size })
    }

    /// Goes on in what is indexed. Gives where it stopped.
    fn search_indexed(&self, walk: &mut Walk<'_>, tiles: &TileReader, before: u64) -> Result<Option<u64>, AuditError> {
        let mut before = before;
        loop {
            // Where the index can only tell roughly, more is taken at once.
            let is_rough = walk.filter.text.is_some() || walk.filter.from.is_some() || walk.filter.to.is_some();
            let wanted = if is_rough { PAGE_COUNT_MAX } else { walk.limit_count.saturating_sub(walk.hits.len()) };
            let found = self.index().find(walk.filter, before, wanted)?;
            let complete = found.len() < wanted;
            // Those that lie in one bundle are read with it at once.
            for some in found.chunk_by(|one, other| one / TILE_WIDTH == other / TILE_WIDTH) {
                let Some(first) = some.first() else { continue };
                let bundle = tiles.bundle(first / TILE_WIDTH)?;
                let entries = tiles.entries(first / TILE_WIDTH, &bundle)?;
                for index in some {
                    let place = usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX);
                    let entry = entries.get(place).ok_or_else(|| AuditError::NoSuchRecord(index.to_string()))?;
                    before = *index;
                    walk.take(before, entry);
                    walk.left_count = walk.left_count.saturating_sub(1);
                    if walk.hits.len() >= walk.limit_count || walk.left_count == 0 {
                        return Ok(Some(before).filter(|before| *before > 0));
                    }
                }
            }
            if complete {
                return Ok(None);
            }
        }
    }
}

impl Walk<'_> {
    /// Looks through `from..before`, newest first. Gives where it stopped, if before the end of that.
    fn scan(&mut self, tiles: &TileReader, from: u64, before: u64) -> Result<Option<u64>, AuditError> {
        let mut end = before;
        while end > from {
            let start = (end.saturating_sub(1) / TILE_WIDTH).saturating_mul(TILE_WIDTH).max(from);
            let mut bundle = Vec::new();
            tiles.each_entry(start, end, |index, entry| {
                bundle.push((index, entry.to_vec()));
                true
            })?;
            for (index, entry) in bundle.into_iter().rev() {
                self.take(index, &entry);
                self.left_count = self.left_count.saturating_sub(1);
                if self.hits.len() >= self.limit_count || self.left_count == 0 {
                    return Ok(Some(index).filter(|index| *index > 0));
                }
            }
            end = start;
        }
        Ok(None)
    }

    fn take(&mut self, index: u64, record: &[u8]) {
        if self.filter.fits(record) {
            self.hits.push(Hit { index, record: record.to_vec() });
        }
    }
}
