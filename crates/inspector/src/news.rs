//! Who hears how an inspection goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use inspection::Finding;
use inspection::frame::FromWorker;
use sandbox::{Pipe, say};

/// Hears how an inspection goes: the server over a pipe, or a person at a terminal.
pub(crate) trait News: Sync {
    /// Work has come so far: rows or steps, of how many.
    fn progress(&self, stage: &str, done: u64, of: Option<u64>);
    /// Something was found.
    fn found(&self, finding: &Finding);
}

/// The server.
pub(crate) struct ToServer(pub Arc<Pipe>);

impl News for ToServer {
    fn progress(&self, stage: &str, done: u64, of: Option<u64>) {
        self.0.progress(stage, done, of);
    }

    fn found(&self, finding: &Finding) {
        say(&FromWorker::Finding(Box::new(finding.clone()))).ok();
    }
}

/// A person at a terminal: one line per stage, on standard error.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    quiet: AtomicBool,
    last: std::sync::Mutex<String>,
}

impl Terminal {
    /// Says nothing.
    pub(crate) fn quiet() -> Self {
        Self { quiet: AtomicBool::new(true), ..Self::default() }
    }
}

impl News for Terminal {
    fn progress(&self, stage: &str, _done: u64, of: Option<u64>) {
        if self.quiet.load(Ordering::Relaxed) {
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.as_str() != stage {
            stage.clone_into(&mut last);
            match of {
                Some(of) => eprintln!("… {stage} ({of} rows)"),
                None => eprintln!("… {stage}"),
            }
        }
    }

    fn found(&self, _finding: &Finding) {}
}
