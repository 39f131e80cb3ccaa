//! Rules for a Prometheus that scrapes this server: what it calls even when this server cannot.

use crate::ObserveConfig;

/// The file of rules, in Prometheus's form.
#[must_use]
pub fn alert_rules(config: &ObserveConfig) -> String {
    let mut text = String::from(
        "# Made by `strongroom observe rules`. Load it with `rule_files` of a Prometheus that scrapes /metrics.\ngroups:\n  - name: strongroom\n    rules:\n",
    );
    let mut add = |name: &str, expression: &str, hold: &str, severity: &str, summary: &str| {
        text.push_str(&format!(
            "      - alert: {name}\n        expr: {expression}\n        for: {hold}\n        labels:\n          severity: {severity}\n        annotations:\n          summary: {summary}\n"
        ));
    };
    add("StrongroomDown", "up{job=\"strongroom\"} == 0", "2m", "critical", "the server does not answer");
    let open = "the server has an open alert; `strongroom alerts list` shows it";
    add(
        "StrongroomAlertOpen",
        "sum by (kind, severity) (strongroom_alerts_open{severity!=\"info\"}) > 0",
        "0m",
        "\"{{ $labels.severity }}\"",
        open,
    );
    add(
        "StrongroomEndpointFailing",
        "max by (endpoint) (strongroom_endpoint_health{state=\"failing\"}) == 1",
        "1m",
        "critical",
        "an endpoint does not answer",
    );
    for (name, long, short, rate, severity) in [
        ("StrongroomBudgetBurnsFast", "1h", "5m", "14.4", "critical"),
        ("StrongroomBudgetBurns", "6h", "30m", "6", "critical"),
        ("StrongroomBudgetBurnsSlowly", "3d", "6h", "1", "warning"),
    ] {
        let share = |window: &str| {
            format!(
                "sum by (endpoint) (rate(strongroom_endpoint_requests_total{{result=\"failed\"}}[{window}])) / \
                 sum by (endpoint) (rate(strongroom_endpoint_requests_total{{result=~\"answered|failed\"}}[{window}]))"
            )
        };
        let budget = format!("{rate} * (1 - {})", config.success_share);
        let expression = format!("({}) > {budget} and ({}) > {budget}", share(long), share(short));
        add(name, &format!("'{expression}'"), "0m", severity, "an endpoint fails faster than its budget of 30 days allows");
    }
    if let Some(limit) = config.latency_ms_max {
        let window = "[10m]";
        let expression = format!(
            "'sum by (endpoint) (rate(strongroom_endpoint_latency_seconds_sum{window})) / \
             sum by (endpoint) (rate(strongroom_endpoint_latency_seconds_count{window})) > {}'",
            limit / 1_000.0
        );
        add("StrongroomEndpointSlow", &expression, "10m", "warning", "an endpoint is slower than `observe.latency_ms_max`");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_whole() {
        let text = alert_rules(&ObserveConfig { latency_ms_max: Some(50.0), ..ObserveConfig::default() });
        assert_eq!((text.matches("- alert: ").count(), text.matches(" expr: ").count()), (7, 7));
        assert!(text.contains("> 0.05'") && text.contains("14.4 * (1 - 0.999)"), "{text}");
        assert_eq!(alert_rules(&ObserveConfig::default()).matches("- alert: ").count(), 6);
    }
}
