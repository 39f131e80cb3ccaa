//! Scans folders of `.npy` files and leaves each row's scores and the report beside them: the bench's side of ours.
//!
//! A folder holds `meta.json` (`{"image": [width, height, channels]}` or `{"categories": [count, …]}`, all optional, and the
//! `family` of what was planted), `X.npy` (float32 rows, or uint8 images), `y.npy` (int32), `s.npy` (int32 sources) and
//! `texts.json` (a list of strings), each but `y.npy` optional. It writes `ours-labels.npy`, `ours-triggers.npy`,
//! `ours-outliers.npy`, `ours-copies.npy` and `ours.json`.
//!
//! Processor time is what scanning costs in a process that is already there and holds the data: reading, starting and writing
//! are left out, as they are for the peers. `screen_cpu_seconds` is that of the one screen that looks for the family, by
//! itself; the middle of some runs where one takes only a moment.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use poison::{
    Column, ColumnKind, Features, Groups, Images, Input, Matrix, Options, PoisonReport, ScreenKind, TextReader, Watch, scan,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Processor time that runs of one screen may take together, and how many there are at most.
const SCREEN_CPU_SECONDS_MAX: f64 = 2.0;
const SCREEN_RUN_COUNT_MAX: usize = 5;

fn main() -> Fallible<()> {
    // Threads start once in a process, not once a scan.
    rayon::broadcast(|_| ());
    for folder in std::env::args().skip(1) {
        let folder = Path::new(&folder);
        let (input, family) = read(folder)?;
        let (start, cpu_before) = (Instant::now(), cpu_seconds());
        let report = scan_loudly(&input, &Options::default())?;
        let (cpu, seconds) = (cpu_seconds() - cpu_before, start.elapsed().as_secs_f64());
        let peak = peak_bytes();
        let screen_cpu = match family {
            Some(only) if std::env::var_os("SCAN_WHOLE").is_none() => screen_cpu_seconds(&input, only)?,
            _ => cpu,
        };
        println!("{}: {seconds:.2} s, {cpu:.3} CPU-s ({screen_cpu:.3} the screen), {:?}", folder.display(), report.verdict);
        let costs = json!({"seconds": seconds, "cpu_seconds": cpu, "screen_cpu_seconds": screen_cpu, "peak_bytes": peak});
        write(folder, report, costs)?;
    }
    Ok(())
}

fn scan_loudly(input: &Input, options: &Options) -> Fallible<PoisonReport> {
    let (start, stop) = (cpu_seconds(), AtomicBool::new(false));
    let loud = std::env::var_os("SCAN_STAGES").is_some();
    let stage = |name: &'static str| {
        if loud {
            eprintln!("{:>8.3} CPU-s {name}", cpu_seconds() - start);
        }
    };
    Ok(scan(input, options, &Watch::new(&stop, &stage))?)
}

fn screen_cpu_seconds(input: &Input, only: ScreenKind) -> Fallible<f64> {
    let options = Options { only: Some(only), ..Options::default() };
    let mut runs: Vec<f64> = Vec::new();
    while runs.len() < SCREEN_RUN_COUNT_MAX && runs.iter().sum::<f64>() < SCREEN_CPU_SECONDS_MAX {
        let before = cpu_seconds();
        scan_loudly(input, &options)?;
        runs.push(cpu_seconds() - before);
    }
    runs.sort_by(f64::total_cmp);
    Ok(runs.get(runs.len() / 2).copied().unwrap_or_default())
}

fn read(folder: &Path) -> Fallible<(Input, Option<ScreenKind>)> {
    let meta: Value = serde_json::from_slice(&std::fs::read(folder.join("meta.json"))?)?;
    let family = match meta.get("family").and_then(Value::as_str) {
        Some("labels") => Some(ScreenKind::Labels),
        Some("triggers") => Some(ScreenKind::Triggers),
        Some("outliers") => Some(ScreenKind::Outliers),
        Some("copies") => Some(ScreenKind::Duplicates),
        _ => None,
    };
    let mut input = Input::default();
    if let Ok(bytes) = std::fs::read(folder.join("X.npy")) {
        let array = Npy::parse(&bytes)?;
        let columns = *array.shape.get(1).ok_or("`X.npy` has no columns")?;
        if array.kind == "u1" {
            let side = |place: usize| meta.pointer(&format!("/image/{place}")).and_then(Value::as_u64).unwrap_or(0) as usize;
            input.images = Some(Images { width: side(0), height: side(1), channels: side(2), pixels: array.bytes.to_vec() });
        } else {
            let kinds = (0..columns).map(|place| {
                let count = meta.pointer(&format!("/categories/{place}")).and_then(Value::as_u64).unwrap_or(0);
                let values = (0..count).map(|value| value.to_string()).collect();
                let kind = if count == 0 { ColumnKind::Number } else { ColumnKind::Category(values) };
                Column { name: format!("c{place}"), kind }
            });
            let values = array.words().map(f32::from_le_bytes).collect();
            input.features = Features { columns: kinds.collect(), values: Matrix::new(columns, values)? };
        }
    }
    if let Ok(bytes) = std::fs::read(folder.join("texts.json")) {
        let mut reader = TextReader::default();
        for text in serde_json::from_slice::<Vec<String>>(&bytes)? {
            reader.push(&text);
        }
        input.texts = Some(reader.finish().0);
    }
    input.labels = Some(groups(&std::fs::read(folder.join("y.npy"))?)?);
    if let Ok(bytes) = std::fs::read(folder.join("s.npy")) {
        input.sources = Some(groups(&bytes)?);
    }
    Ok((input, family))
}

fn groups(bytes: &[u8]) -> Fallible<Groups> {
    let of_rows: Vec<u32> = Npy::parse(bytes)?.words().map(u32::from_le_bytes).collect();
    let count = of_rows.iter().max().map_or(0, |greatest| greatest + 1);
    Ok(Groups { of_rows, names: (0..count).map(|group| group.to_string()).collect() })
}

/// A NumPy array of version 1, in C order.
struct Npy<'a> {
    shape: Vec<usize>,
    kind: String,
    bytes: &'a [u8],
}

impl<'a> Npy<'a> {
    fn parse(bytes: &'a [u8]) -> Fallible<Self> {
        let short = "a `.npy` file is too short";
        let length = u16::from_le_bytes(bytes.get(8..10).ok_or(short)?.try_into()?) as usize;
        let header = std::str::from_utf8(bytes.get(10..10 + length).ok_or(short)?)?;
        let between = |from: &str, to: char| header.split(from).nth(1).and_then(|rest| rest.split(to).next()).unwrap_or_default();
        let shape = between("'shape': (", ')').split(',').filter_map(|part| part.trim().parse().ok()).collect();
        let kind = between("'descr': '", '\'').trim_start_matches(['<', '|']).to_owned();
        Ok(Self { shape, kind, bytes: bytes.get(10 + length..).ok_or(short)? })
    }

    fn words(&self) -> impl Iterator<Item = [u8; 4]> + 'a {
        self.bytes.chunks_exact(4).filter_map(|word| word.try_into().ok())
    }
}

fn write(folder: &Path, mut report: PoisonReport, mut written: Value) -> Fallible<()> {
    let scores = std::mem::take(&mut report.scores);
    for (name, scores) in
        [("labels", &scores.labels), ("triggers", &scores.triggers), ("outliers", &scores.outliers), ("copies", &scores.copies)]
    {
        if scores.is_empty() {
            continue;
        }
        let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}", scores.len());
        while !(header.len() + 11).is_multiple_of(64) {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(header.len())?.to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(scores.iter().flat_map(|score| score.to_le_bytes()));
        std::fs::write(folder.join(format!("ours-{name}.npy")), bytes)?;
    }
    if let Some(written) = written.as_object_mut() {
        written.insert("report".to_owned(), serde_json::to_value(report)?);
    }
    std::fs::write(folder.join("ours.json"), serde_json::to_vec(&written)?)?;
    Ok(())
}

/// Processor time of all threads of this process so far.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The most memory that this process has held.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) * 1024
}
