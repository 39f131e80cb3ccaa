//! A hardware module, asked by the helper `strongroom-pkcs11`: the server itself loads no foreign library. A helper that dies or hangs
//! is ended and started again.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gate::BoxFuture;
use hsm::{Answer, Request, Wiped};
use kernel::{Problem, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use vault::keys::KeyService;
use zeroize::Zeroizing;

use super::{First, does_not_open, variable, within};
use crate::config::Pkcs11Config;
use crate::inspecting::beside_this_program;

const NAME: &str = "pkcs11";
/// The helper's program, beside the server's own.
const HELPER_PROGRAM: &str = "strongroom-pkcs11";

/// A root key in a hardware module. Its versions are objects of their own in the token; old ones stay until people delete them.
pub(super) struct Pkcs11Key {
    helper: Arc<Helper>,
    version: i64,
}

/// The helper's process, one question at a time.
struct Helper {
    config: Pkcs11Config,
    program: PathBuf,
    pin: Secret,
    wait_max: Duration,
    running: Mutex<Option<Running>>,
    /// What the token has against the PIN: it is not given it again, because a few wrong ones lock a token.
    refused: OnceLock<String>,
}

struct Running {
    _child: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Pkcs11Key {
    pub(super) async fn open(config: &Pkcs11Config, first: First) -> Result<Self, Problem> {
        let helper = Arc::new(Helper::new(config)?);
        // Trying later does not help: whoever starts this again must know.
        let found = helper.versions().await.map_err(|problem| match helper.refused.get() {
            Some(_) => Problem::invalid(problem.message().to_owned()),
            None => problem,
        })?;
        let newest = found.last().copied();
        let version = match (newest, first) {
            (Some(version), _) => version,
            (None, First::Made) => helper.make().await?,
            (None, First::Wanted) => {
                let (token, key) = (&config.token, &config.key);
                return Err(Problem::unavailable(format!(
                    "the token `{token}` holds no key `{key}`: without it nothing can be read"
                )));
            }
        };
        Ok(Self { helper, version })
    }
}

impl Helper {
    fn new(config: &Pkcs11Config) -> Result<Self, Problem> {
        let program = config.helper.clone().or_else(|| beside_this_program(HELPER_PROGRAM));
        let program = program.filter(|program| program.is_file()).ok_or_else(|| {
            Problem::invalid(format!(
                "`{HELPER_PROGRAM}` is not beside this program; install it, or name it in `vault.root_key.helper`"
            ))
        })?;
        Ok(Self {
            config: config.clone(),
            program,
            pin: variable(&config.pin_variable, "the PIN of the token")?,
            wait_max: Duration::from_secs(config.wait_seconds_max),
            running: Mutex::new(None),
            refused: OnceLock::new(),
        })
    }

    async fn versions(&self) -> Result<Vec<i64>, Problem> {
        match self.ask_again(&Request::Versions).await? {
            Answer::Versions(versions) => Ok(versions),
            other => Err(self.unexpected(other)),
        }
    }

    async fn make(&self) -> Result<i64, Problem> {
        match self.ask(&Request::Make).await? {
            Answer::Made(version) => Ok(version),
            other => Err(self.unexpected(other)),
        }
    }

    /// Asks once more where the helper died over it, which changes nothing in the token.
    async fn ask_again(&self, request: &Request) -> Result<Answer, Problem> {
        match self.ask(request).await {
            Err(problem) if problem.message() == GONE => self.ask(request).await,
            answered => answered,
        }
    }

    async fn ask(&self, request: &Request) -> Result<Answer, Problem> {
        within(self.wait_max, "the hardware module", async {
            let mut place = self.running.lock().await;
            if let Some(why) = self.refused.get() {
                return Ok(Answer::PinRefused(why.clone()));
            }
            // A question that is broken off leaves an answer in the pipe: whoever takes the helper out puts it back only when it is done.
            let mut running = match place.take() {
                Some(running) => running,
                None => self.start()?,
            };
            let answer = running.ask(request).await.map_err(|error| Problem::unavailable(GONE).because(error))?;
            *place = Some(running);
            if let Answer::PinRefused(why) = &answer {
                drop(self.refused.set(why.clone()));
            }
            Ok(answer)
        })
        .await
    }

    fn unexpected(&self, answer: Answer) -> Problem {
        match answer {
            Answer::Refused(why) => does_not_open(NAME).because(why),
            Answer::NoVersion => {
                Problem::unavailable("the version of the root key that this was wrapped by is not in the token any more")
            }
            Answer::Unavailable(why) => Problem::unavailable(format!("the hardware module is not usable: {why}")),
            Answer::PinRefused(why) => Problem::unavailable(format!(
                "{why}; put the right PIN into the variable `{}` and start again. This one is not tried a second time: a few wrong PINs lock a token",
                self.config.pin_variable
            )),
            _ => Problem::internal("the helper of the hardware module answered something else", "an answer to another question"),
        }
    }

    fn start(&self) -> Result<Running, Problem> {
        let config = &self.config;
        let mut command = Command::new(&self.program);
        command.arg("--module").arg(&config.module);
        command.args(["--token", &config.token, "--key", &config.key, "--pin-variable", &config.pin_variable]);
        if config.module_iv {
            command.arg("--module-iv");
        }
        command.env_clear().env(&config.pin_variable, self.pin.expose_text().unwrap_or_default());
        for name in &config.variables {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let failed = |error: std::io::Error| {
            Problem::unavailable(format!("the helper `{}` cannot be started", self.program.display())).because(error)
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().map_err(failed)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(to), Some(from)) => Ok(Running { _child: child, to, from }),
            _ => Err(Problem::internal("the helper has no pipes", "stdin or stdout is missing")),
        }
    }
}

/// The helper ended before it answered.
const GONE: &str = "the helper of the hardware module ended over a question";

impl Running {
    async fn ask(&mut self, request: &Request) -> std::io::Result<Answer> {
        let frame: Wiped = hsm::frame(&request.encode());
        self.to.write_all(&frame).await?;
        self.to.flush().await?;
        let mut head = [0_u8; 4];
        self.from.read_exact(&mut head).await?;
        let bytes = hsm::body_bytes(head).ok_or(std::io::ErrorKind::InvalidData)?;
        let mut body = Zeroizing::new(vec![0_u8; bytes]);
        self.from.read_exact(&mut body).await?;
        Answer::decode(&body).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
    }
}

impl KeyService for Pkcs11Key {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn wrap<'a>(&'a self, key: &'a Secret, aad: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Problem>> {
        Box::pin(async move {
            let key = Zeroizing::new(key.expose().to_vec());
            match self.helper.ask_again(&Request::Wrap { version: self.version, key, aad: aad.to_vec() }).await? {
                Answer::Wrapped(wrapped) => Ok(wrapped),
                other => Err(self.helper.unexpected(other)),
            }
        })
    }

    fn unwrap<'a>(&'a self, version: i64, wrapped: &'a [u8], aad: &'a [u8]) -> BoxFuture<'a, Result<Secret, Problem>> {
        Box::pin(async move {
            let request = Request::Unwrap { version, wrapped: wrapped.to_vec(), aad: aad.to_vec() };
            match self.helper.ask_again(&request).await? {
                Answer::Unwrapped(key) => Ok(Secret::new(key.to_vec())),
                other => Err(self.helper.unexpected(other)),
            }
        })
    }

    fn versions(&self) -> BoxFuture<'_, Result<Vec<i64>, Problem>> {
        Box::pin(self.helper.versions())
    }

    fn renews(&self) -> bool {
        true
    }

    fn renewed(&self) -> BoxFuture<'_, Result<Option<Arc<dyn KeyService>>, Problem>> {
        Box::pin(async move {
            let version = self.helper.make().await?;
            Ok(Some(Arc::new(Self { helper: Arc::clone(&self.helper), version }) as Arc<dyn KeyService>))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A helper that is a script: what it does with its pipes is the test's.
    fn configured(script: &str) -> (Pkcs11Config, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let helper = folder.path().join("helper");
        std::fs::write(&helper, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o700)).unwrap();
        let config = Pkcs11Config {
            module: "/nowhere.so".into(),
            token: "t".to_owned(),
            key: "k".to_owned(),
            // Any variable that is set.
            pin_variable: "PATH".to_owned(),
            variables: Vec::new(),
            module_iv: false,
            helper: Some(helper),
            wait_seconds_max: 1,
        };
        (config, folder)
    }

    async fn opened(script: &str) -> (Result<Pkcs11Key, Problem>, tempfile::TempDir) {
        let (config, folder) = configured(script);
        (Pkcs11Key::open(&config, First::Wanted).await, folder)
    }

    #[tokio::test]
    async fn a_pin_that_was_refused_is_not_tried_again() {
        // Each start leaves a line, and says that the PIN is not taken.
        let script = "echo start >> \"$(dirname \"$0\")/starts\"\nprintf '\\0\\0\\0\\11\\23\\0\\0\\0\\4nope'\nexec sleep 5";
        let (config, folder) = configured(script);
        let helper = Helper::new(&config).unwrap();
        for _ in 0..3 {
            assert_eq!(helper.ask(&Request::Make).await.unwrap(), Answer::PinRefused("nope".to_owned()));
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("starts")).unwrap(), "start\n");
        let refused = opened(script).await.0.map(|_| ()).unwrap_err();
        assert_eq!(refused.kind(), kernel::Kind::Invalid, "no supervisor starts it again and again: {refused}");
        assert!(refused.message().starts_with("nope; ") && refused.message().contains("`PATH`"), "{refused}");
    }

    #[tokio::test]
    async fn a_helper_that_dies_talks_nonsense_or_hangs_is_no_key() {
        for script in ["exit 0", "printf '\\377\\377\\377\\377'", "printf '\\0\\0\\0\\1z'; sleep 9", "exec sleep 100"] {
            let refused = opened(script).await.0.map(|_| ()).unwrap_err();
            assert_eq!(refused.kind(), kernel::Kind::Unavailable, "{script}: {refused}");
        }
    }

    #[tokio::test]
    async fn a_helper_that_died_is_started_again() {
        // The first one dies over its question; the second says that version 3 is there, and then which are.
        let answer = "printf '\\0\\0\\0\\15\\1\\0\\0\\0\\10\\0\\0\\0\\0\\0\\0\\0\\3'";
        let script =
            format!("mark=\"$(dirname \"$0\")/mark\"\n[ -e \"$mark\" ] || {{ : > \"$mark\"; exit 1; }}\n{answer}\nexec sleep 5");
        let (key, _folder) = opened(&script).await;
        assert_eq!(key.unwrap().version(), 3);
    }
}
