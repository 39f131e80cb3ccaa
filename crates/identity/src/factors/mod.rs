//! What people show beside or instead of a password: one-time codes, recovery codes, passkeys. Pure but for randomness.

mod cbor;
pub(crate) mod device;
pub(crate) mod loopback;
mod sealer;
pub(crate) mod totp;
pub(crate) mod webauthn;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Micros, Problem, Secret, random_bytes, random_text, sha256};

pub(crate) use sealer::Sealer;
pub use webauthn::ALGORITHMS as PASSKEY_ALGORITHMS;

/// How long a browser has for a ceremony (Web Authentication, section 15.1, advises 5 to 10 minutes).
pub const CEREMONY_SECONDS: i64 = 300;
/// How many recovery codes an account has.
pub const RECOVERY_CODE_COUNT: usize = 10;
/// 20 base62 characters hold 119 bits.
const RECOVERY_CODE_LENGTH: usize = 20;
const RECOVERY_GROUP: usize = 5;
const CEREMONY_BYTES_MAX: usize = 1_024;

/// What a ceremony is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A key is made for the account.
    Make,
    /// Somebody logs in.
    LogIn,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Make => "passkey is made",
            Self::LogIn => "passkey logs in",
        }
    }
}

/// A challenge as it is given to a browser, and the sealed text that must come back with the answer: nothing is kept here meanwhile, so that
/// strangers who begin and never end cost nothing.
#[derive(Clone, Debug)]
pub struct Ceremony {
    /// Base64url, as `clientDataJSON` will repeat it.
    pub challenge: String,
    /// Comes back unread.
    pub sealed: Secret,
}

/// What a sealed text says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) challenge: String,
    /// For whom it was begun; empty for a log-in.
    pub(crate) principal_id: String,
}

impl Sealer {
    /// Begins a ceremony.
    ///
    /// # Errors
    /// `Internal` if it cannot be sealed.
    pub(crate) fn begin(&self, purpose: Purpose, principal_id: &str, at: Micros) -> Result<Ceremony, Problem> {
        let challenge = URL_SAFE_NO_PAD.encode(random_bytes::<32>());
        let said = format!("{challenge}\n{}\n{principal_id}", at.plus_secs(CEREMONY_SECONDS).0);
        let sealed = URL_SAFE_NO_PAD.encode(self.seal(purpose.word(), said.as_bytes())?);
        Ok(Ceremony { challenge, sealed: Secret::from(sealed) })
    }

    /// What was begun here for this purpose, if its time is not over.
    pub(crate) fn begun(&self, purpose: Purpose, sealed: &Secret, at: Micros) -> Option<Begun> {
        if sealed.expose().len() > CEREMONY_BYTES_MAX {
            return None;
        }
        let opened = self.open(purpose.word(), &URL_SAFE_NO_PAD.decode(sealed.expose()).ok()?)?;
        let mut lines = opened.expose_text()?.split('\n');
        let (challenge, until, principal_id) = (lines.next()?, lines.next()?, lines.next()?);
        let until: i64 = until.parse().ok()?;
        (at.0 < until).then(|| Begun { challenge: challenge.to_owned(), principal_id: principal_id.to_owned() })
    }
}

/// New recovery codes, as people keep them (groups of letters and digits), and what is stored of each.
pub(crate) fn new_recovery_codes() -> (Vec<Secret>, Vec<[u8; 32]>) {
    let code = |_| {
        let text = random_text(RECOVERY_CODE_LENGTH);
        let groups: Vec<&str> = (0..RECOVERY_CODE_LENGTH / RECOVERY_GROUP)
            .filter_map(|group| text.get(group * RECOVERY_GROUP..(group + 1) * RECOVERY_GROUP))
            .collect();
        Secret::from(groups.join("-"))
    };
    let codes: Vec<Secret> = (0..RECOVERY_CODE_COUNT).map(code).collect();
    let digests = codes.iter().map(|code| recovery_digest(code.expose())).collect();
    (codes, digests)
}

/// What is stored of a recovery code. Spaces and dashes do not count.
pub(crate) fn recovery_digest(code: &[u8]) -> [u8; 32] {
    let letters: Vec<u8> = code.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
    sha256(&[b"recovery code ".as_slice(), &letters].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ceremony_ends_with_its_time_and_serves_its_purpose_only() {
        let sealer = Sealer::new(&Secret::from("one".to_owned())).unwrap();
        let at = Micros(1_800_000_000_000_000);
        let begun = sealer.begin(Purpose::Make, "u_1", at).unwrap();
        let late = at.plus_secs(CEREMONY_SECONDS);
        let read = sealer.begun(Purpose::Make, &begun.sealed, at).unwrap();
        assert_eq!(read, Begun { challenge: begun.challenge.clone(), principal_id: "u_1".to_owned() });
        assert!(sealer.begun(Purpose::LogIn, &begun.sealed, at).is_none());
        assert!(sealer.begun(Purpose::Make, &begun.sealed, late).is_none());
        assert!(sealer.begun(Purpose::Make, &Secret::from("x".repeat(2_000)), at).is_none());
        assert_ne!(sealer.begin(Purpose::Make, "u_1", at).unwrap().challenge, begun.challenge);
    }

    #[test]
    fn recovery_codes_are_many_long_and_forgiving_of_how_they_are_typed() {
        let (codes, digests) = new_recovery_codes();
        assert_eq!((codes.len(), digests.len()), (RECOVERY_CODE_COUNT, RECOVERY_CODE_COUNT));
        assert_eq!(digests[1], recovery_digest(codes[1].expose()));
        let first = codes[0].expose_text().unwrap();
        assert_eq!(first.len(), 23);
        let bare = first.replace('-', "");
        assert_eq!(recovery_digest(first.as_bytes()), recovery_digest(format!(" {bare} ").as_bytes()));
        assert_ne!(recovery_digest(first.as_bytes()), recovery_digest(codes[1].expose()));
    }
}
