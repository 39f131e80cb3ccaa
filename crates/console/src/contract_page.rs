//! The contract of a data set: the one in force or a proposed one to be edited, checked and set. Everything works without scripts; a small module also reads
//! the text while it is typed.

use askama::Template;
use data::ops::{ContractSet, Findings, LintContract, ReadContract, SetContract, ShowDataset, Tried};
use futures_util::StreamExt;
use gate::{Operation, Visitor};
use http::{Method, StatusCode};
use inspection::{ChangeEffect, ContractChange, ContractIssue, ContractReading, RuleView};
use kernel::{Kind, Problem, hex, sha256};
use wire::admin::contract_check::{Checked, check};
use wire::{Answer, Chosen, Door, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, counted, first_of, if_allowed, part};
use crate::datasets::{PAGE, report};
use crate::listing::asked;
use crate::page::{page_in, redirect_in};

/// Lines of a table that the page shows.
const LINE_COUNT_MAX: usize = 200;

#[derive(Template)]
#[template(path = "contract.html")]
struct ContractTemplate {
    dataset: String,
    /// Where the data set's page is, and this one's.
    back: String,
    action: String,
    /// Where a module has the text read while it is typed.
    live: String,
    /// What is in force, in a sentence.
    standing: String,
    /// What the text is, where it is not what somebody typed.
    origin: &'static str,
    text: String,
    reason: String,
    has_proposal: bool,
    may_check: bool,
    may_set: bool,
    fault: String,
    verdict: String,
    tone: Tone,
    tables: Vec<Table>,
    /// SHA-256 of the contract that was in force when the text was shown; empty for none.
    seen: String,
    /// The one that somebody else has set meanwhile.
    other: Option<String>,
}

/// Where the page of a data set's contract is.
pub fn address(dataset: &str) -> String {
    format!("{PAGE}/{}/contract", part(dataset))
}

/// What a form asks for.
struct Asked {
    text: String,
    reason: String,
    saves: bool,
    /// The contract that was in force when the form was made; none in a form that a program made.
    seen: Option<String>,
}

/// What stands on the page beside the text.
#[derive(Default)]
struct Said {
    fault: String,
    checked: Option<Checked>,
    /// Somebody else has set another one.
    is_overtaken: bool,
}

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let path = format!("{PAGE}/{{dataset}}/contract");
    let room = rooms.data.clone();
    door.choice(Method::GET, &path, &[ShowDataset::ACTION, Findings::ACTION], move |inbound| {
        let (room, dataset) = (room.clone(), inbound.path("dataset").to_owned());
        let proposal = asked(inbound, "from")?.as_deref() == Some("proposal");
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move { shown(visitor, room, dataset, None, proposal, Said::default()).await })
        }))
    });
    let room = rooms.data.clone();
    door.choice(Method::POST, &path, &[LintContract::ACTION, SetContract::ACTION], move |inbound| {
        let (room, dataset, asked) = (room.clone(), inbound.path("dataset").to_owned(), form(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { acted(visitor, room, dataset, asked).await })))
    });
}

fn form(inbound: &Inbound) -> Result<Asked, Problem> {
    let form = inbound.form()?;
    // A browser ends the lines of a form as a letter does; a contract has them as a file does.
    let text = form.get("contract").unwrap_or_default().replace("\r\n", "\n");
    let saves = match form.get("decision") {
        Some("check") => false,
        Some("save") => true,
        _ => return Err(Problem::invalid("`decision` is check or save")),
    };
    let reason = form.get("reason").unwrap_or_default().trim().to_owned();
    Ok(Asked { text, reason, saves, seen: form.get("seen").map(str::to_owned) })
}

/// Checks the text, or sets it. What cannot be read would refuse every version from now on, so it is not set here; what fails keeps the text on the page.
async fn acted(visitor: &Visitor, room: data::Data, dataset: String, asked: Asked) -> Result<Answer, Problem> {
    if !asked.saves {
        let checked = check(visitor, room.clone(), dataset.clone(), asked.text.clone()).await;
        let said = said(checked)?;
        return shown(visitor, room, dataset, Some(asked), false, said).await;
    }
    let lint = LintContract { room: room.clone(), dataset: dataset.clone(), contract: asked.text.clone() };
    let reading = match visitor.call(lint).await {
        Ok(reading) => reading,
        Err(problem) => {
            let said = said(Err(problem))?;
            return shown(visitor, room, dataset, Some(asked), false, said).await;
        }
    };
    if !reading.faults.is_empty() {
        let said = Said {
            fault: "It was not set: it cannot be used as it is.".to_owned(),
            checked: Some(Checked { reading, tried: None }),
            is_overtaken: false,
        };
        return shown(visitor, room, dataset, Some(asked), false, said).await;
    }
    let set = SetContract {
        room: room.clone(),
        dataset: dataset.clone(),
        contract: asked.text.clone(),
        reason: asked.reason.clone(),
        seen: asked.seen.clone(),
    };
    match visitor.call(set).await {
        Ok(ContractSet { .. }) => Ok(redirect_in(visitor.workspace(), &address(&dataset))),
        Err(problem) => {
            let is_overtaken = asked.seen.is_some() && problem.kind() == Kind::Conflict;
            let said = Said { is_overtaken, ..said(Err(problem))? };
            shown(visitor, room, dataset, Some(asked), false, said).await
        }
    }
}

/// What is wrong with the text is said beside it; any other problem is a page of its own.
fn said(checked: Result<Checked, Problem>) -> Result<Said, Problem> {
    match checked {
        Ok(checked) => Ok(Said { checked: Some(checked), ..Said::default() }),
        Err(problem) if matches!(problem.kind(), Kind::Invalid | Kind::TooLarge | Kind::TooMany | Kind::Conflict) => {
            Ok(Said { fault: problem.message().to_owned(), ..Said::default() })
        }
        Err(problem) => Err(problem),
    }
}

async fn shown(
    visitor: &Visitor,
    room: data::Data,
    dataset: String,
    typed: Option<Asked>,
    wants_proposal: bool,
    said: Said,
) -> Result<Answer, Problem> {
    let show = ShowDataset { room: room.clone(), dataset: dataset.clone(), after: None, rows: Some(1) };
    let newest = visitor.call(show).await?.rows.into_iter().next();
    let in_force = in_force(visitor, &room, &dataset).await?;
    let proposal = match &newest {
        Some(_) => proposal(visitor, &room, &dataset).await?,
        None => None,
    };
    let lint = LintContract { room: room.clone(), dataset: dataset.clone(), contract: String::new() };
    let set = SetContract { room, dataset: dataset.clone(), contract: String::new(), reason: String::new(), seen: None };
    let (may_check, may_set) = (visitor.might(&lint).await?, visitor.might(&set).await?);
    let standing = match &in_force {
        Some(text) => format!(
            "A contract is in force, SHA-256 {}. Every version from now on is checked against it.",
            hex(&sha256(text.as_bytes()))
        ),
        None => "No contract is in force: versions are not checked against one.".to_owned(),
    };
    let digest = in_force.as_ref().map(|text| hex(&sha256(text.as_bytes()))).unwrap_or_default();
    let other = in_force.clone().filter(|_| said.is_overtaken);
    // A text that was typed stays one that was typed beside what its author saw, until they are shown what is in force now.
    let seen = match &typed {
        Some(typed) if !said.is_overtaken => typed.seen.clone().unwrap_or(digest),
        _ => digest,
    };
    let has_proposal = proposal.is_some();
    let (origin, text, reason) = match (typed, in_force, proposal) {
        (Some(typed), _, _) => ("", typed.text, typed.reason),
        (None, Some(_), Some(proposed)) if wants_proposal => ("Proposed from the newest version's data", proposed, String::new()),
        (None, Some(own), _) => ("The one in force", own, String::new()),
        (None, None, Some(proposed)) => ("Proposed from the newest version's data", proposed, String::new()),
        (None, None, None) => ("Nothing is proposed yet: write one, or have a version inspected", String::new(), String::new()),
    };
    let (tone, verdict) = said.checked.as_ref().map_or((Tone::Plain, String::new()), verdict);
    let template = ContractTemplate {
        back: format!("{PAGE}/{}", part(&dataset)),
        action: address(&dataset),
        live: if may_check { format!("/api/strongroom/v1/datasets/{}/contract/check", part(&dataset)) } else { String::new() },
        dataset,
        standing,
        origin,
        text,
        reason,
        has_proposal,
        may_check,
        may_set,
        fault: said.fault,
        verdict,
        tone,
        tables: said.checked.as_ref().map(tables).unwrap_or_default(),
        seen,
        other,
    };
    let mut answer = page_in(visitor.workspace(), &template)?;
    if said.is_overtaken {
        *answer.status_mut() = StatusCode::CONFLICT;
    }
    Ok(answer)
}

/// The contract in force, if there is one.
async fn in_force(visitor: &Visitor, room: &data::Data, dataset: &str) -> Result<Option<String>, Problem> {
    let mut document = match visitor.call(ReadContract { room: room.clone(), dataset: dataset.to_owned() }).await {
        Ok(document) => document,
        Err(problem) if problem.kind() == Kind::NotFound => return Ok(None),
        Err(problem) => return Err(problem),
    };
    let mut bytes = Vec::new();
    while let Some(piece) = document.body.next().await {
        bytes.extend_from_slice(&piece?);
    }
    String::from_utf8(bytes).map(Some).map_err(|error| Problem::internal("the contract is not UTF-8", error))
}

/// What the inspection of the newest version proposes, where the visitor may see that.
async fn proposal(visitor: &Visitor, room: &data::Data, dataset: &str) -> Result<Option<String>, Problem> {
    let (dataset, version) = (dataset.to_owned(), "latest".to_owned());
    let find = Findings { room: room.clone(), dataset: dataset.clone(), version: version.clone() };
    let found = if_allowed(visitor, find).await?;
    let has_report = found.and_then(|found| found.inspection).is_some_and(|one| one.report_sha256.is_some());
    if !has_report {
        return Ok(None);
    }
    let (report, _) = report(visitor, room.clone(), dataset, version).await?.into_parts();
    Ok(report.and_then(|report| report.contract_proposal))
}

fn verdict(checked: &Checked) -> (Tone, String) {
    let reading = &checked.reading;
    if !reading.faults.is_empty() {
        return (Tone::Bad, format!("It cannot be used: {}, each with its line below.", counted(reading.faults.len(), "fault")));
    }
    let breaking = reading.changes.iter().filter(|change| change.effect == ChangeEffect::Breaks).count();
    let changed = match (counted(reading.changes.len(), "change"), breaking) {
        _ if reading.changes.is_empty() => String::new(),
        (all, 0) => format!(" {all} to the one in force; nobody who relies on that is hurt."),
        (all, breaking) => format!(" {all} to the one in force, {breaking} of which break who relies on it."),
    };
    let Some(tried) = &checked.tried else {
        return (Tone::Wait, format!("It can be used. There is no version to try it on.{changed}"));
    };
    if tried.rules.is_empty() {
        return (Tone::Bad, format!("Nothing of it was judged on version {}: see below.{changed}", tried.number));
    }
    let count = |holds: Option<bool>| tried.rules.iter().filter(|rule| rule.holds == holds).count();
    let (broken, open) = (count(Some(false)), count(None));
    let (tone, words) = match (broken, open) {
        (0, 0) => (Tone::Good, format!("Version {} holds to it", tried.number)),
        (0, _) => {
            (Tone::Wait, format!("Version {} holds to it as far as it was judged; {} not", tried.number, counted(open, "rule")))
        }
        _ => (Tone::Bad, format!("Version {} breaks {} of it", tried.number, counted(broken, "rule"))),
    };
    let over = format!("{} over {} rows", counted(tried.rules.len(), "rule"), tried.row_count);
    (tone, format!("{words} ({over}).{changed}"))
}

fn tables(checked: &Checked) -> Vec<Table> {
    let reading = &checked.reading;
    let mut all = Vec::new();
    if !reading.faults.is_empty() {
        all.push(issues("faults", "Faults", &reading.faults));
    }
    if let Some(tried) = &checked.tried {
        all.push(rules(tried));
    }
    if !reading.changes.is_empty() || reading.in_force_fault.is_some() {
        all.push(changes(reading));
    }
    if !reading.notes.is_empty() {
        all.push(issues("notes", "What in it means nothing here", &reading.notes));
    }
    if !reading.tables.is_empty() {
        let row = |table: &inspection::ContractTable| {
            vec![
                Cell::text(table.name.clone()),
                Cell::text(table.column_count.to_string()),
                Cell::text(table.rule_count.to_string()),
            ]
        };
        let rows = reading.tables.iter().take(LINE_COUNT_MAX).map(row).collect();
        all.push(Table::whole(
            "holds",
            first_of("What it holds", reading.tables.len(), LINE_COUNT_MAX),
            &["Table", "Columns", "Rules"],
            rows,
            "",
        ));
    }
    all
}

fn issues(id: &'static str, title: &str, all: &[ContractIssue]) -> Table {
    let place = |one: &ContractIssue| {
        let line = if one.line == 0 { "not known".to_owned() } else { format!("{}, character {}", one.line, one.column) };
        vec![Cell::text(line), Cell::text(one.at.clone()), Cell::text(one.problem.clone())]
    };
    Table::whole(
        id,
        first_of(title, all.len(), LINE_COUNT_MAX),
        &["Line", "Where", "What"],
        all.iter().take(LINE_COUNT_MAX).map(place).collect(),
        "",
    )
}

fn rules(tried: &Tried) -> Table {
    // What does not hold comes first.
    let mut order: Vec<&RuleView> = tried.rules.iter().collect();
    order.sort_by_key(|rule| match rule.holds {
        Some(false) => 0,
        None => 1,
        Some(true) => 2,
    });
    let row = |rule: &&RuleView| {
        let state = match rule.holds {
            Some(true) => Cell::state("holds", Tone::Good),
            Some(false) => Cell::state("broken", Tone::Bad),
            None => Cell::state("not judged", Tone::Wait),
        };
        vec![
            Cell::text(rule.rule.clone()),
            Cell::text(rule.column.clone().unwrap_or_default()),
            state,
            Cell::text(rule.detail.clone()),
        ]
    };
    let rows: Vec<Vec<Cell>> = order.iter().take(LINE_COUNT_MAX).map(row).collect();
    let title = first_of(&format!("Its rules, tried on version {}", tried.number), tried.rules.len(), LINE_COUNT_MAX);
    let empty = tried.findings.first().map_or_else(|| "It has no rules for this table.".to_owned(), |first| first.detail.clone());
    Table::whole("rules", title, &["Rule", "Column", "State", "What was found"], rows, empty)
}

fn changes(reading: &ContractReading) -> Table {
    let row = |change: &ContractChange| {
        let effect = match change.effect {
            ChangeEffect::Breaks => Cell::state("breaks readers", Tone::Bad),
            ChangeEffect::Adds => Cell::state("adds", Tone::Good),
            ChangeEffect::Words => Cell::text("words only"),
        };
        let side = |text: &Option<String>| Cell::text(text.clone().unwrap_or_else(|| "–".to_owned()));
        vec![Cell::text(change.at.clone()), effect, side(&change.before), side(&change.after)]
    };
    let rows = reading.changes.iter().take(LINE_COUNT_MAX).map(row).collect();
    let more = (reading.changes.len().saturating_sub(LINE_COUNT_MAX) as u64).saturating_add(reading.more_change_count);
    let title = if more > 0 { format!("What it changes, and {more} more") } else { "What it changes".to_owned() };
    let empty = reading.in_force_fault.as_ref().map(|why| format!("The one in force cannot be read: {why}")).unwrap_or_default();
    Table::whole("changes", title, &["Where", "What it does", "In force", "This one"], rows, empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(holds: Option<bool>) -> RuleView {
        RuleView { rule: "r".to_owned(), holds, ..RuleView::default() }
    }

    fn check(faults: usize, tried: Option<Vec<RuleView>>, tone: Tone, words: &str) {
        let reading = ContractReading { faults: vec![ContractIssue::default(); faults], ..ContractReading::default() };
        let tried = tried.map(|rules| Tried { number: 3, row_count: 9, rules, findings: Vec::new() });
        let (shown, said) = verdict(&Checked { reading, tried });
        assert!(shown == tone && said.contains(words), "{said}");
    }

    #[test]
    fn only_what_was_judged_whole_is_called_good() {
        check(2, None, Tone::Bad, "2 faults");
        check(0, None, Tone::Wait, "no version to try it on");
        check(0, Some(vec![rule(Some(true))]), Tone::Good, "Version 3 holds to it (1 rule over 9 rows)");
        check(0, Some(vec![rule(Some(true)), rule(None)]), Tone::Wait, "1 rule not");
        check(0, Some(vec![rule(Some(false)), rule(None)]), Tone::Bad, "breaks 1 rule of it");
        check(0, Some(Vec::new()), Tone::Bad, "Nothing of it was judged");
    }
}
