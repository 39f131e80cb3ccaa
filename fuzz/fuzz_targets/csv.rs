#![no_main]
//! `a.csv`, whatever is in it.

mod whole;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The splitter alone, in small pieces, then the whole file.
    let mut splitter = tables::parsers::Splitter::new(b',', b'"', 1);
    'pieces: for piece in data.chunks(7) {
        let mut rest = piece;
        while !rest.is_empty() {
            let Ok((taken, _)) = splitter.feed(rest) else { break 'pieces };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }
    whole::read("a.csv", data);
});
