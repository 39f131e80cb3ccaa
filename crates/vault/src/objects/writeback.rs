//! Asks the kernel to begin writing a file's new pages to the disk while more are made, so that the fsync at the end finds
//! little left. It promises nothing: durability is the fsync's.

use std::fs::File;
use std::os::fd::AsRawFd;

/// Starts writing `length` bytes from `offset`. A refusal is no error: the fsync does it all then.
#[expect(unsafe_code, reason = "sync_file_range has no safe wrapper; it takes an open descriptor and two numbers, no pointers")]
pub(super) fn begin(file: &File, offset: u64, length: u64) {
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else {
        return;
    };
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the call touches no memory of ours.
    let refused = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) } != 0;
    if refused {
        tracing::trace!("the file system does not write back early");
    }
}
