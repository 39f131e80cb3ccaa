//! The log-in form as the door reads it, and the way to it and back.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gate::{Assertion, Credential, Returned, ShownCode};
use http::request::Parts;
use http::{Method, StatusCode, Uri, header};
use kernel::{Problem, Secret};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::bodies::Unread;
use crate::form::Form;
use crate::outbound::problem_answer;
use crate::pages::own_path;

/// The log-in form's body: a passkey's answer is the longest.
const LOGIN_BYTES_MAX: usize = 32 * 1024;
/// Where the form is shown.
const PAGE: &str = "/login";
/// A page of ours that a log-in leads back to has a shorter address.
const BACK_TO_BYTES_MAX: usize = 512;
/// What must not stand in a parameter's value.
const VALUE: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'+').add(b'<').add(b'>').add(b'?').add(b'=');

/// What the form brought. What cannot be read is refused as a credential, not as a form: a stranger learns nothing from it.
pub(crate) async fn credential(body: Unread<'_>, origin: String) -> Result<Credential, Problem> {
    let bytes = body.whole(LOGIN_BYTES_MAX).await?;
    Ok(Form::read(&bytes).ok().and_then(|form| of_form(&form, origin)).unwrap_or(Credential::Malformed))
}

fn of_form(form: &Form, origin: String) -> Option<Credential> {
    if let Some(ceremony) = form.get("ceremony") {
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(form.get(name)?).ok();
        return Some(Credential::Passkey(Box::new(Assertion {
            ceremony: Secret::from(ceremony.to_owned()),
            origin,
            credential_id: bytes("credential_id")?,
            client_data: bytes("client_data")?,
            authenticator_data: bytes("authenticator_data")?,
            signature: bytes("signature")?,
        })));
    }
    let code = form.get("code").map(str::trim).filter(|code| !code.is_empty());
    Some(Credential::LogIn {
        username: form.get("username")?.trim().to_owned(),
        password: Secret::from(form.get("password")?.to_owned()),
        code: code.map(|code| Secret::from(code.to_owned())),
    })
}

/// What a browser carries while it is at a provider. Sent along when the provider sends it back, which `Strict` would not allow.
pub const CARRIED_COOKIE: &str = "__Host-strongroom-login";
/// Where providers send browsers back to.
pub const CALLBACK: &str = "/login/callback";
/// RFC 6749, section 4.1.3.
pub(crate) const GRANT_CODE: &str = "authorization_code";
/// RFC 8693, section 2.1 and 3.
pub(crate) const GRANT_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 8628, section 3.4.
const GRANT_DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(crate) const TYPE_ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const TYPES_JWT: [&str; 2] = ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];

/// What came back from a provider.
pub(crate) fn returned(parts: &Parts, origin: &str) -> Credential {
    let Ok(query) = Form::read(parts.uri.query().unwrap_or_default().as_bytes()) else { return Credential::Malformed };
    let (Some(code), Some(state)) = (query.get("code"), query.get("state")) else { return Credential::Malformed };
    Credential::Federated(Box::new(Returned {
        code: Secret::from(code.to_owned()),
        state: state.to_owned(),
        issuer: query.get("iss").map(str::to_owned),
        redirect_uri: format!("{origin}{CALLBACK}"),
        carried: crate::inbound::cookie_named(&parts.headers, CARRIED_COOKIE).map(|value| Secret::from(value.to_owned())),
    }))
}

/// What is to be exchanged for a token, and what that shall be narrowed to.
pub(crate) async fn subject_token(body: Unread<'_>) -> Result<(Credential, Body), Problem> {
    let bytes = body.whole(LOGIN_BYTES_MAX).await?;
    let Ok(form) = Form::read(&bytes) else { return Ok(whole(Credential::Malformed)) };
    if form.get("grant_type") == Some(GRANT_DEVICE) {
        let secret = form.get("device_code").map(|code| Secret::from(code.to_owned()));
        return Ok(whole(secret.map_or(Credential::Malformed, Credential::Device)));
    }
    if form.get("grant_type") == Some(GRANT_CODE) {
        return Ok(whole(shown_code(&form).unwrap_or(Credential::Malformed)));
    }
    let exchanged = form.get("grant_type") == Some(GRANT_EXCHANGE);
    let of_type = form.get("subject_token_type").is_some_and(|kind| TYPES_JWT.contains(&kind));
    let token = form.get("subject_token").filter(|_| exchanged && of_type);
    let Some(token) = token else { return Ok(whole(Credential::Malformed)) };
    as_it_is_given(&form)?;
    let scope = form.get("scope").unwrap_or_default().to_owned();
    Ok((Credential::Exchange(Secret::from(token.to_owned())), Body::from(scope)))
}

/// A credential beside which nothing was said.
fn whole(credential: Credential) -> (Credential, Body) {
    (credential, Body::empty())
}

/// Refuses a wish for another token than is given: who is not told would take it for what they asked for (RFC 8693, section 2.1).
fn as_it_is_given(form: &Form) -> Result<(), Problem> {
    let said = |name: &str| form.get(name).filter(|value| !value.is_empty());
    if said("actor_token").is_some() || said("actor_token_type").is_some() {
        let message = "`actor_token` is not taken: nobody acts for another here; exchange the token of whoever acts";
        return Err(Problem::invalid(message));
    }
    match said("requested_token_type") {
        None | Some(TYPE_ACCESS) => Ok(()),
        Some(_) => Err(Problem::invalid(format!("`requested_token_type` is `{TYPE_ACCESS}` or left out; no other is given"))),
    }
}

/// RFC 6749, section 4.1.3, and RFC 7636, section 4.5.
fn shown_code(form: &Form) -> Option<Credential> {
    let secret = |name: &str| form.get(name).map(|value| Secret::from(value.to_owned()));
    let is_ours = form.get("client_id") == Some(identity::COMMAND_LINE_CLIENT);
    let (code, verifier) = (secret("code").filter(|_| is_ours)?, secret("code_verifier")?);
    Some(Credential::Code(Box::new(ShownCode { code, verifier, redirect_uri: form.get("redirect_uri")?.to_owned() })))
}

/// A refusal as OAuth's token endpoints word it (RFC 6749, section 5.2).
pub(crate) fn token_problem(problem: &Problem) -> Response {
    use kernel::Kind;
    let code = match problem.kind() {
        Kind::Unauthenticated => identity::device_word(problem.message()).unwrap_or("invalid_grant"),
        Kind::Forbidden | Kind::NotFound => "unauthorized_client",
        Kind::Unavailable | Kind::TooMany | Kind::Internal => "temporarily_unavailable",
        _ => "invalid_request",
    };
    let mut answer = problem_answer(problem, true);
    let status = answer.status();
    *answer.status_mut() =
        if status.is_client_error() && problem.kind() != Kind::TooMany { StatusCode::BAD_REQUEST } else { status };
    let hint = format!(
        "the token of a trusted platform is exchanged here: a form with `grant_type` `{GRANT_EXCHANGE}`, `subject_token_type` `{}` and \
         `subject_token`; a code of a command line's log-in counts once, for a minute, with its verifier: run `strongroom login` again",
        TYPES_JWT[0]
    );
    let description = match code {
        identity::PENDING => "nobody agreed yet; ask again in two seconds",
        identity::SLOW_DOWN => "this was asked too soon; wait five seconds longer between two questions from now on",
        identity::DENIED => "a person denied this log-in",
        identity::EXPIRED => "this code is over; run `strongroom login` again",
        _ if problem.kind() == Kind::Unauthenticated => hint.as_str(),
        _ => problem.message(),
    };
    let text = serde_json::json!({ "error": code, "error_description": description }).to_string();
    *answer.body_mut() = Body::from(text);
    answer.headers_mut().remove(header::WWW_AUTHENTICATE);
    answer
}

/// Has the browser forget a cookie.
pub fn end_cookie(answer: &mut Response, name: &str) {
    if let Ok(value) = http::HeaderValue::from_str(&format!("{name}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")) {
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// A path of this server that a page may lead to: never another host, whatever a browser makes of it.
#[must_use]
pub fn local_path(text: &str) -> Option<&str> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"\\\"<>".contains(&b));
    let local = text.starts_with('/') && !text.starts_with("//") && text.len() <= BACK_TO_BYTES_MAX;
    (plain && local && !text.starts_with(PAGE)).then_some(text)
}

/// Where a log-in shall lead back to: the page that was asked for, or the one whose form was sent.
pub(crate) fn back_to(request: &Request, is_login: bool) -> String {
    if is_login {
        let query = request.uri().query().unwrap_or_default();
        let wanted = query.split('&').find_map(|pair| pair.strip_prefix("to="));
        let decoded = wanted.and_then(|wanted| crate::inbound::decode(wanted).ok());
        return decoded.as_deref().and_then(local_path).unwrap_or_default().to_owned();
    }
    let wanted = if request.method() == Method::GET {
        own_path(request.uri())
    } else {
        let referer = request.headers().get(header::REFERER).and_then(|value| value.to_str().ok());
        referer.and_then(|text| text.parse::<Uri>().ok()).map(|uri| own_path(&uri)).unwrap_or_default()
    };
    local_path(&wanted).filter(|path| *path != "/").unwrap_or_default().to_owned()
}

/// The log-in form's address, with why it is shown and where it leads back to.
#[must_use]
pub fn login_address(why: &str, back_to: &str) -> String {
    let to = if back_to.is_empty() { String::new() } else { format!("to={}", utf8_percent_encode(back_to, VALUE)) };
    let query: Vec<&str> = [why, &to].into_iter().filter(|part| !part.is_empty()).collect();
    if query.is_empty() { PAGE.to_owned() } else { format!("{PAGE}?{}", query.join("&")) }
}

/// A browser on its way to a page is shown the log-in form instead of an error.
pub(crate) fn to_page(problem: &Problem, why: &str, back_to: &str) -> Response {
    let location = login_address(why, back_to);
    let mut answer = problem_answer(problem, true);
    *answer.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(location) = http::HeaderValue::from_str(&location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_leads_to_pages_of_ours_only() {
        for good in ["/account", "/account?x=1", "/a/b"] {
            assert_eq!(local_path(good), Some(good));
        }
        let long = format!("/{}", "a".repeat(600));
        for bad in
            ["", "account", "//evil.example", "/\\evil.example", "https://evil.example", "/a b", "/\u{1}", "/login?x", &long]
        {
            assert_eq!(local_path(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_form_is_a_password_or_a_passkey_or_nothing() {
        let read = |text: &str| of_form(&Form::read(text.as_bytes()).unwrap(), "https://a.example".to_owned());
        let Some(Credential::LogIn { username, code, .. }) = read("username=ada+&password=x&code=") else { panic!() };
        assert_eq!((username.as_str(), code.is_none()), ("ada", true));
        let passkey = "ceremony=c&credential_id=AQ&client_data=e30&authenticator_data=AA&signature=AA";
        assert!(matches!(read(passkey), Some(Credential::Passkey(key)) if key.credential_id == [1]));
        for bad in [
            "",
            "username=ada",
            "password=x",
            "ceremony=c&credential_id=AQ",
            "ceremony=c&credential_id=***&client_data=&authenticator_data=&signature=",
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn another_token_than_is_given_is_not_passed_over() {
        let check = |text: &str| as_it_is_given(&Form::read(text.as_bytes()).unwrap()).is_ok();
        let access = "requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
        assert!(check("") && check("actor_token=&requested_token_type=") && check(access) && check("scope=runs.get"));
        assert!(!check("actor_token=x") && !check("actor_token_type=x"));
        assert!(!check("requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Asaml2"));
    }

    #[test]
    fn a_code_comes_with_all_that_belongs_to_it() {
        let whole =
            ["client_id=strongroom-cli", "code=c", "code_verifier=v", "redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcallback"];
        let read = |fields: &[&str]| shown_code(&Form::read(fields.join("&").as_bytes()).unwrap());
        let Some(Credential::Code(shown)) = read(&whole) else { panic!() };
        assert_eq!((shown.code.expose(), shown.redirect_uri.as_str()), (b"c".as_slice(), "http://127.0.0.1:1/callback"));
        for missing in 0..whole.len() {
            let fields: Vec<&str> =
                whole.into_iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, field)| field).collect();
            assert!(read(&fields).is_none(), "{fields:?}");
        }
        assert!(read(&["client_id=another", whole[1], whole[2], whole[3]]).is_none());
    }
}
