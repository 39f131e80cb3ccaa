//! `strongroom lineage show`: the way back from a model.

use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::Value;

use super::client::Connection;
use super::output::segment;

/// Show where a model comes from.
#[derive(Subcommand)]
pub enum Lineage {
    /// Print the way back from a model version to its run, code, data and people.
    Show(Show),
}

/// Options of `lineage show`.
#[derive(Args)]
#[command(after_help = "Examples:\n  strongroom lineage show churn@champion\n  strongroom lineage show churn/3 --json")]
pub struct Show {
    /// `MODEL@ALIAS`, `MODEL/VERSION`, or `MODEL` for the newest version.
    model: String,
    #[command(flatten)]
    connection: Connection,
}

impl Lineage {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let Self::Show(show) = self;
        let (name, version) = split(&show.model);
        let mut client = show.connection.open().await?;
        let path = format!("/api/strongroom/v1/lineage/{}/{}", segment(name), segment(&version));
        let answer = client.get(&path).await?;
        if client.json {
            crate::say!("{answer}");
        } else {
            crate::say!("{}", answer.get("text").and_then(Value::as_str).unwrap_or_default());
        }
        Ok(())
    }
}

/// `name@alias` → (name, `@alias`), `name/3` → (name, `3`), `name` → (name, `latest`).
pub(super) fn split(model: &str) -> (&str, String) {
    if let Some((name, alias)) = model.rsplit_once('@') {
        return (name, format!("@{alias}"));
    }
    match model.rsplit_once('/') {
        Some((name, version)) if version.bytes().all(|b| b.is_ascii_digit()) && !version.is_empty() => (name, version.to_owned()),
        _ => (model, "latest".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_by_alias_version_or_alone() {
        assert_eq!(split("a@b"), ("a", "@b".to_owned()));
        assert_eq!(split("a/3"), ("a", "3".to_owned()));
        assert_eq!(split("a/b"), ("a/b", "latest".to_owned()));
    }
}
