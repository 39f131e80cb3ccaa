//! What is locked stays, whatever the clocks say.

use super::*;
use crate::ops::lock::{SetHold, SetRetention, TickClock};

#[test]
fn a_retention_ends_when_its_time_is_over_and_not_before() {
    on_both_engines(async |world| {
        world.bucket("one", true).await;
        let wish = world.retained("one", Mode::Compliance, 100).await;
        let version = world.put_wish("one", "k", b"x", wish).await.unwrap().version.version_id;
        for bypass in [false, true] {
            let refused = world.remove(&world.room, "one", "k", Some(&version), bypass).await;
            assert_eq!(code(&refused.problem.unwrap()), Some(Code::AccessDenied));
        }
        world.pass(100);
        assert!(world.remove(&world.room, "one", "k", Some(&version), false).await.problem.is_none());
    });
}

#[test]
fn a_clock_that_is_set_forward_releases_nothing() {
    on_both_engines(async |world| {
        world.bucket("one", true).await;
        let month = 30 * 86_400;
        let wish = world.retained("one", Mode::Compliance, month).await;
        let version = world.put_wish("one", "k", b"x", wish).await.unwrap().version.version_id;
        // While it runs.
        world.gate.clock.advance_secs(10 * month);
        assert!(world.remove(&world.room, "one", "k", Some(&version), true).await.problem.is_some());
        // While it is down, as often as one likes.
        for _ in 0..20 {
            world.gate.clock.advance_secs(10 * month);
            let room = world.restarted();
            assert!(world.remove(&room, "one", "k", Some(&version), true).await.problem.is_some());
            let state = world.call(TickClock { room }).await.unwrap();
            assert!(state.lag_us() > crate::clock::LAG_US_MAX, "it is told");
        }
        // Set back, it releases nothing either, and what runs is served out.
        world.gate.clock.advance_secs(-400 * month);
        let room = world.restarted();
        assert!(world.remove(&room, "one", "k", Some(&version), true).await.problem.is_some());
        world.running.fetch_add(u64::try_from(month).unwrap(), Ordering::SeqCst);
        assert!(world.remove(&room, "one", "k", Some(&version), false).await.problem.is_none());
    });
}

#[test]
fn a_leave_is_for_one_bucket_and_a_wish_without_one_is_refused() {
    on_both_engines(async |world| {
        for name in ["one", "two"] {
            world.bucket(name, true).await;
        }
        let mut wish = world.retained("one", Mode::Governance, 100).await;
        wish.leave.retain = Some(world.retain("two").await);
        assert_eq!(code(&world.put_wish("one", "k", b"x", wish).await.unwrap_err()), Some(Code::AccessDenied));
        let lock = Lock { retention: None, hold: true };
        let without = Wish { lock, ..Wish::default() };
        assert_eq!(code(&world.put_wish("one", "k", b"x", without).await.unwrap_err()), Some(Code::AccessDenied));
        let leave = LockLeave { retain: None, hold: Some(world.hold("one").await) };
        world.put_wish("one", "k", b"x", Wish { lock, leave, ..Wish::default() }).await.unwrap();
        let wish = world.retained("one", Mode::Governance, 100).await;
        let version = world.put_wish("one", "g", b"x", wish).await.unwrap().version.version_id;
        let remove = |bypass| RemoveObjects {
            room: world.room.clone(),
            bucket: "one".to_owned(),
            removals: vec![Removal { key: "g".to_owned(), version_id: Some(version.clone()), ..Removal::default() }],
            bypass: Some(bypass),
        };
        let other = world.call(remove(world.bypass("two").await)).await.unwrap().remove(0);
        assert!(other.problem.is_some());
        let own = world.call(remove(world.bypass("one").await)).await.unwrap().remove(0);
        assert!(own.problem.is_none());
    });
}

#[test]
fn the_database_refuses_what_the_code_might_forget() {
    on_both_engines(async |world| {
        world.bucket("one", true).await;
        let wish = world.retained("one", Mode::Compliance, 1_000).await;
        world.put_wish("one", "k", b"x", wish).await.unwrap();
        for sql in [
            "DELETE FROM bucket_part",
            "DELETE FROM bucket_version",
            "UPDATE bucket_version SET retain_until = retain_until - 1",
            "UPDATE bucket_version SET lock_mode = 'GOVERNANCE'",
            "UPDATE bucket_version SET object_key = 'other'",
            "UPDATE bucket_part SET object_id = 'other'",
            "UPDATE bucket SET lock_enabled = 0",
            "UPDATE bucket SET versioning = 'suspended'",
            "UPDATE compliance_clock SET at = 0",
        ] {
            let changed = world.opened.system.write(move |writer| Ok(writer.execute(sql, &[])?)).await;
            assert!(changed.is_err(), "{sql}");
        }
        let longer = "UPDATE bucket_version SET retain_until = retain_until + 1";
        assert_eq!(world.opened.system.write(move |writer| Ok(writer.execute(longer, &[])?)).await.unwrap(), 1);
    });
}

#[test]
fn holds_and_retentions_are_changed_by_their_own_verbs() {
    on_both_engines(async |world| {
        world.bucket("one", true).await;
        let version = world.put("one", "k", b"x").await.version.version_id;
        let hold = |hold| SetHold {
            room: world.room.clone(),
            bucket: "one".to_owned(),
            key: "k".to_owned(),
            version_id: Some(version.clone()),
            hold,
        };
        world.call(hold(true)).await.unwrap();
        assert!(world.remove(&world.room, "one", "k", Some(&version), true).await.problem.is_some());
        world.call(hold(false)).await.unwrap();
        let retention = world.retained("one", Mode::Compliance, 50).await.lock.retention;
        let set = |retention| SetRetention {
            room: world.room.clone(),
            bucket: "one".to_owned(),
            key: "k".to_owned(),
            version_id: None,
            retention,
            bypass: None,
        };
        world.call(set(retention)).await.unwrap();
        assert_eq!(code(&world.call(set(None)).await.unwrap_err()), Some(Code::AccessDenied));
        assert!(world.remove(&world.room, "one", "k", Some(&version), true).await.problem.is_some());
    });
}

#[test]
fn the_bytes_of_a_small_object_come_and_go_with_its_versions_row() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        world.put("one", "k", b"old").await;
        world.put("one", "k", b"new").await;
        let count = async || {
            let count = |reader: &mut vault::db::Reader<'_>| {
                Ok(reader.query_one("SELECT COUNT(*) FROM small_object", &[], |row| row.int(0))?)
            };
            world.opened.ports.read(count).await.unwrap().unwrap()
        };
        assert_eq!(count().await, 1, "the old ones went with the row that named them");
        for sql in ["DELETE FROM small_object", "UPDATE small_object SET sealed = sealed"] {
            let changed = world.opened.system.write(move |writer| Ok(writer.execute(sql, &[])?)).await;
            assert!(changed.is_err(), "{sql}");
        }
        assert_eq!(world.get("one", "k", None).await.unwrap().1, b"new");
        assert!(world.remove(&world.room, "one", "k", None, false).await.problem.is_none());
        assert_eq!(count().await, 0);
    });
}

#[test]
fn what_a_retained_model_is_made_of_stays_in_its_bucket() {
    on_both_engines(async |world| {
        world.bucket("one", false).await;
        for key in ["art/model/a.bin", "art/model", "art/model-beside"] {
            world.put("one", key, b"weights").await;
        }
        let rules = "[[rule]]\nname = \"all\"\nkind = \"model\"\nmode = \"COMPLIANCE\"\ndays = 1";
        let rules = retention::Rules::parse(rules, world.room.clock.clone()).unwrap();
        let keep = move |writer: &mut vault::db::Writer<'_>| {
            let none = crate::objects_below(writer, "another", "s3://one/art/model")?;
            let objects = crate::objects_below(writer, TEST_WORKSPACE, "s3://one/art/model/")?;
            let subject = retention::Subject {
                kind: retention::Kind::Model,
                id: "m/1",
                name: "m",
                shown: "m/1",
                workspace: TEST_WORKSPACE,
                classes: &[],
                objects: &objects,
            };
            rules.keep(writer, &subject, kernel::Micros(0))?;
            Ok((none.len(), objects.len()))
        };
        assert_eq!(world.opened.system.write(keep).await.unwrap(), (0, 2));
        for key in ["art/model/a.bin", "art/model"] {
            let problem = world.put_wish("one", key, b"other", Wish::default()).await.unwrap_err();
            assert_eq!(code(&problem), Some(Code::AccessDenied));
            let removed = world.remove(&world.room, "one", key, None, false).await;
            assert_eq!(code(&removed.problem.unwrap()), Some(Code::AccessDenied));
            assert_eq!(world.get("one", key, None).await.unwrap().1, b"weights");
        }
        assert!(world.remove(&world.room, "one", "art/model-beside", None, false).await.problem.is_none());
        let sql = "DELETE FROM bucket_part";
        assert!(world.opened.system.write(move |writer| Ok(writer.execute(sql, &[])?)).await.is_err());
    });
}
