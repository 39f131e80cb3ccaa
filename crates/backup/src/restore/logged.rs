//! What the old log tells of what was taken back since the backup, where the old database cannot be read. Which verbs tell it stands in
//! [`super::verbs`]; what the restored database makes of it, in [`super::told`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::locks::Locked;
use super::mail::Forgotten;
use super::verbs::{IN_DATABASE, Tells, tells};

/// What the records say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logged {
    pub(super) tokens: BTreeSet<String>,
    /// Accounts all of whose tokens ended.
    pub(super) ended: BTreeSet<String>,
    pub(super) devices: BTreeSet<String>,
    pub(super) fleets: BTreeSet<String>,
    pub(super) invitations: BTreeSet<String>,
    pub(super) grants: BTreeSet<String>,
    /// Requests for a role that are over, and how they ended.
    pub(super) elevations: BTreeMap<String, &'static str>,
    /// Whether an account was disabled last, or enabled.
    pub(super) disabled: BTreeMap<String, bool>,
    pub(super) deleted: BTreeSet<String>,
    /// Accounts whose password somebody else set.
    pub(super) passwords: BTreeSet<String>,
    /// Accounts that lost all factors.
    pub(super) reset: BTreeSet<String>,
    /// Account and factor.
    pub(super) factors: BTreeSet<(String, String)>,
    /// Accounts whose recovery codes were renewed or used: which one, no record says.
    pub(super) codes: BTreeSet<String>,
    /// Whether a member was removed from a group last, or added.
    pub(super) removed: BTreeMap<(String, String), bool>,
    /// Groups that a provisioner changed: who went, no record says.
    pub(super) regrouped: BTreeSet<String>,
    /// Account, and the job that put it into other groups as its provider says.
    pub(super) resettled: BTreeSet<(String, String)>,
    pub(super) subjects: BTreeSet<String>,
    /// Workspaces whose key was destroyed, and when.
    pub(super) keys: BTreeMap<String, i64>,
    /// Requests to destroy a key that are over, and how they ended.
    pub(super) destroys: BTreeMap<String, &'static str>,
    /// Whether an address or key of mail was removed last, or set.
    pub(super) mail: BTreeMap<(Forgotten, String), bool>,
    /// Retention of versions in buckets, by their id.
    pub(super) versions: BTreeMap<String, Locked>,
    /// Retention of things as a whole, by kind and subject.
    pub(super) kept: BTreeMap<(String, String), Locked>,
    pub(super) lockable: BTreeSet<String>,
    /// Who handed out the backup key, and when.
    pub(super) escrow: Option<(String, i64)>,
    /// How often something was taken back of which the records do not tell enough.
    pub untold: BTreeMap<String, u64>,
    /// Records that were read.
    pub record_count: u64,
}

#[derive(Default, Deserialize)]
pub(super) struct Record {
    action: String,
    #[serde(default)]
    at: i64,
    #[serde(default)]
    caller: Caller,
    kind: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    details: Map<String, Value>,
}

#[derive(Default, Deserialize)]
struct Caller {
    #[serde(default)]
    id: String,
    #[serde(default)]
    token: String,
}

impl Record {
    fn text(&self, name: &str) -> Option<String> {
        self.details.get(name).and_then(Value::as_str).map(ToOwned::to_owned)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.details.get(name).and_then(Value::as_i64)
    }

    /// Mode, end and hold, as verbs of retention record them.
    fn lock(&self) -> Locked {
        let mode = self.text("mode").filter(|mode| mode != "none");
        let until = self.number("retain_until").filter(|_| mode.is_some());
        (mode, until, self.number("legal_hold") == Some(1))
    }
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
            {
                all.take(record);
            }
        });
        all
    }

    /// What people have to look through themselves, where the old database told the rest.
    #[must_use]
    pub fn beside_database(mut self) -> Self {
        self.untold.retain(|verb, _| !IN_DATABASE.contains(&verb.as_str()));
        self
    }

    /// What people have to look through themselves: verbs, and how often.
    #[must_use]
    pub fn untold_words(&self) -> String {
        self.untold.iter().map(|(verb, count)| format!("{verb} ({count})")).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn take(&mut self, record: Record) {
        match tells(&record.action) {
            Some(Tells::All) => self.take_told(record),
            Some(Tells::TooLittle) => {
                if record.action == "buckets.lock" {
                    self.lockable.insert(record.resource);
                }
                *self.untold.entry(record.action).or_default() += 1;
            }
            Some(Tells::Nothing) | None => {}
        }
    }

    fn take_told(&mut self, record: Record) {
        match record.action.as_str() {
            "tokens.revoke" | "tokens.revoke_any" => drop(self.tokens.insert(record.resource)),
            // A code that came twice ended what the first one got.
            "tokens.exchange" if record.number("revoked").is_some() => drop(self.tokens.insert(record.resource)),
            "devices.revoke" | "devices.revoke_own" => drop(self.devices.insert(record.resource)),
            "devices.revoke_fleet" => drop(self.fleets.insert(record.resource)),
            "devices.enrol" => drop(self.invitations.insert(record.caller.token)),
            "grants.revoke" => drop(self.grants.insert(record.resource)),
            "elevations.end" => drop(self.elevations.insert(record.resource, "ended")),
            "elevations.decide" if record.text("decided").as_deref() == Some("refused") => {
                self.elevations.insert(record.resource, "refused");
            }
            "predictions.erase" => drop(self.subjects.insert(record.resource)),
            "backups.escrow" => self.escrow = Some((record.caller.id, record.at)),
            "keys.destroy_due" | "keys.cancel_destroy" => self.take_key(&record),
            "mail.set_address" => self.take_mail(Forgotten::Address, record),
            "mail.set_key" => self.take_mail(Forgotten::Key, record),
            action if action.starts_with("buckets.") || action.starts_with("retention.") => self.take_lock(&record),
            action if action.starts_with("groups.") || action == "federation.settle" => self.take_group(record),
            _ => self.take_account(record),
        }
    }

    fn take_account(&mut self, record: Record) {
        match record.action.as_str() {
            "users.disable" | "services.disable" => drop(self.disabled.insert(record.resource, true)),
            "users.enable" | "services.enable" => drop(self.disabled.insert(record.resource, false)),
            "users.delete" | "services.delete" | "provisioning.delete_group" => drop(self.deleted.insert(record.resource)),
            // What was made of the account's tokens ended too.
            "provisioning.delete_user" => {
                self.ended.insert(record.resource.clone());
                self.deleted.insert(record.resource);
            }
            "provisioning.change_user" => {
                let is_active = record.number("active") == Some(1);
                if !is_active {
                    self.ended.insert(record.resource.clone());
                }
                self.disabled.insert(record.resource, !is_active);
            }
            "provisioning.change_group" if record.number("memberships_changed") != Some(0) => {
                self.regrouped.insert(record.resource);
            }
            "users.set_password" => drop(self.passwords.insert(record.resource)),
            "users.reset_factors" => drop(self.reset.insert(record.resource)),
            "factors.remove" => drop(self.factors.insert((record.caller.id, record.resource))),
            "factors.recovery_codes" => drop(self.codes.insert(record.resource)),
            "sessions.create" if record.text("method").as_deref() == Some("recovery_code") => {
                self.codes.insert(record.caller.id);
            }
            _ => {}
        }
    }

    fn take_group(&mut self, record: Record) {
        let member = record.text("member").unwrap_or_default();
        match record.action.as_str() {
            "groups.delete" => drop(self.deleted.insert(record.resource)),
            "groups.remove_member" => drop(self.removed.insert((record.resource, member), true)),
            "groups.add_member" => drop(self.removed.insert((record.resource, member), false)),
            "federation.settle" if record.number("memberships_changed") != Some(0) => {
                self.resettled.insert((record.resource, record.caller.id));
            }
            _ => {}
        }
    }

    fn take_key(&mut self, record: &Record) {
        // One that was refused has its request alone.
        let (Some(request), Some(workspace)) = (record.text("request"), record.text("key_workspace")) else { return };
        if record.action == "keys.cancel_destroy" {
            self.destroys.insert(request, "cancelled");
            return;
        }
        self.destroys.insert(request, "done");
        self.keys.insert(workspace, record.at);
    }

    fn take_mail(&mut self, what: Forgotten, record: Record) {
        let is_removed = record.number("removed") == Some(1);
        self.mail.insert((what, record.resource), is_removed);
    }

    /// Of retention and hold the last word counts, each by itself.
    fn take_lock(&mut self, record: &Record) {
        let lock = record.lock();
        if record.action.starts_with("retention.") {
            let Some(kind) = record.text("kind") else { return };
            self.kept.insert((kind, record.resource.clone()), lock);
            return;
        }
        let Some(version) = record.text("version_id") else { return };
        let known = self.versions.entry(version).or_default();
        if record.action == "buckets.hold" {
            known.2 = lock.2;
        } else {
            (known.0, known.1) = (lock.0, lock.1);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A record of something that was done by `u9`.
    pub(in crate::restore) fn record(action: &str, resource: &str, details: Value) -> Record {
        let text = serde_json::json!({"action": action, "at": 7, "caller": {"id": "u9", "kind": "user", "token": "enr_1"}, "kind": "outcome",
            "status": "done", "resource": resource, "details": details});
        serde_json::from_value(text).unwrap()
    }

    pub(in crate::restore) fn logged(records: &[(&str, &str, Value)]) -> Logged {
        let mut logged = Logged::default();
        for (action, resource, details) in records {
            logged.take(record(action, resource, details.clone()));
        }
        logged
    }

    #[test]
    fn the_last_word_of_the_log_counts_and_only_what_was_done() {
        let none = || serde_json::json!({});
        let logged = logged(&[
            ("users.disable", "u1", none()),
            ("users.enable", "u1", none()),
            ("services.disable", "u2", none()),
            ("groups.remove_member", "g1", serde_json::json!({"member": "u1"})),
            ("runs.delete", "r1", none()),
            ("models.delete", "m1", none()),
            ("runs.delete", "r2", none()),
            ("runs.create", "r3", none()),
            ("tokens.revoke", "t1", none()),
            ("tokens.exchange", "t2", serde_json::json!({"principal": "u1"})),
            ("tokens.exchange", "t3", serde_json::json!({"revoked": 1})),
            ("devices.revoke_own", "d1", none()),
            ("keys.destroy_due", "", serde_json::json!({"request": "q", "refused": "conflict"})),
            ("elevations.decide", "e1", serde_json::json!({"decided": "given"})),
            ("buckets.retain", "b", none()),
        ]);
        assert_eq!(logged.disabled, [("u1".to_owned(), false), ("u2".to_owned(), true)].into());
        assert_eq!(logged.removed, [(("g1".to_owned(), "u1".to_owned()), true)].into());
        assert_eq!(logged.tokens, ["t1".to_owned(), "t3".to_owned()].into());
        assert_eq!((logged.devices.len(), logged.deleted.len()), (1, 0));
        assert!(
            logged.keys.is_empty() && logged.destroys.is_empty() && logged.elevations.is_empty() && logged.versions.is_empty()
        );
        assert_eq!(logged.untold_words(), "models.delete (1), runs.delete (2)");
        assert_eq!(logged.beside_database().untold_words(), "runs.delete (2)");
    }

    /// Each verb whose records tell what was taken back changes what is known.
    #[test]
    fn no_verb_that_tells_is_forgotten() {
        let details = serde_json::json!({"active": 0, "decided": "refused", "key_workspace": "w", "kind": "model", "legal_hold": 1,
            "member": "m", "memberships_changed": 1, "method": "recovery_code", "mode": "COMPLIANCE", "removed": 1, "request": "q",
            "retain_until": 9, "revoked": 1, "version_id": "v"});
        for verb in super::super::verbs::TOLD {
            assert_ne!(logged(&[(verb, "x", details.clone())]), Logged::default(), "{verb}");
        }
    }
}
