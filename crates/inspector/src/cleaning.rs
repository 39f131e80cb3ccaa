//! Files are written again without chosen rows, for the server to keep as another version.

use std::io::{self, Write};

use inspection::frame::{FromWorker, Output, READ_BYTES_MAX};
use inspection::{CleanCount, CleanSpec, JobSpec};
use tables::{DataFile, Format, RowRanges, Table};

use crate::news::News;
use sandbox::say;

/// Bytes that are sent at once.
const WRITE_BYTES: usize = READ_BYTES_MAX as usize;

/// Writes `files` again without the rows of `clean`. Files that lose none stay as they are.
///
/// # Errors
/// Why it cannot be done, for people.
pub(crate) fn run(job: &JobSpec, clean: &CleanSpec, files: Vec<DataFile>, news: &dyn News) -> Result<CleanCount, String> {
    let dropped = RowRanges::new(clean.rows.clone());
    if dropped.ranges() != clean.rows {
        return Err("ranges of rows rise and do not touch".to_owned());
    }
    news.progress("open", 0, None);
    let count = files.len();
    let table = Table::open(files, &sandbox::read_options(job.csv)).map_err(|error| error.to_string())?;
    let row_count = table.row_count();
    if row_count > job.limits.row_count_max {
        return Err(format!("{row_count} rows are more than {}; split the data", job.limits.row_count_max));
    }
    if let Some(last) = dropped.last().filter(|last| *last >= row_count) {
        return Err(format!("there is no row {last}; the version has {row_count} rows, numbered from 0"));
    }
    if dropped.count() == row_count {
        return Err("no row would be left; refuse the version instead".to_owned());
    }
    for file in 0..count {
        news.progress("write", file as u64, Some(count as u64));
        one(&table, file, &dropped)?;
    }
    Ok(CleanCount { row_count, removed_count: dropped.count() })
}

fn one(table: &Table, file: usize, dropped: &RowRanges) -> Result<(), String> {
    let index = u32::try_from(file).map_err(|error| error.to_string())?;
    let rows = table.rows_of_file(file);
    let gone = dropped.count_within(&rows);
    if gone == 0 {
        return tell(&FromWorker::Output(Output::Keep(index)));
    }
    // An image is a row; lines without a row are no file that could be read. Other formats keep their columns.
    let whole = gone == rows.end.saturating_sub(rows.start);
    if table.format() == Format::Images || (whole && table.format() == Format::JsonLines) {
        return Ok(());
    }
    tell(&FromWorker::Output(Output::Begin(index)))?;
    let mut sender = Sender { held: Vec::with_capacity(WRITE_BYTES) };
    table.write_without(file, dropped, &mut sender).map_err(|error| error.to_string())?;
    sender.send().map_err(|error| error.to_string())?;
    tell(&FromWorker::Output(Output::End))
}

fn tell(frame: &FromWorker) -> Result<(), String> {
    say(frame).map_err(|error| error.to_string())
}

/// Sends what is written, in large pieces.
struct Sender {
    held: Vec<u8>,
}

impl Sender {
    fn send(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::replace(&mut self.held, Vec::with_capacity(WRITE_BYTES));
        say(&FromWorker::Write(bytes)).map_err(io::Error::other)
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = WRITE_BYTES.saturating_sub(self.held.len());
        let (now, _) = bytes.split_at(bytes.len().min(room));
        self.held.extend_from_slice(now);
        if self.held.len() >= WRITE_BYTES {
            self.send()?;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
