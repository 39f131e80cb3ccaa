//! Failing disks: a clear refusal, no loss, and recovery without help.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audit::{DiskAct, Health};
use kernel::Kind;

use crate::common::{House, Place, verify};

/// A switch that makes these acts fail.
fn faulty(place: &mut Place, acts: &'static [DiskAct], kind: ErrorKind) -> Arc<AtomicBool> {
    let broken = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&broken);
    place.config.disk_fault =
        Some(Arc::new(
            move |act| {
                if switch.load(Ordering::SeqCst) && acts.contains(&act) { Err(Error::from(kind)) } else { Ok(()) }
            },
        ));
    broken
}

async fn until_up(house: &House) {
    for _ in 0..500 {
        if house.log.status().health == Health::Up {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the log did not recover: {:?}", house.log.status());
}

async fn check_drill(acts: &'static [DiskAct]) {
    let mut place = Place::new();
    let broken = faulty(&mut place, acts, ErrorKind::Other);
    let house = place.open();
    house.work(100).await;
    broken.store(true, Ordering::SeqCst);
    let began = Instant::now();
    for at in 0..20 {
        let refused = house.look(&format!("refused-{at}")).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Unavailable);
        assert!(refused.message().starts_with("audit_unavailable"), "{}", refused.message());
    }
    assert!(began.elapsed() < Duration::from_secs(5), "a refusal does not wait");
    assert_eq!(house.log.status().health, Health::Down);
    broken.store(false, Ordering::SeqCst);
    until_up(&house).await;
    house.work(100).await;
    house.drained().await;
    let records = house.records().await;
    assert!(records.iter().any(|r| r["action"] == "audit.recovered"));
    let intents = records.iter().filter(|r| r["kind"] == "intent").count();
    let outcomes = records.iter().filter(|r| r["kind"] == "outcome").count();
    assert_eq!((intents, outcomes), (200, 200));
    let key = house.log.verifier_key().to_string();
    house.log.close();
    let report = verify(&place.audit_dir(), &key);
    assert!(report.ok, "{report:#?}");
    drop(house);
    assert_eq!(place.open().records().await.len(), records.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_sync_refuses_and_recovers() {
    check_drill(&[DiskAct::Sync]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_write_refuses_and_recovers() {
    check_drill(&[DiskAct::Write]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_of_acts_that_ran_while_the_disk_failed_are_kept() {
    let mut place = Place::new();
    let broken = faulty(&mut place, &[DiskAct::Sync, DiskAct::Write], ErrorKind::Other);
    let house = place.open();
    // Let an act begin, break the disk, let it end.
    struct Slow(Arc<AtomicBool>);
    impl gate::Operation for Slow {
        const ACTION: gate::Action = gate::Action::read("test.slow");
        type Output = ();
        fn target(&self) -> gate::Target {
            gate::Target::Server
        }
        async fn run(self, _: gate::Permit<Self>) -> Result<(), kernel::Problem> {
            self.0.store(true, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(())
        }
    }
    house.call(Slow(Arc::clone(&broken))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(house.log.status().health, Health::Down);
    broken.store(false, Ordering::SeqCst);
    until_up(&house).await;
    let records = house.records().await;
    assert!(records.iter().any(|r| r["kind"] == "outcome" && r["action"] == "test.slow"), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_the_reserve_for_those_who_make_room() {
    let mut place = Place::new();
    let full = faulty(&mut place, &[DiskAct::Allocate], ErrorKind::StorageFull);
    let house = place.open();
    // Until the spare and the reserve are there.
    for _ in 0..200 {
        if place.audit_dir().join("wal/ballast.wal").exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    full.store(true, Ordering::SeqCst);
    let mut refused = None;
    for at in 0..5_000 {
        if let Err(problem) = house.look(&format!("run-{at}")).await {
            refused = Some(problem);
            break;
        }
    }
    let refused = refused.expect("the segments are small: they fill up");
    assert!(refused.message().contains("reserve"), "{}", refused.message());
    assert_eq!(house.log.status().health, Health::Reserve);
    // Reading the log still works, and is recorded.
    let search = audit::ops::Search { room: house.room.clone(), filter: audit::Filter::default(), before: None, limit_count: 1 };
    house.call(search).await.unwrap();
    full.store(false, Ordering::SeqCst);
    // The spare is made within a second; the next record that passes goes there.
    for _ in 0..300 {
        let page = audit::ops::ReadCheckpoint { room: house.room.clone() };
        house.call(page).await.unwrap();
        if house.log.status().health == Health::Up {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    house.look("again").await.unwrap();
    let key = house.log.verifier_key().to_string();
    house.log.close();
    let report = verify(&place.audit_dir(), &key);
    assert!(report.ok, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_that_cannot_be_written_do_not_stop_the_log() {
    let mut place = Place::new();
    let broken = faulty(&mut place, &[DiskAct::Project], ErrorKind::StorageFull);
    let house = place.open();
    house.work(300).await;
    broken.store(true, Ordering::SeqCst);
    house.work(900).await;
    broken.store(false, Ordering::SeqCst);
    house.drained().await;
    assert_eq!(house.records().await.len(), 2_400);
    let report = house.log.verify(&mut |_, _| {}).unwrap();
    assert!(report.ok, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_is_answered_in_bounded_time() {
    let mut place = Place::new();
    let hangs = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&hangs);
    place.config.wait_max = Duration::from_millis(200);
    place.config.disk_fault = Some(Arc::new(move |act| {
        while act == DiskAct::Sync && switch.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }));
    let house = place.open();
    house.look("before").await.unwrap();
    hangs.store(true, Ordering::SeqCst);
    let began = Instant::now();
    for at in 0..10 {
        assert_eq!(house.look(&format!("hung-{at}")).await.unwrap_err().kind(), Kind::Unavailable);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    hangs.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(300)).await;
    house.look("after").await.unwrap();
}
