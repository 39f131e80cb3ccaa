//! A TPM through Debian's `tpm2-tools`: each question is a program that runs and ends. No library of theirs is loaded.
//!
//! Where no resource manager stands between, a TPM runs out of room for objects: what a program left loaded is flushed after it.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kernel::{Problem, random_id};

/// Where the TCG has endorsement keys of the curve P-256 and of RSA kept (TCG TPM v2.0 Provisioning Guidance, section 7.8).
const ENDORSEMENT_HANDLE: &str = "0x81010001";
/// Ours, in the range of owners.
const ATTESTATION_HANDLE: &str = "0x81018001";
const DEVICE_HANDLE: &str = "0x81018002";
const DEVICE_ATTRIBUTES: &str = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign";
const REGISTERS: &str = "sha256:0,1,2,3,4,5,6,7";
/// Where TPMs keep the certificate of their endorsement key: P-256, then RSA (TCG EK Credential Profile, section 2.2.1.4).
const CERTIFICATE_INDICES: [&str; 2] = ["0x01c0000a", "0x01c00002"];
/// How a file for `tpm2_activatecredential` begins: a number of theirs and the version.
const CREDENTIAL_HEAD: [u8; 8] = [0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1];

/// A TPM, and a folder in which programs exchange files with us.
pub struct Tpm {
    folder: PathBuf,
}

impl Drop for Tpm {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// A statement of the TPM with its signature.
pub struct Signed {
    /// `TPMS_ATTEST`.
    pub statement: Vec<u8>,
    /// `TPMT_SIGNATURE`.
    pub signature: Vec<u8>,
}

impl Tpm {
    /// A TPM that the tools find: by `TPM2TOOLS_TCTI`, else the machine's own.
    ///
    /// # Errors
    /// `Unavailable` if the tools are not installed, or find none.
    pub fn open() -> Result<Self, Problem> {
        let folder = std::env::temp_dir().join(format!("strongroom-tpm-{}", random_id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|e| Problem::internal(format!("`{}` cannot be made: {e}", folder.display()), e))?;
        let tpm = Self { folder };
        tpm.run("tpm2_getcap", &["handles-persistent"])?;
        Ok(tpm)
    }

    /// The endorsement key, `TPM2B_PUBLIC`; made where there is none yet.
    ///
    /// # Errors
    /// `Unavailable` if the TPM refuses.
    pub fn endorsement_key(&self) -> Result<Vec<u8>, Problem> {
        self.kept(ENDORSEMENT_HANDLE, |public| {
            self.run("tpm2_createek", &["-Q", "-c", ENDORSEMENT_HANDLE, "-G", "ecc", "-u", public])
        })
    }

    /// The attestation key, likewise.
    ///
    /// # Errors
    /// `Unavailable` if the TPM refuses.
    pub fn attestation_key(&self) -> Result<Vec<u8>, Problem> {
        self.kept(ATTESTATION_HANDLE, |public| {
            let context = self.path("attestation.context");
            let key = ["-Q", "-C", ENDORSEMENT_HANDLE, "-c", &context, "-G", "ecc", "-g", "sha256", "-s", "ecdsa", "-u", public];
            self.run("tpm2_createak", &key)?;
            self.run("tpm2_evictcontrol", &["-Q", "-c", &context, ATTESTATION_HANDLE])
        })
    }

    /// The device's key, likewise.
    ///
    /// # Errors
    /// `Unavailable` if the TPM refuses.
    pub fn device_key(&self) -> Result<Vec<u8>, Problem> {
        self.kept(DEVICE_HANDLE, |public| {
            let [parent, private, context] = ["parent.context", "device.private", "device.context"].map(|name| self.path(name));
            self.run("tpm2_createprimary", &["-Q", "-C", "o", "-G", "ecc", "-g", "sha256", "-c", &parent])?;
            let kind = ["-G", "ecc256:ecdsa-sha256", "-g", "sha256", "-a", DEVICE_ATTRIBUTES];
            let files = ["-Q", "-C", &parent, "-u", public, "-r", &private];
            self.run("tpm2_create", &[files.as_slice(), &kind].concat())?;
            self.flush();
            self.run("tpm2_load", &["-Q", "-C", &parent, "-u", public, "-r", &private, "-c", &context])?;
            self.run("tpm2_evictcontrol", &["-Q", "-c", &context, DEVICE_HANDLE])
        })
    }

    fn kept(&self, handle: &str, make: impl FnOnce(&str) -> Result<(), Problem>) -> Result<Vec<u8>, Problem> {
        let public = self.path("public");
        if self.run("tpm2_readpublic", &["-Q", "-c", handle, "-o", &public]).is_err() {
            make(&public)?;
            self.flush();
            self.run("tpm2_readpublic", &["-Q", "-c", handle, "-o", &public])?;
        }
        self.read("public")
    }

    /// Signs by the device's key (ECDSA with SHA-256), in DER.
    ///
    /// # Errors
    /// `Unavailable` if the TPM refuses.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Problem> {
        let (file, signature) = (self.write("message", message)?, self.path("signature"));
        self.run(
            "tpm2_sign",
            &["-Q", "-c", DEVICE_HANDLE, "-g", "sha256", "-s", "ecdsa", "-f", "plain", "-o", &signature, &file],
        )?;
        self.flush();
        self.read("signature")
    }

    /// Opens a credential that was made for this TPM and its attestation key.
    ///
    /// # Errors
    /// `Unavailable` if it was not.
    pub fn activate(&self, id_object: &[u8], encrypted_secret: &[u8]) -> Result<Vec<u8>, Problem> {
        let credential = self.write("credential", &[&CREDENTIAL_HEAD, id_object, encrypted_secret].concat())?;
        let [session, secret] = ["session", "secret"].map(|name| self.path(name));
        self.run("tpm2_startauthsession", &["-Q", "--policy-session", "-S", &session])?;
        let opened = self.run("tpm2_policysecret", &["-Q", "-S", &session, "-c", "e"]).and_then(|()| {
            let auth = format!("session:{session}");
            let keys = ["-Q", "-c", ATTESTATION_HANDLE, "-C", ENDORSEMENT_HANDLE, "-i", &credential, "-o", &secret, "-P", &auth];
            self.run("tpm2_activatecredential", &keys)
        });
        drop(self.run("tpm2_flushcontext", &[&session]));
        self.flush();
        opened?;
        self.read("secret")
    }

    /// That the TPM holds the device's key.
    ///
    /// # Errors
    /// `Unavailable` if the TPM refuses.
    pub fn certify(&self) -> Result<Signed, Problem> {
        let [statement, signature] = ["statement", "signature"].map(|name| self.path(name));
        let keys = [
            "-Q",
            "-c",
            DEVICE_HANDLE,
            "-C",
            ATTESTATION_HANDLE,
            "-g",
            "sha256",
            "-o",
            &statement,
            "-s",
            &signature,
            "-f",
            "tss",
        ];
        self.run("tpm2_certify", &keys)?;
        self.flush();
        Ok(Signed { statement: self.read("statement")?, signature: self.read("signature")? })
    }

    /// How the machine started: a quote over the registers 0 to 7 for this nonce (hexadecimal), and the registers.
    ///
    /// # Errors
    /// `Unavailable` if the TPM refuses.
    pub fn quote(&self, nonce: &str) -> Result<(Signed, Vec<u8>), Problem> {
        let [statement, signature, registers] = ["statement", "signature", "registers"].map(|name| self.path(name));
        let what = ["-Q", "-c", ATTESTATION_HANDLE, "-l", REGISTERS, "-q", nonce, "-g", "sha256"];
        let files = ["-m", &statement, "-s", &signature, "-f", "tss", "-o", &registers, "-F", "values"];
        self.run("tpm2_quote", &[what.as_slice(), &files].concat())?;
        self.flush();
        let signed = Signed { statement: self.read("statement")?, signature: self.read("signature")? };
        Ok((signed, self.read("registers")?))
    }

    /// The certificate of the endorsement key, in DER, if the TPM has one.
    #[must_use]
    pub fn certificate(&self) -> Option<Vec<u8>> {
        let file = self.path("certificate");
        let found = CERTIFICATE_INDICES.iter().any(|index| self.run("tpm2_nvread", &["-Q", index, "-o", &file]).is_ok());
        let bytes = self.read("certificate").ok().filter(|_| found)?;
        // The space in a TPM may be longer than the certificate: DER says where that ends.
        let length = match bytes.get(..4)? {
            [0x30, 0x82, high, low] => 4 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => return None,
        };
        bytes.get(..length).map(<[u8]>::to_vec)
    }

    /// Makes room; where a resource manager does that already, there is nothing to flush.
    fn flush(&self) {
        drop(self.run("tpm2_flushcontext", &["-t"]));
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Problem> {
        let path = self.folder.join(name);
        fs::read(&path).map_err(|e| Problem::internal(format!("`{}` cannot be read: {e}", path.display()), e))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<String, Problem> {
        let path: &Path = &self.folder.join(name);
        fs::write(path, bytes).map_err(|e| Problem::internal(format!("`{}` cannot be written: {e}", path.display()), e))?;
        Ok(path.display().to_string())
    }

    fn run(&self, program: &str, words: &[&str]) -> Result<(), Problem> {
        let ran = Command::new(program).args(words).output().map_err(|error| {
            let message = format!(
                "`{program}` cannot be run ({error}); a TPM is spoken to through tpm2-tools: on Debian, `apt install tpm2-tools`"
            );
            Problem::unavailable(message).because(error)
        })?;
        if ran.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&ran.stderr);
        let last = said.lines().rev().find(|line| line.starts_with("ERROR")).unwrap_or("it said nothing").to_owned();
        Err(Problem::unavailable(format!("`{program}` failed ({last}); is there a TPM, and may this account use it?")))
    }
}
