//! What the old log tells of what was taken back since the backup, where the old database cannot be read: the ids of tokens, grants,
//! accounts, members and subjects. What was deleted of files and models is not told by their ids alone, and stays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kernel::{Micros, Problem};
use serde::Deserialize;
use vault::db::{Location, Writer};

use super::mail::{Forgotten, forget};
use super::replay::{Replayed, end_sessions};

/// What the records say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logged {
    tokens: BTreeSet<String>,
    devices: BTreeSet<String>,
    grants: BTreeSet<String>,
    /// Whether an account was disabled last, or enabled.
    disabled: BTreeMap<String, bool>,
    deleted: BTreeSet<String>,
    /// Whether a member was removed from a group last, or added.
    removed: BTreeMap<(String, String), bool>,
    subjects: BTreeSet<String>,
    /// Whether an address or key of mail was removed last, or set.
    mail: BTreeMap<(Forgotten, String), bool>,
    /// Records that were read.
    pub record_count: u64,
}

#[derive(Deserialize)]
struct Record {
    action: String,
    kind: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    details: Details,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    member: String,
    #[serde(default)]
    removed: serde_json::Value,
}

impl Logged {
    /// Reads the records of the old folder's log from `point` on, as far as they can be read.
    #[must_use]
    pub fn read(old: &Path, point: u64) -> Self {
        let mut all = Self::default();
        audit::records_after(&old.join("audit"), point, |_, record| {
            all.record_count += 1;
            if let Ok(record) = serde_json::from_slice::<Record>(record)
                && record.kind == "outcome"
                && record.status == "done"
                && !record.resource.is_empty()
            {
                all.take(record);
            }
        });
        all
    }

    fn take(&mut self, record: Record) {
        let Record { action, resource, details, .. } = record;
        match action.as_str() {
            "tokens.revoke" | "tokens.revoke_any" => drop(self.tokens.insert(resource)),
            "devices.revoke" | "devices.revoke_own" => drop(self.devices.insert(resource)),
            "grants.revoke" => drop(self.grants.insert(resource)),
            "users.disable" => drop(self.disabled.insert(resource, true)),
            "users.enable" => drop(self.disabled.insert(resource, false)),
            "users.delete" | "services.delete" | "groups.delete" => drop(self.deleted.insert(resource)),
            "groups.remove_member" => drop(self.removed.insert((resource, details.member), true)),
            "groups.add_member" => drop(self.removed.insert((resource, details.member), false)),
            "mail.set_address" => drop(self.mail.insert((Forgotten::Address, resource), details.removed == 1)),
            "mail.set_key" => drop(self.mail.insert((Forgotten::Key, resource), details.removed == 1)),
            "predictions.erase" => drop(self.subjects.insert(resource)),
            _ => {}
        }
    }
}

/// Takes back in the restored database what the old log says was taken back. One transaction.
///
/// # Errors
/// `Invalid` if the restored database cannot be changed.
pub fn replay_log(into: &Location, logged: &Logged, at: Micros) -> Result<Replayed, Problem> {
    into.change(|writer| {
        let mut done = Replayed::default();
        for id in &logged.tokens {
            done.token_count += revoke(writer, id, at)?;
        }
        for id in &logged.devices {
            let sql = "UPDATE device SET revoked_at = $1, revoked_by = 'restore' WHERE id = $2 AND revoked_at IS NULL";
            done.device_count += writer.execute(sql, &[at.0.into(), id.as_str().into()])?;
        }
        for id in &logged.grants {
            writer.execute("UPDATE policy_generation SET generation = generation + 1 WHERE id = 0", &[])?;
            done.grant_count += writer.execute(
                "UPDATE grant_row SET revoked_at = $1, revoked_by = 'restore',
                 changed_generation = (SELECT generation FROM policy_generation WHERE id = 0) WHERE id = $2 AND revoked_at IS NULL",
                &[at.0.into(), id.as_str().into()],
            )?;
        }
        for id in logged.disabled.iter().filter(|(_, is_disabled)| **is_disabled).map(|(id, _)| id) {
            let sql = "UPDATE principal SET disabled = 1, epoch = epoch + 1 WHERE id = $1 AND disabled = 0";
            done.account_count += writer.execute(sql, &[id.as_str().into()])?;
        }
        for (group, member) in logged.removed.iter().filter(|(_, is_removed)| **is_removed).map(|(pair, _)| pair) {
            let sql = "DELETE FROM membership WHERE group_id = $1 AND member_id = $2";
            done.account_count += writer.execute(sql, &[group.as_str().into(), member.as_str().into()])?;
        }
        for id in &logged.deleted {
            done.account_count += writer.execute("DELETE FROM principal WHERE id = $1", &[id.as_str().into()])?;
        }
        for id in &logged.subjects {
            done.key_count += writer.execute("DELETE FROM prediction_subject WHERE subject_id = $1", &[id.as_str().into()])?;
        }
        for one in logged.mail.iter().filter(|(_, is_removed)| **is_removed).map(|(one, _)| one) {
            forget(writer, one)?;
        }
        end_sessions(writer)?;
        Ok(done)
    })
}

/// Revokes a token and those that were minted with it, as the server does.
fn revoke(writer: &mut Writer<'_>, id: &str, at: Micros) -> Result<u64, Problem> {
    let sql = "WITH RECURSIVE tree (id) AS (SELECT $2 UNION SELECT token.id FROM token JOIN tree ON token.parent_id = tree.id)
               UPDATE token SET revoked_at = $1 WHERE id IN (SELECT id FROM tree) AND revoked_at IS NULL";
    Ok(writer.execute(sql, &[at.0.into(), id.into()])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_the_log_counts_and_only_what_was_done() {
        let mut logged = Logged::default();
        let take = |logged: &mut Logged, action: &str, resource: &str, member: &str| {
            let details = Details { member: member.to_owned(), removed: serde_json::Value::Null };
            logged.take(Record {
                action: action.to_owned(),
                kind: "outcome".to_owned(),
                status: "done".to_owned(),
                resource: resource.to_owned(),
                details,
            });
        };
        take(&mut logged, "users.disable", "u1", "");
        take(&mut logged, "users.enable", "u1", "");
        take(&mut logged, "users.disable", "u2", "");
        take(&mut logged, "groups.remove_member", "g1", "u1");
        take(&mut logged, "runs.delete", "r1", "");
        take(&mut logged, "tokens.revoke", "t1", "");
        take(&mut logged, "devices.revoke_own", "d1", "");
        assert_eq!(logged.disabled, [("u1".to_owned(), false), ("u2".to_owned(), true)].into());
        assert_eq!(logged.removed, [(("g1".to_owned(), "u1".to_owned()), true)].into());
        assert_eq!((logged.tokens.len(), logged.devices.len(), logged.deleted.len()), (1, 1, 0));
    }
}
