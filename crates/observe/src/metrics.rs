//! Prometheus's text form (version 0.0.4). Labels are names of endpoints and numbers of versions, never people or values.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use watch::Tally;

use crate::collector::Key;
use crate::store::places::Place;
use crate::types::HealthState;

/// Upper ends of the latency's cells in seconds: [`watch`]'s cells.
const BUCKETS_S: [&str; 11] = ["0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.1", "0.5", "2"];
const STATES: [HealthState; 4] = [HealthState::Healthy, HealthState::Unknown, HealthState::Degraded, HealthState::Failing];

/// What is to be shown.
pub(crate) struct Series<'a> {
    pub(crate) own: &'a [(&'static str, f64)],
    pub(crate) endpoints: &'a [Place],
    pub(crate) states: &'a BTreeMap<String, HealthState>,
    pub(crate) totals: &'a [(Key, Tally)],
    pub(crate) open: &'a [(String, String, i64)],
    pub(crate) left_out: usize,
}

pub(crate) fn render(series: &Series<'_>) -> String {
    let mut text = String::new();
    for (name, value) in series.own {
        head(&mut text, name, "gauge", "Measured by the server of itself.");
        let _ = writeln!(text, "{name} {value}");
    }
    head(&mut text, "strongroom_alerts_open", "gauge", "Alerts that are open.");
    for (kind, severity, count) in series.open {
        let _ = writeln!(text, "strongroom_alerts_open{{kind=\"{}\",severity=\"{}\"}} {count}", escaped(kind), escaped(severity));
    }
    head(
        &mut text,
        "strongroom_endpoints_left_out",
        "gauge",
        "Endpoints without series of their own, of which there are too many.",
    );
    let _ = writeln!(text, "strongroom_endpoints_left_out {}", series.left_out);
    head(&mut text, "strongroom_endpoint_health", "gauge", "1 for the state that an endpoint is in.");
    for place in series.endpoints {
        for state in STATES {
            let is = u8::from(series.states.get(&place.endpoint) == Some(&state));
            let (endpoint, workspace) = (escaped(&place.name), escaped(&place.workspace));
            let _ = writeln!(
                text,
                "strongroom_endpoint_health{{endpoint=\"{endpoint}\",workspace=\"{workspace}\",state=\"{}\"}} {is}",
                state.word()
            );
        }
    }
    endpoint_series(&mut text, series);
    text
}

fn endpoint_series(text: &mut String, series: &Series<'_>) {
    let mut known: Vec<(String, &Tally)> = Vec::new();
    for ((endpoint, version), tally) in series.totals {
        let Some(place) = series.endpoints.iter().find(|place| place.endpoint == *endpoint) else { continue };
        let number = version.rsplit_once('/').map_or(version.as_str(), |(_, number)| number);
        let labels = format!(
            "endpoint=\"{}\",workspace=\"{}\",version=\"{}\"",
            escaped(&place.name),
            escaped(&place.workspace),
            escaped(number)
        );
        known.push((labels, tally));
    }
    known.sort_by(|left, right| left.0.cmp(&right.0));
    head(text, "strongroom_endpoint_requests_total", "counter", "Requests to an endpoint, by how they ended.");
    for (labels, tally) in &known {
        for (result, count) in
            [("answered", tally.answered), ("invalid", tally.invalid), ("limited", tally.limited), ("failed", tally.failed)]
        {
            let _ = writeln!(text, "strongroom_endpoint_requests_total{{{labels},result=\"{result}\"}} {count}");
        }
    }
    head(text, "strongroom_endpoint_rows_total", "counter", "Rows that an endpoint answered.");
    for (labels, tally) in &known {
        let _ = writeln!(text, "strongroom_endpoint_rows_total{{{labels}}} {}", tally.rows);
    }
    head(text, "strongroom_endpoint_latency_seconds", "histogram", "How long an endpoint took to answer.");
    for (labels, tally) in &known {
        let mut below = 0;
        for (bucket, count) in BUCKETS_S.iter().zip(tally.latencies.iter().chain(std::iter::repeat(&0))) {
            below += count;
            let _ = writeln!(text, "strongroom_endpoint_latency_seconds_bucket{{{labels},le=\"{bucket}\"}} {below}");
        }
        let _ = writeln!(text, "strongroom_endpoint_latency_seconds_bucket{{{labels},le=\"+Inf\"}} {}", tally.answered);
        let _ = writeln!(text, "strongroom_endpoint_latency_seconds_sum{{{labels}}} {}", tally.latency_us as f64 / 1e6);
        let _ = writeln!(text, "strongroom_endpoint_latency_seconds_count{{{labels}}} {}", tally.answered);
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Micros;

    #[test]
    fn series_name_endpoints_and_versions_and_nobody() {
        let place = Place {
            endpoint: "e1".to_owned(),
            workspace: "w".to_owned(),
            name: "churn".to_owned(),
            model_id: "m".to_owned(),
            model: Some("churn".to_owned()),
            choice: "1".to_owned(),
            changed_at: Micros(0),
        };
        let mut tally = Tally { answered: 3, rows: 5, latency_us: 2_000, latencies: vec![0; 12], ..Tally::default() };
        tally.latencies[2] = 2;
        tally.latencies[11] = 1;
        tally.callers.insert("secret-caller".to_owned(), watch::CallerTally::default());
        let totals = [(("e1".to_owned(), "m/7".to_owned()), tally), (("gone".to_owned(), "m/1".to_owned()), Tally::default())];
        let states = BTreeMap::from([("e1".to_owned(), HealthState::Degraded)]);
        let text = render(&Series {
            own: &[("strongroom_disk_free_share", 0.5)],
            endpoints: &[place],
            states: &states,
            totals: &totals,
            open: &[("dri\"ft".to_owned(), "warning".to_owned(), 2)],
            left_out: 0,
        });
        for line in [
            "strongroom_alerts_open{kind=\"dri\\\"ft\",severity=\"warning\"} 2",
            "strongroom_endpoint_requests_total{endpoint=\"churn\",workspace=\"w\",version=\"7\",result=\"answered\"} 3",
            "strongroom_endpoint_latency_seconds_bucket{endpoint=\"churn\",workspace=\"w\",version=\"7\",le=\"0.0005\"} 2",
            "strongroom_endpoint_latency_seconds_bucket{endpoint=\"churn\",workspace=\"w\",version=\"7\",le=\"+Inf\"} 3",
            "strongroom_endpoint_health{endpoint=\"churn\",workspace=\"w\",state=\"degraded\"} 1",
        ] {
            assert!(text.lines().any(|own| own == line), "{line}\n{text}");
        }
        assert!(!text.contains("secret-caller") && !text.contains("gone"));
        assert_eq!(text.matches("# TYPE ").count(), text.matches("# HELP ").count());
    }
}
