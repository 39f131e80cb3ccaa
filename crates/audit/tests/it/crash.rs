//! Crashes: a log's folder and database copied at random moments under load is what a killed server leaves.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{House, Look, Place, Seeded, attempt, config, copy, copy_running, verify};
use gate::Credential;
use parking_lot::Mutex;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_closed_opens_again_and_goes_on() {
    let place = Place::new();
    let mut key = String::new();
    let mut size = 0;
    for _ in 0..4 {
        let house = place.open();
        key = house.log.verifier_key().to_string();
        assert_eq!(house.log.status().size, size, "nothing is lost and nothing is added");
        house.work(300).await;
        house.drained().await;
        house.log.close();
        size = house.log.status().size;
        let report = verify(&place.audit_dir(), &key);
        assert!(report.ok && report.size == size && report.unsigned_count == 0, "{report:#?}");
        assert!(house.look("late").await.is_err(), "a closed log takes nothing");
    }
    assert_eq!(size, 4 * 300 * 2);
    let report = verify(&place.audit_dir(), &key);
    assert!(report.ok && report.entry_count == size, "{report:#?}");
}

/// What a client does at most: a log that grew on and on faster than it can be copied would never be copied whole.
const OPERATION_COUNT_MAX: usize = 3_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_crash_at_any_moment() {
    let mut random = Seeded(7);
    for round in 0..6 {
        let place = Place::new();
        let house = Arc::new(place.open());
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut load = Vec::new();
        for client in 0..8 {
            let (house, acknowledged, stop) = (Arc::clone(&house), Arc::clone(&acknowledged), Arc::clone(&stop));
            load.push(tokio::spawn(async move {
                for at in 0..OPERATION_COUNT_MAX {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let id = format!("c{client}-{at}");
                    if at % 3 == 0 {
                        house.change(&id).await.unwrap();
                    } else {
                        house.look(&id).await.unwrap();
                    }
                    acknowledged.lock().push(id);
                }
            }));
        }
        tokio::time::sleep(std::time::Duration::from_millis(50 + random.below(400))).await;
        let known: Vec<String> = acknowledged.lock().clone();
        let crashed = tempfile::tempdir().unwrap();
        let (database, audit) = (place.folder.path().join("main.db"), place.audit_dir());
        copy_running((&database, &audit), (&crashed.path().join("main.db"), &crashed.path().join("audit")));
        stop.store(true, Ordering::Relaxed);
        for client in load {
            client.await.unwrap();
        }
        check_crashed(crashed.path(), &known, round).await;
    }
}

async fn check_crashed(folder: &std::path::Path, known: &[String], round: usize) {
    // The copy took a while: the database's is older than the folder's, so that only the folder's own checks are asked.
    let database = vault::db::open(&vault::db::Location::Sqlite(folder.join("main.db"))).unwrap();
    let mut config = config(&folder.join("audit"));
    config.on_mismatch = audit::OnMismatch::Accept;
    let house = House::open(config, database).unwrap();
    house.drained().await;
    let records = house.records().await;
    let resources: HashSet<&str> = records.iter().filter_map(|r| r["resource"].as_str()).collect();
    for id in known {
        assert!(resources.contains(id.as_str()), "round {round}: `{id}` was acknowledged and is lost");
    }
    let mut events = HashSet::new();
    for event in records.iter().filter_map(|r| r["event"].as_str()) {
        assert!(events.insert(event), "round {round}: `{event}` was logged twice");
    }
    let report = house.log.verify(&mut |_, _| {}).unwrap();
    assert!(report.ok, "round {round}: {report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_cut_anywhere_after_the_last_checkpoint_is_wiped_and_anywhere_before_is_refused() {
    let mut random = Seeded(11);
    let place = Place::new();
    let mut slow = place.config.clone();
    slow.checkpoint_interval = std::time::Duration::from_secs(3600);
    let house = House::open(slow, place.database()).unwrap();
    house.work(60).await;
    house.log.flush().await.unwrap();
    let signed = house.log.status().signed_size;
    for at in 0..40 {
        house.gate.call(attempt(Credential::None), Look(format!("after-{at}"))).await.unwrap();
    }
    house.drained().await;
    let folder = tempfile::tempdir().unwrap();
    copy(place.folder.path(), folder.path());
    drop(house);
    let segment = |folder: &std::path::Path| folder.join("audit/wal/seg-000000000001.wal");
    let bytes = std::fs::read(segment(folder.path())).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    for round in 0..12 {
        let crashed = tempfile::tempdir().unwrap();
        copy(folder.path(), crashed.path());
        let cut = 64 + usize::try_from(random.below(end as u64 - 64)).unwrap();
        let mut torn = bytes.clone();
        torn[cut..].fill(0);
        std::fs::write(segment(crashed.path()), &torn).unwrap();
        let database = vault::db::open(&vault::db::Location::Sqlite(crashed.path().join("main.db"))).unwrap();
        match House::open(config(&crashed.path().join("audit")), database) {
            Ok(house) => {
                house.look("again").await.unwrap();
                let report = house.log.verify(&mut |_, _| {}).unwrap();
                assert!(report.ok, "round {round}, cut at {cut}: {report:#?}");
                assert!(house.log.status().size >= signed);
            }
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.contains("does not verify") && text.contains("missing or damaged"),
                    "round {round}, cut at {cut}: {text}"
                );
            }
        }
    }
}

/// Every partial tile and bundle of a log.
fn partial_files(dir: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            partial_files(&path, found);
        } else if path.parent().unwrap().extension().is_some_and(|extension| extension == "p") {
            found.push(path);
        }
    }
}

/// While the log is open, a tile beyond the checkpoint may be half written at the moment one looks; no other may.
#[tokio::test(flavor = "multi_thread")]
async fn a_tile_that_is_being_written_is_no_fault() {
    let place = Place::new();
    let house = place.open();
    let key = house.log.verifier_key().to_string();
    let checkpoint = place.audit_dir().join("log/checkpoint");
    house.work(30).await;
    house.drained().await;
    house.log.flush().await.unwrap();
    let signed = std::fs::read(&checkpoint).unwrap();
    let mut before = Vec::new();
    partial_files(&place.audit_dir().join("log/tile"), &mut before);
    house.work(40).await;
    house.drained().await;
    house.log.flush().await.unwrap();
    let mut all = Vec::new();
    partial_files(&place.audit_dir().join("log/tile"), &mut all);
    assert!(!before.is_empty() && all.len() > before.len(), "{before:?} {all:?}");
    // As it was before the newer checkpoint was signed.
    std::fs::write(&checkpoint, signed).unwrap();
    let report = verify(&place.audit_dir(), &key);
    assert!(report.ok, "{report:#?}");
    for path in &all {
        let bytes = std::fs::read(path).unwrap();
        for kept in [0, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(path, &bytes[..kept]).unwrap();
            let report = verify(&place.audit_dir(), &key);
            assert_eq!(report.ok, !before.contains(path), "{kept} bytes of {}: {report:#?}", path.display());
        }
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        std::fs::write(path, changed).unwrap();
        assert!(!verify(&place.audit_dir(), &key).ok, "{}", path.display());
        std::fs::write(path, bytes).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_that_a_crash_left_half_written_are_mended_at_the_start() {
    let place = Place::new();
    let house = place.open();
    for _ in 0..6 {
        house.work(70).await;
        house.drained().await;
        house.log.flush().await.unwrap();
    }
    let crashed = tempfile::tempdir().unwrap();
    copy(place.folder.path(), crashed.path());
    drop(house);
    let mut random = Seeded(3);
    let mut partial = Vec::new();
    partial_files(&crashed.path().join("audit/log/tile"), &mut partial);
    assert!(partial.len() >= 4, "{partial:?}");
    // Before the start: short files that no checkpoint needs are a crash's, any other is a fault.
    let key = place.open().log.verifier_key().to_string();
    let mut unneeded_count = 0;
    for path in &partial {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        let report = verify(&crashed.path().join("audit"), &key);
        assert!(!report.ok || report.notes.iter().any(|note| note.contains("next start")), "{report:#?}");
        unneeded_count += usize::from(report.ok);
        std::fs::write(path, bytes).unwrap();
    }
    assert!(unneeded_count > 0 && unneeded_count < partial.len(), "{unneeded_count} of {partial:?}");
    for path in &partial {
        let bytes = std::fs::read(path).unwrap();
        let kept = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        std::fs::write(path, &bytes[..kept]).unwrap();
    }
    std::fs::write(&partial[0], b"").unwrap();
    let database = vault::db::open(&vault::db::Location::Sqlite(crashed.path().join("main.db"))).unwrap();
    let house = House::open(config(&crashed.path().join("audit")), database).unwrap();
    let report = house.log.verify(&mut |_, _| {}).unwrap();
    assert!(report.ok, "{report:#?}");
}
