//! `observe.deliver`: the watcher sends news to a receiver outside. What fails is tried again, each time later.

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem};

use crate::deliver::message;
use crate::limits::DELIVERY_ATTEMPTS_MAX;
use crate::store::{alerts, news};
use crate::types::bounded;
use crate::{Observe, Post, Receiver};

/// The wait behind the first failure; it doubles with each.
const FIRST_WAIT_S: i64 = 5;
/// The longest wait.
const WAIT_MAX_S: i64 = 3_600;

/// Sends what waits for one receiver.
pub struct DeliverNews {
    /// The room.
    pub room: Observe,
    /// The receiver's name.
    pub target: String,
    /// The receivers, by name.
    pub receivers: Arc<Vec<(String, Receiver)>>,
    /// What sends.
    pub post: Arc<dyn Post>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Sent.
    pub sent_count: usize,
    /// Failed; they are tried again, or given up.
    pub failed_count: usize,
}

/// A message's id, and when it is tried again and why, if it has to be.
type Settled = (String, Result<(), (Micros, String)>);

impl Operation for DeliverNews {
    const ACTION: Action = super::DELIVER;
    type Output = Delivered;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Delivered, Problem> {
        let at = permit.entry().at;
        let (target, receivers) = (self.target.clone(), Arc::clone(&self.receivers));
        let due = self.room.db().read(&permit, move |reader| Ok(news::due(reader, &target, at)?)).await?;
        let receiver = receivers.iter().find(|(name, _)| *name == self.target).map(|one| &one.1);
        let mut settled: Vec<Settled> = Vec::new();
        for one in due {
            let alert = one.alert.clone();
            let alert = self.room.db().read(&permit, move |reader| Ok(alerts::any(reader, &alert)?)).await?;
            let (Some(alert), Some(receiver)) = (alert, receiver) else {
                settled.push((one.id, Ok(())));
                continue;
            };
            let again = |fault: String| Err((at.plus_secs(wait_s(one.attempts)), bounded(&fault)));
            let Some(message) = message(receiver, &one.id, &alert, one.news, at) else {
                let mailed = self.post.mail(&self.target, &one.id, &alert, one.news).await;
                settled.push((one.id, mailed.or_else(|problem| again(problem.to_string()))));
                continue;
            };
            let answer = self.post.post(&self.target, message.path, message.headers, message.body).await;
            let is_silent = answer.is_err();
            let result = match answer {
                Ok(200..=299) => Ok(()),
                Ok(status) => again(format!("it answered {status}")),
                Err(problem) => again(problem.to_string()),
            };
            settled.push((one.id, result));
            // Each further message would wait as long; a signature's time would be over before it is sent.
            if is_silent {
                break;
            }
        }
        let written = self.room.db().write(&permit, move |writer| {
            let mut delivered = Delivered::default();
            for (id, result) in &settled {
                match result {
                    Ok(()) => {
                        delivered.sent_count += 1;
                        news::delivered(writer, id, at)?;
                    }
                    Err((next_at, fault)) => {
                        delivered.failed_count += 1;
                        news::failed(writer, id, *next_at, fault)?;
                    }
                }
            }
            let outcome = Outcome::done().with("sent", delivered.sent_count).with("failed", delivered.failed_count);
            Ok((delivered, outcome))
        });
        written.await
    }
}

fn wait_s(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.clamp(0, DELIVERY_ATTEMPTS_MAX)).unwrap_or(0);
    FIRST_WAIT_S.saturating_mul(1 << doublings).min(WAIT_MAX_S)
}
