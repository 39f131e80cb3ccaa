//! Tags, as a header and as XML.

use buckets::{Code, Tags};
use http::HeaderMap;
use kernel::Problem;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use wire::Answer;

use crate::xml::{Document, Xml, parse};
use crate::xml_answer;

/// Tags as the header `x-amz-tagging` has them.
pub fn tags(headers: &HeaderMap) -> Result<Tags, Problem> {
    let broken = || {
        Code::InvalidArgument.problem("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
    };
    let Some(value) = headers.get("x-amz-tagging") else { return Ok(Tags::default()) };
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| broken())?;
    let is_escape = |rest: &str| rest.get(..2).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !text.split('%').skip(1).all(is_escape) {
        return Err(broken());
    }
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| broken())
    };
    let mut all = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        all.push((decode(key)?, decode(value)?));
    }
    Ok(Tags(all))
}

/// Tags as XML.
pub fn tags_shown(tags: &Tags) -> Answer {
    let mut sorted: Vec<_> = tags.0.iter().collect();
    sorted.sort();
    let mut xml = Xml::new("Tagging");
    xml.nest("TagSet", |xml| {
        for (key, value) in sorted {
            xml.nest("Tag", |xml| {
                xml.text("Key", key);
                xml.text("Value", value);
            });
        }
    });
    xml_answer(xml.finish())
}

#[derive(Deserialize)]
struct TaggingXml {
    #[serde(rename = "TagSet")]
    set: TagSetXml,
}

impl Document for TaggingXml {
    const ROOT: &'static str = "Tagging";
    const ELEMENTS: &'static [&'static str] = &["TagSet", "TagSet/Tag", "TagSet/Tag/Key", "TagSet/Tag/Value"];
}

/// Tags in XML.
#[derive(Deserialize, Default)]
pub struct TagSetXml {
    #[serde(rename = "Tag", default)]
    tags: Vec<TagXml>,
}

#[derive(Deserialize)]
struct TagXml {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "Value", default)]
    value: String,
}

impl From<TagSetXml> for Tags {
    fn from(read: TagSetXml) -> Self {
        Self(read.tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }
}

/// Tags out of XML.
pub fn parse_tags(bytes: &[u8]) -> Result<Tags, Problem> {
    parse::<TaggingXml>(bytes).map(|read| read.set.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_header_of_tags_is_whole_or_refused() {
        let with = |text: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-tagging", HeaderValue::from_bytes(text).unwrap());
            tags(&headers)
        };
        let pairs = [("a b", "1%"), ("c", "ä")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(with(b"a+b=1%25&c=%c3%A4").unwrap(), Tags(pairs.to_vec()));
        assert_eq!(with(b"").unwrap(), Tags::default());
        for bad in [&b"a=%zz"[..], b"%zz=a", b"a=%", b"a=1%2", b"a=%+1", b"a=%c3", b"a=\xff"] {
            assert!(with(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
