//! The room over a fresh database, on both engines.

mod alerts;
mod data_causes;
mod deliveries;
mod support;
