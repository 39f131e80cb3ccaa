//! `strongroom keys status`, `verify`, `rotate`, `rewrap` and `destroy …`: what a server is asked for.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::output::{list, show};
use super::table;

const PREFIX: &str = "/api/strongroom/v1/keys";
const DESTROY: &str = "/api/strongroom/v1/keys/destroy";
/// Characters of a progress bar.
const BAR_CHARS: u64 = 40;
/// How often progress is told where nobody watches.
const TOLD_EVERY: Duration = Duration::from_secs(5);
const REQUEST_FIELDS: [&str; 8] =
    ["request", "workspace", "state", "reason", "requested_by", "approved_by", "due_at", "ended_at"];

/// Nothing but the connection.
#[derive(Args)]
pub struct Plain {
    #[command(flatten)]
    connection: Connection,
}

/// Options of `keys rotate`.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom keys rotate --workspace default\n  strongroom keys rotate --root")]
pub struct Rotate {
    /// Rotate the root key instead, where a key service keeps it.
    #[arg(long)]
    root: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `keys verify`.
#[derive(Args)]
#[command(
    after_help = "It ends with 1 if a key does not open, or lies on disk unwrapped.\n\nExample:\n  strongroom keys verify --all"
)]
pub struct Verify {
    /// Open the key of every object, not of a sample.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Destroy a workspace's key, so that nobody can read what was encrypted under it, backups included. It takes two people, and a time.
#[derive(Subcommand)]
pub enum Destroy {
    /// Ask for the destruction of the key of --workspace.
    Request(RequestDestroy),
    /// Agree to what another person asked for.
    Approve(Which),
    /// Take a request back, approved or not.
    Cancel(Which),
    /// List the requests of --workspace.
    List(ListDestroys),
}

/// Which requests are listed.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  strongroom keys destroy list --workspace acme\n  strongroom keys destroy list --server --json"
)]
pub struct ListDestroys {
    /// Those of every workspace. It takes a role on the server.
    #[arg(long)]
    server: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `keys destroy request`.
#[derive(Args)]
#[command(
    after_help = "Example:\n  strongroom keys destroy request --workspace acme --reason 'the contract ended; erasure asked for on 3 May'"
)]
pub struct RequestDestroy {
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

/// A request.
#[derive(Args)]
pub struct Which {
    /// The request's id.
    request: String,
    #[command(flatten)]
    connection: Connection,
}

impl Rotate {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        if self.root {
            let answer = client.post(&format!("{PREFIX}/rotate-root"), &json!({})).await?;
            return show(&client, &answer, &["root_version", "rewrapped_count"]);
        }
        let answer = client.post(&format!("{PREFIX}/rotate"), &json!({})).await?;
        let count = rewrap(&mut client, answer.get("waiting_count").and_then(Value::as_u64)).await?;
        let shown = json!({"key_version": answer.get("key_version"), "rewrapped_count": count});
        show(&client, &shown, &["key_version", "rewrapped_count"])
    }
}

/// What `keys rewrap` does.
pub(super) async fn rewrap_alone(plain: Plain) -> Result<(), Problem> {
    let mut client = plain.connection.open().await?;
    let count = rewrap(&mut client, None).await?;
    show(&client, &json!({ "rewrapped_count": count }), &["rewrapped_count"])
}

/// Asks for one batch after the other until none is left.
async fn rewrap(client: &mut Client, all: Option<u64>) -> Result<u64, Problem> {
    let (mut done, mut progress) = (0_u64, Progress::begin(all));
    loop {
        let answer = client.post(&format!("{PREFIX}/rewrap"), &json!({})).await?;
        match answer.get("rewrapped_count").and_then(Value::as_u64) {
            Some(0) => {
                progress.end(done);
                return Ok(done);
            }
            Some(count) => done = done.saturating_add(count),
            None => {
                return Err(Problem::internal("the server's answer does not say how many keys were wrapped", answer.to_string()));
            }
        }
        progress.tell(done);
    }
}

/// Tells how far it is, on the standard error: a bar for whoever watches, a line now and then for a file.
struct Progress {
    all: Option<u64>,
    is_watched: bool,
    told: Instant,
}

impl Progress {
    fn begin(all: Option<u64>) -> Self {
        Self { all, is_watched: std::io::stderr().is_terminal(), told: Instant::now() }
    }

    fn tell(&mut self, done: u64) {
        let mut out = std::io::stderr();
        // Who does not listen misses nothing.
        if self.is_watched {
            drop(write!(out, "\r{}", bar(done, self.all)).and_then(|()| out.flush()));
        } else if self.told.elapsed() >= TOLD_EVERY {
            self.told = Instant::now();
            drop(writeln!(out, "{}", bar(done, self.all)));
        }
    }

    fn end(&self, done: u64) {
        if done > 0 {
            let head = if self.is_watched { "\r" } else { "" };
            drop(writeln!(std::io::stderr(), "{head}{}", bar(done, self.all.map(|all| all.max(done)))));
        }
    }
}

fn bar(done: u64, all: Option<u64>) -> String {
    let Some(all) = all.filter(|all| *all > 0) else { return format!("{done} object keys wrapped") };
    let part = done.min(all);
    let full = part.saturating_mul(BAR_CHARS) / all;
    let bar: String = (0..BAR_CHARS).map(|at| if at < full { '#' } else { '.' }).collect();
    format!("[{bar}] {:3} % {part} of {all} object keys", part.saturating_mul(100) / all)
}

/// What `keys status` does.
pub(super) async fn status(plain: Plain) -> Result<(), Problem> {
    let mut client = plain.connection.open().await?;
    let answer = client.get(PREFIX).await?;
    if client.json {
        crate::say!("{answer}");
        return Ok(());
    }
    let root = answer.get("root").cloned().unwrap_or(Value::Null);
    show(
        &client,
        &root,
        &[
            "service",
            "version",
            "versions",
            "reachable",
            "rotates_online",
            "since_at",
            "next_rotation_at",
            "overdue",
            "unfinished",
        ],
    )?;
    for key in answer.get("workspaces").and_then(Value::as_array).into_iter().flatten() {
        let cell = |name: &str| table::cell(key.get(name));
        crate::say!("\nworkspace {}: next rotation {}, overdue {}", cell("workspace"), cell("next_rotation_at"), cell("overdue"));
        for version in key.get("versions").and_then(Value::as_array).into_iter().flatten() {
            let cell = |name: &str| table::cell(version.get(name));
            crate::say!("  version {:>4}  made {}  {} objects", cell("version"), cell("created_at"), cell("object_count"));
        }
    }
    for grave in answer.get("destroyed").and_then(Value::as_array).into_iter().flatten() {
        let cell = |name: &str| table::cell(grave.get(name));
        crate::say!("\nworkspace {}: its key was destroyed at {}", cell("workspace"), cell("destroyed_at"));
    }
    for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        crate::say!("\nwarning: {}", warning.as_str().unwrap_or_default());
    }
    Ok(())
}

impl Verify {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let answer = client.post(&format!("{PREFIX}/verify"), &json!({"all": self.all})).await?;
        let fields = [
            "ok",
            "key_count",
            "broken_keys",
            "object_count",
            "destroyed_count",
            "broken_count",
            "searched_bytes",
            "searched_all",
            "plain_in",
        ];
        show(&client, &answer, &fields)?;
        if answer.get("ok").and_then(Value::as_bool) == Some(true) {
            return Ok(());
        }
        Err(Problem::internal("keys do not open, or lie on disk unwrapped", "the report above names them"))
    }
}

impl Destroy {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let (connection, path, body) = match self {
            Self::List(wanted) => {
                let mut client = wanted.connection.open().await?;
                let path = if wanted.server { format!("{DESTROY}/server") } else { DESTROY.to_owned() };
                return list(&mut client, &path, "requests", &REQUEST_FIELDS).await;
            }
            Self::Request(wish) => (wish.connection, DESTROY.to_owned(), json!({"reason": wish.reason})),
            Self::Approve(which) => (which.connection, format!("{DESTROY}/approve"), json!({"request": which.request})),
            Self::Cancel(which) => (which.connection, format!("{DESTROY}/cancel"), json!({"request": which.request})),
        };
        let mut client = connection.open().await?;
        let answer = client.post(&path, &body).await?;
        show(&client, &answer, &REQUEST_FIELDS)
    }
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn a_bar_is_full_at_the_end_and_never_longer() {
        assert_eq!(bar(0, Some(4)), format!("[{}]   0 % 0 of 4 object keys", ".".repeat(40)));
        assert!(bar(2, Some(4)).contains(&format!("{}{}]  50 %", "#".repeat(20), ".".repeat(20))));
        assert_eq!(bar(9, Some(4)), format!("[{}] 100 % 4 of 4 object keys", "#".repeat(40)));
        assert_eq!(bar(3, None), "3 object keys wrapped");
        assert_eq!(bar(3, Some(0)), "3 object keys wrapped");
    }
}
