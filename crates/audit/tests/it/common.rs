//! A log behind a gate, in a folder of its own.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use audit::verify::{Policy, Report, verify_directory};
use audit::{Audit, AuditConfig, AuditError, AuditLog, database_rows};
use gate::{
    Action, Assess, Attempt, BoxFuture, Caller, CallerKind, Credential, Decide, Decision, Facts, Gate, Identify, Locate,
    Operation, Outcome, Over, Permit, Ports, Question, Risk, Scope, Target, TokenFacts, Verdict,
};
use kernel::{Allowance, Problem, Secret, SystemClock};
use vault::db::{Db, Location, Opened, SystemDb};

pub const ORIGIN: &str = "test.example/audit/1";

pub struct Yes;

impl Identify for Yes {
    fn identify<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Caller, Problem>> {
        let known = !matches!(attempt.credential, Credential::Malformed);
        Box::pin(async move {
            if !known {
                return Err(Problem::new(kernel::Kind::Unauthenticated, "who are you"));
            }
            let token = TokenFacts { id: "token-1".to_owned(), scopes: Vec::new(), workspace: None, device: None };
            Ok(Caller { kind: CallerKind::User, id: "user-1".to_owned(), token: Some(token), ..Caller::anonymous() })
        })
    }
}

impl Locate for Yes {
    fn locate<'a>(&'a self, _: &'a str, target: &'a Target) -> BoxFuture<'a, Result<Facts, Problem>> {
        let id = match target {
            Target::Run(id) => Some(id.clone()),
            _ => None,
        };
        Box::pin(async { Ok(Facts { exists: true, workspace: Some("workspace-1".to_owned()), id, ..Facts::default() }) })
    }
}

impl Assess for Yes {
    fn may_knock(&self, _: &Attempt) -> Result<(), Problem> {
        Ok(())
    }

    fn assess(&self, _: &Attempt, _: &Caller) -> Risk {
        Risk { score: 7, ..Risk::default() }
    }

    fn learn(&self, _: &Attempt, _: Verdict<'_>) {}

    fn take<'a>(&'a self, _: &'a Attempt, _: &'a Caller, _: Action) -> BoxFuture<'a, Result<Option<Allowance>, Over>> {
        Box::pin(async { Ok(None) })
    }

    fn take_in<'a>(
        &'a self,
        _: &'a str,
        _: &'a Caller,
        _: Action,
        known: Option<Allowance>,
    ) -> BoxFuture<'a, Result<Option<Allowance>, Over>> {
        Box::pin(std::future::ready(Ok(known)))
    }
}

impl Decide for Yes {
    fn decide<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Decision, Problem>> {
        let denied = question.action.name == "test.denied";
        Box::pin(async move {
            if denied {
                return Ok(Decision::Deny { visible: true, hint: "Ask for a grant.".to_owned() });
            }
            Ok(Decision::Allow { reasons: vec!["grant-1".to_owned()], scope: Scope::Workspace })
        })
    }
}

/// A verb that reads nothing.
pub struct Look(pub String);

impl Operation for Look {
    const ACTION: Action = Action::read("test.look");
    type Output = ();

    fn target(&self) -> Target {
        Target::Run(self.0.clone())
    }

    async fn run(self, _: Permit<Self>) -> Result<(), Problem> {
        Ok(())
    }
}

/// A verb that nobody may do.
pub struct Denied;

impl Operation for Denied {
    const ACTION: Action = Action::read("test.denied");
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, _: Permit<Self>) -> Result<(), Problem> {
        Ok(())
    }
}

/// A verb that commits: its record goes through the outbox.
pub struct Change {
    pub db: Db,
    pub id: String,
}

impl Operation for Change {
    const ACTION: Action = Action::write("test.change");
    type Output = ();

    fn target(&self) -> Target {
        Target::Run(self.id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let id = self.id;
        self.db.write(&permit, move |_| Ok(((), Outcome::done().resource(id).with("count", 1_usize)))).await
    }
}

pub struct Place {
    pub folder: tempfile::TempDir,
    pub config: AuditConfig,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder.path().join("audit"));
        Self { folder, config }
    }

    pub fn audit_dir(&self) -> PathBuf {
        self.config.dir.clone()
    }

    pub fn database(&self) -> Opened {
        vault::db::open(&Location::Sqlite(self.folder.path().join("main.db"))).unwrap()
    }

    pub fn open(&self) -> House {
        self.try_open().unwrap()
    }

    pub fn try_open(&self) -> Result<House, AuditError> {
        House::open(self.config.clone(), self.database())
    }
}

pub fn config(dir: &Path) -> AuditConfig {
    let mut config = AuditConfig::new(dir, ORIGIN, Secret::new(vec![3; 32]), Secret::new(vec![4; 32]));
    config.segment_bytes = 128 * 1024;
    config.ballast_bytes = 128 * 1024;
    config.checkpoint_interval = Duration::from_millis(50);
    config
}

/// An open log, its database and a gate over it.
pub struct House {
    pub log: Arc<AuditLog>,
    pub room: Audit,
    pub gate: Gate,
    pub db: Db,
    pub system: SystemDb,
}

impl House {
    pub fn open(config: AuditConfig, database: Opened) -> Result<Self, AuditError> {
        let log = AuditLog::open(config, database.system.clone(), Arc::new(SystemClock))?;
        let (gate, _) = Gate::new(Ports {
            identify: Arc::new(Yes),
            locate: Arc::new(Yes),
            assess: Arc::new(Yes),
            decide: Arc::new(Yes),
            record: Arc::clone(&log) as Arc<dyn gate::Record>,
            clock: Arc::new(SystemClock),
        });
        Ok(Self { room: Audit::new(Arc::clone(&log)), log, gate, db: database.db, system: database.system })
    }

    pub async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.gate.call(attempt(Credential::None), operation).await
    }

    pub async fn look(&self, id: &str) -> Result<(), Problem> {
        self.call(Look(id.to_owned())).await
    }

    pub async fn change(&self, id: &str) -> Result<(), Problem> {
        self.call(Change { db: self.db.clone(), id: id.to_owned() }).await
    }

    /// Many acts, 32 at a time.
    pub async fn work(&self, count: usize) {
        for part in 0..count.div_ceil(32) {
            let mut acts = Vec::new();
            for at in 0..32.min(count - part * 32) {
                let (gate, db, id) = (self.gate.clone(), self.db.clone(), format!("run-{}", part * 32 + at));
                acts.push(tokio::spawn(async move {
                    if at % 4 == 0 {
                        gate.call(attempt(Credential::None), Change { db, id }).await
                    } else {
                        gate.call(attempt(Credential::None), Look(id)).await
                    }
                }));
            }
            for act in acts {
                act.await.unwrap().unwrap();
            }
        }
    }

    /// Every record under the newest checkpoint.
    pub async fn records(&self) -> Vec<serde_json::Value> {
        self.log.flush().await.unwrap();
        let (_, _, tiles) = self.log.tree().unwrap();
        let mut all = Vec::new();
        tiles
            .each_entry(0, u64::MAX, |_, entry| {
                all.push(serde_json::from_slice(entry).unwrap());
                true
            })
            .unwrap();
        all
    }

    /// Waits until the outbox is empty.
    pub async fn drained(&self) {
        for _ in 0..3_000 {
            let system = self.system.clone();
            let rows = tokio::task::spawn_blocking(move || database_rows(&system).unwrap()).await.unwrap();
            if rows.outbox.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the outbox was not drained");
    }
}

pub fn attempt(credential: Credential) -> Attempt {
    Attempt {
        credential,
        address: IpAddr::from([10, 1, 2, 3]),
        user_agent: None,
        workspace: "default".to_owned(),
        client_certificate: None,
        known_browser: None,
    }
}

/// Verifies a folder from its files alone.
pub fn verify(dir: &Path, key: &str) -> Report {
    verify_directory(dir, &Policy::of_key(key).unwrap(), None, &mut |_, _| {}).unwrap()
}

/// Copies a folder as it is. A database in it is copied as one consistent snapshot: its own files change while its
/// connections are being closed, and a torn copy of them is no crash that SQLite could have left.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    // A folder or a file may go while a running log is copied, as it may in a crash.
    let Ok(entries) = std::fs::read_dir(from) else { return };
    for entry in entries.flatten() {
        let target = to.join(entry.file_name());
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("main.db") {
            if name == "main.db" {
                snapshot(&entry.path(), &target);
            }
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            drop(std::fs::copy(entry.path(), target));
        }
    }
}

/// Copies a running log and its database as a crash leaves them: the database first, as what its outbox has deleted was in the
/// segments before. If a segment went meanwhile, the database may be from a time when its outbox still had what was in there. No
/// crash leaves that, so all is copied again.
pub fn copy_running((database, audit): (&Path, &Path), (database_to, audit_to): (&Path, &Path)) {
    for _ in 0..COPY_COUNT_MAX {
        let before = segment_names(audit);
        snapshot(database, database_to);
        copy_segments(audit, audit_to);
        if before.is_subset(&segment_names(audit)) {
            return;
        }
        std::fs::remove_dir_all(audit_to).unwrap();
        std::fs::remove_file(database_to).unwrap();
    }
    panic!("segments went during each of {COPY_COUNT_MAX} copies");
}

/// If a segment began or went meanwhile, the one before may have been copied while it was written, and the next one after.
fn copy_segments(from: &Path, to: &Path) {
    for _ in 0..COPY_COUNT_MAX {
        let before = segment_names(from);
        copy(from, to);
        if segment_names(from) == before {
            return;
        }
        std::fs::remove_dir_all(to).unwrap();
    }
    panic!("segments began or went during each of {COPY_COUNT_MAX} copies");
}

/// How often a copy is tried.
const COPY_COUNT_MAX: usize = 200;

fn segment_names(folder: &Path) -> std::collections::BTreeSet<std::ffi::OsString> {
    let entries = std::fs::read_dir(folder.join("wal")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("seg-")).collect()
}

/// Copies a SQLite database as it is at one moment.
fn snapshot(from: &Path, to: &Path) {
    let connection = rusqlite::Connection::open(from).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.execute("VACUUM INTO ?1", [to.to_str().unwrap()]).unwrap();
}

/// A small generator, so that a seed reproduces a failure (xorshift64*, Vigna 2016).
pub struct Seeded(pub u64);

impl Seeded {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
