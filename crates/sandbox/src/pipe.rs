//! The worker's end of the pipes: a thread takes what the server sends; any thread asks for bytes and waits for its answer.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use inspection::frame::{self, FrameError, FromWorker, HEAD_BYTES, ProgressFrame, READ_BYTES_MAX, ToWorker};
use tables::ReadAt;

/// How often the server hears from a worker that computes.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The shortest time between two frames about the same stage.
const PROGRESS_PAUSE: Duration = Duration::from_millis(200);
/// How this process ends when the server is gone or talks nonsense.
const SERVER_GONE: i32 = 3;

/// Both pipes.
pub struct Pipe {
    waiting: Mutex<HashMap<u32, SyncSender<Option<Vec<u8>>>>>,
    next_id: AtomicU32,
    progress: Mutex<(ProgressFrame, Option<Instant>)>,
}

impl Pipe {
    /// The pipes, with a thread that listens and one that keeps the server sure that this process lives.
    ///
    /// # Errors
    /// If threads cannot be made.
    pub fn start() -> io::Result<Arc<Self>> {
        let start = ProgressFrame { stage: "start".to_owned(), done: 0, of: None };
        let pipe = Arc::new(Self { waiting: Mutex::default(), next_id: AtomicU32::new(0), progress: Mutex::new((start, None)) });
        let listener = Arc::clone(&pipe);
        std::thread::Builder::new().name("listen".to_owned()).spawn(move || listener.listen())?;
        let heart = Arc::clone(&pipe);
        std::thread::Builder::new().name("heartbeat".to_owned()).spawn(move || {
            loop {
                std::thread::sleep(HEARTBEAT);
                let frame = locked(&heart.progress).0.clone();
                say(&FromWorker::Progress(frame)).ok();
            }
        })?;
        Ok(pipe)
    }

    /// Bytes of one file of the job.
    #[must_use]
    pub fn file(self: &Arc<Self>, index: u32, size_bytes: u64) -> RemoteFile {
        RemoteFile { pipe: Arc::clone(self), index, size_bytes }
    }

    /// Hands each answer to the thread that waits for it. A server that is gone ends this process, whatever it computes.
    fn listen(&self) {
        loop {
            let (id, answer) = match hear() {
                Ok(ToWorker::Bytes { id, data }) => (id, Some(data)),
                Ok(ToWorker::Refused { id }) => (id, None),
                Ok(ToWorker::Job(_) | ToWorker::Query(_) | ToWorker::Contract(_)) | Err(_) => std::process::exit(SERVER_GONE),
            };
            match locked(&self.waiting).remove(&id) {
                Some(waiter) => waiter.send(answer).ok(),
                None => std::process::exit(SERVER_GONE),
            };
        }
    }

    fn ask(&self, file: u32, offset: u64, length: u32) -> io::Result<Vec<u8>> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = sync_channel(1);
        locked(&self.waiting).insert(id, sender);
        say(&FromWorker::Read(frame::Read { id, file, offset, length })).map_err(io::Error::other)?;
        let answer = receiver.recv().map_err(io::Error::other)?;
        answer.ok_or_else(|| io::Error::other("the server cannot read the file"))
    }

    /// Work has come so far: rows or steps, of how many.
    pub fn progress(&self, stage: &str, done: u64, of: Option<u64>) {
        let frame = ProgressFrame { stage: stage.to_owned(), done, of };
        let mut last = locked(&self.progress);
        let new_stage = last.0.stage != frame.stage;
        let due = new_stage || last.1.is_none_or(|at| at.elapsed() >= PROGRESS_PAUSE);
        *last = (frame.clone(), if due { Some(Instant::now()) } else { last.1 });
        drop(last);
        if due {
            say(&FromWorker::Progress(frame)).ok();
        }
    }
}

/// A file that the server reads for us.
pub struct RemoteFile {
    pipe: Arc<Pipe>,
    index: u32,
    size_bytes: u64,
}

impl ReadAt for RemoteFile {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut at = offset;
        let end = offset.checked_add(buffer.len() as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        if end > self.size_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for part in buffer.chunks_mut(READ_BYTES_MAX as usize) {
            let length = u32::try_from(part.len()).map_err(io::Error::other)?;
            let data = self.pipe.ask(self.index, at, length)?;
            if data.len() != part.len() {
                return Err(io::Error::other("the server sent another number of bytes than asked for"));
            }
            part.copy_from_slice(&data);
            at = at.saturating_add(u64::from(length));
        }
        Ok(())
    }
}

/// Sends a frame, whole, whichever thread sends another. Where nobody takes it, this process ends.
///
/// # Errors
/// If the frame is longer than its kind may be.
pub fn say(frame: &FromWorker) -> Result<(), FrameError> {
    let bytes = frame.encode()?;
    let mut stdout = io::stdout().lock();
    let sent = stdout.write_all(&bytes).and_then(|()| stdout.flush());
    if sent.is_err() {
        std::process::exit(SERVER_GONE);
    }
    Ok(())
}

/// Waits for a frame.
///
/// # Errors
/// If it ends early, or is none.
pub fn hear() -> Result<ToWorker, Box<dyn std::error::Error>> {
    let mut stdin = io::stdin().lock();
    let mut bytes = [0; HEAD_BYTES];
    stdin.read_exact(&mut bytes)?;
    let head = ToWorker::head(bytes)?;
    let mut payload = Vec::new();
    let length = head.payload_bytes();
    if (&mut stdin).take(length as u64).read_to_end(&mut payload)? != length {
        return Err("the frame ends early".into());
    }
    Ok(ToWorker::read(head, payload)?)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
