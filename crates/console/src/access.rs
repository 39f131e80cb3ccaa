//! Who may do what: roles that are asked for, roles that are held.

use askama::Template;
use gate::{Operation, Visitor};
use http::Method;
use kernel::{Micros, Problem};
use policy::{
    DecideElevation, Elevation, ElevationState, EndElevation, ListElevations, ListGrants, ListRoles, On, OwnElevations, Policy,
    RequestElevation, Resource,
};
use wire::admin::grants;
use wire::{Answer, Chosen, Door, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, if_allowed, part};
use crate::page::{moment, page_in, redirect_in};
use crate::query::Query;
use crate::sections::Sections;

/// Where the page is.
pub const PAGE: &str = "/console/access";
const GRANT_ROWS: i64 = 100;
const HOUR_S: i64 = 3_600;
/// What may be asked for at once.
const HOURS_MAX: i64 = 12;

#[derive(Template)]
#[template(path = "access.html")]
struct AccessTemplate {
    waiting: Vec<Elevation>,
    own: Vec<Elevation>,
    roles: Vec<String>,
    may_ask: bool,
    grants: Option<Table>,
}

/// How an elevation stands, for its template.
const fn tone(state: &ElevationState) -> &'static str {
    match state {
        ElevationState::Asked => Tone::Wait.class(),
        ElevationState::Given => Tone::Good.class(),
        ElevationState::Refused | ElevationState::Broken => Tone::Bad.class(),
        ElevationState::Ended => Tone::Plain.class(),
    }
}

/// A moment, for its template.
fn shown_at(at: &Micros) -> String {
    moment(*at)
}

/// Whether there is something to give back.
const fn can_end(state: &ElevationState) -> bool {
    matches!(state, ElevationState::Asked | ElevationState::Given | ElevationState::Broken)
}

/// Adds the page and its forms.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let verbs = [OwnElevations::ACTION, ListElevations::ACTION, ListRoles::ACTION, ListGrants::ACTION];
    let room = rooms.policy.clone();
    door.choice(Method::GET, PAGE, &verbs, move |inbound| {
        let (room, query) = (room.clone(), Query::of(inbound)?);
        let narrowed = match (query.get("kind"), query.text("resource")) {
            (Some(kind), Some(resource)) => Some((grants::on(Some(kind), Some(resource.clone()))?, kind.to_owned(), resource)),
            _ => None,
        };
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                match narrowed {
                    Some(thing) => on_a_thing(visitor, room, thing, &query).await,
                    None => shown(visitor, room, query.text("after")).await,
                }
            })
        }))
    });
    let room = rooms.policy.clone();
    let request = move |inbound: &Inbound| {
        let form = inbound.form()?;
        let text = |name: &str| form.get(name).unwrap_or_default().trim().to_owned();
        let hours = text("hours").parse().ok().filter(|hours| (1..=HOURS_MAX).contains(hours));
        let hours: i64 = hours.ok_or_else(|| Problem::invalid(format!("hours are a number, from 1 to {HOURS_MAX}")))?;
        let seconds = hours.saturating_mul(HOUR_S);
        let (role, reason) = (text("role"), text("reason"));
        let request = RequestElevation { room: room.clone(), role, on: On::Workspace, seconds, reason };
        Ok((request, inbound.workspace().to_owned()))
    };
    door.route_with(Method::POST, PAGE, request, |_, workspace| Ok(redirect_in(&workspace, &format!("{PAGE}#own"))));
    let room = rooms.policy.clone();
    let decide = move |inbound: &Inbound| {
        let give = match inbound.form()?.get("decision") {
            Some("approve") => true,
            Some("refuse") => false,
            _ => return Err(Problem::invalid("`decision` is approve or refuse")),
        };
        let decide = DecideElevation { room: room.clone(), id: inbound.path("elevation").to_owned(), give };
        Ok((decide, inbound.workspace().to_owned()))
    };
    let at = format!("{PAGE}/{{elevation}}/decide");
    door.route_with(Method::POST, &at, decide, |_, workspace| Ok(redirect_in(&workspace, PAGE)));
    let room = rooms.policy.clone();
    let end = move |inbound: &Inbound| {
        let end = EndElevation { room: room.clone(), id: inbound.path("elevation").to_owned() };
        Ok((end, inbound.workspace().to_owned()))
    };
    let at = format!("{PAGE}/{{elevation}}/end");
    door.route_with(Method::POST, &at, end, |(), workspace| Ok(redirect_in(&workspace, &format!("{PAGE}#own"))));
}

/// What others ask for, here and on the server, where the visitor may see it.
///
/// # Errors
/// As the verb's.
pub async fn waiting(visitor: &Visitor, room: &Policy) -> Result<Vec<Elevation>, Problem> {
    let mut all = Vec::new();
    for of_server in [true, false] {
        let list = ListElevations { room: room.clone(), of_server, waiting_only: true };
        all.extend(if_allowed(visitor, list).await?.unwrap_or_default());
    }
    all.retain(|one| one.principal != visitor.caller().id);
    Ok(all)
}

/// Where a request is looked at and decided on.
pub fn decision_of(one: &Elevation) -> String {
    format!("{PAGE}/{}/decide", part(&one.id))
}

/// On what a role is asked for, in words.
pub fn place(one: &Elevation) -> String {
    match &one.resource {
        Resource::Server => "the whole server".to_owned(),
        Resource::Workspace(_) => "the workspace".to_owned(),
        other => format!("{} {}", other.kind().replace('_', " "), other.id()),
    }
}

async fn shown(visitor: &Visitor, room: Policy, after: Option<String>) -> Result<Answer, Problem> {
    let own = visitor.call(OwnElevations { room: room.clone() }).await?;
    let waiting = waiting(visitor, &room).await?;
    let roles = visitor.call(ListRoles { room: room.clone() }).await?;
    let on_workspace = |role: &&policy::Role| role.on.iter().any(|kind| kind == "workspace");
    let roles = roles.iter().filter(on_workspace).map(|role| role.name.clone()).collect();
    let ask =
        RequestElevation { room: room.clone(), role: String::new(), on: On::Workspace, seconds: HOUR_S, reason: String::new() };
    let may_ask = visitor.might(&ask).await?;
    let grants = ListGrants { room, on: On::Workspace, principal: None, after, limit: GRANT_ROWS };
    let grants = if_allowed(visitor, grants).await?.map(|page| grants_table(&page, &Query::default()));
    page_in(visitor.workspace(), &AccessTemplate { waiting, own, roles, may_ask, grants })
}

/// Where it is told who may do what with one thing, by its kind and its name or id.
pub fn address_of(kind: &str, resource: &str) -> String {
    format!("{PAGE}?kind={}&resource={}", part(kind), part(resource))
}

/// Who holds a role on one thing itself, and where the roles are that reach it from further up.
async fn on_a_thing(
    visitor: &Visitor,
    room: Policy,
    (on, kind, resource): (On, String, String),
    query: &Query,
) -> Result<Answer, Problem> {
    let named = format!("{} {resource}", kind.replace('_', " "));
    let mut page = Sections::new(format!("Who may do what with {named}"));
    page.back = ("Access", PAGE.to_owned());
    let list = ListGrants { room, on, principal: None, after: query.text("after"), limit: GRANT_ROWS };
    match if_allowed(visitor, list).await? {
        Some(found) => {
            let mut table = grants_table(&found, query);
            table.title = format!("Roles on {named} itself");
            table.empty = "Nobody holds a role on it alone.".to_owned();
            page.sections.push(table);
            page.words.push("Beside these, roles on the whole workspace and on the server reach it.".to_owned());
        }
        None => page.words.push("You may not see who holds roles on it.".to_owned()),
    }
    let check = Query::default().with("kind", &kind).with("resource", &resource).at("/console/access/check");
    page.links = vec![
        ("Whether somebody may do something with it, and why".to_owned(), check),
        ("Roles on the workspace".to_owned(), format!("{PAGE}#grants")),
    ];
    page_in(visitor.workspace(), &page)
}

fn grants_table(found: &policy::GrantPage, query: &Query) -> Table {
    let name = |one: &policy::Grant| found.names.get(&one.principal).unwrap_or(&one.principal).clone();
    let row = |one: &policy::Grant| {
        vec![
            Cell::link(name(one), format!("/console/access/check?who={}", part(&one.principal))),
            Cell::text(one.role.clone()),
            Cell::text(format!("{} {}", one.resource.kind(), one.resource.id())),
            Cell::text(one.expires_at.map_or_else(|| "never".to_owned(), moment)),
            Cell::text(one.justification.clone()),
        ]
    };
    Table::whole(
        "grants",
        "Roles on this workspace",
        &["Who", "Role", "On", "Ends", "Why"],
        found.grants.iter().map(row).collect(),
        "Nobody holds a role on this workspace itself.",
    )
    .going_on(found.next.as_ref().map(|next| format!("{}#grants", query.with("after", next).at(PAGE))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn grants_have_names_and_the_list_goes_on() {
        let grant = |id: &str, principal: &str| policy::Grant {
            id: id.to_owned(),
            principal: principal.to_owned(),
            principal_kind: policy::PrincipalKind::User,
            role: "viewer".to_owned(),
            resource: policy::Resource::Workspace("w".to_owned()),
            workspace: Some("w".to_owned()),
            created_by: "u_0".to_owned(),
            created_at: Micros(0),
            expires_at: None,
            justification: String::new(),
        };
        let names = BTreeMap::from([("u_1".to_owned(), "ann".to_owned())]);
        let page =
            policy::GrantPage { grants: vec![grant("g_1", "u_1"), grant("g_2", "u_gone")], next: Some("g_2".to_owned()), names };
        let table = grants_table(&page, &Query::default());
        assert_eq!((table.rows[0][0].text.as_str(), table.rows[1][0].text.as_str()), ("ann", "u_gone"));
        assert_eq!(table.next, "/console/access?after=g%5F2#grants");
        let narrowed = grants_table(&page, &Query::parse("kind=dataset&resource=d"));
        assert_eq!(narrowed.next, "/console/access?kind=dataset&resource=d&after=g%5F2#grants");
    }
}
