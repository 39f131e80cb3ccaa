//! The memo, as CPython's C unpickler has it: numbers near each other in a table, those far away in a map.

use crate::limits::{MEMO_SPARSE_MAX, MEMO_VALUES_MAX};
use crate::rules;

use super::machine::Machine;
use super::reader::Halt;
use super::text;

/// The longest number of the memo as text. CPython takes longer ones, which no pickler writes.
const NUMBER_BYTES_MAX: u64 = 4_096;

impl Machine<'_, '_, '_> {
    #[inline]
    pub(super) fn put(&mut self, index: u64) -> Result<(), Halt> {
        let value = self.top()?;
        let near = usize::try_from(index)
            .ok()
            .filter(|near| *near <= self.memo.len().saturating_add(1 << 16) && *near < MEMO_VALUES_MAX);
        let old = match near {
            Some(near) => {
                if near >= self.memo.len() {
                    self.memo.resize(near + 1, None);
                    // What was far may have come near.
                    self.bring_near();
                }
                self.memo.get_mut(near).and_then(|slot| slot.replace(value)).is_some()
            }
            None if self.memo_far.len() >= MEMO_SPARSE_MAX => {
                return Err(Halt::Limit("the memo grows beyond the scanner's bound"));
            }
            None => self.memo_far.insert(index, value).is_some(),
        };
        if !old {
            self.memo_count += 1;
        }
        Ok(())
    }

    fn bring_near(&mut self) {
        if self.memo_far.is_empty() {
            return;
        }
        let memo = &mut self.memo;
        self.memo_far.retain(|index, value| match usize::try_from(*index).ok().and_then(|near| memo.get_mut(near)) {
            Some(slot) => {
                *slot = Some(*value);
                false
            }
            None => true,
        });
    }

    #[inline]
    pub(super) fn get(&mut self, index: u64) -> Result<(), Halt> {
        let near = usize::try_from(index).ok().and_then(|near| self.memo.get(near).copied().flatten());
        let value = near.or_else(|| self.memo_far.get(&index).copied());
        let value = value.ok_or(Halt::Broken("the memo has no value of this number"))?;
        self.again(value);
        self.push(value)
    }

    pub(super) fn put_text(&mut self) -> Result<(), Halt> {
        let index = self.line_integer()?;
        self.put(index)
    }

    pub(super) fn get_text(&mut self) -> Result<(), Halt> {
        let index = self.line_integer()?;
        self.get(index)
    }

    fn line_integer(&mut self) -> Result<u64, Halt> {
        let (start, length) = self.reader.line()?;
        let bytes = self.reader.window.bytes(start, length.min(NUMBER_BYTES_MAX))?;
        // CPython's own reader takes the text as C does, which ends at a zero byte; the one written in Python refuses it.
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        if text.len() < bytes.len() {
            self.trace.note(
                rules::MALFORMED,
                self.at,
                "a number of the memo holds a zero byte, at which one reader ends it and another refuses it",
            );
        }
        let number = text::integer(text).and_then(|number| u64::try_from(number).ok());
        number.filter(|_| length <= NUMBER_BYTES_MAX).ok_or(Halt::Broken("a number of the memo is not a number"))
    }
}
