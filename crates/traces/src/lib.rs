//! Traces: what one call of an application did, span by span, and what people and judges said of it.
//!
//! It is not where runs and experiments are kept (`tracking`), nor the files that clients upload for a trace (`artifacts`), nor
//! a protocol: MLflow's wire and OpenTelemetry's map onto the verbs in [`ops`].
//!
//! INVARIANT: a trace belongs to one experiment for good; a write that was allowed on another one never reaches it.
//! Held by `tests::foreign`.
//! INVARIANT: a list holds only rows of the permit's scope. Held by `tests::search::a_scope_narrows_lists`.
//! INVARIANT: a trace that is deleted takes all with it that hangs on its id, its files too, so that who uses the id again
//! finds nothing of it. Held by `tests::crud::what_is_deleted_is_gone`.

mod attribution;
pub mod limits;
mod npmi;
pub mod ops;
mod rules;
mod span_text;
mod store;
mod types;

#[cfg(test)]
mod tests;

pub use npmi::Correlation;
pub use store::locate;
pub use types::{
    Aggregation, Assessment, AssessmentChange, AssessmentKind, AssessmentSource, MetricPoint, MetricQuery, MetricView,
    NewAssessment, NewSpan, NewTrace, Page, SpanEvent, SpanStatus, StoredSpans, TraceInfo, TraceState, TraceWithSpans,
};

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Traces {
    db: vault::db::Db,
}

impl Traces {
    /// The room over a database.
    #[must_use]
    pub const fn new(db: vault::db::Db) -> Self {
        Self { db }
    }
}

/// Every verb of this room.
pub const ACTIONS: &[gate::Action] = &[
    ops::TRACES_CREATE,
    ops::TRACES_GET,
    ops::TRACES_SEARCH,
    ops::TRACES_UPDATE,
    ops::TRACES_DELETE,
    ops::TRACES_TAG,
    ops::TRACES_LOG,
    ops::TRACES_ASSESS,
];
