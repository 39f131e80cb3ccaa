//! Registered models: where their versions stand, one version with its inspection, and whether what vouches for it holds.

use admission::ops::{Admit, Findings, ListStandings, MakePaper, ReadDocument, Refuse, ShowStanding, VerifyVersion, Waive};
use admission::{ClaimState, DocumentKind, Paper};
use askama::Template;
use data::InspectionState;
use gate::{DataState, Operation, Visitor};
use http::Method;
use kernel::{Micros, Problem, hex};
use wire::{Answer, Chosen, Door, Inbound};

use crate::board::{Cell, Table, Tone, bytes, called, part};
use crate::findings::{self, Report, Shown};
use crate::lineage_page;
use crate::listing::{beginning_here, by_state, narrowed, which};
use crate::model_report::ModelReport;
use crate::page::{moment, page_in};
use crate::promotion::Promotion;
use crate::query::Query;
use crate::runs::run_address;
use crate::trial::Trial;
use crate::version::{
    Decidable, May, PaperLink, VersionTemplate, decide, decided, decision_facts, documents, mark, person_words, progress_words,
    sentence,
};
use crate::{Rooms, access};

/// Where the pages are.
pub const PAGE: &str = "/console/models";

#[derive(Template)]
#[template(path = "models.html")]
struct ModelsTemplate {
    title: String,
    model: String,
    /// What the names have that the list is narrowed to.
    part: String,
    /// To what else the list is narrowed.
    narrowed: Vec<(&'static str, String)>,
    /// Lists of versions in one state each.
    states: Vec<(&'static str, String)>,
    columns: Vec<&'static str>,
    /// The version as it is chosen by, and its cells.
    rows: Vec<(String, Vec<Cell>)>,
    next: String,
    /// Where the list begins, if this page is not its first; empty else.
    beginning: String,
}

#[derive(Template)]
#[template(path = "verified.html")]
struct VerifiedTemplate {
    back: String,
    title: String,
    tone: Tone,
    word: &'static str,
    verdict: String,
    tables: Vec<Table>,
}

/// Where a version's page is.
pub fn address(name: &str, number: i64) -> String {
    format!("{PAGE}/{}/{number}", part(name))
}

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.admission.clone();
    let list = move |inbound: &Inbound| {
        let query = Query::of(inbound)?;
        let which = which(&query)?;
        let list = ListStandings {
            room: room.clone(),
            name: query.text("model"),
            part: query.text("part"),
            which,
            after: query.text("after"),
            rows: None,
        };
        Ok((list, (which, query, inbound.workspace().to_owned())))
    };
    door.route_with(Method::GET, PAGE, list, |found, (which, query, workspace)| {
        let row = |one: &admission::Standing| {
            let number = one.subject.number;
            let named = format!("{}/{number}", one.name);
            let cells = vec![
                Cell::link(named.clone(), address(&one.name, number)),
                Cell::state(one.state.word(), Tone::of_state(one.state)),
                Cell::text(bytes(one.size_bytes)),
                Cell::text(moment(one.submitted_at)),
                Cell::text(called(one.submitter_name.as_ref(), &one.submitter)),
                Cell::text(one.waiver_until.map(moment).unwrap_or_default()),
            ];
            (named, cells)
        };
        let model = query.text("model").unwrap_or_default();
        let title = if model.is_empty() { "Models".to_owned() } else { format!("Versions of {model}") };
        let template = ModelsTemplate {
            title: narrowed(&title, which),
            model,
            part: query.text("part").unwrap_or_default(),
            narrowed: ["state", "waived_until"].iter().filter_map(|name| Some((*name, query.text(name)?))).collect(),
            states: by_state(PAGE),
            columns: vec!["Version", "State", "Size", "Registered", "By", "Its waiver ends"],
            rows: found.rows.iter().map(row).collect(),
            next: found.next.map(|next| query.with("after", &next).at(PAGE)).unwrap_or_default(),
            beginning: beginning_here(),
        };
        page_in(&workspace, &template)
    });
    one(door, rooms);
}

/// The papers that vouch for a version, made when they are asked for. Some say that it was let in, and are made only while it is.
fn papers(page: &str, version: &str, has_report: bool, is_admitted: bool) -> Vec<PaperLink> {
    let paper = |name, paper: Paper, what| PaperLink {
        name,
        file: format!("{version}-{}", paper.word()),
        href: format!("{page}/papers/{}", paper.word()),
        what,
    };
    let document = |name, kind: DocumentKind, what| PaperLink {
        name,
        file: format!("{version}-{}", kind.word()),
        href: format!("{page}/documents/{}", kind.word()),
        what,
    };
    let mut all = vec![
        paper("Provenance (SLSA)", Paper::Provenance, "signed: which run, parameters, data and code made it"),
        paper("Bill of materials (CycloneDX ML-BOM)", Paper::Bom, "files, packages, data"),
        paper("Model card", Paper::Card, "what it is, for people"),
        paper("Dossier (EU AI Act, Annex IV)", Paper::Dossier, "what is recorded of it, in the order of the annex"),
        paper("Key", Paper::Key, "the public key of this server's signatures on models"),
    ];
    if has_report {
        let what = "signed: what was tested, with which results, and the scan of its files";
        all.insert(0, document("Test result of the inspection", DocumentKind::Attestation, what));
    }
    if is_admitted {
        all.push(paper("Signature (OpenSSF Model Signing)", Paper::Signature, "over all of its files"));
        all.push(paper("Verification summary (SLSA)", Paper::Summary, "signed: it was let in, by which policy"));
        all.push(paper("Evidence", Paper::Evidence, "all of it in one file, with the log's receipts, to be checked offline"));
    }
    all
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

    fn verify(&self) -> VerifyVersion {
        let Self { room, name, version } = self.clone();
        VerifyVersion { room, name, version, made: Err(String::new()) }
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

    async fn standing(&self, visitor: &Visitor) -> Result<String, Problem> {
        let Self { room, name, version } = self.clone();
        let shown = visitor.call(ShowStanding { room, name, version }).await?;
        let report = shown.inspection.and_then(|inspection| inspection.report_sha256);
        Ok(mark(shown.standing.state_at(visitor.at()), report))
    }
}

fn one(door: &mut Door, rooms: &Rooms) {
    let path = format!("{PAGE}/{{model}}/{{version}}");
    let own = rooms.clone();
    door.choice(Method::GET, &path, &[ShowStanding::ACTION, Findings::ACTION], move |inbound| {
        let (rooms, version) = (own.clone(), Named::of(&own.admission, inbound));
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, &rooms, version).await })))
    });
    let room = rooms.admission.clone();
    door.choice(Method::POST, &path, &[Admit::ACTION, Waive::ACTION, Refuse::ACTION], move |inbound| {
        let (version, decided) = (Named::of(&room, inbound), decided(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { decide(visitor, &version, decided).await })))
    });
    let room = rooms.admission.clone();
    door.choice(Method::POST, &format!("{path}/verify"), &[MakePaper::ACTION], move |inbound| {
        let version = Named::of(&room, inbound);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { verified(visitor, version).await })))
    });
    wire::admin::models::document_routes(door, &rooms.admission, &path);
}

/// The report of a version's last inspection.
///
/// # Errors
/// The verb's own.
pub async fn report(visitor: &Visitor, room: admission::Admission, name: String, version: String) -> Result<Report, Problem> {
    let document = visitor.call(ReadDocument { room, name, version, kind: DocumentKind::Report }).await?;
    findings::read(document.body, document.size_bytes).await
}

async fn shown(visitor: &Visitor, rooms: &Rooms, named: Named) -> Result<Answer, Problem> {
    let page = named.page();
    let Named { room, name, version } = named.clone();
    let show = ShowStanding { room: room.clone(), name: name.clone(), version: version.clone() };
    let admission::ops::Shown { standing: one, inspection, obstacle, has_files, decider } = visitor.call(show).await?;
    // Nothing vouches for a version that has no files here.
    let verify = has_files && visitor.might(&named.verify()).await?;
    let found = visitor.call(Findings { room: room.clone(), name: name.clone(), version: version.clone() }).await?;
    let number = one.subject.number;
    let has_report = inspection.as_ref().is_some_and(|inspection| inspection.report_sha256.is_some());
    let report = if has_report { report(visitor, room, name.clone(), version).await? } else { Report::None };
    let (report, unread) = report.into_parts();
    let state = one.state_at(visitor.at());
    let done = inspection.as_ref().filter(|inspection| inspection.state == InspectionState::Done);
    let judged = done.and_then(|done| done.verdict);
    let may = May::open(state, judged).of(visitor, &named).await?;
    let mut facts = decision_facts(one.decision.as_ref(), decider.as_deref());
    facts.extend([
        ("Registered", moment(one.submitted_at)),
        ("By", called(one.submitter_name.as_ref(), &one.submitter)),
        ("Size", format!("{} in {} files", bytes(one.size_bytes), one.file_count)),
        ("Gate file", one.gate_revision.map_or_else(|| "none".to_owned(), |revision| format!("revision {revision}"))),
        ("Manifest", one.manifest_sha256.map(|digest| hex(&digest)).unwrap_or_default()),
        ("Inspection", inspection.as_ref().map_or("none", |inspection| inspection.state.word()).to_owned()),
    ]);
    facts.extend(unread);
    let mut verdict = sentence(state, &found.findings, one.waiver_until.map(moment), "It may be promoted and served");
    verdict.push_str(&person_words(one.decision.as_ref(), decider.as_deref()));
    let is_vouched_for = state == DataState::Admitted && obstacle.is_none();
    let promotion = Promotion::of(visitor, rooms, &one, (obstacle, judged, may)).await?;
    VersionTemplate {
        back: (format!("{PAGE}?model={}", part(&name)), "All versions"),
        title: format!("{name}/{number}"),
        state: state.word(),
        tone: Tone::of_state(state),
        verdict,
        facts,
        tables: Vec::new(),
        findings: found.findings,
        model: report.as_ref().map(|report| ModelReport::of(&Trial::of(report), run_address)),
        report: report.map(|report| Shown::of(report, String::new())),
        papers: if verify { papers(&page, &format!("{name}-{number}"), has_report, is_vouched_for) } else { Vec::new() },
        verify: if verify { format!("{page}/verify") } else { String::new() },
        more_count: 0,
        documents: (documents(&page, has_report).into_iter())
            .chain([("Who may do what with it", access::address_of("registered_model", &name))])
            .collect(),
        lineage: lineage_page::address(&format!("model:{name}/{number}")),
        action: page,
        may,
        promotion,
        progress: (inspection.as_ref()).map(|one| progress_words(one.state, &one.stage, (0, None))).unwrap_or_default(),
        seen: mark(state, inspection.and_then(|inspection| inspection.report_sha256)),
    }
    .finished(visitor.workspace())
}

/// Checks what vouches for a version, and shows line by line what holds. It changes nothing, so the answer is the page itself.
async fn verified(visitor: &Visitor, named: Named) -> Result<Answer, Problem> {
    let Named { room, name, version } = named.clone();
    let verified = wire::admin::models::verify(visitor, room, name.clone(), version.clone()).await?;
    let count = |state: ClaimState| verified.claims.iter().filter(|claim| claim.state == state).count();
    let (holding, broken, unchecked) = (count(ClaimState::Holds), count(ClaimState::Fails), count(ClaimState::Unchecked));
    let (tone, word) = match (broken, unchecked) {
        (0, 0) => (Tone::Good, "holds"),
        (0, _) => (Tone::Wait, "not all was checked"),
        _ => (Tone::Bad, "does not hold"),
    };
    let row = |claim: &admission::Claim| {
        let state = match claim.state {
            ClaimState::Holds => Cell::state("holds", Tone::Good),
            ClaimState::Fails => Cell::state("does not hold", Tone::Bad),
            ClaimState::Unchecked => Cell::state("not checked", Tone::Wait),
        };
        vec![Cell::text(claim.what.clone()), state, Cell::text(claim.detail.clone())]
    };
    let rows = verified.claims.iter().map(row).collect();
    let keys = verified.keys.iter().map(|(name, key)| vec![Cell::text(name.clone()), Cell::text(key.clone())]).collect();
    let template = VerifiedTemplate {
        back: named.page(),
        title: format!("{name}/{version}"),
        tone,
        word,
        verdict: format!("{holding} hold, {broken} do not, {unchecked} could not be checked."),
        tables: vec![
            Table::whole("claims", "What was checked", &["What", "State", "By which key, or why not"], rows, ""),
            Table::whole("keys", "The keys", &["Key", "SHA-256 of a public key, or a log's verifier key"], keys, ""),
        ],
    };
    page_in(visitor.workspace(), &template)
}
