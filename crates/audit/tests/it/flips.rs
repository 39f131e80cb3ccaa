//! Any flipped byte is found: in a segment, a tile, a bundle, a checkpoint, a row.

use std::path::{Path, PathBuf};

use audit::database_rows;
use audit::verify::{Policy, verify_directory};

use crate::common::{Place, Seeded, verify};

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

fn flip(path: &Path, at: usize, bit: u8) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1 << bit;
    std::fs::write(path, bytes).unwrap();
}

/// A closed log of some hundred records in several segments.
async fn closed(place: &Place, count: usize) -> String {
    let house = place.open();
    house.work(count).await;
    house.drained().await;
    house.log.flush().await.unwrap();
    house.work(16).await;
    house.drained().await;
    let key = house.log.verifier_key().to_string();
    house.log.close();
    key
}

#[tokio::test(flavor = "multi_thread")]
async fn any_flipped_byte_in_any_file_is_found() {
    let place = Place::new();
    let key = closed(&place, 400).await;
    check_every_file(&place.audit_dir(), &key);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_flipped_byte_after_a_crash_is_found_also_where_no_checkpoint_was_yet() {
    let mut place = Place::new();
    place.config.checkpoint_interval = std::time::Duration::from_secs(3600);
    let house = place.open();
    house.work(400).await;
    house.drained().await;
    house.log.flush().await.unwrap();
    house.work(100).await;
    house.drained().await;
    // Long enough for the tiles to follow; no checkpoint covers them.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let crashed = tempfile::tempdir().unwrap();
    crate::common::copy(&place.audit_dir(), crashed.path());
    let key = house.log.verifier_key().to_string();
    drop(house);
    assert!(verify(crashed.path(), &key).unsigned_count > 150);
    check_every_file(crashed.path(), &key);
}

/// Flips bytes in each file, one at a time; `dir` verifies before and after.
fn check_every_file(dir: &Path, key: &str) {
    let clean = verify(dir, key);
    assert!(clean.ok, "{clean:#?}");
    let mut random = Seeded(2026);
    for folder in ["wal", "log", "anchors"] {
        let mut all = Vec::new();
        files(&dir.join(folder), &mut all);
        all.sort();
        for path in all {
            let size = std::fs::metadata(&path).unwrap().len();
            let mut places: Vec<u64> = (0..8).map(|_| random.below(size)).chain([0, size - 1]).collect();
            if path.extension().is_some_and(|extension| extension == "wal") {
                // Where records are, and just behind them.
                let bytes = std::fs::read(&path).unwrap();
                let end = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64;
                places.extend((0..24).map(|_| random.below(end + 1)));
                places.extend((end.saturating_sub(12)..=end + 3).filter(|at| *at < size));
                places.extend([8, 20, 40, 60, 64, 68, 72, 76, 84]);
            }
            for at in places {
                let (at, bit) = (usize::try_from(at).unwrap(), u8::try_from(random.below(8)).unwrap());
                flip(&path, at, bit);
                let report = verify(dir, key);
                assert!(!report.ok, "bit {bit} of byte {at} of `{}` went unseen", path.display());
                flip(&path, at, bit);
            }
        }
    }
    assert!(verify(dir, key).ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_bad_record_is_named() {
    let place = Place::new();
    let key = closed(&place, 400).await;
    let bundle = place.audit_dir().join("log/tile/entries/001");
    let bytes = std::fs::read(&bundle).unwrap();
    // The fifth entry of the second bundle.
    let mut at = 0;
    for _ in 0..4 {
        at += 2 + usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    }
    flip(&bundle, at + 30, 0);
    let report = verify(&place.audit_dir(), &key);
    assert_eq!(report.first_bad_index(), Some(260), "{report:#?}");
    assert_eq!(report.faults[0].place, "log/tile/entries/001");
    assert_eq!(report.fault_count, 1, "{report:#?}");
    flip(&bundle, at + 30, 0);
    let tile = place.audit_dir().join("log/tile/0/001");
    flip(&tile, 32 * 9 + 3, 5);
    let report = verify(&place.audit_dir(), &key);
    assert_eq!(report.first_bad_index(), Some(265), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_missing_added_or_swapped_are_found() {
    let place = Place::new();
    let key = closed(&place, 400).await;
    let dir = place.audit_dir();
    let away = dir.join("away");
    for name in ["log/tile/0/001", "log/tile/entries/000", "log/checkpoint"] {
        std::fs::rename(dir.join(name), &away).unwrap();
        assert!(!verify(&dir, &key).ok, "{name} is missing");
        std::fs::rename(&away, dir.join(name)).unwrap();
    }
    for name in ["log/tile/0/x001/000", "log/tile/entries/009", "wal/notes.txt"] {
        std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        std::fs::write(dir.join(name), b"more").unwrap();
        assert!(!verify(&dir, &key).ok, "{name} was added");
        std::fs::remove_file(dir.join(name)).unwrap();
    }
    let other = Place::new();
    let house = other.open();
    house.work(10).await;
    house.log.close();
    let mut config = crate::common::config(&dir);
    config.signing_seed = kernel::Secret::new(vec![9; 32]);
    std::fs::copy(other.audit_dir().join("log/checkpoint"), dir.join("log/checkpoint")).unwrap();
    assert!(!verify(&dir, &key).ok, "an older checkpoint of the same key");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_changed_are_found() {
    let place = Place::new();
    let key = closed(&place, 100).await;
    let policy = Policy::of_key(&key).unwrap();
    let database = place.database();
    let rows = tokio::task::spawn_blocking(move || database_rows(&database.system).unwrap()).await.unwrap();
    let check =
        |rows: &audit::verify::DatabaseRows| verify_directory(&place.audit_dir(), &policy, Some(rows), &mut |_, _| {}).unwrap();
    assert!(check(&rows).ok, "{:#?}", check(&rows));
    let mut random = Seeded(5);
    for round in 0..40 {
        let mut bad = rows.clone();
        let row = &mut bad.checkpoints[0];
        match round % 4 {
            0 => row.size ^= 1 << random.below(8),
            1 => row.root[usize::try_from(random.below(32)).unwrap()] ^= 1,
            2 => row.origin.push('x'),
            _ => {
                let at = usize::try_from(random.below(row.note.len() as u64)).unwrap();
                let mut bytes = row.note.clone().into_bytes();
                bytes[at] ^= 1;
                row.note = String::from_utf8_lossy(&bytes).into_owned();
            }
        }
        assert!(!check(&bad).ok, "round {round}");
    }
    let mut gone = rows;
    gone.checkpoints.clear();
    assert!(!check(&gone).ok);
}
