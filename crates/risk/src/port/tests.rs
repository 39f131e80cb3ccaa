use std::net::IpAddr;

use gate::{Assess, Attempt, Caller, CallerKind, Credential, DEFAULT_WORKSPACE, TokenFacts, Verdict};
use kernel::{FakeClock, Kind, Micros, Secret};

use super::*;
use crate::raised::Cause;

struct World {
    port: Assessor,
    clock: FakeClock,
}

const HOME: &str = "198.51.100.7";
const AWAY: &str = "203.0.113.9";

fn world() -> World {
    let clock = FakeClock::at(Micros(1_800_000_000_000_000));
    // In these tests a secret text is anything that begins with `sr_`.
    let is_secret_text: IsSecretText = |bytes| bytes.starts_with(b"sr_");
    let key = Secret::from("the key of browsers".to_owned());
    let config = (RiskConfig::default(), LimitsConfig::default());
    let port = Assessor::new(config, Arc::new(clock.clone()), is_secret_text, &key).unwrap();
    World { port, clock }
}

fn attempt(credential: Credential, address: &str) -> Attempt {
    Attempt {
        credential,
        address: address.parse::<IpAddr>().unwrap(),
        user_agent: None,
        workspace: DEFAULT_WORKSPACE.to_owned(),
        client_certificate: None,
        known_browser: None,
    }
}

fn basic(name: &str) -> Credential {
    Credential::Basic { username: name.to_owned(), password: Secret::from("wrong or right".to_owned()) }
}

fn bearer(text: &str) -> Credential {
    Credential::Bearer(Secret::from(text.to_owned()))
}

fn user(id: &str) -> Caller {
    Caller { kind: CallerKind::User, id: id.to_owned(), ..Caller::anonymous() }
}

impl World {
    /// One refused attempt; gives how long it was told to wait instead, if it did not get that far.
    fn fail(&self, credential: Credential, address: &str) -> Option<u64> {
        let attempt = attempt(credential, address);
        match self.port.may_knock(&attempt) {
            Ok(()) => {
                self.port.learn(&attempt, Verdict::Refused);
                None
            }
            Err(problem) => {
                assert_eq!(problem.kind(), Kind::TooMany);
                Some(problem.retry_after_hint().unwrap().as_secs())
            }
        }
    }

    fn pass(&self, credential: Credential, address: &str, id: &str) -> Result<Risk, Problem> {
        let attempt = attempt(credential, address);
        self.port.may_knock(&attempt)?;
        let caller = user(id);
        self.port.learn(&attempt, Verdict::Known(&caller));
        Ok(self.port.assess(&attempt, &caller))
    }
}

#[test]
fn an_account_is_locked_by_exponential_delay() {
    let world = world();
    let mut waits_s = Vec::new();
    for _ in 0..9 {
        while let Some(wait_s) = world.fail(basic("Ada"), HOME) {
            waits_s.push(wait_s);
            world.clock.advance_secs(i64::try_from(wait_s).unwrap());
        }
    }
    assert_eq!(waits_s, [1, 2, 4, 8]);
    // The case of the name makes no difference; another account in the same network is not locked.
    assert!(world.fail(basic("ADA"), HOME).is_some());
    assert!(world.pass(basic("bob"), "198.51.100.8", "u_bob").is_ok());
}

#[test]
fn success_after_the_wait_clears_the_lock_here() {
    let world = world();
    for _ in 0..5 {
        assert_eq!(world.fail(basic("ada"), HOME), None);
    }
    assert!(world.pass(basic("ada"), HOME, "u_ada").is_err());
    world.clock.advance_secs(1);
    assert!(world.pass(basic("ada"), HOME, "u_ada").is_ok());
    for _ in 0..4 {
        assert_eq!(world.fail(basic("ada"), HOME), None);
    }
    assert!(world.pass(basic("ada"), HOME, "u_ada").is_ok());
}

#[test]
fn nobody_locks_the_owner_out_by_failing_elsewhere() {
    let world = world();
    world.pass(basic("ada"), HOME, "u_ada").unwrap();
    for host in 0..60 {
        world.fail(basic("ada"), &format!("203.0.{host}.9"));
    }
    assert!(world.fail(basic("ada"), "192.0.2.1").is_some(), "a new network must wait");
    let risk = world.pass(basic("ada"), HOME, "u_ada").unwrap();
    assert!(risk.score > 0 && risk.score < 90 && risk.reasons.iter().any(|reason| reason == "failures_of_account"), "{risk:?}");
    assert_eq!(risk.locked_for, None);
}

#[test]
fn failures_of_a_name_do_not_touch_its_tokens() {
    let world = world();
    for _ in 0..40 {
        world.fail(basic("ada"), HOME);
    }
    assert!(world.pass(bearer("sr_good"), HOME, "u_ada").is_ok());
    let as_password = Credential::Basic { username: "ada".to_owned(), password: Secret::from("sr_good".to_owned()) };
    assert!(world.pass(as_password, HOME, "u_ada").is_ok());
}

#[test]
fn an_address_that_fails_with_many_names_is_slowed_down() {
    let world = world();
    let refused = (0..40).filter(|number| world.fail(basic(&format!("name{number}")), HOME).is_some()).count();
    assert_eq!(refused, 20);
    assert!(world.fail(bearer("guess"), HOME).is_some(), "guesses of any kind share the limit");
    assert!(world.fail(Credential::Malformed, HOME).is_some());
    assert_eq!(world.fail(basic("name1"), AWAY), None, "another address is free");
    world.clock.advance_secs(6);
    assert_eq!(world.fail(bearer("guess"), HOME), None);
    assert_eq!(world.fail(bearer("guess"), HOME), Some(6));
}

#[test]
fn dead_tokens_are_slowed_down_late_and_good_ones_beside_them_never() {
    let world = world();
    world.pass(bearer("sr_good"), HOME, "u_ada").unwrap();
    for _ in 0..1_000 {
        assert_eq!(world.fail(bearer("sr_revoked"), HOME), None);
    }
    assert!(world.fail(bearer("sr_revoked"), HOME).is_some());
    assert!(world.pass(bearer("sr_good"), HOME, "u_ada").is_ok());
    assert!(world.pass(basic("bob"), HOME, "u_bob").is_ok(), "passwords have a limit of their own");
}

/// What S3's clients, agents, platforms, passkeys and providers bring: nobody guesses it.
fn signed() -> [Credential; 5] {
    let by_key = gate::Signed {
        access_key: "SRK1".to_owned(),
        session_token: None,
        date: "20270115".to_owned(),
        region: "us-east-1".to_owned(),
        service: "s3".to_owned(),
        string_to_sign: String::new(),
        signature: [0; 32],
        signing_key: Arc::default(),
    };
    let by_platform = Credential::Exchange(Secret::from("a.b.c".to_owned()));
    let by_passkey = gate::Assertion {
        ceremony: Secret::from("sealed".to_owned()),
        origin: "https://localhost".to_owned(),
        credential_id: Vec::new(),
        client_data: Vec::new(),
        authenticator_data: Vec::new(),
        signature: Vec::new(),
    };
    let by_provider = gate::Returned {
        code: Secret::from("code".to_owned()),
        state: "state".to_owned(),
        issuer: None,
        redirect_uri: "https://localhost/login".to_owned(),
        carried: None,
    };
    let (by_passkey, by_provider) = (Credential::Passkey(Box::new(by_passkey)), Credential::Federated(Box::new(by_provider)));
    [Credential::Signed(Box::new(by_key)), Credential::Certificate, by_platform, by_passkey, by_provider]
}

#[test]
fn who_guesses_passwords_costs_no_key_behind_the_same_address_its_way_in() {
    let world = world();
    for at in 0..20 {
        assert_eq!(world.fail(basic(&format!("somebody{at}")), HOME), None);
    }
    assert!(world.fail(basic("one more"), HOME).is_some());
    for credential in signed() {
        assert!(world.pass(credential, HOME, "u_ada").is_ok());
    }
    // What is signed wrongly is slowed down too, and costs no password its way in.
    let world = self::world();
    for _ in 0..1_000 {
        assert_eq!(world.fail(Credential::Certificate, HOME), None);
    }
    for credential in signed() {
        assert!(world.fail(credential, HOME).is_some());
    }
    assert!(world.pass(basic("bob"), HOME, "u_bob").is_ok());
    assert!(world.pass(Credential::Certificate, AWAY, "u_ada").is_ok());
}

#[test]
fn strangers_share_a_generous_limit_and_known_callers_have_none() {
    let world = world();
    let knock = || world.port.may_knock(&attempt(Credential::None, HOME));
    for _ in 0..1_000 {
        knock().unwrap();
    }
    assert_eq!(knock().unwrap_err().kind(), Kind::TooMany);
    for _ in 0..5_000 {
        world.pass(bearer("sr_good"), HOME, "u_ada").unwrap();
    }
}

#[test]
fn a_new_network_is_a_risk_for_an_hour() {
    let world = world();
    assert_eq!(world.pass(bearer("sr_good"), HOME, "u_ada").unwrap().score, 0, "the first one is not new");
    world.clock.advance_secs(60);
    let away = world.pass(bearer("sr_good"), AWAY, "u_ada").unwrap();
    assert!(away.score == 20 && away.reasons == ["new_network"], "{away:?}");
    assert_eq!(world.pass(bearer("sr_good"), HOME, "u_ada").unwrap().score, 0);
    assert_eq!(world.pass(bearer("sr_other"), AWAY, "u_bob").unwrap().score, 0, "it is new per person");
    world.clock.advance_secs(NEW_NETWORK_S);
    assert_eq!(world.pass(bearer("sr_good"), AWAY, "u_ada").unwrap().score, 0);
}

#[test]
fn what_is_raised_counts_on_the_next_request_and_ends() {
    let world = world();
    assert_eq!(world.pass(bearer("sr_good"), HOME, "u_ada").unwrap().score, 0);
    let until = world.clock.now().plus_secs(600);
    let raise = Raise { points: 95, reason: "mass_download".into(), cause: Cause::Caller, until };
    world.port.raise("u_ada", raise);
    let risk = world.pass(bearer("sr_good"), HOME, "u_ada").unwrap();
    assert!(risk.score == 95 && risk.reasons == ["mass_download"], "{risk:?}");
    assert_eq!(world.pass(bearer("sr_other"), HOME, "u_bob").unwrap().score, 0, "it is nobody else's");
    world.clock.advance_secs(600);
    assert_eq!(world.pass(bearer("sr_good"), HOME, "u_ada").unwrap().score, 0, "it ended");
}

#[test]
fn a_single_session_can_be_trusted_less() {
    let world = world();
    let until = world.clock.now().plus_secs(600);
    world.port.raise("s_stolen", Raise { points: 40, reason: "risk_signal".into(), cause: Cause::Caller, until });
    let token = |id: &str| Some(TokenFacts { id: id.to_owned(), scopes: Vec::new(), workspace: None, device: None });
    let attempt = attempt(bearer("sr_good"), HOME);
    let score = |id: &str| world.port.assess(&attempt, &Caller { token: token(id), ..user("u_ada") }).score;
    assert_eq!((score("s_stolen"), score("s_other")), (40, 0));
}

#[tokio::test]
async fn a_session_takes_over_what_is_held_against_the_token_it_began_with() {
    let world = world();
    let until = world.clock.now().plus_secs(600);
    for rule in ["many_downloads", "many_deletions"] {
        world.port.raise("t_1", Raise { points: 50, reason: rule.into(), cause: Cause::Caller, until });
    }
    world.port.inherit("s_1", "t_1").await.unwrap();
    let token = |id: &str| Some(TokenFacts { id: id.to_owned(), scopes: Vec::new(), workspace: None, device: None });
    let attempt = attempt(bearer("sr_good"), HOME);
    let score = |id: &str| world.port.assess(&attempt, &Caller { token: token(id), ..user("u_ada") }).score;
    assert_eq!((score("s_1"), score("s_2")), (100, 0), "two rules add up, and their session is no way out");
}

#[test]
fn the_log_in_behind_a_session_is_the_least_risk_that_it_has() {
    let world = world();
    let score = |log_in_risk: u8| {
        let caller = Caller { log_in_risk, ..user("u_ada") };
        world.port.assess(&attempt(bearer("sr_good"), HOME), &caller)
    };
    assert_eq!((score(0).score, score(95).score), (0, 95));
    let until = world.clock.now().plus_secs(600);
    world.port.raise("u_ada", Raise { points: 50, reason: "rule".into(), cause: Cause::Caller, until });
    assert_eq!((score(0).score, score(40).score, score(95).score), (50, 50, 95), "the larger counts, not both");
    assert!(score(95).reasons.iter().any(|reason| reason == "unusual_log_in"));
}

#[test]
fn what_strangers_raise_never_takes_rights_away() {
    let world = world();
    world.pass(basic("ada"), HOME, "u_ada").unwrap();
    for host in 0..60 {
        world.fail(basic("ada"), &format!("203.0.{host}.9"));
    }
    let until = world.clock.now().plus_secs(600);
    for reason in ["spraying", "stuffing", "guessing"] {
        world.port.raise("u_ada", Raise { points: 100, reason: reason.into(), cause: Cause::Strangers, until });
    }
    let risk = world.pass(basic("ada"), HOME, "u_ada").unwrap();
    assert!(risk.score == 85 && risk.reasons.iter().any(|reason| reason == "spraying"), "{risk:?}");
}

#[test]
fn an_ipv6_attacker_gains_nothing_by_changing_addresses_in_its_network() {
    let world = world();
    let refused = (0..40).filter(|n| world.fail(basic(&format!("name{n}")), &format!("2001:db8::{n:x}")).is_some()).count();
    assert_eq!(refused, 20);
}

#[test]
fn memory_is_bounded_and_swept() {
    let world = world();
    for number in 0..200_000_u32 {
        let [a, b, c, d] = number.to_be_bytes();
        let address = format!("{}.{b}.{c}.{d}", a + 11);
        world.fail(basic(&format!("name{number}")), &address);
    }
    assert!(world.port.rates.len() <= ADDRESS_COUNT_MAX && world.port.failures.len() <= FAILURE_COUNT_MAX);
    let until = world.clock.now().plus_secs(600);
    for number in 0..200_000_u32 {
        world.port.raise(&number.to_string(), Raise { points: 1, reason: "raised".into(), cause: Cause::Caller, until });
    }
    assert!(world.port.raised.len() <= RAISED_COUNT_MAX);
    world.clock.advance_secs(100_000_000);
    world.fail(basic("ada"), HOME);
    assert!(world.port.rates.len() + world.port.failures.len() + world.port.raised.len() <= 4);
}

#[test]
fn jobs_are_never_limited_and_bear_no_risk() {
    let world = world();
    let anonymous = attempt(Credential::None, HOME);
    assert_eq!(world.port.assess(&anonymous, &Caller::anonymous()), Risk::default());
}

#[test]
fn weak_configurations_are_refused() {
    let config = RiskConfig { lock_free_count: 0, ..RiskConfig::default() };
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::default());
    let key = Secret::from("the key of browsers".to_owned());
    let refused = Assessor::new((config, LimitsConfig::default()), clock, |_| false, &key);
    assert!(refused.is_err_and(|problem| problem.message().contains("lock_free_count")));
}

fn form(name: &str) -> Credential {
    Credential::LogIn { username: name.to_owned(), password: Secret::from("wrong or right".to_owned()), code: None }
}

impl World {
    fn fail_with(&self, name: &str, mark: Option<&Secret>, address: &str) -> Result<(), Problem> {
        let attempt = Attempt { known_browser: mark.cloned(), ..attempt(form(name), address) };
        self.port.may_knock(&attempt)?;
        self.port.learn(&attempt, Verdict::Refused);
        Ok(())
    }
}

#[test]
fn who_brings_a_known_browser_is_not_locked_out_by_strangers_at_the_same_address() {
    let world = world();
    let mark = world.port.browser_mark(None, "Ada");
    while world.fail_with("ada", None, AWAY).is_ok() {}
    // Each account locks by itself after a few; many of them use up what the address may try.
    for number in 0..40 {
        drop(world.fail_with(&format!("person-{number}"), None, AWAY));
    }
    while world.fail_with("bob", None, AWAY).is_ok() {}
    assert!(world.fail_with("ada", None, AWAY).is_err() && world.fail_with("carol", None, AWAY).is_err());
    let owner = Attempt { known_browser: Some(mark.clone()), ..attempt(form("ada"), AWAY) };
    world.port.may_knock(&owner).unwrap();
    let caller = user("u_ada");
    world.port.learn(&owner, Verdict::Known(&caller));
    assert_eq!(world.port.assess(&owner, &caller).locked_for, None);
    // It is no way around the lock for another account.
    assert!(world.fail_with("bob", Some(&mark), AWAY).is_err());
}

#[test]
fn a_stolen_browser_mark_has_a_lock_of_its_own() {
    let world = world();
    let mark = world.port.browser_mark(None, "ada");
    let tried = (0..50).take_while(|_| world.fail_with("ada", Some(&mark), AWAY).is_ok()).count();
    assert_eq!(tried, 5);
    // The owner's own browser, and the account at home, are none the worse for it.
    let own = world.port.browser_mark(None, "ada");
    assert!(world.fail_with("ada", Some(&own), HOME).is_ok());
    assert!(world.fail_with("ada", None, HOME).is_ok());
}

#[test]
fn two_people_with_one_browser_are_both_known_in_it_and_locked_apart() {
    let world = world();
    let mark = world.port.browser_mark(None, "ada");
    let shared = world.port.browser_mark(Some(&mark), "bob");
    for name in ["ada", "bob"] {
        while world.fail_with(name, None, AWAY).is_ok() {}
    }
    while world.fail_with("ada", Some(&shared), AWAY).is_ok() {}
    let bob = Attempt { known_browser: Some(shared.clone()), ..attempt(form("bob"), AWAY) };
    world.port.may_knock(&bob).unwrap();
    assert!(world.port.knows_browser(&bob, "ada") && !world.port.knows_browser(&bob, "carol"));
    // Whoever stole it gets no fresh guesses at ada by logging in as somebody else.
    let stolen = world.port.browser_mark(Some(&shared), "eve");
    assert!(world.fail_with("ada", Some(&stolen), AWAY).is_err());
}

/// An attempt with a password from a device with this certificate, by the account's own name or a stranger to it.
fn from_device(certificate: u8, name: &str, address: &str) -> Attempt {
    Attempt { client_certificate: Some([certificate; 32]), ..attempt(basic(name), address) }
}

#[test]
fn who_guesses_from_elsewhere_does_not_lock_the_owner_out_of_a_known_device() {
    let world = world();
    let owner = Caller { name: "Ada".to_owned(), ..user("u_ada") };
    let own = from_device(1, "ada", AWAY);
    world.port.may_knock(&own).unwrap();
    world.port.learn(&own, Verdict::Known(&owner));
    // Strangers guess, with no device, from many networks and from the owner's own, until the account waits everywhere.
    for host in 0..60 {
        let address = format!("192.0.{host}.9");
        while world.fail(basic("ada"), &address).is_none() {}
        world.fail(basic("ada"), AWAY);
    }
    assert!(world.fail(basic("ada"), HOME).is_some(), "the account is locked");
    // A device that never was hers is a stranger like any other, also while it is somebody's.
    world.port.learn(&from_device(2, "eve", HOME), Verdict::Known(&Caller { name: "eve".to_owned(), ..user("u_eve") }));
    assert!(world.port.may_knock(&from_device(2, "ada", HOME)).is_err());
    // Her own is not.
    assert!(world.port.may_knock(&own).is_ok());
    assert_eq!(world.port.assess(&own, &owner).locked_for, None);
    // It has a lock of its own, which a stolen device runs into and strangers do not touch.
    let free_count = RiskConfig::default().lock_free_count;
    for _ in 0..=free_count {
        world.port.learn(&own, Verdict::Refused);
    }
    assert!(world.port.may_knock(&own).is_err());
    // A session from the device with a renewed certificate makes that one known.
    let renewed = Attempt { client_certificate: Some([3; 32]), ..attempt(bearer("sr_session"), HOME) };
    world.port.learn(&renewed, Verdict::Known(&owner));
    assert!(world.port.may_knock(&from_device(3, "ada", HOME)).is_ok());
}
