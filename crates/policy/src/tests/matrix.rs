//! Which role may do which verb: a table that is compared exactly. `STRONGROOM_BLESS=1` writes it anew; read the
//! difference before it is accepted.

use std::fmt::Write as _;
use std::sync::Arc;

use gate::{Caller, CallerKind, DataClasses, DataFacts, DataState, Facts, TargetKind};

use super::{START, grant, user};
use crate::cache::PreparedCache;
use crate::circumstances::Circumstances;
use crate::engine::Engine;
use crate::index::{Change, Index};
use crate::judge::{Ask, Judge};
use crate::types::Resource;

// Cargo runs tests in the folder of their package; a path from build time would be another clone's where clones share a target folder.
const TABLE: &str = "tests/role_matrix.txt";

/// Where a verb is asked for: with a grant on the server, the place that the verb belongs to.
fn place_of(verb: &str) -> TargetKind {
    match verb.split_once('.').map_or(verb, |(room, _)| room) {
        "experiments" => TargetKind::Experiment,
        "runs" | "metrics" | "artifacts" => TargetKind::Run,
        "logged_models" => TargetKind::LoggedModel,
        "traces" => TargetKind::Trace,
        "evaluation" => TargetKind::EvaluationDataset,
        "buckets" => TargetKind::Bucket,
        "datasets" | "sources" | "inspections" | "cleanings" => TargetKind::DatasetVersion,
        "lineage" if verb != "lineage.read" => TargetKind::Workspace,
        "models" | "gates" | "lineage" => TargetKind::RegisteredModel,
        "admissions" if matches!(verb, "admissions.begin" | "admissions.rescan") => TargetKind::Server,
        "admissions" if verb == "admissions.list" => TargetKind::Workspace,
        "versions" | "admissions" => TargetKind::ModelVersion,
        "retraining" if verb == "retraining.begin" => TargetKind::Server,
        "retraining" if verb == "retraining.snapshot" => TargetKind::Run,
        "retraining" if matches!(verb, "retraining.list" | "retraining.requests") => TargetKind::Workspace,
        "retraining" => TargetKind::ModelVersion,
        "endpoints" if matches!(verb, "endpoints.search") => TargetKind::Workspace,
        "endpoints" => TargetKind::Endpoint,
        "predictions" if matches!(verb, "predictions.policy" | "predictions.set_policy") => TargetKind::Endpoint,
        "predictions" if verb != "predictions.expire" => TargetKind::Workspace,
        "alerts" | "remedies" | "health" => TargetKind::Workspace,
        "labels" => TargetKind::Endpoint,
        "audit" => TargetKind::AuditLog,
        "account" | "sessions" => TargetKind::Myself,
        "risk" if verb == "risk.own" => TargetKind::Myself,
        "tokens" if !verb.ends_with("create_for") && !verb.ends_with("revoke_any") => TargetKind::Myself,
        "access" if verb != "access.check" => TargetKind::Server,
        "grants" | "access" | "signers" => TargetKind::Workspace,
        "workspaces" if verb == "workspaces.get" => TargetKind::Workspace,
        _ => TargetKind::Server,
    }
}

/// A column's letter.
fn letter(number: usize) -> char {
    ('a'..='z').chain('A'..='Z').nth(number).unwrap()
}

fn table(engine: &Arc<Engine>, risk: u8) -> String {
    let roles: Vec<String> = engine.roles.keys().cloned().collect();
    let mut index = Index::default();
    let grants = roles.iter().map(|role| Change::Live(grant(&format!("g_{role}"), role, role, Resource::Server)));
    index.apply(1, grants.collect());
    let mut columns: Vec<(String, Caller)> = roles.iter().map(|role| (role.clone(), user(role))).collect();
    columns.push(("(no grant)".to_owned(), user("nobody")));
    columns.push(("(service)".to_owned(), Caller { kind: CallerKind::Service, ..user("robot") }));
    columns.push(("(anonymous)".to_owned(), Caller::anonymous()));
    for job in [
        "bootstrap",
        "verifier",
        "inspector",
        "retention",
        "retrainer",
        "sealer",
        "rollouts",
        "watcher",
        "custodian",
        "backup",
        "shredder",
        "federation",
        "detector",
        "responder",
        "other",
    ] {
        columns.push((format!("job:{job}"), Caller { kind: CallerKind::Job, assurance: 3, ..user(job) }));
    }
    let cache = PreparedCache::default();
    let judge = Judge { engine, index: &index, cache: &cache };
    let mut text = String::from("# Each role granted on the server, and those who have none. x = allowed.\n");
    for (number, (name, _)) in columns.iter().enumerate() {
        let _ = writeln!(text, "# {}: {name}", letter(number));
    }
    let letters: String = (0..columns.len()).map(letter).collect();
    let _ = writeln!(text, "{:<28}{letters}", "");
    for verb in engine.known() {
        let facts = Facts {
            exists: true,
            workspace: Some("ws".to_owned()),
            experiment: Some(1),
            model: Some("m".to_owned()),
            // An ordinary version that was let in; the rest is in `tests::data`.
            data: Some(DataFacts { state: DataState::Admitted, classes: DataClasses::default() }),
            ..Facts::default()
        };
        let mut line = format!("{verb:<28}");
        for (_, caller) in &columns {
            let circumstances = Circumstances { risk, assurance: caller.assurance, locked: false, ..Circumstances::CALM };
            let ask = Ask { caller, verb, kind: place_of(verb), facts: &facts, circumstances, now: START };
            line.push(if judge.may(ask).is_some() { 'x' } else { '.' });
        }
        let _ = writeln!(text, "{line}");
    }
    text
}

#[test]
fn the_role_matrix_is_as_agreed() {
    let engine = Engine::embedded().unwrap();
    let found = table(&engine, 0);
    if std::env::var_os("STRONGROOM_BLESS").is_some() {
        std::fs::write(TABLE, &found).unwrap();
    }
    let agreed = std::fs::read_to_string(TABLE).unwrap();
    for (line, (was, is)) in agreed.lines().zip(found.lines()).enumerate() {
        assert_eq!(was, is, "line {} of tests/role_matrix.txt", line + 1);
    }
    assert_eq!(agreed.lines().count(), found.lines().count());
}

/// What strangers can drive the score to from outside alone (`risk::score`). Until a caller can raise their assurance, less
/// rights there would be an administrator locked out by anybody who guesses passwords.
const STRANGERS_RISK_MAX: u8 = 85;

#[test]
fn what_strangers_do_takes_no_rights_away() {
    let engine = Engine::embedded().unwrap();
    assert_eq!(table(&engine, STRANGERS_RISK_MAX), table(&engine, 0));
    assert_ne!(table(&engine, 90), table(&engine, 0), "from 90 on more is asked for");
}

/// What must hold whatever the table says.
#[test]
fn offices_do_not_reach_data_and_data_not_the_log() {
    let engine = Engine::embedded().unwrap();
    let data_rooms = ["experiments", "runs", "metrics", "artifacts", "logged_models", "traces", "models", "versions", "lineage"];
    for role in engine.roles.values() {
        for verb in &role.verbs {
            let room = verb.split('.').next().unwrap();
            assert!(role.data || !data_rooms.contains(&room), "{} holds {verb}", role.name);
            assert!(role.name == "auditor" || room != "audit", "{} holds {verb}", role.name);
            assert!(role.name == "key_custodian" || room != "keys", "{} holds {verb}", role.name);
        }
    }
}

#[test]
fn who_destroys_keys_does_nothing_else() {
    let engine = Engine::embedded().unwrap();
    let (index, cache) = (Index::default(), PreparedCache::default());
    let judge = Judge { engine: &engine, index: &index, cache: &cache };
    let facts = Facts { exists: true, workspace: Some("ws".to_owned()), ..Facts::default() };
    let held = |job: &str| -> Vec<String> {
        let caller = Caller { kind: CallerKind::Job, assurance: 3, ..user(job) };
        let circumstances = Circumstances { risk: 0, assurance: 3, locked: false, ..Circumstances::CALM };
        let may = |verb: &&str| {
            let ask = Ask { caller: &caller, verb, kind: place_of(verb), facts: &facts, circumstances, now: START };
            judge.may(ask).is_some()
        };
        engine.known().iter().map(|verb| verb.to_string()).filter(|verb| may(&verb.as_str())).collect()
    };
    // What everybody may, a job that is in no rule may too.
    let everyones = held("other");
    let own = |job: &str| -> Vec<String> { held(job).into_iter().filter(|verb| !everyones.contains(verb)).collect() };
    assert_eq!(own("shredder"), ["keys.destroy_due"]);
    assert_eq!(own("custodian"), ["keys.rewrap_due", "keys.rotate", "keys.rotate_due", "keys.status"]);
}
