//! Evidence bundles: a report stands for the whole stretch of the log, and says so only if it does.

use audit::evidence::{Bundle, Taken};
use audit::note::VerifierKey;
use audit::ops::{Prove, TakeEvidence, Which};
use kernel::{hex, sha256};
use serde_json::json;

use crate::common::{House, Place};

async fn bundle(house: &House, from: u64, to: u64, report: &str) -> (Bundle, VerifierKey) {
    let report_sha256 = hex(&sha256(report.as_bytes()));
    let take = TakeEvidence { room: house.room.clone(), from, to, report_sha256 };
    let taken = Taken::from(house.call(take).await.unwrap());
    let proven = house.call(Prove { room: house.room.clone(), which: Which::Entry(taken.entry.clone()) }).await.unwrap();
    let key = VerifierKey::parse(&taken.verifier_key).unwrap();
    let record = String::from_utf8(proven.record).unwrap();
    (Bundle::new(taken, report.to_owned(), (record, proven.proof)), key)
}

fn report(who: &str, indices: impl IntoIterator<Item = u64>) -> String {
    timed(who, (None, None), indices)
}

fn timed(who: &str, (since, until): (Option<i64>, Option<i64>), indices: impl IntoIterator<Item = u64>) -> String {
    json!({ "who": who, "since": since, "until": until, "indices": indices.into_iter().collect::<Vec<_>>() }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_names_all_holds_and_one_that_leaves_a_record_out_does_not() {
    let place = Place::new();
    let house = place.open();
    house.work(40).await;
    house.drained().await;
    // Every act is of the one caller that these tests have: an intent and an outcome each.
    let (all, key) = bundle(&house, 3, 40, &report("user-1", 3..40)).await;
    let shown = all.check(&key).unwrap();
    assert_eq!((shown.from, shown.count, shown.own_count, shown.who.as_str()), (3, 37, 37, "user-1"));
    let (short, key) = bundle(&house, 3, 40, &report("user-1", 4..40)).await;
    assert!(short.check(&key).unwrap_err().to_string().contains("leaves out record 3"));
    let (foreign, key) = bundle(&house, 3, 40, &report("somebody-else", 3..4)).await;
    assert!(foreign.check(&key).unwrap_err().to_string().contains("names record 3"));
    // What goes into a file comes back out of it, and no other file is taken for one.
    let text = serde_json::to_vec(&all).unwrap();
    assert_eq!(Bundle::parse(&text).unwrap(), all);
    assert!(Bundle::parse(b"{}").is_err() && Bundle::parse(b"[").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_report_is_about_and_the_records_do_not_reach_is_said() {
    let place = Place::new();
    let house = place.open();
    house.work(40).await;
    house.drained().await;
    let (open, key) = bundle(&house, 3, 40, &report("user-1", 3..40)).await;
    let shown = open.check(&key).unwrap();
    let (first, last) = shown.times;
    let left = shown.not_covered();
    let (before, behind) = (&left[0], &left[1]);
    assert!(before.starts_with("from the beginning of the log to ") && before.ends_with("before record 3"), "{before}");
    assert!(behind.contains(" to the end of the log") && behind.ends_with("behind record 39"), "{behind}");
    let shorter = audit::evidence::Shown { since: Some(first - 1), until: Some(last + 2), ..shown.clone() };
    assert_eq!(shorter.not_covered().len(), 2);
    let within = audit::evidence::Shown { since: Some(first), until: Some(last + 1), ..shown.clone() };
    assert!(within.not_covered().is_empty());
    // What begins and ends with the log reaches as far as there is anything.
    let whole = audit::evidence::Shown { from: 0, count: shown.size, ..shown };
    assert!(whole.not_covered().is_empty());
    // A report that is about a time says which, and the records beside it are not its.
    let later = Some(last + 3_600_000_000);
    let (none, key) = bundle(&house, 3, 40, &timed("user-1", (later, None), [])).await;
    let shown = none.check(&key).unwrap();
    assert_eq!((shown.own_count, shown.since, shown.not_covered().len()), (0, later, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_stretch_is_given_that_the_log_does_not_have() {
    let place = Place::new();
    let house = place.open();
    house.work(4).await;
    house.drained().await;
    let digest = hex(&sha256(b"a report"));
    for (from, to, report_sha256) in [
        (2, 2, digest.clone()),
        (5, 3, digest.clone()),
        (0, 1_000_000_000, digest.clone()),
        (0, 10_000, digest),
        (0, 2, "zz".to_owned()),
    ] {
        assert!(house.call(TakeEvidence { room: house.room.clone(), from, to, report_sha256 }).await.is_err(), "{from}..{to}");
    }
}
