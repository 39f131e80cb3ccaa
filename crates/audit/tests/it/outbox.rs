//! The outbox: each committed outcome is in the log exactly once, whatever happens between.

use audit::{AuditError, database_rows};
use vault::db::{Bind, Location, OutboxRow};

use crate::common::{House, Place, config};

/// Puts rows back into the outbox, as a crash before their deletion leaves them.
async fn put_back(house: &House, rows: Vec<(String, Vec<u8>)>) {
    house
        .system
        .write(move |writer| {
            for (event_id, payload) in &rows {
                writer.execute(
                    "INSERT INTO audit_outbox (event_id, payload) VALUES ($1, $2)",
                    &[Bind::from(event_id), Bind::from(payload)],
                )?;
            }
            Ok(())
        })
        .await
        .unwrap();
}

/// Rows as they lie in the outbox for a moment, of a log that then went on to its end.
async fn sealed_rows(place: &Place) -> Vec<OutboxRow> {
    let house = place.open();
    let mut seen = std::collections::BTreeMap::new();
    for at in 0..20 {
        house.change(&format!("run-{at}")).await.unwrap();
        let system = house.system.clone();
        let rows = tokio::task::spawn_blocking(move || database_rows(&system).unwrap().outbox).await.unwrap();
        seen.extend(rows.into_iter().map(|row| (row.id, row)));
    }
    house.drained().await;
    house.log.close();
    seen.into_values().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_logged_already_are_not_logged_again() {
    let place = Place::new();
    let rows = sealed_rows(&place).await;
    assert!(!rows.is_empty(), "rows stay for a moment after they are logged");
    let house = place.open();
    let before = house.records().await.len();
    put_back(&house, rows.iter().map(|row| (row.event_id.clone(), row.payload.clone())).collect()).await;
    house.log.close();
    drop(house);
    let house = place.open();
    house.drained().await;
    assert_eq!(house.records().await.len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_not_logged_are_logged_once() {
    let place = Place::new();
    let rows = sealed_rows(&place).await;
    let other = Place::new();
    let house = other.open();
    put_back(&house, rows.iter().map(|row| (row.event_id.clone(), row.payload.clone())).collect()).await;
    house.log.close();
    drop(house);
    let house = other.open();
    house.drained().await;
    assert_eq!(house.records().await.len(), rows.len());
    drop(house);
    assert_eq!(other.open().records().await.len(), rows.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_stops_the_start_and_is_found() {
    let place = Place::new();
    let rows = sealed_rows(&place).await;
    let other = Place::new();
    let house = other.open();
    house.log.flush().await.unwrap();
    let mut payload = rows[0].payload.clone();
    payload[20] ^= 1;
    put_back(&house, vec![(rows[0].event_id.clone(), payload)]).await;
    let report = house.log.verify(&mut |_, _| {}).unwrap();
    assert!(!report.ok && report.faults[0].place == "audit_outbox", "{report:#?}");
    house.log.close();
    drop(house);
    let refused = other.try_open().map(drop).unwrap_err();
    assert!(matches!(&refused, AuditError::Mismatch(what) if what.contains("audit_outbox")), "{refused}");
    let mut accepting = other.config.clone();
    accepting.on_mismatch = audit::OnMismatch::Accept;
    let house = House::open(accepting, other.database()).unwrap();
    house.drained().await;
    let records = house.records().await;
    assert!(records.iter().any(|r| r["action"] == "audit.forged"), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_way_works_on_postgresql() {
    let Some(url) = testkit::fresh_postgres("audit") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&folder.path().join("audit"));
    config.origin = format!("test.example/{}", kernel::random_id());
    let location = Location::Postgres { url: kernel::Secret::from(url), ca: None };
    for round in 1..=2 {
        let house = House::open(config.clone(), vault::db::open(&location).unwrap()).unwrap();
        house.work(200).await;
        house.log.flush().await.unwrap();
        for _ in 0..200 {
            if house.log.status().size >= round * 400 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        house.log.close();
        assert_eq!(house.log.status().size, round * 400);
    }
}
