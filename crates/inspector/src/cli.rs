//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use inspection::CsvWords;

use crate::contracts;

/// Inspects data files without trusting them: what is in them, whether they hold to a contract, whom they concern, and
/// whether they were tampered with.
#[derive(Debug, Parser)]
#[command(name = "strongroom-inspect", version, about, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  strongroom-inspect profile sales.parquet
  strongroom-inspect check --contract sales.odcs.yaml sales.parquet
  strongroom-inspect personal notes.csv --json | jq .summary.classes
  strongroom-inspect poison --label churned train.parquet --html report.html
  strongroom-inspect drift january.parquet february.parquet
  strongroom-inspect scan model/ --sarif
  strongroom-inspect contract import --from great-expectations suite.json --name sales > sales.odcs.yaml
  strongroom-inspect contract diff old.odcs.yaml new.odcs.yaml
  strongroom-inspect all --label y --contract c.yaml part-0.parquet part-1.parquet

Several files are one table, in the order given; a folder of images is one table too.
The files are opened first; then the program locks itself in (no files, no network, no other programs) and reads.
Ends with 0: nothing worse than information was found; 1: there are findings; 2: it could not be done.";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// The digest of the file scanner's rules.
    #[command(hide = true)]
    Rules,
    /// What is in the files.
    Profile {
        #[command(flatten)]
        files: Files,
    },
    /// Whether they hold to a data contract (ODCS v3.1).
    Check {
        /// The contract.
        #[arg(long)]
        contract: PathBuf,
        #[command(flatten)]
        files: Files,
    },
    /// Whom they concern.
    Personal {
        #[command(flatten)]
        files: Files,
    },
    /// Whether rows were tampered with to mislead a model, and which an attacker would change.
    Poison {
        #[command(flatten)]
        files: Files,
    },
    /// What changed from one version to another.
    Drift {
        /// The earlier version: a file, or a report written with `--json`.
        before: PathBuf,
        #[command(flatten)]
        files: Files,
    },
    /// All of these.
    All {
        /// A contract.
        #[arg(long)]
        contract: Option<PathBuf>,
        /// An earlier version: a file, or a report written with `--json`.
        #[arg(long)]
        reference: Option<PathBuf>,
        #[command(flatten)]
        files: Files,
    },
    /// What loading model files would do.
    #[command(disable_help_flag = true)]
    Scan {
        /// Files and folders, `--json`, `--sarif`, `--allow FILE`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Data contracts by themselves: read, import, compare.
    Contract {
        #[command(subcommand)]
        verb: contracts::Verb,
        /// Go on where the kernel cannot lock the program in.
        #[arg(long, global = true)]
        allow_insecure_unsandboxed: bool,
    },
    /// The server's worker: talks over its pipes.
    #[command(hide = true)]
    Worker {
        #[arg(long)]
        allow_insecure_unsandboxed: bool,
    },
    /// Locks itself in and then tries to break out.
    #[command(hide = true)]
    SelfTest { what: String },
}

/// The files, what their columns are for, and how to say what was found.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// Parquet, CSV, JSON lines, Arrow IPC, NumPy, or a folder of images.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub csv: CsvWords,
    /// The column that a model learns to predict.
    #[arg(long)]
    pub label: Option<String>,
    /// The column that says where a row came from.
    #[arg(long)]
    pub source: Option<String>,
    /// The column that says when a row came to be.
    #[arg(long)]
    pub time: Option<String>,
    /// The column that identifies a row.
    #[arg(long)]
    pub id: Option<String>,
    /// A column that no screen may learn from; may be given several times.
    #[arg(long)]
    pub ignore: Vec<String>,
    /// Print the whole report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Write the report as a page.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Memory that the inspection may use.
    #[arg(long, value_name = "MIB", default_value_t = 4_096)]
    pub memory: u64,
    /// Go on where the kernel cannot lock the program in.
    #[arg(long)]
    pub allow_insecure_unsandboxed: bool,
}
