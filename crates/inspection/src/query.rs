//! What the server asks of `strongroom-query`, the worker that runs SQL over tables, and what it answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::csv::CsvDialect;
use crate::job::FileSpec;
use crate::report::{Confinement, Section};

/// Tables of one job.
pub const QUERY_TABLE_COUNT_MAX: usize = 16;
/// Rows of one answer, whatever is asked for.
pub const QUERY_ROW_COUNT_MAX: u64 = 100_000;
/// Bytes of one answer as JSON.
pub const QUERY_ANSWER_BYTES_MAX: u32 = 32 << 20;
/// Bytes of a query's text.
pub const QUERY_TEXT_BYTES_MAX: usize = 64 << 10;
/// Answers to rules, and bytes of a rule's name or of why a query failed.
const RULE_COUNT_MAX: usize = 100_000;
const WHY_BYTES_MAX: usize = 4_096;

/// One job: over which tables, and what is asked of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryJob {
    /// The tables. The first is the one that a contract's rules are about.
    pub tables: Vec<QueryTable>,
    /// What is asked.
    pub ask: Ask,
    /// Limits on work.
    #[serde(default)]
    pub limits: QueryLimits,
}

/// One table: files of one format.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryTable {
    /// Its name in queries.
    pub name: String,
    /// Its files, in the manifest's order.
    pub files: Vec<FileSpec>,
    /// How its CSV files are written, where their committer said so.
    #[serde(default)]
    pub csv: CsvDialect,
    /// Columns of texts that it has although no file may hold any: they are empty then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// What is asked of the tables.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// The values that the SQL rules of a contract (ODCS YAML) are about.
    Rules {
        /// The contract.
        contract_yaml: String,
    },
    /// The rows of one query.
    Rows {
        /// The query.
        sql: String,
    },
}

/// Limits on one job. The server enforces bytes, wall time, processor time and memory; the worker the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueryLimits {
    /// Rows of the answer; more are cut off, and the answer says so.
    pub row_count_max: u64,
    /// Bytes that the worker may ask for in all, over all files: a query may read a file more than once.
    pub read_bytes_max: u64,
    /// Seconds of one query.
    pub query_seconds_max: u64,
    /// Processor seconds of all threads.
    pub cpu_seconds_max: u64,
    /// Seconds from start to answer.
    pub wall_seconds_max: u64,
    /// Private memory of the worker. Half of it is for what queries hold: groups, sorts and the sides of joins.
    pub memory_bytes_max: u64,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            row_count_max: 1_000,
            read_bytes_max: 1 << 42,
            query_seconds_max: 600,
            cpu_seconds_max: 2 * 3_600,
            wall_seconds_max: 2 * 3_600,
            memory_bytes_max: 2 << 30,
        }
    }
}

/// What a worker found out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryReport {
    /// Version of the worker's program.
    pub worker_version: String,
    /// How the worker was confined.
    pub confinement: Confinement,
    /// Processor time of all threads of the worker.
    pub cpu_ms: u64,
    /// The most memory that the worker held.
    pub memory_peak_bytes: u64,
    /// What the rules' queries gave, by the rules' names.
    #[serde(default)]
    pub rules: BTreeMap<String, QueryValue>,
    /// The rows that were asked for.
    #[serde(default)]
    pub rows: Option<QueryRows>,
}

/// What a rule's query gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueryValue {
    /// A number; yes and no are 1 and 0.
    Value(f64),
    /// It could not be run, or gave something else; why. No value of the data stands in it.
    Failed(String),
}

/// What became of the SQL rules of a contract, for the inspection that judges by them. A rule without an answer is not run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqlAnswers {
    /// What each rule's query gave, by the rules' names.
    pub values: BTreeMap<String, QueryValue>,
    /// Why none was run.
    pub fault: Option<String>,
}

impl SqlAnswers {
    /// None was run; why.
    #[must_use]
    pub fn not_run(why: String) -> Self {
        Self { values: BTreeMap::new(), fault: Some(why) }
    }
}

/// The rows of an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryRows {
    /// The columns.
    pub columns: Vec<QueryColumn>,
    /// How many rows there are in `rows`.
    pub row_count: u64,
    /// Whether there were more.
    pub truncated: bool,
    /// The rows: a list of lists, one value for each column.
    pub rows: Section,
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryColumn {
    /// Its name.
    pub name: String,
    /// Its type, as Arrow calls it.
    pub data_type: String,
}

impl QueryReport {
    /// Whether it keeps to its limits.
    pub(crate) fn is_bounded(&self) -> bool {
        let bounded = |(name, value): (&String, &QueryValue)| {
            name.len() <= WHY_BYTES_MAX
                && match value {
                    QueryValue::Value(value) => value.is_finite(),
                    QueryValue::Failed(why) => why.len() <= WHY_BYTES_MAX,
                }
        };
        self.rules.len() <= RULE_COUNT_MAX && self.rules.iter().all(bounded)
    }
}
