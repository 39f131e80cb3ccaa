#![no_main]
//! `a.npz`, whatever is in it.

mod whole;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let bytes: std::sync::Arc<dyn tables::ReadAt> = std::sync::Arc::new(tables::Memory(data.to_vec().into()));
    let _ = tables::parsers::members(&bytes);
    whole::read("a.npz", data);
});
