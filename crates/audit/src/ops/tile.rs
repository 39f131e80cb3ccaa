//! Raw tiles and bundles, for mirrors and independent verifiers.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::error::AuditError;
use crate::ops::blocking;
use crate::room::Audit;
use crate::tiles::{TilePath, tile_width};

/// Reads one tile or bundle.
pub struct ReadTile {
    /// The room.
    pub room: Audit,
    /// Which one: parsed from `tile/<level>/<n>` or `tile/entries/<n>`.
    pub path: TilePath,
}

impl Operation for ReadTile {
    const ACTION: Action = Action::read("audit.tile");
    /// Its bytes, exactly as they lie on disk.
    type Output = Vec<u8>;

    fn target(&self) -> Target {
        Target::AuditLog
    }

    async fn run(self, _permit: Permit<Self>) -> Result<Vec<u8>, Problem> {
        let (log, path) = (self.room.log, self.path);
        blocking(move || {
            let (checkpoint, _, tiles) = log.tree()?;
            let (level, index) = match path {
                TilePath::Hashes { level, index, .. } => (level, index),
                TilePath::Entries { index, .. } => (0, index),
            };
            // Nothing is served that no checkpoint covers.
            if path.width() > tile_width(level, index, checkpoint.size) {
                return Err(AuditError::NoSuchRecord(path.to_string()).into());
            }
            Ok(tiles.raw(path)?)
        })
        .await
    }
}
