//! `strongroom elevate`.

use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::{Value, json};

use super::access::On;
use super::client::{Client, Connection};
use super::output::{done, print_list, segment, show};

const ELEVATIONS: &str = "/api/strongroom/v1/elevations";
const FIELDS: [&str; 8] = ["id", "principal", "role", "resource_kind", "resource", "state", "ends_at", "reason"];

/// Ask for a role for some hours; give one that somebody asked for; break the glass.
#[derive(Subcommand)]
#[command(
    after_help = "Examples:\n  strongroom elevate request owner --hours 2 --because 'incident 4711'\n  strongroom elevate list\n  strongroom elevate approve ew_3f…\n  strongroom elevate end ew_3f…"
)]
pub enum Elevate {
    /// Ask for a role. A second person who may give it decides within a day.
    Request(Request),
    /// List those of the workspace, or of the server, that wait or were decided on.
    List(List),
    /// List your own.
    Own(Plain),
    /// Give a role that somebody else asked for. It ends by itself.
    Approve(Approve),
    /// Say no.
    Refuse(One),
    /// Give your own back before its end, or take a request back.
    End(One),
    /// Become administrator of the server at once and alone, for an hour at most. It takes the role `break_glass` and two factors, and opens a critical
    /// alert.
    BreakGlass(Emergency),
}

/// Options of `elevate request`.
#[derive(Args)]
pub struct Request {
    /// The role; `strongroom role list` shows them.
    role: String,
    #[command(flatten)]
    on: On,
    /// For how many hours, up to 12.
    #[arg(long, value_name = "HOURS", default_value_t = 1.0)]
    hours: f64,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    because: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `elevate list`.
#[derive(Args)]
pub struct List {
    /// workspace or server.
    #[arg(long, value_name = "KIND", default_value = "workspace")]
    on: String,
    #[command(flatten)]
    connection: Connection,
}

/// Nothing but the connection.
#[derive(Args)]
pub struct Plain {
    #[command(flatten)]
    connection: Connection,
}

/// One of them.
#[derive(Args)]
pub struct One {
    /// Its id.
    id: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `elevate approve`.
#[derive(Args)]
pub struct Approve {
    #[command(flatten)]
    one: One,
    /// Show what would newly be allowed, and give nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Options of `elevate break-glass`.
#[derive(Args)]
pub struct Emergency {
    /// For how many minutes, up to 60.
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    minutes: u32,
    /// Why. It stands in the alert.
    #[arg(long, value_name = "TEXT")]
    because: String,
    #[command(flatten)]
    connection: Connection,
}

impl Elevate {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Request(request) => {
                let mut client = request.connection.open().await?;
                let body = json!({
                    "role": request.role, "resource_kind": request.on.on, "resource": request.on.id,
                    "seconds": seconds_of(request.hours)?, "reason": request.because,
                });
                let one = client.post(ELEVATIONS, &body).await?;
                show(&client, &one, &FIELDS)?;
                say(&client, "A second person who may give the role has a day to approve it: `strongroom elevate approve`.");
                Ok(())
            }
            Self::List(list) => {
                let mut client = list.connection.open().await?;
                let answer = client.get(&format!("{ELEVATIONS}?resource_kind={}", segment(&list.on))).await?;
                listed(&client, &answer)
            }
            Self::Own(plain) => {
                let mut client = plain.connection.open().await?;
                let answer = client.get(&format!("{ELEVATIONS}/own")).await?;
                listed(&client, &answer)
            }
            Self::Approve(Approve { one, dry_run: true }) => preview(one).await,
            Self::Approve(Approve { one, dry_run: false }) => decide(one, "approve").await,
            Self::Refuse(one) => decide(one, "refuse").await,
            Self::End(one) => {
                let mut client = one.connection.open().await?;
                client.post(&format!("{ELEVATIONS}/{}/end", segment(&one.id)), &json!({})).await?;
                done(&client, &format!("ended `{}`", one.id))
            }
            Self::BreakGlass(emergency) => {
                let mut client = emergency.connection.open().await?;
                let body = json!({ "seconds": i64::from(emergency.minutes) * 60, "reason": emergency.because });
                let one = client.post("/api/strongroom/v1/break-glass", &body).await?;
                show(&client, &one, &FIELDS)?;
                say(
                    &client,
                    "You are administrator of the server now. A critical alert is open; end it with `strongroom elevate end`.",
                );
                Ok(())
            }
        }
    }
}

async fn decide(one: One, word: &str) -> Result<(), Problem> {
    let mut client = one.connection.open().await?;
    let decided = client.post(&format!("{ELEVATIONS}/{}/{word}", segment(&one.id)), &json!({})).await?;
    show(&client, &decided, &FIELDS)
}

/// What the role would newly allow, compared as grants are.
async fn preview(one: One) -> Result<(), Problem> {
    let mut client = one.connection.open().await?;
    let preview = client.get(&format!("{ELEVATIONS}/{}/preview", segment(&one.id))).await?;
    super::access::show_preview(&client, &preview)
}

fn listed(client: &Client, answer: &Value) -> Result<(), Problem> {
    let rows = answer.get("elevations").and_then(Value::as_array).cloned().unwrap_or_default();
    print_list(client, &rows, &FIELDS);
    Ok(())
}

/// For people only: scripts read what is said as JSON.
fn say(client: &Client, text: &str) {
    if !client.json {
        crate::say!("{text}");
    }
}

fn seconds_of(hours: f64) -> Result<i64, Problem> {
    if !hours.is_finite() || !(0.0..=1_000.0).contains(&hours) {
        return Err(Problem::invalid("`--hours` is from 0.1 to 12"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "a number up to a thousand was just asked for")]
    Ok((hours * 3_600.0).round() as i64)
}
