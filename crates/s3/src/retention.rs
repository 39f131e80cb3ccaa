//! Retention and legal holds of a version.

use buckets::lock::Retention;
use buckets::ops::lock::{BypassLeave, MayBypass, SetHold, SetRetention, ShowLock};
use buckets::ops::read::{Of, ReadConditions, ReadObject};
use buckets::{Code, Version};
use gate::Visitor;
use http::{HeaderMap, StatusCode};
use kernel::Problem;
use serde::Deserialize;
use vault::objects::Wanted;
use wire::{Answer, BodyStream, Chosen};

use crate::headers::{bypass, parse_mode, put_version, reason, until_date, xml_date};
use crate::route::Request;
use crate::xml::{Document, Xml, parse};
use crate::{Shared, body, empty, xml_answer};

#[derive(Deserialize)]
struct RetentionXml {
    #[serde(rename = "Mode")]
    mode: Option<String>,
    #[serde(rename = "RetainUntilDate")]
    until: Option<String>,
}

impl Document for RetentionXml {
    const ROOT: &'static str = "Retention";
    const ELEMENTS: &'static [&'static str] = &["Mode", "RetainUntilDate"];
}

#[derive(Deserialize)]
struct HoldXml {
    #[serde(rename = "Status")]
    status: Option<String>,
}

impl Document for HoldXml {
    const ROOT: &'static str = "LegalHold";
    const ELEMENTS: &'static [&'static str] = &["Status"];
}

/// Leave to bypass governance, where the request asks for it.
pub async fn leave_to_bypass(visitor: &Visitor, headers: &HeaderMap, bucket: &str) -> Result<Option<BypassLeave>, Problem> {
    if !bypass(headers) {
        return Ok(None);
    }
    let may = MayBypass { bucket: bucket.to_owned(), reason: reason(headers) };
    visitor.call(may).await.map(Some)
}

/// Changes a version's retention.
pub fn put(shared: Shared, request: Request, stream: BodyStream) -> Result<Chosen, Problem> {
    let version_id = request.version_id()?;
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let bytes = body::asked::<SetRetention>(visitor, &request.target(), request.sealed(), stream).await?;
            let retention = read_retention(&bytes)?;
            let bypass = leave_to_bypass(visitor, &request.headers, &request.bucket).await?;
            let set =
                SetRetention { room: shared.buckets, bucket: request.bucket, key: request.key, version_id, retention, bypass };
            visitor.call(set).await?;
            Ok(empty(StatusCode::OK))
        })
    }))
}

fn read_retention(bytes: &[u8]) -> Result<Option<Retention>, Problem> {
    let read: RetentionXml = parse(bytes)?;
    let malformed =
        || Code::MalformedXML.problem("a retention has a Mode, which is GOVERNANCE or COMPLIANCE, and a RetainUntilDate");
    match (read.mode, read.until) {
        (None, None) => Ok(None),
        (Some(mode), Some(until)) => {
            let mode = parse_mode(&mode).map_err(|_| malformed())?;
            Ok(Some(Retention { mode, until: until_date(&until).map_err(|_| malformed())? }))
        }
        _ => Err(malformed()),
    }
}

/// Puts a version under a legal hold, or lifts it.
pub fn hold(shared: Shared, request: Request, stream: BodyStream) -> Result<Chosen, Problem> {
    let version_id = request.version_id()?;
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let bytes = body::asked::<SetHold>(visitor, &request.target(), request.sealed(), stream).await?;
            let read: HoldXml = parse(&bytes)?;
            let hold = match read.status.as_deref() {
                Some("ON") => true,
                Some("OFF") => false,
                _ => return Err(Code::MalformedXML.problem("the Status of a legal hold is ON or OFF")),
            };
            visitor.call(SetHold { room: shared.buckets, bucket: request.bucket, key: request.key, version_id, hold }).await?;
            Ok(empty(StatusCode::OK))
        })
    }))
}

/// Shows how a version is locked: to whoever may look at retention, and to whoever may read the version.
pub fn get(shared: Shared, request: Request, render: fn(&Version) -> Result<Answer, Problem>) -> Result<Chosen, Problem> {
    let version_id = request.version_id()?;
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            let (room, bucket, key) = (shared.buckets, request.bucket, request.key);
            let show = ShowLock { room: room.clone(), bucket: bucket.clone(), key: key.clone(), version_id: version_id.clone() };
            let (lock_enabled, version) = if visitor.can(&show).await? {
                let (bucket, version) = visitor.call(show).await?;
                (bucket.lock_enabled, version)
            } else {
                let (wanted, when) = (Of::Bytes(Wanted::Whole), ReadConditions::default());
                let read = ReadObject { room, bucket, key, version_id, wanted, has_body: false, when };
                let found = visitor.call(read).await?;
                (found.bucket.is_some_and(|bucket| bucket.lock_enabled), found.version)
            };
            if !lock_enabled {
                return Err(Code::InvalidRequest.problem("Bucket is missing Object Lock Configuration"));
            }
            let mut answer = render(&version)?;
            // A bucket with locks keeps versions.
            put_version(answer.headers_mut(), &version.version_id, true);
            Ok(answer)
        })
    }))
}

/// A version's retention as XML.
pub fn shown(version: &Version) -> Result<Answer, Problem> {
    let retention = version.lock.retention.ok_or_else(|| {
        Code::NoSuchObjectLockConfiguration.problem("The specified object does not have a ObjectLock configuration")
    })?;
    let mut xml = Xml::new("Retention");
    xml.text("Mode", retention.mode.word());
    xml.text("RetainUntilDate", &xml_date(retention.until));
    Ok(xml_answer(xml.finish()))
}

/// A version's legal hold as XML.
#[expect(clippy::unnecessary_wraps, reason = "it is used as `shown` is")]
pub fn hold_shown(version: &Version) -> Result<Answer, Problem> {
    let mut xml = Xml::new("LegalHold");
    xml.text("Status", if version.lock.hold { "ON" } else { "OFF" });
    Ok(xml_answer(xml.finish()))
}
