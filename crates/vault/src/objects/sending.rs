//! Bytes on their way to a client: pieces of text and of objects, one after the other, and how their sending ended.
//!
//! INVARIANT: the outcome of a recorded read says how many bytes were sent, also when the client hangs up or a piece is damaged.
//! Held by the reading tests of the rooms that send.
//! INVARIANT: what has begun to be sent is sent whole, also when it is deleted or overwritten meanwhile. Held by `buckets::tests::objects`.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gate::{DeferredOutcome, Outcome, Permit};
use kernel::Problem;

use super::hold::Use;
use super::small::SMALL_BYTES_MAX;
use super::{Body, ObjectId, Objects, StoredObject};

/// Small objects behind the first that are fetched at the beginning: their bytes go with the row that names them. What was written in parts
/// has one, its last.
const FETCHED_COUNT_MAX: usize = 8;

/// What is sent.
pub enum Piece {
    /// Bytes that are at hand.
    Text(Bytes),
    /// Bytes of an object.
    Object {
        /// Which.
        object: Box<StoredObject>,
        /// Which of its bytes.
        range: Range<u64>,
    },
}

impl Piece {
    const fn id(&self) -> Option<&ObjectId> {
        match self {
            Self::Text(_) => None,
            Self::Object { object, .. } => Some(&object.id),
        }
    }
}

async fn fetch_small<O>(permit: &Permit<O>, objects: &Objects, pieces: &mut [Piece]) -> Result<(), Problem> {
    let later = pieces.iter_mut().skip(1).filter_map(|piece| match piece {
        Piece::Object { object, .. } if object.size_bytes <= SMALL_BYTES_MAX as u64 => Some(object),
        _ => None,
    });
    for object in later.take(FETCHED_COUNT_MAX) {
        if object.fresh.is_none() {
            object.fresh = objects.small(permit, &object.id).await?;
        }
    }
    Ok(())
}

/// A sending. It holds the permit and the duty to record how it ended.
pub struct Sending<O> {
    permit: Permit<O>,
    objects: Objects,
    pieces: std::vec::IntoIter<Piece>,
    now: Option<Body>,
    /// All that is sent stays until then.
    _using: Use,
    sent_bytes: u64,
    total_bytes: u64,
    end: Option<(DeferredOutcome, Outcome)>,
}

impl<O: Send + 'static> Sending<O> {
    /// Begins: the first bytes were read and checked when this answers, so that damage is refused before an answer begins.
    /// `outcome` is recorded when the last of `total_bytes` was sent.
    ///
    /// # Errors
    /// As [`Objects::open`] of the first piece.
    pub async fn begin(
        permit: Permit<O>,
        objects: Objects,
        mut pieces: Vec<Piece>,
        total_bytes: u64,
        outcome: Outcome,
    ) -> Result<Body, Problem> {
        let end = Some((permit.defer_outcome(), outcome));
        let ids: Vec<ObjectId> = pieces.iter().filter_map(Piece::id).cloned().collect();
        let using = objects.using(ids);
        fetch_small(&permit, &objects, &mut pieces).await?;
        let pieces = pieces.into_iter();
        let mut sending = Self { permit, objects, pieces, now: None, _using: using, sent_bytes: 0, total_bytes, end };
        sending.now = sending.next_piece().await?;
        Ok(Box::pin(stream::unfold(Some(sending), |sending| async move {
            let mut sending = sending?;
            match sending.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(sending))),
                Ok(None) => None,
                Err(problem) => Some((Err(problem), None)),
            }
        })))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        match self.bytes().await {
            Ok(Some(bytes)) => {
                self.sent_bytes = self.sent_bytes.saturating_add(bytes.len() as u64);
                // Whoever sends the answer knows its length and does not ask again after the last byte.
                if self.sent_bytes >= self.total_bytes {
                    self.settle_done();
                }
                Ok(Some(bytes))
            }
            Ok(None) => {
                self.settle_done();
                Ok(None)
            }
            Err(problem) => {
                if let Some((deferred, _)) = self.end.take() {
                    deferred.settle(&Outcome::failed(problem.kind()).with("sent_bytes", signed(self.sent_bytes)));
                }
                Err(problem)
            }
        }
    }

    fn settle_done(&mut self) {
        if let Some((deferred, outcome)) = self.end.take() {
            deferred.settle(&outcome.with("sent_bytes", signed(self.sent_bytes)));
        }
    }

    async fn bytes(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(body) = &mut self.now
                && let Some(bytes) = body.next().await
            {
                return bytes.map(Some);
            }
            match self.next_piece().await? {
                Some(body) => self.now = Some(body),
                None => return Ok(None),
            }
        }
    }

    async fn next_piece(&mut self) -> Result<Option<Body>, Problem> {
        match self.pieces.next() {
            None => Ok(None),
            Some(Piece::Text(bytes)) => Ok(Some(Box::pin(stream::iter([Ok(bytes)])))),
            Some(Piece::Object { object, range }) => self.objects.open(&self.permit, &object, range).await.map(Some),
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
