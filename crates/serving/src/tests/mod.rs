//! The room over both engines, with the registry, the admission and the artifacts beside it.

mod elsewhere;
mod guarding;
mod predicting;
mod rollouts;
mod serving;
mod support;
