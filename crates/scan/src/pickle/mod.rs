//! Pickles: what loading one would import and call, without loading it.
//!
//! Every reading that CPython's readers could take is followed: pickles one after the other, frames that are crossed,
//! pickles in texts and bytes. A stream is clean only if all of it is understood and every import stands on an allow-list.

mod arrow;
mod attributes;
mod distribution;
mod dtype;
mod guard;
mod joblib;
mod kept;
mod machine;
mod memo;
mod operand;
mod reader;
mod sharing;
#[cfg(test)]
mod tests;
mod text;
mod torch;
mod trace;
mod value;
mod vectorizer;

use std::collections::HashSet;
use std::io;

use crate::allow::AllowList;
use crate::limits::{DIVERGENCES_MAX, NESTED_PICKLE_DEPTH_MAX, PICKLES_MAX};
use crate::rules;
use crate::source::Window;

pub(crate) use attributes::POINTERS;
use machine::{Ending, Machine, Memory};
use reader::{Reader, Reading};
use trace::Operand;
pub(crate) use trace::{Global, Persistent, Trace};
pub(crate) use vectorizer::{INPUT, OPENS_FILES, is_harmless, is_vectorizer};

/// Bytes of one text or bytes value that are decoded to look for a pickle in it.
const DECODED_BYTES_MAX: u64 = 64 << 20;
/// Operands whose inner pickles are named in a report.
const NESTED_NAMES_MAX: usize = 8;

/// What was found by following a file.
pub(crate) struct Followed<'a> {
    pub trace: Trace<'a>,
    /// Pickles that ended with their `STOP`.
    pub pickles: usize,
    /// Every stream ended so.
    pub complete: bool,
    /// It is a file of torch before 1.6: pickles, then the bytes of the tensors.
    pub legacy_torch: bool,
    /// Torch files in bytes values, which the pickle has loaded.
    pub torch_files: Vec<(u64, Vec<u8>)>,
}

impl Followed<'_> {
    /// Whether an unmarked file is a pickle: it ends as one, or a reader would have imported and called something.
    pub fn is_pickle(&self, is_text: bool) -> bool {
        let imports =
            |called: bool| self.trace.globals.iter().any(|global| global.is_plausible() && (!called || global.is_called()));
        (self.pickles > 0 && self.complete) || imports(is_text)
    }
}

/// Follows all pickles of a file or member.
///
/// # Errors
/// If the bytes cannot be read.
pub(crate) fn follow<'a>(
    window: Window<'_>,
    allow: &'a AllowList,
    persistent: Persistent,
    depth: usize,
) -> io::Result<Followed<'a>> {
    let mut followed = Followed {
        trace: Trace::new(allow, persistent),
        pickles: 0,
        complete: true,
        legacy_torch: false,
        torch_files: Vec::new(),
    };
    let mut seen = HashSet::new();
    let mut divergences = 0;
    let mut memory = Memory::default();
    let mut broken = false;
    let mut queue = vec![(0, Reading::Contiguous)];
    while let Some((start, reading)) = queue.pop() {
        if !seen.insert((start, reading)) {
            continue;
        }
        if seen.len() > PICKLES_MAX {
            followed.trace.note(rules::PICKLE_LIMIT, start, "too many pickles one after the other");
            break;
        }
        let (notes, imports) = (followed.trace.notes.len(), followed.trace.globals.len());
        let mut machine = Machine::with(memory, Reader::new(window, start, reading), depth, &mut followed.trace);
        let ending = machine.run()?;
        let diverged = machine.reader.diverged;
        let too_long = machine.reader.frame_too_long;
        let magic = match ending {
            Ending::Stopped { top, .. } if start == 0 => torch::is_magic(window, top)?,
            _ => false,
        };
        memory = machine.into_memory();
        if magic {
            followed.legacy_torch = true;
            followed.trace.persistent = Persistent::Torch;
        }
        if let Some(offset) = diverged {
            followed.trace.note(rules::FRAME, offset, "an instruction crosses the end of a frame");
            if reading == Reading::Contiguous && divergences < DIVERGENCES_MAX {
                divergences += 1;
                queue.push((start, Reading::Framed));
            }
        }
        if let Some(offset) = too_long {
            followed.trace.note(rules::FRAME, offset, "a frame is longer than the file");
        }
        broken |= !matches!(ending, Ending::Stopped { .. });
        match ending {
            Ending::Stopped { next, open_frame, .. } => {
                followed.pickles += 1;
                if let Some(end) = open_frame {
                    followed.trace.note(rules::FRAME, next, "the pickle ends before its frame does");
                    if divergences < DIVERGENCES_MAX {
                        divergences += 1;
                        queue.push((end, Reading::Contiguous));
                    }
                }
                if followed.legacy_torch && followed.pickles == torch::LEGACY_PICKLES {
                    torch::tail(window, next, &mut followed.trace)?;
                } else if next < window.size() {
                    queue.push((next, Reading::Contiguous));
                }
            }
            Ending::Broken { offset, why } if start > 0 && followed.trace.globals.len() == imports && diverged.is_none() => {
                followed.trace.notes.truncate(notes);
                let message = format!("{} bytes follow the last pickle ({why} at byte {offset})", window.size() - start);
                followed.trace.note(rules::PICKLE_TRAILING, start, message);
            }
            Ending::Broken { offset, why } => {
                followed.complete = false;
                followed.trace.note(rules::MALFORMED, offset, why);
            }
            Ending::Limit { offset, why } => {
                followed.complete = false;
                followed.trace.note(rules::PICKLE_LIMIT, offset, why);
            }
        }
    }
    if seen.len() > 1 && broken {
        shared(window, &mut followed, depth)?;
    }
    nested(window, &mut followed, depth)?;
    Ok(followed)
}

/// Follows pickles one after the other as one unpickler object loads them: its memo stays, and what it has read ahead. Only
/// files in which a pickle fails by itself are read so, and only imports count: in others, the numbers of the memo would mean
/// something else than their writer meant.
fn shared(window: Window<'_>, followed: &mut Followed<'_>, depth: usize) -> io::Result<()> {
    let (operands, notes, storages) = (followed.trace.operands.len(), followed.trace.notes.len(), followed.trace.storages.len());
    let crossed = followed.trace.notes.iter().any(|note| note.rule == rules::FRAME);
    let count_max = if followed.legacy_torch { torch::LEGACY_PICKLES } else { PICKLES_MAX };
    let readings: &[Reading] = if crossed { &[Reading::Contiguous, Reading::Framed] } else { &[Reading::Contiguous] };
    for reading in readings {
        let mut machine = Machine::new(Reader::new(window, 0, *reading), depth, &mut followed.trace);
        for _ in 0..count_max {
            match machine.run()? {
                Ending::Stopped { next, .. } if next < window.size() => machine.restart(),
                _ => break,
            }
        }
    }
    followed.trace.operands.truncate(operands);
    followed.trace.notes.truncate(notes);
    followed.trace.storages.truncate(storages);
    Ok(())
}

/// Looks into the operands that begin like pickles.
fn nested(window: Window<'_>, followed: &mut Followed<'_>, depth: usize) -> io::Result<()> {
    let operands = std::mem::take(&mut followed.trace.operands);
    for operand in operands {
        let bytes = if operand.torch || !operand.letters.are_bytes() {
            match decoded(window, operand)? {
                Some(bytes) => Some(bytes),
                None if operand.torch => {
                    followed.trace.note(rules::PICKLE_LIMIT, operand.start, "a torch file in a value cannot be looked into");
                    continue;
                }
                None => continue,
            }
        } else {
            None
        };
        if operand.torch {
            followed.torch_files.extend(bytes.map(|bytes| (operand.start, bytes)));
            continue;
        }
        let part = match &bytes {
            Some(bytes) => Window::whole(bytes),
            None => window.part(operand.start, operand.length),
        };
        if depth >= NESTED_PICKLE_DEPTH_MAX {
            followed.trace.note(rules::PICKLE_LIMIT, operand.start, "pickles stand in pickles deeper than the scanner follows");
            continue;
        }
        let marked = part.has(0, &[0x80])?;
        let inner = follow(part, followed.trace.allow, Persistent::Unknown, depth + 1)?;
        if let Some(message) = nested_problem(&inner, marked) {
            followed.trace.note(rules::NESTED, operand.start, message);
        }
    }
    Ok(())
}

fn nested_problem(inner: &Followed<'_>, marked: bool) -> Option<String> {
    let worth = |global: &&Global| global.mode.is_none() && global.is_plausible() && (marked || global.is_called());
    let names: Vec<String> = inner.trace.globals.iter().filter(worth).take(NESTED_NAMES_MAX).map(full_name).collect();
    let deeper = inner.trace.notes.iter().find(|note| note.rule == rules::NESTED).map(|note| note.message.clone());
    if names.is_empty() { deeper } else { Some(format!("a value holds a pickle that imports {}", names.join(", "))) }
}

pub(crate) fn full_name(global: &Global) -> String {
    crate::report::shown(&format!("{}.{}", global.module, global.name))
}

/// The bytes that a value stands for.
fn decoded(window: Window<'_>, operand: Operand) -> io::Result<Option<Vec<u8>>> {
    if operand.letters.are_bytes() {
        let bytes = if operand.length <= crate::limits::DECOMPRESSED_BYTES_MAX {
            Some(window.bytes(operand.start, operand.length)?)
        } else {
            None
        };
        return Ok(bytes);
    }
    if operand.length > DECODED_BYTES_MAX {
        return Ok(None);
    }
    let bytes = window.bytes(operand.start, operand.length)?;
    Ok(text::decode(operand.letters, &bytes).and_then(|text| text::to_latin1(&text)))
}
