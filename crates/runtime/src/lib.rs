//! Predictions of classical models in safe Rust: ONNX (`ai.onnx.ml` and a small dense set), XGBoost, LightGBM and
//! scikit-learn's skops files.
//!
//! It takes bytes and gives numbers: no file is opened, no process started, no thread spawned, nothing of a model is ever
//! executed. It is not a server, not a gate and no converter; which model may be loaded is decided elsewhere.
//!
//! INVARIANT: what is not understood in full is refused when the model is loaded ([`LoadError::Unsupported`]); held by
//! the tests of each format.
//! INVARIANT: after loading, every walk through a tree ends: children lie behind their parents; held by
//! `forest::tests::a_tree_that_is_no_tree_is_refused`.
//! INVARIANT: memory follows the model's and the batch's size, both bounded by [`Limits`] before it is spent; held by
//! `tests/hostile.rs`.
//! INVARIANT: results agree with the libraries that made the models: `tests/clients/test_runtime.py`.

#![forbid(unsafe_code)]

mod batch;
mod error;
mod files;
mod forest;
pub mod half;
mod lightgbm;
mod limits;
mod link;
mod model;
mod onnx;
mod outputs;
mod signature;
mod skops;
mod tensor;
mod written;
mod xgboost;

pub use batch::Batch;
pub use error::{LoadError, PredictError};
pub use files::Files;
pub use limits::Limits;
pub use model::{Format, Model};
pub use outputs::{Output, Outputs};
pub use signature::{Port, Predicts, Role, Signature};
pub use tensor::{DataType, Narrow, Tensor, Values};
pub use written::{Cell, Written};
