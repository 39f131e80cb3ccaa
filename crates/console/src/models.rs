//! Registered models: where their versions stand, and one version with its inspection.

use admission::DocumentKind;
use admission::ops::{Admit, Findings, ListStandings, ReadDocument, Refuse, ShowStanding, Waive};
use gate::{Operation, Visitor};
use http::Method;
use kernel::{Micros, Problem, hex};
use wire::{Answer, Chosen, Door, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, bytes, part};
use crate::findings::{self, Shown};
use crate::lineage_page;
use crate::listing::{after, listing};
use crate::page::moment;
use crate::version::{Decidable, May, VersionTemplate, decide, decided, documents, sentence};

const PAGE: &str = "/console/models";

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.admission.clone();
    let list = move |inbound: &Inbound| {
        let list = ListStandings { room: room.clone(), after: after(inbound)?, rows: None };
        Ok((list, inbound.workspace().to_owned()))
    };
    door.route_with(Method::GET, PAGE, list, |found, workspace| {
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
        let table = Table {
            id: "models",
            title: "Models".to_owned(),
            columns: vec!["Version", "State", "Size", "Registered", "By"],
            rows: found.rows.iter().map(row).collect(),
            empty: "No model was registered here. mlflow.register_model does it, or: strongroom model submit DIR".to_owned(),
            next: found.next.map(|next| format!("{PAGE}?after={}", part(&next))).unwrap_or_default(),
        };
        listing(&workspace, table)
    });
    one(door, rooms);
}

/// The papers that vouch for a version, made when they are asked for.
fn papers(page: &str) -> impl Iterator<Item = (&'static str, String)> {
    let all = [
        ("Card", "card.md"),
        ("Signature", "model.sig"),
        ("Its key", "signing-key.pem"),
        ("Provenance (SLSA)", "provenance.json"),
        ("Bill of materials", "bom.json"),
        ("Evidence", "evidence.json"),
    ];
    all.into_iter().map(move |(name, file)| (name, format!("{page}/papers/{file}")))
}

/// A version of the address.
#[derive(Clone)]
struct Named {
    room: admission::Admission,
    name: String,
    version: String,
}

impl Named {
    fn of(room: &admission::Admission, inbound: &Inbound) -> Self {
        let (name, version) = (inbound.path("model").to_owned(), inbound.path("version").to_owned());
        Self { room: room.clone(), name, version }
    }
}

impl Decidable for Named {
    type Admit = Admit;
    type Waive = Waive;
    type Refuse = Refuse;

    fn admit(&self, reason: String) -> Admit {
        let Self { room, name, version } = self.clone();
        Admit { room, name, version, reason }
    }

    fn waive(&self, reason: String, until: Micros) -> Waive {
        let Self { room, name, version } = self.clone();
        Waive { room, name, version, reason, until }
    }

    fn refuse(&self, reason: String) -> Refuse {
        let Self { room, name, version } = self.clone();
        Refuse { room, name, version, reason }
    }

    fn page(&self) -> String {
        format!("{PAGE}/{}/{}", part(&self.name), part(&self.version))
    }
}

fn one(door: &mut Door, rooms: &Rooms) {
    let path = format!("{PAGE}/{{model}}/{{version}}");
    let room = rooms.admission.clone();
    door.choice(Method::GET, &path, &[ShowStanding::ACTION, Findings::ACTION], move |inbound| {
        let version = Named::of(&room, inbound);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, version).await })))
    });
    let room = rooms.admission.clone();
    door.choice(Method::POST, &path, &[Admit::ACTION, Waive::ACTION, Refuse::ACTION], move |inbound| {
        let (version, decided) = (Named::of(&room, inbound), decided(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { decide(visitor, &version, decided).await })))
    });
    wire::admin::models::document_routes(door, &rooms.admission, &path);
}

async fn shown(visitor: &Visitor, named: Named) -> Result<Answer, Problem> {
    let (may, page) = (May::of(visitor, &named).await?, named.page());
    let Named { room, name, version } = named;
    let show = ShowStanding { room: room.clone(), name: name.clone(), version: version.clone() };
    let admission::ops::Shown { standing: one, inspection, obstacle } = visitor.call(show).await?;
    let found = visitor.call(Findings { room: room.clone(), name: name.clone(), version: version.clone() }).await?;
    let number = one.subject.number;
    let has_report = inspection.as_ref().is_some_and(|inspection| inspection.report_sha256.is_some());
    let report = if has_report {
        let document = visitor.call(ReadDocument { room, name: name.clone(), version, kind: DocumentKind::Report }).await?;
        findings::read(document.body, document.size_bytes).await?
    } else {
        None
    };
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
        report: report.map(|report| Shown::of(report, String::new())),
        more_count: 0,
        documents: documents(&page, has_report).into_iter().chain(papers(&page)).collect(),
        lineage: lineage_page::address(&format!("model:{name}/{number}")),
        action: page,
        may,
    }
    .finished(visitor.workspace())
}
