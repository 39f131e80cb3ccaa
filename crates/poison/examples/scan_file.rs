//! Scans folders of `.npy` files and leaves each row's scores and the report beside them: the bench's side of ours.
//!
//! A folder holds `meta.json` (`{"image": [width, height, channels]}` or `{"categories": [count, …]}`, all optional),
//! `X.npy` (float32 rows, or uint8 images), `y.npy` (int32), `s.npy` (int32 sources) and `texts.json` (a list of strings),
//! each but `y.npy` optional. It writes `ours-labels.npy`, `ours-triggers.npy`, `ours-outliers.npy` and `ours.json`.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use poison::{Column, ColumnKind, Features, Groups, Images, Input, Matrix, Options, PoisonReport, TextReader, Watch, scan};
use serde_json::{Value, json};

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    for folder in std::env::args().skip(1) {
        let folder = Path::new(&folder);
        let input = read(folder)?;
        let (start, cpu_before) = (Instant::now(), cpu_seconds());
        let stop = AtomicBool::new(false);
        let loud = std::env::var_os("SCAN_STAGES").is_some();
        let stage = |name: &'static str| {
            if loud {
                eprintln!("{:>8.2} s {name}", start.elapsed().as_secs_f64());
            }
        };
        let report = scan(&input, &Options::default(), &Watch::new(&stop, &stage))?;
        let cpu = cpu_seconds() - cpu_before;
        println!("{}: {:.2} s, {cpu:.2} CPU-s, {:?}", folder.display(), start.elapsed().as_secs_f64(), report.verdict);
        write(folder, report, start.elapsed().as_secs_f64(), cpu)?;
    }
    Ok(())
}

fn read(folder: &Path) -> Fallible<Input> {
    let meta: Value = serde_json::from_slice(&std::fs::read(folder.join("meta.json"))?)?;
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
    Ok(input)
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

fn write(folder: &Path, mut report: PoisonReport, seconds: f64, cpu: f64) -> Fallible<()> {
    let scores = std::mem::take(&mut report.scores);
    for (name, scores) in [("labels", &scores.labels), ("triggers", &scores.triggers), ("outliers", &scores.outliers)] {
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
    let written = json!({"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak_bytes(), "report": report});
    std::fs::write(folder.join("ours.json"), serde_json::to_vec(&written)?)?;
    Ok(())
}

/// Processor time of this process so far, from the kernel's count of hundredths.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |place: usize| after_name.split_whitespace().nth(place).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// The most memory that this process has held.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) * 1024
}
