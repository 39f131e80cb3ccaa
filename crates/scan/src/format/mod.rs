//! Formats: what a file is, by its bytes, and who looks at it.

mod catboost;
mod config;
mod cursor;
mod environment;
mod gguf;
mod hdf5;
mod keras;
mod mlmodel;
mod native;
mod numpy;
mod onnx;
mod pickled;
mod protobuf;
mod safetensors;
mod saved_model;
mod skops;
mod template;
mod text;
mod torch;
mod ubjson;

use std::io;

use crate::container::compressed::{self, Inner, Method};
use crate::container::zip::{self, Member};
use crate::container::{member, tar};
use crate::context::Context;
use crate::rules;
use crate::source::Window;

/// Bytes that are looked at to tell the format.
const HEAD_BYTES: u64 = 64;

/// Judges a file or a member, and says what it is.
pub(crate) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<String> {
    let head = window.bytes(0, HEAD_BYTES)?;
    let is_tar = tar::is_tar(window)?;
    if head.starts_with(b"PK") {
        if is_tar {
            context.find(rules::POLYGLOT, 0, "the file is a zip archive and a tar archive");
        }
        return archive(context, window);
    }
    if !is_tar && let Some(start) = hdf5::behind_user_block(window, &head)? {
        let format = look_at(context, window, &head)?;
        return behind(context, window, start, format);
    }
    look_at(context, window, &head)
}

/// Readers of HDF5 look for it at certain places, whatever the file begins with.
fn behind(context: &mut Context<'_>, window: Window<'_>, start: u64, format: String) -> io::Result<String> {
    if format != "unknown" {
        context.find(rules::POLYGLOT, start, format!("the file begins as {format} and can be read as HDF5 too"));
    }
    hdf5::look_behind(context, window, start)?;
    Ok(if format == "unknown" { "hdf5".to_owned() } else { format })
}

fn look_at(context: &mut Context<'_>, window: Window<'_>, head: &[u8]) -> io::Result<String> {
    if zip::ends_like_zip(window)? {
        context.find(rules::POLYGLOT, 0, "the file ends as a zip archive and begins as something else");
        archive(context, window)?;
    }
    if let Some(format) = binary(context, window, head)? {
        pickled::look_beside(context, window, head)?;
        return Ok(format);
    }
    if let Some(format) = pickled::look(context, window, head)? {
        return Ok(format.to_owned());
    }
    if let Some(format) = text::look(context, window, head)? {
        return Ok(format.to_owned());
    }
    if let Some(format) = unmarked(context, window)? {
        return Ok(format.to_owned());
    }
    if let Some(format) = pickled::look_again(context, window)? {
        return Ok(format.to_owned());
    }
    if window.size() == 0 {
        return Ok("empty".to_owned());
    }
    context.find(rules::UNRECOGNISED, None, "the format of the file is not known");
    native::look(context, head);
    Ok("unknown".to_owned())
}

/// Formats that begin with a mark, tar among them.
fn binary(context: &mut Context<'_>, window: Window<'_>, head: &[u8]) -> io::Result<Option<String>> {
    if !tar::is_tar(window)? {
        return marked(context, window, head);
    }
    // The first bytes of a tar are a member's name, which can be any mark.
    let compressed = Method::of(head).filter(|method| compressed::begins(window, *method));
    let other = match compressed {
        Some(method) => Some(method.name().to_owned()),
        None if Method::of(head).is_some() => None,
        None => marked(context, window, head)?,
    };
    if let Some(other) = other {
        context.find(rules::POLYGLOT, 0, format!("the file is a tar archive and can be read as {other} too"));
    }
    tarball(context, window).map(Some)
}

fn marked(context: &mut Context<'_>, window: Window<'_>, head: &[u8]) -> io::Result<Option<String>> {
    let format = if head.starts_with(b"\x93NUMPY") {
        numpy::look(context, window)?;
        "npy"
    } else if head.starts_with(hdf5::MAGIC) {
        hdf5::look(context, window)?;
        "hdf5"
    } else if head.starts_with(b"GGUF") {
        gguf::look(context, window)?;
        "gguf"
    } else if safetensors::is_safetensors(head, window.size()) {
        safetensors::look(context, window)?;
        "safetensors"
    } else if head.starts_with(b"CBM1") {
        catboost::look(context, window)?;
        "catboost"
    } else if ubjson::is_xgboost(head) {
        ubjson::look(context, window)?;
        "xgboost (ubj)"
    } else if head.starts_with(b"7z\xbc\xaf\x27\x1c") || head.starts_with(b"Rar!") {
        context.find(rules::UNRECOGNISED, 0, "an archive of a kind that the scanner does not open");
        "archive"
    } else if let Some(method) = Method::of(head) {
        return wrapped(context, window, method);
    } else {
        return Ok(None);
    };
    Ok(Some(format.to_owned()))
}

/// A stream that is compressed as a whole.
fn wrapped(context: &mut Context<'_>, window: Window<'_>, method: Method) -> io::Result<Option<String>> {
    match compressed::open(context, window, method)? {
        Inner::Bytes(bytes) => {
            let mut inner = String::new();
            context.enter(method.name(), |context| {
                inner = look(context, Window::whole(&bytes))?;
                Ok(())
            })?;
            Ok(Some(format!("{} ({inner})", method.name())))
        }
        Inner::Refused => Ok(Some(method.name().to_owned())),
        Inner::NotCompressed => Ok(None),
    }
}

/// Formats without a mark, told by their structure.
fn unmarked(context: &mut Context<'_>, window: Window<'_>) -> io::Result<Option<&'static str>> {
    if onnx::is_onnx(window)? {
        onnx::look(context, window)?;
        return Ok(Some("onnx"));
    }
    if saved_model::is_saved_model(window)? {
        saved_model::look(context, window)?;
        return Ok(Some("tensorflow"));
    }
    // The variables beside a SavedModel: bytes of tensors, which nothing runs.
    let path = context.report.path.clone();
    if let Some((folder, name)) = path.rsplit_once("variables/variables.")
        && (name == "index" || is_shard(name))
        && context.siblings.contains(&format!("{folder}saved_model.pb"))
        && !native::is_program(&window.bytes(0, HEAD_BYTES)?)
    {
        return Ok(Some("tensorflow variables"));
    }
    if let Some(folder) = path.strip_suffix("fingerprint.pb")
        && context.siblings.contains(&format!("{folder}saved_model.pb"))
        && saved_model::is_fingerprint(window)?
    {
        return Ok(Some("tensorflow fingerprint"));
    }
    Ok(None)
}

/// `data-00000-of-00001`.
fn is_shard(name: &str) -> bool {
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    name.strip_prefix("data-").and_then(|rest| rest.split_once("-of-")).is_some_and(|(one, all)| digits(one) && digits(all))
}

fn tarball(context: &mut Context<'_>, window: Window<'_>) -> io::Result<String> {
    let entries = tar::entries(context, window)?;
    let starts: Vec<u64> = entries.iter().map(|entry| entry.data).collect();
    hdf5_between(context, window, &starts)?;
    for entry in entries {
        context.enter(&entry.name, |context| look(context, window.part(entry.data, entry.bytes)).map(|_| ()))?;
    }
    Ok("tar".to_owned())
}

/// An archive that can be read as HDF5 too, unless that is a member's own, which is looked at as such.
fn hdf5_between(context: &mut Context<'_>, window: Window<'_>, starts: &[u64]) -> io::Result<()> {
    let head = window.bytes(0, HEAD_BYTES)?;
    match hdf5::behind_user_block(window, &head)? {
        Some(start) if !starts.contains(&start) => {
            context.find(rules::POLYGLOT, start, "the archive can be read as HDF5 too");
            hdf5::look_behind(context, window, start)
        }
        _ => Ok(()),
    }
}

/// A zip archive: torch's, Keras', skops', or one of any files (NumPy's `.npz` is such).
fn archive(context: &mut Context<'_>, window: Window<'_>) -> io::Result<String> {
    let members = zip::members(context, window)?;
    let starts: Vec<u64> = members.iter().filter(|member| member.method == 0).map(|member| member.data).collect();
    hdf5_between(context, window, &starts)?;
    if let Some(folder) = torch::folder(&members) {
        torch::look(context, window, &members, &folder)?;
        return Ok("zip (torch)".to_owned());
    }
    let has = |name: &str| members.iter().any(|member| member.name == name);
    // Keras asks for no more than the configuration.
    let (is_skops, is_keras) = (has("schema.json"), has("config.json"));
    for one in members.iter().filter(|one| !one.is_folder()) {
        context.enter(&one.name, |context| inner(context, window, one, is_skops, is_keras))?;
    }
    Ok(if is_skops {
        "zip (skops)"
    } else if is_keras {
        "zip (keras)"
    } else {
        "zip"
    }
    .to_owned())
}

fn inner(context: &mut Context<'_>, window: Window<'_>, one: &Member, is_skops: bool, is_keras: bool) -> io::Result<()> {
    member::with(context, window, one, |context, data| match one.name.as_str() {
        "schema.json" if is_skops => skops::look(context, data),
        "config.json" if is_keras => {
            if let Some(text) = context.whole_text(data)? {
                config::judge_keras(context, &text);
            }
            Ok(())
        }
        _ => look(context, data).map(|_| ()),
    })
}
