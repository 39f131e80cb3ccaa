//! The key of a device: in a file that its owner reads, or in a TPM that it never leaves.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use devices::tpm::public::Public;
use kernel::Problem;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, Signer, SingleCertAndKey};
use rustls::{Error, SignatureScheme};

use super::tools::Tpm;

/// A device's key.
pub enum DeviceKey {
    /// In a file.
    File(Box<KeyPair>),
    /// In a TPM.
    Tpm(Arc<TpmKey>),
}

/// The public half of a key in a TPM.
#[derive(Debug)]
pub struct TpmKey {
    /// An uncompressed point of P-256.
    point: Vec<u8>,
}

impl DeviceKey {
    /// A new key, and its text for a file.
    ///
    /// # Errors
    /// `Internal` if none can be made.
    pub fn new_in_file() -> Result<(Self, String), Problem> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(broken)?;
        let text = key.serialize_pem();
        Ok((Self::File(Box::new(key)), text))
    }

    /// The key in this file.
    ///
    /// # Errors
    /// `Invalid` if there is none.
    pub fn in_file(path: &Path) -> Result<Self, Problem> {
        let text = fs::read_to_string(path)
            .map_err(|error| Problem::invalid(format!("cannot read the device's key `{}`: {error}", path.display())))?;
        let key =
            KeyPair::from_pem(&text).map_err(|e| Problem::invalid(format!("`{}` holds no key", path.display())).because(e))?;
        Ok(Self::File(Box::new(key)))
    }

    /// The key in this machine's TPM; made where there is none yet.
    ///
    /// # Errors
    /// `Unavailable` if there is no TPM, or it holds something else where the key should be.
    pub fn in_tpm() -> Result<Self, Problem> {
        let public = Public::read(&Tpm::open()?.device_key()?)?;
        let point = public.as_device_key()?.to_vec();
        Ok(Self::Tpm(Arc::new(TpmKey { point })))
    }

    /// A request for a certificate, in DER, that shows that we hold the key.
    ///
    /// # Errors
    /// `Internal` if it cannot be made, `Unavailable` if the TPM refuses.
    pub fn request(&self) -> Result<Vec<u8>, Problem> {
        let params = CertificateParams::new(Vec::new()).map_err(broken)?;
        let request = match self {
            Self::File(key) => params.serialize_request(&**key),
            Self::Tpm(key) => params.serialize_request(&**key),
        };
        Ok(request.map_err(broken)?.der().to_vec())
    }

    /// Signs by ECDSA with SHA-256, in DER.
    ///
    /// # Errors
    /// As [`DeviceKey::request`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Problem> {
        match self {
            Self::File(key) => SigningKey::sign(&**key, message).map_err(broken),
            Self::Tpm(_) => Tpm::open()?.sign(message),
        }
    }

    /// Whether a TPM holds it.
    #[must_use]
    pub const fn is_in_tpm(&self) -> bool {
        matches!(self, Self::Tpm(_))
    }

    /// What TLS shows of the device.
    ///
    /// # Errors
    /// `Invalid` for a certificate that is none, or not of this key.
    pub fn shown(&self, certificate: &str) -> Result<Arc<SingleCertAndKey>, Problem> {
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Problem::invalid("the device's certificate cannot be read").because(e))?;
        let certified = match self {
            Self::File(key) => {
                let provider = rustls::crypto::aws_lc_rs::default_provider();
                let der = PrivateKeyDer::try_from(key.serialize_der())
                    .map_err(|e| Problem::invalid(format!("the device's key cannot be used: {e}")))?;
                CertifiedKey::from_der(chain, der, &provider)
                    .map_err(|e| Problem::invalid(format!("the device's certificate is not of its key: {e}")))?
            }
            Self::Tpm(key) => CertifiedKey::new(chain, Arc::new(InTpm(Arc::clone(key)))),
        };
        Ok(Arc::new(SingleCertAndKey::from(certified)))
    }
}

impl PublicKeyData for TpmKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for TpmKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Tpm::open().and_then(|tpm| tpm.sign(message)).map_err(|problem| {
            tracing::error!(%problem, "the TPM did not sign");
            rcgen::Error::RemoteKeyError
        })
    }
}

/// The key in the TPM, as TLS asks for it.
#[derive(Debug)]
struct InTpm(Arc<TpmKey>);

impl rustls::sign::SigningKey for InTpm {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let fits = offered.contains(&SignatureScheme::ECDSA_NISTP256_SHA256);
        fits.then(|| Box::new(Self(Arc::clone(&self.0))) as _)
    }

    fn algorithm(&self) -> rustls::SignatureAlgorithm {
        rustls::SignatureAlgorithm::ECDSA
    }
}

impl Signer for InTpm {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Tpm::open().and_then(|tpm| tpm.sign(message)).map_err(|problem| Error::General(problem.message().to_owned()))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

fn broken(error: rcgen::Error) -> Problem {
    Problem::internal("a request for a certificate could not be made", error)
}
