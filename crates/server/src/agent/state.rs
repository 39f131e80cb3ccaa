//! What an agent keeps on its device: whose it is, its certificate, and its key where that is in no TPM. Files that only their owner reads.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel::Problem;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SingleCertAndKey;
use serde::{Deserialize, Serialize};
use x509_cert::der::Decode;

use super::key::DeviceKey;
use crate::tls::write_private;

const STATE: &str = "device.json";
const KEY: &str = "device.key";
const CERTIFICATE: &str = "device.pem";
const AUTHORITY: &str = "server-ca.pem";

/// What is written down.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The device's id.
    pub device: String,
    /// The server.
    pub server: String,
    /// Whether the key is in the TPM.
    pub tpm: bool,
}

/// The folder of an enrolled device.
pub struct State {
    folder: PathBuf,
    /// What is written down.
    pub enrolment: Enrolment,
    /// The key.
    pub key: DeviceKey,
    /// The certificate, in PEM.
    pub certificate: String,
}

/// Where an agent keeps its files if nobody says where.
fn usual_folder() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| home().map(|home| home.join(".config")))?;
    Some(folder.join("strongroom").join("device"))
}

/// The folder that was named; the usual one if none was, or `-`.
///
/// # Errors
/// `Invalid` if there is no usual one either.
pub fn folder(named: Option<&Path>) -> Result<PathBuf, Problem> {
    let named = named.filter(|folder| folder.as_os_str() != "-").map(Path::to_path_buf);
    named
        .or_else(usual_folder)
        .ok_or_else(|| Problem::invalid("name the folder of the device's files; neither XDG_CONFIG_HOME nor HOME does"))
}

impl State {
    /// Reads the folder of an enrolled device.
    ///
    /// # Errors
    /// `Invalid` if no device was enrolled there.
    pub fn open(folder: &Path) -> Result<Self, Problem> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|error| {
                let message =
                    format!("`{}` cannot be read ({error}); enrol this device with `strongroom agent enroll`", path.display());
                Problem::invalid(message)
            })
        };
        let enrolment: Enrolment = serde_json::from_str(&read(STATE)?)
            .map_err(|error| Problem::invalid(format!("`{}` does not fit: {error}", folder.join(STATE).display())))?;
        let key = if enrolment.tpm { DeviceKey::in_tpm()? } else { DeviceKey::in_file(&folder.join(KEY))? };
        let certificate = read(CERTIFICATE)?;
        Ok(Self { folder: folder.to_path_buf(), enrolment, key, certificate })
    }

    /// Whether a device was enrolled there.
    #[must_use]
    pub fn exists(folder: &Path) -> bool {
        folder.join(STATE).exists()
    }

    /// Writes a new device down; the key's text where it is not in a TPM.
    ///
    /// # Errors
    /// `Internal` if a file cannot be written.
    pub fn make(
        folder: &Path,
        enrolment: &Enrolment,
        (key, certificate, authority): (Option<&str>, &str, &str),
    ) -> Result<(), Problem> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| Problem::internal(format!("`{}` cannot be made: {error}", folder.display()), error))?;
        if let Some(key) = key {
            write_private(&folder.join(KEY), key)?;
        }
        write_private(&folder.join(CERTIFICATE), certificate)?;
        write_private(&folder.join(AUTHORITY), authority)?;
        let text =
            serde_json::to_string_pretty(enrolment).map_err(|e| Problem::internal("the device cannot be written down", e))?;
        // Last: without it there is no device.
        write_private(&folder.join(STATE), &text)
    }

    /// The authority that signed the server's certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join(AUTHORITY)
    }

    /// What TLS shows of the device.
    ///
    /// # Errors
    /// `Invalid` for a certificate that is not of the key.
    pub fn shown(&self) -> Result<Arc<SingleCertAndKey>, Problem> {
        self.key.shown(&self.certificate)
    }

    /// Takes a new certificate over.
    ///
    /// # Errors
    /// `Internal` if it cannot be written.
    pub fn renewed(&mut self, certificate: &str) -> Result<(), Problem> {
        write_private(&self.folder.join(CERTIFICATE), certificate)?;
        certificate.clone_into(&mut self.certificate);
        Ok(())
    }

    /// When the certificate began to be valid, and when it ends: seconds since the epoch.
    ///
    /// # Errors
    /// `Invalid` if it cannot be read.
    pub fn validity(&self) -> Result<(u64, u64), Problem> {
        let wrong = || Problem::invalid("the device's certificate cannot be read; enrol this device again");
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes()).map_err(|_| wrong())?;
        let certificate = x509_cert::Certificate::from_der(&der).map_err(|_| wrong())?;
        let validity = certificate.tbs_certificate.validity;
        Ok((validity.not_before.to_unix_duration().as_secs(), validity.not_after.to_unix_duration().as_secs()))
    }
}
