//! `/endpoints`: which models answer, under which names.

use http::Method;
use kernel::{Problem, hex};
use serde::Deserialize;
use serde_json::{Value, json};
use serving::ops::{CreateEndpoint, DeleteEndpoint, GetEndpoint, Ready, SearchEndpoints, UpdateEndpoint};
use serving::{Endpoint, Serving};

use super::shape::{body, list, nothing, only, query};
use super::times::to_text;
use crate::{Door, Inbound, outbound};

const PREFIX: &str = "/api/strongroom/v1/endpoints";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    name: String,
    model: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    version: String,
}

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Serving) {
    let bound = |parse: fn(Serving, &Inbound) -> Result<SearchEndpoints, Problem>| {
        let room = room.clone();
        move |inbound: &Inbound| parse(room.clone(), inbound)
    };
    let page = bound(|room, inbound| {
        let (page, []) = query(inbound, [])?;
        Ok(SearchEndpoints { room, after: page.after, rows: page.rows })
    });
    door.route(Method::GET, PREFIX, page, |page| list("endpoints", &page.rows, page.next.as_deref(), endpoint));
    let one = format!("{PREFIX}/{{endpoint}}");
    let own = room.clone();
    let create = move |inbound: &Inbound| {
        let NewBody { name, model, version } = body(inbound)?;
        Ok(CreateEndpoint { room: own.clone(), name, model, choice: version })
    };
    door.route(Method::POST, PREFIX, create, |made| outbound::json(&endpoint(&made)));
    let own = room.clone();
    let get = move |inbound: &Inbound| {
        let [] = only(inbound, [])?;
        Ok(GetEndpoint { room: own.clone(), name: inbound.path("endpoint").to_owned() })
    };
    door.route(Method::GET, &one, get, |found| outbound::json(&ready(&found)));
    let own = room.clone();
    let update = move |inbound: &Inbound| {
        let ChangeBody { version } = body(inbound)?;
        Ok(UpdateEndpoint { room: own.clone(), name: inbound.path("endpoint").to_owned(), choice: version })
    };
    door.route(Method::POST, &one, update, |changed| outbound::json(&endpoint(&changed)));
    let own = room.clone();
    let delete = move |inbound: &Inbound| Ok(DeleteEndpoint { room: own.clone(), name: inbound.path("endpoint").to_owned() });
    door.route(Method::DELETE, &one, delete, |()| nothing());
}

fn endpoint(endpoint: &Endpoint) -> Value {
    json!({
        "id": endpoint.id,
        "name": endpoint.name,
        "model": endpoint.model,
        "version": endpoint.choice.to_string(),
        "created_at": to_text(endpoint.created_at),
        "created_by": endpoint.created_by,
        "changed_at": to_text(endpoint.changed_at),
        "changed_by": endpoint.changed_by,
    })
}

fn ready(found: &Ready) -> Value {
    let mut value = endpoint(&found.endpoint);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("ready".to_owned(), Value::from(found.model.is_some()));
        fields.insert("obstacle".to_owned(), json!(found.obstacle));
        fields.insert("answers_with".to_owned(), json!(found.model.as_ref().map(|model| model.number)));
        fields.insert("manifest_sha256".to_owned(), json!(found.model.as_ref().map(|model| hex(&model.manifest_sha256))));
        fields.insert("guard".to_owned(), json!(found.guard.as_ref().map(super::endpoint_guard::state)));
        fields.insert("format".to_owned(), json!(found.model.as_ref().map(|model| model.format())));
    }
    value
}
