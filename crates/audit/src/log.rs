//! The log as a whole: opens it, takes records, gives proofs, closes it.

use std::fs::File;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use gate::{BoxFuture, Entry, Outcome, Record, SealedOutcome, Word};
use kernel::{Clock, Problem};
use parking_lot::{Mutex, RwLock};
use vault::db::{OutboxRow, SystemDb};

use crate::blocking::block_on;
use crate::checkpoint::Checkpoint;
use crate::config::{AuditConfig, OnMismatch, passes_on_ballast};
use crate::disk::Disk;
use crate::error::AuditError;
use crate::hold::Held;
use crate::index::Index;
use crate::merkle::inclusion_proof;
use crate::note::{KIND_ED25519, NoteSigner, VerifierKey};
use crate::outbox::{self, Outbox};
use crate::projector::{Bell, Projector, Published};
use crate::proof::TlogProof;
use crate::queue::{Health, Item, Origin, Queue, Refused};
use crate::record::Encoder;
use crate::recovery::{Folders, Found, Recovery, unmark_clean};
use crate::segment::origin_tag;
use crate::spare::Spares;
use crate::store;
use crate::tiles::TileReader;
use crate::wal::{Wal, WalWriter, WriterSetup};

/// How long a reader waits for the newest records to be under a checkpoint.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(10);

/// The tamper-evident log of everything that is done on this server.
pub struct AuditLog {
    wal: Arc<Wal>,
    folders: Folders,
    disk: Disk,
    encoder: Arc<Encoder>,
    signer: Arc<NoteSigner>,
    witness_keys: Vec<VerifierKey>,
    published: Arc<RwLock<Published>>,
    bell: Arc<Bell>,
    outbox: Arc<Outbox>,
    held: Arc<Held>,
    index: Arc<Index>,
    system: SystemDb,
    config: AuditConfig,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held as long as the log is open: a second server on the same folder does not start.
    _lock: File,
}

/// How the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogStatus {
    /// Whether it takes records.
    pub health: Health,
    /// Durable records.
    pub size: u64,
    /// Records under the newest checkpoint.
    pub signed_size: u64,
    /// The first record that the segments still hold.
    pub first_segment_index: u64,
}

impl AuditLog {
    /// Opens the log: replays what the segments hold, compares the tree with the signed checkpoint and with the
    /// database, finishes what an earlier run left in the outbox, and from then on takes committed outbox rows.
    ///
    /// # Errors
    /// `Mismatch` if anything does not fit together; `Config`, `Io` or `Database` if it cannot be opened.
    pub fn open(config: AuditConfig, system: SystemDb, clock: Arc<dyn Clock>) -> Result<Arc<Self>, AuditError> {
        config.check()?;
        let folders = Folders::of(&config.dir);
        let disk = Disk::new(config.disk_fault.clone());
        for folder in [&config.dir, &folders.wal, &folders.log, &folders.anchors] {
            disk.folder(folder)?;
        }
        let lock = lock(&config.dir)?;
        let signer = Arc::new(NoteSigner::new(&config.origin, KIND_ED25519, &config.signing_seed)?);
        let witness_keys = config.witness_keys.iter().map(|key| VerifierKey::parse(key)).collect::<Result<Vec<_>, _>>()?;
        let encoder = Arc::new(Encoder::new(&config.install_key, clock));
        let origin = config.origin.clone();
        let row = block_on(system.read(move |reader| Ok(store::read_checkpoint(reader, &origin)?)));
        let left = outbox::read_all(&system)?;
        let (left, forged) = sift(&encoder, left, config.on_mismatch)?;
        let recovery = Recovery {
            folders: &folders,
            disk: &disk,
            key: signer.key(),
            row: row.map_err(AuditError::Database)?,
            on_mismatch: config.on_mismatch,
            outbox_left: !left.is_empty(),
        };
        let found = recovery.run()?;
        unmark_clean(&folders, &disk)?;
        let wal = Arc::new(Wal {
            folder: folders.wal.clone(),
            queue: Queue::new(),
            durable: Mutex::new(found.durable.clone()),
            spares: Spares::open(&folders.wal, disk.clone(), config.segment_bytes, config.ballast_bytes),
        });
        let outbox = Arc::new(Outbox::new(Arc::clone(&wal), system.clone()));
        let log = Arc::new(Self {
            index: Arc::new(Index::open(&folders.index)?),
            published: Arc::new(RwLock::new(Published { checkpoint: found.checkpoint.clone(), note: found.note.clone() })),
            bell: Arc::new(Bell::new()),
            threads: Mutex::new(Vec::new()),
            _lock: lock,
            wal,
            folders,
            disk,
            encoder,
            signer,
            witness_keys,
            outbox,
            held: Arc::default(),
            system,
            config,
        });
        log.begin(found, left, forged)?;
        Ok(log)
    }

    fn begin(&self, found: Found, left: Vec<OutboxRow>, forged: Vec<OutboxRow>) -> Result<(), AuditError> {
        let (done_to, done) = mpsc::channel();
        let (logged, encoder, first) = (Arc::clone(&self.outbox.logged), Arc::clone(&self.encoder), done_to.clone());
        let held = Arc::clone(&self.held);
        let setup = WriterSetup {
            disk: self.disk.clone(),
            origin_tag: origin_tag(&self.config.origin),
            segment_bytes: self.config.segment_bytes,
            outbox_done: Box::new(move |rows| {
                logged.lock().extend(rows.iter().copied());
                held.note(&rows);
                // The receiver ends after the writer does.
                drop(done_to.send(rows));
            }),
            notice: Box::new(move |action, count| encoder.notice(action, &[("refused", Word::Number(count))])),
        };
        let writer = WalWriter::open(Arc::clone(&self.wal), setup)?;
        self.spawn("audit-writer", move || writer.run())?;
        self.note_findings(&found, &forged);
        self.bell.published_size.send_replace(found.checkpoint.as_ref().map(|newest| newest.size));
        let first_index = found.durable.segments.first().map_or(0, |first| first.first_index);
        let finished = self.outbox.finish_left(left, &found.outbox_leaves, first_index);
        let forged_ids = forged.into_iter().map(|row| (row.id, 0));
        // The receiver is alive: it is given to its thread below.
        drop(first.send(finished.into_iter().chain(forged_ids).collect()));
        drop(first);
        let (outbox, encoder) = (Arc::clone(&self.outbox), Arc::clone(&self.encoder));
        self.spawn("audit-outbox", move || outbox.run(&done, &encoder))?;
        let projector = Projector {
            wal: Arc::clone(&self.wal),
            folders: self.folders.clone(),
            disk: self.disk.clone(),
            signer: Arc::clone(&self.signer),
            system: self.system.clone(),
            published: Arc::clone(&self.published),
            bell: Arc::clone(&self.bell),
            projection: found.projection,
            reader: None,
            outbox_indexes: Arc::clone(&self.outbox.logged),
            held: Arc::clone(&self.held),
            interval: self.config.checkpoint_interval,
            force: found.accepted.is_some(),
            attempted: None,
        };
        self.spawn("audit-tiles", move || projector.run())?;
        let wal = Arc::clone(&self.wal);
        self.spawn("audit-spare", move || wal.spares.run())?;
        let (index, published, dir) = (Arc::clone(&self.index), Arc::clone(&self.published), self.folders.log.clone());
        self.spawn("audit-index", move || index.run(&dir, &|| published.read().checkpoint.as_ref().map_or(0, |c| c.size)))?;
        let outbox = Arc::downgrade(&self.outbox);
        // Weak: the database holds the sink, and the outbox the database.
        self.system.set_outbox_sink(Arc::new(move |row| {
            if let Some(outbox) = outbox.upgrade() {
                outbox.hand_over(row);
            }
        }));
        Ok(())
    }

    /// What start-up had to mend goes into the log itself.
    fn note_findings(&self, found: &Found, forged: &[OutboxRow]) {
        if found.wiped_bytes > 0 {
            tracing::warn!(wiped_bytes = found.wiped_bytes, "an unfinished write at the end of the audit log was wiped");
            let count = i64::try_from(found.wiped_bytes).unwrap_or(i64::MAX);
            self.notice("audit.wiped", &[("bytes", Word::Number(count)), ("index", Word::from(found.durable.size.to_string()))]);
        }
        if let Some(what) = &found.accepted {
            tracing::warn!(what, "a mismatch of the audit log was accepted by the operator");
            self.notice("audit.accepted", &[("mismatch_sha256", Word::from(kernel::hex(&kernel::sha256(what.as_bytes()))))]);
        }
        for row in forged {
            let digest = kernel::hex(&kernel::sha256(&row.payload));
            self.notice("audit.forged", &[("payload_sha256", Word::from(digest))]);
        }
    }

    fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), AuditError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(AuditError::io(Path::new(name)))?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Writes a record of the server about itself, without waiting for the disk.
    pub fn notice(&self, action: &'static str, details: &[(&'static str, Word)]) {
        let payload = self.encoder.notice(action, details);
        if !self.wal.queue.submit_settled(Item::new(payload, Origin::Settled)) {
            tracing::error!(action, "a notice could not be kept for the audit log");
        }
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> LogStatus {
        let durable = self.wal.durable.lock();
        LogStatus {
            health: self.wal.queue.health(),
            size: durable.size,
            signed_size: self.published.read().checkpoint.as_ref().map_or(0, |newest| newest.size),
            first_segment_index: durable.segments.first().map_or(0, |first| first.first_index),
        }
    }

    /// The log's name, as its checkpoints have it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.config().origin
    }

    /// The address behind a keyed one of a record, as far as somebody came from there with a token since this process began. It is in memory only.
    #[must_use]
    pub fn address_behind(&self, keyed: &str) -> Option<IpAddr> {
        self.encoder.address_behind(keyed)
    }

    /// The key that checks this log's checkpoints.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        self.signer.key()
    }

    pub(crate) fn witness_keys(&self) -> &[VerifierKey] {
        &self.witness_keys
    }

    pub(crate) const fn folders(&self) -> &Folders {
        &self.folders
    }

    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    pub(crate) fn segments(&self) -> Vec<crate::wal::SegmentMeta> {
        self.wal.durable.lock().segments.clone()
    }

    pub(crate) const fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(crate) const fn system(&self) -> &SystemDb {
        &self.system
    }

    pub(crate) fn config(&self) -> &AuditConfig {
        &self.config
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// The newest checkpoint and its note, with the witnesses' cosignatures that are known for it.
    ///
    /// # Errors
    /// `NoSuchRecord` before the first checkpoint was signed.
    pub fn checkpoint(&self) -> Result<(Checkpoint, String), AuditError> {
        let published = self.published.read().clone();
        let checkpoint = published.checkpoint.ok_or_else(|| AuditError::NoSuchRecord("checkpoint".to_owned()))?;
        Ok((checkpoint, published.note))
    }

    /// Waits until every record that is durable now is under a checkpoint.
    ///
    /// # Errors
    /// `Database` if that takes longer than ten seconds.
    pub async fn flush(&self) -> Result<(), AuditError> {
        let wanted = Some(self.wal.durable.lock().size);
        let mut size = self.bell.published_size.subscribe();
        if *size.borrow_and_update() >= wanted {
            return Ok(());
        }
        self.bell.flush();
        let reached = size.wait_for(|size| *size >= wanted);
        match tokio::time::timeout(FLUSH_WAIT_MAX, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                Err(AuditError::Database(Problem::unavailable("the newest records could not be signed in time")))
            }
        }
    }

    /// The tree under the newest checkpoint.
    ///
    /// # Errors
    /// As [`AuditLog::checkpoint`].
    pub fn tree(&self) -> Result<(Checkpoint, String, TileReader), AuditError> {
        let (checkpoint, note) = self.checkpoint()?;
        let tiles = TileReader::new(&self.folders.log, checkpoint.size);
        Ok((checkpoint, note, tiles))
    }

    /// A record and its receipt.
    ///
    /// # Errors
    /// `NoSuchRecord` if no checkpoint covers that index; `Io` or `Mismatch` if the tree cannot be read.
    pub fn prove(&self, index: u64) -> Result<(Vec<u8>, TlogProof), AuditError> {
        let (checkpoint, note, mut tiles) = self.tree()?;
        let path = inclusion_proof(&mut tiles, index, checkpoint.size)?;
        let record = tiles.entry(index)?;
        let note = crate::witness::with_cosignatures(&self.folders.anchors, checkpoint.size, note);
        let proof = TlogProof { index, path, checkpoint: note };
        // What is handed out as proof has been checked once: a damaged file gives an error, not a bad receipt.
        proof
            .check(&record, self.signer.key())
            .map_err(|_| AuditError::Mismatch(format!("record {index} or its tiles are not what the checkpoint says")))?;
        Ok((record, proof))
    }

    async fn waited(&self, payload: Vec<u8>, action: &str) -> Result<(), Problem> {
        let submitted = self.wal.queue.submit_waited(payload, passes_on_ballast(action), self.config.wait_max);
        let batch = submitted.map_err(|refused| refusal(&refused))?;
        if batch.wait(self.config.wait_max).await {
            return Ok(());
        }
        Err(Problem::unavailable("audit_unavailable: the audit log could not be written in time; nothing was done"))
    }

    /// Writes what waits, signs the last checkpoint and ends the log's threads. Records that come later are refused.
    pub fn close(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        if threads.is_empty() {
            return;
        }
        self.wal.queue.stop();
        self.index.stop();
        self.wal.spares.stop();
        let (mut last, first): (Vec<_>, Vec<_>) =
            threads.into_iter().partition(|thread| thread.thread().name() == Some("audit-tiles"));
        for thread in first {
            join(thread);
        }
        self.bell.stop();
        last.drain(..).for_each(join);
        self.wal.queue.set_health(Health::Closed);
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.close();
    }
}

impl Record for AuditLog {
    fn intent<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(self.waited(self.encoder.intent(entry), entry.action.name))
    }

    fn refusal<'a>(&'a self, entry: &'a Entry, problem: &'a Problem) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(self.waited(self.encoder.refusal(entry, problem), entry.action.name))
    }

    fn outcome(&self, entry: &Entry, outcome: &Outcome) {
        let item = Item::new(self.encoder.outcome(entry, outcome), Origin::Settled);
        if !self.wal.queue.submit_settled(item) {
            tracing::error!(entry.id = entry.id, "the audit log takes no more outcomes; its intent stays without one");
        }
    }

    fn seal(&self, entry: &Entry, outcome: &Outcome) -> SealedOutcome {
        self.encoder.seal(entry, outcome)
    }
}

fn refusal(refused: &Refused) -> Problem {
    Problem::unavailable(match refused {
        Refused::Health(Health::Reserve) => {
            "audit_unavailable: the disk is full and the audit log lives on its reserve; nothing was done. Make room on the server's disk"
        }
        Refused::Health(Health::Fenced) => {
            "audit_unavailable: the audit log's checkpoint in the database is not this server's; nothing was done. Run `audit verify`"
        }
        Refused::Health(_) => "audit_unavailable: the audit log cannot be written now; nothing was done",
        Refused::Full => "audit_unavailable: too many records wait for the disk; nothing was done",
        Refused::Stalled => "audit_unavailable: the disk does not answer; nothing was done",
    })
}

/// Parts rows that are as they were sealed from those that are not.
fn sift(
    encoder: &Encoder,
    rows: Vec<OutboxRow>,
    on_mismatch: OnMismatch,
) -> Result<(Vec<OutboxRow>, Vec<OutboxRow>), AuditError> {
    let (good, forged): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| encoder.seal_holds(&row.event_id, &row.payload));
    match forged.first() {
        Some(first) if on_mismatch == OnMismatch::Refuse => {
            Err(AuditError::Mismatch(format!("row {} of `audit_outbox` was changed after it was sealed", first.id)))
        }
        _ => Ok((good, forged)),
    }
}

fn lock(dir: &Path) -> Result<File, AuditError> {
    let path = dir.join("lock");
    let file = File::options().create(true).append(true).mode(0o600).open(&path).map_err(AuditError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(AuditError::Config(format!("another server has `{}` open", dir.display()))),
        Err(std::fs::TryLockError::Error(error)) => Err(AuditError::Io(path, error)),
    }
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if thread.join().is_err() {
        tracing::error!(name, "a thread of the audit log broke");
    }
}
