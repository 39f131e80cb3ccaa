//! Texts of the stream as Python reads them.

use super::value::Letters;

/// The text that Python makes of these bytes; `None` if it makes none.
pub(super) fn decode(letters: Letters, bytes: &[u8]) -> Option<String> {
    match letters {
        Letters::Utf8 => Some(String::from_utf8_lossy(bytes).into_owned()),
        Letters::OneByte => Some(latin1(bytes)),
        Letters::RawEscapes => Some(raw_escapes(bytes)),
        Letters::ReprEscapes => repr_escapes(bytes).map(|bytes| latin1(&bytes)),
        Letters::Bytes | Letters::ByteArray => None,
    }
}

pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The bytes that `text.encode("latin1")` gives; `None` if a letter has none.
pub(super) fn to_latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect()
}

/// `raw-unicode-escape`: Latin-1 in which an odd number of backslashes before `u` or `U` begins a code point.
fn raw_escapes(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte != b'\\' {
            out.push(char::from(*byte));
            at += 1;
            continue;
        }
        let digits = match bytes.get(at + 1) {
            Some(b'u') => 4,
            Some(b'U') => 8,
            // A backslash that begins no escape stands for itself, together with what follows it.
            Some(other) => {
                out.push('\\');
                out.push(char::from(*other));
                at += 2;
                continue;
            }
            None => {
                out.push('\\');
                break;
            }
        };
        let code = bytes.get(at + 2..at + 2 + digits).and_then(hexadecimal);
        out.push(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
        at += 2 + digits;
    }
    out
}

/// What stands between the quotes of a `repr` of bytes.
fn repr_escapes(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let escape = *bytes.get(at)?;
        at += 1;
        match escape {
            b'\n' => {}
            b'a' => out.push(7),
            b'b' => out.push(8),
            b't' => out.push(b'\t'),
            b'n' => out.push(b'\n'),
            b'v' => out.push(11),
            b'f' => out.push(12),
            b'r' => out.push(b'\r'),
            b'\\' | b'\'' | b'"' => out.push(escape),
            b'x' => {
                let code = bytes.get(at..at + 2).and_then(hexadecimal)?;
                out.push(u8::try_from(code).ok()?);
                at += 2;
            }
            b'0'..=b'7' => {
                let mut code = u32::from(escape - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = bytes.get(at) else { break };
                    code = code * 8 + u32::from(digit - b'0');
                    at += 1;
                }
                out.push((code & 0xff) as u8);
            }
            other => out.extend([b'\\', other]),
        }
    }
    Some(out)
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |code, digit| Some(code.checked_mul(16)? + char::from(*digit).to_digit(16)?))
}

/// An integer as Python's `int(text)` reads it: spaces around, a sign, underscores between digits.
pub(super) fn integer(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let mut value = 0_i64;
    let mut after_digit = false;
    for letter in digits.chars() {
        match letter.to_digit(10) {
            Some(digit) => {
                value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
                after_digit = true;
            }
            None if letter == '_' && after_digit => after_digit = false,
            None => return None,
        }
    }
    after_digit.then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_as_python_reads_them() {
        for (letters, bytes, wanted) in [
            (Letters::RawEscapes, &b"\\u006fs"[..], Some("os")),
            (Letters::RawEscapes, b"o\\\\u0073", Some("o\\\\u0073")),
            (Letters::RawEscapes, b"\\U0000006fs\xe9", Some("os\u{e9}")),
            (Letters::ReprEscapes, b"\\x6fs", Some("os")),
            (Letters::ReprEscapes, b"\\157\\163", Some("os")),
            (Letters::ReprEscapes, b"o\\\ns\\q", Some("os\\q")),
            (Letters::ReprEscapes, b"os\\", None),
            (Letters::Bytes, b"os", None),
            (Letters::Utf8, "ö".as_bytes(), Some("ö")),
        ] {
            assert_eq!(decode(letters, bytes).as_deref(), wanted, "{bytes:?}");
        }
    }

    #[test]
    fn integers_are_read_as_python_reads_them() {
        for (text, wanted) in [
            ("12", Some(12)),
            (" +1_2 ", Some(12)),
            ("-7", Some(-7)),
            ("1__2", None),
            ("_1", None),
            ("1_", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(integer(text.as_bytes()), wanted, "{text}");
        }
    }
}
