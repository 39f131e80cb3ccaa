//! Leaving rows out of CSV and JSON lines, byte by byte: what is kept is kept exactly as it was. This runs where the command
//! runs, on data that its caller may read; the server never parses a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use kernel::Problem;

/// Rows, as rising ranges that do not touch, each from its first row to its last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows(Vec<(u64, u64)>);

impl FromStr for Rows {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let bad = || Problem::invalid("rows are numbers and ranges joined by commas, such as `17,40-42`");
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
            let (first, last): (u64, u64) = (first.trim().parse().map_err(|_| bad())?, last.trim().parse().map_err(|_| bad())?);
            if last < first {
                return Err(bad());
            }
            ranges.push((first, last));
        }
        ranges.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (first, last) in ranges {
            match joined.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
                _ => joined.push((first, last)),
            }
        }
        Ok(Self(joined))
    }
}

impl Rows {
    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Begins to leave them out, over files in the order of their paths.
    #[must_use]
    pub fn filter(&self) -> Filter {
        Filter { rows: self.0.clone(), at: 0, next: 0 }
    }
}

/// Where the leaving out is.
pub struct Filter {
    rows: Vec<(u64, u64)>,
    /// The first range that may still come.
    at: usize,
    /// The number of the next row.
    next: u64,
}

impl Filter {
    /// Begins a file.
    ///
    /// # Errors
    /// `Invalid` for a format whose rows this program does not tell apart.
    pub fn file(self, name: &str, to: &Path) -> Result<Cut, Problem> {
        let lower = name.to_ascii_lowercase();
        let has = |ends: &[&str]| ends.iter().any(|end| lower.ends_with(end));
        let (quotes, header) = match lower.as_str() {
            _ if has(&[".csv", ".tsv"]) => (true, true),
            _ if has(&[".jsonl", ".ndjson"]) => (false, false),
            _ => {
                return Err(Problem::invalid(format!(
                    "rows of `{name}` are not left out by this command, only those of .csv, .tsv, .jsonl and .ndjson; write the files \
                     without them and commit them with --parent"
                )));
            }
        };
        let out = File::create(to).map_err(unwritable)?;
        Ok(Cut { filter: self, out: BufWriter::new(out), quotes, header, in_quotes: false, record: Record::Before })
    }

    /// All rows were there.
    ///
    /// # Errors
    /// `Invalid` if one was not.
    pub fn check(&self) -> Result<(), Problem> {
        match self.rows.last() {
            Some((_, last)) if *last >= self.next => {
                Err(Problem::invalid(format!("there is no row {last}; the version has {} rows, numbered from 0", self.next)))
            }
            _ => Ok(()),
        }
    }

    /// Whether the next row is left out.
    fn drops_next(&mut self) -> bool {
        let row = self.next;
        self.next = self.next.saturating_add(1);
        while let Some((first, last)) = self.rows.get(self.at) {
            if row > *last {
                self.at += 1;
                continue;
            }
            return row >= *first;
        }
        false
    }
}

/// Where a file is in a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Record {
    /// Between records. Empty lines are no rows.
    Before,
    /// In one that is kept.
    Kept,
    /// In one that is left out.
    Dropped,
}

/// One file on its way through.
pub struct Cut {
    filter: Filter,
    out: BufWriter<File>,
    quotes: bool,
    /// The next record is the header.
    header: bool,
    in_quotes: bool,
    record: Record,
}

impl Cut {
    /// The next bytes of the file.
    ///
    /// # Errors
    /// `Unavailable` if what is kept cannot be written.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let mut kept = Vec::with_capacity(bytes.len());
        for byte in bytes {
            let ends_line = matches!(byte, b'\n' | b'\r');
            if self.record == Record::Before && !ends_line {
                let drops = !std::mem::take(&mut self.header) && self.filter.drops_next();
                self.record = if drops { Record::Dropped } else { Record::Kept };
            }
            if self.record != Record::Dropped {
                kept.push(*byte);
            }
            if self.quotes && *byte == b'"' {
                self.in_quotes = !self.in_quotes;
            }
            if *byte == b'\n' && !self.in_quotes {
                self.record = Record::Before;
            }
        }
        self.out.write_all(&kept).map_err(unwritable)
    }

    /// The file is whole.
    ///
    /// # Errors
    /// As [`Cut::take`].
    pub fn end(mut self) -> Result<Filter, Problem> {
        self.out.flush().map_err(unwritable)?;
        Ok(self.filter)
    }
}

fn unwritable(error: std::io::Error) -> Problem {
    Problem::unavailable(format!("a file without rows cannot be written to the temporary folder: {error}")).because(error)
}

/// A folder of this command's own, gone when it ends.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one that nobody else may read.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be made.
    pub fn make() -> Result<Self, Problem> {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(format!("strongroom-{}", kernel::random_id()));
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(unwritable)?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of files when rows are left out.
    fn check(rows: &str, files: &[(&str, &str)], expected: &[&str]) {
        let scratch = Scratch::make().unwrap();
        let mut filter = rows.parse::<Rows>().unwrap().filter();
        for ((name, text), wanted) in files.iter().zip(expected) {
            let to = scratch.path().join("f");
            let mut cut = filter.file(name, &to).unwrap();
            // One byte at a time, so that no border matters.
            text.as_bytes().chunks(1).for_each(|byte| cut.take(byte).unwrap());
            filter = cut.end().unwrap();
            assert_eq!(std::fs::read_to_string(&to).unwrap(), *wanted, "{name} without {rows}");
        }
        filter.check().unwrap();
    }

    #[test]
    fn rows_are_left_out_and_the_rest_stays_as_it_was() {
        check("1", &[("a.csv", "x,y\r\n1,2\r\n3,4\r\n5,6")], &["x,y\r\n1,2\r\n5,6"]);
        check("0,2-3", &[("a.csv", "x\n1\n2\n"), ("b.csv", "x\n3\n4\n5\n")], &["x\n2\n", "x\n5\n"]);
        check("0", &[("a.csv", "x,y\n\"a\nb\"\"\",2\n3,4\n")], &["x,y\n3,4\n"]);
        check("1", &[("a.jsonl", "{\"a\":\"\\\"\"}\n\n{\"a\":2}\n{\"a\":3}\n")], &["{\"a\":\"\\\"\"}\n\n{\"a\":3}\n"]);
    }

    #[test]
    fn rows_that_are_not_there_are_an_error() {
        assert_eq!("3,1-2,9".parse::<Rows>().unwrap().ranges(), [(1, 3), (9, 9)]);
        for bad in ["", "a", "2-1", "1,", "-1"] {
            assert!(bad.parse::<Rows>().is_err(), "{bad}");
        }
        let scratch = Scratch::make().unwrap();
        let filter = "5".parse::<Rows>().unwrap().filter();
        let mut cut = filter.file("a.csv", &scratch.path().join("f")).unwrap();
        cut.take(b"x\n1\n").unwrap();
        assert!(cut.end().unwrap().check().is_err());
        assert!("0".parse::<Rows>().unwrap().filter().file("a.parquet", &scratch.path().join("f")).is_err());
    }
}
