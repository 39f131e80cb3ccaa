//! Buckets and what is said of them.

use buckets::lock::{DefaultRetention, Period};
use buckets::ops::buckets::{BucketChange, CreateBucket, DeleteBucket, GetBucket, UpdateBucket};
use buckets::ops::lock::LockBucket;
use buckets::{Bucket, Code, Tags, Versioning};
use gate::Target;
use http::StatusCode;
use kernel::Problem;
use serde::Deserialize;
use wire::{Answer, BodyStream, Chosen};

use crate::error::not_implemented;
use crate::headers::{no_acl, parse_mode, put, text};
use crate::objects::acl_shown;
use crate::route::Request;
use crate::tags::{TagSetXml, parse_tags, tags_shown};
use crate::xml::{Document, Xml, parse};
use crate::{Shared, body, empty, xml_answer};

#[derive(Deserialize, Default)]
struct CreateXml {
    #[serde(rename = "LocationConstraint")]
    location: Option<String>,
    #[serde(rename = "Tags", default)]
    tags: TagSetXml,
}

impl Document for CreateXml {
    const ROOT: &'static str = "CreateBucketConfiguration";
    const ELEMENTS: &'static [&'static str] = &["LocationConstraint", "Tags", "Tags/Tag", "Tags/Tag/Key", "Tags/Tag/Value"];
}

#[derive(Deserialize)]
struct VersioningXml {
    #[serde(rename = "Status")]
    status: Option<String>,
    #[serde(rename = "MfaDelete")]
    mfa_delete: Option<String>,
}

impl Document for VersioningXml {
    const ROOT: &'static str = "VersioningConfiguration";
    const ELEMENTS: &'static [&'static str] = &["Status", "MfaDelete"];
}

#[derive(Deserialize)]
struct LockXml {
    #[serde(rename = "ObjectLockEnabled")]
    enabled: Option<String>,
    #[serde(rename = "Rule")]
    rule: Option<RuleXml>,
}

impl Document for LockXml {
    const ROOT: &'static str = "ObjectLockConfiguration";
    const ELEMENTS: &'static [&'static str] = &[
        "ObjectLockEnabled",
        "Rule",
        "Rule/DefaultRetention",
        "Rule/DefaultRetention/Mode",
        "Rule/DefaultRetention/Days",
        "Rule/DefaultRetention/Years",
    ];
}

#[derive(Deserialize)]
struct RuleXml {
    #[serde(rename = "DefaultRetention")]
    default: Option<DefaultXml>,
}

#[derive(Deserialize)]
struct DefaultXml {
    #[serde(rename = "Mode")]
    mode: Option<String>,
    #[serde(rename = "Days")]
    days: Option<i64>,
    #[serde(rename = "Years")]
    years: Option<i64>,
}

/// What is not there, with what there is instead.
pub fn unknown(name: &str) -> Problem {
    match name {
        "acl" | "ownershipControls" | "publicAccessBlock" => no_acl(),
        "policy" | "policyStatus" => not_implemented(
            "bucket policies are not supported: who may do what is said by grants on the bucket's workspace (`strongroom grant --help`)",
        ),
        "cors" => not_implemented("rules for other origins are not supported: pages of other origins are refused"),
        "lifecycle" => not_implemented("lifecycle rules are not supported"),
        other => not_implemented(format!("`{other}` is not supported")),
    }
}

/// Makes a bucket.
pub fn create_bucket(shared: Shared, request: Request, stream: BodyStream) -> Result<Chosen, Problem> {
    let lock_enabled = match text(&request.headers, "x-amz-bucket-object-lock-enabled") {
        None => false,
        Some(value) if value.eq_ignore_ascii_case("true") => true,
        Some(value) if value.eq_ignore_ascii_case("false") => false,
        Some(_) => return Err(Code::InvalidArgument.problem("x-amz-bucket-object-lock-enabled is true or false")),
    };
    if text(&request.headers, "x-amz-object-ownership").is_some_and(|value| value != "BucketOwnerEnforced") {
        return Err(no_acl());
    }
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let bytes = body::asked::<CreateBucket>(visitor, &Target::Workspace, request.sealed(), stream).await?;
            let wish: CreateXml = if bytes.is_empty() { CreateXml::default() } else { parse(&bytes)? };
            if wish.location.as_deref().is_some_and(|location| !location.is_empty() && location != &*shared.region) {
                return Err(Code::IllegalLocationConstraintException
                    .problem(format!("the only region of this server is {}", shared.region)));
            }
            let name = request.bucket;
            let bucket = visitor.call(CreateBucket { room: shared.buckets, name, lock_enabled, tags: wish.tags.into() }).await?;
            let mut answer = empty(StatusCode::OK);
            put(answer.headers_mut(), "location", &format!("/{}", bucket.name));
            Ok(answer)
        })
    }))
}

/// Whether there is a bucket.
pub fn head_bucket(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let region = std::sync::Arc::clone(&shared.region);
    let verb = GetBucket { room: shared.buckets, name: request.bucket.clone() };
    Ok(Chosen::verb(verb, move |_| {
        let mut answer = empty(StatusCode::OK);
        put(answer.headers_mut(), "x-amz-bucket-region", &region);
        Ok(answer)
    }))
}

/// Deletes an empty bucket.
pub fn delete_bucket(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let verb = DeleteBucket { room: shared.buckets, name: request.bucket.clone() };
    Ok(Chosen::verb(verb, |()| Ok(empty(StatusCode::NO_CONTENT))))
}

/// Takes a bucket's tags away.
pub fn delete_tags(shared: Shared, request: &Request) -> Chosen {
    let verb = UpdateBucket { room: shared.buckets, name: request.bucket.clone(), change: BucketChange::Tags(Tags::default()) };
    Chosen::verb(verb, |()| Ok(empty(StatusCode::NO_CONTENT)))
}

/// What is said of a bucket.
pub fn get(shared: Shared, request: &Request, name: &str) -> Result<Chosen, Problem> {
    let region = std::sync::Arc::clone(&shared.region);
    let render: fn(&Bucket, &str) -> Result<Answer, Problem> = match name {
        "location" => |_, region| Ok(location_shown(region)),
        "versioning" => |bucket, _| Ok(versioning_shown(bucket)),
        "tagging" => |bucket, _| {
            if bucket.tags.0.is_empty() {
                return Err(Code::NoSuchTagSet.problem("The TagSet does not exist"));
            }
            Ok(tags_shown(&bucket.tags))
        },
        "acl" => |bucket, _| Ok(acl_shown(&bucket.created_by)),
        "object-lock" => |bucket, _| lock_shown(bucket),
        "encryption" => |_, _| Ok(encryption_shown()),
        "policy" => |_, _| Err(Code::NoSuchBucketPolicy.problem("The bucket policy does not exist")),
        "cors" => |_, _| Err(Code::NoSuchCORSConfiguration.problem("The CORS configuration does not exist")),
        "lifecycle" => |_, _| Err(Code::NoSuchLifecycleConfiguration.problem("The lifecycle configuration does not exist")),
        other => return Err(unknown(other)),
    };
    let verb = GetBucket { room: shared.buckets, name: request.bucket.clone() };
    Ok(Chosen::verb(verb, move |bucket| render(&bucket, &region)))
}

/// The region as XML.
pub fn location_shown(region: &str) -> Answer {
    let mut xml = Xml::new("LocationConstraint");
    if region != crate::DEFAULT_REGION {
        xml = Xml::raw("LocationConstraint", region);
    }
    xml_answer(xml.finish())
}

fn versioning_shown(bucket: &Bucket) -> Answer {
    let mut xml = Xml::new("VersioningConfiguration");
    match bucket.versioning {
        Versioning::Off => {}
        Versioning::Enabled => xml.text("Status", "Enabled"),
        Versioning::Suspended => xml.text("Status", "Suspended"),
    }
    xml_answer(xml.finish())
}

fn lock_shown(bucket: &Bucket) -> Result<Answer, Problem> {
    if !bucket.lock_enabled {
        return Err(
            Code::ObjectLockConfigurationNotFoundError.problem("Object Lock configuration does not exist for this bucket")
        );
    }
    let mut xml = Xml::new("ObjectLockConfiguration");
    xml.text("ObjectLockEnabled", "Enabled");
    if let Some(DefaultRetention { mode, period }) = bucket.default_retention {
        xml.nest("Rule", |xml| {
            xml.nest("DefaultRetention", |xml| {
                xml.text("Mode", mode.word());
                match period {
                    Period::Days(days) => xml.text("Days", &days.to_string()),
                    Period::Years(years) => xml.text("Years", &years.to_string()),
                }
            });
        });
    }
    Ok(xml_answer(xml.finish()))
}

fn encryption_shown() -> Answer {
    let mut xml = Xml::new("ServerSideEncryptionConfiguration");
    xml.nest("Rule", |xml| {
        xml.nest("ApplyServerSideEncryptionByDefault", |xml| xml.text("SSEAlgorithm", "AES256"));
        xml.text("BucketKeyEnabled", "false");
    });
    xml_answer(xml.finish())
}

/// Changes what is said of a bucket.
pub fn change(shared: Shared, request: Request, stream: BodyStream, name: &str) -> Result<Chosen, Problem> {
    match name {
        "encryption" => return Ok(set_encryption(shared, request, stream)),
        "versioning" | "tagging" | "object-lock" => {}
        other => return Err(unknown(other)),
    }
    let name = name.to_owned();
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let (target, sealed) = (request.target(), request.sealed());
            let bytes = match name.as_str() {
                "object-lock" => body::asked::<LockBucket>(visitor, &target, sealed, stream).await?,
                _ => body::asked::<UpdateBucket>(visitor, &target, sealed, stream).await?,
            };
            let (room, bucket) = (shared.buckets, request.bucket);
            match name.as_str() {
                "versioning" => {
                    let change = BucketChange::Versioning(parse_versioning(&bytes)?);
                    visitor.call(UpdateBucket { room, name: bucket, change }).await?;
                }
                "tagging" => {
                    let change = BucketChange::Tags(parse_tags(&bytes)?);
                    visitor.call(UpdateBucket { room, name: bucket, change }).await?;
                    return Ok(empty(StatusCode::NO_CONTENT));
                }
                _ => visitor.call(LockBucket { room, bucket, default: parse_lock(&bytes)? }).await?,
            }
            Ok(empty(StatusCode::OK))
        })
    }))
}

#[derive(Deserialize)]
struct EncryptionXml {
    #[serde(rename = "Rule", default)]
    rules: Vec<EncryptionRuleXml>,
}

impl Document for EncryptionXml {
    const ROOT: &'static str = "ServerSideEncryptionConfiguration";
    const ELEMENTS: &'static [&'static str] = &[
        "Rule",
        "Rule/ApplyServerSideEncryptionByDefault",
        "Rule/ApplyServerSideEncryptionByDefault/SSEAlgorithm",
        "Rule/ApplyServerSideEncryptionByDefault/KMSMasterKeyID",
        // What of it is asked for makes no difference: there is no key by bucket, and keys of the client's are refused anyway.
        "Rule/BucketKeyEnabled",
        "Rule/BlockedEncryptionTypes",
        "Rule/BlockedEncryptionTypes/EncryptionType",
    ];
}

#[derive(Deserialize)]
struct EncryptionRuleXml {
    #[serde(rename = "ApplyServerSideEncryptionByDefault")]
    default: Option<EncryptionDefaultXml>,
}

#[derive(Deserialize)]
struct EncryptionDefaultXml {
    #[serde(rename = "SSEAlgorithm")]
    algorithm: String,
    #[serde(rename = "KMSMasterKeyID")]
    key: Option<String>,
}

impl EncryptionDefaultXml {
    fn is_ours(&self) -> bool {
        self.algorithm == "AES256" && self.key.as_deref().is_none_or(str::is_empty)
    }
}

/// What is asked for is what is done anyway, or refused. Whether there is a bucket is asked all the same.
fn set_encryption(shared: Shared, request: Request, stream: BodyStream) -> Chosen {
    Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let bytes = body::asked::<GetBucket>(visitor, &request.target(), request.sealed(), stream).await?;
            let read: EncryptionXml = parse(&bytes)?;
            visitor.call(GetBucket { room: shared.buckets, name: request.bucket }).await?;
            let is_ours = |rule: &EncryptionRuleXml| rule.default.as_ref().is_some_and(EncryptionDefaultXml::is_ours);
            if read.rules.len() != 1 || !read.rules.iter().all(is_ours) {
                return Err(not_implemented(
                    "the only default is AES256: every object is encrypted under a key of its workspace already",
                ));
            }
            Ok(empty(StatusCode::OK))
        })
    })
}

/// Back to what is done anyway.
pub fn reset_encryption(shared: Shared, request: &Request) -> Result<Chosen, Problem> {
    let verb = GetBucket { room: shared.buckets, name: request.bucket.clone() };
    Ok(Chosen::verb(verb, |_| Ok(empty(StatusCode::NO_CONTENT))))
}

fn parse_versioning(bytes: &[u8]) -> Result<Versioning, Problem> {
    let read: VersioningXml = parse(bytes)?;
    if read.mfa_delete.is_some_and(|value| value == "Enabled") {
        return Err(not_implemented("MfaDelete is not supported: Object Lock and the right `buckets.bypass` keep versions"));
    }
    match read.status.as_deref() {
        Some("Enabled") => Ok(Versioning::Enabled),
        Some("Suspended") => Ok(Versioning::Suspended),
        _ => Err(Code::MalformedXML.problem("the Status of versioning is Enabled or Suspended")),
    }
}

fn parse_lock(bytes: &[u8]) -> Result<Option<DefaultRetention>, Problem> {
    let read: LockXml = parse(bytes)?;
    let malformed = |what: &str| {
        Code::MalformedXML
            .problem(format!("The XML you provided was not well-formed or did not validate against our published schema: {what}"))
    };
    if read.enabled.as_deref() != Some("Enabled") {
        return Err(malformed("ObjectLockEnabled is Enabled"));
    }
    let Some(rule) = read.rule else { return Ok(None) };
    let default = rule.default.ok_or_else(|| malformed("a Rule has a DefaultRetention"))?;
    let mode = default.mode.as_deref().ok_or_else(|| malformed("a DefaultRetention has a Mode"))?;
    let mode = parse_mode(mode).map_err(|_| malformed("the Mode is GOVERNANCE or COMPLIANCE"))?;
    let period = match (default.days, default.years) {
        (Some(days), None) => Period::Days(days),
        (None, Some(years)) => Period::Years(years),
        _ => return Err(malformed("a DefaultRetention has either Days or Years")),
    };
    let default = DefaultRetention { mode, period }.check();
    default.map(Some).map_err(|problem| Code::InvalidRetentionPeriod.problem(problem.message()))
}
