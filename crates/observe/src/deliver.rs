//! How news leaves: as alerts to an Alertmanager (its API v2), or as signed webhooks (Standard Webhooks). What sends them over the
//! network is given.

use gate::BoxFuture;
use kernel::{Micros, Problem};
use serde_json::{Value, json};

use crate::ObserveConfig;
use crate::sign::SigningKey;
use crate::types::{Alert, News};

/// How long an Alertmanager keeps an alert that it is not told the end of.
const FIRING_DAYS: i64 = 30;

/// Sends a body to one of the receivers of the configuration.
pub trait Post: Send + Sync + 'static {
    /// Gives the status that it answered.
    fn post<'a>(
        &'a self,
        target: &'a str,
        path: &'a str,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> BoxFuture<'a, Result<u16, Problem>>;
}

/// A receiver of the configuration: `alertmanager/0`, `webhook/0`, ….
pub enum Receiver {
    /// An Alertmanager.
    Alertmanager,
    /// A webhook, with the key of its signatures.
    Webhook(SigningKey),
}

impl Receiver {
    /// All of the configuration, by name.
    ///
    /// # Errors
    /// `Invalid` for a secret that cannot be read.
    pub fn all(config: &ObserveConfig) -> Result<Vec<(String, Self)>, Problem> {
        let mut all = Vec::new();
        for place in 0..config.alertmanagers.len() {
            all.push((format!("alertmanager/{place}"), Self::Alertmanager));
        }
        for (place, webhook) in config.webhooks.iter().enumerate() {
            let text = std::fs::read_to_string(&webhook.secret_file).map_err(|error| {
                let shown = webhook.secret_file.display();
                Problem::invalid(format!("the webhook's secret `{shown}` cannot be read: {error}")).because(error)
            })?;
            all.push((format!("webhook/{place}"), Self::Webhook(SigningKey::parse(&text)?)));
        }
        Ok(all)
    }
}

/// A message as it is sent.
pub(crate) struct Message {
    pub(crate) path: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// What a receiver is sent.
pub(crate) fn message(receiver: &Receiver, id: &str, alert: &Alert, news: News, now: Micros) -> Message {
    let json_type = ("content-type", "application/json".to_owned());
    match receiver {
        Receiver::Alertmanager => Message {
            path: "/api/v2/alerts",
            headers: vec![json_type],
            body: json!([as_alertmanager_has_it(alert, news)]).to_string().into_bytes(),
        },
        Receiver::Webhook(key) => {
            let body = json!({
                "type": format!("alert.{}", news.word()),
                "timestamp": rfc3339(now),
                "data": {
                    "id": alert.id,
                    "kind": alert.kind,
                    "severity": alert.severity.word(),
                    "state": alert.state.word(),
                    "subject": alert.detail.subject,
                    "headline": alert.headline,
                    "since": rfc3339(alert.began_at),
                    "crosses_at": alert.crosses_at.map(rfc3339),
                    "certainty": alert.certainty,
                    "causes": alert.detail.causes.iter().map(|cause| json!({
                        "weight": cause.weight, "words": cause.words,
                    })).collect::<Vec<_>>(),
                },
            });
            let body = body.to_string().into_bytes();
            let headers = vec![
                json_type,
                ("webhook-id", id.to_owned()),
                ("webhook-timestamp", now.as_secs().to_string()),
                ("webhook-signature", key.signature(id, now.as_secs(), &body)),
            ];
            Message { path: "", headers, body }
        }
    }
}

fn as_alertmanager_has_it(alert: &Alert, news: News) -> Value {
    let mut value = json!({
        "labels": {
            "alertname": "Strongroom",
            "kind": alert.kind,
            "severity": alert.severity.word(),
            "subject": alert.detail.subject,
            // Two alerts of one kind and subject that follow each other are two.
            "alert_id": alert.id,
        },
        "annotations": {
            "summary": alert.headline,
            "cause": alert.detail.causes.first().map_or("unknown", |cause| cause.words.as_str()),
            "show": format!("strongroom alerts show {}", alert.id),
        },
        "startsAt": rfc3339(alert.began_at),
    });
    // It is told once, so it must not end by itself there before it is told that it is over.
    let ends_at = match news {
        News::Resolved => alert.resolved.as_ref().map_or(alert.seen_at, |one| one.0),
        News::Firing => alert.opened_at.plus_secs(FIRING_DAYS * 86_400),
    };
    if let Some(fields) = value.as_object_mut() {
        fields.insert("endsAt".to_owned(), Value::String(rfc3339(ends_at)));
    }
    value
}

/// A moment as RFC 3339 in UTC, by the civil calendar (Hinnant 2013).
pub(crate) fn rfc3339(at: Micros) -> String {
    let (seconds, micros) = (at.0.div_euclid(1_000_000), at.0.rem_euclid(1_000_000));
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_right() {
        for (at, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399_000_001, "2000-02-28T23:59:59.000001Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_795_824_000_500_000, "2026-11-28T00:00:00.500000Z"),
        ] {
            assert_eq!(rfc3339(Micros(at)), text);
        }
    }
}
