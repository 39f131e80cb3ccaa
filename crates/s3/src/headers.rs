//! Headers of requests and answers: what a client says of an object, its locks, its conditions, its dates.

use std::collections::BTreeMap;

use buckets::lock::{Lock, Mode, Retention};
use buckets::ops::read::ReadConditions;
use buckets::{Attributes, Checksum, Code, Version, WriteConditions};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use kernel::{Civil, Micros, Problem};
use vault::objects::Wanted;

use crate::error::not_implemented;
use crate::sums::parse_algorithm;

const META: &str = "x-amz-meta-";
/// What is kept of an object's headers and given back as it came.
const KEPT: [&str; 5] = ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];
/// What a reader may have instead: the query's parameter and the header.
const OVERRIDES: [(&str, &str); 6] = [
    ("response-content-type", "content-type"),
    ("response-cache-control", "cache-control"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
    ("response-content-language", "content-language"),
    ("response-expires", "expires"),
];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A header as UTF-8.
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
}

/// A moment as HTTP writes it (RFC 9110 §5.6.7).
pub fn http_date(at: Micros) -> String {
    let Civil { year, month, day, hour, minute, second } = at.civil();
    let pick = |names: &[&'static str], index: i64| {
        usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or("")
    };
    let weekday = pick(&DAYS, at.as_secs().div_euclid(86_400).rem_euclid(7));
    format!("{weekday}, {day:02} {} {year:04} {hour:02}:{minute:02}:{second:02} GMT", pick(&MONTHS, month - 1))
}

/// The moment of an HTTP date; none for anything else, which is then ignored as the standard asks.
pub fn parse_http_date(text: &str) -> Option<Micros> {
    let (_, rest) = text.split_once(", ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, clock, "GMT"] = fields.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month).and_then(|index| i64::try_from(index + 1).ok())?;
    let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    Civil { year: year.parse().ok()?, month, day: day.parse().ok()?, hour, minute, second }.at()
}

/// A moment as S3's XML writes it.
pub fn xml_date(at: Micros) -> String {
    // Whole milliseconds, as S3 has them.
    let text = at.rfc3339();
    text.get(..text.len().saturating_sub(4)).map_or(text.clone(), |milliseconds| format!("{milliseconds}Z"))
}

/// What is refused, whatever is asked for: access control lists, keys of the client's, other storage classes.
pub fn refuse_foreign(headers: &HeaderMap) -> Result<(), Problem> {
    let acl = text(headers, "x-amz-acl");
    let grants = headers.keys().any(|name| name.as_str().starts_with("x-amz-grant-"));
    if grants || acl.is_some_and(|acl| !matches!(acl, "private" | "bucket-owner-full-control")) {
        return Err(no_acl());
    }
    let own_key = |name: &HeaderName| {
        name.as_str().starts_with("x-amz-server-side-encryption-customer-")
            || name.as_str().starts_with("x-amz-copy-source-server-side-encryption-customer-")
    };
    if headers.keys().any(own_key) {
        return Err(not_implemented(
            "encryption under a key of the client's (SSE-C) is not supported: every object is encrypted under a key of its workspace already",
        ));
    }
    if text(headers, "x-amz-storage-class").is_some_and(|class| class != "STANDARD") {
        return Err(not_implemented("the only storage class is STANDARD"));
    }
    for name in [
        "x-amz-website-redirect-location",
        "x-amz-expected-bucket-owner",
        "x-amz-source-expected-bucket-owner",
        "x-amz-write-offset-bytes",
    ] {
        if headers.contains_key(name) {
            return Err(not_implemented(format!("the header `{name}` is not supported")));
        }
    }
    Ok(())
}

/// Lists of access are refused with what there is instead.
pub fn no_acl() -> Problem {
    Code::AccessControlListNotSupported
        .problem("The bucket does not allow ACLs: who may do what is said by grants on its workspace (`strongroom grant --help`)")
}

/// The key that an object is asked to be encrypted under, if it is another word for what is done anyway.
fn kms_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    match (text(headers, "x-amz-server-side-encryption"), text(headers, "x-amz-server-side-encryption-aws-kms-key-id")) {
        (None | Some("AES256"), None) => Ok(None),
        (Some("AES256") | None, Some(_)) => Err(Code::InvalidArgument.problem(
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
        )),
        (Some("aws:kms"), key) => match key {
            None | Some("workspace") => Ok(Some("workspace".to_owned())),
            Some(_) => Err(Code::InvalidArgument.problem("the only named key is `workspace`: the key of the bucket's workspace")),
        },
        (Some(_), _) => Err(Code::InvalidArgument.problem("The encryption method specified is not supported: AES256 or aws:kms")),
    }
}

/// What a client says of an object.
pub fn attributes(headers: &HeaderMap) -> Result<Attributes, Problem> {
    let mut kept = BTreeMap::new();
    for name in KEPT {
        if let Some(value) = text(headers, name) {
            let value = if name == "content-encoding" { without_chunked(value) } else { value.to_owned() };
            if !value.is_empty() {
                kept.insert(name.to_owned(), value);
            }
        }
    }
    let mut metadata = BTreeMap::new();
    for name in headers.keys() {
        if let Some(own) = name.as_str().strip_prefix(META) {
            let values: Vec<&str> = headers
                .get_all(name)
                .iter()
                .map(|value| std::str::from_utf8(value.as_bytes()))
                .collect::<Result<_, _>>()
                .map_err(|_| Code::InvalidArgument.problem("metadata is in UTF-8"))?;
            metadata.insert(own.to_owned(), values.join(","));
        }
    }
    Ok(Attributes {
        content_type: text(headers, "content-type").map(str::to_owned),
        headers: kept,
        metadata,
        checksum: None,
        kms_key: kms_key(headers)?,
    })
}

/// `aws-chunked` is how a body travels, not what it is.
fn without_chunked(value: &str) -> String {
    value.split(',').map(str::trim).filter(|one| !one.eq_ignore_ascii_case("aws-chunked")).collect::<Vec<_>>().join(",")
}

/// What an object shall be locked with.
pub fn lock(headers: &HeaderMap) -> Result<Lock, Problem> {
    let (mode, until) = (text(headers, "x-amz-object-lock-mode"), text(headers, "x-amz-object-lock-retain-until-date"));
    let retention = match (mode, until) {
        (None, None) => None,
        (Some(mode), Some(until)) => Some(Retention { mode: parse_mode(mode)?, until: until_date(until)? }),
        _ => {
            return Err(Code::InvalidArgument
                .problem("x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"));
        }
    };
    let hold = match text(headers, "x-amz-object-lock-legal-hold") {
        None | Some("OFF") => false,
        Some("ON") => true,
        Some(_) => return Err(Code::InvalidArgument.problem("Legal Hold must be either of 'ON' or 'OFF'")),
    };
    Ok(Lock { retention, hold })
}

/// A date until which something is retained, rounded up to a second: it is shown as it is kept.
pub fn until_date(text: &str) -> Result<Micros, Problem> {
    let at = wire::parse_time("RetainUntilDate", text)?;
    Ok(Micros(at.0.div_euclid(1_000_000).saturating_add(i64::from(at.0.rem_euclid(1_000_000) > 0)).saturating_mul(1_000_000)))
}

/// S3's word for a mode.
pub fn parse_mode(word: &str) -> Result<Mode, Problem> {
    Mode::parse(word).ok_or_else(|| Code::InvalidArgument.problem("Unknown wormMode directive: GOVERNANCE or COMPLIANCE"))
}

/// Whether governance shall be bypassed, and why, where the client says so.
pub fn bypass(headers: &HeaderMap) -> bool {
    text(headers, "x-amz-bypass-governance-retention").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Why somebody does what needs a reason.
pub fn reason(headers: &HeaderMap) -> Option<String> {
    text(headers, "x-amz-meta-strongroom-reason").or_else(|| text(headers, "x-strongroom-reason")).map(str::to_owned)
}

/// What must hold for a write.
pub fn write_conditions(headers: &HeaderMap) -> WriteConditions {
    let owned = |name: &str| text(headers, name).map(str::to_owned);
    WriteConditions { if_match: owned("if-match"), if_none_match: owned("if-none-match") }
}

/// What must hold for a read; the headers of a copy's source begin with `x-amz-copy-source-`.
pub fn read_conditions(headers: &HeaderMap, prefix: &str) -> ReadConditions {
    let get = |name: &str| text(headers, &format!("{prefix}{name}"));
    ReadConditions {
        if_match: get("if-match").map(str::to_owned),
        if_none_match: get("if-none-match").map(str::to_owned),
        if_modified_since: get("if-modified-since").and_then(parse_http_date),
        if_unmodified_since: get("if-unmodified-since").and_then(parse_http_date),
    }
}

/// Which bytes a `Range` asks for.
pub fn range(headers: &HeaderMap) -> Wanted {
    Wanted::parse(text(headers, "range"))
}

/// Sets a header; what no header can hold is left out.
pub fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes())) {
        headers.insert(name, value);
    }
}

/// How an object is encrypted.
pub fn put_encryption(headers: &mut HeaderMap, attributes: &Attributes) {
    match &attributes.kms_key {
        Some(key) => {
            put(headers, "x-amz-server-side-encryption", "aws:kms");
            put(headers, "x-amz-server-side-encryption-aws-kms-key-id", key);
        }
        None => put(headers, "x-amz-server-side-encryption", "AES256"),
    }
}

/// An object's checksum.
pub fn put_checksum(headers: &mut HeaderMap, attributes: &Attributes) {
    if let Some(checksum) = &attributes.checksum
        && let Ok(algorithm) = parse_algorithm(&checksum.algorithm)
        && !checksum.value.is_empty()
    {
        put(headers, algorithm.header(), &checksum.value);
        put(headers, "x-amz-checksum-type", if checksum.is_composite { "COMPOSITE" } else { "FULL_OBJECT" });
    }
}

/// A part's checksum, by the algorithm of the whole.
pub fn put_part_checksum(headers: &mut HeaderMap, attributes: &Attributes, value: &str) {
    if let Some(checksum) = &attributes.checksum {
        let own = Checksum { value: value.to_owned(), ..checksum.clone() };
        put_checksum(headers, &Attributes { checksum: Some(own), ..Attributes::default() });
    }
}

/// A version's id, where the bucket keeps versions, or did.
pub fn put_version(headers: &mut HeaderMap, version_id: &str, is_versioned: bool) {
    if is_versioned {
        put(headers, "x-amz-version-id", version_id);
    }
}

/// The entity tag, in quotes.
pub fn put_etag(headers: &mut HeaderMap, etag: &str) {
    put(headers, header::ETAG.as_str(), &format!("\"{etag}\""));
}

/// All that is known of a version. `query` gives what the reader may have instead.
pub fn put_version_headers(headers: &mut HeaderMap, version: &Version, query: impl Fn(&str) -> Option<String>) {
    put_etag(headers, &version.etag);
    put(headers, "last-modified", &http_date(version.created_at));
    put(headers, "accept-ranges", "bytes");
    put(headers, "content-type", version.attributes.content_type.as_deref().unwrap_or("binary/octet-stream"));
    for (name, value) in &version.attributes.headers {
        put(headers, name, value);
    }
    for (name, value) in &version.attributes.metadata {
        put(headers, &format!("{META}{name}"), value);
    }
    for (parameter, name) in OVERRIDES {
        if let Some(value) = query(parameter) {
            put(headers, name, &value);
        }
    }
    put_encryption(headers, &version.attributes);
    if !version.tags.0.is_empty() {
        put(headers, "x-amz-tagging-count", &version.tags.0.len().to_string());
    }
    if let Some(retention) = version.lock.retention {
        put(headers, "x-amz-object-lock-mode", retention.mode.word());
        put(headers, "x-amz-object-lock-retain-until-date", &xml_date(retention.until));
    }
    if version.lock.hold {
        put(headers, "x-amz-object-lock-legal-hold", "ON");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways() {
        let at = Micros(1_369_353_600_000_000);
        assert_eq!(http_date(at), "Fri, 24 May 2013 00:00:00 GMT");
        assert_eq!(parse_http_date(&http_date(at)), Some(at));
        assert_eq!(xml_date(at), "2013-05-24T00:00:00.000Z");
        for bad in [
            "",
            "Fri, 24 May 2013",
            "Fri, 24 Mai 2013 00:00:00 GMT",
            "Fri, 24 May 2013 00:00 GMT",
            "Fri, 99 May 2013 00:00:00 GMT",
        ] {
            assert_eq!(parse_http_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_lock_is_whole_or_refused() {
        let with = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            lock(&headers)
        };
        let mode = ("x-amz-object-lock-mode", "COMPLIANCE");
        let until = ("x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00Z");
        assert!(with(&[mode, until]).unwrap().retention.is_some());
        assert_eq!(with(&[]).unwrap(), Lock::default());
        assert!(with(&[("x-amz-object-lock-legal-hold", "ON")]).unwrap().hold);
        for bad in [
            vec![mode],
            vec![until],
            vec![("x-amz-object-lock-mode", "compliance"), until],
            vec![("x-amz-object-lock-legal-hold", "on")],
        ] {
            assert!(with(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn how_a_body_travels_is_not_kept() {
        assert_eq!(without_chunked("aws-chunked"), "");
        assert_eq!(without_chunked("aws-chunked, gzip"), "gzip");
    }
}
