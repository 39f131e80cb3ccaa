//! The watcher: writes down what was seen, judges it, and sends news, under a narrow identity of its own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use gate::{Attempt, Gate, JobPass};
use kernel::{Clock, Micros, Problem, random_id};

use crate::collector::Key;
use crate::judge::MINUTE_US;
use crate::limits::BURN_MINUTES;
use crate::ops::{DeliverNews, Judge, RecallTraining};
use crate::store::{minutes, news};
use crate::{Observe, Post, Receiver};

/// How often old rows are swept.
const SWEEP_ROUNDS: u64 = 60;

/// What the server measures of itself.
pub trait Gauges: Send + Sync + 'static {
    /// Names and values: `disk_free_share`, ….
    fn measure(&self) -> Vec<(&'static str, f64)>;
}

/// Watches for one server process.
pub struct Watcher {
    room: Observe,
    gate: Gate,
    pass: JobPass,
    clock: Arc<dyn Clock>,
    gauges: Arc<dyn Gauges>,
    receivers: Arc<Vec<(String, Receiver)>>,
    post: Arc<dyn Post>,
    source: String,
}

impl Watcher {
    /// A watcher. `pass` is that of the job [`crate::WATCHER`].
    ///
    /// # Errors
    /// `Invalid` for a receiver's secret that cannot be read.
    pub fn new(
        room: Observe,
        (gate, pass): (Gate, JobPass),
        clock: Arc<dyn Clock>,
        gauges: Arc<dyn Gauges>,
        post: Arc<dyn Post>,
    ) -> Result<Self, Problem> {
        let receivers = Arc::new(Receiver::all(&room.0.config)?);
        let source = room.source().to_owned();
        Ok(Self { room, gate, pass, clock, gauges, receivers, post, source })
    }

    /// Works until it is dropped. Each receiver is sent to by itself: one that is slow delays neither the others nor the looks.
    pub async fn run(self) {
        let mut sending = Vec::with_capacity(self.receivers.len());
        for (target, _) in self.receivers.iter() {
            sending.push(self.send_on(target));
        }
        join(self.look_on(), join_all(sending)).await;
    }

    fn every(&self) -> Duration {
        Duration::from_secs(self.room.0.config.every_s)
    }

    async fn look_on(&self) {
        let mut round = 0_u64;
        loop {
            tokio::time::sleep(self.every()).await;
            if let Err(problem) = self.look(round).await {
                tracing::warn!(%problem, "endpoints could not be judged");
            }
            round = round.saturating_add(1);
        }
    }

    async fn send_on(&self, target: &str) {
        loop {
            tokio::time::sleep(self.every()).await;
            if let Err(problem) = self.send(target).await {
                tracing::warn!(%problem, receiver = target, "alerts could not be sent");
            }
        }
    }

    /// One look.
    ///
    /// # Errors
    /// If something could not be read or written; what was counted is kept.
    pub async fn look(&self, round: u64) -> Result<(), Problem> {
        let now = self.clock.now();
        self.recall().await?;
        self.room.flush().await?;
        let (gauges, source, minute) = (self.gauges.measure(), self.source.clone(), now.0.div_euclid(MINUTE_US));
        let write = move |writer: &mut vault::db::Writer<'_>| Ok(minutes::write_gauges(writer, &source, minute, &gauges)?);
        self.room.0.system.write(write).await?;
        if round.is_multiple_of(SWEEP_ROUNDS) {
            self.sweep(now).await?;
        }
        let judge = Judge { room: self.room.clone(), source: self.source.clone() };
        self.gate.call(Attempt::of_job(self.pass.clone()), judge).await?;
        Ok(())
    }

    /// Sends a receiver what waits for it.
    ///
    /// # Errors
    /// If something could not be read or written. What a receiver does not take is none: it is tried again.
    pub async fn send(&self, target: &str) -> Result<(), Problem> {
        let (now, wanted) = (self.clock.now(), target.to_owned());
        let waiting = self.room.0.system.read(move |reader| Ok(news::due(reader, &wanted, now)?)).await?;
        // Only what waits is worth a record.
        if waiting.is_empty() {
            return Ok(());
        }
        let (receivers, post) = (Arc::clone(&self.receivers), Arc::clone(&self.post));
        let deliver = DeliverNews { room: self.room.clone(), target: target.to_owned(), receivers, post };
        self.gate.call(Attempt::of_job(self.pass.clone()), deliver).await?;
        Ok(())
    }

    /// Gives versions what they were compared with before the server was started, or what they were trained on.
    async fn recall(&self) -> Result<(), Problem> {
        for key in self.room.0.collector.unknown() {
            let wanted: Key = key.clone();
            let read = move |reader: &mut vault::db::Reader<'_>| minutes::reference(reader, (&wanted.0, &wanted.1));
            if let Some(reference) = self.room.0.system.read(read).await? {
                self.room.0.collector.set_reference(&key, reference);
                continue;
            }
            let recall = RecallTraining { room: self.room.clone(), endpoint: key.0.clone(), version: key.1.clone() };
            if let Err(problem) = self.gate.call(Attempt::of_job(self.pass.clone()), recall).await {
                tracing::warn!(%problem, version = key.1, "it is not known what a version was trained on");
                self.room.0.collector.set_trained(&key, None);
            }
        }
        Ok(())
    }

    async fn sweep(&self, now: Micros) -> Result<(), Problem> {
        let config = &self.room.0.config;
        let days = |days: u64| i64::try_from(days).unwrap_or(i64::MAX / 86_400).saturating_mul(86_400);
        let minute = now.plus_secs(-days(config.minutes_days)).0.div_euclid(MINUTE_US);
        let oldest_minute = minute.min(now.0.div_euclid(MINUTE_US).saturating_sub(BURN_MINUTES));
        let (labels, news_before) = (now.plus_secs(-days(config.label_days)), now.plus_secs(-days(config.minutes_days)));
        let sweep = move |writer: &mut vault::db::Writer<'_>| {
            minutes::sweep(writer, oldest_minute, labels)?;
            Ok(news::sweep(writer, news_before)?)
        };
        self.room.0.system.write(sweep).await
    }
}

impl Observe {
    /// This process among those that may share the database.
    pub(crate) fn source(&self) -> &str {
        &self.0.source
    }

    /// The receivers' names, for [`crate::event::tell_apart`].
    #[must_use]
    pub fn receivers(&self) -> Vec<String> {
        self.targets()
    }

    /// The receivers' names.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.0.config.receivers()
    }

    /// Writes down what was counted. What cannot be written is put back.
    pub(crate) async fn flush(&self) -> Result<(), Problem> {
        let taken = self.0.collector.take();
        if taken.is_empty() {
            return Ok(());
        }
        let (written, source) = (taken.clone(), self.0.source.clone());
        let slow_us = self.0.config.latency_ms_max.map_or(u64::MAX, |limit| (limit * 1_000.0) as u64);
        let newest = taken.iter().filter_map(|(_, waiting)| waiting.minutes.keys().next_back()).max().copied();
        let at = Micros(newest.unwrap_or(0).saturating_mul(MINUTE_US));
        let write = move |writer: &mut vault::db::Writer<'_>| minutes::write(writer, &source, at, &written, slow_us);
        match self.0.system.write(write).await {
            Ok(()) => Ok(()),
            Err(problem) => {
                self.0.collector.put_back(taken);
                Err(problem)
            }
        }
    }
}

/// A new name for a process.
pub(crate) fn new_source() -> String {
    random_id()
}
