//! This room's limits. Where MLflow has one, it is MLflow's, because its clients and their users know it.

/// A trace's id: letters, digits, `-` and `_`.
pub const TRACE_ID_BYTES_MAX: usize = 50;
/// Characters of a tag's or metadata entry's key.
pub const KEY_CHARS_MAX: usize = 250;
/// Characters of a tag's or metadata entry's value; a longer one is cut, as MLflow does.
pub const VALUE_CHARS_MAX: usize = 8_000;
/// Tags, and metadata entries, that may come with one request.
pub const PAIR_COUNT_MAX: usize = 1_000;
/// Characters of a preview of the request or the response; a longer one is cut.
pub const PREVIEW_CHARS_MAX: usize = 10_000;
/// Characters of a preview that the server makes from a root span.
pub const MADE_PREVIEW_CHARS_MAX: usize = 1_000;
/// Characters of the id that a client's own request has.
pub const CLIENT_REQUEST_ID_CHARS_MAX: usize = 50;
/// One span as it is kept.
pub const SPAN_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Characters of a span's name or kind.
pub const SPAN_NAME_CHARS_MAX: usize = 5_000;
/// Spans of one trace.
pub const TRACE_SPAN_COUNT_MAX: i64 = 10_000;
/// All spans of one trace.
pub const TRACE_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// Spans of one request.
pub const REQUEST_SPAN_COUNT_MAX: usize = 10_000;
/// Attributes of one span or event, and events of one span.
pub const SPAN_PART_COUNT_MAX: usize = 1_024;
/// Spans that one answer may carry, so that it fits into memory.
pub const ANSWER_SPAN_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// Traces that one request may ask for by id.
pub const BATCH_TRACE_COUNT_MAX: usize = 1_000;
/// Traces in one page of a search.
pub const SEARCH_RESULT_COUNT_MAX: i64 = 500;
/// Traces in one page of a search that names no number.
pub const SEARCH_RESULT_COUNT_DEFAULT: i64 = 100;
/// Keys that one search may order by: SQLite joins at most 64 tables.
pub const SEARCH_ORDER_KEY_COUNT_MAX: usize = 32;
/// Experiments that one search may name.
pub const SEARCH_EXPERIMENT_COUNT_MAX: usize = 10_000;
/// Experiments granted one by one that a list by id goes through.
pub const SCOPE_EXPERIMENT_COUNT_MAX: usize = 10_000;
/// Traces that one request may delete by id.
pub const DELETE_ID_COUNT_MAX: usize = 1_000;
/// Traces that one transaction deletes; a request for more is told to come again.
pub const DELETE_COUNT_MAX: i64 = 10_000;
/// Traces that one request may link to a run.
pub const RUN_LINK_COUNT_MAX: usize = 100;
/// Prompt versions that one request may link to a trace.
pub const PROMPT_LINK_COUNT_MAX: usize = 100;
/// Characters of a prompt's name with its version.
pub const PROMPT_CHARS_MAX: usize = 500;
/// Characters of an assessment's name, and of its source's id.
pub const ASSESSMENT_NAME_CHARS_MAX: usize = 250;
/// The value of an assessment, its rationale, its error and its metadata, each.
pub const ASSESSMENT_TEXT_BYTES_MAX: usize = 256 * 1024;
/// Assessments of one trace.
pub const ASSESSMENT_COUNT_MAX: i64 = 1_000;
/// Rows that one query of metrics goes through.
pub const METRIC_ROW_COUNT_MAX: usize = 2_000_000;
/// Points that one query of metrics gives, and groups that it keeps.
pub const METRIC_POINT_COUNT_MAX: usize = 1_000;
/// Groups that one query of metrics forms before it is cut.
pub const METRIC_GROUP_COUNT_MAX: usize = 100_000;
/// Aggregations, dimensions and filters of one query of metrics, each.
pub const METRIC_PART_COUNT_MAX: usize = 16;
