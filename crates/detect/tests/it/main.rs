//! Detections: rules that fire on attacks and not on near misses, a quiet month, hostile rules, and what is written down.
#![expect(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod month;
mod rules;
mod store;
mod variants;
mod world;
