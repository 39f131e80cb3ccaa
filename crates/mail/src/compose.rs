//! A mail made of notices: pure, values in, bytes out.
//!
//! INVARIANT: what stands in the headers is ours or an [`Address`]; no text of an event does. Held by `tests`.
//! INVARIANT: mail to somebody who gave a key leaves encrypted, or not at all. Held by `tests`.

use std::time::{Duration, SystemTime};

use kernel::{Micros, Problem};
use lettre::Message;
use lettre::message::dkim::DkimConfig;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};

use crate::config::Content;
use crate::limits::LISTED_COUNT_MAX;
use crate::notice::{Kind, one_line};
use crate::openpgp::RecipientKey;
use crate::{Address, limits};

/// A line of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) kind: Kind,
    pub(crate) event: String,
    pub(crate) at: Micros,
    pub(crate) detail: String,
}

/// What is the same in every mail.
pub(crate) struct Paper {
    pub(crate) from: Address,
    pub(crate) link: Option<String>,
    pub(crate) content: Content,
    pub(crate) dkim: Option<DkimConfig>,
}

/// The bytes of one mail with all of these lines. `left_out` counts what found no room in the outbox.
///
/// # Errors
/// `Internal` if it cannot be encrypted; `Invalid` if it cannot be built.
pub(crate) fn compose(
    paper: &Paper,
    (to, key): (&Address, Option<&RecipientKey>),
    (lines, left_out): (&[Line], i64),
    (id, at): (&str, Micros),
) -> Result<Vec<u8>, Problem> {
    let text = body(paper, lines, left_out);
    let unbuilt = |error: lettre::error::Error| Problem::internal("a mail could not be built", error);
    let builder = Message::builder()
        .from(Mailbox::new(None, paper.from.parsed().clone()))
        .to(Mailbox::new(None, to.parsed().clone()))
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_secs()).unwrap_or(0)))
        .message_id(Some(format!("<{id}@{}>", paper.from.domain())))
        .subject(subject(lines, left_out, key.is_some()));
    let mut message = match key {
        None => builder.singlepart(plain(text)).map_err(unbuilt)?,
        Some(key) => {
            let sealed = key.encrypt(&plain(text).formatted(), at)?;
            builder.multipart(encrypted(&sealed)?).map_err(unbuilt)?
        }
    };
    // No machine answers it, no mailing list takes it on (RFC 3834).
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    message.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
    if let Some(dkim) = &paper.dkim {
        message.sign(dkim);
    }
    Ok(message.formatted())
}

fn plain(text: String) -> SinglePart {
    SinglePart::plain(text)
}

/// Two parts, as RFC 3156 has them.
fn encrypted(sealed: &str) -> Result<MultiPart, Problem> {
    let part = |kind: &str, text: &str| {
        let kind = ContentType::parse(kind).map_err(|error| Problem::internal("a mail could not be built", error))?;
        let body = Body::new_with_encoding(text.replace("\r\n", "\n").replace('\n', "\r\n"), ContentTransferEncoding::SevenBit);
        let body = body.map_err(|_| Problem::internal("a mail could not be built", "armour is not ASCII"))?;
        Ok::<_, Problem>(SinglePart::builder().header(kind).body(body))
    };
    Ok(MultiPart::encrypted("application/pgp-encrypted".to_owned())
        .singlepart(part("application/pgp-encrypted", "Version: 1\n")?)
        .singlepart(part("application/octet-stream", sealed)?))
}

fn subject(lines: &[Line], left_out: i64, is_encrypted: bool) -> String {
    match lines {
        [_] if left_out == 0 && is_encrypted => "Strongroom: a notice".to_owned(),
        [one] if left_out == 0 => format!("Strongroom: {}", one.kind.title()),
        more => {
            let count = i64::try_from(more.len()).unwrap_or(i64::MAX).saturating_add(left_out);
            format!("Strongroom: {count} notices")
        }
    }
}

fn body(paper: &Paper, lines: &[Line], left_out: i64) -> String {
    let mut text = String::new();
    for line in lines.iter().take(LISTED_COUNT_MAX) {
        entry(&mut text, paper, line);
    }
    let rest = i64::try_from(lines.len().saturating_sub(LISTED_COUNT_MAX)).unwrap_or(i64::MAX).saturating_add(left_out);
    if rest > 0 {
        text.push_str(&format!("And {rest} more, which are not listed here.\n\n"));
    }
    if lines.iter().any(|line| line.kind.is_personal()) {
        text.push_str("If this was not you, log in as you always do, look at your account, and tell an administrator.\n");
    }
    text.push_str("No mail from this server asks for a password or a code, and none of its links logs you in.\n");
    text
}

fn entry(text: &mut String, paper: &Paper, line: &Line) {
    let mut title = line.kind.title().chars();
    let first: String = title.next().map(|letter| letter.to_ascii_uppercase()).into_iter().collect();
    text.push_str(&format!("{first}{}.\n", title.as_str()));
    text.push_str(&format!("  When:  {}\n", line.at.rfc3339()));
    text.push_str(&format!("  Event: {}\n", one_line(&line.event, limits::TEXT_BYTES_MAX)));
    if paper.content == Content::Full && !line.detail.is_empty() {
        text.push_str(&format!("  What:  {}\n", one_line(&line.detail, limits::TEXT_BYTES_MAX)));
    }
    if let Some(link) = &paper.link {
        text.push_str(&format!("  See:   {link}{}\n", line.kind.page()));
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper(content: Content) -> Paper {
        let from = Address::parse("strongroom@example.com").unwrap();
        Paper { from, link: Some("https://strongroom.example".to_owned()), content, dkim: None }
    }

    fn line(detail: &str, event: &str) -> Line {
        Line { kind: Kind::AlertOpened, event: event.to_owned(), at: Micros(1_700_000_000_000_000), detail: detail.to_owned() }
    }

    fn made(content: Content, lines: &[Line], left_out: i64) -> String {
        let to = Address::parse("ada@example.org").unwrap();
        let bytes = compose(&paper(content), (&to, None), (lines, left_out), ("m1", Micros(1_700_000_000_000_000))).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_event_puts_nothing_into_the_headers() {
        let evil = "x\r\nBcc: all@example.com\r\n\r\n<script>";
        let text = made(Content::Full, &[line(evil, "e\r\n.\r\nRCPT TO:<x@y>")], 0);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("Bcc") && !head.contains("RCPT"), "{head}");
        assert!(head.contains("Subject: Strongroom: an alert was opened\r\n"), "{head}");
        assert!(head.contains("Auto-Submitted: auto-generated\r\n"), "{head}");
        // Each stays on the line that is its own.
        assert!(body.contains("What:  x  Bcc: all@example.com"), "{body}");
        assert!(!body.contains("\r\n.\r\n"), "{body}");
        assert!(!text.replace("\r\n", "").contains('\n') && !text.replace("\r\n", "").contains('\r'));
    }

    #[test]
    fn minimal_mail_says_what_kind_and_where_and_no_more() {
        let text = made(Content::Minimal, &[line("the model churn of ada", "a1")], 0);
        assert!(!text.contains("churn") && text.contains("Event: a1") && text.contains("https://strongroom.example/console"));
        assert!(made(Content::Full, &[line("the model churn of ada", "a1")], 0).contains("churn"));
    }

    #[test]
    fn many_notices_are_one_mail_that_lists_some() {
        let lines: Vec<Line> = (0..70).map(|number| line("", &format!("a{number}"))).collect();
        let text = made(Content::Minimal, &lines, 30);
        assert!(text.contains("Subject: Strongroom: 100 notices\r\n"), "{text}");
        assert!(text.contains("a49") && !text.contains("a50") && text.contains("And 50 more"), "{text}");
    }
}
