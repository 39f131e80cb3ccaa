//! Log-ins of command lines, which a person agrees to in a browser.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, Secret, sha256};

use super::whole::{person, whole_person};
use crate::factors::device::code_digest;
use crate::factors::loopback::{CODE_SECONDS, Challenge, Loopback};
use crate::secret_text::{SecretKind, mint};
use crate::{Identity, store};

/// The verb of [`AgreeToDevice`] and [`AgreeToLoopback`].
pub const TOKENS_AGREE: Action = Action::write("tokens.agree");

/// The verb of [`DenyDevice`].
pub const TOKENS_DENY: Action = Action::write("tokens.deny");

/// How long a command line's token lives, which a person agreed to.
pub const COMMAND_LINE_TOKEN_SECONDS: i64 = 12 * 3_600;

/// Agrees to the log-in of a command line, by the code that it shows.
pub struct AgreeToDevice {
    /// The room.
    pub room: Identity,
    /// The code.
    pub code: String,
}

impl Operation for AgreeToDevice {
    const ACTION: Action = TOKENS_AGREE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, caller, own) = (permit.entry().at, permit.caller().clone(), person(permit.caller())?.to_owned());
        let digest = digest_of(&self.code)?;
        if self.room.inner.polls.is_over(&digest, at) {
            return Err(Problem::invalid("this code is over: it is older than ten minutes; run `strongroom login` again"));
        }
        let write = self.room.db.write(&permit, move |tx| {
            // What it gets outlives a token that opened this session.
            whole_person(tx, &caller)?;
            store::decide(tx, &digest, (&own, true), at)?;
            Ok(((), Outcome::done().resource(own)))
        });
        write.await
    }
}

/// Denies the log-in of a command line, by the code that somebody sent: whoever began it is told so, and nobody can agree to it any more.
pub struct DenyDevice {
    /// The room.
    pub room: Identity,
    /// The code.
    pub code: String,
}

impl Operation for DenyDevice {
    const ACTION: Action = TOKENS_DENY;
    type Output = ();

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, own) = (permit.entry().at, person(permit.caller())?.to_owned());
        let digest = digest_of(&self.code)?;
        let write = self.room.db.write(&permit, move |tx| {
            store::decide(tx, &digest, (&own, false), at)?;
            Ok(((), Outcome::done().resource(own)))
        });
        write.await
    }
}

fn digest_of(code: &str) -> Result<[u8; 32], Problem> {
    let bad = || Problem::invalid("this is not a code; it is ten letters and digits, as the command line shows them");
    code_digest(code).ok_or_else(bad)
}

/// Agrees to the log-in of a command line on the browser's own machine. Gives the code that the browser brings it.
pub struct AgreeToLoopback {
    /// The room.
    pub room: Identity,
    /// Of what only the command line knows.
    pub challenge: Challenge,
    /// Where it listens.
    pub address: Loopback,
}

impl Operation for AgreeToLoopback {
    const ACTION: Action = TOKENS_AGREE;
    type Output = Secret;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Secret, Problem> {
        let (at, caller, own) = (permit.entry().at, permit.caller().clone(), person(permit.caller())?.to_owned());
        let Self { room, challenge, address } = self;
        let write = room.db.write(&permit, move |tx| {
            // As above.
            whole_person(tx, &caller)?;
            let code = mint(SecretKind::Code);
            let new = store::NewCode {
                digest: &sha256(code.expose()),
                principal_id: &own,
                challenge: &challenge.0,
                redirect_uri: &address.to_string(),
                at,
                expires_at: at.plus_secs(CODE_SECONDS),
            };
            store::put_code(tx, &new)?;
            Ok((code, Outcome::done().resource(own)))
        });
        write.await
    }
}
