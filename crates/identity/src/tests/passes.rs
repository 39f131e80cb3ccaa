//! A pass opens one thing, for as long as its holder may.

use gate::{Action, Attempt, Caller, CallerKind, Operation, Pass, Permit, Target};
use kernel::{Kind, Problem, Secret};

use super::{PASSWORD, World, bearer, secret, worlds};
use crate::PASS_SECONDS_MAX;
use crate::ops::accounts::{DisableUser, EnableUser};
use crate::ops::passwords::SetPassword;
use crate::ops::tokens::{CreateToken, RevokeAnyToken};
use crate::{TokenWish, parse_scopes};

/// The errand of these tests, and what is not one.
struct Errand;

impl Operation for Errand {
    const ACTION: Action = super::ERRAND;
    type Output = Caller;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Caller, Problem> {
        Ok(permit.caller().clone())
    }
}

fn pass() -> Pass {
    Pass { action: Errand::ACTION, subject: "this".to_owned() }
}

async fn pass_of(world: &World, with: gate::Credential) -> Secret {
    let caller = world.who(with).await.unwrap();
    world.room.pass(&caller, &pass(), kernel::Clock::now(&world.clock)).unwrap()
}

#[tokio::test]
async fn a_pass_is_its_holder_on_one_errand() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let wish = TokenWish { scopes: parse_scopes(["test.*"]).unwrap(), ..TokenWish::default() };
        let token = world.mint(world.basic("ada", PASSWORD), wish).await.unwrap();
        let held = pass_of(&world, bearer(&token.secret)).await;
        let known = world.by(bearer(&held), Errand).await.unwrap();
        assert_eq!((known.kind, &known.id, known.pass), (CallerKind::User, &ada.id, Some(pass())));
        let facts = known.token.unwrap();
        assert_eq!((facts.id, facts.scopes), (token.token.id, vec!["test.*".to_owned()]), "all that narrows the token stays");
        let by_password = pass_of(&world, world.basic("ada", PASSWORD)).await;
        let known = world.by(bearer(&by_password), Errand).await.unwrap();
        assert_eq!((&known.id, known.token, known.pass), (&ada.id, None, Some(pass())));
        for held in [held, by_password] {
            let more = CreateToken { room: world.room.clone(), wish: TokenWish::default() };
            assert_eq!(world.by(bearer(&held), more).await.map(|_| ()).unwrap_err().kind(), Kind::Forbidden);
            let caller = world.who(bearer(&held)).await.unwrap();
            assert!(world.room.pass(&caller, &pass(), kernel::Micros(0)).is_none(), "nor a pass for longer");
        }
    }
}

#[tokio::test]
async fn a_pass_ends_by_itself_and_with_what_it_was_made_of() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let token = world.token_for(&ada).await;
        let (held, by_password) =
            (pass_of(&world, bearer(&token.secret)).await, pass_of(&world, world.basic("ada", PASSWORD)).await);
        let both = [&held, &by_password];
        world.by_job(DisableUser { room: world.room.clone(), user: ada.id.clone() }).await.unwrap();
        for pass in both {
            assert!(world.is_refused(bearer(pass)).await, "disabled");
        }
        world.by_job(EnableUser { room: world.room.clone(), user: ada.id.clone() }).await.unwrap();
        for pass in both {
            world.who(bearer(pass)).await.unwrap();
        }
        world.by_job(RevokeAnyToken { room: world.room.clone(), token: token.token.id.clone() }).await.unwrap();
        assert!(world.is_refused(bearer(&held)).await, "revoked");
        world.who(bearer(&by_password)).await.unwrap();
        world.clock.advance_secs(1);
        let changed =
            SetPassword { room: world.room.clone(), user: ada.id.clone(), password: secret("another tulip umbrella gravel") };
        world.gate.call(Attempt::of_job(world.job_key.pass("bootstrap")), changed).await.unwrap();
        assert!(world.is_refused(bearer(&by_password)).await, "the password was changed");
        let fresh = pass_of(&world, world.basic("ada", "another tulip umbrella gravel")).await;
        world.clock.advance_secs(PASS_SECONDS_MAX - 1);
        world.who(bearer(&fresh)).await.unwrap();
        world.clock.advance_secs(1);
        assert!(world.is_refused(bearer(&fresh)).await, "too old");
        let mut forged = fresh.expose().to_vec();
        forged[9] ^= 1;
        assert!(world.is_refused(bearer(&Secret::new(forged))).await);
    }
}
