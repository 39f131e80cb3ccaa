//! JSON that is one document instead of lines: an array of objects, or a table as pandas (`orient="split"`) and MLflow's
//! `log_table` write it. Its rows are found one after the other, whatever the size of the whole.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::json_lines::lines::LineError;
use crate::limits::{COLUMN_NAMES_BYTES_MAX, RECORD_BYTES_MAX};
use crate::source::ReadAhead;

/// How the rows of a file are written. An offset is where they begin.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// An object per line.
    Lines(u64),
    /// One array of objects.
    Objects(u64),
    /// One array of arrays of values, with the names of the columns before it.
    Values { start: u64, columns: Arc<[String]>, rows_are_named: bool },
}

impl Shape {
    /// Where the rows begin.
    pub(crate) const fn start(&self) -> u64 {
        match self {
            Self::Lines(start) | Self::Objects(start) | Self::Values { start, .. } => *start,
        }
    }

    /// Looks at a file from `start` on.
    pub(crate) fn of(ahead: ReadAhead, start: u64) -> Result<Self, LineError> {
        let mut scan = Scan::new(ahead, start);
        Ok(match scan.solid()? {
            Some(b'[') => {
                scan.take();
                Self::Objects(scan.offset)
            }
            Some(b'{') => split(scan)?.unwrap_or(Self::Lines(start)),
            _ => Self::Lines(start),
        })
    }
}

/// The shape of a table that names its columns first; `None` if the file is anything else, or goes on behind such a table.
fn split(mut scan: Scan) -> Result<Option<Shape>, LineError> {
    const KEY_BYTES_MAX: usize = 64;
    scan.take();
    let mut names: Option<Arc<[String]>> = None;
    let mut rows_are_named = false;
    loop {
        let mut key = Vec::new();
        if scan.solid()? != Some(b'"') || scan.value(&mut key, KEY_BYTES_MAX)? != Taken::Whole || scan.solid()? != Some(b':') {
            return Ok(None);
        }
        scan.take();
        if scan.solid()? != Some(b'[') {
            return Ok(None);
        }
        match key.trim_ascii() {
            b"\"columns\"" if names.is_none() => {
                let mut list = Vec::new();
                if scan.value(&mut list, COLUMN_NAMES_BYTES_MAX)? != Taken::Whole {
                    return Ok(None);
                }
                names = names_of(&list);
            }
            b"\"index\"" if !rows_are_named => {
                rows_are_named = true;
                scan.value(&mut Vec::new(), 0)?;
            }
            b"\"data\"" => {
                let Some(columns) = names else { return Ok(None) };
                scan.take();
                let start = scan.offset;
                let whole = is_whole(Elements { scan, buffer: Vec::new(), from: start, line: 0, begun: false, behind: b"]}" })?;
                return Ok(whole.then_some(Shape::Values { start, columns, rows_are_named }));
            }
            _ => return Ok(None),
        }
        if scan.solid()? != Some(b',') {
            return Ok(None);
        }
        scan.take();
    }
}

/// Whether all of the rows are arrays, and the document ends behind them.
fn is_whole(mut rows: Elements) -> Result<bool, LineError> {
    loop {
        match rows.advance() {
            Ok(true) if rows.bytes().first() == Some(&b'[') => {}
            Ok(true) | Err(LineError::Broken) => return Ok(false),
            Ok(false) => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}

fn names_of(list: &[u8]) -> Option<Arc<[String]>> {
    let names: Vec<Value> = serde_json::from_slice(list).ok()?;
    let name = |value: Value| match value {
        Value::String(name) => Some(name),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    names.into_iter().map(name).collect()
}

/// Gives the elements of an array.
pub(crate) struct Elements {
    scan: Scan,
    buffer: Vec<u8>,
    /// Where the element begins.
    pub from: u64,
    /// The line in which it begins.
    pub line: u64,
    /// Whether there was an element, so that a comma must stand before the next one.
    begun: bool,
    /// What ends the file.
    behind: &'static [u8],
}

impl Elements {
    /// The elements from `offset` on, where one has just ended unless it is the `start` of all.
    pub(crate) fn new(ahead: ReadAhead, offset: u64, start: u64, behind: &'static [u8]) -> Self {
        let scan = Scan::new(ahead, offset);
        Self { scan, buffer: Vec::new(), from: offset, line: 0, begun: offset != start, behind }
    }

    /// The element given last.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.trim_ascii()
    }

    /// Where it ends.
    pub(crate) const fn offset(&self) -> u64 {
        self.scan.offset
    }

    /// Goes to the next element; `false` at the end of the file. Between two commas there is one too, of no bytes.
    pub(crate) fn advance(&mut self) -> Result<bool, LineError> {
        self.buffer.clear();
        match self.scan.solid()? {
            Some(b']') => {
                self.end()?;
                return Ok(false);
            }
            Some(b',') if self.begun => {
                self.scan.take();
                self.scan.solid()?;
            }
            Some(_) if !self.begun => {}
            _ => return Err(LineError::Broken),
        }
        self.begun = true;
        self.from = self.scan.offset;
        self.line = self.scan.line + 1;
        match self.scan.value(&mut self.buffer, RECORD_BYTES_MAX)? {
            Taken::Whole => Ok(true),
            Taken::TooLong => Err(LineError::TooLong),
            Taken::Unended => Err(LineError::Broken),
        }
    }

    fn end(&mut self) -> Result<(), LineError> {
        for expected in self.behind {
            if self.scan.solid()? != Some(*expected) {
                return Err(LineError::Broken);
            }
            self.scan.take();
        }
        if self.scan.solid()?.is_some() { Err(LineError::Broken) } else { Ok(()) }
    }
}

/// What became of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Whole,
    /// It is longer than what was to be kept of it.
    TooLong,
    /// The file ended first.
    Unended,
}

/// The bytes of a file, one by one.
struct Scan {
    ahead: ReadAhead,
    held: Bytes,
    at: usize,
    offset: u64,
    /// Line feeds so far.
    line: u64,
}

impl Scan {
    const fn new(ahead: ReadAhead, offset: u64) -> Self {
        Self { ahead, held: Bytes::new(), at: 0, offset, line: 0 }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.at >= self.held.len() {
            self.held = self.ahead.some(self.offset)?;
            self.at = 0;
        }
        Ok(self.held.get(self.at).copied())
    }

    /// Goes past the byte that was seen last.
    fn take(&mut self) {
        self.line += u64::from(self.held.get(self.at) == Some(&b'\n'));
        self.at += 1;
        self.offset += 1;
    }

    /// The next byte that is no white space, which is not taken.
    fn solid(&mut self) -> io::Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Ok(Some(byte));
            }
            self.take();
        }
        Ok(None)
    }

    /// Takes a value, up to what cannot belong to it. Of it `bytes_max` bytes go to `keep`.
    fn value(&mut self, keep: &mut Vec<u8>, bytes_max: usize) -> io::Result<Taken> {
        let mut depth = 0_u64;
        let (mut in_text, mut escaped, mut too_long) = (false, false, false);
        while let Some(byte) = self.peek()? {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                _ if in_text => {}
                b',' | b':' | b']' | b'}' if depth == 0 => {
                    return Ok(if too_long { Taken::TooLong } else { Taken::Whole });
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.take();
            if keep.len() < bytes_max {
                keep.push(byte);
            } else {
                too_long = true;
            }
        }
        Ok(Taken::Unended)
    }
}
