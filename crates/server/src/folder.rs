//! The data folder as other processes see it: whether it is whole, who has it open, where its server listens and by which names.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;

use kernel::{Kind, Problem};

use crate::config::Config;
use crate::tls::{file_problem, write_private};

/// Lies in a folder as long as `init` or `backup restore` works on it.
pub(crate) const UNFINISHED: &str = "unfinished";
/// Where the system says what this machine is called.
const HOST_NAME_FILE: &str = "/proc/sys/kernel/hostname";
/// Names by which a client on this machine may call the server.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Makes the folders of a new data folder, readable by this account only.
///
/// # Errors
/// `Conflict` if there is one already; `Internal` if it cannot be made.
pub(crate) fn make_folder(data: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::DirBuilderExt;
    if fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
        let message = format!("`{}` is not empty; choose a new folder", data.display());
        return Err(Problem::new(Kind::Conflict, message));
    }
    for folder in ["", "db", "keys", "objects", "audit", "tls"] {
        let path = data.join(folder);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|e| file_problem(&path, e))?;
    }
    Ok(())
}

/// Refuses what is not a whole data folder.
///
/// # Errors
/// `Invalid`, with what to do.
pub(crate) fn check_folder(data: &Path) -> Result<(), Problem> {
    let shown = data.display();
    if data.join(UNFINISHED).exists() {
        let is_restore = fs::read_to_string(data.join(UNFINISHED)).is_ok_and(|text| text.starts_with("restore "));
        let message = if is_restore {
            format!(
                "`strongroom backup restore` did not finish making `{shown}`; run it again with the same words, and it goes on"
            )
        } else {
            format!("`strongroom init` did not finish making `{shown}`; delete it and run `init` again")
        };
        return Err(Problem::invalid(message));
    }
    if !data.join("lock").is_file() {
        let message = format!("`{shown}` is not a data folder; make one with `strongroom init --data {shown}`");
        return Err(Problem::invalid(message));
    }
    Ok(())
}

/// Held as long as the folder is open.
pub(crate) fn lock(data: &Path) -> Result<File, Problem> {
    let path = data.join("lock");
    let file = File::options().read(true).write(true).open(&path).map_err(|error| {
        Problem::invalid(format!("`{}` cannot be opened by this account: {error}", path.display())).because(error)
    })?;
    file.try_lock().map_err(|_| {
        let message = format!("`{}` is open in another process; stop it, or talk to it with --url", data.display());
        Problem::new(Kind::Conflict, message)
    })?;
    Ok(file)
}

/// Writes down where commands on the same folder find this server. One that listens on every address is found on the loopback.
///
/// # Errors
/// `Internal` if the file cannot be written.
pub(crate) fn announce(data: &Path, bound: SocketAddr) -> Result<(), Problem> {
    let near = match bound {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, v6.port())),
        other => other,
    };
    write_private(&data.join("address"), &format!("https://{near}"))
}

/// Writes down where S3 is spoken.
///
/// # Errors
/// `Internal` if the file cannot be written.
pub(crate) fn announce_s3(data: &Path, bound: SocketAddr) -> Result<(), Problem> {
    write_private(&data.join("s3-address"), &format!("https://{bound}"))
}

/// Takes the announcement back.
pub(crate) fn withdraw(data: &Path) {
    // If it stays, commands find that nobody holds the lock and open the folder themselves.
    drop(fs::remove_file(data.join("address")));
    drop(fs::remove_file(data.join("s3-address")));
}

/// Where a server on this folder listens, if one does: the folder is locked and an address was announced.
#[must_use]
pub(crate) fn running_at(data: &Path) -> Option<String> {
    let file = File::options().read(true).write(true).open(data.join("lock")).ok()?;
    if file.try_lock().is_ok() {
        return None;
    }
    let url = fs::read_to_string(data.join("address")).ok()?;
    url.starts_with("https://").then(|| url.trim().to_owned())
}

/// Whether no process has the folder open.
#[must_use]
pub(crate) fn is_free(data: &Path) -> bool {
    lock(data).is_ok()
}

/// The host names that clients may use: the loopback's, the address listened on, the machine's, and those configured.
#[must_use]
pub(crate) fn host_names(config: &Config, bound: Option<SocketAddr>) -> Vec<String> {
    let mut names: Vec<String> = LOOPBACK_NAMES.iter().map(ToString::to_string).collect();
    if let Some(bound) = bound.filter(|bound| !bound.ip().is_unspecified()) {
        names.push(match bound {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        });
    }
    names.extend(own_name());
    names.extend(config.server.allowed_hosts.iter().cloned());
    names.sort();
    names.dedup();
    names
}

/// What this machine is called, if that can be a host name.
fn own_name() -> Option<String> {
    let text = fs::read_to_string(HOST_NAME_FILE).ok()?;
    let name = text.trim();
    let fits = |part: &str| {
        let inner = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        inner && !part.is_empty() && part.len() <= 63 && !part.starts_with('-') && !part.ends_with('-')
    };
    (name.len() <= 253 && name.split('.').all(fits)).then(|| name.to_owned())
}
