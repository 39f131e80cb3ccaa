//! The one place where a decoder's panic becomes an error.
//!
//! Decoders from outside (Arrow, Parquet, PNG, JPEG) must not panic on bad input, but a hostile file may find a way. What was
//! being decoded is dropped then and not used again, so nothing half-made is seen.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::TableError;

/// Runs `decode`; a panic within it is [`TableError::Decoder`].
pub(crate) fn run<T>(file: &str, decode: impl FnOnce() -> Result<T, TableError>) -> Result<T, TableError> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|payload| {
        let reason = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(TableError::Decoder { file: file.to_owned(), reason: reason.chars().take(200).collect() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_the_file_in_it() {
        let error = run::<()>("a.parquet", || panic!("index out of bounds: {}", 7)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the decoder failed on `a.parquet` (index out of bounds: 7): do not use it before you know where it comes from"
        );
    }
}
