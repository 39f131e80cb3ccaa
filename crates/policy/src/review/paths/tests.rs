//! Worlds with ways up and their repaired twins, for each power that somebody could come to.

use std::sync::Arc;

use kernel::Micros;

use super::*;
use crate::review::tests::{DAY, NOW, WS, granted, someone, workspace, world};
use crate::review::{EndpointRow, TokenRow};

fn endpoint(choice: &str) -> EndpointRow {
    EndpointRow { name: "live".to_owned(), workspace: WS.to_owned(), model: "m".to_owned(), choice: choice.to_owned() }
}

/// Ways that are found for somebody, without those of an office: `how` of each step, and the goal, once for each goal.
fn ways(world: &World, who: &str) -> Vec<(Vec<&'static str>, String)> {
    let found = all(world);
    assert!(found.iter().all(|path| path.steps.iter().all(|step| !step.evidence.is_empty() && !step.words.is_empty())));
    let own = found.into_iter().filter(|path| path.who == who && !path.by_office);
    let hows = |path: &EscalationPath| path.steps.iter().map(|step| step.how).collect::<Vec<_>>();
    own.flat_map(|path| path.goals.iter().map(|goal| (hows(&path), goal.clone())).collect::<Vec<_>>()).collect()
}

/// All ways of a world in which nothing has to be left out.
fn all(world: &World) -> Vec<EscalationPath> {
    let found = find(world, &Engine::embedded().unwrap());
    assert_eq!(found.left_off, Vec::<String>::new());
    found.paths
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
fn code_reads_what_no_other_of_its_writers_ways_does_and_its_version_is_put_to_work() {
    let how = ["code_that_another_runs"];
    let model = || Resource::RegisteredModel("m".to_owned());
    let base = |role: &str, on: Resource| {
        let base = world().person("eve").person("bob").grant("g_e", "eve", "contributor", Resource::Experiment(7));
        let base = base.grant("g_m", "bob", "contributor", model()).grant("g_d", "bob", role, on);
        base.used("g_m", "bob", "retraining.submit", "registered_model:m")
    };
    let dataset = Resource::Dataset("d".to_owned());
    let goal = "`datasets.read` of the role `viewer` on the dataset `d`";
    check(base("viewer", dataset), base("monitor", workspace()), &how, goal);
    // What is read of special categories too, whatever else eve reads.
    let reads = |role: &str| base(role, workspace()).grant("g_v", "eve", "viewer", workspace());
    check(reads("special_reader"), reads("viewer"), &how, "the role `special_reader` on the workspace `one`");
    // Nor does it help that one makes no versions, where another's training makes one of one's code.
    let retrained = |role: &str, choice: &str| {
        let mut base = world().person("eve").person("bob").grant("g_e", "eve", "trainer", workspace());
        base.endpoints.push(endpoint(choice));
        let base = base.grant("g_d", "eve", role, model()).grant("g_b", "bob", "contributor", workspace());
        base.used("g_b", "bob", "retraining.submit", "registered_model:m")
    };
    for choice in ["@champion", "3"] {
        check(retrained("deployer", choice), retrained("viewer", choice), &how, "what the endpoint `live` answers");
    }
    check(retrained("reviewer", "@champion"), retrained("reviewer", "3"), &how, "what the endpoint `live` answers");
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

/// Nobody waives what an inspection finds in a version of their own, so a reviewer who makes versions has no way by that.
#[test]
fn who_reviews_waives_nothing_of_their_own() {
    let mut base = world().person("eve").person("bob").grant("g_c", "eve", "contributor", workspace());
    base.endpoints.push(endpoint("3"));
    let split = base.grant("g_r", "eve", "reviewer", workspace()).grant("g_d", "bob", "deployer", workspace());
    assert_eq!(ways(&split, "eve"), Vec::new());
    let one_hand = split.grant("g_e", "eve", "deployer", workspace());
    let hows: Vec<_> = ways(&one_hand, "eve").into_iter().map(|(hows, _)| hows).collect();
    assert_eq!(hows, [["own_version_put_to_work"]]);
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

/// A service account of eve's with a role, and a token of it that `made_by` keeps.
fn service(role: &str, on: Resource, made_by: &str) -> World {
    let mut base = world().person("eve").person("bob");
    base.people.extend([someone("robot", PrincipalKind::Service, "eve", &[])]);
    base.tokens.push(TokenRow {
        id: "tok_1".to_owned(),
        principal: "robot".to_owned(),
        created_by: made_by.to_owned(),
        label: String::new(),
        scopes: Vec::new(),
        workspace: None,
        created_at: Micros(0),
        expires_at: Micros(NOW.0 + DAY),
        last_used_day: None,
    });
    base.grant("g_r", "robot", role, on)
}

#[test]
fn a_live_token_of_a_service_of_a_former_administrator() {
    let how = ["live_token_of_a_service"];
    let server = || Resource::Server;
    for (role, on, goal) in [
        ("owner", workspace(), "data of the workspace `one`"),
        ("viewer", workspace(), "the role `viewer` on the workspace `one`"),
        ("special_reader", workspace(), "the role `special_reader` on the workspace `one`"),
        ("retention_officer", workspace(), "the role `retention_officer` on the workspace `one`"),
        ("administrator", workspace(), "the role `administrator` on the workspace `one`"),
        ("administrator", server(), "administrator of the server"),
        ("auditor", server(), "the role `auditor` on the server"),
        ("key_custodian", server(), "the role `key_custodian` on the server"),
        ("provisioner", server(), "the role `provisioner` on the server"),
        ("restore_operator", server(), "the role `restore_operator` on the server"),
        ("break_glass", server(), "the role `break_glass` on the server"),
        ("owner", Resource::Experiment(7), "the role `owner` on the experiment `7` of the workspace `one`"),
        ("contributor", Resource::RegisteredModel("m".to_owned()), "the role `contributor` on the registered model `m`"),
        ("special_reader", Resource::Dataset("d".to_owned()), "the role `special_reader` on the dataset `d`"),
    ] {
        let base = |made_by: &str| service(role, on.clone(), made_by);
        check(base("eve"), base("bob"), &how, goal);
        let holds = base("eve").grant("g_e", "eve", role, on.clone());
        assert_eq!(ways(&holds, "eve"), Vec::new(), "{role}: who holds it themself comes to nothing more");
    }
}

#[test]
fn what_two_hands_of_one_person_do_together() {
    let token = ["live_token_of_a_service", "alias_that_an_endpoint_follows"];
    let answers = "what the endpoint `live` answers, without anybody else";
    let with = |role: &str, own: &str, made_by: &str, choice: &str| {
        let mut base = service(role, workspace(), made_by).grant("g_e", "eve", own, workspace());
        base.endpoints.push(endpoint(choice));
        base
    };
    let has = |world: &World, how: &[&str], goal: &str| ways(world, "eve").iter().any(|(steps, to)| steps == how && to == goal);
    for (role, own) in [("contributor", "deployer"), ("deployer", "contributor")] {
        assert!(has(&with(role, own, "eve", "@champion"), &token, answers), "{role} and {own}");
        assert_eq!(ways(&with(role, own, "bob", "@champion"), "eve"), Vec::new(), "the repaired twin");
    }
    let put = ["live_token_of_a_service", "own_version_put_to_work"];
    assert!(has(&with("contributor", "deployer", "eve", "3"), &put, answers));
    assert!(!has(&with("trainer", "deployer", "eve", "@champion"), &token, answers), "who makes no versions is no hand");
    // Nor is a token that does not let versions pass.
    let mut narrowed = with("contributor", "deployer", "eve", "@champion");
    narrowed.tokens[0].scopes = vec!["runs.get".to_owned()];
    assert!(!has(&narrowed, &token, answers));
    let evidence = ["live_token_of_a_service", "retention_settings"];
    let gone = "retained things of the workspace `one`, gone before their time";
    assert!(has(&with("retention_officer", "owner", "eve", "3"), &evidence, gone));
    assert_eq!(ways(&with("retention_officer", "viewer", "bob", "3"), "eve"), Vec::new());
}

#[test]
fn a_token_that_is_narrowed_opens_no_more_than_it_lets_pass() {
    let narrowed = |role: &str, on: Resource, scopes: &[&str], within: Option<&str>| {
        let mut base = service(role, on, "eve");
        base.tokens[0].scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        base.tokens[0].workspace = within.map(str::to_owned);
        base
    };
    let goals = |world: &World| -> Vec<String> {
        let found = all(world).into_iter().filter(|path| path.who == "eve");
        found.flat_map(|path| path.goals).collect()
    };
    let part = "`runs.get` of the role `owner` on the workspace `one`";
    let one_verb = narrowed("owner", workspace(), &["runs.get"], None);
    assert_eq!(goals(&one_verb), [part]);
    let path = all(&one_verb).into_iter().find(|path| path.who == "eve").unwrap();
    assert!(path.steps[0].words.contains("only for `runs.get`"), "{path:?}");
    assert_eq!(
        goals(&one_verb.grant("g_e", "eve", "viewer", workspace())),
        [""; 0],
        "who may do that anyway comes to nothing more"
    );
    // Of a whole server one verb is one verb: no office comes with it, nor what an office could do.
    let office = narrowed("administrator", Resource::Server, &["geo.show"], None);
    assert_eq!(goals(&office), ["`geo.show` of the role `administrator` on the server"]);
    let reads = goals(&narrowed("owner", workspace(), &["datasets.read", "artifacts.read"], None));
    assert_eq!(reads[0], "data of the workspace `one`");
    let of_one = goals(&narrowed("owner", workspace(), &["runs.get@experiment:7"], None));
    assert_eq!(of_one, [part]);
    assert_eq!(goals(&narrowed("owner", workspace(), &["runs.get"], Some("ws2"))), [""; 0]);
    let all_of_it = ["data of the workspace `one`", "the role `owner` on the workspace `one`"];
    assert_eq!(goals(&narrowed("owner", workspace(), &["*"], Some(WS))), all_of_it);
    assert_eq!(goals(&narrowed("owner", Resource::Server, &[], Some(WS))), all_of_it);
    // Another token that is not narrowed opens all of it.
    let mut both = narrowed("owner", workspace(), &["runs.get"], None);
    both.tokens.push(TokenRow { id: "tok_2".to_owned(), scopes: Vec::new(), ..both.tokens[0].clone() });
    assert_eq!(goals(&both), all_of_it);
}

#[test]
fn what_a_wider_role_holds_is_nothing_more_and_is_said_once() {
    // The owner of a workspace comes to nothing by a service that owns one experiment of it.
    let base = service("owner", Resource::Experiment(7), "eve").grant("g_e", "eve", "owner", workspace());
    assert_eq!(ways(&base, "eve"), Vec::new());
    // What it reads of special categories no other role does.
    let base = service("special_reader", workspace(), "eve").grant("g_e", "eve", "owner", workspace());
    assert_eq!(ways(&base, "eve").len(), 1);
    // All that one token opens is one way, told by its widest roles.
    let base = service("owner", workspace(), "eve")
        .grant("g_2", "robot", "viewer", workspace())
        .grant("g_3", "robot", "trainer", Resource::Experiment(7))
        .grant("g_4", "robot", "auditor", Resource::Server);
    let found: Vec<_> = all(&base).into_iter().filter(|path| path.who == "eve").collect();
    let goals = ["data of the workspace `one`", "the role `auditor` on the server", "the role `owner` on the workspace `one`"];
    assert_eq!((found.len(), found[0].goals.as_slice(), found[0].goal_count), (1, goals.map(str::to_owned).as_slice(), 3));
}

#[test]
fn what_is_too_much_is_said_and_offices_are_told_by_one_of_a_kind() {
    let mut base = world().grant("g_a", "root", "administrator", Resource::Server).person("root");
    for at in 0..600 {
        let (eve, robot) = (format!("eve{at}"), format!("robot{at}"));
        base.people.extend([someone(&eve, PrincipalKind::User, "", &[]), someone(&robot, PrincipalKind::Service, "", &[])]);
        base.tokens.push(TokenRow {
            id: format!("tok_{at}"),
            principal: robot.clone(),
            created_by: eve.clone(),
            label: String::new(),
            scopes: Vec::new(),
            workspace: None,
            created_at: Micros(0),
            expires_at: Micros(NOW.0 + DAY),
            last_used_day: None,
        });
        let grant = granted(&base, &format!("g_{at}"), &robot, "monitor", Resource::Experiment(at));
        base.grants.push(Arc::new(Grant { resource: Resource::Server, ..grant.clone() }));
        base = base.grant(&format!("g_e{at}"), &eve, "viewer", Resource::Experiment(at));
    }
    base.left_off = vec!["only 5 endpoints were looked at".to_owned()];
    let found = find(&base, &Engine::embedded().unwrap());
    assert_eq!(found.paths.len(), PATH_COUNT_MAX);
    assert_eq!(found.left_off[0], "only 5 endpoints were looked at");
    assert!(found.left_off[1].contains("ways are not named, 100 of them to repair"), "{:?}", found.left_off);
    // Each of the 600 accounts is reached by setting its password; that is one way of one kind.
    base.tokens.clear();
    let found = find(&base, &Engine::embedded().unwrap());
    let of_root: Vec<_> =
        found.paths.iter().filter(|path| path.who == "root" && path.steps[0].how == "password_of_another").collect();
    assert_eq!(of_root.len(), 1, "{of_root:?}");
    let root = of_root[0];
    assert_eq!((root.like_count, root.goals.len(), root.goal_count >= 600), (599, GOAL_COUNT_MAX, true), "{root:?}");
}

#[test]
fn a_way_that_is_too_long_to_follow_is_said() {
    let mut base = world();
    let name = |at: usize| format!("s{at}");
    for at in 0..=STEP_COUNT_MAX + 1 {
        base.people.extend([someone(&name(at), PrincipalKind::Service, "", &[])]);
        base.tokens.push(TokenRow {
            id: format!("tok_{at}"),
            principal: name(at + 1),
            created_by: name(at),
            label: String::new(),
            scopes: Vec::new(),
            workspace: None,
            created_at: Micros(0),
            expires_at: Micros(NOW.0 + DAY),
            last_used_day: None,
        });
    }
    let last = name(STEP_COUNT_MAX + 1);
    let base = base.grant("g_r", &last, "auditor", Resource::Server);
    let found = find(&base, &Engine::embedded().unwrap());
    assert!(found.left_off.iter().any(|words| words.contains("more than 8 steps")), "{:?}", found.left_off);
    assert!(found.paths.iter().any(|path| path.who == "s1") && !found.paths.iter().any(|path| path.who == "s0"));
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
    let wanted = (vec!["restore_of_an_old_backup"], "the role `auditor` on the server".to_owned());
    assert_eq!(ways(&base, "eve"), [wanted], "what reads no data brings none back");
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
    let base = world().person("root").person("bob").grant("g_a", "root", "administrator", Resource::Server).grant(
        "g_b",
        "bob",
        "owner",
        workspace(),
    );
    let found = all(&base);
    let of_root: Vec<_> = found.iter().filter(|path| path.who == "root").collect();
    assert!(!of_root.is_empty() && of_root.iter().all(|path| path.by_office && path.steps.len() == 1), "{of_root:?}");
    assert!(!found.iter().any(|path| path.who == "bob" && path.goals.concat().contains("administrator")), "{found:?}");
}

#[test]
fn who_may_break_the_glass_is_named_as_an_office() {
    let base = world().person("eve").grant("g_b", "eve", "break_glass", Resource::Server);
    let found = all(&base);
    let shown: Vec<_> =
        found.iter().map(|path| (path.who.as_str(), path.steps.first().map(|step| step.how), path.by_office)).collect();
    assert_eq!(shown, [("eve", Some("break_glass"), true)]);
    assert_eq!(all(&world().person("eve")), Vec::new());
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
    let found = |world: &World| all(world).into_iter().filter(|path| path.who == "okta").collect::<Vec<_>>();
    let paths = found(&base("okta", "owner", workspace()));
    assert_eq!(paths.len(), 1, "{paths:?}");
    assert!(paths[0].by_office && paths[0].goals.contains(&"data of the workspace `one`".to_owned()));
    assert_eq!(paths[0].steps[0].how, "account_by_provisioning");
    assert_eq!(found(&base("another", "owner", workspace())), Vec::new(), "another directory's group");
    assert_eq!(found(&base("okta", "administrator", Resource::Server)), Vec::new(), "out of reach");
}

/// Nobody gives a role to a group with a service account of theirs in it. A provisioner of theirs is in no group, and fills some.
#[test]
fn a_role_for_a_group_that_a_provisioner_of_ones_own_fills() {
    let how = ["live_token_of_a_service", "role_for_an_account_of_ones_own_provisioner"];
    let data = "data of the workspace `one`";
    let base =
        |role: &str, on: Resource, made_by: &str| service("provisioner", Resource::Server, made_by).grant("g_e", "eve", role, on);
    check(base("administrator", workspace(), "eve"), base("administrator", workspace(), "bob"), &how, data);
    let reaches = |world: &World| ways(world, "eve").into_iter().any(|(_, goal)| goal.contains("data of"));
    assert!(!reaches(&base("viewer", Resource::Experiment(7), "eve")), "who gives no roles has no way");
    assert!(!reaches(&base("administrator", Resource::Server, "eve")), "who makes accounts by office needs none");
    let alone = |role: &str| {
        let base = world().person("eve").grant("g_a", "eve", "administrator", workspace());
        base.grant("g_p", "eve", role, Resource::Server)
    };
    check(alone("provisioner"), alone("auditor"), &how[1..], data);
}
