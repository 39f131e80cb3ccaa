//! NumPy arrays with fewer rows: the header says so, the items stay as they were.

use std::io::Write;
use std::sync::Arc;

use flate2::Crc;

use super::copy::BLOCK_BYTES;
use super::{Cut, Out};
use crate::error::TableError;
use crate::npy::header::{Header, header_length, parse_header};
use crate::npy::read::Stream;
use crate::npy::{Place, array, zip};
use crate::source::DataFile;

/// An archive without the long form has at most so many bytes.
const ARCHIVE_BYTES_MAX: u64 = u32::MAX as u64;

/// Writes an .npy file, or an .npz archive, whose members are then stored uncompressed.
pub(crate) fn write(file: &DataFile, cut: &Cut<'_>, out: Out<'_>) -> Result<(), TableError> {
    let mut magic = [0_u8; 4];
    file.bytes.read_at(0, &mut magic).map_err(|source| TableError::read(&file.path, source))?;
    if &magic != b"PK\x03\x04" {
        let place = Place::Plain { bytes: Arc::clone(&file.bytes), at: 0 };
        return Member { name: "value".to_owned(), place, size_bytes: file.bytes.size_bytes() }.write(file, cut, out);
    }
    let mut members = Vec::new();
    for member in zip::members(&file.bytes).map_err(|reason| TableError::damaged(&file.path, reason))? {
        let (name, size_bytes, bytes) = (member.name.clone(), member.full_bytes, Arc::clone(&file.bytes));
        let at = member.data_at;
        let place = if member.deflated { Place::Deflated { bytes, member, skip: 0 } } else { Place::Plain { bytes, at } };
        members.push(Member { name, place, size_bytes });
    }
    archive(file, cut, &members, out)
}

/// One array and where its header begins.
struct Member {
    name: String,
    place: Place,
    size_bytes: u64,
}

impl Member {
    fn write(&self, file: &DataFile, cut: &Cut<'_>, out: Out<'_>) -> Result<(), TableError> {
        let mut place = self.place.clone();
        let layout = array(file, &self.name, &mut place, self.size_bytes)?;
        let damaged = |reason: String| TableError::damaged(&file.path, reason);
        let mut stream = Stream::new(&self.place);
        let mut head = stream.take(&file.path, 12)?;
        let rest = header_length(&head).map_err(damaged)?.saturating_sub(12);
        head.extend(stream.take(&file.path, rest)?);
        let header = parse_header(&head).map_err(damaged)?;
        let rows = cut.rows.end - cut.rows.start;
        if header.shape.first() != Some(&rows) {
            return Err(TableError::RowCount { file: file.path.clone(), claimed: layout.rows, found: rows });
        }
        put(out, &with_rows(file, &head, &header, cut.kept())?, file)?;
        let item_bytes: u64 = header.fields.iter().map(|(_, item)| item.bytes() as u64).sum();
        // In Fortran order all rows of one column stand together, else all columns of one row.
        let (runs, step) =
            if layout.fortran { (header.shape.get(1).copied().unwrap_or(1), item_bytes) } else { (1, layout.row_bytes as u64) };
        for _ in 0..runs {
            let mut row = cut.rows.start;
            for dropped in cut.dropped.inside(&cut.rows) {
                pass(&mut stream, (dropped.start - row).saturating_mul(step), Some(&mut *out), file)?;
                pass(&mut stream, (dropped.end - dropped.start).saturating_mul(step), None, file)?;
                row = dropped.end;
            }
            pass(&mut stream, (cut.rows.end - row).saturating_mul(step), Some(&mut *out), file)?;
        }
        Ok(())
    }
}

/// Takes so many bytes, and hands them on where there is somebody to take them.
fn pass(stream: &mut Stream, bytes: u64, mut out: Option<Out<'_>>, file: &DataFile) -> Result<(), TableError> {
    let mut left = bytes;
    while left > 0 {
        let count = left.min(BLOCK_BYTES);
        let block = stream.take(&file.path, usize::try_from(count).unwrap_or(0))?;
        if let Some(out) = &mut out {
            put(*out, &block, file)?;
        }
        left -= count;
    }
    Ok(())
}

fn put(out: Out<'_>, bytes: &[u8], file: &DataFile) -> Result<(), TableError> {
    out.write_all(bytes).map_err(|source| TableError::write(&file.path, source))
}

/// The header with another number of rows, of the same length: its padding takes up what the number gives.
fn with_rows(file: &DataFile, head: &[u8], header: &Header, rows: u64) -> Result<Vec<u8>, TableError> {
    let unsupported =
        || TableError::unsupported(&file.path, "a header that cannot be written again", "save the array with a current NumPy");
    const KEY: &[u8] = b"'shape': (";
    let at = head.windows(KEY.len()).rposition(|window| window == KEY).ok_or_else(unsupported)? + KEY.len();
    let (before, rest) = head.split_at_checked(at).ok_or_else(unsupported)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = rows.to_string();
    let padding = digits.checked_sub(number.len()).ok_or_else(unsupported)?;
    let (tail, end) =
        rest.get(digits..).and_then(|tail| tail.split_last()).map(|(end, tail)| (tail, *end)).ok_or_else(unsupported)?;
    let mut written = before.to_vec();
    written.extend_from_slice(number.as_bytes());
    written.extend_from_slice(tail);
    written.extend(std::iter::repeat_n(b' ', padding));
    written.push(end);
    // What was written is read again: a field's name may look like a shape.
    let read = parse_header(&written).map_err(|_| unsupported())?;
    let mut wanted = header.shape.clone();
    wanted.iter_mut().take(1).for_each(|first| *first = rows);
    if read.shape != wanted || read.fields != header.fields || read.data_at != header.data_at {
        return Err(unsupported());
    }
    Ok(written)
}

/// Counts and checks what is written.
#[derive(Default)]
struct Measure {
    bytes: u64,
    sum: Crc,
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.sum.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes a zip archive (APPNOTE 6.3.3, without the long form) of stored members. Each is gone through twice, because its
/// checksum stands before it.
fn archive(file: &DataFile, cut: &Cut<'_>, members: &[Member], out: Out<'_>) -> Result<(), TableError> {
    let long = || TableError::unsupported(&file.path, "more than 4 GiB in one archive", "save its arrays as .npy files");
    let (mut directory, mut at) = (Vec::new(), 0_u64);
    for member in members {
        let mut measure = Measure::default();
        member.write(file, cut, &mut measure)?;
        let size = u32::try_from(measure.bytes).map_err(|_| long())?;
        let name = u16::try_from(member.name.len()).map_err(|_| long())?;
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        common.extend(measure.sum.sum().to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend(name.to_le_bytes());
        common.extend([0, 0]);
        let local = [b"PK\x03\x04".as_slice(), &common, member.name.as_bytes()].concat();
        let offset = u32::try_from(at).map_err(|_| long())?;
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(member.name.as_bytes());
        at = at.saturating_add(local.len() as u64).saturating_add(measure.bytes);
        put(out, &local, file)?;
        member.write(file, cut, out)?;
    }
    if at.saturating_add(directory.len() as u64) > ARCHIVE_BYTES_MAX {
        return Err(long());
    }
    let count = u16::try_from(members.len()).map_err(|_| long())?.to_le_bytes();
    let length = u32::try_from(directory.len()).map_err(|_| long())?;
    let offset = u32::try_from(at).map_err(|_| long())?;
    directory.extend(b"PK\x05\x06\0\0\0\0");
    directory.extend([count, count].concat());
    directory.extend(length.to_le_bytes());
    directory.extend(offset.to_le_bytes());
    directory.extend([0, 0]);
    put(out, &directory, file)
}
