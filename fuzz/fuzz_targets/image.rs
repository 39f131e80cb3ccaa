#![no_main]
//! The head of an image, and the image behind it.

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = tables::parsers::decode(data, 8, true, false);
    let _ = tables::parsers::decode(data, 8, false, true);
});
