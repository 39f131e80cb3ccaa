//! Data sets: which there are, their versions, and one version with its inspection.

use data::ops::{Admit, CleanVersion, Findings, ReadDocument, Refuse, RowsWish, SearchDatasets, ShowDataset, ShowVersion, Waive};
use data::{DocumentKind, InspectionState, Which};
use gate::{DataClasses, Operation, Visitor};
use http::Method;
use kernel::{Micros, Problem, hex};
use wire::{Answer, Chosen, Door, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, bytes, called, part};
use crate::findings::{self, Report, Shown};
use crate::lineage_page;
use crate::listing::{after, by_state, listing_of, listing_with, narrowed, which};
use crate::page::{moment, redirect_in};
use crate::query::Query;
use crate::version::{
    Decidable, May, VersionTemplate, decide, decided, decision_facts, documents, mark, person_words, progress_words, sentence,
    stage_words,
};
use crate::{access, contract_page};

/// Where the pages are.
pub const PAGE: &str = "/console/data";

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.data.clone();
    let search = move |inbound: &Inbound| {
        let query = Query::of(inbound)?;
        let which = which(&query)?;
        let search = SearchDatasets { room: room.clone(), which, after: query.text("after"), rows: None };
        Ok((search, (which, query, inbound.workspace().to_owned())))
    };
    door.route_with(Method::GET, PAGE, search, |found, (which, query, workspace)| {
        let row = |one: &data::DatasetSummary| {
            let state =
                one.latest_state.map_or(Cell::text("no version yet"), |state| Cell::state(state.word(), Tone::of_state(state)));
            vec![
                Cell::link(one.name.clone(), format!("{PAGE}/{}", part(&one.name))),
                state,
                Cell::text(if one.latest_number > 0 { one.latest_number.to_string() } else { String::new() }),
                Cell::text(one.admitted_number.map(|number| number.to_string()).unwrap_or_default()),
                Cell::text(one.waiver_until.map(moment).unwrap_or_default()),
                Cell::text(moment(one.created_at)),
            ]
        };
        let table = Table {
            id: "data",
            title: narrowed("Data sets", which),
            columns: vec!["Name", "Newest version is", "Newest", "Newest let in", "A waiver ends", "Made"],
            rows: found.rows.iter().map(row).collect(),
            empty: match which {
                Which::All => {
                    "There is no data set here. Bring one: strongroom data commit NAME FILES… --source … --licence … --owner …"
                }
                Which::In(_) => "There is none whose newest version is in this state.",
                Which::WaivedUntil(_) => "No waiver ends by then.",
            }
            .to_owned(),
            next: found.next.map(|next| query.with("after", &next).at(PAGE)).unwrap_or_default(),
        };
        listing_with(&workspace, table, by_state(PAGE))
    });
    let room = rooms.data.clone();
    let show = move |inbound: &Inbound| {
        let dataset = inbound.path("dataset").to_owned();
        let after = after(inbound)?.map(|text| text.parse().map_err(|_| Problem::invalid("`after` is a number"))).transpose()?;
        let show = ShowDataset { room: room.clone(), dataset: dataset.clone(), after, rows: None };
        Ok((show, (dataset, inbound.workspace().to_owned())))
    };
    door.route_with(Method::GET, &format!("{PAGE}/{{dataset}}"), show, |found, (dataset, workspace)| {
        let row = |one: &data::Version| {
            let number = one.number.map_or_else(|| one.id.clone(), |number| number.to_string());
            vec![
                Cell::link(number.clone(), format!("{PAGE}/{}/{}", part(&dataset), part(&number))),
                Cell::state(one.state.word(), Tone::of_state(one.state)),
                Cell::text(one.row_count.map(|count| count.to_string()).unwrap_or_default()),
                Cell::text(bytes(one.size_bytes)),
                Cell::text(one.committed_at.map(moment).unwrap_or_default()),
                Cell::text(called(one.committer_name.as_ref(), &one.committer)),
            ]
        };
        let table = Table {
            id: "versions",
            title: format!("Versions of {dataset}"),
            columns: vec!["Version", "State", "Rows", "Size", "Committed", "By"],
            rows: found.rows.iter().map(row).collect(),
            empty: "No version was committed yet.".to_owned(),
            next: found.next.map(|next| format!("{PAGE}/{}?after={next}", part(&dataset))).unwrap_or_default(),
        };
        let more = if found.making.is_empty() { Vec::new() } else { vec![making(&found.making)] };
        let links = vec![
            ("Contract", contract_page::address(&dataset)),
            ("Who may do what with it", access::address_of("dataset", &dataset)),
        ];
        listing_of(&workspace, table, links, more)
    });
    one(door, rooms);
}

/// Versions that are being made without some rows, and what became of those that could not be.
fn making(all: &[data::Making]) -> Table {
    let row = |one: &data::Making| {
        let tone = if one.state.is_over() { Tone::Bad } else { Tone::Wait };
        vec![
            Cell::text(format!("version {} without {} rows", one.parent_number, one.removed_count)),
            Cell::state(one.state.word(), tone),
            Cell::text(if one.state.is_over() { String::new() } else { stage_words(&one.stage.0, (one.stage.1, one.stage.2)) }),
            Cell::text(moment(one.asked_at)),
            Cell::text(one.why.clone()),
            Cell::text(one.fault.clone().unwrap_or_default()),
        ]
    };
    let columns = ["What", "State", "Now", "Asked", "Why", "What went wrong"];
    Table::whole("making", "Being made; reload the page to see how far it is", &columns, all.iter().map(row).collect(), "")
}

/// A version of the address.
#[derive(Clone)]
struct Named {
    room: data::Data,
    dataset: String,
    version: String,
}

impl Named {
    fn of(room: &data::Data, inbound: &Inbound) -> Self {
        let (dataset, version) = (inbound.path("dataset").to_owned(), inbound.path("version").to_owned());
        Self { room: room.clone(), dataset, version }
    }
}

impl Decidable for Named {
    type Admit = Admit;
    type Waive = Waive;
    type Refuse = Refuse;

    fn admit(&self, reason: String) -> Admit {
        let Self { room, dataset, version } = self.clone();
        Admit { room, dataset, version, reason }
    }

    fn waive(&self, reason: String, until: Micros) -> Waive {
        let Self { room, dataset, version } = self.clone();
        Waive { room, dataset, version, reason, until }
    }

    fn refuse(&self, reason: String) -> Refuse {
        let Self { room, dataset, version } = self.clone();
        Refuse { room, dataset, version, reason }
    }

    fn page(&self) -> String {
        format!("{PAGE}/{}/{}", part(&self.dataset), part(&self.version))
    }

    async fn standing(&self, visitor: &Visitor) -> Result<String, Problem> {
        let Self { room, dataset, version } = self.clone();
        let shown = visitor.call(ShowVersion { room, dataset, version }).await?;
        Ok(mark(shown.version.state, shown.inspection.and_then(|inspection| inspection.report_sha256)))
    }
}

fn one(door: &mut Door, rooms: &Rooms) {
    let path = format!("{PAGE}/{{dataset}}/{{version}}");
    let room = rooms.data.clone();
    door.choice(Method::GET, &path, &[ShowVersion::ACTION, Findings::ACTION], move |inbound| {
        let version = Named::of(&room, inbound);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, version).await })))
    });
    let room = rooms.data.clone();
    door.choice(Method::POST, &path, &[Admit::ACTION, Waive::ACTION, Refuse::ACTION], move |inbound| {
        let (version, decided) = (Named::of(&room, inbound), decided(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { decide(visitor, &version, decided).await })))
    });
    wire::admin::datasets::document_routes(door, &rooms.data, &path);
    let room = rooms.data.clone();
    let clean = move |inbound: &Inbound| {
        let (Named { room, dataset, version }, form) = (Named::of(&room, inbound), inbound.form()?);
        let number = |text: &str| text.parse::<u64>().map_err(|_| Problem::invalid("a row is a number"));
        let rows = form.ticked("row-").map(number).collect::<Result<Vec<u64>, Problem>>()?;
        let findings: Vec<String> = form.ticked("finding-").map(str::to_owned).collect();
        if rows.is_empty() && findings.is_empty() {
            return Err(Problem::invalid("choose the rows to leave out"));
        }
        let rows = RowsWish { ranges: rows.into_iter().map(|row| (row, row)).collect(), findings };
        let to = format!("{PAGE}/{}", part(&dataset));
        let why = form.get("reason").unwrap_or_default().trim().to_owned();
        let clean = CleanVersion { room, dataset, version, rows, why, retrain: false };
        Ok((clean, (to, inbound.workspace().to_owned())))
    };
    door.route_with(Method::POST, &format!("{path}/clean"), clean, |_, (to, workspace)| Ok(redirect_in(&workspace, &to)));
}

/// The report of a version's last inspection.
///
/// # Errors
/// The verb's own.
pub async fn report(visitor: &Visitor, room: data::Data, dataset: String, version: String) -> Result<Report, Problem> {
    let document = visitor.call(ReadDocument { room, dataset, version, kind: DocumentKind::Report }).await?;
    findings::read(document.body, document.size_bytes).await
}

async fn shown(visitor: &Visitor, named: Named) -> Result<Answer, Problem> {
    let page = named.page();
    let Named { room, dataset, version } = named.clone();
    let show = ShowVersion { room: room.clone(), dataset: dataset.clone(), version: version.clone() };
    let data::ops::Shown { version: one, parents, inspection, decider } = visitor.call(show).await?;
    let done = inspection.as_ref().filter(|inspection| inspection.state == InspectionState::Done);
    let may = May::open(one.state, done.and_then(|done| done.verdict)).of(visitor, &named).await?;
    let find = Findings { room: room.clone(), dataset: dataset.clone(), version: version.clone() };
    let found = visitor.call(find).await?;
    let has_report = inspection.as_ref().is_some_and(|inspection| inspection.report_sha256.is_some());
    let report = if has_report { report(visitor, room.clone(), dataset.clone(), version.clone()).await? } else { Report::None };
    let (report, unread) = report.into_parts();
    let clean =
        CleanVersion { room, dataset: dataset.clone(), version, rows: RowsWish::default(), why: String::new(), retrain: false };
    let clean = if visitor.might(&clean).await? { format!("{page}/clean") } else { String::new() };
    let state = one.state;
    VersionTemplate {
        back: (format!("{PAGE}/{}", part(&dataset)), "All versions"),
        title: format!("{dataset}@{}", one.number.map_or_else(|| one.id.clone(), |number| number.to_string())),
        state: state.word(),
        tone: Tone::of_state(state),
        verdict: sentence(state, &found.findings, one.waiver_until.map(moment), "Models may be trained on it")
            + &person_words(one.decision.as_ref(), decider.as_deref()),
        facts: (decision_facts(one.decision.as_ref(), decider.as_deref()).into_iter())
            .chain(facts(&one, inspection.as_ref()))
            .chain(unread)
            .collect(),
        tables: vec![stems_from(&dataset, &parents)],
        findings: found.findings,
        report: report.map(|report| Shown::of(report, clean)),
        model: None,
        papers: Vec::new(),
        verify: String::new(),
        more_count: 0,
        documents: match (parents.is_empty(), one.reference_id.is_some()) {
            (true, false) => documents(&page, has_report),
            _ => std::iter::once(("What changed", format!("{page}/diff"))).chain(documents(&page, has_report)).collect(),
        },
        lineage: lineage_page::address(&format!("data:{dataset}/{}", one.number.unwrap_or_default())),
        action: page,
        may,
        promotion: None,
        progress: inspection.as_ref().map(progress).unwrap_or_default(),
        seen: mark(state, inspection.and_then(|inspection| inspection.report_sha256)),
    }
    .finished(visitor.workspace())
}

/// What its inspection does now; nothing once it is over.
fn progress(inspection: &data::Inspection) -> String {
    let done = (inspection.done_count, inspection.total_count);
    progress_words(inspection.state, &inspection.stage, done)
}

fn facts(one: &data::Version, inspection: Option<&data::Inspection>) -> Vec<(&'static str, String)> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "not known".to_owned());
    let number = |value: Option<i64>| value.map_or_else(|| "not counted".to_owned(), |number| number.to_string());
    vec![
        ("Rows", number(one.row_count)),
        ("Columns", number(one.column_count)),
        ("Size", format!("{} in {} files", bytes(one.size_bytes), one.file_count)),
        ("Classes", classes(one.classes)),
        ("Source", text(&one.source_uri)),
        ("Trusted source", text(&one.source_id)),
        ("Licence", text(&one.licence)),
        ("Owner", text(&one.data_owner)),
        ("Purpose", text(&one.purpose)),
        ("Run", text(&one.run_id)),
        ("Committed", one.committed_at.map_or_else(|| "not yet".to_owned(), moment)),
        ("By", called(one.committer_name.as_ref(), &one.committer)),
        ("Manifest", one.manifest_sha256.map(|digest| hex(&digest)).unwrap_or_default()),
        ("Inspection", inspection.map_or_else(|| "none".to_owned(), |inspection| inspection.state.word().to_owned())),
    ]
}

fn classes(classes: DataClasses) -> String {
    let DataClasses { personal, special, health, financial } = classes;
    let all = [(personal, "personal"), (special, "special category"), (health, "health"), (financial, "financial")];
    let held: Vec<&str> = all.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect();
    if held.is_empty() { "none found".to_owned() } else { held.join(", ") }
}

fn stems_from(dataset: &str, parents: &[data::Parent]) -> Table {
    let row = |parent: &data::Parent| {
        vec![
            Cell::link(parent.number.to_string(), format!("{PAGE}/{}/{}", part(dataset), parent.number)),
            Cell::text(parent.how.clone()),
            Cell::text(parent.cleaning.as_ref().map(|cleaning| cleaning.why.clone()).unwrap_or_default()),
        ]
    };
    Table::whole(
        "parents",
        "Stems from",
        &["Version", "How", "Why"],
        parents.iter().map(row).collect(),
        "No parent version is known.",
    )
}
