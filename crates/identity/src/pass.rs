//! Passes: short-lived credentials for one verb on one thing, for a client that hands part of its work to other programs. A
//! pass names whoever it was made for, so that the door still knows, judges and records them.
//!
//! `sr_pass_<t or a>~<holder's id>~<verb>~<thing>~<issued>~<expires>~<HMAC-SHA256 in hex>`, times in microseconds. Nothing is
//! stored: what it says is looked up anew each time, so a pass ends with the token or account that it stands for.

use aws_lc_rs::{constant_time, hmac};
use gate::{Action, Caller, Pass};
use kernel::{Micros, Problem, Secret, hex, parse_hex};

use crate::access_key::AccessKeys;
use crate::factors::Sealer;
use crate::store::SESSION_ID_PREFIX;

/// How long a pass lasts.
pub const PASS_SECONDS_MAX: i64 = 24 * 3_600;
const PREFIX: &str = "sr_pass_";
const BETWEEN: &str = "~";
/// A longer text was not made here.
const PASS_BYTES_MAX: usize = 512;

/// Makes and reads passes.
pub struct Passes {
    key: hmac::Key,
    secret: Secret,
    actions: &'static [Action],
}

/// Whom a pass stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The token of this id, with all that narrows it.
    Token(String),
    /// The account of this id, which came with its password.
    Account(String),
}

/// What a pass says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) holder: Holder,
    pub(crate) pass: Pass,
    pub(crate) issued_at: Micros,
    pub(crate) expires_at: Micros,
}

impl Passes {
    /// Passes for these verbs, sealed with a key that is made of `secret`.
    #[must_use]
    pub fn new(secret: &Secret, actions: &'static [Action]) -> Self {
        let parent = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&parent, b"strongroom pass v1").as_ref()),
            secret: secret.clone(),
            actions,
        }
    }

    /// What seals under the same secret.
    ///
    /// # Errors
    /// `Internal` if no key can be made of it.
    pub(crate) fn sealer(&self) -> Result<Sealer, Problem> {
        Sealer::new(&self.secret)
    }

    /// Access keys under the same secret.
    pub(crate) fn access_keys(&self) -> AccessKeys {
        AccessKeys::new(&self.secret)
    }

    /// A pass for this caller; none for one that has neither token nor password, such as a browser, and none for a verb that
    /// passes are not made for.
    pub(crate) fn seal(&self, caller: &Caller, pass: &Pass, at: Micros) -> Option<Secret> {
        let (kind, id) = match &caller.token {
            Some(token) if token.id.starts_with(SESSION_ID_PREFIX) => return None,
            Some(token) => ("t", &token.id),
            None if caller.kind == gate::CallerKind::User => ("a", &caller.id),
            None => return None,
        };
        // Nobody makes a pass out of a pass.
        if caller.pass.is_some() || !self.actions.contains(&pass.action) {
            return None;
        }
        let said = [kind, id, pass.action.name, &pass.subject, &at.0.to_string(), &at.plus_secs(PASS_SECONDS_MAX).0.to_string()];
        if said.iter().any(|field| field.is_empty() || !field.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))) {
            return None;
        }
        let said = format!("{PREFIX}{}", said.join(BETWEEN));
        let seal = hex(hmac::sign(&self.key, said.as_bytes()).as_ref());
        Some(Secret::from(format!("{said}{BETWEEN}{seal}"))).filter(|text| text.expose().len() <= PASS_BYTES_MAX)
    }

    /// What a text says, if it was sealed here. Whether it is still good is not asked.
    pub(crate) fn open(&self, text: &[u8]) -> Option<Said> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= PASS_BYTES_MAX)?;
        let (said, seal) = text.rsplit_once(BETWEEN)?;
        let right = hmac::sign(&self.key, said.as_bytes());
        constant_time::verify_slices_are_equal(right.as_ref(), &parse_hex(seal)?).ok()?;
        let fields: Vec<&str> = said.strip_prefix(PREFIX)?.split(BETWEEN).collect();
        let [kind, id, verb, subject, issued_at, expires_at] = fields.as_slice() else { return None };
        let holder = match *kind {
            "t" => Holder::Token((*id).to_owned()),
            "a" => Holder::Account((*id).to_owned()),
            _ => return None,
        };
        let action = *self.actions.iter().find(|action| action.name == *verb)?;
        let time = |text: &str| text.parse().ok().map(Micros);
        let pass = Pass { action, subject: (*subject).to_owned() };
        Some(Said { holder, pass, issued_at: time(issued_at)?, expires_at: time(expires_at)? })
    }
}

/// Whether a text has the form of a pass. Nobody guesses its seal.
pub(crate) fn is_pass(text: &[u8]) -> bool {
    if !text.starts_with(PREFIX.as_bytes()) {
        return false;
    }
    let seal = text.rsplit(|byte| BETWEEN.as_bytes().contains(byte)).next().unwrap_or_default();
    seal.len() == 64 && seal.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gate::{CallerKind, TokenFacts};

    const SEND: Action = Action::write("parcels.send");
    const OPEN: Action = Action::write("parcels.open");

    fn passes(secret: &str) -> Passes {
        Passes::new(&Secret::from(secret.to_owned()), &[SEND])
    }

    fn pass() -> Pass {
        Pass { action: SEND, subject: "0af3".to_owned() }
    }

    fn caller(token_id: Option<&str>) -> Caller {
        let token = token_id.map(|id| TokenFacts { id: id.to_owned(), scopes: Vec::new(), workspace: None, device: None });
        Caller { kind: CallerKind::User, id: "u_1".to_owned(), token, ..Caller::anonymous() }
    }

    #[test]
    fn a_pass_is_read_as_it_was_sealed_and_any_change_breaks_it() {
        for (caller, holder) in
            [(caller(Some("tok_7")), Holder::Token("tok_7".to_owned())), (caller(None), Holder::Account("u_1".to_owned()))]
        {
            let sealed = passes("one").seal(&caller, &pass(), Micros(5)).unwrap();
            assert!(is_pass(sealed.expose()));
            let said = passes("one").open(sealed.expose()).unwrap();
            assert_eq!((said.holder, said.pass, said.issued_at), (holder, pass(), Micros(5)));
            assert_eq!(said.expires_at, Micros(5).plus_secs(PASS_SECONDS_MAX));
            assert_eq!(passes("two").open(sealed.expose()), None);
            for at in 0..sealed.expose().len() {
                let mut wrong = sealed.expose().to_vec();
                wrong[at] ^= 1;
                assert_eq!(passes("one").open(&wrong), None, "byte {at}");
            }
        }
    }

    #[test]
    fn nobody_else_gets_one_and_for_nothing_else() {
        let passes = passes("one");
        let seal = |caller: &Caller, action, subject: &str| {
            passes.seal(caller, &Pass { action, subject: subject.to_owned() }, Micros(5))
        };
        assert!(seal(&caller(None), SEND, "1").is_some());
        assert!(seal(&caller(None), OPEN, "1").is_none());
        assert!(seal(&caller(Some("ses_1")), SEND, "1").is_none());
        assert!(seal(&Caller::anonymous(), SEND, "1").is_none());
        assert!(seal(&Caller { pass: Some(pass()), ..caller(None) }, SEND, "1").is_none());
        for subject in ["", "a~b", "a b", "ä", &"x".repeat(PASS_BYTES_MAX)] {
            assert!(seal(&caller(None), SEND, subject).is_none(), "{subject}");
        }
    }
}
