//! Numbers, times and foreign texts, as a page shows them.

use std::fmt;

use kernel::Micros;

/// Text that may hold anything, made safe for HTML: markup is escaped; what cannot be seen or would turn the reading
/// direction is shown as a replacement character.
pub(super) struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for (letter, is_hidden) in kernel::letters(self.0) {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ if is_hidden => f.write_char('\u{fffd}')?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// `12 345 678`, with thin spaces.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(place);
        if place > 0 && left.is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

/// `3.4 MB`, in powers of ten.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = approximate(number);
    let mut unit = "B";
    for name in UNITS {
        unit = name;
        if value < 1_000.0 {
            break;
        }
        value /= 1_000.0;
    }
    if unit == "B" { format!("{number} B") } else { format!("{value:.1} {unit}") }
}

/// `1.2 s`.
pub(super) fn seconds(micros: u64) -> String {
    format!("{:.1} s", approximate(micros) / 1e6)
}

/// `3.1 %`; a share that is not zero is never shown as zero.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.1 { "<0.1 %".replace('<', "&lt;") } else { format!("{percent:.1} %") }
}

/// `2026-11-25 18:04:05 UTC`.
pub(super) fn instant(micros: i64) -> String {
    Micros(micros).rfc3339_seconds().replace('T', " ").replace('Z', " UTC")
}

/// `number` as a floating-point number: exact to 2^53, which is enough to draw.
#[expect(clippy::cast_precision_loss, reason = "a bar's length needs no more than 53 bits")]
pub(super) const fn approximate(number: u64) -> f64 {
    number as f64
}
