//! How this device is, as far as a program of its user can tell on Linux. What cannot be told stays unknown, which counts as out of order.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use devices::posture::Facts;

use super::disks;

const DAY: Duration = Duration::from_secs(86_400);
/// UEFI's variable that says whether boot was verified: four bytes of attributes, then one of value (UEFI Specification, section 3.3).
const SECURE_BOOT: &str = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// What changes when the lists of updates are read: apt's, then dnf's.
const UPDATE_LISTS: [&str; 4] =
    ["var/lib/apt/periodic/update-success-stamp", "var/lib/apt/lists", "var/cache/libdnf5", "var/cache/dnf"];
/// A screen that locks later than this is as good as one that does not.
const IDLE_SECONDS_MAX: u32 = 900;

/// Where a device's files begin, and how its programs are run.
pub struct Probe {
    root: PathBuf,
    run: fn(&str, &[&str]) -> Option<String>,
}

impl Probe {
    /// This machine.
    #[must_use]
    pub fn here() -> Self {
        Self { root: PathBuf::from("/"), run }
    }

    /// All that can be told.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let release = self.text("etc/os-release").or_else(|| self.text("usr/lib/os-release")).unwrap_or_default();
        let field = |name: &str| {
            let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
            Some(value.trim_matches(['"', '\'']).chars().take(100).collect::<String>())
        };
        Facts {
            os: field("NAME"),
            os_version: field("VERSION_ID"),
            kernel: self.text("proc/sys/kernel/osrelease").map(|text| text.trim().chars().take(100).collect()),
            security_updates: self.security_updates(),
            updated_days: self.updated_days(SystemTime::now()),
            disk_encryption: disks::is_encrypted(&self.root),
            firewall: self.firewall(),
            screen_lock: self.screen_lock(),
            secure_boot: self.secure_boot(),
            agent: Some(env!("CARGO_PKG_VERSION").to_owned()),
        }
    }

    /// How many security updates wait, by the lists that are there: apt's archive names end with `-security`, dnf's advisories have a kind.
    fn security_updates(&self) -> Option<u32> {
        let counted = |lines: usize| u32::try_from(lines).ok();
        if let Some(said) = (self.run)("apt-get", &["-s", "-o", "Debug::NoLocking=true", "dist-upgrade"]) {
            let wait = said.lines().filter(|line| line.starts_with("Inst ") && line.to_ascii_lowercase().contains("-security"));
            return counted(wait.count());
        }
        let said = (self.run)("dnf", &["-q", "-C", "updateinfo", "list", "--security"])?;
        counted(said.lines().filter(|line| line.contains('/') || line.contains("Sec.")).count())
    }

    fn updated_days(&self, now: SystemTime) -> Option<u32> {
        let read_at = UPDATE_LISTS.iter().find_map(|path| fs::metadata(self.root.join(path)).ok()?.modified().ok())?;
        let age = now.duration_since(read_at).unwrap_or_default();
        u32::try_from(age.as_secs() / DAY.as_secs()).ok()
    }

    /// Whether something decides what comes in: ufw or firewalld, if they are switched on, else the kernel's own rules, which only root sees.
    fn firewall(&self) -> Option<bool> {
        if self.text("etc/ufw/ufw.conf").is_some_and(|text| text.lines().any(|line| line.trim() == "ENABLED=yes")) {
            return Some(true);
        }
        if (self.run)("firewall-cmd", &["--state"]).is_some_and(|said| said.trim() == "running") {
            return Some(true);
        }
        let rules = (self.run)("nft", &["list", "ruleset"])?;
        Some(drops_input(&rules))
    }

    /// GNOME's and its kin's settings, of the person who runs the agent.
    fn screen_lock(&self) -> Option<bool> {
        let setting = |schema: &str, key: &str| (self.run)("gsettings", &["get", schema, key]).map(|said| said.trim().to_owned());
        let locks = setting("org.gnome.desktop.screensaver", "lock-enabled")?;
        let idle = setting("org.gnome.desktop.session", "idle-delay")?;
        let seconds: u32 = idle.rsplit(' ').next()?.parse().ok()?;
        Some(locks == "true" && (1..=IDLE_SECONDS_MAX).contains(&seconds))
    }

    fn secure_boot(&self) -> Option<bool> {
        let bytes = fs::read(self.root.join(SECURE_BOOT)).ok()?;
        match bytes.as_slice() {
            [_, _, _, _, value] => Some(*value == 1),
            _ => None,
        }
    }

    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }
}

/// Whether a chain at the hook of incoming packets drops what no rule lets in.
fn drops_input(rules: &str) -> bool {
    let hook = rules.lines().map(str::trim).find(|line| line.starts_with("type filter hook input"));
    hook.is_some_and(|line| line.contains("policy drop"))
}

/// What a program says, if it is there and ends well. Words of the person's language would not be understood.
fn run(program: &str, words: &[&str]) -> Option<String> {
    let found = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())?;
    let ran = Command::new(found).args(words).env("LC_ALL", "C").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    ran.status.success().then(|| String::from_utf8_lossy(&ran.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &[u8])], run: fn(&str, &[&str]) -> Option<String>) -> (tempfile::TempDir, Probe) {
        let root = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let probe = Probe { root: root.path().to_path_buf(), run };
        (root, probe)
    }

    #[test]
    fn a_machine_in_order() {
        let run = |program: &str, words: &[&str]| {
            let said = match (program, words.last().copied().unwrap_or_default()) {
                ("apt-get", _) => {
                    "Inst a [1] (2 Debian:12/stable [amd64])\nInst b [1] (2 Debian-Security:12/stable-security [amd64])\nConf b"
                }
                ("gsettings", "lock-enabled") => "true\n",
                ("gsettings", "idle-delay") => "uint32 300\n",
                ("nft", _) => "table inet filter {\n chain input {\n  type filter hook input priority 0; policy drop;\n }\n}\n",
                _ => return None,
            };
            Some(said.to_owned())
        };
        let files: [(&str, &[u8]); 4] = [
            ("etc/os-release", b"NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n"),
            ("proc/sys/kernel/osrelease", b"6.1.0-28-amd64\n"),
            (SECURE_BOOT, &[6, 0, 0, 0, 1]),
            ("var/lib/apt/lists/one", b""),
        ];
        let (_root, probe) = machine(&files, run);
        let facts = probe.facts();
        assert_eq!((facts.os.as_deref(), facts.os_version.as_deref()), (Some("Debian GNU/Linux"), Some("12")));
        assert_eq!(facts.kernel.as_deref(), Some("6.1.0-28-amd64"));
        assert_eq!((facts.security_updates, facts.updated_days), (Some(1), Some(0)));
        assert_eq!((facts.firewall, facts.screen_lock, facts.secure_boot), (Some(true), Some(true), Some(true)));
        assert_eq!(facts.disk_encryption, None);
        assert_eq!(probe.updated_days(SystemTime::now() + DAY * 9), Some(9));
        assert!(facts.is_bounded());
    }

    #[test]
    fn a_machine_that_tells_nothing_and_one_that_is_not_in_order() {
        let (_root, probe) = machine(&[], |_, _| None);
        assert_eq!(probe.facts(), Facts { agent: Some(env!("CARGO_PKG_VERSION").to_owned()), ..Facts::default() });
        let run = |program: &str, words: &[&str]| match (program, words.last().copied().unwrap_or_default()) {
            ("gsettings", "lock-enabled") => Some("true".to_owned()),
            ("gsettings", "idle-delay") => Some("uint32 0".to_owned()),
            ("nft", _) => {
                Some("table inet f {\n chain c {\n  type filter hook input priority 0; policy accept;\n }\n}".to_owned())
            }
            _ => None,
        };
        let (_root, probe) = machine(&[(SECURE_BOOT, &[6, 0, 0, 0, 0])], run);
        let facts = probe.facts();
        assert_eq!((facts.firewall, facts.screen_lock, facts.secure_boot), (Some(false), Some(false), Some(false)));
        let (_root, probe) = machine(&[(SECURE_BOOT, &[1]), ("etc/ufw/ufw.conf", b"ENABLED=yes\n")], |_, _| None);
        assert_eq!((probe.facts().firewall, probe.facts().secure_boot), (Some(true), None));
    }
}
