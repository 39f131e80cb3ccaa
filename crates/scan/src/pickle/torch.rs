//! torch's files before 1.6: five pickles (a magic number, the protocol, facts of the system, the object, the keys of the
//! storages), then for each storage its length and its bytes. `torch.load` never unpickles those.

use std::io;

use crate::rules;
use crate::source::Window;

use super::trace::Trace;
use super::value::Value;

/// Pickles before the storages.
pub(super) const LEGACY_PICKLES: usize = 5;
/// 0x1950a86a20f9469cfc6c, little-endian and as decimal digits.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const MAGIC_DIGITS: &[u8] = b"119547037146038801333356";

/// Whether the first pickle of a file is torch's magic number.
pub(super) fn is_magic(window: Window<'_>, value: Value) -> io::Result<bool> {
    let Value::Long { length, start } = value else { return Ok(false) };
    let bytes = window.bytes(start, u64::from(length.min(64)))?;
    Ok(bytes == MAGIC || bytes.strip_suffix(b"L").unwrap_or(&bytes) == MAGIC_DIGITS)
}

/// The bytes of one item of a storage, by the storage's class.
pub(super) fn item_bytes(class: &str) -> Option<u64> {
    Some(match class {
        "DoubleStorage" | "LongStorage" | "ComplexFloatStorage" => 8,
        "FloatStorage" | "IntStorage" | "QInt32Storage" => 4,
        "HalfStorage" | "BFloat16Storage" | "ShortStorage" => 2,
        "CharStorage" | "ByteStorage" | "BoolStorage" | "QInt8Storage" | "QUInt8Storage" | "UntypedStorage" => 1,
        "ComplexDoubleStorage" => 16,
        _ => return None,
    })
}

/// Checks that what follows the pickles is as long as the storages are.
pub(super) fn tail(window: Window<'_>, start: u64, trace: &mut Trace<'_>) -> io::Result<()> {
    let mut sizes = std::collections::BTreeMap::new();
    for storage in &trace.storages {
        let bytes = item_bytes(&storage.class).and_then(|size| size.checked_mul(storage.items));
        sizes.insert(storage.key.clone(), bytes);
    }
    let total = sizes.values().try_fold(0_u64, |total, bytes| total.checked_add((*bytes)?)?.checked_add(8));
    let rest = window.size() - start;
    if total != Some(rest) {
        let wanted = total.map_or_else(|| "another number of".to_owned(), |total| total.to_string());
        trace.note(rules::PICKLE_TRAILING, start, format!("{rest} bytes follow the pickles; the storages take {wanted}"));
    }
    Ok(())
}
