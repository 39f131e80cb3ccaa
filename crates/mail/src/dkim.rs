//! The key that mail is signed with (DKIM, RFC 6376; Ed25519 by RFC 8463).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::Problem;
use lettre::message::dkim::{DkimCanonicalization, DkimCanonicalizationType, DkimConfig, DkimSigningAlgorithm, DkimSigningKey};
use lettre::message::header::HeaderName;
use pkcs8::PrivateKeyInfo;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer};

use crate::config::DkimKey;

/// What the signature covers, with the body. How the body is to be read stands with its part, where the library signs none. One of these that is not there cannot be added either.
const SIGNED: [&str; 7] = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Auto-Submitted"];
/// A key of RSA with 2048 bits has 1190 bytes in PKCS #1, one with 1024 has 608.
const RSA_KEY_BYTES_MIN: usize = 1_100;
/// `OCTET STRING`, 32 bytes: how RFC 8410 wraps the seed.
const ED25519_WRAP: [u8; 2] = [0x04, 0x20];

/// Reads the key.
///
/// # Errors
/// `Invalid`, naming the file; nothing of it is repeated.
pub(crate) fn open(config: &DkimKey) -> Result<DkimConfig, Problem> {
    let shown = config.key_file.display();
    let wrong = |why: &str| Problem::invalid(format!("`mail.dkim.key_file` `{shown}` {why}"));
    let pem = std::fs::read(&config.key_file).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| wrong("holds no private key (PEM)"))?;
    let key = match &der {
        PrivateKeyDer::Pkcs1(der) => rsa(der),
        PrivateKeyDer::Pkcs8(der) => {
            let inner = PrivateKeyInfo::try_from(der.secret_pkcs8_der()).map_err(|_| wrong("holds no private key (PEM)"))?;
            match inner.private_key.strip_prefix(&ED25519_WRAP) {
                Some(seed) if seed.len() == 32 => DkimSigningKey::new(&STANDARD.encode(seed), DkimSigningAlgorithm::Ed25519).ok(),
                _ => rsa(&PrivatePkcs1KeyDer::from(inner.private_key.to_vec())),
            }
        }
        _ => None,
    };
    let key = key.ok_or_else(|| wrong("is neither a key of RSA with 2048 bits or more nor one of Ed25519"))?;
    let relaxed = DkimCanonicalization { header: DkimCanonicalizationType::Relaxed, body: DkimCanonicalizationType::Relaxed };
    let signed = SIGNED.into_iter().map(HeaderName::new_from_ascii_str).collect();
    Ok(DkimConfig::new(config.selector.clone(), config.domain.clone(), key, signed, relaxed))
}

fn rsa(der: &PrivatePkcs1KeyDer<'_>) -> Option<DkimSigningKey> {
    let bytes = der.secret_pkcs1_der();
    if bytes.len() < RSA_KEY_BYTES_MIN {
        return None;
    }
    let mut pem = "-----BEGIN RSA PRIVATE KEY-----\n".to_owned();
    let text = STANDARD.encode(bytes);
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).ok()?);
        pem.push('\n');
    }
    pem.push_str("-----END RSA PRIVATE KEY-----\n");
    DkimSigningKey::new(&pem, DkimSigningAlgorithm::Rsa).ok()
}
