//! The sections of a candidate model: the rules of its gate file, and the attacks that were tried on it.

use super::sections::section;
use super::text::{Escaped, count};
use crate::view::{AttackView, RuleView, VIEW_ROW_COUNT_MAX, View};

pub(super) fn gates(view: &View) -> String {
    if view.gates.is_empty() {
        return String::new();
    }
    let broken = view.gates.iter().filter(|rule| rule.holds == Some(false)).count() as u64;
    let rows: String = view.gates.iter().take(VIEW_ROW_COUNT_MAX).map(rule).collect();
    let lead = format!("{} rules, {} broken; answers are the server's own", count(view.gates.len() as u64), count(broken));
    section("Gates", &lead, &format!("<table><tr><th>rule</th><th></th><th>what was found</th></tr>{rows}</table>"))
}

fn rule(rule: &RuleView) -> String {
    let (class, word) = match rule.holds {
        Some(true) => ("info", "kept"),
        Some(false) => ("error", "broken"),
        None => ("warning", "not judged"),
    };
    format!(
        "<tr><td>{}</td><td><span class=\"tag {class}\">{word}</span></td><td>{}</td></tr>",
        Escaped(&rule.rule),
        Escaped(&rule.detail)
    )
}

pub(super) fn attacks(view: &View) -> String {
    if view.attacks.is_empty() {
        return String::new();
    }
    let cards: String = view.attacks.iter().take(VIEW_ROW_COUNT_MAX).map(attack).collect();
    section("Simulated attacks", "within the budget of queries that the gate file gives", &cards)
}

fn attack(attack: &AttackView) -> String {
    let class = match attack.verdict.as_str() {
        "refuse" => "error",
        "notice" | "not_run" => "warning",
        _ => "info",
    };
    let references: String = attack.references.iter().map(|id| format!("<span class=\"tag\">{}</span>", Escaped(id))).collect();
    format!(
        "<article class=\"finding {class}\"><h3><span class=\"tag {class}\">{}</span> <span class=\"title\">{}</span></h3>\n<p>{}</p>\n\
         <p class=\"meta\">{} {references}</p>\n<p class=\"remedy\">{}</p></article>\n",
        Escaped(&attack.verdict.replace('_', " ")),
        Escaped(&attack.attack),
        Escaped(&attack.detail),
        Escaped(&attack.number),
        Escaped(&attack.advice),
    )
}
