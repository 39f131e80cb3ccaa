//! The few calls that std has no words for.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::JailLimits;

/// Namespaces of its own, but for those of time and of control groups.
const NAMESPACES: i32 =
    libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

fn checked(answer: i32) -> io::Result<i32> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Leaves the namespaces of whoever started this process.
#[expect(unsafe_code, reason = "unshare has no safe wrapper in std; it takes a number")]
pub(crate) fn unshare() -> io::Result<()> {
    // SAFETY: a number; the process has one thread.
    checked(unsafe { libc::unshare(NAMESPACES) }).map(drop)
}

/// The user and group of this process.
#[expect(unsafe_code, reason = "geteuid and getegid have no safe wrapper in std and cannot fail")]
pub(crate) fn user_and_group() -> (u32, u32) {
    // SAFETY: neither takes anything.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// What `fork` made of this process.
pub(crate) enum Forked {
    Child,
    Parent(i32),
}

/// Doubles this process, which must have one thread.
#[expect(unsafe_code, reason = "the first process of a process namespace is made by fork and nothing else")]
pub(crate) fn fork() -> io::Result<Forked> {
    // SAFETY: there is one thread, so the child finds no lock held.
    match checked(unsafe { libc::fork() })? {
        0 => Ok(Forked::Child),
        child => Ok(Forked::Parent(child)),
    }
}

/// Waits for `child`, and for whatever else ends meanwhile; gives its exit code, as shells do: 128 and the signal.
#[expect(unsafe_code, reason = "std waits for its own children only; process 1 inherits others")]
pub(crate) fn wait_for(child: i32) -> io::Result<u8> {
    loop {
        let mut status = 0;
        // SAFETY: `status` lives for the whole call, which fills it.
        let ended = unsafe { libc::waitpid(-1, &raw mut status, 0) };
        if ended < 0 {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        }
        if ended != child {
            continue;
        }
        let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) };
        return Ok(u8::try_from(code).unwrap_or(u8::MAX));
    }
}

/// Ends when the parent does; no core dumps, no tracing by others of the same user.
#[expect(unsafe_code, reason = "prctl has no safe wrapper in std; these arguments are numbers")]
pub(crate) fn die_with_parent() -> io::Result<()> {
    // SAFETY: numbers only.
    unsafe {
        checked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))?;
        checked(libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0)).map(drop)
    }
}

fn text(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Makes changes of mounts stay inside.
#[expect(unsafe_code, reason = "mount has no safe wrapper in std; its texts outlive the call")]
pub(crate) fn keep_mounts_inside() -> io::Result<()> {
    let root = text(Path::new("/"))?;
    // SAFETY: null where no text is needed; `root` outlives the call.
    checked(unsafe {
        libc::mount(std::ptr::null(), root.as_ptr(), std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE, std::ptr::null())
    })
    .map(drop)
}

/// Makes every mount read-only but that of `folder`: Landlock knows nothing of modes, times and attributes of files, which whoever has
/// the same user id changes wherever they lie.
pub(crate) fn read_only_but(folder: &Path) -> io::Result<()> {
    bind_itself(folder)?;
    let closed = libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let open = libc::mount_attr { attr_set: 0, attr_clr: libc::MOUNT_ATTR_RDONLY, propagation: 0, userns_fd: 0 };
    change_mount(Path::new("/"), libc::AT_RECURSIVE, &closed)?;
    change_mount(folder, 0, &open)
}

/// Gives `folder` a mount of its own.
#[expect(unsafe_code, reason = "mount has no safe wrapper in std; its texts outlive the call")]
fn bind_itself(folder: &Path) -> io::Result<()> {
    let folder = text(folder)?;
    // SAFETY: null where no text is needed; `folder` outlives the call.
    checked(unsafe { libc::mount(folder.as_ptr(), folder.as_ptr(), std::ptr::null(), libc::MS_BIND, std::ptr::null()) }).map(drop)
}

#[expect(unsafe_code, reason = "mount_setattr has no safe wrapper in std; text and struct outlive the call")]
fn change_mount(path: &Path, flags: i32, to: &libc::mount_attr) -> io::Result<()> {
    let path = text(path)?;
    // SAFETY: `path` and `to` outlive the call, which reads as many bytes of `to` as it is told.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            std::ptr::from_ref(to),
            std::mem::size_of::<libc::mount_attr>(),
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Mounts a file system of `kind` over `path`.
#[expect(unsafe_code, reason = "mount has no safe wrapper in std; its texts outlive the call")]
pub(crate) fn mount(kind: &str, path: &Path, options: &str) -> io::Result<()> {
    let (kind, path, options) = (text(Path::new(kind))?, text(path)?, text(Path::new(options))?);
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    // SAFETY: all three texts outlive the call.
    checked(unsafe { libc::mount(kind.as_ptr(), path.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast()) }).map(drop)
}

/// Brings the loopback of this network up.
#[expect(unsafe_code, reason = "a network device is switched on by an ioctl and nothing else")]
pub(crate) fn loopback_up() -> io::Result<()> {
    // SAFETY: `request` is plain numbers, for which zero is a value, and outlives both calls; the descriptor is closed once.
    unsafe {
        let socket = checked(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0))?;
        let mut request: libc::ifreq = std::mem::zeroed();
        for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
            *place = (*byte).cast_signed();
        }
        let asked = checked(libc::ioctl(socket, libc::SIOCGIFFLAGS as _, &raw mut request)).and_then(|_| {
            request.ifr_ifru.ifru_flags |= i16::try_from(libc::IFF_UP).unwrap_or(1);
            checked(libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request))
        });
        libc::close(socket);
        asked.map(drop)
    }
}

/// Puts the limits on this process and all that it makes.
pub(crate) fn limit(limits: &JailLimits) -> io::Result<()> {
    set(libc::RLIMIT_CPU, limits.cpu_seconds_max)?;
    set(libc::RLIMIT_DATA, limits.memory_bytes_max)?;
    set(libc::RLIMIT_FSIZE, limits.file_bytes_max)?;
    set(libc::RLIMIT_NOFILE, limits.descriptor_count_max)?;
    set(libc::RLIMIT_NPROC, limits.process_count_max)?;
    set(libc::RLIMIT_CORE, 0)
}

#[expect(unsafe_code, reason = "setrlimit has no safe wrapper in std; it takes a number and a struct that outlives the call")]
fn set(resource: libc::__rlimit_resource_t, most: u64) -> io::Result<()> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `now` lives for both calls; the first fills it, the second reads it.
    unsafe {
        checked(libc::getrlimit(resource, &raw mut now))?;
        // What is limited further already stays so.
        let most = most.min(now.rlim_max);
        let value = libc::rlimit { rlim_cur: most, rlim_max: most };
        checked(libc::setrlimit(resource, &raw const value)).map(drop)
    }
}

/// Marks every descriptor but the first three to close when the program begins.
#[expect(unsafe_code, reason = "close_range has no safe wrapper in std; it takes numbers")]
pub(crate) fn close_others_at_exec() -> io::Result<()> {
    // SAFETY: numbers only; nothing is closed now.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Ends a process group at once; nothing happens if it is gone.
#[expect(unsafe_code, reason = "kill has no safe wrapper in std; it takes two numbers")]
pub(crate) fn kill_group(leader: u32) {
    if let Ok(leader @ 2..) = i32::try_from(leader) {
        // SAFETY: numbers only.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}
