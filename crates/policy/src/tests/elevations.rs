//! Roles for some hours: who asks, who decides, when they end; and broken glass.

use std::sync::Arc;

use gate::{Credential, Target};
use kernel::{Kind, Problem};
use parking_lot::Mutex;
use vault::db::Writer;

use super::House;
use crate::types::PrincipalKind;
use crate::{
    BreakGlass, Broken, CreateGrant, DecideElevation, Elevation, ElevationState, EndElevation, GlassAlarm, ListElevations, On,
    OwnElevations, PreviewElevation, RequestElevation,
};

async fn houses() -> Vec<House> {
    let mut all = Vec::new();
    for house in House::on_both_engines().await {
        for id in ["root", "olga", "otto", "vera", "stranger", "eve"] {
            house.people.add(id, PrincipalKind::User, &[], None);
        }
        house.people.add("robot", PrincipalKind::Service, &[], Some("root"));
        house.give("bootstrap", "root", "administrator", On::Server).await.unwrap();
        for owner in ["olga", "otto"] {
            house.give("bootstrap", owner, "owner", On::Workspace).await.unwrap();
        }
        for viewer in ["vera", "robot"] {
            house.give("bootstrap", viewer, "viewer", On::Workspace).await.unwrap();
        }
        house.give("bootstrap", "eve", "break_glass", On::Server).await.unwrap();
        all.push(house);
    }
    all
}

impl House {
    async fn ask(&self, who: &str, role: &str, seconds: i64) -> Result<Elevation, Problem> {
        let wish = RequestElevation {
            room: self.policy.clone(),
            role: role.to_owned(),
            on: On::Workspace,
            seconds,
            reason: "an incident".to_owned(),
        };
        self.call(who, wish).await
    }

    async fn decide_on(&self, who: &str, id: &str, give: bool) -> Result<Elevation, Problem> {
        self.call(who, DecideElevation { room: self.policy.clone(), id: id.to_owned(), give }).await
    }

    /// Whether somebody may create an experiment in the workspace.
    async fn may_create(&self, who: &str) -> bool {
        let caller = super::user(who);
        let decision = self.decide(&caller, gate::Action::write("experiments.create"), "ws", &Target::Workspace).await;
        matches!(decision, gate::Decision::Allow { .. })
    }
}

fn kind<T>(result: Result<T, Problem>) -> Option<Kind> {
    result.err().map(|problem| problem.kind())
}

#[tokio::test]
async fn a_role_is_given_by_a_second_person_and_ends_by_itself() {
    for house in houses().await {
        let asked = house.ask("vera", "contributor", 3_600).await.unwrap();
        assert_eq!((asked.state, house.may_create("vera").await), (ElevationState::Asked, false));
        assert_eq!(kind(house.decide_on("vera", &asked.id, true).await), Some(Kind::Forbidden));
        // A service account of whoever it is is no second person.
        house.give("bootstrap", "robot", "owner", On::Workspace).await.unwrap();
        assert_eq!(kind(house.decide_on("robot", &asked.id, true).await), Some(Kind::Forbidden));
        let given = house.decide_on("olga", &asked.id, true).await.unwrap();
        assert_eq!((given.state, given.decided_by.as_deref()), (ElevationState::Given, Some("olga")));
        assert!(house.may_create("vera").await);
        assert_eq!(kind(house.decide_on("otto", &asked.id, false).await), Some(Kind::Conflict));
        house.clock.advance_secs(3_599);
        assert!(house.may_create("vera").await);
        house.clock.advance_secs(2);
        assert!(!house.may_create("vera").await);
        let own = house.call("vera", OwnElevations { room: house.policy.clone() }).await.unwrap();
        assert_eq!(own.len(), 1);
        let list = ListElevations { room: house.policy.clone(), of_server: false, waiting_only: false };
        assert_eq!(house.call("olga", list.clone()).await.unwrap(), own);
        assert_eq!(kind(house.call("vera", list).await), Some(Kind::Forbidden));
    }
}

#[tokio::test]
async fn who_owns_one_thing_does_not_read_what_others_ask_for() {
    for house in houses().await {
        house.ask("vera", "contributor", 600).await.unwrap();
        house.give("bootstrap", "stranger", "owner", On::Experiment("4".to_owned())).await.unwrap();
        let list = |waiting_only| ListElevations { room: house.policy.clone(), of_server: false, waiting_only };
        for waiting_only in [true, false] {
            assert_eq!(house.call("stranger", list(waiting_only)).await.unwrap(), Vec::new());
            assert_eq!(house.call("olga", list(waiting_only)).await.unwrap().len(), 1);
        }
    }
}

#[tokio::test]
async fn what_a_role_would_allow_is_shown_to_who_may_give_it_while_it_waits() {
    for house in houses().await {
        let asked = house.ask("vera", "contributor", 3_600).await.unwrap();
        let preview = |id: &str| PreviewElevation { room: house.policy.clone(), id: id.to_owned() };
        let shown = house.call("olga", preview(&asked.id)).await.unwrap();
        assert_eq!((shown.elevation, shown.grant.principal.as_str()), (asked.clone(), "vera"));
        assert_eq!((shown.grant.role.as_str(), &shown.grant.resource), ("contributor", &asked.resource));
        assert!(!house.may_create("vera").await, "looking gives nothing");
        assert_eq!(kind(house.call("vera", preview(&asked.id)).await), Some(Kind::Forbidden));
        assert_eq!(kind(house.call("olga", preview("ew_nothing")).await), Some(Kind::NotFound));
        // It lies in the workspace: who names it as the server's finds nothing there.
        assert_eq!(kind(house.call("root", preview(&asked.id.replacen("ew_", "es_", 1))).await), Some(Kind::NotFound));
        house.clock.advance_secs(24 * 3_600 + 1);
        assert_eq!(kind(house.call("olga", preview(&asked.id)).await), Some(Kind::Conflict));
    }
}

#[tokio::test]
async fn nobody_decides_on_their_own_and_nobody_gives_what_they_do_not_hold() {
    for house in houses().await {
        let own = house.ask("olga", "retention_officer", 600).await.unwrap();
        let problem = house.decide_on("olga", &own.id, true).await.unwrap_err();
        assert!(problem.message().contains("second person"), "{problem}");
        assert_eq!(kind(house.decide_on("otto", &own.id, true).await), Some(Kind::Forbidden));
        // An administrator's office it is.
        assert!(house.decide_on("root", &own.id, true).await.is_ok());
        assert_eq!(kind(house.ask("stranger", "viewer", 600).await), Some(Kind::NotFound));
        assert_eq!(kind(house.ask("robot", "contributor", 600).await), Some(Kind::Invalid));
        for (role, seconds) in [("contributor", 10), ("contributor", 100_000), ("nothing", 600), ("backup_operator", 600)] {
            assert_eq!(kind(house.ask("vera", role, seconds).await), Some(Kind::Invalid), "{role} {seconds}");
        }
    }
}

#[tokio::test]
async fn who_gives_for_a_while_approves_nothing_that_lasts_longer() {
    for house in houses().await {
        let until = Some(super::START.plus_secs(1_800));
        let brief = CreateGrant { expires_at: until, ..house.gift("stranger", "owner", On::Workspace) };
        house.call("olga", brief).await.unwrap();
        let long = house.ask("vera", "contributor", 1_801).await.unwrap();
        let refused = house.decide_on("stranger", &long.id, true).await.unwrap_err();
        assert!(refused.kind() == Kind::Forbidden && refused.message().contains("for a while only"), "{refused}");
        let short = house.ask("vera", "contributor", 1_800).await.unwrap();
        house.decide_on("stranger", &short.id, true).await.unwrap();
        house.decide_on("stranger", &long.id, false).await.unwrap();
    }
}

#[tokio::test]
async fn a_request_is_void_after_a_day_can_be_taken_back_and_there_are_not_many() {
    for house in houses().await {
        let late = house.ask("vera", "contributor", 600).await.unwrap();
        house.clock.advance_secs(24 * 3_600 + 1);
        assert_eq!(kind(house.decide_on("olga", &late.id, true).await), Some(Kind::Conflict));
        let taken_back = house.ask("vera", "contributor", 600).await.unwrap();
        let end = EndElevation { room: house.policy.clone(), id: taken_back.id.clone() };
        assert_eq!(kind(house.call("olga", end.clone()).await), Some(Kind::NotFound));
        house.call("vera", end.clone()).await.unwrap();
        assert_eq!(kind(house.call("vera", end).await), Some(Kind::Conflict));
        assert_eq!(kind(house.decide_on("olga", &taken_back.id, true).await), Some(Kind::Conflict));
        for _ in 0..10 {
            house.ask("vera", "contributor", 600).await.unwrap();
        }
        assert_eq!(kind(house.ask("vera", "contributor", 600).await), Some(Kind::Conflict));
    }
}

#[tokio::test]
async fn a_role_that_is_held_already_is_not_asked_for() {
    for house in houses().await {
        assert_eq!(kind(house.ask("vera", "viewer", 600).await), Some(Kind::AlreadyExists));
        house.people.add("crew", PrincipalKind::Group, &[], None);
        house.people.add("maud", PrincipalKind::User, &["crew"], None);
        house.give("bootstrap", "crew", "trainer", On::Workspace).await.unwrap();
        assert_eq!(kind(house.ask("maud", "trainer", 600).await), Some(Kind::AlreadyExists), "by a group");
        house.ask("maud", "contributor", 600).await.unwrap();
        // A role that was given for some hours is held until it ends.
        let asked = house.ask("vera", "contributor", 600).await.unwrap();
        house.decide_on("olga", &asked.id, true).await.unwrap();
        assert_eq!(kind(house.ask("vera", "contributor", 600).await), Some(Kind::AlreadyExists));
        house.clock.advance_secs(601);
        house.ask("vera", "contributor", 600).await.unwrap();
    }
}

#[tokio::test]
async fn what_waits_is_listed_however_much_was_asked_for_since() {
    for house in houses().await {
        let waiting = async |who: &str, of_server| {
            let list = ListElevations { room: house.policy.clone(), of_server, waiting_only: true };
            house.call(who, list).await.map(|all| all.into_iter().map(|one| one.id).collect::<Vec<_>>())
        };
        let first = house.ask("vera", "contributor", 600).await.unwrap();
        let on_server = RequestElevation {
            room: house.policy.clone(),
            role: "auditor".to_owned(),
            on: On::Server,
            seconds: 600,
            reason: "an incident".to_owned(),
        };
        let on_server = house.call("eve", on_server).await.unwrap();
        for _ in 0..=crate::elevation::LIST_COUNT_MAX {
            house.clock.advance_secs(1);
            let other = house.ask("otto", "contributor", 600).await.unwrap();
            house.call("otto", EndElevation { room: house.policy.clone(), id: other.id }).await.unwrap();
        }
        let newest = ListElevations { room: house.policy.clone(), of_server: false, waiting_only: false };
        assert!(
            house.call("olga", newest).await.unwrap().iter().all(|one| one.id != first.id),
            "the newest alone do not show it"
        );
        assert_eq!(waiting("olga", false).await.unwrap(), std::slice::from_ref(&first.id));
        assert_eq!(waiting("root", true).await.unwrap(), std::slice::from_ref(&on_server.id));
        assert_eq!(kind(waiting("olga", true).await), Some(Kind::Forbidden));
        house.clock.advance_secs(24 * 3_600);
        assert_eq!(waiting("olga", false).await.unwrap(), [""; 0], "nobody can decide on it any more");
    }
}

#[tokio::test]
async fn a_browser_left_open_makes_and_admits_nobody() {
    let house = House::new().await;
    house.people.add("root", PrincipalKind::User, &[], None);
    house.give("bootstrap", "root", "administrator", On::Server).await.unwrap();
    let verbs = ["users.create", "users.enable", "services.create", "services.enable", "groups.add_member", "grants.create"];
    for (age_s, allowed) in [(600, true), (7_200, false)] {
        let at = super::START.plus_secs(-age_s);
        let proof = gate::Proof { at, method: gate::Method::Passkey, once: None };
        let caller = gate::Caller { proof: Some(proof), assurance: 2, ..super::user("root") };
        for verb in verbs {
            let decision = house.decide(&caller, gate::Action::write(verb), "ws", &Target::Server).await;
            assert_eq!(matches!(decision, gate::Decision::Allow { .. }), allowed, "{verb} {age_s}");
        }
    }
}

/// Notes what it was told, or cannot.
struct Bell(Mutex<Vec<String>>, bool);

impl GlassAlarm for Bell {
    fn broken(&self, _: &mut Writer<'_>, broken: &Broken<'_>) -> Result<(), Problem> {
        if self.1 {
            return Err(Problem::unavailable("the bell is broken too"));
        }
        self.0.lock().push(format!("{}: {}", broken.by, broken.reason));
        Ok(())
    }
}

impl House {
    async fn break_glass(&self, who: &str) -> Result<Elevation, Problem> {
        let wish = BreakGlass { room: self.policy.clone(), seconds: 600, reason: "nobody else is left".to_owned() };
        self.call(who, wish).await
    }
}

#[tokio::test]
async fn glass_is_broken_by_two_factors_only_and_never_quietly() {
    for house in houses().await {
        assert!(matches!(house.attempt("eve").credential, Credential::Bearer(_)));
        // The tests' callers have one factor.
        assert_eq!(kind(house.break_glass("eve").await), Some(Kind::StepUp));
        house.people.strengthen("eve");
        assert_eq!(kind(house.break_glass("eve").await), Some(Kind::Unavailable), "without a bell it stays whole");
        let bell = Arc::new(Bell(Mutex::default(), false));
        house.policy.set_alarm(Arc::clone(&bell) as _);
        let broken = house.break_glass("eve").await.unwrap();
        assert_eq!(broken.state, ElevationState::Broken);
        assert_eq!(*bell.0.lock(), ["eve: nobody else is left"]);
        assert_eq!(kind(house.break_glass("eve").await), Some(Kind::AlreadyExists));
        assert_eq!(kind(house.break_glass("olga").await), Some(Kind::Forbidden));
        let caller = super::user("eve");
        let may = async || {
            let decision = house.decide(&caller, gate::Action::write("users.create"), "ws", &Target::Server).await;
            matches!(decision, gate::Decision::Allow { .. })
        };
        assert!(may().await);
        house.clock.advance_secs(601);
        assert!(!may().await);
    }
    for house in houses().await {
        house.people.strengthen("eve");
        house.policy.set_alarm(Arc::new(Bell(Mutex::default(), true)));
        assert_eq!(kind(house.break_glass("eve").await), Some(Kind::Unavailable));
        assert_eq!(house.call("eve", OwnElevations { room: house.policy.clone() }).await.unwrap(), Vec::new());
    }
}
