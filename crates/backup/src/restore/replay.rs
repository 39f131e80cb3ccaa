//! What was taken back since a backup stays taken back in what is restored from it: tokens and grants that were revoked, people that
//! were disabled or deleted, keys and files that were erased. It is read from the old folder, as far as that can be read.

use std::collections::{HashMap, HashSet};

use kernel::{Kind, Micros, Problem};
use vault::db::{Bind, Location, Reader, Writer};
use vault::objects::ObjectId;

use super::mail::OldMail;

/// What hangs on a trace.
const TRACE_TABLES: [&str; 7] =
    ["trace_tag", "trace_metadata", "trace_metric", "trace_span", "trace_span_metric", "trace_assessment", "trace_prompt"];

/// What the old folder could tell.
#[derive(Clone, Debug, Default)]
pub struct Old {
    principals: HashSet<String>,
    disabled: HashSet<String>,
    tokens: HashSet<String>,
    devices: HashSet<String>,
    grants: HashSet<String>,
    members: HashSet<(String, String)>,
    passwords: Vec<(String, String, i64)>,
    keys: HashSet<(String, String, i64)>,
    subjects: HashSet<String>,
    artifacts: HashSet<(String, String, String)>,
    traces: HashSet<String>,
    models: HashSet<String>,
    versions: HashSet<(String, i64)>,
    batches: HashSet<String>,
    tombstones: Vec<(String, i64, String, Vec<u8>)>,
    locks: HashMap<String, Locked>,
    kept: Vec<Kept>,
    mail: OldMail,
    kept_objects: Vec<(String, String)>,
    compliance_at: i64,
}

/// What holds a version of an object: mode, until when, and whether a legal hold does.
type Locked = (Option<String>, Option<i64>, bool);

/// A thing that is retained as a whole: id, kind, subject, name, workspace, rule; what holds it; since when.
type Kept = ([String; 6], Locked, i64);

/// What was taken back again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Tokens that were revoked.
    pub token_count: u64,
    /// Devices that were revoked.
    pub device_count: u64,
    /// Grants that were revoked.
    pub grant_count: u64,
    /// People, services and groups that were deleted or disabled, members that were removed, passwords that were changed.
    pub account_count: u64,
    /// Keys that were destroyed, of workspaces and of subjects.
    pub key_count: u64,
    /// Files, traces, models and batches of predictions that were deleted for good.
    pub erased_count: u64,
}

impl Old {
    /// Reads the old database: what is alive in it.
    ///
    /// # Errors
    /// `Invalid` if it cannot be read.
    pub fn read(old: &Location) -> Result<Self, Problem> {
        old.read(|reader| {
            Ok(Self {
                principals: ids(reader, "SELECT id FROM principal")?,
                disabled: ids(reader, "SELECT id FROM principal WHERE disabled <> 0")?,
                tokens: ids(reader, "SELECT id FROM token WHERE revoked_at IS NULL")?,
                devices: ids(reader, "SELECT id FROM device WHERE revoked_at IS NULL")?,
                grants: ids(reader, "SELECT id FROM grant_row WHERE revoked_at IS NULL")?,
                members: pairs(reader, "SELECT group_id, member_id FROM membership")?,
                passwords: reader.query("SELECT principal_id, hash, changed_at FROM password", &[], |row| {
                    Ok((row.text(0)?, row.text(1)?, row.int(2)?))
                })?,
                keys: keys(reader)?,
                subjects: ids(reader, "SELECT subject_id FROM prediction_subject")?,
                artifacts: artifacts(reader)?,
                traces: ids(reader, "SELECT trace_id FROM trace")?,
                models: ids(reader, "SELECT model_id FROM registered_model")?,
                versions: versions(reader)?,
                batches: ids(reader, "SELECT batch_id FROM prediction_batch")?,
                tombstones: reader.query(
                    "SELECT workspace, destroyed_at, note, signature FROM vault_key_tombstone",
                    &[],
                    |row| Ok((row.text(0)?, row.int(1)?, row.text(2)?, row.bytes(3)?)),
                )?,
                locks: locks(reader)?.into_iter().collect(),
                kept: kept(reader)?,
                mail: OldMail::read(reader)?,
                kept_objects: kept_objects(reader)?,
                compliance_at: compliance_at(reader)?,
            })
        })
    }
}

fn ids(reader: &mut Reader<'_>, sql: &str) -> Result<HashSet<String>, Problem> {
    Ok(reader.query(sql, &[], |row| row.text(0))?.into_iter().collect())
}

fn pairs(reader: &mut Reader<'_>, sql: &str) -> Result<HashSet<(String, String)>, Problem> {
    Ok(reader.query(sql, &[], |row| Ok((row.text(0)?, row.text(1)?)))?.into_iter().collect())
}

fn keys(reader: &mut Reader<'_>) -> Result<HashSet<(String, String, i64)>, Problem> {
    let sql = "SELECT purpose, name, version FROM vault_key";
    Ok(reader.query(sql, &[], |row| Ok((row.text(0)?, row.text(1)?, row.int(2)?)))?.into_iter().collect())
}

fn locks(reader: &mut Reader<'_>) -> Result<Vec<(String, Locked)>, Problem> {
    let sql = "SELECT id, lock_mode, retain_until, legal_hold FROM bucket_version";
    Ok(reader.query(sql, &[], |row| Ok((row.text(0)?, (row.opt_text(1)?, row.opt_int(2)?, row.flag(3)?))))?)
}

fn kept(reader: &mut Reader<'_>) -> Result<Vec<Kept>, Problem> {
    let sql = "SELECT id, kind, subject, name, workspace, rule, lock_mode, retain_until, legal_hold, created_at FROM retained ORDER BY id";
    Ok(reader.query(sql, &[], |row| {
        let texts = [row.text(0)?, row.text(1)?, row.text(2)?, row.text(3)?, row.text(4)?, row.text(5)?];
        Ok((texts, (row.opt_text(6)?, row.opt_int(7)?, row.flag(8)?), row.int(9)?))
    })?)
}

fn kept_objects(reader: &mut Reader<'_>) -> Result<Vec<(String, String)>, Problem> {
    let sql = "SELECT object_id, retained_id FROM retained_object";
    Ok(reader.query(sql, &[], |row| Ok((row.text(0)?, row.text(1)?)))?)
}

fn compliance_at(reader: &mut Reader<'_>) -> Result<i64, Problem> {
    Ok(reader.query_one("SELECT COALESCE(max(at), 0) FROM compliance_clock", &[], |row| row.int(0))?.unwrap_or(0))
}

fn artifacts(reader: &mut Reader<'_>) -> Result<HashSet<(String, String, String)>, Problem> {
    let sql = "SELECT owner_kind, owner_id, path FROM artifact";
    Ok(reader.query(sql, &[], |row| Ok((row.text(0)?, row.text(1)?, row.text(2)?)))?.into_iter().collect())
}

fn versions(reader: &mut Reader<'_>) -> Result<HashSet<(String, i64)>, Problem> {
    let sql = "SELECT model_id, version FROM model_version";
    Ok(reader.query(sql, &[], |row| Ok((row.text(0)?, row.int(1)?)))?.into_iter().collect())
}

/// Takes back in the restored database what is not alive in the old one any more. One transaction: all of it or nothing.
///
/// # Errors
/// `Invalid` if the restored database cannot be changed.
pub fn replay(into: &Location, old: &Old, at: Micros) -> Result<Replayed, Problem> {
    into.change(|writer| {
        let mut done = Replayed::default();
        tokens_and_grants(writer, old, at, &mut done)?;
        accounts(writer, old, &mut done)?;
        old.mail.replay(writer)?;
        time_goes_on(writer, old)?;
        retained(writer, old)?;
        erasures(writer, old, &mut done)?;
        objects(writer, old, &mut done)?;
        end_sessions(writer)?;
        Ok(done)
    })
}

fn tokens_and_grants(writer: &mut Writer<'_>, old: &Old, at: Micros, done: &mut Replayed) -> Result<(), Problem> {
    for id in ids(writer, "SELECT id FROM token WHERE revoked_at IS NULL")?.difference(&old.tokens) {
        done.token_count +=
            writer.execute("UPDATE token SET revoked_at = $1 WHERE id = $2", &[at.0.into(), id.as_str().into()])?;
    }
    for id in ids(writer, "SELECT id FROM device WHERE revoked_at IS NULL")?.difference(&old.devices) {
        let sql = "UPDATE device SET revoked_at = $1, revoked_by = 'restore' WHERE id = $2";
        done.device_count += writer.execute(sql, &[at.0.into(), id.as_str().into()])?;
    }
    let gone: Vec<_> =
        ids(writer, "SELECT id FROM grant_row WHERE revoked_at IS NULL")?.difference(&old.grants).cloned().collect();
    for id in gone {
        writer.execute("UPDATE policy_generation SET generation = generation + 1 WHERE id = 0", &[])?;
        done.grant_count += writer.execute(
            "UPDATE grant_row SET revoked_at = $1, revoked_by = 'restore',
             changed_generation = (SELECT generation FROM policy_generation WHERE id = 0) WHERE id = $2",
            &[at.0.into(), id.as_str().into()],
        )?;
    }
    Ok(())
}

fn accounts(writer: &mut Writer<'_>, old: &Old, done: &mut Replayed) -> Result<(), Problem> {
    for (group, member) in pairs(writer, "SELECT group_id, member_id FROM membership")?.difference(&old.members) {
        let sql = "DELETE FROM membership WHERE group_id = $1 AND member_id = $2";
        done.account_count += writer.execute(sql, &[group.as_str().into(), member.as_str().into()])?;
    }
    for (id, hash, changed_at) in &old.passwords {
        let sql = "UPDATE password SET hash = $1, changed_at = $2 WHERE principal_id = $3 AND changed_at < $2";
        done.account_count += writer.execute(sql, &[hash.as_str().into(), (*changed_at).into(), id.as_str().into()])?;
    }
    for id in &old.disabled {
        let sql = "UPDATE principal SET disabled = 1, epoch = epoch + 1 WHERE id = $1 AND disabled = 0";
        done.account_count += writer.execute(sql, &[id.as_str().into()])?;
    }
    for id in ids(writer, "SELECT id FROM principal")?.difference(&old.principals) {
        done.account_count += writer.execute("DELETE FROM principal WHERE id = $1", &[id.as_str().into()])?;
    }
    Ok(())
}

/// Time as retention counts it does not go back.
fn time_goes_on(writer: &mut Writer<'_>, old: &Old) -> Result<(), Problem> {
    writer.execute("UPDATE compliance_clock SET at = $1 WHERE at < $1", &[old.compliance_at.into()])?;
    Ok(())
}

/// The mode and date of either side that hold more.
fn stricter<'a>(
    restored: (&'a Option<String>, &'a Option<i64>),
    old: (&'a Option<String>, &'a Option<i64>),
) -> (&'a Option<String>, &'a Option<i64>) {
    let is_weaker = restored.0.as_deref() == Some("COMPLIANCE") && old.0.as_deref() != Some("COMPLIANCE");
    if old.1 > restored.1 && !is_weaker { old } else { restored }
}

/// What rules retain is never held less than it was in the old folder; what they locked since the backup is locked too, where it is in it.
fn retained(writer: &mut Writer<'_>, old: &Old) -> Result<(), Problem> {
    let there: HashMap<String, Locked> = kept(writer)?.into_iter().map(|(texts, lock, _)| (subject_key(&texts), lock)).collect();
    for (texts, (old_mode, old_until, old_hold), created_at) in &old.kept {
        let [id, kind, subject, name, workspace, rule] = texts;
        if let Some((mode, until, hold)) = there.get(&subject_key(texts)) {
            let (mode, until) = stricter((mode, until), (old_mode, old_until));
            let sql = "UPDATE retained SET lock_mode = $1, retain_until = $2, legal_hold = $3 WHERE kind = $4 AND subject = $5";
            let binds = [mode.into(), (*until).into(), (*hold || *old_hold).into(), kind.into(), subject.into()];
            writer.execute(sql, &binds)?;
            continue;
        }
        let exists = match kind.as_str() {
            "dataset" => "SELECT 1 FROM data_version WHERE version_id = $1",
            "model" => "SELECT 1 FROM model_version WHERE model_id || '/' || version = $1",
            // A backup lies in its place, whatever the database knows of it.
            _ => "SELECT 1 WHERE $1 <> ''",
        };
        if writer.query_one(exists, &[subject.into()], |row| row.int(0))?.is_none() {
            continue;
        }
        let sql =
            "INSERT INTO retained (id, kind, subject, name, workspace, rule, lock_mode, retain_until, legal_hold, created_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let binds: [Bind<'_>; 10] = [
            id.into(),
            kind.into(),
            subject.into(),
            name.into(),
            workspace.into(),
            rule.into(),
            old_mode.into(),
            (*old_until).into(),
            (*old_hold).into(),
            (*created_at).into(),
        ];
        writer.execute(sql, &binds)?;
        for (object, _) in old.kept_objects.iter().filter(|(_, kept)| kept == id) {
            writer
                .execute("INSERT INTO retained_object (object_id, retained_id) VALUES ($1, $2)", &[object.into(), id.into()])?;
        }
    }
    Ok(())
}

fn subject_key([_, kind, subject, ..]: &[String; 6]) -> String {
    format!("{kind} {subject}")
}

/// Whether something that was deleted since is held in what is restored: then it stays until that is over.
fn is_held(asked: Result<(), Problem>) -> Result<bool, Problem> {
    match asked {
        Ok(()) => Ok(false),
        Err(problem) if problem.kind() == Kind::Forbidden => Ok(true),
        Err(problem) => Err(problem),
    }
}

/// What holds a version of an object is never less than it was in the old folder, and time as retention counts it does not go back. A version
/// that was deleted since goes again, unless something in the backup holds it: then it stays until that is over.
fn objects(writer: &mut Writer<'_>, old: &Old, done: &mut Replayed) -> Result<(), Problem> {
    let now = compliance_at(writer)?;
    for (id, (mode, until, hold)) in locks(writer)? {
        let Some((old_mode, old_until, old_hold)) = old.locks.get(&id) else {
            if hold || until.is_some_and(|until| until > now) {
                continue;
            }
            writer.execute("DELETE FROM bucket_part WHERE version_row = $1", &[(&id).into()])?;
            done.erased_count += writer.execute("DELETE FROM bucket_version WHERE id = $1", &[(&id).into()])?;
            continue;
        };
        let (mode, until) = stricter((&mode, &until), (old_mode, old_until));
        let sql = "UPDATE bucket_version SET lock_mode = $1, retain_until = $2, legal_hold = $3 WHERE id = $4";
        writer.execute(sql, &[mode.into(), (*until).into(), (hold || *old_hold).into(), (&id).into()])?;
    }
    // Where the newest of a key went, the next one is it.
    let promote = "UPDATE bucket_version SET is_latest = 1
        WHERE rank = (SELECT min(v.rank) FROM bucket_version v
                      WHERE v.bucket_id = bucket_version.bucket_id AND v.object_key = bucket_version.object_key)
          AND NOT EXISTS (SELECT 1 FROM bucket_version v WHERE v.bucket_id = bucket_version.bucket_id
                          AND v.object_key = bucket_version.object_key AND v.is_latest = 1)";
    writer.execute(promote, &[])?;
    Ok(())
}

fn erasures(writer: &mut Writer<'_>, old: &Old, done: &mut Replayed) -> Result<(), Problem> {
    // What is left of a destroyed key says so in the restored database too.
    for (workspace, destroyed_at, note, signature) in &old.tombstones {
        let sql = "INSERT INTO vault_key_tombstone (workspace, destroyed_at, note, signature) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        writer.execute(sql, &[workspace.into(), (*destroyed_at).into(), note.into(), signature.into()])?;
    }
    for (purpose, name, version) in keys(writer)?.difference(&old.keys) {
        let sql = "DELETE FROM vault_key WHERE purpose = $1 AND name = $2 AND version = $3";
        done.key_count += writer.execute(sql, &[purpose.as_str().into(), name.as_str().into(), (*version).into()])?;
    }
    for id in ids(writer, "SELECT subject_id FROM prediction_subject")?.difference(&old.subjects) {
        done.key_count += writer.execute("DELETE FROM prediction_subject WHERE subject_id = $1", &[id.as_str().into()])?;
    }
    for (kind, owner, path) in artifacts(writer)?.difference(&old.artifacts) {
        let binds: [Bind<'_>; 3] = [kind.as_str().into(), owner.as_str().into(), path.as_str().into()];
        let which = "owner_kind = $1 AND owner_id = $2 AND path = $3";
        let sql = format!("SELECT object_id FROM artifact_part WHERE artifact_id IN (SELECT id FROM artifact WHERE {which})");
        let objects = writer.query(&sql, &binds, |row| row.text(0))?;
        let objects = objects.iter().map(|id| ObjectId::parse(id)).collect::<Result<Vec<_>, _>>()?;
        if is_held(retention::guard_objects(writer, &objects))? {
            continue;
        }
        let parts = format!("DELETE FROM artifact_part WHERE artifact_id IN (SELECT id FROM artifact WHERE {which})");
        writer.execute(&parts, &binds)?;
        done.erased_count += writer.execute(&format!("DELETE FROM artifact WHERE {which}"), &binds)?;
    }
    for id in ids(writer, "SELECT trace_id FROM trace")?.difference(&old.traces) {
        let bind: [Bind<'_>; 1] = [id.as_str().into()];
        for table in TRACE_TABLES {
            let sql = format!("DELETE FROM {table} WHERE trace_row = (SELECT trace_row FROM trace WHERE trace_id = $1)");
            writer.execute(&sql, &bind)?;
        }
        writer.execute("DELETE FROM trace_run WHERE trace_id = $1", &bind)?;
        done.erased_count += writer.execute("DELETE FROM trace WHERE trace_id = $1", &bind)?;
    }
    for (model, version) in versions(writer)?.difference(&old.versions) {
        if is_held(retention::guard(writer, retention::Kind::Model, &format!("{model}/{version}")))? {
            continue;
        }
        let binds: [Bind<'_>; 2] = [model.as_str().into(), (*version).into()];
        for table in ["registered_model_alias", "model_version_tag"] {
            writer.execute(&format!("DELETE FROM {table} WHERE model_id = $1 AND version = $2"), &binds)?;
        }
        done.erased_count += writer.execute("DELETE FROM model_version WHERE model_id = $1 AND version = $2", &binds)?;
    }
    for id in ids(writer, "SELECT model_id FROM registered_model")?.difference(&old.models) {
        // One of its versions is held.
        let sql = "SELECT 1 FROM model_version WHERE model_id = $1 LIMIT 1";
        if writer.query_one(sql, &[id.as_str().into()], |row| row.int(0))?.is_some() {
            continue;
        }
        for table in ["registered_model_tag", "registered_model_alias", "registered_model"] {
            writer.execute(&format!("DELETE FROM {table} WHERE model_id = $1"), &[id.as_str().into()])?;
        }
        done.erased_count += 1;
    }
    for id in ids(writer, "SELECT batch_id FROM prediction_batch")?.difference(&old.batches) {
        done.erased_count += writer.execute("DELETE FROM prediction_batch WHERE batch_id = $1", &[id.as_str().into()])?;
    }
    Ok(())
}

/// Everybody logs in again: which sessions were ended since is known for none. What was sealed are the files of the old folder: those of
/// the new one are sealed by the server that starts on it.
pub(super) fn end_sessions(writer: &mut Writer<'_>) -> Result<(), Problem> {
    writer.execute("DELETE FROM object_seal", &[])?;
    writer.execute("DELETE FROM session", &[])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database with these versions of one key in one bucket: id, until when it is retained in compliance mode, and whether it is held.
    async fn fill(at: &Location, versions: &[(&'static str, Option<i64>, bool)]) {
        let opened = vault::db::open(at).unwrap();
        let versions = versions.to_vec();
        let fill = move |writer: &mut Writer<'_>| {
            writer.execute("INSERT INTO compliance_clock (id, at, wall_at, ran, granted) VALUES (1, 10, 10, 0, 0)", &[])?;
            let bucket = "INSERT INTO bucket (id, name, workspace, versioning, lock_enabled, created_at, created_by)
                          VALUES ('b', 'bucket', 'w', 'enabled', 1, 0, 'x')";
            writer.execute(bucket, &[])?;
            for (rank, (id, until, hold)) in versions.iter().enumerate() {
                let sql = "INSERT INTO bucket_version (id, bucket_id, object_key, rank, version_id, is_latest, is_marker, size_bytes, etag,
                               attributes, tags, part_count, lock_mode, retain_until, legal_hold, created_at, created_by)
                           VALUES ($1, 'b', 'k', $2, $1, $3, 0, 0, '', '{}', '', 0, $4, $5, $6, 0, 'x')";
                let mode = until.map(|_| "COMPLIANCE");
                let rank = i64::try_from(rank).unwrap();
                writer.execute(
                    sql,
                    &[(*id).into(), rank.into(), (rank == 0).into(), mode.into(), (*until).into(), (*hold).into()],
                )?;
            }
            Ok(())
        };
        opened.system.write(fill).await.unwrap();
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
        let others = testkit::Engine::all("replay_kept");
        for (engine, other) in testkit::Engine::all("replay_kept").into_iter().zip(others) {
            let (backup, old) = (&engine.location, &other.location);
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(fill(backup, &[]));
            runtime.block_on(fill(old, &[]));
            // 1 is held longer by the old side, 2 by the restored one though it was deleted since, 3 was locked since, 4 went since.
            runtime.block_on(with_models(backup, &[1, 2, 3, 4], &[(1, 100), (2, 500)]));
            runtime.block_on(with_models(old, &[1, 3], &[(1, 200), (3, 300), (9, 900)]));
            let known = Old::read(old).unwrap();
            replay(backup, &known, Micros(20)).unwrap();
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
        let others = testkit::Engine::all("replay");
        for (engine, other) in testkit::Engine::all("replay").into_iter().zip(others) {
            let (backup, old) = (&engine.location, &other.location);
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let versions =
                [("deleted", None, false), ("longer", Some(100), false), ("held", None, true), ("kept", Some(500), false)];
            runtime.block_on(fill(backup, &versions));
            runtime.block_on(fill(old, &[("longer", Some(200), true), ("newer", Some(900), false)]));
            let known = Old::read(old).unwrap();
            let done = replay(backup, &known, Micros(20)).unwrap();
            assert_eq!(done.erased_count, 1, "{}", engine.name);
            let after = Old::read(backup).unwrap();
            let compliance = |until| (Some("COMPLIANCE".to_owned()), Some(until));
            let lock = |id: &str| after.locks.get(id).cloned();
            assert_eq!(lock("deleted"), None);
            assert_eq!(lock("longer").map(|(mode, until, hold)| ((mode, until), hold)), Some((compliance(200), true)));
            assert_eq!(lock("held"), Some((None, None, true)));
            assert_eq!(lock("kept").map(|(mode, until, _)| (mode, until)), Some(compliance(500)));
            let latest = backup
                .read(|reader| Ok(reader.query("SELECT id FROM bucket_version WHERE is_latest = 1", &[], |row| row.text(0))?));
            assert_eq!(latest.unwrap(), ["longer"]);
        }
    }
}
