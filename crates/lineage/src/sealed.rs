//! The texts of events as their rows keep them: sealed under the workspace's key, in letters.
//!
//! A client puts into them what it likes: statements of SQL, settings, what an error said. None of it is looked for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use kernel::{Problem, Secret};
use vault::keys::Keyring;

/// What a sealed text begins with. One that an earlier version kept begins with a brace.
const MARK: &str = "sealed:";

/// Seals the text of the event with this digest.
pub(crate) async fn seal(keys: &Keyring, workspace: &str, digest: &[u8], text: &str) -> Result<String, Problem> {
    let sealed = keys.seal(workspace, digest, &Secret::from(text.to_owned())).await?;
    Ok(format!("{MARK}{}", STANDARD_NO_PAD.encode(sealed)))
}

/// Opens it again.
pub(crate) async fn open(keys: &Keyring, workspace: &str, digest: &[u8], kept: String) -> Result<String, Problem> {
    let Some(sealed) = kept.strip_prefix(MARK) else { return Ok(kept) };
    let broken = || Problem::internal("the text of an event cannot be read: its row was changed", "it is not what was sealed");
    let sealed = STANDARD_NO_PAD.decode(sealed).map_err(|_| broken())?;
    let plain = keys.open_sealed(workspace, digest, &sealed).await?;
    plain.expose_text().map(str::to_owned).ok_or_else(broken)
}
