//! `/sources`: the register of trusted sources.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data::ops::{AddSource, ListSources, NewSource, RemoveSource};
use data::{Data, SourceKey, TrustedSource};
use http::Method;
use kernel::{Problem, hex, parse_hex};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, list, nothing, only};
use super::times::to_text;
use crate::{Door, Inbound, outbound};

const PREFIX: &str = "/api/strongroom/v1/sources";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceBody {
    name: String,
    pattern: String,
    /// The digest of the one manifest that it gives, in hex.
    digest: Option<String>,
    /// The Ed25519 key that it signs with, in base64.
    public_key: Option<String>,
    owner: String,
    licence: String,
    #[serde(default)]
    purposes: Vec<String>,
}

/// Adds these routes.
pub fn routes(door: &mut Door, data: &Data) {
    let room = data.clone();
    let all = move |inbound: &Inbound| only(inbound, []).map(|[]| ListSources { room: room.clone() });
    door.route(Method::GET, PREFIX, all, |sources| list("sources", &sources, None, source_value));
    let room = data.clone();
    let add = move |inbound: &Inbound| Ok(AddSource { room: room.clone(), source: new_source(body(inbound)?)? });
    door.route(Method::POST, PREFIX, add, |source| outbound::json(&source_value(&source)));
    let room = data.clone();
    let remove = move |inbound: &Inbound| Ok(RemoveSource { room: room.clone(), name: inbound.path("source").to_owned() });
    door.route(Method::DELETE, &format!("{PREFIX}/{{source}}"), remove, |()| nothing());
}

fn new_source(wish: SourceBody) -> Result<NewSource, Problem> {
    let wrong = |name: &str, how: &str| Problem::invalid(format!("`{name}` is 32 bytes in {how}"));
    let key = match (&wish.digest, &wish.public_key) {
        (None, None) => SourceKey::Address,
        (Some(text), None) => {
            let bytes = parse_hex(text).and_then(|bytes| bytes.try_into().ok());
            SourceKey::Digest(bytes.ok_or_else(|| wrong("digest", "hex"))?)
        }
        (None, Some(text)) => {
            let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
            SourceKey::PublicKey(bytes.ok_or_else(|| wrong("public_key", "base64"))?)
        }
        (Some(_), Some(_)) => return Err(Problem::invalid("a source has a digest or a public key, not both")),
    };
    let SourceBody { name, pattern, owner, licence, purposes, .. } = wish;
    Ok(NewSource { name, pattern, key, data_owner: owner, licence, purposes })
}

fn source_value(source: &TrustedSource) -> Value {
    let (digest, public_key) = match source.key {
        SourceKey::Address => (None, None),
        SourceKey::Digest(digest) => (Some(hex(&digest)), None),
        SourceKey::PublicKey(key) => (None, Some(STANDARD.encode(key))),
    };
    json!({
        "name": source.name,
        "id": source.id,
        "pattern": source.pattern,
        "digest": digest,
        "public_key": public_key,
        "owner": source.data_owner,
        "licence": source.licence,
        "purposes": source.purposes,
        "added_at": to_text(source.added_at),
        "added_by": source.added_by,
    })
}
