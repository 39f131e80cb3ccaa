//! The verbs and the port, through a real door, on SQLite and, where `STRONGROOM_TEST_POSTGRES` names one, on PostgreSQL.

mod accounts;
mod command_line;
mod factors;
mod groups;
mod lasting;
mod login;
mod passes;
mod provisioning;
mod sessions;
mod tokens;
mod vouched;

use std::net::IpAddr;
use std::sync::Arc;

use gate::{
    Action, Assess, Attempt, BoxFuture, Caller, Credential, Decide, Decision, Entry, Facts, Gate, Identify, JobKey, Locate,
    Operation, Outcome, Over, Ports, Question, Record, Risk, Scope, SealedOutcome, Target, Verdict,
};
use kernel::{Allowance, FakeClock, Kind, Micros, Problem, Secret, random_id};
use vault::db::{self, Location, Opened};

use crate::ops::accounts::CreateUser;
use crate::ops::tokens::{CreateToken, CreateTokenFor};
use crate::{Identity, IdentityConfig, IdentityPort, MintedToken, Name, Passes, Principal, TokenWish, workspace_by_name};

/// What passes are made for.
pub(crate) const ERRAND: Action = Action::write("test.errand");
pub(crate) const PASSWORD: &str = "gravel umbrella nine tulip";

/// A door with the real identity port; it allows everything.
pub(crate) struct World {
    pub(crate) room: Identity,
    pub(crate) port: Arc<IdentityPort>,
    pub(crate) gate: Gate,
    pub(crate) clock: FakeClock,
    pub(crate) opened: Opened,
    job_key: JobKey,
    suffix: String,
    _folder: tempfile::TempDir,
}

/// The other ports: whoever is known may do everything; what is recorded goes into the outbox only.
struct Open {
    db: vault::db::PortDb,
}

impl Locate for Open {
    fn locate<'a>(&'a self, workspace: &'a str, target: &'a Target) -> BoxFuture<'a, Result<Facts, Problem>> {
        let (name, wanted) = (workspace.to_owned(), *target == Target::Workspace);
        Box::pin(async move {
            let id = self.db.read_point(move |reader| Ok(workspace_by_name(reader, &name)?)).await?;
            Ok(Facts { exists: true, workspace: id.filter(|_| wanted), ..Facts::default() })
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
pub(crate) fn worlds() -> Vec<World> {
    testkit::Engine::all("identity").into_iter().map(|engine| world(&engine.location, engine.folder)).collect()
}

fn world(location: &Location, folder: tempfile::TempDir) -> World {
    let opened = db::open(location).unwrap();
    let clock = FakeClock::at(Micros(1_800_000_000_000_000));
    let passes = Passes::new(&secret("the key of passes"), &[ERRAND]);
    let room = Identity::with_passes(opened.db.clone(), IdentityConfig::default(), passes).unwrap();
    let port = Arc::new(room.port(opened.ports.clone(), Arc::new(clock.clone())));
    let open = Arc::new(Open { db: opened.ports.clone() });
    let (gate, job_key) = Gate::new(Ports {
        identify: Arc::clone(&port) as _,
        locate: Arc::clone(&open) as _,
        assess: Arc::clone(&open) as _,
        decide: Arc::clone(&open) as _,
        record: open,
        clock: Arc::new(clock.clone()),
    });
    let suffix = format!("-{}", &random_id()[..8]);
    World { room, port, gate, clock, opened, job_key, suffix, _folder: folder }
}

pub(crate) fn attempt(credential: Credential) -> Attempt {
    Attempt {
        credential,
        address: IpAddr::from([198, 51, 100, 7]),
        user_agent: None,
        workspace: gate::DEFAULT_WORKSPACE.to_owned(),
        client_certificate: None,
        known_browser: None,
    }
}

pub(crate) fn bearer(secret: &Secret) -> Credential {
    Credential::Bearer(secret.clone())
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

impl World {
    /// `name` as this world spells it.
    pub(crate) fn name(&self, name: &str) -> Name {
        Name::parse(&self.text(name)).unwrap()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        format!("{name}{}", self.suffix)
    }

    pub(crate) fn basic(&self, name: &str, password: &str) -> Credential {
        Credential::Basic { username: self.text(name), password: secret(password) }
    }

    pub(crate) async fn by_job<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.gate.call(Attempt::of_job(self.job_key.pass("bootstrap")), operation).await
    }

    pub(crate) async fn by<O: Operation>(&self, credential: Credential, operation: O) -> Result<O::Output, Problem> {
        self.gate.call(attempt(credential), operation).await
    }

    pub(crate) async fn who(&self, credential: Credential) -> Result<Caller, Problem> {
        self.port.identify(&attempt(credential)).await
    }

    pub(crate) async fn is_refused(&self, credential: Credential) -> bool {
        self.who(credential).await.is_err_and(|problem| problem.kind() == Kind::Unauthenticated)
    }

    pub(crate) async fn user(&self, name: &str, password: Option<&str>) -> Principal {
        let create = CreateUser { room: self.room.clone(), name: self.name(name), password: password.map(secret) };
        self.by_job(create).await.unwrap()
    }

    /// A token for an account, minted as the first administrator's is.
    pub(crate) async fn token_for(&self, principal: &Principal) -> MintedToken {
        let create =
            CreateTokenFor { room: self.room.clone(), principal: principal.id.clone(), parent: None, wish: TokenWish::default() };
        self.by_job(create).await.unwrap()
    }

    pub(crate) async fn mint(&self, with: Credential, wish: TokenWish) -> Result<MintedToken, Problem> {
        self.by(with, CreateToken { room: self.room.clone(), wish }).await
    }
}

#[tokio::test]
async fn no_secret_is_in_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let world = world(&Location::Sqlite(path.clone()), tempfile::tempdir().unwrap());
    let ada = world.user("ada", Some(PASSWORD)).await;
    let token = world.token_for(&ada).await;
    let session = world
        .by(bearer(&token.secret), crate::ops::sessions::CreateSession { room: world.room.clone(), replaces: None })
        .await
        .unwrap();
    let mut stored = Vec::new();
    for file in ["a.db", "a.db-wal"] {
        stored.extend(std::fs::read(folder.path().join(file)).unwrap_or_default());
    }
    let holds = |wanted: &[u8]| stored.windows(wanted.len()).any(|window| window == wanted);
    assert!(holds(ada.name.as_bytes()) && holds(token.token.prefix.as_bytes()), "the test looks in the right place");
    for hidden in [token.secret.expose(), session.secret.expose(), PASSWORD.as_bytes()] {
        assert!(!holds(hidden));
        assert!(!holds(hidden.get(12..).unwrap()), "nor the rest of it");
    }
}

#[test]
fn every_action_is_listed_once() {
    let mut names: Vec<&str> = crate::ACTIONS.iter().map(|action| action.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), count), (58, 58));
}
