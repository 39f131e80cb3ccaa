//! Lists: buckets, objects, versions, uploads and parts.

use buckets::ops::buckets::ListBuckets;
use buckets::ops::list::{ListObjects, PAGE_COUNT_MAX, Wanted};
use buckets::{Checksum, Code, Version};
use kernel::{Micros, Problem};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use wire::{Answer, Chosen};

use crate::headers::xml_date;
use crate::route::Request;
use crate::xml::Xml;
use crate::{Shared, xml_answer};

/// What of a key stays as it is in an address, and where a client asks for `encoding-type=url`.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
/// A page of buckets.
const BUCKET_COUNT_MAX: usize = 10_000;

/// How names are written.
#[derive(Clone, Copy)]
struct Names {
    is_encoded: bool,
}

impl Names {
    fn of(request: &Request) -> Result<Self, Problem> {
        match request.query("encoding-type") {
            None | Some("") => Ok(Self { is_encoded: false }),
            Some("url") => Ok(Self { is_encoded: true }),
            Some(_) => Err(Code::InvalidArgument.problem("Invalid Encoding Method specified in Request")),
        }
    }

    fn write(self, name: &str) -> String {
        if self.is_encoded { url_encoded(name) } else { name.to_owned() }
    }
}

/// A key as it stands in an address.
pub fn url_encoded(key: &str) -> String {
    utf8_percent_encode(key, KEPT).to_string()
}

fn count_of(request: &Request, name: &str) -> Result<usize, Problem> {
    let number = request.number(name)?.unwrap_or(i64::MAX);
    Ok(usize::try_from(number).unwrap_or(PAGE_COUNT_MAX).min(PAGE_COUNT_MAX))
}

fn owner(xml: &mut Xml, id: &str) {
    xml.nest("Owner", |xml| {
        xml.text("ID", id);
        xml.text("DisplayName", id);
    });
}

/// The buckets of a workspace.
pub fn buckets(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let count = request.number("max-buckets")?.and_then(|count| usize::try_from(count).ok()).unwrap_or(BUCKET_COUNT_MAX);
    let count = count.clamp(1, BUCKET_COUNT_MAX);
    let (prefix, after) = (request.value("prefix").unwrap_or_default(), request.value("continuation-token").unwrap_or_default());
    let region = std::sync::Arc::clone(&shared.region);
    let list = ListBuckets { room: shared.buckets, prefix: prefix.clone(), after, count };
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let mut found = visitor.call(list).await?;
            let has_more = found.len() > count;
            found.truncate(count);
            let mut xml = Xml::new("ListAllMyBucketsResult");
            owner(&mut xml, &visitor.caller().id);
            xml.nest("Buckets", |xml| {
                for bucket in &found {
                    xml.nest("Bucket", |xml| {
                        xml.text("Name", &bucket.name);
                        xml.text("CreationDate", &xml_date(bucket.created_at));
                        xml.text("BucketRegion", &region);
                    });
                }
            });
            if has_more {
                xml.opt("ContinuationToken", found.last().map(|bucket| bucket.name.as_str()));
            }
            if !prefix.is_empty() {
                xml.text("Prefix", &prefix);
            }
            Ok(xml_answer(xml.finish()))
        })
    }))
}

/// One object of a list.
pub struct File {
    pub key: String,
    pub size_bytes: u64,
    pub etag: String,
    pub modified_at: Micros,
    pub owner: String,
    pub checksum: Option<Checksum>,
}

impl From<Version> for File {
    fn from(version: Version) -> Self {
        Self {
            key: version.key,
            size_bytes: version.size_bytes,
            etag: version.etag,
            modified_at: version.created_at,
            owner: version.created_by,
            checksum: version.attributes.checksum,
        }
    }
}

fn content(xml: &mut Xml, file: &File, names: Names, with_owner: bool) {
    xml.nest("Contents", |xml| {
        xml.text("Key", &names.write(&file.key));
        xml.text("LastModified", &xml_date(file.modified_at));
        xml.text("ETag", &format!("\"{}\"", file.etag));
        summed_by(xml, file.checksum.as_ref());
        xml.text("Size", &file.size_bytes.to_string());
        if with_owner {
            owner(xml, &file.owner);
        }
        xml.text("StorageClass", "STANDARD");
    });
}

/// By which algorithm, where there is one.
fn summed_by(xml: &mut Xml, checksum: Option<&Checksum>) {
    if let Some(checksum) = checksum {
        xml.text("ChecksumAlgorithm", &checksum.algorithm);
        xml.text("ChecksumType", if checksum.is_composite { "COMPOSITE" } else { "FULL_OBJECT" });
    }
}

fn prefixes(xml: &mut Xml, all: &[String], names: Names) {
    for prefix in all {
        xml.nest("CommonPrefixes", |xml| xml.text("Prefix", &names.write(prefix)));
    }
}

fn head(xml: &mut Xml, request: &Head, names: Names, prefix_names: Names) {
    xml.text("Name", &request.bucket);
    xml.text("Prefix", &prefix_names.write(&request.prefix));
    if !request.delimiter.is_empty() {
        xml.text("Delimiter", &names.write(&request.delimiter));
    }
    if names.is_encoded {
        xml.text("EncodingType", "url");
    }
}

/// What of a request its answer repeats.
struct Head {
    bucket: String,
    prefix: String,
    delimiter: String,
    count: usize,
}

impl Head {
    fn of(request: &Request, count: &str) -> Result<Self, Problem> {
        Ok(Self {
            bucket: request.bucket.clone(),
            prefix: request.value("prefix").unwrap_or_default(),
            delimiter: request.value("delimiter").unwrap_or_default(),
            count: count_of(request, count)?,
        })
    }

    fn verb(&self, shared: Shared, wanted: Wanted) -> ListObjects {
        ListObjects {
            room: shared.buckets,
            bucket: self.bucket.clone(),
            wanted,
            prefix: self.prefix.clone(),
            delimiter: self.delimiter.clone(),
            count: self.count,
        }
    }
}

/// A list of objects, in the form that was asked for.
pub struct Listed {
    head: Head,
    names: Names,
    form: Form,
}

enum Form {
    V1 { marker: String },
    V2 { token: Option<String>, start_after: String, with_owner: bool },
}

/// What a page shows.
struct Shown<'a> {
    files: &'a [File],
    prefixes: &'a [String],
    is_truncated: bool,
    last: Option<&'a str>,
}

impl Listed {
    pub fn of(request: &Request) -> Result<Self, Problem> {
        let form = match request.query("list-type") {
            None => Form::V1 { marker: request.value("marker").unwrap_or_default() },
            Some("2") => Form::V2 {
                token: request.query("continuation-token").map(str::to_owned),
                start_after: request.value("start-after").unwrap_or_default(),
                with_owner: request.query("fetch-owner") == Some("true"),
            },
            Some(_) => return Err(Code::InvalidArgument.problem("list-type is 2, or absent")),
        };
        Ok(Self { head: Head::of(request, "max-keys")?, names: Names::of(request)?, form })
    }

    /// Only keys that begin so.
    pub fn prefix(&self) -> &str {
        &self.head.prefix
    }

    /// The key or common prefix that the page before ended with.
    fn after(&self) -> Result<String, Problem> {
        match &self.form {
            Form::V1 { marker } => Ok(marker.clone()),
            Form::V2 { token: Some(token), .. } if !token.is_empty() => parse_token(token),
            Form::V2 { start_after, .. } => Ok(start_after.clone()),
        }
    }

    /// A page of these files, which come in the order of their keys.
    pub fn page_of(&self, files: impl Iterator<Item = File>) -> Result<Answer, Problem> {
        let after = self.after()?;
        let (mut page, mut folders, mut is_truncated) = (Vec::new(), Vec::<String>::new(), false);
        for file in files.filter(|file| file.key.starts_with(&self.head.prefix)) {
            let rest = file.key.get(self.head.prefix.len()..).unwrap_or_default();
            let cut = if self.head.delimiter.is_empty() { None } else { rest.find(&self.head.delimiter) };
            let folder = cut.and_then(|at| file.key.get(..self.head.prefix.len() + at + self.head.delimiter.len()));
            let line = folder.unwrap_or(&file.key);
            if line <= after.as_str() || folders.last().is_some_and(|last| last == line) {
                continue;
            }
            if page.len() + folders.len() >= self.head.count {
                is_truncated = self.head.count > 0;
                break;
            }
            match folder {
                Some(folder) => folders.push(folder.to_owned()),
                None => page.push(file),
            }
        }
        let last = page.last().map(|file: &File| file.key.clone()).max(folders.last().cloned());
        Ok(self.answer(&Shown { files: &page, prefixes: &folders, is_truncated, last: last.as_deref() }))
    }

    fn answer(&self, shown: &Shown<'_>) -> Answer {
        let mut xml = Xml::new("ListBucketResult");
        let (names, truncated) = (self.names, if shown.is_truncated { "true" } else { "false" });
        let last = shown.last.filter(|_| shown.is_truncated);
        let with_owner = match &self.form {
            Form::V1 { marker } => {
                // Clients decode every name of this list but the prefix.
                head(&mut xml, &self.head, names, Names { is_encoded: false });
                xml.text("Marker", &names.write(marker));
                xml.opt("NextMarker", last.map(|last| names.write(last)).as_deref());
                true
            }
            Form::V2 { token, start_after, with_owner } => {
                head(&mut xml, &self.head, names, names);
                xml.text("KeyCount", &shown.files.len().saturating_add(shown.prefixes.len()).to_string());
                xml.opt("ContinuationToken", token.as_deref());
                if !start_after.is_empty() {
                    xml.text("StartAfter", &names.write(start_after));
                }
                xml.opt("NextContinuationToken", last.map(write_token).as_deref());
                *with_owner
            }
        };
        xml.text("MaxKeys", &self.head.count.to_string());
        xml.text("IsTruncated", truncated);
        for file in shown.files {
            content(&mut xml, file, names, with_owner);
        }
        prefixes(&mut xml, shown.prefixes, names);
        xml_answer(xml.finish())
    }
}

/// The newest versions.
pub fn objects(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let listed = Listed::of(request)?;
    let verb = listed.head.verb(shared, Wanted::Objects { after: listed.after()? });
    Ok(Chosen::verb(verb, move |page| {
        let files: Vec<File> = page.versions.into_iter().map(File::from).collect();
        let (prefixes, is_truncated) = (&page.prefixes, page.is_truncated);
        Ok(listed.answer(&Shown { files: &files, prefixes, is_truncated, last: page.last.as_deref() }))
    }))
}

/// A key or prefix as a token: in hex, so that every character survives.
fn write_token(last: &str) -> String {
    kernel::hex(last.as_bytes())
}

fn parse_token(token: &str) -> Result<String, Problem> {
    let text = kernel::parse_hex(token).and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| Code::InvalidArgument.problem("The continuation token provided is incorrect"))
}

/// All versions and markers.
pub fn versions(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let (names, head_of) = (Names::of(request)?, Head::of(request, "max-keys")?);
    let (after, after_version) =
        (request.value("key-marker").unwrap_or_default(), request.value("version-id-marker").unwrap_or_default());
    if after.is_empty() && !after_version.is_empty() {
        return Err(Code::InvalidArgument.problem("A version-id marker cannot be specified without a key marker."));
    }
    let verb = head_of.verb(shared, Wanted::Versions { after: after.clone(), after_version: after_version.clone() });
    Ok(Chosen::verb(verb, move |page| {
        let mut xml = Xml::new("ListVersionsResult");
        head(&mut xml, &head_of, names, names);
        xml.text("KeyMarker", &names.write(&after));
        xml.text("VersionIdMarker", &after_version);
        xml.text("MaxKeys", &head_of.count.to_string());
        xml.text("IsTruncated", if page.is_truncated { "true" } else { "false" });
        if page.is_truncated {
            xml.opt("NextKeyMarker", page.last.as_deref().map(|last| names.write(last)).as_deref());
            xml.opt("NextVersionIdMarker", page.last_version.as_deref());
        }
        for version in &page.versions {
            version_line(&mut xml, version, names);
        }
        prefixes(&mut xml, &page.prefixes, names);
        Ok(xml_answer(xml.finish()))
    }))
}

fn version_line(xml: &mut Xml, version: &Version, names: Names) {
    xml.nest(if version.is_marker { "DeleteMarker" } else { "Version" }, |xml| {
        xml.text("Key", &names.write(&version.key));
        xml.text("VersionId", &version.version_id);
        xml.text("IsLatest", if version.is_latest { "true" } else { "false" });
        xml.text("LastModified", &xml_date(version.created_at));
        if !version.is_marker {
            xml.text("ETag", &format!("\"{}\"", version.etag));
            xml.text("Size", &version.size_bytes.to_string());
            xml.text("StorageClass", "STANDARD");
        }
        owner(xml, &version.created_by);
    });
}

/// Uploads that were not completed.
pub fn uploads(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let (names, head_of) = (Names::of(request)?, Head::of(request, "max-uploads")?);
    let (after, after_upload) =
        (request.value("key-marker").unwrap_or_default(), request.value("upload-id-marker").unwrap_or_default());
    let verb = head_of.verb(shared, Wanted::Uploads { after: after.clone(), after_upload: after_upload.clone() });
    Ok(Chosen::verb(verb, move |page| {
        let mut xml = Xml::new("ListMultipartUploadsResult");
        xml.text("Bucket", &head_of.bucket);
        xml.text("KeyMarker", &names.write(&after));
        xml.text("UploadIdMarker", &after_upload);
        xml.text("Prefix", &names.write(&head_of.prefix));
        if !head_of.delimiter.is_empty() {
            xml.text("Delimiter", &names.write(&head_of.delimiter));
        }
        if names.is_encoded {
            xml.text("EncodingType", "url");
        }
        xml.text("MaxUploads", &head_of.count.to_string());
        xml.text("IsTruncated", if page.is_truncated { "true" } else { "false" });
        if page.is_truncated {
            xml.opt("NextKeyMarker", page.last.as_deref().map(|last| names.write(last)).as_deref());
            let last = page.uploads.last().filter(|upload| page.last.as_deref() == Some(&upload.key));
            xml.opt("NextUploadIdMarker", last.map(|upload| upload.id.as_str()));
        }
        for upload in &page.uploads {
            xml.nest("Upload", |xml| {
                xml.text("Key", &names.write(&upload.key));
                xml.text("UploadId", &upload.id);
                initiator(xml, &upload.created_by);
                owner(xml, &upload.created_by);
                xml.text("StorageClass", "STANDARD");
                xml.text("Initiated", &xml_date(upload.created_at));
                summed_by(xml, upload.attributes.checksum.as_ref());
            });
        }
        prefixes(&mut xml, &page.prefixes, names);
        Ok(xml_answer(xml.finish()))
    }))
}

fn initiator(xml: &mut Xml, id: &str) {
    xml.nest("Initiator", |xml| {
        xml.text("ID", id);
        xml.text("DisplayName", id);
    });
}

/// The parts of an upload.
pub fn parts(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let head_of = Head::of(request, "max-parts")?;
    let (key, upload_id) = (request.key.clone(), request.value("uploadId").unwrap_or_default());
    let after = request.number("part-number-marker")?.unwrap_or(0);
    let verb = head_of.verb(shared, Wanted::Parts { key: key.clone(), upload_id: upload_id.clone(), after });
    Ok(Chosen::verb(verb, move |page| {
        let mut xml = Xml::new("ListPartsResult");
        xml.text("Bucket", &head_of.bucket);
        xml.text("Key", &key);
        xml.text("UploadId", &upload_id);
        if let Some(upload) = &page.upload {
            initiator(&mut xml, &upload.created_by);
            owner(&mut xml, &upload.created_by);
            if let Some(checksum) = &upload.attributes.checksum {
                xml.text("ChecksumAlgorithm", &checksum.algorithm);
                xml.text("ChecksumType", if checksum.is_composite { "COMPOSITE" } else { "FULL_OBJECT" });
            }
        }
        xml.text("StorageClass", "STANDARD");
        xml.text("PartNumberMarker", &after.to_string());
        xml.text("MaxParts", &head_of.count.to_string());
        xml.text("IsTruncated", if page.is_truncated { "true" } else { "false" });
        if let Some(last) = page.parts.last().filter(|_| page.is_truncated) {
            xml.text("NextPartNumberMarker", &last.number.to_string());
        }
        let algorithm =
            page.upload.as_ref().and_then(|upload| upload.attributes.checksum.as_ref()).map(|one| one.algorithm.clone());
        for part in &page.parts {
            xml.nest("Part", |xml| {
                xml.text("PartNumber", &part.number.to_string());
                xml.text("LastModified", &xml_date(part.stored_at));
                xml.text("ETag", &format!("\"{}\"", part.etag));
                xml.text("Size", &part.object.size_bytes.to_string());
                if let Some(algorithm) = algorithm.as_ref().filter(|_| !part.checksum.is_empty()) {
                    xml.text(&format!("Checksum{algorithm}"), &part.checksum);
                }
            });
        }
        Ok(xml_answer(xml.finish()))
    }))
}
