//! Random worlds: a slice decides like the whole, and costs the same however many grants there are.

use std::sync::Arc;
use std::time::Instant;

use gate::{Caller, CallerKind, DataClasses, DataFacts, DataState, Facts, Scope, TargetKind, TokenFacts};
use kernel::Micros;

use super::{Dice, START, grant, user};
use crate::cache::PreparedCache;
use crate::circumstances::{Circumstances, DataContext, PROOF_AGES_S};
use crate::engine::Engine;
use crate::index::{Change, Index};
use crate::judge::{Ask, Judge};
use crate::place::Place;
use crate::types::{Grant, PrincipalKind, Resource};

const GROUPS: [&str; 3] = ["group-a", "group-b", "group-c"];
const PEOPLE: [&str; 4] = ["ann", "bob", "cy", "robot"];
const WORKSPACES: [&str; 2] = ["ws", "other"];

fn random_caller(dice: &mut Dice) -> Caller {
    let id = *dice.pick(&PEOPLE);
    let kind = if id == "robot" { CallerKind::Service } else { CallerKind::User };
    let groups = GROUPS.iter().filter(|_| dice.roll(2) == 0).map(|group| (*group).to_owned()).collect();
    let training = || TokenFacts {
        id: "t".to_owned(),
        scopes: vec!["datasets.read@dataset_version:d1".to_owned()],
        workspace: None,
        device: None,
    };
    let token = (dice.roll(4) == 0).then(training);
    Caller { kind, groups, token, assurance: u8::try_from(dice.roll(4)).unwrap(), ..user(id) }
}

/// Even experiments and models are in `ws`, odd ones in `other`.
fn home(number: usize) -> String {
    WORKSPACES.get(number % 2).unwrap().to_string()
}

fn random_grant(dice: &mut Dice, id: usize, roles: &[String]) -> Grant {
    let number = dice.roll(4);
    let (resource, workspace) = match dice.roll(8) {
        0 => (Resource::Server, None),
        1 | 2 => (Resource::Workspace(home(number)), Some(home(number))),
        3 | 4 => (Resource::Experiment(i64::try_from(number).unwrap()), Some(home(number))),
        5 | 6 => (Resource::Dataset(format!("d{number}")), Some(home(number))),
        _ => (Resource::RegisteredModel(format!("m{number}")), Some(home(number))),
    };
    let mut made = grant(&format!("g_{id}"), "", dice.pick::<String>(roles), resource);
    made.workspace = workspace;
    (made.principal, made.principal_kind) = match dice.roll(3) {
        0 => ((*dice.pick(&GROUPS)).to_owned(), PrincipalKind::Group),
        _ => match *dice.pick(&PEOPLE) {
            "robot" => ("robot".to_owned(), PrincipalKind::Service),
            person => (person.to_owned(), PrincipalKind::User),
        },
    };
    if dice.roll(4) == 0 {
        made.expires_at = Some(Micros(START.0 + i64::try_from(dice.roll(3)).unwrap() - 1));
    }
    made
}

fn random_place(dice: &mut Dice) -> Place {
    let number = dice.roll(4);
    match dice.roll(8) {
        0 => Place::Server,
        1 => Place::AuditLog,
        2 => Place::Account,
        3 => Place::Workspace(home(number)),
        4 => Place::Experiment { id: i64::try_from(number).unwrap(), workspace: home(number) },
        5 | 6 => Place::Dataset { id: format!("d{number}"), workspace: home(number) },
        _ => Place::RegisteredModel { id: format!("m{number}"), workspace: home(number) },
    }
}

fn random_circumstances(dice: &mut Dice, caller: &Caller) -> Circumstances {
    let session = dice.roll(2) == 0;
    Circumstances {
        risk: *dice.pick(&[0, 50, 89, 90, 94, 95, 100]),
        assurance: caller.assurance,
        locked: dice.roll(12) == 0,
        session,
        phishing_resistant: session && dice.roll(2) == 0,
        proof_age_s: if session { *dice.pick(&PROOF_AGES_S) } else { 0 },
        device_tier: u8::try_from(dice.roll(4)).unwrap(),
        least_tier: *dice.pick(&[0, 0, 1, 2, 3]),
    }
}

/// What is known of a version of a data set, or of something else.
fn random_data(dice: &mut Dice, caller: &Caller) -> DataContext {
    let mut flag = || dice.roll(2) == 0;
    let classes = DataClasses { personal: flag(), special: flag(), health: flag(), financial: flag() };
    let state = *dice.pick(&[
        DataState::Open,
        DataState::Quarantined,
        DataState::Inspecting,
        DataState::Admitted,
        DataState::Admitted,
        DataState::Refused,
    ]);
    let owner = Some((*dice.pick(&PEOPLE)).to_owned());
    let data = (dice.roll(3) > 0).then_some(DataFacts { state, classes });
    DataContext::of(caller, &Facts { owner, data, ..Facts::default() })
}

#[test]
fn a_slice_decides_like_the_whole() {
    let engine = Engine::embedded().unwrap();
    let roles: Vec<String> = engine.roles.keys().cloned().collect();
    let verbs: Vec<String> = engine.known().iter().cloned().collect();
    let (mut yes, mut no) = (0, 0);
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let count = dice.roll(25);
        let grants: Vec<Grant> = (0..count).map(|id| random_grant(&mut dice, id, &roles)).collect();
        let mut index = Index::default();
        index.apply(1, grants.iter().cloned().map(Change::Live).collect());
        let live: Vec<Arc<Grant>> = grants.into_iter().filter(|one| one.is_live(START)).map(Arc::new).collect();
        for _ in 0..12 {
            let caller = random_caller(&mut dice);
            let verb = engine.verb(dice.pick::<String>(&verbs)).unwrap();
            let place = random_place(&mut dice);
            let circumstances = random_circumstances(&mut dice, &caller);
            let data = random_data(&mut dice, &caller);
            let slice = engine.prepare(&caller, verb, &place, index.slice(&caller, &place, START), 1).unwrap();
            let whole = engine.prepare_whole(&caller, verb, &place, live.clone()).unwrap();
            let found = engine.judge(&slice, circumstances, data);
            assert_eq!(
                found,
                engine.judge(&whole, circumstances, data),
                "seed {seed}: {caller:?} {} {place:?} {circumstances:?} {data:?}",
                verb.name
            );
            if found.allowed { yes += 1 } else { no += 1 }
        }
    }
    assert!(yes > 20 && no > 20, "a test that sees one answer only shows nothing: {yes} yes, {no} no");
}

fn crowd(count: usize) -> Index {
    let mut index = Index::default();
    let own = (0..count).map(|n| {
        // Half belong to the caller itself, each on an experiment of its own.
        let holder = if n % 2 == 0 { "ann".to_owned() } else { format!("user-{n}") };
        Change::Live(grant(&format!("g_{n}"), &holder, "trainer", Resource::Experiment(i64::try_from(n).unwrap())))
    });
    index.apply(1, own.collect());
    index
}

/// The slice is what costs: it must not grow with the grants.
#[test]
fn ten_thousand_grants_make_the_same_slice_as_ten() {
    let engine = Engine::embedded().unwrap();
    let verb = engine.verb("runs.log").unwrap();
    let place = Place::Experiment { id: 4, workspace: "ws".to_owned() };
    let caller = user("ann");
    let mut sizes = Vec::new();
    for count in [10, 10_000] {
        let index = crowd(count);
        let begun = Instant::now();
        for _ in 0..20 {
            let prepared = engine.prepare(&caller, verb, &place, index.slice(&caller, &place, START), 1).unwrap();
            sizes.push(prepared.policy_count());
            assert!(
                engine
                    .judge(
                        &prepared,
                        Circumstances { risk: 0, assurance: 1, locked: false, ..Circumstances::CALM },
                        DataContext::NONE
                    )
                    .allowed
            );
        }
        println!("{count} grants: {:?} per decision, unoptimised and uncached", begun.elapsed() / 20);
    }
    assert!(sizes.iter().all(|size| *size == sizes[0]) && sizes[0] < 12, "{sizes:?}");
}

/// A list of one who has single experiments only names those, however many.
#[test]
fn a_list_over_many_single_grants_names_them_all() {
    let engine = Engine::embedded().unwrap();
    let index = crowd(10_000);
    let cache = PreparedCache::default();
    let judge = Judge { engine: &engine, index: &index, cache: &cache };
    let facts = Facts { exists: true, workspace: Some("ws".to_owned()), ..Facts::default() };
    let circumstances = Circumstances { risk: 0, assurance: 1, locked: false, ..Circumstances::CALM };
    let caller = user("ann");
    let kind = TargetKind::Workspace;
    let ask = Ask { caller: &caller, verb: "runs.search", kind, facts: &facts, circumstances, now: START };
    let gate::Decision::Allow { scope: Scope::Only { experiments, models }, reasons } = judge.decide(ask) else {
        unreachable!("it must be allowed for some rows")
    };
    assert_eq!((experiments.len(), models.len()), (5_000, 0));
    assert!(reasons.len() <= 17 && reasons.last().unwrap().starts_with("policy:"), "{reasons:?}");
}
