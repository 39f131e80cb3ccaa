//! `strongroom model gate`: what versions of a model must hold to before they are promoted.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::model::PREFIX;
use super::output::{segment, show};

/// Letters of a finding's detail that are shown with a version.
const DETAIL_CHARS_MAX: usize = 160;
/// A gate file is no longer than this.
const GATE_BYTES_MAX: u64 = 256 * 1024;

/// Say what versions of a model must hold to.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  strongroom model gate set churn churn.gate.yaml --reason 'agreed with the owner'
  strongroom model gate show churn > churn.gate.yaml
  strongroom model gate show churn --history

A version is judged by its model's gate file when it is inspected. One that another revision judged is not promoted beyond the
champion before it is inspected again: `strongroom model inspect MODEL/NUMBER --wait`.")]
pub enum ModelGate {
    /// Make this file the gate file of a model, for all inspections from now on.
    Set(Set),
    /// Print the gate file of a model.
    Show(Show),
    /// Take the gate away: versions are no longer judged.
    Remove(Remove),
}

/// Options of `model gate set`.
#[derive(Args)]
pub struct Set {
    /// The model.
    model: String,
    /// The gate file (YAML).
    file: PathBuf,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `model gate show`.
#[derive(Args)]
pub struct Show {
    /// The model.
    model: String,
    /// Which revision; the newest if none is named.
    #[arg(long)]
    revision: Option<u32>,
    /// List the revisions instead.
    #[arg(long)]
    history: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `model gate remove`.
#[derive(Args)]
pub struct Remove {
    /// The model.
    model: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

impl ModelGate {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Set(verb) => verb.run().await,
            Self::Show(verb) => verb.run().await,
            Self::Remove(verb) => {
                let mut client = verb.connection.open().await?;
                set(&mut client, &verb.model, None, &verb.reason).await
            }
        }
    }
}

fn path(model: &str) -> String {
    format!("{PREFIX}/{}/gate", segment(model))
}

async fn set(client: &mut Client, model: &str, text: Option<String>, reason: &str) -> Result<(), Problem> {
    let gate = client.post(&path(model), &json!({ "gate": text, "reason": reason })).await?;
    show(client, &gate, &["revision", "sha256", "set_at"])
}

/// Prints what gates and attacks came to, in short, below a version: nothing for machines, which read the findings themselves.
pub(super) async fn print_trial(client: &mut Client, version: &str) -> Result<(), Problem> {
    if client.json {
        return Ok(());
    }
    let found = client.get(&format!("{version}/findings")).await?;
    for finding in found.get("findings").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| finding.get(name).and_then(Value::as_str).unwrap_or_default();
        let id = text("id");
        if id.starts_with("gate.") || id.starts_with("attack.") {
            crate::say!("{id:<20}  {:<7}  {}", text("effect"), text("detail").chars().take(DETAIL_CHARS_MAX).collect::<String>());
        }
    }
    Ok(())
}

impl Set {
    async fn run(self) -> Result<(), Problem> {
        let shown = self.file.display();
        let unreadable = |error: std::io::Error| Problem::invalid(format!("`{shown}` cannot be read: {error}"));
        if std::fs::metadata(&self.file).map_err(unreadable)?.len() > GATE_BYTES_MAX {
            return Err(Problem::invalid(format!("`{shown}` has more than {GATE_BYTES_MAX} bytes, which is no gate file")));
        }
        let text = std::fs::read_to_string(&self.file).map_err(unreadable)?;
        let mut client = self.connection.open().await?;
        set(&mut client, &self.model, Some(text), &self.reason).await
    }
}

impl Show {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let query = self.revision.map_or_else(String::new, |revision| format!("?revision={revision}"));
        let gate = client.get(&format!("{}{query}", path(&self.model))).await?;
        if client.json {
            crate::say!("{gate}");
        } else if self.history {
            for one in gate.get("history").and_then(Value::as_array).into_iter().flatten() {
                show(&client, one, &["revision", "set_at", "set_by", "reason", "sha256"])?;
            }
        } else {
            match gate.get("gate").and_then(Value::as_str) {
                Some(text) => crate::say!("{}", text.trim_end()),
                None => crate::say!("this revision takes the gate away: versions are not judged"),
            }
        }
        Ok(())
    }
}
