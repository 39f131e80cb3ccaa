//! Runs jobs on a Ray cluster by its Jobs API. What a job may do there the cluster decides: only its token is ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use gate::BoxFuture;
use http::{Method, Request, StatusCode, header};
use kernel::{Problem, Secret, hex, sha256};
use retrain::{Errand, Execute, ExecuteError, Finished, JobLog, RayConfig};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::zip;
use crate::https::{Remote, RemoteAnswer};

/// How often the cluster is asked how far a job is.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How long one answer may take.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);
/// How long the cluster may be away before a job counts as lost.
const AWAY_MAX: Duration = Duration::from_secs(300);
/// How long a stopped job may take to end.
const STOP_WAIT_MAX: Duration = Duration::from_secs(30);
/// An answer longer than this is not read; a log that is longer is not kept.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The largest file with the cluster's token.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Where the server's authority lies among the code.
const CA_FILE: &str = ".strongroom/ca.pem";
/// Variables that name it.
const CA_VARIABLES: [&str; 3] = ["MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"];

/// A cluster.
pub struct Ray {
    remote: Remote,
    config: RayConfig,
    /// The server's address and authority, for its jobs.
    url: String,
    ca: PathBuf,
}

/// A job on the cluster, as it says.
struct Seen {
    status: String,
    message: String,
    exit_code: Option<i64>,
}

impl Ray {
    /// The cluster of the configuration; its jobs find this server at `url`, whose authority lies in `ca`.
    ///
    /// # Errors
    /// `Invalid` for an address or a file that cannot be used.
    pub fn open(config: &RayConfig, url: String, ca: &Path) -> Result<Self, Problem> {
        let remote = match &config.ca {
            Some(ca) if config.address.starts_with("https://") => Remote::new(&config.address, ca)?,
            _ => Remote::new_insecure_http(&config.address)?,
        };
        let url = config.server_url.clone().unwrap_or(url).trim_end_matches('/').to_owned();
        Ok(Self { remote, config: config.clone(), url, ca: ca.to_owned() })
    }

    async fn ask(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<RemoteAnswer, String> {
        let mut head = Request::builder().method(method).header(header::CONTENT_TYPE, kind);
        if let Some(token) = self.token()? {
            let text = format!("Bearer {}", token.expose_text().unwrap_or_default().trim());
            head = head.header(header::AUTHORIZATION, text);
        }
        let sent = self.remote.send(head, path, body, ANSWER_BYTES_MAX);
        match tokio::time::timeout(ANSWER_WAIT_MAX, sent).await {
            Ok(answer) => answer.map_err(|problem| format!("the Ray cluster: {problem}")),
            Err(_) => Err("the Ray cluster did not answer in time".to_owned()),
        }
    }

    fn token(&self) -> Result<Option<Secret>, String> {
        let Some(path) = &self.config.token_file else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(|error| format!("`retrain.ray.token_file` cannot be read: {error}"))?;
        if text.len() > TOKEN_BYTES_MAX {
            return Err("`retrain.ray.token_file` is too long for a token".to_owned());
        }
        Ok(Some(Secret::from(text)))
    }

    async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let bytes = Bytes::from(body.map(ToString::to_string).unwrap_or_default());
        let answer = self.ask(method, path, "application/json", bytes).await?;
        good(&answer)?;
        serde_json::from_slice(&answer.body).map_err(|_| "the Ray cluster's answer is not JSON".to_owned())
    }

    /// Brings the code there; the cluster keeps it under its digest.
    async fn upload(&self, errand: &Errand) -> Result<String, String> {
        let authority = std::fs::read(&self.ca).map_err(|error| format!("the server's authority cannot be read: {error}"))?;
        let mut files = errand.code.clone();
        files.push((PathBuf::from(CA_FILE), Bytes::from(authority)));
        let archive = zip::archive(&files).ok_or("the code is too large for an archive")?;
        let name = format!("_ray_pkg_{}.zip", hex(&sha256(&archive)));
        let answer = self.ask(Method::PUT, &format!("/api/packages/gcs/{name}"), "application/zip", Bytes::from(archive)).await?;
        good(&answer)?;
        Ok(format!("gcs://{name}"))
    }

    async fn submit(&self, errand: &Errand, package: &str) -> Result<(), String> {
        let variables: BTreeMap<String, String> = retrain::environment(errand, &self.url, CA_FILE);
        let exports: Vec<String> = CA_VARIABLES.iter().map(|name| format!("{name}=\"$PWD\"/{CA_FILE}")).collect();
        let words: Vec<String> = std::iter::once(&self.config.python).chain(&errand.words).map(|word| quoted(word)).collect();
        let body = json!({
            "entrypoint": format!("export {}; exec {}", exports.join(" "), words.join(" ")),
            "submission_id": submission(&errand.job_id),
            "runtime_env": { "working_dir": package, "env_vars": variables },
            "metadata": { "strongroom.job": errand.job_id, "strongroom.run": errand.run_id },
        });
        self.json(Method::POST, "/api/jobs/", Some(&body)).await.map(drop)
    }

    async fn look(&self, job_id: &str) -> Result<Seen, String> {
        let seen = self.json(Method::GET, &format!("/api/jobs/{}", submission(job_id)), None).await?;
        let text = |name: &str| seen.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Seen {
            status: text("status"),
            message: text("message").chars().filter(|letter| !letter.is_control()).take(500).collect(),
            exit_code: seen.get("driver_exit_code").and_then(Value::as_i64),
        })
    }

    async fn logs(&self, job_id: &str, log: &JobLog) {
        // A log that cannot be had now is asked for again; at the end it is left out.
        if let Ok(answer) = self.json(Method::GET, &format!("/api/jobs/{}/logs", submission(job_id)), None).await
            && let Some(text) = answer.get("logs").and_then(Value::as_str)
        {
            log.replace(text.as_bytes());
        }
    }

    /// Stops a job and has the cluster forget it: its description holds the token.
    async fn stop(&self, job_id: &str) {
        let address = format!("/api/jobs/{}", submission(job_id));
        drop(self.json(Method::POST, &format!("{address}/stop"), None).await);
        let until = Instant::now() + STOP_WAIT_MAX;
        while Instant::now() < until {
            match self.look(job_id).await {
                Ok(seen) if !is_over(&seen.status) => tokio::time::sleep(POLL_EVERY).await,
                _ => break,
            }
        }
        self.forget(job_id).await;
    }

    async fn forget(&self, job_id: &str) {
        if let Err(why) = self.json(Method::DELETE, &format!("/api/jobs/{}", submission(job_id)), None).await {
            tracing::debug!(%why, job_id, "the Ray cluster did not forget a job");
        }
    }

    /// Asks until the job is over, or the cluster is away for too long.
    async fn follow(&self, job_id: &str, log: &JobLog) -> Result<Seen, String> {
        let mut last_seen = Instant::now();
        loop {
            tokio::time::sleep(POLL_EVERY).await;
            match self.look(job_id).await {
                Ok(seen) => {
                    last_seen = Instant::now();
                    log.stage(&format!("is {} on the cluster", seen.status.to_lowercase()));
                    self.logs(job_id, log).await;
                    if is_over(&seen.status) {
                        return Ok(seen);
                    }
                }
                Err(why) if last_seen.elapsed() > AWAY_MAX => return Err(why),
                Err(_) => {}
            }
        }
    }
}

/// The job's name on the cluster.
fn submission(job_id: &str) -> String {
    format!("strongroom-{job_id}")
}

fn is_over(status: &str) -> bool {
    matches!(status, "SUCCEEDED" | "FAILED" | "STOPPED")
}

fn good(answer: &RemoteAnswer) -> Result<(), String> {
    if answer.status.is_success() {
        return Ok(());
    }
    let why = match answer.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "it wants a token: see `retrain.ray.token_file`".to_owned(),
        _ => String::from_utf8_lossy(&answer.body).chars().filter(|letter| !letter.is_control()).take(300).collect(),
    };
    Err(format!("the Ray cluster answered {}: {why}", answer.status))
}

/// A word that a shell takes as it is: Ray hands the command to one.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

impl Execute for Ray {
    fn execute<'a>(
        &'a self,
        errand: &'a Errand,
        log: &'a JobLog,
        cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<Finished, ExecuteError>> {
        Box::pin(async move {
            let about = self.json(Method::GET, "/api/version", None).await.map_err(ExecuteError::Refused)?;
            let version = about.get("ray_version").and_then(Value::as_str).unwrap_or("unknown").to_owned();
            let package = self.upload(errand).await.map_err(ExecuteError::Refused)?;
            self.submit(errand, &package).await.map_err(ExecuteError::Refused)?;
            let ended = tokio::select! {
                seen = self.follow(&errand.job_id, log) => Ok(seen),
                () = cancelled => Err(ExecuteError::Cancelled),
                () = tokio::time::sleep(Duration::from_secs(errand.seconds_max)) => {
                    Ok(Err(format!("it ran longer than {} s (`retrain.seconds_max`)", errand.seconds_max)))
                }
            };
            let confinement =
                Some(json!({ "ray": version, "missing": ["the cluster alone decides what the job may do there"] }).to_string());
            match ended {
                Ok(Ok(seen)) => {
                    self.forget(&errand.job_id).await;
                    let fault = match seen.status.as_str() {
                        "SUCCEEDED" => None,
                        "STOPPED" => Some("it was stopped on the cluster".to_owned()),
                        _ => Some(format!("it failed on the cluster: {}", seen.message)),
                    };
                    let exit_code = if fault.is_none() { Some(0) } else { seen.exit_code };
                    Ok(Finished { exit_code, fault, confinement })
                }
                Ok(Err(fault)) => {
                    self.stop(&errand.job_id).await;
                    Ok(Finished { exit_code: None, fault: Some(fault), confinement })
                }
                Err(stopped) => {
                    self.stop(&errand.job_id).await;
                    Err(stopped)
                }
            }
        })
    }

    fn abandon<'a>(&'a self, job_id: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(self.stop(job_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_words_as_they_are() {
        for (word, expected) in [("a b", "'a b'"), ("$(id)", "'$(id)'"), ("it's", "'it'\\''s'"), ("", "''")] {
            assert_eq!(quoted(word), expected);
        }
    }
}
