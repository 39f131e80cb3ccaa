//! Which paths stay open (Landlock).

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::JailSpec;

/// The newest interface that this was written for.
const NEWEST: ABI = ABI::V6;

/// The system's programs and libraries, and the few files of `/etc` that they ask for. None of them holds a secret.
pub(crate) const SYSTEM: [&str; 22] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/mime.types",
    "/etc/fonts",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
];
/// Folders of `/etc` whose names carry a version.
const SYSTEM_BEGINNINGS: [(&str, &str); 1] = [("/etc", "python")];
/// Devices that anybody may use.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
const SHARED_MEMORY: &str = "/dev/shm";

/// Takes all paths away but those of the spec; gives the interface's version, 0 where there is none.
pub(crate) fn lock(spec: &JailSpec, own_proc: bool) -> Result<u32, String> {
    let refused = |error: &dyn std::fmt::Display| format!("Landlock: {error}");
    let read = AccessFs::from_read(NEWEST);
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .map_err(|error| refused(&error))?;
    for path in SYSTEM.iter().map(PathBuf::from).chain(versioned()) {
        rules = open(rules, &path, read)?;
    }
    for path in &spec.readable {
        rules = open(rules, path, read)?;
    }
    if own_proc {
        rules = open(rules, Path::new("/proc"), read)?;
        rules = open(rules, Path::new(SHARED_MEMORY), AccessFs::from_all(NEWEST))?;
    }
    for path in DEVICES {
        rules = open(rules, Path::new(path), AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev)?;
    }
    rules = open(rules, &spec.folder, AccessFs::from_all(NEWEST))?;
    let port = NetPort::new(spec.relay.port, AccessNet::ConnectTcp);
    let status = rules.add_rule(port).and_then(RulesetCreated::restrict_self).map_err(|error| refused(&error))?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced, LandlockStatus::Available { effective_abi, .. }) => {
            Ok(effective_abi as u32)
        }
        (_, state) => Err(refused(&format!("the kernel does not have it ({state:?})"))),
    }
}

fn versioned() -> impl Iterator<Item = PathBuf> {
    SYSTEM_BEGINNINGS.iter().flat_map(|(folder, beginning)| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter(move |entry| entry.file_name().to_string_lossy().starts_with(beginning)).map(|entry| entry.path())
    })
}

/// Opens a path; what is not there needs no rule.
fn open(rules: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, String> {
    let failed = |error: &dyn std::fmt::Display| format!("Landlock: `{}`: {error}", path.display());
    let Ok(opened) = PathFd::new(path) else { return Ok(rules) };
    // Rights of folders on a file are an error.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    rules.add_rule(PathBeneath::new(opened, access)).map_err(|error| failed(&error))
}
