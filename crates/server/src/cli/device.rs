//! `strongroom device`: what owners and administrators do with devices.

use clap::{Args, Subcommand, ValueEnum};
use kernel::Problem;
use serde_json::{Value, json};

use super::client::Connection;
use super::output::{done, list, print_list, segment, show};

const PREFIX: &str = "/api/strongroom/v1";
const COLUMNS: [&str; 7] = ["id", "label", "tier", "evidence", "failing", "reported_at", "revoked_at"];

/// Work with devices.
#[derive(Subcommand)]
#[command(
    after_help = "Tiers: 1 the device holds a registered key; 2 and its report of the last 24 hours says that it is in order; 3 and its key is in a
TPM that is vouched for. What is reported the device says of itself; what is attested a TPM signed.

Examples:
  strongroom device enrolment-token --for ada
  strongroom device list
  strongroom device revoke dev_0123 --lost
  strongroom device require 2 --class health --workspace clinic"
)]
pub enum DeviceVerb {
    /// List your devices; with --of somebody's, with --all everybody's.
    List(List),
    /// Show one device: what it reported, and what of that is not in order.
    Show(One),
    /// End a device. Its certificate counts no more, and downloads that run are cut within seconds.
    Revoke(Revoke),
    /// Make a token that lets one device be enrolled, within ten minutes.
    EnrolmentToken(EnrolmentToken),
    /// Vouch for the TPM of a device, having read its endorsement key on the machine itself.
    Pin(Pin),
    /// Say from which tier on a workspace, or data of a class in it, is read; 0 takes that back.
    Require(Require),
    /// List what was said with `require`.
    Rules(Plain),
    /// Work with fleets of machines that osquery looks after.
    #[command(subcommand)]
    Fleet(Fleet),
    /// List the machines of all fleets.
    Nodes(Plain),
    /// Say that a machine of a fleet is this device: from now on the device is as osquery says.
    Adopt(Adopt),
}

/// Options of `device list`.
#[derive(Args)]
pub struct List {
    /// Those of this account, as an administrator.
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    of: Option<String>,
    /// Those of all accounts, as an administrator.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    connection: Connection,
}

/// One device.
#[derive(Args)]
pub struct One {
    /// Its id.
    id: String,
    /// Somebody else's, as an administrator.
    #[arg(long)]
    any: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `device revoke`.
#[derive(Args)]
pub struct Revoke {
    /// It is lost.
    #[arg(long)]
    lost: bool,
    #[command(flatten)]
    one: One,
}

/// Options of `device enrolment-token`.
#[derive(Args)]
pub struct EnrolmentToken {
    /// For a device of this account, as an administrator.
    #[arg(long = "for", value_name = "NAME")]
    account: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `device pin`.
#[derive(Args)]
#[command(after_help = "Read the key on the machine itself, not from the server:
  tpm2_readpublic -Q -c 0x81010001 -f pem -o ek.pem
  openssl pkey -pubin -in ek.pem -outform der | sha256sum")]
pub struct Pin {
    /// The device's id.
    id: String,
    /// SHA-256 of the endorsement key, in hexadecimal.
    #[arg(long, value_name = "SHA256")]
    endorsement_key: String,
    #[command(flatten)]
    connection: Connection,
}

/// A class of data.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Class {
    Personal,
    Special,
    Health,
    Financial,
}

impl Class {
    const fn word(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::Special => "special",
            Self::Health => "health",
            Self::Financial => "financial",
        }
    }
}

/// Options of `device require`.
#[derive(Args)]
pub struct Require {
    /// The least tier, 1 to 3; 0 for none.
    #[arg(value_parser = clap::value_parser!(u8).range(0..=3))]
    tier: u8,
    /// Only for data of this class.
    #[arg(long)]
    class: Option<Class>,
    #[command(flatten)]
    connection: Connection,
}

/// Nothing but the connection.
#[derive(Args)]
pub struct Plain {
    #[command(flatten)]
    connection: Connection,
}

/// Work with fleets.
#[derive(Subcommand)]
pub enum Fleet {
    /// Make a fleet, with the secret that its machines enrol with; it is shown once.
    Create(Named),
    /// List fleets.
    List(Plain),
    /// End a fleet: its secret and the keys of its machines count no more.
    Revoke(Named),
}

/// A fleet by its name.
#[derive(Args)]
pub struct Named {
    /// Its name.
    name: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `device adopt`.
#[derive(Args)]
pub struct Adopt {
    /// The device's id.
    id: String,
    /// The machine's id, as `device nodes` lists it.
    #[arg(long, value_name = "ID")]
    node: String,
    #[command(flatten)]
    connection: Connection,
}

impl Fleet {
    async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Create(named) => {
                let mut client = named.connection.open().await?;
                let made = client.post(&format!("{PREFIX}/device-fleets"), &json!({"name": named.name})).await?;
                show(&client, &made, &["id", "secret"])
            }
            Self::List(plain) => {
                rows(plain, "device-fleets", "fleets", &["name", "id", "nodes", "created_by", "created_at"]).await
            }
            Self::Revoke(named) => {
                let mut client = named.connection.open().await?;
                client.delete(&format!("{PREFIX}/device-fleets/{}", segment(&named.name))).await?;
                done(&client, &format!("`{}` counts no more", named.name))
            }
        }
    }
}

/// Prints a list that has one page.
async fn rows(plain: Plain, path: &str, plural: &str, columns: &[&str]) -> Result<(), Problem> {
    let mut client = plain.connection.open().await?;
    let answer = client.get(&format!("{PREFIX}/{path}")).await?;
    let rows = answer.get(plural).and_then(Value::as_array).cloned().unwrap_or_default();
    print_list(&client, &rows, columns);
    Ok(())
}

impl DeviceVerb {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::List(of) => {
                let mut client = of.connection.open().await?;
                let path = match (&of.of, of.all) {
                    (Some(name), _) => format!("{PREFIX}/devices?of={}", segment(name)),
                    (None, true) => format!("{PREFIX}/devices"),
                    (None, false) => {
                        let answer = client.get(&format!("{PREFIX}/me/devices")).await?;
                        let rows = answer.get("devices").and_then(Value::as_array).cloned().unwrap_or_default();
                        print_list(&client, &rows, &COLUMNS);
                        return Ok(());
                    }
                };
                list(&mut client, &path, "devices", &[["account"].as_slice(), &COLUMNS].concat()).await
            }
            Self::Show(one) => {
                let mut client = one.connection.open().await?;
                let device = client.get(&path_of(&one)).await?;
                let rest = [
                    "account",
                    "created_at",
                    "certified_at",
                    "attested_at",
                    "endorsement_key",
                    "vouched_by",
                    "registers",
                    "facts",
                ];
                show(&client, &device, &[COLUMNS.as_slice(), &rest].concat())
            }
            Self::Revoke(Revoke { lost, one }) => {
                let mut client = one.connection.open().await?;
                client.delete(&format!("{}?lost={lost}", path_of(&one))).await?;
                done(&client, &format!("`{}` counts no more", one.id))
            }
            Self::EnrolmentToken(EnrolmentToken { account, connection }) => {
                let mut client = connection.open().await?;
                let whose = account.map_or_else(|| "me".to_owned(), |name| format!("users/{}", segment(&name)));
                let leave = client.post(&format!("{PREFIX}/{whose}/devices/enrolment"), &json!({})).await?;
                show(&client, &leave, &["secret", "expires_at"])
            }
            Self::Pin(pin) => {
                let mut client = pin.connection.open().await?;
                let path = format!("{PREFIX}/devices/by-id/{}/pin", segment(&pin.id));
                client.post(&path, &json!({"endorsement_key": pin.endorsement_key})).await?;
                done(&client, &format!("the TPM of `{}` is vouched for", pin.id))
            }
            Self::Require(Require { tier, class, connection }) => {
                let mut client = connection.open().await?;
                let body = json!({"tier": tier, "data_class": class.map(Class::word)});
                client.post(&format!("{PREFIX}/device-rules"), &body).await?;
                let what = class.map_or("everything", Class::word);
                done(&client, &format!("`{}`: {what} is read from tier {tier} on", client.workspace()))
            }
            Self::Rules(plain) => {
                rows(plain, "device-rules", "rules", &["workspace", "data_class", "tier", "set_by", "set_at"]).await
            }
            Self::Fleet(fleet) => fleet.run().await,
            Self::Nodes(plain) => {
                rows(plain, "device-nodes", "nodes", &["id", "fleet", "host", "device", "seen_at", "reported_at"]).await
            }
            Self::Adopt(Adopt { id, node, connection }) => {
                let mut client = connection.open().await?;
                client.post(&format!("{PREFIX}/devices/by-id/{}/node", segment(&id)), &json!({"node": node})).await?;
                done(&client, &format!("`{id}` is as `{node}` says"))
            }
        }
    }
}

fn path_of(one: &One) -> String {
    let whose = if one.any { "devices/by-id" } else { "me/devices" };
    format!("{PREFIX}/{whose}/{}", segment(&one.id))
}
