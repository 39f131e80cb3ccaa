//! How news leaves: as alerts to an Alertmanager (its API v2), as signed webhooks (Standard Webhooks), or by mail. What sends them over the
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

    /// Hands news over to be mailed to one of the receivers of the configuration. The same `id` may come again; it is one mail.
    fn mail<'a>(&'a self, target: &'a str, id: &'a str, alert: &'a Alert, news: News) -> BoxFuture<'a, Result<(), Problem>>;
}

/// A receiver of the configuration: `alertmanager/0`, `webhook/0`, `mail/0`, ….
pub enum Receiver {
    /// An Alertmanager.
    Alertmanager,
    /// A webhook, with the key of its signatures.
    Webhook(SigningKey),
    /// An address that is mailed to.
    Mail,
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
        all.extend((0..config.mails.len()).map(|place| (format!("mail/{place}"), Self::Mail)));
        Ok(all)
    }
}

/// A message as it is sent.
pub(crate) struct Message {
    pub(crate) path: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// What a receiver is sent over HTTP; none for one that is mailed to.
pub(crate) fn message(receiver: &Receiver, id: &str, alert: &Alert, news: News, now: Micros) -> Option<Message> {
    let json_type = ("content-type", "application/json".to_owned());
    Some(match receiver {
        Receiver::Mail => return None,
        Receiver::Alertmanager => Message {
            path: "/api/v2/alerts",
            headers: vec![json_type],
            body: json!([as_alertmanager_has_it(alert, news)]).to_string().into_bytes(),
        },
        Receiver::Webhook(key) => {
            let body = json!({
                "type": format!("alert.{}", news.word()),
                "timestamp": now.rfc3339(),
                "data": {
                    "id": alert.id,
                    "kind": alert.kind,
                    "severity": alert.severity.word(),
                    "state": alert.state.word(),
                    "subject": alert.detail.subject,
                    "headline": alert.headline,
                    "since": alert.began_at.rfc3339(),
                    "crosses_at": alert.crosses_at.map(Micros::rfc3339),
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
    })
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
        "startsAt": alert.began_at.rfc3339(),
    });
    // It is told once, so it must not end by itself there before it is told that it is over.
    let ends_at = match news {
        News::Resolved => alert.resolved.as_ref().map_or(alert.seen_at, |one| one.0),
        News::Firing => alert.opened_at.plus_secs(FIRING_DAYS * 86_400),
    };
    if let Some(fields) = value.as_object_mut() {
        fields.insert("endsAt".to_owned(), Value::String(ends_at.rfc3339()));
    }
    value
}
