//! What a backup is checked and opened with, elsewhere than on its server: the backup key, the signer, the log's key. It is handed out
//! once, to be kept apart from the backups.

use attest::keys::PublicKey;
use audit::note::VerifierKey;
use kernel::{Problem, Secret, hex, parse_hex};
use serde::{Deserialize, Serialize};

use crate::manifest::FORMAT;

/// The keys.
#[derive(Clone)]
pub struct Trust {
    /// Seals all parts.
    pub key: Secret,
    /// Signs manifests and approvals.
    pub signer: PublicKey,
    /// Signs the log's checkpoints.
    pub log: VerifierKey,
    /// Which server's: the origin of its log.
    pub instance: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Text {
    backup_key: String,
    format: u64,
    instance: String,
    log_key: String,
    signer: String,
}

impl Trust {
    /// The text to be kept. It holds the backup key.
    ///
    /// # Errors
    /// `Internal` if it cannot be written.
    pub fn to_text(&self) -> Result<Secret, Problem> {
        let text = Text {
            backup_key: hex(self.key.expose()),
            format: FORMAT,
            instance: self.instance.clone(),
            log_key: self.log.to_string(),
            signer: self.signer.to_pem(),
        };
        let text =
            serde_json::to_string_pretty(&text).map_err(|e| Problem::internal("the backup key could not be written", e))?;
        Ok(Secret::from(text))
    }

    /// Reads such a text.
    ///
    /// # Errors
    /// `Invalid`, saying what of it is wrong, if it is none.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = |why: &str| Problem::invalid(why.to_owned());
        let text: Text = serde_json::from_str(text).map_err(|error| wrong(&format!("it cannot be read ({error})")))?;
        if text.format != FORMAT {
            return Err(wrong("it is of another format"));
        }
        let key = parse_hex(&text.backup_key).filter(|key| key.len() == vault::keys::KEY_BYTES);
        let log = VerifierKey::parse(&text.log_key).map_err(|_| wrong("its `log_key` was changed"))?;
        if log.name != text.instance {
            return Err(wrong("its log key is that of another server"));
        }
        Ok(Self {
            key: Secret::new(key.ok_or_else(|| wrong("its `backup_key` has not 32 bytes"))?),
            signer: PublicKey::from_pem(&text.signer).map_err(|error| wrong(&format!("its `signer` was changed ({error})")))?,
            log,
            instance: text.instance,
        })
    }
}
