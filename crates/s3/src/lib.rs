//! S3, as Amazon's API Reference has it, on a listener of its own: requests become verbs of `buckets`, outputs become XML and headers. It
//! holds no rule of the room.
//!
//! A request is read strictly before anybody is believed: `sigv4` reads the signature with everything that it must cover, `identity` judges
//! it, the gate decides, and only then is the body read. What a request asks for by its headers beside the main thing (a retention, a legal
//! hold, a bypass of governance, the source of a copy) is a verb of its own, asked for by itself.
//!
//! It does not know access control lists, bucket policies, cross-origin rules and keys of the client's: those are refused with what there
//! is instead. What it does not know at all answers `NotImplemented`.
//!
//! INVARIANT: nothing of a body is published before its signatures, digests and length were checked. Held by `tests/clients/test_s3.py`
//! and `test_s3_said.py`.
//! INVARIANT: a header that was not signed changes nothing: every `x-amz-…` header must be. Held by `sigv4`'s `tests::traps`.

mod auth;
mod body;
mod copy;
mod datasets;
mod error;
mod headers;
mod listing;
mod multipart;
mod objects;
mod retention;
mod route;
mod subresources;
mod sums;
mod tags;
mod xml;

use std::sync::Arc;

use axum::body::Body;
use buckets::Buckets;
use data::Data;
use gate::{Action, Credential};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use identity::Identity;
use kernel::{Clock, Problem};
use wire::{Answer, Asked, Chosen, Knock, Language, RouteEntry};

use crate::route::Request;

/// The region of a server that was told no other.
pub const DEFAULT_REGION: &str = "us-east-1";

/// The language. Give it to [`wire::Door::speak`].
pub struct S3 {
    shared: Shared,
}

/// What every request needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) buckets: Buckets,
    pub(crate) data: Data,
    pub(crate) identity: Identity,
    pub(crate) region: Arc<str>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl S3 {
    /// S3 over these rooms. Signatures must be for this region.
    #[must_use]
    pub fn new(rooms: (Buckets, Data), identity: Identity, region: &str, clock: Arc<dyn Clock>) -> Self {
        let (buckets, data) = rooms;
        Self { shared: Shared { buckets, data, identity, region: Arc::from(region), clock } }
    }
}

impl Language for S3 {
    fn table(&self) -> Vec<RouteEntry> {
        route::TABLE
            .iter()
            .map(|(method, path, action)| RouteEntry { method: method.clone(), path: (*path).to_owned(), action: *action })
            .collect()
    }

    fn knock(&self, parts: &mut Parts) -> Knock {
        auth::knock(&self.shared, parts)
    }

    fn form_credential(&self, form: &[u8]) -> Credential {
        auth::form_credential(form)
    }

    fn choose(&self, mut parts: Parts, asked: Asked) -> Result<Chosen, Problem> {
        let shared = self.shared.clone();
        match asked {
            Asked::Form(form) => auth::assume(shared, &form),
            Asked::Body(body) => {
                let request = Request::of(&mut parts)?;
                route::choose(shared, request, body)
            }
        }
    }

    fn refuse(&self, problem: &Problem, method: &Method, path: &str) -> Answer {
        error::answer(problem, method, path)
    }
}

/// What a request would do that nobody could read.
pub(crate) const UNREAD: Action = Action::read("server.unrouted");

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Answer::new(Body::empty());
    *answer.status_mut() = status;
    wire::harden(&mut answer);
    answer
}

/// What goes with an object's bytes. `no-store` would be shown to clients as metadata of the object, and copied as such, where it has no
/// `Cache-Control` of its own. No shared cache keeps what was asked for with an `Authorization` header (RFC 9111 §3.5); a presigned address
/// comes without one, and is opened in browsers, which would keep what they show.
pub(crate) fn harden_content(answer: &mut Answer, is_presigned: bool) {
    let says_nothing = !is_presigned && !answer.headers().contains_key(header::CACHE_CONTROL);
    wire::harden(answer);
    if says_nothing {
        answer.headers_mut().remove(header::CACHE_CONTROL);
    }
}

/// 200 with XML.
pub(crate) fn xml_answer(xml: String) -> Answer {
    let mut answer = Answer::new(Body::from(xml));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    wire::harden(&mut answer);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_no_cache_control_but_its_own() {
        let hardened = |own: Option<&'static str>, is_presigned: bool| {
            let mut answer = Answer::new(Body::empty());
            if let Some(own) = own {
                answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(own));
            }
            harden_content(&mut answer, is_presigned);
            assert!(answer.headers().contains_key(header::X_CONTENT_TYPE_OPTIONS));
            answer.headers().get(header::CACHE_CONTROL).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(hardened(None, false), None);
        assert_eq!(hardened(None, true).as_deref(), Some("no-store"));
        for is_presigned in [false, true] {
            assert_eq!(hardened(Some("max-age=60"), is_presigned).as_deref(), Some("max-age=60"));
        }
    }
}
