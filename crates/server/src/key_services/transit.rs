//! The transit engine of HashiCorp Vault and `OpenBao`, by its HTTP interface: the root key never leaves it.
//!
//! What it wraps is its own text, `vault:vVERSION:BASE64`, with the place as `associated_data`. Its verb `rewrap` takes no associated
//! data, so a key is wrapped anew by unwrapping and wrapping it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gate::BoxFuture;
use http::{Method, Request, StatusCode};
use kernel::{Problem, Secret};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use vault::keys::KeyService;
use zeroize::Zeroizing;

use super::{First, does_not_open, variable, within};
use crate::config::{Hidden, TransitConfig};
use crate::https::Remote;

const NAME: &str = "transit";
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// The kinds of keys that take associated data.
const TYPES: [&str; 2] = ["aes256-gcm96", "chacha20-poly1305"];
/// How much of what it says is repeated.
const SAID_CHARS_MAX: usize = 200;

/// A root key in a transit engine.
pub(super) struct TransitKey {
    engine: Arc<Transit>,
    version: i64,
}

/// The engine, and who asks it.
struct Transit {
    remote: Remote,
    mount: String,
    key: String,
    namespace: Option<String>,
    token: Secret,
    wait_max: Duration,
}

#[derive(Deserialize)]
struct Of<T> {
    data: T,
}

#[derive(Deserialize)]
struct Facts {
    r#type: String,
    latest_version: i64,
    min_decryption_version: i64,
    exportable: bool,
    derived: bool,
    keys: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: Hidden,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Errors {
    errors: Vec<String>,
}

impl TransitKey {
    pub(super) async fn open(config: &TransitConfig, first: First) -> Result<Self, Problem> {
        let remote = match (&config.ca, config.allow_insecure_http) {
            (Some(ca), _) => Remote::new(&config.url, ca)?,
            (None, true) => Remote::new_insecure_http(&config.url)?,
            (None, false) => Remote::new(&config.url, &PathBuf::from(crate::config::SYSTEM_CA))?,
        };
        let engine = Arc::new(Transit {
            remote,
            mount: config.mount.clone(),
            key: config.key.clone(),
            namespace: config.namespace.clone(),
            token: variable(&config.token_variable, "the token of the transit engine")?,
            wait_max: Duration::from_secs(config.wait_seconds_max),
        });
        let facts = match engine.facts().await? {
            Some(facts) => facts,
            None if first == First::Made => engine.make().await?,
            None => {
                let message = format!("the transit engine has no key `{}`: without it nothing can be read", config.key);
                return Err(Problem::unavailable(message));
            }
        };
        Ok(Self { version: facts.latest_version, engine })
    }
}

impl Transit {
    async fn facts(&self) -> Result<Option<Facts>, Problem> {
        let (status, body) = self.send(Method::GET, "keys", "", Bytes::new()).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let facts = read::<Of<Facts>>(status, &body)?.data;
        let must = |holds: bool, what: &str| {
            let message = format!("the transit key `{}` {what}; make another", self.key);
            if holds { Ok(()) } else { Err(Problem::invalid(message)) }
        };
        must(TYPES.contains(&facts.r#type.as_str()), "is of a kind that takes no associated data")?;
        must(!facts.exportable, "can be exported")?;
        must(!facts.derived, "is derived for each context")?;
        Ok(Some(facts))
    }

    async fn make(&self) -> Result<Facts, Problem> {
        let wish = json!({"type": "aes256-gcm96", "exportable": false, "allow_plaintext_backup": false, "derived": false});
        let (status, body) = self.send(Method::POST, "keys", "", Bytes::from(wish.to_string())).await?;
        done(status, &body)?;
        self.facts().await?.ok_or_else(|| Problem::unavailable("the transit engine does not keep the key that it made"))
    }

    /// The status, and the body whatever it is. A token is in no message: only what the engine says.
    async fn send(&self, method: Method, verb: &str, after: &str, body: Bytes) -> Result<(StatusCode, Bytes), Problem> {
        let path = format!("/v1/{}/{verb}/{}{after}", self.mount, self.key);
        let mut request = Request::builder()
            .method(method)
            .header("x-vault-request", "true")
            .header("x-vault-token", self.token.expose_text().unwrap_or_default());
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if !body.is_empty() {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
        }
        let answer =
            within(self.wait_max, "the transit engine", self.remote.send(request, &path, body, ANSWER_BYTES_MAX)).await?;
        Ok((answer.status, answer.body))
    }
}

fn done(status: StatusCode, body: &[u8]) -> Result<(), Problem> {
    if status.is_success() {
        return Ok(());
    }
    let said = serde_json::from_slice::<Errors>(body).unwrap_or_default().errors;
    let said: String = said.join("; ").chars().take(SAID_CHARS_MAX).collect();
    Err(Problem::unavailable(format!("the transit engine answered {}: {said}", status.as_u16())))
}

fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, Problem> {
    done(status, body)?;
    serde_json::from_slice(body).map_err(|error| Problem::unavailable("the transit engine's answer is not one").because(error))
}

impl KeyService for TransitKey {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn wrap<'a>(&'a self, key: &'a Secret, aad: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Problem>> {
        Box::pin(async move {
            // By hand, so that the key stands in one place only, which is wiped.
            let mut body = Zeroizing::new(String::with_capacity(1_024));
            body.push_str("{\"plaintext\":\"");
            STANDARD.encode_string(key.expose(), &mut body);
            body.push_str("\",\"associated_data\":\"");
            STANDARD.encode_string(aad, &mut body);
            body.push_str(&format!("\",\"key_version\":{}}}", self.version));
            let body = Bytes::from_owner(Zeroizing::new(body.as_bytes().to_vec()));
            let (status, answer) = self.engine.send(Method::POST, "encrypt", "", body).await?;
            let text = read::<Of<Encrypted>>(status, &answer)?.data.ciphertext;
            match version_of(text.as_bytes()) {
                Some(version) if version == self.version => Ok(text.into_bytes()),
                _ => Err(Problem::unavailable("the transit engine wrapped by another version than it was asked to")),
            }
        })
    }

    fn unwrap<'a>(&'a self, version: i64, wrapped: &'a [u8], aad: &'a [u8]) -> BoxFuture<'a, Result<Secret, Problem>> {
        Box::pin(async move {
            if version_of(wrapped) != Some(version) {
                return Err(does_not_open(NAME));
            }
            let text = std::str::from_utf8(wrapped).map_err(|_| does_not_open(NAME))?;
            let body = json!({"ciphertext": text, "associated_data": STANDARD.encode(aad)});
            let (status, answer) = self.engine.send(Method::POST, "decrypt", "", Bytes::from(body.to_string())).await?;
            if status == StatusCode::BAD_REQUEST {
                let problem = done(status, &answer).err().map(|problem| problem.to_string());
                return Err(does_not_open(NAME).because(problem.unwrap_or_default()));
            }
            let plain = read::<Of<Decrypted>>(status, &answer)?.data.plaintext;
            let key = STANDARD.decode(plain.expose()).map_err(|_| does_not_open(NAME))?;
            Ok(Secret::new(key))
        })
    }

    fn versions(&self) -> BoxFuture<'_, Result<Vec<i64>, Problem>> {
        Box::pin(async move {
            let gone = || Problem::unavailable(format!("the transit engine has no key `{}` any more", self.engine.key));
            let facts = self.engine.facts().await?.ok_or_else(gone)?;
            let mut versions: Vec<i64> = facts.keys.keys().filter_map(|version| version.parse().ok()).collect();
            versions.retain(|version| *version >= facts.min_decryption_version);
            versions.sort_unstable();
            Ok(versions)
        })
    }

    fn renews(&self) -> bool {
        true
    }

    fn renewed(&self) -> BoxFuture<'_, Result<Option<Arc<dyn KeyService>>, Problem>> {
        Box::pin(async move {
            let (status, body) = self.engine.send(Method::POST, "keys", "/rotate", Bytes::new()).await?;
            done(status, &body)?;
            let gone = || Problem::unavailable("the transit engine does not keep the key that it rotated");
            let version = self.engine.facts().await?.ok_or_else(gone)?.latest_version;
            Ok(Some(Arc::new(Self { engine: Arc::clone(&self.engine), version }) as Arc<dyn KeyService>))
        })
    }
}

/// The version that a text of the engine's names.
fn version_of(wrapped: &[u8]) -> Option<i64> {
    let rest = std::str::from_utf8(wrapped).ok()?.strip_prefix("vault:v")?;
    rest.split_once(':')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_was_wrapped() {
        assert_eq!(version_of(b"vault:v12:abc"), Some(12));
        for other in ["", "vault:v:x", "vault:v1", "bao:v1:x", "vault:vx:y"] {
            assert_eq!(version_of(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_refusal_repeats_what_the_engine_says_and_no_more() {
        let long = format!("{{\"errors\": [\"permission denied\", \"{}\"]}}", "x".repeat(1_000));
        let said = done(StatusCode::FORBIDDEN, long.as_bytes()).unwrap_err();
        assert!(said.message().contains("403: permission denied") && said.message().len() < 300, "{said}");
        assert!(done(StatusCode::BAD_GATEWAY, b"<html>").is_err());
        done(StatusCode::NO_CONTENT, b"").unwrap();
    }
}
