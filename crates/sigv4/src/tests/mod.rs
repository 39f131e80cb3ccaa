//! The examples that AWS publishes, and the traps that other servers fell into.

mod checksums;
mod chunked;
mod examples;
mod traps;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use kernel::{Micros, Secret};

use crate::{Expect, Presentation, Presented, Refusal, dates, read, sign::Signer, signing_key, verify};

pub const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The moment of AWS's examples.
pub fn moment() -> Micros {
    dates::parse("20130524T000000Z").unwrap()
}

pub fn expect_at(now: Micros) -> Expect<'static> {
    Expect { region: "us-east-1", now }
}

pub fn signer() -> Signer {
    Signer {
        access_key: ACCESS_KEY.to_owned(),
        secret: Secret::new(SECRET.to_vec()),
        session_token: None,
        region: "us-east-1".to_owned(),
        service: "s3".to_owned(),
    }
}

pub fn header_map(headers: &[(&str, &str)]) -> HeaderMap {
    let one = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter().map(one) {
        map.append(name, value);
    }
    map
}

/// A request as it comes.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
}

impl Asked {
    /// A `PUT` with these extra headers, signed as a careful client does.
    pub fn signed(headers: &[(&str, &str)]) -> Self {
        Self::signed_for("PUT", "/bucket/key", headers, EMPTY)
    }

    pub fn signed_for(method: &str, uri: &str, headers: &[(&str, &str)], payload: &str) -> Self {
        let (method, uri) = (method.parse().unwrap(), uri.parse().unwrap());
        let mut headers = header_map(headers);
        headers.insert("host", HeaderValue::from_static("s3.example.com"));
        let value = signer().sign(&method, &uri, &mut headers, payload, moment()).unwrap();
        headers.insert("authorization", value);
        Self { method, uri, headers }
    }

    /// A presigned `PUT` for an hour, with these headers signed.
    pub fn presigned(headers: &[(&str, &str)]) -> Self {
        let (method, uri): (Method, Uri) = (Method::PUT, "https://s3.example.com/bucket/key".parse().unwrap());
        let headers = header_map(headers);
        let uri = signer().presign(&method, &uri, &headers, 3_600, moment()).unwrap();
        Self { method, uri, headers }
    }

    /// With one more header, unsigned.
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        self
    }

    /// With `from` replaced by `to` in the URL or the `Authorization` header.
    pub fn with(mut self, from: &str, to: &str) -> Self {
        match self.headers.get_mut("authorization") {
            Some(value) => {
                let text = value.to_str().unwrap();
                assert!(text.contains(from), "{from} is not in {text}");
                *value = text.replace(from, to).parse().unwrap();
            }
            None => {
                let text = self.uri.to_string();
                assert!(text.contains(from), "{from} is not in {text}");
                self.uri = text.replace(from, to).parse().unwrap();
            }
        }
        self
    }

    pub fn read_at(&self, now: Micros) -> Result<Presented, Refusal> {
        read(&self.method, &self.uri, &self.headers, &expect_at(now))
    }

    /// What it claims, if that can be read and is true.
    pub fn check(&self) -> Result<Presentation, Refusal> {
        self.check_at(moment())
    }

    pub fn check_at(&self, now: Micros) -> Result<Presentation, Refusal> {
        match self.read_at(now)? {
            Presented::None => panic!("nothing was presented"),
            Presented::Signed(presentation) => {
                let key = signing_key(SECRET, &presentation.scope);
                if verify(&key, &presentation) { Ok(presentation) } else { Err(Refusal::mismatch()) }
            }
        }
    }

    /// The code and the status of the refusal.
    pub fn code(&self) -> (&'static str, u16) {
        self.code_at(moment())
    }

    pub fn code_at(&self, now: Micros) -> (&'static str, u16) {
        self.check_at(now).map_or_else(|refusal| (refusal.code, refusal.status), |_| ("taken", 200))
    }
}
