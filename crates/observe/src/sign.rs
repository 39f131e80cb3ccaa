//! Signatures of webhooks, as Standard Webhooks 1.0 has them (`v1`, symmetric): HMAC-SHA256 over id, time and body.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::{Problem, Secret};

const PREFIX: &str = "whsec_";

/// A secret that webhooks are signed with.
pub struct SigningKey(Secret);

impl SigningKey {
    /// Reads `whsec_…`.
    ///
    /// # Errors
    /// `Invalid` for anything else; the text is not repeated.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let bad = || Problem::invalid("a webhook's secret is `whsec_` and base64 of 24 to 64 bytes");
        let bytes = STANDARD.decode(text.trim().strip_prefix(PREFIX).ok_or_else(bad)?).map_err(|_| bad())?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(bad());
        }
        // Kept as text, which is how secrets are kept.
        Ok(Self(Secret::from(text.trim().to_owned())))
    }

    /// The header `webhook-signature` of a message.
    #[must_use]
    pub fn signature(&self, id: &str, at_s: i64, body: &[u8]) -> String {
        let text = self.0.expose_text().unwrap_or_default();
        let key = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or_default()).unwrap_or_default();
        let mut message = format!("{id}.{at_s}.").into_bytes();
        message.extend_from_slice(body);
        format!("v1,{}", STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_example_holds() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(SigningKey::parse("whsec_short").is_err() && SigningKey::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err());
    }
}
