//! The verbs and the port, through a real door with the real port of identity, on SQLite and, where `STRONGROOM_TEST_POSTGRES` names one, on
//! PostgreSQL.

use std::net::IpAddr;
use std::sync::Arc;

use gate::{
    Action, Assess, Attempt, BoxFuture, Caller, Credential, DataClasses, DataFacts, DataState, Decide, Decision, Entry,
    Facts as Found, Gate, Identify, JobKey, Locate, Operation, Outcome, Over, Ports, Question, Record, Risk, Scope,
    SealedOutcome, Target, Verdict,
};
use identity::ops::accounts::{CreateUser, DeleteUser, DisableUser, EnableUser};
use identity::ops::tokens::{CreateToken, CreateTokenFor};
use identity::ops::workspaces::CreateWorkspace;
use identity::{Identity, IdentityConfig, IdentityPort, KnowDevices, Name, Principal, TokenWish, workspace_by_name};
use kernel::{Allowance, FakeClock, Kind, Micros, Problem, Secret, random_id};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use vault::db::{self, Location, Opened};

use crate::ops::attest::Pin;
use crate::ops::enrol::{Enrol, Renew};
use crate::ops::invite::{Invite, InviteFor};
use crate::ops::list::OwnDevices;
use crate::ops::report::{Challenge, Report};
use crate::ops::revoke::{Revoke, RevokeOwn};
use crate::ops::rules::{ListRules, SetRule};
use crate::posture::{Check, Facts};
use crate::{CERTIFICATE_SECONDS, Device, DevicePort, Devices, DevicesConfig, least_tier, signed_text};

mod changes;

const HOUR_S: i64 = 3_600;

/// A door that allows everything, with the two rooms behind it.
struct World {
    identity: Identity,
    room: Devices,
    port: Arc<IdentityPort>,
    gate: Gate,
    clock: FakeClock,
    opened: Opened,
    job_key: JobKey,
    suffix: String,
    _folder: tempfile::TempDir,
}

struct Open(vault::db::PortDb);

impl Locate for Open {
    fn locate<'a>(&'a self, workspace: &'a str, target: &'a Target) -> BoxFuture<'a, Result<Found, Problem>> {
        let (name, wanted) = (workspace.to_owned(), *target == Target::Workspace);
        Box::pin(async move {
            let id = self.0.read_point(move |reader| Ok(workspace_by_name(reader, &name)?)).await?;
            Ok(Found { exists: true, workspace: id.filter(|_| wanted), ..Found::default() })
        })
    }
}

impl Assess for Open {
    fn may_knock(&self, _attempt: &Attempt) -> Result<(), Problem> {
        Ok(())
    }

    fn assess(&self, _attempt: &Attempt, _caller: &Caller) -> Risk {
        Risk::default()
    }

    fn learn(&self, _attempt: &Attempt, _verdict: Verdict<'_>) {}

    fn take<'a>(&'a self, _: &'a Attempt, _: &'a Caller, _: Action) -> BoxFuture<'a, Result<Option<Allowance>, Over>> {
        Box::pin(async { Ok(None) })
    }

    fn take_in<'a>(
        &'a self,
        _: &'a str,
        _: &'a Caller,
        _: Action,
        known: Option<Allowance>,
    ) -> BoxFuture<'a, Result<Option<Allowance>, Over>> {
        Box::pin(std::future::ready(Ok(known)))
    }
}

impl Decide for Open {
    fn decide<'a>(&'a self, _question: Question<'a>) -> BoxFuture<'a, Result<Decision, Problem>> {
        Box::pin(async { Ok(Decision::Allow { reasons: Vec::new(), scope: Scope::Workspace }) })
    }
}

impl Record for Open {
    fn intent<'a>(&'a self, _entry: &'a Entry) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async { Ok(()) })
    }

    fn refusal<'a>(&'a self, _entry: &'a Entry, _problem: &'a Problem) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async { Ok(()) })
    }

    fn outcome(&self, _entry: &Entry, _outcome: &Outcome) {}

    fn seal(&self, entry: &Entry, outcome: &Outcome) -> SealedOutcome {
        SealedOutcome { event_id: random_id(), bytes: format!("{} {outcome:?}", entry.action.name).into_bytes() }
    }
}

/// A world per engine, each with a database of its own: the clock of one test is not that of another.
fn worlds() -> Vec<World> {
    testkit::Engine::all("devices").into_iter().map(|engine| world(&engine.location, engine.folder)).collect()
}

fn world(location: &Location, folder: tempfile::TempDir) -> World {
    let opened = db::open(location).unwrap();
    let clock = FakeClock::at(Micros(1_800_000_000_000_000));
    let identity = Identity::new(opened.db.clone(), IdentityConfig::default()).unwrap();
    let secrets = (&Secret::new(vec![3; 32]), &Secret::new(vec![4; 32]));
    let room = Devices::open(opened.db.clone(), DevicesConfig::default(), secrets).unwrap();
    identity.set_devices(Arc::new(DevicePort::new(opened.ports.clone(), &room)));
    let port = Arc::new(identity.port(opened.ports.clone(), Arc::new(clock.clone())));
    let open = Arc::new(Open(opened.ports.clone()));
    let (gate, job_key) = Gate::new(Ports {
        identify: Arc::clone(&port) as _,
        locate: Arc::clone(&open) as _,
        assess: Arc::clone(&open) as _,
        decide: Arc::clone(&open) as _,
        record: open,
        clock: Arc::new(clock.clone()),
    });
    let suffix = format!("-{}", &random_id()[..8]);
    World { identity, room, port, gate, clock, opened, job_key, suffix, _folder: folder }
}

/// An agent's side: its key and newest certificate.
struct Agent {
    id: String,
    key: KeyPair,
    certificate: [u8; 32],
}

fn digest(pem: &str) -> [u8; 32] {
    kernel::sha256(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
}

fn good() -> Facts {
    let yes = Some(true);
    let (disk_encryption, firewall, screen_lock, secure_boot) = (yes, yes, yes, yes);
    Facts {
        security_updates: Some(0),
        updated_days: Some(1),
        disk_encryption,
        firewall,
        screen_lock,
        secure_boot,
        ..Facts::default()
    }
}

impl World {
    fn name(&self, name: &str) -> Name {
        Name::parse(&format!("{name}{}", self.suffix)).unwrap()
    }

    async fn by_job<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.gate.call(Attempt::of_job(self.job_key.pass("bootstrap")), operation).await
    }

    fn attempt(&self, credential: Credential, certificate: Option<[u8; 32]>) -> Attempt {
        let (address, workspace) = (IpAddr::from([198, 51, 100, 7]), gate::DEFAULT_WORKSPACE.to_owned());
        Attempt { credential, address, user_agent: None, workspace, client_certificate: certificate, known_browser: None }
    }

    async fn person(&self, name: &str) -> (Principal, Secret) {
        let create = CreateUser { room: self.identity.clone(), name: self.name(name), password: None };
        let person = self.by_job(create).await.unwrap();
        let (principal, wish) = (person.id.clone(), TokenWish::default());
        let token = CreateTokenFor { room: self.identity.clone(), principal, parent: None, wish };
        let secret = self.by_job(token).await.unwrap().secret;
        (person, secret)
    }

    async fn by<O: Operation>(&self, token: &Secret, operation: O) -> Result<O::Output, Problem> {
        self.gate.call(self.attempt(Credential::Bearer(token.clone()), None), operation).await
    }

    async fn by_agent<O: Operation>(&self, agent: &Agent, operation: O) -> Result<O::Output, Problem> {
        self.gate.call(self.attempt(Credential::Certificate, Some(agent.certificate)), operation).await
    }

    async fn leave(&self, token: &Secret) -> Secret {
        self.by(token, Invite { room: self.room.clone() }).await.unwrap().secret
    }

    async fn enrol_with(&self, leave: &Secret) -> Result<Agent, Problem> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let request = CertificateParams::new(Vec::new()).unwrap().serialize_request(&key).unwrap().der().to_vec();
        let enrol = Enrol { room: self.room.clone(), request, label: "laptop".to_owned() };
        let enrolled = self.by(leave, enrol).await?;
        Ok(Agent { id: enrolled.device_id, key, certificate: digest(&enrolled.certificate) })
    }

    async fn enrol(&self, token: &Secret) -> Agent {
        self.enrol_with(&self.leave(token).await).await.unwrap()
    }

    async fn challenge(&self, agent: &Agent) -> String {
        // No two challenges are of one moment.
        self.clock.advance_secs(1);
        let (device, challenge) = self.by_agent(agent, Challenge { room: self.room.clone() }).await.unwrap();
        assert_eq!(device, agent.id);
        challenge
    }

    async fn report_with(&self, agent: &Agent, challenge: &str, facts: &str) -> Result<Vec<&'static str>, Problem> {
        let signature = agent.key.sign(signed_text(&agent.id, challenge, facts).as_bytes()).unwrap();
        let (challenge, facts) = (challenge.to_owned(), facts.to_owned());
        self.by_agent(agent, Report { room: self.room.clone(), challenge, facts, signature }).await
    }

    async fn report(&self, agent: &Agent, facts: &Facts) -> Result<Vec<&'static str>, Problem> {
        let challenge = self.challenge(agent).await;
        self.report_with(agent, &challenge, &serde_json::to_string(facts).unwrap()).await
    }

    /// The device that a token's request is seen to come from.
    async fn seen(&self, token: &Secret, agent: &Agent) -> Option<gate::Device> {
        let attempt = self.attempt(Credential::Bearer(token.clone()), Some(agent.certificate));
        self.port.identify(&attempt).await.unwrap().device
    }

    async fn tier(&self, token: &Secret, agent: &Agent) -> u8 {
        self.seen(token, agent).await.map_or(0, |device| device.tier)
    }

    async fn own(&self, token: &Secret) -> Vec<Device> {
        self.by(token, OwnDevices { room: self.room.clone(), device: None }).await.unwrap()
    }
}

fn kind<T: std::fmt::Debug>(answer: Result<T, Problem>) -> Kind {
    answer.unwrap_err().kind()
}

#[tokio::test]
async fn a_device_is_enrolled_and_seen_as_its_owners_and_nobody_elses() {
    for world in worlds() {
        let ((ada, ada_token), (_, eve_token)) = (world.person("ada").await, world.person("eve").await);
        let agent = world.enrol(&ada_token).await;
        assert_eq!(world.seen(&ada_token, &agent).await, Some(gate::Device { id: agent.id.clone(), tier: 1 }));
        assert_eq!(world.seen(&eve_token, &agent).await, None, "a certificate of somebody else's device is none");
        let own = world.own(&ada_token).await;
        assert_eq!((own.len(), own[0].tier, own[0].label.as_str(), &own[0].principal_id), (1, 1, "laptop", &ada.id));
        assert!(world.own(&eve_token).await.is_empty());
        let foreign = OwnDevices { room: world.room.clone(), device: Some(agent.id.clone()) };
        assert_eq!(kind(world.by(&eve_token, foreign).await), Kind::NotFound);
        // An agent acts as its owner, for what agents do, and says so by a token of that shape.
        let attempt = world.attempt(Credential::Certificate, Some(agent.certificate));
        let caller = world.port.identify(&attempt).await.unwrap();
        let token = caller.token.unwrap();
        assert_eq!((caller.id, token.id), (ada.id.clone(), agent.id.clone()));
        assert!(token.scopes.iter().all(|scope| scope.starts_with("devices.")) && !token.scopes.is_empty());
        let nobody = world.attempt(Credential::Certificate, Some([9; 32]));
        assert_eq!(kind(world.port.identify(&nobody).await), Kind::Unauthenticated);
        assert_eq!(kind(world.port.identify(&world.attempt(Credential::Certificate, None)).await), Kind::Unauthenticated);
    }
}

#[tokio::test]
async fn leave_to_enrol_is_used_once() {
    for world in worlds() {
        let (ada, token) = world.person("ada").await;
        let leave = world.leave(&token).await;
        assert_eq!(identity::parse_secret_text(leave.expose()), Some(identity::SecretKind::Enrolment));
        let (one, two) = tokio::join!(world.enrol_with(&leave), world.enrol_with(&leave));
        assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1, "at the same moment");
        assert_eq!(kind(world.enrol_with(&leave).await.map(|agent| agent.id)), Kind::Unauthenticated);
        let late = world.leave(&token).await;
        world.clock.advance_secs(601);
        assert_eq!(kind(world.enrol_with(&late).await.map(|agent| agent.id)), Kind::Unauthenticated);
        // A token of the account is no leave, and neither is leave a token.
        assert_eq!(kind(world.enrol_with(&token).await.map(|agent| agent.id)), Kind::Forbidden);
        let invited = world.by_job(InviteFor { room: world.room.clone(), account: ada.name.clone() }).await.unwrap();
        assert!(world.enrol_with(&invited.secret).await.is_ok());
        assert_eq!(world.own(&token).await.len(), 2);
    }
}

#[tokio::test]
async fn all_that_an_account_has_of_devices_ends_at_once_and_does_not_come_back() {
    for world in worlds() {
        let ((ada, token), (_, other)) = (world.person("ada").await, world.person("eve").await);
        let (agents, eves) = ([world.enrol(&token).await, world.enrol(&token).await], world.enrol(&other).await);
        let unused = world.leave(&token).await;
        let port = DevicePort::new(world.opened.ports.clone(), &world.room);
        let at = kernel::Clock::now(&world.clock);
        let ended = world.opened.system.write(move |tx| port.end_all(tx, &ada.id, "the directory", at)).await.unwrap();
        assert_eq!(ended, 2);
        for agent in &agents {
            assert_eq!(world.seen(&token, agent).await, None);
            let attempt = world.attempt(Credential::Certificate, Some(agent.certificate));
            assert_eq!(kind(world.port.identify(&attempt).await), Kind::Unauthenticated);
        }
        assert_eq!(kind(world.enrol_with(&unused).await.map(|agent| agent.id)), Kind::Unauthenticated);
        assert!(world.seen(&other, &eves).await.is_some(), "somebody else's goes on");
        world.enrol(&token).await;
    }
}

#[tokio::test]
async fn what_an_issuer_says_of_a_persons_devices_counts_until_it_says_otherwise() {
    for world in worlds() {
        let (ada, token) = world.person("ada").await;
        let (_, bobs_token) = world.person("bob").await;
        let (agent, bobs) = (world.enrol(&token).await, world.enrol(&bobs_token).await);
        for agent in [&agent, &bobs] {
            world.report(agent, &good()).await.unwrap();
        }
        let said = |issuer: &'static str, compliant: i64| {
            let id = ada.id.clone();
            world.opened.system.write(move |tx| {
                tx.execute(
                    "INSERT INTO device_statement (principal_id, issuer, compliant, said_at) VALUES ($1, $2, $3, 1)
                     ON CONFLICT (principal_id, issuer) DO UPDATE SET compliant = excluded.compliant",
                    &[id.as_str().into(), issuer.into(), compliant.into()],
                )?;
                Ok(())
            })
        };
        said("one", 0).await.unwrap();
        said("two", 1).await.unwrap();
        assert_eq!((world.tier(&token, &agent).await, world.tier(&bobs_token, &bobs).await), (1, 2));
        let shown = world.own(&token).await.remove(0);
        assert_eq!((shown.tier, shown.failing.as_slice()), (1, ["told_not_compliant"].as_slice()));
        world.report(&agent, &good()).await.unwrap();
        assert_eq!(world.tier(&token, &agent).await, 1, "a report takes nothing back that another said");
        said("one", 1).await.unwrap();
        assert_eq!(world.tier(&token, &agent).await, 2);
        assert_eq!(world.own(&token).await[0].failing, Vec::<&str>::new());
    }
}

#[tokio::test]
async fn a_tier_decays() {
    for world in worlds() {
        let (_, token) = world.person("ada").await;
        let agent = world.enrol(&token).await;
        assert_eq!(world.tier(&token, &agent).await, 1);
        assert_eq!(world.report(&agent, &good()).await.unwrap(), Vec::<&str>::new());
        assert_eq!(world.tier(&token, &agent).await, 2);
        let unlocked = Facts { screen_lock: None, ..good() };
        assert_eq!(world.report(&agent, &unlocked).await.unwrap(), [Check::ScreenLock.word()]);
        assert_eq!(world.tier(&token, &agent).await, 1, "not in order any more");
        world.report(&agent, &good()).await.unwrap();
        world.clock.advance_secs(12 * HOUR_S);
        let renewed = world.by_agent(&agent, Renew { room: world.room.clone() }).await.unwrap();
        let agent = Agent { certificate: digest(&renewed.certificate), ..agent };
        world.clock.advance_secs(11 * HOUR_S);
        assert_eq!(world.tier(&token, &agent).await, 2);
        world.clock.advance_secs(HOUR_S);
        assert_eq!(world.tier(&token, &agent).await, 1, "no report within 24 hours");
        assert_eq!(world.own(&token).await[0].tier, 1);
    }
}

#[tokio::test]
async fn a_certificate_ends_after_a_day_and_a_renewed_one_takes_over() {
    for world in worlds() {
        let (_, token) = world.person("ada").await;
        let first = world.enrol(&token).await;
        world.clock.advance_secs(CERTIFICATE_SECONDS / 2);
        let renewed = world.by_agent(&first, Renew { room: world.room.clone() }).await.unwrap();
        let second = digest(&renewed.certificate);
        assert_eq!(renewed.device_id, first.id);
        assert_eq!(world.tier(&token, &first).await, 1, "an answer may get lost: the old one counts until its end");
        world.clock.advance_secs(CERTIFICATE_SECONDS / 2);
        assert_eq!(world.tier(&token, &first).await, 0);
        assert_eq!(kind(world.by_agent(&first, Renew { room: world.room.clone() }).await), Kind::Unauthenticated);
        assert_eq!(world.tier(&token, &Agent { certificate: second, ..first }).await, 1);
        assert_eq!(kind(world.by(&token, Renew { room: world.room.clone() }).await), Kind::Forbidden, "by a certificate only");
    }
}

#[tokio::test]
async fn a_report_counts_once() {
    for world in worlds() {
        let (_, token) = world.person("ada").await;
        let (agent, other) = (world.enrol(&token).await, world.enrol(&token).await);
        let facts = serde_json::to_string(&good()).unwrap();
        let challenge = world.challenge(&agent).await;
        world.clock.advance_secs(1);
        let newer = world.challenge(&agent).await;
        world.report_with(&agent, &newer, &facts).await.unwrap();
        assert_eq!(kind(world.report_with(&agent, &newer, &facts).await), Kind::Conflict, "the same again");
        assert_eq!(kind(world.report_with(&agent, &challenge, &facts).await), Kind::Conflict, "an older one");
        let late = world.challenge(&agent).await;
        assert_eq!(kind(world.report_with(&other, &late, &facts).await), Kind::Invalid, "another device's");
        world.clock.advance_secs(301);
        assert_eq!(kind(world.report_with(&agent, &late, &facts).await), Kind::Invalid, "its time is over");
        // Signed by another key, or changed since.
        let challenge = world.challenge(&agent).await;
        let forged = Agent { id: agent.id.clone(), key: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(), ..agent };
        assert_eq!(kind(world.report_with(&forged, &challenge, &facts).await), Kind::Invalid);
        for wrong in ["", "{", r#"{"tier": 3}"#, &format!(r#"{{"os": "{}"}}"#, "x".repeat(5_000))] {
            assert!(world.report_with(&forged, &challenge, wrong).await.is_err(), "{wrong:.20}");
        }
    }
}

#[tokio::test]
async fn a_device_ends_with_its_account() {
    for world in worlds() {
        let (ada, token) = world.person("ada").await;
        let agent = world.enrol(&token).await;
        let seen = |agent: &Agent| {
            let attempt = world.attempt(Credential::Certificate, Some(agent.certificate));
            let port = Arc::clone(&world.port);
            async move { port.identify(&attempt).await.is_ok() }
        };
        assert!(seen(&agent).await);
        let user = || ada.id.clone();
        world.by_job(DisableUser { room: world.identity.clone(), user: user() }).await.unwrap();
        assert!(!seen(&agent).await, "barred");
        world.by_job(EnableUser { room: world.identity.clone(), user: user() }).await.unwrap();
        assert!(seen(&agent).await);
        world.by_job(DeleteUser { room: world.identity.clone(), user: user() }).await.unwrap();
        assert!(!seen(&agent).await, "deleted");
        for table in ["device", "device_enrolment"] {
            let id = ada.id.clone();
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE principal_id = $1");
            let left =
                world.opened.ports.read(move |reader| Ok(reader.query_one(&sql, &[id.as_str().into()], |row| row.int(0))?));
            assert_eq!(left.await.unwrap(), Some(0), "{table}");
        }
    }
}

#[tokio::test]
async fn what_is_revoked_counts_no_more() {
    for world in worlds() {
        let ((_, token), (_, eve)) = (world.person("ada").await, world.person("eve").await);
        let (one, two) = (world.enrol(&token).await, world.enrol(&token).await);
        let revoke = |device: &Agent| RevokeOwn { room: world.room.clone(), device: device.id.clone(), lost: true };
        assert_eq!(kind(world.by(&eve, revoke(&one)).await), Kind::NotFound, "not hers");
        world.by(&token, revoke(&one)).await.unwrap();
        assert_eq!(world.tier(&token, &one).await, 0);
        assert_eq!(kind(world.by(&token, revoke(&one)).await), Kind::NotFound, "once is enough");
        assert_eq!(kind(world.by_agent(&one, Challenge { room: world.room.clone() }).await), Kind::Unauthenticated);
        world.by_job(Revoke { room: world.room.clone(), device: two.id.clone(), lost: false }).await.unwrap();
        assert_eq!(world.tier(&token, &two).await, 0);
        let own = world.own(&token).await;
        assert!(own.len() == 2 && own.iter().all(|device| device.tier == 0) && own.iter().any(|device| device.lost));
    }
}

#[tokio::test]
async fn a_bound_token_is_worth_nothing_from_elsewhere() {
    for world in worlds() {
        let (_, token) = world.person("ada").await;
        let (one, two) = (world.enrol(&token).await, world.enrol(&token).await);
        let wish = || TokenWish { only_this_device: true, ..TokenWish::default() };
        let create = || CreateToken { room: world.identity.clone(), wish: wish() };
        assert_eq!(kind(world.by(&token, create()).await), Kind::Invalid, "from no device");
        let from = |token: &Secret, agent: Option<&Agent>| {
            world.attempt(Credential::Bearer(token.clone()), agent.map(|agent| agent.certificate))
        };
        let bound = world.gate.call(from(&token, Some(&one)), create()).await.unwrap();
        assert_eq!(bound.token.device_id.as_deref(), Some(one.id.as_str()));
        assert!(world.port.identify(&from(&bound.secret, Some(&one))).await.is_ok());
        for elsewhere in [None, Some(&two)] {
            assert_eq!(kind(world.port.identify(&from(&bound.secret, elsewhere)).await), Kind::Unauthenticated);
        }
        // What it mints is bound to the same.
        let child = CreateToken { room: world.identity.clone(), wish: TokenWish::default() };
        let child = world.gate.call(from(&bound.secret, Some(&one)), child).await.unwrap();
        assert_eq!(child.token.device_id.as_deref(), Some(one.id.as_str()));
        world.by(&token, RevokeOwn { room: world.room.clone(), device: one.id.clone(), lost: false }).await.unwrap();
        assert_eq!(
            kind(world.port.identify(&from(&bound.secret, Some(&one))).await),
            Kind::Unauthenticated,
            "the device is gone"
        );
    }
}

#[tokio::test]
async fn rules_are_of_a_workspace_and_a_class() {
    for world in worlds() {
        let name = world.name("clinic");
        let made = world.by_job(CreateWorkspace { room: world.identity.clone(), name: name.clone() }).await.unwrap();
        let set = |data_class: Option<&str>, tier: u8| {
            let attempt = Attempt { workspace: name.as_str().to_owned(), ..Attempt::of_job(world.job_key.pass("bootstrap")) };
            let rule = SetRule { room: world.room.clone(), data_class: data_class.map(str::to_owned), tier };
            world.gate.call(attempt, rule)
        };
        let health = DataFacts { state: DataState::Admitted, classes: DataClasses { health: true, ..DataClasses::default() } };
        let least = |data: Option<DataFacts>| {
            let id = made.id.clone();
            world.opened.ports.read_point(move |reader| Ok(least_tier(reader, &id, data.as_ref())?))
        };
        assert_eq!(least(Some(health)).await.unwrap(), 0);
        set(Some("health"), 3).await.unwrap();
        set(None, 1).await.unwrap();
        assert_eq!((least(Some(health)).await.unwrap(), least(None).await.unwrap()), (3, 1));
        let rules = world.by_job(ListRules { room: world.room.clone() }).await.unwrap();
        let of_ours = rules.iter().filter(|rule| rule.workspace == name.as_str());
        assert_eq!(of_ours.map(|rule| (rule.data_class.as_str(), rule.tier)).collect::<Vec<_>>(), [("", 1), ("health", 3)]);
        set(None, 0).await.unwrap();
        assert_eq!(least(None).await.unwrap(), 0);
        assert_eq!(kind(set(Some("secret"), 1).await), Kind::Invalid);
        assert_eq!(kind(set(None, 4).await), Kind::Invalid);
    }
}

#[tokio::test]
async fn nothing_is_vouched_for_that_did_not_attest() {
    for world in worlds() {
        let (_, token) = world.person("ada").await;
        let agent = world.enrol(&token).await;
        let pin = |device: &str, key: &str| Pin {
            room: world.room.clone(),
            device: device.to_owned(),
            endorsement_key: key.to_owned(),
        };
        let digest = "0".repeat(64);
        assert_eq!(kind(world.by_job(pin(&agent.id, &digest)).await), Kind::Invalid);
        assert_eq!(kind(world.by_job(pin("dev_none", &digest)).await), Kind::NotFound);
        assert_eq!(kind(world.by_job(pin(&agent.id, "00")).await), Kind::Invalid);
    }
}
