//! `strongroom detections`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use detect::RuleSet;
use kernel::Problem;
use serde_json::{Value, json};

use super::client::Connection;
use super::output::{done, list, print_list, segment, show};
use super::read_text;

const PREFIX: &str = "/api/strongroom/v1/detections";
const COLUMNS: [&str; 7] = ["id", "level", "state", "rule", "who", "count", "last_at"];
const FIELDS: [&str; 15] = [
    "id",
    "title",
    "rule",
    "level",
    "state",
    "who",
    "subject",
    "token",
    "first_at",
    "last_at",
    "count",
    "found",
    "evidence",
    "response",
    "response_state",
];
const OWN: [&str; 4] = ["name", "enabled", "changed_at", "changed_by_name"];
const RULES: [&str; 5] = ["name", "level", "kind", "response", "title"];

/// Look at what was found in the log: attacks, misuse, weakened safeguards.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  strongroom detections list --open --level high
  strongroom detections show DETECTION
  strongroom detections acknowledge DETECTION
  strongroom detections check own-rules.yml
  strongroom detections write night-shift own-rules.yml")]
pub enum Detections {
    /// List what was found, the newest first.
    List(ListDetections),
    /// Show what was found, with the records behind it.
    Show(One),
    /// Say that you are on it. Nobody does that for what is about themself.
    Acknowledge(One),
    /// List the rules that are looked for.
    Rules(Rules),
    /// Check a file of rules of your own, without a server.
    Check(Check),
    /// List the rules that were written on the server.
    Own(Own),
    /// Keep a file of rules on the server, in place of what had its name there; the detector looks with it from the next round on.
    Write(Write),
    /// Delete rules that were written on the server.
    Delete(Delete),
}

/// Options of `detections own`.
#[derive(Args)]
pub struct Own {
    #[command(flatten)]
    connection: Connection,
}

/// Options of `detections write`.
#[derive(Args)]
#[command(after_help = "What would they have found? The answer of --dry-run says how often, in the last day and week.\n\n\
Example:\n  strongroom detections write night-shift own-rules.yml --dry-run")]
pub struct Write {
    /// The name that they have on the server.
    name: String,
    /// The file: Sigma rules and correlations in YAML.
    file: PathBuf,
    /// Keep them without looking with them.
    #[arg(long)]
    disabled: bool,
    /// Keep nothing: say what is wrong, or what they would have found.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `detections delete`.
#[derive(Args)]
pub struct Delete {
    /// The name that they have on the server.
    name: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `detections list`.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom detections list --open --level high --json")]
pub struct ListDetections {
    /// Only what nobody is on.
    #[arg(long)]
    open: bool,
    /// Only what is at least so bad: low, medium, high or critical.
    #[arg(long, value_name = "LEVEL")]
    level: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// A detection.
#[derive(Args)]
#[command(after_help = "The numbers under `evidence` are records of the log: `strongroom audit prove N` proves one.\n\n\
Example:\n  strongroom detections show d_0123456789abcdef01234567")]
pub struct One {
    /// The detection's id.
    detection: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `detections rules`.
#[derive(Args)]
#[command(after_help = "Rules of level `informational` make no alerts: correlations count what they match.\n\n\
Example:\n  strongroom detections rules --level high")]
pub struct Rules {
    /// Only rules that are at least so bad.
    #[arg(long, value_name = "LEVEL", default_value = "low")]
    level: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `detections check`.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom detections check own-rules.yml")]
pub struct Check {
    /// The file: Sigma rules and correlations in YAML.
    file: PathBuf,
}

impl Detections {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::List(wanted) => {
                let mut client = wanted.connection.open().await?;
                let mut path = format!("{PREFIX}?open={}", wanted.open);
                if let Some(level) = &wanted.level {
                    path.push_str(&format!("&level={}", segment(level)));
                }
                list(&mut client, &path, "detections", &COLUMNS).await
            }
            Self::Show(one) => {
                let mut client = one.connection.open().await?;
                let found = client.get(&format!("{PREFIX}/by-id/{}", segment(&one.detection))).await?;
                show(&client, &found, &FIELDS)
            }
            Self::Acknowledge(one) => {
                let mut client = one.connection.open().await?;
                let at = format!("{PREFIX}/by-id/{}/acknowledge", segment(&one.detection));
                let found = client.post(&at, &json!({})).await?;
                show(&client, &found, &["id", "title", "state", "acknowledged_at", "acknowledged_by"])
            }
            Self::Rules(wanted) => {
                let least = detect::Level::parse(&wanted.level)
                    .ok_or_else(|| Problem::invalid("`--level` is informational, low, medium, high or critical"))?;
                let mut client = wanted.connection.open().await?;
                let answer = client.get(&format!("{PREFIX}/rules")).await?;
                let is_wanted = |rule: &&Value| {
                    let level = rule.get("level").and_then(Value::as_str).and_then(detect::Level::parse);
                    level.is_some_and(|level| level >= least)
                };
                let all = answer.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
                let rules: Vec<Value> = all.iter().filter(is_wanted).cloned().collect();
                print_list(&client, &rules, &RULES);
                Ok(())
            }
            Self::Own(own) => {
                let mut client = own.connection.open().await?;
                list(&mut client, &format!("{PREFIX}/own-rules"), "own_rules", &OWN).await
            }
            Self::Write(wanted) => {
                let rules = read_text(&wanted.file)?;
                let mut client = wanted.connection.open().await?;
                if wanted.dry_run {
                    let asked = json!({ "rules": rules, "name": wanted.name, "log": true });
                    let checked = client.post(&format!("{PREFIX}/own-rules/check"), &asked).await?;
                    return show(&client, &checked, &["usable", "faults", "tried"]);
                }
                let at = format!("{PREFIX}/own-rules/by-name/{}", segment(&wanted.name));
                let kept = client.post(&at, &json!({ "rules": rules, "enabled": !wanted.disabled })).await?;
                show(&client, &kept, &OWN)
            }
            Self::Delete(wanted) => {
                let mut client = wanted.connection.open().await?;
                client.delete(&format!("{PREFIX}/own-rules/by-name/{}", segment(&wanted.name))).await?;
                done(&client, &format!("`{}` is deleted; nothing is looked for by it from the next round on", wanted.name))
            }
            Self::Check(check) => {
                let count = RuleSet::check(&check.file)?;
                crate::say!("`{}` can be used: {count} rules", check.file.display());
                Ok(())
            }
        }
    }
}
