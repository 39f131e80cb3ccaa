//! The pickle machine: the stack, the marks and the memo exactly as CPython's C unpickler has them, with symbols for values.
//!
//! Where CPython's two unpicklers differ, or an instruction fails only because of a value that is not followed here, the
//! machine goes on: it may report an import too many, never one too few.

use std::cell::Cell;
use std::collections::HashMap;

use crate::limits::{NAME_BYTES_MAX, STACK_VALUES_MAX, TEXTS_READ_MAX};
use crate::report::Use;
use crate::rules;

use super::reader::{Halt, Reader};
use super::text;
use super::trace::Trace;
use super::value::{Heap, Letters, Value};

const UNDERFLOW: Halt = Halt::Broken("an instruction takes more from the stack than there is");
const NO_MARK: Halt = Halt::Broken("an instruction needs a mark that is not there");

/// How a pickle ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// At its `STOP`; the next byte, and where the frame ends that it left open.
    Stopped { next: u64, open_frame: Option<u64>, top: Value },
    /// Without one.
    Broken { offset: u64, why: &'static str },
    /// The scanner gave up.
    Limit { offset: u64, why: &'static str },
}

/// Memory of a machine that has ended, for the next one: taking it from the system costs more than following a small pickle.
#[derive(Default)]
pub(super) struct Memory {
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: Vec<Option<Value>>,
    heap: Heap,
    buffer: Vec<u8>,
}

pub(super) struct Machine<'a, 'b, 'c> {
    pub reader: Reader<'a>,
    pub stack: Vec<Value>,
    marks: Vec<usize>,
    pub(super) memo: Vec<Option<Value>>,
    pub(super) memo_far: HashMap<u64, Value>,
    pub(super) memo_count: u64,
    pub heap: Heap,
    pub trace: &'b mut Trace<'c>,
    texts_read: Cell<u32>,
    /// Where the current instruction stands.
    pub at: u64,
    /// Pickles that this one stands in.
    pub depth: usize,
}

impl<'a, 'b, 'c> Machine<'a, 'b, 'c> {
    pub fn new(reader: Reader<'a>, depth: usize, trace: &'b mut Trace<'c>) -> Self {
        Self::with(Memory::default(), reader, depth, trace)
    }

    /// As `new`, in the memory of one that has ended.
    pub fn with(memory: Memory, mut reader: Reader<'a>, depth: usize, trace: &'b mut Trace<'c>) -> Self {
        let Memory { stack, marks, memo, heap, buffer } = memory;
        let at = reader.position();
        reader.take_buffer(buffer);
        Self {
            reader,
            stack,
            marks,
            memo,
            memo_far: HashMap::new(),
            memo_count: 0,
            heap,
            trace,
            texts_read: Cell::new(0),
            at,
            depth,
        }
    }

    /// Makes ready for the next pickle of the same unpickler: only the memo and what was read ahead stay.
    pub fn restart(&mut self) {
        self.stack.clear();
        self.marks.clear();
    }

    /// Gives its memory back, empty.
    pub fn into_memory(mut self) -> Memory {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        self.heap.clear();
        Memory { stack: self.stack, marks: self.marks, memo: self.memo, heap: self.heap, buffer: self.reader.into_buffer() }
    }

    /// Follows the pickle to its end.
    pub fn run(&mut self) -> std::io::Result<Ending> {
        loop {
            match self.step() {
                Ok(None) => {}
                Ok(Some(top)) => {
                    let open_frame = self.reader.open_frame();
                    return Ok(Ending::Stopped { next: self.reader.position(), open_frame, top });
                }
                Err(Halt::Source(error)) => return Err(error),
                Err(Halt::Broken(why)) => return Ok(Ending::Broken { offset: self.at, why }),
                Err(Halt::Limit(why)) => return Ok(Ending::Limit { offset: self.at, why }),
            }
        }
    }

    /// One instruction; the value that the pickle stands for after `STOP`.
    fn step(&mut self) -> Result<Option<Value>, Halt> {
        let code = self.reader.byte()?;
        self.at = self.reader.position() - 1;
        match code {
            b'.' => {
                let top = self.pop()?;
                self.kept(top);
                return Ok(Some(top));
            }
            b'N' => self.push(Value::None)?,
            0x88 | 0x89 => self.push(Value::Plain)?,
            b'K' => {
                let [byte] = self.reader.array()?;
                self.push(Value::Int(i64::from(byte)))?;
            }
            b'M' => {
                let value = self.reader.u16()?;
                self.push(Value::Int(i64::from(value)))?;
            }
            b'J' => {
                let value = i32::from_le_bytes(self.reader.array()?);
                self.push(Value::Int(i64::from(value)))?;
            }
            b'G' => {
                self.reader.claim(8)?;
                self.push(Value::Plain)?;
            }
            b'(' => self.mark()?,
            b'0' => self.pop_value_or_mark()?,
            b'1' => {
                let start = self.pop_mark()?;
                self.stack.truncate(start);
            }
            b'2' => {
                let top = self.top()?;
                self.again(top);
                self.push(top)?;
            }
            b'q' => {
                let [index] = self.reader.array()?;
                self.put(u64::from(index))?;
            }
            b'r' => {
                let index = self.reader.u32()?;
                self.put(u64::from(index))?;
            }
            0x94 => self.put(self.memo_count)?,
            b'h' => {
                let [index] = self.reader.array()?;
                self.get(u64::from(index))?;
            }
            b'j' => {
                let index = self.reader.u32()?;
                self.get(u64::from(index))?;
            }
            b']' => {
                let list = self.heap.list(&[]);
                self.push(list)?;
            }
            0x8f => self.push(Value::Collection)?,
            b')' => {
                let tuple = self.tuple_from(self.stack.len());
                self.push(tuple)?;
            }
            b'}' => {
                let dictionary = self.heap.dictionary();
                self.push(dictionary)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.kept(item);
                let target = self.changed()?;
                self.heap.append(target, &[item]);
            }
            b'e' | 0x90 => {
                let start = self.pop_mark()?;
                if self.stack.len() > start || code == 0x90 {
                    self.append_from(start)?;
                }
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                let target = self.changed()?;
                self.set(target, key, value)?;
            }
            b'u' => self.set_items()?,
            b't' => {
                let start = self.pop_mark()?;
                let tuple = self.tuple_from(start);
                self.push(tuple)?;
            }
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let start = self.stack.len().checked_sub(count).filter(|start| *start >= self.fence()).ok_or(UNDERFLOW)?;
                let tuple = self.tuple_from(start);
                self.push(tuple)?;
            }
            b'l' | 0x91 => {
                let start = self.pop_mark()?;
                let list = match code {
                    b'l' => self.heap.list(self.stack.get(start..).unwrap_or_default()),
                    _ => Value::Collection,
                };
                self.keep_from(start);
                self.push(list)?;
            }
            b'd' => self.make_dictionary()?,
            _ => self.other(code)?,
        }
        Ok(None)
    }

    fn other(&mut self, code: u8) -> Result<(), Halt> {
        match code {
            0x80 => {
                let [version] = self.reader.array()?;
                if version > 5 {
                    return Err(Halt::Broken("the protocol is none that Python has"));
                }
                Ok(())
            }
            0x95 => {
                let length = self.reader.u64()?;
                self.reader.frame(length)
            }
            b'c' => {
                let module = self.line_text(Letters::Utf8)?;
                let name = self.line_text(Letters::Utf8)?;
                self.import(module, name)
            }
            0x93 => self.stack_global(),
            b'R' => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                self.call(callee, arguments, Use::Called)
            }
            0x81 => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                self.call(class, arguments, Use::Instantiated)
            }
            0x92 => {
                let (named, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                let empty = self.heap.entries(named).is_some_and(|entries| entries.pairs.is_empty() && !entries.open);
                if empty {
                    return self.call(class, arguments, Use::Instantiated);
                }
                // Named arguments are not followed: guards see arguments that they know nothing of.
                self.kept(arguments);
                self.check_names(named)?;
                self.call(class, Value::Collection, Use::Instantiated)
            }
            b'o' => {
                let start = self.pop_mark()?;
                let class = *self.stack.get(start).ok_or(UNDERFLOW)?;
                let arguments = self.tuple_from(start + 1);
                self.stack.truncate(start);
                self.call(class, arguments, Use::Instantiated)
            }
            b'i' => {
                let module = self.line_text(Letters::Utf8)?;
                let name = self.line_text(Letters::Utf8)?;
                let start = self.pop_mark();
                // The class is looked up before the mark is.
                self.import(module, name)?;
                let class = self.pop()?;
                let arguments = self.tuple_from(start?);
                self.call(class, arguments, Use::Instantiated)
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                self.kept(state);
                self.build(target, state)
            }
            b'P' => {
                self.reader.line()?;
                self.persistent(None)
            }
            b'Q' => {
                let id = self.pop()?;
                self.kept(id);
                self.persistent(Some(id))
            }
            0x82..=0x84 => self.extension(code),
            0x97 => {
                self.trace.note(rules::OUT_OF_BAND, self.at, "`NEXT_BUFFER` asks for a buffer that is not in the file");
                self.push(Value::Computed)
            }
            0x98 => self.top().map(|_| ()),
            _ => self.literal(code),
        }
    }

    fn extension(&mut self, code: u8) -> Result<(), Halt> {
        let number = match code {
            0x82 => u32::from(self.reader.array::<1>()?[0]),
            0x83 => u32::from(self.reader.u16()?),
            _ => self.reader.u32()?,
        };
        self.trace.note(rules::EXTENSION, self.at, format!("`EXT` imports what is registered under {number}"));
        self.push(Value::Computed)
    }

    fn stack_global(&mut self) -> Result<(), Halt> {
        let (name, module) = (self.pop()?, self.pop()?);
        let texts = (self.text_of(module, NAME_BYTES_MAX)?, self.text_of(name, NAME_BYTES_MAX)?);
        if let (Some(module), Some(name)) = texts {
            return self.import(module, name);
        }
        self.trace.note(rules::GLOBAL_COMPUTED, self.at, "`STACK_GLOBAL` imports a name that is not written in the file");
        self.push(Value::Computed)
    }

    fn import(&mut self, module: String, name: String) -> Result<(), Halt> {
        let index = self.trace.import(module, name, self.at).ok_or(Halt::Limit("the file imports too many names"))?;
        self.push(Value::Global(index))
    }

    fn line_text(&mut self, letters: Letters) -> Result<String, Halt> {
        let (start, length) = self.reader.line()?;
        if length > NAME_BYTES_MAX {
            return Err(Halt::Limit("a name is longer than any real one"));
        }
        let bytes = self.reader.window.bytes(start, length)?;
        Ok(text::decode(letters, &bytes).unwrap_or_default())
    }

    /// The text of a value, if it is one that is written in the stream and not too long.
    pub fn text_of(&self, value: Value, bytes_max: u64) -> Result<Option<String>, Halt> {
        let Value::Text { letters, length, start } = value else { return Ok(None) };
        if u64::from(length) > bytes_max {
            return Ok(None);
        }
        let read = self.texts_read.get();
        if read >= TEXTS_READ_MAX {
            return Err(Halt::Limit("more names are looked at than the scanner follows"));
        }
        self.texts_read.set(read + 1);
        let bytes = self.reader.window.bytes(start, u64::from(length))?;
        Ok(text::decode(letters, &bytes))
    }

    // The stack, its marks and the memo.

    fn fence(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    #[inline]
    pub fn push(&mut self, value: Value) -> Result<(), Halt> {
        if self.stack.len() >= STACK_VALUES_MAX {
            return Err(Halt::Limit("the stack grows beyond the scanner's bound"));
        }
        self.stack.push(value);
        Ok(())
    }

    #[inline]
    fn pop(&mut self) -> Result<Value, Halt> {
        if self.stack.len() <= self.fence() {
            return Err(UNDERFLOW);
        }
        self.stack.pop().ok_or(UNDERFLOW)
    }

    pub fn replace_top(&mut self, value: Value) -> Result<(), Halt> {
        self.pop()?;
        self.push(value)
    }

    pub(super) fn top(&self) -> Result<Value, Halt> {
        if self.stack.len() <= self.fence() {
            return Err(UNDERFLOW);
        }
        self.stack.last().copied().ok_or(UNDERFLOW)
    }

    fn mark(&mut self) -> Result<(), Halt> {
        if self.marks.len() >= STACK_VALUES_MAX {
            return Err(Halt::Limit("more marks than the scanner follows"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Where the values above the last mark begin; the mark is gone.
    fn pop_mark(&mut self) -> Result<usize, Halt> {
        self.marks.pop().ok_or(NO_MARK)
    }

    fn pop_value_or_mark(&mut self) -> Result<(), Halt> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(|_| ())
    }

    /// The value on top is about to be changed by `APPEND`, `SETITEM` or `ADDITEMS`.
    fn changed(&mut self) -> Result<Value, Halt> {
        let target = self.top()?;
        let problem = match target {
            Value::Global(_) => "items are put into something that is imported",
            Value::Text { .. } => "items are put into bytes, which are then other bytes than stand in the file",
            _ => return Ok(target),
        };
        self.trace.note(rules::BUILD_TARGET, self.at, problem);
        Ok(target)
    }

    /// Puts the values from a place of the stack on into the list or set below them.
    fn append_from(&mut self, start: usize) -> Result<(), Halt> {
        let below = start.checked_sub(1).filter(|below| *below >= self.fence()).and_then(|below| self.stack.get(below)).copied();
        if let Some(list) = below {
            self.heap.append(list, self.stack.get(start..).unwrap_or_default());
        }
        self.keep_from(start);
        self.changed().map(|_| ())
    }

    fn make_dictionary(&mut self) -> Result<(), Halt> {
        let start = self.pop_mark()?;
        let dictionary = self.heap.dictionary();
        self.set_all(dictionary, start)?;
        self.push(dictionary)
    }

    fn set_items(&mut self) -> Result<(), Halt> {
        let start = self.pop_mark()?;
        if self.stack.len() == start {
            // Nothing to set: CPython looks no further than at what is there.
            return Ok(());
        }
        let below = start.checked_sub(1).filter(|below| *below >= self.fence()).ok_or(UNDERFLOW)?;
        let target = *self.stack.get(below).ok_or(UNDERFLOW)?;
        self.set_all(target, start)?;
        self.changed().map(|_| ())
    }

    fn set_all(&mut self, target: Value, start: usize) -> Result<(), Halt> {
        for at in (start..self.stack.len()).step_by(2) {
            if let Some([key, value]) = self.stack.get(at..at + 2) {
                let (key, value) = (*key, *value);
                self.set(target, key, value)?;
            }
        }
        self.stack.truncate(start);
        Ok(())
    }

    fn literal(&mut self, code: u8) -> Result<(), Halt> {
        match code {
            b'p' => self.put_text(),
            b'g' => self.get_text(),
            _ => self.operand(code),
        }
    }
}
