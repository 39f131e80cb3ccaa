//! A command line on the browser's own machine is logged in: the page that asks, and the way back to it.

use askama::Template;
use http::{HeaderValue, Method, header};
use identity::Identity;
use identity::ops::account::GetMe;
use identity::ops::command_line::AgreeToLoopback;
use kernel::Problem;
use wire::authorize::{AUTHORIZE, Asked, asked};
use wire::{Door, Form, Inbound};

use crate::page::{lead_on_to, page, redirect};

#[derive(Template)]
#[template(path = "authorize.html")]
struct AuthorizeTemplate<'a> {
    name: &'a str,
    address: String,
    /// What the request said, to be said again with the agreement.
    fields: Vec<(&'a str, &'a str)>,
    denied: String,
}

#[derive(Template)]
#[template(path = "authorized.html")]
struct AuthorizedTemplate<'a> {
    back: &'a str,
}

/// What the agreement repeats of the request.
const FIELDS: [&str; 6] = ["client_id", "redirect_uri", "response_type", "code_challenge", "code_challenge_method", "state"];

/// Adds the pages.
pub fn routes(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let ask = move |inbound: &Inbound| {
        let form = inbound.query_form()?;
        let asked = asked(&form, &inbound.origin())?;
        Ok((GetMe { room: room.clone() }, (form, asked)))
    };
    door.route_with(Method::GET, AUTHORIZE, ask, |me, (form, asked)| match asked {
        Ok(asked) => ask_page(&me.name, &form, &asked),
        Err(back) => Ok(redirect(&back)),
    });
    let room = identity.clone();
    let agree = move |inbound: &Inbound| {
        let wrong = |_| Problem::invalid("this is not what the page asked; run `strongroom login` again");
        let Asked { challenge, back } = asked(&inbound.form()?, &inbound.origin())?.map_err(wrong)?;
        Ok((AgreeToLoopback { room: room.clone(), challenge, address: back.address }, back))
    };
    door.route_with(Method::POST, AUTHORIZE, agree, |code, way| {
        let back = way.with_code(&code);
        let may_redirect = way.address.has_source_expression();
        let mut answer = if may_redirect { redirect(&back) } else { page(&AuthorizedTemplate { back: &back })? };
        answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        Ok(answer)
    });
}

fn ask_page(name: &str, form: &Form, asked: &Asked) -> Result<wire::Answer, Problem> {
    let address = asked.back.address.to_string();
    let fields = FIELDS.iter().filter_map(|field| Some((*field, form.get(field)?))).collect();
    let mut answer = page(&AuthorizeTemplate { name, address: address.clone(), fields, denied: asked.back.with_denial() })?;
    if asked.back.address.has_source_expression() {
        lead_on_to(&mut answer, &address);
    }
    Ok(answer)
}
