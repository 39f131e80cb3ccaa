//! Files that are pickles: by their first byte, or because a reader could take them for one.

use std::io;

use crate::context::Context;
use crate::pickle::{self, Followed, Persistent};
use crate::source::Window;

/// Judges the file if it is a pickle, and says of which kind.
pub(crate) fn look(context: &mut Context<'_>, window: Window<'_>, head: &[u8]) -> io::Result<Option<&'static str>> {
    let marked = matches!(head, [0x80, 0..=5, ..]);
    let followed = pickle::follow(window, context.scanner.allow_list(), Persistent::Unknown, 0)?;
    let is_text =
        std::str::from_utf8(head).is_ok_and(|text| text.chars().all(|letter| !letter.is_control() || letter.is_whitespace()));
    if !marked && !followed.is_pickle(is_text) {
        return Ok(None);
    }
    take(context, &followed)?;
    Ok(Some(if followed.legacy_torch { "pickle (torch)" } else { "pickle" }))
}

/// Puts a pickle's doings into the report, and those of the torch files in it.
pub(crate) fn take(context: &mut Context<'_>, followed: &Followed<'_>) -> io::Result<()> {
    context.take(followed);
    for (offset, bytes) in &followed.torch_files {
        context.enter(&format!("bytes at {offset}"), |context| super::look(context, Window::whole(bytes)).map(|_| ()))?;
    }
    Ok(())
}
