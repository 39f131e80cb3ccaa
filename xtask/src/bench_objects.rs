//! `cargo xtask bench objects`: our S3 beside a real one (Ceph's gateway), and beside what this machine's disk, SHA-256, AES-256-GCM and TLS
//! allow, measured in the same run. Ours runs with TLS, signatures, policy, encryption and a durable record of each request.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::Row;
use crate::ceph::{Ceph, Store};
use crate::drill::value;
use crate::objects_limits::Limits;
use crate::shell::{self, Service};
use crate::{demo, objects_list, postgres};

const START_MAX: Duration = Duration::from_secs(120);
const BUCKET: &str = "bench";
const MIB: f64 = 1024.0 * 1024.0;
/// What the issue asks for: PUTs of 1 KiB a second, and MiB of memory per transfer of 1 GiB.
const SMALL_PUTS: f64 = 5_000.0;
const TRANSFER_MIB_MAX: f64 = 16.0;
/// Disk that is left free.
const SPARE_BYTES: u64 = 2 << 30;

/// How much a run does.
#[derive(Clone, Copy)]
pub struct Extent {
    /// Whether this only tries the bench itself.
    pub is_small: bool,
    rounds: usize,
    seconds: &'static str,
}

/// One size of objects.
#[derive(Clone, Copy, Debug)]
struct Size {
    name: &'static str,
    bytes: u64,
    /// Objects that each client writes in turn; without end if 0.
    set: usize,
    /// Objects of each client that are read.
    read_set: usize,
}

/// What was measured of one work.
struct Measured {
    work: String,
    is_put: bool,
    size: Size,
    clients: usize,
    ours: f64,
    peer: Option<f64>,
    generator_busy: f64,
    note: String,
}

/// A server of either kind, as the load generator reaches it.
pub struct Side {
    name: &'static str,
    url: String,
    ca: Option<PathBuf>,
    key_file: PathBuf,
    data: PathBuf,
}

/// Where the programs of one run are.
pub struct Programs {
    folder: PathBuf,
}

/// Measures all works, or those that `--works` names.
///
/// # Errors
/// If ours does not start, or a work cannot be done.
pub fn run(words: &[&str]) -> Result<Vec<Row>, String> {
    let is_small = words.contains(&"--small");
    let rounds = value(words, "--rounds").and_then(|text| text.parse().ok()).unwrap_or(if is_small { 1 } else { 3 });
    let extent = Extent { is_small, rounds, seconds: if is_small { "1" } else { "5" } };
    let wanted: Option<Vec<&str>> = value(words, "--works").map(|list| list.split(',').collect());
    let wants = |work: &str| wanted.as_ref().is_none_or(|names| names.contains(&work));
    if !words.contains(&"--prebuilt") {
        shell::say("building the server and the load generator");
        shell::cargo(&[
            "build",
            "--quiet",
            "--release",
            "--package",
            "strongroom",
            "--package",
            "inspector",
            "--package",
            "loadgen",
        ])?;
        shell::cargo(&["build", "--quiet", "--release", "--package", "buckets", "--example", "bench_listing"])?;
    }
    let programs = Programs { folder: value(words, "--programs").map_or_else(|| shell::target().join("release"), PathBuf::from) };
    let folder = tempfile::Builder::new()
        .prefix("bench-objects-")
        .tempdir_in(shell::work()?)
        .map_err(|error| format!("cannot make a folder: {error}"))?;
    let mut rows = Vec::new();
    if ["put-1gib", "get-1gib", "put-1mib", "get-1mib", "put-1kib", "get-1kib", "small-puts"].iter().any(|work| wants(work)) {
        rows.extend(transfers(words, &programs, folder.path(), extent, &wants)?);
    }
    if wants("list-1m") {
        rows.extend(objects_list::rows(&programs, &folder.path().join("list"), extent)?);
    }
    Ok(rows)
}

fn transfers(
    words: &[&str],
    programs: &Programs,
    folder: &Path,
    extent: Extent,
    wants: &dyn Fn(&str) -> bool,
) -> Result<Vec<Row>, String> {
    let store = match value(words, "--peer-store") {
        None | Some("bluestore") => Some(Store::BlueStore),
        Some("memstore") => Some(Store::MemStore),
        Some("none") => None,
        Some(other) => return Err(format!("`{other}` is no store of the peer: bluestore, memstore or none")),
    };
    let limits_before = Limits::measure(programs, folder, extent)?;
    let (ours, service) = programs.ours(&folder.join("ours"))?;
    let peer_folder = folder.join("peer");
    // Room for what is overwritten and not yet collected, but never more than the disk has: a full OSD would wait for ever.
    let room = (if extent.is_small { 4 << 30 } else { 48 << 30 }).min(free_bytes(folder)? / 10 * 6);
    let ceph = match store {
        None => None,
        Some(store) => match Ceph::start(&peer_folder, store, room) {
            Ok(ceph) => Some(ceph),
            Err(why) => {
                shell::say(&format!("the peer is left out: {}", why.lines().next().unwrap_or_default()));
                None
            }
        },
    };
    let peer = ceph.as_ref().map(|ceph| Side {
        name: "peer",
        url: ceph.url.clone(),
        ca: None,
        key_file: ceph.key_file.clone(),
        data: ceph.data.clone(),
    });
    let mut run = Run { programs, extent, sides: vec![ours], service, resting_mib: 0.0, growths: Vec::new() };
    run.sides.extend(peer);
    for side in &run.sides {
        programs.load(side, &["s3-make-bucket"])?;
    }
    run.rest()?;
    let measured = run.measure(wants)?;
    let limits = limits_before.and(&Limits::measure(programs, folder, extent)?);
    let told = store.filter(|_| run.sides.len() > 1).map_or("no peer", Store::told);
    let mut rows: Vec<Row> = measured.iter().map(|one| row(one, &limits, told)).collect();
    rows.extend(run.growths.iter().map(|(work, mib)| memory_row(work, *mib)));
    Ok(rows)
}

fn row(one: &Measured, limits: &Limits, told: &str) -> Row {
    let is_big = one.size.bytes >= 1 << 20;
    let (bound, why) = limits.bound(one.is_put, one.size.bytes, one.clients, one.size.set == 1);
    let limit = match (one.work.as_str(), is_big) {
        ("small-puts", _) => SMALL_PUTS,
        (_, true) => bound * one.size.bytes as f64 / 1e6,
        (_, false) => bound,
    };
    let busy = if one.generator_busy > 0.9 { "; THE LOAD GENERATOR WAS BUSY ALL THE TIME" } else { "" };
    Row {
        work: one.work.clone().into(),
        ours: one.ours,
        peer: one.peer,
        unit: if is_big { "MB/s" } else { "requests/s" },
        ratio: one.peer.map(|peer| one.ours / peer),
        limit,
        of_limit: one.ours / limit,
        limited_by: format!("{why}; generator {:.2} of a core{busy}; {told}{}", one.generator_busy, one.note).into(),
    }
}

fn memory_row(work: &str, mib: f64) -> Row {
    Row {
        work: format!("{work}-memory").into(),
        ours: mib,
        peer: None,
        unit: "MiB",
        ratio: None,
        limit: TRANSFER_MIB_MAX,
        of_limit: TRANSFER_MIB_MAX / mib.max(0.1),
        limited_by: "the server's peak beyond its resting memory, per transfer; without pages of the program's file".into(),
    }
}

/// A run of all transfers.
struct Run<'a> {
    programs: &'a Programs,
    extent: Extent,
    sides: Vec<Side>,
    service: Service,
    resting_mib: f64,
    growths: Vec<(String, f64)>,
}

impl Run<'_> {
    /// Small requests, so that caches, pools and lazily built things are there; then what memory the server has.
    fn rest(&mut self) -> Result<(), String> {
        for side in &self.sides {
            for work in ["s3-put", "s3-get"] {
                self.programs.load(side, &[work, "--bytes", "1024", "--connections", "16", "--seconds", "1", "--set", "1"])?;
            }
        }
        self.resting_mib = memory(self.service.id(), "VmRSS") - memory(self.service.id(), "RssFile");
        shell::say(&format!("ours at rest: {:.1} MiB without its program", self.resting_mib));
        Ok(())
    }

    fn measure(&mut self, wants: &dyn Fn(&str) -> bool) -> Result<Vec<Measured>, String> {
        let gib = if self.extent.is_small { 32 << 20 } else { 1 << 30 };
        let sizes = [
            Size { name: "1gib", bytes: gib, set: 1, read_set: 1 },
            Size { name: "1mib", bytes: 1 << 20, set: 16, read_set: 16 },
            Size { name: "1kib", bytes: 1 << 10, set: 0, read_set: 64 },
        ];
        let mut all = Vec::new();
        for size in sizes {
            for clients in [1, 16] {
                let (size, note) = self.fitting(size, clients)?;
                for is_put in [true, false] {
                    let verb = if is_put { "put" } else { "get" };
                    if wants(&format!("{verb}-{}", size.name)) {
                        let suffix = if clients == 1 { "" } else { "-16" };
                        let work = format!("{verb}-{}{suffix}", size.name);
                        all.push(self.work(work, is_put, (size, clients), &note)?);
                    }
                }
                for side in &self.sides {
                    self.load(side, "s3-clear", &size, clients, size.read_set)?;
                }
            }
        }
        if wants("small-puts") {
            let size = Size { name: "small", bytes: 1 << 10, set: 0, read_set: 0 };
            all.push(self.work("small-puts".to_owned(), true, (size, 64), "")?);
        }
        Ok(all)
    }

    /// The size that the disk has room for on both sides, and what to say if it is another one.
    fn fitting(&self, size: Size, clients: usize) -> Result<(Size, String), String> {
        let Some(ours) = self.sides.first() else { return Ok((size, String::new())) };
        let free = free_bytes(&ours.data)?;
        let mut fitting = size;
        // What is overwritten is there until the new one is.
        let copies = 2 * self.sides.len() as u64;
        while fitting.bytes > 1 << 20 && copies * fitting.bytes * clients as u64 + SPARE_BYTES > free {
            fitting.bytes /= 2;
        }
        if fitting.bytes == size.bytes {
            return Ok((size, String::new()));
        }
        let note = format!("; objects of {} MiB only: the disk has {} GiB free", fitting.bytes >> 20, free >> 30);
        shell::say(&format!("{} with {clients} clients{note}", size.name));
        Ok((fitting, note))
    }

    fn work(&mut self, work: String, is_put: bool, (size, clients): (Size, usize), note: &str) -> Result<Measured, String> {
        let is_large = size.name == "1gib";
        if !is_put {
            for side in &self.sides {
                self.load(side, "s3-fill", &size, clients, size.read_set)?;
            }
        }
        let (mut values, mut busy, mut growth) = (vec![Vec::new(); self.sides.len()], 0.0_f64, 0.0_f64);
        for round in 1..=self.extent.rounds {
            for (index, (side, seen)) in self.sides.iter().zip(&mut values).enumerate() {
                let is_ours = index == 0;
                if is_large && !is_put {
                    forget_cached(&side.data)?;
                }
                if is_ours {
                    reset_peak(self.service.id());
                }
                let (verb, set) = if is_put { ("s3-put", size.set) } else { ("s3-get", size.read_set) };
                let report = self.load(side, verb, &size, clients, set)?;
                if is_ours {
                    busy = busy.max(number(&report, "generator_busy"));
                    // Pages of the program that a first transfer calls in are no memory of it.
                    let peak = memory(self.service.id(), "VmHWM") - memory(self.service.id(), "RssFile");
                    growth = growth.max(peak - self.resting_mib);
                }
                let name = if size.bytes >= 1 << 20 { "mb_per_s" } else { "value" };
                shell::say(&format!(
                    "{work} round {round}: {} {:.1}, p50 {:.2} ms, p99 {:.2} ms, generator {:.2}",
                    side.name,
                    number(&report, name),
                    number(&report, "p50_ms"),
                    number(&report, "p99_ms"),
                    number(&report, "generator_busy")
                ));
                seen.push(number(&report, name));
            }
        }
        if is_large {
            self.growths.push((work.clone(), growth.max(0.0) / clients as f64));
        }
        let mut middles = values.into_iter().map(middle);
        let (ours, peer) = (middles.next().unwrap_or_default(), middles.next());
        Ok(Measured { work, is_put, size, clients, ours, peer, generator_busy: busy, note: note.to_owned() })
    }

    fn load(&self, side: &Side, verb: &str, size: &Size, clients: usize, set: usize) -> Result<Value, String> {
        let (bytes, clients, set) = (size.bytes.to_string(), clients.to_string(), set.to_string());
        let words = [verb, "--bytes", &bytes, "--connections", &clients, "--set", &set, "--seconds", self.extent.seconds];
        self.programs.load(side, &words)
    }
}

impl Programs {
    /// A program of the run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes a server in a folder and starts it.
    ///
    /// # Errors
    /// If it does not start.
    pub fn ours(&self, folder: &Path) -> Result<(Side, Service), String> {
        let told = |error: std::io::Error| format!("cannot write below `{}`: {error}", folder.display());
        std::fs::create_dir_all(folder).map_err(told)?;
        let (data, token) = (folder.join("data"), folder.join("admin.token"));
        let binary = self.path("strongroom");
        shell::quiet(Command::new(&binary).arg("init").arg("--data").arg(&data).arg("--admin-token-file").arg(&token))?;
        let config = data.join("strongroom.toml");
        let before = std::fs::read_to_string(&config).unwrap_or_default();
        let port = postgres::free_port()?;
        // What follows a table would belong to it: the new one comes last.
        std::fs::write(&config, format!("{before}\n[s3]\nlisten = \"127.0.0.1:{port}\"\n")).map_err(told)?;
        let service = self.serve(folder)?;
        let mut command = Command::new(&binary);
        command.args(["token", "access-key", "--json"]).arg("--data").arg(&data).arg("--token-file").arg(&token);
        let key_file = folder.join("key.json");
        std::fs::write(&key_file, shell::quiet(&mut command)?).map_err(told)?;
        let ca = Some(data.join("tls").join("ca.pem"));
        let side = Side { name: "ours", url: format!("https://127.0.0.1:{port}"), ca, key_file, data: data.join("objects") };
        Ok((side, service))
    }

    /// Starts the server of a folder that [`Programs::ours`] made.
    ///
    /// # Errors
    /// If it does not listen in time.
    pub fn serve(&self, folder: &Path) -> Result<Service, String> {
        let log = std::fs::File::create(folder.join("server.log")).map_err(|error| error.to_string())?;
        let mut command = Command::new(self.path("strongroom"));
        command.arg("serve").arg("--data").arg(folder.join("data")).args(["--listen", "127.0.0.1:0"]);
        let start = Instant::now();
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().map_err(|error| error.to_string())?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let service = Service::new(child);
        demo::listening(output)?;
        let said = folder.join("data").join("s3-address");
        while !said.exists() && start.elapsed() < START_MAX {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(service)
    }

    /// Sends one load to the bucket of the bench.
    ///
    /// # Errors
    /// If a request failed.
    pub fn load(&self, side: &Side, words: &[&str]) -> Result<Value, String> {
        let mut command = Command::new(self.path("loadgen"));
        command.args(words).args(["--on", BUCKET, "--url", &side.url]).arg("--access-key-file").arg(&side.key_file);
        if let Some(ca) = &side.ca {
            command.arg("--ca").arg(ca);
        }
        let report = parsed(&shell::quiet(&mut command)?)?;
        if number(&report, "errors") > 0.0 {
            return Err(format!("{}: {} requests of {words:?} failed", side.name, number(&report, "errors")));
        }
        Ok(report)
    }
}

/// What the load generator printed.
///
/// # Errors
/// If it is no JSON.
pub fn parsed(report: &str) -> Result<Value, String> {
    serde_json::from_str(report).map_err(|error| format!("the load generator said `{report}`: {error}"))
}

/// A number of a report.
pub fn number(report: &Value, name: &str) -> f64 {
    report.get(name).and_then(Value::as_f64).unwrap_or_default()
}

/// A field of `/proc/ID/status`, in MiB.
pub fn memory(id: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(f64::NAN) * 1024.0 / MIB
}

/// Lets the kernel count a process's peak memory anew (proc(5), `clear_refs`).
pub fn reset_peak(id: u32) {
    if let Err(error) = std::fs::write(format!("/proc/{id}/clear_refs"), "5") {
        shell::say(&format!("the peak of memory counts from the start: {error}"));
    }
}

/// Takes large files out of the page cache, so that they are read from the disk.
fn forget_cached(folder: &Path) -> Result<(), String> {
    let found = shell::quiet(Command::new("find").arg(folder).args(["-type", "f", "-size", "+8M"]))?;
    for file in found.lines() {
        shell::quiet(Command::new("dd").arg(format!("if={file}")).args(["iflag=nocache", "count=0", "status=none"]))?;
    }
    Ok(())
}

/// What is free where this folder is.
///
/// # Errors
/// If `df` does not tell.
pub fn free_bytes(folder: &Path) -> Result<u64, String> {
    let printed = shell::quiet(Command::new("df").args(["--output=avail", "-B1"]).arg(folder))?;
    printed.lines().last().and_then(|line| line.trim().parse().ok()).ok_or_else(|| format!("df said `{printed}`"))
}

/// The middle one.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
