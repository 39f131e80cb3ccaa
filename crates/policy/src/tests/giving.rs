//! Who may grant what to whom, and the other verbs of grants.

use std::collections::BTreeSet;

use gate::{Caller, DataClasses, DataFacts, DataState, Facts, Target, TargetKind};
use kernel::{Kind, Micros};

use super::{Dice, House, START, caller_of, grant, workspace};
use crate::cache::PreparedCache;
use crate::circumstances::Circumstances;
use crate::engine::Engine;
use crate::escalate::{Gift, may_give};
use crate::index::{Change, Index};
use crate::judge::{Ask, Judge};
use crate::types::{Principal, PrincipalKind, Resource};
use crate::{AccessCheck, CreateGrant, ListGrants, ListRoles, On, RevokeGrant};

async fn house() -> House {
    furnished(House::new().await).await
}

async fn houses() -> Vec<House> {
    let mut all = Vec::new();
    for house in House::on_both_engines().await {
        all.push(furnished(house).await);
    }
    all
}

async fn furnished(house: House) -> House {
    for id in ["root", "adam", "olga", "vera", "bob"] {
        house.people.add(id, PrincipalKind::User, &[], None);
    }
    house.people.add("mary", PrincipalKind::User, &["team"], None);
    house.people.add("team", PrincipalKind::Group, &[], None);
    house.people.add("club", PrincipalKind::Group, &[], None);
    house.people.add("robot", PrincipalKind::Service, &["club"], Some("adam"));
    house.give("bootstrap", "root", "administrator", On::Server).await.unwrap();
    house.give("bootstrap", "adam", "administrator", On::Server).await.unwrap();
    house.give("bootstrap", "mary", "administrator", On::Server).await.unwrap();
    house.give("bootstrap", "olga", "owner", On::Workspace).await.unwrap();
    house.give("bootstrap", "vera", "viewer", On::Workspace).await.unwrap();
    house
}

async fn check(house: &House, who: &str, to: &str, role: &str, on: On, expected: Option<Kind>) {
    let found = house.give(who, to, role, on.clone()).await;
    let kind = found.as_ref().err().map(kernel::Problem::kind);
    assert_eq!(kind, expected, "{who} gives {role} on {on:?} to {to}: {found:?}");
}

#[tokio::test]
async fn an_office_gives_to_others_and_never_to_itself() {
    for house in houses().await {
        an_office_gives_on(house).await;
    }
}

async fn an_office_gives_on(house: House) {
    let no = Some(Kind::Forbidden);
    check(&house, "adam", "adam", "viewer", On::Workspace, no).await;
    check(&house, "adam", "adam", "administrator", On::Server, no).await;
    check(&house, "adam", "bob", "viewer", On::Workspace, None).await;
    check(&house, "adam", "bob", "auditor", On::Server, None).await;
    check(&house, "adam", "robot", "viewer", On::Workspace, no).await;
    check(&house, "adam", "club", "viewer", On::Workspace, no).await;
    check(&house, "mary", "team", "viewer", On::Workspace, no).await;
    check(&house, "root", "robot", "viewer", On::Workspace, None).await;
    check(&house, "root", "team", "viewer", On::Workspace, None).await;
    // What one holds one may pass on even there.
    check(&house, "adam", "robot", "administrator", On::Server, None).await;
}

#[tokio::test]
async fn others_pass_on_what_they_hold_and_no_more() {
    let house = house().await;
    let no = Some(Kind::Forbidden);
    check(&house, "vera", "bob", "viewer", On::Workspace, no).await;
    check(&house, "olga", "bob", "viewer", On::Workspace, None).await;
    check(&house, "olga", "bob", "deployer", On::Experiment("4".to_owned()), None).await;
    check(&house, "olga", "robot", "trainer", On::RegisteredModel("m1".to_owned()), None).await;
    check(&house, "olga", "olga", "viewer", On::Workspace, no).await;
    check(&house, "olga", "bob", "administrator", On::Workspace, no).await;
    check(&house, "olga", "bob", "viewer", On::Server, no).await;
    check(&house, "olga", "bob", "viewer", On::Experiment("5".to_owned()), Some(Kind::NotFound)).await;
    check(&house, "bob", "vera", "viewer", On::Workspace, no).await;
}

#[tokio::test]
async fn what_one_role_alone_reads_is_passed_on_by_who_reads_it() {
    for house in houses().await {
        let no = Some(Kind::Forbidden);
        // An owner holds all verbs of it, and reads nothing of special categories.
        for to in ["bob", "club", "team"] {
            check(&house, "olga", to, "special_reader", On::Workspace, no).await;
        }
        // Who has an office beside gives it to others, and not to a group of their own.
        check(&house, "root", "mary", "owner", On::Workspace, None).await;
        check(&house, "mary", "team", "special_reader", On::Workspace, no).await;
        check(&house, "mary", "bob", "special_reader", On::Workspace, None).await;
        check(&house, "root", "olga", "special_reader", On::Workspace, None).await;
        check(&house, "olga", "vera", "special_reader", On::Workspace, None).await;
    }
}

#[tokio::test]
async fn a_grant_ends_no_later_than_what_it_passes_on() {
    let house = house().await;
    let mut gift = house.gift("vera", "owner", On::Workspace);
    gift.expires_at = Some(START.plus_secs(100));
    house.call("bootstrap", gift).await.unwrap();
    let mut passed = house.gift("bob", "contributor", On::Workspace);
    assert_eq!(house.call("vera", passed.clone()).await.unwrap_err().kind(), Kind::Forbidden);
    passed.expires_at = Some(START.plus_secs(101));
    assert_eq!(house.call("vera", passed.clone()).await.unwrap_err().kind(), Kind::Forbidden);
    passed.expires_at = Some(START.plus_secs(100));
    house.call("vera", passed).await.unwrap();
}

#[tokio::test]
async fn who_administers_for_a_while_lets_nobody_break_the_glass_for_longer() {
    for house in houses().await {
        let until = START.plus_secs(3_600);
        let brief = CreateGrant { expires_at: Some(until), ..house.gift("bob", "administrator", On::Server) };
        house.call("root", brief).await.unwrap();
        let glass = |expires_at| CreateGrant { expires_at, ..house.gift("vera", "break_glass", On::Server) };
        for end in [None, Some(until.plus_secs(1))] {
            assert_eq!(house.call("bob", glass(end)).await.unwrap_err().kind(), Kind::Forbidden, "{end:?}");
        }
        house.call("bob", glass(Some(until))).await.unwrap();
        // Nor who may break it for good, and did.
        check(&house, "root", "bob", "break_glass", On::Server, None).await;
        check(&house, "bob", "olga", "break_glass", On::Server, Some(Kind::Forbidden)).await;
        check(&house, "root", "olga", "break_glass", On::Server, None).await;
        check(&house, "bob", "team", "auditor", On::Server, Some(Kind::Forbidden)).await;
    }
}

#[tokio::test]
async fn what_is_given_by_an_office_that_ends_ends_with_it() {
    for house in houses().await {
        let until = START.plus_secs(3_600);
        let wish =
            |to: &str, role: &str, on: On, expires_at: Option<Micros>| CreateGrant { expires_at, ..house.gift(to, role, on) };
        house.call("root", wish("bob", "administrator", On::Server, Some(until))).await.unwrap();
        house.give("bootstrap", "bob", "viewer", On::Workspace).await.unwrap();
        let given = async |to: &str, role: &str, on: On, end: Option<Micros>| {
            house.call("bob", wish(to, role, on, end)).await.err().map(|problem| problem.kind())
        };
        // A role of data on one thing, an office, and even what bob holds himself for good: he gives it by what ends.
        for (to, role, on) in [
            ("vera", "contributor", On::Experiment("4".to_owned())),
            ("club", "auditor", On::Server),
            ("robot", "viewer", On::Workspace),
        ] {
            for end in [None, Some(until.plus_secs(1))] {
                assert_eq!(given(to, role, on.clone(), end).await, Some(Kind::Forbidden), "{to} {role} {end:?}");
            }
            assert_eq!(given(to, role, on, Some(until)).await, None, "{to} {role}");
        }
        // An owner for good passes on for good what owners hold, and no office with it.
        house.give("bootstrap", "bob", "owner", On::Workspace).await.unwrap();
        assert_eq!(given("mary", "contributor", On::Workspace, None).await, None);
        assert_eq!(given("mary", "administrator", On::Workspace, None).await, Some(Kind::Forbidden));
        assert_eq!(given("mary", "administrator", On::Workspace, Some(until)).await, None);
    }
}

#[tokio::test]
async fn bad_input_is_refused_with_what_to_do() {
    let house = house().await;
    let bad = Some(Kind::Invalid);
    check(&house, "root", "bob", "king", On::Server, bad).await;
    check(&house, "root", "bob", "auditor", On::Workspace, bad).await;
    check(&house, "root", "nobody", "viewer", On::Workspace, Some(Kind::NotFound)).await;
    check(&house, "bootstrap", "bob", "viewer", On::Experiment("400".to_owned()), Some(Kind::NotFound)).await;
    let mut long = house.gift("bob", "viewer", On::Workspace);
    long.justification = "x".repeat(crate::JUSTIFICATION_BYTES_MAX + 1);
    assert_eq!(house.call("root", long).await.unwrap_err().kind(), Kind::Invalid);
    house.people.0.lock().get_mut("bob").unwrap().disabled = true;
    check(&house, "root", "bob", "viewer", On::Workspace, Some(Kind::NotFound)).await;
}

#[tokio::test]
async fn who_may_come_in_for_good_administers_and_nobody_else() {
    let person = "INSERT INTO principal (id, kind, name, disabled, owner, created_at) VALUES ($1, $2, $1, $3, '', 0)";
    let grant =
        "INSERT INTO grant_row (id, principal, principal_kind, role, resource_kind, resource, created_by, created_at, expires_at,
                                        justification, changed_generation)
                 VALUES ('g_' || $1, $1, 'user', 'administrator', 'server', 'server', '', 0, $2, '', 0)";
    let member = "INSERT INTO membership (group_id, member_id, added_at, added_by) VALUES ($1, $2, 0, '')";
    let ends_at = Some(4_000_000_000_000_000_i64);
    // The second account: its kind, whether it is barred, when its grant ends, and whether it has it by way of a group.
    for (kind, barred, ends_at, by_group, counts) in [
        ("user", false, None, false, true),
        ("user", false, None, true, true),
        ("user", true, None, false, false),
        ("user", true, None, true, false),
        ("service", false, None, false, false),
        ("user", false, ends_at, false, false),
    ] {
        for house in houses().await {
            let write = house.opened.system.write(move |tx| {
                tx.execute("DELETE FROM grant_row", &[])?;
                tx.execute(person, &["root".into(), "user".into(), false.into()])?;
                tx.execute(grant, &["root".into(), None::<i64>.into()])?;
                tx.execute(person, &["second".into(), kind.into(), barred.into()])?;
                if by_group {
                    tx.execute(person, &["team".into(), "group".into(), false.into()])?;
                    tx.execute(member, &["team".into(), "second".into()])?;
                }
                tx.execute(grant, &[if by_group { "team" } else { "second" }.into(), ends_at.into()])?;
                Ok(())
            });
            write.await.unwrap();
            for (without, wanted) in [(None, true), (Some("second"), true), (Some("root"), counts)] {
                let policy = house.policy.clone();
                let found = house.opened.system.read(move |reader| policy.is_administered(reader, without)).await.unwrap();
                assert_eq!(found, wanted, "{kind} {barred} {ends_at:?} {by_group} without {without:?}");
            }
        }
    }
}

#[tokio::test]
async fn revoking_takes_effect_and_spares_the_last_administrator() {
    for house in houses().await {
        revoking_takes_effect_on(house).await;
    }
}

async fn revoking_takes_effect_on(house: House) {
    let revoke = |who: &'static str, id: String| {
        let operation = RevokeGrant { room: house.policy.clone(), id };
        let house = &house;
        async move { house.call(who, operation).await.map_err(|problem| problem.kind()) }
    };
    let accounts = house.opened.system.write(|tx| {
        for id in ["root", "mary"] {
            let sql = "INSERT INTO principal (id, kind, name, disabled, owner, created_at) VALUES ($1, 'user', $1, 0, '', 0)";
            tx.execute(sql, &[id.into()])?;
        }
        Ok(())
    });
    accounts.await.unwrap();
    let list = ListGrants { room: house.policy.clone(), on: On::Server, principal: None, after: None, limit: 100 };
    let page = house.call("root", list.clone()).await.unwrap();
    assert_eq!((page.grants.len(), page.next), (5, None));
    let id_of = |who: &str| page.grants.iter().find(|one| one.principal == who).unwrap().id.clone();
    assert_eq!(revoke("vera", id_of("olga")).await, Err(Kind::Forbidden));
    assert_eq!(revoke("olga", id_of("root")).await, Err(Kind::Forbidden));
    assert_eq!(revoke("olga", id_of("vera")).await, Ok(()));
    assert_eq!(revoke("olga", id_of("vera")).await, Err(Kind::NotFound));
    assert_eq!(revoke("root", "g_none".to_owned()).await, Err(Kind::NotFound));
    assert_eq!(revoke("root", id_of("adam")).await, Ok(()));
    assert_eq!(revoke("adam", id_of("root")).await, Err(Kind::Forbidden));
    assert_eq!(revoke("root", id_of("mary")).await, Ok(()));
    assert_eq!(revoke("root", id_of("root")).await, Err(Kind::Conflict));
    // Grants that end, or are of a group with nobody in it, help nobody.
    house.people.add("empty", PrincipalKind::Group, &[], None);
    let end = CreateGrant { expires_at: Some(START.plus_secs(600)), ..house.gift("mary", "administrator", On::Server) };
    house.call("root", end).await.unwrap();
    house.give("root", "empty", "administrator", On::Server).await.unwrap();
    assert_eq!(revoke("root", id_of("root")).await, Err(Kind::Conflict));
    let helpless = house.call("root", list.clone()).await.unwrap().grants;
    for grant in helpless.into_iter().filter(|one| ["mary", "empty"].contains(&one.principal.as_str())) {
        assert_eq!(revoke("root", grant.id).await, Ok(()));
    }
    // A workspace's list shows that workspace only, in pages.
    let first = ListGrants { on: On::Workspace, limit: 1, ..list.clone() };
    let page = house.call("olga", first).await.unwrap();
    assert_eq!((page.grants.len(), page.next), (1, None));
    let paged = ListGrants { limit: 1, ..list };
    let page = house.call("root", paged.clone()).await.unwrap();
    let rest = house.call("root", ListGrants { after: page.next, ..paged.clone() }).await.unwrap();
    assert_eq!((rest.grants.len(), rest.next), (1, None));
    assert_ne!(page.grants, rest.grants);
    let of_olga = ListGrants { principal: Some("olga".to_owned()), limit: 10, ..paged };
    assert_eq!(house.call("root", of_olga).await.unwrap().grants.len(), 1);
}

#[tokio::test]
async fn a_check_tells_what_would_be() {
    for house in houses().await {
        a_check_tells_on(house).await;
    }
}

async fn a_check_tells_on(house: House) {
    let ask = |who: &'static str, about: &'static str, verb: &'static str, on: Target| {
        let room = house.policy.clone();
        let operation = AccessCheck { room, principal: about.to_owned(), principal_kind: None, verb: verb.to_owned(), on };
        let house = &house;
        async move { house.call(who, operation).await }
    };
    let run = || Target::Run("4".to_owned());
    let yes = ask("root", "vera", "runs.get", run()).await.unwrap();
    assert!(yes.allowed && yes.reasons[0].starts_with("g_"), "{yes:?}");
    let no = ask("root", "vera", "runs.log", run()).await.unwrap();
    assert!(!no.allowed && no.hint.unwrap().contains("`trainer`"));
    assert_eq!(ask("root", "vera", "runs.fly", run()).await.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(ask("root", "nobody", "runs.get", run()).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(ask("vera", "olga", "runs.get", run()).await.unwrap_err().kind(), Kind::Forbidden);
    assert!(house.call("vera", ListRoles { room: house.policy.clone() }).await.unwrap().len() >= 9);
}

/// All that somebody could do, in person or through a service account of theirs.
fn reach(judge: Judge<'_>, who: &[Caller]) -> BTreeSet<(String, String)> {
    let facts =
        |experiment: Option<i64>| Facts { exists: true, workspace: Some("ws".to_owned()), experiment, ..Facts::default() };
    let classes = DataClasses { special: true, ..DataClasses::default() };
    let special = || Facts { data: Some(DataFacts { state: DataState::Admitted, classes }), ..facts(None) };
    let verbs = [
        "runs.get",
        "runs.log",
        "experiments.delete",
        "artifacts.delete",
        "audit.search",
        "grants.create",
        "users.create",
        "datasets.read",
    ];
    let mut all = BTreeSet::new();
    for caller in who {
        for verb in verbs {
            for (name, kind, facts) in [
                ("special data", TargetKind::Workspace, special()),
                ("server", TargetKind::Server, Facts { exists: true, ..Facts::default() }),
                ("workspace", TargetKind::Workspace, facts(None)),
                ("experiment", TargetKind::Experiment, facts(Some(2))),
            ] {
                let circumstances = Circumstances { risk: 0, assurance: 1, locked: false, ..Circumstances::CALM };
                let ask = Ask { caller, verb, kind, facts: &facts, circumstances, now: START };
                if judge.may(ask).is_some() {
                    all.insert((verb.to_owned(), name.to_owned()));
                }
            }
        }
    }
    all
}

/// Random graphs of people, groups, service accounts and grants: whatever one person gives, alone and in any order, that
/// person can do no more afterwards.
#[test]
fn nobody_gains_by_granting() {
    let engine = Engine::embedded().unwrap();
    let roles: Vec<String> = engine.roles.keys().cloned().collect();
    let (mut given, mut refused) = (0, 0);
    for seed in 0..15 {
        let mut dice = Dice(seed + 1_000);
        let groups: Vec<String> = ["g1", "g2", "g3"].iter().filter(|_| dice.roll(3) == 0).map(|g| (*g).to_owned()).collect();
        let own_groups: Vec<String> = ["g1", "g2", "g3"].iter().filter(|_| dice.roll(3) == 0).map(|g| (*g).to_owned()).collect();
        let person = |id: &str, kind, groups: &[String], owner: Option<&str>| Principal {
            id: id.to_owned(),
            kind,
            groups: groups.to_vec(),
            owner: owner.map(str::to_owned),
            disabled: false,
        };
        let own = [person("own", PrincipalKind::Service, &own_groups, Some("ann"))];
        let all = [
            person("ann", PrincipalKind::User, &groups, None),
            own[0].clone(),
            person("alien", PrincipalKind::Service, &[], Some("bob")),
            person("bob", PrincipalKind::User, &[], None),
            person("g1", PrincipalKind::Group, &[], None),
            person("g2", PrincipalKind::Group, &[], None),
            person("g3", PrincipalKind::Group, &[], None),
        ];
        let ann = caller_of(&all[0]);
        let selves = [ann.clone(), caller_of(&own[0])];
        let places = [Resource::Server, workspace(), Resource::Experiment(2)];
        let mut index = Index::default();
        for n in 0..dice.roll(4) + 1 {
            let mut seeded = grant(&format!("g_seed{n}"), "ann", dice.pick::<String>(&roles), dice.pick(&places).clone());
            if let Some(group) = groups.first().filter(|_| dice.roll(3) == 0) {
                (seeded.principal, seeded.principal_kind) = (group.clone(), PrincipalKind::Group);
            }
            index.apply(i64::try_from(n).unwrap(), vec![Change::Live(seeded)]);
        }
        let cache = PreparedCache::default();
        let before = reach(Judge { engine: &engine, index: &index, cache: &cache }, &selves);
        for n in 0..25 {
            let (receiver, role, resource) = (dice.pick(&all), dice.pick::<String>(&roles), dice.pick(&places));
            let judge = Judge { engine: &engine, index: &index, cache: &cache };
            let facts_kind = match resource {
                Resource::Server => TargetKind::Server,
                Resource::Experiment(_) => TargetKind::Experiment,
                _ => TargetKind::Workspace,
            };
            let facts = Facts {
                exists: true,
                workspace: (facts_kind != TargetKind::Server).then(|| "ws".to_owned()),
                experiment: (facts_kind == TargetKind::Experiment).then_some(2),
                ..Facts::default()
            };
            let circumstances = Circumstances { risk: 0, assurance: 1, locked: false, ..Circumstances::CALM };
            let ask = Ask { caller: &ann, verb: "grants.create", kind: facts_kind, facts: &facts, circumstances, now: START };
            let workspace = facts.workspace.as_deref();
            let gift = Gift { giver: &ann, receiver, services: &own, role, resource, workspace, expires_at: None, now: START };
            if judge.may(ask).is_none() || may_give(judge, gift).is_err() {
                refused += 1;
                continue;
            }
            given += 1;
            let mut made = grant(&format!("g_{n}"), &receiver.id, role, resource.clone());
            made.principal_kind = receiver.kind;
            let generation = index.generation + 1;
            index.apply(generation, vec![Change::Live(made)]);
        }
        let after = reach(Judge { engine: &engine, index: &index, cache: &cache }, &selves);
        let gained: Vec<_> = after.difference(&before).collect();
        assert!(gained.is_empty(), "seed {seed} gained {gained:?}");
    }
    assert!(given > 20 && refused > 20, "a test that sees one answer only shows nothing: {given} given, {refused} refused");
}
