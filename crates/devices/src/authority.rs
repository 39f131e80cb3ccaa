//! The authority that signs certificates of devices, and of nothing else. Its key is made of a seed that the key service seals; its certificate is
//! the same at each start.

use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use kernel::{Micros, Problem, Secret, random_bytes};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use x509_cert::der::{Decode, Encode};
use x509_cert::request::CertReq;
use x509_cert::spki::ObjectIdentifier;

/// How long a certificate of a device is valid.
pub const CERTIFICATE_SECONDS: i64 = 24 * 3_600;
/// For devices whose clock is behind.
const SLACK_SECONDS: i64 = 300;
/// A request for a certificate.
const REQUEST_BYTES_MAX: usize = 4_096;
/// A point of P-256, uncompressed.
pub(crate) const POINT_BYTES: usize = 65;
/// What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410, section 7).
const ED25519_PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A device's public key, for rcgen.
struct Point(Vec<u8>);

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl Authority {
    pub(crate) fn new(seed: &Secret) -> Result<Self, Problem> {
        let mut pkcs8 = ED25519_PKCS8.to_vec();
        pkcs8.extend_from_slice(seed.expose());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), &PKCS_ED25519).map_err(broken)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(broken)?;
        params.distinguished_name.push(DnType::CommonName, "Strongroom devices");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // As long as the key: who may sign is decided by who holds that.
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(9999, 12, 31);
        let certificate = params.self_signed(&key).map_err(broken)?.der().clone();
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// A certificate for a device's key: for TLS clients, and nothing else.
    pub(crate) fn certify(&self, device_id: &str, point: &[u8], at: Micros) -> Result<Certified, Problem> {
        let mut params = CertificateParams::new(Vec::new()).map_err(broken)?;
        params.distinguished_name.push(DnType::CommonName, device_id);
        let uri = format!("urn:strongroom:device:{device_id}");
        params.subject_alt_names.push(SanType::URI(uri.as_str().try_into().map_err(broken)?));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let mut serial = random_bytes::<16>();
        if let Some(first) = serial.first_mut() {
            // Positive, and not shortened (RFC 5280, section 4.1.2.2).
            *first = (*first & 0x7f) | 0x40;
        }
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let expires_at = at.plus_secs(CERTIFICATE_SECONDS);
        params.not_before = moment(at.plus_secs(-SLACK_SECONDS)).into();
        params.not_after = moment(expires_at).into();
        let signed = params.signed_by(&Point(point.to_vec()), &self.issuer).map_err(broken)?;
        Ok(Certified { sha256: kernel::sha256(signed.der()), pem: signed.pem(), expires_at })
    }
}

/// A certificate that was just made.
pub(crate) struct Certified {
    pub(crate) sha256: [u8; 32],
    pub(crate) pem: String,
    pub(crate) expires_at: Micros,
}

fn moment(at: Micros) -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(at.0).unwrap_or_default())
}

/// The key that asks for a certificate (PKCS #10, RFC 2986), if it is one of P-256 and who asks holds it.
pub(crate) fn requested(der: &[u8]) -> Result<Vec<u8>, Problem> {
    let wrong = |why: &str| Problem::invalid(format!("the request for a certificate cannot be used: {why}"));
    if der.len() > REQUEST_BYTES_MAX {
        return Err(wrong("it is too long"));
    }
    let request = CertReq::from_der(der).map_err(|_| wrong("it is no PKCS #10 request in DER"))?;
    let key = &request.info.public_key;
    let curve = key.algorithm.parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    if key.algorithm.oid != EC_PUBLIC_KEY || curve != Some(P256) {
        return Err(wrong("its key is not one of the curve P-256"));
    }
    let point = key.subject_public_key.as_bytes().filter(|point| is_point(point)).ok_or_else(|| wrong("its key is no point"))?;
    if request.algorithm.oid != ECDSA_SHA256 {
        return Err(wrong("it is not signed by ECDSA with SHA-256"));
    }
    let signed = request.info.to_der().map_err(|_| wrong("it cannot be read"))?;
    let signature = request.signature.as_bytes().unwrap_or_default();
    verify(point, &signed, signature).map_err(|()| wrong("its signature is not by its key"))?;
    Ok(point.to_vec())
}

fn is_point(bytes: &[u8]) -> bool {
    bytes.len() == POINT_BYTES && bytes.first() == Some(&4)
}

/// Whether the key signed this (ECDSA over P-256 and SHA-256, in DER). A point that is not on the curve signs nothing.
pub(crate) fn verify(point: &[u8], message: &[u8], signature: &[u8]) -> Result<(), ()> {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature).map_err(drop)
}

fn broken(error: rcgen::Error) -> Problem {
    Problem::internal("a certificate could not be made", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::UnixTime;
    use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

    fn authority(seed: u8) -> Authority {
        Authority::new(&Secret::new(vec![seed; 32])).unwrap()
    }

    fn request() -> (KeyPair, Vec<u8>) {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let request = CertificateParams::new(Vec::new()).unwrap().serialize_request(&key).unwrap();
        let der = request.der().to_vec();
        (key, der)
    }

    fn is_accepted(authority: &Authority, pem: &str, usage: KeyUsage, at: Micros) -> bool {
        use rustls_pki_types::pem::PemObject;
        let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let root = authority.certificate();
        let anchors = [anchor_from_trusted_cert(&root).unwrap()];
        let now = UnixTime::since_unix_epoch(Duration::from_micros(u64::try_from(at.0).unwrap()));
        let leaf = EndEntityCert::try_from(&leaf).unwrap();
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &[], now, usage, None, None).is_ok()
    }

    #[test]
    fn a_certificate_is_for_clients_for_a_day_and_of_this_authority() {
        let at = Micros(1_700_000_000_000_000);
        let (key, der) = request();
        let point = requested(&der).unwrap();
        assert_eq!(point, key.public_key_raw());
        let certified = authority(1).certify("dev_1", &point, at).unwrap();
        assert_eq!(certified.expires_at, at.plus_secs(CERTIFICATE_SECONDS));
        let accepted = |number, usage, at| is_accepted(&authority(number), &certified.pem, usage, at);
        assert!(accepted(1, KeyUsage::client_auth(), at.plus_secs(-200)));
        assert!(accepted(1, KeyUsage::client_auth(), at.plus_secs(CERTIFICATE_SECONDS - 1)));
        assert!(!accepted(1, KeyUsage::client_auth(), at.plus_secs(CERTIFICATE_SECONDS + 1)));
        assert!(!accepted(1, KeyUsage::server_auth(), at), "no server is one of our devices");
        assert!(!accepted(2, KeyUsage::client_auth(), at), "another server's authority");
        assert_eq!(authority(1).certificate(), authority(1).certificate(), "the same at each start");
    }

    #[test]
    fn who_does_not_hold_the_key_gets_nothing() {
        let (_, der) = request();
        for at in 0..der.len() {
            let mut wrong = der.clone();
            wrong[at] ^= 1;
            assert!(requested(&wrong).is_err(), "byte {at}");
        }
        assert!(requested(&[]).is_err() && requested(&der[..der.len() - 1]).is_err() && requested(&vec![0x30; 5_000]).is_err());
        let other = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let request = CertificateParams::new(Vec::new()).unwrap().serialize_request(&other).unwrap();
        assert!(requested(request.der()).unwrap_err().message().contains("P-256"));
    }
}
