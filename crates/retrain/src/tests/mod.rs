//! The room with the rooms that it works with, on both engines.

mod jobs;
mod origin;
mod support;
