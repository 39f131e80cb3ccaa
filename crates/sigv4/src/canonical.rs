//! The canonical request: the one text that stands for what a request asks ("Signature Calculations for the Authorization Header", AWS
//! S3 API reference, version 2006-03-01).

use http::{HeaderMap, Method, Uri};
use kernel::{hex, sha256};

use crate::{FIELD_BYTES_MAX, Refusal};

/// A parameter of a query, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

/// The path of a request, decoded once: what S3 calls `/bucket/key`. Nothing is normalised: `..` and `//` are ordinary parts of keys.
///
/// # Errors
/// `InvalidURI` if an escape is broken or the text is not UTF-8.
pub fn path(uri: &Uri) -> Result<String, Refusal> {
    text(decode(uri.path())?)
}

/// The parameters of a query, decoded once, in the order sent: the same reading that a signature is checked against. A bare `+` is a
/// space, as in forms: clients write spaces so and sign them as `%20`, and one that signed a plus does not match.
///
/// # Errors
/// `InvalidURI` if an escape is broken or a text is not UTF-8; `InvalidArgument` if a name comes twice.
pub fn query(uri: &Uri) -> Result<Vec<(String, String)>, Refusal> {
    pairs(uri.query().unwrap_or(""))?.into_iter().map(|pair| Ok((text(pair.name)?, text(pair.value)?))).collect()
}

fn text(bytes: Vec<u8>) -> Result<String, Refusal> {
    String::from_utf8(bytes).map_err(|_| Refusal::new("InvalidURI", "couldn't parse the specified URI: it is not UTF-8"))
}

/// The parameters, each name once.
pub fn pairs(query: &str) -> Result<Vec<Pair>, Refusal> {
    let mut pairs = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        pairs.push(Pair { name: decode(&name.replace('+', " "))?, value: decode(&value.replace('+', " "))? });
    }
    let mut names: Vec<&[u8]> = pairs.iter().map(|pair| pair.name.as_slice()).collect();
    names.sort_unstable();
    match names.windows(2).find(|two| two.first() == two.last()).and_then(|two| two.first()) {
        Some(name) if name.to_ascii_lowercase().starts_with(b"x-amz-") => {
            Err(Refusal::malformed_query("a query parameter of the signature is repeated"))
        }
        Some(_) => Err(Refusal::new("InvalidArgument", "a query parameter is repeated")),
        None => Ok(pairs),
    }
}

/// Decodes percent escapes, all of which must be whole.
fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    let broken = || Refusal::new("InvalidURI", "couldn't parse the specified URI: a percent escape is broken");
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit =
            || bytes.next().and_then(|digit| char::from(digit).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(broken()) };
        decoded.push(high << 4 | low);
    }
    Ok(decoded)
}

/// Escapes everything but the unreserved characters of RFC 3986, and `/` where it is `kept`.
pub fn encode(bytes: &[u8], kept: Option<u8>) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    let mut encoded = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') || Some(byte) == kept {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

/// The path, decoded and escaped again once; S3 alone wants that, every other service twice.
pub fn uri(path: &str, service: &str) -> Result<String, Refusal> {
    let once = encode(&decode(if path.is_empty() { "/" } else { path })?, Some(b'/'));
    Ok(if service == "s3" { once } else { encode(once.as_bytes(), Some(b'/')) })
}

/// The parameters, escaped and sorted.
pub fn query_text(pairs: &[Pair]) -> String {
    let mut encoded: Vec<(String, String)> =
        pairs.iter().map(|pair| (encode(&pair.name, None), encode(&pair.value, None))).collect();
    encoded.sort_unstable();
    encoded.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The value of `host`: the header, or what HTTP/2 calls the authority.
pub fn host(uri: &Uri, headers: &HeaderMap) -> Result<Vec<u8>, Refusal> {
    let invalid = |message: &str| Refusal::new("InvalidRequest", message);
    let sent = one(headers, "host")?;
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    match (sent, authority) {
        (Some(sent), Some(authority)) if !sent.eq_ignore_ascii_case(authority) => Err(invalid("two hosts are asked for")),
        (Some(host), _) | (None, Some(host)) if host.is_empty() || host.contains(&b'@') => Err(invalid("the host is no host")),
        (Some(host), _) | (None, Some(host)) => Ok(host.to_vec()),
        (None, None) => Err(invalid("missing required header for this request: host")),
    }
}

/// The one value of a header that may come once.
pub fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(http::HeaderValue::as_bytes);
    if values.next().is_some() {
        return Err(Refusal::new("InvalidRequest", format!("the header `{name}` is repeated")));
    }
    match first {
        Some(value) if value.len() > FIELD_BYTES_MAX => Err(too_long(name)),
        other => Ok(other),
    }
}

fn too_long(name: &str) -> Refusal {
    Refusal::new("RequestHeaderSectionTooLarge", format!("the header `{name}` is too long"))
}

/// The lines of the headers `names`, which are lower-case and sorted. Every one must be there.
pub fn header_lines(names: &[&str], host: &[u8], headers: &HeaderMap) -> Result<Vec<u8>, Refusal> {
    let mut lines = Vec::new();
    for name in names {
        lines.extend_from_slice(name.as_bytes());
        lines.push(b':');
        if *name == "host" {
            push_collapsed(&mut lines, host);
        } else {
            let begin = lines.len();
            for (nth, value) in headers.get_all(*name).iter().enumerate() {
                if nth > 0 {
                    lines.push(b',');
                }
                push_collapsed(&mut lines, value.as_bytes());
                if lines.len() - begin > FIELD_BYTES_MAX {
                    return Err(too_long(name));
                }
            }
            if !headers.contains_key(*name) {
                return Err(Refusal::new("AccessDenied", format!("the signed header `{name}` is not in the request")));
            }
        }
        lines.push(b'\n');
    }
    Ok(lines)
}

/// Without blanks at the ends, and runs of spaces as one.
fn push_collapsed(lines: &mut Vec<u8>, value: &[u8]) {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let begin = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(begin, |last| last + 1);
    let mut spaced = false;
    for &byte in value.get(begin..end).unwrap_or_default() {
        if byte != b' ' || !spaced {
            lines.push(byte);
        }
        spaced = byte == b' ';
    }
}

/// The whole request as one text, hashed, in hex. `lines` come from [`header_lines`].
pub fn digest(method: &Method, uri: &str, query: &str, lines: &[u8], names: &[&str], payload: &str) -> String {
    let mut request = format!("{method}\n{uri}\n{query}\n").into_bytes();
    request.extend_from_slice(lines);
    request.extend_from_slice(format!("\n{}\n{payload}", names.join(";")).as_bytes());
    hex(&sha256(&request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_once_and_never_normalised() {
        for (sent, canonical) in [
            ("", "/"),
            ("/", "/"),
            ("/b/a%20b", "/b/a%20b"),
            ("/b/a$b+c=d", "/b/a%24b%2Bc%3Dd"),
            ("/b/a%2fb%7E%41", "/b/a/b~A"),
            ("/b/../x//./y/", "/b/../x//./y/"),
            ("/b/%25zz", "/b/%25zz"),
            ("/b/%C3%A9", "/b/%C3%A9"),
        ] {
            assert_eq!(uri(sent, "s3").unwrap(), canonical, "{sent}");
        }
        assert_eq!(uri("/a%20b", "kms").unwrap(), "/a%2520b");
        for broken in ["/%", "/%4", "/%zz", "/%+1"] {
            assert_eq!(uri(broken, "s3").unwrap_err().code, "InvalidURI", "{broken}");
        }
    }

    #[test]
    fn parameters_are_sorted_by_what_they_are_escaped_to() {
        let canonical = |text: &str| pairs(text).map(|pairs| query_text(&pairs));
        assert_eq!(canonical("prefix=J&max-keys=2").unwrap(), "max-keys=2&prefix=J");
        assert_eq!(canonical("lifecycle").unwrap(), "lifecycle=");
        assert_eq!(canonical("a=1&&b=%2f%20%7e&A==").unwrap(), "A=%3D&a=1&b=%2F%20~");
        assert_eq!(canonical("%C3%A9=1&z=2&%2d=3").unwrap(), "%C3%A9=1&-=3&z=2");
        assert_eq!(canonical("a=1&a=2").unwrap_err().code, "InvalidArgument");
        assert_eq!(canonical("a=1&%61=2").unwrap_err().code, "InvalidArgument");
        assert_eq!(canonical("a+b=c+d%2Be").unwrap(), "a%20b=c%20d%2Be");
        assert_eq!(canonical("a+b=1&a%20b=2").unwrap_err().code, "InvalidArgument");
        assert_eq!(canonical("a=%").unwrap_err().code, "InvalidURI");
    }

    #[test]
    fn values_are_trimmed_collapsed_and_joined() {
        let mut headers = HeaderMap::new();
        for value in [" a   b ", "c", "\td  e\t f"] {
            headers.append("x-amz-meta-a", http::HeaderValue::from_str(value).unwrap());
        }
        assert_eq!(header_lines(&["host", "x-amz-meta-a"], b"h", &headers).unwrap(), b"host:h\nx-amz-meta-a:a b,c,d e\t f\n");
        assert_eq!(header_lines(&["range"], b"h", &headers).unwrap_err().code, "AccessDenied");
    }

    #[test]
    fn one_host_is_asked_for() {
        let check = |uri: &str, sent: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in sent {
                headers.append("host", value.parse().unwrap());
            }
            host(&uri.parse().unwrap(), &headers).map_err(|refusal| refusal.code)
        };
        assert_eq!(check("/x", &["a:9000"]), Ok(b"a:9000".to_vec()));
        assert_eq!(check("https://a:9000/x", &[]), Ok(b"a:9000".to_vec()));
        assert_eq!(check("https://a:9000/x", &["a:9000"]), Ok(b"a:9000".to_vec()));
        assert_eq!(check("https://a/x", &["b"]), Err("InvalidRequest"));
        assert_eq!(check("/x", &["a", "a"]), Err("InvalidRequest"));
        assert_eq!(check("/x", &[]), Err("InvalidRequest"));
        assert_eq!(check("/x", &[""]), Err("InvalidRequest"));
        assert_eq!(check("https://u:p@a/x", &[]), Err("InvalidRequest"));
    }
}
