//! One service account: its tokens, and what can be done about it.

use gate::{Operation, Visitor};
use http::Method;
use identity::Principal;
use identity::ops::accounts::{DisableService, EnableService, GetService};
use identity::ops::sessions::ListSessions;
use identity::ops::tokens::ListTokens;
use kernel::Problem;
use wire::{Answer, Chosen, Door};

use crate::board::part;
use crate::page::{moment, page_in, redirect_in};
use crate::query::Query;
use crate::sections::{Deed, Sections};
use crate::{Rooms, credentials, people};

/// Where the pages are.
pub const PAGE: &str = "/console/services";

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let path = format!("{PAGE}/{{service}}");
    let behind = rooms.clone();
    door.choice(Method::GET, &path, &[GetService::ACTION, ListTokens::ACTION, ListSessions::ACTION], move |inbound| {
        let (rooms, service, query) = (behind.clone(), inbound.path("service").to_owned(), Query::of(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { one(visitor, &rooms, service, &query).await })))
    });
    let room = rooms.identity.clone();
    door.choice(Method::POST, &path, &[DisableService::ACTION, EnableService::ACTION], move |inbound| {
        let (room, service) = (room.clone(), inbound.path("service").to_owned());
        let form = inbound.form()?;
        let is_barred = match form.get("decision") {
            Some("disable") => {
                form.sure()?;
                true
            }
            Some("enable") => false,
            _ => return Err(Problem::invalid("`decision` is disable or enable")),
        };
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let to = format!("{PAGE}/{}", part(&service));
                if is_barred {
                    visitor.call(DisableService { room, service }).await?;
                } else {
                    visitor.call(EnableService { room, service }).await?;
                }
                Ok(redirect_in(visitor.workspace(), &to))
            })
        }))
    });
    credentials::routes(door, rooms, PAGE, "service");
}

async fn one(visitor: &Visitor, rooms: &Rooms, service: String, query: &Query) -> Result<Answer, Problem> {
    let found = visitor.call(GetService { room: rooms.identity.clone(), service }).await?;
    let at = format!("{PAGE}/{}", part(&found.id));
    let mut page = Sections::new(found.name.clone());
    page.back = ("People and services", people::PAGE.to_owned());
    page.state = people::state(&found);
    page.facts = vec![("Id in the log", found.id.clone()), ("Made", moment(found.created_at)), ("Made by", found.owner.clone())];
    page.acts = deed(visitor, rooms, &found, &at).await?.into_iter().collect();
    page.acting = credentials::tables(visitor, rooms, &found.id, (&at, query)).await?;
    page.links = people::links(&found);
    page_in(visitor.workspace(), &page)
}

async fn deed(visitor: &Visitor, rooms: &Rooms, found: &Principal, at: &str) -> Result<Option<Deed>, Problem> {
    let (room, service) = (rooms.identity.clone(), found.id.clone());
    let (may, decision, words, what) = if found.disabled {
        let may = visitor.might(&EnableService { room, service }).await?;
        (may, "enable", "Let it in again", "Its tokens that have not ended work again.")
    } else {
        let may = visitor.might(&DisableService { room, service }).await?;
        (may, "disable", "Bar this account", "Its tokens and access keys stop working in this moment. You can let it in again.")
    };
    Ok(may.then(|| Deed {
        action: at.to_owned(),
        words,
        what: what.to_owned(),
        hidden: vec![("decision", decision.to_owned())],
        is_plain: found.disabled,
        is_grave: !found.disabled,
    }))
}
