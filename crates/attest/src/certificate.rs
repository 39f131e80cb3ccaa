//! Certificates that sign: a chain to a trusted root, valid at one moment, made for signing.
//!
//! The path is found and checked by `rustls-webpki` (RFC 5280: signatures, names, basic constraints, name constraints, validity
//! of leaf and intermediates, extended key usage); here are the usages that it leaves to its caller and the root's own validity.
//! Lists of revoked certificates are not fetched: nothing here opens a connection. A policy names the revoked ones.

use std::time::Duration;

use kernel::{Micros, sha256};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{self, BasicConstraints, ExtendedKeyUsage, SubjectAltName};

use crate::dsse::within;
use crate::error::AttestError;
use crate::keys::PublicKey;

/// Certificates of one bundle.
pub const CHAIN_COUNT_MAX: usize = 8;
/// A certificate is refused beyond this.
pub const CERTIFICATE_BYTES_MAX: usize = 32 * 1024;

/// id-kp-codeSigning, as its encoded value.
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
const CODE_SIGNING_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// In a list of signers: whoever has a certificate of the authority.
pub const ANY_SIGNER: &str = "*";

/// A root whose certificates may sign.
#[derive(Clone, Debug)]
pub struct Authority {
    /// What the policy calls it.
    pub name: String,
    pub(crate) der: CertificateDer<'static>,
    /// Names that its certificates may have, or [`ANY_SIGNER`].
    pub(crate) signers: Vec<String>,
}

/// The certificate that signed.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its key.
    pub key: PublicKey,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
    /// Its alternative names, or its common name if it has none.
    pub names: Vec<String>,
    /// The root above it.
    pub authority: String,
}

impl Authority {
    /// The root in `pem`.
    ///
    /// # Errors
    /// `Key` if it is no certificate of an authority.
    pub fn from_pem(name: &str, pem: &str, signers: &[String]) -> Result<Self, AttestError> {
        let wrong = || AttestError::key(format!("the authority `{name}` is not one certificate of an authority in PEM"));
        if pem.len() > 2 * CERTIFICATE_BYTES_MAX || pem.matches("BEGIN CERTIFICATE").count() != 1 {
            return Err(wrong());
        }
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong())?;
        let read = read(&der)?;
        let constraints = read.tbs_certificate.get::<BasicConstraints>().map_err(|_| wrong())?;
        if !constraints.is_some_and(|(_, constraints)| constraints.ca) || anchor_from_trusted_cert(&der).is_err() {
            return Err(wrong());
        }
        Ok(Self { name: name.to_owned(), der, signers: signers.to_vec() })
    }
}

/// The key of the first certificate.
pub(crate) fn leaf_key(der: &[u8]) -> Result<PublicKey, AttestError> {
    key_of(&read(der)?)
}

/// Checks that the first of `chain` may sign at `at`, by one of `authorities`.
///
/// # Errors
/// `Untrusted` if it may not; `Malformed` or `TooBig` if it is no chain.
pub fn check(chain: &[Vec<u8>], authorities: &[Authority], at: Micros) -> Result<Leaf, AttestError> {
    within("the number of certificates", chain.len(), CHAIN_COUNT_MAX)?;
    let (leaf, above) = chain.split_first().ok_or_else(|| AttestError::malformed("the bundle has no certificate"))?;
    let certificate = read(leaf)?;
    check_usage(&certificate)?;
    for der in above {
        check_issuer(&read(der)?)?;
    }
    let names = names_of(&certificate)?;
    let mut problem = AttestError::untrusted("no authority is trusted here; name one in the signer policy");
    for authority in authorities {
        match check_path(leaf, above, authority, at) {
            Ok(()) if is_allowed(authority, &names) => {
                return Ok(Leaf { key: key_of(&certificate)?, sha256: sha256(leaf), names, authority: authority.name.clone() });
            }
            Ok(()) => {
                let text = format!("`{}` may not sign by the authority `{}`", names.join("`, `"), authority.name);
                problem = AttestError::Untrusted(text);
            }
            Err(error) => problem = error,
        }
    }
    Err(problem)
}

fn is_allowed(authority: &Authority, names: &[String]) -> bool {
    authority.signers.iter().any(|signer| signer == ANY_SIGNER || names.contains(signer))
}

fn read(der: &[u8]) -> Result<Certificate, AttestError> {
    within("a certificate", der.len(), CERTIFICATE_BYTES_MAX)?;
    Certificate::from_der(der).map_err(|_| AttestError::malformed("a certificate cannot be read: it is not X.509 in DER"))
}

fn key_of(certificate: &Certificate) -> Result<PublicKey, AttestError> {
    let info = certificate.tbs_certificate.subject_public_key_info.to_der();
    let key = PublicKey::from_spki(&info.map_err(|_| AttestError::malformed("a certificate has no key"))?)?;
    if !key.algorithm().may_sign_models() {
        return Err(AttestError::key("the certificate's key cannot sign models: only ECDSA on P-256, P-384 or P-521 can"));
    }
    Ok(key)
}

fn extension<'a, T: Decode<'a> + x509_cert::der::oid::AssociatedOid>(from: &'a Certificate) -> Result<Option<T>, AttestError> {
    let found = from.tbs_certificate.get::<T>();
    found.map(|one| one.map(|(_, value)| value)).map_err(|_| AttestError::malformed("a certificate's extensions cannot be read"))
}

/// A leaf is for signing: by its key usage or its extended one, and against neither.
fn check_usage(leaf: &Certificate) -> Result<(), AttestError> {
    let usage = extension::<pkix::KeyUsage>(leaf)?;
    let extended = extension::<ExtendedKeyUsage>(leaf)?;
    let may = usage.is_none_or(|usage| usage.digital_signature());
    let made_for = extended.as_ref().is_none_or(|extended| extended.0.contains(&CODE_SIGNING_OID));
    if may && made_for && (usage.is_some() || extended.is_some()) {
        return Ok(());
    }
    Err(AttestError::untrusted("the certificate is not made for signing: it needs the usage digitalSignature or codeSigning"))
}

fn check_issuer(issuer: &Certificate) -> Result<(), AttestError> {
    match extension::<pkix::KeyUsage>(issuer)? {
        Some(usage) if !usage.key_cert_sign() => {
            Err(AttestError::untrusted("a certificate above the signer's may not sign certificates (keyCertSign)"))
        }
        _ => Ok(()),
    }
}

fn check_path(leaf: &[u8], above: &[Vec<u8>], authority: &Authority, at: Micros) -> Result<(), AttestError> {
    let seconds = u64::try_from(at.as_secs()).unwrap_or(0);
    let root = read(&authority.der)?;
    check_issuer(&root)?;
    let validity = &root.tbs_certificate.validity;
    let (from, to) = (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
    if !(from..=to).contains(&Duration::from_secs(seconds)) {
        return Err(AttestError::Untrusted(format!("the certificate of the authority `{}` has expired", authority.name)));
    }
    let refuse = |error: webpki::Error| AttestError::Untrusted(told(&error, &authority.name));
    let anchor = anchor_from_trusted_cert(&authority.der).map_err(refuse)?;
    let leaf = CertificateDer::from(leaf);
    let above: Vec<CertificateDer<'_>> = above.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let end = EndEntityCert::try_from(&leaf).map_err(refuse)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let usage = KeyUsage::required_if_present(CODE_SIGNING);
    let anchors = [anchor];
    let path = end.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &above, time, usage, None, None).map_err(refuse)?;
    // An anchor carries no path length, so it is held here.
    let longest = extension::<BasicConstraints>(&root)?.and_then(|constraints| constraints.path_len_constraint);
    if longest.is_some_and(|longest| path.intermediate_certificates().count() > usize::from(longest)) {
        let problem = format!("there are more certificates between than the authority `{}` allows", authority.name);
        return Err(AttestError::Untrusted(problem));
    }
    Ok(())
}

fn told(error: &webpki::Error, authority: &str) -> String {
    match error {
        webpki::Error::CertExpired { .. } => {
            "a certificate of the chain has expired; let the signer sign again with a current one".to_owned()
        }
        webpki::Error::CertNotValidYet { .. } => "a certificate of the chain is not valid yet; compare the clocks".to_owned(),
        webpki::Error::UnknownIssuer => format!("the certificate does not come from the authority `{authority}`"),
        webpki::Error::CaUsedAsEndEntity => {
            "the signer's certificate is that of an authority; let it sign with one that is not (basicConstraints CA:FALSE)"
                .to_owned()
        }
        other => format!("the certificate does not hold under the authority `{authority}`: {other}"),
    }
}

/// The alternative names, else the common name.
fn names_of(certificate: &Certificate) -> Result<Vec<String>, AttestError> {
    let mut names = Vec::new();
    if let Some(found) = extension::<SubjectAltName>(certificate)? {
        for name in found.0 {
            match name {
                GeneralName::Rfc822Name(text) | GeneralName::DnsName(text) | GeneralName::UniformResourceIdentifier(text) => {
                    names.push(text.to_string());
                }
                _ => {}
            }
        }
    }
    if names.is_empty() {
        for one in certificate.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter()) {
            if one.oid == COMMON_NAME {
                names.push(String::from_utf8_lossy(one.value.value()).into_owned());
            }
        }
    }
    Ok(names)
}
