//! Known values, and every way of cutting gives the same.

use kernel::hex;

use super::header_map;
use crate::checksum::{Algorithm, Checksum, Md5, combine, composite, content_md5, etag, multipart_etag, presented};

fn value(algorithm: Algorithm, bytes: &[u8]) -> String {
    let mut checksum = Checksum::new(algorithm);
    checksum.update(bytes);
    checksum.finish()
}

fn md5(bytes: &[u8]) -> [u8; 16] {
    let mut md5 = Md5::new();
    md5.update(bytes);
    md5.finish()
}

/// Bytes that look random, the same each time.
fn bytes(count: u32) -> Vec<u8> {
    (0..count).map(|nth| (nth.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
fn the_check_values_of_the_catalogues() {
    for (algorithm, expected) in [
        (Algorithm::Crc32, "cbf43926"),
        (Algorithm::Crc32c, "e3069283"),
        (Algorithm::Crc64Nvme, "ae8b14860a799888"),
        (Algorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        (Algorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    ] {
        let text = value(algorithm, b"123456789");
        assert_eq!(hex(&algorithm.decode(&text).unwrap()), expected, "{algorithm:?}");
    }
    assert_eq!(value(Algorithm::Crc32c, &[b'a'; 66_560]), "sOO8/Q==", "of AWS's example of a trailer");
    assert_eq!((value(Algorithm::Crc32, b"").as_str(), value(Algorithm::Crc64Nvme, b"").as_str()), ("AAAAAA==", "AAAAAAAAAAA="));
    assert_eq!(etag(&md5(b"123456789")), "25f9e794323b453885f5181f1b624d0b");
    assert_eq!(etag(&md5(b"")), "d41d8cd98f00b204e9800998ecf8427e");
}

#[test]
fn names_and_headers_go_both_ways() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        assert_eq!(Algorithm::from_name(&algorithm.name().to_lowercase()), Some(algorithm));
        assert_eq!(Algorithm::from_header(algorithm.header()), Some(algorithm));
        assert_eq!(algorithm.header(), format!("x-amz-checksum-{}", algorithm.name().to_lowercase()));
        assert_eq!(algorithm.decode(&value(algorithm, b"x")).unwrap().len(), algorithm.len_bytes());
        assert_eq!(Checksum::new(algorithm).algorithm(), algorithm);
        for bad in ["", "AAAA", "AAAAAA=", "AAAAAA", "AAAAAB==", "AAAAAA== ", "not base64!"] {
            assert_eq!(algorithm.decode(bad), None, "{bad}");
        }
    }
    assert_eq!((Algorithm::from_name("MD5"), Algorithm::from_header("x-amz-checksum-type")), (None, None));
}

#[test]
fn parts_combine_to_the_whole() {
    let (whole, mut seed) = (bytes(100_000), 11_u64);
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for algorithm in Algorithm::ALL {
        for _ in 0..20 {
            let mut cuts: Vec<usize> = (0..random(9)).map(|_| random(whole.len())).chain([0, whole.len()]).collect();
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &whole[cut[0]..cut[1]]).collect();
            let mut stream = Checksum::new(algorithm);
            parts.iter().for_each(|part| stream.update(part));
            assert_eq!(stream.finish(), value(algorithm, &whole));
            let values: Vec<String> = parts.iter().map(|part| value(algorithm, part)).collect();
            let sized: Vec<(&str, u64)> =
                values.iter().map(String::as_str).zip(parts.iter().map(|part| part.len() as u64)).collect();
            let is_sum = matches!(algorithm, Algorithm::Sha1 | Algorithm::Sha256);
            assert_eq!(combine(algorithm, &sized), (!is_sum).then(|| value(algorithm, &whole)), "{cuts:?}");
        }
    }
    assert_eq!(combine(Algorithm::Crc32, &[]).as_deref(), Some("AAAAAA=="));
    assert_eq!(combine(Algorithm::Crc32, &[("AAAA", 1)]), None);
    let (head, tail) = (value(Algorithm::Crc64Nvme, b"1234"), value(Algorithm::Crc64Nvme, b"56789"));
    assert_ne!(
        combine(Algorithm::Crc64Nvme, &[(&tail, 5), (&head, 4)]),
        combine(Algorithm::Crc64Nvme, &[(&head, 4), (&tail, 5)])
    );
}

#[test]
fn five_tebibytes_combine_too() {
    // The CRC of zeros, doubled until it is long enough, must be what one step of that length says.
    for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
        let (mut zeros, mut length) = (value(algorithm, &[0; 1024]), 1024_u64);
        while length < 5 << 40 {
            zeros = combine(algorithm, &[(&zeros, length), (&zeros, length)]).unwrap();
            length *= 2;
        }
        let (first, last) = (value(algorithm, b"head"), value(algorithm, b"tail"));
        let left =
            combine(algorithm, &[(&combine(algorithm, &[(&first, 4), (&zeros, length)]).unwrap(), length + 4), (&last, 4)]);
        let right =
            combine(algorithm, &[(&first, 4), (&combine(algorithm, &[(&zeros, length), (&last, 4)]).unwrap(), length + 4)]);
        assert_eq!(left, right, "{algorithm:?}");
    }
}

#[test]
fn checksums_of_checksums() {
    let (one, two) = (value(Algorithm::Sha256, b"one"), value(Algorithm::Sha256, b"two"));
    let both = [Algorithm::Sha256.decode(&one).unwrap(), Algorithm::Sha256.decode(&two).unwrap()].concat();
    assert_eq!(composite(Algorithm::Sha256, &[&one, &two]), Some(format!("{}-2", value(Algorithm::Sha256, &both))));
    assert_eq!(composite(Algorithm::Crc32, &["AAAAAA=="]), Some(format!("{}-1", value(Algorithm::Crc32, &[0; 4]))));
    assert_eq!(composite(Algorithm::Sha1, &[&one]), None, "a value of another algorithm");
    assert_eq!(composite(Algorithm::Crc64Nvme, &["AAAAAAAAAAA="]), None);
    assert_eq!(composite(Algorithm::Crc32, &[]), None);
    let parts = [md5(b"one"), md5(b"two")];
    assert_eq!(multipart_etag(&parts), format!("{}-2", hex(&md5(&parts.concat()))));
}

#[test]
fn a_request_brings_one_checksum_or_none() {
    let check = |headers: &[(&str, &str)]| presented(&header_map(headers)).map_err(|refusal| refusal.code);
    assert_eq!(check(&[("x-amz-checksum-algorithm", "CRC32"), ("x-amz-checksum-type", "FULL_OBJECT")]), Ok(None));
    assert_eq!(check(&[("x-amz-checksum-crc32", "AAAAAA==")]), Ok(Some((Algorithm::Crc32, "AAAAAA==".to_owned()))));
    for bad in [
        [("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-checksum-sha1", "qqqqqqqqqqqqqqqqqqqqqqqqqqo=")].as_slice(),
        &[("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-checksum-crc32", "AAAAAA==")],
        &[("x-amz-checksum-crc31", "AAAAAA==")],
    ] {
        assert_eq!(check(bad), Err("InvalidRequest"), "{bad:?}");
    }
    for bad in ["AAAA", ""] {
        assert_eq!(check(&[("x-amz-checksum-crc32", bad)]), Err("BadDigest"), "{bad}");
    }
    let check = |value: &str| content_md5(&header_map(&[("content-md5", value)])).map_err(|refusal| refusal.code);
    assert_eq!(check("1B2M2Y8AsgTpgAmY7PhCfg=="), Ok(Some(md5(b""))));
    for bad in ["", "AAAA", "d41d8cd98f00b204e9800998ecf8427e"] {
        assert_eq!(check(bad), Err("InvalidDigest"), "{bad}");
    }
    assert_eq!(content_md5(&header_map(&[])), Ok(None));
}
