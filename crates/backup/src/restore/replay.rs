//! What was taken back since a backup stays taken back in what is restored from it: tokens and grants that were revoked, people that
//! were disabled or deleted, keys and files that were erased. It is read from the old folder, as far as that can be read.

use std::collections::HashSet;

use kernel::{Kind, Micros, Problem};
use vault::db::{Bind, Location, Reader, Writer};
use vault::objects::ObjectId;

use super::factors::OldFactors;
use super::locks::OldLocks;
use super::mail::OldMail;
use super::settled::OldSettled;

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
    /// Versions of models that were deleted: their rows are there still, and say nothing.
    withdrawn: HashSet<(String, i64)>,
    batches: HashSet<String>,
    tombstones: Vec<(String, i64, String, Vec<u8>)>,
    locks: OldLocks,
    mail: OldMail,
    factors: OldFactors,
    settled: OldSettled,
}

/// What was taken back again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Tokens that were revoked.
    pub token_count: u64,
    /// Devices that were revoked.
    pub device_count: u64,
    /// Grants that were revoked.
    pub grant_count: u64,
    /// People, services and groups that were deleted or disabled, members that were removed, passwords that were changed, second factors and
    /// links with providers that were taken away.
    pub account_count: u64,
    /// Keys that were destroyed, of workspaces and of subjects.
    pub key_count: u64,
    /// Files, objects of buckets, traces, models and batches of predictions that were deleted for good.
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
                versions: versions(reader, "")?,
                withdrawn: versions(reader, "WHERE deleted = 1")?,
                batches: ids(reader, "SELECT batch_id FROM prediction_batch")?,
                tombstones: reader.query(
                    "SELECT workspace, destroyed_at, note, signature FROM vault_key_tombstone",
                    &[],
                    |row| Ok((row.text(0)?, row.int(1)?, row.text(2)?, row.bytes(3)?)),
                )?,
                locks: OldLocks::read(reader)?,
                mail: OldMail::read(reader)?,
                factors: OldFactors::read(reader)?,
                settled: OldSettled::read(reader)?,
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

fn artifacts(reader: &mut Reader<'_>) -> Result<HashSet<(String, String, String)>, Problem> {
    let sql = "SELECT owner_kind, owner_id, path FROM artifact";
    Ok(reader.query(sql, &[], |row| Ok((row.text(0)?, row.text(1)?, row.text(2)?)))?.into_iter().collect())
}

fn versions(reader: &mut Reader<'_>, which: &str) -> Result<HashSet<(String, i64)>, Problem> {
    let sql = format!("SELECT model_id, version FROM model_version {which}");
    Ok(reader.query(&sql, &[], |row| Ok((row.text(0)?, row.int(1)?)))?.into_iter().collect())
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
        done.account_count += old.factors.replay(writer)?;
        old.settled.replay(writer)?;
        old.mail.replay(writer)?;
        old.locks.replay(writer)?;
        erasures(writer, old, &mut done)?;
        done.erased_count += old.locks.objects(writer)?;
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

/// Whether something that was deleted since is held in what is restored: then it stays until that is over.
fn is_held(asked: Result<(), Problem>) -> Result<bool, Problem> {
    match asked {
        Ok(()) => Ok(false),
        Err(problem) if problem.kind() == Kind::Forbidden => Ok(true),
        Err(problem) => Err(problem),
    }
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
    for (model, version) in versions(writer, "")?.difference(&old.versions) {
        if is_held(retention::guard(writer, retention::Kind::Model, &format!("{model}/{version}")))? {
            continue;
        }
        let binds: [Bind<'_>; 2] = [model.as_str().into(), (*version).into()];
        for table in ["registered_model_alias", "model_version_tag"] {
            writer.execute(&format!("DELETE FROM {table} WHERE model_id = $1 AND version = $2"), &binds)?;
        }
        done.erased_count += writer.execute("DELETE FROM model_version WHERE model_id = $1 AND version = $2", &binds)?;
    }
    for (model, version) in versions(writer, "WHERE deleted = 0")?.intersection(&old.withdrawn) {
        if !is_held(retention::guard(writer, retention::Kind::Model, &format!("{model}/{version}")))? {
            withdraw(writer, model, *version)?;
            done.erased_count += 1;
        }
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

/// A version's row stays, so that its number is not given again; what it said goes.
fn withdraw(writer: &mut Writer<'_>, model: &str, version: i64) -> Result<(), Problem> {
    let binds: [Bind<'_>; 2] = [model.into(), version.into()];
    for table in ["registered_model_alias", "model_version_tag"] {
        writer.execute(&format!("DELETE FROM {table} WHERE model_id = $1 AND version = $2"), &binds)?;
    }
    let sql = "UPDATE model_version SET deleted = 1, stage = 'None', source = 'REDACTED-SOURCE-PATH',
                   storage_location = 'REDACTED-SOURCE-PATH', run_id = 'REDACTED-RUN-ID', run_link = 'REDACTED-RUN-LINK',
                   logged_model_id = NULL, status_message = NULL, description = NULL, user_name = NULL
               WHERE model_id = $1 AND version = $2";
    writer.execute(sql, &binds)?;
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
    use super::super::testing::{pairs, texts};
    use super::*;

    #[test]
    fn a_version_of_a_model_that_was_deleted_since_does_not_come_back() {
        for (engine, other, runtime) in pairs("replay_withdrawn") {
            let (backup, old) = (&engine.location, &other.location);
            for (at, deleted) in [(backup, 0_i64), (old, 1)] {
                let fill = move |writer: &mut Writer<'_>| {
                    for (version, alias, deleted) in [(1_i64, "first", deleted), (2, "second", 0)] {
                        let sql = "INSERT INTO model_version (model_id, version, source, storage_location, stage, status, description, owner,
                                       deleted, created_at, updated_at)
                                   VALUES ('m', $1, 'here', 'here', 'Production', 'READY', 'words', 'x', $2, 0, 0)";
                        writer.execute(sql, &[version.into(), deleted.into()])?;
                        let sql = "INSERT INTO registered_model_alias (model_id, alias, version) VALUES ('m', $1, $2)";
                        writer.execute(sql, &[alias.into(), version.into()])?;
                    }
                    Ok(())
                };
                runtime.block_on(async { vault::db::open(at).unwrap().system.write(fill).await.unwrap() });
            }
            let done = replay(backup, &Old::read(old).unwrap(), Micros(20)).unwrap();
            assert_eq!(done.erased_count, 1, "{}", engine.name);
            let said = "SELECT source FROM model_version WHERE description IS NOT NULL OR deleted = 1 ORDER BY version";
            assert_eq!(texts(backup, said), ["REDACTED-SOURCE-PATH", "here"]);
            assert_eq!(texts(backup, "SELECT alias FROM registered_model_alias"), ["second"]);
        }
    }
}
