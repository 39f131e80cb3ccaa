//! Tokens. A secret is in the answer to its making, and nowhere else.

use http::Method;
use identity::ops::access_keys::ShowAccessKey;
use identity::ops::tokens::{CreateToken, CreateTokenFor, ListTokens, RevokeAnyToken, RevokeToken};
use identity::{Identity, MintedToken, Name, Token, TokenWish, parse_label, parse_scopes};
use kernel::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, list, query};
use super::times::to_text;
use crate::outbound::json;
use crate::{Answer, Door, Inbound};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    label: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    workspace: Option<String>,
    lifetime_s: Option<i64>,
    #[serde(default)]
    only_this_device: bool,
}

/// Adds the routes of tokens.
pub fn routes(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let create = move |inbound: &Inbound| Ok(CreateToken { room: room.clone(), wish: wish(inbound)? });
    door.route(Method::POST, "/api/strongroom/v1/tokens", create, |minted| minted_answer(&minted));
    let room = identity.clone();
    let create_for = move |inbound: &Inbound| {
        let principal = inbound.path("service").to_owned();
        Ok(CreateTokenFor { room: room.clone(), principal, parent: None, wish: wish(inbound)? })
    };
    door.route(Method::POST, "/api/strongroom/v1/services/{service}/tokens", create_for, |minted| minted_answer(&minted));
    let room = identity.clone();
    let all = move |inbound: &Inbound| {
        let (page, [of]) = query(inbound, ["of"])?;
        Ok(ListTokens { room: room.clone(), of, page })
    };
    door.route(Method::GET, "/api/strongroom/v1/tokens", all, |page| {
        list("tokens", &page.rows, page.next.as_deref(), token_value)
    });
    let room = identity.clone();
    let access_key = move |_: &Inbound| Ok(ShowAccessKey { room: room.clone() });
    door.route(Method::POST, "/api/strongroom/v1/access-key", access_key, |key| {
        json(&json!({"access_key_id": key.id, "secret_access_key": key.secret.expose_text().unwrap_or_default()}))
    });
    let room = identity.clone();
    let revoke = move |inbound: &Inbound| Ok(RevokeToken { room: room.clone(), token: Some(inbound.path("token").to_owned()) });
    door.route(Method::DELETE, "/api/strongroom/v1/tokens/{token}", revoke, revoked);
    let room = identity.clone();
    let revoke_any = move |inbound: &Inbound| Ok(RevokeAnyToken { room: room.clone(), token: inbound.path("token").to_owned() });
    door.route(Method::DELETE, "/api/strongroom/v1/any-tokens/{token}", revoke_any, revoked);
}

fn wish(inbound: &Inbound) -> Result<TokenWish, Problem> {
    let NewToken { label, scopes, workspace, lifetime_s, only_this_device } = body(inbound)?;
    Ok(TokenWish {
        label: parse_label(label.as_deref().unwrap_or_default())?,
        scopes: parse_scopes(scopes.iter().map(String::as_str))?,
        workspace: workspace.as_deref().map(Name::parse).transpose()?,
        lifetime_s,
        only_this_device,
    })
}

fn minted_answer(minted: &MintedToken) -> Result<Answer, Problem> {
    let secret = minted.secret.expose_text().unwrap_or_default();
    json(&json!({"token": token_value(&minted.token), "secret": secret}))
}

fn revoked(count: u64) -> Result<Answer, Problem> {
    json(&json!({"revoked_count": count}))
}

fn token_value(token: &Token) -> Value {
    json!({
        "id": token.id,
        "principal": token.principal_id,
        "prefix": token.prefix,
        "label": token.label,
        "scopes": token.scopes,
        "workspace_id": token.workspace_id,
        "created_at": to_text(token.created_at),
        "expires_at": to_text(token.expires_at),
        "revoked_at": token.revoked_at.map(to_text),
        "last_used_on": token.last_used_day.map(date_text),
        "device": token.device_id,
    })
}

/// The day alone: it is not known more exactly.
fn date_text(day: i64) -> String {
    let begin = to_text(kernel::Micros(day.saturating_mul(86_400_000_000)));
    begin.split('T').next().unwrap_or_default().to_owned()
}
