//! What is computed over a body on its way in: MD5 for the entity tag, and the checksum that the client asked for.

use buckets::{Checksum as Said, Code, Finish, Told, opaque_etag};
use http::HeaderMap;
use kernel::Problem;
use parking_lot::Mutex;
use sigv4::{Algorithm, Checksum, Payload, checksum};
use std::sync::Arc;

use crate::error::refused;

/// Bodies up to this size get their MD5 as entity tag, as most clients expect it of small ones. Larger ones get one that is no MD5 and says
/// so by a `-`: MD5 is slower than everything else that is done to a byte together.
const MD5_BYTES_MAX: u64 = 8 << 20;

/// What a client promised of a body.
pub struct Promised {
    payload: Payload,
    content_md5: Option<[u8; 16]>,
    /// The algorithm, and its value where it came in the head.
    checksum: Option<(Algorithm, Option<String>)>,
}

/// What is computed while the body comes.
#[derive(Default)]
pub struct Sums {
    md5: Option<checksum::Md5>,
    checksum: Option<Checksum>,
    /// What came behind the body.
    pub trailers: Vec<(String, String)>,
}

impl Sums {
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
    }
}

/// The algorithm that the client's SDK says it uses, or announces as a trailer.
fn algorithm_named(headers: &HeaderMap, payload: Payload) -> Result<Option<Algorithm>, Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let said = text("x-amz-sdk-checksum-algorithm").or_else(|| text("x-amz-checksum-algorithm"));
    match (said.map(parse_algorithm).transpose()?, trailing(headers, payload)?) {
        (Some(said), Some(trailing)) if said != trailing => Err(other_algorithm()),
        (said, trailing) => Ok(trailing.or(said)),
    }
}

/// The algorithm of the checksum that is announced as a trailer. One is compared with the body, so no second one is promised.
fn trailing(headers: &HeaderMap, payload: Payload) -> Result<Option<Algorithm>, Problem> {
    let values = headers.get_all("x-amz-trailer").iter().filter_map(|value| value.to_str().ok());
    let mut named = values.flat_map(|value| value.split(',')).filter_map(|name| Algorithm::from_header(name.trim()));
    let first = named.next();
    if named.next().is_some() {
        return Err(Code::InvalidRequest.problem("Expecting a single x-amz-checksum- header, also behind the body"));
    }
    if first.is_some() && !payload.is_chunked() {
        return Err(
            Code::InvalidRequest.problem("x-amz-trailer is set, but x-amz-content-sha256 does not say that trailers follow")
        );
    }
    Ok(first)
}

fn other_algorithm() -> Problem {
    Code::InvalidRequest
        .problem("Value for x-amz-sdk-checksum-algorithm header is invalid: it is not the algorithm of the checksum")
}

/// The algorithm that an upload asks of its parts.
pub fn algorithm_of(upload: &buckets::Upload) -> Result<Option<Algorithm>, Problem> {
    upload.attributes.checksum.as_ref().map(|checksum| parse_algorithm(&checksum.algorithm)).transpose()
}

/// The algorithm of this name.
pub fn parse_algorithm(name: &str) -> Result<Algorithm, Problem> {
    let unknown = || {
        Code::InvalidRequest.problem("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
    };
    Algorithm::from_name(name).ok_or_else(unknown)
}

impl Promised {
    /// Reads it from the head. `default` is the algorithm of an upload whose part this is.
    pub fn of(headers: &HeaderMap, payload: Payload, default: Option<Algorithm>) -> Result<Self, Problem> {
        let presented = checksum::presented(headers).map_err(refused)?;
        let named = algorithm_named(headers, payload)?;
        if let (Some((algorithm, _)), Some(named)) = (&presented, named)
            && *algorithm != named
        {
            return Err(other_algorithm());
        }
        let said = presented.as_ref().map(|(algorithm, _)| *algorithm).or(named);
        if let (Some(said), Some(wanted)) = (said, default)
            && said != wanted
        {
            let message = format!(
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                wanted.name().to_lowercase(),
                said.name().to_lowercase()
            );
            return Err(Code::InvalidRequest.problem(message));
        }
        let checksum = match (presented, named.or(default)) {
            (Some((algorithm, value)), _) => Some((algorithm, Some(value))),
            (None, Some(algorithm)) => Some((algorithm, None)),
            (None, None) => None,
        };
        Ok(Self { payload, content_md5: checksum::content_md5(headers).map_err(refused)?, checksum })
    }

    /// What is computed of a body of this size.
    pub fn sums(&self, size_bytes: u64) -> Sums {
        let wants_md5 = self.content_md5.is_some() || size_bytes <= MD5_BYTES_MAX;
        Sums {
            md5: wants_md5.then(checksum::Md5::new),
            checksum: self.checksum.as_ref().map(|(algorithm, _)| Checksum::new(*algorithm)),
            trailers: Vec::new(),
        }
    }

    /// Compares what came with what was promised.
    pub fn finish(self, sums: Arc<Mutex<Sums>>) -> Finish {
        Box::new(move |_, sha256| {
            let Sums { md5, checksum, trailers } = std::mem::take(&mut *sums.lock());
            self.payload.check(sha256).map_err(refused)?;
            let md5 = md5.map(checksum::Md5::finish);
            if self.content_md5.is_some() && self.content_md5 != md5 {
                return Err(Code::BadDigest.problem("The Content-MD5 you specified did not match what we received."));
            }
            let etag = md5.map_or_else(|| opaque_etag(sha256, 1), |md5| checksum::etag(&md5));
            Ok(Told { etag, checksum: compare(self.checksum, checksum, &trailers)? })
        })
    }
}

fn compare(
    said: Option<(Algorithm, Option<String>)>,
    computed: Option<Checksum>,
    trailers: &[(String, String)],
) -> Result<Option<Said>, Problem> {
    let (Some((algorithm, value)), Some(computed)) = (said, computed) else { return Ok(None) };
    let computed = computed.finish();
    let trailing =
        trailers.iter().find(|(name, _)| name.eq_ignore_ascii_case(algorithm.header())).map(|(_, value)| value.clone());
    if [value, trailing].into_iter().flatten().any(|said| said != computed) {
        return Err(
            Code::BadDigest.problem(format!("The {} you specified did not match the calculated checksum.", algorithm.name()))
        );
    }
    Ok(Some(Said { algorithm: algorithm.name().to_owned(), value: computed, is_composite: false }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn refused_as(payload: Payload, pairs: &[(&'static str, &'static str)]) -> Option<Code> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Promised::of(&headers, payload, None).err().and_then(|problem| Code::of(&problem))
    }

    #[test]
    fn one_checksum_is_promised_behind_a_body_and_it_is_compared() {
        let (crc32, sha256) = (("x-amz-trailer", "x-amz-checksum-crc32"), ("x-amz-trailer", "x-amz-checksum-sha256"));
        let both = ("x-amz-trailer", "x-amz-checksum-crc32, x-amz-checksum-sha256");
        let chunked = Payload::UnsignedChunksTrailer;
        assert_eq!(refused_as(chunked, &[crc32]), None);
        assert_eq!(refused_as(chunked, &[crc32, ("x-amz-sdk-checksum-algorithm", "CRC32")]), None);
        for bad in [vec![both], vec![crc32, sha256], vec![crc32, ("x-amz-sdk-checksum-algorithm", "SHA256")]] {
            assert_eq!(refused_as(chunked, &bad), Some(Code::InvalidRequest), "{bad:?}");
        }
        for payload in [Payload::Unsigned, Payload::Whole([0; 32])] {
            assert_eq!(refused_as(payload, &[crc32]), Some(Code::InvalidRequest), "no trailer follows");
        }
    }
}
