//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use inspection::CsvWords;

/// Runs SQL over data files without trusting them: ad-hoc queries, joins, and the SQL rules of data contracts.
#[derive(Debug, Parser)]
#[command(name = "strongroom-query", version, about, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  strongroom-query sql 'SELECT colour, COUNT(*) FROM sales GROUP BY colour' sales.parquet
  strongroom-query sql 'SELECT COUNT(*) FROM o LEFT JOIN c ON o.customer = c.id WHERE c.id IS NULL' o=orders.csv c=customers.parquet
  strongroom-query sql 'SELECT * FROM parts LIMIT 5' parts=part-0.parquet parts=part-1.parquet --json | jq .rows
  strongroom-query rules --contract orders.odcs.yaml orders=orders.csv customers=customers.parquet
  strongroom-query sql 'SELECT column_5, COUNT(*) FROM iris GROUP BY column_5' iris=iris.data --no-header --delimiter ';'

A table is NAME=FILE; without a name it is called as the file is, without its ending. Files of one name are one table.
One SELECT is run, no other statement. The files are opened first; then the program locks itself in (no files, no network, no
other programs) and reads. Ends with 0: done, and every rule holds; 1: a rule does not hold; 2: it could not be done.";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// The rows of one query.
    Sql {
        /// The query: one SELECT.
        query: String,
        #[command(flatten)]
        tables: Tables,
    },
    /// Whether the SQL rules of a data contract (ODCS v3.1) hold. The first table is the one that they are about.
    Rules {
        /// The contract.
        #[arg(long)]
        contract: PathBuf,
        /// Which of its tables, where it has several.
        #[arg(long)]
        object: Option<String>,
        #[command(flatten)]
        tables: Tables,
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

/// The tables, and how much work is allowed.
#[derive(Debug, Args)]
pub(crate) struct Tables {
    /// Parquet, CSV, JSON lines, Arrow IPC, NumPy, or a folder of images.
    #[arg(required = true, value_name = "NAME=FILE")]
    pub tables: Vec<String>,
    #[command(flatten)]
    pub csv: CsvWords,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Rows to print.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    pub rows: u64,
    /// Time that one query may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub seconds: u64,
    /// Memory that the program may use; half of it is for groups, sorts and joins.
    #[arg(long, value_name = "MIB", default_value_t = 2_048)]
    pub memory: u64,
    /// Go on where the kernel cannot lock the program in.
    #[arg(long)]
    pub allow_insecure_unsandboxed: bool,
}
