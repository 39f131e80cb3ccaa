//! `strongroom endpoint guard`, `traffic`, `trails`, `release` and `throttle`.

use clap::{Args, ValueEnum};
use kernel::Problem;
use serde_json::{Value, json};

use super::client::Connection;
use super::output::{done, list, print_list, show};

const COLUMNS: [&str; 10] = ["caller", "network", "level", "cause", "since", "rows", "near", "unlike", "coverage", "spent_rows"];
const MINUTE_COLUMNS: [&str; 8] = ["at", "answered", "failed", "invalid", "limited", "rows", "p50_us", "p99_us"];
const FIELDS: [&str; 6] = ["rows_per_day", "digits", "top_k", "ranges", "unlike", "ladder"];

/// What becomes of rows outside the training data.
#[derive(Clone, Copy, ValueEnum)]
enum Ranges {
    /// Nobody looks.
    Ignore,
    /// They are counted and recorded.
    Record,
    /// The request is refused.
    Refuse,
}

/// A step of the ladder.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Noticed, answered as ever.
    Alarm,
    /// Few rows a minute.
    Slower,
    /// And coarser outputs.
    Coarser,
    /// Nothing at all.
    Refused,
}

/// Options of `endpoint guard`.
#[derive(Args)]
#[command(after_help = "What is not given stays as it is; with --reset it is as by default.

Example:
  strongroom endpoint guard churn --rows-per-day 20000 --digits 2 --top-k 1 --ranges refuse")]
pub struct SetGuard {
    /// The endpoint.
    name: String,
    /// Rows that one caller may ask in a day.
    #[arg(long, value_name = "COUNT")]
    rows_per_day: Option<u64>,
    /// Digits after the point of probabilities, and significant digits of other numbers.
    #[arg(long, value_name = "COUNT")]
    digits: Option<u8>,
    /// So many of the largest probabilities are told, the others are 0.
    #[arg(long, value_name = "COUNT")]
    top_k: Option<u16>,
    /// What becomes of rows outside the ranges and categories of the training data.
    #[arg(long, value_enum)]
    ranges: Option<Ranges>,
    /// How far queries unlike the training data lead by themselves; a drift looks the same.
    #[arg(long, value_enum, value_name = "STEP")]
    unlike: Option<Step>,
    /// Notice callers, and answer them as ever.
    #[arg(long)]
    alarm_only: bool,
    /// What is not given goes back to its default.
    #[arg(long)]
    reset: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `endpoint traffic`.
#[derive(Args)]
#[command(after_help = "Times are the upper ends of the cells in which they are counted.

Example:
  strongroom endpoint traffic churn --minutes 240 --json")]
pub struct Traffic {
    /// The endpoint.
    name: String,
    /// How far back, at most a day.
    #[arg(long, value_name = "COUNT", default_value_t = 60)]
    minutes: u16,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `endpoint trails`.
#[derive(Args)]
pub struct Trails {
    /// The endpoint.
    name: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `endpoint release`.
#[derive(Args)]
pub struct Release {
    /// The endpoint.
    name: String,
    /// The caller: its id, as `endpoint trails` lists it, or the account's name.
    caller: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `endpoint throttle`.
#[derive(Args)]
pub struct Throttle {
    /// The endpoint.
    name: String,
    /// The caller: its id, or the account's name.
    caller: String,
    /// The step: `slower`, `coarser` or `refused`.
    #[arg(long, value_enum, default_value = "slower", value_name = "STEP")]
    level: Step,
    /// For how many minutes.
    #[arg(long, default_value_t = 60, value_name = "COUNT")]
    minutes: u64,
    #[command(flatten)]
    connection: Connection,
}

const fn ranges(ranges: Ranges) -> &'static str {
    match ranges {
        Ranges::Ignore => "ignore",
        Ranges::Record => "record",
        Ranges::Refuse => "refuse",
    }
}

const fn word(step: Step) -> &'static str {
    match step {
        Step::Alarm => "alarm",
        Step::Slower => "slower",
        Step::Coarser => "coarser",
        Step::Refused => "refused",
    }
}

impl SetGuard {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let mut body = json!({
            "rows_per_day": self.rows_per_day, "digits": self.digits, "top_k": self.top_k, "ranges": self.ranges.map(ranges),
            "unlike": self.unlike.map(word), "ladder": self.alarm_only.then_some(false),
        });
        // The server leaves what is not there, and takes back what is null.
        if let Some(fields) = body.as_object_mut().filter(|_| !self.reset) {
            fields.retain(|_, value| !value.is_null());
        }
        let set = client.post(&format!("{}/guard", super::endpoint::address(&self.name)), &body).await?;
        show(&client, &set, &FIELDS)
    }
}

impl Traffic {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let path = format!("{}/traffic?minutes={}", super::endpoint::address(&self.name), self.minutes);
        let answer = client.get(&path).await?;
        let minutes = answer.get("minutes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        print_list(&client, minutes, &MINUTE_COLUMNS);
        Ok(())
    }
}

impl Trails {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        list(&mut client, &format!("{}/trails", super::endpoint::address(&self.name)), "trails", &COLUMNS).await
    }
}

impl Release {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let path = format!("{}/trails/release", super::endpoint::address(&self.name));
        client.post(&path, &json!({ "caller": self.caller })).await?;
        done(&client, &format!("nothing is held against `{}` any more", self.caller))
    }
}

impl Throttle {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let path = format!("{}/trails/throttle", super::endpoint::address(&self.name));
        let seconds = self.minutes.saturating_mul(60);
        client.post(&path, &json!({ "caller": self.caller, "level": word(self.level), "seconds": seconds })).await?;
        done(&client, &format!("`{}` is at `{}` for {} minutes", self.caller, word(self.level), self.minutes))
    }
}
