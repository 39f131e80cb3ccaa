//! A role that somebody asks for: what it would newly allow, and the decision.

use std::collections::BTreeMap;

use gate::{Operation, Visitor};
use http::Method;
use kernel::Problem;
use policy::{DecideElevation, ElevationPreview, Enumeration, Policy, PreviewElevation, Resource, ReviewedRequest};
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::access::{self, PAGE};
use crate::access_review::how_compared;
use crate::board::{Cell, Table, Tone, called, counted, shortened};
use crate::page::{moment, page_in};
use crate::query::Query;
use crate::sections::{Deed, Sections};

/// Places on one page: with all verbs at each it stays a page of usual weight.
const ROWS: usize = 20;
/// Characters of the verbs at one place.
const VERBS_CHARS_MAX: usize = 4_000;

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.policy.clone();
    let path = format!("{PAGE}/{{elevation}}/decide");
    door.choice(Method::GET, &path, &[PreviewElevation::ACTION], move |inbound| {
        let (room, id, query) = (room.clone(), inbound.path("elevation").to_owned(), Query::of(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, room, id, &query).await })))
    });
}

async fn shown(visitor: &Visitor, room: Policy, id: String, query: &Query) -> Result<Answer, Problem> {
    let preview = visitor.call(PreviewElevation { room: room.clone(), id: id.clone() }).await?;
    let one = &preview.elevation;
    let address = access::decision_of(one);
    let mut page = told(&preview);
    let rows = by_place(&preview.newly.widened, &own_place(&one.resource));
    let table = Table::whole("newly", "What it would newly allow", &COLUMNS, rows, "Nothing.");
    page.sections.push(table.in_parts(ROWS, query, &address)?);
    if one.principal == visitor.caller().id {
        page.words.push("Nobody decides on a request of their own; a second person does.".to_owned());
    } else if visitor.might(&DecideElevation { room, id, give: true }).await? {
        let until = format!("It ends by itself after {} minutes.", one.seconds / 60);
        page.acts = vec![
            decision(&address, ("approve", "Give it"), until),
            decision(&address, ("refuse", "Refuse"), "Nothing is given.".to_owned()),
        ];
    }
    page_in(visitor.workspace(), &page)
}

const COLUMNS: [&str; 3] = ["Where", "How many verbs", "Which"];

fn decision(address: &str, (value, words): (&str, &'static str), what: String) -> Deed {
    Deed {
        action: address.to_owned(),
        words,
        what,
        hidden: vec![("decision", value.to_owned())],
        is_plain: value != "approve",
        is_grave: false,
    }
}

/// The page without its table and its buttons.
fn told(preview: &ElevationPreview) -> Sections {
    let (one, newly) = (&preview.elevation, &preview.newly);
    let who = called(one.principal_name.as_ref(), &one.principal);
    let mut page = Sections::new(format!("{who} asks for the role {}", one.role));
    page.back = ("Access", PAGE.to_owned());
    page.state = verdict(newly);
    let compared = counted(newly.compared_count, "request");
    page.words = vec![format!("{compared} compared, with the role and without ({}).", how_compared(newly))];
    page.facts = vec![
        ("On", access::place(one)),
        ("For", format!("{} minutes", one.seconds / 60)),
        ("Why", one.reason.clone()),
        ("Asked", moment(one.asked_at)),
    ];
    page
}

fn verdict(newly: &Enumeration) -> Cell {
    let is_open = !newly.complete || newly.proof.as_ref().is_some_and(|proof| proof.open_count > 0);
    match newly.widened.len() {
        0 if is_open => Cell::state("nothing new was found, and not all was compared", Tone::Wait),
        0 => Cell::state("it would allow nothing new", Tone::Good),
        count => Cell::state(format!("{} would newly be allowed", counted(count, "request")), Tone::Wait),
    }
}

/// What a role is asked for on, as the preview calls it.
fn own_place(on: &Resource) -> String {
    match on {
        Resource::Server => "server".to_owned(),
        other => format!("{}:{}", other.kind(), other.id()),
    }
}

/// What would newly be allowed, by where: first there where the role is asked for, then what lies inside.
fn by_place(newly: &[ReviewedRequest], own: &str) -> Vec<Vec<Cell>> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in newly {
        places.entry(one.place.as_str()).or_default().push(one.verb.as_str());
    }
    let row = |(place, verbs): (&str, Vec<&str>)| {
        let which = shortened(&verbs.join(", "), VERBS_CHARS_MAX);
        vec![Cell::text(place), Cell::text(verbs.len().to_string()), Cell::text(which)]
    };
    let mut places: Vec<(&str, Vec<&str>)> = places.into_iter().collect();
    places.sort_by_key(|(place, _)| *place != own);
    places.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(verb: &str, place: &str) -> ReviewedRequest {
        ReviewedRequest { who: "ada".to_owned(), verb: verb.to_owned(), place: place.to_owned() }
    }

    #[test]
    fn what_is_new_is_told_place_by_place() {
        let new =
            [request("runs.log", "workspace:w"), request("runs.get", "experiment:7"), request("runs.create", "workspace:w")];
        let rows = by_place(&new, &own_place(&Resource::Workspace("w".to_owned())));
        let texts: Vec<Vec<&str>> = rows.iter().map(|row| row.iter().map(|cell| cell.text.as_str()).collect()).collect();
        assert_eq!(texts, [["workspace:w", "2", "runs.log, runs.create"], ["experiment:7", "1", "runs.get"]]);
    }

    #[test]
    fn nothing_found_is_only_good_where_all_was_compared() {
        let newly = |complete: bool, widened: Vec<ReviewedRequest>| Enumeration { complete, widened, ..Enumeration::default() };
        assert_eq!(verdict(&newly(true, Vec::new())).tone, Tone::Good);
        assert_eq!(verdict(&newly(false, Vec::new())).tone, Tone::Wait);
        let open = policy::Proof { open_count: 1, ..policy::Proof::default() };
        assert_eq!(verdict(&Enumeration { proof: Some(open), ..newly(true, Vec::new()) }).tone, Tone::Wait);
        assert_eq!(verdict(&newly(true, vec![request("runs.log", "workspace:w")])).text, "1 request would newly be allowed");
    }
}
