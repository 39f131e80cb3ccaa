//! Who keeps the root key: a file, a passphrase, a hardware module behind a helper process, or a key service over HTTP.
//!
//! It decides nothing about keys: `vault::keys` does. Each service only wraps and unwraps.

mod kms;
mod pkcs11;
mod transit;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kernel::{Clock, Problem, Secret};
use vault::keys::{KeyFile, KeyService, PassphraseKey};

use crate::boot;
use crate::config::RootKeyConfig;

/// Whether a key that is not there is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// It must be there.
    Wanted,
    /// It is made: a new folder begins with it.
    Made,
}

/// The service that the configuration names.
///
/// # Errors
/// `Invalid` if the key is missing or readable by others, or a setting is not usable; `Unavailable` if the service is not there.
pub async fn open(
    data: &Path,
    kept: &RootKeyConfig,
    first: First,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn KeyService>, Problem> {
    kept.check()?;
    match kept {
        RootKeyConfig::File | RootKeyConfig::FileAt { .. } => {
            let path = boot::root_key_path(data, kept).ok_or_else(|| Problem::invalid("`vault.root_key` names no key"))?;
            Ok(Arc::new(KeyFile::open(&path)?))
        }
        RootKeyConfig::Passphrase { variable } => {
            Ok(Arc::new(PassphraseKey::open(&boot::passphrase_path(data), &boot::passphrase(variable)?)?))
        }
        RootKeyConfig::Pkcs11(config) => Ok(Arc::new(pkcs11::Pkcs11Key::open(config, first).await?)),
        RootKeyConfig::Transit(config) => Ok(Arc::new(transit::TransitKey::open(config, first).await?)),
        RootKeyConfig::Kms(config) => Ok(Arc::new(kms::KmsKey::open(config, clock).await?)),
    }
}

/// A secret of the environment.
fn variable(name: &str, what: &str) -> Result<Secret, Problem> {
    let text = std::env::var(name).map_err(|_| Problem::invalid(format!("the variable `{name}` with {what} is not set")))?;
    if text.is_empty() {
        return Err(Problem::invalid(format!("the variable `{name}` with {what} is empty")));
    }
    Ok(Secret::from(text))
}

/// Waits no longer than the configuration says.
async fn within<T>(wait_max: Duration, what: &str, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    match tokio::time::timeout(wait_max, work).await {
        Ok(done) => done,
        Err(_) => Err(Problem::unavailable(format!("{what} did not answer within {} s", wait_max.as_secs()))),
    }
}

/// What does not open, in the words of every service.
fn does_not_open(service: &str) -> Problem {
    Problem::internal(
        "a wrapped key does not open: it was changed, moved to another place, or wrapped by another root key",
        format!("{service} refused to unwrap it"),
    )
}
