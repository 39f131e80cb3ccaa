//! The configuration: one TOML file, a section for each room, unknown keys refused. Every key has a default, so that an
//! empty file is a configuration.

mod root_key;

use std::path::{Path, PathBuf};

use kernel::{Problem, Secret};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of the file in the data folder.
pub const FILE_NAME: &str = "strongroom.toml";

/// How the address of a PostgreSQL begins.
pub const POSTGRES_SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// A shorter wait would refuse requests of a healthy disk.
const AUDIT_WAIT_MS_MIN: u64 = 10;
/// A longer one would outlast the clients.
const AUDIT_WAIT_MS_MAX: u64 = 60_000;

/// Everything that can be configured.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The listener.
    pub server: ServerConfig,
    /// Certificates.
    pub tls: TlsConfig,
    /// S3, on a listener of its own.
    pub s3: S3Config,
    /// Database, objects and keys.
    pub vault: VaultConfig,
    /// The log.
    pub audit: AuditConfig,
    /// Accounts and tokens.
    pub identity: identity::IdentityConfig,
    /// Files of runs and models.
    pub artifacts: artifacts::ArtifactsConfig,
    /// Models between quarantine and use.
    pub admission: admission::AdmissionConfig,
    /// Data sets and their inspection.
    pub data: data::DataConfig,
    /// Training models again.
    pub retrain: retrain::RetrainConfig,
    /// Models that answer.
    pub serving: serving::ServingConfig,
    /// What endpoints were asked and said.
    pub predictions: predictions::PredictionsConfig,
    /// How all that is watched, and whom alerts are sent to.
    pub observe: observe::ObserveConfig,
    /// What is looked for in the log, and what is done about it.
    pub detections: detect::DetectConfig,
    /// What is retained as a whole.
    pub retention: retention::RulesConfig,
    /// Where backups go, and when.
    pub backup: backup::BackupConfig,
    /// Providers and platforms that vouch for others.
    pub federation: federation::FederationConfig,
    /// How changes of grants are looked at before they are made.
    pub policy: policy::PolicyConfig,
    /// Limits on failed and anonymous attempts.
    pub risk: risk::RiskConfig,
    /// How often known callers may ask.
    pub limits: risk::LimitsConfig,
    /// From which devices people come, and what those must be like.
    pub devices: devices::DevicesConfig,
    /// Through which server notices leave by mail, and what they say.
    pub mail: mail::MailConfig,
    /// Whom OpenTelemetry tells what this server does.
    pub telemetry: crate::telemetry::TelemetryConfig,
}

impl Config {
    /// Refuses values under which a room's promises would not hold. What [`load`] gives has passed it.
    ///
    /// # Errors
    /// `Invalid`, naming the key and what it must be.
    pub fn check(&self) -> Result<(), Problem> {
        self.identity.check()?;
        self.federation.check()?;
        self.risk.check()?;
        self.limits.check()?;
        self.devices.check()?;
        self.audit.check()?;
        self.data.check()?;
        self.admission.check()?;
        self.retrain.check()?;
        self.serving.check()?;
        self.predictions.check()?;
        self.observe.check()?;
        self.detections.check()?;
        self.mail.check()?;
        if !self.observe.mails.is_empty() && self.mail.server.is_none() {
            return Err(Problem::invalid("`observe.mails` needs `mail.server`, through which they leave"));
        }
        if self.observe.mails.iter().any(|one| mail::Address::parse(&one.to).is_err()) {
            return Err(Problem::invalid("`to` in `observe.mails` is an address of mail such as on-call@example.com"));
        }
        self.telemetry.check()?;
        self.backup.check()?;
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            return Err(Problem::invalid("`tls.certificate` and `tls.key` must be given together"));
        }
        self.vault.check()?;
        let is_region = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if self.s3.region.is_empty() || self.s3.region.len() > 64 || !is_region(&self.s3.region) {
            return Err(Problem::invalid("`s3.region` has 1 to 64 lower-case letters, digits and hyphens, such as us-east-1"));
        }
        if self.artifacts.upload_bytes_max == 0 {
            return Err(Problem::invalid("`artifacts.upload_bytes_max` is 0; then no file could be uploaded"));
        }
        Ok(())
    }
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

/// `[s3]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Config {
    /// Address and port of S3's listener; none for no S3. Port 0 takes a free one.
    pub listen: Option<String>,
    /// The region that signatures must be for.
    pub region: String,
}

impl Default for S3Config {
    fn default() -> Self {
        Self { listen: None, region: s3::DEFAULT_REGION.to_owned() }
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
    /// Whether files of objects under compliance retention get the immutable flag, where the file system and rights allow. With it, such a
    /// folder is not deleted without `chattr -i`, by root neither.
    pub immutable_files: bool,
    /// What holds the root key.
    pub root_key: RootKeyConfig,
    /// After how many days a workspace's key is rotated by the server itself; 0: never.
    pub rotate_workspace_keys_days: u32,
    /// After how many days the root key is; where the server cannot do it, its status says that it is overdue. 0: never.
    pub rotate_root_key_days: u32,
    /// How many days the destruction of a key waits after it was approved.
    pub destroy_wait_days: u32,
}

/// A year.
const ROTATE_DAYS: u32 = 365;
/// Longer than anybody waits.
const DAYS_MAX: u32 = 3_650;
/// Time for somebody to notice.
const DESTROY_WAIT_DAYS: u32 = 7;

impl VaultConfig {
    fn check(&self) -> Result<(), Problem> {
        let database = self.database.expose();
        if database != "sqlite" && !POSTGRES_SCHEMES.iter().any(|scheme| database.starts_with(scheme)) {
            return Err(Problem::invalid("`vault.database` is `sqlite` or a `postgres://` address"));
        }
        let days = [
            ("rotate_workspace_keys_days", self.rotate_workspace_keys_days, 0),
            ("rotate_root_key_days", self.rotate_root_key_days, 0),
            ("destroy_wait_days", self.destroy_wait_days, 1),
        ];
        for (key, days, least) in days {
            if !(least..=DAYS_MAX).contains(&days) {
                return Err(Problem::invalid(format!("`vault.{key}` is {days}; it must be from {least} to {DAYS_MAX}")));
            }
        }
        if self.immutable_files && !matches!(self.objects, ObjectsConfig::Local) {
            return Err(Problem::invalid(
                "`vault.immutable_files` is for objects in the data folder; a bucket has `vault.objects.object_lock`",
            ));
        }
        self.root_key.check()
    }
}

impl Default for VaultConfig {
    fn default() -> Self {
        Self {
            database: Hidden::from("sqlite"),
            database_ca: None,
            objects: ObjectsConfig::default(),
            immutable_files: false,
            root_key: RootKeyConfig::default(),
            rotate_workspace_keys_days: ROTATE_DAYS,
            rotate_root_key_days: ROTATE_DAYS,
            destroy_wait_days: DESTROY_WAIT_DAYS,
        }
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
        /// The authority (PEM) that signed the store's certificate; those of the system without it.
        #[serde(default)]
        ca: Option<PathBuf>,
        /// Whether locks are passed through to the bucket's own Object Lock. It is tried at start; a bucket that does not enforce it is refused.
        #[serde(default)]
        object_lock: bool,
    },
}

pub use root_key::{KmsConfig, Pkcs11Config, RootKeyConfig, SYSTEM_CA, TransitConfig};

/// `[audit]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// How long a request waits for its record before it is refused.
    pub wait_ms: u64,
    /// The verifier keys of the witnesses whose cosignatures are kept.
    pub witness_keys: Vec<String>,
    /// Where to send checkpoints, to be cosigned.
    pub witnesses: Vec<WitnessConfig>,
}

/// `[[audit.witnesses]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Its address, such as `https://witness.example:9443`.
    pub url: String,
    /// The authority (PEM) that signed its certificate.
    pub ca: PathBuf,
}

/// Each round asks every witness.
const WITNESS_COUNT_MAX: usize = 16;

impl Default for AuditConfig {
    fn default() -> Self {
        Self { wait_ms: 2_000, witness_keys: Vec::new(), witnesses: Vec::new() }
    }
}

impl AuditConfig {
    /// Checks what cannot be seen at one key alone.
    ///
    /// # Errors
    /// `Invalid`, saying what to change.
    pub fn check(&self) -> Result<(), Problem> {
        let wait_ms = self.wait_ms;
        if !(AUDIT_WAIT_MS_MIN..=AUDIT_WAIT_MS_MAX).contains(&wait_ms) {
            let message = format!("`audit.wait_ms` is {wait_ms}; it must be from {AUDIT_WAIT_MS_MIN} to {AUDIT_WAIT_MS_MAX}");
            return Err(Problem::invalid(message));
        }
        if !self.witnesses.is_empty() && self.witness_keys.is_empty() {
            return Err(Problem::invalid(
                "`audit.witnesses` needs `audit.witness_keys`: `strongroom witness` prints its verifier key when it starts",
            ));
        }
        if self.witnesses.len() > WITNESS_COUNT_MAX {
            return Err(Problem::invalid(format!("`audit.witnesses` names at most {WITNESS_COUNT_MAX}")));
        }
        for key in &self.witness_keys {
            audit::note::VerifierKey::parse(key)?;
        }
        Ok(())
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
    let in_file = |fault: &str| Problem::invalid(format!("`{}`: {fault}", path.display()));
    let config = parse(&text).map_err(|fault| in_file(&fault))?;
    config.check().map_err(|problem| in_file(problem.message()))?;
    Ok(config)
}

/// Whether `file` is another file than the folder's own configuration.
#[must_use]
pub fn is_another(data: &Path, file: &Path) -> bool {
    match (std::fs::canonicalize(data.join(FILE_NAME)), std::fs::canonicalize(file)) {
        (Ok(own), Ok(given)) => own != given,
        _ => true,
    }
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
    use super::*;

    #[test]
    fn an_empty_file_is_a_configuration_and_an_unknown_key_is_none() {
        assert_eq!(parse("").unwrap().server.listen, "127.0.0.1:8443");
        let fault = parse("[server]\nlisten_on = \"x\"").unwrap_err();
        assert!(fault.contains("listen_on"), "{fault}");
    }

    #[test]
    fn witnesses_are_named_with_their_keys() {
        let witness = "[[audit.witnesses]]\nurl = \"https://w.example\"\nca = \"w.pem\"\n";
        assert!(parse(witness).unwrap().audit.check().is_err());
        let key = "witness.example+9f41fa43+BOHdxgCxFRbcAdIOBWhJ9Yt8mDrwL8pXgT4iTnUPk8Zn";
        assert!(parse(&format!("[audit]\nwitness_keys = [\"{key}\"]\n{witness}")).unwrap().audit.check().is_err(), "a wrong id");
        assert!(parse("[[audit.witnesses]]\nurl = \"x\"").is_err());
        parse("").unwrap().audit.check().unwrap();
    }

    #[test]
    fn each_section_is_checked_when_a_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let faulty = [
            ("[risk]\nlock_free_count = 0", "risk.lock_free_count"),
            ("[identity]\ntoken_days_max = 9000", "token_days_max"),
            ("[tls]\ncertificate = \"/a.pem\"", "tls.key"),
            ("[tls]\nkey = \"/a.pem\"", "tls.certificate"),
            ("[vault]\ndatabase = \"mysql://x\"", "vault.database"),
            ("[vault]\ndestroy_wait_days = 0", "vault.destroy_wait_days"),
            ("[vault]\nrotate_root_key_days = 9999", "vault.rotate_root_key_days"),
            ("[audit]\nwait_ms = 0", "audit.wait_ms"),
            ("[artifacts]\nupload_bytes_max = 0", "artifacts.upload_bytes_max"),
            ("[data]\nfile_bytes_max = 0", "data.file_bytes_max"),
        ];
        for (text, key) in faulty {
            std::fs::write(folder.path().join(FILE_NAME), text).unwrap();
            let fault = load(folder.path(), None).unwrap_err().to_string();
            assert!(fault.contains(key) && fault.contains(FILE_NAME), "{fault}");
        }
        std::fs::write(folder.path().join(FILE_NAME), "").unwrap();
        load(folder.path(), None).unwrap();
    }

    #[test]
    fn a_password_is_not_printed() {
        let config = parse("[vault]\ndatabase = \"postgres://u:hunter2@db/x\"").unwrap();
        assert!(!toml::to_string(&config).unwrap().contains("hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
