//! Lists on a terminal: aligned columns of a JSON list of objects.

use serde_json::Value;

/// A cell longer than this is cut.
const CELL_CHARS_MAX: usize = 60;
/// And what is shown of one in a line of its own.
const LINE_CHARS_MAX: usize = 2_000;

/// The rows of `list` under these columns.
#[must_use]
pub fn render(list: &[Value], columns: &[&str]) -> String {
    let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|name| name.to_uppercase().replace('_', " ")).collect()];
    rows.extend(list.iter().map(|item| columns.iter().map(|name| cell(item.get(name))).collect()));
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) fn cell(value: Option<&Value>) -> String {
    shown(value, CELL_CHARS_MAX)
}

/// A value that has a line to itself.
pub(super) fn line(value: Option<&Value>) -> String {
    shown(value, LINE_CHARS_MAX)
}

fn shown(value: Option<&Value>, chars_max: usize) -> String {
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => list.iter().map(|item| shown(Some(item), chars_max)).collect::<Vec<_>>().join(","),
        Some(other) => other.to_string(),
    };
    // A name that somebody chose must not steer the terminal.
    let clean: String = text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect();
    if clean.chars().count() > chars_max {
        return clean.chars().take(chars_max - 1).chain(['…']).collect();
    }
    clean
}

/// Control characters, and those that turn the direction of the text around them.
fn steers(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_align_and_control_characters_are_shown_not_obeyed() {
        let list = [json!({"name": "a", "groups": ["x", "y"]}), json!({"name": "\u{1b}[2J", "groups": null})];
        assert_eq!(render(&list, &["name", "groups"]), "NAME  GROUPS\na     x,y\n\u{fffd}[2J");
        assert_eq!(render(&[json!({"name": "a\u{202e}b\u{5d0}\u{2069}"})], &["name"]), "NAME\na\u{fffd}b\u{5d0}\u{fffd}");
    }
}
