//! The section `[retrain]` of the configuration.

use std::path::PathBuf;

use kernel::Problem;
use serde::{Deserialize, Serialize};

use crate::limits::JOB_SECONDS_MAX;

/// `[retrain]`: without `python` nothing is run on this machine, without `[retrain.ray]` nothing on a cluster.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetrainConfig {
    /// The Python that runs jobs here, such as `/opt/training/bin/python`. Its packages are the jobs' packages.
    pub python: Option<PathBuf>,
    /// Files and folders that jobs here may read besides the system's libraries and that Python's.
    pub readable: Vec<PathBuf>,
    /// How long a job may run.
    pub seconds_max: u64,
    /// Processor time of each of its processes.
    pub cpu_seconds_max: u64,
    /// Private memory of each of its processes.
    pub memory_bytes_max: u64,
    /// Its processes and threads.
    pub process_count_max: u64,
    /// The longest file that it writes.
    pub file_bytes_max: u64,
    /// All that it may have written at a time.
    pub folder_bytes_max: u64,
    /// Runs jobs here although the kernel cannot lock them in: they may then read and reach what the server may.
    pub allow_insecure_unsandboxed: bool,
    /// The cluster.
    pub ray: Option<RayConfig>,
}

/// `[retrain.ray]`: a Ray cluster, by its Jobs API.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RayConfig {
    /// The dashboard's address, such as `https://ray.example:8265`.
    pub address: String,
    /// The authority (PEM) that signed its certificate.
    pub ca: Option<PathBuf>,
    /// A file with the cluster's token (`RAY_AUTH_TOKEN`).
    pub token_file: Option<PathBuf>,
    /// Where the cluster's machines find this server, such as `https://strongroom.example:8443`; the address that it listens on
    /// if there is none.
    pub server_url: Option<String>,
    /// The program that runs the jobs there.
    #[serde(default = "python")]
    pub python: String,
    /// Whether to send code and tokens to a cluster without TLS or without a token, where anybody may read them and run code.
    #[serde(default)]
    pub allow_insecure: bool,
}

fn python() -> String {
    "python".to_owned()
}

impl Default for RetrainConfig {
    fn default() -> Self {
        Self {
            python: None,
            readable: Vec::new(),
            seconds_max: 3_000,
            cpu_seconds_max: 7_200,
            memory_bytes_max: 4 << 30,
            process_count_max: 256,
            file_bytes_max: 2 << 30,
            folder_bytes_max: 8 << 30,
            allow_insecure_unsandboxed: false,
            ray: None,
        }
    }
}

impl RetrainConfig {
    /// Refuses values under which no job could run, or one could outlive its token.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self) -> Result<(), Problem> {
        let numbers = [
            ("seconds_max", self.seconds_max),
            ("cpu_seconds_max", self.cpu_seconds_max),
            ("memory_bytes_max", self.memory_bytes_max),
            ("process_count_max", self.process_count_max),
            ("file_bytes_max", self.file_bytes_max),
            ("folder_bytes_max", self.folder_bytes_max),
        ];
        if let Some((key, _)) = numbers.iter().find(|(_, value)| *value == 0) {
            return Err(Problem::invalid(format!("`retrain.{key}` is 0; it must be more")));
        }
        if self.seconds_max > JOB_SECONDS_MAX {
            return Err(Problem::invalid(format!(
                "`retrain.seconds_max` is at most {JOB_SECONDS_MAX}: a job's token lives for an hour"
            )));
        }
        let paths = self.python.iter().chain(&self.readable).chain(self.ray.iter().flat_map(|ray| &ray.token_file));
        if let Some(path) = paths.into_iter().find(|path| !path.is_absolute()) {
            return Err(Problem::invalid(format!(
                "`{}` in `[retrain]` must be a whole path, beginning with `/`",
                path.display()
            )));
        }
        if self.readable.iter().any(|path| path.parent().is_none()) {
            return Err(Problem::invalid("`retrain.readable` must not name `/`: then jobs could read the server's keys"));
        }
        self.ray.as_ref().map_or(Ok(()), RayConfig::check)
    }
}

impl RayConfig {
    fn check(&self) -> Result<(), Problem> {
        let secure = self.address.starts_with("https://");
        if !secure && !self.address.starts_with("http://") {
            return Err(Problem::invalid("`retrain.ray.address` is an address such as `https://ray.example:8265`"));
        }
        if secure && self.ca.is_none() {
            return Err(Problem::invalid("`retrain.ray.ca` names the authority (PEM) that signed the cluster's certificate"));
        }
        if (!secure || self.token_file.is_none()) && !self.allow_insecure {
            return Err(Problem::invalid(
                "a Ray cluster without TLS or without a token runs anybody's code and shows anybody the jobs' tokens; give \
                 `retrain.ray.address` as https with `token_file`, or set `retrain.ray.allow_insecure = true`",
            ));
        }
        let own = self.server_url.as_deref().unwrap_or("https://");
        if !own.starts_with("https://") {
            return Err(Problem::invalid("`retrain.ray.server_url` is an address such as `https://strongroom.example:8443`"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_without_protection_must_be_wanted() {
        let ray = |address: &str, token: bool, allow_insecure| RetrainConfig {
            ray: Some(RayConfig {
                address: address.to_owned(),
                ca: Some("/ca.pem".into()),
                token_file: token.then(|| "/token".into()),
                server_url: None,
                python: python(),
                allow_insecure,
            }),
            ..RetrainConfig::default()
        };
        for (address, token, allow, good) in [
            ("https://r:8265", true, false, true),
            ("https://r:8265", false, false, false),
            ("http://127.0.0.1:8265", true, false, false),
            ("http://127.0.0.1:8265", false, true, true),
            ("ray://r:8265", true, true, false),
        ] {
            assert_eq!(ray(address, token, allow).check().is_ok(), good, "{address} {token} {allow}");
        }
    }

    #[test]
    fn what_would_open_everything_is_refused() {
        let with = |change: fn(&mut RetrainConfig)| {
            let mut config = RetrainConfig::default();
            change(&mut config);
            config.check()
        };
        assert!(with(|_| ()).is_ok());
        assert!(with(|config| config.readable = vec!["/".into()]).is_err());
        assert!(with(|config| config.python = Some("python".into())).is_err());
        assert!(with(|config| config.seconds_max = 3_600).is_err());
        assert!(with(|config| config.process_count_max = 0).is_err());
    }
}
