//! The room over both engines, with an endpoint that is really asked.

mod finding;
mod policies;
mod proofs;
mod sealing;
mod subjects;
mod support;
