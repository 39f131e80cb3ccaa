//! JSON as Python's `json` writes it, and so MLflow's and Triton's clients: with `NaN` where a number is missing. JSON has no such
//! word; `null` says the same here.

/// What `read` makes of JSON; where it cannot, of the same with `null` for each `NaN`.
pub(super) fn read<T>(json: &[u8], read: impl Fn(&[u8]) -> serde_json::Result<T>) -> serde_json::Result<T> {
    read(json).or_else(|error| as_null(json).ok_or(error).and_then(|respelt| read(&respelt)))
}

/// Why JSON cannot be read, where `error` says at which byte: Python writes an infinite number as a word, too.
pub(super) fn why(json: &[u8], error: &serde_json::Error) -> String {
    if respelt(json, b"Infinity").is_some() {
        return "JSON has no `Infinity`; send a finite number, or `null` where one is missing".to_owned();
    }
    error.to_string()
}

/// The same JSON with `null` for each `NaN` outside of texts, if there is one.
pub(super) fn as_null(json: &[u8]) -> Option<Vec<u8>> {
    respelt(json, b"NaN")
}

/// The same JSON with `null` for each such word outside of texts, if there is one.
fn respelt(json: &[u8], word: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(json.len());
    let (mut found, mut in_text, mut is_escaped) = (false, false, false);
    let mut rest = json;
    while let Some((byte, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(word).filter(|_| !in_text) {
            out.extend_from_slice(b"null");
            found = true;
            rest = after;
            continue;
        }
        if *byte == b'"' && !is_escaped {
            in_text = !in_text;
        }
        is_escaped = in_text && *byte == b'\\' && !is_escaped;
        out.push(*byte);
        rest = after;
    }
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_for_a_number_is_respelt() {
        for (given, expected) in [
            ("[1, NaN, [NaN]]", Some("[1, null, [null]]")),
            (r#"{"NaN": [NaN], "a\"NaN\\": "NaN"}"#, Some(r#"{"NaN": [null], "a\"NaN\\": "NaN"}"#)),
            (r#"["\\", NaN]"#, Some(r#"["\\", null]"#)),
            (r#"["NaN", "\"NaN"]"#, None),
            ("[1, null, Infinity, nan]", None),
            ("", None),
        ] {
            assert_eq!(as_null(given.as_bytes()), expected.map(|text| text.as_bytes().to_vec()), "{given}");
        }
    }

    #[test]
    fn what_is_read_anyway_is_left_alone() {
        fn numbers(json: &[u8]) -> serde_json::Result<Vec<Option<f64>>> {
            serde_json::from_slice(json)
        }
        assert_eq!(read(b"[1, 2]", numbers).unwrap(), [Some(1.0), Some(2.0)]);
        assert_eq!(read(b"[1, NaN]", numbers).unwrap(), [Some(1.0), None]);
        for (wrong, said) in [
            ("[1, Infinity]", "JSON has no `Infinity`"),
            ("[NaN, -Infinity]", "JSON has no `Infinity`"),
            ("[1, NaN", "EOF"),
            ("[1, \"NaN\"]", "invalid type"),
            ("[1, \"Infinity\"]", "invalid type"),
        ] {
            let error = read(wrong.as_bytes(), numbers).unwrap_err();
            assert!(why(wrong.as_bytes(), &error).contains(said), "{wrong}: {error}");
        }
    }
}
