use serde_json::Value;

use super::*;
use crate::record::ModelRecord;
use crate::samples::{HOSTILE, bare, full, hostile};

#[test]
fn what_is_known_is_written() {
    for text in [card_markdown(&full()), dossier_html(&full())] {
        for expected in ["churn", "0.91 (0.9 to 0.92)", "customers@3", "HopSkipJump", "AML.T0043", "u-99", "observed", "claimed"]
        {
            assert!(text.contains(expected), "{expected}:\n{text}");
        }
    }
    assert!(dossier_html(&full()).contains("9. Plan after placing on the market"));
}

#[test]
fn what_is_not_known_is_said() {
    for text in [card_markdown(&bare()), dossier_html(&bare())] {
        for expected in
            ["Not declared.", "No metrics were recorded.", "not known", "This paper does not know", "No simulated attack"]
        {
            assert!(text.contains(expected), "{expected}:\n{text}");
        }
    }
    assert!(unknown(&bare()).len() > 15);
    assert_eq!(unknown(&full()), ["provider", "out-of-scope uses", "ethical considerations"]);
}

#[test]
fn hostile_texts_stay_text() {
    let page = dossier_html(&hostile());
    assert!(!page.contains("<script") && !page.contains("<h1>#") && page.matches("<style>").count() == 1);
    let card = card_markdown(&hostile());
    let plain: String = ["\\]", "\\|", "\\`"].iter().fold(card.clone(), |text, escaped| text.replace(escaped, ""));
    for bad in ["<script", "](javascript", "\n# h\n", "|`"] {
        assert!(!plain.contains(bad), "{bad}:\n{card}");
    }
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let head = card.lines().position(|line| line.starts_with("| Parameter")).unwrap();
    for line in card.lines().skip(head).take_while(|line| line.starts_with('|')) {
        assert_eq!(cells(line), 3, "{line}");
    }
    assert!(HOSTILE.contains('<'));
}

#[test]
fn what_a_reader_would_not_see_is_written_out() {
    let mut record = full();
    record.declared.limitations = Some("not \u{202e}decnavda\u{202c} \u{200b}\u{e0041}\0 ❤\u{fe0f}".to_owned());
    let shown = "not \\u{202e}decnavda\\u{202c} \\u{200b}\\u{e0041}\\u{0} ❤\u{fe0f}";
    assert!(dossier_html(&record).contains(shown), "{}", dossier_html(&record));
    let escaped = shown.replace('\\', "\\\\");
    assert!(card_markdown(&record).contains(&escaped), "{}", card_markdown(&record));
}

#[test]
fn the_json_card_is_read_back_as_the_record() {
    for record in [bare(), full(), hostile()] {
        let card: Value = serde_json::from_slice(&card_json(&record).unwrap()).unwrap();
        assert_eq!(card["schema"], CARD_SCHEMA);
        assert_eq!(serde_json::from_value::<ModelRecord>(card["record"].clone()).unwrap(), record);
    }
}

#[test]
fn a_metric_that_is_no_number_is_told_as_such() {
    let mut record = full();
    for (value, word) in [(f64::NAN, "NaN"), (f64::NEG_INFINITY, "-inf")] {
        record.metrics[0].value = value;
        let card: Value = serde_json::from_slice(&card_json(&record).unwrap()).unwrap();
        assert_eq!(card["record"]["metrics"][0]["value"], word);
        let read: ModelRecord = serde_json::from_value(card["record"].clone()).unwrap();
        assert_eq!(read.metrics[0].value.to_string(), word);
        assert!(card_markdown(&record).contains(word), "{}", card_markdown(&record));
    }
}
