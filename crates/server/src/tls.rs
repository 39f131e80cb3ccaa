//! TLS, always. Without a certificate of the user's own, the server makes a certificate authority once, at
//! `DIR/tls/ca.pem`, and signs its own short-lived certificate with it.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kernel::Problem;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::TlsConfig;

/// How long the own authority is valid.
const CA_VALID: Duration = Duration::from_secs(10 * 365 * 86_400);
/// How long a certificate of it is valid.
const LEAF_VALID: Duration = Duration::from_secs(397 * 86_400);
/// A certificate older than this is replaced at start.
const LEAF_RENEW_AFTER: Duration = Duration::from_secs(300 * 86_400);
/// Certificates begin to be valid a little earlier, for clients whose clock is behind.
const CLOCK_SLACK: Duration = Duration::from_secs(3_600);

/// The authority that clients of this data folder trust.
#[must_use]
pub fn ca_path(data: &Path) -> PathBuf {
    data.join("tls/ca.pem")
}

/// Makes the certificate authority of a new data folder.
///
/// # Errors
/// `Internal` if a key cannot be made or a file cannot be written.
pub fn make_authority(data: &Path) -> Result<(), Problem> {
    let folder = data.join("tls");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|e| file_problem(&folder, e))?;
    let key = KeyPair::generate().map_err(tls_problem)?;
    let certificate = authority_params()?.self_signed(&key).map_err(tls_problem)?;
    write_private(&folder.join("ca.key"), &key.serialize_pem())?;
    write_private(&ca_path(data), &certificate.pem())
}

fn authority_params() -> Result<CertificateParams, Problem> {
    let mut params = CertificateParams::new(Vec::new()).map_err(tls_problem)?;
    params.distinguished_name.push(DnType::CommonName, "Strongroom local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, CA_VALID);
    Ok(params)
}

/// The TLS settings of the listener. A client is asked for a certificate of the authority `devices`, and may have none; one of another authority
/// ends the handshake.
///
/// # Errors
/// `Invalid` for a certificate or key that cannot be used; `Internal` if the own one cannot be made.
pub fn server_config(
    data: &Path,
    config: &TlsConfig,
    names: &[String],
    devices: Option<CertificateDer<'static>>,
) -> Result<Arc<ServerConfig>, Problem> {
    let (chain_path, key_path) = match (&config.certificate, &config.key) {
        (Some(chain), Some(key)) => (chain.clone(), key.clone()),
        (None, None) => own_certificate(data, names)?,
        _ => return Err(Problem::invalid("`tls.certificate` and `tls.key` must be given together")),
    };
    let chain = CertificateDer::pem_file_iter(&chain_path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| Problem::invalid(format!("`{}` is not a PEM certificate chain", chain_path.display())).because(e))?;
    let key = PrivateKeyDer::from_pem_file(&key_path)
        .map_err(|e| Problem::invalid(format!("`{}` is not a PEM private key", key_path.display())).because(e))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = client_verifier(devices, &provider)?;
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_client_cert_verifier(clients).with_single_cert(chain, key))
        .map_err(|e| Problem::invalid(format!("the certificate `{}` cannot be used: {e}", chain_path.display())))?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}

fn client_verifier(
    devices: Option<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Problem> {
    let Some(authority) = devices else { return Ok(WebPkiClientVerifier::no_client_auth()) };
    let mut roots = RootCertStore::empty();
    roots.add(authority).map_err(|e| Problem::internal("the authority of devices cannot be used", e))?;
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .allow_unauthenticated()
        .build()
        .map(|verifier| verifier as _)
        .map_err(|e| Problem::internal("the authority of devices cannot be used", e))
}

/// The certificate that a running server presents, if it is the user's own.
#[must_use]
pub fn shown_path(data: &Path) -> PathBuf {
    data.join("tls/presented.pem")
}

/// Writes down which certificate of the user's this server presents. Commands on the folder trust it, and then need neither
/// its authority nor an address that stands in it.
///
/// # Errors
/// `Internal` if it cannot be written.
pub fn show_certificate(data: &Path, config: &TlsConfig) -> Result<(), Problem> {
    let shown = shown_path(data);
    match &config.certificate {
        Some(chain) => {
            let text = fs::read_to_string(chain).map_err(|e| file_problem(chain, e))?;
            write_private(&shown, &text)
        }
        None => match fs::remove_file(&shown) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_problem(&shown, error)),
            _ => Ok(()),
        },
    }
}

/// The paths of a certificate signed by the own authority, for exactly these names.
fn own_certificate(data: &Path, names: &[String]) -> Result<(PathBuf, PathBuf), Problem> {
    let folder = data.join("tls");
    let (chain, key_path, names_path) = (folder.join("server.pem"), folder.join("server.key"), folder.join("server.names"));
    let wanted = names.join("\n");
    let fresh = fs::metadata(&chain)
        .and_then(|meta| meta.modified())
        .is_ok_and(|made| made.elapsed().is_ok_and(|age| age < LEAF_RENEW_AFTER));
    if fresh && fs::read_to_string(&names_path).is_ok_and(|had| had == wanted) {
        return Ok((chain, key_path));
    }
    let ca_key_path = folder.join("ca.key");
    let ca_pem = fs::read_to_string(&ca_key_path).map_err(|e| file_problem(&ca_key_path, e))?;
    let ca_key = KeyPair::from_pem(&ca_pem).map_err(tls_problem)?;
    let issuer = Issuer::new(authority_params()?, ca_key);
    let key = KeyPair::generate().map_err(tls_problem)?;
    let certificate = leaf_params(names)?.signed_by(&key, &issuer).map_err(tls_problem)?;
    write_private(&key_path, &key.serialize_pem())?;
    write_private(&chain, &certificate.pem())?;
    write_private(&names_path, &wanted)?;
    Ok((chain, key_path))
}

fn leaf_params(names: &[String]) -> Result<CertificateParams, Problem> {
    let mut params = CertificateParams::new(Vec::new()).map_err(tls_problem)?;
    for name in names {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let san = match bare.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(bare.try_into().map_err(tls_problem)?),
        };
        params.subject_alt_names.push(san);
    }
    params.distinguished_name.push(DnType::CommonName, "Strongroom");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, LEAF_VALID);
    Ok(params)
}

fn set_validity(params: &mut CertificateParams, length: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - CLOCK_SLACK).into();
    params.not_after = (now + length).into();
}

/// Writes a file that only this account may read, whole or not at all.
///
/// # Errors
/// `Internal`, with the path.
pub fn write_private(path: &Path, text: &str) -> Result<(), Problem> {
    let staged = path.with_extension("new");
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&staged)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&staged, path)
    };
    write().map_err(|e| file_problem(path, e))
}

pub(crate) fn file_problem(path: &Path, error: std::io::Error) -> Problem {
    Problem::internal(format!("`{}`: {error}", path.display()), error)
}

fn tls_problem(error: rcgen::Error) -> Problem {
    Problem::internal("a certificate could not be made", error)
}
