//! NumPy's `.npy`: the header is parsed as the literal that NumPy writes, never evaluated; object arrays are pickles.

mod descriptor;

use std::io;

use crate::context::Context;
use crate::limits::NPY_HEADER_BYTES_MAX;
use crate::pickle::{self, Persistent};
use crate::report::shown;
use crate::rules;
use crate::source::Window;

use descriptor::{Items, Literal};

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    items: Items,
    count: u64,
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
    let Items::Bytes(item_bytes) = header.items else {
        let followed = pickle::follow(data, context.scanner.allow_list(), Persistent::Unknown, 0)?;
        return super::pickled::take(context, &followed);
    };
    if item_bytes.checked_mul(header.count) != Some(data.size()) {
        let message = format!("{} items of {item_bytes} bytes are announced, {} bytes are there", header.count, data.size());
        context.find(rules::FORMAT_MALFORMED, start + length, message);
    }
    Ok(())
}

/// `{'descr': …, 'fortran_order': …, 'shape': (…), }`, and nothing else.
fn parse(text: &str) -> Option<Header> {
    let mut literal = Literal::new(text.trim());
    literal.take("{")?;
    literal.take("'descr'")?;
    literal.take(":")?;
    let items = literal.items(0)?;
    literal.take(",")?;
    literal.take("'fortran_order'")?;
    literal.take(":")?;
    literal.take("False").or_else(|| literal.take("True"))?;
    literal.take(",")?;
    literal.take("'shape'")?;
    literal.take(":")?;
    let count = literal.product()?;
    // NumPy writes a comma here, other writers may not.
    let _ = literal.take(",");
    literal.take("}")?;
    literal.is_at_end().then_some(Header { items, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_parsed_and_not_evaluated() {
        let good = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }   \n";
        assert_eq!(parse(good), Some(Header { items: Items::Bytes(8), count: 12 }));
        let objects = "{'descr': '|O', 'fortran_order': False, 'shape': (), }";
        assert_eq!(parse(objects), Some(Header { items: Items::Objects, count: 1 }));
        for bad in [
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), 'x': 1}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (2**40,), }",
            "__import__('os').system('true')",
            "{'descr': '<f8', 'fortran_order': f(), 'shape': (3,), }",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
