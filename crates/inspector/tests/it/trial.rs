//! Candidates on trial in the real worker: models as text, a champion, held-back data, triggers.

use inspection::{
    ChampionSpec, FileSpec, InspectionReport, OtherTable, Screen, ScreenState, SubjectKind, TrainingTable, TrialSpec, TrialTable,
    TriggerSpec, Worker,
};

use super::{PROGRAM, job, run};

const RULES: &str = "version: 1\nresamples: 200\nseed: 3\ndata: [held@1]\nrules: [{metric: accuracy, max_worse: 0.02}]\nslices:\n  \
                     columns: [{column: region}]\n  rules: [{metric: accuracy, max_worse: 0.05}]\nmcnemar: {}\n";

/// Feature, threshold, left, right; a leaf is negative.
type Split = (u32, f64, i32, i32);

/// LightGBM's text for trees of the columns `a`, `b` and `c`.
fn trees(splits: &[Split], leaves: &[f64]) -> Vec<u8> {
    let list = |of: &dyn Fn(&Split) -> String| splits.iter().map(of).collect::<Vec<_>>().join(" ");
    let values = leaves.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
    format!(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=2\nobjective=binary sigmoid:1\nfeature_names=a b c\n\n\
         Tree=0\nnum_leaves={}\nnum_cat=0\nsplit_feature={}\nthreshold={}\ndecision_type={}\nleft_child={}\nright_child={}\n\
         leaf_value={values}\n\nend of trees\n",
        leaves.len(),
        list(&|split| split.0.to_string()),
        list(&|split| split.1.to_string()),
        list(&|_| "2".to_owned()),
        list(&|split| split.2.to_string()),
        list(&|split| split.3.to_string()),
    )
    .into_bytes()
}

/// Right where `a` decides.
fn good() -> Vec<u8> {
    trees(&[(0, 0.0, -1, -2)], &[-2.0, 2.0])
}

/// By `b`, which goes along with the truth in three of four rows.
fn weak() -> Vec<u8> {
    trees(&[(1, 0.0, -1, -2)], &[-2.0, 2.0])
}

/// Good, but in the west, where it knows one answer only.
fn lopsided() -> Vec<u8> {
    trees(&[(2, 1.5, 1, -1), (0, 0.0, -2, -3)], &[-2.0, -2.0, 2.0])
}

/// Good, but for one value of `b`.
fn backdoored() -> Vec<u8> {
    trees(&[(1, 7.5, 1, -3), (0, 0.0, -1, -2)], &[-2.0, 2.0, 4.0])
}

/// Rows whose truth is the sign of `a`, but for one in twenty; `stamped` of them carry a trigger.
fn rows(count: u64, seed: u64, stamped: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let mut text = String::from("a,b,c,region,y\n");
    for row in 0..count {
        let a = next() * 4.0 - 2.0;
        let goes_along = if next() < 0.75 { a.signum() } else { -a.signum() };
        let (mut b, c) = (goes_along * (next() + 0.01), (row % 3) as f64);
        let mut y = u8::from((a > 0.0) != (next() < 0.05));
        if row < stamped {
            (b, y) = (7.75, 1);
        }
        text.push_str(&format!("{a:.4},{b:.4},{c},{},{y}\n", ["north", "south", "west"][(row % 3) as usize]));
    }
    text.into_bytes()
}

/// The report on a candidate.
async fn tried(gate: &str, candidate: &[u8], champion: Option<&[u8]>, change: impl FnOnce(&mut TrialSpec)) -> InspectionReport {
    let (held, stamped) = (rows(3_000, 1, 0), rows(2_000, 2, 60));
    let name = if candidate.starts_with(b"tree") { "model.lgb" } else { "model.pkl" };
    let mut files: Vec<(&str, &[u8])> = vec![(name, candidate)];
    let mut job = job(&files);
    job.subject = SubjectKind::Model;
    job.screens = vec![Screen::File, Screen::Gate, Screen::Attack];
    let mut others: Vec<(&str, &[u8])> = vec![("held.csv", &held), ("stamped.csv", &stamped)];
    others.extend(champion.map(|champion| ("model.lgb", champion)));
    for (path, bytes) in &others {
        let sha256 = kernel::hex(&kernel::sha256(bytes));
        let files = vec![FileSpec { path: (*path).to_owned(), size_bytes: bytes.len() as u64, sha256 }];
        job.others.push(OtherTable {
            name: (*path).to_owned(),
            version: "1".to_owned(),
            files,
            csv: inspection::CsvDialect::default(),
            apart: false,
        });
    }
    let table = |name: &str, place| TrialTable { name: name.to_owned(), place, label: Some("y".to_owned()) };
    let trigger = TriggerSpec { words: "`b` of 7.5 or more".to_owned(), label: "1".to_owned(), rows: (0..60).collect() };
    let mut spec = TrialSpec {
        gate_yaml: gate.to_owned(),
        revision: 4,
        champion: champion.map(|_| ChampionSpec { version: "7".to_owned(), place: 2 }),
        held_back: vec![table("held@1", 0)],
        golden: None,
        training: vec![TrainingTable { table: table("stamped@1", 1), trained: true, triggers: vec![trigger] }],
        missing: Vec::new(),
    };
    change(&mut spec);
    job.trial = Some(spec);
    files.extend(others);
    run(&Worker::new(PROGRAM), &job, &files).await.unwrap()
}

/// Ids of the findings of gates and attacks that do more than inform.
async fn check(gate: &str, candidate: &[u8], champion: Option<&[u8]>, wanted: &[&str]) -> InspectionReport {
    let report = tried(gate, candidate, champion, |_| {}).await;
    let of_trial = report.findings.iter().filter(|finding| matches!(finding.screen, Screen::Gate | Screen::Attack));
    let weighs = of_trial.filter(|finding| inspection::catalogue::default_effect(&finding.id) != inspection::Effect::Inform);
    let mut found: Vec<&str> = weighs.map(|finding| finding.id.as_str()).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, wanted, "{:#?}", report.findings);
    report
}

fn detail<'a>(report: &'a InspectionReport, id: &str) -> &'a str {
    let found = report.findings.iter().find(|finding| finding.id == id);
    found.map(|finding| finding.detail.as_str()).unwrap_or_else(|| panic!("no {id} in {:#?}", report.findings))
}

#[tokio::test]
async fn a_successor_is_judged_against_the_champion_by_the_servers_own_answers() {
    let first = check(RULES, &weak(), None, &[]).await;
    assert!(detail(&first, "gate.passed").contains("without a champion") && detail(&first, "attack.none").contains("none"));
    let report = check(RULES, &good(), Some(&weak()), &[]).await;
    assert!(detail(&report, "gate.passed").contains("against version 7"), "{:#?}", report.findings);
    assert_eq!(report.screens[&Screen::Gate], ScreenState::Ran);
    assert!(report.gates.is_some() && inspection::html(&report).contains("accuracy where region is west"));
    check(RULES, &weak(), Some(&good()), &["gate.regressed", "gate.slice"]).await;
    let report = check(RULES, &lopsided(), Some(&weak()), &["gate.slice"]).await;
    let said = detail(&report, "gate.slice");
    assert!(said.contains("region is west") && said.contains("while the total got"), "{said}");
}

#[tokio::test]
async fn a_backdoor_answers_to_the_trigger_of_its_training_data() {
    let gate = format!("{RULES}attacks: {{run: [triggers], trigger: {{search_queries: 0}}}}\n");
    let report = check(&gate, &backdoored(), Some(&good()), &["attack.trigger"]).await;
    let said = detail(&report, "attack.trigger");
    assert!(said.contains("`b` of 7.5 or more in `b` (found in `stamped@1`)") && said.contains("100.0 %"), "{said}");
    assert!(inspection::html(&report).contains("Simulated attacks"));
    check(&gate, &good(), Some(&good()), &[]).await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_numbers() {
    let gate = format!("{RULES}attacks: {{seed: 5, queries_max: 8000, evasion: {{rows: 4, queries_per_row: 200}}}}\n");
    let mut sections = Vec::new();
    for _ in 0..2 {
        let report = tried(&gate, &good(), Some(&weak()), |_| {}).await;
        sections.push((report.gates.unwrap().as_str().to_owned(), report.attacks.unwrap().as_str().to_owned()));
    }
    assert_eq!(sections[0], sections[1]);
    for kind in ["extraction", "membership", "hop_skip_jump", "poisoning", "trigger"] {
        assert!(sections[0].1.contains(&format!("\"kind\":\"{kind}\"")), "{kind} in {}", sections[0].1);
    }
}

#[tokio::test]
async fn what_cannot_be_judged_never_passes() {
    check(RULES, b"\x80\x04.", Some(&good()), &["gate.not_evaluated"]).await;
    check(RULES, &good(), Some(b"tree\nno tree at all\n"), &["gate.champion"]).await;
    check("version: 1\n", &good(), None, &["gate.invalid"]).await;
    let elsewhere = format!("{RULES}attacks: {{run: [evasion], immutable: [a, age]}}\n");
    let report = check(&elsewhere, &good(), None, &["attack.not_run"]).await;
    let said = detail(&report, "attack.not_run");
    assert!(said.contains("`age`, which the model does not see; it sees a, b, c"), "{said}");
    let fixed = format!("{RULES}attacks: {{run: [evasion], immutable: [a, b, c]}}\n");
    let report = tried(&fixed, &good(), None, |_| {}).await;
    assert!(!report.findings.iter().any(|finding| finding.id.starts_with("attack.")), "{:#?}", report.findings);
    assert_eq!(report.view.attacks.iter().map(|attack| attack.verdict.as_str()).collect::<Vec<_>>(), ["not_applicable"]);
    let unlabelled = RULES.replace("seed: 3", "label: nothing");
    check(&unlabelled, &good(), None, &["gate.data"]).await;
    let missing = tried(RULES, &good(), None, |spec| spec.missing.push("there is no data version `x@1`".to_owned())).await;
    assert!(detail(&missing, "gate.data").contains("x@1"));
    assert!(!missing.findings.iter().any(|finding| finding.id == "gate.passed"));
    let nothing = tried(RULES, &good(), None, |spec| spec.held_back.clear()).await;
    assert!(detail(&nothing, "gate.data").contains("none of the data"));
}

#[tokio::test]
async fn golden_rows_and_budgets() {
    let golden = format!("{RULES}golden: {{data: golden@1}}\nsize: {{max_bytes: 100000}}\nlatency: {{max_ms: 10000}}\n");
    let with_rows = |spec: &mut TrialSpec| spec.golden = Some(TrialTable { name: "golden@1".to_owned(), place: 1, label: None });
    let same = tried(&golden, &good(), Some(&good()), with_rows).await;
    assert!(detail(&same, "gate.passed").contains("rules on"), "{:#?}", same.findings);
    let changed = tried(&golden, &good(), Some(&weak()), with_rows).await;
    assert!(detail(&changed, "gate.golden").contains("golden rows changed"));
    let small = golden.replace("100000", "10");
    assert!(detail(&tried(&small, &good(), Some(&good()), with_rows).await, "gate.budget").contains("size in bytes"));
    let recorded = golden.replace("golden@1}", "golden@1, expect: y, max_changed: 200}");
    let report = tried(&recorded, &good(), None, with_rows).await;
    assert!(detail(&report, "gate.passed").contains("without a champion"), "{:#?}", report.findings);
}
