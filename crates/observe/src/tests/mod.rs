//! The room over a fresh database, on both engines.

mod alerts;
mod deliveries;
mod support;
