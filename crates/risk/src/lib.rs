//! How risky is this attempt? Rates of strangers per address and of known callers per token, account, workspace and address ([`rates`]), locks
//! by exponential delay per account, a score from 0 to 100 for every request ([`Assessor`]), and a judgement of log-ins ([`LogIns`]; the mathematics are crate `rba`'s).
//!
//! It does not find out who knocks (`identity`), nor decide what may be done at which risk (`policy`), nor ask anybody for a second
//! factor (log-in does). What it counts of requests is in memory, which a restart may clear; what it knows of log-ins, and what is held against
//! somebody for a while, lies in SQL too.
//!
//! INVARIANT: every map has a named limit and forgets the oldest first. Held by `bounded::tests`.
//! INVARIANT: nobody can lock out a token that was good a moment ago, or a person at an address where that person logged in
//! before or with a browser in which they did, by failing elsewhere. Held by `port::tests`.
//! INVARIANT: servers that share a database never grant more of a rate than it allows. Held by `rates::tests`.
//! INVARIANT: no name, address or secret of an attempt is kept: only keyed hashes under a key that is made at the start. See `keys`.
//! INVARIANT: of a log-in only keyed hashes are kept, and its country and network sealed; both go with the person. Held by `tests/log_ins`.
//! INVARIANT: it learns of log-ins that were verified, and of those of accounts without factors against which nothing speaks; of no others. Held
//! by `tests/log_ins` and the tests of `server::judging`.

mod bounded;
mod browser;
mod config;
mod files;
mod gcra;
mod keys;
mod lock;
mod log_ins;
pub mod ops;
mod port;
mod raised;
mod rates;
mod score;
mod store;
mod told;

pub use config::{LogInConfig, RiskConfig};
pub use gcra::Quota;
pub use log_ins::{Ended, FindPerson, Ground, LogInFacts, LogIns};
pub use ops::ACTIONS;
pub use port::Assessor;
pub use raised::{Cause, Raise};
pub use rates::config::{LimitsConfig, Rate, Rates};
pub use rba::{Band, Bands, Judged, Reason};
pub use told::{JudgedLogIn, ToldReason};
