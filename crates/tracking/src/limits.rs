//! This room's limits. Where MLflow has one, it is MLflow's, because its clients and their users know it.

/// Metrics in one batch.
pub const BATCH_METRIC_COUNT_MAX: usize = 1_000;
/// Parameters in one batch, and tags in one batch.
pub const BATCH_PARAM_COUNT_MAX: usize = 100;
/// Metrics, parameters and tags together in one batch.
pub const BATCH_ENTITY_COUNT_MAX: usize = 1_000;
/// Characters of a metric's, parameter's or tag's key.
pub const KEY_CHARS_MAX: usize = 250;
/// Characters of a parameter's value; a longer one is cut, as MLflow does.
pub const PARAM_VALUE_CHARS_MAX: usize = 6_000;
/// Characters of a run tag's value; a longer one is cut, as MLflow does.
pub const TAG_VALUE_CHARS_MAX: usize = 8_000;
/// Characters of an experiment's name.
pub const EXPERIMENT_NAME_CHARS_MAX: usize = 500;
/// Characters of an experiment tag's value.
pub const EXPERIMENT_TAG_VALUE_CHARS_MAX: usize = 5_000;
/// Characters of a run's name.
pub const RUN_NAME_CHARS_MAX: usize = 250;
/// Tags that may come with a new experiment or run.
pub const NEW_TAG_COUNT_MAX: usize = 1_000;
/// Characters of an experiment's artifact location.
pub const ARTIFACT_LOCATION_CHARS_MAX: usize = 2_048;
/// Datasets in one request.
pub const DATASET_COUNT_MAX: usize = 1_000;
/// Logged models that one request may link to a run.
pub const MODEL_LINK_COUNT_MAX: usize = 1_000;
/// Characters of a logged model's id.
pub const MODEL_ID_CHARS_MAX: usize = 250;
/// Characters of a dataset's name.
pub const DATASET_NAME_CHARS_MAX: usize = 500;
/// Characters of a dataset's digest.
pub const DATASET_DIGEST_CHARS_MAX: usize = 36;
/// Characters of a dataset's schema.
pub const DATASET_SCHEMA_CHARS_MAX: usize = 1_048_575;
/// Characters of a dataset's source.
pub const DATASET_SOURCE_CHARS_MAX: usize = 65_535;
/// Characters of a dataset's profile.
pub const DATASET_PROFILE_CHARS_MAX: usize = 16_777_215;
/// Characters of a dataset input tag's key.
pub const INPUT_TAG_KEY_CHARS_MAX: usize = 255;
/// Characters of a dataset input tag's value.
pub const INPUT_TAG_VALUE_CHARS_MAX: usize = 500;
/// Tags of one dataset input.
pub const INPUT_TAG_COUNT_MAX: usize = 100;
/// Runs or experiments in one page of a search.
pub const SEARCH_RESULT_COUNT_MAX: i64 = 50_000;
/// Runs in one page of a search that names no number.
pub const SEARCH_RESULT_COUNT_DEFAULT: i64 = 1_000;
/// Keys that one search may order by: SQLite joins at most 64 tables.
pub const SEARCH_ORDER_KEY_COUNT_MAX: usize = 32;
/// Experiments that one search may name.
pub const SEARCH_EXPERIMENT_COUNT_MAX: usize = 10_000;
/// Metrics, parameters and tags that one page of a search may carry, so that a page fits into memory.
pub const SEARCH_PAGE_VALUE_COUNT_MAX: usize = 5_000_000;
/// Points in one page of a metric's history.
pub const HISTORY_PAGE_POINT_COUNT_MAX: usize = 25_000;
/// Points of one metric of one run that a read goes through, so that it fits into memory.
pub const HISTORY_POINT_COUNT_MAX: usize = 5_000_000;
/// Runs whose histories one request may ask for.
pub const HISTORY_RUN_COUNT_MAX: usize = 100;
/// Sampled steps for each run of an interval read.
pub const HISTORY_INTERVAL_STEP_COUNT_MAX: i64 = 2_500;
/// Experiments whose datasets one request may list.
pub const DATASET_LIST_EXPERIMENT_COUNT_MAX: usize = 20;
/// Datasets that one list may hold.
pub const DATASET_LIST_COUNT_MAX: i64 = 1_000;
