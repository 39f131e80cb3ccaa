//! The model file scanner: any bytes, by any name.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: Vec<u8>| {
    let scanner = scan::Scanner::new(scan::Limits { decompressed_bytes_max: 16 << 20 }).expect("the shipped lists are sound");
    for name in ["model.pkl", "MLmodel", "requirements.txt", "config.json"] {
        let report = scanner.scan(name, &data).expect("bytes in memory can be read");
        assert!(data.is_empty() || report.verdict != scan::Verdict::Clean || !report.format.is_empty());
    }
});
