//! What other servers let through, each refused here.

use super::{Asked, EMPTY, moment};
use crate::{Payload, Presented, QUERY_BYTES_MAX};

#[test]
fn what_is_signed_as_it_comes_is_taken() {
    let extra = [("x-amz-meta-a", "b"), ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), ("content-type", "text/plain")];
    assert_eq!(Asked::signed(&extra).code(), ("taken", 200));
    assert_eq!(Asked::presigned(&extra).code(), ("taken", 200));
    assert_eq!(Asked::presigned(&[]).and("content-type", "text/plain").and("range", "bytes=0-1").code(), ("taken", 200));
    assert_eq!(Asked::presigned(&[]).and("x-amzn-trace-id", "Root=1").code(), ("taken", 200));
}

#[test]
fn headers_that_change_the_meaning_must_be_signed() {
    for (name, value) in [
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-bypass-governance-retention", "true"),
        ("x-amz-acl", "public-read-write"),
        ("x-amz-copy-source", "/other/secret"),
        ("x-amz-security-token", "stolen"),
        ("x-amz-meta-a", "b"),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-tagging", "a=b"),
        ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
    ] {
        assert_eq!(Asked::presigned(&[]).and(name, value).code(), ("AccessDenied", 403), "presigned, {name}");
        assert_eq!(Asked::signed(&[]).and(name, value).code(), ("AccessDenied", 403), "by header, {name}");
        let signed = Asked::presigned(&[(name, value)]);
        assert_eq!(signed.code(), ("taken", 200), "{name}");
        assert_eq!(signed.and(name, "more").code().1 / 100, 4, "a second value of a signed header, {name}");
    }
    let hash = Asked::presigned(&[]).and("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    assert_eq!(hash.code(), ("AccessDenied", 403));
    let no_host = Asked::presigned(&[("x-amz-meta-a", "b")]).with("SignedHeaders=host%3Bx", "SignedHeaders=x");
    assert_eq!(no_host.code(), ("AccessDenied", 403));
    let gone = Asked::presigned(&[("x-amz-meta-a", "b")]);
    assert_eq!(Asked { headers: http::HeaderMap::new(), ..gone }.code(), ("AccessDenied", 403), "signed, but not there");
}

#[test]
fn a_signature_of_one_request_is_not_one_of_another() {
    let check = |change: &dyn Fn(&mut Asked)| {
        for mut asked in [Asked::signed(&[("x-amz-meta-a", "b")]), Asked::presigned(&[("x-amz-meta-a", "b")])] {
            assert_eq!(asked.code(), ("taken", 200));
            change(&mut asked);
            assert_eq!(asked.code(), ("SignatureDoesNotMatch", 403), "{asked:?}");
        }
    };
    check(&|asked| asked.method = http::Method::DELETE);
    check(&|asked| {
        asked.headers.insert("x-amz-meta-a", "c".parse().unwrap());
    });
    check(&|asked| asked.uri = asked.uri.to_string().replace("/bucket/key", "/bucket/../key").parse().unwrap());
    check(&|asked| asked.uri = asked.uri.to_string().replace("/bucket/key", "/bucket//key").parse().unwrap());
    check(&|asked| {
        let sign = if asked.uri.query().is_some() { '&' } else { '?' };
        asked.uri = format!("{}{sign}versionId=1", asked.uri).parse().unwrap();
    });
    let other_host = Asked::presigned(&[]);
    let moved = other_host.uri.to_string().replace("s3.example.com", "s3.example.org").parse().unwrap();
    assert_eq!(Asked { uri: moved, ..other_host }.code(), ("SignatureDoesNotMatch", 403));
}

#[test]
fn what_is_read_of_the_query_is_what_was_signed() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let asked = Asked::signed_for("GET", "/b?prefix=a%20b%2B&delimiter=%2F", &[], EMPTY);
    assert_eq!(asked.code(), ("taken", 200));
    for (uri, code, prefix) in [
        ("/b?delimiter=/&prefix=a+b%2B", "taken", "a b+"),
        ("/b?prefix=a%20b%2b&&delimiter=%2f", "taken", "a b+"),
        ("/b?prefix=a%20b+&delimiter=%2F", "SignatureDoesNotMatch", "a b "),
        ("/b?prefix=a%2Bb%2B&delimiter=%2F", "SignatureDoesNotMatch", "a+b+"),
    ] {
        let sent = Asked { uri: uri.parse().unwrap(), ..asked.clone() };
        assert_eq!(sent.code().0, code, "{uri}");
        assert!(crate::query(&sent.uri).unwrap().contains(&pair("prefix", prefix)), "{uri}");
    }
    assert_eq!(crate::path(&"/b/a%20b+%C3%A9/../x".parse().unwrap()).unwrap(), "/b/a b+é/../x");
    assert_eq!(crate::path(&"/b/%ff".parse().unwrap()).unwrap_err().code, "InvalidURI");
    assert_eq!(crate::query(&"/b?a=%ff".parse().unwrap()).unwrap_err().code, "InvalidURI");
}

#[test]
fn every_flipped_bit_of_a_signature_is_seen() {
    let asked = Asked::signed(&[]);
    let (Presented::Signed(mut claim), key) = (asked.read_at(moment()).unwrap(), super::signer()) else { panic!() };
    let key = crate::signing_key(key.secret.expose(), &claim.scope);
    for bit in 0..256 {
        claim.signature[bit / 8] ^= 1 << (bit % 8);
        assert!(!crate::verify(&key, &claim), "{bit}");
        claim.signature[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(crate::verify(&key, &claim));
}

#[test]
fn version_2_and_other_ways_are_no_way_in() {
    let plain = |authorization: &str| {
        let asked = Asked::presigned(&[]).and("authorization", authorization);
        Asked { uri: "/bucket/key".parse().unwrap(), ..asked }.code()
    };
    assert_eq!(plain("AWS AKIAIOSFODNN7EXAMPLE:qgk2+6Sv9/oM7G3qLEjTH1a1l1g="), ("InvalidRequest", 400));
    assert_eq!(plain("AWS4-ECDSA-P256-SHA256 Credential=a, SignedHeaders=host, Signature=00"), ("InvalidRequest", 400));
    assert_eq!(plain("aws4-hmac-sha256 Credential=a, SignedHeaders=host, Signature=00"), ("InvalidRequest", 400));
    assert_eq!(plain("Bearer abc"), ("InvalidArgument", 400));
    assert_eq!(plain(""), ("InvalidArgument", 400));
    for query in ["AWSAccessKeyId=A&Expires=9999999999&Signature=s", "%41WSAccessKeyId=A", "Signature=s"] {
        let asked = Asked { uri: format!("/b/k?{query}").parse().unwrap(), ..Asked::signed(&[]) };
        assert_eq!(asked.code(), ("InvalidRequest", 400), "{query}");
    }
}

#[test]
fn two_ways_at_once_are_none() {
    let presigned = Asked::presigned(&[]);
    let both = Asked { uri: presigned.uri, ..Asked::signed(&[]) };
    assert_eq!(both.code(), ("InvalidArgument", 400));
    let token = Asked { uri: "/bucket/key?X-Amz-Security-Token=t".parse().unwrap(), ..Asked::signed(&[]) };
    assert_eq!(token.code(), ("InvalidArgument", 400));
    let tokens =
        Asked::presigned(&[("x-amz-security-token", "t")]).with("&X-Amz-Signature", "&X-Amz-Security-Token=u&X-Amz-Signature");
    assert_eq!(tokens.code(), ("AuthorizationQueryParametersError", 400));
    let beside_a_token = |uri: &str| crate::read_unsigned(&uri.parse().unwrap()).map_err(|refusal| refusal.code);
    assert_eq!(crate::read_unsigned(&Asked::presigned(&[]).uri).unwrap_err().code, "InvalidArgument");
    assert_eq!(beside_a_token("/bucket/key?X-Amz-Signature=0"), Err("InvalidArgument"));
    assert_eq!(beside_a_token("/bucket/key?Signature=0"), Err("InvalidRequest"));
    assert_eq!(beside_a_token("/bucket/key?x-amz-user-agent=a&versionId=v"), Ok(()));
    let again = Asked::signed(&[]);
    let value = again.headers["authorization"].to_str().unwrap().to_owned();
    assert_eq!(again.and("authorization", &value).code(), ("InvalidRequest", 400));
}

#[test]
fn the_query_is_exact() {
    let refused = ("AuthorizationQueryParametersError", 400);
    for (from, to) in [
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""),
        ("X-Amz-Date=20130524T000000Z&", ""),
        ("X-Amz-Expires=3600&", ""),
        ("&X-Amz-SignedHeaders=host", ""),
        ("&X-Amz-Signature=", "&X-Amz-Signatur="),
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=AWS4-HMAC-SHA1"),
        ("X-Amz-Date=20130524T000000Z", "X-Amz-Date=20130524"),
        ("Expires=3600", "Expires=0"),
        ("Expires=3600", "Expires=-1"),
        ("Expires=3600", "Expires=%2B3600"),
        ("Expires=3600", "Expires=604801"),
        ("Expires=3600", "Expires=315360000"),
        ("Expires=3600", "Expires=99999999999999999999"),
        ("Expires=3600", "Expires="),
        ("Expires=3600", "Expires=36e2"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=3600&X-Amz-Expires=60"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=3600&X-Amz-%45xpires=60"),
        ("X-Amz-Expires=3600", "x-amz-expires=3600"),
        ("X-Amz-Signature=", "X-Amz-Signature=00"),
        ("us-east-1", "eu-central-1"),
        ("%2Fs3%2F", "%2Fsts%2F"),
        ("aws4_request", "aws5_request"),
        ("20130524%2F", "20130523%2F"),
        ("Credential=AKIAIOSFODNN7EXAMPLE", "Credential="),
        ("Credential=AKIAIOSFODNN7EXAMPLE", "Credential=a%2Fb"),
        ("Credential=AKIAIOSFODNN7EXAMPLE", "Credential=a%20b"),
        ("SignedHeaders=host", "SignedHeaders=Host"),
        ("SignedHeaders=host", "SignedHeaders=host%3Bhost"),
        ("SignedHeaders=host", "SignedHeaders=host%3Bdate"),
        ("SignedHeaders=host", "SignedHeaders=host%3B"),
        ("SignedHeaders=host", "SignedHeaders="),
        ("SignedHeaders=host", "SignedHeaders=a b%3Bhost"),
    ] {
        let to = to.replace(' ', "%20");
        // How long it holds is said in a form that can be read, or not at all: beyond the bounds is denied as what has expired is.
        let is_beyond = to.starts_with("Expires=");
        let refused = if is_beyond { (refused.0, 403) } else { refused };
        assert_eq!(Asked::presigned(&[]).with(from, &to).code(), refused, "{from} → {to}");
    }
    let changed = Asked::presigned(&[]).with("Expires=3600", "Expires=604800");
    assert_eq!(changed.code(), ("SignatureDoesNotMatch", 403));
    assert_eq!(Asked::presigned(&[]).with("/bucket/key?", "/bucket/key?a=1&a=2&").code(), ("InvalidArgument", 400));
    assert_eq!(Asked::presigned(&[]).with("/bucket/key?", "/bucket/key?a=%zz&").code(), ("InvalidURI", 400));
    assert_eq!(Asked::presigned(&[]).with("/bucket/key", "/bucket/%zz").code(), ("InvalidURI", 400));
}

#[test]
fn the_header_is_exact() {
    let refused = ("AuthorizationHeaderMalformed", 400);
    for (from, to) in [
        ("Credential=", "Credentials="),
        (", Signature=", ", Signature"),
        (", Signature=", ", Signature=00"),
        (", Signature=", ", Signature=00, Signature="),
        (", Signature=", ", Other=1, Signature="),
        (", SignedHeaders=host;x-amz-content-sha256;x-amz-date", ""),
        ("SignedHeaders=host;", "SignedHeaders=x-amz-date;"),
        ("us-east-1", "eu-central-1"),
        ("us-east-1", ""),
        ("/s3/", "/sts/"),
        ("/20130524/", "/20130525/"),
        ("/aws4_request", ""),
        ("/aws4_request", "/aws4_request/"),
        ("AKIAIOSFODNN7EXAMPLE", ""),
    ] {
        assert_eq!(Asked::signed(&[]).with(from, to).code(), refused, "{from} → {to}");
    }
    let elsewhere = Asked::signed(&[]).with("us-east-1", "eu-central-1").check().unwrap_err();
    assert!(elsewhere.message.contains("expecting `us-east-1`"), "{elsewhere}");
    let without = |name: &str| {
        let mut asked = Asked::signed(&[]);
        asked.headers.remove(name);
        asked.code()
    };
    assert_eq!(without("x-amz-content-sha256"), ("InvalidRequest", 400));
    assert_eq!(without("x-amz-date"), ("AccessDenied", 403));
    assert_eq!(without("host"), ("InvalidRequest", 400));
    let upper = Asked::signed_for("PUT", "/b/k", &[], &EMPTY.to_ascii_uppercase());
    assert_eq!(upper.code(), ("InvalidArgument", 400));
    let unknown = Asked::signed_for("PUT", "/b/k", &[], "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD");
    assert_eq!(unknown.code(), ("InvalidArgument", 400));
}

#[test]
fn a_request_of_another_time_is_refused() {
    let at = |seconds: i64| moment().plus_secs(seconds);
    for (now, code) in
        [(0, "taken"), (900, "taken"), (-900, "taken"), (901, "RequestTimeTooSkewed"), (-901, "RequestTimeTooSkewed")]
    {
        assert_eq!(Asked::signed(&[]).code_at(at(now)).0, code, "{now}");
    }
    for (now, code) in [(3_600, "taken"), (3_601, "AccessDenied"), (-900, "taken"), (-901, "AccessDenied")] {
        assert_eq!(Asked::presigned(&[]).code_at(at(now)).0, code, "{now}");
    }
    assert_eq!(Asked::signed(&[]).code_at(kernel::Micros(i64::MAX)).0, "RequestTimeTooSkewed");
    assert_eq!(Asked::signed(&[]).code_at(kernel::Micros(i64::MIN)).0, "RequestTimeTooSkewed");
    let renewed = Asked::presigned(&[]).with("X-Amz-Date=20130524T000000Z", "X-Amz-Date=20130524T120000Z");
    assert_eq!(renewed.code_at(at(12 * 3_600)), ("SignatureDoesNotMatch", 403));
    let dates = Asked::signed(&[]).and("x-amz-date", "20130524T000000Z");
    assert_eq!(dates.code(), ("InvalidRequest", 400));
}

#[test]
fn what_is_too_long_is_refused() {
    let long = "x".repeat(8 * 1024 + 1);
    assert_eq!(Asked::signed(&[]).with("AKIA", &long).code(), ("RequestHeaderSectionTooLarge", 400));
    assert_eq!(Asked::presigned(&[]).with("AKIA", &long).code(), ("AuthorizationQueryParametersError", 400));
    let token = Asked::presigned(&[]).with("&X-Amz-Signature", &format!("&X-Amz-Security-Token={long}&X-Amz-Signature"));
    assert_eq!(token.code(), ("AuthorizationQueryParametersError", 400));
    let path = Asked { uri: format!("/{long}").parse().unwrap(), ..Asked::signed(&[]) };
    assert_eq!(path.code(), ("RequestHeaderSectionTooLarge", 400));
    let query = Asked { uri: format!("/?a={}", "x".repeat(QUERY_BYTES_MAX)).parse().unwrap(), ..Asked::signed(&[]) };
    assert_eq!(query.code(), ("RequestHeaderSectionTooLarge", 400));
    let mut long_value = Asked::signed(&[("x-amz-meta-a", "b")]);
    long_value.headers.insert("x-amz-meta-a", long.parse().unwrap());
    assert_eq!(long_value.code(), ("RequestHeaderSectionTooLarge", 400));
    let names: Vec<String> = (0..98).map(|nth| format!("x-amz-meta-{nth:03}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "v")).collect();
    assert_eq!(Asked::signed(&many[..97]).code(), ("taken", 200));
    assert_eq!(Asked::signed(&many).code(), ("AuthorizationHeaderMalformed", 400));
}

#[test]
fn the_body_is_what_the_signature_says_of_it() {
    for (text, payload) in [
        ("UNSIGNED-PAYLOAD", Payload::Unsigned),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Payload::SignedChunks { trailer: false }),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Payload::SignedChunks { trailer: true }),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Payload::UnsignedChunksTrailer),
        (EMPTY, Payload::Whole(kernel::sha256(b""))),
    ] {
        assert_eq!(Asked::signed_for("PUT", "/b/k", &[], text).check().unwrap().payload, payload);
        assert_eq!(
            Asked::presigned(&[("x-amz-content-sha256", text)]).code().0,
            if text == "UNSIGNED-PAYLOAD" { "taken" } else { "SignatureDoesNotMatch" }
        );
    }
    let whole = Payload::Whole(kernel::sha256(b"signed"));
    assert_eq!(whole.check(&kernel::sha256(b"signed")), Ok(()));
    assert_eq!(whole.check(&kernel::sha256(b"other")).unwrap_err().code, "XAmzContentSHA256Mismatch");
    assert_eq!(Payload::Unsigned.check(&kernel::sha256(b"other")), Ok(()));
    let unsigned_trailer =
        Asked::signed_for("PUT", "/b/k", &[], "STREAMING-UNSIGNED-PAYLOAD-TRAILER").with("Signature=", "Signature=0");
    assert_eq!(unsigned_trailer.code().0, "AuthorizationHeaderMalformed", "unsigned chunks do not mean an unsigned request");
}

#[test]
fn nothing_that_opens_a_door_is_printed() {
    let asked = Asked::presigned(&[("x-amz-security-token", "t0ken")]);
    let claim = asked.check().unwrap();
    let printed = format!("{claim:?} {:?} {:?}", asked.read_at(moment()).unwrap(), super::signer());
    for secret in ["t0ken", &kernel::hex(&claim.signature), &format!("{:?}", claim.signature), "wJalr", &claim.string_to_sign] {
        assert!(!printed.contains(secret), "{secret}");
    }
}
