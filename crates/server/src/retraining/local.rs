//! Runs jobs on this machine, each in a jail of its own: a folder, a relay to this server, and nothing else.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use gate::BoxFuture;
use jail::{JailLimits, JailSpec, Status};
use kernel::Problem;
use retrain::{Errand, Execute, ExecuteError, Finished, JobLog, RetrainConfig};

use crate::config::Config;
use crate::jailed::folder::JobFolder;
use crate::jailed::{Jailed, Jailer, Settings};

/// The folder of jobs in the data folder.
const JOBS_FOLDER: &str = "retrain";
/// How often it is looked at how much a job has written.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Descriptors of each process.
const DESCRIPTOR_COUNT_MAX: u64 = 1_024;

/// Jobs on this machine.
pub struct Local {
    jailer: Jailer,
    server: SocketAddr,
    config: RetrainConfig,
}

/// How a program in a jail ended.
enum Over {
    Exited(i64),
    Stopped(ExecuteError),
    Failed(String),
}

impl Local {
    /// Jobs on this machine; none where no Python is named.
    ///
    /// # Errors
    /// `Invalid` where jobs could read the server's keys.
    pub fn open(data: &Path, config: &Config, server: SocketAddr) -> Result<Option<Self>, Problem> {
        let Some(python) = &config.retrain.python else { return Ok(None) };
        if config.tls.certificate.is_some() {
            return Err(Problem::invalid(
                "`retrain.python` cannot be used with `tls.certificate` yet: jobs find this server as 127.0.0.1, for which it must show \
                 a certificate of its own authority",
            ));
        }
        let config = &config.retrain;
        let settings = Settings {
            section: "retrain",
            python,
            readable: &config.readable,
            limits: JailLimits {
                cpu_seconds_max: config.cpu_seconds_max,
                memory_bytes_max: config.memory_bytes_max,
                file_bytes_max: config.file_bytes_max,
                descriptor_count_max: DESCRIPTOR_COUNT_MAX,
                process_count_max: config.process_count_max,
            },
            allow_insecure: config.allow_insecure_unsandboxed,
        };
        let jailer = Jailer::open(data, JOBS_FOLDER, &settings, server)?;
        Ok(Some(Self { jailer, server, config: config.clone() }))
    }

    async fn run(
        &self,
        folder: &JobFolder,
        spec: &JailSpec,
        seconds_max: u64,
        log: &JobLog,
        cancelled: BoxFuture<'_, ()>,
    ) -> Over {
        let _relay = match folder.relay(self.server) {
            Ok(relay) => relay,
            Err(error) => return Over::Failed(format!("the relay cannot listen: {error}")),
        };
        let mut jailed = match Jailed::start(spec, log).await {
            Ok(jailed) => jailed,
            Err(why) => return Over::Failed(why),
        };
        let outer = jailed.process();
        let over = tokio::select! {
            ended = jailed.ended() => ended.map_or_else(Over::Failed, Over::Exited),
            () = cancelled => Over::Stopped(ExecuteError::Cancelled),
            () = tokio::time::sleep(Duration::from_secs(seconds_max)) => {
                Over::Failed(format!("it ran longer than {seconds_max} s (`retrain.seconds_max`)"))
            }
            most = too_much(folder, outer, self.config.folder_bytes_max) => {
                Over::Failed(format!("it wrote more than {most} bytes (`retrain.folder_bytes_max`)"))
            }
        };
        jailed.end().await;
        over
    }
}

/// Ends when a job has written too much.
async fn too_much(folder: &JobFolder, outer: Option<u32>, most: u64) -> u64 {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if folder.written_bytes(outer) > most {
            return most;
        }
    }
}

impl Execute for Local {
    fn execute<'a>(
        &'a self,
        errand: &'a Errand,
        log: &'a JobLog,
        cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<Finished, ExecuteError>> {
        Box::pin(async move {
            self.jailer.probe().await.map_err(ExecuteError::Refused)?;
            let failed = |error: std::io::Error| ExecuteError::Refused(format!("its folder cannot be made: {error}"));
            let folder = self.jailer.folder(&errand.job_id, errand.code.clone()).await.map_err(failed)?;
            let url = format!("https://127.0.0.1:{}", self.server.port());
            let environment = retrain::environment(errand, &url, &folder.ca().display().to_string());
            let mut arguments = errand.words.clone();
            if let Some(script) = arguments.first_mut() {
                *script = folder.code().join(&*script).display().to_string();
            }
            let spec = self.jailer.spec(&folder, arguments, environment);
            let over = self.run(&folder, &spec, errand.seconds_max, log, cancelled).await;
            let confinement = match jail::read_status(&folder.status()) {
                Status::Refused(why) => return Err(ExecuteError::Refused(format!("the sandbox cannot be built: {why}"))),
                Status::Started(confinement) => serde_json::to_string(&confinement).ok(),
            };
            match over {
                Over::Exited(0) => Ok(Finished { exit_code: Some(0), fault: None, confinement }),
                Over::Exited(code) => {
                    let fault = format!("its program ended with {code}; `strongroom retrain logs` shows what it wrote");
                    Ok(Finished { exit_code: Some(code), fault: Some(fault), confinement })
                }
                Over::Failed(why) => Ok(Finished { exit_code: None, fault: Some(why), confinement }),
                Over::Stopped(error) => Err(error),
            }
        })
    }

    /// Nothing is left of a job here: its jail ended with the process that had begun it.
    fn abandon<'a>(&'a self, _job_id: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}
