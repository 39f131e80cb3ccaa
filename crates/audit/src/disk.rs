//! The few things the log asks of a disk, in one place, so that a test can make each of them fail.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use crate::config::{DiskAct, DiskFault};
use crate::error::AuditError;

const ZEROS_BYTES: usize = 1024 * 1024;
/// A new segment is made durable in steps, so that filling it does not hold up the log's own writes.
const STEP_COUNT_PER_SYNC: u64 = 4;

#[derive(Clone)]
pub(crate) struct Disk {
    fault: Option<DiskFault>,
}

impl Disk {
    pub(crate) const fn new(fault: Option<DiskFault>) -> Self {
        Self { fault }
    }

    fn ask(&self, path: &Path, act: DiskAct) -> Result<(), AuditError> {
        self.fault.as_ref().map_or(Ok(()), |fault| fault(act)).map_err(AuditError::io(path))
    }

    /// Makes a private folder, with its parents.
    pub(crate) fn folder(&self, path: &Path) -> Result<(), AuditError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(AuditError::io(path))
    }

    /// Makes a file of `size_bytes` written zeros. Writing them, rather than reserving space, is what makes later syncs cheap
    /// and a full disk harmless.
    pub(crate) fn allocate(&self, path: &Path, size_bytes: u64) -> Result<(), AuditError> {
        let result = self.fill(path, size_bytes);
        if result.is_err() {
            drop(std::fs::remove_file(path));
        }
        result
    }

    fn fill(&self, path: &Path, size_bytes: u64) -> Result<(), AuditError> {
        let mut file = private(path)?;
        let zeros = vec![0_u8; ZEROS_BYTES];
        let (mut left, mut step) = (size_bytes, 0_u64);
        while left > 0 {
            self.ask(path, DiskAct::Allocate)?;
            let count = left.min(ZEROS_BYTES as u64);
            let part = zeros.get(..usize::try_from(count).unwrap_or(ZEROS_BYTES)).unwrap_or(&zeros);
            file.write_all(part).map_err(AuditError::io(path))?;
            left = left.saturating_sub(count);
            step = step.saturating_add(1);
            if step.is_multiple_of(STEP_COUNT_PER_SYNC) {
                file.sync_data().map_err(AuditError::io(path))?;
            }
        }
        file.sync_all().map_err(AuditError::io(path))
    }

    pub(crate) fn write_at(&self, file: &File, path: &Path, bytes: &[u8], offset_bytes: u64) -> Result<(), AuditError> {
        self.ask(path, DiskAct::Write)?;
        file.write_all_at(bytes, offset_bytes).map_err(AuditError::io(path))
    }

    pub(crate) fn sync(&self, file: &File, path: &Path) -> Result<(), AuditError> {
        self.ask(path, DiskAct::Sync)?;
        file.sync_data().map_err(AuditError::io(path))
    }

    pub(crate) fn sync_folder(&self, path: &Path) -> Result<(), AuditError> {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(AuditError::io(path))
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), AuditError> {
        std::fs::rename(from, to).map_err(AuditError::io(from))
    }

    /// Writes a projected file in place; it counts only once a checkpoint covers it.
    pub(crate) fn project(&self, path: &Path, bytes: &[u8]) -> Result<(), AuditError> {
        self.ask(path, DiskAct::Project)?;
        if std::fs::read(path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.folder(parent)?;
        }
        private(path)?.write_all(bytes).map_err(AuditError::io(path))
    }

    /// Replaces a small file so that a reader, or a crash, sees the old one or the new one.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), AuditError> {
        self.ask(path, DiskAct::Project)?;
        let new = path.with_extension("new");
        let mut file = private(&new)?;
        file.write_all(bytes).and_then(|()| file.sync_data()).map_err(AuditError::io(&new))?;
        self.rename(&new, path)?;
        path.parent().map_or(Ok(()), |parent| self.sync_folder(parent))
    }
}

fn private(path: &Path) -> Result<File, AuditError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(AuditError::io(path))
}
