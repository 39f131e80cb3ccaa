//! torch's zip archives: `data.pkl`, and the tensors' bytes, which are never parsed and not read.

use std::collections::HashSet;
use std::io;

use crate::container::member;
use crate::container::zip::Member;
use crate::context::Context;
use crate::pickle::{self, Persistent};
use crate::report::shown;
use crate::rules;
use crate::source::Window;

/// Bytes of the small members that say a version or an order.
const MARKER_BYTES_MAX: u64 = 256;

/// The folder that all members stand in, if the archive is torch's.
pub(crate) fn folder(members: &[Member]) -> Option<String> {
    let pickle = members.iter().find(|member| member.name.ends_with("/data.pkl") && member.name.matches('/').count() == 1)?;
    pickle.name.strip_suffix("data.pkl").map(str::to_owned)
}

/// Judges the archive.
pub(crate) fn look(context: &mut Context<'_>, window: Window<'_>, members: &[Member], folder: &str) -> io::Result<()> {
    let mut keys = HashSet::new();
    for one in members {
        let Some(name) = one.name.strip_prefix(folder) else { continue };
        if matches!(name, "data.pkl" | "constants.pkl") {
            context.enter(&one.name, |context| {
                member::with(context, window, one, |context, data| pickled(context, data, name, &mut keys))
            })?;
        }
    }
    let mut scripts = 0;
    for one in members.iter().filter(|one| !one.is_folder()) {
        match one.name.strip_prefix(folder) {
            Some("data.pkl" | "constants.pkl") => {}
            Some(name) if name.starts_with("code/") => scripts += 1,
            Some("version" | "byteorder" | ".format_version" | ".storage_alignment" | ".data/serialization_id") => {
                context.enter(&one.name, |context| member::with(context, window, one, marker))?;
            }
            Some(name)
                if name.strip_prefix("data/").or(name.strip_prefix("constants/")).is_some_and(|key| keys.contains(key)) =>
            {
                if one.method != 0 {
                    context.find(rules::TORCH_MALFORMED, one.data, format!("the tensor `{}` is compressed", shown(&one.name)));
                }
            }
            _ => {
                let message = format!("no tensor has its bytes in `{}`", shown(&one.name));
                context.find(rules::TORCH_UNREFERENCED, one.data, message);
                context.enter(&one.name, |context| {
                    member::with(context, window, one, |context, data| super::look(context, data).map(|_| ()))
                })?;
            }
        }
    }
    if scripts > 0 {
        context.find(rules::TORCHSCRIPT, None, format!("the archive holds {scripts} files of TorchScript"));
    }
    let missing = keys.iter().filter(|key| !members.iter().any(|one| one.name == format!("{folder}data/{key}"))).count();
    if missing > 0 && scripts == 0 {
        context.find(rules::TORCH_MALFORMED, None, format!("{missing} tensors have no bytes in the archive"));
    }
    Ok(())
}

fn pickled(context: &mut Context<'_>, data: Window<'_>, name: &str, keys: &mut HashSet<String>) -> io::Result<()> {
    let followed = pickle::follow(data, context.scanner.allow_list(), Persistent::Torch, 0)?;
    super::pickled::take(context, &followed)?;
    if followed.pickles != 1 {
        context.find(rules::TORCH_MALFORMED, 0, format!("`{name}` holds {} pickles instead of one", followed.pickles));
    }
    keys.extend(followed.trace.storages.into_iter().map(|storage| storage.key));
    Ok(())
}

fn marker(context: &mut Context<'_>, data: Window<'_>) -> io::Result<()> {
    let bytes = data.bytes(0, MARKER_BYTES_MAX + 1)?;
    let plain = bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    if bytes.len() as u64 > MARKER_BYTES_MAX || !plain {
        context.find(rules::TORCH_MALFORMED, 0, "a version mark is not a short text");
    }
    Ok(())
}
