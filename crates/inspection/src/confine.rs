//! Limits that the kernel enforces on a worker from its first instruction, whatever program it turns out to be.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Descriptors that a worker may hold: three pipes, and what loading a program opens for a moment. A program that opened files
/// of its own may hold so many besides.
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
/// file made longer. A process that `may_write` is one that a person started, with files that it holds open.
///
/// # Errors
/// If the kernel refuses one.
pub fn limit_this_process(limits: ProcessLimits, may_write: bool) -> io::Result<()> {
    let ProcessLimits { cpu_seconds_max, memory_bytes_max } = limits;
    let held = if may_write { held_descriptors()? } else { 0 };
    let descriptor_count_max = held.saturating_add(DESCRIPTOR_COUNT_MAX).min(hard_limit(libc::RLIMIT_NOFILE)?);
    limit(libc::RLIMIT_CPU, cpu_seconds_max, cpu_seconds_max.saturating_add(CPU_GRACE_SECONDS))?;
    limit(libc::RLIMIT_DATA, memory_bytes_max, memory_bytes_max)?;
    limit(libc::RLIMIT_NOFILE, descriptor_count_max, descriptor_count_max)?;
    limit(libc::RLIMIT_CORE, 0, 0)?;
    if !may_write {
        limit(libc::RLIMIT_FSIZE, 0, 0)?;
    }
    limit(libc::RLIMIT_MEMLOCK, 0, 0)
}

/// How many descriptors are open, if they were opened one after the other: the lowest number that is free.
fn held_descriptors() -> io::Result<u64> {
    let next = io::stdin().as_fd().try_clone_to_owned()?;
    Ok(u64::try_from(next.as_raw_fd()).unwrap_or(0))
}

#[expect(unsafe_code, reason = "getrlimit has no safe wrapper in std; it fills a struct that outlives the call")]
fn hard_limit(resource: libc::__rlimit_resource_t) -> io::Result<u64> {
    let mut value = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `value` lives for the whole call, which only fills it.
    if unsafe { libc::getrlimit(resource, &raw mut value) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value.rlim_max)
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
