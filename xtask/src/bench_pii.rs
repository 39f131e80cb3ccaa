//! Personal data side by side with Presidio: throughput, and recall and precision per entity. The corpora are a seeded one of
//! our own and, where its user has it (`--corpus FOLDER`), presidio-research's `synth_dataset_v2.json`, half of which, by
//! template, was not looked at while the recognisers were written: only that half is scored.
//!
//! Both sides are scored alike. A labelled span counts as found if at least half of its letters and digits are covered by hits
//! of its entity; a hit counts as right if at least half of its own are labelled so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bench::Row;
use crate::drill::value;
use crate::{python, shell};

const SEED: &str = "20261125";
const SAMPLE_COUNT: &str = "3000";
const THROUGHPUT_LIMIT: f64 = 100.0;
/// For an entity that the peer does not know: our F1.
const ALONE_LIMIT: f64 = 0.9;
/// Fewer labelled spans than this say nothing about a share.
const SPAN_COUNT_MIN: usize = 5;

/// One span of a text, in characters.
type Span = (usize, usize);
/// Spans of one text, by entity.
type Spans = BTreeMap<String, Vec<Span>>;

/// A text and its labels.
struct Sample {
    text: Vec<char>,
    masked: String,
    spans: Spans,
}

/// What one side found in a corpus, and how fast.
struct Found {
    hits: Vec<Spans>,
    report: Value,
}

/// How one side did on one entity.
#[derive(Clone, Copy, Default)]
struct Counts {
    labelled: usize,
    found: usize,
    hits: usize,
    right: usize,
}

/// Runs both sides.
///
/// # Errors
/// If a side cannot run.
pub fn run(words: &[&str]) -> Result<Vec<Row>, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot make a folder: {error}"))?;
    shell::say("building our side");
    shell::cargo(&["build", "--quiet", "--release", "--package", "personal", "--example", "bench_pii"])?;
    let python = peer_python()?;
    let own = folder.path().join("corpus.json");
    ours(&["corpus", SEED, SAMPLE_COUNT, &own.display().to_string()])?;
    let mut rows = Vec::new();
    rows.extend(corpus_rows("", &own, folder.path(), &python, |_| true)?);
    if let Some(given) = value(words, "--corpus") {
        let corpus = Path::new(given).join("synth_dataset_v2.json");
        rows.extend(corpus_rows("research:", &corpus, folder.path(), &python, |sample| is_held_out(&sample.masked))?);
    }
    Ok(rows)
}

/// The peer's environment. Its model's package asks for a newer Python than it needs: it holds data alone.
fn peer_python() -> Result<PathBuf, String> {
    let packages = shell::root().join("bench").join("pii-requirements.txt");
    let python = python::environment("pii", &packages)?;
    let model = shell::root().join("bench").join("pii-model-requirements.txt");
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--ignore-requires-python",
        "-r",
    ]);
    shell::quiet(install.arg(model))?;
    shell::say(&format!(
        "peer: presidio-analyzer {}, spaCy {} with en_core_web_md",
        python::version(&python, "presidio-analyzer"),
        python::version(&python, "spacy")
    ));
    Ok(python)
}

fn ours(words: &[&str]) -> Result<(), String> {
    let program = shell::target().join("release").join("examples").join("bench_pii");
    shell::quiet(Command::new(program).args(words)).map(|_| ())
}

/// The half of presidio-research's templates that is only scored: a bit of the template's FNV-1a hash.
fn is_held_out(masked: &str) -> bool {
    let hash =
        masked.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    hash >> 20 & 1 == 1
}

fn corpus_rows(
    prefix: &str,
    corpus: &Path,
    folder: &Path,
    python: &Path,
    scored: impl Fn(&Sample) -> bool,
) -> Result<Vec<Row>, String> {
    let samples = read_samples(corpus)?;
    let path = corpus.display().to_string();
    let (our_out, peer_out, shape_out) = (folder.join("ours.json"), folder.join("peer.json"), folder.join("shapes.json"));
    ours(&["scan", &path, &our_out.display().to_string()])?;
    shell::say(&format!("peer reads {} texts", samples.len()));
    let script = shell::root().join("bench").join("pii_presidio.py");
    let peer = |extra: &[&str], out: &Path| {
        let mut command = Command::new(python);
        // One thread, as ours: the times are CPU time of one core.
        command.arg(&script).args(extra).arg(&path).arg(out).env("OMP_NUM_THREADS", "1").env("OPENBLAS_NUM_THREADS", "1");
        shell::quiet(&mut command)
    };
    peer(&[], &peer_out)?;
    peer(&["--patterns"], &shape_out)?;
    let (ours, peer, shapes) =
        (read_found(&our_out, our_entity)?, read_found(&peer_out, peer_entity)?, read_found(&shape_out, peer_entity)?);
    let mut rows = throughput_rows(prefix, &ours.report, &peer.report, &shapes.report);
    let entities: BTreeSet<&String> = samples.iter().flat_map(|sample| sample.spans.keys()).collect();
    for entity in entities {
        let of = |hits: &[Spans]| count(&samples, hits, entity, &scored);
        let (mine, theirs) = (of(&ours.hits), of(&peer.hits));
        if mine.labelled >= SPAN_COUNT_MIN {
            rows.push(entity_row(prefix, entity, mine, theirs));
        }
    }
    Ok(rows)
}

fn throughput_rows(prefix: &str, ours: &Value, peer: &Value, shapes: &Value) -> Vec<Row> {
    let number = |report: &Value, name: &str| report.get(name).and_then(Value::as_f64).unwrap_or(0.0);
    let row = |work: &str, ours: f64, peer: f64, limited_by: &'static str| {
        let ratio = ours / peer;
        Row {
            work: format!("{prefix}{work}").into(),
            ours,
            peer: Some(peer),
            unit: "MB/s",
            ratio: Some(ratio),
            limit: THROUGHPUT_LIMIT,
            of_limit: ratio / THROUGHPUT_LIMIT,
            limited_by: limited_by.into(),
        }
    };
    vec![
        row(
            "throughput",
            number(ours, "megabytes_per_second"),
            number(peer, "megabytes_per_second"),
            "CPU of one core: 36 weights a token",
        ),
        row(
            "throughput-patterns",
            number(ours, "patterns_megabytes_per_second"),
            number(shapes, "megabytes_per_second"),
            "CPU of one core: words near each number. The peer here has no model",
        ),
    ]
}

fn entity_row(prefix: &str, entity: &str, ours: Counts, peer: Counts) -> Row {
    let known = peer.hits > 0;
    let better = |mine: f64, theirs: f64| if theirs > 0.0 { mine / theirs } else { 1.0 };
    let ratio = better(ours.recall(), peer.recall()).min(better(ours.precision(), peer.precision()));
    let of_limit = if known { ratio } else { ours.f1() / ALONE_LIMIT };
    let detail = format!(
        "{} spans; recall {:.3}, peer {:.3}; precision {:.3}, peer {:.3}",
        ours.labelled,
        ours.recall(),
        peer.recall(),
        ours.precision(),
        peer.precision()
    );
    Row {
        work: format!("{prefix}{}", entity.to_lowercase().replace('_', "-")).into(),
        ours: ours.f1(),
        peer: known.then(|| peer.f1()),
        unit: "F1",
        ratio: known.then_some(ratio),
        limit: if known { 1.0 } else { ALONE_LIMIT },
        of_limit,
        limited_by: detail.into(),
    }
}

impl Counts {
    fn recall(self) -> f64 {
        self.found as f64 / self.labelled.max(1) as f64
    }

    fn precision(self) -> f64 {
        self.right as f64 / self.hits.max(1) as f64
    }

    fn f1(self) -> f64 {
        let (recall, precision) = (self.recall(), self.precision());
        if recall + precision > 0.0 { 2.0 * recall * precision / (recall + precision) } else { 0.0 }
    }
}

fn count(samples: &[Sample], hits: &[Spans], entity: &str, scored: impl Fn(&Sample) -> bool) -> Counts {
    let mut counts = Counts::default();
    for (sample, hits) in samples.iter().zip(hits).filter(|(sample, _)| scored(sample)) {
        let labels = sample.spans.get(entity).map_or(&[][..], Vec::as_slice);
        let found = hits.get(entity).map_or(&[][..], Vec::as_slice);
        counts.labelled += labels.len();
        counts.hits += found.len();
        counts.found += labels.iter().filter(|label| is_half_covered(&sample.text, **label, found)).count();
        counts.right += found.iter().filter(|hit| is_half_covered(&sample.text, **hit, labels)).count();
    }
    counts
}

/// Whether at least half of a span's letters and digits lie in other spans.
fn is_half_covered(text: &[char], (start, end): Span, others: &[Span]) -> bool {
    let places: Vec<usize> =
        (start..end.min(text.len())).filter(|place| text.get(*place).is_some_and(|letter| letter.is_alphanumeric())).collect();
    let covered = places.iter().filter(|place| others.iter().any(|(from, to)| (from..to).contains(place))).count();
    !places.is_empty() && covered * 2 >= places.len()
}

fn read_json(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("`{}` is not JSON: {error}", path.display()))
}

fn read_samples(path: &Path) -> Result<Vec<Sample>, String> {
    let corpus = read_json(path)?;
    let list = corpus.as_array().ok_or_else(|| format!("`{}` is not a list of samples", path.display()))?;
    let text_of = |sample: &Value, name: &str| sample.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let samples = list.iter().map(|sample| {
        let mut spans = Spans::new();
        for span in sample.get("spans").and_then(Value::as_array).into_iter().flatten() {
            let place =
                |name: &str| span.get(name).and_then(Value::as_u64).and_then(|place| usize::try_from(place).ok()).unwrap_or(0);
            if let Some(entity) = labelled_entity(&text_of(span, "entity_type")) {
                spans.entry(entity.to_owned()).or_default().push((place("start_position"), place("end_position")));
            }
        }
        Sample { text: text_of(sample, "full_text").chars().collect(), masked: text_of(sample, "masked"), spans }
    });
    Ok(samples.collect())
}

fn read_found(path: &Path, entity: impl Fn(&str) -> Option<String>) -> Result<Found, String> {
    let report = read_json(path)?;
    let mut hits = Vec::new();
    for text in report.get("hits").and_then(Value::as_array).into_iter().flatten() {
        let mut spans = Spans::new();
        for hit in text.as_array().into_iter().flatten() {
            let place =
                |at: usize| hit.get(at).and_then(Value::as_u64).and_then(|place| usize::try_from(place).ok()).unwrap_or(0);
            if let Some(entity) = hit.get(0).and_then(Value::as_str).and_then(&entity) {
                spans.entry(entity).or_default().push((place(1), place(2)));
            }
        }
        hits.push(spans);
    }
    Ok(Found { hits, report })
}

/// The labels' words for entities, in the peer's.
fn labelled_entity(label: &str) -> Option<&str> {
    Some(match label {
        "STREET_ADDRESS" | "GPE" => "LOCATION",
        "DOMAIN_NAME" => "URL",
        // No name of its own on either side, in running text.
        "TITLE" => return None,
        other => other,
    })
}

fn peer_entity(entity: &str) -> Option<String> {
    Some(entity.to_owned())
}

/// Our kinds, in the peer's words.
fn our_entity(kind: &str) -> Option<String> {
    let entity = match kind {
        "place" | "address" => "LOCATION",
        "organisation" => "ORGANIZATION",
        "payment_card" => "CREDIT_CARD",
        "date" | "birth_date" | "year" | "weekday" => "DATE_TIME",
        "phone" | "fax" => "PHONE_NUMBER",
        "nationality" | "religion" => "NRP",
        "email" => "EMAIL_ADDRESS",
        "iban" => "IBAN_CODE",
        "crypto_address" => "CRYPTO",
        "driver_licence" => "US_DRIVER_LICENSE",
        "postal_code" => "ZIP_CODE",
        "sg_nric" => "SG_NRIC_FIN",
        "es_dni" => "ES_NIF",
        "it_codice_fiscale" => "IT_FISCAL_CODE",
        other => return Some(other.to_uppercase()),
    };
    Some(entity.to_owned())
}
