//! Strongroom: one binary. This crate holds the configuration, the wiring of the rooms behind the gate's ports, TLS, the
//! listener and the command line. It is a library too, so that benches and tests open the same wiring.
//!
//! It is not a room: it holds no rule of any room and decides nothing.
//!
//! INVARIANT: commands on data are requests through the router, whether a server runs or not. Held by `cli::client`, the
//! only way that commands have.

/// Prints a line to stdout. Whoever reads may have had enough (`| head`): that ends the command, and is no fault.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => {
        $crate::output_line(&format!($($part)*))
    };
}

/// Writes a line to stdout; ends the process quietly if nobody reads any more.
pub fn output_line(text: &str) {
    use std::io::Write;
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    if write!(std::io::stdout(), "{text}{newline}").is_err() {
        std::process::exit(0);
    }
}

mod agent;
mod backing;
pub mod boot;
pub mod cli;
pub mod config;
mod cosign;
mod detecting;
mod devicing;
mod doors;
mod engines;
mod federating;
mod folder;
mod housekeeping;
mod https;
mod inspecting;
mod jailed;
mod judging;
pub mod key_services;
mod keykeeping;
mod lingering;
pub mod listen;
mod locate;
mod locks_told;
mod log_health;
mod mailing;
mod observing;
mod receipts;
mod restore_given;
mod restoring;
pub mod retraining;
pub mod system;
pub mod telemetry;
pub mod tls;
mod trust;
pub mod ui;
pub mod verify;
pub mod witness;
