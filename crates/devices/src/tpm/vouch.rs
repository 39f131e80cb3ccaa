//! Whether a maker of TPMs vouches for an endorsement key: by a certificate that leads to a root of the configuration.

use std::time::Duration;

use kernel::Micros;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::TpmError;

/// A certificate of an endorsement key has one or two thousand bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 8 * 1_024;
/// `tcg-kp-EKCertificate`, 2.23.133.8.1 (TCG EK Credential Profile).
const EK_CERTIFICATE: &[u8] = &[0x67, 0x81, 0x05, 0x08, 0x01];

/// Checks that the certificate is of this key, and that a root signed it.
///
/// # Errors
/// If not.
pub fn by_root(certificate: &[u8], spki: &[u8], roots: &[CertificateDer<'static>], now: Micros) -> Result<(), TpmError> {
    if certificate.len() > CERTIFICATE_BYTES_MAX {
        return Err(TpmError("the endorsement key's certificate is too long"));
    }
    let der = CertificateDer::from(certificate);
    let leaf = EndEntityCert::try_from(&der).map_err(|_| TpmError("the endorsement key's certificate cannot be read"))?;
    if leaf.subject_public_key_info().as_ref() != spki {
        return Err(TpmError("the certificate is of another endorsement key"));
    }
    let anchors: Vec<_> = roots.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
    let time = UnixTime::since_unix_epoch(Duration::from_micros(u64::try_from(now.0).unwrap_or_default()));
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &[], time, KeyUsage::required_if_present(EK_CERTIFICATE), None, None)
        .map(drop)
        .map_err(|_| TpmError("no root of `devices.endorsement_roots` vouches for the endorsement key's certificate"))
}
