//! "Examples: Signature Calculations in AWS Signature Version 4" and "Authenticating Requests: Using Query Parameters" of the S3 API
//! reference.

use http::{HeaderMap, Method, Uri};
use kernel::hex;

use super::{ACCESS_KEY, Asked, EMPTY, expect_at, header_map, moment, signer};
use crate::{Payload, Presented, read, sign::Signer};

const HOST: (&str, &str) = ("host", "examplebucket.s3.amazonaws.com");

/// The example is made as AWS makes it, and read as AWS reads it.
fn check(method: &str, uri: &str, headers: &[(&str, &str)], payload: &str, signed: &str, signature: &str) {
    let (method, uri): (Method, Uri) = (method.parse().unwrap(), uri.parse().unwrap());
    let mut headers = header_map(headers);
    let value = signer().sign(&method, &uri, &mut headers, payload, moment()).unwrap();
    assert_eq!(
        value,
        format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request, SignedHeaders={signed}, Signature={signature}"
        )
    );
    headers.insert("authorization", value);
    let claim = Asked { method, uri, headers }.check().unwrap();
    assert_eq!((claim.access_key.as_str(), claim.at, claim.presigned), (ACCESS_KEY, moment(), false));
    assert_eq!((hex(&claim.signature).as_str(), claim.signed_headers.join(";").as_str()), (signature, signed));
}

#[test]
fn an_object_is_read_in_part() {
    check(
        "GET",
        "/test.txt",
        &[HOST, ("range", "bytes=0-9")],
        EMPTY,
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    );
}

#[test]
fn an_object_is_put() {
    check(
        "PUT",
        "/test$file.text",
        &[HOST, ("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    );
}

#[test]
fn the_lifecycle_is_asked_for() {
    check(
        "GET",
        "/?lifecycle",
        &[HOST],
        EMPTY,
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    );
}

#[test]
fn objects_are_listed() {
    check(
        "GET",
        "/?max-keys=2&prefix=J",
        &[HOST],
        EMPTY,
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    );
}

#[test]
fn a_url_is_presigned() {
    let uri: Uri = "https://examplebucket.s3.amazonaws.com/test.txt".parse().unwrap();
    let uri = signer().presign(&Method::GET, &uri, &HeaderMap::new(), 86_400, moment()).unwrap();
    let expected = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
                    &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z\
                    &X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
                    &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    assert_eq!(uri, expected);
    let asked = Asked { method: Method::GET, uri, headers: HeaderMap::new() };
    let claim = asked.check_at(moment().plus_secs(86_400)).unwrap();
    assert_eq!((claim.payload, claim.presigned, claim.expires_s), (Payload::Unsigned, true, Some(86_400)));
    assert_eq!(asked.code_at(moment().plus_secs(86_401)), ("AccessDenied", 403));
}

#[test]
fn what_is_not_signed_is_a_stranger() {
    let headers = header_map(&[HOST, ("x-amz-acl", "public-read")]);
    let presented = read(&Method::GET, &"/b/k?prefix=x".parse().unwrap(), &headers, &expect_at(moment())).unwrap();
    assert!(matches!(presented, Presented::None));
}

#[test]
fn sessions_bring_their_token_in_header_or_query() {
    let signer = Signer { session_token: Some("a/token+=".to_owned()), ..signer() };
    let uri: Uri = "https://s3.example.com/b/k".parse().unwrap();
    let mut headers = HeaderMap::new();
    let value = signer.sign(&Method::GET, &uri, &mut headers, EMPTY, moment()).unwrap();
    headers.insert("authorization", value);
    let by_header = Asked { method: Method::GET, uri: uri.clone(), headers };
    let uri = signer.presign(&Method::GET, &uri, &HeaderMap::new(), 60, moment()).unwrap();
    let by_query = Asked { method: Method::GET, uri, headers: HeaderMap::new() };
    for asked in [by_header, by_query] {
        assert_eq!(asked.check().unwrap().session_token.as_deref(), Some("a/token+="));
    }
    let signed_header = Asked::presigned(&[("x-amz-security-token", "t")]);
    assert_eq!(signed_header.check().unwrap().session_token.as_deref(), Some("t"));
}

#[test]
fn the_token_service_signs_the_body_without_naming_it() {
    let body = kernel::sha256(b"Action=AssumeRole&Version=2011-06-15");
    let signer = Signer { service: "sts".to_owned(), ..signer() };
    let (method, uri) = (Method::POST, "/".parse().unwrap());
    let mut headers = header_map(&[("host", "s3.example.com"), ("content-type", "application/x-www-form-urlencoded")]);
    let value = signer.sign(&method, &uri, &mut headers, &hex(&body), moment()).unwrap();
    headers.insert("authorization", value);
    assert!(!headers.contains_key("x-amz-content-sha256"));
    let read = |body| crate::read_sts(&method, &uri, &headers, body, &expect_at(moment())).unwrap();
    let judge = |claim: &crate::Presentation| crate::verify(&crate::signing_key(super::SECRET, &claim.scope), claim);
    assert!(judge(&read(body)));
    assert!(!judge(&read(kernel::sha256(b"Action=AssumeRole&Version=2011-06-15&RoleArn=x"))));
    assert_eq!(Asked { method, uri, headers }.code(), ("InvalidRequest", 400), "it is no request to S3");
}

/// `post-vanilla` and `post-x-www-form-urlencoded` of AWS's test suite for signature version 4: another service than S3, as KMS is.
#[test]
fn another_service_is_asked_as_in_the_published_vectors() {
    let signer = Signer {
        access_key: "AKIDEXAMPLE".to_owned(),
        secret: kernel::Secret::from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: None,
        region: "us-east-1".to_owned(),
        service: "service".to_owned(),
    };
    // 2015-08-30T12:36:00Z
    let at = kernel::Micros(1_440_938_160_000_000);
    let host = ("host", "example.amazonaws.com");
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (headers, body, signature) in [
        ([host].as_slice(), b"".as_slice(), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (&[form, host], b"Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
    ] {
        let mut headers = header_map(headers);
        let payload = hex(&kernel::sha256(body));
        let value = signer.sign(&Method::POST, &"/".parse().unwrap(), &mut headers, &payload, at).unwrap();
        assert!(value.to_str().unwrap().ends_with(signature), "{value:?}");
    }
}
