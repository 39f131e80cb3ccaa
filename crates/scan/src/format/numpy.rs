//! NumPy's `.npy`: the header is parsed as the literal that NumPy writes, never evaluated; object arrays are pickles.

use std::io;

use crate::context::Context;
use crate::limits::NPY_HEADER_BYTES_MAX;
use crate::pickle::{self, Persistent};
use crate::report::shown;
use crate::rules;
use crate::source::Window;

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    descriptor: String,
    items: u64,
}

/// Judges an array.
pub(crate) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    let head = window.bytes(0, 12)?;
    let (start, length) = match (head.get(6), head.get(7)) {
        (Some(1), Some(0)) => (10, u64::from(crate::container::zip::u16_at(&head, 8))),
        (Some(2 | 3), Some(0)) => (12, u64::from(crate::container::zip::u32_at(&head, 8))),
        _ => {
            context.find(rules::NPY_HEADER, 6, "the version is none that NumPy writes");
            return Ok(());
        }
    };
    if length > NPY_HEADER_BYTES_MAX || start + length > window.size() {
        context.find(rules::NPY_HEADER, 8, format!("the header is said to have {length} bytes"));
        return Ok(());
    }
    let text = window.bytes(start, length)?;
    let Some(header) = std::str::from_utf8(&text).ok().and_then(parse) else {
        context.find(rules::NPY_HEADER, start, format!("the header is `{}`", shown(&String::from_utf8_lossy(&text))));
        return Ok(());
    };
    let data = window.from(start + length);
    if has_objects(&header.descriptor) {
        let followed = pickle::follow(data, context.scanner.allow_list(), Persistent::Unknown, 0)?;
        return super::pickled::take(context, &followed);
    }
    let bytes = item_bytes(&header.descriptor).and_then(|size| size.checked_mul(header.items));
    match bytes {
        Some(bytes) if bytes == data.size() => {}
        Some(bytes) => {
            let message = format!("the array takes {bytes} bytes, {} are there", data.size());
            context.find(rules::FORMAT_MALFORMED, start + length, message);
        }
        // Structured types: plain numbers side by side. Their size is not worth a parser of its own.
        None if header.descriptor.starts_with('[') => {}
        None => context.find(rules::NPY_HEADER, start, format!("the type `{}` is not known", shown(&header.descriptor))),
    }
    Ok(())
}

/// Whether the type has Python objects in it: `|O`, also in a structured type.
fn has_objects(descriptor: &str) -> bool {
    descriptor.contains('O')
}

fn item_bytes(descriptor: &str) -> Option<u64> {
    let code = descriptor.strip_prefix('\'')?.strip_suffix('\'')?;
    let code = code.strip_prefix(['<', '>', '|', '=']).unwrap_or(code);
    let (kind, size) = code.split_at_checked(1)?;
    let size = size.split('[').next()?.parse::<u64>().ok()?;
    match kind {
        "b" | "i" | "u" | "f" | "c" | "S" | "V" | "M" | "m" => Some(size),
        "U" => size.checked_mul(4),
        _ => None,
    }
}

/// `{'descr': …, 'fortran_order': …, 'shape': (…), }`, and nothing else.
fn parse(text: &str) -> Option<Header> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let rest = inner.strip_prefix("'descr':")?.trim_start();
    let (descriptor, rest) = rest.split_once(", 'fortran_order':")?;
    if !descriptor.chars().all(|letter| letter.is_ascii_graphic() || letter == ' ' || letter.is_alphabetic()) {
        return None;
    }
    let rest = rest.trim_start();
    let rest = rest.strip_prefix("False").or_else(|| rest.strip_prefix("True"))?;
    let shape = rest.strip_prefix(", 'shape':")?.trim().trim_end_matches(',').trim();
    let shape = shape.strip_prefix('(')?.strip_suffix(')')?;
    let mut items = 1_u64;
    for length in shape.split(',').map(str::trim).filter(|length| !length.is_empty()) {
        items = items.checked_mul(length.strip_suffix('L').unwrap_or(length).parse().ok()?)?;
    }
    Some(Header { descriptor: descriptor.to_owned(), items })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_parsed_and_not_evaluated() {
        let good = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }   \n";
        assert_eq!(parse(good), Some(Header { descriptor: "'<f8'".to_owned(), items: 12 }));
        assert_eq!(parse("{'descr': '|O', 'fortran_order': False, 'shape': (), }").map(|header| header.items), Some(1));
        for bad in [
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), 'x': 1}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (2**40,), }",
            "__import__('os').system('true')",
            "{'descr': '<f8', 'fortran_order': f(), 'shape': (3,), }",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert!(has_objects("[('a', '<f8'), ('b', '|O')]") && !has_objects("'<f8'"));
        assert_eq!((item_bytes("'<U3'"), item_bytes("'<M8[ns]'"), item_bytes("'|O'")), (Some(12), Some(8), None));
    }
}
