#![no_main]
//! `a.parquet`, whatever is in it.

mod whole;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    whole::read("a.parquet", data);
});
