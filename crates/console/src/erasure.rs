//! Erasure: what predictions hold of a subject, that it opens no more, and the record of that; what was erased; and how all else is erased, with
//! what each way leaves.

use ::audit::proof::TlogProof;
use askama::Template;
use gate::{Operation, Visitor};
use http::Method;
use kernel::{Kind, Problem};
use predictions::Erasure;
use predictions::ops::{EraseSubject, FindSubject, Held, ListErasures, ProveErasure};
use wire::{Answer, Chosen, Door, Inbound};

use crate::Rooms;
use crate::audit::record_page;
use crate::board::{Cell, Table, called, counted, part};
use crate::listing::after;
use crate::page::{moment, page_in, redirect_in};

/// Where the pages are.
pub const PAGE: &str = "/console/erasure";
/// Erasures of one page.
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "erasure.html")]
struct ErasureTemplate {
    may_erase: bool,
    /// Whom somebody looked for; empty before that.
    subject: String,
    /// Why nothing was found.
    fault: String,
    found: Option<Found>,
    done: Table,
    ways: Table,
}

/// What is kept of a subject.
struct Found {
    verdict: String,
    counts: Table,
}

/// What a form asks for.
enum Asked {
    Look(String),
    Erase(String),
}

/// The verb that lists erasures.
pub fn list(rooms: &Rooms, after: Option<String>) -> ListErasures {
    ListErasures { room: rooms.predictions.clone(), after, rows: Some(ROWS) }
}

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let own = rooms.clone();
    door.choice(Method::GET, PAGE, &[ListErasures::ACTION], move |inbound| {
        let (rooms, after) = (own.clone(), after(inbound)?);
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move { shown(visitor, &rooms, after, String::new(), None, String::new()).await })
        }))
    });
    let own = rooms.clone();
    door.choice(Method::POST, PAGE, &[FindSubject::ACTION, EraseSubject::ACTION], move |inbound| {
        let (rooms, form) = (own.clone(), inbound.form()?);
        let subject = form.get("subject").unwrap_or_default().trim().to_owned();
        let asked = match form.get("decision") {
            Some("look") => Asked::Look(subject),
            Some("erase") => {
                form.sure()?;
                Asked::Erase(subject)
            }
            _ => return Err(Problem::invalid("`decision` is look or erase")),
        };
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { acted(visitor, &rooms, asked).await })))
    });
    let room = rooms.predictions.clone();
    let prove = move |inbound: &Inbound| {
        let entry = inbound.path("erasure").to_owned();
        Ok((ProveErasure { room: room.clone(), entry }, inbound.workspace().to_owned()))
    };
    door.route_with(Method::GET, &format!("{PAGE}/{{erasure}}"), prove, |(erasure, receipt), workspace| {
        let unreadable = |error| Problem::internal("a receipt of the log cannot be read", error);
        let index = TlogProof::parse(&receipt.proof).map_err(unreadable)?.index;
        let facts = facts(&erasure);
        record_page(&workspace, (index, &receipt.record), (receipt.proof, receipt.log_key), ("Erasure", PAGE), facts)
    });
}

async fn acted(visitor: &Visitor, rooms: &Rooms, asked: Asked) -> Result<Answer, Problem> {
    let room = rooms.predictions.clone();
    match asked {
        Asked::Erase(subject) => {
            let erased = visitor.call(EraseSubject { room, subject }).await?;
            Ok(redirect_in(visitor.workspace(), &address(&erased.entry)))
        }
        Asked::Look(subject) => {
            let (held, fault) = match visitor.call(FindSubject { room, subject: subject.clone() }).await {
                Ok(held) => (Some(held), String::new()),
                Err(problem) if matches!(problem.kind(), Kind::NotFound | Kind::Invalid) => (None, problem.message().to_owned()),
                Err(problem) => return Err(problem),
            };
            shown(visitor, rooms, None, subject, held, fault).await
        }
    }
}

async fn shown(
    visitor: &Visitor,
    rooms: &Rooms,
    after: Option<String>,
    subject: String,
    held: Option<Held>,
    fault: String,
) -> Result<Answer, Problem> {
    let page = visitor.call(list(rooms, after)).await?;
    let may_erase = visitor.might(&EraseSubject { room: rooms.predictions.clone(), subject: String::new() }).await?;
    let next = page.next.map(|next| format!("{PAGE}?after={}#done", part(&next)));
    let columns = ["When", "By", "Predictions that held it", "Stood for it until then"];
    let rows = page.rows.iter().map(row).collect();
    let done = Table::whole("done", "What was erased, the newest first", &columns, rows, "Nothing was erased yet.");
    let template =
        ErasureTemplate { may_erase, subject, fault, found: held.as_ref().map(found), done: done.going_on(next), ways: ways() };
    page_in(visitor.workspace(), &template)
}

fn address(entry: &str) -> String {
    format!("{PAGE}/{}", part(entry))
}

fn who(erasure: &Erasure) -> String {
    called(erasure.by_name.as_ref(), &erasure.by)
}

fn row(one: &Erasure) -> Vec<Cell> {
    vec![
        Cell::link(moment(one.at), address(&one.entry)),
        Cell::text(who(one)),
        Cell::text(one.request_count.to_string()),
        Cell::text(one.subject_id.clone()),
    ]
}

fn facts(one: &Erasure) -> Vec<(&'static str, String)> {
    vec![
        ("Erased", format!("{} by {}", moment(one.at), who(one))),
        ("Predictions that held the subject", one.request_count.to_string()),
        ("Stood for it until then", one.subject_id.clone()),
        (
            "What that means",
            "What was sealed under its key opens no more, wherever it lies; the records of the predictions stay.".to_owned(),
        ),
    ]
}

fn found(held: &Held) -> Found {
    let count = usize::try_from(held.request_count).unwrap_or_default();
    let mut verdict = format!("{} held of this subject since {}.", counted(count, "prediction"), moment(held.since));
    if count == 0 {
        verdict = format!(
            "No prediction is known to hold this subject, which was first named {}: its key can go all the same.",
            moment(held.since)
        );
    }
    if held.uncounted_batch_count > 0 {
        let batches = held.uncounted_batch_count;
        verdict.push_str(&format!(
            " Batches that were sealed before subjects were counted ({batches}) may hold it too: an erasure reaches those as well."
        ));
    }
    let row = |one: &predictions::Count| {
        let number = one.version.rsplit_once('/').map_or("", |(_, number)| number);
        let version = match &one.model {
            Some(model) => {
                Cell::link(format!("{model}/{number}"), crate::models::address(model, number.parse().unwrap_or_default()))
            }
            None => Cell::text(format!("version {number} of a deleted model")),
        };
        vec![
            Cell::text(one.endpoint.clone()),
            version,
            Cell::text(one.request_count.to_string()),
            Cell::text(one.row_count.to_string()),
            Cell::text(format!("{} to {}", moment(one.first_at), moment(one.last_at))),
        ]
    };
    let columns = ["Endpoint", "Version", "Predictions", "Rows", "In batches from"];
    let rows = held.counts.iter().map(row).collect();
    Found { verdict, counts: Table::whole("held", "Where it stands", &columns, rows, "Nowhere, as far as that was counted.") }
}

/// How things are erased, and what that leaves.
fn ways() -> Table {
    let way = |what: &str, how: Cell, goes: &str, stays: &str| vec![Cell::text(what), how, Cell::text(goes), Cell::text(stays)];
    let rows = vec![
        way(
            "What endpoints were asked and said about a person",
            Cell::link("This page", PAGE),
            "The key of that person. What was sealed under it opens no more, wherever it lies, in backups of the files too; hashes made with it mean nothing.",
            "That predictions were made, when, by which version and for which caller; what was asked without naming the person. A backup of the database holds the key until it is let go.",
        ),
        way(
            "Rows of a data set",
            Cell::link("Suspect rows on a version's page, or strongroom data clean", "/console/data"),
            "The rows, in a version that is made without them and in models that are trained again on it.",
            "The version before, on which models were trained: no verb deletes it. Refuse it, and destroy the workspace's key where it may not even lie there.",
        ),
        way(
            "Files of runs, traces, models",
            Cell::text("MLflow's own verbs, such as MlflowClient().delete_logged_model"),
            "The files, for good.",
            "What is retained or held, until its time; backups, until they are let go.",
        ),
        way(
            "An account",
            Cell::link("strongroom user delete", "/console/people"),
            "Its name, password, factors, sessions, tokens and memberships.",
            "Its random id in the log; what it made; and names that clients themselves wrote into runs and versions.",
        ),
        way(
            "All files of a workspace",
            Cell::link("strongroom keys destroy, by two people", "/console/vault"),
            "The workspace's key, and with it every file, data set and prediction, in backups too.",
            "Names, metrics and other rows of the database, which never lay under that key.",
        ),
        way(
            "The log",
            Cell::text("Nothing"),
            "Nothing: a log that forgets proves nothing.",
            "Random ids, counts and digests; it never holds names or values.",
        ),
    ];
    let columns = ["What", "By what", "What goes", "What stays"];
    Table::whole("ways", "How things are erased, and what stays", &columns, rows, "")
}

#[cfg(test)]
mod tests {
    use kernel::Micros;

    use super::*;

    #[test]
    fn what_was_not_counted_is_said() {
        let held = |request_count, uncounted_batch_count| Held {
            subject_id: "s".to_owned(),
            since: Micros(0),
            request_count,
            counts: Vec::new(),
            uncounted_batch_count,
        };
        assert!(found(&held(2, 0)).verdict.starts_with("2 predictions held of this subject since "));
        assert!(found(&held(0, 0)).verdict.starts_with("No prediction is known"));
        assert!(found(&held(1, 3)).verdict.contains("before subjects were counted (3)"));
    }
}
