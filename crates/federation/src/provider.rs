//! An issuer: its discovery document and its keys, fetched when they are needed, kept for a while.

use std::sync::Arc;

use gate::BoxFuture;
use jsonwebtoken::jwk::Jwk;
use kernel::{Micros, Problem, Secret};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;

use crate::token::{Claims, key_id, says_issuer, verify, verify_statement};

/// How long what was fetched is used.
const FRESH_S: i64 = 3_600;
/// A key that is not known makes us look again, but not more often than this.
const REFETCH_S: i64 = 30;
const KEY_COUNT_MAX: usize = 64;

/// The way to issuers. Implemented by `server`; it goes to the hosts of the configuration only, over TLS, and bounds what it reads.
pub trait Fetch: Send + Sync {
    /// The document at this address.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be had.
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, Problem>>;

    /// What is answered to this form, whatever the status; with a client's id and secret if there are any.
    ///
    /// # Errors
    /// `Unavailable` if nothing is answered.
    fn post<'a>(
        &'a self,
        url: &'a str,
        form: &'a Secret,
        client: Option<&'a (String, Secret)>,
    ) -> BoxFuture<'a, Result<(u16, Vec<u8>), Problem>>;
}

/// An issuer of tokens.
pub struct Provider {
    issuer: String,
    jwks_uri: Option<String>,
    /// Hosts that its document may lead to, beside its own.
    also_at: Vec<String>,
    fetch: Arc<dyn Fetch>,
    known: Mutex<Known>,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    document: Option<Arc<Document>>,
    keys: Arc<Vec<Jwk>>,
    fetched_at: Option<Micros>,
}

/// OpenID Connect Discovery, section 3: what we use of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Document {
    issuer: String,
    #[serde(default)]
    pub(crate) authorization_endpoint: String,
    #[serde(default)]
    pub(crate) token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// The keys of a key set (RFC 7517). One that cannot be read is not there.
pub(crate) fn read_keys(bytes: &[u8]) -> Vec<Jwk> {
    let all = serde_json::from_slice::<Value>(bytes).ok();
    let keys = all.as_ref().and_then(|all| all.get("keys")).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    keys.iter().take(KEY_COUNT_MAX).filter_map(|key| serde_json::from_value(key.clone()).ok()).collect()
}

impl Provider {
    /// An issuer whose keys are at `jwks_uri`, or where its discovery document says: on its own host or on those of `also_at`.
    #[must_use]
    pub fn new(issuer: &str, jwks_uri: Option<&str>, also_at: &[String], fetch: Arc<dyn Fetch>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            jwks_uri: jwks_uri.map(str::to_owned),
            also_at: also_at.to_vec(),
            fetch,
            known: Mutex::default(),
            looking: tokio::sync::Mutex::new(()),
        }
    }

    /// Its name in tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn fetch(&self) -> &dyn Fetch {
        &*self.fetch
    }

    /// What the token says, if it is this issuer's, for this audience and this moment; none for any other.
    ///
    /// # Errors
    /// `Unavailable` if the issuer's keys cannot be had.
    pub async fn verify(&self, token: &str, audience: &str, at: Micros) -> Result<Option<Claims>, Problem> {
        let keys = self.keys_for(token, at).await?;
        Ok(keys.and_then(|keys| verify(token, &keys, &self.issuer, audience, at)))
    }

    /// The same for a token that proves nobody: what it is, its type says.
    pub(crate) async fn verify_statement(&self, token: &str, audience: &str, at: Micros) -> Result<Option<Claims>, Problem> {
        let keys = self.keys_for(token, at).await?;
        Ok(keys.and_then(|keys| verify_statement(token, &keys, &self.issuer, audience, at)))
    }

    /// Its keys, for a token that says it is this issuer's.
    async fn keys_for(&self, token: &str, at: Micros) -> Result<Option<Arc<Vec<Jwk>>>, Problem> {
        let Some(kid) = key_id(token).filter(|_| says_issuer(token).as_deref() == Some(self.issuer.as_str())) else {
            return Ok(None);
        };
        self.keys(&kid, at).await.map(Some)
    }

    /// Its keys, with the one of this id if it has it.
    pub(crate) async fn keys(&self, kid: &str, at: Micros) -> Result<Arc<Vec<Jwk>>, Problem> {
        Ok(self.known(at, Some(kid)).await?.keys)
    }

    /// Its discovery document.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be had, or is not this issuer's.
    pub(crate) async fn document(&self, at: Micros) -> Result<Arc<Document>, Problem> {
        let known = self.known(at, None).await?;
        known.document.ok_or_else(|| Problem::unavailable(format!("`{}` has no discovery document", self.issuer)))
    }

    async fn known(&self, at: Micros, kid: Option<&str>) -> Result<Known, Problem> {
        let enough = |known: &Known| {
            let age_s = known.fetched_at.map(|fetched| at.0.saturating_sub(fetched.0).div_euclid(1_000_000));
            let has_key =
                kid.is_none_or(|kid| kid.is_empty() || known.keys.iter().any(|key| key.common.key_id.as_deref() == Some(kid)));
            age_s.is_some_and(|age_s| (0..FRESH_S).contains(&age_s) && (has_key || age_s < REFETCH_S))
        };
        let known = self.known.lock().clone();
        if enough(&known) {
            return Ok(known);
        }
        let _looking = self.looking.lock().await;
        let known = self.known.lock().clone();
        if enough(&known) {
            return Ok(known);
        }
        let looked = self.look(at).await?;
        *self.known.lock() = looked.clone();
        Ok(looked)
    }

    async fn look(&self, at: Micros) -> Result<Known, Problem> {
        let (document, jwks_uri) = match &self.jwks_uri {
            Some(uri) => (None, uri.clone()),
            None => {
                let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
                let document = self.read(&self.fetch.get(&url).await?)?;
                (Some(Arc::new(document.clone())), document.jwks_uri)
            }
        };
        let keys = read_keys(&self.fetch.get(&jwks_uri).await?);
        if keys.is_empty() {
            return Err(Problem::unavailable(format!("`{jwks_uri}` holds no key that can be used")));
        }
        Ok(Known { document, keys: Arc::new(keys), fetched_at: Some(at) })
    }

    fn read(&self, bytes: &[u8]) -> Result<Document, Problem> {
        let broken = |what: &str| Problem::unavailable(format!("the discovery document of `{}` {what}", self.issuer));
        let document: Document = serde_json::from_slice(bytes).map_err(|error| broken("cannot be read").because(error))?;
        if document.issuer != self.issuer {
            return Err(broken("names another issuer"));
        }
        let host = host_of(&self.issuer);
        let all = [&document.jwks_uri, &document.authorization_endpoint, &document.token_endpoint];
        let allowed = |url: &str| {
            let to = host_of(url);
            to.is_some() && (to == host || self.also_at.iter().any(|also| host_of(also) == to))
        };
        if all.into_iter().filter(|url| !url.is_empty()).any(|url| !allowed(url)) {
            return Err(broken("leads to another host; if that is the provider's too, name it in `also_at`"));
        }
        Ok(document)
    }
}

/// `https://host:port`, or nothing for any other address.
fn host_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://")?;
    let host = rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty() && !host.contains(['@', '\\']))?;
    url.get(.."https://".len() + host.len())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::testing::{Issuer, NOW};

    /// Documents by address, and how often each was asked for.
    struct Pages(Mutex<(HashMap<String, Value>, usize)>);

    impl Fetch for Pages {
        fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, Problem>> {
            Box::pin(async move {
                let mut pages = self.0.lock();
                pages.1 += 1;
                pages.0.get(url).map(|page| page.to_string().into_bytes()).ok_or_else(|| Problem::unavailable("no such page"))
            })
        }

        fn post<'a>(
            &'a self,
            _: &'a str,
            _: &'a Secret,
            _: Option<&'a (String, Secret)>,
        ) -> BoxFuture<'a, Result<(u16, Vec<u8>), Problem>> {
            Box::pin(async { Err(Problem::unavailable("no such page")) })
        }
    }

    const ISSUER: &str = "https://issuer.example";

    fn pages(issuer: &Issuer, document: Value) -> Arc<Pages> {
        let all = HashMap::from([
            (format!("{ISSUER}/.well-known/openid-configuration"), document),
            (format!("{ISSUER}/keys"), issuer.key_document()),
        ]);
        Arc::new(Pages(Mutex::new((all, 0))))
    }

    fn document(jwks_uri: &str) -> Value {
        serde_json::json!({"issuer": ISSUER, "jwks_uri": jwks_uri, "authorization_endpoint": format!("{ISSUER}/auth"), "token_endpoint": format!("{ISSUER}/token")})
    }

    #[tokio::test]
    async fn keys_are_kept_and_looked_for_again_when_one_is_new_but_not_at_everybodys_wish() {
        let old = Issuer::new("k1");
        let pages = pages(&old, document(&format!("{ISSUER}/keys")));
        let provider = Provider::new(ISSUER, None, &[], Arc::clone(&pages) as _);
        let token = old.token(&serde_json::json!({}), ISSUER, "us");
        for _ in 0..5 {
            assert!(provider.verify(&token, "us", NOW).await.unwrap().is_some());
        }
        assert_eq!(pages.0.lock().1, 2);
        let new = Issuer::new("k2");
        pages.0.lock().0.insert(format!("{ISSUER}/keys"), new.key_document());
        let token = new.token(&serde_json::json!({}), ISSUER, "us");
        assert!(provider.verify(&token, "us", NOW).await.unwrap().is_none(), "not within half a minute");
        assert!(provider.verify(&token, "us", NOW.plus_secs(31)).await.unwrap().is_some());
        let count = pages.0.lock().1;
        for number in 0..20 {
            let stranger = Issuer::new(&format!("x{number}")).token(&serde_json::json!({}), ISSUER, "us");
            assert!(provider.verify(&stranger, "us", NOW.plus_secs(32)).await.unwrap().is_none());
        }
        assert_eq!(pages.0.lock().1, count);
    }

    #[tokio::test]
    async fn a_document_cannot_send_us_elsewhere() {
        let issuer = Issuer::new("k1");
        let token = issuer.token(&serde_json::json!({}), ISSUER, "us");
        for elsewhere in [
            "https://evil.example/keys",
            "http://issuer.example/keys",
            "https://issuer.example@evil.example/keys",
            "https://issuer.example:8443/keys",
            "https://issuer.example.evil/keys",
            "file:///etc/passwd",
        ] {
            let provider = Provider::new(ISSUER, None, &[], pages(&issuer, document(elsewhere)) as _);
            assert!(provider.verify(&token, "us", NOW).await.is_err(), "{elsewhere}");
        }
        let mut other = document(&format!("{ISSUER}/keys"));
        other["issuer"] = Value::from("https://other.example");
        let provider = Provider::new(ISSUER, None, &[], pages(&issuer, other) as _);
        assert!(provider.verify(&token, "us", NOW).await.is_err());
    }
}
