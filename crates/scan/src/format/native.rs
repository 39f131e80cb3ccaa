//! Programs and libraries by their first bytes or their names: never a model's data, whatever another file says of them.

use crate::context::Context;
use crate::report::shown;
use crate::rules;

/// ELF, Windows, macOS (both orders, both sizes, several at once), WebAssembly, Android, a script.
const MARKS: [&[u8]; 10] = [
    b"\x7fELF",
    b"MZ",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\0asm",
    b"dex\n",
    b"#!",
];
/// Names that loaders of libraries and programs go by.
const EXTENSIONS: [&str; 10] = ["so", "dll", "dylib", "pyd", "exe", "com", "jar", "class", "pyc", "pth"];

pub(super) fn is_program(head: &[u8]) -> bool {
    MARKS.iter().any(|mark| head.starts_with(mark))
}

/// Notes that a file of no known format is a program.
pub(super) fn look(context: &mut Context<'_>, head: &[u8]) {
    let name = context.name().rsplit('/').next().unwrap_or_default().to_lowercase();
    // Libraries have versions behind their extension.
    let named = name.split('.').skip(1).any(|part| EXTENSIONS.contains(&part));
    if named || is_program(head) {
        context.find(rules::CODE, 0, format!("`{}` is a program or a library", shown(&name)));
    }
}
