//! Bodies: streamed into an object, or read whole where they are XML.

use std::sync::Arc;

use buckets::{Code, Incoming};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gate::{Operation, Target, Visitor};
use http::{HeaderMap, header};
use kernel::{Kind, Problem, Secret};
use parking_lot::Mutex;
use sigv4::{Algorithm, Chunks, Payload};
use vault::objects::Body;
use wire::BodyStream;

use crate::auth::Signature;
use crate::error::refused;
use crate::sums::{Promised, Sums};

/// A body of XML.
const XML_BYTES_MAX: usize = 2 << 20;

/// How long the client says the object's bytes are.
fn length_of(headers: &HeaderMap, payload: Payload) -> Result<u64, Problem> {
    let name = if payload.is_chunked() { "x-amz-decoded-content-length" } else { header::CONTENT_LENGTH.as_str() };
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    let missing = || Code::MissingContentLength.problem("You must provide the Content-Length HTTP header.");
    value.and_then(|text| text.parse().ok()).ok_or_else(missing)
}

/// How a body comes: as its signature says, or as its head does where a token came instead of one.
fn payload_of(headers: &HeaderMap, signature: Option<&Signature>) -> Result<Payload, Problem> {
    if let Some(signature) = signature {
        return Ok(signature.presentation.payload);
    }
    let told = Payload::told(headers).map_err(refused)?.unwrap_or(Payload::Unsigned);
    if told.is_chunked() {
        return Err(Code::InvalidRequest
            .problem("a body in aws-chunked needs a signed request: sign it, or send the bytes as they are beside the token"));
    }
    Ok(told)
}

/// The bytes of an object or part. `default` is the checksum that an upload asks of its parts.
pub fn incoming(
    headers: &HeaderMap,
    signature: Option<&Signature>,
    body: BodyStream,
    default: Option<Algorithm>,
) -> Result<Incoming, Problem> {
    let size_bytes = length_of(headers, payload_of(headers, signature)?)?;
    build(headers, signature, body, default, size_bytes)
}

fn build(
    headers: &HeaderMap,
    signature: Option<&Signature>,
    body: BodyStream,
    default: Option<Algorithm>,
    size_bytes: u64,
) -> Result<Incoming, Problem> {
    let payload = payload_of(headers, signature)?;
    let promised = Promised::of(headers, payload, default)?;
    let sums = Arc::new(Mutex::new(promised.sums(size_bytes)));
    let chunks = match signature {
        Some(signature) if payload.is_chunked() => {
            let key = signature.key.get().cloned().unwrap_or_else(|| Secret::new(Vec::new()));
            Some(Chunks::of(headers, &key, &signature.presentation).map_err(refused)?)
        }
        _ => None,
    };
    let body = summed(body, chunks, Arc::clone(&sums));
    Ok(Incoming { body, size_bytes: Some(size_bytes), finish: promised.finish(sums) })
}

/// Bytes that the server itself has, such as those of a copy's source.
pub fn of_source(body: Body, size_bytes: u64, algorithm: Option<Algorithm>) -> Result<Incoming, Problem> {
    let promised = Promised::of(&HeaderMap::new(), Payload::Unsigned, algorithm)?;
    let sums = Arc::new(Mutex::new(promised.sums(size_bytes)));
    let summing = Arc::clone(&sums);
    let body = body.map(move |piece| {
        if let Ok(bytes) = &piece {
            summing.lock().update(bytes);
        }
        piece
    });
    Ok(Incoming { body: Box::pin(body), size_bytes: Some(size_bytes), finish: promised.finish(sums) })
}

struct Reading {
    body: BodyStream,
    chunks: Option<Chunks>,
    sums: Arc<Mutex<Sums>>,
    ready: std::collections::VecDeque<Bytes>,
    is_over: bool,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                self.sums.lock().update(&bytes);
                return Ok(Some(bytes));
            }
            if self.is_over {
                return Ok(None);
            }
            match self.body.next().await {
                Some(Ok(bytes)) => match &mut self.chunks {
                    Some(chunks) => {
                        let mut plain = Vec::new();
                        chunks.push(&bytes, &mut plain).map_err(refused)?;
                        self.ready.extend(plain);
                    }
                    None => self.ready.push_back(bytes),
                },
                // Its sender was shut out meanwhile.
                Some(Err(problem)) if problem.kind() == Kind::Forbidden => return Err(problem),
                Some(Err(problem)) => return Err(Code::IncompleteBody.problem(problem.message().to_owned())),
                None => {
                    self.is_over = true;
                    if let Some(chunks) = self.chunks.take() {
                        self.sums.lock().trailers = chunks.finish().map_err(refused)?;
                    }
                }
            }
        }
    }
}

fn summed(body: BodyStream, chunks: Option<Chunks>, sums: Arc<Mutex<Sums>>) -> Body {
    let reading = Reading { body, chunks, sums, ready: std::collections::VecDeque::new(), is_over: false };
    Box::pin(stream::unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        match reading.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(reading))),
            Ok(None) => None,
            Err(problem) => Some((Err(problem), None)),
        }
    }))
}

/// A small body for a verb that its caller may ask for: who may not is refused before a byte of it is taken.
pub async fn asked<O: Operation>(
    visitor: &Visitor,
    target: &Target,
    request: (&HeaderMap, Option<&Signature>),
    body: BodyStream,
) -> Result<Bytes, Problem> {
    visitor.may::<O>(target).await?;
    whole(request.0, request.1, body).await
}

/// A small body, whole and as it was promised.
async fn whole(headers: &HeaderMap, signature: Option<&Signature>, body: BodyStream) -> Result<Bytes, Problem> {
    let payload = payload_of(headers, signature)?;
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<usize>().ok());
    if length.is_some_and(|length| length > XML_BYTES_MAX) {
        return Err(too_long());
    }
    // A small body needs no length told before it.
    let size_bytes = length_of(headers, payload).unwrap_or(0);
    let incoming = build(headers, signature, body, None, size_bytes)?;
    let mut reading = incoming.body;
    let mut bytes = Vec::new();
    while let Some(piece) = reading.next().await {
        let piece = piece?;
        if bytes.len().saturating_add(piece.len()) > XML_BYTES_MAX {
            return Err(too_long());
        }
        bytes.extend_from_slice(&piece);
    }
    (incoming.finish)(bytes.len() as u64, &kernel::sha256(&bytes))?;
    Ok(Bytes::from(bytes))
}

fn too_long() -> Problem {
    Code::MalformedXML.problem(format!("the XML has at most {XML_BYTES_MAX} bytes"))
}
