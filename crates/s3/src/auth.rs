//! Who asks: a signature in the head or in the query, a bearer token, nobody; and short-lived keys for a token (the shape of STS's
//! `AssumeRoleWithWebIdentity`).

use std::sync::{Arc, OnceLock};

use gate::{Credential, Operation, Signed};
use http::request::Parts;
use http::{Method, header};
use identity::ops::access_keys::AssumeToken;
use kernel::{Kind, Problem, Secret};
use sigv4::{Expect, Presentation, Presented, Refusal};
use wire::{Chosen, Knock};

use crate::error::{not_implemented, refused};
use crate::xml::Xml;
use crate::{Shared, route, xml_answer};

/// The name space of what [`assume`] answers.
pub const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const FORM: &str = "application/x-www-form-urlencoded";

/// What of a signature is needed once its body comes.
#[derive(Clone)]
pub struct Signature {
    pub presentation: Presentation,
    /// The key that it was made with, once that was found right.
    pub key: Arc<OnceLock<Secret>>,
}

/// Who knocks, and for what.
pub fn knock(shared: &Shared, parts: &mut Parts) -> Knock {
    let mut attempt = wire::attempt_from(parts);
    let is_form = parts.method == Method::POST
        && parts.uri.path() == "/"
        && parts.uri.query().is_none()
        && !parts.headers.contains_key(header::AUTHORIZATION)
        && parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(|kind| kind.starts_with(FORM));
    if is_form {
        return Knock { attempt, action: AssumeToken::ACTION, is_form, refused: None };
    }
    let action = route::action_of(parts);
    let by_token = matches!(attempt.credential, Credential::Bearer(_));
    if by_token {
        // Which of two says who it is, and for what, is not guessed.
        let refusal = sigv4::read_unsigned(&parts.uri).err();
        if refusal.is_some() {
            attempt.credential = Credential::None;
        }
        return Knock { attempt, action, is_form, refused: refusal.map(refused) };
    }
    let expect = Expect { region: &shared.region, now: shared.clock.now() };
    match sigv4::read(&parts.method, &parts.uri, &parts.headers, &expect) {
        Ok(Presented::None) => {
            // Neither a browser's session nor a password signs anything.
            attempt.credential = Credential::None;
            Knock { attempt, action, is_form, refused: None }
        }
        Ok(Presented::Signed(presentation)) if unsigned_own(&presentation, parts).is_some() => {
            attempt.credential = Credential::None;
            let name = unsigned_own(&presentation, parts).unwrap_or_default();
            let refusal =
                Refusal::new("AccessDenied", format!("There were headers present in the request which were not signed: {name}"));
            Knock { attempt, action, is_form, refused: Some(refused(refusal)) }
        }
        Ok(Presented::Signed(presentation)) => {
            let key = Arc::new(OnceLock::new());
            attempt.credential = Credential::Signed(Box::new(Signed {
                access_key: presentation.access_key.clone(),
                session_token: presentation.session_token.clone().map(Secret::from),
                date: presentation.scope.date.clone(),
                region: presentation.scope.region.clone(),
                service: presentation.scope.service.clone(),
                string_to_sign: presentation.string_to_sign.clone(),
                signature: presentation.signature,
                signing_key: Arc::clone(&key),
            }));
            parts.extensions.insert(Signature { presentation, key });
            Knock { attempt, action, is_form, refused: None }
        }
        Err(refusal) => {
            // Nobody is behind what cannot be judged. It is no guess either, such as a signature for another service.
            attempt.credential = Credential::None;
            Knock { attempt, action, is_form, refused: Some(refused(refusal)) }
        }
    }
}

/// A header of ours that nobody signed: it says in which workspace, for which run or why something is done, so that who hands on a
/// presigned address must not be able to say it.
fn unsigned_own(presentation: &Presentation, parts: &Parts) -> Option<String> {
    let own = |name: &&str| name.starts_with("x-strongroom-") || name.starts_with("x-mlflow-");
    let mut names = parts.headers.keys().map(http::HeaderName::as_str).filter(own);
    names.find(|name| !presentation.signed_headers.iter().any(|signed| signed == name)).map(str::to_owned)
}

fn field(form: &[u8], wanted: &str) -> Option<String> {
    let text = std::str::from_utf8(form).ok()?;
    let pair = text.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == wanted)?;
    let spaced = pair.1.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// The token of a form.
pub fn form_credential(form: &[u8]) -> Credential {
    match field(form, "WebIdentityToken") {
        Some(token) => Credential::Bearer(Secret::from(token)),
        None => Credential::Malformed,
    }
}

/// A short-lived access key for the token that came in the form.
pub fn assume(shared: Shared, form: &[u8]) -> Result<Chosen, Problem> {
    match field(form, "Action").as_deref() {
        Some("AssumeRoleWithWebIdentity") => {}
        _ => {
            return Err(not_implemented(
                "the only action is AssumeRoleWithWebIdentity, with a token of this server as WebIdentityToken",
            ));
        }
    }
    if field(form, "Policy").is_some() || field(form, "PolicyArns.member.1.arn").is_some() {
        return Err(not_implemented(
            "a session's policy is not supported: mint a token with the scopes that the session shall have",
        ));
    }
    let seconds = field(form, "DurationSeconds").map(|text| text.parse().map_err(|_| bad_seconds())).transpose()?;
    let name: String = field(form, "RoleSessionName").unwrap_or_default().chars().take(64).collect();
    Ok(Chosen::verb(AssumeToken { room: shared.identity, seconds }, move |key| {
        let session_token = key.session_token.as_ref().and_then(Secret::expose_text).unwrap_or_default();
        let secret = key.secret.expose_text().unwrap_or_default();
        let expires_at = key.expires_at.map(kernel::Micros::rfc3339_seconds).unwrap_or_default();
        let mut xml = Xml::within("AssumeRoleWithWebIdentityResponse", STS_NAMESPACE);
        xml.nest("AssumeRoleWithWebIdentityResult", |xml| {
            xml.nest("Credentials", |xml| {
                xml.text("AccessKeyId", &key.id);
                xml.text("SecretAccessKey", secret);
                xml.text("SessionToken", session_token);
                xml.text("Expiration", &expires_at);
            });
            xml.nest("AssumedRoleUser", |xml| {
                xml.text("Arn", &format!("arn:aws:sts:::assumed-role/strongroom/{name}"));
                xml.text("AssumedRoleId", &format!("{}:{name}", key.id));
            });
        });
        Ok(xml_answer(xml.finish()))
    }))
}

fn bad_seconds() -> Problem {
    Problem::new(Kind::Invalid, "DurationSeconds is a number of seconds")
}
