//! Browser sessions: begin, end, list.

use gate::{Action, CallerKind, Method, Operation, Outcome, Permit, Spend, Target};
use kernel::{Kind, Problem, Secret};

use super::own_account;
use crate::secret_text::{SecretKind, mint};
use crate::store::{NewSession, SESSION_ID_PREFIX};
use crate::types::{OpenedSession, Session};
use crate::{Identity, store};

/// The verb of [`CreateSession`].
pub const SESSIONS_CREATE: Action = Action::write("sessions.create");
/// The verb of [`DeleteSession`].
pub const SESSIONS_DELETE: Action = Action::write("sessions.delete");
/// The verb of [`ListSessions`].
pub const SESSIONS_LIST: Action = Action::read("sessions.list");

/// Begins a session for the caller, who has just shown a password, a token or a passkey. The session can do no more than what was
/// shown, and ends with it; what counts once is taken in the same commit. A caller who came with a session gets a new secret for it:
/// the old one ends.
pub struct CreateSession {
    /// The room.
    pub room: Identity,
    /// The cookie of the session that this one takes the place of: a step-up, or another person's in the same browser.
    pub replaces: Option<Secret>,
}

impl Operation for CreateSession {
    const ACTION: Action = SESSIONS_CREATE;
    type Output = OpenedSession;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<OpenedSession, Problem> {
        let (at, caller) = (permit.entry().at, permit.caller().clone());
        own_account(&caller)?;
        if caller.kind != CallerKind::User {
            return Err(Problem::invalid("sessions are for people; a service account sends its token with each request"));
        }
        let usual_end = at.plus_secs(self.room.inner.config.session_limits_s(caller.assurance).0);
        let idle = self.room.inner.config.idle_since(at);
        let secret = mint(SecretKind::Session);
        let proof = caller.proof.clone();
        let (replaces, proved) = (self.replaces, proof.as_ref().map(|proof| proof.at));
        let write = self.room.db.write(&permit, move |tx| {
            let ended = || {
                Problem::new(Kind::Unauthenticated, "You are not authenticated. The token or session has ended in this moment.")
            };
            if let Some(once) = proof.as_ref().and_then(|proof| proof.once.as_ref())
                && !store::spend(tx, &caller.id, once, at)?
            {
                return Err(Problem::new(
                    Kind::Unauthenticated,
                    "You are not authenticated. What was shown is taken once; begin again, with the next code if it was one.",
                ));
            }
            // The browser forgets the old secret, so its session ends, also where it was somebody else's.
            let mut replaced = None;
            if let Some(old) = replaces
                && let Some(old) = store::session_of_secret(tx, &old)?
            {
                store::revoke_any_session(tx, &old, at)?;
                replaced = Some(old);
            }
            let method = match (&proof, &caller.token) {
                (Some(proof), _) => proof.method,
                (None, Some(_)) => Method::Token,
                (None, None) => Method::Password,
            };
            // A session that is only given a new secret is no fresher for it.
            let proved_at = proof.as_ref().map_or(at, |proof| proof.at);
            let (mut token_id, mut expires_at) = (None, usual_end);
            let mut origin = match proof.as_ref().and_then(|proof| proof.once.as_ref()) {
                Some(Spend::Federated { issuer, session }) => Some((issuer.clone(), session.clone())),
                _ => None,
            };
            if let Some(facts) = &caller.token {
                token_id = if facts.id.starts_with(SESSION_ID_PREFIX) {
                    // Rotation gives a new secret, not a longer life.
                    expires_at = store::session_end(tx, &facts.id)?.ok_or_else(ended)?.min(usual_end);
                    let token_id = store::token_of_session(tx, &facts.id)?.ok_or_else(ended)?;
                    // It is the provider's still: it ends with the log-in there.
                    origin = store::origin_of_session(tx, &facts.id)?;
                    store::revoke_session(tx, &facts.id, &caller.id, at)?;
                    token_id
                } else {
                    Some(facts.id.clone())
                };
            }
            if let Some(token_id) = &token_id {
                expires_at = store::hold_token(tx, token_id, at)?.ok_or_else(ended)?.min(expires_at);
            }
            let facts = caller.token.as_ref();
            let session = store::create_session(
                tx,
                &NewSession {
                    principal_id: &caller.id,
                    secret: &secret,
                    token_id: token_id.as_deref(),
                    scopes: facts.map_or(&[], |facts| &facts.scopes),
                    workspace_id: facts.and_then(|facts| facts.workspace.as_deref()),
                    assurance: caller.assurance,
                    proved_at,
                    method,
                    log_in_risk: caller.log_in_risk,
                    // Who steals the cookie would need the device's key too.
                    device_id: caller.device.as_ref().map(|device| device.id.as_str()),
                    origin: origin.as_ref().map(|(issuer, session)| (issuer.as_str(), session.as_deref())),
                    expires_at,
                    idle,
                    at,
                },
            )?;
            let mut outcome = Outcome::done().resource(session.id.clone()).with("method", method.word());
            if let Some(replaced) = replaced {
                outcome = outcome.with("replaced", replaced);
            }
            Ok((OpenedSession { session, secret, known_browser: None }, outcome))
        });
        let mut opened = write.await?;
        self.room.inner.memory.forget();
        let Some(watch) = self.room.inner.watch.get() else { return Ok(opened) };
        if let Some(at) = proved
            && let Some(shown) = self.room.inner.memory.take_log_in(&permit.caller().id, at)
        {
            opened.known_browser = Some(watch.began(&shown, &opened.session.id).await);
        } else if let Some(facts) = &permit.caller().token {
            watch.succeeded(&opened.session.id, &facts.id).await;
        }
        Ok(opened)
    }
}

/// Ends a session of the caller's own.
pub struct DeleteSession {
    /// The room.
    pub room: Identity,
    /// The session's id; the one that the caller came with if none.
    pub session: Option<String>,
}

impl Operation for DeleteSession {
    const ACTION: Action = SESSIONS_DELETE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, own) = (permit.entry().at, own_account(permit.caller())?.to_owned());
        let used = permit.caller().token.as_ref().map(|token| token.id.clone());
        let id = self.session.or(used).ok_or_else(|| Problem::invalid("name the session to end"))?;
        let write = self.room.db.write(&permit, move |tx| {
            if !store::revoke_session(tx, &id, &own, at)? {
                return Err(Problem::not_found("there is no such session"));
            }
            Ok(((), Outcome::done().resource(id)))
        });
        write.await?;
        self.room.inner.memory.forget();
        Ok(())
    }
}

/// Lists the caller's own live sessions, oldest first.
pub struct ListSessions {
    /// The room.
    pub room: Identity,
    /// Whose, by id or name; the caller's own if none.
    pub of: Option<String>,
}

impl Operation for ListSessions {
    const ACTION: Action = SESSIONS_LIST;
    type Output = Vec<Session>;

    fn target(&self) -> Target {
        if self.of.is_some() { Target::Server } else { Target::Myself }
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Session>, Problem> {
        let at = permit.entry().at;
        let own = own_account(permit.caller()).map(str::to_owned);
        let of = self.of;
        let used = permit.caller().token.as_ref().map(|token| token.id.clone());
        let idle = self.room.inner.config.idle_since(at);
        let read = self.room.db.read(&permit, move |reader| {
            let account = match &of {
                Some(other) => {
                    let found = store::any_principal(reader, other)?.map(|found| found.id);
                    found.ok_or_else(|| Problem::not_found("there is no account of this id or name"))?
                }
                None => own?,
            };
            let live = store::live_sessions(reader, &account, idle, at)?;
            Ok(live.into_iter().map(|(id, session)| Session { current: used.as_deref() == Some(&id), ..session }).collect())
        });
        read.await
    }
}
