//! `observe.deliver`: the watcher sends news to receivers outside. What fails is tried again, each time later.

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

/// Sends what waits.
pub struct DeliverNews {
    /// The room.
    pub room: Observe,
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
        let due = self.room.db().read(&permit, move |reader| Ok(news::due(reader, at)?)).await?;
        let mut settled: Vec<Settled> = Vec::new();
        for one in due {
            let alert = one.alert.clone();
            let alert = self.room.db().read(&permit, move |reader| Ok(alerts::any(reader, &alert)?)).await?;
            let receiver = self.receivers.iter().find(|(name, _)| *name == one.target);
            let (Some(alert), Some((target, receiver))) = (alert, receiver) else {
                settled.push((one.id, Ok(())));
                continue;
            };
            let fault = match message(receiver, &one.id, &alert, one.news, at) {
                None => self.post.mail(target, &one.id, &alert, one.news).await.err().map(|problem| problem.to_string()),
                Some(message) => match self.post.post(target, message.path, message.headers, message.body).await {
                    Ok(200..=299) => None,
                    Ok(status) => Some(format!("it answered {status}")),
                    Err(problem) => Some(problem.to_string()),
                },
            };
            settled.push((one.id, fault.map_or(Ok(()), |fault| Err((at.plus_secs(wait_s(one.attempts)), bounded(&fault))))));
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
