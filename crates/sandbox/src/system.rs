//! The few facts and switches that only the kernel has.

use std::io;

/// Takes away core dumps and tracing by other processes of the same user.
#[expect(unsafe_code, reason = "prctl has no safe wrapper in std; these arguments are numbers")]
pub(crate) fn hide_memory() -> io::Result<()> {
    // SAFETY: PR_SET_DUMPABLE takes one number and no pointer.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether memory is limited already, as it is where the server started this process.
#[expect(unsafe_code, reason = "getrlimit has no safe wrapper in std; it fills a struct that outlives the call")]
pub(crate) fn is_limited() -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` lives for the whole call, which fills it.
    let asked = unsafe { libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit) };
    asked == 0 && limit.rlim_max != libc::RLIM_INFINITY
}

/// Raises the number of descriptors to what is allowed, for folders of many files.
#[expect(unsafe_code, reason = "getrlimit and setrlimit have no safe wrapper in std; the struct outlives both calls")]
pub fn allow_many_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` lives for both calls; the first fills it, the second reads it.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// What this process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time of all threads.
    pub cpu_ms: u64,
    /// The most memory that was resident.
    pub memory_peak_bytes: u64,
}

/// What this process has used so far.
#[must_use]
#[expect(unsafe_code, reason = "getrusage has no safe wrapper in std; it fills a struct that outlives the call")]
pub fn usage() -> Usage {
    // SAFETY: `rusage` is plain numbers, for which zero is a value; the call fills it while it lives.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) != 0 {
            return Usage::default();
        }
        usage
    };
    let millis =
        |time: libc::timeval| u64::try_from(time.tv_sec.saturating_mul(1_000).saturating_add(time.tv_usec / 1_000)).unwrap_or(0);
    Usage {
        cpu_ms: millis(usage.ru_utime).saturating_add(millis(usage.ru_stime)),
        memory_peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1_024),
    }
}

/// Tries to make a process. For the self-test only: the child ends at once.
#[expect(unsafe_code, reason = "the self-test must make the very call that the sandbox forbids")]
pub(crate) fn fork() -> bool {
    // SAFETY: the child, if there is one, ends at once without touching anything.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(0),
            child => child > 0,
        }
    }
}

/// Tries to reach the parent with the signal that does nothing. For the self-test only.
#[expect(unsafe_code, reason = "the self-test must make the very call that the sandbox forbids")]
pub(crate) fn signal_parent() -> bool {
    // SAFETY: two numbers; signal 0 only asks whether it could be sent.
    unsafe { libc::kill(libc::getppid(), 0) == 0 }
}

/// Tries to get memory that can be run. For the self-test only.
#[expect(unsafe_code, reason = "the self-test must make the very call that the sandbox forbids")]
pub(crate) fn map_runnable_memory() -> bool {
    let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    // SAFETY: a new anonymous mapping, which nothing else knows or touches.
    unsafe {
        libc::mmap(std::ptr::null_mut(), 4_096, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) != libc::MAP_FAILED
    }
}
