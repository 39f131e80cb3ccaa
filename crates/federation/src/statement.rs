//! What issuers sign about their people: logout tokens (OpenID Connect Back-Channel Logout 1.0, section 2.4) and Security Event Tokens
//! (RFC 8417), with the events of CAEP 1.0 and RISC 1.0 that we know.

use jsonwebtoken::Algorithm;
use kernel::Micros;
use serde_json::{Map, Value};

use crate::provider::Provider;
use crate::token::{Claims, LEEWAY_S, key_id, part, says_issuer, signed};

/// The event that makes a token a logout.
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";
const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";
/// Types of token that are a Security Event Token (RFC 8417, section 2.3).
const TYPE_EVENT: [&str; 2] = ["secevent+jwt", "application/secevent+jwt"];
/// Types of token that can be a logout: old providers name none of their own.
const TYPE_LOGOUT: [&str; 3] = ["logout+jwt", "application/logout+jwt", "jwt"];
/// Events of one token.
const EVENT_COUNT_MAX: usize = 16;
/// What issuers call statements, people and sessions.
const WORD_BYTES_MAX: usize = 512;

/// Why a statement is not taken, as RFC 8935 (section 2.4) words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untaken {
    /// It cannot be read, or says what it must not.
    InvalidRequest,
    /// None of the issuer's keys signed it, or not in a way that is taken.
    InvalidKey,
    /// Nobody trusts this issuer.
    InvalidIssuer,
    /// It was made for somebody else.
    InvalidAudience,
}

impl Untaken {
    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidKey => "invalid_key",
            Self::InvalidIssuer => "invalid_issuer",
            Self::InvalidAudience => "invalid_audience",
        }
    }
}

impl std::fmt::Display for Untaken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl std::error::Error for Untaken {}

/// Somebody logged out at their provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// What the provider calls the statement.
    pub id: String,
    /// Who.
    pub subject: Option<String>,
    /// Of which session there.
    pub session: Option<String>,
}

/// What a transmitter told.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// What the transmitter calls the statement.
    pub id: String,
    /// Of whom.
    pub subject: SubjectId,
    /// What happened, each with its details.
    pub events: Vec<SignalEvent>,
}

/// Whom a statement is about (RFC 9493).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectId {
    /// A person at an issuer.
    IssuerSubject {
        /// The issuer.
        issuer: String,
        /// Who they are there.
        subject: String,
    },
    /// An address.
    Email(String),
    /// Something that both sides know it by.
    Opaque(String),
    /// Anything else.
    Unknown,
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalEvent {
    /// CAEP `session-revoked`.
    SessionRevoked,
    /// CAEP `credential-change`.
    CredentialChange,
    /// CAEP `device-compliance-change`.
    Device {
        /// What it is now.
        compliant: bool,
    },
    /// CAEP `risk-level-change`: 0 is low, 2 is high.
    Risk(u8),
    /// RISC `account-disabled` and `account-purged`.
    AccountDisabled,
    /// Anything else.
    Other,
}

fn word(claims: &Map<String, Value>, name: &str) -> Option<String> {
    let text = claims.get(name)?.as_str()?;
    (!text.is_empty() && text.len() <= WORD_BYTES_MAX && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

impl Provider {
    /// A logout that this provider told us of; `audience` is who we are there.
    ///
    /// # Errors
    /// `Ok(Err)` says why it is not taken; `Unavailable` if the keys cannot be had.
    pub async fn logged_out(
        &self,
        token: &str,
        audience: &str,
        at: Micros,
    ) -> Result<Result<LoggedOut, Untaken>, kernel::Problem> {
        if !is_of_type(token, &TYPE_LOGOUT, true) {
            return Ok(Err(Untaken::InvalidRequest));
        }
        if says_issuer(token).as_deref() != Some(self.issuer()) {
            return Ok(Err(Untaken::InvalidIssuer));
        }
        let Some(claims) = self.verify_statement(token, audience, at).await? else { return Ok(Err(Untaken::InvalidKey)) };
        Ok(read_logout(&claims).ok_or(Untaken::InvalidRequest))
    }

    /// What this transmitter told us; `audience` is who we are to it.
    ///
    /// # Errors
    /// `Ok(Err)` says why it is not taken; `Unavailable` if the keys cannot be had.
    pub async fn signal(
        &self,
        token: &str,
        audience: &str,
        algorithms: &[Algorithm],
        (at, age_s_max): (Micros, i64),
    ) -> Result<Result<Signal, Untaken>, kernel::Problem> {
        if !is_of_type(token, &TYPE_EVENT, false) {
            return Ok(Err(Untaken::InvalidRequest));
        }
        if says_issuer(token).as_deref() != Some(self.issuer()) {
            return Ok(Err(Untaken::InvalidIssuer));
        }
        let named = jsonwebtoken::decode_header(token).ok().map(|header| header.alg);
        let Some(kid) = key_id(token).filter(|_| named.is_some_and(|named| algorithms.contains(&named))) else {
            return Ok(Err(Untaken::InvalidKey));
        };
        let keys = self.keys(&kid, at).await?;
        let Some(claims) = signed(token, &keys) else { return Ok(Err(Untaken::InvalidKey)) };
        Ok(read_signal(&claims, self.issuer(), audience, (at, age_s_max)))
    }
}

/// Whether the token names one of these types; where `or_none`, also if it names none.
fn is_of_type(token: &str, types: &[&str], or_none: bool) -> bool {
    let Some(header) = part(token, 0) else { return false };
    match header.get("typ") {
        None => or_none,
        Some(Value::String(named)) => types.iter().any(|known| known.eq_ignore_ascii_case(named)),
        Some(_) => false,
    }
}

fn read_logout(claims: &Claims) -> Option<LoggedOut> {
    let all = &claims.0;
    let is_logout =
        all.get("events").and_then(Value::as_object).is_some_and(|events| events.get(LOGOUT).is_some_and(Value::is_object));
    // A nonce is what tells an ID token from this.
    if !is_logout || all.contains_key("nonce") {
        return None;
    }
    let told = LoggedOut { id: word(all, "jti")?, subject: word(all, "sub"), session: word(all, "sid") };
    (told.subject.is_some() || told.session.is_some()).then_some(told)
}

fn read_signal(claims: &Claims, issuer: &str, audience: &str, (at, age_s_max): (Micros, i64)) -> Result<Signal, Untaken> {
    let all = &claims.0;
    if claims.text("iss") != Some(issuer) {
        return Err(Untaken::InvalidIssuer);
    }
    if !claims.texts("aud").contains(&audience) {
        return Err(Untaken::InvalidAudience);
    }
    let issued = claims.seconds("iat").ok_or(Untaken::InvalidRequest)?;
    let age_s = at.as_secs().saturating_sub(issued);
    if !(-LEEWAY_S..age_s_max).contains(&age_s) || claims.seconds("exp").is_some_and(|ends| at.as_secs() >= ends) {
        return Err(Untaken::InvalidRequest);
    }
    let events = all.get("events").and_then(Value::as_object).filter(|events| (1..=EVENT_COUNT_MAX).contains(&events.len()));
    let events = events.ok_or(Untaken::InvalidRequest)?;
    let id = word(all, "jti").ok_or(Untaken::InvalidRequest)?;
    // The subject stands beside the events (SSF 1.0), or in each of them (before it). All of them are about the same.
    let subject = all.get("sub_id").or_else(|| events.values().find_map(|event| event.get("subject")));
    Ok(Signal {
        id,
        subject: subject.map_or(SubjectId::Unknown, |subject| subject_of(subject, 0)),
        events: events.iter().map(|(name, details)| event_of(name, details)).collect(),
    })
}

fn subject_of(value: &Value, depth: u8) -> SubjectId {
    let Some(parts) = value.as_object().filter(|_| depth < 2) else { return SubjectId::Unknown };
    // Drafts called the format so.
    let format = parts.get("format").or_else(|| parts.get("subject_type")).and_then(Value::as_str);
    match format {
        Some("iss_sub" | "iss-sub") => match (word(parts, "iss"), word(parts, "sub")) {
            (Some(issuer), Some(subject)) => SubjectId::IssuerSubject { issuer, subject },
            _ => SubjectId::Unknown,
        },
        Some("email") => word(parts, "email").map_or(SubjectId::Unknown, SubjectId::Email),
        Some("opaque") => word(parts, "id").map_or(SubjectId::Unknown, SubjectId::Opaque),
        // A complex subject: the person of it is whom we know.
        Some("complex") | None => parts.get("user").map_or(SubjectId::Unknown, |user| subject_of(user, depth + 1)),
        Some(_) => SubjectId::Unknown,
    }
}

fn event_of(name: &str, details: &Value) -> SignalEvent {
    let text = |field: &str| details.get(field).and_then(Value::as_str).unwrap_or_default();
    if let Some(kind) = name.strip_prefix(CAEP) {
        return match kind {
            "session-revoked" => SignalEvent::SessionRevoked,
            "credential-change" => SignalEvent::CredentialChange,
            "device-compliance-change" => match text("current_status") {
                "compliant" => SignalEvent::Device { compliant: true },
                "not-compliant" => SignalEvent::Device { compliant: false },
                _ => SignalEvent::Other,
            },
            "risk-level-change" => match text("current_level") {
                "LOW" => SignalEvent::Risk(0),
                "MEDIUM" => SignalEvent::Risk(1),
                "HIGH" => SignalEvent::Risk(2),
                _ => SignalEvent::Other,
            },
            _ => SignalEvent::Other,
        };
    }
    match name.strip_prefix(RISC) {
        Some("account-disabled" | "account-purged") => SignalEvent::AccountDisabled,
        _ => SignalEvent::Other,
    }
}

/// The algorithm of this name, if it is one that is taken at all.
#[must_use]
pub fn algorithm(name: &str) -> Option<Algorithm> {
    let known: Algorithm = name.parse().ok()?;
    crate::token::ALGORITHMS.contains(&known).then_some(known)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::NOW;

    fn claims(value: Value) -> Claims {
        Claims(value.as_object().unwrap().clone())
    }

    #[test]
    fn a_logout_says_who_and_is_nothing_else() {
        let good = json!({"jti": "1", "sub": "ada", "events": {LOGOUT: {}}});
        assert_eq!(
            read_logout(&claims(good)),
            Some(LoggedOut { id: "1".to_owned(), subject: Some("ada".to_owned()), session: None })
        );
        for bad in [
            json!({"jti": "1", "sub": "ada", "events": {LOGOUT: {}}, "nonce": "n"}),
            json!({"jti": "1", "events": {LOGOUT: {}}}),
            json!({"sub": "ada", "events": {LOGOUT: {}}}),
            json!({"jti": "1", "sub": "ada", "events": {}}),
            json!({"jti": "1", "sub": "ada"}),
            json!({"jti": "1", "sub": "ada", "events": [LOGOUT]}),
        ] {
            assert_eq!(read_logout(&claims(bad.clone())), None, "{bad}");
        }
    }

    #[test]
    fn a_signal_is_of_its_issuer_for_us_and_of_these_days() {
        let base = |changed: Value| {
            let mut all = json!({
                "iss": "i", "aud": ["us"], "iat": NOW.as_secs(), "jti": "1", "sub_id": {"format": "opaque", "id": "u_1"},
                "events": {format!("{CAEP}session-revoked"): {}, "https://x.example/strange": {}},
            });
            all.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
            read_signal(&claims(all), "i", "us", (NOW, 100))
        };
        let good = base(json!({})).unwrap();
        assert_eq!(good.subject, SubjectId::Opaque("u_1".to_owned()));
        assert!(good.events.contains(&SignalEvent::SessionRevoked) && good.events.contains(&SignalEvent::Other));
        for (changed, why) in [
            (json!({"iss": "j"}), Untaken::InvalidIssuer),
            (json!({"aud": "them"}), Untaken::InvalidAudience),
            (json!({"iat": NOW.as_secs() - 200}), Untaken::InvalidRequest),
            (json!({"iat": NOW.as_secs() + 200}), Untaken::InvalidRequest),
            (json!({"exp": NOW.as_secs() - 1}), Untaken::InvalidRequest),
            (json!({"jti": ""}), Untaken::InvalidRequest),
            (json!({"events": {}}), Untaken::InvalidRequest),
            (json!({"events": null}), Untaken::InvalidRequest),
        ] {
            assert_eq!(base(changed.clone()), Err(why), "{changed}");
        }
    }

    #[test]
    fn subjects_and_events_are_those_of_the_standards() {
        let iss_sub = json!({"format": "iss_sub", "iss": "i", "sub": "s"});
        let person = SubjectId::IssuerSubject { issuer: "i".to_owned(), subject: "s".to_owned() };
        assert_eq!(subject_of(&iss_sub, 0), person);
        assert_eq!(
            subject_of(&json!({"format": "complex", "user": iss_sub, "device": {"format": "opaque", "id": "d"}}), 0),
            person
        );
        assert_eq!(subject_of(&json!({"format": "email", "email": "a@b"}), 0), SubjectId::Email("a@b".to_owned()));
        assert_eq!(subject_of(&json!({"format": "phone_number", "phone_number": "1"}), 0), SubjectId::Unknown);
        assert_eq!(subject_of(&json!("x"), 0), SubjectId::Unknown);
        let event = |name: &str, details: Value| event_of(name, &details);
        assert_eq!(event(&format!("{CAEP}risk-level-change"), json!({"current_level": "HIGH"})), SignalEvent::Risk(2));
        assert_eq!(event(&format!("{CAEP}risk-level-change"), json!({"current_level": "odd"})), SignalEvent::Other);
        assert_eq!(event(&format!("{RISC}account-disabled"), json!({})), SignalEvent::AccountDisabled);
        assert_eq!(event(&format!("{RISC}account-enabled"), json!({})), SignalEvent::Other);
        assert_eq!(algorithm("none"), None);
        assert_eq!(algorithm("HS256"), None);
        assert_eq!(algorithm("ES256"), Some(Algorithm::ES256));
    }
}
