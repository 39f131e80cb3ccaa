//! The proxied artifacts: `mlflow-artifacts/artifacts/…`, multipart uploads, `artifacts/list`, and the addresses by which
//! MLflow's web page shows files. Whatever a file is, a browser is told to save it, not to run it.

use artifacts::{
    AbortUpload, Artifacts, Begun, CompleteUpload, CreateUpload, DeleteArtifacts, Download, Fetched, ListArtifacts, ListedEntry,
    Listing, Owner, Place, ReadArtifact, SentPart, UploadPart, Wanted, WriteArtifact,
};
use axum::body::Body;
use gate::{Action, Operation, Pass};
use http::{HeaderValue, Method, StatusCode, header};
use identity::Identity;
use kernel::Problem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::json::{Fields, missing};
use super::{bound, tracking_view};
use crate::outbound::harden;
use crate::{Answer, BodyStream, Door, Inbound};

/// A file shown by a browser must not act: no scripts, no forms, an origin of its own.
const FILE_POLICY: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

/// What a parameter of a header may hold as it is (RFC 8187).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The verbs that these routes hand out passes for.
pub const PASS_ACTIONS: &[Action] = &[UploadPart::ACTION];

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Artifacts, identity: &Identity) {
    const FILE: &str = "/mlflow-artifacts/artifacts/{*path}";
    door.mlflow(Method::GET, "/mlflow-artifacts/artifacts", bound(room, list_proxied), |all| by_name(&all.entries));
    door.mlflow(Method::GET, FILE, bound(room, read_proxied), fetched);
    door.mlflow(Method::DELETE, FILE, bound(room, delete), |_| crate::json(&json!({})));
    let writer = room.clone();
    door.mlflow_stream(Method::PUT, FILE, move |inbound, body| write(&writer, inbound, body), |_| crate::json(&json!({})));
    door.mlflow(Method::GET, "/mlflow/artifacts/list", bound(room, list_of_run), listing);
    door.mlflow(Method::GET, "/mlflow/logged-models/{model_id}/artifacts/directories", bound(room, list_of_model), listing);
    multipart_routes(door, room, identity);
    page_routes(door, room);
}

fn multipart_routes(door: &mut Door, room: &Artifacts, identity: &Identity) {
    for prefix in super::PREFIXES {
        let (creator, identity) = (room.clone(), identity.clone());
        door.route_with(
            Method::POST,
            &format!("{prefix}/mlflow-artifacts/mpu/create/{{*path}}"),
            move |inbound| create_upload(&creator, inbound),
            move |begun, parts: PartsAddress| crate::json(&parts.credentials(&begun, &identity)),
        );
    }
    const PART: &str = "/mlflow-artifacts/mpu/part/{upload_id}/{part_number}/{*path}";
    let uploader = room.clone();
    door.mlflow_stream(
        Method::PUT,
        PART,
        move |inbound, body| upload_part(&uploader, inbound, body),
        |stored| {
            let mut answer = crate::json(&json!({}))?;
            if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", stored.etag)) {
                answer.headers_mut().insert(header::ETAG, etag);
            }
            Ok(answer)
        },
    );
    door.mlflow(Method::POST, "/mlflow-artifacts/mpu/complete/{*path}", bound(room, complete_upload), |_| {
        crate::json(&json!({}))
    });
    door.mlflow(Method::POST, "/mlflow-artifacts/mpu/abort/{*path}", bound(room, abort_upload), tracking_view::nothing);
}

/// The addresses that only the web page uses.
fn page_routes(door: &mut Door, room: &Artifacts) {
    let reader = room.clone();
    let run = move |inbound: &Inbound| {
        let fields = Fields::of(inbound)?;
        let id = fields.text("run_uuid")?.or(fields.text("run_id")?).ok_or_else(|| missing("run_uuid"))?;
        let path = fields.need_text("path")?;
        Ok((read_of(&reader, inbound, Owner::Run(id), &path)?, path))
    };
    door.route_with(Method::GET, "/get-artifact", run, |found, path: String| saved_as(found, &path));
    let uploader = room.clone();
    let upload = move |inbound: &Inbound, body: BodyStream| {
        let query = inbound.query()?;
        let value = |wanted: &str| {
            let given = query.iter().find(|(name, value)| name == wanted && !value.is_empty());
            given.map(|(_, value)| value.clone()).ok_or_else(|| Problem::invalid(format!("Request must specify {wanted}.")))
        };
        let (id, path) = (value("run_uuid")?, value("path")?);
        let place = Place::of(Owner::Run(id), Some(&path))?;
        if content_length(inbound) == Some(0) {
            return Err(Problem::invalid("Request must specify data."));
        }
        Ok(WriteArtifact { room: uploader.clone(), place, body: Box::pin(body), size_hint_bytes: content_length(inbound) })
    };
    door.stream(Method::POST, "/ajax-api/2.0/mlflow/upload-artifact", upload, |_| crate::json(&json!({})));
    for prefix in super::PREFIXES {
        let room = room.clone();
        let model = move |inbound: &Inbound| {
            let path = Fields::of(inbound)?.need_text("artifact_file_path")?;
            Ok((read_of(&room, inbound, Owner::LoggedModel(inbound.path("model_id").to_owned()), &path)?, path))
        };
        let address = format!("{prefix}/mlflow/logged-models/{{model_id}}/artifacts/files");
        door.route_with(Method::GET, &address, model, |found, path: String| saved_as(found, &path));
    }
}

/// Adds the files of a run below an address of the console, whose links can send no header: `{run}` and `{*path}` name them.
pub fn run_file_route(door: &mut Door, room: &Artifacts, path: &str) {
    let room = room.clone();
    let read = move |inbound: &Inbound| read_of(&room, inbound, Owner::Run(inbound.path("run").to_owned()), inbound.path("path"));
    door.route(Method::GET, path, read, fetched);
}

fn list_proxied(room: &Artifacts, inbound: &Inbound) -> Result<ListArtifacts, Problem> {
    let path = Fields::of(inbound)?.text("path")?.unwrap_or_default();
    Ok(ListArtifacts { room: room.clone(), place: Place::parse(path.trim_start_matches('/').trim_end_matches('/'))? })
}

fn list_of_run(room: &Artifacts, inbound: &Inbound) -> Result<ListArtifacts, Problem> {
    let fields = Fields::of(inbound)?;
    let owner = Owner::Run(super::runs::run_id(&fields)?);
    Ok(ListArtifacts { room: room.clone(), place: Place::of(owner, fields.text("path")?.as_deref())? })
}

fn list_of_model(room: &Artifacts, inbound: &Inbound) -> Result<ListArtifacts, Problem> {
    let path = Fields::of(inbound)?.text("artifact_directory_path")?;
    let owner = Owner::LoggedModel(inbound.path("model_id").to_owned());
    Ok(ListArtifacts { room: room.clone(), place: Place::of(owner, path.as_deref())? })
}

fn read_proxied(room: &Artifacts, inbound: &Inbound) -> Result<ReadArtifact, Problem> {
    let wanted = Wanted::parse(inbound.header("range"));
    Ok(ReadArtifact { room: room.clone(), place: Place::parse(inbound.path("path"))?, wanted })
}

fn read_of(room: &Artifacts, inbound: &Inbound, owner: Owner, path: &str) -> Result<ReadArtifact, Problem> {
    let wanted = Wanted::parse(inbound.header("range"));
    Ok(ReadArtifact { room: room.clone(), place: Place::of(owner, Some(path))?, wanted })
}

fn delete(room: &Artifacts, inbound: &Inbound) -> Result<DeleteArtifacts, Problem> {
    Ok(DeleteArtifacts { room: room.clone(), place: Place::parse(inbound.path("path"))? })
}

fn write(room: &Artifacts, inbound: &Inbound, body: BodyStream) -> Result<WriteArtifact, Problem> {
    Ok(WriteArtifact {
        room: room.clone(),
        place: Place::parse(inbound.path("path"))?,
        body: Box::pin(body),
        size_hint_bytes: content_length(inbound),
    })
}

fn content_length(inbound: &Inbound) -> Option<u64> {
    inbound.header("content-length").and_then(|text| text.parse().ok())
}

/// Where the parts of an upload go: to this server, by the authority that the client used.
struct PartsAddress {
    authority: String,
    path: String,
    part_count: i64,
}

impl PartsAddress {
    /// The addresses with a pass for this upload, so that what they are handed on to cannot do anything else. A browser's
    /// session gets none: its cookie goes with each request anyway.
    fn credentials(&self, begun: &Begun, identity: &Identity) -> Value {
        let upload_id = &begun.upload_id;
        let encoded = percent_encoding::utf8_percent_encode(&self.path, PATH).to_string();
        let pass = Pass { action: UploadPart::ACTION, subject: upload_id.clone() };
        let sealed = identity.pass(&begun.by, &pass, begun.at);
        let bearer = sealed.as_ref().and_then(|sealed| sealed.expose_text()).map(|sealed| format!("Bearer {sealed}"));
        let headers = bearer.map_or_else(|| json!({}), |bearer| json!({"Authorization": bearer}));
        let credentials: Vec<Value> = (1..=self.part_count)
            .map(|number| {
                let url = format!("https://{}/api/2.0/mlflow-artifacts/mpu/part/{upload_id}/{number}/{encoded}", self.authority);
                json!({"url": url, "part_number": number, "headers": headers})
            })
            .collect();
        json!({"upload_id": upload_id, "credentials": credentials})
    }
}

/// What must be escaped in a path: all but unreserved characters and the slash (RFC 3986 §2.3).
const PATH: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The file's path: the folder in the address, and the last segment of the client's own path.
fn uploaded_path(inbound: &Inbound, fields: &Fields) -> Result<String, Problem> {
    let local = fields.need_text("path")?;
    let name = local.rsplit(['/', '\\']).next().unwrap_or_default();
    Ok(format!("{}/{name}", inbound.path("path").trim_end_matches('/')))
}

fn create_upload(room: &Artifacts, inbound: &Inbound) -> Result<(CreateUpload, PartsAddress), Problem> {
    let fields = Fields::of(inbound)?;
    let path = uploaded_path(inbound, &fields)?;
    let part_count = fields.int("num_parts")?.unwrap_or(1);
    let parts = PartsAddress { authority: inbound.authority.clone(), path: path.clone(), part_count };
    Ok((CreateUpload { room: room.clone(), place: Place::parse(&path)?, part_count }, parts))
}

fn upload_part(room: &Artifacts, inbound: &Inbound, body: BodyStream) -> Result<UploadPart, Problem> {
    let part_number = inbound.path("part_number").parse().map_err(|_| Problem::invalid("a part's number is a whole number"))?;
    Ok(UploadPart {
        room: room.clone(),
        place: Place::parse(inbound.path("path"))?,
        upload_id: inbound.path("upload_id").to_owned(),
        part_number,
        body: Box::pin(body),
        size_hint_bytes: content_length(inbound),
    })
}

fn complete_upload(room: &Artifacts, inbound: &Inbound) -> Result<CompleteUpload, Problem> {
    let fields = Fields::of(inbound)?;
    let part = |part: Fields| {
        let etag = part.need_text("etag")?;
        Ok(SentPart { number: part.need_int("part_number")?, etag: etag.trim_matches('"').to_owned() })
    };
    Ok(CompleteUpload {
        room: room.clone(),
        place: Place::parse(&uploaded_path(inbound, &fields)?)?,
        upload_id: fields.need_text("upload_id")?,
        parts: fields.objects("parts")?.into_iter().map(part).collect::<Result<_, Problem>>()?,
    })
}

fn abort_upload(room: &Artifacts, inbound: &Inbound) -> Result<AbortUpload, Problem> {
    let fields = Fields::of(inbound)?;
    let place = Place::parse(&uploaded_path(inbound, &fields)?)?;
    Ok(AbortUpload { room: room.clone(), place, upload_id: fields.need_text("upload_id")? })
}

fn by_name(entries: &[ListedEntry]) -> Result<Answer, Problem> {
    let files: Vec<Value> = entries.iter().map(|entry| file(entry.name(), entry)).collect();
    crate::json(&if files.is_empty() { json!({}) } else { json!({ "files": files }) })
}

/// A folder with its root, as `artifacts/list` shows it.
pub(super) fn listing(all: Listing) -> Result<Answer, Problem> {
    crate::json(&json!({"root_uri": all.root_uri, "files": by_path(&all.entries)}))
}

fn by_path(entries: &[ListedEntry]) -> Vec<Value> {
    entries.iter().map(|entry| file(&entry.path, entry)).collect()
}

fn file(path: &str, entry: &ListedEntry) -> Value {
    match entry.size_bytes {
        Some(size) => json!({"path": path, "is_dir": false, "file_size": size}),
        None => json!({"path": path, "is_dir": true}),
    }
}

/// The answer that is a file, or a part of it.
pub(crate) fn fetched(found: Fetched) -> Result<Answer, Problem> {
    match found {
        Fetched::File(download) => Ok(file_answer(download)),
        Fetched::OutOfRange { size_bytes } => {
            let mut answer = Answer::new(Body::empty());
            *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(&mut answer, header::CONTENT_RANGE, &format!("bytes */{size_bytes}"));
            harden(&mut answer);
            Ok(answer)
        }
    }
}

/// As [`fetched`], for an address that does not end with the file's name.
pub(super) fn saved_as(found: Fetched, path: &str) -> Result<Answer, Problem> {
    let mut answer = fetched(found)?;
    if answer.headers().contains_key(header::CONTENT_DISPOSITION) {
        set(&mut answer, header::CONTENT_DISPOSITION, &disposition(path));
    }
    Ok(answer)
}

/// A browser saves a file under the last name of its path (RFC 6266).
fn disposition(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_plain = |letter: char| letter == ' ' || (letter.is_ascii_graphic() && !matches!(letter, '"' | '\\' | '%'));
    let plain: String = name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
    if plain == name {
        return format!("attachment; filename=\"{plain}\"");
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(name, PLAIN))
}

fn file_answer(download: Download) -> Answer {
    let (start, end, size) = (download.range.start, download.range.end, download.size_bytes);
    let mut answer = Answer::new(Body::from_stream(download.body));
    if end - start < size {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        set(&mut answer, header::CONTENT_RANGE, &format!("bytes {start}-{}/{size}", end.saturating_sub(1)));
    }
    set(&mut answer, header::CONTENT_LENGTH, &(end - start).to_string());
    set(&mut answer, header::ACCEPT_RANGES, "bytes");
    set(&mut answer, header::ETAG, &format!("\"{}\"", kernel::hex(&download.sha256)));
    set(&mut answer, header::CONTENT_TYPE, "application/octet-stream");
    set(&mut answer, header::CONTENT_DISPOSITION, "attachment");
    set(&mut answer, header::CONTENT_SECURITY_POLICY, FILE_POLICY);
    harden(&mut answer);
    answer
}

fn set(answer: &mut Answer, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn a_file_is_saved_under_its_own_name() {
        for (path, expected) in [
            ("model/model.bin", "attachment; filename=\"model.bin\""),
            ("a b.txt", "attachment; filename=\"a b.txt\""),
            ("x/\u{e4}\"1%.txt", "attachment; filename=\"__1_.txt\"; filename*=UTF-8''%C3%A4%221%25.txt"),
        ] {
            assert_eq!(disposition(path), expected);
        }
    }
}
