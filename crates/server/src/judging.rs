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
    Ok(Arc::new(assessor.with_shared_rates(opened.system.clone(), &secret)))
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

/// How long a session is trusted less that began with an unusual log-in: as long as any lives.
const RAISED_SECONDS: i64 = 30 * 86_400;
/// What is noted against a session whose account has no second factor to ask for. So little that strangers' failures and it together stay
/// below 90, from where a policy may forbid.
const NO_SECOND_FACTOR_POINTS: u8 = 4;
/// Why, in decisions and in the log.
const UNUSUAL: &str = "unusual_log_in";

/// Asks the room about log-ins, and has the assessor trust sessions less that showed less than was asked for.
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
        Band::PhishingResistant | Band::Refuse if shown.method == Method::Passkey => Becomes::LetIn,
        Band::PhishingResistant | Band::Refuse if shown.has_passkey => Becomes::Refused,
        Band::SecondFactor | Band::PhishingResistant | Band::Refuse => Becomes::TrustedLess,
    }
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
    fn judge<'a>(&'a self, shown: &'a Shown) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            let (facts, judged) = self.judged(shown);
            if becomes(judged.band, judged.has(BARRED), shown) != Becomes::Refused {
                return Ok(());
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
            if let Err(problem) = self.log_ins.learn(&facts, &judged).await {
                tracing::warn!(%problem, "a log-in could not be learnt");
            }
            if is_told(judged.band) {
                self.tell(shown, mail::Kind::UnusualLogIn, session).await;
            }
            if becomes(judged.band, judged.has(BARRED), shown) == Becomes::TrustedLess {
                let until = shown.at.plus_secs(RAISED_SECONDS);
                let points = if judged.band == Band::SecondFactor { NO_SECOND_FACTOR_POINTS } else { judged.risk };
                self.assessor.raise(session, Raise { points, reason: UNUSUAL, cause: Cause::Caller, until });
            }
            self.assessor.browser_mark(&shown.name)
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
}

/// Whom issuers say to trust less.
pub struct Distrust(pub Arc<Assessor>);

impl identity::Distrust for Distrust {
    fn distrust(&self, principal_id: &str, points: u8, reason: &'static str, until: Micros) {
        self.0.raise(principal_id, risk::Raise { points, reason, cause: risk::Cause::Caller, until });
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
        assert!([&password, &totp, &both, &passkey].iter().all(|shown| becomes(Band::Refuse, true, shown) == Refused));
    }
}
