//! `strongroom lineage show`: the way back from a model. `lineage up` and `down`: from anything, either way, at any distance.

use clap::{Args, Subcommand, ValueEnum};
use kernel::Problem;
use serde_json::Value;

use super::client::Connection;
use super::output::segment;

/// Show where a model comes from, and what came of data, files, people and code.
#[derive(Subcommand)]
pub enum Lineage {
    /// Print the way back from a model version to its run, code, data and people.
    Show(Show),
    /// Print everything that a thing stems from.
    Up(Walk),
    /// Print everything that stems from a thing: every model that a file, a row, a person or a commit went into.
    Down(Walk),
}

/// Options of `lineage up` and `lineage down`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  strongroom lineage up churn@champion\n  strongroom lineage down data:customers/3#row=17\n  \
                        strongroom lineage down file:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n  \
                        strongroom lineage down commit:1a2b3c4 --format svg > picture.svg"
)]
pub struct Walk {
    /// `MODEL@ALIAS`, `MODEL/VERSION`, `run:ID`, `logged-model:ID`, `data:NAME/VERSION` (with `#ROW` or not), `file:SHA256`,
    /// `person:NAME`, `commit:HASH`, `endpoint:NAME`, `job:NAMESPACE:NAME` or `dataset:NAMESPACE:NAME`.
    subject: String,
    /// At most so many steps; all without it.
    #[arg(long, value_name = "STEPS")]
    depth: Option<u32>,
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// Forms of a walk.
#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    /// For a terminal.
    Text,
    /// For scripts.
    Json,
    /// A picture.
    Svg,
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
        let show = match self {
            Self::Show(show) => show,
            Self::Up(walk) => return walk.print("up").await,
            Self::Down(walk) => return walk.print("down").await,
        };
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

impl Walk {
    async fn print(self, direction: &str) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let format = match self.format {
            _ if client.json => "json",
            Format::Text => "text",
            Format::Json => "json",
            Format::Svg => "svg",
        };
        let subject = segment(&self.subject);
        let mut path = format!("/api/strongroom/v1/lineage?subject={subject}&direction={direction}&format={format}");
        if let Some(depth) = self.depth {
            path.push_str(&format!("&depth={depth}"));
        }
        crate::say!("{}", client.get_text(&path).await?.body);
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
