//! OAuth's authorization endpoint, for the one client that there is: the command line on the browser's own machine (RFC 6749, section 4.1;
//! RFC 7636; RFC 8252; RFC 9207). The page for people is the console's; here is what is read of a request, and what goes back.

use identity::{COMMAND_LINE_CLIENT, Challenge, Loopback};
use kernel::{Problem, Secret};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::form::Form;
use crate::{Answer, json as json_answer};

/// The authorization endpoint.
pub const AUTHORIZE: &str = "/oauth/authorize";
/// The token endpoint.
pub const TOKEN: &str = "/oauth/token";
/// Where clients find that out (RFC 8414).
pub const METADATA: &str = "/.well-known/oauth-authorization-server";
/// What a command line may want to be told again.
const STATE_BYTES_MAX: usize = 256;

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What it told of its verifier.
    pub challenge: Challenge,
    /// How the answer goes back.
    pub back: WayBack,
}

/// How an answer goes back to a command line: by the browser, which is sent there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayBack {
    /// Where the command line listens.
    pub address: Loopback,
    state: Option<String>,
    issuer: String,
}

impl WayBack {
    /// With a code.
    #[must_use]
    pub fn with_code(&self, code: &Secret) -> String {
        self.with(&[("code", code.expose_text().unwrap_or_default())])
    }

    /// Where the person would rather not.
    #[must_use]
    pub fn with_denial(&self) -> String {
        self.with_error("access_denied", "the person did not agree")
    }

    fn with_error(&self, error: &str, description: &str) -> String {
        self.with(&[("error", error), ("error_description", description)])
    }

    fn with(&self, fields: &[(&str, &str)]) -> String {
        let state = self.state.as_deref().map(|state| ("state", state));
        let all = fields.iter().copied().chain(state).chain([("iss", self.issuer.as_str())]);
        let query: Vec<String> = all.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        format!("{}?{}", self.address, query.join("&"))
    }
}

/// What a request asks for; or, where it asks wrongly but says where it came from, the address that tells it so. `issuer` is this server, as the
/// browser names it.
///
/// # Errors
/// `Invalid` for a request that no browser is sent on from: of another client, or to another place than a loopback address.
pub fn asked(form: &Form, issuer: &str) -> Result<Result<Asked, String>, Problem> {
    if form.get("client_id") != Some(COMMAND_LINE_CLIENT) {
        return Err(Problem::invalid(format!("`client_id` must be `{COMMAND_LINE_CLIENT}`: nothing else is logged in here")));
    }
    let address = form.get("redirect_uri").and_then(Loopback::parse).ok_or_else(|| {
        Problem::invalid(
            "`redirect_uri` must be `http://127.0.0.1:PORT/callback` or `http://[::1]:PORT/callback`: no browser is sent elsewhere",
        )
    })?;
    let back = |state| WayBack { address, state, issuer: issuer.to_owned() };
    let state = form.get("state").map(str::to_owned);
    if state.as_ref().is_some_and(|state| state.len() > STATE_BYTES_MAX || !state.bytes().all(|byte| matches!(byte, b' '..=b'~')))
    {
        let text = format!("`state` must have at most {STATE_BYTES_MAX} printable characters");
        return Ok(Err(back(None).with_error("invalid_request", &text)));
    }
    let back = back(state);
    if form.get("response_type") != Some("code") {
        return Ok(Err(back.with_error("unsupported_response_type", "`response_type` must be `code`")));
    }
    if form.get("scope").is_some_and(|scope| !scope.is_empty()) {
        return Ok(Err(back.with_error("invalid_scope", "there are no scopes; narrow a token when you make it")));
    }
    let challenge = form.get("code_challenge").filter(|_| form.get("code_challenge_method") == Some("S256"));
    let Some(challenge) = challenge.and_then(Challenge::parse) else {
        let text = "`code_challenge` and `code_challenge_method` `S256` must be there (RFC 7636)";
        return Ok(Err(back.with_error("invalid_request", text)));
    };
    Ok(Ok(Asked { challenge, back }))
}

/// What clients may know of this server (RFC 8414, section 2).
///
/// # Errors
/// `Internal` if it cannot be written as JSON.
pub fn metadata(issuer: &str) -> Result<Answer, Problem> {
    json_answer(&json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}{AUTHORIZE}"),
        "token_endpoint": format!("{issuer}{TOKEN}"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [crate::login::GRANT_CODE, crate::login::GRANT_EXCHANGE],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

fn encoded(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://a.example:8443";
    const GOOD: [(&str, &str); 6] = [
        ("response_type", "code"),
        ("client_id", "strongroom-cli"),
        ("redirect_uri", "http://127.0.0.1:50123/callback"),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("state", "a b&c"),
    ];

    /// What comes of the good request with one field changed; an empty value takes the field out.
    fn with(name: &str, value: &str) -> Result<Result<Asked, String>, Problem> {
        let fields = GOOD.into_iter().filter(|(known, _)| *known != name).chain([(name, value)]);
        let kept = fields.filter(|(_, value)| !value.is_empty());
        let text: Vec<String> = kept.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        asked(&Form::read(text.join("&").as_bytes()).unwrap(), ISSUER)
    }

    #[test]
    fn an_answer_names_its_issuer_and_repeats_the_state() {
        let asked = with("state", "xyz-1").unwrap().unwrap();
        let code = asked.back.with_code(&Secret::from("sr_cod_x".to_owned()));
        let issuer = "iss=https%3A%2F%2Fa%2Eexample%3A8443";
        assert_eq!(code, format!("http://127.0.0.1:50123/callback?code=sr%5Fcod%5Fx&state=xyz%2D1&{issuer}"));
        assert!(asked.back.with_denial().starts_with("http://127.0.0.1:50123/callback?error=access%5Fdenied&"));
        let stateless = with("state", "").unwrap().unwrap().back.with_code(&Secret::from("x".to_owned()));
        assert_eq!(stateless, format!("http://127.0.0.1:50123/callback?code=x&{issuer}"));
    }

    #[test]
    fn no_browser_is_sent_to_a_stranger_and_a_wrong_request_is_told_so() {
        for (name, value) in [
            ("client_id", "another"),
            ("client_id", ""),
            ("redirect_uri", ""),
            ("redirect_uri", "http://localhost:50123/callback"),
            ("redirect_uri", "https://evil.example/callback"),
        ] {
            assert!(with(name, value).is_err(), "{name} {value}");
        }
        for (name, value, error) in [
            ("response_type", "token", "unsupported%5Fresponse%5Ftype"),
            ("code_challenge", "", "invalid%5Frequest"),
            ("code_challenge", "short", "invalid%5Frequest"),
            ("code_challenge_method", "plain", "invalid%5Frequest"),
            ("code_challenge_method", "", "invalid%5Frequest"),
            ("scope", "all", "invalid%5Fscope"),
        ] {
            let sent = with(name, value).unwrap().unwrap_err();
            assert!(sent.starts_with(&format!("http://127.0.0.1:50123/callback?error={error}&")), "{sent}");
            assert!(!sent.contains("code="), "{sent}");
        }
        let long = with("state", &"a".repeat(257)).unwrap().unwrap_err();
        assert!(long.contains("error=invalid%5Frequest") && !long.contains("&state="), "{long}");
    }
}
