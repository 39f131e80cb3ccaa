//! What waits, goes, fails and is gathered.

use std::sync::Arc;

use testkit::gate::TEST_CALLER;
use testkit::on_both_engines;

use super::support::{World, mailer, room};
use crate::limits::WAITING_COUNT_MAX;
use crate::ops::{OwnMail, SetAddress, SetKey, TestMail};
use crate::{Address, AddressSource, Kind};

fn set(world: &World, user: &str, address: Option<&str>) -> SetAddress {
    SetAddress { room: world.room.clone(), user: user.to_owned(), address: address.map(str::to_owned) }
}

#[test]
fn what_was_recorded_is_told_once_to_whom_it_concerns() {
    on_both_engines("mail_told", async |engine| {
        let world = World::new(engine).await;
        world.record("factors.add_passkey", "ada", "before");
        world.round().await;
        assert!(world.carried().is_empty(), "what was there before mail was is not told");
        world.call(set(&world, "ada", Some("ada@example.com"))).await.unwrap();
        world.record("factors.add_passkey", "ada", "pk_1");
        world.record("devices.enrol", "nobody", "d_1");
        world.record("users.reset_factors", "ada", "bob");
        world.record("elevations.break_glass", "bob", "ew_1");
        world.round().await;
        world.round().await;
        let mut to: Vec<String> = world.carried().into_iter().map(|one| one.0).collect();
        to.sort();
        assert_eq!(to, ["ada@example.com", "bob@directory.example", "security@example.com"]);
        // A log that is read again, as after a restore, tells nothing twice.
        world.opened.system.write(|writer| Ok(writer.execute("UPDATE mail_position SET next_index = 0", &[])?)).await.unwrap();
        world.later(3_600);
        let before = world.list(true).await.len();
        world.round().await;
        assert_eq!(world.list(true).await.len(), before + 1, "only what was never told");
    });
}

#[test]
fn the_first_goes_at_once_and_what_follows_is_one_mail() {
    on_both_engines("mail_digest", async |engine| {
        let world = World::new(engine).await;
        world.round().await;
        world.record("users.set_password", "ada", "bob");
        world.round().await;
        assert_eq!(world.carried().len(), 1);
        for number in 0..30 {
            world.record("devices.enrol", "bob", &format!("d_{number}"));
        }
        world.later(60);
        world.round().await;
        assert!(world.carried().is_empty(), "within the window nothing more is sent");
        assert_eq!(world.list(false).await.len(), 30);
        world.later(15 * 60);
        world.round().await;
        let carried = world.carried();
        assert_eq!(carried.len(), 1);
        assert!(carried[0].1.contains("Subject: Strongroom: 30 notices\r\n"), "{}", carried[0].1);
        assert!(!carried[0].1.contains("d_1"), "minimal content names no resource");
        assert!(world.list(false).await.is_empty());
    });
}

#[test]
fn what_cannot_be_sent_waits_longer_each_time_is_shown_and_given_up_at_last() {
    on_both_engines("mail_fault", async |engine| {
        let world = World::new(engine).await;
        world.round().await;
        *world.carrier.fault.lock() = Some("STARTTLS is not supported\r\nX: y".to_owned());
        world.record("users.set_password", "ada", "bob");
        world.round().await;
        let one = world.list(false).await.remove(0);
        assert_eq!((one.to.as_str(), one.state.as_str(), one.attempts), ("bob", "waiting", 1));
        assert_eq!(one.fault.as_deref(), Some("STARTTLS is not supported  X: y"));
        let mut waits = Vec::new();
        for _ in 0..9 {
            let next_at = world.list(false).await[0].next_at.unwrap();
            let wait = (next_at.0 - kernel::Clock::now(&world.gate.clock).0) / 1_000_000;
            waits.push(wait);
            world.later(wait - 1);
            world.round().await;
            assert_eq!(world.list(false).await[0].next_at.unwrap(), next_at, "not before its time");
            world.later(1);
            world.round().await;
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        // The server is back: nothing was lost.
        *world.carrier.fault.lock() = None;
        world.later(3_600);
        world.round().await;
        assert_eq!(world.carried().len(), 1);
        assert!(world.list(false).await.is_empty());
        // And gone for good.
        *world.carrier.fault.lock() = Some("connection refused".to_owned());
        world.record("users.set_password", "ada", "bob");
        world.later(3_600);
        world.round().await;
        world.later(73 * 3_600);
        world.round().await;
        let one = world.list(false).await.remove(0);
        assert_eq!((one.state.as_str(), one.fault.as_deref()), ("failed", Some("connection refused")));
        *world.carrier.fault.lock() = None;
        world.later(3_600);
        world.round().await;
        assert!(world.carried().is_empty(), "what was given up is not sent");
    });
}

#[test]
fn of_several_servers_one_sends() {
    on_both_engines("mail_lease", async |engine| {
        let world = World::new(engine).await;
        world.round().await;
        let others: Vec<_> = (0..3).map(|_| mailer(&room(&world.opened, &world.carrier), &world.gate, &world.log)).collect();
        for number in 0..5 {
            world.record("devices.enrol", "bob", &format!("d_{number}"));
            world.later(3_600);
            let (a, b, c, d) = tokio::join!(world.mailer.round(), others[0].round(), others[1].round(), others[2].round());
            for result in [a, b, c, d] {
                result.unwrap();
            }
        }
        world.later(3_600);
        world.round().await;
        let events: Vec<String> = world
            .carried()
            .iter()
            .flat_map(|(_, mail)| mail.lines().filter(|line| line.contains("Event: ")).map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let mut once = events.clone();
        once.sort();
        once.dedup();
        assert_eq!((events.len(), once.len()), (5, 5), "{events:?}");
        // A lease that nobody gave back, because its process was killed, ends.
        world.record("devices.enrol", "bob", "d_x");
        let now = kernel::Clock::now(&world.gate.clock).0;
        let hold = move |writer: &mut vault::db::Writer<'_>| {
            let sql = "UPDATE mail_recipient SET leased_by = 'dead', leased_until = $1, next_at = 0";
            Ok(writer.execute(sql, &[(now + 60_000_000).into()])?)
        };
        world.opened.system.write(hold).await.unwrap();
        world.round().await;
        assert!(world.carried().is_empty());
        world.later(60);
        world.round().await;
        assert_eq!(world.carried().len(), 1);
    });
}

#[test]
fn a_flood_is_counted_and_not_kept() {
    on_both_engines("mail_flood", async |engine| {
        let world = World::new(engine).await;
        world.round().await;
        *world.carrier.fault.lock() = Some("down".to_owned());
        let to = Address::parse("on-call@example.com").unwrap();
        let at = kernel::Clock::now(&world.gate.clock);
        for number in 0..WAITING_COUNT_MAX + 7 {
            let of = number.to_string();
            world.room.tell_address(&to, &of, (Kind::AlertOpened, &of, "x"), at).await.unwrap();
        }
        *world.carrier.fault.lock() = None;
        world.round().await;
        let carried = world.carried();
        assert_eq!(carried.len(), 1);
        assert!(carried[0].1.contains("Subject: Strongroom: 507 notices"), "{}", &carried[0].1[..600]);
        assert!(carried[0].1.contains("And 457 more"));
    });
}

#[test]
fn an_administrators_word_goes_before_a_directorys_and_that_before_a_providers() {
    on_both_engines("mail_address", async |engine| {
        let world = World::new(engine).await;
        let own = async || {
            let shown = world.call(OwnMail { room: world.room.clone() }).await.unwrap();
            shown.address
        };
        assert_eq!(own().await, None);
        let at = kernel::Clock::now(&world.gate.clock);
        world.room.learn_address(TEST_CALLER, "me@provider.example", at).await.unwrap();
        assert_eq!(own().await, Some(("me@provider.example".to_owned(), AddressSource::Provider)));
        world.call(set(&world, TEST_CALLER, Some("me@example.com"))).await.unwrap();
        world.room.learn_address(TEST_CALLER, "other@provider.example", at).await.unwrap();
        assert_eq!(own().await, Some(("me@example.com".to_owned(), AddressSource::Administrator)));
        for wrong in ["", "nobody", "a@b\r\nBcc: c@d"] {
            world.call(set(&world, TEST_CALLER, Some(wrong))).await.unwrap_err();
        }
        world.call(set(&world, "nobody", Some("a@example.com"))).await.unwrap_err();
        world.call(set(&world, TEST_CALLER, None)).await.unwrap();
        assert_eq!(own().await, None);
        // What lies in the database is sealed, and goes with the account.
        world.call(set(&world, "ada", Some("ada@example.com"))).await.unwrap();
        let read =
            |reader: &mut vault::db::Reader<'_>| Ok(reader.query("SELECT sealed FROM mail_address", &[], |row| row.bytes(0))?);
        let rows = world.opened.system.read(read).await.unwrap();
        assert!(rows.iter().all(|row| !row.windows(3).any(|part| part == b"ada")) && rows.len() == 1);
        world.opened.system.write(|writer| Ok(writer.execute("DELETE FROM principal WHERE id = 'ada'", &[])?)).await.unwrap();
        assert!(world.opened.system.read(read).await.unwrap().is_empty());
    });
}

#[test]
fn a_test_goes_past_the_window_and_is_kept_where_it_fails() {
    on_both_engines("mail_test", async |engine| {
        let world = World::new(engine).await;
        let test = || TestMail { room: world.room.clone(), to: "ada@example.com".to_owned() };
        for _ in 0..2 {
            let sent = world.call(test()).await.unwrap();
            assert_eq!((sent.notice_count, sent.fault), (1, None));
        }
        *world.carrier.fault.lock() = Some("down".to_owned());
        assert_eq!(world.call(test()).await.unwrap().fault.as_deref(), Some("down"));
        let listed = world.list(false).await;
        assert_eq!((listed[0].to.as_str(), listed[0].kind), ("a…@example.com", Kind::Test));
        assert!(!world.gate.recorded().join("\n").contains("example.com"), "no address stands in the log");
        world.call(TestMail { room: world.room.clone(), to: "a@b\r\nDATA".to_owned() }).await.unwrap_err();
    });
}

/// Made by `gpg` 2.2: Ed25519 with a subkey of Curve25519, without an end.
const KEY: &str = include_str!("key.asc");

#[test]
fn whoever_gave_a_key_gets_nothing_in_the_open() {
    on_both_engines("mail_key", async |engine| {
        let world = World::new(engine).await;
        let give = |key: Option<&str>| SetKey { room: world.room.clone(), key: key.map(str::to_owned) };
        for wrong in ["", "no key", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxxxx\n-----END PGP PUBLIC KEY BLOCK-----\n"] {
            world.call(give(Some(wrong))).await.unwrap_err();
        }
        let print = world.call(give(Some(KEY))).await.unwrap().unwrap();
        assert_eq!(print.len(), 40);
        let own = async || world.call(OwnMail { room: world.room.clone() }).await.unwrap();
        assert_eq!((own().await.key, own().await.key_fault), (Some(print.clone()), None));
        world.call(set(&world, TEST_CALLER, Some("me@example.com"))).await.unwrap();
        let at = kernel::Clock::now(&world.gate.clock);
        world.room.tell_account(TEST_CALLER, (Kind::UnusualLogIn, "s_1"), at).await.unwrap();
        world.round().await;
        let (to, mail) = world.carried().remove(0);
        assert_eq!(to, "me@example.com");
        assert!(mail.contains("multipart/encrypted") && mail.contains("-----BEGIN PGP MESSAGE-----"), "{mail}");
        assert!(!mail.contains("s_1") && mail.contains("Subject: Strongroom: a notice\r\n"), "{mail}");
        // A key that cannot be used any more holds the mail back.
        let spoil = |writer: &mut vault::db::Writer<'_>| {
            Ok(writer.execute("UPDATE mail_key SET public_key = $1", &[b"spoilt".as_slice().into()])?)
        };
        world.opened.system.write(spoil).await.unwrap();
        let spoilt = own().await;
        assert!(
            spoilt.key == Some(print) && spoilt.key_fault.is_some_and(|fault| fault.contains("OpenPGP")),
            "its holder is told"
        );
        world.room.tell_account(TEST_CALLER, (Kind::UnusualLogIn, "s_2"), at).await.unwrap();
        world.later(3_600);
        world.round().await;
        assert!(world.carried().is_empty());
        assert!(world.list(false).await[0].fault.as_deref().unwrap().contains("OpenPGP"));
        assert_eq!(world.call(give(None)).await.unwrap(), None);
        world.later(3_600);
        world.round().await;
        assert!(world.carried()[0].1.contains("Event: s_2"));
    });
}

#[test]
fn where_notices_went_before_is_told_that_they_do_not_any_more() {
    on_both_engines("mail_former", async |engine| {
        let world = World::new(engine).await;
        let told = async || {
            world.later(3_600);
            world.round().await;
            world.carried()
        };
        let give = |key: Option<&str>| SetKey { room: world.room.clone(), key: key.map(str::to_owned) };
        for _ in 0..2 {
            world.call(set(&world, TEST_CALLER, Some("one@example.com"))).await.unwrap();
            assert!(told().await.is_empty(), "there was no other place");
        }
        world.call(set(&world, TEST_CALLER, Some("two@example.com"))).await.unwrap();
        let listed = world.list(false).await;
        assert_eq!((listed[0].to.as_str(), listed[0].kind), (TEST_CALLER, Kind::AddressReplaced));
        let mails = told().await;
        assert_eq!((mails.len(), mails[0].0.as_str()), (1, "one@example.com"));
        assert!(mails[0].1.contains("do not go to this address any more"), "{}", mails[0].1);
        // Whoever gives a key of theirs does not keep it from the account's holder.
        world.call(give(Some(KEY))).await.unwrap();
        let mails = told().await;
        assert_eq!((mails.len(), mails[0].0.as_str()), (1, "two@example.com"));
        assert!(mails[0].1.contains("is encrypted to was changed"), "{}", mails[0].1);
        world.call(give(Some(KEY))).await.unwrap();
        assert!(told().await.is_empty(), "the same key");
        world.call(set(&world, TEST_CALLER, Some("three@example.com"))).await.unwrap();
        let mails = told().await;
        assert_eq!((mails.len(), mails[0].0.as_str()), (1, "two@example.com"));
        assert!(mails[0].1.contains("multipart/encrypted") && !mails[0].1.contains("any more"), "{}", mails[0].1);
        world.call(give(None)).await.unwrap();
        assert!(told().await.is_empty(), "the news of the log goes there in the open");
        world.call(set(&world, TEST_CALLER, None)).await.unwrap();
        assert_eq!(told().await[0].0, "three@example.com");
        for (address, expected) in [("a@provider.example", None), ("b@provider.example", Some("a@provider.example"))] {
            world.room.learn_address(TEST_CALLER, address, kernel::Clock::now(&world.gate.clock)).await.unwrap();
            assert_eq!(told().await.first().map(|mail| mail.0.as_str()), expected);
        }
        // It goes with the account.
        for address in ["ada@example.com", "eve@example.com"] {
            world.call(set(&world, "ada", Some(address))).await.unwrap();
        }
        assert_eq!(world.list(false).await.len(), 1);
        world.opened.system.write(|writer| Ok(writer.execute("DELETE FROM principal WHERE id = 'ada'", &[])?)).await.unwrap();
        assert!(world.list(false).await.is_empty());
    });
}

#[test]
fn rooms_of_other_processes_are_the_same_people() {
    on_both_engines("mail_same", async |engine| {
        let world = World::new(engine).await;
        let other = room(&world.opened, &world.carrier);
        let to = crate::Recipient::Address(Address::parse("Ada@example.com").unwrap());
        assert_eq!(world.room.recipient(&to), other.recipient(&to));
        assert!(!Arc::ptr_eq(&world.room.0, &other.0));
    });
}
