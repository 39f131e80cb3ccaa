//! The gate's question: who knocks?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gate::{
    Assertion, Attempt, BoxFuture, Caller, Credential, Guessed, Identify, Method, Proof, Returned, Signed, Spend, Statement,
};
use kernel::{Clock, Kind, Micros, Problem, Secret, sha256};
use vault::db::{PortDb, Reader, SystemDb};

use crate::Inner;
use crate::access_key::is_right;
use crate::devices::{KnownDevice, is_leave};
use crate::factors::{Purpose, recovery_digest, totp, webauthn};
use crate::memory::{CredentialKey, Moment, UseOf};
use crate::names::NAME_BYTES_MAX;
use crate::pass::{Holder, is_pass};
use crate::password::PASSWORD_LENGTH_MAX;
use crate::secret_text::{SecretKind, parse_secret_text};
use crate::store::{self, FoundAccount, FoundCredential};
use crate::types::GROUPS_CLOSURE_COUNT_MAX;
use crate::watch::{Shown, WatchLogIns};

/// Ended sessions are kept this long, for lists and questions, and then deleted.
const ENDED_SESSION_DAYS: i64 = 7;
/// A UTF-8 character has at most 4 bytes.
const PASSWORD_BYTES_MAX: usize = PASSWORD_LENGTH_MAX * 4;

/// Implements [`Identify`] over the database, with a memory of half a second.
pub struct IdentityPort {
    pub(crate) db: PortDb,
    pub(crate) lookup_count: AtomicU64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) inner: Arc<Inner>,
}

/// The one answer to every credential that is not good: which part was wrong is nobody's business. The first sentence is
/// MLflow's.
pub(crate) fn refused() -> Problem {
    Problem::new(
        Kind::Unauthenticated,
        "You are not authenticated. Send a valid token (MLFLOW_TRACKING_TOKEN) or a user name and password \
         (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD); tokens expire and can be revoked: ask for a new one if in doubt. An \
         account with a second factor or a passkey sends a token.",
    )
}

impl Identify for IdentityPort {
    fn identify<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Caller, Problem>> {
        Box::pin(async move {
            let caller = self.with_device(attempt).await?;
            self.note_use(attempt, &caller);
            Ok(caller)
        })
    }

    fn recognise<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Caller, Problem>> {
        Box::pin(self.with_device(attempt))
    }
}

impl IdentityPort {
    pub(crate) const fn new(db: PortDb, clock: Arc<dyn Clock>, inner: Arc<Inner>) -> Self {
        Self { db, lookup_count: AtomicU64::new(0), clock, inner }
    }

    /// Writes down when tokens and sessions were last used, and clears ended sessions away. The server does this about once a
    /// minute: idle sessions end on time only if it does. Gives how many rows were touched.
    ///
    /// # Errors
    /// `Unavailable` if the database is down. What was noted is then lost, which is harmless.
    pub async fn write_uses(&self, db: &SystemDb) -> Result<usize, Problem> {
        let uses = self.inner.memory.take_uses();
        let ended_before = self.clock.now().plus_secs(-ENDED_SESSION_DAYS * 86_400);
        db.write(move |tx| {
            for (of, id, at) in &uses {
                match of {
                    UseOf::Token => store::write_token_use(tx, id, at.as_secs().div_euclid(86_400))?,
                    UseOf::Session => store::write_session_use(tx, id, *at)?,
                }
            }
            store::delete_ended_sessions(tx, ended_before)?;
            Ok(uses.len())
        })
        .await
    }

    fn note_use(&self, attempt: &Attempt, caller: &Caller) {
        let of = match &attempt.credential {
            Credential::Session(_) => UseOf::Session,
            Credential::Bearer(secret) if is_leave(secret) => return,
            Credential::Bearer(_) | Credential::Basic { .. } | Credential::LogIn { .. } | Credential::Signed(_) => UseOf::Token,
            _ => return,
        };
        if let Some(token) = &caller.token {
            self.inner.memory.note_use(of, &token.id, self.clock.now());
        }
    }

    /// How many credentials were looked up in the database since the start.
    #[must_use]
    pub fn lookup_count(&self) -> u64 {
        self.lookup_count.load(Ordering::Relaxed)
    }

    /// The caller; a log-in among them is judged before it is let in, and wrong ones are counted.
    pub(crate) async fn watched(&self, attempt: &Attempt, device: Option<&KnownDevice>) -> Result<Caller, Problem> {
        let found = self.caller_of(attempt, device).await;
        let Some(watch) = self.inner.watch.get() else { return found };
        let password = match &attempt.credential {
            Credential::LogIn { username, password, .. } => Some((username, password)),
            Credential::Basic { username, password } => match found {
                Ok(caller) => return self.watched_program(watch, attempt, (caller, device), password).await,
                Err(_) => Some((username, password)),
            },
            Credential::Passkey(_) | Credential::Federated(_) => None,
            _ => return found,
        };
        let mut caller = match found {
            Ok(caller) => caller,
            Err(problem) => {
                if let Some((username, _)) = password.filter(|_| problem.kind() == Kind::Unauthenticated) {
                    watch.failed(attempt.address, username.get(..NAME_BYTES_MAX).unwrap_or(username), self.clock.now());
                }
                return Err(problem);
            }
        };
        let Some(proof) = &caller.proof else { return Ok(caller) };
        let shown = Shown {
            person: caller.id.clone(),
            name: caller.name.clone(),
            address: attempt.address,
            user_agent: attempt.user_agent.clone(),
            known_browser: attempt.known_browser.clone(),
            method: proof.method,
            assurance: caller.assurance,
            has_passkey: self.has_passkey(&caller).await?,
            has_device: device.is_some_and(|device| device.principal_id == caller.id),
            password_is_leaked: match password {
                Some((_, password)) => watch.is_leaked(password)?,
                None => false,
            },
            at: proof.at,
        };
        caller.log_in_risk = watch.judge(&shown).await?;
        self.inner.memory.keep_log_in(shown);
        Ok(caller)
    }

    /// A password that comes with a request is a log-in too, where nothing is begun by it: the first one of a person from an address and a
    /// client is judged like a form. It is not learnt: what comes in this way makes no place a usual one.
    async fn watched_program(
        &self,
        watch: &Arc<dyn WatchLogIns>,
        attempt: &Attempt,
        (mut caller, device): (Caller, Option<&KnownDevice>),
        password: &Secret,
    ) -> Result<Caller, Problem> {
        if caller.token.is_some() {
            return Ok(caller);
        }
        let (now, key) = (self.clock.now(), self.inner.memory.usual_key(&caller.id, attempt));
        if let Some(risk) = self.inner.memory.usual_risk(&key, now) {
            caller.log_in_risk = risk;
            return Ok(caller);
        }
        let shown = Shown {
            person: caller.id.clone(),
            name: caller.name.clone(),
            address: attempt.address,
            user_agent: attempt.user_agent.clone(),
            known_browser: attempt.known_browser.clone(),
            method: Method::Password,
            assurance: caller.assurance,
            // Else the password alone would not have counted.
            has_passkey: false,
            has_device: device.is_some_and(|device| device.principal_id == caller.id),
            password_is_leaked: watch.is_leaked(password)?,
            at: now,
        };
        caller.log_in_risk = watch.judge(&shown).await?;
        self.inner.memory.note_usual(key, caller.log_in_risk, now);
        Ok(caller)
    }

    async fn has_passkey(&self, caller: &Caller) -> Result<bool, Problem> {
        let id = caller.id.clone();
        self.db.read_point(move |reader| Ok(store::account_by_id(reader, &id)?.is_some_and(|account| account.has_passkey))).await
    }

    async fn caller_of(&self, attempt: &Attempt, device: Option<&KnownDevice>) -> Result<Caller, Problem> {
        match &attempt.credential {
            Credential::Certificate => self.by_certificate(device.ok_or_else(refused)?).await,
            Credential::Bearer(secret) if is_leave(secret) => self.by_leave(secret).await,
            Credential::None => Ok(Caller::anonymous()),
            Credential::Job(pass) => Ok(Caller::job(pass)),
            Credential::Malformed => Err(refused()),
            Credential::Bearer(secret) if is_pass(secret.expose()) => self.by_pass(secret).await,
            Credential::Bearer(secret) => self.by_token(secret).await,
            Credential::Session(secret) => self.by_session(secret).await,
            Credential::Signed(signed) => self.by_signature(signed).await,
            // The MLflow client can send a token as a password; the user name then says nothing.
            Credential::Basic { password, .. } if parse_secret_text(password.expose()).is_some() => self.by_token(password).await,
            Credential::Basic { username, password } => self.by_password(username, password).await,
            Credential::LogIn { password, .. } if parse_secret_text(password.expose()).is_some() => self.by_token(password).await,
            Credential::LogIn { username, password, code } => {
                let known = self.inner.watch.get().is_some_and(|watch| watch.knows_browser(attempt, username));
                self.by_form(username, password, code.as_ref(), known).await
            }
            Credential::Passkey(assertion) => self.by_passkey(assertion, device).await,
            Credential::Federated(returned) => self.by_provider(returned).await,
            Credential::Exchange(token) => self.by_platform(token).await,
            Credential::Device(secret) => self.by_device(secret).await,
            Credential::Code(shown) => self.by_code(shown).await,
            Credential::Statement(statement) => self.by_statement(statement).await,
        }
    }

    async fn by_token(&self, secret: &Secret) -> Result<Caller, Problem> {
        match parse_secret_text(secret.expose()) {
            Some(SecretKind::Personal | SecretKind::Service) => {}
            Some(_) | None => return Err(refused()),
        }
        let key = sha256(secret.expose());
        let now = self.inner.memory.moment(self.clock.now());
        if let Some(caller) = self.inner.memory.good(&key, now) {
            return Ok(caller);
        }
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let found = self.db.read_point(move |reader| Ok(store::token_by_digest(reader, &key)?)).await?;
        let found = live(found, now.at())?;
        self.accept(key, found, now)
    }

    async fn by_pass(&self, secret: &Secret) -> Result<Caller, Problem> {
        let said = self.inner.passes.open(secret.expose()).ok_or_else(refused)?;
        let key = sha256(secret.expose());
        let now = self.inner.memory.moment(self.clock.now());
        if let Some(caller) = self.inner.memory.good(&key, now) {
            return Ok(caller);
        }
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let (holder, issued_at) = (said.holder, said.issued_at);
        let look_up = move |reader: &mut Reader<'_>| match &holder {
            Holder::Token(id) => Ok(store::token_by_id(reader, id)?),
            Holder::Account(id) => Ok(store::account_by_id(reader, id)?.map(|known| known.since_password(issued_at))),
        };
        let mut found = live(self.db.read_point(look_up).await?, now.at())?;
        found.expires_at = found.expires_at.min(said.expires_at);
        if now.at() >= found.expires_at {
            return Err(refused());
        }
        found.caller.pass = Some(said.pass);
        self.accept(key, found, now)
    }

    /// The signature is judged before anything is looked up, and every time: only the facts behind the key are remembered.
    async fn by_signature(&self, signed: &Signed) -> Result<Caller, Problem> {
        let mismatch = || refused().because(sigv4::Refusal::mismatch());
        let held = self.inner.access_keys.holding(signed).ok_or_else(mismatch)?;
        if !is_right(&held.secret, signed) {
            return Err(mismatch());
        }
        let key = sha256(&[b"access key ".as_slice(), held.secret.expose()].concat());
        let now = self.inner.memory.moment(self.clock.now());
        if let Some(caller) = self.inner.memory.good(&key, now) {
            return Ok(caller);
        }
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let token_id = held.token_id;
        let found = self.db.read_point(move |reader| Ok(store::token_by_id(reader, &token_id)?)).await?;
        let mut found = live(found, now.at())?;
        if let Some(ends_at) = held.expires_at {
            found.expires_at = found.expires_at.min(ends_at);
        }
        if now.at() >= found.expires_at {
            return Err(refused());
        }
        self.accept(key, found, now)
    }

    async fn by_session(&self, secret: &Secret) -> Result<Caller, Problem> {
        if parse_secret_text(secret.expose()) != Some(SecretKind::Session) {
            return Err(refused());
        }
        let key = sha256(secret.expose());
        let now = self.inner.memory.moment(self.clock.now());
        if let Some(caller) = self.inner.memory.good(&key, now) {
            return Ok(caller);
        }
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let found = self.db.read_point(move |reader| Ok(store::session_by_digest(reader, &key)?)).await?;
        let mut found = live(found, now.at())?;
        let id = found.caller.token.as_ref().map_or("", |token| &token.id);
        let last_seen = self.inner.memory.last_use(UseOf::Session, id).unwrap_or_default().max(found.last_seen);
        let idle_until = last_seen.plus_secs(self.inner.config.session_limits_s(found.caller.assurance).1);
        if now.at() >= idle_until {
            return Err(refused());
        }
        found.expires_at = found.expires_at.min(idle_until);
        self.accept(key, found, now)
    }

    fn accept(&self, key: CredentialKey, found: FoundCredential, now: Moment) -> Result<Caller, Problem> {
        bounded(&found.caller)?;
        self.inner.memory.remember_good(key, &found.caller, now, found.expires_at);
        Ok(found.caller)
    }

    async fn by_password(&self, username: &str, password: &Secret) -> Result<Caller, Problem> {
        let (name, password) = possible(username, password);
        let memory = &self.inner.memory;
        let key = memory.password_key(&name, &password);
        let now = memory.moment(self.clock.now());
        if let Some(caller) = memory.good(&key, now) {
            return Ok(caller);
        }
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let mut account = self.db.read_point(move |reader| Ok(store::account_by_name(reader, &name)?)).await?;
        let aimed_at = account.as_ref().map(|known| known.caller.id.clone());
        if account.as_ref().is_some_and(|known| known.has_second_factor) {
            // Its password alone is worth nothing; a hash is paid for all the same, and no more is told.
            account = None;
        }
        if let Some(known) = account.as_ref().filter(|known| !known.disabled)
            && memory.was_verified(&key, &known.caller.id, known.epoch, now.at())
        {
            bounded(&known.caller)?;
            memory.remember_good(key, &known.caller, now, Micros(i64::MAX));
            return Ok(known.caller.clone());
        }
        self.verify(key, password, account, now).await.map_err(|problem| about(problem, aimed_at))
    }

    async fn verify(
        &self,
        key: CredentialKey,
        password: Secret,
        account: Option<FoundAccount>,
        now: Moment,
    ) -> Result<Caller, Problem> {
        let memory = &self.inner.memory;
        let turn = self.inner.passwords.turn().await?;
        let at = self.clock.now();
        if let Some(known) = account.as_ref().filter(|known| !known.disabled)
            && memory.was_verified(&key, &known.caller.id, known.epoch, at)
        {
            // A client that sends many requests at once pays for one hash: the first one just verified it.
            bounded(&known.caller)?;
            return Ok(known.caller.clone());
        }
        let hash = account.as_ref().and_then(|known| known.hash.clone());
        let right = self.inner.passwords.verify(turn, password, hash).await?;
        match account {
            Some(known) if right && !known.disabled => {
                bounded(&known.caller)?;
                memory.remember_verified(key, known.caller.id.clone(), known.epoch, at);
                memory.remember_good(key, &known.caller, now, Micros(i64::MAX));
                Ok(known.caller)
            }
            Some(_) | None => Err(refused()),
        }
    }
}

impl IdentityPort {
    /// A log-in form: nothing of it is remembered, for a session is remembered instead. All of it is right, or all of it is refused alike:
    /// nobody learns which half was.
    async fn by_form(&self, username: &str, password: &Secret, code: Option<&Secret>, known: bool) -> Result<Caller, Problem> {
        let (name, password) = possible(username, password);
        let code: Vec<u8> =
            code.map(|code| code.expose().iter().copied().filter(u8::is_ascii_alphanumeric).collect()).unwrap_or_default();
        let digest = recovery_digest(&code);
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let look_up = move |reader: &mut Reader<'_>| {
            let Some(account) = store::account_by_name(reader, &name)? else { return Ok(None) };
            let totp = store::totp(reader, &account.caller.id)?.filter(|totp| totp.confirmed_at.is_some());
            let is_recovery = store::is_recovery_code(reader, &account.caller.id, &digest)?;
            Ok(Some((account, totp, is_recovery)))
        };
        let found = self.db.read_point(look_up).await?;
        let turn = if known { self.inner.passwords.turn_of_known().await? } else { self.inner.passwords.turn().await? };
        let hash = found.as_ref().and_then(|(account, ..)| account.hash.clone());
        let aimed_at = found.as_ref().map(|(account, ..)| account.caller.id.clone());
        let right = self.inner.passwords.verify(turn, password, hash).await?;
        let at = self.clock.now();
        let Some((account, totp, is_recovery)) = found.filter(|(account, ..)| right && !account.disabled) else {
            return Err(about(refused(), aimed_at));
        };
        let mut caller = account.caller;
        bounded(&caller)?;
        let step = totp.and_then(|totp| {
            let seed = self.inner.sealer.open(&totp_purpose(&caller.id), &totp.sealed)?;
            totp::step_of(&seed, &code, at, totp.last_step)
        });
        let (method, once) = match (step, is_recovery) {
            (Some(step), _) => (Method::Totp, Some(Spend::TotpStep(step))),
            (None, true) => (Method::RecoveryCode, Some(Spend::RecoveryCode(digest))),
            (None, false) if account.has_second_factor => return Err(about(refused(), aimed_at)),
            (None, false) => (Method::Password, None),
        };
        caller.assurance = if once.is_some() { 2 } else { 1 };
        caller.proof = Some(Proof { at, method, once });
        Ok(caller)
    }

    /// A passkey. What it signed is judged before it is said whether the account may log in.
    async fn by_passkey(&self, assertion: &Assertion, device: Option<&KnownDevice>) -> Result<Caller, Problem> {
        let at = self.clock.now();
        let begun = self.inner.sealer.begun(Purpose::LogIn, &assertion.ceremony, at).ok_or_else(refused)?;
        if assertion.credential_id.len() > webauthn::CREDENTIAL_ID_BYTES_MAX {
            return Err(refused());
        }
        let id = assertion.credential_id.clone();
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let found = self.db.read_point(move |reader| Ok(store::passkey_by_credential(reader, &id)?)).await?;
        let found = found.filter(|found| !found.account.disabled).ok_or_else(refused)?;
        let asked = webauthn::Asked { challenge: &begun.challenge, origin: &assertion.origin, host: &found.host };
        let said = webauthn::signed(
            &asked,
            &found.public_key,
            &assertion.client_data,
            &assertion.authenticator_data,
            &assertion.signature,
        );
        let said = said.ok_or_else(refused)?;
        let counted = i64::from(said.sign_count) > found.sign_count || (said.sign_count == 0 && found.sign_count == 0);
        if !counted {
            tracing::warn!(passkey.id = found.id, "a passkey's counter did not grow: it may have been copied; refused");
            return Err(refused());
        }
        let mut caller = found.account.caller;
        bounded(&caller)?;
        let once = Spend::Passkey {
            id: found.id,
            sign_count: said.sign_count,
            backed_up: said.backed_up,
            challenge: sha256(begun.challenge.as_bytes()),
        };
        caller.assurance = if device.is_some_and(|device| device.is_hardware_of(&caller.id)) { 3 } else { 2 };
        caller.proof = Some(Proof { at, method: Method::Passkey, once: Some(once) });
        Ok(caller)
    }
}

/// Who vouches for people and programs of elsewhere. Implemented by `server` over the crate `federation`.
pub trait Federate: Send + Sync {
    /// The person who came back from a provider.
    ///
    /// # Errors
    /// `Unauthenticated` if nobody vouches for them, or nobody here is linked with them; `Unavailable` if that cannot be told.
    fn person<'a>(&'a self, returned: &'a Returned) -> BoxFuture<'a, Result<Vouched, Problem>>;

    /// The service account, by name, that a platform's token stands for; none for no such token.
    ///
    /// # Errors
    /// `Unavailable` if that cannot be told.
    fn program<'a>(&'a self, token: &'a Secret) -> BoxFuture<'a, Result<Option<String>, Problem>>;

    /// Who takes note of what an issuer signed: a job of this server, for this one errand.
    ///
    /// # Errors
    /// `Unauthenticated` if no issuer that is trusted signed it; `Unavailable` if that cannot be told.
    fn statement<'a>(&'a self, statement: &'a Statement) -> BoxFuture<'a, Result<Caller, Problem>>;
}

/// What a provider says was shown to it, as far as it is trusted with that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownThere {
    /// Something.
    Any,
    /// Two factors.
    SecondFactor,
    /// Something that cannot be phished.
    PhishingResistant,
}

/// Whom a provider vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// The account's id.
    pub principal_id: String,
    /// What the provider says was shown.
    pub shown: ShownThere,
    /// When they were.
    pub at: Micros,
    /// The provider's issuer.
    pub issuer: String,
    /// What the provider calls its session, where it says so.
    pub session: Option<String>,
}

impl IdentityPort {
    async fn by_provider(&self, returned: &Returned) -> Result<Caller, Problem> {
        let federate = self.inner.federate.get().ok_or_else(refused)?;
        let vouched = federate.person(returned).await?;
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let id = vouched.principal_id;
        let account = self.db.read_point(move |reader| Ok(store::account_by_id(reader, &id)?)).await?;
        let account = account.filter(|known| !known.disabled).ok_or_else(refused)?;
        let mut caller = account.caller;
        bounded(&caller)?;
        let (assurance, method) = match vouched.shown {
            ShownThere::Any => (1, Method::Federated),
            ShownThere::SecondFactor => (2, Method::Federated),
            ShownThere::PhishingResistant => (2, Method::FederatedPhishingResistant),
        };
        caller.assurance = assurance;
        let once = Spend::Federated { issuer: vouched.issuer, session: vouched.session };
        caller.proof = Some(Proof { at: vouched.at.min(self.clock.now()), method, once: Some(once) });
        Ok(caller)
    }

    /// An issuer that tells of its people.
    async fn by_statement(&self, statement: &Statement) -> Result<Caller, Problem> {
        let federate = self.inner.federate.get().ok_or_else(refused)?;
        federate.statement(statement).await
    }

    async fn by_platform(&self, token: &Secret) -> Result<Caller, Problem> {
        let federate = self.inner.federate.get().ok_or_else(refused)?;
        let name = federate.program(token).await?.ok_or_else(refused)?;
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let account = self.db.read_point(move |reader| Ok(store::service_by_name(reader, &name)?)).await?;
        let account = account.filter(|known| !known.disabled).ok_or_else(refused)?;
        bounded(&account.caller)?;
        Ok(account.caller)
    }
}

/// Has the log say whose password it was not.
fn about(problem: Problem, aimed_at: Option<String>) -> Problem {
    match aimed_at {
        Some(account) if problem.kind() == Kind::Unauthenticated => problem.because(Guessed { account }),
        _ => problem,
    }
}

/// What an account's shared secret is sealed for.
pub(crate) fn totp_purpose(principal_id: &str) -> String {
    format!("totp of {principal_id}")
}

/// A name or password that no account can have is refused like any other wrong one: after a hash.
fn possible(username: &str, password: &Secret) -> (String, Secret) {
    let name = username.to_ascii_lowercase();
    let possible = name.len() <= NAME_BYTES_MAX && password.expose().len() <= PASSWORD_BYTES_MAX;
    if possible { (name, password.clone()) } else { (String::new(), Secret::new(Vec::new())) }
}

fn live(found: Option<FoundCredential>, now: Micros) -> Result<FoundCredential, Problem> {
    match found {
        Some(found) if !found.revoked && !found.disabled && now < found.expires_at => Ok(found),
        Some(_) | None => Err(refused()),
    }
}

/// A policy may forbid by group, so a caller is never known with fewer groups than it has: too many is an error.
pub(crate) fn bounded(caller: &Caller) -> Result<(), Problem> {
    if caller.groups.len() > GROUPS_CLOSURE_COUNT_MAX {
        let message =
            format!("the account is in more than {GROUPS_CLOSURE_COUNT_MAX} groups; an administrator must take it out of some");
        return Err(Problem::new(Kind::Unavailable, message));
    }
    Ok(())
}
