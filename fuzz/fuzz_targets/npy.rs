#![no_main]
//! `a.npy`, whatever is in it.

mod whole;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = tables::parsers::parse_header(data);
    whole::read("a.npy", data);
});
