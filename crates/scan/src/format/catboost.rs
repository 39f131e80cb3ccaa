//! CatBoost's binary models: a mark, a length, a flat buffer of this length, and the counters of categorical features.
//! CatBoost runs nothing of them; the marks are checked so that no other file passes for one.

use std::io;

use crate::container::zip::u32_at;
use crate::context::Context;
use crate::rules;
use crate::source::Window;

/// Bytes of the core in which its marks are looked for.
const SEARCHED_BYTES_MAX: u64 = 64 << 20;
/// The version of the format stands in every core.
const VERSION: &[u8] = b"FlabuffersModel_v1";
/// What follows the core, if anything does, is named in it.
const COUNTERS: &[u8] = b"static_provider_v1";

pub(super) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    let core_bytes = u64::from(u32_at(&window.bytes(0, 8)?, 4));
    if core_bytes > window.size().saturating_sub(8) {
        context.find(rules::FORMAT_MALFORMED, 4, "the model is shorter than it says");
        return Ok(());
    }
    let core = window.part(8, core_bytes).bytes(0, SEARCHED_BYTES_MAX)?;
    let has = |mark: &[u8]| memchr::memmem::find(&core, mark).is_some();
    if u64::from(u32_at(&core, 0)) >= core_bytes || !has(VERSION) {
        context.find(rules::FORMAT_MALFORMED, 8, "the core of the model is none that CatBoost writes");
    }
    if window.size() > 8 + core_bytes && !has(COUNTERS) {
        context.find(rules::FORMAT_MALFORMED, 8 + core_bytes, "bytes follow the model");
    }
    Ok(())
}
