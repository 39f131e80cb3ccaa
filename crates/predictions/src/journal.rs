//! The write-ahead journal: each prediction is written here before it is said, encrypted, into a segment of the data folder. The
//! runner seals segments into batches and takes them away.
//!
//! INVARIANT: what [`Journal::append`] took is read back after the process was killed at any moment. Held by `tests`. What a power
//! cut takes is younger than [`SYNC_EVERY`].
//! INVARIANT: a frame that was not written whole, or was changed, is not read, nor is anything behind it. Held by `tests`.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use kernel::{Problem, Secret, random_bytes};
use parking_lot::Mutex;
use vault::keys::{FRAME_SALT_BYTES, FRAME_TAG_BYTES, FrameKey};

use crate::limits::{SEGMENT_BYTES_MAX, SYNC_EVERY, VALUES_BYTES_MAX};

const MAGIC: &[u8; 8] = b"SRPRED01";
const HEAD_BYTES: usize = MAGIC.len() + FRAME_SALT_BYTES;
const ENDING: &str = "journal";
const PURPOSE: &[u8] = b"strongroom/prediction-journal/1";
/// Before a frame: its length.
const LENGTH_BYTES: usize = 4;
/// What is read of a segment at once.
const READ_BYTES: usize = 256 << 10;
/// A frame longer than this was never written.
const FRAME_BYTES_MAX: usize = VALUES_BYTES_MAX + (1 << 20);

/// What is kept of a prediction's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// Nothing but what the record says.
    None,
    /// As they are.
    Plain(Vec<u8>),
    /// Under the subject's key.
    Sealed(Vec<u8>),
}

impl Frame {
    /// What it takes in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        self.record.len().saturating_add(self.body.parts().1.len())
    }
}

impl Body {
    fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::None => (0, &[]),
            Self::Plain(bytes) => (1, bytes),
            Self::Sealed(bytes) => (2, bytes),
        }
    }
}

/// One prediction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) record: Vec<u8>,
    pub(crate) body: Body,
}

/// A segment that is not written any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    /// Its salt: random, and so its name.
    pub(crate) id: [u8; FRAME_SALT_BYTES],
    size_bytes: u64,
}

pub(crate) struct Journal {
    folder: PathBuf,
    secret: Arc<Secret>,
    state: Mutex<State>,
    /// Bytes of all segments.
    pending_bytes: AtomicU64,
    pending_bytes_max: u64,
}

struct State {
    open: Option<Open>,
    closed: Vec<Segment>,
    next_number: u64,
    buffer: Vec<u8>,
}

/// The segment that is written.
struct Open {
    file: Arc<File>,
    segment: Segment,
    key: FrameKey,
    frame_count: u64,
    synced: bool,
}

impl Journal {
    /// Opens the journal; what an earlier run left waits to be sealed.
    pub(crate) fn open(folder: &Path, secret: Arc<Secret>, pending_bytes_max: u64) -> Result<Arc<Self>, Problem> {
        let cannot = |error: std::io::Error| {
            Problem::unavailable(format!("the journal of predictions in `{}` cannot be opened", folder.display())).because(error)
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let number = stem.and_then(|stem| u64::from_str_radix(stem, 16).ok());
            if let Some(number) = number.filter(|_| path.extension().is_some_and(|ending| ending == ENDING)) {
                found.push((number, path));
            }
        }
        found.sort();
        let next_number = found.last().map_or(1, |(number, _)| number.saturating_add(1));
        let mut closed = Vec::new();
        for (_, path) in found {
            match segment_of(&path).map_err(cannot)? {
                Some(segment) => closed.push(segment),
                // Begun, and cut off before its head was whole: nothing was ever written into it.
                None => std::fs::remove_file(&path).map_err(cannot)?,
            }
        }
        let pending: u64 = closed.iter().map(|segment: &Segment| segment.size_bytes).sum();
        let journal = Arc::new(Self {
            folder: folder.to_path_buf(),
            secret,
            state: Mutex::new(State { open: None, closed, next_number, buffer: Vec::new() }),
            pending_bytes: AtomicU64::new(pending),
            pending_bytes_max,
        });
        let weak = Arc::downgrade(&journal);
        std::thread::Builder::new().name("prediction-journal".to_owned()).spawn(move || keep_synced(&weak)).map_err(cannot)?;
        Ok(journal)
    }

    /// Writes a prediction. When this answers, the end of this process cannot take it.
    pub(crate) fn append(&self, record: &[u8], body: &Body) -> Result<(), Problem> {
        if self.pending_bytes.load(Ordering::Relaxed) >= self.pending_bytes_max {
            return Err(Problem::unavailable(
                "prediction_log_full: too many predictions wait to be sealed; nothing was answered. See the server's log, or raise `predictions.pending_bytes_max`",
            ));
        }
        let mut state = self.state.lock();
        let mut buffer = std::mem::take(&mut state.buffer);
        let written = self.write(&mut state, &mut buffer, record, body);
        if buffer.capacity() <= 1 << 20 {
            state.buffer = buffer;
        }
        written
    }

    fn write(&self, state: &mut State, buffer: &mut Vec<u8>, record: &[u8], body: &Body) -> Result<(), Problem> {
        let mut open = match state.open.take() {
            Some(open) if open.segment.size_bytes < SEGMENT_BYTES_MAX => open,
            full => {
                state.closed.extend(full.map(|open| open.segment));
                self.begin(state)?
            }
        };
        match self.write_into(&mut open, buffer, record, body) {
            Ok(()) => {
                state.open = Some(open);
                Ok(())
            }
            Err(problem) => {
                // What was written of it is cut off; where even that fails, a reader finds that the frame is not whole.
                drop(open.file.set_len(open.segment.size_bytes));
                state.closed.push(open.segment);
                Err(problem)
            }
        }
    }

    fn write_into(&self, open: &mut Open, buffer: &mut Vec<u8>, record: &[u8], body: &Body) -> Result<(), Problem> {
        let (kind, values) = body.parts();
        let too_long = || Problem::internal("a prediction is too long to be kept", "longer than a frame");
        buffer.clear();
        buffer.extend_from_slice(&[0; LENGTH_BYTES]);
        buffer.extend_from_slice(&u32::try_from(record.len()).map_err(|_| too_long())?.to_le_bytes());
        buffer.extend_from_slice(record);
        buffer.push(kind);
        buffer.extend_from_slice(values);
        let tag = open.key.seal(open.frame_count, buffer.get_mut(LENGTH_BYTES..).ok_or_else(too_long)?)?;
        buffer.extend_from_slice(&tag);
        let length = buffer.len() - LENGTH_BYTES;
        if length > FRAME_BYTES_MAX {
            return Err(too_long());
        }
        let head = u32::try_from(length).map_err(|_| too_long())?.to_le_bytes();
        buffer.iter_mut().zip(head).for_each(|(to, from)| *to = from);
        open.file.write_all_at(buffer, open.segment.size_bytes).map_err(|error| unwritten(&error))?;
        open.frame_count = open.frame_count.saturating_add(1);
        open.segment.size_bytes = open.segment.size_bytes.saturating_add(buffer.len() as u64);
        open.synced = false;
        self.pending_bytes.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn begin(&self, state: &mut State) -> Result<Open, Problem> {
        let id = random_bytes::<FRAME_SALT_BYTES>();
        let path = self.folder.join(format!("{:016x}.{ENDING}", state.next_number));
        state.next_number = state.next_number.saturating_add(1);
        let key = FrameKey::derive(&self.secret, &id, PURPOSE)?;
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = made.map_err(|error| unwritten(&error))?;
        let head = [MAGIC.as_slice(), &id].concat();
        file.write_all_at(&head, 0).map_err(|error| unwritten(&error))?;
        // The name must survive a power cut as well as what is written under it.
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(|error| unwritten(&error))?;
        let size_bytes = head.len() as u64;
        self.pending_bytes.fetch_add(size_bytes, Ordering::Relaxed);
        Ok(Open { file: Arc::new(file), segment: Segment { path, id, size_bytes }, key, frame_count: 0, synced: true })
    }

    /// Ends the segment that is written, and gives all that wait to be sealed, oldest first.
    pub(crate) fn rotate(&self) -> Vec<Segment> {
        let mut state = self.state.lock();
        let ended = state.open.take().map(|open| open.segment);
        state.closed.extend(ended);
        state.closed.clone()
    }

    /// Whether nothing waits to be sealed.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending_bytes.load(Ordering::Relaxed) == 0
    }

    /// Hands on what a segment holds, one frame at a time: what was handed on need not stay in memory.
    ///
    /// # Errors
    /// If the segment cannot be read; and whatever `take` fails with.
    pub(crate) fn each(&self, segment: &Segment, mut take: impl FnMut(Frame) -> Result<(), Problem>) -> Result<(), Problem> {
        let cannot = |error| Problem::unavailable("a segment of the journal of predictions cannot be read").because(error);
        let key = FrameKey::derive(&self.secret, &segment.id, PURPOSE)?;
        let file = File::open(&segment.path).map_err(cannot)?;
        let size_bytes = file.metadata().map_err(cannot)?.len();
        let mut file = BufReader::with_capacity(READ_BYTES, file);
        let mut end = file.seek(SeekFrom::Start(HEAD_BYTES as u64)).map_err(cannot)?;
        let mut number = 0_u64;
        while let Some(sealed) = next(&mut file).map_err(cannot)? {
            let length = sealed.len();
            let Some(frame) = opened(&key, number, sealed) else { break };
            take(frame)?;
            end = end.saturating_add((LENGTH_BYTES + length) as u64);
            number = number.saturating_add(1);
        }
        if end < size_bytes {
            let lost_bytes = size_bytes - end;
            tracing::warn!(lost_bytes, "an unfinished write at the end of a journal of predictions is left out");
        }
        Ok(())
    }

    /// All that a segment holds.
    #[cfg(test)]
    pub(crate) fn read(&self, segment: &Segment) -> Result<Vec<Frame>, Problem> {
        let mut frames = Vec::new();
        self.each(segment, |frame| {
            frames.push(frame);
            Ok(())
        })?;
        Ok(frames)
    }

    /// Takes a segment away whose predictions are all in batches.
    pub(crate) fn remove(&self, segment: &Segment) -> Result<(), Problem> {
        let cannot = |error| Problem::unavailable("a sealed segment of the journal cannot be deleted").because(error);
        std::fs::remove_file(&segment.path).map_err(cannot)?;
        self.state.lock().closed.retain(|known| known.path != segment.path);
        self.pending_bytes.fetch_sub(segment.size_bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Brings what was written to the disk. A segment that cannot be brought there is written no more.
    fn sync(&self) {
        let file = {
            let mut state = self.state.lock();
            let Some(open) = state.open.as_mut().filter(|open| !open.synced) else { return };
            open.synced = true;
            Arc::clone(&open.file)
        };
        if let Err(error) = file.sync_data() {
            tracing::error!(%error, "the journal of predictions could not be brought to the disk");
            let mut state = self.state.lock();
            let ended = state.open.take_if(|open| Arc::ptr_eq(&open.file, &file)).map(|open| open.segment);
            state.closed.extend(ended);
        }
    }
}

fn keep_synced(journal: &Weak<Journal>) {
    loop {
        std::thread::park_timeout(SYNC_EVERY);
        let Some(journal) = journal.upgrade() else { return };
        journal.sync();
    }
}

fn unwritten(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "a prediction could not be logged");
    Problem::unavailable(
        "prediction_log_unavailable: the prediction could not be logged; nothing was answered. Is the server's disk full?",
    )
}

/// None where the file has no whole head.
fn segment_of(path: &Path) -> std::io::Result<Option<Segment>> {
    let file = File::open(path)?;
    let size_bytes = file.metadata()?.len();
    let mut head = [0; HEAD_BYTES];
    if size_bytes < HEAD_BYTES as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut head, 0)?;
    let id = head.strip_prefix(MAGIC).and_then(|id| id.try_into().ok());
    Ok(id.map(|id| Segment { path: path.to_path_buf(), id, size_bytes }))
}

/// The next frame as it was sealed. None where there is none, or not all of it.
fn next(file: &mut impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut length = Vec::with_capacity(LENGTH_BYTES);
    file.by_ref().take(LENGTH_BYTES as u64).read_to_end(&mut length)?;
    let Ok(length) = <[u8; LENGTH_BYTES]>::try_from(length.as_slice()) else { return Ok(None) };
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if !(FRAME_TAG_BYTES + 1..=FRAME_BYTES_MAX).contains(&length) {
        return Ok(None);
    }
    let mut sealed = Vec::with_capacity(length.min(READ_BYTES));
    file.by_ref().take(length as u64).read_to_end(&mut sealed)?;
    Ok((sealed.len() == length).then_some(sealed))
}

fn opened(key: &FrameKey, number: u64, mut sealed: Vec<u8>) -> Option<Frame> {
    let plain = key.open(number, &mut sealed)?;
    let (record_length, plain) = plain.split_first_chunk::<4>()?;
    let (record, plain) = plain.split_at_checked(usize::try_from(u32::from_le_bytes(*record_length)).ok()?)?;
    let (kind, values) = plain.split_first()?;
    let body = match kind {
        0 => Body::None,
        1 => Body::Plain(values.to_vec()),
        2 => Body::Sealed(values.to_vec()),
        _ => return None,
    };
    Some(Frame { record: record.to_vec(), body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path, pending_bytes_max: u64) -> Arc<Journal> {
        Journal::open(folder, Arc::new(Secret::new(vec![3; 32])), pending_bytes_max).unwrap()
    }

    fn append(journal: &Journal, record: &str) -> Result<(), Problem> {
        journal.append(record.as_bytes(), &Body::Plain(format!("values of {record}").into_bytes()))
    }

    fn records(journal: &Journal) -> Vec<String> {
        let read = |segment: &Segment| journal.read(segment).unwrap();
        let frames = journal.rotate().iter().flat_map(read).collect::<Vec<_>>();
        frames.into_iter().map(|frame| String::from_utf8(frame.record).unwrap()).collect()
    }

    #[test]
    fn what_was_appended_is_there_after_the_process_ended_without_a_word() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), 1 << 20);
        for name in ["a", "b", "c"] {
            append(&journal, name).unwrap();
        }
        // A killed process drops nothing and syncs nothing: what another one sees is what was written.
        let next = open(folder.path(), 1 << 20);
        assert_eq!(records(&next), ["a", "b", "c"]);
        append(&next, "d").unwrap();
        let segments = next.rotate();
        assert_eq!(segments.len(), 2, "what was left is not written any more");
        segments.iter().for_each(|segment| next.remove(segment).unwrap());
        assert!(next.is_empty() && records(&next).is_empty());
        drop(journal);
    }

    #[test]
    fn a_torn_or_changed_end_takes_nothing_with_it_that_was_whole() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), 1 << 20);
        append(&journal, "first").unwrap();
        append(&journal, "second").unwrap();
        let [segment]: [Segment; 1] = journal.rotate().try_into().unwrap();
        let whole = std::fs::read(&segment.path).unwrap();
        // The second frame is two bytes longer: a letter more in the record, and one in the values.
        let one = HEAD_BYTES + (whole.len() - HEAD_BYTES - 2) / 2;
        for length in HEAD_BYTES..=whole.len() {
            std::fs::write(&segment.path, whole.get(..length).unwrap()).unwrap();
            let read = journal.read(&segment).unwrap();
            let expected = if length == whole.len() { 2 } else { usize::from(length >= one) };
            assert_eq!(read.len(), expected, "{length} of {}", whole.len());
            assert!(read.iter().all(|frame| frame.record.starts_with(b"first") || frame.record.starts_with(b"second")));
        }
        for at in HEAD_BYTES..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&segment.path, &changed).unwrap();
            let read = journal.read(&segment).unwrap();
            assert!(read.len() < 2, "byte {at}");
            assert!(read.iter().all(|frame| frame.record == b"first"), "byte {at}");
        }
    }

    #[test]
    fn nothing_that_was_said_lies_open_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), 1 << 20);
        append(&journal, "a-record-of-somebody").unwrap();
        let [segment]: [Segment; 1] = journal.rotate().try_into().unwrap();
        let bytes = std::fs::read(&segment.path).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"somebody"));
    }

    #[test]
    fn past_the_limit_nothing_is_taken_until_some_is_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), 200);
        let taken = (0..100).take_while(|_| append(&journal, "x").is_ok()).count();
        assert!((2..10).contains(&taken), "{taken}");
        let refused = append(&journal, "x").unwrap_err();
        assert_eq!(refused.kind(), kernel::Kind::Unavailable);
        journal.rotate().iter().for_each(|segment| journal.remove(segment).unwrap());
        append(&journal, "y").unwrap();
        assert_eq!(records(&journal), ["y"]);
    }

    #[test]
    fn a_folder_that_takes_no_file_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(&folder.path().join("j"), 1 << 20);
        append(&journal, "before").unwrap();
        journal.rotate().iter().for_each(|segment| journal.remove(segment).unwrap());
        std::fs::remove_dir(folder.path().join("j")).unwrap();
        let refused = append(&journal, "lost").unwrap_err();
        assert!(refused.message().contains("nothing was answered"), "{refused}");
        std::fs::create_dir(folder.path().join("j")).unwrap();
        append(&journal, "after").unwrap();
        assert_eq!(records(&journal), ["after"]);
    }
}
