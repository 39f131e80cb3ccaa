//! Bodies in chunks: AWS's two examples, cuts, flips and bounds.

use bytes::Bytes;
use kernel::{Secret, hex, parse_hex};

use super::{Asked, SECRET, header_map, moment, signer};
use crate::chunks::{chunk_text, trailers_text};
use crate::presentation::mac;
use crate::{
    CHUNK_HEAD_BYTES_MAX, Chunks, Payload, Presentation, Refusal, SIGNED_CHUNK_BYTES_MAX, TRAILERS_BYTES_MAX, signing_key,
};

const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const CRC: (&str, &str) = ("x-amz-checksum-crc32c", "sOO8/Q==");

/// An upload: who asks, and the body as it is sent.
#[derive(Clone)]
struct Upload {
    claim: Presentation,
    length: Option<u64>,
    names: Vec<String>,
    body: Vec<u8>,
}

type Decoded = Result<(Vec<u8>, Vec<(String, String)>), Refusal>;

impl Upload {
    fn key(&self) -> Secret {
        signing_key(SECRET, &self.claim.scope)
    }

    fn chunks(&self) -> Result<Chunks, Refusal> {
        let key = (self.claim.payload != Payload::UnsignedChunksTrailer).then(|| self.key());
        Chunks::new(&self.claim.payload, key, &self.claim, self.length, &self.names)
    }

    /// What comes out if the body comes in pieces that end at `cuts`.
    fn decode(&self, cuts: &[usize]) -> Decoded {
        let (mut chunks, mut out, body) = (self.chunks()?, Vec::new(), Bytes::from(self.body.clone()));
        let mut begin = 0;
        for &end in cuts.iter().chain([&body.len()]) {
            chunks.push(&body.slice(begin..end), &mut out)?;
            begin = end;
        }
        Ok((out.concat(), chunks.finish()?))
    }

    fn whole(&self) -> Decoded {
        self.decode(&[])
    }

    fn code(&self) -> &'static str {
        self.whole().map_or_else(|refusal| refusal.code, |_| "taken")
    }

    fn with(&self, from: &str, to: &str) -> Self {
        let body = String::from_utf8(self.body.clone()).unwrap();
        assert!(body.contains(from), "{from}");
        Self { body: body.replacen(from, to, 1).into_bytes(), ..self.clone() }
    }
}

/// Writes the parts in chunks, as a client does.
fn upload(payload: &str, parts: &[&[u8]], trailers: &[(&str, &str)]) -> Upload {
    let claim = Asked::signed_for("PUT", "/b/k", &[], payload).check().unwrap();
    let (key, mut previous, mut body) = (signing_key(SECRET, &claim.scope), claim.signature, Vec::new());
    let mut sign = |text: String| {
        previous = mac(&key, text.as_bytes()).as_ref().try_into().unwrap();
        previous
    };
    let mut last = claim.signature;
    for part in parts.iter().chain([&b"".as_slice()]) {
        body.extend(format!("{:x}", part.len()).bytes());
        if payload != UNSIGNED_TRAILER {
            last = sign(chunk_text(moment(), &claim.scope, &last, &kernel::sha256(part)));
            body.extend(format!(";chunk-signature={}", hex(&last)).bytes());
        }
        body.extend(b"\r\n");
        body.extend(*part);
        if !part.is_empty() {
            body.extend(b"\r\n");
        }
    }
    let trailers: Vec<(String, String)> =
        trailers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for (name, value) in &trailers {
        body.extend(format!("{name}:{value}\r\n").bytes());
    }
    if payload == SIGNED_TRAILER {
        last = sign(trailers_text(moment(), &claim.scope, &last, &trailers));
        body.extend(format!("x-amz-trailer-signature:{}\r\n", hex(&last)).bytes());
    }
    body.extend(b"\r\n");
    let length = parts.iter().map(|part| part.len() as u64).sum();
    Upload { claim, length: Some(length), names: trailers.into_iter().map(|(name, _)| name).collect(), body }
}

fn each_kind(parts: &[&[u8]]) -> [Upload; 3] {
    [upload(SIGNED, parts, &[]), upload(SIGNED_TRAILER, parts, &[CRC]), upload(UNSIGNED_TRAILER, parts, &[CRC])]
}

/// The examples of AWS: `a` 66560 times, in chunks of 65536 and 1024 bytes.
fn example(payload: &str, extra: &[(&str, &str)], seed: &str, signatures: [&str; 3], trailers: &[u8]) -> Decoded {
    let headers =
        [("host", "s3.amazonaws.com"), ("content-encoding", "aws-chunked"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
    let mut headers = header_map(&[headers.as_slice(), &[("x-amz-decoded-content-length", "66560")], extra].concat());
    let (method, uri) = (http::Method::PUT, "/examplebucket/chunkObject.txt".parse().unwrap());
    let value = signer().sign(&method, &uri, &mut headers, payload, moment()).unwrap();
    headers.insert("authorization", value);
    let claim = Asked { method, uri, headers: headers.clone() }.check().unwrap();
    assert_eq!(hex(&claim.signature), seed);
    let mut body = Vec::new();
    for (size, signature) in [65_536, 1_024, 0].into_iter().zip(signatures) {
        body.extend(format!("{size:x};chunk-signature={signature}\r\n").bytes());
        body.extend(vec![b'a'; size]);
        body.extend(if size > 0 { b"\r\n".as_slice() } else { trailers });
    }
    let names = extra.iter().filter(|(name, _)| *name == "x-amz-trailer").map(|(_, value)| (*value).to_owned()).collect();
    let upload = Upload { claim, length: Some(66_560), names, body };
    let mut by_headers = Chunks::of(&headers, &upload.key(), &upload.claim)?;
    by_headers.push(&Bytes::from(upload.body.clone()), &mut Vec::new())?;
    by_headers.finish()?;
    upload.whole()
}

#[test]
fn the_example_of_an_upload_in_chunks() {
    let signatures = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ];
    let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    let decoded = example(SIGNED, &[("content-length", "66824")], seed, signatures, b"\r\n").unwrap();
    assert_eq!(decoded, (vec![b'a'; 66_560], Vec::new()));
}

#[test]
fn the_example_of_an_upload_with_a_trailer() {
    let signatures = [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ];
    let seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
    let signature = "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n";
    for end in ["\r\n", "\n", "\n\r\n"] {
        let trailers = format!("x-amz-checksum-crc32c:sOO8/Q=={end}{signature}");
        let extra = [("x-amz-trailer", "x-amz-checksum-crc32c")];
        let (bytes, trailers) = example(SIGNED_TRAILER, &extra, seed, signatures, trailers.as_bytes()).unwrap();
        assert_eq!((bytes.len(), trailers), (66_560, vec![(CRC.0.to_owned(), CRC.1.to_owned())]));
    }
}

#[test]
fn any_cut_gives_the_same() {
    let bytes: Vec<u8> = (0..2_000_u32).map(|nth| (nth.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let parts = [&bytes[..700], &bytes[700..701], &bytes[701..]];
    let mut seed = 7_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for upload in each_kind(&parts) {
        let whole = upload.whole().unwrap();
        assert_eq!(whole.0, bytes);
        assert_eq!(upload.decode(&(1..upload.body.len()).collect::<Vec<_>>()).unwrap(), whole, "byte by byte");
        for _ in 0..300 {
            let mut cuts: Vec<usize> = (0..random(12)).map(|_| random(upload.body.len())).collect();
            cuts.sort_unstable();
            assert_eq!(upload.decode(&cuts).unwrap(), whole, "{cuts:?}");
        }
    }
    for empty in each_kind(&[]) {
        assert_eq!(empty.whole().unwrap().0, b"");
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let parts = [b"some bytes and ".as_slice(), b"other bytes"];
    for upload in [upload(SIGNED, &parts, &[]), upload(SIGNED_TRAILER, &parts, &[CRC])] {
        let (whole, mut same) = (upload.whole().unwrap(), 0);
        for bit in 0..upload.body.len() * 8 {
            let mut flipped = upload.clone();
            flipped.body[bit / 8] ^= 1 << (bit % 8);
            if let Ok(decoded) = flipped.whole() {
                // Hexadecimal sizes and the names of trailers have no case: all else must be refused.
                let (one, other) = (upload.body[bit / 8], flipped.body[bit / 8]);
                assert!(one != other && one.eq_ignore_ascii_case(&other), "bit {bit}");
                assert_eq!(decoded, whole, "bit {bit}");
                same += 1;
            }
        }
        let of_names: usize = upload.names.iter().map(|name| name.bytes().filter(u8::is_ascii_alphabetic).count()).sum();
        let of_signature = if upload.names.is_empty() { 0 } else { "xamztrailersignature".len() };
        assert_eq!(same, of_names + of_signature + 2, "the letters of names, and the sizes `f` and `b`");
    }
}

#[test]
fn chunks_can_not_be_left_out_swapped_or_repeated() {
    let parts = [b"first".as_slice(), b"other", b"third"];
    for upload in [upload(SIGNED, &parts, &[]), upload(SIGNED_TRAILER, &parts, &[CRC])] {
        let size = upload.body.windows(7).position(|seven| seven == b"first\r\n").unwrap() + 7;
        let chunk = |nth: usize| &upload.body[nth * size..(nth + 1) * size];
        let rest = &upload.body[3 * size..];
        let check = |body: Vec<&[u8]>, length: u64, code: &str| {
            let changed = Upload { body: body.concat(), length: Some(length), ..upload.clone() };
            assert_eq!(changed.code(), code);
        };
        check(vec![chunk(0), chunk(1), chunk(2), rest], 15, "taken");
        check(vec![chunk(0), chunk(2), rest], 10, "SignatureDoesNotMatch");
        check(vec![chunk(0), chunk(1), rest], 10, "SignatureDoesNotMatch");
        check(vec![chunk(1), chunk(0), chunk(2), rest], 15, "SignatureDoesNotMatch");
        check(vec![chunk(0), chunk(0), chunk(1), chunk(2), rest], 20, "SignatureDoesNotMatch");
        check(vec![rest], 0, "SignatureDoesNotMatch");
    }
    let other = Asked::signed_for("PUT", "/b/other", &[], SIGNED).check().unwrap();
    let moved = Upload { claim: other, ..upload(SIGNED, &parts, &[]) };
    assert_eq!(moved.code(), "SignatureDoesNotMatch", "of another request");
}

#[test]
fn a_body_that_ends_early_is_incomplete() {
    for upload in each_kind(&[b"some bytes", b"more"]) {
        for end in 0..upload.body.len() {
            let cut = Upload { body: upload.body[..end].to_vec(), ..upload.clone() };
            assert_eq!(cut.code(), "IncompleteBody", "{end}");
        }
        let longer = Upload { body: [upload.body.as_slice(), b"x"].concat(), ..upload.clone() };
        assert_eq!(longer.code(), "InvalidRequest");
        for length in [13, 15, 0, u64::MAX] {
            assert_eq!(Upload { length: Some(length), ..upload.clone() }.code(), "IncompleteBody", "{length}");
        }
        assert_eq!(Upload { length: None, ..upload.clone() }.code(), "MissingContentLength");
    }
}

#[test]
fn the_framing_is_exact() {
    let unsigned = upload(UNSIGNED_TRAILER, &[b"some bytes"], &[CRC]);
    for (from, to, code) in [
        ("a\r\n", "0a\r\n", "taken"),
        ("a\r\n", "A\r\n", "taken"),
        ("a\r\n", "+a\r\n", "InvalidRequest"),
        ("a\r\n", "0xa\r\n", "InvalidRequest"),
        ("a\r\n", " a\r\n", "InvalidRequest"),
        ("a\r\n", "\r\n", "InvalidRequest"),
        ("a\r\n", "a\n", "InvalidRequest"),
        ("a\r\n", "a;x=y\r\n", "InvalidRequest"),
        ("a\r\n", "00000000000000000a\r\n", "InvalidRequest"),
        ("a\r\n", "ffffffffffffffff\r\n", "IncompleteBody"),
        ("a\r\n", "9\r\n", "InvalidRequest"),
        ("a\r\n", "b\r\n", "IncompleteBody"),
        ("bytes\r\n", "bytes\n", "InvalidRequest"),
        ("bytes\r\n", "bytes!\r\n", "InvalidRequest"),
        (":sOO8/Q==", ": sOO8/Q== ", "taken"),
        (":sOO8/Q==", ":\tsOO8/Q==", "MalformedTrailerError"),
        (":sOO8/Q==", "", "MalformedTrailerError"),
        (":sOO8/Q==", ":é", "MalformedTrailerError"),
        ("x-amz-checksum-crc32c:sOO8/Q==\r\n", "", "MalformedTrailerError"),
        ("crc32c:", "sha256:", "MalformedTrailerError"),
        ("0\r\nx", "0\r\n\r\nx", "MalformedTrailerError"),
        ("0\r\nx", "0\r\nx-amz-acl:public-read\r\nx", "MalformedTrailerError"),
        ("0\r\nx", "0\r\nx-amz-checksum-crc32c:AAAAAA==\r\nx", "MalformedTrailerError"),
    ] {
        assert_eq!(unsigned.with(from, to).code(), code, "{from:?} → {to:?}");
    }
    let signed = upload(SIGNED, &[b"some bytes"], &[]);
    assert_eq!(signed.with(";chunk-signature=", "").code(), "InvalidRequest");
    assert_eq!(signed.with(";chunk-signature=", ";chunk-signature=0").code(), "InvalidRequest");
    assert_eq!(signed.with(";chunk-signature=", "; chunk-signature=").code(), "InvalidRequest");
    assert_eq!(signed.with("a;", "A;").code(), "taken");
    let both = upload(SIGNED_TRAILER, &[b"some bytes"], &[CRC]);
    let line = both.body.windows(24).position(|line| line == b"x-amz-trailer-signature:").unwrap();
    let unsigned_end = Upload { body: [&both.body[..line], b"\r\n"].concat(), ..both.clone() };
    assert_eq!(unsigned_end.code(), "IncompleteBody", "the trailers are not signed");
    let blanks = Upload { body: [&both.body[..line], b"\r\n\r\n"].concat(), ..both.clone() };
    assert_eq!(blanks.code(), "MalformedTrailerError");
    let late = Upload { body: [&both.body[..both.body.len() - 2], b"x-amz-checksum-sha1:a\r\n\r\n"].concat(), ..both.clone() };
    assert_eq!(
        Upload { names: vec![CRC.0.to_owned(), "x-amz-checksum-sha1".to_owned()], ..late }.code(),
        "MalformedTrailerError"
    );
    let other_value = both.with("sOO8/Q==", "AAAAAA==");
    assert_eq!(other_value.code(), "SignatureDoesNotMatch");
}

#[test]
fn everything_is_bounded() {
    let unsigned = upload(UNSIGNED_TRAILER, &[b"some bytes"], &[CRC]);
    let endless = |prefix: &[u8], byte: u8, max: usize| {
        let (mut chunks, mut out) = (unsigned.chunks().unwrap(), Vec::new());
        chunks.push(&Bytes::copy_from_slice(prefix), &mut out).unwrap();
        let fed = (0..=max).take_while(|_| chunks.push(&Bytes::from(vec![byte]), &mut out).is_ok()).count();
        assert!(chunks.push(&Bytes::from_static(b"\r\n"), &mut out).is_err(), "what was refused stays refused");
        (fed, chunks.finish().unwrap_err().code)
    };
    assert_eq!(endless(b"", b'0', 2_000), (CHUNK_HEAD_BYTES_MAX, "InvalidRequest"));
    assert_eq!(endless(b"a\r\nsome bytes", b'\r', 2_000), (2, "InvalidRequest"));
    assert_eq!(endless(b"a\r\nsome bytes\r\n0\r\n", b'x', 9_000), (TRAILERS_BYTES_MAX, "InvalidRequest"));
    assert_eq!(
        endless(b"a\r\nsome bytes\r\n0\r\nx-amz-checksum-crc32c:\r\n", b'x', 9_000),
        (TRAILERS_BYTES_MAX - 24, "InvalidRequest")
    );
    let signed = upload(SIGNED, &[], &[]);
    let big = |size: u64| Upload { length: Some(u64::MAX), ..signed.with("0;", &format!("{size:x};")) }.code();
    assert_eq!(big(SIGNED_CHUNK_BYTES_MAX), "IncompleteBody", "only the bytes are missing");
    assert_eq!(big(SIGNED_CHUNK_BYTES_MAX + 1), "InvalidChunkSizeError");
}

#[test]
fn the_headers_say_how_long_it_is_and_what_follows() {
    let upload = upload(UNSIGNED_TRAILER, &[b"x"], &[CRC]);
    let check = |headers: &[(&str, &str)]| {
        Chunks::of(&header_map(headers), &upload.key(), &upload.claim).map_or_else(|refusal| refusal.code, |_| "begun")
    };
    let length = |text| ("x-amz-decoded-content-length", text);
    assert_eq!(check(&[length("1"), ("x-amz-trailer", "x-amz-checksum-crc32c")]), "begun");
    assert_eq!(
        check(&[length("1"), ("x-amz-trailer", "x-amz-checksum-crc32c"), ("x-amz-trailer", "x-amz-acl")]),
        "InvalidRequest"
    );
    assert_eq!(check(&[length("1"), length("1")]), "InvalidRequest");
    assert_eq!(check(&[]), "MissingContentLength");
    for bad in ["", "-1", "+1", "1 ", "0x1", "99999999999999999999"] {
        assert_eq!(check(&[length(bad)]), "InvalidArgument", "{bad}");
    }
}

#[test]
fn what_does_not_fit_together_is_not_begun() {
    let upload = upload(SIGNED, &[b"x"], &[]);
    let check = |payload: Payload, key: Option<Secret>, names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Chunks::new(&payload, key, &upload.claim, Some(1), &names).map_or_else(|refusal| refusal.code, |_| "begun")
    };
    let (signed, trailer) = (Payload::SignedChunks { trailer: false }, Payload::SignedChunks { trailer: true });
    let key = || Some(upload.key());
    assert_eq!(check(signed, key(), &[]), "begun");
    assert_eq!(check(signed, None, &[]), "AccessDenied");
    assert_eq!(check(signed, key(), &["x-amz-checksum-crc32"]), "InvalidRequest");
    assert_eq!(check(trailer, key(), &["X-Amz-Checksum-CRC32 , x-amz-checksum-sha1"]), "begun");
    assert_eq!(check(Payload::UnsignedChunksTrailer, None, &["x-amz-checksum-crc32"]), "begun");
    assert_eq!(check(Payload::Unsigned, key(), &[]), "InvalidRequest");
    assert_eq!(check(Payload::Whole([0; 32]), key(), &[]), "InvalidRequest");
    for bad in [
        "",
        "x-amz-acl",
        "x-amz-trailer-signature",
        "x-amz-checksum-type",
        "x-amz-checksum-sha1,x-amz-checksum-SHA1",
        "authorization",
    ] {
        assert_eq!(check(trailer, key(), &[bad]), "InvalidRequest", "{bad}");
    }
    assert_eq!(parse_hex(&hex(&upload.claim.signature)).unwrap(), upload.claim.signature);
    assert!(!format!("{:?}", upload.chunks().unwrap()).contains(&hex(&upload.claim.signature)));
}
