//! One-time codes, recovery codes, passkeys, and what they open.

use gate::{Assertion, Credential, Method};
use kernel::{Kind, Micros, Secret};

use super::{PASSWORD, World, bearer, secret, worlds};
use crate::factors::totp;
use crate::factors::webauthn::tests::SoftKey;
use crate::ops::command_line::AgreeToDevice;
use crate::ops::factors::{AddPasskey, ConfirmTotp, ListFactors, OfferTotp, RemoveFactor, RenewRecoveryCodes, ResetFactors};
use crate::ops::passwords::ChangeOwnPassword;
use crate::ops::sessions::{CreateSession, ListSessions};
use crate::{OpenedSession, RECOVERY_CODE_COUNT};

const HOST: &str = "a.example";
const ORIGIN: &str = "https://a.example:8443";

fn cookie(session: &OpenedSession) -> Credential {
    Credential::Session(session.secret.clone())
}

impl World {
    fn form(&self, name: &str, password: &str, code: &str) -> Credential {
        let code = Some(code).filter(|code| !code.is_empty()).map(secret);
        Credential::LogIn { username: self.text(name), password: secret(password), code }
    }

    fn create(&self) -> CreateSession {
        CreateSession { room: self.room.clone(), replaces: None }
    }

    /// The account `name` with one-time codes: its shared secret and its recovery codes.
    async fn with_totp(&self, name: &str) -> (Vec<u8>, Vec<Secret>) {
        self.user(name, Some(PASSWORD)).await;
        let session = self.by(self.form(name, PASSWORD, ""), self.create()).await.unwrap();
        let offer = OfferTotp { room: self.room.clone(), issuer: HOST.to_owned() };
        let offer = self.by(cookie(&session), offer).await.unwrap();
        let uri = offer.uri.expose_text().unwrap();
        assert!(uri.starts_with(&format!("otpauth://totp/{HOST}:{name}")), "{uri}");
        let seed = from_base32(offer.typed.expose_text().unwrap());
        let confirm = ConfirmTotp { room: self.room.clone(), code: self.code(&seed, 0) };
        let codes = self.by(cookie(&session), confirm).await.unwrap();
        (seed, codes)
    }

    /// The code of a step from now, as an app would show it.
    fn code(&self, seed: &[u8], steps: i64) -> Secret {
        let step = kernel::Clock::now(&self.clock).as_secs() / totp::STEP_S + steps;
        Secret::from(totp::code_at(&Secret::new(seed.to_vec()), step))
    }

    fn assertion(&self, key: &SoftKey) -> Credential {
        let begun = self.room.begin_log_in(kernel::Clock::now(&self.clock)).unwrap();
        let client_data = SoftKey::client_data("webauthn.get", &begun.challenge, ORIGIN);
        let (authenticator_data, signature) = key.sign(&client_data);
        Credential::Passkey(Box::new(Assertion {
            ceremony: begun.sealed,
            origin: ORIGIN.to_owned(),
            credential_id: key.id.clone(),
            client_data,
            authenticator_data,
            signature,
        }))
    }

    async fn add(&self, session: &OpenedSession, key: &SoftKey) -> Result<Vec<Secret>, kernel::Problem> {
        let (_, ceremony) = self.by(cookie(session), ListFactors { room: self.room.clone() }).await.unwrap();
        let add = AddPasskey {
            room: self.room.clone(),
            label: "phone".to_owned(),
            ceremony: ceremony.sealed,
            origin: ORIGIN.to_owned(),
            host: HOST.to_owned(),
            client_data: SoftKey::client_data("webauthn.create", &ceremony.challenge, ORIGIN),
            attestation_object: key.attestation_object(),
        };
        Ok(self.by(cookie(session), add).await?.1)
    }
}

/// RFC 4648, section 6.
fn from_base32(text: &str) -> Vec<u8> {
    let bits: Vec<u32> = text
        .bytes()
        .flat_map(|b| {
            let digit = u32::from(if b.is_ascii_alphabetic() { b - b'A' } else { b - b'2' + 26 });
            (0..5).rev().map(move |bit| (digit >> bit) & 1)
        })
        .collect();
    bits.chunks_exact(8).map(|byte| u8::try_from(byte.iter().fold(0, |value, bit| (value << 1) | bit)).unwrap()).collect()
}

#[tokio::test]
async fn a_password_alone_opens_nothing_any_more() {
    for world in worlds() {
        let (seed, codes) = world.with_totp("ada").await;
        assert_eq!(codes.len(), RECOVERY_CODE_COUNT);
        assert!(world.is_refused(world.basic("ada", PASSWORD)).await, "no program either");
        for code in ["", "000000x", "abcde-fghij-klmno-pqrst"] {
            assert!(world.is_refused(world.form("ada", PASSWORD, code)).await, "{code}");
        }
        world.clock.advance_secs(60);
        let code = world.code(&seed, 0);
        assert!(world.is_refused(world.form("ada", "another password", code.expose_text().unwrap())).await);
        let credential = || world.form("ada", PASSWORD, code.expose_text().unwrap());
        let who = world.who(credential()).await.unwrap();
        assert_eq!((who.assurance, who.proof.unwrap().method), (2, Method::Totp));
        let session = world.by(credential(), world.create()).await.unwrap();
        let who = world.who(cookie(&session)).await.unwrap();
        assert_eq!((who.assurance, who.proof.as_ref().unwrap().method), (2, Method::Totp));
        assert_eq!(who.proof.unwrap().at, session.session.created_at);
        let listed = world.by(cookie(&session), ListSessions { room: world.room.clone(), of: None }).await.unwrap();
        assert!(listed.iter().any(|row| row.current && row.method == Method::Totp && row.assurance == 2));
    }
}

#[tokio::test]
async fn what_counts_once_counts_once() {
    for world in worlds() {
        let (seed, codes) = world.with_totp("ada").await;
        world.clock.advance_secs(60);
        let code = world.code(&seed, 0);
        let by_code = || world.by(world.form("ada", PASSWORD, code.expose_text().unwrap()), world.create());
        // At the same moment: both are told right or wrong by what the first one leaves.
        let (one, two) = tokio::join!(by_code(), by_code());
        assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|good| **good).count(), 1);
        assert_eq!(by_code().await.unwrap_err().kind(), Kind::Unauthenticated);
        let spare = codes[3].expose_text().unwrap();
        let by_spare = || world.by(world.form("ada", PASSWORD, spare), world.create());
        let (one, two) = tokio::join!(by_spare(), by_spare());
        assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|good| **good).count(), 1);
        assert_eq!(by_spare().await.unwrap_err().kind(), Kind::Unauthenticated);
        let session = by_spare().await.err().map(|_| codes[4].expose_text().unwrap()).unwrap();
        let session = world.by(world.form("ada", PASSWORD, session), world.create()).await.unwrap();
        let (factors, _) = world.by(cookie(&session), ListFactors { room: world.room.clone() }).await.unwrap();
        assert_eq!(factors.recovery_codes_left, 8);
        let renewed = world.by(cookie(&session), RenewRecoveryCodes { room: world.room.clone() }).await.unwrap();
        assert!(world.is_refused(world.form("ada", PASSWORD, codes[5].expose_text().unwrap())).await);
        assert!(world.who(world.form("ada", PASSWORD, renewed[0].expose_text().unwrap())).await.is_ok());
    }
}

#[tokio::test]
async fn a_passkey_opens_a_session_and_every_answer_counts_once() {
    for (number, world) in worlds().into_iter().enumerate() {
        world.user("ada", Some(PASSWORD)).await;
        let first = world.by(world.form("ada", PASSWORD, ""), world.create()).await.unwrap();
        let mut key = SoftKey::new(format!("key {number} {}", world.text("of")).as_bytes(), HOST);
        assert_eq!(world.add(&first, &key).await.unwrap().len(), RECOVERY_CODE_COUNT);
        assert_eq!(world.add(&first, &key).await.unwrap_err().kind(), Kind::AlreadyExists);
        key.count = 2;
        let answer = || world.assertion(&key);
        let who = world.who(answer()).await.unwrap();
        assert_eq!((who.assurance, who.proof.unwrap().method), (2, Method::Passkey));
        let Credential::Passkey(kept) = answer() else { panic!() };
        let copy = || {
            Credential::Passkey(Box::new(Assertion {
                ceremony: kept.ceremony.clone(),
                origin: kept.origin.clone(),
                credential_id: kept.credential_id.clone(),
                client_data: kept.client_data.clone(),
                authenticator_data: kept.authenticator_data.clone(),
                signature: kept.signature.clone(),
            }))
        };
        let opened = world.by(copy(), world.create()).await.unwrap();
        assert_eq!(world.who(cookie(&opened)).await.unwrap().proof.unwrap().method, Method::Passkey);
        assert_eq!(world.by(copy(), world.create()).await.unwrap_err().kind(), Kind::Unauthenticated, "the same answer again");
        assert!(world.is_refused(answer()).await, "a counter that stands still is a copied key");
        key.count = 3;
        let late = world.assertion(&key);
        world.clock.advance_secs(400);
        assert!(world.is_refused(late).await, "too late");
        let other = SoftKey { id: key.id.clone(), ..SoftKey::new(b"", HOST) };
        assert!(world.is_refused(world.assertion(&other)).await, "another key of the same name");
        // A step-up takes the old session's place.
        key.count = 9;
        let step_up = CreateSession { room: world.room.clone(), replaces: Some(opened.secret.clone()) };
        let fresh = world.by(world.assertion(&key), step_up).await.unwrap();
        assert!(world.is_refused(cookie(&opened)).await);
        assert!(world.who(cookie(&fresh)).await.is_ok());
    }
}

#[tokio::test]
async fn only_a_session_of_ones_own_changes_what_opens_the_account() {
    for world in worlds() {
        let (_, codes) = world.with_totp("ada").await;
        let bob = world.user("bob", Some(PASSWORD)).await;
        let token = world.token_for(&bob).await;
        let offer = || OfferTotp { room: world.room.clone(), issuer: HOST.to_owned() };
        assert_eq!(world.by(bearer(&token.secret), offer()).await.unwrap_err().kind(), Kind::Forbidden);
        let opened = world.by(bearer(&token.secret), world.create()).await.unwrap();
        let opened = world.by(cookie(&opened), world.create()).await.unwrap();
        // Nor is a session anything else than the token that opened it.
        assert_eq!(world.by(cookie(&opened), offer()).await.unwrap_err().kind(), Kind::Forbidden);
        let key = SoftKey::new(world.text("thief").as_bytes(), HOST);
        assert_eq!(world.add(&opened, &key).await.unwrap_err().kind(), Kind::Forbidden);
        let renew = RenewRecoveryCodes { room: world.room.clone() };
        assert_eq!(world.by(cookie(&opened), renew).await.unwrap_err().kind(), Kind::Forbidden);
        let code = crate::user_code(&crate::new_device_secret()).unwrap();
        let agree = || AgreeToDevice { room: world.room.clone(), code: code.clone() };
        assert_eq!(world.by(cookie(&opened), agree()).await.unwrap_err().kind(), Kind::Forbidden);
        let session = world.by(world.form("bob", PASSWORD, ""), world.create()).await.unwrap();
        world.by(cookie(&session), offer()).await.unwrap();
        world.by(cookie(&session), agree()).await.unwrap();
        assert!(world.who(world.basic("bob", PASSWORD)).await.is_ok(), "what is not confirmed counts for nothing");
        let wrong = ConfirmTotp { room: world.room.clone(), code: secret("00000") };
        assert_eq!(world.by(cookie(&session), wrong).await.unwrap_err().kind(), Kind::Invalid);
        // An administrator takes it all away; nobody does so for themself.
        let reset = |user: &str| ResetFactors { room: world.room.clone(), user: user.to_owned() };
        let ada = world.by(world.form("ada", PASSWORD, codes[0].expose_text().unwrap()), world.create()).await.unwrap();
        let own = world.text("ada");
        assert_eq!(world.by(cookie(&ada), reset(&own)).await.unwrap_err().kind(), Kind::Invalid);
        world.by(cookie(&session), reset(&own)).await.unwrap();
        assert!(world.is_refused(cookie(&ada)).await);
        assert!(world.who(world.basic("ada", PASSWORD)).await.is_ok());
    }
}

#[tokio::test]
async fn the_first_token_sets_its_account_up_once() {
    for world in worlds() {
        let ada = world.user("ada", None).await;
        let token = world.token_for(&ada).await;
        let opened = world.by(bearer(&token.secret), world.create()).await.unwrap();
        let key = SoftKey::new(world.text("first").as_bytes(), HOST);
        assert_eq!(world.add(&opened, &key).await.unwrap().len(), RECOVERY_CODE_COUNT);
        let other = SoftKey::new(world.text("second").as_bytes(), HOST);
        assert_eq!(world.add(&opened, &other).await.unwrap_err().kind(), Kind::Forbidden, "now the passkey opens the account");
        let bob = world.user("bob", None).await;
        let first = world.token_for(&bob).await;
        let minted = world.mint(bearer(&first.secret), crate::TokenWish::default()).await.unwrap();
        let set = |secret: &Secret| {
            let change = ChangeOwnPassword { room: world.room.clone(), current: None, new: super::secret(PASSWORD) };
            world.by(bearer(secret), change)
        };
        assert_eq!(set(&minted.secret).await.unwrap_err().kind(), Kind::Forbidden, "no other token is the account");
        set(&first.secret).await.unwrap();
    }
}

#[tokio::test]
async fn an_answered_challenge_is_known_to_every_node_and_after_a_start() {
    for world in worlds() {
        world.user("ada", Some(PASSWORD)).await;
        let first = world.by(world.form("ada", PASSWORD, ""), world.create()).await.unwrap();
        // A synced key: its counter stands at 0.
        let key = SoftKey { count: 0, ..SoftKey::new(world.text("synced").as_bytes(), HOST) };
        world.add(&first, &key).await.unwrap();
        let Credential::Passkey(answer) = world.assertion(&key) else { panic!() };
        let copy = Assertion {
            ceremony: answer.ceremony.clone(),
            origin: answer.origin.clone(),
            credential_id: answer.credential_id.clone(),
            client_data: answer.client_data.clone(),
            authenticator_data: answer.authenticator_data.clone(),
            signature: answer.signature.clone(),
        };
        world.by(Credential::Passkey(answer), world.create()).await.unwrap();
        // The same database and keys, another process.
        let passes = crate::Passes::new(&secret("the key of passes"), &[super::ERRAND]);
        let room = crate::Identity::with_passes(world.opened.db.clone(), crate::IdentityConfig::default(), passes).unwrap();
        let create = CreateSession { room, replaces: None };
        let again = world.by(Credential::Passkey(Box::new(copy)), create).await.unwrap_err();
        assert_eq!(again.kind(), Kind::Unauthenticated);
    }
}

#[tokio::test]
async fn the_last_factor_takes_the_recovery_codes_along() {
    for world in worlds() {
        let (seed, codes) = world.with_totp("ada").await;
        world.clock.advance_secs(60);
        let code = world.code(&seed, 0);
        let session = world.by(world.form("ada", PASSWORD, code.expose_text().unwrap()), world.create()).await.unwrap();
        let other = world.by(world.form("ada", PASSWORD, codes[0].expose_text().unwrap()), world.create()).await.unwrap();
        world.who(cookie(&other)).await.unwrap();
        let remove = |factor: &str| RemoveFactor { room: world.room.clone(), factor: factor.to_owned() };
        assert_eq!(world.by(cookie(&session), remove("key_none")).await.unwrap_err().kind(), Kind::NotFound);
        world.by(cookie(&session), remove("totp")).await.unwrap();
        assert!(world.who(cookie(&other)).await.is_err(), "what was begun elsewhere ends, whoever began it");
        let (factors, _) = world.by(cookie(&session), ListFactors { room: world.room.clone() }).await.unwrap();
        assert_eq!((factors.totp_since, factors.recovery_codes_left), (None::<Micros>, 0));
        assert!(world.who(world.form("ada", PASSWORD, "")).await.is_ok());
    }
}

/// Knows one device of one account, as far as it is trusted at the moment.
struct OneDevice {
    principal_id: String,
    tier: std::sync::atomic::AtomicU8,
}

impl crate::KnowDevices for OneDevice {
    fn device<'a>(
        &'a self,
        _: &'a [u8; 32],
        _: Micros,
    ) -> gate::BoxFuture<'a, Result<Option<crate::KnownDevice>, kernel::Problem>> {
        let tier = self.tier.load(std::sync::atomic::Ordering::Relaxed);
        let known = crate::KnownDevice { id: "dev_1".to_owned(), principal_id: self.principal_id.clone(), tier };
        Box::pin(async move { Ok(Some(known)) })
    }

    fn leave<'a>(&'a self, _: &'a Secret, _: Micros) -> gate::BoxFuture<'a, Result<Option<crate::KnownLeave>, kernel::Problem>> {
        Box::pin(async { Ok(None) })
    }

    fn end_all(&self, _: &mut vault::db::Writer<'_>, _: &str, _: &str, _: Micros) -> Result<u64, kernel::Problem> {
        Ok(0)
    }
}

#[tokio::test]
async fn a_passkey_on_a_device_with_an_attested_key_is_the_third_level_while_the_device_is() {
    for world in worlds() {
        let ada = world.user("ada", Some(PASSWORD)).await;
        let first = world.by(world.form("ada", PASSWORD, ""), world.create()).await.unwrap();
        // Like most, it has no counter.
        let key = SoftKey { count: 0, ..SoftKey::new(world.text("hardware").as_bytes(), HOST) };
        world.add(&first, &key).await.unwrap();
        let device = std::sync::Arc::new(OneDevice { principal_id: ada.id, tier: 3.into() });
        world.room.set_devices(std::sync::Arc::clone(&device) as _);
        let from_device =
            |credential: Credential| gate::Attempt { client_certificate: Some([7; 32]), ..super::attempt(credential) };
        assert_eq!(world.who(world.assertion(&key)).await.unwrap().assurance, 2, "from anywhere else it is the second");
        let opened = world.gate.call(from_device(world.assertion(&key)), world.create()).await.unwrap();
        assert_eq!(opened.session.assurance, 3);
        let assurance = async || {
            let attempt = from_device(cookie(&opened));
            gate::Identify::identify(&*world.port, &attempt).await.unwrap().assurance
        };
        assert_eq!(assurance().await, 3);
        device.tier.store(2, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(assurance().await, 2, "it stopped to report");
        device.tier.store(3, std::sync::atomic::Ordering::Relaxed);
        world.clock.advance_secs(15 * 60 + 1);
        let idle = gate::Identify::identify(&*world.port, &from_device(cookie(&opened))).await;
        assert_eq!(idle.unwrap_err().kind(), Kind::Unauthenticated, "it ends sooner when idle");
    }
}
