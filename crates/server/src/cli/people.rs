//! `strongroom user|group|service|token|account|session|workspace`.

use clap::{Args, Subcommand};
use kernel::{Problem, Secret};
use serde_json::{Value, json};

use super::access::show_joining;
use super::client::{Client, Connection};
use super::output::{done, list, print_list, segment, show};

const PREFIX: &str = "/api/strongroom/v1";

/// One name on the command line.
#[derive(Args)]
pub struct Named {
    /// The name.
    name: String,
    #[command(flatten)]
    connection: Connection,
}

/// Nothing but the connection.
#[derive(Args)]
pub struct Plain {
    #[command(flatten)]
    connection: Connection,
}

/// Work with people's accounts.
#[derive(Subcommand)]
pub enum User {
    /// Make an account. Without --password-stdin it has no password and can be used with tokens only.
    Create(CreateUser),
    /// List accounts.
    List(Plain),
    /// Show one account.
    Show(Named),
    /// Close an account: its tokens, sessions and password stop working within a second.
    Disable(Named),
    /// Open a closed account again.
    Enable(Named),
    /// Delete an account for good.
    Delete(Named),
    /// Set an account's password, read from stdin.
    Password(Named),
    /// Take all one-time codes, passkeys and recovery codes of a person who lost them, and end their sessions.
    ResetFactors(Named),
    /// Link an account with whom its holder is at a provider of log-ins (OpenID Connect).
    Link(LinkUser),
}

/// Options of `user link`.
#[derive(Args)]
pub struct LinkUser {
    /// The account's name.
    name: String,
    /// The provider's issuer, exactly as its tokens name it.
    #[arg(long)]
    issuer: String,
    /// Who the person is there: the claim `sub`.
    #[arg(long)]
    subject: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `user create`.
#[derive(Args)]
pub struct CreateUser {
    /// The name: letters, digits and `._@-`.
    name: String,
    /// Read a password from stdin.
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    connection: Connection,
}

impl User {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Create(create) => {
                let mut client = create.connection.open().await?;
                let mut body = json!({"name": create.name});
                if create.password_stdin {
                    let password = password_from_stdin()?;
                    body = json!({"name": create.name, "password": password.expose_text()});
                }
                let user = client.post(&format!("{PREFIX}/users"), &body).await?;
                show(&client, &user, &["id", "name", "created_at"])
            }
            Self::List(plain) => {
                let mut client = plain.connection.open().await?;
                list(&mut client, &format!("{PREFIX}/users"), "users", &["name", "id", "disabled", "created_at"]).await
            }
            Self::Show(named) => {
                let mut client = named.connection.open().await?;
                let user = client.get(&format!("{PREFIX}/users/{}", segment(&named.name))).await?;
                show(&client, &user, &["id", "name", "disabled", "created_at"])
            }
            Self::Disable(named) => act(named, "users", "disable").await,
            Self::Enable(named) => act(named, "users", "enable").await,
            Self::Delete(named) => {
                let mut client = named.connection.open().await?;
                client.delete(&format!("{PREFIX}/users/{}", segment(&named.name))).await?;
                done(&client, &format!("deleted `{}`", named.name))
            }
            Self::Password(named) => {
                let mut client = named.connection.open().await?;
                let password = password_from_stdin()?;
                let body = json!({"password": password.expose_text()});
                client.post(&format!("{PREFIX}/users/{}/password", segment(&named.name)), &body).await?;
                done(&client, &format!("set the password of `{}`", named.name))
            }
            Self::ResetFactors(named) => {
                let mut client = named.connection.open().await?;
                client.post(&format!("{PREFIX}/users/{}/reset-factors", segment(&named.name)), &json!({})).await?;
                done(&client, &format!("took all factors of `{}` but the password, and ended its sessions", named.name))
            }
            Self::Link(link) => {
                let mut client = link.connection.open().await?;
                let body = json!({"issuer": link.issuer, "subject": link.subject});
                client.post(&format!("{PREFIX}/users/{}/link", segment(&link.name)), &body).await?;
                done(&client, &format!("linked `{}` with `{}` at {}", link.name, link.subject, link.issuer))
            }
        }
    }
}

async fn act(named: Named, plural: &str, verb: &str) -> Result<(), Problem> {
    let mut client = named.connection.open().await?;
    client.post(&format!("{PREFIX}/{plural}/{}/{verb}", segment(&named.name)), &json!({})).await?;
    done(&client, &format!("{verb}d `{}`", named.name))
}

fn password_from_stdin() -> Result<Secret, Problem> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|e| Problem::internal("stdin cannot be read", e))?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        return Err(Problem::invalid("no password came on stdin"));
    }
    Ok(Secret::from(password))
}

/// Work with groups of accounts.
#[derive(Subcommand)]
pub enum Group {
    /// Make a group.
    Create(Named),
    /// List groups and their members.
    List(Plain),
    /// Delete a group.
    Delete(Named),
    /// Put an account, service account or group into a group.
    Add(Joining),
    /// Take it out again.
    Remove(Membership),
}

/// A group and a member of it.
#[derive(Args)]
pub struct Membership {
    /// The group.
    group: String,
    /// The member.
    member: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `group add`.
#[derive(Args)]
pub struct Joining {
    #[command(flatten)]
    membership: Membership,
    /// Put nobody in; show what the membership would newly allow.
    #[arg(long)]
    dry_run: bool,
}

impl Group {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Create(named) => create(named, "groups").await,
            Self::List(plain) => {
                let mut client = plain.connection.open().await?;
                list(&mut client, &format!("{PREFIX}/groups"), "groups", &["name", "id", "members"]).await
            }
            Self::Delete(named) => delete(named, "groups").await,
            Self::Add(Joining { membership: m, dry_run }) => {
                let mut client = m.connection.open().await?;
                let (group, body) = (format!("{PREFIX}/groups/{}", segment(&m.group)), json!({"member": m.member}));
                if dry_run {
                    let preview = client.post(&format!("{group}/preview"), &body).await?;
                    return show_joining(&client, &preview);
                }
                client.post(&format!("{group}/members"), &body).await?;
                done(&client, &format!("`{}` is in `{}`", m.member, m.group))
            }
            Self::Remove(m) => {
                let mut client = m.connection.open().await?;
                client.delete(&format!("{PREFIX}/groups/{}/members/{}", segment(&m.group), segment(&m.member))).await?;
                done(&client, &format!("`{}` is no longer in `{}`", m.member, m.group))
            }
        }
    }
}

async fn create(named: Named, plural: &str) -> Result<(), Problem> {
    let mut client = named.connection.open().await?;
    let made = client.post(&format!("{PREFIX}/{plural}"), &json!({"name": named.name})).await?;
    show(&client, &made, &["id", "name", "created_at"])
}

async fn delete(named: Named, plural: &str) -> Result<(), Problem> {
    let mut client = named.connection.open().await?;
    client.delete(&format!("{PREFIX}/{plural}/{}", segment(&named.name))).await?;
    done(&client, &format!("deleted `{}`", named.name))
}

/// Work with service accounts.
#[derive(Subcommand)]
pub enum Service {
    /// Make a service account. You own it: you make its tokens.
    Create(Named),
    /// List service accounts.
    List(Plain),
    /// Bar a service account: its tokens stop working within a second.
    Disable(Named),
    /// Let a barred service account in again.
    Enable(Named),
    /// Delete a service account; its tokens stop working.
    Delete(Named),
    /// Make a token for a service account of yours.
    Token(TokenFor),
    /// Let a directory elsewhere (SCIM) look after a user or group that is there already; without --to, let nobody do so any more.
    Entrust(EntrustTo),
}

/// Options of `service entrust`.
#[derive(Args)]
pub struct EntrustTo {
    /// The user or group.
    principal: String,
    /// The service account that holds the role `provisioner`.
    #[arg(long, value_name = "SERVICE")]
    to: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `service token`.
#[derive(Args)]
pub struct TokenFor {
    /// The service account.
    service: String,
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    connection: Connection,
}

impl Service {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Create(named) => create(named, "services").await,
            Self::List(plain) => {
                let mut client = plain.connection.open().await?;
                list(&mut client, &format!("{PREFIX}/services"), "services", &["name", "id", "owner", "created_at"]).await
            }
            Self::Disable(named) => act(named, "services", "disable").await,
            Self::Enable(named) => act(named, "services", "enable").await,
            Self::Delete(named) => delete(named, "services").await,
            Self::Token(token) => {
                let mut client = token.connection.open().await?;
                let path = format!("{PREFIX}/services/{}/tokens", segment(&token.service));
                mint(&mut client, &path, &token.wish).await
            }
            Self::Entrust(entrust) => {
                let mut client = entrust.connection.open().await?;
                let path = format!("{PREFIX}/principals/{}/entrust", segment(&entrust.principal));
                client.post(&path, &json!({"to": entrust.to})).await?;
                let who = entrust.to.map_or_else(|| "nobody".to_owned(), |to| format!("`{to}`"));
                done(&client, &format!("{who} looks after `{}`", entrust.principal))
            }
        }
    }
}

/// What a new token shall be.
#[derive(Args)]
pub struct Wish {
    /// What it is for.
    #[arg(long, default_value = "")]
    label: String,
    /// An action it is narrowed to, such as `runs.*`; may be repeated.
    #[arg(long = "scope", value_name = "PATTERN")]
    scopes: Vec<String>,
    /// Narrow it to the workspace of --workspace.
    #[arg(long)]
    only_workspace: bool,
    /// It counts from the device only that this command comes from; needs --device.
    #[arg(long)]
    only_this_device: bool,
    /// After how many days it expires.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Write the token to this new file (mode 0600) instead of printing it.
    #[arg(long, value_name = "FILE")]
    out: Option<std::path::PathBuf>,
}

async fn mint(client: &mut Client, path: &str, wish: &Wish) -> Result<(), Problem> {
    let mut body = json!({"label": wish.label, "scopes": wish.scopes, "lifetime_s": i64::from(wish.days) * 86_400});
    if wish.only_this_device
        && let Some(fields) = body.as_object_mut()
    {
        fields.insert("only_this_device".to_owned(), Value::Bool(true));
    }
    if wish.only_workspace
        && let Some(fields) = body.as_object_mut()
    {
        fields.insert("workspace".to_owned(), Value::String(client.workspace().to_owned()));
    }
    let mut minted = client.post(path, &body).await?;
    if let Some(file) = &wish.out {
        let secret = minted.get("secret").and_then(Value::as_str).unwrap_or_default().to_owned();
        super::init::write_new_private(file, &secret)?;
        if let Some(fields) = minted.as_object_mut() {
            fields.remove("secret");
        }
    }
    if client.json {
        crate::say!("{minted}");
        return Ok(());
    }
    let token = minted.get("token").cloned().unwrap_or_default();
    show(client, &token, &["id", "label", "scopes", "expires_at"])?;
    if let Some(secret) = minted.get("secret").and_then(Value::as_str) {
        crate::say!("secret      {secret}\nIt is not shown again.");
    }
    Ok(())
}

/// Work with access tokens.
#[derive(Subcommand)]
pub enum Token {
    /// Make a token for yourself, shown once. It can do no more than the one you act with.
    Create(CreateToken),
    /// Show the access key of the token that you act with, for clients of S3. It may do what the token may, and ends with it.
    #[command(
        after_help = "Example:\n  eval \"$(strongroom token access-key --token-file my.token)\"\n  aws --endpoint-url https://127.0.0.1:8444 s3 ls"
    )]
    AccessKey(Plain),
    /// List your tokens.
    List(Plain),
    /// Revoke a token by its id. It stops working within a second.
    Revoke(RevokeToken),
}

/// Options of `token create`.
#[derive(Args)]
pub struct CreateToken {
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `token revoke`.
#[derive(Args)]
pub struct RevokeToken {
    /// The token's id (not the token).
    id: String,
    /// Revoke somebody else's, as an administrator.
    #[arg(long)]
    any: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Token {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Create(create) => {
                let mut client = create.connection.open().await?;
                mint(&mut client, &format!("{PREFIX}/tokens"), &create.wish).await
            }
            Self::AccessKey(plain) => {
                let mut client = plain.connection.open().await?;
                let key = client.post(&format!("{PREFIX}/access-key"), &json!({})).await?;
                if client.json {
                    return show(&client, &key, &[]);
                }
                for (variable, name) in [("AWS_ACCESS_KEY_ID", "access_key_id"), ("AWS_SECRET_ACCESS_KEY", "secret_access_key")] {
                    crate::say!("export {variable}={}", key.get(name).and_then(Value::as_str).unwrap_or_default());
                }
                Ok(())
            }
            Self::List(plain) => {
                let mut client = plain.connection.open().await?;
                let columns = ["id", "label", "prefix", "scopes", "created_at", "expires_at", "revoked_at"];
                list(&mut client, &format!("{PREFIX}/tokens"), "tokens", &columns).await
            }
            Self::Revoke(revoke) => {
                let mut client = revoke.connection.open().await?;
                let family = if revoke.any { "any-tokens" } else { "tokens" };
                client.delete(&format!("{PREFIX}/{family}/{}", segment(&revoke.id))).await?;
                done(&client, &format!("revoked `{}`", revoke.id))
            }
        }
    }
}

/// Work with your own account.
#[derive(Subcommand)]
pub enum Account {
    /// Show whom the server takes you for.
    Show(Plain),
    /// Change your password: the new one is read from stdin, the current one from --password-file or the variable
    /// `STRONGROOM_PASSWORD`. Your other sessions end.
    Password(Plain),
}

impl Account {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Show(plain) => {
                let mut client = plain.connection.open().await?;
                let mut me = client.get(&format!("{PREFIX}/me")).await?;
                if !client.json {
                    let groups = me.get("groups").and_then(Value::as_array).into_iter().flatten();
                    let names: Vec<Value> = groups.filter_map(|group| group.get("name").cloned()).collect();
                    if let Some(fields) = me.as_object_mut() {
                        fields.insert("groups".to_owned(), Value::Array(names));
                    }
                }
                show(&client, &me, &["name", "id", "kind", "groups", "has_password"])
            }
            Self::Password(mut plain) => {
                let current = plain.connection.password()?;
                // It is sent with the new one, also by who comes with a token.
                if plain.connection.user.is_none() {
                    plain.connection.password_file = None;
                }
                let mut client = plain.connection.open().await?;
                let new = password_from_stdin()?;
                let current = current.as_ref().and_then(Secret::expose_text);
                client.post(&format!("{PREFIX}/me/password"), &json!({"current": current, "new": new.expose_text()})).await?;
                done(&client, "changed your password")
            }
        }
    }
}

/// Work with your own browser sessions.
#[derive(Subcommand)]
pub enum Session {
    /// List your sessions.
    List(Plain),
    /// End a session by its id.
    Revoke(RevokeSession),
}

/// Options of `session revoke`.
#[derive(Args)]
pub struct RevokeSession {
    /// The session's id.
    id: String,
    #[command(flatten)]
    connection: Connection,
}

impl Session {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::List(plain) => {
                let mut client = plain.connection.open().await?;
                let answer = client.get(&format!("{PREFIX}/sessions")).await?;
                let sessions = answer.get("sessions").and_then(Value::as_array).cloned().unwrap_or_default();
                print_list(&client, &sessions, &["id", "created_at", "last_seen", "expires_at", "current"]);
                Ok(())
            }
            Self::Revoke(revoke) => {
                let mut client = revoke.connection.open().await?;
                client.delete(&format!("{PREFIX}/sessions/{}", segment(&revoke.id))).await?;
                done(&client, &format!("ended `{}`", revoke.id))
            }
        }
    }
}

/// Work with workspaces.
#[derive(Subcommand)]
pub enum Workspace {
    /// Make a workspace.
    Create(Named),
    /// List the workspaces that you may know of.
    List(Plain),
}

impl Workspace {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Create(named) => create(named, "workspaces").await,
            Self::List(plain) => {
                let mut client = plain.connection.open().await?;
                list(&mut client, &format!("{PREFIX}/workspaces"), "workspaces", &["name", "id", "created_at"]).await
            }
        }
    }
}
