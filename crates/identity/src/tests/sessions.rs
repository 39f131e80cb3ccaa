//! Browser sessions.

use gate::{Credential, Operation};
use kernel::Kind;

use super::{PASSWORD, attempt, bearer, secret, worlds};
use crate::ops::accounts::DisableUser;
use crate::ops::passwords::ChangeOwnPassword;
use crate::ops::sessions::{CreateSession, DeleteSession, ListSessions};
use crate::{OpenedSession, SESSIONS_OF_PRINCIPAL_COUNT_MAX};

fn cookie(session: &OpenedSession) -> Credential {
    Credential::Session(session.secret.clone())
}

#[tokio::test]
async fn a_session_rotates_and_ends() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let create = || CreateSession { room: world.room.clone(), replaces: None };
        let first = world.by(world.basic("ada", PASSWORD), create()).await.unwrap();
        assert_eq!(world.who(cookie(&first)).await.unwrap().id, ada.id);
        assert!(world.is_refused(bearer(&first.secret)).await, "a cookie is no token");
        world.clock.advance_secs(600);
        let second = world.by(cookie(&first), create()).await.unwrap();
        assert!(world.is_refused(cookie(&first)).await, "the old secret is dead");
        assert_eq!(second.session.expires_at, first.session.expires_at, "rotation gives no longer life");
        let listed = world.by(cookie(&second), ListSessions { room: world.room.clone(), of: None }).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert!(listed[0].current && listed[0].id == second.session.id);
        let of = |who: &str| ListSessions { room: world.room.clone(), of: Some(who.to_owned()) };
        let told: Vec<_> =
            world.by_job(of(&world.text("ada"))).await.unwrap().into_iter().map(|one| (one.id, one.current)).collect();
        assert_eq!(told, [(second.session.id.clone(), false)], "another one sees them too, and none is the one they came with");
        assert_eq!(world.by_job(of("nobody")).await.unwrap_err().kind(), kernel::Kind::NotFound);
        world.by(cookie(&second), DeleteSession { room: world.room.clone(), session: None }).await.unwrap();
        assert!(world.is_refused(cookie(&second)).await);
        assert_eq!(world.by_job(of(&world.text("ada"))).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_session_ends_when_idle_and_when_its_time_is_up() {
    for world in worlds() {
        world.user("ada", Some(PASSWORD)).await;
        let create = || CreateSession { room: world.room.clone(), replaces: None };
        let idle = world.by(world.basic("ada", PASSWORD), create()).await.unwrap();
        let busy = world.by(world.basic("ada", PASSWORD), create()).await.unwrap();
        for _ in 0..23 {
            world.clock.advance_secs(1_800);
            world.who(cookie(&busy)).await.unwrap();
            world.port.write_uses(&world.opened.system).await.unwrap();
        }
        assert!(world.is_refused(cookie(&idle)).await);
        world.clock.advance_secs(1_800);
        assert!(world.is_refused(cookie(&busy)).await, "12 h are over");
    }
}

#[tokio::test]
async fn what_is_asked_again_while_an_answer_lasts_keeps_no_session_alive() {
    for world in worlds() {
        world.user("ada", Some(PASSWORD)).await;
        let create = || CreateSession { room: world.room.clone(), replaces: None };
        let left = world.by(world.basic("ada", PASSWORD), create()).await.unwrap();
        let used = world.by(world.basic("ada", PASSWORD), create()).await.unwrap();
        let watches =
            async |session: &OpenedSession| world.gate.identify(attempt(cookie(session)), ListSessions::ACTION).await.unwrap();
        let (of_left, of_used) = (watches(&left).await, watches(&used).await);
        for _ in 0..6 {
            world.clock.advance_secs(590);
            assert!(of_left.still_may().await.unwrap() && of_used.still_may().await.unwrap());
            world.port.write_uses(&world.opened.system).await.unwrap();
        }
        // What was found a moment ago by asking is used now all the same.
        world.who(cookie(&used)).await.unwrap();
        world.clock.advance_secs(61);
        assert!(!of_left.still_may().await.unwrap(), "nobody used it for an hour");
        assert!(world.is_refused(cookie(&left)).await);
        assert!(of_used.still_may().await.unwrap());
        world.who(cookie(&used)).await.unwrap();
    }
}

#[tokio::test]
async fn sessions_end_with_the_account_and_the_password() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let create = || CreateSession { room: world.room.clone(), replaces: None };
        let kept = world.by(world.basic("ada", PASSWORD), create()).await.unwrap();
        let lost = world.by(world.basic("ada", PASSWORD), create()).await.unwrap();
        let new = secret("kettle moss over eleven");
        let change = ChangeOwnPassword { room: world.room.clone(), current: Some(secret(PASSWORD)), new };
        world.by(cookie(&kept), change).await.unwrap();
        world.who(cookie(&kept)).await.unwrap();
        assert!(world.is_refused(cookie(&lost)).await);
        world.by_job(DisableUser { room: world.room.clone(), user: ada.id }).await.unwrap();
        assert!(world.is_refused(cookie(&kept)).await);
    }
}

#[tokio::test]
async fn who_logs_in_over_the_session_of_another_ends_it() {
    for world in worlds() {
        for name in ["ada", "bob"] {
            world.user(name, Some(PASSWORD)).await;
        }
        let create = |replaces| CreateSession { room: world.room.clone(), replaces };
        let ada = world.by(world.basic("ada", PASSWORD), create(None)).await.unwrap();
        let elsewhere = world.by(world.basic("ada", PASSWORD), create(None)).await.unwrap();
        let bob = world.by(world.basic("bob", PASSWORD), create(Some(ada.secret.clone()))).await.unwrap();
        assert!(world.is_refused(cookie(&ada)).await, "the browser has forgotten it");
        world.who(cookie(&elsewhere)).await.unwrap();
        world.who(cookie(&bob)).await.unwrap();
        // What has ended, or never was, is in nobody's way.
        for old in [ada.secret.clone(), secret("sr_ses_x")] {
            world.by(world.basic("bob", PASSWORD), create(Some(old))).await.unwrap();
        }
        world.who(cookie(&bob)).await.unwrap();
    }
}

#[tokio::test]
async fn the_oldest_session_makes_room() {
    let world = worlds().remove(0);
    world.user("ada", Some(PASSWORD)).await;
    let mut all = Vec::new();
    for _ in 0..=SESSIONS_OF_PRINCIPAL_COUNT_MAX {
        world.clock.advance_secs(1);
        all.push(
            world.by(world.basic("ada", PASSWORD), CreateSession { room: world.room.clone(), replaces: None }).await.unwrap(),
        );
    }
    assert!(world.is_refused(cookie(&all[0])).await);
    world.who(cookie(&all[1])).await.unwrap();
}

#[tokio::test]
async fn a_session_of_another_is_not_there() {
    for world in worlds() {
        for name in ["ada", "bob"] {
            world.user(name, Some(PASSWORD)).await;
        }
        let ada =
            world.by(world.basic("ada", PASSWORD), CreateSession { room: world.room.clone(), replaces: None }).await.unwrap();
        let delete = DeleteSession { room: world.room.clone(), session: Some(ada.session.id.clone()) };
        assert_eq!(world.by(world.basic("bob", PASSWORD), delete).await.unwrap_err().kind(), Kind::NotFound);
        world.who(cookie(&ada)).await.unwrap();
    }
}

#[tokio::test]
async fn a_session_that_is_over_is_not_listed_and_takes_no_room() {
    for world in worlds() {
        world.user("ada", Some(PASSWORD)).await;
        let create = || CreateSession { room: world.room.clone(), replaces: None };
        let list = async |credential: Credential| {
            world.by(credential, ListSessions { room: world.room.clone(), of: None }).await.unwrap().len()
        };
        let token = world.mint(world.basic("ada", PASSWORD), crate::TokenWish::default()).await.unwrap();
        world.by(bearer(&token.secret), create()).await.unwrap();
        assert_eq!(list(world.basic("ada", PASSWORD)).await, 1);
        let revoke = crate::ops::tokens::RevokeToken { room: world.room.clone(), token: Some(token.token.id.clone()) };
        world.by(world.basic("ada", PASSWORD), revoke).await.unwrap();
        assert_eq!(list(world.basic("ada", PASSWORD)).await, 0, "its token is revoked");
        world.by(world.basic("ada", PASSWORD), create()).await.unwrap();
        assert_eq!(list(world.basic("ada", PASSWORD)).await, 1);
        world.clock.advance_secs(3_600 + 121);
        assert_eq!(list(world.basic("ada", PASSWORD)).await, 0, "it was idle for too long");
    }
}
