//! Segments in advance: a spare one, so that a full segment costs no wait, and the ballast, so that a full disk can
//! still be recorded.

use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::bytes::first_nonzero;
use crate::disk::Disk;
use crate::error::AuditError;

const RETRY_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Stock {
    spare: bool,
    ballast: bool,
    stop: bool,
}

pub(crate) struct Spares {
    folder: PathBuf,
    disk: Disk,
    spare_bytes: u64,
    ballast_bytes: u64,
    stock: Mutex<Stock>,
    changed: Condvar,
}

impl Spares {
    /// Takes stock of what an earlier run left. Only the first block is looked at: `verify` reads all.
    pub(crate) fn open(folder: &Path, disk: Disk, spare_bytes: u64, ballast_bytes: u64) -> Self {
        let usable = |path: &Path, size_bytes: u64| {
            let fits = std::fs::metadata(path).is_ok_and(|found| found.len() == size_bytes);
            let clean = fits && first_block(path).is_ok_and(|block| first_nonzero(&block).is_none());
            if !clean {
                drop(std::fs::remove_file(path));
            }
            clean
        };
        let spare = usable(&folder.join("spare.wal"), spare_bytes);
        let ballast = usable(&folder.join("ballast.wal"), ballast_bytes);
        for left in ["unfinished.wal", "taken.wal", "starter.wal"] {
            // Left of a crash, if it is there at all.
            drop(std::fs::remove_file(folder.join(left)));
        }
        let stock = Mutex::new(Stock { spare, ballast, stop: false });
        Self { folder: folder.to_path_buf(), disk, spare_bytes, ballast_bytes, stock, changed: Condvar::new() }
    }

    pub(crate) fn has_spare(&self) -> bool {
        self.stock.lock().spare
    }

    /// The spare's path and size, if there is one. It is the taker's now.
    pub(crate) fn take_spare(&self) -> Option<(PathBuf, u64)> {
        let mut stock = self.stock.lock();
        let taken = std::mem::take(&mut stock.spare);
        self.changed.notify_all();
        self.give("spare.wal", self.spare_bytes, taken)
    }

    /// The ballast's path and size, if it is there. It is the taker's now.
    pub(crate) fn take_ballast(&self) -> Option<(PathBuf, u64)> {
        let mut stock = self.stock.lock();
        let taken = std::mem::take(&mut stock.ballast);
        self.changed.notify_all();
        self.give("ballast.wal", self.ballast_bytes, taken)
    }

    /// Renamed while the stock is locked: its old name is free for the next one at once.
    fn give(&self, name: &str, size_bytes: u64, taken: bool) -> Option<(PathBuf, u64)> {
        let given = self.folder.join("taken.wal");
        let renamed = taken && self.disk.rename(&self.folder.join(name), &given).is_ok();
        renamed.then_some((given, size_bytes))
    }

    pub(crate) fn stop(&self) {
        self.stock.lock().stop = true;
        self.changed.notify_all();
    }

    /// Keeps the stock full until told to stop.
    pub(crate) fn run(&self) {
        let mut complained = false;
        loop {
            let (spare, ballast) = {
                let mut stock = self.stock.lock();
                while stock.spare && stock.ballast && !stock.stop {
                    self.changed.wait(&mut stock);
                }
                if stock.stop {
                    return;
                }
                (stock.spare, stock.ballast)
            };
            let made = self.restock(spare, ballast);
            match made {
                Ok(()) => complained = false,
                Err(error) => {
                    if !complained {
                        tracing::error!(%error, "no spare segment could be made for the audit log; is the disk full?");
                        complained = true;
                    }
                    let mut stock = self.stock.lock();
                    if !stock.stop {
                        let _ = self.changed.wait_for(&mut stock, RETRY_INTERVAL);
                    }
                }
            }
        }
    }

    /// The ballast is small and comes first in need, but a log that lives on it needs the spare to get off it.
    fn restock(&self, spare: bool, ballast: bool) -> Result<(), AuditError> {
        if !spare {
            self.make("spare.wal", self.spare_bytes)?;
            self.stock.lock().spare = true;
        }
        if !ballast {
            self.make("ballast.wal", self.ballast_bytes)?;
            self.stock.lock().ballast = true;
        }
        Ok(())
    }

    fn make(&self, name: &str, size_bytes: u64) -> Result<(), AuditError> {
        let unfinished = self.folder.join("unfinished.wal");
        self.disk.allocate(&unfinished, size_bytes)?;
        self.disk.rename(&unfinished, &self.folder.join(name))?;
        self.disk.sync_folder(&self.folder)
    }
}

fn first_block(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut block = vec![0; 4096];
    std::fs::File::open(path)?.read_exact(&mut block)?;
    Ok(block)
}
