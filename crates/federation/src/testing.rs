//! An issuer of the tests' own.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use kernel::Micros;
use serde_json::{Map, Value, json};

pub(crate) const NOW: Micros = Micros(1_800_000_000_000_000);

pub(crate) struct Issuer {
    pair: EcdsaKeyPair,
    kid: String,
}

impl Issuer {
    pub(crate) fn new(kid: &str) -> Self {
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), kid: kid.to_owned() }
    }

    pub(crate) fn key_document(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let part = |from: usize| URL_SAFE_NO_PAD.encode(&point[from..from + 32]);
        json!({"keys": [{"kty": "strange"}, {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid, "x": part(1), "y": part(33)}]})
    }

    pub(crate) fn keys(&self) -> Vec<Jwk> {
        crate::provider::read_keys(&serde_json::to_vec(&self.key_document()).unwrap())
    }

    pub(crate) fn token(&self, claims: &Value, issuer: &str, audience: &str) -> String {
        let mut all: Map<String, Value> = serde_json::from_value(json!({
            "iss": issuer, "aud": audience, "iat": NOW.as_secs(), "exp": NOW.as_secs() + 3_600
        }))
        .unwrap();
        all.extend(claims.as_object().unwrap().clone());
        self.sign(&format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{}"}}"#, self.kid), &Value::Object(all))
    }

    pub(crate) fn with_header(&self, header: &str, issuer: &str, audience: &str) -> String {
        self.sign(header, &json!({"iss": issuer, "aud": audience, "iat": NOW.as_secs(), "exp": NOW.as_secs() + 3_600}))
    }

    pub(crate) fn decoded(&self, token: &str) -> Option<Vec<Vec<u8>>> {
        token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok()).collect()
    }

    fn sign(&self, header: &str, claims: &Value) -> String {
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}
