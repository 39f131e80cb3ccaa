//! Receivers that are slow or gone cost themselves time, and nobody else.

use futures_util::future::{Either, select};
use kernel::Clock;
use testkit::on_both_engines;

use super::alerts::drifted;
use super::support::{GONE, SILENT, World};
use crate::News;
use crate::store::news;

#[test]
fn a_receiver_that_cannot_be_reached_is_tried_once_a_round() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        *world.outside.status.lock() = GONE;
        drifted(&world).await;
        let id = world.alerts().await[0].id.clone();
        let (at, targets) = (world.gate.clock.now(), ["alertmanager/0".to_owned()]);
        let add = move |writer: &mut vault::db::Writer<'_>| Ok(news::add(writer, &targets, &id, News::Resolved, at)?);
        world.opened.system.write(add).await.unwrap();
        let sent = || world.outside.sent.lock().len();
        assert_eq!(sent(), 1);
        world.later(1);
        world.send("alertmanager/0").await;
        assert_eq!(sent(), 2, "two messages wait");
        *world.outside.status.lock() = 200;
        for _ in 0..2 {
            world.later(60);
            world.send("alertmanager/0").await;
            assert_eq!(sent(), 4, "both were taken, once");
        }
    });
}

#[test]
fn a_receiver_that_never_answers_keeps_neither_others_nor_the_next_look_waiting() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        *world.outside.status.lock() = 503;
        drifted(&world).await;
        *world.outside.status.lock() = SILENT;
        world.later(1);
        let silent = Box::pin(world.send("alertmanager/0"));
        let others = Box::pin(async {
            world.send("mail/0").await;
            world.look().await;
        });
        assert!(matches!(select(silent, others).await, Either::Right(_)));
        assert_eq!((world.outside.sent.lock().len(), world.outside.mailed.lock().len()), (2, 2), "each was asked again");
    });
}
