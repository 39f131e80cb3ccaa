//! What `bench poison` measured, as rows: each scenario's, processor time, false alarms.

use serde_json::{Value, json};

use crate::bench::Row;

/// The best peer's processor time must be this many times ours.
const CPU_RATIO_MIN: f64 = 10.0;
/// Rows of clean sets that may be suspected.
const FALSE_ALARM_SHARE_MAX: f64 = 0.01;

/// A number of the judgement; 0 where there is none.
pub fn number(judged: &Value, name: &str) -> f64 {
    judged.get(name).and_then(Value::as_f64).unwrap_or_default()
}

/// To three digits, as it is told: a difference in the fourth is none.
fn told(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// The best peer by a measure: its name, its value, its processor time. Of equals the cheapest.
fn best(judged: &Value, measure: &str) -> Option<(String, f64, f64)> {
    let peers = judged.get("peers").and_then(Value::as_object)?;
    let all = peers.iter().map(|(name, peer)| (name.clone(), told(number(peer, measure)), number(peer, "cpu_seconds")));
    all.max_by(|left, right| left.1.total_cmp(&right.1).then(right.2.total_cmp(&left.2)))
}

/// The names of those that did not end or failed, as a sentence.
fn left_out(judged: &Value) -> String {
    let unfinished = judged.get("unfinished").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let unfinished = unfinished.iter().filter_map(Value::as_str).map(|name| format!("; `{name}` did not end in its time"));
    let failed = judged.get("failed").and_then(Value::as_object);
    let failed = failed.into_iter().flatten().map(|(name, why)| format!("; `{name}` did not run: {why}"));
    unfinished.chain(failed).collect()
}

/// Our scenario and the best peers, in a line.
pub fn line(name: &str, judged: &Value) -> String {
    let best = |measure| {
        best(judged, measure).map_or_else(String::new, |(name, value, cpu)| format!(" ({name} {value:.3}, {cpu:.2} CPU-s)"))
    };
    format!(
        "{name}: AUROC {:.3}{}, precision@k {:.3}{}, {:.3} CPU-s ({:.2} all screens), {}, {} suspected{}",
        number(judged, "auroc"),
        best("auroc"),
        number(judged, "precision"),
        best("precision"),
        number(judged, "screen_cpu_seconds"),
        number(judged, "cpu_seconds"),
        judged.get("verdict").and_then(Value::as_str).unwrap_or("?"),
        number(judged, "suspected"),
        left_out(judged),
    )
}

/// AUROC against the best peer; the target counts as reached only if precision@k is reached too, and no peer is missing.
pub fn scenario_row(name: &str, judged: &Value) -> Option<(Row, Value)> {
    let (peer_name, peer, peer_cpu) = best(judged, "auroc")?;
    let (precise_name, precise, _) = best(judged, "precision")?;
    let (ours, precision) = (told(number(judged, "auroc")), told(number(judged, "precision")));
    let cpu = number(judged, "screen_cpu_seconds");
    let ratio = ours / peer.max(1e-9);
    let precision_ratio = if precise > 0.0 { precision / precise } else { 1.0 };
    let cpu_ratio = peer_cpu / cpu.max(1e-9);
    let left_out = left_out(judged);
    let (quality, cheap) = (ratio.min(precision_ratio) >= 1.0, cpu_ratio >= CPU_RATIO_MIN);
    let met = |met: bool| if met { "met" } else { "not met" };
    let row = Row {
        work: name.to_owned().into(),
        ours,
        peer: Some(peer),
        unit: "AUROC",
        ratio: Some(ratio),
        limit: 1.0,
        of_limit: ratio.min(precision_ratio),
        limited_by: format!(
            "{}: best peer {peer_name}; precision@k {precision:.3} against {precise:.3} ({precise_name}); {}: {cpu:.3} CPU-s of \
             the screen against {peer_cpu:.2}, {cpu_ratio:.1} of {CPU_RATIO_MIN:.0} times{left_out}",
            met(quality),
            met(cheap)
        )
        .into(),
    };
    let more = json!({
        "auroc": ours, "peer_auroc": peer, "peer_name": peer_name, "precision": precision, "peer_precision": precise,
        "peer_precision_name": precise_name, "cpu_seconds": cpu, "peer_cpu_seconds": told(peer_cpu),
        "cpu_ratio": told(cpu_ratio), "scan_cpu_seconds": told(number(judged, "cpu_seconds")), "rows": number(judged, "rows"),
        "bad_rows": number(judged, "bad"), "suspected": number(judged, "suspected"), "verdict": judged.get("verdict"),
        "quality_met": quality, "cpu_met": cheap, "met": quality && cheap && left_out.is_empty(),
    });
    Some((row, more))
}

/// Processor time: in all, of the best peers, and where we are least ahead.
pub fn cpu_rows(told: &[(String, Value)]) -> Vec<(Row, Value)> {
    let contested: Vec<&(String, Value)> = told.iter().filter(|(_, judged)| best(judged, "auroc").is_some()).collect();
    let sum = |of: &dyn Fn(&Value) -> f64| contested.iter().map(|(_, judged)| of(judged)).sum::<f64>();
    let screens = sum(&|judged| number(judged, "screen_cpu_seconds"));
    if screens <= 0.0 {
        return Vec::new();
    }
    let best_cpu = |judged: &Value| best(judged, "auroc").map_or(0.0, |(_, _, cpu)| cpu);
    let ratio = |judged: &Value| best_cpu(judged) / number(judged, "screen_cpu_seconds").max(1e-9);
    let met = contested.iter().filter(|(_, judged)| ratio(judged) >= CPU_RATIO_MIN).count();
    let least = contested.iter().min_by(|left, right| ratio(&left.1).total_cmp(&ratio(&right.1)));
    let everything = "all peers, against our whole scans (labels, triggers, outliers, copies, targets, certificate)";
    let chosen = "the peer with the best AUROC of each scenario, against the one screen that looks for what was planted";
    let mut rows = vec![
        cpu_row("cpu", sum(&|judged| number(judged, "cpu_seconds")), sum(&of_all_peers), everything.to_owned()),
        cpu_row("cpu-best-peers", screens, sum(&best_cpu), chosen.to_owned()),
    ];
    if let Some((name, judged)) = least {
        let text = format!("{name}, where we are least ahead; {met} of {} scenarios reach the ratio", contested.len());
        rows.push(cpu_row("cpu-least", number(judged, "screen_cpu_seconds"), best_cpu(judged), text));
    }
    rows
}

/// The processor time of all peers of a scenario, each counted once whatever number of rankings it gives.
fn of_all_peers(judged: &Value) -> f64 {
    let peers = judged.get("peers").and_then(Value::as_object);
    let mut all: Vec<(&str, f64)> = (peers.into_iter().flatten())
        .map(|(name, peer)| (peer.get("of").and_then(Value::as_str).unwrap_or(name), number(peer, "cpu_seconds")))
        .collect();
    all.sort_by(|left, right| left.0.cmp(right.0));
    all.dedup_by(|left, right| left.0 == right.0);
    all.iter().map(|(_, cpu)| cpu).sum()
}

fn cpu_row(work: &'static str, ours: f64, peer: f64, text: String) -> (Row, Value) {
    let ratio = peer / ours.max(1e-9);
    let row = Row {
        work: work.into(),
        ours,
        peer: Some(peer),
        unit: "CPU-s",
        ratio: Some(ratio),
        limit: CPU_RATIO_MIN,
        of_limit: ratio / CPU_RATIO_MIN,
        limited_by: text.into(),
    };
    (row, json!({"met": ratio >= CPU_RATIO_MIN}))
}

/// Clean sets: the greatest share of suspected rows, and how many would be refused.
pub fn clean_rows(told: &[(String, Value)]) -> Vec<(Row, Value)> {
    let clean: Vec<&(String, Value)> =
        told.iter().filter(|(_, judged)| judged.get("family").and_then(Value::as_str) == Some("clean")).collect();
    let share = |judged: &Value| number(judged, "suspected") / number(judged, "rows").max(1.0);
    let shares: serde_json::Map<String, Value> =
        clean.iter().map(|(name, judged)| (name.clone(), json!(share(judged)))).collect();
    let Some((worst, judged)) = clean.iter().max_by(|left, right| share(&left.1).total_cmp(&share(&right.1))) else {
        return Vec::new();
    };
    let share = share(judged);
    let refused = clean.iter().filter(|(_, judged)| number(judged, "verified") > 0.0).count() as f64;
    let reached = if share > 0.0 { (FALSE_ALARM_SHARE_MAX / share).min(10.0) } else { 10.0 };
    let refused_reached = if refused > 0.0 { 0.0 } else { 1.0 };
    let worst = format!("the worst of {} sets: {worst}", clean.len());
    let verified = format!("verified triggers in {} clean sets", clean.len());
    vec![
        (
            alone("clean-suspected", (share, "share"), (FALSE_ALARM_SHARE_MAX, reached), worst),
            json!({"met": reached >= 1.0, "shares": shares}),
        ),
        (alone("clean-refused", (refused, "sets"), (0.0, refused_reached), verified), json!({"met": refused < 1.0})),
    ]
}

/// A row without a peer.
pub fn alone(work: &str, (ours, unit): (f64, &'static str), (limit, of_limit): (f64, f64), text: String) -> Row {
    Row { work: work.to_owned().into(), ours, peer: None, unit, ratio: None, limit, of_limit, limited_by: text.into() }
}

/// A row of what could not be measured.
pub fn failed(work: &str, problem: &str) -> (Row, Value) {
    (alone(work, (0.0, "AUROC"), (1.0, 0.0), problem.to_owned()), json!({"met": false, "problem": problem}))
}
