//! `strongroom keys …`.

use std::path::PathBuf;
use std::sync::Arc;

use artifacts::RotateRootKey;
use clap::{Args, Subcommand};
use gate::Attempt;
use kernel::Problem;
use serde_json::{Value, json};
use vault::keys::KeyFile;

use super::client::{Client, Connection};
use super::output::show;
use crate::{boot, config};

const PREFIX: &str = "/api/strongroom/v1/keys";
/// The job that may change the root key, and nothing else.
const CUSTODIAN: &str = "custodian";

/// Work with keys: new ones for a workspace, a new root key.
#[derive(Subcommand)]
pub enum Keys {
    /// Make a new key for the workspace of --workspace, and wrap the keys of all its objects by it. No data is rewritten.
    Rotate(Plain),
    /// Wrap the keys of objects by the workspace's newest key: what `rotate` does at its end, if it was interrupted there.
    Rewrap(Plain),
    /// Make a new root key and wrap every other key by it. No server may run on the folder. No data is rewritten.
    RotateRoot(RotateRoot),
}

/// Nothing but the connection.
#[derive(Args)]
pub struct Plain {
    #[command(flatten)]
    connection: Connection,
}

/// Options of `keys rotate-root`.
#[derive(Args)]
#[command(after_help = "Keep the old key file with the backups that were made under it: they open with no other.\n\n\
Example:\n  strongroom keys rotate-root --data ./data")]
pub struct RotateRoot {
    /// The data folder. No server may run on it.
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DATA")]
    data: PathBuf,
    /// A configuration file, instead of DIR/strongroom.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON, for scripts.
    #[arg(long)]
    json: bool,
}

impl Keys {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Rotate(plain) => {
                let mut client = plain.connection.open().await?;
                let answer = client.post(&format!("{PREFIX}/rotate"), &json!({})).await?;
                let count = rewrap(&mut client).await?;
                let shown = json!({"key_version": answer.get("key_version"), "rewrapped_count": count});
                show(&client, &shown, &["key_version", "rewrapped_count"])
            }
            Self::Rewrap(plain) => {
                let mut client = plain.connection.open().await?;
                let count = rewrap(&mut client).await?;
                show(&client, &json!({ "rewrapped_count": count }), &["rewrapped_count"])
            }
            Self::RotateRoot(rotate) => rotate.run().await,
        }
    }
}

/// Asks for one batch after the other until none is left.
async fn rewrap(client: &mut Client) -> Result<u64, Problem> {
    let mut all = 0_u64;
    loop {
        let answer = client.post(&format!("{PREFIX}/rewrap"), &json!({})).await?;
        match answer.get("rewrapped_count").and_then(Value::as_u64) {
            Some(0) => return Ok(all),
            Some(count) => all = all.saturating_add(count),
            None => {
                return Err(Problem::internal("the server's answer does not say how many keys were wrapped", answer.to_string()));
            }
        }
    }
}

impl RotateRoot {
    async fn run(self) -> Result<(), Problem> {
        let config = config::load(&self.data, self.config.as_deref())?;
        let path = boot::root_key_path(&self.data, &config.vault.root_key)
            .ok_or_else(|| Problem::invalid("the root key is made from a passphrase; only one in a file can be rotated"))?;
        let app = boot::open(&self.data, &config).await?;
        let rotated = rotate(&app, &path).await;
        app.close().await;
        let (version, count) = rotated?;
        if self.json {
            crate::say!("{}", json!({"root_version": version, "rewrapped_count": count}));
            return Ok(());
        }
        crate::say!("the root key is at version {version}; {count} keys were wrapped by it");
        crate::say!("back up `{}` again, and keep the old file with the backups that were made under it", path.display());
        Ok(())
    }
}

/// The file holds both versions until every key is wrapped by the new one, so that a crash at any point loses nothing:
/// running it once more ends it.
async fn rotate(app: &boot::App, path: &std::path::Path) -> Result<(i64, usize), Problem> {
    use vault::keys::KeyService;
    let new = KeyFile::open(path)?.rotated()?;
    let version = new.version();
    let verb = RotateRootKey { room: app.rooms.artifacts.clone(), root: Arc::new(new) };
    let count = app.gate.call(Attempt::of_job(app.jobs.pass(CUSTODIAN)), verb).await?;
    drop(KeyFile::open(path)?.keep_newest()?);
    Ok((version, count))
}
