//! The register of trusted sources, and what a version's origin leaves as findings.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use inspection::catalogue;
use kernel::{Kind, hex};

use super::support::*;
use crate::ops::*;
use crate::{CommitWish, SourceKey};

impl World {
    async fn source(&self, name: &str, key: SourceKey, purposes: &[&str]) -> Result<crate::TrustedSource, kernel::Problem> {
        let source = NewSource {
            name: name.to_owned(),
            pattern: format!("https://{name}.example/*"),
            key,
            data_owner: "o".to_owned(),
            licence: "l".to_owned(),
            purposes: purposes.iter().map(|purpose| (*purpose).to_owned()).collect(),
        };
        self.call(AddSource { room: self.room.clone(), source }).await
    }

    /// The ids of the findings about the origin of a version with this wish.
    async fn origin(&self, wish: CommitWish) -> Vec<String> {
        let committed = self.committed("d", &[("a.csv", b"1")], wish).await;
        self.inspected().await;
        let version = committed.number.to_string();
        let found = self.call(Findings { room: self.room.clone(), dataset: "d".to_owned(), version }).await.unwrap();
        found.findings.into_iter().map(|found| found.finding.id).collect()
    }
}

fn from(uri: &str) -> CommitWish {
    CommitWish { source_uri: Some(uri.to_owned()), ..told() }
}

#[test]
fn an_origin_is_known_trusted_or_a_finding() {
    on_both_engines(|world| async move {
        assert_eq!(world.origin(CommitWish::default()).await, [catalogue::LICENCE_MISSING.id, catalogue::SOURCE_UNKNOWN.id]);
        assert_eq!(world.origin(from("https://a.example/x")).await, [catalogue::SOURCE_UNTRUSTED.id]);
        world.source("a", SourceKey::Address, &["churn"]).await.unwrap();
        assert!(world.origin(from("https://a.example/x")).await.is_empty());
        let other = CommitWish { purpose: Some("ads".to_owned()), ..from("https://a.example/x") };
        assert_eq!(world.origin(other).await, [catalogue::PURPOSE_MISMATCH.id]);
        assert_eq!(kind(world.source("a", SourceKey::Address, &[]).await), Kind::AlreadyExists);
        let listed = world.call(ListSources { room: world.room.clone() }).await.unwrap();
        assert_eq!(listed.iter().map(|source| source.name.as_str()).collect::<Vec<_>>(), ["a"]);
        let remove = || world.call(RemoveSource { room: world.room.clone(), name: "a".to_owned() });
        remove().await.unwrap();
        assert_eq!(kind(remove().await), Kind::NotFound);
        assert_eq!(world.origin(from("https://a.example/x")).await, [catalogue::SOURCE_UNTRUSTED.id]);
    });
}

#[test]
fn a_source_that_signs_or_publishes_a_digest_is_held_to_it() {
    on_both_engines(|world| async move {
        let entry = artifacts::ManifestEntry { path: "a.csv".to_owned(), size_bytes: 1, sha256: kernel::sha256(b"1") };
        let digest = artifacts::Manifest::of(vec![entry]).digest;
        world.source("fixed", SourceKey::Digest(digest), &[]).await.unwrap();
        world.source("moved", SourceKey::Digest([0; 32]), &[]).await.unwrap();
        assert!(world.origin(from("https://fixed.example/x")).await.is_empty());
        assert_eq!(world.origin(from("https://moved.example/x")).await, [catalogue::DIGEST_MISMATCH.id]);
        let pair = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
        let key: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
        world.source("signed", SourceKey::PublicKey(key), &[]).await.unwrap();
        let sign = |text: &str| Some(pair.sign(text.as_bytes()).as_ref().to_vec());
        let good = CommitWish { signature: sign(&hex(&digest)), ..from("https://signed.example/x") };
        assert!(world.origin(good).await.is_empty());
        for signature in [None, sign("something else")] {
            let bad = CommitWish { signature, ..from("https://signed.example/x") };
            assert_eq!(world.origin(bad).await, [catalogue::DIGEST_MISMATCH.id]);
        }
    });
}

#[test]
fn a_pattern_of_stars_trusts_nobody() {
    on_both_engines(|world| async move {
        let source = NewSource {
            name: "all".to_owned(),
            pattern: "**".to_owned(),
            key: SourceKey::Address,
            data_owner: "o".to_owned(),
            licence: "l".to_owned(),
            purposes: Vec::new(),
        };
        assert_eq!(kind(world.call(AddSource { room: world.room.clone(), source }).await), Kind::Invalid);
    });
}
