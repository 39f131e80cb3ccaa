//! Signs and verifies models and writes papers, for tests with other implementations: `tests/clients/test_attest.py`.
//!
//! ```text
//! make_fixture sign MODEL SIGNATURE KEY.pem [--chain CHAIN.pem] [--shards BYTES]
//! make_fixture verify MODEL SIGNATURE [--key PUBLIC.pem] [--root CERTIFICATE.pem] [--at SECONDS]
//!                                     [--sigstore TRUSTED_ROOT.json --identity NAME --issuer ADDRESS]
//! make_fixture papers FOLDER            a model, its signature, statements, papers and evidence, and a data set's description
//! make_fixture evidence FILE --key PUBLIC.pem
//! make_fixture signature SIGNATURE …   as `verify`, without the files
//! ```
//! Exit code 1 and one line if it does not hold.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use attest::EcdsaSigner;
use attest::evidence::{Claim, State};
use attest::oms::{Coverage, Directory, Method, sign_with_certificates, sign_with_key, verify, verify_signature};
use attest::policy::{SignerPolicy, TrustedAuthority, TrustedIdentity, TrustedKey};
use kernel::{Clock, Micros, Secret, SystemClock};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

#[path = "make_fixture/papers.rs"]
mod papers;

type Done = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["sign", model, signature, key, options @ ..] => sign(model, signature, key, options),
        ["verify", model, signature, options @ ..] => check(Some(model), signature, options),
        ["papers", folder] => papers::write(Path::new(folder)),
        ["evidence", file, options @ ..] => evidence(file, options),
        ["signature", signature, options @ ..] => check(None, signature, options),
        _ => Err("make_fixture sign|verify|signature|papers|evidence …".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn value<'a>(options: &[&'a str], name: &str) -> Option<&'a str> {
    let at = options.iter().position(|word| *word == name)?;
    options.get(at + 1).copied()
}

fn sign(model: &str, signature: &str, key: &str, options: &[&str]) -> Done {
    let signer = EcdsaSigner::from_pem(&Secret::new(std::fs::read(key)?))?;
    let method = value(options, "--shards").map_or(Ok(Method::Files), |bytes| bytes.parse().map(Method::Shards))?;
    let name = Path::new(model).file_name().map_or("model".into(), |name| name.to_string_lossy());
    let manifest =
        Directory::open(Path::new(model))?.manifest(&name, method, Path::new(signature).file_name().and_then(|n| n.to_str()))?;
    let bundle = match value(options, "--chain") {
        None => sign_with_key(&manifest, &signer)?,
        Some(file) => {
            let chain: Result<Vec<CertificateDer<'_>>, _> = CertificateDer::pem_slice_iter(&std::fs::read(file)?).collect();
            let chain: Vec<Vec<u8>> = chain?.iter().map(|der| der.to_vec()).collect();
            sign_with_certificates(&manifest, &signer, &chain)?
        }
    };
    Ok(std::fs::write(signature, bundle.to_bytes()?)?)
}

fn evidence(file: &str, options: &[&str]) -> Done {
    let key = value(options, "--key").ok_or("--key PUBLIC.pem")?;
    let key = TrustedKey { name: "server".to_owned(), public_key: std::fs::read_to_string(key)? };
    let trust = SignerPolicy { keys: vec![key], ..SignerPolicy::default() }.trust(None)?;
    let report = attest::evidence::verify(&std::fs::read(file)?, &trust, SystemClock.now(), None)?;
    print!("{report}");
    // No log is here that could give receipts.
    let sound = |claim: &Claim| claim.state == State::Holds || claim.what.starts_with("receipt of");
    if report.claims.iter().all(sound) { Ok(()) } else { Err("not everything holds".into()) }
}

fn check(model: Option<&str>, signature: &str, options: &[&str]) -> Done {
    let read = |name| value(options, name).map(std::fs::read_to_string).transpose();
    let mut policy = SignerPolicy::default();
    if let Some(public_key) = read("--key")? {
        policy.keys.push(TrustedKey { name: "key".to_owned(), public_key });
    }
    if let Some(certificate) = read("--root")? {
        policy.authorities.push(TrustedAuthority { name: "root".to_owned(), certificate, signers: vec!["*".to_owned()] });
    }
    if let (Some(identity), Some(issuer)) = (value(options, "--identity"), value(options, "--issuer")) {
        let (identity, issuer) = (identity.to_owned(), issuer.to_owned());
        policy.identities.push(TrustedIdentity { name: "identity".to_owned(), identity, issuer });
    }
    let trust = policy.trust(read("--sigstore")?.as_deref())?;
    let at = value(options, "--at").map_or(Ok(SystemClock.now().as_secs()), str::parse)?;
    let (at, bundle) = (Micros(0).plus_secs(at), std::fs::read(signature)?);
    let name = Path::new(signature).file_name().and_then(|name| name.to_str());
    let (manifest, signer) = match model {
        Some(model) => {
            let directory = Directory::open(Path::new(model))?;
            let verified = verify(&bundle, &trust, at, &directory, Coverage::Specified, name)?;
            (verified.manifest, verified.signer)
        }
        None => verify_signature(&bundle, &trust, at)?,
    };
    println!("{} files or shards, signed by {signer:?}", manifest.resources.len());
    Ok(())
}
