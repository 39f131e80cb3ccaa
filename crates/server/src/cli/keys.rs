//! `strongroom keys …`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use artifacts::RotateRootKey;
use clap::{Args, Subcommand};
use gate::Attempt;
use kernel::{Problem, Secret, SystemClock};
use serde_json::json;
use vault::keys::{KeyFile, KeyService, PassphraseKey};

use super::keys_online::{self, Destroy, Plain, Rotate, Verify};
use crate::boot::{self, App};
use crate::config::{self, Config, RootKeyConfig};
use crate::folder;
use crate::key_services::{self, First};
use crate::keykeeping::CUSTODIAN;

/// Work with keys: how they stand, new ones for a workspace, a new root key, a new root passphrase, the end of a key.
#[derive(Subcommand)]
pub enum Keys {
    /// Show who keeps the root key, which versions there are, what lies under which, and what is overdue.
    Status(Plain),
    /// Check that keys open, and that none lies on disk unwrapped.
    Verify(Verify),
    /// Make a new key for the workspace of --workspace, and wrap the keys of all its objects by it. No data is rewritten.
    Rotate(Rotate),
    /// Wrap the keys of objects by the workspace's newest key: what `rotate` does at its end, if it was interrupted there.
    Rewrap(Plain),
    #[command(subcommand)]
    Destroy(Destroy),
    /// Make a new root key and wrap every other key by it. No server may run on the folder. No data is rewritten.
    RotateRoot(RotateRoot),
    /// Have another service keep the root key: wrap every other key by it. No server may run on the folder. No data is rewritten.
    MoveRoot(MoveRoot),
    /// Change the root passphrase: make a key of the new one and wrap every other key by it. No server may run on the folder.
    ChangePassphrase(ChangePassphrase),
}

/// Options of `keys rotate-root`.
#[derive(Args)]
#[command(after_help = "Keep the old key file with the backups that were made under it: they open with no other.\n\n\
Example:\n  strongroom keys rotate-root --data ./data")]
pub struct RotateRoot {
    #[command(flatten)]
    folder: Folder,
}

/// Options of `keys move-root`.
#[derive(Args)]
#[command(
    after_help = "The new configuration differs from the folder's in `[vault.root_key]`. A key that is not there is made, as `init` does. \
Put the new section into the folder's configuration afterwards, and keep the old key with the backups that were made under it.\n\n\
Example:\n  strongroom keys move-root --data ./data --to with-hsm.toml"
)]
pub struct MoveRoot {
    /// The configuration to come.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    folder: Folder,
}

/// A data folder that no server runs on.
#[derive(Args)]
struct Folder {
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

/// Options of `keys change-passphrase`.
#[derive(Args)]
#[command(
    after_help = "The old passphrase is read from the variable that the configuration names, as always. If this is broken off, run it \
again with both.\nKeep the old passphrase and the old keys/passphrase.salt with the backups that were made under them.\n\n\
Example:\n  strongroom keys change-passphrase --data ./data --new-variable STRONGROOM_NEW_PASSPHRASE"
)]
pub struct ChangePassphrase {
    /// The environment variable that holds the new passphrase.
    #[arg(long, value_name = "NAME")]
    new_variable: String,
    #[command(flatten)]
    folder: Folder,
}

impl Keys {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Status(plain) => keys_online::status(plain).await,
            Self::Verify(verify) => verify.run().await,
            Self::Rotate(rotate) => rotate.run().await,
            Self::Rewrap(plain) => keys_online::rewrap_alone(plain).await,
            Self::Destroy(destroy) => destroy.run().await,
            Self::RotateRoot(rotate) => rotate.run().await,
            Self::MoveRoot(to) => to.run().await,
            Self::ChangePassphrase(change) => change.run().await,
        }
    }
}

impl Folder {
    fn say(&self, version: i64, count: usize, path: &Path) {
        if self.json {
            crate::say!("{}", json!({"root_version": version, "rewrapped_count": count}));
            return;
        }
        crate::say!("the root key is at version {version}; {count} keys were wrapped by it");
        crate::say!("back up `{}` again, and keep the old file with the backups that were made under it", path.display());
    }
}

impl RotateRoot {
    async fn run(self) -> Result<(), Problem> {
        let folder = &self.folder;
        let config = config::load(&folder.data, folder.config.as_deref())?;
        let path = boot::root_key_path(&folder.data, &config.vault.root_key).ok_or_else(|| {
            Problem::invalid(match &config.vault.root_key {
                RootKeyConfig::Passphrase { .. } => {
                    "the root key is made from a passphrase; change that with `strongroom keys change-passphrase`"
                }
                _ => "a key service keeps the root key; a running server rotates it: `strongroom keys rotate --root`",
            })
        })?;
        let app = boot::open(&folder.data, &config).await?;
        let rotated = rotate(&app, &path).await;
        app.close().await;
        let (version, count) = rotated?;
        folder.say(version, count, &path);
        Ok(())
    }
}

/// The file holds both versions until every key is wrapped by the new one, so that a crash at any point loses nothing:
/// running it once more ends it.
async fn rotate(app: &App, path: &Path) -> Result<(i64, usize), Problem> {
    let new = KeyFile::open(path)?.rotated()?;
    let version = new.version();
    let count = wrap_all(app, Arc::new(new)).await?;
    drop(KeyFile::open(path)?.keep_newest()?);
    Ok((version, count))
}

async fn wrap_all(app: &App, root: Arc<dyn KeyService>) -> Result<usize, Problem> {
    let verb = RotateRootKey { room: app.rooms.artifacts.clone(), root };
    app.gate.call(Attempt::of_job(app.jobs.pass(CUSTODIAN)), verb).await
}

impl MoveRoot {
    /// One transaction wraps every key: before it the old service opens the folder, after it the new one does.
    async fn run(self) -> Result<(), Problem> {
        let folder = &self.folder;
        let (old, new) = (config::load(&folder.data, folder.config.as_deref())?, config::load(&folder.data, Some(&self.to))?);
        let kept = &new.vault.root_key;
        if std::mem::discriminant(&old.vault.root_key) == std::mem::discriminant(kept) {
            return Err(Problem::invalid("both configurations name the same kind of root key; rotate it instead"));
        }
        let app = boot::open(&folder.data, &old).await?;
        let moved = async {
            super::init::make_root_key(&folder.data, kept).await?;
            let root = key_services::open(&folder.data, kept, First::Wanted, Arc::new(SystemClock)).await?;
            let (name, version) = (root.name(), root.version());
            Ok::<_, Problem>((name, version, wrap_all(&app, root).await?))
        };
        let moved = moved.await;
        app.close().await;
        let (name, version, count) = moved?;
        if folder.json {
            crate::say!("{}", json!({"service": name, "root_version": version, "rewrapped_count": count}));
            return Ok(());
        }
        crate::say!("`{name}` keeps the root key, at version {version}; {count} keys were wrapped by it");
        crate::say!("from now on the folder opens only with `[vault.root_key]` of `{}`", self.to.display());
        Ok(())
    }
}

impl ChangePassphrase {
    async fn run(self) -> Result<(), Problem> {
        let folder = &self.folder;
        let config = config::load(&folder.data, folder.config.as_deref())?;
        let RootKeyConfig::Passphrase { variable } = &config.vault.root_key else {
            return Err(Problem::invalid(
                "the root key is not made from a passphrase; rotate it with `strongroom keys rotate-root`",
            ));
        };
        folder::check_folder(&folder.data)?;
        let path = boot::passphrase_path(&folder.data);
        let (old, new) = (boot::passphrase(variable)?, boot::passphrase(&self.new_variable)?);
        if old == new {
            return Err(Problem::invalid(format!("`{variable}` and `{}` hold the same passphrase", self.new_variable)));
        }
        let (version, count) = match PassphraseKey::open(&path, &old) {
            Ok(key) => match change(&folder.data, &config, key, &path, &new).await {
                Err(problem) => finish(&folder.data, &config, &path, &new).await.map_err(|_| problem)?,
                changed => changed?,
            },
            Err(problem) => finish(&folder.data, &config, &path, &new).await.map_err(|_| problem)?,
        };
        folder.say(version, count, &path);
        if !folder.json {
            crate::say!("from now on `{variable}` must hold the new passphrase");
        }
        Ok(())
    }
}

/// The old passphrase opens the database before anything is written; the file holds both until every key is wrapped by the
/// new one, so that a crash at any point loses nothing.
async fn change(
    data: &Path,
    config: &Config,
    old: PassphraseKey,
    path: &Path,
    passphrase: &Secret,
) -> Result<(i64, usize), Problem> {
    let old = Arc::new(old);
    let app = boot::open_with(data, config, boot::Way::default(), Arc::clone(&old) as _).await?;
    let changed = async {
        let new = Arc::new(old.changed(path, passphrase)?);
        let count = wrap_all(&app, Arc::clone(&new) as _).await?;
        new.keep_only(path)?;
        Ok((new.version(), count))
    };
    let changed = changed.await;
    app.close().await;
    changed
}

/// Ends a change that was broken off after every key was wrapped by the new passphrase.
async fn finish(data: &Path, config: &Config, path: &Path, passphrase: &Secret) -> Result<(i64, usize), Problem> {
    let new = Arc::new(PassphraseKey::open(path, passphrase)?);
    boot::open_with(data, config, boot::Way::default(), Arc::clone(&new) as _).await?.close().await;
    new.keep_only(path)?;
    Ok((new.version(), 0))
}
