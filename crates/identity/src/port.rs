//! The gate's question: who knocks?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gate::{Attempt, BoxFuture, Caller, Credential, Identify, Signed};
use kernel::{Clock, Kind, Micros, Problem, Secret, sha256};
use vault::db::{PortDb, Reader, SystemDb};

use crate::Inner;
use crate::access_key::is_right;
use crate::memory::{CredentialKey, Moment, UseOf};
use crate::names::NAME_BYTES_MAX;
use crate::pass::{Holder, is_pass};
use crate::password::PASSWORD_LENGTH_MAX;
use crate::secret_text::{SecretKind, parse_secret_text};
use crate::store::{self, FoundAccount, FoundCredential};
use crate::types::GROUPS_CLOSURE_COUNT_MAX;

/// Ended sessions are kept this long, for lists and questions, and then deleted.
const ENDED_SESSION_DAYS: i64 = 7;
/// A UTF-8 character has at most 4 bytes.
const PASSWORD_BYTES_MAX: usize = PASSWORD_LENGTH_MAX * 4;

/// Implements [`Identify`] over the database, with a memory of half a second.
pub struct IdentityPort {
    db: PortDb,
    lookup_count: AtomicU64,
    clock: Arc<dyn Clock>,
    inner: Arc<Inner>,
}

/// The one answer to every credential that is not good: which part was wrong is nobody's business. The first sentence is
/// MLflow's.
fn refused() -> Problem {
    Problem::new(
        Kind::Unauthenticated,
        "You are not authenticated. Send a valid token (MLFLOW_TRACKING_TOKEN) or a user name and password \
         (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD); tokens expire and can be revoked: ask for a new one if in doubt.",
    )
}

impl Identify for IdentityPort {
    fn identify<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Caller, Problem>> {
        Box::pin(self.caller_of(&attempt.credential))
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

    /// How many credentials were looked up in the database since the start.
    #[must_use]
    pub fn lookup_count(&self) -> u64 {
        self.lookup_count.load(Ordering::Relaxed)
    }

    async fn caller_of(&self, credential: &Credential) -> Result<Caller, Problem> {
        match credential {
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
        }
    }

    async fn by_token(&self, secret: &Secret) -> Result<Caller, Problem> {
        match parse_secret_text(secret.expose()) {
            Some(SecretKind::Personal | SecretKind::Service) => {}
            Some(SecretKind::Session) | None => return Err(refused()),
        }
        let key = sha256(secret.expose());
        let now = self.inner.memory.moment(self.clock.now());
        if let Some(caller) = self.inner.memory.good(&key, now) {
            return Ok(caller);
        }
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let found = self.db.read_point(move |reader| Ok(store::token_by_digest(reader, &key)?)).await?;
        let found = live(found, now.at())?;
        self.accept(key, found, UseOf::Token, now)
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
        self.accept(key, found, UseOf::Token, now)
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
        self.accept(key, found, UseOf::Token, now)
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
        let idle_until = last_seen.plus_secs(i64::from(self.inner.config.session_idle_minutes_max) * 60);
        if now.at() >= idle_until {
            return Err(refused());
        }
        found.expires_at = found.expires_at.min(idle_until);
        self.accept(key, found, UseOf::Session, now)
    }

    fn accept(&self, key: CredentialKey, found: FoundCredential, of: UseOf, now: Moment) -> Result<Caller, Problem> {
        bounded(&found.caller)?;
        if let Some(token) = &found.caller.token {
            self.inner.memory.note_use(of, &token.id, now.at());
        }
        self.inner.memory.remember_good(key, &found.caller, now, found.expires_at);
        Ok(found.caller)
    }

    async fn by_password(&self, username: &str, password: &Secret) -> Result<Caller, Problem> {
        // A name or password that no account can have is refused like any other wrong one: after a hash.
        let name = username.to_ascii_lowercase();
        let possible = name.len() <= NAME_BYTES_MAX && password.expose().len() <= PASSWORD_BYTES_MAX;
        let (name, password) = if possible { (name, password.clone()) } else { (String::new(), Secret::new(Vec::new())) };
        let memory = &self.inner.memory;
        let key = memory.password_key(&name, &password);
        let now = memory.moment(self.clock.now());
        if let Some(caller) = memory.good(&key, now) {
            return Ok(caller);
        }
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let account = self.db.read_point(move |reader| Ok(store::account_by_name(reader, &name)?)).await?;
        if let Some(known) = account.as_ref().filter(|known| !known.disabled)
            && memory.was_verified(&key, &known.caller.id, known.epoch, now.at())
        {
            bounded(&known.caller)?;
            memory.remember_good(key, &known.caller, now, Micros(i64::MAX));
            return Ok(known.caller.clone());
        }
        self.verify(key, password, account, now).await
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

fn live(found: Option<FoundCredential>, now: Micros) -> Result<FoundCredential, Problem> {
    match found {
        Some(found) if !found.revoked && !found.disabled && now < found.expires_at => Ok(found),
        Some(_) | None => Err(refused()),
    }
}

/// A policy may forbid by group, so a caller is never known with fewer groups than it has: too many is an error.
fn bounded(caller: &Caller) -> Result<(), Problem> {
    if caller.groups.len() > GROUPS_CLOSURE_COUNT_MAX {
        let message =
            format!("the account is in more than {GROUPS_CLOSURE_COUNT_MAX} groups; an administrator must take it out of some");
        return Err(Problem::new(Kind::Unavailable, message));
    }
    Ok(())
}
