//! A paper as Markdown.
//!
//! INVARIANT: nothing from a record is markup: `tests::hostile_texts_stay_text`.

use super::document::{Block, Document, NOT_KNOWN};

pub(super) fn markdown(document: &Document) -> String {
    let mut out = format!("# {}\n\n{}\n", escaped(&document.title), escaped(&document.subtitle));
    for section in &document.sections {
        out.push_str(&format!("\n## {}\n", escaped(&section.title)));
        for block in &section.blocks {
            out.push('\n');
            out.push_str(&block_text(block));
        }
    }
    out
}

fn block_text(block: &Block) -> String {
    match block {
        Block::Heading(text) => format!("### {}\n", escaped(text)),
        Block::Text(text) => format!("{}\n", escaped(text)),
        Block::Missing(text) => format!("*{}*\n", escaped(text)),
        Block::Facts(facts) => {
            let line = |(name, value): &(&str, Option<String>)| {
                let value = value.as_deref().map_or_else(|| format!("*{NOT_KNOWN}*"), escaped);
                format!("- {name}: {value}\n")
            };
            facts.iter().map(line).collect()
        }
        Block::Table(head, rows) => {
            let mut out = format!("| {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len()));
            for row in rows {
                let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
                out.push_str(&format!("| {} |\n", cells.join(" | ")));
            }
            out
        }
    }
}

/// Text on one line that no reader of Markdown takes for markup. What a reader would not see is written out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (letter, is_hidden) in kernel::letters(text) {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(letter);
            }
            '\n' | '\r' | '\t' => out.push(' '),
            letter if is_hidden => out.push_str(&format!("\\{}", letter.escape_unicode())),
            letter => out.push(letter),
        }
    }
    // A list or a heading begins at the start of a line only.
    match out.chars().next() {
        Some('-' | '+' | '=') => format!("\\{out}"),
        _ => out,
    }
}
