//! `strongroom-query`: runs SQL over untrusted tables in a process that holds no key and reaches nothing.
//!
//! The SQL rules of data contracts, ad-hoc queries, and joins of tables. As the server's worker it talks over its pipes
//! (`worker`), as a program for people and CI it reads local files (`local`). Either way it confines itself (crate `sandbox`)
//! before it looks at a byte of data or a word of SQL, and then asks the same engine (`engine`): DataFusion, over rows that
//! crate `tables` reads.
//!
//! It is not a database: it keeps nothing, writes nothing, and knows one statement, a `SELECT` over the tables of its job.
//!
//! INVARIANT: no data and no query is read before the confinement is in force. Held by `tests/it/sandbox.rs`.
//! INVARIANT: only a single `SELECT` over the job's tables is run: no other statement, no file, no address, no table function.
//! Held by `engine::tests`.
//! INVARIANT: text, plan, memory, time and answer are bounded. Held by `engine::tests` and `tests/it/bounds.rs`.
//! INVARIANT: an answer to a rule holds a number or a reason, and the reason no value of the data. Held by `rules::tests`.

mod cli;
mod engine;
mod local;
mod rules;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use cli::{Arguments, Verb};

/// The stack of the thread that plans and runs: a plan's depth is bounded, and this is enough for it.
pub(crate) const STACK_BYTES: usize = 128 << 20;

fn main() -> ExitCode {
    sandbox::quiet_panics("strongroom-query");
    match Arguments::parse().verb {
        Verb::Worker { allow_insecure_unsandboxed } => worker::run(allow_insecure_unsandboxed),
        Verb::SelfTest { what } => sandbox::self_test(&what),
        Verb::Sql { query, tables } => local::sql(query, &tables),
        Verb::Rules { contract, object, tables } => local::rules(&contract, object.as_deref(), &tables),
    }
}

/// Does `work` on a thread with a stack that is deep enough.
pub(crate) fn on_a_deep_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let thread = std::thread::Builder::new().name("query".to_owned()).stack_size(STACK_BYTES).spawn(work);
    let thread = thread.map_err(|error| format!("a thread cannot be made: {error}; raise the limit of memory"))?;
    thread.join().map_err(|_| "the query engine met a fault of its own; write the query differently".to_owned())
}
