//! What a check found: the answer for each rule and for the whole, in words that say what to do.

use serde::{Deserialize, Serialize};

pub use super::found::Example;
use crate::quality::Severity;

/// The answer for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every rule that may refuse was checked and holds.
    Passed,
    /// No rule that may refuse is broken, but some could not be checked.
    Incomplete,
    /// A rule that may refuse is broken.
    Failed,
}

/// The answer for one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It holds.
    Passed,
    /// It is broken.
    Failed,
    /// It could not be checked; the message says why.
    NotRun,
    /// It is for people.
    Note,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContractReport {
    /// The contract's identifier.
    pub contract: String,
    /// The contract's version.
    pub version: String,
    /// The table.
    pub object: String,
    /// Rows that were looked at.
    pub rows: u64,
    /// The answer.
    pub verdict: Verdict,
    /// Rules that hold.
    pub passed: u64,
    /// Rules that are broken and refuse.
    pub failed: u64,
    /// Rules that are broken and only warn.
    pub warned: u64,
    /// Rules that could not be checked.
    pub not_run: u64,
    /// Each rule, in the contract's order.
    pub rules: Vec<RuleReport>,
}

/// What a check found about one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleReport {
    /// The rule's way through the contract, such as `orders.amount.minimum`.
    pub rule: String,
    /// What it is, in one word.
    pub kind: String,
    /// What its writer said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The columns it reads.
    pub columns: Vec<String>,
    /// Whether it refuses.
    pub severity: Severity,
    /// The answer.
    pub status: Status,
    /// What was measured: rows, percent, or the rule's own number.
    pub measured: Option<f64>,
    /// What it may be, in words.
    pub expected: String,
    /// Rows that violate it; for keys, rows that repeat an earlier one.
    pub violations: u64,
    /// Rows that were looked at for it.
    pub checked: u64,
    /// The first violations.
    pub examples: Vec<Example>,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do about it; empty if nothing.
    pub remedy: String,
}

impl ContractReport {
    /// Counts the answers and gives the one for the whole.
    pub(crate) fn sum_up(mut self) -> Self {
        let count = |test: &dyn Fn(&RuleReport) -> bool| self.rules.iter().filter(|rule| test(rule)).count() as u64;
        self.passed = count(&|rule| rule.status == Status::Passed);
        self.failed = count(&|rule| rule.status == Status::Failed && rule.severity == Severity::Error);
        self.warned = count(&|rule| rule.status == Status::Failed && rule.severity != Severity::Error);
        self.not_run = count(&|rule| rule.status == Status::NotRun);
        let doubt = self.rules.iter().any(|rule| rule.status == Status::NotRun && rule.severity == Severity::Error);
        self.verdict = match (self.failed, doubt) {
            (1.., _) => Verdict::Failed,
            (0, true) => Verdict::Incomplete,
            (0, false) => Verdict::Passed,
        };
        self
    }

    /// The report of the rule whose way ends so.
    #[must_use]
    pub fn rule(&self, end: &str) -> Option<&RuleReport> {
        self.rules.iter().find(|rule| rule.rule == end || rule.rule.ends_with(&format!(".{end}")))
    }
}

/// What was found, for a rule that is broken.
pub(crate) fn broken(kind: &str, columns: &str, violations: u64, checked: u64) -> String {
    let rows = format!("in {violations} of {checked} rows");
    match kind {
        "required" | "primaryKeyRequired" | "nullValues" => format!("{columns} is null {rows}"),
        "missingValues" => format!("{columns} is missing {rows}"),
        "unique" | "primaryKey" | "duplicateValues" => format!("{columns} repeats an earlier key {rows}"),
        "duplicateRows" => format!("{violations} of {checked} rows repeat an earlier row"),
        "leakage" => format!("{violations} of {checked} rows stand in the other version too"),
        "reference" => format!("{columns} names what the other table does not have {rows}"),
        "minimum" | "exclusiveMinimum" => format!("{columns} is below its least value {rows}"),
        "maximum" | "exclusiveMaximum" => format!("{columns} is above its greatest value {rows}"),
        "minLength" => format!("{columns} is too short {rows}"),
        "maxLength" => format!("{columns} is too long {rows}"),
        "pattern" => format!("{columns} does not match its pattern {rows}"),
        "format" => format!("{columns} is not in its format {rows}"),
        "type" => format!("{columns} cannot be read as its type {rows}"),
        "itemTypes" => format!("{columns} holds an item that is not of its type {rows}"),
        "invalidValues" => format!("{columns} has a value that is not allowed {rows}"),
        "multipleOf" => format!("{columns} is no whole multiple {rows}"),
        "compare" => format!("{columns} do not stand to each other as they must {rows}"),
        _ => format!("{columns} violates the rule {rows}"),
    }
}

/// What to do about a rule that is broken.
pub(crate) fn remedy(kind: &str) -> &'static str {
    match kind {
        "present" => "add the column, or give its stored name as `physicalName`, or take it out of the contract",
        "noOtherColumns" | "expectation" => "change the data, or the rule if the data are right",
        "type" | "physicalType" | "itemTypes" => {
            "write the column with the contract's type, or correct the contract if the data are right"
        }
        "required" | "primaryKeyRequired" | "nullValues" | "missingValues" => {
            "fill in the values at their source, leave the rows out, or allow a share of them in the contract"
        }
        "unique" | "primaryKey" | "duplicateValues" | "duplicateRows" => {
            "leave the repeated rows out, or name the columns that together tell rows apart"
        }
        "reference" => "add the missing rows to the other table first, or leave these rows out",
        "leakage" => "take these rows out of one of the two versions, or what is measured on one has been learnt from the other",
        "labelBalance" => "gather more of the rare labels, or join them, before a model is trained on this",
        "nearConstant" => "leave the column out of the features, or look at why it stopped changing",
        "rowCount" | "rowCountChange" => "look at whether the export ended early or ran twice",
        "freshness" | "latency" => "bring newer data, or look at why none arrive",
        "retention" => "leave the old rows out: they are kept longer than they may be",
        "sql" => "look at what the query finds, and correct these rows",
        _ => "correct these rows or leave them out; if the values are right, correct the contract",
    }
}
