//! Limits that the kernel enforces on a worker from its first instruction, whatever program it turns out to be.

use std::io;

/// Descriptors that a worker may hold: three pipes, and what loading a program opens for a moment.
const DESCRIPTOR_COUNT_MAX: u64 = 16;
/// Seconds between the polite signal and the deadly one when processor time is used up.
const CPU_GRACE_SECONDS: u64 = 5;

/// Limits of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Processor time of all threads.
    pub cpu_seconds_max: u64,
    /// Private writable memory.
    pub memory_bytes_max: u64,
}

/// Puts `limits` on this process for good: memory, processor time, descriptors, no core dump, and unless it `may_write` no
/// file made longer.
///
/// # Errors
/// If the kernel refuses one.
pub fn limit_this_process(limits: ProcessLimits, may_write: bool) -> io::Result<()> {
    let ProcessLimits { cpu_seconds_max, memory_bytes_max } = limits;
    limit(libc::RLIMIT_CPU, cpu_seconds_max, cpu_seconds_max.saturating_add(CPU_GRACE_SECONDS))?;
    limit(libc::RLIMIT_DATA, memory_bytes_max, memory_bytes_max)?;
    limit(libc::RLIMIT_NOFILE, DESCRIPTOR_COUNT_MAX, DESCRIPTOR_COUNT_MAX)?;
    limit(libc::RLIMIT_CORE, 0, 0)?;
    if !may_write {
        limit(libc::RLIMIT_FSIZE, 0, 0)?;
    }
    limit(libc::RLIMIT_MEMLOCK, 0, 0)
}

#[expect(unsafe_code, reason = "setrlimit has no safe wrapper in std; it takes a number and a struct that outlives the call")]
fn limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> io::Result<()> {
    let value = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `value` lives for the whole call, which only reads it.
    if unsafe { libc::setrlimit(resource, &raw const value) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Arranges that the child of `command` leads a session of its own, holds no descriptor but its three, and is limited.
#[expect(unsafe_code, reason = "what must happen between fork and exec can only be said to the kernel there")]
pub(crate) fn confine_child(command: &mut tokio::process::Command, limits: ProcessLimits) {
    // SAFETY: between fork and exec only system calls are made; nothing allocates, locks or unwinds.
    unsafe {
        command.pre_exec(move || {
            if libc::setsid() < 0 {
                return Err(io::Error::last_os_error());
            }
            // Marked to close at exec, not closed: std's own pipe that reports a failed exec is among them.
            if libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) < 0 {
                return Err(io::Error::last_os_error());
            }
            limit_this_process(limits, false)
        });
    }
}
