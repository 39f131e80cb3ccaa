//! What the port answers: scope, visibility, expiry, tokens, risk, other nodes.

use gate::{Action, Caller, CallerKind, Decision, Method, Proof, Risk, Scope, Target, TokenFacts};

use super::{House, START, user};
use crate::types::PrincipalKind;
use crate::{On, RevokeGrant, VisibleWorkspaces};

const RUNS_SEARCH: Action = Action::read("runs.search");
const RUNS_LOG: Action = Action::write("runs.log");
const RUNS_GET: Action = Action::read("runs.get");
const EXPERIMENTS_DELETE: Action = Action::write("experiments.delete");

fn experiment(id: &str) -> Target {
    Target::Experiment(id.to_owned())
}

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
    for id in ["ann", "bob", "cy"] {
        house.people.add(id, PrincipalKind::User, &[], None);
    }
    house
}

fn scope(decision: Decision) -> Scope {
    match decision {
        Decision::Allow { scope, .. } => scope,
        other => unreachable!("{other:?}"),
    }
}

fn visible(decision: Decision) -> bool {
    match decision {
        Decision::Deny { visible, .. } => visible,
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn lists_are_narrowed_to_what_the_grants_are_on() {
    for house in houses().await {
        lists_are_narrowed_on(house).await;
    }
}

async fn lists_are_narrowed_on(house: House) {
    house.give("bootstrap", "ann", "viewer", On::Workspace).await.unwrap();
    house.give("bootstrap", "bob", "trainer", On::Experiment("4".to_owned())).await.unwrap();
    house.give("bootstrap", "bob", "viewer", On::RegisteredModel("m1".to_owned())).await.unwrap();
    let list = |who: &'static str| {
        let house = &house;
        async move { house.decide(&user(who), RUNS_SEARCH, "ws", &Target::Workspace).await }
    };
    assert_eq!(scope(list("ann").await), Scope::Workspace);
    assert_eq!(scope(list("bob").await), Scope::Only { experiments: vec![4], models: vec!["m1".to_owned()] });
    assert!(!visible(list("cy").await));
    // In the other workspace neither has anything.
    assert!(!visible(house.decide(&user("ann"), RUNS_SEARCH, "other", &Target::Workspace).await));
    // What is not a list is not allowed because of single items.
    assert!(visible(house.decide(&user("bob"), Action::write("experiments.create"), "ws", &Target::Workspace).await));
    // On the item itself the scope is that item; for who has the workspace it is all of it.
    let only = Scope::Only { experiments: vec![4], models: Vec::new() };
    assert_eq!(scope(house.decide(&user("bob"), RUNS_LOG, "ws", &Target::Run("4".to_owned())).await), only);
    assert_eq!(scope(house.decide(&user("ann"), RUNS_GET, "ws", &Target::Run("4".to_owned())).await), Scope::Workspace);
}

#[tokio::test]
async fn who_may_not_read_it_does_not_learn_that_it_exists() {
    let house = house().await;
    house.give("bootstrap", "ann", "viewer", On::Workspace).await.unwrap();
    house.give("bootstrap", "bob", "viewer", On::Experiment("4".to_owned())).await.unwrap();
    let delete = |who: &'static str, id: &'static str| {
        let house = &house;
        async move { visible(house.decide(&user(who), EXPERIMENTS_DELETE, "ws", &experiment(id)).await) }
    };
    assert!(delete("ann", "4").await && delete("ann", "6").await);
    assert!(!delete("ann", "5").await, "another workspace's");
    assert!(!delete("ann", "400").await, "there is none");
    assert!(delete("bob", "4").await && !delete("bob", "6").await);
    assert!(!delete("cy", "4").await);
    let decision = house.decide(&user("ann"), EXPERIMENTS_DELETE, "ws", &experiment("4")).await;
    let Decision::Deny { hint, .. } = decision else { unreachable!() };
    assert!(hint.contains("`contributor`") && hint.contains("`owner`"), "{hint}");
}

#[tokio::test]
async fn an_expired_grant_counts_no_more_and_can_be_given_anew() {
    for house in houses().await {
        an_expired_grant_on(house).await;
    }
}

async fn an_expired_grant_on(house: House) {
    let mut gift = house.gift("ann", "viewer", On::Workspace);
    gift.expires_at = Some(START.plus_secs(60));
    house.call("bootstrap", gift.clone()).await.unwrap();
    assert_eq!(house.call("bootstrap", gift.clone()).await.unwrap_err().kind(), kernel::Kind::AlreadyExists);
    let read = || async { house.decide(&user("ann"), RUNS_GET, "ws", &Target::Run("4".to_owned())).await };
    assert!(matches!(read().await, Decision::Allow { .. }));
    house.clock.advance_secs(59);
    assert!(matches!(read().await, Decision::Allow { .. }));
    house.clock.advance_secs(1);
    assert!(matches!(read().await, Decision::Deny { visible: false, .. }));
    gift.expires_at = Some(START.plus_secs(30));
    assert_eq!(house.call("bootstrap", gift.clone()).await.unwrap_err().kind(), kernel::Kind::Invalid);
    gift.expires_at = None;
    house.call("bootstrap", gift).await.unwrap();
    assert!(matches!(read().await, Decision::Allow { .. }));
    assert_eq!(house.policy.grant_count(), 1);
}

#[tokio::test]
async fn a_token_only_narrows() {
    let house = house().await;
    house.give("bootstrap", "ann", "contributor", On::Server).await.unwrap();
    let with = |scopes: &[&str], workspace: Option<&str>| Caller {
        token: Some(TokenFacts {
            id: "t_1".to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            workspace: workspace.map(str::to_owned),
            device: None,
        }),
        ..user("ann")
    };
    let allowed = |caller: Caller, action: Action, workspace: &'static str, target: Target| {
        let house = &house;
        async move { matches!(house.decide(&caller, action, workspace, &target).await, Decision::Allow { .. }) }
    };
    let run = || Target::Run("4".to_owned());
    assert!(allowed(with(&[], None), RUNS_LOG, "ws", run()).await);
    assert!(allowed(with(&["runs.*"], None), RUNS_LOG, "ws", run()).await);
    assert!(!allowed(with(&["runs.get"], None), RUNS_LOG, "ws", run()).await);
    assert!(!allowed(with(&["runs.lo*", "Runs.*", "run.*", ""], None), RUNS_LOG, "ws", run()).await);
    assert!(allowed(with(&[], Some("ws")), RUNS_LOG, "ws", run()).await);
    assert!(!allowed(with(&[], Some("other")), RUNS_LOG, "ws", run()).await);
    assert!(!allowed(with(&[], Some("ws")), RUNS_SEARCH, "other", Target::Workspace).await);
    // What all who are known may do on the server stays; anything more there does not.
    house.give("bootstrap", "ann", "administrator", On::Server).await.unwrap();
    assert!(allowed(with(&[], Some("ws")), Action::read("roles.list"), "ws", Target::Server).await);
    assert!(!allowed(with(&[], Some("ws")), Action::read("users.list"), "ws", Target::Server).await);
    assert!(allowed(with(&["nothing.at_all"], None), Action::read("server.health"), "ws", Target::Server).await);
    // A token never gives: its scope names what its owner does not have.
    let widened = Caller { id: "bob".to_owned(), ..with(&["*"], Some("ws")) };
    assert!(!allowed(widened, RUNS_GET, "ws", run()).await);
    // A narrowed token may know what its owner may know of the same workspace, and nothing of another.
    assert!(visible(house.decide(&with(&["runs.get"], None), RUNS_LOG, "ws", &run()).await));
    assert!(!visible(house.decide(&with(&[], Some("other")), RUNS_LOG, "ws", &run()).await));
}

#[tokio::test]
async fn risk_asks_for_more_and_a_lock_for_nothing() {
    let house = house().await;
    house.give("bootstrap", "ann", "contributor", On::Workspace).await.unwrap();
    let at = |score: u8, action: Action, caller: Caller| {
        *house.ports.risk.lock() = Risk { score, ..Risk::default() };
        let house = &house;
        async move { house.decide(&caller, action, "ws", &Target::Run("4".to_owned())).await }
    };
    assert!(matches!(at(89, RUNS_LOG, user("ann")).await, Decision::Allow { .. }));
    assert!(matches!(at(90, RUNS_LOG, user("ann")).await, Decision::StepUp { .. }));
    assert!(matches!(at(255, RUNS_GET, user("ann")).await, Decision::Allow { .. }));
    let download = Action::read("artifacts.read");
    assert!(matches!(at(89, download, user("ann")).await, Decision::Allow { .. }));
    assert!(matches!(at(90, download, user("ann")).await, Decision::StepUp { .. }));
    let by = |method: Method| {
        let proof = Some(Proof { at: START, method, once: None });
        Caller { assurance: if method == Method::Password { 1 } else { 2 }, proof, ..user("ann") }
    };
    for action in [download, RUNS_LOG] {
        assert!(matches!(at(94, action, by(Method::Totp)).await, Decision::Allow { .. }));
        for weak in [Method::Password, Method::Totp, Method::RecoveryCode, Method::Federated] {
            let asked = at(95, action, by(weak)).await;
            assert!(matches!(&asked, Decision::StepUp { acr, .. } if acr == "phr"), "{weak:?}: {asked:?}");
        }
        for strong in [Method::Passkey, Method::FederatedPhishingResistant] {
            assert!(matches!(at(100, action, by(strong)).await, Decision::Allow { .. }), "{strong:?}");
        }
    }
    // What opens the account for good is no way out, and ending what is one's own is none in.
    for own in [Action::write("factors.offer_totp"), Action::write("factors.add_passkey"), Action::write("tokens.create")] {
        *house.ports.risk.lock() = Risk { score: 90, ..Risk::default() };
        let asked = house.decide(&by(Method::Password), own, "ws", &Target::Myself).await;
        assert!(matches!(asked, Decision::StepUp { .. }), "{own:?}: {asked:?}");
    }
    for own in [Action::write("sessions.create"), Action::write("sessions.delete")] {
        *house.ports.risk.lock() = Risk { score: 100, ..Risk::default() };
        assert!(matches!(house.decide(&by(Method::Password), own, "ws", &Target::Myself).await, Decision::Allow { .. }));
    }
    assert!(matches!(at(95, RUNS_LOG, user("bob")).await, Decision::Deny { .. }));
    *house.ports.risk.lock() = Risk { locked_for: Some(std::time::Duration::from_secs(9)), ..Risk::default() };
    let locked = house.decide(&user("ann"), RUNS_GET, "ws", &Target::Run("4".to_owned())).await;
    assert!(matches!(locked, Decision::Deny { .. }), "{locked:?}");
}

#[tokio::test]
async fn strangers_and_unknown_verbs_get_nothing() {
    let house = house().await;
    let stranger = Caller::anonymous();
    for (action, target) in [(RUNS_GET, Target::Run("4".to_owned())), (RUNS_SEARCH, Target::Workspace)] {
        assert!(!visible(house.decide(&stranger, action, "ws", &target).await));
    }
    let health = house.decide(&stranger, Action::read("server.health"), "ws", &Target::Server).await;
    let Decision::Allow { reasons, .. } = health else { unreachable!() };
    assert_eq!(reasons, vec!["anyone-may-knock".to_owned(), format!("policy:{}", &crate::policy_version()[..8])]);
    house.give("bootstrap", "ann", "owner", On::Server).await.unwrap();
    for unknown in [Action::read("runs.peek"), Action::read("role:owner"), Action::read("reads"), Action::write("runs.get")] {
        let decision = house.decide(&user("ann"), unknown, "ws", &Target::Run("4".to_owned())).await;
        assert!(matches!(decision, Decision::Deny { .. }), "{unknown:?}");
    }
    // A group's id or a job's name is no user.
    let impostor = Caller { kind: CallerKind::Service, ..user("ann") };
    assert!(!visible(house.decide(&impostor, RUNS_GET, "ws", &Target::Run("4".to_owned())).await));
    let job = Caller { kind: CallerKind::User, ..user("bootstrap") };
    assert!(matches!(house.decide(&job, Action::write("users.create"), "ws", &Target::Server).await, Decision::Deny { .. }));
}

#[tokio::test]
async fn another_node_sees_a_revocation() {
    for house in houses().await {
        another_node_sees_on(house).await;
    }
}

async fn another_node_sees_on(here: House) {
    let made = here.give("bootstrap", "ann", "viewer", On::Workspace).await.unwrap();
    let (db, ports) = (here.opened.db.clone(), here.opened.ports.clone());
    let there = crate::Policy::open(db, ports, std::sync::Arc::new(here.people.clone())).await.unwrap();
    assert_eq!(there.grant_count(), 1);
    let facts = super::facts_of("ws", &Target::Workspace);
    let risk = Risk::default();
    let ask = |policy: crate::Policy, seconds: i64| {
        let (facts, risk) = (&facts, &risk);
        async move {
            let target = Target::Workspace;
            let now = START.plus_secs(seconds);
            let caller = user("ann");
            let question = gate::Question { caller: &caller, action: RUNS_SEARCH, target: &target, facts, risk, now };
            matches!(gate::Decide::decide(&policy.port(), question).await.unwrap(), Decision::Allow { .. })
        }
    };
    assert!(ask(there.clone(), 0).await);
    here.give("bootstrap", "cy", "administrator", On::Server).await.unwrap();
    here.call("cy", RevokeGrant { room: here.policy.clone(), id: made.id }).await.unwrap();
    assert!(!ask(here.policy.clone(), 0).await, "at once where it was done");
    assert!(!ask(there.clone(), 1).await, "within a second elsewhere");
    assert_eq!(there.grant_count(), 1);
}

#[tokio::test]
async fn workspaces_are_visible_to_those_who_have_something_there() {
    let house = house().await;
    house.give("bootstrap", "ann", "viewer", On::Experiment("4".to_owned())).await.unwrap();
    house.give("bootstrap", "bob", "administrator", On::Server).await.unwrap();
    let only = |ids: &[&str]| VisibleWorkspaces::Only(ids.iter().map(|id| (*id).to_owned()).collect());
    assert_eq!(house.policy.visible_workspaces(&user("ann"), START), only(&["ws"]));
    assert_eq!(house.policy.visible_workspaces(&user("bob"), START), VisibleWorkspaces::All);
    assert_eq!(house.policy.visible_workspaces(&user("cy"), START), only(&[]));
}
