//! The program for people and CI: opens local files, locks itself in, inspects, prints.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use inspection::{
    Confinement, FileSpec, InspectionReport, JobSpec, OtherTable, ProcessLimits, Reference, Roles, Screen, Section, Severity,
    limit_this_process,
};
use kernel::{Clock, SystemClock};
use sandbox::{data_files, text};
use tables::DataFile;

use crate::cli::Files;
use crate::inspect::{self, Other};
use crate::news::Terminal;

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
        Ok(report) if worst(request, &report) >= Some(Severity::Warning) => ExitCode::from(FOUND),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strongroom-inspect: {error}");
            ExitCode::from(NOT_DONE)
        }
    }
}

/// The gravest that was asked about. Where it is whether files hold to a contract, personal data is looked for to mask examples alone.
fn worst(request: &Request, report: &InspectionReport) -> Option<Severity> {
    let is_asked =
        |screen: Screen| request.contract.is_none() || request.screens.contains(&Screen::Profile) || screen != Screen::Personal;
    report.findings.iter().filter(|finding| is_asked(finding.screen)).map(|finding| finding.severity).max()
}

fn inspect_and_print(request: &Request) -> Result<InspectionReport, String> {
    sandbox::allow_many_files();
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
            let (name, version) = (String::new(), reference.name.clone());
            let spec = OtherTable { name, version, files: Vec::new(), csv: job.csv, apart: false };
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
    job.csv = files.csv.dialect();
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
