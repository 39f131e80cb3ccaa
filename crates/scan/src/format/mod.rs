//! Formats: what a file is, by its bytes, and who looks at it.

mod numpy;
mod pickled;
mod torch;

use std::io;

use crate::container::compressed::{self, Inner, Method};
use crate::container::{member, tar, zip};
use crate::context::Context;
use crate::rules;
use crate::source::Window;

/// Bytes that are looked at to tell the format.
const HEAD_BYTES: u64 = 64;

/// Judges a file or a member, and says what it is.
pub(crate) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<String> {
    let head = window.bytes(0, HEAD_BYTES)?;
    let is_zip = head.starts_with(b"PK");
    if !is_zip && zip::ends_like_zip(window)? {
        context.find(rules::POLYGLOT, 0, "the file ends as a zip archive and begins as something else");
        archive(context, window)?;
    }
    if is_zip {
        return archive(context, window);
    }
    if tar::is_tar(window)? {
        return tarball(context, window);
    }
    if head.starts_with(b"\x93NUMPY") {
        numpy::look(context, window)?;
        return Ok("npy".to_owned());
    }
    if let Some(method) = Method::of(&head) {
        match compressed::open(context, window, method)? {
            Inner::Bytes(bytes) => {
                let mut inner = String::new();
                context.enter(method.name(), |context| {
                    inner = look(context, Window::whole(&bytes))?;
                    Ok(())
                })?;
                return Ok(format!("{} ({inner})", method.name()));
            }
            Inner::Refused => return Ok(method.name().to_owned()),
            Inner::NotCompressed => {}
        }
    }
    if let Some(format) = pickled::look(context, window, &head)? {
        return Ok(format.to_owned());
    }
    context.find(rules::UNRECOGNISED, None, "the format of the file is not known");
    Ok("unknown".to_owned())
}

fn tarball(context: &mut Context<'_>, window: Window<'_>) -> io::Result<String> {
    for entry in tar::entries(context, window)? {
        context.enter(&entry.name, |context| look(context, window.part(entry.data, entry.bytes)).map(|_| ()))?;
    }
    Ok("tar".to_owned())
}

/// A zip archive: torch's, NumPy's, Keras', or one of any files.
fn archive(context: &mut Context<'_>, window: Window<'_>) -> io::Result<String> {
    let members = zip::members(context, window)?;
    if let Some(folder) = torch::folder(&members) {
        torch::look(context, window, &members, &folder)?;
        return Ok("zip (torch)".to_owned());
    }
    for one in &members {
        if !one.is_folder() {
            context.enter(&one.name, |context| {
                member::with(context, window, one, |context, data| look(context, data).map(|_| ()))
            })?;
        }
    }
    Ok("zip".to_owned())
}
