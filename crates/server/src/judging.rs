//! How log-ins are judged: the room's wiring, what keeps it in step with the database, and what a judgement means for who is let in.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use gate::{Attempt, BoxFuture, Method};
use identity::{Shown, WatchLogIns};
use kernel::{Clock, Kind, Micros, Problem, Secret};
use mail::Mail;
use risk::{Assessor, Band, Cause, Ended, Ground, Judged, LogInFacts, LogIns, Raise, RiskConfig};
use vault::db::{DbError, Opened, Reader, Writer};
use vault::keys::Keyring;

use crate::config::Config;

/// How often whoever was deleted is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Opens the room. Only a server lets anybody in, so only it reads what log-ins are judged by.
///
/// # Errors
/// `Invalid` for a list of the configuration that cannot be used; `Unavailable` if the database is down.
pub(crate) async fn open(
    opened: &Opened,
    keyring: &Keyring,
    clock: &Arc<dyn Clock>,
    (config, is_server): (&RiskConfig, bool),
) -> Result<LogIns, Problem> {
    let ground = Ground {
        db: opened.db.clone(),
        system: opened.system.clone(),
        clock: Arc::clone(clock),
        secret: Secret::clone(&*keyring.secret("risk/log-ins").await?),
        find_person,
    };
    let log_ins = LogIns::open(ground, &config.log_ins)?;
    if is_server {
        log_ins.load().await?;
    }
    Ok(log_ins)
}

/// What judges requests, and counts them.
///
/// # Errors
/// `Invalid` for a configuration that promises less than it must; `Unavailable` if the database is down.
pub(crate) async fn assessor(
    config: &Config,
    opened: &Opened,
    keyring: &Keyring,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<Assessor>, Problem> {
    let secret = keyring.secret("risk/browsers").await?;
    let limits = (config.risk.clone(), config.limits.clone());
    let assessor = Assessor::new(limits, Arc::clone(clock), identity::is_secret_text, &secret)?;
    let assessor = assessor.with_shared_rates(opened.system.clone(), &secret).with_kept_raises(opened.system.clone()).await?;
    Ok(Arc::new(assessor))
}

fn find_person(reader: &mut Reader<'_>, who: &str) -> Result<Option<String>, DbError> {
    Ok(identity::principal_with_groups(reader, who)?.map(|(principal, _)| principal.id))
}

/// Forgets whoever was deleted, minute by minute.
pub(crate) async fn keep(log_ins: LogIns) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        if let Err(problem) = log_ins.sweep().await {
            tracing::warn!(%problem, "whoever was deleted could not be forgotten");
        }
    }
}

/// From here on a policy holds back what changes anything, unless two factors were shown.
const HELD_FOR_SECOND_FACTOR: u8 = 90;
/// From here on only what cannot be phished outweighs it.
const HELD_FOR_PASSKEY: u8 = 95;

/// Asks the room about log-ins, and says what is held against those that showed less than was asked for.
pub(crate) struct Watch {
    pub(crate) log_ins: LogIns,
    pub(crate) assessor: Arc<Assessor>,
    pub(crate) mail: Mail,
}

/// The rule that nothing which is shown outweighs.
const BARRED: &str = "denied_network";

/// What becomes of a log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Becomes {
    LetIn,
    /// The account has nothing with which more could be shown: its session is trusted less.
    TrustedLess,
    Refused,
}

/// Who is asked for what they do not have would be locked out of an account that is theirs; who has it shows it. A rank alone refuses no
/// passkey, and nobody who has none: one log-in in a hundred has that rank, whoever's it is.
fn becomes(band: Band, is_barred: bool, shown: &Shown) -> Becomes {
    match band {
        _ if is_barred => Becomes::Refused,
        Band::Nothing => Becomes::LetIn,
        Band::SecondFactor if shown.assurance >= 2 => Becomes::LetIn,
        Band::PhishingResistant | Band::Refuse if shown.method.is_phishing_resistant() => Becomes::LetIn,
        Band::PhishingResistant | Band::Refuse if shown.has_passkey => Becomes::Refused,
        Band::SecondFactor | Band::PhishingResistant | Band::Refuse => Becomes::TrustedLess,
    }
}

/// What is held against what a log-in begins, of 100.
fn held(judged: &Judged, becomes: Becomes) -> u8 {
    match (becomes, judged.band) {
        (Becomes::LetIn | Becomes::Refused, _) | (Becomes::TrustedLess, Band::Nothing) => 0,
        (Becomes::TrustedLess, Band::SecondFactor) if is_first_meeting(judged) => 0,
        (Becomes::TrustedLess, Band::SecondFactor) => judged.risk.clamp(HELD_FOR_SECOND_FACTOR, HELD_FOR_PASSKEY - 1),
        (Becomes::TrustedLess, Band::PhishingResistant | Band::Refuse) => judged.risk.max(HELD_FOR_PASSKEY),
    }
}

/// Whether nothing is known that could speak for or against an account without factors. To hold it back would keep everybody out of what is
/// theirs whose account is new, or who has no device of their own here.
fn is_first_meeting(judged: &Judged) -> bool {
    judged.is_only_unknown() && (judged.by_rank == Band::Nothing || judged.has("first_log_ins"))
}

/// Whether a person is told of a log-in of theirs that was let in: from the rank on that asks for what cannot be phished.
const fn is_told(band: Band) -> bool {
    matches!(band, Band::PhishingResistant | Band::Refuse)
}

impl Watch {
    /// A notice that cannot be written down holds nobody up.
    async fn tell(&self, shown: &Shown, kind: mail::Kind, event: &str) {
        if let Err(problem) = self.mail.tell_account(&shown.person, (kind, event), shown.at).await {
            tracing::warn!(%problem, "a notice of a log-in could not be written down");
        }
    }

    fn judged(&self, shown: &Shown) -> (LogInFacts, Judged) {
        let facts = LogInFacts {
            person: shown.person.clone(),
            address: shown.address,
            user_agent: shown.user_agent.clone(),
            known_device: shown.method == Method::Passkey || shown.has_device,
            password_is_leaked: shown.password_is_leaked,
            at: shown.at,
        };
        let judged = self.log_ins.judge(&facts);
        (facts, judged)
    }
}

impl WatchLogIns for Watch {
    fn judge<'a>(&'a self, shown: &'a Shown) -> BoxFuture<'a, Result<u8, Problem>> {
        Box::pin(async move {
            let (facts, judged) = self.judged(shown);
            let becomes = becomes(judged.band, judged.has(BARRED), shown);
            if becomes != Becomes::Refused {
                return Ok(held(&judged, becomes));
            }
            tracing::warn!(
                principal.id = shown.person,
                risk = judged.risk,
                band = judged.band.word(),
                "a log-in was refused for its risk"
            );
            self.log_ins.note(&facts, &judged, Ended::Refused).await?;
            // Many of them are one mail: the outbox gathers.
            self.tell(shown, mail::Kind::RefusedLogIn, &format!("log-in {}", shown.at.rfc3339())).await;
            let message = "You are not authenticated. This log-in is too unusual for what was shown; use a passkey, a device or a place that is known.";
            Err(Problem::new(Kind::Unauthenticated, message))
        })
    }

    fn began<'a>(&'a self, shown: &'a Shown, session: &'a str) -> BoxFuture<'a, Secret> {
        Box::pin(async move {
            let (facts, judged) = self.judged(shown);
            let noted = match becomes(judged.band, judged.has(BARRED), shown) {
                Becomes::LetIn => self.log_ins.learn(&facts, &judged).await,
                Becomes::TrustedLess if judged.is_only_unknown() => self.log_ins.learn_unproved(&facts, &judged).await,
                Becomes::TrustedLess | Becomes::Refused => self.log_ins.note(&facts, &judged, Ended::Unproved).await,
            };
            if let Err(problem) = noted {
                tracing::warn!(%problem, "a log-in could not be written down");
            }
            if is_told(judged.band) {
                self.tell(shown, mail::Kind::UnusualLogIn, session).await;
            }
            self.assessor.browser_mark(shown.known_browser.as_ref(), &shown.name)
        })
    }

    fn succeeded<'a>(&'a self, session: &'a str, from: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Err(problem) = self.assessor.inherit(session, from).await {
                tracing::warn!(%problem, "what is held against a session could not be written down");
            }
        })
    }

    fn knows_browser(&self, attempt: &Attempt, name: &str) -> bool {
        self.assessor.knows_browser(attempt, name)
    }

    fn failed(&self, address: IpAddr, account: &str, at: Micros) {
        self.log_ins.fail(address, account, at);
    }

    fn is_leaked(&self, password: &Secret) -> Result<bool, Problem> {
        self.log_ins.is_leaked(password)
    }
}

/// Who holds an office, by the grants that there are.
pub struct Offices(pub policy::Policy);

impl identity::Offices for Offices {
    fn holds_office(&self, reader: &mut Reader<'_>, principals: &[String], at: Micros) -> Result<bool, Problem> {
        self.0.holds_office(reader, principals, at)
    }

    fn is_administered(&self, reader: &mut Reader<'_>, without: Option<&str>) -> Result<bool, Problem> {
        self.0.is_administered(reader, without)
    }

    fn hold_administrators(&self, tx: &mut Writer<'_>, at: Micros) -> Result<(), Problem> {
        self.0.hold_administrators(tx, at)
    }

    fn administer_until(&self, reader: &mut Reader<'_>, principals: &[String], at: Micros) -> Result<Option<Micros>, Problem> {
        self.0.administer_until(reader, principals, at)
    }

    fn may_administer_until(
        &self,
        reader: &mut Reader<'_>,
        principals: &[String],
        at: Micros,
    ) -> Result<Option<Micros>, Problem> {
        self.0.may_administer_until(reader, principals, at)
    }

    fn held_until(&self, reader: &mut Reader<'_>, principals: &[String], at: Micros) -> Result<Option<Micros>, Problem> {
        self.0.held_until(reader, principals, at)
    }

    fn broke_glass(&self, reader: &mut Reader<'_>, principal: &str, at: Micros) -> Result<bool, Problem> {
        self.0.broke_glass(reader, principal, at)
    }
}

/// Whom issuers say to trust less.
pub struct Distrust(pub Arc<Assessor>);

impl identity::Distrust for Distrust {
    fn distrust<'a>(&'a self, principal_id: &'a str, points: u8, reason: &'static str, until: Micros) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let raise = Raise { points, reason: reason.into(), cause: Cause::Caller, until };
            if let Err(problem) = self.0.raise_and_keep(principal_id, raise).await {
                tracing::warn!(%problem, "what an issuer told of somebody could not be written down");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_show_more_must_and_who_cannot_is_trusted_less() {
        let shown = |method: Method, assurance: u8, has_passkey: bool| Shown {
            person: "u_1".to_owned(),
            name: "ada".to_owned(),
            address: IpAddr::from([192, 0, 2, 1]),
            user_agent: None,
            known_browser: None,
            method,
            assurance,
            has_passkey,
            has_device: false,
            password_is_leaked: false,
            at: Micros(0),
        };
        let (password, totp) = (shown(Method::Password, 1, false), shown(Method::Totp, 2, false));
        let (both, passkey) = (shown(Method::Totp, 2, true), shown(Method::Passkey, 2, true));
        let row = |band: Band| [&password, &totp, &both, &passkey].map(|shown| becomes(band, false, shown));
        use Becomes::{LetIn, Refused, TrustedLess};
        assert_eq!(row(Band::Nothing), [LetIn; 4]);
        assert_eq!(row(Band::SecondFactor), [TrustedLess, LetIn, LetIn, LetIn]);
        assert_eq!(row(Band::PhishingResistant), [TrustedLess, TrustedLess, Refused, LetIn]);
        assert_eq!(row(Band::Refuse), [TrustedLess, TrustedLess, Refused, LetIn]);
        // A provider's word counts as far as it is trusted: for a passkey of its own where an operator says so, else for two factors.
        let vouched = |method: Method| becomes(Band::Refuse, false, &shown(method, 2, true));
        assert_eq!([Method::FederatedPhishingResistant, Method::Federated].map(vouched), [LetIn, Refused]);
        assert!([&password, &totp, &both, &passkey].iter().all(|shown| becomes(Band::Refuse, true, shown) == Refused));
    }

    #[test]
    fn what_was_not_shown_is_held_against_what_begins_unless_only_nothing_is_known() {
        let judged = |band: Band, by_rank: Band, risk: u8, rules: &[&'static str]| Judged {
            score: 0.0,
            percentile: None,
            risk,
            band,
            by_rank,
            reasons: rules
                .iter()
                .copied()
                .map(|word| risk::Reason { word, weight: 0.0, asks: Some(Band::SecondFactor) })
                .collect(),
        };
        let less = |judged: &Judged| held(judged, Becomes::TrustedLess);
        let meeting = judged(Band::SecondFactor, Band::Nothing, 85, &["no_known_device", "first_log_ins"]);
        assert_eq!(less(&meeting), 0, "a new account is not kept out of what is its own");
        let usual = judged(Band::SecondFactor, Band::Nothing, 85, &["no_known_device"]);
        assert_eq!(less(&usual), 0, "nor one that comes as it always does");
        let rare = judged(Band::SecondFactor, Band::SecondFactor, 87, &["no_known_device"]);
        assert_eq!(less(&rare), 90);
        let leaked = judged(Band::SecondFactor, Band::Nothing, 85, &["no_known_device", "leaked_password"]);
        assert_eq!(less(&leaked), 90);
        let attacked = judged(Band::PhishingResistant, Band::Nothing, 95, &["no_known_device", "many_accounts_tried"]);
        assert_eq!(less(&attacked), 95);
        assert_eq!(less(&judged(Band::Refuse, Band::Refuse, 99, &[])), 99);
        assert_eq!(held(&attacked, Becomes::LetIn), 0, "what was asked for outweighs it");
    }
}
