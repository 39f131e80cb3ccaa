//! `/datasets`: data sets and their versions, from the first file to the verdict, and `/sources`: the register of trusted
//! sources.

use std::collections::BTreeMap;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data::ops::{
    Admit, AttestationKey, CancelInspection, CleanVersion, Commit, Committed, ContractSet, Decided, Diff, Difference,
    DiscardVersion, Document, Export, Exported, Findings, OpenVersion, PutFile, QueryVersion, QueueInspection, ReadContract,
    ReadDocument, ReadFile, Refuse, RowsWish, SearchDatasets, SetContract, ShowDataset, ShowManifest, ShowTrained, ShowVersion,
    UseVersion, VersionFiles, Waive,
};
use data::{CommitWish, Data, DocumentKind, OtherVersion, VersionName, Wanted};
use gate::{Operation, Visitor};
use http::{HeaderValue, Method, header};
use inspection::QueryRows;
use kernel::{Problem, hex};
use serde::Deserialize;
use serde_json::{Value, json};

use super::datasets_view as view;
use super::shape::{body, list, nothing, only, query, which};
use super::times;
use crate::outbound::harden;
use crate::{Answer, BodyStream, Chosen, Door, Inbound, outbound};

pub(super) const PREFIX: &str = "/api/strongroom/v1/datasets";
const VERSION: &str = "/{dataset}/versions/{version}";
/// The run for which a file is read.
const RUN_HEADER: &str = "x-strongroom-run";
/// A page is shown by a browser, but may load and run nothing.
const PAGE_POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";

/// What a committer says.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CommitBody {
    source: Option<String>,
    signature: Option<String>,
    licence: Option<String>,
    owner: Option<String>,
    purpose: Option<String>,
    format: Option<String>,
    csv: inspection::CsvDialect,
    roles: RolesBody,
    contract: Option<String>,
    parents: Vec<Value>,
    reference: Option<Value>,
    run_id: Option<String>,
    /// Versions of other data sets, as `NAME@VERSION`, by the names that the contract's rules call them.
    tables: BTreeMap<String, String>,
    /// Versions with which no row may be shared.
    apart: Vec<String>,
}

/// What columns are for.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RolesBody {
    label: Option<String>,
    source: Option<String>,
    time: Option<String>,
    id: Option<String>,
    texts: Vec<String>,
    probabilities: Vec<String>,
    embedding: Option<String>,
    ignored: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CleanBody {
    #[serde(default)]
    rows: Vec<(u64, u64)>,
    #[serde(default)]
    findings: Vec<String>,
    reason: String,
    #[serde(default)]
    retrain: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContractBody {
    contract: String,
    reason: String,
}

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

/// A query, and how many rows are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryBody {
    sql: String,
    #[serde(default = "QueryBody::row_count_default")]
    rows: u64,
}

impl QueryBody {
    const fn row_count_default() -> u64 {
        1_000
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A route's reader with its room.
fn bound<O: 'static>(
    room: &Data,
    parse: fn(Data, &Inbound) -> Result<O, Problem>,
) -> impl Fn(&Inbound) -> Result<O, Problem> + Send + Sync + 'static {
    let room = room.clone();
    move |inbound| parse(room.clone(), inbound)
}

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Data) {
    door.route(Method::GET, PREFIX, bound(room, search), |page| {
        list("datasets", &page.rows, page.next.as_deref(), view::summary)
    });
    door.route(Method::GET, &format!("{PREFIX}/{{dataset}}"), bound(room, show_dataset), |page| {
        let next = page.next.map(|next| next.to_string());
        list("versions", &page.rows, next.as_deref(), view::version)
    });
    door.route(Method::POST, &format!("{PREFIX}/{{dataset}}/versions"), bound(room, open), |opened| {
        outbound::json(&json!({ "id": opened.version_id, "expires_at": times::to_text(opened.expires_at) }))
    });
    door.route(Method::GET, &format!("{PREFIX}/{{dataset}}/contract"), bound(room, read_contract), document_answer);
    door.route(Method::POST, &format!("{PREFIX}/{{dataset}}/contract"), bound(room, set_contract), |set: ContractSet| {
        outbound::json(&json!({ "dataset": set.dataset, "sha256": hex(&set.sha256) }))
    });
    let key = |room, inbound: &Inbound| only(inbound, []).map(|[]| AttestationKey { room });
    door.route(Method::GET, "/api/strongroom/v1/attestation-key", bound(room, key), |key| {
        outbound::json(
            &json!({ "algorithm": "ed25519", "public_key": STANDARD.encode(&key), "keyid": hex(&kernel::sha256(&key)) }),
        )
    });
    version_routes(door, room);
    file_routes(door, room);
    decision_routes(door, room);
}

/// Adds the documents of a version below an address: the API's, and the console's, whose links can send no header.
pub fn document_routes(door: &mut Door, room: &Data, version: &str) {
    door.route(Method::GET, &format!("{version}/documents/{{document}}"), bound(room, document), document_answer);
}

fn version_routes(door: &mut Door, room: &Data) {
    let at = |end: &str| format!("{PREFIX}{VERSION}{end}");
    door.route(Method::GET, &at(""), bound(room, show_version), |shown| outbound::json(&view::shown(&shown)));
    door.route(Method::DELETE, &at(""), bound(room, discard), |()| nothing());
    door.route(Method::GET, &at("/manifest"), bound(room, manifest), manifest_answer);
    door.route(Method::GET, &at("/diff"), bound(room, diff), |found: Difference| outbound::json(&view::difference(&found)));
    door.route(Method::GET, &at("/findings"), bound(room, findings), |found| outbound::json(&view::found(&found)));
    document_routes(door, room, &at(""));
    door.route(Method::GET, &at("/export"), bound(room, export), export_answer);
    door.route(Method::POST, &at("/clean"), bound(room, clean), |done| outbound::json(&view::cleaned(&done)));
    door.route(Method::GET, &at("/trained"), bound(room, trained), |found| outbound::json(&view::trained(&found)));
    // Other versions that it is checked against are asked for one by one, as the caller.
    let actions = [UseVersion::ACTION, Commit::ACTION];
    let writer = room.clone();
    door.choice(Method::POST, &at("/commit"), &actions, move |inbound: &Inbound| {
        let ((dataset, version), commit, room) = (names(inbound), body::<CommitBody>(inbound)?, writer.clone());
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let wish = commit.wish_of(&room, visitor).await?;
                committed_answer(&visitor.call(Commit { room, dataset, version, wish }).await?)
            })
        }))
    });
}

fn file_routes(door: &mut Door, room: &Data) {
    const FILE: &str = "/files/{*path}";
    door.route(Method::GET, &format!("{PREFIX}{VERSION}{FILE}"), bound(room, read), crate::mlflow::artifacts::fetched);
    door.route(Method::POST, &format!("{PREFIX}{VERSION}/query"), bound(room, ask), |rows: QueryRows| {
        outbound::json(&json!({
            "columns": rows.columns, "row_count": rows.row_count, "truncated": rows.truncated, "rows": rows.rows,
        }))
    });
    let writer = room.clone();
    let put = move |inbound: &Inbound, bytes: BodyStream| {
        let (dataset, version) = names(inbound);
        let size_hint_bytes = inbound.header("content-length").and_then(|text| text.parse().ok());
        let path = inbound.path("path").to_owned();
        Ok(PutFile { room: writer.clone(), dataset, version, path, body: Box::pin(bytes), size_hint_bytes })
    };
    door.stream(Method::PUT, &format!("{PREFIX}{VERSION}{FILE}"), put, |stored| {
        outbound::json(&json!({ "size_bytes": stored.size_bytes, "sha256": hex(&stored.sha256) }))
    });
}

fn decision_routes(door: &mut Door, room: &Data) {
    let at = |end: &str| format!("{PREFIX}{VERSION}{end}");
    door.route(Method::POST, &at("/inspect"), bound(room, inspect), |inspection| outbound::json(&view::inspection(&inspection)));
    door.route(Method::POST, &at("/cancel"), bound(room, cancel), |inspection| outbound::json(&view::inspection(&inspection)));
    door.route(Method::POST, &at("/waive"), bound(room, waive), |done| decided_answer(&done));
    door.route(Method::POST, &at("/admit"), bound(room, admit), |done| decided_answer(&done));
    door.route(Method::POST, &at("/refuse"), bound(room, refuse), |done| decided_answer(&done));
}

/// The data set and the version of the address.
fn names(inbound: &Inbound) -> (String, String) {
    (inbound.path("dataset").to_owned(), inbound.path("version").to_owned())
}

fn search(room: Data, inbound: &Inbound) -> Result<SearchDatasets, Problem> {
    let (page, [state]) = query(inbound, ["state"])?;
    Ok(SearchDatasets { room, which: which(state)?, after: page.after, rows: page.rows })
}

fn show_dataset(room: Data, inbound: &Inbound) -> Result<ShowDataset, Problem> {
    let (page, []) = query(inbound, [])?;
    let after = page.after.map(|after| after.parse().map_err(|_| Problem::invalid("`after` is a version's number")));
    Ok(ShowDataset { room, dataset: inbound.path("dataset").to_owned(), after: after.transpose()?, rows: page.rows })
}

fn open(room: Data, inbound: &Inbound) -> Result<OpenVersion, Problem> {
    let Nothing {} = body(inbound)?;
    Ok(OpenVersion { room, dataset: inbound.path("dataset").to_owned() })
}

fn read_contract(room: Data, inbound: &Inbound) -> Result<ReadContract, Problem> {
    only(inbound, []).map(|[]| ReadContract { room, dataset: inbound.path("dataset").to_owned() })
}

fn set_contract(room: Data, inbound: &Inbound) -> Result<SetContract, Problem> {
    let ContractBody { contract, reason } = body(inbound)?;
    Ok(SetContract { room, dataset: inbound.path("dataset").to_owned(), contract, reason, seen: None })
}

fn show_version(room: Data, inbound: &Inbound) -> Result<ShowVersion, Problem> {
    let ([], (dataset, version)) = (only(inbound, [])?, names(inbound));
    Ok(ShowVersion { room, dataset, version })
}

fn discard(room: Data, inbound: &Inbound) -> Result<DiscardVersion, Problem> {
    let ([], (dataset, version)) = (only(inbound, [])?, names(inbound));
    Ok(DiscardVersion { room, dataset, version })
}

fn manifest(room: Data, inbound: &Inbound) -> Result<ShowManifest, Problem> {
    let ([], (dataset, version)) = (only(inbound, [])?, names(inbound));
    Ok(ShowManifest { room, dataset, version })
}

fn diff(room: Data, inbound: &Inbound) -> Result<Diff, Problem> {
    let ([against], (dataset, version)) = (only(inbound, ["against"])?, names(inbound));
    let against = against.map(|text| version_name(&Value::String(text))).transpose()?;
    Ok(Diff { room, dataset, version, against })
}

fn findings(room: Data, inbound: &Inbound) -> Result<Findings, Problem> {
    let ([], (dataset, version)) = (only(inbound, [])?, names(inbound));
    Ok(Findings { room, dataset, version })
}

fn document(room: Data, inbound: &Inbound) -> Result<ReadDocument, Problem> {
    let (dataset, version) = names(inbound);
    let kind = DocumentKind::parse(inbound.path("document"));
    let unknown = || {
        Problem::not_found(
            "a version has `contract.yaml`, `report.json`, `report.html`, `attestation.json`, `croissant.json` and `removed-rows.json`",
        )
    };
    Ok(ReadDocument { room, dataset, version, kind: kind.ok_or_else(unknown)? })
}

fn export(room: Data, inbound: &Inbound) -> Result<Export, Problem> {
    let ([], (dataset, version)) = (only(inbound, [])?, names(inbound));
    Ok(Export { room, dataset, version })
}

fn read(room: Data, inbound: &Inbound) -> Result<ReadFile, Problem> {
    let ([run], (dataset, version)) = (only(inbound, ["run"])?, names(inbound));
    let run = run.or_else(|| inbound.header(RUN_HEADER).map(str::to_owned)).filter(|run| !run.is_empty());
    let wanted = Wanted::parse(inbound.header("range"));
    Ok(ReadFile { room, dataset, version, path: inbound.path("path").to_owned(), wanted, run })
}

fn ask(room: Data, inbound: &Inbound) -> Result<QueryVersion, Problem> {
    let ((dataset, version), QueryBody { sql, rows }) = (names(inbound), body(inbound)?);
    Ok(QueryVersion { room, dataset, version, sql, row_count_max: rows })
}

impl CommitBody {
    /// What it says, with the versions that it is to be checked against: each is asked for as the caller.
    pub(super) async fn wish_of(self, room: &Data, visitor: &Visitor) -> Result<CommitWish, Problem> {
        let named = self.tables.iter().map(|(name, version)| (name.clone(), version.clone(), false));
        let wanted: Vec<(String, String, bool)> =
            named.chain(self.apart.iter().map(|version| (version.clone(), version.clone(), true))).collect();
        if wanted.len() > data::limits::OTHER_COUNT_MAX {
            let message = format!("a version is checked against at most {} others", data::limits::OTHER_COUNT_MAX);
            return Err(Problem::invalid(message));
        }
        let mut wish = self.wish()?;
        for (name, text, apart) in wanted {
            let (dataset, version) = text.rsplit_once('@').unwrap_or((&text, "admitted"));
            let (dataset, version) = (dataset.to_owned(), version.to_owned());
            let version_id = visitor.call(UseVersion { room: room.clone(), dataset, version, apart }).await?;
            wish.others.push(OtherVersion { name, version_id, apart });
        }
        Ok(wish)
    }

    /// What it says. A run that the client names is its own word.
    fn wish(self) -> Result<CommitWish, Problem> {
        let signature = self.signature.map(|text| STANDARD.decode(text).map_err(|_| Problem::invalid("`signature` is base64")));
        let RolesBody { label, source, time, id, texts, probabilities, embedding, ignored } = self.roles;
        Ok(CommitWish {
            source_uri: self.source,
            signature: signature.transpose()?,
            licence: self.licence,
            data_owner: self.owner,
            purpose: self.purpose,
            format: self.format,
            csv: self.csv,
            roles: inspection::Roles { label, source, time, id, texts, probabilities, embedding, ignored },
            contract: self.contract,
            parents: self.parents.iter().map(version_name).collect::<Result<_, _>>()?,
            reference: self.reference.as_ref().map(version_name).transpose()?,
            run: self.run_id.map(|run| (run, lineage::Trust::Claimed)),
            others: Vec::new(),
        })
    }
}

fn clean(room: Data, inbound: &Inbound) -> Result<CleanVersion, Problem> {
    let ((dataset, version), CleanBody { rows, findings, reason, retrain }) = (names(inbound), body(inbound)?);
    Ok(CleanVersion { room, dataset, version, rows: RowsWish { ranges: rows, findings }, why: reason, retrain })
}

fn trained(room: Data, inbound: &Inbound) -> Result<ShowTrained, Problem> {
    let ([], (dataset, version)) = (only(inbound, [])?, names(inbound));
    Ok(ShowTrained { room, dataset, version })
}

/// `3`, `"3"`, `"latest"`, `"admitted"` or an id.
fn version_name(value: &Value) -> Result<VersionName, Problem> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    VersionName::parse(&text).ok_or_else(|| Problem::invalid("a version is a number, `latest`, `admitted` or an id"))
}

fn inspect(room: Data, inbound: &Inbound) -> Result<QueueInspection, Problem> {
    let (Nothing {}, (dataset, version)) = (body(inbound)?, names(inbound));
    Ok(QueueInspection { room, dataset, version })
}

fn cancel(room: Data, inbound: &Inbound) -> Result<CancelInspection, Problem> {
    let (Nothing {}, (dataset, version)) = (body(inbound)?, names(inbound));
    Ok(CancelInspection { room, dataset, version })
}

fn waive(room: Data, inbound: &Inbound) -> Result<Waive, Problem> {
    let ((dataset, version), WaiverBody { reason, until }) = (names(inbound), body(inbound)?);
    Ok(Waive { room, dataset, version, reason, until: times::parse("until", &until)? })
}

fn admit(room: Data, inbound: &Inbound) -> Result<Admit, Problem> {
    let ((dataset, version), DecisionBody { reason }) = (names(inbound), body(inbound)?);
    Ok(Admit { room, dataset, version, reason })
}

fn refuse(room: Data, inbound: &Inbound) -> Result<Refuse, Problem> {
    let ((dataset, version), DecisionBody { reason }) = (names(inbound), body(inbound)?);
    Ok(Refuse { room, dataset, version, reason })
}

pub(super) fn committed_answer(done: &Committed) -> Result<Answer, Problem> {
    outbound::json(&json!({
        "id": done.version_id,
        "version": done.number,
        "manifest_sha256": hex(&done.manifest_sha256),
        "inspection": done.inspection_id,
    }))
}

fn decided_answer(done: &Decided) -> Result<Answer, Problem> {
    outbound::json(&json!({
        "version": done.number,
        "state": done.state.word(),
        "waiver_until": done.waiver_until.map(times::to_text),
    }))
}

fn manifest_answer(VersionFiles { manifest, .. }: VersionFiles) -> Result<Answer, Problem> {
    let files: Vec<Value> = manifest
        .entries
        .iter()
        .map(|entry| json!({ "path": entry.path, "size_bytes": entry.size_bytes, "sha256": hex(&entry.sha256) }))
        .collect();
    outbound::json(&json!({ "manifest_sha256": hex(&manifest.digest), "files": files }))
}

fn document_answer(document: Document) -> Result<Answer, Problem> {
    let kind = match document.kind {
        DocumentKind::Contract => "application/yaml",
        DocumentKind::Report | DocumentKind::Attestation | DocumentKind::Removed => "application/json",
        DocumentKind::Croissant => "application/ld+json",
        DocumentKind::Page => "text/html; charset=utf-8",
    };
    let mut answer = stream_answer(document.body, document.size_bytes, kind);
    document_headers(&mut answer, &document.sha256);
    Ok(answer)
}

/// What a document of an inspection is sent with.
pub(super) fn document_headers(answer: &mut Answer, sha256: &[u8; 32]) {
    set(answer, header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
    set(answer, header::ETAG, &format!("\"{}\"", hex(sha256)));
}

fn export_answer(exported: Exported) -> Result<Answer, Problem> {
    let mut answer = stream_answer(exported.body, exported.size_bytes, "application/x-tar");
    set(&mut answer, header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{}\"", exported.file_name));
    Ok(answer)
}

pub(super) fn stream_answer(bytes: data::Body, size_bytes: u64, kind: &'static str) -> Answer {
    let mut answer = Answer::new(Body::from_stream(bytes));
    set(&mut answer, header::CONTENT_LENGTH, &size_bytes.to_string());
    set(&mut answer, header::CONTENT_TYPE, kind);
    harden(&mut answer);
    answer
}

fn set(answer: &mut Answer, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}
