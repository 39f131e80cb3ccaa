//! What an endpoint was asked, as curves: the server lays them out, and the page's module moves them as news comes (`live.js`).

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use kernel::Problem;
use observe::ops::{Traffic, TrafficMinute};
use serde_json::{Value, json};
use wire::Answer;

/// The drawing's size, in its own units.
pub const WIDTH: f64 = 720.0;
/// Of each of its two halves.
pub const HEIGHT: f64 = 120.0;
/// How often somebody who watches is told.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// How often one answer tells; then the browser asks again, and that is recorded again.
const TELL_COUNT_MAX: usize = 180;

/// What is drawn, each part under the id that it has in the page.
pub struct Drawing {
    /// Ids and the paths of their shapes.
    pub paths: [(&'static str, String); 4],
    /// Ids and what they say.
    pub texts: [(&'static str, String); 6],
}

impl Drawing {
    /// Lays the minutes out.
    #[must_use]
    pub fn of(minutes: &[TrafficMinute]) -> Self {
        let most = minutes.iter().map(TrafficMinute::requests).max().unwrap_or(0);
        let slowest = minutes.iter().filter_map(|minute| minute.p99_us).max().unwrap_or(0);
        let bars = |height_of: &dyn Fn(&TrafficMinute) -> u64| bars(minutes, most, height_of);
        let curve = |value: &dyn Fn(&TrafficMinute) -> Option<u64>| curve(minutes, slowest, value);
        let sum = |count: &dyn Fn(&TrafficMinute) -> u64| minutes.iter().map(count).sum::<u64>();
        let (all, failed) = (sum(&TrafficMinute::requests), sum(&|minute| minute.failed));
        let refused = sum(&|minute| minute.invalid + minute.limited);
        Self {
            paths: [
                ("requests", bars(&TrafficMinute::requests)),
                ("failures", bars(&|minute| minute.failed)),
                ("p50", curve(&|minute| minute.p50_us)),
                ("p99", curve(&|minute| minute.p99_us)),
            ],
            texts: [
                ("most", most.to_string()),
                ("slowest", milliseconds(slowest)),
                ("all-requests", all.to_string()),
                ("all-failures", failed.to_string()),
                ("all-refused", refused.to_string()),
                (
                    "last-p99",
                    minutes.iter().rev().find_map(|minute| minute.p99_us).map_or_else(|| "none".to_owned(), milliseconds),
                ),
            ],
        }
    }

    /// The path of a shape, for the template.
    #[must_use]
    pub fn shape(&self, id: &str) -> &str {
        self.paths.iter().find(|(own, _)| *own == id).map_or("", |(_, path)| path)
    }

    /// A text, for the template.
    #[must_use]
    pub fn text(&self, id: &str) -> &str {
        self.texts.iter().find(|(own, _)| *own == id).map_or("", |(_, text)| text)
    }

    fn news(&self) -> Value {
        let object =
            |pairs: &[(&'static str, String)]| -> Value { pairs.iter().map(|(id, value)| (*id, value.as_str())).collect() };
        json!({ "paths": object(&self.paths), "texts": object(&self.texts) })
    }
}

/// A time, as people read it.
fn milliseconds(micros: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = micros as f64 / 1_000.0;
    if value < 10.0 { format!("{value:.2} ms") } else { format!("{value:.0} ms") }
}

#[expect(clippy::cast_precision_loss, reason = "pixels")]
fn bars(minutes: &[TrafficMinute], most: u64, value: &dyn Fn(&TrafficMinute) -> u64) -> String {
    let width = WIDTH / minutes.len().max(1) as f64;
    let mut path = String::new();
    for (place, minute) in minutes.iter().enumerate() {
        let height = HEIGHT * value(minute) as f64 / most.max(1) as f64;
        if height > 0.0 {
            let (left, inner) = (place as f64 * width, (width - 1.0).max(0.5));
            let _never_fails = write!(path, "M{left:.1} {HEIGHT}v-{height:.1}h{inner:.1}v{height:.1}z");
        }
    }
    path
}

#[expect(clippy::cast_precision_loss, reason = "pixels")]
fn curve(minutes: &[TrafficMinute], slowest: u64, value: &dyn Fn(&TrafficMinute) -> Option<u64>) -> String {
    let width = WIDTH / minutes.len().max(1) as f64;
    let mut path = String::new();
    let mut is_drawing = false;
    for (place, minute) in minutes.iter().enumerate() {
        let Some(value) = value(minute) else {
            is_drawing = false;
            continue;
        };
        let height = HEIGHT - HEIGHT * value as f64 / slowest.max(1) as f64;
        let left = place as f64 * width;
        let to = if is_drawing { 'L' } else { 'M' };
        let _never_fails = write!(path, "{to}{left:.1} {height:.1}h{width:.1}");
        is_drawing = true;
    }
    path
}

/// Tells whoever watches, as server-sent events (HTML Living Standard, section 9.2).
pub fn live(traffic: Traffic) -> Answer {
    let told = stream::unfold((traffic, 0), |(traffic, count)| async move {
        if count >= TELL_COUNT_MAX {
            return None;
        }
        if count > 0 {
            tokio::time::sleep(TELL_EVERY).await;
        }
        let event = event(&traffic).await;
        let next = if event.is_ok() { count + 1 } else { TELL_COUNT_MAX };
        Some((event, (traffic, next)))
    });
    let mut answer = Answer::new(Body::from_stream(told));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    wire::harden(&mut answer);
    answer
}

async fn event(traffic: &Traffic) -> Result<Bytes, Problem> {
    let news = Drawing::of(&traffic.now().await?).news();
    Ok(Bytes::from(format!("event: traffic\ndata: {news}\n\n")))
}

#[cfg(test)]
mod tests {
    use kernel::Micros;

    use super::*;

    fn minute(answered: u64, failed: u64, p99_us: Option<u64>) -> TrafficMinute {
        TrafficMinute { at: Micros(0), answered, invalid: 0, limited: 1, failed, rows: answered, p50_us: p99_us, p99_us }
    }

    #[test]
    fn the_greatest_fills_the_height_and_nothing_is_drawn_for_nothing() {
        let drawing = Drawing::of(&[minute(9, 0, Some(1_000)), minute(3, 1, None), minute(0, 0, Some(500))]);
        assert_eq!(
            drawing.shape("requests"),
            "M0.0 120v-120.0h239.0v120.0zM240.0 120v-60.0h239.0v60.0zM480.0 120v-12.0h239.0v12.0z"
        );
        assert_eq!(drawing.shape("failures"), "M240.0 120v-12.0h239.0v12.0z");
        assert_eq!(drawing.shape("p99"), "M0.0 0.0h240.0M480.0 60.0h240.0", "a gap is a gap");
        let said =
            ["most", "slowest", "all-requests", "all-failures", "all-refused", "last-p99"].map(|id| drawing.text(id).to_owned());
        assert_eq!(said, ["10", "1.00 ms", "16", "1", "3", "0.50 ms"]);
        assert_eq!(Drawing::of(&[]).shape("requests"), "");
    }
}
