//! Command lines that a browser on their own machine logs in.

use gate::{Credential, ShownCode};
use kernel::{Kind, Secret};

use super::{PASSWORD, World, bearer, secret, worlds};
use crate::factors::loopback::CODE_SECONDS;
use crate::ops::accounts::DisableUser;
use crate::ops::command_line::{AgreeToDevice, AgreeToLoopback, COMMAND_LINE_TOKEN_SECONDS, DenyDevice};
use crate::ops::federation::ExchangeToken;
use crate::ops::sessions::CreateSession;
use crate::{
    Challenge, DENIED, DEVICE_SECONDS, EXPIRED, Exchanged, Loopback, MintedToken, PENDING, SLOW_DOWN, device_word,
    new_device_secret, new_verifier, user_code,
};

const URI: &str = "http://127.0.0.1:50123/callback";

/// A code that `name` agreed to, and what belongs to it.
struct Agreed {
    code: Secret,
    verifier: Secret,
}

impl Agreed {
    fn shown(&self) -> Credential {
        self.shown_with(&self.verifier, URI)
    }

    fn shown_with(&self, verifier: &Secret, redirect_uri: &str) -> Credential {
        let (code, verifier) = (self.code.clone(), verifier.clone());
        Credential::Code(Box::new(ShownCode { code, verifier, redirect_uri: redirect_uri.to_owned() }))
    }
}

impl World {
    async fn agree(&self, name: &str) -> Agreed {
        let form = Credential::LogIn { username: self.text(name), password: secret(PASSWORD), code: None };
        let session = self.by(form, CreateSession { room: self.room.clone(), replaces: None }).await.unwrap();
        let verifier = new_verifier();
        let agree = self.agreement(&verifier);
        let code = self.by(Credential::Session(session.secret), agree).await.unwrap();
        Agreed { code, verifier }
    }

    fn agreement(&self, verifier: &Secret) -> AgreeToLoopback {
        let (challenge, address) = (Challenge::of(verifier).unwrap(), Loopback::parse(URI).unwrap());
        AgreeToLoopback { room: self.room.clone(), challenge, address }
    }

    async fn exchange(&self, credential: Credential) -> Result<MintedToken, Kind> {
        match self.by(credential, ExchangeToken { room: self.room.clone(), scopes: Vec::new() }).await {
            Ok(Exchanged::Minted(minted)) => Ok(*minted),
            Ok(Exchanged::UsedBefore) => Err(Kind::Conflict),
            Err(problem) => Err(problem.kind()),
        }
    }
}

#[tokio::test]
async fn a_code_and_its_verifier_are_worth_a_token_once_and_a_second_time_end_it() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let agreed = world.agree("ada").await;
        let wrong = agreed.shown_with(&new_verifier(), URI);
        assert!(world.is_refused(wrong).await);
        assert!(world.is_refused(agreed.shown_with(&agreed.verifier, "http://127.0.0.1:50124/callback")).await);
        assert!(world.is_refused(bearer(&agreed.code)).await, "a code opens nothing by itself");
        let minted = world.exchange(agreed.shown()).await.unwrap();
        assert_eq!(minted.token.expires_at, minted.token.created_at.plus_secs(COMMAND_LINE_TOKEN_SECONDS));
        assert_eq!(world.who(bearer(&minted.secret)).await.unwrap().id, ada.id);

        world.clock.advance_secs(3_600);
        assert!(world.is_refused(agreed.shown_with(&new_verifier(), URI)).await, "the code alone ends nothing");
        assert!(world.who(bearer(&minted.secret)).await.is_ok());
        assert_eq!(world.exchange(agreed.shown()).await.unwrap_err(), Kind::Conflict);
        assert!(world.is_refused(bearer(&minted.secret)).await, "whoever came first may have been the thief");
        world.clock.advance_secs(COMMAND_LINE_TOKEN_SECONDS);
        assert!(world.is_refused(agreed.shown()).await);
    }
}

#[tokio::test]
async fn who_waits_for_an_agreement_guesses_nothing() {
    for world in worlds() {
        let problem = world.who(Credential::Device(crate::new_device_secret())).await.unwrap_err();
        let source = std::error::Error::source(&problem);
        assert!(problem.message() == crate::PENDING && source.is_some_and(|source| source.is::<gate::Awaited>()));
        let problem = world.who(Credential::Device(secret("sr_dev_x"))).await.unwrap_err();
        assert!(problem.message() != crate::PENDING && std::error::Error::source(&problem).is_none());
    }
}

#[tokio::test]
async fn what_a_person_decided_is_told_at_once_and_a_code_serves_once() {
    for world in worlds() {
        world.user("ada", Some(PASSWORD)).await;
        let form = Credential::LogIn { username: world.text("ada"), password: secret(PASSWORD), code: None };
        let session = world.by(form, CreateSession { room: world.room.clone(), replaces: None }).await.unwrap().secret;
        let shown = |secret: &Secret| Credential::Device(secret.clone());
        let told = async |secret: &Secret| {
            let refused = world.who(shown(secret)).await.err();
            refused.and_then(|problem| device_word(problem.message()))
        };
        let agree = async |secret: &Secret| {
            let agree = AgreeToDevice { room: world.room.clone(), code: user_code(secret).unwrap() };
            world.by(Credential::Session(session.clone()), agree).await.map_err(|problem| problem.kind())
        };
        let deny = async |secret: &Secret| {
            let deny = DenyDevice { room: world.room.clone(), code: user_code(secret).unwrap() };
            world.by(Credential::Session(session.clone()), deny).await.map_err(|problem| problem.kind())
        };
        let [denied, agreed, late, lonely, hasty] = std::array::from_fn(|_| new_device_secret());
        let twice = Err(Kind::AlreadyExists);
        assert_eq!(told(&denied).await, Some(PENDING));
        deny(&denied).await.unwrap();
        assert_eq!(told(&denied).await, Some(DENIED));
        assert_eq!((agree(&denied).await, deny(&denied).await), (twice, twice));

        assert_eq!(told(&hasty).await, Some(PENDING));
        assert_eq!(told(&hasty).await, Some(SLOW_DOWN));
        agree(&hasty).await.unwrap();
        world.exchange(shown(&hasty)).await.unwrap();

        agree(&agreed).await.unwrap();
        world.exchange(shown(&agreed)).await.unwrap();
        assert!(world.is_refused(shown(&agreed)).await && told(&agreed).await.is_none());
        assert_eq!((agree(&agreed).await, deny(&agreed).await), (twice, twice));
        assert!(world.exchange(shown(&agreed)).await.is_err());

        agree(&late).await.unwrap();
        assert_eq!(told(&lonely).await, Some(PENDING));
        world.clock.advance_secs(DEVICE_SECONDS);
        assert_eq!((told(&late).await, told(&lonely).await), (Some(EXPIRED), Some(EXPIRED)));
        assert_eq!((agree(&late).await, agree(&lonely).await), (twice, Err(Kind::Invalid)));
        assert!(world.exchange(shown(&late)).await.is_err());
    }
}

#[tokio::test]
async fn two_who_show_a_code_at_the_same_moment_are_left_with_nothing() {
    for world in worlds() {
        world.user("ada", Some(PASSWORD)).await;
        let agreed = world.agree("ada").await;
        let (one, two) = tokio::join!(world.exchange(agreed.shown()), world.exchange(agreed.shown()));
        let (first, second) = if one.is_ok() { (one, two) } else { (two, one) };
        assert_eq!(second.unwrap_err(), Kind::Conflict);
        assert!(world.is_refused(bearer(&first.unwrap().secret)).await);
    }
}

#[tokio::test]
async fn a_code_is_over_after_a_minute_and_with_its_account() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let late = world.agree("ada").await;
        world.clock.advance_secs(CODE_SECONDS);
        assert!(world.is_refused(late.shown()).await);
        let agreed = world.agree("ada").await;
        world.by_job(DisableUser { room: world.room.clone(), user: ada.name.clone() }).await.unwrap();
        assert!(world.is_refused(agreed.shown()).await);
    }
}

#[tokio::test]
async fn with_a_token_nobody_agrees_to_a_longer_one() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let token = world.token_for(&ada).await;
        let opened = world.by(bearer(&token.secret), CreateSession { room: world.room.clone(), replaces: None }).await.unwrap();
        for credential in [bearer(&token.secret), Credential::Session(opened.secret.clone())] {
            let refused = world.by(credential, world.agreement(&new_verifier())).await.unwrap_err();
            assert_eq!(refused.kind(), Kind::Forbidden);
        }
    }
}

#[tokio::test]
async fn codes_of_one_person_are_bounded() {
    for world in worlds() {
        world.user("ada", Some(PASSWORD)).await;
        let form = || Credential::LogIn { username: world.text("ada"), password: secret(PASSWORD), code: None };
        let session = world.by(form(), CreateSession { room: world.room.clone(), replaces: None }).await.unwrap();
        let agree = || world.by(Credential::Session(session.secret.clone()), world.agreement(&new_verifier()));
        for _ in 0..100 {
            agree().await.unwrap();
        }
        assert_eq!(agree().await.unwrap_err().kind(), Kind::Invalid);
        world.clock.advance_secs(CODE_SECONDS);
        agree().await.unwrap();
    }
}
