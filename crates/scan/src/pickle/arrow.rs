//! Arrow's arrays: pyarrow makes one of buffers, without a look at them, and believes from then on that they are as long as its
//! type and length say, that offsets lie in order, and that as many items are missing as it is told. All of that is checked here,
//! for numbers, times, texts, bytes and categories of those; of other types nothing is known.

#[cfg(test)]
mod tests;

use crate::allow::Mode;

use super::machine::Machine;
use super::reader::Halt;
use super::text;
use super::value::{Letters, Value};

/// Items that are looked at at once.
const CHUNK_ITEMS: u64 = 16 << 10;
/// Bytes that are looked at at once.
const CHUNK_BYTES: u64 = 1 << 20;
/// Bytes of one text that are looked at.
const TEXT_BYTES_MAX: u64 = 256 << 20;
const ITEMS_MAX: u64 = 1 << 40;
const NAME_BYTES_MAX: u64 = 64;
/// A dictionary of categories has none of its own.
const DICTIONARIES_DEPTH_MAX: u8 = 1;

const UNKNOWN: &str =
    "an array of Arrow's is of a type, or made of buffers, that are not followed: numbers, times, texts and categories are";
const SHORT: &str = "a buffer of one of Arrow's arrays is shorter than its items: reading it reads other memory";
const OFFSETS: &str = "the offsets of one of Arrow's arrays lead out of its buffer: reading it reads other memory";
const NULLS: &str = "one of Arrow's arrays tells a wrong number of missing items: reading it writes to other memory";
const TEXT: &str = "one of Arrow's arrays of texts is no UTF-8";
const INDICES: &str = "one of Arrow's arrays of categories leads out of its categories: reading it reads other memory";
const SHARED: &str = "a buffer of one of Arrow's arrays is used elsewhere too, so that it could be changed";
const POINTERS: &str =
    "a stream of Arrow's has columns of a type of their own; one of polars' leads to objects by their addresses";

type Judged<T> = Result<T, &'static str>;

/// What the items of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Nothing: all are missing.
    Null,
    /// Numbers of so many bits.
    Fixed { bits: u64 },
    /// Bytes, by offsets of so many bytes each.
    Variable { offset_bytes: u64, is_text: bool },
    /// Indices of so many bytes into an array of the type that is made by this value.
    Dictionary { index_bytes: u64, is_signed: bool },
}

/// The bytes of a buffer.
enum Buffer {
    /// In the stream.
    Written { start: u64, length: u64 },
    /// Written as a text.
    Decoded(Vec<u8>),
}

impl Buffer {
    fn length(&self) -> u64 {
        match self {
            Self::Written { length, .. } => *length,
            Self::Decoded(bytes) => bytes.len() as u64,
        }
    }

    /// Bytes that the caller knows are there.
    fn bytes(&self, machine: &Machine<'_, '_, '_>, at: u64, count: u64) -> Result<Vec<u8>, Halt> {
        Ok(match self {
            Self::Written { start, .. } => machine.reader.window.bytes(start + at, count)?,
            Self::Decoded(bytes) => {
                let (at, count) = (usize::try_from(at).unwrap_or(usize::MAX), usize::try_from(count).unwrap_or(0));
                bytes.get(at..at.saturating_add(count)).unwrap_or_default().to_vec()
            }
        })
    }
}

/// What is wrong with the arguments of `pyarrow.lib._restore_array`, if anything is.
pub(super) fn array_problem(machine: &mut Machine<'_, '_, '_>, arguments: Value) -> Result<Option<&'static str>, Halt> {
    let Some([data]) = machine.heap.items_of(arguments) else { return Ok(Some(UNKNOWN)) };
    let data = *data;
    if let Err(problem) = once(machine, arguments) {
        return Ok(Some(problem));
    }
    Ok(array(machine, data, 0)?.err())
}

/// What is wrong with the state of what is read from a stream of Arrow's, if anything is.
pub(super) fn stream_problem(machine: &mut Machine<'_, '_, '_>, state: Value) -> Result<Option<&'static str>, Halt> {
    let stream = match content(machine, state)? {
        Ok(stream) => stream,
        Err(problem) => return Ok(Some(problem)),
    };
    let mark = memchr::memmem::Finder::new("ARROW:extension");
    let overlap = mark.needle().len() as u64;
    let mut at = 0;
    while at < stream.length() {
        let count = (CHUNK_BYTES + overlap).min(stream.length() - at);
        if mark.find(&stream.bytes(machine, at, count)?).is_some() {
            return Ok(Some(POINTERS));
        }
        at += CHUNK_BYTES;
    }
    Ok(None)
}

/// `(type, length, missing, offset, buffers, children, dictionary)`. The number of items.
fn array(machine: &mut Machine<'_, '_, '_>, data: Value, depth: u8) -> Result<Judged<u64>, Halt> {
    let items = machine.heap.items_of(data).map(<[Value]>::to_vec).unwrap_or_default();
    let [dtype, Value::Int(length), Value::Int(missing), Value::Int(offset), buffers, children, dictionary] = items.as_slice()
    else {
        return Ok(Err(UNKNOWN));
    };
    let Some(layout) = layout(machine, *dtype)? else { return Ok(Err(UNKNOWN)) };
    let (Ok(length), Ok(offset)) = (u64::try_from(*length), u64::try_from(*offset)) else { return Ok(Err(SHORT)) };
    let Some(end) = length.checked_add(offset).filter(|end| *end <= ITEMS_MAX) else { return Ok(Err(SHORT)) };
    let Some(listed) = machine.heap.list_items(*buffers).map(<[Value]>::to_vec) else { return Ok(Err(UNKNOWN)) };
    if !machine.heap.list_items(*children).is_some_and(<[Value]>::is_empty) {
        return Ok(Err(UNKNOWN));
    }
    for value in [data, *buffers, *children] {
        if let Err(problem) = once(machine, value) {
            return Ok(Err(problem));
        }
    }
    let mut read = Vec::new();
    for value in listed {
        match buffer(machine, value)? {
            Ok(buffer) => read.push(buffer),
            Err(problem) => return Ok(Err(problem)),
        }
    }
    let judged = match (layout, read.as_slice(), dictionary) {
        (Layout::Null, [] | [None], Value::None) if *missing == i64::try_from(length).unwrap_or(-1) || *missing == -1 => Ok(()),
        (Layout::Fixed { bits }, [valid, values], Value::None) => {
            let enough = end.checked_mul(bits).is_some_and(|bits| bits.div_ceil(8) <= length_of(values.as_ref()));
            if enough { valid_count(machine, valid.as_ref(), offset, length, *missing)? } else { Err(SHORT) }
        }
        (Layout::Variable { offset_bytes, is_text }, [valid, offsets, values], Value::None) => {
            match valid_count(machine, valid.as_ref(), offset, length, *missing)? {
                Ok(()) => variable(machine, offset_bytes, is_text, [offsets.as_ref(), values.as_ref()], offset, length)?,
                problem => problem,
            }
        }
        (Layout::Dictionary { index_bytes, is_signed }, [valid, indices], Value::Tuple { .. })
            if depth < DICTIONARIES_DEPTH_MAX =>
        {
            if !same_type(machine, *dtype, *dictionary) {
                return Ok(Err(UNKNOWN));
            }
            let count = match array(machine, *dictionary, depth + 1)? {
                Ok(count) => count,
                problem => return Ok(problem),
            };
            match valid_count(machine, valid.as_ref(), offset, length, *missing)? {
                Ok(()) => {
                    let of = Indices { bytes: index_bytes, is_signed, count };
                    of.judge(machine, [valid.as_ref(), indices.as_ref()], offset, length)?
                }
                problem => problem,
            }
        }
        _ => Err(UNKNOWN),
    };
    Ok(judged.map(|()| length))
}

/// A value that is used here, and may be used nowhere else.
fn once(machine: &mut Machine<'_, '_, '_>, value: Value) -> Judged<()> {
    if machine.heap.sharing.is_shared(value) {
        return Err(SHARED);
    }
    machine.heap.sharing.freeze(value);
    Ok(())
}

/// The type that a call of pyarrow's makes.
fn layout(machine: &Machine<'_, '_, '_>, dtype: Value) -> Result<Option<Layout>, Halt> {
    let Value::Object { global, arguments, length } = dtype else { return Ok(None) };
    let items = machine.heap.items(arguments, length);
    let Some(global) = machine.trace.global(global).filter(|global| global.module == "pyarrow.lib") else { return Ok(None) };
    Ok(match (global.name.as_str(), items) {
        ("type_for_alias", [name]) => machine.text_of(*name, NAME_BYTES_MAX)?.and_then(|name| named(&name)),
        ("timestamp", _) => Some(Layout::Fixed { bits: 64 }),
        ("decimal32", _) => Some(Layout::Fixed { bits: 32 }),
        ("decimal64", _) => Some(Layout::Fixed { bits: 64 }),
        ("decimal128", _) => Some(Layout::Fixed { bits: 128 }),
        ("decimal256", _) => Some(Layout::Fixed { bits: 256 }),
        ("binary", [Value::Int(bytes)]) => {
            u64::try_from(*bytes).ok().and_then(|bytes| bytes.checked_mul(8)).map(|bits| Layout::Fixed { bits })
        }
        ("dictionary", [index, _, ..]) => {
            let Value::Object { arguments, length, .. } = *index else { return Ok(None) };
            let [name] = machine.heap.items(arguments, length) else { return Ok(None) };
            let Some(name) = machine.text_of(*name, NAME_BYTES_MAX)? else { return Ok(None) };
            match (name.as_str(), layout(machine, *index)?) {
                ("int8" | "int16" | "int32" | "int64", Some(Layout::Fixed { bits })) => {
                    Some(Layout::Dictionary { index_bytes: bits / 8, is_signed: true })
                }
                ("uint8" | "uint16" | "uint32" | "uint64", Some(Layout::Fixed { bits })) => {
                    Some(Layout::Dictionary { index_bytes: bits / 8, is_signed: false })
                }
                _ => None,
            }
        }
        _ => None,
    })
}

/// The types that pyarrow writes by their names.
fn named(name: &str) -> Option<Layout> {
    let name = name.split_once('[').map_or(name, |(name, _)| name);
    Some(match name {
        "null" => Layout::Null,
        "bool" => Layout::Fixed { bits: 1 },
        "int8" | "uint8" => Layout::Fixed { bits: 8 },
        "int16" | "uint16" | "halffloat" => Layout::Fixed { bits: 16 },
        "int32" | "uint32" | "float" | "date32" | "time32" => Layout::Fixed { bits: 32 },
        "int64" | "uint64" | "double" | "date64" | "time64" | "timestamp" | "duration" => Layout::Fixed { bits: 64 },
        "string" => Layout::Variable { offset_bytes: 4, is_text: true },
        "large_string" => Layout::Variable { offset_bytes: 8, is_text: true },
        "binary" => Layout::Variable { offset_bytes: 4, is_text: false },
        "large_binary" => Layout::Variable { offset_bytes: 8, is_text: false },
        _ => return None,
    })
}

/// Whether the categories are of the type that the array says.
fn same_type(machine: &Machine<'_, '_, '_>, dtype: Value, dictionary: Value) -> bool {
    let Value::Object { arguments, length, .. } = dtype else { return false };
    let (Some(wanted), Some(own)) =
        (machine.heap.items(arguments, length).get(1), machine.heap.items_of(dictionary).and_then(|items| items.first()))
    else {
        return false;
    };
    match (layout(machine, *wanted), layout(machine, *own)) {
        (Ok(Some(wanted)), Ok(Some(own))) => wanted == own,
        _ => false,
    }
}

/// `None`, or `pyarrow.lib.py_buffer(bytes)`.
fn buffer(machine: &mut Machine<'_, '_, '_>, value: Value) -> Result<Judged<Option<Buffer>>, Halt> {
    let Value::Object { global, arguments, length } = value else {
        return Ok(if matches!(value, Value::None) { Ok(None) } else { Err(UNKNOWN) });
    };
    let is_buffer =
        machine.trace.global(global).is_some_and(|global| global.module == "pyarrow.lib" && global.name == "py_buffer");
    let [inner] = machine.heap.items(arguments, length) else { return Ok(Err(UNKNOWN)) };
    let inner = *inner;
    if !is_buffer {
        return Ok(Err(UNKNOWN));
    }
    if let Err(problem) = once(machine, value) {
        return Ok(Err(problem));
    }
    Ok(content(machine, inner)?.map(Some))
}

/// Bytes that are written in the file: as they are, as letters, or copied into a `bytearray`.
fn content(machine: &mut Machine<'_, '_, '_>, value: Value) -> Result<Judged<Buffer>, Halt> {
    if let Err(problem) = once(machine, value) {
        return Ok(Err(problem));
    }
    match value {
        Value::Text { letters: Letters::Bytes | Letters::ByteArray, start, length } => {
            Ok(Ok(Buffer::Written { start, length: u64::from(length) }))
        }
        Value::Object { global, arguments, length } => {
            let items = machine.heap.items(arguments, length).to_vec();
            let is_python =
                |name: &str| machine.trace.global(global).is_some_and(|global| global.is_builtin() && global.name == name);
            match items.as_slice() {
                [] if is_python("bytearray") || is_python("bytes") => Ok(Ok(Buffer::Decoded(Vec::new()))),
                [inner] if is_python("bytearray") => content(machine, *inner),
                [Value::Text { letters, start, length }, _] if machine.trace.mode(global) == Some(Mode::Latin1) => {
                    let bytes = machine.reader.window.bytes(*start, u64::from(*length))?;
                    let bytes = text::decode(*letters, &bytes).and_then(|text| text::to_latin1(&text));
                    Ok(bytes.map(Buffer::Decoded).ok_or(UNKNOWN))
                }
                _ => Ok(Err(UNKNOWN)),
            }
        }
        _ => Ok(Err(UNKNOWN)),
    }
}

fn length_of(buffer: Option<&Buffer>) -> u64 {
    buffer.map_or(0, Buffer::length)
}

/// Whether as many items are missing as is told.
fn valid_count(
    machine: &Machine<'_, '_, '_>,
    valid: Option<&Buffer>,
    offset: u64,
    length: u64,
    missing: i64,
) -> Result<Judged<()>, Halt> {
    let Some(valid) = valid else { return Ok(if missing == 0 || missing == -1 { Ok(()) } else { Err(NULLS) }) };
    if (offset + length).div_ceil(8) > valid.length() {
        return Ok(Err(SHORT));
    }
    let (mut present, mut at) = (0, offset);
    while at < offset + length {
        let count = CHUNK_ITEMS.min(offset + length - at);
        present +=
            bits(&valid.bytes(machine, at / 8, (at % 8 + count).div_ceil(8))?, at % 8, count).filter(|bit| *bit).count() as u64;
        at += count;
    }
    Ok(if missing == -1 || u64::try_from(missing).is_ok_and(|missing| missing + present == length) { Ok(()) } else { Err(NULLS) })
}

/// `count` bits from one on; the lowest of a byte comes first.
fn bits(bytes: &[u8], from: u64, count: u64) -> impl Iterator<Item = bool> {
    (from..from + count)
        .map(|bit| usize::try_from(bit / 8).ok().and_then(|at| bytes.get(at)).is_some_and(|byte| byte >> (bit % 8) & 1 == 1))
}

/// Whether offsets lie in order and in the buffer of the values, and between letters of texts.
fn variable(
    machine: &mut Machine<'_, '_, '_>,
    offset_bytes: u64,
    is_text: bool,
    [offsets, values]: [Option<&Buffer>; 2],
    offset: u64,
    length: u64,
) -> Result<Judged<()>, Halt> {
    if length == 0 && length_of(offsets) == 0 {
        return Ok(Ok(()));
    }
    let Some(offsets) = offsets.filter(|offsets| (offset + length + 1).saturating_mul(offset_bytes) <= offsets.length()) else {
        return Ok(Err(SHORT));
    };
    let (mut at, mut before) = (offset, None);
    while at <= offset + length {
        let count = CHUNK_ITEMS.min(offset + length + 1 - at);
        let bytes = offsets.bytes(machine, at * offset_bytes, count * offset_bytes)?;
        let ends: Vec<u64> = bytes.chunks_exact(offset_bytes as usize).map(whole).collect();
        let first = before.or(ends.first().copied()).unwrap_or(0);
        let ordered = ends.iter().try_fold(first, |before, end| (before <= *end).then_some(*end));
        let Some(last) = ordered.filter(|last| *last <= length_of(values)) else { return Ok(Err(OFFSETS)) };
        if is_text
            && let Some(values) = values
            && let Err(problem) = texts(machine, values, first, &ends)?
        {
            return Ok(Err(problem));
        }
        before = Some(last);
        at += count;
    }
    Ok(Ok(()))
}

/// Whether each value is UTF-8. The values lie one after the other from `first` on and end at `ends`, which are in order.
fn texts(machine: &mut Machine<'_, '_, '_>, values: &Buffer, mut first: u64, ends: &[u64]) -> Result<Judged<()>, Halt> {
    let mut rest = ends;
    while !rest.is_empty() {
        // As many as are read at once, or a long one.
        let count = rest.partition_point(|end| end - first <= CHUNK_BYTES).max(1);
        let (group, after) = rest.split_at(count);
        let last = group.last().copied().unwrap_or(first);
        if last - first > TEXT_BYTES_MAX {
            return Err(Halt::Limit("a text of an array is longer than the scanner follows"));
        }
        let bytes = values.bytes(machine, first, last - first)?;
        let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(Err(TEXT)) };
        if !group.iter().all(|end| usize::try_from(end - first).is_ok_and(|at| text.is_char_boundary(at))) {
            return Ok(Err(TEXT));
        }
        machine.check_texts(text);
        (first, rest) = (last, after);
    }
    Ok(Ok(()))
}

/// A number of 1 to 8 bytes, the lowest first.
fn whole(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Numbers of categories.
struct Indices {
    bytes: u64,
    is_signed: bool,
    /// How many categories there are.
    count: u64,
}

impl Indices {
    /// Whether each item that is not missing is one of the categories.
    fn judge(
        &self,
        machine: &Machine<'_, '_, '_>,
        [valid, indices]: [Option<&Buffer>; 2],
        offset: u64,
        length: u64,
    ) -> Result<Judged<()>, Halt> {
        let enough = (offset + length).checked_mul(self.bytes).is_some_and(|bytes| bytes <= length_of(indices));
        let Some(indices) = indices.filter(|_| enough) else { return Ok(if length == 0 { Ok(()) } else { Err(SHORT) }) };
        let mut at = offset;
        while at < offset + length {
            let count = CHUNK_ITEMS.min(offset + length - at);
            let present = match valid {
                Some(valid) => {
                    let bytes = valid.bytes(machine, at / 8, (at % 8 + count).div_ceil(8))?;
                    bits(&bytes, at % 8, count).collect()
                }
                None => vec![true; usize::try_from(count).unwrap_or(0)],
            };
            let bytes = indices.bytes(machine, at * self.bytes, count * self.bytes)?;
            let inside = bytes.chunks_exact(self.bytes as usize).zip(present).all(|(index, present)| {
                let negative = self.is_signed && index.last().is_some_and(|byte| *byte >= 0x80);
                !present || (!negative && whole(index) < self.count)
            });
            if !inside {
                return Ok(Err(INDICES));
            }
            at += count;
        }
        Ok(Ok(()))
    }
}
