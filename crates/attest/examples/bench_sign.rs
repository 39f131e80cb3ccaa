//! Signs a model and verifies it, best of some rounds, and hashes memory: for `cargo xtask bench sign`.
//!
//! `bench_sign FOLDER SIGNATURE PUBLIC.pem ROUNDS` prints `{"sign_seconds", "verify_seconds", "raw_bytes_per_second"}`.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use attest::oms::{Coverage, Directory, Method, sign_with_key, verify};
use attest::policy::{SignerPolicy, TrustedKey};
use attest::{EcdsaSigner, Signer};
use kernel::{Clock, Secret, SystemClock, sha256};

const RAW_BYTES: usize = 256 * 1024 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, signature, public, rounds] = words.as_slice() else {
        return Err("bench_sign FOLDER SIGNATURE PUBLIC.pem ROUNDS".into());
    };
    let (folder, rounds): (&Path, u32) = (Path::new(folder), rounds.parse()?);
    let signer = EcdsaSigner::from_seed(&Secret::new(vec![1; 32]))?;
    let public_key = signer.public_key().to_pem();
    std::fs::write(public, &public_key)?;
    let key = TrustedKey { name: "bench".to_owned(), public_key };
    let trust = SignerPolicy { keys: vec![key], ..SignerPolicy::default() }.trust(None)?;
    let sign_seconds = best(rounds, || {
        let manifest = Directory::open(folder)?.manifest("model", Method::Files, None)?;
        Ok(std::fs::write(signature, sign_with_key(&manifest, &signer)?.to_bytes()?)?)
    })?;
    let bundle = std::fs::read(signature)?;
    let verify_seconds = best(rounds, || {
        verify(&bundle, &trust, SystemClock.now(), &Directory::open(folder)?, Coverage::Whole, None)?;
        Ok(())
    })?;
    let memory = vec![7; RAW_BYTES];
    let raw_seconds = best(rounds, || {
        black_box(sha256(black_box(&memory)));
        Ok(())
    })?;
    #[expect(clippy::cast_precision_loss, reason = "a quarter of a gigabyte")]
    let raw = RAW_BYTES as f64 / raw_seconds;
    println!("{{\"sign_seconds\": {sign_seconds}, \"verify_seconds\": {verify_seconds}, \"raw_bytes_per_second\": {raw}}}");
    Ok(())
}

fn best(rounds: u32, mut work: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut seconds = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        work()?;
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    Ok(seconds)
}
