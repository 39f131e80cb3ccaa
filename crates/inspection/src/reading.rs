//! A contract without data, as the worker reads it for somebody who writes one: faults with their lines, what it holds, what it changes. The server never
//! parses a contract itself.

use serde::{Deserialize, Serialize};

/// Bytes of an answer as JSON.
pub const READING_BYTES_MAX: u32 = 4 << 20;
/// Faults, notes, tables and changes of one answer, each.
pub const READING_LINE_COUNT_MAX: usize = 500;
/// Characters of one text of an answer.
pub const READING_TEXT_BYTES_MAX: usize = 4_096;
const CPU_SECONDS_MAX: u64 = 20;
const WALL_SECONDS_MAX: u64 = 30;
const MEMORY_BYTES_MAX: u64 = 1 << 30;

/// What is to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractJob {
    /// The contract (ODCS YAML).
    pub contract_yaml: String,
    /// The one that is in force.
    pub in_force: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractReading {
    /// Why it cannot be used; nothing if it can.
    pub faults: Vec<ContractIssue>,
    /// What in it means nothing, or something else than its writer may think.
    pub notes: Vec<ContractIssue>,
    /// Its tables.
    pub tables: Vec<ContractTable>,
    /// How it differs from the one in force, if both can be read.
    pub changes: Vec<ContractChange>,
    /// Changes beyond those.
    pub more_change_count: u64,
    /// Why the one in force cannot be read.
    pub in_force_fault: Option<String>,
}

/// A fault or a note, and where it stands; a line of 0 is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractIssue {
    /// The line, from 1.
    pub line: u64,
    /// The character in it, from 1.
    pub column: u64,
    /// The way to it, such as `schema.orders.amount`.
    pub at: String,
    /// What is wrong.
    pub problem: String,
}

/// A table of a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractTable {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub column_count: u64,
    /// Rules that its writer set, of the table and its columns.
    pub rule_count: u64,
}

/// One difference to the contract in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractChange {
    /// The way to it.
    pub at: String,
    /// What it does to who relies on the old one.
    pub effect: ChangeEffect,
    /// What was there.
    pub before: Option<String>,
    /// What is there.
    pub after: Option<String>,
}

/// What a change does to who relies on the old contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeEffect {
    /// They may no longer rely on what they relied on.
    Breaks,
    /// They may go on.
    Adds,
    /// Only words changed.
    Words,
}

impl ContractReading {
    /// Whether it keeps its limits, whatever the worker was made to say.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let counts = [self.faults.len(), self.notes.len(), self.tables.len(), self.changes.len()];
        let issues = self.faults.iter().chain(&self.notes).flat_map(|issue| [&issue.at, &issue.problem]);
        let changes =
            self.changes.iter().flat_map(|change| std::iter::once(&change.at).chain(&change.before).chain(&change.after));
        let mut texts = issues.chain(changes).chain(self.tables.iter().map(|table| &table.name)).chain(&self.in_force_fault);
        counts.into_iter().all(|count| count <= READING_LINE_COUNT_MAX) && texts.all(|text| text.len() <= READING_TEXT_BYTES_MAX)
    }
}

impl crate::task::Task for ContractJob {
    fn frame(&self) -> Result<Vec<u8>, crate::frame::FrameError> {
        crate::frame::contract_frame(self)
    }

    fn file(&self, _: usize) -> Option<&crate::job::FileSpec> {
        None
    }

    fn file_count(&self) -> usize {
        0
    }

    fn limits(&self) -> crate::task::TaskLimits {
        crate::task::TaskLimits {
            read_bytes_max: 0,
            write_bytes_max: 0,
            cpu_seconds_max: CPU_SECONDS_MAX,
            wall_seconds_max: WALL_SECONDS_MAX,
            memory_bytes_max: MEMORY_BYTES_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_beyond_its_limits_is_known() {
        let issue = |text: String| ContractIssue { problem: text, ..ContractIssue::default() };
        let fits = ContractReading { faults: vec![issue("x".repeat(READING_TEXT_BYTES_MAX)); 3], ..ContractReading::default() };
        assert!(fits.is_bounded() && ContractReading::default().is_bounded());
        assert!(!ContractReading { notes: vec![issue("x".repeat(READING_TEXT_BYTES_MAX + 1))], ..fits.clone() }.is_bounded());
        assert!(!ContractReading { faults: vec![issue(String::new()); READING_LINE_COUNT_MAX + 1], ..fits }.is_bounded());
    }
}
