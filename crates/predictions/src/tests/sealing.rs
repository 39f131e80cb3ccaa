//! From the journal into batches, whatever happens on the way.

use kernel::Kind;

use super::support::*;
use crate::ops::{CountPredictions, Expire, Wish};
use crate::{LogPolicy, PredictionsConfig};

impl World {
    /// Predictions and rows in batches.
    async fn counted(&self) -> Vec<(String, i64, i64)> {
        let counts = self.call(CountPredictions { room: self.room.clone(), wish: Wish::default() }).await.unwrap();
        counts.into_iter().map(|count| (count.endpoint, count.request_count, count.row_count)).collect()
    }
}

#[test]
fn what_was_answered_is_sealed_after_the_process_was_killed() {
    on_both_engines(PredictionsConfig::default(), |mut world| async move {
        world.keep(Some(LogPolicy::Values)).await;
        let mut ids = Vec::new();
        for age in [1.0, 2.0, 3.0] {
            ids.push(world.asked(age, None).await);
        }
        world.restart().await;
        world.ask(&[4.0, 5.0], None).await.unwrap();
        assert_eq!(world.seal().await, 2, "a batch for each segment");
        assert_eq!(world.counted().await, [(ENDPOINT.to_owned(), 4, 5)]);
        assert_eq!(world.seal().await, 0);
        for (id, age) in ids.iter().zip(["1.0", "2.0", "3.0"]) {
            let spoken = world.show(id).await.unwrap().spoken.unwrap();
            let row = serde_json::Value::Object(spoken.row(0)).to_string();
            assert!(row.contains(&format!("\"input_age\":{age}")) && row.contains("5.0"), "{row}");
        }
    });
}

#[test]
fn a_segment_that_comes_back_is_not_sealed_twice() {
    on_both_engines(PredictionsConfig::default(), |mut world| async move {
        world.asked(1.0, None).await;
        let folder = world.journal_folder();
        let files = || std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
        let [segment]: [std::path::PathBuf; 1] = files().try_into().unwrap();
        let bytes = std::fs::read(&segment).unwrap();
        assert_eq!(world.seal().await, 1);
        assert!(files().is_empty());
        // As a crash leaves it that came after the commit and before the file was deleted.
        std::fs::write(&segment, bytes).unwrap();
        world.restart().await;
        world.seal().await;
        assert_eq!(world.counted().await, [(ENDPOINT.to_owned(), 1, 1)]);
        assert!(files().is_empty());
    });
}

#[test]
fn what_cannot_be_logged_is_not_answered() {
    on_both_engines(PredictionsConfig { pending_bytes_max: 600, ..PredictionsConfig::default() }, |world| async move {
        world.asked(1.0, None).await;
        refused(world.ask(&[2.0], None).await, Kind::Unavailable, "nothing was answered");
        world.seal().await;
        world.asked(3.0, None).await;
        world.keep(Some(LogPolicy::Off)).await;
        world.asked(4.0, None).await;
        world.seal().await;
        assert_eq!(world.counted().await, [(ENDPOINT.to_owned(), 2, 2)]);
    });
}

#[test]
fn batches_go_when_their_time_is_over() {
    on_both_engines(PredictionsConfig { keep_days: 30, ..PredictionsConfig::default() }, |world| async move {
        let old = world.asked(1.0, None).await;
        world.seal().await;
        world.gate.clock.advance_secs(20 * 86_400);
        let new = world.asked(2.0, None).await;
        world.seal().await;
        world.gate.clock.advance_secs(11 * 86_400);
        let expired = world.call(Expire { room: world.room.clone() }).await.unwrap();
        assert_eq!((expired.batch_count, expired.request_count), (1, 1));
        refused(world.find(&old).await, Kind::NotFound, "its time is over");
        assert_eq!(world.find(&new).await.unwrap().record.id, new);
        assert!(world.gate.recorded().iter().any(|record| record.contains("predictions.expire") && record.contains("batches=1")));
    });
}
