//! Which verb a request asks for: by its method, whether it names a key, and what its query begins with.

use buckets::Code;
use buckets::ops::buckets::{CreateBucket, DeleteBucket, GetBucket, ListBuckets, UpdateBucket};
use buckets::ops::list::ListObjects;
use buckets::ops::lock::{LockBucket, MayBypass, MayHold, MayRetain};
use buckets::ops::read::ReadObject;
use buckets::ops::remove::RemoveObjects;
use buckets::ops::tags::TagObject;
use buckets::ops::write::WriteObject;
use data::ops::{ReadFile, ShowManifest};
use gate::{Action, Operation, Target};
use http::request::Parts;
use http::{HeaderMap, Method};
use identity::ops::access_keys::AssumeToken;
use kernel::Problem;
use wire::{BodyStream, Chosen};

use crate::auth::Signature;
use crate::error::{not_implemented, refused};
use crate::headers::refuse_foreign;
use crate::{Shared, UNREAD, copy, datasets, listing, multipart, objects, retention, subresources};

/// Every verb, and how it is asked for.
pub const TABLE: &[(Method, &str, Action)] = &[
    (Method::POST, "/", AssumeToken::ACTION),
    (Method::GET, "/", ListBuckets::ACTION),
    (Method::PUT, "/{bucket}", CreateBucket::ACTION),
    (Method::HEAD, "/{bucket}", GetBucket::ACTION),
    (Method::GET, "/{bucket}?versioning", GetBucket::ACTION),
    (Method::GET, "/{bucket}", ListObjects::ACTION),
    (Method::PUT, "/{bucket}?versioning", UpdateBucket::ACTION),
    (Method::PUT, "/{bucket}?object-lock", LockBucket::ACTION),
    (Method::DELETE, "/{bucket}", DeleteBucket::ACTION),
    (Method::POST, "/{bucket}?delete", RemoveObjects::ACTION),
    (Method::GET, "/{bucket}/{key}", ReadObject::ACTION),
    (Method::PUT, "/{bucket}/{key}", WriteObject::ACTION),
    (Method::DELETE, "/{bucket}/{key}", RemoveObjects::ACTION),
    (Method::PUT, "/{bucket}/{key}?tagging", TagObject::ACTION),
    (Method::PUT, "/{bucket}/{key}?retention", MayRetain::ACTION),
    (Method::PUT, "/{bucket}/{key}?legal-hold", MayHold::ACTION),
    (Method::DELETE, "/{bucket}/{key}?bypass", MayBypass::ACTION),
    (Method::GET, "/datasets?prefix={name}@{version}/", ShowManifest::ACTION),
    (Method::GET, "/datasets/{name}@{version}/{path}", ReadFile::ACTION),
];

/// What of the query says which thing of a bucket or object is meant.
const SUBRESOURCES: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "rename",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
];

/// How much of a name that is not known is told.
const PARAMETER_CHARS_MAX: usize = 64;

/// What else of a query is understood: what comes of a signature is judged before, and what SDKs say of themselves changes nothing.
const PARAMETERS: &[&str] = &["partNumber", "versionId", "x-id"];
/// The same in small letters: SDKs write these in either.
const PARAMETERS_OF_SDKS: &[&str] = &[
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-amz-user-agent",
];

/// A request whose head was read.
pub struct Request {
    pub method: Method,
    pub headers: HeaderMap,
    pub bucket: String,
    /// The key; empty for the bucket itself.
    pub key: String,
    pub signature: Option<Signature>,
    query: Vec<(String, String)>,
}

impl Request {
    /// The bucket that it is about.
    pub fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    /// What its body is read by.
    pub const fn sealed(&self) -> (&HeaderMap, Option<&Signature>) {
        (&self.headers, self.signature.as_ref())
    }

    /// Whether its signature came in the address.
    pub fn is_presigned(&self) -> bool {
        self.signature.as_ref().is_some_and(|signature| signature.presentation.presigned)
    }

    /// Reads it from the head. Path and query are those that were signed.
    pub fn of(parts: &mut Parts) -> Result<Self, Problem> {
        let path = sigv4::path(&parts.uri).map_err(refused)?;
        let query = sigv4::query(&parts.uri).map_err(refused)?;
        // No name has one, and PostgreSQL takes no text with one.
        if path.contains('\0') || query.iter().any(|(_, value)| value.contains('\0')) {
            return Err(Code::InvalidArgument.problem("neither a key nor a parameter has a character that is zero"));
        }
        let rest = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self {
            method: parts.method.clone(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            signature: parts.extensions.remove::<Signature>(),
            headers: std::mem::take(&mut parts.headers),
            query,
        })
    }

    /// A parameter of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that says more than that it is there.
    pub fn value(&self, name: &str) -> Option<String> {
        self.query(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// A number of the query.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.query(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let number = text.parse::<i64>().ok().filter(|number| *number >= 0);
        number
            .map(Some)
            .ok_or_else(|| Code::InvalidArgument.problem(format!("Provided {name} not an integer or within integer range")))
    }

    /// The version that is meant. An empty one is none that exists, never the newest.
    pub fn version_id(&self) -> Result<Option<String>, Problem> {
        match self.query("versionId") {
            Some("") => Err(Code::InvalidArgument.problem("Version id cannot be the empty string")),
            other => Ok(other.map(str::to_owned)),
        }
    }

    /// Refuses a change whose query says more than is understood, for something else would be done than was asked for. What is read may
    /// carry anything, as with S3.
    fn refuse_unknown(&self) -> Result<(), Problem> {
        if !matches!(self.method, Method::PUT | Method::POST | Method::DELETE) {
            return Ok(());
        }
        let is_known = |name: &str| {
            let small = name.to_ascii_lowercase();
            // Some SDKs move a checksum from the head to a presigned query; it is checked where it is a header.
            let of_sdk = PARAMETERS_OF_SDKS.contains(&small.as_str()) || small.starts_with("x-amz-checksum-");
            of_sdk || SUBRESOURCES.contains(&name) || PARAMETERS.contains(&name)
        };
        if let Some((name, _)) = self.query.iter().find(|(name, _)| !is_known(name)) {
            let shown: String = name.chars().take(PARAMETER_CHARS_MAX).collect();
            return Err(not_implemented(format!(
                "`{shown}` in the query is not supported; what is said by a header is sent as a signed header"
            )));
        }
        let is_part = self.query("uploadId").is_some() && self.method == Method::PUT;
        if self.query("partNumber").is_some() && !is_part {
            return Err(Code::InvalidArgument.problem("a partNumber comes with the uploadId of the upload that it is a part of"));
        }
        let makes_version = matches!(self.subresource(), None | Some("uploadId" | "uploads"));
        if self.query("versionId").is_some() && self.method != Method::DELETE && makes_version {
            return Err(Code::InvalidArgument.problem("This operation does not accept a version-id."));
        }
        Ok(())
    }

    /// What of the bucket or object is meant, where it is not the thing itself.
    pub fn subresource(&self) -> Option<&str> {
        subresource_of(self.query.iter().map(|(name, _)| name.as_str()))
    }
}

fn subresource_of<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names.into_iter().find(|name| SUBRESOURCES.contains(name))
}

/// The verb of a head, as far as it can be told before anybody is believed: refusals are recorded under it.
pub fn action_of(parts: &Parts) -> Action {
    let rest = parts.uri.path().trim_start_matches('/');
    let has_key = rest.split_once('/').is_some_and(|(_, key)| !key.is_empty());
    if rest.split('/').next() == Some(datasets::BUCKET) {
        return datasets::action_of(&parts.method, has_key);
    }
    let names = parts.uri.query().unwrap_or_default().split('&').map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    let subresource = subresource_of(names);
    match (parts.method.as_str(), rest.is_empty(), has_key, subresource) {
        ("GET", true, ..) => ListBuckets::ACTION,
        ("GET", _, false, None | Some("versions" | "uploads")) => ListObjects::ACTION,
        ("GET" | "HEAD", _, false, _) => GetBucket::ACTION,
        ("PUT", _, false, None) => CreateBucket::ACTION,
        ("PUT", _, false, Some("object-lock")) => LockBucket::ACTION,
        ("PUT", _, false, _) => UpdateBucket::ACTION,
        ("POST", _, false, Some("delete")) | ("DELETE", _, true, None) => RemoveObjects::ACTION,
        ("DELETE", _, false, None) => DeleteBucket::ACTION,
        ("DELETE", _, false, _) => UpdateBucket::ACTION,
        ("GET", _, true, Some("uploadId")) => ListObjects::ACTION,
        ("GET" | "HEAD", _, true, _) => ReadObject::ACTION,
        ("PUT" | "DELETE", _, true, Some("tagging")) => TagObject::ACTION,
        ("PUT", _, true, Some("retention")) => MayRetain::ACTION,
        ("PUT", _, true, Some("legal-hold")) => MayHold::ACTION,
        ("PUT" | "POST" | "DELETE", _, true, _) => WriteObject::ACTION,
        _ => UNREAD,
    }
}

/// What a request asks for.
pub fn choose(shared: Shared, request: Request, body: BodyStream) -> Result<Chosen, Problem> {
    refuse_foreign(&request.headers)?;
    request.refuse_unknown()?;
    let subresource = request.subresource().map(str::to_owned);
    if request.bucket.is_empty() {
        return match request.method {
            Method::GET => listing::buckets(shared, &request),
            _ => Err(not_allowed(&request.method)),
        };
    }
    if request.bucket == datasets::BUCKET {
        return datasets::choose(shared, request);
    }
    // Bodies of a form that a browser posts are signed by a policy in the form, which is no signature of the request.
    match (request.method.as_str(), request.key.is_empty(), subresource.as_deref()) {
        ("PUT", true, None) => subresources::create_bucket(shared, request, body),
        ("HEAD", true, None) => subresources::head_bucket(shared, &request),
        ("DELETE", true, None) => subresources::delete_bucket(shared, &request),
        ("GET", true, None) => listing::objects(shared, &request),
        ("GET", true, Some("versions")) => listing::versions(shared, &request),
        ("GET", true, Some("uploads")) => listing::uploads(shared, &request),
        ("POST", true, Some("delete")) => objects::remove_many(shared, request, body),
        ("GET", true, Some(name)) => subresources::get(shared, &request, name),
        ("PUT", true, Some(name)) => subresources::change(shared, request, body, name),
        ("DELETE", true, Some("encryption")) => subresources::reset_encryption(shared, &request),
        ("DELETE", true, Some("tagging")) => Ok(subresources::delete_tags(shared, &request)),
        ("DELETE", true, Some(name)) => Err(subresources::unknown(name)),
        ("GET", false, None) => objects::get(shared, request, true),
        ("HEAD", false, None) => objects::get(shared, request, false),
        ("GET", false, Some("uploadId")) => listing::parts(shared, &request),
        ("GET", false, Some(name @ ("acl" | "tagging" | "attributes"))) => objects::get_beside(shared, &request, name),
        ("GET", false, Some("retention")) => retention::get(shared, request, retention::shown),
        ("GET", false, Some("legal-hold")) => retention::get(shared, request, retention::hold_shown),
        ("PUT", false, None) if request.headers.contains_key("x-amz-copy-source") => copy::object(shared, request),
        ("PUT", false, None) => objects::put_object(shared, request, body),
        ("PUT", false, Some("uploadId")) if request.headers.contains_key("x-amz-copy-source") => copy::part(shared, &request),
        ("PUT", false, Some("uploadId")) => multipart::part(shared, request, body),
        ("PUT", false, Some("tagging")) => objects::tag(shared, request, body),
        ("PUT", false, Some("retention")) => retention::put(shared, request, body),
        ("PUT", false, Some("legal-hold")) => retention::hold(shared, request, body),
        ("POST", false, Some("uploads")) => multipart::create(shared, &request),
        ("POST", false, Some("uploadId")) => multipart::complete(shared, request, body),
        ("DELETE", false, None) => objects::remove(shared, &request),
        ("DELETE", false, Some("uploadId")) => multipart::abort(shared, &request),
        ("DELETE", false, Some("tagging")) => objects::untag(shared, &request),
        ("POST", true, None) => Err(not_implemented("forms that a browser posts are not supported; presign a PUT instead")),
        (_, _, Some(name)) => Err(subresources::unknown(name)),
        _ => Err(not_allowed(&request.method)),
    }
}

fn not_allowed(method: &Method) -> Problem {
    not_implemented(format!("{method} means nothing here"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Kind;

    fn refused_as(method: Method, query: &str) -> Option<Kind> {
        let head = http::Request::builder().method(method).uri(format!("https://s3.example/b/k?{query}")).body(()).unwrap();
        let request = Request::of(&mut head.into_parts().0).unwrap();
        request.refuse_unknown().err().map(|problem| problem.kind())
    }

    #[test]
    fn a_change_that_asks_for_more_than_is_understood_is_refused() {
        for query in ["append&position=0", "foo=1", "%61ppend", "x-amz-object-lock-mode=COMPLIANCE", "x-amz-meta-a=b"] {
            for method in [Method::PUT, Method::POST, Method::DELETE] {
                assert_eq!(refused_as(method, query), Some(Kind::NotImplemented), "{query}");
            }
            assert_eq!(refused_as(Method::GET, query), None, "{query}");
        }
        for query in ["partNumber=3", "versionId=v", "uploads&versionId=v", "uploadId=u&partNumber=1&versionId=v"] {
            assert_eq!(refused_as(Method::PUT, query), Some(Kind::Invalid), "{query}");
        }
        assert_eq!(refused_as(Method::DELETE, "partNumber=3"), Some(Kind::Invalid));
    }

    #[test]
    fn nothing_that_is_asked_for_has_a_zero() {
        for address in ["b%00", "b/k%00", "b?prefix=%00", "b?versions&key-marker=a%00", "b/k?versionId=%00"] {
            let head = http::Request::builder().uri(format!("https://s3.example/{address}")).body(()).unwrap();
            let refused = Request::of(&mut head.into_parts().0).err();
            assert_eq!(refused.and_then(|problem| Code::of(&problem)), Some(Code::InvalidArgument), "{address}");
        }
    }

    #[test]
    fn what_clients_send_is_understood() {
        for query in ["x-id=PutObject", "uploadId=u&partNumber=1", "tagging&versionId=v", "X-Amz-Checksum-Crc32=A"] {
            assert_eq!(refused_as(Method::PUT, query), None, "{query}");
        }
        assert_eq!(refused_as(Method::DELETE, "versionId=v"), None);
        assert_eq!(refused_as(Method::POST, "uploads&x-id=CreateMultipartUpload"), None);
    }
}
