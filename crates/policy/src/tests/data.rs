//! Who may read and let in which version of a data set.

use gate::{Caller, DataClasses, DataFacts, DataState, Facts, TargetKind, TokenFacts};

use super::{START, grant, user};
use crate::cache::PreparedCache;
use crate::circumstances::Circumstances;
use crate::engine::Engine;
use crate::index::{Change, Index};
use crate::judge::{Ask, Judge};
use crate::types::Resource;

const PLAIN: DataClasses = DataClasses { personal: true, special: false, health: false, financial: true };

/// Whether somebody with these roles may do `verb` on a version in this state.
fn check(roles: &[&str], verb: &str, state: DataState, classes: DataClasses, change: impl Fn(&mut Caller, &mut Facts)) -> bool {
    let engine = Engine::embedded().unwrap();
    let mut index = Index::default();
    let workspace = || Resource::Workspace("ws".to_owned());
    let grants = roles.iter().map(|role| Change::Live(grant(&format!("g_{role}"), "ann", role, workspace())));
    index.apply(1, grants.collect());
    let cache = PreparedCache::default();
    let judge = Judge { engine: &engine, index: &index, cache: &cache };
    let mut caller = user("ann");
    let mut facts = Facts {
        exists: true,
        workspace: Some("ws".to_owned()),
        id: Some("v1".to_owned()),
        owner: Some("bob".to_owned()),
        data: Some(DataFacts { state, classes }),
        ..Facts::default()
    };
    change(&mut caller, &mut facts);
    let circumstances = Circumstances { risk: 0, assurance: 1, locked: false, ..Circumstances::CALM };
    let kind = TargetKind::DatasetVersion;
    judge.may(Ask { caller: &caller, verb, kind, facts: &facts, circumstances, now: START }).is_some()
}

fn narrowed(scopes: &'static [&'static str]) -> impl Fn(&mut Caller, &mut Facts) {
    move |caller, _| {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        caller.token = Some(TokenFacts { id: "t".to_owned(), scopes, workspace: None, device: None });
    }
}

#[test]
fn quarantined_bytes_are_for_reviewers_and_their_committer() {
    let other = |_: &mut Caller, _: &mut Facts| {};
    let own = |_: &mut Caller, facts: &mut Facts| facts.owner = Some("ann".to_owned());
    for state in [DataState::Open, DataState::Quarantined, DataState::Inspecting, DataState::Refused] {
        for role in ["viewer", "trainer", "contributor", "special_reader"] {
            assert!(!check(&[role], "datasets.read", state, PLAIN, other), "{role} {state:?}");
        }
        for role in ["reviewer", "owner"] {
            assert!(check(&[role], "datasets.read", state, PLAIN, other), "{role} {state:?}");
        }
        assert!(check(&["contributor"], "datasets.read", state, PLAIN, own));
        assert!(check(&["viewer"], "datasets.get", state, PLAIN, other));
    }
    for role in ["viewer", "trainer", "contributor", "special_reader", "reviewer", "owner"] {
        assert!(check(&[role], "datasets.read", DataState::Admitted, PLAIN, other), "{role}");
    }
    assert!(!check(&["administrator", "auditor"], "datasets.read", DataState::Admitted, PLAIN, other));
}

#[test]
fn sensitive_bytes_take_a_grant_of_their_own() {
    let own = |_: &mut Caller, facts: &mut Facts| facts.owner = Some("ann".to_owned());
    let sensitive = [DataClasses { special: true, ..PLAIN }, DataClasses { health: true, ..PLAIN }];
    for classes in sensitive {
        for role in ["viewer", "trainer", "contributor", "reviewer", "owner"] {
            assert!(!check(&[role], "datasets.read", DataState::Admitted, classes, own), "{role}");
            assert!(check(&[role, "special_reader"], "datasets.read", DataState::Admitted, classes, own), "{role}");
            assert!(check(&[role], "datasets.findings", DataState::Admitted, classes, own), "{role}");
        }
        assert!(!check(&["special_reader"], "datasets.read", DataState::Quarantined, classes, own));
    }
}

#[test]
fn nobody_lets_in_what_they_brought() {
    for verb in ["datasets.waive", "datasets.admit"] {
        assert!(check(&["reviewer"], verb, DataState::Quarantined, PLAIN, |_, _| {}));
        assert!(!check(&["reviewer", "owner"], verb, DataState::Quarantined, PLAIN, |caller, facts| {
            facts.owner = Some(caller.id.clone());
        }));
        assert!(!check(&["contributor"], verb, DataState::Quarantined, PLAIN, |_, _| {}));
    }
    assert!(check(&["reviewer"], "datasets.refuse", DataState::Admitted, PLAIN, |_, facts| facts.owner = Some("ann".to_owned())));
}

#[test]
fn a_training_token_reads_its_admitted_version_and_nothing_else() {
    let token = &["datasets.read@dataset_version:v1", "runs.*@experiment:7"];
    let read = "datasets.read";
    assert!(check(&["owner"], read, DataState::Admitted, PLAIN, narrowed(token)));
    assert!(!check(&["owner"], read, DataState::Quarantined, PLAIN, narrowed(token)), "an owner could, the token cannot");
    assert!(!check(&["owner"], read, DataState::Admitted, PLAIN, |caller, facts| {
        narrowed(token)(caller, facts);
        facts.id = Some("v2".to_owned());
    }));
    assert!(!check(&["owner"], "datasets.get", DataState::Admitted, PLAIN, narrowed(token)));
    assert!(!check(&["owner"], "runs.create", DataState::Admitted, PLAIN, narrowed(token)), "not in that experiment");
}

#[test]
fn a_grant_on_a_data_set_reaches_its_versions_and_no_other_data_set() {
    let engine = Engine::embedded().unwrap();
    let mut index = Index::default();
    let on = Resource::Dataset("set1".to_owned());
    let mut one = grant("g_one", "ann", "viewer", on.clone());
    one.workspace = Some("ws".to_owned());
    index.apply(1, vec![Change::Live(one)]);
    let cache = PreparedCache::default();
    let judge = Judge { engine: &engine, index: &index, cache: &cache };
    let caller = user("ann");
    let circumstances = Circumstances { risk: 0, assurance: 1, locked: false, ..Circumstances::CALM };
    let may = |verb: &str, kind, dataset: Option<&str>, exists| {
        let data = (kind == TargetKind::DatasetVersion).then_some(DataFacts { state: DataState::Admitted, classes: PLAIN });
        let (workspace, dataset) = (Some("ws".to_owned()), dataset.map(str::to_owned));
        let facts = Facts { exists, workspace, dataset, data, ..Facts::default() };
        judge.may(Ask { caller: &caller, verb, kind, facts: &facts, circumstances, now: START }).is_some()
    };
    assert!(may("datasets.read", TargetKind::DatasetVersion, Some("set1"), true));
    assert!(may("datasets.get", TargetKind::Dataset, Some("set1"), true));
    assert!(!may("datasets.read", TargetKind::DatasetVersion, Some("set2"), true));
    assert!(!may("datasets.commit", TargetKind::DatasetVersion, Some("set1"), true));
    assert!(!may("datasets.open", TargetKind::Dataset, None, false), "it makes no data sets");
    assert!(!may("experiments.search", TargetKind::Workspace, None, true));
    let facts = Facts { exists: true, workspace: Some("ws".to_owned()), ..Facts::default() };
    let list =
        |verb| judge.decide(Ask { caller: &caller, verb, kind: TargetKind::Workspace, facts: &facts, circumstances, now: START });
    let gate::Decision::Allow { scope, .. } = list("datasets.search") else { unreachable!("it lists what is granted") };
    assert_eq!(scope, gate::Scope::Datasets(vec!["set1".to_owned()]));
    assert!(!matches!(list("experiments.search"), gate::Decision::Allow { .. }));
}

#[test]
fn rows_are_left_out_only_of_what_one_may_read() {
    let other = |_: &mut Caller, _: &mut Facts| {};
    let own = |_: &mut Caller, facts: &mut Facts| facts.owner = Some("ann".to_owned());
    for state in [DataState::Quarantined, DataState::Refused] {
        assert!(!check(&["contributor"], "datasets.clean", state, PLAIN, other), "{state:?}");
        assert!(check(&["contributor"], "datasets.clean", state, PLAIN, own), "{state:?}");
        assert!(check(&["owner"], "datasets.clean", state, PLAIN, other), "{state:?}");
    }
    assert!(check(&["contributor"], "datasets.clean", DataState::Admitted, PLAIN, other));
    assert!(!check(&["viewer", "reviewer"], "datasets.clean", DataState::Admitted, PLAIN, other));
}
