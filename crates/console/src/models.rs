//! Registered models: where their versions stand, and one version with its inspection.

use admission::ops::{Admit, Findings, ListStandings, Refuse, ShowStanding, Waive};
use gate::{Operation, Visitor};
use http::Method;
use kernel::{Micros, Problem, hex};
use wire::{Answer, Chosen, Door, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, bytes, part};
use crate::listing::listing;
use crate::page::{moment, redirect};
use crate::version::{Decided, May, VersionTemplate, decided, sentence, until};

const PAGE: &str = "/console/models";

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.admission.clone();
    let list = move |inbound: &Inbound| {
        let after = inbound.query()?.into_iter().find(|(name, _)| name == "after").map(|(_, value)| value);
        Ok(ListStandings { room: room.clone(), after, rows: None })
    };
    door.route(Method::GET, PAGE, list, |found| {
        let row = |one: &admission::Standing| {
            let number = one.subject.number;
            vec![
                Cell::link(format!("{}/{number}", one.name), format!("{PAGE}/{}/{number}", part(&one.name))),
                Cell::state(one.state.word(), Tone::of_state(one.state)),
                Cell::text(bytes(one.size_bytes)),
                Cell::text(moment(one.submitted_at)),
                Cell::text(one.submitter.clone()),
            ]
        };
        listing(Table {
            id: "models",
            title: "Models".to_owned(),
            columns: vec!["Version", "State", "Size", "Registered", "By"],
            rows: found.rows.iter().map(row).collect(),
            empty: "No model was registered here. mlflow.register_model does it, or: strongroom model submit DIR".to_owned(),
            next: found.next.map(|next| format!("{PAGE}?after={}", part(&next))).unwrap_or_default(),
        })
    });
    one(door, rooms);
}

fn one(door: &mut Door, rooms: &Rooms) {
    let path = format!("{PAGE}/{{model}}/{{version}}");
    let room = rooms.admission.clone();
    door.choice(Method::GET, &path, &[ShowStanding::ACTION, Findings::ACTION], move |inbound| {
        let (room, name, version) = (room.clone(), inbound.path("model").to_owned(), inbound.path("version").to_owned());
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, room, name, version).await })))
    });
    let room = rooms.admission.clone();
    door.choice(Method::POST, &path, &[Admit::ACTION, Waive::ACTION, Refuse::ACTION], move |inbound| {
        let (room, name, version) = (room.clone(), inbound.path("model").to_owned(), inbound.path("version").to_owned());
        let (decision, reason) = decided(inbound)?;
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let to = format!("{PAGE}/{}/{}", part(&name), part(&version));
                match decision {
                    Decided::Admit => visitor.call(Admit { room, name, version, reason }).await?,
                    Decided::Refuse => visitor.call(Refuse { room, name, version, reason }).await?,
                    Decided::Waive(days) => {
                        visitor.call(Waive { room, name, version, reason, until: until(visitor.at(), days) }).await?
                    }
                };
                Ok(redirect(&to))
            })
        }))
    });
}

async fn shown(visitor: &Visitor, room: admission::Admission, name: String, version: String) -> Result<Answer, Problem> {
    let show = ShowStanding { room: room.clone(), name: name.clone(), version: version.clone() };
    let admission::ops::Shown { standing: one, inspection, obstacle } = visitor.call(show).await?;
    let found = visitor.call(Findings { room: room.clone(), name: name.clone(), version: version.clone() }).await?;
    let named = || (room.clone(), name.clone(), version.clone());
    let (why, day) = (String::new, Micros(i64::MAX));
    let may = {
        let (room, name, version) = named();
        let admit = visitor.might(&Admit { room, name, version, reason: why() }).await?;
        let (room, name, version) = named();
        let waive = visitor.might(&Waive { room, name, version, reason: why(), until: day }).await?;
        let (room, name, version) = named();
        let refuse = visitor.might(&Refuse { room, name, version, reason: why() }).await?;
        May { admit, waive, refuse }
    };
    let number = one.subject.number;
    let documents =
        [("The whole report", "report.html"), ("Report as JSON", "report.json"), ("Signed statement", "attestation.json")];
    let has_report = inspection.as_ref().is_some_and(|inspection| inspection.report_sha256.is_some());
    let at = |file: &str| format!("/api/strongroom/v1/models/{}/versions/{number}/documents/{file}", part(&name));
    let state = one.state_at(visitor.at());
    let mut verdict = sentence(state, &found.findings, one.waiver_until.map(moment), "It may be promoted and served");
    if let Some(obstacle) = obstacle {
        verdict.push_str(&format!(" It cannot be promoted: {obstacle}."));
    }
    VersionTemplate {
        back: (PAGE.to_owned(), "All models"),
        title: format!("{name}/{number}"),
        state: state.word(),
        tone: Tone::of_state(state),
        verdict,
        facts: vec![
            ("Registered", moment(one.submitted_at)),
            ("By", one.submitter.clone()),
            ("Size", format!("{} in {} files", bytes(one.size_bytes), one.file_count)),
            ("Gate file", one.gate_revision.map_or_else(|| "none".to_owned(), |revision| format!("revision {revision}"))),
            ("Manifest", one.manifest_sha256.map(|digest| hex(&digest)).unwrap_or_default()),
            ("Inspection", inspection.map_or_else(|| "none".to_owned(), |inspection| inspection.state.word().to_owned())),
        ],
        tables: Vec::new(),
        findings: found.findings,
        more_count: 0,
        documents: documents.into_iter().filter(|_| has_report).map(|(name, file)| (name, at(file))).collect(),
        action: format!("{PAGE}/{}/{number}", part(&name)),
        may,
    }
    .finished()
}
