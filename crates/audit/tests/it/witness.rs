//! A witness cosigns what only grows, and nothing else.

use std::sync::Arc;

use audit::{Witness, cosigned_at};
use kernel::{FakeClock, Micros, Secret};

use crate::common::{House, Place, copy, verify};

fn witness(dir: &std::path::Path, logs: &[String]) -> Witness {
    let clock = Arc::new(FakeClock::at(Micros(1_800_000_000_000_000)));
    Witness::open(dir, "witness.example/1", &Secret::new(vec![8; 32]), logs, clock).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_follows_a_growing_log_and_the_log_keeps_its_word() {
    let dir = tempfile::tempdir().unwrap();
    let mut place = Place::new();
    place.config.witness_keys = vec![witness(dir.path(), &[]).verifier_key().to_string()];
    let house = place.open();
    let key = house.log.verifier_key().to_string();
    let mut old = 0;
    for _ in 0..3 {
        house.work(150).await;
        house.log.flush().await.unwrap();
        // A new process each time: what it knows is on its disk.
        let witness = witness(dir.path(), std::slice::from_ref(&key));
        let (checkpoint, note) = house.log.checkpoint().unwrap();
        let answer = witness.add_checkpoint(house.log.witness_request(old).unwrap().as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        let line = audit::note::Signature::parse(answer.body.trim_end()).unwrap();
        let text = audit::note::Note::parse(note.as_bytes()).unwrap().text;
        assert_eq!(cosigned_at(witness.verifier_key(), &line, &text), Some(1_800_000_000));
        assert_eq!(house.log.add_cosignatures(&note, &answer.body).unwrap(), 1);
        old = checkpoint.size;
    }
    let hash = kernel::hex(&kernel::sha256(crate::common::ORIGIN.as_bytes()));
    assert_eq!(witness(dir.path(), std::slice::from_ref(&key)).checkpoint(&hash).status, 200);
    let report = house.log.verify(&mut |_, _| {}).unwrap();
    assert!(report.ok && report.cosignature_count == 3, "{report:#?}");
    // A flipped bit in a kept cosignature is found where the witness's key is known.
    let anchor = place.audit_dir().join(format!("anchors/{old}.cosig"));
    let mut bytes = std::fs::read(&anchor).unwrap();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    std::fs::write(&anchor, bytes).unwrap();
    assert!(!house.log.verify(&mut |_, _| {}).unwrap().ok);
    assert!(house.log.add_cosignatures(&house.log.checkpoint().unwrap().1, "— nobody AAAAAAAA\n").is_err());
}

/// The tree size of the checkpoint in a request to a witness.
fn size_in(request: &str) -> u64 {
    let (_, note) = request.split_once("\n\n").unwrap();
    note.split('\n').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_refuses_what_the_protocol_says() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new();
    let house = place.open();
    house.work(100).await;
    house.log.flush().await.unwrap();
    let key = house.log.verifier_key().to_string();
    let witness = witness(dir.path(), &[key]);
    let status = |body: &str| witness.add_checkpoint(body.as_bytes()).status;
    let first = house.log.witness_request(0).unwrap();
    assert_eq!(status("nonsense"), 400);
    assert_eq!(status(&first.replacen("old 0", "old 007", 1)), 400);
    assert_eq!(status(&first.replacen("test.example/audit/1", "other.example", 1)), 404);
    let (head, note) = first.split_once("\n\n").unwrap();
    let mut lines: Vec<&str> = note.split('\n').collect();
    lines[1] = "99";
    assert_eq!(status(&format!("{head}\n\n{}", lines.join("\n"))), 403);
    let answer = witness.add_checkpoint(house.log.witness_request(5).unwrap().as_bytes());
    assert_eq!((answer.status, answer.body.as_str(), answer.content_type), (409, "0\n", "text/x.tlog.size"));
    assert_eq!(status(&first), 200);
    assert_eq!(status(&first), 409, "it has seen more by now");
    // Late records may have made the log grow since: what the witness saw stands in what it was sent.
    let again = house.log.witness_request(size_in(&first)).unwrap();
    assert_eq!(status(&again), 200, "the same again is no harm");
    let size = size_in(&again);
    house.work(40).await;
    house.log.flush().await.unwrap();
    let grown = house.log.witness_request(size).unwrap();
    let mut lines: Vec<&str> = grown.split('\n').collect();
    lines.swap(1, 2);
    assert_eq!(status(&lines.join("\n")), 422);
    assert_eq!(status(&grown), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_sees_that_a_whole_machine_was_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::new();
    let house = place.open();
    house.work(100).await;
    house.drained().await;
    house.log.close();
    let key = house.log.verifier_key().to_string();
    drop(house);
    let before = tempfile::tempdir().unwrap();
    copy(place.folder.path(), before.path());
    let house = place.open();
    house.work(100).await;
    // Nothing grows any more between what the witness is shown and what is noted of it.
    house.drained().await;
    house.log.flush().await.unwrap();
    let witness = witness(dir.path(), std::slice::from_ref(&key));
    assert_eq!(witness.add_checkpoint(house.log.witness_request(0).unwrap().as_bytes()).status, 200);
    let seen = house.log.checkpoint().unwrap().0.size;
    drop(house);
    // Log and database together: the machine itself has nothing to notice it by.
    let mut config = place.config.clone();
    config.dir = before.path().join("audit");
    let database = vault::db::open(&vault::db::Location::Sqlite(before.path().join("main.db"))).unwrap();
    let house = House::open(config, database).unwrap();
    house.work(150).await;
    house.log.flush().await.unwrap();
    assert!(verify(&before.path().join("audit"), &key).ok);
    let answer = witness.add_checkpoint(house.log.witness_request(seen).unwrap().as_bytes());
    assert_eq!(answer.status, 422, "{answer:?}");
}
