//! One request, from the quota to the record.

use std::sync::Arc;

use gate::BoxFuture;
use kernel::{Kind, Problem};
use runtime::{Batch, Values};

use super::support::*;
use crate::ops::Predict;
use crate::{Asked, Draft, Made, PredictionLog, Serving, ServingConfig};

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
            routing_key: None,
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

/// A log that keeps what it is told to, or nothing.
struct Log {
    keeps: bool,
}

struct Page {
    keeps: bool,
}

impl PredictionLog for Log {
    fn begin<'a>(&'a self, asked: Asked<'a>) -> BoxFuture<'a, Result<Option<Box<dyn Draft>>, Problem>> {
        assert_eq!((asked.endpoint, asked.subject, asked.batch.rows()), (ENDPOINT, Some("ann"), 1));
        let page = Page { keeps: self.keeps };
        Box::pin(async move { Ok(Some(Box::new(page) as Box<dyn Draft>)) })
    }
}

impl Draft for Page {
    fn keep(self: Box<Self>, made: &Made<'_>) -> Result<[u8; 32], Problem> {
        assert!(crate::made_at(made.id).is_some() && made.outputs.value().is_some());
        if self.keeps { Ok([7; 32]) } else { Err(Problem::unavailable("the log is full")) }
    }
}

#[test]
fn what_cannot_be_logged_is_not_answered_and_what_is_logged_is_recorded() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let number = world.admitted(5).await;
        world.endpoint(&number.to_string()).await.unwrap();
        for keeps in [false, true] {
            let inner = &world.room.0;
            let room = Serving::logged(
                inner.db.clone(),
                inner.admission.clone(),
                inner.artifacts.clone(),
                Arc::clone(&inner.clock),
                ServingConfig::default(),
                Some(Arc::new(Log { keeps })),
            );
            let batch = Batch::matrix(1, 1, Values::F64(vec![0.0])).unwrap();
            let (endpoint, subject) = (ENDPOINT.to_owned(), Some("ann".to_owned()));
            let answer = world.call(Predict { room, endpoint, version: None, routing_key: None, batch, subject }).await;
            let records = world.gate.records.lock().join("\n");
            if keeps {
                assert!(records.contains(&answer.unwrap().id) && records.contains(&"07".repeat(32)), "{records}");
            } else {
                refused(answer, Kind::Unavailable, "full");
                assert!(!records.contains("prediction="), "{records}");
            }
        }
    });
}
