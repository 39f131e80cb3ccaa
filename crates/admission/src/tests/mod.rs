//! The room over both engines, with the registry and the artifacts beside it.

mod decisions;
mod gates;
mod guarding;
mod inspecting;
mod papers;
mod promotion;
mod signatures;
mod support;
mod verifying;
