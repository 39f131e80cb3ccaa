//! `fuzz-parsers TARGET SEED FIRST SECONDS PROGRESS [CORPUS]`: drives one reader of ours with changed examples, until the time is over.
//!
//! It is the child of `cargo xtask fuzz parsers`, which gives it a limit of memory and of CPU time and starts it again behind a case that
//! killed it. The same target, seed and case are the same bytes in every run, but for signatures, which are made anew.
//! `fuzz-parsers TARGET SEED FIRST case FILE [CORPUS]` writes the bytes of one case to a file. Panics are caught and reported, one line of
//! JSON each; so is a case that takes too long. Their bytes are kept beside PROGRESS.
//!
//! INVARIANT: a case depends on its seed and number alone. Held by `tests::a_case_is_the_same_in_every_run`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool at the command line")]

mod mutate;
mod seeds;
mod targets;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use mutate::{BYTES_MAX, Random, mutated};
use targets::{Target, Wrap};

/// CPU time of one case, above which it is reported.
const CASE_MAX: Duration = Duration::from_secs(3);
/// Findings that one run tells.
const FINDING_COUNT_MAX: usize = 20;

/// Where the last panic was: the hook knows, the caught value does not.
static PANICKED_AT: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["list"] => {
            targets::all().iter().for_each(|target| println!("{}", target.name));
            Ok(())
        }
        [target, seed, first, "case", file, corpus @ ..] => write_case(target, seed, first, file, corpus.first().copied()),
        [target, seed, first, seconds, progress, corpus @ ..] => {
            drive(target, seed, first, seconds, progress, corpus.first().copied())
        }
        _ => Err("fuzz-parsers TARGET SEED FIRST SECONDS PROGRESS [CORPUS]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// A target with its examples, and those of a folder whose names end as one of them does.
fn target(name: &str, corpus: Option<&str>) -> Result<Target, String> {
    let mut found = targets::all().into_iter().find(|one| one.name == name).ok_or_else(|| format!("there is no `{name}`"))?;
    let Some(folder) = corpus else { return Ok(found) };
    let list = std::fs::read_dir(folder).map_err(|error| format!("cannot read `{folder}`: {error}"))?;
    let mut paths: Vec<_> = list.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let ending = |name: &str| Path::new(name).extension().map(std::ffi::OsStr::to_os_string);
        let like = found.seeds.iter().map(|(name, _)| *name).find(|name| ending(name).as_deref() == path.extension());
        if let (Some(like), Ok(bytes)) = (like, std::fs::read(&path))
            && bytes.len() <= BYTES_MAX
        {
            found.seeds.push((like, bytes));
        }
    }
    Ok(found)
}

/// The name and bytes of a case.
fn case(target: &Target, seed: u64, number: u64) -> Option<(&'static str, Vec<u8>)> {
    let mut random = Random::new(seed, number);
    let (name, bytes) = random.pick(&target.seeds)?;
    let (_, other) = random.pick(&target.seeds)?;
    let wrap = random.pick(target.wraps).copied().unwrap_or(Wrap::Bare);
    Some((name, wrap.around(mutated(&mut random, bytes, other))))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn write_case(name: &str, seed: &str, first: &str, file: &str, corpus: Option<&str>) -> Result<(), String> {
    let target = target(name, corpus)?;
    let (like, bytes) = case(&target, number(seed)?, number(first)?).ok_or("the target has no examples")?;
    println!("{like}");
    std::fs::write(file, bytes).map_err(|error| format!("cannot write `{file}`: {error}"))
}

fn drive(name: &str, seed: &str, first: &str, seconds: &str, progress: &str, corpus: Option<&str>) -> Result<(), String> {
    let target = target(name, corpus)?;
    let (seed, mut place, seconds) = (number(seed)?, number(first)?, number(seconds)?);
    let beside = progress;
    let progress = File::create(progress).map_err(|error| format!("cannot make `{progress}`: {error}"))?;
    std::panic::set_hook(Box::new(|told| {
        if let Ok(mut at) = PANICKED_AT.lock() {
            *at = told.to_string();
        }
    }));
    let (begun, mut count, mut told) = (Instant::now(), 0_u64, 0);
    while begun.elapsed() < Duration::from_secs(seconds) {
        progress.write_all_at(&place.to_le_bytes(), 0).map_err(|error| format!("cannot say how far it is: {error}"))?;
        let Some((like, bytes)) = case(&target, seed, place) else { break };
        let before = cpu();
        let fault = match catch_unwind(AssertUnwindSafe(|| (target.read)(like, &bytes))) {
            Ok(Ok(())) => None,
            Ok(Err(fault)) => Some(fault),
            Err(_) => Some(PANICKED_AT.lock().map(|at| at.clone()).unwrap_or_default()),
        };
        let taken = cpu().saturating_sub(before);
        let fault = fault.or_else(|| (taken > CASE_MAX).then(|| format!("it took {:.1} s of CPU", taken.as_secs_f64())));
        if let Some(fault) = fault {
            let kept = format!("{beside}.{place}");
            std::fs::write(&kept, &bytes).map_err(|error| format!("cannot write `{kept}`: {error}"))?;
            println!("{}", serde_json::json!({"case": place, "file": like, "kept": kept, "fault": fault}));
            told += 1;
            if told >= FINDING_COUNT_MAX {
                break;
            }
        }
        place += 1;
        count += 1;
    }
    println!("{}", serde_json::json!({"cases": count}));
    Ok(())
}

/// What this process has computed: the first number of `schedstat`, in nanoseconds.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_the_same_in_every_run() {
        for target in targets::all().iter().filter(|target| target.name != "attest") {
            let made = |seed| -> Vec<_> { (0..50).filter_map(|number| case(target, seed, number)).collect() };
            assert_eq!(made(3), made(3), "{}", target.name);
            assert_ne!(made(3), made(4), "{}", target.name);
        }
    }

    #[test]
    fn examples_are_read_as_they_are() {
        for target in targets::all() {
            for (name, bytes) in &target.seeds {
                assert_eq!((target.read)(name, bytes), Ok(()), "{}: {name}", target.name);
            }
        }
        for (name, bytes) in seeds::runtimes() {
            let files = std::collections::BTreeMap::from([(name.to_owned(), bytes)]);
            let refused = runtime::Model::load(&files, &runtime::Limits::default()).err();
            assert!(refused.is_none() || matches!(name, "model.ubj" | "model.skops"), "{name}: {refused:?}");
        }
    }

    #[test]
    fn some_changed_examples_of_each_reader_make_no_fault() {
        for target in targets::all() {
            for number in 0..60 {
                let (name, bytes) = case(&target, 5, number).unwrap();
                assert_eq!((target.read)(name, &bytes), Ok(()), "{} {number}", target.name);
            }
        }
    }
}
