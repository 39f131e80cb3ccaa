//! `strongroom login`: a token for this command line and the mlflow client, agreed to in a browser: on this machine (RFC 8252), or on any by a
//! code (after RFC 8628).

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use http::{Method, Request, StatusCode, header};
use identity::{DENIED, DEVICE_ASK, DEVICE_SECONDS, DEVICE_SLOWER, EXPIRED, PENDING, SLOW_DOWN, new_device_secret, user_code};
use kernel::{Kind, Problem, Secret};
use serde_json::{Value, json};
use wire::authorize::TOKEN;

use super::client::shown_device;
use super::loopback::{Waiting, has_display, open_browser};
use crate::folder;
use crate::https::Remote;
use crate::tls;

/// How long one question may take, and the longest pause while the server does not answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
const PAUSE_MAX: Duration = Duration::from_secs(20);
/// The server cannot answer now (RFC 6749, section 4.1.2.1, says it of the other endpoint).
const BUSY: &str = "temporarily_unavailable";
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The name beside the token in the mlflow client's file: whose the token is, the token itself says.
const MLFLOW_NAME: &str = "strongroom";

/// Log this command line and the mlflow client in: a browser opens, you agree there, and a token for twelve hours is kept in files that only
/// you can read.
#[derive(Args)]
#[command(after_help = "Examples:
  strongroom login --url https://strongroom.example:8443 --ca ca.pem
  strongroom login --data ./data --no-mlflow
  strongroom login --url https://strongroom.example:8443 --ca ca.pem --device-code
  MLFLOW_TRACKING_URI=https://strongroom.example:8443 MLFLOW_TRACKING_SERVER_CERT_PATH=ca.pem python train.py")]
pub struct Login {
    /// The server, such as `https://strongroom.example:8443`.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The authority that signed its certificate (PEM).
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The data folder of a server on this machine, instead of --url and --ca.
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DATA")]
    data: Option<PathBuf>,
    /// Log in by a code that you type or follow in a browser on any machine. So it is by itself over SSH and where no browser can be opened.
    #[arg(long)]
    device_code: bool,
    /// As --device-code, and open no browser: the address is printed.
    #[arg(long)]
    no_browser: bool,
    /// Leave the mlflow client's file (`~/.mlflow/credentials`) alone.
    #[arg(long)]
    no_mlflow: bool,
    /// Replace what another program wrote into that file.
    #[arg(long)]
    replace: bool,
    /// Come from this enrolled device, so that the token counts from it only: the folder of its agent, the usual one if none is named.
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DEVICE", num_args = 0..=1, default_missing_value = "-")]
    device: Option<PathBuf>,
    /// Print JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// Where the token of `strongroom login` is kept.
pub(super) fn token_path() -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| home().map(|home| home.join(".config")))?;
    Some(folder.join("strongroom").join("token"))
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

impl Login {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let (address, remote) = self.server()?;
        let token_path = token_path().ok_or_else(|| Problem::invalid("neither XDG_CONFIG_HOME nor HOME names a folder"))?;
        let mlflow_path = home().filter(|_| !self.no_mlflow).map(|home| home.join(".mlflow").join("credentials"));
        if let Some(path) = mlflow_path.as_deref().filter(|_| !self.replace) {
            may_write(path)?;
        }
        let token = match self.by_browser_here(&address, &remote).await? {
            Some(token) => token,
            None => self.by_code(&address, &remote).await?,
        };
        let text = token.expose_text().unwrap_or_default();
        write_secret(&token_path, text)?;
        if let Some(path) = &mlflow_path {
            let lines = format!("[mlflow]\nmlflow_tracking_username = {MLFLOW_NAME}\nmlflow_tracking_password = {text}\n");
            write_secret(path, &lines)?;
        }
        let files: Vec<String> =
            [Some(&token_path), mlflow_path.as_ref()].into_iter().flatten().map(|p| p.display().to_string()).collect();
        if self.json {
            println!("{}", json!({ "logged_in": true, "url": address, "files": files }));
        } else {
            println!("logged in at {address}; the token is in {}", files.join(" and "));
        }
        Ok(())
    }

    /// By a browser on this machine; none where there is none.
    async fn by_browser_here(&self, address: &str, remote: &Remote) -> Result<Option<Secret>, Problem> {
        if self.device_code || self.no_browser || !has_display() {
            return Ok(None);
        }
        let Some(waiting) = Waiting::begin(format!("https://{}", remote.authority())).await else { return Ok(None) };
        let Some(page) = waiting.page(address) else { return Ok(None) };
        eprintln!(
            "Agree in the browser that opens now. (If none does, or it is on another machine: `strongroom login --device-code`.)"
        );
        let waited = Duration::from_secs(u64::try_from(DEVICE_SECONDS).unwrap_or_default());
        let brought = tokio::select! {
            brought = tokio::time::timeout(waited, waiting.brought()) => brought.map_err(|_| nobody_agreed())??,
            Err(_) = open_browser(&page) => {
                eprintln!("(no browser could be opened from here)");
                return Ok(None);
            }
        };
        match ask(remote, brought.form()).await? {
            Ok(token) => Ok(Some(token)),
            Err(fault) => Err(refused(&fault)),
        }
    }

    /// By a code, in a browser wherever it is.
    async fn by_code(&self, address: &str, remote: &Remote) -> Result<Secret, Problem> {
        let secret = new_device_secret();
        let code = user_code(&secret).ok_or_else(|| Problem::internal("no code could be made", "a new secret has no code"))?;
        let page = format!("{address}/device?code={code}");
        eprintln!("Open {page}\nand agree to the code {code} there.");
        let waiting = wait(remote, &secret);
        if self.no_browser || !has_display() {
            return waiting.await;
        }
        tokio::pin!(waiting);
        tokio::select! {
            token = &mut waiting => token,
            Err(_) = open_browser(&page) => waiting.await,
        }
    }

    fn server(&self) -> Result<(String, Remote), Problem> {
        if let Some(url) = &self.url {
            let ca = self.ca.clone().or_else(|| self.data.as_deref().map(tls::ca_path));
            let ca = ca.ok_or_else(|| Problem::invalid("name the authority of the server's certificate with --ca FILE"))?;
            return Ok((
                url.trim_end_matches('/').to_owned(),
                Remote::of_device(url, &ca, shown_device(self.device.as_deref())?)?,
            ));
        }
        let data = self
            .data
            .as_deref()
            .ok_or_else(|| Problem::invalid("name the server with --url URL, or its data folder with --data DIR"))?;
        let url = folder::running_at(data)
            .ok_or_else(|| Problem::unavailable("no server runs on this data folder; start it with `strongroom serve`"))?;
        Ok((url.clone(), Remote::of_device(&url, &tls::ca_path(data), shown_device(self.device.as_deref())?)?))
    }
}

/// Asks until somebody decided, or the code is over. Short outages in between end nothing.
async fn wait(remote: &Remote, secret: &Secret) -> Result<Secret, Problem> {
    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code={}",
        secret.expose_text().unwrap_or_default()
    );
    let until = Instant::now() + Duration::from_secs(u64::try_from(DEVICE_SECONDS).unwrap_or_default());
    let mut pace = Pace::default();
    loop {
        let asked = tokio::time::timeout(ANSWER_MAX, ask(remote, form.clone())).await;
        match asked.unwrap_or_else(|_| Err(Problem::unavailable("the server does not answer"))) {
            Ok(Ok(token)) => return Ok(token),
            Ok(Err(word)) => pace.heard(&word)?,
            Err(problem) => pace.missed(problem)?,
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(nobody_agreed());
        }
        tokio::time::sleep(pace.pause.min(left)).await;
    }
}

/// How long a command line waits between two questions (RFC 8628, section 3.5).
struct Pace {
    every: Duration,
    /// The same, but longer while the server does not answer.
    pause: Duration,
    /// Whether the server ever answered: else it is not there, and not only for a moment.
    has_answered: bool,
    is_away: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { every: DEVICE_ASK, pause: DEVICE_ASK, has_answered: false, is_away: false }
    }
}

impl Pace {
    /// The server said this word.
    fn heard(&mut self, word: &str) -> Result<(), Problem> {
        self.has_answered = true;
        if word == BUSY {
            self.longer("it is busy, or begins");
            return Ok(());
        }
        if std::mem::take(&mut self.is_away) {
            eprintln!("The server answers again.");
        }
        match word {
            PENDING => {}
            SLOW_DOWN => self.every += DEVICE_SLOWER,
            DENIED => return Err(Problem::new(Kind::Unauthenticated, "the log-in was denied in the browser")),
            EXPIRED => return Err(nobody_agreed()),
            other => return Err(refused(other)),
        }
        self.pause = self.every;
        Ok(())
    }

    /// The server was not reached.
    fn missed(&mut self, problem: Problem) -> Result<(), Problem> {
        if !self.has_answered || problem.kind() != Kind::Unavailable {
            return Err(problem);
        }
        self.longer(problem.message());
        Ok(())
    }

    fn longer(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_away, true) {
            eprintln!("The server does not answer ({why}). Trying again until the code is over.");
        }
        self.pause = (self.pause * 2).min(PAUSE_MAX).max(self.every);
    }
}

/// Asks for the token once: it, or the error's word (RFC 6749, section 5.2).
async fn ask(remote: &Remote, form: String) -> Result<Result<Secret, String>, Problem> {
    let request = Request::builder().method(Method::POST).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = remote.send(request, TOKEN, Bytes::from(form), ANSWER_BYTES_MAX).await?;
    if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS {
        return Ok(Err(BUSY.to_owned()));
    }
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(token) = said.get("access_token").and_then(Value::as_str).filter(|_| answer.status.is_success()) {
        return Ok(Ok(Secret::from(token.to_owned())));
    }
    Ok(Err(said.get("error").and_then(Value::as_str).unwrap_or("an answer that is none").to_owned()))
}

fn refused(fault: &str) -> Problem {
    Problem::new(Kind::Unauthenticated, format!("the server refused the log-in: {fault}"))
}

fn nobody_agreed() -> Problem {
    Problem::new(Kind::Unauthenticated, "nobody agreed within ten minutes; run `strongroom login` again")
}

/// Another program's credentials are not lost.
fn may_write(path: &Path) -> Result<(), Problem> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(()) };
    let ours = format!("mlflow_tracking_username = {MLFLOW_NAME}");
    if text.trim().is_empty() || text.lines().any(|line| line.trim() == ours) {
        return Ok(());
    }
    let message =
        format!("`{}` holds other credentials; keep them with --no-mlflow, or lose them with --replace", path.display());
    Err(Problem::new(Kind::Conflict, message))
}

/// Writes a file that only its owner reads, all of it or nothing.
fn write_secret(path: &Path, text: &str) -> Result<(), Problem> {
    let fault = |error: std::io::Error| Problem::internal(format!("`{}` cannot be written: {error}", path.display()), error);
    let folder = path.parent().unwrap_or(Path::new("."));
    if !folder.exists() {
        fs::create_dir_all(folder).map_err(fault)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(fault)?;
    }
    let part = path.with_extension("part");
    drop(fs::remove_file(&part));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(fault)?;
    file.write_all(text.as_bytes()).map_err(fault)?;
    file.sync_all().map_err(fault)?;
    fs::rename(&part, path).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> Problem {
        Problem::unavailable("the server cannot be reached")
    }

    #[test]
    fn a_command_line_waits_as_long_as_it_is_told() {
        let mut pace = Pace::default();
        pace.heard(PENDING).unwrap();
        assert_eq!(pace.pause, DEVICE_ASK);
        pace.heard(SLOW_DOWN).unwrap();
        pace.heard(PENDING).unwrap();
        assert_eq!(pace.pause, DEVICE_ASK + DEVICE_SLOWER);
        pace.heard(SLOW_DOWN).unwrap();
        assert_eq!(pace.pause, DEVICE_ASK + DEVICE_SLOWER * 2);
        for (word, says) in [(DENIED, "denied"), (EXPIRED, "within ten minutes"), ("invalid_grant", "invalid_grant")] {
            let ended = pace.heard(word).unwrap_err();
            assert!(ended.kind() == Kind::Unauthenticated && ended.message().contains(says), "{ended}");
        }
    }

    #[test]
    fn an_outage_ends_nothing_once_the_server_was_there() {
        assert_eq!(Pace::default().missed(away()).unwrap_err().kind(), Kind::Unavailable, "it may be no server at all");
        let mut pace = Pace::default();
        pace.heard(PENDING).unwrap();
        for _ in 0..20 {
            pace.missed(away()).unwrap();
            assert!(pace.is_away && pace.pause > DEVICE_ASK && pace.pause <= PAUSE_MAX);
        }
        pace.heard(BUSY).unwrap();
        assert!(pace.is_away && pace.pause == PAUSE_MAX);
        pace.heard(PENDING).unwrap();
        assert!(!pace.is_away && pace.pause == DEVICE_ASK);
        assert_eq!(pace.missed(Problem::invalid("no host")).unwrap_err().kind(), Kind::Invalid);
    }
}
