//! What a job wrote, as far as it is kept: its beginning and its end.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::limits::{LOG_HEAD_BYTES_MAX, LOG_TAIL_BYTES_MAX};

/// A job's log while it runs, and what it does now. Cheap to clone.
#[derive(Clone, Default)]
pub struct JobLog(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    stage: String,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    lost_bytes: u64,
    secrets: Vec<String>,
}

impl JobLog {
    /// Never shows this text: a program may print its environment.
    pub fn hide(&self, secret: &str) {
        if !secret.is_empty() {
            self.0.lock().secrets.push(secret.to_owned());
        }
    }

    /// What the job does now.
    pub fn stage(&self, stage: &str) {
        stage.clone_into(&mut self.0.lock().stage);
    }

    /// More output.
    pub fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.lock();
        let room = LOG_HEAD_BYTES_MAX.saturating_sub(kept.head.len());
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        kept.head.extend_from_slice(first);
        kept.tail.extend(rest);
        let over = kept.tail.len().saturating_sub(LOG_TAIL_BYTES_MAX);
        kept.tail.drain(..over);
        kept.lost_bytes = kept.lost_bytes.saturating_add(over as u64);
    }

    /// The whole output, where it is told whole each time.
    pub fn replace(&self, bytes: &[u8]) {
        {
            let mut kept = self.0.lock();
            (kept.head, kept.tail, kept.lost_bytes) = (Vec::new(), VecDeque::new(), 0);
        }
        self.add(bytes);
    }

    /// The stage and the log as text, without secrets and without characters that no database takes.
    #[must_use]
    pub fn text(&self) -> (String, String) {
        let kept = self.0.lock();
        let mut bytes = kept.head.clone();
        if kept.lost_bytes > 0 {
            bytes.extend_from_slice(format!("\n… {} bytes were not kept …\n", kept.lost_bytes).as_bytes());
        }
        bytes.extend(&kept.tail);
        let mut text = String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}");
        for secret in &kept.secrets {
            text = text.replace(secret, "[secret]");
        }
        (kept.stage.clone(), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_kept_and_secrets_are_not() {
        let log = JobLog::default();
        log.hide("hunter2");
        log.add(b"first hunter2 \0 \xff line\n");
        for _ in 0..1_000 {
            log.add(&[b'x'; 1_000]);
        }
        log.add(b"last line");
        let (_, text) = log.text();
        assert!(text.starts_with("first [secret] \u{fffd} \u{fffd} line\n"), "{}", text.get(..40).unwrap());
        assert!(text.ends_with("last line") && text.contains("bytes were not kept"));
        assert!(text.len() < LOG_HEAD_BYTES_MAX + LOG_TAIL_BYTES_MAX + 100);
        log.replace(b"new");
        assert_eq!(log.text().1, "new");
    }
}
