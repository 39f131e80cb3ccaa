//! What a worker program does before and around its computing: it opens its files, locks itself in, and talks over its pipes.
//!
//! `strongroom-inspect` and `strongroom-query` share it, so that there is one list of system calls and one end of the
//! pipes to look through. It computes nothing, decides nothing, and is never part of the server.
//!
//! INVARIANT: after [`confine`] no file, socket or process can be reached that was not open before. Held by the sandbox tests
//! of both programs, which run [`self_test`].
//! INVARIANT: a worker whose server is gone or talks nonsense ends. Held by `inspector/tests/it/protocol.rs`.

mod local_files;
mod locks;
mod pipe;
mod self_test;
mod system;

pub use local_files::{TEXT_BYTES_MAX, data_files, read_options, text};
pub use locks::confine;
pub use pipe::{Pipe, RemoteFile, hear, say};
pub use self_test::run as self_test;
pub use system::{Usage, allow_many_files, usage};

/// A panic says where it happened and nothing else: its message may hold a value from the data.
pub fn quiet_panics(program: &'static str) {
    std::panic::set_hook(Box::new(move |info| {
        if let Some(place) = info.location() {
            eprintln!("{program}: a fault at {}:{}", place.file(), place.line());
        }
    }));
}
