//! The operator's own lists, read at the start.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use kernel::Problem;
use rba::leaked::Leaked;
use rba::networks::{FILE_BYTES_MAX, Networks};

const BUFFER_BYTES: usize = 1 << 20;

fn opened(path: &Path) -> Result<File, Problem> {
    File::open(path).map_err(|error| unreadable(path, &error.to_string()))
}

fn unreadable(path: &Path, why: &str) -> Problem {
    Problem::invalid(format!("`{}` cannot be used: {why}", path.display()))
}

/// A list of networks; an empty one where no file is named.
///
/// # Errors
/// `Invalid`, naming the file and its line.
pub(crate) fn networks(path: Option<&Path>) -> Result<Networks, Problem> {
    let Some(path) = path else { return Ok(Networks::default()) };
    let mut text = String::new();
    let read = opened(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| unreadable(path, &error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(unreadable(path, &format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Networks::parse(&text).map_err(|why| unreadable(path, &why))
}

/// A filter of leaked passwords; none where no file is named. The lines are counted first, so that the filter has its size.
///
/// # Errors
/// `Invalid`, naming the file.
pub(crate) fn leaked(path: Option<&Path>) -> Result<Option<Leaked>, Problem> {
    let Some(path) = path else { return Ok(None) };
    let line_count = count_lines(opened(path)?).map_err(|error| unreadable(path, &error.to_string()))?;
    let from = BufReader::with_capacity(BUFFER_BYTES, opened(path)?);
    Leaked::read(from, line_count).map(Some).map_err(|why| unreadable(path, &why))
}

fn count_lines(file: File) -> std::io::Result<u64> {
    let mut from = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut count = 1;
    loop {
        let bytes = from.fill_buf()?;
        let length = bytes.len();
        if length == 0 {
            return Ok(count);
        }
        count += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        // A line that is too long is cut, and each piece is one of its own.
        count += length as u64 / rba::leaked::LINE_BYTES_MAX;
        from.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn lists_are_read_and_wrong_ones_named() {
        assert_eq!(networks(None).unwrap().count(), 0);
        assert!(leaked(None).unwrap().is_none());
        assert_eq!(networks(Some(file("192.0.2.1\nAS64500\n").path())).unwrap().count(), 2);
        let wrong = file("192.0.2.1\nnonsense\n");
        let problem = networks(Some(wrong.path())).unwrap_err();
        assert!(problem.message().contains("line 2") && problem.message().contains(&wrong.path().display().to_string()));
        assert!(networks(Some(Path::new("/nowhere/at/all"))).is_err());
        let list = leaked(Some(file("123456\nletmein").path())).unwrap().unwrap();
        assert!(list.contains(b"letmein") && list.contains(b"123456") && !list.contains(b"a good one"));
    }

    #[test]
    fn a_line_of_megabytes_is_read_in_pieces() {
        let list = leaked(Some(file(&format!("{}\nletmein\n", "x".repeat(3_000_000))).path())).unwrap().unwrap();
        assert!(list.contains(b"letmein"));
    }
}
