//! `observe.metrics`: what a Prometheus scrapes.

use std::collections::BTreeMap;

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::judge::MINUTE_US;
use crate::limits::SERIES_ENDPOINT_COUNT_MAX;
use crate::metrics::{Series, render};
use crate::store::{alerts, minutes, places};
use crate::{Observe, ops};

/// Gives the metrics, in Prometheus's text form.
pub struct ShowMetrics {
    /// The room.
    pub room: Observe,
    /// What the server measures of itself: a metric's name and its value.
    pub own: Vec<(&'static str, f64)>,
}

impl Operation for ShowMetrics {
    const ACTION: Action = super::METRICS;
    type Output = String;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<String, Problem> {
        self.room.flush().await?;
        let (totals, now) = (self.room.0.collector.totals(), permit.entry().at);
        let obstacle = self.room.0.obstacle.clone();
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let since = now.0.div_euclid(MINUTE_US).saturating_sub(5);
            let (open, counts) = (alerts::open_reasons(reader)?, alerts::open_counts(reader)?);
            let mut endpoints = places::endpoints(reader, None, None)?;
            let left_out = endpoints.len().saturating_sub(SERIES_ENDPOINT_COUNT_MAX);
            endpoints.truncate(SERIES_ENDPOINT_COUNT_MAX);
            let mut states = BTreeMap::new();
            for place in &endpoints {
                let seen = minutes::of_endpoint(reader, &place.endpoint, since)?;
                let obstacle = obstacle.as_ref().map(|look| look(reader, &place.endpoint)).transpose()?.flatten();
                states.insert(place.endpoint.clone(), ops::health::endpoint(place, &seen, &open, obstacle).state);
            }
            Ok((endpoints, states, counts, left_out))
        };
        let (endpoints, states, open, left_out) = self.room.db().read(&permit, read).await?;
        Ok(render(&Series { own: &self.own, endpoints: &endpoints, states: &states, totals: &totals, open: &open, left_out }))
    }
}
