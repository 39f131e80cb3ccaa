//! The verbs.

mod create;
mod delete;
mod experiments;
mod get;
mod records;
mod search;
mod tag;

use gate::{Action, Permit};
use kernel::{Micros, Problem, hex, sha256};

use crate::types::no_dataset;

pub use create::CreateDataset;
pub use delete::{DeleteDataset, DeleteRecords};
pub use experiments::{AddExperiments, RemoveExperiments};
pub use get::{GetDataset, GetRecords};
pub use records::UpsertRecords;
pub use search::SearchDatasets;
pub use tag::{DeleteTag, SetTags};

/// Makes a dataset.
pub const CREATE: Action = Action::write("evaluation.create");
/// Reads a dataset and its records.
pub const GET: Action = Action::read("evaluation.get");
/// Lists datasets.
pub const SEARCH: Action = Action::read("evaluation.search");
/// Joins a dataset to experiments, or parts it from them.
pub const UPDATE: Action = Action::write("evaluation.update");
/// Sets or removes a dataset's tags.
pub const TAG: Action = Action::write("evaluation.tag");
/// Adds and changes records.
pub const LOG: Action = Action::write("evaluation.log");
/// Deletes a dataset or some of its records for good.
pub const DELETE: Action = Action::write("evaluation.delete");

/// The dataset's row that the gate found.
fn dataset_row<O>(permit: &Permit<O>, dataset_id: &str) -> Result<i64, Problem> {
    permit.facts().row.filter(|_| permit.facts().exists).ok_or_else(|| no_dataset(dataset_id))
}

/// The dataset's digest: another one after each change. MLflow shows 8 digits.
fn digest(name: &str, at: Micros) -> String {
    let mut digest = hex(&sha256(format!("{name}:{}", at.as_millis()).as_bytes()));
    digest.truncate(8);
    digest
}
