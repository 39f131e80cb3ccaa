//! Instructions that push a value written in the stream: numbers, texts, bytes. Long ones are passed over, not copied.

use super::machine::Machine;
use super::reader::Halt;
use super::text;
use super::trace::Operand;
use super::value::{Letters, Value};

/// Operands that may be pickles, of one pickle.
const OPERANDS_MAX: usize = 100_000;
/// Shorter texts hold no pickle that imports anything.
const NESTED_BYTES_MIN: u64 = 6;
/// Longer pickles of protocol 0 or 1 are not looked for in texts: they have no mark of their own.
const UNMARKED_BYTES_MAX: u64 = 1 << 20;

impl Machine<'_, '_, '_> {
    /// An instruction with a literal.
    pub(super) fn operand(&mut self, code: u8) -> Result<(), Halt> {
        match code {
            b'I' | b'L' => self.integer_line(),
            b'F' => {
                self.reader.line()?;
                self.push(Value::Plain)
            }
            0x8a => {
                let [length] = self.reader.array()?;
                self.long(u64::from(length))
            }
            0x8b => {
                let length = self.length_i32()?;
                self.long(length)
            }
            b'S' => self.quoted_line(),
            b'V' => {
                let (start, length) = self.reader.line()?;
                self.text(Letters::RawEscapes, start, length)
            }
            b'T' => {
                let length = self.length_i32()?;
                self.counted(Letters::OneByte, length)
            }
            b'U' => {
                let [length] = self.reader.array()?;
                self.counted(Letters::OneByte, u64::from(length))
            }
            b'X' => {
                let length = self.reader.u32()?;
                self.counted(Letters::Utf8, u64::from(length))
            }
            0x8c => {
                let [length] = self.reader.array()?;
                self.counted(Letters::Utf8, u64::from(length))
            }
            0x8d => {
                let length = self.reader.u64()?;
                self.counted(Letters::Utf8, length)
            }
            b'B' => {
                let length = self.reader.u32()?;
                self.counted_bytes(Letters::Bytes, u64::from(length))
            }
            b'C' => {
                let [length] = self.reader.array()?;
                self.counted_bytes(Letters::Bytes, u64::from(length))
            }
            0x8e | 0x96 => {
                let length = self.reader.u64()?;
                self.counted_bytes(if code == 0x96 { Letters::ByteArray } else { Letters::Bytes }, length)
            }
            _ => Err(Halt::Broken("a byte is no instruction of a pickle")),
        }
    }

    fn length_i32(&mut self) -> Result<u64, Halt> {
        let length = i32::from_le_bytes(self.reader.array()?);
        u64::try_from(length).map_err(|_| Halt::Broken("a length is negative"))
    }

    fn integer_line(&mut self) -> Result<(), Halt> {
        let (start, length) = self.reader.line()?;
        if length > 32 {
            return self.push(Value::Plain);
        }
        let bytes = self.reader.window.bytes(start, length)?;
        // "00" and "01" are False and True; they are followed as the numbers that they are.
        let value = text::integer(bytes.strip_suffix(b"L").unwrap_or(&bytes)).map_or(Value::Plain, Value::Int);
        if let Value::Plain = value {
            // torch's magic number in protocol 0.
            return self.push(Value::Long { length: length as u32, start });
        }
        self.push(value)
    }

    fn long(&mut self, length: u64) -> Result<(), Halt> {
        let start = self.reader.claim(length)?;
        if length <= 8 {
            let bytes = self.reader.window.bytes(start, length)?;
            let negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
            let mut whole = [if negative { 0xff } else { 0 }; 8];
            for (to, from) in whole.iter_mut().zip(&bytes) {
                *to = *from;
            }
            return self.push(Value::Int(i64::from_le_bytes(whole)));
        }
        self.push(u32::try_from(length).map_or(Value::Plain, |length| Value::Long { length, start }))
    }

    fn quoted_line(&mut self) -> Result<(), Halt> {
        let (start, length) = self.reader.line()?;
        let first = self.reader.window.bytes(start, 1)?;
        let last = self.reader.window.bytes((start + length).saturating_sub(1), 1)?;
        let quoted = length >= 2 && first == last && matches!(first.as_slice(), b"'" | b"\"");
        if !quoted {
            return Err(Halt::Broken("a text of `STRING` is not in quotes"));
        }
        self.text(Letters::ReprEscapes, start + 1, length - 2)
    }

    fn counted(&mut self, letters: Letters, length: u64) -> Result<(), Halt> {
        let start = self.reader.claim(length)?;
        self.text(letters, start, length)
    }

    fn counted_bytes(&mut self, letters: Letters, length: u64) -> Result<(), Halt> {
        let start = self.reader.claim_into(length)?;
        self.text(letters, start, length)
    }

    fn text(&mut self, letters: Letters, start: u64, length: u64) -> Result<(), Halt> {
        if length >= NESTED_BYTES_MIN {
            self.consider(letters, start, length)?;
            self.check_text(letters, start, length)?;
        }
        self.push(u32::try_from(length).map_or(Value::Computed, |length| Value::Text { letters, length, start }))
    }

    /// Notes a text or bytes that may itself be a pickle.
    fn consider(&mut self, letters: Letters, start: u64, length: u64) -> Result<(), Halt> {
        let mut head = [0; 4];
        self.reader.peek(start, &mut head)?;
        let marked = match (letters, head) {
            (Letters::Utf8, [0xc2, 0x80, version, _]) | (_, [0x80, version, ..]) => version <= 5,
            (Letters::ReprEscapes | Letters::RawEscapes, [b'\\', b'x' | b'u' | b'2', ..]) => length <= UNMARKED_BYTES_MAX,
            _ => false,
        };
        let unmarked = || matches!(head, [b'c' | b'(' | b'i' | b']' | b'}' | b'S' | b'V', ..]) && length <= UNMARKED_BYTES_MAX;
        if !marked {
            let mut last = [0];
            if unmarked() {
                self.reader.peek(start + length - 1, &mut last)?;
            }
            if last != *b"." {
                return Ok(());
            }
        }
        if self.trace.operands.len() >= OPERANDS_MAX {
            return Err(Halt::Limit("too many values begin like pickles"));
        }
        self.trace.operands.push(Operand { letters, start, length, torch: false });
        Ok(())
    }
}
