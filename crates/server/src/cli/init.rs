//! `strongroom init`: a new data folder and its first administrator.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use gate::{Attempt, Gate, JobPass, Operation};
use kernel::{Problem, Secret, SystemClock};
use vault::db::Opening;
use vault::keys::{KeyFile, PassphraseKey};

use crate::boot::{self, App};
use crate::config::{Config, RootKeyConfig};
use crate::key_services::{self, First};
use crate::{config, folder, tls};

/// The job that sets up a new folder. The policy lets it make the first account and its grants, and nothing else.
const BOOTSTRAP: &str = "bootstrap";
/// What the first administrator gets besides `administrator`, which by itself gives no data: explicit grants that can be
/// revoked like any other.
const FIRST_GRANTS: [(&str, policy::On); 6] = [
    ("administrator", policy::On::Server),
    ("auditor", policy::On::Server),
    ("backup_operator", policy::On::Server),
    ("key_custodian", policy::On::Server),
    ("restore_operator", policy::On::Server),
    ("owner", policy::On::Workspace),
];
/// How long the first token lives.
const FIRST_TOKEN_S: i64 = 365 * 86_400;

/// Make a new data folder: keys, certificates, the database, the log, a first administrator.
#[derive(Args)]
#[command(after_help = "The token is written to the file with mode 0600, or shown once if no file is named.\n\n\
Example:\n  strongroom init --data ./data --admin-token-file ./admin.token")]
pub struct Init {
    /// The folder to make. It must not exist, or be empty.
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DATA")]
    data: PathBuf,
    /// Where to write the first administrator's token.
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// The first administrator's name.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    admin: String,
    /// A configuration to begin with; it is copied to DIR/strongroom.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Init {
    pub(super) async fn run(self) -> Result<(), Problem> {
        if let Some(path) = self.admin_token_file.as_deref().filter(|path| path.exists()) {
            return Err(Problem::invalid(format!("`{}` exists; name a new file for the token", path.display())));
        }
        let text = match &self.config {
            Some(path) => fs::read_to_string(path).map_err(|e| tls::file_problem(path, e))?,
            None => FIRST_CONFIG.to_owned(),
        };
        let (token, made) = make_in(&self.data, &text, &self.admin).await?;
        // A folder whose first token nobody has is of no use.
        made.keep_if(self.hand_over(&token))
    }

    fn hand_over(&self, token: &Secret) -> Result<(), Problem> {
        let text = token.expose_text().unwrap_or_default();
        let data = self.data.display();
        match &self.admin_token_file {
            Some(path) => {
                write_new_private(path, text)?;
                crate::say!("made `{data}`; the token of `{}` is in `{}`", self.admin, path.display());
            }
            None => crate::say!("made `{data}`; the token of `{}`, shown this once:\n{text}", self.admin),
        }
        crate::say!("back up `{data}/keys` apart from the rest: without the root key nothing can be read");
        crate::say!("next: strongroom serve --data {data}");
        Ok(())
    }
}

/// Makes the folder, and gives the first administrator's token.
///
/// # Errors
/// `Conflict` if there is something already; `Invalid` for a configuration that cannot be used. Then nothing is left behind.
pub async fn make(data: &Path, config_text: &str, admin: &str) -> Result<Secret, Problem> {
    let (token, made) = make_in(data, config_text, admin).await?;
    made.keep_if(Ok(()))?;
    Ok(token)
}

async fn make_in(data: &Path, config_text: &str, admin: &str) -> Result<(Secret, Made), Problem> {
    let settings = config::parse(config_text).map_err(Problem::invalid)?;
    settings.check()?;
    let mut made = Made { data: data.to_path_buf(), is_new: !data.exists(), key: None, has_database: false };
    folder::make_folder(data)?;
    match fill(&mut made, &settings, config_text, admin).await {
        Ok(token) => Ok((token, made)),
        Err(problem) => Err(made.discard(problem)),
    }
}

/// What `init` has made so far, to be taken away if it does not come to its end.
struct Made {
    data: PathBuf,
    /// Whether the folder itself is ours; an empty one may have been there.
    is_new: bool,
    /// The root key's file, if it lies outside and was made here.
    key: Option<PathBuf>,
    /// Whether a database outside the folder may hold something by now.
    has_database: bool,
}

impl Made {
    /// Keeps the folder if the last step was done, and takes everything away if not.
    fn keep_if(self, last: Result<(), Problem>) -> Result<(), Problem> {
        let marker = self.data.join(folder::UNFINISHED);
        match last.and_then(|()| fs::remove_file(&marker).map_err(|e| tls::file_problem(&marker, e))) {
            Ok(()) => Ok(()),
            Err(problem) => Err(self.discard(problem)),
        }
    }

    /// Takes away what was made, and nothing else: the folder was empty before.
    fn discard(self, problem: Problem) -> Problem {
        let entries = fs::read_dir(&self.data).map(|entries| entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>());
        for path in entries.unwrap_or_default() {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            if let Err(error) = removed {
                eprintln!("strongroom: `{}` could not be removed: {error}", path.display());
            }
        }
        if self.is_new {
            // If it stays, it is empty, and may be used again.
            drop(fs::remove_dir(&self.data));
        }
        if !self.has_database {
            if let Some(key) = &self.key {
                drop(fs::remove_file(key));
            }
            return problem;
        }
        let kept = self.key.map(|key| format!("; the root key `{}` was kept", key.display())).unwrap_or_default();
        let message = format!("{problem} (the database may hold what was begun: empty it before you try again{kept})");
        Problem::new(problem.kind(), message).because(problem)
    }
}

async fn fill(made: &mut Made, settings: &Config, config_text: &str, admin: &str) -> Result<Secret, Problem> {
    let data = made.data.clone();
    tls::write_private(&data.join(folder::UNFINISHED), "")?;
    tls::write_private(&data.join(config::FILE_NAME), config_text)?;
    tls::write_private(&data.join("lock"), "")?;
    tls::make_authority(&data)?;
    made.key = make_root_key(&data, &settings.vault.root_key).await?;
    let way = boot::Way { database: Opening::Make, ..boot::Way::default() };
    let app = boot::open_as(&data, settings, way).await?;
    made.has_database = settings.vault.database.expose() != "sqlite";
    let token = first_administrator(&app, admin).await;
    app.close().await;
    token
}

/// Makes the root key, if there is none yet; gives its file if that lies outside the folder and was made here.
pub(super) async fn make_root_key(data: &Path, kept: &RootKeyConfig) -> Result<Option<PathBuf>, Problem> {
    if let RootKeyConfig::Passphrase { variable } = kept {
        drop(PassphraseKey::create(&boot::passphrase_path(data), &boot::passphrase(variable)?)?);
    }
    if matches!(kept, RootKeyConfig::Pkcs11(_) | RootKeyConfig::Transit(_)) {
        drop(key_services::open(data, kept, First::Made, Arc::new(SystemClock)).await?);
    }
    let Some(path) = boot::root_key_path(data, kept).filter(|path| !path.exists()) else {
        return Ok(None);
    };
    drop(KeyFile::create(&path)?);
    Ok(Some(path).filter(|path| !path.starts_with(data)))
}

pub(super) fn write_new_private(path: &Path, text: &str) -> Result<(), Problem> {
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{text}")?;
        file.sync_all()
    };
    write().map_err(|e| tls::file_problem(path, e))
}

/// Everything passes the door, the very first records of the log included.
async fn first_administrator(app: &App, name: &str) -> Result<Secret, Problem> {
    let pass = app.jobs.pass(BOOTSTRAP);
    let (identity, policy) = (&app.rooms.identity, &app.rooms.policy);
    let workspace = gate::DEFAULT_WORKSPACE.parse()?;
    call(&app.gate, &pass, identity::ops::workspaces::CreateWorkspace { room: identity.clone(), name: workspace }).await?;
    call(&app.gate, &pass, tracking::ops::EnsureDefaultExperiment { room: app.rooms.tracking.clone() }).await?;
    let user = identity::ops::accounts::CreateUser { room: identity.clone(), name: name.parse()?, password: None };
    let user = call(&app.gate, &pass, user).await?;
    for (role, on) in FIRST_GRANTS {
        let grant = policy::CreateGrant {
            room: policy.clone(),
            principal: user.id.clone(),
            role: role.to_owned(),
            on,
            expires_at: None,
            justification: "first start".to_owned(),
        };
        call(&app.gate, &pass, grant).await?;
    }
    let wish = identity::TokenWish {
        label: "first token".to_owned(),
        lifetime_s: Some(FIRST_TOKEN_S),
        ..identity::TokenWish::default()
    };
    let token = identity::ops::tokens::CreateTokenFor { room: identity.clone(), principal: user.id, parent: None, wish };
    Ok(call(&app.gate, &pass, token).await?.secret)
}

async fn call<O: Operation>(gate: &Gate, pass: &JobPass, operation: O) -> Result<O::Output, Problem> {
    gate.call(Attempt::of_job(pass.clone()), operation).await
}

/// The configuration that a new folder begins with.
const FIRST_CONFIG: &str =
    "# Strongroom's configuration. Every key has a default; `strongroom config check --data DIR` prints what is in force.

[server]
# listen = \"127.0.0.1:8443\"
# allowed_hosts = [\"strongroom.example\"]
# mlflow_ui_dir = \"/path/to/site-packages/mlflow/server/js/build\"

[tls]
# certificate = \"/path/to/chain.pem\"
# key = \"/path/to/key.pem\"

[vault]
# database = \"postgres://user:password@host/strongroom\"
";
