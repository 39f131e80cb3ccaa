//! Strongroom: one binary. This crate holds the configuration, the wiring of the rooms behind the gate's ports, TLS, the
//! listener and the command line. It is a library too, so that benches and tests open the same wiring.
//!
//! It is not a room: it holds no rule of any room and decides nothing.
//!
//! INVARIANT: commands on data are requests through the router, whether a server runs or not. Held by `cli::client`, the
//! only way that commands have.

pub mod boot;
pub mod cli;
pub mod config;
pub mod listen;
mod locate;
pub mod system;
pub mod tls;
pub mod ui;
pub mod verify;
pub mod witness;
