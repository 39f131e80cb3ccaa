//! Values shown without being given away.

/// Characters of a masked value, at most.
pub const MASK_CHARS_MAX: usize = 32;
/// Characters that may stay readable at an end.
const KEPT_CHARS_MAX: usize = 2;
/// A value with fewer letters and digits than this shows none of them.
const SHOWN_CHARS_MIN: usize = 8;

/// The value with its letters and digits replaced (`a`, `A` and `9` stand for what was there), so that its shape can be
/// recognised but not the value. At most the last two characters of a long value stay, and never more than an eighth of it.
#[must_use]
pub fn mask(value: &str) -> String {
    let count = value.chars().filter(|character| character.is_alphanumeric()).count();
    let kept = if count < SHOWN_CHARS_MIN { 0 } else { (count / 8).min(KEPT_CHARS_MAX) };
    let mut seen = 0;
    let mut masked = String::new();
    for (place, character) in value.chars().enumerate() {
        let shown = if character.is_alphanumeric() {
            seen += 1;
            if seen > count - kept { character } else { stand_in(character) }
        } else if character.is_control() {
            ' '
        } else {
            character
        };
        if place >= MASK_CHARS_MAX {
            masked.push('…');
            break;
        }
        masked.push(shown);
    }
    masked
}

fn stand_in(character: char) -> char {
    if character.is_numeric() {
        '9'
    } else if character.is_uppercase() {
        'A'
    } else {
        'a'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &str) {
        assert_eq!(mask(value), expected, "{value}");
    }

    #[test]
    fn the_shape_stays_and_the_value_goes() {
        check("", "");
        check("Ana", "Aaa");
        check("4111 1111 1111 1111", "9999 9999 9999 9911");
        check("ana.silva@example.org", "aaa.aaaaa@aaaaaaa.arg");
        check("Zürich\n8001", "Aaaaaa 9991");
        check("东京都千代田区丸之内", "aaaaaaaaa内");
        check(&"x".repeat(100), &format!("{}…", "a".repeat(32)));
    }
}
