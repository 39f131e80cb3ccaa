//! AWS KMS, or what speaks its protocol, by its JSON interface: the root key never leaves it.
//!
//! The place that a key is wrapped for is the encryption context: KMS authenticates it, and CloudTrail shows it. A ciphertext names its
//! own version; the version here counts the rotations that KMS knows of.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gate::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use kernel::{Clock, Problem, Secret, hex, sha256};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sigv4::sign::Signer;
use vault::keys::KeyService;
use zeroize::Zeroizing;

use super::{does_not_open, variable, within};
use crate::config::{Hidden, KmsConfig, SYSTEM_CA};
use crate::https::Remote;

const NAME: &str = "kms";
const ANSWER_BYTES_MAX: usize = 256 * 1024;
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
/// The word that the place stands under in the encryption context.
const CONTEXT: &str = "strongroom-place";
/// Rotations of one key that are asked for at once; KMS itself allows 25 on demand, and one a year.
const ROTATION_COUNT_MAX: u64 = 1_000;
/// How much of what it says is repeated.
const SAID_CHARS_MAX: usize = 200;
/// What KMS calls a ciphertext that is another key's, of another context, or changed.
const DOES_NOT_OPEN: [&str; 2] = ["InvalidCiphertextException", "IncorrectKeyException"];

/// A root key in KMS.
pub(super) struct KmsKey {
    service: Arc<Kms>,
    version: i64,
}

struct Kms {
    remote: Remote,
    config: KmsConfig,
    signer: Signer,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    key_metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    key_state: String,
    key_usage: String,
    key_spec: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rotations {
    rotations: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypted {
    ciphertext_blob: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypted {
    plaintext: Hidden,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "__type")]
    kind: String,
    #[serde(alias = "Message")]
    message: String,
}

impl KmsKey {
    pub(super) async fn open(config: &KmsConfig, clock: Arc<dyn Clock>) -> Result<Self, Problem> {
        let url = config.endpoint.clone().unwrap_or_else(|| format!("https://kms.{}.amazonaws.com", config.region));
        let remote = if config.allow_insecure_http && url.starts_with("http://") {
            Remote::new_insecure_http(&url)?
        } else {
            Remote::new(&url, &config.ca.clone().unwrap_or_else(|| PathBuf::from(SYSTEM_CA)))?
        };
        let signer = Signer {
            access_key: variable("AWS_ACCESS_KEY_ID", "the access key")?.expose_text().unwrap_or_default().to_owned(),
            secret: variable("AWS_SECRET_ACCESS_KEY", "the access key's secret")?,
            session_token: std::env::var("AWS_SESSION_TOKEN").ok().filter(|text| !text.is_empty()),
            region: config.region.clone(),
            service: "kms".to_owned(),
        };
        let service = Arc::new(Kms { remote, config: config.clone(), signer, clock });
        service.check().await?;
        let version = service.version().await?;
        Ok(Self { service, version })
    }
}

impl Kms {
    /// A key that is disabled or about to be deleted is none to begin with.
    async fn check(&self) -> Result<(), Problem> {
        let described: Described = self.ask("DescribeKey", &json!({"KeyId": self.config.key}).to_string()).await?;
        let Metadata { key_state, key_usage, key_spec } = described.key_metadata;
        if key_usage != "ENCRYPT_DECRYPT" || key_spec != "SYMMETRIC_DEFAULT" {
            return Err(Problem::invalid(format!(
                "the KMS key is for {key_usage} with {key_spec}; a symmetric key to encrypt is needed"
            )));
        }
        if key_state != "Enabled" {
            return Err(Problem::unavailable(format!(
                "the KMS key is in the state `{key_state}`: nothing can be read until it is enabled"
            )));
        }
        Ok(())
    }

    async fn version(&self) -> Result<i64, Problem> {
        let wish = json!({"KeyId": self.config.key, "Limit": ROTATION_COUNT_MAX}).to_string();
        let rotations: Rotations = self.ask("ListKeyRotations", &wish).await?;
        Ok(i64::try_from(rotations.rotations.len()).unwrap_or(i64::MAX).saturating_add(1))
    }

    async fn ask<T: DeserializeOwned>(&self, verb: &str, body: &str) -> Result<T, Problem> {
        let body = Bytes::from_owner(Zeroizing::new(body.as_bytes().to_vec()));
        let (status, answer) = self.send(verb, body).await?;
        if !status.is_success() {
            return Err(refused(status, &answer));
        }
        serde_json::from_slice(&answer).map_err(|error| Problem::unavailable("the answer of KMS is not one").because(error))
    }

    async fn send(&self, verb: &str, body: Bytes) -> Result<(StatusCode, Bytes), Problem> {
        let unsigned =
            |source: Box<dyn std::error::Error + Send + Sync>| Problem::internal("a request to KMS could not be signed", source);
        let uri = format!("https://{}/", self.remote.authority()).parse().map_err(|error| unsigned(Box::new(error)))?;
        let target = HeaderValue::from_str(&format!("TrentService.{verb}")).map_err(|error| unsigned(Box::new(error)))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.insert("x-amz-target", target);
        let digest = hex(&sha256(&body));
        let signed = self.signer.sign(&Method::POST, &uri, &mut headers, &digest, self.clock.now());
        let mut request =
            Request::builder().method("POST").header("authorization", signed.map_err(|error| unsigned(Box::new(error)))?);
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let wait_max = Duration::from_secs(self.config.wait_seconds_max);
        let answer = within(wait_max, "KMS", self.remote.send(request, "/", body, ANSWER_BYTES_MAX)).await?;
        Ok((answer.status, answer.body))
    }
}

fn refused(status: StatusCode, body: &[u8]) -> Problem {
    let Refusal { kind, message } = serde_json::from_slice(body).unwrap_or_default();
    // Some put the name of their protocol's version before it.
    let kind = kind.rsplit('#').next().unwrap_or_default();
    if DOES_NOT_OPEN.contains(&kind) {
        return does_not_open(NAME).because(kind.to_owned());
    }
    let said: String = message.chars().take(SAID_CHARS_MAX).collect();
    Problem::unavailable(format!("KMS answered {} {kind}: {said}", status.as_u16()))
}

fn context(aad: &[u8]) -> Value {
    json!({CONTEXT: STANDARD.encode(aad)})
}

impl KeyService for KmsKey {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn wrap<'a>(&'a self, key: &'a Secret, aad: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Problem>> {
        Box::pin(async move {
            let rest = json!({"KeyId": self.service.config.key, "EncryptionContext": context(aad)}).to_string();
            // By hand, so that the key stands in places only that are wiped.
            let mut body = Zeroizing::new(String::with_capacity(1_024));
            body.push_str("{\"Plaintext\":\"");
            STANDARD.encode_string(key.expose(), &mut body);
            body.push_str("\",");
            body.push_str(rest.trim_start_matches('{'));
            let answer: Encrypted = self.service.ask("Encrypt", &body).await?;
            let blob = STANDARD.decode(answer.ciphertext_blob);
            blob.map_err(|error| Problem::unavailable("the answer of KMS is not one").because(error))
        })
    }

    fn unwrap<'a>(&'a self, _: i64, wrapped: &'a [u8], aad: &'a [u8]) -> BoxFuture<'a, Result<Secret, Problem>> {
        Box::pin(async move {
            let key = &self.service.config.key;
            let wish = json!({"KeyId": key, "CiphertextBlob": STANDARD.encode(wrapped), "EncryptionContext": context(aad)});
            let answer: Decrypted = self.service.ask("Decrypt", &wish.to_string()).await?;
            Ok(Secret::new(STANDARD.decode(answer.plaintext.expose()).map_err(|_| does_not_open(NAME))?))
        })
    }

    fn versions(&self) -> BoxFuture<'_, Result<Vec<i64>, Problem>> {
        Box::pin(async move {
            self.service.check().await?;
            Ok((1..=self.service.version().await?.max(self.version)).collect())
        })
    }

    fn renews(&self) -> bool {
        true
    }

    fn renewed(&self) -> BoxFuture<'_, Result<Option<Arc<dyn KeyService>>, Problem>> {
        Box::pin(async move {
            let wish = json!({"KeyId": self.service.config.key}).to_string();
            let _rotated: Value = self.service.ask("RotateKeyOnDemand", &wish).await?;
            // KMS rotates a little later than it answers.
            let version = self.service.version().await?.max(self.version.saturating_add(1));
            Ok(Some(Arc::new(Self { service: Arc::clone(&self.service), version }) as Arc<dyn KeyService>))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Kind;

    #[test]
    fn a_ciphertext_that_does_not_open_is_told_from_a_service_that_does_not_answer() {
        let of = |status: u16, body: &str| refused(StatusCode::from_u16(status).unwrap(), body.as_bytes()).kind();
        assert_eq!(of(400, r#"{"__type": "com.amazonaws.kms#InvalidCiphertextException"}"#), Kind::Internal);
        assert_eq!(of(400, r#"{"__type": "IncorrectKeyException", "message": "x"}"#), Kind::Internal);
        for (status, body) in [(400, r#"{"__type": "DisabledException", "Message": "x"}"#), (403, "{}"), (500, "<html>")] {
            assert_eq!(of(status, body), Kind::Unavailable, "{body}");
        }
    }
}
