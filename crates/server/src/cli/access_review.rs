//! `strongroom access`.

use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::{Value, json};

use super::client::Connection;
use super::output::print_list;

const PREFIX: &str = "/api/strongroom/v1/access";
const GRANTS: [&str; 8] = ["advice", "who", "role", "resource_kind", "resource", "last_used", "why", "grant"];
const DORMANT: [&str; 3] = ["who", "last_used", "grant_count"];
const TOKENS: [&str; 6] = ["who", "label", "why", "last_used_day", "expires_at", "token"];

/// Find who may do more than they use, and how somebody could come to more.
#[derive(Subcommand)]
#[command(after_help = "Examples:\n  strongroom access review --days 90\n  strongroom access paths --json")]
pub enum Access {
    /// List grants that nobody uses or that are too broad, accounts that do nothing, and old tokens; propose the smallest set of grants that
    /// the recorded use needs.
    Review(Looking),
    /// Find ways by which somebody could come to more than their grants say; the shortest of each, with its evidence.
    Paths(Looking),
}

/// How far back.
#[derive(Args)]
#[command(
    after_help = "The proposal is kept only if everything that was done in that time would be allowed as before (the past is asked again), and \
if nothing would be allowed that is not allowed now (requests are enumerated, within bounds; all others are a solver's, where there is one). Nothing is changed.

Example:
  strongroom access review --days 90 --json"
)]
pub struct Looking {
    /// How many days.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    days: u16,
    #[command(flatten)]
    connection: Connection,
}

impl Access {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Review(looking) => review(looking).await,
            Self::Paths(looking) => paths(looking).await,
        }
    }
}

fn rows(answer: &Value, name: &str) -> Vec<Value> {
    answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
}

async fn review(looking: Looking) -> Result<(), Problem> {
    let mut client = looking.connection.open().await?;
    let report = client.get(&format!("{PREFIX}/review?days={}", looking.days)).await?;
    if client.json {
        crate::say!("{report}");
        return Ok(());
    }
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("never").to_owned();
    crate::say!("Looked at {} days; uses are counted since {}.", looking.days, text(report.get("counted_since")));
    let mut grants = rows(&report, "grants");
    grants.sort_by_key(|grant| grant.get("advice").and_then(Value::as_str) == Some("keep"));
    crate::say!("\nGrants");
    print_list(&client, &grants, &GRANTS);
    crate::say!("\nAccounts that do nothing");
    print_list(&client, &rows(&report, "dormant"), &DORMANT);
    crate::say!("\nTokens");
    print_list(&client, &rows(&report, "tokens"), &TOKENS);
    let none = json!({});
    let (replay, widening) = (report.get("replay").unwrap_or(&none), report.get("widening").unwrap_or(&none));
    crate::say!(
        "\nAsked again: {} requests of the past, {} of them denied by the proposal.",
        replay.get("asked_count").unwrap_or(&none),
        rows(replay, "denied").len()
    );
    let all = if widening.get("complete").and_then(Value::as_bool) == Some(true) { "all" } else { "not all" };
    crate::say!(
        "Compared by enumeration ({all} that grants and the past name): {} requests, {} newly allowed. {}",
        widening.get("compared_count").unwrap_or(&none),
        rows(widening, "newly_allowed").len(),
        super::access::proof_words(widening)
    );
    Ok(())
}

async fn paths(looking: Looking) -> Result<(), Problem> {
    let mut client = looking.connection.open().await?;
    let answer = client.get(&format!("{PREFIX}/paths?days={}", looking.days)).await?;
    let paths = rows(&answer, "paths");
    if client.json {
        crate::say!("{answer}");
        return Ok(());
    }
    if paths.is_empty() {
        crate::say!("none");
    }
    for path in &paths {
        let text = |name: &str| path.get(name).and_then(Value::as_str).unwrap_or_default();
        let office = path.get("by_office").and_then(Value::as_bool) == Some(true);
        let like = path.get("like_count").and_then(Value::as_u64).unwrap_or_default();
        let note = match (office, like) {
            (false, _) => String::new(),
            (true, 0) => " (by office: watch it)".to_owned(),
            (true, like) => format!(" (by office: watch it; and in the same way over {like} other accounts)"),
        };
        crate::say!("{} -> {}{note}", text("who"), text("goal"));
        for step in rows(path, "steps") {
            let evidence: Vec<String> = rows(&step, "evidence").iter().filter_map(Value::as_str).map(str::to_owned).collect();
            crate::say!("    {} [{}]", step.get("words").and_then(Value::as_str).unwrap_or_default(), evidence.join(", "));
        }
    }
    for words in rows(&answer, "left_off").iter().filter_map(Value::as_str) {
        crate::say!("Left out: {words}.");
    }
    Ok(())
}
