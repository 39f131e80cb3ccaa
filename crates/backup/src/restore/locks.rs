//! What is retained is held for as long as either side says: the restored database or the old one. Objects of buckets that were deleted
//! since go again, unless something in the backup holds them.

use std::collections::{HashMap, HashSet};

use kernel::Problem;
use vault::db::{Reader, Writer};

use super::held;
use super::logged::Logged;

/// What a version is called in a bucket that keeps none, or kept none when it was written.
const NULL_VERSION: &str = "null";
const COMPLIANCE: &str = "COMPLIANCE";
/// What a year of a default retention counts here: enough to compare two of them.
const YEAR_DAYS: i64 = 365;

/// What holds a version of an object: mode, until when, and whether a legal hold does.
pub(super) type Locked = (Option<String>, Option<i64>, bool);

/// A thing that is retained as a whole: id, kind, subject, name, workspace, rule; what holds it; since when.
type Kept = ([String; 6], Locked, i64);

/// What the old database says of what is retained, and of what lies in buckets.
#[derive(Clone, Debug, Default)]
pub(super) struct OldLocks {
    versions: HashMap<String, Locked>,
    /// Bucket and key of the versions called `null`: an overwrite makes a new row of the same key.
    plain: HashSet<(String, String)>,
    buckets: HashMap<String, Ruled>,
    kept: Vec<Kept>,
    kept_objects: Vec<(String, String)>,
    compliance_at: i64,
}

/// Whether versions of a bucket can be locked, and how long each new one is by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ruled {
    can_lock: bool,
    mode: Option<String>,
    days: Option<i64>,
    years: Option<i64>,
}

/// A version of an object, or a delete marker.
struct Version {
    id: String,
    place: (String, String),
    /// `null`, or its own.
    name: String,
    is_marker: bool,
    lock: Locked,
}

impl OldLocks {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        let versions = versions(reader)?;
        let is_there = |version: &&Version| version.name == NULL_VERSION && !version.is_marker;
        Ok(Self {
            plain: versions.iter().filter(is_there).map(|version| version.place.clone()).collect(),
            versions: versions.into_iter().map(|version| (version.id, version.lock)).collect(),
            buckets: buckets(reader)?.into_iter().collect(),
            kept: kept(reader)?,
            kept_objects: reader
                .query("SELECT object_id, retained_id FROM retained_object", &[], |row| Ok((row.text(0)?, row.text(1)?)))?,
            compliance_at: compliance_at(reader)?,
        })
    }

    /// Time as retention counts it does not go back, and nothing is held less than it was.
    pub(super) fn replay(&self, writer: &mut Writer<'_>) -> Result<(), Problem> {
        writer.execute("UPDATE compliance_clock SET at = $1 WHERE at < $1", &[self.compliance_at.into()])?;
        for (id, now) in buckets(writer)? {
            let Some(then) = self.buckets.get(&id).map(|old| now.stricter(old)).filter(|then| *then != now) else { continue };
            if then.can_lock {
                let_lock(writer, &id)?;
            }
            let sql = "UPDATE bucket SET default_mode = $1, default_days = $2, default_years = $3 WHERE id = $4";
            writer.execute(sql, &[(&then.mode).into(), then.days.into(), then.years.into(), (&id).into()])?;
        }
        self.retained(writer)
    }

    /// What rules retain is never held less than it was in the old folder; what they locked since the backup is locked too, where it is in it.
    fn retained(&self, writer: &mut Writer<'_>) -> Result<(), Problem> {
        let now = compliance_at(writer)?;
        let there: HashMap<String, Locked> =
            kept(writer)?.into_iter().map(|(texts, lock, _)| (subject_key(&texts), lock)).collect();
        for (texts, old, created_at) in &self.kept {
            let [_, kind, subject, ..] = texts;
            let Some(lock) = there.get(&subject_key(texts)) else {
                self.retain(writer, texts, old, *created_at)?;
                continue;
            };
            lock_kept(writer, (kind, subject), &stricter(lock, old, now))?;
        }
        Ok(())
    }

    fn retain(&self, writer: &mut Writer<'_>, texts: &[String; 6], lock: &Locked, created_at: i64) -> Result<(), Problem> {
        let [id, kind, subject, ..] = texts;
        let exists = match kind.as_str() {
            "dataset" => "SELECT 1 FROM data_version WHERE version_id = $1",
            "model" => "SELECT 1 FROM model_version WHERE model_id || '/' || version = $1",
            // A backup lies in its place, whatever the database knows of it.
            _ => "SELECT 1 WHERE $1 <> ''",
        };
        if writer.query_one(exists, &[subject.into()], |row| row.int(0))?.is_none() {
            return Ok(());
        }
        let objects = self.kept_objects.iter().filter(|(_, kept)| kept == id).map(|(object, _)| object.as_str());
        held::insert(writer, texts, lock, created_at, objects)
    }

    /// Locks of versions as they were, and versions that were deleted since go again, unless something in the backup holds them: then they
    /// stay until that is over. What was overwritten where no versions are kept is there as it was when the backup was made. Gives how many
    /// objects were erased.
    pub(super) fn objects(&self, writer: &mut Writer<'_>) -> Result<u64, Problem> {
        let (now, mut erased_count) = (compliance_at(writer)?, 0);
        for version in versions(writer)? {
            let Version { id, place, name, is_marker, lock } = version;
            if let Some(old) = self.versions.get(&id) {
                lock_version(writer, &id, &stricter(&lock, old, now))?;
                continue;
            }
            let is_held = lock.2 || lock.1.is_some_and(|until| until > now);
            let was_overwritten = name == NULL_VERSION && !is_marker && self.plain.contains(&place);
            if is_held || was_overwritten {
                continue;
            }
            writer.execute("DELETE FROM bucket_part WHERE version_row = $1", &[(&id).into()])?;
            let gone = writer.execute("DELETE FROM bucket_version WHERE id = $1", &[(&id).into()])?;
            erased_count += if is_marker { 0 } else { gone };
        }
        // Where the newest of a key went, the next one is it.
        let promote = "UPDATE bucket_version SET is_latest = 1
            WHERE rank = (SELECT min(v.rank) FROM bucket_version v
                          WHERE v.bucket_id = bucket_version.bucket_id AND v.object_key = bucket_version.object_key)
              AND NOT EXISTS (SELECT 1 FROM bucket_version v WHERE v.bucket_id = bucket_version.bucket_id
                              AND v.object_key = bucket_version.object_key AND v.is_latest = 1)";
        writer.execute(promote, &[])?;
        Ok(erased_count)
    }
}

impl Ruled {
    /// Of two rules for new versions the one that holds more; locks that can be set stay so.
    fn stricter(&self, other: &Self) -> Self {
        let holds_more = if other.strength() > self.strength() { other } else { self };
        Self { can_lock: self.can_lock || other.can_lock, ..holds_more.clone() }
    }

    fn strength(&self) -> (bool, bool, i64) {
        let years = self.years.unwrap_or(0).saturating_mul(YEAR_DAYS);
        (self.mode.as_deref() == Some(COMPLIANCE), self.mode.is_some(), self.days.unwrap_or(0).saturating_add(years))
    }
}

/// Holds in the restored database what the old log says is held, where it is in it.
pub(super) fn hold_as_told(writer: &mut Writer<'_>, logged: &Logged) -> Result<(), Problem> {
    let now = compliance_at(writer)?;
    for id in &logged.lockable {
        let_lock(writer, id)?;
    }
    for version in versions(writer)? {
        // What is called `null` is one of many.
        let Some(told) = logged.versions.get(&version.name).filter(|_| version.name != NULL_VERSION) else { continue };
        lock_version(writer, &version.id, &stricter(&version.lock, told, now))?;
    }
    for ([_, kind, subject, ..], lock, _) in kept(writer)? {
        let Some(told) = logged.kept.get(&(kind.clone(), subject.clone())) else { continue };
        lock_kept(writer, (&kind, &subject), &stricter(&lock, told, now))?;
    }
    held::hold_unretained(writer, logged, now)
}

fn lock_version(writer: &mut Writer<'_>, id: &str, (mode, until, hold): &Locked) -> Result<(), Problem> {
    let sql = "UPDATE bucket_version SET lock_mode = $1, retain_until = $2, legal_hold = $3 WHERE id = $4";
    writer.execute(sql, &[mode.into(), (*until).into(), (*hold).into(), id.into()])?;
    Ok(())
}

fn lock_kept(writer: &mut Writer<'_>, (kind, subject): (&str, &str), (mode, until, hold): &Locked) -> Result<(), Problem> {
    let sql = "UPDATE retained SET lock_mode = $1, retain_until = $2, legal_hold = $3 WHERE kind = $4 AND subject = $5";
    writer.execute(sql, &[mode.into(), (*until).into(), (*hold).into(), kind.into(), subject.into()])?;
    Ok(())
}

/// A bucket whose versions can be locked keeps them all.
fn let_lock(writer: &mut Writer<'_>, bucket: &str) -> Result<(), Problem> {
    writer.execute("UPDATE bucket SET lock_enabled = 1, versioning = 'enabled' WHERE id = $1", &[bucket.into()])?;
    Ok(())
}

/// What holds at least as much as either: compliance that is in force stays compliance, and the later date counts.
fn stricter(one: &Locked, other: &Locked, now: i64) -> Locked {
    let binds = |lock: &Locked| lock.0.as_deref() == Some(COMPLIANCE) && lock.1.is_some_and(|until| until > now);
    let later = if other.1 > one.1 { other } else { one };
    let mode = if binds(one) || binds(other) { Some(COMPLIANCE.to_owned()) } else { later.0.clone() };
    (mode, later.1, one.2 || other.2)
}

fn versions(reader: &mut Reader<'_>) -> Result<Vec<Version>, Problem> {
    let sql = "SELECT id, bucket_id, object_key, version_id, is_marker, lock_mode, retain_until, legal_hold FROM bucket_version";
    let found = reader.query(sql, &[], |row| {
        Ok(Version {
            id: row.text(0)?,
            place: (row.text(1)?, row.text(2)?),
            name: row.text(3)?,
            is_marker: row.flag(4)?,
            lock: (row.opt_text(5)?, row.opt_int(6)?, row.flag(7)?),
        })
    })?;
    Ok(found)
}

fn buckets(reader: &mut Reader<'_>) -> Result<Vec<(String, Ruled)>, Problem> {
    let sql = "SELECT id, lock_enabled, default_mode, default_days, default_years FROM bucket";
    let found = reader.query(sql, &[], |row| {
        let ruled = Ruled { can_lock: row.flag(1)?, mode: row.opt_text(2)?, days: row.opt_int(3)?, years: row.opt_int(4)? };
        Ok((row.text(0)?, ruled))
    })?;
    Ok(found)
}

fn kept(reader: &mut Reader<'_>) -> Result<Vec<Kept>, Problem> {
    let sql = "SELECT id, kind, subject, name, workspace, rule, lock_mode, retain_until, legal_hold, created_at FROM retained ORDER BY id";
    Ok(reader.query(sql, &[], |row| {
        let texts = [row.text(0)?, row.text(1)?, row.text(2)?, row.text(3)?, row.text(4)?, row.text(5)?];
        Ok((texts, (row.opt_text(6)?, row.opt_int(7)?, row.flag(8)?), row.int(9)?))
    })?)
}

fn compliance_at(reader: &mut Reader<'_>) -> Result<i64, Problem> {
    Ok(reader.query_one("SELECT COALESCE(max(at), 0) FROM compliance_clock", &[], |row| row.int(0))?.unwrap_or(0))
}

fn subject_key([_, kind, subject, ..]: &[String; 6]) -> String {
    format!("{kind} {subject}")
}

#[cfg(test)]
mod tests {
    use super::super::replay::{Old, replay};
    use super::super::testing::{pairs, texts};
    use super::*;
    use kernel::Micros;
    use vault::db::{Bind, Location};

    /// A version for a test: id, key, what it is called, whether it is a marker, and its lock.
    type Put<'a> = (&'a str, &'a str, &'a str, bool, Locked);

    /// A database with one bucket of these rules, and these versions in it.
    async fn fill(at: &Location, ruled: Ruled, versions: Vec<Put<'static>>) {
        let opened = vault::db::open(at).unwrap();
        let fill = move |writer: &mut Writer<'_>| {
            writer.execute("INSERT INTO compliance_clock (id, at, wall_at, ran, granted) VALUES (1, 10, 10, 0, 0)", &[])?;
            let bucket =
                "INSERT INTO bucket (id, name, workspace, versioning, lock_enabled, default_mode, default_days, default_years,
                              created_at, created_by)
                          VALUES ('b', 'bucket', 'w', $1, $2, $3, $4, $5, 0, 'x')";
            let versioning = if ruled.can_lock { "enabled" } else { "off" };
            let binds: [Bind<'_>; 5] =
                [versioning.into(), ruled.can_lock.into(), (&ruled.mode).into(), ruled.days.into(), ruled.years.into()];
            writer.execute(bucket, &binds)?;
            let mut seen = HashSet::new();
            for (rank, (id, key, version, is_marker, (mode, until, hold))) in versions.iter().enumerate() {
                let sql = "INSERT INTO bucket_version (id, bucket_id, object_key, rank, version_id, is_latest, is_marker, size_bytes, etag,
                               attributes, tags, part_count, lock_mode, retain_until, legal_hold, created_at, created_by)
                           VALUES ($1, 'b', $2, $3, $4, $5, $6, 0, '', '{}', '', 0, $7, $8, $9, 0, 'x')";
                let binds: [Bind<'_>; 9] = [
                    (*id).into(),
                    (*key).into(),
                    i64::try_from(rank).unwrap().into(),
                    (*version).into(),
                    seen.insert(*key).into(),
                    (*is_marker).into(),
                    mode.into(),
                    (*until).into(),
                    (*hold).into(),
                ];
                writer.execute(sql, &binds)?;
            }
            Ok(())
        };
        opened.system.write(fill).await.unwrap();
    }

    fn lock(mode: &str, until: i64) -> Locked {
        (Some(mode.to_owned()), Some(until), false)
    }

    fn free() -> Locked {
        (None, None, false)
    }

    /// Rows of retained versions of models: number, until when under compliance.
    async fn with_models(at: &Location, versions: &[i64], kept: &[(i64, i64)]) {
        let opened = vault::db::open(at).unwrap();
        let (versions, kept) = (versions.to_vec(), kept.to_vec());
        let fill = move |writer: &mut Writer<'_>| {
            for number in versions {
                let sql = "INSERT INTO model_version (model_id, version, source, storage_location, stage, status, owner, deleted, created_at,
                               updated_at) VALUES ('m', $1, '', '', 'None', 'READY', 'x', 0, 0, 0)";
                writer.execute(sql, &[number.into()])?;
            }
            for (number, until) in kept {
                let (id, subject) = (format!("k{number}"), format!("m/{number}"));
                let sql = "INSERT INTO retained (id, kind, subject, name, workspace, rule, lock_mode, retain_until, legal_hold, created_at)
                           VALUES ($1, 'model', $2, $2, 'w', 'r', 'COMPLIANCE', $3, 0, 0)";
                writer.execute(sql, &[(&id).into(), (&subject).into(), until.into()])?;
            }
            writer.execute("INSERT INTO object_seal (object_id, legal_hold, sealed_at) VALUES ('o', 0, 0)", &[])?;
            Ok(())
        };
        opened.system.write(fill).await.unwrap();
    }

    #[test]
    fn what_rules_retained_is_held_for_as_long_as_either_side_says() {
        for (engine, other, runtime) in pairs("replay_kept") {
            let (backup, old) = (&engine.location, &other.location);
            runtime.block_on(fill(backup, Ruled::default(), Vec::new()));
            runtime.block_on(fill(old, Ruled::default(), Vec::new()));
            // 1 is held longer by the old side, 2 by the restored one though it was deleted since, 3 was locked since, 4 went since.
            runtime.block_on(with_models(backup, &[1, 2, 3, 4], &[(1, 100), (2, 500)]));
            runtime.block_on(with_models(old, &[1, 3], &[(1, 200), (3, 300), (9, 900)]));
            replay(backup, &Old::read(old).unwrap(), Micros(20)).unwrap();
            let after = backup.read(|reader| {
                let kept = reader.query("SELECT subject, retain_until FROM retained ORDER BY subject", &[], |row| {
                    Ok((row.text(0)?, row.int(1)?))
                })?;
                let versions = reader.query("SELECT version FROM model_version ORDER BY version", &[], |row| row.int(0))?;
                let seals = reader.query_one("SELECT COUNT(*) FROM object_seal", &[], |row| row.int(0))?;
                Ok((kept, versions, seals))
            });
            let (kept, versions, seals) = after.unwrap();
            let expected = [("m/1", 200), ("m/2", 500), ("m/3", 300)].map(|(subject, until)| (subject.to_owned(), until));
            assert_eq!(kept, expected, "{}", engine.name);
            assert_eq!(versions, [1, 2, 3]);
            assert_eq!(seals, Some(0));
        }
    }

    #[test]
    fn what_was_locked_longer_stays_so_and_what_was_deleted_goes_unless_it_is_held() {
        for (engine, other, runtime) in pairs("replay") {
            let (backup, old) = (&engine.location, &other.location);
            let can_lock = || Ruled { can_lock: true, ..Ruled::default() };
            let put = |id, lock| (id, "k", id, false, lock);
            let held = (None, None, true);
            let versions = vec![
                put("deleted", free()),
                put("longer", lock("COMPLIANCE", 100)),
                put("held", held.clone()),
                put("kept", lock("COMPLIANCE", 500)),
            ];
            runtime.block_on(fill(backup, can_lock(), versions));
            let (mode, until, _) = lock("COMPLIANCE", 200);
            let later = vec![put("longer", (mode, until, true)), put("newer", lock("COMPLIANCE", 900))];
            runtime.block_on(fill(old, can_lock(), later));
            let done = replay(backup, &Old::read(old).unwrap(), Micros(20)).unwrap();
            assert_eq!(done.erased_count, 1, "{}", engine.name);
            let after = backup.read(OldLocks::read).unwrap().versions;
            let (mode, until, _) = lock("COMPLIANCE", 200);
            assert_eq!(after.get("deleted"), None);
            assert_eq!(after.get("longer"), Some(&(mode, until, true)));
            assert_eq!(after.get("held"), Some(&held));
            assert_eq!(after.get("kept"), Some(&lock("COMPLIANCE", 500)));
            assert_eq!(texts(backup, "SELECT id FROM bucket_version WHERE is_latest = 1"), ["longer"]);
        }
    }

    /// Where no versions are kept, a new row of the same key is an overwrite: what the backup has of the key stays.
    #[test]
    fn what_was_overwritten_since_comes_back_as_it_was_and_what_was_deleted_does_not() {
        for (engine, other, runtime) in pairs("replay_plain") {
            let (backup, old) = (&engine.location, &other.location);
            let plain = |id, key, is_marker| (id, key, NULL_VERSION, is_marker, free());
            let then = vec![
                plain("same", "same", false),
                plain("monday", "overwritten", false),
                plain("gone", "gone", false),
                plain("hidden", "hidden", false),
                plain("marked", "marked", true),
            ];
            runtime.block_on(fill(backup, Ruled::default(), then));
            let since = vec![
                plain("same", "same", false),
                plain("tuesday", "overwritten", false),
                plain("marker", "hidden", true),
                plain("new", "new", false),
            ];
            runtime.block_on(fill(old, Ruled::default(), since));
            let done = replay(backup, &Old::read(old).unwrap(), Micros(20)).unwrap();
            assert_eq!(done.erased_count, 2, "{}", engine.name);
            assert_eq!(texts(backup, "SELECT id FROM bucket_version ORDER BY id"), ["monday", "same"]);
        }
    }

    #[test]
    fn compliance_does_not_become_governance_and_rules_of_buckets_stay() {
        let years = |mode: &str, years| Ruled { mode: Some(mode.to_owned()), years: Some(years), ..Ruled::default() };
        for (engine, other, runtime) in pairs("replay_rules") {
            let (backup, old) = (&engine.location, &other.location);
            let put = |id, lock| (id, id, id, false, lock);
            let then = vec![put("same", lock("GOVERNANCE", 900)), put("shorter", lock("GOVERNANCE", 900)), put("over", free())];
            runtime.block_on(fill(backup, Ruled::default(), then));
            let since = vec![
                put("same", lock("COMPLIANCE", 900)),
                put("shorter", lock("COMPLIANCE", 50)),
                put("over", lock("COMPLIANCE", 5)),
            ];
            runtime.block_on(fill(old, Ruled { can_lock: true, ..years(COMPLIANCE, 10) }, since));
            replay(backup, &Old::read(old).unwrap(), Micros(20)).unwrap();
            let after = backup.read(OldLocks::read).unwrap();
            for id in ["same", "shorter"] {
                assert_eq!(after.versions.get(id), Some(&lock("COMPLIANCE", 900)), "{}: {id}", engine.name);
            }
            assert_eq!(after.buckets.get("b"), Some(&Ruled { can_lock: true, ..years(COMPLIANCE, 10) }));
            assert_eq!(texts(backup, "SELECT versioning FROM bucket"), ["enabled"]);
        }
        assert_eq!(years("GOVERNANCE", 1).stricter(&years(COMPLIANCE, 1)), years(COMPLIANCE, 1));
        let days = Ruled { days: Some(400), years: None, ..years(COMPLIANCE, 1) };
        assert_eq!(years(COMPLIANCE, 1).stricter(&days), days);
        assert_eq!(days.stricter(&Ruled::default()), days, "a rule that was taken away since");
    }
}
