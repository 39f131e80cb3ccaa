//! What opens the caller's own account beside a password, and an administrator's way to take that away.

use http::Method;
use identity::ops::factors::{AddPasskey, ConfirmTotp, ListFactors, OfferTotp, RemoveFactor, RenewRecoveryCodes, ResetFactors};
use identity::ops::federation::{ExchangeToken, LinkUser};
use identity::{Exchanged, Identity, Passkey, parse_scopes};
use kernel::{Kind, Micros, Problem, Secret};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, nothing};
use super::times::to_text;
use super::users::principal_value;
use crate::outbound::{from_base64url, json};
use crate::{Answer, Door, Inbound};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    issuer: String,
    subject: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPasskey {
    label: String,
    ceremony: String,
    client_data: String,
    attestation_object: String,
}

/// Adds the routes.
pub fn routes(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let all = move |_: &Inbound| Ok(ListFactors { room: room.clone() });
    door.route(Method::GET, "/api/strongroom/v1/me/factors", all, |(factors, ceremony)| {
        json(&json!({
            "totp_since": factors.totp_since.map(to_text),
            "passkeys": factors.passkeys.iter().map(passkey_value).collect::<Vec<_>>(),
            "recovery_codes_left": factors.recovery_codes_left,
            "ceremony": { "challenge": ceremony.challenge, "sealed": ceremony.sealed.expose_text(), "algorithms": identity::PASSKEY_ALGORITHMS },
        }))
    });
    let room = identity.clone();
    let offer = move |inbound: &Inbound| {
        let _: Empty = body(inbound)?;
        Ok(OfferTotp { room: room.clone(), issuer: inbound.host().replace(['[', ']', ':'], "") })
    };
    door.route(Method::POST, "/api/strongroom/v1/me/factors/totp", offer, |offer| {
        json(&json!({ "secret": offer.typed.expose_text(), "uri": offer.uri.expose_text() }))
    });
    let room = identity.clone();
    let confirm = move |inbound: &Inbound| {
        let Code { code } = body(inbound)?;
        Ok(ConfirmTotp { room: room.clone(), code: Secret::from(code) })
    };
    door.route(Method::POST, "/api/strongroom/v1/me/factors/totp/confirm", confirm, |codes| codes_answer(&codes));
    let room = identity.clone();
    let add = move |inbound: &Inbound| {
        let NewPasskey { label, ceremony, client_data, attestation_object } = body(inbound)?;
        Ok(AddPasskey {
            room: room.clone(),
            label,
            ceremony: Secret::from(ceremony),
            origin: inbound.origin(),
            host: inbound.host().to_owned(),
            client_data: from_base64url(&client_data)?,
            attestation_object: from_base64url(&attestation_object)?,
        })
    };
    door.route(Method::POST, "/api/strongroom/v1/me/factors/passkeys", add, |(passkey, codes)| {
        json(&json!({ "passkey": passkey_value(&passkey), "recovery_codes": texts(&codes) }))
    });
    let room = identity.clone();
    let remove = move |inbound: &Inbound| Ok(RemoveFactor { room: room.clone(), factor: inbound.path("factor").to_owned() });
    door.route(Method::DELETE, "/api/strongroom/v1/me/factors/{factor}", remove, |()| nothing());
    let room = identity.clone();
    let renew = move |inbound: &Inbound| {
        let _: Empty = body(inbound)?;
        Ok(RenewRecoveryCodes { room: room.clone() })
    };
    door.route(Method::POST, "/api/strongroom/v1/me/factors/recovery-codes", renew, |codes| codes_answer(&codes));
    let room = identity.clone();
    let link = move |inbound: &Inbound| {
        let Link { issuer, subject } = body(inbound)?;
        Ok(LinkUser { room: room.clone(), user: inbound.path("user").to_owned(), issuer, subject })
    };
    door.route(Method::POST, "/api/strongroom/v1/users/{user}/link", link, |user| json(&principal_value(&user)));
    let room = identity.clone();
    door.exchange::<ExchangeToken, _, _>(
        crate::authorize::TOKEN,
        move |inbound: &Inbound| {
            let scope = std::str::from_utf8(&inbound.body).map_err(|_| Problem::invalid("`scope` is no text"))?;
            Ok(ExchangeToken { room: room.clone(), scopes: parse_scopes(scope.split_ascii_whitespace())? })
        },
        |exchanged| {
            let Exchanged::Minted(minted) = exchanged else {
                return Err(Problem::new(Kind::Unauthenticated, "this was used before; what it brought then is revoked"));
            };
            let mut answer = json!({
                "access_token": minted.secret.expose_text(),
                "issued_token_type": crate::login::TYPE_ACCESS,
                "token_type": "Bearer",
                "expires_in": (minted.token.expires_at.0 - minted.token.created_at.0) / 1_000_000,
            });
            if let Some(fields) = answer.as_object_mut().filter(|_| !minted.token.scopes.is_empty()) {
                fields.insert("scope".to_owned(), Value::String(minted.token.scopes.join(" ")));
            }
            json(&answer)
        },
    );
    let room = identity.clone();
    let reset = move |inbound: &Inbound| {
        let _: Empty = body(inbound)?;
        Ok(ResetFactors { room: room.clone(), user: inbound.path("user").to_owned() })
    };
    door.route(Method::POST, "/api/strongroom/v1/users/{user}/reset-factors", reset, |user| json(&principal_value(&user)));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

fn texts(codes: &[Secret]) -> Vec<Option<&str>> {
    codes.iter().map(Secret::expose_text).collect()
}

fn codes_answer(codes: &[Secret]) -> Result<Answer, Problem> {
    json(&json!({ "recovery_codes": texts(codes) }))
}

fn passkey_value(passkey: &Passkey) -> Value {
    json!({
        "id": passkey.id,
        "label": passkey.label,
        "host": passkey.host,
        "backed_up": passkey.backed_up,
        "created_at": to_text(passkey.created_at),
        "last_used_at": passkey.last_used_at.map(|at: Micros| to_text(at)),
    })
}
