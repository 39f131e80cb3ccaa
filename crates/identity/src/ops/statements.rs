//! What issuers tell of their people: that somebody logged out there (OpenID Connect Back-Channel Logout 1.0), and what else happened
//! (RFC 8417; CAEP 1.0 and RISC 1.0). Who signed it was found before it comes here: it is in the pass that the caller came with.

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Pass, Permit, Target};
use kernel::{Micros, Problem, sha256};
use serde::{Deserialize, Serialize};
use vault::db::{Reader, Writer};

use crate::types::PrincipalKind;
use crate::{Identity, Inner, Offices, store};

/// The verb of [`EndFederated`].
pub const SESSIONS_LOGGED_OUT: Action = Action::write("sessions.logged_out");
/// The verb of [`HearSignal`].
pub const SIGNALS_RECEIVE: Action = Action::write("signals.receive");

/// How old a statement may be: a transmitter that could not reach us tries again for days.
pub const STATEMENT_AGE_S_MAX: i64 = 7 * 86_400;
/// How long somebody is trusted less for what a transmitter said.
const DISTRUST_S: i64 = 24 * 3_600;
/// Events of one statement.
const EVENT_COUNT_MAX: usize = 16;
/// Points for what was said; with 90 a policy forbids what changes anything.
const POINTS_DEVICE: u8 = 50;
const POINTS_CREDENTIAL: u8 = 30;
const POINTS_RISK_MEDIUM: u8 = 30;
const POINTS_RISK_HIGH: u8 = 90;

/// What an issuer signed, read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Who said it.
    pub issuer: String,
    /// What they call the statement: none of it is taken twice.
    pub id: String,
    /// Of whom.
    pub about: About,
    /// Of which session there.
    pub session: Option<String>,
    /// What happened.
    pub events: Vec<Event>,
}

/// Whom a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum About {
    /// Whoever is linked with this person at this issuer.
    Person {
        /// The issuer.
        issuer: String,
        /// Who they are there.
        subject: String,
    },
    /// The account of this id here.
    Account(String),
    /// Whoever logged in at this issuer last with this address, which it vouched for.
    Address(String),
    /// It is not said, or in no way that we know.
    Unknown,
}

impl About {
    /// The form in which it was said (RFC 9493, section 3).
    const fn word(&self) -> &'static str {
        match self {
            Self::Person { .. } => "iss_sub",
            Self::Account(_) => "opaque",
            Self::Address(_) => "email",
            Self::Unknown => "unknown",
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Their sessions are over.
    SessionRevoked,
    /// What they log in with has changed.
    CredentialChange,
    /// Their device is as it must be, or not any more.
    Device {
        /// Which of the two.
        compliant: bool,
    },
    /// The issuer trusts them less: 0 as ever, 1 somewhat, 2 much.
    Risk(u8),
    /// They are barred there.
    AccountDisabled,
    /// Something that we do not know, or do nothing about.
    Other,
}

impl Event {
    const fn word(self) -> &'static str {
        match self {
            Self::SessionRevoked => "session-revoked",
            Self::CredentialChange => "credential-change",
            Self::Device { .. } => "device-compliance-change",
            Self::Risk(_) => "risk-level-change",
            Self::AccountDisabled => "account-disabled",
            Self::Other => "other",
        }
    }
}

impl Told {
    /// The one errand of whoever brought it.
    ///
    /// # Errors
    /// `Invalid` for too many events; `Internal` if it cannot be written down.
    pub fn pass(&self, action: Action) -> Result<Pass, Problem> {
        if self.events.len() > EVENT_COUNT_MAX {
            return Err(Problem::invalid(format!("a statement has at most {EVENT_COUNT_MAX} events")));
        }
        let subject = serde_json::to_string(self).map_err(|error| Problem::internal("a statement cannot be kept", error))?;
        Ok(Pass { action, subject })
    }

    fn of<O>(permit: &Permit<O>) -> Result<Self, Problem> {
        let pass = permit.caller().pass.as_ref();
        let told = pass.and_then(|pass| serde_json::from_str(&pass.subject).ok());
        told.ok_or_else(|| Problem::invalid("this takes a statement that a trusted issuer signed"))
    }

    fn digest(&self) -> [u8; 32] {
        sha256(format!("{}\n{}", self.issuer, self.id).as_bytes())
    }
}

/// Who it is here; nobody where the issuer's person has no account.
fn person(reader: &mut Reader<'_>, told: &Told, inner: &Inner) -> Result<Option<String>, Problem> {
    let id = match &told.about {
        About::Person { issuer, subject } => store::linked(reader, issuer, subject)?,
        About::Account(id) => Some(id.clone()),
        About::Address(address) => match inner.address_mark(&told.issuer, address) {
            Some(mark) => store::linked_by_address(reader, &told.issuer, &mark)?,
            None => None,
        },
        About::Unknown => None,
    };
    let Some(id) = id else { return Ok(None) };
    let found = store::any_principal(reader, &id)?;
    // By its id alone: a name is nothing that anybody else knows us by.
    Ok(found.filter(|found| found.id == id && found.kind == PrincipalKind::User).map(|found| found.id))
}

/// Ends the sessions that began with a log-in that is over at the provider.
pub struct EndFederated {
    /// The room.
    pub room: Identity,
}

impl Operation for EndFederated {
    const ACTION: Action = SESSIONS_LOGGED_OUT;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, told) = (permit.entry().at, Told::of(&permit)?);
        let inner = Arc::clone(&self.room.inner);
        let write = self.room.db.write(&permit, move |tx| {
            if !store::take_statement(tx, &told.digest(), at, at.plus_secs(STATEMENT_AGE_S_MAX))? {
                return Err(Problem::invalid("this logout was told already"));
            }
            let id = person(tx, &told, &inner)?;
            let is_about_nobody = id.is_none() && told.about != About::Unknown;
            let ended = if is_about_nobody {
                0
            } else {
                store::end_sessions_of_issuer(tx, &told.issuer, told.session.as_deref(), id.as_deref(), at)?
            };
            let outcome = Outcome::done().with("sessions_ended", i64::try_from(ended).unwrap_or(i64::MAX));
            Ok(((), id.into_iter().fold(outcome, Outcome::resource)))
        });
        write.await?;
        self.room.inner.memory.forget();
        Ok(())
    }
}

/// Takes note of what a transmitter told: sessions end, accounts are barred, or somebody is trusted less. What is not known is noted, and
/// nothing is done about it.
pub struct HearSignal {
    /// The room.
    pub room: Identity,
}

/// What is left to do once the commit is there.
struct After {
    person: Option<String>,
    raises: Vec<(u8, &'static str)>,
}

impl Operation for HearSignal {
    const ACTION: Action = SIGNALS_RECEIVE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (at, told) = (permit.entry().at, Told::of(&permit)?);
        let offices = self.room.offices()?;
        let (inner, within) = (Arc::clone(&self.room.inner), Arc::clone(&self.room.inner));
        let write = self.room.db.write(&permit, move |tx| {
            let mut after = After { person: None, raises: Vec::new() };
            if !store::take_statement(tx, &told.digest(), at, at.plus_secs(STATEMENT_AGE_S_MAX))? {
                // It is there already, which is all that the transmitter wants to know (RFC 8935, section 2.2).
                return Ok((after, Outcome::done().with("repeated", 1_i64)));
            }
            let mut outcome = Outcome::done().with("subject", told.about.word());
            after.person = person(tx, &told, &within)?;
            for event in &told.events {
                let word = match &after.person {
                    Some(id) => act(tx, &*offices, (id, &told.issuer), *event, (at, &mut after.raises))?,
                    None => "nobody_here",
                };
                outcome = outcome.with("event", event.word()).with("done", word);
            }
            if let Some(id) = &after.person {
                outcome = outcome.resource(id.clone());
            }
            Ok((after, outcome))
        });
        let after = write.await?;
        inner.memory.forget();
        if let (Some(id), Some(distrust)) = (after.person, inner.distrust.get()) {
            for (points, reason) in after.raises {
                distrust.distrust(&id, points, reason, at.plus_secs(DISTRUST_S)).await;
            }
        }
        Ok(())
    }
}

/// Does what an event asks for; gives a word for it.
fn act(
    tx: &mut Writer<'_>,
    offices: &dyn Offices,
    (id, issuer): (&str, &str),
    event: Event,
    (at, raises): (Micros, &mut Vec<(u8, &'static str)>),
) -> Result<&'static str, Problem> {
    match event {
        Event::SessionRevoked => {
            store::end_sessions(tx, id, at)?;
            Ok("sessions_ended")
        }
        Event::CredentialChange => {
            store::end_sessions_of_issuer(tx, issuer, None, Some(id), at)?;
            raises.push((POINTS_CREDENTIAL, "credential_change"));
            Ok("sessions_of_issuer_ended")
        }
        Event::Device { compliant } => {
            store::note_device(tx, id, issuer, compliant, at)?;
            if !compliant {
                raises.push((POINTS_DEVICE, "device_not_compliant"));
            }
            Ok("device_noted")
        }
        Event::Risk(level) => {
            match level {
                0 => return Ok("noted"),
                1 => raises.push((POINTS_RISK_MEDIUM, "told_risk")),
                _ => raises.push((POINTS_RISK_HIGH, "told_risk")),
            }
            Ok("risk_raised")
        }
        Event::AccountDisabled => {
            store::end_sessions(tx, id, at)?;
            offices.hold_administrators(tx, at)?;
            if offices.is_administered(tx, None)? && !offices.is_administered(tx, Some(id))? {
                // Else whoever holds the transmitter's key could lock everybody out.
                return Ok("last_administrator_not_barred");
            }
            store::bar(tx, id, issuer, at)?;
            Ok("account_barred")
        }
        Event::Other => Ok("noted"),
    }
}
