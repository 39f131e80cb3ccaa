//! Which system calls are refused (seccomp).
//!
//! An interpreter and its libraries use most of them, so this names those that reach round the other locks: new namespaces
//! and mounts, other processes, the kernel itself, and every kind of socket but TCP and pairs of streams. They are refused, not
//! fatal: library code tries some, and copes.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Compare, SeccompCondition as Condition, SeccompFilter,
    SeccompRule, TargetArch,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Fault = Box<dyn std::error::Error>;

/// On x86-64 each call has a second number, for programs with short pointers.
#[cfg(target_arch = "x86_64")]
const OTHER_NUMBERS: Option<i64> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const OTHER_NUMBERS: Option<i64> = None;
/// The part of a socket's type that is its type.
const TYPE_MASK: u64 = 0xf;
/// `ioctl` by which a program types into its terminal.
const TYPE_INTO_TERMINAL: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// Flags of `clone` that make namespaces.
const NAMESPACE_FLAGS: [i32; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Never needed to compute.
const REFUSED: [i64; 42] = [
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_sethostname,
    libc::SYS_syslog,
    libc::SYS_fanotify_init,
];

/// Locks this process in, and all that it makes.
pub(crate) fn lock() -> Result<(), String> {
    let failed = |error: Fault| format!("seccomp: {error}");
    // Its flags lie in memory where a filter cannot look. Without it libraries use `clone`.
    let newer = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    install(newer, libc::ENOSYS).map_err(failed)?;
    install(refused().map_err(failed)?, libc::EPERM).map_err(failed)
}

fn install(mut rules: Rules, errno: i32) -> Result<(), Fault> {
    if let Some(offset) = OTHER_NUMBERS {
        let other: Rules = rules.iter().map(|(call, rules)| (call | offset, rules.clone())).collect();
        rules.extend(other);
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let refusal = SeccompAction::Errno(errno.unsigned_abs());
    let program: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch)?.try_into()?;
    seccompiler::apply_filter(&program)?;
    Ok(())
}

fn refused() -> Result<Rules, Fault> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let mut clones = Vec::new();
    for flag in NAMESPACE_FLAGS {
        let flag = u64::try_from(flag)?;
        clones.push(SeccompRule::new(vec![Condition::new(0, Width::Qword, Compare::MaskedEq(flag), flag)?])?);
    }
    rules.insert(libc::SYS_clone, clones);
    let (v4, v6, stream) = (u64::try_from(libc::AF_INET)?, u64::try_from(libc::AF_INET6)?, u64::try_from(libc::SOCK_STREAM)?);
    let mut sockets = vec![SeccompRule::new(vec![
        Condition::new(0, Width::Dword, Compare::Ne, v4)?,
        Condition::new(0, Width::Dword, Compare::Ne, v6)?,
    ])?];
    for kind in (0..=TYPE_MASK).filter(|kind| *kind != stream) {
        sockets.push(SeccompRule::new(vec![Condition::new(1, Width::Dword, Compare::MaskedEq(TYPE_MASK), kind)?])?);
    }
    rules.insert(libc::SYS_socket, sockets);
    // A pair of datagram sockets is no pair for long: each sends to every socket that has a path.
    let mut pairs = Vec::new();
    for kind in (0..=TYPE_MASK).filter(|kind| *kind != stream) {
        pairs.push(SeccompRule::new(vec![Condition::new(1, Width::Dword, Compare::MaskedEq(TYPE_MASK), kind)?])?);
    }
    rules.insert(libc::SYS_socketpair, pairs);
    let mut controls = Vec::new();
    for request in TYPE_INTO_TERMINAL {
        controls.push(SeccompRule::new(vec![Condition::new(1, Width::Dword, Compare::Eq, request)?])?);
    }
    rules.insert(libc::SYS_ioctl, controls);
    Ok(rules)
}
