//! `artifacts.upload_*`: multipart uploads. Each part is an object of its own; completing joins them by rows, without
//! writing a byte anew.

use futures_util::StreamExt;
use gate::{Action, Caller, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem, Sha256Hasher, hex, random_id};
use vault::objects::{Body, StoredObject};

use super::write::{Written, check_size};
use crate::config::{PART_BYTES_MAX, PART_COUNT_MAX};
use crate::store::uploads::{self, UploadedPart};
use crate::store::{self, NewFile};
use crate::{ArtifactPath, Artifacts, Owner, Place};

/// Begins a multipart upload.
pub struct CreateUpload {
    /// The room.
    pub room: Artifacts,
    /// The file to be.
    pub place: Place,
    /// How many parts the client will send.
    pub part_count: i64,
}

/// A multipart upload that has begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Its id.
    pub upload_id: String,
    /// Who began it.
    pub by: Caller,
    /// When.
    pub at: Micros,
}

impl Operation for CreateUpload {
    const ACTION: Action = Action::write("artifacts.upload_create");
    type Output = Begun;

    fn target(&self) -> Target {
        self.place.owner.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<Begun, Problem> {
        self.place.home(&permit)?;
        let path = self.place.file()?.clone();
        let owner = self.place.owner;
        check_number(self.part_count)?;
        let outcome = Outcome::done().with("path_hash", self.room.path_hash(&owner, path.as_str()).await?);
        let (at, by) = (permit.entry().at, permit.caller().id.clone());
        let created = self.room.db.write(&permit, move |writer| {
            store::check_place(writer, &owner, &path)?;
            let id = random_id();
            uploads::create(writer, &id, &owner, &path, at, &by)?;
            Ok((id.clone(), outcome.resource(id)))
        });
        Ok(Begun { upload_id: created.await?, by: permit.caller().clone(), at })
    }
}

/// Stores one part, instead of the one that had its number.
pub struct UploadPart {
    /// The room.
    pub room: Artifacts,
    /// The file to be.
    pub place: Place,
    /// The upload.
    pub upload_id: String,
    /// Which part, from 1.
    pub part_number: i64,
    /// Its bytes.
    pub body: Body,
    /// How many the client says there are.
    pub size_hint_bytes: Option<u64>,
}

/// A part that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartStored {
    /// What the client must name the part by when it completes: the SHA-256 of its bytes, in hex.
    pub etag: String,
    /// Its size.
    pub size_bytes: u64,
}

impl Operation for UploadPart {
    const ACTION: Action = Action::write("artifacts.upload_part");
    type Output = PartStored;

    fn target(&self) -> Target {
        self.place.owner.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<PartStored, Problem> {
        let home = self.place.home(&permit)?;
        let path = self.place.file()?.clone();
        let (room, owner, id, number) = (self.room, self.place.owner, self.upload_id, self.part_number);
        check_number(number)?;
        // A pass is for the parts of one upload; that this is the verb, the gate has seen to.
        if permit.caller().pass.as_ref().is_some_and(|pass| pass.subject != id) {
            return Err(no_upload());
        }
        let limit = PART_BYTES_MAX.min(room.config.upload_bytes_max);
        check_size(self.size_hint_bytes, limit)?;
        let (wanted_id, wanted_owner, wanted_path) = (id.clone(), owner.clone(), path.clone());
        let exists = move |reader: &mut vault::db::Reader<'_>| uploads::exists(reader, &wanted_id, &wanted_owner, &wanted_path);
        if !room.db.read_point(&permit, exists).await? {
            return Err(no_upload());
        }
        let object = room.objects.put(&permit, &home.workspace, self.body, limit).await?;
        let stored = PartStored { etag: hex(&object.sha256), size_bytes: object.size_bytes };
        let outcome = Outcome::done()
            .resource(id.clone())
            .with("part_number", number)
            .with("sha256", stored.etag.as_str())
            .with("size_bytes", store::signed(object.size_bytes)?);
        let (at, stored_id) = (permit.entry().at, object.id.clone());
        let commit = room.objects.commit(&room.db, &permit, vec![stored_id], move |writer| {
            // It may have been completed or aborted while the bytes came.
            if !uploads::exists(writer, &id, &owner, &path)? {
                return Err(no_upload());
            }
            let old = uploads::put_part(writer, &id, number, &object, at)?;
            Ok(((stored, old.into_iter().collect()), outcome))
        });
        commit.await
    }
}

/// One part, as the client names it when it completes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentPart {
    /// Its number.
    pub number: i64,
    /// The etag that storing it gave; quotes are ignored.
    pub etag: String,
}

/// Joins the parts to a file. Asked again after it was done, it gives the same answer.
pub struct CompleteUpload {
    /// The room.
    pub room: Artifacts,
    /// The file to be.
    pub place: Place,
    /// The upload.
    pub upload_id: String,
    /// The parts, by rising number.
    pub parts: Vec<SentPart>,
}

impl Operation for CompleteUpload {
    const ACTION: Action = Action::write("artifacts.upload_complete");
    type Output = Written;

    fn target(&self) -> Target {
        self.place.owner.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<Written, Problem> {
        let home = self.place.home(&permit)?;
        let path = self.place.file()?.clone();
        let (room, owner, id) = (self.room, self.place.owner, self.upload_id);
        let stored = match room.stored_parts(&permit, &owner, &path, &id).await? {
            Stored::Done(written) => return Ok(written),
            Stored::Parts(parts) => parts,
        };
        let chosen = choose(&stored, &self.parts)?;
        let size_bytes = chosen.iter().fold(0_u64, |sum, part| sum.saturating_add(part.size_bytes));
        check_size(Some(size_bytes), room.config.upload_bytes_max)?;
        let sha256 = room.hash_of(&permit, &chosen).await?;
        let outcome = Outcome::done()
            .resource(id.clone())
            .with("sha256", hex(&sha256))
            .with("size_bytes", store::signed(size_bytes)?)
            .with("part_count", chosen.len())
            .with("path_hash", room.path_hash(&owner, path.as_str()).await?);
        let (at, by) = (permit.entry().at, permit.caller().id.clone());
        let token = permit.caller().token.as_ref().map(|token| token.id.clone());
        let commit = room.objects.commit(&room.db, &permit, Vec::new(), move |writer| {
            // The bytes were hashed outside the transaction: they must still be the same ones.
            if !uploads::exists(writer, &id, &owner, &path)? || !same_objects(&uploads::parts(writer, &id)?, &stored) {
                return Err(Problem::new(Kind::Conflict, "the upload changed while it was being completed; try again"));
            }
            let mut loose = uploads::remove(writer, &id)?;
            loose.retain(|object| !chosen.iter().any(|part| part.id == *object));
            let file = NewFile {
                id: &random_id(),
                owner: &owner,
                path: &path,
                home: &home,
                size_bytes,
                sha256: &sha256,
                upload_id: Some(&id),
                at,
                by: &by,
                token: token.as_deref(),
            };
            loose.extend(store::put_file(writer, &file, &chosen)?);
            Ok(((Written { size_bytes, sha256 }, loose), outcome))
        });
        commit.await
    }
}

/// Forgets a multipart upload and its parts. One that is not there is aborted already.
pub struct AbortUpload {
    /// The room.
    pub room: Artifacts,
    /// The file that was to be.
    pub place: Place,
    /// The upload.
    pub upload_id: String,
}

impl Operation for AbortUpload {
    const ACTION: Action = Action::write("artifacts.upload_abort");
    type Output = ();

    fn target(&self) -> Target {
        self.place.owner.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        self.place.home(&permit)?;
        let path = self.place.file()?.clone();
        let (owner, id) = (self.place.owner, self.upload_id);
        let aborted = self.room.objects.commit(&self.room.db, &permit, Vec::new(), move |writer| {
            let objects = if uploads::exists(writer, &id, &owner, &path)? { uploads::remove(writer, &id)? } else { Vec::new() };
            let outcome = Outcome::done().resource(id).with("deleted_count", objects.len());
            Ok((((), objects), outcome))
        });
        aborted.await
    }
}

enum Stored {
    Done(Written),
    Parts(Vec<UploadedPart>),
}

impl Artifacts {
    async fn stored_parts<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        owner: &Owner,
        path: &ArtifactPath,
        id: &str,
    ) -> Result<Stored, Problem> {
        let (owner, path, id) = (owner.clone(), path.clone(), id.to_owned());
        let look_up = move |reader: &mut vault::db::Reader<'_>| {
            if uploads::exists(reader, &id, &owner, &path)? {
                return Ok(Stored::Parts(uploads::parts(reader, &id)?));
            }
            // A client whose first answer was lost asks again.
            match store::find(reader, &owner, &path)? {
                Some(file) if file.upload_id.as_deref() == Some(id.as_str()) => {
                    Ok(Stored::Done(Written { size_bytes: file.size_bytes, sha256: file.sha256 }))
                }
                _ => Err(no_upload()),
            }
        };
        self.db.read(permit, look_up).await
    }

    /// The SHA-256 of the joined parts: they are read once, which checks every segment of them too.
    pub(crate) async fn hash_of<O: ?Sized>(&self, permit: &Permit<O>, parts: &[StoredObject]) -> Result<[u8; 32], Problem> {
        if let [only] = parts {
            return Ok(only.sha256);
        }
        let mut hasher = Sha256Hasher::new();
        for part in parts {
            let mut body = self.objects.open(permit, part, 0..part.size_bytes).await?;
            while let Some(bytes) = body.next().await {
                hasher.update(&bytes?);
            }
        }
        Ok(hasher.finish())
    }
}

fn choose(stored: &[UploadedPart], sent: &[SentPart]) -> Result<Vec<StoredObject>, Problem> {
    if sent.is_empty() {
        return Err(Problem::invalid("name at least one part"));
    }
    let mut chosen = Vec::with_capacity(sent.len());
    let mut last = 0;
    for part in sent {
        if part.number <= last {
            return Err(Problem::invalid("name the parts by rising number, each once"));
        }
        last = part.number;
        let etag = part.etag.trim_matches('"');
        let found = stored.iter().find(|known| known.number == part.number && hex(&known.object.sha256) == etag);
        let found = found.ok_or_else(|| {
            Problem::invalid(format!("part {} was not stored, or with another etag; send it again", part.number))
        })?;
        chosen.push(found.object.clone());
    }
    Ok(chosen)
}

/// The same objects in the same order; their keys may have been wrapped anew meanwhile.
fn same_objects(a: &[UploadedPart], b: &[UploadedPart]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.number == b.number && a.object.id == b.object.id)
}

fn check_number(number: i64) -> Result<(), Problem> {
    if (1..=PART_COUNT_MAX).contains(&number) {
        return Ok(());
    }
    Err(Problem::invalid(format!("a multipart upload has 1 to {PART_COUNT_MAX} parts")))
}

fn no_upload() -> Problem {
    Problem::not_found("there is no such multipart upload; it was completed, aborted or expired")
}
