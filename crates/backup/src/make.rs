//! Makes one backup while the server runs.
//!
//! The order: hold back what takes objects away → snapshot of the database → the objects that it names → the log up to the
//! snapshot's point, and the folder's other files → read back what was written → the manifest, last. What was written before a crash
//! is found again by the next run; without a manifest it is no backup.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use gate::Permit;
use kernel::{Micros, Problem, Sha256Hasher};
use vault::db::Reader;
use vault::db::snapshot::{self, Means};
use vault::objects::{ObjectId, file_stream};

use crate::chain::Chain;
use crate::error::BackupError;
use crate::inventory::{Blob, FileEntry, Inventory};
use crate::manifest::{FORMAT, Log, Manifest, Part, name_of};
use crate::sealed;
use crate::target::{Stored, Target};
use crate::types::{Run, RunState};
use crate::{Backup, mend, store};

/// Files of the data folder that go into a backup, besides the log. Never `keys`.
const FOLDERS: [&str; 2] = ["tls", "predictions"];
const FILES: [&str; 2] = ["strongroom.toml", "audit.vkey"];
/// Of what older backups copied, one part in so many is read again by each: all of it in as many backups.
const REREAD_SHARE: u64 = 32;
/// What one backup reads again at most.
const REREAD_BYTES_MAX: u64 = 1 << 30;
/// How often progress is written down.
const PROGRESS_EVERY: u64 = 64;

/// One backup under way.
struct Making<'a, O: ?Sized> {
    room: &'a Backup,
    permit: &'a Permit<O>,
    target: Target,
    run: &'a Run,
    /// What the backup before this one holds.
    before: Inventory,
    list: Inventory,
    /// Parts that were found missing or damaged.
    faults: HashSet<String>,
    reread_bytes: u64,
    /// Parts that were copied anew in the place of damaged ones.
    mended_count: u64,
    sequence: u64,
    copied_bytes: u64,
    /// What was written now, and is read back.
    fresh: Vec<(String, Stored)>,
}

/// What was made.
pub(crate) struct Made {
    /// The run as it ended.
    pub(crate) run: Run,
    /// Its manifest, as it was signed.
    pub(crate) manifest: Vec<u8>,
    /// Names of manifests that are not good, or missing.
    pub(crate) faulty: Vec<String>,
    /// Parts of older backups that were copied anew, and manifests that were put back.
    pub(crate) mended_count: u64,
}

/// Makes the backup that `run` asks for, behind the last good one.
///
/// # Errors
/// `Unavailable` if the place or a source cannot be used; `Conflict` if the place is another server's.
pub(crate) async fn make<O: ?Sized>(room: &Backup, permit: &Permit<O>, run: &Run) -> Result<Made, Problem> {
    let target = room.target(&run.target)?;
    target.clear_unfinished().await?;
    let trust = room.trust().await?;
    let known = room.known_manifests(permit, &run.target).await?;
    let mut chain = Chain::read(&target, &trust).await?;
    chain.compare(&known, room.0.config.keep);
    chain.check_own(&known)?;
    let put_back_count = mend::manifests(room, permit, (&target, &run.target), &trust, &chain).await?;
    if put_back_count > 0 {
        chain = Chain::read(&target, &trust).await?;
        chain.compare(&known, room.0.config.keep);
    }
    for (sequence, error) in chain.faults() {
        tracing::error!(sequence, %error, "a manifest is not good: the backup goes on behind the last one that is");
    }
    let place = run.target.clone();
    let mut making = Making {
        room,
        permit,
        before: last_inventory(&target, &trust, &chain).await?,
        target,
        run,
        list: Inventory::default(),
        faults: room.0.system.read(move |reader| store::faults(reader, &place)).await?,
        reread_bytes: 0,
        mended_count: put_back_count,
        sequence: known.last().map_or(0, |one| one.sequence).max(chain.last_sequence()) + 1,
        copied_bytes: 0,
        fresh: Vec::new(),
    };
    let held = room.0.objects.hold().await;
    let made = making.fill(&trust, &chain).await;
    held.release(permit).await?;
    let faulty = chain.faults().iter().map(|(sequence, _)| name_of(*sequence)).collect();
    let (run, manifest) = made?;
    Ok(Made { run, manifest, faulty, mended_count: making.mended_count })
}

/// What the last backup whose inventory can be read holds.
async fn last_inventory(target: &Target, trust: &crate::Trust, chain: &Chain) -> Result<Inventory, Problem> {
    for signed in chain.iter().rev() {
        match chain.inventory(target, trust, signed).await {
            Ok(list) => return Ok(list),
            Err(BackupError::Place(problem)) => return Err(problem),
            Err(error) => tracing::error!(sequence = signed.manifest.sequence, %error, "an inventory is not good"),
        }
    }
    Ok(Inventory::default())
}

impl<O: ?Sized> Making<'_, O> {
    async fn fill(&mut self, trust: &crate::Trust, chain: &Chain) -> Result<(Run, Vec<u8>), Problem> {
        let (room, sequence) = (self.room, self.sequence);
        let log = room.0.audit.log().hold()?;
        let started_at = room.0.clock.now();
        self.step("journal", 0, 0).await?;
        self.files(&trust.key, &listed(&room.0.data)).await?;
        self.step("snapshot", 0, 0).await?;
        let folder = room.scratch()?;
        let scratch = folder.join(format!("{}.db", self.run.id));
        let means = Means { scratch, programs: room.0.config.postgres_programs.clone() };
        let (facts, snapshot) = room.0.db.snapshot(self.permit, means, Facts::read).await?;
        let point = log.point(snapshot.newest_row()).await?;
        let (blob, _) = sealed::write(&self.target, &trust.key, snapshot.stream()?).await?;
        let engine = snapshot.engine().to_owned();
        drop(snapshot);
        self.fresh.push((sealed::blob_name(&blob.id), blob.stored));
        self.copied_bytes += blob.stored.size_bytes;
        let database = Part::of(&blob);
        self.objects(&facts.objects).await?;
        let files = log.files(point.point)?;
        self.log_files(&trust.key, &files).await?;
        let list = std::mem::take(&mut self.list);
        let text = list.to_text().into_bytes();
        let (blob, _) = sealed::write(&self.target, &trust.key, sealed::bytes_stream(text)).await?;
        self.fresh.push((sealed::blob_name(&blob.id), blob.stored));
        self.read_back().await?;
        let manifest = Manifest {
            database,
            ended_at: room.0.clock.now().0,
            engine,
            format: FORMAT,
            initiator: self.run.asked_by.clone(),
            instance: trust.instance.clone(),
            inventory: Part::of(&blob),
            log: Log::of(&point),
            object_count: list.objects.len() as u64,
            previous: chain.newest().map(|newest| kernel::hex(&newest.sha256)),
            schema: facts.steps,
            sequence,
            started_at: started_at.0,
        };
        let (bytes, digest) = manifest.sign(&room.signer().await?)?;
        self.target.create(&name_of(sequence), bytes.clone()).await?;
        let ended = Run {
            state: RunState::Done,
            step: "done".to_owned(),
            sequence: Some(sequence),
            manifest_sha256: Some(digest.to_vec()),
            log_size: Some(point.point),
            object_count: Some(manifest.object_count),
            copied_bytes: Some(self.copied_bytes),
            point_at: Some(Micros(manifest.started_at)),
            took_ms: u64::try_from((manifest.ended_at - manifest.started_at) / 1_000).ok(),
            ended_at: Some(room.0.clock.now()),
            ..self.run.clone()
        };
        Ok((ended, bytes))
    }

    async fn step(&self, step: &'static str, done: u64, total: u64) -> Result<(), Problem> {
        self.room.progress(&self.run.id, step, done, total).await
    }

    /// The objects that the snapshot names, each once for good: an object is never changed.
    async fn objects(&mut self, ids: &HashSet<String>) -> Result<(), Problem> {
        let total = ids.len() as u64;
        for (done, id) in (0_u64..).zip(ids) {
            if done.is_multiple_of(PROGRESS_EVERY) {
                self.step("objects", done, total).await?;
            }
            let name = sealed::object_name(id);
            let had = self.before.objects.get(id).copied();
            if let Some(had) = had
                && self.is_good(&name, had).await?
            {
                self.list.objects.insert(id.clone(), had);
                continue;
            }
            let stored = self.object(id, &name).await?;
            self.list.objects.insert(id.clone(), stored);
        }
        self.step("objects", total, total).await
    }

    /// Whether what an older backup copied is still what it was: by its size, of a share of all by every byte, and never what was found damaged.
    async fn is_good(&mut self, name: &str, had: Stored) -> Result<bool, Problem> {
        let mut is_good = !self.faults.contains(name) && self.target.size(name).await? == Some(had.size_bytes);
        let left_bytes = REREAD_BYTES_MAX.saturating_sub(self.reread_bytes);
        if is_good && is_in_share(name, self.sequence) && had.size_bytes <= left_bytes {
            self.reread_bytes += had.size_bytes;
            is_good = self.target.digest(name).await? == Some(had);
        }
        if !is_good {
            self.mended_count += 1;
            tracing::error!(
                name,
                place = self.target.shown(),
                "what an older backup copied is missing or damaged, and is copied anew"
            );
        }
        Ok(is_good)
    }

    /// Copies one object, unless a run that was broken off has: what lies there counts only if it is what is here.
    async fn object(&mut self, id: &str, name: &str) -> Result<Stored, Problem> {
        let id = ObjectId::parse(id)?;
        if let Some(there) = self.target.digest(name).await? {
            let mut pieces = self.room.0.objects.stored(self.permit, &id).await?;
            let (mut hasher, mut size_bytes) = (Sha256Hasher::new(), 0_u64);
            while let Some(piece) = pieces.next().await {
                let piece = piece?;
                hasher.update(&piece);
                size_bytes = size_bytes.saturating_add(piece.len() as u64);
            }
            if there == (Stored { size_bytes, sha256: hasher.finish() }) {
                return Ok(there);
            }
        }
        let mut pieces = self.room.0.objects.stored(self.permit, &id).await?;
        let mut writing = self.target.write(name);
        while let Some(piece) = pieces.next().await {
            writing.push(&piece?).await?;
        }
        let stored = writing.finish().await?;
        self.copied_bytes = self.copied_bytes.saturating_add(stored.size_bytes);
        self.fresh.push((name.to_owned(), stored));
        Ok(stored)
    }

    /// Files of the folder that may change: sealed anew each time. One that went meanwhile was not to be kept.
    async fn files(&mut self, key: &kernel::Secret, files: &[(String, PathBuf)]) -> Result<(), Problem> {
        for (name, path) in files {
            let Ok(file) = File::open(path) else { continue };
            let (blob, length_bytes) = sealed::write(&self.target, key, file_stream(file)).await?;
            self.keep(name, blob, length_bytes, length_bytes);
        }
        Ok(())
    }

    /// Files of the log: they only grow, so one of the same name and length is the same file.
    async fn log_files(&mut self, key: &kernel::Secret, files: &[audit::LogFile]) -> Result<(), Problem> {
        let total = files.len() as u64;
        for (done, file) in (0_u64..).zip(files) {
            if done.is_multiple_of(PROGRESS_EVERY) {
                self.step("log", done, total).await?;
            }
            let name = format!("audit/{}", file.name);
            if let Some(had) = self.before.files.get(&name)
                && had.length_bytes == file.length_bytes
            {
                let same = FileEntry { size_bytes: file.size_bytes, ..had.clone() };
                if self.is_good(&sealed::blob_name(&same.blob.id), same.blob.stored).await? {
                    self.list.files.insert(name, same);
                    continue;
                }
            }
            let plain = head_of(&file.path, file.length_bytes)?;
            let (blob, length_bytes) = sealed::write(&self.target, key, plain).await?;
            if length_bytes != file.length_bytes {
                return Err(Problem::internal("a file of the log is shorter than the log says", file.name.clone()));
            }
            self.keep(&name, blob, length_bytes, file.size_bytes);
        }
        Ok(())
    }

    fn keep(&mut self, name: &str, blob: Blob, length_bytes: u64, size_bytes: u64) {
        self.copied_bytes = self.copied_bytes.saturating_add(blob.stored.size_bytes);
        self.fresh.push((sealed::blob_name(&blob.id), blob.stored));
        self.list.files.insert(name.to_owned(), FileEntry { blob, length_bytes, size_bytes });
    }

    /// Reads back all that was written now. What older runs wrote is read by `backup verify` and by drills.
    async fn read_back(&mut self) -> Result<(), Problem> {
        let fresh = std::mem::take(&mut self.fresh);
        let total = fresh.len() as u64;
        for (done, (name, stored)) in (0_u64..).zip(fresh) {
            if done.is_multiple_of(PROGRESS_EVERY) {
                self.step("reading back", done, total).await?;
            }
            if self.target.digest(&name).await? != Some(stored) {
                let message =
                    format!("`{name}` in `{}` does not read back as it was written: look at its disk", self.target.shown());
                return Err(Problem::internal(message, "the digest differs"));
            }
        }
        Ok(())
    }
}

/// Whether it is the turn of this part to be read again. Names are random.
pub(crate) fn is_in_share(name: &str, sequence: u64) -> bool {
    let end = name.get(name.len().saturating_sub(8)..).unwrap_or_default();
    u64::from_str_radix(end, 16).is_ok_and(|number| number % REREAD_SHARE == sequence % REREAD_SHARE)
}

/// What a snapshot of the database says.
struct Facts {
    objects: HashSet<String>,
    steps: Vec<String>,
}

impl Facts {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        Ok(Self { objects: artifacts::known_objects(reader)?, steps: snapshot::schema_steps(reader)? })
    }
}

/// The first `length` bytes of a file.
fn head_of(path: &Path, length: u64) -> Result<vault::objects::Stored, Problem> {
    let file = File::open(path).map_err(|error| Problem::unavailable("a file of the log cannot be read").because(error))?;
    let mut left = length;
    Ok(file_stream(file)
        .map(move |piece| {
            let piece = piece?;
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            left = left.saturating_sub(count as u64);
            Ok(piece.slice(..count))
        })
        .take_while(|piece| std::future::ready(piece.as_ref().map_or(true, |piece| !piece.is_empty())))
        .boxed())
}

/// The folder's other files: name below it, and path.
fn listed(data: &Path) -> Vec<(String, PathBuf)> {
    let mut all: Vec<_> = FILES.iter().map(|name| ((*name).to_owned(), data.join(name))).collect();
    for folder in FOLDERS {
        for entry in std::fs::read_dir(data.join(folder)).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                all.push((format!("{folder}/{}", entry.file_name().to_string_lossy()), entry.path()));
            }
        }
    }
    all
}
