//! One signed token: its algorithm, its key, its claims (RFC 7519, RFC 8725; OpenID Connect Core, section 3.1.3.7).

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kernel::Micros;
use serde_json::{Map, Value};

/// A token is shorter.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Signatures that we take. None that a shared secret makes, and never none.
pub const ALGORITHMS: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
/// How far clocks may differ.
pub(crate) const LEEWAY_S: i64 = 60;
/// A token that lives longer than this is no proof of a moment.
const LIFE_S_MAX: i64 = 24 * 3_600;

/// What a good token says.
#[derive(Clone, Debug)]
pub struct Claims(pub(crate) Map<String, Value>);

impl Claims {
    /// A claim that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A claim that is a time in seconds.
    #[must_use]
    pub fn seconds(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(|value| value.as_i64().or_else(|| value.as_f64().filter(|v| v.abs() < 1e15).map(|v| v as i64)))
    }

    fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// A claim that is a text or a list of texts.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<&str> {
        match self.0.get(name) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// A claim by its path: as a whole name, or into objects at its dots.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Value> {
        into(&self.0, path)
    }
}

fn into<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(whole) = object.get(path) {
        return Some(whole);
    }
    // Names may have dots of their own: every cut is tried, the longest name first.
    path.rmatch_indices('.').find_map(|(at, _)| {
        let (name, rest) = (path.get(..at)?, path.get(at + 1..)?);
        into(object.get(name)?.as_object()?, rest)
    })
}

/// The key id that a token names, if it has the form of a token whose algorithm we take.
pub(crate) fn key_id(token: &str) -> Option<String> {
    if token.len() > TOKEN_BYTES_MAX || token.split('.').count() != 3 {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    // What an issuer marks as critical, a reader that does not know it must refuse (RFC 7515, section 4.1.11).
    let has_critical = critical(token)?;
    (ALGORITHMS.contains(&header.alg) && !has_critical).then(|| header.kid.unwrap_or_default())
}

/// Whose the token says it is. Nothing is believed of it: it tells whom to ask.
pub(crate) fn says_issuer(token: &str) -> Option<String> {
    part(token, 1)?.get("iss").and_then(Value::as_str).map(str::to_owned)
}

fn critical(token: &str) -> Option<bool> {
    Some(part(token, 0)?.contains_key("crit"))
}

pub(crate) fn part(token: &str, number: usize) -> Option<Map<String, Value>> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(number)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Whether the token says by its type that it is no proof of somebody but a logout, an event, a proof of possession (RFC 8725, section 3.11).
/// Those who sign all of these sign them with the same keys.
fn is_of_another_kind(token: &str) -> bool {
    let Some(header) = part(token, 0) else { return true };
    match header.get("typ") {
        None => false,
        Some(Value::String(named)) => {
            let named = named.to_ascii_lowercase();
            named.ends_with("+jwt") && !named.ends_with("at+jwt")
        }
        Some(_) => true,
    }
}

/// What the token says, if one of `keys` signed it. Issuer, audience and times are the caller's to compare.
pub(crate) fn signed(token: &str, keys: &[Jwk]) -> Option<Claims> {
    let kid = key_id(token)?;
    let header = jsonwebtoken::decode_header(token).ok()?;
    let mut rules = Validation::new(header.alg);
    // Times are compared by the clock that we are given; issuer and audience too, as strictly as they are meant.
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    let mine = |key: &&Jwk| kid.is_empty() || key.common.key_id.as_deref() == Some(kid.as_str());
    let claims = keys.iter().filter(mine).find_map(|key| {
        let key = DecodingKey::from_jwk(key).ok()?;
        jsonwebtoken::decode::<Map<String, Value>>(token, &key, &rules).ok()
    })?;
    Some(Claims(claims.claims))
}

/// What the token says, if one of `keys` signed it, `issuer` made it, for `audience`, and it is good at `at`.
#[must_use]
pub fn verify(token: &str, keys: &[Jwk], issuer: &str, audience: &str, at: Micros) -> Option<Claims> {
    if is_of_another_kind(token) { None } else { verify_statement(token, keys, issuer, audience, at) }
}

/// The same for a token of any kind.
pub(crate) fn verify_statement(token: &str, keys: &[Jwk], issuer: &str, audience: &str, at: Micros) -> Option<Claims> {
    let claims = signed(token, keys)?;
    let now = at.as_secs();
    let (expires, issued) = (claims.seconds("exp")?, claims.seconds("iat")?);
    let timely = now < expires.saturating_add(LEEWAY_S)
        && issued <= now.saturating_add(LEEWAY_S)
        && expires.saturating_sub(issued) <= LIFE_S_MAX
        // One that is no time is no leave to come early (RFC 7519, section 4.1.5).
        && (!claims.has("nbf") || claims.seconds("nbf").is_some_and(|from| from <= now.saturating_add(LEEWAY_S)));
    let ours = claims.text("iss") == Some(issuer) && claims.texts("aud").contains(&audience);
    (timely && ours).then_some(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Issuer, NOW};

    const ISSUER: &str = "https://issuer.example";

    #[test]
    fn a_token_is_good_for_its_audience_from_its_issuer_at_its_time() {
        let issuer = Issuer::new("k1");
        let good = issuer.token(&serde_json::json!({"sub": "x"}), ISSUER, "us");
        assert_eq!(verify(&good, &issuer.keys(), ISSUER, "us", NOW).unwrap().text("sub"), Some("x"));
        assert!(verify(&good, &issuer.keys(), "https://issuer.example/", "us", NOW).is_none());
        assert!(verify(&good, &issuer.keys(), ISSUER, "them", NOW).is_none());
        assert!(verify(&good, &issuer.keys(), ISSUER, "us", NOW.plus_secs(3_700)).is_none(), "over");
        assert!(verify(&good, &issuer.keys(), ISSUER, "us", NOW.plus_secs(-120)).is_none(), "not yet");
        assert!(verify(&good, &Issuer::new("k1").keys(), ISSUER, "us", NOW).is_none(), "another's key of this name");
        assert!(verify(&good, &Issuer::new("k2").keys(), ISSUER, "us", NOW).is_none());
        let eternal = issuer.token(&serde_json::json!({"exp": NOW.as_secs() + 10_000_000}), ISSUER, "us");
        assert!(verify(&eternal, &issuer.keys(), ISSUER, "us", NOW).is_none());
        let from = |nbf: serde_json::Value| {
            let token = issuer.token(&serde_json::json!({ "nbf": nbf }), ISSUER, "us");
            verify(&token, &issuer.keys(), ISSUER, "us", NOW).is_some()
        };
        assert!(from(NOW.as_secs().into()) && from(serde_json::Value::Null));
        for wrong in [serde_json::json!(NOW.as_secs() + 600), "2999-01-01".into(), serde_json::json!(1e300), true.into()] {
            assert!(!from(wrong.clone()), "{wrong}");
        }
    }

    #[test]
    fn every_changed_byte_and_every_weak_algorithm_is_refused() {
        let issuer = Issuer::new("k1");
        let good = issuer.token(&serde_json::json!({"sub": "x"}), ISSUER, "us");
        for at in 0..good.len() {
            let mut wrong = good.clone().into_bytes();
            wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
            let wrong = String::from_utf8(wrong).unwrap();
            // The last character of a part holds bits that no byte has.
            let same = issuer.decoded(&wrong) == issuer.decoded(&good);
            assert!(same || verify(&wrong, &issuer.keys(), ISSUER, "us", NOW).is_none(), "byte {at}");
        }
        for header in [
            r#"{"alg":"none","kid":"k1"}"#,
            r#"{"alg":"HS256","kid":"k1"}"#,
            r#"{"alg":"ES256","kid":"k1","crit":["x"],"x":1}"#,
            r#"{"kid":"k1"}"#,
        ] {
            assert!(verify(&issuer.with_header(header, ISSUER, "us"), &issuer.keys(), ISSUER, "us", NOW).is_none(), "{header}");
        }
        let typed = |typ: &str| {
            let header = format!(r#"{{"alg":"ES256","kid":"k1","typ":{typ}}}"#);
            verify(&issuer.with_header(&header, ISSUER, "us"), &issuer.keys(), ISSUER, "us", NOW).is_some()
        };
        for good in [r#""JWT""#, r#""at+jwt""#, r#""application/okta-internal-at+jwt""#, r#""JOSE""#] {
            assert!(typed(good), "{good}");
        }
        for other in [r#""logout+jwt""#, r#""application/secevent+JWT""#, r#""dpop+jwt""#, "7"] {
            assert!(!typed(other), "{other}");
        }
        for text in ["", "a.b", "a.b.c.d", &"x".repeat(20_000)] {
            assert!(verify(text, &issuer.keys(), ISSUER, "us", NOW).is_none());
        }
    }

    #[test]
    fn a_claim_is_found_by_its_whole_name_or_its_path() {
        let claims = Claims(
            serde_json::from_str(r#"{"a.b": 1, "a": {"b": 2, "c.d": {"e": 3}}, "kubernetes.io": {"namespace": "n"}}"#).unwrap(),
        );
        assert_eq!(claims.at("a.b"), Some(&Value::from(1)));
        assert_eq!(claims.at("a.c.d.e"), Some(&Value::from(3)));
        assert_eq!(claims.at("kubernetes.io.namespace"), Some(&Value::from("n")));
        assert_eq!(claims.at("a.x"), None);
    }
}
