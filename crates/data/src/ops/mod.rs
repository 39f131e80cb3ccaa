//! The verbs.

mod check_contract;
mod clean;
mod commit;
mod contract;
mod decide;
mod diff;
mod discard;
mod export;
mod findings;
mod inspect;
mod left_out;
mod list;
mod open;
mod put;
mod query;
mod read;
mod run;
mod run_clean;
mod show;
mod sources;
mod sweep;
mod trained;
mod use_version;

use gate::Action;

pub use check_contract::{LintContract, Tried, TryContract};
pub use clean::{CleanVersion, Cleaned, RowsWish};
pub use commit::{Commit, Committed};
pub use contract::{ContractSet, ReadContract, SetContract};
pub use decide::{Admit, Decided, Refuse, Waive};
pub use diff::{Diff, Difference, Sided};
pub use discard::DiscardVersion;
pub use export::{Export, Exported};
pub use findings::{Document, Findings, Found, ReadDocument};
pub use inspect::{CancelInspection, QueueInspection};
pub use list::{DatasetPage, SearchDatasets};
pub use open::{OpenVersion, Opened};
pub use put::{PutFile, Stored};
pub use query::QueryVersion;
pub use read::ReadFile;
pub(crate) use run::file_specs;
pub use run::{BeginInspection, Ended, RunInspection};
pub use run_clean::RunCleaning;
pub use show::{AttestationKey, ShowDataset, ShowManifest, ShowVersion, Shown, VersionFiles, VersionPage};
pub use sources::{AddSource, ListSources, NewSource, RemoveSource};
pub use sweep::{SweepData, SweptData};
pub use trained::{ShowTrained, TrainedOn};
pub use use_version::UseVersion;

/// Opens a version, and makes the data set if there is none.
pub const OPEN: Action = Action::write("datasets.open");
/// Puts a file into an open version, or takes all out again with it.
pub const PUT: Action = Action::write("datasets.put");
/// Seals an open version.
pub const COMMIT: Action = Action::write("datasets.commit");
/// Has a version made that is another one without some rows.
pub const CLEAN: Action = Action::write("datasets.clean");
/// Lists data sets.
pub const SEARCH: Action = Action::read("datasets.search");
/// Shows a data set, a version, its manifest, or how it differs from another one.
pub const GET: Action = Action::read("datasets.get");
/// Shows what inspections found.
pub const FINDINGS: Action = Action::read("datasets.findings");
/// Reads a file, or asks a query.
pub const READ: Action = Action::read("datasets.read");
/// Takes a version out, with all that vouches for it.
pub const EXPORT: Action = Action::read("datasets.export");
/// Sets a data set's contract.
pub const CONTRACT: Action = Action::write("datasets.contract");
/// Reads a contract that somebody writes, and tries it on the newest version.
pub const CHECK: Action = Action::read("datasets.check");
/// Asks for an inspection.
pub const INSPECT: Action = Action::write("datasets.inspect");
/// Stops an inspection.
pub const CANCEL: Action = Action::write("datasets.cancel");
/// Lets a version in despite findings, for a while.
pub const WAIVE: Action = Action::write("datasets.waive");
/// Lets a version in that passed.
pub const ADMIT: Action = Action::write("datasets.admit");
/// Keeps a version out.
pub const REFUSE: Action = Action::write("datasets.refuse");
/// Lists trusted sources.
pub const SOURCES_LIST: Action = Action::read("sources.list");
/// Adds a trusted source.
pub const SOURCES_ADD: Action = Action::write("sources.add");
/// Takes a trusted source off the register.
pub const SOURCES_REMOVE: Action = Action::write("sources.remove");
/// The inspector takes an inspection up.
pub const BEGIN: Action = Action::write("inspections.begin");
/// The inspector does an inspection.
pub const RUN: Action = Action::write("inspections.run");
/// The inspector leaves rows out of a version.
pub const RUN_CLEANING: Action = Action::write("cleanings.run");
/// Shows what was trained on a version, and what is to be trained again.
pub const TRAINED: Action = Action::read("datasets.trained");
/// Takes away what was never committed, and ends waivers.
pub const SWEEP: Action = Action::write("datasets.sweep");
