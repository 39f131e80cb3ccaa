//! Splits CSV text into records and fields (RFC 4180, read leniently), within bounded memory whatever the input.
//!
//! Why our own: the usual splitters grow their buffers with the input, so that one endless line is an endless allocation.

use memchr::{memchr, memchr3};

use crate::limits::{COLUMN_COUNT_MAX, RECORD_BYTES_MAX};

/// Why a text is no sequence of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitError {
    /// A record is longer than [`RECORD_BYTES_MAX`].
    TooLong,
    /// A record is longer than that within a quote, which may be one that nobody closed. It begins in this line.
    LongQuote(u64),
    /// A quote never ends. The record begins in this line.
    Unclosed(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first byte of a record.
    RecordStart,
    FieldStart,
    Plain,
    Quoted,
    /// After a quote within a quoted field: its end, or the first of two.
    Quote,
}

/// One record's fields.
#[derive(Debug, Default)]
pub struct Record {
    /// The fields, a line feed after each, so that bytes of two fields never make one character.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    quoted: Vec<bool>,
    field_count: usize,
    stray: bool,
    line: u64,
}

impl Record {
    /// How many fields it has, those beyond what a table may have included.
    #[must_use]
    pub const fn field_count(&self) -> usize {
        self.field_count
    }

    /// The line in which it begins, from 1 on.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// Whether there is text after a closing quote.
    #[must_use]
    pub const fn has_stray_text(&self) -> bool {
        self.stray
    }

    /// Whether it is an empty line.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.field_count == 1 && self.bytes.len() == 1 && self.quoted.first() == Some(&false)
    }

    /// All fields' bytes, for checks.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Field `index` within the text of [`Self::bytes`], and whether it was quoted.
    #[must_use]
    pub fn field<'a>(&self, text: &'a str, index: usize) -> Option<(&'a str, bool)> {
        let from = match index.checked_sub(1) {
            None => 0,
            Some(before) => self.ends.get(before)? + 1,
        };
        Some((text.get(from..*self.ends.get(index)?)?, *self.quoted.get(index)?))
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.quoted.clear();
        self.field_count = 0;
        self.stray = false;
    }

    fn end_field(&mut self, quoted: bool) {
        self.field_count += 1;
        if self.field_count <= COLUMN_COUNT_MAX + 1 {
            self.ends.push(self.bytes.len());
            self.quoted.push(quoted);
            self.bytes.push(b'\n');
        }
    }
}

/// Takes text in pieces and gives records.
#[derive(Debug)]
pub struct Splitter {
    delimiter: u8,
    quote: u8,
    state: State,
    quoted: bool,
    after_return: bool,
    length: usize,
    line: u64,
    record: Record,
}

impl Splitter {
    /// A splitter of text that begins in `line`.
    #[must_use]
    pub fn new(delimiter: u8, quote: u8, line: u64) -> Self {
        Self {
            delimiter,
            quote,
            state: State::RecordStart,
            quoted: false,
            after_return: false,
            length: 0,
            line,
            record: Record::default(),
        }
    }

    /// The record that was completed last.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The line of the next byte.
    #[must_use]
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// Whether the next byte begins a record.
    #[must_use]
    pub fn is_between_records(&self) -> bool {
        self.state == State::RecordStart && !self.after_return
    }

    /// Takes bytes until a record is complete or they end. Gives how many were taken, and whether a record is complete.
    ///
    /// # Errors
    /// [`SplitError`] if the record is too long.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(usize, bool), SplitError> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.after_return {
                self.after_return = false;
                if rest.first() == Some(&b'\n') {
                    at += 1;
                    continue;
                }
            }
            if self.state == State::RecordStart {
                self.record.clear();
                self.record.line = self.line;
                self.length = 0;
                self.state = State::FieldStart;
            }
            let (taken, complete) = self.step(rest);
            at += taken;
            self.length += taken;
            if self.length > RECORD_BYTES_MAX {
                let quoted = self.state == State::Quoted;
                return Err(if quoted { SplitError::LongQuote(self.record.line) } else { SplitError::TooLong });
            }
            if complete {
                self.state = State::RecordStart;
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    /// Ends the text. Gives whether that completed a record.
    ///
    /// # Errors
    /// [`SplitError::Unclosed`] within a quoted field.
    pub fn finish(&mut self) -> Result<bool, SplitError> {
        match self.state {
            State::RecordStart => Ok(false),
            State::Quoted => Err(SplitError::Unclosed(self.record.line)),
            State::FieldStart | State::Plain | State::Quote => {
                self.record.end_field(self.quoted);
                self.quoted = false;
                self.state = State::RecordStart;
                Ok(true)
            }
        }
    }

    /// One step: up to the next byte that means something.
    fn step(&mut self, rest: &[u8]) -> (usize, bool) {
        match self.state {
            State::FieldStart if rest.first() == Some(&self.quote) => {
                self.quoted = true;
                self.state = State::Quoted;
                (1, false)
            }
            State::RecordStart | State::FieldStart | State::Plain => self.plain(rest),
            State::Quoted => {
                let end = memchr(self.quote, rest).unwrap_or(rest.len());
                self.keep(rest.get(..end).unwrap_or_default(), true);
                if end == rest.len() {
                    return (end, false);
                }
                self.state = State::Quote;
                (end + 1, false)
            }
            State::Quote => match rest.first() {
                Some(byte) if *byte == self.quote => {
                    self.keep(&[self.quote], false);
                    self.state = State::Quoted;
                    (1, false)
                }
                Some(byte) if *byte == self.delimiter || matches!(byte, b'\n' | b'\r') => self.plain(rest),
                _ => {
                    self.record.stray = true;
                    self.plain(rest)
                }
            },
        }
    }

    /// Unquoted text up to the next delimiter or line end.
    fn plain(&mut self, rest: &[u8]) -> (usize, bool) {
        let end = memchr3(self.delimiter, b'\n', b'\r', rest).unwrap_or(rest.len());
        self.keep(rest.get(..end).unwrap_or_default(), false);
        let Some(byte) = rest.get(end) else {
            self.state = State::Plain;
            return (end, false);
        };
        self.record.end_field(self.quoted);
        self.quoted = false;
        if *byte == self.delimiter {
            self.state = State::FieldStart;
            return (end + 1, false);
        }
        self.line += 1;
        if *byte == b'\r' {
            match rest.get(end + 1) {
                Some(b'\n') => return (end + 2, true),
                Some(_) => {}
                None => self.after_return = true,
            }
        }
        (end + 1, true)
    }

    fn keep(&mut self, bytes: &[u8], count_lines: bool) {
        if count_lines {
            self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
        }
        if self.record.field_count <= COLUMN_COUNT_MAX {
            self.record.bytes.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// All records, fed in pieces of `piece` bytes.
    fn split(text: &[u8], piece: usize) -> Result<Vec<Vec<String>>, SplitError> {
        let mut splitter = Splitter::new(b',', b'"', 1);
        let mut records = Vec::new();
        let take = |splitter: &Splitter, records: &mut Vec<Vec<String>>| {
            let record = splitter.record();
            let text = String::from_utf8_lossy(record.bytes()).into_owned();
            records.push((0..record.field_count()).map_while(|i| record.field(&text, i)).map(|f| f.0.to_owned()).collect());
        };
        for mut bytes in text.chunks(piece.max(1)) {
            while !bytes.is_empty() {
                let (taken, complete) = splitter.feed(bytes)?;
                assert!(taken > 0);
                bytes = &bytes[taken..];
                if complete {
                    take(&splitter, &mut records);
                }
            }
        }
        if splitter.finish()? {
            take(&splitter, &mut records);
        }
        Ok(records)
    }

    fn check(text: &str, expected: &[&[&str]]) {
        for piece in [1, 2, 3, 1000] {
            assert_eq!(split(text.as_bytes(), piece).unwrap(), expected, "{text:?} in pieces of {piece}");
        }
    }

    #[test]
    fn records_and_fields() {
        check("a,b\n1,2\n", &[&["a", "b"], &["1", "2"]]);
        check("a,b\r\n1,2", &[&["a", "b"], &["1", "2"]]);
        check("a\rb\r", &[&["a"], &["b"]]);
        check("a,\n,b", &[&["a", ""], &["", "b"]]);
        check("\"a,\"\"b\n\",c\n", &[&["a,\"b\n", "c"]]);
        check("a\"b,c\n", &[&["a\"b", "c"]]);
        check("\"a\"x,c\n", &[&["ax", "c"]]);
        check("\n\na\n", &[&[""], &[""], &["a"]]);
        check("\"\"\n", &[&[""]]);
        check("", &[]);
    }

    #[test]
    fn lines_are_counted_through_quotes() {
        let mut splitter = Splitter::new(b',', b'"', 1);
        splitter.feed(b"\"a\nb\"\r\nc\n").unwrap();
        assert_eq!((splitter.record().line(), splitter.line()), (1, 3));
    }

    #[test]
    fn endless_records_end_in_an_error() {
        let mut splitter = Splitter::new(b',', b'"', 1);
        let block = vec![b'x'; 1024 * 1024];
        let error = (0..1024).find_map(|_| splitter.feed(&block).err());
        assert_eq!(error, Some(SplitError::TooLong));
        assert!(splitter.record.bytes.capacity() <= 4 * RECORD_BYTES_MAX);

        assert_eq!(split(b"a\n\"b,c\n1,2\n", 4), Err(SplitError::Unclosed(2)));
        let mut splitter = Splitter::new(b',', b'"', 1);
        splitter.feed(b"\"").unwrap();
        assert_eq!((0..1024).find_map(|_| splitter.feed(&block).err()), Some(SplitError::LongQuote(1)));

        let mut splitter = Splitter::new(b',', b'"', 1);
        let commas = vec![b','; 8 * 1024 * 1024];
        splitter.feed(&commas).unwrap();
        assert_eq!(splitter.record.field_count(), commas.len());
        assert!(splitter.record.ends.len() <= COLUMN_COUNT_MAX + 1);
    }

    #[test]
    fn pieces_do_not_matter() {
        let mut random = Random::new(7);
        for _ in 0..2000 {
            let text: Vec<u8> = (0..random.below(40)).map(|_| *random.pick(b"ab,,\"\"\n\r\xc3\xa9")).collect();
            let whole = split(&text, text.len());
            for piece in [1, 3, 7] {
                assert_eq!(split(&text, piece), whole, "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_written_by_the_rules_is_read_back() {
        let mut random = Random::new(8);
        for _ in 0..1000 {
            let rows: Vec<Vec<String>> = (0..1 + random.below(4))
                .map(|_| (0..2 + random.below(3)).map(|_| random.text("ab ,\"\n\r;é", 6)).collect())
                .collect();
            let mut text = String::new();
            for row in &rows {
                let fields: Vec<String> = row.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
                text.push_str(&fields.join(","));
                text.push_str(if random.below(2) == 0 { "\n" } else { "\r\n" });
            }
            assert_eq!(split(text.as_bytes(), 5).unwrap(), rows);
        }
    }
}
