//! The attacks that the gate file asks for.

use adversary::{
    AttackKind, AttackName, AttackReport, EvaluationData, Feature, FeatureKind, Measure, Suite, SuiteReport, Verdict,
};
use inspection::{AttackView, Finding, FindingKind, Screen, Severity, catalogue};

use super::frame::Column;
use super::{Trial, watched};
use crate::inspect::Draft;

/// Tries them.
pub(super) fn run(trial: &Trial<'_>, draft: &mut Draft<'_>) {
    let Some(attacks) = &trial.file.attacks else {
        draft.find(Finding::new(&catalogue::ATTACK_NONE, "the gate file asks for none"));
        return draft.skipped(Screen::Attack, "the gate file asks for none");
    };
    match tried(trial, draft) {
        Ok(report) => {
            for attack in &report.attacks {
                note(attack, attacks.refuse.contains(&name_of(attack.kind)), draft);
                draft.view().attacks.push(shown(attack));
            }
            draft.report().attacks = draft.section(Screen::Attack, &report);
            draft.ran(Screen::Attack);
        }
        Err(why) => {
            draft.find(Finding::new(&catalogue::ATTACK_NOT_RUN, why.clone()));
            draft.partial(Screen::Attack, &why);
        }
    }
}

fn tried(trial: &Trial<'_>, draft: &Draft<'_>) -> Result<SuiteReport, String> {
    let (Some(attacks), Some(asked)) = (&trial.file.attacks, trial.asked.first()) else {
        return Err("there is no data to ask about".to_owned());
    };
    let columns = trial.candidate.columns();
    if let Some(name) = attacks.immutable.iter().find(|name| !columns.contains(name)) {
        let known = columns.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(format!("`immutable` names `{name}`, which the model does not see; it sees {known}: mend the gate file"));
    }
    let answering = trial.candidate.over(&asked.frame, &trial.classes)?;
    let mut features = Vec::new();
    for name in columns {
        let column = asked.frame.get(name).ok_or_else(|| format!("there is no column `{name}`"))?;
        features.push(Feature { name: name.clone(), kind: kind_of(column), immutable: attacks.immutable.contains(name) });
    }
    let data = EvaluationData {
        features,
        image: None,
        rows: answering.rows(asked.frame.len()),
        truth: asked.truth.named(&trial.classes),
        training: trial.known.training_with(&trial.classes),
        triggers: trial.known.triggers.clone(),
    };
    watched(draft, "attacks", |watch| Suite::run(&answering, &data, &attacks.suite(), watch)).map_err(|error| error.to_string())
}

/// What a column may hold: what it was seen to hold.
fn kind_of(column: &Column) -> FeatureKind {
    match column {
        Column::Texts { names, .. } => FeatureKind::Category(if names.is_empty() { vec![String::new()] } else { names.clone() }),
        Column::Numbers { values, whole } => {
            let seen = values.iter().filter(|value| value.is_finite());
            let bounds = seen.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
            let (least, greatest) = if bounds.0 <= bounds.1 { bounds } else { (0.0, 0.0) };
            if *whole { FeatureKind::Integer { least, greatest } } else { FeatureKind::Number { least, greatest } }
        }
    }
}

const fn name_of(kind: AttackKind) -> AttackName {
    match kind {
        AttackKind::HopSkipJump | AttackKind::Square => AttackName::Evasion,
        AttackKind::Membership => AttackName::Membership,
        AttackKind::Extraction => AttackName::Extraction,
        AttackKind::Trigger => AttackName::Triggers,
        AttackKind::Poisoning => AttackName::Poisoning,
    }
}

const fn word_of(kind: AttackKind) -> &'static str {
    match kind {
        AttackKind::HopSkipJump => "evasion (HopSkipJump)",
        AttackKind::Square => "evasion (Square)",
        AttackKind::Membership => "membership inference",
        AttackKind::Extraction => "extraction",
        AttackKind::Trigger => "trigger",
        AttackKind::Poisoning => "poisoning",
    }
}

/// An attack's number, with its interval and limit.
fn number(attack: &AttackReport) -> String {
    let Some(Measure { name, value, interval }) = &attack.measure else { return String::new() };
    let interval = interval.map_or_else(String::new, |interval| format!(" ({:.3} to {:.3})", interval.low, interval.high));
    let limit = attack.limits.refuse.or(attack.limits.notice).map_or_else(String::new, |limit| format!(", limit {limit}"));
    format!("{name}: {value:.3}{interval}{limit}")
}

fn note(attack: &AttackReport, refuses: bool, draft: &mut Draft<'_>) {
    let kind: &FindingKind = match (attack.verdict, attack.kind) {
        (Verdict::NotApplicable | Verdict::Clear, _) => return,
        (Verdict::Notice, _) => &catalogue::ATTACK_NOTICE,
        (Verdict::NotRun, _) => &catalogue::ATTACK_NOT_RUN,
        (Verdict::Refuse, AttackKind::Trigger) => &catalogue::ATTACK_TRIGGER,
        (Verdict::Refuse, AttackKind::HopSkipJump | AttackKind::Square) => &catalogue::ATTACK_EVASION,
        (Verdict::Refuse, AttackKind::Membership) => &catalogue::ATTACK_MEMBERSHIP,
        (Verdict::Refuse, AttackKind::Extraction) => &catalogue::ATTACK_EXTRACTION,
        (Verdict::Refuse, AttackKind::Poisoning) => &catalogue::ATTACK_POISONING,
    };
    let what = if attack.what.is_empty() { String::new() } else { format!(" {}", attack.what) };
    let detail = format!("{}{what}: {} [{}]", word_of(attack.kind), attack.summary, number(attack));
    let mut finding = Finding::new(kind, detail);
    if attack.verdict == Verdict::Refuse && refuses {
        finding = finding.severity(Severity::Critical);
    }
    finding.references = references(attack);
    draft.find(finding);
}

fn references(attack: &AttackReport) -> Vec<String> {
    attack.framework.atlas.iter().chain(&attack.framework.owasp).chain(&attack.framework.nist).cloned().collect()
}

fn shown(attack: &AttackReport) -> AttackView {
    let verdict = match attack.verdict {
        Verdict::NotApplicable => "not_applicable",
        Verdict::Clear => "clear",
        Verdict::Notice => "notice",
        Verdict::NotRun => "not_run",
        Verdict::Refuse => "refuse",
    };
    let what = if attack.what.is_empty() { String::new() } else { format!(": {}", attack.what) };
    AttackView {
        attack: format!("{}{what}", word_of(attack.kind)),
        verdict: verdict.to_owned(),
        number: number(attack),
        detail: attack.summary.clone(),
        advice: if attack.verdict >= Verdict::Notice { attack.advice.clone() } else { String::new() },
        references: references(attack),
    }
}
