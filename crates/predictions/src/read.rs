//! Reading batches: whole, checked against the root that was sealed, narrowed to what the permit reaches.

use std::collections::HashMap;

use audit::merkle::{Hash, root_of};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use gate::{Permit, Scope};
use kernel::{Problem, Secret, hex, sha256};
use vault::keys;

use crate::journal::{Body, Frame};
use crate::limits::SETTLE_WAIT_MAX;
use crate::record::{Record, digest};
use crate::store::{self, Choice};
use crate::subjects::{aad, key_of};
use crate::types::Batch;
use crate::{Predictions, batch};

/// A batch's content.
pub(crate) struct Content {
    pub(crate) frames: Vec<Frame>,
    pub(crate) leaves: Vec<Hash>,
}

/// What became of a prediction's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// They are there.
    Values(Vec<u8>),
    /// Only their hashes were kept.
    Hashes,
    /// They were erased with their subject.
    Erased,
}

impl Predictions {
    /// The batches that the permit reaches.
    pub(crate) fn choice<O: ?Sized>(&self, permit: &Permit<O>) -> Result<Option<Choice>, Problem> {
        let models = match permit.scope() {
            Scope::Workspace => None,
            Scope::Only { models, .. } if !models.is_empty() => Some(models.clone()),
            _ => return Ok(None),
        };
        Ok(Some(Choice { workspace: permit.workspace()?.to_owned(), models, ..Choice::default() }))
    }

    /// Waits until what this server logged before is in batches.
    pub(crate) async fn settle(&self) -> Result<(), Problem> {
        if self.0.journal.is_empty() {
            return Ok(());
        }
        let mut rounds = self.0.rounds.subscribe();
        // A round that is under way may have begun before the newest prediction: the one after it is waited for.
        let (begun, _) = *rounds.borrow_and_update();
        self.0.wake.notify_one();
        let sealed = rounds.wait_for(|(_, ended)| *ended > begun);
        match tokio::time::timeout(SETTLE_WAIT_MAX, sealed).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Problem::unavailable(
                "the newest predictions could not be sealed in time; see the server's log, and try again",
            )),
        }
    }

    /// Reads a batch and checks that it is what was sealed.
    pub(crate) async fn content<O: ?Sized>(&self, permit: &Permit<O>, batch: &Batch) -> Result<Content, Problem> {
        let mut body = self.objects().open(permit, &batch.object, 0..batch.object.size_bytes).await?;
        let mut bytes = BytesMut::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece?);
        }
        let root = batch.root;
        let work = move || {
            let frames = batch::read(bytes.freeze())?;
            let leaves: Vec<Hash> = frames.iter().map(|frame| digest(&frame.record)).collect();
            if root_of(&leaves) != root {
                return Err(Problem::internal("a batch of predictions is not what was sealed", "another root"));
            }
            Ok(Content { frames, leaves })
        };
        tokio::task::spawn_blocking(work).await.map_err(|broken| Problem::internal("reading a batch broke off", broken))?
    }

    /// What is kept of the values of these predictions, in their order.
    pub(crate) async fn opened<O: ?Sized>(&self, permit: &Permit<O>, frames: &[(Record, Frame)]) -> Result<Vec<Kept>, Problem> {
        let mut keys: HashMap<String, Option<Secret>> = HashMap::new();
        for (record, frame) in frames {
            if let (Some(subject), Body::Sealed(_)) = (&record.subject, &frame.body)
                && !keys.contains_key(subject)
            {
                let (workspace, wanted) = (record.workspace.clone(), subject.clone());
                let row = self.db().read(permit, move |reader| Ok(store::subject_by_id(reader, &workspace, &wanted)?)).await?;
                let key = match row {
                    Some(row) => Some(key_of(self.objects().keys(), &row).await?),
                    None => None,
                };
                keys.insert(subject.clone(), key);
            }
        }
        let open = |(record, frame): &(Record, Frame)| {
            let values = match &frame.body {
                Body::None => return Ok(Kept::Hashes),
                Body::Plain(values) => values.clone(),
                Body::Sealed(sealed) => match record.subject.as_ref().and_then(|subject| keys.get(subject)?.as_ref()) {
                    Some(key) => keys::open(key, sealed, &aad(&record.workspace, &record.id))?,
                    None => return Ok(Kept::Erased),
                },
            };
            // The record that was sealed says which values they are.
            if record.values_sha256.as_deref() != Some(hex(&sha256(&values)).as_str()) {
                return Err(Problem::internal("a prediction's values are not those that were logged", "another digest"));
            }
            Ok(Kept::Values(values))
        };
        frames.iter().map(open).collect()
    }
}

/// Bytes that a worker asked for.
pub(crate) fn piece(bytes: &Bytes, offset: u64, length: u32) -> Result<Bytes, Problem> {
    let outside = || Problem::internal("the worker asked for bytes that are not there", "outside of the rows");
    let start = usize::try_from(offset).map_err(|_| outside())?;
    let end = start.checked_add(length as usize).filter(|end| *end <= bytes.len()).ok_or_else(outside)?;
    Ok(bytes.slice(start..end))
}
