//! `strongroom mail`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::{Value, json};

use super::client::Connection;
use super::output::{done, print_list, segment, show};

const PREFIX: &str = "/api/strongroom/v1";

/// Work with notices by mail: try it, see what waits, say where they go.
#[derive(Subcommand)]
#[command(
    after_help = "Examples:\n  strongroom mail test ada@example.com\n  strongroom mail list\n  strongroom mail list --sent --json\n  strongroom mail address ada ada@example.com\n  gpg --armor --export-options export-minimal --export ada@example.com > ada.asc && strongroom mail key ada.asc"
)]
pub enum MailVerb {
    /// Send a mail to an address now. Fails if the server did not take it; it is kept then and tried again.
    Test(Test),
    /// List what waits, and what failed and why. Contents are not shown.
    List(List),
    /// Set where a person's notices go, or forget it; then the address counts that a directory or provider gave.
    Address(SetAddress),
    /// Set the OpenPGP key that mail to you is encrypted to, or remove it.
    Key(Key),
    /// Show where your own notices go.
    Own(Plain),
}

/// Options of `mail test`.
#[derive(Args)]
pub struct Test {
    /// The address.
    to: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `mail list`.
#[derive(Args)]
pub struct List {
    /// List what was sent in the last 30 days too.
    #[arg(long)]
    sent: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `mail address`.
#[derive(Args)]
pub struct SetAddress {
    /// The person's name.
    person: String,
    /// The address.
    #[arg(required_unless_present = "remove")]
    address: Option<String>,
    /// Forget the one that is set.
    #[arg(long, conflicts_with = "address")]
    remove: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `mail key`.
#[derive(Args)]
pub struct Key {
    /// A file with the public key, armoured.
    #[arg(required_unless_present = "remove")]
    file: Option<PathBuf>,
    /// Remove the one that is set; mail to you is not encrypted then.
    #[arg(long, conflicts_with = "file")]
    remove: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Nothing but the connection.
#[derive(Args)]
pub struct Plain {
    #[command(flatten)]
    connection: Connection,
}

impl MailVerb {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Test(test) => {
                let mut client = test.connection.open().await?;
                let answer = client.post(&format!("{PREFIX}/mail/test"), &json!({"to": test.to})).await?;
                if client.json {
                    crate::say!("{answer}");
                }
                if answer.get("state").and_then(Value::as_str) == Some("sent") {
                    return if client.json { Ok(()) } else { done(&client, "the server took it") };
                }
                let fault = answer.get("fault").and_then(Value::as_str).unwrap_or("another process is sending to this address");
                Err(Problem::unavailable(format!("the mail is kept and tried again: {fault}")))
            }
            Self::List(list) => {
                let mut client = list.connection.open().await?;
                let answer = client.get(&format!("{PREFIX}/mail?sent={}", list.sent)).await?;
                let rows = answer.get("mail").and_then(Value::as_array).cloned().unwrap_or_default();
                print_list(&client, &rows, &["at", "to", "kind", "event", "state", "attempts", "next_at", "fault"]);
                Ok(())
            }
            Self::Address(set) => {
                let mut client = set.connection.open().await?;
                let path = format!("{PREFIX}/users/{}/mail", segment(&set.person));
                client.post(&path, &json!({"address": set.address})).await?;
                let word = if set.address.is_some() { "set" } else { "forgot" };
                done(&client, &format!("{word} the address of `{}`", set.person))
            }
            Self::Key(key) => {
                let text = key.file.as_ref().map(std::fs::read_to_string).transpose();
                let text = text.map_err(|error| Problem::invalid(format!("the key cannot be read as armoured text: {error}")))?;
                let mut client = key.connection.open().await?;
                let answer = client.post(&format!("{PREFIX}/me/mail-key"), &json!({"key": text})).await?;
                show(&client, &answer, &["key"])
            }
            Self::Own(plain) => {
                let mut client = plain.connection.open().await?;
                let answer = client.get(&format!("{PREFIX}/me/mail")).await?;
                show(&client, &answer, &["mail_leaves", "address", "source", "key", "key_fault"])
            }
        }
    }
}
