//! How risky is this attempt? Rate limits per address, locks by exponential delay per account, and a score from 0 to 100.
//!
//! It does not find out who knocks (`identity`), nor decide what may be done at which risk (`policy`). It reads no database:
//! what it knows is counters in memory, which a restart may clear.
//!
//! INVARIANT: every map has a named limit and forgets the oldest first. Held by `bounded::tests`.
//! INVARIANT: nobody can lock out a token that was good a moment ago, or a person at an address where that person logged in
//! before, by failing elsewhere. Held by `port::tests`.
//! INVARIANT: no name, address or secret is kept: only keyed hashes under a key that is made at the start. See `keys`.

mod bounded;
mod config;
mod gcra;
mod keys;
mod lock;
mod port;
mod score;

pub use config::RiskConfig;
pub use gcra::Quota;
pub use port::Assessor;
