//! A log that does not fit together does not start.

use audit::{AuditError, OnMismatch};
use vault::db::Location;

use crate::common::{House, Place, copy};

async fn grown(place: &Place) {
    let house = place.open();
    house.work(300).await;
    house.drained().await;
    house.log.close();
}

fn refused(place: &Place) -> String {
    match place.try_open() {
        Err(error @ AuditError::Mismatch(_)) => error.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it started"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_put_back_to_an_earlier_state_does_not_start() {
    let place = Place::new();
    grown(&place).await;
    let before = tempfile::tempdir().unwrap();
    copy(&place.audit_dir(), before.path());
    grown(&place).await;
    std::fs::remove_dir_all(place.audit_dir()).unwrap();
    copy(before.path(), &place.audit_dir());
    let text = refused(&place);
    assert!(text.contains("covers 1200 records") && text.contains("audit verify"), "{text}");
    let mut accepting = place.config.clone();
    accepting.on_mismatch = OnMismatch::Accept;
    let house = House::open(accepting, place.database()).unwrap();
    house.look("after").await.unwrap();
    assert!(house.records().await.iter().any(|r| r["action"] == "audit.accepted"));
    house.log.close();
    assert_eq!(house.log.status().size, 603);
    drop(house);
    let again = place.open();
    assert_eq!(again.records().await.len(), 603, "from then on it starts as usual");
    assert!(again.log.verify(&mut |_, _| {}).unwrap().ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_put_back_to_an_earlier_state_does_not_start() {
    let place = Place::new();
    grown(&place).await;
    let before = tempfile::tempdir().unwrap();
    copy(place.folder.path(), before.path());
    grown(&place).await;
    // The newer folder beside the older database.
    std::fs::remove_dir_all(before.path().join("audit")).unwrap();
    copy(&place.audit_dir(), &before.path().join("audit"));
    let mut config = place.config.clone();
    config.dir = before.path().join("audit");
    let database = vault::db::open(&Location::Sqlite(before.path().join("main.db"))).unwrap();
    let error = House::open(config, database).map(drop).unwrap_err().to_string();
    assert!(error.contains("the database is older"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_its_database_or_its_checkpoint_does_not_start() {
    let place = Place::new();
    grown(&place).await;
    let other = tempfile::tempdir().unwrap();
    let fresh = vault::db::open(&Location::Sqlite(other.path().join("main.db"))).unwrap();
    let error = House::open(place.config.clone(), fresh).map(drop).unwrap_err().to_string();
    assert!(error.contains("the database knows of none"), "{error}");
    // A damaged checkpoint file is not overwritten in silence.
    let path = place.audit_dir().join("log/checkpoint");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    refused(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_record_in_a_segment_does_not_start() {
    let place = Place::new();
    grown(&place).await;
    let mut segments: Vec<_> = std::fs::read_dir(place.audit_dir().join("wal")).unwrap().map(|e| e.unwrap().path()).collect();
    segments.retain(|path| path.to_string_lossy().contains("seg-"));
    segments.sort();
    let path = segments.last().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[200] ^= 1;
    std::fs::write(path, bytes).unwrap();
    refused(&place);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_log_is_kept_out() {
    let place = Place::new();
    let house = place.open();
    let error = place.try_open().map(drop).unwrap_err();
    assert!(error.to_string().contains("another server"), "{error}");
    // The same database under another folder: the checkpoint row can be swapped by one only.
    house.work(10).await;
    house.drained().await;
    for _ in 0..2 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        house.log.flush().await.unwrap();
    }
    let stolen = tempfile::tempdir().unwrap();
    copy(&place.audit_dir(), &stolen.path().join("audit"));
    let mut config = place.config.clone();
    config.dir = stolen.path().join("audit");
    let twin = House::open(config, place.database()).unwrap();
    twin.work(10).await;
    twin.log.flush().await.unwrap();
    house.work(20).await;
    for _ in 0..200 {
        if house.log.status().health == audit::Health::Fenced {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(house.log.status().health, audit::Health::Fenced);
    assert!(house.look("x").await.unwrap_err().message().contains("not this server's"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_is_quick() {
    let place = Place::new();
    grown(&place).await;
    let database = place.database();
    let began = std::time::Instant::now();
    let house = House::open(place.config.clone(), database).unwrap();
    // Generous: this build is not optimised and the machine may be busy.
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    drop(house);
}
