//! Requests of osquery: JSON whose `enroll_secret` or `node_key` is the credential. It is read before anybody is identified, so it is short.

use axum::body::Body;
use gate::Credential;
use kernel::{Kind, Problem, Secret};
use serde::Deserialize;

use crate::bodies::Unread;
use crate::outbound::{Answer, json_text, problem_answer};

/// A body with its credential: a node's logs come in pieces that its own flags bound (`--logger_tls_max_lines`).
const NODE_BYTES_MAX: usize = 256 * 1024;
/// What a node is told whose key does not count: it enrols again (osquery's remote interface).
const INVALID: &str = r#"{"node_invalid": true}"#;

#[derive(Deserialize)]
struct Said {
    enroll_secret: Option<Hidden>,
    node_key: Option<Hidden>,
}

/// A text that is a secret from the moment on that it is read.
struct Hidden(Secret);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::from(text)))
    }
}

/// The credential in a body, and the body again.
///
/// # Errors
/// `TooLarge` for a body that is too long, `Invalid` for one that breaks off.
pub(crate) async fn credential(body: Unread<'_>) -> Result<(Credential, Body), Problem> {
    let bytes = body.whole(NODE_BYTES_MAX).await?;
    let said = serde_json::from_slice::<Said>(&bytes).ok();
    let secret = said.and_then(|said| said.node_key.or(said.enroll_secret));
    Ok((secret.map_or(Credential::Malformed, |secret| Credential::Bearer(secret.0)), Body::from(bytes)))
}

/// A refusal in osquery's words.
pub(crate) fn refusal(problem: &Problem) -> Answer {
    if problem.kind() == Kind::Unauthenticated {
        return json_text(INVALID).unwrap_or_else(|problem| problem_answer(&problem, false));
    }
    problem_answer(problem, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(body: &str) -> Result<Credential, Problem> {
        let bodies = crate::bodies::Bodies::default();
        credential(bodies.of_stranger(Body::from(body.to_owned()), None)).await.map(|(credential, _)| credential)
    }

    #[tokio::test]
    async fn the_credential_is_where_osquery_has_it_or_nowhere() {
        let bearer = |credential: Credential| match credential {
            Credential::Bearer(secret) => secret.expose_text().unwrap_or_default().to_owned(),
            _ => "none".to_owned(),
        };
        assert_eq!(bearer(read(r#"{"enroll_secret": "a", "host_identifier": "h"}"#).await.unwrap()), "a");
        assert_eq!(bearer(read(r#"{"node_key": "b", "data": []}"#).await.unwrap()), "b");
        for wrong in ["", "{}", "[]", r#"{"node_key": 1}"#, r#"{"node_key": "#] {
            assert_eq!(bearer(read(wrong).await.unwrap()), "none", "{wrong}");
        }
        assert_eq!(read(&" ".repeat(NODE_BYTES_MAX + 1)).await.unwrap_err().kind(), Kind::TooLarge);
    }
}
