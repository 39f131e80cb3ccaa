//! The configuration: one TOML file, a section for each room, unknown keys refused. Every key has a default, so that an
//! empty file is a configuration.

use std::path::{Path, PathBuf};

use kernel::{Problem, Secret};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of the file in the data folder.
pub const FILE_NAME: &str = "strongroom.toml";

/// Everything that can be configured.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The listener.
    pub server: ServerConfig,
    /// Certificates.
    pub tls: TlsConfig,
    /// Database, objects and keys.
    pub vault: VaultConfig,
    /// The log.
    pub audit: AuditConfig,
    /// Accounts and tokens.
    pub identity: identity::IdentityConfig,
    /// Files of runs and models.
    pub artifacts: artifacts::ArtifactsConfig,
    /// Limits on failed and anonymous attempts.
    pub risk: risk::RiskConfig,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: String,
    /// Host names that clients use, besides the names of the loopback and the listening address.
    pub allowed_hosts: Vec<String>,
    /// The folder of MLflow's built web page (`mlflow/server/js/build` of its wheel), served behind the log-in.
    pub mlflow_ui_dir: Option<PathBuf>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8443".to_owned(), allowed_hosts: Vec::new(), mlflow_ui_dir: None }
    }
}

/// `[tls]`: without a certificate the server makes its own, signed by `DIR/tls/ca.pem`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// PEM chain, leaf first.
    pub certificate: Option<PathBuf>,
    /// PEM private key.
    pub key: Option<PathBuf>,
}

/// `[vault]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaultConfig {
    /// `sqlite` (a file in the data folder) or a `postgres://` address.
    pub database: Hidden,
    /// The authority (PEM) that signed PostgreSQL's certificate. Without it only a database on this machine is spoken to.
    pub database_ca: Option<PathBuf>,
    /// Where objects are kept: `local` (in the data folder) or `s3`.
    pub objects: ObjectsConfig,
    /// What holds the root key.
    pub root_key: RootKeyConfig,
}

impl Default for VaultConfig {
    fn default() -> Self {
        Self { database: Hidden::from("sqlite"), database_ca: None, objects: ObjectsConfig::default(), root_key: RootKeyConfig::default() }
    }
}

/// `[vault.objects]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum ObjectsConfig {
    /// Files in the data folder.
    #[default]
    Local,
    /// An S3-compatible store. Credentials come from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    S3 {
        /// The bucket.
        bucket: String,
        /// Its region.
        region: String,
        /// The address of a store that is not AWS.
        endpoint: Option<String>,
        /// Names in the bucket begin with this.
        #[serde(default)]
        prefix: String,
        /// Whether the address may be plain HTTP. Objects are encrypted; who reads and writes them then is not hidden.
        #[serde(default)]
        allow_insecure_http: bool,
    },
}

/// `[vault.root_key]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum RootKeyConfig {
    /// `DIR/keys/root.key`, mode 0600.
    #[default]
    File,
    /// A file at another place, such as a mounted secret.
    FileAt {
        /// Where.
        path: PathBuf,
    },
    /// A passphrase in this environment variable.
    Passphrase {
        /// The variable's name.
        variable: String,
    },
}

/// `[audit]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// How long a request waits for its record before it is refused.
    pub wait_ms: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { wait_ms: 2_000 }
    }
}

/// A text that may hold a password: it is not printed, by nobody.
#[derive(Clone, Debug)]
pub struct Hidden(Secret);

impl Hidden {
    /// The text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_text().unwrap_or_default()
    }
}

impl From<&str> for Hidden {
    fn from(text: &str) -> Self {
        Self(Secret::from(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::from(text)))
    }
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // An address without a password may be shown; one that may have one is cut before it.
        let text = self.expose();
        match text.split_once("://") {
            Some((scheme, _)) => serializer.serialize_str(&format!("{scheme}://…")),
            None => serializer.serialize_str(text),
        }
    }
}

/// Reads the configuration: `file` if given, else `DIR/strongroom.toml`, else the defaults.
///
/// # Errors
/// `Invalid` with the place of the fault: an unknown key, a wrong type, or a file that is named but missing.
pub fn load(data: &Path, file: Option<&Path>) -> Result<Config, Problem> {
    let path = file.map_or_else(|| data.join(FILE_NAME), Path::to_path_buf);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => String::new(),
        Err(error) => return Err(Problem::invalid(format!("cannot read `{}`: {error}", path.display()))),
    };
    parse(&text).map_err(|fault| Problem::invalid(format!("`{}`: {fault}", path.display())))
}

/// Reads a configuration's text.
///
/// # Errors
/// The place of the fault, in words.
pub fn parse(text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_empty_file_is_a_configuration_and_an_unknown_key_is_none() {
        assert_eq!(parse("").unwrap().server.listen, "127.0.0.1:8443");
        let fault = parse("[server]\nlisten_on = \"x\"").unwrap_err();
        assert!(fault.contains("listen_on"), "{fault}");
    }

    #[test]
    fn a_password_is_not_printed() {
        let config = parse("[vault]\ndatabase = \"postgres://u:hunter2@db/x\"").unwrap();
        assert!(!toml::to_string(&config).unwrap().contains("hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
