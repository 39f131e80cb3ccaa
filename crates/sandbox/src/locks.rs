//! Locks this process in, for good: no files, no network, no other programs, no more than the computing it is here for.
//!
//! Two locks, each enough by itself for most: Landlock takes away all paths, TCP, and sockets and signals to others; seccomp
//! lets through only the system calls that computing over open descriptors needs. A call that asks for a file or a fact
//! of the system is refused (library code does ask, and copes); any other call kills the process.

use std::collections::BTreeMap;

use inspection::Confinement;
use landlock::{ABI, Access, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr, RulesetStatus, Scope};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Compare, SeccompCondition as Condition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::system;

/// `prctl` option by which threads are named.
const SET_NAME: u64 = libc::PR_SET_NAME as u64;
/// `prctl` option by which glibc names its memory.
const SET_VMA: u64 = 0x5356_4d41;

/// Locks this process in. Called before threads are made: what is not the calling thread's child would stay outside.
///
/// # Errors
/// What is not in force, unless `allow_insecure` lets the process go on without; then the confinement says it.
pub fn confine(allow_insecure: bool) -> Result<Confinement, String> {
    let mut confinement = Confinement { rlimits: system::is_limited(), ..Confinement::default() };
    let mut missing = Vec::new();
    match system::hide_memory() {
        Ok(()) => confinement.not_dumpable = true,
        Err(error) => missing.push(format!("its memory cannot be hidden: {error}")),
    }
    match lock_paths() {
        Ok((abi, no_new_privs)) => (confinement.landlock_abi, confinement.no_new_privs) = (abi, no_new_privs),
        Err(error) => missing.push(error),
    }
    match lock_calls() {
        Ok(()) => (confinement.seccomp, confinement.no_new_privs) = (true, true),
        Err(error) => missing.push(error),
    }
    if !confinement.rlimits {
        missing.push("memory is not limited".to_owned());
    }
    if missing.is_empty() || allow_insecure { Ok(confinement) } else { Err(missing.join("; ")) }
}

/// Takes all paths away, and what else this kernel's Landlock can; gives its interface's version.
pub(crate) fn lock_paths() -> Result<(u32, bool), String> {
    let refused = |error: &dyn std::fmt::Display| format!("Landlock: {error}");
    let newest = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(newest)))
        .and_then(|rules| rules.scope(Scope::from_all(newest)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|error| refused(&error))?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced, LandlockStatus::Available { effective_abi, .. }) => {
            Ok((effective_abi as u32, status.no_new_privs))
        }
        (_, state) => Err(refused(&format!("the kernel does not have it ({state:?})"))),
    }
}

/// Lets through only the system calls that computing needs.
fn lock_calls() -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("seccomp: {error}");
    // The last one in is the allow-list: after it no filter could be added. The strictest answer of all filters counts.
    install(only(&[libc::SYS_clone3]), SeccompAction::Allow, SeccompAction::Errno(errno(libc::ENOSYS)))
        .map_err(|error| failed(&error))?;
    install(only(&asking()), SeccompAction::Allow, SeccompAction::Errno(errno(libc::EACCES))).map_err(|error| failed(&error))?;
    let allowed = allowed().map_err(|error| failed(&error))?;
    install(allowed, SeccompAction::KillProcess, SeccompAction::Allow).map_err(|error| failed(&error))
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn install(rules: Rules, otherwise: SeccompAction, on_match: SeccompAction) -> Result<(), Box<dyn std::error::Error>> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let program: BpfProgram = SeccompFilter::new(rules, otherwise, on_match, arch)?.try_into()?;
    seccompiler::apply_filter(&program)?;
    Ok(())
}

fn only(calls: &[i64]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

fn errno(number: i32) -> u32 {
    number.unsigned_abs()
}

/// Calls by which libraries ask for files and facts. They are refused, not fatal.
fn asking() -> Vec<i64> {
    let mut calls = vec![
        libc::SYS_openat,
        libc::SYS_faccessat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_readlinkat,
        libc::SYS_getcwd,
        libc::SYS_ioctl,
        libc::SYS_sysinfo,
        libc::SYS_uname,
    ];
    #[cfg(target_arch = "x86_64")]
    calls.extend([libc::SYS_open, libc::SYS_access, libc::SYS_stat, libc::SYS_lstat, libc::SYS_readlink]);
    calls.sort_unstable();
    calls
}

/// Calls that computing over open descriptors needs.
fn allowed() -> Result<Rules, Box<dyn std::error::Error>> {
    let mut rules = only(&[
        // Open descriptors: pipes, and in local use files.
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_pread64,
        libc::SYS_lseek,
        libc::SYS_fstat,
        libc::SYS_close,
        // Memory.
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        // Threads and locks.
        libc::SYS_futex,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_membarrier,
        // Time, randomness, accounting.
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_getrandom,
        libc::SYS_getrusage,
        // The end.
        libc::SYS_exit,
        libc::SYS_exit_group,
    ]);
    // Refused by the other filters; let through here so that it is not fatal.
    rules.extend(only(&asking()));
    rules.insert(libc::SYS_clone3, Vec::new());
    // Threads of this process only: CLONE_THREAD, and nothing that makes a namespace.
    let thread = u64::try_from(libc::CLONE_THREAD)?;
    rules.insert(
        libc::SYS_clone,
        vec![SeccompRule::new(vec![Condition::new(0, Width::Qword, Compare::MaskedEq(thread), thread)?])?],
    );
    // No memory that can be run.
    let run = u64::try_from(libc::PROT_EXEC)?;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![SeccompRule::new(vec![Condition::new(2, Width::Dword, Compare::MaskedEq(run), 0)?])?]);
    }
    // Names only.
    let first = |value| SeccompRule::new(vec![Condition::new(0, Width::Dword, Compare::Eq, value)?]);
    rules.insert(libc::SYS_prctl, vec![first(SET_NAME)?, first(SET_VMA)?]);
    // Whether a descriptor is open, which std asks before it closes one.
    let is_open = u64::try_from(libc::F_GETFD)?;
    rules.insert(libc::SYS_fcntl, vec![SeccompRule::new(vec![Condition::new(1, Width::Dword, Compare::Eq, is_open)?])?]);
    // Signals to this process only: `abort` sends one.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![first(own)?]);
    Ok(rules)
}
