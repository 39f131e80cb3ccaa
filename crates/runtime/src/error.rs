//! Why a model is not loaded, and why a batch gets no prediction.

use std::fmt;

/// Why a model is not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The files hold no model of a known format.
    NoModel,
    /// The format is known, but this part of it is not implemented. Nothing is guessed.
    Unsupported(String),
    /// The file contradicts itself or its format.
    Invalid(String),
    /// A limit is exceeded.
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// A file could not be read.
    Unreadable(String),
}

/// Why a batch gets no prediction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PredictError {
    /// The batch does not fit the model's signature.
    Input(String),
    /// A limit is exceeded.
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// The model's parts do not fit together for this batch.
    Model(String),
}

impl LoadError {
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid(what.into())
    }
}

impl PredictError {
    pub(crate) fn input(what: impl Into<String>) -> Self {
        Self::Input(what.into())
    }

    pub(crate) fn model(what: impl Into<String>) -> Self {
        Self::Model(what.into())
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModel => out.write_str(
                "no model found that can be served natively: save it as ONNX, XGBoost JSON or UBJ, LightGBM text or skops",
            ),
            Self::Unsupported(what) => {
                write!(out, "{what} is not supported by the native runtime: export the model to ONNX or serve it in a worker")
            }
            Self::Invalid(what) => write!(out, "the model is broken: {what}; save it again"),
            Self::TooLarge { what, limit } => write!(out, "the model has more {what} than the limit of {limit}"),
            Self::Unreadable(what) => write!(out, "cannot read {what}"),
        }
    }
}

impl fmt::Display for PredictError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(what) => write!(out, "the input does not fit the model: {what}"),
            Self::TooLarge { what, limit } => write!(out, "{what} exceed the limit of {limit}: send fewer rows"),
            Self::Model(what) => write!(out, "the model cannot be evaluated: {what}"),
        }
    }
}

impl std::error::Error for LoadError {}
impl std::error::Error for PredictError {}
