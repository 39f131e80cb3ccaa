//! What bounds an object store on this machine: the disk below a folder, SHA-256, AES-256-GCM, and one end of TLS. Each is measured alone,
//! on one thread and on as many as there are cores.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{Context, SHA256};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use serde_json::{Value, json};

use crate::options::Options;

const BLOCK_BYTES: usize = 4 << 20;
const ALIGN_BYTES: usize = 4 << 10;
const SEGMENT_BYTES: usize = 64 << 10;
/// Bytes that a cipher goes through between two looks at the clock.
const ROUND_COUNT: usize = 64;

/// Measures everything for the options' seconds each; the disk with a file of the options' bytes in the folder `--on`.
///
/// # Errors
/// If the folder cannot be written, or something of TLS cannot be made.
pub fn measure(options: &Options) -> Result<Value, String> {
    let folder = options.on.as_ref().ok_or("`limits` needs `--on FOLDER`")?;
    let path = Path::new(folder).join("limits.bin");
    let told = |what: &str, error: std::io::Error| format!("cannot {what} `{}`: {error}", path.display());
    let write = written(&path, options.bytes, true).map_err(|error| told("write", error))?;
    // A disk that takes more from the page cache than past it is as fast as that.
    let write = write.max(written(&path, options.bytes, false).map_err(|error| told("write", error))?);
    let read = read(&path, options.bytes, 1).map_err(|error| told("read", error))?;
    let read = read.max(self::read(&path, options.bytes, 4).map_err(|error| told("read", error))?);
    let syncs = [false, true].map(|is_growing| syncs(&path, options.duration, is_growing));
    let syncs = syncs.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| told("write", error))?;
    let syncs = syncs.into_iter().fold(0.0, f64::max);
    std::fs::remove_file(&path).map_err(|error| told("remove", error))?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut result = json!({"work": "limits", "disk_write": write, "disk_read": read, "syncs_per_s": syncs, "cores": cores});
    for (name, work) in [("sha256", sha256 as Work), ("seal", seal), ("open", open), ("tls_in", tls_in), ("tls_out", tls_out)] {
        let one = work(options.duration)?;
        let all = on_threads(work, options.duration, cores)?;
        if let Some(object) = result.as_object_mut() {
            object.insert(name.to_owned(), json!(one));
            object.insert(format!("{name}_all"), json!(all));
        }
    }
    Ok(result)
}

/// Megabytes per second.
type Work = fn(Duration) -> Result<f64, String>;

fn on_threads(work: Work, duration: Duration, count: usize) -> Result<f64, String> {
    let threads: Vec<_> = (0..count).map(|_| std::thread::spawn(move || work(duration))).collect();
    let mut sum = 0.0;
    for thread in threads {
        sum += thread.join().map_err(|_| "a thread broke")??;
    }
    Ok(sum)
}

fn rate(bytes: usize, taken: Duration) -> f64 {
    bytes as f64 / 1e6 / taken.as_secs_f64().max(1e-9)
}

/// A block that begins where the disk wants it.
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
}

impl Aligned {
    fn new() -> Self {
        let bytes = crate::works::noise(BLOCK_BYTES + ALIGN_BYTES).to_vec();
        let start = bytes.as_ptr().align_offset(ALIGN_BYTES).min(ALIGN_BYTES);
        Self { bytes, start }
    }

    fn block(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.start + BLOCK_BYTES).unwrap_or_default()
    }
}

fn opened(path: &Path, is_direct: bool) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    if is_direct {
        options.custom_flags(libc::O_DIRECT);
    }
    options.open(path)
}

fn written(path: &Path, bytes: usize, is_direct: bool) -> std::io::Result<f64> {
    // New blocks each time: an object store writes into space that was free.
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    // Not every file system knows writes past the cache; then the other kind counts.
    let Ok(mut file) = opened(path, is_direct) else { return Ok(0.0) };
    let (mut block, count) = (Aligned::new(), bytes.div_ceil(BLOCK_BYTES));
    let start = Instant::now();
    for _ in 0..count {
        file.write_all(block.block())?;
    }
    file.sync_data()?;
    Ok(rate(count * BLOCK_BYTES, start.elapsed()))
}

fn read(path: &Path, bytes: usize, threads: usize) -> std::io::Result<f64> {
    let each = bytes.div_ceil(BLOCK_BYTES) / threads;
    let start = Instant::now();
    let parts: Vec<_> = (0..threads)
        .map(|thread| {
            let path = path.to_path_buf();
            std::thread::spawn(move || {
                let mut file = opened(&path, true)?;
                file.seek(SeekFrom::Start((thread * each * BLOCK_BYTES) as u64))?;
                let mut block = Aligned::new();
                (0..each).try_for_each(|_| file.read_exact(block.block()))
            })
        })
        .collect();
    for part in parts {
        part.join().map_err(|_| std::io::Error::other("a thread broke"))??;
    }
    Ok(rate(each * threads * BLOCK_BYTES, start.elapsed()))
}

/// How often a second 4 KiB can be written durably, one behind the other: over what is there, or at the file's end.
fn syncs(path: &Path, duration: Duration, is_growing: bool) -> std::io::Result<f64> {
    let mut file = opened(path, false)?;
    file.seek(if is_growing { SeekFrom::End(0) } else { SeekFrom::Start(0) })?;
    let (page, start, mut count) = ([7_u8; ALIGN_BYTES], Instant::now(), 0_u32);
    while start.elapsed() < duration {
        file.write_all(&page)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// Goes through segments until the time is over.
fn segments(duration: Duration, mut each: impl FnMut() -> Result<(), String>) -> Result<f64, String> {
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < duration {
        for _ in 0..ROUND_COUNT {
            each()?;
        }
        count += ROUND_COUNT;
    }
    Ok(rate(count * SEGMENT_BYTES, start.elapsed()))
}

fn sha256(duration: Duration) -> Result<f64, String> {
    let (segment, mut context) = (crate::works::noise(SEGMENT_BYTES), Context::new(&SHA256));
    segments(duration, || {
        context.update(&segment);
        Ok(())
    })
}

fn key() -> Result<LessSafeKey, String> {
    UnboundKey::new(&AES_256_GCM, &[7; 32]).map(LessSafeKey::new).map_err(|_| "no key".to_owned())
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn seal(duration: Duration) -> Result<f64, String> {
    let (key, mut segment) = (key()?, crate::works::noise(SEGMENT_BYTES).to_vec());
    segments(duration, || {
        key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut segment).map(|_| ()).map_err(|_| "cannot seal".to_owned())
    })
}

fn open(duration: Duration) -> Result<f64, String> {
    let (key, mut sealed) = (key()?, crate::works::noise(SEGMENT_BYTES).to_vec());
    key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut sealed).map_err(|_| "cannot seal")?;
    let mut segment = sealed.clone();
    segments(duration, || {
        segment.copy_from_slice(&sealed);
        key.open_in_place(nonce(), Aad::empty(), &mut segment).map(|_| ()).map_err(|_| "cannot open".to_owned())
    })
}

fn tls_in(duration: Duration) -> Result<f64, String> {
    tls(duration, true)
}

fn tls_out(duration: Duration) -> Result<f64, String> {
    tls(duration, false)
}

/// The server's end of a connection in memory: what it costs to take in, or to send out, bytes. The other end is not counted.
fn tls(duration: Duration, is_in: bool) -> Result<f64, String> {
    let (mut client, mut server) = pair()?;
    let (segment, mut wire, mut plain) = (crate::works::noise(SEGMENT_BYTES), Vec::new(), vec![0; SEGMENT_BYTES]);
    let (start, mut spent, mut count) = (Instant::now(), Duration::ZERO, 0);
    while start.elapsed() < duration {
        wire.clear();
        let begun = Instant::now();
        if is_in {
            send(&mut client, &segment, &mut wire)?;
        } else {
            send(&mut server, &segment, &mut wire)?;
        }
        let sent = begun.elapsed();
        let begun = Instant::now();
        if is_in {
            receive(&mut server, &wire, &mut plain)?;
        } else {
            receive(&mut client, &wire, &mut plain)?;
        }
        spent += if is_in { begun.elapsed() } else { sent };
        count += SEGMENT_BYTES;
    }
    Ok(rate(count, spent))
}

fn send<Data>(end: &mut rustls::ConnectionCommon<Data>, bytes: &[u8], wire: &mut Vec<u8>) -> Result<(), String> {
    let mut bytes = bytes;
    while !bytes.is_empty() {
        let count = end.writer().write(bytes).map_err(|error| error.to_string())?;
        bytes = bytes.get(count..).unwrap_or_default();
        while end.wants_write() {
            end.write_tls(wire).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

fn receive<Data>(end: &mut rustls::ConnectionCommon<Data>, mut wire: &[u8], plain: &mut [u8]) -> Result<(), String> {
    let mut left = plain.len();
    while left > 0 {
        end.read_tls(&mut wire).map_err(|error| error.to_string())?;
        end.process_new_packets().map_err(|error| error.to_string())?;
        while left > 0 {
            match end.reader().read(plain) {
                Ok(0) => return Err("the other end closed".to_owned()),
                Ok(count) => left = left.saturating_sub(count),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.to_string()),
            }
        }
    }
    Ok(())
}

/// Two ends that have shaken hands.
fn pair() -> Result<(rustls::ClientConnection, rustls::ServerConnection), String> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|error| error.to_string())?;
    let (certificate, key) = (made.cert.der().clone(), PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let told = |error: rustls::Error| error.to_string();
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(told)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivateKeyDer::from(key))
        .map_err(told)?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).map_err(told)?;
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(told)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
    let mut client = rustls::ClientConnection::new(Arc::new(client), name).map_err(told)?;
    let mut server = rustls::ServerConnection::new(Arc::new(server)).map_err(told)?;
    while client.is_handshaking() || server.is_handshaking() || server.wants_write() {
        pass(&mut client, &mut server)?;
        pass(&mut server, &mut client)?;
    }
    Ok((client, server))
}

fn pass<From, To>(from: &mut rustls::ConnectionCommon<From>, to: &mut rustls::ConnectionCommon<To>) -> Result<(), String> {
    let mut wire = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut wire).map_err(|error| error.to_string())?;
    }
    let mut wire = wire.as_slice();
    while !wire.is_empty() {
        to.read_tls(&mut wire).map_err(|error| error.to_string())?;
        to.process_new_packets().map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_measured() {
        let folder = std::env::temp_dir().join(format!("limits-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let words = ["limits", "--on", folder.to_str().unwrap(), "--bytes", "16777216", "--seconds", "0"];
        let mut options = crate::options::parse(words.iter().map(|word| (*word).to_owned())).unwrap();
        options.duration = Duration::from_millis(5);
        let measured = measure(&options).unwrap();
        for name in ["disk_write", "disk_read", "syncs_per_s", "sha256", "seal_all", "open", "tls_in", "tls_out_all"] {
            assert!(measured[name].as_f64().unwrap() > 0.0, "{name}: {measured}");
        }
        std::fs::remove_dir(&folder).unwrap();
    }
}
