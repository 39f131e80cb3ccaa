//! One-time codes, passkeys and recovery codes of one's own account; and an administrator's way to take them away.
//!
//! Who changes them must have shown who they are a moment ago: the policy asks for it (`forbid:stale-proof`).

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, Secret, sha256};

use crate::factors::{Ceremony, Purpose, new_recovery_codes, totp, webauthn};
use crate::names::parse_label;
use crate::ops::lasting::may_open;
use crate::ops::whole::{person, whole_person};
use crate::port::totp_purpose;
use crate::store::{NewPasskey, SESSION_ID_PREFIX};
use crate::types::{Factors, Passkey, Principal, PrincipalKind, TotpOffer};
use crate::{Identity, store};

/// The verb of [`ListFactors`].
pub const FACTORS_LIST: Action = Action::read("factors.list");
/// The verb of [`OfferTotp`].
pub const FACTORS_OFFER_TOTP: Action = Action::write("factors.offer_totp");
/// The verb of [`ConfirmTotp`].
pub const FACTORS_CONFIRM_TOTP: Action = Action::write("factors.confirm_totp");
/// The verb of [`AddPasskey`].
pub const FACTORS_ADD_PASSKEY: Action = Action::write("factors.add_passkey");
/// The verb of [`RemoveFactor`].
pub const FACTORS_REMOVE: Action = Action::write("factors.remove");
/// The verb of [`RenewRecoveryCodes`].
pub const FACTORS_RECOVERY_CODES: Action = Action::write("factors.recovery_codes");
/// The verb of [`ResetFactors`].
pub const USERS_RESET_FACTORS: Action = Action::write("users.reset_factors");

/// Lists what the caller's account has beside its password, and begins the ceremony with which a passkey could be added.
pub struct ListFactors {
    /// The room.
    pub room: Identity,
}

impl Operation for ListFactors {
    const ACTION: Action = FACTORS_LIST;
    type Output = (Factors, Ceremony);

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<(Factors, Ceremony), Problem> {
        let own = person(permit.caller())?.to_owned();
        let ceremony = self.room.inner.sealer.begin(Purpose::Make, &own, permit.entry().at)?;
        let read = self.room.db.read(&permit, move |reader| {
            Ok(Factors {
                totp_since: store::totp(reader, &own)?.and_then(|totp| totp.confirmed_at),
                passkeys: store::passkeys(reader, &own)?,
                recovery_codes_left: store::recovery_codes_left(reader, &own)?,
            })
        });
        Ok((read.await?, ceremony))
    }
}

/// Makes a shared secret for one-time codes. It counts once [`ConfirmTotp`] has seen a code of it.
pub struct OfferTotp {
    /// The room.
    pub room: Identity,
    /// What authenticator apps call the server.
    pub issuer: String,
}

impl Operation for OfferTotp {
    const ACTION: Action = FACTORS_OFFER_TOTP;
    type Output = TotpOffer;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<TotpOffer, Problem> {
        let (at, caller, own) = (permit.entry().at, permit.caller().clone(), person(permit.caller())?.to_owned());
        let seed = totp::new_seed();
        let typed = totp::typed(&seed);
        // Key URI format of authenticator apps; names and hosts hold no character that must be escaped.
        let secret = typed.expose_text().unwrap_or_default();
        let uri = format!("otpauth://totp/{0}:{1}?secret={secret}&issuer={0}", self.issuer, permit.caller().name);
        let sealed = self.room.inner.sealer.seal(&totp_purpose(&own), seed.expose())?;
        let write = self.room.db.write(&permit, move |tx| {
            whole_person(tx, &caller)?;
            if !store::put_totp(tx, &own, &sealed, at)? {
                return Err(Problem::new(
                    Kind::Conflict,
                    "one-time codes are set up already; remove them first to set them up anew",
                ));
            }
            Ok(((), Outcome::done().resource(own)))
        });
        write.await?;
        Ok(TotpOffer { uri: Secret::from(uri), typed })
    }
}

/// Confirms the shared secret with a code of it. Gives recovery codes where the account had none.
pub struct ConfirmTotp {
    /// The room.
    pub room: Identity,
    /// The code.
    pub code: Secret,
}

impl Operation for ConfirmTotp {
    const ACTION: Action = FACTORS_CONFIRM_TOTP;
    type Output = Vec<Secret>;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Secret>, Problem> {
        let Self { room, code } = self;
        let (at, caller, own) = (permit.entry().at, permit.caller().clone(), person(permit.caller())?.to_owned());
        let memory = &room.inner.memory;
        if let Some(wait) = memory.guess_wait(&own, at) {
            return Err(Problem::new(Kind::TooMany, "the code was wrong too often; try again later").retry_after(wait));
        }
        memory.note_guess(&own, at);
        let sealer_room = room.clone();
        let (codes, digests) = new_recovery_codes();
        let write = room.db.write(&permit, move |tx| {
            whole_person(tx, &caller)?;
            let waiting = store::totp(tx, &own)?.filter(|totp| totp.confirmed_at.is_none());
            let waiting = waiting.ok_or_else(|| Problem::invalid("no one-time codes wait to be confirmed; set them up first"))?;
            let seed = sealer_room.inner.sealer.open(&totp_purpose(&own), &waiting.sealed);
            let seed = seed.ok_or_else(|| Problem::internal("a shared secret cannot be opened", "sealed under another key"))?;
            let digits: Vec<u8> = code.expose().iter().copied().filter(u8::is_ascii_alphanumeric).collect();
            let step = totp::step_of(&seed, &digits, at, waiting.last_step).ok_or_else(|| {
                Problem::invalid("this is not the code of this moment; check the clock of the device that shows it")
            })?;
            store::confirm_totp(tx, &own, step, at)?;
            let first = store::put_first_recovery_codes(tx, &own, &digests, at)?;
            Ok((first, Outcome::done().resource(own)))
        });
        let first = write.await?;
        memory.forget_guesses(&permit.caller().id);
        memory.forget();
        Ok(if first { codes } else { Vec::new() })
    }
}

/// Adds a passkey that was made in the ceremony of [`ListFactors`]. Gives recovery codes where the account had none.
pub struct AddPasskey {
    /// The room.
    pub room: Identity,
    /// What to call it.
    pub label: String,
    /// The ceremony's sealed text.
    pub ceremony: Secret,
    /// The origin that the browser is on: scheme, host and port.
    pub origin: String,
    /// Its host.
    pub host: String,
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `attestationObject`.
    pub attestation_object: Vec<u8>,
}

impl Operation for AddPasskey {
    const ACTION: Action = FACTORS_ADD_PASSKEY;
    type Output = (Passkey, Vec<Secret>);

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<(Passkey, Vec<Secret>), Problem> {
        let Self { room, label, ceremony, origin, host, client_data, attestation_object } = self;
        let (at, caller, own) = (permit.entry().at, permit.caller().clone(), person(permit.caller())?.to_owned());
        let label = parse_label(&label)?;
        let wrong = || Problem::invalid("the passkey could not be read, or took too long; try again");
        let begun = room.inner.sealer.begun(Purpose::Make, &ceremony, at).filter(|begun| begun.principal_id == own);
        let begun = begun.ok_or_else(wrong)?;
        let asked = webauthn::Asked { challenge: &begun.challenge, origin: &origin, host: &host };
        let made = webauthn::made(&asked, &client_data, &attestation_object).ok_or_else(wrong)?;
        let challenge = sha256(begun.challenge.as_bytes());
        let (codes, digests) = new_recovery_codes();
        let write = room.db.write(&permit, move |tx| {
            whole_person(tx, &caller)?;
            if !store::take_challenge(tx, &challenge, at)? {
                return Err(wrong());
            }
            let new = NewPasskey {
                principal_id: &own,
                credential_id: &made.credential_id,
                host: &host,
                public_key: &made.public_key,
                sign_count: made.sign_count,
                backed_up: made.backed_up,
                label: &label,
                at,
            };
            let passkey = store::add_passkey(tx, &new)?;
            let first = store::put_first_recovery_codes(tx, &own, &digests, at)?;
            let outcome = Outcome::done().resource(passkey.id.clone());
            Ok(((passkey, first), outcome))
        });
        let (passkey, first) = write.await?;
        room.inner.memory.forget();
        Ok((passkey, if first { codes } else { Vec::new() }))
    }
}

/// Removes one of the caller's own factors. It ends all other sessions: whoever found the key may have begun one.
pub struct RemoveFactor {
    /// The room.
    pub room: Identity,
    /// `totp`, or a passkey's id.
    pub factor: String,
}

impl Operation for RemoveFactor {
    const ACTION: Action = FACTORS_REMOVE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, caller, own) = (permit.entry().at, permit.caller().clone(), person(permit.caller())?.to_owned());
        let factor = self.factor;
        let keep = caller.token.as_ref().map(|token| token.id.clone()).filter(|id| id.starts_with(SESSION_ID_PREFIX));
        let write = self.room.db.write(&permit, move |tx| {
            whole_person(tx, &caller)?;
            if !store::remove_factor(tx, &own, &factor)? {
                return Err(Problem::not_found("the account has no such factor"));
            }
            store::drop_recovery_codes_without_factor(tx, &own)?;
            store::revoke_sessions_but(tx, &own, keep.as_deref(), at)?;
            Ok(((), Outcome::done().resource(factor)))
        });
        write.await?;
        self.room.inner.memory.forget();
        Ok(())
    }
}

/// Gives the caller new recovery codes; the old ones are void.
pub struct RenewRecoveryCodes {
    /// The room.
    pub room: Identity,
}

impl Operation for RenewRecoveryCodes {
    const ACTION: Action = FACTORS_RECOVERY_CODES;
    type Output = Vec<Secret>;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<Secret>, Problem> {
        let (at, caller, own) = (permit.entry().at, permit.caller().clone(), person(permit.caller())?.to_owned());
        let (codes, digests) = new_recovery_codes();
        let write = self.room.db.write(&permit, move |tx| {
            whole_person(tx, &caller)?;
            let has_one = store::totp(tx, &own)?.is_some_and(|totp| totp.confirmed_at.is_some());
            if !has_one && store::passkeys(tx, &own)?.is_empty() {
                return Err(Problem::invalid(
                    "recovery codes stand in for a lost factor; set up one-time codes or a passkey first",
                ));
            }
            store::put_recovery_codes(tx, &own, &digests, at)?;
            Ok(((), Outcome::done().resource(own)))
        });
        write.await?;
        Ok(codes)
    }
}

/// Takes all factors of another person away and ends their sessions: what is left is their password, which an administrator can set too.
pub struct ResetFactors {
    /// The room.
    pub room: Identity,
    /// The person's id or name.
    pub user: String,
}

impl Operation for ResetFactors {
    const ACTION: Action = USERS_RESET_FACTORS;
    type Output = Principal;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Principal, Problem> {
        let (at, caller) = (permit.entry().at, permit.caller().clone());
        let (offices, user) = (self.room.inner.offices.get().map(Arc::clone), self.user);
        let write = self.room.db.write(&permit, move |tx| {
            let found = store::principal(tx, PrincipalKind::User, &user)?;
            if found.id == caller.id {
                return Err(Problem::invalid("this is your own account; remove its factors one by one"));
            }
            may_open(tx, offices.as_deref(), (&caller, &found.id), at)?;
            let removed = store::remove_all_factors(tx, &found.id)?;
            store::end_sessions(tx, &found.id, at)?;
            let removed = i64::try_from(removed).unwrap_or(i64::MAX);
            let outcome = Outcome::done().resource(found.id.clone()).with("removed", removed);
            Ok((found, outcome))
        });
        let changed = write.await?;
        self.room.inner.memory.forget();
        Ok(changed)
    }
}
