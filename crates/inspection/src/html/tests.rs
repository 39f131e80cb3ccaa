use std::collections::BTreeMap;

use super::html;
use crate::catalogue;
use crate::finding::{Example, Finding, Screen};
use crate::report::{Confinement, InspectionReport, REPORT_SCHEMA, ScreenState, Summary};
use crate::view::{AttackView, Bar, ColumnView, DriftView, PoisonView, RuleView, SuspectView, View};

const HOSTILE: &str = "</style><script>alert(1)</script>\"' onload=x \u{202e}&";

fn report(name: &str) -> InspectionReport {
    let bars = |labels: &[&str]| {
        labels.iter().zip([5, 9, 2]).map(|(label, count)| Bar { label: (*label).to_owned(), count }).collect::<Vec<_>>()
    };
    let column = |is_histogram: bool| ColumnView {
        name: name.to_owned(),
        kind: name.to_owned(),
        role: Some(name.to_owned()),
        null_share: 0.25,
        distinct_count: Some(1_234_567),
        facts: vec![(name.to_owned(), name.to_owned())],
        bars: bars(&[name, "0.5 – 1", "1 – 2"]),
        is_histogram,
        personal: vec![name.to_owned()],
    };
    let row = SuspectView { row: 7, score: 0.9, reason: name.to_owned() };
    let view = View {
        format: name.to_owned(),
        notes: vec![name.to_owned()],
        columns: vec![column(true), column(false)],
        column_hidden_count: 3,
        rules: vec![RuleView {
            rule: name.to_owned(),
            column: Some(name.to_owned()),
            holds: Some(false),
            detail: name.to_owned(),
        }],
        drift: vec![DriftView {
            column: name.to_owned(),
            statistic: name.to_owned(),
            effect: f64::NAN,
            p_value: 0.01,
            drifted: true,
            detail: name.to_owned(),
        }],
        segments: vec![crate::SegmentView {
            column: name.to_owned(),
            segment: name.to_owned(),
            explained_share: f64::NAN,
            detail: name.to_owned(),
        }],
        poisoning: Some(PoisonView {
            row_count: 100,
            suspect_count: 3,
            suspect_share: 0.03,
            scores: bars(&["0", "1", "2"]),
            threshold: Some(0.7),
            suspects: vec![row.clone()],
        }),
        poisonable: vec![row],
        gates: vec![RuleView { rule: name.to_owned(), column: None, holds: None, detail: name.to_owned() }],
        attacks: vec![AttackView {
            attack: name.to_owned(),
            verdict: name.to_owned(),
            number: name.to_owned(),
            detail: name.to_owned(),
            advice: name.to_owned(),
            references: vec![name.to_owned()],
        }],
    };
    let finding = Finding { detail: name.to_owned(), title: name.to_owned(), ..Finding::new(&catalogue::TRIGGER, name) };
    let finding = finding.columns([name]).rows(12).examples([Example::of(Some(3), Some(name), name)]);
    let mut report = InspectionReport {
        schema: REPORT_SCHEMA.to_owned(),
        dataset: name.to_owned(),
        version: "3".to_owned(),
        manifest_sha256: "00".repeat(32),
        files: Vec::new(),
        worker_version: "0.1.0".to_owned(),
        confinement: Confinement::default(),
        seed: 1,
        started_us: 0,
        ended_us: 1_500_000,
        cpu_ms: 1,
        memory_peak_bytes: 1,
        contract_sha256: None,
        reference: Some(name.to_owned()),
        screens: BTreeMap::from([(Screen::Poisoning, ScreenState::Ran), (Screen::Drift, ScreenState::Skipped(name.to_owned()))]),
        findings: Vec::new(),
        summary: Summary { classes: vec![name.to_owned()], ..Summary::default() },
        view,
        table: None,
        profile: None,
        contract: None,
        contract_proposal: None,
        drift: None,
        segments: None,
        personal: None,
        poisoning: None,
        guarded: None,
        scan: None,
        origin: None,
        gates: None,
        attacks: None,
        signature: None,
        guard: None,
        guard_reference: None,
    };
    report.add_findings([finding]);
    report
}

#[test]
fn hostile_names_stay_text() {
    let page = html(&report(HOSTILE));
    assert_eq!(page.matches("</style>").count(), 1);
    assert!(!page.contains("<script") && !page.contains("onload=x \u{202e}") && !page.contains('\u{202e}'));
    assert!(page.contains("&lt;script&gt;") && page.contains("&quot;&#39; onload"));
    assert!(!page.contains("style=") && !page.contains("http://") && !page.contains("https://") && !page.contains("NaN"));
}

#[test]
fn every_part_is_shown() {
    let page = html(&report("plain"));
    for part in [
        "plain@3",
        "Dangerous to train on",
        "1\u{2009}234\u{2009}567",
        "25.0 % missing",
        "suspect from 0.70",
        "1970-01-01 00:00:01 UTC",
        "NOT fully confined",
        "AML.T0018",
        "not judged",
        "Simulated attacks",
    ] {
        assert!(page.contains(part), "the page lacks `{part}`");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn the_statement_follows_the_findings() {
    let report = report("plain");
    let statement = crate::statement(&report, b"{}", &[], Some("https://host/inspections/1"));
    assert_eq!(statement["predicate"]["result"], "FAILED");
    assert_eq!(statement["predicate"]["failedTests"][0], "poisoning.trigger");
    assert_eq!(statement["subject"][0]["digest"]["sha256"], "00".repeat(32));
    assert_eq!(statement["predicate"]["passedTests"].as_array().unwrap().len(), 0);
}

#[test]
fn dates_are_right() {
    for (micros, expected) in [
        (951_782_400_000_000, "2000-02-29 00:00:00 UTC"),
        (-1, "1969-12-31 23:59:59 UTC"),
        (1_795_629_845_000_000, "2026-11-25 18:04:05 UTC"),
    ] {
        assert_eq!(super::text::instant(micros), expected);
    }
}
