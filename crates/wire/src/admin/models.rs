//! `/models`: where versions of registered models stand between quarantine and use.

use admission::ops::{
    AddReceipts, Admit, Decided, Document, Findings, Found, GateShown, GetSigners, ListStandings, MadePaper, MakePaper,
    QueueInspection, ReadDocument, Refuse, SetGate, SetSigners, ShowGate, ShowStanding, Shown, Verified, VerifyVersion, Waive,
};
use admission::{Admission, DocumentKind, Gate, Inspection, Paper, Signers, SignersSet, Standing};
use data::Verdict;
use gate::{Operation, Visitor};
use http::Method;
use kernel::{Kind, Problem, hex};
use serde::Deserialize;
use serde_json::{Value, json};

use super::datasets::{document_headers, stream_answer};
use super::datasets_view::finding;
use super::shape::{body, list, only, query, which};
use super::times::{self, to_text};
use crate::{Answer, Chosen, Door, Inbound, outbound};

const PREFIX: &str = "/api/strongroom/v1/models";
const VERSION: &str = "/{model}/versions/{version}";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionBody {
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WaiverBody {
    reason: String,
    until: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GateBody {
    /// The gate file (YAML); `null` takes the gate away.
    gate: Option<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A route's reader with its room.
fn bound<O: 'static>(
    room: &Admission,
    parse: fn(Admission, &Inbound) -> Result<O, Problem>,
) -> impl Fn(&Inbound) -> Result<O, Problem> + Send + Sync + 'static {
    let room = room.clone();
    move |inbound| parse(room.clone(), inbound)
}

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Admission) {
    let at = |end: &str| format!("{PREFIX}{VERSION}{end}");
    door.route(Method::GET, &format!("{PREFIX}/versions"), bound(room, standings), |page| {
        list("versions", &page.rows, page.next.as_deref(), standing)
    });
    let gate = format!("{PREFIX}/{{model}}/gate");
    door.route(Method::GET, &gate, bound(room, show_gate), |shown| outbound::json(&gate_shown(&shown)));
    door.route(Method::POST, &gate, bound(room, set_gate), |gate| outbound::json(&revision(&gate)));
    let signers = "/api/strongroom/v1/signers";
    let get = |room, inbound: &Inbound| only(inbound, []).map(|[]| GetSigners { room });
    door.route(Method::GET, signers, bound(room, get), |set| outbound::json(&signers_value(set.as_ref())));
    let set = |room, inbound: &Inbound| Ok(SetSigners { room, signers: body::<Signers>(inbound)? });
    door.route(Method::POST, signers, bound(room, set), |set| outbound::json(&signers_value(Some(&set))));
    door.route(Method::GET, &at(""), bound(room, show), |found| outbound::json(&shown(&found)));
    door.route(Method::GET, &at("/findings"), bound(room, findings), |all| outbound::json(&found(&all)));
    document_routes(door, room, &at(""));
    let checked = room.clone();
    door.choice(Method::GET, &at("/verify"), &[MakePaper::ACTION], move |inbound| {
        let ([], room, (name, version)) = (only(inbound, [])?, checked.clone(), names(inbound));
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move { outbound::json(&verified_value(&verify(visitor, room, name, version).await?)) })
        }))
    });
    door.route(Method::POST, &at("/inspect"), bound(room, inspect), |queued| outbound::json(&inspection(&queued)));
    door.route(Method::POST, &at("/waive"), bound(room, waive), |done| decided_answer(&done));
    door.route(Method::POST, &at("/admit"), bound(room, admit), |done| decided_answer(&done));
    door.route(Method::POST, &at("/refuse"), bound(room, refuse), |done| decided_answer(&done));
}

/// Adds the documents and papers of a version below an address: the API's, and the console's, whose links can send no header.
pub fn document_routes(door: &mut Door, room: &Admission, version: &str) {
    door.route(Method::GET, &format!("{version}/documents/{{document}}"), bound(room, document), document_answer);
    let papers = room.clone();
    // Evidence takes a second verb: a receipt of the first one's record can only be had once it is written.
    door.choice(Method::GET, &format!("{version}/papers/{{paper}}"), &[MakePaper::ACTION, AddReceipts::ACTION], move |inbound| {
        let ask = paper(papers.clone(), inbound)?;
        let (room, (name, version)) = (ask.room.clone(), names(inbound));
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let made = visitor.call(ask).await?;
                if made.paper != Paper::Evidence {
                    return paper_answer(made);
                }
                paper_answer(visitor.call(AddReceipts { room, name, version, made }).await?)
            })
        }))
    });
}

/// Checks a version, and all that vouches for it where it is let in. It takes two verbs: evidence is made, and then checked with the receipt of that act.
///
/// # Errors
/// The verbs' own.
pub async fn verify(visitor: &Visitor, room: Admission, name: String, version: String) -> Result<Verified, Problem> {
    let ask = MakePaper { room: room.clone(), name: name.clone(), version: version.clone(), paper: Paper::Evidence };
    let made = match visitor.call(ask).await {
        Ok(made) => Ok(made),
        // Only what is let in is vouched for; its files and its report are checked all the same.
        Err(problem) if problem.kind() == Kind::Conflict => Err(problem.message().to_owned()),
        Err(problem) => return Err(problem),
    };
    visitor.call(VerifyVersion { room, name, version, made }).await
}

/// The model and the version of the address.
fn names(inbound: &Inbound) -> (String, String) {
    (inbound.path("model").to_owned(), inbound.path("version").to_owned())
}

fn standings(room: Admission, inbound: &Inbound) -> Result<ListStandings, Problem> {
    let (page, [name, state, part]) = query(inbound, ["model", "state", "part"])?;
    Ok(ListStandings { room, name, part, which: which(state)?, after: page.after, rows: page.rows })
}

fn show_gate(room: Admission, inbound: &Inbound) -> Result<ShowGate, Problem> {
    let [revision] = only(inbound, ["revision"])?;
    let number = |text: String| text.parse().map_err(|_| Problem::invalid("`revision` is a number"));
    Ok(ShowGate { room, name: inbound.path("model").to_owned(), revision: revision.map(number).transpose()? })
}

fn set_gate(room: Admission, inbound: &Inbound) -> Result<SetGate, Problem> {
    let GateBody { gate, reason } = body(inbound)?;
    Ok(SetGate { room, name: inbound.path("model").to_owned(), text: gate, reason })
}

fn show(room: Admission, inbound: &Inbound) -> Result<ShowStanding, Problem> {
    let ([], (name, version)) = (only(inbound, [])?, names(inbound));
    Ok(ShowStanding { room, name, version })
}

fn findings(room: Admission, inbound: &Inbound) -> Result<Findings, Problem> {
    let ([], (name, version)) = (only(inbound, [])?, names(inbound));
    Ok(Findings { room, name, version })
}

fn document(room: Admission, inbound: &Inbound) -> Result<ReadDocument, Problem> {
    let (name, version) = names(inbound);
    let unknown = || Problem::not_found("a version has `report.json`, `report.html` and `attestation.json`");
    let kind = DocumentKind::parse(inbound.path("document")).ok_or_else(unknown)?;
    Ok(ReadDocument { room, name, version, kind })
}

fn paper(room: Admission, inbound: &Inbound) -> Result<MakePaper, Problem> {
    // The console's addresses have parameters of their own.
    let (name, version) = names(inbound);
    let unknown = || {
        Problem::not_found(
            "papers are `model.sig`, `signing-key.pem`, `provenance.json`, `summary.json`, `bom.json`, `card.md`, `dossier.html` and \
             `evidence.json`",
        )
    };
    Ok(MakePaper { room, name, version, paper: Paper::parse(inbound.path("paper")).ok_or_else(unknown)? })
}

fn inspect(room: Admission, inbound: &Inbound) -> Result<QueueInspection, Problem> {
    let (Nothing {}, (name, version)) = (body(inbound)?, names(inbound));
    Ok(QueueInspection { room, name, version })
}

fn waive(room: Admission, inbound: &Inbound) -> Result<Waive, Problem> {
    let ((name, version), WaiverBody { reason, until }) = (names(inbound), body(inbound)?);
    Ok(Waive { room, name, version, reason, until: times::parse("until", &until)? })
}

fn admit(room: Admission, inbound: &Inbound) -> Result<Admit, Problem> {
    let ((name, version), DecisionBody { reason }) = (names(inbound), body(inbound)?);
    Ok(Admit { room, name, version, reason })
}

fn refuse(room: Admission, inbound: &Inbound) -> Result<Refuse, Problem> {
    let ((name, version), DecisionBody { reason }) = (names(inbound), body(inbound)?);
    Ok(Refuse { room, name, version, reason })
}

fn revision(gate: &Gate) -> Value {
    json!({
        "revision": gate.revision,
        "sha256": hex(&gate.sha256),
        "set_at": to_text(gate.set_at),
        "set_by": gate.set_by,
        "reason": gate.reason,
    })
}

fn gate_shown(shown: &GateShown) -> Value {
    let mut value = revision(&shown.gate);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("gate".to_owned(), json!(shown.gate.text));
        fields.insert("history".to_owned(), shown.history.iter().map(revision).collect());
    }
    value
}

fn signers_value(set: Option<&SignersSet>) -> Value {
    json!({
        "number": set.map_or(0, |set| set.number),
        "signers": set.map(|set| &set.signers).unwrap_or(&Signers::default()),
        "sha256": set.map(|set| hex(&set.sha256)),
        "set_at": set.map(|set| to_text(set.set_at)),
        "set_by": set.map(|set| &set.set_by),
    })
}

pub(super) fn standing(standing: &Standing) -> Value {
    json!({
        "model": standing.name,
        "version": standing.subject.number,
        "state": standing.state.word(),
        "verdict": standing.verdict.map(Verdict::word),
        "submitter": standing.submitter,
        "submitted_at": to_text(standing.submitted_at),
        "here": standing.place.is_some(),
        "manifest_sha256": standing.manifest_sha256.map(|digest| hex(&digest)),
        "file_count": standing.file_count,
        "size_bytes": standing.size_bytes,
        "decision": standing.decision.as_ref().map(|decision| json!({
            "by": decision.by, "how": decision.kind.word(), "at": to_text(decision.at), "why": decision.why,
        })),
        "waiver_until": standing.waiver_until.map(to_text),
        "gate_revision": standing.gate_revision,
    })
}

fn shown(found: &Shown) -> Value {
    let mut value = standing(&found.standing);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("inspection".to_owned(), found.inspection.as_ref().map_or(Value::Null, inspection));
        fields.insert("may_be_promoted".to_owned(), json!(found.obstacle.is_none()));
        fields.insert("obstacle".to_owned(), json!(found.obstacle));
    }
    value
}

fn inspection(inspection: &Inspection) -> Value {
    json!({
        "id": inspection.id,
        "state": inspection.state.word(),
        "stage": inspection.stage,
        "queued_at": to_text(inspection.queued_at),
        "queued_by": inspection.queued_by,
        "started_at": inspection.started_at.map(to_text),
        "ended_at": inspection.ended_at.map(to_text),
        "attempts": inspection.attempt_count,
        "verdict": inspection.verdict.map(Verdict::word),
        "report_sha256": inspection.report_sha256.map(|digest| hex(&digest)),
        "fault": inspection.fault,
    })
}

fn found(found: &Found) -> Value {
    json!({
        "last": found.last.as_ref().map(inspection),
        "inspection": found.inspection.as_ref().map(inspection),
        "findings": found.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn verified_value(verified: &Verified) -> Value {
    json!({
        "holds": verified.holds(),
        "claims": verified.claims,
        "keys": verified.keys.iter().map(|(name, key)| json!({ "name": name, "key": key })).collect::<Vec<_>>(),
    })
}

fn decided_answer(done: &Decided) -> Result<Answer, Problem> {
    outbound::json(&json!({
        "version": done.number,
        "state": done.state.word(),
        "waiver_until": done.waiver_until.map(to_text),
    }))
}

fn paper_answer(MadePaper { paper, bytes, .. }: MadePaper) -> Result<Answer, Problem> {
    let (sha256, size_bytes) = (kernel::sha256(&bytes), bytes.len() as u64);
    let body: data::Body = Box::pin(futures_util::stream::iter([Ok(bytes::Bytes::from(bytes))]));
    let mut answer = stream_answer(body, size_bytes, paper.media_type());
    document_headers(&mut answer, &sha256);
    Ok(answer)
}

fn document_answer(document: Document) -> Result<Answer, Problem> {
    let kind = match document.kind {
        DocumentKind::Report | DocumentKind::Attestation | DocumentKind::Guard => "application/json",
        DocumentKind::Page => "text/html; charset=utf-8",
    };
    let mut answer = stream_answer(document.body, document.size_bytes, kind);
    document_headers(&mut answer, &document.sha256);
    Ok(answer)
}
