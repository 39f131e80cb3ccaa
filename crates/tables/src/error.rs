//! What can be wrong with the files of a table.

use std::fmt;

use crate::detect::Format;
use crate::limits::RECORD_BYTES_MAX;

/// Why files cannot be read as a table. Each says which file, what is wrong and what can be done.
#[derive(Debug)]
pub enum TableError {
    /// There is nothing to read.
    NoFiles,
    /// A file's name is no plain relative path.
    BadPath {
        /// The name.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The source of the bytes failed, or they end too early.
    Read {
        /// The file.
        file: String,
        /// The source's error.
        source: std::io::Error,
    },
    /// What was to be written could not be handed on.
    Write {
        /// The file.
        file: String,
        /// The taker's error.
        source: std::io::Error,
    },
    /// Neither name nor content tell a format that is read.
    UnknownFormat {
        /// The file.
        file: String,
        /// What it looks like, and what to do.
        reason: String,
    },
    /// A file's name promises another format than its content has.
    FormatsDisagree {
        /// The file.
        file: String,
        /// By its extension.
        named: Format,
        /// By its content.
        found: &'static str,
    },
    /// Two files have different formats.
    MixedFormats {
        /// The first file.
        first: String,
        /// Its format.
        first_format: Format,
        /// The file that differs.
        file: String,
        /// Its format.
        format: Format,
    },
    /// A file, or all of them, hold no table at all.
    Empty {
        /// The file.
        file: String,
    },
    /// A file has other columns than the first one.
    SchemaDiffers {
        /// The first file.
        first: String,
        /// The file that differs.
        file: String,
        /// How.
        difference: String,
    },
    /// A named limit is exceeded.
    Limit {
        /// The file.
        file: String,
        /// What is limited, with its unit.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much there may be.
        max: u64,
        /// What the user can do.
        advice: &'static str,
    },
    /// A CSV record is over the limit, and within a quote when it passes it.
    LongQuote {
        /// The file.
        file: String,
        /// The line where the record begins, from 1 on.
        line: u64,
    },
    /// A quoted CSV field never ends.
    UnclosedQuote {
        /// The file.
        file: String,
        /// The line where its record begins, from 1 on.
        line: u64,
    },
    /// The file is truncated or corrupt.
    Damaged {
        /// The file.
        file: String,
        /// What was found.
        reason: String,
    },
    /// The file is valid, but holds something that is not read.
    Unsupported {
        /// The file.
        file: String,
        /// What.
        what: String,
        /// What the user can do.
        advice: &'static str,
    },
    /// A file says that it has another number of rows than it has.
    RowCount {
        /// The file.
        file: String,
        /// What it, or an earlier read of it, says.
        claimed: u64,
        /// What was read.
        found: u64,
    },
    /// A decoder failed on the file in a way that it should not have: treat the file as hostile.
    Decoder {
        /// The file, if one alone was being read.
        file: String,
        /// The decoder's own words.
        reason: String,
    },
    /// The table has no such partition or column.
    NoSuchPart {
        /// Which.
        what: &'static str,
        /// Its number.
        index: usize,
    },
}

impl TableError {
    pub(crate) fn damaged(file: &str, reason: impl fmt::Display) -> Self {
        Self::Damaged { file: file.to_owned(), reason: reason.to_string().chars().take(500).collect() }
    }

    pub(crate) fn read(file: &str, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::UnexpectedEof {
            return Self::damaged(file, "it ends too early");
        }
        Self::Read { file: file.to_owned(), source }
    }

    pub(crate) fn write(file: &str, source: std::io::Error) -> Self {
        Self::Write { file: file.to_owned(), source }
    }

    pub(crate) fn unsupported(file: &str, what: impl Into<String>, advice: &'static str) -> Self {
        Self::Unsupported { file: file.to_owned(), what: what.into(), advice }
    }

    /// Refuses `found` over `max`.
    pub(crate) fn limit(file: &str, what: &'static str, found: u64, max: u64, advice: &'static str) -> Result<(), Self> {
        if found <= max {
            return Ok(());
        }
        Err(Self::Limit { file: file.to_owned(), what, found, max, advice })
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFiles => write!(formatter, "there are no files to read: name at least one"),
            Self::BadPath { path, reason } => {
                write!(
                    formatter,
                    "the file name `{}` is refused: {reason}; name files relative to the data set",
                    path.escape_debug()
                )
            }
            Self::Read { file, .. } => write!(formatter, "`{file}` could not be read: try again, and look into the server's log"),
            Self::Write { file, source } => write!(formatter, "`{file}` could not be written: {source}"),
            Self::UnknownFormat { file, reason } => write!(formatter, "the format of `{file}` is not known: {reason}"),
            Self::FormatsDisagree { file, named, found } => {
                write!(formatter, "`{file}` is named as {named} but its content is {found}: rename it, or write it again")
            }
            Self::MixedFormats { first, first_format, file, format } => write!(
                formatter,
                "`{first}` is {first_format} but `{file}` is {format}: a table has one format, so commit them as two data sets"
            ),
            Self::Empty { file } => write!(formatter, "`{file}` is empty: it has no columns to read"),
            Self::SchemaDiffers { first, file, difference } => {
                write!(formatter, "`{file}` has other columns than `{first}`: {difference}; write both with one schema")
            }
            Self::Limit { file, what, found, max, advice } => {
                write!(formatter, "`{file}` exceeds a limit: {found} {what}, at most {max}; {advice}")
            }
            Self::LongQuote { file, line } => write!(
                formatter,
                "`{file}` exceeds a limit: more than {RECORD_BYTES_MAX} bytes in the record at line {line}, which opens a quote; close it, or store long texts as Parquet"
            ),
            Self::UnclosedQuote { file, line } => write!(
                formatter,
                "`{file}` opens a quote in the record at line {line} that never ends: close it, or name the right quote character"
            ),
            Self::Damaged { file, reason } => write!(formatter, "`{file}` is damaged: {reason}; write it again from its source"),
            Self::Unsupported { file, what, advice } => write!(formatter, "`{file}` holds {what}, which is not read: {advice}"),
            Self::RowCount { file, claimed, found } => {
                write!(formatter, "`{file}` says it has {claimed} rows but {found} were read: it is damaged or was changed")
            }
            Self::Decoder { file, reason } => {
                write!(formatter, "the decoder failed on `{file}` ({reason}): do not use it before you know where it comes from")
            }
            Self::NoSuchPart { what, index } => write!(formatter, "the table has no {what} {index}"),
        }
    }
}

impl std::error::Error for TableError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => Some(source),
            _ => None,
        }
    }
}
