//! What is heard of a running inspection, and how it is told to stop.

use std::sync::atomic::{AtomicBool, Ordering};

use inspection::Progress;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Admission;
use crate::limits::PROGRESS_EVERY;
use crate::store::inspections;

/// How far a running inspection is, and whether it is to stop.
#[derive(Default)]
pub(super) struct News {
    stage: Mutex<String>,
    stop: AtomicBool,
    stopped: Notify,
}

impl News {
    pub(super) fn hear(&self, progress: Progress) {
        if let Progress::Stage { stage, .. } = progress {
            *self.stage.lock() = stage;
        }
    }

    pub(super) async fn cancelled(&self) {
        loop {
            let stopped = self.stopped.notified();
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            stopped.await;
        }
    }
}

/// Writes the progress down now and then; learns whether somebody wants it to stop. Never ends by itself.
pub(super) async fn note(room: &Admission, inspection_id: &str, news: &News) {
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        let (id, stage) = (inspection_id.to_owned(), news.stage.lock().clone());
        match room.0.system.write(move |writer| Ok(inspections::progress(writer, &id, &stage)?)).await {
            Ok(true) => {
                news.stop.store(true, Ordering::SeqCst);
                news.stopped.notify_waiters();
            }
            Ok(false) => {}
            Err(problem) => tracing::warn!(%problem, "an inspection's progress could not be written down"),
        }
    }
}
