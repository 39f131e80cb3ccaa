//! Who is let in, and what refusals cost and say.

use gate::{CallerKind, Credential, Identify};
use kernel::{Kind, Secret};

use super::{PASSWORD, bearer, secret, worlds};
use crate::ops::accounts::{DeleteUser, DisableUser, EnableUser};
use crate::ops::passwords::{ChangeOwnPassword, SetPassword};
use crate::ops::tokens::{RevokeAnyToken, RevokeToken};
use crate::secret_text::{SecretKind, mint};

#[tokio::test]
async fn a_token_opens_the_door_as_bearer_and_as_password() {
    for world in worlds() {
        let ada = world.user("ada", None).await;
        let token = world.token_for(&ada).await;
        let with_any_name = Credential::Basic { username: "x".to_owned(), password: token.secret.clone() };
        for credential in [bearer(&token.secret), with_any_name] {
            let caller = world.who(credential).await.unwrap();
            assert_eq!((caller.kind, &caller.id, &caller.name), (CallerKind::User, &ada.id, &ada.name));
            assert_eq!(caller.token.unwrap().id, token.token.id);
        }
        assert_eq!(world.who(Credential::None).await.unwrap().kind, CallerKind::Anonymous);
    }
}

#[tokio::test]
async fn every_refusal_reads_the_same() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let (ended, revoked) = (world.token_for(&ada).await, world.token_for(&ada).await);
        world.by_job(RevokeAnyToken { room: world.room.clone(), token: revoked.token.id.clone() }).await.unwrap();
        world.clock.advance_secs(31 * 86_400);
        world.user("bob", None).await;
        let mut long = secret(&"x".repeat(100_000));
        let mut texts = Vec::new();
        for credential in [
            Credential::Malformed,
            bearer(&secret("")),
            bearer(&secret("sr_pat_short")),
            bearer(&mint(SecretKind::Personal)),
            bearer(&mint(SecretKind::Session)),
            bearer(&ended.secret),
            bearer(&revoked.secret),
            Credential::Session(mint(SecretKind::Session)),
            Credential::Session(mint(SecretKind::Personal)),
            world.basic("ada", "wrong"),
            world.basic("bob", PASSWORD),
            world.basic("nobody", PASSWORD),
            Credential::Basic {
                username: "ä/../\0".repeat(100),
                password: std::mem::replace(&mut long, Secret::new(Vec::new())),
            },
            Credential::Basic { username: String::new(), password: Secret::new(vec![0xff, 0xfe]) },
        ] {
            let problem = world.who(credential).await.unwrap_err();
            assert_eq!(problem.kind(), Kind::Unauthenticated);
            texts.push(problem.message().to_owned());
        }
        assert!(texts[0].starts_with("You are not authenticated."));
        texts.dedup();
        assert_eq!(texts.len(), 1);
    }
}

/// Lets nobody in from one place, and counts how often it was asked.
struct Guard(std::sync::atomic::AtomicUsize);

impl crate::WatchLogIns for Guard {
    fn judge<'a>(&'a self, shown: &'a crate::Shown) -> gate::BoxFuture<'a, Result<u8, kernel::Problem>> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let is_barred = shown.address == BARRED;
        Box::pin(async move { if is_barred { Err(crate::port::refused()) } else { Ok(HELD) } })
    }

    fn began<'a>(&'a self, _: &'a crate::Shown, _: &'a str) -> gate::BoxFuture<'a, Secret> {
        Box::pin(async { Secret::new(Vec::new()) })
    }

    fn succeeded<'a>(&'a self, _: &'a str, _: &'a str) -> gate::BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn knows_browser(&self, _: &gate::Attempt, _: &str) -> bool {
        false
    }

    fn failed(&self, _: std::net::IpAddr, _: &str, _: kernel::Micros) {}

    fn is_leaked(&self, _: &Secret) -> Result<bool, kernel::Problem> {
        Ok(false)
    }
}

/// What it holds against whomever it lets in.
const HELD: u8 = 95;
const BARRED: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

#[tokio::test]
async fn a_password_that_comes_with_a_request_is_judged_as_one_in_a_form_is() {
    for world in worlds() {
        world.user("ada", Some(PASSWORD)).await;
        let guard = std::sync::Arc::new(Guard(0.into()));
        world.room.set_watch(std::sync::Arc::clone(&guard) as _);
        let asked = || guard.0.load(std::sync::atomic::Ordering::Relaxed);
        for _ in 0..3 {
            let caller = world.who(world.basic("ada", PASSWORD)).await.unwrap();
            assert_eq!(caller.log_in_risk, HELD, "each request bears it");
        }
        assert_eq!(asked(), 1, "from there and that client it is known");
        // What is begun with it bears it too, and a new secret for it is no way out.
        let create = || crate::ops::sessions::CreateSession { room: world.room.clone(), replaces: None };
        let first = world.by(world.basic("ada", PASSWORD), create()).await.unwrap();
        let second = world.by(Credential::Session(first.secret), create()).await.unwrap();
        assert_eq!(world.who(Credential::Session(second.secret)).await.unwrap().log_in_risk, HELD);
        let there = gate::Attempt { address: BARRED, ..super::attempt(world.basic("ada", PASSWORD)) };
        for _ in 0..2 {
            assert_eq!(world.port.identify(&there).await.unwrap_err().kind(), Kind::Unauthenticated);
        }
        assert_eq!(asked(), 3);
        world.clock.advance_secs(901);
        world.who(world.basic("ada", PASSWORD)).await.unwrap();
        assert_eq!(asked(), 4);
    }
}

#[tokio::test]
async fn the_log_learns_whose_password_was_wrong_and_nobody_else_does() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let form = |name: &str| Credential::LogIn { username: world.text(name), password: secret("wrong"), code: None };
        let aimed_at = async |credential: Credential| {
            let problem = world.who(credential).await.unwrap_err();
            let guessed = std::error::Error::source(&problem).and_then(|source| source.downcast_ref::<gate::Guessed>().cloned());
            (guessed.map(|guessed| guessed.account), problem.message().to_owned())
        };
        let (one, message) = aimed_at(world.basic("ada", "wrong")).await;
        assert_eq!(one.as_deref(), Some(ada.id.as_str()));
        assert_eq!(aimed_at(form("ada")).await, (one, message.clone()));
        assert_eq!(aimed_at(form("nobody")).await, (None, message.clone()));
        assert_eq!(aimed_at(bearer(&mint(SecretKind::Personal))).await, (None, message));
    }
}

#[tokio::test]
async fn an_unknown_user_costs_a_hash_too() {
    for world in worlds() {
        world.user("ada", Some(PASSWORD)).await;
        world.user("bob", None).await;
        world.user("cy", Some(PASSWORD)).await;
        world.by_job(DisableUser { room: world.room.clone(), user: world.text("cy") }).await.unwrap();
        for (name, password) in [("ada", "wrong"), ("bob", "wrong"), ("nobody", "wrong"), ("cy", PASSWORD), ("", "")] {
            let before = world.room.password_hash_count();
            assert!(world.is_refused(world.basic(name, password)).await, "{name}");
            assert_eq!(world.room.password_hash_count(), before + 1, "{name}");
        }
    }
}

#[tokio::test]
async fn a_wrong_checksum_asks_no_database() {
    for world in worlds() {
        let ada = world.user("ada", None).await;
        let token = world.token_for(&ada).await;
        let mut wrong = token.secret.expose().to_vec();
        let last = wrong.last_mut().unwrap();
        *last = if *last == b'0' { b'1' } else { b'0' };
        let before = world.port.lookup_count();
        assert!(world.is_refused(Credential::Bearer(Secret::new(wrong))).await);
        assert_eq!(world.port.lookup_count(), before);
        assert!(world.is_refused(bearer(&mint(SecretKind::Personal))).await);
        assert_eq!(world.port.lookup_count(), before + 1);
    }
}

#[tokio::test]
async fn a_good_token_is_remembered_for_half_a_second_and_a_revoked_one_not_at_all() {
    for world in worlds() {
        let ada = world.user("ada", None).await;
        let token = world.token_for(&ada).await;
        for _ in 0..3 {
            world.who(bearer(&token.secret)).await.unwrap();
        }
        assert_eq!(world.port.lookup_count(), 1);
        world.clock.advance_secs(1);
        world.who(bearer(&token.secret)).await.unwrap();
        assert_eq!(world.port.lookup_count(), 2);
        let revoke = RevokeToken { room: world.room.clone(), token: None };
        assert_eq!(world.by(bearer(&token.secret), revoke).await.unwrap(), 1);
        assert!(world.is_refused(bearer(&token.secret)).await);
    }
}

#[tokio::test]
async fn another_servers_revocation_is_seen_within_a_second() {
    for world in worlds() {
        let ada = world.user("ada", None).await;
        let token = world.token_for(&ada).await;
        world.who(bearer(&token.secret)).await.unwrap();
        let id = token.token.id.clone();
        let behind_our_back = world
            .opened
            .system
            .write(move |tx| Ok(tx.execute("UPDATE token SET revoked_at = 1 WHERE id = $1", &[(&id).into()])?));
        assert_eq!(behind_our_back.await.unwrap(), 1);
        world.clock.advance_secs(1);
        assert!(world.is_refused(bearer(&token.secret)).await);
    }
}

#[tokio::test]
async fn a_verified_password_is_remembered_for_a_minute_and_not_past_a_change() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let before = world.room.password_hash_count();
        for seconds in [0, 0, 20, 20] {
            world.clock.advance_secs(seconds);
            assert_eq!(world.who(world.basic("ADA", PASSWORD)).await.unwrap().id, ada.id);
        }
        assert_eq!(world.room.password_hash_count(), before + 1);
        assert!(world.is_refused(world.basic("ada", "wrong")).await);
        world.clock.advance_secs(40);
        world.who(world.basic("ada", PASSWORD)).await.unwrap();
        assert_eq!(world.room.password_hash_count(), before + 3);
        let other = "kettle moss over eleven";
        world.by_job(SetPassword { room: world.room.clone(), user: ada.id.clone(), password: secret(other) }).await.unwrap();
        assert!(world.is_refused(world.basic("ada", PASSWORD)).await);
        world.who(world.basic("ada", other)).await.unwrap();
    }
}

#[tokio::test]
async fn who_is_disabled_or_deleted_is_out_at_once_with_every_credential() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let token = world.token_for(&ada).await;
        let both = || [bearer(&token.secret), world.basic("ada", PASSWORD)];
        for credential in both() {
            world.who(credential).await.unwrap();
        }
        world.by_job(DisableUser { room: world.room.clone(), user: ada.id.clone() }).await.unwrap();
        for credential in both() {
            assert!(world.is_refused(credential).await);
        }
        world.by_job(EnableUser { room: world.room.clone(), user: ada.id.clone() }).await.unwrap();
        for credential in both() {
            world.who(credential).await.unwrap();
        }
        world.by_job(DeleteUser { room: world.room.clone(), user: ada.name.clone() }).await.unwrap();
        for credential in both() {
            assert!(world.is_refused(credential).await);
        }
        let again = world.user("ada", None).await;
        assert_ne!(again.id, ada.id);
        assert!(world.is_refused(bearer(&token.secret)).await);
    }
}

#[tokio::test]
async fn ones_own_password_needs_the_current_one() {
    for world in worlds() {
        let ada = world.user("ada", None).await;
        let token = world.token_for(&ada).await;
        let change = |current: Option<&str>, new: &str| ChangeOwnPassword {
            room: world.room.clone(),
            current: current.map(secret),
            new: secret(new),
        };
        assert_eq!(world.by(bearer(&token.secret), change(None, "short")).await.unwrap_err().kind(), Kind::Invalid);
        world.by(bearer(&token.secret), change(None, PASSWORD)).await.unwrap();
        // From now on the token alone cannot change it: whoever stole the token does not get the account.
        let other = "kettle moss over eleven";
        let stolen = world.by(bearer(&token.secret), change(Some(PASSWORD), other)).await.unwrap_err();
        assert_eq!(stolen.kind(), Kind::Forbidden);
        assert!(world.by(world.basic("ada", PASSWORD), change(None, other)).await.is_err());
        for _ in 0..4 {
            let wrong = world.by(world.basic("ada", PASSWORD), change(Some("wrong"), other)).await.unwrap_err();
            assert_eq!(wrong.kind(), Kind::Forbidden);
        }
        world.by(world.basic("ada", PASSWORD), change(Some(PASSWORD), other)).await.unwrap();
        assert!(world.is_refused(world.basic("ada", PASSWORD)).await);
        for _ in 0..5 {
            world.by(world.basic("ada", other), change(Some("wrong"), PASSWORD)).await.unwrap_err();
        }
        let locked = world.by(world.basic("ada", other), change(Some(other), PASSWORD)).await.unwrap_err();
        assert_eq!(locked.kind(), Kind::TooMany);
        world.clock.advance_secs(900);
        world.by(world.basic("ada", other), change(Some(other), PASSWORD)).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_token_was_used_for_is_written_down_by_the_day() {
    for world in worlds() {
        let ada = world.user("ada", None).await;
        let token = world.token_for(&ada).await;
        world.who(bearer(&token.secret)).await.unwrap();
        world.port.write_uses(&world.opened.system).await.unwrap();
        let list = crate::ops::tokens::ListTokens { room: world.room.clone(), of: None, page: crate::PageWish::default() };
        let listed = world.by(bearer(&token.secret), list).await.unwrap();
        assert_eq!(listed.rows[0].last_used_day, Some(1_800_000_000 / 86_400));
    }
}
