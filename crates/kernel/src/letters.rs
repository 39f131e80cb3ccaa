//! Letters that a reader does not see, though a program does.

/// The letters of a text in their order, each with whether it is hidden: it has no shape of its own, or it turns the reading
/// direction of others. Control letters are, line ends among them; those that join letters are not where they follow a letter
/// that may need them, as in Persian or in an emoji.
///
/// Source: Unicode 16, `Default_Ignorable_Code_Point` and `Bidi_Control`.
pub fn letters(text: &str) -> impl Iterator<Item = (char, bool)> {
    let mut before = None;
    text.chars().map(move |letter| {
        let is_hidden = hidden(letter, before);
        before = Some(letter);
        (letter, is_hidden)
    })
}

fn hidden(letter: char, before: Option<char>) -> bool {
    match letter {
        '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' => before.is_none_or(|before| before.is_ascii()),
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' => true,
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' => true,
        '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' => true,
        '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        letter => letter.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::letters;

    fn check(text: &str, wanted: usize) {
        assert_eq!(letters(text).filter(|(_, is_hidden)| *is_hidden).count(), wanted, "{text:?}");
        assert_eq!(letters(text).map(|(letter, _)| letter).collect::<String>(), text);
    }

    #[test]
    fn what_is_not_seen_is_told_apart_from_what_scripts_need() {
        check("churn, Zürich \u{5d0} 模型 \u{fffd}", 0);
        check("a\u{202e}b\u{2066}c\u{2069}\u{200b}\u{200f}\u{feff}\u{ad}", 7);
        check("a\nb\0", 2);
        check("x\u{e0041}\u{e0100}\u{fe01}", 3);
        check("می\u{200c}خواهم ❤\u{fe0f} 👩\u{200d}💻", 0);
        check("\u{200d}mo\u{200c}del\u{fe0f}", 3);
    }
}
