//! The tamper-evident log of every act: write-ahead segments with group commit, Merkle tiles, signed checkpoints, proofs,
//! verification, search and export.
//!
//! It is not a place for names, values or people: records hold ids, counts and digests. It is not the application's own
//! log (that is `tracing`), and it decides nothing about who may do what.
//!
//! How a record travels: an intent waits in `queue` until `wal` has made it durable in a `segment`; an outcome goes the
//! same way without anybody waiting, or comes out of the database by way of the `outbox`. `projector` follows the
//! segments, writes `tiles`, and signs a `checkpoint` every second. `recovery` compares all of that at start-up, `verify`
//! whenever it is asked to.
//!
//! INVARIANT: an act whose intent could not be made durable in bounded time does not happen. Held by `tests/it/faults.rs`.
//! INVARIANT: what was acknowledged is in the log after any crash, once. Held by `tests/it/crash.rs`, `tests/it/outbox.rs`.
//! INVARIANT: no byte of the log changes unseen. Held by `tests/it/flips.rs`.

mod blocking;
mod bytes;
pub mod checkpoint;
mod config;
mod disk;
mod error;
pub mod evidence;
mod hold;
mod index;
mod log;
pub mod merkle;
pub mod note;
mod ocsf;
pub mod ops;
mod outbox;
mod postings;
mod projection;
mod projector;
pub mod proof;
mod queue;
mod record;
mod recovery;
mod room;
mod search;
mod segment;
mod spare;
mod store;
pub mod tiles;
pub mod verify;
mod view;
mod wal;
mod witness;

pub use config::{AuditConfig, DiskAct, DiskFault, OnMismatch};
pub use error::AuditError;
pub use hold::{LogFile, LogHold, LogPoint, records_after, root_of_files};
pub use log::{AuditLog, LogStatus};
pub use ocsf::{event as ocsf_event, status as ocsf_status};
pub use queue::Health;
pub use room::{Audit, database_rows, known_checkpoint};
pub use search::{Filter, Hit, PAGE_COUNT_MAX, Page};
pub use store::CheckpointRow;
pub use view::{CallerView, RecordView};
pub use witness::{Witness, WitnessAnswer, cosigned_at};

use gate::{Action, Operation};

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[
    ops::Search::ACTION,
    ops::Prove::ACTION,
    ops::Export::ACTION,
    ops::TakeEvidence::ACTION,
    ops::Verify::ACTION,
    ops::ReadCheckpoint::ACTION,
    ops::ReadTile::ACTION,
];
