//! Whom predictions concern, and how they are forgotten.

use kernel::Kind;

use super::support::*;
use crate::ops::{EraseSubject, FindSubject, ListErasures, ProveErasure, QueryPredictions, Wish};
use crate::{LogPolicy, PredictionsConfig, Runner, SEALER};

impl World {
    async fn erase(&self, subject: &str) -> Result<String, kernel::Problem> {
        let erase = EraseSubject { room: self.room.clone(), subject: subject.to_owned() };
        Ok(self.call(erase).await?.subject_id)
    }
}

#[test]
fn what_is_erased_opens_no_more_and_everything_else_does() {
    on_both_engines(PredictionsConfig::default(), |mut world| async move {
        world.keep(Some(LogPolicy::Values)).await;
        let ann = world.asked(41.0, Some("ann")).await;
        let again = world.asked(42.0, Some("ann")).await;
        let bob = world.asked(43.0, Some("bob")).await;
        let nobody = world.asked(44.0, None).await;
        world.seal().await;
        for id in [&ann, &again, &bob, &nobody] {
            assert!(world.show(id).await.unwrap().spoken.is_some());
        }
        let before = world.find(&ann).await.unwrap().record.subject.unwrap();
        assert_eq!(Some(&before), world.find(&again).await.unwrap().record.subject.as_ref());
        assert_eq!(world.erase("ann").await.unwrap(), before);
        for _ in 0..2 {
            for (id, erased) in [(&ann, true), (&again, true), (&bob, false), (&nobody, false)] {
                let shown = world.show(id).await.unwrap();
                assert_eq!((shown.is_erased, shown.spoken.is_none()), (erased, erased), "{id}");
            }
            world.restart().await;
        }
        refused(world.erase("ann").await, Kind::NotFound, "nothing is kept");
        // Who comes back is somebody new.
        let later = world.asked(45.0, Some("ann")).await;
        world.seal().await;
        let shown = world.show(&later).await.unwrap();
        assert!(shown.spoken.is_some() && shown.found.record.subject.unwrap() != before);
    });
}

impl World {
    /// In how many batches subjects are known to stand.
    async fn about_count(&self) -> i64 {
        let sql = "SELECT COUNT(*) FROM prediction_about";
        let read = |reader: &mut vault::db::Reader<'_>| Ok(reader.query_one(sql, &[], |row| row.int(0))?);
        self.system().read(read).await.unwrap().unwrap()
    }
}

#[test]
fn what_an_erasure_takes_is_told_before_it_is_done_and_kept_behind_it() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        world.keep(Some(LogPolicy::Values)).await;
        world.asked(41.0, Some("ann")).await;
        world.ask(&[42.0, 43.0], Some("ann")).await.unwrap();
        world.asked(44.0, Some("bob")).await;
        world.asked(45.0, None).await;
        world.seal().await;
        let find = |subject: &str| FindSubject { room: world.room.clone(), subject: subject.to_owned() };
        let held = world.call(find("ann")).await.unwrap();
        assert_eq!((held.request_count, held.uncounted_batch_count), (2, 0));
        let counts: Vec<_> = held.counts.iter().map(|one| (one.endpoint.as_str(), one.request_count, one.row_count)).collect();
        assert_eq!(counts, [(ENDPOINT, 2, 3)]);
        refused(world.call(find("carl")).await, Kind::NotFound, "nothing is kept");
        for wrong in ["", &"x".repeat(257)] {
            refused(world.call(find(wrong)).await, Kind::Invalid, "from 1 to 256");
            refused(world.erase(wrong).await, Kind::Invalid, "from 1 to 256");
        }
        // What was sealed before subjects were counted is said, and not taken for nothing.
        world.sql("UPDATE prediction_batch SET subjects_counted = 0", &[]).await;
        assert_eq!(world.call(find("bob")).await.unwrap().uncounted_batch_count, 1);

        let list = |after: Option<String>| ListErasures { room: world.room.clone(), after, rows: Some(1) };
        assert!(world.call(list(None)).await.unwrap().rows.is_empty());
        let ann = world.erase("ann").await.unwrap();
        assert_eq!(ann, held.subject_id);
        refused(world.call(find("ann")).await, Kind::NotFound, "nothing is kept");
        assert_eq!(world.about_count().await, 1, "nothing tells any more where an erased subject stood");
        world.gate.clock.advance_secs(1);
        let bob = world.erase("bob").await.unwrap();
        let first = world.call(list(None)).await.unwrap();
        assert_eq!((first.rows[0].subject_id.as_str(), first.rows[0].request_count), (bob.as_str(), 1));
        let second = world.call(list(first.next)).await.unwrap();
        assert_eq!((second.rows[0].subject_id.as_str(), second.rows[0].request_count, second.next), (ann.as_str(), 2, None));
        let unknown = ProveErasure { room: world.room.clone(), entry: "none".to_owned() };
        refused(world.call(unknown).await, Kind::NotFound, "no such erasure");
        refused(world.call(list(Some("x".to_owned()))).await, Kind::Invalid, "`after`");
    });
}

#[test]
fn where_a_subject_stands_goes_with_the_batch_and_comes_for_nobody_who_was_erased() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        world.asked(41.0, Some("ann")).await;
        world.seal().await;
        assert_eq!(world.about_count().await, 1);
        world.sql("DELETE FROM prediction_batch", &[]).await;
        assert_eq!(world.about_count().await, 0);
        world.asked(42.0, Some("ann")).await;
        world.asked(43.0, Some("bob")).await;
        // Another server erases ann, before this one seals.
        world
            .sql("DELETE FROM prediction_subject WHERE created_at = (SELECT MIN(created_at) FROM prediction_subject)", &[])
            .await;
        world.seal().await;
        assert_eq!(world.about_count().await, 1, "of bob alone");
    });
}

#[test]
fn what_waits_to_be_sealed_is_erased_too() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        world.keep(Some(LogPolicy::Values)).await;
        let ann = world.asked(41.0, Some("ann")).await;
        // As another server on the same database does it.
        world.sql("DELETE FROM prediction_subject", &[]).await;
        world.seal().await;
        assert!(world.show(&ann).await.unwrap().is_erased);
    });
}

#[test]
fn an_erasure_counts_what_was_asked_a_moment_before() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        world.keep(Some(LogPolicy::Values)).await;
        let first = world.asked(41.0, Some("ann")).await;
        world.asked(42.0, Some("ann")).await;
        // A server's runner looks again in a minute, unless it is woken.
        let runner = Runner::new(world.room.clone(), world.gate.gate.clone(), world.gate.job_key.pass(SEALER));
        tokio::select! {
            () = runner.run() => panic!("the runner does not end"),
            erased = world.erase("ann") => erased.unwrap(),
        };
        let list = ListErasures { room: world.room.clone(), after: None, rows: None };
        assert_eq!(world.call(list).await.unwrap().rows[0].request_count, 2);
        assert!(world.show(&first).await.unwrap().is_erased);
    });
}

#[test]
fn a_subject_is_kept_under_no_name_and_its_hashes_mean_nothing_without_its_key() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        let ann = world.asked(41.0, Some("ann-of-green-gables")).await;
        let bob = world.asked(41.0, Some("bob")).await;
        let nobody = world.asked(41.0, None).await;
        let same = world.asked(41.0, None).await;
        world.seal().await;
        let mut hashes = Vec::new();
        for id in [&ann, &bob, &nobody, &same] {
            let record = world.find(id).await.unwrap().record;
            assert_eq!(record.log, "hashes");
            hashes.push(record.inputs_hmac.unwrap());
        }
        assert_eq!(hashes[2], hashes[3], "the same is recognised");
        assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2]);
        let rows = world.system().read(|reader| {
            let sql = "SELECT subject_id, tag, wrapped_key FROM prediction_subject";
            Ok(reader.query(sql, &[], |row| Ok([row.text(0)?.into_bytes(), row.bytes(1)?, row.bytes(2)?].concat()))?)
        });
        let rows = rows.await.unwrap();
        assert_eq!(rows.len(), 2);
        assert!(!rows.iter().any(|row| row.windows(3).any(|window| window == b"ann")));
    });
}

#[test]
fn queries_see_what_is_kept_and_no_more() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        let query =
            |wish: Wish| QueryPredictions { room: world.room.clone(), wish, sql: "SELECT 1".to_owned(), row_count_max: 10 };
        refused(world.call(query(Wish::default())).await, Kind::NotFound, "no predictions");
        world.asked(40.0, None).await;
        world.keep(Some(LogPolicy::Values)).await;
        world.ask(&[41.0, 42.0], Some("ann")).await.unwrap();
        let bob = world.asked(43.0, Some("bob")).await;
        world.seal().await;
        world.erase("ann").await.unwrap();
        world.call(query(Wish::default())).await.unwrap();
        let text = String::from_utf8(world.log.lock().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut seen: Vec<(String, Option<f64>)> =
            lines.iter().map(|line| (line["kept"].as_str().unwrap().to_owned(), line["input_age"].as_f64())).collect();
        seen.sort_by(|one, other| one.0.cmp(&other.0));
        let seen: Vec<(&str, Option<f64>)> = seen.iter().map(|(kept, age)| (kept.as_str(), *age)).collect();
        assert_eq!(seen, [("erased", None), ("hashes", None), ("values", Some(43.0))]);
        assert!(lines.iter().any(|line| line["id"] == bob.as_str() && line["made_at"].as_str().unwrap().ends_with('Z')));
        let wish = Wish { endpoint: Some("other".to_owned()), ..Wish::default() };
        refused(world.call(query(wish)).await, Kind::NotFound, "no predictions");
    });
}
