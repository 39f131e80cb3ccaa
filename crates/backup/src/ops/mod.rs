//! The verbs.

mod approve;
mod escrow;
mod list;
mod make;
mod run;
mod verify;

use gate::Action;

pub use approve::{ApproveRestore, ListRequests, RequestRestore};
pub use escrow::ExportKey;
pub use list::{ListRuns, ShowRun};
pub use make::{MakeBackup, TryRestore};
pub use run::{DrillBackup, RunBackup};
pub use verify::VerifyBackup;

/// Asks for a backup.
pub const RUN: Action = Action::write("backups.run");
/// Asks for a drill.
pub const DRILL: Action = Action::write("backups.drill");
/// Lists backups and drills.
pub const LIST: Action = Action::read("backups.list");
/// Shows one.
pub const SHOW: Action = Action::read("backups.show");
/// Reads a backup whole and checks it.
pub const VERIFY: Action = Action::read("backups.verify");
/// Hands out the backup key, once.
pub const ESCROW: Action = Action::write("backups.escrow");
/// Asks for leave to restore.
pub const REQUEST: Action = Action::write("backups.request_restore");
/// Gives it.
pub const APPROVE: Action = Action::write("backups.approve_restore");
/// Lists who asked and who gave leave.
pub const REQUESTS: Action = Action::read("backups.requests");
/// The job makes a backup.
pub const MAKE: Action = Action::write("backups.make");
/// The job tries a restore.
pub const TRY: Action = Action::write("backups.try");
