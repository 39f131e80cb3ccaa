//! `LIKE` patterns: `%` is any text, `_` is any one letter.

/// Whether `text` matches `pattern` as a whole. Linear in text × pattern, without recursion.
#[must_use]
pub fn like_matches(pattern: &str, text: &str, case_insensitive: bool) -> bool {
    if case_insensitive { matches(&pattern.to_lowercase(), &text.to_lowercase()) } else { matches(pattern, text) }
}

fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at_pattern, mut at_text) = (0, 0);
    // Where to go back to: just after the last `%`, and the text position that it has swallowed up to.
    let mut retry: Option<(usize, usize)> = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some('%') => {
                at_pattern += 1;
                retry = Some((at_pattern, at_text));
            }
            Some(letter) if *letter == '_' || Some(letter) == text.get(at_text) => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => match retry {
                Some((after, swallowed)) => {
                    at_pattern = after;
                    at_text = swallowed + 1;
                    retry = Some((after, at_text));
                }
                None => return false,
            },
        }
    }
    pattern.get(at_pattern..).is_none_or(|left| left.iter().all(|letter| *letter == '%'))
}
