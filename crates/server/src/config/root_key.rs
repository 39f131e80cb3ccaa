//! `[vault.root_key]`: who keeps the root key.

use std::path::PathBuf;

use kernel::Problem;
use serde::{Deserialize, Serialize};

/// Where Debian keeps the authorities that everybody trusts.
pub const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";
const WAIT_SECONDS: u64 = 10;
const WAIT_SECONDS_MAX: u64 = 120;
/// A name in a token, an engine or an environment.
const NAME_BYTES_MAX: usize = 2_048;

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
    /// A hardware module.
    Pkcs11(Pkcs11Config),
    /// The transit engine of HashiCorp Vault or `OpenBao`.
    Transit(TransitConfig),
    /// AWS KMS.
    Kms(KmsConfig),
}

/// A key in a token behind a PKCS#11 module.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11Config {
    /// The module: a shared library, which the helper `strongroom-pkcs11` loads.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The key's label.
    #[serde(default = "key_name")]
    pub key: String,
    /// The environment variable with the user's PIN.
    pub pin_variable: String,
    /// Environment variables that the module reads; it gets no others.
    #[serde(default)]
    pub variables: Vec<String>,
    /// Whether the module chooses the initialization vectors of AES-GCM by itself.
    #[serde(default)]
    pub module_iv: bool,
    /// The helper, if it is not beside the server's program.
    #[serde(default)]
    pub helper: Option<PathBuf>,
    /// How long an answer may take.
    #[serde(default = "wait_seconds")]
    pub wait_seconds_max: u64,
}

/// A key in a transit engine.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TransitConfig {
    /// Its address, such as `https://vault.example:8200`.
    pub url: String,
    /// The authority (PEM) of its certificate; the system's if there is none.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Where the engine is mounted.
    #[serde(default = "transit_mount")]
    pub mount: String,
    /// The key's name.
    #[serde(default = "key_name")]
    pub key: String,
    /// The environment variable with the token.
    pub token_variable: String,
    /// The namespace.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Whether the address may be plain HTTP: then anybody on the way reads token and keys.
    #[serde(default)]
    pub allow_insecure_http: bool,
    /// How long an answer may take.
    #[serde(default = "wait_seconds")]
    pub wait_seconds_max: u64,
}

/// A key in AWS KMS. Credentials come from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if it is set, `AWS_SESSION_TOKEN`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KmsConfig {
    /// The region.
    pub region: String,
    /// The key's ARN or id.
    pub key: String,
    /// The address of a service that is not AWS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The authority (PEM) of its certificate; the system's if there is none.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Whether the address may be plain HTTP: then anybody on the way reads keys.
    #[serde(default)]
    pub allow_insecure_http: bool,
    /// How long an answer may take.
    #[serde(default = "wait_seconds")]
    pub wait_seconds_max: u64,
}

fn key_name() -> String {
    "strongroom-root".to_owned()
}

fn transit_mount() -> String {
    "transit".to_owned()
}

const fn wait_seconds() -> u64 {
    WAIT_SECONDS
}

impl RootKeyConfig {
    /// Refuses what cannot be asked for: names become parts of paths, headers and arguments.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self) -> Result<(), Problem> {
        let (names, wait): (Vec<(&str, &str)>, u64) = match self {
            Self::File | Self::FileAt { .. } | Self::Passphrase { .. } => return Ok(()),
            Self::Pkcs11(config) => {
                let names = vec![("token", &config.token), ("key", &config.key), ("pin_variable", &config.pin_variable)];
                let more = config.variables.iter().map(|name| ("variables", name.as_str()));
                (names.into_iter().map(|(at, name)| (at, name.as_str())).chain(more).collect(), config.wait_seconds_max)
            }
            Self::Transit(config) => {
                let names =
                    vec![("mount", config.mount.as_str()), ("key", &config.key), ("token_variable", &config.token_variable)];
                let more = config.namespace.iter().map(|name| ("namespace", name.as_str()));
                (names.into_iter().chain(more).collect(), config.wait_seconds_max)
            }
            Self::Kms(config) => (vec![("region", &config.region), ("key", &config.key)], config.wait_seconds_max),
        };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/ ".contains(&byte);
        for (at, name) in names {
            let plain = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(fits) && !name.contains("..");
            if !plain || name.starts_with(['-', '/', ' ']) {
                let message = format!("`vault.root_key.{at}` is `{name}`; it has letters, digits and any of `-_.:/`");
                return Err(Problem::invalid(message));
            }
        }
        // A space is for a token's label only.
        let spaced = match self {
            Self::Transit(config) => config.mount.contains(' ') || config.key.contains(' '),
            Self::Kms(config) => config.region.contains([' ', '/']) || config.key.contains(' '),
            _ => false,
        };
        if spaced {
            return Err(Problem::invalid("a name in `vault.root_key` has a space or slash where none can be"));
        }
        if !(1..=WAIT_SECONDS_MAX).contains(&wait) {
            let message = format!("`vault.root_key.wait_seconds_max` is {wait}; it must be from 1 to {WAIT_SECONDS_MAX}");
            return Err(Problem::invalid(message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    fn check(text: &str) -> Result<(), String> {
        let config = parse(&format!("[vault.root_key]\n{text}"))?;
        config.check().map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_service_is_named_whole_and_with_names_that_cannot_mean_more() {
        let pkcs11 = "kind = \"pkcs11\"\nmodule = \"/m.so\"\ntoken = \"my token\"\npin_variable = \"PIN\"\n";
        let transit = "kind = \"transit\"\nurl = \"https://v.example\"\ntoken_variable = \"VAULT_TOKEN\"\n";
        let kms = "kind = \"kms\"\nregion = \"eu-west-1\"\nkey = \"arn:aws:kms:eu-west-1:1:key/2-3\"\n";
        for whole in [pkcs11, transit, kms, "kind = \"file\""] {
            check(whole).unwrap();
        }
        for (text, more, says) in [
            (pkcs11, "variables = [\"A\", \"-x\"]", "variables"),
            (pkcs11, "key = \"a\\nb\"", "key"),
            (transit, "mount = \"../sys\"", "mount"),
            (transit, "key = \"a?b\"", "key"),
            (transit, "namespace = \"a\\r\\nx: y\"", "namespace"),
            (kms, "wait_seconds_max = 0", "wait_seconds_max"),
            (kms, "secret = \"x\"", "secret"),
        ] {
            let fault = check(&format!("{text}{more}\n")).unwrap_err();
            assert!(fault.contains(says), "{fault}");
        }
    }
}
