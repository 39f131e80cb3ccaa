//! `buckets.remove`: objects are hidden behind a marker, versions are deleted for good.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem};
use vault::db::Writer;
use vault::objects::ObjectId;

use super::lock::{BypassLeave, MayBypass};
use super::read::names_etag;
use super::write::{New, add};
use crate::lock::Lock;
use crate::store::{buckets, versions};
use crate::types::{Attributes, Bucket, NULL_VERSION, Tags, Version, Versioning};
use crate::{Buckets, Bypassed, Code, ComplianceClock, check_key};

/// Keys of one call: what became of each of them fits into its record.
pub const REMOVE_COUNT_MAX: usize = 500;

/// What shall go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// The object's key.
    pub key: String,
    /// The version; none for a marker before the newest.
    pub version_id: Option<String>,
    /// Only if the entity tag is this one.
    pub if_match: Option<String>,
    /// Only if it was written then.
    pub if_modified_at: Option<Micros>,
    /// Only if it has this size.
    pub if_size: Option<u64>,
}

/// Removes objects of a bucket, each by itself: one that may not go does not keep the others.
pub struct RemoveObjects {
    /// The room.
    pub room: Buckets,
    /// The bucket.
    pub bucket: String,
    /// What shall go.
    pub removals: Vec<Removal>,
    /// Leave to delete what is under governance ([`super::lock::MayBypass`]).
    pub bypass: Option<BypassLeave>,
}

/// What became of one.
#[derive(Debug)]
pub struct Removed {
    /// The object's key.
    pub key: String,
    /// The version that was asked for.
    pub asked_version: Option<String>,
    /// The marker that was written, or that was deleted; none for neither.
    pub marker: Option<String>,
    /// Why it did not go.
    pub problem: Option<Problem>,
    /// What of it is in the log: the version that went, or `+` and the marker that was written; none where nothing was there.
    went: Option<String>,
}

impl Operation for RemoveObjects {
    const ACTION: Action = Action::write("buckets.remove");
    type Output = Vec<Removed>;

    fn target(&self) -> Target {
        Target::Bucket(self.bucket.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Removed>, Problem> {
        let home = Buckets::home(&permit)?;
        if self.removals.len() > REMOVE_COUNT_MAX {
            return Err(Code::MalformedXML.problem(format!("at most {REMOVE_COUNT_MAX} objects are deleted by one request")));
        }
        let leave = self.bypass.filter(|leave| leave.is_for(&home.id));
        let (bypass, reason) = (leave.is_some(), leave.map(|leave| leave.reason().to_owned()).unwrap_or_default());
        let (room, removals) = (self.room, self.removals);
        let hashes = room.key_hashes(&home.id, removals.iter().map(|one| one.key.as_str())).await?;
        let (at, by, clock) = (permit.entry().at, permit.caller().id.clone(), room.clock.clone());
        let telling = room.clone();
        let removed = room.objects.commit(&room.db, &permit, Vec::new(), move |writer| {
            let bucket = buckets::of(writer, &home)?;
            let mut act = Act { bucket: &bucket, clock: &clock, bypass, at, by: &by, old: Vec::new(), bypassed_count: 0 };
            let mut all = Vec::with_capacity(removals.len());
            for removal in removals {
                all.push(act.one(writer, removal)?);
            }
            let (old, bypassed_count) = (act.old, act.bypassed_count);
            if bypassed_count > 0 {
                let what = format!("{bypassed_count} versions in bucket `{}`", bucket.name);
                let (workspace, subject, verb) = (home.workspace, bucket.name, MayBypass::ACTION.name);
                let bypassed = Bypassed { workspace, what, subject, verb, by, reason, at };
                telling.tell(writer, &bypassed)?;
            }
            let outcome = told(&all, &hashes);
            let outcome = if bypassed_count > 0 { outcome.with("bypassed_count", bypassed_count) } else { outcome };
            Ok(((all, old), outcome))
        });
        removed.await
    }
}

/// What the log learns: of each one that went, the hash of its key and its version. A marker that was written is `+` and its version.
fn told(all: &[Removed], hashes: &[String]) -> Outcome {
    let refused = all.iter().filter(|one| one.problem.is_some()).count();
    let outcome = Outcome::done().with("deleted_count", all.len().saturating_sub(refused)).with("refused_count", refused);
    if let ([one], [key_hash]) = (all, hashes) {
        let version_id = one.asked_version.as_ref().or(one.marker.as_ref()).cloned().unwrap_or_default();
        return outcome.with("key_hash", key_hash.as_str()).with("version_id", version_id);
    }
    let gone = all.iter().zip(hashes).filter_map(|(one, key_hash)| Some(format!("{key_hash}/{}", one.went.as_ref()?)));
    outcome.with("removed", gone.collect::<Vec<_>>())
}

struct Act<'a> {
    bucket: &'a Bucket,
    clock: &'a ComplianceClock,
    bypass: bool,
    at: Micros,
    by: &'a str,
    old: Vec<ObjectId>,
    bypassed_count: usize,
}

/// What went of one.
#[derive(Default)]
struct Went {
    /// The marker that was written, or that was deleted.
    marker: Option<String>,
    version: Option<String>,
}

impl Act<'_> {
    /// A refusal is the answer for this one; what the database cannot do ends all.
    fn one(&mut self, writer: &mut Writer<'_>, removal: Removal) -> Result<Removed, Problem> {
        let mut removed = Removed {
            key: removal.key.clone(),
            asked_version: removal.version_id.clone(),
            marker: None,
            problem: None,
            went: None,
        };
        match self.remove(writer, &removal) {
            Ok(Went { marker, version }) => (removed.marker, removed.went) = (marker, version),
            Err(problem) if matches!(problem.kind(), Kind::Unavailable | Kind::Internal) => return Err(problem),
            Err(problem) => removed.problem = Some(problem),
        }
        Ok(removed)
    }

    fn remove(&mut self, writer: &mut Writer<'_>, removal: &Removal) -> Result<Went, Problem> {
        check_key(&removal.key)?;
        let id = &self.bucket.id;
        if let Some(version_id) = &removal.version_id {
            let there = versions::get(writer, id, &removal.key, version_id)?;
            check_conditions(removal, there.as_ref())?;
            // What is not there is gone already.
            return there.map_or(Ok(Went::default()), |there| self.delete(writer, &there));
        }
        let latest = versions::latest(writer, id, &removal.key)?;
        check_conditions(removal, latest.as_ref())?;
        if latest.is_none() && (removal.if_match.is_some() || removal.if_modified_at.is_some() || removal.if_size.is_some()) {
            // Nothing was as it should have been, so nothing is hidden.
            return Ok(Went::default());
        }
        if self.bucket.versioning == Versioning::Off {
            return match versions::get(writer, id, &removal.key, NULL_VERSION)? {
                Some(there) => self.delete(writer, &there).map(|went| Went { marker: None, ..went }),
                None => Ok(Went::default()),
            };
        }
        let new = New {
            key: removal.key.clone(),
            size_bytes: 0,
            etag: String::new(),
            attributes: Attributes::default(),
            tags: Tags::default(),
            part_count: 0,
            lock: Lock::default(),
            at: self.at,
            by: self.by.to_owned(),
            is_marker: true,
        };
        let (written, old) = add(writer, self.clock, self.bucket, latest.as_ref(), new, None, &[])?;
        self.old.extend(old);
        let marker = written.version.version_id;
        Ok(Went { version: Some(format!("+{marker}")), marker: Some(marker) })
    }

    /// Deletes a version for good, if nothing holds it.
    fn delete(&mut self, writer: &mut Writer<'_>, there: &Version) -> Result<Went, Problem> {
        if there.lock.hold || there.lock.retention.is_some() {
            let now = self.clock.tick(writer)?.at;
            there.lock.may_delete(now, self.bypass)?;
            if there.lock.in_force(now).is_some() {
                self.bypassed_count += 1;
            }
        }
        versions::guard(writer, &there.row)?;
        self.old.extend(versions::delete(writer, &there.row)?);
        if there.is_latest {
            versions::promote(writer, &self.bucket.id, &there.key)?;
        }
        let marker = there.is_marker.then(|| there.version_id.clone());
        Ok(Went { marker, version: Some(there.version_id.clone()) })
    }
}

fn check_conditions(removal: &Removal, there: Option<&Version>) -> Result<(), Problem> {
    // What is not there is gone already, whatever it should have been. A marker is there, and no bytes match it.
    let Some(there) = there else { return Ok(()) };
    let holds = removal.if_match.as_ref().is_none_or(|tags| names_etag(tags, &there.etag))
        && removal.if_modified_at.is_none_or(|at| at.as_secs() == there.created_at.as_secs())
        && removal.if_size.is_none_or(|size| size == there.size_bytes);
    if holds {
        Ok(())
    } else {
        Err(Code::PreconditionFailed.problem("At least one of the pre-conditions you specified did not hold"))
    }
}
