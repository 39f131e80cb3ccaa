//! Files that are pickles: by their first byte, or because a reader could take them for one.

use std::io;

use crate::context::Context;
use crate::pickle::{self, Followed, Persistent};
use crate::rules;
use crate::source::Window;

/// Judges the file if it is a pickle, and says of which kind.
pub(super) fn look(context: &mut Context<'_>, window: Window<'_>, head: &[u8]) -> io::Result<Option<&'static str>> {
    let marked = matches!(head, [0x80, 0..=5, ..]);
    look_as(context, window, marked, is_text(head))
}

/// As `look`, for what is no text that is known: a pickle that only imports something is one too. Imports of names that no
/// module can have are listed even then.
pub(super) fn look_again(context: &mut Context<'_>, window: Window<'_>) -> io::Result<Option<&'static str>> {
    let format = look_as(context, window, false, false)?;
    if format.is_none() {
        let followed = pickle::follow(window, context.scanner.allow_list(), Persistent::Unknown, 0)?;
        context.list(&followed);
    }
    Ok(format)
}

fn look_as(context: &mut Context<'_>, window: Window<'_>, marked: bool, is_text: bool) -> io::Result<Option<&'static str>> {
    let followed = pickle::follow(window, context.scanner.allow_list(), Persistent::Unknown, 0)?;
    if !marked && !followed.is_pickle(is_text) {
        return Ok(None);
    }
    take(context, &followed)?;
    Ok(Some(if followed.legacy_torch { "pickle (torch)" } else { "pickle" }))
}

/// A file of another format must not be a pickle as well.
pub(super) fn look_beside(context: &mut Context<'_>, window: Window<'_>, head: &[u8]) -> io::Result<()> {
    let followed = pickle::follow(window, context.scanner.allow_list(), Persistent::Unknown, 0)?;
    if followed.is_pickle(is_text(head)) {
        context.find(rules::POLYGLOT, 0, "the file can be read as a pickle too");
        take(context, &followed)?;
    }
    Ok(())
}

/// A value of a file of another format, which some readers load if it is a pickle.
pub(super) fn look_inside(context: &mut Context<'_>, window: Window<'_>, name: &str) -> io::Result<()> {
    let followed = pickle::follow(window, context.scanner.allow_list(), Persistent::Unknown, 0)?;
    if followed.is_pickle(is_text(&window.bytes(0, super::HEAD_BYTES)?)) {
        context.enter(name, |context| take(context, &followed))?;
    }
    Ok(())
}

fn is_text(head: &[u8]) -> bool {
    let end = std::str::from_utf8(head).map_or_else(|error| error.valid_up_to(), str::len);
    // The head may end in the middle of a letter.
    let text = head.get(..end).map(String::from_utf8_lossy).unwrap_or_default();
    end + 3 >= head.len() && text.chars().all(|letter| !letter.is_control() || letter.is_whitespace())
}

/// Puts a pickle's doings into the report, and those of the torch files in it.
pub(super) fn take(context: &mut Context<'_>, followed: &Followed<'_>) -> io::Result<()> {
    context.take(followed);
    for (offset, bytes) in &followed.torch_files {
        context.enter(&format!("bytes at {offset}"), |context| super::look(context, Window::whole(bytes)).map(|_| ()))?;
    }
    Ok(())
}
