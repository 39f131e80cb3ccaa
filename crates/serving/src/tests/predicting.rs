//! One request, from the quota to the record.

use kernel::Kind;
use runtime::{Batch, Values};

use super::support::*;
use crate::ServingConfig;
use crate::ops::Predict;

#[test]
fn a_prediction_has_an_id_that_its_record_names_with_the_model() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let number = world.admitted(5).await;
        world.endpoint(&number.to_string()).await.unwrap();
        let prediction = world.ask(3).await.unwrap();
        assert_eq!(prediction.row_count, 3);
        let records = world.gate.records.lock().join("\n");
        let manifest = kernel::hex(&prediction.model.manifest_sha256);
        assert!(records.contains(&prediction.id) && records.contains(&manifest), "{records}");
    });
}

#[test]
fn quota_rows_shape_and_version_are_checked_before_anything_computes() {
    let config = ServingConfig { requests_at_once: 4, requests_per_second: 1, rows_max: 10, ..ServingConfig::default() };
    on_both_engines(config, |world| async move {
        let number = world.admitted(5).await;
        world.endpoint(&number.to_string()).await.unwrap();
        refused(world.ask(11).await, Kind::TooLarge, "10 rows");
        let wide = Batch::matrix(1, 2, Values::F64(vec![0.0; 2])).unwrap();
        let ask = |batch: Batch, version: Option<&str>| Predict {
            room: world.room.clone(),
            endpoint: ENDPOINT.to_owned(),
            version: version.map(str::to_owned),
            batch,
            subject: None,
        };
        refused(world.call(ask(wide, None)).await, Kind::Invalid, "does not fit");
        let narrow = Batch::matrix(1, 1, Values::F64(vec![0.0])).unwrap();
        refused(world.call(ask(narrow, Some("77"))).await, Kind::NotFound, "answers here");
        world.ask(1).await.unwrap();
        refused(world.ask(1).await, Kind::TooMany, "quota");
        world.gate.clock.advance_secs(1);
        world.ask(1).await.unwrap();
    });
}

#[test]
fn large_batches_compute_too() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let number = world.admitted(5).await;
        world.endpoint(&number.to_string()).await.unwrap();
        assert_eq!(world.ask(9_000).await.unwrap().outputs.value().unwrap().values(), &Values::F64(vec![5.0; 9_000]));
    });
}
