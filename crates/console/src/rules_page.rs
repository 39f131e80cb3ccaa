//! The rules that look into the log, and those among them that are written here: checked, tried on the log, kept, switched off, deleted. Everything works
//! without scripts; a small module also reads the text while it is typed.

use askama::Template;
use detect::ops::{
    CheckRules, CheckedRules, DeleteRules, GetOwnRules, ListOwnRules, ListRules, RuleView, SetRules, Tried, TriedRule,
};
use detect::{Detect, Fault, OwnRules};
use gate::{Operation, Visitor};
use http::{Method, StatusCode};
use kernel::{Kind, Problem, hex, random_bytes};
use serde_json::json;
use wire::{Answer, Chosen, Door, Form, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, called, counted, part};
use crate::detections::{self, tone};
use crate::listing::{asked, listing_of};
use crate::page::{moment, page_in, redirect_in};

const PAGE: &str = "/console/detections/rules";
const WRITE: &str = "/console/detections/write";

#[derive(Template)]
#[template(path = "rules.html")]
struct WriteTemplate {
    /// The name that it has; empty while it has none.
    kept_as: String,
    standing: String,
    /// What stands in the form.
    asked: Asked,
    may_check: bool,
    may_set: bool,
    may_delete: bool,
    fault: String,
    verdict: String,
    tone: Tone,
    tables: Vec<Table>,
    /// What the module sends beside the text.
    with: String,
    /// What somebody else has kept under this name meanwhile.
    other: Option<String>,
}

/// What a form holds.
#[derive(Clone, Default)]
struct Asked {
    name: String,
    rules: String,
    enabled: bool,
    /// How often it had been changed when the form was made; empty for a new one.
    seen: String,
}

/// What is said beside it.
#[derive(Default)]
struct Said {
    fault: String,
    checked: Option<CheckedRules>,
    is_overtaken: bool,
}

/// What a form asks for.
enum Wish {
    Check,
    Save,
    Delete,
}

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.detect.clone();
    door.choice(Method::GET, PAGE, &[ListRules::ACTION], move |_| {
        let room = room.clone();
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { all(visitor, room).await })))
    });
    let room = rooms.detect.clone();
    door.choice(Method::GET, WRITE, &[GetOwnRules::ACTION], move |inbound| {
        let (room, name) = (room.clone(), asked(inbound, "name")?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { edited(visitor, room, name).await })))
    });
    let room = rooms.detect.clone();
    door.choice(Method::POST, WRITE, &[CheckRules::ACTION, SetRules::ACTION, DeleteRules::ACTION], move |inbound| {
        let (room, (wish, asked)) = (room.clone(), form(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { acted(visitor, room, wish, asked).await })))
    });
}

fn form(inbound: &Inbound) -> Result<(Wish, Asked), Problem> {
    let form: Form = inbound.form()?;
    let wish = match form.get("decision") {
        Some("check") => Wish::Check,
        Some("save") => Wish::Save,
        Some("delete") => {
            form.sure()?;
            Wish::Delete
        }
        _ => return Err(Problem::invalid("`decision` is check, save or delete")),
    };
    let text = |name: &str| form.get(name).unwrap_or_default();
    Ok((
        wish,
        Asked {
            name: text("name").trim().to_owned(),
            // A browser ends the lines of a form as a letter does; rules have them as a file does.
            rules: text("rules").replace("\r\n", "\n"),
            enabled: form.get("enabled").is_some(),
            seen: text("seen").to_owned(),
        },
    ))
}

async fn all(visitor: &Visitor, room: Detect) -> Result<Answer, Problem> {
    let rules = visitor.call(ListRules { room: room.clone() }).await?;
    let own = visitor.call(ListOwnRules { room: room.clone() }).await?;
    let mut links = vec![("What was found", detections::PAGE.to_owned())];
    if visitor.might(&set(&room, Asked::default())).await? {
        links.push(("Write rules", WRITE.to_owned()));
    }
    let own_row = |one: &OwnRules| {
        let state = if one.enabled { Cell::state("looked for", Tone::Good) } else { Cell::state("off", Tone::Wait) };
        let name = Cell::link(one.name.clone(), format!("{WRITE}?name={}", part(&one.name)));
        vec![name, state, Cell::text(moment(one.changed_at)), Cell::text(called(one.changed_by_name.as_ref(), &one.changed_by))]
    };
    let rows = own.iter().map(own_row).collect();
    let empty = "None yet. Others stand in the folder that `rules` under `[detections]` of the configuration names.";
    let own = Table::whole("own", "Rules that were written here", &["Name", "State", "Changed", "By"], rows, empty);
    let row = |rule: &RuleView| {
        vec![
            Cell::state(rule.level.word(), tone(rule.level)),
            Cell::text(rule.title.clone()),
            Cell::text(rule.description.clone()),
            Cell::text(rule.kind),
            Cell::text(rule.response.word()),
            Cell::text(if rule.built_in { "built in" } else { "yours" }),
        ]
    };
    let columns = ["How bad", "What it finds", "How", "Kind", "What is done at most", "From"];
    let title = format!("{} look into the log, the gravest first", counted(rules.len(), "rule"));
    let rules = Table::whole("rules", title, &columns, rules.iter().map(row).collect(), "No rule is loaded.");
    listing_of(visitor.workspace(), own, links, vec![rules])
}

/// The page of one text, or of a new one.
async fn edited(visitor: &Visitor, room: Detect, name: Option<String>) -> Result<Answer, Problem> {
    let asked = match name {
        Some(name) => {
            let OwnRules { name, body, enabled, change_count, .. } =
                visitor.call(GetOwnRules { room: room.clone(), name }).await?;
            Asked { name, rules: body, enabled, seen: change_count.to_string() }
        }
        None => {
            // Whoever may not see the rules is not shown where they are written.
            visitor.call(ListOwnRules { room: room.clone() }).await?;
            Asked { rules: example(), enabled: true, ..Asked::default() }
        }
    };
    shown(visitor, room, asked, Said::default()).await
}

async fn acted(visitor: &Visitor, room: Detect, wish: Wish, asked: Asked) -> Result<Answer, Problem> {
    let check = |tries| CheckRules { room: room.clone(), name: asked.name.clone(), body: asked.rules.clone(), tries };
    match wish {
        Wish::Delete => {
            visitor.call(DeleteRules { room, name: asked.name }).await?;
            Ok(redirect_in(visitor.workspace(), PAGE))
        }
        Wish::Check => {
            let said = said(visitor.call(check(true)).await)?;
            shown(visitor, room, asked, said).await
        }
        Wish::Save => {
            let mut said = said(visitor.call(check(false)).await)?;
            if said.checked.as_ref().is_none_or(|checked| checked.fault.is_some()) {
                if said.fault.is_empty() {
                    said.fault = "They were not kept: they cannot be used as they are.".to_owned();
                }
                return shown(visitor, room, asked, said).await;
            }
            match visitor.call(set(&room, asked.clone())).await {
                Ok(kept) => Ok(redirect_in(visitor.workspace(), &format!("{WRITE}?name={}", part(&kept.name)))),
                Err(problem) => {
                    let is_overtaken = problem.kind() == Kind::Conflict;
                    let said = Said { is_overtaken, ..self::said(Err(problem))? };
                    shown(visitor, room, asked, said).await
                }
            }
        }
    }
}

fn set(room: &Detect, asked: Asked) -> SetRules {
    SetRules { room: room.clone(), name: asked.name, body: asked.rules, enabled: asked.enabled, seen: Some(asked.seen) }
}

/// What is wrong with the text is said beside it; any other problem is a page of its own.
fn said(checked: Result<CheckedRules, Problem>) -> Result<Said, Problem> {
    match checked {
        Ok(checked) => Ok(Said { checked: Some(checked), ..Said::default() }),
        Err(problem) if matches!(problem.kind(), Kind::Invalid | Kind::TooLarge | Kind::TooMany | Kind::Conflict) => {
            Ok(Said { fault: problem.message().to_owned(), ..Said::default() })
        }
        Err(problem) => Err(problem),
    }
}

async fn shown(visitor: &Visitor, room: Detect, mut asked: Asked, said: Said) -> Result<Answer, Problem> {
    // A text stays one that was typed beside what its author saw, until they are shown what is kept now.
    let mut other = None;
    if said.is_overtaken {
        let now = visitor.call(ListOwnRules { room: room.clone() }).await?.into_iter().find(|one| one.name == asked.name);
        asked.seen = now.as_ref().map(|one| one.change_count.to_string()).unwrap_or_default();
        other = now.map(|one| one.body);
    }
    let may_check =
        visitor.might(&CheckRules { room: room.clone(), name: String::new(), body: String::new(), tries: false }).await?;
    let may_set = visitor.might(&set(&room, Asked::default())).await?;
    let kept_as = if asked.seen.is_empty() { String::new() } else { asked.name.clone() };
    let may_delete = !kept_as.is_empty() && visitor.might(&DeleteRules { room, name: String::new() }).await?;
    let standing = match (kept_as.is_empty(), asked.enabled) {
        (true, _) => {
            "What is written here tells of what it finds, and bars nobody. Sigma rules and correlations, one or several."
        }
        (false, true) => "They are looked for in each record, some seconds behind.",
        (false, false) => "They are kept, and nothing is looked for by them.",
    };
    let (tone, verdict) = said.checked.as_ref().map_or((Tone::Plain, String::new()), verdict);
    let template = WriteTemplate {
        standing: standing.to_owned(),
        with: json!({ "name": kept_as }).to_string(),
        kept_as,
        asked,
        may_check,
        may_set,
        may_delete,
        fault: said.fault,
        verdict,
        tone,
        tables: said.checked.as_ref().map(tables).unwrap_or_default(),
        other,
    };
    let mut answer = page_in(visitor.workspace(), &template)?;
    if said.is_overtaken {
        *answer.status_mut() = StatusCode::CONFLICT;
    }
    Ok(answer)
}

fn verdict(checked: &CheckedRules) -> (Tone, String) {
    if checked.fault.is_some() {
        return (Tone::Bad, "They cannot be used: see below.".to_owned());
    }
    let usable = format!("{} can be used.", counted(checked.rules.len(), "rule"));
    let Some(tried) = &checked.tried else {
        return (Tone::Good, format!("{usable} They were not tried: this process does not read the log."));
    };
    let sum = |count: fn(&TriedRule) -> u64| tried.rules.iter().map(count).fold(0_u64, u64::saturating_add);
    let since = tried.from.map_or_else(String::new, |from| format!(", since {}", moment(from)));
    let told = format!(
        "Over the newest {} records{since}, they would have told {} times in the last day and {} in the last week.",
        tried.record_count,
        sum(|one| one.day_count),
        sum(|one| one.week_count)
    );
    (Tone::Good, format!("{usable} {told}"))
}

fn tables(checked: &CheckedRules) -> Vec<Table> {
    let mut all = Vec::new();
    let fault = |fault: &Fault| {
        let line = match (fault.line, fault.column) {
            (0, _) => "not known".to_owned(),
            (line, 0) => line.to_string(),
            (line, column) => format!("{line}, character {column}"),
        };
        vec![Cell::text(line), Cell::text(fault.problem.clone())]
    };
    if let Some(found) = &checked.fault {
        all.push(Table::whole("faults", "What is wrong", &["Line", "What"], vec![fault(found)], ""));
    }
    if let Some(tried) = &checked.tried {
        all.push(tried_table(tried));
    }
    if !checked.rules.is_empty() {
        let row = |rule: &RuleView| {
            let alerts = if rule.level.word() == "informational" { "only counted by correlations" } else { "tells" };
            vec![
                Cell::state(rule.level.word(), tone(rule.level)),
                Cell::text(rule.name.clone()),
                Cell::text(rule.title.clone()),
                Cell::text(rule.kind),
                Cell::text(alerts),
            ]
        };
        let rows = checked.rules.iter().map(row).collect();
        all.push(Table::whole("read", "What they are", &["How bad", "Name", "What it finds", "Kind", "What it does"], rows, ""));
    }
    all
}

fn tried_table(tried: &Tried) -> Table {
    let row = |one: &TriedRule| {
        let newest = one
            .newest
            .map_or_else(|| Cell::text("none"), |index| Cell::link(index.to_string(), format!("/console/audit/{index}")));
        vec![Cell::text(one.title.clone()), Cell::text(one.day_count.to_string()), Cell::text(one.week_count.to_string()), newest]
    };
    let columns = ["Rule", "In the last day", "In the last week", "The last record behind it"];
    let rows = tried.rules.iter().map(row).collect();
    Table::whole(
        "tried",
        "What they would have told of",
        &columns,
        rows,
        "None of them tells by itself: a correlation counts them.",
    )
}

/// What somebody begins with.
fn example() -> String {
    let digits = hex(&random_bytes::<16>());
    let place = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    let id = [place(0, 8), place(8, 12), place(12, 16), place(16, 20), place(20, 32)].join("-");
    format!(
        "title: Runs are deleted\nid: {id}\nname: runs_deleted\ndescription: Somebody deletes a run.\nlevel: low\n\
         logsource: {{product: strongroom, service: audit}}\ndetection:\n  selection:\n    api.operation: runs.delete\n    \
         metadata.event_code: outcome\n  condition: selection\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_says_what_would_have_been_told() {
        let tried = Tried {
            record_count: 90,
            from: None,
            rules: vec![TriedRule { name: "a".to_owned(), title: "A".to_owned(), day_count: 1, week_count: 3, newest: Some(7) }],
        };
        let good = CheckedRules { fault: None, rules: Vec::new(), tried: Some(tried) };
        assert!(
            verdict(&good).1.contains("newest 90 records, they would have told 1 times in the last day and 3 in the last week")
        );
        let bad =
            CheckedRules { fault: Some(Fault { line: 3, column: 0, problem: "x".to_owned() }), rules: Vec::new(), tried: None };
        assert_eq!(verdict(&bad).0, Tone::Bad);
        assert_eq!(tables(&bad)[0].rows[0][0].text, "3");
    }

    #[test]
    fn what_somebody_begins_with_can_be_used() {
        assert!(detect::RuleSet::of_text(&example()).is_ok());
    }
}
