//! Models signed with certificates: which chains hold, and when.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use time::OffsetDateTime;

use super::*;
use crate::certificate::ANY_SIGNER;
use crate::policy::TrustedAuthority;

const YEAR: i64 = 365 * 24 * 3600;

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW.as_secs() + seconds).unwrap()
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (at(-YEAR), at(YEAR));
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn leaf() -> CertificateParams {
    let mut params = params("signer");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params.subject_alt_names = vec![SanType::URI("https://example.org/release".try_into().unwrap())];
    params
}

/// A root, an intermediate below it, and a signer's certificate below that, each as `change` leaves it.
fn check(
    change: impl FnOnce(&mut [CertificateParams; 3]),
    policy: impl FnOnce(&mut TrustedAuthority),
) -> Result<(), AttestError> {
    let mut all = [authority("root"), authority("middle"), leaf()];
    change(&mut all);
    let [root, middle, leaf] = all;
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
    let middle = CertifiedIssuer::signed_by(middle, KeyPair::generate().unwrap(), &root).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &middle).unwrap();
    let signer = EcdsaSigner::from_pkcs8(&Secret::new(key.serialize_der())).unwrap();
    let folder = model();
    let manifest = Directory::open(folder.path()).unwrap().manifest("m", Method::Files, None).unwrap();
    let chain = [leaf.der().to_vec(), middle.der().to_vec(), root.der().to_vec()];
    assert!(sign_with_certificates(&manifest, &super::signer(1), &chain).is_err());
    let bundle = sign_with_certificates(&manifest, &signer, &chain).unwrap().to_bytes().unwrap();
    let mut trusted = TrustedAuthority {
        name: "root".to_owned(),
        certificate: pem("CERTIFICATE", root.der()),
        signers: vec![ANY_SIGNER.to_owned()],
    };
    policy(&mut trusted);
    let trust = SignerPolicy { authorities: vec![trusted], ..SignerPolicy::default() }.trust(None)?;
    let verified = verify(&bundle, &trust, NOW, &Directory::open(folder.path()).unwrap(), Coverage::Whole, None)?;
    assert_eq!(verified.signer.identities, ["https://example.org/release"]);
    Ok(())
}

fn refused(because: &str, change: impl FnOnce(&mut [CertificateParams; 3]), policy: impl FnOnce(&mut TrustedAuthority)) {
    let verdict = check(change, policy);
    let told = verdict.as_ref().map_or_else(ToString::to_string, |()| "accepted".to_owned());
    assert!(matches!(verdict, Err(AttestError::Untrusted(_))) && told.contains(because), "{because}: {told}");
}

#[test]
fn a_chain_to_a_trusted_root_holds() {
    check(|_| (), |_| ()).unwrap();
    check(|[_, _, leaf]| leaf.key_usages.clear(), |_| ()).unwrap();
    check(|[_, _, leaf]| leaf.extended_key_usages.clear(), |_| ()).unwrap();
    check(|_| (), |policy| policy.signers = vec!["https://example.org/release".to_owned()]).unwrap();
}

#[test]
fn what_has_expired_or_is_not_valid_yet_is_refused() {
    for place in 0..3 {
        refused("expired", |all| all[place].not_after = at(-1), |_| ());
        refused(if place == 0 { "expired" } else { "not valid yet" }, |all| all[place].not_before = at(60), |_| ());
    }
}

#[test]
fn certificates_for_other_things_are_refused() {
    refused("not made for signing", |[_, _, leaf]| leaf.key_usages = vec![KeyUsagePurpose::KeyEncipherment], |_| ());
    refused("not made for signing", |[_, _, leaf]| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth], |_| ());
    refused(
        "not made for signing",
        |[_, _, leaf]| {
            leaf.key_usages.clear();
            leaf.extended_key_usages.clear();
        },
        |_| (),
    );
    refused("keyCertSign", |[_, middle, _]| middle.key_usages = vec![KeyUsagePurpose::DigitalSignature], |_| ());
    refused("", |[_, middle, _]| middle.is_ca = IsCa::ExplicitNoCa, |_| ());
    refused("between", |[root, _, _]| root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)), |_| ());
    refused("basicConstraints", |[_, _, leaf]| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), |_| ());
}

#[test]
fn other_roots_and_other_signers_are_refused() {
    let other = CertifiedIssuer::self_signed(authority("root"), KeyPair::generate().unwrap()).unwrap();
    refused("does not", |_| (), |policy| policy.certificate = pem("CERTIFICATE", other.der()));
    refused("may not sign", |_| (), |policy| policy.signers = vec!["https://example.org/other".to_owned()]);
    refused("may not sign", |_| (), |policy| policy.signers.clear());
    let key = KeyPair::generate().unwrap();
    let no_authority = pem("CERTIFICATE", leaf().self_signed(&key).unwrap().der());
    for bad in ["", "-----BEGIN CERTIFICATE-----", &no_authority] {
        assert!(matches!(check(|_| (), |policy| policy.certificate = bad.to_owned()), Err(AttestError::Key(_))));
    }
}
