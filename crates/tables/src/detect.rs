//! Which format a file has, by its content and its name; they must agree.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::TableError;

/// Bytes at the beginning of a file that [`detect`] looks at.
pub const HEAD_BYTES: usize = 4096;

/// A format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values, and their kin with other delimiters.
    Csv,
    /// A JSON object per line, an array of objects, or a table whose columns are named before its rows.
    JsonLines,
    /// Arrow IPC, as a file (Feather 2) or a stream.
    ArrowIpc,
    /// A NumPy array, or an .npz archive of some.
    Npy,
    /// PNG and JPEG files; the folder that holds one names its class.
    Images,
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Parquet => "Parquet",
            Self::Csv => "CSV",
            Self::JsonLines => "JSON lines",
            Self::ArrowIpc => "Arrow IPC",
            Self::Npy => "NumPy",
            Self::Images => "an image",
        })
    }
}

/// What a file's first bytes show. Only binary formats show surely what they are.
#[derive(Clone, Copy, PartialEq)]
enum Content {
    Sure(Format, &'static str),
    Refused(&'static str, &'static str),
    Object,
    Text,
    Binary,
}

const KNOWN_NAMES: &str = "use .parquet, .csv, .tsv, .txt, .data, .jsonl, .ndjson, .json, .arrow, .arrows, .feather, .ipc, .npy, .npz, .png, .jpg or .jpeg";

/// The format of the file `path` that begins with `head` ([`HEAD_BYTES`], or the whole file if it is shorter).
///
/// # Errors
/// `FormatsDisagree` if name and content are of different formats; `UnknownFormat` if neither tells one that is read.
pub fn detect(path: &str, head: &[u8]) -> Result<Format, TableError> {
    let unknown = |reason: String| TableError::UnknownFormat { file: path.to_owned(), reason };
    let named = by_name(path);
    let content = by_content(head);
    let found = match content {
        Content::Refused(what, advice) => return Err(unknown(format!("it is {what}; {advice}"))),
        Content::Sure(format, what) => {
            return match named {
                Some(named) if named != format => Err(TableError::FormatsDisagree { file: path.to_owned(), named, found: what }),
                _ => Ok(format),
            };
        }
        Content::Object => "JSON",
        Content::Text => "text",
        Content::Binary => "binary data",
    };
    let fits = match named {
        None => return Err(unknown(format!("its content is {found} and its name has no known ending; {KNOWN_NAMES}"))),
        Some(Format::Csv) => content == Content::Text,
        Some(Format::JsonLines) => content == Content::Object || head.is_empty(),
        Some(_) => head.is_empty(),
    };
    match named {
        Some(named) if !fits => Err(TableError::FormatsDisagree { file: path.to_owned(), named, found }),
        Some(named) => Ok(named),
        None => Err(unknown(KNOWN_NAMES.to_owned())),
    }
}

fn by_name(path: &str) -> Option<Format> {
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "parquet" | "pq" => Format::Parquet,
        "csv" | "tsv" | "tab" | "txt" | "data" => Format::Csv,
        "jsonl" | "ndjson" | "json" => Format::JsonLines,
        "arrow" | "arrows" | "feather" | "ipc" => Format::ArrowIpc,
        "npy" | "npz" => Format::Npy,
        "png" | "jpg" | "jpeg" => Format::Images,
        _ => return None,
    })
}

fn by_content(head: &[u8]) -> Content {
    const SURE: [(&[u8], Format, &str); 7] = [
        (b"PAR1", Format::Parquet, "Parquet"),
        (b"ARROW1\0\0", Format::ArrowIpc, "an Arrow file"),
        (b"\xff\xff\xff\xff", Format::ArrowIpc, "an Arrow stream"),
        (b"\x93NUMPY", Format::Npy, "a NumPy array"),
        (b"PK\x03\x04", Format::Npy, "a zip archive"),
        (b"\x89PNG\r\n\x1a\n", Format::Images, "a PNG image"),
        (b"\xff\xd8\xff", Format::Images, "a JPEG image"),
    ];
    const REFUSED: [(&[u8], &str, &str); 12] = [
        (b"PARE", "Parquet with an encrypted footer", "decrypt it first: what cannot be read cannot be inspected"),
        (b"FEA1", "a Feather file of version 1", "write it again with pyarrow.feather.write_feather(…, version=2)"),
        (b"PK\x05\x06", "an empty zip archive", "it has nothing to read"),
        (b"\x1f\x8b", "compressed by gzip", "decompress it first"),
        (b"\x28\xb5\x2f\xfd", "compressed by zstd", "decompress it first"),
        (b"GIF8", "a GIF image", "convert it to PNG"),
        (b"\xff\xfe\0\0", "text in UTF-32", "write it again in UTF-8"),
        (b"\0\0\xfe\xff", "text in UTF-32", "write it again in UTF-8"),
        (b"\xff\xfe", "text in UTF-16", "write it again in UTF-8"),
        (b"\xfe\xff", "text in UTF-16", "write it again in UTF-8"),
        (b"\x80\x04\x95", "a Python pickle", "it can run code when it is read: save the data as Parquet"),
        (b"\x89HDF", "an HDF5 file", "save its tables as Parquet and its arrays as .npy"),
    ];
    if let Some((_, format, what)) = SURE.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return Content::Sure(*format, what);
    }
    if let Some((_, what, advice)) = REFUSED.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return Content::Refused(what, advice);
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if text.first() == Some(&b'[') && text.get(1..).is_some_and(|rest| rest.trim_ascii_start().first() == Some(&b'{')) {
        return Content::Object;
    }
    if text.first() == Some(&b'{')
        && text.get(1..).is_some_and(|rest| matches!(rest.trim_ascii_start().first(), Some(b'"' | b'}')))
    {
        return Content::Object;
    }
    // A NUL byte now and then is a bad row; many are no text.
    if head.iter().filter(|byte| **byte == 0).count() * 10 > head.len() { Content::Binary } else { Content::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, head: &[u8], expected: Result<Format, &str>) {
        match (detect(path, head), expected) {
            (Ok(format), Ok(expected)) => assert_eq!(format, expected, "{path}"),
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected, "{path}"),
            (found, expected) => panic!("{path}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn name_and_content_agree() {
        check("a/b.parquet", b"PAR1....", Ok(Format::Parquet));
        check("part-0000", b"PAR1....", Ok(Format::Parquet));
        check("a.CSV", b"a,b\n1,2\n", Ok(Format::Csv));
        check("a.csv", b"", Ok(Format::Csv));
        check("adult.data", b"39, State-gov\n", Ok(Format::Csv));
        check("a.jsonl", b"\xef\xbb\xbf {\"a\":1}", Ok(Format::JsonLines));
        check("a.json", b"[\n{", Ok(Format::JsonLines));
        check("a.feather", b"ARROW1\0\0", Ok(Format::ArrowIpc));
        check("a.npz", b"PK\x03\x04", Ok(Format::Npy));
        check("a.jpg", b"\xff\xd8\xff\xe0", Ok(Format::Images));
        check("a.csv", b"a,b\n\0,1\nlonger,text\n", Ok(Format::Csv));
    }

    #[test]
    fn disagreement_says_so() {
        let parquet_in_csv = "`a.csv` is named as CSV but its content is Parquet: rename it, or write it again";
        check("a.csv", b"PAR1", Err(parquet_in_csv));
        check(
            "a.parquet",
            b"a,b\n",
            Err("`a.parquet` is named as Parquet but its content is text: rename it, or write it again"),
        );
        check("a.csv", b"{\"a\":1}\n", Err("`a.csv` is named as CSV but its content is JSON: rename it, or write it again"));
        check("a.jsonl", b"a,b\n", Err("`a.jsonl` is named as JSON lines but its content is text: rename it, or write it again"));
        check("a.png", b"a,b", Err("`a.png` is named as an image but its content is text: rename it, or write it again"));
    }

    #[test]
    fn what_is_not_read_is_named() {
        check("a.csv", b"\xff\xfea\0", Err("the format of `a.csv` is not known: it is text in UTF-16; write it again in UTF-8"));
        let wide = "the format of `a.csv` is not known: it is text in UTF-32; write it again in UTF-8";
        check("a.csv", b"\xff\xfe\0\0a\0\0\0", Err(wide));
        check("a.csv", b"\0\0\xfe\xff\0\0\0a", Err(wide));
        check(
            "a.pkl",
            b"\x80\x04\x95",
            Err(
                "the format of `a.pkl` is not known: it is a Python pickle; it can run code when it is read: save the data as Parquet",
            ),
        );
        assert!(detect("README.md", b"# hello").unwrap_err().to_string().contains("its name has no known ending"));
    }
}
