//! Signatures that others put on a model before it came.

use attest::oms::{FileDigest, Manifest, sign_with_key};
use attest::policy::TrustedKey;
use attest::{EcdsaSigner, Signer};
use gate::DataState;
use inspection::{FindingKind, catalogue};
use kernel::{Kind, Secret, sha256};

use super::support::*;
use crate::Signers;
use crate::ops::{Findings, GetSigners, QueueInspection, SetSigners};

const FILES: [(&str, &[u8]); 2] = [("MLmodel", b"flavors: {}"), ("model.skops", b"0123456789")];

fn signer(seed: u8) -> EcdsaSigner {
    EcdsaSigner::from_seed(&Secret::new(vec![seed; 32])).unwrap()
}

/// The bundle of `signer` over `files`.
fn signature(signer: &dyn Signer, files: &[(&str, &[u8])]) -> Vec<u8> {
    let digest = |(path, bytes): &(&str, &[u8])| FileDigest {
        path: (*path).to_owned(),
        size_bytes: bytes.len() as u64,
        sha256: sha256(bytes),
    };
    let files: Vec<FileDigest> = files.iter().map(digest).collect();
    let manifest = Manifest::of_files("m", &files, "model.sig").unwrap();
    sign_with_key(&manifest, signer).unwrap().to_bytes().unwrap()
}

fn trusting(signers: &[&dyn Signer], required: bool) -> Signers {
    let key = |signer: &&dyn Signer| TrustedKey { name: "lab".to_owned(), public_key: signer.public_key().to_pem() };
    Signers { required, keys: signers.iter().map(key).collect(), ..Signers::default() }
}

impl World {
    async fn set(&self, signers: Signers) {
        self.call(SetSigners { room: self.room.clone(), signers }).await.unwrap();
    }

    /// What an inspection of version 1, asked for now, finds of its signature, and whether it may carry an alias then.
    async fn judged(&self) -> (Vec<String>, DataState) {
        let again = QueueInspection { room: self.room.clone(), name: MODEL.to_owned(), version: "1".to_owned() };
        self.call(again).await.unwrap();
        self.inspected().await;
        let asked = Findings { room: self.room.clone(), name: MODEL.to_owned(), version: "1".to_owned() };
        let findings = self.call(asked).await.unwrap().findings;
        let ids = findings.into_iter().map(|found| found.finding.id).filter(|id| id.starts_with("signature."));
        (ids.collect(), self.shown(1).await.standing.state)
    }
}

fn only(kind: &FindingKind, state: DataState) -> (Vec<String>, DataState) {
    (vec![kind.id.to_owned()], state)
}

#[test]
fn an_unsigned_model_is_refused_where_a_signature_is_required() {
    on_both_engines(|world| async move {
        world.registered().await;
        world.inspected().await;
        assert_eq!(world.judged().await, only(&catalogue::UNSIGNED, DataState::Admitted));
        world.set(trusting(&[&signer(1)], true)).await;
        assert_eq!(world.judged().await, only(&catalogue::SIGNATURE_MISSING, DataState::Refused));
        refused(world.alias(1).await, Kind::Conflict, "was refused");
    });
}

#[test]
fn a_signature_counts_if_its_signer_does_and_the_files_are_those_that_were_signed() {
    on_both_engines(|world| async move {
        world.put("model/model.sig", &signature(&signer(1), &FILES)).await;
        world.registered().await;
        world.inspected().await;
        assert_eq!(world.judged().await, only(&catalogue::SIGNER_UNKNOWN, DataState::Admitted));

        world.set(trusting(&[&signer(2), &signer(1)], true)).await;
        assert_eq!(world.judged().await, (Vec::new(), DataState::Admitted));

        let stranger = trusting(&[&signer(2)], false);
        world.set(stranger).await;
        assert_eq!(world.judged().await, only(&catalogue::SIGNATURE_INVALID, DataState::Refused));

        let mut revoked = trusting(&[&signer(1)], true);
        revoked.revoked.insert(signer(1).public_key().key_id());
        world.set(revoked).await;
        assert_eq!(world.judged().await, only(&catalogue::SIGNATURE_INVALID, DataState::Refused));
    });
}

#[test]
fn a_revoked_key_has_what_was_admitted_inspected_again() {
    on_both_engines(|world| async move {
        world.set(trusting(&[&signer(1)], true)).await;
        world.put("model/model.sig", &signature(&signer(1), &FILES)).await;
        world.registered().await;
        world.inspected().await;
        assert_eq!(world.shown(1).await.standing.state, DataState::Admitted);
        // Another signer beside it changes nothing of what is admitted.
        world.set(trusting(&[&signer(1), &signer(2)], true)).await;
        assert!(world.runner().step().await.unwrap().is_none());
        let mut revoked = trusting(&[&signer(1)], true);
        revoked.revoked.insert(signer(1).public_key().key_id());
        world.set(revoked.clone()).await;
        world.inspected().await;
        assert_eq!(world.shown(1).await.standing.state, DataState::Refused);
        refused(world.alias(1).await, Kind::Conflict, "was refused");
        world.set(revoked).await;
        assert!(world.runner().step().await.unwrap().is_none(), "it was revoked before");
    });
}

#[test]
fn a_changed_an_added_and_a_removed_file_break_the_signature() {
    let changed: &[(&str, &[u8])] = &[FILES[0], ("model.skops", b"0123456780")];
    let missing: &[(&str, &[u8])] = &[FILES[0], FILES[1], ("weights.bin", b"w")];
    for signed in [changed, &FILES[..1], missing] {
        on_both_engines(|world| async move {
            world.set(trusting(&[&signer(1)], false)).await;
            world.put("model/model.sig", &signature(&signer(1), signed)).await;
            world.registered().await;
            world.inspected().await;
            assert_eq!(world.judged().await, only(&catalogue::SIGNATURE_INVALID, DataState::Refused));
        });
    }
}

#[test]
fn signers_that_could_never_sign_or_be_read_are_refused_and_a_part_of_a_workspace_does_not_see_them() {
    on_both_engines(|world| async move {
        let set = |signers| world.call(SetSigners { room: world.room.clone(), signers });
        refused(set(Signers { required: true, ..Signers::default() }).await, Kind::Invalid, "nobody's counts");
        let unreadable = TrustedKey { name: "lab".to_owned(), public_key: "no key".to_owned() };
        refused(set(Signers { keys: vec![unreadable], ..Signers::default() }).await, Kind::Invalid, "");
        let get = || world.call(GetSigners { room: world.room.clone() });
        assert_eq!(get().await.unwrap(), None);
        set(trusting(&[&signer(1)], true)).await.unwrap();
        let second = set(trusting(&[&signer(2)], false)).await.unwrap();
        assert_eq!((second.number, get().await.unwrap()), (2, Some(second)));
        world.gate.set_scope(gate::Scope::Nothing);
        refused(get().await, Kind::Forbidden, "workspace");
    });
}
