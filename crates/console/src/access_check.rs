//! Who can do what on this, and why: one question, and the grants and policies that decide it.

use gate::{Operation, Visitor};
use http::Method;
use kernel::Problem;
use policy::{AccessCheck, ListRoles, Policy};
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::board::{Cell, Table, Tone};
use crate::page::page_in;
use crate::query::Query;
use crate::sections::{Field, Sections};

const PAGE: &str = "/console/access/check";
/// What can be asked about, as the admin API names it.
const KINDS: [&str; 8] = ["workspace", "experiment", "run", "registered_model", "logged_model", "dataset", "audit_log", "server"];

/// What was asked.
struct Question {
    who: String,
    verb: String,
    kind: String,
    resource: String,
}

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.policy.clone();
    door.choice(Method::GET, PAGE, &[ListRoles::ACTION, AccessCheck::ACTION], move |inbound| {
        let query = Query::of(inbound)?;
        let given = |wanted: &str| query.get(wanted).unwrap_or_default().to_owned();
        let (room, kind) = (room.clone(), query.get("kind").unwrap_or("workspace").to_owned());
        let question = Question { who: given("who"), verb: given("verb"), kind, resource: given("resource") };
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, room, question).await })))
    });
}

async fn shown(visitor: &Visitor, room: Policy, question: Question) -> Result<Answer, Problem> {
    let mut page = Sections::new("Who can do what, and why");
    page.back = ("Access", "/console/access".to_owned());
    let roles = visitor.call(ListRoles { room: room.clone() }).await?;
    let verbs: std::collections::BTreeSet<&str> = roles.iter().flat_map(|role| role.verbs.iter().map(String::as_str)).collect();
    let Question { who, verb, kind, resource } = question;
    let asked = !who.is_empty() && !verb.is_empty();
    page.fields = vec![
        Field::text("who", "Who", who.clone(), "a user, group or service"),
        Field::choice("verb", "Does what", verb.clone(), verbs.into_iter().map(str::to_owned).collect()),
        Field::choice("kind", "To", kind.clone(), KINDS.map(str::to_owned).to_vec()),
        Field::text("resource", "Which", resource.clone(), "a name or id; empty for the workspace"),
    ];
    if !asked {
        page.words.push(
            "The question is put to the policies as if somebody asked just now, with a good token and at no risk.".to_owned(),
        );
        return page_in(visitor.workspace(), &page);
    }
    let on = wire::admin::access::target(&kind, Some(resource))?;
    let answer = visitor.call(AccessCheck { room, principal: who.clone(), principal_kind: None, verb: verb.clone(), on }).await?;
    page.state = if answer.allowed {
        Cell::state(format!("{who} may {verb}"), Tone::Good)
    } else {
        Cell::state(format!("{who} may not {verb}"), Tone::Bad)
    };
    page.words.extend(answer.hint);
    let reasons = answer.reasons.iter().map(|reason| vec![Cell::text(reason.clone())]).collect();
    let title = "Grants and policies that decide it";
    page.sections.push(Table::whole("reasons", title, &["Because of"], reasons, "No grant and no policy allows it."));
    let (account, verb) = (crate::board::part(&answer.principal), crate::board::part(&verb));
    page.links = vec![("When they did it".to_owned(), format!("/console/audit?who={account}&what={verb}"))];
    page_in(visitor.workspace(), &page)
}
