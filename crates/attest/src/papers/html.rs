//! A paper as one page that needs nothing else: no scripts, no outside resources, its own style by digest.
//!
//! INVARIANT: nothing from a record is markup: `tests::hostile_texts_stay_text`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::sha256;

use super::document::{Block, Document, NOT_KNOWN};

const STYLE: &str = include_str!("style.css");

/// Text for a page. What a reader would not see is written out.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, is_hidden) in kernel::letters(self.0) {
            match letter {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\r' | '\t' => write!(f, "{letter}")?,
                letter if is_hidden => write!(f, "{}", letter.escape_unicode())?,
                letter => write!(f, "{letter}")?,
            }
        }
        Ok(())
    }
}

pub(super) fn html(document: &Document) -> String {
    let digest = STANDARD.encode(sha256(STYLE.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'");
    let (title, subtitle) = (Escaped(&document.title), Escaped(&document.subtitle));
    let (mut contents, mut body) = (String::new(), String::new());
    for (number, section) in document.sections.iter().enumerate() {
        let title = Escaped(&section.title);
        contents.push_str(&format!("<li><a href=\"#s{number}\">{title}</a></li>\n"));
        body.push_str(&format!("<section id=\"s{number}\">\n<h2>{title}</h2>\n"));
        section.blocks.iter().for_each(|block| body.push_str(&block_text(block)));
        body.push_str("</section>\n");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{subtitle}</p>\n\
         <nav><ul>\n{contents}</ul></nav>\n{body}</main>\n</body>\n</html>\n"
    )
}

fn block_text(block: &Block) -> String {
    match block {
        Block::Heading(text) => format!("<h3>{}</h3>\n", Escaped(text)),
        Block::Text(text) => format!("<p class=\"text\">{}</p>\n", Escaped(text)),
        Block::Missing(text) => format!("<p class=\"missing\">{}</p>\n", Escaped(text)),
        Block::Facts(facts) => {
            let line = |(name, value): &(&str, Option<String>)| match value {
                Some(value) => format!("<dt>{}</dt><dd>{}</dd>\n", Escaped(name), Escaped(value)),
                None => format!("<dt>{}</dt><dd class=\"missing\">{NOT_KNOWN}</dd>\n", Escaped(name)),
            };
            format!("<dl>\n{}</dl>\n", facts.iter().map(line).collect::<String>())
        }
        Block::Table(head, rows) => {
            let cells = |tag: &str, cells: &[String]| -> String {
                cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", Escaped(cell))).collect()
            };
            let head: Vec<String> = head.iter().map(ToString::to_string).collect();
            let rows: String = rows.iter().map(|row| format!("<tr>{}</tr>\n", cells("td", row))).collect();
            format!("<table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n", cells("th", &head))
        }
    }
}
