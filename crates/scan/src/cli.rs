//! `strongroom scan PATH…`: works alone, without a server.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::report::{FileReport, Report, Verdict};
use crate::scanner::{Limits, Scanner};
use crate::source::FileSource;

/// Files of one run.
const FILES_MAX: usize = 100_000;
/// Folders in folders.
const FOLDER_DEPTH_MAX: usize = 64;

/// How to use it.
pub const USAGE: &str = "PATH… [--json | --sarif] [--allow FILE] [--max-decompressed BYTES]

  judges model files and folders without loading them: clean, unknown or blocked
  --json            the whole report as JSON
  --sarif           the findings as SARIF 2.1.0
  --allow FILE      more names that pickles may import: lines of `module name`
  --max-decompressed BYTES
                    what one file may become in memory (512 MiB)

  exit codes: 0 clean, 1 blocked, 3 unknown, 2 wrong use or unreadable files";

/// Exit code of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is clean.
    Clean = 0,
    /// Something is blocked.
    Blocked = 1,
    /// Wrong use, or a file could not be read.
    Failed = 2,
    /// Something is unknown, and nothing blocked.
    Unknown = 3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    Sarif,
}

#[derive(Debug)]
struct Order {
    paths: Vec<PathBuf>,
    form: Form,
    allow: Vec<PathBuf>,
    limits: Limits,
}

/// Runs the command with the words after its name; the report goes to `out`, problems to `complaints`.
pub fn run(words: &[String], out: &mut dyn Write, complaints: &mut dyn Write) -> Exit {
    if words.iter().any(|word| word == "--help" || word == "-h") {
        // Whoever closed the pipe wants no help.
        let _ = writeln!(out, "{USAGE}");
        return Exit::Clean;
    }
    match judge(words, out) {
        Ok(Verdict::Clean) => Exit::Clean,
        Ok(Verdict::Unknown) => Exit::Unknown,
        Ok(Verdict::Blocked) => Exit::Blocked,
        Err(problem) => {
            // Whoever cannot be told is told by the exit code.
            let _ = writeln!(complaints, "{problem}");
            Exit::Failed
        }
    }
}

fn judge(words: &[String], out: &mut dyn Write) -> Result<Verdict, String> {
    let order = parse(words)?;
    let mut scanner = Scanner::new(order.limits)?;
    for path in &order.allow {
        let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        scanner.allow(&path.display().to_string(), &text)?;
    }
    let mut files = Vec::new();
    for path in &order.paths {
        files.extend(scan_path(&scanner, path)?);
    }
    let report = scanner.report(files);
    write(&report, order.form, out).map_err(|error| format!("cannot write the report: {error}"))?;
    Ok(report.verdict)
}

fn parse(words: &[String]) -> Result<Order, String> {
    let mut order = Order { paths: Vec::new(), form: Form::Text, allow: Vec::new(), limits: Limits::default() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
        match word.as_str() {
            "--json" => order.form = Form::Json,
            "--sarif" => order.form = Form::Sarif,
            "--allow" => order.allow.push(PathBuf::from(value()?)),
            "--max-decompressed" => {
                let text = value()?;
                order.limits.decompressed_bytes_max = text.parse().map_err(|_| format!("`{text}` is no number of bytes"))?;
            }
            option if option.starts_with("--") => return Err(format!("`{option}` is no option\n{USAGE}")),
            path => order.paths.push(PathBuf::from(path)),
        }
    }
    if order.paths.is_empty() { Err(USAGE.to_owned()) } else { Ok(order) }
}

/// Judges a file, or all files of a folder.
///
/// # Errors
/// If something cannot be read.
pub fn scan_path(scanner: &Scanner, path: &Path) -> Result<Vec<FileReport>, String> {
    let problem = |path: &Path, error: io::Error| format!("cannot read `{}`: {error}", path.display());
    let mut found = Vec::new();
    if std::fs::metadata(path).map_err(|error| problem(path, error))?.is_dir() {
        walk(path, "", 0, &mut found)?;
    } else {
        found.push((path.to_owned(), String::new()));
    }
    let names: BTreeSet<String> = found.iter().map(|(_, name)| name.clone()).filter(|name| !name.is_empty()).collect();
    let mut reports = Vec::new();
    for (file_path, name) in found {
        let file = File::open(&file_path).and_then(FileSource::new).map_err(|error| problem(&file_path, error))?;
        let shown = if name.is_empty() { file_path.display().to_string() } else { name };
        reports.push(scanner.scan_among(&shown, &file, &names).map_err(|error| problem(&file_path, error))?);
    }
    Ok(reports)
}

/// All plain files below a folder, by name. A link is refused: what it leads to is not part of the model.
fn walk(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<(PathBuf, String)>) -> Result<(), String> {
    if depth > FOLDER_DEPTH_MAX || found.len() > FILES_MAX {
        return Err(format!(
            "`{}` is deeper than {FOLDER_DEPTH_MAX} folders or has more than {FILES_MAX} files",
            folder.display()
        ));
    }
    let problem = |error: io::Error| format!("cannot read `{}`: {error}", folder.display());
    let mut entries: Vec<_> = std::fs::read_dir(folder).map_err(problem)?.collect::<Result<_, _>>().map_err(problem)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().map_err(problem)?;
        if kind.is_dir() {
            walk(&entry.path(), &format!("{name}/"), depth + 1, found)?;
        } else if kind.is_file() {
            found.push((entry.path(), name));
        } else {
            return Err(format!("`{}` is a link or a device; scan what it leads to by itself", entry.path().display()));
        }
    }
    Ok(())
}

fn write(report: &Report, form: Form, out: &mut dyn Write) -> io::Result<()> {
    match form {
        Form::Json => {
            serde_json::to_writer_pretty(&mut *out, report)?;
            writeln!(out)
        }
        Form::Sarif => {
            serde_json::to_writer_pretty(&mut *out, &crate::sarif::sarif(report))?;
            writeln!(out)
        }
        Form::Text => text(report, out),
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Clean => "clean",
        Verdict::Unknown => "unknown",
        Verdict::Blocked => "BLOCKED",
    }
}

fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for file in &report.files {
        writeln!(out, "{:<8} {} ({}, {} bytes)", word(file.verdict), file.path, file.format, file.size_bytes)?;
        for finding in &file.findings {
            let member = if finding.member.is_empty() { String::new() } else { format!(" in `{}`", finding.member) };
            let offset = finding.offset.map_or_else(String::new, |offset| format!(" at byte {offset}"));
            writeln!(out, "         {}{member}{offset}: {}", finding.rule.id, finding.message)?;
            writeln!(out, "           {}", finding.rule.consequence)?;
        }
        if file.more_findings > 0 {
            writeln!(out, "         and {} more", file.more_findings)?;
        }
    }
    writeln!(
        out,
        "{}: {} files, rules {} ({:.12})",
        word(report.verdict),
        report.files.len(),
        report.rules.version,
        report.rules.digest
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[(&str, &[u8])]) -> Self {
            let path = std::env::temp_dir().join(format!("scan-{name}-{}", std::process::id()));
            for (name, content) in files {
                let file = path.join(name);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, content).unwrap();
            }
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[track_caller]
    fn check(words: &[&str], wanted: Exit) -> (String, String) {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        let exit = run(&words, &mut out, &mut complaints);
        let texts = (String::from_utf8(out).unwrap(), String::from_utf8(complaints).unwrap());
        assert_eq!(exit, wanted, "{texts:?}");
        texts
    }

    #[test]
    fn help_is_no_mistake() {
        let (out, complaints) = check(&["--help"], Exit::Clean);
        assert!(out.contains("--sarif") && complaints.is_empty());
    }

    #[test]
    fn a_folder_is_as_bad_as_its_worst_file() {
        let clean: &[u8] = b"\x80\x04N.";
        let good = Folder::new("good", &[("a.pkl", clean), ("b/c.json", b"{}")]);
        let unknown = Folder::new("unknown", &[("a.pkl", clean), ("b.bin", b"\x01\x02")]);
        let bad = Folder::new("bad", &[("b.bin", b"\x01\x02"), ("c/d.pkl", b"cos\nsystem\n)R.")]);
        for (folder, exit) in [(&good, Exit::Clean), (&unknown, Exit::Unknown), (&bad, Exit::Blocked)] {
            check(&[folder.0.to_str().unwrap()], exit);
        }
        let (out, _) = check(&[bad.0.to_str().unwrap(), "--json"], Exit::Blocked);
        let report: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&report["files"][1]["path"], &report["files"][1]["verdict"]), (&"c/d.pkl".into(), &"blocked".into()));
        let (out, _) = check(&[bad.0.to_str().unwrap(), "--sarif"], Exit::Blocked);
        assert!(out.contains("pickle.dangerous_global"));
        let (out, _) = check(&[bad.0.to_str().unwrap()], Exit::Blocked);
        assert!(out.contains("BLOCKED  c/d.pkl") && out.contains("os.system"), "{out}");
    }

    #[test]
    fn wrong_use_says_what_to_do() {
        assert!(check(&[], Exit::Failed).1.contains("--allow FILE"));
        assert!(check(&["--strange"], Exit::Failed).1.contains("--strange"));
        assert!(check(&["x", "--allow"], Exit::Failed).1.contains("needs a value"));
        assert!(check(&["/nowhere/at/all"], Exit::Failed).1.contains("cannot read"));
        assert!(check(&["x", "--max-decompressed", "many"], Exit::Failed).1.contains("many"));
    }

    #[test]
    fn links_are_not_followed() {
        let folder = Folder::new("link", &[("a.pkl", b"\x80\x04N.")]);
        std::os::unix::fs::symlink("/etc/hostname", folder.0.join("b")).unwrap();
        assert!(check(&[folder.0.to_str().unwrap()], Exit::Failed).1.contains("link"));
    }

    #[test]
    fn a_list_of_the_user_is_taken() {
        let folder = Folder::new("allow", &[("a.pkl", b"\x80\x04cmine\nThing\n)R."), ("list.md", b"mine Thing\n")]);
        let (model, list) = (folder.0.join("a.pkl"), folder.0.join("list.md"));
        check(&[model.to_str().unwrap()], Exit::Blocked);
        check(&[model.to_str().unwrap(), "--allow", list.to_str().unwrap()], Exit::Clean);
    }
}
