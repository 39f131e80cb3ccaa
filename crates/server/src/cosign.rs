//! The log's side of its witnesses (C2SP tlog-witness): sends them the newest checkpoint and keeps their cosignatures.
//!
//! This is no act on data and leaves no record: it only carries what is public and signed already. If it left one, each
//! round would make the log longer, and so the next round necessary.

use std::sync::Arc;
use std::time::Duration;

use audit::AuditLog;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use kernel::Problem;

use crate::config::WitnessConfig;
use crate::https::{Remote, RemoteAnswer};

/// How often the newest checkpoint is sent, if it grew.
const ROUND_EVERY: Duration = Duration::from_secs(10);
/// How long a witness may take.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
/// A cosignature line is about 150 bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// A witness, and what it is known to have seen.
struct Known {
    url: String,
    remote: Remote,
    /// The size that it has cosigned; `None` until it has told.
    seen_size: Option<u64>,
    /// Whether the last try failed: a fault is logged when it begins, not each round.
    is_failing: bool,
}

/// What came of one try.
enum Answered {
    /// It cosigned this size.
    Cosigned(u64),
    /// It has seen another size than we thought.
    HasSeen(u64),
}

/// Sends checkpoints to the witnesses for as long as the server runs.
///
/// # Errors
/// `Invalid` for an address or authority that cannot be used.
pub fn job(log: Arc<AuditLog>, witnesses: &[WitnessConfig]) -> Result<impl Future<Output = ()> + use<>, Problem> {
    let open = |witness: &WitnessConfig| {
        let remote = Remote::new(&witness.url, &witness.ca)?;
        Ok::<_, Problem>(Known { url: witness.url.clone(), remote, seen_size: None, is_failing: false })
    };
    let mut known = witnesses.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    Ok(async move {
        while !known.is_empty() {
            for witness in &mut known {
                round(&log, witness).await;
            }
            tokio::time::sleep(ROUND_EVERY).await;
        }
    })
}

async fn round(log: &Arc<AuditLog>, witness: &mut Known) {
    match bring_up_to_date(log, witness).await {
        Ok(()) if witness.is_failing => {
            tracing::info!(witness.url, "the witness cosigns again");
            witness.is_failing = false;
        }
        Ok(()) => {}
        Err(problem) if !witness.is_failing => {
            tracing::warn!(%problem, witness.url, "the witness did not cosign the audit log's checkpoint");
            witness.is_failing = true;
        }
        Err(_) => {}
    }
}

/// Asks at most twice: the first answer may only tell what the witness has seen.
async fn bring_up_to_date(log: &Arc<AuditLog>, witness: &mut Known) -> Result<(), Problem> {
    // Before the first checkpoint there is nothing to send.
    let Ok((newest, _)) = log.checkpoint() else { return Ok(()) };
    if witness.seen_size == Some(newest.size) {
        return Ok(());
    }
    for _ in 0..2 {
        let asked = ask(log, &witness.remote, witness.seen_size.unwrap_or(0));
        let answered = tokio::time::timeout(ANSWER_WAIT_MAX, asked).await;
        match answered.map_err(|_| Problem::unavailable("the witness did not answer in time"))?? {
            Answered::Cosigned(size) => {
                witness.seen_size = Some(size);
                return Ok(());
            }
            Answered::HasSeen(size) => witness.seen_size = Some(size),
        }
    }
    Err(Problem::unavailable("the witness says each time that it has seen another size"))
}

async fn ask(log: &Arc<AuditLog>, remote: &Remote, old_size: u64) -> Result<Answered, Problem> {
    let asked = Arc::clone(log);
    let request = blocking(move || asked.witness_request(old_size)).await?;
    let head = Request::builder().method(Method::POST).header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
    let answer = remote.send(head, "/add-checkpoint", Bytes::from(request.clone()), ANSWER_BYTES_MAX).await?;
    let text = String::from_utf8(answer.body.to_vec())
        .map_err(|e| Problem::unavailable("the witness's answer is not text").because(e))?;
    match answer.status {
        StatusCode::OK => {
            let keeper = Arc::clone(log);
            let kept = blocking(move || {
                let note = request.split_once("\n\n").map_or("", |(_, note)| note);
                keeper.add_cosignatures(note, &text)?;
                Ok(audit::checkpoint::Checkpoint::open(note.as_bytes(), keeper.verifier_key())?.0.size)
            });
            Ok(Answered::Cosigned(kept.await?))
        }
        StatusCode::CONFLICT => has_seen(log, &answer, &text),
        status => Err(Problem::unavailable(format!("the witness answered {status}: {}", first_line(&text)))),
    }
}

/// A witness that has seen more than this log ever had: this log was put back to an earlier state.
fn has_seen(log: &AuditLog, answer: &RemoteAnswer, text: &str) -> Result<Answered, Problem> {
    let size = text
        .trim()
        .parse()
        .map_err(|_| Problem::unavailable(format!("the witness answered {}: {}", answer.status, first_line(text))))?;
    let newest = log.checkpoint()?.0.size;
    if size > newest {
        return Err(Problem::new(
            kernel::Kind::Conflict,
            format!("the witness has cosigned {size} records and this log has {newest}: it was put back to an earlier state"),
        ));
    }
    Ok(Answered::HasSeen(size))
}

/// What a witness says goes to our log: one line, no control characters, not long.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, audit::AuditError> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|broken| Problem::internal("the audit log could not be read", broken))??)
}
