//! Signing and verifying models in folders: what holds, and each way in which it must not.

use std::path::Path;

use kernel::{Micros, Secret, sha256};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::dsse::Envelope;
use crate::error::{AttestError, Difference};
use crate::keys::{EcdsaSigner, Ed25519Signer, Signer, pem};
use crate::policy::{SignerPolicy, Trust, TrustedKey};
use crate::statement::PAYLOAD_TYPE;

const NOW: Micros = Micros(1_790_000_000_000_000);
const FILES: [(&str, &str); 5] =
    [("MLmodel", "flavors"), ("model.bin", "weights"), ("sub/z.txt", "z"), ("sub-x/a.txt", "a"), ("empty", "")];

fn signer(byte: u8) -> EcdsaSigner {
    EcdsaSigner::from_seed(&Secret::new(vec![byte; 32])).unwrap()
}

fn trust_in(signer: &dyn Signer) -> Trust {
    let key = TrustedKey { name: "ours".to_owned(), public_key: signer.public_key().to_pem() };
    SignerPolicy { keys: vec![key], ..SignerPolicy::default() }.trust(None).unwrap()
}

fn write(folder: &Path, path: &str, content: &str) {
    let file = folder.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, content).unwrap();
}

fn model() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    FILES.iter().for_each(|(path, content)| write(folder.path(), path, content));
    folder
}

fn signed(folder: &Path, method: Method) -> Vec<u8> {
    let manifest = Directory::open(folder).unwrap().manifest("m", method, None).unwrap();
    sign_with_key(&manifest, &signer(1)).unwrap().to_bytes().unwrap()
}

fn verify_at(folder: &Path, bundle: &[u8], coverage: Coverage) -> Result<Verified, AttestError> {
    verify(bundle, &trust_in(&signer(1)), NOW, &Directory::open(folder)?, coverage, None)
}

/// Signs a model, lets `change` touch it, and gives the verdict.
fn check(method: Method, coverage: Coverage, change: impl FnOnce(&Path)) -> Result<Verified, AttestError> {
    let folder = model();
    let bundle = signed(folder.path(), method);
    change(folder.path());
    verify_at(folder.path(), &bundle, coverage)
}

fn differences(verdict: Result<Verified, AttestError>) -> Vec<Difference> {
    match verdict {
        Err(AttestError::Mismatch(differences)) => differences,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unchanged_model_holds_with_its_signature_beside_it() {
    for method in [Method::Files, Method::Shards(3), Method::Shards(SHARD_BYTES)] {
        let coverage = if method == Method::Files { Coverage::Whole } else { Coverage::Specified };
        let verified = check(method, coverage, |folder| write(folder, SIGNATURE_NAME, "{}")).unwrap();
        assert_eq!(verified.signer.trusted_as, "ours");
        assert_eq!(verified.unsigned, if method == Method::Files { Vec::new() } else { vec!["empty".to_owned()] });
    }
}

#[test]
fn each_tampering_is_told() {
    for method in [Method::Files, Method::Shards(3)] {
        let told = |change: &dyn Fn(&Path)| differences(check(method, Coverage::Specified, change));
        let changed = told(&|folder| write(folder, "model.bin", "Weights"));
        assert!(matches!(changed.as_slice(), [Difference::Changed(path)] if path.starts_with("model.bin")), "{changed:?}");
        assert!(!told(&|folder| write(folder, "model.bin", "weights2")).is_empty());
        assert!(!told(&|folder| write(folder, "model.bin", "weight")).is_empty());
        assert_eq!(told(&|folder| write(folder, "evil.py", "x")), [Difference::Extra("evil.py".to_owned())]);
        let removed = told(&|folder| std::fs::remove_file(folder.join("MLmodel")).unwrap());
        assert!(matches!(removed.as_slice(), [Difference::Missing(path)] if path == "MLmodel"), "{removed:?}");
        let swapped = told(&|folder| {
            std::fs::rename(folder.join("sub/z.txt"), folder.join("t")).unwrap();
            std::fs::rename(folder.join("sub-x/a.txt"), folder.join("sub/z.txt")).unwrap();
            std::fs::rename(folder.join("t"), folder.join("sub-x/a.txt")).unwrap();
        });
        assert_eq!(swapped.len(), 2, "{swapped:?}");
        assert!(!told(&|folder| std::fs::rename(folder.join("MLmodel"), folder.join("mlmodel")).unwrap()).is_empty());
    }
    let emptied = check(Method::Files, Coverage::Whole, |folder| write(folder, "empty", "now"));
    assert_eq!(differences(emptied), [Difference::Changed("empty".to_owned())]);
}

#[test]
fn links_and_devices_are_refused() {
    let link = |from: &'static str| {
        move |folder: &Path| {
            std::fs::rename(folder.join("model.bin"), folder.with_extension("moved")).unwrap();
            std::os::unix::fs::symlink(folder.with_extension("moved"), folder.join(from)).unwrap();
        }
    };
    for verdict in [
        check(Method::Files, Coverage::Specified, link("model.bin")),
        check(Method::Files, Coverage::Specified, link("other")),
        check(Method::Files, Coverage::Specified, |folder| {
            std::os::unix::fs::symlink(folder.join("sub"), folder.join("folder")).unwrap();
        }),
        check(Method::Files, Coverage::Specified, |folder| {
            std::os::unix::net::UnixListener::bind(folder.join("socket")).map(drop).unwrap();
        }),
    ] {
        assert!(matches!(verdict, Err(AttestError::BadFile { .. })), "{verdict:?}");
    }
    let folder = model();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path(), &link).unwrap();
    assert!(Directory::open(&link).is_err());
}

#[test]
fn what_the_specification_leaves_out_is_told_or_refused() {
    let git = |folder: &Path| write(folder, ".git/config", "x");
    assert_eq!(check(Method::Files, Coverage::Specified, git).unwrap().unsigned, [".git/config"]);
    assert_eq!(differences(check(Method::Files, Coverage::Whole, git)), [Difference::Hidden(".git/config".to_owned())]);
    let deeper = check(Method::Files, Coverage::Specified, |folder| write(folder, "sub/.git/config", "x"));
    assert_eq!(differences(deeper), [Difference::Extra("sub/.git/config".to_owned())]);
    let empty = check(Method::Shards(3), Coverage::Specified, |folder| write(folder, "__init__.py", "")).unwrap();
    assert_eq!(empty.unsigned, ["__init__.py", "empty"]);
    assert!(check(Method::Shards(3), Coverage::Whole, |_| ()).is_err());
}

#[test]
fn the_order_and_the_root_are_the_specifications() {
    let folder = model();
    let manifest = Directory::open(folder.path()).unwrap().manifest("m", Method::Files, None).unwrap();
    let names: Vec<String> = manifest.resources.iter().map(Resource::name).collect();
    assert_eq!(names, ["MLmodel", "empty", "model.bin", "sub-x/a.txt", "sub/z.txt"]);
    let digests: Vec<u8> = ["flavors", "", "weights", "a", "z"].iter().flat_map(|text| sha256(text.as_bytes())).collect();
    assert_eq!(manifest.root(), sha256(&digests));
}

#[test]
fn a_list_of_digests_signs_and_verifies_without_reading() {
    let folder = model();
    let file = |(path, content): &(&str, &str)| FileDigest {
        path: (*path).to_owned(),
        size_bytes: content.len() as u64,
        sha256: sha256(content.as_bytes()),
    };
    let list: Vec<FileDigest> = FILES.iter().map(file).collect();
    let manifest = Manifest::of_files("m", &list, SIGNATURE_NAME).unwrap();
    assert_eq!(manifest, Directory::open(folder.path()).unwrap().manifest("m", Method::Files, None).unwrap());
    let bundle = sign_with_key(&manifest, &signer(1)).unwrap().to_bytes().unwrap();
    let of_list = |list: &[FileDigest]| verify(&bundle, &trust_in(&signer(1)), NOW, &FileList(list), Coverage::Whole, None);
    of_list(&list).unwrap();
    assert_eq!(differences(of_list(&list[1..])), [Difference::Missing("MLmodel".to_owned())]);
    let twice = [list.clone(), list[..1].to_vec()].concat();
    assert!(of_list(&twice).is_err());
    assert!(Manifest::of_files("m", &twice, SIGNATURE_NAME).is_err());
    assert!(Manifest::of_files("m", &[], SIGNATURE_NAME).is_err());
    let shards = signed(folder.path(), Method::Shards(3));
    let verdict = verify(&shards, &trust_in(&signer(1)), NOW, &FileList(&list), Coverage::Specified, None);
    assert!(matches!(verdict, Err(AttestError::Unsupported(_))), "{verdict:?}");
    let whole = signed(folder.path(), Method::Shards(100));
    verify(&whole, &trust_in(&signer(1)), NOW, &FileList(&list), Coverage::Specified, None).unwrap();
}

#[test]
fn a_model_of_one_file_is_known_by_its_name_and_by_the_dot_of_others() {
    let folder = model();
    let file = folder.path().join("model.bin");
    let bundle = signed(&file, Method::Files);
    verify_at(&file, &bundle, Coverage::Whole).unwrap();
    let dot = resigned(|statement| statement["predicate"]["resources"][0]["name"] = ".".into(), &bundle);
    verify_at(&file, &dot, Coverage::Whole).unwrap();
    write(folder.path(), "model.bin", "other");
    assert_eq!(differences(verify_at(&file, &dot, Coverage::Whole)), [Difference::Changed(".".to_owned())]);
    assert!(!differences(verify_at(folder.path(), &dot, Coverage::Whole)).is_empty());
}

#[test]
fn only_trusted_keys_count() {
    let folder = model();
    let bundle = signed(folder.path(), Method::Files);
    let (ours, other) = (signer(1), signer(2));
    let check = |policy: SignerPolicy| verify_signature(&bundle, &policy.trust(None).unwrap(), NOW);
    let key = |signer: &EcdsaSigner| TrustedKey { name: "k".to_owned(), public_key: signer.public_key().to_pem() };
    let policy = |keys| SignerPolicy { keys, ..SignerPolicy::default() };
    check(policy(vec![key(&other), key(&ours)])).unwrap();
    assert!(matches!(check(policy(vec![key(&other)])), Err(AttestError::Untrusted(_))));
    assert!(matches!(check(policy(Vec::new())), Err(AttestError::Untrusted(_))));
    let revoked = SignerPolicy { revoked: [ours.public_key().key_id()].into(), ..policy(vec![key(&ours)]) };
    assert!(matches!(check(revoked), Err(AttestError::Untrusted(_))));
    // Another's signature under our hint.
    let manifest = Directory::open(folder.path()).unwrap().manifest("m", Method::Files, None).unwrap();
    let theirs = sign_with_key(&manifest, &other).unwrap().to_bytes().unwrap();
    let lie = String::from_utf8(theirs).unwrap().replace(&other.public_key().hint(), &ours.public_key().hint());
    let verdict = verify_signature(lie.as_bytes(), &trust_in(&ours), NOW);
    assert!(matches!(verdict, Err(AttestError::BadSignature(_))), "{verdict:?}");
    let ed = Ed25519Signer::from_seed(&Secret::new(vec![1; 32])).unwrap();
    assert!(sign_with_key(&manifest, &ed).is_err());
}

#[test]
fn large_files_are_hashed_as_small_ones_are() {
    let folder = model();
    let content: Vec<u8> = (0..9_000_001_u32).map(|at| (at % 251) as u8).collect();
    std::fs::write(folder.path().join("model.bin"), &content).unwrap();
    assert_eq!(hash_file(&folder.path().join("model.bin")).unwrap(), (content.len() as u64, sha256(&content)));
    let bundle = signed(folder.path(), Method::Files);
    let verified = verify_at(folder.path(), &bundle, Coverage::Whole).unwrap();
    let entry = verified.manifest.resources.iter().find(|one| one.path == "model.bin").unwrap();
    assert_eq!(entry.sha256, sha256(&content));
    for at in [0, 5_000_000, content.len() - 1] {
        let mut changed = content.clone();
        changed[at] ^= 1;
        std::fs::write(folder.path().join("model.bin"), &changed).unwrap();
        let verdict = verify_at(folder.path(), &bundle, Coverage::Whole);
        assert_eq!(differences(verdict), [Difference::Changed("model.bin".to_owned())], "byte {at}");
    }
}

/// Named changes of a statement.
type Changes = Vec<(&'static str, Box<dyn Fn(&mut Value)>)>;

/// The statement of `bundle`, changed and signed again by the same key: a hostile signer who is trusted.
fn resigned(change: impl FnOnce(&mut Value), bundle: &[u8]) -> Vec<u8> {
    let mut bundle: Value = serde_json::from_slice(bundle).unwrap();
    let envelope = Envelope::parse(bundle["dsseEnvelope"].to_string().as_bytes()).unwrap();
    let mut statement: Value = serde_json::from_slice(&envelope.payload_bytes().unwrap()).unwrap();
    change(&mut statement);
    let digests: Vec<u8> = statement["predicate"]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|one| kernel::parse_hex(one["digest"].as_str().unwrap()).unwrap_or_default())
        .collect();
    if statement["subject"][0]["digest"]["sha256"] != "kept" {
        statement["subject"][0]["digest"]["sha256"] = kernel::hex(&sha256(&digests)).into();
    }
    let envelope = Envelope::sign(&signer(1), PAYLOAD_TYPE, statement.to_string().as_bytes(), "").unwrap();
    bundle["dsseEnvelope"] = serde_json::to_value(envelope).unwrap();
    bundle.to_string().into_bytes()
}

#[test]
fn hostile_statements_of_a_trusted_signer_are_refused() {
    let folder = model();
    let shards = signed(folder.path(), Method::Shards(3));
    let bundle = signed(folder.path(), Method::Files);
    verify_at(folder.path(), &resigned(|_| (), &bundle), Coverage::Whole).unwrap();
    let entry = |name: &str| json!({ "name": name, "digest": kernel::hex(&sha256(b"")), "algorithm": "sha256" });
    let changes: Changes = vec![
        ("traversal", Box::new(|s| s["predicate"]["resources"][0]["name"] = "../MLmodel".into())),
        ("absolute", Box::new(|s| s["predicate"]["resources"][0]["name"] = "/MLmodel".into())),
        ("not canonical", Box::new(|s| s["predicate"]["resources"][0]["name"] = "./MLmodel".into())),
        ("dot", Box::new(|s| s["predicate"]["resources"][0]["name"] = ".".into())),
        (
            "twice",
            Box::new(|s| {
                let first = s["predicate"]["resources"][0].clone();
                s["predicate"]["resources"].as_array_mut().unwrap().push(first);
            }),
        ),
        ("not there", Box::new(move |s| s["predicate"]["resources"].as_array_mut().unwrap().push(entry("x")))),
        ("empty", Box::new(|s| s["predicate"]["resources"] = json!([]))),
        ("entry of another kind", Box::new(|s| s["predicate"]["resources"][0]["algorithm"] = "blake3".into())),
        ("whole of another kind", Box::new(|s| s["predicate"]["serialization"]["hash_type"] = "blake2b".into())),
        ("unknown kind", Box::new(|s| s["predicate"]["serialization"]["hash_type"] = "md5".into())),
        ("short digest", Box::new(|s| s["predicate"]["resources"][0]["digest"] = "00".into())),
        ("method", Box::new(|s| s["predicate"]["serialization"]["method"] = "shards".into())),
        ("shard size", Box::new(|s| s["predicate"]["serialization"]["shard_size"] = 3.into())),
        ("unknown field", Box::new(|s| s["predicate"]["serialization"]["skip"] = true.into())),
        ("root", Box::new(|s| s["subject"][0]["digest"]["sha256"] = "kept".into())),
        ("subjects", Box::new(|s| s["subject"] = json!([s["subject"][0], s["subject"][0]]))),
        ("type", Box::new(|s| s["_type"] = "x".into())),
        ("predicate", Box::new(|s| s["predicateType"] = "https://model_signing/Digests/v0.1".into())),
    ];
    for (what, change) in changes {
        assert!(verify_at(folder.path(), &resigned(change, &bundle), Coverage::Specified).is_err(), "{what}");
    }
    let of_shards: Changes = vec![
        (
            "gap",
            Box::new(|s| {
                s["predicate"]["resources"].as_array_mut().unwrap().retain(|one| one["name"] != "model.bin:3:6");
            }),
        ),
        (
            "cut",
            Box::new(|s| {
                s["predicate"]["resources"].as_array_mut().unwrap().retain(|one| one["name"] != "model.bin:6:7");
            }),
        ),
        ("no range", Box::new(|s| s["predicate"]["resources"][0]["name"] = "MLmodel".into())),
        ("sign", Box::new(|s| s["predicate"]["resources"][0]["name"] = "MLmodel:+0:3".into())),
        ("other size", Box::new(|s| s["predicate"]["serialization"]["shard_size"] = 2.into())),
        ("no size", Box::new(|s| s["predicate"]["serialization"]["shard_size"] = Value::Null)),
    ];
    for (what, change) in of_shards {
        assert!(verify_at(folder.path(), &resigned(change, &shards), Coverage::Specified).is_err(), "shards: {what}");
    }
}

#[test]
fn shards_are_read_as_the_reference_implementation_writes_them() {
    let folder = model();
    let bundle = signed(folder.path(), Method::Shards(3));
    let theirs = |size: &'static str, name: &'static str| {
        let change = move |s: &mut Value| {
            s["predicate"]["serialization"]["shard_size"] = serde_json::from_str(size).unwrap();
            for entry in s["predicate"]["resources"].as_array_mut().unwrap() {
                entry["algorithm"] = name.into();
            }
        };
        verify_at(folder.path(), &resigned(change, &bundle), Coverage::Specified)
    };
    theirs("3.0", "sha256-sharded-3").unwrap();
    for (size, name) in
        [("3.0", "sha256-sharded-4"), ("3.5", "sha256"), ("-3", "sha256"), ("3e0", "blake2b-sharded-3"), ("1e400", "sha256")]
    {
        if serde_json::from_str::<Value>(size).is_ok() {
            assert!(theirs(size, name).is_err(), "{size} {name}");
        }
    }
}

#[test]
fn an_ignored_path_hides_no_file() {
    let folder = model();
    let ignoring = |path: &'static str| {
        resigned(
            move |s| {
                s["predicate"]["serialization"]["ignore_paths"] = json!([path]);
                s["predicate"]["resources"]
                    .as_array_mut()
                    .unwrap()
                    .retain(|one| !one["name"].as_str().unwrap().starts_with("sub/"));
            },
            &signed(folder.path(), Method::Files),
        )
    };
    for path in ["sub", "sub/", "sub/z.txt"] {
        let verdict = verify_at(folder.path(), &ignoring(path), Coverage::Specified);
        assert_eq!(differences(verdict), [Difference::Hidden("sub/z.txt".to_owned())], "{path}");
    }
}

#[test]
fn hostile_bundles_are_refused() {
    let folder = model();
    let bundle = signed(folder.path(), Method::Files);
    let changed = |change: fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&bundle).unwrap();
        change(&mut value);
        value.to_string().into_bytes()
    };
    let deep = [b"{\"mediaType\":".as_slice(), "[".repeat(1 << 20).as_bytes()].concat();
    for bad in [
        Vec::new(),
        b"{}".to_vec(),
        deep,
        bundle[..bundle.len() - 1].to_vec(),
        changed(|b| b["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.2+json".into()),
        changed(|b| b["messageSignature"] = json!({})),
        changed(|b| b["verificationMaterial"] = json!({})),
        changed(|b| b["verificationMaterial"]["certificate"] = json!({ "rawBytes": "" })),
        changed(|b| b["verificationMaterial"] = json!({ "certificate": { "rawBytes": "" } })),
        changed(|b| b["verificationMaterial"] = json!({ "x509CertificateChain": { "certificates": [] } })),
        changed(|b| b["verificationMaterial"] = json!({ "x509CertificateChain": { "certificates": [{ "rawBytes": "MAA=" }] } })),
        changed(|b| b["verificationMaterial"]["tlogEntries"] = json!(vec![0; 100])),
        changed(|b| b["dsseEnvelope"]["signatures"] = json!([])),
        changed(|b| {
            b["dsseEnvelope"]["signatures"] = json!([b["dsseEnvelope"]["signatures"][0], b["dsseEnvelope"]["signatures"][0]])
        }),
        changed(|b| b["dsseEnvelope"]["payloadType"] = "text/plain".into()),
        changed(|b| b["dsseEnvelope"]["payload"] = "####".into()),
    ] {
        assert!(
            verify_at(folder.path(), &bad, Coverage::Specified).is_err(),
            "{}",
            String::from_utf8_lossy(&bad[..bad.len().min(200)])
        );
    }
    // What older and other writers leave out or write as null.
    for fine in [
        changed(|b| b["dsseEnvelope"]["signatures"][0]["keyid"] = Value::Null),
        changed(|b| drop(b["verificationMaterial"].as_object_mut().unwrap().remove("tlogEntries"))),
        changed(|b| b["verificationMaterial"]["publicKey"] = json!({ "rawBytes": "", "keyDetails": "x" })),
    ] {
        verify_at(folder.path(), &fine, Coverage::Specified).unwrap();
    }
}

#[test]
fn no_bit_of_a_bundle_can_change_what_is_verified() {
    let folder = model();
    let bundle = signed(folder.path(), Method::Files);
    let expected = verify_at(folder.path(), &bundle, Coverage::Whole).unwrap();
    for at in (0..bundle.len()).step_by(3) {
        let mut flipped = bundle.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(verified) = verify_at(folder.path(), &flipped, Coverage::Whole) {
            assert_eq!(verified, expected, "byte {at}");
        }
    }
}

mod certificates;
