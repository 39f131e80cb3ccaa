//! Worlds with ways up and their repaired twins; grants that nobody uses and grants that are used as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::Micros;

use super::*;
use crate::engine::Engine;

const DAY: i64 = 86_400_000_000;
const NOW: Micros = Micros(20_000 * DAY);
const WS: &str = "ws1";

fn someone(id: &str, kind: PrincipalKind, owner: &str, groups: &[&str]) -> (String, Someone) {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    let (name, owner) = (id.to_owned(), owner.to_owned());
    (id.to_owned(), Someone { id: id.to_owned(), name, kind, owner, disabled: false, created_at: Micros(0), groups })
}

fn world() -> World {
    let workspaces = BTreeMap::from([(WS.to_owned(), "one".to_owned()), ("ws2".to_owned(), "two".to_owned())]);
    World { now: NOW, workspaces, counted_since: Some(Micros(0)), ..World::default() }
}

impl World {
    fn person(mut self, id: &str) -> Self {
        self.people.extend([someone(id, PrincipalKind::User, "", &[])]);
        self
    }

    fn grant(mut self, id: &str, who: &str, role: &str, on: Resource) -> Self {
        self.grants.push(Arc::new(granted(&self, id, who, role, on)));
        self
    }

    fn used(mut self, grant: &str, who: &str, verb: &str, place: &str) -> Self {
        let workspace = if place == "server" { "" } else { WS };
        self.uses.push(Use {
            grant: grant.to_owned(),
            verb: verb.to_owned(),
            place: place.to_owned(),
            workspace: workspace.to_owned(),
            caller: who.to_owned(),
            days: 9,
            last_at: Micros(NOW.0 - DAY),
        });
        self
    }
}

fn granted(world: &World, id: &str, who: &str, role: &str, on: Resource) -> Grant {
    let workspace = match &on {
        Resource::Server => None,
        Resource::Workspace(id) => Some(id.clone()),
        _ => Some(WS.to_owned()),
    };
    Grant {
        id: id.to_owned(),
        principal: who.to_owned(),
        principal_kind: world.people.get(who).map_or(PrincipalKind::User, |one| one.kind),
        role: role.to_owned(),
        resource: on,
        workspace,
        created_by: String::new(),
        created_at: Micros(0),
        expires_at: None,
        justification: String::new(),
    }
}

fn workspace() -> Resource {
    Resource::Workspace(WS.to_owned())
}

fn endpoint(choice: &str) -> EndpointRow {
    EndpointRow { name: "live".to_owned(), workspace: WS.to_owned(), model: "m".to_owned(), choice: choice.to_owned() }
}

/// Ways that are found for somebody, without those of an office: `how` of each step, and the goal.
fn ways(world: &World, who: &str) -> Vec<(Vec<&'static str>, String)> {
    let engine = Engine::embedded().unwrap();
    let found = find_paths(world, &engine);
    assert!(found.iter().all(|path| path.steps.iter().all(|step| !step.evidence.is_empty() && !step.words.is_empty())));
    let own = found.into_iter().filter(|path| path.who == who && !path.by_office);
    own.map(|path| (path.steps.iter().map(|step| step.how).collect(), path.goal)).collect()
}

/// The seed's way is found, and the twin has none at all.
fn check(seed: World, twin: World, how: &[&str], goal: &str) {
    let found = ways(&seed, "eve");
    assert!(found.iter().any(|(steps, to)| steps == how && to.contains(goal)), "{how:?} to {goal} is not in {found:?}");
    assert_eq!(ways(&twin, "eve"), Vec::new(), "the repaired twin");
}

#[test]
fn a_token_of_a_service_of_ones_own_that_holds_more() {
    let base = |owner: &str| {
        let mut base = world().person("eve").person("mallory").grant("g_a", "eve", "administrator", Resource::Server);
        base.people.extend([someone("robot", PrincipalKind::Service, owner, &[])]);
        let robot = granted(&base, "g_r", "robot", "owner", workspace());
        base.grants.push(Arc::new(robot));
        base
    };
    check(base("eve"), base("mallory"), &["token_of_own_service"], "data of the workspace `one`");
}

#[test]
fn code_that_somebody_elses_training_runs() {
    let base = |role: &str, used: bool| {
        let mut base = world().person("eve").person("trainer");
        base.people.extend([someone("robot", PrincipalKind::Service, "", &[])]);
        let base = base.grant("g_e", "eve", role, Resource::Experiment(7)).grant("g_t", "trainer", "contributor", workspace());
        if used { base.used("g_t", "trainer", "retraining.submit", "registered_model:m") } else { base }
    };
    check(base("trainer", true), base("viewer", true), &["code_that_another_runs"], "data of the workspace `one`");
    assert_eq!(ways(&base("trainer", false), "eve"), Vec::new(), "where nobody trains there is no way");
}

#[test]
fn an_alias_that_an_endpoint_follows() {
    let base =
        |choice: &str, second: &str| {
            let mut base = world()
                .person("eve")
                .grant("g_c", "eve", "contributor", Resource::RegisteredModel("m".to_owned()))
                .grant("g_d", "eve", second, Resource::RegisteredModel("m".to_owned()));
            base.endpoints.push(endpoint(choice));
            base
        };
    check(base("@champion", "deployer"), base("3", "viewer"), &["alias_that_an_endpoint_follows"], "`live` answers");
    assert_eq!(ways(&base("@champion", "viewer"), "eve"), Vec::new(), "who moves no alias has no way");
}

#[test]
fn approval_of_ones_own_model() {
    let base = |split: bool| {
        let mut base = world().person("eve").person("bob").grant("g_c", "eve", "contributor", workspace());
        base.endpoints.push(endpoint("3"));
        let other = if split { "bob" } else { "eve" };
        base.grant("g_r", other, "reviewer", workspace()).grant("g_d", other, "deployer", workspace())
    };
    check(base(false), base(true), &["own_approval"], "`live` answers");
}

#[test]
fn ones_own_version_put_to_work() {
    let base = |other: &str| {
        let mut base = world().person("eve").person("bob").grant("g_c", "eve", "contributor", workspace());
        base.endpoints.push(endpoint("3"));
        base.grant("g_d", other, "deployer", workspace())
    };
    check(base("eve"), base("bob"), &["own_version_put_to_work"], "`live` answers");
}

#[test]
fn a_live_token_of_a_service_of_a_former_administrator() {
    let base = |made_by: &str| {
        let mut base = world().person("eve").person("bob");
        base.people.extend([someone("robot", PrincipalKind::Service, "eve", &[])]);
        base.tokens.push(TokenRow {
            id: "tok_1".to_owned(),
            principal: "robot".to_owned(),
            created_by: made_by.to_owned(),
            label: String::new(),
            created_at: Micros(0),
            expires_at: Micros(NOW.0 + DAY),
            last_used_day: None,
        });
        base.grant("g_r", "robot", "owner", workspace())
    };
    check(base("eve"), base("bob"), &["live_token_of_a_service"], "data of the workspace `one`");
}

#[test]
fn an_old_backup_that_brings_an_old_grant_back() {
    let base = |revoked: bool| {
        let mut base = world().person("eve").grant("g_o", "eve", "restore_operator", Resource::Server);
        if revoked {
            let old = granted(&base, "g_old", "eve", "administrator", Resource::Server);
            base.revoked.push(old);
        }
        base
    };
    check(base(true), base(false), &["restore_of_an_old_backup"], "administrator of the server");
    // Whatever reads, wherever it was held.
    for (role, on, goal) in
        [("viewer", workspace(), "`one`"), ("owner", Resource::Server, "`two`"), ("owner", workspace(), "`one`")]
    {
        let mut base = world().person("eve").grant("g_o", "eve", "restore_operator", Resource::Server);
        let old = granted(&base, "g_old", "eve", role, on);
        base.revoked.push(old);
        let found = ways(&base, "eve");
        assert!(found.iter().any(|(how, to)| how == &["restore_of_an_old_backup"] && to.contains(goal)), "{role}: {found:?}");
    }
    let mut base = world().person("eve").grant("g_o", "eve", "restore_operator", Resource::Server);
    let old = granted(&base, "g_old", "eve", "auditor", Resource::Server);
    base.revoked.push(old);
    assert_eq!(ways(&base, "eve"), Vec::new(), "what reads no data brings none back");
}

#[test]
fn retention_and_deletion_in_one_hand() {
    let base = |second: &str| {
        let base = world().person("eve").person("bob").grant("g_k", "eve", "retention_officer", workspace());
        base.grant("g_w", second, "owner", Resource::Workspace("ws1".to_owned()))
    };
    check(base("eve"), base("bob"), &["retention_settings"], "gone before their time");
}

#[test]
fn a_way_by_two_steps_is_the_shortest_that_there_is() {
    let mut base = world().person("eve").grant("g_a", "eve", "administrator", Resource::Server);
    base.people
        .extend([someone("robot", PrincipalKind::Service, "eve", &["team"]), someone("team", PrincipalKind::Group, "", &[])]);
    let old = granted(&base, "g_old", "team", "owner", workspace());
    base.revoked.push(old);
    let base = base.grant("g_o", "team", "restore_operator", Resource::Server);
    // The robot is in a group that may ask for a restore, and held the workspace once.
    let found = ways(&base, "eve");
    assert!(
        found.contains(&(vec!["token_of_own_service", "restore_of_an_old_backup"], "data of the workspace `one`".to_owned())),
        "{found:?}"
    );
    let barred = {
        let mut barred = base;
        if let Some(robot) = barred.people.get_mut("robot") {
            robot.disabled = true;
        }
        barred
    };
    assert_eq!(ways(&barred, "eve"), Vec::new(), "who is barred is no way");
}

#[test]
fn what_is_an_administrators_office_is_named_as_that() {
    let engine = Engine::embedded().unwrap();
    let base = world().person("root").person("bob").grant("g_a", "root", "administrator", Resource::Server).grant(
        "g_b",
        "bob",
        "owner",
        workspace(),
    );
    let found = find_paths(&base, &engine);
    let of_root: Vec<_> = found.iter().filter(|path| path.who == "root").collect();
    assert!(!of_root.is_empty() && of_root.iter().all(|path| path.by_office && path.steps.len() == 1), "{of_root:?}");
    assert!(!found.iter().any(|path| path.who == "bob" && path.goal.contains("administrator")), "{found:?}");
}

fn reviewed(world: &World) -> ReviewReport {
    let engine = Engine::embedded().unwrap();
    let (report, _) = review(world, &engine, 90);
    assert_eq!(report.denied, Vec::new(), "the past is allowed as before");
    assert_eq!(report.enumeration.widened, Vec::new(), "nothing is widened");
    report
}

fn advice<'a>(report: &'a ReviewReport, grant: &str) -> &'a Advice {
    &report.grants.iter().find(|one| one.grant.id == grant).unwrap().advice
}

#[test]
fn what_nobody_uses_goes_and_what_is_used_is_narrowed_to_what_it_needs() {
    let base = world()
        .person("ann")
        .person("bob")
        .person("cyn")
        .person("dan")
        .person("root")
        .grant("g_unused", "ann", "viewer", workspace())
        .grant("g_broad", "bob", "owner", workspace())
        .grant("g_right", "cyn", "viewer", Resource::Experiment(7))
        .grant("g_lists", "dan", "contributor", workspace())
        .grant("g_root", "root", "administrator", Resource::Server)
        .used("g_broad", "bob", "runs.get", "experiment:7")
        .used("g_broad", "bob", "artifacts.read", "experiment:7")
        .used("g_right", "cyn", "runs.get", "experiment:7")
        .used("g_lists", "dan", "runs.search", "workspace:ws1")
        .used("g_lists", "dan", "runs.log", "experiment:7");
    let report = reviewed(&base);
    assert_eq!(advice(&report, "g_unused"), &Advice::Revoke);
    assert_eq!(advice(&report, "g_broad"), &Advice::Narrow(vec![("viewer".to_owned(), Resource::Experiment(7))]));
    assert_eq!(advice(&report, "g_right"), &Advice::Keep);
    assert_eq!(
        advice(&report, "g_lists"),
        &Advice::Narrow(vec![("trainer".to_owned(), workspace())]),
        "lists show as much as before"
    );
    assert_eq!(advice(&report, "g_root"), &Advice::Keep, "the server keeps an administrator");
    assert!(report.replayed_count >= 5 && report.enumeration.compared_count > 1_000 && report.enumeration.complete);
    let quiet: Vec<&str> = report.dormant.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(quiet, ["ann", "root"]);
}

#[test]
fn nothing_is_called_unused_before_it_was_counted_for_so_long() {
    let mut base = world().person("ann").grant("g_1", "ann", "owner", workspace());
    base.counted_since = Some(Micros(NOW.0 - 10 * DAY));
    let report = reviewed(&base);
    assert_eq!((advice(&report, "g_1"), report.dormant.len()), (&Advice::Keep, 0));
    base.counted_since = None;
    assert_eq!(advice(&reviewed(&base), "g_1"), &Advice::Keep);
}

#[test]
fn who_reads_data_is_not_made_a_reader_of_special_data() {
    let on = || Resource::Dataset("d".to_owned());
    let base = world().person("bob").grant("g_1", "bob", "owner", on());
    let base = base.used("g_1", "bob", "datasets.get", "dataset:d").used("g_1", "bob", "datasets.read", "dataset:d");
    assert_eq!(advice(&reviewed(&base), "g_1"), &Advice::Narrow(vec![("viewer".to_owned(), on())]));
    let engine = Engine::embedded().unwrap();
    let special = granted(&base, "g_2", "bob", "special_reader", on());
    let (found, _) = newly_allowed(&base, &engine, &special);
    let places: Vec<&str> =
        found.widened.iter().filter(|one| one.verb == "datasets.read").map(|one| one.place.as_str()).collect();
    assert_eq!(places, ["dataset:d (special)", "dataset:d (health)"]);
}

#[test]
fn what_two_grants_hold_together_is_not_lost() {
    // Both grants decide each request; each is narrowed by its own use, and together they still allow the past.
    let base = world()
        .person("bob")
        .grant("g_1", "bob", "contributor", workspace())
        .grant("g_2", "bob", "reviewer", workspace())
        .used("g_1", "bob", "runs.log", "experiment:7")
        .used("g_2", "bob", "models.alias", "registered_model:m")
        .used("g_1", "bob", "runs.get", "experiment:7")
        .used("g_2", "bob", "runs.get", "experiment:7");
    let report = reviewed(&base);
    assert_eq!(advice(&report, "g_1"), &Advice::Narrow(vec![("trainer".to_owned(), Resource::Experiment(7))]));
    assert_ne!(advice(&report, "g_2"), &Advice::Revoke);
}

#[test]
fn a_proposal_that_would_widen_is_seen_by_the_enumeration() {
    let engine = Engine::embedded().unwrap();
    let base = world().person("bob").grant("g_1", "bob", "viewer", Resource::Experiment(7));
    let more = granted(&base, "g_2", "bob", "contributor", workspace());
    let (found, _) = newly_allowed(&base, &engine, &more);
    assert!(
        found.complete && found.widened.iter().any(|one| one.verb == "runs.delete" && one.place == "workspace:ws1"),
        "{found:?}"
    );
    assert!(!found.widened.iter().any(|one| one.verb == "runs.get" && one.place == "experiment:7"), "it has that already");
    let same = granted(&base, "g_3", "bob", "viewer", Resource::Experiment(7));
    assert_eq!(newly_allowed(&base, &engine, &same).0.widened, Vec::new());
}

/// A program that answers as cvc5 does: the solver itself, out of a Python package, or what `script` says.
async fn solver(folder: &std::path::Path, script: &str) -> prove::Solver {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.join("cvc5");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    prove::Solver::find(&program).await.unwrap()
}

#[tokio::test]
async fn a_solver_proves_the_rest_and_finds_what_was_not_enumerated() {
    let Some(python) = std::env::var_os("STRONGROOM_CVC5_PYTHON") else {
        eprintln!("left out: STRONGROOM_CVC5_PYTHON names no Python that has cvc5; `cargo xtask test` makes one");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let shim = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/clients/cvc5_program.py");
    let solver = solver(folder.path(), &format!("exec {} {shim} \"$@\"", python.display())).await;
    let engine = Engine::embedded().unwrap();
    let base = world().person("bob").grant("g_1", "bob", "viewer", workspace());

    // What lies in a workspace is in it: whoever sees the workspace gains nothing by seeing an experiment of it.
    let inside = granted(&base, "g_2", "bob", "viewer", Resource::Experiment(7));
    let (mut found, questions) = newly_allowed(&base, &engine, &inside);
    prove(&engine, &solver, &questions, &mut found).await;
    let proof = found.proof.unwrap();
    assert!(found.widened.is_empty() && proof.proved_count > 0 && proof.open_count == 0, "{proof:?}");
    let trainer = granted(&base, "g_2", "bob", "trainer", Resource::Experiment(7));
    let (mut found, questions) = newly_allowed(&base, &engine, &trainer);
    let enumerated = found.widened.clone();
    prove(&engine, &solver, &questions, &mut found).await;
    let proof = found.proof.clone().unwrap();
    assert!(proof.proved_count > 0 && proof.solver.starts_with("cvc5 "), "{proof:?}");
    assert_eq!((proof.found_count, proof.open_count, &found.widened), (0, 0, &enumerated), "the enumeration had missed nothing");

    // Nothing enumerated: each verb that is new is found, and asked of Cedar. (An enumeration also asks verbs of places that have none such.)
    let mut nothing = crate::Enumeration::default();
    prove(&engine, &solver, &questions, &mut nothing).await;
    let of_experiments = |verb: &str| {
        let of = |kind: &cedar_policy::RequestEnv| (kind.action().id().unescaped() == verb, kind.resource().to_string());
        engine.schema().request_envs().any(|kind| of(&kind) == (true, "Experiment".to_owned()))
    };
    let verbs = |found: &[Request]| found.iter().map(|one| one.verb.clone()).collect::<std::collections::BTreeSet<_>>();
    let mut wanted = verbs(&enumerated);
    wanted.retain(|verb| of_experiments(verb));
    assert_eq!(verbs(&nothing.widened), wanted);
    assert!(nothing.widened.iter().all(|one| one.place == "experiment:7"), "{:?}", nothing.widened);
}

#[tokio::test]
async fn a_solver_that_breaks_or_lies_leaves_it_open() {
    let engine = Engine::embedded().unwrap();
    let base = world().person("bob").grant("g_1", "bob", "viewer", Resource::Experiment(7));
    let more = granted(&base, "g_2", "bob", "predictor", workspace());
    let version = "if [ \"$1\" = --version ]; then echo 'This is cvc5 version 1.4.2'; exit; fi";
    for answer in ["exit 1", "echo sat; echo '('; echo ')'; cat > /dev/null", "echo unknown; cat > /dev/null", "yes unheard"] {
        let folder = tempfile::tempdir().unwrap();
        let solver = solver(folder.path(), &format!("{version}; {answer}")).await;
        let (_, questions) = newly_allowed(&base, &engine, &more);
        let mut found = crate::Enumeration::default();
        prove(&engine, &solver, &questions, &mut found).await;
        let proof = found.proof.unwrap();
        assert_eq!((proof.proved_count, proof.found_count, found.widened), (0, 0, Vec::new()), "{answer}");
        assert!(proof.open_count > 0, "{answer}");
    }
}

#[test]
fn who_may_break_the_glass_is_named_as_an_office() {
    let engine = Engine::embedded().unwrap();
    let base = world().person("eve").grant("g_b", "eve", "break_glass", Resource::Server);
    let found = find_paths(&base, &engine);
    let shown: Vec<_> =
        found.iter().map(|path| (path.who.as_str(), path.steps.first().map(|step| step.how), path.by_office)).collect();
    assert_eq!(shown, [("eve", Some("break_glass"), true)]);
    assert_eq!(find_paths(&world().person("eve"), &engine), Vec::new());
}

/// A directory elsewhere fills the groups that it looks after: that is its office, and it is named. What holds an office is out of its reach.
#[test]
fn a_directory_that_fills_a_group_which_holds_more() {
    let base = |by: &str, role: &str, on: Resource| {
        let mut base = world();
        base.people.extend([someone("okta", PrincipalKind::Service, "", &[]), someone("team", PrincipalKind::Group, by, &[])]);
        base.looked_after.insert("team".to_owned(), by.to_owned());
        let own = granted(&base, "g_p", "okta", "provisioner", Resource::Server);
        let group = granted(&base, "g_t", "team", role, on);
        base.grants.extend([Arc::new(own), Arc::new(group)]);
        base
    };
    let found = |world: &World| {
        let engine = Engine::embedded().unwrap();
        find_paths(world, &engine).into_iter().filter(|path| path.who == "okta").collect::<Vec<_>>()
    };
    let paths = found(&base("okta", "owner", workspace()));
    assert_eq!(paths.len(), 1, "{paths:?}");
    assert!(paths[0].by_office && paths[0].goal.contains("data of the workspace `one`"));
    assert_eq!(paths[0].steps[0].how, "account_by_provisioning");
    assert_eq!(found(&base("another", "owner", workspace())), Vec::new(), "another directory's group");
    assert_eq!(found(&base("okta", "administrator", Resource::Server)), Vec::new(), "out of reach");
}
