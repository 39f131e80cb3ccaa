//! Bytes on their way to a client: pieces of text and of objects, one after the other, and how their sending ended.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gate::{DeferredOutcome, Outcome, Permit};
use kernel::Problem;
use vault::objects::{Body, Objects, StoredObject};

use crate::store;

/// What is sent.
pub(super) enum Piece {
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

/// A sending. It holds the permit and the duty to record how it ended.
pub(super) struct Sending<O> {
    permit: Permit<O>,
    objects: Objects,
    pieces: std::vec::IntoIter<Piece>,
    now: Option<Body>,
    sent_bytes: u64,
    total_bytes: u64,
    end: Option<(DeferredOutcome, Outcome)>,
}

impl<O: Send + 'static> Sending<O> {
    /// Begins: the first bytes were read and checked when this answers, so that damage is refused before an answer begins.
    pub(super) async fn begin(
        permit: Permit<O>,
        objects: Objects,
        pieces: Vec<Piece>,
        total_bytes: u64,
        outcome: Outcome,
    ) -> Result<Body, Problem> {
        let end = Some((permit.defer_outcome(), outcome));
        let mut sending = Self { permit, objects, pieces: pieces.into_iter(), now: None, sent_bytes: 0, total_bytes, end };
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
                    self.settle_done()?;
                }
                Ok(Some(bytes))
            }
            Ok(None) => {
                self.settle_done()?;
                Ok(None)
            }
            Err(problem) => {
                if let Some((deferred, _)) = self.end.take() {
                    deferred.settle(&Outcome::failed(problem.kind()).with("sent_bytes", store::signed(self.sent_bytes)?));
                }
                Err(problem)
            }
        }
    }

    fn settle_done(&mut self) -> Result<(), Problem> {
        if let Some((deferred, outcome)) = self.end.take() {
            deferred.settle(&outcome.with("sent_bytes", store::signed(self.sent_bytes)?));
        }
        Ok(())
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
