//! One port of the jail's loopback to one socket outside: bytes pass, nothing looks at them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections at a time; a further one is closed at once.
const CONNECTION_COUNT_MAX: usize = 64;
/// Bytes that are carried at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Relays until the process ends.
pub(crate) fn serve(listener: &TcpListener, socket: &Path) {
    let open = Arc::new(AtomicUsize::new(0));
    for inside in listener.incoming() {
        let Ok(inside) = inside else { continue };
        if open.fetch_add(1, Ordering::SeqCst) >= CONNECTION_COUNT_MAX {
            open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (counted, path) = (Arc::clone(&open), socket.to_owned());
        let carried = std::thread::Builder::new().name("carry".to_owned()).spawn(move || {
            // What cannot be carried is closed: the program sees a connection that broke.
            drop(carry(&inside, &path));
            counted.fetch_sub(1, Ordering::SeqCst);
        });
        if carried.is_err() {
            open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn carry(inside: &TcpStream, socket: &Path) -> std::io::Result<()> {
    let outside = UnixStream::connect(socket)?;
    let (from, to) = (inside.try_clone()?, outside.try_clone()?);
    let there = std::thread::Builder::new().name("carry-out".to_owned()).spawn(move || {
        pump(from, &to);
        drop(to.shutdown(Shutdown::Write));
    })?;
    pump(outside, inside);
    drop(inside.shutdown(Shutdown::Write));
    drop(there.join());
    Ok(())
}

fn pump(mut from: impl Read, mut to: impl Write) {
    let mut piece = vec![0_u8; PIECE_BYTES];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        let Some(bytes) = piece.get(..count) else { return };
        if to.write_all(bytes).is_err() {
            return;
        }
    }
}
