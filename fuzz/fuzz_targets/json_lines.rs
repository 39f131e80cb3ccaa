#![no_main]
//! `a.jsonl`, whatever is in it.

mod whole;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = tables::parsers::flatten(data);
    whole::read("a.jsonl", data);
});
