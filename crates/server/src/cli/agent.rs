//! `strongroom agent`: what runs on a device of somebody's.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::{Args, Subcommand};
use devices::signed_text;
use http::{Method, Request, header};
use kernel::{Problem, Secret};
use serde_json::{Value, json};

use super::client::problem_of;
use crate::agent::collect::Probe;
use crate::agent::key::DeviceKey;
use crate::agent::state::{self, Enrolment, State};
use crate::agent::tools::{Signed, Tpm};
use crate::https::Remote;

const PREFIX: &str = "/api/strongroom/v1/devices";
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// How often `agent run` looks whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How often it attests again: an attestation counts for a week.
const ATTEST_EVERY: Duration = Duration::from_secs(86_400);

/// Run on a device of yours.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  strongroom device enrolment-token --url https://strongroom.example:8443 --ca ca.pem
  strongroom agent enroll --server https://strongroom.example:8443 --ca ca.pem --token sr_enr_…
  strongroom agent run")]
pub enum AgentVerb {
    /// Make a key on this device, and have the server certify it.
    #[command(visible_alias = "enrol")]
    Enroll(Enroll),
    /// Get a new certificate, with the one that is still valid.
    #[command(after_help = "Example:\n  strongroom agent renew --device /var/lib/strongroom-device")]
    Renew(Here),
    /// Tell the server how this device is.
    #[command(after_help = "Examples:\n  strongroom agent report\n  strongroom agent report --json")]
    Report(Here),
    /// Show by the TPM that it holds the device's key.
    #[command(after_help = "It takes a key that was enrolled with --tpm.\nExample:\n  strongroom agent attest --json")]
    Attest(Here),
    /// Show what `report` would say, and send nothing.
    #[command(after_help = "Example:\n  strongroom agent facts")]
    Facts(Plain),
    /// Renew, report and attest whenever it is time, until told to stop.
    #[command(after_help = "Example:\n  strongroom agent run --every-minutes 30")]
    Run(Run),
}

/// Options of `agent enroll`.
#[derive(Args)]
#[command(
    after_help = "The key stays on this device: in a file that only you read, or with --tpm in the TPM, which it never leaves.
Example:
  strongroom agent enroll --server https://strongroom.example:8443 --ca ca.pem --token-file token --label laptop --tpm"
)]
pub struct Enroll {
    /// The server, such as `https://strongroom.example:8443`.
    #[arg(long, value_name = "URL")]
    server: String,
    /// The authority that signed its certificate (PEM).
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// The enrolment token: `strongroom device enrolment-token` makes one, or the page of your account.
    #[arg(long, value_name = "TOKEN", required_unless_present = "token_file")]
    token: Option<String>,
    /// A file with it.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// What to call this device.
    #[arg(long, default_value = "")]
    label: String,
    /// Keep the key in this machine's TPM; needs tpm2-tools.
    #[arg(long)]
    tpm: bool,
    /// Replace the device that was enrolled from here before.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    here: Here,
}

/// Where the device's files are.
#[derive(Args)]
pub struct Here {
    /// The folder of the device's files [default: ~/.config/strongroom/device].
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DEVICE")]
    device: Option<PathBuf>,
    /// Print JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// Nothing to choose.
#[derive(Args)]
pub struct Plain {}

/// Options of `agent run`.
#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    here: Here,
    /// How many minutes lie between two reports.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=720))]
    every_minutes: u64,
}

impl AgentVerb {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Enroll(enroll) => enroll.run().await,
            Self::Renew(here) => {
                let mut agent = Agent::open(&here)?;
                let said = agent.renew().await?;
                tell(&here, &said, &["device", "expires_at"])
            }
            Self::Report(here) => {
                let said = Agent::open(&here)?.report().await?;
                tell(&here, &said, &["in_order", "failing"])
            }
            Self::Attest(here) => {
                let said = Agent::open(&here)?.attest().await?;
                tell(&here, &said, &["endorsement_key", "by_root"])
            }
            Self::Facts(_) => {
                let facts = serde_json::to_string_pretty(&Probe::here().facts());
                crate::say!("{}", facts.map_err(|e| Problem::internal("the facts cannot be printed", e))?);
                Ok(())
            }
            Self::Run(run) => run.run().await,
        }
    }
}

fn tell(here: &Here, said: &Value, fields: &[&str]) -> Result<(), Problem> {
    if here.json {
        crate::say!("{said}");
        return Ok(());
    }
    for field in fields {
        crate::say!("{:<16}  {}", field.replace('_', " "), super::table::cell(said.get(*field)));
    }
    Ok(())
}

impl Enroll {
    async fn run(self) -> Result<(), Problem> {
        let folder = state::folder(self.here.device.as_deref())?;
        if State::exists(&folder) && !self.replace {
            let message =
                format!("a device is enrolled in `{}` already; --replace it, or name another --device folder", folder.display());
            return Err(Problem::invalid(message));
        }
        let authority = std::fs::read_to_string(&self.ca)
            .map_err(|error| Problem::invalid(format!("cannot read `{}`: {error}", self.ca.display())))?;
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => Secret::from(token.clone()),
            (None, Some(file)) => std::fs::read_to_string(file)
                .map(|text| Secret::from(text.trim().to_owned()))
                .map_err(|error| Problem::invalid(format!("cannot read `{}`: {error}", file.display())))?,
            (None, None) => return Err(Problem::invalid("give the enrolment token with --token or --token-file")),
        };
        let (key, text) = if self.tpm {
            (DeviceKey::in_tpm()?, None)
        } else {
            let (key, text) = DeviceKey::new_in_file()?;
            (key, Some(text))
        };
        let remote = Remote::new(&self.server, &self.ca)?;
        let body = json!({"request": STANDARD.encode(key.request()?), "label": self.label});
        let authorization = format!("Bearer {}", token.expose_text().unwrap_or_default());
        let said = send(&remote, &authorization, Method::POST, "/enrol", Some(&body)).await?;
        let enrolment = Enrolment { device: text_of(&said, "device")?, server: remote.url(), tpm: self.tpm };
        let certificate = text_of(&said, "certificate")?;
        State::make(&folder, &enrolment, (text.as_deref(), &certificate, &authority))?;
        tell(
            &self.here,
            &json!({"device": enrolment.device, "expires_at": said.get("expires_at"), "tpm": self.tpm}),
            &["device", "expires_at"],
        )
    }
}

/// An enrolled device and its way to the server.
struct Agent {
    state: State,
    remote: Remote,
}

impl Agent {
    fn open(here: &Here) -> Result<Self, Problem> {
        let state = State::open(&state::folder(here.device.as_deref())?)?;
        let remote = Remote::of_device(&state.enrolment.server, &state.authority(), Some(state.shown()?))?;
        Ok(Self { state, remote })
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Problem> {
        send(&self.remote, "Certificate device", method, path, body).await
    }

    async fn renew(&mut self) -> Result<Value, Problem> {
        let said = self.ask(Method::POST, "/renew", Some(&json!({}))).await?;
        self.state.renewed(&text_of(&said, "certificate")?)?;
        self.remote = Remote::of_device(&self.state.enrolment.server, &self.state.authority(), Some(self.state.shown()?))?;
        Ok(said)
    }

    async fn report(&self) -> Result<Value, Problem> {
        let asked = self.ask(Method::GET, "/challenge", None).await?;
        let (device, challenge) = (text_of(&asked, "device")?, text_of(&asked, "challenge")?);
        let facts = serde_json::to_string(&Probe::here().facts()).map_err(|e| Problem::internal("no report could be made", e))?;
        let signature = self.state.key.sign(signed_text(&device, &challenge, &facts).as_bytes())?;
        let body = json!({"challenge": challenge, "facts": facts, "signature": STANDARD.encode(signature)});
        self.ask(Method::POST, "/report", Some(&body)).await
    }

    async fn attest(&self) -> Result<Value, Problem> {
        if !self.state.key.is_in_tpm() {
            return Err(Problem::invalid("this device's key is in a file; enrol it again with `--tpm --replace`"));
        }
        let tpm = Tpm::open()?;
        let (endorsement, attestation) = (tpm.endorsement_key()?, tpm.attestation_key()?);
        let keys = json!({"endorsement": STANDARD.encode(&endorsement), "attestation": STANDARD.encode(&attestation)});
        let asked = self.ask(Method::POST, "/attest/begin", Some(&keys)).await?;
        let bytes = |field: &str| {
            let decoded = STANDARD.decode(text_of(&asked, field)?);
            decoded.map_err(|e| Problem::internal("the server's answer cannot be read", e))
        };
        let secret = tpm.activate(&bytes("id_object")?, &bytes("encrypted_secret")?)?;
        let (quoted, registers) = tpm.quote(&text_of(&asked, "nonce")?)?;
        let signed =
            |what: &Signed| json!({"statement": STANDARD.encode(&what.statement), "signature": STANDARD.encode(&what.signature)});
        let body = json!({
            "challenge": text_of(&asked, "challenge")?,
            "keys": keys,
            "secret": STANDARD.encode(secret),
            "device_key": STANDARD.encode(tpm.device_key()?),
            "certified": signed(&tpm.certify()?),
            "quoted": signed(&quoted),
            "registers": STANDARD.encode(registers),
            "certificate": tpm.certificate().map(|der| STANDARD.encode(der)),
        });
        self.ask(Method::POST, "/attest", Some(&body)).await
    }

    /// Half of its life is over: then there is half of it left to try again.
    fn is_renewal_due(&self) -> Result<bool, Problem> {
        let (from, until) = self.state.validity()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(now >= from.midpoint(until))
    }
}

impl Run {
    async fn run(self) -> Result<(), Problem> {
        let mut agent = Agent::open(&self.here)?;
        let stopping = crate::boot::stop_signal()?;
        tokio::pin!(stopping);
        let every = Duration::from_secs(self.every_minutes * 60);
        let (mut report_at, mut attest_at) = (tokio::time::Instant::now(), tokio::time::Instant::now());
        loop {
            if agent.is_renewal_due()? {
                note("renewed", agent.renew().await);
            }
            let now = tokio::time::Instant::now();
            if now >= attest_at && agent.state.key.is_in_tpm() {
                attest_at = if note("attested", agent.attest().await) { now + ATTEST_EVERY } else { now + every };
            }
            if now >= report_at {
                note("reported", agent.report().await);
                report_at = now + every;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = &mut stopping => return Ok(()),
            }
        }
    }
}

/// One line for what was done. A server that is away comes back: nothing of this ends the agent.
fn note(what: &str, done: Result<Value, Problem>) -> bool {
    match done {
        Ok(said) => {
            let failing = said.get("failing").map(|failing| format!("; not in order: {failing}")).unwrap_or_default();
            crate::say!("{what}{failing}");
            true
        }
        Err(problem) => {
            eprintln!("strongroom: not {what}: {problem}");
            false
        }
    }
}

async fn send(remote: &Remote, authorization: &str, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Problem> {
    let head = Request::builder()
        .method(method)
        .header(header::AUTHORIZATION, authorization)
        .header(header::CONTENT_TYPE, "application/json");
    let bytes = Bytes::from(body.map(ToString::to_string).unwrap_or_default());
    let answer = remote.send(head, &format!("{PREFIX}{path}"), bytes, ANSWER_BYTES_MAX).await?;
    if !answer.status.is_success() {
        return Err(problem_of(answer.status, &answer.body));
    }
    serde_json::from_slice(&answer.body).map_err(|e| Problem::internal("the server's answer is not JSON", e))
}

fn text_of(said: &Value, field: &str) -> Result<String, Problem> {
    let text = said.get(field).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| Problem::unavailable(format!("the server's answer has no `{field}`; is it as new as this agent?")))
}
