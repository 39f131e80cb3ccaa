//! A model that this process must not run, asked over one connection: whatever answers there is a program of somebody else's.
//!
//! It speaks frames, puts requests together that wait for the same model, and replaces the program when it hangs, breaks or
//! talks nonsense. It starts no process and knows no jail: whoever implements [`Start`] does. It decides nothing about who may ask.
//!
//! INVARIANT: what comes over the connection is bounded before memory is spent, and has as many rows as were asked; held by
//! `frame::tests` and `tests`.
//! INVARIANT: nobody's request fails for another one's: what failed together is asked again one by one; held by `tests`.
//! INVARIANT: a program that does not answer in time is ended, and the next request gets a new one; held by `tests`.

mod frame;
mod merge;
mod queue;

#[cfg(test)]
mod tests;

pub use frame::Converted;
pub use queue::{Begun, Life, Limits, Link, Start, Started, Worker, WorkerError};
