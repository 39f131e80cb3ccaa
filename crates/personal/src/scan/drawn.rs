//! Whether a secret looks drawn by chance, or like the word that stands in its place in examples.

/// A password that looks drawn has at least so many bytes.
const DRAWN_BYTES_MIN: usize = 8;
/// Digits behind a placeholder that leave it one: `password1234`.
const TAIL_DIGITS_MAX: usize = 4;
/// Words that stand where a secret would. A longer one stands before those that it begins with.
const PLACEHOLDERS: &str = "password passwort passphrase passwd passw0rd pass pwd secret changeit change example placeholder sample dummy \
    redacted hidden masked required optional undefined string null none true false value field token apikey api key your user admin \
    fake insert enter replace here this the with my new old current default";

/// Whether a token has digits and letters, and many different bytes.
pub fn is_random(token: &[u8]) -> bool {
    let mut seen = [false; 256];
    let mut distinct = 0;
    for byte in token {
        if let Some(place) = seen.get_mut(usize::from(*byte))
            && !*place
        {
            *place = true;
            distinct += 1;
        }
    }
    token.iter().any(u8::is_ascii_digit) && token.iter().any(u8::is_ascii_alphabetic) && distinct * 3 >= token.len().min(36)
}

/// Whether a password looks drawn: besides, letters of both cases, digits and signs take turns, as they do in no word with a year behind it.
pub fn is_drawn(password: &[u8]) -> bool {
    let turns = password.windows(2).filter(|pair| matches!(pair, [one, other] if sort_of(*one) != sort_of(*other))).count();
    password.len() >= DRAWN_BYTES_MIN && is_random(password) && turns * 3 >= password.len()
}

/// Whether it is what examples say in place of a secret: `changeme`, `your-password`, `xxx`, `…`.
pub fn is_placeholder(token: &[u8]) -> bool {
    let text = String::from_utf8_lossy(token).to_lowercase();
    let letters: String = text.chars().filter(|letter| letter.is_alphanumeric()).collect();
    let Some(first) = letters.chars().next() else { return true };
    if letters.chars().all(|letter| letter == first) {
        return true;
    }
    let mut rest = letters.as_str();
    while let Some(shorter) = without_word(rest) {
        rest = shorter;
    }
    let named = rest.len() < letters.len();
    named && rest.len() <= TAIL_DIGITS_MAX && rest.bytes().all(|byte| byte.is_ascii_digit())
}

/// What follows a placeholder that a text begins with. `me` is one only behind `change`.
fn without_word(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix("changeme") {
        return Some(rest);
    }
    PLACEHOLDERS.split_ascii_whitespace().find_map(|word| text.strip_prefix(word))
}

/// Lower case, upper case, digits, everything else.
const fn sort_of(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_examples_say_is_no_secret() {
        for text in [
            "secret",
            "changeme",
            "change-me",
            "your-password",
            "YOUR_API_KEY_HERE",
            "xxx",
            "XXXX-XXXX",
            "…",
            "...",
            "*****",
            "password123",
            "<password>",
            "string",
            "my_new_password",
        ] {
            assert!(is_placeholder(text.as_bytes()), "{text}");
        }
        for text in ["hunter22", "s3cret", "пароль77", "secretary", "mymeow7", "12345", "correct-horse"] {
            assert!(!is_placeholder(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_is_drawn_takes_turns() {
        for text in ["xK9#mQ2$vL", "9f86d081884c7d65", "Tr0ub4dor&3"] {
            assert!(is_drawn(text.as_bytes()), "{text}");
        }
        for text in ["hunter22", "Summer2024!", "correct-horse", "aaaaaaaa1", "s3cret", ""] {
            assert!(!is_drawn(text.as_bytes()), "{text}");
        }
    }
}
