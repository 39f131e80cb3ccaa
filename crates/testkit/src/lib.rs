//! What tests share: a gate that lets everything pass ([`open_gate`]), the databases that they run on ([`Engine`]), and what
//! else a test must not build anew each time.
//!
//! It is not part of the server: only `dev-dependencies` name it.
//!
//! INVARIANT: what it makes lets nothing pass in a real server, because it holds only a gate of its own.

mod engines;
pub mod gate;
mod postgres;

pub use self::engines::{Engine, on_both_engines};
pub use self::gate::{TestGate, open_gate};
pub use self::postgres::{FreshDatabase, fresh_postgres};
