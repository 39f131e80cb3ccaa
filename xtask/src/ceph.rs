//! A Ceph of one monitor, one OSD and one S3 gateway from Debian 12's packages, unpacked into the project's folder: the peer of
//! `bench objects`. It listens on the loopback only and speaks plain HTTP.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::postgres;
use crate::shell::{self, Service};

/// The programs, and those of their libraries that a Debian does not have by itself.
const PACKAGES: [&str; 30] = [
    "radosgw",
    "ceph-mon",
    "ceph-osd",
    "ceph-base",
    "ceph-common",
    "libboost-context1.74.0",
    "libboost-thread1.74.0",
    "libcephfs2",
    "libdaxctl1",
    "libfuse2",
    "libgoogle-perftools4",
    "liblua5.3-0",
    "libndctl6",
    "liboath0",
    "libpmem1",
    "librados2",
    "libradosstriper1",
    "librbd1",
    "librdmacm1",
    "libtcmalloc-minimal4",
    "librgw2",
    "libnvme1",
    "python3-ceph-argparse",
    "python3-ceph-common",
    "python3-cephfs",
    "python3-rados",
    "python3-rbd",
    "python3-rgw",
    "python3-prettytable",
    "python3-wcwidth",
];
const START_MAX: Duration = Duration::from_secs(120);
const BUCKET_KEY: &str = "benchkey";
const BUCKET_SECRET: &str = "bench-secret-of-the-loopback";

/// Where it keeps objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// In a file, written past the page cache and flushed before an answer: as durable as ours.
    BlueStore,
    /// In memory: gone with the process.
    MemStore,
}

impl Store {
    const fn word(self) -> &'static str {
        match self {
            Self::BlueStore => "bluestore",
            Self::MemStore => "memstore",
        }
    }

    /// What a reader of a row must know.
    pub const fn told(self) -> &'static str {
        match self {
            Self::BlueStore => "peer: Ceph RGW over plain HTTP, bluestore on a file (durable), no encryption, no log",
            Self::MemStore => "peer: Ceph RGW over plain HTTP, memstore (not durable), no encryption, no log",
        }
    }
}

/// A running one. It ends when this is dropped: the gateway first.
pub struct Ceph {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// A file with its access key, as the load generator reads it.
    pub key_file: PathBuf,
    /// Where the OSD keeps its file.
    pub data: PathBuf,
    _services: Vec<Service>,
}

struct Programs {
    root: PathBuf,
    conf: PathBuf,
}

impl Ceph {
    /// Starts one in `folder` with `bytes` of room.
    ///
    /// # Errors
    /// If the packages cannot be fetched, or it does not answer in time.
    pub fn start(folder: &Path, store: Store, bytes: u64) -> Result<Self, String> {
        let programs = Programs { root: unpacked()?, conf: folder.join("ceph.conf") };
        for name in ["mon", "osd", "rgw"] {
            let made = folder.join(name);
            std::fs::create_dir_all(&made).map_err(|error| format!("cannot make `{}`: {error}", made.display()))?;
        }
        let (monitor, gateway) = (postgres::free_port()?, postgres::free_port()?);
        let (fsid, osd) = (uuid()?, uuid()?);
        let lib = programs.root.join("usr/lib/x86_64-linux-gnu");
        let text = configuration(folder, &lib, store, bytes, &fsid, (monitor, gateway));
        std::fs::write(&programs.conf, text).map_err(|error| format!("cannot write the configuration: {error}"))?;
        let map = folder.join("monmap");
        shell::quiet(
            programs
                .bare("monmaptool")
                .args(["--create", "--clobber", "--fsid", &fsid, "--addv", "a"])
                .arg(format!("[v1:127.0.0.1:{monitor}]"))
                .arg(&map),
        )?;
        shell::quiet(programs.program("ceph-mon").args(["-i", "a", "--mkfs", "--monmap"]).arg(&map))?;
        let mut services = vec![programs.serve(folder, "ceph-mon", &["-i", "a", "-f"])?];
        let mut command = Command::new("/usr/bin/python3");
        programs.surround(&mut command);
        command.arg(programs.root.join("usr/bin/ceph")).arg("-c").arg(&programs.conf).args([
            "--connect-timeout",
            "60",
            "osd",
            "new",
            &osd,
        ]);
        command.env("PYTHONPATH", programs.root.join("usr/lib/python3/dist-packages")).env("PYTHONDONTWRITEBYTECODE", "1");
        shell::quiet(&mut command)?;
        shell::quiet(programs.program("ceph-osd").args(["-i", "0", "--mkfs", "--osd-uuid", &osd]))?;
        services.push(programs.serve(folder, "ceph-osd", &["-i", "0", "-f"])?);
        services.push(programs.serve(folder, "radosgw", &["-n", "client.rgw", "-f"])?);
        wait(gateway, folder)?;
        shell::quiet(programs.program("radosgw-admin").args([
            "user",
            "create",
            "--uid",
            "bench",
            "--display-name",
            "bench",
            "--access-key",
            BUCKET_KEY,
            "--secret-key",
            BUCKET_SECRET,
        ]))?;
        let key_file = folder.join("key.json");
        let key = serde_json::json!({"access_key_id": BUCKET_KEY, "secret_access_key": BUCKET_SECRET});
        std::fs::write(&key_file, key.to_string()).map_err(|error| format!("cannot write its key: {error}"))?;
        // The gateway was pushed last and must end first.
        services.reverse();
        Ok(Self { url: format!("http://127.0.0.1:{gateway}"), key_file, data: folder.join("osd"), _services: services })
    }
}

impl Programs {
    fn surround(&self, command: &mut Command) {
        let lib = self.root.join("usr/lib/x86_64-linux-gnu");
        let paths = [lib.clone(), lib.join("ceph"), self.root.join("lib/x86_64-linux-gnu")];
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        command.env("LD_LIBRARY_PATH", paths.join(":"));
    }

    fn bare(&self, name: &str) -> Command {
        let mut command = Command::new(self.root.join("usr/bin").join(name));
        self.surround(&mut command);
        command
    }

    fn program(&self, name: &str) -> Command {
        let mut command = self.bare(name);
        command.arg("-c").arg(&self.conf);
        command
    }

    fn serve(&self, folder: &Path, name: &str, words: &[&str]) -> Result<Service, String> {
        let log = std::fs::File::create(folder.join(format!("{name}.out"))).map_err(|error| error.to_string())?;
        let mut command = self.program(name);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).current_dir(folder);
        command.spawn().map(Service::new).map_err(|error| format!("cannot start {name}: {error}"))
    }
}

fn wait(port: u16, folder: &Path) -> Result<(), String> {
    let start = Instant::now();
    while start.elapsed() < START_MAX {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let log = std::fs::read_to_string(folder.join("radosgw.out")).unwrap_or_default();
    let end: Vec<&str> = log.lines().rev().take(3).collect();
    Err(format!("the gateway does not listen within {} s: {}", START_MAX.as_secs(), end.join(" | ")))
}

fn uuid() -> Result<String, String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(|error| format!("no random id: {error}"))?;
    Ok(text.trim().to_owned())
}

/// One copy of everything, no authentication inside: the least that it can do for a request. What was overwritten is collected soon, so that
/// its file does not fill.
fn configuration(folder: &Path, lib: &Path, store: Store, bytes: u64, fsid: &str, (monitor, gateway): (u16, u16)) -> String {
    let (folder, lib, store) = (folder.display(), lib.display(), store.word());
    format!(
        "[global]\nfsid = {fsid}\nmon host = v1:127.0.0.1:{monitor}\n\
         auth cluster required = none\nauth service required = none\nauth client required = none\n\
         ms mon client mode = crc\nms bind msgr2 = false\npublic addr = 127.0.0.1\ncluster addr = 127.0.0.1\n\
         public network = 127.0.0.0/8\nosd pool default size = 1\nosd pool default min size = 1\n\
         osd pool default pg num = 8\nosd pool default pgp num = 8\nosd crush chooseleaf type = 0\n\
         mon allow pool size one = true\nmon max pg per osd = 2000\nmon data avail crit = 0\nmon data avail warn = 0\n\
         erasure code dir = {lib}/ceph/erasure-code\nplugin dir = {lib}/ceph\nosd class dir = {lib}/rados-classes\n\
         run dir = {folder}\npid file =\nadmin socket = {folder}/$name.asok\nlog file = {folder}/$name.log\ncrash dir = {folder}\n\
         debug ms = 0\n\
         [mon]\nmon data = {folder}/mon\nmon cluster log file = {folder}/cluster.log\n\
         [osd]\nosd data = {folder}/osd\nosd objectstore = {store}\nmemstore device bytes = {bytes}\n\
         bluestore block create = true\nbluestore block size = {bytes}\nosd memory target = 2147483648\n\
         [client]\nrgw frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1\nrgw data = {folder}/rgw\nrgw enable ops log = false\n\
         rgw enable usage log = false\nrgw gc obj min wait = 1\nrgw gc processor period = 5\nrgw gc processor max time = 5\n"
    )
}

/// Fetches and unpacks the packages, once.
fn unpacked() -> Result<PathBuf, String> {
    let folder = shell::work()?.join("ceph");
    let (root, done) = (folder.join("root"), folder.join("complete"));
    if done.exists() {
        return Ok(root);
    }
    if !shell::has("apt-get") || !shell::has("dpkg-deb") {
        return Err("the peer is unpacked from Debian 12's packages: `apt-get` and `dpkg-deb` are needed".to_owned());
    }
    shell::say("fetching the peer: Ceph's packages from Debian, some 60 MB, unpacked and not installed");
    let packages = folder.join("packages");
    for made in [&packages, &root] {
        std::fs::create_dir_all(made).map_err(|error| format!("cannot make `{}`: {error}", made.display()))?;
    }
    shell::quiet(Command::new("apt-get").arg("download").args(PACKAGES).current_dir(&packages))?;
    let files = std::fs::read_dir(&packages).map_err(|error| format!("cannot read `{}`: {error}", packages.display()))?;
    for file in files.flatten() {
        shell::quiet(Command::new("dpkg-deb").arg("-x").arg(file.path()).arg(&root))?;
    }
    std::fs::remove_dir_all(&packages).map_err(|error| format!("cannot remove `{}`: {error}", packages.display()))?;
    std::fs::write(&done, "").map_err(|error| format!("cannot write `{}`: {error}", done.display()))?;
    Ok(root)
}
