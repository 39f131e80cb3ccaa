//! `endpoints.traffic`: what an endpoint was asked, minute by minute, now and as it goes on.

use std::collections::BTreeMap;
use std::time::Instant;

use gate::{Action, Operation, Permit, Target};
use kernel::{Micros, Problem};
use watch::Tally;

use crate::Observe;
use crate::judge::MINUTE_US;
use crate::limits::{TRAFFIC_MINUTES_DEFAULT, TRAFFIC_MINUTES_MAX};
use crate::store::minutes;

/// Shows what an endpoint was asked.
pub struct ShowTraffic {
    /// The room.
    pub room: Observe,
    /// The endpoint's name.
    pub endpoint: String,
    /// The last so many minutes; an hour if nothing is said.
    pub minutes: Option<i64>,
}

/// Leave to look at an endpoint's traffic, once or again and again: who watches it live is one act in the log, and the door cuts it
/// once the caller may not see it any more.
pub struct Traffic {
    room: Observe,
    permit: Permit<ShowTraffic>,
    asked_at: Instant,
    endpoint: String,
    minutes: i64,
}

/// A minute of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficMinute {
    /// When it began.
    pub at: Micros,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that did not fit.
    pub invalid: u64,
    /// Requests that were held back.
    pub limited: u64,
    /// Requests that the model or the server failed on.
    pub failed: u64,
    /// Rows of those answered.
    pub rows: u64,
    /// The middle time of an answer, as the upper end of its cell; none where nothing was answered.
    pub p50_us: Option<u64>,
    /// The 99th percentile, likewise.
    pub p99_us: Option<u64>,
}

impl Operation for ShowTraffic {
    const ACTION: Action = super::TRAFFIC;
    type Output = Traffic;

    fn target(&self) -> Target {
        Target::Endpoint(self.endpoint.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Traffic, Problem> {
        let facts = permit.facts();
        let endpoint = facts.id.clone().filter(|_| facts.exists);
        let endpoint = endpoint.ok_or_else(|| Problem::not_found("there is no such endpoint here"))?;
        let minutes = self.minutes.unwrap_or(TRAFFIC_MINUTES_DEFAULT);
        if !(1..=TRAFFIC_MINUTES_MAX).contains(&minutes) {
            return Err(Problem::invalid(format!("`minutes` is a number from 1 to {TRAFFIC_MINUTES_MAX}")));
        }
        Ok(Traffic { room: self.room, permit, asked_at: Instant::now(), endpoint, minutes })
    }
}

impl Traffic {
    /// The minutes up to this moment, each there even if nothing was asked in it. The last one is not over.
    ///
    /// # Errors
    /// `Unavailable` if the database is.
    pub async fn now(&self) -> Result<Vec<TrafficMinute>, Problem> {
        // What was counted in this minute is not written yet.
        self.room.flush().await?;
        let passed = i64::try_from(self.asked_at.elapsed().as_micros()).unwrap_or(i64::MAX);
        let last = self.permit.entry().at.0.saturating_add(passed).div_euclid(MINUTE_US);
        let (first, endpoint) = (last - self.minutes + 1, self.endpoint.clone());
        let versions = self.room.db().read(&self.permit, move |reader| minutes::of_endpoint(reader, &endpoint, first)).await?;
        let mut whole: BTreeMap<i64, Tally> = (first..=last).map(|minute| (minute, Tally::default())).collect();
        for (minute, tally) in versions.into_values().flatten() {
            if let Some(own) = whole.get_mut(&minute) {
                own.merge(&tally);
            }
        }
        Ok(whole.iter().map(|(minute, tally)| TrafficMinute::of(*minute, tally)).collect())
    }
}

impl TrafficMinute {
    fn of(minute: i64, tally: &Tally) -> Self {
        Self {
            at: Micros(minute.saturating_mul(MINUTE_US)),
            answered: tally.answered,
            invalid: tally.invalid,
            limited: tally.limited,
            failed: tally.failed,
            rows: tally.rows,
            p50_us: tally.latency_us_at(0.5),
            p99_us: tally.latency_us_at(0.99),
        }
    }

    /// All requests.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.answered + self.invalid + self.limited + self.failed
    }
}
