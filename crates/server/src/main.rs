//! Strongroom: one binary. This crate holds the configuration, the wiring of the rooms behind the gate's ports, TLS, the
//! listener and the command line. It holds no rule of any room.

mod boot;
mod cli;
mod config;
mod listen;
mod locate;
mod system;
mod tls;
mod ui;

fn main() -> std::process::ExitCode {
    cli::main()
}
