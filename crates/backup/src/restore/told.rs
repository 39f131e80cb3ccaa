//! Takes back in the restored database what the old log says was taken back.

use kernel::{Micros, Problem};
use vault::db::{Bind, Location, Writer};

use super::locks;
use super::logged::Logged;
use super::mail::forget;
use super::replay::{Replayed, end_sessions};

/// Takes back in the restored database what the old log says was taken back. One transaction.
///
/// # Errors
/// `Invalid` if the restored database cannot be changed.
pub fn replay_log(into: &Location, logged: &Logged, at: Micros) -> Result<Replayed, Problem> {
    into.change(|writer| {
        let mut done = Replayed::default();
        tokens_and_grants(writer, logged, at, &mut done)?;
        factors(writer, logged, &mut done)?;
        groups(writer, logged, &mut done)?;
        accounts(writer, logged, &mut done)?;
        keys(writer, logged, &mut done)?;
        for one in logged.mail.iter().filter(|(_, is_removed)| **is_removed).map(|(one, _)| one) {
            forget(writer, one)?;
        }
        locks::hold_as_told(writer, logged)?;
        end_sessions(writer)?;
        Ok(done)
    })
}

fn tokens_and_grants(writer: &mut Writer<'_>, logged: &Logged, at: Micros, done: &mut Replayed) -> Result<(), Problem> {
    for id in &logged.tokens {
        done.token_count += revoke(writer, id, at)?;
    }
    for account in &logged.ended {
        let sql = "SELECT id FROM token WHERE principal_id = $1 AND revoked_at IS NULL";
        for id in writer.query(sql, &[account.into()], |row| row.text(0))? {
            done.token_count += revoke(writer, &id, at)?;
        }
        for sql in ["DELETE FROM device_approval WHERE principal_id = $1", "DELETE FROM loopback_code WHERE principal_id = $1"] {
            writer.execute(sql, &[account.into()])?;
        }
        let sql = "UPDATE device SET revoked_at = $1, revoked_by = 'restore' WHERE principal_id = $2 AND revoked_at IS NULL";
        done.device_count += writer.execute(sql, &[at.0.into(), account.into()])?;
        let sql = "UPDATE device_enrolment SET used_at = $1 WHERE principal_id = $2 AND used_at IS NULL";
        writer.execute(sql, &[at.0.into(), account.into()])?;
    }
    for id in &logged.devices {
        let sql = "UPDATE device SET revoked_at = $1, revoked_by = 'restore' WHERE id = $2 AND revoked_at IS NULL";
        done.device_count += writer.execute(sql, &[at.0.into(), id.into()])?;
    }
    for id in &logged.fleets {
        done.device_count += writer.execute("DELETE FROM device_fleet WHERE id = $1", &[id.into()])?;
    }
    for id in &logged.invitations {
        let sql = "UPDATE device_enrolment SET used_at = $1 WHERE id = $2 AND used_at IS NULL";
        writer.execute(sql, &[at.0.into(), id.into()])?;
    }
    for (id, state) in &logged.elevations {
        let given = "SELECT grant_id FROM elevation WHERE id = $1 AND grant_id IS NOT NULL";
        if let Some(grant) = writer.query_one(given, &[id.into()], |row| row.text(0))? {
            done.grant_count += take_grant(writer, &grant, at)?;
        }
        let sql = "UPDATE elevation SET state = $1 WHERE id = $2 AND state IN ('asked', 'given', 'broken')";
        writer.execute(sql, &[(*state).into(), id.into()])?;
    }
    for id in &logged.grants {
        done.grant_count += take_grant(writer, id, at)?;
    }
    Ok(())
}

fn take_grant(writer: &mut Writer<'_>, id: &str, at: Micros) -> Result<u64, Problem> {
    writer.execute("UPDATE policy_generation SET generation = generation + 1 WHERE id = 0", &[])?;
    let sql = "UPDATE grant_row SET revoked_at = $1, revoked_by = 'restore',
                   changed_generation = (SELECT generation FROM policy_generation WHERE id = 0) WHERE id = $2 AND revoked_at IS NULL";
    Ok(writer.execute(sql, &[at.0.into(), id.into()])?)
}

/// Revokes a token and those that were minted with it, as the server does.
fn revoke(writer: &mut Writer<'_>, id: &str, at: Micros) -> Result<u64, Problem> {
    let sql = "WITH RECURSIVE tree (id) AS (SELECT $2 UNION SELECT token.id FROM token JOIN tree ON token.parent_id = tree.id)
               UPDATE token SET revoked_at = $1 WHERE id IN (SELECT id FROM tree) AND revoked_at IS NULL";
    Ok(writer.execute(sql, &[at.0.into(), id.into()])?)
}

fn factors(writer: &mut Writer<'_>, logged: &Logged, done: &mut Replayed) -> Result<(), Problem> {
    for account in &logged.reset {
        for table in ["totp", "passkey"] {
            done.account_count += writer.execute(&format!("DELETE FROM {table} WHERE principal_id = $1"), &[account.into()])?;
        }
    }
    for (account, factor) in &logged.factors {
        let binds: [Bind<'_>; 2] = [account.into(), factor.into()];
        done.account_count += match factor.as_str() {
            "totp" => writer.execute("DELETE FROM totp WHERE principal_id = $1", &[account.into()])?,
            _ => writer.execute("DELETE FROM passkey WHERE principal_id = $1 AND id = $2", &binds)?,
        };
    }
    for account in logged.codes.iter().chain(&logged.reset) {
        writer.execute("DELETE FROM recovery_code WHERE principal_id = $1", &[account.into()])?;
    }
    // Recovery codes are for who has a factor to lose.
    let orphans = "DELETE FROM recovery_code
        WHERE NOT EXISTS (SELECT 1 FROM totp t WHERE t.principal_id = recovery_code.principal_id AND t.confirmed_at IS NOT NULL)
          AND NOT EXISTS (SELECT 1 FROM passkey k WHERE k.principal_id = recovery_code.principal_id)";
    writer.execute(orphans, &[])?;
    for account in &logged.passwords {
        done.account_count += writer.execute("DELETE FROM password WHERE principal_id = $1", &[account.into()])?;
    }
    Ok(())
}

/// Where the log does not say who left a group, whoever was put there by the same hand leaves it, and is put there again by it.
fn groups(writer: &mut Writer<'_>, logged: &Logged, done: &mut Replayed) -> Result<(), Problem> {
    for (group, member) in logged.removed.iter().filter(|(_, is_removed)| **is_removed).map(|(pair, _)| pair) {
        let sql = "DELETE FROM membership WHERE group_id = $1 AND member_id = $2";
        done.account_count += writer.execute(sql, &[group.into(), member.into()])?;
    }
    for group in &logged.regrouped {
        let sql = "DELETE FROM membership WHERE group_id = $1 AND member_id IN (SELECT principal_id FROM provisioned)";
        done.account_count += writer.execute(sql, &[group.into()])?;
    }
    for (member, by) in &logged.resettled {
        let sql = "DELETE FROM membership WHERE member_id = $1 AND added_by = $2";
        done.account_count += writer.execute(sql, &[member.into(), by.into()])?;
    }
    Ok(())
}

fn accounts(writer: &mut Writer<'_>, logged: &Logged, done: &mut Replayed) -> Result<(), Problem> {
    for id in logged.disabled.iter().filter(|(_, is_disabled)| **is_disabled).map(|(id, _)| id) {
        let sql = "UPDATE principal SET disabled = 1, epoch = epoch + 1 WHERE id = $1 AND disabled = 0";
        done.account_count += writer.execute(sql, &[id.into()])?;
    }
    for id in &logged.deleted {
        done.account_count += writer.execute("DELETE FROM principal WHERE id = $1", &[id.into()])?;
    }
    Ok(())
}

fn keys(writer: &mut Writer<'_>, logged: &Logged, done: &mut Replayed) -> Result<(), Problem> {
    for id in &logged.subjects {
        done.key_count += writer.execute("DELETE FROM prediction_subject WHERE subject_id = $1", &[id.into()])?;
    }
    for (workspace, destroyed_at) in &logged.keys {
        let sql = "DELETE FROM vault_key WHERE purpose = 'workspace' AND name = $1";
        done.key_count += writer.execute(sql, &[workspace.into()])?;
        // The note itself went with the old database; what is left is in the log.
        let tombstone = "INSERT INTO vault_key_tombstone (workspace, destroyed_at, note, signature) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let note = "the record of its destruction is in the log that was lost behind a restore";
        let nothing: &[u8] = &[];
        writer.execute(tombstone, &[workspace.into(), (*destroyed_at).into(), note.into(), nothing.into()])?;
    }
    for (id, state) in &logged.destroys {
        let sql = "UPDATE vault_key_destroy SET state = $1 WHERE id = $2 AND state IN ('requested', 'approved')";
        writer.execute(sql, &[(*state).into(), id.into()])?;
    }
    if let Some((by, at)) = &logged.escrow {
        crate::store::add_escrow(writer, crate::KEY_NAME, by, Micros(*at))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::logged::tests::logged;
    use super::*;

    /// Accounts, and what each can come in with, when the backup was made.
    const BACKUP: &[&str] = &[
        "INSERT INTO principal (id, kind, name, owner, created_at) VALUES ('robot', 'service', 'robot', 'u', 1)",
        "INSERT INTO principal (id, kind, name, owner, created_at) VALUES ('leaver', 'user', 'leaver', 'u', 1)",
        "INSERT INTO principal (id, kind, name, owner, created_at) VALUES ('idle', 'user', 'idle', 'u', 1)",
        "INSERT INTO principal (id, kind, name, owner, created_at) VALUES ('u9', 'user', 'u9', '', 1)",
        "INSERT INTO principal (id, kind, name, owner, created_at) VALUES ('g', 'group', 'g', 'u', 1)",
        "INSERT INTO provisioned (principal_id, managed_by, sealed, changed_at) VALUES ('idle', 'p', $1, 1)",
        "INSERT INTO membership (group_id, member_id, added_at, added_by) VALUES ('g', 'idle', 1, 'p')",
        "INSERT INTO membership (group_id, member_id, added_at, added_by) VALUES ('g', 'u9', 1, 'u')",
        "INSERT INTO token (id, principal_id, kind, sha256, prefix, label, scopes, created_at, created_by, expires_at)
         VALUES ('t', 'idle', 'pat', $1, '', '', '', 1, 'u', 9)",
        "INSERT INTO grant_row (id, principal, principal_kind, role, resource_kind, resource, created_by, created_at, justification,
             changed_generation) VALUES ('ge', 'u9', 'user', 'owner', 'server', '', 'u', 1, '', 0)",
        "INSERT INTO elevation (id, principal, role, resource_kind, resource, reason, seconds, asked_at, state, grant_id)
         VALUES ('e', 'u9', 'owner', 'server', '', '', 1, 1, 'given', 'ge')",
        "INSERT INTO passkey (id, principal_id, credential_id, host, public_key, sign_count, backed_up, label, created_at)
         VALUES ('pk', 'u9', $1, 'h', $1, 1, 0, '', 1)",
        "INSERT INTO totp (principal_id, sealed, created_at, confirmed_at) VALUES ('idle', $1, 1, 1)",
        "INSERT INTO recovery_code (principal_id, sha256, created_at) VALUES ('u9', $1, 1)",
        "INSERT INTO password (principal_id, hash, changed_at) VALUES ('idle', '', 1)",
        "INSERT INTO vault_key (purpose, name, version, wrapped, root_name, root_version, created_at)
         VALUES ('workspace', 'w', 1, $1, 'r', 1, 1)",
        "INSERT INTO vault_key_destroy (id, workspace, reason, state, requested_by, requested_at) VALUES ('q', 'w2', '', 'approved', 'u', 1)",
        "INSERT INTO bucket (id, name, workspace, versioning, created_at, created_by) VALUES ('b', 'b', 'w', 'enabled', 1, 'u')",
        "INSERT INTO bucket_version (id, bucket_id, object_key, rank, version_id, is_latest, is_marker, size_bytes, etag, attributes, tags,
             part_count, lock_mode, retain_until, created_at, created_by)
         VALUES ('r', 'b', 'k', 1, 'v', 1, 0, 0, '', '{}', '', 0, 'GOVERNANCE', 900, 1, 'u')",
        "INSERT INTO registered_model (model_id, workspace_id, name, owner, prompt, next_version, created_at, updated_at)
         VALUES ('m', 'w', 'churn', 'u', 0, 3, 1, 1)",
        "INSERT INTO model_version (model_id, version, source, storage_location, stage, status, owner, deleted, created_at, updated_at)
         VALUES ('m', 1, '', '', 'None', 'READY', 'u', 0, 1, 1)",
        "INSERT INTO model_version (model_id, version, source, storage_location, stage, status, owner, deleted, created_at, updated_at)
         VALUES ('m', 2, '', '', 'None', 'READY', 'u', 0, 1, 1)",
        "INSERT INTO model_standing (model_id, version, workspace, state, submitter, submitted_at, place, file_count, size_bytes)
         VALUES ('m', 1, 'w', 'quarantined', 'u', 1, '7/0123456789abcdef0123456789abcdef/artifacts/model', 0, 0)",
        "INSERT INTO artifact (id, owner_kind, owner_id, path, workspace, experiment, size_bytes, sha256, created_at, created_by)
         VALUES ('a', 'run', '0123456789abcdef0123456789abcdef', 'model/model.bin', 'w', 7, 1, $1, 1, 'u')",
        "INSERT INTO artifact_part (artifact_id, part_number, object_id, workspace, size_bytes, sha256, wrapped_key, key_version)
         VALUES ('a', 1, 'fedcba9876543210fedcba9876543210', 'w', 1, $1, $1, 1)",
    ];

    #[test]
    fn what_the_log_tells_was_taken_back_is_taken_back() {
        for engine in testkit::Engine::all("told") {
            let at = &engine.location;
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let fill = |writer: &mut Writer<'_>| {
                    let digest = [7_u8; 32];
                    for sql in BACKUP {
                        let bind: [Bind<'_>; 1] = [digest.as_slice().into()];
                        writer.execute(sql, if sql.contains("$1") { &bind } else { &[] })?;
                    }
                    Ok(())
                };
                vault::db::open(at).unwrap().system.write(fill).await.unwrap();
            });
            let told = logged(&[
                ("services.disable", "robot", json!({})),
                ("provisioning.delete_user", "leaver", json!({})),
                ("provisioning.change_user", "idle", json!({"active": 0})),
                ("provisioning.change_group", "g", json!({"memberships_changed": 1})),
                ("elevations.end", "e", json!({})),
                ("factors.remove", "pk", json!({})),
                ("users.reset_factors", "idle", json!({})),
                ("users.set_password", "idle", json!({})),
                ("keys.destroy_due", "", json!({"request": "q0", "key_workspace": "w"})),
                ("keys.cancel_destroy", "", json!({"request": "q", "key_workspace": "w2"})),
                ("buckets.lock", "b", json!({"mode": "none"})),
                ("buckets.retain", "", json!({"version_id": "v", "mode": "COMPLIANCE", "retain_until": 500})),
                ("retention.hold", "m/1", json!({"kind": "model", "mode": "none", "retain_until": 0, "legal_hold": 1})),
                ("retention.hold", "m/2", json!({"kind": "model", "mode": "none", "retain_until": 0, "legal_hold": 0})),
                ("retention.hold", "m/9", json!({"kind": "model", "mode": "none", "retain_until": 0, "legal_hold": 1})),
            ]);
            let done = replay_log(at, &told, Micros(20)).unwrap();
            assert_eq!((done.token_count, done.grant_count, done.key_count), (1, 1, 1), "{}", engine.name);
            let ids = |sql: &'static str| at.read(|reader| Ok(reader.query(sql, &[], |row| row.text(0))?)).unwrap();
            assert_eq!(ids("SELECT id FROM principal WHERE disabled = 1 ORDER BY id"), ["idle", "robot"]);
            assert!(ids("SELECT id FROM principal WHERE id = 'leaver'").is_empty());
            assert_eq!(ids("SELECT member_id FROM membership"), ["u9"], "whom a person put there stays");
            assert!(ids("SELECT id FROM token WHERE revoked_at IS NULL").is_empty());
            assert_eq!(ids("SELECT state FROM elevation"), ["ended"]);
            let gone = [
                "SELECT id FROM passkey",
                "SELECT principal_id FROM totp",
                "SELECT principal_id FROM recovery_code",
                "SELECT principal_id FROM password",
                "SELECT name FROM vault_key",
            ]; // of the workspace
            for sql in gone {
                assert!(ids(sql).is_empty(), "{sql}");
            }
            assert_eq!(ids("SELECT workspace FROM vault_key_tombstone"), ["w"]);
            assert_eq!(ids("SELECT state FROM vault_key_destroy"), ["cancelled"]);
            assert_eq!(ids("SELECT id FROM bucket WHERE lock_enabled = 1"), ["b"]);
            assert_eq!(ids("SELECT lock_mode FROM bucket_version WHERE retain_until = 900"), ["COMPLIANCE"]);
            assert_eq!(ids("SELECT name FROM retained WHERE legal_hold = 1"), ["churn/1"], "what was put under a hold since");
            assert_eq!(ids("SELECT object_id FROM retained_object"), ["fedcba9876543210fedcba9876543210"]);
        }
    }
}
