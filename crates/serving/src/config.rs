//! The section `[serving]` of the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kernel::Problem;
use serde::{Deserialize, Serialize};

use crate::engine::Runtime;

/// `[serving]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServingConfig {
    /// Requests a second that one caller may send to one endpoint, on average.
    pub requests_per_second: u32,
    /// Requests that one caller may send to one endpoint at once, before the average counts.
    pub requests_at_once: u32,
    /// Rows of one request.
    pub rows_max: usize,
    /// Bytes of one model in memory.
    pub model_bytes_max: u64,
    /// Bytes of all models in memory.
    pub models_bytes_max: u64,
    /// Requests of one endpoint that are open at the same time.
    pub endpoint_requests_max: usize,
    /// Large batches that compute at the same time.
    pub large_batches_max: usize,
    /// Rows that one caller may ask of one endpoint in a day, unless the endpoint says otherwise.
    pub guard_rows_per_day: u64,
    /// Bytes that the guard keeps of callers, over all endpoints.
    pub guard_bytes_max: usize,
    /// Where Python models are computed; without it none is.
    pub python: Option<PythonConfig>,
    /// Other servers that compute, by name.
    pub upstreams: BTreeMap<String, UpstreamConfig>,
}

/// `[serving.python]`: models that only Python can compute, each in a process that is locked in.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PythonConfig {
    /// The Python, such as `/opt/models/bin/python`, with the packages that the models need.
    pub python: PathBuf,
    /// Workspaces whose endpoints may use it, by name; `*` for all.
    pub workspaces: Vec<String>,
    /// Files and folders that it may read besides the system's libraries and its own.
    #[serde(default)]
    pub readable: Vec<PathBuf>,
    /// How long a model may take to load.
    #[serde(default = "load_seconds_max")]
    pub load_seconds_max: u64,
    /// How long it may take to answer.
    #[serde(default = "answer_ms_max")]
    pub answer_ms_max: u64,
    /// Processor time of one process, after which it is replaced.
    #[serde(default = "cpu_seconds_max")]
    pub cpu_seconds_max: u64,
    /// Private memory of each process.
    #[serde(default = "memory_bytes_max")]
    pub memory_bytes_max: u64,
    /// What one model may write in all; what it loads lies in memory.
    #[serde(default = "folder_bytes_max")]
    pub folder_bytes_max: u64,
    /// Processes and threads of one model.
    #[serde(default = "process_count_max")]
    pub process_count_max: u64,
    /// Whether models are converted to ONNX and computed by the native runtime, where both say the same.
    #[serde(default = "convert")]
    pub convert: bool,
    /// Models that run at the same time.
    #[serde(default = "workers_max")]
    pub workers_max: usize,
    /// Rows that are asked together.
    #[serde(default = "batch_rows_max")]
    pub batch_rows_max: usize,
    /// How long a request waits for others to be asked with; what waits anyway is asked together in any case.
    #[serde(default)]
    pub batch_delay_us_max: u64,
}

/// `[serving.upstreams.NAME]`: a server that speaks the Open Inference Protocol v2 over REST.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Its address, such as `https://triton.example:8000`.
    pub url: String,
    /// The authority (PEM) that signed its certificate.
    pub ca: Option<PathBuf>,
    /// A file with the token that it asks for.
    pub token_file: Option<PathBuf>,
    /// How long it may take to answer.
    #[serde(default = "answer_ms_max")]
    pub answer_ms_max: u64,
    /// Whether to speak plain HTTP to it: anybody on the way reads and changes what is said.
    #[serde(default)]
    pub allow_insecure: bool,
}

const fn load_seconds_max() -> u64 {
    120
}

const fn answer_ms_max() -> u64 {
    10_000
}

const fn cpu_seconds_max() -> u64 {
    86_400
}

const fn memory_bytes_max() -> u64 {
    2 << 30
}

const fn folder_bytes_max() -> u64 {
    8 << 30
}

const fn process_count_max() -> u64 {
    64
}

const fn convert() -> bool {
    true
}

const fn workers_max() -> usize {
    8
}

const fn batch_rows_max() -> usize {
    1_024
}

impl Default for ServingConfig {
    fn default() -> Self {
        Self {
            requests_per_second: 2_000,
            requests_at_once: 4_000,
            rows_max: 10_000,
            model_bytes_max: 1 << 30,
            models_bytes_max: 4 << 30,
            endpoint_requests_max: 256,
            large_batches_max: 2,
            guard_rows_per_day: 10_000_000,
            guard_bytes_max: 256 << 20,
            python: None,
            upstreams: BTreeMap::new(),
        }
    }
}

impl ServingConfig {
    /// Refuses values under which nothing could be answered.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self) -> Result<(), Problem> {
        let zero = [
            ("requests_per_second", u64::from(self.requests_per_second)),
            ("requests_at_once", u64::from(self.requests_at_once)),
            ("rows_max", self.rows_max as u64),
            ("model_bytes_max", self.model_bytes_max),
            ("models_bytes_max", self.models_bytes_max),
            ("endpoint_requests_max", self.endpoint_requests_max as u64),
            ("large_batches_max", self.large_batches_max as u64),
            ("guard_rows_per_day", self.guard_rows_per_day),
            ("guard_bytes_max", self.guard_bytes_max as u64),
        ];
        if let Some((key, _)) = zero.iter().find(|(_, value)| *value == 0) {
            return Err(Problem::invalid(format!("`serving.{key}` is 0; it must be more")));
        }
        if let Some(python) = &self.python {
            python.check()?;
        }
        self.upstreams.iter().try_for_each(|(name, upstream)| upstream.check(name))
    }
}

impl PythonConfig {
    fn check(&self) -> Result<(), Problem> {
        let numbers = [
            ("load_seconds_max", self.load_seconds_max),
            ("answer_ms_max", self.answer_ms_max),
            ("cpu_seconds_max", self.cpu_seconds_max),
            ("memory_bytes_max", self.memory_bytes_max),
            ("folder_bytes_max", self.folder_bytes_max),
            ("process_count_max", self.process_count_max),
            ("workers_max", self.workers_max as u64),
            ("batch_rows_max", self.batch_rows_max as u64),
        ];
        if let Some((key, _)) = numbers.iter().find(|(_, value)| *value == 0) {
            return Err(Problem::invalid(format!("`serving.python.{key}` is 0; it must be more")));
        }
        if let Some(path) = std::iter::once(&self.python).chain(&self.readable).find(|path| !path.is_absolute()) {
            let path = path.display();
            return Err(Problem::invalid(format!("`{path}` in `[serving.python]` must be a whole path, beginning with `/`")));
        }
        if self.readable.iter().any(|path| path.parent().is_none()) {
            return Err(Problem::invalid(
                "`serving.python.readable` must not name `/`: then models could read the server's keys",
            ));
        }
        Ok(())
    }
}

impl UpstreamConfig {
    fn check(&self, name: &str) -> Result<(), Problem> {
        Runtime::parse(&format!("upstream:{name}/model")).map_err(|_| {
            Problem::invalid(format!("`{name}` in `[serving.upstreams]` is no name: letters, digits, `.`, `_`, `-`"))
        })?;
        let key = format!("serving.upstreams.{name}");
        if self.answer_ms_max == 0 {
            return Err(Problem::invalid(format!("`{key}.answer_ms_max` is 0; it must be more")));
        }
        match (self.url.split_once("://").map(|(scheme, _)| scheme), &self.ca) {
            (Some("https"), Some(_)) => Ok(()),
            (Some("https"), None) => {
                Err(Problem::invalid(format!("`{key}.ca` names the authority (PEM) that signed its certificate")))
            }
            (Some("http"), _) if self.allow_insecure => Ok(()),
            (Some("http"), _) => Err(Problem::invalid(format!(
                "anybody on the way to `{key}` would read and change predictions; give its `url` as https with a `ca`, or set \
                 `{key}.allow_insecure = true`"
            ))),
            _ => Err(Problem::invalid(format!("`{key}.url` is an address such as `https://triton.example:8000`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_open_too_much_is_refused() {
        let python = |change: fn(&mut PythonConfig)| {
            let text = r#"{"python": "/opt/python/bin/python", "workspaces": ["default"]}"#;
            let mut python: PythonConfig = serde_json::from_str(text).unwrap();
            change(&mut python);
            ServingConfig { python: Some(python), ..ServingConfig::default() }.check()
        };
        assert!(python(|_| ()).is_ok());
        assert!(python(|python| python.python = "python".into()).is_err());
        assert!(python(|python| python.readable = vec!["/".into()]).is_err());
        assert!(python(|python| python.workers_max = 0).is_err());
    }

    #[test]
    fn another_server_is_spoken_to_in_secret_unless_told_otherwise() {
        for (name, url, ca, allow_insecure, good) in [
            ("triton", "https://t:8000", true, false, true),
            ("triton", "https://t:8000", false, false, false),
            ("triton", "http://t:8000", false, false, false),
            ("triton", "http://t:8000", false, true, true),
            ("a/b", "https://t:8000", true, false, false),
            ("triton", "t:8000", true, true, false),
        ] {
            let ca = ca.then(|| PathBuf::from("/ca.pem"));
            let upstream = UpstreamConfig { url: url.to_owned(), ca, token_file: None, answer_ms_max: 1, allow_insecure };
            let upstreams = BTreeMap::from([(name.to_owned(), upstream)]);
            let config = ServingConfig { upstreams, ..ServingConfig::default() };
            assert_eq!(config.check().is_ok(), good, "{name} {url}");
        }
    }
}
