//! The section `[observe]` of the configuration.

use std::path::PathBuf;

use kernel::Problem;
use serde::{Deserialize, Serialize};

use crate::limits::RECEIVER_COUNT_MAX;

/// `[observe]`: how endpoints and the server are watched, and whom alerts are sent to.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObserveConfig {
    /// How often what was seen is written down and judged.
    pub every_s: u64,
    /// How long minutes are kept.
    pub minutes_days: u64,
    /// How long predictions wait for their labels.
    pub label_days: u64,
    /// The share of requests that must succeed, over 30 days.
    pub success_share: f64,
    /// The mean latency of an endpoint that must not be exceeded; none if nothing is said.
    pub latency_ms_max: Option<f64>,
    /// The accuracy, expected or real, that must not be undercut; none if nothing is said.
    pub accuracy_min: Option<f64>,
    /// How often a look for drift may be wrong by chance; there are up to eleven each round.
    pub drift_false_alarm_share: f64,
    /// The share of rows that must have moved for drift to matter.
    pub drift_moved_share_min: f64,
    /// The free share of the disk that must not be undercut.
    pub disk_free_share_min: f64,
    /// Alertmanagers that alerts are sent to.
    pub alertmanagers: Vec<AlertmanagerConfig>,
    /// Receivers of signed webhooks.
    pub webhooks: Vec<WebhookConfig>,
    /// Addresses that alerts are mailed to, by the server of `[mail]`.
    pub mails: Vec<MailReceiverConfig>,
}

/// `[[observe.alertmanagers]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerConfig {
    /// Its address, such as `https://alerts.example:9093`.
    pub url: String,
    /// The authority (PEM) that signed its certificate.
    pub ca: Option<PathBuf>,
    /// Whether the address may be plain HTTP, where anybody on the way reads what is wrong here.
    #[serde(default)]
    pub allow_insecure_http: bool,
}

/// `[[observe.webhooks]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where messages go, such as `https://hooks.example/strongroom`.
    pub url: String,
    /// The authority (PEM) that signed its certificate.
    pub ca: Option<PathBuf>,
    /// A file with the secret, `whsec_` and base64 of 24 to 64 bytes, as Standard Webhooks has it.
    pub secret_file: PathBuf,
    /// Whether the address may be plain HTTP.
    #[serde(default)]
    pub allow_insecure_http: bool,
}

/// `[[observe.mails]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MailReceiverConfig {
    /// The address, such as `on-call@example.com`.
    pub to: String,
}

impl Default for ObserveConfig {
    fn default() -> Self {
        Self {
            every_s: 60,
            minutes_days: 35,
            label_days: 90,
            success_share: 0.999,
            latency_ms_max: None,
            accuracy_min: None,
            drift_false_alarm_share: 1e-6,
            drift_moved_share_min: 0.05,
            disk_free_share_min: 0.1,
            alertmanagers: Vec::new(),
            webhooks: Vec::new(),
            mails: Vec::new(),
        }
    }
}

impl ObserveConfig {
    /// The names of the receivers that are told of alerts.
    #[must_use]
    pub fn receivers(&self) -> Vec<String> {
        let managers = (0..self.alertmanagers.len()).map(|place| format!("alertmanager/{place}"));
        let hooks = (0..self.webhooks.len()).map(|place| format!("webhook/{place}"));
        managers.chain(hooks).chain((0..self.mails.len()).map(|place| format!("mail/{place}"))).collect()
    }

    /// Refuses values under which nothing would be seen, or alerts would be sent in the open.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self) -> Result<(), Problem> {
        if !(1..=3_600).contains(&self.every_s) {
            return Err(Problem::invalid("`observe.every_s` is from 1 to 3600"));
        }
        if !(4..=3_650).contains(&self.minutes_days) || !(1..=3_650).contains(&self.label_days) {
            return Err(Problem::invalid("`observe.minutes_days` is from 4 to 3650, `observe.label_days` from 1 to 3650"));
        }
        let shares = [
            ("success_share", Some(self.success_share)),
            ("accuracy_min", self.accuracy_min),
            ("drift_false_alarm_share", Some(self.drift_false_alarm_share)),
            ("drift_moved_share_min", Some(self.drift_moved_share_min)),
            ("disk_free_share_min", Some(self.disk_free_share_min)),
        ];
        let between = |share: f64| share > 0.0 && share < 1.0;
        if let Some((key, _)) = shares.iter().find(|(_, share)| share.is_some_and(|share| !between(share))) {
            return Err(Problem::invalid(format!("`observe.{key}` is a share, more than 0 and less than 1")));
        }
        if self.latency_ms_max.is_some_and(|limit| !limit.is_finite() || limit <= 0.0) {
            return Err(Problem::invalid("`observe.latency_ms_max` is more than 0"));
        }
        let counts = [self.alertmanagers.len(), self.webhooks.len(), self.mails.len()];
        if counts.into_iter().any(|count| count > RECEIVER_COUNT_MAX) {
            return Err(Problem::invalid(format!("`[observe]` names at most {RECEIVER_COUNT_MAX} receivers of each kind")));
        }
        let managers = self.alertmanagers.iter().map(|one| (&one.url, &one.ca, one.allow_insecure_http));
        let hooks = self.webhooks.iter().map(|one| (&one.url, &one.ca, one.allow_insecure_http));
        for (url, ca, insecure) in managers.chain(hooks) {
            let secure = url.starts_with("https://");
            if secure && ca.is_none() {
                return Err(Problem::invalid(format!(
                    "`{url}` in `[observe]` needs `ca`, the authority (PEM) of its certificate"
                )));
            }
            let allowed = secure || insecure && url.starts_with("http://");
            if !allowed {
                return Err(Problem::invalid(format!(
                    "`{url}` in `[observe]` is no https address; set its `allow_insecure_http = true` if it must be plain HTTP"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_see_nothing_or_tell_everybody_is_refused() {
        let with = |change: fn(&mut ObserveConfig)| {
            let mut config = ObserveConfig::default();
            change(&mut config);
            config.check()
        };
        let manager = |url: &str, insecure| AlertmanagerConfig { url: url.to_owned(), ca: None, allow_insecure_http: insecure };
        with(|_| ()).unwrap();
        with(|config| config.every_s = 0).unwrap_err();
        with(|config| config.success_share = 1.0).unwrap_err();
        with(|config| config.accuracy_min = Some(f64::NAN)).unwrap_err();
        with(|config| config.latency_ms_max = Some(0.0)).unwrap_err();
        for (url, insecure, good) in
            [("http://a:9093", true, true), ("http://a:9093", false, false), ("https://a", true, false), ("ftp://a", true, false)]
        {
            let config = ObserveConfig { alertmanagers: vec![manager(url, insecure)], ..ObserveConfig::default() };
            assert_eq!(config.check().is_ok(), good, "{url}");
        }
    }
}
