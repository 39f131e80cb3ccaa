//! The program for people and CI: opens local files, locks itself in, inspects, prints.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use inspection::{
    Confinement, FileSpec, InspectionReport, JobSpec, OtherTable, ProcessLimits, Reference, Roles, Screen, Section, Severity,
    limit_this_process,
};
use kernel::{Clock, SystemClock};
use tables::{DataFile, LocalFile};

use crate::cli::Files;
use crate::inspect::Other;
use crate::news::Terminal;
use crate::{inspect, sandbox, system};

/// Bytes of a contract, and of a report that serves as reference.
const TEXT_BYTES_MAX: u64 = 64 << 20;
/// Files of one table from one folder.
const FOLDER_FILE_COUNT_MAX: usize = 500_000;
/// Folders within folders.
const FOLDER_DEPTH_MAX: usize = 8;
/// Processor time of one inspection.
const CPU_SECONDS_MAX: u64 = 24 * 3_600;
/// How the program ends when there are findings.
pub(crate) const FOUND: u8 = 1;
/// How the program ends when it could not do what was asked.
pub(crate) const NOT_DONE: u8 = 2;

/// What a person asks for.
#[derive(Debug)]
pub(crate) struct Request {
    files: Files,
    screens: Vec<Screen>,
    contract: Option<PathBuf>,
    before: Option<PathBuf>,
}

/// What is open before the program locks itself in.
struct Opened {
    files: Vec<DataFile>,
    before: Option<Before>,
    contract: Option<String>,
    page: Option<File>,
}

/// The version to compare with.
enum Before {
    Report(Box<InspectionReport>),
    Data(Vec<DataFile>),
}

impl Request {
    /// What is in the files. Personal data is looked for too: a profile must not show it.
    pub(crate) fn profile(files: Files) -> Self {
        Self { files, screens: vec![Screen::Format, Screen::Profile, Screen::Personal], contract: None, before: None }
    }

    /// Whether they hold to a contract.
    pub(crate) fn check(contract: PathBuf, files: Files) -> Self {
        Self { files, screens: vec![Screen::Format, Screen::Validity, Screen::Personal], contract: Some(contract), before: None }
    }

    /// Whom they concern.
    pub(crate) fn personal(files: Files) -> Self {
        Self { files, screens: vec![Screen::Format, Screen::Personal], contract: None, before: None }
    }

    /// Whether they were tampered with.
    pub(crate) fn poison(files: Files) -> Self {
        Self { files, screens: vec![Screen::Format, Screen::Poisoning, Screen::Personal], contract: None, before: None }
    }

    /// What changed.
    pub(crate) fn drift(before: PathBuf, files: Files) -> Self {
        Self {
            files,
            screens: vec![Screen::Format, Screen::Profile, Screen::Drift, Screen::Personal],
            contract: None,
            before: Some(before),
        }
    }

    /// All of it.
    pub(crate) fn all(contract: Option<PathBuf>, before: Option<PathBuf>, files: Files) -> Self {
        Self { files, screens: Screen::WORKER.to_vec(), contract, before }
    }
}

/// Does what was asked, and says how it went.
pub(crate) fn run(request: &Request) -> ExitCode {
    match inspect_and_print(request) {
        Ok(report) if report.worst() >= Some(Severity::Warning) => ExitCode::from(FOUND),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strongroom-inspect: {error}");
            ExitCode::from(NOT_DONE)
        }
    }
}

fn inspect_and_print(request: &Request) -> Result<InspectionReport, String> {
    system::allow_many_files();
    let mut opened = open(request)?;
    let confinement = lock_in(&request.files)?;
    let news = if request.files.json { Terminal::quiet() } else { Terminal::default() };
    let mut job = job(request, &opened);
    let mut others = Vec::new();
    job.reference = match opened.before.take() {
        None => None,
        Some(Before::Report(report)) => {
            let name = format!("{}@{}", report.dataset, report.version);
            Some(Reference { name, profile: report.profile.ok_or("the report to compare with has no profile")? })
        }
        Some(Before::Data(files)) => {
            let reference = reference(&job, request, files.clone(), &news)?;
            let spec = OtherTable { name: String::new(), version: reference.name.clone(), files: Vec::new(), apart: false };
            others.push(Other { spec, files });
            Some(reference)
        }
    };
    let mut report = inspect::run(&job, opened.files, &others, &news);
    report.files.clone_from(&job.files);
    report.confinement = confinement;
    report.summary.size_bytes = job.files.iter().fold(0, |sum, file| sum.saturating_add(file.size_bytes));
    if let Some(page) = &mut opened.page {
        page.write_all(inspection::html(&report).as_bytes()).map_err(|error| format!("the page cannot be written: {error}"))?;
    }
    let text = if request.files.json {
        serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?
    } else {
        in_words(&report, &request.screens)
    };
    match writeln!(io::stdout().lock(), "{}", text.trim_end()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("the report cannot be printed: {error}")),
        _ => Ok(report),
    }
}

fn open(request: &Request) -> Result<Opened, String> {
    let named = |path: &Path, error: &dyn std::fmt::Display| format!("`{}`: {error}", path.display());
    let before = match &request.before {
        None => None,
        Some(path) if path.extension().is_some_and(|extension| extension == "json") => {
            let report = serde_json::from_str(&text(path)?).map_err(|error| named(path, &format!("is not a report: {error}")))?;
            Some(Before::Report(Box::new(report)))
        }
        Some(path) => Some(Before::Data(data_files(std::slice::from_ref(path))?)),
    };
    Ok(Opened {
        files: data_files(&request.files.paths)?,
        before,
        contract: request.contract.as_deref().map(text).transpose()?,
        page: request.files.html.as_deref().map(|path| File::create(path).map_err(|error| named(path, &error))).transpose()?,
    })
}

fn lock_in(files: &Files) -> Result<Confinement, String> {
    let memory_bytes_max = files.memory.saturating_mul(1 << 20);
    // Output may be redirected to a file, so writing is not limited here; the locks leave nothing else to write to.
    limit_this_process(ProcessLimits { cpu_seconds_max: CPU_SECONDS_MAX, memory_bytes_max }, true)
        .map_err(|error| format!("memory cannot be limited: {error}"))?;
    let confinement = sandbox::confine(files.allow_insecure_unsandboxed).map_err(|error| {
        format!("the program cannot lock itself in: {error}; use Linux 5.13 or later, or accept the risk with `--allow-insecure-unsandboxed`")
    })?;
    if !inspect::make_threads() {
        return Err("threads cannot be made; raise `--memory`".to_owned());
    }
    Ok(confinement)
}

fn job(request: &Request, opened: &Opened) -> JobSpec {
    let files = &request.files;
    let specs = opened.files.iter().map(|file| FileSpec {
        path: file.path.clone(),
        size_bytes: file.bytes.size_bytes(),
        sha256: String::new(),
    });
    let name = files
        .paths
        .first()
        .and_then(|path| path.file_stem())
        .map_or_else(|| "data".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let mut job = JobSpec::new(name, "local", specs.collect(), SystemClock.now().0);
    job.roles = Roles {
        label: files.label.clone(),
        source: files.source.clone(),
        time: files.time.clone(),
        id: files.id.clone(),
        ignored: files.ignore.clone(),
        ..Roles::default()
    };
    job.screens.clone_from(&request.screens);
    job.contract_yaml.clone_from(&opened.contract);
    job.seed = files.seed;
    job
}

/// The profile of the version to compare with.
fn reference(job: &JobSpec, request: &Request, files: Vec<DataFile>, news: &Terminal) -> Result<Reference, String> {
    let name = request.before.as_deref().map_or_else(String::new, |path| path.display().to_string());
    let mut earlier = job.clone();
    earlier.screens = vec![Screen::Format, Screen::Profile, Screen::Personal];
    earlier.contract_yaml = None;
    let report = inspect::run(&earlier, files, &[], news);
    let profile: Option<Section> = report.profile;
    let why = report.findings.first().map(|finding| finding.detail.clone()).unwrap_or_default();
    Ok(Reference { profile: profile.ok_or_else(|| format!("`{name}` cannot be read: {why}"))?, name })
}

/// Opens files, and folders with all that is in them, in a fixed order.
fn data_files(paths: &[PathBuf]) -> Result<Vec<DataFile>, String> {
    let mut found = Vec::new();
    for (place, path) in paths.iter().enumerate() {
        if path.is_dir() {
            walk(path, Path::new(""), FOLDER_DEPTH_MAX, &mut found)?;
        } else {
            let name = path.file_name().map_or_else(|| place.to_string(), |name| name.to_string_lossy().into_owned());
            let taken = found.iter().any(|(taken, _): &(String, PathBuf)| *taken == name);
            found.push((if taken { format!("{place}/{name}") } else { name }, path.clone()));
        }
    }
    let open = |(name, path): (String, PathBuf)| {
        let file = LocalFile::open(&path).map_err(|error| format!("`{}` cannot be opened: {error}", path.display()))?;
        Ok(DataFile { path: name, bytes: Arc::new(file) })
    };
    found.into_iter().map(open).collect()
}

fn walk(root: &Path, inside: &Path, depth: usize, found: &mut Vec<(String, PathBuf)>) -> Result<(), String> {
    let folder = root.join(inside);
    let failed = |error: io::Error| format!("`{}` cannot be listed: {error}", folder.display());
    let mut entries = std::fs::read_dir(&folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let inside = inside.join(entry.file_name());
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            let depth = depth.checked_sub(1).ok_or_else(|| format!("`{}` is nested too deeply", folder.display()))?;
            walk(root, &inside, depth, found)?;
        } else if kind.is_file() {
            found.push((inside.to_string_lossy().into_owned(), entry.path()));
        }
        if found.len() > FOLDER_FILE_COUNT_MAX {
            return Err(format!("`{}` holds more than {FOLDER_FILE_COUNT_MAX} files; pack them", root.display()));
        }
    }
    Ok(())
}

/// A small document, whole.
pub(crate) fn text(path: &Path) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| format!("`{}`: {error}", path.display());
    let mut text = String::new();
    let file = File::open(path).map_err(|error| failed(&error))?;
    file.take(TEXT_BYTES_MAX.saturating_add(1)).read_to_string(&mut text).map_err(|error| failed(&error))?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        return Err(failed(&format!("is longer than {TEXT_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// The report for a terminal. Control characters of foreign texts are made visible.
fn in_words(report: &InspectionReport, asked: &[Screen]) -> String {
    let summary = &report.summary;
    let mut lines = vec![format!(
        "{}: {}, {} rows × {} columns",
        report.dataset, report.view.format, summary.row_count, summary.column_count
    )];
    for (screen, state) in &report.screens {
        let text = match state {
            inspection::ScreenState::Ran => continue,
            inspection::ScreenState::Skipped(_) if !asked.contains(screen) => continue,
            inspection::ScreenState::Partial(why) => format!("  {}: in part, {why}", screen.word()),
            inspection::ScreenState::Skipped(why) => format!("  {}: not run, {why}", screen.word()),
            inspection::ScreenState::Failed(why) => format!("  {}: FAILED, {why}", screen.word()),
        };
        lines.push(text);
    }
    for column in &report.view.columns {
        let facts: Vec<String> = column.facts.iter().take(4).map(|(name, value)| format!("{name} {value}")).collect();
        let personal = if column.personal.is_empty() { String::new() } else { format!(" [{}]", column.personal.join(", ")) };
        let missing =
            if column.null_share > 0.0 { format!(", {:.1} % missing", column.null_share * 100.0) } else { String::new() };
        let distinct = column.distinct_count.map_or_else(String::new, |count| format!(", {count} distinct"));
        lines.push(format!("  {}: {}{distinct}{missing}{personal}  {}", column.name, column.kind, facts.join(" · ")));
    }
    for finding in &report.findings {
        lines.push(format!("{:>8}  {}  {}: {}", finding.severity.word(), finding.id, finding.title, finding.detail));
        if finding.severity >= Severity::Warning {
            lines.push(format!("          → {}", finding.remedy));
        }
    }
    lines.iter().map(|line| visible(line)).collect::<Vec<_>>().join("\n")
}

fn visible(line: &str) -> String {
    line.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
