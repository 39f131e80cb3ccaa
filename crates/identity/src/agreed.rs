//! Who knocks as a command line whose log-in a person agreed to in a browser.

use std::sync::atomic::Ordering;

use gate::{Awaited, Caller, Method, Proof, ShownCode, Spend};
use kernel::{Kind, Micros, Problem, Secret, sha256};

use crate::factors::device::{code_digest, user_code};
use crate::factors::loopback::Challenge;
use crate::port::{IdentityPort, bounded, refused};
use crate::secret_text::{SecretKind, parse_secret_text};
use crate::store::{self, Decided, FoundAccount};

/// What a command line is told until somebody agrees (RFC 8628, section 3.5).
pub const PENDING: &str = "authorization_pending";
/// The same, where it asked too soon: from then on it waits longer.
pub const SLOW_DOWN: &str = "slow_down";
/// What it is told if somebody said no.
pub const DENIED: &str = "access_denied";
/// What it is told if nobody decided in time, or it did not ask in time.
pub const EXPIRED: &str = "expired_token";

/// The word that a refusal's message is for a command line that asks, if it is one.
#[must_use]
pub fn device_word(message: &str) -> Option<&'static str> {
    [PENDING, SLOW_DOWN, DENIED, EXPIRED].into_iter().find(|word| *word == message)
}

impl IdentityPort {
    /// By the secret whose code somebody agreed to.
    pub(crate) async fn by_device(&self, secret: &Secret) -> Result<Caller, Problem> {
        let digest = user_code(secret).as_deref().and_then(code_digest).ok_or_else(refused)?;
        let at = self.clock.now();
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let told = |word: &'static str| Problem::new(Kind::Unauthenticated, word);
        match self.db.read_point(move |reader| Ok(store::decided(reader, &digest, at)?)).await? {
            Some(Decided::Agreed(account, approved_at)) => command_line(*account, approved_at, Spend::Device(digest)),
            Some(Decided::Denied) => Err(told(DENIED)),
            Some(Decided::Late) => Err(told(EXPIRED)),
            Some(Decided::Used) => Err(refused()),
            None => Err(told(self.inner.polls.ask(&digest, at)).because(Awaited)),
        }
    }

    /// By the code that a browser brought. One that was used is known all the same: who shows it a second time, with all that belongs to it, is
    /// told so by the verb, which ends what the first one got. The code alone, which a browser's history keeps, ends nothing.
    pub(crate) async fn by_code(&self, shown: &ShownCode) -> Result<Caller, Problem> {
        if parse_secret_text(shown.code.expose()) != Some(SecretKind::Code) {
            return Err(refused());
        }
        let challenge = Challenge::of(&shown.verifier).ok_or_else(refused)?;
        let (digest, at) = (sha256(shown.code.expose()), self.clock.now());
        self.lookup_count.fetch_add(1, Ordering::Relaxed);
        let found = self.db.read_point(move |reader| Ok(store::code(reader, &digest, at)?)).await?;
        let found = found.filter(|found| found.challenge == challenge.0 && found.redirect_uri == shown.redirect_uri);
        let found = found.ok_or_else(refused)?;
        command_line(found.account, found.approved_at, Spend::Code(digest))
    }
}

fn command_line(account: FoundAccount, approved_at: Micros, once: Spend) -> Result<Caller, Problem> {
    if account.disabled {
        return Err(refused());
    }
    let mut caller = account.caller;
    bounded(&caller)?;
    caller.proof = Some(Proof { at: approved_at, method: Method::Device, once: Some(once) });
    Ok(caller)
}
