//! The room's limits. MLflow's own, where it has them.

/// A tag's or param's key.
pub const KEY_CHARS_MAX: usize = 250;
/// A registered model's or version's tag value.
pub const TAG_VALUE_CHARS_MAX: usize = 100_000;
/// A logged model's tag value.
pub const LOGGED_MODEL_TAG_VALUE_CHARS_MAX: usize = 8_000;
/// A logged model's param value.
pub const PARAM_VALUE_CHARS_MAX: usize = 6_000;
/// An alias.
pub const ALIAS_CHARS_MAX: usize = 255;
/// A registered or logged model's name.
pub const NAME_CHARS_MAX: usize = 256;
/// A description.
pub const DESCRIPTION_CHARS_MAX: usize = 100_000;
/// A version's source, and its link to a run.
pub const SOURCE_CHARS_MAX: usize = 2_048;
/// Tags or params in one request.
pub const BATCH_COUNT_MAX: usize = 1_000;
/// Aliases of one model.
pub const ALIAS_COUNT_MAX: i64 = 1_000;
/// Registered models of one page.
pub const MODEL_PAGE_COUNT_MAX: i64 = 1_000;
/// Registered models of one page, if the client does not say.
pub const MODEL_PAGE_COUNT: i64 = 100;
/// Versions of one page.
pub const VERSION_PAGE_COUNT_MAX: i64 = 200_000;
/// Versions of one page, if the client does not say.
pub const VERSION_PAGE_COUNT: i64 = 10_000;
/// Logged models of one page.
pub const LOGGED_MODEL_PAGE_COUNT_MAX: i64 = 1_000;
/// Logged models of one page, if the client does not say.
pub const LOGGED_MODEL_PAGE_COUNT: i64 = 50;
/// Metrics that one logged model is shown with, newest first.
pub const LOGGED_MODEL_METRIC_COUNT_MAX: i64 = 1_000;
/// Experiments named in one search.
pub const EXPERIMENT_COUNT_MAX: usize = 1_000;
/// Datasets named in one search.
pub const DATASET_COUNT_MAX: usize = 100;
