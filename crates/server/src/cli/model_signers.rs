//! `strongroom model signers`: whose signatures on models count in a workspace.

use std::path::{Path, PathBuf};

use admission::Signers;
use attest::policy::TrustedKey;
use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::Value;

use super::client::{Client, Connection};

const SIGNERS: &str = "/api/strongroom/v1/signers";
/// A file of signers, or a key.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Say whose signatures on models count.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  strongroom model signers show
  strongroom model signers set --key ci=ci-signing.pub --required
  strongroom model signers set signers.toml

A file of signers:
  required = true                 # a version without a signature that counts is refused
  revoked = []                    # SHA-256 of keys and certificates that no longer count
  [[keys]]
  name = \"ci\"
  public_key = \"\"\"-----BEGIN PUBLIC KEY----- …\"\"\"
  [[authorities]]
  name = \"lab\"
  certificate = \"\"\"-----BEGIN CERTIFICATE----- …\"\"\"
  signers = [\"trainer@lab.example\"]   # or [\"*\"]

A model is signed with `model_signing sign`, and `model.sig` is logged beside its files.")]
pub enum ModelSigners {
    /// Show whose count.
    Show(Show),
    /// Set whose count from now on, all of them at once.
    Set(Set),
}

/// Options of `model signers show`.
#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    connection: Connection,
}

/// Options of `model signers set`.
#[derive(Args)]
pub struct Set {
    /// A file of signers (TOML).
    file: Option<PathBuf>,
    /// A key whose signatures count, besides those of the file; may be repeated.
    #[arg(long = "key", value_name = "NAME=PEM_FILE")]
    keys: Vec<String>,
    /// Refuse versions without a signature that counts.
    #[arg(long)]
    required: bool,
    #[command(flatten)]
    connection: Connection,
}

impl ModelSigners {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Show(show) => {
                let mut client = show.connection.open().await?;
                let set = client.get(SIGNERS).await?;
                print(&client, &set);
            }
            Self::Set(set) => {
                let signers = set.signers()?;
                // A wrong file is said before anything is sent.
                signers.trust()?;
                let mut client = set.connection.open().await?;
                let body = serde_json::to_value(&signers).map_err(|e| Problem::internal("the signers cannot be written", e))?;
                let set = client.post(SIGNERS, &body).await?;
                print(&client, &set);
            }
        }
        Ok(())
    }
}

impl Set {
    fn signers(&self) -> Result<Signers, Problem> {
        let mut signers = match &self.file {
            Some(file) => toml::from_str(&text(file)?)
                .map_err(|error| Problem::invalid(format!("`{}` does not list signers: {error}", file.display())))?,
            None => Signers::default(),
        };
        for key in &self.keys {
            let (name, file) = key.split_once('=').ok_or_else(|| Problem::invalid("a key is given as NAME=PEM_FILE"))?;
            signers.keys.push(TrustedKey { name: name.to_owned(), public_key: text(Path::new(file))? });
        }
        signers.required |= self.required;
        Ok(signers)
    }
}

fn text(path: &Path) -> Result<String, Problem> {
    let bytes = super::offline::read(path, FILE_BYTES_MAX)?;
    String::from_utf8(bytes).map_err(|_| Problem::invalid(format!("`{}` is no text", path.display())))
}

fn print(client: &Client, set: &Value) {
    if client.json {
        crate::say!("{set}");
        return;
    }
    let signers = set.get("signers");
    let field = |name: &str| signers.and_then(|signers| signers.get(name));
    let needed = field("required").and_then(Value::as_bool) == Some(true);
    crate::say!("{}", if needed { "a signature is required" } else { "a signature is not required" });
    for (kind, what) in [("keys", "key"), ("authorities", "authority"), ("identities", "identity")] {
        for one in field(kind).and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| super::table::cell(one.get(name));
            let more = match kind {
                "authorities" => format!("  signers: {}", text("signers")),
                "identities" => format!("  {} ({})", text("identity"), text("issuer")),
                _ => String::new(),
            };
            crate::say!("{what:<10} {}{more}", text("name"));
        }
    }
    for revoked in field("revoked").and_then(Value::as_array).into_iter().flatten() {
        crate::say!("revoked    {}", revoked.as_str().unwrap_or_default());
    }
}
