//! Why a query gave no answer.

use std::fmt;

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use tables::TableError;

/// Bytes of a reason.
const WHY_BYTES_MAX: usize = 1_000;

/// Why a query gave no answer.
#[derive(Debug)]
pub(crate) enum QueryError {
    /// It is not run; why.
    Refused(String),
    /// It cannot be understood; the engine's words about its text and the tables' columns.
    Plan(String),
    /// A file cannot be read.
    Read(String),
    /// It would hold more than this many bytes.
    Memory(u64),
    /// It took longer than this many seconds.
    Time(u64),
    /// A value is not what the query takes it for; which kind of fault, then the engine's words, which may hold the value.
    Value(&'static str, String),
    /// It failed; the engine's words, which may hold values.
    Run(String),
}

impl QueryError {
    /// What the engine says before any row is read.
    pub(crate) fn planning(error: &DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::Internal(_) => Self::Refused("the query engine cannot plan this; write it differently".to_owned()),
            _ => Self::Plan(clean(&error.strip_backtrace())),
        }
    }

    /// What the engine says while it reads rows.
    pub(crate) fn running(error: &DataFusionError, memory_bytes_max: u64) -> Self {
        let words = || clean(&error.strip_backtrace());
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Memory(memory_bytes_max),
            DataFusionError::External(cause) => match cause.downcast_ref::<TableError>() {
                Some(cause) => Self::Read(clean(&cause.to_string())),
                None => Self::Run(words()),
            },
            DataFusionError::ArrowError(cause, _) => match cause.as_ref() {
                ArrowError::DivideByZero => Self::Value("something is divided by zero; use NULLIF", words()),
                ArrowError::ArithmeticOverflow(_) => Self::Value("a number grows too large; cast to DOUBLE", words()),
                ArrowError::CastError(_) | ArrowError::ParseError(_) => {
                    Self::Value("a value cannot be converted; use TRY_CAST", words())
                }
                ArrowError::MemoryError(_) | ArrowError::OffsetOverflowError(_) => Self::Memory(memory_bytes_max),
                _ => Self::Run(words()),
            },
            _ => Self::Run(words()),
        }
    }

    /// The reason without the engine's words about values.
    pub(crate) fn without_values(&self) -> String {
        match self {
            Self::Value(kind, _) => (*kind).to_owned(),
            Self::Run(_) => "it failed while it ran; `strongroom-query sql` on the files says more".to_owned(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Plan(why) | Self::Read(why) | Self::Run(why) => f.write_str(why),
            Self::Value(kind, words) => write!(f, "{kind} ({words})"),
            Self::Memory(bytes) => write!(
                f,
                "it would hold more than {bytes} bytes in groups, sorts or joins; ask for less, or raise the limit of memory"
            ),
            Self::Time(seconds) => write!(f, "it was stopped after {seconds} s; ask for less, or raise the limit of time"),
        }
    }
}

impl std::error::Error for QueryError {}

/// One line of bounded length.
fn clean(text: &str) -> String {
    let mut line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    line.truncate(line.floor_char_boundary(WHY_BYTES_MAX));
    line
}
