//! The log-in of people at a provider: authorization code with PKCE, nonce and state (OpenID Connect Core, section 3.1; RFC 7636, RFC 9207).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Kind, Micros, Problem, Secret, random_text, sha256};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::provider::Provider;
use crate::token::Claims;

/// RFC 7636, section 4.1: 43 to 128 characters.
const VERIFIER_LENGTH: usize = 64;
const STATE_LENGTH: usize = 32;
const CARRIED_BYTES_MAX: usize = 1_024;
const CODE_BYTES_MAX: usize = 4 * 1024;
/// What a form leaves as it is (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// How old a log-in at the provider may be that is asked for anew.
const FRESH_S_MAX: i64 = 300;

/// What the browser carries through the log-in, in a cookie that no script reads and no other site sets.
#[derive(Clone, PartialEq, Eq)]
pub struct Carried {
    /// Where it went.
    pub provider: String,
    state: String,
    nonce: String,
    verifier: String,
    /// Whether it was asked to show who it is anew.
    again: bool,
    /// The page that it comes back to.
    pub to: String,
}

/// A log-in that begins.
pub struct Begun {
    /// Where the browser goes.
    pub url: String,
    /// What it carries.
    pub carried: Carried,
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: Option<String>,
}

impl Carried {
    /// As a cookie's value.
    #[must_use]
    pub fn to_text(&self) -> Secret {
        let Self { provider, state, nonce, verifier, again, to } = self;
        let to = URL_SAFE_NO_PAD.encode(to);
        Secret::from(format!("{provider}.{state}.{nonce}.{verifier}.{}.{to}", u8::from(*again)))
    }

    /// Of a cookie's value.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        if text.len() > CARRIED_BYTES_MAX {
            return None;
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [provider, state, nonce, verifier, again, to] = parts.as_slice() else { return None };
        let to = String::from_utf8(URL_SAFE_NO_PAD.decode(to).ok()?).ok()?;
        let own = |text: &str| text.to_owned();
        Some(Self {
            provider: own(provider),
            state: own(state),
            nonce: own(nonce),
            verifier: own(verifier),
            again: *again == "1",
            to,
        })
    }
}

impl Provider {
    /// Begins a log-in that ends at `redirect_uri`; `step_up` for somebody who must show there anew who they are, by one of these `acr` values
    /// if there are any.
    ///
    /// # Errors
    /// `Unavailable` if the provider's document cannot be had.
    pub async fn begin(
        &self,
        name: &str,
        client_id: &str,
        redirect_uri: &str,
        to: &str,
        step_up: Option<&[String]>,
        at: Micros,
    ) -> Result<Begun, Problem> {
        let document = self.document(at).await?;
        if document.authorization_endpoint.is_empty() {
            return Err(Problem::unavailable(format!("`{}` has no authorization endpoint", self.issuer())));
        }
        let carried = Carried {
            provider: name.to_owned(),
            state: random_text(STATE_LENGTH),
            nonce: random_text(STATE_LENGTH),
            verifier: random_text(VERIFIER_LENGTH),
            again: step_up.is_some(),
            to: to.to_owned(),
        };
        let acr_values = step_up.unwrap_or_default().join(" ");
        let challenge = URL_SAFE_NO_PAD.encode(sha256(carried.verifier.as_bytes()));
        let mut fields = vec![
            ("response_type", "code"),
            ("scope", "openid profile email"),
            ("client_id", client_id),
            ("redirect_uri", redirect_uri),
            ("state", &carried.state),
            ("nonce", &carried.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if step_up.is_some() {
            fields.extend([("max_age", "0"), ("prompt", "login")]);
        }
        if !acr_values.is_empty() {
            fields.push(("acr_values", &acr_values));
        }
        let between = if document.authorization_endpoint.contains('?') { '&' } else { '?' };
        let url = format!("{}{between}{}", document.authorization_endpoint, form(&fields));
        Ok(Begun { url, carried })
    }

    /// Ends it: what the provider says of whoever came back.
    ///
    /// # Errors
    /// `Unauthenticated` if anything of it is not as it was begun; `Unavailable` if the provider cannot be asked.
    pub async fn end(
        &self,
        returned: &gate::Returned,
        carried: &Carried,
        client: &(String, Option<Secret>),
        at: Micros,
    ) -> Result<Claims, Problem> {
        let wrong = || {
            Problem::new(
                Kind::Unauthenticated,
                "You are not authenticated. The log-in at the provider was not completed; begin again.",
            )
        };
        let document = self.document(at).await?;
        // Mix-up of providers (RFC 9207): one that says its name must say the right one.
        let named = match &returned.issuer {
            Some(issuer) => issuer == self.issuer(),
            None => !document.authorization_response_iss_parameter_supported,
        };
        let same = returned.state == carried.state && !carried.state.is_empty();
        if !named || !same || returned.code.expose().len() > CODE_BYTES_MAX {
            return Err(wrong());
        }
        let (client_id, secret) = client;
        let code = returned.code.expose_text().ok_or_else(wrong)?;
        let by_form = document.token_endpoint_auth_methods_supported.as_ref().is_some_and(|all| {
            !all.iter().any(|method| method == "client_secret_basic") && all.iter().any(|method| method == "client_secret_post")
        });
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &returned.redirect_uri),
            ("client_id", client_id),
            ("code_verifier", &carried.verifier),
        ];
        let basic = secret.as_ref().filter(|_| !by_form).map(|secret| (client_id.clone(), secret.clone()));
        if let Some(secret) = secret.as_ref().filter(|_| by_form).and_then(Secret::expose_text) {
            fields.push(("client_secret", secret));
        }
        let (status, bytes) = self.fetch().post(&document.token_endpoint, &Secret::from(form(&fields)), basic.as_ref()).await?;
        if status != 200 {
            tracing::warn!(provider = carried.provider, status, "a provider refused a code");
            return Err(wrong());
        }
        let answer: TokenAnswer = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        let token = answer.id_token.ok_or_else(wrong)?;
        let claims = self.verify(&token, client_id, at).await?.ok_or_else(wrong)?;
        let party = claims.text("azp").is_none_or(|party| party == client_id);
        let many = claims.texts("aud").len() > 1 && claims.text("azp").is_none();
        let fresh =
            !carried.again || claims.seconds("auth_time").is_some_and(|then| at.as_secs().saturating_sub(then) <= FRESH_S_MAX);
        if claims.text("nonce") != Some(carried.nonce.as_str()) || !party || many || !fresh {
            return Err(wrong());
        }
        Ok(claims)
    }
}

/// Fields as a form or a query.
fn form(fields: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, UNRESERVED));
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_comes_back_whole_or_not_at_all() {
        let carried = Carried {
            provider: "company".to_owned(),
            state: "s".to_owned(),
            nonce: "n".to_owned(),
            verifier: "v".to_owned(),
            again: true,
            to: "/account?x=1.2".to_owned(),
        };
        let text = carried.to_text();
        assert!(Carried::of_text(text.expose_text().unwrap()) == Some(carried));
        for bad in ["", "a.b.c", "a.b.c.d.e.***", &"x".repeat(2_000)] {
            assert!(Carried::of_text(bad).is_none());
        }
        assert_eq!(form(&[("a", "x y&z"), ("b", "~-._")]), "a=x%20y%26z&b=~-._");
    }
}
