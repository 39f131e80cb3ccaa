//! What a check of a version says.

use attest::evidence::{Claim, State};
use kernel::{Kind, Problem};

use super::support::*;
use crate::Paper;
use crate::ops::{MakePaper, Verified, VerifyVersion};

impl World {
    async fn verified(&self) -> Verified {
        let (room, name, version) = (self.room.clone(), MODEL.to_owned(), "1".to_owned());
        let ask = MakePaper { room: room.clone(), name: name.clone(), version: version.clone(), paper: Paper::Evidence };
        let made = self.call(ask).await.map_err(|problem: Problem| {
            assert_eq!(problem.kind(), Kind::Conflict, "{problem}");
            problem.message().to_owned()
        });
        self.call(VerifyVersion { room, name, version, made }).await.unwrap()
    }
}

fn of<'a>(verified: &'a Verified, what: &str) -> &'a Claim {
    verified.claims.iter().find(|claim| claim.what == what).unwrap_or_else(|| panic!("`{what}` is not in {verified:?}"))
}

#[test]
fn all_of_an_admitted_version_holds_and_the_keys_are_named() {
    on_both_engines(|world| async move {
        world.registered().await;
        world.inspected().await;
        let verified = world.verified().await;
        // The log of these tests names no digests, as a real one does: a receipt of such a record shows nothing, and all else holds.
        for claim in &verified.claims {
            let expected = if claim.what.starts_with("receipt of") { State::Fails } else { State::Holds };
            assert_eq!(claim.state, expected, "{claim:?}");
        }
        assert!(!verified.holds() && of(&verified, "receipt of signature 0").detail.contains("does not name"), "{verified:?}");
        for what in [
            "list of files",
            "bytes of the files",
            "report of the inspection",
            "statement about the inspection",
            "signature 0",
            "attestation 2",
            "sizes of files",
            "receipt of signature 0",
            "document `card.md`",
        ] {
            of(&verified, what);
        }
        assert!(of(&verified, "signature 0").detail.contains("this server's key for models"), "{verified:?}");
        assert_eq!(verified.keys.len(), 2, "the key that signs, and the log's: {:?}", verified.keys);
    });
}

#[test]
fn what_was_changed_or_not_looked_at_does_not_hold() {
    on_both_engines(|world| async move {
        world.registered().await;
        let before = world.verified().await;
        assert_eq!(of(&before, "list of files").state, State::Unchecked, "nobody looked at it yet");
        assert_eq!(of(&before, "report of the inspection").state, State::Unchecked);
        assert_eq!(of(&before, "what this server vouches for").state, State::Unchecked);
        world.inspected().await;
        world.put("model/model.skops", b"changed").await;
        let after = world.verified().await;
        assert_eq!(of(&after, "list of files").state, State::Fails);
        assert_eq!(of(&after, "bytes of the files").state, State::Holds, "they are what was put there");
        assert!(of(&after, "what this server vouches for").detail.contains("not those that were inspected"), "{after:?}");
        assert!(!after.holds());
    });
}

#[test]
fn a_digest_that_does_not_fit_the_bytes_is_named() {
    on_both_engines(|world| async move {
        world.registered().await;
        world.inspected().await;
        let change = |writer: &mut vault::db::Writer<'_>| {
            writer.execute("UPDATE artifact SET sha256 = $1 WHERE path LIKE '%model.skops'", &[(&[7_u8; 32][..]).into()])?;
            Ok(())
        };
        world.opened.system.write(change).await.unwrap();
        let verified = world.verified().await;
        assert!(of(&verified, "bytes of the files").detail.contains("`model.skops`"), "{verified:?}");
        assert_eq!(of(&verified, "bytes of the files").state, State::Fails);
    });
}
