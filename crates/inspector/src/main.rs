//! `strongroom-inspect`: reads untrusted data in a process that holds no key and reaches nothing.
//!
//! As the server's worker it talks over its pipes (`worker`), as a program for people and CI it reads local files (`local`).
//! Either way it confines itself (crate `sandbox`) before it looks at a byte of data, and then runs the same inspection
//! (`inspect`), which drives the engines: tables, profile, contract, personal, poison; and of models scan, runtime and adversary
//! (`trial`).
//!
//! It decides no verdict, keeps no state and writes nothing but its report.
//!
//! INVARIANT: no data is read before the confinement is in force. Held by `tests/sandbox.rs`.
//! INVARIANT: whatever is wrong with the data is a finding; a report always says what became of each screen. Held by
//! `tests/hostile.rs`.
//! INVARIANT: values of columns that may be personal stand nowhere in a report unmasked. Held by
//! `inspect::mask::tests`.

mod cleaning;
mod cli;
mod contracts;
mod inspect;
mod local;
mod news;
mod reading;
mod trial;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use cli::{Arguments, Verb};

/// Threads that compute.
pub(crate) const THREAD_COUNT: usize = 2;

/// The digest of the file scanner's rules, for the server: what older rules judged is inspected again.
fn rules() -> ExitCode {
    match scan::Scanner::new(scan::Limits::default()) {
        Ok(scanner) => {
            println!("{}", scanner.report(Vec::new()).rules.digest);
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("strongroom-inspect: {why}");
            ExitCode::FAILURE
        }
    }
}

fn main() -> ExitCode {
    sandbox::quiet_panics("strongroom-inspect");
    match Arguments::parse().verb {
        Verb::Worker { allow_insecure_unsandboxed } => worker::run(allow_insecure_unsandboxed),
        // Of all verbs the one that is not locked in: it walks folders while it reads, and only ever reads.
        Verb::Scan { words } => ExitCode::from(scan::cli::run(&words, &mut std::io::stdout(), &mut std::io::stderr()) as u8),
        Verb::Rules => rules(),
        Verb::SelfTest { what } => sandbox::self_test(&what),
        Verb::Contract { verb, allow_insecure_unsandboxed } => contracts::run(&verb, allow_insecure_unsandboxed),
        Verb::Profile { files } => local::run(&local::Request::profile(files)),
        Verb::Check { contract, files } => local::run(&local::Request::check(contract, files)),
        Verb::Personal { files } => local::run(&local::Request::personal(files)),
        Verb::Poison { files } => local::run(&local::Request::poison(files)),
        Verb::Drift { before, files } => local::run(&local::Request::drift(before, files)),
        Verb::All { contract, reference, files } => local::run(&local::Request::all(contract, reference, files)),
    }
}
