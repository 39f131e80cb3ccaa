//! What the server and its inspection worker say to each other, and what an inspection finds.
//!
//! Untrusted Parquet, CSV or image bytes are never parsed in an address space that holds keys. The server starts
//! `strongroom-inspect`, a process without network, files or environment, and hands it the decrypted bytes it asks for
//! over a pipe; what comes back is a bounded report. This crate is both ends' common language and the server's end.
//!
//! `strongroom-query`, which runs SQL over tables, is started, fed and bounded the same way ([`QueryJob`]).
//!
//! It is not an inspector: it links no engine, parses no data and decides no verdict. The room `data` maps findings to
//! verdicts; the binary `strongroom-inspect` makes the findings.
//!
//! INVARIANT: an inspection that did not end with a whole report is an error, never an empty report: a worker that dies,
//! lies about lengths, reads where it may not or falls silent fails the inspection closed. Held by `inspector/tests/worker.rs`.
//! INVARIANT: whatever a worker sends, the server holds at most [`frame::REPORT_BYTES_MAX`] of it. Held by `frame::tests`.
//! INVARIANT: a worker gets no job before it said how it is confined. Held by `inspector/tests/worker.rs`.

mod attestation;
pub mod catalogue;
mod confine;
pub mod croissant;
mod csv;
#[cfg(feature = "options")]
mod csv_words;
mod error;
mod finding;
pub mod frame;
mod html;
mod job;
mod query;
mod reading;
mod report;
mod session;
mod task;
mod view;
mod worker;

pub use attestation::{Resource, statement};
pub use confine::{ProcessLimits, limit_this_process};
pub use csv::{CsvDialect, Delimiter};
#[cfg(feature = "options")]
pub use csv_words::CsvWords;
pub use error::InspectionError;
pub use finding::{Effect, Example, Finding, FindingKind, NAME_BYTES_MAX, Screen, Severity};
pub use html::{charts, html};
pub use job::{
    ChampionSpec, CleanCount, CleanSpec, FileSpec, GuardSpec, GuardedRow, JobLimits, JobSpec, OtherTable, Reference, Roles,
    SubjectKind, TRIGGER_COUNT_MAX, TRIGGER_ROW_COUNT_MAX, TrainingTable, TrialSpec, TrialTable, TriggerSpec,
};
pub use query::{
    Ask, QUERY_ROW_COUNT_MAX, QUERY_TABLE_COUNT_MAX, QUERY_TEXT_BYTES_MAX, QueryColumn, QueryJob, QueryLimits, QueryReport,
    QueryRows, QueryTable, QueryValue, SqlAnswers,
};
pub use reading::{
    ChangeEffect, ContractChange, ContractIssue, ContractJob, ContractReading, ContractTable, READING_LINE_COUNT_MAX,
    READING_TEXT_BYTES_MAX,
};
pub use report::{Confinement, FINDING_COUNT_MAX, InspectionReport, REPORT_SCHEMA, ScreenState, Section, Summary};
pub use session::{Progress, ReadRequest, Taken};
pub use view::{
    AttackView, BAR_COUNT_MAX, Bar, ColumnView, DriftView, PoisonView, RuleView, SegmentView, SuspectView, VIEW_COLUMN_COUNT_MAX,
    VIEW_ROW_COUNT_MAX, View,
};
pub use worker::{QUERY_WORKER_NAME, WORKER_NAME, Worker};
