#![no_main]
//! A file's format, by a name and a beginning that are anything: the name is the first line.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let name = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let _ = tables::detect(&name, parts.next().unwrap_or_default());
});
