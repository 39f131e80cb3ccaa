//! Log-in of a command line (after RFC 8628): it makes a secret and shows a short code of it; a person types the code, or follows a link, in a
//! browser and agrees; then the secret is worth a token, once. Nothing is kept here before somebody who is known agrees.

use kernel::{Secret, sha256};

use crate::secret_text::{SecretKind, mint, parse_secret_text};

/// How long an agreement waits for its command line.
pub const DEVICE_SECONDS: i64 = 600;
/// Ten characters of 32 hold 50 bits: within its ten minutes nobody finds another secret with the same code.
const CODE_LENGTH: usize = 10;
/// Capitals and digits that do not look like each other (after RFC 8628, section 6.1): no 0, 1, I or O.
const ALPHABET: &[u8; 32] = b"BCDFGHJKLMNPQRSTVWXYZ23456789AEU";

/// A new secret of a command line.
#[must_use]
pub fn new_device_secret() -> Secret {
    mint(SecretKind::Device)
}

/// The code that belongs to a secret, as people read it: `XXXXX-XXXXX`. None for what is no such secret.
#[must_use]
pub fn user_code(secret: &Secret) -> Option<String> {
    if parse_secret_text(secret.expose()) != Some(SecretKind::Device) {
        return None;
    }
    let digest = sha256(&[b"device code ".as_slice(), secret.expose()].concat());
    let letters = digest.iter().take(CODE_LENGTH).filter_map(|byte| ALPHABET.get(usize::from(byte & 31))).map(|b| char::from(*b));
    let mut code: String = letters.collect();
    code.insert(CODE_LENGTH / 2, '-');
    Some(code)
}

/// What is stored of a code, however it was typed; none for what cannot be one.
pub(crate) fn code_digest(typed: &str) -> Option<[u8; 32]> {
    let letters: String = typed
        .chars()
        .filter(|letter| !letter.is_whitespace() && *letter != '-')
        .map(|letter| letter.to_ascii_uppercase())
        .collect();
    let fits = letters.len() == CODE_LENGTH && letters.bytes().all(|letter| ALPHABET.contains(&letter));
    fits.then(|| sha256(format!("agreed to {letters}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_belongs_to_its_secret_and_is_forgiving_of_how_it_is_typed() {
        let secret = new_device_secret();
        let code = user_code(&secret).unwrap();
        assert_eq!((code.len(), user_code(&secret).unwrap()), (11, code.clone()));
        assert_ne!(user_code(&new_device_secret()).unwrap(), code);
        assert_eq!(code_digest(&format!(" {} ", code.replace('-', " "))), code_digest(&code));
        assert!(code_digest(&code[1..]).is_none() && code_digest("01OIO-01OIO").is_none());
        assert!(user_code(&Secret::from("sr_pat_x".to_owned())).is_none());
    }
}
