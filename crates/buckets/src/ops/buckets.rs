//! `buckets.*`: buckets themselves.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, random_id};

use crate::store::{buckets as store, uploads};
use crate::types::{BUCKET_TAG_COUNT_MAX, Bucket, Tags, Versioning};
use crate::{Buckets, Code, check_bucket_name};

/// Makes a bucket in the workspace that the caller named.
pub struct CreateBucket {
    /// The room.
    pub room: Buckets,
    /// Its name.
    pub name: String,
    /// Whether its versions can be locked. Then it keeps versions for good.
    pub lock_enabled: bool,
    /// Its tags.
    pub tags: Tags,
}

impl Operation for CreateBucket {
    const ACTION: Action = Action::write("buckets.create");
    type Output = Bucket;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Bucket, Problem> {
        check_bucket_name(&self.name)?;
        let bucket = Bucket {
            id: random_id(),
            name: self.name,
            workspace: permit.workspace()?.to_owned(),
            versioning: if self.lock_enabled { Versioning::Enabled } else { Versioning::Off },
            lock_enabled: self.lock_enabled,
            default_retention: None,
            tags: self.tags.check(BUCKET_TAG_COUNT_MAX)?,
            created_at: permit.entry().at,
            created_by: permit.caller().id.clone(),
        };
        let by = bucket.created_by.clone();
        self.room
            .db
            .write(&permit, move |writer| {
                if store::insert(writer, &bucket)? {
                    let outcome = Outcome::done()
                        .resource(bucket.id.clone())
                        .with("lock_enabled", i64::from(bucket.lock_enabled))
                        .with("tag_count", bucket.tags.0.len());
                    return Ok((bucket, outcome));
                }
                let there = store::by_name(writer, &bucket.name)?.filter(|there| there.workspace == bucket.workspace);
                Err(match there {
                    // In the oldest region of S3 whoever makes a bucket again has made it; clients rely on it.
                    Some(there) if there.created_by == by && there.lock_enabled == bucket.lock_enabled => {
                        let outcome = Outcome::done().resource(there.id.clone());
                        return Ok((there, outcome));
                    }
                    Some(there) if there.created_by == by => Code::BucketAlreadyOwnedByYou
                        .problem("you made a bucket of this name already, with another setting of its locks"),
                    _ => Code::BucketAlreadyExists
                        .problem("there is a bucket of this name already; names are shared by all workspaces"),
                })
            })
            .await
    }
}

/// Lists the buckets of the workspace that the caller named.
pub struct ListBuckets {
    /// The room.
    pub room: Buckets,
    /// Only those whose names begin so.
    pub prefix: String,
    /// Only those behind this name.
    pub after: String,
    /// How many.
    pub count: usize,
}

impl Operation for ListBuckets {
    const ACTION: Action = Action::read("buckets.search");
    /// One more than was asked for tells of more.
    type Output = Vec<Bucket>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Bucket>, Problem> {
        let (workspace, scope) = (permit.workspace()?.to_owned(), permit.scope().clone());
        let count = i64::try_from(self.count.saturating_add(1)).unwrap_or(i64::MAX);
        let (prefix, after) = (self.prefix, self.after);
        self.room.db.read(&permit, move |reader| store::list(reader, &workspace, &scope, (&prefix, &after), count)).await
    }
}

/// What is known of a bucket.
pub struct GetBucket {
    /// The room.
    pub room: Buckets,
    /// Its name.
    pub name: String,
}

impl Operation for GetBucket {
    const ACTION: Action = Action::read("buckets.get");
    type Output = Bucket;

    fn target(&self) -> Target {
        Target::Bucket(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Bucket, Problem> {
        let home = Buckets::home(&permit)?;
        self.room.db.read_point(&permit, move |reader| store::of(reader, &home)).await
    }
}

/// What of a bucket shall change.
pub enum BucketChange {
    /// Whether it keeps versions.
    Versioning(Versioning),
    /// Its tags.
    Tags(Tags),
}

/// Changes a bucket.
pub struct UpdateBucket {
    /// The room.
    pub room: Buckets,
    /// Its name.
    pub name: String,
    /// What shall change.
    pub change: BucketChange,
}

impl Operation for UpdateBucket {
    const ACTION: Action = Action::write("buckets.update");
    type Output = ();

    fn target(&self) -> Target {
        Target::Bucket(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (home, change) = (Buckets::home(&permit)?, self.change);
        self.room
            .db
            .write(&permit, move |writer| {
                let mut bucket = store::of(writer, &home)?;
                let outcome = Outcome::done().resource(bucket.id.clone());
                let outcome = match change {
                    BucketChange::Versioning(versioning) => {
                        if bucket.lock_enabled && versioning != Versioning::Enabled {
                            return Err(Code::InvalidBucketState.problem(
                                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
                            ));
                        }
                        bucket.versioning = versioning;
                        outcome.with("versioning", versioning.word())
                    }
                    BucketChange::Tags(tags) => {
                        bucket.tags = tags.check(BUCKET_TAG_COUNT_MAX)?;
                        outcome.with("tag_count", bucket.tags.0.len())
                    }
                };
                store::update(writer, &bucket)?;
                Ok(((), outcome))
            })
            .await
    }
}

/// Deletes an empty bucket. Uploads that were not completed go with it.
pub struct DeleteBucket {
    /// The room.
    pub room: Buckets,
    /// Its name.
    pub name: String,
}

impl Operation for DeleteBucket {
    const ACTION: Action = Action::write("buckets.delete");
    type Output = ();

    fn target(&self) -> Target {
        Target::Bucket(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let home = Buckets::home(&permit)?;
        let deleted = self.room.objects.commit(&self.room.db, &permit, Vec::new(), move |writer| {
            store::of(writer, &home)?;
            if store::holds_anything(writer, &home.id)? {
                return Err(Code::BucketNotEmpty
                    .problem("The bucket you tried to delete is not empty: it holds objects, versions or delete markers"));
            }
            let objects = uploads::delete_all(writer, &home.id)?;
            store::delete(writer, &home.id)?;
            Ok((((), objects), Outcome::done().resource(home.id)))
        });
        deleted.await
    }
}
