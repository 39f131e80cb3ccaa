//! `strongroom grant|role`.

use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::output::{done, pages, print_list, segment, show};

const PREFIX: &str = "/api/strongroom/v1";

/// Work with grants: who may do what, where.
#[derive(Subcommand)]
pub enum Grant {
    /// Give a role on the workspace, or on one experiment, model or the server. Nobody can give what they do not hold, nor
    /// anything to themself.
    Create(CreateGrant),
    /// List grants.
    List(ListGrants),
    /// Take a grant back. It ends within a second.
    Revoke(RevokeGrant),
    /// Ask what a principal may do, without doing it.
    Check(Check),
}

/// Where a role is given.
#[derive(Args)]
pub struct On {
    /// workspace, experiment, registered_model, dataset or server.
    #[arg(long, value_name = "KIND", default_value = "workspace")]
    pub(super) on: String,
    /// The experiment's id or the model's name.
    #[arg(long, value_name = "ID")]
    pub(super) id: Option<String>,
}

/// Options of `grant create`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  strongroom grant create alice contributor\n  strongroom grant create ci trainer --on experiment --id 7\n  strongroom grant create bob owner --dry-run"
)]
pub struct CreateGrant {
    /// The user, service account or group.
    principal: String,
    /// The role; `strongroom role list` shows them.
    role: String,
    #[command(flatten)]
    on: On,
    /// When it ends (RFC 3339).
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "")]
    because: String,
    /// Give nothing; show what the grant would newly allow.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `grant list`.
#[derive(Args)]
pub struct ListGrants {
    /// Only those of this principal.
    #[arg(long)]
    principal: Option<String>,
    #[command(flatten)]
    on: On,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `grant revoke`.
#[derive(Args)]
pub struct RevokeGrant {
    /// The grant's id.
    id: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `grant check`.
#[derive(Args)]
pub struct Check {
    /// The user, service account or group.
    principal: String,
    /// The action, such as `runs.create`.
    action: String,
    #[command(flatten)]
    on: On,
    #[command(flatten)]
    connection: Connection,
}

impl Grant {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Create(create) => {
                let mut client = create.connection.open().await?;
                let body = json!({
                    "principal": create.principal, "role": create.role, "resource_kind": create.on.on, "resource": create.on.id,
                    "expires_at": create.expires_at, "justification": create.because,
                });
                if create.dry_run {
                    let preview = client.post(&format!("{PREFIX}/grants/preview"), &body).await?;
                    return show_preview(&client, &preview);
                }
                let mut grant = client.post(&format!("{PREFIX}/grants"), &body).await?;
                say_never(&client, &mut grant);
                show(&client, &grant, &["id", "principal", "role", "resource_kind", "resource", "expires_at"])
            }
            Self::List(all) => {
                let mut client = all.connection.open().await?;
                let mut path = format!("{PREFIX}/grants?resource_kind={}", segment(&all.on.on));
                if let Some(id) = &all.on.id {
                    path.push_str(&format!("&resource={}", segment(id)));
                }
                if let Some(principal) = &all.principal {
                    path.push_str(&format!("&principal={}", segment(principal)));
                }
                let columns =
                    ["id", "principal", "role", "resource_kind", "resource", "created_at", "expires_at", "justification"];
                let mut grants = pages(&mut client, &path, "grants", usize::MAX).await?;
                grants.iter_mut().for_each(|grant| say_never(&client, grant));
                print_list(&client, &grants, &columns);
                Ok(())
            }
            Self::Revoke(revoke) => {
                let mut client = revoke.connection.open().await?;
                client.delete(&format!("{PREFIX}/grants/{}", segment(&revoke.id))).await?;
                done(&client, &format!("revoked `{}`", revoke.id))
            }
            Self::Check(check) => {
                let mut client = check.connection.open().await?;
                let body = json!({
                    "principal": check.principal, "action": check.action, "resource_kind": check.on.on, "resource": check.on.id,
                });
                let answer = client.post(&format!("{PREFIX}/access/check"), &body).await?;
                show(&client, &answer, &["principal", "allowed", "reasons", "hint"])
            }
        }
    }
}

/// What a grant would newly allow, verb by verb.
pub(super) fn show_preview(client: &Client, preview: &Value) -> Result<(), Problem> {
    if client.json {
        crate::say!("{preview}");
        return Ok(());
    }
    let requests = newly_allowed(preview);
    // What it is on is what people ask about; what lies inside follows.
    let text = |name: &str| preview.get("grant").and_then(|grant| grant.get(name)).and_then(Value::as_str).unwrap_or_default();
    let own = format!("{}:{}", text("resource_kind"), text("resource"));
    let is_own = |one: &&Value| one.get("place").and_then(Value::as_str).is_some_and(|place| place.starts_with(&own));
    let shown: Vec<Value> = requests.iter().filter(is_own).cloned().collect();
    print_list(client, if shown.is_empty() { &requests } else { &shown }, &["verb", "place"]);
    say_compared(preview, requests.len());
    Ok(())
}

/// What a membership would newly allow, person by person.
pub(super) fn show_joining(client: &Client, preview: &Value) -> Result<(), Problem> {
    if client.json {
        crate::say!("{preview}");
        return Ok(());
    }
    let requests = newly_allowed(preview);
    print_list(client, &requests, &["who", "verb", "place"]);
    say_compared(preview, requests.len());
    Ok(())
}

fn newly_allowed(preview: &Value) -> Vec<Value> {
    let requests = preview.get("newly").and_then(|newly| newly.get("newly_allowed"));
    requests.and_then(Value::as_array).cloned().unwrap_or_default()
}

fn say_compared(preview: &Value, new_count: usize) {
    let none = Value::Null;
    let newly = preview.get("newly").unwrap_or(&none);
    crate::say!("{new_count} newly allowed in all; `--json` names each.");
    let count = newly.get("compared_count").and_then(Value::as_u64).unwrap_or_default();
    let all = if newly.get("complete").and_then(Value::as_bool) == Some(true) { "all" } else { "not all" };
    crate::say!(
        "Nothing was given. {count} requests were compared ({all} that grants name; by enumeration). {}",
        proof_words(newly)
    );
}

/// What a solver showed beside an enumeration, in a sentence.
pub(super) fn proof_words(compared: &Value) -> String {
    let Some(proof) = compared.get("proof").filter(|proof| proof.is_object()) else {
        return "There is no solver that was asked about all others (`policy.solver`).".to_owned();
    };
    let count = |name: &str| proof.get(name).and_then(Value::as_u64).unwrap_or_default();
    let solver = proof.get("solver").and_then(Value::as_str).unwrap_or("the solver");
    let open = match count("open_count") {
        0 => String::new(),
        open => format!(", and had no answer for {open}"),
    };
    format!(
        "{solver} found {} more, showed for {} verbs at kinds of places that nothing else can be allowed{open}.",
        count("found_count"),
        count("proved_count")
    )
}

/// For people, a grant without an end ends `never`; scripts get `null`.
fn say_never(client: &Client, grant: &mut Value) {
    if let Some(end) = grant.get_mut("expires_at").filter(|end| !client.json && end.is_null()) {
        *end = json!("never");
    }
}

/// Show what each role may do.
#[derive(Subcommand)]
pub enum Role {
    /// List the roles.
    List(Plain),
}

/// Nothing but the connection.
#[derive(Args)]
pub struct Plain {
    #[command(flatten)]
    connection: Connection,
}

impl Role {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let Self::List(plain) = self;
        let mut client = plain.connection.open().await?;
        let answer = client.get(&format!("{PREFIX}/roles")).await?;
        if client.json {
            crate::say!("{answer}");
            return Ok(());
        }
        for role in answer.get("roles").and_then(Value::as_array).into_iter().flatten() {
            let name = role.get("name").and_then(Value::as_str).unwrap_or_default();
            let about = role.get("about").and_then(Value::as_str).unwrap_or_default();
            let verbs = role.get("actions").and_then(Value::as_array).cloned().unwrap_or_default();
            let verbs: Vec<_> = verbs.iter().filter_map(Value::as_str).collect();
            crate::say!("{name}  {about}\n    {}", verbs.join(" "));
        }
        Ok(())
    }
}
