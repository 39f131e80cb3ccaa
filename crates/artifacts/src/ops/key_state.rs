//! `keys.status` and `keys.verify`: how old keys are, what lies under which version, whether each opens, and whether any lies open.

use std::collections::BTreeMap;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem, random_id};
use vault::keys::{DestroyState, KeyFacts, KeysChecked, RootFacts, tombstones};

use crate::config::VERIFY_BATCH_COUNT;
use crate::store::{self, uploads};
use crate::{Artifacts, KeyPolicy};

const DAY_S: i64 = 86_400;
/// Object keys of each table that are opened unless all are wanted.
const SAMPLE_COUNT: u64 = 500;
/// Keys that a report names; the rest is counted.
const BROKEN_COUNT_MAX: usize = 1_000;

/// One version of a workspace's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyVersion {
    /// The version.
    pub version: i64,
    /// When it was made.
    pub created_at: Micros,
    /// The objects whose keys it wraps.
    pub object_count: u64,
}

/// A workspace's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceKey {
    /// The workspace's id.
    pub workspace: String,
    /// Its versions, rising.
    pub versions: Vec<KeyVersion>,
    /// When it is rotated next; none for never.
    pub due_at: Option<Micros>,
    /// Whether that time has passed.
    pub is_overdue: bool,
}

/// How the keys stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysStatus {
    /// The root key.
    pub root: RootFacts,
    /// When it is rotated next; none for never.
    pub root_due_at: Option<Micros>,
    /// Whether that time has passed.
    pub is_root_overdue: bool,
    /// Keys that an older version of the root key still wraps.
    pub unfinished_count: u64,
    /// The server's own secrets.
    pub secret_count: u64,
    /// The workspaces' keys.
    pub workspaces: Vec<WorkspaceKey>,
    /// Workspaces whose key was destroyed, and when.
    pub destroyed: Vec<(String, Micros)>,
    /// Requests to destroy a key that are open.
    pub open_request_count: u64,
    /// What somebody must look after.
    pub warnings: Vec<String>,
}

/// How do the keys stand?
pub struct GetKeysStatus {
    /// The room.
    pub room: Artifacts,
}

impl Operation for GetKeysStatus {
    const ACTION: Action = Action::read("keys.status");
    type Output = KeysStatus;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<KeysStatus, Problem> {
        let (room, keyring) = (&self.room, self.room.objects.keys());
        let facts = keyring.facts(&room.db, &permit).await?;
        let root = keyring.root_facts(&room.db, &permit).await?;
        let requests = keyring.destroy_requests(&room.db, &permit, None).await?;
        let read = |reader: &mut vault::db::Reader<'_>| Ok((store::objects_by_key(reader)?, tombstones(reader)?));
        let (objects, graves) = room.db.read(&permit, read).await?;
        let open = |state| matches!(state, DestroyState::Requested | DestroyState::Approved);
        let mut status = status_of(root, &facts, &objects, room.keys.policy, keyring.now());
        status.destroyed = graves.into_iter().map(|grave| (grave.workspace, grave.destroyed_at)).collect();
        status.open_request_count = counted(requests.iter().filter(|request| open(request.state)).count());
        if status.open_request_count > 0 {
            status.warnings.push(format!("{} requests to destroy a key are open", status.open_request_count));
        }
        Ok(status)
    }
}

/// Whether a key of this age is to be rotated.
pub(super) fn is_due(since: Micros, days: u32, now: Micros) -> bool {
    due_at(since, days).is_some_and(|at| at <= now)
}

fn due_at(since: Micros, days: u32) -> Option<Micros> {
    (days > 0).then(|| since.plus_secs(i64::from(days).saturating_mul(DAY_S)))
}

/// The newest version of each workspace's key.
pub(super) fn newest_of(facts: &[KeyFacts]) -> Vec<&KeyFacts> {
    let mut newest: BTreeMap<&str, &KeyFacts> = BTreeMap::new();
    for key in facts.iter().filter(|key| key.purpose == "workspace") {
        let held = newest.entry(&key.name).or_insert(key);
        if held.version < key.version {
            *held = key;
        }
    }
    newest.into_values().collect()
}

fn status_of(
    root: RootFacts,
    facts: &[KeyFacts],
    objects: &BTreeMap<(String, i64), u64>,
    policy: KeyPolicy,
    now: Micros,
) -> KeysStatus {
    let root_due_at = root.since_at.and_then(|since| due_at(since, policy.rotate_root_days));
    let is_root_overdue = root_due_at.is_some_and(|at| at <= now);
    let unfinished_count = counted(facts.iter().filter(|key| key.root_version < root.version).count());
    let workspaces = newest_of(facts).into_iter().map(|newest| {
        let versions = facts.iter().filter(|key| key.purpose == "workspace" && key.name == newest.name);
        let versions = versions.map(|key| KeyVersion {
            version: key.version,
            created_at: key.created_at,
            object_count: objects.get(&(key.name.clone(), key.version)).copied().unwrap_or(0),
        });
        let due_at = due_at(newest.created_at, policy.rotate_workspace_days);
        let is_overdue = due_at.is_some_and(|at| at <= now);
        WorkspaceKey { workspace: newest.name.clone(), versions: versions.collect(), due_at, is_overdue }
    });
    let workspaces: Vec<WorkspaceKey> = workspaces.collect();
    let mut warnings = Vec::new();
    if let Err(why) = &root.versions {
        warnings.push(format!("the service `{}` that keeps the root key is not to be reached: {why}", root.service));
    }
    if root.versions.as_ref().is_ok_and(|versions| !versions.contains(&root.version)) {
        warnings.push(format!("version {} of the root key is not in its service any more", root.version));
    }
    if is_root_overdue && !root.renews {
        warnings.push(format!(
            "the root key is overdue, and a server cannot rotate one of the kind `{}`: do it by hand",
            root.service
        ));
    } else if is_root_overdue {
        warnings.push("the root key is overdue".to_owned());
    }
    if unfinished_count > 0 {
        warnings.push(format!("{unfinished_count} keys are still wrapped by an older version of the root key"));
    }
    let overdue_count = workspaces.iter().filter(|workspace| workspace.is_overdue).count();
    if overdue_count > 0 {
        warnings.push(format!("the keys of {overdue_count} workspaces are overdue"));
    }
    let secret_count = counted(facts.iter().filter(|key| key.purpose == "secret").count());
    KeysStatus {
        root,
        root_due_at,
        is_root_overdue,
        unfinished_count,
        secret_count,
        workspaces,
        destroyed: Vec::new(),
        open_request_count: 0,
        warnings,
    }
}

fn counted(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Opens every key below the root, and the keys of some objects or of all, and looks for keys that lie on disk unwrapped.
pub struct VerifyKeys {
    /// The room.
    pub room: Artifacts,
    /// Whether the key of every object is opened, not of some.
    pub all: bool,
}

/// What a verification of keys found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeysReport {
    /// The keys below the root.
    pub keys: KeysChecked,
    /// Object keys that were opened.
    pub object_count: u64,
    /// Of objects whose workspace's key was destroyed: they are not meant to open.
    pub destroyed_count: u64,
    /// Object keys that do not open.
    pub broken_count: u64,
    /// The ids of the first of their objects.
    pub broken: Vec<String>,
}

impl KeysReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.keys.broken.is_empty() && self.keys.plain_in.is_empty() && self.broken_count == 0
    }
}

impl Operation for VerifyKeys {
    const ACTION: Action = Action::read("keys.verify");
    type Output = KeysReport;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<KeysReport, Problem> {
        let room = &self.room;
        let keys = room.objects.keys().check(&room.db, &permit, room.keys.searched.clone()).await?;
        let mut report = KeysReport { keys, ..KeysReport::default() };
        let count_max = if self.all { u64::MAX } else { SAMPLE_COUNT };
        for table in store::OBJECT_TABLES {
            // Ids are random: beginning anywhere is a sample. What lies before it is for who wants all.
            let begin = if self.all { String::new() } else { random_id() };
            let seen = room.check_keys(&permit, (table, begin.clone(), None), count_max, &mut report).await?;
            if seen < count_max && !self.all {
                room.check_keys(&permit, (table, String::new(), Some(begin)), count_max - seen, &mut report).await?;
            }
        }
        let outcome = Outcome::done()
            .with("key_count", store::signed(report.keys.key_count)?)
            .with("object_count", store::signed(report.object_count)?)
            .with("broken_count", store::signed(report.broken_count)?)
            .with("plain_count", report.keys.plain_in.len());
        permit.defer_outcome().settle(&outcome);
        Ok(report)
    }
}

impl Artifacts {
    /// Opens the keys of objects after one id, and, if it is given, up to another.
    async fn check_keys(
        &self,
        permit: &Permit<VerifyKeys>,
        (table, mut after, until): (&'static str, String, Option<String>),
        count_max: u64,
        report: &mut KeysReport,
    ) -> Result<u64, Problem> {
        let mut seen = 0_u64;
        while seen < count_max {
            let from = after.clone();
            let count = VERIFY_BATCH_COUNT.min(i64::try_from(count_max - seen).unwrap_or(i64::MAX));
            let batch = self.db.read(permit, move |reader| uploads::objects_after(reader, table, &from, count)).await?;
            let Some(last) = batch.last() else { break };
            after = last.id.as_str().to_owned();
            for object in batch {
                // From there on they were looked at already.
                if until.as_ref().is_some_and(|until| object.id.as_str() > until.as_str()) {
                    return Ok(seen);
                }
                seen += 1;
                match self.objects.check_key(permit, &object).await {
                    Ok(()) => report.object_count += 1,
                    Err(problem) if problem.kind() == Kind::Gone => report.destroyed_count += 1,
                    Err(problem) if problem.kind() == Kind::Internal => {
                        let id = object.id.as_str().to_owned();
                        // A rotation may have wrapped it anew meanwhile, or a deletion taken it away.
                        let again = self.db.read_point(permit, move |reader| store::is_object_named(reader, &id)).await?;
                        if again {
                            tracing::error!(id = object.id.as_str(), %problem, "the key of an object does not open");
                            report.broken_count += 1;
                            if report.broken.len() < BROKEN_COUNT_MAX {
                                report.broken.push(object.id.as_str().to_owned());
                            }
                        }
                    }
                    Err(problem) => return Err(problem),
                }
            }
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros(1_700_000_000_000_000);

    fn days_ago(days: i64) -> Micros {
        NOW.plus_secs(-days * DAY_S)
    }

    fn key(name: &str, version: i64, root_version: i64, age_days: i64) -> KeyFacts {
        let (purpose, root_name) = (if name == "secret" { "secret" } else { "workspace" }.to_owned(), "file".to_owned());
        KeyFacts { purpose, name: name.to_owned(), version, root_name, root_version, created_at: days_ago(age_days) }
    }

    fn root(version: i64, age_days: i64, renews: bool) -> RootFacts {
        RootFacts { service: "file", version, since_at: Some(days_ago(age_days)), versions: Ok(vec![version]), renews }
    }

    #[test]
    fn what_is_older_than_wanted_is_overdue_and_said() {
        let facts = [key("a", 1, 2, 400), key("a", 2, 2, 10), key("b", 1, 1, 100), key("secret", 1, 2, 900)];
        let objects = BTreeMap::from([(("a".to_owned(), 1), 7), (("a".to_owned(), 2), 1)]);
        let policy = KeyPolicy { rotate_workspace_days: 90, rotate_root_days: 365, ..KeyPolicy::default() };
        let status = status_of(root(2, 364, false), &facts, &objects, policy, NOW);
        assert_eq!((status.is_root_overdue, status.unfinished_count, status.secret_count), (false, 1, 1));
        let overdue: Vec<bool> = status.workspaces.iter().map(|workspace| workspace.is_overdue).collect();
        assert_eq!(overdue, [false, true]);
        let counts: Vec<u64> = status.workspaces[0].versions.iter().map(|version| version.object_count).collect();
        assert_eq!(counts, [7, 1]);
        assert_eq!(status.warnings.len(), 2, "{:?}", status.warnings);
        // To the second.
        assert!(!is_due(days_ago(90).plus_secs(1), 90, NOW) && is_due(days_ago(90), 90, NOW));
        assert!(!is_due(days_ago(9_000), 0, NOW), "0 is never");
    }

    #[test]
    fn a_root_key_that_only_people_can_rotate_is_warned_of() {
        let policy = KeyPolicy::default();
        let warned = |root: RootFacts| status_of(root, &[], &BTreeMap::new(), policy, NOW).warnings.join("; ");
        assert!(warned(root(1, 365, false)).contains("by hand"));
        assert_eq!(warned(root(1, 365, true)), "the root key is overdue");
        assert_eq!(warned(root(1, 364, false)), "");
        let down = RootFacts { versions: Err("no answer".to_owned()), ..root(1, 1, true) };
        assert!(warned(down).contains("no answer"));
        let lost = RootFacts { versions: Ok(vec![2]), ..root(1, 1, true) };
        assert!(warned(lost).contains("not in its service"));
    }
}
