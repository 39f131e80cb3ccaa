//! What signed statements say: where a model comes from, how tests ended, what a scan found, what was decided.

mod provenance;
mod reference;
mod scan;
mod summary;
mod test_result;

pub use provenance::{BuildDefinition, BuildMetadata, Builder, Provenance, RunDetails};
pub use reference::{Attester, References};
pub use scan::{ScanAttribute, ScanReport};
pub use summary::{PolicyResult, VerificationSummary, Verifier};
pub use test_result::{Outcome, TestResult};

#[cfg(test)]
mod tests;
