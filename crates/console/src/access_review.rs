//! Who may do more than they use, and how somebody could come to more: the review of all grants with what it proposes, one proposal with a button that
//! carries it out, and the ways up.

use std::collections::BTreeMap;

use gate::{Operation, Visitor};
use http::Method;
use identity::PageWish;
use identity::ops::workspaces::ListWorkspaces;
use kernel::{Kind, Micros, Problem};
use policy::{
    Advice, CreateGrant, Enumeration, EscalationPath, FindPaths, GrantReview, On, PathsFound, Policy, Resource, ReviewAccess,
    ReviewReport, RevokeGrant,
};
use wire::{Answer, Chosen, Door, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, part, shortened};
use crate::listing::asked;
use crate::page::{moment, page_in, redirect, redirect_in};
use crate::query::Query;
use crate::sections::{Deed, Field, Sections};

const PAGE: &str = "/console/access/review";
const PATHS: &str = "/console/access/paths";
/// How far back, if nobody says.
const DAYS: i64 = 90;
const DAY_US: i64 = 86_400_000_000;
/// Workspaces that are asked for at once, and how often: those behind them are shown by their id.
const WORKSPACE_ROWS: usize = 1_000;
const WORKSPACE_PAGES: usize = 50;
/// Rows of each list on one page, and of a list of ways up.
const ROWS: usize = 80;
const PATH_ROWS: usize = 40;
/// Characters of what is advised and why, of what a way up leads to, of its steps and of its evidence.
const ADVICE_CHARS_MAX: usize = 200;
const GOAL_CHARS_MAX: usize = 500;
const STEPS_CHARS_MAX: usize = 700;
const EVIDENCE_CHARS_MAX: usize = 300;
/// Characters of the places where one grant was used.
const PLACES_CHARS_MAX: usize = 4_000;

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let both = rooms.clone();
    door.choice(Method::GET, PAGE, &[ReviewAccess::ACTION, ListWorkspaces::ACTION], move |inbound| {
        let (rooms, days, query) = (both.clone(), days(inbound)?, Query::of(inbound)?);
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let report = visitor.call(ReviewAccess { room: rooms.policy.clone(), days }).await?;
                let names = workspace_names(visitor, &rooms).await?;
                page_in(visitor.workspace(), &in_parts(review_page(&report, days, &names), ROWS, &query, PAGE)?)
            })
        }))
    });
    let room = rooms.policy.clone();
    let paths = move |inbound: &Inbound| {
        let days = days(inbound)?;
        Ok((FindPaths { room: room.clone(), days }, (days, Query::of(inbound)?, inbound.workspace().to_owned())))
    };
    door.route_with(Method::GET, PATHS, paths, |paths, (days, query, workspace)| {
        page_in(&workspace, &in_parts(paths_page(&paths, days), PATH_ROWS, &query, PATHS)?)
    });
    let path = format!("{PAGE}/{{grant}}");
    let both = rooms.clone();
    door.choice(Method::GET, &path, &[ReviewAccess::ACTION, ListWorkspaces::ACTION], move |inbound| {
        let (rooms, id, days) = (both.clone(), inbound.path("grant").to_owned(), days(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { proposal(visitor, &rooms, &id, days).await })))
    });
    let room = rooms.policy.clone();
    let verbs = [ReviewAccess::ACTION, CreateGrant::ACTION, RevokeGrant::ACTION];
    door.choice(Method::POST, &path, &verbs, move |inbound| {
        let form = inbound.form()?;
        let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
        let days = text("days").parse().map_err(|_| Problem::invalid("`days` is a number"))?;
        let (room, id, seen) = (room.clone(), inbound.path("grant").to_owned(), text("proposal"));
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { carry_out(visitor, room, (id, days), seen).await })))
    });
}

fn days(inbound: &Inbound) -> Result<i64, Problem> {
    let given = asked(inbound, "days")?;
    given.map_or(Ok(DAYS), |days| days.parse().map_err(|_| Problem::invalid("`days` is a number, from 7 to 365")))
}

/// The page with a part of each of its lists.
fn in_parts(page: Sections, rows: usize, query: &Query, address: &str) -> Result<Sections, Problem> {
    let sections = page.sections.into_iter().map(|table| table.in_parts(rows, query, address)).collect::<Result<_, _>>()?;
    Ok(Sections { sections, ..page })
}

fn days_field(days: i64) -> Field {
    Field::text("days", "Days back", days.to_string(), "7 to 365")
}

/// Where a role is held, by the name of its workspace where somebody may know it.
fn place(on: &Resource, names: &BTreeMap<String, String>) -> String {
    match on {
        Resource::Server => "the server".to_owned(),
        Resource::Workspace(id) => format!("workspace {}", names.get(id).unwrap_or(id)),
        _ => format!("{} {}", on.kind().replace('_', " "), on.id()),
    }
}

/// The proposal as one text: what the page shows, and, with ids alone, what the button must find again.
fn proposed(advice: &Advice, names: &BTreeMap<String, String>) -> String {
    match advice {
        Advice::Keep => "keep".to_owned(),
        Advice::Revoke => "revoke".to_owned(),
        Advice::Narrow(to) => {
            let to: Vec<String> = to.iter().map(|(role, on)| format!("{role} on {}", place(on, names))).collect();
            to.join(", ")
        }
    }
}

fn when(at: Option<Micros>) -> String {
    at.map_or_else(|| "never".to_owned(), moment)
}

fn review_page(report: &ReviewReport, days: i64, names: &BTreeMap<String, String>) -> Sections {
    let mut page = Sections::new("Who may do more than they use");
    page.back = ("Access", "/console/access".to_owned());
    page.fields = vec![days_field(days)];
    let advised = report.grants.iter().filter(|one| one.advice != Advice::Keep).count();
    page.state = if advised == 0 {
        Cell::state("nothing to take back", Tone::Good)
    } else {
        Cell::state(format!("{advised} of {} grants give more than is used", report.grants.len()), Tone::Wait)
    };
    page.words = vec![checked(report)];
    if report.counted_since.is_none_or(|since| report.grants.iter().any(|one| one.grant.created_at < since)) {
        let since = report.counted_since.map_or_else(|| "not yet".to_owned(), moment);
        page.words
            .push(format!("Uses are counted since: {since}. Nothing is called unused that was not counted for {days} days."));
    }
    let row = |one: &GrantReview| {
        let words = shortened(&proposed(&one.advice, names), ADVICE_CHARS_MAX);
        let advice = match one.advice {
            Advice::Keep => Cell::text(words),
            Advice::Revoke | Advice::Narrow(_) => Cell::link(words, format!("{PAGE}/{}?days={days}", part(&one.grant.id))),
        };
        vec![
            Cell::text(one.who.clone()),
            Cell::text(one.grant.role.clone()),
            Cell::text(place(&one.grant.resource, names)),
            Cell::text(when(one.last_used)),
            Cell::text(format!("{} of {} verbs", one.used_verbs.len(), one.granted_count)),
            advice,
            Cell::text(shortened(&one.why, ADVICE_CHARS_MAX)),
        ]
    };
    // What is advised comes first: it is what somebody came for.
    let mut grants: Vec<&GrantReview> = report.grants.iter().collect();
    grants.sort_by_key(|one| one.advice == Advice::Keep);
    let columns = ["Who", "Role", "On", "Last used", "Used", "Advice", "Why"];
    page.sections.push(Table::whole("grants", "Grants", &columns, grants.into_iter().map(row).collect(), "Nobody holds a role."));
    let dormant = report
        .dormant
        .iter()
        .map(|one| vec![Cell::text(one.name.clone()), Cell::text(when(one.last_used)), Cell::text(one.grant_count.to_string())]);
    let columns = ["Who", "Last seen", "Grants"];
    page.sections.push(Table::whole("dormant", "Accounts that do nothing", &columns, dormant.collect(), "None."));
    let tokens = report.tokens.iter().map(|one| {
        let used = one.last_used_day.map(|day| Micros(day.saturating_mul(DAY_US)));
        let (label, used) = (Cell::text(one.label.clone()), Cell::text(when(used)));
        vec![Cell::text(one.who.clone()), label, Cell::text(moment(one.created_at)), used, Cell::text(one.why)]
    });
    let columns = ["Whose", "Token", "Made", "Last used", "Why it is named"];
    page.sections.push(Table::whole("tokens", "Tokens that are old or unused", &columns, tokens.collect(), "None."));
    page.links = vec![("How somebody could come to more".to_owned(), PATHS.to_owned())];
    page
}

/// How two sets of grants were compared, and what that does not show.
pub fn how_compared(found: &Enumeration) -> String {
    let most =
        if found.complete { "all verbs at all places that grants or the past name" } else { "as many as there was time for" };
    let rest = match &found.proof {
        Some(proof) if proof.open_count == 0 => format!("{} showed that nothing else can be", proof.solver),
        Some(proof) => format!(
            "{} showed of {} verbs at kinds of places that nothing else can be, and had no answer for {}",
            proof.solver, proof.proved_count, proof.open_count
        ),
        None => "which says nothing about what it did not ask".to_owned(),
    };
    format!("{most}; by enumeration; {rest}")
}

/// How the proposals were checked, and what that does not show.
fn checked(report: &ReviewReport) -> String {
    let found = &report.enumeration;
    format!(
        "{} requests of the past were asked again under the proposals: {} of them would be denied. {} requests were compared for what would \
         newly be allowed ({}): {}.",
        report.replayed_count,
        report.denied.len(),
        found.compared_count,
        how_compared(found),
        if found.widened.is_empty() { "nothing".to_owned() } else { format!("{} would be", found.widened.len()) },
    )
}

async fn reviewed(visitor: &Visitor, room: Policy, id: &str, days: i64) -> Result<(GrantReview, String), Problem> {
    let mut report = visitor.call(ReviewAccess { room, days }).await?;
    let checked = checked(&report);
    let at = report.grants.iter().position(|one| one.grant.id == id);
    let at = at.ok_or_else(|| Problem::not_found("there is no such grant any more"))?;
    Ok((report.grants.swap_remove(at), checked))
}

async fn proposal(visitor: &Visitor, rooms: &Rooms, id: &str, days: i64) -> Result<Answer, Problem> {
    let (one, checked) = reviewed(visitor, rooms.policy.clone(), id, days).await?;
    let address = format!("{PAGE}/{}", part(id));
    // A grant is changed in its own workspace, so the page is seen there.
    let names = workspace_names(visitor, rooms).await?;
    let home = one.grant.workspace.as_ref().and_then(|id| names.get(id)).filter(|home| *home != visitor.workspace());
    if let Some(home) = home {
        return Ok(redirect(&format!("{address}?workspace={}&days={days}", part(home))));
    }
    let mut page = Sections::new(format!("{}: {} on {}", one.who, one.grant.role, place(&one.grant.resource, &names)));
    page.back = ("The review", format!("{PAGE}?days={days}"));
    page.state = match one.advice {
        Advice::Keep => Cell::state("keep it", Tone::Good),
        _ => Cell::state(format!("proposed: {}", proposed(&one.advice, &names)), Tone::Wait),
    };
    page.words = vec![one.why.clone(), checked];
    page.facts = vec![
        ("Given", format!("{} by {}", moment(one.grant.created_at), one.grant.created_by)),
        ("Ends", when(one.grant.expires_at)),
        ("For what", one.grant.justification.clone()),
        ("Last used", when(one.last_used)),
        ("Where", shortened(&one.used_places.join(", "), PLACES_CHARS_MAX)),
        ("On one day only", one.once_verbs.join(", ")),
    ];
    page.facts.retain(|(_, value)| !value.is_empty());
    let verbs = one.used_verbs.iter().map(|verb| vec![Cell::text(verb.clone())]).collect();
    let title = format!("What was used of it: {} of {} verbs", one.used_verbs.len(), one.granted_count);
    page.sections.push(Table::whole("used", title, &["Verb"], verbs, "Nothing."));
    if one.advice == Advice::Keep {
        return page_in(visitor.workspace(), &page);
    }
    let may = visitor.might(&RevokeGrant { room: rooms.policy.clone(), id: id.to_owned() }).await?;
    if may && replacing(&one.advice).is_some() {
        page.acts.push(Deed {
            action: address,
            words: if one.advice == Advice::Revoke { "Take it back" } else { "Narrow it" },
            what: "New grants come first, then the old one ends, each in the log. If the proposal has changed meanwhile, nothing is done.".to_owned(),
            hidden: vec![("days", days.to_string()), ("proposal", proposed(&one.advice, &BTreeMap::new()))],
            is_plain: false,
            is_grave: false,
        });
    } else if may {
        page.words.push(
            "A role on one model or data set is given by its name: `strongroom grant create`, then `strongroom grant revoke`."
                .to_owned(),
        );
    }
    page_in(visitor.workspace(), &page)
}

/// The names of the workspaces that somebody may see, by id.
async fn workspace_names(visitor: &Visitor, rooms: &Rooms) -> Result<BTreeMap<String, String>, Problem> {
    let (mut names, mut after) = (BTreeMap::new(), None);
    for _ in 0..WORKSPACE_PAGES {
        let page = PageWish { rows: Some(WORKSPACE_ROWS), after };
        let found = visitor.call(ListWorkspaces { room: rooms.identity.clone(), page }).await?;
        names.extend(found.rows.into_iter().map(|one| (one.id, one.name)));
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    Ok(names)
}

/// What stands in for a grant, where the page can give it: places that are named by what the log knows.
fn replacing(advice: &Advice) -> Option<Vec<(String, On)>> {
    let Advice::Narrow(to) = advice else { return Some(Vec::new()) };
    let on = |on: &Resource| match on {
        Resource::Server => Some(On::Server),
        Resource::Workspace(_) => Some(On::Workspace),
        Resource::Experiment(id) => Some(On::Experiment(id.to_string())),
        Resource::RegisteredModel(_) | Resource::Dataset(_) => None,
    };
    to.iter().map(|(role, place)| Some((role.clone(), on(place)?))).collect()
}

async fn carry_out(visitor: &Visitor, room: Policy, (id, days): (String, i64), seen: String) -> Result<Answer, Problem> {
    let (one, _) = reviewed(visitor, room.clone(), &id, days).await?;
    if one.advice == Advice::Keep || proposed(&one.advice, &BTreeMap::new()) != seen {
        return Err(Problem::new(Kind::Conflict, "the proposal has changed since you saw it; nothing was done: look again"));
    }
    let to = replacing(&one.advice).ok_or_else(|| Problem::invalid("this proposal is carried out by `strongroom grant`"))?;
    let GrantReview { grant, .. } = one;
    // What somebody keeps comes first: at no moment can they do less than they will.
    for (role, on) in to {
        let justification = format!("in place of {id}: {}", grant.justification);
        let justification = justification.chars().take(500).collect();
        let (room, principal) = (room.clone(), grant.principal.clone());
        visitor.call(CreateGrant { room, principal, role, on, expires_at: grant.expires_at, justification }).await?;
    }
    visitor.call(RevokeGrant { room, id }).await?;
    Ok(redirect_in(visitor.workspace(), &format!("{PAGE}?days={days}")))
}

fn paths_page(found: &PathsFound, days: i64) -> Sections {
    let paths = &found.paths;
    let mut page = Sections::new("How somebody could come to more");
    page.back = ("Access", "/console/access".to_owned());
    page.fields = vec![days_field(days)];
    let repairable = paths.iter().filter(|one| !one.by_office).count();
    page.state = match repairable {
        0 if found.left_off.is_empty() => Cell::state("no way up is open", Tone::Good),
        0 => Cell::state("no way up was found, and not all was looked at", Tone::Wait),
        count => Cell::state(format!("{count} ways up to close"), Tone::Bad),
    };
    page.words = vec![
        "Each is the shortest way, by grants, accounts and records as they are now. What administrators can do by their office is watched, not repaired. \
         What is cut here, `strongroom access paths` tells in full."
            .to_owned(),
    ];
    page.words.extend(found.left_off.iter().map(|words| format!("Left out: {words}.")));
    let row = |one: &EscalationPath| {
        let mut steps: Vec<String> = one.steps.iter().map(|step| step.words.clone()).collect();
        if one.like_count > 0 {
            steps.push(format!("and in the same way over {} other accounts", one.like_count));
        }
        let evidence: Vec<&str> = one.steps.iter().flat_map(|step| step.evidence.iter().map(String::as_str)).collect();
        vec![
            Cell::text(one.who.clone()),
            Cell::text(shortened(&one.goal(), GOAL_CHARS_MAX)),
            Cell::text(shortened(&steps.join("; then "), STEPS_CHARS_MAX)),
            Cell::text(shortened(&evidence.join(", "), EVIDENCE_CHARS_MAX)),
        ]
    };
    let columns = ["Who", "Comes to", "How", "Evidence"];
    let rows_of = |by_office: bool| paths.iter().filter(|one| one.by_office == by_office).map(row).collect::<Vec<_>>();
    page.sections.push(Table::whole("paths", "Ways up", &columns, rows_of(false), "None was found."));
    page.sections.push(Table::whole("office", "By office", &columns, rows_of(true), "None."));
    page.links = vec![("Who may do more than they use".to_owned(), PAGE.to_owned())];
    page
}
