//! The nouns of this room.

use kernel::Problem;
use serde_json::Value;

/// A key with its value, as tags and metadata have them.
pub type Pair = (String, String);

/// How a trace stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceState {
    /// The client said nothing.
    #[default]
    Unspecified,
    /// It ended well.
    Ok,
    /// It ended badly.
    Error,
    /// It has not ended.
    InProgress,
}

impl TraceState {
    /// MLflow's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "STATE_UNSPECIFIED",
            Self::Ok => "OK",
            Self::Error => "ERROR",
            Self::InProgress => "IN_PROGRESS",
        }
    }

    /// The state of MLflow's word, if it is one.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            "TRACE_STATUS_UNSPECIFIED" => Some(Self::Unspecified),
            word => [Self::Unspecified, Self::Ok, Self::Error, Self::InProgress].into_iter().find(|state| state.word() == word),
        }
    }
}

/// The head of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceInfo {
    /// Its id, which its client chose.
    pub trace_id: String,
    /// The experiment that holds it.
    pub experiment_id: i64,
    /// When it began, in the client's words.
    pub request_time_ms: i64,
    /// How long it took; none while it has not ended.
    pub duration_ms: Option<i64>,
    /// How it stands.
    pub state: TraceState,
    /// The id that the client's own request has.
    pub client_request_id: Option<String>,
    /// The beginning of what it was asked.
    pub request_preview: Option<String>,
    /// The beginning of what it answered.
    pub response_preview: Option<String>,
    /// Its tags, by key, with where its files go.
    pub tags: Vec<Pair>,
    /// Its metadata, by key.
    pub metadata: Vec<Pair>,
    /// What was said of it, oldest first.
    pub assessments: Vec<Assessment>,
}

/// A trace to be kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewTrace {
    /// Its id.
    pub trace_id: String,
    /// When it began.
    pub request_time_ms: i64,
    /// How long it took.
    pub duration_ms: Option<i64>,
    /// How it stands.
    pub state: TraceState,
    /// The id that the client's own request has.
    pub client_request_id: Option<String>,
    /// The beginning of what it was asked.
    pub request_preview: Option<String>,
    /// The beginning of what it answered.
    pub response_preview: Option<String>,
    /// Its tags.
    pub tags: Vec<Pair>,
    /// Its metadata.
    pub metadata: Vec<Pair>,
    /// What was said of it already.
    pub assessments: Vec<NewAssessment>,
}

/// How a span ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpanStatus {
    /// Nothing was said.
    #[default]
    Unset,
    /// Well.
    Ok,
    /// Badly.
    Error,
}

impl SpanStatus {
    /// MLflow's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unset => "UNSET",
            Self::Ok => "OK",
            Self::Error => "ERROR",
        }
    }

    /// OpenTelemetry's word.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unset => "STATUS_CODE_UNSET",
            Self::Ok => "STATUS_CODE_OK",
            Self::Error => "STATUS_CODE_ERROR",
        }
    }
}

/// Something that happened during a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanEvent {
    /// Its name.
    pub name: String,
    /// When.
    pub time_ns: i64,
    /// What more is known of it.
    pub attributes: Vec<(String, Value)>,
}

/// A span to be kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewSpan {
    /// OpenTelemetry's id of the trace.
    pub trace_id: [u8; 16],
    /// Its own id.
    pub span_id: [u8; 8],
    /// The span that it is part of; none for the root.
    pub parent_span_id: Option<[u8; 8]>,
    /// Its name.
    pub name: String,
    /// When it began.
    pub start_time_ns: i64,
    /// When it ended.
    pub end_time_ns: Option<i64>,
    /// How it ended.
    pub status: SpanStatus,
    /// Why, in words.
    pub status_message: String,
    /// What more is known of it.
    pub attributes: Vec<(String, Value)>,
    /// What happened during it.
    pub events: Vec<SpanEvent>,
}

/// A trace's spans as they are kept: JSON objects of MLflow's form, the root first, then by start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredSpans {
    /// They are here.
    Here(Vec<String>),
    /// None were logged: the client keeps them as the file `traces.json`.
    Elsewhere,
}

/// A trace with its spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceWithSpans {
    /// Its head.
    pub info: TraceInfo,
    /// Its spans, as JSON objects of MLflow's form.
    pub spans: Vec<String>,
}

/// What kind of assessment it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssessmentKind {
    /// How good an answer was.
    Feedback,
    /// What the answer should have been.
    Expectation,
    /// An issue that the trace is an example of.
    Issue,
}

impl AssessmentKind {
    /// MLflow's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Feedback => "feedback",
            Self::Expectation => "expectation",
            Self::Issue => "issue",
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [Self::Feedback, Self::Expectation, Self::Issue].into_iter().find(|kind| kind.word() == word)
    }
}

/// Who or what an assessment came from, in the client's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssessmentSource {
    /// `HUMAN`, `LLM_JUDGE` or `CODE`.
    pub kind: String,
    /// Which one.
    pub id: String,
}

/// An assessment to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAssessment {
    /// Its id, where it had one already.
    pub assessment_id: Option<String>,
    /// What kind it is.
    pub kind: AssessmentKind,
    /// Its name.
    pub name: String,
    /// Its value, as JSON.
    pub value: String,
    /// Why there is no value, as JSON.
    pub error: Option<String>,
    /// Who or what it came from.
    pub source: AssessmentSource,
    /// The span that it is about.
    pub span_id: Option<String>,
    /// Why.
    pub rationale: Option<String>,
    /// What more is known, as a JSON object of texts.
    pub metadata: Option<String>,
    /// The assessment that it puts right.
    pub overrides: Option<String>,
    /// When it was made, if the client says so.
    pub created_ms: Option<i64>,
    /// When it was last changed, if the client says so.
    pub updated_ms: Option<i64>,
}

/// An assessment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// Its id.
    pub assessment_id: String,
    /// What kind it is.
    pub kind: AssessmentKind,
    /// Its name.
    pub name: String,
    /// Its value, as JSON.
    pub value: String,
    /// Why there is no value, as JSON.
    pub error: Option<String>,
    /// Who or what it came from.
    pub source: AssessmentSource,
    /// The span that it is about.
    pub span_id: Option<String>,
    /// Why.
    pub rationale: Option<String>,
    /// What more is known, as a JSON object of texts.
    pub metadata: Option<String>,
    /// The assessment that it puts right.
    pub overrides: Option<String>,
    /// Whether no other one put it right.
    pub valid: bool,
    /// When it was made.
    pub created_ms: i64,
    /// When it was last changed.
    pub updated_ms: i64,
}

/// What is to be changed of an assessment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssessmentChange {
    /// Its name.
    pub name: Option<String>,
    /// Its value as JSON, with the kind that it must be of and its error.
    pub value: Option<(Option<AssessmentKind>, String, Option<String>)>,
    /// Why.
    pub rationale: Option<String>,
    /// What more is known: entries that are added or replaced.
    pub metadata: Vec<Pair>,
}

/// What a query of metrics counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricView {
    /// Traces.
    Traces,
    /// Spans.
    Spans,
    /// Assessments.
    Assessments,
}

impl MetricView {
    /// MLflow's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Spans => "SPANS",
            Self::Assessments => "ASSESSMENTS",
        }
    }
}

/// What is made of the values of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregation {
    /// How many there are.
    Count,
    /// Their sum.
    Sum,
    /// Their mean.
    Avg,
    /// The value below which this many percent lie.
    Percentile(f64),
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

impl Aggregation {
    /// MLflow's word for its kind.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Count => "COUNT",
            Self::Sum => "SUM",
            Self::Avg => "AVG",
            Self::Percentile(_) => "PERCENTILE",
            Self::Min => "MIN",
            Self::Max => "MAX",
        }
    }

    /// The name of its value in answers.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            Self::Percentile(percent) => format!("P{percent:?}"),
            other => other.word().to_owned(),
        }
    }
}

/// A query of metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricQuery {
    /// The experiments; those that the caller may not see are left out.
    pub experiment_ids: Vec<String>,
    /// What is counted.
    pub view: MetricView,
    /// Which metric of it.
    pub metric: String,
    /// What is made of the values.
    pub aggregations: Vec<Aggregation>,
    /// What values are grouped by.
    pub dimensions: Vec<String>,
    /// What must hold, each one comparison with `=`.
    pub filters: Vec<String>,
    /// The width of the time spans that values are grouped by.
    pub interval_s: Option<i64>,
    /// Only traces from then on.
    pub start_ms: Option<i64>,
    /// Only traces until then.
    pub end_ms: Option<i64>,
    /// How many points at most.
    pub max_results: i64,
}

/// One group's values.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPoint {
    /// The beginning of its time span, where values are grouped by time.
    pub time_bucket_ms: Option<i64>,
    /// Its dimensions.
    pub dimensions: Vec<Pair>,
    /// Its values, by the labels of their aggregations.
    pub values: Vec<(String, f64)>,
}

/// A page of a list, and how to ask for the next one.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What it holds.
    pub items: Vec<T>,
    /// The token of the next page, if there is one.
    pub next_page_token: Option<String>,
}

pub(crate) fn no_trace(trace_id: &str) -> Problem {
    Problem::not_found(format!("Trace with ID '{trace_id}' not found."))
}

/// An experiment's id in its one spelling.
pub(crate) fn parse_experiment_id(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|id| *id >= 0 && id.to_string() == text)
}

pub(crate) fn no_experiment(text: &str) -> Problem {
    if text.trim().parse::<i64>().is_ok() {
        Problem::not_found(format!("No Experiment with id={text} exists"))
    } else {
        Problem::invalid(format!("Invalid experiment ID '{text}'. Experiment ID must be a valid integer."))
    }
}
