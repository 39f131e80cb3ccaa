//! Access keys: what clients that sign their requests (AWS Signature Version 4) come with. Each belongs to a token: it may do what the
//! token may, and ends with it. No secret of theirs is stored: it is derived from the key's id under a key of the server's own.
//!
//! A short-lived key says in its session token whom it is for and until when:
//! `sr_sts_<token's id>~<access key>~<issued>~<expires>~<HMAC-SHA256 in hex>`, times in microseconds.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gate::Signed;
use kernel::{Micros, Secret, hex, parse_hex, random_id};
use sigv4::Scope;

use crate::store::TOKEN_ID_PREFIX;

/// The shortest and longest life of a short-lived key, as AWS's `AssumeRoleWithWebIdentity` has them.
pub const SESSION_KEY_SECONDS: std::ops::RangeInclusive<i64> = 900..=43_200;
const OF_TOKEN: &str = "SRK";
const OF_SESSION: &str = "SRS";
const SESSION_PREFIX: &str = "sr_sts_";
const BETWEEN: char = '~';
const SESSION_BYTES_MAX: usize = 512;

/// Makes access keys and finds their secrets again.
pub(crate) struct AccessKeys(hmac::Key);

/// An access key with its secret.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// Its id, which every request names.
    pub id: String,
    /// What requests are signed with.
    pub secret: Secret,
    /// What a request with a short-lived key names too.
    pub session_token: Option<Secret>,
    /// When it ends; none if only its token's end ends it.
    pub expires_at: Option<Micros>,
}

/// What an access key is good for.
pub(crate) struct Holding {
    pub(crate) token_id: String,
    pub(crate) expires_at: Option<Micros>,
    pub(crate) secret: Secret,
}

impl AccessKeys {
    /// Keys that are derived from `secret`.
    pub(crate) fn new(secret: &Secret) -> Self {
        let parent = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&parent, b"strongroom access keys v1").as_ref()))
    }

    /// The key of a token; none for what is no token's id.
    pub(crate) fn of_token(&self, token_id: &str) -> Option<AccessKey> {
        let id = format!("{OF_TOKEN}{}", token_id.strip_prefix(TOKEN_ID_PREFIX)?);
        Some(AccessKey { secret: self.secret(&id), id, session_token: None, expires_at: None })
    }

    /// A short-lived key for a token.
    pub(crate) fn session(&self, token_id: &str, at: Micros, expires_at: Micros) -> AccessKey {
        let id = format!("{OF_SESSION}{}", random_id());
        let said = format!("{SESSION_PREFIX}{token_id}{BETWEEN}{id}{BETWEEN}{}{BETWEEN}{}", at.0, expires_at.0);
        let text = format!("{said}{BETWEEN}{}", hex(hmac::sign(&self.0, said.as_bytes()).as_ref()));
        AccessKey { secret: self.secret(&text), id, session_token: Some(Secret::from(text)), expires_at: Some(expires_at) }
    }

    /// Whose key signed, and its secret. Whether the signature is right, and the token good, is not asked.
    pub(crate) fn holding(&self, signed: &Signed) -> Option<Holding> {
        let Some(session) = &signed.session_token else {
            let id = signed.access_key.strip_prefix(OF_TOKEN)?;
            let token_id = format!("{TOKEN_ID_PREFIX}{id}");
            return Some(Holding { token_id, expires_at: None, secret: self.secret(&signed.access_key) });
        };
        let text = session.expose_text().filter(|text| text.len() <= SESSION_BYTES_MAX)?;
        let (said, seal) = text.rsplit_once(BETWEEN)?;
        let right = hmac::sign(&self.0, said.as_bytes());
        constant_time::verify_slices_are_equal(right.as_ref(), &parse_hex(seal)?).ok()?;
        let fields: Vec<&str> = said.strip_prefix(SESSION_PREFIX)?.split(BETWEEN).collect();
        let [token_id, access_key, _issued_at, expires_at] = fields.as_slice() else { return None };
        let expires_at = expires_at.parse().ok().map(Micros)?;
        let same = *access_key == signed.access_key;
        same.then(|| Holding { token_id: (*token_id).to_owned(), expires_at: Some(expires_at), secret: self.secret(text) })
    }

    fn secret(&self, text: &str) -> Secret {
        let sign = hmac::sign(&self.0, format!("secret of {text}").as_bytes());
        // 30 bytes give 40 characters, as AWS's secrets have.
        let mut text = URL_SAFE_NO_PAD.encode(sign.as_ref().get(..30).unwrap_or_default());
        // Programs that take it as a word of their command line would read an option.
        if text.starts_with('-') {
            text.replace_range(..1, "A");
        }
        Secret::from(text)
    }
}

/// Whether the signature is the one that the secret makes; the key that it was made with is left in `signed` if so.
pub(crate) fn is_right(secret: &Secret, signed: &Signed) -> bool {
    let scope = Scope { date: signed.date.clone(), region: signed.region.clone(), service: signed.service.clone() };
    let key = sigv4::signing_key(secret.expose(), &scope);
    let same = sigv4::is_signature(&key, signed.string_to_sign.as_bytes(), &signed.signature);
    if same {
        // Another knock with the same request cannot share this place.
        drop(signed.signing_key.set(key));
    }
    same
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn keys() -> AccessKeys {
        AccessKeys::new(&Secret::from("one".to_owned()))
    }

    fn signed(key: &AccessKey) -> Signed {
        Signed {
            access_key: key.id.clone(),
            session_token: key.session_token.clone(),
            date: "20130524".to_owned(),
            region: "us-east-1".to_owned(),
            service: "s3".to_owned(),
            string_to_sign: "anything".to_owned(),
            signature: [0; 32],
            signing_key: Arc::default(),
        }
    }

    #[test]
    fn a_key_leads_back_to_its_token_and_secret() {
        let key = keys().of_token("tok_7").unwrap();
        let held = keys().holding(&signed(&key)).unwrap();
        assert_eq!((held.token_id.as_str(), held.secret == key.secret, held.expires_at), ("tok_7", true, None));
        assert!(keys().of_token("ses_7").is_none());
        let other = AccessKeys::new(&Secret::from("two".to_owned())).of_token("tok_7").unwrap();
        assert!(other.secret != key.secret);
    }

    #[test]
    fn no_secret_looks_like_an_option() {
        for number in 0..500 {
            let key = keys().of_token(&format!("tok_{number}")).unwrap();
            let text = key.secret.expose_text().unwrap();
            assert!(text.len() == 40 && !text.starts_with('-'), "{number}");
        }
    }

    #[test]
    fn a_short_lived_key_is_bound_to_all_that_it_says() {
        let key = keys().session("tok_7", Micros(5), Micros(9));
        let held = keys().holding(&signed(&key)).unwrap();
        assert_eq!((held.token_id.as_str(), held.secret == key.secret, held.expires_at), ("tok_7", true, Some(Micros(9))));
        assert!(keys().holding(&Signed { access_key: "SRSother".to_owned(), ..signed(&key) }).is_none());
        assert!(keys().holding(&Signed { session_token: None, ..signed(&key) }).is_none());
        let text = key.session_token.clone().unwrap();
        for at in 0..text.expose().len() {
            let mut wrong = text.expose().to_vec();
            wrong[at] ^= 1;
            let wrong = Signed { session_token: Some(Secret::new(wrong)), ..signed(&key) };
            assert!(keys().holding(&wrong).is_none(), "byte {at}");
        }
    }

    #[test]
    fn the_signature_of_the_published_example_is_right_and_no_other() {
        // Amazon S3, "Authenticating Requests: Using the Authorization Header", GET Object.
        let secret = Secret::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
        let string_to_sign = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
                              7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972";
        let signature = parse_hex("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41").unwrap();
        let key = keys().of_token("tok_7").unwrap();
        let mut signed = Signed { string_to_sign: string_to_sign.to_owned(), ..signed(&key) };
        assert!(!is_right(&secret, &signed) && signed.signing_key.get().is_none());
        signed.signature = signature.try_into().unwrap();
        assert!(is_right(&secret, &signed) && signed.signing_key.get().is_some());
        assert!(!is_right(&Secret::from("another".to_owned()), &signed));
    }
}
